//! The gateway client against a scripted gateway over real TLS.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::config::{Login, Secret, System, Trust};
use scaleio_framework::gateway::{Gateway, GatewayError, OnRequest, Role};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::picture::FailureReason;
use scaleio_framework::model::stats::{Stat, StatKind};
use scaleio_framework::model::version::Generation;
use support::{
    Accounts, FAULT_SETS, Flow, ONE, PASSWORD, Reply, Request, Server, USER, answering, client, plain, settings,
};

#[tokio::test]
async fn up_to_3_6_the_token_becomes_the_password() {
    let (accounts, server) = plain(Flow::Basic).await;
    let gateway = client(&settings(&[&server]));
    assert_eq!(gateway.fault_sets().await.unwrap().objects, 1);
    let last = server.requests().pop().unwrap();
    assert_eq!(last.credentials(), Some(format!("{USER}:{}", accounts.token().unwrap())));
    assert_eq!(gateway.current_address().as_deref(), Some(server.url.as_str()));
    // The second question needs neither a probe nor a login.
    gateway.fault_sets().await.unwrap();
    let paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/rest/auth/login", "/api/login", FAULT_SETS, FAULT_SETS]);
}

#[tokio::test]
async fn from_4_0_on_the_session_is_a_bearer_token_and_is_ended() {
    let (accounts, server) = plain(Flow::Bearer).await;
    let gateway = client(&settings(&[&server]));
    gateway.fault_sets().await.unwrap();
    assert_eq!(server.requests().last().unwrap().credentials(), accounts.token());
    gateway.logout().await;
    let last = server.requests().pop().unwrap();
    assert!(last.is("POST", "/rest/auth/logout"));
    assert!(last.body.contains(&accounts.refresh_token().unwrap()));
    assert_eq!(server.count("GET", "/api/login"), 0);
}

#[tokio::test]
async fn a_session_that_dies_in_the_middle_is_renewed_once() {
    for flow in [Flow::Basic, Flow::Bearer] {
        let (accounts, server) = plain(flow).await;
        let gateway = client(&settings(&[&server]));
        gateway.fault_sets().await.unwrap();
        accounts.forget_token();
        assert_eq!(gateway.fault_sets().await.unwrap().objects, 1);
        let asked = server.count("GET", FAULT_SETS);
        assert_eq!(asked, 3, "one refused, one repeated");
    }
}

#[tokio::test]
async fn a_second_401_is_a_failure_and_not_a_loop() {
    let server = answering(Reply::unauthorized()).await;
    let error = client(&settings(&[&server])).fault_sets().await.unwrap_err();
    assert!(matches!(error, GatewayError::StillUnauthorized { .. }), "{error}");
    assert_eq!(error.reason(), FailureReason::Auth);
    assert_eq!((server.count("GET", FAULT_SETS), server.count("GET", "/api/login")), (2, 2));
}

#[tokio::test]
async fn a_token_about_to_expire_is_refreshed_before_it_is_used() {
    let accounts = Accounts::expiring(Flow::Bearer, 0.000_001);
    let inner = accounts.clone();
    let server = Server::start(move |request| inner.serve(request, |_| Reply::json(ONE))).await;
    let gateway = client(&settings(&[&server]));
    gateway.fault_sets().await.unwrap();
    gateway.fault_sets().await.unwrap();
    assert_eq!(server.count("POST", "/rest/auth/login"), 1);
    assert_eq!(server.count("POST", "/rest/auth/update-token"), 1);
    accounts.refuse_refreshes();
    gateway.fault_sets().await.unwrap();
    assert_eq!(server.count("POST", "/rest/auth/login"), 2, "a refused refresh becomes a login");
    let refused = server.requests().iter().filter(|request| request.path == FAULT_SETS).count();
    assert_eq!(refused, 3, "no question was asked with a dead token");
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_tried_again_at_once() {
    for flow in [Flow::Basic, Flow::Bearer] {
        let (_, server) = plain(flow).await;
        let mut settings = settings(&[&server]);
        settings.monitor = Login { user: USER.to_owned(), password: Secret::new("wrong") };
        let gateway = client(&settings);
        let error = gateway.fault_sets().await.unwrap_err();
        assert!(matches!(error, GatewayError::Refused { .. }), "{error}");
        assert_eq!(error.reason(), FailureReason::Auth);
        let asked = server.requests().len();
        let error = gateway.fault_sets().await.unwrap_err();
        assert!(matches!(error, GatewayError::Paused { refusals: 1, .. }), "{error}");
        assert_eq!(server.requests().len(), asked, "nothing was sent during the pause");
    }
}

#[tokio::test]
async fn every_bad_answer_is_named_with_its_call_address_and_reason() {
    let huge = Reply::json(format!("[{}]", " ".repeat(2 << 20)));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&vec![b' '; 2 << 20]).unwrap();
    let bomb = Reply::Text {
        status: 200,
        kind: "application/json",
        headers: "content-encoding: gzip\r\n".to_owned(),
        body: packed.finish().unwrap(),
    };
    let no_gzip = Reply::Text {
        status: 200,
        kind: "application/json",
        headers: "content-encoding: gzip\r\n".to_owned(),
        body: b"[this is not packed]".to_vec(),
    };
    for (name, reply, reason, words) in [
        ("403", Reply::status(403, "{}"), FailureReason::Auth, "role"),
        ("404", Reply::not_found(), FailureReason::Http, "HTTP 404"),
        ("500", Reply::status(500, r#"{"message":"x","errorCode":306}"#), FailureReason::Http, "code 306"),
        ("503", Reply::html(503), FailureReason::Http, "HTTP 503"),
        ("html", Reply::html(200), FailureReason::Parse, "HTML"),
        ("empty", Reply::json(""), FailureReason::Parse, "empty"),
        ("object", Reply::json(r#"{"a":1}"#), FailureReason::Parse, "no list of objects"),
        ("cut json", Reply::json(r#"[{"id":"1"#), FailureReason::Parse, "ends too early"),
        ("cut body", Reply::Cut { body: b"[".to_vec(), promised: 100 }, FailureReason::Connect, "in the middle"),
        ("endless", Reply::Endless, FailureReason::TooLarge, "max_answer_bytes"),
        ("huge", huge, FailureReason::TooLarge, "max_answer_bytes"),
        ("gzip bomb", bomb, FailureReason::TooLarge, "max_answer_bytes"),
        ("no gzip", no_gzip, FailureReason::Parse, "unpacked"),
        ("silence", Reply::Silence, FailureReason::Timeout, "request_timeout"),
        ("hang up", Reply::HangUp, FailureReason::Connect, "broke"),
        ("deep", Reply::json("[".repeat(100_000)), FailureReason::Parse, "answer"),
    ] {
        let server = answering(reply).await;
        let mut settings = settings(&[&server]);
        if name == "silence" {
            settings.request_timeout = Duration::from_millis(300);
        }
        let error = client(&settings).fault_sets().await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.reason(), reason, "{name}: {text}");
        assert!(text.contains("types/FaultSet") && text.contains(server.url.as_str()), "{name}: {text}");
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[tokio::test]
async fn nobody_at_the_address_is_a_connect_failure() {
    let server = answering(Reply::json(ONE)).await;
    let settings = settings(&[&server]);
    drop(server);
    let error = client(&settings).fault_sets().await.unwrap_err();
    assert_eq!(error.reason(), FailureReason::Connect, "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_costs_nothing() {
    let accounts = Accounts::new(Flow::Basic);
    let server =
        Server::start(move |request| Reply::ThenHangUp(Box::new(accounts.serve(request, |_| Reply::json(ONE))))).await;
    let gateway = client(&settings(&[&server]));
    for _ in 0..5 {
        gateway.fault_sets().await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_breaks_once_is_asked_again_and_twice_is_a_failure() {
    let breaks = Arc::new(AtomicUsize::new(1));
    let (accounts, left) = (Accounts::new(Flow::Basic), breaks.clone());
    let server = Server::start(move |request| {
        accounts.serve(request, |_| {
            let breaks = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            if breaks.is_ok() { Reply::HangUp } else { Reply::json(ONE) }
        })
    })
    .await;
    let gateway = client(&settings(&[&server]));
    gateway.fault_sets().await.unwrap();
    breaks.store(2, Ordering::SeqCst);
    gateway.fault_sets().await.unwrap_err();
    assert_eq!(breaks.load(Ordering::SeqCst), 0, "asked twice, not more");
}

#[tokio::test]
async fn what_changes_something_is_sent_once_whatever_becomes_of_its_answer() {
    let cut = Reply::Cut { body: b"{".to_vec(), promised: 99 };
    for reply in [Reply::HangUp, Reply::status(503, "{}"), cut] {
        let server = || {
            let (accounts, reply) = (Accounts::new(Flow::Basic), reply.clone());
            Server::start(move |request| {
                accounts.serve(request, |request| match request.method.as_str() {
                    "POST" => reply.clone(),
                    _ => Reply::json(ONE),
                })
            })
        };
        let (first, second) = (server().await, server().await);
        let gateway = client(&settings(&[&first, &second]));
        gateway.fault_sets().await.unwrap();
        gateway.add_domain("d1").await.unwrap_err();
        let asked = [first.requests(), second.requests()].concat();
        let posts = asked.iter().filter(|request| request.is("POST", "/api/types/ProtectionDomain/instances")).count();
        assert_eq!(posts, 1, "{reply:?}: whether it was done, only a look tells");
    }
}

#[tokio::test]
async fn another_gateway_takes_over_with_a_login_of_its_own_and_stays() {
    let (_, first) = plain(Flow::Basic).await;
    let (accounts, second) = plain(Flow::Bearer).await;
    let gateway = client(&settings(&[&first, &second]));
    gateway.fault_sets().await.unwrap();
    assert_eq!(gateway.current_address().as_deref(), Some(first.url.as_str()));
    drop(first);
    gateway.fault_sets().await.unwrap();
    assert_eq!(second.requests().last().unwrap().credentials(), accounts.token());
    assert_eq!(gateway.current_address().as_deref(), Some(second.url.as_str()));
    let asked = second.requests().len();
    gateway.fault_sets().await.unwrap();
    assert_eq!(second.requests().len(), asked + 1, "it stays where it works");
}

#[tokio::test]
async fn a_sick_gateway_is_left_but_a_refusal_of_the_mdm_is_not_carried_around() {
    for (reply, tries_second) in [
        (Reply::html(503), 1),
        (Reply::html(500), 1),
        (Reply::status(500, r#"{"message":"m","httpStatusCode":500,"errorCode":168}"#), 0),
        (Reply::not_found(), 0),
    ] {
        let first = answering(reply).await;
        let (_, second) = plain(Flow::Basic).await;
        let gateway = client(&settings(&[&first, &second]));
        let outcome = gateway.fault_sets().await;
        assert_eq!(outcome.is_ok(), tries_second == 1);
        assert_eq!(second.count("GET", FAULT_SETS), tries_second);
    }
}

#[tokio::test]
async fn a_redirect_to_another_server_is_not_followed() {
    let (_, other) = plain(Flow::Basic).await;
    let reply = Reply::Text {
        status: 302,
        kind: "text/plain",
        headers: format!("location: {}{FAULT_SETS}\r\n", other.url),
        body: Vec::new(),
    };
    let server = answering(reply).await;
    let mut settings = settings(&[&server]);
    settings.trust = Trust::Insecure;
    let error = client(&settings).fault_sets().await.unwrap_err();
    assert_eq!(error.status(), Some(302), "{error}");
    assert!(other.requests().is_empty());
}

/// Serves statistics as a release does that has these names only.
fn statistics(request: &Request, valid: &[(&str, &[&str])]) -> Reply {
    let query: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let mut answer = serde_json::Map::new();
    for part in query["selectedStatisticsList"].as_array().unwrap() {
        let kind = part["type"].as_str().unwrap();
        assert_eq!(part["allIds"], "");
        let Some((_, names)) = valid.iter().find(|(name, _)| *name == kind) else {
            return Reply::status(
                400,
                format!(
                    r#"{{"message":"type should get one of the following values: System, Volume, but its value is {kind}","httpStatusCode":400,"errorCode":0}}"#
                ),
            );
        };
        let asked: Vec<&str> =
            part["properties"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        if !asked.iter().all(|name| names.contains(name)) {
            let message = format!("{kind} properties should contain only following values: {}", names.join(","));
            return Reply::status(400, format!(r#"{{"message":"{message}","httpStatusCode":400,"errorCode":0}}"#));
        }
        let row: serde_json::Map<_, _> = asked.iter().map(|name| ((*name).to_owned(), 1.into())).collect();
        let rows = if kind == "System" { row.into() } else { serde_json::json!({ "00000000000000aa": row }) };
        answer.insert(kind.to_owned(), rows);
    }
    Reply::json(serde_json::Value::Object(answer).to_string())
}

#[tokio::test]
async fn statistics_that_a_release_lacks_are_learned_and_not_asked_again() {
    const QUERY: &str = "/api/instances/querySelectedStatistics";
    let accounts = Accounts::new(Flow::Basic);
    let server = Server::start(move |request| {
        accounts.serve(request, |request| {
            statistics(
                request,
                &[("System", &["numOfSds", "maxCapacityInKb"]), ("Volume", &["numOfMappedSdcs", "other"])],
            )
        })
    })
    .await;
    let gateway = client(&settings(&[&server]));
    let kinds = [StatKind::System, StatKind::Volume, StatKind::ReplicationPair];
    let answer = gateway.statistics(&kinds).await.unwrap();
    assert_eq!(answer.value.system().unwrap().number(Stat::NumOfSds), Some(1.0));
    assert_eq!(answer.value.system().unwrap().number(Stat::MaxCapacityInKb), Some(1024.0));
    assert_eq!(answer.value.table(StatKind::Volume).unwrap().ids().len(), 1);
    assert!(answer.value.table(StatKind::ReplicationPair).is_none());
    assert_eq!(server.count("POST", QUERY), 4, "one refusal a kind, then the answer");
    gateway.statistics(&kinds).await.unwrap();
    assert_eq!(server.count("POST", QUERY), 5);
}

#[tokio::test]
async fn a_refusal_that_teaches_nothing_is_not_asked_again_and_again() {
    let server = answering(Reply::status(400, r#"{"message":"no","httpStatusCode":400,"errorCode":0}"#)).await;
    let gateway = client(&settings(&[&server]));
    let kinds = [StatKind::System, StatKind::Sds, StatKind::Volume];
    // The first time each kind is also asked alone, to find the one that is refused.
    for (round, asked) in [4, 5, 6].into_iter().enumerate() {
        let error = gateway.statistics(&kinds).await.unwrap_err();
        assert_eq!(error.reason(), FailureReason::Http);
        assert_eq!(server.count("POST", "/api/instances/querySelectedStatistics"), asked, "round {round}");
    }
}

#[tokio::test]
async fn a_kind_that_is_refused_in_words_nobody_knows_is_found_by_asking_each_alone() {
    let accounts = Accounts::new(Flow::Basic);
    let server = Server::start(move |request| {
        accounts.serve(request, |request| {
            if request.body.contains("ReplicationPair") {
                return Reply::status(400, r#"{"message":"Was ist das?","httpStatusCode":400,"errorCode":0}"#);
            }
            Reply::json(if request.body.contains("System") { r#"{"System":{"numOfSds":3}}"# } else { "{}" })
        })
    })
    .await;
    let gateway = client(&settings(&[&server]));
    let kinds = [StatKind::System, StatKind::ReplicationPair];
    for asked in [4, 5] {
        let answer = gateway.statistics(&kinds).await.unwrap();
        assert_eq!(answer.value.system().unwrap().number(Stat::NumOfSds), Some(3.0));
        assert_eq!(server.count("POST", "/api/instances/querySelectedStatistics"), asked);
    }
}

#[tokio::test]
async fn the_login_is_chosen_by_what_the_gateway_answers() {
    let unknown_path_needs_a_login = Reply::unauthorized();
    for (name, probe, basic) in [
        ("404", Reply::not_found(), true),
        ("405", Reply::html(405), true),
        ("a page", Reply::html(200), true),
        ("401 as up to 3.6", unknown_path_needs_a_login, true),
        ("401 as a page", Reply::html(401), true),
        ("a broken handler", Reply::html(500), true),
        ("401 as from 4.0 on", Reply::status(401, r#"{"http_status_code":401,"messages":[]}"#), false),
        ("overload", Reply::html(503), false),
        ("too many", Reply::status(429, "{}"), false),
    ] {
        let accounts = Accounts::new(Flow::Basic);
        let server = Server::start(move |request| match request.path.as_str() {
            "/rest/auth/login" => probe.clone(),
            _ => accounts.serve(request, |_| Reply::json(ONE)),
        })
        .await;
        let outcome = client(&settings(&[&server])).fault_sets().await;
        assert_eq!(outcome.is_ok(), basic, "{name}");
        assert_eq!(server.count("GET", "/api/login"), usize::from(basic), "{name}");
    }
}

#[tokio::test]
async fn a_system_that_was_upgraded_to_4_x_is_logged_in_to_anew() {
    let (old, new) = (Accounts::new(Flow::Basic), Accounts::new(Flow::Bearer));
    let upgraded = Arc::new(AtomicBool::new(false));
    let is_new = upgraded.clone();
    let server = Server::start(move |request| {
        let is_new = is_new.load(Ordering::SeqCst);
        let version = if is_new { "R4_5.4000.111" } else { "R3_6.0.0" };
        let then = |_: &Request| Reply::json(format!(r#"[{{"id":"1","systemVersionName":"X: {version}"}}]"#));
        // 4.x takes the old login too.
        let by_new = is_new && (request.path.starts_with("/rest/") || new.token().is_some());
        if by_new { new.serve(request, then) } else { old.serve(request, then) }
    })
    .await;
    let gateway = client(&settings(&[&server]));
    assert_eq!(gateway.generation().await.unwrap(), Generation::V3_5);
    upgraded.store(true, Ordering::SeqCst);
    assert_eq!(gateway.generation().await.unwrap(), Generation::V4);
    assert_eq!(gateway.generation().await.unwrap(), Generation::V4);
    assert!(server.requests().last().unwrap().headers["authorization"].starts_with("Bearer "));
}

#[tokio::test]
async fn a_packed_answer_is_asked_for_and_unpacked() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(ONE.as_bytes()).unwrap();
    let server = answering(Reply::Text {
        status: 200,
        kind: "application/json",
        headers: "content-encoding: gzip\r\n".to_owned(),
        body: packed.finish().unwrap(),
    })
    .await;
    assert_eq!(client(&settings(&[&server])).fault_sets().await.unwrap().objects, 1);
    assert!(server.requests().last().unwrap().headers["accept-encoding"].contains("gzip"));
}

#[tokio::test]
async fn questions_at_once_share_one_login_and_one_renewal() {
    for flow in [Flow::Basic, Flow::Bearer] {
        let (accounts, server) = plain(flow).await;
        let gateway = Arc::new(client(&settings(&[&server])));
        let logins = |server: &Server| match flow {
            Flow::Basic => server.count("GET", "/api/login"),
            Flow::Bearer => server.count("POST", "/rest/auth/login") + server.count("POST", "/rest/auth/update-token"),
        };
        for round in 1..=2 {
            let asks = (0..8).map(|_| {
                let gateway = gateway.clone();
                tokio::spawn(async move { gateway.fault_sets().await })
            });
            for ask in futures_util::future::join_all(asks).await {
                assert_eq!(ask.unwrap().unwrap().objects, 1);
            }
            assert_eq!(logins(&server), round);
            accounts.forget_token();
        }
    }
}

#[tokio::test]
async fn questions_that_waited_for_a_failed_login_share_its_failure() {
    let server = Server::start(|_| Reply::Silence).await;
    let gateway = Arc::new(client(&System { request_timeout: Duration::from_millis(300), ..settings(&[&server]) }));
    let asks = (0..8).map(|_| {
        let gateway = gateway.clone();
        tokio::spawn(async move { gateway.fault_sets().await.unwrap_err().reason() })
    });
    for reason in futures_util::future::join_all(asks).await {
        assert_eq!(reason.unwrap(), FailureReason::Timeout);
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn the_release_is_the_systems_own_and_else_that_of_the_api() {
    for (system, generation) in [
        (r#"[{"id":"1","systemVersionName":"DellEMC PowerFlex Version: R3_6.0.0"}]"#, Some(Generation::V3_5)),
        (r#"[{"id":"1"}]"#, Some(Generation::V4)),
        ("[]", Some(Generation::V4)),
    ] {
        let accounts = Accounts::new(Flow::Basic);
        let server = Server::start(move |request| {
            accounts.serve(request, |request| {
                if request.path == "/api/version" { Reply::json("\"4.5\"") } else { Reply::json(system) }
            })
        })
        .await;
        assert_eq!(client(&settings(&[&server])).generation().await.ok(), generation);
    }
}

#[tokio::test]
async fn the_mdm_cluster_is_asked_for_when_the_system_does_not_hold_it() {
    let accounts = Accounts::new(Flow::Basic);
    let server = Server::start(move |request| {
        accounts.serve(request, |request| match request.path.as_str() {
            "/api/instances/System/queryMdmCluster" => {
                Reply::json(r#"{"id":"7","clusterMode":"OneNode","clusterState":"NotClustered","master":{"id":"0a"}}"#)
            }
            _ => Reply::json(r#"[{"id":"1","name":"s"}]"#),
        })
    })
    .await;
    let answer = client(&settings(&[&server])).system().await.unwrap();
    assert!(answer.value.mdm.unwrap().primary().is_some());
}

#[tokio::test]
async fn alerts_and_events_of_4_x_are_read_page_by_page() {
    let accounts = Accounts::new(Flow::Bearer);
    let server = Server::start(move |request| {
        accounts.serve(request, |request| {
            let offset: usize = request.path.rsplit_once("offset=").unwrap().1.parse().unwrap();
            let entries: Vec<String> = (offset..(offset + 500).min(1200))
                .map(|n| {
                    format!(r#"{{"id":"{n}","name":"A","severity":"MAJOR","timestamp":"2026-03-18T03:40:16.253Z"}}"#)
                })
                .collect();
            Reply::json(format!(r#"{{"results":[{}],"paging":{{"total_instances":1200}}}}"#, entries.join(",")))
        })
    })
    .await;
    let gateway = client(&settings(&[&server]));
    assert_eq!(gateway.alerts(Generation::V4).await.unwrap().objects, 1200);
    let since = chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap();
    assert_eq!(gateway.events(since).await.unwrap().objects, 1200);
    let path = server.requests().pop().unwrap().path;
    assert!(
        path.starts_with("/rest/v1/events?filter=timestamp%20ge%20%222023-11-14T22%3A13%3A20.000Z%22&limit="),
        "{path}"
    );
    let tomorrow = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    assert_eq!(gateway.events(tomorrow).await.unwrap().objects, 0);
}

#[tokio::test]
async fn a_gateway_that_does_not_know_pages_is_not_asked_forever() {
    let entries: Vec<String> = (0..500).map(|n| format!(r#"{{"id":"{n}","name":"A"}}"#)).collect();
    let server = answering(Reply::json(format!(r#"{{"results":[{}]}}"#, entries.join(",")))).await;
    assert_eq!(client(&settings(&[&server])).alerts(Generation::V4).await.unwrap().objects, 500);
    assert_eq!(server.requests().iter().filter(|request| request.path.starts_with("/rest/v1/alerts")).count(), 2);
}

#[tokio::test]
async fn every_request_is_told_without_ids() {
    let (_, server) = plain(Flow::Basic).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let on_request: OnRequest =
        Arc::new(move |request| log.lock().unwrap().push((request.endpoint.to_owned(), request.status)));
    let gateway = Gateway::new(SystemId::new("prod"), &settings(&[&server]), Role::Monitor, on_request).unwrap();
    gateway.fault_sets().await.unwrap();
    gateway.logout().await;
    let expected = [("auth/login", 404), ("login", 200), ("types/FaultSet", 200), ("logout", 200)];
    let expected: Vec<_> = expected.iter().map(|(name, status)| ((*name).to_owned(), Some(*status))).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// Everything that any crate logs, at the finest level.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_logged_by_any_crate_at_any_level() {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).init();
    let mut secrets = vec![PASSWORD.to_owned()];
    for flow in [Flow::Basic, Flow::Bearer] {
        let sick = Arc::new(AtomicBool::new(false));
        let (accounts, is_sick) = (Accounts::new(flow), sick.clone());
        let inner = accounts.clone();
        let server = Server::start(move |request| {
            // A gateway that quotes what it was sent.
            let quoted =
                format!(r#"{{"message":"{:?}"}}"#, request.credentials().unwrap_or_default()).replace("\\", "");
            inner.serve(request, |_| {
                if is_sick.load(Ordering::SeqCst) { Reply::status(500, quoted) } else { Reply::json(ONE) }
            })
        })
        .await;
        let gateway = client(&settings(&[&server]));
        gateway.fault_sets().await.unwrap();
        secrets.extend([accounts.token().unwrap(), accounts.refresh_token().unwrap()]);
        accounts.forget_token();
        gateway.fault_sets().await.unwrap();
        secrets.extend([accounts.token().unwrap(), accounts.refresh_token().unwrap()]);
        sick.store(true, Ordering::SeqCst);
        let error = gateway.fault_sets().await.unwrap_err();
        tracing::error!(%error, debug = ?error, gateway = ?gateway, "as an operator would log it");
        gateway.logout().await;
    }
    let log = String::from_utf8_lossy(&captured.0.lock().unwrap().clone()).into_owned();
    for crate_name in ["scaleio_framework", "hyper_util", "reqwest", "rustls"] {
        assert!(log.contains(&format!("{crate_name}::")), "{crate_name} was not captured");
    }
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} is in the log");
        let encoded = base64(format!("{USER}:{secret}").as_bytes());
        assert!(!log.contains(encoded.trim_end_matches('=')), "{secret} is in the log as Basic");
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word = chunk.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte)) << (8 * (3 - chunk.len()));
            (0..=chunk.len()).map(move |at| char::from(ALPHABET[(word >> (18 - 6 * at)) as usize & 63]))
        })
        .collect()
}

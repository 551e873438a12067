//! What people do about alerts, from the alert to the mail and back: the page
//! behind the links of mails, silences, acknowledgements and `sio notify`.

use std::fs;

use chrono::{TimeDelta, Utc};
use reqwest::{Response, StatusCode};
use scaleio_framework::alert::mail::link::{self, Act, Claim};
use scaleio_framework::config::LinkKey;
use scaleio_framework::model::alerting::{GroupKey, NotificationId, Target};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::sim::{MailSink, Release};
use serde_json::{Value, json};

use crate::child::{self, Process, err, out, sio};
use crate::mailing::{KEY, RULES, alerting, sink};
use crate::site::{Site, client, eventually, still};

fn token(act: Act, mail: &str, hours: i64) -> String {
    let on = Target::Group(GroupKey::new(Some(SystemId::new("prod")), "sds"));
    let claim =
        Claim { act, on, mail: NotificationId::parse(mail).unwrap(), until: Utc::now() + TimeDelta::hours(hours) };
    link::make(&LinkKey::new(&KEY).unwrap(), &claim)
}

/// Waits for a mail whose subject holds this.
async fn mailed(sink: &MailSink, text: &str) -> String {
    eventually(&format!("a mail of {text:?}"), async || {
        let subjects: Vec<String> = sink.inbox().all().iter().map(|kept| kept.subject()).collect();
        subjects.iter().find(|subject| subject.contains(text)).cloned().ok_or_else(|| format!("{subjects:?}"))
    })
    .await
}

async fn press(site: &Site, token: &str, headers: &[(&str, &str)]) -> Response {
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("token", token)
        .append_pair("by", "Anna <b>")
        .finish();
    let mut request = client()
        .post(format!("http://{}/act", site.controller.web))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

async fn handled(site: &Site) -> (usize, usize) {
    let count = |value: Value| value.as_array().unwrap().len();
    (count(site.json("/api/v1/silences").await), count(site.json("/api/v1/acknowledgements").await))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_of_a_mail_acts_by_post_only_and_once() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    site.knows("prod", &world).await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let subject = mailed(&sink, "SDS sds-2-1 is away").await;
    assert!(subject.starts_with("[CRITICAL] prod:"), "{subject}");

    for (name, act) in [("n-1", Act::Acknowledge), ("n-2", Act::Silence { seconds: 600 })] {
        let token = token(act, name, 1);
        for _ in 0..3 {
            let page = site.get(&format!("/act?token={token}")).await;
            assert_eq!(page.status(), StatusCode::OK);
            let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
            assert!(policy.contains("form-action 'self'") && !policy.contains("script"), "{policy}");
            let text = page.text().await.unwrap();
            assert!(text.contains("SDS sds-2-1 is away.") && text.contains("method=\"post\""), "{text}");
        }
        let head = client().head(format!("http://{}/act?token={token}", site.controller.web)).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
        let before = handled(&site).await;
        assert_eq!(before, if name == "n-1" { (0, 0) } else { (0, 1) }, "looking acts");

        for headers in
            [[("sec-fetch-site", "cross-site")], [("sec-fetch-site", "same-site")], [("origin", "https://evil.test")]]
        {
            assert_eq!(press(&site, &token, &headers).await.status(), StatusCode::FORBIDDEN, "{headers:?}");
        }
        assert_eq!(handled(&site).await, before, "another site acts");
        let own = format!("http://{}", site.controller.web);
        let done = press(&site, &token, &[("origin", &own), ("sec-fetch-site", "same-origin")]).await;
        assert_eq!(done.status(), StatusCode::OK);
        let text = done.text().await.unwrap();
        assert!(!text.contains("Anna <b>"), "a name breaks into the page: {text}");
        let after = handled(&site).await;
        assert_eq!(press(&site, &token, &[]).await.status(), StatusCode::OK);
        assert_eq!(handled(&site).await, after, "pressing twice acts twice");
        assert_ne!(after, before, "pressing does nothing: {text}");
    }
    let records = site.json("/api/v1/records").await;
    assert_eq!(records.as_array().unwrap().len(), 2, "{records}");
    assert_eq!(records[1]["by"], "Anna <b>");
    eventually("the alert is shown as handled", async || {
        let alerts = site.json("/api/v1/alerts").await;
        let handled = alerts["handled"].as_object().unwrap().values().next().cloned().unwrap_or_default();
        let well = handled["muted"] == "silenced" && handled["acknowledged"]["by"] == "Anna <b>";
        if well { Ok(()) } else { Err(alerts.to_string()) }
    })
    .await;
    let page = site.get("/").await.text().await.unwrap();
    assert!(page.contains("acknowledged by Anna &lt;b&gt;") && page.contains("silenced"), "{page}");
    let scrape = site.scrape().await;
    assert_eq!(scrape.value("scaleio_alert_silences", &[]), Some(1.0));
    assert_eq!(scrape.value("scaleio_alert_handled", &[("state", "acknowledged")]), Some(1.0));

    world.world(|world| world.return_sds("sds-2-1").unwrap());
    mailed(&sink, "[RESOLVED] prod: SDS sds-2-1 is away").await;
    let site = site.restart().await;
    eventually("it judges again", async || match site.get("/api/v1/silences").await {
        answer if answer.status() == StatusCode::OK => Ok(()),
        answer => Err(answer.text().await.unwrap()),
    })
    .await;
    assert_eq!(handled(&site).await.0, 1, "a silence is lost at a restart");
    let late = site.get(&format!("/act?token={}", token(Act::Acknowledge, "n-3", 1))).await.text().await.unwrap();
    assert!(late.contains("Nothing of it fires any more") && !late.contains("<form"), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_may_look_at_the_api_and_not_act() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    let base = format!("http://{}/api/v1", site.controller.web);
    let evil = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")];
    for path in ["silences", "acknowledgements", "notifications/flush", "notifications/test"] {
        for (name, value) in evil {
            let asked = client().post(format!("{base}/{path}")).header(name, value).json(&json!({})).send().await;
            assert_eq!(asked.unwrap().status(), StatusCode::FORBIDDEN, "POST {path} of {value}");
        }
        let own = client().post(format!("{base}/{path}")).json(&json!({})).send().await.unwrap();
        assert_ne!(own.status(), StatusCode::FORBIDDEN, "POST {path} of nobody else");
    }
    let gone = client().delete(format!("{base}/silences/s1")).header(evil[0].0, evil[0].1).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::FORBIDDEN, "DELETE");
    let looked = client().get(format!("{base}/status")).header(evil[0].0, evil[0].1).send().await.unwrap();
    assert_eq!(looked.status(), StatusCode::OK, "looking is allowed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_are_not_ours_or_too_old_are_refused() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    site.knows("prod", &world).await;
    let good = token(Act::Acknowledge, "n-1", 1);
    let mut changed = good.clone();
    changed.replace_range(3..4, if good[3..4] == *"A" { "B" } else { "A" });
    eventually("it judges", async || match site.get(&format!("/act?token={good}")).await.status() {
        StatusCode::OK => Ok(()),
        status => Err(status.to_string()),
    })
    .await;
    let old = token(Act::Acknowledge, "n-1", -1);
    for (token, status) in [
        (changed.as_str(), StatusCode::BAD_REQUEST),
        ("", StatusCode::BAD_REQUEST),
        ("a.b", StatusCode::BAD_REQUEST),
        (old.as_str(), StatusCode::GONE),
    ] {
        let page = site.get(&format!("/act?token={token}")).await;
        assert_eq!(page.status(), status, "GET {token}");
        assert!(page.text().await.unwrap().contains("Nothing was done"));
        assert_eq!(press(&site, token, &[]).await.status(), status, "POST {token}");
    }
    let kind =
        client().post(format!("http://{}/act", site.controller.web)).json(&json!({ "token": good })).send().await;
    assert_eq!(kind.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(handled(&site).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_orders_are_refused_with_their_mend() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    site.knows("prod", &world).await;
    eventually("it judges", async || match site.get("/api/v1/silences").await.status() {
        StatusCode::OK => Ok(()),
        status => Err(status.to_string()),
    })
    .await;
    let base = format!("http://{}/api/v1", site.controller.web);
    for (path, body, status, says) in [
        ("silences", json!({ "matchers": [], "owner": "a", "reason": "b", "seconds": 60 }), 400, "every alert"),
        (
            "silences",
            json!({ "matchers": ["a"], "owner": "a", "reason": "b", "seconds": 60 }),
            422,
            "compares no label",
        ),
        (
            "silences",
            json!({ "matchers": ["a=b"], "owner": "a", "reason": "b", "seconds": 60, "x": 1 }),
            422,
            "unknown field",
        ),
        ("silences", json!({ "matchers": ["a=b"], "reason": "b", "seconds": 60 }), 400, "owner"),
        ("acknowledgements", json!({ "by": "a" }), 400, "name either"),
        (
            "acknowledgements",
            json!({ "by": "a", "group": { "system": "prod", "area": "sds" } }),
            404,
            "nothing of that fires",
        ),
        ("notifications/test", json!({ "to": ["nobody"] }), 400, "no mail address"),
    ] {
        let answer = client().post(format!("{base}/{path}")).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path} {body}");
        let problem: Value = answer.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(says), "{problem}");
    }
    // What a form of another site can send.
    let form = client().post(format!("{base}/silences")).header("content-type", "text/plain").body("{}").send().await;
    assert_eq!(form.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let gone = client().delete(format!("{base}/silences/s99?by=a")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
    assert_eq!(handled(&site).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_silences_acknowledges_and_tries_mails() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let port = sink.smtp().port();
    fs::write(folder.path().join("mail-ca.pem"), sink.authority_pem()).unwrap();
    fs::write(folder.path().join("own.rules.yml"), RULES).unwrap();
    child::secret(&folder.path().join("mail.password"), &sink.login().password);
    let more = format!(
        "[alerts]\nshipped = false\nfiles = [\"own.rules.yml\"]\n\
         [mail]\nhosts = [\"127.0.0.1:{port}\"]\nca_file = \"mail-ca.pem\"\nfrom = \"sio@example.test\"\n\
         to = [\"ops@example.test\"]\n[mail.login]\nuser = {:?}\npassword_file = \"mail.password\"\n\
         [notify]\ngroup_wait = \"1s\"\ngroup_interval = \"1s\"\n",
        sink.login().user
    );
    let text = fs::read_to_string(&config).unwrap() + &more;
    fs::write(&config, text).unwrap();
    let file = config.to_str().unwrap();
    let (mut process, _) = Process::sio_run(&config, &[]).await;
    let listed = |what: &str| eventually_listed(file.to_owned(), what.to_owned());
    listed("no silence is in force").await;

    let ask = async |arguments: &[&str]| sio(&[arguments, &["--config", file]].concat()).await;
    let added =
        ask(&["silence", "add", "sds=\"sds-2-1\"", "--reason", "a test", "--for", "1h", "--owner", "anna"]).await;
    assert_eq!(added.status.code(), Some(0), "{}", err(&added));
    assert!(out(&added).starts_with("silence s1 of sds=\"sds-2-1\" until "), "{}", out(&added));
    world.world(|world| world.fail_sds("sds-2-1").unwrap());

    for (arguments, code, says) in [
        (vec!["silence", "add", "sds", "--reason", "a", "--for", "1h", "--owner", "a"], 2, "compares no label"),
        (vec!["silence", "add", "a=b", "--reason", "a", "--for", "90d", "--owner", "a"], 1, "notify.longest_silence"),
        (vec!["silence", "expire", "s77", "--by", "a"], 1, "there is no silence s77"),
        (vec!["ack", "prod/mdm", "--by", "a"], 1, "nothing of that fires"),
        (vec!["notify", "test", "--to", "nobody"], 1, "no mail address"),
        (vec!["notify", "preview", "prod/none"], 1, "no group"),
    ] {
        let wrong = ask(&arguments).await;
        assert_eq!(wrong.status.code(), Some(code), "{arguments:?}: {}{}", out(&wrong), err(&wrong));
        assert!(err(&wrong).contains(says), "{arguments:?}: {}", err(&wrong));
    }
    eventually("the alert can be acknowledged", async || {
        let acked = ask(&["ack", "prod/sds", "--by", "anna", "--for", "1h"]).await;
        if acked.status.success() { Ok(()) } else { Err(err(&acked)) }
    })
    .await;
    let acks = out(&ask(&["ack"]).await);
    assert!(acks.starts_with("anna at "), "{acks}");

    process.kill();
    let (_process, _) = Process::sio_run(&config, &[]).await;
    listed("sds=\"sds-2-1\"").await;
    assert!(out(&ask(&["ack"]).await).starts_with("anna at "), "an acknowledgement is lost by a kill");
    assert_eq!(sink.inbox().all().len(), 0, "somebody was told of what is silenced");

    let ended = ask(&["silence", "expire", "s1", "--by", "anna"]).await;
    assert_eq!(ended.status.code(), Some(0), "{}", err(&ended));
    mailed(&sink, "SDS sds-2-1 is away").await;
    assert_eq!(out(&ask(&["notify", "queue"]).await), "no mail waits\n");
    assert_eq!(out(&ask(&["notify", "flush"]).await), "0 mails are tried now\n");
    let tested = ask(&["notify", "test", "--to", "new@example.test"]).await;
    assert_eq!(tested.status.code(), Some(0), "{}{}", out(&tested), err(&tested));
    assert!(out(&tested).ends_with("the mail was taken over for everybody\n"), "{}", out(&tested));
    mailed(&sink, "[TEST]").await;
    assert_eq!(sink.inbox().all().last().unwrap().to, ["new@example.test"]);

    let target = folder.path().to_str().unwrap();
    let shown = ask(&["notify", "preview", "prod/sds", "--out", target]).await;
    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    for (name, says) in
        [("mail.eml", "Subject: [CRITICAL] prod:"), ("mail.txt", "SDS sds-2-1 is away"), ("mail.html", "<html")]
    {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        assert!(text.contains(says), "{name}: {text}");
    }

    drop(sink);
    let failed = ask(&["notify", "test"]).await;
    assert_eq!(failed.status.code(), Some(1), "{}", out(&failed));
    assert!(out(&failed).contains("FAILED") && out(&failed).contains("refused"), "{}", out(&failed));
}

/// Waits until `sio silence list` shows this.
async fn eventually_listed(file: String, what: String) {
    eventually(&format!("the list of silences shows {what}"), async || {
        let listed = sio(&["silence", "list", "--config", &file]).await;
        if out(&listed).contains(&what) { Ok(()) } else { Err(out(&listed) + &err(&listed)) }
    })
    .await;
}

//! Who may do what? Every route with every role, at both listeners, and by every way to say who one is.

use std::path::Path;

use reqwest::{Client, Method, StatusCode};
use scaleio_framework::config::{Config, WebProxy, WebToken, WebUser};
use scaleio_framework::model::person::Role;
use scaleio_framework::sim::Release;
use scaleio_framework::web::access::{digest_of, hash};
use serde_json::Value;

use crate::scene::{alerting, sink};
use crate::site::{Site, builder, client, still};

const PASSWORD: &str = "correct horse";

/// A user and a token of each role.
fn people(config: &mut Config) {
    let password_hash = hash(PASSWORD).unwrap();
    for role in Role::ALL {
        let user = WebUser { password_hash: password_hash.clone(), role };
        config.web.users.insert(format!("{role}-user"), user);
        let token = WebToken { sha256: digest_of(&format!("{role}-t0ken")), role };
        config.web.tokens.insert(format!("{role}-program"), token);
    }
}

/// Every operation of a description: method, path, the role it takes.
fn operations(document: &Value) -> Vec<(Method, String, Option<Role>)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation["x-role"].as_str().map(|role| Role::read(role).unwrap());
            all.push((Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), path.clone(), role));
        }
    }
    all
}

/// A path with something for its holes.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part {
        "{system}" => "prod",
        "{part}" => "sds",
        hole if hole.starts_with('{') => "x1",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_lets_in_the_roles_it_takes_and_nobody_else() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| {
        alerting(config, &sink);
        people(config);
    })
    .await;
    let base = format!("http://{}", site.controller.web);
    let client = client();
    let document = client.get(format!("{base}/api/v1/openapi.json")).bearer_auth("viewer-t0ken").send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    let operations = operations(&document);
    assert!(operations.len() > 25, "{}", operations.len());
    for (method, path, needs) in &operations {
        // Its answer does not end.
        let is_stream = path == "/live";
        for who in [None, Some(Role::Viewer), Some(Role::Operator), Some(Role::Admin)] {
            let mut request = client.request(method.clone(), format!("{base}{}", filled(path)));
            if let Some(role) = who {
                request = request.bearer_auth(format!("{role}-t0ken"));
            }
            if *method == Method::POST {
                // Wrong on purpose: whoever is let in does nothing.
                request = request.header("content-type", "application/json").body("{\"nonsense\":1}");
            }
            let status = request.send().await.unwrap().status();
            match (needs, who) {
                (None, _) => assert!(status != 401 && status != 403, "{method} {path}: {status}"),
                (Some(_), None) => assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}"),
                (Some(needed), Some(role)) if role < *needed => {
                    assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path} as {role}");
                }
                (Some(_), Some(role)) => {
                    assert!(status != 401 && status != 403, "{method} {path} as {role}: {status}");
                    assert!(!is_stream || status == 200, "{status}");
                }
            }
        }
    }
    // What only looks takes no more than a viewer, and what acts takes more.
    for (method, path, needs) in &operations {
        let Some(role) = needs else { continue };
        assert_eq!(*method == Method::GET, *role == Role::Viewer, "{method} {path} takes {role}");
    }
}

/// A client on the socket of this host.
fn on_socket(path: &Path) -> Client {
    builder().unix_socket(path).build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_two_listeners_never_serve_each_others_routes() {
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], people).await;
    let (base, socket) = (format!("http://{}", site.controller.web), on_socket(&site.config.control.socket));
    let there = client().get(format!("{base}/api/v1/openapi.json")).bearer_auth("viewer-t0ken").send().await.unwrap();
    let there = operations(&there.json().await.unwrap());
    let here = socket.get("http://localhost/api/v1/openapi.json").send().await.unwrap();
    let here = operations(&here.json().await.unwrap());
    let only = |some: &[(Method, String, Option<Role>)], others: &[(Method, String, Option<Role>)]| -> Vec<String> {
        some.iter().filter(|one| !others.contains(one)).map(|(method, path, _)| format!("{method} {path}")).collect()
    };
    let mut local = only(&here, &there);
    local.sort();
    let acts = ["agents/adopt", "framework/orders", "rollout/orders", "tokens"];
    assert_eq!(local, acts.map(|act| format!("POST /api/v1/{act}")));
    let mut network = only(&there, &here);
    network.sort();
    assert_eq!(network, ["GET /api/v1/sd", "GET /login", "POST /login", "POST /logout"]);
    let missing = client().post(format!("{base}/api/v1/framework/orders")).bearer_auth("admin-t0ken");
    assert_eq!(missing.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    let missing = socket.get("http://localhost/api/v1/sd").send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    // Who may open the socket needs no name.
    assert_eq!(socket.get("http://localhost/api/v1/status").send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_tokens_and_a_trusted_proxy_say_who_one_is() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let loopback = |config: &mut Config| {
        alerting(config, &sink);
        people(config);
        let addresses = vec!["127.0.0.1".parse().unwrap()];
        config.web.proxy = Some(WebProxy { addresses, header: "x-user".to_owned(), role: Role::Viewer });
    };
    let site = Site::watching(&[("prod", &world)], loopback).await;
    let url = |path: &str| format!("http://{}{path}", site.controller.web);
    let status = async |request: reqwest::RequestBuilder| request.send().await.unwrap().status().as_u16();
    let get = |path: &str| client().get(url(path));
    assert_eq!(status(get("/").basic_auth("viewer-user", Some(PASSWORD))).await, 200);
    assert_eq!(status(get("/").basic_auth("viewer-user", Some("battery"))).await, 401);
    assert_eq!(status(get("/").basic_auth("nobody", Some(PASSWORD))).await, 401);
    assert_eq!(status(get("/").bearer_auth("viewer-t0ken")).await, 200);
    assert_eq!(status(get("/").bearer_auth("viewer-token")).await, 401);
    assert_eq!(status(get("/").header("x-user", "stranger")).await, 200);
    assert_eq!(status(get("/").header("x-user", " ")).await, 401);
    assert_eq!(status(get("/").header("x-user", "a").header("x-user", "b")).await, 401, "whose name is it?");
    assert_eq!(status(get("/").header("x-forwarded-user", "stranger")).await, 401, "a header that nobody named");

    let body = serde_json::json!({ "matchers": ["a=b"], "owner": "Bob", "reason": "a test", "seconds": 60 });
    let post = || client().post(url("/api/v1/silences")).json(&body);
    crate::site::eventually("it judges", async || {
        match status(get("/api/v1/silences").bearer_auth("viewer-t0ken")).await {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    assert_eq!(status(post().header("x-user", "stranger")).await, 403, "a stranger of the proxy only looks");
    assert_eq!(status(post().header("x-user", "operator-user")).await, 200);
    assert_eq!(status(post().basic_auth("operator-user", Some(PASSWORD))).await, 200);
    assert_eq!(
        status(post().basic_auth("operator-user", Some(PASSWORD)).header("sec-fetch-site", "cross-site")).await,
        403
    );
    let silences: Value =
        get("/api/v1/silences").bearer_auth("viewer-t0ken").send().await.unwrap().json().await.unwrap();
    assert_eq!(silences.as_array().unwrap().len(), 2);
    let records: Value = get("/api/v1/records").bearer_auth("viewer-t0ken").send().await.unwrap().json().await.unwrap();
    assert_eq!(records[0]["by"], "Bob (logged in as operator-user)", "{records}");
    // A viewer sees the alert's page without a form.
    let text = get("/").bearer_auth("viewer-t0ken").send().await.unwrap().text().await.unwrap();
    assert!(text.contains("prod"), "{text}");

    // From elsewhere the header is a word like any other.
    let other = Site::watching(&[("prod", &world)], |config| {
        people(config);
        let addresses = vec!["192.0.2.1".parse().unwrap()];
        config.web.proxy = Some(WebProxy { addresses, header: "x-user".to_owned(), role: Role::Admin });
    })
    .await;
    let url = format!("http://{}/", other.controller.web);
    assert_eq!(status(client().get(url).header("x-user", "admin-user")).await, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_is_made_to_wait_and_who_is_known_is_not() {
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], people).await;
    let get = || client().get(format!("http://{}/healthz", site.controller.web).replace("healthz", "api/v1/systems"));
    let known = get().basic_auth("viewer-user", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::OK);
    let mut statuses = Vec::new();
    for number in 0..12 {
        let answer = get().bearer_auth(format!("guess-{number}")).send().await.unwrap();
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=31).contains(&wait), "{wait}");
        }
        statuses.push(answer.status().as_u16());
    }
    assert_eq!(statuses[..9], [401; 9]);
    assert_eq!(statuses[11], 429, "{statuses:?}");
    let known = get().basic_auth("viewer-user", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(known.status(), StatusCode::OK, "who was right before is not held up by a guesser");
    let right_but_new = get().basic_auth("admin-user", Some(PASSWORD)).send().await.unwrap();
    assert_eq!(right_but_new.status(), StatusCode::TOO_MANY_REQUESTS);
}

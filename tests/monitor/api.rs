//! What do the API, the page and the health checks answer, whoever asks and however?

use std::time::{Duration, Instant};

use scaleio_framework::sim::{Fault, Release, Word};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::reload::{certificate, web_config};
use crate::site::{Site, builder, client, eventually, still};

fn kind(response: &reqwest::Response) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

/// Reads a problem document of RFC 9457; gives its detail.
async fn problem(response: reqwest::Response, status: u16) -> String {
    assert_eq!((response.status().as_u16(), kind(&response)), (status, "application/problem+json"));
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let problem: serde_json::Value = response.json().await.unwrap();
    assert_eq!((&problem["type"], &problem["status"]), (&"about:blank".into(), &status.into()), "{problem}");
    assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_tells_systems_their_parts_and_what_it_has_not() {
    let (prod, lab) = (still(Release::V4_5).await, still(Release::V2_0).await);
    lab.faults().add(Fault::always(Word::Status(500), "*"));
    let site = Site::watching(&[("prod", &prod), ("lab", &lab)], |_| {}).await;
    site.knows("prod", &prod).await;
    eventually("both were asked", async || {
        let response = site.get("/readyz").await;
        if response.status() == 200 { Ok(()) } else { Err(problem(response, 503).await) }
    })
    .await;
    assert_eq!(site.get("/healthz").await.text().await.unwrap(), "ok\n");

    let status = site.json("/api/v1/status").await;
    let systems = status["systems"].as_array().unwrap();
    assert_eq!(systems.iter().map(|system| &system["system"]).collect::<Vec<_>>(), ["lab", "prod"]);
    assert_eq!((&systems[0]["up"], &systems[1]["up"]), (&false.into(), &true.into()));
    assert!(systems[0]["problems"][0].as_str().unwrap().contains("500"), "{}", systems[0]);
    assert_eq!(systems[1]["problems"], serde_json::json!([]));
    assert_eq!(systems[1]["sds"], serde_json::json!({ "connected": 3, "total": 3 }));
    assert_eq!(site.json("/api/v1/systems").await, serde_json::json!(["lab", "prod"]));

    let one = site.json("/api/v1/systems/prod").await;
    assert_eq!(one["health"]["collectors"]["sds"]["failures"], 0);
    for (part, objects) in [
        ("sds", prod.world(|world| world.sds.len())),
        ("devices", prod.world(|world| world.devices.len())),
        ("volumes", prod.world(|world| world.volumes.len())),
        ("storage_pools", prod.world(|world| world.pools.len())),
        ("sdts", prod.world(|world| world.sdts.len())),
    ] {
        let answer = site.json(&format!("/api/v1/systems/prod/{part}")).await;
        assert_eq!(answer["value"].as_array().unwrap().len(), objects, "{part}");
        assert!(answer["begun_at"].is_string() && answer["taken_at"].is_string(), "{part}");
    }

    assert!(problem(site.get("/api/v1/systems/lab/sds").await, 503).await.contains("has not answered yet"));
    assert!(problem(site.get("/api/v1/systems/prod/sdss").await, 404).await.contains("storage_pools"));
    assert!(problem(site.get("/api/v1/systems/moon").await, 404).await.contains("lab, prod"));
    assert!(problem(site.get("/api/v2/status").await, 404).await.contains("/api/v1/status"));
    assert!(problem(site.get("/metrics?collect[]=moon").await, 400).await.contains("docs/metrics.md"));
    for (method, path) in [(reqwest::Method::POST, "/api/v1/status"), (reqwest::Method::DELETE, "/metrics")] {
        let url = format!("http://{}{path}", site.controller.web);
        let response = client().request(method.clone(), url).send().await.unwrap();
        assert!(response.headers().contains_key("allow"), "{method} {path}");
        assert!(problem(response, 405).await.contains(method.as_str()));
    }
    let chosen = site.get("/metrics?collect[]=sds").await.text().await.unwrap();
    assert!(chosen.contains("scaleio_sds_info") && !chosen.contains("scaleio_device_info"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_forbids_what_a_browser_could_do_with_it() {
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    site.knows("prod", &world).await;
    for path in ["/", "/style.css", "/metrics", "/api/v1/status", "/healthz", "/readyz", "/nowhere"] {
        let response = site.get(path).await;
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_ne!(header("cache-control"), "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_password_only_health_is_told() {
    let world = still(Release::V3_6).await;
    let web = tempfile::tempdir().unwrap();
    let pem = certificate(web.path());
    web_config(web.path(), "me", "secret of mine");
    let file = web.path().join("web.yml");
    let site = Site::watching(&[("prod", &world)], |config| config.web.config_file = Some(file)).await;
    let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = builder().tls_certs_only([certificate]).build().unwrap();
    let url = |path: &str| format!("https://{}{path}", site.controller.web);
    for path in [
        "/",
        "/metrics",
        "/api/v1/status",
        "/api/v1/systems",
        "/api/v1/systems/prod",
        "/api/v1/systems/prod/sds",
        "/api/v1/systems/prod/hurt?sds=sds-1-1",
        "/api/v1/sd",
    ] {
        let response = client.get(url(path)).send().await.unwrap();
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic realm="), "{path}");
        assert!(problem(response, 401).await.contains("log in"), "{path}");
        let response = client.get(url(path)).basic_auth("me", Some("secret of mine")).send().await.unwrap();
        assert_ne!(response.status(), 401, "{path}");
    }
    // What the page for logging in is made of says nothing of any system.
    for path in ["/healthz", "/login", "/style.css"] {
        assert_eq!(client.get(url(path)).send().await.unwrap().status(), 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_are_text_wherever_they_are_shown() {
    const EVIL: &str = "<script>alert(\"1\")</script>\\\n\"} 7 & 'x'";
    let world = still(Release::V3_6).await;
    world.world(|world| {
        let sds = world.sds.values_mut().find(|sds| sds.name == "sds-2-1").unwrap();
        sds.name = EVIL.to_owned();
        world.fail_sds(EVIL).unwrap();
        world.volumes.values_mut().next().unwrap().name = EVIL.to_owned();
    });
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    // The exposition is read by a strict reader, and says what the world holds.
    let scrape = site.knows("prod", &world).await;
    assert_eq!(scrape.value("scaleio_sds_mdm_connected", &[("system", "prod"), ("sds", EVIL)]), Some(0.0));
    let page = site.get("/").await;
    assert_eq!(kind(&page), "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(page.contains("<script src=\"live.js\" defer></script>"), "{page}");
    assert!(page.contains("SDS &lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"), "{page}");
    let problems = &site.json("/api/v1/status").await["systems"][0]["problems"];
    assert!(
        problems.to_string().contains(&serde_json::to_string(EVIL).unwrap().trim_matches('"').to_owned()),
        "{problems}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_hold_up_nobody_and_are_let_go() {
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    site.knows("prod", &world).await;
    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(site.controller.web).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
        slow.push(stream);
    }
    let begun = Instant::now();
    let scrape = site.scrape().await;
    assert!(scrape.value("scaleio_up", &[("system", "prod")]).is_some());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // A letter now and then does not keep a place.
    let let_go = async {
        let mut stream = slow.pop().unwrap();
        let (mut reader, mut writer) = stream.split();
        let drip = async {
            while writer.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        let mut rest = Vec::new();
        tokio::select! {
            () = drip => {}
            _ = reader.read_to_end(&mut rest) => {}
        }
    };
    tokio::time::timeout(Duration::from_secs(30), let_go).await.expect("it is let go");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_is_told_where_the_metrics_are_and_people_who_is_hurt() {
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    site.knows("prod", &world).await;
    let host = site.controller.web.to_string();
    let labels = serde_json::json!({
        "__scheme__": "http", "__metrics_path__": "/metrics", "__meta_scaleio_systems": "prod",
    });
    assert_eq!(site.json("/api/v1/sd").await, serde_json::json!([{"targets": [host], "labels": labels}]));

    let (pool, volumes) = world.world(|world| {
        let pool = world.pools.values().next().unwrap();
        (pool.name.clone(), world.volumes.values().filter(|volume| volume.pool == pool.id).count())
    });
    let hurt = site.json(&format!("/api/v1/systems/prod/hurt?pool={pool}")).await;
    assert_eq!(hurt["volumes"].as_array().unwrap().len(), volumes, "{hurt}");
    assert!(!hurt["clients"].as_array().unwrap().is_empty(), "{hurt}");
    assert!(hurt["workloads"].is_null(), "{hurt}");
    assert!(problem(site.get("/api/v1/systems/prod/hurt").await, 400).await.contains("fault_set"));
    assert!(problem(site.get("/api/v1/systems/prod/hurt?rack=1").await, 400).await.contains("fault_set"));
    assert!(problem(site.get("/api/v1/systems/prod/hurt?sds=moon").await, 404).await.contains("moon"));
}

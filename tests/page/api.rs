//! Does the API keep what its description says, and does whoever polls a list pay for changes only?

use std::process::Command;

use reqwest::StatusCode;
use scaleio_framework::sim::Release;

use crate::scene::{alerting, fires, sink};
use crate::site::{Site, client, eventually, still};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_did_not_change_is_not_sent_again_and_a_change_can_be_waited_for() {
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    site.knows("prod", &world).await;
    let url = |path: &str| format!("http://{}{path}", site.controller.web);
    let first = site.get("/api/v1/systems/prod/sds").await;
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert!(tag.starts_with('"') && first.headers()["cache-control"] == "no-cache", "{tag}");
    let again = client().get(url("/api/v1/systems/prod/sds")).header("if-none-match", &tag).send().await.unwrap();
    // The times of the question are part of the answer, and it is asked ten times a second.
    assert!(matches!(again.status(), StatusCode::NOT_MODIFIED | StatusCode::OK));

    let systems = site.get("/api/v1/systems").await;
    let tag = systems.headers()["etag"].to_str().unwrap().to_owned();
    let weak = format!("\"other\", W/{tag}");
    for known in [tag.as_str(), weak.as_str(), "*"] {
        let same = client().get(url("/api/v1/systems")).header("if-none-match", known).send().await.unwrap();
        assert_eq!(same.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(same.headers()["etag"], tag.as_str());
        assert!(same.bytes().await.unwrap().is_empty());
    }
    let other = client().get(url("/api/v1/systems")).header("if-none-match", "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_alerts_hears_of_a_new_one_at_once_and_of_nothing_in_time() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    site.knows("prod", &world).await;
    let url = |wait: u64| format!("http://{}/api/v1/alerts?wait={wait}", site.controller.web);
    let tag = eventually("alerts are judged", async || {
        let answer = site.get("/api/v1/alerts").await;
        let tag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        let body: serde_json::Value = answer.json().await.unwrap();
        if body["based_on"]["prod"].is_u64() { tag.ok_or_else(String::new) } else { Err(body.to_string()) }
    })
    .await;
    let nothing = client().get(url(1)).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(nothing.status(), StatusCode::NOT_MODIFIED);
    let waits = tokio::spawn(client().get(url(30)).header("if-none-match", &tag).send());
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let heard = waits.await.unwrap().unwrap();
    assert_eq!(heard.status(), StatusCode::OK);
    assert!(heard.text().await.unwrap().contains("sds-2-1"));
    fires(&site).await;
    for wrong in ["-1", "soon", "1000"] {
        let answer = site.get(&format!("/api/v1/alerts?wait={wrong}")).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_no_answer_that_the_description_does_not_say() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| {
        alerting(config, &sink);
        // The judge acts as no person does.
        config.web.acts_per_minute = 1_000_000;
    })
    .await;
    site.knows("prod", &world).await;
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!("{root}/tests/scripts/schemathesis.sh");
    let url = format!("http://{}/api/v1/openapi.json", site.controller.web);
    let output = tokio::task::spawn_blocking(move || {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("bash");
        command.arg(script).arg(url).current_dir(folder.path());
        command.env("PYTHONPATH", format!("{root}/.cache/python")).output().unwrap()
    });
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "./test installs schemathesis (pip, tests/scripts/requirements.txt): {said}");
    let tested = said.lines().find(|line| line.contains("Test cases") || line.contains("generated"));
    println!("schemathesis: {}", tested.unwrap_or_default().trim());
}

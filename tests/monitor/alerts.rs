//! Alert rules in a controller at work: what fires is shown, new rules are taken over, the past outlives a kill.

use std::fs;
use std::path::Path;

use scaleio_framework::sim::{Release, Running};
use serde_json::Value;

use crate::child::{self, Process, scrape};
use crate::site::{client, eventually, still};

/// A rule of a site: its name and its expression.
fn rules(file: &Path, rules: &[(&str, &str)]) {
    let rules = rules.iter().map(|(name, expr)| {
        format!(
            "  - {{alert: {name}, expr: '{expr}', annotations: {{summary: '{name} of {{{{ $labels.system }}}}'}}}}\n"
        )
    });
    fs::write(file, format!("groups:\n- name: site\n  rules:\n{}", rules.collect::<String>())).unwrap();
}

/// A configuration with the rules of a site and none else.
fn config(folder: &Path, world: &Running) -> std::path::PathBuf {
    let file = child::config(folder, &[("prod", world)]);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("[alerts]\nshipped = false\nfiles = [\"site.rules.yml\"]\n{text}")).unwrap();
    file
}

async fn text(web: &str, path: &str) -> String {
    client().get(format!("http://{web}{path}")).send().await.unwrap().text().await.unwrap()
}

async fn json(web: &str, path: &str) -> Value {
    serde_json::from_str(&text(web, path).await).unwrap()
}

/// The alert of a name, once it fires.
async fn fires(web: &str, name: &str) -> Value {
    eventually(&format!("{name} fires"), async || {
        let said = json(web, "/api/v1/alerts").await;
        let alerts = said["alerts"].as_object().into_iter().flat_map(|alerts| alerts.values());
        let mut mine = alerts.filter(|alert| alert["name"] == *name && alert["state"]["state"] == "firing");
        mine.next().cloned().ok_or_else(|| said.to_string())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_rules_are_taken_over_on_sighup_and_broken_ones_leave_the_old_in_force() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.rules.yml");
    rules(&site, &[("First", "scaleio_up == 1")]);
    let config = config(folder.path(), &world);
    let (process, web) = Process::sio_run(&config, &[]).await;
    let first = fires(&web, "First").await;
    assert_eq!(first["annotations"]["summary"], "First of prod");
    assert_eq!(first["labels"]["system"], "prod");
    assert!(text(&web, "/").await.contains("First of prod"), "the page lists it");
    let said = json(&web, "/api/v1/alerts").await;
    assert!(said["based_on"]["prod"].as_u64().is_some_and(|seq| seq > 0), "{said}");

    rules(&site, &[("First", "scaleio_up == 1"), ("Broken", "scaleio_upp == 1")]);
    process.signal("HUP");
    let problem = eventually("the mistake is told", async || {
        let status = json(&web, "/api/v1/status").await;
        status["problems"][0].as_str().map(str::to_owned).ok_or_else(|| status.to_string())
    })
    .await;
    for part in ["site.rules.yml:5", "rule Broken", "unknown metric `scaleio_upp`", "the old ones stay"] {
        assert!(problem.contains(part), "{part}: {problem}");
    }
    let value = async |name: &str| scrape(&web).await.value(name, &[]);
    assert_eq!(value("scaleio_alert_rules_last_load_success").await, Some(0.0));
    assert_eq!(value("scaleio_alert_rules").await, Some(1.0));
    assert!(text(&web, "/").await.contains("unknown metric"), "the page tells it");
    assert_eq!(fires(&web, "First").await["active_since"], first["active_since"]);
    assert!(process.said().contains("the new alert rules cannot be used; the old ones stay"));

    rules(&site, &[("Second", "scaleio_up == 1"), ("First", "scaleio_up == 1")]);
    process.signal("HUP");
    fires(&web, "Second").await;
    assert_eq!(fires(&web, "First").await["active_since"], first["active_since"], "it goes on");
    assert_eq!(value("scaleio_alert_rules_last_load_success").await, Some(1.0));
    assert_eq!(json(&web, "/api/v1/status").await.get("problems"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_the_past_that_rules_look_back_on_is_still_known() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    rules(&folder.path().join("site.rules.yml"), &[("Past", "count_over_time(scaleio_up[1h]) > 3")]);
    let config = config(folder.path(), &world);
    let (mut process, web) = Process::sio_run(&config, &[]).await;
    let count = |alert: &Value| alert["reading"]["value"].as_f64().unwrap();
    let before = fires(&web, "Past").await;
    process.kill();
    let (_process, web) = Process::sio_run(&config, &[]).await;
    let after = eventually("it is judged again", async || {
        let alert = fires(&web, "Past").await;
        if count(&alert) > count(&before) { Ok(alert) } else { Err(alert.to_string()) }
    })
    .await;
    assert!(count(&after) < count(&before) + 30.0, "{before} {after}");
    assert_eq!(after["active_since"], before["active_since"]);
}

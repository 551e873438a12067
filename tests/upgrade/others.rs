//! Whether the site's own Alertmanager, a real one, holds an upgrade: by what fires there, and by its silence.

use chrono::TimeDelta;
use scaleio_framework::clock;
use scaleio_framework::model::hold::ReasonKind;
use scaleio_framework::model::lifecycle::{HoldShown, Lifecycle};
use serde_json::json;

use crate::alertmanager::Alertmanager;
use crate::port::free_port;
use crate::site::Site;

/// What holds the tasks of the open run.
fn holds(work: &Lifecycle) -> impl Iterator<Item = &HoldShown> {
    work.run.iter().flat_map(|run| &run.tasks).flat_map(|task| &task.holds)
}

/// The hold for what is about the Alertmanager, once there is one.
async fn held(site: &Site, is: impl Fn(&HoldShown) -> bool) -> HoldShown {
    site.eventually("a hold", |work, _| {
        let run = work.run.as_ref().ok_or("the run is over")?;
        let found = holds(work).find(|hold| is(hold)).cloned();
        found.ok_or_else(|| format!("{:?}", run.tasks))
    })
    .await
}

/// An alert that fires from now on, or is over now.
async fn post(to: &Alertmanager, is_over: bool) {
    let end = if is_over { clock::now() } else { clock::now() + TimeDelta::hours(1) };
    let alerts = json!([{
        "labels": {"alertname": "SwitchPortDown", "severity": "critical", "rack": "r7"},
        "annotations": {"summary": "a port of the storage network is down"},
        "startsAt": clock::now() - TimeDelta::minutes(1),
        "endsAt": end,
    }]);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/api/v2/alerts", to.url());
    let request = client.post(url).header("content-type", "application/json").body(alerts.to_string());
    assert!(request.send().await.unwrap().status().is_success());
}

/// The servers that were begun.
fn begun(work: &Lifecycle) -> Vec<(String, String)> {
    let tasks = work.run.iter().flat_map(|run| &run.tasks).filter(|task| task.stage == "sds");
    tasks.filter(|task| task.standing != "waiting").map(|task| (task.node.to_string(), task.stage.clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_at_the_sites_alertmanager_holds_the_next_node_and_so_does_its_silence() {
    let port = free_port();
    let gate = format!("[lifecycle.alertmanager]\nurls = [\"http://127.0.0.1:{port}\"]\nevery = \"1s\"\n");
    let site = Site::with_jobs("propose", &gate).await;
    let plan = site.plan_upgrade().await;
    assert_eq!(site.approve(&plan).await.0, 200);

    // Nobody answers there: that nothing is known of its alerts holds.
    let unseen = held(&site, |hold| hold.text.contains("Alertmanager")).await;
    assert_eq!((unseen.reason, &*unseen.text), (ReasonKind::Unseen, "the site's Alertmanager was never seen"));
    assert_eq!(site.installed(), [0; 4]);

    // It comes, and nothing fires: the first server is begun.
    let real = Alertmanager::start(Some(port), None).await;
    site.eventually(
        "the first server",
        |work, _| {
            if begun(work).is_empty() { Err(format!("{:?}", work.run)) } else { Ok(()) }
        },
    )
    .await;

    // What fires then is named where people look, and the next server waits for it however long.
    post(&real, false).await;
    let firing = held(&site, |hold| hold.reason == ReasonKind::Firing).await;
    assert!(firing.text.contains("SwitchPortDown") && firing.text.contains("r7"), "{firing:?}");
    let (_, explained) = site.sio(&["status", "--explain"]);
    assert!(explained.contains("SwitchPortDown"), "{explained}");
    let then = begun(&site.lifecycle().await);
    let polls = |status: &serde_json::Value| status["systems"][0]["snapshot"]["seq"].as_u64().unwrap();
    let first = site.eventually("a poll", |_, status| Ok(polls(status))).await;
    site.eventually("five more polls", |work, status| {
        assert_eq!(begun(work), then, "a server was begun while an alert fired");
        if polls(status) > first + 5 { Ok(()) } else { Err(status.to_string()) }
    })
    .await;

    // It is over: the next one is begun.
    post(&real, true).await;
    site.eventually("another server", |work, _| {
        if begun(work).len() > then.len() { Ok(()) } else { Err(format!("{:?}", work.run)) }
    })
    .await;

    // It falls silent: what it said last is older than the last change of ours, or too old at last.
    drop(real);
    let silent = held(&site, |hold| hold.text.contains("Alertmanager")).await;
    assert!(matches!(silent.reason, ReasonKind::BeforeEffect | ReasonKind::Stale), "{silent:?}");
    let _again = Alertmanager::start(Some(port), None).await;
    assert_eq!(site.ended().await, ("done".to_owned(), None));
    assert_eq!(site.installed(), [2; 4]);
    assert!(site.is_clean());
}

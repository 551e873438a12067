//! An upgrade from its plan to its end: gates that hold and clear, a killed controller, a broken package, a cancel.

use scaleio_framework::model::hold::ReasonKind;
use scaleio_framework::sim::Release;
use serde_json::json;

use crate::site::{New, Site};

/// Every server and client has the new release, each brought there once, and nothing is left open.
async fn is_upgraded(site: &Site) {
    assert_eq!(site.ended().await, ("done".to_owned(), None));
    assert_eq!(site.versions(), vec![site.to.clone(); 4]);
    assert_eq!(site.installed(), [2, 2, 2, 2], "an SDS and an SDC, each once");
    assert!(site.is_clean());
    let over = site.lifecycle().await;
    assert_eq!((over.obligations, over.problems), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_held_by_a_rebuild_survives_a_kill_and_runs_to_its_end() {
    let mut site = Site::new("propose").await;
    let plan = site.plan_upgrade().await;
    assert_eq!(plan.unsafe_because, Vec::<String>::new());
    assert_eq!(plan.stages.iter().map(|stage| &*stage.name).collect::<Vec<_>>(), ["packages", "sds", "sdc"]);
    let (status, text) = site.approve(&plan).await;
    assert_eq!(status, 200, "{text}");

    // While the first server is in work the run is paused, and after it a device of another one fails.
    site.eventually("the first server", |work, _| {
        (!work.obligations.is_empty()).then_some(()).ok_or_else(|| "nothing is in maintenance".to_owned())
    })
    .await;
    let (status, text) = site.ask(json!({"order": "pause", "by": "ada"})).await;
    assert_eq!(status, 200, "{text}");
    site.eventually("its end", |work, _| {
        let run = work.run.as_ref().ok_or("there is no run")?;
        let of =
            |standing: &str| run.tasks.iter().filter(|task| task.stage == "sds" && task.standing == standing).count();
        (of("done") == 1 && of("working") == 0).then_some(()).ok_or_else(|| format!("{:?}", run.tasks))
    })
    .await;
    let device = site.world.world(|world| {
        let last = world.sds.values().last().unwrap().id;
        let device = world.devices.values().find(|device| device.sds == last).unwrap().name.clone();
        world.fail_device(&device).unwrap();
        device
    });
    site.eventually("a picture of it", |_, status| {
        let errors = &status["systems"][0]["devices"]["errors"];
        (*errors == 1).then_some(()).ok_or_else(|| errors.to_string())
    })
    .await;
    let (status, text) = site.ask(json!({"order": "resume", "by": "ada"})).await;
    assert_eq!(status, 200, "{text}");
    let held = site
        .eventually("a hold with its reason", |work, _| {
            let run = work.run.as_ref().ok_or("the run is over")?;
            let waiting = run.tasks.iter().filter(|task| task.standing == "waiting").flat_map(|task| &task.holds);
            let hold = waiting.into_iter().find(|hold| hold.reason == ReasonKind::DeviceError).cloned();
            let idle = run.tasks.iter().all(|task| task.standing != "working");
            hold.filter(|_| idle).ok_or_else(|| format!("{:?}", run.tasks))
        })
        .await;
    assert!(held.clears.contains("the device is well") && held.seen_at.is_some(), "{held:?}");
    let metrics = site.get("/metrics").await;
    assert!(metrics.contains("scaleio_run_active{system=\"prod\"} 1\n"), "{metrics}");
    assert!(metrics.contains("scaleio_run_holds{system=\"prod\",reason=\"DeviceError\"}"), "{metrics}");
    site.world.world(|world| world.return_device(&device).unwrap());

    // In the middle of the next server the controller is killed.
    site.eventually("the next server", |work, _| {
        let run = work.run.as_ref().ok_or("the run is over")?;
        let entered = !work.obligations.is_empty() && run.tasks.iter().any(|task| task.standing == "working");
        entered.then_some(()).ok_or_else(|| "nothing is in maintenance".to_owned())
    })
    .await;
    site.kill().await;
    site.start().await;
    let again = site.lifecycle().await;
    assert!(again.run.is_some(), "{again:?}");

    is_upgraded(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_package_is_put_back_and_quarantined_and_nothing_else_is_begun() {
    let site = Site::with("propose", New::Broken).await;
    let before = site.versions();
    let plan = site.plan_upgrade().await;
    let first = plan.stages[1].tasks[0].node.clone();
    site.approve(&plan).await;
    let (end, why) = site.ended().await;
    assert_eq!(end, "halted");
    let why = why.unwrap();
    assert!(why.contains(first.as_str()) && why.contains("scriptlet failed"), "{why}");
    assert_eq!(site.versions(), before);
    assert!(site.is_clean());
    let work = site.lifecycle().await;
    assert!(work.quarantined.keys().any(|version| **version == *site.to), "{:?}", work.quarantined);
    let host = site.hosts.host(first.as_str()).unwrap();
    let query = ["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE}\\n", "EMC-ScaleIO-sds"];
    assert_eq!(host.machine().node.run(&query, &[].into(), false).stdout.trim(), "3.6-0.0.el7");
    let touched = site.installed().iter().filter(|times| **times > 0).count();
    assert_eq!(touched, 1, "no other host was begun");
    let last = work.last.unwrap();
    assert_eq!((last.end.as_str(), &last.tasks.last().unwrap().standing[..]), ("halted", "waiting"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_the_middle_leaves_nothing_behind() {
    let site = Site::new("propose").await;
    let plan = site.plan_upgrade().await;
    site.approve(&plan).await;
    site.eventually("a maintenance", |work, _| {
        (!work.obligations.is_empty()).then_some(()).ok_or_else(|| "none".to_owned())
    })
    .await;
    let (status, text) = site.ask(json!({"order": "cancel", "by": "ada"})).await;
    assert_eq!(status, 200, "{text}");
    let (end, why) = site.ended().await;
    assert_eq!((end.as_str(), why.as_deref()), ("cancelled", Some("by ada")));
    assert!(site.is_clean());
}

/// From its plan to its end, by the interface of that release. What nobody was seen to do with it has to be accepted by name.
async fn runs_through(release: Release) {
    let site = Site::of_release(release).await;
    assert!(!site.versions().contains(&site.to), "{:?}", site.versions());
    let plan = site.plan_upgrade().await;
    assert_eq!(plan.stages.iter().map(|stage| &*stage.name).collect::<Vec<_>>(), ["packages", "sds", "sdc"]);
    let (status, text) = site.approve(&plan).await;
    assert_eq!(status, 409, "{text}");
    assert!(text.contains("--accept-unproven enter_maintenance --accept-unproven exit_maintenance"), "{text}");
    let accept = ["enter_maintenance", "exit_maintenance"];
    let (status, text) = site.ask(json!({"order": "approve", "by": "ada", "plan": plan.id, "accept": accept})).await;
    assert_eq!(status, 200, "{text}");
    is_upgraded(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_2_0_are_upgraded() {
    runs_through(Release::V2_0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_2_6_are_upgraded() {
    runs_through(Release::V2_6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_3_0_are_upgraded() {
    runs_through(Release::V3_0).await;
}

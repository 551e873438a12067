//! What people ask wrongly, at the wrong time, or twice: a clear answer each.

use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::model::order::Component;
use scaleio_framework::stage::package;
use serde_json::{Value, json};

use crate::site::{AFTER, Site};

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_order_is_refused_with_what_to_do() {
    let site = Site::new("propose").await;
    let plan = site.plan_upgrade().await;
    let upgrade = |to: &str| json!({"request": "upgrade", "to": to, "only": []});
    let cases: Vec<(Value, u16, &str)> = vec![
        (json!({"order": "approve", "plan": plan.id}), 400, "say who asks"),
        (json!({"order": "approve", "by": "ada", "plan": "0123456789"}), 404, "no plan on file"),
        (json!({"order": "approve", "by": "ada", "plan": "0"}), 404, "no plan on file"),
        (json!({"order": "pause", "by": "ada"}), 404, "no run is open"),
        (json!({"order": "release", "by": "ada", "node": "node-1"}), 404, "not held"),
        (json!({"order": "free", "by": "ada", "version": "x"}), 404, "not quarantined"),
        (json!({"order": "dance", "by": "ada"}), 422, "unknown variant"),
        (json!({"order": "plan", "by": "ada", "request": {"request": "rotate_secrets"}}), 400, "by hand"),
    ];
    for (order, status, says) in cases {
        let (was, text) = site.ask(order.clone()).await;
        assert!(was == status && text.contains(says), "{order}: {was} {text}");
    }
    // A version of which a package lacks is not begun, and each file that lacks is named, however the release is written.
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": upgrade("3.6.0.999")})).await;
    assert!(status == 409 && text.contains("EMC-ScaleIO-sds-3.6-0.999.el7.x86_64.rpm"), "{status} {text}");
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": upgrade(AFTER)})).await;
    assert!(status == 200 && text.contains(&site.to), "{status} {text}");
    // Two at once: the second one is told of the first.
    assert_eq!(site.approve(&plan).await.0, 200);
    let (status, text) = site.approve(&plan).await;
    assert!(status == 409 && text.contains("is not over"), "{status} {text}");
    let hard =
        json!({"order": "override", "by": "ada", "reason": "device_error", "node": null, "seconds": 60, "why": "x"});
    let (status, text) = site.ask(hard).await;
    assert!(status == 409 && text.contains("nobody can override"), "{status} {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_mode_observe_nothing_is_approved_and_facts_that_changed_refuse_a_plan() {
    let site = Site::new("observe").await;
    let plan = site.plan_upgrade().await;
    let (status, text) = site.approve(&plan).await;
    assert!(status == 409 && text.contains("observe"), "{status} {text}");

    let site = Site::new("propose").await;
    let plan = site.plan_upgrade().await;
    // Somebody installs another one by hand meanwhile.
    let host = site.hosts.all().remove(0);
    let (name, text) = package(Component::Sds, "3.6-0.9", Books::Rpm);
    host.machine().node.files.insert(name.clone(), text.into_bytes());
    assert_eq!(host.machine().node.run(&["rpm", "-U", &name], &[].into(), false).status, 0);
    let begun = std::time::Instant::now();
    while !site.get("/api/v1/systems/prod/sds").await.contains("R3_6.0.9") {
        assert!(begun.elapsed().as_secs() < 120, "no picture shows it");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let (status, text) = site.approve(&plan).await;
    assert!(status == 409 && text.contains("has another version"), "{status} {text}");
}

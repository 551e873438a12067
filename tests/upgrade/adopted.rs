//! A maintenance that somebody began by hand is handed over and ended, at the simulated gateway.

use scaleio_framework::sim::world::{Command, Maintenance, MaintenanceCommand, Mode, Scope};
use serde_json::json;

use crate::site::Site;

/// Somebody puts the server of the first host into maintenance, and the controller sees it.
async fn entered(site: &Site) -> String {
    let host = site.hosts.all().remove(0).name.clone();
    site.world.world(|world| {
        let sds = *world.sds.keys().next().unwrap();
        let enter = MaintenanceCommand::Enter { scope: Scope::Sds(sds), mode: Mode::Instant, force: false };
        world.command(Command::Maintenance(enter)).unwrap();
    });
    let begun = std::time::Instant::now();
    while !site.get("/api/v1/systems/prod/sds").await.contains("InMaintenance") {
        assert!(begun.elapsed().as_secs() < 120, "no picture shows it");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    host
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maintenance_of_others_is_ended_once_it_is_handed_over_and_the_history_names_who_and_why() {
    let site = Site::new("propose").await;
    // Until every agent was heard.
    let plan = site.plan_upgrade().await;
    let calm = site.hosts.all().pop().unwrap().name.clone();
    let adopt = |node: &str, because: &str, mode: Option<&str>| json!({"order": "adopt", "by": "ada", "node": node, "because": because, "mode": mode});
    let node = entered(&site).await;
    let cases = [
        (adopt(&node, " ", None), 400, "say why"),
        (adopt("nobody", "a shift ends", None), 404, "no node nobody"),
        (adopt(&calm, "a shift ends", None), 409, "in no maintenance"),
        (adopt(&node, "a shift ends", None), 400, "--mode instant or --mode protected"),
        (json!({"order": "adopt", "node": node, "because": "a shift ends"}), 400, "say who asks"),
        (
            json!({"order": "plan", "by": "ada",
                "request": {"request": "adopt", "node": node, "mode": "instant", "because": "x"}}),
            400,
            "sio maintenance adopt",
        ),
    ];
    for (order, status, says) in cases {
        let (was, text) = site.ask(order.clone()).await;
        assert!(was == status && text.contains(says), "{order}: {was} {text}");
    }
    // It holds whatever is asked meanwhile, and is left alone.
    assert_eq!(site.approve(&plan).await.0, 200);
    let foreign = |text: &str| text.contains("MaintenanceForeign") || text.contains("maintenance_foreign");
    site.eventually("why the run waits", |work, _| {
        let text = format!("{work:?}");
        if foreign(&text) { Ok(()) } else { Err(text) }
    })
    .await;
    let (status, text) = site.ask(adopt(&node, "a shift ends", Some("instant"))).await;
    assert!(status == 409 && text.contains("run-0001"), "{status} {text}");
    assert_eq!(site.ask(json!({"order": "cancel", "by": "ada"})).await.0, 200);
    site.ended().await;
    assert!(!site.is_clean(), "nobody ended it");

    let (code, said) =
        site.sio(&["maintenance", "adopt", &node, "--because", "a shift ends", "--mode", "protected", "--by", "ada"]);
    assert!(code == Some(0) && said.contains("run-0002 is begun"), "{code:?} {said}");
    // That was the wrong one, which the MDM refuses; it is put right by saying the other one.
    let (status, text) = site.ask(adopt(&node, "a shift ends", Some("protected"))).await;
    assert!(status == 409 && text.contains("ours already"), "{status} {text}");
    let (status, text) = site.ask(adopt(&node, "it was instant", Some("instant"))).await;
    assert_eq!(status, 200, "{text}");
    site.eventually("the end of it", |work, _| {
        let over = work.run.is_none() && work.past.first().is_some_and(|past| &*past.id.to_string() == "run-0002");
        over.then_some(()).ok_or_else(|| "it goes on".to_owned())
    })
    .await;
    let work = site.lifecycle().await;
    assert_eq!((work.past[0].end.as_str(), work.past[0].why.as_deref()), ("done", None), "{work:?}");
    assert!(work.past[0].what.contains("a shift ends"), "{:?}", work.past[0]);
    assert!(site.is_clean() && work.obligations.is_empty());
    let exits = site.world.world(|world| world.sds.values().filter(|sds| sds.maintenance != Maintenance::None).count());
    assert_eq!(exits, 0);
    let (code, said) = site.sio(&["history"]);
    let handed = said.lines().find(|line| line.contains("must be undone by")).unwrap_or_default();
    assert!(code == Some(0) && handed.contains("handed over by ada: a shift ends"), "{code:?} {said}");
}

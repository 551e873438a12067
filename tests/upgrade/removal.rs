//! A node leaves for good, or stays after all: on hosts with the product's agents, at the simulated gateway.

use scaleio_framework::model::hold::ReasonKind;
use scaleio_framework::model::lifecycle::{Answer, PlanShown};
use scaleio_framework::sim::world::DeviceState;
use serde_json::json;

use crate::site::Site;

/// A plan that takes the last host out.
async fn plan(site: &Site, request: serde_json::Value) -> PlanShown {
    let begun = std::time::Instant::now();
    loop {
        let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
        assert_eq!(status, 200, "{text}");
        let Answer::Plan(plan) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        // Until every agent was heard.
        if !plan.stages.is_empty() || plan.nodes.values().any(|says| !says.contains("no node of that name")) {
            return *plan;
        }
        assert!(begun.elapsed().as_secs() < 120, "{plan:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

fn servers(site: &Site) -> usize {
    site.world.world(|world| world.sds.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_leaves_with_its_data_moved_and_one_whose_removal_is_cancelled_stays_as_it_was() {
    let mut site = Site::new("act").await;
    let last = site.hosts.all().pop().unwrap();
    let node = last.name.clone();
    // Volumes that are mapped to its client hold it; then nobody uses it any more.
    let remove = json!({"request": "remove", "node": node});
    let shown = plan(&site, remove.clone()).await;
    assert_eq!(shown.unsafe_because, Vec::<String>::new(), "{shown:?}");
    let steps = shown.stages[0].tasks[0].steps.join(", ");
    assert!(steps.contains("move its data away") && steps.contains("take away sds"), "{steps}");
    site.world.world(|world| {
        let ip = world.sds.values().last().unwrap().ips[0].ip.clone();
        let client = world.sdcs.values().find(|sdc| sdc.ip == ip).map(|sdc| sdc.id);
        for volume in world.volumes.values_mut() {
            volume.mapped.retain(|mapped| Some(*mapped) != client);
        }
        if let Some(client) = client.and_then(|client| world.sdcs.get_mut(&client)) {
            client.mapped.clear();
        }
    });

    let (status, text) = site.approve(&shown).await;
    assert_eq!(status, 200, "{text}");
    site.eventually("data that moves", |work, _| {
        let is_leaving = site.world.world(|world| world.sds.values().any(|sds| sds.removing));
        if is_leaving { Ok(()) } else { Err(format!("{:?}", work.run)) }
    })
    .await;
    let (status, text) = site.ask(json!({"order": "cancel", "by": "ada"})).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(site.ended().await.0, "cancelled");
    let stays = site.world.world(|world| {
        world.sds.values().all(|sds| !sds.removing) && world.devices.values().all(|at| at.state == DeviceState::Normal)
    });
    assert!(stays && servers(&site) == 4 && site.is_clean());

    // Once more, with a controller that dies in the middle.
    let shown = plan(&site, remove).await;
    let (status, text) = site.approve(&shown).await;
    assert_eq!(status, 200, "{text}");
    site.eventually("data that moves", |work, _| {
        let is_leaving = site.world.world(|world| world.sds.len() < 4 || world.sds.values().any(|sds| sds.removing));
        if is_leaving { Ok(()) } else { Err(format!("{:?}", work.run)) }
    })
    .await;
    site.kill().await;
    site.start().await;
    assert_eq!(site.ended().await, ("done".to_owned(), None));
    assert_eq!(servers(&site), 3);
    let query = ["rpm", "-q", "EMC-ScaleIO-sds"];
    assert_ne!(last.machine().node.run(&query, &[].into(), false).status, 0, "it is installed still");
    let work = site.lifecycle().await;
    assert!(work.retired.iter().any(|retired| retired.as_str() == node), "{:?}", work.retired);

    // Of three fault sets none can be spared: it waits, and says why.
    let other = site.hosts.all().remove(0).name.clone();
    let shown = plan(&site, json!({"request": "remove", "node": other})).await;
    let (status, text) = site.approve(&shown).await;
    assert_eq!(status, 200, "{text}");
    let held = site
        .eventually("a hold", |work, _| {
            let run = work.run.as_ref().ok_or("no run")?;
            let holds = run.tasks.iter().flat_map(|task| &task.holds);
            let found = holds.into_iter().find(|hold| hold.reason == ReasonKind::TooFewFaultUnits).cloned();
            found.ok_or_else(|| format!("{:?}", run.tasks))
        })
        .await;
    assert!(held.text.contains("only 2 fault units"), "{held:?}");
    assert_eq!(servers(&site), 3);
    // Whoever does not serve cannot take a place, and what cannot be taken back is no job's.
    let nobody = plan(&site, json!({"request": "replace", "node": other, "by": node})).await;
    assert!(nobody.stages.is_empty() && format!("{:?}", nobody.nodes).contains("does not serve yet"), "{nobody:?}");
}

//! A system of 4.5, which PowerFlex Manager upgrades: watched and gated, and a maintenance of a node is ours all the same.

use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::model::lifecycle::{Answer, PlanShown};
use scaleio_framework::model::order::Component;
use scaleio_framework::model::version::as_packaged;
use scaleio_framework::sim::world::{Component as Running, Maintenance, Upgrade};
use scaleio_framework::stage::package;
use serde_json::{Value, json};

use crate::site::Site;

async fn plan(site: &Site, request: Value, is: impl Fn(&PlanShown) -> bool) -> PlanShown {
    let begun = std::time::Instant::now();
    loop {
        let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
        assert_eq!(status, 200, "{text}");
        let Answer::Plan(plan) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        // Until every agent was heard.
        if plan.nodes.len() == 4 && is(&plan) {
            return *plan;
        }
        assert!(begun.elapsed().as_secs() < 120, "{plan:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// What the open run waits for, once it says this.
async fn waits(site: &Site, says: &str) -> String {
    site.eventually(says, |work, _| {
        let run = work.run.as_ref().ok_or("the run is over")?;
        let mut holds = run.tasks.iter().flat_map(|task| &task.holds);
        let found = holds.find(|hold| hold.text.contains(says)).map(|hold| hold.text.clone());
        found.ok_or_else(|| format!("{:?}", run.tasks))
    })
    .await
}

/// As the vendor's tool does it: the packages of one host.
fn upgrade_host(site: &Site, number: usize) {
    let host = &site.hosts.all()[number];
    let (name, text) = package(Component::Sds, &as_packaged(&site.to), Books::Rpm);
    let mut machine = host.machine();
    machine.node.files.insert(name.clone(), text.into_bytes());
    assert_eq!(machine.node.run(&["rpm", "-U", &name], &[].into(), false).status, 0);
    // What was asked of it by others is no deed of ours.
    machine.node.effects.clear();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_of_4_x_is_gated_and_watched_to_its_end_and_nothing_is_installed_by_us() {
    let site = Site::of_4_5("propose").await;
    let upgrade = |only: Value| json!({"request": "upgrade", "to": site.to, "only": only});
    let shown = plan(&site, upgrade(json!([])), |plan| plan.unsafe_because.is_empty()).await;
    let [stage] = &shown.stages[..] else { panic!("{shown:#?}") };
    let [task] = &stage.tasks[..] else { panic!("{shown:#?}") };
    assert_eq!(task.steps[0], format!("watch PowerFlex Manager bring all to {}", site.to));
    assert!(task.steps[1].starts_with("watch for ") && task.steps.len() == 2, "{task:?}");
    let watched = shown.nodes.values().filter(|says| says.contains("upgraded by PowerFlex Manager")).count();
    assert_eq!(watched, 3, "{:?}", shown.nodes);
    // What only it can do is said of each other request.
    let part = plan(&site, upgrade(json!(["host-1-1", "host-2-1", "host-3-1", "host-4-1"])), |_| true).await;
    assert!(part.stages.is_empty() && format!("{:?}", part.nodes).contains("as a whole"), "{part:?}");
    let fetch = plan(&site, json!({"request": "fetch", "to": site.to, "only": []}), |_| true).await;
    assert!(fetch.stages.is_empty() && format!("{:?}", fetch.nodes).contains("PowerFlex Manager brings"), "{fetch:?}");

    // With a pool that would not be rebuilt it is not begun, and the person who would begin it is told why.
    let rebuilds =
        |yes: bool| site.world.world(|world| world.pools.values_mut().for_each(|at| at.rebuild_enabled = yes));
    rebuilds(false);
    let seq = |status: &Value| status["systems"][0]["snapshot"]["seq"].as_u64().unwrap();
    let before = site.eventually("a poll", |_, status| Ok(seq(status))).await;
    site.eventually("another two", |_, status| if seq(status) > before + 2 { Ok(()) } else { Err(String::new()) })
        .await;
    assert_eq!(site.approve(&shown).await.0, 200);
    waits(&site, "rebuild is switched off").await;
    rebuilds(true);

    // Then it is said what to do where, and how far it is.
    let first = waits(&site, "is begun and done").await;
    assert!(first.contains("0 of 4 SDSs") && first.contains("PowerFlex Manager"), "{first}");
    let from = site.versions().remove(0);
    site.world.world(|world| world.upgrade = Upgrade::Running { from, commands_allowed: false });
    upgrade_host(&site, 0);
    let second = waits(&site, "1 of 4 SDSs").await;
    assert!(second.contains("InProgress"), "{second}");
    for number in 1..4 {
        upgrade_host(&site, number);
    }
    waits(&site, "4 of 4 SDSs").await;
    let to = site.to.clone();
    site.world.world(|world| {
        let members: Vec<String> = world.mdm.members.iter().map(|member| member.name.clone()).collect();
        for name in members {
            world.install(&Running::Mdm(name), &to).unwrap();
        }
    });
    // All have it, and the MDM is at it still.
    waits(&site, "and 4 of 4 SDSs have it").await;
    assert!(site.lifecycle().await.run.is_some());
    site.world.world(|world| world.upgrade = Upgrade::Finished);
    // What restarts of servers left in the event log holds for a quarter of an hour, or until a person has read it.
    let why = "read: restarts of servers";
    let lift =
        json!({"order": "override", "by": "ada", "reason": "firing_mild", "node": null, "seconds": 600, "why": why});
    let (status, text) = site.ask(lift).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(site.ended().await, ("done".to_owned(), None));
    assert_eq!(site.installed(), [0; 4]);
    let again = plan(&site, upgrade(json!([])), |_| true).await;
    assert!(again.stages.is_empty() && again.nodes.values().all(|says| says == "has nothing to do"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_4_x_goes_into_maintenance_and_out_again() {
    let site = Site::of_4_5("propose").await;
    let node = site.hosts.all()[0].name.clone();
    let request = json!({"request": "maintain", "node": node, "mode": "instant", "minutes": 20, "purpose": "firmware"});
    let begun = std::time::Instant::now();
    let shown = loop {
        let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
        assert_eq!(status, 200, "{text}");
        let Answer::Plan(plan) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
        if !plan.stages.is_empty() && plan.unsafe_because.is_empty() {
            break *plan;
        }
        assert!(begun.elapsed().as_secs() < 120, "{plan:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert_eq!(site.approve(&shown).await.0, 200);
    let inside =
        || site.world.world(|world| world.sds.values().filter(|sds| sds.maintenance == Maintenance::In).count());
    site.eventually("its work by hand", |work, _| {
        let run = work.run.as_ref().ok_or("the run is over")?;
        let by_hand = run.tasks.iter().any(|task| task.step.as_deref() == Some("work by hand"));
        (by_hand && inside() == 1).then_some(()).ok_or_else(|| format!("{:?}", run.tasks))
    })
    .await;
    // Whoever is ready before the time says so by ending it.
    assert_eq!(site.ask(json!({"order": "cancel", "by": "ada"})).await.0, 200);
    assert_eq!(site.ended().await, ("cancelled".to_owned(), Some("by ada".into())));
    assert!(site.is_clean());
    let work = site.lifecycle().await;
    assert!(work.obligations.is_empty() && work.problems.is_empty(), "{work:?}");
}

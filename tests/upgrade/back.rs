//! Nodes that came up well and turn out bad later go back to the release that they had, at the simulated gateway.

use scaleio_framework::model::lifecycle::{Answer, PlanShown};
use scaleio_framework::sim::world::Upgrade;
use serde_json::json;

use crate::site::{AFTER, Site};

const BEFORE: &str = "3.6-0.0";

/// A plan that sends these hosts back.
async fn plan(site: &Site, only: &[String]) -> PlanShown {
    let request = json!({"request": "back", "to": BEFORE, "only": only});
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
    assert_eq!(status, 200, "{text}");
    let Answer::Plan(plan) = serde_json::from_str(&text).unwrap() else { panic!("{text}") };
    *plan
}

/// A plan of which is said what is wrong with it, once that shows.
async fn says(site: &Site, only: &[String], fits: impl Fn(&[String]) -> bool) -> PlanShown {
    let begun = std::time::Instant::now();
    loop {
        let plan = plan(site, only).await;
        if fits(&plan.unsafe_because) {
            return plan;
        }
        assert!(begun.elapsed().as_secs() < 120, "{plan:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_go_back_to_what_they_had_until_the_upgrade_is_final() {
    let site = Site::new("propose").await;
    let nodes: Vec<String> = site.hosts.all().iter().map(|host| host.name.clone()).collect();
    let old = site.versions();
    let has = |all: &[String], what: &str| all.iter().any(|why| why.contains(what));
    // Nothing was upgraded by us yet: nobody knows of a way back, and there is nothing that could go.
    let first = site.plan_upgrade().await;
    assert!(plan(&site, &nodes).await.stages.is_empty());
    assert_eq!(site.approve(&first).await.0, 200);
    site.ended().await;
    assert_eq!(site.versions(), [site.to.as_str(); 4]);

    // The MDM shows no upgrade: whatever it was, it is final.
    says(&site, &nodes, |all| has(all, "it is final")).await;
    site.world.world(|world| {
        let from = "R3_6.0.0".to_owned();
        world.upgrade = Upgrade::Running { from, commands_allowed: false };
    });
    says(&site, &nodes, <[String]>::is_empty).await;
    // One alone would be older than the clients of the others.
    let alone = says(&site, &nodes[..1], |all| has(all, "would be newer than a server")).await;
    let (status, text) = site.approve(&alone).await;
    assert!(status == 409 && text.contains("would be newer"), "{status} {text}");
    // By the command line, whose words name the nodes.
    let (code, said) = site.sio(&["plan", "upgrade", "--to", BEFORE, "--back", "--by", "ada"]);
    assert!(code != Some(0) && said.contains("--node"), "{said}");
    let mut words = vec!["plan", "upgrade", "--to", BEFORE, "--back", "--by", "ada"];
    nodes.iter().for_each(|node| words.extend(["--node", node]));
    let (code, said) = site.sio(&words);
    assert!(code == Some(0) && said.contains("put back sds") && said.contains("carry it out with"), "{said}");

    let back = plan(&site, &nodes).await;
    assert!(back.stages.iter().map(|stage| stage.name.as_str()).eq(["sdc", "sds"]), "{back:?}");
    assert_eq!(site.approve(&back).await.0, 200);
    let (end, why) = site
        .eventually("the end of the way back", |work, _| {
            let over = work.past.first().filter(|past| work.run.is_none() && past.what.contains("back to"));
            over.map(|past| (past.end.clone(), past.why.clone())).ok_or_else(|| "it goes on".to_owned())
        })
        .await;
    assert_eq!((end.as_str(), why.as_deref()), ("done", None));
    assert_eq!(site.versions(), old);
    assert!(site.is_clean());
    // No job brings what was left again before somebody frees it.
    let work = site.lifecycle().await;
    let why = work.quarantined.iter().find(|(version, _)| ***version == *site.to).map(|(_, why)| why.to_string());
    assert_eq!(why.as_deref(), Some("nodes were sent back from it by ada"), "{:?}", work.quarantined);
    assert_eq!(site.ask(json!({"order": "free", "by": "ada", "version": site.to})).await.0, 200);
    // Of each host the package that was installed last is the older one, and the way up is open again.
    let (status, text) = site
        .ask(json!({"order": "plan", "by": "ada",
        "request": {"request": "upgrade", "to": AFTER, "only": []}}))
        .await;
    assert!(status == 200 && text.contains("planned, "), "{status} {text}");
}

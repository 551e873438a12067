//! Whether settings of declared pools are set where they are said, and only then.

use scaleio_framework::sim::{Fault, Options, Release, Simulation, Word};

use crate::cluster::until;
use crate::effects;
use crate::site::{Site, layout};

/// The pools of the system of these tests, with what is said of one of them.
fn declared(site: &(String, String), said: &str) -> String {
    let (domain, pool) = site;
    format!(
        "[systems.prod.rollout]\ntopology = \"declared\"\n\
         [systems.prod.rollout.domains.{domain}.pools.{pool}]\n{said}\
         [systems.prod.rollout.nodes.none]\nhosts = [\"nobody\"]\ndomain = \"{domain}\"\npool = \"{pool}\"\n\
         [lifecycle]\nmode = \"act\"\n"
    )
}

fn first() -> (String, String) {
    ("domain-1".to_owned(), "pool-1".to_owned())
}

/// What the gateway tells of a setting of the pool.
async fn told(site: &Site, field: &str) -> Option<String> {
    let at = site.world.urls().first()?.clone();
    let client = reqwest::Client::builder().no_proxy().danger_accept_invalid_certs(true).build().unwrap();
    let admin = site.world.admin();
    let login = client.get(format!("{at}/api/login")).basic_auth(&admin.user, Some(&admin.password));
    let token = login.send().await.ok()?.text().await.ok()?;
    let pools =
        client.get(format!("{at}/api/types/StoragePool/instances")).basic_auth("", Some(token.trim_matches('"')));
    let pools: serde_json::Value = serde_json::from_str(&pools.send().await.ok()?.text().await.ok()?).ok()?;
    let pool = pools.as_array()?.iter().find(|pool| pool["name"] == "pool-1")?.clone();
    match &pool[field] {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

async fn until_told(site: &Site, field: &str, wanted: &str) {
    until(&format!("{field} to be {wanted}"), async || {
        (told(site, field).await.as_deref() == Some(wanted)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_pool_is_set_and_nothing_else() {
    let said = "rebuild = \"limit_ios\"\nrebuild_ios = 3\nrebalance = \"unlimited\"\nparallel_jobs = 4\n\
                rmcache = true\nrmcache_writes = \"passthrough\"\nscanner = \"device_only\"\nscanner_kbps = 2048\nalert_high = 70\nalert_critical = 85\n";
    let before = {
        let world = Simulation::start(Options::still(layout(), Release::V3_6)).await.unwrap();
        world.world(|world| {
            let pool = world.pools.values().find(|pool| pool.name == "pool-1").unwrap();
            (pool.spare_percent, pool.rebuild_enabled, pool.rebalance_enabled)
        })
    };
    let site = Site::start(&declared(&first(), said)).await;
    for (field, wanted) in [
        ("rebuildIoPriorityPolicy", "limitNumOfConcurrentIos"),
        ("rebuildIoPriorityNumOfConcurrentIosPerDevice", "3"),
        ("rebalanceIoPriorityPolicy", "unlimited"),
        ("numOfParallelRebuildRebalanceJobsPerDevice", "4"),
        ("useRmcache", "true"),
        ("rmcacheWriteHandlingMode", "Passthrough"),
        ("capacityAlertHighThreshold", "70"),
        ("capacityAlertCriticalThreshold", "85"),
    ] {
        until_told(&site, field, wanted).await;
    }
    until("the plan to have nothing left", async || {
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        (!told.contains("set of pool")).then_some(())
    })
    .await;
    // A scanner that compares both copies stays so, and what was not said too.
    assert_eq!(told(&site, "backgroundScannerMode").await.as_deref(), Some("DataComparison"));
    let (_, plan) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(plan.contains("the scanner of pool pool-1 in domain domain-1 compares both copies"), "{plan}");
    let rest = site.world.world(|world| {
        let pool = world.pools.values().find(|pool| pool.name == "pool-1").unwrap();
        (pool.spare_percent, pool.rebuild_enabled, pool.rebalance_enabled)
    });
    assert_eq!(rest, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_refused_is_told_and_the_others_are_set() {
    let said = "rebuild = \"limit_ios\"\nrebuild_ios = 3\nalert_high = 70\nalert_critical = 85\n";
    let site = Site::start(&declared(&first(), "")).await;
    let id = site.world.world(|world| world.pools.values().find(|pool| pool.name == "pool-1").unwrap().id);
    let path = format!("POST /api/instances/StoragePool::{id}/action/setRebuildIoPriorityPolicy");
    site.world.faults().add(Fault::times(100, Word::Status(400), &path));
    let mut site = site;
    site.kill();
    let file = site.folder.path().join("sio.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let header = "[systems.prod.rollout.domains.domain-1.pools.pool-1]\n";
    std::fs::write(&file, text.replacen(header, &format!("{header}{said}"), 1)).unwrap();
    site.run().await;
    until_told(&site, "capacityAlertHighThreshold", "70").await;
    let told = until("the refusal to be told", async || {
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        let whole = told.matches("rebuild: limitNumOfConcurrentIos, 3 operations at once").count() >= 2;
        whole.then_some(told)
    })
    .await;
    assert!(told.contains("set of pool pool-1 in domain domain-1: rebuild"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_or_after_a_setting_of_a_pool_sets_it_once() {
    let mut site = Site::start(&declared(&first(), "")).await;
    let id = site.world.world(|world| world.pools.values().find(|pool| pool.name == "pool-1").unwrap().id);
    let path = format!("POST /api/instances/StoragePool::{id}/action/setCapacityAlertThresholds");
    site.world.faults().add(Fault::times(1, Word::Drop, &path));
    site.kill();
    let file = site.folder.path().join("sio.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let header = "[systems.prod.rollout.domains.domain-1.pools.pool-1]\n";
    std::fs::write(&file, text.replacen(header, &format!("{header}alert_high = 70\nalert_critical = 85\n"), 1))
        .unwrap();
    site.run().await;
    let high = |site: &Site| site.world.world(|world| world.pools[&id].high_percent);
    // The first is never obeyed; of the second the answer is on its way for longer than the controller lives.
    for (word, wanted) in [(Word::Drop, 80), (Word::Slow(1), 70)] {
        until(&format!("the setting, with {word}"), async || {
            let fell = !site.world.faults().active().iter().any(|fault| fault.path == path);
            (fell && high(&site) == wanted).then_some(())
        })
        .await;
        site.kill();
        if word == Word::Drop {
            site.world.faults().add(Fault::times(1, Word::Slow(1), &path));
        }
        site.run().await;
    }
    until_told(&site, "capacityAlertCriticalThreshold", "85").await;
    assert_eq!(effects::of("a_kill_before_or_after_a_setting_of_a_pool_sets_it_once"), ["set_pool".to_owned()].into());
}

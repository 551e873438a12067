//! Do failures show, and does it show when they are over?

use std::time::Duration;

use scaleio_framework::sim::world::Maintenance;
use scaleio_framework::sim::{Release, Running};

use crate::site::{Scrape, Site, eventually, still};

const SDS: [(&str, &str); 2] = [("system", "prod"), ("sds", "sds-2-1")];

fn state(scrape: &Scrape, state: &str) -> f64 {
    scrape.value("scaleio_system_data_bytes", &[("system", "prod"), ("state", state)]).unwrap()
}

fn left(world: &Running) -> u64 {
    world.world(|world| world.pools.values().map(|pool| pool.figures.moving.forward.left_kb).sum())
}

async fn a_device_fails_and_its_data_is_protected_again(release: Release) {
    let world = still(release).await;
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    let scrape = site.knows("prod", &world).await;
    let whole = state(&scrape, "protected");
    assert_eq!(state(&scrape, "degraded_failed"), 0.0);

    world.world(|world| world.fail_device("dev-1-1-1").unwrap());
    let scrape = site.knows("prod", &world).await;
    assert!(state(&scrape, "degraded_failed") > 0.0 && state(&scrape, "protected") < whole);
    let device = [("system", "prod"), ("device", "dev-1-1-1")];
    assert_eq!(scrape.value("scaleio_device_error", &device), Some(1.0));
    let alert = [("system", "prod"), ("alert", "DEVICE_FAILED")];
    assert_eq!(scrape.value("scaleio_mdm_alerts", &alert), Some(1.0));

    world.advance(Duration::from_secs(30));
    assert!(left(&world) > 0, "the rebuild takes longer than this");
    let scrape = site.knows("prod", &world).await;
    let rate = [("system", "prod"), ("operation", "forward_rebuild"), ("direction", "write")];
    assert!(scrape.value("scaleio_system_background_bytes_per_second", &rate).unwrap() > 0.0);

    while left(&world) > 0 {
        world.advance(Duration::from_secs(60));
    }
    // A window after the last of it, nothing is moved any more.
    world.advance(Duration::from_secs(10));
    let scrape = site.knows("prod", &world).await;
    assert_eq!(state(&scrape, "degraded_failed") + state(&scrape, "degraded_healthy"), 0.0);
    assert_eq!(scrape.value("scaleio_system_background_bytes_per_second", &rate), Some(0.0));
    assert_eq!(scrape.value("scaleio_device_error", &device), Some(1.0), "it is still broken");

    world.world(|world| world.replace_device("dev-1-1-1").unwrap());
    let scrape = site.knows("prod", &world).await;
    assert_eq!(scrape.value("scaleio_device_error", &device), Some(0.0));
    assert_eq!(scrape.value("scaleio_mdm_alerts", &alert), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_device_shows_until_its_data_is_protected_again() {
    a_device_fails_and_its_data_is_protected_again(Release::V3_6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_device_of_2_0_shows_until_its_data_is_protected_again() {
    a_device_fails_and_its_data_is_protected_again(Release::V2_0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_is_counted_once_each_time_over_restarts() {
    let world = still(Release::V4_5).await;
    let mut site = Site::watching(&[("prod", &world)], |_| {}).await;
    for round in 0..3 {
        let scrape = site.knows("prod", &world).await;
        assert_eq!(scrape.value("scaleio_sds_disconnections_total", &SDS), Some(f64::from(round)));
        world.world(|world| world.fail_sds("sds-2-1").unwrap());
        let scrape = site.knows("prod", &world).await;
        assert_eq!(scrape.value("scaleio_sds_mdm_connected", &SDS), Some(0.0));
        assert_eq!(scrape.value("scaleio_sds_disconnections_total", &SDS), Some(f64::from(round + 1)));
        // It is away over the restart, and that is no second time.
        site = site.restart().await;
        let scrape = site.knows("prod", &world).await;
        assert_eq!(scrape.value("scaleio_sds_disconnections_total", &SDS), Some(f64::from(round + 1)));
        world.world(|world| world.return_sds("sds-2-1").unwrap());
        world.advance(Duration::from_secs(5));
    }
    let scrape = site.knows("prod", &world).await;
    let other = [("system", "prod"), ("sds", "sds-1-1")];
    assert_eq!(scrape.value("scaleio_sds_disconnections_total", &other), Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_has_one_beginning_over_a_restart() {
    const STATE: &str = "scaleio_sds_maintenance";
    const START: &str = "scaleio_sds_maintenance_start_timestamp_seconds";
    let world = still(Release::V3_6).await;
    let set = |maintenance| {
        world
            .world(|world| world.sds.values_mut().find(|sds| sds.name == "sds-2-1").unwrap().maintenance = maintenance);
        // A step of time, so that what follows from it is drawn up.
        world.advance(Duration::from_secs(1));
    };
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    assert_eq!(site.knows("prod", &world).await.value(START, &SDS), None);
    set(Maintenance::In);
    let begun = eventually("maintenance shows", async || {
        let scrape = site.scrape().await;
        let state = scrape.value(STATE, &[SDS[0], SDS[1], ("state", "in_maintenance")]);
        if state == Some(1.0) { Ok(scrape.value(START, &SDS)) } else { Err(format!("{state:?}")) }
    })
    .await;
    let now = scaleio_framework::clock::now().timestamp() as f64;
    assert!(begun.is_some_and(|begun| begun > now - 120.0 && begun < now + 2.0), "{begun:?} and now is {now}");
    let site = site.restart().await;
    assert_eq!(site.knows("prod", &world).await.value(START, &SDS), begun);
    set(Maintenance::None);
    eventually("its end shows", async || {
        let scrape = site.scrape().await;
        match (scrape.value(STATE, &SDS), scrape.value(START, &SDS)) {
            (None, None) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_of_the_mdm_is_counted_and_values_outlive_its_silence() {
    const CHANGES: &str = "scaleio_mdm_primary_changes_total";
    const PROD: [(&str, &str); 1] = [("system", "prod")];
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    let before = site.knows("prod", &world).await;
    assert_eq!(before.value(CHANGES, &PROD), Some(0.0));

    // Time stands still, so nobody answers until it moves.
    world.world(|world| world.mdm_failover());
    let silent = eventually("the silence shows", async || {
        let scrape = site.scrape().await;
        if scrape.value("scaleio_up", &PROD) == Some(0.0) { Ok(scrape) } else { Err("it is up".to_owned()) }
    })
    .await;
    assert_eq!(silent.told("prod"), before.told("prod"));
    assert_eq!(silent.value(CHANGES, &PROD), Some(0.0));

    world.advance(Duration::from_secs(6));
    let after = site.knows("prod", &world).await;
    assert_eq!(after.value(CHANGES, &PROD), Some(1.0));
    let site = site.restart().await;
    assert_eq!(site.knows("prod", &world).await.value(CHANGES, &PROD), Some(1.0));
}

//! Do failures show, and does it show when they are over?

use std::time::Duration;

use scaleio_framework::sim::world::{Command, Maintenance, MaintenanceCommand, Mode, Scope};
use scaleio_framework::sim::{Release, Running};

use crate::site::{Scrape, Site, eventually, still};

const DISCONNECTIONS: &str = "scaleio_sds_disconnections_total";
const SDS: [(&str, &str); 2] = [("system", "prod"), ("sds", "sds-2-1")];

fn state(scrape: &Scrape, state: &str) -> f64 {
    scrape.value("scaleio_system_data_bytes", &[("system", "prod"), ("state", state)]).unwrap()
}

fn left(world: &Running) -> u64 {
    world.world(|world| world.pools.values().map(|pool| pool.figures.moving.forward.left_kb).sum())
}

/// Waits until a note tells this: it is shown when it is written down, a
/// moment after the values.
async fn notes(site: &Site, name: &str, labels: &[(&str, &str)], expected: f64) {
    eventually(name, async || {
        let told = site.scrape().await.value(name, labels);
        assert!(told <= Some(expected), "{name}: {told:?} instead of {expected}");
        if told == Some(expected) { Ok(()) } else { Err(format!("{told:?} instead of {expected}")) }
    })
    .await;
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
        let count = f64::from(round);
        site.knows("prod", &world).await;
        notes(&site, DISCONNECTIONS, &SDS, count).await;
        world.world(|world| world.fail_sds("sds-2-1").unwrap());
        let scrape = site.knows("prod", &world).await;
        assert_eq!(scrape.value("scaleio_sds_mdm_connected", &SDS), Some(0.0));
        notes(&site, DISCONNECTIONS, &SDS, count + 1.0).await;
        // It is away over the restart, and that is no second time.
        site = site.restart().await;
        site.knows("prod", &world).await;
        notes(&site, DISCONNECTIONS, &SDS, count + 1.0).await;
        world.world(|world| world.return_sds("sds-2-1").unwrap());
        world.advance(Duration::from_secs(5));
    }
    site.knows("prod", &world).await;
    notes(&site, DISCONNECTIONS, &[("system", "prod"), ("sds", "sds-1-1")], 0.0).await;
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
        let begun = scrape.value(START, &SDS);
        if state == Some(1.0) && begun.is_some() { Ok(begun) } else { Err(format!("{state:?}, {begun:?}")) }
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
    notes(&site, CHANGES, &PROD, 0.0).await;

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
    site.knows("prod", &world).await;
    notes(&site, CHANGES, &PROD, 1.0).await;
    let site = site.restart().await;
    site.knows("prod", &world).await;
    notes(&site, CHANGES, &PROD, 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_maintenance_is_known_by_the_copies_that_are_made_before_it_and_instant_is_not_taken_for_it() {
    const STATE: &str = "scaleio_sds_maintenance";
    let world = still(Release::V3_6).await;
    let command = |command: fn(Scope, Mode) -> MaintenanceCommand, mode| {
        world.world(|world| {
            let id = world.sds.values().find(|sds| sds.name == "sds-2-1").unwrap().id;
            world.command(Command::Maintenance(command(Scope::Sds(id), mode))).unwrap();
        });
        world.advance(Duration::from_secs(1));
    };
    let enter = |scope, mode| MaintenanceCommand::Enter { scope, mode, force: false };
    let exit = |scope, mode| MaintenanceCommand::Exit { scope, mode, force: false };
    let mut site = Site::watching(&[("prod", &world)], |_| {}).await;
    site.knows("prod", &world).await;
    let shows = async |site: &Site, state: &str, kind: &str| {
        eventually(&format!("{state}, {kind:?}"), async || {
            let scrape = site.scrape().await;
            let found = scrape.value(STATE, &[SDS[0], SDS[1], ("state", state), ("type", kind)]);
            found.ok_or_else(|| format!("{:?}", scrape.families.get(STATE)))
        })
        .await;
    };
    command(enter, Mode::Protected);
    shows(&site, "set_maintenance_in_progress", "protected").await;
    world.advance(Duration::from_secs(3600));
    shows(&site, "in_maintenance", "protected").await;
    site = site.restart().await;
    shows(&site, "in_maintenance", "protected").await;
    command(exit, Mode::Protected);
    world.advance(Duration::from_secs(600));
    eventually("its end shows", async || match site.scrape().await.value(STATE, &SDS) {
        None => Ok(()),
        Some(_) => Err("it is still in maintenance".to_owned()),
    })
    .await;
    command(enter, Mode::Instant);
    world.advance(Duration::from_secs(30));
    shows(&site, "in_maintenance", "").await;
}

//! When does what is gone vanish, and what stays?

use std::time::Duration;

use scaleio_framework::clock;
use scaleio_framework::config::Config;
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::picture::Picture;
use scaleio_framework::model::snapshot::Collector;
use scaleio_framework::model::unit::Timestamp;
use scaleio_framework::sim::{Fault, Release, Running, Word};

use crate::site::{PATIENCE, Site, eventually, still};

const VOLUMES: &str = "/api/types/Volume/instances";

/// A volume that nothing else hangs on.
fn spare_volume(world: &Running) -> String {
    world.world(|world| {
        let has_snapshots = |id| world.volumes.values().any(|volume| volume.ancestor == Some(id));
        let has_policy = |id| world.policies.values().any(|policy| policy.sources.contains(&id));
        let free = world
            .volumes
            .values()
            .find(|volume| volume.ancestor.is_none() && !has_snapshots(volume.id) && !has_policy(volume.id));
        let name = free.unwrap().name.clone();
        world.unmap_volume(&name).unwrap();
        name
    })
}

/// The picture of the first poll that began after a moment.
async fn first_poll_after(site: &Site, moment: Timestamp) -> std::sync::Arc<Picture> {
    let mut pictures = site.controller.gallery.subscribe();
    let wait = async {
        loop {
            let picture = pictures.borrow_and_update()[&SystemId::new("prod")].clone();
            if picture.health.last_poll.is_some_and(|begun| begun > moment) {
                return picture;
            }
            pictures.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap()
}

fn has(picture: &Picture, volume: &str) -> bool {
    let volumes = picture.snapshot.as_ref().unwrap().volumes.as_ref().unwrap();
    volumes.iter().any(|other| other.name.as_deref() == Some(volume))
}

async fn is_gone_after_one_poll(release: Release, adjust: impl FnOnce(&mut Config)) {
    let world = still(release).await;
    let volume = spare_volume(&world);
    let site = Site::watching(&[("prod", &world)], adjust).await;
    site.knows("prod", &world).await;
    // A list that was just asked for is not asked again at once.
    eventually("the list of volumes is old enough to be asked again", async || {
        let picture = site.controller.gallery.of(&SystemId::new("prod")).unwrap();
        let health = &picture.health.collectors[&Collector::Volumes];
        let rest = health.last_duration * 4 + Duration::from_secs(1);
        let age = (clock::now() - health.last_begun).to_std().unwrap_or_default();
        if site.config.poll.slow < Duration::from_secs(60) || age > rest { Ok(()) } else { Err(format!("{age:?}")) }
    })
    .await;
    world.world(|world| world.delete_volume(&volume).unwrap());
    let picture = first_poll_after(&site, clock::now()).await;
    assert!(!has(&picture, &volume), "{volume} outlived a poll");
    let scrape = site.knows("prod", &world).await;
    let labels = [("system", "prod"), ("volume", volume.as_str())];
    for (name, family) in &scrape.families {
        let of_it = family.samples.iter().find(|sample| labels.iter().all(|(l, v)| sample.label(l) == Some(v)));
        assert_eq!(of_it, None, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_volume_is_gone_after_one_poll_of_its_list() {
    is_gone_after_one_poll(Release::V4_5, |config| {
        config.poll.middle = config.poll.fast;
        config.poll.slow = config.poll.fast;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_volume_that_only_statistics_show_is_gone_after_one_poll() {
    is_gone_after_one_poll(Release::V3_6, |config| config.poll.slow = Duration::from_secs(3600)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_fails_deletes_nothing() {
    let world = still(Release::V3_6).await;
    let volume = spare_volume(&world);
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    let before = site.knows("prod", &world).await;
    for word in [Word::Status(500), Word::Status(404), Word::Html, Word::Cut, Word::Reset] {
        let fault = world.faults().add(Fault::always(word, VOLUMES));
        let failures = eventually("the list fails twice", async || {
            let scrape = site.scrape().await;
            let told = scrape.told("prod");
            assert_eq!(told, before.told("prod"), "{word}");
            let picture = site.controller.gallery.of(&SystemId::new("prod")).unwrap();
            let failures = picture.health.collectors[&Collector::Volumes].failures;
            if failures > 1 { Ok(failures) } else { Err(format!("{failures}")) }
        })
        .await;
        assert!(failures > 1);
        world.faults().remove(fault);
        site.knows("prod", &world).await;
    }
    // And when it works again, it deletes.
    world.world(|world| world.delete_volume(&volume).unwrap());
    site.knows("prod", &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_answered_keeps_its_value_until_max_age_and_then_says_why_it_is_missing() {
    const SDS: [(&str, &str); 2] = [("system", "prod"), ("sds", "sds-2-1")];
    const CONNECTED: &str = "scaleio_sds_mdm_connected";
    let max_age = Duration::from_secs(4);
    let world = still(Release::V3_6).await;
    let site = Site::watching(&[("prod", &world)], |config| config.poll.max_age = max_age).await;
    site.knows("prod", &world).await;

    world.faults().add(Fault::always(Word::Status(503), "/api/types/Sds/instances"));
    let before = eventually("the list fails", async || {
        let scrape = site.scrape().await;
        let success = scrape.value("scaleio_collector_success", &[("system", "prod"), ("collector", "sds")]);
        if success == Some(0.0) { Ok(scrape) } else { Err(format!("{success:?}")) }
    })
    .await;
    let last = before
        .value("scaleio_collector_last_success_timestamp_seconds", &[("system", "prod"), ("collector", "sds")])
        .unwrap();
    assert_eq!(before.value(CONNECTED, &SDS), Some(1.0), "it keeps its value");
    // The world goes on, and nobody is told.
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    eventually("it vanishes", async || {
        let scrape = site.scrape().await;
        match scrape.value(CONNECTED, &SDS) {
            None => Ok(()),
            Some(value) => {
                assert_eq!(value, 1.0, "only what was answered is told");
                Err("it is still there".to_owned())
            }
        }
    })
    .await;
    let gone = clock::now().timestamp_millis() as f64 / 1000.0;
    assert!(gone - last >= max_age.as_secs_f64() - 0.5, "it vanished {} s after its last answer", gone - last);
    let scrape = site.scrape().await;
    assert!(scrape.families.contains_key("scaleio_storage_pool_data_bytes"), "the others are there");
    let gap = &site.json("/api/v1/systems/prod").await["gaps"]["sds"];
    assert_eq!(gap["why"], "unanswered");
    assert!(gap["error"].as_str().unwrap().contains("HTTP 503"), "{gap}");
    let refusal = site.get("/api/v1/systems/prod/sds").await;
    assert_eq!(refusal.status(), 404);

    world.faults().clear();
    let scrape = site.knows("prod", &world).await;
    assert_eq!(scrape.value(CONNECTED, &SDS), Some(0.0));
    assert_eq!(site.json("/api/v1/systems/prod").await["gaps"].get("sds"), None);
}

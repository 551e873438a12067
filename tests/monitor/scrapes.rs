//! What do scrapers read while polling goes on: each body one snapshot, whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::config::Metrics;
use scaleio_framework::metrics::{Build, Encoder, Format, Own, families};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::picture::Picture;
use scaleio_framework::sim::world::VolumeRequest;
use scaleio_framework::sim::{Options, Release, Running, Simulation};

use crate::site::{Site, eventually, layout};

const SCRAPES: usize = 1_000;
const SCRAPERS: usize = 4;

/// The samples that follow from a picture alone: nothing that adds up over
/// polls, nothing that waits until the store has it, and nothing about the
/// scrapes themselves.
fn samples(body: &str) -> String {
    let added_up = [
        "scaleio_storage_pool_io_latency_seconds",
        "scaleio_mdm_events_total",
        "scaleio_mdm_primary_changes_total",
        "scaleio_sds_disconnections_total",
        "scaleio_sds_maintenance_start_timestamp_seconds",
        "scaleio_sdc_disconnections_total",
        "scaleio_exporter_series",
    ];
    let ourselves: BTreeSet<&str> = families()
        .iter()
        .filter(|family| ["Ourselves, as it happens", "Work on systems"].contains(&family.area))
        .map(|family| family.name.as_str())
        .collect();
    let is_of_the_picture = |line: &&str| {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
        !line.starts_with('#')
            && !added_up.contains(&family)
            && !ourselves.contains(family)
            && !ourselves.contains(name)
    };
    body.lines().filter(is_of_the_picture).flat_map(|line| [line, "\n"]).collect()
}

/// The first lines in which two bodies differ.
fn difference<'a>(left: &'a str, right: &'a str) -> Option<(&'a str, &'a str)> {
    left.lines().zip(right.lines()).find(|(left, right)| left != right)
}

fn seq(body: &str) -> u64 {
    let line = body.lines().find(|line| line.starts_with("scaleio_snapshot_seq{")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// What an encoder that never saw another picture makes of one.
fn alone(picture: &Arc<Picture>) -> String {
    let own = Own::new(Build { version: "0", revision: "0", rustc: "0" }).unwrap();
    let exposition = Encoder::new(&Metrics::all(1_000_000)).encode(&[Arc::clone(picture)], picture.at);
    let body = exposition.body(Format::Text, false, None, &own, picture.at).concat();
    samples(&String::from_utf8(body).unwrap())
}

/// Volumes come and go, and loads change, for as long as it is polled.
async fn restless(world: &Running) {
    let pool = world.world(|world| world.pools.values().next().unwrap().name.clone());
    for turn in 0.. {
        world.advance(Duration::from_secs(5));
        let name = format!("guest-{}", turn % 3);
        world.world(|world| match world.volume_named(&name) {
            Some(_) => world.delete_volume(&name).unwrap(),
            None => {
                let request = VolumeRequest { name, pool: pool.clone(), gib: 8, thick: false, sdc: None };
                world.create_volume(&request).unwrap();
            }
        });
        tokio::time::sleep(Duration::from_millis(70)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_a_thousand_bodies_read_while_polling_goes_on_is_one_snapshot_and_all_of_it() {
    let world = Simulation::start(Options { speed: 0.0, ..Options::new(layout(), Release::V3_6) }).await.unwrap();
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    eventually("the first snapshot", async || {
        let picture = site.controller.gallery.of(&SystemId::new("prod")).unwrap();
        picture.snapshot.as_ref().map(|_| ()).ok_or_else(|| "none yet".to_owned())
    })
    .await;

    let pictures: Arc<Mutex<BTreeMap<u64, Arc<Picture>>>> = Arc::default();
    let mut gallery = site.controller.gallery.subscribe();
    gallery.mark_changed();
    let kept = Arc::clone(&pictures);
    let keeper = tokio::spawn(async move {
        while gallery.changed().await.is_ok() {
            let picture = Arc::clone(&gallery.borrow_and_update()[&SystemId::new("prod")]);
            if let Some(snapshot) = &picture.snapshot {
                kept.lock().unwrap().insert(snapshot.seq, picture.clone());
            }
        }
    });

    let client = crate::site::builder().gzip(true).build().unwrap();
    let url = format!("http://{}/metrics", site.controller.web);
    let scraper = async |number: usize| {
        let mut bodies: BTreeMap<u64, (usize, String)> = BTreeMap::new();
        let mut last = 0;
        for turn in 0..SCRAPES / SCRAPERS {
            let mut request = client.get(&url);
            // Half of them plain, half in the other format.
            if (turn + number).is_multiple_of(2) {
                request = request.header("accept-encoding", "identity");
            }
            if number.is_multiple_of(2) {
                request = request.header("accept", "application/openmetrics-text; version=1.0.0");
            }
            let body = request.send().await.unwrap().text().await.unwrap();
            let (seq, samples) = (seq(&body), samples(&body));
            assert!(seq >= last, "snapshot {seq} after {last}");
            last = seq;
            let (times, first) = bodies.entry(seq).or_insert_with(|| (0, samples.clone()));
            *times += 1;
            assert!(*first == samples, "two bodies of snapshot {seq} differ: {:?}", difference(first, &samples));
        }
        bodies
    };
    let scrapes = async { futures_util::future::join_all((0..SCRAPERS).map(scraper)).await };
    let bodies = tokio::select! {
        bodies = scrapes => bodies,
        () = restless(&world) => unreachable!(),
    };
    keeper.abort();

    let pictures = pictures.lock().unwrap();
    let mut alone_of: BTreeMap<u64, String> = BTreeMap::new();
    let (mut judged, mut read) = (0, 0);
    for (seq, (times, body)) in bodies.iter().flatten() {
        read += times;
        // A picture that was replaced before it was kept cannot be judged.
        let Some(picture) = pictures.get(seq) else { continue };
        judged += times;
        let wanted = alone_of.entry(*seq).or_insert_with(|| alone(picture));
        assert!(wanted == body, "a body of snapshot {seq} is not just that: {:?}", difference(wanted, body));
    }
    assert_eq!(read, SCRAPES);
    assert!(judged >= SCRAPES * 9 / 10, "only {judged} of {read} could be judged");
    assert!(alone_of.len() >= 10, "polling went on through {} snapshots only", alone_of.len());
    let lengths: BTreeSet<usize> = alone_of.values().map(|body| body.lines().count()).collect();
    assert!(lengths.len() > 1, "volumes came and went, and no body changed its length");
}

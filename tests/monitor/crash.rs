//! Killed in the middle of anything: are values right or absent, and counts
//! neither lost nor doubled?

use std::net::SocketAddr;
use std::time::Duration;

use scaleio_framework::config::GatewayUrl;
use scaleio_framework::model::id::SystemId;
use scaleio_framework::sim::{Fault, Options, Release, Running, Simulation, Word};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::child::{self, Process, scrape};
use crate::site::{PATIENCE, Site, eventually, layout, still};
use crate::truth::{lies, truth};

/// A door to a gateway that can be slammed: all its connections break.
struct Door {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Door {
    async fn to(gateway: SocketAddr, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut inside, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut outside) = TcpStream::connect(gateway).await {
                        let _ = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                    }
                });
            }
        });
        Self { address, task }
    }

    async fn slam(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

async fn another_gateway_takes_over(release: Release) {
    let world = Simulation::start(Options::still(layout(), release).gateways(2)).await.unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let [first, second] = [world.addresses()[0], world.addresses()[1]];
    let mut doors = vec![Door::to(first, here).await, Door::to(second, here).await];
    let site = Site::watching(&[("prod", &world)], |config| {
        let system = config.systems.get_mut(&SystemId::new("prod")).unwrap();
        system.gateways = doors.iter().map(|door| GatewayUrl::at(door.address)).collect();
    })
    .await;
    site.knows("prod", &world).await;
    // Polls take so long that a kill falls into one.
    world.faults().add(Fault::always(Word::Delay(Duration::from_millis(60)), "*"));
    let truth = world.world(|world| truth(world));
    for round in 0..6_u32 {
        let answering = || site.controller.gallery.of(&SystemId::new("prod")).unwrap().health.gateway.clone().unwrap();
        let at = answering();
        let place = doors.iter().position(|door| at.ends_with(&door.address.to_string())).unwrap();
        let other = doors[1 - place].address;
        // Another moment of a poll each time.
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 37)).await;
        let address = doors.remove(place).slam().await;
        eventually(&format!("{other} answers instead of {at}"), async || {
            let scrape = site.scrape().await;
            assert_eq!(lies(&scrape.told("prod"), &[&truth]), Vec::<String>::new());
            scrape.is("prod", &truth)?;
            if answering().ends_with(&other.to_string()) { Ok(()) } else { Err(answering().to_string()) }
        })
        .await;
        let gateway = if round % 2 == 0 { first } else { second };
        doors.push(Door::to(gateway, address).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_of_3_6_that_is_killed_in_mid_poll_is_replaced_by_the_other() {
    another_gateway_takes_over(Release::V3_6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_of_4_5_that_is_killed_in_mid_poll_is_replaced_by_the_other() {
    another_gateway_takes_over(Release::V4_5).await;
}

const SDS: [(&str, &str); 2] = [("system", "prod"), ("sds", "sds-2-1")];
const DISCONNECTIONS: &str = "scaleio_sds_disconnections_total";

fn away(world: &Running) {
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
}

fn back(world: &Running) {
    world.world(|world| world.return_sds("sds-2-1").unwrap());
    world.advance(Duration::from_secs(5));
}

/// Scrapes without a pause until the counter of `sds-2-1` is there and its
/// connection is as it should be; gives the counter.
async fn counted(web: &str, connected: bool) -> f64 {
    eventually("the counter is there", async || {
        let scrape = scrape(web).await;
        match (scrape.value(DISCONNECTIONS, &SDS), scrape.value("scaleio_sds_mdm_connected", &SDS)) {
            (Some(count), Some(now)) if now == f64::from(connected) => Ok(count),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_counted_before_a_kill_is_neither_lost_nor_doubled() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let mut expected = 0.0;
    for round in 0..6 {
        let (mut process, web) = Process::sio_run(&config, &[]).await;
        assert_eq!(counted(&web, round % 2 == 0).await, expected, "round {round}");
        if round % 2 == 0 {
            // Killed at once after the count was shown, and the server is back
            // before anybody looks again: only what was written can tell.
            away(&world);
            assert_eq!(counted(&web, false).await, expected + 1.0);
            process.kill();
            expected += 1.0;
            if round % 4 == 0 {
                back(&world);
                let (mut process, web) = Process::sio_run(&config, &[]).await;
                assert_eq!(counted(&web, true).await, expected, "a count that was shown is lost");
                process.kill();
                away(&world);
                // It went away while nobody looked: seen at the next start.
                expected += 1.0;
            }
        } else {
            back(&world);
            assert_eq!(counted(&web, true).await, expected, "a return is no disconnection");
            process.kill();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_that_is_not_written_down_yet_is_not_shown_and_values_go_on() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let (mut process, web) = Process::sio_run(&config, &[]).await;
    assert_eq!(counted(&web, true).await, 0.0);
    // Somebody looks into the file, and every commit waits.
    let store = rusqlite::Connection::open(folder.path().join("state.db")).unwrap();
    store.busy_timeout(PATIENCE).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    away(&world);
    let shown = counted(&web, false).await;
    process.kill();
    drop(store);
    back(&world);
    let (_process, web) = Process::sio_run(&config, &[]).await;
    assert_eq!(counted(&web, true).await, shown, "what was shown is not what is known after the kill");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_killed_in_mid_poll_tells_no_lie_and_starts_again() {
    let world = still(Release::V4_5).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    world.faults().add(Fault::always(Word::Delay(Duration::from_millis(30)), "*"));
    let truth = world.world(|world| truth(world));
    for round in 0..6 {
        let (mut process, web) = Process::sio_run(&config, &[]).await;
        // From before the first answer to well into the second poll.
        tokio::time::sleep(Duration::from_millis(round * 150)).await;
        let scrape = scrape(&web).await;
        assert_eq!(lies(&scrape.told("prod"), &[&truth]), Vec::<String>::new());
        process.kill();
    }
    world.faults().clear();
    let (_process, web) = Process::sio_run(&config, &[]).await;
    eventually("the truth is told at the end", async || scrape(&web).await.is("prod", &truth)).await;
}

//! A task gets a volume, writes a file, is killed, runs on another node and
//! reads the same file: real Mesos agents with the real `docker/volume`
//! isolator, REX-Ray as our order set it up.
//!
//! Stubs stand for what cannot be had: a loop device for the one of `scini`,
//! which both hosts share, and a REX-Ray that does what it is told in its
//! configuration, at a simulated gateway.

use std::net::TcpListener;

use scaleio_framework::model::order::{Component, Consume, Hidden, Install, Outcome, Preflight, Secrets, Task};
use scaleio_framework::model::preflight::{FOUND, Row, Verdict};
use scaleio_framework::model::version::Generation;
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};

use crate::disk::Loop;
use crate::lab::{Lab, why};
use crate::master::{Master, dist};
use crate::scheduler::Scheduler;

pub(crate) const HOSTS: [&str; 2] = ["a1", "a2"];
pub(crate) const GUIDS: [&str; 2] = ["0D1E0D1E-0000-0000-0000-0000000000A1", "0D1E0D1E-0000-0000-0000-0000000000A2"];
pub(crate) const VOLUME: &str = "promise-1";

/// What the agents' launcher made, each below a name of its own; empty once the hosts are down.
pub(crate) struct Groups;

impl Drop for Groups {
    fn drop(&mut self) {
        for host in HOSTS {
            let above = format!("/sys/fs/cgroup/freezer/{}", cgroup(host));
            for inside in std::fs::read_dir(&above).into_iter().flatten().flatten() {
                let _ = std::fs::remove_dir(inside.path());
            }
            let _ = std::fs::remove_dir(above);
        }
    }
}

fn cgroup(host: &str) -> String {
    format!("sio-promise-{host}")
}

/// The unit of a Mesos agent that can give volumes to its tasks.
fn unit(at: usize, master: &str) -> String {
    service(at, master, "/opt/mesos/mesos-agent", "--isolation=docker/volume,filesystem/linux,posix/cpu,posix/mem")
}

/// The unit of a Mesos agent, by what it starts and with which other arguments.
pub(crate) fn service(at: usize, master: &str, program: &str, more: &str) -> String {
    let (host, ip) = (HOSTS[at], format!("127.0.0.{}", 21 + at));
    let folders: String = [("docker_store", "d"), ("appc_store", "p"), ("docker_volume_checkpoint", "v")]
        .iter()
        .map(|(name, folder)| format!(" --{name}_dir=/var/lib/mesos/{folder}"))
        .collect();
    format!(
        "[Service]\nEnvironment=PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8\n\
         ExecStartPre=/bin/sh -c 'mkdir -p /run/cg/freezer; mountpoint -q /run/cg/freezer || mount -t cgroup -o freezer cgroup /run/cg/freezer'\n\
         ExecStart={program} --master={master} --work_dir=/var/lib/mesos --ip={ip} --port=5051 \
         --hostname={host} --resources=cpus:2;mem:512;disk:512 --launcher_dir=/opt/mesos --containerizers=mesos \
         --launcher=linux {more} \
         --cgroups_hierarchy=/run/cg --cgroups_root={} --no-systemd_enable_support --no-hostname_lookup{folders}\n\
         KillMode=process\n",
        cgroup(host)
    )
}

/// A system whose clients are the hosts.
pub(crate) async fn system() -> Running {
    let layout = Layout { nodes_per_rack: 1, devices_per_node: 2, volumes: 1, sdcs: 2, ..Layout::small() };
    let system = Simulation::start(Options::still(layout, Release::V2_0)).await.unwrap();
    system.world(|world| {
        for (client, guid) in world.sdcs.values_mut().zip(GUIDS) {
            client.guid = guid.to_owned();
        }
    });
    system
}

/// By which of the hosts the volume is mapped.
pub(crate) fn mapped(system: &Running) -> Vec<String> {
    system.world(|world| {
        let volume = world.volumes.values().find(|volume| volume.name == VOLUME).map(|volume| volume.id);
        let has = |guid: &&str| {
            let client = world.sdcs.values().find(|client| client.guid == **guid);
            client.is_some_and(|client| volume.is_some_and(|volume| client.mapped.contains(&volume)))
        };
        HOSTS.iter().zip(GUIDS).filter(|(_, guid)| has(guid)).map(|(host, _)| (*host).to_owned()).collect()
    })
}

fn secrets(system: &Running) -> Secrets {
    Secrets { volumes: Some(Hidden::new(system.admin().password.as_str())), ..Secrets::default() }
}

async fn rows(lab: &mut Lab, host: &str) -> Vec<Row> {
    let asked = Preflight { components: vec![Component::Sdc], volumes: true, ..Preflight::default() };
    let finished = lab.does(host, Task::Preflight(Box::new(asked)), Secrets::default()).await;
    let rows: Vec<Row> = serde_json::from_str(&finished.found[FOUND]).unwrap();
    rows.into_iter().filter(|row| row.name == "Mesos isolation" || row.name == "dvdcli").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_finds_what_another_wrote_on_another_node() {
    let mut lab = Lab::open().await;
    let system = system().await;
    let device = Loop::new(&lab.folder.path().join("volume"), 64 << 20);
    let _groups = Groups;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let _master = Master::start(lab.folder.path(), "127.0.0.1", port);
    let master = format!("127.0.0.1:{port}");
    for (at, host) in HOSTS.iter().enumerate() {
        let options = format!("--bind={}:/dev/scinia --bind-ro={}:/opt/mesos", device.0, dist().display());
        lab.make(host, "el7", &options);
        lab.write(host, "etc/sio-stub-guid", GUIDS[at]);
        lab.write(host, "etc/systemd/system/mesos-slave.service", &unit(at, &master));
        // What the original left behind: others' keys stay, and nobody else reads it afterwards.
        lab.write(host, "etc/rexray/config.yml", "# by hand\nrexray:\n  logLevel: warn\nscaleio:\n  username: old\n");
        lab.power(host, true);
    }
    let (ids, domain, pool) = system.world(|world| {
        let pool = world.pools.values().next().unwrap();
        (world.system.id.to_string(), world.domains[&pool.domain].name.clone(), pool.name.clone())
    });
    let consume = Consume {
        rexray: Some(lab.artefact("rexray-0.11.4")),
        dvdcli: Some(lab.artefact("dvdcli-0.2.1")),
        gateway: system.urls()[0].clone(),
        user: system.admin().user.clone(),
        system: ids,
        domain,
        pool,
        thin: true,
        preempts: true,
        trusts_any: true,
        generation: Generation::V2_0,
        accepted: false,
    };
    let task = Task::ConsumeVolumes(Box::new(consume.clone()));

    // Nothing is there yet, and each thing that lacks is told.
    let before = rows(&mut lab, "a1").await;
    assert!(before.iter().all(|row| row.verdict == Verdict::Warn), "{before:?}");
    let early = lab.does("a1", task.clone(), secrets(&system)).await;
    assert!(why(&early).contains("install the SDC first"), "{early:?}");
    let managers = vec!["192.0.2.1".parse().unwrap()];
    for host in HOSTS {
        let artefact = lab.artefact("EMC-ScaleIO-sdc-3.6-100.101.el7.x86_64.rpm");
        let install = Install { component: Component::Sdc, artefact, mdms: managers.clone() };
        lab.done(host, Task::Install(install), Secrets::default()).await;
        lab.done(host, Task::ConnectSdc { systems: vec![managers.clone()], known: Vec::new() }, Secrets::default())
            .await;
    }
    let without = lab.does("a1", task.clone(), Secrets::default()).await;
    assert!(why(&without).contains("the order has none"), "{without:?}");
    let newer = Task::ConsumeVolumes(Box::new(Consume { generation: Generation::V3_5, ..consume.clone() }));
    assert!(why(&lab.does("a1", newer, secrets(&system)).await).contains("volume_driver was never seen"));

    for host in HOSTS {
        lab.done(host, task.clone(), secrets(&system)).await;
        let again = lab.does(host, task.clone(), secrets(&system)).await;
        assert_eq!(again.outcome, Outcome::AlreadySo, "{}", lab.journal(host));
        assert_eq!(lab.inside(host, &["stat", "-c", "%a %u", "/etc/rexray/config.yml"]), "600 0");
        assert!(lab.inside(host, &["cat", "/etc/rexray/config.yml"]).contains("\"logLevel\": \"warn\""));
        assert_eq!(lab.inside(host, &["systemctl", "is-enabled", "rexray"]), "enabled");
        let password = &system.admin().password;
        let ledger = std::fs::read_to_string(lab.root(host).join("var/lib/sio-agent/ledger")).unwrap();
        assert!(ledger.contains("consume_volumes") && !ledger.contains(password), "no password is in the ledger");
        let journal = lab.inside(host, &["journalctl", "--no-pager"]);
        assert!(journal.contains("a step is over") && !journal.contains(password), "nor in the journal");
        lab.inside(host, &["systemctl", "start", "mesos-slave"]);
    }
    // What somebody opens is closed again.
    lab.inside("a1", &["chmod", "644", "/etc/rexray/config.yml"]);
    lab.done("a1", task.clone(), secrets(&system)).await;
    assert_eq!(lab.inside("a1", &["stat", "-c", "%a", "/etc/rexray/config.yml"]), "600");

    let mut scheduler = Scheduler::subscribe(&format!("http://{master}")).await;
    let write = "echo promised > data/file && sync && exec sleep 1000";
    scheduler.launch("writer", "a1", VOLUME, write).await;
    let (state, said) = scheduler.state("writer", &["TASK_RUNNING", "TASK_FAILED"]).await;
    assert_eq!(state, "TASK_RUNNING", "{said}\n{}", lab.journal("a1"));
    let after = rows(&mut lab, "a1").await;
    assert!(after.len() == 2 && after.iter().all(|row| row.verdict == Verdict::Ok), "{after:?}");
    let file = format!("/var/lib/rexray/volumes/{VOLUME}/data/file");
    lab.until("a1", "the file to be there", || lab.inside("a1", &["cat", &file]) == "promised").await;
    assert_eq!(mapped(&system), ["a1"]);

    // Killed, and started on the other node.
    scheduler.kill("writer").await;
    scheduler.state("writer", &["TASK_KILLED"]).await;
    lab.until("a1", "the isolator to give the volume back", || mapped(&system).is_empty()).await;
    scheduler.launch("reader", "a2", VOLUME, "grep -qx promised data/file && echo again >> data/file && sync").await;
    let (state, said) = scheduler.state("reader", &["TASK_FINISHED", "TASK_FAILED"]).await;
    assert_eq!(state, "TASK_FINISHED", "{said}\n{}", lab.journal("a2"));
    lab.until("a2", "the isolator to give the volume back", || mapped(&system).is_empty()).await;

    // A node loses its power while a task has the volume: it is taken from it.
    let write = "echo third >> data/file && sync && touch data/written && exec sleep 1000";
    scheduler.launch("lost", "a2", VOLUME, write).await;
    let mark = format!("/var/lib/rexray/volumes/{VOLUME}/data/written");
    lab.until("a2", "the file to be there", || !lab.inside("a2", &["ls", &mark]).is_empty()).await;
    lab.power("a2", false);
    assert_eq!(mapped(&system), ["a2"], "nobody gave it back");
    let read = "[ \"$(cat data/file)\" = \"$(printf 'promised\\nagain\\nthird')\" ]";
    scheduler.launch("last", "a1", VOLUME, read).await;
    let (state, said) = scheduler.state("last", &["TASK_FINISHED", "TASK_FAILED"]).await;
    assert_eq!(state, "TASK_FINISHED", "{said}\n{}", lab.journal("a1"));
    lab.until("a1", "the isolator to give the volume back", || mapped(&system).is_empty()).await;
    // The hosts end before what their agents made is cleared up.
    drop(lab);
}

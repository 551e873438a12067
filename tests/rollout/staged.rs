//! Whether simulated hosts are true enough to judge by: they show in their
//! system, and come to the controller as real ones do.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::model::order::Component;
use scaleio_framework::sim::mesos::{self, SimMesos};
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use scaleio_framework::stage::{Disk, Hosts, Spec, launcher, package};

use crate::ready::phase;
use crate::site::Site;

fn sds(world: &Running, name: &str) -> (bool, String) {
    world.world(|world| {
        let sds = world.sds.values().find(|sds| sds.name == name).unwrap();
        (sds.connected(), sds.version.clone())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_and_a_power_cut_show_in_the_system() {
    let folder = tempfile::tempdir().unwrap();
    let world = Simulation::start(Options::still(Layout::small(), Release::V3_6)).await.unwrap();
    let hosts = Hosts::of(&world, folder.path()).unwrap();
    assert_eq!(hosts.all().len(), 12);
    hosts.look();
    let before = world.world(|world| format!("{:?} {:?} {:?}", world.sds, world.sdcs, world.mdm.members));
    hosts.look();
    assert_eq!(world.world(|world| format!("{:?} {:?} {:?}", world.sds, world.sdcs, world.mdm.members)), before);
    assert_eq!(sds(&world, "sds-1-2"), (true, "R3_6.0.0".to_owned()), "who was there already changes nothing");

    let host = hosts.host("host-1-2").unwrap();
    let (name, text) = package(Component::Sds, "3.6-0.200", Books::Rpm);
    host.machine().node.files.insert(name.clone(), text.into_bytes());
    assert_eq!(host.machine().node.run(&["rpm", "-U", &name], &[].into(), false).status, 0);
    hosts.look();
    assert_eq!(sds(&world, "sds-1-2"), (false, "R3_6.0.200".to_owned()), "its service was started again");
    hosts.look();
    assert!(sds(&world, "sds-1-2").0);

    host.machine().lose_power(Duration::from_secs(600));
    hosts.look();
    let client = |world: &Running| {
        world.world(|world| world.sdcs.values().find(|sdc| sdc.ip == "10.30.0.2").map(|sdc| sdc.connected))
    };
    assert_eq!((sds(&world, "sds-1-2").0, client(&world)), (false, Some(false)));
    host.machine().lose_power(Duration::ZERO);
    hosts.look();
    assert_eq!((sds(&world, "sds-1-2").0, client(&world)), (true, Some(true)));
    assert_eq!(host.machine().node.boots, 1);
}

/// Two bare agents of a simulated Mesos, and a controller that knows it; all is below the folder.
pub(crate) async fn at_mesos(folder: &Path) -> (Site, SimMesos, Hosts) {
    // The system that they work for comes later than the Mesos that the controller is told of.
    let slot: Arc<OnceLock<Hosts>> = Arc::default();
    let find = Arc::clone(&slot);
    let options = mesos::Options::new(launcher(move |name| find.get()?.host(name)), folder.join("sandboxes"));
    let master = SimMesos::start(options).await.unwrap();
    let more = format!(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n\
         [lifecycle]\nmode = \"act\"\n[mesos]\nmasters = {:?}\nroles = [\"*\"]\n",
        master.masters()
    );
    let mut site = Site::start(&more).await;
    for component in [Component::Sds, Component::Sdc] {
        let (name, text) = package(component, "3.6-0.105", Books::Rpm);
        fs::write(site.folder.path().join("packages").join(name), text).unwrap();
    }
    site.kill();
    site.run().await;
    let hosts = Hosts::none(&site.world, &folder.join("hosts"));
    assert!(slot.set(hosts.clone()).is_ok());
    for number in 1..=2 {
        let spec = Spec::new(&format!("agent{number}"), &format!("10.9.0.{number}"));
        let host = hosts.add(&spec.disk("/dev/sdb", Disk::Blank)).unwrap();
        master.join(&host.at_mesos("rack:r1")).await.unwrap();
    }
    (site, master, hosts)
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_of_a_simulated_mesos_get_their_papers_by_a_message_and_become_ready() {
    let folder = tempfile::tempdir().unwrap();
    let (site, _master, hosts) = at_mesos(folder.path()).await;
    for name in ["agent1", "agent2"] {
        phase(&site, &hosts, name, "ready").await;
        let host = hosts.host(name).unwrap();
        assert!(fs::read_to_string(host.folder.join("agent.key")).unwrap().contains("PRIVATE KEY"));
        assert_eq!(host.machine().node.effects["install"], 2);
    }
    let agents = site.get("/api/v1/agents").await;
    assert_eq!(agents[0]["task"]["phase"]["message"], "the node agent runs", "{agents}");
}

//! Whether what the MDM lacks is added once, whenever the controller dies:
//! before the MDM has the order, or after it obeyed and before anybody heard.

use std::collections::BTreeSet;

use scaleio_framework::sim::{Fault, Word};

use crate::cluster::until;
use crate::effects;
use crate::ready::{OS, devices, host, none, packages, phase, tick};
use crate::site::Site;

/// One host for a domain, a fault set and a pool that are not there.
const MORE: &str = "[systems.prod.rollout]\ntopology = \"declared\"\n\
    [systems.prod.rollout.domains.made.pools.fresh]\nmedia = \"any\"\n\
    [systems.prod.rollout.nodes.all]\nhosts = [\"one\"]\ndomain = \"made\"\npool = \"fresh\"\nfault_set = \"rack9\"\n\
    [systems.prod.rollout.nodes.all.disks]\nmin_size = \"1GiB\"\n\
    [lifecycle]\nmode = \"act\"\n[fleet.static.one]\naddress = \"10.9.0.1\"\n";

/// In the order in which they must come, with the type of the interface.
const ADDITIONS: [(&str, &str); 5] = [
    ("add_domain", "ProtectionDomain"),
    ("add_fault_set", "FaultSet"),
    ("add_pool", "StoragePool"),
    ("add_sds", "Sds"),
    ("add_device", "Device"),
];

/// How many of a type the system has.
fn count(site: &Site, of: &str) -> usize {
    site.world.world(|world| match of {
        "ProtectionDomain" => world.domains.len(),
        "FaultSet" => world.fault_sets.len(),
        "StoragePool" => world.pools.len(),
        "Sds" => world.sds.len(),
        _ => world.devices.len(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_or_after_any_addition_adds_it_once() {
    let mut site = Site::start(MORE).await;
    packages(&site);
    site.kill();
    site.run().await;
    let hosts = none(&site);
    let node = host(&site, &hosts, 1, "one", OS, &[("/dev/sdb", scaleio_framework::stage::Disk::Blank)]);
    let before: Vec<usize> = ADDITIONS.iter().map(|(_, of)| count(&site, of)).collect();
    let mut killed = BTreeSet::new();
    let path = |of: &str| format!("POST /api/types/{of}/instances");
    // Each is in the way of the first request of its kind, also of a controller that has just begun.
    for (_, of) in ADDITIONS {
        site.world.faults().add(Fault::times(1, Word::Drop, &path(of)));
    }
    for ((effect, of), there) in ADDITIONS.iter().zip(&before) {
        // The first is never obeyed; of the second the answer is on its way for longer than the controller lives.
        for (word, done) in [(Word::Drop, 0), (Word::Slow(1), 1)] {
            until(&format!("{effect}, with {word}"), async || {
                tick(&site, &hosts);
                let fell = !site.world.faults().active().iter().any(|fault| fault.path == path(of));
                (fell && count(&site, of) == there + done).then_some(())
            })
            .await;
            site.kill();
            assert_eq!(count(&site, of), there + done, "{effect}, with {word}");
            if word == Word::Drop {
                site.world.faults().add(Fault::times(1, Word::Slow(1), &path(of)));
            }
            site.run().await;
        }
        killed.insert((*effect).to_owned());
    }
    phase(&site, &hosts, "one", "ready").await;
    let after: Vec<usize> = ADDITIONS.iter().map(|(_, of)| count(&site, of)).collect();
    assert_eq!(after, before.iter().map(|there| there + 1).collect::<Vec<_>>(), "each once");
    assert_eq!(devices(&site, "10.9.0.1"), ["/dev/sdb"]);
    assert_eq!(node.machine().node.effects["install"], 2, "SDS and SDC, each once");
    assert_eq!(killed, effects::of("a_kill_before_or_after_any_addition_adds_it_once"));
}

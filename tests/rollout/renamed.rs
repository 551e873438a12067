//! Whether the same disks are meant after a boot at which their names changed places, and given by names that stay.

use scaleio_framework::sim::world::Id;
use scaleio_framework::stage::{Disk, Host, Hosts};

use crate::cluster::until;
use crate::ready::{OS, devices, host, none, packages, phase, tick};
use crate::site::Site;

async fn start(more: &str) -> Site {
    let mut site = Site::start(&format!(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n{more}\
         [lifecycle]\nmode = \"act\"\n[fleet.static.one]\naddress = \"10.9.0.1\"\n"
    ))
    .await;
    packages(&site);
    site.kill();
    site.run().await;
    site
}

const DISKS: [(&str, Disk); 2] = [("/dev/sdb", Disk::Blank), ("/dev/sdc", Disk::Blank)];

/// Two disks change places, and the node is looked at anew.
async fn swapped(site: &Site, hosts: &Hosts, one: &Host) {
    one.machine().boot_with_other_names("/dev/sdb", "/dev/sdc");
    until("the disks to be looked at under their new names", async || {
        tick(site, hosts);
        let node = site.node("one").await?;
        let sdc = node["disks"].as_array()?.iter().find(|disk| disk["path"] == "/dev/sdc")?.clone();
        sdc["not_free"].to_string().contains("open for itself alone").then_some(())
    })
    .await;
    phase(site, hosts, "one", "ready").await;
}

/// What the MDM calls a device now.
fn rename(site: &Site, from: &str, to: &str) {
    site.world.world(|world| {
        let ids: Vec<Id> =
            world.sds.values().filter(|sds| sds.ips.iter().any(|ip| ip.ip == "10.9.0.1")).map(|sds| sds.id).collect();
        for device in world.devices.values_mut().filter(|device| ids.contains(&device.sds) && device.path == from) {
            device.path = to.to_owned();
        }
    });
}

/// How many snapshots there were of the system.
async fn looks(site: &Site) -> f64 {
    let text = site.text("/metrics").await;
    let line = text.lines().find(|line| line.starts_with("scaleio_snapshot_seq{")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

async fn nothing_is_claimed(site: &Site, hosts: &Hosts, one: &Host, wanted: &[&str]) {
    // Whoever would has had time for it after so many looks at the system: one to decide, one to add, one to see it.
    let first = looks(site).await;
    until("the system to be looked at again and again", async || {
        tick(site, hosts);
        assert_eq!(devices(site, "10.9.0.1"), wanted);
        (looks(site).await >= first + 5.0).then_some(())
    })
    .await;
    assert!(!one.holds("/dev/sdb"), "the other disk is left alone");
    let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(!told.contains("that nobody wishes") && !told.contains("to be done"), "no drift, nothing to add: {told}");
    assert_eq!(site.node("one").await.unwrap()["phase"], "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_was_denied_by_its_name_is_not_taken_when_it_has_another_one() {
    let site = start("[systems.prod.rollout.disks]\ndeny = [\"/dev/sdc\"]\n").await;
    let hosts = none(&site);
    let one = host(&site, &hosts, 1, "one", OS, &DISKS);
    phase(&site, &hosts, "one", "ready").await;
    assert_eq!(devices(&site, "10.9.0.1"), ["/dev/sdb"]);
    assert!(one.holds("/dev/sdb"));

    swapped(&site, &hosts, &one).await;
    assert!(one.holds("/dev/sdc"), "the SDS has found its disk again");
    nothing_is_claimed(&site, &hosts, &one, &["/dev/sdb"]).await;
    // The MDM may call it by its new name sooner or later.
    rename(&site, "/dev/sdb", "/dev/sdc");
    nothing_is_claimed(&site, &hosts, &one, &["/dev/sdc"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_are_given_by_names_that_stay_where_the_configuration_says_so() {
    let site = start("device_names = \"by_id\"\n[systems.prod.rollout.disks]\ndeny = [\"*/scsi-one2\"]\n").await;
    let hosts = none(&site);
    let one = host(&site, &hosts, 1, "one", OS, &DISKS);
    phase(&site, &hosts, "one", "ready").await;
    let stays = "/dev/disk/by-id/scsi-one1";
    assert_eq!(devices(&site, "10.9.0.1"), [stays]);
    swapped(&site, &hosts, &one).await;
    nothing_is_claimed(&site, &hosts, &one, &[stays]).await;
    // What it is called by the kernel is as good.
    rename(&site, stays, "/dev/sdc");
    nothing_is_claimed(&site, &hosts, &one, &["/dev/sdc"]).await;
}

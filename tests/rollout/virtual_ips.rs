//! Whether a cluster that is made gets its virtual address, on managers that can carry it, and clients know that one.

use scaleio_framework::sim::world::Layout;
use scaleio_framework::stage::{Disk, Spec};

use crate::cluster::until;
use crate::ready::{OS, at_work, host, none, packages, phase};
use crate::site::Site;

const MOVING: &str = "10.9.0.100";

/// A name as clouds give them, which no MDM takes.
const LONG: &str = "ip-10-9-0-3.us-west-2.compute.internal";

async fn start() -> Site {
    let hosts: String = (1..)
        .zip(["one", "two", LONG])
        .map(|(number, name): (u8, _)| format!("[fleet.static.\"{name}\"]\naddress = \"10.9.0.{number}\"\n"))
        .collect();
    let more = format!(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n\
         [systems.prod.rollout.mdm]\naccept = [\"login_at_prompt\", \"set_password_at_prompt\"]\n\
         virtual_ips = [\"{MOVING}\"]\nvirtual_ip_interfaces = [\"eth0\"]\n\
         [systems.prod.rollout.mdm.virtual_ip_interfaces_of]\none = \"bond7\"\n[lifecycle]\nmode = \"act\"\n{hosts}"
    );
    let mut site = Site::of(Layout::bare(), &more).await;
    packages(&site);
    site.kill();
    site.run().await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_gets_its_virtual_address_on_managers_that_can_carry_it() {
    let site = start().await;
    let hosts = none(&site);
    // The best seat would be its own; it has no such interface.
    let one = host(&site, &hosts, 1, "one", OS, &[("/dev/sdb", Disk::Blank)]);
    let two = hosts.add(&Spec::new("two", "10.9.0.2").disk("/dev/sdb", Disk::Blank)).unwrap();
    let neighbour =
        format!("IP address HW type Flags HW address Mask Device\n{MOVING} 0x1 0x2 52:54:00:12:34:56 * eth0\n");
    two.machine().node.files.insert("/proc/net/arp".to_owned(), neighbour.into_bytes());
    at_work(&site, &two);
    host(&site, &hosts, 3, LONG, OS, &[("/dev/sdb", Disk::Blank)]);
    let failed = phase(&site, &hosts, "two", "failed").await;
    assert!(failed["because"].to_string().contains(&format!("virtual address {MOVING} is free")), "{failed}");
    assert_eq!(hosts.mdm_changes(), [] as [&str; 0], "nothing is made while somebody has the address");
    two.machine().node.files.remove("/proc/net/arp");

    for name in ["one", "two", LONG] {
        phase(&site, &hosts, name, "ready").await;
    }
    let told = until("the seats to be told", async || {
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        told.contains("one is tie-breaker").then_some(told)
    })
    .await;
    assert!(told.contains("two is manager") && told.contains(&format!("{LONG} is manager")), "{told}");
    assert_eq!(site.world.world(|world| world.cluster_ips.clone()), [MOVING]);
    let mut names: Vec<String> = site.world.world(|world| {
        let members = world.mdm.members.iter().map(|member| member.name.clone());
        members.chain(world.sds.values().map(|sds| sds.name.clone())).collect()
    });
    names.sort_unstable();
    let short = &names[0];
    assert!(short.starts_with("ip-10-9-0-3-") && short.len() <= 31, "{names:?}");
    assert_eq!(names, [short, short, "one", "one", "two", "two"]);
    for host in hosts.all() {
        let machine = host.machine();
        let known: Vec<Vec<String>> = machine.node.mdms.iter().map(|(ips, _)| ips.clone()).collect();
        assert_eq!(known, [[MOVING]], "{}: its client knows the address that moves", host.name);
    }
    let made: Vec<String> = hosts
        .all()
        .iter()
        .flat_map(|host| host.machine().deeds.clone())
        .filter(|deed| deed.contains("virtual_ip"))
        .collect();
    assert_eq!(made.len(), 2, "the one that makes it and the other manager: {made:?}");
    assert!(made.iter().all(|deed| deed.contains("_virtual_ip_interface eth0")), "{made:?}");
    let rows = site.node("one").await.unwrap()["preflight"].to_string();
    assert!(rows.contains("there is no interface bond7") && !rows.contains("is free"), "{rows}");
    drop(one);
}

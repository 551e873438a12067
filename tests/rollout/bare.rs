//! Whether bare hosts become a whole system: an MDM cluster, then servers,
//! disks and clients, whatever happens to the controller meanwhile.

use scaleio_framework::sim::world::Layout;
use scaleio_framework::stage::{Disk, Hosts, Spec};

use crate::cluster::until;
use crate::ready::{OS, at_work, devices, host, none, packages, phase, tick};
use crate::site::Site;

const ACCEPTED: &str = "accept = [\"login_at_prompt\", \"set_password_at_prompt\"]\n";

/// A system that is to be made of hosts of the configuration.
async fn bare(accept: &str, names: &[&str]) -> Site {
    bare_beside(accept, names, "").await
}

/// The same beside something else.
async fn bare_beside(accept: &str, names: &[&str], other: &str) -> Site {
    let hosts: String = (1..)
        .zip(names)
        .map(|(number, name): (u8, _)| format!("[fleet.static.{name}]\naddress = \"10.9.0.{number}\"\n"))
        .collect();
    let more = format!(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n\
         [systems.prod.rollout.mdm]\nname = \"fresh\"\n{accept}[lifecycle]\nmode = \"act\"\n{hosts}{other}"
    );
    let mut site = Site::of(Layout::bare(), &more).await;
    packages(&site);
    site.kill();
    site.run().await;
    site
}

const MADE: [&str; 6] = ["create one", "set_password", "add two", "add three", "switch 3", "rename fresh"];

/// The changes of the cluster. Whose package is installed first is taken in first, so these two are put in order.
fn made(hosts: &Hosts) -> Vec<String> {
    let mut made = hosts.mdm_changes();
    if let Some(added) = made.get_mut(2..4) {
        added.sort_unstable_by(|one, other| other.cmp(one));
    }
    made
}

async fn until_told(site: &Site, hosts: &Hosts, what: &str, words: &str) -> String {
    until(what, async || {
        tick(site, hosts);
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        told.contains(words).then_some(told)
    })
    .await
}

async fn until_because(site: &Site, hosts: &Hosts, name: &str, words: &str) {
    until(&format!("{name} to say: {words}"), async || {
        tick(site, hosts);
        site.node(name).await?["because"].to_string().contains(words).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_bare_hosts_become_a_system_and_a_fourth_joins_it() {
    let names = ["one", "two", "three", "four"];
    // The gateway of another system is on the host of one of them.
    let other = "[systems.other]\ngateways = [\"https://10.9.0.3\"]\nca_file = \"prod.pem\"\n\
                 [systems.other.monitor]\nuser = \"m\"\npassword_file = \"monitor.password\"\n";
    let site = bare_beside(ACCEPTED, &names, other).await;
    let hosts = none(&site);
    let one = host(&site, &hosts, 1, "one", OS, &[("/dev/sdb", Disk::Blank), ("/dev/sdc", Disk::Data)]);
    host(&site, &hosts, 2, "two", OS, &[("/dev/sdb", Disk::Blank)]);
    phase(&site, &hosts, "one", "wanted").await;
    let words = "no node for a tie-breaker: one is manager; two is manager";
    until_told(&site, &hosts, "the seat that nobody can take", words).await;
    host(&site, &hosts, 3, "three", OS, &[("/dev/sdb", Disk::Blank)]);
    for name in &names[..3] {
        phase(&site, &hosts, name, "ready").await;
    }
    assert_eq!(made(&hosts), MADE);
    let (mode, name) = site.world.world(|world| (world.mdm.mode(), world.system.name.clone()));
    assert_eq!((mode, name.as_str()), ("ThreeNodes", "fresh"));
    assert_eq!(one.mdm_password().as_deref(), Some(site.world.admin().password.as_str()));
    for host in hosts.all() {
        let machine = host.machine();
        let seen = machine.deeds.iter().any(|deed| deed.contains(&site.world.admin().password));
        assert!(!seen, "no password is among arguments: {:?}", machine.deeds);
    }
    let told = until_told(&site, &hosts, "the seats to be taken", "three is tie-breaker").await;
    assert!(told.contains("three carries a member of the MDM cluster and a gateway"), "{told}");
    assert!(!told.contains("not yet as it shall be"), "{told}");

    let four = host(&site, &hosts, 4, "four", OS, &[("/dev/sdb", Disk::Blank)]);
    phase(&site, &hosts, "four", "ready").await;
    assert_eq!(four.machine().node.effects["install"], 2, "no MDM there");
    assert_eq!(devices(&site, "10.9.0.1"), ["/dev/sdb"], "the disk with data is left alone");
    assert_eq!(one.machine().disks["/dev/sdc"], Disk::Data);
    let shown = site.node("one").await.unwrap();
    assert!(shown["disks"].to_string().contains("xfs"), "{shown}");
    assert!(shown["preflight"].as_array().is_some_and(|rows| rows.len() > 10), "{shown}");
    let (_, told) = site.sio(&["nodes", "one"]).await;
    assert!(told.contains("one  ready") && told.contains("reach 10.9.0.1:6611 (MDM, for clients)"), "{told}");
    let text = site.text("/metrics").await;
    for line in [
        "scaleio_framework_steps_total{step=\"mdm_create\",result=\"ok\"} 1",
        "scaleio_framework_steps_total{step=\"preflight\",result=\"ok\"}",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_at_each_change_makes_one_cluster() {
    let names = ["one", "two", "three"];
    let mut site = bare(ACCEPTED, &names).await;
    let hosts = none(&site);
    for (number, name) in (1..).zip(names) {
        host(&site, &hosts, number, name, OS, &[("/dev/sdb", Disk::Blank)]);
    }
    for number in 1..=MADE.len() {
        until("the next change of the cluster", async || {
            tick(&site, &hosts);
            (hosts.mdm_changes().len() >= number).then_some(())
        })
        .await;
        site.kill();
        tick(&site, &hosts);
        site.run().await;
    }
    for name in names {
        phase(&site, &hosts, name, "ready").await;
    }
    // A host whose package comes late is taken in after the name was given.
    let sorted = |mut changes: Vec<String>| {
        changes.sort_unstable();
        changes
    };
    assert_eq!(sorted(hosts.mdm_changes()), sorted(MADE.map(str::to_owned).into()), "each command once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_seen_waits_for_a_person_and_a_red_row_holds_a_node() {
    let names = ["one", "two", "three"];
    let site = bare("", &names).await;
    let hosts = none(&site);
    let one = hosts.add(&Spec::new("one", "10.9.0.1").disk("/dev/sdb", Disk::Blank)).unwrap();
    // Somebody else listens where the SDS shall.
    one.machine().node.running.insert("other".to_owned(), 7072);
    at_work(&site, &one);
    for (number, name) in (2..).zip(&names[1..]) {
        host(&site, &hosts, number, name, OS, &[("/dev/sdb", Disk::Blank)]);
    }
    until_because(&site, &hosts, "one", "port 7072 (sds): taken by another program").await;
    assert_eq!(site.node("one").await.unwrap()["phase"], "failed");
    until_told(&site, &hosts, "a seat to stay free", "no node for a tie-breaker: three is manager").await;
    assert_eq!(hosts.mdm_changes(), [] as [&str; 0]);
    one.machine().node.running.remove("other");
    let words = "systems.prod.rollout.mdm.accept = [\"login_at_prompt\"]";
    until_told(&site, &hosts, "the command to wait for a person", words).await;
    assert_eq!(hosts.mdm_changes().len(), 1, "what was seen in use is done: {:?}", hosts.mdm_changes());
    // What a node waits for is decided at the next look, after what the plan shows.
    until_because(&site, &hosts, "two", "it waits for the MDM cluster").await;
}

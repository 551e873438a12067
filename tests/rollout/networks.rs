//! Whether servers and members of the MDM cluster get their addresses by networks: new ones at once, and those that are there
//! what they lack.

use std::collections::BTreeSet;
use std::fs;

use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Fault, Word};
use scaleio_framework::stage::{Disk, Host, Hosts, Spec};

use crate::cluster::until;
use crate::effects;
use crate::ready::{at_work, none, packages, phase, tick};
use crate::site::Site;

/// A host that is known by 10.9.0.NUMBER and has the same number in two networks of data.
fn host(site: &Site, hosts: &Hosts, number: u8, name: &str, networks: &[u8]) -> std::sync::Arc<Host> {
    let mut spec = Spec::new(name, &format!("10.9.0.{number}")).disk("/dev/sdb", Disk::Blank);
    spec.ips.extend(networks.iter().map(|network| format!("10.{network}.0.{number}")));
    let host = hosts.add(&spec).unwrap();
    at_work(site, &host);
    host
}

async fn start(layout: Layout, more: &str, names: &[&str]) -> Site {
    let hosts: String = (1..)
        .zip(names)
        .map(|(number, name): (u8, _)| format!("[fleet.static.{name}]\naddress = \"10.9.0.{number}\"\n"))
        .collect();
    let more = format!(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n{more}\
         [lifecycle]\nmode = \"act\"\n{hosts}"
    );
    let mut site = Site::of(layout, &more).await;
    packages(&site);
    site.kill();
    site.run().await;
    site
}

/// Addresses of a server with their roles, in order; empty: there is no such server.
fn addresses(site: &Site, name: &str) -> Vec<String> {
    site.world.world(|world| {
        let own: Vec<_> = world.sds.values().filter(|sds| sds.name == name).collect();
        assert!(own.len() <= 1, "{name} is there twice");
        let mut all: Vec<String> =
            own.iter().flat_map(|sds| &sds.ips).map(|address| format!("{} {}", address.ip, address.role)).collect();
        all.sort_unstable();
        all
    })
}

/// Starts the controller anew with another text in its configuration.
async fn reconfigure(site: &mut Site, from: &str, to: &str) {
    site.kill();
    let path = site.folder.path().join("sio.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in\n{text}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    site.run().await;
}

async fn until_addresses(site: &Site, hosts: &Hosts, name: &str, wanted: &[&str]) {
    until(&format!("{name} to be found at {wanted:?}"), async || {
        tick(site, hosts);
        (addresses(site, name) == wanted).then_some(())
    })
    .await;
}

const DATA: &str = "[systems.prod.rollout.networks]\ndata = [\"10.1.0.0/24\", \"10.2.0.0/24\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_found_in_all_networks_with_their_roles_and_one_that_is_not_in_all_is_left_out() {
    let site = start(crate::site::layout(), DATA, &["one", "two", "three"]).await;
    let hosts = none(&site);
    let _one = host(&site, &hosts, 1, "one", &[1, 2]);
    let _two = host(&site, &hosts, 2, "two", &[1]);
    let failed = phase(&site, &hosts, "two", "failed").await;
    let because = failed["because"].to_string();
    assert!(because.contains("has no address in network 10.2.0.0/24; it has 10.1.0.2, 10.9.0.2"), "{because}");
    phase(&site, &hosts, "one", "ready").await;
    assert_eq!(addresses(&site, "one"), ["10.1.0.1 all", "10.2.0.1 all"]);
    let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(told.contains("two has no address in network 10.2.0.0/24"), "{told}");
    assert_eq!(addresses(&site, "two"), [] as [&str; 0]);
}

/// A node that says by itself which addresses are for what.
const OWN: &str =
    "[fleet.static.two.attributes]\nscaleio-ip-sds-only = \"10.1.0.0/24\"\nscaleio-ip-sdc-only = \"10.2.0.2\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_s_attributes_go_before_the_networks_of_all() {
    let mut site = start(crate::site::layout(), DATA, &["one", "two"]).await;
    reconfigure(&mut site, "[fleet.static.two]", &format!("{OWN}[fleet.static.two]")).await;
    let hosts = none(&site);
    let _two = host(&site, &hosts, 2, "two", &[1, 2]);
    phase(&site, &hosts, "two", "ready").await;
    assert_eq!(addresses(&site, "two"), ["10.1.0.2 sdsOnly", "10.2.0.2 sdcOnly"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_before_or_after_an_address_or_a_role_gives_it_once() {
    let one_network = "[systems.prod.rollout.networks]\ndata = [\"10.1.0.0/24\"]\n";
    let mut site = start(crate::site::layout(), one_network, &["one"]).await;
    let hosts = none(&site);
    let _one = host(&site, &hosts, 1, "one", &[1, 2]);
    phase(&site, &hosts, "one", "ready").await;
    assert_eq!(addresses(&site, "one"), ["10.1.0.1 all"]);
    let mut killed = BTreeSet::new();
    let id = site.world.world(|world| world.sds.values().find(|sds| sds.name == "one").unwrap().id);
    let cases = [
        (
            "add_sds_ip",
            "addSdsIp",
            "data = [\"10.1.0.0/24\"]",
            "data = [\"10.1.0.0/24\", \"10.2.0.0/24\"]",
            ["10.1.0.1 all", "10.2.0.1 all"],
        ),
        (
            "set_sds_ip_role",
            "setSdsIpRole",
            "data = [\"10.1.0.0/24\", \"10.2.0.0/24\"]",
            "data = [\"10.1.0.0/24\"]\nsds_only = [\"10.2.0.0/24\"]\nroles = \"exact\"",
            ["10.1.0.1 all", "10.2.0.1 sdsOnly"],
        ),
    ];
    for (effect, action, from, to, wanted) in cases {
        let path = format!("POST /api/instances/Sds::{id}/action/{action}");
        let before = addresses(&site, "one");
        site.world.faults().add(Fault::times(1, Word::Drop, &path));
        reconfigure(&mut site, from, to).await;
        // The first is never obeyed; of the second the answer is on its way for longer than the controller lives.
        for (word, done) in [(Word::Drop, false), (Word::Slow(1), true)] {
            until(&format!("{effect}, with {word}"), async || {
                tick(&site, &hosts);
                let fell = !site.world.faults().active().iter().any(|fault| fault.path == path);
                let is = addresses(&site, "one");
                (fell && is == if done { wanted.map(str::to_owned).to_vec() } else { before.clone() }).then_some(())
            })
            .await;
            site.kill();
            if word == Word::Drop {
                site.world.faults().add(Fault::times(1, Word::Slow(1), &path));
            }
            site.run().await;
        }
        phase(&site, &hosts, "one", "ready").await;
        assert_eq!(addresses(&site, "one"), wanted, "{effect}");
        killed.insert(effect.to_owned());
    }
    assert_eq!(killed, effects::of("a_kill_before_or_after_an_address_or_a_role_gives_it_once"));
    // Without a word for it, who is served by an address is not taken away.
    let swapped = "data = [\"10.2.0.0/24\"]\nsds_only = [\"10.1.0.0/24\"]\nroles = \"widen\"";
    reconfigure(&mut site, cases[1].3, swapped).await;
    until_addresses(&site, &hosts, "one", &["10.1.0.1 all", "10.2.0.1 all"]).await;
    let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
    assert!(told.contains("10.1.0.1 of the SDS of one serves all, not servers alone"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_server_gets_an_address_first_and_the_other_when_that_did_no_harm() {
    let one_network = "[systems.prod.rollout.networks]\ndata = [\"10.1.0.0/24\"]\n";
    let mut site = start(crate::site::layout(), one_network, &["one", "two"]).await;
    let hosts = none(&site);
    let _one = host(&site, &hosts, 1, "one", &[1, 2]);
    let _two = host(&site, &hosts, 2, "two", &[1, 2]);
    for name in ["one", "two"] {
        phase(&site, &hosts, name, "ready").await;
    }
    let both = "data = [\"10.1.0.0/24\", \"10.2.0.0/24\"]";
    reconfigure(&mut site, "data = [\"10.1.0.0/24\"]", both).await;
    let first = until("one of both to have the new address", async || {
        tick(&site, &hosts);
        ["one", "two"].into_iter().find(|name| addresses(&site, name).len() == 2)
    })
    .await;
    let other = if first == "one" { "two" } else { "one" };
    let told = until("what the other one waits for", async || {
        tick(&site, &hosts);
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        told.contains("whose addresses were changed just now").then_some(told)
    })
    .await;
    assert!(told.contains(&format!("it waits for what becomes of {first}")), "{told}");
    assert_eq!(addresses(&site, other).len(), 1, "{other} goes later");
    let number = if other == "one" { 1 } else { 2 };
    let wanted = [format!("10.1.0.{number} all"), format!("10.2.0.{number} all")];
    until_addresses(&site, &hosts, other, &wanted.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_new_cluster_are_found_in_the_data_networks_and_by_people_in_another() {
    let more = "[systems.prod.rollout.networks]\ndata = [\"10.1.0.0/24\", \"10.2.0.0/24\"]\nmanagement = [\"10.9.0.0/24\"]\n\
                [systems.prod.rollout.mdm]\naccept = [\"login_at_prompt\", \"set_password_at_prompt\"]\n";
    let site = start(Layout::bare(), more, &["one", "two", "three", "four"]).await;
    let hosts = none(&site);
    // The one that is in one network alone gets no seat.
    let kept: Vec<_> = (1..)
        .zip([("one", &[1, 2][..]), ("two", &[1]), ("three", &[1, 2]), ("four", &[1, 2])])
        .map(|(number, (name, networks))| host(&site, &hosts, number, name, networks))
        .collect();
    for name in ["one", "three", "four"] {
        phase(&site, &hosts, name, "ready").await;
    }
    let mut members: Vec<(String, String, String)> = site.world.world(|world| {
        let told = |member: &scaleio_framework::sim::world::Mdm| {
            (member.name.clone(), member.ips.join(" "), member.management_ips.join(" "))
        };
        world.mdm.members.iter().map(told).collect()
    });
    members.sort_unstable();
    let member = |name: &str, number: u8, management: &str| {
        (name.to_owned(), format!("10.1.0.{number} 10.2.0.{number}"), management.to_owned())
    };
    // A tie-breaker has none of its own for people.
    assert_eq!(
        members,
        [member("four", 4, "10.9.0.4"), member("one", 1, "10.9.0.1"), member("three", 3, "10.1.0.3 10.2.0.3")]
    );
    for host in kept.iter().filter(|host| host.name != "two") {
        let machine = host.machine();
        let known: Vec<String> = machine.node.mdms.iter().map(|(ips, _)| ips.join(" ")).collect();
        assert_eq!(known, ["10.1.0.1 10.1.0.4 10.2.0.1 10.2.0.4"], "{}: clients come by the data networks", host.name);
    }
    let told = until("the seats to be told", async || {
        tick(&site, &hosts);
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        told.contains("one is manager at 10.1.0.1, 10.2.0.1, for people and gateways at 10.9.0.1").then_some(told)
    })
    .await;
    assert!(told.contains("three is tie-breaker at 10.1.0.3, 10.2.0.3"), "{told}");
}

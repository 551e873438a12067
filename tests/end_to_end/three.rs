//! Three bare agents become a cluster, a fourth one joins late, and takes the place of a manager that is lost. A fifth one
//! has no package manager and a `/usr` that cannot be written.

use crate::site::{RELEASE, Site, name};

/// The changes of the cluster. Whose package is installed first is taken in first, so these two are put in order.
fn made(site: &Site) -> Vec<String> {
    let mut made = site.shows.changes();
    if let Some(added) = made.get_mut(2..4) {
        added.sort_unstable();
    }
    made
}

const MADE: [&str; 6] = ["create e1", "set_password", "add e2", "add e3", "switch 3", "rename fresh"];

/// Whom the client of a host knows.
fn known(site: &Site, number: u8) -> String {
    let told = site.inside(number, &["cat", "/etc/emc/scaleio/drv_cfg.txt"]);
    told.lines().filter_map(|line| line.strip_prefix("mdm ")).collect()
}

fn list(site: &Site, numbers: [u8; 2]) -> String {
    numbers.map(|number| site.ip(number)).join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn three_bare_agents_become_a_cluster_and_a_late_one_takes_the_place_of_a_lost_manager() {
    // The tie-breaker carries the gateway, so that a manager can be lost.
    let mut site = Site::open(3, "lost_after = \"2m\"\n").await;
    for number in 1..=3 {
        site.boot(number);
    }
    site.ready(1..=3).await;
    assert_eq!(made(&site), MADE);
    assert_eq!(site.cluster(), ("ThreeNodes", "ClusteredNormal"));
    (1..=3).for_each(|number| site.assert_whole(number));
    assert_eq!(known(&site, 3), list(&site, [1, 2]));
    let properties = "/opt/emc/scaleio/gateway/webapps/ROOT/WEB-INF/classes/gatewayUser.properties";
    let told = |site: &Site| site.inside(3, &["grep", "mdm.ip.addresses", properties]);
    assert_eq!(told(&site), format!("mdm.ip.addresses={}", list(&site, [1, 2])));
    assert_eq!(site.inside(3, &["systemctl", "is-active", "scaleio-gateway"]), "active");

    site.boot(4);
    site.ready([4]).await;
    site.assert_whole(4);
    assert_eq!(site.inside(4, &["rpm", "-qa", "EMC-ScaleIO-mdm"]), "", "no MDM there");

    // The one that leads loses its power for good.
    site.power(1, false);
    site.until("the cluster to miss it", async |site| (site.cluster().1 == "ClusteredDegraded").then_some(())).await;
    let (good, held) = site.sio(&["rollout", "give-up", "e1", "--by", "ada"]);
    assert!(!good && held.contains("e1 is not given up: its agent was heard"), "{held}");
    // A node that comes now gets all that it needs, and waits for a cluster that is well. No seat is ever offered to it.
    site.boot_flatcar(5);
    site.until("a late node to wait for the cluster", async |site| {
        let node = site.node(5).await?;
        (node["phase"] == "joining" && node["because"].to_string().contains("ClusteredDegraded")).then_some(())
    })
    .await;
    assert_eq!(made(&site), MADE, "nobody is replaced unasked");

    // It is given up, once it may be.
    site.until("the gate to let a member be given up", async |site| {
        let (good, _) = site.sio(&["rollout", "give-up", "e1", "--by", "ada"]);
        good.then_some(())
    })
    .await;
    site.until("the cluster to be whole", async |site| (site.cluster().1 == "ClusteredNormal").then_some(())).await;
    let added = ["add e4", "replace e1 by e4", "remove e1"];
    site.until("the lost one to be taken out", async |site| {
        (site.shows.changes().get(MADE.len()..) == Some(&added.map(str::to_owned)[..])).then_some(())
    })
    .await;
    assert_eq!(site.inside(4, &["cat", "/opt/emc/scaleio/mdm/cfg/conf.txt"]), "actor_role_is_manager=1");
    for number in 2..=5 {
        site.until("clients to know the new managers", async |site| {
            (known(site, number) == list(site, [2, 4])).then_some(())
        })
        .await;
    }
    site.until("the gateway to know the new managers", async |site| {
        (told(site) == format!("mdm.ip.addresses={}", list(site, [2, 4]))).then_some(())
    })
    .await;
    site.ready(2..=5).await;
    (2..=5).for_each(|number| site.assert_whole(number));
    flatcar_over_a_reboot(&site).await;
    let (_, told) = site.sio(&["nodes"]);
    assert!((2..=5).all(|number| told.contains(&format!("{}  ready", name(number)))), "{told}");
}

/// The host without a package manager has plain files and a module of the bundle, and both again after a reboot.
async fn flatcar_over_a_reboot(site: &Site) {
    let touched = site.inside(5, &["sh", "-c", "touch /usr/x 2>&1"]);
    assert!(touched.contains("Read-only file system"), "/usr is only read: {touched}");
    site.inside(5, &["systemctl", "reboot"]);
    site.until("the system to miss it", async |site| (!site.serves(5)).then_some(())).await;
    site.until("its services to serve", async |site| site.serves(5).then_some(())).await;
    for component in ["sds", "sdc"] {
        let used = site.inside(5, &["readlink", &format!("/opt/emc/scaleio/{component}")]);
        assert_eq!(used, format!("/opt/emc/scaleio/bare/{component}-{RELEASE}"));
    }
    assert_eq!(site.inside(5, &["cat", "/run/stub/loaded"]), format!("scini {RELEASE}"), "the module is loaded again");
    site.ready([5]).await;
    site.assert_whole(5);
}

//! Clusters of one and of five; reboots and cut power while hosts become ready.

use std::time::Duration;

use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn one_bare_agent_becomes_a_cluster_of_one_and_goes_on_after_its_power_was_cut() {
    let mut site = Site::open(1, "members = 1\n").await;
    site.boot(1);
    site.ready([1]).await;
    assert_eq!(site.shows.changes(), ["create e1", "set_password", "rename fresh"]);
    assert_eq!(site.cluster(), ("OneNode", "ClusteredNormal"));
    site.assert_whole(1);
    site.power(1, false);
    site.until("the system to miss it", async |site| (site.cluster().1 == "ClusteredDegraded").then_some(())).await;
    site.power(1, true);
    site.until("the cluster to be whole", async |site| (site.cluster().1 == "ClusteredNormal").then_some(())).await;
    site.until("its services to serve", async |site| site.serves(1).then_some(())).await;
    site.ready([1]).await;
    site.assert_whole(1);
    assert_eq!(site.shows.changes().len(), 3, "nothing is done twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_bare_agents_become_a_cluster_of_five_whatever_happens_to_hosts_and_controller() {
    let mut site = Site::open(5, "members = 5\n").await;
    for number in 1..=5 {
        site.boot(number);
    }
    // A host loses its power in the middle of its first package.
    site.until("a package to be installed", async |site| {
        (1..=4).find(|number| site.inside(*number, &["pgrep", "-x", "rpm|rpm.bin"]).lines().count() > 0)
    })
    .await;
    site.power(2, false);
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.power(2, true);
    // Another one is restarted once the cluster exists, and the controller is killed meanwhile.
    site.until("the cluster to exist", async |site| (site.shows.changes().len() >= 3).then_some(())).await;
    site.inside(3, &["systemctl", "reboot"]);
    site.kill();
    site.run().await;
    site.until("five to vote", async |site| (site.cluster() == ("FiveNodes", "ClusteredNormal")).then_some(())).await;
    // And one while its server joins.
    site.power(4, false);
    site.power(4, true);
    site.ready(1..=5).await;
    site.until("all services to serve", async |site| (1..=5).all(|number| site.serves(number)).then_some(())).await;
    site.ready(1..=5).await;
    (1..=5).for_each(|number| site.assert_whole_after(number, usize::from(number == 2)));
    let mut once = site.shows.changes();
    let all = once.len();
    once.sort_unstable();
    once.dedup();
    assert_eq!((once.len(), all), (8, 8), "each command once: {:?}", site.shows.changes());
}

//! Three bare agents become a cluster, a fourth one joins late, and takes the place of one that is lost.

use crate::site::{Site, name};

/// The changes of the cluster. Whose package is installed first is taken in first, so these two are put in order.
fn made(site: &Site) -> Vec<String> {
    let mut made = site.shows.changes();
    if let Some(added) = made.get_mut(2..4) {
        added.sort_unstable();
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn three_bare_agents_become_a_cluster_and_a_late_one_joins_without_a_hand() {
    // The tie-breaker carries the gateway, so that a manager can be lost.
    let mut site = Site::open(3, "").await;
    for number in 1..=3 {
        site.boot(number);
    }
    site.ready(1..=3).await;
    assert_eq!(made(&site), ["create e1", "set_password", "add e2", "add e3", "switch 3", "rename fresh"]);
    assert_eq!(site.cluster(), ("ThreeNodes".to_owned(), "ClusteredNormal".to_owned()));
    (1..=3).for_each(|number| site.assert_whole(number));
    assert_eq!(site.inside(3, &["systemctl", "is-active", "scaleio-gateway"]), "active");

    site.boot(4);
    site.ready([4]).await;
    site.assert_whole(4);
    assert_eq!(site.inside(4, &["rpm", "-qa", "EMC-ScaleIO-mdm"]), "", "no MDM there");
    let (_, told) = site.sio(&["nodes"]);
    assert!((1..=4).all(|number| told.contains(&format!("{}  ready", name(number)))), "{told}");
}

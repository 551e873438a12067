//! Is what a scraper reads of each release what the world holds?

use std::process::{Command, Stdio};

use scaleio_framework::sim::Release;

use crate::site::{Site, still};

/// Families by release that has them first. Older ones have no source for them.
const SINCE: [(&str, Release); 6] = [
    ("scaleio_sds_maintenance", Release::V2_0),
    ("scaleio_snapshot_policy_interval_seconds", Release::V3_0),
    ("scaleio_system_device_errors_total", Release::V3_0),
    ("scaleio_replication_group_info", Release::V3_6),
    ("scaleio_sdr_mdm_connected", Release::V3_6),
    ("scaleio_sdt_mdm_connected", Release::V4_5),
];

async fn is_told_as_it_is(release: Release) {
    let world = still(release).await;
    let site = Site::watching(&[("prod", &world)], |_| {}).await;
    let scrape = site.knows("prod", &world).await;

    // A system in trouble is told as well as one in health.
    world.world(|world| {
        world.fail_device("dev-1-1-1").unwrap();
        world.fail_sds("sds-2-1").unwrap();
        world.fail_mdm("mdm-2").unwrap();
    });
    world.advance(std::time::Duration::from_secs(20));
    let troubled = site.knows("prod", &world).await;

    for scrape in [&scrape, &troubled] {
        assert_eq!(scrape.families.get("scaleio_collector_errors_total").map_or(0, |f| f.samples.len()), 0);
        for (family, since) in SINCE {
            let told = scrape.families.contains_key(family);
            assert!(!told || release >= since, "{family} on {release}");
        }
    }
    lint(&site.get("/metrics").await.text().await.unwrap());
}

fn lint(text: &str) {
    use std::io::Write as _;
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is not here; apt-get install prometheus");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success() && said.iter().all(String::is_empty), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_2_0_system_is_told_as_it_is() {
    is_told_as_it_is(Release::V2_0).await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_2_6_system_is_told_as_it_is() {
    is_told_as_it_is(Release::V2_6).await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_3_0_system_is_told_as_it_is() {
    is_told_as_it_is(Release::V3_0).await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_3_6_system_is_told_as_it_is() {
    is_told_as_it_is(Release::V3_6).await;
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_4_5_system_is_told_as_it_is() {
    is_told_as_it_is(Release::V4_5).await;
}

//! Whether LIA comes to nodes where it is asked for, with a token that nobody sees, and stays there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use scaleio_framework::agent::recipes::os::Books;
use scaleio_framework::model::order::Component;
use scaleio_framework::sim::node::{LIA_ID, LIA_TOKEN};
use scaleio_framework::stage::{Disk, package};

use crate::cluster::until;
use crate::ready::{OS, host, none, packages, phase, tick};
use crate::site::Site;

const TOKEN: &str = "lia-hunter2";

/// Hosts of the configuration, which shall have LIA.
async fn start(more: &str, with_package: bool) -> Site {
    let mut site = Site::start(
        "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n\
         [lifecycle]\nmode = \"act\"\n\
         [fleet.static.one]\naddress = \"10.9.0.1\"\n[fleet.static.two]\naddress = \"10.9.0.2\"\n",
    )
    .await;
    packages(&site);
    if with_package {
        lia(&site);
    }
    let token = site.folder.path().join("lia.token");
    fs::write(&token, format!("{TOKEN}\n")).unwrap();
    fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
    let config = site.folder.path().join("sio.toml");
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("[lifecycle]", &format!("{more}[systems.prod.rollout.lia]\ntoken_file = \"lia.token\"\n[lifecycle]"));
    fs::write(&config, text).unwrap();
    site.kill();
    site.run().await;
    site
}

fn lia(site: &Site) {
    let (name, text) = package(Component::Lia, "3.6-0.105", Books::Rpm);
    fs::write(site.folder.path().join("packages").join(name), text).unwrap();
}

/// The rollout of the test accepts what was seen with 2.0 only.
const ACCEPT: &str = "accept = [\"lia_installation_id\"]\n";

fn config(site: &Site, from: &str, to: &str) {
    let config = site.folder.path().join("sio.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&config, text.replace(from, to)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lia_comes_last_is_told_its_system_and_its_token_is_seen_nowhere() {
    let mut site = start("", true).await;
    let hosts = none(&site);
    let one = host(&site, &hosts, 1, "one", OS, &[("/dev/sdb", Disk::Blank)]);
    let shown = phase(&site, &hosts, "one", "ready").await;
    assert!(shown["because"].to_string().contains("lia_installation_id was never seen for release 3.5"), "{shown}");
    assert!(shown["preflight"].to_string().contains("port 9099 (lia)"), "{shown}");
    let file = |path: &str| one.machine().node.read(path).map(|text| String::from_utf8(text).unwrap());
    assert_eq!(file(LIA_TOKEN).as_deref(), Some("lia_token=lia-hunter2\n"));
    assert_eq!((file(LIA_ID), one.machine().node.running.get("lia")), (None, Some(&9099)));
    let packages: Vec<String> = one.machine().deeds.iter().filter(|deed| deed.starts_with("rpm -U")).cloned().collect();
    assert!(packages.len() == 3 && packages[2].contains("-lia-"), "{packages:?}");

    // Once a person has accepted it, it is told to which system it belongs; nothing is installed again.
    config(&site, "topology = \"one_pool\"\n", &format!("topology = \"one_pool\"\n{ACCEPT}"));
    site.kill();
    site.run().await;
    until("LIA to be told its system", async || {
        tick(&site, &hosts);
        file(LIA_ID).map(drop)
    })
    .await;
    phase(&site, &hosts, "one", "ready").await;
    let installation = site.world.world(|world| world.system.install_id.to_string());
    assert_eq!(file(LIA_ID), Some(format!("{installation}\n")));
    assert_eq!(one.machine().node.effects["install"], 3);

    // What is down is started, what was taken away comes back.
    assert_eq!(one.machine().node.run(&["systemctl", "stop", "lia"], &[].into(), false).status, 0);
    // An agent that starts looks at its host first; else it does so twice a minute.
    one.start_agent(vec![site.agents.clone()]);
    until("LIA to be up again", async || {
        tick(&site, &hosts);
        one.machine().node.running.contains_key("lia").then_some(())
    })
    .await;
    let sure = [("I_AM_SURE".to_owned(), "1".to_owned())].into();
    assert_eq!(one.machine().node.run(&["rpm", "-e", "EMC-ScaleIO-lia"], &sure, false).status, 0);
    one.start_agent(vec![site.agents.clone()]);
    until("LIA to be back", async || {
        tick(&site, &hosts);
        file(LIA_ID).filter(|_| one.machine().node.running.contains_key("lia")).map(drop)
    })
    .await;

    // Nobody sees the token.
    for deed in &one.machine().deeds {
        assert!(!deed.contains(TOKEN), "{deed}");
    }
    let mut looked = 0;
    for entry in walk(site.folder.path()) {
        let bytes = fs::read(&entry).unwrap();
        let is_own = entry.ends_with("lia.token");
        let has = String::from_utf8_lossy(&bytes).contains(TOKEN);
        assert_eq!(has, is_own, "{}", entry.display());
        looked += 1;
    }
    assert!(looked > 10, "store, logs, ledgers: {looked}");
    for path in ["/api/v1/nodes", "/metrics", "/api/v1/status"] {
        assert!(!site.text(path).await.contains(TOKEN), "{path}");
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let inside = |path: std::path::PathBuf| if path.is_dir() { walk(&path) } else { vec![path] };
    entries.flat_map(inside).filter(|path| fs::metadata(path).is_ok_and(|about| about.is_file())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_is_missing_is_told_and_where_lia_is_not_wanted_it_is_left_alone() {
    let mut site = start(ACCEPT, false).await;
    let hosts = none(&site);
    let one = host(&site, &hosts, 1, "one", OS, &[("/dev/sdb", Disk::Blank)]);
    let failed = phase(&site, &hosts, "one", "failed").await;
    assert!(failed["because"].to_string().contains("artefacts.folder has none of lia"), "{failed}");
    assert_eq!(one.machine().deeds, [] as [&str; 0], "nothing is half done");
    lia(&site);
    site.kill();
    site.run().await;
    phase(&site, &hosts, "one", "ready").await;
    assert!(one.machine().node.running.contains_key("lia"));

    config(&site, "token_file = \"lia.token\"\n", "token_file = \"lia.token\"\nnodes = \"mdm\"\n");
    site.kill();
    site.run().await;
    let two = host(&site, &hosts, 2, "two", OS, &[("/dev/sdb", Disk::Blank)]);
    phase(&site, &hosts, "two", "ready").await;
    assert_eq!(two.machine().node.effects["install"], 2, "no member of the MDM cluster is there");
    until("the other one to be told", async || {
        tick(&site, &hosts);
        // After a restart every step is looked at once more.
        let node = site.node("one").await.filter(|node| node["phase"] == "ready")?;
        node["because"].to_string().contains("LIA is installed, and the configuration does not want it").then_some(())
    })
    .await;
    assert!(one.machine().node.running.contains_key("lia"), "it is left alone");
}

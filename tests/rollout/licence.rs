//! Whether a system that is made gets its licence once, when it says that it lacks one, and nobody sees the text.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use scaleio_framework::sim::world::Layout;
use scaleio_framework::stage::{Disk, Hosts};

use crate::cluster::until;
use crate::ready::{OS, host, none, packages, phase, tick};
use crate::site::Site;

const TEXT: &str = "MIIDlicence-hunter2\nof two lines\n";

/// A cluster of one on a host of the configuration.
async fn start() -> Site {
    let more = "[systems.prod.rollout]\ntopology = \"one_pool\"\ndomain = \"bare\"\npool = \"spinning\"\n\
                [systems.prod.rollout.mdm]\nmembers = 1\naccept = [\"login_at_prompt\", \"set_password_at_prompt\"]\n\
                [lifecycle]\nmode = \"act\"\n[fleet.static.one]\naddress = \"10.9.0.1\"\n";
    let mut site = Site::of(Layout::bare(), more).await;
    packages(&site);
    site.kill();
    site.run().await;
    site
}

/// The configuration names a licence from now on.
async fn with_licence(site: &mut Site, text: &str) {
    let file = site.folder.path().join("scaleio.lic");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let config = site.folder.path().join("sio.toml");
    let told = fs::read_to_string(&config).unwrap();
    if !told.contains("licence_file") {
        fs::write(&config, told.replace("members = 1\n", "members = 1\nlicence_file = \"scaleio.lic\"\n")).unwrap();
    }
    site.kill();
    site.run().await;
}

async fn until_told(site: &Site, hosts: &Hosts, words: &str) -> String {
    until(&format!("the plan to tell: {words}"), async || {
        tick(site, hosts);
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        told.contains(words).then_some(told)
    })
    .await
}

fn licences(hosts: &Hosts) -> usize {
    hosts.mdm_changes().iter().filter(|change| *change == "licence").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_without_a_licence_goes_on_as_a_trial_and_says_so_and_gets_one_once() {
    let mut site = start().await;
    let hosts = none(&site);
    let one = host(&site, &hosts, 1, "one", OS, &[("/dev/sdb", Disk::Blank)]);
    phase(&site, &hosts, "one", "ready").await;
    let told = until_told(&site, &hosts, "the system goes on as a trial, which ends in 29 days").await;
    assert!(!told.contains("not yet as it shall be"), "that keeps nothing: {told}");
    assert_eq!(licences(&hosts), 0);

    with_licence(&mut site, TEXT).await;
    until("the licence to be set", async || {
        tick(&site, &hosts);
        (licences(&hosts) == 1).then_some(())
    })
    .await;
    until("the system to say so, and the plan to say nothing", async || {
        tick(&site, &hosts);
        let (_, told) = site.sio(&["plan", "rollout", "prod"]).await;
        let is_said = site.world.world(|world| world.system.is_licensed);
        (is_said && !told.contains("licence") && !told.contains("trial")).then_some(())
    })
    .await;
    // Neither a restart nor a lost note on the node lets it be set again.
    one.machine().node.files.retain(|path, _| !path.ends_with("/licence"));
    site.kill();
    site.run().await;
    phase(&site, &hosts, "one", "ready").await;
    let told = until_told(&site, &hosts, "one is manager").await;
    assert!(!told.contains("licence") && licences(&hosts) == 1, "{told}");

    // Another file is another licence, which somebody has put there.
    with_licence(&mut site, "MIIDlicence-hunter3").await;
    until("the other licence to be set", async || {
        tick(&site, &hosts);
        (licences(&hosts) == 2).then_some(())
    })
    .await;

    let secrets = ["hunter2", "hunter3"];
    for deed in &one.machine().deeds {
        assert!(secrets.iter().all(|secret| !deed.contains(secret)), "{deed}");
    }
    until("nothing of it to lie on the node", async || {
        let machine = one.machine();
        let lies = |text: &Vec<u8>| String::from_utf8_lossy(text).contains("hunter");
        (!machine.node.files.values().any(lies)).then_some(())
    })
    .await;
    let mut looked = 0;
    let mut folders = vec![site.folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if fs::metadata(&entry).is_ok_and(|about| about.is_file()) && !entry.ends_with("scaleio.lic") {
                let text = String::from_utf8_lossy(&fs::read(&entry).unwrap()).into_owned();
                assert!(secrets.iter().all(|secret| !text.contains(secret)), "{}", entry.display());
                looked += 1;
            }
        }
    }
    assert!(looked > 10, "store, logs, ledgers: {looked}");
}

//! A host like Flatcar: `/usr` cannot be written and there is no package
//! manager. Server and client come as plain files, are started again, brought
//! to another version, and taken away.
//!
//! Stubs of `insmod` and `rmmod` stand for a kernel that takes modules.

use std::time::Duration;

use scaleio_framework::model::order::{Component, Install, Outcome, Secrets, Task};

use crate::lab::{Lab, why};

const HOST: &str = "flatcar";

fn install(lab: &Lab, component: Component, version: &str, accepted: bool) -> Task {
    let artefact = lab.artefact(&format!("EMC-ScaleIO-{component}-{version}.x86_64.tgz"));
    let install = Install { component, artefact, mdms: vec!["192.0.2.1".parse().unwrap()] };
    Task::InstallBare { install, accepted }
}

#[track_caller]
fn assert_has(lab: &Lab, component: Component, unit: &str, version: &str) {
    let used = lab.inside(HOST, &["readlink", &format!("/opt/emc/scaleio/{component}")]);
    assert_eq!(used, format!("/opt/emc/scaleio/bare/{component}-{version}"));
    assert_eq!(lab.inside(HOST, &["systemctl", "is-active", unit]), "active", "{}", lab.journal(HOST));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_package_manager_gets_keeps_changes_and_loses_what_is_ordered() {
    let mut lab = Lab::open().await;
    // A host like it lays its own files over a /usr that is only read.
    lab.make(HOST, "flatcar", "");
    let usr = lab.root(HOST).join("usr").display().to_string();
    std::fs::write(lab.folder.path().join(HOST).join("opts"), format!("--bind-ro={usr}:/usr")).unwrap();
    lab.power(HOST, true);
    let none = Secrets::default;
    server(&mut lab).await;
    assert_eq!(lab.inside(HOST, &["sh", "-c", "touch /usr/x 2>&1 | grep -c 'Read-only'"]), "1", "/usr is only read");

    // The client: a module of the wrong kernel, then the right one.
    let task = install(&lab, Component::Sdc, "3.5-1.1", true);
    let failed = lab.does(HOST, task, none()).await;
    assert!(why(&failed).contains("it has 1.2.3-other"), "{failed:?}");
    assert_eq!(lab.inside(HOST, &["ls", "/opt/emc/scaleio"]), "bare\nsds", "nothing of it is used");
    let task = install(&lab, Component::Sdc, "3.6-100.101", true);
    lab.done(HOST, task.clone(), none()).await;
    assert_has(&lab, Component::Sdc, "scini", "3.6-100.101");
    assert_eq!(lab.inside(HOST, &["cat", "/run/stub/loaded"]), "scini 3.6-100.101");
    assert!(lab.inside(HOST, &["cat", "/dev/scini"]).ends_with("c 246 0"));
    let known = lab.inside(HOST, &["cat", "/etc/emc/scaleio/drv_cfg.txt"]);
    assert!(known.starts_with("ini_guid ") && known.ends_with("mdm 192.0.2.1"), "{known}");
    assert_eq!(lab.does(HOST, task, none()).await.outcome, Outcome::AlreadySo);
    let systems = vec![vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()]];
    lab.done(HOST, Task::ConnectSdc { systems, known: Vec::new() }, none()).await;
    let report = lab.reports[HOST].host.clone().unwrap();
    let kernel = lab.inside(HOST, &["uname", "-r"]);
    assert!(report.modules.contains(&kernel) && report.installed.contains_key("sdc"), "{report:?}");

    // Volumes in use keep the module where it is.
    lab.inside(HOST, &["sh", "-c", "echo 2 >/run/volumes"]);
    let newer = install(&lab, Component::Sdc, "3.6-200.1", true);
    assert!(why(&lab.does(HOST, newer.clone(), none()).await).contains("still has 2 volume(s)"));
    let remove = Task::Remove { component: Component::Sdc };
    assert!(why(&lab.does(HOST, remove.clone(), none()).await).contains("still has 2 volume(s)"));
    assert_has(&lab, Component::Sdc, "scini", "3.6-100.101");
    lab.inside(HOST, &["rm", "/run/volumes"]);
    lab.done(HOST, newer, none()).await;
    assert_eq!(lab.inside(HOST, &["cat", "/run/stub/loaded"]), "scini 3.6-200.1", "the module is the new one");
    let known = lab.inside(HOST, &["cat", "/etc/emc/scaleio/drv_cfg.txt"]);
    assert!(known.ends_with("mdm 192.0.2.1,192.0.2.2"), "what it knew stays: {known}");

    lab.done(HOST, remove.clone(), none()).await;
    assert_eq!(lab.inside(HOST, &["ls", "/run/stub"]), "", "the module is gone\n{}", lab.journal(HOST));
    assert_eq!(lab.does(HOST, remove, none()).await.outcome, Outcome::AlreadySo);
    lab.done(HOST, Task::Remove { component: Component::Sds }, none()).await;
    assert_eq!(lab.inside(HOST, &["ls", "-A", "/opt/emc/scaleio"]), "bare");
    assert_eq!(lab.inside(HOST, &["ls", "-A", "/opt/emc/scaleio/bare"]), "");
    assert_eq!(lab.inside(HOST, &["sh", "-c", "ls /etc/systemd/system/sds.service 2>/dev/null"]), "");
}

/// The server: in, stopped, over a reboot, up, and what goes wrong on the way.
async fn server(lab: &mut Lab) {
    let none = Secrets::default;
    let old = "3.5-1.1";
    let unaccepted = install(lab, Component::Sds, old, false);
    assert!(why(&lab.does(HOST, unaccepted, none()).await).contains("bare_sds was never seen"));
    let Task::InstallBare { install: as_package, .. } = install(lab, Component::Sds, old, true) else { panic!() };
    assert!(why(&lab.does(HOST, Task::Install(as_package), none()).await).contains("bare_sds was never seen"));
    let task = install(lab, Component::Sds, old, true);
    lab.done(HOST, task.clone(), none()).await;
    assert_has(lab, Component::Sds, "sds", old);
    assert_eq!(lab.does(HOST, task.clone(), none()).await.outcome, Outcome::AlreadySo);
    for running in [false, true] {
        lab.done(HOST, Task::Service { component: Component::Sds, running }, none()).await;
    }
    let boot_id = lab.reports[HOST].boot_id.clone();
    lab.done(HOST, Task::Reboot { boot_id }, none()).await;
    assert_eq!(lab.does(HOST, task.clone(), none()).await.outcome, Outcome::AlreadySo, "it is there after a reboot");

    // The agent is killed while a newer one is unpacked: the old one serves on, and the next life ends the step.
    lab.inside(HOST, &["touch", "/run/slow"]);
    let newer = install(lab, Component::Sds, "3.6-100.101", true);
    let id = lab.order(HOST, newer, none());
    while lab.inside(HOST, &["cat", "/run/tar.pid"]).is_empty() {
        lab.hear(Duration::from_millis(50)).await;
    }
    let agent = lab.inside(HOST, &["systemctl", "show", "-p", "MainPID", "--value", "sio-agent"]);
    lab.inside(HOST, &["kill", "-9", &agent]);
    assert_has(lab, Component::Sds, "sds", old);
    lab.inside(HOST, &["touch", "/run/go"]);
    assert_eq!(lab.outcome(HOST, &id).await.outcome, Outcome::Done, "{}", lab.journal(HOST));
    assert_has(lab, Component::Sds, "sds", "3.6-100.101");
    assert_eq!(lab.inside(HOST, &["ls", "/opt/emc/scaleio/bare"]), "sds-3.6-100.101", "the old one is gone");

    // Not down; a torn file and a full disk leave what there was.
    assert!(why(&lab.does(HOST, task, none()).await).contains("newer than 3.5-1.1"));
    let torn = install(lab, Component::Sds, "3.6-200.1", true);
    assert!(why(&lab.does(HOST, torn, none()).await).contains("tar"));
    assert_has(lab, Component::Sds, "sds", "3.6-100.101");
    lab.inside(HOST, &["mkdir", "-p", "/opt/emc/scaleio/bare/sds-3.6-300.1"]);
    lab.inside(HOST, &["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", "/opt/emc/scaleio/bare/sds-3.6-300.1"]);
    let last = install(lab, Component::Sds, "3.6-300.1", true);
    assert!(why(&lab.does(HOST, last.clone(), none()).await).contains("No space left"));
    assert_has(lab, Component::Sds, "sds", "3.6-100.101");
    lab.inside(HOST, &["umount", "/opt/emc/scaleio/bare/sds-3.6-300.1"]);
    lab.done(HOST, last, none()).await;
    assert_has(lab, Component::Sds, "sds", "3.6-300.1");
}

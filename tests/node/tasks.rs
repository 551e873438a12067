//! Each task on a simulated node: done, already so, refused, failed.

use scaleio_framework::agent::hooks::{FOLDER, Owned};
use scaleio_framework::model::order::{
    Artefact, Component, Consume, Finished, Hidden, Install, Order, OrderId, Outcome, Secrets, Task,
};
use scaleio_framework::model::version::Generation;

use sha2::{Digest, Sha256};

use super::simulated::{SimHost, live, order};

pub(crate) fn package(component: Component, version: &str, os: &str) -> (Artefact, String) {
    let word = component.as_str();
    let (books, name, unit) = match (os, component) {
        ("centos", _) => ("el7.x86_64.rpm", format!("EMC-ScaleIO-{word}"), word),
        _ => ("Ubuntu.18.04.x86_64.deb", format!("emc-scaleio-{word}"), word),
    };
    let unit = match component {
        Component::Sdc => "scini",
        Component::Gateway => "scaleio-gateway",
        _ => unit,
    };
    let file = format!("EMC-ScaleIO-{word}-{version}.{books}");
    let tag = if os == "centos" { ".el7" } else { "" };
    let content = format!("name={name}\nversion={version}{tag}\nunit={unit}\n");
    (Artefact { name: file, sha256: "0".repeat(64), size: content.len() as u64, url: None }, content)
}

pub(crate) fn node(os: &str) -> SimHost {
    SimHost::new(os, if os == "centos" { "7" } else { "18.04" })
}

/// Orders the installation of a component that the controller serves.
pub(crate) fn install(host: &mut SimHost, id: &str, component: Component, version: &str, os: &str) -> Order {
    let (artefact, content) = package(component, version, os);
    host.served.insert(artefact.name.clone(), content);
    let mdms = vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
    let password = Some(Hidden::new("hunter2"));
    let secrets = Secrets { lia_token: password.clone(), gateway_admin: password, ..Secrets::default() };
    Order { secrets, ..order(id, Task::Install(Install { component, artefact, mdms })) }
}

/// A node with a client, and the order by which its tasks get volumes.
pub(crate) fn consumer(id: &str) -> (SimHost, Order) {
    let mut host = node("ubuntu");
    let sdc = install(&mut host, "0", Component::Sdc, "3.6-1.1", "ubuntu");
    Place::new().does(&mut host, &sdc);
    let mut program = |name: &str| {
        let (name, content) = (format!("{name}-1.0"), format!("program {name}"));
        let sha256 = format!("{:x}", Sha256::digest(&content));
        host.served.insert(name.clone(), content);
        Some(Artefact { name, sha256, size: 1, url: None })
    };
    let consume = Consume {
        rexray: program("rexray"),
        dvdcli: program("dvdcli"),
        gateway: "https://gw.example.com".to_owned(),
        user: "rexray".to_owned(),
        system: "4c8a0b2300000001".to_owned(),
        domain: "d1".to_owned(),
        pool: "ssd".to_owned(),
        thin: true,
        preempts: true,
        trusts_any: false,
        generation: Generation::V2_0,
        accepted: false,
    };
    let secrets = Secrets { volumes: Some(Hidden::new("hunter2")), ..Secrets::default() };
    (host, Order { secrets, ..order(id, Task::ConsumeVolumes(Box::new(consume))) })
}

pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        // Thousands of ledgers are written here, and none has to outlive the machine.
        let memory = std::path::Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Self(place.unwrap())
    }

    pub(crate) fn ledger(&self) -> std::path::PathBuf {
        self.0.path().join("ledger")
    }

    pub(crate) fn does(&self, host: &mut SimHost, order: &Order) -> Finished {
        live(&self.ledger(), host, order).unwrap().unwrap()
    }
}

fn why(finished: &Finished) -> &str {
    match &finished.outcome {
        Outcome::Failed { why } | Outcome::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_package_is_installed_once_and_its_version_told() {
    for os in ["centos", "ubuntu"] {
        let (place, mut host) = (Place::new(), node(os));
        let first = install(&mut host, "1", Component::Sds, "3.6-100.101", os);
        let done = place.does(&mut host, &first);
        assert_eq!((done.outcome, done.found["version"].as_str()), (Outcome::Done, "3.6-100.101"));
        let again = Order { id: first.id.clone(), ..first.clone() };
        assert_eq!(place.does(&mut host, &again).outcome, Outcome::Done, "the stored outcome");
        let other = install(&mut host, "2", Component::Sds, "3.6-100.101", os);
        assert_eq!(place.does(&mut host, &other).outcome, Outcome::AlreadySo);
        assert_eq!(host.node.effects["install"], 1, "{os}");
    }
}

#[test]
fn an_upgrade_is_done_and_a_downgrade_is_refused() {
    for os in ["centos", "ubuntu"] {
        let (place, mut host) = (Place::new(), node(os));
        for (id, version) in [("1", "3.5-1.1"), ("2", "3.6-100.101")] {
            let order = install(&mut host, id, Component::Sds, version, os);
            assert_eq!(place.does(&mut host, &order).outcome, Outcome::Done);
        }
        let back = install(&mut host, "3", Component::Sds, "3.5-1.1", os);
        let refused = place.does(&mut host, &back);
        assert!(
            matches!(&refused.outcome, Outcome::Refused { why } if why.contains("newer than 3.5-1.1")),
            "{refused:?}"
        );
        assert_eq!(host.node.effects["install"], 2);
    }
}

#[test]
fn what_was_tried_is_put_back_whether_its_script_failed_or_not() {
    for (os, broken) in [("centos", false), ("centos", true), ("ubuntu", false), ("ubuntu", true)] {
        let (place, mut host) = (Place::new(), node(os));
        let first = install(&mut host, "1", Component::Sds, "3.5-1.1", os);
        assert_eq!(place.does(&mut host, &first).outcome, Outcome::Done);
        let tried = install(&mut host, "2", Component::Sds, "3.6-100.101", os);
        let Task::Install(Install { artefact, .. }) = &tried.task else { panic!() };
        if broken {
            host.served.get_mut(&artefact.name).unwrap().push_str("fails\n");
        }
        assert_eq!(place.does(&mut host, &tried).outcome.is_good(), !broken, "{os}");
        let Task::Install(of_before) = first.task.clone() else { panic!() };
        let back = order("3", Task::PutBack(of_before.clone()));
        let done = place.does(&mut host, &back);
        assert_eq!(done.outcome, Outcome::Done, "{os} {broken}");
        let so = place.does(&mut host, &order("4", Task::PutBack(of_before)));
        assert_eq!((so.outcome, so.found["version"].as_str()), (Outcome::AlreadySo, "3.5-1.1"), "{os} {broken}");
    }
}

#[test]
fn a_script_that_fails_is_tried_again_and_then_told_and_a_better_package_mends_it() {
    for os in ["centos", "ubuntu"] {
        let (place, mut host) = (Place::new(), node(os));
        let bad = install(&mut host, "1", Component::Sds, "3.6-1.1", os);
        let Task::Install(Install { artefact, .. }) = &bad.task else { panic!() };
        host.served.get_mut(&artefact.name).unwrap().push_str("fails\n");
        let failed = place.does(&mut host, &bad);
        assert!(matches!(failed.outcome, Outcome::Failed { .. }), "{failed:?}");
        assert!(why(&failed).contains("3"), "the status of the script: {}", why(&failed));
        assert_eq!(host.node.effects["install"], 3, "{os}");
        let good = install(&mut host, "2", Component::Sds, "3.6-1.1", os);
        assert_eq!(place.does(&mut host, &good).outcome, Outcome::Done, "not taken for installed: {os}");
    }
}

#[test]
fn a_tool_that_says_nothing_stops_the_step_before_anything_is_touched() {
    let (place, mut host) = (Place::new(), node("centos"));
    let order = install(&mut host, "1", Component::Sds, "3.6-1.1", "centos");
    host.mute.push("rpm");
    let failed = place.does(&mut host, &order);
    assert!(why(&failed).contains("nothing was touched"), "{failed:?}");
    assert!(host.node.effects.is_empty());
}

#[test]
fn a_package_manager_at_work_is_waited_for_and_named() {
    let (place, mut host) = (Place::new(), node("centos"));
    host.node.files.insert("/proc/4711/comm".to_owned(), b"yum\n".to_vec());
    let order = install(&mut host, "1", Component::Sds, "3.6-1.1", "centos");
    assert!(why(&place.does(&mut host, &order)).contains("yum (process 4711)"));
    assert!(host.node.effects.is_empty());
}

#[test]
fn an_order_of_another_release_or_for_another_system_is_refused_by_name() {
    let (place, mut host) = (Place::new(), node("centos"));
    assert!(why(&place.does(&mut host, &order("1", Task::Unknown))).contains("another release"));
    let wrong = install(&mut host, "2", Component::Sds, "3.6-1.1", "ubuntu");
    assert!(why(&place.does(&mut host, &wrong)).contains("another package manager"));
    let mut flatcar = SimHost::new("flatcar", "3760.2.0");
    let order = install(&mut flatcar, "3", Component::Sdc, "3.6-1.1", "centos");
    assert!(why(&place.does(&mut flatcar, &order)).contains("no package manager"));
}

#[test]
fn a_client_is_told_its_managers_once_and_keeps_them_over_a_reboot() {
    let (place, mut host) = (Place::new(), node("ubuntu"));
    let sdc = install(&mut host, "1", Component::Sdc, "3.6-1.1", "ubuntu");
    let early = Task::ConnectSdc { systems: vec![vec!["192.0.2.1".parse().unwrap()]], known: Vec::new() };
    assert!(why(&place.does(&mut host, &order("0", early.clone()))).contains("install the SDC first"));
    // The simulated service has no port; a client has none either.
    assert_eq!(place.does(&mut host, &sdc).outcome, Outcome::Done);
    assert_eq!(place.does(&mut host, &order("2", early.clone())).outcome, Outcome::Done);
    assert_eq!(place.does(&mut host, &order("3", early)).outcome, Outcome::AlreadySo);
    let moved = Task::ConnectSdc {
        systems: vec![vec!["192.0.2.1".parse().unwrap(), "192.0.2.3".parse().unwrap()]],
        known: Vec::new(),
    };
    assert_eq!(place.does(&mut host, &order("4", moved)).outcome, Outcome::Done);
    assert_eq!((host.node.effects["add_mdm"], host.node.effects["mod_mdm"]), (1, 1));
    assert_eq!(host.node.files["/etc/emc/scaleio/drv_cfg.txt"], b"mdm 192.0.2.1,192.0.2.3\n");
    host.node.files.remove("/etc/emc/scaleio/drv_cfg.txt");
    let again = Task::ConnectSdc {
        systems: vec![vec!["192.0.2.1".parse().unwrap(), "192.0.2.3".parse().unwrap()]],
        known: Vec::new(),
    };
    assert_eq!(place.does(&mut host, &order("5", again)).outcome, Outcome::Done, "what is only in memory is kept too");
}

#[test]
fn a_driver_of_volumes_is_told_what_it_needs_and_a_unit_of_somebody_else_stays() {
    let (mut host, order_in) = consumer("1");
    let place = Place::new();
    assert_eq!(place.does(&mut host, &order_in).outcome, Outcome::Done);
    let again = Order { id: OrderId::new("2"), ..order_in.clone() };
    assert_eq!(place.does(&mut host, &again).outcome, Outcome::AlreadySo);
    assert_eq!(host.node.effects["restart"], 1);
    let config = String::from_utf8(host.node.files["/etc/rexray/config.yml"].clone()).unwrap();
    assert!(config.contains("https://gw.example.com/api") && config.contains("hunter2"), "{config}");

    // One of a package: it gets a drop-in and keeps its own words.
    let (mut host, order_in) = consumer("1");
    let theirs = "/etc/systemd/system/rexray.service".to_owned();
    host.node.files.insert(theirs.clone(), b"[Service]\nExecStart=/usr/local/bin/rexray start\n".to_vec());
    assert_eq!(Place::new().does(&mut host, &order_in).outcome, Outcome::Done);
    assert!(String::from_utf8_lossy(&host.node.files[&theirs]).starts_with("[Service]\nExecStart=/usr/local"));
    let drop_in = &host.node.files["/etc/systemd/system/rexray.service.d/10-scaleio-framework.conf"];
    assert!(String::from_utf8_lossy(drop_in).contains("After=scini.service"));

    // What cannot be merged is left as it is.
    let (mut host, order_in) = consumer("1");
    host.node.files.insert("/etc/rexray/config.yml".to_owned(), b"- a list\n".to_vec());
    assert!(why(&Place::new().does(&mut host, &order_in)).contains("mend it or move it away"));
    assert_eq!(host.node.files["/etc/rexray/config.yml"], b"- a list\n");

    // Without a program there is nothing to call, and the place to put it is told.
    let (mut host, order_in) = consumer("1");
    let Task::ConsumeVolumes(consume) = order_in.task.clone() else { panic!() };
    let task = Task::ConsumeVolumes(Box::new(Consume { dvdcli: None, ..*consume }));
    let finished = Place::new().does(&mut host, &Order { task, ..order_in });
    assert!(why(&finished).contains("dvdcli is in none of"), "{finished:?}");
}

#[test]
fn a_removal_says_that_it_is_sure_and_is_done_once() {
    for os in ["centos", "ubuntu"] {
        let (place, mut host) = (Place::new(), node(os));
        let order_in = install(&mut host, "1", Component::Sds, "3.6-1.1", os);
        place.does(&mut host, &order_in);
        let remove = Task::Remove { component: Component::Sds };
        assert_eq!(place.does(&mut host, &order("2", remove.clone())).outcome, Outcome::Done);
        assert_eq!(place.does(&mut host, &order("3", remove)).outcome, Outcome::AlreadySo);
        assert_eq!(host.node.effects["erase"], 1);
        let back = install(&mut host, "4", Component::Sds, "3.5-1.1", os);
        assert_eq!(place.does(&mut host, &back).outcome, Outcome::Done, "an older one, since none is there");
    }
}

#[test]
fn a_client_that_goes_takes_with_it_what_gave_its_volumes_to_tasks() {
    const CONFIG: &str = "/etc/rexray/config.yml";
    let remove = Task::Remove { component: Component::Sdc };
    let (place, (mut host, consume)) = (Place::new(), consumer("1"));
    assert_eq!(place.does(&mut host, &consume).outcome, Outcome::Done);
    assert_eq!(place.does(&mut host, &order("2", remove.clone())).outcome, Outcome::Done);
    assert_eq!(place.does(&mut host, &order("3", remove.clone())).outcome, Outcome::AlreadySo);
    assert!(!host.node.running.contains_key("rexray"), "{:?}", host.node.running);
    for (path, stays) in [(CONFIG, false), ("/etc/systemd/system/rexray.service", false), ("/usr/bin/dvdcli", true)] {
        assert_eq!(host.node.files.contains_key(path), stays, "{path}");
    }

    // Where REX-Ray is somebody else's it goes on, without what we told it.
    let (place, (mut host, consume)) = (Place::new(), consumer("1"));
    let theirs = "/etc/systemd/system/rexray.service";
    host.node.files.insert(theirs.to_owned(), b"[Service]\nExecStart=/usr/local/bin/rexray start\n".to_vec());
    host.node.files.insert(CONFIG.to_owned(), b"rexray:\n  logLevel: warn\n".to_vec());
    assert_eq!(place.does(&mut host, &consume).outcome, Outcome::Done);
    assert!(String::from_utf8_lossy(&host.node.files[CONFIG]).contains("hunter2"));
    assert_eq!(place.does(&mut host, &order("2", remove.clone())).outcome, Outcome::Done);
    let config = String::from_utf8_lossy(&host.node.files[CONFIG]).into_owned();
    assert!(config.contains("logLevel") && !config.contains("hunter2") && !config.contains("gateway"), "{config}");
    assert!(host.node.running.contains_key("rexray") && host.node.files.contains_key(theirs));
    assert!(host.node.files.keys().all(|path| !path.contains("rexray.service.d")), "{:?}", host.node.files.keys());

    // One that nobody of ours set up is not touched.
    let (place, (mut host, _)) = (Place::new(), consumer("1"));
    host.node.files.insert(CONFIG.to_owned(), b"scaleio:\n  password: theirs\n".to_vec());
    host.node.files.insert(theirs.to_owned(), b"[Service]\nExecStart=/usr/local/bin/rexray start\n".to_vec());
    assert_eq!(place.does(&mut host, &order("2", remove)).outcome, Outcome::Done);
    assert!(String::from_utf8_lossy(&host.node.files[CONFIG]).contains("theirs"));
}

#[test]
fn a_hook_that_says_no_or_is_not_root_s_stops_the_step() {
    let good = Owned { by_root_alone: true, is_program: true };
    for (owned, status, stops) in [
        (good, 0, None),
        (good, 1, Some("said no")),
        (Owned { by_root_alone: false, ..good }, 0, Some("others than root")),
        (Owned { is_program: false, ..good }, 0, Some("no program")),
    ] {
        let (place, mut host) = (Place::new(), node("centos"));
        host.hooks.insert(format!("{FOLDER}/before-install"), (owned, status));
        let order = install(&mut host, "1", Component::Sds, "3.6-1.1", "centos");
        let finished = place.does(&mut host, &order);
        match stops {
            None => assert_eq!(finished.outcome, Outcome::Done),
            Some(words) => {
                assert!(why(&finished).contains(words), "{finished:?}");
                assert!(host.node.effects.is_empty(), "{words}");
            }
        }
    }
}

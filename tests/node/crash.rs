//! The agent is killed before, in and after each of its calls to the node, for
//! every task; its next life ends the step, and no effect is asked for twice.

use std::collections::BTreeSet;

use scaleio_framework::agent::probation;
use scaleio_framework::model::order::{Artefact, Component, Install, Order, OrderId, Outcome, Secrets, Task};
use scaleio_framework::model::version::Generation;

use super::effects;

use super::simulated::{At, Killed, SimHost, live, order};
use super::tasks::{Place, consumer, install, node};

/// A node before a step, and the step.
fn stories() -> Vec<(&'static str, SimHost, Order)> {
    let mut stories = Vec::new();
    for os in ["centos", "ubuntu"] {
        let mut host = node(os);
        let fresh = install(&mut host, "s", Component::Lia, "3.6-1.1", os);
        stories.push(("install", host, fresh));
        let mut host = node(os);
        let old = install(&mut host, "0", Component::Sds, "3.5-1.1", os);
        Place::new().does(&mut host, &old);
        let new = install(&mut host, "s", Component::Sds, "3.6-1.1", os);
        stories.push(("install", host, new));
        let mut host = node(os);
        let Task::Install(before) = install(&mut host, "0", Component::Sds, "3.5-1.1", os).task else { panic!() };
        let newer = install(&mut host, "0", Component::Sds, "3.6-1.1", os);
        Place::new().does(&mut host, &newer);
        stories.push(("put_back", host, order("s", Task::PutBack(before))));
        let mut host = node(os);
        let old = install(&mut host, "0", Component::Sds, "3.5-1.1", os);
        Place::new().does(&mut host, &old);
        stories.push(("remove", host, order("s", Task::Remove { component: Component::Sds })));
    }
    let mut host = node("ubuntu");
    let sdc = install(&mut host, "0", Component::Sdc, "3.6-1.1", "ubuntu");
    Place::new().does(&mut host, &sdc);
    let systems = vec![vec!["192.0.2.1".parse().unwrap()]];
    stories.push(("connect_sdc", host, order("s", Task::ConnectSdc { systems, known: Vec::new() })));
    let (host, consume) = consumer("s");
    stories.push(("consume_volumes", host, consume));
    let (mut host, consume) = consumer("0");
    assert_eq!(Place::new().does(&mut host, &consume).outcome, Outcome::Done);
    stories.push(("remove", host, order("s", Task::Remove { component: Component::Sdc })));
    let flags = || order("s", Task::MesosVolumes(Box::default()));
    stories.push(("mesos_volumes", with_mesos(), flags()));
    let mut host = with_mesos();
    let before = Order { id: OrderId::new("0"), ..flags() };
    assert_eq!(Place::new().does(&mut host, &before).outcome, Outcome::Done);
    stories.push(("mesos_put_back", host, order("s", Task::MesosPutBack)));
    let host = node("centos");
    stories.push(("reboot", host, order("s", Task::Reboot { boot_id: "boot-0".to_owned() })));
    for running in [false, true] {
        let mut host = node("centos");
        let sds = install(&mut host, "0", Component::Sds, "3.5-1.1", "centos");
        Place::new().does(&mut host, &sds);
        if running {
            host.node.running.remove("sds");
        }
        stories.push(("service", host, order("s", Task::Service { component: Component::Sds, running })));
    }
    for os in ["centos", "ubuntu"] {
        let (components, generation) = (vec![Component::Sds, Component::Mdm], Generation::V3_5);
        stories.push(("prerequisites", node(os), order("s", Task::Prerequisites { components, generation })));
    }
    let mut host = node("centos");
    let Task::Install(sds) = install(&mut host, "0", Component::Sds, "3.6-1.1", "centos").task else { panic!() };
    stories.push(("stage", host, order("s", Task::Stage { artefacts: vec![sds.artefact] })));
    stories.extend(configured());
    stories.extend(bare());
    stories
}

/// A host with a Mesos agent, where dvdcli is.
fn with_mesos() -> SimHost {
    let mut host = node("centos");
    host.node = host.node.with_mesos();
    host.node.files.insert("/usr/bin/dvdcli".to_owned(), Vec::new());
    host
}

/// Components that are told something, and start again.
fn configured() -> Vec<(&'static str, SimHost, Order)> {
    let with = |component, version| {
        let mut host = node("centos");
        let order = install(&mut host, "0", component, version, "centos");
        assert!(Place::new().does(&mut host, &order).outcome.is_good());
        host
    };
    let host = with(Component::Mdm, "2.0-1.1");
    host.land.lock().unwrap().install(&host.ip, true);
    let role = Task::MdmRole { manager: false, generation: Generation::V2_0, accepted: false };
    let mut stories = vec![("mdm_role", host, order("s", role))];
    let mut host = with(Component::Lia, "2.0-1.1");
    host.node.files.insert("/opt/emc/scaleio/lia/cfg/conf.txt".to_owned(), b"lia_token=hunter2\n".to_vec());
    let (installation, generation) = ("1234567890abcdef".to_owned(), Generation::V2_0);
    stories.push(("link_lia", host, order("s", Task::LinkLia { installation, generation, accepted: false })));
    let mut host = with(Component::Gateway, "3.5-1.1");
    let file = "/opt/emc/scaleio/gateway/webapps/ROOT/WEB-INF/classes/gatewayUser.properties";
    host.node.files.insert(file.to_owned(), b"mdm.ip.addresses=\n".to_vec());
    let connect = Task::ConnectGateway { mdms: vec!["192.0.2.1".parse().unwrap()], trusts_any: true };
    stories.push(("connect_gateway", host, order("s", connect)));
    stories
}

/// Hosts without a package manager.
fn bare() -> Vec<(&'static str, SimHost, Order)> {
    let host = || {
        let mut host = SimHost::new("flatcar", "3760.2");
        for (path, text) in [("osrelease", "6.1.0\n"), ("random/uuid", "0d1e\n")] {
            host.node.files.insert(format!("/proc/sys/kernel/{path}"), text.as_bytes().to_vec());
        }
        host
    };
    let bundle = |host: &mut SimHost, id: &str, component: Component, version: &str| {
        let name = format!("EMC-ScaleIO-{component}-{version}.x86_64.tgz");
        let files = if component == Component::Sds {
            "bin/sds\ncfg/conf.txt\n"
        } else {
            "bin/drv_cfg\nmodules/6.1.0/scini.ko\n"
        };
        host.served.insert(name.clone(), files.to_owned());
        let artefact = Artefact { name, sha256: "0".repeat(64), size: 1, url: None };
        let install = Install { component, artefact, mdms: vec!["192.0.2.1".parse().unwrap()] };
        order(id, Task::InstallBare { install, accepted: true })
    };
    let mut stories = Vec::new();
    for component in [Component::Sds, Component::Sdc] {
        let mut fresh = host();
        let order_in = bundle(&mut fresh, "s", component, "3.6-1.1");
        stories.push(("install_bare", fresh, order_in));
        let mut older = host();
        let before = bundle(&mut older, "0", component, "3.5-1.1");
        assert!(Place::new().does(&mut older, &before).outcome.is_good());
        let mut leaving = older_copy(&older);
        let newer = bundle(&mut older, "s", component, "3.6-1.1");
        stories.push(("install_bare", older, newer));
        leaving.served.clear();
        stories.push(("remove", leaving, order("s", Task::Remove { component })));
    }
    stories
}

/// Another host that stands as one does.
fn older_copy(host: &SimHost) -> SimHost {
    let mut copy = SimHost::new("flatcar", "3760.2");
    copy.node = host.node.clone();
    copy
}

/// Runs a story with one kill; none when it ended before that.
fn killed_at(story: usize, call: usize, at: At, lost: bool) -> Option<(SimHost, Outcome)> {
    let (_, mut host, order) = stories().swap_remove(story);
    let place = Place::new();
    host.calls = 0;
    host.node.effects.clear();
    host.kill = Some((call, at));
    match live(&place.ledger(), &mut host, &order) {
        Ok(_) => None,
        Err(Killed) => {
            host.kill = None;
            // A controller that comes back gives the order again, with what is secret in it;
            // without one the agent has only its ledger.
            let order = if lost { Order { secrets: Secrets::default(), ..order } } else { order };
            let finished = live(&place.ledger(), &mut host, &order).unwrap().unwrap();
            Some((host, finished.outcome))
        }
    }
}

#[test]
fn after_a_kill_anywhere_the_next_life_ends_the_step() {
    std::panic::set_hook(Box::new(|info| {
        if !info.payload().is::<Killed>() {
            eprintln!("{info}");
        }
    }));
    let (mut kills, mut killed) = (0, BTreeSet::new());
    for (number, (name, ..)) in stories().into_iter().enumerate() {
        for at in [At::Before, At::During, At::After] {
            let mut call = 1;
            while let Some((host, outcome)) = killed_at(number, call, at, false) {
                assert!(outcome.is_good(), "{name}: killed {at:?} call {call}: {outcome:?}");
                for (effect, times) in &host.node.effects {
                    let most = most(name, effect);
                    assert!(*times <= most, "{name}: killed {at:?} call {call}: {effect} {times} times");
                }
                killed.insert(name.to_owned());
                kills += 1;
                call += 1;
            }
            assert!(call > 1, "{name} has {call} calls");
        }
    }
    assert!(kills > 150, "{kills} kills");
    assert_eq!(killed, effects::of("after_a_kill_anywhere_the_next_life_ends_the_step"));
}

/// A renewal with one kill; none when it was over before that.
fn renewed(kill: (usize, At)) -> Option<(SimHost, Outcome)> {
    const PATH: &str = "/opt/scaleio-framework/sio";
    let (place, mut host) = (Place::new(), node("centos"));
    host.node.files.insert(PATH.to_owned(), b"old".to_vec());
    host.served.insert("sio".to_owned(), "new".to_owned());
    let artefact = Artefact { name: "sio".to_owned(), sha256: "new".to_owned(), size: 3, url: None };
    let order = order("s", Task::RenewAgent { artefact });
    host.kill = Some(kill);
    for life in 0..5 {
        let runs = String::from_utf8(host.node.files[PATH].clone()).unwrap();
        // The first thing that a new program hears is its controller.
        if runs == "new" {
            probation::passed(&mut host).unwrap();
        }
        host.program = Some((PATH.to_owned(), runs));
        match live(&place.ledger(), &mut host, &order) {
            Ok(finished) => return Some((host, finished.unwrap().outcome)),
            Err(Killed) if life == 0 && host.calls < kill.0 => return None,
            Err(Killed) => host.kill = None,
        }
    }
    panic!("no end: {kill:?}")
}

#[test]
fn an_agent_that_is_killed_while_it_is_renewed_ends_as_the_new_program() {
    let mut kills = 0;
    for at in [At::Before, At::During, At::After] {
        let mut call = 1;
        while let Some((host, outcome)) = renewed((call, at)) {
            assert_eq!(outcome, Outcome::Done, "killed {at:?} call {call}");
            let (_, runs) = host.program.unwrap();
            assert_eq!(runs, "new", "killed {at:?} call {call}");
            kills += 1;
            call += 1;
        }
    }
    assert!(kills > 20, "{kills} kills");
    let test = "an_agent_that_is_killed_while_it_is_renewed_ends_as_the_new_program";
    assert_eq!(effects::of(test), ["renew_agent".to_owned()].into());
}

/// How often an effect may be asked for at most, when the agent is killed once.
fn most(name: &str, effect: &str) -> u32 {
    match (name, effect) {
        // Whether a package's scripts went well is not to be seen after a kill: they run once more.
        (_, "install" | "prerequisites") => 2,
        // Nor is it whether a service has read its file: it is started again.
        (_, "restart") | ("mesos_put_back", "restart_mesos") => 2,
        // Plain files are laid once more; that is as good as once.
        ("install_bare", _) | ("remove", "stop") => 2,
        _ => 1,
    }
}

#[test]
fn a_step_has_one_effect_and_its_name_is_that_of_its_task() {
    for (name, mut host, order) in stories() {
        assert_eq!(order.task.name(), name);
        host.node.effects.clear();
        let finished = Place::new().does(&mut host, &order);
        assert_eq!(finished.outcome, Outcome::Done, "{name} is so already, so nothing would be killed at it");
        let effects = &host.node.effects;
        assert!(effects.values().all(|times| *times == 1), "{name}: {effects:?}");
        // What is more than one is the parts of laying plain files, which belong together.
        // So do a client and what brought its volumes to tasks.
        assert!(effects.len() <= 1 || matches!(name, "install_bare" | "remove"), "{name}: {effects:?}");
    }
}

#[test]
fn without_its_controller_a_step_that_needs_no_secret_is_ended_too() {
    for (number, (name, _, order)) in stories().into_iter().enumerate().filter(|(_, (_, _, o))| o.secrets.is_empty()) {
        let mut call = 1;
        while let Some((_, outcome)) = killed_at(number, call, At::After, true) {
            assert!(outcome.is_good(), "{name} ({}): killed after call {call}: {outcome:?}", order.id);
            call += 1;
        }
    }
}

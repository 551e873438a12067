//! The agent is killed before, in and after each of its calls to the node, for
//! every task; its next life ends the step, and no effect is asked for twice.

use scaleio_framework::model::order::{Component, Order, Outcome, Secrets, Task};

use super::simulated::{At, Killed, SimHost, live, order};
use super::tasks::{Place, install, node};

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
        stories.push(("upgrade", host, new));
        let mut host = node(os);
        let old = install(&mut host, "0", Component::Sds, "3.5-1.1", os);
        Place::new().does(&mut host, &old);
        stories.push(("remove", host, order("s", Task::Remove { component: Component::Sds })));
    }
    let mut host = node("ubuntu");
    let sdc = install(&mut host, "0", Component::Sdc, "3.6-1.1", "ubuntu");
    Place::new().does(&mut host, &sdc);
    let systems = vec![vec!["192.0.2.1".parse().unwrap()]];
    stories.push(("connect_sdc", host, order("s", Task::ConnectSdc { systems })));
    let host = node("centos");
    stories.push(("reboot", host, order("s", Task::Reboot { boot_id: "boot-0".to_owned() })));
    let mut host = node("centos");
    let sds = install(&mut host, "0", Component::Sds, "3.5-1.1", "centos");
    Place::new().does(&mut host, &sds);
    stories.push(("stop", host, order("s", Task::Service { component: Component::Sds, running: false })));
    stories
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
    let mut kills = 0;
    for (number, (name, ..)) in stories().into_iter().enumerate() {
        for at in [At::Before, At::During, At::After] {
            let mut call = 1;
            while let Some((host, outcome)) = killed_at(number, call, at, false) {
                assert!(outcome.is_good(), "{name}: killed {at:?} call {call}: {outcome:?}");
                for (effect, times) in &host.node.effects {
                    // Whether a package's scripts went well is not to be seen after a kill: they run once more.
                    let most = if effect == "install" { 2 } else { 1 };
                    assert!(*times <= most, "{name}: killed {at:?} call {call}: {effect} {times} times");
                }
                kills += 1;
                call += 1;
            }
            assert!(call > 1, "{name} has {call} calls");
        }
    }
    assert!(kills > 150, "{kills} kills");
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

//! Whether a component's service runs and answers, and how it is started and stopped.

use std::time::Duration;

use super::{State, Trouble, ask, passing};
use crate::agent::host::{Call, Host};
use crate::agent::recipes::component::facts;
use crate::model::order::Component;

/// Whether the unit is active and its port open.
pub(super) fn check_running(component: Component, host: &mut dyn Host) -> State {
    let facts = facts(component);
    match (active_unit(facts.unit, host), facts.port) {
        (State::So, Some(port)) => listens(port, host),
        (state, _) => state,
    }
}

/// Whether a unit that is none of ScaleIO's is active.
pub(super) fn active_unit(unit: &str, host: &mut dyn Host) -> State {
    match active(unit, host) {
        Ok(Active::Yes) => State::So,
        Ok(Active::Soon) => State::Settling(format!("the service {unit} is starting")),
        Ok(Active::No(word)) => State::NotSo(format!("the service {unit} is {word}")),
        Err(state) => state,
    }
}

pub(super) fn check_wanted(component: Component, running: bool, host: &mut dyn Host) -> State {
    let unit = facts(component).unit;
    if running {
        return check_running(component, host);
    }
    match active(unit, host) {
        Ok(Active::No(_)) => State::So,
        Ok(Active::Yes | Active::Soon) => State::NotSo(format!("the service {unit} runs")),
        Err(state) => state,
    }
}

pub(super) fn act_wanted(
    component: Component,
    running: bool,
    within: Duration,
    host: &mut dyn Host,
) -> Result<(), Trouble> {
    let unit = facts(component).unit;
    let verb = if running { "start" } else { "stop" };
    let call = Call { within, ..Call::new("systemctl", [verb, unit]) };
    let output = host.run(&call).map_err(|error| passing(&error))?;
    if output.is_good() {
        Ok(())
    } else {
        Err(Trouble::Passing(format!("systemctl {verb} {unit} ended with {}", output.last_words())))
    }
}

enum Active {
    Yes,
    Soon,
    No(String),
}

fn active(unit: &str, host: &mut dyn Host) -> Result<Active, State> {
    let output = ask(host, &Call::new("systemctl", ["is-active", unit]))?;
    match output.stdout.trim() {
        "active" | "reloading" => Ok(Active::Yes),
        "activating" => Ok(Active::Soon),
        word @ ("inactive" | "failed" | "deactivating" | "unknown" | "maintenance") => Ok(Active::No(word.to_owned())),
        _ => Err(State::Unclear(format!("systemctl is-active {unit} gave no answer ({})", output.last_words()))),
    }
}

fn listens(port: u16, host: &mut dyn Host) -> State {
    let mut read_any = false;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match host.read(table) {
            Ok(Some(text)) => {
                read_any = true;
                if is_listening(&String::from_utf8_lossy(&text), port) {
                    return State::So;
                }
            }
            // IPv6 may be switched off.
            Ok(None) => {}
            Err(error) => return State::Unclear(error.to_string()),
        }
    }
    if read_any {
        State::Settling(format!("nothing listens on port {port} yet"))
    } else {
        State::Unclear("the kernel's table of sockets cannot be read".to_owned())
    }
}

/// Whether the kernel's table has a listening socket of a port.
pub(in crate::agent) fn is_listening(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    table.lines().skip(1).any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().and_then(|address| address.rsplit_once(':'));
        let here = local.is_some_and(|(_, text)| u16::from_str_radix(text, 16) == Ok(port));
        here && words.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_open_only_when_somebody_listens() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 00000000:1BA0 00000000:0000 0A 00000000:00000000 00:00000000\n\
            1: 0100007F:2333 0100007F:9999 01 00000000:00000000 00:00000000\n";
        assert!(is_listening(table, 7072));
        assert!(!is_listening(table, 0x2333), "an open connection is no listener");
        assert!(!is_listening(table, 9011));
    }
}

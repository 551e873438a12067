//! Files of the product that say who an MDM is, to whom LIA belongs, and where a gateway finds its managers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{State, Trouble, passing, service};
use crate::agent::host::{Call, Host};
use crate::agent::recipes::component::{MDM_CONFIG, facts};
use crate::agent::recipes::scli::refusal::Refusal;
use crate::agent::recipes::scli::{self, Said};
use crate::model::command::{self, Command};
use crate::model::order::Component;
use crate::model::version::Generation;

/// Where LIA keeps to which system it belongs.
const LIA_ID: &str = "/opt/emc/scaleio/lia/cfg/installation_id.txt";

/// Where a gateway keeps its managers.
const GATEWAY: &str = "/opt/emc/scaleio/gateway/webapps/ROOT/WEB-INF/classes/gatewayUser.properties";

const MANAGERS: &str = "mdm.ip.addresses";
const TRUST: &str = "security.bypass_certificate_check";

/// The text of a file that a package brings; without it the package is not there.
fn text(path: &str, component: Component, host: &mut dyn Host) -> Result<String, State> {
    match host.read(path) {
        Ok(Some(text)) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Ok(None) => Err(State::Impossible(format!("{path} is not there; install {component} first"))),
        Err(error) => Err(State::Unclear(error.to_string())),
    }
}

fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='));
    line.map(str::trim)
}

/// The text with a value; every other line stays as it is.
fn with_value(text: &str, key: &str, value: &str) -> String {
    let mut set = false;
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let is_it = line.trim().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
        match (is_it, set) {
            (true, false) => {
                lines.push(format!("{key}={value}"));
                set = true;
            }
            // A second one would be read instead.
            (true, true) => {}
            (false, _) => lines.push(line.to_owned()),
        }
    }
    if !set {
        lines.push(format!("{key}={value}"));
    }
    lines.join("\n") + "\n"
}

/// Tells that a file was changed and its service perhaps not started again.
fn note(component: Component, host: &dyn Host) -> String {
    format!("{}/half/{}-restart", host.state_folder(), facts(component).unit)
}

/// A change that was broken off between file and service.
fn half(component: Component, host: &mut dyn Host) -> Option<State> {
    let note = note(component, host);
    host.exists(&note).then(|| State::Half(format!("{component} was told something new and perhaps not started again")))
}

/// Writes a file of a component and starts its service again, so that it reads it.
fn change(component: Component, path: &str, content: &str, host: &mut dyn Host) -> Result<(), Trouble> {
    let (note, unit) = (note(component, host), facts(component).unit);
    host.write(&note, b"", 0o600).map_err(|error| passing(&error))?;
    host.write(path, content.as_bytes(), 0o644).map_err(|error| passing(&error))?;
    let output = host.run(&Call::new("systemctl", ["restart", unit])).map_err(|error| passing(&error))?;
    if !output.is_good() {
        return Err(Trouble::Passing(format!("systemctl restart {unit} ended with {}", output.last_words())));
    }
    host.remove(&note).map_err(|error| passing(&error))
}

const ROLE: &str = "actor_role_is_manager";

pub(super) fn check_role(manager: bool, generation: Generation, accepted: bool, host: &mut dyn Host) -> State {
    if let Err(why) = command::may(Command::SetRole, generation, accepted) {
        return State::Impossible(why);
    }
    let text = match text(MDM_CONFIG, Component::Mdm, host) {
        Ok(text) => text,
        Err(state) => return state,
    };
    if value(&text, ROLE) == Some(if manager { "1" } else { "0" }) {
        return half(Component::Mdm, host).unwrap_or_else(|| service::check_running(Component::Mdm, host));
    }
    // Whoever is in a cluster stays what it is there.
    match host.run(&scli::query_cluster(&[])).map(|output| scli::said(&output)) {
        Ok(Said::Refused(Refusal::Free, _)) => State::NotSo("the MDM is of the other role".to_owned()),
        Ok(Said::Good(_) | Said::Refused(..)) => {
            State::Impossible("the node's MDM is in a cluster; take it out there before its role changes".to_owned())
        }
        Ok(Said::NoAnswer(words)) => State::Settling(format!("the node's MDM does not answer ({words})")),
        Err(error) => State::Unclear(error.to_string()),
    }
}

pub(super) fn act_role(manager: bool, host: &mut dyn Host) -> Result<(), Trouble> {
    let text = text(MDM_CONFIG, Component::Mdm, host).map_err(super::trouble)?;
    change(Component::Mdm, MDM_CONFIG, &with_value(&text, ROLE, if manager { "1" } else { "0" }), host)
}

pub(super) fn check_lia(wanted: &str, generation: Generation, accepted: bool, host: &mut dyn Host) -> State {
    if let Err(why) = command::may(Command::LinkLia, generation, accepted) {
        return State::Impossible(why);
    }
    if wanted.is_empty() || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return State::Impossible(format!("{wanted:?} is no installation id, which is of hexadecimal digits"));
    }
    if !host.exists("/opt/emc/scaleio/lia") && !host.exists("/opt/emc/scaleio/lia/cfg/conf.txt") {
        return State::Impossible("there is no LIA on the node; install it first".to_owned());
    }
    match host.read(LIA_ID) {
        Ok(Some(text)) if String::from_utf8_lossy(&text).trim() == wanted => {
            half(Component::Lia, host).unwrap_or(State::So)
        }
        Ok(_) => State::NotSo("LIA belongs to another system, or to none".to_owned()),
        Err(error) => State::Unclear(error.to_string()),
    }
}

pub(super) fn act_lia(wanted: &str, host: &mut dyn Host) -> Result<(), Trouble> {
    change(Component::Lia, LIA_ID, &format!("{wanted}\n"), host)
}

fn managers(text: &str) -> BTreeSet<IpAddr> {
    // Both separators were seen.
    let list = value(text, MANAGERS).unwrap_or_default();
    list.split([',', ';']).filter_map(|ip| ip.trim().parse().ok()).collect()
}

pub(super) fn check_gateway(mdms: &[IpAddr], trusts_any: bool, host: &mut dyn Host) -> State {
    if mdms.is_empty() {
        return State::Impossible("the order names no addresses of managers".to_owned());
    }
    let text = match text(GATEWAY, Component::Gateway, host) {
        Ok(text) => text,
        Err(state) => return state,
    };
    if managers(&text) != mdms.iter().copied().collect() {
        return State::NotSo("the gateway knows other managers".to_owned());
    }
    if trusts_any && value(&text, TRUST) != Some("true") {
        return State::NotSo("the gateway wants the MDM's certificate to be known".to_owned());
    }
    half(Component::Gateway, host).unwrap_or_else(|| service::check_running(Component::Gateway, host))
}

pub(super) fn act_gateway(mdms: &[IpAddr], trusts_any: bool, host: &mut dyn Host) -> Result<(), Trouble> {
    let old = text(GATEWAY, Component::Gateway, host).map_err(super::trouble)?;
    // The separator that the release wrote itself is the one it reads.
    let separator = if value(&old, MANAGERS).is_some_and(|list| list.contains(';')) { ";" } else { "," };
    let list = mdms.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator);
    let mut new = with_value(&old, MANAGERS, &list);
    if trusts_any {
        new = with_value(&new, TRUST, "true");
    }
    change(Component::Gateway, GATEWAY, &new, host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_set_once_and_all_else_stays() {
        let old = "# managers\nmdm.ip.addresses = 192.0.2.1;192.0.2.2\nmdm.ip.addresses.extra=x\nmdm.ip.addresses=\n";
        assert_eq!(
            with_value(old, MANAGERS, "192.0.2.3"),
            "# managers\nmdm.ip.addresses=192.0.2.3\nmdm.ip.addresses.extra=x\n"
        );
        assert_eq!(managers(old).len(), 2);
        assert_eq!(with_value("a=1\n", TRUST, "true"), "a=1\nsecurity.bypass_certificate_check=true\n");
        assert_eq!(value(old, TRUST), None);
    }
}

//! How each task is checked and done on a node.
//!
//! `check` only looks. `act` brings a node from wherever it stands to what was
//! ordered; doing it twice is as good as once.

mod bare;
mod configure;
mod mdm;
mod mesos;
mod package;
mod packages_busy;
mod preflight;
mod reboot;
mod renew;
mod sdc;
mod service;
mod stage;
mod volumes;
mod wanted;

use std::collections::BTreeMap;
use std::time::Duration;

pub(super) use self::mesos::look as mesos_agent;
use self::package::Way;
pub use self::package::note;
use super::disks;
use super::hooks;
use super::host::{Call, Host, HostError, Output};
use super::recipes::Installed;
use super::recipes::os::Os;
use super::walk::{State, Trouble};
use crate::model::order::{Component, Order, Task};
use crate::model::unit::Timestamp;

/// What was found on the way, for the report.
type Found = BTreeMap<String, String>;

/// Looks how the node stands to an order.
pub fn check(order: &Order, host: &mut dyn Host, found: &mut Found, now: Timestamp) -> State {
    match &order.task {
        Task::Stage { artefacts } => stage::check(artefacts, host),
        Task::Prerequisites { components, generation } => wanted::check(components, *generation, host),
        Task::Install(install) => package::check_install(install, Way::Up, false, host, found),
        Task::InstallBare { install, accepted } => package::check_install(install, Way::Up, *accepted, host, found),
        Task::PutBack(install) => package::check_install(install, Way::Back, false, host, found),
        Task::Remove { component } => package::check_remove(*component, host),
        Task::Service { component, running } => service::check_wanted(*component, *running, host),
        Task::ConnectSdc { systems, known } => sdc::check(systems, known, host),
        Task::Reboot { boot_id } => reboot::check(boot_id, host, found),
        Task::JudgeDisks { paths } => judge_disks(paths, host, found),
        Task::Preflight(asked) => preflight::check(asked, host, found, now),
        Task::Mdm(task) => mdm::check(order, task, host, found),
        Task::MdmRole { manager, generation, accepted } => {
            configure::check_role(*manager, *generation, *accepted, host)
        }
        Task::LinkLia { installation, generation, accepted } => {
            configure::check_lia(installation, *generation, *accepted, host)
        }
        Task::ConnectGateway { mdms, trusts_any } => configure::check_gateway(mdms, *trusts_any, host),
        Task::ConsumeVolumes(consume) => volumes::check(consume, &order.secrets, host, found),
        Task::MesosVolumes(wanted) => mesos::check(&order.id, wanted, host, found),
        Task::MesosPutBack => mesos::check_put_back(host),
        Task::RenewAgent { artefact } => renew::check(order, artefact, host, found),
        Task::Unknown => State::Impossible(
            "this agent does not know the task; it is of another release than the controller".to_owned(),
        ),
    }
}

/// Changes the node.
pub fn act(order: &Order, host: &mut dyn Host) -> Result<(), Trouble> {
    let within = Duration::from_secs(u64::from(order.within_s));
    match &order.task {
        Task::Stage { artefacts } => stage::act(artefacts, host),
        Task::Prerequisites { components, generation } => wanted::act(components, *generation, within, host),
        Task::Install(install) | Task::InstallBare { install, .. } => {
            package::install(install, Way::Up, &order.secrets, within, host)
        }
        Task::PutBack(install) => package::install(install, Way::Back, &order.secrets, within, host),
        Task::Remove { component } => package::remove(*component, within, host),
        Task::Service { component, running } => service::act_wanted(*component, *running, within, host),
        Task::ConnectSdc { systems, known } => sdc::act(systems, known, host),
        Task::Reboot { .. } => reboot::act(host),
        Task::Mdm(task) => mdm::act(order, task, host),
        Task::MdmRole { manager, .. } => configure::act_role(*manager, host),
        Task::LinkLia { installation, .. } => configure::act_lia(installation, host),
        Task::ConnectGateway { mdms, trusts_any } => configure::act_gateway(mdms, *trusts_any, host),
        Task::ConsumeVolumes(consume) => volumes::act(consume, &order.secrets, host),
        Task::MesosVolumes(wanted) => mesos::act(&order.id, wanted, host),
        Task::MesosPutBack => mesos::act_put_back(host),
        Task::RenewAgent { artefact } => renew::act(order, artefact, host),
        Task::Preflight(_) | Task::JudgeDisks { .. } | Task::Unknown => Ok(()),
    }
}

/// How a component stands in the books of packages.
pub(super) fn installed(component: Component, os: &Os, host: &mut dyn Host) -> Result<Installed, State> {
    package::installed(component, os, host)
}

/// The verdicts go into the report, each by its disk's path.
fn judge_disks(paths: &[String], host: &mut dyn Host, found: &mut Found) -> State {
    let paths = if paths.is_empty() { disks::all(host) } else { Ok(paths.to_vec()) };
    let paths = match paths {
        Ok(paths) => paths,
        Err(why) => return State::Unclear(why),
    };
    let mut links = disks::links(host);
    for path in paths {
        let mut disk = disks::judge(&path, &disks::look(&path, host));
        disk.links = links.remove(&path).unwrap_or_default();
        match serde_json::to_string(&disk) {
            Ok(text) => found.insert(path, text),
            Err(error) => return State::Unclear(format!("the verdict on {path} cannot be written: {error}")),
        };
    }
    State::So
}

/// What the node's owner wants to be asked before something is done.
pub fn before(order: &Order, host: &mut dyn Host) -> Result<(), String> {
    hooks::run(hooks::When::Before, order, host)
}

/// What the node's owner wants to be told after something was done.
pub fn after(order: &Order, host: &mut dyn Host) -> Result<(), String> {
    hooks::run(hooks::When::After, order, host)
}

/// The node's operating system.
fn os(host: &mut dyn Host) -> Result<Os, State> {
    let text = match host.read("/etc/os-release") {
        Ok(Some(text)) => text,
        Ok(None) => return Err(State::Impossible("the node has no /etc/os-release".to_owned())),
        Err(error) => return Err(State::Unclear(error.to_string())),
    };
    Os::read(&String::from_utf8_lossy(&text)).map_err(State::Impossible)
}

/// A state that stopped a check is trouble for an act.
fn trouble(state: State) -> Trouble {
    match state {
        State::Busy(why) | State::Settling(why) => Trouble::Passing(why),
        State::So => Trouble::Passing("it changed while it was looked at".to_owned()),
        State::NotSo(why) | State::Half(why) | State::Unclear(why) | State::Impossible(why) => Trouble::Lasting(why),
    }
}

/// A query whose answer is needed.
fn ask(host: &mut dyn Host, call: &Call) -> Result<Output, State> {
    host.run(call).map_err(|error| State::Unclear(error.to_string()))
}

fn passing(error: &HostError) -> Trouble {
    Trouble::Passing(error.to_string())
}

//! Whether the node's Mesos agent can give volumes to its tasks, how its flags
//! get what they lack, and how they become again what they were.
//!
//! What is changed is noted with what it was before, so that it can be put back
//! after a kill anywhere. Whether the agent registers again is seen at the
//! master, and not here.

use serde::{Deserialize, Serialize};

use super::service::active_unit;
use super::{Found, State, Trouble, ask, passing, trouble};
use crate::agent::host::{Call, Host};
use crate::agent::recipes::mesos::{self as recipe, File, MesosAgent, PROCESSES, dvdcli, library, modules_file};
use crate::agent::recipes::volumes::DVDCLI;
use crate::model::order::{Artefact, MesosVolumes, OrderId};

/// What an order changed.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    order: OrderId,
    unit: String,
    /// Files as they were; none: there was no such file.
    before: Vec<(String, Option<String>)>,
}

/// The Mesos agent that runs here.
struct Running {
    agent: MesosAgent,
    /// Its service.
    unit: Option<String>,
}

/// The Mesos agent that runs on a node, and the dvdcli that it would call.
pub(in crate::agent) fn look(host: &mut dyn Host) -> Option<(MesosAgent, Option<String>)> {
    let agent = running(host)?.agent;
    let dvdcli = dvdcli(&agent).find(|path| host.exists(path));
    Some((agent, dvdcli))
}

fn running(host: &mut dyn Host) -> Option<Running> {
    let processes = host.list("/proc").ok()?;
    let mut numbers = processes.into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let process = numbers.find(|process| {
        let name = text(host, &format!("/proc/{process}/comm")).unwrap_or_default();
        PROCESSES.contains(&name.trim())
    })?;
    let mut words = |what: &str| text(host, &format!("/proc/{process}/{what}")).unwrap_or_default();
    let (arguments, variables, groups) = (words("cmdline"), words("environ"), words("cgroup"));
    Some(Running { agent: MesosAgent::read(&arguments, &variables), unit: recipe::unit(&groups).map(str::to_owned) })
}

fn text(host: &mut dyn Host, path: &str) -> Option<String> {
    host.read(path).ok().flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn check(id: &OrderId, wanted: &MesosVolumes, host: &mut dyn Host, found: &mut Found) -> State {
    let note = match note(host) {
        Ok(note) => note.filter(|note| note.order == *id),
        Err(state) => return state,
    };
    let Some(running) = running(host) else {
        return match note {
            // One that systemd has given up comes no more by itself.
            Some(note) => match active_unit(&note.unit, host) {
                State::So | State::Settling(_) => {
                    State::Settling(format!("{} does not run yet with its new flags", note.unit))
                }
                State::NotSo(why) => State::Half(format!("{why}, since it has new flags")),
                state => state,
            },
            None => State::Impossible("no Mesos agent runs here; start it, then its flags are looked at".to_owned()),
        };
    };
    let missing = match running.agent.judge() {
        Ok(()) => {
            found.insert("isolation".to_owned(), running.agent.isolation.unwrap_or_default());
            return State::So;
        }
        Err(missing) => missing,
    };
    if let Some(note) = note {
        return State::Half(format!("the flags of {} were changed, and it runs without {missing}", note.unit));
    }
    match plan(wanted, &running, host) {
        Ok(_) => State::NotSo(format!("the Mesos agent lacks {missing}")),
        Err(state) => state,
    }
}

pub(super) fn act(id: &OrderId, wanted: &MesosVolumes, host: &mut dyn Host) -> Result<(), Trouble> {
    let known = note(host).map_err(trouble)?.filter(|note| note.order == *id);
    let unit = match (running(host), known) {
        (Some(running), known) => {
            let plan = plan(wanted, &running, host).map_err(trouble)?;
            let note = match known {
                // What was before is not what an earlier life made of it.
                Some(note) => note,
                None => before(id, &plan, host)?,
            };
            let known = |path: &str| note.before.iter().any(|(before, _)| before == path);
            if let Some((path, _)) = plan.files.iter().find(|(path, _)| !known(path)) {
                return Err(Trouble::Lasting(format!("{path} was changed by somebody else meanwhile")));
            }
            if let Some(module) = &wanted.module {
                bring(module, host)?;
            }
            for (path, text) in &plan.files {
                host.write(path, text.as_bytes(), 0o644).map_err(|error| passing(&error))?;
            }
            plan.unit
        }
        (None, Some(note)) => note.unit,
        (None, None) => return Err(Trouble::Lasting("the Mesos agent ended meanwhile".to_owned())),
    };
    restart(&unit, host)
}

/// Once taken back it is as before; what was never changed is so already.
pub(super) fn check_put_back(host: &mut dyn Host) -> State {
    match note(host) {
        Ok(Some(note)) => State::NotSo(format!("{} has flags that it shall not keep", note.unit)),
        Ok(None) => State::So,
        Err(state) => state,
    }
}

pub(super) fn act_put_back(host: &mut dyn Host) -> Result<(), Trouble> {
    let Some(note) = note(host).map_err(trouble)? else { return Ok(()) };
    for (path, text) in &note.before {
        let done = match text {
            Some(text) => host.write(path, text.as_bytes(), 0o644),
            None => host.remove(path),
        };
        done.map_err(|error| passing(&error))?;
    }
    restart(&note.unit, host)?;
    host.remove(&path(host)).map_err(|error| passing(&error))
}

/// What is changed.
struct Plan {
    unit: String,
    files: Vec<File>,
}

fn plan(wanted: &MesosVolumes, running: &Running, host: &mut dyn Host) -> Result<Plan, State> {
    let agent = &running.agent;
    let Some(unit) = running.unit.clone() else {
        let mend = "give it --isolation with docker/volume and filesystem/linux, and start it again";
        return Err(State::Impossible(format!("the Mesos agent is no service of systemd; {mend}")));
    };
    if !dvdcli(agent).any(|path| host.exists(&path)) {
        let folders = agent.path.join(", ");
        return Err(State::Impossible(format!(
            "{DVDCLI} is in none of the folders in which {unit} looks for programs ({folders}), and without it the agent would not start; add its folder to the PATH of that service"
        )));
    }
    let shown = ask(host, &Call::new("systemctl", ["show", "--property=ExecStart", &unit]))?;
    let modules = match agent.modules.as_deref() {
        Some(value) => match modules_file(value) {
            Some(file) => text(host, file).unwrap_or_default(),
            None => value.to_owned(),
        },
        None => String::new(),
    };
    let files = agent.change(&unit, &shown.stdout, &modules, wanted.module.as_ref()).map_err(State::Impossible)?;
    Ok(Plan { unit, files })
}

fn bring(module: &Artefact, host: &mut dyn Host) -> Result<(), Trouble> {
    let staged = host.stage(module).map_err(|error| passing(&error))?;
    let content = host.read(&staged).map_err(|error| passing(&error))?;
    let content = content.ok_or_else(|| Trouble::Passing(format!("{staged} is gone")))?;
    host.write(&library(module), &content, 0o644).map_err(|error| passing(&error))
}

/// Notes how the files are, before the first of them is changed.
fn before(id: &OrderId, plan: &Plan, host: &mut dyn Host) -> Result<Note, Trouble> {
    let mut before = Vec::new();
    for (path, _) in &plan.files {
        let content = host.read(path).map_err(|error| passing(&error))?;
        let content = match content.map(String::from_utf8) {
            Some(Err(_)) => return Err(Trouble::Lasting(format!("{path} is no text, and is left alone"))),
            Some(Ok(text)) => Some(text),
            None => None,
        };
        before.push((path.clone(), content));
    }
    let note = Note { order: id.clone(), unit: plan.unit.clone(), before };
    // Texts only: they can be written.
    let text = serde_json::to_vec(&note).unwrap_or_default();
    host.write(&path(host), &text, 0o600).map_err(|error| passing(&error))?;
    Ok(note)
}

fn restart(unit: &str, host: &mut dyn Host) -> Result<(), Trouble> {
    for call in [Call::new("systemctl", ["daemon-reload"]), Call::new("systemctl", ["restart", unit])] {
        let output = host.run(&call).map_err(|error| passing(&error))?;
        if !output.is_good() {
            return Err(Trouble::Passing(format!("{} ended with {}", call.shown(), output.last_words())));
        }
    }
    Ok(())
}

fn path(host: &dyn Host) -> String {
    format!("{}/mesos-agent-before.json", host.state_folder())
}

fn note(host: &mut dyn Host) -> Result<Option<Note>, State> {
    let path = path(host);
    let content = host.read(&path).map_err(|error| State::Unclear(error.to_string()))?;
    let read = content.map(|content| serde_json::from_slice(&content)).transpose();
    read.map_err(|error| {
        State::Unclear(format!("{path} says how the Mesos agent was before, and cannot be read: {error}"))
    })
}

//! Whether tasks of the node's Mesos agent can get volumes, and how that is made so.
//!
//! Both programs come first: a Mesos agent with the isolator does not start
//! without dvdcli. Then what REX-Ray is told, then its service. What was broken
//! off between file and service is told by a note.

use sha2::{Digest, Sha256};

use super::{Found, State, Trouble, os, passing, sdc, trouble};
use crate::agent::hex;
use crate::agent::host::{Call, Host};
use crate::agent::recipes::volumes::{
    self as recipe, CONFIG, DROP_IN, DROP_IN_TEXT, DVDCLI, FOLDERS, OTHER_UNITS, REXRAY, SOCKET, UNIT, UNIT_FILE,
};
use crate::model::command::{self, Command};
use crate::model::order::{Artefact, Consume, Secrets};

pub(super) fn check(consume: &Consume, secrets: &Secrets, host: &mut dyn Host, found: &mut Found) -> State {
    let looked = may(consume, secrets).and_then(|password| {
        // Without a client nothing can be mapped to the node.
        sdc::program(host)?;
        for (name, artefact) in programs(consume) {
            let path = place(name, artefact, host)?;
            if let Some(artefact) = artefact
                && !is_there(&path, artefact, host)?
            {
                return Err(State::NotSo(format!("{path} is not {}", artefact.name)));
            }
            found.insert(name.to_owned(), path);
        }
        let text = kept(host)?;
        let wanted = recipe::config(&text, consume, &password).map_err(State::Impossible)?;
        if recipe::read(&text) != Ok(wanted) {
            return Err(State::NotSo(format!("{CONFIG} says something else")));
        }
        if !host.is_secret(CONFIG).map_err(|error| State::Unclear(error.to_string()))? {
            return Err(State::NotSo(format!("others than root can read {CONFIG}")));
        }
        let (path, text) = unit(consume, host)?;
        if host.read(&path).map_err(|error| State::Unclear(error.to_string()))?.as_deref() != Some(text.as_bytes()) {
            return Err(State::NotSo(format!("{path} is another one")));
        }
        Ok(())
    });
    if let Err(state) = looked {
        return state;
    }
    if host.exists(&note(host)) {
        return State::Half(format!("{UNIT} was told something new and perhaps not started again"));
    }
    match super::service::active_unit(UNIT, host) {
        State::So if host.exists(SOCKET) => State::So,
        State::So => State::Settling(format!("{UNIT} does not answer at {SOCKET} yet")),
        state => state,
    }
}

pub(super) fn act(consume: &Consume, secrets: &Secrets, host: &mut dyn Host) -> Result<(), Trouble> {
    let password = may(consume, secrets).map_err(trouble)?;
    for (name, artefact) in programs(consume) {
        let Some(artefact) = artefact else { continue };
        let path = place(name, Some(artefact), host).map_err(trouble)?;
        if is_there(&path, artefact, host).map_err(trouble)? {
            continue;
        }
        let staged = host.stage(artefact).map_err(|error| passing(&error))?;
        let content = host.read(&staged).map_err(|error| passing(&error))?;
        let content = content.ok_or_else(|| Trouble::Passing(format!("{staged} is gone")))?;
        // What is there keeps its mode, so what cannot be run makes room first.
        if !can_be_run(&path, host).map_err(trouble)? {
            host.remove(&path).map_err(|error| passing(&error))?;
        }
        host.write(&path, &content, 0o755).map_err(|error| passing(&error))?;
    }
    let text = kept(host).map_err(trouble)?;
    let wanted = recipe::config(&text, consume, &password).map_err(Trouble::Lasting)?;
    let note = note(host);
    host.write(&note, b"", 0o600).map_err(|error| passing(&error))?;
    host.write_secret(CONFIG, recipe::text(&wanted).as_bytes()).map_err(|error| passing(&error))?;
    let (path, text) = unit(consume, host).map_err(trouble)?;
    host.write(&path, text.as_bytes(), 0o644).map_err(|error| passing(&error))?;
    run(host, &Call::new("systemctl", ["daemon-reload"]))?;
    run(host, &Call::new("systemctl", ["enable", UNIT]))?;
    run(host, &Call::new("systemctl", ["restart", UNIT]))?;
    host.remove(&note).map_err(|error| passing(&error))
}

/// Whether nothing is left of what `act` made. The unit, or what was added to one, goes last and tells.
pub(super) fn check_gone(host: &mut dyn Host) -> State {
    match left(host) {
        Ok(None) => State::So,
        Ok(Some(path)) => State::NotSo(format!("{path} is there, by which {UNIT} gives volumes of the system")),
        Err(state) => state,
    }
}

/// Takes back what `act` made, but for both programs: without dvdcli a Mesos agent that has `docker/volume` does not start.
pub(super) fn undo(host: &mut dyn Host) -> Result<(), Trouble> {
    let Some(path) = left(host).map_err(trouble)? else { return Ok(()) };
    let told = recipe::without(&kept(host).map_err(trouble)?).map_err(Trouble::Lasting)?;
    if path == UNIT_FILE {
        run(host, &Call::new("systemctl", ["disable", "--now", UNIT]))?;
    }
    match told {
        Some(told) => host.write_secret(CONFIG, recipe::text(&told).as_bytes()),
        None => host.remove(CONFIG),
    }
    .map_err(|error| passing(&error))?;
    if path != UNIT_FILE {
        // Somebody else's goes on, and forgets the password.
        run(host, &Call::new("systemctl", ["try-restart", UNIT]))?;
    }
    host.remove(&note(host)).map_err(|error| passing(&error))?;
    host.remove(path).map_err(|error| passing(&error))?;
    run(host, &Call::new("systemctl", ["daemon-reload"]))
}

/// What there is of ours of the service.
fn left(host: &mut dyn Host) -> Result<Option<&'static str>, State> {
    let there = host.read(UNIT_FILE).map_err(|error| State::Unclear(error.to_string()))?;
    if there.is_some_and(|text| is_of_ours(&text)) {
        return Ok(Some(UNIT_FILE));
    }
    Ok(host.exists(DROP_IN).then_some(DROP_IN))
}

/// The password, when all else allows it too.
fn may(consume: &Consume, secrets: &Secrets) -> Result<String, State> {
    recipe::exists(consume.generation).map_err(State::Impossible)?;
    command::may(Command::VolumeDriver, consume.generation, consume.accepted).map_err(State::Impossible)?;
    let password = secrets.volumes.as_ref().map(|password| password.reveal().to_owned());
    password.ok_or_else(|| {
        State::Impossible("the driver of volumes needs a password for the gateway, and the order has none".to_owned())
    })
}

const fn programs(consume: &Consume) -> [(&'static str, Option<&Artefact>); 2] {
    [(REXRAY, consume.rexray.as_ref()), (DVDCLI, consume.dvdcli.as_ref())]
}

/// Where a program is, or goes.
fn place(name: &str, artefact: Option<&Artefact>, host: &mut dyn Host) -> Result<String, State> {
    if artefact.is_some() {
        return Ok(format!("{}/{name}", recipe::folder(&os(host)?)));
    }
    let paths = FOLDERS.map(|folder| format!("{folder}/{name}"));
    paths.into_iter().find(|path| host.exists(path)).ok_or_else(|| {
        State::Impossible(format!(
            "{name} is in none of {}; put a file {name}-VERSION into artefacts.folder, or install it on the node",
            FOLDERS.join(", ")
        ))
    })
}

/// Whether a program is the one that was ordered.
fn is_there(path: &str, artefact: &Artefact, host: &mut dyn Host) -> Result<bool, State> {
    let content = host.read(path).map_err(|error| State::Unclear(error.to_string()))?;
    let is_it = content.is_some_and(|content| hex(&Sha256::digest(content)) == artefact.sha256);
    Ok(is_it && can_be_run(path, host)?)
}

fn can_be_run(path: &str, host: &mut dyn Host) -> Result<bool, State> {
    let owned = host.owned(path).map_err(|error| State::Unclear(error.to_string()))?;
    Ok(owned.is_none_or(|owned| owned.is_program))
}

fn kept(host: &mut dyn Host) -> Result<String, State> {
    let text = host.read(CONFIG).map_err(|error| State::Unclear(error.to_string()))?;
    Ok(String::from_utf8_lossy(&text.unwrap_or_default()).into_owned())
}

/// The file of the unit and its text. A unit of somebody else stays, and learns only to wait for the SDC.
fn unit(consume: &Consume, host: &mut dyn Host) -> Result<(String, String), State> {
    let program = place(REXRAY, consume.rexray.as_ref(), host)?;
    let ours = recipe::unit(&program);
    let there = host.read(UNIT_FILE).map_err(|error| State::Unclear(error.to_string()))?;
    let is_ours = there.is_none_or(|text| is_of_ours(&text));
    if is_ours && !OTHER_UNITS.into_iter().any(|path| host.exists(path)) {
        return Ok((UNIT_FILE.to_owned(), ours));
    }
    Ok((DROP_IN.to_owned(), DROP_IN_TEXT.to_owned()))
}

/// Whether a unit was written by an agent, of whatever release.
fn is_of_ours(text: &[u8]) -> bool {
    let ours = recipe::unit("");
    ours.lines().nth(1).is_some_and(|line| String::from_utf8_lossy(text).lines().any(|there| there == line))
}

fn note(host: &dyn Host) -> String {
    format!("{}/half/{UNIT}-restart", host.state_folder())
}

fn run(host: &mut dyn Host, call: &Call) -> Result<(), Trouble> {
    let output = host.run(call).map_err(|error| passing(&error))?;
    if output.is_good() {
        Ok(())
    } else {
        Err(Trouble::Passing(format!("{} ended with {}", call.shown(), output.last_words())))
    }
}

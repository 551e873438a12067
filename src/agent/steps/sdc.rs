//! Which MDMs the node's SDC knows.

use std::net::IpAddr;

use super::{State, Trouble, ask, passing, trouble};
use crate::agent::host::Host;
use crate::agent::recipes::drv_cfg::{self, Change, Verdict};
use crate::model::order::KnownAs;

pub(super) fn check(wanted: &[Vec<IpAddr>], known: &[KnownAs], host: &mut dyn Host) -> State {
    if wanted.is_empty() || wanted.iter().any(Vec::is_empty) {
        return State::Impossible("the order names no addresses of managers".to_owned());
    }
    let verdict = match look(wanted, known, host) {
        Ok(verdict) => verdict,
        Err(state) => return state,
    };
    match verdict {
        Verdict::Connected => State::So,
        Verdict::Waiting(why) => State::Settling(why),
        Verdict::Tell(_) => State::NotSo("the SDC does not know these managers".to_owned()),
    }
}

pub(super) fn act(wanted: &[Vec<IpAddr>], known: &[KnownAs], host: &mut dyn Host) -> Result<(), Trouble> {
    let program = program(host).map_err(trouble)?;
    let Verdict::Tell(changes) = look(wanted, known, host).map_err(trouble)? else { return Ok(()) };
    let file = file(host);
    for change in &changes {
        let call = drv_cfg::tell(program, change, file);
        let output = host.run(&call).map_err(|error| passing(&error))?;
        if !output.is_good() {
            return Err(Trouble::Passing(format!("{} ended with {}", call.shown(), output.last_words())));
        }
    }
    Ok(())
}

fn look(wanted: &[Vec<IpAddr>], known: &[KnownAs], host: &mut dyn Host) -> Result<Verdict, State> {
    let program = program(host)?;
    let output = ask(host, &drv_cfg::query(program))?;
    let entries = drv_cfg::read(&output.stdout).map_err(State::Unclear)?;
    let aims = drv_cfg::aims(&entries, wanted, known);
    let verdict = drv_cfg::compare(&aims);
    let path = file(host);
    let kept = match host.read(path) {
        Ok(text) => drv_cfg::is_kept(&String::from_utf8_lossy(&text.unwrap_or_default()), &aims),
        Err(error) => return Err(State::Unclear(error.to_string())),
    };
    if kept || matches!(verdict, Verdict::Tell(_)) {
        return Ok(verdict);
    }
    // It knows them now and would not after a reboot: said once more, with the file.
    let again = aims.iter().filter_map(|aim| Some(Change::Replace(*aim.list.first()?, aim.list.clone())));
    Ok(Verdict::Tell(again.collect()))
}

pub(super) fn program(host: &mut dyn Host) -> Result<&'static str, State> {
    drv_cfg::PROGRAMS
        .into_iter()
        .find(|program| host.exists(program))
        .ok_or_else(|| State::Impossible("there is no drv_cfg on the node; install the SDC first".to_owned()))
}

fn file(host: &mut dyn Host) -> &'static str {
    let there = drv_cfg::FILES.into_iter().find(|file| host.exists(file));
    there.unwrap_or(drv_cfg::FILES[0])
}

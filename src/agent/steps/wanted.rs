//! The packages of the operating system that components need.

use std::time::Duration;

use super::{State, Trouble, ask, os, packages_busy, passing, trouble};
use crate::agent::host::{Call, Host};
use crate::agent::recipes::os::{Books, Os};
use crate::agent::recipes::{Installed, dpkg, prerequisites, rpm};
use crate::model::order::Component;
use crate::model::version::Generation;

/// The packages that are not there.
fn missing(
    components: &[Component],
    generation: Generation,
    os: &Os,
    host: &mut dyn Host,
) -> Result<Vec<&'static str>, State> {
    let books = os.books();
    let mut missing = Vec::new();
    for name in prerequisites::packages(components, generation, os) {
        // Bundles bring what they need.
        let Some(query) = prerequisites::query(books, name) else { continue };
        let output = ask(host, &query)?;
        let there = match books {
            Books::Bare => true,
            // Versions of the system's own packages are none of ours: only whether there is one.
            Books::Rpm if output.is_good() && !output.stdout.trim().is_empty() => true,
            Books::Rpm => match rpm::read(name, &output) {
                Installed::Absent => false,
                Installed::Unclear(why) => return Err(State::Unclear(why)),
                Installed::Whole(_) | Installed::Half(_) => true,
            },
            Books::Dpkg if output.stdout.starts_with("ii ") || output.stdout.starts_with("hi ") => true,
            Books::Dpkg => match dpkg::read(name, &output) {
                Installed::Absent | Installed::Half(_) => false,
                Installed::Unclear(why) => return Err(State::Unclear(why)),
                Installed::Whole(_) => true,
            },
        };
        if !there {
            missing.push(name);
        }
    }
    Ok(missing)
}

pub(super) fn check(components: &[Component], generation: Generation, host: &mut dyn Host) -> State {
    let looked = os(host).and_then(|os| missing(components, generation, &os, host));
    match looked {
        Ok(missing) if missing.is_empty() => State::So,
        Ok(missing) => match packages_busy::running(host) {
            Some(who) => State::Busy(format!("{who} is at work")),
            None => State::NotSo(format!("{} is missing", missing.join(", "))),
        },
        Err(state) => state,
    }
}

pub(super) fn act(
    components: &[Component],
    generation: Generation,
    within: Duration,
    host: &mut dyn Host,
) -> Result<(), Trouble> {
    let os = os(host).map_err(trouble)?;
    let missing = missing(components, generation, &os, host).map_err(trouble)?;
    let Some(call) = prerequisites::install(&os, &missing).filter(|_| !missing.is_empty()) else { return Ok(()) };
    let output = host.run(&Call { within, ..call.clone() }).map_err(|error| passing(&error))?;
    if output.is_good() {
        return Ok(());
    }
    let lacks = missing.join(", ");
    Err(Trouble::Passing(format!(
        "{} ended with {}; install {lacks} by hand, or give the node a repository that has it",
        call.program,
        output.last_words()
    )))
}

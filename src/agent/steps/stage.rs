//! Files that are fetched before anything needs them.

use super::{State, Trouble};
use crate::agent::host::Host;
use crate::model::order::Artefact;

pub(super) fn check(artefacts: &[Artefact], host: &mut dyn Host) -> State {
    for artefact in artefacts {
        match host.staged(artefact) {
            Ok(Some(_)) => {}
            Ok(None) => return State::NotSo(format!("{} is not on the node", artefact.name)),
            Err(error) => return State::Unclear(error.to_string()),
        }
    }
    State::So
}

pub(super) fn act(artefacts: &[Artefact], host: &mut dyn Host) -> Result<(), Trouble> {
    for artefact in artefacts {
        host.stage(artefact).map_err(|error| Trouble::Passing(error.to_string()))?;
    }
    Ok(())
}

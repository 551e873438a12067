//! A new program of the agent is on probation until a controller has answered it.
//!
//! The note lies beside the ledger. The new program counts its starts in it, so
//! that one which falls over before it can say anything ends the same way.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::host::Host;
use crate::model::order::OrderId;

/// So long a new program has for its first answer.
pub const WITHIN: Duration = Duration::from_secs(60);

/// One that was started so often without an answer falls over by itself.
const MOST_STARTS: u32 = 3;

/// How a renewal stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Probation {
    /// The new program was put in place and has not been answered.
    Begun {
        /// Whose doing it is.
        order: OrderId,
        /// The new program.
        sha256: String,
        /// How often it was started.
        starts: u32,
    },
    /// The old program is back.
    FellBack {
        /// Whose doing it was.
        order: OrderId,
        /// The program that did not work.
        sha256: String,
        /// Why.
        why: String,
    },
}

/// What a start leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing is on probation.
    Free,
    /// This program is; the note is to be as given.
    On(Probation),
    /// This program was started too often; the note is to be as given, and the old one is to be back.
    Back(Probation),
}

/// Decides for a program that was just started.
pub fn started(note: Option<Probation>, own_sha256: &str) -> Start {
    match note {
        Some(Probation::Begun { order, sha256, starts }) if sha256 == own_sha256 => {
            if starts >= MOST_STARTS {
                let why = format!("the new program was started {starts} times and no controller answered it");
                Start::Back(Probation::FellBack { order, sha256, why })
            } else {
                Start::On(Probation::Begun { order, sha256, starts: starts + 1 })
            }
        }
        _ => Start::Free,
    }
}

/// The note of a new program that nobody answered in time.
pub fn unheard(note: Probation) -> Probation {
    match note {
        Probation::Begun { order, sha256, .. } => {
            let why = format!("no controller answered the new program within {} s", WITHIN.as_secs());
            Probation::FellBack { order, sha256, why }
        }
        other @ Probation::FellBack { .. } => other,
    }
}

/// Where the program from before lies.
pub fn previous(program: &str) -> String {
    format!("{program}.previous")
}

fn path(host: &dyn Host) -> String {
    Path::new(&host.state_folder()).join("probation.json").display().to_string()
}

/// Reads the note.
///
/// # Errors
/// In words for people.
pub fn read(host: &mut dyn Host) -> Result<Option<Probation>, String> {
    let path = path(host);
    let Some(text) = host.read(&path).map_err(|error| error.to_string())? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| format!("{path} cannot be read: {error}; remove it"))
}

/// Writes the note.
///
/// # Errors
/// In words for people.
pub fn write(note: &Probation, host: &mut dyn Host) -> Result<(), String> {
    // Texts and a number cannot fail to be written.
    let text = serde_json::to_vec(note).unwrap_or_default();
    host.write(&path(host), &text, 0o600).map_err(|error| error.to_string())
}

/// The new program was answered.
///
/// # Errors
/// In words for people.
pub fn passed(host: &mut dyn Host) -> Result<(), String> {
    host.remove(&path(host)).map_err(|error| error.to_string())
}

/// Puts the old program back and starts it. It comes back only when that fails.
pub fn fall_back(note: &Probation, host: &mut dyn Host) -> String {
    let put_back = |host: &mut dyn Host| -> Result<String, String> {
        let text = |error: super::host::HostError| error.to_string();
        let program = host.program().map_err(text)?.ok_or("it is not known which program this is")?;
        let old = previous(&program.path);
        let content = host.read(&old).map_err(text)?.ok_or_else(|| format!("{old} is gone"))?;
        write(note, host)?;
        host.write(&program.path, &content, 0o755).map_err(text)?;
        Ok(host.restart(&program).to_string())
    };
    put_back(host).unwrap_or_else(|why| why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(starts: u32) -> Probation {
        Probation::Begun { order: OrderId::new("o"), sha256: "new".to_owned(), starts }
    }

    #[test]
    fn a_new_program_has_three_starts_to_be_heard() {
        assert_eq!(started(None, "new"), Start::Free);
        assert_eq!(started(Some(begun(0)), "old"), Start::Free);
        assert_eq!(started(Some(begun(0)), "new"), Start::On(begun(1)));
        assert_eq!(started(Some(begun(2)), "new"), Start::On(begun(3)));
        assert!(
            matches!(started(Some(begun(3)), "new"), Start::Back(Probation::FellBack { why, .. }) if why.contains("3 times"))
        );
        assert!(matches!(unheard(begun(1)), Probation::FellBack { why, .. } if why.contains("60 s")));
    }
}

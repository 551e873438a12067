//! How `[lifecycle]` is read: how much is done without asking a person.

use super::section::{Section, complain};

/// `[lifecycle]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// How much is done without asking.
    pub mode: Mode,
}

/// How much is done without asking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nothing: no agent is started, no order is given, nothing is told to the MDM.
    Observe,
    /// Agents are started and look at their hosts; whatever changes something waits for a person's yes.
    #[default]
    Propose,
    /// What the configuration asks for is done.
    Act,
}

impl Mode {
    /// Its word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Propose => "propose",
            Self::Act => "act",
        }
    }
}

/// Reads the section.
pub(super) fn read(mut section: Section<'_>) -> Lifecycle {
    let mode = section.take("mode", |found| match found.text()? {
        "observe" => Ok(Mode::Observe),
        "propose" => Ok(Mode::Propose),
        "act" => Ok(Mode::Act),
        other => Err(complain(format!("{other:?} is no mode"), "write \"observe\", \"propose\" or \"act\"")),
    });
    section.finish();
    Lifecycle { mode: mode.unwrap_or_default() }
}

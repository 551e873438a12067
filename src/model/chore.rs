//! What the calendar has looked at or kept, without anything being changed on a system, and what came of it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::id::NodeName;

/// Lines that are kept of one look.
const LINES: usize = 300;

/// Characters that are kept of one line.
const WIDTH: usize = 300;

/// What is looked at or kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Could each node be put into maintenance now, and what would hold it?
    HealthCheck,
    /// The report of how full pools are, by mail.
    CapacityReport,
    /// How long are the certificates of gateways, agents, our authority and mail servers good?
    CertificateCheck {
        /// Fewer days than this are too few.
        days: u32,
    },
    /// Do the alert rules say what their own tests expect?
    RuleSelfTest,
    /// Are the artefacts what they were at the start, and are those of a release on the nodes?
    ArtefactPrefetch {
        /// The release; none: only the files here are looked at.
        to: Option<Box<str>>,
        /// On these nodes; none: all.
        only: BTreeSet<NodeName>,
    },
    /// A copy of the whole state.
    StateBackup {
        /// Where to.
        folder: PathBuf,
        /// How many are kept.
        keep: usize,
    },
}

impl Chore {
    /// Its kind, as the configuration writes it.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::HealthCheck => "health_check",
            Self::CapacityReport => "capacity_report",
            Self::CertificateCheck { .. } => "certificate_check",
            Self::RuleSelfTest => "rule_self_test",
            Self::ArtefactPrefetch { .. } => "artefact_prefetch",
            Self::StateBackup { .. } => "state_backup",
        }
    }

    /// What it is, in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::HealthCheck => "look whether each node could be worked on now".to_owned(),
            Self::CapacityReport => "mail how full the pools are".to_owned(),
            Self::CertificateCheck { days } => format!("look for certificates that end within {days} days"),
            Self::RuleSelfTest => "try the alert rules".to_owned(),
            Self::ArtefactPrefetch { to: None, .. } => "look at the artefacts".to_owned(),
            Self::ArtefactPrefetch { to: Some(to), .. } => format!("have the packages of {to} on the nodes"),
            Self::StateBackup { folder, keep } => format!("copy the state to {}, {keep} kept", folder.display()),
        }
    }
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Whether all was well.
    pub is_well: bool,
    /// It in one sentence.
    pub says: String,
    /// It in full, what is not well first.
    pub lines: Vec<String>,
}

impl Found {
    /// All is well.
    pub fn well(says: impl Into<String>) -> Self {
        Self { is_well: true, says: says.into(), lines: Vec::new() }
    }

    /// Something is not.
    pub fn unwell(says: impl Into<String>) -> Self {
        Self { is_well: false, says: says.into(), lines: Vec::new() }
    }

    /// With all of it, as much as is kept.
    #[must_use]
    pub fn with(self, lines: Vec<String>) -> Self {
        let more = lines.len().saturating_sub(LINES);
        let short = |line: String| line.chars().filter(|c| !c.is_control()).take(WIDTH).collect();
        let mut lines: Vec<String> = lines.into_iter().take(LINES).map(short).collect();
        if more > 0 {
            lines.push(format!("{more} more"));
        }
        Self { lines, ..self }
    }
}

//! What an agent found on a node: its disks, and how it stands to what a node must have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A disk, and why it may not be taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its path, as it was asked for.
    pub path: String,
    /// How large it is, in bytes; none when that is not known.
    pub size: Option<u64>,
    /// Whether it turns; none when that is not known.
    pub rotational: Option<bool>,
    /// Its maker's name for it.
    #[serde(default)]
    pub model: String,
    /// Its number.
    #[serde(default)]
    pub serial: String,
    /// Its world wide name, where it tells one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub wwn: String,
    /// Its names below `/dev/disk`, which stay; the best one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Why it may not be taken. None: it was free at the moment of looking.
    pub not_free: Vec<String>,
}

impl Disk {
    /// One of which only the path is known yet; whoever looks at it says what stands against it.
    pub const fn unknown(path: String) -> Self {
        Self {
            path,
            size: None,
            rotational: None,
            model: String::new(),
            serial: String::new(),
            wwn: String::new(),
            links: Vec::new(),
            not_free: Vec::new(),
        }
    }

    /// By what it is known again when it has another name. None: it tells nothing of its own.
    pub fn identity(&self) -> Option<String> {
        match (&*self.wwn, &*self.serial) {
            ("", "") => None,
            ("", serial) => Some(format!("serial {} {serial}", self.model)),
            (wwn, _) => Some(format!("wwn {wwn}")),
        }
    }

    /// Whether every means said that nobody has it and nothing is on it.
    pub fn is_free(&self) -> bool {
        self.not_free.is_empty()
    }
}

/// How a node stands to one thing it must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The thing.
    pub about: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found, and when it is not well, what helps.
    pub found: String,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it must be.
    Good,
    /// It works, and could be better.
    Poor,
    /// It could not be told.
    Unknown,
    /// It does not do.
    Bad,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Poor => "poor",
            Self::Unknown => "unknown",
            Self::Bad => "BAD",
        })
    }
}

//! What was found of a node before it is touched: one row for each thing that must be well.

use core::net::IpAddr;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How a row stands. Worse is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It may do harm, or could not be measured; nothing is stopped.
    Warn,
    /// The node cannot carry what is wanted.
    Fail,
}

impl Verdict {
    /// Its word in tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What was looked at, such as `port 7072`.
    pub name: String,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub wanted: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What helps; empty where nothing has to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub mend: String,
}

/// A virtual address of the MDM, and the interface that shall carry it on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualIp {
    /// The address.
    pub ip: IpAddr,
    /// The interface.
    pub interface: String,
    /// Whether nobody may have the address yet.
    #[serde(default)]
    pub unused: bool,
}

/// Servers that a node shall reach by one network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Servers {
    /// By which, in words.
    pub by: String,
    /// Where they are, each with a port. One must answer: another one may be sick.
    pub at: Vec<String>,
    /// Whether the node cannot carry what it shall when none does.
    #[serde(default)]
    pub must_answer: bool,
}

/// How rows about virtual addresses begin.
pub const VIRTUAL_IP: &str = "virtual address ";

/// How the name of the row ends that says whether somebody has one.
pub const UNUSED: &str = " is free";

/// Why a node cannot carry virtual addresses, as far as its table tells. None: it can.
pub fn carries_no_virtual_ip(rows: &[Row]) -> Option<String> {
    let mut own = rows.iter().filter(|row| row.name.starts_with(VIRTUAL_IP) && !row.name.ends_with(UNUSED)).peekable();
    if own.peek().is_none() {
        return Some("has not told yet whether it can carry the virtual address".to_owned());
    }
    let bad = own.find(|row| row.verdict != Verdict::Ok)?;
    Some(format!("cannot carry the {}: {}", bad.name, bad.found))
}

/// The name under which the table travels in what an agent found.
pub const FOUND: &str = "preflight";

/// The rows of a report's text. None: it is of a form that this release does not know.
pub fn read(text: &str) -> Option<Vec<Row>> {
    serde_json::from_str(text).ok()
}

/// The worst verdict of a table; an empty one says nothing good.
pub fn worst(rows: &[Row]) -> Verdict {
    rows.iter().map(|row| row.verdict).max().unwrap_or(Verdict::Fail)
}

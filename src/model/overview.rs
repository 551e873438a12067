//! What people see of work: nodes with their phase, runs with their waves and holds, jobs with their next runs. Whoever
//! does the work publishes it in these words, and the page shows it.

use serde::{Deserialize, Serialize};

use super::unit::Timestamp;

/// How good something is, for people who look before they read. The order is the order of gravity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// As it should be.
    #[default]
    Good,
    /// Under way, or wanted by somebody.
    Busy,
    /// Somebody should look.
    Warn,
    /// A person, now; or nothing is known.
    Bad,
}

impl Tone {
    /// The class of the style sheet.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// All work that is shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Works {
    /// Hosts that are looked after, by name.
    #[serde(default)]
    pub nodes: Vec<NodeShown>,
    /// Upgrades and other runs that are not over, the newest first.
    #[serde(default)]
    pub runs: Vec<RunShown>,
    /// Plans that wait for a yes, the newest first.
    #[serde(default)]
    pub plans: Vec<PlanShown>,
    /// Jobs by the time of their next run.
    #[serde(default)]
    pub jobs: Vec<JobShown>,
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeShown {
    /// Its name.
    pub name: String,
    /// Its system, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// How good that is.
    pub tone: Tone,
    /// Where it stands, in a word or two: `ready`, `installing the SDC`.
    pub phase: String,
    /// Why it waits or failed, in sentences, the one to read first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// Since when it stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What became of its last offer, in a sentence; none outside of Mesos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<String>,
}

/// A run: an upgrade, a maintenance, a replacement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunShown {
    /// Its id.
    pub id: String,
    /// What it does, in a sentence.
    pub what: String,
    /// Its system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// How good that is.
    pub tone: Tone,
    /// Where it stands, in a word or two.
    pub state: String,
    /// Steps that are done.
    #[serde(default)]
    pub done: usize,
    /// All its steps.
    #[serde(default)]
    pub total: usize,
    /// Its waves in order.
    #[serde(default)]
    pub waves: Vec<WaveShown>,
    /// When it will be over at its present pace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// What is done now.
    #[serde(default)]
    pub under_way: Vec<WorkShown>,
    /// Why it waits, the reason to read first.
    #[serde(default)]
    pub holds: Vec<HoldShown>,
}

/// A plan of which nothing is done yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanShown {
    /// Its hash.
    pub id: String,
    /// What it does, in a sentence.
    pub what: String,
    /// Its system.
    pub system: String,
    /// When it was made.
    pub made_at: Timestamp,
    /// How long it takes if nothing holds it.
    pub minutes: usize,
    /// Its waves in order.
    pub waves: Vec<WaveShown>,
}

/// A wave of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveShown {
    /// Its name: `canary`, `fault set rack-2`.
    pub name: String,
    /// How good that is.
    pub tone: Tone,
    /// Nodes that are done.
    pub done: usize,
    /// All its nodes.
    pub total: usize,
}

/// What a run does at a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkShown {
    /// The node.
    pub node: String,
    /// The wave that it is a part of.
    pub wave: String,
    /// What is done, in a few words: `install sds R3_6.1`.
    pub step: String,
}

/// Why a run waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldShown {
    /// Why, in a sentence.
    pub why: String,
    /// Whom it holds: a node, or how many.
    #[serde(default)]
    pub whom: String,
    /// What it takes to go on: `the end of that movement`, `that the device is well`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clears: Option<String>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// A job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobShown {
    /// Its name.
    pub name: String,
    /// What it does, in a sentence.
    pub what: String,
    /// When it runs, as it was written.
    pub schedule: String,
    /// Its next run; none: never, and `outcome` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// Its last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How the last one went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// What was found, what is not well first; not all of it where it is much.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<String>,
    /// How good that is.
    #[serde(default)]
    pub tone: Tone,
}

/// Days until a pool is full at its present growth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// The system.
    pub system: String,
    /// The protection domain, as metrics name it.
    pub domain: String,
    /// The pool, as metrics name it.
    pub pool: String,
    /// Days from the moment it was judged.
    pub days: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_part_does_not_say_is_absent() {
        let run: RunShown =
            serde_json::from_str(r#"{"id":"r1","what":"x","tone":"busy","state":"runs","new":1}"#).unwrap();
        assert_eq!((run.total, run.tone), (0, Tone::Busy));
        assert!(Tone::Bad > Tone::Warn && Tone::Warn > Tone::Busy && Tone::Busy > Tone::Good);
    }
}

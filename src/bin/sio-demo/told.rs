//! What does the terminal say? Only what is news to a person who watches. Pure: what is known comes in, lines go out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use scaleio_framework::model::id::NodeName;
use scaleio_framework::model::node::NodePhase;
use scaleio_framework::model::overview::{HoldShown, RunShown, Tone};
use scaleio_framework::model::rollout::RolloutStatus;
use scaleio_framework::model::status::SystemStatus;
use scaleio_framework::model::unit::Bytes;

/// A line about a rebuild under way at most this often.
const PROGRESS: Duration = Duration::from_secs(15);

/// What holds an upgrade for less is no news: between two servers there is always something.
const LASTING: Duration = Duration::from_secs(6);

/// What was told of nodes.
#[derive(Default)]
pub(crate) struct Nodes(BTreeMap<NodeName, Node>);

#[derive(Default)]
struct Node {
    /// How far it had come.
    stage: Option<u8>,
    /// Its disks that are left alone.
    alone: BTreeSet<String>,
}

impl Nodes {
    /// What is new of nodes, in short lines.
    pub(crate) fn news(&mut self, status: &RolloutStatus) -> Vec<String> {
        let mut lines = Vec::new();
        for (name, node) in &status.nodes {
            let told = self.0.entry(name.clone()).or_default();
            let now = stage(&node.phase);
            // Between two steps it waits for a moment; that is no news.
            if (now > told.stage && now > Some(0)) || (now.is_none() && told.stage.is_some()) {
                told.stage = now;
                lines.push(match &node.phase {
                    NodePhase::Ready => format!("{name} is ready: its disks and its client are in {}", node.system),
                    NodePhase::Failed { why, .. } => format!("{name} has failed: {why}"),
                    other => format!("{name} is {}", other.as_str()),
                });
            }
            let taken = status.systems.get(&node.system).and_then(|preview| preview.left_alone.get(name));
            for disk in taken.into_iter().flatten() {
                if told.alone.insert(disk.clone()) {
                    lines.push(format!("{name}: a disk is left alone, {disk}"));
                }
            }
        }
        lines
    }
}

/// How far a node has come; none: something is wrong there.
const fn stage(phase: &NodePhase) -> Option<u8> {
    Some(match phase {
        NodePhase::Wanted => 0,
        NodePhase::Launching => 1,
        NodePhase::Installing { .. } => 2,
        NodePhase::Joining => 3,
        NodePhase::Ready => 4,
        _ => return None,
    })
}

/// What was told of runs, by their ids.
#[derive(Default)]
pub(crate) struct Runs(BTreeMap<String, Run>);

#[derive(Default)]
struct Run {
    what: String,
    /// Waves of which it was told that they are done.
    waves: BTreeSet<String>,
    /// Nodes in work, each with its wave.
    in_work: BTreeSet<(String, String)>,
    /// What holds it, and since when it was seen to.
    hold: Option<(String, Instant)>,
    /// The hold that was told.
    told: Option<String>,
    /// What was told of its state when it is not as it should be.
    state: Option<String>,
}

impl Runs {
    /// What is new of the runs that are open.
    pub(crate) fn news(&mut self, runs: &[RunShown], now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        let is_open = |id: &String| runs.iter().any(|run| run.id == *id);
        let over: Vec<String> = self.0.keys().filter(|id| !is_open(id)).cloned().collect();
        for run in over.iter().filter_map(|id| self.0.remove(id)) {
            lines.push(format!("{} is over; a mail says what became of each server", run.what));
        }
        for run in runs {
            let is_new = !self.0.contains_key(&run.id);
            let told = self.0.entry(run.id.clone()).or_default();
            if is_new {
                told.what.clone_from(&run.what);
                lines.push(format!("{} begins: {} steps", run.what, run.total));
            }
            told.work(run, &mut lines);
            told.holds(run, now, &mut lines);
        }
        lines
    }
}

impl Run {
    /// One line for each node that is begun, and one when it is done; where many are in work at once, one for all.
    fn work(&mut self, run: &RunShown, lines: &mut Vec<String>) {
        let in_work: BTreeSet<(String, String)> =
            run.under_way.iter().map(|work| (work.wave.clone(), work.node.clone())).collect();
        let wave = |name: &str| run.waves.iter().find(|wave| wave.name == name);
        let one_by_one = |name: &str| name != STAGING;
        for (name, node) in self.in_work.difference(&in_work).filter(|(name, _)| one_by_one(name)) {
            let Some(wave) = wave(name) else { continue };
            let end = if wave.tone == Tone::Bad { "is over" } else { "is done" };
            lines.push(format!("{node}: its {} {end}, {} of {}", called(name), wave.done, wave.total));
        }
        for (name, node) in in_work.difference(&self.in_work).filter(|(name, _)| one_by_one(name)) {
            lines.push(format!("{node}: its {} is upgraded", called(name)));
        }
        for wave in run.waves.iter().filter(|wave| wave.total > 0 && wave.done == wave.total) {
            if self.waves.insert(wave.name.clone()) && wave.name == STAGING {
                lines.push(format!("{}: the packages are on all {} hosts", run.what, wave.total));
            }
        }
        self.in_work = in_work;
    }

    /// A hold only when it lasts, and once; and that it is over, when it was told.
    fn holds(&mut self, run: &RunShown, now: Instant, lines: &mut Vec<String>) {
        let hold = run.holds.first().filter(|_| run.state == "waits");
        let reason = hold.map(|hold| gist(&hold.why));
        let since = match (&self.hold, &reason) {
            (Some((before, since)), Some(reason)) if before == reason => Some(*since),
            (_, Some(_)) => Some(now),
            (_, None) => None,
        };
        self.hold = reason.zip(since);
        match (&self.hold, hold) {
            (Some((reason, since)), Some(hold)) if now - *since >= LASTING && self.told.as_ref() != Some(reason) => {
                self.told = Some(reason.clone());
                lines.push(format!("{} waits: {}{}", run.what, hold.why, clears(hold)));
            }
            (None, _) if run.state == "goes on" && self.told.take().is_some() => {
                lines.push(format!("{} goes on", run.what));
            }
            _ => {}
        }
        let state = (!matches!(run.state.as_str(), "waits" | "goes on")).then(|| run.state.clone());
        if self.state != state {
            lines.extend(state.iter().map(|state| format!("{} {state}", run.what)));
            self.state = state;
        }
    }
}

/// The wave in which packages are brought to all hosts.
const STAGING: &str = "packages";

/// The part of a server that a wave upgrades.
fn called(wave: &str) -> &str {
    match wave {
        "mdm" => "MDM",
        "sds" => "SDS",
        "sdc" => "SDC",
        "lia" => "LIA",
        other => other,
    }
}

fn clears(hold: &HoldShown) -> String {
    hold.clears.as_ref().map(|clears| format!("; to go on it takes {clears}")).unwrap_or_default()
}

/// A reason without its amounts: another amount is no other reason.
fn gist(why: &str) -> String {
    let is_amount = |word: &&str| !word.chars().any(|letter| letter.is_ascii_digit()) || word.contains('-');
    why.split(' ').filter(is_amount).filter(|word| !word.ends_with("iB")).collect::<Vec<_>>().join(" ")
}

/// What was told of a system.
#[derive(Default)]
pub(crate) struct System {
    heard: bool,
    faults: BTreeSet<String>,
    degraded: bool,
    progress: Option<Instant>,
}

impl System {
    /// Whether it was told that it is there.
    pub(crate) const fn was_heard(&self) -> bool {
        self.heard
    }

    /// What is new of it.
    pub(crate) fn news(&mut self, status: &SystemStatus, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        if let (false, Some(sds), Some(mdm)) = (self.heard, &status.sds, &status.mdm) {
            self.heard = true;
            lines.push(format!(
                "the system is heard: MDM cluster {}, {} of {} SDS connected",
                mdm.state, sds.connected, sds.total
            ));
        }
        let data = status.data.as_ref();
        let degraded = data.is_some_and(|data| data.degraded_bytes > 0);
        // Amounts have lines of their own, and so has the work that takes a server into maintenance.
        let is_told = |problem: &&String| problem.contains(" of data ") || problem.contains("maintenance");
        let faults: BTreeSet<String> = status.problems.iter().filter(|problem| !is_told(problem)).cloned().collect();
        lines.extend(faults.difference(&self.faults).cloned());
        lines.extend(self.faults.difference(&faults).map(|fault| format!("over: {fault}")));
        if degraded && !self.degraded {
            let bytes = data.map_or(Bytes::ZERO, |data| Bytes::new(data.degraded_bytes));
            lines.push(format!("{bytes} of data has one copy only; the rebuild begins"));
            self.progress = Some(now);
        }
        if !degraded && self.degraded {
            lines.push("all data has two copies again".to_owned());
        }
        if let Some(rebuild) = status.rebuild.as_ref().filter(|rebuild| degraded && rebuild.left_bytes > 0)
            && self.progress.is_none_or(|last| now - last >= PROGRESS)
        {
            self.progress = Some(now);
            let rate = Bytes::new(rebuild.bytes_per_second.unwrap_or(0.0) as u64);
            lines.push(format!("{} is left to rebuild, at {rate}/s", Bytes::new(rebuild.left_bytes)));
        }
        self.faults = faults;
        self.degraded = degraded;
        lines
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use scaleio_framework::model::overview::{WaveShown, WorkShown};

    fn run(state: &str, at_work: &[(&str, &str)], holds: &[&str], done: usize) -> RunShown {
        let work = |(wave, node): &(&str, &str)| WorkShown {
            node: (*node).to_owned(),
            wave: (*wave).to_owned(),
            step: "install".to_owned(),
        };
        let hold = |why: &&str| HoldShown {
            why: (*why).to_owned(),
            whom: "2 nodes".to_owned(),
            clears: Some("the end of that movement".to_owned()),
            since: None,
        };
        let wave = |name: &str, done| WaveShown { name: name.to_owned(), tone: Tone::Busy, done, total: 2 };
        RunShown {
            id: "run-1".to_owned(),
            what: "upgrade to 3.6.1".to_owned(),
            state: state.to_owned(),
            total: 4,
            waves: vec![wave(STAGING, 2), wave("sds", done)],
            under_way: at_work.iter().map(work).collect(),
            holds: holds.iter().map(hold).collect(),
            ..RunShown::default()
        }
    }

    #[test]
    fn a_server_is_told_when_it_is_begun_and_when_it_is_done_and_a_short_wait_is_not() {
        let (mut told, begun) = (Runs::default(), Instant::now());
        let mut look = |seconds, run: Option<RunShown>| {
            told.news(&run.into_iter().collect::<Vec<_>>(), begun + Duration::from_secs(seconds))
        };
        let first = look(0, Some(run("goes on", &[("sds", "n1")], &[], 0)));
        assert_eq!(
            first,
            [
                "upgrade to 3.6.1 begins: 4 steps",
                "n1: its SDS is upgraded",
                "upgrade to 3.6.1: the packages are on all 2 hosts",
            ]
        );
        let held = |amount: &str| run("waits", &[], &[amount], 1);
        assert_eq!(look(10, Some(held("pool p-1 has 6 GiB to move"))), ["n1: its SDS is done, 1 of 2"]);
        assert!(look(14, Some(held("pool p-1 has 5.5 GiB to move"))).is_empty(), "it holds for a moment only");
        assert_eq!(look(15, Some(run("goes on", &[("sds", "n2")], &[], 1))), ["n2: its SDS is upgraded"]);
        assert_eq!(look(30, Some(held("pool p-1 has 9 GiB to move"))), ["n2: its SDS is done, 1 of 2"]);
        let lasts = "upgrade to 3.6.1 waits: pool p-1 has 1 GiB to move; to go on it takes the end of that movement";
        assert_eq!(look(36, Some(held("pool p-1 has 1 GiB to move"))), [lasts]);
        assert!(look(60, Some(held("pool p-1 has 1 MiB to move"))).is_empty(), "it is told once");
        assert_eq!(look(61, Some(run("goes on", &[], &[], 2))), ["upgrade to 3.6.1 goes on"]);
        assert_eq!(look(62, None), ["upgrade to 3.6.1 is over; a mail says what became of each server"]);
        assert!(look(63, None).is_empty());
    }

    #[test]
    fn what_a_person_did_to_a_run_is_told_once() {
        let (mut told, now) = (Runs::default(), Instant::now());
        told.news(&[run("goes on", &[], &[], 0)], now);
        let paused = [run("is paused by ada", &[], &["the run was paused by ada"], 0)];
        assert_eq!(told.news(&paused, now), ["upgrade to 3.6.1 is paused by ada"]);
        assert!(told.news(&paused, now).is_empty());
    }
}

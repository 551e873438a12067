//! What happens to a world, and when: read from a TOML file.
//!
//! ```toml
//! [[event]]
//! at = "30s"
//! fail_device = "dev-1-1-1"
//!
//! [[event]]
//! at = "2m"
//! fault = { word = "status(503)", path = "/api/instances*", for = "20s" }
//! ```

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::fault::{Fault, Faults, When, Word, duration};
use super::world::{Refusal, VolumeRequest, World};

/// A list of events in the order of their time.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    events: Vec<Event>,
    repeat: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
struct Event {
    at: Duration,
    line: usize,
    action: Action,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    FailDevice(String),
    ReturnDevice(String),
    ReplaceDevice(String),
    FailSds(String),
    ReturnSds(String),
    MdmFailover,
    FailMdm(String),
    ReturnMdm(String),
    DisconnectSdc(String),
    ConnectSdc(String),
    Load(f64),
    CreateVolume(VolumeSpec),
    DeleteVolume(String),
    FaultOn { fault: Fault, name: usize },
    FaultOff(usize),
    ClearFaults,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct VolumeSpec {
    name: String,
    pool: String,
    gib: u64,
    #[serde(default)]
    thick: bool,
    sdc: Option<String>,
}

/// Why a scenario cannot be played. Each names the line and the mend.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ScenarioError {
    #[error("the scenario is no TOML as expected: {0}")]
    Syntax(#[from] toml::de::Error),
    #[error("line {line}: {given:?} is no time; write one such as \"30s\", \"5m\" or \"2h\"")]
    Time { line: usize, given: String },
    #[error("line {line}: an event does one thing; this one does {count}; give it exactly one of {EVENTS}")]
    NotOne { line: usize, count: usize },
    #[error("line {line}: {why}")]
    Fault { line: usize, why: super::fault::UnknownFault },
    #[error("line {line}: a fault has at most one of `for`, `times` and `chance`, and a chance lies between 0 and 1")]
    FaultWhen { line: usize },
    #[error("line {line}: `{key} = false` does nothing; leave the event out, or write true")]
    Useless { line: usize, key: &'static str },
    #[error("line {line}: {why}; names of objects are those of the layout, such as sds-1-1 and dev-1-1-1")]
    Unknown { line: usize, why: Refusal },
    #[error("`repeat` must be later than the last event, which is at {last:?}")]
    Repeat { last: Duration },
}

const EVENTS: &str = "fail_device, return_device, replace_device, fail_sds, return_sds, mdm_failover, fail_mdm, \
    return_mdm, disconnect_sdc, connect_sdc, load, create_volume, delete_volume, fault, clear_faults";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    repeat: Option<Spanned<String>>,
    #[serde(default)]
    event: Vec<Spanned<RawEvent>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    at: Spanned<String>,
    fail_device: Option<String>,
    return_device: Option<String>,
    replace_device: Option<String>,
    fail_sds: Option<String>,
    return_sds: Option<String>,
    mdm_failover: Option<bool>,
    fail_mdm: Option<String>,
    return_mdm: Option<String>,
    disconnect_sdc: Option<String>,
    connect_sdc: Option<String>,
    load: Option<f64>,
    create_volume: Option<VolumeSpec>,
    delete_volume: Option<String>,
    fault: Option<RawFault>,
    clear_faults: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    word: String,
    #[serde(default = "anything")]
    path: String,
    r#for: Option<String>,
    times: Option<u32>,
    chance: Option<f64>,
    gateway: Option<usize>,
}

fn anything() -> String {
    "*".to_owned()
}

impl Scenario {
    /// Reads a scenario.
    pub fn read(text: &str) -> Result<Self, ScenarioError> {
        let raw: RawScenario = toml::from_str(text)?;
        let line_of = |offset: usize| text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1;
        let time = |given: &Spanned<String>| {
            duration(given.get_ref()).ok_or_else(|| ScenarioError::Time {
                line: line_of(given.span().start),
                given: given.get_ref().clone(),
            })
        };
        let mut events = Vec::new();
        for (name, event) in raw.event.into_iter().enumerate() {
            let event = event.into_inner();
            let at = time(&event.at)?;
            // The table begins at its first key or its header; the time is always near.
            let line = line_of(event.at.span().start);
            let mut actions = event.actions(line, name)?;
            let count = actions.len();
            let (Some((after, action)), None) = (actions.pop(), actions.pop()) else {
                return Err(ScenarioError::NotOne { line, count });
            };
            events.push(Event { at, line, action });
            if let Some(after) = after {
                events.push(Event { at: at + after, line, action: Action::FaultOff(name) });
            }
        }
        events.sort_by_key(|event| event.at);
        let repeat = raw.repeat.as_ref().map(time).transpose()?;
        let last = events.last().map_or(Duration::ZERO, |event| event.at);
        if repeat.is_some_and(|repeat| repeat <= last) {
            return Err(ScenarioError::Repeat { last });
        }
        Ok(Self { events, repeat })
    }

    /// Makes sure that everything the events name exists.
    pub fn check(&self, world: &World) -> Result<(), ScenarioError> {
        // Tried on a copy: whatever finds its object here finds it later.
        let mut world = world.clone();
        for event in &self.events {
            // Other refusals depend on what happens before, and are told when they happen.
            if let Err(why @ Refusal::NotFound { .. }) = event.action.perform(&mut world) {
                return Err(ScenarioError::Unknown { line: event.line, why });
            }
        }
        Ok(())
    }
}

impl RawEvent {
    /// What the event does, each with the time after which it ends by itself.
    fn actions(self, line: usize, name: usize) -> Result<Vec<(Option<Duration>, Action)>, ScenarioError> {
        let fault = self.fault.map(|fault| fault.read(line)).transpose()?;
        for (key, value) in [("mdm_failover", self.mdm_failover), ("clear_faults", self.clear_faults)] {
            if value == Some(false) {
                return Err(ScenarioError::Useless { line, key });
            }
        }
        let plain = [
            self.fail_device.map(Action::FailDevice),
            self.return_device.map(Action::ReturnDevice),
            self.replace_device.map(Action::ReplaceDevice),
            self.fail_sds.map(Action::FailSds),
            self.return_sds.map(Action::ReturnSds),
            self.mdm_failover.map(|_| Action::MdmFailover),
            self.fail_mdm.map(Action::FailMdm),
            self.return_mdm.map(Action::ReturnMdm),
            self.disconnect_sdc.map(Action::DisconnectSdc),
            self.connect_sdc.map(Action::ConnectSdc),
            self.load.map(Action::Load),
            self.create_volume.map(Action::CreateVolume),
            self.delete_volume.map(Action::DeleteVolume),
            self.clear_faults.map(|_| Action::ClearFaults),
        ];
        let mut actions: Vec<_> = plain.into_iter().flatten().map(|action| (None, action)).collect();
        if let Some((after, fault)) = fault {
            actions.push((after, Action::FaultOn { fault, name }));
        }
        Ok(actions)
    }
}

impl RawFault {
    fn read(self, line: usize) -> Result<(Option<Duration>, Fault), ScenarioError> {
        let word: Word = self.word.parse().map_err(|why| ScenarioError::Fault { line, why })?;
        let after = match self.r#for {
            Some(text) => Some(duration(&text).ok_or(ScenarioError::Time { line, given: text })?),
            None => None,
        };
        let when = match (after, self.times, self.chance) {
            (_, None, None) => When::Always,
            (None, Some(times), None) => When::Times(times),
            (None, None, Some(chance)) if (0.0..=1.0).contains(&chance) => When::Chance(chance),
            _ => return Err(ScenarioError::FaultWhen { line }),
        };
        Ok((after, Fault { word, path: self.path, when, gateway: self.gateway }))
    }
}

impl Action {
    fn perform(&self, world: &mut World) -> Result<(), Refusal> {
        match self {
            Self::FailDevice(name) => world.fail_device(name),
            Self::ReturnDevice(name) => world.return_device(name),
            Self::ReplaceDevice(name) => world.replace_device(name),
            Self::FailSds(name) => world.fail_sds(name),
            Self::ReturnSds(name) => world.return_sds(name),
            Self::MdmFailover => {
                world.mdm_failover();
                Ok(())
            }
            Self::FailMdm(name) => world.fail_mdm(name),
            Self::ReturnMdm(name) => world.return_mdm(name),
            Self::DisconnectSdc(name) => world.set_sdc_connected(name, false),
            Self::ConnectSdc(name) => world.set_sdc_connected(name, true),
            Self::Load(factor) => {
                world.set_load(*factor);
                Ok(())
            }
            Self::CreateVolume(spec) => {
                let VolumeSpec { name, pool, gib, thick, sdc } = spec.clone();
                world.create_volume(&VolumeRequest { name, pool, gib, thick, sdc }).map(|_| ())
            }
            Self::DeleteVolume(name) => {
                if world.volume_named(name).is_some() {
                    world.unmap_volume(name)?;
                }
                world.delete_volume(name)
            }
            Self::FaultOn { .. } | Self::FaultOff(_) | Self::ClearFaults => Ok(()),
        }
    }
}

/// Plays a scenario along a world's time.
#[derive(Debug, Default)]
pub(super) struct Player {
    scenario: Option<Scenario>,
    next: usize,
    /// When the present round began.
    began: Duration,
    /// Faults that are on: name in the scenario, number among the faults.
    on: Vec<(usize, u64)>,
}

impl Player {
    pub(super) fn new(scenario: Option<Scenario>) -> Self {
        Self { scenario, ..Self::default() }
    }

    /// Lets time pass in the world, with everything that happens in it.
    pub(super) fn advance(&mut self, world: &mut World, faults: &Faults, dt: Duration) {
        let until = world.now() + dt;
        while let Some((at, event)) = self.due(until) {
            world.advance(at.saturating_sub(world.now()));
            self.perform(&event, world, faults);
        }
        world.advance(until.saturating_sub(world.now()));
    }

    fn due(&mut self, until: Duration) -> Option<(Duration, Event)> {
        let scenario = self.scenario.as_ref()?;
        if self.next == scenario.events.len() {
            let again = self.began + scenario.repeat?;
            if again > until || scenario.events.is_empty() {
                return None;
            }
            self.began = again;
            self.next = 0;
        }
        let event = scenario.events.get(self.next)?;
        let at = self.began + event.at;
        if at > until {
            return None;
        }
        self.next += 1;
        Some((at, event.clone()))
    }

    fn perform(&mut self, event: &Event, world: &mut World, faults: &Faults) {
        match &event.action {
            Action::FaultOn { fault, name } => self.on.push((*name, faults.add(fault.clone()))),
            Action::FaultOff(name) => {
                for (_, number) in self.on.extract_if(.., |(other, _)| other == name) {
                    faults.remove(number);
                }
            }
            Action::ClearFaults => {
                self.on.clear();
                faults.clear();
            }
            action => match action.perform(world) {
                Ok(()) => tracing::info!(line = event.line, action = ?action, "scenario: event"),
                // Someone else may have changed the world meanwhile.
                Err(error) => tracing::warn!(line = event.line, %error, "scenario: event not possible"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::release::Release;
    use crate::sim::world::Layout;

    fn world() -> World {
        World::new(&Layout::small(), Release::V3_6, 1)
    }

    fn refused(text: &str) -> String {
        Scenario::read(text).unwrap_err().to_string()
    }

    #[test]
    fn refusals_name_the_line_and_the_mend() {
        let text = "[[event]]\nat = \"30s\"\nload = 2.0\n\n[[event]]\nat = \"soon\"\nload = 1.0\n";
        assert_eq!(refused(text), "line 6: \"soon\" is no time; write one such as \"30s\", \"5m\" or \"2h\"");
        let two = refused("[[event]]\nat = \"1s\"\nload = 2.0\nfail_sds = \"x\"\n");
        assert!(two.starts_with("line 2: an event does one thing; this one does 2; give it exactly one of"), "{two}");
        assert!(refused("[[event]]\nat = \"1s\"\n").contains("does 0"));
        let fault = refused("[[event]]\nat = \"1s\"\nfault = { word = \"dorp\" }\n");
        assert!(fault.starts_with("line 2: \"dorp\" is no fault; write drop, delay(2s)"), "{fault}");
        let unknown = refused("[[event]]\nat = \"1s\"\nexplode = true\n");
        assert!(unknown.contains("line 3") && unknown.contains("explode"), "{unknown}");
        assert!(refused("repeat = \"5s\"\n[[event]]\nat = \"9s\"\nload = 1.0\n").contains("later than the last event"));
    }

    #[test]
    fn names_that_do_not_exist_are_refused_before_anything_starts() {
        let scenario = Scenario::read("[[event]]\nat = \"1s\"\nfail_sds = \"sds-9-9\"\n").unwrap();
        let error = scenario.check(&world()).unwrap_err().to_string();
        assert!(error.starts_with("line 2: there is no SDS \"sds-9-9\""), "{error}");
    }

    #[test]
    fn events_fall_on_their_time_and_come_again() {
        let text = "repeat = \"1m\"\n[[event]]\nat = \"10s\"\nfail_device = \"dev-1-1-1\"\n\
                    [[event]]\nat = \"20s\"\nreturn_device = \"dev-1-1-1\"\n\
                    [[event]]\nat = \"5s\"\nfault = { word = \"reset\", for = \"10s\" }\n";
        let scenario = Scenario::read(text).unwrap();
        let (mut world, faults) = (world(), Faults::new(1));
        scenario.check(&world).unwrap();
        let mut player = Player::new(Some(scenario));
        let mut failed = Vec::new();
        let mut faulty = Vec::new();
        for second in 1..=90 {
            player.advance(&mut world, &faults, Duration::from_secs(1));
            assert_eq!(world.now(), Duration::from_secs(second));
            failed.push(world.devices.values().any(|device| device.failed));
            faulty.push(!faults.active().is_empty());
        }
        for (at, is) in [(9, false), (10, true), (19, true), (20, false), (69, false), (70, true), (80, false)] {
            assert_eq!(failed[at - 1], is, "device at {at} s");
        }
        for (at, is) in [(4, false), (5, true), (14, true), (15, false), (65, true), (75, false)] {
            assert_eq!(faulty[at - 1], is, "fault at {at} s");
        }
    }

    #[test]
    fn the_shipped_scenarios_play_on_the_small_system() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/scenarios");
        let mut played = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let (mut world, faults) = (world(), Faults::new(1));
            let scenario = Scenario::read(&text).unwrap();
            scenario.check(&world).unwrap();
            Player::new(Some(scenario)).advance(&mut world, &faults, Duration::from_secs(1200));
            played += 1;
        }
        assert!(played >= 2);
    }
}

//! The maintenance schedule of a master: whom do its windows name, which are ours, and how is one added or taken out?
//!
//! There is one schedule for everybody, and whoever writes it writes all of it: what is not ours is handed on as it came.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::model::id::AgentId;

/// A window of ours: one machine, from a moment on that nobody else would hit by chance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub hostname: Box<str>,
    pub ip: Box<str>,
    /// Since 1970.
    pub start_nanoseconds: i64,
}

impl Entry {
    fn window(&self) -> Value {
        json!({
            "machine_ids": [{ "hostname": self.hostname, "ip": self.ip }],
            "unavailability": { "start": { "nanoseconds": self.start_nanoseconds } },
        })
    }

    fn is(&self, window: &Value) -> bool {
        let [machine] = machines(window) else { return false };
        machine["hostname"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(&self.hostname))
            && machine["ip"] == *self.ip
            && window["unavailability"]["start"]["nanoseconds"] == self.start_nanoseconds
    }
}

/// All windows of ours, each by the agent that it was made for.
pub type Ours = BTreeMap<AgentId, Entry>;

/// A schedule, as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule(Vec<Value>);

fn machines(window: &Value) -> &[Value] {
    window["machine_ids"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Whom a window names, and when it begins.
fn tamed(window: &Value) -> (BTreeSet<(String, String)>, i64) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_ascii_lowercase();
    let machines = machines(window).iter().map(|machine| (word(&machine["hostname"]), word(&machine["ip"])));
    (machines.collect(), window["unavailability"]["start"]["nanoseconds"].as_i64().unwrap_or_default())
}

impl Schedule {
    /// What GET_MAINTENANCE_SCHEDULE is answered with; without any window there may be no list of them.
    pub(super) fn read(mut answer: Value) -> Self {
        match answer["get_maintenance_schedule"]["schedule"]["windows"].take() {
            Value::Array(windows) => Self(windows),
            _ => Self(Vec::new()),
        }
    }

    /// As UPDATE_MAINTENANCE_SCHEDULE takes it.
    pub(super) fn write(&self) -> Value {
        json!({ "windows": self.0 })
    }

    /// Whether one of these windows of ours is there and names this machine, as Mesos compares names.
    pub(super) fn has_ours(&self, hostname: &str, ip: &str, ours: &Ours) -> bool {
        ours.values().any(|entry| entry.hostname.eq_ignore_ascii_case(hostname) && *entry.ip == *ip && self.has(entry))
    }

    /// Whether a window of ours is there.
    pub fn has(&self, entry: &Entry) -> bool {
        self.0.iter().any(|window| entry.is(window))
    }

    /// Whether a window that is none of these names this machine by its host, by its address, or by both. Whichever
    /// fits: what may be covered is not touched.
    pub fn is_covered_by_others(&self, hostname: &str, ip: Option<&str>, ours: &Ours) -> bool {
        let is_other = |window: &&Value| !ours.values().any(|entry| entry.is(window));
        let names = |machine: &Value| {
            let name = machine["hostname"].as_str().unwrap_or_default();
            let address = machine["ip"].as_str().unwrap_or_default();
            (!name.is_empty() && name.eq_ignore_ascii_case(hostname)) || (!address.is_empty() && ip == Some(address))
        };
        self.0.iter().filter(is_other).flat_map(machines).any(names)
    }

    /// The same with a window of ours.
    #[must_use]
    pub fn with(&self, entry: &Entry) -> Self {
        let mut windows = self.without(entry).0;
        windows.push(entry.window());
        Self(windows)
    }

    /// The same without a window of ours.
    #[must_use]
    pub fn without(&self, entry: &Entry) -> Self {
        Self(self.0.iter().filter(|window| !entry.is(window)).cloned().collect())
    }

    /// Whether every window of that one is here too, in whatever way a master writes it down.
    pub fn holds(&self, other: &Self) -> bool {
        let here: Vec<_> = self.0.iter().map(tamed).collect();
        other.0.iter().map(tamed).all(|window| here.contains(&window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hostname: &str, ip: &str, start_nanoseconds: i64) -> Entry {
        Entry { hostname: hostname.into(), ip: ip.into(), start_nanoseconds }
    }

    fn of(entry: &Entry) -> Ours {
        [(AgentId::new("S1"), entry.clone())].into()
    }

    fn schedule(windows: &Value) -> Schedule {
        Schedule::read(json!({ "get_maintenance_schedule": { "schedule": { "windows": windows } } }))
    }

    #[test]
    fn what_others_wrote_stays_as_it_is_to_the_last_unknown_field() {
        let others = json!([
            { "machine_ids": [{ "hostname": "a", "ip": "10.0.0.1" }, { "hostname": "b", "ip": "10.0.0.2" }],
              "unavailability": { "start": { "nanoseconds": 1_795_333_395_070_459_904_i64 }, "duration": { "nanoseconds": 5 } },
              "ticket": "OPS-1" },
        ]);
        let before = schedule(&others);
        let ours = entry("c", "10.0.0.3", 7);
        let with = before.with(&ours);
        assert!(with.has(&ours) && !before.has(&ours) && with.holds(&before) && !before.holds(&with));
        assert_eq!(with.with(&ours), with, "once");
        assert_eq!(with.write()["windows"][0], others[0]);
        assert_eq!(with.without(&ours), before);
        assert_eq!(before.without(&ours), before);
    }

    #[test]
    fn a_window_is_ours_only_if_all_of_it_is() {
        let ours = entry("c", "10.0.0.3", 7);
        for other in [entry("c", "10.0.0.3", 8), entry("c", "10.0.0.4", 7), entry("d", "10.0.0.3", 7)] {
            assert!(!schedule(&json!([other.window()])).has(&ours), "{other:?}");
        }
        let mut two = ours.window();
        two["machine_ids"] = json!([{ "hostname": "c", "ip": "10.0.0.3" }, { "hostname": "d", "ip": "10.0.0.4" }]);
        assert!(!schedule(&json!([two])).has(&ours));
        assert!(schedule(&json!([ours.window()])).has_ours("c", "10.0.0.3", &of(&ours)));
        assert!(!schedule(&json!([ours.window()])).has_ours("c", "10.0.0.4", &of(&ours)));
    }

    #[test]
    fn a_machine_is_covered_by_either_name_unless_the_window_is_ours() {
        let ours = entry("c", "10.0.0.3", 7);
        let windows = json!([
            { "machine_ids": [{ "hostname": "A", "ip": "10.0.0.1" }, { "ip": "10.0.0.4" }, {}],
              "unavailability": { "start": { "nanoseconds": 1 } } },
            ours.window(),
        ]);
        let schedule = schedule(&windows);
        let covered = |hostname, ip| schedule.is_covered_by_others(hostname, ip, &of(&ours));
        assert!(covered("a", None) && covered("x", Some("10.0.0.4")) && covered("x", Some("10.0.0.1")));
        assert!(!covered("c", Some("10.0.0.3")) && !covered("", None) && !covered("b", Some("10.0.0.2")));
        assert!(schedule.is_covered_by_others("c", None, &Ours::new()), "whose it is nobody knows");
        assert!(!Schedule::read(json!({ "get_maintenance_schedule": { "schedule": {} } })).has(&ours));
    }
}

//! How much is there, and what is said of an agent? Amounts with the three
//! decimals that Mesos keeps, and attributes as its flag has them.

use std::ops::{AddAssign, SubAssign};

use serde_json::{Value, json};

use crate::sim::mesos::wire::text;

/// Thousandths of CPUs and of MB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amounts {
    pub cpus: i64,
    pub mem: i64,
    pub disk: i64,
}

impl Amounts {
    pub(super) fn new(cpus: f64, mem: f64, disk: f64) -> Self {
        let milli = |value: f64| (value * 1000.0).round() as i64;
        Self { cpus: milli(cpus), mem: milli(mem), disk: milli(disk) }
    }

    /// The sum of what a list of resources names.
    pub(super) fn of(resources: &Value) -> Self {
        let sum = |name: &str| {
            let all = resources.as_array().into_iter().flatten();
            all.filter(|one| text(one, "/name") == name)
                .filter_map(|one| one.pointer("/scalar/value")?.as_f64())
                .sum::<f64>()
        };
        Self::new(sum("cpus"), sum("mem"), sum("disk"))
    }

    /// Whether it is worth an offer.
    pub(super) const fn is_offered(&self) -> bool {
        self.cpus >= 10 || self.mem >= 32_000
    }

    pub(super) const fn holds(&self, other: &Self) -> bool {
        self.cpus >= other.cpus && self.mem >= other.mem && self.disk >= other.disk
    }

    /// As resources of an agent; with a role as an offer has them.
    pub(super) fn json(&self, role: Option<&str>) -> Value {
        let scalar = |name: &str, milli: i64| {
            let mut one =
                json!({ "name": name, "type": "SCALAR", "scalar": { "value": milli as f64 / 1000.0 }, "role": "*" });
            if let Some(role) = role {
                one["allocation_info"] = json!({ "role": role });
            }
            one
        };
        let parts = [("cpus", self.cpus), ("mem", self.mem), ("disk", self.disk)];
        parts.into_iter().filter(|(_, milli)| *milli > 0).map(|(name, milli)| scalar(name, milli)).collect()
    }
}

impl AddAssign for Amounts {
    fn add_assign(&mut self, other: Self) {
        self.cpus += other.cpus;
        self.mem += other.mem;
        self.disk += other.disk;
    }
}

impl SubAssign for Amounts {
    fn sub_assign(&mut self, other: Self) {
        self.cpus -= other.cpus;
        self.mem -= other.mem;
        self.disk -= other.disk;
    }
}

/// Reads attributes as the flag of an agent has them: `rack:r1;level:3;ports:[1-5]`.
pub(in crate::sim::mesos) fn attributes(flag: &str) -> Vec<Value> {
    let pairs = flag.split(';').filter_map(|pair| pair.split_once(':'));
    pairs
        .map(|(name, value)| {
            let value = value.trim();
            if let Some(spans) = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                let number = |text: &str| text.trim().parse::<u64>().unwrap_or_default();
                let ranges: Vec<Value> = spans
                    .split(',')
                    .filter_map(|span| span.split_once('-'))
                    .map(|(begin, end)| json!({ "begin": number(begin), "end": number(end) }))
                    .collect();
                json!({ "name": name, "type": "RANGES", "ranges": { "range": ranges } })
            } else if let Ok(number) = value.parse::<f64>() {
                json!({ "name": name, "type": "SCALAR", "scalar": { "value": number } })
            } else {
                json!({ "name": name, "type": "TEXT", "text": { "value": value } })
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_the_real_agent_reads_its_flag() {
        assert_eq!(
            Value::Array(attributes("rack:special;level:2;r:[1-5,8-9];set_like:a,b")),
            json!([
                { "name": "rack", "type": "TEXT", "text": { "value": "special" } },
                { "name": "level", "type": "SCALAR", "scalar": { "value": 2.0 } },
                { "name": "r", "type": "RANGES", "ranges": { "range": [{ "begin": 1, "end": 5 }, { "begin": 8, "end": 9 }] } },
                { "name": "set_like", "type": "TEXT", "text": { "value": "a,b" } },
            ])
        );
        assert!(attributes("").is_empty());
    }

    #[test]
    fn amounts_of_one_name_are_summed_to_three_decimals() {
        let resources = json!([
            { "name": "cpus", "scalar": { "value": 0.1 } },
            { "name": "cpus", "scalar": { "value": 0.2 } },
            { "name": "ports", "ranges": { "range": [] } },
        ]);
        assert_eq!(Amounts::of(&resources), Amounts { cpus: 300, mem: 0, disk: 0 });
        assert!(!Amounts { cpus: 9, mem: 31_999, disk: 1 }.is_offered());
        assert!(Amounts { cpus: 10, mem: 0, disk: 0 }.is_offered());
    }
}

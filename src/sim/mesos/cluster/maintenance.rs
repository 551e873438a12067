//! When do operators want which machines, and what do frameworks say to it?

use std::time::Duration;

use serde_json::{Value, json};

use super::offers::{Inverse, agent_url};
use super::{Cluster, Kind};
use crate::sim::mesos::refusal::Refused;
use crate::sim::mesos::wire::{Machine, Refuse, id};

/// A span in which machines are wanted.
pub(super) struct Window {
    machines: Vec<Machine>,
    unavailability: Value,
    /// The newest vote of each framework on a machine, and when it is asked again.
    votes: Vec<Vote>,
}

struct Vote {
    machine: Machine,
    framework: String,
    status: &'static str,
    at: i64,
    again: Duration,
}

/// How far a machine of the schedule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Draining,
    Down,
}

impl Cluster {
    /// Whether a host is a machine of the schedule: both its names must be right.
    pub(super) fn is_machine(&self, host: &str, machine: &Machine) -> bool {
        let Some(machinery) = self.hosts.get(host) else { return false };
        machine.hostname == host && machine.ip == machinery.ip
    }

    /// The span in which an agent is wanted.
    pub(super) fn unavailability(&self, agent: &str) -> Option<Value> {
        let host = &self.agents.get(agent)?.host;
        let is_its = |window: &&Window| window.machines.iter().any(|machine| self.is_machine(host, machine));
        self.windows.iter().find(is_its).map(|window| window.unavailability.clone())
    }

    /// A new schedule in the place of the old one: every offer is void.
    pub(in crate::sim::mesos) fn schedule(&mut self, schedule: &Value) -> Result<(), Refused> {
        let mut windows = Vec::new();
        for window in schedule["windows"].as_array().into_iter().flatten() {
            let machines: Vec<Machine> = serde_json::from_value(window["machine_ids"].clone()).unwrap_or_default();
            if machines.is_empty() {
                return Err(Refused::bad("List of machines in the maintenance window is empty"));
            }
            windows.push(Window { machines, unavailability: window["unavailability"].clone(), votes: Vec::new() });
        }
        let down = |mode: &Mode| *mode == Mode::Down;
        self.machines.retain(|_, mode| down(mode));
        for machine in windows.iter().flat_map(|window| &window.machines) {
            self.machines.entry(machine.clone()).or_insert(Mode::Draining);
        }
        self.windows = windows;
        self.rescind(None);
        for (offer, inverse) in std::mem::take(&mut self.inverse) {
            let part = json!({ "inverse_offer_id": id(&offer) });
            self.tell(&inverse.framework, &json!({ "type": "RESCIND_INVERSE_OFFER", "rescind_inverse_offer": part }));
        }
        Ok(())
    }

    pub(super) fn start_maintenance(&mut self, machines: &[Machine]) -> Result<(), Refused> {
        for machine in machines {
            if self.machines.get(machine) != Some(&Mode::Draining) {
                return Err(Refused::bad(format!(
                    "Machine '{}' is not in DRAINING mode and cannot be brought down",
                    machine.json()
                )));
            }
        }
        for machine in machines {
            self.machines.insert(machine.clone(), Mode::Down);
            let hosts: Vec<String> = self.hosts.keys().filter(|host| self.is_machine(host, machine)).cloned().collect();
            hosts.iter().for_each(|host| self.take_down(host));
        }
        Ok(())
    }

    pub(super) fn stop_maintenance(&mut self, machines: &[Machine]) -> Result<(), Refused> {
        for machine in machines {
            if self.machines.get(machine) != Some(&Mode::Down) {
                return Err(Refused::bad(format!(
                    "Machine '{}' is not in DOWN mode and cannot be brought up",
                    machine.json()
                )));
            }
        }
        for machine in machines {
            self.machines.remove(machine);
            self.windows.iter_mut().for_each(|window| window.machines.retain(|known| known != machine));
        }
        self.windows.retain(|window| !window.machines.is_empty());
        Ok(())
    }

    /// Asks frameworks that have something on a machine that is wanted.
    pub(super) fn tick_inverse(&mut self) {
        let mut wanted = Vec::new();
        for window in &self.windows {
            for (agent, known) in &self.agents {
                let Some(machine) = window.machines.iter().find(|machine| self.is_machine(&known.host, machine)) else {
                    continue;
                };
                if self.machines.get(machine) != Some(&Mode::Draining) || !self.is_there(agent) {
                    continue;
                }
                for (framework, here) in &self.frameworks {
                    let uses = here.tasks.values().any(|task| task.agent == *agent);
                    let offered =
                        self.offers.values().any(|offer| offer.agent == *agent && offer.framework == *framework);
                    let open = |inverse: &Inverse| inverse.agent == *agent && inverse.framework == *framework;
                    let voted =
                        window.votes.iter().find(|vote| vote.framework == *framework && vote.machine == *machine);
                    let is_due = voted.is_none_or(|vote| vote.again <= self.now);
                    if here.stream.is_some() && (uses || offered) && is_due && !self.inverse.values().any(open) {
                        wanted.push((framework.clone(), agent.clone(), window.unavailability.clone()));
                    }
                }
            }
        }
        for (framework, agent, unavailability) in wanted {
            let offer = self.next(Kind::Offer);
            let url = self.agents.get(&agent).and_then(|known| {
                let host = self.hosts.get(&known.host)?;
                Some(agent_url(&known.host, host))
            });
            let said = json!({
                "id": id(&offer), "url": url, "framework_id": id(&framework), "agent_id": id(&agent),
                "unavailability": unavailability,
            });
            let part = json!({ "inverse_offers": [said] });
            self.tell(&framework, &json!({ "type": "INVERSE_OFFERS", "inverse_offers": part }));
            self.inverse.insert(offer, Inverse { framework, agent });
        }
    }

    /// A framework's word on a wish; it stops and prevents nothing.
    pub(super) fn vote(&mut self, framework: &str, status: &'static str, vote: &Refuse) {
        let again = self.now + Duration::try_from_secs_f64(vote.seconds()).unwrap_or_default();
        let at = self.nanos();
        for offer in &vote.inverse_offer_ids {
            let Some(inverse) = self.inverse.remove(&offer.value) else { continue };
            let Some(host) = self.agents.get(&inverse.agent).map(|agent| agent.host.clone()) else { continue };
            let Some(ip) = self.hosts.get(&host).map(|host| host.ip.clone()) else { continue };
            let machine = Machine { hostname: host, ip };
            for window in self.windows.iter_mut().filter(|window| window.machines.contains(&machine)) {
                window.votes.retain(|known| known.framework != framework || known.machine != machine);
                let framework = framework.to_owned();
                window.votes.push(Vote { machine: machine.clone(), framework, status, at, again });
            }
        }
    }

    /// Machines go down or come back, by the older way.
    pub(in crate::sim::mesos) fn move_machines(&mut self, machines: &[Machine], down: bool) -> Result<(), Refused> {
        if down { self.start_maintenance(machines) } else { self.stop_maintenance(machines) }
    }

    pub(in crate::sim::mesos) fn schedule_json(&self) -> Value {
        let windows: Vec<Value> = self
            .windows
            .iter()
            .map(|window| {
                let machines: Vec<Value> = window.machines.iter().map(Machine::json).collect();
                json!({ "machine_ids": machines, "unavailability": window.unavailability })
            })
            .collect();
        if windows.is_empty() { json!({}) } else { json!({ "windows": windows }) }
    }

    pub(in crate::sim::mesos) fn maintenance_json(&self) -> Value {
        let mut said = json!({});
        let of =
            |wanted: Mode| self.machines.iter().filter(move |(_, mode)| **mode == wanted).map(|(machine, _)| machine);
        let draining: Vec<Value> = of(Mode::Draining)
            .map(|machine| {
                let votes = self.windows.iter().flat_map(|window| &window.votes);
                let statuses: Vec<Value> = votes
                    .filter(|vote| vote.machine == *machine)
                    .map(|vote| {
                        json!({
                            "status": vote.status, "framework_id": id(&vote.framework),
                            "timestamp": { "nanoseconds": vote.at },
                        })
                    })
                    .collect();
                let mut one = json!({ "id": machine.json() });
                if !statuses.is_empty() {
                    one["statuses"] = json!(statuses);
                }
                one
            })
            .collect();
        let down: Vec<Value> = of(Mode::Down).map(Machine::json).collect();
        if !draining.is_empty() {
            said["draining_machines"] = json!(draining);
        }
        if !down.is_empty() {
            said["down_machines"] = json!(down);
        }
        said
    }
}

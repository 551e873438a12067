//! What an operator may ask of the masters: which agents there are, that one is drained or takes tasks again,
//! and what the maintenance schedule says.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::CALL_TIMEOUT;
use super::leader::Leader;
use super::schedule::{Ours, Schedule};
use super::{MesosError, census};
use crate::config::Mesos;
use crate::model::id::AgentId;
use crate::model::node::AgentState;

/// An agent, as the leading master sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AgentSeen {
    pub id: AgentId,
    pub hostname: String,
    /// Where it listens, as the master reaches it.
    pub address: Option<String>,
    pub state: AgentState,
    /// A window of the maintenance schedule that is none of ours covers its machine.
    pub scheduled_by_others: bool,
}

/// Speaks to the leading master as an operator.
pub struct Operator {
    leader: Leader,
    /// The name of our framework.
    own: Box<str>,
}

impl Operator {
    /// Nothing is asked yet. Reads the CA file.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn new(settings: &Mesos) -> Result<Self, MesosError> {
        Ok(Self { leader: Leader::new(settings)?, own: settings.name.as_str().into() })
    }

    /// Every agent that the master knows. One in a window of ours is leaving for as long as a framework but our own has
    /// a task there.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn agents(&mut self, ours: &Ours) -> Result<Vec<AgentSeen>, MesosError> {
        let agents: Agents = self.leader.ask("GET_AGENTS", CALL_TIMEOUT).await?;
        let schedule = self.schedule().await?;
        let mut seen = read(agents, &schedule, ours);
        let mut ending: Vec<&mut AgentSeen> = seen.iter_mut().filter(|agent| agent.state.is_ending()).collect();
        if !ending.is_empty() {
            let occupants = census::occupants(&mut self.leader).await?;
            for agent in &mut ending {
                occupied(&mut agent.state, occupants.get(&agent.id), &self.own);
            }
        }
        Ok(seen)
    }

    /// The maintenance schedule.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn schedule(&mut self) -> Result<Schedule, MesosError> {
        let answer: Value = self.leader.ask("GET_MAINTENANCE_SCHEDULE", CALL_TIMEOUT).await?;
        Ok(Schedule::read(answer))
    }

    /// Another maintenance schedule in the place of this one. All offers are void then.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn set_schedule(&mut self, schedule: &Schedule) -> Result<(), MesosError> {
        let body = json!({
            "type": "UPDATE_MAINTENANCE_SCHEDULE",
            "update_maintenance_schedule": { "schedule": schedule.write() },
        });
        self.call("UPDATE_MAINTENANCE_SCHEDULE", &body).await.map(drop)
    }

    /// An agent ends its tasks and gets no more. That the master said yes is only the beginning.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn drain(&mut self, agent: &AgentId, grace: Duration) -> Result<(), MesosError> {
        let nanoseconds = u64::try_from(grace.as_nanos()).unwrap_or(u64::MAX);
        let body = json!({
            "type": "DRAIN_AGENT",
            "drain_agent": {
                "agent_id": { "value": agent.as_str() },
                "max_grace_period": { "nanoseconds": nanoseconds },
                "mark_gone": false,
            },
        });
        self.call("DRAIN_AGENT", &body).await.map(drop)
    }

    /// An agent takes tasks again. Refused while it drains.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn reactivate(&mut self, agent: &AgentId) -> Result<(), MesosError> {
        let body =
            json!({ "type": "REACTIVATE_AGENT", "reactivate_agent": { "agent_id": { "value": agent.as_str() } } });
        self.call("REACTIVATE_AGENT", &body).await.map(drop)
    }

    async fn call(&mut self, name: &'static str, body: &Value) -> Result<Vec<u8>, MesosError> {
        self.leader.call(name, body, CALL_TIMEOUT).await
    }
}

#[derive(Deserialize)]
struct Id {
    value: String,
}

#[derive(Deserialize)]
struct Agents {
    get_agents: AgentList,
}

#[derive(Deserialize)]
struct AgentList {
    #[serde(default)]
    agents: Vec<Agent>,
}

#[derive(Deserialize)]
struct Agent {
    agent_info: AgentInfo,
    /// `slave(1)@ADDRESS:PORT`.
    #[serde(default)]
    pid: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    deactivated: bool,
    #[serde(default)]
    drain_info: Option<DrainInfo>,
}

#[derive(Deserialize)]
struct AgentInfo {
    id: Id,
    hostname: String,
}

#[derive(Deserialize)]
struct DrainInfo {
    state: String,
}

fn read(agents: Agents, schedule: &Schedule, ours: &Ours) -> Vec<AgentSeen> {
    let seen = |agent: Agent| {
        let (hostname, address) = (agent.agent_info.hostname, address(&agent.pid));
        let leaves = schedule.has_ours(&hostname, address.as_deref().unwrap_or_default(), ours);
        AgentSeen {
            scheduled_by_others: schedule.is_covered_by_others(&hostname, address.as_deref(), ours),
            id: AgentId::new(&agent.agent_info.id.value),
            hostname,
            address,
            // A drain deactivates, so it is asked first; a state that this version does not know drains for ever.
            state: match (agent.drain_info.as_ref().map(|info| info.state.as_str()), agent.deactivated, agent.active) {
                (Some("DRAINED"), _, _) => AgentState::Drained,
                (Some(_), _, _) => AgentState::Draining { waits_for: Vec::new() },
                (None, true, _) => AgentState::Deactivated,
                (None, false, true) if leaves => AgentState::Leaving { waits_for: Vec::new() },
                (None, false, true) => AgentState::Active,
                (None, false, false) => AgentState::Unreachable,
            },
        }
    };
    agents.get_agents.agents.into_iter().map(seen).collect()
}

/// Whom an agent waits for, by the frameworks that have tasks there. A drain ends ours too; a schedule asks others to leave.
fn occupied(state: &mut AgentState, occupants: Option<&BTreeSet<Box<str>>>, own: &str) {
    let all = || occupants.into_iter().flatten();
    match state {
        AgentState::Draining { waits_for } => *waits_for = all().cloned().collect(),
        AgentState::Leaving { waits_for } => {
            *waits_for = all().filter(|name| ***name != *own).cloned().collect();
            if waits_for.is_empty() {
                *state = AgentState::Drained;
            }
        }
        _ => {}
    }
}

/// The address in an agent's name among the processes of its cluster.
fn address(pid: &str) -> Option<String> {
    let (host, _) = pid.rsplit_once('@')?.1.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::schedule::Entry;

    #[test]
    fn the_address_of_an_agent_is_in_its_name() {
        assert_eq!(address("slave(1)@10.0.0.7:5051").as_deref(), Some("10.0.0.7"));
        assert_eq!(address("slave(1)@[fd00::7]:5051").as_deref(), Some("fd00::7"));
        for odd in ["", "slave(1)", "slave(1)@", "@:1"] {
            assert_eq!(address(odd), None, "{odd}");
        }
    }

    #[test]
    fn states_of_agents_and_the_schedule_of_others_are_read() {
        let agent = |name: &str, more: &str| {
            format!(r#"{{"agent_info":{{"hostname":"{name}","port":5051,"id":{{"value":"id-{name}"}}}}{more}}}"#)
        };
        let agents = [
            agent("a", r#","active":true,"deactivated":false,"pid":"slave(1)@10.0.0.1:5051""#),
            agent("b", r#","active":false,"deactivated":true,"drain_info":{"state":"DRAINING","config":{}}"#),
            agent("c", r#","active":true,"deactivated":true,"drain_info":{"state":"DRAINED"}"#),
            agent("d", r#","active":true,"deactivated":true,"pid":"slave(1)@10.0.0.4:5051""#),
            agent("e", r#","active":false"#),
            agent("f", r#","active":true,"drain_info":{"state":"DANCING"}"#),
            agent("g", r#","active":true,"pid":"slave(1)@10.0.0.1:5051""#),
        ];
        let text = format!(r#"{{"type":"GET_AGENTS","get_agents":{{"agents":[{}],"new":1}}}}"#, agents.join(","));
        let ours = ["a", "b"].map(|name| {
            (AgentId::new(name), Entry { hostname: name.into(), ip: "10.0.0.1".into(), start_nanoseconds: 9 })
        });
        let window = |name: &str, ip: &str, start: i64| {
            json!({ "machine_ids": [{ "hostname": name, "ip": ip }],
                    "unavailability": { "start": { "nanoseconds": start } } })
        };
        let windows = [
            window("a", "10.0.0.1", 9),
            window("b", "10.0.0.1", 9),
            window("D", "10.0.0.9", 1),
            window("x", "10.0.0.4", 1),
        ];
        let schedule = json!({ "get_maintenance_schedule": { "schedule": { "windows": windows } } });
        let seen = read(serde_json::from_str(&text).unwrap(), &Schedule::read(schedule), &ours.into());
        let states: Vec<&AgentState> = seen.iter().map(|agent| &agent.state).collect();
        let draining = AgentState::Draining { waits_for: Vec::new() };
        let expected = [
            &AgentState::Leaving { waits_for: Vec::new() },
            &draining,
            &AgentState::Drained,
            &AgentState::Deactivated,
            &AgentState::Unreachable,
            &draining,
            &AgentState::Active,
        ];
        assert_eq!(states, expected);
        assert_eq!(
            seen.iter().map(|agent| agent.scheduled_by_others).collect::<Vec<_>>(),
            [false, false, false, true, false, false, false]
        );
    }

    #[test]
    fn an_agent_waits_for_whoever_has_tasks_there_and_by_a_schedule_not_for_us() {
        let waits = || vec!["marathon".into(), "scaleio".into()];
        let both: BTreeSet<Box<str>> = waits().into_iter().collect();
        let us = ["scaleio".into()].into();
        let became = |mut state: AgentState, occupants: Option<&BTreeSet<Box<str>>>| {
            occupied(&mut state, occupants, "scaleio");
            state
        };
        let draining = || AgentState::Draining { waits_for: Vec::new() };
        assert_eq!(became(draining(), Some(&both)), AgentState::Draining { waits_for: waits() });
        assert_eq!(became(draining(), None), draining());
        let leaving = || AgentState::Leaving { waits_for: Vec::new() };
        assert_eq!(became(leaving(), Some(&both)), AgentState::Leaving { waits_for: vec!["marathon".into()] });
        assert_eq!(became(leaving(), Some(&us)), AgentState::Drained);
        assert_eq!(became(leaving(), None), AgentState::Drained);
        assert_eq!(became(AgentState::Active, Some(&both)), AgentState::Active);
    }
}

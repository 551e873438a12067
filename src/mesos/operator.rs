//! What an operator may ask of the masters: which agents there are, and that one is drained or takes tasks again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tracing::debug;

use super::client::CALL_TIMEOUT;
use super::leader::Leader;
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
    /// A maintenance schedule covers its machine. We write none.
    pub scheduled: bool,
}

/// Speaks to the leading master as an operator.
pub struct Operator(Leader);

impl Operator {
    /// Nothing is asked yet. Reads the CA file.
    ///
    /// # Errors
    /// Settings that cannot be used.
    pub fn new(settings: &Mesos) -> Result<Self, MesosError> {
        Leader::new(settings).map(Self)
    }

    /// Every agent that the master knows, with the frameworks that still have tasks where one drains.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn agents(&mut self) -> Result<Vec<AgentSeen>, MesosError> {
        let agents: Agents = self.0.ask("GET_AGENTS", CALL_TIMEOUT).await?;
        let schedule: Schedule = self.0.ask("GET_MAINTENANCE_SCHEDULE", CALL_TIMEOUT).await?;
        let mut seen = read(agents, &schedule);
        if seen.iter().any(|agent| matches!(agent.state, AgentState::Draining { .. })) {
            // Without their names a drain is one all the same.
            let occupants = census::occupants(&mut self.0).await.unwrap_or_else(|error| {
                debug!(%error, "who has tasks on agents that drain is not known");
                BTreeMap::new()
            });
            for agent in &mut seen {
                if let AgentState::Draining { waits_for } = &mut agent.state {
                    waits_for.extend(occupants.get(&agent.id).into_iter().flatten().cloned());
                }
            }
        }
        Ok(seen)
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
        self.0.call(name, body, CALL_TIMEOUT).await
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

#[derive(Deserialize)]
struct Schedule {
    #[serde(default)]
    get_maintenance_schedule: Windows,
}

#[derive(Default, Deserialize)]
struct Windows {
    #[serde(default)]
    schedule: WindowList,
}

#[derive(Default, Deserialize)]
struct WindowList {
    #[serde(default)]
    windows: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    #[serde(default)]
    machine_ids: Vec<Machine>,
}

#[derive(Deserialize)]
struct Machine {
    #[serde(default)]
    hostname: String,
    #[serde(default)]
    ip: String,
}

fn read(agents: Agents, schedule: &Schedule) -> Vec<AgentSeen> {
    let windows = schedule.get_maintenance_schedule.schedule.windows.iter().flat_map(|window| &window.machine_ids);
    // A machine is named by its host, by its address, or by both. Whichever fits: what may be covered is not touched.
    let scheduled: BTreeSet<String> =
        windows.flat_map(|machine| [machine.hostname.to_lowercase(), machine.ip.clone()]).collect();
    let is_named = |name: &str| !name.is_empty() && scheduled.contains(name);
    let seen = |agent: Agent| AgentSeen {
        scheduled: is_named(&agent.agent_info.hostname.to_lowercase())
            || address(&agent.pid).is_some_and(|ip| is_named(&ip)),
        id: AgentId::new(&agent.agent_info.id.value),
        hostname: agent.agent_info.hostname,
        address: address(&agent.pid),
        // A drain deactivates, so it is asked first; a state that this version does not know drains for ever.
        state: match (agent.drain_info.as_ref().map(|info| info.state.as_str()), agent.deactivated, agent.active) {
            (Some("DRAINED"), _, _) => AgentState::Drained,
            (Some(_), _, _) => AgentState::Draining { waits_for: Vec::new() },
            (None, true, _) => AgentState::Deactivated,
            (None, false, true) => AgentState::Active,
            (None, false, false) => AgentState::Unreachable,
        },
    };
    agents.get_agents.agents.into_iter().map(seen).collect()
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
            agent("a", r#","active":true,"deactivated":false"#),
            agent("b", r#","active":false,"deactivated":true,"drain_info":{"state":"DRAINING","config":{}}"#),
            agent("c", r#","active":true,"deactivated":true,"drain_info":{"state":"DRAINED"}"#),
            agent("d", r#","active":true,"deactivated":true,"pid":"slave(1)@10.0.0.4:5051""#),
            agent("e", r#","active":false"#),
            agent("f", r#","active":true,"drain_info":{"state":"DANCING"}"#),
        ];
        let text = format!(r#"{{"type":"GET_AGENTS","get_agents":{{"agents":[{}],"new":1}}}}"#, agents.join(","));
        let schedule = r#"{"get_maintenance_schedule":{"schedule":{"windows":[
            {"machine_ids":[{"hostname":"A","ip":"10.0.0.1"},{"ip":"10.0.0.4"},{}],
             "unavailability":{"start":{"nanoseconds":1}}}]}}}"#;
        let seen = read(serde_json::from_str(&text).unwrap(), &serde_json::from_str(schedule).unwrap());
        let states: Vec<&AgentState> = seen.iter().map(|agent| &agent.state).collect();
        let draining = AgentState::Draining { waits_for: Vec::new() };
        let expected = [
            &AgentState::Active,
            &draining,
            &AgentState::Drained,
            &AgentState::Deactivated,
            &AgentState::Unreachable,
            &draining,
        ];
        assert_eq!(states, expected);
        assert_eq!(
            seen.iter().map(|agent| agent.scheduled).collect::<Vec<_>>(),
            [true, false, false, true, false, false]
        );
        let empty: Schedule = serde_json::from_str(r#"{"get_maintenance_schedule":{"schedule":{}}}"#).unwrap();
        assert!(empty.get_maintenance_schedule.schedule.windows.is_empty());
    }
}

//! What does an operator see of the cluster, and what may be changed?

use serde_json::{Value, json};

use super::{Answer, Cluster, Framework, Standing, VERSION};
use crate::sim::mesos::refusal::Refused;
use crate::sim::mesos::wire::{Call, id};

impl Cluster {
    /// A call of an operator.
    pub(in crate::sim::mesos) fn operator(&mut self, call: &Call) -> Result<Answer, Refused> {
        let kind = call.kind.as_deref().unwrap_or_default();
        let missing =
            |part: &str| Refused::bad(format!("Failed to validate master::Call: Expecting '{part}' to be present"));
        let shown = |key: &str, value: Value| Ok(Answer::Json(json!({ "type": kind, key: value })));
        match kind {
            "GET_HEALTH" => return shown("get_health", json!({ "healthy": true })),
            "GET_VERSION" => return shown("get_version", json!({ "version_info": { "version": VERSION } })),
            "GET_MASTER" => return shown("get_master", json!({ "master_info": self.master_info() })),
            "GET_AGENTS" => return shown("get_agents", self.agents_json()),
            "GET_TASKS" => return shown("get_tasks", self.tasks_json()),
            "GET_FRAMEWORKS" => return shown("get_frameworks", self.frameworks_json()),
            "GET_MAINTENANCE_SCHEDULE" => {
                return shown("get_maintenance_schedule", json!({ "schedule": self.schedule_json() }));
            }
            "GET_MAINTENANCE_STATUS" => {
                return shown("get_maintenance_status", json!({ "status": self.maintenance_json() }));
            }
            "DRAIN_AGENT" => self.drain(call.drain_agent.as_ref().ok_or_else(|| missing("drain_agent"))?)?,
            "DEACTIVATE_AGENT" | "REACTIVATE_AGENT" | "MARK_AGENT_GONE" => {
                let (part, name) = match kind {
                    "DEACTIVATE_AGENT" => (&call.deactivate_agent, "deactivate_agent"),
                    "REACTIVATE_AGENT" => (&call.reactivate_agent, "reactivate_agent"),
                    _ => (&call.mark_agent_gone, "mark_agent_gone"),
                };
                let agent = part.as_ref().and_then(|part| part.agent_id.as_ref()).ok_or_else(|| missing(name))?;
                match kind {
                    "DEACTIVATE_AGENT" => self.deactivate(&agent.value)?,
                    "REACTIVATE_AGENT" => self.reactivate(&agent.value)?,
                    _ => self.mark_gone(&agent.value),
                }
            }
            "TEARDOWN" => {
                let framework = &call.teardown.as_ref().ok_or_else(|| missing("teardown"))?.framework_id.value;
                if !self.frameworks.contains_key(framework) {
                    return Err(Refused::bad(format!("No framework found with ID {framework}")));
                }
                self.remove_framework(framework);
            }
            "UPDATE_MAINTENANCE_SCHEDULE" => {
                let part = call.update_maintenance_schedule.as_ref();
                self.schedule(&part.ok_or_else(|| missing("update_maintenance_schedule"))?["schedule"])?;
            }
            "START_MAINTENANCE" => {
                let part = call.start_maintenance.as_ref().ok_or_else(|| missing("start_maintenance"))?;
                self.start_maintenance(&part.machines)?;
            }
            "STOP_MAINTENANCE" => {
                let part = call.stop_maintenance.as_ref().ok_or_else(|| missing("stop_maintenance"))?;
                self.stop_maintenance(&part.machines)?;
            }
            _ => return Err(missing("type")),
        }
        Ok(Answer::Done)
    }

    fn agents_json(&self) -> Value {
        let mut agents = Vec::new();
        for (name, agent) in &self.agents {
            let Some(host) = self.hosts.get(&agent.host) else { continue };
            // Those that are unreachable, or have not come yet, are no agents of this master.
            if matches!(agent.standing, Standing::Unreachable { .. }) || agent.is_new_to_master {
                continue;
            }
            let mut one = json!({
                "agent_info": {
                    "hostname": agent.host, "port": host.address.port(), "resources": host.total.json(None),
                    "attributes": host.attributes, "id": id(name), "checkpoint": true,
                },
                "active": agent.standing == Standing::Connected && !agent.is_deactivated,
                "deactivated": agent.is_deactivated, "version": VERSION, "pid": format!("slave(1)@{}", host.address),
                "registered_time": { "nanoseconds": agent.registered_at },
                "total_resources": host.total.json(None),
            });
            if let Some(again) = agent.reregistered_at {
                one["reregistered_time"] = json!({ "nanoseconds": again });
            }
            if let Some(drain) = &agent.drain {
                let state = if drain.is_drained { "DRAINED" } else { "DRAINING" };
                one["drain_info"] = json!({ "state": state, "config": drain.config });
            }
            agents.push(one);
        }
        json!({ "agents": agents })
    }

    fn tasks_json(&self) -> Value {
        let (mut tasks, mut unreachable, mut completed) = (Vec::new(), Vec::new(), Vec::new());
        for (framework, known) in &self.frameworks {
            for (name, task) in &known.tasks {
                let Some(agent) = self.agents.get(&task.agent) else { continue };
                let said = Self::task_json(framework, name, task);
                match agent.standing {
                    Standing::Unreachable { .. } => unreachable.push(with(said, "state", "TASK_UNREACHABLE")),
                    Standing::Disconnected if agent.is_new_to_master => {}
                    Standing::Connected | Standing::Disconnected => tasks.push(said),
                }
            }
            completed.extend(known.completed.iter().cloned());
        }
        json!({ "tasks": tasks, "unreachable_tasks": unreachable, "completed_tasks": completed })
    }

    fn frameworks_json(&self) -> Value {
        let one = |framework: &Framework| {
            let is_there = framework.stream.is_some();
            json!({ "framework_info": framework.info, "active": is_there, "connected": is_there, "recovered": false })
        };
        json!({ "frameworks": self.frameworks.values().map(one).collect::<Vec<_>>() })
    }
}

fn with(mut value: Value, key: &str, text: &str) -> Value {
    value[key] = json!(text);
    value
}

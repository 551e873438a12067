//! What does the operator API of the leading master say that runs in the cluster?
//!
//! Three questions a time: agents for where, frameworks for whose, tasks for what.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::MesosError;
use super::leader::Leader;
use crate::config::Mesos;
use crate::model::id::{AgentId, TaskId};
use crate::model::mesos::{TaskFate, TaskState};
use crate::model::unit::Timestamp;
use crate::model::workload::{RegisteredAgent, RunningTask, application};

/// A master with many thousands of ended tasks takes a while to write them down.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asks the operator API.
pub struct Census(Leader);

impl Census {
    /// Nothing is asked yet. Reads the CA file.
    pub fn new(settings: &Mesos) -> Result<Self, MesosError> {
        Leader::new(settings).map(Self)
    }

    /// Every agent, and every task that has not ended, of all frameworks.
    pub async fn take(&mut self) -> Result<Taken, MesosError> {
        let agents: AgentsWire = self.0.ask("GET_AGENTS", TIMEOUT).await?;
        let frameworks: FrameworksWire = self.0.ask("GET_FRAMEWORKS", TIMEOUT).await?;
        let tasks: TasksWire = self.0.ask("GET_TASKS", TIMEOUT).await?;
        let registered = agents.registered();
        Ok(Taken { tasks: tasks.join(agents, frameworks), agents: registered })
    }
}

/// What a master told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    /// Every task that has not ended.
    pub tasks: Vec<RunningTask>,
    /// Every agent that is registered.
    pub agents: BTreeMap<AgentId, RegisteredAgent>,
}

/// Which frameworks have tasks on each agent, those included whose end they have not acknowledged.
pub(super) async fn occupants(leader: &mut Leader) -> Result<BTreeMap<AgentId, BTreeSet<Box<str>>>, MesosError> {
    let frameworks: FrameworksWire = leader.ask("GET_FRAMEWORKS", TIMEOUT).await?;
    let tasks: TasksWire = leader.ask("GET_TASKS", TIMEOUT).await?;
    Ok(tasks.occupants(&frameworks.names()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IdWire {
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AgentsWire {
    get_agents: AgentListWire,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AgentListWire {
    agents: Vec<AgentWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AgentWire {
    agent_info: AgentInfoWire,
    /// `slave(1)@ip:port`.
    pid: Option<String>,
    active: bool,
    version: Option<String>,
    registered_time: Option<TimeWire>,
    reregistered_time: Option<TimeWire>,
}

#[derive(Clone, Copy, Deserialize)]
struct TimeWire {
    nanoseconds: i64,
}

impl AgentsWire {
    fn registered(&self) -> BTreeMap<AgentId, RegisteredAgent> {
        let all = self.get_agents.agents.iter().map(|agent| {
            let last = agent.reregistered_time.or(agent.registered_time);
            let seen = RegisteredAgent {
                hostname: agent.agent_info.hostname.clone().unwrap_or_default().into(),
                registered_at: last.map(|time| Timestamp::from_timestamp_nanos(time.nanoseconds)),
                version: agent.version.clone().map(Into::into),
                is_active: agent.active,
            };
            (AgentId::new(&agent.agent_info.id.value), seen)
        });
        all.collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AgentInfoWire {
    id: IdWire,
    hostname: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FrameworksWire {
    get_frameworks: FrameworkListWire,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FrameworkListWire {
    frameworks: Vec<FrameworkWire>,
}

impl FrameworksWire {
    fn names(self) -> BTreeMap<String, String> {
        let all = self.get_frameworks.frameworks.into_iter();
        all.map(|framework| (framework.framework_info.id.value, framework.framework_info.name)).collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FrameworkWire {
    framework_info: FrameworkInfoWire,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FrameworkInfoWire {
    id: IdWire,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TasksWire {
    get_tasks: TaskListWire,
}

/// Those that have ended are passed over without being kept.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TaskListWire {
    tasks: Vec<TaskWire>,
    pending_tasks: Vec<TaskWire>,
    unreachable_tasks: Vec<TaskWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TaskWire {
    task_id: IdWire,
    name: String,
    framework_id: IdWire,
    agent_id: IdWire,
    state: String,
    container: Option<ContainerWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContainerWire {
    volumes: Vec<VolumeWire>,
    docker: Option<DockerWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct VolumeWire {
    source: Option<SourceWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SourceWire {
    docker_volume: Option<DockerVolumeWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerVolumeWire {
    driver: Option<String>,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DockerWire {
    parameters: Vec<ParameterWire>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ParameterWire {
    key: String,
    value: String,
}

impl ContainerWire {
    /// What it asks volume drivers for: by the isolator `docker/volume`, or by options of Docker.
    fn volumes(self) -> BTreeSet<Box<str>> {
        let isolated = self.volumes.into_iter().filter_map(|volume| volume.source?.docker_volume);
        let isolated = isolated.filter(|volume| is_driver(volume.driver.as_deref())).map(|volume| volume.name);
        let parameters = self.docker.map(|docker| docker.parameters).unwrap_or_default();
        let driver = parameters.iter().find(|one| one.key == "volume-driver").map(|one| one.value.clone());
        let options = parameters.into_iter().filter(|one| one.key == "volume" && is_driver(driver.as_deref()));
        // `name:/path:ro`; one that begins with `/` is a folder of the host.
        let named = options.filter_map(|one| Some(one.value.split_once(':')?.0.to_owned()));
        isolated.chain(named.filter(|name| !name.starts_with('/'))).map(Into::into).collect()
    }
}

/// Whether a driver may stand for our volumes; Docker's own keeps folders of the host.
fn is_driver(driver: Option<&str>) -> bool {
    driver.is_some_and(|driver| !matches!(driver, "" | "local"))
}

/// Name and IP address of an agent.
type Place = (Option<Box<str>>, Option<Box<str>>);

impl TasksWire {
    /// The names of frameworks, or ids where they have none, by agent. Tasks that have ended are listed until that is
    /// acknowledged.
    fn occupants(self, names: &BTreeMap<String, String>) -> BTreeMap<AgentId, BTreeSet<Box<str>>> {
        let mut all: BTreeMap<_, BTreeSet<Box<str>>> = BTreeMap::new();
        for task in self.get_tasks.tasks.into_iter().chain(self.get_tasks.pending_tasks) {
            let id = &task.framework_id.value;
            let name = names.get(id).filter(|name| !name.is_empty()).unwrap_or(id);
            all.entry(AgentId::new(&task.agent_id.value)).or_default().insert(name.as_str().into());
        }
        all
    }

    fn join(self, agents: AgentsWire, frameworks: FrameworksWire) -> Vec<RunningTask> {
        let address = |pid: Option<String>| {
            let pid = pid?;
            let (host, _) = pid.rsplit_once('@')?.1.rsplit_once(':')?;
            Some(Box::from(host.trim_matches(['[', ']'])))
        };
        let places: BTreeMap<String, Place> = agents
            .get_agents
            .agents
            .into_iter()
            .map(|agent| (agent.agent_info.id.value, (agent.agent_info.hostname.map(Into::into), address(agent.pid))))
            .collect();
        let names = frameworks.names();
        let TaskListWire { tasks, pending_tasks, unreachable_tasks } = self.get_tasks;
        let all = tasks.into_iter().chain(pending_tasks).chain(unreachable_tasks);
        let mut found: Vec<RunningTask> = all
            .map(|task| {
                let framework = names.get(&task.framework_id.value).map_or("", String::as_str);
                let (hostname, address) = places.get(&task.agent_id.value).cloned().unwrap_or_default();
                RunningTask {
                    application: application(framework, &task.task_id.value),
                    framework: framework.into(),
                    task: TaskId::new(&task.task_id.value),
                    name: task.name.into(),
                    agent: AgentId::new(&task.agent_id.value),
                    hostname,
                    address,
                    state: TaskState::new(&task.state),
                    volumes: task.container.map(ContainerWire::volumes).unwrap_or_default(),
                }
            })
            .filter(|task| task.state.fate() != TaskFate::Ended)
            .collect();
        found.sort_by(|a, b| a.task.cmp(&b.task));
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn volumes(container: serde_json::Value) -> Vec<String> {
        let wire: ContainerWire = serde_json::from_value(container).unwrap();
        wire.volumes().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_agent_that_registered_again_is_told_from_what_it_was() {
        let agents = |text: &str| serde_json::from_str::<AgentsWire>(text).unwrap().registered();
        let told = agents(
            r#"{"get_agents":{"agents":[{"agent_info":{"hostname":"a1","id":{"value":"S1"}},"active":true,"version":"1.11.0",
                "registered_time":{"nanoseconds":1795333395070459904},"reregistered_time":{"nanoseconds":1795333399000000000}}]}}"#,
        );
        let seen = &told[&AgentId::new("S1")];
        assert_eq!(seen.registered_at.map(|at| at.timestamp()), Some(1_795_333_399));
        assert!(seen.is_active && *seen.hostname == *"a1" && seen.version.as_deref() == Some("1.11.0"));
        let strange = agents(r#"{"get_agents":{"agents":[{"agent_info":{"id":{"value":"S2"}},"colour":"red"}]}}"#);
        assert_eq!(strange[&AgentId::new("S2")].registered_at, None);
    }

    #[test]
    fn whoever_has_not_acknowledged_the_end_of_a_task_still_has_it() {
        let names = BTreeMap::from([("F1".to_owned(), "marathon".to_owned()), ("F2".to_owned(), String::new())]);
        let task = |framework: &str, agent: &str, state: &str| {
            json!({ "task_id": { "value": "t" }, "framework_id": { "value": framework },
                    "agent_id": { "value": agent }, "state": state })
        };
        let tasks: TasksWire = serde_json::from_value(json!({ "get_tasks": {
            "tasks": [task("F1", "S1", "TASK_KILLED"), task("F1", "S1", "TASK_RUNNING"), task("F2", "S1", "TASK_RUNNING")],
            "pending_tasks": [task("F3", "S2", "TASK_STAGING")],
            "completed_tasks": [task("F1", "S3", "TASK_FINISHED")],
            "unreachable_tasks": [task("F1", "S4", "TASK_UNREACHABLE")],
        } })).unwrap();
        let who = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect::<BTreeSet<Box<str>>>();
        let expected = [("S1", who(&["F2", "marathon"])), ("S2", who(&["F3"]))];
        assert_eq!(tasks.occupants(&names), expected.map(|(agent, all)| (AgentId::new(agent), all)).into());
    }

    #[test]
    fn volumes_are_found_however_they_are_asked_for() {
        let docker = |driver: &str, name: &str| json!({ "source": { "type": "DOCKER_VOLUME", "docker_volume": { "driver": driver, "name": name } } });
        let isolated = json!({ "type": "MESOS", "volumes": [
            docker("rexray", "db-1"), docker("local", "scratch"), { "host_path": "/tmp", "container_path": "tmp" },
        ] });
        assert_eq!(volumes(isolated), ["db-1"]);
        let options = json!({ "type": "DOCKER", "docker": { "image": "db", "parameters": [
            { "key": "volume-driver", "value": "rexray" }, { "key": "volume", "value": "db-2:/data:rw" },
            { "key": "volume", "value": "/etc:/etc:ro" }, { "key": "memory", "value": "1g" },
        ] } });
        assert_eq!(volumes(options), ["db-2"]);
        assert!(volumes(json!({ "docker": { "parameters": [{ "key": "volume", "value": "v:/data" }] } })).is_empty());
        assert!(volumes(json!({})).is_empty());
    }
}

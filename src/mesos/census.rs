//! What does the operator API of the leading master say that runs in the cluster?
//!
//! Three questions a time: agents for where, frameworks for whose, tasks for
//! what. Each answer is read as it comes and kept within a bound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::LOCATION;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::MesosError;
use super::client::{http, json_headers, refused, unheard};
use super::master::Finder;
use crate::config::{Login, MasterUrl, Mesos};
use crate::model::id::{AgentId, TaskId};
use crate::model::mesos::{TaskFate, TaskState};
use crate::model::workload::{RunningTask, application};

/// A master with many thousands of ended tasks takes a while to write them down.
const TIMEOUT: Duration = Duration::from_secs(30);
/// 50,000 tasks with their statuses are some 60 MB.
const LARGEST: usize = 256 << 20;

/// Asks the operator API.
pub struct Census {
    http: Client,
    login: Option<Login>,
    finder: Finder,
}

impl Census {
    /// Nothing is asked yet. Reads the CA file.
    pub fn new(settings: &Mesos) -> Result<Self, MesosError> {
        let http = http(&settings.trust)?;
        Ok(Self { http, login: settings.login.clone(), finder: Finder::new(settings.masters.clone()) })
    }

    /// Every task that has not ended, of all frameworks.
    pub async fn tasks(&mut self) -> Result<Vec<RunningTask>, MesosError> {
        let agents: AgentsWire = self.ask("GET_AGENTS").await?;
        let frameworks: FrameworksWire = self.ask("GET_FRAMEWORKS").await?;
        let tasks: TasksWire = self.ask("GET_TASKS").await?;
        Ok(tasks.join(agents, frameworks))
    }

    async fn ask<T: DeserializeOwned>(&mut self, call: &'static str) -> Result<T, MesosError> {
        loop {
            let master = self.finder.candidate().await?;
            match self.ask_at(&master, call).await {
                Ok(Answer::Body(body)) => {
                    self.finder.found();
                    let text = |error: serde_json::Error| format!("the answer cannot be read: {error}");
                    let address = master.to_string();
                    return serde_json::from_slice(&body).map_err(|error| MesosError::Refused {
                        call,
                        address,
                        status: 200,
                        text: text(error),
                    });
                }
                Ok(Answer::Elsewhere(location)) => self.finder.redirected(&master, &location)?,
                Err(error) => {
                    self.finder.failed();
                    return Err(error);
                }
            }
        }
    }

    async fn ask_at(&self, master: &MasterUrl, call: &'static str) -> Result<Answer, MesosError> {
        let address = master.to_string();
        let request = self.http.post(format!("{master}/api/v1")).headers(json_headers()).timeout(TIMEOUT);
        let request = request.body(json!({ "type": call }).to_string());
        let request = match &self.login {
            Some(login) => request.basic_auth(&login.user, Some(login.password.reveal())),
            None => request,
        };
        let response = request.send().await.map_err(|error| unheard(call, &address, error))?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::TEMPORARY_REDIRECT => {
                let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                return Ok(Answer::Elsewhere(location.unwrap_or_default().to_owned()));
            }
            status => return Err(refused(call, address, status, response).await),
        }
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.map_err(|error| unheard(call, &address, error))?);
            if body.len() > LARGEST {
                let text = format!("the answer is longer than {LARGEST} bytes");
                return Err(MesosError::Refused { call, address, status: 200, text });
            }
        }
        Ok(Answer::Body(body))
    }
}

enum Answer {
    Body(Vec<u8>),
    Elsewhere(String),
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
        let names: BTreeMap<String, String> = frameworks
            .get_frameworks
            .frameworks
            .into_iter()
            .map(|framework| (framework.framework_info.id.value, framework.framework_info.name))
            .collect();
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
    use super::*;

    fn volumes(container: serde_json::Value) -> Vec<String> {
        let wire: ContainerWire = serde_json::from_value(container).unwrap();
        wire.volumes().iter().map(ToString::to_string).collect()
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

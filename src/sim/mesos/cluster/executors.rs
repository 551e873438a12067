//! What does an agent do with its executors? It starts them, hears them, tells
//! them things, and ends them.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::resources::Amounts;
use super::tasks::Task;
use super::{Answer, Cluster, Executor, ExecutorKey, Process, Standing};
use crate::sim::mesos::refusal::Refused;
use crate::sim::mesos::wire::{Call, Id, bytes, id, record, text};
use crate::sim::mesos::{Exit, Fetch, Start};

/// What an executor has to end in, when nothing is said.
const GRACE: Duration = Duration::from_secs(5);

fn invalid(why: &str) -> Refused {
    Refused::bad(format!("Failed to validate Executor::Call: {why}"))
}

impl Cluster {
    /// Gives a task to an agent; what it takes comes back.
    pub(super) fn launch(&mut self, framework: &str, agent: &str, role: &str, task: &Value) -> Amounts {
        let is_command = task["executor"].is_null();
        let name = text(task, "/task_id/value").to_owned();
        let executor = if is_command { name.clone() } else { text(task, "/executor/executor_id/value").to_owned() };
        let key = (framework.to_owned(), executor.clone());
        let mut info = task.clone();
        for resource in info["resources"].as_array_mut().into_iter().flatten() {
            resource["allocation_info"] = json!({ "role": role });
        }
        let amounts = Amounts::of(&task["resources"]);
        let mut taken = amounts;
        let is_new = self.agents.get(agent).is_some_and(|agent| !agent.executors.contains_key(&key));
        if is_new {
            taken += self.start(framework, agent, &key, task, is_command);
        }
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.used += amounts;
        }
        if let Some(framework) = self.frameworks.get_mut(framework) {
            framework.tasks.insert(name.clone(), Task::new(info.clone(), agent, &executor, is_command, amounts));
        }
        if is_command {
            self.own_update(framework, &name, "TASK_STARTING", None, "");
            self.own_update(framework, &name, "TASK_RUNNING", None, "");
        } else {
            self.tell_executor(agent, &key, json!({ "type": "LAUNCH", "launch": { "task": info } }));
        }
        taken
    }

    /// An update in the name of a task with a command, or of an executor that is no more.
    fn own_update(&mut self, framework: &str, task: &str, state: &str, reason: Option<&str>, message: &str) {
        let source = if reason.is_some() { "SOURCE_AGENT" } else { "SOURCE_EXECUTOR" };
        let mut status = self.status(task, state, source, reason, message, None);
        status["uuid"] = json!(self.uuid());
        self.update(framework, task, status);
    }

    fn start(
        &mut self,
        framework: &str,
        agent: &str,
        key: &(String, String),
        task: &Value,
        is_command: bool,
    ) -> Amounts {
        let executor = if is_command { Value::Null } else { task["executor"].clone() };
        let said = if is_command { &task["command"] } else { &executor["command"] };
        let (container, kill) = (self.dashed(), CancellationToken::new());
        let amounts = Amounts::of(&executor["resources"]);
        let grace = executor.pointer("/shutdown_grace_period/nanoseconds").and_then(Value::as_u64);
        let grace = grace.map_or(GRACE, Duration::from_nanos);
        let is_checkpointing = self.frameworks.get(framework).is_some_and(|framework| framework.is_checkpointing);
        let Some(known) = self.agents.get_mut(agent) else { return Amounts::default() };
        let Some(host) = self.hosts.get(&known.host) else { return Amounts::default() };
        let sandbox = host.sandboxes.join(&known.host).join(framework).join(&key.1).join(&container);
        let place = sandbox.display().to_string();
        let mut environment: Vec<(String, String)> = [
            ("MESOS_SANDBOX", place.clone()),
            ("MESOS_DIRECTORY", place),
            ("MESOS_FRAMEWORK_ID", framework.to_owned()),
            ("MESOS_EXECUTOR_ID", key.1.clone()),
            ("MESOS_AGENT_ENDPOINT", host.address.to_string()),
            ("MESOS_SLAVE_ID", agent.to_owned()),
            ("MESOS_SLAVE_PID", format!("slave(1)@{}", host.address)),
            ("MESOS_CHECKPOINT", u8::from(is_checkpointing).to_string()),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", format!("{}secs", grace.as_secs_f64())),
            ("MESOS_HTTP_COMMAND_EXECUTOR", "0".to_owned()),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if is_checkpointing {
            environment.push(("MESOS_RECOVERY_TIMEOUT".to_owned(), "15mins".to_owned()));
            environment.push(("MESOS_SUBSCRIPTION_BACKOFF_MAX".to_owned(), "2secs".to_owned()));
        }
        for variable in said.pointer("/environment/variables").and_then(Value::as_array).into_iter().flatten() {
            environment.push((text(variable, "/name").to_owned(), text(variable, "/value").to_owned()));
        }
        let uris = said["uris"].as_array().into_iter().flatten().map(|uri| Fetch {
            address: text(uri, "/value").to_owned(),
            name: uri["output_file"].as_str().map(str::to_owned),
            is_executable: uri["executable"].as_bool().unwrap_or(false),
        });
        let start = Start {
            hostname: known.host.clone(),
            environment,
            command: text(said, "/value").to_owned(),
            uris: uris.collect(),
            sandbox,
            kill: kill.clone(),
        };
        // Nobody takes it when everything ends.
        let _ = self.starts.send(((agent.to_owned(), key.0.clone(), key.1.clone()), start));
        known.used += amounts;
        let (sink, waiting, kill_at) = (None, Vec::new(), None);
        let started = Executor { info: executor, is_command, container, amounts, sink, waiting, grace, kill, kill_at };
        known.executors.insert(key.clone(), started);
        amounts
    }

    /// Says something to an executor, now or when it and its agent are there.
    pub(super) fn tell_executor(&mut self, agent: &str, key: &(String, String), event: Value) {
        let Some(known) = self.agents.get(agent) else { return };
        let is_up = self.process(&known.host) == Process::Up;
        let Some(known) = self.agents.get_mut(agent) else { return };
        let Some(executor) = known.executors.get_mut(key) else { return };
        match &executor.sink {
            Some(sink) if is_up => {
                let _ = sink.send(record(&event));
            }
            _ => executor.waiting.push(event),
        }
    }

    /// What waits for executors of an agent that is awake again.
    pub(super) fn tell_waiting(&mut self, agent: &str) {
        let Some(agent) = self.agents.get_mut(agent) else { return };
        for executor in agent.executors.values_mut() {
            if let Some(sink) = &executor.sink {
                executor.waiting.drain(..).for_each(|event| drop(sink.send(record(&event))));
            }
        }
    }

    /// A call of an executor at the agent of a host.
    pub(in crate::sim::mesos) fn executor(&mut self, host: &str, call: &Call) -> Result<Answer, Refused> {
        let kind = call.kind.as_deref().unwrap_or_default();
        let named = |id: &Option<Id>, name: &str| {
            id.as_ref().map(|id| id.value.clone()).ok_or_else(|| invalid(&format!("Expecting '{name}' to be present")))
        };
        let key = (named(&call.framework_id, "framework_id")?, named(&call.executor_id, "executor_id")?);
        if !matches!(kind, "SUBSCRIBE" | "UPDATE" | "MESSAGE" | "HEARTBEAT") {
            return Err(invalid("Expecting 'type' to be present"));
        }
        let status = call.update.as_ref().map(|update| update["status"].clone());
        if let Some(status) = &status {
            self.check_status(status, &key)?;
        }
        let agent = self.hosts.get(host).and_then(|host| host.agent.clone()).unwrap_or_default();
        let known = self.agents.get_mut(&agent).ok_or_else(|| Refused::bad("Framework cannot be found"))?;
        if !known.executors.keys().any(|(framework, _)| *framework == key.0) {
            return Err(Refused::bad("Framework cannot be found"));
        }
        let executor = known.executors.get_mut(&key).ok_or_else(|| Refused::bad("Executor cannot be found"))?;
        if kind == "SUBSCRIBE" {
            return Ok(self.subscribe_executor(&agent, &key, call));
        }
        if executor.sink.is_none() {
            return Err(Refused::new(StatusCode::FORBIDDEN, "Executor is not subscribed"));
        }
        if let Some(status) = status {
            self.take_update(&agent, &key, status);
        }
        if let Some(message) = call.message.as_ref().filter(|_| kind == "MESSAGE") {
            let data = message.data.clone().unwrap_or_default();
            bytes("data", &data).map_err(Refused::bad)?;
            let said = json!({ "agent_id": id(&agent), "executor_id": id(&key.1), "data": data });
            if self.is_there(&agent) {
                self.tell(&key.0, &json!({ "type": "MESSAGE", "message": said }));
            }
        }
        Ok(Answer::Accepted)
    }

    fn check_status(&self, status: &Value, (framework, executor): &(String, String)) -> Result<(), Refused> {
        let Some(uuid) = status["uuid"].as_str() else { return Err(invalid("Expecting 'uuid' to be present")) };
        if bytes("uuid", uuid).map_err(Refused::bad)?.len() != 16 {
            return Err(invalid("Not a valid UUID"));
        }
        if text(status, "/source") != "SOURCE_EXECUTOR" {
            return Err(invalid(&format!(
                "Received Call from executor {executor} of framework {framework} with invalid source, expecting 'SOURCE_EXECUTOR'"
            )));
        }
        if text(status, "/state") == "TASK_STAGING" {
            return Err(invalid(&format!(
                "Received TASK_STAGING from executor {executor} of framework {framework} which is not allowed"
            )));
        }
        Ok(())
    }

    fn subscribe_executor(&mut self, agent: &str, key: &(String, String), call: &Call) -> Answer {
        let (sink, events) = mpsc::unbounded_channel();
        let framework = self.frameworks.get(&key.0).map(|framework| framework.info.clone()).unwrap_or_default();
        let address = self.agents.get(agent).and_then(|known| self.hosts.get(&known.host)).map(|host| host.address);
        let Some(known) = self.agents.get_mut(agent) else { return Answer::Accepted };
        let hostname = known.host.clone();
        let Some(executor) = known.executors.get_mut(key) else { return Answer::Accepted };
        let subscribed = json!({
            "executor_info": executor.info, "framework_info": framework, "container_id": id(&executor.container),
            "agent_info": { "hostname": hostname, "port": address.map(|address| address.port()), "id": id(agent) },
        });
        // A second subscription closes the first one.
        let _ = sink.send(record(&json!({ "type": "SUBSCRIBED", "subscribed": subscribed })));
        executor.sink = Some(sink);
        self.tell_waiting(agent);
        let part = call.subscribe.clone().unwrap_or_default();
        for update in part["unacknowledged_updates"].as_array().into_iter().flatten() {
            self.take_update(agent, key, update["status"].clone());
        }
        Answer::Stream { id: None, events }
    }

    fn take_update(&mut self, agent: &str, key: &(String, String), mut status: Value) {
        let task = text(&status, "/task_id/value").to_owned();
        let acknowledged = json!({ "task_id": id(&task), "uuid": status["uuid"] });
        let is_draining = self.agents.get(agent).is_some_and(|agent| agent.drain.is_some());
        if is_draining && text(&status, "/state") == "TASK_KILLED" {
            status["reason"] = json!("REASON_AGENT_DRAINING");
        }
        self.update(&key.0, &task, status);
        self.tell_executor(agent, key, json!({ "type": "ACKNOWLEDGED", "acknowledged": acknowledged }));
    }

    /// Tells an executor to end; it is killed after its grace period.
    pub(super) fn shut_down(&mut self, agent: &str, key: &(String, String)) {
        self.tell_executor(agent, key, json!({ "type": "SHUTDOWN" }));
        let now = self.now;
        let Some(executor) = self.agents.get_mut(agent).and_then(|agent| agent.executors.get_mut(key)) else { return };
        if executor.is_command {
            executor.kill.cancel();
        }
        executor.kill_at = Some(now + executor.grace);
    }

    /// A process has ended; its agent sees that when it is awake.
    pub(in crate::sim::mesos) fn exited(&mut self, (agent, framework, executor): ExecutorKey, exit: Exit) {
        if let Some(agent) = self.agents.get_mut(&agent) {
            agent.exits.push(((framework, executor), exit));
        }
        self.tick_executors();
    }

    /// Streams that broke, processes that ended, grace periods that are over.
    pub(super) fn tick_executors(&mut self) {
        let now = self.now;
        let mut ended = Vec::new();
        let awake: Vec<String> = self
            .agents
            .iter()
            .filter(|(_, agent)| self.process(&agent.host) == Process::Up)
            // While it recovers, it looks at nothing.
            .filter(|(_, agent)| self.hosts.get(&agent.host).is_some_and(|host| host.registers_at.is_none()))
            .map(|(id, _)| id.clone())
            .collect();
        for id in awake {
            let Some(agent) = self.agents.get_mut(&id) else { continue };
            for executor in agent.executors.values_mut() {
                if executor.kill_at.is_some_and(|at| at <= now) {
                    executor.kill.cancel();
                }
                executor.sink.take_if(|sink| sink.is_closed());
            }
            ended.extend(agent.exits.drain(..).map(|exit| (id.clone(), exit)));
        }
        for (agent, (key, exit)) in ended {
            self.bury(&agent, &key, &exit);
        }
    }

    /// An executor is no more: its tasks neither.
    fn bury(&mut self, agent: &str, key: &(String, String), exit: &Exit) {
        let Some(known) = self.agents.get_mut(agent) else { return };
        let Some(executor) = known.executors.remove(key) else { return };
        known.used -= executor.amounts;
        let (state, reason, message, status) = match exit {
            Exit::Status(0) if executor.is_command => {
                ("TASK_FINISHED", None, "Command exited with status 0".to_owned(), 0)
            }
            Exit::Status(status) if executor.is_command => {
                ("TASK_FAILED", None, format!("Command exited with status {}", status >> 8), *status)
            }
            Exit::Status(status) => {
                ("TASK_FAILED", Some("REASON_EXECUTOR_TERMINATED"), "Executor terminated".to_owned(), *status)
            }
            Exit::NotStarted { why } => (
                "TASK_FAILED",
                Some("REASON_CONTAINER_LAUNCH_FAILED"),
                format!("Failed to launch container: {why}"),
                256,
            ),
        };
        if !executor.is_command && self.is_there(agent) {
            let failure = json!({ "agent_id": id(agent), "executor_id": id(&key.1), "status": status });
            self.tell(&key.0, &json!({ "type": "FAILURE", "failure": failure }));
        }
        for task in self.carried(agent, key) {
            let killed = self.frameworks.get(&key.0).and_then(|known| known.tasks.get(&task));
            let is_killed = executor.is_command && killed.is_some_and(|task| task.is_kill_wanted);
            let state = if is_killed { "TASK_KILLED" } else { state };
            self.own_update(&key.0, &task, state, reason, &message);
        }
    }

    /// The tasks of an executor.
    fn carried(&self, agent: &str, key: &(String, String)) -> Vec<String> {
        let all = self.frameworks.get(&key.0).into_iter().flat_map(|framework| &framework.tasks);
        let its = all.filter(|(_, task)| task.agent == agent && task.executor == key.1);
        its.map(|(name, _)| name.clone()).collect()
    }

    /// An agent that started again has waited for its executors: those that did not come are killed.
    pub(super) fn end_recovery(&mut self, agent: &str) {
        let Some(known) = self.agents.get_mut(agent) else { return };
        known.exits.clear();
        let lost: Vec<(String, String)> = known
            .executors
            .iter()
            .filter(|(_, executor)| !executor.is_command && executor.sink.as_ref().is_none_or(|sink| sink.is_closed()))
            .map(|(key, _)| key.clone())
            .collect();
        for key in lost {
            let Some(executor) = self.agents.get_mut(agent).and_then(|known| known.executors.remove(&key)) else {
                continue;
            };
            executor.kill.cancel();
            if let Some(known) = self.agents.get_mut(agent) {
                known.used -= executor.amounts;
                known.standing = Standing::Connected;
            }
            let failure = json!({ "agent_id": id(agent), "executor_id": id(&key.1), "status": 9 });
            self.tell(&key.0, &json!({ "type": "FAILURE", "failure": failure }));
            for task in self.carried(agent, &key) {
                let message = "Executor did not reregister within 2secs";
                let state = self.word(&key.0, "TASK_GONE").to_owned();
                let reason = Some("REASON_EXECUTOR_REREGISTRATION_TIMEOUT");
                self.own_update(&key.0, &task, &state, reason, message);
            }
        }
    }
}

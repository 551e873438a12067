//! How does a task stand, and who hears of it? Updates that are kept until they
//! are acknowledged, words of the master in an agent's place, and reconciliation.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};

use super::resources::Amounts;
use super::{COMPLETED, Cluster, Process, Standing};
use crate::sim::mesos::wire::{Named, Reconcile, id, text};

/// An update that nobody acknowledges is sent again after this, then after twice that.
const RESEND: Duration = Duration::from_secs(10);
const LONGEST_RESEND: Duration = Duration::from_secs(600);

pub(super) struct Task {
    pub info: Value,
    pub agent: String,
    pub executor: String,
    pub is_command: bool,
    pub amounts: Amounts,
    /// What the agent knows.
    pub state: String,
    /// What the framework was told last.
    pub told: String,
    pub statuses: Vec<Value>,
    pending: VecDeque<Pending>,
    seen: BTreeSet<String>,
    is_free: bool,
    pub is_kill_wanted: bool,
}

struct Pending {
    status: Value,
    due: Duration,
    wait: Duration,
}

/// What a question about a task is answered with.
struct Word {
    state: &'static str,
    message: &'static str,
}

impl Task {
    pub(super) fn new(info: Value, agent: &str, executor: &str, is_command: bool, amounts: Amounts) -> Self {
        Self {
            info,
            agent: agent.to_owned(),
            executor: executor.to_owned(),
            is_command,
            amounts,
            state: "TASK_STAGING".to_owned(),
            told: "TASK_STAGING".to_owned(),
            statuses: Vec::new(),
            pending: VecDeque::new(),
            seen: BTreeSet::new(),
            is_free: false,
            is_kill_wanted: false,
        }
    }
}

pub(super) fn is_terminal(state: &str) -> bool {
    matches!(
        state,
        "TASK_FINISHED"
            | "TASK_FAILED"
            | "TASK_KILLED"
            | "TASK_ERROR"
            | "TASK_DROPPED"
            | "TASK_GONE"
            | "TASK_LOST"
            | "TASK_GONE_BY_OPERATOR"
    )
}

impl Cluster {
    /// The state in a word that the framework understands.
    pub(super) fn word<'a>(&self, framework: &str, state: &'a str) -> &'a str {
        let is_new = matches!(
            state,
            "TASK_UNREACHABLE" | "TASK_DROPPED" | "TASK_GONE" | "TASK_GONE_BY_OPERATOR" | "TASK_UNKNOWN"
        );
        let knows = self.frameworks.get(framework).is_some_and(|framework| framework.is_partition_aware);
        if is_new && !knows { "TASK_LOST" } else { state }
    }

    pub(super) fn status(
        &self,
        task: &str,
        state: &str,
        source: &str,
        reason: Option<&str>,
        message: &str,
        agent: Option<&str>,
    ) -> Value {
        let mut status = json!({ "task_id": id(task), "state": state, "source": source, "timestamp": self.seconds() });
        if !message.is_empty() {
            status["message"] = json!(message);
        }
        if let Some(reason) = reason {
            status["reason"] = json!(reason);
        }
        if let Some(agent) = agent.filter(|agent| !agent.is_empty()) {
            status["agent_id"] = id(agent);
        }
        status
    }

    /// An agent has an update of a task; it is kept until the framework acknowledges it.
    pub(super) fn update(&mut self, framework: &str, task: &str, mut status: Value) {
        let due = self.now;
        let state = text(&status, "/state").to_owned();
        let Some(known) = self.frameworks.get_mut(framework).and_then(|known| known.tasks.get_mut(task)) else {
            return;
        };
        let uuid = text(&status, "/uuid").to_owned();
        if !known.seen.insert(uuid) || is_terminal(&known.state) {
            return;
        }
        status["agent_id"] = id(&known.agent);
        status["executor_id"] = id(&known.executor);
        known.state = state;
        known.pending.push_back(Pending { status, due, wait: RESEND });
        let (agent, is_over) = (known.agent.clone(), is_terminal(&known.state));
        if is_over {
            self.free_task(framework, task, &agent);
        }
        self.pump(framework, task);
    }

    fn free_task(&mut self, framework: &str, task: &str, agent: &str) {
        let Some(known) = self.frameworks.get_mut(framework).and_then(|known| known.tasks.get_mut(task)) else {
            return;
        };
        if !std::mem::replace(&mut known.is_free, true)
            && let Some(agent) = self.agents.get_mut(agent)
        {
            agent.used -= known.amounts;
        }
    }

    /// What a task holds of its agent is free again.
    pub(super) fn free(&mut self, agent: &str, task: &Task) {
        if let Some(agent) = self.agents.get_mut(agent)
            && !task.is_free
        {
            agent.used -= task.amounts;
        }
    }

    /// Sends the oldest update of a task when it is due.
    fn pump(&mut self, framework: &str, task: &str) {
        let now = self.now;
        let Some(known) = self.frameworks.get(framework).and_then(|known| known.tasks.get(task)) else { return };
        if !self.is_there(&known.agent) {
            return;
        }
        let Some(known) = self.frameworks.get_mut(framework).and_then(|known| known.tasks.get_mut(task)) else {
            return;
        };
        let Some(first) = known.pending.front_mut().filter(|first| first.due <= now) else { return };
        first.due = now + first.wait;
        first.wait = (first.wait * 2).min(LONGEST_RESEND);
        let status = first.status.clone();
        text(&status, "/state").clone_into(&mut known.told);
        if known.statuses.last().is_none_or(|last| last["uuid"] != status["uuid"]) {
            known.statuses.push(status.clone());
        }
        self.tell(framework, &json!({ "type": "UPDATE", "update": { "status": status } }));
    }

    /// Whether the master can reach an agent now.
    pub(super) fn is_there(&self, agent: &str) -> bool {
        let Some(agent) = self.agents.get(agent) else { return false };
        agent.standing == Standing::Connected && self.process(&agent.host) == Process::Up
    }

    pub(super) fn tick_updates(&mut self) {
        let now = self.now;
        let due: Vec<(String, String)> = self
            .frameworks
            .iter()
            .flat_map(|(id, framework)| framework.tasks.iter().map(move |(task, known)| (id, task, known)))
            .filter(|(_, _, known)| known.pending.front().is_some_and(|first| first.due <= now))
            .map(|(id, task, _)| (id.clone(), task.clone()))
            .collect();
        due.iter().for_each(|(framework, task)| self.pump(framework, task));
    }

    /// A framework or an agent is back: what is not acknowledged is sent at once.
    pub(super) fn send_again(&mut self, framework: &str) {
        let now = self.now;
        let Some(known) = self.frameworks.get_mut(framework) else { return };
        for first in known.tasks.values_mut().filter_map(|task| task.pending.front_mut()) {
            first.due = now;
        }
        self.tick_updates();
    }

    pub(super) fn acknowledge(&mut self, framework: &str, named: &Named) {
        let name = &named.task_id.value;
        let Some(known) = self.frameworks.get(framework).and_then(|known| known.tasks.get(name)) else { return };
        // An acknowledgement for an agent that is not there is lost.
        if !self.is_there(&known.agent) {
            return;
        }
        let Some(known) = self.frameworks.get_mut(framework).and_then(|known| known.tasks.get_mut(name)) else {
            return;
        };
        let is_first =
            known.pending.front().is_some_and(|first| first.status["uuid"].as_str() == named.uuid.as_deref());
        if !is_first {
            return;
        }
        let over = known.pending.pop_front().is_some_and(|first| is_terminal(text(&first.status, "/state")));
        if over {
            self.complete(framework, name);
        } else {
            self.pump(framework, name);
        }
    }

    /// The master forgets a task that is over.
    fn complete(&mut self, framework: &str, task: &str) {
        let Some(known) = self.frameworks.get_mut(framework) else { return };
        let Some(over) = known.tasks.remove(task) else { return };
        known.completed.push_back(Self::task_json(framework, task, &over));
        if known.completed.len() > COMPLETED {
            known.completed.pop_front();
        }
        self.free(&over.agent.clone(), &over);
    }

    /// The master says something of a task in its agent's place.
    pub(super) fn say(&mut self, framework: &str, task: &str, state: &str, reason: &str, message: &str) {
        let state = self.word(framework, state).to_owned();
        let Some(known) = self.frameworks.get(framework).and_then(|known| known.tasks.get(task)) else { return };
        let (agent, executor) = (known.agent.clone(), known.executor.clone());
        let mut status = self.status(task, &state, "SOURCE_MASTER", Some(reason), message, Some(&agent));
        status["executor_id"] = id(&executor);
        if state == "TASK_UNREACHABLE" {
            status["unreachable_time"] = json!({ "nanoseconds": self.nanos() });
        }
        if let Some(known) = self.frameworks.get_mut(framework).and_then(|known| known.tasks.get_mut(task)) {
            known.told.clone_from(&state);
            known.statuses.push(status.clone());
        }
        self.tell(framework, &json!({ "type": "UPDATE", "update": { "status": status } }));
        if is_terminal(&state) {
            self.complete(framework, task);
        }
    }

    /// All tasks on an agent: framework and task.
    pub(super) fn tasks_on(&self, agent: &str) -> Vec<(String, String)> {
        self.frameworks
            .iter()
            .flat_map(|(id, framework)| framework.tasks.iter().map(move |(task, known)| (id, task, known)))
            .filter(|(_, _, known)| known.agent == agent)
            .map(|(id, task, _)| (id.clone(), task.clone()))
            .collect()
    }

    pub(super) fn reconcile(&mut self, framework: &str, asked: &Reconcile) {
        if asked.tasks.is_empty() {
            let Some(known) = self.frameworks.get(framework) else { return };
            let all: Vec<String> = known.tasks.keys().cloned().collect();
            all.iter().for_each(|task| self.answer_known(framework, task));
        }
        for named in &asked.tasks {
            self.answer(framework, named);
        }
    }

    fn answer(&self, framework: &str, named: &Named) {
        let name = &named.task_id.value;
        if self.frameworks.get(framework).is_some_and(|known| known.tasks.contains_key(name)) {
            return self.answer_known(framework, name);
        }
        let agent = named.agent_id.as_ref().map(|id| id.value.as_str());
        let standing = agent.and_then(|id| self.agents.get(id)).map(|agent| agent.standing);
        let word = match (standing, agent) {
            (Some(Standing::Connected), _) => {
                Word { state: "TASK_GONE", message: "Reconciliation: Task is unknown to the agent" }
            }
            (Some(Standing::Unreachable { .. }), _) => {
                Word { state: "TASK_UNREACHABLE", message: "Reconciliation: Task is unreachable" }
            }
            // It may still bring the task.
            (Some(Standing::Disconnected), _) => return,
            (None, Some(id)) if self.gone.contains(id) => {
                Word { state: "TASK_GONE_BY_OPERATOR", message: "Reconciliation: Task is gone" }
            }
            (None, _) => Word { state: "TASK_UNKNOWN", message: "Reconciliation: Task is unknown" },
        };
        let state = self.word(framework, word.state);
        let status = self.status(name, state, "SOURCE_MASTER", Some("REASON_RECONCILIATION"), word.message, agent);
        self.tell(framework, &json!({ "type": "UPDATE", "update": { "status": status } }));
    }

    fn answer_known(&self, framework: &str, task: &str) {
        let Some(known) = self.frameworks.get(framework).and_then(|known| known.tasks.get(task)) else { return };
        let Some(agent) = self.agents.get(&known.agent) else { return };
        let (state, message) = match agent.standing {
            Standing::Unreachable { .. } => {
                (self.word(framework, "TASK_UNREACHABLE"), "Reconciliation: Task is unreachable")
            }
            // A new leader does not know what its agents have not brought yet.
            Standing::Disconnected if agent.is_new_to_master => return,
            Standing::Connected | Standing::Disconnected => (&*known.told, "Reconciliation: Latest task state"),
        };
        let reason = Some("REASON_RECONCILIATION");
        let mut status = self.status(task, state, "SOURCE_MASTER", reason, message, Some(&known.agent));
        status["executor_id"] = id(&known.executor);
        if let Standing::Unreachable { since } = agent.standing {
            status["unreachable_time"] = json!({ "nanoseconds": since });
        }
        self.tell(framework, &json!({ "type": "UPDATE", "update": { "status": status } }));
    }

    pub(super) fn kill(&mut self, framework: &str, named: &Named) {
        let name = &named.task_id.value;
        let Some(known) = self.frameworks.get_mut(framework).and_then(|known| known.tasks.get_mut(name)) else {
            return self.answer(framework, named);
        };
        if named.agent_id.as_ref().is_some_and(|id| id.value != known.agent) {
            return;
        }
        // An agent that is away is told when it is back.
        known.is_kill_wanted = true;
        let agent = known.agent.clone();
        if self.is_there(&agent) {
            self.kill_at_agent(framework, name, &Value::Null);
        }
    }

    /// The agent tells the executor of a task to end it.
    pub(super) fn kill_at_agent(&mut self, framework: &str, task: &str, policy: &Value) {
        let Some(known) = self.frameworks.get_mut(framework).and_then(|known| known.tasks.get_mut(task)) else {
            return;
        };
        known.is_kill_wanted = true;
        let (agent, key) = (known.agent.clone(), (framework.to_owned(), known.executor.clone()));
        if known.is_command {
            if let Some(executor) = self.agents.get(&agent).and_then(|agent| agent.executors.get(&key)) {
                executor.kill.cancel();
            }
            return;
        }
        let mut kill = json!({ "task_id": id(task) });
        if policy.is_object() {
            kill["kill_policy"] = json!({ "grace_period": policy });
        }
        self.tell_executor(&agent, &key, json!({ "type": "KILL", "kill": kill }));
    }

    /// A task, as the operator API shows it.
    pub(super) fn task_json(framework: &str, name: &str, task: &Task) -> Value {
        let mut said = json!({
            "name": task.info["name"], "task_id": id(name), "framework_id": id(framework), "agent_id": id(&task.agent),
            "state": task.state, "resources": task.info["resources"], "statuses": task.statuses,
            "status_update_state": task.told,
        });
        if !task.is_command {
            said["executor_id"] = id(&task.executor);
        }
        for part in ["labels", "container", "discovery"] {
            if task.info[part].is_object() {
                said[part] = task.info[part].clone();
            }
        }
        said
    }
}

//! What follows from a word about a task?
//!
//! What is so is stored first and acknowledged then: a word that is lost
//! between the two comes again.

use std::time::Duration;

use super::{Effect, Notice, PREFIX, RETRY, Scheduler, Write};
use crate::mesos::wire::Call;
use crate::model::id::ExecutorId;
use crate::model::mesos::{NodeTask, TaskFate, TaskPhase, TaskState, TaskStatus};
use crate::model::unit::Timestamp;

/// A task that ran this long was no failed launch.
const RAN_WELL: Duration = Duration::from_secs(5 * 60);

impl Scheduler {
    pub(super) fn on_update(&mut self, status: &TaskStatus, now: Timestamp, random: f64) -> Vec<Effect> {
        self.unanswered.remove(&status.task);
        let mut effects = self.take_in(status, now, random);
        if let (Some(uuid), Some(agent)) = (&status.uuid, &status.agent) {
            let (agent, task, uuid) = (agent.clone(), status.task.clone(), uuid.clone());
            effects.push(Effect::Call(Call::Acknowledge { agent, task, uuid }));
        }
        effects
    }

    fn take_in(&mut self, status: &TaskStatus, now: Timestamp, random: f64) -> Vec<Effect> {
        let Some(known) = self.tasks.values().find(|task| task.task == status.task) else {
            return self.stranger(status, now);
        };
        // A master refuses a launch under an id that lives with an error that names the living one.
        let is_refusal = status.state == TaskState::Error && !status.from_executor && status.uuid.is_none();
        if is_refusal && known.fate() == TaskFate::Alive && !status.is_answer {
            let tasks = vec![(known.task.clone(), Some(known.agent.clone()))];
            return vec![Effect::Call(Call::Reconcile { tasks })];
        }
        let phase = TaskPhase::Told {
            state: status.state.clone(),
            reason: status.reason.clone(),
            message: status.message.clone(),
        };
        let said_before = matches!(&known.phase, TaskPhase::Told { state, .. } if *state == status.state);
        if said_before && (known.phase == phase || status.is_answer) {
            return Vec::new();
        }
        let next = next(known, phase, status, now, random);
        self.save(next)
    }

    fn save(&mut self, task: NodeTask) -> Vec<Effect> {
        self.tasks.insert(task.agent.clone(), task.clone());
        vec![Effect::Save(vec![Write::Task(task.clone())]), Effect::Tell(Notice::Task(task))]
    }

    /// A task that no record speaks of. One of ours that lives is taken in: the
    /// store may be older than it. One that a newer one has replaced is ended.
    fn stranger(&mut self, status: &TaskStatus, now: Timestamp) -> Vec<Effect> {
        let Some(agent) = &status.agent else { return Vec::new() };
        let attempt = status
            .task
            .as_str()
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.strip_prefix(agent.as_str())?.strip_prefix('-')?.parse::<u32>().ok());
        let Some(attempt) = attempt.filter(|_| status.state.fate() == TaskFate::Alive) else { return Vec::new() };
        let here = self.tasks.get(agent);
        if here.is_some_and(|here| here.attempt > attempt && here.fate() != TaskFate::Ended) {
            let (task, agent) = (status.task.clone(), Some(agent.clone()));
            return vec![Effect::Call(Call::Kill { task, agent })];
        }
        let task = NodeTask {
            agent: agent.clone(),
            // The next offer of the agent would say it; until then nothing needs it.
            hostname: here.map_or_else(|| "".into(), |here| here.hostname.clone()),
            task: status.task.clone(),
            executor: status.executor.clone().unwrap_or_else(|| ExecutorId::new(status.task.as_str())),
            attempt: here.map_or(attempt, |here| attempt.max(here.attempt)),
            phase: TaskPhase::Told {
                state: status.state.clone(),
                reason: status.reason.clone(),
                message: status.message.clone(),
            },
            failures: 0,
            retry_at: None,
            changed_at: now,
        };
        self.save(task)
    }
}

fn next(known: &NodeTask, phase: TaskPhase, status: &TaskStatus, now: Timestamp, random: f64) -> NodeTask {
    let mut next = NodeTask { phase, ..known.clone() };
    if known.state() != next.state() {
        next.changed_at = now;
    }
    if next.fate() != TaskFate::Ended || known.fate() == TaskFate::Ended {
        return next;
    }
    let ran = matches!(&known.phase, TaskPhase::Told { state: TaskState::Running, .. })
        && (now - known.changed_at).to_std().is_ok_and(|span| span >= RAN_WELL);
    let is_dead_offer = status.reason.as_deref() == Some("REASON_INVALID_OFFERS");
    next.failures = match status.state {
        TaskState::Failed | TaskState::Error | TaskState::Finished if ran => 1,
        TaskState::Failed | TaskState::Error | TaskState::Finished => known.failures.saturating_add(1),
        // A drain, an agent that was restarted or lost, a launch that never arrived:
        // nothing is wrong with what was launched.
        _ => known.failures,
    };
    let wait = match status.state {
        TaskState::Failed | TaskState::Error | TaskState::Finished => RETRY.wait(next.failures, 0.5 + random / 2.0),
        // Such as by an agent that drains: it offers, and drops what it gets.
        TaskState::Dropped if !is_dead_offer => RETRY.wait(1, 0.5 + random / 2.0),
        _ => Duration::ZERO,
    };
    next.retry_at = Some(now + wait);
    next
}

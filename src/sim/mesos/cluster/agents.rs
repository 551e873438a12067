//! What happens when an agent joins, hangs, dies, comes back, or is drained?

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::resources::Amounts;
use super::{Agent, Cluster, Draining, EXECUTOR_REREGISTRATION, Kind, Machinery, Mode, Process, Standing, attributes};
use crate::sim::mesos::refusal::Refused;
use crate::sim::mesos::wire::{Drain, id};

impl Cluster {
    /// A machine with a Mesos agent that comes up now.
    pub(in crate::sim::mesos) fn add_host(
        &mut self,
        name: &str,
        (address, ip): (SocketAddr, IpAddr),
        (flag, (cpus, mem)): (&str, (f64, f64)),
        sandboxes: PathBuf,
    ) -> watch::Receiver<Process> {
        let (process, watched) = watch::channel(Process::Up);
        let machinery = Machinery {
            address,
            ip: ip.to_string(),
            process,
            attributes: attributes(flag),
            total: Amounts::new(cpus, mem, 8192.0),
            agent: None,
            registers_at: Some(self.now),
            sandboxes,
        };
        self.hosts.insert(name.to_owned(), machinery);
        watched
    }

    /// The agent process is killed; what it started goes on.
    pub(in crate::sim::mesos) fn kill_agent(&mut self, host: &str) {
        let Some(machinery) = self.hosts.get_mut(host) else { return };
        machinery.process.send_replace(Process::Down);
        machinery.registers_at = None;
        let Some(agent) = machinery.agent.clone() else { return };
        let now = self.now;
        if let Some(known) = self.agents.get_mut(&agent) {
            known.executors.values_mut().for_each(|executor| executor.sink = None);
            known.silent_since.get_or_insert(now);
            if known.standing == Standing::Connected {
                known.standing = Standing::Disconnected;
            }
        }
        self.rescind(Some(&agent));
        for (framework, task) in self.tasks_on(&agent) {
            let keeps = self.frameworks.get(&framework).is_some_and(|framework| framework.is_checkpointing);
            if !keeps {
                self.say(&framework, &task, "TASK_LOST", "REASON_AGENT_DISCONNECTED", "Agent disconnected");
            }
        }
    }

    /// The agent process starts again on its work directory.
    pub(in crate::sim::mesos) fn start_agent(&mut self, host: &str) {
        let (now, is_down) = (self.now, self.is_down(host));
        let Some(machinery) = self.hosts.get_mut(host) else { return };
        if is_down || *machinery.process.borrow() != Process::Down {
            return;
        }
        machinery.process.send_replace(Process::Up);
        let own = machinery.agent.as_ref().and_then(|agent| self.agents.get(agent));
        let waits = own.is_some_and(|agent| !agent.executors.is_empty());
        machinery.registers_at = Some(if waits { now + EXECUTOR_REREGISTRATION } else { now });
    }

    /// The agent process hangs, or goes on.
    pub(in crate::sim::mesos) fn pause_agent(&mut self, host: &str, hang: bool) {
        let now = self.now;
        let Some(machinery) = self.hosts.get_mut(host) else { return };
        let (from, to) = if hang { (Process::Up, Process::Paused) } else { (Process::Paused, Process::Up) };
        if *machinery.process.borrow() != from {
            return;
        }
        machinery.process.send_replace(to);
        let Some(id) = machinery.agent.clone() else { return };
        let Some(agent) = self.agents.get_mut(&id) else { return };
        if hang {
            agent.silent_since = Some(now);
            return;
        }
        agent.silent_since = None;
        if machinery.registers_at.is_some() {
            // It hung while its executors were to come back.
            machinery.registers_at = Some(now + EXECUTOR_REREGISTRATION);
        } else if agent.standing != Standing::Connected {
            machinery.registers_at = Some(now);
        }
        self.tell_waiting(&id);
    }

    /// The agent process ends and its work directory is wiped: it will be another one.
    pub(in crate::sim::mesos) fn forget_agent(&mut self, host: &str) {
        self.kill_agent(host);
        if let Some(machinery) = self.hosts.get_mut(host) {
            machinery.agent = None;
        }
    }

    /// Registrations that are due, silences that were too long, drains that are done.
    pub(super) fn tick_agents(&mut self) {
        let now = self.now;
        let leads = matches!(self.lead, super::Lead::Master(_));
        let due: Vec<String> = self
            .hosts
            .iter()
            .filter(|(_, host)| leads && host.registers_at.is_some_and(|at| at <= now))
            .filter(|(_, host)| *host.process.borrow() == Process::Up)
            .map(|(name, _)| name.clone())
            .collect();
        due.iter().for_each(|host| self.register(host));
        let silent: Vec<String> = self
            .agents
            .iter()
            .filter(|(_, agent)| agent.silent_since.is_some_and(|since| since + self.times.ping <= now))
            .filter(|(_, agent)| !matches!(agent.standing, Standing::Unreachable { .. }))
            .map(|(id, _)| id.clone())
            .collect();
        silent.iter().for_each(|agent| self.mark_unreachable(agent));
        let draining: Vec<String> = self
            .agents
            .iter()
            .filter(|(_, agent)| agent.drain.as_ref().is_some_and(|drain| !drain.is_drained))
            .map(|(id, _)| id.clone())
            .collect();
        for id in draining {
            if self.tasks_on(&id).is_empty()
                && let Some(drain) = self.agents.get_mut(&id).and_then(|agent| agent.drain.as_mut())
            {
                drain.is_drained = true;
                if drain.mark_gone {
                    self.mark_gone(&id);
                }
            }
        }
    }

    fn register(&mut self, host: &str) {
        let now = self.nanos();
        let Some(machinery) = self.hosts.get_mut(host) else { return };
        machinery.registers_at = None;
        let Some(agent) = machinery.agent.clone() else { return self.register_new(host) };
        if self.gone.contains(&agent) || self.is_down(host) {
            return self.end_process(host);
        }
        self.end_recovery(&agent);
        let Some(known) = self.agents.get_mut(&agent) else { return };
        let was = std::mem::replace(&mut known.standing, Standing::Connected);
        known.is_new_to_master = false;
        known.silent_since = None;
        known.reregistered_at = Some(now);
        let tasks = self.tasks_on(&agent);
        for (framework, task) in &tasks {
            let Some(known) = self.frameworks.get(framework).and_then(|known| known.tasks.get(task)) else { continue };
            let (state, wanted) = (known.state.clone(), known.is_kill_wanted);
            if matches!(was, Standing::Unreachable { .. }) {
                let message = "Unreachable agent re-reregistered";
                self.say(framework, task, &state, "REASON_AGENT_REREGISTERED", message);
            }
            if wanted {
                self.kill_at_agent(framework, task, &Value::Null);
            }
            self.send_again(framework);
        }
        let over: Vec<(String, String)> = self
            .agents
            .get(&agent)
            .into_iter()
            .flat_map(|agent| agent.executors.keys())
            .filter(|(framework, _)| self.removed.contains(framework))
            .cloned()
            .collect();
        over.iter().for_each(|key| self.shut_down(&agent, key));
    }

    fn register_new(&mut self, host: &str) {
        if self.is_down(host) {
            return self.end_process(host);
        }
        // The address is another agent's now.
        let old: Vec<String> =
            self.agents.iter().filter(|(_, agent)| agent.host == host).map(|(id, _)| id.clone()).collect();
        for agent in old {
            let message = format!("Agent {host} removed: a new agent registered at the same address");
            self.remove_agent(&agent, "TASK_LOST", "REASON_AGENT_REMOVED", &message);
        }
        let agent = self.next(Kind::Agent);
        if let Some(machinery) = self.hosts.get_mut(host) {
            machinery.agent = Some(agent.clone());
        }
        let known = Agent {
            host: host.to_owned(),
            standing: Standing::Connected,
            silent_since: None,
            is_new_to_master: false,
            is_deactivated: false,
            drain: None,
            registered_at: self.nanos(),
            reregistered_at: None,
            executors: std::collections::BTreeMap::new(),
            used: Amounts::default(),
            offer: None,
            exits: Vec::new(),
        };
        self.agents.insert(agent, known);
    }

    /// The master sends an agent away: its process ends, and what it started with it.
    fn end_process(&mut self, host: &str) {
        let Some(machinery) = self.hosts.get_mut(host) else { return };
        machinery.process.send_replace(Process::Down);
        machinery.registers_at = None;
    }

    fn mark_unreachable(&mut self, agent: &str) {
        let since = self.nanos();
        self.rescind(Some(agent));
        if let Some(known) = self.agents.get_mut(agent) {
            known.standing = Standing::Unreachable { since };
        }
        for (framework, task) in self.tasks_on(agent) {
            self.say(&framework, &task, "TASK_UNREACHABLE", "REASON_AGENT_REMOVED", "health check timed out");
        }
        self.tell_lost(agent);
    }

    fn tell_lost(&self, agent: &str) {
        for framework in self.frameworks.keys() {
            self.tell(framework, &json!({ "type": "FAILURE", "failure": { "agent_id": id(agent) } }));
        }
    }

    /// An agent and its tasks are no more, for good.
    pub(super) fn remove_agent(&mut self, agent: &str, state: &str, reason: &str, message: &str) {
        self.rescind(Some(agent));
        for (framework, task) in self.tasks_on(agent) {
            self.say(&framework, &task, state, reason, message);
        }
        self.tell_lost(agent);
        self.agents.remove(agent);
    }

    /// An operator says that an agent will not come back; a living one is told to end.
    pub(super) fn mark_gone(&mut self, agent: &str) {
        let Some(known) = self.agents.get(agent) else { return };
        let host = known.host.clone();
        known.executors.values().for_each(|executor| executor.kill.cancel());
        let message = "Agent has been marked gone";
        self.remove_agent(agent, "TASK_GONE_BY_OPERATOR", "REASON_AGENT_REMOVED_BY_OPERATOR", message);
        self.gone.insert(agent.to_owned());
        self.end_process(&host);
    }

    /// The operator takes a machine down: its agents end, with all they carry.
    pub(super) fn take_down(&mut self, host: &str) {
        let its: Vec<String> =
            self.agents.iter().filter(|(_, agent)| agent.host == host).map(|(id, _)| id.clone()).collect();
        for agent in its {
            for executor in self.agents.get(&agent).into_iter().flat_map(|agent| agent.executors.values()) {
                executor.kill.cancel();
            }
            let message = format!("Agent {host} removed: Operator initiated 'Machine DOWN'");
            self.remove_agent(&agent, "TASK_LOST", "REASON_AGENT_REMOVED", &message);
        }
        if let Some(machinery) = self.hosts.get_mut(host) {
            machinery.agent = None;
        }
        self.end_process(host);
    }

    fn is_down(&self, host: &str) -> bool {
        self.machines.iter().any(|(machine, mode)| *mode == Mode::Down && self.is_machine(host, machine))
    }

    fn known(&mut self, agent: &str) -> Result<&mut Agent, Refused> {
        self.agents.get_mut(agent).ok_or_else(|| Refused::bad(format!("Agent '{agent}' not found")))
    }

    pub(super) fn drain(&mut self, drain: &Drain) -> Result<(), Refused> {
        let agent = &drain.agent_id.value;
        let span = drain.max_grace_period.as_ref();
        let part = |name: &str| span.and_then(|span| span[name].as_i64()).unwrap_or_default();
        let nanos = part("seconds").saturating_mul(1_000_000_000).saturating_add(part("nanos"));
        let config = match span {
            Some(_) => json!({ "max_grace_period": { "nanoseconds": nanos }, "mark_gone": drain.mark_gone }),
            None => json!({ "mark_gone": drain.mark_gone }),
        };
        let known = self.known(agent)?;
        known.is_deactivated = true;
        known.drain = Some(Draining { config, mark_gone: drain.mark_gone, is_drained: false });
        self.rescind(Some(agent));
        let policy = if span.is_some() { json!({ "nanoseconds": nanos }) } else { Value::Null };
        for (framework, task) in self.tasks_on(agent) {
            self.kill_at_agent(&framework, &task, &policy);
        }
        Ok(())
    }

    pub(super) fn deactivate(&mut self, agent: &str) -> Result<(), Refused> {
        self.known(agent)?.is_deactivated = true;
        self.rescind(Some(agent));
        Ok(())
    }

    pub(super) fn reactivate(&mut self, agent: &str) -> Result<(), Refused> {
        let known = self.known(agent)?;
        if known.drain.as_ref().is_some_and(|drain| !drain.is_drained) {
            return Err(Refused::bad(format!("Agent '{agent}' is still in the DRAINING state")));
        }
        known.is_deactivated = false;
        known.drain = None;
        Ok(())
    }
}

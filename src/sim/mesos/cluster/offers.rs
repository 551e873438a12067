//! Who is offered what, and what becomes of an offer?

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Cluster, Kind, Standing};
use crate::model::unit::Timestamp;
use crate::sim::mesos::wire::{Accept, Refuse, id, refuse_seconds, text};

use super::resources::Amounts;
use super::{Agent, Process};

/// Resources that a framework may use now.
pub(super) struct Offer {
    pub framework: String,
    pub agent: String,
    pub role: String,
    amounts: Amounts,
    made_at: Duration,
}

/// How offers were answered.
#[derive(Clone, Debug, Default)]
pub struct Offered {
    /// When each host was offered first.
    pub first: BTreeMap<String, Timestamp>,
    /// Offers that were taken or sent back.
    pub answered: u64,
    /// Offers that wait for an answer.
    pub open: usize,
    /// The longest time that an offer waited, or waits.
    pub longest: Duration,
}

/// A wish of an operator to have an agent back, told to a framework.
pub(super) struct Inverse {
    pub framework: String,
    pub agent: String,
}

impl Cluster {
    /// Offers what is free to whom has the least, and wants it.
    pub(super) fn allocate(&mut self) {
        let mut shares: BTreeMap<String, usize> =
            self.frameworks.iter().map(|(id, framework)| (id.clone(), framework.tasks.len())).collect();
        let mut made: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let idle: Vec<String> =
            self.agents.iter().filter(|(_, agent)| self.is_idle(agent)).map(|(id, _)| id.clone()).collect();
        for agent in idle {
            let Some((framework, role)) = self.candidate(&agent, &shares) else { continue };
            *shares.entry(framework.clone()).or_default() += 1;
            if let Some(offer) = self.offer(&framework, &agent, &role) {
                made.entry(framework).or_default().push(offer);
            }
        }
        for (framework, offers) in made {
            self.tell(&framework, &json!({ "type": "OFFERS", "offers": { "offers": offers } }));
        }
    }

    /// Whether something of an agent may be offered.
    fn is_idle(&self, agent: &Agent) -> bool {
        agent.standing == Standing::Connected
            && agent.offer.is_none()
            && !agent.is_deactivated
            && self.process(&agent.host) == Process::Up
            && self.free_of(agent).is_offered()
    }

    fn free_of(&self, agent: &Agent) -> Amounts {
        let mut free = self.hosts.get(&agent.host).map(|host| host.total).unwrap_or_default();
        free -= agent.used;
        free
    }

    fn candidate(&self, agent: &str, shares: &BTreeMap<String, usize>) -> Option<(String, String)> {
        let free = self.free_of(self.agents.get(agent)?);
        let wanting =
            self.frameworks.iter().filter(|(_, framework)| framework.stream.is_some()).flat_map(|(id, framework)| {
                let roles = framework.roles.iter().filter(|role| !framework.suppressed.contains(*role));
                let open = roles.filter(|role| {
                    let refused = framework.filters.get(&(agent.to_owned(), (*role).clone()));
                    // More than what was refused is another thing.
                    !refused.into_iter().flatten().any(|(amounts, _)| amounts.holds(&free))
                });
                open.map(move |role| (id, role))
            });
        let (id, role) = wanting.min_by_key(|(id, _)| shares.get(*id).copied().unwrap_or_default())?;
        Some((id.clone(), role.clone()))
    }

    fn offer(&mut self, framework: &str, agent: &str, role: &str) -> Option<Value> {
        let offer = self.next(Kind::Offer);
        let amounts = self.free_of(self.agents.get(agent)?);
        let known = self.agents.get_mut(agent)?;
        known.offer = Some(offer.clone());
        let host = self.hosts.get(&known.host)?;
        let executors: Vec<Value> =
            known.executors.keys().filter(|(of, _)| of == framework).map(|(_, executor)| id(executor)).collect();
        let mut said = json!({
            "id": id(&offer), "framework_id": id(framework), "agent_id": id(agent), "hostname": known.host,
            "url": agent_url(&known.host, host),
            "resources": amounts.json(Some(role)), "attributes": host.attributes,
            "allocation_info": { "role": role },
        });
        if !executors.is_empty() {
            said["executor_ids"] = json!(executors);
        }
        if let Some(unavailability) = self.unavailability(agent) {
            said["unavailability"] = unavailability;
        }
        let (now, made_at) = (self.wall(), self.now);
        if let Some(known) = self.agents.get(agent) {
            self.offered.first.entry(known.host.clone()).or_insert(now);
        }
        let (framework, agent, role) = (framework.to_owned(), agent.to_owned(), role.to_owned());
        self.offers.insert(offer, Offer { framework, agent, role, amounts, made_at });
        Some(said)
    }

    /// An offer ends; nobody is told.
    fn end_offer(&mut self, offer: &str) -> Option<Offer> {
        let ended = self.offers.remove(offer)?;
        if let Some(agent) = self.agents.get_mut(&ended.agent)
            && agent.offer.as_deref() == Some(offer)
        {
            agent.offer = None;
        }
        Some(ended)
    }

    /// An offer ends by the word of its framework.
    fn answered(&mut self, offer: &str) -> Option<Offer> {
        let ended = self.end_offer(offer)?;
        self.offered.answered += 1;
        self.offered.longest = self.offered.longest.max(self.now.saturating_sub(ended.made_at));
        Some(ended)
    }

    /// How offers were answered so far.
    pub(in crate::sim::mesos) fn offered(&self) -> Offered {
        let waits = self.offers.values().map(|offer| self.now.saturating_sub(offer.made_at));
        let longest = waits.fold(self.offered.longest, Duration::max);
        Offered { open: self.offers.len(), longest, ..self.offered.clone() }
    }

    /// A framework that has gone has no offers.
    pub(super) fn take_offers_back(&mut self, framework: &str) {
        let its: Vec<String> =
            self.offers.iter().filter(|(_, offer)| offer.framework == framework).map(|(id, _)| id.clone()).collect();
        its.iter().for_each(|offer| drop(self.end_offer(offer)));
    }

    /// The offers of an agent, or all, are void; their frameworks are told.
    pub(super) fn rescind(&mut self, agent: Option<&str>) {
        let void: Vec<String> = self
            .offers
            .iter()
            .filter(|(_, offer)| agent.is_none_or(|agent| offer.agent == agent))
            .map(|(id, _)| id.clone())
            .collect();
        for offer in void {
            if let Some(ended) = self.end_offer(&offer) {
                let event = json!({ "type": "RESCIND", "rescind": { "offer_id": id(&offer) } });
                self.tell(&ended.framework, &event);
            }
        }
    }

    pub(super) fn decline(&mut self, framework: &str, refuse: &Refuse) {
        for offer in &refuse.offer_ids {
            if self.offers.get(&offer.value).is_some_and(|offer| offer.framework == framework)
                && let Some(ended) = self.answered(&offer.value)
            {
                self.refuse(&ended, ended.amounts, refuse.seconds());
            }
        }
    }

    fn refuse(&mut self, offer: &Offer, amounts: Amounts, seconds: f64) {
        let until = self.now + Duration::try_from_secs_f64(seconds).unwrap_or_default();
        if let Some(framework) = self.frameworks.get_mut(&offer.framework)
            && seconds > 0.0
        {
            let key = (offer.agent.clone(), offer.role.clone());
            framework.filters.entry(key).or_default().push((amounts, until));
        }
    }

    pub(super) fn accept(&mut self, framework: &str, accept: &Accept) {
        let mut invalid = None;
        let mut taken: Vec<Offer> = Vec::new();
        for offer in &accept.offer_ids {
            let is_ours = self.offers.get(&offer.value).is_some_and(|offer| offer.framework == framework);
            match is_ours.then(|| self.answered(&offer.value)).flatten() {
                Some(ended) => taken.push(ended),
                None => invalid = Some(format!("Offer {} is no longer valid", offer.value)),
            }
        }
        let same = |a: &Offer, b: &Offer| a.agent == b.agent && a.role == b.role;
        if taken.iter().any(|offer| !same(offer, &taken[0])) {
            invalid = Some("Aggregated offers must belong to one single agent and role".to_owned());
        }
        let tasks: Vec<&Value> = accept
            .operations
            .iter()
            .filter(|operation| operation.kind.as_deref() == Some("LAUNCH"))
            .flat_map(|operation| operation.launch.iter().flat_map(|launch| &launch.task_infos))
            .collect();
        let Some(first) = taken.first().filter(|_| invalid.is_none()) else {
            let why = invalid.unwrap_or_else(|| "No offers specified".to_owned());
            for task in tasks {
                let message = format!("Task launched with invalid offers: {why}");
                self.refuse_task(framework, task, "TASK_DROPPED", "REASON_INVALID_OFFERS", &message);
            }
            return;
        };
        let (agent, role) = (first.agent.clone(), first.role.clone());
        let mut left = first.amounts;
        taken[1..].iter().for_each(|more| left += more.amounts);
        for task in tasks {
            match self.wrong_with(framework, &agent, task, left) {
                Some(message) => {
                    self.refuse_task(framework, task, "TASK_ERROR", "REASON_TASK_INVALID", &message);
                }
                None => left -= self.launch(framework, &agent, &role, task),
            }
        }
        self.refuse(&taken[0], left, refuse_seconds(accept.filters.as_ref()));
    }

    fn wrong_with(&self, framework: &str, agent: &str, task: &Value, left: Amounts) -> Option<String> {
        let name = text(task, "/task_id/value");
        if name.is_empty() || name.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control()) {
            return Some(format!("TaskID '{name}' contains invalid characters"));
        }
        if self.frameworks.get(framework).is_some_and(|framework| framework.tasks.contains_key(name)) {
            return Some(format!("Task has duplicate ID: {name}"));
        }
        if text(task, "/agent_id/value") != agent {
            return Some(format!("Task uses invalid agent {}", text(task, "/agent_id/value")));
        }
        let executor = &task["executor"];
        if executor.is_object() == task["command"].is_object() {
            return Some(
                "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present".to_owned(),
            );
        }
        let mut asked = Amounts::of(&task["resources"]);
        let key = (framework.to_owned(), text(executor, "/executor_id/value").to_owned());
        if !self.agents.get(agent).is_some_and(|agent| agent.executors.contains_key(&key)) {
            asked += Amounts::of(&executor["resources"]);
        }
        (!left.holds(&asked)).then(|| format!("Task uses more resources {asked:?} than available {left:?}"))
    }

    /// A task that never begins. The framework hears of it by a word of the master.
    fn refuse_task(&self, framework: &str, task: &Value, state: &str, reason: &str, message: &str) {
        let agent = text(task, "/agent_id/value");
        let state = self.word(framework, state);
        let status =
            self.status(text(task, "/task_id/value"), state, "SOURCE_MASTER", Some(reason), message, Some(agent));
        self.tell(framework, &json!({ "type": "UPDATE", "update": { "status": status } }));
    }
}

pub(super) fn agent_url(hostname: &str, host: &super::Machinery) -> Value {
    json!({
        "scheme": "http", "path": "/slave(1)",
        "address": { "hostname": hostname, "ip": host.ip, "port": host.address.port() },
    })
}

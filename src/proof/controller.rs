//! The product's process in the simulated world: what it holds in memory, lost
//! when it dies, and what of it is on disk. It decides nothing by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use super::host::Mesos;
use super::site::Site;
use super::view;
use crate::model::id::{NodeName, SystemId};
use crate::model::node::{AgentFacts, AgentState, NodeFacts};
use crate::model::observed::Observed;
use crate::model::picture::Picture;
use crate::model::step::{Answer, StepId};
use crate::model::unit::Timestamp;
use crate::model::version::Generation;
use crate::sim::Release;
use crate::work::advance::Wait;
use crate::work::book::Plans;
use crate::work::engine;
use crate::work::facts::{Facts, Firing, Policy};
use crate::work::journal::{Broken, Journal, Replayed};
use crate::work::record::Record;

/// How often the gateway is asked.
const POLL: TimeDelta = TimeDelta::seconds(10);

/// How soon it may be asked again, when somebody waits for what it will show.
const REST: TimeDelta = TimeDelta::seconds(2);

/// How often agents and Mesos are heard while something is in work.
const WORD: TimeDelta = TimeDelta::seconds(1);

/// Where a process can die.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// Decided, and not written down.
    BeforeCommit,
    /// Half of the last entry was written.
    Torn,
    /// Written down, and not done.
    BeforeEffect,
    /// Done, and nobody knows.
    AfterEffect,
}

impl Death {
    /// Every place.
    pub const ALL: [Self; 4] = [Self::BeforeCommit, Self::Torn, Self::BeforeEffect, Self::AfterEffect];
}

/// The process.
#[allow(missing_docs)]
pub struct Controller {
    pub journal: Journal,
    pub epoch: u64,
    pub policy: Policy,
    /// An alert of our rules that a fault planted.
    pub planted: bool,
    picture: Picture,
    nodes: BTreeMap<NodeName, NodeFacts>,
    /// The edition of each host of which that is what was told.
    editions: BTreeMap<NodeName, u64>,
    agents: BTreeMap<NodeName, AgentFacts>,
    firing: Firing,
    seq: u64,
    asked_at: Option<Timestamp>,
    heard_at: Option<Timestamp>,
}

impl Controller {
    /// A process that starts with what is on disk. Tells whether the last entry was torn.
    pub fn start(
        plans: Plans,
        disk: &mut Vec<Vec<u8>>,
        epoch: u64,
        policy: Policy,
        now: Timestamp,
    ) -> Result<(Self, bool), Broken> {
        let Replayed { journal, torn, .. } = Journal::default().replay(plans, disk.iter().map(Vec::as_slice))?;
        if torn {
            disk.pop();
        }
        let controller = Self {
            journal,
            epoch,
            policy,
            planted: false,
            picture: Picture::unseen(SystemId::new("sim"), now, Observed::default()),
            nodes: BTreeMap::new(),
            editions: BTreeMap::new(),
            agents: BTreeMap::new(),
            firing: Firing::default(),
            seq: 0,
            asked_at: None,
            heard_at: None,
        };
        Ok((controller, torn))
    }

    /// What it knows.
    pub fn facts(&self, now: Timestamp) -> Facts<'_> {
        Facts { now, picture: &self.picture, nodes: &self.nodes, agents: &self.agents, firing: &self.firing }
    }

    /// Why nothing more is done.
    pub fn waits(&self, now: Timestamp) -> Vec<Wait> {
        engine::waits(&self.journal, self.facts(now), &self.policy, self.epoch)
    }

    /// When everybody was last asked.
    pub const fn asked_at(&self) -> Option<Timestamp> {
        self.asked_at
    }

    /// When the newest snapshot was taken.
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.picture.snapshot.as_ref().map(|snapshot| snapshot.begun_at)
    }

    /// Asks everybody, if it is time. Who does not answer keeps their last word, and its age.
    pub fn poll(&mut self, site: &Site) {
        let now = site.now();
        let book = self.journal.book();
        let is_due = |last: Option<Timestamp>, rest| last.is_none_or(|at| now - at >= rest);
        let is_impatient = engine::is_impatient(book, self.picture.snapshot.as_deref(), now);
        let asks = is_due(self.asked_at, if is_impatient { REST } else { POLL });
        let hears = asks || is_due(self.heard_at, if book.in_work().next().is_some() { WORD } else { POLL });
        if asks {
            self.asked_at = Some(now);
            self.ask(site, now);
        }
        if hears {
            self.heard_at = Some(now);
            self.listen(site, now);
        }
    }

    /// Asks the gateway.
    fn ask(&mut self, site: &Site, now: Timestamp) {
        if site.world.answers() && now >= site.deaf_until {
            self.seq += 1;
            let generation = generation(site.world.release);
            let before = self.picture.snapshot.as_deref();
            let snapshot = view::snapshot(&site.world, generation, self.seq, now, before);
            // Notes are made of what changed, and of servers on the way into maintenance.
            if !before.is_some_and(|before| view::notes_stay(before, &snapshot)) {
                self.picture.observed = Arc::new(self.picture.observed.after(&snapshot));
            }
            self.firing.seq = self.seq;
            self.firing.critical =
                if self.planted { [("Planted".into(), "somewhere".into())].into() } else { Default::default() };
            self.picture.at = now;
            self.picture.snapshot = Some(Arc::new(snapshot));
        }
    }

    /// Hears agents, and asks Mesos.
    fn listen(&mut self, site: &Site, now: Timestamp) {
        for host in site.hosts.values().filter(|host| host.is_heard(now)) {
            let edition = host.edition();
            match self.nodes.get_mut(&host.name).filter(|_| self.editions.get(&host.name) == Some(&edition)) {
                Some(told) => told.seen_at = now,
                None => {
                    self.nodes.extend(host.facts(now).map(|facts| (host.name.clone(), facts)));
                    self.editions.insert(host.name.clone(), edition);
                }
            }
        }
        for host in site.hosts.values() {
            if now >= site.mesos_deaf_until {
                let state = match host.mesos {
                    Mesos::Active => AgentState::Active,
                    Mesos::Draining(_) => AgentState::Draining { waits_for: vec!["a framework".into()] },
                    Mesos::Drained => AgentState::Drained,
                };
                let agent = || host.agent.clone();
                let entry = self.agents.entry(host.name.clone());
                let entry = entry.or_insert_with(|| AgentFacts {
                    begun_at: now,
                    agent: agent(),
                    state: AgentState::Active,
                    scheduled_by_others: false,
                });
                (entry.begun_at, entry.state) = (now, state);
            }
        }
    }

    /// Takes in what came of orders.
    pub fn hear(
        &mut self,
        answers: Vec<(StepId, Answer)>,
        disk: &mut Vec<Vec<u8>>,
        now: Timestamp,
    ) -> Result<(), Broken> {
        for (step, answer) in answers {
            disk.extend(engine::answered(&mut self.journal, step, answer, now)?);
        }
        Ok(())
    }

    /// Writes down what a person said.
    pub fn told(&mut self, records: &[Record], disk: &mut Vec<Vec<u8>>, now: Timestamp) -> Result<(), Broken> {
        disk.extend(self.journal.append(records, now)?);
        Ok(())
    }

    /// One turn. With a death it ends there, and must be started again.
    pub fn turn(
        &mut self,
        site: &mut Site,
        disk: &mut Vec<Vec<u8>>,
        death: Option<Death>,
    ) -> Result<Vec<Record>, Broken> {
        let facts = Facts {
            now: site.now(),
            picture: &self.picture,
            nodes: &self.nodes,
            agents: &self.agents,
            firing: &self.firing,
        };
        let decided = engine::turn(&mut self.journal, facts, &self.policy, self.epoch)?;
        let mut entries = decided.entries;
        match death {
            Some(Death::BeforeCommit) => return Ok(Vec::new()),
            Some(Death::Torn) => {
                if let Some(mut line) = entries.into_iter().next() {
                    line.truncate(line.len() / 2);
                    disk.push(line);
                }
                return Ok(Vec::new());
            }
            Some(Death::BeforeEffect | Death::AfterEffect) | None => {}
        }
        let early = crate::work::makes_mistake("effect before commit");
        if early {
            for (step, effect) in decided.turn.effects.clone() {
                site.send(step, effect);
            }
        } else {
            disk.append(&mut entries);
        }
        for (step, effect) in &decided.turn.effects {
            site.intended(step, effect);
        }
        if death != Some(Death::BeforeEffect) && !early {
            for (step, effect) in decided.turn.effects {
                site.send(step, effect);
            }
        }
        Ok(decided.turn.records)
    }
}

/// The generation that a release belongs to.
pub fn generation(release: Release) -> Generation {
    match release {
        Release::V2_0 => Generation::V2_0,
        Release::V2_6 => Generation::V2_5,
        Release::V3_0 => Generation::V3_0,
        Release::V3_6 => Generation::V3_5,
        Release::V4_5 => Generation::V4,
    }
}

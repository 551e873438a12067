//! One seed, one story: a site is upgraded again and again while things go
//! wrong; then nothing goes wrong any more, and all must come to an end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{NaiveTime, TimeDelta};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::controller::{Controller, Death};
use super::fault::{self, Fault};
use super::judge::Judge;
use super::site::Site;
use crate::model::id::{NodeName, RunId};
use crate::model::lifecycle::in_words;
use crate::model::node::Carries;
use crate::model::plan::{Approval, Limits, Request, hex};
use crate::model::step::{Component, MaintenanceMode, StepKind};
use crate::model::unit::Timestamp;
use crate::model::version::Generation;
use crate::model::window::{Calendar, Day, Window, Zone};
use crate::sim::Release;
use crate::sim::world::Upgrade;
use crate::upgrade::plan::{Fleet, Habits, plan};
use crate::work::book::{Plans, Run};
use crate::work::command;
use crate::work::facts::Policy;
use crate::work::record::{Effect, Record};

/// What is played.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Play {
    pub seed: u64,
    pub nodes: u32,
    pub events: u32,
    /// Only this goes wrong, from the beginning on; by default everything may.
    pub only: Option<Vec<Fault>>,
    /// The process dies at each of these turns that decide something.
    pub die_at: BTreeMap<u32, Death>,
    pub release: Release,
    /// The MDM waits for the end of an upgrade whose packages are all there; nothing else is asked for.
    pub finalises: bool,
    /// The MDM shows an upgrade as soon as a server has the new release, and now and then nodes are sent back.
    pub goes_back: bool,
    /// The last host is taken out for good, before anything else is asked for.
    pub removes: bool,
    /// At this turn that decides something a person cancels.
    pub cancel_at: Option<u32>,
    /// Protection domains that the hosts are in, and that are worked on at once.
    pub domains: u32,
}

impl Play {
    /// Everything by chance.
    pub fn of(seed: u64, nodes: u32, events: u32) -> Self {
        let releases = [Release::V2_0, Release::V2_6, Release::V3_0, Release::V3_6];
        let release = releases[seed as usize % releases.len()];
        Self {
            seed,
            nodes,
            events,
            only: None,
            die_at: BTreeMap::new(),
            release,
            finalises: false,
            goes_back: false,
            removes: false,
            cancel_at: None,
            domains: 1,
        }
    }

    /// Plays it.
    pub fn run(&self) -> Outcome {
        simulate(self)
    }
}

/// How it went.
#[derive(Clone, Debug, Default)]
#[allow(missing_docs)]
pub struct Outcome {
    pub violations: Vec<String>,
    /// In the order in which it happened, for people.
    pub story: Vec<String>,
    pub counts: BTreeMap<String, u64>,
    /// Hash of the story and of the journal: the same seed gives the same.
    pub trace: String,
    /// Turns that decided something.
    pub decisions: u32,
    /// The upgrades as they are written down at the end.
    pub runs: BTreeMap<RunId, Arc<Run>>,
}

struct Stage {
    play: Play,
    site: Site,
    controller: Controller,
    judge: Judge,
    disk: Vec<Vec<u8>>,
    story: Vec<String>,
    runs: u32,
    decisions: u32,
    /// When everybody was last asked before there was nothing to be planned.
    nothing_at: Option<Timestamp>,
    dead_until: Option<Timestamp>,
    /// How it dies at the next turn that decides something.
    death: Option<Death>,
    epoch: u64,
    /// A person waits until no run is open, to hand a maintenance over.
    hands_over: bool,
}

/// Longest time that everything may take to end once nothing goes wrong any more.
const ENDING: TimeDelta = TimeDelta::hours(14);

fn simulate(play: &Play) -> Outcome {
    let mut stage = match Stage::new(play) {
        Ok(stage) => stage,
        Err(error) => return Outcome { violations: vec![error.to_string()], ..Outcome::default() },
    };
    let mut dice = ChaCha8Rng::seed_from_u64(play.seed ^ 0x5eed);
    for _ in 0..play.events {
        let seconds = dice.random_range(1..9);
        let fault = match &play.only {
            None if play.goes_back && dice.random_bool(0.002) => Some(Fault::Finalised),
            None => dice.random_bool(0.05).then(|| Fault::draw(&mut dice)),
            Some(only) if only.is_empty() => None,
            Some(only) => dice.random_bool(0.02).then(|| only[dice.random_range(0..only.len())]),
        };
        stage.event(seconds, fault, &mut dice, true);
        if stage.judge.violations.len() > 3 {
            break;
        }
    }
    stage.ending(&mut dice);
    stage.outcome()
}

impl Stage {
    fn new(play: &Play) -> Result<Self, crate::work::journal::Broken> {
        let rng = ChaCha8Rng::seed_from_u64(play.seed);
        let mut site = Site::of_domains(play.domains, play.nodes, play.release, rng, play.seed);
        if play.removes {
            site.free_last();
        }
        if play.seed.is_multiple_of(3)
            && let Some(host) = site.hosts.values_mut().rev().find(|host| host.mdm.is_none())
        {
            host.carries.insert(Carries::Controller);
        }
        if play.finalises {
            let from = site.from.to_string();
            site.world.upgrade = Upgrade::Running { from, commands_allowed: false };
        }
        let mut disk = Vec::new();
        let calendar = if play.only.is_none() && play.seed % 8 == 5 { windows() } else { Calendar::default() };
        let policy = Policy { calendar, ..Policy::default() };
        let (controller, _) = Controller::start(Plans::new(), &mut disk, 1, policy, site.now())?;
        Ok(Self {
            play: play.clone(),
            site,
            controller,
            judge: Judge::default(),
            disk,
            story: Vec::new(),
            runs: 0,
            decisions: 0,
            nothing_at: None,
            dead_until: None,
            death: None,
            epoch: 1,
            hands_over: false,
        })
    }

    fn tell(&mut self, what: impl std::fmt::Display) {
        let at = self.site.now().format("%H:%M:%S");
        self.story.push(format!("{at} {what}"));
    }

    fn bad(&mut self, what: impl std::fmt::Display) {
        let now = self.site.now();
        self.tell(format_args!("VIOLATION {what}"));
        self.judge.violations.push(format!("{now} {what}"));
    }

    fn event(&mut self, seconds: u64, fault: Option<Fault>, dice: &mut ChaCha8Rng, open: bool) {
        let answers = self.site.pass(seconds);
        let now = self.site.now();
        match fault {
            None => {}
            Some(Fault::Crash) => self.death = Some(Death::ALL[dice.random_range(0..Death::ALL.len())]),
            Some(Fault::Pause | Fault::Resume | Fault::Cancel) => self.person(fault.unwrap_or(Fault::Pause)),
            // One run at a time: whoever wants it taken over cancels the one that is open.
            Some(Fault::Adopt) if self.dead_until.is_none() && self.site.of_others().is_some() => {
                self.hands_over = true;
                self.person(Fault::Cancel);
            }
            Some(fault) if fault::happen(fault, &mut self.site, &mut self.controller) => {
                self.judge.count(format!("fault: {fault:?}"));
                self.tell(format_args!("-- {fault:?}"));
            }
            Some(_) => {}
        }
        self.judge.planted(self.controller.planted, now);
        if let Some(until) = self.dead_until {
            if now < until {
                self.site.tell_again(answers);
                return self.judged(false);
            }
            self.restart();
        }
        if self.play.goes_back {
            self.site.shows_upgrade();
        }
        self.site.heard(&answers);
        let heard = self.controller.hear(answers, &mut self.disk, now);
        if let Err(error) = heard {
            self.bad(format_args!("I19: {error}"));
        }
        self.controller.poll(&self.site);
        // Nothing begins on a way that is closed for good; now and then a person looks, and ends the run.
        if self.play.goes_back && self.site.from == self.site.to && self.goes_back() && dice.random_bool(0.02) {
            self.person(Fault::Cancel);
        }
        if self.controller.journal.book().open_run().is_none() {
            if std::mem::take(&mut self.hands_over) {
                self.adopt();
            } else if open {
                self.open(dice);
            }
        }
        self.turns(dice);
        // Whoever died with it has told nobody what was seen.
        if self.dead_until.is_none() && self.controller.seen_at() == Some(now) {
            self.site.looked();
        }
        self.judged(true);
    }

    /// Turns until nothing more is decided.
    fn turns(&mut self, dice: &mut ChaCha8Rng) {
        for _ in 0..40 {
            if self.play.cancel_at == Some(self.decisions) {
                self.person(Fault::Cancel);
            }
            if let Some(planned) = self.play.die_at.get(&self.decisions) {
                self.death = Some(*planned);
            }
            let (before, death) = (self.controller.journal.len(), self.death);
            let result = self.controller.turn(&mut self.site, &mut self.disk, death);
            let decided = self.controller.journal.len() > before;
            self.decisions += u32::from(decided);
            match result {
                Ok(records) => {
                    for record in &records {
                        if let Some(line) = sentence(record) {
                            self.tell(line);
                        }
                    }
                }
                Err(error) => return self.bad(format_args!("I19: {error}")),
            }
            // A death that was drawn waits for a turn that decides.
            if let Some(place) = death.filter(|_| decided) {
                self.death = None;
                self.judge.count(format!("death: {place:?}"));
                self.tell(format_args!("-- the controller dies: {place:?}"));
                self.dead_until = Some(self.site.now() + TimeDelta::seconds(dice.random_range(5..120)));
                return;
            }
            if !decided {
                return;
            }
            self.judged(true);
        }
        self.bad("L1: the engine decides without end");
    }

    fn judged(&mut self, alive: bool) {
        let before = self.judge.violations.len();
        self.judge.look(&mut self.site, &self.disk, alive.then_some(&self.controller));
        for violation in self.judge.violations.clone().into_iter().skip(before) {
            self.tell(format_args!("VIOLATION {violation}"));
        }
    }

    fn restart(&mut self) {
        self.dead_until = None;
        self.epoch += 1;
        let now = self.site.now();
        let planted = self.controller.planted;
        let plans = self.controller.journal.book().plans.clone();
        match Controller::start(plans, &mut self.disk, self.epoch, self.controller.policy.clone(), now) {
            Ok((controller, torn)) => {
                self.controller = controller;
                self.controller.planted = planted;
                self.judged(true);
                self.judge.replayed(&self.controller.journal, now);
                let end = if torn { ", without the torn last record" } else { "" };
                let epoch = self.epoch;
                self.tell(format_args!("the controller starts again, epoch {epoch}{end}"));
            }
            Err(error) => self.bad(format_args!("I19: {error}")),
        }
    }

    fn person(&mut self, what: Fault) {
        if self.dead_until.is_some() {
            return;
        }
        let book = self.controller.journal.book();
        let Some(run) = book.open_run().map(|run| run.id.clone()) else { return };
        let records = match what {
            Fault::Pause => command::pause(book, &run, "a person"),
            Fault::Resume => command::resume(book, &run, "a person"),
            _ => command::cancel(book, &run, "a person"),
        };
        if let Ok(records) = records {
            self.judge.count(format!("fault: {what:?}"));
            self.tell(format_args!("-- a person says {what:?}"));
            let now = self.site.now();
            if let Err(error) = self.controller.told(&records, &mut self.disk, now) {
                self.bad(format_args!("I19: {error}"));
            }
        }
    }

    /// A person hands the maintenance of somebody else over.
    fn adopt(&mut self) {
        let now = self.site.now();
        let (Some((node, sds)), facts) = (self.site.of_others(), self.controller.facts(now)) else { return };
        let (addresses, packages) = (self.site.addresses(), BTreeMap::new());
        let Some(fleet) = Fleet::of(&facts, &addresses, &packages) else { return };
        let request = Request::Adopt { node, mode: MaintenanceMode::Instant, because: "their shift is over".into() };
        let asked = in_words(&request);
        let plan = plan(request, &fleet, &self.habits(), None, now).plan;
        let (run, plan_id) = (RunId::new(&format!("run-{}", self.runs + 1)), plan.id());
        self.controller.journal.file(plan.clone());
        self.judge.book.plans.clone_from(&self.controller.journal.book().plans);
        let (book, facts) = (self.controller.journal.book(), self.controller.facts(now));
        match command::adopt(book, &facts, run.clone(), &plan, "a person", BTreeSet::new()) {
            Ok(records) => {
                self.runs += 1;
                self.site.handed_over(sds);
                self.tell(format_args!("{run} begins: {asked}"));
                if let Err(error) = self.controller.told(&records, &mut self.disk, now) {
                    self.bad(format_args!("I19: {error}"));
                }
            }
            Err(_) => {
                self.judge.count("nothing is taken over");
                self.controller.journal.drop_plan(&plan_id);
                self.judge.book.plans.remove(&plan_id);
            }
        }
    }

    /// Whether a run is open that sends nodes back.
    fn goes_back(&self) -> bool {
        self.controller.journal.book().open_run().is_some_and(Run::goes_back)
    }

    /// Nodes that have the new release, and had another one before by the journal.
    fn newer(&self) -> Vec<NodeName> {
        let before = &self.controller.journal.book().before;
        let is_new = |name: &&NodeName| {
            self.site.hosts.get(*name).is_some_and(|host| host.installed.get(&Component::Sds) == Some(&self.site.to))
        };
        before.keys().filter(is_new).cloned().collect()
    }

    fn habits(&self) -> Habits {
        Habits {
            apply: 60,
            reboot: 120,
            resync: 60,
            drain: 30,
            soak: 60,
            reboots: self.play.seed.is_multiple_of(2),
            at_once: 1,
            domains: self.play.domains,
            limits: Limits { failures: 1 + (self.play.seed % 2) as u32, ..Limits::default() },
            times: Default::default(),
        }
    }

    /// The next upgrade, if the system looks as if one could be planned.
    fn open(&mut self, dice: &mut ChaCha8Rng) {
        // What could not be planned cannot be, as long as nothing more is known.
        if self.nothing_at.is_some() && self.nothing_at == self.controller.asked_at() {
            return;
        }
        let now = self.site.now();
        let facts = self.controller.facts(now);
        let Some(snapshot) = facts.snapshot() else { return };
        let quiet = facts.nodes.len() == self.site.hosts.len();
        if !quiet || facts.agents.len() != self.site.hosts.len() {
            return;
        }
        let done = |host: &super::host::Host| host.installed.values().all(|version| *version == self.site.to);
        let to: Box<str> =
            if self.site.hosts.values().all(done) { format!("{}1", self.site.to).into() } else { self.site.to.clone() };
        let (addresses, packages) = (self.site.addresses(), BTreeMap::new());
        let Some(fleet) = Fleet::of(&facts, &addresses, &packages) else { return };
        let habits = self.habits();
        let leaves = self.site.hosts.values().next_back().map(|host| host.name.clone());
        let removal = leaves.filter(|_| self.play.removes && self.controller.journal.book().retired.is_empty());
        let waits = matches!(self.site.world.upgrade, Upgrade::Running { .. });
        if self.play.finalises && !waits {
            return;
        }
        let is_final = self.site.from == self.site.to;
        let back = if self.play.goes_back && !is_final { self.newer() } else { Vec::new() };
        // From the first new server on the MDM waits for this upgrade, and for no other one.
        let must = self.site.hosts.values().all(done);
        let request = match removal {
            _ if self.play.finalises => Request::Finalise { to: self.site.from.clone() },
            Some(node) => Request::Remove { node },
            None if !back.is_empty() && (must || dice.random_bool(0.5)) => {
                // One of them, or all.
                let one = dice.random_bool(0.5).then(|| back[dice.random_range(0..back.len())].clone());
                let only = one.map_or_else(|| back.into_iter().collect(), |one| [one].into());
                Request::Back { to: self.site.from.clone(), only }
            }
            // Now and then somebody wants to work on a host; not before the end of an upgrade.
            None if self.play.only.is_none() && !self.play.goes_back && dice.random_bool(0.2) => {
                let all: Vec<_> = self.site.hosts.keys().cloned().collect();
                let node = all[dice.random_range(0..all.len())].clone();
                let protected = dice.random_bool(0.3) && snapshot.generation >= Generation::V3_5;
                let mode = protected.then_some(MaintenanceMode::Protected);
                Request::Maintain { node, mode, minutes: dice.random_range(2..20), purpose: "a disk".into() }
            }
            None => Request::Upgrade { to: to.clone(), only: BTreeSet::new() },
        };
        let asked = in_words(&request);
        let proposal = plan(request, &fleet, &habits, None, now);
        let wanted = [StepKind::Apply, StepKind::Rollback, StepKind::Evacuate, StepKind::Finalise];
        if !wanted.into_iter().any(|kind| proposal.plan.has(kind)) {
            self.nothing_at = self.controller.asked_at();
            return;
        }
        let run = RunId::new(&format!("run-{}", self.runs + 1));
        let plan_id = proposal.plan.id();
        let approval = Approval::Hash { plan: plan_id.clone(), by: "a person".into(), at: now };
        let baseline = snapshot
            .alerts
            .iter()
            .flat_map(|part| part.value.iter())
            .map(|alert| (alert.name.clone(), alert.resource_name.clone().unwrap_or_default()))
            .collect();
        self.controller.journal.file(proposal.plan);
        self.judge.book.plans.clone_from(&self.controller.journal.book().plans);
        let facts = self.controller.facts(now);
        let book = self.controller.journal.book();
        let mut records: Vec<Record> = Vec::new();
        for version in book.quarantined.keys() {
            records.push(Record::Freed { version: version.clone(), by: "a person".into() });
        }
        match command::open(book, &facts, run.clone(), &plan_id, approval, baseline) {
            Ok(opened) => records.extend(opened),
            Err(no) => {
                self.judge.count("a plan is refused");
                self.controller.journal.drop_plan(&plan_id);
                self.judge.book.plans.remove(&plan_id);
                // Not every moment is one for a plan; people try again later.
                if dice.random_bool(0.05) {
                    let no = no.to_string();
                    self.tell(format_args!("no plan: {no}"));
                }
                return;
            }
        }
        self.runs += 1;
        if asked.starts_with("upgrade") {
            self.site.to = to;
        }
        self.tell(format_args!("{run} begins: {asked}"));
        if let Err(error) = self.controller.told(&records, &mut self.disk, now) {
            self.bad(format_args!("I19: {error}"));
        }
    }

    /// Nothing goes wrong any more: what is open must end, and nothing be left behind.
    fn ending(&mut self, dice: &mut ChaCha8Rng) {
        self.tell("from here on nothing goes wrong");
        self.controller.policy.calendar = Calendar::default();
        let resumed = self.controller.journal.book().open_run().is_some_and(|run| run.paused.is_some());
        if resumed {
            self.person(Fault::Resume);
        }
        let limit = self.site.now() + ENDING;
        while self.site.now() < limit && self.judge.violations.is_empty() {
            fault::heal(&mut self.site, &mut self.controller);
            self.event(10, None, dice, false);
            if self.dead_until.is_none() && self.controller.journal.book().open_run().is_none() {
                break;
            }
            if self.dead_until.is_none()
                && self.controller.journal.book().open_run().is_some_and(|run| run.paused.is_some())
            {
                // What follows from that is decided at the next look.
                self.person(Fault::Resume);
                continue;
            }
            // While something is open, either something is ordered or there is a reason why not.
            let book = self.controller.journal.book();
            let idle = book.open_run().is_some_and(|run| !run.tasks.iter().any(|task| task.standing.in_work()));
            if idle && self.dead_until.is_none() && self.controller.waits(self.site.now()).is_empty() {
                self.bad("L3: nothing happens, and there is no reason");
            }
        }
        let waits: Vec<String> = self
            .controller
            .waits(self.site.now())
            .iter()
            .flat_map(|wait| wait.holds.iter().map(move |hold| format!("{}: {}", wait.node, hold.reason)))
            .collect();
        if self.controller.journal.book().open_run().is_some() && self.judge.violations.is_empty() {
            self.bad(format_args!("L1: the run does not end: {}", waits.join("; ")));
        }
        if self.judge.violations.is_empty() {
            let left = self.site.ours.len() + self.site.hosts.values().filter(|host| host.drained_by_us).count();
            if left > 0 {
                self.bad(format_args!("L2: {left} things of ours are left undone"));
            }
        }
    }

    fn outcome(mut self) -> Outcome {
        let mut hash = Sha256::new();
        for line in &self.story {
            hash.update(line.as_bytes());
        }
        for line in &self.disk {
            hash.update(line);
        }
        let trace = hex(&hash.finalize()[..8]);
        self.judge.count("seeds");
        Outcome {
            violations: self.judge.violations,
            story: self.story,
            counts: self.judge.counts,
            trace,
            decisions: self.decisions,
            runs: self.judge.book.runs,
        }
    }
}

/// An hour and a half of work, again and again, as some sites allow it.
fn windows() -> Calendar {
    let window = |hour| Window {
        days: [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun].into(),
        from: NaiveTime::from_hms_opt(hour, 0, 0).unwrap_or_default(),
        until: NaiveTime::from_hms_opt(hour + 1, 30, 0).unwrap_or_default(),
        zone: Zone::UTC,
    };
    Calendar { windows: (0..24).step_by(2).map(window).collect(), blackouts: Vec::new() }
}

/// A record as a line of the story.
fn sentence(record: &Record) -> Option<String> {
    Some(match record {
        Record::Began { task, .. } => format!("task {task} begins"),
        Record::Intended { step, effect, .. } => match effect {
            Effect::Order { permit, .. } => format!("{step}: {} on {}", permit.action.kind(), permit.node),
            effect => format!("{step}: {}", effect.as_str()),
        },
        Record::Failed { task, why, undo, .. } => {
            let back: Vec<&str> = undo.iter().map(|step| step.action.kind().as_str()).collect();
            format!("task {task} is given up: {why}; back by {}", back.join(", "))
        }
        Record::LeftOut { task, place, why, .. } => format!("task {task}: step {place} is left out: {why}"),
        Record::Overdue { task, why, .. } => format!("task {task}: a person is told: {why}"),
        Record::Halted { why, .. } => format!("halted: {why}"),
        Record::Closed { run, end } => format!("{run} is over: {end:?}"),
        Record::Well { task, since: None, .. } => format!("task {task}: not well, the soak begins again"),
        _ => return None,
    })
}

//! What must hold in truth after every event, whatever happened: the promises I1 to I21 of the engine.
//!
//! Nobody sees the truth at the moment it changes. What began less than
//! `GRACE` ago may not have been seen yet; that it was acted against is a race
//! that no program can win, and is counted apart.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::controller::Controller;
use super::host::Mesos;
use super::site::{Deed, Site, Was};
use crate::model::id::{NodeName, RunId, SdsId};
use crate::model::node::Carries;
use crate::model::plan::Request;
use crate::model::step::{Action, Component, MaintenanceMode, StepId, StepKind};
use crate::model::unit::Timestamp;
use crate::model::window::Opening;
use crate::sim::world::{Id, Maintenance, Upgrade};
use crate::work::advance;
use crate::work::book::Book;
use crate::work::facts::Policy;
use crate::work::journal::{Entry, Journal};
use crate::work::record::{Duty, Effect, End, Record};

/// Age limit of what a gate reads, a poll, and the time an order may be under way.
const GRACE: TimeDelta = TimeDelta::seconds(105);

/// The judge, with what it remembers.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Judge {
    pub violations: Vec<String>,
    pub counts: BTreeMap<String, u64>,
    pub book: Book,
    /// What is on disk, read once more and by itself.
    read: usize,
    intended: BTreeSet<StepId>,
    done: BTreeMap<(RunId, u32, u32), u32>,
    /// The step that began the maintenance of a server.
    entered: BTreeMap<Id, StepId>,
    /// When somebody else ended the one that we had begun.
    ended: BTreeMap<Id, Timestamp>,
    epochs: BTreeMap<NodeName, u64>,
    since: BTreeMap<&'static str, Timestamp>,
    foreign: BTreeMap<Id, Timestamp>,
    /// Hosts whose next kernel has no module.
    bare: BTreeMap<NodeName, Timestamp>,
    /// Who owns the MDM cluster, and who did before, each with the moment of its beginning.
    owner: Option<(Id, Timestamp)>,
    owner_before: Option<(Id, Timestamp)>,
}

impl Judge {
    /// Counts that something rare happened.
    pub fn count(&mut self, what: impl Into<String>) {
        *self.counts.entry(what.into()).or_default() += 1;
    }

    fn wrong(&mut self, promise: &str, now: Timestamp, what: impl std::fmt::Display) {
        self.violations.push(format!("{now} {promise}: {what}"));
    }

    /// Whether something has been so for longer than it takes to see it.
    fn long(&self, what: &'static str, now: Timestamp) -> bool {
        self.since.get(what).is_some_and(|since| now - *since > GRACE)
    }

    /// Looks at everything that is new.
    pub fn look(&mut self, site: &mut Site, disk: &[Vec<u8>], controller: Option<&Controller>) {
        let now = site.now();
        self.truth(site);
        for line in disk.iter().skip(self.read) {
            match serde_json::from_slice::<Entry>(line) {
                Ok(entry) => self.record(site, &entry, controller),
                // A torn end; it is taken away at the next start.
                Err(_) => break,
            }
            self.read += 1;
        }
        for deed in std::mem::take(&mut site.deeds) {
            self.deed(site, &deed, now);
        }
        self.instant(site, now);
    }

    /// After a restart: the disk says the same as what was written.
    pub fn replayed(&mut self, journal: &Journal, now: Timestamp) {
        self.read = usize::try_from(journal.len()).unwrap_or(usize::MAX);
        if *journal.book() != self.book {
            self.wrong("I19", now, "the journal does not replay to the state it was written from");
        }
    }

    fn record(&mut self, site: &Site, entry: &Entry, controller: Option<&Controller>) {
        let now = entry.at;
        match &entry.record {
            Record::Began { run, task } => self.began(site, run, *task, now, controller),
            Record::Intended { step, effect, epoch, .. } => {
                self.intended.insert(step.clone());
                if *epoch < self.book.epoch {
                    self.wrong("I8", now, format!("{step} is intended under the old epoch {epoch}"));
                }
                if matches!(effect, Effect::Enter { mode: MaintenanceMode::Protected, .. }) {
                    self.count("protected mode");
                }
                if *effect == Effect::Finalise {
                    self.finalised(site, step, now);
                }
                let risky = match effect {
                    Effect::Enter { .. } | Effect::SwitchMdm { .. } => true,
                    Effect::Order { permit, .. } => match permit.action {
                        Action::Apply { .. } | Action::Reboot => true,
                        Action::Rollback { .. } => self.goes_back(&step.run),
                        _ => false,
                    },
                    _ => false,
                };
                let seen = controller.and_then(Controller::seen_at);
                if risky && seen.is_none_or(|at| site.now() - at > Policy::default().fresh) {
                    let what = match effect {
                        Effect::Order { permit, .. } => permit.action.kind().as_str(),
                        effect => effect.as_str(),
                    };
                    self.wrong("I16", now, format!("{step}, {what}, is intended on what was seen at {seen:?}"));
                }
            }
            Record::Closed { run, end } => {
                self.count(match end {
                    End::Done => "end: done",
                    End::Cancelled => "end: cancelled",
                    End::Halted { .. } => "end: halted",
                });
                self.closed(site, run, end, now);
            }
            Record::Failed { why, undo, .. } => {
                let first: String = why.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
                self.count(format!("failed: {first}"));
                if !undo.is_empty() {
                    self.count("undone");
                }
            }
            Record::Settled { duty } => {
                let handed = self.book.obligation(duty).is_some_and(|open| open.handed.is_some());
                if handed && matches!(duty, Duty::Maintenance { sds } if !Self::is_inside(site, sds)) {
                    self.count("taken over and ended");
                }
            }
            Record::Overdue { .. } => self.count("overdue"),
            Record::Lost { .. } => self.count("came to nothing"),
            Record::LeftOut { .. } => self.count("left out"),
            Record::Well { since: None, .. } => self.count("soak broken"),
            _ => {}
        }
        if let Err(misfit) = self.book.apply(&entry.record, entry.at) {
            self.wrong("I19", now, misfit);
        }
    }

    fn is_inside(site: &Site, wanted: &SdsId) -> bool {
        let mut all = site.world.sds.values().filter(|sds| super::view::id::<SdsId>(sds.id) == *wanted);
        all.any(|sds| sds.maintenance != Maintenance::None)
    }

    /// Whether a run sends nodes back, and what is put back in it is no way back of its own.
    fn goes_back(&self, run: &RunId) -> bool {
        self.book.runs.get(run).is_some_and(|run| run.goes_back())
    }

    /// The end of an upgrade, from which there is no way back.
    fn finalised(&mut self, site: &Site, step: &StepId, now: Timestamp) {
        let asked = self.book.runs.get(&step.run).map(|run| run.plan.request.clone());
        let Some(Request::Finalise { to }) = asked else { return };
        let servers = site.world.sds.values().map(|sds| &sds.version);
        let members = site.world.mdm.members.iter().map(|mdm| &mdm.version);
        if servers.chain(members).any(|version| **version != *to) {
            self.wrong("I14", now, format!("{step} ends the upgrade to {to}, and not all of the system has it"));
        }
    }

    fn began(&mut self, site: &Site, run: &RunId, task: u32, now: Timestamp, controller: Option<&Controller>) {
        self.count("began");
        let Some(at) = self.book.runs.get(run).cloned() else { return };
        if at.paused.is_some() || at.cancelled.is_some() || at.halted.is_some() || at.end.is_some() {
            self.wrong("I13", now, format!("task {task} begins in a run that is stopped"));
        }
        // What a person hands over is begun already: to take it disturbs nothing, and no window is for that.
        if matches!(at.plan.request, Request::Adopt { .. }) {
            return self.count("taken over");
        }
        let policy = controller.map(|controller| controller.policy.clone()).unwrap_or_default();
        let opening = policy.calendar.at(now);
        if matches!(opening, Opening::Open { until: Some(_) }) {
            self.count("began in a window");
        }
        if !matches!(opening, Opening::Open { .. }) {
            self.wrong("I13", now, format!("task {task} begins while no window is open"));
        }
        let Some((_, stage, planned)) = at.plan.tasks().nth(task as usize) else { return };
        let (inside, outside): (Vec<_>, Vec<_>) = self
            .book
            .in_work()
            .map(|(_, _, task, _)| (&task.domain, task.mdm.is_some()))
            .partition(|(domain, is_member)| stage.domains <= 1 || **domain == planned.domain || *is_member);
        let (work, domains) =
            (inside.len(), outside.into_iter().map(|(domain, _)| domain).collect::<BTreeSet<_>>().len());
        let is_member = planned.mdm.is_some() && domains > 0;
        if domains > 0 {
            self.count("began beside another domain");
        }
        if work >= stage.most as usize || domains >= stage.domains as usize || is_member {
            self.wrong("I12", now, format!("task {task} begins beside {work} others, and in {domains} other domains"));
        }
        let harmless = planned.steps.iter().all(|step| matches!(step.action, Action::Stage { .. }));
        for what in ["data", "alert", "mdm"] {
            if !harmless && self.long(what, site.now()) {
                self.wrong("I15", now, format!("task {task} begins while something is wrong: {what}"));
            }
        }
    }

    fn closed(&mut self, site: &Site, run: &RunId, end: &End, now: Timestamp) {
        let open = self.book.obligations.iter().filter(|open| open.run == *run).count();
        if open > 0 {
            self.wrong("I20", now, format!("{run} ends with {open} obligations"));
        }
        if *end != End::Done {
            return;
        }
        let Some(run) = self.book.runs.get(run).cloned() else { return };
        for (_, _, task, state) in run.each() {
            let Some(host) = site.hosts.get(&task.node) else { continue };
            let skipped = state.standing == crate::work::book::Standing::Skipped;
            for step in task.steps.iter().filter(|_| !skipped) {
                // Only who goes back has planned to put something back.
                if let Action::Apply { version, components } | Action::Rollback { version, components } = &step.action {
                    for component in components {
                        if host.installed.get(component) != Some(version) {
                            self.wrong("I20", now, format!("{}: {component} is not at {version}", task.node));
                        }
                    }
                }
            }
            if host.drained_by_us {
                self.wrong("I20", now, format!("{} is left drained", task.node));
            }
        }
        if !site.ours.is_empty() {
            self.wrong("I20", now, "an SDS is left in maintenance");
        }
    }

    fn deed(&mut self, site: &Site, deed: &Deed, now: Timestamp) {
        let step = match deed {
            Deed::Ended { sds } => {
                self.count("ended by others");
                // To begin it once more is a new change.
                if let Some(step) = self.entered.remove(sds) {
                    self.done.remove(&(step.run, step.task, step.place));
                }
                self.ended.insert(*sds, now);
                return;
            }
            Deed::Entered { step, .. }
            | Deed::Exited { step, .. }
            | Deed::Drained { step, .. }
            | Deed::Reactivated { step, .. }
            | Deed::Switched { step }
            | Deed::Leaving { step, .. }
            | Deed::Kept { step }
            | Deed::Parted { step }
            | Deed::Executed { step, .. }
            | Deed::Refused { step, .. } => step.clone(),
        };
        if !self.intended.contains(&step) {
            self.wrong("I7", now, format!("{step} has an effect and no intention on disk: {deed:?}"));
        }
        // Someone else's maintenance, begun in ours, cannot be told from it.
        let foreign = matches!(deed, Deed::Exited { ours: false, .. });
        if !matches!(deed, Deed::Refused { .. }) && !foreign {
            let times = self.done.entry((step.run.clone(), step.task, step.place)).or_default();
            *times += 1;
            // To hand over again after another change of owner is a new change.
            if *times > 1 && !matches!(deed, Deed::Switched { .. }) {
                let times = *times;
                self.wrong("I6", now, format!("{step} had {times} effects"));
            }
        }
        match deed {
            Deed::Entered { sds, .. } => {
                self.count("effect: enter");
                self.entered.insert(*sds, step.clone());
                self.never_controller(
                    site,
                    site.hosts.values().find(|host| host.sds == *sds).map(|host| &host.name),
                    now,
                );
            }
            Deed::Exited { ours, sds, .. } => {
                self.count("effect: exit");
                self.entered.remove(sds);
                let long = self.foreign.get(sds).is_some_and(|since| now - *since > GRACE);
                if site.unknown.alike.contains_key(sds) {
                    self.count("taken for ours");
                } else if !ours && long {
                    self.wrong("I11", now, format!("{step} ends the maintenance of someone else"));
                }
            }
            Deed::Drained { node, .. } => {
                self.count("effect: drain");
                self.never_controller(site, Some(node), now);
            }
            Deed::Reactivated { ours, .. } => {
                self.count("effect: reactivate");
                if !ours {
                    self.wrong("I11", now, format!("{step} reactivates an agent that somebody else deactivated"));
                }
            }
            Deed::Switched { .. } => self.count("effect: switch_mdm"),
            Deed::Leaving { sds, .. } => {
                self.count("effect: remove_sds");
                if self.long("data", now) {
                    self.wrong("I18", now, format!("{sds} is told to leave while data is not protected"));
                }
            }
            Deed::Kept { .. } => self.count("effect: keep_sds"),
            Deed::Parted { .. } => self.count("effect: remove_sdc"),
            Deed::Executed { node, action, epoch, was, .. } => {
                let seen = self.epochs.entry(node.clone()).or_default();
                if *epoch < *seen {
                    let seen = *seen;
                    self.wrong("I8", now, format!("{node} obeys epoch {epoch} after {seen}"));
                } else {
                    *seen = *epoch;
                }
                self.count(format!("effect: {}", action.kind()));
                let is_way_back = !self.goes_back(&step.run);
                self.executed(site, node, action, was, is_way_back, now);
            }
            Deed::Refused { why, .. } => self.refused(why, &step, now),
            Deed::Ended { .. } => {}
        }
    }

    /// What the MDM refuses although it could have been known beforehand: the gate is too lax.
    fn refused(&mut self, why: &str, step: &StepId, now: Timestamp) {
        self.count(format!("refused: {why}"));
        let cause = match why {
            "DEGRADED_OR_FAILED_DATA" => "data",
            "MM_FAILED_REBUILD_DISABLED_ON_SP" => "rebuild off",
            "TGT_MM_CONFILICT" => "foreign",
            "NOT_ENOUGH_HEALTHY_TGTS_FOR_MM" => "away",
            _ => return,
        };
        if self.long(cause, now) {
            self.wrong("I2", now, format!("{step} was refused with {why}, and that was to be seen before"));
        }
    }

    fn never_controller(&mut self, site: &Site, node: Option<&NodeName>, now: Timestamp) {
        if let Some(node) = node
            && site.hosts.get(node).is_some_and(|host| host.carries.contains(&Carries::Controller))
        {
            self.wrong("I21", now, format!("{node} carries the controller and is worked on"));
        }
    }

    /// An agent does it; what is put back on the way back of a task that was given up is asked less.
    fn executed(
        &mut self,
        site: &Site,
        node: &NodeName,
        action: &Action,
        was: &Was,
        is_way_back: bool,
        now: Timestamp,
    ) {
        let Some(host) = site.hosts.get(node) else { return };
        if let Action::Uninstall { components } = action {
            if components.contains(&Component::Sds) && site.world.sds.contains_key(&host.sds) {
                self.wrong("I18", now, format!("the SDS of {node} is taken away and is a part of the system still"));
            }
            if components.contains(&Component::Sdc) && host.mesos != Mesos::Drained {
                self.wrong("I5", now, format!("the SDC of {node} is taken away while something may use it"));
            }
        }
        let (components, back): (Vec<Component>, bool) = match action {
            Action::Apply { components, .. } => (components.clone(), false),
            Action::Rollback { components, .. } => (components.clone(), is_way_back),
            Action::Reboot => (host.installed.keys().copied().collect(), false),
            _ => return,
        };
        self.never_controller(site, Some(node), now);
        let stops = |component| components.contains(&component);
        if stops(Component::Sds) {
            let ours = site.ours.contains_key(&host.sds)
                || site.unknown.alike.get(&host.sds) == Some(&StepKind::EnterMaintenance);
            let kept = ours && site.world.sds.get(&host.sds).is_some_and(|sds| sds.maintenance == Maintenance::In);
            if !kept && self.ended.get(&host.sds).is_some_and(|at| now - *at <= GRACE) {
                self.count("a race with who ended the maintenance");
            } else if !kept && back && !was.ran.contains(&Component::Sds) {
                self.count("put back while it is down");
            } else if !kept {
                self.wrong("I5", now, format!("the SDS of {node} is stopped outside of our maintenance"));
            }
            if !back && self.long("data", now) {
                self.wrong("I2", now, format!("the SDS of {node} is stopped while data is not protected"));
            }
        }
        if stops(Component::Mdm) && host.mdm.is_some() && (!back || was.ran.contains(&Component::Mdm)) {
            self.mdm(site, node, was.owned, now);
        }
        if (stops(Component::Sdc) && !back) && (host.mesos != Mesos::Drained || host.open_volumes > 0) {
            self.wrong("I5", now, format!("the SDC of {node} is stopped while something may use it"));
        }
        if *action == Action::Reboot && self.bare.get(node).is_some_and(|since| now - *since > GRACE) {
            self.wrong("I5", now, format!("{node} restarts into a kernel without a module"));
        }
        let brought = match action {
            Action::Apply { version, components } => Some((version, components)),
            Action::Rollback { version, components } if !back => Some((version, components)),
            _ => None,
        };
        for (version, component) in
            brought.into_iter().flat_map(|(version, all)| all.iter().map(move |component| (version, component)))
        {
            if !host.staged.get(component).is_some_and(|all| all.contains(version)) {
                let what = format!("{component} {version} is installed on {node} and was not checked there");
                self.wrong("I14", now, what);
            }
        }
        if let Action::Rollback { version, components } = action
            && !back
        {
            self.count("effect: back");
            let newer = |host: &super::host::Host| host.installed.get(&Component::Sdc).is_some_and(|sdc| sdc > version);
            if components.contains(&Component::Sds) && site.hosts.values().any(newer) {
                self.wrong("I14", now, format!("the SDS of {node} goes back, and a client would be newer"));
            }
            if !matches!(site.world.upgrade, Upgrade::Running { .. }) && self.long("final", now) {
                self.wrong("I14", now, format!("{node} goes back, and the upgrade is final"));
            }
        }
        if let Action::Apply { version, components } = action {
            let old_mdm = site.world.mdm.voters().any(|mdm| mdm.version != **version);
            let old_sds = site.world.sds.values().any(|sds| sds.version != **version);
            if (components.contains(&Component::Sds) && old_mdm) || (components.contains(&Component::Sdc) && old_sds) {
                self.wrong("I14", now, format!("{components:?} on {node} would be newer than what they depend on"));
            }
        }
    }

    fn mdm(&mut self, site: &Site, node: &NodeName, owned: bool, now: Timestamp) {
        let own = site.hosts.get(node).and_then(|host| host.mdm.clone());
        let at = site.world.now();
        let others_well =
            site.world.mdm.voters().filter(|mdm| Some(&mdm.name) != own.as_ref()).all(|mdm| mdm.in_sync(at));
        if !others_well && self.long("mdm", now) {
            self.wrong("I3", now, format!("the MDM of {node} is stopped while another one is away"));
        }
        // To stop it gave the cluster to another one.
        let id = site.world.mdm.members.iter().find(|mdm| Some(&mdm.name) == own.as_ref()).map(|mdm| mdm.id);
        let since = [self.owner, self.owner_before].into_iter().flatten().find(|(owner, _)| Some(*owner) == id);
        if owned && since.is_some_and(|(_, since)| now - since > GRACE) {
            self.wrong("I4", now, format!("{node} owns the MDM cluster and its MDM is stopped"));
        }
        let beside = site.hosts.values().filter(|host| {
            host.name != *node
                && host.mdm.is_some()
                && host.working.as_ref().is_some_and(|(_, action, _)| match action {
                    Action::Apply { components, .. } | Action::Rollback { components, .. } => {
                        components.contains(&Component::Mdm)
                    }
                    Action::Reboot => true,
                    _ => false,
                })
        });
        if beside.count() > 0 {
            self.wrong("I3", now, format!("the MDM of {node} is stopped while another one is in work"));
        }
    }

    /// Since when things are as they are.
    fn truth(&mut self, site: &Site) {
        let now = site.now();
        let world = &site.world;
        let hurt = world.pools.values().any(|pool| {
            let at = &pool.figures.protection;
            at.degraded_failed + at.degraded_healthy + at.failed > 0
        });
        let foreign =
            world.sds.values().any(|sds| sds.maintenance != Maintenance::None && !site.ours.contains_key(&sds.id));
        let healthy = |domain: &Id| world.sds.values().filter(|sds| sds.domain == *domain && sds.connected()).count();
        let states = [
            ("data", hurt),
            ("rebuild off", world.pools.values().any(|pool| !pool.rebuild_enabled)),
            ("foreign", foreign),
            ("away", world.domains.keys().any(|domain| healthy(domain) < 3)),
            ("final", !matches!(world.upgrade, Upgrade::Running { .. })),
            ("mdm", !world.mdm.normal(world.now())),
        ];
        for (what, is) in states {
            if is {
                self.since.entry(what).or_insert(now);
            } else {
                self.since.remove(what);
            }
        }
        for host in site.hosts.values() {
            if host.modules.contains(&host.next_kernel) {
                self.bare.remove(&host.name);
            } else {
                self.bare.entry(host.name.clone()).or_insert(now);
            }
        }
        let owner = world.mdm.master().map(|mdm| mdm.id);
        if self.owner.map(|(id, _)| id) != owner {
            self.owner_before = std::mem::replace(&mut self.owner, owner.map(|id| (id, now)));
        }
        self.foreign.retain(|id, _| {
            world.sds.get(id).is_some_and(|sds| sds.maintenance != Maintenance::None) && !site.ours.contains_key(id)
        });
        for sds in world.sds.values() {
            if sds.maintenance != Maintenance::None && !site.ours.contains_key(&sds.id) {
                self.foreign.entry(sds.id).or_insert(now);
            }
        }
    }

    /// What holds at every instant.
    fn instant(&mut self, site: &Site, now: Timestamp) {
        let units: BTreeSet<(Id, Id)> = site
            .ours
            .keys()
            .filter_map(|id| site.world.sds.get(id))
            .map(|sds| (sds.domain, sds.fault_unit()))
            .collect();
        let domains: BTreeSet<Id> = units.iter().map(|(domain, _)| *domain).collect();
        if units.len() > domains.len() {
            self.wrong("I1", now, format!("SDSs of {} fault sets are in our maintenance", units.len()));
        }
        if domains.len() > 1 {
            self.count("maintenance in two domains");
        }
        for (id, since) in &site.ours.clone() {
            let sds: SdsId = super::view::id(*id);
            let Some(open) = self.book.obligation(&Duty::Maintenance { sds: sds.clone() }) else {
                self.wrong("I9", now, format!("SDS {sds} is in our maintenance without an obligation"));
                continue;
            };
            let limit = open.deadline - open.since;
            if now - *since > limit + GRACE && advance::overdue(&self.book, now).is_empty() {
                self.wrong("I10", now, format!("SDS {sds} is in maintenance for too long, and nobody is told"));
            }
        }
        let drained: Vec<_> =
            site.hosts.values().filter(|host| host.drained_by_us).map(|host| host.agent.clone()).collect();
        for agent in drained {
            if self.book.obligation(&Duty::Deactivated { agent: agent.clone() }).is_none() {
                self.wrong("I9", now, format!("{agent} is drained by us without an obligation"));
            }
        }
    }

    /// Notes since when our own rules say that something is wrong.
    pub fn planted(&mut self, fires: bool, now: Timestamp) {
        if fires {
            self.since.entry("alert").or_insert(now);
        } else {
            self.since.remove("alert");
        }
    }
}

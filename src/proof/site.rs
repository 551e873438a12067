//! The truth: MDM, hosts, Mesos, the network between, and what really happened to them.

mod agent;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::host::{Host, Inside, Mesos};
use super::unknown::Unknown;
use super::view::id;
use crate::model::id::{AgentId, NodeName, SdcId, SdsId};
use crate::model::step::{Action, Answer, Component, MaintenanceMode, StepId};
use crate::model::unit::Timestamp;
use crate::sim::Release;
use crate::sim::world::{
    ClusterCommand, Command, Id, Layout, Maintenance, MaintenanceCommand, Mode, Reply, Scope, SdcCommand, SdsCommand,
    Upgrade, UpgradeCommand, World,
};
use crate::work::record::Effect;

/// An order under way, or its answer.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    Order(StepId, Effect),
    Answer(StepId, Answer),
}

/// How a host was until it obeyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Was {
    /// What of it ran, by its host or by the MDM.
    pub ran: BTreeSet<Component>,
    /// Whether its MDM owned the cluster.
    pub owned: bool,
}

/// What really was done, for the judge.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Deed {
    Entered {
        step: StepId,
        sds: Id,
    },
    Exited {
        step: StepId,
        sds: Id,
        ours: bool,
    },
    Drained {
        step: StepId,
        node: NodeName,
    },
    Reactivated {
        step: StepId,
        node: NodeName,
        ours: bool,
    },
    Switched {
        step: StepId,
    },
    Executed {
        step: StepId,
        node: NodeName,
        action: Action,
        epoch: u64,
        was: Was,
    },
    Leaving {
        step: StepId,
        sds: Id,
    },
    Kept {
        step: StepId,
    },
    Parted {
        step: StepId,
    },
    Refused {
        step: StepId,
        why: Box<str>,
    },
    /// Not ours: somebody else ended a maintenance of ours, or one that looks so.
    Ended {
        sds: Id,
    },
}

/// The world with everything around it.
#[allow(missing_docs)]
pub struct Site {
    pub world: World,
    pub hosts: BTreeMap<NodeName, Host>,
    /// SDSs in maintenance by us, since when.
    pub ours: BTreeMap<Id, Timestamp>,
    /// What nobody can tell.
    pub unknown: Unknown,
    pub from: Box<str>,
    pub to: Box<str>,
    pub deeds: Vec<Deed>,
    pub rng: ChaCha8Rng,
    /// The gateway does not answer before that.
    pub deaf_until: Timestamp,
    /// Neither does the Mesos master.
    pub mesos_deaf_until: Timestamp,
    /// Parts of orders, and of answers, that are lost, in percent.
    pub loss: u32,
    parcels: Vec<(Timestamp, u64, Parcel)>,
    sent: u64,
}

impl Site {
    /// A healthy site of so many nodes.
    pub fn new(nodes: u32, release: Release, rng: ChaCha8Rng, seed: u64) -> Self {
        Self::of_domains(1, nodes, release, rng, seed)
    }

    /// A healthy site of so many nodes in so many protection domains.
    pub fn of_domains(domains: u32, nodes: u32, release: Release, rng: ChaCha8Rng, seed: u64) -> Self {
        let nodes = nodes / domains;
        let racks = nodes.clamp(3, 5);
        let layout = Layout {
            domains,
            racks_per_domain: racks,
            nodes_per_rack: (nodes / racks).max(1),
            devices_per_node: 2,
            pools_per_domain: 1,
            device_gib: 64,
            volumes: 4,
            sdcs: domains * racks * (nodes / racks).max(1),
            fill: 0.2,
            spare_percent: 34,
            move_kib_per_second: 256 * 1024,
            ..Layout::small()
        };
        let mut world = World::new(&layout, release, seed);
        let from: Box<str> = release.component().into();
        // A patch of the same release.
        let to: Box<str> = format!("{from}1").into();
        let clients: Vec<Id> = world.sdcs.keys().copied().collect();
        let mut hosts = BTreeMap::new();
        let servers: Vec<(Id, String, String)> =
            world.sds.values().map(|sds| (sds.id, sds.name.clone(), sds.ips[0].ip.clone())).collect();
        for (at, (sds, sds_name, ip)) in servers.into_iter().enumerate() {
            let mdm = world.mdm.members.iter().find(|mdm| mdm.ips.contains(&ip)).map(|mdm| mdm.name.clone());
            let sdc = clients[at % clients.len()];
            if let Some(client) = world.sdcs.get_mut(&sdc) {
                client.ip.clone_from(&ip);
            }
            let mut installed: BTreeMap<Component, Box<str>> =
                [Component::Lia, Component::Sds, Component::Sdc].map(|at| (at, from.clone())).into();
            if mdm.is_some() {
                installed.insert(Component::Mdm, from.clone());
            }
            let name = NodeName::new(&format!("node-{}", at + 1));
            let kernel: Box<str> = "5.14.0-1".into();
            hosts.insert(
                name.clone(),
                Host::of(Inside {
                    agent: AgentId::new(&format!("agent-{}", at + 1)),
                    name,
                    sds,
                    sds_name,
                    mdm,
                    sdc,
                    boot: 1,
                    up_at: Timestamp::MIN_UTC,
                    silent: false,
                    next_kernel: "5.14.0-2".into(),
                    modules: [kernel.clone(), "5.14.0-2".into()].into(),
                    kernel,
                    running: installed.keys().copied().collect(),
                    installed,
                    staged: BTreeMap::new(),
                    open_volumes: 1,
                    epoch: 0,
                    ledger: BTreeMap::new(),
                    working: None,
                    stops_at: None,
                    looked: None,
                    unheard: None,
                    carries: BTreeSet::new(),
                    mesos: Mesos::Active,
                    drained_by_us: false,
                    drain_stuck: false,
                    broken: false,
                    boots_old: false,
                    is_off: false,
                    slow_seconds: 0,
                    busy_seconds: 0,
                }),
            );
        }
        let start = world.wall(world.now());
        Self {
            world,
            hosts,
            ours: BTreeMap::new(),
            unknown: Unknown::default(),
            from,
            to,
            deeds: Vec::new(),
            rng,
            deaf_until: start,
            mesos_deaf_until: start,
            loss: 0,
            parcels: Vec::new(),
            sent: 0,
        }
    }

    /// The last host can be taken out: it carries nothing else, and no volume is mapped to its client.
    pub fn free_last(&mut self) {
        let Some(host) = self.hosts.values_mut().next_back() else { return };
        host.carries.clear();
        let client = host.sdc;
        for volume in self.world.volumes.values_mut() {
            volume.mapped.retain(|mapped| *mapped != client);
        }
        if let Some(client) = self.world.sdcs.get_mut(&client) {
            client.mapped.clear();
        }
    }

    /// The moment.
    pub fn now(&self) -> Timestamp {
        self.world.wall(self.world.now())
    }

    /// Which addresses each node has.
    pub fn addresses(&self) -> BTreeMap<NodeName, BTreeSet<Box<str>>> {
        let of = |host: &Host| {
            self.world.sds.get(&host.sds).map(|sds| sds.ips.iter().map(|at| at.ip.as_str().into()).collect())
        };
        self.hosts.values().map(|host| (host.name.clone(), of(host).unwrap_or_default())).collect()
    }

    /// Whether anything is on its way, or being done: work of an agent, a restart, a drain, a change of maintenance, data that
    /// moves.
    pub fn is_at_work(&self) -> bool {
        let now = self.now();
        let host = |host: &Host| host.working.is_some() || now < host.up_at || matches!(host.mesos, Mesos::Draining(_));
        let changes = |state: Maintenance| !matches!(state, Maintenance::None | Maintenance::In);
        let moves = self.world.pools.values().map(|pool| &pool.figures.moving).any(|moving| {
            let all =
                [&moving.forward, &moving.backward, &moving.normal, &moving.rebalance, &moving.enter, &moving.exit];
            all.into_iter().any(|movement| movement.left_kb > 0)
        });
        !self.parcels.is_empty()
            || moves
            || self.hosts.values().any(host)
            || self.world.sds.values().any(|sds| changes(sds.maintenance))
    }

    /// An order is written down. Whether it was given nobody knows who has only read that.
    pub(super) fn intended(&mut self, step: &StepId, effect: &Effect) {
        if let Effect::Enter { sds, .. } = effect
            && let Some(at) = self.sds(sds)
        {
            let inside = self.world.sds.get(&at).is_some_and(|sds| sds.maintenance != Maintenance::None);
            self.unknown.ordered(step, at, inside && !self.ours.contains_key(&at), self.now());
        }
    }

    /// An order leaves the controller. It may be slow, or lost; so may its answer.
    pub(super) fn send(&mut self, step: StepId, effect: Effect) {
        if self.rng.random_range(0..100) < self.loss {
            return;
        }
        let slow = self.rng.random_range(0..100) < self.loss;
        let delay = if slow { self.rng.random_range(10..60) } else { self.rng.random_range(0..3) };
        self.post(delay, Parcel::Order(step, effect));
    }

    /// Nobody hears these. What came of a step on its host is told until somebody does; what a gateway answers is lost.
    pub(super) fn tell_again(&mut self, answers: Vec<(StepId, Answer)>) {
        for (step, answer) in answers.into_iter().filter(|(_, answer)| matches!(answer, Answer::Failed { .. })) {
            self.post(1, Parcel::Answer(step, answer));
        }
    }

    /// The controller, which is alive, hears these.
    pub fn heard(&mut self, answers: &[(StepId, Answer)]) {
        for (step, _) in answers.iter().filter(|(_, answer)| matches!(answer, Answer::Failed { .. })) {
            let unheard = self.hosts.values_mut().filter(|host| host.unheard.as_ref() == Some(step));
            unheard.for_each(|host| host.unheard = None);
        }
        for (step, answer) in answers.iter().filter(|(_, answer)| !matches!(answer, Answer::Unknown { .. })) {
            self.unknown.answered(step, answer);
        }
    }

    /// The controller sees how the servers are now. Of one outside of maintenance it knows that no order keeps it in.
    pub(super) fn looked(&mut self) {
        let (now, all) = (self.now(), &self.world.sds);
        self.unknown.looked(now, |id| all.get(&id).is_none_or(|sds| sds.maintenance == Maintenance::None));
    }

    /// Somebody else ends a maintenance, whosever it is.
    pub(super) fn ended_by_others(&mut self, id: Id) -> bool {
        let command = MaintenanceCommand::Exit { scope: Scope::Sds(id), mode: Mode::Instant, force: false };
        let ended = self.world.command(Command::Maintenance(command)).is_ok();
        if let Some(since) = self.ours.get(&id).filter(|_| ended) {
            self.unknown.ended(id, *since);
        }
        if ended && (self.ours.contains_key(&id) || self.unknown.alike.contains_key(&id)) {
            self.deeds.push(Deed::Ended { sds: id });
        }
        ended
    }

    /// The node and the server of a maintenance that somebody else began, and that nobody could take for ours.
    pub(super) fn of_others(&self) -> Option<(NodeName, Id)> {
        let theirs = |id: &Id| !self.ours.contains_key(id) && !self.unknown.alike.contains_key(id);
        let inside = |id: &Id| self.world.sds.get(id).is_some_and(|sds| sds.maintenance == Maintenance::In);
        let host = self.hosts.values().find(|host| theirs(&host.sds) && inside(&host.sds))?;
        Some((host.name.clone(), host.sds))
    }

    /// A person has handed the maintenance of a server over: it is ours from here on.
    pub(super) fn handed_over(&mut self, id: Id) {
        let now = self.now();
        self.ours.insert(id, now);
    }

    /// The MDM shows an upgrade from the first new server on, until none has the new release.
    pub(super) fn shows_upgrade(&mut self) {
        let from = self.from.to_string();
        let is_mixed = self.world.sds.values().any(|sds| sds.version != from);
        self.world.upgrade = if is_mixed { Upgrade::Running { from, commands_allowed: true } } else { Upgrade::None };
    }

    /// Somebody else makes the upgrade final, which the MDM does once all of it is there: from then on the new release is
    /// the one that the system had before the next.
    pub(super) fn finalised_by_others(&mut self) -> bool {
        let to = &*self.to;
        let servers = self.world.sds.values().map(|sds| &sds.version);
        let mut all = servers.chain(self.world.mdm.members.iter().map(|mdm| &mdm.version));
        if matches!(self.world.upgrade, Upgrade::Running { .. }) && all.all(|version| *version == *to) {
            self.from.clone_from(&self.to);
            self.world.upgrade = Upgrade::Finished;
            return true;
        }
        false
    }

    fn sds(&self, wanted: &SdsId) -> Option<Id> {
        self.world.sds.keys().copied().find(|at| id::<SdsId>(*at) == *wanted)
    }

    fn post(&mut self, delay: i64, parcel: Parcel) {
        self.sent += 1;
        self.parcels.push((self.now() + TimeDelta::seconds(delay), self.sent, parcel));
    }

    /// Lets time pass. Orders arrive and are obeyed; answers that arrive are given back.
    pub fn pass(&mut self, seconds: u64) -> Vec<(StepId, Answer)> {
        let mut answers = Vec::new();
        let end = self.world.now() + Duration::from_secs(seconds);
        while self.world.now() < end {
            let step = self.until_due().min((end - self.world.now()).as_secs());
            self.world.advance(Duration::from_secs(step));
            let now = self.now();
            let busy = self.hosts.values().filter(|host| host.goes_on_at().is_some_and(|at| now >= at));
            for name in busy.map(|host| host.name.clone()).collect::<Vec<_>>() {
                self.carry_on(&name, now);
            }
            let mut due: Vec<(Timestamp, u64, Parcel)> =
                self.parcels.extract_if(.., |parcel| parcel.0 <= now).collect();
            due.sort_by_key(|(at, number, _)| (*at, *number));
            for (_, _, parcel) in due {
                match parcel {
                    Parcel::Answer(step, answer) => answers.push((step, answer)),
                    Parcel::Order(step, effect) => {
                        let answer = self.obey(&step, &effect, now);
                        if let Answer::Refused { why } = &answer {
                            self.deeds.push(Deed::Refused { step: step.clone(), why: why.clone() });
                        }
                        if self.rng.random_range(0..100) >= self.loss {
                            let delay = self.rng.random_range(0..3);
                            self.post(delay, Parcel::Answer(step, answer));
                        }
                    }
                }
            }
            let here = &self.world.sds;
            let inside = |id: &Id| here.get(id).is_some_and(|sds| sds.maintenance != Maintenance::None);
            self.ours.retain(|id, _| inside(id));
            self.unknown.alike.retain(|id, _| inside(id));
        }
        answers
    }

    /// Seconds until something besides the world itself is due: a host goes on, a parcel arrives, or a maintenance
    /// changes.
    fn until_due(&self) -> u64 {
        let on_the_way = |at: Maintenance| matches!(at, Maintenance::Entering | Maintenance::Exiting);
        if self.world.sds.values().any(|sds| on_the_way(sds.maintenance)) {
            return 1;
        }
        let hosts = self.hosts.values().filter_map(Host::goes_on_at);
        let due = hosts.chain(self.parcels.iter().map(|(at, _, _)| *at)).min();
        let now = self.now();
        due.map_or(u64::MAX, |at| u64::try_from((at - now).num_seconds()).unwrap_or(0).max(1))
    }

    fn obey(&mut self, step: &StepId, effect: &Effect, now: Timestamp) -> Answer {
        match effect {
            Effect::Enter { sds, mode } => self.enter(step, sds, *mode, now),
            Effect::Exit { sds, mode } => self.exit(step, sds, *mode),
            Effect::SwitchMdm { to } => {
                let Some(member) =
                    self.world.mdm.members.iter().find(|mdm| id::<crate::model::id::MdmId>(mdm.id) == *to)
                else {
                    return refused("no such MDM");
                };
                let command = Command::Cluster(ClusterCommand::ChangeOwnership(member.id));
                match self.mdm(command) {
                    Ok(_) => {
                        self.deeds.push(Deed::Switched { step: step.clone() });
                        Answer::Accepted
                    }
                    Err(answer) => answer,
                }
            }
            Effect::Finalise => match self.mdm(Command::Upgrade(UpgradeCommand::Finalize)) {
                Ok(_) => Answer::Accepted,
                Err(answer) => answer,
            },
            Effect::RemoveSds { sds } => {
                self.of_sds(sds, SdsCommand::Remove { force: false }, |sds| Deed::Leaving { step: step.clone(), sds })
            }
            Effect::KeepSds { sds } => self.of_sds(sds, SdsCommand::AbortRemove, |_| Deed::Kept { step: step.clone() }),
            Effect::RemoveSdc { sdc } => {
                let Some(at) = self.world.sdcs.keys().copied().find(|at| id::<SdcId>(*at) == *sdc) else {
                    return refused("no such SDC");
                };
                match self.mdm(Command::Sdc(at, SdcCommand::Remove)) {
                    Ok(_) => {
                        self.deeds.push(Deed::Parted { step: step.clone() });
                        Answer::Accepted
                    }
                    Err(answer) => answer,
                }
            }
            Effect::Drain { agent } => {
                let stuck_for_ever = |host: &Host| host.drain_stuck;
                let Some(host) = self.hosts.values_mut().find(|host| host.agent == *agent) else {
                    return refused("no such agent");
                };
                if now < self.mesos_deaf_until {
                    return Answer::Unknown { why: "the master does not answer".into() };
                }
                if host.mesos == Mesos::Active {
                    host.mesos = Mesos::Draining((!stuck_for_ever(host)).then(|| now + TimeDelta::seconds(20)));
                    host.drained_by_us = true;
                    self.deeds.push(Deed::Drained { step: step.clone(), node: host.name.clone() });
                }
                Answer::Accepted
            }
            Effect::Reactivate { agent } => {
                let Some(host) = self.hosts.values_mut().find(|host| host.agent == *agent) else {
                    return refused("no such agent");
                };
                if now < self.mesos_deaf_until {
                    return Answer::Unknown { why: "the master does not answer".into() };
                }
                match host.mesos {
                    Mesos::Draining(_) => refused("agent is draining"),
                    Mesos::Active => Answer::AlreadySo,
                    Mesos::Drained => {
                        let ours = std::mem::take(&mut host.drained_by_us);
                        host.mesos = Mesos::Active;
                        self.deeds.push(Deed::Reactivated { step: step.clone(), node: host.name.clone(), ours });
                        Answer::Accepted
                    }
                }
            }
            Effect::Order { permit, .. } => self.order(step, permit, now),
        }
    }

    fn mdm(&mut self, command: Command) -> Result<Reply, Answer> {
        if !self.world.answers() || self.now() < self.deaf_until {
            return Err(Answer::Unknown { why: "the gateway does not answer".into() });
        }
        self.world.command(command).map_err(|error| Answer::Refused { why: error.to_string().into() })
    }

    fn of_sds(&mut self, sds: &SdsId, command: SdsCommand, deed: impl FnOnce(Id) -> Deed) -> Answer {
        let Some(at) = self.sds(sds) else { return refused("no such SDS") };
        match self.mdm(Command::Sds(at, command)) {
            Ok(_) => {
                self.deeds.push(deed(at));
                Answer::Accepted
            }
            Err(answer) => answer,
        }
    }

    fn enter(&mut self, step: &StepId, sds: &SdsId, mode: MaintenanceMode, now: Timestamp) -> Answer {
        let Some(at) = self.sds(sds) else { return refused("no such SDS") };
        let command = MaintenanceCommand::Enter { scope: Scope::Sds(at), mode: world_mode(mode), force: false };
        match self.mdm(Command::Maintenance(command)) {
            Ok(Reply::Verdicts(verdicts)) => match verdicts.first() {
                Some((_, Some(code))) => refused(code.symbol()),
                _ => {
                    self.ours.insert(at, now);
                    self.deeds.push(Deed::Entered { step: step.clone(), sds: at });
                    Answer::Accepted
                }
            },
            Ok(_) => Answer::Accepted,
            Err(answer) => answer,
        }
    }

    fn exit(&mut self, step: &StepId, sds: &SdsId, mode: MaintenanceMode) -> Answer {
        let Some(at) = self.sds(sds) else { return refused("no such SDS") };
        let ours = self.ours.contains_key(&at);
        let command = MaintenanceCommand::Exit { scope: Scope::Sds(at), mode: world_mode(mode), force: false };
        match self.mdm(Command::Maintenance(command)) {
            Ok(Reply::Verdicts(verdicts)) => match verdicts.first() {
                Some((_, Some(code))) => refused(code.symbol()),
                _ => {
                    self.unknown.left(step, at);
                    self.deeds.push(Deed::Exited { step: step.clone(), sds: at, ours });
                    Answer::Accepted
                }
            },
            Ok(_) => Answer::Accepted,
            Err(answer) => answer,
        }
    }
}

fn refused(why: &str) -> Answer {
    Answer::Refused { why: why.into() }
}

const fn world_mode(mode: MaintenanceMode) -> Mode {
    match mode {
        MaintenanceMode::Instant => Mode::Instant,
        MaintenanceMode::Protected => Mode::Protected,
    }
}

//! What is known of a system's MDM cluster in one turn, and what follows?

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::super::cluster::{
    ClusterDecision, ClusterRecord, ClusterView, Errand, Packages, Peer, decide, machine, needs_password,
};
use super::super::decide::is_silent;
use super::super::licence::Told;
use super::super::lost;
use super::super::record::Record;
use super::super::steps::{Lack, StepName};
use super::super::view;
use super::turn::moving;
use super::{EXPIRES, Part, Rollout, Settings};
use crate::config::rollout::WantedMdm;
use crate::enrol::crew::{Member, Members, addresses};
use crate::fleet::attributes;
use crate::fleet::networks::{self, OfMember};
use crate::fleet::roles::Candidate;
use crate::fleet::shown::Shown;
use crate::fleet::volumes;
use crate::model::framework::{FrameworkStatus, SeenAgent};
use crate::model::id::{NodeName, SystemId};
use crate::model::mdm::Change;
use crate::model::mesos::AttributeValue;
use crate::model::node::{Carries, NodePhase};
use crate::model::order::{Component, Hidden, Order, OrderId, Secrets, Task};
use crate::model::picture::Picture;
use crate::model::places::Places;
use crate::model::preflight::{Verdict, carries_no_virtual_ip, worst};
use crate::model::rollout::{Approved, Why};
use crate::model::unit::{Bytes, Timestamp};

impl Rollout {
    /// What is next for the MDM cluster of a system; none: it shall have none of ours.
    pub(super) fn cluster(
        &self,
        system: &SystemId,
        members: &Members,
        framework: Option<&FrameworkStatus>,
        picture: Option<&Picture>,
        now: Timestamp,
    ) -> Option<ClusterDecision> {
        let look = |view: &ClusterView<'_>| decide(self.clusters.get(system), view);
        self.look_at_cluster(system, members, framework, picture, now, look)
    }

    /// The record with a node given up, or the reasons against it in words.
    pub(super) fn without_member(
        &self,
        system: &SystemId,
        node: &NodeName,
        by: Box<str>,
        now: Timestamp,
    ) -> Result<ClusterRecord, String> {
        let none = || format!("{node} is not given up: the MDM cluster of {system} is none of ours");
        let record = self.clusters.get(system).ok_or_else(none)?;
        let members = Arc::clone(&self.watched.crew.members().borrow());
        let framework = self.watched.framework.as_ref().map(|framework| Arc::clone(&framework.borrow()));
        let picture = self.watched.gallery.of(system);
        let look = |view: &ClusterView<'_>| lost::give_up(node, record, view);
        let looked = self
            .look_at_cluster(system, &members, framework.as_deref(), picture.as_deref(), now, look)
            .ok_or_else(none)?;
        let seats = looked.map_err(|against| lost::told(node, &against))?;
        let mut record = ClusterRecord { seats, ..record.clone() };
        record.given_up.insert(node.clone(), Approved { by, at: now });
        Ok(record)
    }

    /// What is known of the MDM cluster of a system, for whoever decides.
    fn look_at_cluster<T>(
        &self,
        system: &SystemId,
        members: &Members,
        framework: Option<&FrameworkStatus>,
        picture: Option<&Picture>,
        now: Timestamp,
        decide: impl FnOnce(&ClusterView<'_>) -> T,
    ) -> Option<T> {
        let part = self.settings.parts.get(system)?;
        let wanted = part.rollout.mdm.as_ref()?;
        let records: Vec<&Record> = self.records.values().filter(|record| record.system == *system).collect();
        let member = |record: &Record| members.get(&record.node).map(|member| &**member);
        let rack = wanted.rack_attribute.as_deref();
        let seen = |record: &Record| {
            let agent = record.source.agent.as_ref()?;
            framework?.agents.get(agent).map(|seen| &**seen)
        };
        let mut shared = addresses::shared(members.values().map(|member| &**member));
        let shown = picture.and_then(|picture| picture.snapshot.as_deref()).map(Shown::of);
        shared.extend(moving(part, shown.as_ref().map(|shown| shown.snapshot)));
        let grounds: Vec<Ground> = records
            .iter()
            .map(|record| Ground::of(record, member(record), part, &self.settings, &shared, shown.as_ref()))
            .collect();
        let places = self.settings.places.led_by(framework.map(|framework| &framework.registration));
        let candidates: Vec<Candidate> = records
            .iter()
            .zip(&grounds)
            .filter_map(|(record, ground)| {
                let member = member(record)?;
                let candidate = self.candidate(record, member, seen(record), rack, now)?;
                let carries = carries(record, member, &places, &shared);
                let no_member = ground.as_tie_breaker.as_ref().err().cloned();
                let no_manager = ground.as_manager.as_ref().err().cloned().or_else(|| no_virtual_ip(record, wanted));
                Some(Candidate { carries, no_member, no_manager, ..candidate })
            })
            .collect();
        let peers = records.iter().zip(grounds).map(|(record, ground)| {
            let Ground { as_manager, as_tie_breaker, known_at } = ground;
            let peer = Peer {
                as_manager,
                as_tie_breaker,
                known_at,
                member: member(record),
                is_ready: matches!(record.phase, NodePhase::Ready | NodePhase::Joining),
                is_busy: record.open.is_some() || self.in_run(&record.node).is_some(),
                is_laying: self.laying.contains(&record.node),
            };
            (record.node.clone(), peer)
        });
        let asked = picture.filter(|picture| picture.health.last_poll.is_some());
        let mdm =
            |picture: &Picture| picture.snapshot.as_ref()?.array.as_ref()?.mdm.as_ref().map(|mdm| mdm.members.len());
        let exactly = |os: &str, release: &str, component: Component| {
            let wanted = super::super::steps::Wanted { os, mdm: release, pinned: Some(release) };
            (self.settings.choose)(&wanted, component).map(|package| package.artefact).map_err(Lack::told)
        };
        let view = ClusterView {
            now,
            random: rand::random(),
            system,
            wanted,
            gateway: part.rollout.gateway.as_ref(),
            is_managed_apart: !part.rollout.networks.management.is_empty(),
            pinned: part.rollout.release.as_deref(),
            may_change: match self.approval(system) {
                Some(_) => Ok(()),
                None => Err(Why::NotApproved { system: system.clone() }),
            },
            run: self.run_of(system),
            listening_since: self.since,
            has_password: part.admin.is_some(),
            exists: asked.map(|picture| mdm(picture).is_some_and(|members| members > 0)),
            licence: picture.and_then(|picture| self.licence(system, picture)).unwrap_or_default(),
            candidates: &candidates,
            peers: peers.collect(),
            packages: Packages { newest: &*self.settings.newest, exactly: &exactly },
        };
        Some(decide(&view))
    }

    /// What a system has said of its licence since its cluster changed last.
    fn licence(&self, system: &SystemId, picture: &Picture) -> Option<Told> {
        let changed_at = self.clusters.get(system)?.changed_at;
        let array = picture.snapshot.as_ref()?.array.as_ref().filter(|array| array.begun_at >= changed_at)?;
        Some(match array.has_trial_license {
            None => Told::Unknown,
            Some(true) => Told::Trial { days_left: array.license_days_left },
            Some(false) => Told::Licensed,
        })
    }

    /// A node that may have a seat: its agent is heard, and nothing that it lacks is red.
    fn candidate(
        &self,
        record: &Record,
        member: &Member,
        seen: Option<&SeenAgent>,
        rack_attribute: Option<&str>,
        now: Timestamp,
    ) -> Option<Candidate> {
        member.facts.as_ref().filter(|facts| !is_silent(facts.seen_at, now))?;
        let host = member.host.as_ref().filter(|_| !member.stranger)?;
        record.preflight.as_ref().filter(|checked| worst(&checked.rows) < Verdict::Fail)?;
        let attributes = &record.source.attributes;
        let values: BTreeMap<Box<str>, Vec<AttributeValue>> =
            attributes.iter().map(|(name, value)| (name.clone(), vec![AttributeValue::Text(value.clone())])).collect();
        let placement = attributes::read(&values, &self.settings.systems).ok();
        let memory = host.memory_mib.map(|mib| mib << 20);
        Some(Candidate {
            name: record.node.clone(),
            machine: machine(&record.node, record.source.address.clone(), Some(member)),
            rack: rack_attribute.and_then(|name| attributes.get(name)).cloned(),
            persona: placement.and_then(|placement| placement.persona),
            // An older agent does not tell; then what Mesos offered of the host counts.
            cores: host.cores.unwrap_or_else(|| seen.map_or(0, |seen| seen.cpus.max(0.0) as u32)),
            memory: Bytes::new(
                memory.unwrap_or_else(|| seen.map_or(0, |seen| (seen.mem.max(0.0) * f64::from(1 << 20)) as u64)),
            ),
            carries: BTreeSet::new(),
            no_member: None,
            no_manager: None,
            takes_packages: (self.settings.takes_packages)(&host.os),
        })
    }

    /// The order of an errand, with what only its agent may read.
    pub(super) fn cluster_order(&self, part: &Part, errand: &Errand) -> Order {
        Order {
            id: errand.id.clone(),
            epoch: self.watched.crew.epoch(),
            expires: errand.at + EXPIRES,
            within_s: within_s(&errand.task),
            task: errand.task.clone(),
            secrets: cluster_secrets(part, &errand.task),
        }
    }

    /// What only the agent of a node may read of an order.
    pub(super) fn secrets(&self, system: &SystemId, task: &Task) -> Secrets {
        let Some(part) = self.settings.parts.get(system) else { return Secrets::default() };
        match task {
            Task::ConsumeVolumes(_) => volumes::secrets(&part.system),
            task => cluster_secrets(part, task),
        }
    }

    /// Orders that lie without their secrets since a restart, which nobody has stored: they are laid out once more.
    pub(super) fn without_secrets(&mut self, members: &Members) -> Vec<(NodeName, Order)> {
        let errands = self
            .clusters
            .iter()
            .flat_map(|(system, record)| record.open.iter().map(move |(node, errand)| (node, system, &errand.id)));
        let steps =
            self.records.iter().filter_map(|(node, record)| Some((node, &record.system, &record.open.as_ref()?.id)));
        let open: Vec<(&NodeName, &SystemId, &OrderId)> = errands.chain(steps).collect();
        let ids: BTreeSet<&OrderId> = open.iter().map(|(_, _, id)| *id).collect();
        self.told.retain(|id| ids.contains(id));
        let mut again = Vec::new();
        for (node, system, id) in open {
            let lies = members.get(node).and_then(|member| member.order.as_ref().filter(|_| member.has_secrets));
            if let Some(order) = lies.filter(|order| order.id == *id && !self.told.contains(id)) {
                let order = Order { secrets: self.secrets(system, &order.task), ..order.clone() };
                again.push((node.clone(), order));
            }
        }
        self.told.extend(again.iter().map(|(_, order)| order.id.clone()));
        again
    }
}

/// Where a member of the MDM cluster on a node would be found.
struct Ground {
    as_manager: Result<OfMember, Box<str>>,
    as_tie_breaker: Result<OfMember, Box<str>>,
    known_at: BTreeSet<IpAddr>,
}

impl Ground {
    fn of(
        record: &Record,
        member: Option<&Member>,
        part: &Part,
        settings: &Settings,
        shared: &BTreeSet<Box<str>>,
        shown: Option<&Shown<'_>>,
    ) -> Self {
        let at = addresses::own(record.source.address.as_deref(), member, shared);
        let host = view::host(record, &settings.systems, &at, shown, part.rollout.device_names);
        let networks = networks::of(&part.rollout, &host);
        let of = |is_manager| networks::of_member(&networks, &host, is_manager).map_err(|why| why.to_string().into());
        let known_at = at.iter().filter_map(|ip| ip.parse().ok()).collect();
        Self { as_manager: of(true), as_tie_breaker: of(false), known_at }
    }
}

/// Of what else the host of a node carries a part.
fn carries(record: &Record, member: &Member, places: &Places, shared: &BTreeSet<Box<str>>) -> BTreeSet<Carries> {
    let addresses = addresses::own(record.source.address.as_deref(), Some(member), shared);
    member.facts.as_ref().map(|said| places.carried(&record.node, said, &addresses)).unwrap_or_default()
}

/// What a node lacks of the virtual addresses that a manager shall be able to carry.
fn no_virtual_ip(record: &Record, wanted: &WantedMdm) -> Option<Box<str>> {
    if wanted.virtual_ips.as_ref()?.on(&record.node).is_empty() {
        return Some("has no interface for the virtual address; name it in virtual_ip_interfaces_of".into());
    }
    let rows = record.preflight.as_ref().map(|checked| &*checked.rows).unwrap_or_default();
    carries_no_virtual_ip(rows).map(Into::into)
}

/// What an order needs that only its agent may read.
fn cluster_secrets(part: &Part, task: &Task) -> Secrets {
    let password = part.admin.as_ref().map(|password| Hidden::new(password.reveal()));
    match task {
        Task::Install(install) if install.component == Component::Lia => {
            let lia_token = part.rollout.lia.as_ref().map(|lia| Hidden::new(lia.token.0.reveal()));
            Secrets { lia_token, ..Secrets::default() }
        }
        task if !needs_password(task) => Secrets::default(),
        Task::Install(_) => Secrets { gateway_admin: password, ..Secrets::default() },
        task => {
            let is_licence = matches!(task, Task::Mdm(task) if matches!(task.change, Change::Licence { .. }));
            let licence = part.rollout.mdm.as_ref().and_then(|mdm| mdm.licence.as_ref()).filter(|_| is_licence);
            let licence = licence.map(|licence| Hidden::new(licence.text.0.reveal()));
            Secrets { mdm_admin: password, licence, ..Secrets::default() }
        }
    }
}

/// How long an errand may take, in seconds.
pub(super) const fn within_s(task: &Task) -> u32 {
    match task {
        Task::Prerequisites { .. } | Task::Install(_) => StepName::InstallSds.within_s(),
        // Each command waits for the other members.
        Task::Mdm(_) => 10 * 60,
        _ => StepName::ConnectSdc.within_s(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::Source;
    use super::*;
    use crate::model::framework::Registration;
    use crate::model::node::NodeFacts;

    #[test]
    fn what_else_lies_on_a_host_is_known_where_seats_are_chosen() {
        let record = |name: &str, ip: &str| {
            let source = Source { address: Some(ip.into()), ..Source::default() };
            Record::new(SystemId::new("prod"), NodeName::new(name), source, Timestamp::UNIX_EPOCH)
        };
        let member = |name: &str, boot_id: &str| {
            let facts = NodeFacts { boot_id: boot_id.into(), ..NodeFacts::bare(Timestamp::UNIX_EPOCH) };
            Member { facts: Some(facts), ..Member::new(NodeName::new(name)) }
        };
        let mut places = Places { boot_id: "b1".into(), ..Places::default() };
        places.put("10.0.0.3", Carries::ZooKeeper);
        let registration =
            Registration::Registered { master: "http://10.0.0.2:5050".into(), heard_at: Timestamp::UNIX_EPOCH };
        let places = places.led_by(Some(&registration));
        let of = |name: &str, ip: &str, boot_id: &str| {
            carries(&record(name, ip), &member(name, boot_id), &places, &BTreeSet::new())
        };
        assert_eq!(of("n1", "10.0.0.1", "b1"), [Carries::Controller].into());
        assert_eq!(of("n2", "10.0.0.2", "b2"), [Carries::MesosMaster].into());
        assert_eq!(of("n3", "10.0.0.3", "b3"), [Carries::ZooKeeper].into());
        assert_eq!(of("10.0.0.2", "10.0.0.4", ""), [Carries::MesosMaster].into(), "by its name");
        assert_eq!(of("n5", "10.0.0.5", "b5"), BTreeSet::new());
    }
}

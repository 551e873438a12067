//! Can the servers and their data spare this one?

use std::collections::{BTreeMap, BTreeSet};

use super::super::facts::{begun, fault_unit};
use super::super::record::Duty;
use super::{Ask, Holds};
use crate::model::cluster::{Device, Sdc, Sds, StoragePool};
use crate::model::hold::Reason;
use crate::model::id::{SdsId, StoragePoolId};
use crate::model::snapshot::Snapshot;
use crate::model::state::{Connection, DeviceState, DomainState, Maintenance, Membership, SdsState, Seen};
use crate::model::stats::{Stat, StatKind, StatRow};
use crate::model::step::{Action, Component, MaintenanceMode};
use crate::model::unit::Bytes;
use crate::model::version::Generation;

/// Healthy SDSs that must be left besides the one in maintenance. The MDM asks for as many.
const HEALTHY: usize = 2;
/// Fault units that a pool must be spread over.
const UNITS: usize = 3;
/// Longest time with one copy that instant mode is meant for.
const INSTANT_SECONDS: u32 = 30 * 60;

/// What says that data is not protected.
const UNPROTECTED: [(Stat, &str); 4] = [
    (Stat::DegradedHealthyCapacityInKb, "degraded"),
    (Stat::DegradedFailedCapacityInKb, "degraded"),
    (Stat::FailedCapacityInKb, "failed"),
    (Stat::SemiProtectedCapacityInKb, "semi-protected"),
];
/// What not every generation counts. Where the column is missing as a whole, nobody can ask for it.
const NOT_EVERYWHERE: [Stat; 3] =
    [Stat::SemiProtectedCapacityInKb, Stat::PendingNormRebuildCapacityInKb, Stat::ActiveNormRebuildCapacityInKb];
/// What has to be moved for protected maintenance, which exists from 3.5 on.
const MOVING_PROTECTED: [(Stat, &str); 4] = [
    (Stat::PendingEnterProtectedMaintenanceModeCapacityInKb, "protected maintenance"),
    (Stat::ActiveEnterProtectedMaintenanceModeCapacityInKb, "protected maintenance"),
    (Stat::PendingExitProtectedMaintenanceModeCapacityInKb, "protected maintenance"),
    (Stat::ActiveExitProtectedMaintenanceModeCapacityInKb, "protected maintenance"),
];

fn name(sds: &Sds) -> Box<str> {
    sds.name.clone().unwrap_or_else(|| sds.id.to_string().into())
}

fn pool_name(pool: &StoragePool) -> Box<str> {
    pool.name.clone().unwrap_or_else(|| pool.id.to_string().into())
}

/// Why an SDS does not serve as it should, maintenance aside.
fn ailment(sds: &Sds) -> Option<Reason> {
    let away = |state: &str| Some(Reason::SdsAway { sds: name(sds), state: state.into() });
    let unknown =
        |word: &str| Some(Reason::UnknownState { what: format!("SDS {}", name(sds)).into(), word: word.into() });
    match (&sds.connection, &sds.membership, &sds.state) {
        (Seen::Other(word), _, _) | (_, Seen::Other(word), _) | (_, _, Seen::Other(word)) => unknown(word),
        (Seen::Is(Connection::Disconnected), _, _) => away("disconnected"),
        (_, Seen::Is(Membership::JoinPending | Membership::Decoupled), _) => away(sds.membership.word()),
        (_, _, Seen::Is(SdsState::RemovePending)) => away("being removed"),
        (Seen::Is(Connection::Connected), Seen::Is(Membership::Joined), Seen::Is(SdsState::Normal)) => None,
    }
}

impl Ask<'_> {
    fn ours(&self, sds: &SdsId) -> bool {
        let ours = |duty: &Duty| matches!(duty, Duty::Maintenance { sds: ours } if ours == sds);
        self.book.obligations.iter().any(|open| ours(&open.duty))
    }

    fn known(&self, holds: &mut Holds) -> Option<&Snapshot> {
        let (fresh, middle) = (self.policy.fresh, self.policy.fresh_middle);
        let Some(snapshot) = self.facts.snapshot() else {
            holds.push(Reason::Unseen { what: "the system".into() });
            return None;
        };
        for (what, begun_at, oldest) in [
            ("the list of SDSs", begun(&snapshot.sds), fresh),
            ("the list of pools", begun(&snapshot.pools), fresh),
            ("the list of protection domains", begun(&snapshot.domains), fresh),
            ("statistics", begun(&snapshot.statistics), fresh),
            ("the list of devices", begun(&snapshot.devices), middle),
        ] {
            self.fresh(what, begun_at, oldest, holds);
        }
        holds.seen(begun(&snapshot.sds));
        Some(snapshot)
    }
}

/// What holds whoever takes a server out, for a while or for good; with what is known of it and its pools.
fn can_be_spared<'a>(ask: &'a Ask<'_>, holds: &mut Holds) -> Option<(&'a Snapshot, &'a Sds, BTreeSet<StoragePoolId>)> {
    let snapshot = ask.known(holds)?;
    let (id, own) = own(ask, holds)?;
    servers(ask, snapshot, own, holds);
    let pools = ask.facts.pools_of(id);
    data(ask, snapshot, &pools, holds);
    devices(snapshot, own, holds);
    Some((snapshot, own, pools))
}

/// All of facts 2.6 that is about servers and data.
pub(super) fn may_enter(ask: &Ask<'_>, holds: &mut Holds) {
    let Some((snapshot, own, pools)) = can_be_spared(ask, holds) else { return };
    if let Some(domain) = own.domain.as_ref().and_then(|id| snapshot.domains.as_ref()?.get(id)) {
        if !domain.state.is(DomainState::Active) {
            let name = domain.name.clone().unwrap_or_else(|| domain.id.to_string().into());
            holds.push(Reason::DomainNotActive { domain: name, state: domain.state.word().into() });
        }
    } else {
        holds.push(Reason::Unseen { what: "the protection domain of the SDS".into() });
    }
    for pool in &pools {
        spread(ask, snapshot, pool, own, holds);
    }
}

fn own<'a>(ask: &'a Ask<'_>, holds: &mut Holds) -> Option<(&'a SdsId, &'a Sds)> {
    let id = ask.task.sds.as_ref()?;
    let Some((sds, _)) = ask.facts.sds(id) else {
        holds.push(Reason::Unseen { what: format!("the SDS of {}", ask.task.node).into() });
        return None;
    };
    Some((id, sds))
}

fn servers(ask: &Ask<'_>, snapshot: &Snapshot, own: &Sds, holds: &mut Holds) {
    let all = snapshot.sds.as_ref().map(|part| part.value.as_slice()).unwrap_or_default();
    let mut healthy = 0;
    for sds in all {
        let inside = sds.domain == own.domain;
        let known_work = ask.ours(&sds.id);
        match (&sds.maintenance, ailment(sds)) {
            (Seen::Is(Maintenance::None), None) => healthy += usize::from(inside && sds.id != own.id),
            (_, Some(Reason::SdsAway { sds: name, state })) if sds.id == own.id => {
                holds.push(Reason::OwnSdsAway { sds: name, state });
            }
            // Whoever is in our maintenance may be away, in the same fault unit or in another domain.
            (Seen::Is(Maintenance::In), Some(Reason::SdsAway { .. }))
                if known_work && (!inside || fault_unit(sds) == fault_unit(own)) => {}
            (_, Some(Reason::SdsAway { sds: name, state })) if !inside => {
                holds.push(Reason::SdsAwayElsewhere { sds: name, state });
            }
            (_, Some(reason)) => holds.push(reason),
            _ => {}
        }
        if sds.maintenance.is(Maintenance::None) || !inside {
            continue;
        }
        if let Seen::Other(word) = &sds.maintenance {
            let what = format!("the maintenance of SDS {}", name(sds)).into();
            holds.push(Reason::UnknownState { what, word: word.clone() });
        } else if !known_work {
            holds.push(Reason::MaintenanceForeign { sds: name(sds) });
        } else if sds.id != own.id && fault_unit(sds) != fault_unit(own) {
            holds.push(Reason::MaintenanceElsewhere { sds: name(sds) });
        }
    }
    // What was ordered and is not seen yet counts as if it were there.
    for obligation in &ask.book.obligations {
        let Duty::Maintenance { sds } = &obligation.duty else { continue };
        if let Some((other, _)) = ask.facts.sds(sds)
            && other.id != own.id
            && other.domain == own.domain
            && fault_unit(other) != fault_unit(own)
        {
            holds.push(Reason::MaintenanceElsewhere { sds: name(other) });
        }
    }
    if healthy < HEALTHY {
        holds.push(Reason::TooFewHealthySds { healthy: healthy as u32 });
    }
}

/// Nothing is degraded, failed, or on its way.
fn data(ask: &Ask<'_>, snapshot: &Snapshot, pools: &BTreeSet<StoragePoolId>, holds: &mut Holds) {
    let listed = snapshot.pools.as_ref().map(|part| &*part.value);
    holds.seen(begun(&snapshot.pools));
    for id in pools {
        let Some(pool) = listed.and_then(|pools| pools.get(id)) else {
            holds.push(Reason::Unseen { what: format!("pool {id}").into() });
            continue;
        };
        match pool.rebuild_enabled {
            Some(true) => {}
            Some(false) => holds.push(Reason::RebuildDisabled { pool: pool_name(pool) }),
            None => holds.push(Reason::Unseen { what: format!("whether pool {} rebuilds", pool_name(pool)).into() }),
        }
    }
    holds.seen(begun(&snapshot.statistics));
    for id in pools {
        let Some(pool) = listed.and_then(|pools| pools.get(id)) else { continue };
        counters(ask, snapshot, pool, holds);
    }
}

fn counters(ask: &Ask<'_>, snapshot: &Snapshot, pool: &StoragePool, holds: &mut Holds) {
    let row = snapshot.statistics.as_ref().and_then(|part| part.value.row(StatKind::StoragePool, pool.id.object()));
    let Some(row) = row else {
        holds.push(Reason::Unseen { what: format!("statistics of pool {}", pool_name(pool)).into() });
        return;
    };
    let protected = snapshot.generation >= Generation::V3_5;
    let moving = Stat::REBUILD_LEFT.map(|stat| (stat, "rebuild"));
    let moving = moving.into_iter().chain(MOVING_PROTECTED.into_iter().filter(|_| protected));
    let table = snapshot.statistics.as_ref().and_then(|part| part.value.table(StatKind::StoragePool));
    let has = |stat: Stat| table.is_some_and(|table| table.columns().place(stat).is_some());
    let mut zero = |stat: Stat, reason: &dyn Fn(u64) -> Reason| match row.bytes(stat) {
        Some(bytes) if bytes.get() == 0 => {}
        Some(bytes) => holds.push(reason(bytes.get())),
        None if NOT_EVERYWHERE.contains(&stat) && !has(stat) => {}
        None => holds.push(Reason::Unseen { what: format!("{} of pool {}", stat.wire_name(), pool_name(pool)).into() }),
    };
    for (stat, kind) in UNPROTECTED {
        zero(stat, &|bytes| Reason::DataUnprotected { pool: pool_name(pool), kind: kind.into(), bytes });
    }
    for (stat, kind) in moving {
        zero(stat, &|bytes| Reason::Moving { pool: pool_name(pool), kind: kind.into(), bytes });
    }
    // Data in a maintenance of our own, in the same fault unit, is known.
    let inside = |sds: &SdsId| ask.facts.sds(sds).is_none_or(|(sds, _)| sds.domain == pool.domain);
    let own_unit_in_work =
        ask.book.obligations.iter().any(|open| matches!(&open.duty, Duty::Maintenance { sds } if inside(sds)));
    if !own_unit_in_work {
        zero(Stat::InMaintenanceCapacityInKb, &|bytes| Reason::DataUnprotected {
            pool: pool_name(pool),
            kind: "in maintenance".into(),
            bytes,
        });
    }
    for stat in [Stat::PendingRebalanceCapacityInKb, Stat::ActiveRebalanceCapacityInKb] {
        if let Some(bytes) = row.bytes(stat).filter(|bytes| bytes.get() > 0) {
            holds.push(Reason::Rebalancing { pool: pool_name(pool), bytes: bytes.get() });
        }
    }
}

fn devices(snapshot: &Snapshot, own: &Sds, holds: &mut Holds) {
    let all = snapshot.devices.as_ref().map(|part| part.value.as_slice()).unwrap_or_default();
    let sds = snapshot.sds.as_ref().map(|part| &*part.value);
    let inside = |id: &SdsId| sds.and_then(|sds| sds.get(id)).is_some_and(|sds| sds.domain == own.domain);
    holds.seen(begun(&snapshot.devices));
    for device in all.iter().filter(|device| device.sds.as_ref().is_some_and(inside)) {
        let name = device.name.clone().or_else(|| device.path.clone()).unwrap_or_else(|| device.id.to_string().into());
        if device.has_failed() {
            holds.push(Reason::DeviceError { device: name });
        } else if !matches!(device.state, Seen::Is(DeviceState::Normal | DeviceState::NormalTesting)) {
            holds.push(Reason::DeviceState { device: name, state: device.state.word().into() });
        }
    }
}

/// What a device holds at most: of 2.0 the device itself says it, later ones among their statistics.
fn size(device: &Device, row: Option<StatRow<'_>>) -> Option<Bytes> {
    row.and_then(|row| row.bytes(Stat::MaxCapacityInKb)).or(device.size)
}

/// Enough fault units in the pool, and room for what lies on this one.
fn spread(ask: &Ask<'_>, snapshot: &Snapshot, id: &StoragePoolId, own: &Sds, holds: &mut Holds) {
    let (Some(devices), Some(sds), Some(pools)) = (&snapshot.devices, &snapshot.sds, &snapshot.pools) else { return };
    let Some(pool) = pools.get(id) else { return };
    let unit = fault_unit(own);
    let (mut units, mut held, mut free) = (BTreeSet::new(), 0, 0);
    for device in devices.iter().filter(|device| device.pool.as_ref() == Some(id)) {
        let Some(server) = device.sds.as_ref().and_then(|id| sds.get(id)) else { continue };
        let row = snapshot.statistics.as_ref().and_then(|part| part.value.row(StatKind::Device, device.id.object()));
        let used = row.and_then(|row| row.bytes(Stat::CapacityInUseInKb));
        let size = size(device, row);
        let (Some(used), Some(size)) = (used, size) else {
            holds.push(Reason::Unseen { what: format!("capacity of a device of pool {}", pool_name(pool)).into() });
            return;
        };
        units.insert(fault_unit(server));
        if fault_unit(server) == unit {
            held += used.get();
        } else if ailment(server).is_none() {
            free += size.get().saturating_sub(used.get());
        }
    }
    holds.seen(begun(&snapshot.devices));
    if units.len() < UNITS {
        holds.push(Reason::TooFewFaultUnits { pool: pool_name(pool), units: units.len() as u32 });
    }
    if free < held.saturating_add(ask.policy.margin) {
        holds.push(Reason::NoRoom { pool: pool_name(pool), free, needed: held });
    }
}

/// The rest of its pools holds what they have, with the spare kept, and nothing else is on its way.
pub(super) fn may_leave(ask: &Ask<'_>, holds: &mut Holds) {
    let Some((snapshot, own, pools)) = can_be_spared(ask, holds) else { return };
    for pool in &pools {
        room_without(ask, snapshot, pool, own, holds);
    }
}

fn room_without(ask: &Ask<'_>, snapshot: &Snapshot, id: &StoragePoolId, own: &Sds, holds: &mut Holds) {
    let (Some(devices), Some(sds), Some(pools)) = (&snapshot.devices, &snapshot.sds, &snapshot.pools) else { return };
    let Some(pool) = pools.get(id) else { return };
    let unseen = |what: &str| Reason::Unseen { what: format!("{what} of pool {}", pool_name(pool)).into() };
    let Some(spare) = pool.spare else { return holds.push(unseen("the spare capacity")) };
    let (mut units, mut rest, mut largest, mut used) = (BTreeSet::new(), 0_u64, BTreeMap::<_, u64>::new(), 0_u64);
    for device in devices.iter().filter(|device| device.pool.as_ref() == Some(id)) {
        let Some(server) = device.sds.as_ref().and_then(|id| sds.get(id)) else { continue };
        let row = snapshot.statistics.as_ref().and_then(|part| part.value.row(StatKind::Device, device.id.object()));
        let bytes = |stat| row.and_then(|row| row.bytes(stat)).map(Bytes::get);
        let (Some(in_use), Some(size)) = (bytes(Stat::CapacityInUseInKb), size(device, row).map(Bytes::get)) else {
            return holds.push(unseen("capacity of a device"));
        };
        used += in_use;
        if server.id != own.id && ailment(server).is_none() {
            rest += size;
            units.insert(fault_unit(server));
            *largest.entry(fault_unit(server)).or_default() += size;
        }
    }
    holds.seen(begun(&snapshot.devices));
    if units.len() < UNITS {
        holds.push(Reason::TooFewFaultUnits { pool: pool_name(pool), units: units.len() as u32 });
    }
    // The spare is what the pool says, and never less than what another loss would need.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let percent = (rest as f64 * spare.get()).ceil() as u64;
    let spare = percent.max(largest.into_values().max().unwrap_or_default());
    let usable = rest.saturating_sub(spare).saturating_sub(ask.policy.margin);
    if used > usable {
        holds.push(Reason::NoRoomLeft { pool: pool_name(pool), usable, used });
    }
}

/// The list of SDSs is new enough to tell whether it is there.
pub(super) fn is_listed(ask: &Ask<'_>, holds: &mut Holds) {
    let begun_at = ask.facts.snapshot().and_then(|snapshot| begun(&snapshot.sds));
    ask.fresh("the list of SDSs", begun_at, ask.policy.fresh, holds);
}

/// Its SDS is no part of the system any more.
pub(super) fn is_gone(ask: &Ask<'_>, holds: &mut Holds) {
    is_listed(ask, holds);
    if let Some((sds, _)) = ask.task.sds.as_ref().and_then(|id| ask.facts.sds(id)) {
        let state = format!("still there, {}", sds.state.word()).into();
        holds.push(Reason::OwnSdsAway { sds: name(sds), state });
    }
}

/// Volumes are asked for at the slowest beat; the MDM refuses what changed since.
const MAPPINGS_MINUTES: i64 = 15;

/// The client that a task takes away, as the list shows it; none: it takes none, or it is gone.
fn client<'a>(ask: &'a Ask<'_>) -> Option<&'a Sdc> {
    let sdc = ask.task.steps.iter().find_map(|step| match &step.action {
        Action::RemoveSdc { sdc } => Some(sdc),
        _ => None,
    })?;
    ask.facts.snapshot()?.sdcs.as_ref()?.value.get(sdc)
}

/// No volume is mapped to the client of the node.
pub(super) fn nothing_is_mapped(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(client) = client(ask) else { return };
    let Some(volumes) = ask.facts.snapshot().and_then(|snapshot| snapshot.volumes.as_ref()) else {
        return holds.push(Reason::Unseen { what: "the list of volumes".into() });
    };
    holds.seen(Some(volumes.begun_at));
    if ask.facts.now - volumes.begun_at > chrono::TimeDelta::minutes(MAPPINGS_MINUTES) {
        holds.push(Reason::Stale { what: "the list of volumes".into(), taken_at: volumes.begun_at });
    }
    let mapped = volumes.iter().filter(|volume| volume.mappings.iter().any(|mapping| mapping.sdc == client.id)).count();
    if mapped > 0 {
        holds.push(Reason::VolumesMapped { count: mapped as u32 });
    }
}

/// The client is disconnected, or the MDM would refuse.
pub(super) fn client_is_away(ask: &Ask<'_>, holds: &mut Holds) {
    let begun_at = ask.facts.snapshot().and_then(|snapshot| begun(&snapshot.sdcs));
    ask.fresh("the list of SDCs", begun_at, ask.policy.fresh_middle, holds);
    let Some(client) = client(ask) else { return };
    if !client.connection.as_ref().is_some_and(|seen| seen.is(Connection::Disconnected)) {
        let sdc = client.name.clone().unwrap_or_else(|| client.id.to_string().into());
        holds.push(Reason::ClientConnected { sdc });
    }
}

/// The mode is one of the generation, and meant for so long.
pub(super) fn mode_fits(ask: &Ask<'_>, mode: MaintenanceMode, holds: &mut Holds) {
    let generation = ask.facts.snapshot().map(|snapshot| snapshot.generation);
    match mode {
        MaintenanceMode::Protected if generation.is_none_or(|generation| generation < Generation::V3_5) => {
            holds.push(Reason::ModeMissing { mode });
        }
        MaintenanceMode::Protected => {}
        MaintenanceMode::Instant => {
            let kinds = crate::model::step::StepKind::EnterMaintenance..=crate::model::step::StepKind::ExitMaintenance;
            let steps = ask.task.steps.iter().filter(|step| kinds.contains(&step.action.kind()));
            let seconds: u32 = steps.map(|step| step.predicted_seconds).sum();
            if seconds >= INSTANT_SECONDS {
                holds.push(Reason::TooLong { mode, predicted_seconds: seconds });
            }
        }
    }
}

/// It is in our maintenance, and nothing else has happened to its domain.
pub(super) fn may_stop(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(snapshot) = ask.known(holds) else { return };
    let Some((id, own)) = own(ask, holds) else { return };
    if !(own.maintenance.is(Maintenance::In) && ask.ours(id)) {
        holds.push(Reason::NotInMaintenance { sds: name(own), state: own.maintenance.word().into() });
    }
    servers(ask, snapshot, own, holds);
    data(ask, snapshot, &ask.facts.pools_of(id), holds);
}

/// It is in maintenance by us, as was seen just now; or it is down, by the words of both its host and the MDM. Whatever is
/// down loses nothing by being put back.
pub(super) fn may_be_put_back(ask: &Ask<'_>, holds: &mut Holds) {
    let begun_at = ask.facts.snapshot().and_then(|snapshot| begun(&snapshot.sds));
    ask.fresh("the list of SDSs", begun_at, ask.policy.fresh, holds);
    let Some((id, own)) = own(ask, holds) else { return };
    let runs = ask.host().is_none_or(|host| host.running.contains(&Component::Sds));
    let down = own.connection.is(Connection::Disconnected) && !runs;
    if !(down || (own.maintenance.is(Maintenance::In) && ask.ours(id))) {
        holds.push(Reason::NotInMaintenance { sds: name(own), state: own.maintenance.word().into() });
    }
}

/// It can be told to leave: it is there, or the MDM would refuse. A maintenance that goes on although the MDM ended ours
/// is somebody else's.
pub(super) fn may_exit(ask: &Ask<'_>, holds: &mut Holds) {
    let begun_at = ask.facts.snapshot().and_then(|snapshot| begun(&snapshot.sds));
    ask.fresh("the list of SDSs", begun_at, ask.policy.fresh, holds);
    let Some((id, own)) = own(ask, holds) else { return };
    if !ask.ours(id) || ask.run.tasks.get(ask.number as usize).is_some_and(|state| state.left) {
        holds.push(Reason::MaintenanceForeign { sds: name(own) });
    }
    if let Some(Reason::SdsAway { sds, state }) = ailment(own) {
        holds.push(Reason::OwnSdsAway { sds, state });
    }
    if let Seen::Other(word) = &own.maintenance {
        holds.push(Reason::UnknownState { what: format!("SDS {}", name(own)).into(), word: word.clone() });
    }
}

/// The same for the end of a maintenance. Of a server that somebody took out meanwhile the pools are not known any more: then
/// all pools count.
pub(super) fn is_resynced(ask: &Ask<'_>, holds: &mut Holds) {
    let since = ask.book.changed_at.unwrap_or(chrono::DateTime::UNIX_EPOCH);
    if !super::super::observe::is_gone(&ask.facts, ask.task, since) {
        return is_protected(ask, holds);
    }
    let Some(snapshot) = ask.known(holds) else { return };
    let pools = snapshot.pools.iter().flat_map(|part| part.iter().map(|pool| pool.id.clone())).collect();
    data(ask, snapshot, &pools, holds);
}

/// All data of the pools that it serves, or of all pools, is protected, and no
/// SDS that it knows of is in maintenance but by us.
pub(super) fn is_protected(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(snapshot) = ask.known(holds) else { return };
    let Some((id, own)) = own(ask, holds) else { return };
    if !own.maintenance.is(Maintenance::None) {
        holds.push(Reason::NotInMaintenance { sds: name(own), state: own.maintenance.word().into() });
    }
    if let Some(reason) = ailment(own) {
        holds.push(reason);
    }
    data(ask, snapshot, &ask.facts.pools_of(id), holds);
}

/// Every server and all data of the system.
pub(super) fn all_is_well(ask: &Ask<'_>, holds: &mut Holds) {
    let Some(snapshot) = ask.known(holds) else { return };
    for sds in snapshot.sds.as_ref().map(|part| part.value.as_slice()).unwrap_or_default() {
        if let Some(reason) = ailment(sds) {
            holds.push(reason);
        }
        if !sds.maintenance.is(Maintenance::None) {
            holds.push(Reason::MaintenanceElsewhere { sds: name(sds) });
        }
    }
    let pools = snapshot.pools.iter().flat_map(|part| part.iter().map(|pool| pool.id.clone())).collect();
    data(ask, snapshot, &pools, holds);
}

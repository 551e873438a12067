//! Which alerts a system raises, since when, and the events that go with them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::World;
use super::object::{DeviceState, DomainState, Id, Membership, Pool};

/// Events and cleared alerts are kept up to this number, as a 4.x system
/// keeps them for a while.
const KEPT: usize = 10_000;
/// A rebuild without progress for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum AlertKind {
    MdmNotClustered,
    SdsDisconnected,
    SdcDisconnected,
    DeviceFailed,
    PoolDegraded,
    PoolFailed,
    PoolUnreachable,
    PoolHigh,
    PoolCritical,
    PoolUnbalanced,
    ForwardStuck,
    DomainInactive,
    DevicePending,
    TrialLicense,
}

/// How bad it is, in the words of 4.x; older releases know the last three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Severity {
    Information,
    Minor,
    Major,
    Critical,
}

impl AlertKind {
    /// `alertType` up to 3.6, `name` from 4.0 on.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MdmNotClustered => "MDM_NOT_CLUSTERED",
            Self::SdsDisconnected => "SDS_DISCONNECTED",
            Self::SdcDisconnected => "SDC_DISCONNECTED",
            Self::DeviceFailed => "DEVICE_FAILED",
            Self::PoolDegraded => "STORAGE_POOL_HAS_DEGRADED_CAPACITY",
            Self::PoolFailed => "STORAGE_POOL_HAS_FAILED_CAPACITY",
            Self::PoolUnreachable => "STORAGE_POOL_HAS_UNREACHABLE_CAPACITY",
            Self::PoolHigh => "CAPACITY_UTILIZATION_ABOVE_HIGH_THRESHOLD",
            Self::PoolCritical => "CAPACITY_UTILIZATION_ABOVE_CRITICAL_THRESHOLD",
            Self::PoolUnbalanced => "STORAGE_POOL_UNBALANCED",
            Self::ForwardStuck => "FWD_REBUILD_STUCK",
            Self::DomainInactive => "PD_INACTIVE",
            Self::DevicePending => "DEVICE_PENDING_ACTIVATION",
            Self::TrialLicense => "TRIAL_LICENSE_USED",
        }
    }

    /// How bad it is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::MdmNotClustered | Self::PoolFailed | Self::PoolCritical | Self::DomainInactive => Severity::Critical,
            Self::SdsDisconnected | Self::DeviceFailed | Self::PoolDegraded | Self::PoolHigh | Self::ForwardStuck => {
                Severity::Major
            }
            Self::SdcDisconnected
            | Self::PoolUnreachable
            | Self::PoolUnbalanced
            | Self::DevicePending
            | Self::TrialLicense => Severity::Minor,
        }
    }

    /// The number 4.x gives it. Only that of the trial licence is known; the
    /// others are made up in the same shape.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TrialLicense => "20300003",
            Self::MdmNotClustered => "20400001",
            Self::SdsDisconnected => "20400002",
            Self::SdcDisconnected => "20400003",
            Self::DeviceFailed => "20400004",
            Self::PoolDegraded => "20400005",
            Self::PoolFailed => "20400006",
            Self::PoolUnreachable => "20400007",
            Self::PoolHigh => "20400008",
            Self::PoolCritical => "20400009",
            Self::PoolUnbalanced => "20400010",
            Self::ForwardStuck => "20400011",
            Self::DomainInactive => "20400012",
            Self::DevicePending => "20400013",
        }
    }
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Subject {
    /// The type as `/api` names it.
    pub kind: &'static str,
    /// The type as `/rest/v1` names it.
    pub resource: &'static str,
    pub id: Id,
    pub name: String,
}

/// An alert.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Alert {
    pub id: u64,
    pub uuid: String,
    pub kind: AlertKind,
    pub subject: Subject,
    pub raised: DateTime<Utc>,
    pub observed: DateTime<Utc>,
    pub cleared: Option<DateTime<Utc>>,
    /// When somebody said that it is seen, and who (4.x).
    pub acknowledged: Option<(DateTime<Utc>, String)>,
    /// Events of raising and clearing.
    pub events: Vec<u64>,
}

/// Something that happened.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Event {
    pub id: u64,
    pub at: DateTime<Utc>,
    pub kind: AlertKind,
    pub subject: Subject,
    /// Whether it began or ended.
    pub raised: bool,
}

/// All alerts and events of a system.
#[derive(Clone, Debug)]
pub(super) struct Alarms {
    up: BTreeMap<(AlertKind, Id), Alert>,
    cleared: VecDeque<Alert>,
    events: VecDeque<Event>,
    rng: ChaCha8Rng,
    /// Whether one was taken down by hand that may still hold.
    cleared_by_hand: bool,
}

impl Alarms {
    pub(super) fn new(seed: u64) -> Self {
        // Apart from the world's own chance, so that alerts do not change the load.
        let rng = ChaCha8Rng::seed_from_u64(!seed);
        Self { up: BTreeMap::new(), cleared: VecDeque::new(), events: VecDeque::new(), rng, cleared_by_hand: false }
    }

    pub(super) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.cleared.iter().chain(self.up.values())
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// Marks an alert as seen, or as not seen. `false` when there is none of this id.
    pub(super) fn acknowledge(&mut self, id: u64, by: Option<String>, now: DateTime<Utc>) -> bool {
        let found = self.cleared.iter_mut().chain(self.up.values_mut()).find(|alert| alert.id == id);
        let Some(alert) = found else { return false };
        alert.acknowledged = by.map(|by| (now, by));
        true
    }

    /// Takes an alert down by hand. What still holds comes up again as a new one.
    pub(super) fn clear(&mut self, id: u64, now: DateTime<Utc>) -> bool {
        let Some(key) = self.up.iter().find(|(_, alert)| alert.id == id).map(|(key, _)| *key) else { return false };
        let Some(mut alert) = self.up.remove(&key) else { return false };
        let event = self.happened(alert.kind, &alert.subject, now, false);
        alert.events.push(event);
        alert.cleared = Some(now);
        self.cleared.push_back(alert);
        self.cleared_by_hand = true;
        true
    }

    /// What was wrong is wrong still, and nothing else is. `false` when that is to be looked at.
    pub(super) fn go_on(&mut self, now: DateTime<Utc>) -> bool {
        self.up.values_mut().for_each(|alert| alert.observed = now);
        !self.cleared_by_hand
    }

    /// Whether something wrong was cleared by hand, so that it is to come up again.
    pub(super) const fn is_behind(&self) -> bool {
        self.cleared_by_hand
    }

    pub(super) fn is_up(&self, key: &(AlertKind, Id)) -> bool {
        self.up.contains_key(key)
    }

    /// What is wrong now; of what was not wrong before, also the subjects, in the same order.
    pub(super) fn update(&mut self, wanted: &[(AlertKind, Id)], new: Vec<Subject>, now: DateTime<Utc>) {
        self.cleared_by_hand = false;
        let mut new = new.into_iter();
        for key in wanted {
            if let Some(alert) = self.up.get_mut(key) {
                alert.observed = now;
            } else if let Some(subject) = new.next() {
                let alert = self.raise(key.0, subject, now);
                self.up.insert(*key, alert);
            }
        }
        if self.up.len() == wanted.len() {
            return;
        }
        let gone: Vec<(AlertKind, Id)> = self.up.keys().filter(|key| !wanted.contains(key)).copied().collect();
        for mut alert in gone.iter().filter_map(|key| self.up.remove(key)).collect::<Vec<_>>() {
            let event = self.happened(alert.kind, &alert.subject, now, false);
            alert.events.push(event);
            alert.cleared = Some(now);
            self.cleared.push_back(alert);
            if self.cleared.len() > KEPT {
                self.cleared.pop_front();
            }
        }
    }

    fn raise(&mut self, kind: AlertKind, subject: Subject, now: DateTime<Utc>) -> Alert {
        let event = self.happened(kind, &subject, now, true);
        let uuid: u128 = self.rng.random();
        let hex = format!("{uuid:032x}");
        let uuid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
        // Sixteen decimal digits.
        let id = self.rng.random_range(1_000_000_000_000_000..10_000_000_000_000_000);
        Alert {
            id,
            uuid,
            kind,
            subject,
            raised: now,
            observed: now,
            cleared: None,
            acknowledged: None,
            events: vec![event],
        }
    }

    fn happened(&mut self, kind: AlertKind, subject: &Subject, at: DateTime<Utc>, raised: bool) -> u64 {
        let id = self.rng.random();
        self.events.push_back(Event { id, at, kind, subject: subject.clone(), raised });
        if self.events.len() > KEPT {
            self.events.pop_front();
        }
        id
    }
}

/// What is wrong at this moment, and with what.
pub(super) fn wanted(world: &World) -> Vec<(AlertKind, Id)> {
    let mut found = Vec::new();
    if !world.system.is_licensed {
        found.push((AlertKind::TrialLicense, world.system.id));
    }
    if !world.mdm.normal(world.now) {
        found.push((AlertKind::MdmNotClustered, world.system.id));
    }
    let away = world.sds.values().filter(|sds| matches!(sds.membership, Membership::Decoupled(_)));
    found.extend(away.map(|sds| (AlertKind::SdsDisconnected, sds.id)));
    let inactive = world.domains.values().filter(|domain| domain.state == DomainState::Inactive);
    found.extend(inactive.map(|domain| (AlertKind::DomainInactive, domain.id)));
    let tested = world.devices.values().filter(|device| device.state == DeviceState::Tested);
    found.extend(tested.map(|device| (AlertKind::DevicePending, device.id)));
    let failed = world.devices.values().filter(|device| device.failed);
    found.extend(failed.map(|device| (AlertKind::DeviceFailed, device.id)));
    let cut = world.sdcs.values().filter(|sdc| !sdc.connected);
    found.extend(cut.map(|sdc| (AlertKind::SdcDisconnected, sdc.id)));
    for pool in world.pools.values() {
        found.extend(of_pool(pool).into_iter().filter(|(_, is)| *is).map(|(kind, _)| (kind, pool.id)));
    }
    found
}

/// What is wrong with a pool, and what is not.
pub(super) fn of_pool(pool: &Pool) -> [(AlertKind, bool); 7] {
    let figures = &pool.figures;
    let usable = figures.limit - figures.spare;
    let percent = figures.in_use * 100 / usable.max(1);
    [
        (AlertKind::PoolDegraded, figures.protection.degraded_failed > 0),
        (AlertKind::PoolFailed, figures.protection.failed > 0),
        (AlertKind::PoolUnreachable, figures.unreachable_unused > 0),
        (AlertKind::PoolHigh, (pool.high_percent..pool.critical_percent).contains(&percent)),
        (AlertKind::PoolCritical, percent >= pool.critical_percent && figures.limit > 0),
        (AlertKind::PoolUnbalanced, figures.moving.rebalance.left_kb > 0),
        (AlertKind::ForwardStuck, pool.stuck_for >= STUCK_AFTER),
    ]
}

/// What an alert is about, as it is named.
pub(super) fn subject(world: &World, (kind, id): (AlertKind, Id)) -> Subject {
    let (kind, resource, name) = match kind {
        AlertKind::TrialLicense | AlertKind::MdmNotClustered => {
            ("System", "mdm-cluster-config", Some(world.system.name.clone()))
        }
        AlertKind::SdsDisconnected => ("Sds", "sdses", world.sds.get(&id).map(|sds| sds.name.clone())),
        AlertKind::DomainInactive => {
            ("ProtectionDomain", "protection-domains", world.domains.get(&id).map(|domain| domain.name.clone()))
        }
        AlertKind::DevicePending | AlertKind::DeviceFailed => {
            ("Device", "devices", world.devices.get(&id).map(|device| device.name.clone()))
        }
        AlertKind::SdcDisconnected => {
            let name = |sdc: &super::Sdc| sdc.name.clone().unwrap_or_else(|| sdc.ip.clone());
            ("Sdc", "sdcs", world.sdcs.get(&id).map(name))
        }
        AlertKind::PoolDegraded
        | AlertKind::PoolFailed
        | AlertKind::PoolUnreachable
        | AlertKind::PoolHigh
        | AlertKind::PoolCritical
        | AlertKind::PoolUnbalanced
        | AlertKind::ForwardStuck => {
            ("StoragePool", "storage-pools", world.pools.get(&id).map(|pool| pool.name.clone()))
        }
    };
    Subject { kind, resource, id, name: name.unwrap_or_default() }
}

//! The truth: what a simulated ScaleIO system holds and how it changes with
//! time. No clock, no I/O, and no chance but the seed: the same layout, seed
//! and commands give the same system, however time is cut into pieces.
//!
//! Time goes in steps of a second. Users' I/O is counted in windows of five
//! seconds and grows thin volumes; devices and SDSs fail by command; copies
//! that were lost are rebuilt at a finite rate, copies that came back are
//! brought up to date, and uneven pools are evened out.
//!
//! ```text
//!            fail                 10 s                   all moved
//!  serving ────────► degraded ──────────► forward rebuild ────────► protected
//!     ▲                 │ return                                        │ return or replace
//!     │                 ▼                                               ▼
//!     └───────── backward rebuild                                   rebalance
//! ```

mod alert;
mod build;
mod code;
mod command;
mod figures;
mod layout;
mod load;
mod mdm;
mod moving;
mod object;
mod policy;
mod setting;
mod storage;
mod upgrade;
mod user;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand_chacha::ChaCha8Rng;

pub use alert::{Alert, AlertKind, Event, Severity, Subject};
pub use code::{Code, Proof};
pub use command::{
    AccelerationCommand, ClusterCommand, Command, DeviceCommand, DomainCommand, FaultSetCommand, GroupCommand,
    MaintenanceCommand, MdmMembership, NetworkLimits, NewDevice, NewGroup, NewMdm, NewPool, NewSds, NewSnapshot,
    NewVolume, PairCommand, PeerCommand, PolicyCommand, PoolCommand, Refusal, RemoteSystemCommand, RemoveMode, Reply,
    Scope, SdcCommand, SdsCommand, SdtCommand, Test, UpgradeCommand, UserCommand, VolumeCommand, VolumeRequest,
};
pub use figures::{DeviceFigures, Movement, Moving, PoolFigures, Protection};
pub use layout::Layout;
pub use load::{Io, Profile, Traffic, WINDOW};
pub use mdm::{Mdm, MdmCluster, MdmRole, Seated};
pub use object::{
    AccelerationPool, Access, Address, ConsistencyGroup, Device, DeviceState, Domain, DomainState, FaultSet, Id,
    Limits, Maintenance, Membership, Migration, Mode, NvmeHost, PeerMdm, Pool, RemoteSystem, ReplicationPair, Sdc, Sdr,
    Sds, Sdt, Setting, Settings, SnapshotPolicy, System, Taken, VTree, Volume, VolumeKind,
};
pub use upgrade::{Component, Upgrade};
pub use user::{Right, User, UserRole};

use super::release::Release;
use alert::Alarms;
use figures::Copies;
use object::Memo;
use storage::{REBUILD_AFTER, Shelf};

/// One step of time. Everything that happens falls on a step.
const STEP: Duration = Duration::from_secs(1);
/// How long an SDS that came back waits before its devices serve.
const JOINING: Duration = Duration::from_secs(3);
/// How long a domain takes to stop or start, and an SDS to enter or leave
/// maintenance when no data has to move.
const TRANSITION: Duration = Duration::from_secs(2);

/// Counters since the MDM started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Counters {
    pub sds_reconnections: u64,
    pub sdc_disconnections: u64,
    pub device_errors: u64,
}

/// What is known of a system of which a step of the pools changes nothing.
#[derive(Clone, Copy)]
struct Settled {
    /// As long as this is its mark, that is so.
    mark: u64,
    /// When the next of all that waits for its time is due, windows aside; none: something goes on with every step.
    due: Option<Duration>,
}

/// What users of a pool did in a window.
struct Used {
    pool: Id,
    serves: bool,
    pressure: f64,
    traffic: Traffic,
    /// By how much which volumes grow.
    growth: Vec<(Id, u64)>,
}

/// A simulated system.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct World {
    pub release: Release,
    pub system: System,
    pub mdm: MdmCluster,
    pub domains: BTreeMap<Id, Domain>,
    pub fault_sets: BTreeMap<Id, FaultSet>,
    pub pools: BTreeMap<Id, Pool>,
    pub sds: BTreeMap<Id, Sds>,
    pub devices: BTreeMap<Id, Device>,
    pub sdcs: BTreeMap<Id, Sdc>,
    pub volumes: BTreeMap<Id, Volume>,
    pub vtrees: BTreeMap<Id, VTree>,
    pub policies: BTreeMap<Id, SnapshotPolicy>,
    pub acceleration_pools: BTreeMap<Id, AccelerationPool>,
    pub peers: BTreeMap<Id, PeerMdm>,
    pub remote_systems: BTreeMap<Id, RemoteSystem>,
    pub users: BTreeMap<Id, User>,
    pub sdrs: BTreeMap<Id, Sdr>,
    pub groups: BTreeMap<Id, ConsistencyGroup>,
    pub pairs: BTreeMap<Id, ReplicationPair>,
    pub sdts: BTreeMap<Id, Sdt>,
    pub hosts: BTreeMap<Id, NvmeHost>,
    /// What people set, where it is not as it was made.
    pub settings: BTreeMap<Id, Settings>,
    pub upgrade: Upgrade,
    /// Virtual addresses of the MDM cluster.
    pub cluster_ips: Vec<String>,
    pub counters: Counters,
    /// Size of a device that is added.
    device_kb: u64,
    alarms: Alarms,
    epoch: DateTime<Utc>,
    now: Duration,
    rest: Duration,
    load: f64,
    move_kib_per_second: u64,
    iops_per_volume: f64,
    rng: ChaCha8Rng,
    settled: Memo<Option<Settled>>,
}

impl World {
    /// A new system, healthy and balanced, at its first moment.
    pub fn new(layout: &Layout, release: Release, seed: u64) -> Self {
        let mut world = build::build(layout, release, seed);
        world.close_windows(|_| ());
        world.draw_up();
        world.raise_alerts();
        world
    }

    /// Says when the world began by the wall clock.
    pub fn set_epoch(&mut self, epoch: DateTime<Utc>) {
        self.epoch = epoch;
    }

    /// Time since the world began.
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// A moment of the world by the wall clock.
    pub fn wall(&self, at: Duration) -> DateTime<Utc> {
        self.epoch + TimeDelta::from_std(at).unwrap_or(TimeDelta::MAX)
    }

    /// Lets time pass. What is less than a step is kept for the next call.
    pub fn advance(&mut self, dt: Duration) {
        self.rest += dt;
        if self.rest < STEP {
            return;
        }
        let mut settled = self.is_settled();
        while self.rest >= STEP {
            let idle = if settled { self.idle_steps() } else { 0 };
            let steps = idle.min(self.rest.as_secs() / STEP.as_secs());
            if steps > 0 {
                let idle = Duration::from_secs(steps * STEP.as_secs());
                self.rest -= idle;
                self.now += idle;
                let wall = self.wall(self.now);
                self.alarms.go_on(wall);
            } else {
                self.rest -= STEP;
                self.now += STEP;
                let due = self.settled.0.and_then(|settled| settled.due);
                self.step(settled && due.is_some_and(|due| due > self.now));
                settled = self.settled.0.is_some();
            }
        }
    }

    /// How many steps from here on would change nothing: a step of the pools would not, and nothing else is due.
    fn idle_steps(&self) -> u64 {
        let now = self.now;
        let Some(due) = self.settled.0.and_then(|settled| settled.due).filter(|due| *due > now) else { return 0 };
        if self.alarms.is_behind() {
            return 0;
        }
        let window = WINDOW.as_secs();
        let due = due.min(Duration::from_secs((now.as_secs() / window + 1) * window));
        // The step that reaches it has to be taken.
        (due - now).as_secs().div_ceil(STEP.as_secs()) - 1
    }

    /// When the next of all that waits for its time is due, windows aside; none: something goes on with every step.
    fn next_due(&self) -> Option<Duration> {
        let now = self.now;
        let goes_on = self.mdm.master().is_none()
            || self.sds.values().any(|sds| sds.removing)
            || self.devices.values().any(|device| device.state == DeviceState::Removing)
            || self.vtrees.values().any(|tree| tree.migration.is_some_and(|migration| !migration.paused));
        if goes_on {
            return None;
        }
        let mut due = Duration::MAX;
        let mut at = |moment: Duration| due = due.min(moment);
        for sds in self.sds.values() {
            match sds.membership {
                Membership::JoinPending(until) => at(until),
                Membership::Decoupled(since) if now < since + REBUILD_AFTER => at(since + REBUILD_AFTER),
                Membership::Joined | Membership::Decoupled(_) => {}
            }
            if matches!(sds.maintenance, Maintenance::Entering | Maintenance::Exiting) {
                at(sds.maintenance_at);
            }
        }
        for domain in self.domains.values() {
            if let DomainState::ActivePending(moment) | DomainState::InactivePending(moment) = domain.state {
                at(moment);
            }
        }
        for device in self.devices.values() {
            if let DeviceState::Testing(until, _) = device.state {
                at(until);
            }
        }
        self.mdm.members.iter().filter(|mdm| mdm.in_sync_at > now).for_each(|mdm| at(mdm.in_sync_at));
        if let Upgrade::PostProcessing { until } = self.upgrade {
            at(until);
        }
        self.policies.values().filter(|policy| !policy.paused).for_each(|policy| at(policy.next));
        Some(due)
    }

    /// Whether the MDM answers at this moment.
    pub fn answers(&self) -> bool {
        self.mdm.answers(self.now)
    }

    /// Alerts that are up, and cleared ones that a 4.x system still lists.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alarms.alerts()
    }

    /// What happened, oldest first (4.x).
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.alarms.events()
    }

    /// Factor on all users' load.
    pub const fn load(&self) -> f64 {
        self.load
    }

    /// Devices of a pool that hold copies and serve them.
    pub fn serves(&self, device: &Device) -> bool {
        !device.failed && device.state.active() && self.sds.get(&device.sds).is_some_and(Sds::serves)
    }

    /// One step. When it is calm, nothing is due in it but the end of a window.
    fn step(&mut self, is_calm: bool) {
        let wrong = self.wrong();
        if !is_calm {
            self.carry_on();
        }
        let now = self.now;
        if now.as_secs().is_multiple_of(WINDOW.as_secs()) {
            self.close_windows(|shelf| shelf.step(now, STEP));
        } else if !is_calm && !self.is_settled() {
            self.each_pool(|shelf| shelf.step(now, STEP));
        }
        let same = self.settled.0.filter(|_| is_calm && wrong == self.wrong()).map(|before| before.mark);
        let mark = self.pools.values().all(|pool| pool.settled.0).then(|| same.unwrap_or_else(|| self.mark()));
        let wall = self.wall(now);
        let before = self.settled.0.filter(|before| mark == Some(before.mark));
        if before.is_none() || !self.alarms.go_on(wall) {
            self.raise_alerts();
        }
        // What is due stays due as long as nothing else changes.
        let due = || before.and_then(|before| before.due).filter(|due| *due > now).or_else(|| self.next_due());
        self.settled.0 = mark.map(|mark| Settled { mark, due: due() });
    }

    /// What is wrong with the pools, as a number.
    fn wrong(&self) -> u64 {
        let of = |pool: &Pool| alert::of_pool(pool).into_iter().fold(0, |all, (_, is)| all << 1 | u64::from(is));
        self.pools.values().map(of).fold(1, |all, wrong: u64| all.wrapping_mul(0x517c_c1b7_2722_0a95) ^ wrong)
    }

    /// Everything that waits for its time, or goes on with it, the data of pools aside.
    fn carry_on(&mut self) {
        for sds in self.sds.values_mut() {
            if let Membership::JoinPending(until) = sds.membership
                && self.now >= until
            {
                sds.membership = Membership::Joined;
            }
        }
        self.mdm.step(self.now);
        self.carry_on_domains();
        self.carry_on_devices();
        self.carry_on_maintenance();
        self.carry_on_upgrade();
        self.migrate(STEP.as_secs());
        self.carry_on_policies();
    }

    /// Whether a step of the pools would change nothing.
    fn is_settled(&self) -> bool {
        self.pools.values().all(|pool| pool.settled.0)
            && self.settled.0.is_some_and(|settled| settled.mark == self.mark())
    }

    /// A number that changes with everything that pools and alerts depend on, the copies on devices aside: whoever changes
    /// those says so.
    fn mark(&self) -> u64 {
        let mut mark = 0_u64;
        let mut note = |value: u64| mark = (mark.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
        for device in self.devices.values() {
            let state = match device.state {
                DeviceState::Normal => 0,
                DeviceState::Testing(..) => 1,
                DeviceState::Tested => 2,
                DeviceState::Removing => 3,
            };
            note(device.capacity_kb ^ (state << 60) ^ (u64::from(device.failed) << 63));
        }
        for sds in self.sds.values() {
            // How long it is away matters once.
            let given_up = matches!(sds.membership, Membership::Decoupled(since) if self.now >= since + REBUILD_AFTER);
            let membership = match sds.membership {
                Membership::Joined => 0,
                Membership::JoinPending(_) => 1,
                Membership::Decoupled(_) => 2 + u64::from(given_up),
            };
            note(membership | (sds.maintenance as u64) << 4 | (sds.mode as u64) << 8);
        }
        for pool in self.pools.values() {
            let flags = [pool.rebuild_enabled, pool.rebalance_enabled, pool.balancing];
            note(flags.into_iter().fold(pool.spare_percent, |all, flag| all << 1 | u64::from(flag)));
        }
        note(self.wrong());
        for domain in self.domains.values() {
            note(u64::from(domain.state == DomainState::Inactive));
        }
        note(self.sdcs.values().fold(1, |all, sdc| all.rotate_left(1) ^ u64::from(sdc.connected)));
        note(u64::from(self.mdm.normal(self.now)));
        mark
    }

    fn carry_on_domains(&mut self) {
        for domain in self.domains.values_mut() {
            domain.state = match domain.state {
                DomainState::ActivePending(at) if self.now >= at => DomainState::Active,
                DomainState::InactivePending(at) if self.now >= at => DomainState::Inactive,
                state => state,
            };
        }
    }

    /// Tests end, and what is empty and shall go, goes.
    fn carry_on_devices(&mut self) {
        let now = self.now;
        for device in self.devices.values_mut() {
            if let DeviceState::Testing(until, activate) = device.state
                && now >= until
            {
                device.state = if activate { DeviceState::Normal } else { DeviceState::Tested };
            }
        }
        let empty: Vec<Id> = self
            .devices
            .values()
            .filter(|at| at.state == DeviceState::Removing && at.used_kb + at.temp_kb == 0)
            .map(|at| at.id)
            .collect();
        for id in empty {
            let Some((pool, kb)) = self.devices.get(&id).map(|device| (device.pool, device.capacity_kb)) else {
                continue;
            };
            // Copies that wait for their place need what the rest has.
            let fits = self.pools.get(&pool).is_none_or(|pool| pool.figures.in_use + kb <= pool.figures.limit);
            if fits {
                self.devices.remove(&id);
                self.settings.remove(&id);
                self.pool_shelf(pool, |shelf| shelf.draw_up());
            }
        }
        let empty: Vec<Id> = self
            .sds
            .values()
            .filter(|sds| sds.removing && !self.devices.values().any(|at| at.sds == sds.id && at.state.active()))
            .map(|sds| sds.id)
            .collect();
        for id in empty {
            self.devices.retain(|_, device| device.sds != id);
            self.settings.remove(&id);
            self.sds.remove(&id);
        }
    }

    /// Ends a window of users' I/O, and lets something more be done with each pool.
    fn close_windows(&mut self, mut then: impl FnMut(&mut Shelf<'_>)) {
        let mut used: Vec<Used> = self
            .pools
            .values()
            .map(|pool| {
                let moving = &pool.figures.moving;
                let busy = moving.forward.left_kb + moving.backward.left_kb > 0;
                let domain = self.domains.get(&pool.domain);
                Used {
                    pool: pool.id,
                    serves: domain.is_none_or(|domain| domain.state == DomainState::Active),
                    pressure: if busy { 1.6 } else { 1.0 },
                    traffic: Traffic::default(),
                    growth: Vec::new(),
                }
            })
            .collect();
        let mut clients: Vec<(Id, bool, Traffic)> =
            self.sdcs.values().map(|sdc| (sdc.id, sdc.connected, Traffic::default())).collect();
        for volume in self.volumes.values_mut() {
            let pool = used.binary_search_by_key(&volume.pool, |used| used.pool).ok();
            let Some(pool) = pool.and_then(|at| used.get_mut(at)) else { continue };
            let reached = |id: &Id| clients.binary_search_by_key(id, |(id, _, _)| *id).ok().filter(|at| clients[*at].1);
            let reachable = volume.mapped.iter().filter_map(reached).count();
            volume.traffic = if reachable == 0 || !pool.serves {
                Traffic::default()
            } else {
                volume.profile.window(self.now, self.load, pool.pressure, &mut self.rng)
            };
            pool.traffic += volume.traffic;
            let part = if reachable > 1 { volume.traffic.part(1, reachable as u64) } else { volume.traffic };
            for id in &volume.mapped {
                if let Ok(at) = clients.binary_search_by_key(id, |(id, _, _)| *id)
                    && clients[at].1
                {
                    clients[at].2 += part;
                }
            }
            if volume.kind != VolumeKind::Thick {
                let grown = (volume.traffic.write.kb as f64 * volume.profile.growth) as u64;
                let grown = grown.min(volume.size_kb - volume.allocated_kb);
                if grown > 0 {
                    pool.growth.push((volume.id, grown));
                }
            }
        }
        for (sdc, (_, _, traffic)) in self.sdcs.values_mut().zip(clients) {
            sdc.traffic = traffic;
        }
        // Shelves are in the order of their pools.
        let mut each = used.iter_mut();
        self.each_pool(|shelf| {
            if let Some(used) = each.next() {
                shelf.close_window(used.traffic, &mut used.growth);
            }
            then(shelf);
        });
        for (id, kb) in used.into_iter().flat_map(|used| used.growth) {
            if let Some(volume) = self.volumes.get_mut(&id) {
                volume.allocated_kb += kb;
            }
        }
        self.sum_up_volumes();
        for group in self.groups.values_mut() {
            group.lag_ms = (group.lag_ms * 7 + 800 + u64::from(rand::Rng::random_range(&mut self.rng, 0..400_u32))) / 8;
        }
    }

    /// What users read from a device and wrote to it in the last window.
    pub fn users_of(&self, device: &Device) -> (Io, Io) {
        let pool = self.pools.get(&device.pool);
        let of = |pool: &Pool| figures::device_traffic(pool.traffic, device.figures.readable, pool.figures.readable);
        pool.map(of).unwrap_or_default()
    }

    /// What volumes of each kind take of their pools.
    fn sum_up_volumes(&mut self) {
        for pool in self.pools.values_mut() {
            let figures = &mut pool.figures;
            (figures.thick_in_use, figures.thin_in_use, figures.snapshots_in_use, figures.thin_allocated) =
                (0, 0, 0, 0);
        }
        for volume in self.volumes.values() {
            let Some(pool) = self.pools.get_mut(&volume.pool) else { continue };
            let raw = 2 * volume.allocated_kb;
            match volume.kind {
                VolumeKind::Thick => pool.figures.thick_in_use += raw,
                VolumeKind::Thin => {
                    pool.figures.thin_in_use += raw;
                    pool.figures.thin_allocated += 2 * volume.size_kb;
                }
                VolumeKind::Snapshot => pool.figures.snapshots_in_use += raw,
            }
        }
    }

    fn draw_up(&mut self) {
        self.sum_up_volumes();
        self.each_pool(|shelf| shelf.draw_up());
    }

    fn each_pool(&mut self, mut work: impl FnMut(&mut Shelf<'_>)) {
        let (sds, rate) = (&self.sds, self.move_kib_per_second);
        if let (1, Some(pool)) = (self.pools.len(), self.pools.values_mut().next()) {
            let id = pool.id;
            return Shelf::of(pool, self.devices.values_mut().filter(|device| device.pool == id), sds, rate, work);
        }
        let mut shelves: BTreeMap<Id, Vec<&mut Device>> = BTreeMap::new();
        for device in self.devices.values_mut() {
            shelves.entry(device.pool).or_default().push(device);
        }
        for pool in self.pools.values_mut() {
            let devices = shelves.remove(&pool.id).unwrap_or_default();
            Shelf::of(pool, devices.into_iter(), sds, rate, &mut work);
        }
    }

    fn pool_shelf<R>(&mut self, pool: Id, work: impl FnOnce(&mut Shelf<'_>) -> R) -> Option<R> {
        let devices = self.devices.values_mut().filter(|device| device.pool == pool);
        let pool = self.pools.get_mut(&pool)?;
        Some(Shelf::of(pool, devices, &self.sds, self.move_kib_per_second, work))
    }

    /// How the data of each device is protected.
    pub fn protection_by_device(&self) -> BTreeMap<Id, Protection> {
        let mut pools: BTreeMap<Id, (Vec<Id>, Vec<Copies>)> = BTreeMap::new();
        for device in self.devices.values() {
            let Some(server) = self.sds.get(&device.sds) else { continue };
            let (ids, copies) = pools.entry(device.pool).or_default();
            ids.push(device.id);
            copies.push(Copies::of(device, server));
        }
        let none = BTreeMap::new();
        let of_pool = |(pool, (ids, copies)): (Id, (Vec<Id>, Vec<Copies>))| {
            let homeless = self.pools.get(&pool).map_or(&none, |pool| &pool.homeless);
            ids.into_iter().zip(figures::protection_by_device(&copies, homeless))
        };
        pools.into_iter().flat_map(of_pool).collect()
    }

    fn raise_alerts(&mut self) {
        let wanted = alert::wanted(self);
        let new: Vec<_> =
            wanted.iter().filter(|key| !self.alarms.is_up(key)).map(|key| alert::subject(self, *key)).collect();
        let wall = self.wall(self.now);
        self.alarms.update(&wanted, new, wall);
    }
}

#[cfg(test)]
mod tests;

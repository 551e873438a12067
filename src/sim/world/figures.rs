//! What the capacity of pools and devices adds up to at one moment.
//!
//! Everything here follows from which copies lie where and which devices
//! serve. The partner of a copy lies in another fault unit, spread evenly over
//! all of them; from that follows how much data lost one copy and how much lost
//! both. Which two copies belong together is not kept: when devices of two
//! fault units are taken out for good, what they shared shrinks with the
//! rebuild of the rest, where a real system would keep it as failed.
//!
//! Sums are exact: the protection states of a pool add up to what is in
//! use, those of its devices to those of the pool.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::load::{Io, Traffic};
use super::object::{Device, DeviceState, Id, Maintenance, Sds};

/// Data in each state of protection; the sum is what is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Protection {
    pub protected: u64,
    pub degraded_healthy: u64,
    pub degraded_failed: u64,
    pub failed: u64,
    pub in_maintenance: u64,
}

impl Protection {
    /// All of it.
    pub const fn sum(&self) -> u64 {
        self.protected + self.degraded_healthy + self.degraded_failed + self.failed + self.in_maintenance
    }
}

impl AddAssign for Protection {
    fn add_assign(&mut self, other: Self) {
        self.protected += other.protected;
        self.degraded_healthy += other.degraded_healthy;
        self.degraded_failed += other.degraded_failed;
        self.failed += other.failed;
        self.in_maintenance += other.in_maintenance;
    }
}

/// A kind of data movement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    /// Still to do, KiB.
    pub left_kb: u64,
    /// Of that, what is in work.
    pub active_kb: u64,
    /// Moved in the last window.
    pub window: Io,
    /// Moved since the window began.
    pub(super) since_kb: u64,
}

impl Movement {
    /// Size of a piece that is moved.
    const PIECE_KB: u64 = 1024;

    /// What waits.
    pub const fn pending_kb(&self) -> u64 {
        self.left_kb - self.active_kb
    }

    pub(super) fn set(&mut self, left_kb: u64, rate_kb: u64) {
        self.left_kb = left_kb;
        self.active_kb = left_kb.min(rate_kb);
    }

    pub(super) fn close_window(&mut self) {
        self.window = Io::moved(std::mem::take(&mut self.since_kb), Self::PIECE_KB);
    }
}

impl AddAssign for Movement {
    fn add_assign(&mut self, other: Self) {
        self.left_kb += other.left_kb;
        self.active_kb += other.active_kb;
        self.window += other.window;
        self.since_kb += other.since_kb;
    }
}

/// The movements of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moving {
    /// New copies for those that are lost.
    pub forward: Movement,
    /// Missed writes to copies that came back.
    pub backward: Movement,
    /// Evening out.
    pub rebalance: Movement,
    /// Away from what is being removed.
    pub normal: Movement,
    /// Third copies, made before protected maintenance.
    pub enter: Movement,
    /// Missed writes, copied back after protected maintenance.
    pub exit: Movement,
}

impl Moving {
    pub(super) fn close_window(&mut self) {
        for movement in self.each_mut() {
            movement.close_window();
        }
    }

    /// Whether anything moved in this window or the last one.
    pub(super) fn has_moved(&self) -> bool {
        self.each().iter().any(|movement| movement.since_kb > 0 || movement.window != Io::default())
    }

    /// Every movement.
    pub const fn each(&self) -> [&Movement; 6] {
        [&self.forward, &self.backward, &self.rebalance, &self.normal, &self.enter, &self.exit]
    }

    const fn each_mut(&mut self) -> [&mut Movement; 6] {
        [&mut self.forward, &mut self.backward, &mut self.rebalance, &mut self.normal, &mut self.enter, &mut self.exit]
    }
}

impl AddAssign for Moving {
    fn add_assign(&mut self, other: Self) {
        for (own, other) in self.each_mut().into_iter().zip(other.each()) {
            *own += *other;
        }
    }
}

/// Capacity of a pool, KiB, both copies counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PoolFigures {
    pub limit: u64,
    pub in_use: u64,
    pub spare: u64,
    pub unused: u64,
    pub unreachable_unused: u64,
    pub thick_in_use: u64,
    pub thin_in_use: u64,
    pub snapshots_in_use: u64,
    /// Address space of thin volumes.
    pub thin_allocated: u64,
    /// Third copies of data in protected maintenance.
    pub temporary: u64,
    /// What waits on devices that are being removed.
    pub removing: u64,
    pub protection: Protection,
    pub moving: Moving,
    /// Copies that could be read when the last window was closed.
    pub(super) readable: u64,
}

/// Capacity and data movement of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct DeviceFigures {
    /// Of the copies of its pool that could be read when the last window was closed, those before its own, and with them.
    pub(super) readable: (u64, u64),
    /// Rebuild and rebalance, in and out.
    pub moved_in: Moving,
    pub moved_out: Moving,
}

/// What the arithmetic must know of one device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copies {
    pub unit: Id,
    pub serves: bool,
    pub maintenance: bool,
    /// Whether it takes new copies.
    pub accepts: bool,
    pub capacity: u64,
    pub used: u64,
    pub stale: u64,
    /// Of `used`, what another device holds too.
    pub covered: u64,
    /// What it holds for others.
    pub temp: u64,
}

impl Copies {
    /// Of a device of this server.
    pub(super) fn of(device: &Device, server: &Sds) -> Self {
        Self {
            unit: server.fault_unit(),
            serves: server.serves() && !device.failed && device.state.active(),
            maintenance: server.maintenance != Maintenance::None && !device.failed,
            accepts: device.state == DeviceState::Normal && server.maintenance == Maintenance::None,
            capacity: device.active_kb(),
            used: device.used_kb,
            stale: device.stale_kb,
            covered: device.covered_kb,
            temp: device.temp_kb,
        }
    }

    /// Whether it serves, takes more, and holds what it should and nothing else.
    pub(super) const fn is_good(&self) -> bool {
        self.serves && self.accepts && self.stale + self.covered + self.temp == 0
    }

    /// Copies that cannot be read or are out of date.
    pub(super) const fn bad(&self) -> u64 {
        let missing = if self.serves { self.stale } else { self.used };
        missing.saturating_sub(self.covered)
    }

    /// Copies that can be read here.
    pub(super) const fn readable(&self) -> u64 {
        if self.serves { self.used - self.stale } else { 0 }
    }

    pub(super) const fn free(&self) -> u64 {
        if self.serves && self.accepts { self.capacity.saturating_sub(self.used + self.temp) } else { 0 }
    }
}

/// Splits `total` by weight; the parts, which take the place of the weights, add up to it, and none is larger than
/// its weight when the total is not larger than all weights.
pub(super) fn spread(total: u64, mut weights: Vec<u64>) -> Vec<u64> {
    let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if whole == 0 || total == 0 {
        weights.fill(0);
        return weights;
    }
    // What does not exceed 64 bits is divided far quicker.
    if let Some(whole) = u64::try_from(whole).ok().filter(|whole| total.checked_mul(*whole).is_some()) {
        let (mut sum, mut given) = (0, 0);
        for weight in &mut weights {
            sum += *weight;
            let upto = total * sum / whole;
            *weight = upto - given;
            given = upto;
        }
        return weights;
    }
    let (mut sum, mut given) = (0_u128, 0_u128);
    for weight in &mut weights {
        sum += u128::from(*weight);
        let upto = u128::from(total) * sum / whole;
        *weight = u64::try_from(upto - given).unwrap_or(u64::MAX);
        given = upto;
    }
    weights
}

/// How much data lost one copy, and how much lost both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Loss {
    /// One copy lost, the other fine.
    pub one: u64,
    /// Of `one`, lost by maintenance only.
    pub one_maintenance: u64,
    /// Copies whose partner is lost too.
    pub both: u64,
}

pub(super) fn loss(copies: &[Copies], homeless: &BTreeMap<Id, u64>) -> Loss {
    let all_bad: u64 = copies.iter().map(Copies::bad).sum::<u64>() + homeless.values().sum::<u64>();
    if all_bad == 0 {
        return Loss::default();
    }
    // What each fault unit holds, and what of that is bad.
    let mut units: Vec<(Id, u64, u64)> = homeless.iter().map(|(unit, kb)| (*unit, *kb, *kb)).collect();
    let mut maintenance = 0;
    for copy in copies {
        let at = units.binary_search_by_key(&copy.unit, |(unit, _, _)| *unit).unwrap_or_else(|at| {
            units.insert(at, (copy.unit, 0, 0));
            at
        });
        units[at].1 += copy.used;
        units[at].2 += copy.bad();
        if copy.maintenance {
            maintenance += copy.bad();
        }
    }
    let all: u64 = units.iter().map(|(_, total, _)| total).sum();
    let mut one = 0_u64;
    for (_, total, bad_here) in &units {
        let elsewhere = all - total;
        let good_elsewhere = elsewhere - (all_bad - bad_here);
        if elsewhere > 0 {
            // To the nearest: the last copy of two units must not count as lost for ever.
            let part = (u128::from(*bad_here) * u128::from(good_elsewhere) + u128::from(elsewhere) / 2)
                / u128::from(elsewhere);
            one += u64::try_from(part).unwrap_or(u64::MAX);
        }
    }
    // No more single losses than there are good copies to be the other half.
    let one = one.min(all - all_bad);
    let one_maintenance =
        u64::try_from(u128::from(one) * u128::from(maintenance) / u128::from(all_bad)).unwrap_or(u64::MAX);
    Loss { one, one_maintenance, both: all_bad - one }
}

/// The protection states of a pool that lost so much of what is in use.
pub(super) const fn protection(loss: Loss, in_use: u64) -> Protection {
    let degraded = loss.one - loss.one_maintenance;
    Protection {
        protected: in_use - 2 * loss.one - loss.both,
        degraded_healthy: degraded,
        degraded_failed: degraded,
        failed: loss.both,
        in_maintenance: 2 * loss.one_maintenance,
    }
}

/// The protection states of each device of a pool.
pub(super) fn protection_by_device(copies: &[Copies], homeless: &BTreeMap<Id, u64>) -> Vec<Protection> {
    let loss = loss(copies, homeless);
    let degraded = loss.one - loss.one_maintenance;
    let mut bad: Vec<u64> = copies.iter().map(Copies::bad).collect();
    bad.push(homeless.values().sum());
    let good: Vec<u64> = copies.iter().map(|copy| copy.used - copy.bad()).collect();
    let both = spread(loss.both, bad.clone());
    let maintenance_lost = spread(loss.one_maintenance, minus(&bad, &both));
    let healthy = spread(degraded, good.clone());
    let maintenance_healthy = spread(loss.one_maintenance, minus(&good, &healthy));
    (0..copies.len())
        .map(|at| Protection {
            protected: good[at] - healthy[at] - maintenance_healthy[at],
            degraded_healthy: healthy[at],
            degraded_failed: bad[at] - both[at] - maintenance_lost[at],
            failed: both[at],
            in_maintenance: maintenance_lost[at] + maintenance_healthy[at],
        })
        .collect()
}

fn minus(left: &[u64], right: &[u64]) -> Vec<u64> {
    left.iter().zip(right).map(|(left, right)| left - right).collect()
}

/// What users read from a device and write to it in a window: reads by what good copies it holds, writes the same with
/// both copies. The parts of all devices add up.
pub(super) fn device_traffic(traffic: Traffic, (before, upto): (u64, u64), readable: u64) -> (Io, Io) {
    let upto_of = |total: u64, kb: u64| u128::from(total) * u128::from(kb) / u128::from(readable.max(1));
    let part = |total: u64| u64::try_from(upto_of(total, upto) - upto_of(total, before)).unwrap_or(u64::MAX);
    let parts =
        |io: Io, times: u64| Io { ops: part(io.ops * times), kb: part(io.kb * times), micros: part(io.micros * times) };
    (parts(traffic.read, 1), parts(traffic.write, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(unit: u64, used: u64, serves: bool) -> Copies {
        Copies {
            unit: Id(unit),
            serves,
            maintenance: false,
            accepts: true,
            capacity: 1000,
            used,
            stale: 0,
            covered: 0,
            temp: 0,
        }
    }

    fn protection(copies: &[Copies], homeless: &BTreeMap<Id, u64>) -> (Protection, Vec<Protection>) {
        let used: u64 = copies.iter().map(|copy| copy.used).sum::<u64>() + homeless.values().sum::<u64>();
        (super::protection(loss(copies, homeless), used), protection_by_device(copies, homeless))
    }

    #[test]
    fn parts_add_up_and_none_exceeds_its_weight() {
        for total in 0..=60 {
            let weights = [7, 0, 13, 1, 39];
            let parts = spread(total, weights.to_vec());
            assert_eq!(parts.iter().sum::<u64>(), total);
            assert!(parts.iter().zip(weights).all(|(part, weight)| *part <= weight), "{total}: {parts:?}");
        }
    }

    #[test]
    fn one_lost_device_degrades_as_much_as_it_held() {
        let pool = [copies(1, 100, true), copies(2, 100, false), copies(3, 100, true)];
        let (states, devices) = protection(&pool, &BTreeMap::new());
        assert_eq!((states.degraded_healthy, states.degraded_failed, states.failed), (100, 100, 0));
        assert_eq!(states.protected, 100);
        assert_eq!(devices[1].degraded_failed, 100);
    }

    #[test]
    fn devices_of_two_fault_units_lose_what_they_shared() {
        let pool = [copies(1, 100, false), copies(2, 100, false), copies(3, 100, true)];
        let (states, _) = protection(&pool, &BTreeMap::new());
        assert_eq!((states.failed, states.degraded_failed), (100, 100));
    }

    #[test]
    fn two_devices_of_one_fault_unit_share_nothing() {
        let pool = [copies(1, 50, false), copies(1, 50, false), copies(2, 100, true), copies(3, 100, true)];
        let (states, _) = protection(&pool, &BTreeMap::new());
        assert_eq!((states.failed, states.degraded_failed), (0, 100));
    }

    #[test]
    fn maintenance_is_no_degradation() {
        let mut pool = [copies(1, 100, true), copies(2, 100, false), copies(3, 100, true)];
        pool[1].maintenance = true;
        let (states, _) = protection(&pool, &BTreeMap::new());
        assert_eq!((states.in_maintenance, states.degraded_failed, states.sum()), (200, 0, 300));
    }

    proptest::proptest! {
        #[test]
        fn states_add_up_whatever_lies_where(
            devices in proptest::collection::vec(
                (0..4_u64, proptest::bool::ANY, proptest::bool::ANY, 0..1000_u64, 0..1000_u64, 0..1000_u64), 1..12),
            homeless in proptest::collection::btree_map(0..4_u64, 0..500_u64, 0..3),
        ) {
            let homeless: BTreeMap<Id, u64> = homeless.into_iter().map(|(unit, kb)| (Id(unit), kb)).collect();
            let copies: Vec<Copies> = devices
                .into_iter()
                .map(|(unit, serves, maintenance, used, stale, covered)| Copies {
                    serves, maintenance, stale: stale.min(used), covered: covered.min(used), ..copies(unit, used, true)
                })
                .collect();
            let used: u64 = copies.iter().map(|copy| copy.used).sum::<u64>() + homeless.values().sum::<u64>();
            let (pool, devices) = protection(&copies, &homeless);
            assert_eq!(pool.sum(), used);
            assert_eq!(pool.degraded_failed, pool.degraded_healthy);
            for (device, copy) in devices.iter().zip(&copies) {
                assert_eq!(device.sum(), copy.used);
            }
        }
    }
}

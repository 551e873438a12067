//! One step of the storage: new data, lost copies, rebuild, rebalance.

use std::collections::BTreeMap;
use std::time::Duration;

use super::figures::{self, Copies, Moving};
use super::load::Traffic;
use super::object::{Device, DeviceState, Id, Maintenance, Membership, Pool, Sds};

/// How long an SDS may be away before its data is rebuilt elsewhere. The MDM
/// decides within seconds; the number itself is not documented.
pub(super) const REBUILD_AFTER: Duration = Duration::from_secs(10);
/// Devices further from the mean than this, in parts of their size, are evened out.
const BALANCE_FROM: f64 = 0.02;
/// Evening out goes on until they are this near.
const BALANCE_TO: f64 = 0.002;

/// A pool with its devices for the length of one step.
pub(super) struct Shelf<'a> {
    pub pool: &'a mut Pool,
    pub devices: Vec<&'a mut Device>,
    pub sds: &'a BTreeMap<Id, Sds>,
    /// KiB a second that one device takes part in moving.
    pub rate: u64,
}

impl Shelf<'_> {
    pub(super) fn copies(&self) -> Vec<Copies> {
        self.devices
            .iter()
            .filter_map(|device| {
                let sds = self.sds.get(&device.sds)?;
                Some(Copies {
                    unit: sds.fault_unit(),
                    serves: sds.serves() && !device.failed && device.state.active(),
                    maintenance: sds.maintenance != Maintenance::None && !device.failed,
                    accepts: device.state == DeviceState::Normal && sds.maintenance == Maintenance::None,
                    capacity: device.active_kb(),
                    used: device.used_kb,
                    stale: device.stale_kb,
                    covered: device.covered_kb,
                    temp: device.temp_kb,
                })
            })
            .collect()
    }

    /// Room for new copies: what serving devices have free, but not the spare.
    pub(super) fn room(&self) -> u64 {
        self.room_of(&self.copies())
    }

    pub(super) fn room_of(&self, copies: &[Copies]) -> u64 {
        let free: u64 = copies.iter().map(Copies::free).sum();
        // What is being removed must find its place elsewhere.
        let leaving: u64 = self
            .devices
            .iter()
            .filter(|device| device.state == DeviceState::Removing)
            .map(|device| device.capacity_kb)
            .sum();
        let kept = leaving + self.in_use() + self.temporary() + self.pool.figures.spare;
        free.min(self.pool.figures.limit.saturating_sub(kept))
    }

    pub(super) fn in_use(&self) -> u64 {
        self.devices.iter().map(|device| device.used_kb).sum::<u64>() + self.pool.homeless.values().sum::<u64>()
    }

    /// Places new copies where there is room; the caller asked for no more than that.
    pub(super) fn place(&mut self, raw_kb: u64) {
        self.place_by(raw_kb, &self.copies());
    }

    pub(super) fn place_by(&mut self, raw_kb: u64, copies: &[Copies]) {
        if raw_kb == 0 {
            return;
        }
        let free: Vec<u64> = copies.iter().map(Copies::free).collect();
        for (device, part) in self.devices.iter_mut().zip(figures::spread(raw_kb, &free)) {
            device.used_kb += part;
        }
    }

    /// Frees copies, everywhere alike.
    pub(super) fn free(&mut self, raw_kb: u64) {
        let mut used: Vec<u64> = self.devices.iter().map(|device| device.used_kb).collect();
        used.extend(self.pool.homeless.values());
        let parts = figures::spread(raw_kb, &used);
        let (of_devices, of_homeless) = parts.split_at(self.devices.len());
        for (device, part) in self.devices.iter_mut().zip(of_devices) {
            device.used_kb -= part;
            device.stale_kb = device.stale_kb.min(device.used_kb);
        }
        for (homeless, part) in self.pool.homeless.values_mut().zip(of_homeless) {
            *homeless -= part;
        }
        self.pool.homeless.retain(|_, kb| *kb > 0);
        self.reconcile();
    }

    /// Copies on devices that are away miss their part of what was written. Nothing was placed on those meanwhile.
    pub(super) fn miss(&mut self, written_kb: u64, copies: &[Copies]) {
        if copies.iter().all(|copy| copy.serves) {
            return;
        }
        let in_use = self.in_use().max(1);
        for (device, copy) in copies.iter().enumerate().filter(|(_, copy)| !copy.serves) {
            let missed = u128::from(written_kb) * 2 * u128::from(copy.used) / u128::from(in_use);
            let missed = u64::try_from(missed).unwrap_or(u64::MAX);
            let device = &mut self.devices[device];
            device.stale_kb = device.stale_kb.saturating_add(missed).min(device.used_kb);
        }
    }

    /// Rebuilds and rebalances for `dt`, then draws up the figures.
    pub(super) fn step(&mut self, now: Duration, dt: Duration) {
        if self.at_rest() {
            self.pool.settled.0 = true;
            return;
        }
        let before = self.pool.balancing;
        self.reconcile();
        let serving = self.copies().iter().filter(|copy| copy.serves).count() as u64;
        let rate = self.rate * serving;
        let mut budget = rate * dt.as_secs();
        let moved_before = self.moved();

        let lost = self.rebuildable(now);
        let lost_kb: u64 = lost.iter().sum();
        if self.pool.rebuild_enabled {
            budget -= self.rebuild_forward(&lost, lost_kb.min(budget));
            budget -= self.rebuild_backward(budget);
        }
        budget -= self.copy_back(budget);
        budget -= self.cover(budget);
        budget -= self.evacuate(budget);
        let calm = self.copies().iter().all(|copy| copy.bad() == 0 && copy.covered + copy.temp == 0)
            && self.pool.homeless.is_empty()
            && self.leaving() == 0;
        if calm && self.pool.rebalance_enabled {
            self.rebalance(budget);
        }

        let left: u64 = self.rebuildable(now).iter().sum();
        let stale: u64 = self.catching_up(false).iter().sum();
        let waiting = left + stale > 0;
        self.pool.stuck_for =
            if waiting && self.moved() == moved_before { self.pool.stuck_for + dt } else { Duration::ZERO };
        let uneven = if calm { self.uneven().iter().map(|kb| u64::try_from(*kb).unwrap_or(0)).sum() } else { 0 };
        let (enter, exit, leaving) = (self.uncovered(), self.catching_up(true).iter().sum(), self.leaving());
        let moving = &mut self.pool.figures.moving;
        moving.enter.set(enter, rate);
        moving.exit.set(exit, rate);
        moving.normal.set(leaving, rate);
        moving.forward.set(left, rate);
        moving.backward.set(stale, rate);
        moving.rebalance.set(if self.pool.balancing { uneven } else { 0 }, rate);
        self.draw_up();
        // What moved nothing once moves nothing again, as long as copies and servers stay as they are.
        self.pool.settled.0 = self.pool.figures.moving == Moving::default()
            && self.pool.stuck_for == Duration::ZERO
            && self.pool.balancing == before
            && self.devices.iter().all(|device| device.covered_kb + device.temp_kb == 0);
    }

    /// Whether a step would change nothing: every copy is good, nothing
    /// moved lately, and the devices are even.
    fn at_rest(&self) -> bool {
        let good = self.devices.iter().all(|device| {
            device.stale_kb + device.covered_kb + device.temp_kb == 0
                && !device.failed
                && device.state == DeviceState::Normal
                && self.sds.get(&device.sds).is_some_and(|sds| sds.serves() && sds.maintenance == Maintenance::None)
        });
        good && self.pool.figures.moving == Moving::default()
            && self.pool.homeless.is_empty()
            && self.pool.stuck_for == Duration::ZERO
            && self.pool.figures.protection.protected == self.in_use()
            && self.pool.figures.unreachable_unused == 0
            && self.spread_of_fill() <= BALANCE_FROM
    }

    /// How far the fullest device is from the emptiest, in parts of their size.
    fn spread_of_fill(&self) -> f64 {
        let fill = self.devices.iter().map(|device| device.used_kb as f64 / device.capacity_kb.max(1) as f64);
        let (low, high) = fill.fold((f64::MAX, 0.0_f64), |(low, high), fill| (low.min(fill), high.max(fill)));
        high - low
    }

    fn moved(&self) -> u64 {
        let moving = &self.pool.figures.moving;
        moving.forward.since_kb + moving.backward.since_kb
    }

    /// For each device, and last for the homeless, the copies that can be
    /// made anew: their partner is there, and nobody expects them back soon.
    fn rebuildable(&self, now: Duration) -> Vec<u64> {
        let copies = self.copies();
        if self.pool.homeless.is_empty() && copies.iter().all(|copy| copy.bad() == 0) {
            return vec![0; copies.len() + 1];
        }
        let loss = figures::loss(&copies, &self.pool.homeless);
        let bad = loss.one + loss.both;
        let part =
            |kb: u64| u64::try_from(u128::from(kb) * u128::from(loss.one) / u128::from(bad.max(1))).unwrap_or(u64::MAX);
        let mut lost: Vec<u64> = self
            .devices
            .iter()
            .zip(&copies)
            .map(|(device, copy)| {
                let given_up = device.failed
                    || self.sds.get(&device.sds).is_some_and(|sds| match sds.membership {
                        Membership::Decoupled(since) => {
                            sds.maintenance == Maintenance::None && now >= since + REBUILD_AFTER
                        }
                        Membership::Joined | Membership::JoinPending(_) => false,
                    });
                if given_up && !copy.serves { part(copy.used - copy.covered) } else { 0 }
            })
            .collect();
        lost.push(part(self.pool.homeless.values().sum()));
        lost
    }

    fn rebuild_forward(&mut self, lost: &[u64], most: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        let copies = self.copies();
        let units: std::collections::BTreeSet<Id> =
            copies.iter().filter(|copy| copy.serves).map(|copy| copy.unit).collect();
        let free: Vec<u64> = copies.iter().map(Copies::free).collect();
        let kb = most.min(free.iter().sum());
        // With a single fault unit left there is nowhere to put a second copy.
        if kb == 0 || units.len() < 2 {
            return 0;
        }
        let out = figures::spread(kb, lost);
        let into = figures::spread(kb, &free);
        let good: Vec<u64> = copies.iter().map(Copies::readable).collect();
        let read = figures::spread(kb.min(good.iter().sum()), &good);
        for (at, device) in self.devices.iter_mut().enumerate() {
            device.used_kb = device.used_kb - out[at] + into[at];
            device.stale_kb = device.stale_kb.min(device.used_kb);
            device.figures.moved_in.forward.since_kb += into[at];
            device.figures.moved_out.forward.since_kb += read[at];
        }
        let homeless: Vec<u64> = self.pool.homeless.values().copied().collect();
        let parts = figures::spread(out[self.devices.len()], &homeless);
        for (kb, part) in self.pool.homeless.values_mut().zip(parts) {
            *kb -= part;
        }
        self.pool.homeless.retain(|_, kb| *kb > 0);
        self.pool.figures.moving.forward.since_kb += kb;
        kb
    }

    fn rebuild_backward(&mut self, most: u64) -> u64 {
        let stale = self.catching_up(false);
        let kb = most.min(stale.iter().sum());
        if kb == 0 {
            return 0;
        }
        for (device, part) in self.devices.iter_mut().zip(figures::spread(kb, &stale)) {
            device.stale_kb -= part;
            device.figures.moved_in.backward.since_kb += part;
        }
        self.pool.figures.moving.backward.since_kb += kb;
        kb
    }

    /// For each device how much it holds over its part; negative what it lacks.
    fn uneven(&self) -> Vec<i128> {
        let copies = self.copies();
        let used: u128 =
            copies.iter().filter(|copy| copy.serves && copy.accepts).map(|copy| u128::from(copy.used)).sum();
        let capacity: u128 =
            copies.iter().filter(|copy| copy.serves && copy.accepts).map(|copy| u128::from(copy.capacity)).sum();
        copies
            .iter()
            .map(|copy| {
                if !copy.serves || !copy.accepts || capacity == 0 {
                    return 0;
                }
                let part = used * u128::from(copy.capacity) / capacity;
                i128::from(copy.used) - i128::try_from(part).unwrap_or(0)
            })
            .collect()
    }

    fn rebalance(&mut self, most: u64) {
        let uneven = self.uneven();
        let worst = self
            .devices
            .iter()
            .zip(&uneven)
            .map(|(device, over)| over.unsigned_abs() as f64 / device.capacity_kb.max(1) as f64)
            .fold(0.0, f64::max);
        self.pool.balancing = worst > if self.pool.balancing { BALANCE_TO } else { BALANCE_FROM };
        if !self.pool.balancing {
            return;
        }
        let over: Vec<u64> = uneven.iter().map(|kb| u64::try_from(*kb).unwrap_or(0)).collect();
        let under: Vec<u64> = uneven.iter().map(|kb| u64::try_from(-*kb).unwrap_or(0)).collect();
        let kb = most.min(over.iter().sum()).min(under.iter().sum());
        let (out, into) = (figures::spread(kb, &over), figures::spread(kb, &under));
        for ((device, out), into) in self.devices.iter_mut().zip(out).zip(into) {
            device.used_kb = device.used_kb - out + into;
            device.figures.moved_out.rebalance.since_kb += out;
            device.figures.moved_in.rebalance.since_kb += into;
        }
        self.pool.figures.moving.rebalance.since_kb += kb;
    }

    /// Draws up what the pool and its devices show.
    pub(super) fn draw_up(&mut self) {
        self.reconcile();
        self.draw_up_by(&self.copies());
    }

    fn draw_up_by(&mut self, copies: &[Copies]) {
        self.pool.settled.0 = false;
        let limit: u64 = copies.iter().map(|copy| copy.capacity).sum();
        let in_use = self.in_use();
        let spare = limit / 100 * self.pool.spare_percent;
        let spare = spare.min(limit.saturating_sub(in_use));
        let unused = limit.saturating_sub(in_use + spare);
        let unreachable: u64 =
            copies.iter().filter(|copy| !copy.serves).map(|copy| copy.capacity.saturating_sub(copy.used)).sum();
        let (temporary, removing) = (self.temporary(), self.leaving());
        let (pool, devices) = figures::protection(copies, &self.pool.homeless);
        for (device, protection) in self.devices.iter_mut().zip(devices) {
            device.figures.protection = protection;
        }
        let figures = &mut self.pool.figures;
        figures.limit = limit;
        figures.in_use = in_use;
        figures.spare = spare;
        figures.unused = unused;
        figures.unreachable_unused = unreachable.min(unused);
        figures.protection = pool;
        figures.temporary = temporary;
        figures.removing = removing;
    }

    /// Ends a window: what users did in it takes its place, what was moved is counted, and both are shown. Of what volumes
    /// ask for, what there is room for is left.
    pub(super) fn close_window(&mut self, traffic: Traffic, asked: &mut [(Id, u64)]) {
        let copies = self.copies();
        // A full pool refuses writes that need space; the rest goes on.
        let mut room = if asked.is_empty() { 0 } else { self.room_of(&copies) / 2 };
        let mut placed = 0;
        for (_, kb) in asked {
            *kb = room.min(*kb);
            room -= *kb;
            placed += *kb;
        }
        self.place_by(placed * 2, &copies);
        self.miss(traffic.write.kb, &copies);
        self.reconcile();
        let copies = self.copies();
        self.draw_up_by(&copies);
        self.pool.traffic = traffic;
        self.pool.figures.moving.close_window();
        let mut readable = 0;
        for (device, copy) in self.devices.iter_mut().zip(&copies) {
            let before = readable;
            readable += copy.readable();
            device.figures.readable = (before, readable);
            device.figures.moved_in.close_window();
            device.figures.moved_out.close_window();
        }
        self.pool.figures.readable = readable;
    }
}

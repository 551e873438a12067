//! One step of the storage: new data, lost copies, rebuild, rebalance.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Each with its server.
    pub devices: Vec<(&'a mut Device, &'a Sds)>,
    /// What the arithmetic must know of each device, as it is now. The devices get it in the end.
    pub copies: Vec<Copies>,
    /// KiB a second that one device takes part in moving.
    pub rate: u64,
}

impl<'a> Shelf<'a> {
    /// Works on a pool and its devices.
    pub(super) fn of<R>(
        pool: &'a mut Pool,
        devices: impl Iterator<Item = &'a mut Device>,
        sds: &'a BTreeMap<Id, Sds>,
        rate: u64,
        work: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let mut all = Vec::with_capacity(devices.size_hint().1.unwrap_or_default());
        all.extend(devices.filter_map(|device| sds.get(&device.sds).map(|server| (device, server))));
        let copies = all.iter().map(|(device, server)| Copies::of(device, server)).collect();
        let mut shelf = Self { pool, devices: all, copies, rate };
        let result = work(&mut shelf);
        for ((device, _), copy) in shelf.devices.into_iter().zip(shelf.copies) {
            (device.used_kb, device.stale_kb) = (copy.used, copy.stale);
            (device.covered_kb, device.temp_kb) = (copy.covered, copy.temp);
        }
        result
    }
}

impl Shelf<'_> {
    /// Room for new copies: what serving devices have free, but not the spare.
    pub(super) fn room(&self) -> u64 {
        let free: u64 = self.copies.iter().map(Copies::free).sum();
        // What is being removed must find its place elsewhere.
        let leaving = self.devices.iter().filter(|(device, _)| device.state == DeviceState::Removing);
        let leaving: u64 = leaving.map(|(device, _)| device.capacity_kb).sum();
        let kept = leaving + self.in_use() + self.temporary() + self.pool.figures.spare;
        free.min(self.pool.figures.limit.saturating_sub(kept))
    }

    pub(super) fn in_use(&self) -> u64 {
        self.copies.iter().map(|copy| copy.used).sum::<u64>() + self.pool.homeless.values().sum::<u64>()
    }

    /// Something of each device, to be dealt by.
    pub(super) fn each(&self, of: impl Fn(&Copies) -> u64) -> Vec<u64> {
        self.copies.iter().map(of).collect()
    }

    /// Places new copies where there is room; the caller asked for no more than that.
    pub(super) fn place(&mut self, raw_kb: u64) {
        self.pool.settled.0 = false;
        let parts = figures::spread(raw_kb, self.each(Copies::free));
        self.copies.iter_mut().zip(parts).for_each(|(copy, part)| copy.used += part);
    }

    /// Frees copies, everywhere alike.
    pub(super) fn free(&mut self, raw_kb: u64) {
        self.pool.settled.0 = false;
        let mut used = self.each(|copy| copy.used);
        used.extend(self.pool.homeless.values());
        let parts = figures::spread(raw_kb, used);
        let (of_devices, of_homeless) = parts.split_at(self.copies.len());
        for (copy, part) in self.copies.iter_mut().zip(of_devices) {
            copy.used -= part;
            copy.stale = copy.stale.min(copy.used);
        }
        for (homeless, part) in self.pool.homeless.values_mut().zip(of_homeless) {
            *homeless -= part;
        }
        self.pool.homeless.retain(|_, kb| *kb > 0);
        self.reconcile();
    }

    /// Copies on devices that are away miss their part of what was written.
    fn miss(&mut self, written_kb: u64, in_use: u64) {
        for copy in self.copies.iter_mut().filter(|copy| !copy.serves) {
            let missed = u128::from(written_kb) * 2 * u128::from(copy.used) / u128::from(in_use.max(1));
            let missed = u64::try_from(missed).unwrap_or(u64::MAX);
            copy.stale = copy.stale.saturating_add(missed).min(copy.used);
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
        let serving = self.copies.iter().filter(|copy| copy.serves).count() as u64;
        let rate = self.rate * serving;
        let mut budget = rate * dt.as_secs();
        let moved_before = self.moved();

        if self.pool.rebuild_enabled {
            budget -= self.rebuild_forward(now, budget);
            budget -= self.rebuild_backward(budget);
        }
        budget -= self.copy_back(budget);
        budget -= self.cover(budget);
        budget -= self.evacuate(budget);
        let leaving = self.leaving();
        let calm = self.copies.iter().all(|copy| copy.bad() == 0 && copy.covered + copy.temp == 0)
            && self.pool.homeless.is_empty()
            && leaving == 0;
        if calm && self.pool.rebalance_enabled {
            self.rebalance(budget);
        }

        let left: u64 = self.rebuildable(now).iter().sum();
        let stale: u64 = self.catching_up(false).sum();
        let waiting = left + stale > 0;
        self.pool.stuck_for =
            if waiting && self.moved() == moved_before { self.pool.stuck_for + dt } else { Duration::ZERO };
        let uneven = if calm && self.pool.balancing {
            self.uneven().into_iter().map(|kb| u64::try_from(kb).unwrap_or(0)).sum()
        } else {
            0
        };
        let (enter, exit) = (self.uncovered().sum(), self.catching_up(true).sum());
        let moving = &mut self.pool.figures.moving;
        moving.enter.set(enter, rate);
        moving.exit.set(exit, rate);
        moving.normal.set(leaving, rate);
        moving.forward.set(left, rate);
        moving.backward.set(stale, rate);
        moving.rebalance.set(uneven, rate);
        self.draw_up();
        // What moved nothing once moves nothing again, as long as copies and servers stay as they are.
        self.pool.settled.0 = self.pool.figures.moving == Moving::default()
            && self.pool.stuck_for == Duration::ZERO
            && self.pool.balancing == before
            && self.copies.iter().all(|copy| copy.covered + copy.temp == 0);
    }

    /// Whether a step would change nothing: every copy is good, nothing
    /// moved lately, and the devices are even.
    fn at_rest(&self) -> bool {
        self.is_good()
            && self.pool.figures.moving == Moving::default()
            && self.pool.stuck_for == Duration::ZERO
            && self.pool.figures.protection.protected == self.in_use()
            && self.pool.figures.unreachable_unused == 0
            && self.spread_of_fill() <= BALANCE_FROM
    }

    fn is_good(&self) -> bool {
        self.copies.iter().all(Copies::is_good) && self.pool.homeless.is_empty()
    }

    /// How far the fullest device is from the emptiest, in parts of their size.
    fn spread_of_fill(&self) -> f64 {
        let fill = self.devices.iter().zip(&self.copies);
        let fill = fill.map(|((device, _), copy)| copy.used as f64 / device.capacity_kb.max(1) as f64);
        let (low, high) = fill.fold((f64::MAX, 0.0_f64), |(low, high), fill| (low.min(fill), high.max(fill)));
        high - low
    }

    fn moved(&self) -> u64 {
        let moving = &self.pool.figures.moving;
        moving.forward.since_kb + moving.backward.since_kb
    }

    /// For each device, and last for the homeless, the copies that can be
    /// made anew: their partner is there, and nobody expects them back soon. Nothing, when there is none.
    fn rebuildable(&self, now: Duration) -> Vec<u64> {
        let given_up = |device: &Device, server: &Sds| {
            device.failed
                || match server.membership {
                    Membership::Decoupled(since) => {
                        server.maintenance == Maintenance::None && now >= since + REBUILD_AFTER
                    }
                    Membership::Joined | Membership::JoinPending(_) => false,
                }
        };
        let is_lost = |((device, server), copy): (&(&mut Device, &Sds), &Copies)| {
            !copy.serves && copy.used > copy.covered && given_up(device, server)
        };
        let each = || self.devices.iter().zip(&self.copies);
        if self.pool.homeless.is_empty() && !each().any(is_lost) {
            return Vec::new();
        }
        let loss = figures::loss(&self.copies, &self.pool.homeless);
        let bad = loss.one + loss.both;
        let part =
            |kb: u64| u64::try_from(u128::from(kb) * u128::from(loss.one) / u128::from(bad.max(1))).unwrap_or(u64::MAX);
        let mut lost = Vec::with_capacity(self.copies.len() + 1);
        lost.extend(each().map(|at| if is_lost(at) { part(at.1.used - at.1.covered) } else { 0 }));
        lost.push(part(self.pool.homeless.values().sum()));
        lost
    }

    fn rebuild_forward(&mut self, now: Duration, budget: u64) -> u64 {
        let lost = self.rebuildable(now);
        let most = budget.min(lost.iter().sum());
        if most == 0 {
            return 0;
        }
        let units: BTreeSet<Id> = self.copies.iter().filter(|copy| copy.serves).map(|copy| copy.unit).collect();
        let free = self.each(Copies::free);
        let kb = most.min(free.iter().sum());
        // With a single fault unit left there is nowhere to put a second copy.
        if kb == 0 || units.len() < 2 {
            return 0;
        }
        let (out, into) = (figures::spread(kb, lost), figures::spread(kb, free));
        let good = self.each(Copies::readable);
        let read = figures::spread(kb.min(good.iter().sum()), good);
        for (at, ((device, _), copy)) in self.devices.iter_mut().zip(&mut self.copies).enumerate() {
            copy.used = copy.used - out[at] + into[at];
            copy.stale = copy.stale.min(copy.used);
            device.figures.moved_in.forward.since_kb += into[at];
            device.figures.moved_out.forward.since_kb += read[at];
        }
        let homeless: Vec<u64> = self.pool.homeless.values().copied().collect();
        let parts = figures::spread(out[self.devices.len()], homeless);
        for (kb, part) in self.pool.homeless.values_mut().zip(parts) {
            *kb -= part;
        }
        self.pool.homeless.retain(|_, kb| *kb > 0);
        self.pool.figures.moving.forward.since_kb += kb;
        kb
    }

    fn rebuild_backward(&mut self, most: u64) -> u64 {
        let kb = most.min(self.catching_up(false).sum());
        if kb == 0 {
            return 0;
        }
        let parts = figures::spread(kb, self.catching_up(false).collect());
        for (((device, _), copy), part) in self.devices.iter_mut().zip(&mut self.copies).zip(parts) {
            copy.stale -= part;
            device.figures.moved_in.backward.since_kb += part;
        }
        self.pool.figures.moving.backward.since_kb += kb;
        kb
    }

    /// For each device how much it holds over its part; negative what it lacks.
    fn uneven(&self) -> Vec<i128> {
        let takes_part = |copy: &Copies| copy.serves && copy.accepts;
        let (mut used, mut capacity) = (0, 0);
        for copy in self.copies.iter().filter(|copy| takes_part(copy)) {
            used += u128::from(copy.used);
            capacity += u128::from(copy.capacity);
        }
        let over = |copy: &Copies| {
            if !takes_part(copy) || capacity == 0 {
                return 0;
            }
            let part = used * u128::from(copy.capacity) / capacity;
            i128::from(copy.used) - i128::try_from(part).unwrap_or(0)
        };
        self.copies.iter().map(over).collect()
    }

    fn rebalance(&mut self, most: u64) {
        let uneven = self.uneven();
        let worst = self
            .devices
            .iter()
            .zip(&uneven)
            .map(|((device, _), over)| over.unsigned_abs() as f64 / device.capacity_kb.max(1) as f64)
            .fold(0.0, f64::max);
        self.pool.balancing = worst > if self.pool.balancing { BALANCE_TO } else { BALANCE_FROM };
        if !self.pool.balancing {
            return;
        }
        let over: Vec<u64> = uneven.iter().map(|kb| u64::try_from(*kb).unwrap_or(0)).collect();
        let under: Vec<u64> = uneven.iter().map(|kb| u64::try_from(-*kb).unwrap_or(0)).collect();
        let kb = most.min(over.iter().sum()).min(under.iter().sum());
        let (out, into) = (figures::spread(kb, over), figures::spread(kb, under));
        for ((((device, _), copy), out), into) in self.devices.iter_mut().zip(&mut self.copies).zip(out).zip(into) {
            copy.used = copy.used - out + into;
            device.figures.moved_out.rebalance.since_kb += out;
            device.figures.moved_in.rebalance.since_kb += into;
        }
        self.pool.figures.moving.rebalance.since_kb += kb;
    }

    /// Draws up what the pool shows.
    pub(super) fn draw_up(&mut self) {
        self.pool.settled.0 = false;
        self.reconcile();
        let copies = &self.copies;
        let limit: u64 = copies.iter().map(|copy| copy.capacity).sum();
        let in_use = self.in_use();
        let spare = limit / 100 * self.pool.spare_percent;
        let spare = spare.min(limit.saturating_sub(in_use));
        let unused = limit.saturating_sub(in_use + spare);
        let unreachable: u64 =
            copies.iter().filter(|copy| !copy.serves).map(|copy| copy.capacity.saturating_sub(copy.used)).sum();
        let (temporary, removing) = (self.temporary(), self.leaving());
        let protection = figures::protection(figures::loss(copies, &self.pool.homeless), in_use);
        let figures = &mut self.pool.figures;
        figures.limit = limit;
        figures.in_use = in_use;
        figures.spare = spare;
        figures.unused = unused;
        figures.unreachable_unused = unreachable.min(unused);
        figures.protection = protection;
        figures.temporary = temporary;
        figures.removing = removing;
    }

    /// Ends a window: what users wrote takes its place, and what they did and what was moved is counted. Of what volumes ask
    /// for, what there is room for is left. A step has to follow.
    pub(super) fn close_window(&mut self, traffic: Traffic, asked: &mut [(Id, u64)]) {
        // A full pool refuses writes that need space; the rest goes on.
        let mut room = if asked.is_empty() { 0 } else { self.room() / 2 };
        let mut placed = 0;
        for (_, kb) in asked {
            *kb = room.min(*kb);
            room -= *kb;
            placed += *kb;
        }
        if placed > 0 {
            self.place(placed * 2);
        }
        if self.copies.iter().any(|copy| !copy.serves) {
            self.miss(traffic.write.kb, self.in_use());
        }
        self.reconcile();
        self.pool.traffic = traffic;
        let has_moved = self.pool.figures.moving.has_moved();
        let mut readable = 0;
        for ((device, _), copy) in self.devices.iter_mut().zip(&self.copies) {
            let before = readable;
            readable += copy.readable();
            device.figures.readable = (before, readable);
            if has_moved {
                device.figures.moved_in.close_window();
                device.figures.moved_out.close_window();
            }
        }
        self.pool.figures.readable = readable;
        self.pool.figures.moving.close_window();
        // Of a pool that is not well the step draws up the figures.
        if self.is_good() {
            self.draw_up();
        }
    }
}

//! What moves because people asked for it: third copies for protected
//! maintenance, and data away from what is being removed.
//!
//! A device in protected maintenance keeps its copies; what of them is held a
//! third time by others is `covered` here and `temp` there, always the same sum
//! within a pool. Temporary copies are no part of what is in use.

use std::collections::BTreeSet;

use super::figures::{self, Copies};
use super::object::{Device, DeviceState, Id, Maintenance, Mode, Sds};
use super::storage::Shelf;

fn in_protected(server: &Sds, states: &[Maintenance]) -> bool {
    server.mode == Mode::Protected && states.contains(&server.maintenance)
}

impl Shelf<'_> {
    /// What is held a third time.
    pub(super) fn temporary(&self) -> u64 {
        self.copies.iter().map(|copy| copy.temp).sum()
    }

    /// What waits on devices that are being removed.
    pub(super) fn leaving(&self) -> u64 {
        let leaving =
            self.devices.iter().zip(&self.copies).filter(|((device, _), _)| device.state == DeviceState::Removing);
        leaving.map(|(_, copy)| copy.used).sum()
    }

    /// For each device the missed writes that it can now catch up with:
    /// on the way out of protected maintenance, or otherwise.
    pub(super) fn catching_up(&self, protected: bool) -> impl Iterator<Item = u64> {
        let leaves = |server: &Sds| in_protected(server, &[Maintenance::Exiting]);
        self.devices.iter().zip(&self.copies).map(move |((_, server), copy)| {
            if copy.stale > 0 && copy.serves && leaves(server) == protected { copy.stale } else { 0 }
        })
    }

    /// For each device the copies that still lack a third one.
    pub(super) fn uncovered(&self) -> impl Iterator<Item = u64> {
        let wants = |server: &Sds| in_protected(server, &[Maintenance::Entering, Maintenance::In]);
        self.devices.iter().zip(&self.copies).map(move |((device, server), copy)| {
            if wants(server) && !device.failed { copy.used.saturating_sub(copy.covered) } else { 0 }
        })
    }

    /// Makes third copies of what enters protected maintenance.
    pub(super) fn cover(&mut self, most: u64) -> u64 {
        let most = most.min(self.uncovered().sum());
        if most == 0 {
            return 0;
        }
        let missing: Vec<u64> = self.uncovered().collect();
        let units: BTreeSet<Id> =
            self.copies.iter().zip(&missing).filter(|(_, kb)| **kb > 0).map(|(copy, _)| copy.unit).collect();
        let free = self.each(|copy| if units.contains(&copy.unit) { 0 } else { copy.free() });
        let kb = most.min(free.iter().sum());
        let (covered, temp) = (figures::spread(kb, missing), figures::spread(kb, free));
        let parts = covered.into_iter().zip(temp);
        for (((device, _), copy), (covered, temp)) in self.devices.iter_mut().zip(&mut self.copies).zip(parts) {
            copy.covered += covered;
            copy.temp += temp;
            device.figures.moved_out.enter.since_kb += covered;
            device.figures.moved_in.enter.since_kb += temp;
        }
        self.pool.figures.moving.enter.since_kb += kb;
        kb
    }

    /// Copies missed writes back to what leaves protected maintenance.
    pub(super) fn copy_back(&mut self, most: u64) -> u64 {
        let kb = most.min(self.catching_up(true).sum());
        if kb == 0 {
            return 0;
        }
        let parts = figures::spread(kb, self.catching_up(true).collect());
        for (((device, _), copy), part) in self.devices.iter_mut().zip(&mut self.copies).zip(parts) {
            copy.stale -= part;
            device.figures.moved_in.exit.since_kb += part;
        }
        self.pool.figures.moving.exit.since_kb += kb;
        kb
    }

    /// Moves data away from devices that are being removed.
    pub(super) fn evacuate(&mut self, most: u64) -> u64 {
        if self.devices.iter().all(|(device, _)| device.state != DeviceState::Removing) {
            return 0;
        }
        let goes = |device: &Device, copy: &Copies| device.state == DeviceState::Removing && copy.serves;
        let leaving: Vec<u64> = self
            .devices
            .iter()
            .zip(&self.copies)
            .map(|((device, _), copy)| if goes(device, copy) { copy.used.saturating_sub(copy.covered) } else { 0 })
            .collect();
        let free = self.each(Copies::free);
        let kb = most.min(leaving.iter().sum()).min(free.iter().sum());
        let (out, into) = (figures::spread(kb, leaving), figures::spread(kb, free));
        let parts = out.into_iter().zip(into);
        for (((device, _), copy), (out, into)) in self.devices.iter_mut().zip(&mut self.copies).zip(parts) {
            copy.used = copy.used - out + into;
            copy.stale = copy.stale.min(copy.used);
            device.figures.moved_out.normal.since_kb += out;
            device.figures.moved_in.normal.since_kb += into;
        }
        self.pool.figures.moving.normal.since_kb += kb;
        kb
    }

    /// Takes this much of the third copies away, everywhere alike.
    fn drop_temporary(&mut self, kb: u64) {
        let parts = figures::spread(kb, self.each(|copy| copy.temp));
        self.copies.iter_mut().zip(parts).for_each(|(copy, part)| copy.temp -= part);
    }

    /// A device is gone that had so much covered, and held so much for others.
    pub(super) fn forget_third_copies(&mut self, covered: u64, temp: u64) {
        self.drop_temporary(covered);
        let parts = figures::spread(temp, self.each(|copy| copy.covered));
        self.copies.iter_mut().zip(parts).for_each(|(copy, part)| copy.covered -= part);
    }

    /// The third copies of an SDS are needed no more.
    pub(super) fn uncover(&mut self, sds: Id) {
        let mut kb = 0;
        let own = self.devices.iter().zip(&mut self.copies).filter(|((device, _), _)| device.sds == sds);
        own.for_each(|(_, copy)| kb += std::mem::take(&mut copy.covered));
        self.drop_temporary(kb);
    }

    /// Settles third copies with what happened: those on devices that are away
    /// are lost; those of data that is gone are dropped; those of a device that
    /// will not return take its place.
    pub(super) fn reconcile(&mut self) {
        if self.copies.iter().all(|copy| copy.covered + copy.temp == 0) {
            return;
        }
        let mut lost = 0;
        for copy in self.copies.iter_mut().filter(|copy| !copy.serves) {
            lost += std::mem::take(&mut copy.temp);
        }
        let parts = figures::spread(lost, self.each(|copy| copy.covered));
        let mut over = 0;
        for (copy, part) in self.copies.iter_mut().zip(parts) {
            copy.covered -= part;
            let excess = copy.covered.saturating_sub(copy.used);
            copy.covered -= excess;
            over += excess;
        }
        self.drop_temporary(over);
        let mut taken = 0;
        for ((device, server), copy) in self.devices.iter().zip(&mut self.copies) {
            if device.failed || server.maintenance == Maintenance::None {
                let kb = std::mem::take(&mut copy.covered);
                copy.used -= kb;
                copy.stale = copy.stale.min(copy.used);
                taken += kb;
            }
        }
        let parts = figures::spread(taken, self.each(|copy| copy.temp));
        for (copy, part) in self.copies.iter_mut().zip(parts) {
            copy.temp -= part;
            copy.used += part;
        }
    }
}

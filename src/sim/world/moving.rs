//! What moves because people asked for it: third copies for protected
//! maintenance, and data away from what is being removed.
//!
//! A device in protected maintenance keeps its copies; what of them is held a
//! third time by others is `covered` here and `temp` there, always the same sum
//! within a pool. Temporary copies are no part of what is in use.

use std::collections::BTreeSet;

use super::figures::{self, Copies};
use super::object::{DeviceState, Id, Maintenance, Mode};
use super::storage::Shelf;

impl Shelf<'_> {
    /// What is held a third time.
    pub(super) fn temporary(&self) -> u64 {
        self.devices.iter().map(|device| device.temp_kb).sum()
    }

    /// What waits on devices that are being removed.
    pub(super) fn leaving(&self) -> u64 {
        let leaving = self.devices.iter().filter(|device| device.state == DeviceState::Removing);
        leaving.map(|device| device.used_kb).sum()
    }

    fn in_protected(&self, sds: Id, states: &[Maintenance]) -> bool {
        self.sds.get(&sds).is_some_and(|sds| sds.mode == Mode::Protected && states.contains(&sds.maintenance))
    }

    /// For each device the missed writes that it can now catch up with:
    /// on the way out of protected maintenance, or otherwise.
    pub(super) fn catching_up(&self, protected: bool) -> Vec<u64> {
        if self.devices.iter().all(|device| device.stale_kb == 0) {
            return Vec::new();
        }
        let leaves = |sds| self.in_protected(sds, &[Maintenance::Exiting]);
        self.devices
            .iter()
            .zip(self.copies())
            .map(|(device, copy)| if copy.serves && leaves(device.sds) == protected { copy.stale } else { 0 })
            .collect()
    }

    fn uncovered_by_device(&self) -> Vec<u64> {
        let wants = |sds| self.in_protected(sds, &[Maintenance::Entering, Maintenance::In]);
        let missing = self.devices.iter().map(|device| {
            if wants(device.sds) && !device.failed { device.used_kb - device.covered_kb.min(device.used_kb) } else { 0 }
        });
        missing.collect()
    }

    /// Copies that still lack a third one.
    pub(super) fn uncovered(&self) -> u64 {
        self.uncovered_by_device().iter().sum()
    }

    /// Makes third copies of what enters protected maintenance.
    pub(super) fn cover(&mut self, most: u64) -> u64 {
        let missing = self.uncovered_by_device();
        if missing.iter().all(|kb| *kb == 0) {
            return 0;
        }
        let copies = self.copies();
        let units: BTreeSet<Id> =
            copies.iter().zip(&missing).filter(|(_, kb)| **kb > 0).map(|(copy, _)| copy.unit).collect();
        let free: Vec<u64> =
            copies.iter().map(|copy| if units.contains(&copy.unit) { 0 } else { copy.free() }).collect();
        let kb = most.min(missing.iter().sum()).min(free.iter().sum());
        let (covered, temp) = (figures::spread(kb, &missing), figures::spread(kb, &free));
        for ((device, covered), temp) in self.devices.iter_mut().zip(covered).zip(temp) {
            device.covered_kb += covered;
            device.temp_kb += temp;
            device.figures.moved_out.enter.since_kb += covered;
            device.figures.moved_in.enter.since_kb += temp;
        }
        self.pool.figures.moving.enter.since_kb += kb;
        kb
    }

    /// Copies missed writes back to what leaves protected maintenance.
    pub(super) fn copy_back(&mut self, most: u64) -> u64 {
        let stale = self.catching_up(true);
        let kb = most.min(stale.iter().sum());
        if kb == 0 {
            return 0;
        }
        for (device, part) in self.devices.iter_mut().zip(figures::spread(kb, &stale)) {
            device.stale_kb -= part;
            device.figures.moved_in.exit.since_kb += part;
        }
        self.pool.figures.moving.exit.since_kb += kb;
        kb
    }

    /// Moves data away from devices that are being removed.
    pub(super) fn evacuate(&mut self, most: u64) -> u64 {
        if self.devices.iter().all(|device| device.state != DeviceState::Removing) {
            return 0;
        }
        let copies = self.copies();
        let leaving = self.devices.iter().zip(&copies);
        let leaving: Vec<u64> = leaving
            .map(|(device, copy)| {
                if device.state == DeviceState::Removing && copy.serves {
                    copy.used.saturating_sub(copy.covered)
                } else {
                    0
                }
            })
            .collect();
        let free: Vec<u64> = copies.iter().map(Copies::free).collect();
        let kb = most.min(leaving.iter().sum()).min(free.iter().sum());
        let (out, into) = (figures::spread(kb, &leaving), figures::spread(kb, &free));
        for ((device, out), into) in self.devices.iter_mut().zip(out).zip(into) {
            device.used_kb = device.used_kb - out + into;
            device.stale_kb = device.stale_kb.min(device.used_kb);
            device.figures.moved_out.normal.since_kb += out;
            device.figures.moved_in.normal.since_kb += into;
        }
        self.pool.figures.moving.normal.since_kb += kb;
        kb
    }

    /// Takes this much of the third copies away, everywhere alike.
    fn drop_temporary(&mut self, kb: u64) {
        let temp: Vec<u64> = self.devices.iter().map(|device| device.temp_kb).collect();
        for (device, part) in self.devices.iter_mut().zip(figures::spread(kb, &temp)) {
            device.temp_kb -= part;
        }
    }

    /// A device is gone that had so much covered, and held so much for others.
    pub(super) fn forget_third_copies(&mut self, covered: u64, temp: u64) {
        self.drop_temporary(covered);
        let all: Vec<u64> = self.devices.iter().map(|device| device.covered_kb).collect();
        for (device, part) in self.devices.iter_mut().zip(figures::spread(temp, &all)) {
            device.covered_kb -= part;
        }
    }

    /// The third copies of an SDS are needed no more.
    pub(super) fn uncover(&mut self, sds: Id) {
        let mut kb = 0;
        for device in self.devices.iter_mut().filter(|device| device.sds == sds) {
            kb += std::mem::take(&mut device.covered_kb);
        }
        self.drop_temporary(kb);
    }

    /// Settles third copies with what happened: those on devices that are away
    /// are lost; those of data that is gone are dropped; those of a device that
    /// will not return take its place.
    pub(super) fn reconcile(&mut self) {
        if self.devices.iter().all(|device| device.covered_kb + device.temp_kb == 0) {
            return;
        }
        let mut lost = 0;
        let copies = self.copies();
        for (device, copy) in self.devices.iter_mut().zip(&copies) {
            if !copy.serves {
                lost += std::mem::take(&mut device.temp_kb);
            }
        }
        let covered: Vec<u64> = self.devices.iter().map(|device| device.covered_kb).collect();
        let parts = figures::spread(lost, &covered);
        let mut over = 0;
        for (device, part) in self.devices.iter_mut().zip(parts) {
            device.covered_kb -= part;
            let excess = device.covered_kb.saturating_sub(device.used_kb);
            device.covered_kb -= excess;
            over += excess;
        }
        self.drop_temporary(over);
        let mut taken = 0;
        for at in 0..self.devices.len() {
            let sds = self.sds.get(&self.devices[at].sds);
            let device = &mut self.devices[at];
            if device.failed || sds.is_none_or(|sds| sds.maintenance == Maintenance::None) {
                let kb = std::mem::take(&mut device.covered_kb);
                device.used_kb -= kb;
                device.stale_kb = device.stale_kb.min(device.used_kb);
                taken += kb;
            }
        }
        let temp: Vec<u64> = self.devices.iter().map(|device| device.temp_kb).collect();
        for (device, part) in self.devices.iter_mut().zip(figures::spread(taken, &temp)) {
            device.temp_kb -= part;
            device.used_kb += part;
        }
    }
}

//! When do snapshot policies take snapshots, and which of them do they drop?
//!
//! Each level keeps so many, and passes every so-many-th on to the next one:
//! with a cadence of an hour and levels of 24 and 7 there are 24 hourly and 7
//! daily ones. That a policy takes its first after one cadence, and that a
//! snapshot has no name, is assumed.

use std::time::Duration;

use super::World;
use super::code::Code;
use super::command::{NewSnapshot, Reply};
use super::object::{Id, Setting, Taken, Volume};

/// The time between two snapshots.
pub(super) fn cadence(minutes: u64) -> Duration {
    Duration::from_secs(minutes.max(1).saturating_mul(60))
}

/// The level that keeps the n-th snapshot, counted from nought.
fn level(count: u64, retained: &[u64]) -> usize {
    let mut every: u64 = 1;
    let mut found = 0;
    for (level, kept) in retained.iter().enumerate() {
        if count.is_multiple_of(every) {
            found = level;
        }
        every = every.saturating_mul((*kept).max(1));
    }
    found
}

impl World {
    /// Snapshots that a policy took and keeps.
    pub(super) fn taken(&self, policy: Id) -> impl Iterator<Item = &Volume> {
        self.volumes.values().filter(move |at| at.taken_by.is_some_and(|by| by.policy == policy))
    }

    pub(super) fn carry_on_policies(&mut self) {
        let now = self.now;
        let due = self.policies.values().filter(|policy| !policy.paused && now >= policy.next);
        for id in due.map(|policy| policy.id).collect::<Vec<_>>() {
            self.take_snapshots(id);
        }
    }

    fn take_snapshots(&mut self, id: Id) {
        let now = self.now;
        let Some(policy) = self.policies.get_mut(&id) else { return };
        let every = cadence(policy.cadence_minutes);
        while policy.next <= now {
            policy.next += every;
        }
        if policy.sources.is_empty() {
            return;
        }
        let (level, retained) = (level(policy.taken, &policy.retained), policy.retained.clone());
        let wanted =
            policy.sources.iter().map(|of| NewSnapshot { of: *of, name: None, settings: Vec::new() }).collect();
        let Ok(Reply::Snapshots { volumes, .. }) = self.snapshot_volumes(wanted) else {
            let failed = self.wall(now).timestamp();
            self.set(id, "timeOfLastAutoSnapshotCreationFailure", Setting::Number(u64::try_from(failed).unwrap_or(0)));
            self.set(id, "lastAutoSnapshotCreationFailureReason", Setting::Text("VTreeLimitExceeded".to_owned()));
            return;
        };
        if let Some(policy) = self.policies.get_mut(&id) {
            policy.taken += 1;
            policy.last = Some(now);
        }
        for snapshot in volumes {
            self.volumes
                .entry(snapshot)
                .and_modify(|at| at.taken_by = Some(Taken { policy: id, level, locked: false }));
            self.set(snapshot, "snplIdOfAutoSnapshot", Setting::Text(id.to_string()));
        }
        self.drop_old(id, level, retained.get(level).copied().unwrap_or(0));
        self.count_snapshots(id);
    }

    /// Drops what a level keeps no longer: the oldest of each volume first.
    fn drop_old(&mut self, policy: Id, level: usize, kept: u64) {
        let sources = self.policies.get(&policy).map(|policy| policy.sources.clone()).unwrap_or_default();
        let mut expired = 0;
        for source in sources {
            let of_level =
                |at: &&Volume| at.ancestor == Some(source) && at.taken_by.is_some_and(|by| by.level == level);
            let mut all: Vec<(i64, Id, bool)> = self
                .taken(policy)
                .filter(of_level)
                .map(|at| (at.created, at.id, at.taken_by.is_some_and(|by| by.locked)))
                .collect();
            all.sort_unstable();
            let too_many = all.len().saturating_sub(usize::try_from(kept).unwrap_or(usize::MAX));
            for (_, id, locked) in all.into_iter().take(too_many) {
                if locked || self.may_remove(&[id]).is_err() {
                    expired += 1;
                } else {
                    self.take_out(id);
                }
            }
        }
        self.set(policy, "numOfExpiredButLockedSnapshots", Setting::Number(expired));
    }

    /// Shows how many snapshots a policy has.
    pub(super) fn count_snapshots(&mut self, policy: Id) {
        let (mut all, mut locked) = (0, 0);
        for by in self.taken(policy).filter_map(|at| at.taken_by) {
            all += 1;
            locked += u64::from(by.locked);
        }
        self.set(policy, "numOfAutoSnapshots", Setting::Number(all));
        self.set(policy, "numOfLockedSnapshots", Setting::Number(locked));
    }

    /// Makes a policy's snapshot one like any other.
    pub(super) fn let_go(&mut self, snapshot: Id) {
        self.volumes.entry(snapshot).and_modify(|at| at.taken_by = None);
        if let Some(settings) = self.settings.get_mut(&snapshot) {
            settings.remove("snplIdOfAutoSnapshot");
            settings.remove("lockedAutoSnapshot");
        }
    }

    /// Keeps a policy's snapshot when its time has come, or no longer.
    pub(super) fn lock_snapshot(&mut self, snapshot: Id, lock: bool) -> Result<Reply, Code> {
        let volume = self.volumes.get_mut(&snapshot).ok_or(Code::VolumeNotFound)?;
        let taken = volume.taken_by.as_mut().ok_or(Code::NotAutoSnapshot)?;
        taken.locked = lock;
        let policy = taken.policy;
        self.set(snapshot, "lockedAutoSnapshot", Setting::Bool(lock));
        self.count_snapshots(policy);
        Ok(Reply::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_so_many_snapshots_one_goes_to_the_next_level() {
        let levels: Vec<usize> = (0..9).map(|count| level(count, &[3, 2])).collect();
        assert_eq!(levels, [1, 0, 0, 1, 0, 0, 1, 0, 0]);
        assert_eq!(level(6, &[3, 2, 5]), 2);
        assert_eq!(level(5, &[]), 0);
    }
}

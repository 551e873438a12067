//! Which objects of a kind have series of their own? All, none, or those that
//! matter most: the unwell, the busiest and the slowest.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Export, Top};
use crate::model::cluster::{Device, Sdc, Volume};
use crate::model::id::ObjectId;
use crate::model::snapshot::{Slot, Table};
use crate::model::state::{Connection, DeviceState, Smart};
use crate::model::stats::{Stat, StatRow, StatTable};
use crate::model::unit::Timestamp;

/// An object with what it is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) id: &'a ObjectId,
    /// Operations per second.
    pub(crate) load: f64,
    /// Seconds.
    pub(crate) latency: f64,
    /// What is unwell is always shown.
    pub(crate) unwell: bool,
}

/// The choice among the objects of one kind, with what it needs to be steady.
pub(crate) struct Choice {
    export: Export,
    /// For each object whether it is chosen; nothing when all are.
    chosen: Option<Vec<bool>>,
    /// When each chosen one was last among the top.
    last_top: BTreeMap<ObjectId, Timestamp>,
    objects: usize,
    changed: u64,
}

impl Choice {
    pub(crate) const fn new(export: Export) -> Self {
        Self { export, chosen: None, last_top: BTreeMap::new(), objects: 0, changed: 0 }
    }

    /// Chooses anew. Candidates are only looked at when not all of them, or
    /// none, are wanted anyway.
    pub(crate) fn update<'a, C>(&mut self, objects: usize, candidates: impl FnOnce() -> C, now: Timestamp)
    where
        C: Iterator<Item = Candidate<'a>>,
    {
        let chosen = match self.export {
            Export::All => None,
            Export::Aggregate | Export::Off => Some(vec![false; objects]),
            Export::Auto { all_up_to, .. } if objects <= all_up_to => None,
            Export::Auto { top, .. } | Export::Top(top) => {
                let candidates: Vec<Candidate<'a>> = candidates().collect();
                Some(top_of(&candidates, top, &mut self.last_top, now))
            }
        };
        if chosen.is_none() {
            self.last_top.clear();
        }
        self.objects = objects;
        if chosen != self.chosen {
            self.chosen = chosen;
            self.changed += 1;
        }
    }

    /// Whether the object at a place has series of its own.
    #[inline]
    pub(crate) fn has(&self, place: usize) -> bool {
        self.chosen.as_ref().is_none_or(|chosen| chosen.get(place).copied().unwrap_or(false))
    }

    /// How many objects have.
    pub(crate) fn count(&self) -> usize {
        self.chosen.as_ref().map_or(self.objects, |chosen| chosen.iter().filter(|chosen| **chosen).count())
    }

    /// How many there are.
    pub(crate) const fn objects(&self) -> usize {
        self.objects
    }

    /// Grows when the choice changes.
    pub(crate) const fn changed(&self) -> u64 {
        self.changed
    }

    /// Whether the kind is not exported at all.
    pub(crate) const fn is_off(&self) -> bool {
        matches!(self.export, Export::Off)
    }
}

/// The choices of one system.
pub(crate) struct Choices {
    pub(crate) devices: Choice,
    pub(crate) sdcs: Choice,
    pub(crate) volumes: Choice,
}

/// Chooses the unwell, the busiest and the slowest, and keeps whoever was one
/// of them lately: a series that comes and goes costs more than one that stays.
fn top_of(
    candidates: &[Candidate<'_>],
    top: Top,
    last_top: &mut BTreeMap<ObjectId, Timestamp>,
    now: Timestamp,
) -> Vec<bool> {
    let mut best: BTreeSet<&ObjectId> = candidates.iter().filter(|one| one.unwell).map(|one| one.id).collect();
    let unwell = best.len();
    best.extend(largest(candidates, top.busiest, |one| one.load));
    best.extend(largest(candidates, top.slowest, |one| one.latency));
    for id in best {
        last_top.insert(id.clone(), now);
    }
    let present: BTreeSet<&ObjectId> = candidates.iter().map(|one| one.id).collect();
    last_top.retain(|id, last| (now - *last).to_std().unwrap_or_default() < top.keep && present.contains(id));
    // Ranks that are thrown anew with every poll would keep everybody.
    let most = unwell + 2 * (top.busiest + top.slowest);
    if last_top.len() > most {
        let mut by_age: Vec<(Timestamp, ObjectId)> = last_top.iter().map(|(id, last)| (*last, id.clone())).collect();
        by_age.sort();
        for (_, id) in &by_age[..by_age.len() - most] {
            last_top.remove(id);
        }
    }
    candidates.iter().map(|one| last_top.contains_key(one.id)).collect()
}

/// The ids of the candidates with the largest values above 0; of equals the
/// one with the smaller id.
fn largest<'a>(
    candidates: &[Candidate<'a>],
    count: usize,
    value: impl Fn(&Candidate<'a>) -> f64,
) -> impl Iterator<Item = &'a ObjectId> {
    let mut ranked: Vec<(f64, &ObjectId)> =
        candidates.iter().map(|one| (value(one), one.id)).filter(|(value, _)| *value > 0.0).collect();
    let order =
        |a: &(f64, &ObjectId), b: &(f64, &ObjectId)| -> Ordering { b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)) };
    if count < ranked.len() {
        ranked.select_nth_unstable_by(count, order);
        ranked.truncate(count);
    }
    ranked.into_iter().map(|(_, id)| id)
}

/// What a kind is judged by.
pub(crate) trait Judged {
    fn object(&self) -> &ObjectId;
    fn load(row: StatRow<'_>) -> f64;
    fn latency(row: StatRow<'_>) -> f64;
    fn is_unwell(&self) -> bool;
}

/// The objects of a kind as candidates. `rows` are the places of their statistics.
pub(crate) fn candidates<'a, T: Judged>(
    objects: &'a Slot<Table<T>>,
    rows: impl Iterator<Item = Option<usize>>,
    table: Option<&'a StatTable>,
) -> impl Iterator<Item = Candidate<'a>> {
    objects.iter().flat_map(|part| part.iter()).zip(rows).map(move |(object, row)| {
        let row = table.zip(row).map(|(table, row)| table.nth(row));
        Candidate {
            id: object.object(),
            load: row.map_or(0.0, T::load),
            latency: row.map_or(0.0, T::latency),
            unwell: object.is_unwell(),
        }
    })
}

fn operations(row: StatRow<'_>, stats: &[Stat]) -> f64 {
    stats.iter().filter_map(|stat| row.window(*stat)?.per_second()).sum()
}

fn user_load(row: StatRow<'_>) -> f64 {
    operations(row, &[Stat::UserDataReadBwc, Stat::UserDataWriteBwc, Stat::UserDataTrimBwc])
}

fn user_latency(row: StatRow<'_>) -> f64 {
    [Stat::UserDataSdcReadLatency, Stat::UserDataSdcWriteLatency, Stat::UserDataSdcTrimLatency]
        .iter()
        .filter_map(|stat| row.window(*stat)?.mean_seconds())
        .fold(0.0, f64::max)
}

impl Judged for Device {
    fn object(&self) -> &ObjectId {
        self.id.object()
    }

    fn load(row: StatRow<'_>) -> f64 {
        operations(row, &[Stat::TotalReadBwc, Stat::TotalWriteBwc])
    }

    fn latency(row: StatRow<'_>) -> f64 {
        [Stat::AvgReadLatencyInMicrosec, Stat::AvgWriteLatencyInMicrosec]
            .iter()
            .filter_map(|stat| row.number(*stat))
            .fold(0.0, f64::max)
    }

    fn is_unwell(&self) -> bool {
        let failing = [&self.temperature, &self.end_of_life, &self.smart];
        self.has_failed()
            || !self.state.is(DeviceState::Normal)
            || failing.into_iter().flatten().any(|verdict| !verdict.is(Smart::NeverFailed))
    }
}

impl Judged for Sdc {
    fn object(&self) -> &ObjectId {
        self.id.object()
    }

    fn load(row: StatRow<'_>) -> f64 {
        user_load(row)
    }

    fn latency(row: StatRow<'_>) -> f64 {
        user_latency(row)
    }

    fn is_unwell(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| !connection.is(Connection::Connected))
    }
}

impl Judged for Volume {
    fn object(&self) -> &ObjectId {
        self.id.object()
    }

    fn load(row: StatRow<'_>) -> f64 {
        user_load(row)
    }

    fn latency(row: StatRow<'_>) -> f64 {
        user_latency(row)
    }

    // What can be wrong with a volume is wrong with its pool.
    fn is_unwell(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::{DateTime, TimeDelta};

    use super::*;

    const TOP: Top = Top { busiest: 2, slowest: 1, keep: Duration::from_secs(900) };

    fn at(minutes: i64) -> Timestamp {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap() + TimeDelta::minutes(minutes)
    }

    /// Chooses among objects with these loads and latencies; the places of the chosen.
    fn choose(choice: &mut Choice, objects: &[(f64, f64)], unwell: Option<usize>, now: Timestamp) -> Vec<usize> {
        let ids: Vec<ObjectId> = (0..objects.len() as u64).map(ObjectId::from_number).collect();
        let candidates = ids.iter().zip(objects).enumerate().map(|(place, (id, (load, latency)))| Candidate {
            id,
            load: *load,
            latency: *latency,
            unwell: unwell == Some(place),
        });
        choice.update(objects.len(), || candidates, now);
        let places: Vec<usize> = (0..objects.len()).filter(|place| choice.has(*place)).collect();
        assert_eq!(choice.count(), places.len());
        places
    }

    #[test]
    fn the_busiest_the_slowest_and_the_unwell_are_chosen() {
        let mut choice = Choice::new(Export::Top(TOP));
        let objects = [(5.0, 0.0), (9.0, 0.1), (7.0, 0.1), (0.0, 0.9), (0.0, 0.0), (0.0, 0.0)];
        assert_eq!(choose(&mut choice, &objects, Some(4), at(0)), [1, 2, 3, 4]);
    }

    #[test]
    fn of_equals_the_same_ones_are_chosen_each_time_and_idle_ones_never() {
        let mut choice = Choice::new(Export::Top(TOP));
        assert_eq!(choose(&mut choice, &[(1.0, 0.0); 5], None, at(0)), [0, 1]);
        let mut choice = Choice::new(Export::Top(TOP));
        assert_eq!(choose(&mut choice, &[(0.0, 0.0); 5], None, at(0)), [0usize; 0]);
    }

    #[test]
    fn who_leaves_the_top_stays_for_a_while() {
        let mut choice = Choice::new(Export::Top(TOP));
        let early = [(9.0, 0.0), (8.0, 0.0), (1.0, 0.0), (1.5, 0.0)];
        let late = [(0.5, 0.0), (8.0, 0.0), (9.0, 0.0), (1.5, 0.0)];
        assert_eq!(choose(&mut choice, &early, None, at(0)), [0, 1]);
        let changed = choice.changed();
        assert_eq!(choose(&mut choice, &early, None, at(1)), [0, 1]);
        assert_eq!(choice.changed(), changed);
        assert_eq!(choose(&mut choice, &late, None, at(2)), [0, 1, 2]);
        assert_eq!(choose(&mut choice, &late, None, at(15)), [0, 1, 2]);
        assert_eq!(choose(&mut choice, &late, None, at(16)), [1, 2]);
        assert!(choice.changed() > changed);
    }

    #[test]
    fn ranks_that_change_all_the_time_do_not_choose_everybody() {
        let mut choice = Choice::new(Export::Top(TOP));
        for turn in 0..10usize {
            let objects: Vec<(f64, f64)> =
                (0..100).map(|place| (if place / 10 == turn { 10.0 } else { 1.0 }, 0.0)).collect();
            let chosen = choose(&mut choice, &objects, None, at(turn as i64));
            assert!(chosen.len() <= 6, "{chosen:?}");
            assert!(chosen.contains(&(turn * 10)), "the newest are always there");
        }
    }

    #[test]
    fn modes_take_all_none_or_by_number() {
        let objects = [(3.0, 0.0), (2.0, 0.0), (1.0, 0.0)];
        for (export, wanted) in [
            (Export::All, vec![0, 1, 2]),
            (Export::Aggregate, vec![]),
            (Export::Off, vec![]),
            (Export::Auto { all_up_to: 3, top: TOP }, vec![0, 1, 2]),
            (Export::Auto { all_up_to: 2, top: TOP }, vec![0, 1]),
        ] {
            let mut choice = Choice::new(export);
            assert_eq!(choose(&mut choice, &objects, None, at(0)), wanted, "{export:?}");
            assert_eq!(choice.is_off(), export == Export::Off);
        }
    }
}

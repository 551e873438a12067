//! What was the value before? Series that some rule looks back on, kept exactly,
//! as runs of equal values over the polls, within stated bounds.
//!
//! One list of poll times is shared by all series. A series is a list of
//! [`Run`]s: a value and the first and last poll that saw it, so a constant
//! costs 16 bytes however long it lasts. A series that a poll no longer brings
//! gets the stale marker, as Prometheus does after a scrape.

use std::collections::HashMap;
use std::sync::Arc;

use super::labels::Labels;
use super::numbers::{STALE, is_stale};
use super::plan::{LOOKBACK_MS, Reach, Selector};
use super::source::{Latest, Point};

/// How many polls pass between two sweeps: trimming costs a walk over all series.
const SWEEP_EVERY: u32 = 32;

/// What a history may take. Beyond `max_bytes` the oldest past goes, beyond `max_series` new series are not kept;
/// both are counted in [`HistoryStats`] and never silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Memory of runs, labels and poll times, as [`History`] counts it.
    pub max_bytes: usize,
    /// Series kept at once.
    pub max_series: usize,
}

impl Default for Bounds {
    /// Below the 200 MiB the whole history may take, with room for the maps around it.
    fn default() -> Self {
        Self { max_bytes: 160 << 20, max_series: 250_000 }
    }
}

/// What a history holds and what its bounds cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryStats {
    /// Series kept.
    pub series: usize,
    /// Runs of all series.
    pub runs: usize,
    /// Memory, as the bound counts it.
    pub bytes: usize,
    /// Polls whose time is kept.
    pub polls: usize,
    /// Samples that were not kept because there were too many series.
    pub refused_samples: u64,
    /// Polls that were given up before their time because memory ran out.
    pub shortened_polls: u64,
}

/// A value that did not change from one poll to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The value; the stale marker is one too.
    pub value: f64,
    /// Number of the first poll that saw it.
    pub first: u32,
    /// Number of the last one.
    pub last: u32,
}

#[derive(Debug)]
struct Kept {
    labels: Labels,
    keep_ms: i64,
    runs: Vec<Run>,
}

impl Kept {
    fn last(&self) -> Option<&Run> {
        self.runs.last()
    }
}

/// The kept past.
#[derive(Debug, Default)]
pub struct History {
    bounds: Bounds,
    /// Times of the polls `first_poll..`, ascending.
    polls: Vec<i64>,
    first_poll: u32,
    series: Vec<Kept>,
    index: HashMap<Labels, usize>,
    by_name: HashMap<Arc<str>, Vec<usize>>,
    bytes: usize,
    refused_samples: u64,
    shortened_polls: u64,
}

impl History {
    /// An empty history.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Starts the poll of a moment. `false`, and nothing happens, unless it is later than all before.
    pub fn begin(&mut self, at: i64) -> bool {
        if self.newest().is_some_and(|newest| at <= newest) {
            return false;
        }
        self.polls.push(at);
        self.bytes += size_of::<i64>();
        true
    }

    /// Keeps a sample of the poll begun last, for at least `keep_ms`. The first sample of a series in a poll counts.
    pub fn keep(&mut self, labels: &Labels, value: f64, keep_ms: i64) {
        let Some(poll) = self.newest_poll() else { return };
        let at = match self.index.get(labels) {
            Some(&at) => at,
            None if self.series.len() >= self.bounds.max_series => {
                self.refused_samples += 1;
                return;
            }
            None => self.add_series(labels, keep_ms),
        };
        let kept = &mut self.series[at];
        kept.keep_ms = kept.keep_ms.max(keep_ms);
        match kept.runs.last_mut() {
            Some(run) if run.last == poll => {}
            Some(run) if run.last + 1 == poll && run.value.to_bits() == value.to_bits() => run.last = poll,
            _ => self.bytes += push_run(&mut kept.runs, Run { value, first: poll, last: poll }),
        }
    }

    /// Ends the poll begun last: series it did not bring are over, and bounds are kept.
    pub fn finish(&mut self) {
        let Some(poll) = self.newest_poll() else { return };
        for kept in &mut self.series {
            if kept.last().is_some_and(|run| run.last + 1 == poll && !is_stale(run.value)) {
                self.bytes += push_run(&mut kept.runs, Run { value: STALE, first: poll, last: poll });
            }
        }
        if poll.is_multiple_of(SWEEP_EVERY) || self.bytes > self.bounds.max_bytes {
            self.sweep();
        }
    }

    /// Keeps of a poll what the given selectors look back on. May be called again for the same poll, when
    /// recording rules have added to it; [`History::finish`] ends it.
    pub fn record(&mut self, latest: &Latest, reaches: &[Reach]) {
        if self.newest().is_some_and(|newest| newest > latest.at()) {
            self.forget_from(latest.at());
        }
        if self.newest() != Some(latest.at()) && !self.begin(latest.at()) {
            return;
        }
        for reach in reaches.iter().filter(|reach| reach.back_ms > 0) {
            let keep_ms = reach.back_ms.saturating_add(LOOKBACK_MS);
            latest.select(&reach.selector, |labels, value| self.keep(labels, value, keep_ms));
        }
    }

    /// Forgets the polls of a moment and after it: the clock was wrong, and was set back. To wait until it has caught
    /// up could mean to look back on nothing for years.
    fn forget_from(&mut self, at: i64) {
        self.polls.truncate(self.polls.partition_point(|&t| t < at));
        let end = self.number(self.polls.len());
        let mut kept = std::mem::take(&mut self.series);
        for series in &mut kept {
            series.runs.truncate(series.runs.partition_point(|run| run.first < end));
            if let Some(run) = series.runs.last_mut() {
                run.last = run.last.min(end.saturating_sub(1));
            }
        }
        kept.retain(|series| series.runs.iter().any(|run| !is_stale(run.value)));
        self.rebuild(kept);
    }

    /// The time of the newest poll.
    pub fn newest(&self) -> Option<i64> {
        self.polls.last().copied()
    }

    /// The time of the oldest poll that is kept.
    pub fn oldest(&self) -> Option<i64> {
        self.polls.first().copied()
    }

    /// What it holds.
    pub fn stats(&self) -> HistoryStats {
        HistoryStats {
            series: self.series.len(),
            runs: self.series.iter().map(|kept| kept.runs.len()).sum(),
            bytes: self.bytes,
            polls: self.polls.len(),
            refused_samples: self.refused_samples,
            shortened_polls: self.shortened_polls,
        }
    }

    /// Every series with its runs; the time of a run's polls is [`History::time_of`].
    pub fn series(&self) -> impl Iterator<Item = (&Labels, i64, &[Run])> {
        self.series.iter().map(|kept| (&kept.labels, kept.keep_ms, kept.runs.as_slice()))
    }

    /// A history as it was written down. The parts belong together: runs name polls within `polls`.
    pub(super) fn restored(
        bounds: Bounds,
        first_poll: u32,
        polls: Vec<i64>,
        series: Vec<(Labels, i64, Vec<Run>)>,
    ) -> Self {
        let mut history = Self { bounds, first_poll, polls, ..Self::default() };
        let kept = series.into_iter().map(|(labels, keep_ms, runs)| Kept { labels, keep_ms, runs }).collect();
        history.rebuild(kept);
        history
    }

    /// Times of the kept polls and the number of the first.
    pub(super) fn polls(&self) -> (u32, &[i64]) {
        (self.first_poll, &self.polls)
    }

    /// When a poll was, while it is kept.
    pub fn time_of(&self, poll: u32) -> Option<i64> {
        self.polls.get(poll.checked_sub(self.first_poll)? as usize).copied()
    }

    pub(super) fn instant(&self, selector: &Selector, at: i64, lookback: i64, mut visit: impl FnMut(&Labels, Point)) {
        let seen = self.polls.partition_point(|&t| t <= at);
        let Some(newest) = self.number(seen).checked_sub(1).filter(|_| seen > 0) else { return };
        self.select(selector, |kept| {
            let after = kept.runs.partition_point(|run| run.first <= newest);
            let Some(run) = kept.runs[..after].last().filter(|run| !is_stale(run.value)) else { return };
            let Some(t) = self.time_of(run.last.min(newest)) else { return };
            if t > at.saturating_sub(lookback) {
                visit(&kept.labels, Point { t, value: run.value });
            }
        });
    }

    pub(super) fn range(&self, selector: &Selector, start: i64, end: i64, mut visit: impl FnMut(&Labels, &[Point])) {
        let from = self.polls.partition_point(|&t| t <= start);
        let to = self.polls.partition_point(|&t| t <= end);
        if from >= to {
            return;
        }
        let (from_poll, to_poll) = (self.number(from), self.number(to));
        let mut points = Vec::new();
        self.select(selector, |kept| {
            points.clear();
            let skip = kept.runs.partition_point(|run| run.last < from_poll);
            for run in kept.runs[skip..].iter().take_while(|run| run.first < to_poll) {
                if is_stale(run.value) {
                    continue;
                }
                let first = (run.first.max(from_poll) - self.first_poll) as usize;
                let last = (run.last.min(to_poll - 1) - self.first_poll) as usize;
                points.extend(self.polls[first..=last].iter().map(|&t| Point { t, value: run.value }));
            }
            if !points.is_empty() {
                visit(&kept.labels, &points);
            }
        });
    }

    fn select<'a>(&'a self, selector: &Selector, mut visit: impl FnMut(&'a Kept)) {
        match &selector.name {
            Some(name) => {
                let family = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
                family.iter().map(|&at| &self.series[at]).filter(|k| selector.accepts(&k.labels)).for_each(visit);
            }
            None => self.series.iter().filter(|k| selector.accepts(&k.labels)).for_each(&mut visit),
        }
    }

    fn add_series(&mut self, labels: &Labels, keep_ms: i64) -> usize {
        let at = self.series.len();
        let labels = labels.compacted();
        self.bytes += series_weight(&labels);
        self.by_name.entry(Arc::from(labels.metric_name())).or_default().push(at);
        self.index.insert(labels.clone(), at);
        self.series.push(Kept { labels, keep_ms, runs: Vec::new() });
        at
    }

    /// The number of the poll at a position of `polls`.
    fn number(&self, position: usize) -> u32 {
        self.first_poll.saturating_add(u32::try_from(position).unwrap_or(u32::MAX))
    }

    /// The number of the newest poll.
    pub(super) fn newest_poll(&self) -> Option<u32> {
        self.polls.len().checked_sub(1).map(|position| self.number(position))
    }

    /// Drops what nobody may look at any more; when memory is short also the oldest past.
    fn sweep(&mut self) {
        self.trim(0);
        while self.bytes > self.bounds.max_bytes && self.polls.len() > 8 {
            // An eighth at a time: a short step each sweep would sweep at every poll from then on.
            let cut = self.polls.len() / 8;
            self.shortened_polls += cut as u64;
            self.trim(cut);
        }
    }

    /// Drops the first `cut` polls, and every run older than its series is to be kept.
    fn trim(&mut self, cut: usize) {
        let Some(now) = self.newest() else { return };
        let mut kept = std::mem::take(&mut self.series);
        let first_poll = self.number(cut);
        let oldest_of = |keep_ms: i64| -> u32 {
            let from = now.saturating_sub(keep_ms);
            self.number(self.polls.partition_point(|&t| t < from)).max(first_poll)
        };
        for series in &mut kept {
            let oldest = oldest_of(series.keep_ms);
            let gone = series.runs.partition_point(|run| run.last < oldest);
            series.runs.drain(..gone);
            if let Some(run) = series.runs.first_mut() {
                run.first = run.first.max(first_poll);
            }
            if series.runs.capacity() > series.runs.len() + series.runs.len() / 2 + 8 {
                series.runs.shrink_to_fit();
            }
        }
        // A series of which only its end is left is nothing any more.
        kept.retain(|series| series.runs.iter().any(|run| !is_stale(run.value)));
        let longest = kept.iter().map(|series| series.keep_ms).max().unwrap_or(0);
        let gone = oldest_of(longest).min(self.number(self.polls.len() - 1)) - self.first_poll;
        self.polls.drain(..gone as usize);
        self.first_poll += gone;
        self.rebuild(kept);
    }

    fn rebuild(&mut self, series: Vec<Kept>) {
        if series.len() != self.index.len() {
            self.index.clear();
            self.by_name.clear();
            for (at, kept) in series.iter().enumerate() {
                self.index.insert(kept.labels.clone(), at);
                self.by_name.entry(Arc::from(kept.labels.metric_name())).or_default().push(at);
            }
        }
        self.bytes = self.polls.capacity() * size_of::<i64>()
            + series.iter().map(|k| series_weight(&k.labels) + k.runs.capacity() * size_of::<Run>()).sum::<usize>();
        self.series = series;
    }
}

/// Adds a run and tells the bytes it took. Grows by a quarter: doubling would waste half of the bound.
fn push_run(runs: &mut Vec<Run>, run: Run) -> usize {
    let before = runs.capacity();
    if runs.len() == before {
        runs.reserve_exact(before / 4 + 4);
    }
    runs.push(run);
    (runs.capacity() - before) * size_of::<Run>()
}

/// Labels are held by the series and by the index; the rest is the slots of both.
fn series_weight(labels: &Labels) -> usize {
    labels.weight() + size_of::<Kept>() + size_of::<(Labels, usize)>() + 16
}

#[cfg(test)]
mod tests;

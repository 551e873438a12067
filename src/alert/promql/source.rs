//! Which samples can an evaluation see?

use std::collections::HashMap;
use std::sync::Arc;

use super::history::History;
use super::labels::Labels;
use super::plan::{LOOKBACK_MS, Selector};

/// A value and when it was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since 1970.
    pub t: i64,
    /// The value.
    pub value: f64,
}

/// Every series of the newest poll: one sample each, all of one moment. What is not in it is over.
#[derive(Debug, Default)]
pub struct Latest {
    at: i64,
    families: HashMap<Arc<str>, Vec<(Labels, f64)>>,
}

impl Latest {
    /// An empty set of a moment.
    pub fn new(at: i64) -> Self {
        Self { at, families: HashMap::new() }
    }

    /// The moment of the samples, in milliseconds since 1970.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// Adds a sample. The caller sees to it that a label set comes once.
    pub fn push(&mut self, labels: Labels, value: f64) {
        match self.families.get_mut(labels.metric_name()) {
            Some(family) => family.push((labels, value)),
            None => drop(self.families.insert(Arc::from(labels.metric_name()), vec![(labels, value)])),
        }
    }

    /// Adds all samples of one metric at once; their labels hold `name`.
    pub fn push_family(&mut self, name: &str, samples: Vec<(Labels, f64)>) {
        match self.families.get_mut(name) {
            Some(family) => family.extend(samples),
            None => drop(self.families.insert(Arc::from(name), samples)),
        }
    }

    /// The samples of one metric.
    pub fn family(&self, name: &str) -> &[(Labels, f64)] {
        self.families.get(name).map_or(&[], Vec::as_slice)
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.families.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.families.is_empty()
    }

    /// Calls `visit` with each sample a selector means.
    pub(super) fn select(&self, selector: &Selector, mut visit: impl FnMut(&Labels, f64)) {
        let mut each = |family: &[(Labels, f64)]| {
            for (labels, value) in family.iter().filter(|(labels, _)| selector.accepts(labels)) {
                visit(labels, *value);
            }
        };
        match &selector.name {
            Some(name) => each(self.family(name)),
            None => {
                // Rare, and its order can be seen by people: by name.
                let mut names: Vec<_> = self.families.keys().collect();
                names.sort();
                names.into_iter().for_each(|name| each(self.family(name)));
            }
        }
    }
}

/// The newest poll and the past.
///
/// An instant selector at or after the newest poll reads [`Latest`], which is complete; everything else
/// reads [`History`], which holds the series that some rule looks back on.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    latest: Option<&'a Latest>,
    history: &'a History,
}

impl<'a> Source<'a> {
    /// The newest poll over its past.
    pub fn new(latest: &'a Latest, history: &'a History) -> Self {
        Self { latest: Some(latest), history }
    }

    /// A past alone: every selector reads it.
    pub fn past(history: &'a History) -> Self {
        Self { latest: None, history }
    }

    /// Calls `visit` with the newest sample of each meant series in the lookback before `at`, and its time.
    pub(super) fn instant(&self, selector: &Selector, at: i64, mut visit: impl FnMut(&Labels, Point)) {
        match self.latest {
            Some(latest) if at >= latest.at => {
                if latest.at > at.saturating_sub(LOOKBACK_MS) {
                    latest.select(selector, |labels, value| {
                        if !super::is_stale(value) {
                            visit(labels, Point { t: latest.at, value });
                        }
                    });
                }
            }
            _ => self.history.instant(selector, at, LOOKBACK_MS, visit),
        }
    }

    /// Calls `visit` with the samples of each meant series in `(start, end]`; series without one are left out.
    pub(super) fn range(&self, selector: &Selector, start: i64, end: i64, visit: impl FnMut(&Labels, &[Point])) {
        self.history.range(selector, start, end, visit);
    }
}

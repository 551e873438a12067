//! Which metrics are there? Each family is declared once, with how it is made;
//! encoder, documentation and tests read this list.

mod device;
mod domain;
mod fault_set;
mod health;
mod mdm;
mod own;
mod pool;
mod replication;
mod sdc;
mod sds;
mod shared;
mod system;
mod volume;
mod work;

use std::sync::LazyLock;

use crate::model::cluster::{Device, Sdc, Volume};
use crate::model::snapshot::Collector;
use crate::model::stats::{Columns, Stat, StatKind};
use crate::model::unit::Window;

use super::encode::{Labels, Lines};
use super::view::View;

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until a restart.
    Counter,
    /// Counts observations under bounds.
    Histogram,
}

impl Type {
    /// Its name in both formats.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// Where a family's values come from, and by which name `collect[]` chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// A collector: the part of a system that it asks.
    Of(Collector),
    /// Ourselves.
    Exporter,
    /// Ourselves, and in every body whatever is chosen: which snapshot it is of.
    Always,
}

impl Scope {
    /// Its name in `collect[]` and in the series about series.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Of(collector) => collector.as_str(),
            Self::Exporter | Self::Always => "exporter",
        }
    }
}

/// A metric family.
pub struct Family {
    /// Its name; the unit is in it.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// One sentence or two; capacity says whether it is raw or net.
    pub help: String,
    /// Labels in the order in which they are written.
    pub labels: Vec<&'static str>,
    /// Where the value comes from, in the gateway's words.
    pub source: &'static str,
    /// Which collector it belongs to.
    pub scope: Scope,
    /// The heading it stands under in the documentation.
    pub area: &'static str,
    pub(super) rule: Rule,
}

impl Family {
    /// Its name as OpenMetrics declares it: there the `_total` of a counter
    /// belongs to the sample.
    pub fn open_metrics_name(&self) -> &str {
        match self.kind {
            Type::Counter => self.name.strip_suffix("_total").unwrap_or(&self.name),
            Type::Gauge | Type::Histogram => &self.name,
        }
    }

    /// Whether `collect[]` with these names wants it.
    pub(super) fn is_chosen(&self, collect: Option<&[&str]>) -> bool {
        self.scope == Scope::Always || collect.is_none_or(|names| names.contains(&self.scope.as_str()))
    }
}

/// How the samples of a family are made.
pub(super) enum Rule {
    /// From a look at the whole system.
    Whole(fn(&View<'_>, &mut Lines<'_>)),
    /// From a device alone: kept while devices are the same.
    Device(fn(&Device, Labels<'_>, &mut Lines<'_>)),
    /// From a client alone: kept while clients are the same.
    Sdc(fn(&Sdc, Labels<'_>, &mut Lines<'_>)),
    /// From a volume alone: kept while volumes are the same.
    Volume(fn(&Volume, Labels<'_>, &mut Lines<'_>)),
    /// Statistics of each object of a kind, as they are.
    Stats(StatKind, Vec<Sample>),
    /// How many series there are: written when all others are.
    Series,
    /// How many series a limit withholds: written when all others are.
    Dropped,
    /// Kept in the registry of [`super::Own`], written at every scrape.
    Registry,
}

/// One series an object: more labels, and the statistic.
pub(super) struct Sample {
    /// Ready text, begins with a comma unless empty.
    pub(super) more: String,
    pub(super) read: Read,
}

impl Sample {
    /// A series without further labels.
    fn plain(read: Read) -> Self {
        Self { more: String::new(), read }
    }

    /// A series with further labels; names and values need no escaping.
    fn with(labels: &[(&str, &str)], read: Read) -> Self {
        Self { more: labels.iter().map(|(name, value)| format!(",{name}=\"{value}\"")).collect(), read }
    }

    /// Whether objects of a kind have what it reads.
    fn is_of(&self, kind: StatKind) -> bool {
        self.read.stats().iter().all(|stat| stat.kinds().contains(&kind))
    }
}

/// How a statistic becomes a value.
#[derive(Clone, Copy)]
pub(super) enum Read {
    /// As it is.
    Number(Stat),
    /// As it is; 0 says that there was nothing to measure.
    Positive(Stat),
    /// The sum of those that are there.
    Sum(&'static [Stat]),
    /// Operations of a window per second.
    Operations(Stat),
    /// Bytes of a window per second.
    Throughput(Stat),
    /// [`Self::Operations`], absent when there was none.
    SomeOperations(Stat),
    /// [`Self::Throughput`], absent when there was none.
    SomeThroughput(Stat),
    /// The mean of a window; absent when nothing happened in it.
    Latency(Stat),
}

impl Read {
    fn stats(&self) -> &[Stat] {
        match self {
            Self::Sum(stats) => stats,
            Self::Number(stat)
            | Self::Positive(stat)
            | Self::Operations(stat)
            | Self::Throughput(stat)
            | Self::SomeOperations(stat)
            | Self::SomeThroughput(stat)
            | Self::Latency(stat) => std::slice::from_ref(stat),
        }
    }

    /// Where its statistics are in the rows of a table; nothing when the
    /// gateway does not have them.
    pub(super) fn placed(self, columns: &Columns) -> Option<Placed> {
        let place = |stat| columns.place(stat);
        Some(match self {
            Self::Number(stat) => Placed::Number(place(stat)?),
            Self::Positive(stat) => Placed::Positive(place(stat)?),
            Self::Sum(stats) => Placed::Sum(stats.iter().filter_map(|stat| place(*stat)).collect()),
            Self::Operations(stat) => Placed::Operations(place(stat)?),
            Self::Throughput(stat) => Placed::Throughput(place(stat)?),
            Self::SomeOperations(stat) => Placed::SomeOperations(place(stat)?),
            Self::SomeThroughput(stat) => Placed::SomeThroughput(place(stat)?),
            Self::Latency(stat) => Placed::Latency(place(stat)?),
        })
    }
}

/// A [`Read`] that knows its place, looked up once for all rows.
pub(super) enum Placed {
    Number(usize),
    Positive(usize),
    Sum(Vec<usize>),
    Operations(usize),
    Throughput(usize),
    SomeOperations(usize),
    SomeThroughput(usize),
    Latency(usize),
}

impl Placed {
    /// The value in the numbers of a row.
    #[inline]
    pub(super) fn of(&self, values: &[f64]) -> Option<f64> {
        let number = |place: usize| values.get(place).copied().filter(|value| value.is_finite());
        let window = |place: usize| match values.get(place..place + 3) {
            // One that is not finite makes the sum so too.
            Some(&[seconds, weight, count]) if (seconds + weight + count).is_finite() => {
                Some(Window { seconds, weight, count })
            }
            _ => None,
        };
        match self {
            Self::Number(place) => number(*place),
            Self::Positive(place) => number(*place).filter(|value| *value > 0.0),
            Self::Sum(places) => places
                .iter()
                .filter_map(|place| number(*place))
                .fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value)),
            Self::Operations(place) => window(*place)?.per_second(),
            Self::Throughput(place) => window(*place)?.bytes_per_second(),
            Self::SomeOperations(place) => window(*place)?.per_second().filter(|rate| *rate > 0.0),
            Self::SomeThroughput(place) => window(*place)?.bytes_per_second().filter(|rate| *rate > 0.0),
            Self::Latency(place) => window(*place)?.mean_seconds(),
        }
    }
}

/// What the families of one kind of object have in common.
#[derive(Clone, Copy)]
struct Area {
    scope: Scope,
    labels: &'static [&'static str],
}

impl Area {
    const fn of(collector: Collector, labels: &'static [&'static str]) -> Self {
        Self { scope: Scope::Of(collector), labels }
    }

    fn family(
        self,
        kind: Type,
        name: impl Into<String>,
        more: &[&'static str],
        help: impl Into<String>,
        source: &'static str,
        rule: Rule,
    ) -> Family {
        let labels = self.labels.iter().chain(more).copied().collect();
        Family { name: name.into(), kind, help: help.into(), labels, source, scope: self.scope, area: "", rule }
    }

    fn gauge(
        self,
        name: impl Into<String>,
        more: &[&'static str],
        help: impl Into<String>,
        source: &'static str,
        rule: Rule,
    ) -> Family {
        self.family(Type::Gauge, name, more, help, source, rule)
    }

    fn counter(
        self,
        name: impl Into<String>,
        more: &[&'static str],
        help: impl Into<String>,
        source: &'static str,
        rule: Rule,
    ) -> Family {
        self.family(Type::Counter, name, more, help, source, rule)
    }
}

/// Every family, in the order in which they are written.
pub fn families() -> &'static [Family] {
    static FAMILIES: LazyLock<Vec<Family>> = LazyLock::new(|| {
        [
            ("Ourselves, by poll", health::families()),
            ("System", system::families()),
            ("MDM cluster", mdm::families()),
            ("Protection domain", domain::families()),
            ("Storage pool", pool::families()),
            ("SDS", sds::families()),
            ("Fault set", fault_set::families()),
            ("Device", device::families()),
            ("SDC", sdc::families()),
            ("Volume and snapshot", volume::families()),
            ("Replication", replication::families()),
            ("Ourselves, as it happens", own::families()),
            ("Work on systems", work::families()),
        ]
        .into_iter()
        .flat_map(|(area, families)| families.into_iter().map(move |family| Family { area, ..family }))
        .collect()
    });
    &FAMILIES
}

/// Whether `collect[]` may name this.
pub fn is_scope(name: &str) -> bool {
    families().iter().any(|family| family.scope.as_str() == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_family_is_declared_once_and_named_for_its_type_and_unit() {
        let mut names = BTreeSet::new();
        for family in families() {
            assert!(names.insert(&family.name), "{} is declared twice", family.name);
            assert_eq!(family.name.ends_with("_total"), family.kind == Type::Counter, "{}", family.name);
            assert!(!family.help.is_empty() && !family.help.contains(['\\', '\n', '"']), "{}", family.name);
            assert!(!family.source.is_empty(), "{} has no source", family.name);
            let labels: BTreeSet<_> = family.labels.iter().collect();
            assert_eq!(labels.len(), family.labels.len(), "{} has a label twice", family.name);
            for shorthand in ["_kb", "_mb", "_ms", "_percent", "_secs"] {
                assert!(!family.name.contains(shorthand), "{}", family.name);
            }
        }
    }

    #[test]
    fn capacity_says_whether_it_is_raw_or_net() {
        for family in
            families().iter().filter(|family| family.name.contains("_capacity_") && family.name.ends_with("_bytes"))
        {
            let help = family.help.to_lowercase();
            assert!(help.contains("raw") || help.contains("net"), "{}: {}", family.name, family.help);
        }
    }
}

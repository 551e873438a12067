//! How did a few figures go in the last hours? The worst of each quarter of an hour.

use std::collections::BTreeMap;

use chrono::DateTime;

use crate::model::alerting::{Chart, Notification, Number, Unit};
use crate::model::notice::{named, unprotected};
use crate::model::snapshot::Snapshot;
use crate::model::stats::{Stat, StatKind};

/// Seconds of one value.
const STEP: u32 = 15 * 60;

/// Six hours.
const VALUES: i64 = 24;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Figure {
    /// Data that lacks a copy.
    Unprotected,
    /// Mean latency of writes over all clients.
    WriteLatency,
    /// How full a pool is, by its domain and name.
    Used(String, String),
}

/// The past of a system's figures, by the number of the quarter of an hour.
#[derive(Debug, Default)]
pub(super) struct Trail(BTreeMap<Figure, BTreeMap<i64, f64>>);

impl Trail {
    pub(super) fn see(&mut self, snapshot: &Snapshot) {
        let slot = snapshot.taken_at.timestamp().div_euclid(i64::from(STEP));
        let mut note = |figure, value: Option<f64>| {
            if let Some(value) = value.filter(|value| value.is_finite()) {
                let worst = self.0.entry(figure).or_default().entry(slot).or_insert(value);
                *worst = worst.max(value);
            }
        };
        note(Figure::Unprotected, unprotected(snapshot).map(|bytes| bytes as f64));
        let statistics = snapshot.statistics.as_ref();
        let system = statistics.and_then(|part| part.system());
        let latency = system.and_then(|row| row.window(Stat::UserDataSdcWriteLatency)?.mean_seconds());
        note(Figure::WriteLatency, latency);
        for pool in snapshot.pools.iter().flat_map(|part| part.iter()) {
            let Some(row) = statistics.and_then(|part| part.row(StatKind::StoragePool, pool.id.object())) else {
                continue;
            };
            let domain = pool.domain.as_ref().and_then(|id| snapshot.domains.as_ref()?.get(id));
            let domain = domain.map_or_else(String::new, |domain| named(domain.name.as_deref(), &domain.id));
            let bytes = |stat| row.bytes(stat).map(|bytes| bytes.get() as f64);
            let usable = bytes(Stat::CapacityLimitInKb)
                .zip(bytes(Stat::SpareCapacityInKb))
                .map(|(limit, spare)| limit - spare)
                .filter(|usable| *usable > 0.0);
            let used = bytes(Stat::CapacityInUseInKb).zip(usable).map(|(used, usable)| used / usable);
            note(Figure::Used(domain, named(pool.name.as_deref(), &pool.id)), used);
        }
        let gone = slot - VALUES;
        self.0.values_mut().for_each(|values| values.retain(|at, _| *at > gone));
        self.0.retain(|_, values| !values.is_empty());
    }

    /// The figures that belong to what is told. A figure that was zero all the time says nothing.
    pub(super) fn charts(&self, n: &Notification) -> Vec<Chart> {
        let last = n.created_at.timestamp().div_euclid(i64::from(STEP));
        let mut figures: Vec<Figure> = Vec::new();
        for item in &n.items {
            let label = |name: &str| item.alert.labels.get(name).cloned();
            let figure = match item.alert.area.as_str() {
                "capacity" => label("protection_domain").zip(label("storage_pool")).map(|(d, p)| Figure::Used(d, p)),
                "performance" => Some(Figure::WriteLatency),
                "protection" | "sds" | "device" => Some(Figure::Unprotected),
                _ => None,
            };
            if let Some(figure) = figure.filter(|figure| !figures.contains(figure)) {
                figures.push(figure);
            }
        }
        // More than two are no longer small.
        figures.into_iter().take(2).filter_map(|figure| self.chart(&figure, last)).collect()
    }

    fn chart(&self, figure: &Figure, last: i64) -> Option<Chart> {
        let values = self.0.get(figure)?;
        if values.values().all(|value| *value == 0.0) {
            return None;
        }
        let (what, unit) = match figure {
            Figure::Unprotected => ("Data that lacks a copy".to_owned(), Unit::Bytes),
            Figure::WriteLatency => ("Mean latency of writes".to_owned(), Unit::Seconds),
            Figure::Used(_, pool) => (format!("Use of pool {pool}"), Unit::Ratio),
        };
        let first = last - VALUES + 1;
        Some(Chart {
            title: format!("{what}, last 6 hours"),
            unit,
            from: DateTime::from_timestamp(first * i64::from(STEP), 0)?,
            step_seconds: STEP,
            values: (first..=last).map(|slot| values.get(&slot).copied().map(Number)).collect(),
            threshold: None,
        })
    }
}

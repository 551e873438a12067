//! Families of fault sets, all of them sums over their SDSs.

use std::collections::BTreeMap;

use crate::metrics::encode::Lines;
use crate::metrics::view::View;
use crate::model::id::FaultSetId;
use crate::model::snapshot::Collector;
use crate::model::state::Connection;
use crate::model::stats::Stat;

use super::{Area, Family, Rule};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::FaultSets, &["system", "protection_domain", "fault_set"]);
    vec![
        area.gauge(
            "scaleio_fault_set_sds",
            &[],
            "SDSs in the fault set.",
            "derived from Sds.faultSetId",
            Rule::Whole(|view, lines| write(view, lines, |sum| Some(sum.sds))),
        ),
        area.gauge(
            "scaleio_fault_set_sds_connected",
            &[],
            "SDSs of the fault set that are connected.",
            "derived from Sds.faultSetId, mdmConnectionState",
            Rule::Whole(|view, lines| write(view, lines, |sum| Some(sum.connected))),
        ),
        area.gauge(
            "scaleio_fault_set_capacity_max_bytes",
            &[],
            "Raw capacity of the fault set; absent unless all its SDSs tell theirs.",
            "sum of maxCapacityInKb of its SDSs",
            Rule::Whole(|view, lines| write(view, lines, |sum| sum.capacity)),
        ),
    ]
}

/// What the SDSs of a fault set are together.
#[derive(Clone, Copy)]
struct Sum {
    sds: f64,
    connected: f64,
    capacity: Option<f64>,
}

impl Sum {
    const NOTHING: Self = Self { sds: 0.0, connected: 0.0, capacity: Some(0.0) };
}

fn write(view: &View<'_>, lines: &mut Lines<'_>, value: impl Fn(Sum) -> Option<f64>) {
    // Without the SDSs nothing can be said, not even 0.
    if view.snapshot.is_none_or(|snapshot| snapshot.sds.is_none()) {
        return;
    }
    let mut sums: BTreeMap<&FaultSetId, Sum> = BTreeMap::new();
    for sds in view.sds() {
        if let Some(id) = &sds.object.fault_set {
            let sum = sums.entry(id).or_insert(Sum::NOTHING);
            sum.sds += 1.0;
            sum.connected += f64::from(sds.object.connection.is(Connection::Connected));
            let capacity = sds.row.and_then(|row| row.number(Stat::MaxCapacityInKb));
            sum.capacity = sum.capacity.zip(capacity).map(|(sum, more)| sum + more);
        }
    }
    for fault_set in view.fault_sets() {
        let sum = sums.get(&fault_set.object.id).copied().unwrap_or(Sum::NOTHING);
        lines.sample(fault_set.labels, "", value(sum));
    }
}

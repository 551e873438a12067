//! Families of replication; its journal is among those of the pools.

use std::collections::BTreeMap;

use crate::metrics::derive::pair_state;
use crate::metrics::encode::Lines;
use crate::metrics::view::View;
use crate::model::cluster::{ConsistencyGroup, ReplicationPair};
use crate::model::id::ConsistencyGroupId;
use crate::model::snapshot::Collector;
use crate::model::state::ReplicationState;
use crate::model::stats::{Stat, StatKind};

use super::shared::labelled;
use super::{Area, Family, Read, Rule};

pub(super) fn families() -> Vec<Family> {
    let group = Area::of(Collector::ConsistencyGroups, &["system", "consistency_group"]);
    let pair = Area::of(Collector::ReplicationPairs, &["system", "consistency_group"]);
    let system = Area::of(Collector::ConsistencyGroups, &["system"]);
    vec![
        group.gauge(
            "scaleio_replication_group_rpo_seconds",
            &[],
            "Configured recovery point objective.",
            "ReplicationConsistencyGroup.rpoInSeconds",
            Rule::Whole(|view, lines| {
                for group in view.groups() {
                    lines.sample(group.labels, "", group.object.rpo_seconds);
                }
            }),
        ),
        group.gauge(
            "scaleio_replication_group_lag_seconds",
            &[],
            "Age of the last consistent point at the target.",
            "lagAppliedInMillis, or else lagPersistentInMillis, or else lagReceivedInMillis",
            Rule::Whole(|view, lines| {
                for group in view.groups() {
                    let lag = group.row.and_then(|row| {
                        [Stat::LagAppliedInMillis, Stat::LagPersistentInMillis, Stat::LagReceivedInMillis]
                            .into_iter()
                            .find_map(|stat| row.number(stat))
                    });
                    lines.sample(group.labels, "", lag);
                }
            }),
        ),
        group.gauge(
            "scaleio_replication_group_state",
            &["state"],
            "1 for the current state: paused, or the MDM's verdict if it is not Ok, or else how consistent the target is.",
            "ReplicationConsistencyGroup: pauseMode, abstractState, currConsistMode",
            Rule::Whole(|view, lines| {
                for group in view.groups() {
                    lines.line(group.labels).word("state", state(group.object)).is(1.0);
                }
            }),
        ),
        pair.gauge(
            "scaleio_replication_pairs",
            &["state"],
            "Pairs by state (initial_copy, synced, paused, error).",
            "ReplicationPair: initialCopyState, lifetimeState",
            Rule::Whole(pairs),
        ),
        pair.gauge(
            "scaleio_replication_initial_copy_ratio",
            &[],
            "Progress of the initial copy, the mean over the pairs of the group.",
            "initialCopyProgress",
            Rule::Whole(initial_copy),
        ),
        system.gauge(
            "scaleio_replication_transfer_bytes_per_second",
            &["stage"],
            "Bandwidth of replication by stage (transmit, receive, apply) over the MDM's window.",
            "rplTransmitBwc, rplReceiveBwc, rplLocalApplyBwc",
            Rule::Stats(StatKind::System, labelled("stage", &[
                ("transmit", Read::Throughput(Stat::RplTransmitBwc)),
                ("receive", Read::Throughput(Stat::RplReceiveBwc)),
                ("apply", Read::Throughput(Stat::RplLocalApplyBwc)),
            ])),
        ),
    ]
}

fn state(group: &ConsistencyGroup) -> &str {
    let paused = group.pause_mode.as_deref().is_some_and(|mode| !matches!(mode, "" | "None"));
    let bad = group.state.as_ref().filter(|state| !state.is(ReplicationState::Ok));
    let consistency = group.consistency.as_ref().map(|consistency| consistency.word());
    match (paused, bad) {
        (true, _) => "paused",
        (false, Some(state)) => state.word(),
        (false, None) => consistency.or(group.state.as_ref().map(|state| state.word())).unwrap_or("unknown"),
    }
}

fn by_group<'a>(view: &View<'a>) -> BTreeMap<&'a ConsistencyGroupId, Vec<&'a ReplicationPair>> {
    let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let pairs = view.snapshot.and_then(|snapshot| snapshot.pairs.as_deref());
    for pair in pairs.into_iter().flat_map(|table| table.iter()) {
        if let Some(group) = &pair.group {
            groups.entry(group).or_default().push(pair);
        }
    }
    groups
}

fn pairs(view: &View<'_>, lines: &mut Lines<'_>) {
    let groups = by_group(view);
    for group in view.groups() {
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        for pair in groups.get(&group.object.id).into_iter().flatten() {
            *counts.entry(pair_state(pair)).or_default() += 1.0;
        }
        for (state, count) in counts {
            lines.line(group.labels).label("state", &state).is(count);
        }
    }
}

fn initial_copy(view: &View<'_>, lines: &mut Lines<'_>) {
    let groups = by_group(view);
    let Some(table) = view.table(StatKind::ReplicationPair) else { return };
    for group in view.groups() {
        let progress: Vec<f64> = groups
            .get(&group.object.id)
            .into_iter()
            .flatten()
            .filter_map(|pair| table.row(pair.id.object())?.number(Stat::InitialCopyProgress))
            .collect();
        let mean = (!progress.is_empty()).then(|| progress.iter().sum::<f64>() / progress.len() as f64);
        lines.sample(group.labels, "", mean);
    }
}

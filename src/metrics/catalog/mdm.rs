//! Families of the MDM cluster: its members, its alerts and its events.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::derive::{is_normal, members_wanted};
use crate::metrics::encode::Lines;
use crate::metrics::naming::{Unique, snaked};
use crate::metrics::view::View;
use crate::model::cluster::{MdmCluster, MdmMember, MdmRole};
use crate::model::snapshot::Collector;
use crate::model::state::{MdmStatus, Severity, State};

use super::{Area, Family, Rule};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::System, &["system"]);
    let alerts = Area::of(Collector::Alerts, &["system"]);
    let events = Area::of(Collector::Events, &["system"]);
    vec![
        area.gauge(
            "scaleio_mdm_cluster_normal",
            &[],
            "1 when the cluster state is ClusteredNormal, or the only MDM of a single-node system answers.",
            "mdmCluster.clusterState, clusterMode",
            Rule::Whole(|view, lines| {
                lines.sample(view.system(), "", cluster(view).map(|mdm| f64::from(is_normal(mdm))));
            }),
        ),
        area.gauge(
            "scaleio_mdm_cluster_state",
            &["state", "mode"],
            "1 for the current state and mode.",
            "mdmCluster.clusterState, clusterMode",
            Rule::Whole(|view, lines| {
                if let Some(mdm) = cluster(view) {
                    lines.line(view.system()).word("state", mdm.state.word()).word("mode", mdm.mode.word()).is(1.0);
                }
            }),
        ),
        area.gauge(
            "scaleio_mdm_cluster_nodes",
            &[],
            "Members the mode asks for.",
            "mdmCluster.clusterMode",
            Rule::Whole(|view, lines| {
                lines.sample(view.system(), "", cluster(view).and_then(|mdm| members_wanted(&mdm.mode)));
            }),
        ),
        area.gauge(
            "scaleio_mdm_cluster_good_nodes",
            &[],
            "Members in good health.",
            "mdmCluster.goodNodesNum",
            Rule::Whole(|view, lines| {
                lines.sample(view.system(), "", cluster(view).and_then(|mdm| mdm.good_nodes).map(f64::from));
            }),
        ),
        area.gauge(
            "scaleio_mdm_cluster_good_replicas",
            &[],
            "Repository replicas in good health.",
            "mdmCluster.goodReplicasNum",
            Rule::Whole(|view, lines| {
                lines.sample(view.system(), "", cluster(view).and_then(|mdm| mdm.good_replicas).map(f64::from));
            }),
        ),
        area.gauge(
            "scaleio_mdm_info",
            &["mdm", "mdm_id", "role", "version"],
            "Members; always 1. Role: primary, secondary, tie_breaker, or standby outside the cluster.",
            "mdmCluster.master, slaves, tieBreakers, standbyMDMs",
            Rule::Whole(info),
        ),
        area.gauge(
            "scaleio_mdm_up",
            &["mdm"],
            "1 when the status of the member is Normal; the primary that answers is up.",
            "mdmCluster.*.status",
            Rule::Whole(up),
        ),
        area.counter(
            "scaleio_mdm_primary_changes_total",
            &[],
            "Changes of the primary that were seen, kept over restarts.",
            "derived",
            Rule::Whole(|view, lines| {
                let seen = view.picture.observed.primary.is_some();
                lines.sample(view.system(), "", seen.then(|| view.picture.observed.primary_changes as f64));
            }),
        ),
        alerts.gauge(
            "scaleio_mdm_alerts",
            &["alert", "severity"],
            "Active MDM alerts by name.",
            "up to 3.6 /api/types/Alert/instances (ALERT_LOW, _MEDIUM, _HIGH become minor, major, critical), from 4.0 /rest/v1/alerts",
            Rule::Whole(alerts_by_name),
        ),
        events.counter(
            "scaleio_mdm_events_total",
            &["severity"],
            "Events read from the MDM's event log, kept over restarts of the exporter.",
            "event log",
            Rule::Whole(|view, lines| {
                if view.snapshot.is_some_and(|snapshot| snapshot.events.is_some()) {
                    let counted = &view.picture.observed.events;
                    let known = Severity::ALL.iter().map(|severity| severity.word());
                    let all: BTreeSet<&str> = known.chain(counted.keys().map(String::as_str)).collect();
                    for severity in all {
                        let count = counted.get(severity).copied().unwrap_or(0);
                        lines.line(view.system()).label("severity", &snaked(severity)).is(count as f64);
                    }
                }
            }),
        ),
    ]
}

fn cluster<'a>(view: &View<'a>) -> Option<&'a MdmCluster> {
    view.snapshot?.array.as_ref()?.mdm.as_ref()
}

/// Members with the names they have in labels.
fn members<'a>(view: &View<'a>) -> Vec<(String, &'a MdmMember)> {
    let mut members: Vec<&MdmMember> = cluster(view).map_or(Vec::new(), |mdm| mdm.members.iter().collect());
    // By id, so that of two with one name it does not depend on their roles
    // which of them keeps it.
    members.sort_by(|a, b| a.id.cmp(&b.id));
    let mut unique = Unique::default();
    members
        .into_iter()
        .map(|member| {
            let address = || member.management_ips.first().or_else(|| member.ips.first()).map(|ip| &**ip);
            (unique.name("", member.name.as_deref().or_else(address), &member.id), member)
        })
        .collect()
}

fn info(view: &View<'_>, lines: &mut Lines<'_>) {
    for (name, member) in members(view) {
        let role = match member.role {
            MdmRole::Primary => "primary",
            MdmRole::Secondary => "secondary",
            MdmRole::TieBreaker => "tie_breaker",
            MdmRole::StandbyManager | MdmRole::StandbyTieBreaker => "standby",
        };
        lines
            .line(view.system())
            .label("mdm", &name)
            .shown("mdm_id", &member.id)
            .label("role", role)
            .maybe("version", member.version.as_ref().map(|version| version.as_str()))
            .is(1.0);
    }
}

fn up(view: &View<'_>, lines: &mut Lines<'_>) {
    for (name, member) in members(view) {
        let up = match &member.status {
            Some(status) => status.is(MdmStatus::Normal),
            None if member.role == MdmRole::Primary => true,
            // Members outside the cluster have no status.
            None => continue,
        };
        lines.line(view.system()).label("mdm", &name).is(f64::from(up));
    }
}

fn alerts_by_name(view: &View<'_>, lines: &mut Lines<'_>) {
    let Some(alerts) = view.snapshot.and_then(|snapshot| snapshot.alerts.as_ref()) else { return };
    let mut counts: BTreeMap<(&str, String), f64> = BTreeMap::new();
    for alert in alerts.iter() {
        *counts.entry((&alert.name, snaked(alert.severity.word()))).or_default() += 1.0;
    }
    for ((alert, severity), count) in counts {
        lines.line(view.system()).label("alert", alert).label("severity", &severity).is(count);
    }
}

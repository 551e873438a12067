//! Families that say how far the others can be trusted: which snapshot they
//! are of, how polling goes, and what a limit withholds.

use crate::metrics::encode::Lines;
use crate::metrics::view::View;
use crate::model::picture::CollectorHealth;
use crate::model::snapshot::Collector;

use super::system::seconds;
use super::{Area, Family, Rule, Scope};

pub(super) fn families() -> Vec<Family> {
    let always = Area { scope: Scope::Always, labels: &["system"] };
    let collector = Area { scope: Scope::Exporter, labels: &["system", "collector"] };
    vec![
        always.gauge(
            "scaleio_up",
            &[],
            "1 when the last poll of this system succeeded.",
            "poller",
            Rule::Whole(|view, lines| {
                lines.sample(view.system(), "", Some(f64::from(view.picture.health.last_poll_succeeded)));
            }),
        ),
        always.gauge(
            "scaleio_snapshot_seq",
            &[],
            "Number of the snapshot that this body was made of; counts up by one with every snapshot since the start.",
            "poller",
            Rule::Whole(|view, lines| {
                lines.sample(view.system(), "", view.snapshot.map(|snapshot| snapshot.seq as f64));
            }),
        ),
        always.gauge(
            "scaleio_snapshot_timestamp_seconds",
            &[],
            "When the snapshot that this body was made of was complete.",
            "poller",
            Rule::Whole(|view, lines| {
                lines.sample(view.system(), "", view.snapshot.map(|snapshot| seconds(snapshot.taken_at)));
            }),
        ),
        collector.gauge(
            "scaleio_collector_success",
            &[],
            "1 when the collector's last run succeeded.",
            "poller",
            Rule::Whole(|view, lines| each(view, lines, |health| Some(f64::from(health.error.is_none())))),
        ),
        collector.gauge(
            "scaleio_collector_interval_seconds",
            &[],
            "Pause between two runs that is now in force (adaptive).",
            "poller",
            Rule::Whole(|view, lines| each(view, lines, |health| Some(health.interval.as_secs_f64()))),
        ),
        collector.gauge(
            "scaleio_collector_last_success_timestamp_seconds",
            &[],
            "Last success; absent before the first.",
            "poller",
            Rule::Whole(|view, lines| each(view, lines, |health| health.last_success.map(seconds))),
        ),
        collector.gauge(
            "scaleio_collector_last_duration_seconds",
            &[],
            "Duration of the last run.",
            "poller",
            Rule::Whole(|view, lines| each(view, lines, |health| Some(health.last_duration.as_secs_f64()))),
        ),
        collector.gauge(
            "scaleio_collector_objects",
            &[],
            "Objects in the last answer.",
            "poller",
            Rule::Whole(|view, lines| each(view, lines, |health| Some(health.objects as f64))),
        ),
        collector.gauge(
            "scaleio_exporter_objects",
            &["exported"],
            "Objects of the kinds of which a part may be left out ([metrics.volumes] and its like), by whether they have series of their own.",
            "exporter",
            Rule::Whole(objects),
        ),
        collector.gauge(
            "scaleio_exporter_series",
            &[],
            "Series now exported of each collector's part.",
            "exporter",
            Rule::Series,
        ),
        collector.gauge(
            "scaleio_exporter_series_dropped",
            &[],
            "Series withheld by the limit on series.",
            "exporter",
            Rule::Dropped,
        ),
    ]
}

fn objects(view: &View<'_>, lines: &mut Lines<'_>) {
    let Some(snapshot) = view.snapshot else { return };
    for (collector, choice, known) in [
        (Collector::Devices, &view.choices.devices, snapshot.devices.is_some()),
        (Collector::Sdcs, &view.choices.sdcs, snapshot.sdcs.is_some()),
        (Collector::Volumes, &view.choices.volumes, snapshot.volumes.is_some()),
    ] {
        if known {
            let exported = choice.count();
            for (word, count) in [("true", exported), ("false", choice.objects() - exported)] {
                lines
                    .line(view.system())
                    .label("collector", collector.as_str())
                    .label("exported", word)
                    .is(count as f64);
            }
        }
    }
}

fn each(view: &View<'_>, lines: &mut Lines<'_>, value: impl Fn(&CollectorHealth) -> Option<f64>) {
    for (collector, health) in &view.picture.health.collectors {
        if let Some(value) = value(health) {
            lines.line(view.system()).label("collector", collector.as_str()).is(value);
        }
    }
}

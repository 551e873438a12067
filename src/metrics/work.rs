//! How do runs show in our own series?

use std::collections::BTreeMap;

use prometheus::{GaugeVec, Registry};

use super::own::gauge;
use crate::model::hold::ReasonKind;
use crate::model::lifecycle::Lifecycle;
use crate::model::unit::Timestamp;

/// Series about the work on systems.
pub(super) struct Work {
    active: GaugeVec,
    stopped: GaugeVec,
    tasks: GaugeVec,
    holds: GaugeVec,
    hold_since: GaugeVec,
    predicted_end: GaugeVec,
    obligations: GaugeVec,
    overdue: GaugeVec,
    over: GaugeVec,
    plans: GaugeVec,
}

impl Work {
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            active: gauge(registry, "scaleio_run_active")?,
            stopped: gauge(registry, "scaleio_run_stopped")?,
            tasks: gauge(registry, "scaleio_run_tasks")?,
            holds: gauge(registry, "scaleio_run_holds")?,
            hold_since: gauge(registry, "scaleio_run_hold_since_timestamp_seconds")?,
            predicted_end: gauge(registry, "scaleio_run_predicted_end_timestamp_seconds")?,
            obligations: gauge(registry, "scaleio_run_obligations")?,
            overdue: gauge(registry, "scaleio_run_overdue")?,
            over: gauge(registry, "scaleio_runs")?,
            plans: gauge(registry, "scaleio_run_plans")?,
        })
    }

    pub(super) fn set(&self, shown: &Lifecycle) {
        let system = shown.system.as_str();
        let seconds = |at: Timestamp| at.timestamp_millis() as f64 / 1000.0;
        let run = shown.run.as_ref();
        self.active.with_label_values(&[system]).set(f64::from(u8::from(run.is_some())));
        for (by, is) in [
            ("pause", run.is_some_and(|run| run.paused_by.is_some())),
            ("cancel", run.is_some_and(|run| run.cancelled_by.is_some())),
            ("halt", run.is_some_and(|run| run.halted.is_some())),
        ] {
            self.stopped.with_label_values(&[system, by]).set(f64::from(u8::from(is)));
        }
        let tasks = || run.iter().flat_map(|run| &run.tasks);
        for standing in ["waiting", "working", "undoing", "done", "undone", "skipped"] {
            let count = tasks().filter(|task| task.standing == standing).count();
            self.tasks.with_label_values(&[system, standing]).set(count as f64);
        }
        let mut held: BTreeMap<ReasonKind, (u32, Timestamp)> = BTreeMap::new();
        for hold in tasks().flat_map(|task| &task.holds) {
            let (count, since) = held.entry(hold.reason).or_insert((0, hold.since));
            *count += 1;
            *since = hold.since.min(*since);
        }
        for reason in ReasonKind::ALL {
            let labels = [system, reason.as_str()];
            match held.get(reason) {
                Some((count, since)) => {
                    self.holds.with_label_values(&labels).set(f64::from(*count));
                    self.hold_since.with_label_values(&labels).set(seconds(*since));
                }
                None => {
                    // What is not there needs no removal.
                    let _ = self.holds.remove_label_values(&labels);
                    let _ = self.hold_since.remove_label_values(&labels);
                }
            }
        }
        match run {
            Some(run) => self.predicted_end.with_label_values(&[system]).set(seconds(run.predicted_end)),
            None => drop(self.predicted_end.remove_label_values(&[system])),
        }
        self.obligations.with_label_values(&[system]).set(shown.obligations.len() as f64);
        self.overdue.with_label_values(&[system]).set(shown.problems.len() as f64);
        for end in ["done", "cancelled", "halted"] {
            let count = shown.past.iter().filter(|past| past.end == end).count();
            self.over.with_label_values(&[system, end]).set(count as f64);
        }
        self.plans.with_label_values(&[system]).set(shown.plans.len() as f64);
    }
}

//! How do runs show in our own series?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec, Registry};

use super::own::{counter, gauge, histogram, seconds_total};
use crate::model::hold::ReasonKind;
use crate::model::id::SystemId;
use crate::model::lifecycle::{JobResult, Lifecycle};
use crate::model::unit::Timestamp;

/// Upgrades take from minutes to a day.
const JOB_BOUNDS: [f64; 10] = [10.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0, 86_400.0];

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
    idle_since: GaugeVec,
    windows_missed: GaugeVec,
    last_end: GaugeVec,
    over: GaugeVec,
    plans: GaugeVec,
    upgrade_active: GaugeVec,
    upgrade_state: GaugeVec,
    upgrade_nodes: GaugeVec,
    waited: CounterVec,
    reboots: IntCounterVec,
    jobs: IntCounterVec,
    job_result: GaugeVec,
    job_success: GaugeVec,
    job_interval: GaugeVec,
    job_durations: HistogramVec,
    /// What was shown last of each system. Locked for as long as it takes to read and replace it.
    last: Mutex<BTreeMap<SystemId, Last>>,
}

/// What was shown of a system, so that time can be counted and what is over taken away.
#[derive(Default)]
struct Last {
    at: Timestamp,
    held: BTreeSet<ReasonKind>,
    upgrade: Option<[String; 4]>,
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
            idle_since: gauge(registry, "scaleio_run_idle_since_timestamp_seconds")?,
            windows_missed: gauge(registry, "scaleio_run_windows_missed")?,
            last_end: gauge(registry, "scaleio_run_last_end_timestamp_seconds")?,
            over: gauge(registry, "scaleio_runs")?,
            plans: gauge(registry, "scaleio_run_plans")?,
            upgrade_active: gauge(registry, "scaleio_upgrade_active")?,
            upgrade_state: gauge(registry, "scaleio_upgrade_state")?,
            upgrade_nodes: gauge(registry, "scaleio_upgrade_nodes")?,
            waited: seconds_total(registry, "scaleio_upgrade_gate_wait_seconds_total")?,
            reboots: counter(registry, "scaleio_framework_reboots_total")?,
            jobs: counter(registry, "scaleio_jobs_total")?,
            job_result: gauge(registry, "scaleio_job_last_result")?,
            job_success: gauge(registry, "scaleio_job_last_success_timestamp_seconds")?,
            job_interval: gauge(registry, "scaleio_job_interval_seconds")?,
            job_durations: histogram(registry, "scaleio_job_duration_seconds", &JOB_BOUNDS)?,
            last: Mutex::default(),
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
        for (gauge, value) in [
            (&self.predicted_end, run.map(|run| seconds(run.predicted_end))),
            (&self.idle_since, run.map(|run| seconds(run.idle_since))),
            (&self.windows_missed, run.map(|run| run.windows_missed as f64)),
        ] {
            match value {
                Some(value) => gauge.with_label_values(&[system]).set(value),
                None => drop(gauge.remove_label_values(&[system])),
            }
        }
        self.obligations.with_label_values(&[system]).set(shown.obligations.len() as f64);
        let late = |duty: &str| shown.obligations.iter().filter(|open| open.overdue && open.duty == duty).count();
        let slow = tasks().filter(|task| task.overdue.is_some()).count();
        for (what, count) in [("maintenance", late("maintenance")), ("drain", late("drain")), ("way_back", slow)] {
            self.overdue.with_label_values(&[system, what]).set(count as f64);
        }
        for end in ["done", "cancelled", "halted"] {
            let count = shown.past.iter().filter(|past| past.end == end).count();
            self.over.with_label_values(&[system, end]).set(count as f64);
            match shown.last.as_ref().filter(|last| last.end == end) {
                Some(last) => self.last_end.with_label_values(&[system, end]).set(seconds(last.ended_at)),
                None => drop(self.last_end.remove_label_values(&[system, end])),
            }
        }
        self.plans.with_label_values(&[system]).set(shown.plans.len() as f64);
        self.upgrade_and_waits(shown, held.keys().copied().collect());
        for job in &shown.jobs {
            let labels = [system, &job.name];
            for result in JobResult::ALL.into_iter().filter(|_| job.result.is_some()) {
                let is = f64::from(u8::from(job.result == Some(result)));
                self.job_result.with_label_values(&[system, &job.name, result.as_str()]).set(is);
            }
            if let Some(at) = job.last_success {
                self.job_success.with_label_values(&labels).set(seconds(at));
            }
            if let [(first, _), (second, _), ..] = job.next.as_slice() {
                self.job_interval.with_label_values(&labels).set(seconds(*second) - seconds(*first));
            }
        }
    }

    fn upgrade_and_waits(&self, shown: &Lifecycle, held: BTreeSet<ReasonKind>) {
        let system = shown.system.as_str();
        let upgrade = shown.upgrade.as_ref();
        self.upgrade_active.with_label_values(&[system]).set(f64::from(u8::from(upgrade.is_some_and(|at| at.active))));
        for (state, count) in [
            ("pending", upgrade.map_or(0, |at| at.pending)),
            ("running", upgrade.map_or(0, |at| at.running)),
            ("done", upgrade.map_or(0, |at| at.done)),
            ("failed", upgrade.map_or(0, |at| at.failed)),
        ] {
            self.upgrade_nodes.with_label_values(&[system, state]).set(count as f64);
        }
        let upgrade = upgrade.map(|at| [system.to_owned(), at.state.clone(), at.from.to_string(), at.to.to_string()]);
        let now = Last { at: shown.at, held, upgrade };
        let mut all = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.remove(&shown.system).unwrap_or_default();
        if let Some(gone) = before.upgrade.as_ref().filter(|_| before.upgrade != now.upgrade) {
            // What is not there needs no removal.
            let _ = self.upgrade_state.remove_label_values(gone);
        }
        if let Some(labels) = &now.upgrade {
            self.upgrade_state.with_label_values(labels).set(1.0);
        }
        // A clock that was set back counts for nothing.
        let passed = (now.at - before.at).to_std().unwrap_or_default().as_secs_f64();
        for reason in before.held.intersection(&now.held) {
            self.waited.with_label_values(&[system, reason.as_str()]).inc_by(passed);
        }
        all.insert(shown.system.clone(), now);
    }

    pub(super) fn reboot_ordered(&self, system: &SystemId, reason: &str) {
        self.reboots.with_label_values(&[system.as_str(), reason]).inc();
    }

    pub(super) fn job_fired(&self, system: &SystemId, job: &str, result: JobResult) {
        self.jobs.with_label_values(&[system.as_str(), job, result.as_str()]).inc();
    }

    pub(super) fn job_ran(&self, system: &SystemId, job: &str, took: Duration) {
        self.job_durations.with_label_values(&[system.as_str(), job]).observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::id::{NodeName, RunId};
    use crate::model::lifecycle::{Mode, ObligationShown, RunReport};

    #[test]
    fn what_is_late_is_counted_by_what_it_is_and_how_the_last_run_ended_by_its_word() {
        let at = |second| Timestamp::from_timestamp(second, 0).unwrap();
        let work = Work::new(&Registry::new()).unwrap();
        let open = |duty: &str, overdue| ObligationShown {
            what: String::new(),
            duty: duty.to_owned(),
            node: NodeName::new("n1"),
            run: RunId::new("r"),
            since: at(1),
            deadline: at(2),
            overdue,
        };
        let ended = |end: &str| RunReport {
            system: SystemId::new("prod"),
            run: RunId::new("r"),
            what: String::new(),
            approved_by: String::new(),
            opened_at: at(1),
            ended_at: at(9),
            end: end.to_owned(),
            why: None,
            single_copy_seconds: 0,
            tasks: Vec::new(),
            more: 0,
        };
        let nothing = Lifecycle::nothing(SystemId::new("prod"), Mode::Act, at(10));
        let obligations =
            vec![open("drain", true), open("drain", false), open("maintenance", true), open("drain", true)];
        work.set(&Lifecycle { obligations, last: Some(Arc::new(ended("halted"))), ..nothing.clone() });
        let late = |what: &str| work.overdue.with_label_values(&["prod", what]).get();
        assert_eq!((late("maintenance"), late("drain"), late("way_back")), (1.0, 2.0, 0.0));
        assert_eq!(work.last_end.with_label_values(&["prod", "halted"]).get(), 9.0);
        work.set(&Lifecycle { last: Some(Arc::new(ended("done"))), ..nothing });
        assert_eq!((late("drain"), work.last_end.with_label_values(&["prod", "done"]).get()), (0.0, 9.0));
        let gone = work.last_end.remove_label_values(&["prod", "halted"]);
        assert!(gone.is_err(), "one run has one end");
    }
}

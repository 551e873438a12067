//! Families about the work on systems: runs, what holds them, and what must be undone.

use super::{Area, Family, Rule, Scope};

pub(super) fn families() -> Vec<Family> {
    let system = Area { scope: Scope::Exporter, labels: &["system"] };
    let gauge = |name, labels, help| system.gauge(name, labels, help, "work", Rule::Registry);
    vec![
        gauge("scaleio_run_active", &[], "1 while a run of a plan is not over."),
        gauge(
            "scaleio_run_stopped",
            &["by"],
            "1 when nothing more is begun in the run because it was paused, cancelled or halted.",
        ),
        gauge(
            "scaleio_run_tasks",
            &["standing"],
            "Tasks of the open run (waiting, working, undoing, done, undone, skipped).",
        ),
        gauge("scaleio_run_holds", &["reason"], "Tasks of the open run that wait for this reason."),
        gauge(
            "scaleio_run_hold_since_timestamp_seconds",
            &["reason"],
            "Since when a task of the open run has waited for this reason; the longest wait.",
        ),
        gauge(
            "scaleio_run_predicted_end_timestamp_seconds",
            &[],
            "When the open run would end if nothing held it from now on.",
        ),
        gauge(
            "scaleio_run_obligations",
            &[],
            "What our work has changed and must undo: maintenances, deactivated agents.",
        ),
        gauge("scaleio_run_overdue", &[], "What of our work has lasted longer than it may, or is not undone in time."),
        gauge("scaleio_runs", &["end"], "Runs that are over, by how they ended (done, cancelled, halted)."),
        gauge("scaleio_run_plans", &[], "Plans on file that nobody approved."),
    ]
}

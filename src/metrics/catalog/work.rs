//! Families about the work on systems: runs, what holds them, and what must be undone.

use super::{Area, Family, Rule, Scope, Type};

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
        gauge(
            "scaleio_run_idle_since_timestamp_seconds",
            &[],
            "Since when the open run did nothing that is within the time predicted for it; ahead while the step at hand is.",
        ),
        gauge(
            "scaleio_run_windows_missed",
            &[],
            "Windows that came and went since the open run did something, while nothing of it is in work.",
        ),
        gauge(
            "scaleio_run_overdue",
            &["what"],
            "What of our work has lasted longer than it may: servers that we took into maintenance (maintenance), Mesos agents \
             that we drained (drain), steps that lead back (way_back).",
        ),
        gauge(
            "scaleio_run_last_end_timestamp_seconds",
            &["end"],
            "When the newest run that is over ended, and how (done, cancelled, halted).",
        ),
        gauge("scaleio_runs", &["end"], "Runs that are over, by how they ended (done, cancelled, halted)."),
        gauge("scaleio_run_plans", &[], "Plans on file that nobody approved."),
        gauge("scaleio_upgrade_active", &[], "1 while an upgrade runs."),
        gauge(
            "scaleio_upgrade_state",
            &["state", "from_version", "to_version"],
            "1 for the state of the upgrade that is open, else of the last one, else of one that is planned (planned, \
             running, paused, halted, done, cancelled, failed).",
        ),
        gauge(
            "scaleio_upgrade_nodes",
            &["state"],
            "Tasks of that upgrade, of which each is about one node (pending, running, done, failed).",
        ),
        system.counter(
            "scaleio_upgrade_gate_wait_seconds_total",
            &["gate"],
            "Time in which at least one task of a run waited for this reason, as far as this process saw.",
            "work",
            Rule::Registry,
        ),
        system.counter(
            "scaleio_framework_reboots_total",
            &["reason"],
            "Restarts of hosts that runs ordered, by what the run was asked for (upgrade, reboot, maintain and others).",
            "work",
            Rule::Registry,
        ),
        system.counter(
            "scaleio_jobs_total",
            &["job_name", "result"],
            "Firings of scheduled jobs by what came of them (began, proposed, nothing, refused, left_out, missed, well, unwell).",
            "jobs",
            Rule::Registry,
        ),
        system.gauge(
            "scaleio_job_last_result",
            &["job_name", "result"],
            "What the last firing came to: 1 for one of began, proposed, nothing, refused, left_out, missed, well, unwell and unknown.",
            "jobs",
            Rule::Registry,
        ),
        system.gauge(
            "scaleio_job_last_success_timestamp_seconds",
            &["job_name"],
            "The last firing that began a run, proposed a plan, had nothing to do, or found all well.",
            "jobs",
            Rule::Registry,
        ),
        system.gauge(
            "scaleio_job_interval_seconds",
            &["job_name"],
            "Time between the next two firings.",
            "jobs",
            Rule::Registry,
        ),
        system.family(
            Type::Histogram,
            "scaleio_job_duration_seconds",
            &["job_name"],
            "How long runs took that a job began by its standing approval, and looks that change nothing.",
            "jobs",
            Rule::Registry,
        ),
    ]
}

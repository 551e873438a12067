//! Families about ourselves that are counted as things happen, in the registry
//! of [`crate::metrics::Own`].

use super::{Area, Family, Rule, Scope, Type};

pub(super) fn families() -> Vec<Family> {
    let area = |labels| Area { scope: Scope::Exporter, labels };
    let system = area(&["system"]);
    let none = area(&[]);
    let cluster = area(&["cluster"]);
    let mut all = vec![
        system.family(
            Type::Histogram,
            "scaleio_collector_duration_seconds",
            &["collector"],
            "Duration of the collector's runs.",
            "poller",
            Rule::Registry,
        ),
        system.counter(
            "scaleio_collector_errors_total",
            &["collector", "reason"],
            "Failed runs of the collector by reason (timeout, connect, tls, auth, http, too_large, parse).",
            "poller",
            Rule::Registry,
        ),
        system.counter(
            "scaleio_mdm_requests_total",
            &["endpoint", "code"],
            "Requests sent to the gateway, by path template and HTTP status (or the reason why there was none).",
            "gateway client",
            Rule::Registry,
        ),
        system.family(
            Type::Histogram,
            "scaleio_mdm_request_duration_seconds",
            &["endpoint"],
            "Duration of requests to the gateway.",
            "gateway client",
            Rule::Registry,
        ),
        system.counter(
            "scaleio_exporter_unknown_fields_total",
            &["kind"],
            "Fields or states of the MDM, by kind of object, that this version does not know.",
            "gateway client",
            Rule::Registry,
        ),
        cluster.gauge(
            "scaleio_mesos_registered",
            &[],
            "1 while the framework is registered with a Mesos master.",
            "scheduler",
            Rule::Registry,
        ),
        cluster.gauge(
            "scaleio_mesos_heartbeat_timestamp_seconds",
            &[],
            "Moment of the last event or heartbeat of the Mesos master.",
            "scheduler",
            Rule::Registry,
        ),
        cluster.counter(
            "scaleio_mesos_events_total",
            &["event"],
            "Events of the Mesos master by type; malformed are those that could not be read.",
            "scheduler",
            Rule::Registry,
        ),
        cluster.counter(
            "scaleio_mesos_offers_total",
            &["action", "reason"],
            "Offers of Mesos by what became of them (accepted, declined, rescinded) and why.",
            "scheduler",
            Rule::Registry,
        ),
        cluster.gauge(
            "scaleio_mesos_tasks",
            &["state"],
            "Tasks of the framework by the last state that Mesos told (INTENDED: none yet).",
            "scheduler",
            Rule::Registry,
        ),
        cluster.gauge(
            "scaleio_mesos_tasks_unanswered",
            &[],
            "Tasks of which Mesos has said nothing since the framework subscribed.",
            "scheduler",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_state",
            &["system", "alertname", "severity", "state"],
            "Alerts of the built-in engine by state (pending, firing).",
            "alert engine",
            Rule::Registry,
        ),
        none.counter(
            "scaleio_alert_rule_failures_total",
            &["group", "rule"],
            "Evaluations of the rule by the built-in engine that failed, as a whole or in a text.",
            "alert engine",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_rules",
            &[],
            "Alerting rules in force in the built-in engine.",
            "alert engine",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_rules_last_load_success",
            &[],
            "1 when the newest alert rules are in force; 0 when they could not be loaded and older ones stay.",
            "alert engine",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_rules_last_load_timestamp_seconds",
            &[],
            "Moment of the newest try to load alert rules.",
            "alert engine",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_last_evaluation_timestamp_seconds",
            &[],
            "Moment of the newest evaluation of all alert rules by the built-in engine.",
            "alert engine",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_last_evaluation_duration_seconds",
            &[],
            "Duration of the newest evaluation of all alert rules by the built-in engine.",
            "alert engine",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_history_size_bytes",
            &[],
            "Memory of the past that alert rules look back on.",
            "alert engine",
            Rule::Registry,
        ),
        none.counter(
            "scaleio_notifications_total",
            &["channel", "severity", "kind", "result"],
            "Notifications by kind (firing, resolved, reminder, digest, test, ...) and result (sent, failed, dropped); for an Alertmanager, posts of all alerts (kind state).",
            "notifier",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_notification_spool_messages",
            &["channel"],
            "Messages waiting in the outbox of the receiver.",
            "notifier",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_notification_spool_oldest_timestamp_seconds",
            &["channel"],
            "Creation of the oldest waiting message; absent when none waits.",
            "notifier",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_notification_spool_failed_messages",
            &["channel"],
            "Messages that were given up and are kept until somebody sends them again or removes them.",
            "notifier",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_notification_refused_recipients",
            &["channel"],
            "Recipients that the receiver refused for good since the start.",
            "notifier",
            Rule::Registry,
        ),
        none.family(
            Type::Histogram,
            "scaleio_notification_delivery_seconds",
            &["channel"],
            "From the decision to tell people to the receiver's yes.",
            "notifier",
            Rule::Registry,
        ),
        none.counter(
            "scaleio_alert_notifications_total",
            &["kind", "severity"],
            "Notifications that were decided, by kind (firing, update, reminder, resolved, digest, storm, escalation ...) and gravest severity.",
            "notification",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_handled",
            &["state"],
            "Firing alerts that are told to nobody (silenced, inhibited, explained, flapping), or acknowledged by somebody.",
            "notification",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_alert_silences",
            &[],
            "Silences that are in force.",
            "notification",
            Rule::Registry,
        ),
        none.family(
            Type::Histogram,
            "scaleio_exporter_scrape_duration_seconds",
            &["handler"],
            "Time to make the body of a scrape.",
            "http",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_exporter_scrape_size_bytes",
            &["handler"],
            "Size of the last exposition before compression.",
            "http",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_framework_build_info",
            &["version", "revision", "rustc"],
            "Build of the framework; always 1.",
            "build",
            Rule::Registry,
        ),
        none.gauge(
            "scaleio_certificate_expiry_timestamp_seconds",
            &["component", "subject"],
            "End of validity of certificates the framework uses or serves.",
            "TLS",
            Rule::Registry,
        ),
    ];
    all.extend(
        [
            (Type::Counter, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds."),
            (Type::Gauge, "process_max_fds", "Maximum number of open file descriptors."),
            (Type::Gauge, "process_open_fds", "Number of open file descriptors."),
            (Type::Gauge, "process_resident_memory_bytes", "Resident memory size in bytes."),
            (Type::Gauge, "process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
            (Type::Gauge, "process_threads", "Number of OS threads in the process."),
            (Type::Gauge, "process_virtual_memory_bytes", "Virtual memory size in bytes."),
        ]
        .map(|(kind, name, help)| none.family(kind, name, &[], help, "process", Rule::Registry)),
    );
    all
}

//! What do we do ourselves? Counted as it happens, written at every scrape.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector as Metric;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::model::framework::{FrameworkStatus, Registration};
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::JobResult;
use crate::model::picture::FailureReason;
use crate::model::rollout::RolloutStatus;
use crate::model::snapshot::Collector;
use crate::model::unit::Timestamp;

use super::catalog::{Family, Type, families};
use super::encode::{Format, Labels, Lines, bound, header};

/// Bounds of a collector's run: from a quick answer to the longest timeout.
const RUN_BOUNDS: [f64; 8] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];
/// Bounds of one request to a gateway; Java gateways take seconds for large answers.
const REQUEST_BOUNDS: [f64; 8] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// Bounds of a scrape; Prometheus gives up after 10 s.
const SCRAPE_BOUNDS: [f64; 8] = [0.001, 0.005, 0.01, 0.05, 0.15, 0.5, 2.0, 10.0];

/// Bounds from the decision to tell people to the receiver's yes: at once, after some tries, after an outage.
const DELIVERY_BOUNDS: [f64; 8] = [0.5, 1.0, 5.0, 30.0, 300.0, 1_800.0, 14_400.0, 86_400.0];

/// Bounds of a step on a node: from a look to an installation on a slow line.
const STEP_BOUNDS: [f64; 10] = [1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 7_200.0];

/// Which build of the framework runs.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The version of the package.
    pub version: &'a str,
    /// The commit it was built from.
    pub revision: &'a str,
    /// The compiler.
    pub rustc: &'a str,
}

/// The few hundred series about ourselves.
pub struct Own {
    registry: Registry,
    runs: HistogramVec,
    errors: IntCounterVec,
    requests: IntCounterVec,
    request_durations: HistogramVec,
    unknown: IntCounterVec,
    scrapes: HistogramVec,
    scrape_size: GaugeVec,
    certificates: GaugeVec,
    mesos: Mesos,
    work: super::work::Work,
    nodes: Nodes,
    alert_states: GaugeVec,
    rule_failures: IntCounterVec,
    rules: GaugeVec,
    rules_loaded: GaugeVec,
    rules_loaded_at: GaugeVec,
    evaluated_at: GaugeVec,
    evaluation_duration: GaugeVec,
    history_size: GaugeVec,
    notifications: IntCounterVec,
    spool: GaugeVec,
    spool_oldest: GaugeVec,
    spool_failed: GaugeVec,
    refused_recipients: GaugeVec,
    deliveries: HistogramVec,
    told: IntCounterVec,
    handled: GaugeVec,
    silences: GaugeVec,
}

/// Series about our standing in a Mesos cluster.
struct Mesos {
    registered: GaugeVec,
    heartbeat: GaugeVec,
    events: IntCounterVec,
    offers: IntCounterVec,
    tasks: GaugeVec,
    unanswered: GaugeVec,
}

/// Series about the rollout of nodes.
struct Nodes {
    counts: GaugeVec,
    states: GaugeVec,
    since: GaugeVec,
    seen: GaugeVec,
    agents: GaugeVec,
    strangers: GaugeVec,
    artefacts: GaugeVec,
    artefacts_failed: GaugeVec,
    renewals_failed: GaugeVec,
    durations: HistogramVec,
    steps: IntCounterVec,
}

impl Own {
    /// All series at their beginning.
    ///
    /// # Errors
    /// A family of the catalogue that the registry refuses, which is a bug.
    pub fn new(build: Build<'_>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let own = Self {
            runs: histogram(&registry, "scaleio_collector_duration_seconds", &RUN_BOUNDS)?,
            errors: counter(&registry, "scaleio_collector_errors_total")?,
            requests: counter(&registry, "scaleio_mdm_requests_total")?,
            request_durations: histogram(&registry, "scaleio_mdm_request_duration_seconds", &REQUEST_BOUNDS)?,
            unknown: counter(&registry, "scaleio_exporter_unknown_fields_total")?,
            scrapes: histogram(&registry, "scaleio_exporter_scrape_duration_seconds", &SCRAPE_BOUNDS)?,
            scrape_size: gauge(&registry, "scaleio_exporter_scrape_size_bytes")?,
            certificates: gauge(&registry, "scaleio_certificate_expiry_timestamp_seconds")?,
            mesos: Mesos {
                registered: gauge(&registry, "scaleio_mesos_registered")?,
                heartbeat: gauge(&registry, "scaleio_mesos_heartbeat_timestamp_seconds")?,
                events: counter(&registry, "scaleio_mesos_events_total")?,
                offers: counter(&registry, "scaleio_mesos_offers_total")?,
                tasks: gauge(&registry, "scaleio_mesos_tasks")?,
                unanswered: gauge(&registry, "scaleio_mesos_tasks_unanswered")?,
            },
            work: super::work::Work::new(&registry)?,
            nodes: Nodes {
                counts: gauge(&registry, "scaleio_framework_nodes")?,
                states: gauge(&registry, "scaleio_framework_node_state")?,
                since: gauge(&registry, "scaleio_framework_node_state_since_timestamp_seconds")?,
                seen: gauge(&registry, "scaleio_framework_agent_last_seen_timestamp_seconds")?,
                agents: gauge(&registry, "scaleio_framework_agents")?,
                renewals_failed: gauge(&registry, "scaleio_framework_agent_renewal_failed")?,
                strangers: gauge(&registry, "scaleio_framework_agents_to_adopt")?,
                artefacts: gauge(&registry, "scaleio_framework_artefacts")?,
                artefacts_failed: gauge(&registry, "scaleio_framework_artefact_failed")?,
                durations: histogram(&registry, "scaleio_framework_step_duration_seconds", &STEP_BOUNDS)?,
                steps: counter(&registry, "scaleio_framework_steps_total")?,
            },
            alert_states: gauge(&registry, "scaleio_alert_state")?,
            rule_failures: counter(&registry, "scaleio_alert_rule_failures_total")?,
            rules: gauge(&registry, "scaleio_alert_rules")?,
            rules_loaded: gauge(&registry, "scaleio_alert_rules_last_load_success")?,
            rules_loaded_at: gauge(&registry, "scaleio_alert_rules_last_load_timestamp_seconds")?,
            evaluated_at: gauge(&registry, "scaleio_alert_last_evaluation_timestamp_seconds")?,
            evaluation_duration: gauge(&registry, "scaleio_alert_last_evaluation_duration_seconds")?,
            history_size: gauge(&registry, "scaleio_alert_history_size_bytes")?,
            notifications: counter(&registry, "scaleio_notifications_total")?,
            spool: gauge(&registry, "scaleio_notification_spool_messages")?,
            spool_oldest: gauge(&registry, "scaleio_notification_spool_oldest_timestamp_seconds")?,
            spool_failed: gauge(&registry, "scaleio_notification_spool_failed_messages")?,
            refused_recipients: gauge(&registry, "scaleio_notification_refused_recipients")?,
            deliveries: histogram(&registry, "scaleio_notification_delivery_seconds", &DELIVERY_BOUNDS)?,
            told: counter(&registry, "scaleio_alert_notifications_total")?,
            handled: gauge(&registry, "scaleio_alert_handled")?,
            silences: gauge(&registry, "scaleio_alert_silences")?,
            registry,
        };
        gauge(&own.registry, "scaleio_framework_build_info")?
            .with_label_values(&[build.version, build.revision, build.rustc])
            .set(1.0);
        #[cfg(target_os = "linux")]
        own.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(own)
    }

    /// A run of a collector ended, well or not.
    pub fn ran(&self, system: &SystemId, collector: Collector, took: Duration, failure: Option<FailureReason>) {
        let (system, collector) = (system.as_str(), collector.as_str());
        self.runs.with_label_values(&[system, collector]).observe(took.as_secs_f64());
        if let Some(reason) = failure {
            self.errors.with_label_values(&[system, collector, reason.as_str()]).inc();
        }
    }

    /// A request to a gateway ended. `endpoint` is the template of its path,
    /// never with ids in it; `code` is the status, or why there was none.
    pub fn requested(&self, system: &SystemId, endpoint: &str, code: &str, took: Duration) {
        self.requests.with_label_values(&[system.as_str(), endpoint, code]).inc();
        self.request_durations.with_label_values(&[system.as_str(), endpoint]).observe(took.as_secs_f64());
    }

    /// An answer held fields or states that this version does not know.
    pub fn unknown(&self, system: &SystemId, kind: &str, count: u64) {
        self.unknown.with_label_values(&[system.as_str(), kind]).inc_by(count);
    }

    /// A scrape was answered.
    pub fn scraped(&self, handler: &str, took: Duration, unpacked_bytes: usize) {
        self.scrapes.with_label_values(&[handler]).observe(took.as_secs_f64());
        self.scrape_size.with_label_values(&[handler]).set(unpacked_bytes as f64);
    }

    /// A certificate that we use or serve was seen.
    pub fn certificate(&self, component: &str, subject: &str, expires: Timestamp) {
        self.certificates.with_label_values(&[component, subject]).set(expires.timestamp() as f64);
    }

    /// A Mesos master sent an event.
    pub fn mesos_event(&self, cluster: &str, event: &str) {
        self.mesos.events.with_label_values(&[cluster, event]).inc();
    }

    /// Something became of an offer.
    pub fn mesos_offer(&self, cluster: &str, action: &str, reason: &str) {
        self.mesos.offers.with_label_values(&[cluster, action, reason]).inc();
    }

    /// How the framework stands. Called before each body is written, so that a state which
    /// no task has any more is gone.
    pub fn mesos_status(&self, status: &FrameworkStatus) {
        let cluster = [&*status.cluster];
        let heard_at = match &status.registration {
            Registration::Registered { heard_at, .. } => Some(heard_at),
            Registration::Disconnected { .. } | Registration::Removed { .. } | Registration::Superseded => None,
        };
        self.mesos.registered.with_label_values(&cluster).set(f64::from(u8::from(heard_at.is_some())));
        if let Some(heard_at) = heard_at {
            self.mesos.heartbeat.with_label_values(&cluster).set(heard_at.timestamp_millis() as f64 / 1000.0);
        }
        self.mesos.unanswered.with_label_values(&cluster).set(status.unanswered as f64);
        let mut states: BTreeMap<&str, u32> = BTreeMap::new();
        for task in status.tasks.values() {
            *states.entry(task.state()).or_default() += 1;
        }
        self.mesos.tasks.reset();
        for (state, count) in states {
            self.mesos.tasks.with_label_values(&[&*status.cluster, state]).set(f64::from(count));
        }
    }

    /// How far the rollout of each node is, and when its agent was heard. Called before each body is
    /// written, so that a node or a state that is gone is gone.
    pub fn rollout_status<'a>(&self, status: &RolloutStatus, seen_at: impl Iterator<Item = (&'a NodeName, Timestamp)>) {
        let nodes = &self.nodes;
        for family in [&nodes.counts, &nodes.states, &nodes.since, &nodes.seen] {
            family.reset();
        }
        let seconds = |at: Timestamp| at.timestamp_millis() as f64 / 1000.0;
        for (name, node) in &status.nodes {
            let (system, name, state) = (node.system.as_str(), name.as_str(), node.phase.as_str());
            nodes.counts.with_label_values(&[system, state]).inc();
            nodes.since.with_label_values(&[system, name, state]).set(seconds(node.since));
            for role in &node.roles {
                nodes.states.with_label_values(&[system, name, role.as_str(), state]).set(1.0);
            }
        }
        for (name, at) in seen_at {
            let system = status.nodes.get(name).map_or("", |node| node.system.as_str());
            nodes.seen.with_label_values(&[system, name.as_str()]).set(seconds(at));
        }
    }

    /// How many agents are the program that they are to be, and how the others stand to it.
    pub fn agents(&self, counts: impl IntoIterator<Item = (&'static str, usize)>) {
        for (state, count) in counts {
            self.nodes.agents.with_label_values(&[state]).set(count as f64);
        }
    }

    /// Whose program or certificate could not be renewed.
    pub fn renewals_failed<'a>(&self, failed: impl Iterator<Item = (&'a NodeName, &'static str)>) {
        self.nodes.renewals_failed.reset();
        for (node, what) in failed {
            self.nodes.renewals_failed.with_label_values(&[node.as_str(), what]).set(1.0);
        }
    }

    /// How many agents obey another controller.
    pub fn strangers(&self, count: usize) {
        let none: [&str; 0] = [];
        self.nodes.strangers.with_label_values(&none).set(count as f64);
    }

    /// Packages that are here, that come, and those that could not be had.
    pub fn artefacts<'a>(&self, here: usize, awaited: usize, failed: impl Iterator<Item = &'a str>) {
        self.nodes.artefacts_failed.reset();
        let mut lost = 0;
        for name in failed {
            lost += 1;
            self.nodes.artefacts_failed.with_label_values(&[name]).set(1.0);
        }
        for (state, count) in [("here", here), ("awaited", awaited), ("failed", lost)] {
            self.nodes.artefacts.with_label_values(&[state]).set(count as f64);
        }
    }

    /// A step on a node ended.
    pub fn step_ended(&self, step: &str, is_good: bool, took: Duration) {
        self.nodes.steps.with_label_values(&[step, if is_good { "ok" } else { "failed" }]).inc();
        self.nodes.durations.with_label_values(&[step]).observe(took.as_secs_f64());
    }

    /// The alert rules were evaluated.
    pub fn evaluated(&self, at: Timestamp, took: Duration, history_bytes: usize) {
        let none: [&str; 0] = [];
        self.evaluated_at.with_label_values(&none).set(at.timestamp_millis() as f64 / 1000.0);
        self.evaluation_duration.with_label_values(&none).set(took.as_secs_f64());
        self.history_size.with_label_values(&none).set(history_bytes as f64);
    }

    /// Alert rules were loaded, or could not be; so many are in force.
    pub fn rules_loaded(&self, well: bool, in_force: usize, now: Timestamp) {
        let none: [&str; 0] = [];
        self.rules.with_label_values(&none).set(in_force as f64);
        self.rules_loaded.with_label_values(&none).set(f64::from(u8::from(well)));
        self.rules_loaded_at.with_label_values(&none).set(now.timestamp() as f64);
    }

    /// A rule could not be evaluated.
    pub fn rule_failed(&self, group: &str, rule: &str) {
        self.rule_failures.with_label_values(&[group, rule]).inc();
    }

    /// A notification was taken, given up or dropped, or alerts were.
    pub fn notified(&self, channel: &str, severity: &str, kind: &str, result: &str) {
        self.notifications.with_label_values(&[channel, severity, kind, result]).inc();
    }

    /// A receiver took a notification so long after it was decided.
    pub fn delivered(&self, channel: &str, waited: Duration) {
        self.deliveries.with_label_values(&[channel]).observe(waited.as_secs_f64());
    }

    /// What waits for a receiver, since when, what was given up, and how many recipients are refused.
    pub fn spool(&self, channel: &str, waiting: usize, oldest: Option<Timestamp>, failed: usize, refused: usize) {
        self.spool.with_label_values(&[channel]).set(waiting as f64);
        self.spool_failed.with_label_values(&[channel]).set(failed as f64);
        self.refused_recipients.with_label_values(&[channel]).set(refused as f64);
        match oldest {
            Some(at) => self.spool_oldest.with_label_values(&[channel]).set(at.timestamp_millis() as f64 / 1000.0),
            // What is not there needs no removal.
            None => drop(self.spool_oldest.remove_label_values(&[channel])),
        }
    }

    /// It was decided to tell people something.
    pub fn told(&self, kind: &str, severity: &str) {
        self.told.with_label_values(&[kind, severity]).inc();
    }

    /// How many alerts that fire stand how with people, and how many silences are in force.
    pub fn handling(&self, alerts: &BTreeMap<String, usize>, silences: usize) {
        for state in ["silenced", "inhibited", "explained", "flapping", "acknowledged"] {
            self.handled.with_label_values(&[state]).set(alerts.get(state).copied().unwrap_or(0) as f64);
        }
        let none: [&str; 0] = [];
        self.silences.with_label_values(&none).set(silences as f64);
    }

    /// How the work on a system stands.
    pub fn work(&self, shown: &crate::model::lifecycle::Lifecycle) {
        self.work.set(shown);
    }

    /// A run ordered the restart of a host; `reason` is a word for what the run was asked for.
    pub fn reboot_ordered(&self, system: &SystemId, reason: &str) {
        self.work.reboot_ordered(system, reason);
    }

    /// A scheduled job fired, and something came of it.
    pub fn job_fired(&self, system: &SystemId, job: &str, result: JobResult) {
        self.work.job_fired(system, job, result);
    }

    /// A run ended that a job began.
    pub fn job_ran(&self, system: &SystemId, job: &str, took: Duration) {
        self.work.job_ran(system, job, took);
    }

    /// How many alerts there are, by system, name, severity and state; and how many there were before.
    pub fn alerts(&self, now: &BTreeMap<[String; 4], u64>, before: &BTreeMap<[String; 4], u64>) {
        for gone in before.keys().filter(|labels| !now.contains_key(*labels)) {
            // What is not there needs no removal.
            let _ = self.alert_states.remove_label_values(gone);
        }
        for (labels, count) in now {
            self.alert_states.with_label_values(labels).set(*count as f64);
        }
    }

    /// Calls `visit` with the sample lines of each wanted family.
    pub(super) fn lines(&self, wanted: impl Fn(&Family) -> bool, mut visit: impl FnMut(&'static Family, &[u8])) {
        let mut out = Vec::new();
        for gathered in self.registry.gather() {
            let Some(family) = families().iter().find(|family| family.name == gathered.name()) else { continue };
            if wanted(family) {
                out.clear();
                let mut lines = Lines::new(&mut out, &family.name);
                gathered.get_metric().iter().for_each(|metric| write(family, metric, &mut lines));
                visit(family, &out);
            }
        }
    }

    /// All series as text, without an end mark.
    pub(super) fn text(&self, format: Format, collect: Option<&[&str]>) -> Vec<u8> {
        let mut out = Vec::new();
        for gathered in self.registry.gather() {
            let Some(family) = families().iter().find(|family| family.name == gathered.name()) else { continue };
            if !family.is_chosen(collect) || gathered.get_metric().is_empty() {
                continue;
            }
            if let Some(header) = header(family, format) {
                out.extend_from_slice(header.text().as_bytes());
            }
            let mut lines = Lines::new(&mut out, &family.name);
            for metric in gathered.get_metric() {
                write(family, metric, &mut lines);
            }
        }
        out
    }
}

fn write(family: &Family, metric: &prometheus::proto::Metric, lines: &mut Lines<'_>) {
    // The registry sorts labels by name; the catalogue has its own order.
    let label =
        |name: &str| metric.get_label().iter().find(|label| label.name() == name).map_or("", |label| label.value());
    let with_labels = |lines: &mut Lines<'_>, suffix: &str, le: Option<f64>, value: f64| {
        let mut line = lines.line_of(Labels::new(b""), suffix);
        for name in &family.labels {
            line = line.label(name, label(name));
        }
        if let Some(le) = le {
            line = line.label("le", &bound(le));
        }
        line.is(value);
    };
    match family.kind {
        Type::Gauge => with_labels(lines, "", None, metric.get_gauge().get_value()),
        Type::Counter => with_labels(lines, "", None, metric.get_counter().get_value()),
        Type::Histogram => {
            let histogram = metric.get_histogram();
            for bucket in histogram.get_bucket().iter().filter(|bucket| bucket.upper_bound().is_finite()) {
                with_labels(lines, "_bucket", Some(bucket.upper_bound()), bucket.cumulative_count() as f64);
            }
            let count = histogram.get_sample_count() as f64;
            with_labels(lines, "_bucket", Some(f64::INFINITY), count);
            with_labels(lines, "_sum", None, histogram.get_sample_sum());
            with_labels(lines, "_count", None, count);
        }
    }
}

fn declared(name: &str) -> Result<&'static Family, prometheus::Error> {
    families()
        .iter()
        .find(|family| family.name == name)
        .ok_or_else(|| prometheus::Error::Msg(format!("{name} is not in the catalogue")))
}

fn registered<M: Metric + Clone + 'static>(registry: &Registry, metric: M) -> Result<M, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

pub(super) fn counter(registry: &Registry, name: &str) -> Result<IntCounterVec, prometheus::Error> {
    let family = declared(name)?;
    registered(registry, IntCounterVec::new(Opts::new(name, &*family.help), &family.labels)?)
}

/// A counter of seconds, which are not whole.
pub(super) fn seconds_total(registry: &Registry, name: &str) -> Result<CounterVec, prometheus::Error> {
    let family = declared(name)?;
    registered(registry, CounterVec::new(Opts::new(name, &*family.help), &family.labels)?)
}

pub(super) fn gauge(registry: &Registry, name: &str) -> Result<GaugeVec, prometheus::Error> {
    let family = declared(name)?;
    registered(registry, GaugeVec::new(Opts::new(name, &*family.help), &family.labels)?)
}

pub(super) fn histogram(registry: &Registry, name: &str, bounds: &[f64]) -> Result<HistogramVec, prometheus::Error> {
    let family = declared(name)?;
    let options = HistogramOpts::new(name, &*family.help).buckets(bounds.to_vec());
    registered(registry, HistogramVec::new(options, &family.labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(own: &Own, collect: Option<&[&str]>) -> String {
        String::from_utf8(own.text(Format::Text, collect)).unwrap()
    }

    #[test]
    fn what_happens_is_in_the_next_scrape() {
        let own = Own::new(Build { version: "1.2.3", revision: "abc", rustc: "1.90" }).unwrap();
        let system = SystemId::new("prod");
        assert!(!text(&own, None).contains("scaleio_collector"), "nothing happened yet");
        own.ran(&system, Collector::Sds, Duration::from_millis(700), None);
        own.ran(&system, Collector::Sds, Duration::from_secs(100), Some(FailureReason::Timeout));
        let text = text(&own, None);
        for line in [
            "scaleio_framework_build_info{version=\"1.2.3\",revision=\"abc\",rustc=\"1.90\"} 1\n",
            "scaleio_collector_duration_seconds_bucket{system=\"prod\",collector=\"sds\",le=\"0.5\"} 0\n",
            "scaleio_collector_duration_seconds_bucket{system=\"prod\",collector=\"sds\",le=\"1.0\"} 1\n",
            "scaleio_collector_duration_seconds_bucket{system=\"prod\",collector=\"sds\",le=\"+Inf\"} 2\n",
            "scaleio_collector_duration_seconds_sum{system=\"prod\",collector=\"sds\"} 100.7\n",
            "scaleio_collector_errors_total{system=\"prod\",collector=\"sds\",reason=\"timeout\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        #[cfg(target_os = "linux")]
        assert!(text.contains("process_resident_memory_bytes{} "));
    }

    #[test]
    fn who_chooses_volumes_gets_nothing_about_ourselves() {
        let own = Own::new(Build { version: "1.2.3", revision: "abc", rustc: "1.90" }).unwrap();
        assert_eq!(text(&own, Some(&["volumes"])), "");
        assert!(text(&own, Some(&["exporter"])).contains("scaleio_framework_build_info"));
    }
}

//! What is wrong now? Rules over the samples of a moment and their past, with
//! the memory of which condition holds since when.
//!
//! ```text
//!              holds                holds for `for`
//!   (none) -----------> Pending -----------------------> Firing
//!      ^                   |                               |
//!      +--- does not hold -+        does not hold, and `keep_firing_for` is over
//!      |                                                   v
//!      +------------ after 15 minutes ----------------- Resolved
//! ```
//!
//! The meaning is that of Prometheus 3.x. A rule that cannot be evaluated keeps
//! its alerts as they are and reports why; a text that cannot be filled in says
//! so in its place, because an alert must not be silent for a mistake in it.
//! Pure: [`Engine::step`] takes the moment and the samples.

mod active;
mod saved;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::promql::{EvalError, History, Labels, Latest, METRIC_NAME, Query, Sample, Source, Value};
use super::rules::{AlertRule, Recording, RuleName, RuleSet};
use super::template::{Data, Template};
use crate::model::alerting::{self, Alert, AlertState, Annotations, Fingerprint, FiringSet, Severity};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;
use active::{Active, Phase};

pub(super) use saved::entries;
pub use saved::{PREFIX, Saved, load};

/// Series or alerts that one rule may yield. Every device of the largest system is more than people can be told of;
/// the first so many are enough to act on.
const MOST: usize = 10_000;

/// An alert that is over is told as such for so long, as Prometheus does.
const RESOLVED_MS: i64 = 15 * 60 * 1000;

/// Evaluates rules, poll after poll.
#[derive(Debug)]
pub struct Engine {
    rules: Arc<RuleSet>,
    history: History,
    /// The alerts of each rule, by the rule's position.
    active: Vec<BTreeMap<Fingerprint, Active>>,
}

/// What the samples of a moment belong to.
#[derive(Debug, Default)]
pub struct Seen {
    /// The number of the snapshot of each system.
    pub based_on: BTreeMap<SystemId, u64>,
    /// What the MDM says of its own alerts, by system and name.
    pub vendor: BTreeMap<(String, String), VendorText>,
}

/// The vendor's words about an alert of the MDM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorText {
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub repair: Option<String>,
}

/// What one evaluation found.
#[derive(Debug)]
pub struct Verdict {
    /// What is pending or fires. Alerts of severity `none` are left out: they tell nobody of anything wrong.
    pub set: FiringSet,
    /// What is over since less than 15 minutes.
    pub resolved: Vec<Alert>,
    /// Alerts of severity `none` that fire: heartbeats.
    pub heartbeats: usize,
    /// What could not be evaluated.
    pub errors: Vec<RuleError>,
}

/// Why a rule said nothing, or not all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// Which rule.
    pub rule: RuleName,
    /// Why.
    pub reason: String,
}

impl Engine {
    /// An engine that goes on where the last one was.
    pub fn new(rules: Arc<RuleSet>, history: History, saved: &[Saved], now: Timestamp) -> Self {
        let mut active: Vec<_> = rules.alerts.iter().map(|_| BTreeMap::new()).collect();
        for saved in saved {
            let entry = saved.restored(now);
            give(&rules, &mut active, |rule| saved.is_of(&rule.name), &entry);
        }
        Self { rules, history, active }
    }

    /// Goes on with other rules. Alerts of a rule that is still there stay as they are.
    pub fn replace_rules(&mut self, rules: Arc<RuleSet>) {
        let mut active: Vec<_> = rules.alerts.iter().map(|_| BTreeMap::new()).collect();
        for (old, alerts) in self.rules.alerts.iter().zip(&self.active) {
            let same = |rule: &AlertRule| rule.name.group == old.name.group && rule.name.rule == old.name.rule;
            for alert in alerts.values() {
                give(&rules, &mut active, same, alert);
            }
        }
        (self.rules, self.active) = (rules, active);
    }

    /// The past that is kept.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// What must survive a restart.
    pub fn saved(&self, now: Timestamp) -> Vec<Saved> {
        let rules = self.rules.alerts.iter().zip(&self.active);
        rules.flat_map(|(rule, alerts)| alerts.values().filter_map(|alert| Saved::of(&rule.name, alert, now))).collect()
    }

    /// Every alert that is pending (`false`) or fires (`true`), whatever its severity: what Prometheus has in `ALERTS`.
    pub fn states(&self) -> impl Iterator<Item = (&alerting::Labels, bool)> {
        let alerts = self.active.iter().flat_map(BTreeMap::values);
        alerts.filter_map(|alert| match alert.phase {
            Phase::Pending => Some((&alert.labels, false)),
            Phase::Firing { .. } => Some((&alert.labels, true)),
            Phase::Resolved { .. } => None,
        })
    }

    /// Evaluates all rules once. `latest` holds what the rules read, and gets what they record.
    pub fn step(&mut self, latest: &mut Latest, seen: &Seen) -> Verdict {
        let rules = Arc::clone(&self.rules);
        let mut errors = Vec::new();
        let mut failed = |rule: &RuleName, reason: String| errors.push(RuleError { rule: rule.clone(), reason });
        self.history.record(latest, &rules.reaches);
        for rule in &rules.recordings {
            match record(rule, Source::new(latest, &self.history), latest.at()) {
                Ok(samples) => {
                    let mut recorded = Latest::new(latest.at());
                    recorded.push_family(&rule.name.rule, samples.clone());
                    self.history.record(&recorded, &rules.reaches);
                    latest.push_family(&rule.name.rule, samples);
                }
                Err(reason) => failed(&rule.name, reason),
            }
        }
        let source = Source::new(latest, &self.history);
        for (rule, alerts) in rules.alerts.iter().zip(&mut self.active) {
            for reason in evaluate(rule, source, latest.at(), alerts) {
                failed(&rule.name, reason);
            }
        }
        self.history.finish();
        self.verdict(latest.at(), seen, errors)
    }

    fn verdict(&self, at: i64, seen: &Seen, errors: Vec<RuleError>) -> Verdict {
        let mut alerts: BTreeMap<Fingerprint, Alert> = BTreeMap::new();
        let (mut resolved, mut heartbeats) = (Vec::new(), 0);
        for (rule, active) in self.rules.alerts.iter().zip(&self.active) {
            for entry in active.values() {
                let Some(severity) = severity(&entry.labels) else {
                    heartbeats += usize::from(matches!(entry.phase, Phase::Firing { .. }));
                    continue;
                };
                let alert = entry.alert(rule, severity, seen);
                if alert.is_resolved() {
                    resolved.push(alert);
                    continue;
                }
                // Two rules may yield one label set; that it fires by one is what counts.
                match alerts.get(&alert.fingerprint()) {
                    Some(other) if other.is_firing() => {}
                    Some(_) | None => drop(alerts.insert(alert.fingerprint(), alert)),
                }
            }
        }
        resolved.retain(|alert| !alerts.contains_key(&alert.fingerprint()));
        newest_of_each(&mut resolved);
        let set = FiringSet { at: moment(at), based_on: seen.based_on.clone(), alerts };
        Verdict { set, resolved, heartbeats, errors }
    }
}

/// Of alerts with the same labels, the one that was over last.
fn newest_of_each(resolved: &mut Vec<Alert>) {
    let over = |alert: &Alert| match alert.state {
        AlertState::Resolved { resolved_at, .. } => Some(resolved_at),
        AlertState::Pending | AlertState::Firing { .. } => None,
    };
    resolved.sort_by_key(|alert| std::cmp::Reverse(over(alert)));
    let mut seen = BTreeSet::new();
    resolved.retain(|alert| seen.insert(alert.fingerprint()));
}

/// The gravity that labels tell; none for `none`. A word we do not know is taken for a warning: somebody must look.
fn severity(labels: &alerting::Labels) -> Option<Severity> {
    match labels.get("severity").map(String::as_str) {
        Some("none") => None,
        Some("critical") => Some(Severity::Critical),
        Some("info") => Some(Severity::Info),
        Some(_) | None => Some(Severity::Warning),
    }
}

/// Gives an alert to each rule that it may be of. An override makes several rules of one name; in those whose condition
/// it does not meet, it is over with the next evaluation, which tells nobody while another one has it.
fn give(
    rules: &RuleSet,
    active: &mut [BTreeMap<Fingerprint, Active>],
    is_of: impl Fn(&AlertRule) -> bool,
    alert: &Active,
) {
    let places = rules.alerts.iter().zip(active).filter(|(rule, _)| is_of(rule));
    for (_, alerts) in places {
        alerts.insert(alert.fingerprint(), alert.clone());
    }
}

fn moment(at: i64) -> Timestamp {
    DateTime::from_timestamp_millis(at).unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
}

fn vector(query: &Query, source: Source<'_>, at: i64) -> Result<Vec<Sample>, String> {
    match query.evaluate(source, at).map_err(|error: EvalError| error.to_string())? {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar(value) => Ok(vec![Sample::new(Labels::empty(), value)]),
        Value::Matrix(_) | Value::Text(_) => Err("a rule needs a vector or a number".to_owned()),
    }
}

fn record(rule: &Recording, source: Source<'_>, at: i64) -> Result<Vec<(Labels, f64)>, String> {
    let samples = vector(&rule.query, source, at)?;
    let limit = if rule.limit == 0 { 10 * MOST } else { rule.limit };
    if samples.len() > limit {
        return Err(format!("it yields {} series, more than its limit of {limit}", samples.len()));
    }
    let mut seen = BTreeSet::new();
    let mut out = Vec::with_capacity(samples.len());
    for sample in samples {
        let mut labels = sample.labels.with(METRIC_NAME, &rule.name.rule);
        for (name, value) in &rule.labels {
            labels = labels.with(name, value);
        }
        if !seen.insert(labels.clone()) {
            return Err(format!("two of its series have the labels {labels} after its own labels were set"));
        }
        out.push((labels, sample.value));
    }
    Ok(out)
}

/// Evaluates one alerting rule; returns what was wrong with it.
fn evaluate(rule: &AlertRule, source: Source<'_>, at: i64, active: &mut BTreeMap<Fingerprint, Active>) -> Vec<String> {
    active.values_mut().for_each(|alert| alert.not_after(at));
    let mut samples = match vector(&rule.query, source, at) {
        Ok(samples) => samples,
        Err(reason) => return vec![reason],
    };
    let mut reasons = BTreeSet::new();
    if samples.len() > MOST {
        reasons.insert(format!("it yields {} alerts; only the first {MOST} are told", samples.len()));
        samples.sort_by(|a, b| a.labels.cmp(&b.labels));
        samples.truncate(MOST);
    }
    let texts = Texts { source, at };
    let mut found: BTreeMap<Fingerprint, Active> = BTreeMap::new();
    for sample in &samples {
        let mut labels: alerting::Labels =
            sample.labels.iter().filter(|(name, _)| *name != METRIC_NAME).map(owned).collect();
        for (name, template) in &rule.labels {
            let text = texts.fill(template, &sample.labels, sample.value, &mut reasons);
            // An empty label is a missing label.
            if text.is_empty() {
                labels.remove(name);
            } else {
                labels.insert(name.clone(), text);
            }
        }
        labels.insert("alertname".to_owned(), rule.name.rule.clone());
        let annotations = texts.annotations(rule, &sample.labels, sample.value, &mut reasons);
        let alert = Active::new(labels, annotations, sample.value, at);
        if let Some(other) = found.insert(alert.fingerprint(), alert) {
            // As Prometheus: nobody could tell the two apart, so the rule as a whole says nothing new.
            return vec![format!("two of its alerts have the labels {:?} after its own labels were set", other.labels)];
        }
    }
    // What was restored has no texts of its own.
    for alert in active.values_mut().filter(|alert| alert.annotations.is_none()) {
        let labels = Labels::from_pairs(alert.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        alert.annotations = Some(texts.annotations(rule, &labels, alert.value, &mut BTreeSet::new()));
    }
    let bound = rule.query.bound();
    for (fingerprint, new) in &found {
        match active.get_mut(fingerprint) {
            Some(known) if !matches!(known.phase, Phase::Resolved { .. }) => known.seen_again(new, bound.as_ref()),
            Some(_) | None => drop(active.insert(*fingerprint, new.clone())),
        }
    }
    active.retain(|fingerprint, alert| alert.judge(at, found.contains_key(fingerprint), rule));
    let forgotten = forget_the_oldest(active);
    if forgotten > 0 {
        reasons.insert(format!("its alerts are other ones each time; {forgotten} that are over are forgotten"));
    }
    let told = active.values().filter(|alert| !matches!(alert.phase, Phase::Resolved { .. })).count();
    if rule.limit > 0 && told > rule.limit {
        active.clear();
        return vec![format!("it yields {told} alerts, more than its limit of {}", rule.limit)];
    }
    // Ten thousand alerts may have one mistake; the first says what it is.
    let more = reasons.len().saturating_sub(1);
    let first = reasons.into_iter().next();
    first.map(|reason| if more == 0 { reason } else { format!("{reason}, and {more} more") }).into_iter().collect()
}

/// A rule whose labels never stay the same, such as one with a value among them, ends alerts without end. Of those that
/// are over, the newest are kept to be told; gives how many are not.
fn forget_the_oldest(active: &mut BTreeMap<Fingerprint, Active>) -> usize {
    let over = |alert: &Active| match alert.phase {
        Phase::Resolved { resolved_at, .. } => Some(resolved_at),
        Phase::Pending | Phase::Firing { .. } => None,
    };
    if active.len() <= 2 * MOST {
        return 0;
    }
    let mut ended: Vec<(i64, Fingerprint)> =
        active.iter().filter_map(|(id, alert)| Some((over(alert)?, *id))).collect();
    ended.sort_unstable();
    let many = ended.len().saturating_sub(MOST);
    for (_, fingerprint) in ended.iter().take(many) {
        active.remove(fingerprint);
    }
    many
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// What templates may ask.
struct Texts<'a> {
    source: Source<'a>,
    at: i64,
}

impl Texts<'_> {
    fn fill(&self, template: &Template, labels: &Labels, value: f64, reasons: &mut BTreeSet<String>) -> String {
        let query = |text: &str| -> Result<Vec<Sample>, String> {
            let query = Query::parse(text).map_err(|error| error.to_string())?;
            vector(&query, self.source, self.at)
        };
        let none = BTreeMap::new();
        let data = Data { labels, value, external_labels: &none, external_url: "", now_ms: self.at, query: &query };
        template.expand(&data).unwrap_or_else(|error| {
            reasons.insert(format!("a text cannot be filled in: {error}"));
            format!("<error expanding template: {error}>")
        })
    }

    fn annotations(
        &self,
        rule: &AlertRule,
        labels: &Labels,
        value: f64,
        reasons: &mut BTreeSet<String>,
    ) -> Annotations {
        let mut text = |name: &str| {
            let template = rule.annotations.get(name)?;
            Some(self.fill(template, labels, value, reasons).trim().to_owned())
        };
        Annotations {
            summary: text("summary").unwrap_or_else(|| rule.name.rule.clone()),
            description: text("description").unwrap_or_default(),
            runbook_url: text("runbook_url"),
        }
    }
}

#[cfg(test)]
mod tests;

//! Which rules are evaluated? Files in Prometheus' format, checked against the
//! catalogue of metrics when they are loaded, with every mistake told at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::promql::{MetricShape, Query, Reach, check_query};
use super::rule_file::{self, File, RawRule};
use super::shipped::SHIPPED;
use super::template::Template;
use super::tune::tune;
use crate::config;
use crate::metrics::{Type, families};
use promql_parser::util::parse_duration;

/// The labels that a scrape adds to every series: the rules are written for a
/// Prometheus that scrapes us under these, see `docs/alerts.md`.
pub const SCRAPE_LABELS: [(&str, &str); 2] = [("instance", "scaleio"), ("job", "scaleio")];

/// All rules, ready to be evaluated.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// Recording rules, each after those it reads, else in the order of files, groups and rules.
    pub recordings: Vec<Recording>,
    /// Alerting rules, in the order of files, groups and rules.
    pub alerts: Vec<AlertRule>,
    /// What of the past the rules look at.
    pub reaches: Vec<Reach>,
    /// Names of the metrics that some rule reads.
    pub metrics: BTreeSet<String>,
}

/// Where a rule stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleName {
    /// The file, as it was named.
    pub file: String,
    /// The group.
    pub group: String,
    /// What it records, or the name of its alert.
    pub rule: String,
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: group {}: rule {}", self.file, self.group, self.rule)
    }
}

/// A rule that makes series of series.
#[derive(Debug)]
pub struct Recording {
    /// Where it stands.
    pub name: RuleName,
    /// What it evaluates.
    pub query: Query,
    /// Labels it sets.
    pub labels: BTreeMap<String, String>,
    /// How many series it may yield; 0 is any number.
    pub limit: usize,
}

/// A rule that alerts.
#[derive(Debug)]
pub struct AlertRule {
    /// Where it stands.
    pub name: RuleName,
    /// What it evaluates.
    pub query: Query,
    /// How long its condition must hold before it fires.
    pub hold_ms: i64,
    /// How long it goes on firing when its condition holds no more.
    pub keep_firing_ms: i64,
    /// Labels it sets.
    pub labels: BTreeMap<String, Template>,
    /// What people read.
    pub annotations: BTreeMap<String, Template>,
    /// How many alerts it may yield; 0 is any number.
    pub limit: usize,
    /// The labels that its expression may yield, if that can be told.
    pub yields: Option<BTreeSet<String>>,
}

/// A mistake in a rule file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// The file, as it was named.
    pub file: String,
    /// The line, when it is known.
    pub line: Option<u64>,
    /// The group, when the mistake is in one.
    pub group: Option<String>,
    /// What it records, or the name of its alert.
    pub rule: Option<String>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(group) = &self.group {
            write!(f, ": group {group}")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, ": rule {rule}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why no rules were loaded: every mistake of every file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the alert rules cannot be used: {}", .0.iter().map(|mistake| format!("\n  {mistake}")).collect::<String>())]
pub struct RuleErrors(pub Vec<Mistake>);

/// Reads the files that the configuration names, and the shipped ones unless it says otherwise, with the changes that
/// it asks for.
///
/// # Errors
/// Every mistake of every file, or of every change.
pub fn load(settings: &config::Alerts, poll: &config::Poll) -> Result<RuleSet, RuleErrors> {
    Ok(load_with_texts(settings, poll)?.0)
}

/// Name and text of each file as it is evaluated, for a Prometheus to load.
///
/// # Errors
/// Every mistake of every file, or of every change.
pub fn texts(settings: &config::Alerts, poll: &config::Poll) -> Result<Vec<(String, String)>, RuleErrors> {
    Ok(load_with_texts(settings, poll)?.1)
}

fn load_with_texts(
    settings: &config::Alerts,
    poll: &config::Poll,
) -> Result<(RuleSet, Vec<(String, String)>), RuleErrors> {
    let poll_ms = i64::try_from(poll.fast.as_millis()).unwrap_or(i64::MAX);
    let (files, mistakes) = named(settings);
    match (read(&files, poll_ms), mistakes.is_empty()) {
        (Ok(rules), true) => match tune(&files, &rules, settings).map_err(RuleErrors)? {
            // Nothing is changed.
            None => Ok((rules, files)),
            Some(changed) => Ok((read(&changed, poll_ms)?, changed)),
        },
        (Ok(_), false) => Err(RuleErrors(mistakes)),
        (Err(RuleErrors(more)), _) => Err(RuleErrors([mistakes, more].concat())),
    }
}

/// Name and text of each file. A file with the name of a shipped one replaces it.
fn named(settings: &config::Alerts) -> (Vec<(String, String)>, Vec<Mistake>) {
    let mut mistakes = Vec::new();
    let mut files: Vec<(String, String)> = Vec::new();
    if settings.shipped {
        files.extend(SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
    }
    for path in &settings.files {
        match std::fs::read_to_string(path) {
            Ok(text) => put(&mut files, path, text),
            Err(error) => mistakes.push(Mistake {
                file: path.display().to_string(),
                line: None,
                group: None,
                rule: None,
                reason: format!("cannot be read: {error}"),
            }),
        }
    }
    (files, mistakes)
}

fn put(files: &mut Vec<(String, String)>, path: &Path, text: String) {
    let shown = path.display().to_string();
    let same = |name: &str| path.file_name().is_some_and(|file| Path::new(name).as_os_str() == file);
    match files.iter_mut().find(|(name, _)| same(name)) {
        Some(shipped) => *shipped = (shown, text),
        None => files.push((shown, text)),
    }
}

/// Reads rule files, given by name and text; `poll_ms` is the time between two evaluations.
///
/// # Errors
/// Every mistake of every file.
pub fn read(files: &[(String, String)], poll_ms: i64) -> Result<RuleSet, RuleErrors> {
    let mut reading = Reading { mistakes: Vec::new(), rules: RuleSet::default(), lines: Vec::new() };
    for (name, text) in files {
        match rule_file::parse(text) {
            Ok(file) => reading.file(name, file),
            Err(error) => reading.mistakes.push(Mistake {
                file: name.clone(),
                line: None,
                group: None,
                rule: None,
                reason: error.to_string(),
            }),
        }
    }
    reading.check(poll_ms);
    let Reading { mistakes, mut rules, .. } = reading;
    if !mistakes.is_empty() {
        return Err(RuleErrors(mistakes));
    }
    rules.recordings = in_order(rules.recordings);
    let reaches: Vec<Reach> = rules.queries().flat_map(Query::reaches).collect();
    rules.metrics = reaches.iter().filter_map(|reach| reach.selector.name.as_deref().map(str::to_owned)).collect();
    rules.reaches = Reach::merged(reaches);
    Ok(rules)
}

impl RuleSet {
    fn queries(&self) -> impl Iterator<Item = &Query> {
        let recordings = self.recordings.iter().map(|rule| &rule.query);
        recordings.chain(self.alerts.iter().map(|rule| &rule.query))
    }
}

/// Recordings so that each comes after those it reads; else in the order in which they are written.
fn in_order(mut left: Vec<Recording>) -> Vec<Recording> {
    let mut done = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let names: BTreeSet<&str> = left.iter().map(|rule| rule.name.rule.as_str()).collect();
        let waits = |rule: &Recording| {
            let reads = rule.query.reaches();
            let mut reads = reads.iter().filter_map(|reach| reach.selector.name.as_deref());
            reads.any(|name| name != rule.name.rule && names.contains(name))
        };
        // In a circle nobody comes first; the first one reads what was recorded before.
        let next = left.iter().position(|rule| !waits(rule)).unwrap_or(0);
        done.push(left.remove(next));
    }
    done
}

struct Reading {
    mistakes: Vec<Mistake>,
    rules: RuleSet,
    /// The line of each recording, then of each alert, by position.
    lines: Vec<(RuleName, u64)>,
}

impl Reading {
    fn file(&mut self, file: &str, content: File) {
        let mut seen = BTreeSet::new();
        for group in content.groups {
            let name = group.name.value.clone();
            let wrong = |reason: String| Mistake {
                file: file.to_owned(),
                line: Some(group.name.referenced.line()),
                group: Some(name.clone()),
                rule: None,
                reason,
            };
            if !seen.insert(name.clone()) {
                self.mistakes.push(wrong("there is another group of this name in the file".to_owned()));
            }
            for (key, text) in [("interval", &group.interval), ("query_offset", &group.query_offset)] {
                if let Some(Err(reason)) = text.as_deref().map(duration_ms) {
                    self.mistakes.push(wrong(format!("{key}: {reason}")));
                }
            }
            if group.query_offset.as_deref().is_some_and(|text| duration_ms(text).is_ok_and(|ms| ms > 0)) {
                self.mistakes.push(wrong("query_offset is not supported by the built-in engine".to_owned()));
            }
            for rule in group.rules {
                self.rule(file, &name, &group.labels, group.limit, rule);
            }
        }
    }

    fn rule(&mut self, file: &str, group: &str, more: &BTreeMap<String, String>, limit: usize, raw: RawRule) {
        let line = raw.expr.referenced.line();
        let mut reasons = Vec::new();
        let rule = match (&raw.alert, &raw.record) {
            (Some(name), None) | (None, Some(name)) if !name.is_empty() => name.clone(),
            (Some(name), _) | (_, Some(name)) => {
                reasons.push("it has one of `alert` and `record`, and that is not empty".to_owned());
                name.clone()
            }
            (None, None) => {
                reasons.push("it has neither `alert` nor `record`".to_owned());
                "?".to_owned()
            }
        };
        let name = RuleName { file: file.to_owned(), group: group.to_owned(), rule };
        let mut span = |key: &str, text: &Option<String>| match text.as_deref().map(duration_ms) {
            None => 0,
            Some(Ok(ms)) => ms,
            Some(Err(reason)) => {
                reasons.push(format!("{key}: {reason}"));
                0
            }
        };
        let (hold_ms, keep_firing_ms) = (span("for", &raw.r#for), span("keep_firing_for", &raw.keep_firing_for));
        let query = match Query::parse(&raw.expr.value) {
            Ok(query) => Some(query),
            Err(error) => {
                reasons.push(chain(&error));
                None
            }
        };
        let labels: BTreeMap<String, String> = more.clone().into_iter().chain(raw.labels).collect();
        for label in labels.keys().filter(|label| !is_label(label) || *label == "__name__") {
            reasons.push(format!("{label:?} is no name of a label"));
        }
        if raw.record.is_some() {
            if raw.r#for.is_some() || raw.keep_firing_for.is_some() || !raw.annotations.is_empty() {
                reasons.push("a recording rule has no `for`, `keep_firing_for` or `annotations`".to_owned());
            }
            if !is_metric(&name.rule) {
                reasons.push(format!("{:?} is no name of a metric", name.rule));
            }
        }
        if raw.alert.is_some() && labels.contains_key("alertname") {
            reasons.push("the label alertname is the name of the alert and cannot be set".to_owned());
        }
        let templates = |kind: &str, texts: BTreeMap<String, String>, reasons: &mut Vec<String>| {
            let mut out = BTreeMap::new();
            for (key, text) in texts {
                match Template::parse(&text) {
                    Ok(template) => drop(out.insert(key, template)),
                    Err(error) => reasons.push(format!("{kind} {key}: {error}")),
                }
            }
            out
        };
        let (mut label_templates, mut annotations) = (BTreeMap::new(), BTreeMap::new());
        if raw.alert.is_some() {
            label_templates = templates("label", labels.clone(), &mut reasons);
            annotations = templates("annotation", raw.annotations, &mut reasons);
        }
        for reason in reasons {
            self.mistake(&name, line, reason);
        }
        self.lines.push((name.clone(), line));
        let Some(query) = query else { return };
        if raw.record.is_some() {
            self.rules.recordings.push(Recording { name, query, labels, limit });
        } else {
            let labels = label_templates;
            self.rules.alerts.push(AlertRule {
                name,
                query,
                hold_ms,
                keep_firing_ms,
                labels,
                annotations,
                limit,
                yields: None,
            });
        }
    }

    fn mistake(&mut self, name: &RuleName, line: u64, reason: String) {
        self.mistakes.push(Mistake {
            file: name.file.clone(),
            line: Some(line),
            group: Some(name.group.clone()),
            rule: Some(name.rule.clone()),
            reason,
        });
    }

    /// Holds every expression and text against what there is.
    fn check(&mut self, poll_ms: i64) {
        let mut shapes = catalogue();
        let any: BTreeSet<String> = shapes.values().flat_map(|shape| shape.labels.iter().cloned()).collect();
        for rule in &self.rules.recordings {
            shapes.insert(rule.name.rule.clone(), MetricShape { labels: any.clone() });
        }
        // What a recording has for labels follows from its expression, which may use another one: each round
        // settles one step of such a chain.
        for _ in 0..8 {
            let before = shapes.clone();
            for rule in &self.rules.recordings {
                let (_, labels) = check_query(&rule.query, |metric| before.get(metric).cloned(), poll_ms);
                let mut labels = labels.unwrap_or_else(|| any.clone());
                labels.extend(rule.labels.keys().cloned());
                shapes.insert(rule.name.rule.clone(), MetricShape { labels });
            }
            if shapes == before {
                break;
            }
        }
        let lookup = |metric: &str| shapes.get(metric).cloned();
        let mut found: Vec<(RuleName, String)> = Vec::new();
        for rule in &self.rules.recordings {
            let (findings, _) = check_query(&rule.query, lookup, poll_ms);
            found.extend(findings.into_iter().map(|finding| (rule.name.clone(), finding.to_string())));
        }
        for rule in &mut self.rules.alerts {
            let (findings, labels) = check_query(&rule.query, lookup, poll_ms);
            rule.yields.clone_from(&labels);
            found.extend(findings.into_iter().map(|finding| (rule.name.clone(), finding.to_string())));
            let Some(labels) = labels else { continue };
            let texts = rule.labels.iter().map(|(key, text)| ("label", key, text));
            for (kind, key, text) in texts.chain(rule.annotations.iter().map(|(key, text)| ("annotation", key, text))) {
                for label in text.labels_used().iter().filter(|label| !labels.contains(*label)) {
                    let reason = format!("{kind} {key}: the expression yields no label `{label}`");
                    found.push((rule.name.clone(), reason));
                }
            }
        }
        for (name, reason) in found {
            let line = self.lines.iter().find(|(known, _)| *known == name).map_or(0, |(_, line)| *line);
            self.mistake(&name, line, reason);
        }
    }
}

/// Every metric with its labels, as a Prometheus that scrapes us knows it.
fn catalogue() -> BTreeMap<String, MetricShape> {
    let of_the_scrape = || SCRAPE_LABELS.iter().map(|(name, _)| (*name).to_owned());
    let mut shapes = BTreeMap::from([("up".to_owned(), MetricShape { labels: of_the_scrape().collect() })]);
    for family in families() {
        let labels: BTreeSet<String> = family.labels.iter().map(|label| (*label).to_owned()).collect();
        let shape = |more: Option<&str>| MetricShape {
            labels: labels.iter().cloned().chain(of_the_scrape()).chain(more.map(str::to_owned)).collect(),
        };
        match family.kind {
            Type::Gauge | Type::Counter => drop(shapes.insert(family.name.clone(), shape(None))),
            Type::Histogram => {
                shapes.insert(format!("{}_bucket", family.name), shape(Some("le")));
                shapes.insert(format!("{}_sum", family.name), shape(None));
                shapes.insert(format!("{}_count", family.name), shape(None));
            }
        }
    }
    shapes
}

fn duration_ms(text: &str) -> Result<i64, String> {
    // The parser takes no zero; Prometheus does, with any unit.
    if matches!(text, "0" | "0ms" | "0s" | "0m" | "0h" | "0d") {
        return Ok(0);
    }
    let duration = parse_duration(text).map_err(|error| format!("{text:?} is no duration: {error}"))?;
    i64::try_from(duration.as_millis()).map_err(|_| format!("{text:?} is too long"))
}

fn is_label(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_')
        && bytes.all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

fn is_metric(name: &str) -> bool {
    is_label(&name.replace(':', "_"))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;

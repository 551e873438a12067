//! Do the alert rules fire where their own tests say so? The tests are those that `promtool test rules` takes; of them the
//! probes of `ALERTS` are asked of the engine that judges here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use promql_parser::label::MatchOp;
use promql_parser::parser::{self, Expr};
use promql_parser::util::parse_duration;
use serde::Deserialize;

use super::engine::{Engine, Seen};
use super::promql::{Bounds, History, Labels, Latest, METRIC_NAME};
use super::rules::{self, RuleSet};
use super::shipped::{SHIPPED, TESTS};
use crate::config;
use crate::model::chore::Found;
use crate::model::unit::Timestamp;

#[derive(Debug, Deserialize)]
struct TestFile {
    rule_files: Vec<String>,
    #[serde(default)]
    evaluation_interval: Option<String>,
    tests: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    #[serde(default)]
    name: String,
    #[serde(default)]
    interval: Option<String>,
    #[serde(default)]
    input_series: Vec<Input>,
    #[serde(default)]
    promql_expr_test: Vec<Probe>,
}

#[derive(Debug, Deserialize)]
struct Input {
    series: String,
    values: String,
}

#[derive(Debug, Deserialize)]
struct Probe {
    expr: String,
    eval_time: String,
    #[serde(default)]
    exp_samples: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
struct Sample {
    labels: String,
}

/// What came of all tests.
#[derive(Debug, Default)]
struct Tally {
    probes: usize,
    fired: BTreeSet<String>,
    wrong: Vec<String>,
}

/// Tries the shipped rules as they are shipped, and those of the site by the tests in the folder `tests` beside them.
/// That the rules in force can be read is part of it.
pub fn run(settings: &config::Alerts, poll: &config::Poll) -> Found {
    let mut tally = Tally::default();
    let shipped = |name: &str| SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
    let in_force = match rules::load(settings, poll) {
        Ok(rules) => rules,
        Err(errors) => {
            let lines = errors.0.iter().map(ToString::to_string).collect();
            return Found::unwell("the alert rules cannot be used; those from before stay in force").with(lines);
        }
    };
    if settings.shipped {
        for (name, text) in TESTS {
            tally.file(name, text, &|file| shipped(Path::new(file).file_name()?.to_str()?));
        }
    }
    let folders: BTreeSet<_> = settings.files.iter().filter_map(|file| Some(file.parent()?.join("tests"))).collect();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        match tests_of(folder) {
            Ok(files) => {
                for (name, text) in files {
                    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
                    tally.file(&name, &text, &read);
                }
            }
            Err(error) => tally.wrong.push(format!("{}: {error}", folder.display())),
        }
    }
    let untried: Vec<&str> = in_force
        .alerts
        .iter()
        .map(|alert| alert.name.rule.as_str())
        .filter(|name| !tally.fired.contains(*name))
        .collect();
    let (tried, all) = (in_force.alerts.len() - untried.len(), in_force.alerts.len());
    let mut lines = tally.wrong;
    let found = if lines.is_empty() {
        Found::well(format!(
            "{tried} of {all} alerts fired in their tests, and {} probes were as expected",
            tally.probes
        ))
    } else {
        Found::unwell(format!("{} of {} probes were not as expected", lines.len(), tally.probes))
    };
    if !untried.is_empty() {
        lines.push(format!("no test makes these fire: {}", untried.join(", ")));
    }
    found.with(lines)
}

/// The tests of a folder, by their names.
fn tests_of(folder: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "yml" || end == "yaml") {
            files.push((path.display().to_string(), std::fs::read_to_string(&path)?));
        }
    }
    files.sort();
    Ok(files)
}

impl Tally {
    fn file(&mut self, name: &str, text: &str, read: &dyn Fn(&str) -> Option<String>) {
        let file: TestFile = match serde_saphyr::from_str(text) {
            Ok(file) => file,
            Err(error) => return self.wrong.push(format!("{name}: {error}")),
        };
        let mut texts = Vec::new();
        for rules in &file.rule_files {
            match read(rules) {
                Some(text) => texts.push((rules.clone(), text)),
                // Rules that are not in force here.
                None => return,
            }
        }
        let step = file.evaluation_interval.as_deref().map_or(Some(60_000), milliseconds);
        let Some(step) = step.filter(|step| *step > 0) else {
            return self.wrong.push(format!("{name}: evaluation_interval cannot be read"));
        };
        let rules = match rules::read(&texts, 1) {
            Ok(rules) => Arc::new(rules),
            Err(errors) => return self.wrong.extend(errors.0.iter().map(|mistake| format!("{name}: {mistake}"))),
        };
        for case in &file.tests {
            if let Err(why) = self.case(&rules, case, step) {
                self.wrong.push(format!("{name}, {}: {why}", case.name));
            }
        }
    }

    fn case(&mut self, rules: &Arc<RuleSet>, case: &Case, step: i64) -> Result<(), String> {
        let interval = case.interval.as_deref().map_or(Some(step), milliseconds).ok_or("interval cannot be read")?;
        let mut probes: BTreeMap<i64, Vec<(String, BTreeSet<Pairs>)>> = BTreeMap::new();
        for probe in &case.promql_expr_test {
            let Some(alert) = asks_for(&probe.expr) else { continue };
            let at = milliseconds(&probe.eval_time).ok_or("eval_time cannot be read")?;
            let expected = probe.exp_samples.iter().map(|sample| pairs(&sample.labels)).collect::<Result<_, _>>()?;
            probes.entry(at / step).or_default().push((alert, expected));
        }
        let Some(last) = probes.keys().next_back().copied() else { return Ok(()) };
        let series = case.input_series.iter().map(|input| Ok((labels(&input.series)?, values(&input.values)?)));
        let series: Vec<(Labels, Vec<Option<f64>>)> = series.collect::<Result<_, String>>()?;
        let start = Timestamp::UNIX_EPOCH;
        let mut engine = Engine::new(Arc::clone(rules), History::new(Bounds::default()), &[], start);
        for turn in 0..=last {
            let at = turn * step;
            let mut latest = Latest::new(at);
            let place = usize::try_from(at / interval.max(1)).unwrap_or(usize::MAX);
            for (labels, values) in &series {
                if let Some(value) = values.get(place).copied().flatten() {
                    latest.push(labels.clone(), value);
                }
            }
            let verdict = engine.step(&mut latest, &Seen::default());
            if let Some(error) = verdict.errors.first() {
                return Err(format!("{}: {}", error.rule.rule, error.reason));
            }
            for (alert, expected) in probes.get(&turn).into_iter().flatten() {
                let firing = verdict.set.alerts.values().filter(|firing| firing.is_firing() && firing.name == *alert);
                let found: BTreeSet<Pairs> = firing
                    .map(|alert| alert.labels.iter().filter(|(name, _)| !is_of_state(name)).map(owned).collect())
                    .collect();
                self.probes += 1;
                // A heartbeat tells of nothing that is wrong, and is only counted.
                let beats = |pairs: &Pairs| pairs.get("severity").is_some_and(|severity| severity == "none");
                if expected.iter().any(beats) && verdict.heartbeats == expected.len() {
                    self.fired.insert(alert.clone());
                    continue;
                }
                if found != *expected {
                    return Err(format!("{alert} at {} s: {found:?} instead of {expected:?}", at / 1000));
                }
                if !found.is_empty() {
                    self.fired.insert(alert.clone());
                }
            }
        }
        Ok(())
    }
}

type Pairs = BTreeMap<String, String>;

fn owned((name, value): (impl AsRef<str>, impl AsRef<str>)) -> (String, String) {
    (name.as_ref().to_owned(), value.as_ref().to_owned())
}

fn is_of_state(name: &str) -> bool {
    matches!(name, METRIC_NAME | "alertname" | "alertstate")
}

fn milliseconds(text: &str) -> Option<i64> {
    i64::try_from(parse_duration(text).ok()?.as_millis()).ok()
}

/// Name and labels of a series that is written out.
fn written(text: &str) -> Result<(String, Pairs), String> {
    match parser::parse(text) {
        Ok(Expr::VectorSelector(selector)) => {
            let matchers = selector.matchers.matchers.iter();
            if let Some(other) = matchers.clone().find(|matcher| !matches!(matcher.op, MatchOp::Equal)) {
                return Err(format!("{text} compares {} by something else than =", other.name));
            }
            let pairs = matchers.map(|matcher| (matcher.name.clone(), matcher.value.clone())).collect();
            Ok((selector.name.unwrap_or_default(), pairs))
        }
        Ok(_) | Err(_) => Err(format!("{text} is no series")),
    }
}

fn labels(text: &str) -> Result<Labels, String> {
    let (name, pairs) = written(text)?;
    Ok(Labels::from_pairs(pairs.into_iter().chain([(METRIC_NAME.to_owned(), name)])))
}

fn pairs(text: &str) -> Result<Pairs, String> {
    Ok(written(text)?.1.into_iter().filter(|(name, _)| !is_of_state(name)).collect())
}

/// The alert whose firing is asked for, if that is what is asked.
fn asks_for(expr: &str) -> Option<String> {
    let (name, pairs) = written(expr).ok()?;
    let fires = pairs.get("alertstate").is_some_and(|state| state == "firing");
    (name == "ALERTS" && fires && pairs.len() == 2).then(|| pairs.get("alertname").cloned()).flatten()
}

/// Samples as promtool writes them: `1`, `1x4`, `1+2x4`, `1-2x4`, `_`, `_x4`, `stale`.
fn values(text: &str) -> Result<Vec<Option<f64>>, String> {
    let mut all = Vec::new();
    for word in text.split_whitespace() {
        let bad = || format!("{word} is no value");
        let (what, times) = match word.rsplit_once('x').filter(|_| word != "stale") {
            Some((what, times)) => (what, times.parse::<u32>().map_err(|_| bad())?),
            None => (word, 0),
        };
        match what {
            // `_x4` is four of them, `1x4` is one and four more.
            "_" => all.extend((0..times.max(1)).map(|_| None)),
            "stale" => all.push(None),
            what => {
                let sign = what.char_indices().skip(1).filter(|(_, c)| matches!(c, '+' | '-'));
                let sign = sign.filter(|(at, _)| !what.get(..*at).is_some_and(|before| before.ends_with(['e', 'E'])));
                let (first, step) = match sign.map(|(at, _)| at).next() {
                    Some(at) => what.split_at_checked(at).ok_or_else(bad)?,
                    None => (what, "0"),
                };
                let first: f64 = first.parse().map_err(|_| bad())?;
                let negative = step.starts_with('-');
                let step: f64 = step.trim_start_matches(['+', '-']).parse().map_err(|_| bad())?;
                let step = if negative { -step } else { step };
                all.extend((0..=times).map(|turn| Some(step.mul_add(f64::from(turn), first))));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alerts() -> (config::Alerts, config::Poll) {
        let second = std::time::Duration::from_secs(1);
        let poll = config::Poll { fast: second * 10, middle: second * 60, slow: second * 300, max_age: second * 900 };
        (config::Alerts::default(), poll)
    }

    #[test]
    fn every_shipped_alert_fires_in_the_engine_where_its_tests_say_so() {
        let (settings, poll) = alerts();
        let found = run(&settings, &poll);
        assert!(found.is_well, "{found:#?}");
        assert_eq!(found.lines, Vec::<String>::new());
    }

    #[test]
    fn a_rule_of_the_site_that_does_not_fire_in_its_test_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("own.yml");
        let rule = |limit: &str| {
            format!(
                "groups:\n- name: own\n  rules:\n  - alert: Own\n    expr: scaleio_up < {limit}\n    labels: {{severity: info}}\n"
            )
        };
        std::fs::write(&rules, rule("1")).unwrap();
        std::fs::create_dir(folder.path().join("tests")).unwrap();
        let test = "rule_files: [../own.yml]\nevaluation_interval: 1m\ntests:\n- name: down\n  interval: 1m\n  input_series:\n  - \
                    {series: 'scaleio_up{system=\"s\"}', values: '1 0x9'}\n  promql_expr_test:\n  - {expr: 'ALERTS{alertname=\"Own\", \
                    alertstate=\"firing\"}', eval_time: 5m, exp_samples: [{labels: 'ALERTS{system=\"s\", severity=\"info\"}', value: 1}]}\n";
        std::fs::write(folder.path().join("tests/own.yml"), test).unwrap();
        let (settings, poll) = alerts();
        let settings = config::Alerts { shipped: false, files: vec![rules.clone()], ..settings };
        assert_eq!(
            run(&settings, &poll),
            Found::well("1 of 1 alerts fired in their tests, and 1 probes were as expected")
        );
        std::fs::write(&rules, rule("0")).unwrap();
        let found = run(&settings, &poll);
        assert!(!found.is_well && found.lines[0].contains("down: Own at 300 s"), "{found:?}");
        std::fs::write(&rules, "groups: [").unwrap();
        let found = run(&settings, &poll);
        assert!(!found.is_well && found.says.contains("cannot be used"), "{found:?}");
    }

    #[test]
    fn samples_are_read_as_promtool_does() {
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(values("1+2x3").unwrap(), some(&[1.0, 3.0, 5.0, 7.0]));
        assert_eq!(values("5x2 1").unwrap(), some(&[5.0, 5.0, 5.0, 1.0]));
        assert_eq!(values("-1-1x1").unwrap(), some(&[-1.0, -2.0]));
        assert_eq!(values("1e-3+1e3x1").unwrap(), some(&[0.001, 1000.001]));
        assert_eq!(values("_x2 1 stale").unwrap(), [None, None, Some(1.0), None]);
        assert!(values("one").is_err());
    }
}

//! Does the built-in engine say of the shipped rules what Prometheus says? A scripted scenario goes through
//! `promtool test rules` and through our engine; the sets of pending and firing alerts are equal at each step.
//!
//! Steps are such that no sample lies on the edge of a range, which Prometheus 2 and 3 treat differently. Recordings
//! are evaluated first in both. The stories tell of faults in numbers of their own, not in those of the rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of it is a test")]

#[path = "promqltest_script/series.rs"]
#[allow(dead_code, unreachable_pub, reason = "the reader of series is shared with the script runner")]
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use chrono::DateTime;
use scaleio_framework::alert::engine::{Engine, Seen};
use scaleio_framework::alert::promql::{Bounds, History, Latest};
use scaleio_framework::alert::rules::{RuleSet, read};

/// The stories: what is measured, and when.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories");

/// A story as promtool takes it: every value of every series.
struct Story {
    step_s: i64,
    steps: usize,
    /// Name with labels, and values in promtool's notation.
    series: Vec<(String, String)>,
}

impl Story {
    fn read(name: &str) -> Self {
        let path = format!("{FOLDER}/{name}.txt");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut story = Self { step_s: 0, steps: 0, series: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            match line.split_once(' ').unwrap() {
                ("step", step) => story.step_s = minutes(step, 's') as i64,
                ("steps", steps) => story.steps = steps.parse().unwrap(),
                _ => {
                    let (series, values) = line.split_once("} ").unwrap();
                    let values = if values.contains(':') { story.values(values) } else { values.to_owned() };
                    story.series.push((format!("{series}}}").replace("{}", ""), values));
                }
            }
        }
        story
    }

    /// `MINUTE:VALUE+RATE ...` step by step.
    fn values(&self, points: &str) -> String {
        let points: Vec<(f64, &str)> = points
            .split(' ')
            .map(|point| point.split_once(':').unwrap_or_else(|| panic!("{point}")))
            .map(|(at, value)| (minutes(at, 'm'), value))
            .collect();
        assert!(points.is_sorted_by(|a, b| a.0 < b.0), "{points:?}");
        let mut out = String::new();
        let mut is_there = false;
        for step in 0..self.steps {
            let now = step as f64 * self.step_s as f64 / 60.0;
            let (since, value) = points.iter().rev().find(|(at, _)| *at <= now).unwrap();
            if *value == "-" {
                out.push_str(if is_there { "stale " } else { "_ " });
            } else {
                // Not the sign of an exponent.
                let sign = value
                    .char_indices()
                    .skip(1)
                    .find(|(at, c)| matches!(c, '+' | '-') && !value[..*at].ends_with(['e', 'E']));
                let (base, rate) = sign.map_or((*value, 0.0), |(at, _)| (&value[..at], value[at..].parse().unwrap()));
                let value = base.parse::<f64>().unwrap() + rate * (now - since);
                write!(out, "{value} ").unwrap();
            }
            is_there = *value != "-";
        }
        out.trim_end().to_owned()
    }
}

/// A time with its unit in minutes, or in seconds for `s`; without a unit it is in minutes.
fn minutes(text: &str, unit: char) -> f64 {
    let number = |text: &str| text.parse::<f64>().unwrap_or_else(|_| panic!("{text} is no time"));
    let minutes = match text.char_indices().last().unwrap() {
        (at, 's') => number(&text[..at]) / 60.0,
        (at, 'm') => number(&text[..at]),
        (at, 'h') => number(&text[..at]) * 60.0,
        (at, 'd') => number(&text[..at]) * 24.0 * 60.0,
        _ => number(text),
    };
    if unit == 's' { (minutes * 60.0).round() } else { minutes }
}

type Row = BTreeMap<String, String>;
/// Labels of each alert, and whether it fires.
type Set = BTreeSet<(Row, bool)>;

/// Every shipped file, recordings first, with what the engine makes of them.
fn rules() -> (Vec<(String, String)>, RuleSet) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".rules.yml")).collect();
    names.sort_by_key(|name| (name != "recording.rules.yml", name.clone()));
    let file = |name: String| (name.clone(), std::fs::read_to_string(folder.join(name)).unwrap());
    let files: Vec<_> = names.into_iter().map(file).collect();
    let rules = read(&files, 15_000).unwrap_or_else(|errors| panic!("{errors}"));
    (files, rules)
}

fn ours(story: &Story, rules: RuleSet) -> Vec<Set> {
    let series = story.series.iter().map(|(name, values)| series::parse_series(&format!("{name} {values}")).unwrap());
    let series: Vec<_> = series.collect();
    let start = DateTime::UNIX_EPOCH;
    let mut engine = Engine::new(Arc::new(rules), History::new(Bounds::default()), &[], start);
    let mut out = Vec::new();
    for step in 0..story.steps {
        let mut latest = Latest::new(step as i64 * story.step_s * 1000);
        for (labels, places) in &series {
            // A gap shorter than the lookback: Prometheus goes on with the value before it.
            let known = places[..=step.min(places.len() - 1)].iter().rev();
            let mut known = known.skip_while(|place| matches!(place, series::Place::Nothing));
            match known.next() {
                Some(series::Place::Value(value)) if step < places.len() => latest.push(labels.clone(), *value),
                _ => {}
            }
        }
        let verdict = engine.step(&mut latest, &Seen::default());
        assert_eq!(verdict.errors, [], "step {step}");
        out.push(engine.states().map(|(labels, fires)| (labels.clone(), fires)).collect());
    }
    out
}

/// What promtool says, step by step. It is told to expect something else, because it says what it got only then.
fn theirs(story: &Story, files: &[(String, String)]) -> Vec<Set> {
    let (step_s, steps) = (story.step_s, story.steps);
    let folder = tempfile::tempdir().unwrap();
    let mut test = format!("evaluation_interval: {step_s}s\nrule_files:\n");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
        writeln!(test, "- {name}").unwrap();
    }
    let groups: Vec<String> =
        files.iter().map(|(name, _)| format!("scaleio-{}", name.strip_suffix(".rules.yml").unwrap())).collect();
    writeln!(test, "group_eval_order: [{}]", groups.join(", ")).unwrap();
    writeln!(test, "tests:\n- interval: {step_s}s\n  input_series:").unwrap();
    for (name, values) in &story.series {
        writeln!(test, "  - series: '{name}'\n    values: '{values}'").unwrap();
    }
    test.push_str("  promql_expr_test:\n");
    for step in 0..steps {
        let at = step as i64 * step_s;
        writeln!(test, "  - {{expr: ALERTS, eval_time: {at}s, exp_samples: [{{labels: no_such, value: 1}}]}}").unwrap();
    }
    let path = folder.path().join("test.yml");
    std::fs::write(&path, test).unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&path)
        .output()
        .expect("promtool is needed: apt install prometheus");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let got: Vec<Set> =
        text.lines().filter_map(|line| line.trim().strip_prefix("got:")).map(|line| alerts(line.trim())).collect();
    assert_eq!(got.len(), steps, "promtool said: {}", &text[..text.len().min(3000)]);
    got
}

/// Reads `ALERTS{a="b"} 1E+00, ALERTS{...} 1E+00`. No value here holds a brace.
fn alerts(text: &str) -> Set {
    let mut out = Set::new();
    for part in text.split_inclusive('}').filter(|part| part.contains('{')) {
        let head = part.split_once(", ").filter(|(value, _)| value.contains("E+")).map_or(part, |(_, head)| head);
        let (labels, _) = series::parse_series(&format!("{head} 1")).unwrap();
        let mut row: Row = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        row.remove("__name__");
        let fires = row.remove("alertstate").unwrap() == "firing";
        out.insert((row, fires));
    }
    out
}

/// Alerts as both say them, step by step; a difference is a failure.
fn verdict(name: &str) -> Vec<Set> {
    let story = Story::read(name);
    let (files, rules) = rules();
    let theirs = theirs(&story, &files);
    let ours = ours(&story, rules);
    for (step, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
        let only = |a: &Set, b: &Set| -> Vec<String> { a.difference(b).map(|row| format!("{row:?}")).collect() };
        assert!(
            theirs == ours,
            "{name}, step {step}\nonly theirs {:#?}\nonly ours {:#?}",
            only(theirs, ours),
            only(ours, theirs)
        );
    }
    ours
}

#[test]
fn promtool_and_the_engine_say_the_same_and_every_alert_fires_and_is_silent() {
    let names = std::fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let names: Vec<String> = names.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    let steps: Vec<Set> = std::thread::scope(|scope| {
        let stories: Vec<_> = names.iter().map(|name| scope.spawn(|| verdict(name))).collect();
        stories.into_iter().flat_map(|story| story.join().unwrap()).collect()
    });
    let mut unheard = Vec::new();
    for rule in rules().1.alerts {
        let of_it = |(row, _): &&(Row, bool)| row["alertname"] == rule.name.rule;
        let states: Vec<Vec<bool>> =
            steps.iter().map(|step| step.iter().filter(of_it).map(|(_, fires)| *fires).collect()).collect();
        if !states.iter().any(|states| states.contains(&true)) {
            unheard.push(format!("{} never fires", rule.name.rule));
        }
        if !states.iter().any(Vec::is_empty) {
            unheard.push(format!("{} is never silent", rule.name.rule));
        }
        if rule.hold_ms > 0 && !states.iter().any(|states| states.contains(&false)) {
            unheard.push(format!("{} is never pending", rule.name.rule));
        }
    }
    assert!(unheard.is_empty(), "{unheard:#?}");
}

/// At how many steps an alert with this label was pending or fired.
fn told(steps: &[Set], alert: &str, label: (&str, &str)) -> usize {
    let is_it =
        |(row, _): &(Row, bool)| row["alertname"] == alert && row.get(label.0).is_some_and(|value| value == label.1);
    steps.iter().filter(|step| step.iter().any(is_it)).count()
}

#[test]
fn what_a_simple_rule_would_get_wrong_stays_silent() {
    let steps = verdict("faults");
    for (alert, label) in [
        // In maintenance.
        ("ScaleioSdsDisconnected", ("sds", "e")),
        // Without volumes.
        ("ScaleioSdcDisconnected", ("sdc", "old")),
        // One of five.
        ("ScaleioMdmQuorumAtRisk", ("system", "west")),
        ("ScaleioLoginRefused", ("system", "east")),
        ("ScaleioSdsVersionMismatch", ("system", "east")),
    ] {
        assert_eq!(told(&steps, alert, label), 0, "{alert} {label:?}");
    }
    assert!(told(&steps, "ScaleioRebuildStuck", ("storage_pool", "q1")) > 60, "it stands still for 80 minutes");
    // A rebuild that goes down from its first minute on. A second failure adds to it, which for one step, a quarter of
    // an hour later, looks as if it had not.
    assert_eq!(told(&steps, "ScaleioRebuildStuck", ("storage_pool", "q2")), 1);
}

//! Does our evaluator give what a script expects?

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use scaleio_framework::alert::promql::{
    Bounds, EvalError, History, Labels, Point, Query, QueryError, Source, Value, is_stale,
};

use super::script::{Command, Eval, Expected};
use super::series::Place;

/// Relative difference up to which two floats are equal, as in Prometheus' own judge.
const EPSILON: f64 = 1e-6;

/// Syntax of Prometheus that is newer than the parser, so that its refusal is no bug of ours.
static NEWER: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"</|>/", "operators that trim native histograms"),
        (
            r"\[[^\]]*(?:[-+*/%^(]|\b\d+\.\d)[^\]]*\]|offset\s*(?:[-+]?\s*\(|[-+]?\s*(?:step|range|min|max)\b|[^)\]]*[-+*/%^]\s*\d+[smhd])|offset\s+-?\s*\w+\s*[-+*/^]",
            "duration arithmetic",
        ),
        (r"\b(?:anchored|smoothed)\b", "anchored and smoothed selectors"),
        (r"\binfo\(", "info()"),
        (r"\bfill(?:_left|_right)?\b", "fill modifiers"),
        (r"(?i)\b(?:step|range|start|end|max_of|min_of)\(", "query context functions"),
    ]
    .into_iter()
    .map(|(pattern, reason)| (Regex::new(pattern).unwrap(), reason))
    .collect()
});

/// What came of all scripts.
#[derive(Debug, Default)]
pub struct Tally {
    pub passed: usize,
    pub failures: Vec<String>,
    pub skipped: BTreeMap<String, usize>,
    /// Passed evals whose expected warnings or infos were not compared.
    pub annotations_ignored: usize,
}

impl Tally {
    pub fn skips(&self) -> usize {
        self.skipped.values().sum()
    }
}

enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
}

/// The data a script has loaded.
#[derive(Default)]
struct Data {
    points: BTreeMap<i64, Vec<(Labels, f64)>>,
    histograms: Vec<Labels>,
    unread: Option<String>,
    history: Option<History>,
}

impl Data {
    fn load(&mut self, step: i64, series: &[(Labels, Vec<Place>)], buckets_too: bool) {
        self.history = None;
        for (labels, places) in series {
            if buckets_too && let Some(base) = labels.metric_name().strip_suffix("_bucket") {
                let family = labels.with("__name__", base).with("le", "");
                self.histograms.push(family);
            }
            for (t, place) in (0..).map(|i| i * step).zip(places) {
                match place {
                    Place::Value(value) => self.points.entry(t).or_default().push((labels.clone(), *value)),
                    Place::Nothing => {}
                    Place::Histogram => self.histograms.push(labels.clone()),
                }
            }
        }
        self.histograms.sort();
        self.histograms.dedup();
    }

    fn history(&mut self) -> &History {
        self.history.get_or_insert_with(|| {
            let mut history = History::new(Bounds::default());
            for (t, samples) in &self.points {
                history.begin(*t);
                // The last load of a moment counts.
                for (labels, value) in samples.iter().rev() {
                    history.keep(labels, *value, i64::MAX);
                }
            }
            history
        })
    }
}

/// Runs a script and adds what came of it.
pub fn run(name: &str, commands: &[Command], tally: &mut Tally) {
    let mut data = Data::default();
    for command in commands {
        match command {
            Command::Clear => data = Data::default(),
            Command::Load { step, series, buckets_too } => data.load(*step, series, *buckets_too),
            Command::Unread { why } => data.unread = Some(why.clone()),
            Command::Eval(eval) => match judge(eval, &mut data) {
                Verdict::Passed => {
                    tally.passed += 1;
                    tally.annotations_ignored += usize::from(eval.annotated);
                }
                Verdict::Failed(why) => {
                    tally.failures.push(format!("{name}:{}: {}: {why}", eval.line, eval.query));
                }
                Verdict::Skipped(reason) => *tally.skipped.entry(reason).or_default() += 1,
            },
        }
    }
}

fn judge(eval: &Eval, data: &mut Data) -> Verdict {
    let query = match Query::parse(&eval.query) {
        Ok(query) => query,
        Err(QueryError::Unsupported { kind, name }) => return Verdict::Skipped(format!("{kind} {name}")),
        Err(error) => {
            // Also where a failure is expected: refused for another reason proves nothing.
            return match NEWER.iter().find(|(pattern, _)| pattern.is_match(&eval.query)) {
                Some((_, reason)) => Verdict::Skipped(format!("syntax newer than the parser: {reason}")),
                None if eval.fails => Verdict::Passed,
                None => Verdict::Failed(format!("refused: {error}")),
            };
        }
    };
    let touches = |labels: &Labels| query.reaches().iter().any(|reach| reach.selector.matches(labels));
    if data.histograms.iter().any(touches) || expects_histograms(&eval.expected) {
        return Verdict::Skipped("native histograms".to_owned());
    }
    if data.unread.is_some() {
        return Verdict::Skipped("start timestamps of samples".to_owned());
    }
    let answer = answer(&query, data.history(), eval);
    let outcome = match (answer, eval.fails) {
        (Err(_), true) => Ok(()),
        (Err(error), false) => Err(error.to_string()),
        (Ok(answer), true) => Err(format!("an error was expected, got {answer:?}")),
        (Ok(answer), false) => compare(eval, answer),
    };
    outcome.map_or_else(Verdict::Failed, |()| Verdict::Passed)
}

fn expects_histograms(expected: &Expected) -> bool {
    match expected {
        Expected::Series(series) | Expected::Matrix { series, .. } => {
            series.iter().flat_map(|(_, places)| places).any(|place| *place == Place::Histogram)
        }
        Expected::Scalar(_) | Expected::Text(_) => false,
    }
}

type Rows = BTreeMap<Labels, Vec<Point>>;

#[derive(Debug)]
enum Answer {
    Instant(Value),
    Range(Rows),
}

fn answer(query: &Query, history: &History, eval: &Eval) -> Result<Answer, EvalError> {
    let source = Source::past(history);
    let Some(step) = eval.step else { return query.evaluate(source, eval.start).map(Answer::Instant) };
    let mut rows = Rows::new();
    let mut at = eval.start;
    while at <= eval.end {
        match query.evaluate_step(source, at, eval.start, eval.end)? {
            Value::Scalar(value) => rows.entry(Labels::empty()).or_default().push(Point { t: at, value }),
            Value::Vector(vector) => {
                for sample in vector {
                    rows.entry(sample.labels).or_default().push(Point { t: at, value: sample.value });
                }
            }
            other @ (Value::Matrix(_) | Value::Text(_)) => return Ok(Answer::Instant(other)),
        }
        at += step;
    }
    Ok(Answer::Range(rows))
}

fn compare(eval: &Eval, answer: Answer) -> Result<(), String> {
    match (&eval.expected, answer) {
        (Expected::Scalar(expected), Answer::Instant(Value::Scalar(got))) => same("the scalar", *expected, got),
        (Expected::Text(expected), Answer::Instant(Value::Text(got))) if *expected == got => Ok(()),
        (Expected::Series(expected), Answer::Instant(Value::Vector(got))) => {
            let got: Vec<_> = got.into_iter().map(|sample| (sample.labels, sample.value)).collect();
            compare_vector(expected, &got, eval.ordered)
        }
        (Expected::Series(expected), Answer::Range(got)) => {
            compare_rows(expected, &got, eval.start, eval.step.unwrap_or(1))
        }
        (Expected::Matrix { start, step, series }, Answer::Instant(Value::Matrix(got))) => {
            let got = got.into_iter().map(|series| (series.labels, series.points)).collect();
            compare_rows(series, &got, *start, *step)
        }
        (expected, got) => Err(format!("expected {expected:?}, got {got:?}")),
    }
}

fn compare_vector(expected: &[(Labels, Vec<Place>)], got: &[(Labels, f64)], ordered: bool) -> Result<(), String> {
    if expected.len() != got.len() {
        return Err(format!("expected {expected:?}, got {got:?}"));
    }
    for (at, (labels, places)) in expected.iter().enumerate() {
        let found = got.iter().position(|(got, _)| got == labels);
        let found = found.ok_or_else(|| format!("{labels} is missing, got {got:?}"))?;
        if ordered && found != at {
            return Err(format!("{labels} is at {found} instead of {at}"));
        }
        let [Place::Value(value)] = places[..] else { return Err(format!("{labels} expects {places:?}")) };
        same(&labels.to_string(), value, got[found].1)?;
    }
    Ok(())
}

fn compare_rows(expected: &[(Labels, Vec<Place>)], got: &Rows, start: i64, step: i64) -> Result<(), String> {
    if expected.len() != got.len() {
        return Err(format!("expected {expected:?}, got {got:?}"));
    }
    for (labels, places) in expected {
        let points = got.get(labels).ok_or_else(|| format!("{labels} is missing, got {got:?}"))?;
        let times = (0..).map(|i| start + i * step);
        let wanted: Vec<Point> = times
            .zip(places)
            .filter_map(|(t, place)| match place {
                Place::Value(value) => Some(Point { t, value: *value }),
                Place::Nothing | Place::Histogram => None,
            })
            .collect();
        if wanted.len() != points.len() || wanted.iter().zip(points).any(|(a, b)| a.t != b.t) {
            return Err(format!("{labels}: expected {wanted:?}, got {points:?}"));
        }
        for (wanted, point) in wanted.iter().zip(points) {
            same(&format!("{labels} at {}", point.t), wanted.value, point.value)?;
        }
    }
    Ok(())
}

fn same(what: &str, expected: f64, got: f64) -> Result<(), String> {
    let equal = match (is_stale(expected), is_stale(got)) {
        (true, true) => true,
        (true, false) | (false, true) => false,
        (false, false) => {
            let size = (expected.abs() + got.abs()).min(f64::MAX);
            (expected.is_nan() && got.is_nan())
                || expected == got
                || if expected == 0.0 || got == 0.0 || size < f64::MIN_POSITIVE {
                    (expected - got).abs() < EPSILON * f64::MIN_POSITIVE
                } else {
                    (expected - got).abs() / size < EPSILON
                }
        }
    };
    if equal { Ok(()) } else { Err(format!("{what}: expected {expected}, got {got}")) }
}

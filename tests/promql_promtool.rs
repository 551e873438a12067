//! Does an older Prometheus give the same answers? Random data and random expressions go through
//! `promtool test rules` and through the built-in engine.
//!
//! The installed promtool is of the 2.x line. Where 3.x changed the meaning the data keep away: samples are never
//! on the edge of a range, counters start high and have no gaps, names are not looked at after they are due to go;
//! the spread of NaNs (0 in 2.x) and the date of a NaN (whatever the processor makes of it) are left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of it is a test")]

#[path = "promqltest_script/series.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the reader of series is shared with the script runner, which uses more of it"
)]
mod series;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use scaleio_framework::alert::promql::{Bounds, History, Labels, Query, Source, Value, format_float};

const MINUTE: i64 = 60_000;

/// Between two samples, so that no range of whole minutes starts or ends on one.
const AT: i64 = 20 * MINUTE + 30_000;

const EXPRESSIONS: usize = 400;

type Rows = BTreeMap<Labels, f64>;

#[test]
fn promtool_gives_the_same_answers() {
    for seed in 1..=6 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let data = data(&mut random);
        let expressions: Vec<String> = (0..EXPRESSIONS).map(|_| vector(&mut random, 3)).collect();
        let theirs = promtool(&data, &expressions);
        let history = history(&data);
        let mut errors = 0;
        for (expression, theirs) in expressions.iter().zip(theirs) {
            let ours = ours(expression, &history);
            errors += usize::from(theirs.is_none());
            assert!(
                same(theirs.as_ref(), ours.as_ref()),
                "seed {seed}: {expression}\ntheirs {theirs:?}\nours   {ours:?}"
            );
        }
        assert!(errors < EXPRESSIONS / 2, "most expressions are errors: the test says little");
    }
}

fn same(theirs: Option<&Rows>, ours: Option<&Rows>) -> bool {
    let close =
        |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3);
    match (theirs, ours) {
        (None, None) => true,
        (Some(theirs), Some(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().all(|(labels, value)| ours.get(labels).is_some_and(|other| close(*value, *other)))
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// Each series with its samples, one a minute.
fn data(random: &mut ChaCha8Rng) -> Vec<(Labels, Vec<Option<f64>>)> {
    let mut out = Vec::new();
    for (name, sds) in [("c", "1"), ("c", "2"), ("c", "3"), ("g", "1"), ("g", "2"), ("g", "4"), ("h", "1"), ("h", "2")]
    {
        for pool in ["a", "b"] {
            let counter = name == "c";
            let mut value = 1000.0;
            let points = (0..=20).map(|_| {
                if counter {
                    value = if random.random_bool(0.05) { 500.0 } else { value + random.random_range(0.0..9.0) };
                    return Some(value);
                }
                match random.random_range(0..20) {
                    0 => None,
                    1 => Some(f64::NAN),
                    2 => Some(0.0),
                    _ => Some(random.random_range(-10.0..10.0)),
                }
            });
            let extra = if name == "h" { "x" } else { "" };
            let labels = Labels::from_pairs([("__name__", name), ("sds", sds), ("pool", pool), ("extra", extra)]);
            out.push((labels, points.collect()));
        }
    }
    out
}

fn pick<'a>(random: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}

fn selector(random: &mut ChaCha8Rng, names: &[&str]) -> String {
    let name = pick(random, names);
    let matchers = pick(
        random,
        &["", "", "", r#"{pool="a"}"#, r#"{sds!="1"}"#, r#"{sds=~"1|2"}"#, r#"{extra=""}"#, r#"{pool!~"b.*",sds="2"}"#],
    );
    format!("{name}{matchers}")
}

fn offset(random: &mut ChaCha8Rng) -> &'static str {
    pick(random, &["", "", "", " offset 2m", " offset -1m", " @ 630.5", " @ 630.5 offset 1m"])
}

fn number(random: &mut ChaCha8Rng) -> String {
    match random.random_range(0..6) {
        0 => "0".to_owned(),
        1 => "-1.5".to_owned(),
        2 => "time() / 7000".to_owned(),
        3 => "scalar(g{sds=\"1\", pool=\"a\"})".to_owned(),
        _ => format!("{:.3}", random.random_range(-5.0..5.0)),
    }
}

/// A random expression for an instant vector.
fn vector(random: &mut ChaCha8Rng, depth: u32) -> String {
    if depth == 0 {
        return format!("{}{}", selector(random, &["c", "g", "h"]), offset(random));
    }
    let inner = |random: &mut ChaCha8Rng| vector(random, depth - 1);
    match random.random_range(0..11) {
        0 => format!("{}{}", selector(random, &["c", "g", "h"]), offset(random)),
        1 | 2 => {
            let counters = ["rate", "increase", "irate", "resets"];
            let gauges = [
                "delta",
                "idelta",
                "deriv",
                "changes",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "sum_over_time",
                "count_over_time",
                "last_over_time",
                "stddev_over_time",
                "stdvar_over_time",
                "present_over_time",
                "absent_over_time",
            ];
            let range = pick(random, &["1m", "3m", "5m", "10m", "1h"]);
            let (function, names): (_, &[&str]) = if random.random_bool(0.3) {
                (pick(random, &counters), &["c"])
            } else {
                (pick(random, &gauges), &["g", "h"])
            };
            format!("{function}({}[{range}]{})", selector(random, names), offset(random))
        }
        3 => {
            let range = pick(random, &["3m", "10m"]);
            let selector = selector(random, &["g", "h"]);
            if random.random() {
                format!("predict_linear({selector}[{range}], 600)")
            } else {
                format!("quantile_over_time(0.3, {selector}[{range}])")
            }
        }
        4 | 5 => {
            let function = pick(random, &["sum", "avg", "min", "max", "count", "group", "quantile", "count_values"]);
            let param = match function {
                "quantile" => "0.4, ",
                "count_values" => "\"v\", ",
                _ => "",
            };
            let grouping =
                pick(random, &["", "by (pool)", "by (pool, sds)", "without (pool)", "without (extra, sds)", "by ()"]);
            // Means may differ in the last digit between versions, which count_values would see.
            let inner = inner(random);
            let inner = if function == "count_values" { format!("floor({inner})") } else { inner };
            format!("{function} {grouping} ({param}{inner})")
        }
        6 => {
            let function = pick(
                random,
                &["abs", "ceil", "floor", "round", "sgn", "exp", "sqrt", "ln", "log2", "absent", "-", "timestamp"],
            );
            format!("{function}({})", inner(random))
        }
        7 => {
            let op = pick(random, &["+", "-", "*", "/", "%", "^", ">", "<=", "> bool", "!=", "== bool", "<"]);
            let (left, right) = (inner(random), number(random));
            if random.random() { format!("({left}) {op} {right}") } else { format!("{right} {op} ({left})") }
        }
        8 => {
            let op = pick(random, &["+", "-", "*", "/", ">", "<", ">= bool", "=="]);
            let matching = pick(
                random,
                &[
                    "",
                    "on (pool, sds)",
                    "ignoring (extra)",
                    "on (pool) group_left ()",
                    "ignoring (extra) group_right (extra)",
                    "on (pool, sds) group_left (extra)",
                ],
            );
            format!("({}) {op} {matching} ({})", inner(random), inner(random))
        }
        9 => {
            let op = pick(random, &["and", "or", "unless"]);
            let matching = pick(random, &["", "on (pool)", "on (sds)", "ignoring (extra)", "ignoring (sds)"]);
            format!("({}) {op} {matching} ({})", inner(random), inner(random))
        }
        _ => {
            let inner = inner(random);
            match random.random_range(0..4) {
                0 => format!("label_replace({inner}, \"extra\", \"<$1>\", \"sds\", \"(1|2)\")"),
                1 => format!("label_join({inner}, \"extra\", \"-\", \"pool\", \"sds\")"),
                2 => format!("clamp({inner}, -1, 3)"),
                _ => format!("sum_over_time(({inner})[5m:37s])"),
            }
        }
    }
}

fn history(data: &[(Labels, Vec<Option<f64>>)]) -> History {
    let mut history = History::new(Bounds::default());
    for minute in 0..=20 {
        history.begin(minute as i64 * MINUTE);
        for (labels, points) in data {
            if let Some(value) = points[minute] {
                history.keep(labels, value, i64::MAX);
            }
        }
    }
    history
}

fn ours(expression: &str, history: &History) -> Option<Rows> {
    let query = Query::parse(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    match query.evaluate(Source::past(history), AT) {
        Ok(Value::Vector(vector)) => Some(vector.into_iter().map(|sample| (sample.labels, sample.value)).collect()),
        Ok(Value::Scalar(value)) => Some(Rows::from([(Labels::empty(), value)])),
        Ok(other) => panic!("{expression}: {other:?}"),
        Err(_) => None,
    }
}

/// What promtool got for each expression; `None` is an error of evaluation. It is told to expect
/// something else, because it compares without tolerance but says what it got.
fn promtool(data: &[(Labels, Vec<Option<f64>>)], expressions: &[String]) -> Vec<Option<Rows>> {
    let folder = tempfile::tempdir().unwrap();
    let mut file = "rule_files: []\ntests:\n- interval: 1m\n  input_series:\n".to_owned();
    for (labels, points) in data {
        let points: Vec<String> = points.iter().map(|point| point.map_or("_".to_owned(), format_float)).collect();
        let name = serde_json::to_string(&labels.to_string()).unwrap();
        writeln!(file, "  - series: {name}\n    values: '{}'", points.join(" ")).unwrap();
    }
    file.push_str("  promql_expr_test:\n");
    for expression in expressions {
        let expression = serde_json::to_string(expression).unwrap();
        writeln!(
            file,
            "  - expr: {expression}\n    eval_time: 20m30s\n    exp_samples: [{{labels: no_such, value: 1}}]"
        )
        .unwrap();
    }
    let path = folder.path().join("test.yml");
    std::fs::write(&path, file).unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&path)
        .output()
        .expect("promtool is needed: apt install prometheus");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let mut out = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("expr: ") && line.contains(", err: ") {
            out.push(None);
        } else if let Some(got) = line.strip_prefix("got:") {
            out.push(Some(rows(got.trim())));
        }
    }
    assert_eq!(out.len(), expressions.len(), "promtool said: {}", &text[..text.len().min(2000)]);
    out
}

/// Reads `name{a="b"} 1E+00, {} 2E+00`.
fn rows(text: &str) -> Rows {
    let mut out = Rows::new();
    let mut rest = text;
    while rest != "nil" && !rest.is_empty() {
        // Values hold no quote and no comma, labels may hold both: the series ends at the last brace before the value.
        let end = end_of_series(rest);
        let (head, tail) = rest.split_at(end);
        let (value, next) = tail.split_once(", ").unwrap_or((tail, ""));
        let (labels, _) = series::parse_series(head).unwrap();
        out.insert(labels, series::parse_number(value.trim()).unwrap_or_else(|| panic!("value {value:?}")));
        rest = next;
    }
    out
}

fn end_of_series(text: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    let mut braces = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '{' if !quoted => braces = true,
            '}' if !quoted => return at + 1,
            ' ' if !quoted && !braces => return at,
            _ => {}
        }
    }
    text.len()
}

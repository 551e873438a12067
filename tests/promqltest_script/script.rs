//! Which commands does a script hold?

use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use regex::Regex;
use scaleio_framework::alert::promql::Labels;

use super::series::{Place, parse_number, parse_series, parse_text};

static LOAD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^load(?:_(with_nhcb))?\s+(.+?)$").unwrap());
static INSTANT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$").unwrap());
static RANGE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$").unwrap()
});
static EXPECT_RANGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$").unwrap());
static DURATION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\d+)(ms|y|w|d|h|m|s)").unwrap());

/// One command.
#[derive(Debug)]
pub enum Command {
    Clear,
    Load {
        step: i64,
        series: Vec<(Labels, Vec<Place>)>,
        buckets_too: bool,
    },
    /// A load that holds something the reader does not know.
    Unread {
        why: String,
    },
    Eval(Box<Eval>),
}

/// A query and what must come of it.
#[derive(Debug)]
pub struct Eval {
    pub line: usize,
    pub query: String,
    pub start: i64,
    pub end: i64,
    /// `None`: an instant query at `start`.
    pub step: Option<i64>,
    pub fails: bool,
    pub ordered: bool,
    /// Whether warnings or infos are asked for, which the engine does not give.
    pub annotated: bool,
    pub expected: Expected,
}

#[derive(Debug)]
pub enum Expected {
    /// Also when nothing is expected.
    Series(Vec<(Labels, Vec<Place>)>),
    Scalar(f64),
    Text(String),
    /// A range vector as the answer of an instant query.
    Matrix {
        start: i64,
        step: i64,
        series: Vec<(Labels, Vec<Place>)>,
    },
}

/// Reads a whole script.
pub fn parse(text: &str) -> Result<Vec<Command>> {
    let lines: Vec<&str> = text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        let block: Vec<&str> = lines[at..].iter().copied().take_while(|line| !line.is_empty()).collect();
        let word = line.split_whitespace().next().unwrap_or("");
        if line.is_empty() {
            continue;
        } else if word.eq_ignore_ascii_case("clear") {
            out.push(Command::Clear);
        } else if word.starts_with("load") {
            out.push(load(line, &block).unwrap_or_else(|error| Command::Unread { why: format!("{error:#}") }));
            at += block.len();
        } else if word.starts_with("eval") {
            let (eval, used) = eval(line, at, &block).with_context(|| format!("line {at}: {line}"))?;
            out.push(Command::Eval(Box::new(eval)));
            at += used;
        } else {
            bail!("line {at}: no command: {line}");
        }
    }
    Ok(out)
}

fn load(line: &str, block: &[&str]) -> Result<Command> {
    let parts = LOAD.captures(line).context("load")?;
    let step = duration(&parts[2])?;
    let series = block.iter().map(|line| parse_series(line)).collect::<Result<_>>()?;
    Ok(Command::Load { step, series, buckets_too: parts.get(1).is_some() })
}

fn eval(line: &str, number: usize, block: &[&str]) -> Result<(Eval, usize)> {
    let (mode, query, start, end, step) = if let Some(parts) = INSTANT.captures(line) {
        let at = parts.get(2).map_or(Ok(0), |at| duration(at.as_str()))?;
        (parts.get(1).map(|m| m.as_str().to_owned()), parts[3].to_owned(), at, at, None)
    } else {
        let parts = RANGE.captures(line).context("neither an instant nor a range query")?;
        let mode = parts.get(1).map(|m| m.as_str().to_owned());
        (mode, parts[5].to_owned(), duration(&parts[2])?, duration(&parts[3])?, Some(duration(&parts[4])?))
    };
    let mode = mode.as_deref();
    let mut eval = Eval {
        line: number,
        query,
        start,
        end,
        step,
        fails: mode == Some("fail"),
        ordered: mode == Some("ordered"),
        annotated: matches!(mode, Some("warn" | "info")),
        expected: Expected::Series(Vec::new()),
    };
    let mut series = Vec::new();
    let mut used = 0;
    for line in block {
        used += 1;
        if line.starts_with("expected_fail_message") || line.starts_with("expected_fail_regexp") {
            break;
        } else if let Some(parts) = EXPECT_RANGE.captures(line) {
            let (start, step) = (duration(&parts[1])?, duration(&parts[3])?);
            eval.expected = Expected::Matrix { start, step, series: Vec::new() };
        } else if let Some(text) = line.strip_prefix("expect string") {
            eval.expected = Expected::Text(parse_text(text.trim())?.0);
        } else if let Some(what) = line.strip_prefix("expect ") {
            match what.split_whitespace().next() {
                Some("fail") => eval.fails = true,
                Some("ordered") => eval.ordered = true,
                Some("warn" | "info") => eval.annotated = true,
                Some("no_warn" | "no_info") => {}
                _ => bail!("expectation {line:?}"),
            }
        } else if let Some(value) = parse_number(line) {
            eval.expected = Expected::Scalar(value);
            break;
        } else {
            series.push(parse_series(line)?);
        }
    }
    match &mut eval.expected {
        Expected::Series(expected) | Expected::Matrix { series: expected, .. } => *expected = series,
        Expected::Scalar(_) | Expected::Text(_) => {}
    }
    Ok((eval, used))
}

/// Reads a duration in milliseconds; `0` and negative ones too.
fn duration(text: &str) -> Result<i64> {
    let text = text.trim();
    let (sign, rest) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    if rest == "0" {
        return Ok(0);
    }
    let mut total = 0;
    let mut read = 0;
    for part in DURATION.captures_iter(rest) {
        let unit = match &part[2] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => 365 * 86_400_000,
        };
        total += part[1].parse::<i64>()? * unit;
        read += part[0].len();
    }
    if read != rest.len() || rest.is_empty() {
        bail!("duration {text:?}");
    }
    Ok(sign * total)
}

//! What does a line such as `metric{a="b"} 5 2+3x2 _ stale` say?

use std::sync::LazyLock;

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use scaleio_framework::alert::promql::{Labels, METRIC_NAME, STALE};

/// One place of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Value(f64),
    Nothing,
    /// A native histogram, which the engine does not have.
    Histogram,
}

const NUMBER: &str = r"(?i:inf|nan|\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)";

static SEQUENCE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!(r"^([+-]?{NUMBER})(?:([+-]{NUMBER}))?x(\d+)$")).unwrap());

/// Reads a series and its places.
pub fn parse_series(line: &str) -> Result<(Labels, Vec<Place>)> {
    let (labels, rest) = parse_metric(line)?;
    Ok((labels, parse_places(rest)?))
}

/// Reads a number as the language writes it.
pub fn parse_number(text: &str) -> Option<f64> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let lower = digits.to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(|value| sign * value as f64);
    }
    if !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') && lower != "inf" && lower != "nan" {
        return None;
    }
    digits.parse::<f64>().ok().map(|value| sign * value)
}

fn parse_places(mut rest: &str) -> Result<Vec<Place>> {
    let mut out = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(out);
        }
        if rest.starts_with("{{") {
            let end = rest.find("}}").context("a histogram without an end")? + 2;
            let tail = &rest[end..];
            let stop = tail.find(char::is_whitespace).unwrap_or(tail.len());
            // `{{..}}x3` and `{{..}}+{{..}}x3`: how often does not matter for something that is skipped.
            out.push(Place::Histogram);
            rest = &tail[stop..];
            continue;
        }
        let stop = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(stop);
        rest = tail;
        parse_place(word, &mut out).with_context(|| format!("place {word:?}"))?;
    }
}

fn parse_place(word: &str, out: &mut Vec<Place>) -> Result<()> {
    if let Some(times) = word.strip_prefix('_') {
        let times = times.strip_prefix('x').map_or(Ok(1), str::parse::<usize>)?;
        out.extend(std::iter::repeat_n(Place::Nothing, times));
    } else if let Some(times) = word.strip_prefix("stale") {
        let times = times.strip_prefix('x').map_or(Ok(0), str::parse::<usize>)?;
        out.extend(std::iter::repeat_n(Place::Value(STALE), times + 1));
    } else if let Some(parts) = SEQUENCE.captures(word) {
        let number = |at: usize| parts.get(at).and_then(|part| parse_number(part.as_str()));
        let mut value = number(1).context("start")?;
        let step = number(2).unwrap_or(0.0);
        let times: usize = parts[3].parse()?;
        for _ in 0..=times {
            out.push(Place::Value(value));
            value += step;
        }
    } else if let Some(value) = parse_number(word) {
        // After the sequences: `0x59` is a zero sixty times and no hexadecimal number.
        out.push(Place::Value(value));
    } else {
        bail!("not understood");
    }
    Ok(())
}

/// Reads `name{label="value"}` and returns what follows it.
fn parse_metric(line: &str) -> Result<(Labels, &str)> {
    let end = line.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(line.len());
    let (name, mut rest) = line.split_at(end);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if let Some(after) = inside.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = if inside.starts_with(['"', '\'', '`']) {
                parse_text(inside)?
            } else {
                let stop = inside.find(|c: char| c == '=' || c == '}' || c.is_whitespace()).context("label")?;
                (inside[..stop].to_owned(), &inside[stop..])
            };
            let after = after.trim_start();
            match after.strip_prefix('=') {
                Some(value) => {
                    let (value, after) = parse_text(value.trim_start())?;
                    pairs.push((label, value));
                    inside = after;
                }
                // A quoted name within the braces.
                None => {
                    pairs.push((METRIC_NAME.to_owned(), label));
                    inside = after;
                }
            }
        }
    }
    Ok((Labels::from_pairs(pairs), rest))
}

/// Reads a quoted text with Go's escapes.
pub fn parse_text(input: &str) -> Result<(String, &str)> {
    let quote = input.chars().next().context("a text is missing")?;
    ensure!(matches!(quote, '"' | '\'' | '`'), "no quote in {input:?}");
    let mut out = String::new();
    let mut chars = input.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((out, &input[at + 1..])),
            '\\' if quote != '`' => match chars.next().context("escape")?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'x' => {
                    let digits: String = chars.by_ref().take(2).map(|(_, c)| c).collect();
                    out.push(char::from(u8::from_str_radix(&digits, 16)?));
                }
                other => out.push(other),
            },
            _ => out.push(c),
        }
    }
    bail!("a text without an end: {input:?}")
}

//! What do the functions of a template give?

use super::humanize;
use super::value::Val;
use super::{Data, TemplateErrorKind, fmt};
use crate::model::pattern::anywhere;

/// Functions that are called with their arguments; `and` and `or` are the executor's.
const KNOWN: [&str; 44] = [
    "and",
    "args",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "toLower",
    "toUpper",
    "urlQueryEscape",
    "urlquery",
    "value",
];

/// What Go or Prometheus have and we do not.
const LACKING: [&str; 4] = ["call", "js", "toDuration", "toTime"];

pub(super) fn exists(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// Why a name is no function of ours.
pub(super) fn missing(name: &str) -> TemplateErrorKind {
    if LACKING.contains(&name) {
        TemplateErrorKind::Unsupported(name.to_owned())
    } else {
        TemplateErrorKind::UnknownFunction(name.to_owned())
    }
}

pub(super) fn call(name: &str, args: &[Val], data: &Data<'_>) -> Result<Val, String> {
    match name {
        "not" | "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, args).map(Val::Bool),
        "print" => Ok(Val::Text(print(args))),
        "println" => Ok(Val::Text(format!("{}\n", args.iter().map(Val::plain).collect::<Vec<_>>().join(" ")))),
        "printf" => match args {
            [Val::Text(format), rest @ ..] => Ok(Val::Text(fmt::sprintf(format, rest))),
            _ => Err("the format must be a string".to_owned()),
        },
        "len" | "index" | "slice" | "args" | "first" | "label" | "value" | "strvalue" | "sortByLabel" => {
            container(name, args)
        }
        "now" => Ok(Val::Float(data.now_ms as f64 / 1000.0)),
        "externalURL" => Ok(Val::Text(data.external_url.to_owned())),
        "pathPrefix" => Ok(Val::Text(path_of(data.external_url).to_owned())),
        "query" => {
            let samples = (data.query)(text(args, 0)?)?;
            Ok(Val::List(samples.iter().map(Val::sample).collect()))
        }
        "humanize" => number(args).map(humanize::humanize).map(Val::Text),
        "humanize1024" => number(args).map(humanize::humanize1024).map(Val::Text),
        "humanizeDuration" => number(args).map(humanize::duration).map(Val::Text),
        "humanizePercentage" => number(args).map(humanize::percentage).map(Val::Text),
        "humanizeTimestamp" => number(args).and_then(humanize::timestamp).map(Val::Text),
        "parseDuration" => parse_duration(text(args, 0)?).map(Val::Float),
        "match" => {
            let regex = anywhere(text(args, 0)?).map_err(|error| error.to_string())?;
            Ok(Val::Bool(regex.is_match(text(args, 1)?)))
        }
        "reReplaceAll" => {
            let regex = anywhere(text(args, 0)?).map_err(|error| error.to_string())?;
            Ok(Val::Text(regex.replace_all(text(args, 2)?, text(args, 1)?).into_owned()))
        }
        "html" => Ok(Val::Text(escape_html(&print(args)))),
        "urlquery" => Ok(Val::Text(escape_query(&print(args)))),
        _ => of_text(name, text(args, 0)?).map(Val::Text),
    }
}

fn of_text(name: &str, text: &str) -> Result<String, String> {
    Ok(match name {
        "toUpper" => text.to_uppercase(),
        "toLower" => text.to_lowercase(),
        "title" => title(text),
        "safeHtml" => text.to_owned(),
        "urlQueryEscape" => escape_query(text),
        "graphLink" => format!("/graph?g0.expr={}&g0.tab=0", escape_query(text)),
        "tableLink" => format!("/graph?g0.expr={}&g0.tab=1", escape_query(text)),
        "stripPort" => split_port(text).map_or(text, |(host, _)| host).to_owned(),
        "stripDomain" => strip_domain(text),
        _ => return Err("not callable".to_owned()),
    })
}

fn text(args: &[Val], at: usize) -> Result<&str, String> {
    match args.get(at) {
        Some(Val::Text(text)) => Ok(text),
        Some(other) => Err(format!("argument {} must be a string, not {}", at + 1, other.kind())),
        None => Err(format!("argument {} is missing", at + 1)),
    }
}

fn number(args: &[Val]) -> Result<f64, String> {
    match args {
        [only] => only.number(),
        _ => Err(format!("wants 1 argument, got {}", args.len())),
    }
}

/// Go puts a space between two operands when neither is a string.
fn print(args: &[Val]) -> String {
    let mut out = String::new();
    for (i, value) in args.iter().enumerate() {
        let texts = matches!(value, Val::Text(_)) || i > 0 && matches!(args[i - 1], Val::Text(_));
        if i > 0 && !texts {
            out.push(' ');
        }
        out.push_str(&value.plain());
    }
    out
}

fn compare(name: &str, args: &[Val]) -> Result<bool, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    match (name, args) {
        ("not", [only]) => Ok(!only.is_true()),
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            for other in others {
                if first.equals(other)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ("ne", [a, b]) => a.equals(b).map(|equal| !equal),
        ("lt", [a, b]) => Ok(a.order(b)? == Some(Less)),
        ("le", [a, b]) => Ok(matches!(a.order(b)?, Some(Less | Equal))),
        ("gt", [a, b]) => Ok(a.order(b)? == Some(Greater)),
        ("ge", [a, b]) => Ok(matches!(a.order(b)?, Some(Greater | Equal))),
        _ => Err(format!("wrong number of arguments: {}", args.len())),
    }
}

fn container(name: &str, args: &[Val]) -> Result<Val, String> {
    let field = |value: &Val, field: &str| match value {
        Val::Fields(fields) => fields.get(field).cloned().ok_or_else(|| format!("no field {field}")),
        other => Err(format!("wants a sample, got {}", other.kind())),
    };
    match (name, args) {
        ("len", [Val::Text(text)]) => Ok(Val::Int(text.len() as i64)),
        ("len", [Val::List(list)]) => Ok(Val::Int(list.len() as i64)),
        ("len", [Val::Map(map)]) => Ok(Val::Int(map.len() as i64)),
        ("index", [value, path @ ..]) => {
            let mut value = value.clone();
            for step in path {
                value = match (&value, step) {
                    (Val::Map(map), Val::Text(key)) => map.get(key).cloned().unwrap_or(Val::Text(String::new())),
                    (Val::List(list), Val::Int(at)) => {
                        let found = usize::try_from(*at).ok().and_then(|at| list.get(at));
                        found.cloned().ok_or_else(|| format!("index out of range: {at}"))?
                    }
                    (value, step) => return Err(format!("can't index {} by {}", value.kind(), step.kind())),
                };
            }
            Ok(value)
        }
        ("slice", [Val::Text(text), bounds @ ..]) => {
            let bound = |at: usize, default: usize| match bounds.get(at) {
                None => Ok(default),
                Some(Val::Int(int)) => usize::try_from(*int).map_err(|_| format!("index out of range: {int}")),
                Some(other) => Err(format!("can't slice by {}", other.kind())),
            };
            let (from, to) = (bound(0, 0)?, bound(1, text.len())?);
            text.get(from..to).map(|part| Val::Text(part.to_owned())).ok_or_else(|| "index out of range".to_owned())
        }
        ("args", values) => {
            Ok(Val::Map(values.iter().enumerate().map(|(i, value)| (format!("arg{i}"), value.clone())).collect()))
        }
        ("first", [Val::List(list)]) => {
            list.first().cloned().ok_or_else(|| "first() called on vector with no elements".to_owned())
        }
        ("value", [sample]) => field(sample, "Value"),
        ("label", [Val::Text(name), sample]) => {
            container("index", &[field(sample, "Labels")?, Val::Text(name.clone())])
        }
        ("strvalue", [sample]) => container("index", &[field(sample, "Labels")?, Val::Text("__value__".to_owned())]),
        ("sortByLabel", [Val::Text(name), Val::List(list)]) => {
            let key = |sample: &Val| match field(sample, "Labels") {
                Ok(Val::Map(labels)) => labels.get(name).map(Val::plain).unwrap_or_default(),
                _ => String::new(),
            };
            let mut sorted = list.clone();
            sorted.sort_by_key(key);
            Ok(Val::List(sorted))
        }
        _ => {
            let kinds: Vec<&str> = args.iter().map(Val::kind).collect();
            Err(format!("can't be called with ({})", kinds.join(", ")))
        }
    }
}

/// The first letter of each word in upper case, the others as they are.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || matches!(c, '\'' | '_' | '\u{2019}') && inside;
    }
    out
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

fn escape_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    path.split(['?', '#']).next().unwrap_or("")
}

/// `host:port` and `[address]:port`; an IPv6 address without brackets has no port.
fn split_port(text: &str) -> Option<(&str, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once("]:")?;
        return Some((host, port));
    }
    let (host, port) = text.rsplit_once(':')?;
    (!host.contains(':')).then_some((host, port))
}

fn strip_domain(text: &str) -> String {
    let (host, port) = split_port(text).unwrap_or((text, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let first = host.split('.').next().unwrap_or(host);
    if port.is_empty() { first.to_owned() } else { format!("{first}:{port}") }
}

/// Seconds of a duration such as `1h30m`, which may be negative.
fn parse_duration(text: &str) -> Result<f64, String> {
    let bad = || format!("not a valid duration string: {text:?}");
    let (sign, mut rest) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if rest == "0" {
        return Ok(0.0);
    }
    let units = [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)];
    let mut units = units.into_iter().chain([("s", 1000), ("ms", 1)]);
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|&at| at > 0).ok_or_else(bad)?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let count: u64 = rest[..digits].parse().map_err(|_| bad())?;
        // Units come from the largest down, each once: `units` goes on where it stopped.
        let (_, millis) = units.find(|(unit, _)| *unit == &rest[digits..unit_end]).ok_or_else(bad)?;
        total = count.checked_mul(millis).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
        rest = &rest[unit_end..];
    }
    if text.is_empty() { Err(bad()) } else { Ok(sign * total as f64 / 1000.0) }
}

//! How does Go's `printf` write a value?

use std::iter::Peekable;
use std::str::Chars;

use super::value::Val;
use crate::alert::promql::{format_float, go_exponent};

/// Width and precision a format may ask for; a larger one is cut, so that no format eats memory.
const MAX_WIDTH: usize = 1000;

/// `%.Ng`: N significant digits, an exponent when it is below -4 or reaches N, no trailing zeros.
pub(super) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return format_float(value);
    }
    let digits = digits.max(1);
    let scientific = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= i32::try_from(digits).unwrap_or(i32::MAX) {
        return go_exponent(&format!("{}e{exponent}", trimmed(mantissa)));
    }
    let decimals = usize::try_from(i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent).unwrap_or(0);
    trimmed(&format!("{value:.decimals$}"))
}

#[derive(Default)]
struct Spec {
    plus: bool,
    minus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// Writes values by a format. Mistakes are written into the text, as Go does.
pub(super) fn sprintf(format: &str, args: &[Val]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '+' | '-' | '0' | ' ' | '#')) {
            match flag {
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                '0' => spec.zero = true,
                '#' => spec.sharp = true,
                _ => spec.space = true,
            }
        }
        spec.width = number(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            spec.precision = Some(number(&mut chars));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.next() {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(value) => out.push_str(&one(verb, &spec, value)),
            },
        }
    }
    let extra: Vec<String> = args.map(|value| format!("{}={}", value.kind(), value.plain())).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn number(chars: &mut Peekable<Chars<'_>>) -> usize {
    let mut number = 0;
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        number = (number * 10 + digit as usize - '0' as usize).min(MAX_WIDTH);
    }
    number
}

fn one(verb: char, spec: &Spec, value: &Val) -> String {
    let (body, numeric) = match (verb, value) {
        ('v', Val::Float(float)) => (float_text('g', spec, *float), true),
        ('v', Val::Int(int)) => (signed(spec, *int < 0, int.unsigned_abs().to_string()), true),
        ('v', Val::Text(text)) if spec.sharp => (format!("{text:?}"), false),
        ('v', value) => (value.plain(), false),
        ('s', Val::Text(text)) => (text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect(), false),
        ('q', Val::Text(text)) => (format!("{text:?}"), false),
        ('x', Val::Text(text)) => (text.bytes().map(|byte| format!("{byte:02x}")).collect(), false),
        ('X', Val::Text(text)) => (text.bytes().map(|byte| format!("{byte:02X}")).collect(), false),
        ('t', Val::Bool(bool)) => (bool.to_string(), false),
        ('d', Val::Int(int)) => (signed(spec, *int < 0, int.unsigned_abs().to_string()), true),
        ('x', Val::Int(int)) => (signed(spec, *int < 0, format!("{:x}", int.unsigned_abs())), true),
        ('X', Val::Int(int)) => (signed(spec, *int < 0, format!("{:X}", int.unsigned_abs())), true),
        ('o', Val::Int(int)) => (signed(spec, *int < 0, format!("{:o}", int.unsigned_abs())), true),
        ('b', Val::Int(int)) => (signed(spec, *int < 0, format!("{:b}", int.unsigned_abs())), true),
        ('c', Val::Int(int)) => {
            let c = u32::try_from(*int).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
            (c.to_string(), false)
        }
        ('f' | 'F' | 'e' | 'E' | 'g' | 'G', Val::Float(float)) => (float_text(verb, spec, *float), true),
        ('s' | 'd', Val::List(list)) => {
            let parts: Vec<String> = list.iter().map(|value| one(verb, &Spec::default(), value)).collect();
            (format!("[{}]", parts.join(" ")), false)
        }
        _ => return format!("%!{verb}({}={})", value.kind(), value.plain()),
    };
    padded(spec, &body, numeric)
}

fn signed(spec: &Spec, negative: bool, digits: String) -> String {
    let digits = match spec.precision {
        Some(least) => format!("{digits:0>least$}"),
        None => digits,
    };
    let sign = match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    format!("{sign}{digits}")
}

fn float_text(verb: char, spec: &Spec, value: f64) -> String {
    let magnitude = value.abs();
    let text = match (verb, spec.precision) {
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value.is_infinite() => "Inf".to_owned(),
        ('f' | 'F', precision) => format!("{magnitude:.*}", precision.unwrap_or(6)),
        ('e', precision) => go_exponent(&format!("{magnitude:.*e}", precision.unwrap_or(6))),
        ('E', precision) => go_exponent(&format!("{magnitude:.*e}", precision.unwrap_or(6))).to_uppercase(),
        ('G', Some(digits)) => significant(magnitude, digits).to_uppercase(),
        ('G', None) => format_float(magnitude).to_uppercase(),
        (_, Some(digits)) => significant(magnitude, digits),
        (_, None) => format_float(magnitude),
    };
    let plus = spec.plus || (value.is_infinite() && value > 0.0);
    let sign = match (value.is_sign_negative() && !value.is_nan(), plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    format!("{sign}{text}")
}

fn padded(spec: &Spec, body: &str, numeric: bool) -> String {
    let missing = spec.width.saturating_sub(body.chars().count());
    let finite = body.ends_with(|c: char| c.is_ascii_hexdigit());
    if spec.minus {
        format!("{body}{}", " ".repeat(missing))
    } else if spec.zero && numeric && finite {
        let (sign, digits) = body.split_at(usize::from(body.starts_with(['+', '-', ' '])));
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        format!("{}{body}", " ".repeat(missing))
    }
}

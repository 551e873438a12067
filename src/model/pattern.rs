//! How are regular expressions read? As Prometheus and Alertmanager mean them,
//! and so that none grows without bound.

use regex::{Error, Regex, RegexBuilder};

/// Bytes a compiled expression may take. An alternation of a few thousand names stays far below it.
const REGEX_BYTES: usize = 1 << 20;

/// How deep brackets of an expression may nest.
const REGEX_NEST: u32 = 50;

/// Compiles an expression that matches the whole of a value, where `.` matches a line break too.
///
/// # Errors
/// What is no expression, or one that is too large.
pub fn whole_value(pattern: &str) -> Result<Regex, Error> {
    compiled(&format!("^(?s:{})$", tolerate_braces(pattern)))
}

/// Compiles an expression that may match anywhere in a text.
///
/// # Errors
/// What is no expression, or one that is too large.
pub fn anywhere(pattern: &str) -> Result<Regex, Error> {
    compiled(&tolerate_braces(pattern))
}

fn compiled(pattern: &str) -> Result<Regex, Error> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).nest_limit(REGEX_NEST).build()
}

/// Go takes a `{` that starts no repetition as itself; the `regex` crate refuses it, so it is escaped here.
fn tolerate_braces(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let (head, tail) = rest.split_at(c.len_utf8());
        match c {
            '\\' => {
                // An escape goes through whole; `\pN`, `\p{..}` and `\x{..}` bring their own braces.
                let escaped = tail.chars().next().map_or(0, char::len_utf8);
                let braces = match tail.as_bytes().first() {
                    Some(b'p' | b'P' | b'x') if tail[escaped..].starts_with('{') => {
                        tail[escaped..].find('}').map_or(0, |at| at + 1)
                    }
                    _ => 0,
                };
                out.push_str(head);
                out.push_str(&tail[..escaped + braces]);
                rest = &tail[escaped + braces..];
                continue;
            }
            '{' if !starts_repetition(tail) => out.push_str(r"\{"),
            _ => out.push_str(head),
        }
        rest = tail;
    }
    out
}

/// Whether what follows a `{` is `n}`, `n,}` or `n,m}`.
fn starts_repetition(tail: &str) -> bool {
    let Some(end) = tail.find('}') else { return false };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match tail[..end].split_once(',') {
        Some((low, high)) => !low.is_empty() && digits(low) && digits(high),
        None => end > 0 && digits(&tail[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_the_whole_value_and_line_breaks() {
        let regex = whole_value("a|b.c").unwrap();
        assert!(regex.is_match("a") && regex.is_match("b\nc"));
        assert!(!regex.is_match("ab") && !regex.is_match("xa"));
    }

    #[test]
    fn braces_that_repeat_nothing_stand_for_themselves() {
        assert!(whole_value("a{bbb}c").unwrap().is_match("a{bbb}c"));
        assert!(whole_value("a{2}").unwrap().is_match("aa"));
        assert!(whole_value(r"\p{L}+\{").unwrap().is_match("äö{"));
    }

    #[test]
    fn an_expression_that_would_eat_memory_is_refused() {
        assert!(whole_value("((a{1000}){1000}){1000}").is_err());
    }
}

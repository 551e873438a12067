//! Which series does a selector mean? The four matchers, with regular
//! expressions that match the whole value and cannot grow without bound.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::error::QueryError;
use super::labels::{Labels, Name, pair_hash};

/// Bytes a compiled expression may take. An alternation of a few thousand names stays far below it.
const REGEX_BYTES: usize = 1 << 20;

/// How deep brackets of an expression may nest.
const REGEX_NEST: u32 = 50;

/// How a label is compared.
#[derive(Clone, Debug)]
pub enum MatchKind {
    /// `=`: the value is this text (a missing label is the empty text).
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`: the whole value matches.
    Matches(Regex),
    /// `!~`
    NotMatches(Regex),
}

/// One comparison of one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    name: Name,
    kind: MatchKind,
    value: String,
    /// Name and value, to compare without reading the series' texts.
    pair: u64,
}

impl Matcher {
    pub(super) fn new(name: &str, kind: MatchKind, value: &str) -> Self {
        Self { name: Name::from(name), kind, value: value.to_owned(), pair: pair_hash(name, value) }
    }

    /// The label that is looked at.
    pub fn name(&self) -> &str {
        self.name.as_ref()
    }

    /// How it is compared.
    pub fn kind(&self) -> &MatchKind {
        &self.kind
    }

    /// The text or the expression as it was written.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label set passes.
    pub fn accepts(&self, labels: &Labels) -> bool {
        let is_equal = || labels.pair_hash_of(&self.name).map_or(self.value.is_empty(), |pair| pair == self.pair);
        match &self.kind {
            MatchKind::Equal => is_equal(),
            MatchKind::NotEqual => !is_equal(),
            MatchKind::Matches(regex) => regex.is_match(labels.value_of(&self.name)),
            MatchKind::NotMatches(regex) => !regex.is_match(labels.value_of(&self.name)),
        }
    }

    /// Whether a series without the label passes.
    pub fn accepts_missing(&self) -> bool {
        self.accepts(&Labels::empty())
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.kind {
            MatchKind::Equal => "=",
            MatchKind::NotEqual => "!=",
            MatchKind::Matches(_) => "=~",
            MatchKind::NotMatches(_) => "!~",
        };
        write!(f, "{}{op}{:?}", self.name(), self.value)
    }
}

/// Compiles an expression as Prometheus means it: the whole value, and `.` matches a line break too.
pub(super) fn whole_value(pattern: &str) -> Result<Regex, QueryError> {
    compiled(&format!("^(?s:{})$", tolerate_braces(pattern)))
        .map_err(|source| QueryError::Regex { pattern: pattern.to_owned(), source: Box::new(source) })
}

/// Compiles an expression that may match anywhere in a text, bounded the same way.
pub(crate) fn anywhere(pattern: &str) -> Result<Regex, Box<regex::Error>> {
    compiled(&tolerate_braces(pattern)).map_err(Box::new)
}

fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
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
        let error = whole_value("((a{1000}){1000}){1000}").unwrap_err();
        assert!(error.to_string().contains("{1000}"), "{error}");
    }
}

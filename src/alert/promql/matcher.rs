//! Which series does a selector mean? The four matchers, with regular
//! expressions that match the whole value.

use std::fmt;

use regex::Regex;

use super::error::QueryError;
use super::labels::{Labels, Name, pair_hash};
use crate::model::pattern;

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

/// Compiles an expression as Prometheus means it.
pub(super) fn whole_value(expression: &str) -> Result<Regex, QueryError> {
    pattern::whole_value(expression)
        .map_err(|source| QueryError::Regex { pattern: expression.to_owned(), source: Box::new(source) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_that_would_eat_memory_is_refused() {
        let error = whole_value("((a{1000}){1000}){1000}").unwrap_err();
        assert!(error.to_string().contains("{1000}"), "{error}");
    }
}

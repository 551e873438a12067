//! What do an alert's texts say? Go's `text/template`, as rule files use it.
//!
//! [`Template::parse`] finds every mistake of form when the file is loaded;
//! [`Template::expand`] fills in one alert. Values come from [`Data`] alone:
//! labels, value, and a closure that answers `query`. What rule files do not
//! use (`define`, `template`, times as objects) is an error that names it.

mod exec;
mod fmt;
mod functions;
mod humanize;
mod lex;
mod parse;
mod value;

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::promql::{Labels, Sample};

/// Bytes a text may grow to. The longest mail part is far below; a range over a large query is cut off here.
const MAX_OUTPUT: usize = 256 << 10;

/// A template that can be expanded any number of times.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    nodes: Vec<parse::Node>,
}

/// What a template may speak of.
pub struct Data<'a> {
    /// `$labels` and `.Labels`: the labels of the alert's sample.
    pub labels: &'a Labels,
    /// `$value` and `.Value`.
    pub value: f64,
    /// `$externalLabels`.
    pub external_labels: &'a BTreeMap<String, String>,
    /// `$externalURL` and `externalURL`: where people reach us.
    pub external_url: &'a str,
    /// The moment of the evaluation, in milliseconds since 1970.
    pub now_ms: i64,
    /// Answers `query "..."`; the text is why not.
    pub query: &'a dyn Fn(&str) -> Result<Vec<Sample>, String>,
}

/// What is wrong with a template, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {kind}")]
pub struct TemplateError {
    /// Line in the template, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// What.
    pub kind: TemplateErrorKind,
}

/// The kinds of mistakes in a template.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TemplateErrorKind {
    /// The text is no template.
    #[error("{0}")]
    Syntax(String),
    /// Go's templates have it, ours do not.
    #[error("`{0}` is not supported by the built-in engine")]
    Unsupported(String),
    /// There is no function of this name.
    #[error("function `{0}` is not defined")]
    UnknownFunction(String),
    /// There is no variable of this name.
    #[error("undefined variable `${0}`")]
    UnknownVariable(String),
    /// A function was called with what it cannot take.
    #[error("{function}: {reason}")]
    Call {
        /// The function.
        function: String,
        /// Why it cannot.
        reason: String,
    },
    /// A field of something that has none.
    #[error("no field `{field}` in {of}")]
    Field {
        /// The field.
        field: String,
        /// The kind of value it was asked of.
        of: &'static str,
    },
    /// The text grew beyond its bound.
    #[error("the text grows beyond {0} bytes")]
    TooLong(usize),
}

impl Template {
    /// Parses a text; unknown functions and variables are found here.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::parse(text)
            .map(|nodes| Self { text: text.to_owned(), nodes })
            .map_err(|(at, kind)| located(text, at, kind))
    }

    /// The text it was made of.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Fills in one alert.
    pub fn expand(&self, data: &Data<'_>) -> Result<String, TemplateError> {
        exec::expand(&self.nodes, data).map_err(|(at, kind)| located(&self.text, at, kind))
    }

    /// The labels of the alert's sample that the template names, so that a rule naming one its
    /// expression never yields is found when it is loaded.
    pub fn labels_used(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        parse::labels_used(&self.nodes, &mut out);
        out
    }
}

fn located(text: &str, at: usize, kind: TemplateErrorKind) -> TemplateError {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    TemplateError { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1, kind }
}

/// An error with its byte position.
type Failure = (usize, TemplateErrorKind);

#[cfg(test)]
mod tests;

//! What does a checked expression look like, and how far back does it look?

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::compile;
use super::error::{EvalError, QueryError};
use super::eval::{self, Value};
use super::functions::Function;
use super::labels::{Labels, METRIC_NAME, Name};
use super::matcher::Matcher;
use super::source::Source;

/// How old the newest sample of a series may be for an instant selector to see it. Prometheus' default.
pub const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// An expression that is sound and within the subset, ready to be evaluated any number of times.
#[derive(Clone, Debug)]
pub struct Query {
    text: String,
    root: Node,
}

impl Query {
    /// Parses and checks a text.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        Ok(Self { text: text.to_owned(), root: compile::compile(text)? })
    }

    /// The text it was made of.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The answer at one moment (milliseconds since 1970).
    pub fn evaluate(&self, source: Source<'_>, at: i64) -> Result<Value, EvalError> {
        eval::run(&self.root, source, at, (at, at))
    }

    /// The answer at one step of a range query, for which `start()` and `end()` differ from the moment.
    pub fn evaluate_step(&self, source: Source<'_>, at: i64, start: i64, end: i64) -> Result<Value, EvalError> {
        eval::run(&self.root, source, at, (start, end))
    }

    /// Every selector, with how far back of the moment of evaluation it reads.
    pub fn reaches(&self) -> Vec<Reach> {
        let mut out = Vec::new();
        self.root.collect_reaches(0, &mut out);
        out
    }

    /// What its results are beyond, when they come of a comparison with a number. `and` and `unless` let results through
    /// as they are.
    pub fn bound(&self) -> Option<Bound> {
        let mut node = &self.root;
        while let Node::Binary(binary) = node
            && matches!(binary.op, BinaryOp::And | BinaryOp::Unless)
        {
            node = &binary.left;
        }
        let Node::Binary(binary) = node else { return None };
        let above = match binary.op {
            BinaryOp::Greater | BinaryOp::GreaterEqual => true,
            BinaryOp::Less | BinaryOp::LessEqual => false,
            _ => return None,
        };
        let (Node::Number(value), false) = (&binary.right, binary.return_bool) else { return None };
        let metric = match &binary.left {
            Node::Instant(selector) => selector.name.clone(),
            _ => None,
        };
        Some(Bound { metric, above, value: *value })
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

/// A number that the results of an expression are beyond.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// The metric that is compared, when it is compared as it stands.
    pub metric: Option<Arc<str>>,
    /// Whether results are above it, or below.
    pub above: bool,
    /// The number.
    pub value: f64,
}

/// A selector of an expression and the past it needs.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Which series.
    pub selector: Selector,
    /// The range read, 0 for an instant selector.
    pub range_ms: i64,
    /// The age of the oldest sample that may be read; 0 when the newest poll alone is looked at.
    /// A selector pinned by `@` to a fixed time has no bound and says `i64::MAX`.
    pub back_ms: i64,
}

impl Reach {
    /// What all rules together look back on: each set of series once, as far back as the farthest rule needs it.
    pub fn merged(all: impl IntoIterator<Item = Reach>) -> Vec<Reach> {
        let mut out: Vec<Reach> = Vec::new();
        let mut index = HashMap::new();
        for reach in all.into_iter().filter(|reach| reach.back_ms > 0) {
            let at = *index.entry(reach.selector.to_string()).or_insert(out.len());
            match out.get_mut(at) {
                Some(known) => {
                    known.back_ms = known.back_ms.max(reach.back_ms);
                    known.range_ms = known.range_ms.max(reach.range_ms);
                }
                None => out.push(reach),
            }
        }
        out
    }
}

/// Which series, and when.
#[derive(Clone, Debug)]
pub struct Selector {
    /// The metric's name, when it is given exactly.
    pub name: Option<Arc<str>>,
    /// All other comparisons.
    pub matchers: Vec<Matcher>,
    /// How far back the selector is shifted; negative is forward.
    pub offset_ms: i64,
    /// A moment that replaces that of the evaluation.
    pub at: Option<At>,
}

impl Selector {
    /// Whether a series is meant, the name aside.
    pub(super) fn accepts(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.accepts(labels))
    }

    /// Whether a series is meant.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.name.as_ref().is_none_or(|name| labels.metric_name() == name.as_ref()) && self.accepts(labels)
    }

    /// The labels that any series meant is sure to have: those compared once, by `=`. What `absent()` answers with.
    pub(super) fn certain_labels(&self) -> Labels {
        let mut certain: Vec<(&str, &str)> = Vec::new();
        let mut unsure: Vec<&str> = Vec::new();
        for matcher in self.matchers.iter().filter(|m| m.name() != METRIC_NAME) {
            let name = matcher.name();
            let known = certain.iter().any(|(n, _)| *n == name);
            match matcher.kind() {
                super::MatchKind::Equal if !known => certain.push((name, matcher.value())),
                _ => unsure.push(name),
            }
        }
        certain.retain(|(name, _)| !unsure.contains(name));
        Labels::from_pairs(certain)
    }
}

/// The series meant, without the time: `name{label="value"}`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.as_deref().unwrap_or(""))?;
        if self.matchers.is_empty() {
            return Ok(());
        }
        for (i, matcher) in self.matchers.iter().enumerate() {
            write!(f, "{}{matcher}", if i == 0 { "{" } else { "," })?;
        }
        f.write_str("}")
    }
}

/// The moment of a selector with `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// A fixed moment, in milliseconds since 1970.
    Time(i64),
    /// The start of the evaluated range; in an instant query the moment itself.
    Start,
    /// Its end.
    End,
}

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Node {
    Number(f64),
    Text(String),
    Instant(Selector),
    Range(RangeSelector),
    Subquery(Box<Subquery>),
    Negate(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Box<Call>),
}

/// The samples of the last `range_ms`.
#[derive(Clone, Debug)]
pub(super) struct RangeSelector {
    pub(super) selector: Selector,
    pub(super) range_ms: i64,
}

/// An expression evaluated again and again over a range.
#[derive(Clone, Debug)]
pub(super) struct Subquery {
    pub(super) inner: Node,
    pub(super) range_ms: i64,
    pub(super) step_ms: i64,
    pub(super) offset_ms: i64,
    pub(super) at: Option<At>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub(super) fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual)
    }

    pub(super) fn is_set(self) -> bool {
        matches!(self, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Binary {
    pub(super) op: BinaryOp,
    pub(super) left: Node,
    pub(super) right: Node,
    pub(super) return_bool: bool,
    pub(super) matching: Matching,
}

/// Which series of two vectors belong together.
#[derive(Clone, Debug)]
pub(super) struct Matching {
    /// `on` compares the labels named, `ignoring` all others.
    pub(super) on: bool,
    /// As written, sorted.
    pub(super) labels: Vec<Name>,
    /// What is compared or left out: `labels`, for `ignoring` with the metric's name.
    pub(super) key: Vec<Name>,
    pub(super) cardinality: Cardinality,
    /// Labels that `group_left` or `group_right` copies from the one side.
    pub(super) include: Vec<Name>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cardinality {
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Quantile,
    CountValues,
}

#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    pub(super) op: AggregateOp,
    pub(super) inner: Node,
    pub(super) param: Option<Node>,
    /// `without` instead of `by`.
    pub(super) without: bool,
    /// As written, sorted; for `without` with the metric's name.
    pub(super) grouping: Vec<Name>,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) function: Function,
    pub(super) args: Vec<Node>,
    /// The compiled pattern of `label_replace`.
    pub(super) regex: Option<regex::Regex>,
}

impl Node {
    /// `shift` is how far back the subqueries around this node may evaluate it.
    fn collect_reaches(&self, shift: i64, out: &mut Vec<Reach>) {
        match self {
            Node::Number(_) | Node::Text(_) => {}
            Node::Instant(selector) => {
                let back = match back_of(selector.offset_ms, selector.at, shift) {
                    0 => 0,
                    back => back.saturating_add(LOOKBACK_MS),
                };
                out.push(Reach { selector: selector.clone(), range_ms: 0, back_ms: back });
            }
            Node::Range(RangeSelector { selector, range_ms }) => {
                let back = back_of(selector.offset_ms, selector.at, shift).saturating_add(*range_ms);
                out.push(Reach { selector: selector.clone(), range_ms: *range_ms, back_ms: back });
            }
            Node::Subquery(subquery) => {
                let back = back_of(subquery.offset_ms, subquery.at, shift).saturating_add(subquery.range_ms);
                subquery.inner.collect_reaches(back, out);
            }
            Node::Negate(inner) => inner.collect_reaches(shift, out),
            Node::Binary(binary) => {
                binary.left.collect_reaches(shift, out);
                binary.right.collect_reaches(shift, out);
            }
            Node::Aggregate(aggregate) => {
                if let Some(param) = &aggregate.param {
                    param.collect_reaches(shift, out);
                }
                aggregate.inner.collect_reaches(shift, out);
            }
            Node::Call(call) => call.args.iter().for_each(|arg| arg.collect_reaches(shift, out)),
        }
    }
}

fn back_of(offset_ms: i64, at: Option<At>, shift: i64) -> i64 {
    match at {
        Some(At::Time(_)) => i64::MAX,
        Some(At::Start | At::End) | None => shift.saturating_add(offset_ms).max(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(expression: &str) -> Vec<String> {
        let query = Query::parse(expression).unwrap();
        query.reaches().iter().map(|reach| format!("{} {} {}", reach.selector, reach.range_ms, reach.back_ms)).collect()
    }

    #[test]
    fn an_expression_says_how_far_back_it_looks() {
        for (expression, expected) in [
            ("x > 1", vec!["x 0 0"]),
            ("x offset 1m", vec!["x 0 360000"]),
            ("x offset -1m", vec!["x 0 0"]),
            (r#"rate(x{a="b",c=~"d"}[5m] offset 1m)"#, vec![r#"x{a="b",c=~"d"} 300000 360000"#]),
            ("sum_over_time(rate(x[1m])[10m:1m])", vec!["x 60000 660000"]),
            ("max_over_time(x[10m:1m] offset 1h)", vec!["x 0 4500000"]),
            ("x and predict_linear(y[1d], 1)", vec!["x 0 0", "y 86400000 86400000"]),
            ("x @ 5", vec!["x 0 9223372036854775807"]),
        ] {
            assert_eq!(reaches(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_several_rules_look_back_on_is_kept_once_as_far_as_any_needs() {
        let all = ["rate(x[5m])", "rate(x[1h]) > 0", r#"rate(x{a="b"}[2m])"#, "x"];
        let all = all.iter().flat_map(|text| Query::parse(text).unwrap().reaches());
        let merged: Vec<_> = Reach::merged(all).iter().map(|r| format!("{} {}", r.selector, r.back_ms)).collect();
        assert_eq!(merged, ["x 3600000", r#"x{a="b"} 120000"#]);
    }
}

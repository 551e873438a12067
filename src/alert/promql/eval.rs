//! What is the value of an expression at a moment?

use std::cell::Cell;
use std::collections::HashSet;

use super::error::EvalError;
use super::labels::Labels;
use super::plan::{At, Node, RangeSelector, Selector, Subquery};
use super::source::{Point, Source};
use super::{aggregate, binary, calls};

/// Samples one evaluation may touch. The heaviest shipped rule reads two weeks of each pool's fill; ten
/// times that still ends within seconds, while a careless range over everything is refused.
const MAX_SAMPLES: usize = 50_000_000;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number without labels.
    Scalar(f64),
    /// One sample for each label set, all of the moment asked for.
    Vector(Vec<Sample>),
    /// Samples over a range for each label set.
    Matrix(Vec<RangeSeries>),
    /// A text.
    Text(String),
}

/// One element of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What it is about.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
    /// The value is no longer the metric's, so its name goes at the end. Not at once: a later
    /// `label_replace` or `sum by (__name__)` may still read it.
    pub(super) drop_name: bool,
}

impl Sample {
    /// A sample as it stands.
    pub fn new(labels: Labels, value: f64) -> Self {
        Self { labels, value, drop_name: false }
    }
}

/// One element of a range vector.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// What it is about.
    pub labels: Labels,
    /// Its samples, by time.
    pub points: Vec<Point>,
    drop_name: bool,
}

/// Evaluates a plan and drops the names that are due.
pub(super) fn run(root: &Node, source: Source<'_>, at: i64, (start, end): (i64, i64)) -> Result<Value, EvalError> {
    let evaluator = Evaluator { source, start, end, touched: Cell::new(0) };
    match evaluator.value(root, at)? {
        Value::Vector(mut vector) => {
            for sample in vector.iter_mut().filter(|sample| sample.drop_name) {
                sample.labels = sample.labels.without_metadata();
                sample.drop_name = false;
            }
            unique(vector.iter().map(|sample| &sample.labels))?;
            Ok(Value::Vector(vector))
        }
        Value::Matrix(mut matrix) => {
            for series in matrix.iter_mut().filter(|series| series.drop_name) {
                series.labels = series.labels.without_metadata();
                series.drop_name = false;
            }
            unique(matrix.iter().map(|series| &series.labels))?;
            Ok(Value::Matrix(matrix))
        }
        value @ (Value::Scalar(_) | Value::Text(_)) => Ok(value),
    }
}

/// Refuses two results of one label set.
pub(super) fn unique<'a>(all: impl ExactSizeIterator<Item = &'a Labels>) -> Result<(), EvalError> {
    let mut seen = HashSet::with_capacity(all.len());
    for labels in all {
        if !seen.insert(labels) {
            return Err(EvalError::DuplicateLabels { labels: labels.to_string() });
        }
    }
    Ok(())
}

pub(super) struct Evaluator<'a> {
    source: Source<'a>,
    start: i64,
    end: i64,
    touched: Cell<usize>,
}

/// The part of time a range function works on, open on the left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) start: i64,
    pub(super) end: i64,
    /// The moment of the evaluation, which `offset` and `@` do not move.
    pub(super) now: i64,
}

impl Evaluator<'_> {
    pub(super) fn value(&self, node: &Node, at: i64) -> Result<Value, EvalError> {
        match node {
            Node::Number(number) => Ok(Value::Scalar(*number)),
            Node::Text(text) => Ok(Value::Text(text.clone())),
            Node::Instant(selector) => self.instant(selector, at).map(Value::Vector),
            Node::Range(_) | Node::Subquery(_) => {
                let mut matrix = Vec::new();
                self.ranges(node, at, |labels, drop_name, _, points| {
                    matrix.push(RangeSeries { labels: labels.clone(), points: points.to_vec(), drop_name });
                })?;
                Ok(Value::Matrix(matrix))
            }
            Node::Negate(inner) => Ok(match self.value(inner, at)? {
                Value::Scalar(number) => Value::Scalar(-number),
                Value::Vector(mut vector) => {
                    for sample in &mut vector {
                        sample.value = -sample.value;
                        sample.drop_name = true;
                    }
                    Value::Vector(vector)
                }
                value @ (Value::Matrix(_) | Value::Text(_)) => value,
            }),
            Node::Binary(binary) => binary::evaluate(self, binary, at),
            Node::Aggregate(aggregate) => aggregate::evaluate(self, aggregate, at).map(Value::Vector),
            Node::Call(call) => calls::evaluate(self, call, at),
        }
    }

    /// The value of a node that the plan has checked to be a scalar.
    pub(super) fn scalar(&self, node: &Node, at: i64) -> Result<f64, EvalError> {
        match self.value(node, at)? {
            Value::Scalar(number) => Ok(number),
            Value::Vector(_) | Value::Matrix(_) | Value::Text(_) => {
                debug_assert!(false, "the plan checks types");
                Ok(f64::NAN)
            }
        }
    }

    /// The value of a node that the plan has checked to be an instant vector.
    pub(super) fn vector(&self, node: &Node, at: i64) -> Result<Vec<Sample>, EvalError> {
        match self.value(node, at)? {
            Value::Vector(vector) => Ok(vector),
            Value::Scalar(_) | Value::Matrix(_) | Value::Text(_) => {
                debug_assert!(false, "the plan checks types");
                Ok(Vec::new())
            }
        }
    }

    fn instant(&self, selector: &Selector, at: i64) -> Result<Vec<Sample>, EvalError> {
        let mut vector = Vec::new();
        self.instant_points(selector, at, |labels, point| vector.push(Sample::new(labels.clone(), point.value)))?;
        Ok(vector)
    }

    /// The newest samples with the times they are of, which only `timestamp()` asks for.
    pub(super) fn instant_points(
        &self,
        selector: &Selector,
        at: i64,
        mut visit: impl FnMut(&Labels, Point),
    ) -> Result<(), EvalError> {
        let mut count = 0;
        self.source.instant(selector, self.moment(selector.at, selector.offset_ms, at), |labels, point| {
            count += 1;
            visit(labels, point);
        });
        self.touch(count)
    }

    /// Calls `visit` with each series of a range vector: labels, whether its name is due to go, window, samples.
    pub(super) fn ranges(
        &self,
        node: &Node,
        at: i64,
        mut visit: impl FnMut(&Labels, bool, Window, &[Point]),
    ) -> Result<(), EvalError> {
        match node {
            Node::Range(RangeSelector { selector, range_ms }) => {
                let end = self.moment(selector.at, selector.offset_ms, at);
                let window = Window { start: end.saturating_sub(*range_ms), end, now: at };
                let mut count = 0;
                self.source.range(selector, window.start, window.end, |labels, points| {
                    count += points.len();
                    visit(labels, false, window, points);
                });
                self.touch(count)
            }
            Node::Subquery(subquery) => {
                let end = self.moment(subquery.at, subquery.offset_ms, at);
                let window = Window { start: end.saturating_sub(subquery.range_ms), end, now: at };
                for series in self.steps(subquery, window)? {
                    visit(&series.labels, series.drop_name, window, &series.points);
                }
                Ok(())
            }
            _ => {
                debug_assert!(false, "the plan checks types");
                Ok(())
            }
        }
    }

    /// Evaluates a subquery's expression at each multiple of its step within the window.
    fn steps(&self, subquery: &Subquery, window: Window) -> Result<Vec<RangeSeries>, EvalError> {
        let mut matrix: Vec<RangeSeries> = Vec::new();
        let mut index = std::collections::HashMap::new();
        let mut t = (window.start.div_euclid(subquery.step_ms) + 1) * subquery.step_ms;
        while t <= window.end {
            let samples = match self.value(&subquery.inner, t)? {
                Value::Scalar(number) => vec![Sample::new(Labels::empty(), number)],
                Value::Vector(vector) => vector,
                Value::Matrix(_) | Value::Text(_) => Vec::new(),
            };
            self.touch(samples.len() + 1)?;
            for sample in samples {
                let at = *index.entry(sample.labels).or_insert_with_key(|labels| {
                    let (labels, drop_name) = (labels.clone(), sample.drop_name);
                    matrix.push(RangeSeries { labels, points: Vec::new(), drop_name });
                    matrix.len() - 1
                });
                let series = &mut matrix[at];
                if series.points.last().is_some_and(|point| point.t == t) {
                    return Err(EvalError::DuplicateLabels { labels: series.labels.to_string() });
                }
                series.points.push(Point { t, value: sample.value });
            }
            t = t.saturating_add(subquery.step_ms);
        }
        Ok(matrix)
    }

    fn moment(&self, at: Option<At>, offset_ms: i64, now: i64) -> i64 {
        let base = match at {
            None => now,
            Some(At::Time(time)) => time,
            Some(At::Start) => self.start,
            Some(At::End) => self.end,
        };
        base.saturating_sub(offset_ms)
    }

    fn touch(&self, samples: usize) -> Result<(), EvalError> {
        let touched = self.touched.get().saturating_add(samples);
        self.touched.set(touched);
        if touched > MAX_SAMPLES { Err(EvalError::TooManySamples { limit: MAX_SAMPLES }) } else { Ok(()) }
    }
}

//! What is the sum, the mean, the largest ... of the series of a group?

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use super::error::EvalError;
use super::eval::{Evaluator, Sample, Value};
use super::labels::{Labels, Name};
use super::numbers::{Mean, Sum, plain_float, quantile};
use super::plan::{Aggregate, AggregateOp};

pub(super) fn evaluate(evaluator: &Evaluator<'_>, aggregate: &Aggregate, at: i64) -> Result<Vec<Sample>, EvalError> {
    let param = aggregate.param.as_ref().map(|param| evaluator.value(param, at)).transpose()?;
    let input = evaluator.vector(&aggregate.inner, at)?;
    let number = match &param {
        Some(Value::Scalar(number)) => *number,
        _ => f64::NAN,
    };
    match aggregate.op {
        AggregateOp::TopK => ranked(aggregate, &input, number, "topk", |a, b| b.total_cmp(&a)),
        AggregateOp::BottomK => ranked(aggregate, &input, number, "bottomk", |a, b| a.total_cmp(&b)),
        AggregateOp::CountValues => {
            let Some(Value::Text(label)) = param else { return Ok(Vec::new()) };
            count_values(aggregate, &input, &label)
        }
        _ => Ok(folded(aggregate, &input, number)),
    }
}

/// The labels of a series that decide into which group it falls.
struct Key<'a> {
    labels: &'a Labels,
    names: &'a [Name],
    without: bool,
    hash: u64,
}

impl<'a> Key<'a> {
    fn new(aggregate: &'a Aggregate, labels: &'a Labels) -> Self {
        let (names, without) = (aggregate.grouping.as_slice(), aggregate.without);
        let hash = if without { labels.hash_without(names) } else { labels.hash_of(names) };
        Self { labels, names, without, hash }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && if self.without {
                self.labels.agree_without(other.labels, self.names)
            } else {
                self.labels.agree_on(other.labels, self.names)
            }
    }
}

impl Eq for Key<'_> {}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

fn group_labels(aggregate: &Aggregate, labels: &Labels) -> Labels {
    if aggregate.without { labels.without(&aggregate.grouping) } else { labels.keep(&aggregate.grouping) }
}

/// What has been gathered of a group.
enum Gathered {
    Sum(Sum),
    Mean(Mean),
    Extreme(f64),
    Count(f64),
    One,
    /// Welford's running variance.
    Spread {
        count: f64,
        mean: f64,
        squares: f64,
    },
    All(Vec<f64>),
}

impl Gathered {
    fn first(op: AggregateOp, value: f64) -> Self {
        match op {
            AggregateOp::Sum => Gathered::Sum(Sum::starting_with(value)),
            AggregateOp::Avg => Gathered::Mean(Mean::starting_with(value)),
            AggregateOp::Min | AggregateOp::Max => Gathered::Extreme(value),
            AggregateOp::Count => Gathered::Count(1.0),
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                Gathered::Spread { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
            }
            AggregateOp::Quantile => Gathered::All(vec![value]),
            AggregateOp::Group | AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::CountValues => Gathered::One,
        }
    }

    fn add(&mut self, op: AggregateOp, value: f64) {
        match self {
            Gathered::Sum(sum) => sum.add(value),
            Gathered::Mean(mean) => mean.add(value),
            Gathered::Extreme(extreme) => {
                let better = if op == AggregateOp::Max { value > *extreme } else { value < *extreme };
                if better || extreme.is_nan() {
                    *extreme = value;
                }
            }
            Gathered::Count(count) => *count += 1.0,
            Gathered::One => {}
            Gathered::Spread { count, mean, squares } => {
                *count += 1.0;
                let delta = value - *mean;
                *mean += delta / *count;
                *squares += delta * (value - *mean);
            }
            Gathered::All(all) => all.push(value),
        }
    }

    fn finish(self, op: AggregateOp, param: f64) -> f64 {
        match self {
            Gathered::Sum(sum) => sum.value(),
            Gathered::Mean(mean) => mean.value(),
            Gathered::Extreme(extreme) => extreme,
            Gathered::Count(count) => count,
            Gathered::One => 1.0,
            Gathered::Spread { count, squares, .. } if op == AggregateOp::Stdvar => squares / count,
            Gathered::Spread { count, squares, .. } => (squares / count).sqrt(),
            Gathered::All(all) => quantile(param, all),
        }
    }
}

fn folded(aggregate: &Aggregate, input: &[Sample], param: f64) -> Vec<Sample> {
    let mut index: HashMap<Key<'_>, usize> = HashMap::new();
    let mut groups: Vec<(&Sample, Gathered, bool)> = Vec::new();
    for sample in input {
        match index.get(&Key::new(aggregate, &sample.labels)) {
            Some(&at) => {
                let (_, gathered, drop_name) = &mut groups[at];
                gathered.add(aggregate.op, sample.value);
                *drop_name |= sample.drop_name;
            }
            None => {
                index.insert(Key::new(aggregate, &sample.labels), groups.len());
                groups.push((sample, Gathered::first(aggregate.op, sample.value), sample.drop_name));
            }
        }
    }
    let finish = |(sample, gathered, drop_name): (&Sample, Gathered, bool)| Sample {
        labels: group_labels(aggregate, &sample.labels),
        value: gathered.finish(aggregate.op, param),
        drop_name,
    };
    groups.into_iter().map(finish).collect()
}

fn ranked(
    aggregate: &Aggregate,
    input: &[Sample],
    param: f64,
    call: &'static str,
    order: impl Fn(f64, f64) -> std::cmp::Ordering,
) -> Result<Vec<Sample>, EvalError> {
    if param.is_nan() {
        return Err(EvalError::Parameter { call, reason: "Parameter value is NaN".to_owned() });
    }
    // The bounds of an i64, which a float holds exactly (the upper one is the first value beyond).
    if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&param) {
        return Err(EvalError::Parameter { call, reason: format!("Scalar value {param} overflows int64") });
    }
    if param < 1.0 {
        return Ok(Vec::new());
    }
    let k = param as usize;
    let mut index: HashMap<Key<'_>, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, sample) in input.iter().enumerate() {
        let group = *index.entry(Key::new(aggregate, &sample.labels)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(at);
    }
    let rank = |&a: &usize, &b: &usize| {
        let (a, b) = (input[a].value, input[b].value);
        // NaN is the last choice in both directions; -0 and 0 are equal.
        a.is_nan().cmp(&b.is_nan()).then_with(|| order(a + 0.0, b + 0.0))
    };
    let mut chosen = Vec::new();
    for mut group in groups {
        group.sort_by(rank);
        chosen.extend(group.into_iter().take(k));
    }
    Ok(chosen.into_iter().map(|at| input[at].clone()).collect())
}

fn count_values(aggregate: &Aggregate, input: &[Sample], label: &str) -> Result<Vec<Sample>, EvalError> {
    if label.is_empty() {
        return Err(EvalError::Parameter { call: "count_values", reason: "invalid label name \"\"".to_owned() });
    }
    let mut grouping = aggregate.grouping.clone();
    if aggregate.without {
        grouping.retain(|name| name.as_ref() != label);
    } else {
        grouping.push(Name::from(label));
        grouping.sort();
    }
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<Sample> = Vec::new();
    for sample in input {
        let marked = sample.labels.with(label, &plain_float(sample.value));
        let labels = if aggregate.without { marked.without(&aggregate.grouping) } else { marked.keep(&grouping) };
        match index.get(&labels) {
            Some(&at) => out[at].value += 1.0,
            None => {
                index.insert(labels.clone(), out.len());
                out.push(Sample::new(labels, 1.0));
            }
        }
    }
    Ok(out)
}

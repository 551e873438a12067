//! What do operators make of two operands, and which series of two vectors belong together?

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use super::error::EvalError;
use super::eval::{Evaluator, Sample, Value};
use super::labels::Labels;
use super::plan::{Binary, BinaryOp, Cardinality, Matching};

pub(super) fn evaluate(evaluator: &Evaluator<'_>, binary: &Binary, at: i64) -> Result<Value, EvalError> {
    let left = evaluator.value(&binary.left, at)?;
    let right = evaluator.value(&binary.right, at)?;
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => Ok(Value::Scalar(match apply(binary.op, left, right) {
            Outcome::Value(value) => value,
            Outcome::Kept(kept) => f64::from(u8::from(kept)),
        })),
        (Value::Vector(vector), Value::Scalar(scalar)) => Ok(Value::Vector(with_scalar(binary, vector, scalar, false))),
        (Value::Scalar(scalar), Value::Vector(vector)) => Ok(Value::Vector(with_scalar(binary, vector, scalar, true))),
        (Value::Vector(left), Value::Vector(right)) if binary.op.is_set() => {
            Ok(Value::Vector(set(binary.op, &binary.matching, left, right)))
        }
        (Value::Vector(left), Value::Vector(right)) => matched(binary, &left, &right).map(Value::Vector),
        _ => {
            debug_assert!(false, "the plan checks types");
            Ok(Value::Vector(Vec::new()))
        }
    }
}

enum Outcome {
    /// The result of arithmetic.
    Value(f64),
    /// Whether a comparison holds.
    Kept(bool),
}

fn apply(op: BinaryOp, left: f64, right: f64) -> Outcome {
    match op {
        BinaryOp::Add => Outcome::Value(left + right),
        BinaryOp::Sub => Outcome::Value(left - right),
        BinaryOp::Mul => Outcome::Value(left * right),
        BinaryOp::Div => Outcome::Value(left / right),
        // Rust's remainder is Go's math.Mod: the sign is the dividend's.
        BinaryOp::Mod => Outcome::Value(left % right),
        BinaryOp::Pow => Outcome::Value(left.powf(right)),
        BinaryOp::Atan2 => Outcome::Value(left.atan2(right)),
        BinaryOp::Equal => Outcome::Kept(left == right),
        BinaryOp::NotEqual => Outcome::Kept(left != right),
        BinaryOp::Greater => Outcome::Kept(left > right),
        BinaryOp::Less => Outcome::Kept(left < right),
        BinaryOp::GreaterEqual => Outcome::Kept(left >= right),
        BinaryOp::LessEqual => Outcome::Kept(left <= right),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Unless => Outcome::Kept(false),
    }
}

/// `swapped` says that the scalar is written first. A filter keeps the vector's value in either order.
fn with_scalar(binary: &Binary, mut vector: Vec<Sample>, scalar: f64, swapped: bool) -> Vec<Sample> {
    vector.retain_mut(|sample| {
        let (left, right) = if swapped { (scalar, sample.value) } else { (sample.value, scalar) };
        match apply(binary.op, left, right) {
            Outcome::Value(value) => {
                sample.value = value;
                sample.drop_name = true;
                true
            }
            Outcome::Kept(kept) if binary.return_bool => {
                sample.value = f64::from(u8::from(kept));
                sample.drop_name = true;
                true
            }
            Outcome::Kept(kept) => kept,
        }
    });
    vector
}

/// The labels of a series that decide with which it is matched.
struct Key<'a> {
    labels: &'a Labels,
    matching: &'a Matching,
    hash: u64,
}

impl<'a> Key<'a> {
    fn new(matching: &'a Matching, labels: &'a Labels) -> Self {
        let hash = if matching.on { labels.hash_of(&matching.key) } else { labels.hash_without(&matching.key) };
        Self { labels, matching, hash }
    }

    fn cut(&self) -> Labels {
        if self.matching.on { self.labels.keep(&self.matching.key) } else { self.labels.without(&self.matching.key) }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash
            && if self.matching.on {
                self.labels.agree_on(other.labels, &self.matching.key)
            } else {
                self.labels.agree_without(other.labels, &self.matching.key)
            }
    }
}

impl Eq for Key<'_> {}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

fn set(op: BinaryOp, matching: &Matching, mut left: Vec<Sample>, right: Vec<Sample>) -> Vec<Sample> {
    match op {
        BinaryOp::And | BinaryOp::Unless => {
            let present: HashSet<Key<'_>> = right.iter().map(|sample| Key::new(matching, &sample.labels)).collect();
            let keep = op == BinaryOp::And;
            left.retain(|sample| present.contains(&Key::new(matching, &sample.labels)) == keep);
            left
        }
        _ => {
            let present: HashSet<Key<'_>> = left.iter().map(|sample| Key::new(matching, &sample.labels)).collect();
            let more: Vec<Sample> =
                right.into_iter().filter(|s| !present.contains(&Key::new(matching, &s.labels))).collect();
            left.extend(more);
            left
        }
    }
}

fn matched(binary: &Binary, left: &[Sample], right: &[Sample]) -> Result<Vec<Sample>, EvalError> {
    let matching = &binary.matching;
    let swapped = matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    if many.is_empty() || one.is_empty() {
        return Ok(Vec::new());
    }
    let mut ones: HashMap<Key<'_>, usize> = HashMap::with_capacity(one.len());
    for (at, sample) in one.iter().enumerate() {
        let key = Key::new(matching, &sample.labels);
        let group = |key: &Key<'_>| key.cut().to_string();
        if let Some(&other) = ones.get(&key) {
            let mut pair = [sample.labels.to_string(), one[other].labels.to_string()];
            pair.sort();
            let [first, second] = pair;
            let side = if swapped { "left" } else { "right" };
            return Err(EvalError::ManyToMany { group: group(&key), side, first, second });
        }
        ones.insert(key, at);
    }

    let mut out = Vec::with_capacity(many.len());
    let mut met = vec![false; one.len()];
    let mut results: HashSet<(usize, Labels)> = HashSet::new();
    for sample in many {
        let key = Key::new(matching, &sample.labels);
        let Some(&at) = ones.get(&key) else { continue };
        let other = &one[at];
        let (left, right) = if swapped { (other.value, sample.value) } else { (sample.value, other.value) };
        let outcome = apply(binary.op, left, right);
        let labels = result_labels(binary, &sample.labels, &other.labels);
        if matching.cardinality == Cardinality::OneToOne {
            if std::mem::replace(&mut met[at], true) {
                return Err(EvalError::ImplicitManyToOne { group: key.cut().to_string() });
            }
        } else if !results.insert((at, labels.clone())) {
            return Err(EvalError::GroupingNotUnique { labels: labels.to_string() });
        }
        let value = match outcome {
            Outcome::Value(value) => value,
            Outcome::Kept(kept) if binary.return_bool => f64::from(u8::from(kept)),
            // A filter keeps the value that is written on the left, also with group_right.
            Outcome::Kept(true) => left,
            Outcome::Kept(false) => continue,
        };
        out.push(Sample { labels, value, drop_name: sample.drop_name || binary.return_bool });
    }
    Ok(out)
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let arithmetic = !binary.op.is_comparison();
    let mut labels = if arithmetic { many.without_metadata() } else { many.clone() };
    if matching.cardinality == Cardinality::OneToOne {
        labels = if matching.on { labels.keep(&matching.labels) } else { labels.without(&matching.labels) };
    }
    for name in &matching.include {
        labels = labels.with(name.as_ref(), one.value_of(name));
    }
    labels
}

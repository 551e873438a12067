//! Which kinds of values does a template handle, and how are they written out?

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::alert::promql::{Sample, format_float};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A map from texts to texts: a missing key is the empty text.
    Map(BTreeMap<String, Val>),
    /// A Go struct: a missing field is an error.
    Fields(BTreeMap<&'static str, Val>),
    List(Vec<Val>),
}

impl Val {
    pub(super) fn labels<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        Val::Map(pairs.map(|(name, value)| (name.to_owned(), Val::Text(value.to_owned()))).collect())
    }

    /// One element of what `query` gives.
    pub(super) fn sample(sample: &Sample) -> Self {
        Val::Fields(BTreeMap::from([
            ("Labels", Val::labels(sample.labels.iter())),
            ("Value", Val::Float(sample.value)),
        ]))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Val::Nil => "nil",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Float(_) => "float64",
            Val::Text(_) => "string",
            Val::Map(_) => "map",
            Val::Fields(_) => "struct",
            Val::List(_) => "list",
        }
    }

    /// What `if` takes for true: anything but the empty value of a kind.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Val::Nil => false,
            Val::Bool(bool) => *bool,
            Val::Int(int) => *int != 0,
            Val::Float(float) => *float != 0.0,
            Val::Text(text) => !text.is_empty(),
            Val::Map(map) => !map.is_empty(),
            Val::Fields(_) => true,
            Val::List(list) => !list.is_empty(),
        }
    }

    /// As Go's `%v` writes it.
    pub(super) fn plain(&self) -> String {
        match self {
            Val::Nil => "<nil>".to_owned(),
            Val::Bool(bool) => bool.to_string(),
            Val::Int(int) => int.to_string(),
            Val::Float(float) => format_float(*float),
            Val::Text(text) => text.clone(),
            Val::Map(map) => {
                let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}:{}", value.plain())).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Val::Fields(fields) => {
                let values: Vec<String> = fields.values().map(Val::plain).collect();
                format!("{{{}}}", values.join(" "))
            }
            Val::List(list) => {
                let values: Vec<String> = list.iter().map(Val::plain).collect();
                format!("[{}]", values.join(" "))
            }
        }
    }

    /// A number out of what Prometheus' functions take for one; a text is read.
    pub(super) fn number(&self) -> Result<f64, String> {
        match self {
            Val::Float(float) => Ok(*float),
            Val::Int(int) => Ok(*int as f64),
            Val::Text(text) => text.parse().map_err(|_| format!("can't read {text:?} as a number")),
            other => Err(format!("can't convert {} to a number", other.kind())),
        }
    }

    /// Order of two values of one kind, for `lt` and its like. `None`: a NaN is in it.
    pub(super) fn order(&self, other: &Self) -> Result<Option<Ordering>, String> {
        match (self, other) {
            (Val::Int(a), Val::Int(b)) => Ok(Some(a.cmp(b))),
            (Val::Float(a), Val::Float(b)) => Ok(a.partial_cmp(b)),
            (Val::Text(a), Val::Text(b)) => Ok(Some(a.cmp(b))),
            _ => Err(format!("incompatible types for comparison: {} and {}", self.kind(), other.kind())),
        }
    }

    /// Equality of two values of one kind, for `eq` and `ne`.
    pub(super) fn equals(&self, other: &Self) -> Result<bool, String> {
        match (self, other) {
            (Val::Bool(a), Val::Bool(b)) => Ok(a == b),
            (Val::Nil, Val::Nil) => Ok(true),
            (Val::Nil, _) | (_, Val::Nil) => Ok(false),
            _ => self.order(other).map(|order| order == Some(Ordering::Equal)),
        }
    }
}

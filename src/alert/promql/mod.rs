//! How are the expressions of the shipped rule files evaluated without a Prometheus?
//!
//! [`Query::parse`] turns a text into a checked plan (parsed by `promql-parser`),
//! [`Query::evaluate`] answers it over a [`Source`]: the samples of the newest
//! poll ([`Latest`]) and the past that some rule looks back on ([`History`]).
//! The meaning is that of Prometheus 3.x: ranges and the five minutes of
//! lookback are open on the left, a metric's name is dropped at the very end,
//! two results with one label set are an error. What lies outside the subset
//! (histogram functions above all) is a [`QueryError`] that names it, found when
//! the rule file is loaded. [`check()`] holds an expression against the catalogue.
//!
//! Nothing here reads a clock or does I/O, except `history_file`, which keeps
//! the past over a restart.

mod aggregate;
mod binary;
mod calls;
mod check;
mod compile;
mod error;
mod eval;
mod functions;
mod history;
mod history_file;
mod labels;
mod matcher;
mod numbers;
mod over_time;
mod plan;
mod source;

pub use check::{Finding, MetricShape, check, check_query};
pub use error::{EvalError, QueryError};
pub use eval::{RangeSeries, Sample, Value};
pub use functions::Function;
pub use history::{Bounds, History, HistoryStats, Run};
pub use history_file::{HistoryFile, HistoryFileError, Recovered};
pub use labels::{Labels, METRIC_NAME};
pub use matcher::{MatchKind, Matcher};
pub(crate) use numbers::go_exponent;
pub use numbers::{STALE, format_float, is_stale};
pub use plan::{Bound, LOOKBACK_MS, Query, Reach, Selector};
pub use source::{Latest, Point, Source};

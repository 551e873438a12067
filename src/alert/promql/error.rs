//! What can be wrong with an expression, when it is loaded and when it is evaluated?

use thiserror::Error;

/// Why a text is no query we can run. Found at load; it never changes by waiting.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The text is not in the language.
    #[error("cannot parse the expression: {0}")]
    Syntax(String),
    /// The text nests deeper or is longer than any sane rule.
    #[error("the expression is too {what} (limit {limit})")]
    TooBig {
        /// `long` or `deep`.
        what: &'static str,
        /// The bound it broke.
        limit: usize,
    },
    /// The language has it, this evaluator does not.
    #[error("{kind} `{name}` is not supported by the built-in engine")]
    Unsupported {
        /// `function`, `aggregation`, `modifier` ...
        kind: &'static str,
        /// Its name as it is written.
        name: String,
    },
    /// A regular expression that does not compile within its bounds.
    #[error("regular expression {pattern:?} is refused")]
    Regex {
        /// The expression as it was written.
        pattern: String,
        /// What the compiler said.
        source: Box<regex::Error>,
    },
    /// An argument or operand of the wrong type.
    #[error("{place} needs {wanted}, got {got}")]
    Type {
        /// Where: `argument 1 of rate()`, `left side of +`.
        place: String,
        /// The type that was needed.
        wanted: &'static str,
        /// The type that was found.
        got: &'static str,
    },
    /// A combination the language forbids.
    #[error("{0}")]
    Invalid(String),
}

/// Why a sound query has no answer on these data. The rule reports it; the next evaluation may succeed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EvalError {
    /// Two results have one label set, so nobody could tell them apart.
    #[error("vector cannot contain metrics with the same labelset: {labels}")]
    DuplicateLabels {
        /// The label set that came twice.
        labels: String,
    },
    /// Several series on the side that must have one.
    #[error(
        "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{first}, {second}]; \
         many-to-many matching not allowed: matching labels must be unique on one side"
    )]
    ManyToMany {
        /// The labels that were matched on.
        group: String,
        /// `left` or `right`.
        side: &'static str,
        /// One of the two series.
        first: String,
        /// The other one.
        second: String,
    },
    /// One series meets several and the rule did not say so.
    #[error("multiple matches for labels {group}: many-to-one matching must be explicit (group_left/group_right)")]
    ImplicitManyToOne {
        /// The labels that were matched on.
        group: String,
    },
    /// `group_left` or `group_right` gives one result twice.
    #[error("multiple matches for labels {labels}: grouping labels must ensure unique matches")]
    GroupingNotUnique {
        /// The result that came twice.
        labels: String,
    },
    /// A parameter that has no meaning, such as `topk(NaN, x)`.
    #[error("invalid parameter of {call}: {reason}")]
    Parameter {
        /// The function or aggregation.
        call: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// More samples than an evaluation may touch.
    #[error("the evaluation touches more than {limit} samples; narrow the selector or shorten the range")]
    TooManySamples {
        /// The bound.
        limit: usize,
    },
}

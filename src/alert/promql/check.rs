//! Does an expression fit what we serve? Found when rules are loaded, not when they should have fired.

use std::collections::BTreeSet;

use thiserror::Error;

use super::error::QueryError;
use super::functions::Function;
use super::labels::METRIC_NAME;
use super::plan::{Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, Node, Query, Selector};

/// What the catalogue knows of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricShape {
    /// The labels its series may have, without the name.
    pub labels: BTreeSet<String>,
}

/// Something in a sound expression that cannot be meant.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Finding {
    /// No family and no recording rule has this name.
    #[error("unknown metric `{metric}`")]
    UnknownMetric {
        /// The name.
        metric: String,
    },
    /// No series at this place has the label, so nothing would ever match.
    #[error("unknown label `{label}` in {place}")]
    UnknownLabel {
        /// The label.
        label: String,
        /// Where it is used.
        place: String,
    },
    /// A range in which there may be fewer than two samples, so that rates are empty.
    #[error("the range of {selector} is {range_ms} ms, shorter than two polls ({needed_ms} ms); lengthen it")]
    ShortRange {
        /// The metric.
        selector: String,
        /// The range as written.
        range_ms: i64,
        /// Two polls.
        needed_ms: i64,
    },
    /// A selector pinned to a fixed time, whose samples would have to be kept for ever.
    #[error("{selector} is pinned by @ to a fixed time, which a rule cannot keep")]
    FixedTime {
        /// The metric.
        selector: String,
    },
}

/// Parses an expression and holds it against the catalogue: `lookup` answers for each metric name (recording rules
/// and `up` included), `poll_ms` is the time between two samples of a series.
pub fn check(
    expression: &str,
    lookup: impl Fn(&str) -> Option<MetricShape>,
    poll_ms: i64,
) -> Result<(Query, Vec<Finding>), QueryError> {
    let query = Query::parse(expression)?;
    let (findings, _) = check_query(&query, lookup, poll_ms);
    Ok((query, findings))
}

/// Holds a query against the catalogue. Also gives the labels its results may have, if they can be told:
/// what the rule's templates may use, and the shape of a recording rule's metric.
pub fn check_query(
    query: &Query,
    lookup: impl Fn(&str) -> Option<MetricShape>,
    poll_ms: i64,
) -> (Vec<Finding>, Option<BTreeSet<String>>) {
    let mut checker = Checker { lookup, findings: Vec::new() };
    let labels = checker.node(query.root());
    for reach in query.reaches() {
        let name = reach.selector.to_string();
        if reach.back_ms == i64::MAX {
            checker.add(Finding::FixedTime { selector: name });
        } else if reach.range_ms > 0 && reach.range_ms < 2 * poll_ms {
            checker.add(Finding::ShortRange { selector: name, range_ms: reach.range_ms, needed_ms: 2 * poll_ms });
        }
    }
    (checker.findings, labels)
}

/// The labels a node's series may have; `None` when nobody can tell.
type Labels = Option<BTreeSet<String>>;

struct Checker<L> {
    lookup: L,
    findings: Vec<Finding>,
}

impl<L: Fn(&str) -> Option<MetricShape>> Checker<L> {
    fn add(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn want<'n>(&mut self, labels: &Labels, names: impl IntoIterator<Item = &'n str>, place: &str) {
        let Some(labels) = labels else { return };
        for name in names {
            if name != METRIC_NAME && !labels.contains(name) {
                self.add(Finding::UnknownLabel { label: name.to_owned(), place: place.to_owned() });
            }
        }
    }

    fn node(&mut self, node: &Node) -> Labels {
        match node {
            Node::Number(_) | Node::Text(_) => Some(BTreeSet::new()),
            Node::Instant(selector) => self.selector(selector),
            Node::Range(range) => self.selector(&range.selector),
            Node::Subquery(subquery) => self.node(&subquery.inner),
            Node::Negate(inner) => self.node(inner),
            Node::Binary(binary) => self.binary(binary),
            Node::Aggregate(aggregate) => self.aggregate(aggregate),
            Node::Call(call) => self.call(call),
        }
    }

    fn selector(&mut self, selector: &Selector) -> Labels {
        let name = selector.name.as_deref()?;
        let Some(shape) = (self.lookup)(name) else {
            self.add(Finding::UnknownMetric { metric: name.to_owned() });
            return None;
        };
        let labels = Some(shape.labels);
        self.want(&labels, selector.matchers.iter().map(|matcher| matcher.name()), name);
        labels
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Labels {
        if let Some(param) = &aggregate.param {
            self.node(param);
        }
        let inner = self.node(&aggregate.inner);
        let names = || aggregate.grouping.iter().map(AsRef::as_ref);
        self.want(&inner, names(), if aggregate.without { "without" } else { "by" });
        if matches!(aggregate.op, AggregateOp::TopK | AggregateOp::BottomK) {
            return inner;
        }
        let mut labels = inner?;
        labels.retain(|label| names().any(|name| name == label) != aggregate.without);
        if let (AggregateOp::CountValues, Some(Node::Text(label))) = (aggregate.op, &aggregate.param) {
            labels.insert(label.clone());
        }
        Some(labels)
    }

    fn binary(&mut self, binary: &Binary) -> Labels {
        let (left, right) = (self.node(&binary.left), self.node(&binary.right));
        if is_scalar(&binary.left) {
            return right;
        }
        if is_scalar(&binary.right) {
            return left;
        }
        let matching = &binary.matching;
        let names = || matching.labels.iter().map(AsRef::as_ref);
        if matching.on {
            self.want(&left, names(), "on (left side)");
            self.want(&right, names(), "on (right side)");
        } else {
            self.want(&union(&left, &right), names(), "ignoring");
        }
        let without = |labels: Labels| {
            labels.map(|mut labels| {
                labels.retain(|label| !names().any(|name| name == label));
                labels
            })
        };
        match binary.op {
            BinaryOp::And | BinaryOp::Unless => left,
            BinaryOp::Or => union(&left, &right),
            _ => match matching.cardinality {
                Cardinality::OneToOne if matching.on => Some(names().map(str::to_owned).collect()),
                Cardinality::OneToOne => without(left),
                Cardinality::ManyToOne | Cardinality::OneToMany => {
                    let (many, one) =
                        if matching.cardinality == Cardinality::ManyToOne { (left, right) } else { (right, left) };
                    let include = || matching.include.iter().map(AsRef::as_ref);
                    self.want(&one, include(), "group_left or group_right");
                    many.map(|mut labels| {
                        labels.extend(include().map(str::to_owned));
                        labels
                    })
                }
            },
        }
    }

    fn call(&mut self, call: &Call) -> Labels {
        let text = |arg: usize| match call.args.get(arg) {
            Some(Node::Text(text)) => text.as_str(),
            _ => "",
        };
        let inner: Vec<Labels> = call.args.iter().map(|arg| self.node(arg)).collect();
        let series = call.args.iter().position(|arg| !is_scalar(arg) && !matches!(arg, Node::Text(_)));
        let labels = series.and_then(|at| inner[at].clone());
        match call.function {
            Function::Time | Function::Pi | Function::Scalar | Function::Vector => Some(BTreeSet::new()),
            Function::Absent | Function::AbsentOverTime => Some(match &call.args[0] {
                Node::Instant(selector) => owned(selector),
                Node::Range(range) => owned(&range.selector),
                _ => BTreeSet::new(),
            }),
            Function::LabelReplace | Function::LabelJoin => {
                let sources = if call.function == Function::LabelReplace { 3..4 } else { 3..call.args.len() };
                // An empty source is how a constant is set.
                self.want(&labels, sources.map(text).filter(|name| !name.is_empty()), call.function.name());
                labels.map(|mut labels| {
                    labels.insert(text(1).to_owned());
                    labels
                })
            }
            _ if series.is_none() => Some(BTreeSet::new()),
            _ => labels,
        }
    }
}

fn is_scalar(node: &Node) -> bool {
    match node {
        Node::Number(_) => true,
        Node::Negate(inner) => is_scalar(inner),
        Node::Binary(binary) => is_scalar(&binary.left) && is_scalar(&binary.right),
        Node::Call(call) => matches!(call.function, Function::Time | Function::Pi | Function::Scalar),
        _ => false,
    }
}

fn owned(selector: &Selector) -> BTreeSet<String> {
    selector.certain_labels().iter().map(|(name, _)| name.to_owned()).collect()
}

fn union(left: &Labels, right: &Labels) -> Labels {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.union(right).cloned().collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<MetricShape> {
        let labels: &[&str] = match name {
            "pool_bytes" => &["system", "pool", "state"],
            "sds_up" => &["system", "sds"],
            "maintenance" => &["system", "sds", "type"],
            _ => return None,
        };
        Some(MetricShape { labels: labels.iter().map(|&label| label.to_owned()).collect() })
    }

    fn findings(expression: &str) -> Vec<String> {
        let (_, findings) = check(expression, lookup, 60_000).unwrap();
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_catalogue_has_passes() {
        for expression in [
            r#"sum by (system, pool) (rate(pool_bytes{state="failed"}[2m])) > 0"#,
            "sds_up == 0 unless on (system, sds) maintenance",
            "sds_up * on (system, sds) group_left (type) maintenance",
            r#"absent(sds_up{sds="a"})"#,
            r#"label_replace(sds_up, "node", "$1", "sds", "(.*)") + on (system) group_left () count by (system) (sds_up)"#,
            r#"{__name__=~"any.*", whatever="x"}"#,
            "time() - sds_up > 5 * scalar(count(sds_up))",
        ] {
            assert_eq!(findings(expression), Vec::<String>::new(), "{expression}");
        }
    }

    #[test]
    fn what_it_lacks_is_found() {
        for (expression, finding) in [
            ("sds_upp == 0", "unknown metric `sds_upp`"),
            (r#"sds_up{pool="a"} == 0"#, "unknown label `pool` in sds_up"),
            ("sum by (pool) (sds_up)", "unknown label `pool` in by"),
            ("sum without (pool) (sds_up)", "unknown label `pool` in without"),
            ("pool_bytes and on (system, sds) sds_up", "unknown label `sds` in on (left side)"),
            ("sds_up unless on (pool) sum by (pool) (pool_bytes)", "unknown label `pool` in on (left side)"),
            ("sds_up * on (sds) group_left (pool) maintenance", "unknown label `pool` in group_left or group_right"),
            ("sum by (sds) (sum by (system) (sds_up))", "unknown label `sds` in by"),
            (r#"label_replace(sds_up, "a", "$1", "pool", "(.*)")"#, "unknown label `pool` in label_replace"),
            ("rate(sds_up[1m])", "the range of sds_up is 60000 ms, shorter than two polls"),
            ("sds_up @ 1000", "sds_up is pinned by @"),
        ] {
            let found = findings(expression);
            assert!(found.len() == 1 && found[0].contains(finding), "{expression}: {found:?}");
        }
    }

    #[test]
    fn the_labels_of_the_result_are_told() {
        let labels = |expression: &str| {
            let query = Query::parse(expression).unwrap();
            check_query(&query, lookup, 60_000).1.map(|labels| labels.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(labels("count by (system) (sds_up) > 1").as_deref(), Some("system"));
        assert_eq!(labels("sds_up * on (system, sds) maintenance").as_deref(), Some("sds system"));
        assert_eq!(
            labels("sds_up * on (system, sds) group_left (type) maintenance").as_deref(),
            Some("sds system type")
        );
        assert_eq!(labels("vector(1)").as_deref(), Some(""));
        assert_eq!(labels(r#"{a="b"}"#), None);
    }
}

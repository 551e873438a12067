//! Which metrics and labels does an expression use, and are they there? Names
//! that do not exist make a rule that is silent for ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use promql_parser::parser::token::{T_BOTTOMK, T_LAND, T_LOR, T_LUNLESS, T_TOPK};
use promql_parser::parser::{AggregateExpr, BinaryExpr, Expr, Offset, VectorMatchCardinality, VectorSelector};

use super::files::Rules;

/// Labels of each metric.
pub(crate) type Catalogue = BTreeMap<String, BTreeSet<String>>;

/// Labels that Prometheus adds to whatever it scrapes.
const OF_THE_SCRAPE: [&str; 2] = ["job", "instance"];

/// Reads the tables of `docs/metrics.md`: name, type and labels are the first
/// three columns.
pub(crate) fn catalogue(document: &str) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for line in document.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        let labels: BTreeSet<String> =
            labels.split(',').map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned).collect();
        if kind == "histogram" {
            let with_bound = labels.iter().cloned().chain(["le".to_owned()]).collect();
            let without: BTreeSet<String> = labels.into_iter().filter(|label| label != "le").collect();
            catalogue.insert(format!("{name}_bucket"), with_bound);
            catalogue.insert(format!("{name}_sum"), without.clone());
            catalogue.insert(format!("{name}_count"), without);
        } else {
            catalogue.insert(name.to_owned(), labels);
        }
    }
    catalogue
}

/// What rules use that does not exist: metrics, and labels that none of the
/// metrics under the same operator has.
pub(crate) fn unknown(rules: &Rules, catalogue: &Catalogue) -> Vec<String> {
    let mut known = catalogue.clone();
    known.insert("up".to_owned(), BTreeSet::new());
    for recording in &rules.recordings {
        known.insert(recording.name.clone(), BTreeSet::new());
    }
    // What a recording has for labels follows from its expression, which may
    // use other recordings.
    for _ in 0..3 {
        for recording in &rules.recordings {
            let labels = labels_of(&recording.expr, &known);
            known.insert(recording.name.clone(), labels);
        }
    }
    let named = rules
        .recordings
        .iter()
        .map(|rule| (&rule.name, &rule.expr))
        .chain(rules.alerts.iter().map(|rule| (&rule.name, &rule.expr)));
    let mut problems = Vec::new();
    for (name, expr) in named {
        check(expr, &known, &mut |problem| problems.push(format!("{name}: {problem}")));
    }
    problems
}

fn check(expr: &Expr, known: &Catalogue, report: &mut impl FnMut(String)) {
    for selector in selectors(expr) {
        let metric = selector.name.clone().unwrap_or_default();
        let Some(labels) = known.get(&metric) else {
            report(format!("no metric {metric}"));
            continue;
        };
        for matcher in &selector.matchers.matchers {
            if !labels.contains(&matcher.name) && !OF_THE_SCRAPE.contains(&matcher.name.as_str()) {
                report(format!("{metric} has no label {}", matcher.name));
            }
        }
    }
    each(expr, &mut |part| {
        let (labels, operands) = match part {
            Expr::Aggregate(AggregateExpr { modifier: Some(modifier), expr, .. }) => {
                (modifier.labels().labels.clone(), vec![expr.as_ref()])
            }
            Expr::Binary(BinaryExpr { modifier: Some(modifier), lhs, rhs, .. }) => {
                let Some(matching) = &modifier.matching else { return };
                let sides = vec![lhs.as_ref(), rhs.as_ref()];
                // `ignoring` names what one side only has.
                if !matching.is_include() {
                    let union: BTreeSet<String> = sides.iter().flat_map(|side| labels_of(side, known)).collect();
                    for label in matching.labels().labels.iter().filter(|label| !union.contains(*label)) {
                        report(format!("neither side has the label {label} that is ignored"));
                    }
                    return;
                }
                (matching.labels().labels.clone(), sides)
            }
            _ => return,
        };
        for operand in operands {
            let there = labels_of(operand, known);
            for label in labels.iter().filter(|label| !there.contains(*label)) {
                report(format!("{operand} has no label {label}"));
            }
        }
    });
}

/// The labels that an expression may have, those of the scrape left out.
fn labels_of(expr: &Expr, known: &Catalogue) -> BTreeSet<String> {
    match expr {
        Expr::VectorSelector(selector) => metric_labels(selector, known),
        Expr::MatrixSelector(selector) => metric_labels(&selector.vs, known),
        Expr::Aggregate(AggregateExpr { op, expr, modifier, .. }) => {
            let inner = labels_of(expr, known);
            match modifier {
                // These choose among series and leave them as they are.
                _ if [T_TOPK, T_BOTTOMK].contains(&op.id()) => inner,
                None => BTreeSet::new(),
                Some(modifier) => {
                    let named: BTreeSet<String> = modifier.labels().labels.iter().cloned().collect();
                    let keep = modifier.is_include();
                    inner.into_iter().filter(|label| named.contains(label) == keep).collect()
                }
            }
        }
        Expr::Unary(unary) => labels_of(&unary.expr, known),
        Expr::Paren(paren) => labels_of(&paren.expr, known),
        Expr::Subquery(subquery) => labels_of(&subquery.expr, known),
        Expr::Call(call) => call.args.args.iter().flat_map(|arg| labels_of(arg, known)).collect(),
        Expr::Binary(binary) => labels_of_both(binary, known),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => BTreeSet::new(),
    }
}

fn labels_of_both(binary: &BinaryExpr, known: &Catalogue) -> BTreeSet<String> {
    let left = labels_of(&binary.lhs, known);
    let right = labels_of(&binary.rhs, known);
    let modifier = binary.modifier.as_ref();
    match (binary.op.id(), modifier.and_then(|modifier| modifier.matching.as_ref()), modifier.map(|m| &m.card)) {
        (T_LOR, ..) => left.union(&right).cloned().collect(),
        (T_LAND | T_LUNLESS, ..) => left,
        // One of the sides is a number.
        _ if left.is_empty() => right,
        _ if right.is_empty() => left,
        // One to one, `on` drops all other labels, and `ignoring` those named.
        (_, Some(matching), Some(VectorMatchCardinality::OneToOne)) => {
            let named: BTreeSet<String> = matching.labels().labels.iter().cloned().collect();
            left.into_iter().filter(|label| named.contains(label) == matching.is_include()).collect()
        }
        _ => left,
    }
}

fn metric_labels(selector: &VectorSelector, known: &Catalogue) -> BTreeSet<String> {
    selector.name.as_ref().and_then(|name| known.get(name)).cloned().unwrap_or_default()
}

/// Calls `visit` with the expression and everything in it.
fn each<'a>(expr: &'a Expr, visit: &mut impl FnMut(&'a Expr)) {
    visit(expr);
    match expr {
        Expr::Aggregate(aggregate) => {
            each(&aggregate.expr, visit);
            if let Some(param) = &aggregate.param {
                each(param, visit);
            }
        }
        Expr::Unary(unary) => each(&unary.expr, visit),
        Expr::Binary(binary) => {
            each(&binary.lhs, visit);
            each(&binary.rhs, visit);
        }
        Expr::Paren(paren) => each(&paren.expr, visit),
        Expr::Subquery(subquery) => each(&subquery.expr, visit),
        Expr::Call(call) => call.args.args.iter().for_each(|arg| each(arg, visit)),
        Expr::VectorSelector(_)
        | Expr::MatrixSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}

fn selectors(expr: &Expr) -> Vec<&VectorSelector> {
    let mut found = Vec::new();
    each(expr, &mut |part| match part {
        Expr::VectorSelector(selector) => found.push(selector),
        Expr::MatrixSelector(selector) => found.push(&selector.vs),
        _ => {}
    });
    found
}

/// Metrics that an expression reads, through recordings down to what is scraped.
pub(crate) fn metrics(expr: &Expr, rules: &Rules) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        for selector in selectors(expr) {
            let name = selector.name.clone().unwrap_or_default();
            let recording = rules.recordings.iter().find(|recording| recording.name == name);
            if found.insert(name) {
                open.extend(recording.map(|recording| &recording.expr));
            }
        }
    }
    found
}

/// Every span of time that an expression looks back: ranges and offsets.
pub(crate) fn spans(expr: &Expr) -> Vec<Duration> {
    let mut found = Vec::new();
    each(expr, &mut |part| match part {
        Expr::MatrixSelector(selector) => found.push(selector.range),
        Expr::Subquery(subquery) => found.push(subquery.range),
        _ => {}
    });
    for selector in selectors(expr) {
        if let Some(Offset::Pos(span) | Offset::Neg(span)) = &selector.offset {
            found.push(*span);
        }
    }
    found
}

//! Does a text make a sound expression within the subset? From the parser's tree to our plan.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use promql_parser::label::{Labels as LabelNames, MatchOp, Matcher as ParsedMatcher};
use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::{
    self, AggregateExpr, AtModifier, BinModifier, BinaryExpr, Call as ParsedCall, Expr, LabelModifier, Offset,
    SubqueryExpr, VectorMatchCardinality, VectorSelector,
};

use super::error::QueryError;
use super::functions::Function;
use super::labels::{METRIC_NAME, Name};
use super::matcher::{MatchKind, Matcher, whole_value};
use super::plan::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Call, Cardinality, Matching, Node, RangeSelector, Selector, Subquery,
};

/// Bytes of the longest expression. The longest shipped rule has 400.
const MAX_LENGTH: usize = 16 << 10;

/// Operators and brackets of the largest expression: the parser walks its tree by recursion, and a
/// chain of this many still fits the stack of a worker thread.
const MAX_NODES: usize = 400;

/// The step of a subquery that names none: Prometheus' default evaluation interval.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// Steps of the longest subquery: two weeks of minutes and as much again.
const MAX_STEPS: i64 = 40_000;

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Scalar,
    Vector,
    Matrix,
    Text,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Scalar => "a scalar",
            Type::Vector => "an instant vector",
            Type::Matrix => "a range vector",
            Type::Text => "a string",
        }
    }
}

/// Parses and checks a text.
pub(super) fn compile(text: &str) -> Result<Node, QueryError> {
    if text.len() > MAX_LENGTH {
        return Err(QueryError::TooBig { what: "long", limit: MAX_LENGTH });
    }
    if nodes_of(text) > MAX_NODES {
        return Err(QueryError::TooBig { what: "deep", limit: MAX_NODES });
    }
    if let Some(escape) = byte_escape(text) {
        return Err(QueryError::Unsupported { kind: "escape", name: escape.to_owned() });
    }
    // The parser panics on durations beyond its own range (`offset 1e400`, `[inf]`); a rule file must not end the process.
    let parsed = std::panic::catch_unwind(|| parser::parse(text));
    let parsed = parsed.unwrap_or_else(|_| Err("a number or duration is out of range".to_owned()));
    let tree = parsed.map_err(|message| refusal(text, message))?;
    node(&tree)
}

/// An upper bound of the tree's depth, counted before anything recurses.
fn nodes_of(text: &str) -> usize {
    let mut count = 0;
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some('"' | '\''), '\\') => escaped = true,
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '(' | '[' | '+' | '-' | '*' | '/' | '%' | '^' | '>' | '<' | '=' | '@') => count += 1,
            (None, _) => {}
        }
    }
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    count + words.filter(|word| matches!(word.to_ascii_lowercase().as_str(), "and" | "or" | "unless" | "atan2")).count()
}

/// The first escape of a single byte beyond ASCII: Go's strings are bytes and ours are not, so it would mean something else.
fn byte_escape(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let start = at + found;
        let is_byte = match bytes.get(start + 1) {
            Some(b'x') => {
                bytes.get(start + 2).is_some_and(|digit| matches!(digit, b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'))
            }
            Some(b'2' | b'3') => bytes.get(start + 2).is_some_and(u8::is_ascii_digit),
            _ => false,
        };
        if is_byte {
            return text.get(start..start + 4);
        }
        // The character after a backslash is part of the escape, also when it is one itself.
        at = start + 1 + text[start + 1..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

/// The parser knows neither the newest syntax nor which of its refusals are ours to name.
fn refusal(text: &str, message: String) -> QueryError {
    if let Some((_, rest)) = message.split_once("unknown function with name '") {
        let name = rest.split('\'').next().unwrap_or(rest).to_owned();
        return QueryError::Unsupported { kind: "function", name };
    }
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for name in ["anchored", "smoothed", "fill", "fill_left", "fill_right"] {
        if words.contains(&name) {
            return QueryError::Unsupported { kind: "modifier", name: name.to_owned() };
        }
    }
    QueryError::Syntax(message)
}

fn type_of(node: &Node) -> Type {
    match node {
        Node::Number(_) => Type::Scalar,
        Node::Text(_) => Type::Text,
        Node::Instant(_) | Node::Aggregate(_) => Type::Vector,
        Node::Range(_) | Node::Subquery(_) => Type::Matrix,
        Node::Negate(inner) => type_of(inner),
        Node::Binary(binary) => match (type_of(&binary.left), type_of(&binary.right)) {
            (Type::Scalar, Type::Scalar) => Type::Scalar,
            _ => Type::Vector,
        },
        Node::Call(call) => call.function.signature().result,
    }
}

fn expect(place: impl FnOnce() -> String, node: &Node, wanted: Type) -> Result<(), QueryError> {
    let got = type_of(node);
    if got == wanted {
        return Ok(());
    }
    Err(QueryError::Type { place: place(), wanted: wanted.name(), got: got.name() })
}

fn node(tree: &Expr) -> Result<Node, QueryError> {
    match tree {
        Expr::NumberLiteral(number) => Ok(Node::Number(number.val)),
        Expr::StringLiteral(text) => Ok(Node::Text(text.val.clone())),
        Expr::Paren(paren) => node(&paren.expr),
        Expr::VectorSelector(parsed) => Ok(Node::Instant(selector(parsed)?)),
        Expr::MatrixSelector(parsed) => Ok(Node::Range(RangeSelector {
            selector: selector(&parsed.vs)?,
            range_ms: positive("range", parsed.range)?,
        })),
        Expr::Subquery(parsed) => subquery(parsed),
        Expr::Unary(unary) => {
            let inner = node(&unary.expr)?;
            match type_of(&inner) {
                Type::Scalar | Type::Vector => Ok(Node::Negate(Box::new(inner))),
                got => Err(QueryError::Type {
                    place: "unary minus".to_owned(),
                    wanted: "a scalar or an instant vector",
                    got: got.name(),
                }),
            }
        }
        Expr::Binary(parsed) => binary(parsed),
        Expr::Aggregate(parsed) => aggregate(parsed),
        Expr::Call(parsed) => call(parsed),
        Expr::Extension(extension) => {
            Err(QueryError::Unsupported { kind: "extension", name: extension.expr.name().to_owned() })
        }
    }
}

fn selector(parsed: &VectorSelector) -> Result<Selector, QueryError> {
    if !parsed.matchers.or_matchers.is_empty() {
        return Err(QueryError::Unsupported { kind: "matcher", name: "or".to_owned() });
    }
    let mut name = parsed.name.as_deref().map(Arc::<str>::from);
    let mut matchers = Vec::new();
    for parsed in &parsed.matchers.matchers {
        let exact = matches!(parsed.op, MatchOp::Equal);
        if parsed.name == METRIC_NAME && exact && name.is_none() {
            name = Some(Arc::from(parsed.value.as_str()));
        } else {
            matchers.push(matcher(parsed)?);
        }
    }
    if name.as_deref().is_none_or(str::is_empty) && matchers.iter().all(Matcher::accepts_missing) {
        return Err(QueryError::Invalid(
            "a selector must have at least one matcher that refuses the empty text".into(),
        ));
    }
    Ok(Selector { name, matchers, offset_ms: offset(parsed.offset.as_ref()), at: parsed.at.as_ref().map(moment) })
}

fn matcher(parsed: &ParsedMatcher) -> Result<Matcher, QueryError> {
    let kind = match &parsed.op {
        MatchOp::Equal => MatchKind::Equal,
        MatchOp::NotEqual => MatchKind::NotEqual,
        // Compiled again: with our bounds, and `.` matching a line break.
        MatchOp::Re(_) => MatchKind::Matches(whole_value(&parsed.value)?),
        MatchOp::NotRe(_) => MatchKind::NotMatches(whole_value(&parsed.value)?),
    };
    Ok(Matcher::new(&parsed.name, kind, &parsed.value))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn positive(what: &str, duration: Duration) -> Result<i64, QueryError> {
    match millis(duration) {
        0 => Err(QueryError::Invalid(format!("a {what} must be longer than nothing"))),
        ms => Ok(ms),
    }
}

fn offset(parsed: Option<&Offset>) -> i64 {
    match parsed {
        None => 0,
        Some(Offset::Pos(back)) => millis(*back),
        Some(Offset::Neg(forward)) => -millis(*forward),
    }
}

fn moment(parsed: &AtModifier) -> At {
    match parsed {
        AtModifier::Start => At::Start,
        AtModifier::End => At::End,
        AtModifier::At(time) => At::Time(match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => millis(after),
            Err(before) => -millis(before.duration()),
        }),
    }
}

fn subquery(parsed: &SubqueryExpr) -> Result<Node, QueryError> {
    let inner = node(&parsed.expr)?;
    expect(|| "a subquery".to_owned(), &inner, Type::Vector).or_else(|error| match type_of(&inner) {
        Type::Scalar => Ok(()),
        _ => Err(error),
    })?;
    let step_ms = parsed.step.map(|step| positive("subquery step", step)).transpose()?.unwrap_or(SUBQUERY_STEP_MS);
    let range_ms = positive("subquery range", parsed.range)?;
    if range_ms / step_ms > MAX_STEPS {
        return Err(QueryError::Invalid(format!("a subquery of more than {MAX_STEPS} steps; lengthen its step")));
    }
    Ok(Node::Subquery(Box::new(Subquery {
        inner,
        range_ms,
        step_ms,
        offset_ms: offset(parsed.offset.as_ref()),
        at: parsed.at.as_ref().map(moment),
    })))
}

fn binary_op(op: TokenType) -> Option<BinaryOp> {
    Some(match op.id() {
        token::T_ADD => BinaryOp::Add,
        token::T_SUB => BinaryOp::Sub,
        token::T_MUL => BinaryOp::Mul,
        token::T_DIV => BinaryOp::Div,
        token::T_MOD => BinaryOp::Mod,
        token::T_POW => BinaryOp::Pow,
        token::T_ATAN2 => BinaryOp::Atan2,
        token::T_EQLC => BinaryOp::Equal,
        token::T_NEQ => BinaryOp::NotEqual,
        token::T_GTR => BinaryOp::Greater,
        token::T_LSS => BinaryOp::Less,
        token::T_GTE => BinaryOp::GreaterEqual,
        token::T_LTE => BinaryOp::LessEqual,
        token::T_LAND => BinaryOp::And,
        token::T_LOR => BinaryOp::Or,
        token::T_LUNLESS => BinaryOp::Unless,
        _ => return None,
    })
}

fn binary(parsed: &BinaryExpr) -> Result<Node, QueryError> {
    let op = binary_op(parsed.op)
        .ok_or_else(|| QueryError::Unsupported { kind: "operator", name: parsed.op.to_string() })?;
    let (left, right) = (node(&parsed.lhs)?, node(&parsed.rhs)?);
    for (side, operand) in [("left", &left), ("right", &right)] {
        match type_of(operand) {
            Type::Vector => {}
            Type::Scalar if !op.is_set() => {}
            got => {
                let wanted = if op.is_set() { "an instant vector" } else { "a scalar or an instant vector" };
                return Err(QueryError::Type {
                    place: format!("{side} side of {}", parsed.op),
                    wanted,
                    got: got.name(),
                });
            }
        }
    }
    let return_bool = parsed.modifier.as_ref().is_some_and(|modifier| modifier.return_bool);
    let scalars = type_of(&left) == Type::Scalar && type_of(&right) == Type::Scalar;
    if scalars && op.is_comparison() && !return_bool {
        return Err(QueryError::Invalid("comparisons between scalars must use bool".to_owned()));
    }
    if return_bool && !op.is_comparison() {
        return Err(QueryError::Invalid("bool goes with comparisons only".to_owned()));
    }
    let matching = matching(parsed.modifier.as_ref(), op)?;
    Ok(Node::Binary(Box::new(Binary { op, left, right, return_bool, matching })))
}

fn matching(modifier: Option<&BinModifier>, op: BinaryOp) -> Result<Matching, QueryError> {
    let mut out = Matching {
        on: false,
        labels: Vec::new(),
        key: Vec::new(),
        cardinality: Cardinality::OneToOne,
        include: Vec::new(),
    };
    if let Some(modifier) = modifier {
        if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
            return Err(QueryError::Unsupported { kind: "modifier", name: "fill".to_owned() });
        }
        (out.on, out.labels) = match &modifier.matching {
            Some(LabelModifier::Include(names)) => (true, sorted(names)),
            Some(LabelModifier::Exclude(names)) => (false, sorted(names)),
            None => (false, Vec::new()),
        };
        (out.cardinality, out.include) = match &modifier.card {
            VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => (Cardinality::OneToOne, vec![]),
            VectorMatchCardinality::ManyToOne(names) => (Cardinality::ManyToOne, sorted(names)),
            VectorMatchCardinality::OneToMany(names) => (Cardinality::OneToMany, sorted(names)),
        };
    }
    if op.is_set() && out.cardinality != Cardinality::OneToOne {
        return Err(QueryError::Invalid("no grouping allowed for a set operation".to_owned()));
    }
    out.key.clone_from(&out.labels);
    if !out.on {
        out.key.push(Name::from(METRIC_NAME));
        out.key.sort();
    }
    Ok(out)
}

fn sorted(names: &LabelNames) -> Vec<Name> {
    let mut names: Vec<Name> = names.labels.iter().map(|name| Name::from(name.as_str())).collect();
    names.sort();
    names.dedup();
    names
}

fn aggregate(parsed: &AggregateExpr) -> Result<Node, QueryError> {
    let op = match parsed.op.id() {
        token::T_SUM => AggregateOp::Sum,
        token::T_AVG => AggregateOp::Avg,
        token::T_MIN => AggregateOp::Min,
        token::T_MAX => AggregateOp::Max,
        token::T_COUNT => AggregateOp::Count,
        token::T_GROUP => AggregateOp::Group,
        token::T_STDDEV => AggregateOp::Stddev,
        token::T_STDVAR => AggregateOp::Stdvar,
        token::T_TOPK => AggregateOp::TopK,
        token::T_BOTTOMK => AggregateOp::BottomK,
        token::T_QUANTILE => AggregateOp::Quantile,
        token::T_COUNT_VALUES => AggregateOp::CountValues,
        _ => return Err(QueryError::Unsupported { kind: "aggregation", name: parsed.op.to_string() }),
    };
    let inner = node(&parsed.expr)?;
    expect(|| format!("{}()", parsed.op), &inner, Type::Vector)?;
    let param = parsed.param.as_deref().map(node).transpose()?;
    let wanted = match op {
        AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::Quantile => Some(Type::Scalar),
        AggregateOp::CountValues => Some(Type::Text),
        _ => None,
    };
    match (&param, wanted) {
        (Some(param), Some(wanted)) => expect(|| format!("the parameter of {}()", parsed.op), param, wanted)?,
        (None, None) => {}
        _ => return Err(QueryError::Invalid(format!("wrong number of arguments for {}()", parsed.op))),
    }
    let (without, mut grouping) = match &parsed.modifier {
        None => (false, Vec::new()),
        Some(LabelModifier::Include(names)) => (false, sorted(names)),
        Some(LabelModifier::Exclude(names)) => (true, sorted(names)),
    };
    if without && !grouping.iter().any(|name| name.as_ref() == METRIC_NAME) {
        grouping.push(Name::from(METRIC_NAME));
        grouping.sort();
    }
    Ok(Node::Aggregate(Box::new(Aggregate { op, inner, param, without, grouping })))
}

fn call(parsed: &ParsedCall) -> Result<Node, QueryError> {
    let name = parsed.func.name;
    let function =
        Function::named(name).ok_or_else(|| QueryError::Unsupported { kind: "function", name: name.to_owned() })?;
    let args = parsed.args.args.iter().map(|arg| node(arg)).collect::<Result<Vec<_>, _>>()?;
    let signature = function.signature();
    let most = signature.fixed.len() + signature.optional.len();
    if args.len() < signature.fixed.len() || (args.len() > most && signature.rest.is_none()) {
        return Err(QueryError::Invalid(format!("wrong number of arguments for {name}()")));
    }
    let types = signature.fixed.iter().chain(signature.optional).copied();
    let types = types.chain(signature.rest.into_iter().cycle());
    for (i, (arg, wanted)) in args.iter().zip(types).enumerate() {
        expect(|| format!("argument {} of {name}()", i + 1), arg, wanted)?;
    }
    let mut regex = None;
    if let (Function::LabelReplace, Some(Node::Text(pattern))) = (function, args.get(4)) {
        regex = Some(whole_value(pattern)?);
    }
    if matches!(function, Function::LabelReplace | Function::LabelJoin) && args.get(1).is_some_and(is_empty_text) {
        return Err(QueryError::Invalid(format!("invalid destination label name in {name}(): \"\"")));
    }
    if function == Function::LabelJoin && args[3..].iter().any(is_empty_text) {
        return Err(QueryError::Invalid("invalid source label name in label_join(): \"\"".to_owned()));
    }
    Ok(Node::Call(Box::new(Call { function, args, regex })))
}

fn is_empty_text(node: &Node) -> bool {
    matches!(node, Node::Text(text) if text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    fn refused(text: &str) -> String {
        compile(text).unwrap_err().to_string()
    }

    #[test]
    fn what_is_outside_the_subset_is_named() {
        for (text, name) in [
            ("histogram_quantile(0.9, x)", "function `histogram_quantile`"),
            ("limitk(2, x)", "aggregation `limitk`"),
            ("mad_over_time(x[5m])", "function `mad_over_time`"),
            ("no_such_function(x)", "function `no_such_function`"),
            ("rate(x[5m] smoothed)", "modifier `smoothed`"),
            ("x + fill(0) y", "modifier `fill`"),
        ] {
            assert!(refused(text).contains(name), "{text}: {}", refused(text));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["rate(x)", "1 and 2", "x + \"a\"", "{job=\"\"}", "{a=~\".*\"}", "x +", "1 > 2", "sum(x[5m])", ""] {
            assert!(compile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_duration_beyond_all_range_is_refused() {
        for text in [
            "x offset 1e400",
            "rate(x[inf])",
            "x offset NaN",
            "max_over_time(x[1h:1e300])",
            "x @ 1e400",
            "max_over_time(x[99y:1s])",
        ] {
            assert!(compile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_endless_expression_is_refused_before_it_is_parsed() {
        for text in ["(".repeat(100_000), "-".repeat(5_000), vec!["x"; 2_000].join(" or ")] {
            assert!(matches!(compile(&text), Err(QueryError::TooBig { .. })));
        }
        assert!(compile(&vec!["x"; 390].join("+")).is_ok());
        assert!(compile(&format!("{}1{}", "(".repeat(390), ")".repeat(390))).is_ok());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]

        /// A rule file is written by anybody: whatever its text, the answer is a plan or a reason.
        #[test]
        fn no_text_makes_the_reader_panic(
            parts in proptest::collection::vec(
                proptest::prop_oneof![
                    proptest::sample::select(vec![
                        "sum", "by", "(", ")", "[", "]", "{", "}", "5m", "1h30m", "x", "rate", "offset", "@", "start()", "-", "+",
                        "^", "==", "bool", "on", "group_left", "1", "0x", "1e", "NaN", "\"a\"", "'", "\"", "`", "\\xff", "=~", "!~", "=",
                        ",", ":", "and", "unless", "count_values", "label_replace", "topk", "1.5e400", "99999999999y", "é", "#",
                    ]).prop_map(str::to_owned),
                    "\\PC{0,6}",
                ],
                0..16,
            ),
            glue in proptest::sample::select(vec!["", " "]),
        ) {
            let _ = compile(&parts.join(glue));
        }
    }
}

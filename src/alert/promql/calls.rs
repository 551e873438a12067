//! What do functions over vectors and labels give?

use chrono::{DateTime, Datelike, Timelike, Utc};

use super::error::EvalError;
use super::eval::{Evaluator, Sample, Value, unique};
use super::functions::Function;
use super::labels::{Labels, METRIC_NAME};
use super::numbers::nan_first;
use super::over_time::over_range;
use super::plan::{Call, Node, RangeSelector};

pub(super) fn evaluate(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<Value, EvalError> {
    use Function as F;
    let seconds = at as f64 / 1000.0;
    match call.function {
        F::Time => return Ok(Value::Scalar(seconds)),
        F::Pi => return Ok(Value::Scalar(std::f64::consts::PI)),
        F::Scalar => return scalar(evaluator, call, at).map(Value::Scalar),
        _ => {}
    }
    let vector = match call.function {
        F::Vector => vec![Sample::new(Labels::empty(), number(evaluator, call, 0, at)?)],
        F::Absent => absent(evaluator, call, at)?,
        F::AbsentOverTime => absent_over_time(evaluator, call, at)?,
        F::Timestamp => timestamps(evaluator, call, at)?,
        F::LabelReplace => label_replace(evaluator, call, at)?,
        F::LabelJoin => label_join(evaluator, call, at)?,
        F::Sort | F::SortDesc => {
            let mut vector = evaluator.vector(&call.args[0], at)?;
            let descending = call.function == F::SortDesc;
            // NaN goes to the end in both directions.
            vector.sort_by(|a, b| match (a.value.is_nan(), b.value.is_nan()) {
                (false, false) if descending => nan_first(b.value, a.value),
                (false, false) => nan_first(a.value, b.value),
                (a, b) => a.cmp(&b),
            });
            vector
        }
        F::Clamp | F::ClampMin | F::ClampMax => clamped(evaluator, call, at)?,
        F::Round => {
            let nearest = if call.args.len() > 1 { number(evaluator, call, 1, at)? } else { 1.0 };
            let inverse = 1.0 / nearest;
            mapped(evaluator.vector(&call.args[0], at)?, |value| (value * inverse + 0.5).floor() / inverse)
        }
        F::DayOfMonth | F::DayOfWeek | F::DayOfYear | F::DaysInMonth | F::Hour | F::Minute | F::Month | F::Year => {
            let moments = match call.args.first() {
                Some(arg) => evaluator.vector(arg, at)?,
                None => vec![Sample::new(Labels::empty(), seconds.floor())],
            };
            mapped(moments, |value| calendar(call.function, value))
        }
        function => match call.args.iter().position(|arg| matches!(arg, Node::Range(_) | Node::Subquery(_))) {
            Some(range) => ranged(evaluator, call, range, at)?,
            None => mapped(evaluator.vector(&call.args[0], at)?, |value| math(function, value)),
        },
    };
    Ok(Value::Vector(vector))
}

fn number(evaluator: &Evaluator<'_>, call: &Call, arg: usize, at: i64) -> Result<f64, EvalError> {
    evaluator.scalar(&call.args[arg], at)
}

fn text(call: &Call, arg: usize) -> &str {
    match call.args.get(arg) {
        Some(Node::Text(text)) => text,
        _ => "",
    }
}

/// Applies a function to each value, which makes it another quantity.
fn mapped(mut vector: Vec<Sample>, map: impl Fn(f64) -> f64) -> Vec<Sample> {
    for sample in &mut vector {
        sample.value = map(sample.value);
        sample.drop_name = true;
    }
    vector
}

fn math(function: Function, value: f64) -> f64 {
    use Function as F;
    match function {
        F::Abs => value.abs(),
        F::Ceil => value.ceil(),
        F::Floor => value.floor(),
        F::Exp => value.exp(),
        F::Ln => value.ln(),
        F::Log2 => value.log2(),
        F::Log10 => value.log10(),
        F::Sqrt => value.sqrt(),
        // signum() would give 1 for zero.
        F::Sgn if value < 0.0 => -1.0,
        F::Sgn if value > 0.0 => 1.0,
        F::Sgn => value,
        F::Sin => value.sin(),
        F::Cos => value.cos(),
        F::Tan => value.tan(),
        F::Asin => value.asin(),
        F::Acos => value.acos(),
        F::Atan => value.atan(),
        F::Sinh => value.sinh(),
        F::Cosh => value.cosh(),
        F::Tanh => value.tanh(),
        F::Asinh => value.asinh(),
        F::Acosh => value.acosh(),
        F::Atanh => value.atanh(),
        F::Deg => value.to_degrees(),
        F::Rad => value.to_radians(),
        _ => {
            debug_assert!(false, "{} is no function of one number", function.name());
            f64::NAN
        }
    }
}

fn calendar(function: Function, value: f64) -> f64 {
    use Function as F;
    let Some(moment) = value.is_finite().then_some(value as i64).and_then(|s| DateTime::<Utc>::from_timestamp(s, 0))
    else {
        return f64::NAN;
    };
    f64::from(match function {
        F::DayOfMonth => moment.day(),
        F::DayOfWeek => moment.weekday().num_days_from_sunday(),
        F::DayOfYear => moment.ordinal(),
        F::DaysInMonth => u32::from(moment.num_days_in_month()),
        F::Hour => moment.hour(),
        F::Minute => moment.minute(),
        F::Month => moment.month(),
        _ => return f64::from(moment.year()),
    })
}

fn scalar(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<f64, EvalError> {
    Ok(match evaluator.vector(&call.args[0], at)?.as_slice() {
        [only] => only.value,
        _ => f64::NAN,
    })
}

fn absent(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<Vec<Sample>, EvalError> {
    if !evaluator.vector(&call.args[0], at)?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![absence(&call.args[0])])
}

fn absent_over_time(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<Vec<Sample>, EvalError> {
    let mut any = false;
    evaluator.ranges(&call.args[0], at, |_, _, _, points| any |= !points.is_empty())?;
    Ok(if any { Vec::new() } else { vec![absence(&call.args[0])] })
}

/// A one with the labels the missing series would be sure to have.
fn absence(arg: &Node) -> Sample {
    let labels = match arg {
        Node::Instant(selector) | Node::Range(RangeSelector { selector, .. }) => selector.certain_labels(),
        _ => Labels::empty(),
    };
    Sample::new(labels, 1.0)
}

fn timestamps(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<Vec<Sample>, EvalError> {
    let arg = &call.args[0];
    let Node::Instant(selector) = arg else {
        // Whatever is computed is of the moment of the evaluation.
        return Ok(mapped(evaluator.vector(arg, at)?, |_| at as f64 / 1000.0));
    };
    let mut out = Vec::new();
    evaluator.instant_points(selector, at, |labels, point| {
        out.push(Sample { labels: labels.clone(), value: point.t as f64 / 1000.0, drop_name: true });
    })?;
    Ok(out)
}

fn clamped(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<Vec<Sample>, EvalError> {
    let (low, high) = match call.function {
        Function::ClampMin => (number(evaluator, call, 1, at)?, f64::INFINITY),
        Function::ClampMax => (f64::NEG_INFINITY, number(evaluator, call, 1, at)?),
        _ => (number(evaluator, call, 1, at)?, number(evaluator, call, 2, at)?),
    };
    if high < low {
        return Ok(Vec::new());
    }
    // A NaN on either side wins, unlike with f64::min and f64::max.
    let nan = low.is_nan() || high.is_nan();
    let clamp = |value: f64| if nan || value.is_nan() { f64::NAN } else { value.min(high).max(low) };
    Ok(mapped(evaluator.vector(&call.args[0], at)?, clamp))
}

fn ranged(evaluator: &Evaluator<'_>, call: &Call, range: usize, at: i64) -> Result<Vec<Sample>, EvalError> {
    let param = match call.args.len() {
        1 => f64::NAN,
        _ => number(evaluator, call, 1 - range, at)?,
    };
    let keeps_name = call.function == Function::LastOverTime;
    let mut out = Vec::new();
    evaluator.ranges(&call.args[range], at, |labels, drop_name, window, points| {
        if let Some(value) = over_range(call.function, points, window, param) {
            out.push(Sample { labels: labels.clone(), value, drop_name: drop_name || !keeps_name });
        }
    })?;
    Ok(out)
}

fn label_replace(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<Vec<Sample>, EvalError> {
    let mut vector = evaluator.vector(&call.args[0], at)?;
    let (target, replacement, from) = (text(call, 1), text(call, 2), text(call, 3));
    let Some(regex) = &call.regex else { return Ok(vector) };
    for sample in &mut vector {
        let Some(captures) = regex.captures(sample.labels.get(from)) else { continue };
        let mut value = String::new();
        captures.expand(replacement, &mut value);
        relabel(sample, target, &value);
    }
    unique(vector.iter().map(|sample| &sample.labels))?;
    Ok(vector)
}

fn label_join(evaluator: &Evaluator<'_>, call: &Call, at: i64) -> Result<Vec<Sample>, EvalError> {
    let mut vector = evaluator.vector(&call.args[0], at)?;
    let (target, separator) = (text(call, 1), text(call, 2));
    for sample in &mut vector {
        let values: Vec<&str> = (3..call.args.len()).map(|arg| sample.labels.get(text(call, arg))).collect();
        let value = values.join(separator);
        relabel(sample, target, &value);
    }
    unique(vector.iter().map(|sample| &sample.labels))?;
    Ok(vector)
}

/// A name given on purpose stays.
fn relabel(sample: &mut Sample, target: &str, value: &str) {
    sample.labels = sample.labels.with(target, value);
    if target == METRIC_NAME {
        sample.drop_name = false;
    }
}

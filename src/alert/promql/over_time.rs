//! What does a range of samples come to: a rate, a trend, a mean?

use super::eval::Window;
use super::functions::Function;
use super::numbers::{Mean, Sum, quantile};
use super::source::Point;

/// The value of a range function over the samples of one series, of which there is at least one.
/// `None`: too few samples for an answer. `param` is the number some of them take.
pub(super) fn over_range(function: Function, points: &[Point], window: Window, param: f64) -> Option<f64> {
    let values = || points.iter().map(|point| point.value);
    let pairs = || points.windows(2).map(|pair| (pair[0].value, pair[1].value));
    match function {
        Function::Rate => extrapolated(points, window, true, true),
        Function::Increase => extrapolated(points, window, true, false),
        Function::Delta => extrapolated(points, window, false, false),
        Function::Irate => last_step(points, true),
        Function::Idelta => last_step(points, false),
        Function::Deriv => {
            let origin = points.first()?.t;
            (points.len() > 1).then(|| trend(points, origin).0)
        }
        Function::PredictLinear => (points.len() > 1).then(|| {
            let (slope, now) = trend(points, window.now);
            slope * param + now
        }),
        Function::Changes => Some(pairs().filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan())).count() as f64),
        Function::Resets => Some(pairs().filter(|(a, b)| b < a).count() as f64),
        Function::AvgOverTime => {
            let mut mean = Mean::starting_with(points.first()?.value);
            values().skip(1).for_each(|value| mean.add(value));
            Some(mean.value())
        }
        Function::SumOverTime => {
            let mut sum = Sum::default();
            values().for_each(|value| sum.add(value));
            Some(sum.value())
        }
        Function::MinOverTime => {
            values().reduce(|best, value| if value < best || best.is_nan() { value } else { best })
        }
        Function::MaxOverTime => {
            values().reduce(|best, value| if value > best || best.is_nan() { value } else { best })
        }
        Function::CountOverTime => Some(points.len() as f64),
        Function::LastOverTime => points.last().map(|point| point.value),
        Function::PresentOverTime => Some(1.0),
        Function::StdvarOverTime => Some(variance(points)),
        Function::StddevOverTime => Some(variance(points).sqrt()),
        Function::QuantileOverTime => Some(quantile(param, values().collect())),
        _ => {
            debug_assert!(false, "{} is no function over ranges", function.name());
            None
        }
    }
}

/// How much a value grew over the whole window, though the samples do not reach its ends.
///
/// Where the first or last sample is near the window's edge (within 1.1 mean intervals), growth is
/// extrapolated to the edge, else by half an interval; a counter is never extrapolated below zero.
fn extrapolated(points: &[Point], window: Window, counter: bool, per_second: bool) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 2 {
        return None;
    }
    let mut growth = last.value - first.value;
    if counter {
        for pair in points.windows(2) {
            if pair[1].value < pair[0].value {
                growth += pair[0].value;
            }
        }
    }
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let sampled = seconds(first.t, last.t);
    let interval = sampled / (points.len() - 1) as f64;
    let near = interval * 1.1;
    let mut before = seconds(window.start, first.t);
    let mut after = seconds(last.t, window.end);
    if before >= near {
        before = interval / 2.0;
    }
    if counter && growth > 0.0 && first.value >= 0.0 {
        before = before.min(sampled * (first.value / growth));
    }
    if after >= near {
        after = interval / 2.0;
    }
    let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + before + after) / sampled };
    if per_second {
        factor /= seconds(window.start, window.end);
    }
    Some(growth * factor)
}

/// The step between the last two samples.
fn last_step(points: &[Point], rate: bool) -> Option<f64> {
    let [.., before, last] = points else { return None };
    let millis = last.t - before.t;
    if millis == 0 {
        return None;
    }
    let step = if rate && last.value < before.value { last.value } else { last.value - before.value };
    Some(if rate { step / (millis as f64 / 1000.0) } else { step })
}

/// Slope per second and value at `origin` of the line with the least squares.
fn trend(points: &[Point], origin: i64) -> (f64, f64) {
    let Some(first) = points.first() else { return (f64::NAN, f64::NAN) };
    if points.iter().all(|point| point.value == first.value) {
        // A constant has no rounding error; an infinite one has no slope.
        return if first.value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first.value) };
    }
    let n = points.len() as f64;
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for point in points {
        let x = (point.t - origin) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(point.value);
        xy_sum.add(x * point.value);
        xx_sum.add(x * x);
    }
    let (x_sum, y_sum) = (x_sum.value(), y_sum.value());
    let covariance = xy_sum.value() - x_sum * y_sum / n;
    let spread = xx_sum.value() - x_sum * x_sum / n;
    let slope = covariance / spread;
    (slope, y_sum / n - slope * x_sum / n)
}

fn variance(points: &[Point]) -> f64 {
    let mut count = 0.0;
    let mut mean = Sum::default();
    let mut squares = Sum::default();
    for point in points {
        count += 1.0;
        let delta = point.value - mean.value();
        mean.add(delta / count);
        squares.add(delta * (point.value - mean.value()));
    }
    squares.value() / count
}

//! How are numbers added, ranked and written so that they equal Prometheus' own?

use std::cmp::Ordering;
use std::fmt::Write as _;

/// The NaN that marks the end of a series; other NaNs are values.
pub const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// Whether a value is the stale marker (told apart by its bits).
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE.to_bits()
}

/// A running sum with compensation (Kahan's, improved by Neumaier).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    total: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn starting_with(value: f64) -> Self {
        Self { total: value, lost: 0.0 }
    }

    pub(super) fn add(&mut self, value: f64) {
        let next = self.total + value;
        self.lost = if next.is_infinite() {
            0.0
        } else if self.total.abs() >= value.abs() {
            self.lost + ((self.total - next) + value)
        } else {
            self.lost + ((value - next) + self.total)
        };
        self.total = next;
    }

    pub(super) fn value(self) -> f64 {
        if self.total.is_infinite() { self.total } else { self.total + self.lost }
    }
}

/// A running mean that survives sums larger than a float can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    count: f64,
    sum: Sum,
    /// Once the sum would overflow the mean itself is carried on instead.
    incremental: bool,
}

impl Mean {
    pub(super) fn starting_with(value: f64) -> Self {
        Self { count: 1.0, sum: Sum::starting_with(value), incremental: false }
    }

    pub(super) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if !next.total.is_infinite() {
                self.sum = next;
                return;
            }
            self.incremental = true;
            self.sum.total /= self.count - 1.0;
            self.sum.lost /= self.count - 1.0;
        }
        let kept = (self.count - 1.0) / self.count;
        self.sum.total *= kept;
        self.sum.lost *= kept;
        self.sum.add(value / self.count);
    }

    pub(super) fn value(self) -> f64 {
        if self.incremental {
            self.sum.total + self.sum.lost
        } else {
            self.sum.total / self.count + self.sum.lost / self.count
        }
    }
}

/// Order of values with NaN below everything, as sorting and quantiles need it.
pub(super) fn nan_first(a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.partial_cmp(&b).unwrap_or(Ordering::Equal),
    }
}

/// The q-quantile with linear interpolation; outside 0 to 1 it is an infinity, of nothing it is NaN.
pub(super) fn quantile(q: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let top = values.len() - 1;
    let rank = q * top as f64;
    let low = (rank.floor() as usize).min(top);
    let high = (low + 1).min(top);
    let weight = rank - rank.floor();
    let (_, &mut at_low, above) = values.select_nth_unstable_by(low, |a, b| nan_first(*a, *b));
    let at_high =
        if high == low { at_low } else { above.iter().copied().min_by(|a, b| nan_first(*a, *b)).unwrap_or(at_low) };
    at_low * (1.0 - weight) + at_high * weight
}

/// A float as Go's `%v` writes it: the shortest text that reads back, with an exponent below 1e-4 and from 1e6 on
/// (`$value` of 1234567.5 reads `1.2345675e+06` in Prometheus too).
pub fn format_float(value: f64) -> String {
    if let Some(text) = special(value) {
        return text.to_owned();
    }
    let scientific = format!("{value:e}");
    let exponent = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    if value != 0.0 && !(-4..6).contains(&exponent) { go_exponent(&scientific) } else { plain(value) }
}

/// A float without an exponent, however large, as `strconv.FormatFloat(v, 'f', -1, 64)` does.
pub(super) fn plain_float(value: f64) -> String {
    special(value).map_or_else(|| plain(value), str::to_owned)
}

fn plain(value: f64) -> String {
    format!("{value}")
}

fn special(value: f64) -> Option<&'static str> {
    if value.is_nan() {
        Some("NaN")
    } else if value.is_infinite() {
        Some(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        None
    }
}

/// Rust writes `1e-7` and `1e21`, Go `1e-07` and `1e+21`.
pub(crate) fn go_exponent(text: &str) -> String {
    let Some((mantissa, exponent)) = text.split_once('e') else { return text.to_owned() };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    let mut out = String::with_capacity(text.len() + 3);
    // Writing to a String cannot fail.
    let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_what_plain_addition_loses() {
        for (values, total) in [([1e100, 1.0, -1e100, 1.0], 2.0), ([1.0, 1e100, 1.0, -1e100], 2.0)] {
            let mut sum = Sum::default();
            values.into_iter().for_each(|value| sum.add(value));
            assert_eq!(sum.value(), total);
        }
    }

    #[test]
    fn the_mean_of_huge_values_does_not_overflow() {
        let mut mean = Mean::starting_with(f64::MAX);
        mean.add(f64::MAX);
        mean.add(f64::MAX);
        assert!((mean.value() / f64::MAX - 1.0).abs() < 1e-12);
    }

    #[test]
    fn quantiles_interpolate_and_know_their_limits() {
        assert_eq!(quantile(0.5, vec![3.0, 1.0, 2.0, 4.0]), 2.5);
        assert_eq!(quantile(1.0, vec![3.0, 1.0]), 3.0);
        assert_eq!(quantile(-0.1, vec![1.0]), f64::NEG_INFINITY);
        assert!(quantile(0.5, vec![]).is_nan());
    }

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (1e21, "1e+21"),
            (-1.5e-7, "-1.5e-07"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(format_float(value), text);
        }
        assert_eq!(plain_float(1e21), "1000000000000000000000");
    }

    #[test]
    fn the_stale_marker_is_no_ordinary_nan() {
        assert!(is_stale(STALE) && STALE.is_nan() && !is_stale(f64::NAN));
    }
}

//! Is the past kept exactly, and never more of it than was said?

use proptest::prelude::*;

use super::*;
use crate::alert::promql::{Query, Source, Value};

const POLL_MS: i64 = 10_000;

fn series(pool: usize) -> Labels {
    let pool = pool.to_string();
    Labels::from_pairs([("__name__", "used"), ("pool", pool.as_str())])
}

fn reaches(expression: &str) -> Vec<Reach> {
    Query::parse(expression).unwrap().reaches()
}

/// Records one poll; `None` is a series the poll does not bring.
fn poll(history: &mut History, at: i64, values: &[Option<f64>], reaches: &[Reach]) {
    let mut latest = Latest::new(at);
    for (pool, value) in values.iter().enumerate() {
        if let Some(value) = value {
            latest.push(series(pool), *value);
        }
    }
    history.record(&latest, reaches);
    history.finish();
}

fn range(history: &History, start: i64, end: i64) -> Vec<(Labels, Vec<Point>)> {
    let Some(reach) = reaches("used[1m]").pop() else { return Vec::new() };
    let mut out = Vec::new();
    history.range(&reach.selector, start, end, |labels, points| out.push((labels.clone(), points.to_vec())));
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

#[test]
fn a_constant_costs_one_run_however_long_it_lasts() {
    let mut history = History::new(Bounds::default());
    let reaches = reaches("max_over_time(used[1d])");
    for i in 0..1000 {
        poll(&mut history, i * POLL_MS, &[Some(1.0)], &reaches);
    }
    assert_eq!((history.stats().runs, history.stats().polls), (1, 1000));
    assert_eq!(range(&history, -1, 999 * POLL_MS)[0].1.len(), 1000);
}

#[test]
fn only_what_a_rule_looks_back_on_is_kept() {
    let mut history = History::new(Bounds::default());
    let reaches = reaches(r#"used > 5 and rate(used{pool="1"}[1m]) > 0"#);
    poll(&mut history, 0, &[Some(1.0), Some(2.0), Some(3.0)], &reaches);
    let kept: Vec<String> = history.series().map(|(labels, ..)| labels.get("pool").to_owned()).collect();
    assert_eq!(kept, ["1"]);
}

#[test]
fn what_a_poll_no_longer_brings_is_over_at_once() {
    let mut history = History::new(Bounds::default());
    let reaches = reaches("rate(used[10m])");
    poll(&mut history, 0, &[Some(1.0), Some(2.0)], &reaches);
    poll(&mut history, POLL_MS, &[Some(1.0), None], &reaches);
    let query = Query::parse("used").unwrap();
    let at = |t: i64| match query.evaluate(Source::past(&history), t) {
        Ok(Value::Vector(vector)) => vector.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((at(POLL_MS - 1), at(POLL_MS), at(2 * POLL_MS)), (2, 1, 1));
}

#[test]
fn the_newest_poll_is_read_where_it_is_and_the_past_behind_it() {
    let mut history = History::new(Bounds::default());
    let reaches = reaches("used offset 10s");
    poll(&mut history, 0, &[Some(1.0)], &reaches);
    let mut latest = Latest::new(POLL_MS);
    latest.push(series(0), 7.0);
    history.record(&latest, &reaches);
    history.finish();
    let value = |text: &str| match Query::parse(text).unwrap().evaluate(Source::new(&latest, &history), POLL_MS) {
        Ok(Value::Vector(vector)) => vector[0].value,
        other => panic!("{other:?}"),
    };
    assert_eq!((value("used"), value("used offset 10s"), value("used - used offset 10s")), (7.0, 1.0, 6.0));
}

#[test]
fn what_nobody_looks_back_on_any_more_goes() {
    let mut history = History::new(Bounds::default());
    let reaches = reaches("rate(used[5m])");
    for i in 0..1000 {
        poll(&mut history, i * POLL_MS, &[Some(i as f64), (i < 10).then_some(0.0)], &reaches);
    }
    let stats = history.stats();
    // Five minutes of range and five of lookback are 60 polls; what is over is swept every 32.
    assert!(stats.polls <= 60 + 33 && stats.runs <= 60 + 33, "{stats:?}");
    assert_eq!((stats.series, stats.shortened_polls), (1, 0));
    assert_eq!(range(&history, 990 * POLL_MS, 999 * POLL_MS)[0].1.len(), 9);
}

#[test]
fn memory_is_bounded_by_giving_up_the_oldest() {
    let bounds = Bounds { max_bytes: 64 << 10, max_series: 100 };
    let mut history = History::new(bounds);
    let reaches = reaches("rate(used[30d])");
    for i in 0..3000_i64 {
        let values: Vec<_> = (0..4).map(|pool| Some((i * (pool + 1)) as f64)).collect();
        poll(&mut history, i * POLL_MS, &values, &reaches);
        assert!(history.stats().bytes <= bounds.max_bytes, "{:?}", history.stats());
    }
    let stats = history.stats();
    assert!(stats.shortened_polls > 0 && stats.polls > 300, "{stats:?}");
    let newest = range(&history, 2990 * POLL_MS, 2999 * POLL_MS);
    assert_eq!(newest[3].1.last(), Some(&Point { t: 2999 * POLL_MS, value: 2999.0 * 4.0 }));
}

#[test]
fn an_endless_set_of_series_is_cut_off_and_said() {
    let mut history = History::new(Bounds { max_bytes: 1 << 20, max_series: 3 });
    let reaches = reaches("rate(used[5m])");
    poll(&mut history, 0, &[Some(1.0); 5], &reaches);
    assert_eq!((history.stats().series, history.stats().refused_samples), (3, 2));
}

#[test]
fn a_poll_that_is_not_later_changes_nothing() {
    let mut history = History::new(Bounds::default());
    assert!(history.begin(10));
    assert!(!history.begin(10) && !history.begin(9));
    history.keep(&series(0), 1.0, 1000);
    history.keep(&series(0), 2.0, 1000);
    assert_eq!(
        history.series().next().map(|(.., runs)| runs.to_vec()),
        Some(vec![Run { value: 1.0, first: 0, last: 0 }])
    );
}

proptest! {
    /// Whatever comes in which order, a range gives the samples that were put in, no more and no less.
    #[test]
    fn a_range_gives_what_was_recorded(
        polls in prop::collection::vec((1_i64..40_000, prop::collection::vec(prop::option::of(0_u8..3), 3)), 1..80),
        start in 0_i64..800_000,
        length in 1_i64..800_000,
    ) {
        let mut history = History::new(Bounds::default());
        let reaches = reaches("rate(used[1d])");
        let mut model: Vec<Vec<Point>> = vec![Vec::new(); 3];
        let mut at = 0;
        for (gap, values) in &polls {
            at += gap;
            let values: Vec<Option<f64>> = values.iter().map(|value| value.map(f64::from)).collect();
            poll(&mut history, at, &values, &reaches);
            for (kept, value) in model.iter_mut().zip(&values) {
                kept.extend(value.map(|value| Point { t: at, value }));
            }
        }
        let expected: Vec<_> = model
            .into_iter()
            .enumerate()
            .map(|(pool, mut points)| {
                points.retain(|point| point.t > start && point.t <= start + length);
                (series(pool), points)
            })
            .filter(|(_, points)| !points.is_empty())
            .collect();
        prop_assert_eq!(range(&history, start, start + length), expected);
    }
}

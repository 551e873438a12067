//! How did it go in the last hour? Lines as SVG, whose colours the style sheet gives, so that they fit dark and light.

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::show::{clock_time, rate, seconds};
use crate::model::unit::Timestamp;
use crate::web::past::{LINES, Past, STEP};

/// Points of a line at most: more are not seen on a phone, and cost bytes.
const POINTS: i64 = 120;

/// A line goes on over a pause of so many steps; then nothing was known.
const PAUSE: i64 = 9;

/// The shortest span that is drawn, in steps: five minutes.
const SHORTEST: i64 = 30;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 100.0;

/// One line of a chart.
struct Line {
    name: &'static str,
    place: usize,
}

/// What is drawn in one frame.
struct Frame {
    title: &'static str,
    lines: [Line; 2],
    /// How a value is written.
    write: fn(f64) -> String,
    /// What is said when both lines are zero all the time.
    idle: &'static str,
}

const FRAMES: [Frame; 3] = [
    Frame {
        title: "Applications",
        lines: [Line { name: "read", place: 0 }, Line { name: "write", place: 1 }],
        write: rate,
        idle: "no reads and no writes",
    },
    Frame {
        title: "Latency at the clients",
        lines: [Line { name: "read", place: 2 }, Line { name: "write", place: 3 }],
        write: seconds,
        idle: "no reads and no writes",
    },
    Frame {
        title: "Moving data",
        lines: [Line { name: "rebuild", place: 4 }, Line { name: "rebalance", place: 5 }],
        write: rate,
        idle: "nothing is rebuilt or rebalanced",
    },
];

/// The charts of a system; where nothing was done at all, that is said in a line.
pub(super) fn charts(past: &Past, now: Timestamp) -> Markup {
    let is_idle =
        past.values.len() > 1 && !past.values.iter().flat_map(|(_, values)| values).flatten().any(|value| *value > 0.0);
    html! {
        @if is_idle {
            p.idle { "No reads, no writes, and no data moved in the last hour." }
        } @else {
            div.charts { @for frame in &FRAMES { (draw(frame, past, now)) } }
        }
    }
}

fn draw(frame: &Frame, past: &Past, now: Timestamp) -> Markup {
    let last = now.timestamp().div_euclid(STEP).max(past.values.back().map_or(i64::MIN, |(step, _)| *step));
    let first = past.values.front().map_or(last, |(step, _)| *step).min(last - SHORTEST);
    let each = ((last - first) / POINTS).max(1);
    let series: Vec<Vec<(i64, f64)>> = frame.lines.iter().map(|line| thin(past, line.place, each)).collect();
    let newest = |place: usize| {
        let (step, values) = past.values.back()?;
        values[place].filter(|_| last - step <= PAUSE).map(f64::from)
    };
    let top = series.iter().flatten().map(|(_, value)| *value).fold(0.0, f64::max);
    html! {
        figure {
            figcaption {
                b { (frame.title) }
                @for (number, line) in frame.lines.iter().enumerate() {
                    " " span class={ "key k" (number + 1) } {
                        (line.name) " " @if let Some(value) = newest(line.place) { ((frame.write)(value)) } @else { "–" }
                    }
                }
            }
            @if past.values.len() < 2 {
                p.idle { "a line begins with the second value, " (STEP) " s after the first" }
            } @else if top > 0.0 {
                div.plot {
                    svg viewBox="0 0 600 100" preserveAspectRatio="none" role="img" aria-label={ (frame.title) ", up to " ((frame.write)(top)) } {
                        path.grid d="M0 50H600" {}
                        @for (number, points) in series.iter().enumerate() {
                            path class={ "k" (number + 1) } d=(PreEscaped(path(points, first, last, each, top))) {}
                        }
                    }
                }
                div.axis {
                    small { (clock_time(first * STEP)) }
                    small { "up to " ((frame.write)(top)) }
                    small { (clock_time(last * STEP)) }
                }
            } @else {
                p.idle { (frame.idle) }
            }
        }
    }
}

/// Means of so many steps each.
fn thin(past: &Past, place: usize, each: i64) -> Vec<(i64, f64)> {
    debug_assert!(place < LINES, "there is no such line");
    let mut points: Vec<(i64, f64, u32)> = Vec::new();
    for (step, values) in &past.values {
        let Some(value) = values[place].map(f64::from) else { continue };
        let slot = step.div_euclid(each) * each;
        match points.last_mut() {
            Some((at, mean, count)) if *at == slot => {
                *count += 1;
                *mean += (value - *mean) / f64::from(*count);
            }
            Some(_) | None => points.push((slot, value, 1)),
        }
    }
    points.into_iter().map(|(at, mean, _)| (at, mean)).collect()
}

/// The path of a line; it is broken where nothing was known.
fn path(points: &[(i64, f64)], first: i64, last: i64, each: i64, top: f64) -> String {
    let mut text = String::new();
    let mut before: Option<i64> = None;
    for (at, value) in points {
        let x = WIDTH * (at - first).max(0) as f64 / (last - first).max(1) as f64;
        // A line of full height would be cut by the edge.
        let y = HEIGHT - (HEIGHT - 2.0) * value / top;
        let goes_on = before.is_some_and(|before| at - before <= PAUSE.max(2 * each));
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{x:.0} {y:.0}", if goes_on { 'L' } else { 'M' });
        if !goes_on {
            // A single value is seen as a point.
            text.push_str("h.1");
        }
        before = Some(*at);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_where_nothing_was_known() {
        let points = [(0, 1.0), (1, 2.0), (50, 1.0)];
        let drawn = path(&points, 0, 100, 1, 2.0);
        assert_eq!(drawn, "M0 51h.1L6 2M300 51h.1");
        assert_eq!(drawn.matches('M').count(), 2);
    }

    #[test]
    fn a_long_past_is_drawn_by_few_points() {
        let mut past = Past::default();
        for step in 0..360 {
            past.values.push_back((step, [Some(1.0); LINES]));
        }
        let points = thin(&past, 0, 3);
        assert_eq!(points.len(), 120);
        assert!(points.iter().all(|(_, value)| *value == 1.0));
    }
}

//! Which samples does an evaluation see? Those that a Prometheus would get by a
//! scrape at this moment, as far as some rule reads them.
//!
//! They are read out of the encoder's ready lines, so that names, labels and
//! the limit on series are the same on both ways. Labels are made once for each
//! series and found again by the place of its line in the next exposition; a
//! line that moved costs a look into a map, a new one is parsed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::promql::{Labels, Latest, METRIC_NAME};
use super::rules::SCRAPE_LABELS;
use crate::metrics::{Exposition, Family, Own, Type};

/// Makes samples of expositions, and keeps between them the labels that it made.
pub struct Sampler {
    metrics: BTreeSet<String>,
    /// Keys that nobody outside knows, so that no name can be made to collide.
    keys: RandomState,
    /// What the last exposition had, family by family and system by system.
    known: Vec<Known>,
    texts: HashSet<Arc<str>>,
}

/// The series of one piece of an exposition.
#[derive(Default)]
struct Known {
    /// Hash of the text before the value, and the labels it says; none for a series that no rule reads.
    series: Vec<(u64, Option<Labels>)>,
}

impl Sampler {
    /// Reads the series of these metrics.
    pub fn new(metrics: BTreeSet<String>) -> Self {
        Self { metrics, keys: RandomState::new(), known: Vec::new(), texts: HashSet::new() }
    }

    /// The samples of an exposition; `at` is in milliseconds since 1970.
    pub fn samples(&mut self, exposition: &Exposition, own: &Own, at: i64) -> Latest {
        let mut latest = Latest::new(at);
        let up = [(METRIC_NAME, "up")].into_iter().chain(SCRAPE_LABELS);
        latest.push(Labels::from_pairs(up), 1.0);
        let metrics = std::mem::take(&mut self.metrics);
        let mut piece = 0;
        exposition.lines(
            own,
            |family| is_read(family, &metrics),
            |_, text| {
                self.read(piece, text, &metrics, &mut latest);
                piece += 1;
            },
        );
        self.metrics = metrics;
        self.known.truncate(piece);
        // What only we still hold belongs to series that are gone.
        self.texts.retain(|text| Arc::strong_count(text) > 1);
        latest
    }

    fn read(&mut self, piece: usize, text: &[u8], metrics: &BTreeSet<String>, latest: &mut Latest) {
        if self.known.len() <= piece {
            self.known.resize_with(piece + 1, Known::default);
        }
        let before = std::mem::take(&mut self.known[piece].series);
        let mut moved: Option<HashMap<u64, usize>> = None;
        let mut series = Vec::with_capacity(before.len());
        let mut batch: Vec<(Labels, f64)> = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            // A number holds no space, so the last one ends the labels.
            let Some(space) = line.iter().rposition(|byte| *byte == b' ') else { continue };
            let (head, value) = (&line[..space], &line[space + 1..]);
            let Some(value) = std::str::from_utf8(value).ok().and_then(|value| value.parse::<f64>().ok()) else {
                continue;
            };
            let hash = self.keys.hash_one(head);
            let place = match before.get(series.len()) {
                Some((known, _)) if *known == hash => Some(series.len()),
                _ => {
                    let index = || {
                        before.iter().enumerate().map(|(place, (known, _))| (*known, place)).collect::<HashMap<_, _>>()
                    };
                    moved.get_or_insert_with(index).get(&hash).copied()
                }
            };
            let labels = match place.and_then(|place| before.get(place)) {
                Some((_, labels)) => labels.clone(),
                None => self.labels(head, metrics),
            };
            if let Some(labels) = &labels {
                if batch.first().is_some_and(|(first, _)| first.metric_name() != labels.metric_name()) {
                    flush(&mut batch, latest);
                }
                batch.push((labels.clone(), value));
            }
            series.push((hash, labels));
        }
        flush(&mut batch, latest);
        self.known[piece].series = series;
    }

    /// Reads `name{label="value",...}`; none when no rule reads the metric.
    fn labels(&mut self, head: &[u8], metrics: &BTreeSet<String>) -> Option<Labels> {
        let head = std::str::from_utf8(head).ok()?;
        let (name, rest) = head.split_once('{')?;
        if !metrics.contains(name) {
            return None;
        }
        let mut pairs = vec![(self.text(METRIC_NAME), self.text(name))];
        let mut rest = rest.strip_suffix('}')?;
        while let Some((label, after)) = rest.split_once("=\"") {
            let (value, length) = unescaped(after)?;
            pairs.push((self.text(label.trim_start_matches(',')), self.text(&value)));
            rest = after.get(length..)?;
        }
        for (label, value) in SCRAPE_LABELS {
            pairs.push((self.text(label), self.text(value)));
        }
        Some(Labels::from_pairs(pairs))
    }

    /// One allocation for each text, however many series say it.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.texts.insert(Arc::clone(&new));
        new
    }
}

fn flush(batch: &mut Vec<(Labels, f64)>, latest: &mut Latest) {
    if let Some((first, _)) = batch.first() {
        let name = first.metric_name().to_owned();
        latest.push_family(&name, std::mem::take(batch));
    }
}

fn is_read(family: &Family, metrics: &BTreeSet<String>) -> bool {
    let read = |suffix: &str| metrics.contains(&format!("{}{suffix}", family.name));
    match family.kind {
        Type::Gauge | Type::Counter => metrics.contains(&family.name),
        Type::Histogram => read("_bucket") || read("_sum") || read("_count"),
    }
}

/// The value up to its closing quote, and how many bytes it takes with it.
fn unescaped(text: &str) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (escaped, c) {
            (false, '"') => return Some((value, at + 1)),
            (false, '\\') => escaped = true,
            (true, 'n') => {
                value.push('\n');
                escaped = false;
            }
            (_, c) => {
                value.push(c);
                escaped = false;
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(metrics: &[&str]) -> Sampler {
        Sampler::new(metrics.iter().map(|name| (*name).to_owned()).collect())
    }

    fn read(sampler: &mut Sampler, text: &str) -> Vec<String> {
        let mut latest = Latest::new(0);
        let metrics = sampler.metrics.clone();
        sampler.read(0, text.as_bytes(), &metrics, &mut latest);
        metrics.iter().flat_map(|name| latest.family(name)).map(|(labels, value)| format!("{labels} {value}")).collect()
    }

    const TAIL: &str = r#"instance="scaleio", job="scaleio""#;

    #[test]
    fn a_line_is_read_with_the_labels_of_the_scrape_and_every_escape() {
        let mut sampler = sampler(&["m", "h_bucket"]);
        let text = "m{a=\"x\\\"y\\\\z\\n} 1\",b=\"\"} 2.5\nh_bucket{le=\"+Inf\"} 3\nh_sum{} 9\nm{} NaN\n";
        assert_eq!(
            read(&mut sampler, text),
            [
                format!("h_bucket{{{TAIL}, le=\"+Inf\"}} 3"),
                format!("m{{a={:?}, {TAIL}}} 2.5", "x\"y\\z\n} 1"),
                format!("m{{{TAIL}}} NaN"),
            ]
        );
    }

    #[test]
    fn labels_are_found_again_when_lines_move_come_and_go() {
        let mut sampler = sampler(&["m"]);
        let series = |names: &[&str]| -> String { names.iter().map(|name| format!("m{{a=\"{name}\"}} 1\n")).collect() };
        for names in [&["a", "b", "c"][..], &["b", "c"], &["c", "b", "d"], &[], &["a"]] {
            let wanted: Vec<String> = names.iter().map(|name| format!("m{{a=\"{name}\", {TAIL}}} 1")).collect();
            assert_eq!(read(&mut sampler, &series(names)), wanted);
        }
    }
}

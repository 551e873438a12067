//! Does the engine do what Prometheus does with the same rules?

use super::*;
use crate::alert::promql::Bounds;
use crate::alert::rules::read;
use crate::store::{Batch, Disk, Store};

const STEP: i64 = 60_000;

fn rules(text: &str) -> Arc<RuleSet> {
    let text = format!("groups:\n- name: g\n  rules:\n{text}");
    Arc::new(read(&[("t.yml".to_owned(), text)], 15_000).unwrap_or_else(|errors| panic!("{errors}")))
}

fn engine(text: &str) -> Engine {
    Engine::new(rules(text), History::new(Bounds::default()), &[], moment(0))
}

/// The samples of a minute: system and value of `scaleio_up`.
fn minute(minute: i64, up: &[(&str, f64)]) -> Latest {
    let mut latest = Latest::new(minute * STEP);
    for (system, value) in up {
        latest.push(Labels::from_pairs([("__name__", "scaleio_up"), ("system", *system)]), *value);
    }
    latest
}

fn step(engine: &mut Engine, at: i64, up: &[(&str, f64)]) -> Verdict {
    engine.step(&mut minute(at, up), &Seen::default())
}

/// `.` nothing, `p` pending, `F` firing, `R` over and still told; for each minute what `scaleio_up` of `s` is.
fn story(engine: &mut Engine, from: i64, values: &[Option<f64>]) -> String {
    let mut out = String::new();
    for (at, value) in (from..).zip(values) {
        let up: Vec<(&str, f64)> = value.iter().map(|value| ("s", *value)).collect();
        let verdict = step(engine, at, &up);
        assert_eq!(verdict.errors, []);
        out.push(match (verdict.set.alerts.values().next(), verdict.resolved.first()) {
            (Some(alert), _) if alert.is_firing() => 'F',
            (Some(_), _) => 'p',
            (None, Some(_)) => 'R',
            (None, None) => '.',
        });
    }
    out
}

const DOWN: Option<f64> = Some(0.0);
const UP: Option<f64> = Some(1.0);

#[test]
fn an_alert_waits_fires_is_kept_and_is_over() {
    let rule = |more: &str| format!("  - {{alert: A, expr: 'scaleio_up == 0'{more}}}\n");
    for (more, values, wanted) in [
        ("", vec![UP, DOWN, DOWN, UP, UP], ".FFRR"),
        (", for: 2m", vec![DOWN, DOWN, DOWN, DOWN, UP], "ppFFR"),
        // A gap begins the wait anew.
        (", for: 2m", vec![DOWN, DOWN, UP, DOWN, DOWN, DOWN], "pp.ppF"),
        // What is not there does not hold.
        (", for: 1m", vec![DOWN, DOWN, None, None], "pFRR"),
        (", keep_firing_for: 2m", vec![DOWN, UP, UP, UP], "FFFR"),
        (", keep_firing_for: 2m", vec![DOWN, UP, DOWN, UP, UP, UP], "FFFFFR"),
        // An alert that never fired is not kept.
        (", for: 5m, keep_firing_for: 9m", vec![DOWN, DOWN, UP], "pp."),
        // Over, and again: a new alert.
        (", for: 1m", vec![DOWN, DOWN, UP, DOWN, DOWN], "pFRpF"),
    ] {
        assert_eq!(story(&mut engine(&rule(more)), 0, &values), wanted, "{more} {values:?}");
    }
}

#[test]
fn what_is_over_is_told_for_a_quarter_of_an_hour() {
    let mut engine = engine("  - {alert: A, expr: 'scaleio_up == 0'}\n");
    assert_eq!(story(&mut engine, 0, &[DOWN]), "F");
    let told = story(&mut engine, 1, &[UP; 20]);
    assert_eq!(told, format!("{}{}", "R".repeat(16), ".".repeat(4)));
}

fn through_the_store(engine: &Engine, at: i64) -> Vec<Saved> {
    let disk = Disk::new();
    let mut store = disk.open().unwrap();
    let state = store.load().unwrap();
    let (entries, left_out) = entries(&engine.saved(moment(at * STEP))).unwrap();
    assert_eq!(left_out, 0);
    let batch = entries.into_iter().fold(Batch::new(), |batch, (key, value)| batch.put(key, value));
    store.commit(state.epoch, state.version, &batch).unwrap();
    let (saved, unreadable) = load(&store.load().unwrap());
    assert!(unreadable.is_empty());
    saved
}

#[test]
fn a_restart_changes_nothing_but_the_time_nobody_looked() {
    let text =
        "  - {alert: A, expr: 'scaleio_up == 0', for: 3m, annotations: {summary: 'down {{ $labels.system }}'}}\n";
    let rules = rules(text);
    for (before, outage, after, wanted) in [
        // Two of three minutes were waited for; the time nobody looked does not count.
        (vec![DOWN, DOWN, DOWN], 0, vec![DOWN, DOWN], "pF"),
        (vec![DOWN, DOWN, DOWN], 30, vec![DOWN, DOWN], "pF"),
        // So long after, nobody knows what was between.
        (vec![DOWN, DOWN, DOWN], 90, vec![DOWN, DOWN, DOWN, DOWN], "pppF"),
        (vec![DOWN; 4], 30, vec![DOWN, UP], "FR"),
        (vec![DOWN; 4], 30, vec![UP], "R"),
        (vec![DOWN; 2], 30, vec![UP], "."),
    ] {
        let mut first = Engine::new(Arc::clone(&rules), History::new(Bounds::default()), &[], moment(0));
        story(&mut first, 0, &before);
        let end = before.len() as i64 - 1;
        let saved = through_the_store(&first, end);
        let now = end + 1 + outage;
        let mut second = Engine::new(Arc::clone(&rules), History::new(Bounds::default()), &saved, moment(now * STEP));
        assert_eq!(story(&mut second, now, &after), wanted, "{before:?} {outage} {after:?}");
    }
}

#[test]
fn what_is_over_after_a_restart_is_told_with_its_texts() {
    let text = "  - {alert: A, expr: 'scaleio_up == 0', annotations: {summary: 'down {{ $labels.system }}'}}\n";
    let rules = rules(text);
    let mut first = Engine::new(Arc::clone(&rules), History::new(Bounds::default()), &[], moment(0));
    story(&mut first, 0, &[DOWN]);
    let saved = through_the_store(&first, 0);
    let mut second = Engine::new(rules, History::new(Bounds::default()), &saved, moment(STEP));
    let verdict = step(&mut second, 1, &[("s", 1.0)]);
    assert_eq!(verdict.resolved[0].annotations.summary, "down s");
    assert!(matches!(verdict.resolved[0].state, AlertState::Resolved { fired_at, .. } if fired_at == moment(0)));
}

#[test]
fn a_rule_that_fails_says_why_keeps_its_alerts_and_stops_no_other() {
    let text = "  - {record: r, expr: 'scaleio_up', labels: {system: x}}\n  \
                - {alert: Twice, expr: 'scaleio_up == 0', labels: {system: x}}\n  \
                - {alert: Text, expr: 'scaleio_up == 0', annotations: {summary: '{{ $labels.system | parseDuration }}'}}\n  \
                - {alert: Limit, expr: 'scaleio_up == 0'}\n  \
                - {alert: Good, expr: 'scaleio_up == 0'}\n";
    let mut engine = engine(text);
    assert_eq!(step(&mut engine, 0, &[("a", 0.0)]).errors.len(), 1);
    let verdict = step(&mut engine, 1, &[("a", 0.0), ("b", 0.0)]);
    let failed: Vec<(&str, &str)> =
        verdict.errors.iter().map(|error| (error.rule.rule.as_str(), &error.reason[..12])).collect();
    assert_eq!(failed, [("r", "two of its s"), ("Twice", "two of its a"), ("Text", "a text canno")]);
    let firing =
        |name: &str| verdict.set.alerts.values().filter(|alert| alert.name == name && alert.is_firing()).count();
    assert_eq!((firing("Twice"), firing("Text"), firing("Good")), (1, 2, 2));
    let text = verdict.set.alerts.values().find(|alert| alert.name == "Text").unwrap();
    assert!(text.annotations.summary.starts_with("<error expanding template"));
}

#[test]
fn a_limit_silences_its_rule_as_in_prometheus() {
    let text = "groups:\n- name: g\n  limit: 1\n  rules:\n  - {alert: A, expr: 'scaleio_up == 0'}\n";
    let rules = Arc::new(read(&[("t.yml".to_owned(), text.to_owned())], 15_000).unwrap());
    let mut engine = Engine::new(rules, History::new(Bounds::default()), &[], moment(0));
    assert_eq!(step(&mut engine, 0, &[("a", 0.0)]).set.alerts.len(), 1);
    let verdict = step(&mut engine, 1, &[("a", 0.0), ("b", 0.0)]);
    assert_eq!((verdict.set.alerts.len(), verdict.errors.len()), (0, 1));
}

#[test]
fn recordings_feed_alerts_of_the_same_moment_and_their_past_is_kept() {
    let text = "  - {alert: Now, expr: 'r2 == 4'}\n  - {alert: Past, expr: 'max_over_time(r2[5m]) == 4 and r2 == 2'}\n  \
                - {record: r2, expr: 'r1 * 2'}\n  - {record: r1, expr: 'scaleio_up + 1'}\n";
    let mut engine = engine(text);
    let names =
        |verdict: Verdict| -> Vec<String> { verdict.set.alerts.into_values().map(|alert| alert.name).collect() };
    assert_eq!(names(step(&mut engine, 0, &[("s", 1.0)])), ["Now"]);
    assert_eq!(names(step(&mut engine, 1, &[("s", 0.0)])), ["Past"]);
    assert_eq!(names(step(&mut engine, 9, &[("s", 0.0)])), [""; 0]);
}

#[test]
fn an_alert_says_what_was_measured_how_bad_it_is_and_what_the_vendor_says() {
    let text = "  - {alert: A, expr: 'scaleio_up < 3', labels: {severity: critical, area: sds, alert: SDS_BAD}}\n  \
                - {alert: W, expr: 'scaleio_up < 3', labels: {severity: none}}\n  \
                - {alert: O, expr: 'scaleio_up < 3', labels: {severity: odd}}\n";
    let mut engine = engine(text);
    let mut seen = Seen { based_on: [(SystemId::new("s"), 7)].into(), ..Seen::default() };
    seen.vendor.insert(
        ("s".to_owned(), "SDS_BAD".to_owned()),
        VendorText { text: "it is bad".to_owned(), repair: Some("mend it".to_owned()) },
    );
    engine.step(&mut minute(0, &[("s", 1.0)]), &seen);
    let verdict = engine.step(&mut minute(1, &[("s", 2.0)]), &seen);
    assert_eq!((verdict.set.alerts.len(), verdict.heartbeats), (2, 1));
    assert_eq!(verdict.set.based_on[&SystemId::new("s")], 7);
    assert_eq!(engine.states().count(), 3);
    let alert = verdict.set.alerts.values().find(|alert| alert.name == "A").unwrap();
    let reading = alert.reading.unwrap();
    assert_eq!((reading.value.0, reading.peak.unwrap().0, reading.threshold.unwrap().0), (2.0, 1.0, 3.0));
    assert_eq!((alert.severity, alert.area.as_str()), (Severity::Critical, "sds"));
    assert!(matches!(&alert.source, alerting::Source::Mdm { text, .. } if text == "it is bad"));
    assert!(verdict.set.alerts.values().any(|alert| alert.name == "O" && alert.severity == Severity::Warning));
}

#[test]
fn new_rules_keep_the_alerts_of_those_that_stay() {
    let mut engine =
        engine("  - {alert: A, expr: 'scaleio_up == 0', for: 2m}\n  - {alert: B, expr: 'scaleio_up == 0'}\n");
    assert_eq!(step(&mut engine, 0, &[("s", 0.0)]).set.alerts.len(), 2);
    step(&mut engine, 1, &[("s", 0.0)]);
    engine.replace_rules(rules(
        "  - {alert: C, expr: 'scaleio_up == 0'}\n  - {alert: A, expr: 'scaleio_up < 1', for: 2m}\n",
    ));
    let verdict = step(&mut engine, 2, &[("s", 0.0)]);
    let said: Vec<(&str, bool, i64)> = verdict
        .set
        .alerts
        .values()
        .map(|alert| (alert.name.as_str(), alert.is_firing(), alert.active_since.timestamp() / 60))
        .collect();
    assert!(said.contains(&("A", true, 0)), "it waited under both: {said:?}");
    assert!(said.contains(&("C", true, 2)) && said.len() == 2, "{said:?}");
}

/// An override makes two rules of one name, of which each object is in one.
#[test]
fn two_rules_of_one_name_take_up_each_its_own_alerts_and_tell_the_end_once() {
    let text = "  - {alert: A, expr: 'scaleio_up == 0 unless scaleio_up{system=\"b\"}', for: 2m}\n  \
                - {alert: A, expr: 'scaleio_up{system=\"b\"} == 0', for: 1m}\n";
    let mut first = engine(text);
    for at in 0..3 {
        step(&mut first, at, &[("a", 0.0), ("b", 0.0)]);
    }
    let saved = through_the_store(&first, 2);
    let mut second = Engine::new(rules(text), History::new(Bounds::default()), &saved, moment(3 * STEP));
    let ended = |verdict: &Verdict| -> Vec<String> {
        verdict.resolved.iter().map(|alert| alert.labels["system"].clone()).collect()
    };
    let firing = |verdict: &Verdict| verdict.set.alerts.values().filter(|alert| alert.is_firing()).count();
    let verdict = step(&mut second, 3, &[("a", 0.0), ("b", 0.0)]);
    assert_eq!((firing(&verdict), ended(&verdict)), (2, vec![]));
    let verdict = step(&mut second, 4, &[("a", 0.0), ("b", 1.0)]);
    assert_eq!((firing(&verdict), ended(&verdict)), (1, vec!["b".to_owned()]));
    let over = match verdict.resolved[0].state {
        AlertState::Resolved { resolved_at, .. } => resolved_at,
        _ => panic!("it is over"),
    };
    assert_eq!(over, moment(4 * STEP));
}

#[test]
fn a_clock_that_is_set_back_delays_nothing_by_more_than_a_new_wait() {
    let mut engine = engine("  - {alert: A, expr: 'scaleio_up == 0', for: 2m, keep_firing_for: 1m}\n");
    assert_eq!(story(&mut engine, 10_000, &[DOWN, DOWN]), "pp");
    assert_eq!(story(&mut engine, 100, &[DOWN, DOWN, DOWN]), "ppF", "the wait begins anew");
    assert_eq!(story(&mut engine, 40, &[DOWN, DOWN]), "FF", "what fires goes on");
    assert_eq!(story(&mut engine, 42, &[UP]), "F", "kept");
    assert_eq!(story(&mut engine, 20, &[UP, UP]), "FR", "kept for a minute, and over");
    let told = story(&mut engine, 5, &[UP; 20]);
    assert_eq!(told, format!("{}{}", "R".repeat(16), ".".repeat(4)));
}

#[test]
fn rules_that_look_back_see_what_was_before_the_clock_was_set_back_and_what_came_since() {
    let mut engine = engine("  - {alert: A, expr: 'min_over_time(scaleio_up[5m]) == 0'}\n");
    assert_eq!(story(&mut engine, 100, &[UP, UP, DOWN, UP]), "..FF");
    // Minute 102 has not come yet; 100 was.
    assert_eq!(story(&mut engine, 101, &[UP, UP, UP]), "RRR");
    assert_eq!(story(&mut engine, 50, &[DOWN, UP, UP, UP, UP, UP]), "FFFFFR");
}

/// One minute of so many systems that are down, none of which was there before.
fn strangers(minute: i64, count: usize) -> Latest {
    let mut latest = Latest::new(minute * STEP);
    for number in 0..count {
        let name = format!("{minute}-{number}");
        latest.push(Labels::from_pairs([("__name__", "scaleio_up"), ("system", name.as_str())]), 0.0);
    }
    latest
}

#[test]
fn a_rule_without_end_reports_an_error_stays_within_bounds_and_stops_no_other() {
    let text = "  - {alert: Endless, expr: 'scaleio_up == 0'}\n  - {alert: Good, expr: 'count(scaleio_up) > 1'}\n";
    let mut engine = engine(text);
    let verdict = engine.step(&mut strangers(0, MOST + 5), &Seen::default());
    assert_eq!(verdict.errors.len(), 1);
    assert_eq!(verdict.errors[0].rule.rule, "Endless");
    assert!(verdict.errors[0].reason.contains("10005 alerts; only the first 10000"), "{:?}", verdict.errors);
    let count = |verdict: &Verdict, name: &str| verdict.set.alerts.values().filter(|alert| alert.name == name).count();
    assert_eq!((count(&verdict, "Endless"), count(&verdict, "Good")), (MOST, 1));
    // Within the limit each time, and others each time: what is over would pile up.
    let mut errors = Vec::new();
    for minute in 1..4 {
        let verdict = engine.step(&mut strangers(minute, MOST), &Seen::default());
        assert_eq!((count(&verdict, "Endless"), count(&verdict, "Good")), (MOST, 1));
        errors.push(verdict.errors.len());
        assert!(engine.active[0].len() <= 2 * MOST, "{}", engine.active[0].len());
    }
    assert_eq!(errors, [0, 1, 1]);
}

#[test]
fn a_recording_without_end_is_refused_and_the_rules_that_read_it_are_silent() {
    let text = "  - {record: scaleio_up:again, expr: 'scaleio_up + 1'}\n  \
                - {alert: Reads, expr: 'scaleio_up:again > 0'}\n  - {alert: Good, expr: 'count(scaleio_up) > 1'}\n";
    let mut engine = engine(text);
    let verdict = engine.step(&mut strangers(0, 10 * MOST + 1), &Seen::default());
    let failed: Vec<&str> = verdict.errors.iter().map(|error| error.rule.rule.as_str()).collect();
    assert_eq!(failed, ["scaleio_up:again"]);
    assert!(verdict.errors[0].reason.contains("100001 series, more than its limit"), "{:?}", verdict.errors);
    let names: Vec<&str> = verdict.set.alerts.values().map(|alert| alert.name.as_str()).collect();
    assert_eq!(names, ["Good"]);
}

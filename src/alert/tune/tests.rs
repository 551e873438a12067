//! Do thresholds and overrides do what they say, and nothing else?

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;

use super::super::engine::{Engine, Seen};
use super::super::promql::{Bounds, History, Labels, Latest};
use super::super::rules::{RuleErrors, read};
use super::super::shipped::SHIPPED;
use super::*;
use crate::config::{Limit, Place};
use crate::model::alerting::Severity;

const POLL_MS: i64 = 30_000;

fn files() -> Vec<(String, String)> {
    SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn tuned(settings: &Alerts) -> Result<RuleSet, String> {
    let files = files();
    let rules = read(&files, POLL_MS).unwrap();
    let changed = tune(&files, &rules, settings).map_err(|mistakes| RuleErrors(mistakes).to_string())?;
    read(&changed.unwrap_or(files), POLL_MS).map_err(|errors| errors.to_string())
}

fn change(alert: &str, matches: &[(&str, &str)]) -> Override {
    Override {
        alert: alert.to_owned(),
        matches: matches.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        off: false,
        threshold: None,
        hold: None,
        severity: None,
        place: Place::File { path: "sio.toml".into(), line: Some(7) },
    }
}

fn with(overrides: Vec<Override>) -> Alerts {
    Alerts { overrides, ..Alerts::default() }
}

/// Pools by name and how full each is, with the pool's own threshold of 80 %.
const POOLS: [(&str, f64); 4] = [("a", 0.85), ("scratch", 0.85), ("b\"$1\\", 0.85), ("full", 0.97)];

/// The alerts of a name over the pools after so many minutes: pool, severity, whether it fires.
fn said(settings: &Alerts, alert: &str, minutes: i64) -> Vec<String> {
    let rules = tuned(settings).unwrap_or_else(|told| panic!("{told}"));
    let mut engine = Engine::new(Arc::new(rules), History::new(Bounds::default()), &[], DateTime::UNIX_EPOCH);
    for minute in 0..=minutes {
        let mut latest = Latest::new(minute * 60_000);
        for (pool, used) in POOLS {
            let mut push = |name: &str, more: &[(&str, &str)], value: f64| {
                let labels = [("__name__", name), ("system", "s"), ("protection_domain", "p"), ("storage_pool", pool)];
                latest.push(Labels::from_pairs(labels.into_iter().chain(more.iter().copied())), value);
            };
            push("scaleio_storage_pool_capacity_in_use_bytes", &[], used);
            push("scaleio_storage_pool_capacity_limit_bytes", &[], 1.0);
            push("scaleio_storage_pool_capacity_spare_bytes", &[], 0.0);
            push("scaleio_storage_pool_capacity_alert_ratio", &[("level", "high")], 0.8);
        }
        engine.step(&mut latest, &Seen::default());
    }
    let mine = engine.states().filter(|(labels, _)| labels["alertname"] == alert);
    let mut said: Vec<String> = mine
        .map(|(labels, fires)| {
            format!("{} {} {}", labels["storage_pool"], labels["severity"], if fires { "fires" } else { "pending" })
        })
        .collect();
    said.sort();
    said
}

#[test]
fn without_a_wish_the_files_stay_as_they_are() {
    let files = files();
    let rules = read(&files, POLL_MS).unwrap();
    assert_eq!(tune(&files, &rules, &Alerts::default()).unwrap(), None);
}

#[test]
fn an_override_makes_two_rules_and_each_object_is_in_one() {
    let all = ["a warning fires", "b\"$1\\ warning fires", "full warning fires", "scratch warning fires"];
    assert_eq!(said(&Alerts::default(), "ScaleioPoolHigh", 16), all);

    let scratch =
        Override { threshold: Some(Limit::Number(0.95)), ..change("ScaleioPoolHigh", &[("storage_pool", "scratch")]) };
    let quiet = ["a warning fires", "b\"$1\\ warning fires", "full warning fires"];
    assert_eq!(said(&with(vec![scratch]), "ScaleioPoolHigh", 16), quiet);

    let full = Override {
        threshold: Some(Limit::Number(0.95)),
        severity: Some(Severity::Critical),
        hold: Some(Duration::from_secs(60 * 60)),
        ..change("ScaleioPoolHigh", &[("protection_domain", "p"), ("storage_pool", "full")])
    };
    let later = ["a warning fires", "b\"$1\\ warning fires", "full critical pending", "scratch warning fires"];
    assert_eq!(said(&with(vec![full]), "ScaleioPoolHigh", 16), later);
}

#[test]
fn names_are_taken_as_they_are() {
    let odd = Override { off: true, ..change("ScaleioPoolHigh", &[("storage_pool", "b\"$1\\")]) };
    let rest = ["a warning fires", "full warning fires", "scratch warning fires"];
    assert_eq!(said(&with(vec![odd]), "ScaleioPoolHigh", 16), rest);
}

#[test]
fn the_first_of_two_overrides_that_speak_of_an_object_counts() {
    let first = Override { off: true, ..change("ScaleioPoolHigh", &[("storage_pool", "a")]) };
    let second =
        Override { severity: Some(Severity::Info), ..change("ScaleioPoolHigh", &[("protection_domain", "p")]) };
    let told = ["b\"$1\\ info fires", "full info fires", "scratch info fires"];
    assert_eq!(said(&with(vec![first, second]), "ScaleioPoolHigh", 16), told);
}

#[test]
fn an_override_without_objects_is_for_all_and_others_may_take_some_out() {
    let off = Override { off: true, ..change("ScaleioPoolHigh", &[]) };
    assert_eq!(said(&with(vec![off.clone()]), "ScaleioPoolHigh", 16), Vec::<String>::new());
    let back = Override { hold: Some(Duration::ZERO), ..change("ScaleioPoolHigh", &[("storage_pool", "a")]) };
    assert_eq!(said(&with(vec![off, back]), "ScaleioPoolHigh", 0), ["a warning fires"]);
    let stricter = Override { threshold: Some(Limit::Number(0.9)), ..change("ScaleioPoolHigh", &[]) };
    assert_eq!(said(&with(vec![stricter]), "ScaleioPoolHigh", 16), ["full warning fires"]);
}

#[test]
fn a_threshold_for_all_changes_the_rule_and_its_text() {
    let mut settings = Alerts::default();
    for (key, value) in [("slo_latency", 0.01), ("slo_slow_share", 0.005), ("certificate_now", 86_400.0)] {
        settings.thresholds.insert(key, value);
    }
    let rules = tuned(&settings).unwrap();
    let query = |name: &str| {
        let alerts = rules.alerts.iter().map(|rule| (&rule.name, &rule.query));
        let all = alerts.chain(rules.recordings.iter().map(|rule| (&rule.name, &rule.query)));
        all.filter(|(known, _)| known.rule == name).map(|(_, query)| query.text().to_owned()).collect::<String>()
    };
    assert!(query("storage_pool:scaleio_slow_io:ratio6h").contains("le=\"0.01\""));
    assert_eq!(query("ScaleioLatencySloFastBurn").matches("14.4 * 0.005").count(), 2);
    assert!(query("ScaleioCertificateExpiresNow").ends_with("< 86400"));
    let burn = rules.alerts.iter().find(|rule| rule.name.rule == "ScaleioLatencySloFastBurn").unwrap();
    let text = format!("{:?}", burn.annotations);
    assert!(text.contains("99.5 % of I/O under 10 ms") && !text.contains(" 5 ms"), "{text}");
}

#[test]
fn every_threshold_can_be_changed_for_all_and_for_one_system() {
    for threshold in THRESHOLDS.iter().filter(|threshold| !threshold.key.starts_with("pool_over")) {
        let value = if threshold.key == "slo_latency" { 0.025 } else { threshold.default / 2.0 };
        if threshold.key == "fault_sets_differ" {
            // Its rule is optional and not among these files.
            continue;
        }
        let mut settings = Alerts::default();
        settings.thresholds.insert(threshold.key, value);
        tuned(&settings).unwrap_or_else(|told| panic!("{}: {told}", threshold.key));
    }
    for (_, text) in SHIPPED {
        for rule in rule_file::parse(text).unwrap().groups.into_iter().flat_map(|group| group.rules) {
            let Some(alert) = rule.alert else { continue };
            let Some(threshold) = thresholds::main_of(&alert) else { continue };
            let half = threshold.default / 2.0;
            let limit = match threshold.measure {
                crate::model::alerting::Measure::Time => Limit::Time(Duration::from_secs_f64(half)),
                _ => Limit::Number(half),
            };
            let label = if alert.starts_with("ScaleioCertificate") { "subject" } else { "system" };
            let change = Override { threshold: Some(limit), ..change(&alert, &[(label, "x")]) };
            let rules = tuned(&with(vec![change])).unwrap_or_else(|told| panic!("{alert}: {told}"));
            let own: Vec<&str> =
                rules.alerts.iter().filter(|rule| rule.name.rule == alert).map(|rule| rule.query.text()).collect();
            assert_eq!(own.len(), 2, "{alert}");
            assert!(!own[0].contains("\nand on (") && own[1].contains(&format!("\nand on ({label})")), "{own:?}");
        }
    }
}

#[test]
fn bad_wishes_are_told_with_place_and_mend() {
    let number = |alert: &str, value| Override { threshold: Some(Limit::Number(value)), ..change(alert, &[]) };
    let mut settings = with(vec![
        Override { off: true, ..change("ScaleioPoolHihg", &[]) },
        Override { off: true, ..change("ScaleioPoolHigh", &[("pool", "a"), ("storage_pool", "")]) },
        number("ScaleioDataFailed", 1.0),
        number("ScaleioPoolHigh", 85.0),
        number("ScaleioVolumeLatencyHigh", 0.1),
    ]);
    settings.thresholds.insert("slo_latency", 0.006);
    settings.thresholds.insert("pool_overcommit", 4.0);
    let told = tuned(&settings).unwrap_err();
    let expected = "the alert rules cannot be used: 
  configuration: alerts.thresholds.slo_latency is no bound of the histogram of latencies; write one of 0.25ms, 0.5ms, 1ms, 2.5ms, 5ms, 10ms, 25ms, 50ms, 100ms, 250ms, 1000ms
  sio.toml:7: rule ScaleioPoolHihg: no loaded rule has this alert; did you mean ScaleioPoolHigh?
  sio.toml:7: rule ScaleioPoolHigh: match: the alert has no label `pool`; it has instance, job, protection_domain, storage_pool, system
  sio.toml:7: rule ScaleioPoolHigh: match: `storage_pool` is empty; name the object
  sio.toml:7: rule ScaleioDataFailed: the alert has no threshold; use off, for or severity
  sio.toml:7: rule ScaleioPoolHigh: threshold: a number between 0 and 1 is expected (pool_high)
  sio.toml:7: rule ScaleioVolumeLatencyHigh: threshold: a time with its unit is expected (volume_latency)
  configuration: alerts.thresholds.pool_overcommit is of no loaded rule; remove it, or load the file with the rule (alerts.files)";
    assert_eq!(told, expected);
}

#[test]
fn a_file_of_the_site_that_says_other_numbers_is_not_changed_behind_its_back() {
    let mut files = files();
    let at = files.iter().position(|(name, _)| name == "performance.rules.yml").unwrap();
    files[at].1 = files[at].1.replace("scaleio_volume_latency_seconds > 0.05", "scaleio_volume_latency_seconds > 0.07");
    let rules = read(&files, POLL_MS).unwrap();
    let mut settings = Alerts::default();
    settings.thresholds.insert("volume_latency", 0.1);
    let told = RuleErrors(tune(&files, &rules, &settings).unwrap_err()).to_string();
    assert!(told.ends_with(
        "performance.rules.yml: rule ScaleioVolumeLatencyHigh: the expression says no \"> 0.05\", so volume_latency \
         cannot be changed; write the number into the file"
    ), "{told}");
}

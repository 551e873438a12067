//! Does the built-in engine say of the shipped rules what Prometheus says? A scripted scenario goes through
//! `promtool test rules` and through our engine; the sets of pending and firing alerts are equal at each step.
//!
//! Evaluations are 55 s apart, so that no sample lies on the edge of a range, which Prometheus 2 and 3 treat
//! differently. Recordings are evaluated first in both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of it is a test")]

#[path = "promqltest_script/series.rs"]
#[allow(dead_code, unreachable_pub, reason = "the reader of series is shared with the script runner")]
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use chrono::DateTime;
use scaleio_framework::alert::engine::{Engine, Seen};
use scaleio_framework::alert::promql::{Bounds, History, Latest};
use scaleio_framework::alert::rules::{RuleSet, read};

const STEP_S: i64 = 55;
const STEPS: usize = 40;

/// Files whose alerts the scenario is about.
const FILES: [&str; 4] = ["recording.rules.yml", "exporter.rules.yml", "mdm.rules.yml", "sds.rules.yml"];

/// What happens, a value for each step: a system is lost for a while, two SDSs fall out one after the other and one
/// of them is in maintenance, the MDM loses a member, its primary moves, the MDM raises an alert of its own.
const SCENARIO: [&str; 22] = [
    r#"scaleio_up{system="s1"} 1x9 0x6 1x22"#,
    r#"scaleio_up{system="s2"} 1x39"#,
    r#"scaleio_sds_mdm_connected{system="s1",protection_domain="p",sds="a"} 1x4 0x3 1x2 0x9 1x17"#,
    r#"scaleio_sds_mdm_connected{system="s1",protection_domain="p",sds="b"} 1x12 0x6 1x19"#,
    r#"scaleio_sds_mdm_connected{system="s1",protection_domain="p",sds="c"} 1x5 0x24 1x8"#,
    r#"scaleio_sds_mdm_connected{system="s2",protection_domain="p",sds="a"} 1x8 0x2 _x4 0x6 stale 1x16"#,
    r#"scaleio_sds_maintenance{system="s1",protection_domain="p",sds="a"} 0x39"#,
    r#"scaleio_sds_maintenance{system="s1",protection_domain="p",sds="b"} 0x39"#,
    r#"scaleio_sds_maintenance{system="s1",protection_domain="p",sds="c"} 0x4 1x26 0x7"#,
    r#"scaleio_sds_maintenance{system="s2",protection_domain="p",sds="a"} 0x39"#,
    r#"scaleio_mdm_cluster_normal{system="s1"} 1x3 0x8 1x27"#,
    r#"scaleio_mdm_cluster_good_nodes{system="s1"} 5x3 4x2 3x8 5x24"#,
    r#"scaleio_mdm_cluster_nodes{system="s1"} 5x39"#,
    r#"scaleio_mdm_up{system="s1",mdm="m1"} 1x3 0x8 1x27"#,
    r#"scaleio_mdm_up{system="s1",mdm="m2"} 1x6 0x1 1x2 0x1 1x27"#,
    r#"scaleio_mdm_primary_changes_total{system="s1"} 0x4 1x2 2x2 3x2 4x2 5x23"#,
    r#"scaleio_mdm_alerts{system="s1",alert="LICENSE_EXPIRED",severity="critical"} _x3 1x12 0x3 2x3 stale"#,
    r#"scaleio_mdm_alerts{system="s1",alert="SDS_DISCONNECTED",severity="critical"} 1x39"#,
    r#"scaleio_collector_last_duration_seconds{system="s1",collector="sds"} 2x3 14x20 1x14"#,
    r#"scaleio_collector_interval_seconds{system="s1",collector="sds"} 15x39"#,
    r#"scaleio_sds_oscillating_failures{system="s1",protection_domain="p",sds="b",counter="network"} 0x3 2x12 NaN NaN NaN 3x4 1x14"#,
    r#"up{job="scaleio",instance="scaleio"} 1x39"#,
];

type Row = BTreeMap<String, String>;
/// Labels of each alert, and whether it fires.
type Set = BTreeSet<(Row, bool)>;

fn rules() -> (Vec<(String, String)>, RuleSet) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts");
    let file = |name: &str| (name.to_owned(), std::fs::read_to_string(folder.join(name)).unwrap());
    let files: Vec<_> = FILES.into_iter().map(file).collect();
    let rules = read(&files, STEP_S * 1000).unwrap_or_else(|errors| panic!("{errors}"));
    (files, rules)
}

fn ours(rules: RuleSet) -> Vec<Set> {
    let series: Vec<_> = SCENARIO.iter().map(|line| series::parse_series(line).unwrap()).collect();
    let start = DateTime::UNIX_EPOCH;
    let mut engine = Engine::new(Arc::new(rules), History::new(Bounds::default()), &[], start);
    let mut out = Vec::new();
    for step in 0..STEPS {
        let mut latest = Latest::new(step as i64 * STEP_S * 1000);
        for (labels, places) in &series {
            // A gap shorter than the lookback: Prometheus goes on with the value before it.
            let known = places[..=step.min(places.len() - 1)].iter().rev();
            let mut known = known.skip_while(|place| matches!(place, series::Place::Nothing));
            match known.next() {
                Some(series::Place::Value(value)) if step < places.len() => latest.push(labels.clone(), *value),
                _ => {}
            }
        }
        let verdict = engine.step(&mut latest, &Seen::default());
        assert_eq!(verdict.errors, [], "step {step}");
        out.push(engine.states().map(|(labels, fires)| (labels.clone(), fires)).collect());
    }
    out
}

/// What promtool says, step by step. It is told to expect something else, because it says what it got only then.
fn theirs(files: &[(String, String)]) -> Vec<Set> {
    let folder = tempfile::tempdir().unwrap();
    let mut test = format!("evaluation_interval: {STEP_S}s\nrule_files:\n");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
        writeln!(test, "- {name}").unwrap();
    }
    let groups: Vec<String> =
        FILES.iter().map(|name| format!("scaleio-{}", name.strip_suffix(".rules.yml").unwrap())).collect();
    writeln!(test, "group_eval_order: [{}]", groups.join(", ")).unwrap();
    writeln!(test, "tests:\n- interval: {STEP_S}s\n  input_series:").unwrap();
    for line in SCENARIO {
        let (name, values) = line.split_once("} ").unwrap();
        writeln!(test, "  - series: '{name}}}'\n    values: '{values}'").unwrap();
    }
    test.push_str("  promql_expr_test:\n");
    for step in 0..STEPS {
        let at = step as i64 * STEP_S;
        writeln!(test, "  - {{expr: ALERTS, eval_time: {at}s, exp_samples: [{{labels: no_such, value: 1}}]}}").unwrap();
    }
    let path = folder.path().join("test.yml");
    std::fs::write(&path, test).unwrap();
    let output = Command::new("promtool")
        .args(["test", "rules"])
        .arg(&path)
        .output()
        .expect("promtool is needed: apt install prometheus");
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let got: Vec<Set> =
        text.lines().filter_map(|line| line.trim().strip_prefix("got:")).map(|line| alerts(line.trim())).collect();
    assert_eq!(got.len(), STEPS, "promtool said: {}", &text[..text.len().min(3000)]);
    got
}

/// Reads `ALERTS{a="b"} 1E+00, ALERTS{...} 1E+00`. No value here holds a brace.
fn alerts(text: &str) -> Set {
    let mut out = Set::new();
    for part in text.split_inclusive('}').filter(|part| part.contains('{')) {
        let head = part.split_once(", ").filter(|(value, _)| value.contains("E+")).map_or(part, |(_, head)| head);
        let (labels, _) = series::parse_series(&format!("{head} 1")).unwrap();
        let mut row: Row = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        row.remove("__name__");
        let fires = row.remove("alertstate").unwrap() == "firing";
        out.insert((row, fires));
    }
    out
}

#[test]
fn promtool_and_the_engine_have_the_same_alerts_at_each_step() {
    let (files, rules) = rules();
    let theirs = theirs(&files);
    let ours = ours(rules);
    let (mut pending, mut firing) = (BTreeSet::new(), BTreeSet::new());
    for (step, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
        let only = |a: &Set, b: &Set| -> Vec<String> { a.difference(b).map(|row| format!("{row:?}")).collect() };
        assert!(
            theirs == ours,
            "step {step}\nonly theirs {:#?}\nonly ours {:#?}",
            only(theirs, ours),
            only(ours, theirs)
        );
        for (row, fires) in theirs {
            if *fires { &mut firing } else { &mut pending }.insert(row["alertname"].clone());
        }
    }
    for name in [
        "ScaleioWatchdog",
        "ScaleioSystemUnreachable",
        "ScaleioSdsDisconnected",
        "ScaleioMultipleSdsDown",
        "ScaleioMdmClusterNotNormal",
        "ScaleioMdmQuorumAtRisk",
        "ScaleioMdmMemberDown",
        "ScaleioMdmPrimaryFlapping",
        "ScaleioMdmAlertActive",
        "ScaleioCollectorSlow",
        "ScaleioOscillatingFailures",
    ] {
        assert!(firing.contains(name), "{name} never fired: the scenario says little; fired: {firing:?}");
    }
    assert!(pending.len() >= 6, "{pending:?}");
}

//! Do the alert rules keep what they promise? promtool judges the files and
//! runs their tests; the tests here see that no alert goes without a test that
//! fires it, one that does not, a runbook, and words that help.

// Here all is test; clippy.toml allows these only in functions marked so.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod document;
mod files;
mod metrics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use promql_parser::parser::Expr;

use files::{Alert, Rules, TestFile, list, root, rule_files, series, test_files};

/// Where runbooks are read. To serve them from elsewhere: change this, then
/// replace the old address in `alerts/` (`sed -i`); the test below holds them
/// together.
const RUNBOOKS: &str = "https://github.com/scaleio-framework/scaleio-framework/blob/main/docs/runbooks/";

/// The heartbeat is no fault of any severity.
const HEARTBEAT: &str = "ScaleioWatchdog";

fn promtool(arguments: &[&str], files: &[PathBuf]) -> Result<(), String> {
    let output = Command::new("promtool")
        .args(arguments)
        .args(files)
        .output()
        .map_err(|error| format!("promtool does not start ({error}): install the Debian package prometheus"))?;
    let said = [output.stdout, output.stderr].concat();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) }
}

#[test]
fn promtool_accepts_every_rule_file() {
    promtool(&["check", "rules"], &rule_files()).unwrap_or_else(|said| panic!("{said}"));
}

#[test]
fn promtool_passes_every_test() {
    let failures: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            test_files().into_iter().map(|file| scope.spawn(move || promtool(&["test", "rules"], &[file]))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap().err()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_alert_says_how_bad_what_and_what_to_do() {
    let mut names = BTreeSet::new();
    for alert in Rules::read().alerts {
        let name = &alert.name;
        assert!(name.starts_with("Scaleio") && name.chars().all(char::is_alphanumeric), "{name}");
        assert!(names.insert(name.clone()), "{name} is there twice");
        let severities: &[&str] = if name == HEARTBEAT { &["none"] } else { &["critical", "warning", "info"] };
        assert!(severities.contains(&alert.severity()), "{name} has severity {:?}", alert.severity());
        let area = alert.labels.get("area").unwrap_or_else(|| panic!("{name} has no area"));
        assert!(alert.optional || *area == alert.file, "{name} of area {area} is in the file of {}", alert.file);
        assert_eq!(alert.labels.len(), 2, "{name}: labels are severity and area");
        for key in ["summary", "description", "runbook_url"] {
            let text = alert.annotations.get(key).map_or("", String::as_str);
            assert!(!text.trim().is_empty(), "{name} has no {key}");
        }
        assert_eq!(alert.annotations.len(), 3, "{name}: an annotation that nothing reads");
        assert!(alert.annotations["summary"].len() <= 160, "{name}: a summary is one line of a mail");
        if name != HEARTBEAT {
            let description = &alert.annotations["description"];
            assert!(description.contains(" First: "), "{name}: the description says what to do first");
        }
        assert_eq!(alert.annotations["runbook_url"], format!("{RUNBOOKS}{name}.md"));
    }
    assert!(names.len() >= 50, "only {} alerts", names.len());
}

#[test]
fn every_alert_has_a_runbook_and_every_runbook_an_alert() {
    let rules = Rules::read();
    let folder = root().join("docs/runbooks");
    let written: BTreeSet<String> = list(&folder, ".md")
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "README")
        .collect();
    for name in rules.names() {
        assert!(written.contains(name), "docs/runbooks/{name}.md is missing");
    }
    for name in &written {
        assert!(rules.names().contains(name.as_str()), "docs/runbooks/{name}.md is of no alert");
        let text = std::fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
        assert!(text.starts_with(&format!("# {name}\n")), "{name}: the title is the alert");
        for part in ["**Meaning**", "**Hurt**", "**Check**", "**First**", "**Resolves**", "**Silenced by**"] {
            assert!(text.contains(part), "{name}: the runbook has no {part}");
        }
    }
}

/// Options of `scli` that a source has shown, and of `drv_cfg`. What is only
/// inferred is not named without its mark.
const SCLI: [&str; 9] = [
    "--query_cluster",
    "--query_all",
    "--query_all_sds",
    "--query_properties",
    "--login",
    "--start_sds_network_test",
    "--query_sds_network_test_result",
    "--modify_spare_policy",
    "--set_license",
];
const DRV_CFG: [&str; 4] = ["--query_mdms", "--query_vols", "--query_tgts", "--rescan"];
const SIO: [&str; 17] = [
    "status", "doctor", "check", "jobs", "version", "nodes", "plan", "rollout", "adopt", "token", "runs", "resume",
    "cancel", "skip", "release", "override", "free",
];

#[test]
fn runbooks_and_descriptions_name_only_commands_that_exist() {
    let mut texts: Vec<(String, String)> = list(&root().join("docs/runbooks"), ".md")
        .into_iter()
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    for alert in Rules::read().alerts {
        texts.push((alert.name.clone(), alert.annotations["description"].clone()));
    }
    for (place, text) in texts {
        for quoted in text.split('`').skip(1).step_by(2) {
            let mut words = quoted.split_whitespace();
            let (known, what): (&[&str], _) = match words.next() {
                Some("sio") => (&SIO, words.next()),
                Some("scli") => (&SCLI, words.next()),
                Some("drv_cfg") => (&DRV_CFG, words.next()),
                _ => continue,
            };
            if let Some(what) = what {
                assert!(known.contains(&what), "{place} names `{quoted}`");
            }
        }
    }
}

/// The alert that a probe asks for, if it asks for firing ones of one alert.
fn asks_for(expr: &str) -> Option<String> {
    let (name, labels) = match promql_parser::parser::parse(expr) {
        Ok(Expr::VectorSelector(_)) => series(expr),
        _ => return None,
    };
    let firing = labels.get("alertstate").is_some_and(|state| state == "firing");
    (name == "ALERTS" && firing && labels.len() == 2).then(|| labels.get("alertname").cloned()).flatten()
}

#[test]
fn every_alert_fires_in_one_test_and_stays_silent_in_another() {
    let rules = Rules::read();
    let mut fires: BTreeMap<String, Vec<BTreeMap<String, String>>> = BTreeMap::new();
    let mut silent = BTreeSet::new();
    for path in test_files() {
        for case in TestFile::read(&path).tests {
            let given: BTreeSet<String> = case.input_series.iter().map(|input| series(&input.series).0).collect();
            for probe in &case.promql_expr_test {
                let Some(alert) = asks_for(&probe.expr) else { continue };
                let rule = rules.alerts.iter().find(|rule| rule.name == alert);
                let rule = rule.unwrap_or_else(|| panic!("{} of {} asks for {alert}", case.name, path.display()));
                if !probe.exp_samples.is_empty() {
                    let samples = probe.exp_samples.iter().map(|sample| series(&sample.labels).1);
                    fires.entry(alert).or_default().extend(samples);
                } else if metrics::metrics(&rule.expr, &rules).iter().any(|metric| given.contains(metric)) {
                    // Silence without anything that could make noise proves nothing.
                    silent.insert(alert);
                }
            }
        }
    }
    for alert in &rules.alerts {
        let fired = fires.get(&alert.name).unwrap_or_else(|| panic!("no test makes {} fire", alert.name));
        assert!(silent.contains(&alert.name), "no test keeps {} silent", alert.name);
        for label in labels_used(alert) {
            let there = fired.iter().all(|labels| labels.contains_key(&label));
            assert!(there, "{} speaks of {label}, which it has not when it fires", alert.name);
        }
    }
}

/// Labels that the annotations of an alert print.
fn labels_used(alert: &Alert) -> BTreeSet<String> {
    let texts = alert.annotations.values();
    texts
        .flat_map(|text| text.split("$labels.").skip(1))
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

/// Functions of templates in the summary of an alert.
fn functions_used(alert: &Alert) -> BTreeSet<String> {
    let pipes = alert.annotations["summary"].split(" | ").skip(1);
    pipes.filter_map(|rest| rest.split([' ', '}']).next()).map(str::to_owned).collect()
}

#[test]
fn every_function_of_templates_is_seen_to_print_what_it_should() {
    let rules = Rules::read();
    let mut printed = BTreeSet::new();
    for case in test_files().iter().flat_map(|path| TestFile::read(path).tests) {
        printed.extend(case.alert_rule_test.into_iter().map(|texts| texts.alertname));
    }
    let proven: BTreeSet<String> =
        rules.alerts.iter().filter(|alert| printed.contains(&alert.name)).flat_map(functions_used).collect();
    for alert in &rules.alerts {
        let used = functions_used(alert);
        assert!(used.is_subset(&proven), "{} prints with {used:?}, proven are {proven:?}", alert.name);
    }
}

#[test]
fn no_sample_of_a_test_lies_on_the_edge_of_a_range() {
    let rules = Rules::read();
    let seconds = |text: &str| promql_parser::util::parse_duration(text).unwrap().as_secs();
    for path in test_files() {
        let file = TestFile::read(&path);
        let step = seconds(&file.evaluation_interval);
        let name = path.display();
        assert!(!file.group_eval_order.is_empty(), "{name}: recordings come first, always");
        for loaded in &file.rule_files {
            assert!(path.parent().unwrap().join(loaded).exists(), "{name}: no {loaded}");
        }
        for case in &file.tests {
            assert_eq!(seconds(&case.interval), step, "{name}: {}: samples and evaluations go together", case.name);
        }
        let groups = &file.group_eval_order;
        let alerts = rules.alerts.iter().filter(|alert| groups.contains(&alert.group));
        let mut spans: Vec<Duration> = alerts.flat_map(|alert| metrics::spans(&alert.expr)).collect();
        spans.extend(rules.recordings.iter().flat_map(|recording| metrics::spans(&recording.expr)));
        for span in spans {
            assert_ne!(span.as_secs() % step, 0, "{name}: {span:?} is a multiple of {step} s");
        }
    }
}

#[test]
fn recordings_are_named_for_level_metric_and_operation() {
    for recording in Rules::read().recordings {
        let parts: Vec<&str> = recording.name.split(':').collect();
        assert!(matches!(parts[..], [_, metric, _] if metric.starts_with("scaleio_")), "{}", recording.name);
    }
}

#[test]
fn rules_use_only_metrics_and_labels_of_the_catalogue() {
    let path = root().join("docs/metrics.md");
    // The catalogue is written by its own test; before it is, there is nothing
    // to compare with.
    let Ok(document) = std::fs::read_to_string(&path) else { return };
    let catalogue = metrics::catalogue(&document);
    assert!(catalogue.len() > 50, "{} has no tables of metrics", path.display());
    let problems = metrics::unknown(&Rules::read(), &catalogue);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_metric_or_label_that_does_not_exist_is_found() {
    let text = "| `m` | gauge | a, b | Help. |\n| `h` | histogram | a | Help. |\n";
    let catalogue = metrics::catalogue(text);
    assert!(catalogue["h_bucket"].contains("le") && !catalogue["h_sum"].contains("le"));
    for (expr, wanted) in [
        ("m{a=\"x\"} > 0", None),
        ("rate(h_bucket{le=\"1\"}[5m])", None),
        ("sum by (a) (m) and on (a) h_sum", None),
        ("n > 0", Some("no metric n")),
        ("m{c=\"x\"}", Some("m has no label c")),
        ("sum by (c) (m)", Some("m has no label c")),
        ("m and on (b) h_sum", Some("h_sum has no label b")),
        ("sum by (b) (m / on (a) h_sum)", Some("has no label b")),
    ] {
        let recordings = vec![files::Recording {
            name: "l:scaleio_m:o".to_owned(),
            expr: promql_parser::parser::parse(expr).unwrap(),
        }];
        let problems = metrics::unknown(&Rules { recordings, alerts: Vec::new() }, &catalogue);
        match wanted {
            None => assert_eq!(problems, Vec::<String>::new(), "{expr}"),
            Some(wanted) => assert!(problems.iter().any(|problem| problem.contains(wanted)), "{expr}: {problems:?}"),
        }
    }
}

//! Are mistakes in rule files found, and named so that they can be mended?

use super::*;

fn mistakes(text: &str) -> Vec<String> {
    match read(&[("my.yml".to_owned(), text.to_owned())], 15_000) {
        Ok(_) => Vec::new(),
        Err(RuleErrors(mistakes)) => mistakes.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_shipped_rules_load() {
    let files: Vec<_> = SHIPPED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let rules = read(&files, 15_000).unwrap_or_else(|errors| panic!("{errors}"));
    assert!(rules.alerts.len() >= 50 && rules.recordings.len() >= 10, "{}", rules.alerts.len());
    assert!(rules.metrics.contains("scaleio_up") && rules.metrics.contains("up"));
    assert!(rules.reaches.iter().any(|reach| reach.selector.to_string() == "storage_pool:scaleio_used:ratio"));
}

#[test]
fn each_mistake_names_file_line_group_and_rule() {
    let rule = |text: &str| format!("groups:\n- name: g\n  rules:\n  - {}\n", text.replace('\n', "\n    "));
    for (text, wanted) in [
        ("alert: A\nexpr: scaleio_nope > 1", "my.yml:5: group g: rule A: unknown metric `scaleio_nope`"),
        ("alert: A\nexpr: scaleio_up{sds=\"x\"} > 1", "my.yml:5: group g: rule A: unknown label `sds` in "),
        ("alert: A\nexpr: 'scaleio_up >'", "my.yml:5: group g: rule A: cannot parse the expression"),
        (
            "alert: A\nexpr: histogram_quantile(0.9, scaleio_up)",
            "my.yml:5: group g: rule A: function `histogram_quantile`",
        ),
        (
            "alert: A\nexpr: rate(scaleio_mdm_primary_changes_total[20s]) > 0",
            "my.yml:5: group g: rule A: the range of ",
        ),
        ("alert: A\nexpr: scaleio_up == 0\nfor: soon", "my.yml:5: group g: rule A: for: \"soon\" is no duration"),
        (
            "alert: A\nexpr: scaleio_up == 0\nannotations:\n  summary: '{{ $labels.sds }}'",
            "my.yml:5: group g: rule A: annotation summary: the expression yields no label `sds`",
        ),
        (
            "alert: A\nexpr: scaleio_up == 0\nlabels:\n  x: '{{ nope }}'",
            "my.yml:5: group g: rule A: label x: line 1, column 4: function `nope` is not defined",
        ),
        ("record: a-b\nexpr: scaleio_up", "my.yml:5: group g: rule a-b: \"a-b\" is no name of a metric"),
        ("record: a\nexpr: scaleio_up\nfor: 1m", "my.yml:5: group g: rule a: a recording rule has no"),
        ("expr: scaleio_up", "my.yml:4: group g: rule ?: it has neither"),
    ] {
        let found = mistakes(&rule(text));
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{text}\n{found:?}");
    }
}

#[test]
fn every_mistake_is_told_at_once_and_one_in_the_form_names_its_line() {
    let two = "groups:\n- name: g\n  rules:\n  - {alert: A, expr: nope1}\n  - {alert: B, expr: nope2}\n";
    assert_eq!(mistakes(two).len(), 2);
    let form = mistakes("groups:\n- name: g\n  rulez: []\n");
    assert!(form.len() == 1 && form[0].starts_with("my.yml: ") && form[0].contains("line 3"), "{form:?}");
    let twice = mistakes("groups:\n- name: g\n- name: g\n");
    assert_eq!(twice, ["my.yml:3: group g: there is another group of this name in the file"]);
}

#[test]
fn a_recording_may_read_another_and_its_labels_are_known() {
    let text = "groups:\n- name: g\n  rules:\n  - {record: b, expr: 'a * 2'}\n  - {record: a, expr: 'sum by (system) (scaleio_up)'}\n  - {alert: A, expr: 'b{sds=\"1\"} > 1'}\n";
    assert_eq!(mistakes(text), ["my.yml:6: group g: rule A: unknown label `sds` in b"]);
}

#[test]
fn a_file_with_the_name_of_a_shipped_one_replaces_it_and_others_are_added() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, rule: &str| {
        let path = folder.path().join(name);
        std::fs::write(
            &path,
            format!("groups:\n- name: g\n  rules:\n  - {{alert: {rule}, expr: 'scaleio_up == 0'}}\n"),
        )
        .unwrap();
        path
    };
    let files = vec![file("exporter.rules.yml", "Mine"), file("more.yml", "More")];
    let poll = config::Poll {
        fast: std::time::Duration::from_secs(15),
        middle: std::time::Duration::from_secs(60),
        slow: std::time::Duration::from_secs(300),
        max_age: std::time::Duration::from_secs(900),
    };
    let names = |settings: &config::Alerts| -> BTreeSet<String> {
        load(settings, &poll).unwrap().alerts.iter().map(|rule| rule.name.rule.clone()).collect()
    };
    let all = names(&config::Alerts { files: files.clone(), ..config::Alerts::default() });
    assert!(all.contains("Mine") && all.contains("More") && all.contains("ScaleioSdsDisconnected"));
    assert!(!all.contains("ScaleioWatchdog"));
    assert_eq!(names(&config::Alerts { shipped: false, files, ..config::Alerts::default() }).len(), 2);
    let missing =
        config::Alerts { shipped: false, files: vec![folder.path().join("none.yml")], ..config::Alerts::default() };
    assert!(load(&missing, &poll).unwrap_err().to_string().contains("none.yml: cannot be read"));
}

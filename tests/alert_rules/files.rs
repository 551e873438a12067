//! What is in the rule files and in their promtool tests? Both as promtool
//! reads them, with nothing unknown let through.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use promql_parser::parser::Expr;
use serde::Deserialize;

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files of a folder whose names end so, in order.
pub(crate) fn list(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending)))
        .collect();
    files.sort();
    files
}

/// Every rule file: the ones that are loaded by default, then the optional ones.
pub(crate) fn rule_files() -> Vec<PathBuf> {
    let alerts = root().join("alerts");
    [list(&alerts, ".rules.yml"), list(&alerts.join("optional"), ".rules.yml")].concat()
}

/// Every promtool test.
pub(crate) fn test_files() -> Vec<PathBuf> {
    list(&root().join("alerts/tests"), ".yml")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    name: String,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    alert: Option<String>,
    record: Option<String>,
    expr: String,
    r#for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A rule that records a series.
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) expr: Expr,
}

/// A rule that alerts.
pub(crate) struct Alert {
    pub(crate) name: String,
    pub(crate) group: String,
    /// Whether its file is not loaded by default.
    pub(crate) optional: bool,
    /// What its file's name begins with.
    pub(crate) file: String,
    pub(crate) expr: Expr,
    pub(crate) waits: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Alert {
    pub(crate) fn severity(&self) -> &str {
        self.labels.get("severity").map_or("", String::as_str)
    }
}

/// All rules of all files.
pub(crate) struct Rules {
    pub(crate) recordings: Vec<Recording>,
    pub(crate) alerts: Vec<Alert>,
}

impl Rules {
    pub(crate) fn read() -> Self {
        let mut all = Self { recordings: Vec::new(), alerts: Vec::new() };
        for path in rule_files() {
            let text = std::fs::read_to_string(&path).unwrap();
            let file: RuleFile =
                serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let stem = path.file_name().unwrap().to_string_lossy().replace(".rules.yml", "");
            for group in file.groups {
                assert_eq!(group.name, format!("scaleio-{stem}"), "one group a file, named for it");
                for rule in group.rules {
                    all.add(rule, &group.name, &stem);
                }
            }
        }
        all
    }

    fn add(&mut self, rule: RawRule, group: &str, stem: &str) {
        let name = rule.alert.clone().or_else(|| rule.record.clone()).expect("a rule alerts or records");
        let expr = promql_parser::parser::parse(&rule.expr).unwrap_or_else(|error| panic!("{name}: {error}"));
        if rule.record.is_some() {
            self.recordings.push(Recording { name, expr });
            return;
        }
        self.alerts.push(Alert {
            name,
            group: group.to_owned(),
            optional: stem == "optional",
            file: stem.to_owned(),
            expr,
            waits: rule.r#for.unwrap_or_else(|| "0s".to_owned()),
            labels: rule.labels,
            annotations: rule.annotations,
        });
    }

    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.alerts.iter().map(|alert| alert.name.as_str()).collect()
    }
}

/// A file of promtool tests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestFile {
    pub(crate) rule_files: Vec<String>,
    pub(crate) evaluation_interval: String,
    pub(crate) group_eval_order: Vec<String>,
    pub(crate) tests: Vec<Case>,
}

/// One scenario.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) interval: String,
    pub(crate) input_series: Vec<Input>,
    #[serde(default)]
    pub(crate) promql_expr_test: Vec<Probe>,
    #[serde(default)]
    pub(crate) alert_rule_test: Vec<Texts>,
}

/// What an alert says when it fires, to the letter.
#[derive(Deserialize)]
pub(crate) struct Texts {
    pub(crate) alertname: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub(crate) series: String,
    #[allow(dead_code)]
    pub(crate) values: String,
}

/// What an expression is at a moment.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub(crate) expr: String,
    #[allow(dead_code)]
    pub(crate) eval_time: String,
    #[serde(default)]
    pub(crate) exp_samples: Vec<Sample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    pub(crate) labels: String,
    #[allow(dead_code)]
    pub(crate) value: f64,
}

impl TestFile {
    pub(crate) fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// Name and labels of a series as it is written in tests.
pub(crate) fn series(text: &str) -> (String, BTreeMap<String, String>) {
    match promql_parser::parser::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")) {
        Expr::VectorSelector(selector) => {
            let labels = selector.matchers.matchers.into_iter().map(|m| (m.name, m.value)).collect();
            (selector.name.unwrap_or_default(), labels)
        }
        other => panic!("{text} is no series but {other}"),
    }
}

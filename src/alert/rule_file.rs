//! What does a rule file look like, read and written? Prometheus' format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// A file as it is written.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) groups: Vec<Group>,
}

/// A group of rules.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    pub(super) name: Spanned<String>,
    pub(super) interval: Option<String>,
    pub(super) query_offset: Option<String>,
    #[serde(default)]
    pub(super) limit: usize,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) rules: Vec<RawRule>,
}

/// One rule of either kind.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub(super) alert: Option<String>,
    pub(super) record: Option<String>,
    pub(super) expr: Spanned<String>,
    pub(super) r#for: Option<String>,
    pub(super) keep_firing_for: Option<String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

impl RawRule {
    /// What it records, or the name of its alert.
    pub(super) fn name(&self) -> Option<&str> {
        self.alert.as_deref().or(self.record.as_deref())
    }
}

/// Reads a file; the error tells the line.
pub(super) fn parse(text: &str) -> Result<File, serde_saphyr::Error> {
    serde_saphyr::from_str(text)
}

/// Writes a file, so that Prometheus reads what was read.
pub(super) fn write(file: &File) -> String {
    let mut out = String::from("groups:\n");
    for group in &file.groups {
        let _ = writeln!(out, "  - name: {}", quoted(&group.name.value));
        for (key, text) in [("interval", &group.interval), ("query_offset", &group.query_offset)] {
            if let Some(text) = text {
                let _ = writeln!(out, "    {key}: {}", quoted(text));
            }
        }
        if group.limit > 0 {
            let _ = writeln!(out, "    limit: {}", group.limit);
        }
        pairs(&mut out, "    ", "labels", &group.labels);
        out.push_str(if group.rules.is_empty() { "    rules: []\n" } else { "    rules:\n" });
        for rule in &group.rules {
            write_rule(&mut out, rule);
        }
    }
    if file.groups.is_empty() { "groups: []\n".to_owned() } else { out }
}

fn write_rule(out: &mut String, rule: &RawRule) {
    let mut before = "      - ";
    for (key, text) in [("alert", &rule.alert), ("record", &rule.record)] {
        if let Some(text) = text {
            let _ = writeln!(out, "{before}{key}: {}", quoted(text));
            before = "        ";
        }
    }
    let expr = rule.expr.value.trim();
    // A literal block keeps an expression readable; what YAML would not keep in one is quoted.
    if expr.contains('\n') && !expr.contains(|c: char| c.is_control() && c != '\n') {
        let _ = writeln!(out, "{before}expr: |");
        for line in expr.lines() {
            let _ = writeln!(out, "{}", format!("          {line}").trim_end());
        }
    } else {
        let _ = writeln!(out, "{before}expr: {}", quoted(expr));
    }
    for (key, text) in [("for", &rule.r#for), ("keep_firing_for", &rule.keep_firing_for)] {
        if let Some(text) = text {
            let _ = writeln!(out, "        {key}: {}", quoted(text));
        }
    }
    pairs(out, "        ", "labels", &rule.labels);
    pairs(out, "        ", "annotations", &rule.annotations);
}

fn pairs(out: &mut String, indent: &str, key: &str, pairs: &BTreeMap<String, String>) {
    if pairs.is_empty() {
        return;
    }
    let _ = writeln!(out, "{indent}{key}:");
    for (name, value) in pairs {
        let _ = writeln!(out, "{indent}  {}: {}", quoted(name), quoted(value));
    }
}

/// JSON's escapes are among YAML's.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.starts_with(|c: char| c.is_ascii_uppercase()) && text.chars().all(plain) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::shipped::SHIPPED;
    use super::*;

    /// All that a file says, without the places.
    fn said(file: &File) -> Vec<String> {
        let mut said = Vec::new();
        for group in &file.groups {
            let Group { name, interval, query_offset, limit, labels, rules } = group;
            said.push(format!("{:?} {interval:?} {query_offset:?} {limit} {labels:?}", name.value));
            for rule in rules {
                let RawRule { alert, record, expr, r#for, keep_firing_for, labels, annotations } = rule;
                let expr = expr.value.trim();
                said.push(format!(
                    "{alert:?} {record:?} {expr:?} {for:?} {keep_firing_for:?} {labels:?} {annotations:?}"
                ));
            }
        }
        said
    }

    #[test]
    fn what_is_written_is_read_as_before() {
        let odd = r#"
groups:
  - name: "a: b"
    interval: 30s
    limit: 3
    labels: {team: "no", empty: ""}
    rules:
      - record: a:b
        expr: "1\t+ 1"
      - alert: "true"
        expr: |
          up
            == 0   # why

          or vector(1)
        for: 90s
        keep_firing_for: 1m
        annotations: {summary: "a \"quoted\" \\ back\\slash, 'single', é, two\nlines #no comment"}
  - name: nothing
"#;
        for text in SHIPPED.iter().map(|(_, text)| *text).chain([odd, "groups: []"]) {
            let file = parse(text).unwrap();
            let written = write(&file);
            let again = parse(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(said(&again), said(&file), "{written}");
        }
    }
}

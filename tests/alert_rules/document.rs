//! Is the table in `docs/alerts.md` what the rule files say?
//! `UPDATE_DOCS=1 cargo test --test alert_rules` writes it again.

use std::fmt::Write as _;

use super::files::{Alert, Rules, root};

const BEGIN: &str = "<!-- table: written by `UPDATE_DOCS=1 cargo test --test alert_rules` -->\n";
const END: &str = "<!-- end of table -->\n";

/// Areas in the order in which people look at them.
const AREAS: [&str; 13] = [
    "exporter",
    "mdm",
    "sds",
    "capacity",
    "protection",
    "device",
    "performance",
    "client",
    "replication",
    "security",
    "notification",
    "controller",
    "lifecycle",
];

fn table(rules: &Rules) -> String {
    let mut text = String::new();
    let defaults = rules.alerts.iter().filter(|alert| !alert.optional).count();
    let _ = writeln!(
        text,
        "{} alerts: {defaults} on by default, {} optional (marked *).",
        rules.alerts.len(),
        rules.alerts.len() - defaults
    );
    for area in AREAS {
        let _ = write!(text, "\n### {area}\n\n| Alert | Severity | After | What it says |\n|---|---|---|---|\n");
        let mut alerts: Vec<&Alert> =
            rules.alerts.iter().filter(|alert| alert.labels.get("area").is_some_and(|of| of == area)).collect();
        alerts.sort_by_key(|alert| alert.optional);
        for alert in alerts {
            let summary = alert.annotations.get("summary").map_or("", String::as_str);
            let _ = writeln!(
                text,
                "| [{name}](runbooks/{name}.md){star} | {severity} | {after} | {summary} |",
                name = alert.name,
                star = if alert.optional { " *" } else { "" },
                severity = alert.severity(),
                after = if alert.waits == "0s" { "at once" } else { &alert.waits },
                summary = plain(summary)
            );
        }
    }
    text
}

/// A summary without its template: `{{ $labels.sds }}` reads as *sds*.
fn plain(summary: &str) -> String {
    let mut text = String::new();
    let mut rest = summary;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, behind) = after.split_once("}}").expect("a template that ends");
        let word = inside.trim().split([' ', '|']).next().unwrap_or("");
        let word = word.strip_prefix("$labels.").unwrap_or("value");
        let _ = write!(text, "{before}*{word}*");
        rest = behind;
    }
    text + rest
}

#[test]
fn the_table_of_alerts_is_what_the_rule_files_say() {
    let path = root().join("docs/alerts.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("docs/alerts.md has a place for the table");
    let (_, after) = rest.split_once(END).expect("docs/alerts.md says where the table ends");
    let wanted = format!("{before}{BEGIN}\n{}\n{END}{after}", table(&Rules::read()));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    } else {
        assert!(document == wanted, "docs/alerts.md is old; write it with UPDATE_DOCS=1 cargo test --test alert_rules");
    }
}

#[test]
fn every_area_is_in_the_table() {
    for alert in Rules::read().alerts {
        let area = alert.labels.get("area").map_or("", String::as_str);
        assert!(AREAS.contains(&area), "{} is of area {area:?}", alert.name);
    }
}

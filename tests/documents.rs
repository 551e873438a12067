//! Do the links of the documents lead somewhere, and are the tests they name there?

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder whose name ends so.
fn below(folder: &str, end: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(end) {
                found.push(path);
            }
        }
    }
    found
}

fn documents() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|name| root().join(name)).into();
    all.extend(below("docs", ".md"));
    all
}

/// The text without what is shown as code.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return false;
        }
        !fenced && !line.starts_with("    ")
    });
    lines.map(|line| line.split('`').step_by(2).collect::<Vec<_>>().join("`") + "\n").collect()
}

/// Where the links of a document lead.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text);
    let after = prose.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')').map(|(to, _)| to.to_owned())).collect()
}

/// The anchors that headings have.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
    };
    let named = text.split("<a id=\"").skip(1).filter_map(|rest| rest.split_once('"').map(|(name, _)| name.to_owned()));
    headings.map(anchor).chain(named).collect()
}

/// What is wrong with the links of a document.
fn broken(document: &Path, text: &str, read: &dyn Fn(&Path) -> Option<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    for link in links(text) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (path, anchor) = link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
        let to = if path.is_empty() { document.to_owned() } else { document.parent().unwrap().join(path) };
        if !to.exists() {
            wrong.push(format!("{}: {link} leads nowhere", document.display()));
        } else if let (Some(anchor), Some(text)) = (anchor, read(&to))
            && !anchors(&text).contains(anchor)
        {
            wrong.push(format!("{}: {link} names no heading", document.display()));
        }
    }
    wrong
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let texts: BTreeMap<PathBuf, String> =
        documents().into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let wrong: Vec<String> = texts.iter().flat_map(|(path, text)| broken(path, text, &read)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let count: usize = texts.values().map(|text| links(text).len()).sum();
    assert!(count > 50, "only {count} links were seen");
}

#[test]
fn a_broken_link_is_seen() {
    let document = root().join("docs/install.md");
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let wrong = |text: &str| broken(&document, text, &read).len();
    assert_eq!(wrong("[a](nowhere.md) and `[code](nowhere.md)`\n"), 1);
    assert_eq!(wrong("[a](install.md#no-such-heading)\n"), 1);
    assert_eq!(wrong("[a](install.md#packages), [b](../README.md), [c](https://x/y)\n"), 0);
}

#[test]
fn every_test_that_the_comparison_names_is_there() {
    let sources: String = below("tests", ".rs")
        .into_iter()
        .chain(below("src", ".rs"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let text = std::fs::read_to_string(root().join("docs/comparison.md")).unwrap();
    let named: BTreeSet<&str> =
        text.split('`').skip(1).step_by(2).filter(|word| word.matches('_').count() >= 3).collect();
    assert!(named.len() > 25, "{named:?}");
    let is_there = |name: &str| ["(", "<"].iter().any(|after| sources.contains(&format!("fn {name}{after}")));
    let missing: Vec<&&str> = named.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_part_on_hooks_has_every_step_that_asks_one_and_every_variable_that_it_gets() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let text = read("docs/rollout.md");
    let part = text.split("\n## ").find(|part| part.starts_with("Hooks\n")).unwrap();
    let effects = read("tests/expected/effects.txt");
    let steps = effects.lines().filter_map(|line| line.strip_prefix("agent ")?.split(' ').next());
    let code = read("src/agent/hooks.rs");
    // What stands in quotes: the folder and the variables.
    let quoted = code.split('"').filter(|word| word.starts_with("/etc/") || word.starts_with("SIO_"));
    let words: Vec<String> = steps.map(|step| format!("`{step}`")).chain(quoted.map(str::to_owned)).collect();
    assert!(words.len() > 25, "{words:?}");
    let missing: Vec<&String> = words.iter().filter(|word| !part.contains(*word)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

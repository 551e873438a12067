//! A strict reader of exposition text, for tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]
#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by test binaries, each of which uses its part")]

use std::collections::{BTreeMap, BTreeSet};

/// A sample as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
}

impl Sample {
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }

    pub fn label_names(&self) -> Vec<&str> {
        self.labels.iter().map(|(name, _)| name.as_str()).collect()
    }
}

/// A family as it was read.
#[derive(Debug)]
pub struct Read {
    pub kind: String,
    pub help: String,
    pub samples: Vec<Sample>,
}

/// Reads a body; panics where it is not what the formats allow.
pub fn read(text: &str) -> BTreeMap<String, Read> {
    let mut families: BTreeMap<String, Read> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut series = BTreeSet::new();
    assert!(text.ends_with('\n'), "the last line ends");
    for line in text.lines() {
        if line == "# EOF" {
            current = None;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            let new = Read { kind: String::new(), help: help.to_owned(), samples: Vec::new() };
            assert!(families.insert(name.to_owned(), new).is_none(), "{name} is not in one piece");
            current = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(current.as_deref(), Some(name), "HELP comes before TYPE");
            families.get_mut(name).unwrap().kind = kind.to_owned();
        } else {
            let sample = sample(line);
            let name = current.as_deref().unwrap_or_else(|| panic!("{line:?} has no family"));
            assert!(sample.name.starts_with(name), "{line:?} is not of {name}");
            let mut key = sample.labels.clone();
            key.sort();
            assert!(series.insert((sample.name.clone(), key)), "{line:?} is there twice");
            families.get_mut(name).unwrap().samples.push(sample);
        }
    }
    families
}

/// Reads one sample line.
pub fn sample(line: &str) -> Sample {
    let Some(brace) = line.find('{') else {
        let (name, value) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?} has no value"));
        let value = value.parse().unwrap_or_else(|_| panic!("{line:?} has no number"));
        return Sample { name: name.to_owned(), labels: Vec::new(), value };
    };
    let name = line[..brace].to_owned();
    assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line:?}");
    let mut labels = Vec::new();
    let mut rest = &line[brace + 1..];
    loop {
        if let Some(after) = rest.strip_prefix("} ") {
            let value = after.parse().unwrap_or_else(|_| panic!("{line:?} has no number"));
            return Sample { name, labels, value };
        }
        let (label, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line:?} breaks off"));
        assert!(label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{line:?}");
        let mut value = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().unwrap_or_else(|| panic!("{line:?} has an open quote")) {
                (at, '"') => break at + 1,
                (_, '\\') => value.push(match chars.next().unwrap().1 {
                    'n' => '\n',
                    other @ ('\\' | '"') => other,
                    other => panic!("{line:?} escapes {other:?}"),
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((label.to_owned(), value));
        rest = &after[end..];
        if let Some(after) = rest.strip_prefix(',') {
            assert!(!after.starts_with('}'), "{line:?}");
            rest = after;
        }
    }
}

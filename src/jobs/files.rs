//! Are the files that nodes are given what they were when the controller was started, and is here what comes from elsewhere?
//! Pure, on looks at them.

use std::collections::BTreeMap;

use crate::enrol::artefacts::{Goods, Standing};
use crate::model::chore::Found;

/// What is given out now, held against a new look at the folder.
pub fn judge(given: &Goods, now: &Goods) -> Found {
    let mut wrong = Vec::new();
    let mut count = 0_usize;
    for file in given.files() {
        count += 1;
        match now.files().find(|other| other.name == file.name) {
            None => wrong.push(format!("{} is gone, and nodes still ask for it: put it back", file.name)),
            Some(other) if other.sha256 != file.sha256 => wrong.push(format!(
                "{} has another content than at the start (SHA-256 {} instead of {}), so agents refuse it: put the old one \
                 back, or restart the controller",
                file.name, other.sha256, file.sha256
            )),
            Some(_) => {}
        }
    }
    let new = now.files().filter(|file| given.files().all(|other| other.name != file.name));
    let new: Vec<String> =
        new.map(|file| format!("{} is new; a restart of the controller takes it in", file.name)).collect();
    let found = if wrong.is_empty() {
        Found::well(format!("{count} artefacts are what they were"))
    } else {
        Found::unwell(format!("{} of {count} artefacts are not what they were", wrong.len()))
    };
    found.with(wrong.into_iter().chain(new).collect())
}

/// Are the files that come from elsewhere here, once each was tried? `sources` says where each comes from.
pub fn from_elsewhere(sources: &BTreeMap<String, String>, now: &Goods) -> Found {
    // What a person must look at comes before what is on its way.
    let (failed, comes): (Vec<_>, Vec<_>) =
        now.coming().iter().partition(|(_, coming)| matches!(coming.standing, Standing::Failed { .. }));
    let lacks = failed.len();
    let lines = failed.into_iter().chain(comes).map(|(name, coming)| coming.told(name));
    let here = sources.iter().filter(|(name, _)| now.find(name).is_some());
    let here: Vec<String> = here.map(|(name, url)| format!("{name} is here, from {url}")).collect();
    let count = sources.len();
    let found = match (lacks, now.coming().len()) {
        (0, 0) => Found::well(format!("{count} artefacts from elsewhere are here")),
        (0, comes) => Found::unwell(format!("{comes} of {count} artefacts from elsewhere are still on their way")),
        (lacks, _) => Found::unwell(format!("{lacks} of {count} artefacts from elsewhere cannot be had")),
    };
    found.with(lines.chain(here).collect())
}

/// Both looks in one.
pub fn both(one: Found, other: Found) -> Found {
    let (first, second) = if one.is_well { (other, one) } else { (one, other) };
    let says = format!("{}; {}", first.says, second.says);
    let found = if first.is_well && second.is_well { Found::well(says) } else { Found::unwell(says) };
    found.with(first.lines.into_iter().chain(second.lines).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrol::artefacts::Shelf;

    #[test]
    fn a_file_that_is_gone_changed_or_new_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        for name in ["a", "b", "c"] {
            write(name, name);
        }
        let given = Shelf::scan(folder.path()).unwrap().goods();
        assert_eq!(judge(&given, &given), Found::well("3 artefacts are what they were"));
        write("b", "other");
        write("d", "d");
        std::fs::remove_file(folder.path().join("c")).unwrap();
        let found = judge(&given, &Shelf::scan(folder.path()).unwrap().goods());
        assert_eq!((found.is_well, &*found.says), (false, "2 of 3 artefacts are not what they were"));
        assert!(found.lines[0].starts_with("b has another content"), "{found:?}");
        assert!(found.lines[1].starts_with("c is gone"), "{found:?}");
        assert!(found.lines[2].starts_with("d is new"), "{found:?}");
    }
}

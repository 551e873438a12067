//! Are the files that nodes are given what they were when the controller was started? Pure, on two looks at their folder.

use crate::enrol::artefacts::Shelf;
use crate::model::chore::Found;

/// What is given out now, held against a new look at the folder.
pub fn judge(given: &Shelf, now: &Shelf) -> Found {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_changed_or_new_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        for name in ["a", "b", "c"] {
            write(name, name);
        }
        let given = Shelf::scan(folder.path()).unwrap();
        assert_eq!(judge(&given, &given), Found::well("3 artefacts are what they were"));
        write("b", "other");
        write("d", "d");
        std::fs::remove_file(folder.path().join("c")).unwrap();
        let found = judge(&given, &Shelf::scan(folder.path()).unwrap());
        assert_eq!((found.is_well, &*found.says), (false, "2 of 3 artefacts are not what they were"));
        assert!(found.lines[0].starts_with("b has another content"), "{found:?}");
        assert!(found.lines[1].starts_with("c is gone"), "{found:?}");
        assert!(found.lines[2].starts_with("d is new"), "{found:?}");
    }
}

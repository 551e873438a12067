//! Is it time to give a system its licence, by what the system itself says? Pure.

use crate::config::rollout::Licence;

/// What a system says of its licence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Told {
    /// It has said nothing since its cluster was made or changed.
    #[default]
    Nothing,
    /// It answers, and does not say whether its licence is the one that it came with.
    Unknown,
    /// It has the one that it came with.
    Trial {
        /// Days until that runs out, where that is so.
        days_left: Option<f64>,
    },
    /// Somebody has given it one.
    Licensed,
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The licence that is set now, by its hash.
    pub set: Option<Box<str>>,
    /// What is to be known.
    pub note: Option<String>,
}

/// Decides. `known` is the hash of the one that was set by us.
pub fn due(wanted: Option<&Licence>, known: Option<&str>, told: Told) -> Due {
    let note = |text: String| Due { set: None, note: Some(text) };
    let Some(wanted) = wanted else {
        return match told {
            Told::Trial { days_left } => {
                let left = days_left.map(|days| format!(", which ends in {days} days")).unwrap_or_default();
                note(format!("no licence is configured: the system goes on as a trial{left}; name one as licence_file"))
            }
            Told::Nothing | Told::Unknown | Told::Licensed => Due::default(),
        };
    };
    let is_set = known == Some(&*wanted.sha256);
    match told {
        Told::Trial { .. } if is_set => {
            note("the licence of licence_file was set, and the system says that it goes on as a trial; ask the vendor".into())
        }
        _ if is_set => Due::default(),
        // Another file than before: somebody has put it there.
        _ if known.is_some() => Due { set: Some(wanted.sha256.clone()), note: None },
        Told::Trial { .. } | Told::Unknown => Due { set: Some(wanted.sha256.clone()), note: None },
        Told::Nothing => note("the licence waits until the gateway tells which one the system has".into()),
        Told::Licensed => note(
            "the system has a licence by another hand, so that of licence_file is not set; set it by hand if it shall take its place"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Hidden, Secret};

    #[test]
    fn a_licence_is_set_once_and_only_where_the_system_lacks_one() {
        let licence = Licence { text: Hidden(Secret::new("MIID")), sha256: "ab".into() };
        let trial = Told::Trial { days_left: Some(29.0) };
        for (known, told, set, words) in [
            (None, Told::Nothing, false, "waits until the gateway tells"),
            (None, trial, true, ""),
            (None, Told::Unknown, true, ""),
            (None, Told::Licensed, false, "by another hand"),
            (Some("ab"), Told::Licensed, false, ""),
            (Some("ab"), Told::Nothing, false, ""),
            (Some("ab"), trial, false, "was set, and the system says"),
            (Some("cd"), Told::Licensed, true, ""),
        ] {
            let due = due(Some(&licence), known, told);
            assert_eq!(due.set.is_some(), set, "{known:?} {told:?}");
            let note = due.note.unwrap_or_default();
            assert!(note.contains(words) && note.is_empty() == words.is_empty(), "{known:?} {told:?}: {note}");
            assert!(!note.contains("MIID"));
        }
        let without = due(None, None, trial).note.unwrap();
        assert!(without.contains("goes on as a trial, which ends in 29 days"), "{without}");
        assert_eq!(due(None, None, Told::Licensed), Due::default());
    }
}

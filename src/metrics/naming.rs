//! What is an object called in labels? Names that people gave, made unique
//! where people gave one twice, and safe to print whatever they hold.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

/// Hands out names that differ inside their parent. The first object with a
/// name keeps it, later ones get their id appended; objects come in the order
/// of their ids, so a name stays with its object from poll to poll.
#[derive(Default)]
pub(crate) struct Unique {
    taken: HashSet<String>,
}

impl Unique {
    /// The label of an object inside `parent`: its name (or address), or else
    /// its id.
    pub(crate) fn name(&mut self, parent: &str, called: Option<&str>, id: &dyn fmt::Display) -> String {
        let called = called.filter(|name| !name.is_empty());
        let mut name = called.map_or_else(|| id.to_string(), str::to_owned);
        // A NUL cannot be in a name the MDM accepts; were it, the worst is a
        // name that gets its id appended without need.
        while !self.taken.insert(format!("{parent}\0{name}")) {
            let _ = write!(name, "-{id}");
        }
        name
    }
}

/// Writes text as the value of a label: backslash, quote and line feed escaped.
pub(crate) struct Escaped<'a>(pub(crate) &'a mut Vec<u8>);

impl Escaped<'_> {
    /// Appends a piece of the value.
    pub(crate) fn push(&mut self, text: &str) {
        let bytes = text.as_bytes();
        if !bytes.iter().any(|byte| matches!(byte, b'\\' | b'"' | b'\n')) {
            self.0.extend_from_slice(bytes);
            return;
        }
        for byte in bytes {
            match byte {
                b'\\' => self.0.extend_from_slice(b"\\\\"),
                b'"' => self.0.extend_from_slice(b"\\\""),
                b'\n' => self.0.extend_from_slice(b"\\n"),
                other => self.0.push(*other),
            }
        }
    }
}

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// Writes a word of the MDM in snake case: `InMaintenance` as `in_maintenance`,
/// `HDD` as `hdd`, `NVMeHost` as `nvme_host`, `CRITICAL` as `critical`.
pub(crate) fn snake(word: &str, mut write: impl FnMut(char)) {
    let mut before: Option<char> = None;
    let mut letters = word.chars().peekable();
    let mut gap = false;
    let mut any = false;
    while let Some(letter) = letters.next() {
        if !letter.is_alphanumeric() {
            gap = any;
            before = None;
            continue;
        }
        let next_is_lower = letters.peek().is_some_and(|next| next.is_lowercase());
        let starts_word = letter.is_uppercase()
            && match before {
                Some(before) if before.is_uppercase() => next_is_lower && !short_tail(&letters),
                Some(before) => before.is_lowercase() || before.is_ascii_digit(),
                None => false,
            };
        if gap || starts_word {
            write('_');
        }
        for lower in letter.to_lowercase() {
            write(lower);
        }
        gap = false;
        any = true;
        before = Some(letter);
    }
}

/// Whether a single lower-case letter follows and then upper case again: the
/// `Me` of `NVMeHost` is no word of its own.
fn short_tail(letters: &std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut ahead = letters.clone().skip(1);
    ahead.next().is_some_and(char::is_uppercase)
}

/// [`snake`] as a text.
pub(crate) fn snaked(word: &str) -> String {
    let mut text = String::with_capacity(word.len() + 4);
    snake(word, |letter| text.push(letter));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_without_a_name_is_called_by_its_id() {
        let mut unique = Unique::default();
        assert_eq!(unique.name("", None, &"0a"), "0a");
        assert_eq!(unique.name("", Some(""), &"0b"), "0b");
    }

    #[test]
    fn later_ones_of_one_name_get_their_id_and_other_parents_do_not_matter() {
        let mut unique = Unique::default();
        assert_eq!(unique.name("p", Some("web"), &"01"), "web");
        assert_eq!(unique.name("p", Some("web"), &"02"), "web-02");
        assert_eq!(unique.name("q", Some("web"), &"03"), "web");
    }

    #[test]
    fn a_name_that_was_made_up_to_look_like_a_second_one_stays_apart_too() {
        let mut unique = Unique::default();
        let names: Vec<String> = [("web", "01"), ("web-03", "02"), ("web", "03")]
            .iter()
            .map(|(name, id)| unique.name("", Some(name), id))
            .collect();
        assert_eq!(names, ["web", "web-03", "web-03-03"]);
    }

    #[test]
    fn hostile_text_is_escaped() {
        let mut out = Vec::new();
        Escaped(&mut out).push("a\\b\"c\nd}é\0");
        assert_eq!(out, "a\\\\b\\\"c\\nd}é\0".as_bytes());
    }

    #[test]
    fn words_of_the_mdm_become_snake_case() {
        for (word, wanted) in [
            ("InMaintenance", "in_maintenance"),
            ("SetMaintenanceInProgress", "set_maintenance_in_progress"),
            ("ClusteredNormal", "clustered_normal"),
            ("HDD", "hdd"),
            ("NVMeHost", "nvme_host"),
            ("MDMFailed", "mdm_failed"),
            ("CRITICAL", "critical"),
            ("MDM_NOT_CLUSTERED", "mdm_not_clustered"),
            ("Mode5Nodes", "mode5_nodes"),
            ("already_snake", "already_snake"),
            ("with space\"and\nmore", "with_space_and_more"),
            ("", ""),
        ] {
            assert_eq!(snaked(word), wanted, "{word:?}");
        }
    }
}

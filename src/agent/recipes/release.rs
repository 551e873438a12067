//! Which version a package has, whatever tool writes it down.

use std::cmp::Ordering;
use std::fmt;

/// A version such as `3.6-100.101`: numbers, and nothing of the operating system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Release {
    numbers: Vec<u64>,
    text: String,
}

impl Release {
    /// Reads `3.6-100.101`, also with `.el7` or `.sle12.2` behind it. The tag
    /// of the operating system begins with a letter, and ends the version.
    pub fn read(text: &str) -> Option<Self> {
        let mut numbers = Vec::new();
        let mut end = 0;
        for part in text.split_inclusive(['.', '-']) {
            let digits = part.trim_end_matches(['.', '-']);
            let Ok(number) = digits.parse() else { break };
            numbers.push(number);
            end += part.len();
        }
        let text = text.get(..end)?.trim_end_matches(['.', '-']).to_owned();
        (numbers.len() >= 2).then_some(Self { numbers, text })
    }

    /// The first two numbers, which tell the generation.
    pub fn generation(&self) -> Option<crate::model::version::Generation> {
        let number = |at: usize| self.numbers.get(at).and_then(|number| u32::try_from(*number).ok());
        crate::model::version::Generation::of(number(0)?, number(1)?)
    }
}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| self.text.cmp(&other.text))
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operating_system_s_tag_is_no_part_of_a_version() {
        for (text, read) in [
            ("3.6-100.101.el7", "3.6-100.101"),
            ("2.0-14000.231.sle12.2", "2.0-14000.231"),
            ("2.0-13000.211.Ubuntu.16.04", "2.0-13000.211"),
            ("2.0-10000.2072", "2.0-10000.2072"),
            ("1.31-243.0.el7", "1.31-243.0"),
        ] {
            assert_eq!(Release::read(text).unwrap().to_string(), read);
        }
        assert_eq!(Release::read("latest"), None);
        assert_eq!(Release::read("3"), None);
        assert_eq!(Release::read(""), None);
    }

    #[test]
    fn versions_are_compared_by_numbers() {
        let read = |text| Release::read(text).unwrap();
        assert!(read("2.0-10000.2072") > read("2.0-5014.0"));
        assert!(read("3.6-100.101.el7") == read("3.6-100.101.el8"));
        assert!(read("3.5-1200.1") < read("3.6-100.101"));
    }
}

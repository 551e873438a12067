//! Which release of ScaleIO speaks. Components of one system may differ.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A release as components report it, such as `R2_6.11000.113`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProductVersion {
    text: Box<str>,
    major: u32,
    minor: u32,
}

impl ProductVersion {
    /// Reads `R2_6.11000.113`, also inside of `DellEMC ScaleIO Version: R2_6.11000.113`,
    /// and a bare `4.5.0.0`. Nothing is lost of a form we do not know: its
    /// text stays, and it has no generation.
    pub fn read(text: &str) -> Self {
        let last = text.rsplit(char::is_whitespace).find(|word| !word.is_empty()).unwrap_or("");
        let mut numbers = last.strip_prefix('R').unwrap_or(last).split(['_', '.', '-']).map(str::parse::<u32>);
        let (major, minor) = match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
            _ => (0, 0),
        };
        Self { text: last.into(), major, minor }
    }

    /// The release's own writing, without the product name before it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The generation this release belongs to; nothing when the text was not understood.
    pub fn generation(&self) -> Option<Generation> {
        Generation::of(self.major, self.minor)
    }
}

impl fmt::Display for ProductVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for ProductVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ProductVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Ok(Self::read(&text))
    }
}

/// A release as the MDM and its servers write it, `R3_6.700.103`, also when people or packages wrote `3.6.700.103` or
/// `3.6-700.103`. What is not made of numbers stays as it is.
pub fn as_reported(text: &str) -> Box<str> {
    match numbers(text) {
        Some((first, rest)) => format!("R{first}_{}", rest.join(".")).into(),
        None => text.trim().into(),
    }
}

/// The same release as names of packages write it, `3.6-700.103`.
pub fn as_packaged(text: &str) -> Box<str> {
    match numbers(text) {
        Some((first, rest)) => match rest.split_first() {
            Some((second, [])) => format!("{first}.{second}").into(),
            Some((second, rest)) => format!("{first}.{second}-{}", rest.join(".")).into(),
            None => first.into(),
        },
        None => text.trim().into(),
    }
}

/// The first number and the others, of a release that has at least two.
fn numbers(text: &str) -> Option<(&str, Vec<&str>)> {
    let text = text.trim();
    let parts: Vec<&str> = text.strip_prefix('R').unwrap_or(text).split(['_', '.', '-']).collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.split_first() {
        Some((first, rest)) if !rest.is_empty() && parts.iter().all(is_number) => Some((first, rest.to_vec())),
        _ => None,
    }
}

/// Releases that speak alike. Later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Generation {
    /// ScaleIO 2.0: the first with an MDM cluster of three or five.
    #[serde(rename = "2.0")]
    V2_0,
    /// ScaleIO 2.5 and VxFlex OS 2.6.
    #[serde(rename = "2.5")]
    V2_5,
    /// VxFlex OS 3.0: fine granularity, snapshot policies, latencies seen by SDCs.
    #[serde(rename = "3.0")]
    V3_0,
    /// PowerFlex 3.5 and 3.6: replication, protected maintenance mode.
    #[serde(rename = "3.5")]
    V3_5,
    /// PowerFlex 4.x: behind PowerFlex Manager, bearer tokens, NVMe over TCP.
    #[serde(rename = "4.x")]
    V4,
    /// PowerFlex 5.x.
    #[serde(rename = "5.x")]
    V5,
}

impl Generation {
    /// The generation of a release number.
    pub const fn of(major: u32, minor: u32) -> Option<Self> {
        match (major, minor) {
            (2, 0..=4) => Some(Self::V2_0),
            (2, _) => Some(Self::V2_5),
            (3, 0..=4) => Some(Self::V3_0),
            (3, _) => Some(Self::V3_5),
            (4, _) => Some(Self::V4),
            (5.., _) => Some(Self::V5),
            _ => None,
        }
    }

    /// How people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2_0 => "2.0",
            Self::V2_5 => "2.5",
            Self::V3_0 => "3.0",
            Self::V3_5 => "3.5",
            Self::V4 => "4.x",
            Self::V5 => "5.x",
        }
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_seen_in_the_field_are_read() {
        for (text, short, generation) in [
            ("EMC ScaleIO Version: R2_0.13000.211", "R2_0.13000.211", Some(Generation::V2_0)),
            ("R2_5.0.254", "R2_5.0.254", Some(Generation::V2_5)),
            ("DellEMC ScaleIO Version: R2_6.11000.113", "R2_6.11000.113", Some(Generation::V2_5)),
            ("R3_0.200.104", "R3_0.200.104", Some(Generation::V3_0)),
            ("DellEMC PowerFlex Version: R3_6.0.0", "R3_6.0.0", Some(Generation::V3_5)),
            ("DellEMC PowerFlex Version: R4_5.4000.111", "R4_5.4000.111", Some(Generation::V4)),
            ("4.5", "4.5", Some(Generation::V4)),
            ("5.1.0", "5.1.0", Some(Generation::V5)),
            ("something new", "new", None),
            ("", "", None),
        ] {
            let version = ProductVersion::read(text);
            assert_eq!((version.as_str(), version.generation()), (short, generation), "{text:?}");
        }
    }

    #[test]
    fn one_release_is_one_text_whoever_wrote_it() {
        for text in ["R3_6.700.103", "3.6.700.103", " 3.6-700.103 "] {
            assert_eq!((&*as_reported(text), &*as_packaged(text)), ("R3_6.700.103", "3.6-700.103"), "{text}");
        }
        for odd in ["half", "R3", "", "3.6-beta", "3..6"] {
            assert_eq!((&*as_reported(odd), &*as_packaged(odd)), (odd, odd));
        }
    }
}

//! Which disks and which nodes does the configuration mean?

use std::fmt;

use crate::config::rollout::{DiskFilter, DiskMedia, NodeRule};
use crate::model::unit::Bytes;

use super::desired::{Disk, Host, STABLE};

/// Why the filter leaves a disk alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtered {
    /// A pattern of `deny` fits it.
    Denied,
    /// No pattern of `allow` fits it.
    NotAllowed,
    /// It is smaller than `min_size`.
    Small(Bytes),
    /// It is larger than `max_size`.
    Large(Bytes),
    /// It turns or not, unlike `media` says.
    Media,
    /// It has another name than when it was seen first, or one that another disk had, and none that stays.
    Moved,
    /// It has no name that stays, and the configuration asks for one.
    NoStableName,
    /// Another disk tells the same world wide name: both are ways to one disk.
    Twin,
}

/// Why a disk is left alone; none: it may be taken.
pub fn judge(filter: &DiskFilter, disk: &Disk) -> Option<Filtered> {
    if let Some(held) = disk.held {
        return Some(held);
    }
    let fits = |patterns: &[Box<str>]| {
        let names = std::iter::once(&disk.path).chain(&disk.aliases);
        names.into_iter().any(|name| patterns.iter().any(|pattern| glob(pattern, name)))
    };
    if fits(&filter.deny) {
        return Some(Filtered::Denied);
    }
    if !filter.allow.is_empty() && !fits(&filter.allow) {
        return Some(Filtered::NotAllowed);
    }
    if disk.size < filter.min_size {
        return Some(Filtered::Small(disk.size));
    }
    if filter.max_size.is_some_and(|max| disk.size > max) {
        return Some(Filtered::Large(disk.size));
    }
    match filter.media {
        DiskMedia::Any => None,
        DiskMedia::Hdd => (!disk.rotational).then_some(Filtered::Media),
        DiskMedia::Ssd => disk.rotational.then_some(Filtered::Media),
    }
}

/// The name by which the MDM gets to know a disk that may be taken: a name that stays, where a pattern speaks of those.
pub fn name<'a>(filter: &DiskFilter, disk: &'a Disk) -> &'a str {
    let mut stable = disk.aliases.iter().map(|name| &**name).filter(|name| name.starts_with(STABLE));
    let is_meant = |name: &&str| {
        let mut patterns = filter.allow.iter().filter(|pattern| pattern.starts_with(STABLE));
        patterns.any(|pattern| glob(pattern, name))
    };
    stable.find(is_meant).map_or(&disk.path, |name| disk.named(name))
}

/// Whether a rule selects a node: one of its names fits, and so do all of its attributes.
/// A rule without either selects none; the configuration refuses it.
pub fn selects(rule: &NodeRule, host: &Host) -> bool {
    let named = rule.hosts.is_empty() || rule.hosts.iter().any(|pattern| glob(pattern, host.name.as_str()));
    let said = rule
        .attributes
        .iter()
        .all(|(name, pattern)| host.attributes.get(name).is_some_and(|value| glob(pattern, value)));
    (!rule.hosts.is_empty() || !rule.attributes.is_empty()) && named && said
}

/// Whether a rule means a node by its very name.
pub fn names(rule: &NodeRule, host: &Host) -> bool {
    rule.hosts.iter().any(|pattern| **pattern == *host.name.as_str())
}

/// `*` stands for any characters, `?` for one; the rest means itself.
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // The last star, and where the text stood when it was met.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[from] => {
                at += 1;
                from += 1;
            }
            Some(_) | None => {
                let Some((place, met)) = star else { return false };
                star = Some((place, met + 1));
                at = place + 1;
                from = met + 1;
            }
        }
    }
    pattern[at..].iter().all(|left| *left == '*')
}

impl fmt::Display for Filtered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("is denied"),
            Self::NotAllowed => f.write_str("is not among the allowed ones"),
            Self::Small(size) => write!(f, "is too small ({size})"),
            Self::Large(size) => write!(f, "is too large ({size})"),
            Self::Media => f.write_str("is of the other media type"),
            Self::Moved => f.write_str(
                "has not the name that it was seen with first, or one that another disk had, and none below /dev/disk/by-id \
                 that stays",
            ),
            Self::NoStableName => f.write_str("has no name below /dev/disk/by-id, which device_names asks for"),
            Self::Twin => f.write_str("is told a second time under another name; set up multipath, so that it is one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_and_a_question_mark_for_one() {
        for (pattern, text, fits) in [
            ("/dev/sd*", "/dev/sdb", true),
            ("/dev/sd?", "/dev/sdba", false),
            ("*b*a*", "xbyya", true),
            ("*b*a", "xbyyab", false),
            ("", "", true),
            ("*", "", true),
            ("a", "", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_disk_is_left_alone_with_its_reason() {
        let disk = Disk {
            path: "/dev/sdb".into(),
            aliases: ["/dev/disk/by-id/wwn-1".into()].into(),
            size: Bytes::from_gib(200),
            now: None,
            rotational: true,
            is_device: false,
            held: None,
        };
        let filter = DiskFilter::default();
        assert_eq!(judge(&filter, &disk), None);
        // An alias is enough to deny a disk, and to allow it.
        let deny = DiskFilter { deny: vec!["*/wwn-1".into()], ..filter.clone() };
        assert_eq!(judge(&deny, &disk), Some(Filtered::Denied));
        let both = DiskFilter { allow: vec!["/dev/sd*".into()], ..deny };
        assert_eq!(judge(&both, &disk), Some(Filtered::Denied), "deny wins");
        let allow = DiskFilter { allow: vec!["/dev/nvme*".into()], ..filter.clone() };
        assert_eq!(judge(&allow, &disk), Some(Filtered::NotAllowed));
        let small = DiskFilter { min_size: Bytes::from_gib(201), ..filter.clone() };
        assert_eq!(judge(&small, &disk), Some(Filtered::Small(disk.size)));
        let large = DiskFilter { max_size: Some(Bytes::from_gib(199)), ..filter.clone() };
        assert_eq!(judge(&large, &disk), Some(Filtered::Large(disk.size)));
        let ssd = DiskFilter { media: DiskMedia::Ssd, ..filter };
        assert_eq!(judge(&ssd, &disk), Some(Filtered::Media));
        let held = Disk { held: Some(Filtered::Twin), ..disk };
        assert_eq!(judge(&DiskFilter::default(), &held), Some(Filtered::Twin), "whatever the filter says");
    }

    #[test]
    fn a_disk_is_given_by_a_name_that_stays_where_a_pattern_speaks_of_those() {
        let disk = Disk {
            path: "/dev/sdb".into(),
            aliases: ["/dev/disk/by-id/wwn-1".into(), "/dev/disk/by-path/p1".into()].into(),
            now: None,
            size: Bytes::from_gib(200),
            rotational: true,
            is_device: false,
            held: None,
        };
        let by = |pattern: &str| DiskFilter { allow: vec![pattern.into()], ..DiskFilter::default() };
        assert_eq!(name(&DiskFilter::default(), &disk), "/dev/sdb");
        assert_eq!(name(&by("*"), &disk), "/dev/sdb", "it speaks of any name");
        assert_eq!(name(&by("/dev/disk/by-id/wwn-*"), &disk), "/dev/disk/by-id/wwn-1");
        assert_eq!(name(&by("/dev/disk/by-path/*"), &disk), "/dev/disk/by-path/p1");
        let device = Disk { is_device: true, ..disk };
        assert_eq!(name(&by("/dev/disk/by-id/wwn-*"), &device), "/dev/sdb", "the MDM knows it already");
    }
}

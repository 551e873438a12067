//! When is a clock, a disk or the mode of a file good enough? Pure.

use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use serde::Deserialize;

use super::finding::Finding;
use crate::model::unit::{Bytes, Timestamp};

/// Answers take a moment, and dates in headers have whole seconds.
const SKEW_UNSEEN: Duration = Duration::from_secs(5);
/// Permits, silences and links to acknowledge are times of this order.
const SKEW_HARMFUL: Duration = Duration::from_secs(120);

/// An outbox and some hours of history; less than this and the next commit may be the last.
const SPACE_LEAST: u64 = 100 << 20;
/// A week of histories of a large system.
const SPACE_WISHED: u64 = 1 << 30;
const FILES_WISHED: u64 = 1_000;

/// What the clock at the other end says, by the `Date` of its answer.
pub(super) fn clock(whom: &str, date: Option<&str>, now: Timestamp) -> Option<Finding> {
    let theirs = DateTime::parse_from_rfc2822(date?).ok()?;
    let ahead = (now - theirs.to_utc()).num_seconds();
    let apart = Duration::from_secs(ahead.unsigned_abs());
    let (what, shown) = (format!("clock of {whom}"), humantime::format_duration(apart));
    if apart <= SKEW_UNSEEN {
        return Some(Finding::ok(what, "as ours"));
    }
    let says = format!("{shown} {} ours", if ahead > 0 { "behind" } else { "ahead of" });
    let mend = "let both ends take the time from NTP (chronyc tracking, timedatectl)";
    Some(if apart < SKEW_HARMFUL { Finding::warn(what, says, mend) } else { Finding::fail(what, says, mend) })
}

/// Room where state is kept.
pub(super) fn space(folder: &str, free: u64, files: Option<u64>) -> Finding {
    let (what, says) = (format!("space in {folder}"), format!("{} free", Bytes::new(free)));
    let mend = "make room: state that cannot be written ends the controller";
    match files {
        _ if free < SPACE_LEAST => Finding::fail(what, says, mend),
        Some(files) if files < FILES_WISHED => {
            Finding::warn(what, format!("{says}, and room for {files} more files"), "remove files: the inodes run out")
        }
        _ if free < SPACE_WISHED => Finding::warn(what, says, mend),
        _ => Finding::ok(what, says),
    }
}

/// Who may read or change a file: mode and owner, of it and of its folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    pub(super) mode: u32,
    pub(super) owner: u32,
    pub(super) folder_mode: u32,
    /// Who runs the controller.
    pub(super) us: u32,
}

/// Whether only those see a secret who must.
pub(super) fn secret(path: &str, guard: Guard) -> Finding {
    let what = format!("secret {path}");
    let mode = format!("mode {:04o}", guard.mode & 0o7777);
    if guard.mode & 0o004 != 0 {
        Finding::fail(
            what,
            format!("{mode}: every user of this host reads it"),
            &format!("chmod 600 {path}, and change the secret"),
        )
    } else if guard.mode & 0o022 != 0 {
        Finding::fail(what, format!("{mode}: others can change it"), &format!("chmod 600 {path}"))
    } else if guard.folder_mode & 0o002 != 0 && guard.folder_mode & 0o1000 == 0 {
        Finding::fail(what, "everybody can put another file in its place", "chmod o-w on its folder")
    } else if guard.owner != 0 && guard.owner != guard.us {
        let says = format!("{mode}, owned by user {}", guard.owner);
        Finding::warn(what, says, "let root or the user that runs the controller own it")
    } else {
        Finding::ok(what, mode)
    }
}

/// How the framework stands at Mesos, as a controller that runs tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Framework {
    cluster: String,
    registration: Registration,
    /// What a person must do, where only a person can.
    mend: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
enum Registration {
    Disconnected {
        error: Option<String>,
        failures: u32,
    },
    Registered {
        master: String,
    },
    Removed {
        error: String,
    },
    Superseded,
    /// Of another release.
    #[serde(other)]
    Unknown,
}

/// Whether the framework is registered.
pub(super) fn framework(standing: &Framework) -> Finding {
    let (what, cluster) = ("controller: Mesos", &standing.cluster);
    let mend = standing.mend.as_deref().unwrap_or_default();
    match &standing.registration {
        Registration::Registered { master } => Finding::ok(what, format!("registered at {master} ({cluster})")),
        Registration::Disconnected { error: None, .. } => {
            Finding::warn(what, format!("not registered yet at {cluster}"), "look again in half a minute")
        }
        Registration::Disconnected { error: Some(error), failures } => {
            let says = format!("not registered at {cluster}, failures in a row: {failures}; the last: {error}");
            Finding::fail(what, says, "see what is said of mesos in the other lines")
        }
        Registration::Removed { error } => {
            Finding::fail(what, format!("its framework was removed by the masters of {cluster}: {error}"), mend)
        }
        Registration::Superseded => {
            Finding::fail(what, format!("another controller took its place at {cluster}"), mend)
        }
        Registration::Unknown => {
            Finding::warn(what, "it tells of a state that this release does not know", "use the sio of its release")
        }
    }
}

/// What lies in the cache of sources and is of none of them.
pub(super) fn unnamed(cache: &Path, files: &[(String, u64)], named: &[&str]) -> Option<Finding> {
    // What came so far of a file, and its signature, lie beside it under its name.
    let of = |file: &str, name: &str| {
        let beside = |rest: &str| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
        file == name || file.strip_prefix('.').is_some_and(beside)
    };
    let left: Vec<&(String, u64)> = files.iter().filter(|(file, _)| !named.iter().any(|name| of(file, name))).collect();
    if left.is_empty() {
        return None;
    }
    let room = Bytes::new(left.iter().map(|(_, size)| size).sum());
    let names = left.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>().join(", ");
    let says = format!("{room} in {} are of no artefacts.sources: {names}", cache.display());
    let mend = "remove them, unless an upgrade may have to go back to one; then name it again";
    Some(Finding::warn("artefacts", says, mend))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_from_ours() {
        let now = "2026-11-24T12:00:00Z".parse().unwrap();
        let level = |date| clock("a", Some(date), now).map(|finding| (finding.level, finding.says));
        assert_eq!(level("Tue, 24 Nov 2026 12:00:04 GMT"), Some((Level::Ok, "as ours".to_owned())));
        assert_eq!(level("Tue, 24 Nov 2026 12:00:30 GMT"), Some((Level::Warn, "30s ahead of ours".to_owned())));
        assert_eq!(level("Tue, 24 Nov 2026 11:50:00 GMT"), Some((Level::Fail, "10m behind ours".to_owned())));
        assert_eq!(level("yesterday"), None, "what cannot be read says nothing");
        assert!(clock("a", None, now).is_none());
    }

    #[test]
    fn little_room_is_told_before_it_ends() {
        let level = |free, files| space("/var", free, files).level;
        assert_eq!(level(99 << 20, Some(1 << 20)), Level::Fail);
        assert_eq!(level(101 << 20, Some(1 << 20)), Level::Warn);
        assert_eq!(level(2 << 30, Some(999)), Level::Warn);
        assert_eq!(level(2 << 30, None), Level::Ok, "btrfs counts no inodes");
    }

    #[test]
    fn what_is_fetched_no_more_is_told_with_the_room_it_takes() {
        let file = |name: &str, size| (name.to_owned(), size);
        let mut files =
            vec![file("sds-3.6.rpm", 5), file(".sds-3.6.rpm.0a1b.part", 3), file(".sds-3.6.rpm.0a1b.sig", 1)];
        let seen = |files: &[(String, u64)]| unnamed(Path::new("/c"), files, &["mdm.rpm", "sds-3.6.rpm"]);
        assert!(seen(&files).is_none());
        files.extend([file("sds-3.0.rpm", 1024), file(".sds-3.6-old.0a1b.part", 512)]);
        let told = seen(&files).unwrap();
        let says = "1.5 KiB in /c are of no artefacts.sources: sds-3.0.rpm, .sds-3.6-old.0a1b.part";
        assert_eq!((told.level, told.says.as_str()), (Level::Warn, says));
    }

    #[test]
    fn a_secret_is_for_its_owner_and_group_alone() {
        let good = Guard { mode: 0o100_640, owner: 0, folder_mode: 0o40_750, us: 990 };
        let level = |guard| secret("/p", guard).level;
        assert_eq!(level(good), Level::Ok);
        assert_eq!(level(Guard { owner: 990, ..good }), Level::Ok);
        assert_eq!(level(Guard { mode: 0o100_644, ..good }), Level::Fail);
        assert_eq!(level(Guard { mode: 0o100_660, ..good }), Level::Fail);
        assert_eq!(level(Guard { folder_mode: 0o40_777, ..good }), Level::Fail);
        assert_eq!(level(Guard { folder_mode: 0o41_777, ..good }), Level::Ok, "as /tmp");
        assert_eq!(level(Guard { owner: 1000, ..good }), Level::Warn);
    }

    #[test]
    fn a_framework_that_is_not_registered_says_what_to_do() {
        use crate::model::framework::{FrameworkStatus, Registration as Ours};
        let seen = |registration: Ours| {
            let status = FrameworkStatus {
                cluster: "lab".into(),
                framework: None,
                mend: registration.mend(),
                registration,
                is_suppressed: false,
                unanswered: 0,
                tasks: BTreeMap::new(),
                agents: BTreeMap::new(),
            };
            let finding = framework(&serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap());
            (finding.level, format!("{} -> {}", finding.says, finding.mend.unwrap_or_default()))
        };
        let registered = Ours::Registered { master: "http://m:5050".into(), heard_at: Timestamp::default() };
        assert_eq!(seen(registered), (Level::Ok, "registered at http://m:5050 (lab) -> ".to_owned()));
        let (level, says) = seen(Ours::Removed { error: "Framework has been removed".into() });
        assert!(level == Level::Fail && says.contains("sio framework register-anew"), "{says}");
        let (level, says) = seen(Ours::Superseded);
        assert!(level == Level::Fail && says.contains("stop one of the two"), "{says}");
        let (level, says) = seen(Ours::Disconnected { error: Some("refused".into()), failures: 3 });
        assert!(level == Level::Fail && says.contains("failures in a row: 3; the last: refused"), "{says}");
        assert_eq!(seen(Ours::Disconnected { error: None, failures: 0 }).0, Level::Warn);
        let newer = serde_json::json!({ "cluster": "lab", "registration": { "state": "dreaming" }, "more": 1 });
        assert_eq!(framework(&serde_json::from_value(newer).unwrap()).level, Level::Warn);
    }
}

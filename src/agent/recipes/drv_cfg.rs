//! What an SDC knows of MDMs, how it is told, and where that is kept.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::agent::host::Call;
use crate::model::command::Evidence;

/// Where the program is; older releases have the second.
pub const PROGRAMS: [&str; 2] = ["/opt/emc/scaleio/sdc/bin/drv_cfg", "/bin/emc/scaleio/drv_cfg"];

/// Where it keeps what it knows. Which one a release has, the node says.
pub const FILES: [&str; 2] = ["/etc/emc/scaleio/drv_cfg.txt", "/bin/emc/scaleio/drv_cfg.txt"];

/// How well these commands are known.
pub const MARK: Evidence = Evidence::Seen;

/// A system that an SDC was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The system's id; none when it never answered.
    pub system: Option<String>,
    /// Its managers.
    pub mdms: Vec<IpAddr>,
}

/// Asks which systems an SDC knows.
pub fn query(program: &str) -> Call {
    Call::new(program, ["--query_mdms"])
}

/// Reads the answer. The error says what was not understood.
pub fn read(text: &str) -> Result<Vec<Known>, String> {
    let unclear = || format!("drv_cfg --query_mdms said what we do not understand: {:?}", text.trim());
    let first = text.lines().find(|line| line.starts_with("Retrieved ")).ok_or_else(unclear)?;
    let count = first.split_whitespace().nth(1).and_then(|word| word.parse::<usize>().ok()).ok_or_else(unclear)?;
    let known: Vec<Known> = text.lines().filter_map(|line| known(line.trim())).collect();
    if known.len() == count { Ok(known) } else { Err(unclear()) }
}

fn known(line: &str) -> Option<Known> {
    let mut words = line.strip_prefix("MDM-ID ")?.split_whitespace();
    let id = words.next()?;
    // `[0]-192.0.2.1`
    let mdms = words.filter_map(|word| word.strip_prefix('[')?.split_once("]-")?.1.parse().ok()).collect();
    let never = id.bytes().all(|byte| byte == b'0');
    Some(Known { system: (!never).then(|| id.to_owned()), mdms })
}

/// How an SDC's knowledge stands to what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It knows all of them, and all have answered.
    Connected,
    /// It knows all of them; some have not answered yet.
    Waiting(String),
    /// It must be told.
    Tell(Vec<Change>),
}

/// One thing to tell an SDC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A system it does not know.
    Add(Vec<IpAddr>),
    /// A system whose managers changed; the first address is one it knows.
    Replace(IpAddr, Vec<IpAddr>),
}

/// Compares. Systems that are known and not wanted are left alone: others may use them.
pub fn compare(known: &[Known], wanted: &[Vec<IpAddr>]) -> Verdict {
    let mut changes = Vec::new();
    let mut silent = Vec::new();
    for list in wanted {
        let set: BTreeSet<&IpAddr> = list.iter().collect();
        let found = known.iter().find(|one| one.mdms.iter().any(|ip| set.contains(ip)));
        match found {
            None => changes.push(Change::Add(list.clone())),
            Some(one) if one.mdms.iter().collect::<BTreeSet<_>>() != set => {
                let shared = one.mdms.iter().find(|ip| set.contains(ip)).or(one.mdms.first());
                changes.extend(shared.map(|ip| Change::Replace(*ip, list.clone())));
            }
            Some(one) if one.system.is_none() => silent.push(addresses(list)),
            Some(_) => {}
        }
    }
    if !changes.is_empty() {
        Verdict::Tell(changes)
    } else if silent.is_empty() {
        Verdict::Connected
    } else {
        Verdict::Waiting(format!("the SDC has had no answer yet from the MDM at {}", silent.join(" and ")))
    }
}

/// The command for a change. Without its file the change is lost at a reboot.
pub fn tell(program: &str, change: &Change, file: &str) -> Call {
    match change {
        Change::Add(list) => Call::new(program, ["--add_mdm", "--ip", &addresses(list), "--file", file]),
        Change::Replace(old, list) => {
            let (old, new) = (old.to_string(), addresses(list));
            Call::new(program, ["--mod_mdm_ip", "--ip", &old, "--new_mdm_ip", &new, "--file", file])
        }
    }
}

/// Whether the file, which is what the next boot reads, names all of them.
pub fn is_kept(text: &str, wanted: &[Vec<IpAddr>]) -> bool {
    let lists: Vec<BTreeSet<IpAddr>> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("mdm "))
        .map(|list| list.split(',').filter_map(|ip| ip.trim().parse().ok()).collect())
        .collect();
    wanted.iter().all(|list| lists.contains(&list.iter().copied().collect()))
}

fn addresses(list: &[IpAddr]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(text: &str) -> Vec<IpAddr> {
        text.split(',').map(|ip| ip.parse().unwrap()).collect()
    }

    const TWO: &str = "Retrieved 2 mdm(s)\n\
        MDM-ID 4c8a0b2300000001 SDC ID 5d00000000000001 INSTALLATION ID 1234567890abcdef IPs [0]-192.0.2.1 [1]-192.0.2.2\n\
        MDM-ID 0000000000000000 SDC ID 0000000000000000 INSTALLATION ID 0000000000000000 IPs [0]-198.51.100.1\n";

    #[test]
    fn the_answer_is_read_and_a_system_that_never_answered_has_no_id() {
        let known = read(TWO).unwrap();
        assert_eq!(known[0], Known { system: Some("4c8a0b2300000001".to_owned()), mdms: ips("192.0.2.1,192.0.2.2") });
        assert_eq!(known[1], Known { system: None, mdms: ips("198.51.100.1") });
        assert_eq!(read("Retrieved 0 mdm(s)\n").unwrap(), []);
        for unclear in ["", "Failed to open driver", "Retrieved 1 mdm(s)\n", "Retrieved x mdm(s)"] {
            assert!(read(unclear).is_err(), "{unclear:?}");
        }
    }

    #[test]
    fn only_what_differs_is_told_and_strangers_are_left_alone() {
        let known = read(TWO).unwrap();
        assert_eq!(compare(&known, &[ips("192.0.2.2,192.0.2.1")]), Verdict::Connected);
        assert!(
            matches!(compare(&known, &[ips("198.51.100.1")]), Verdict::Waiting(why) if why.contains("198.51.100.1"))
        );
        let moved = Change::Replace("192.0.2.2".parse().unwrap(), ips("192.0.2.2,192.0.2.3"));
        assert_eq!(compare(&known, &[ips("192.0.2.2,192.0.2.3")]), Verdict::Tell(vec![moved.clone()]));
        let new = Change::Add(ips("203.0.113.9"));
        assert_eq!(compare(&known, &[ips("203.0.113.9")]), Verdict::Tell(vec![new.clone()]));
        assert_eq!(tell("drv_cfg", &new, "F").shown(), "drv_cfg --add_mdm --ip 203.0.113.9 --file F");
        assert_eq!(
            tell("drv_cfg", &moved, "F").shown(),
            "drv_cfg --mod_mdm_ip --ip 192.0.2.2 --new_mdm_ip 192.0.2.2,192.0.2.3 --file F"
        );
    }

    #[test]
    fn what_the_next_boot_reads_is_looked_at_too() {
        let file = "ini_guid 0d1e\nmdm 192.0.2.1,192.0.2.2\n";
        assert!(is_kept(file, &[ips("192.0.2.2,192.0.2.1")]));
        assert!(!is_kept(file, &[ips("192.0.2.1")]));
        assert!(!is_kept("", &[ips("192.0.2.1")]));
    }
}

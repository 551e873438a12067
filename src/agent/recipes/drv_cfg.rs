//! What an SDC knows of MDMs, how it is told, and where that is kept.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::agent::host::Call;
use crate::model::command::Evidence;
use crate::model::order::KnownAs;

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

/// What an SDC shall know of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim<'a> {
    /// The addresses: those that are wanted, or its own, by which it reaches the system as well.
    pub list: Vec<IpAddr>,
    /// What it knows of it.
    entry: Option<&'a Known>,
}

/// What an SDC shall know, by what it knows. Systems that are known and not wanted are left alone: others may use them.
pub fn aims<'a>(entries: &'a [Known], wanted: &[Vec<IpAddr>], known: &[KnownAs]) -> Vec<Aim<'a>> {
    wanted.iter().enumerate().map(|(at, list)| aim(entries, list, known.get(at))).collect()
}

fn aim<'a>(entries: &'a [Known], wanted: &[IpAddr], known: Option<&KnownAs>) -> Aim<'a> {
    let is_id = |id: &str| known.is_some_and(|known| known.system.eq_ignore_ascii_case(id));
    let is_its = |one: &&Known| one.system.as_deref().is_some_and(is_id);
    let is_among = |ip: &IpAddr| wanted.contains(ip) || known.is_some_and(|known| known.at.contains(ip));
    // Whoever set it up may have named other addresses, of which none is gone. One that lacks some of what is
    // wanted and has nothing else is completed.
    let reaches =
        |one: &&Known| is_its(one) && one.mdms.iter().all(is_among) && one.mdms.iter().any(|ip| !wanted.contains(ip));
    let its: Vec<&Known> = entries.iter().filter(is_its).collect();
    let as_wanted = its.iter().copied().find(|one| is_same(&one.mdms, wanted));
    if let Some(entry) = as_wanted.or_else(|| its.iter().copied().find(reaches)) {
        return Aim {
            list: if as_wanted.is_some() { wanted.to_vec() } else { entry.mdms.clone() },
            entry: Some(entry),
        };
    }
    // One that never answered has no id.
    let by_address = || entries.iter().find(|one| one.mdms.iter().any(is_among));
    Aim { list: wanted.to_vec(), entry: its.first().copied().or_else(by_address) }
}

fn is_same(one: &[IpAddr], other: &[IpAddr]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect()
}

/// Compares what is known with what shall be.
pub fn compare(aims: &[Aim<'_>]) -> Verdict {
    let mut changes = Vec::new();
    let mut silent = Vec::new();
    for Aim { list, entry } in aims {
        match entry {
            None => changes.push(Change::Add(list.clone())),
            Some(one) if !is_same(&one.mdms, list) => {
                let shared = one.mdms.iter().find(|ip| list.contains(ip)).or(one.mdms.first());
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
pub fn is_kept(text: &str, aims: &[Aim<'_>]) -> bool {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("mdm "));
    let lists: Vec<Vec<IpAddr>> =
        lines.map(|list| list.split(',').filter_map(|ip| ip.trim().parse().ok()).collect()).collect();
    aims.iter().all(|aim| lists.iter().any(|list| is_same(list, &aim.list)))
}

fn addresses(list: &[IpAddr]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

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
        let compare = |wanted: &str| compare(&aims(&known, &[ips(wanted)], &[]));
        assert_eq!(compare("192.0.2.2,192.0.2.1"), Verdict::Connected);
        assert!(matches!(compare("198.51.100.1"), Verdict::Waiting(why) if why.contains("198.51.100.1")));
        let moved = Change::Replace("192.0.2.2".parse().unwrap(), ips("192.0.2.2,192.0.2.3"));
        assert_eq!(compare("192.0.2.2,192.0.2.3"), Verdict::Tell(vec![moved.clone()]));
        let new = Change::Add(ips("203.0.113.9"));
        assert_eq!(compare("203.0.113.9"), Verdict::Tell(vec![new.clone()]));
        assert_eq!(tell("drv_cfg", &new, "F").shown(), "drv_cfg --add_mdm --ip 203.0.113.9 --file F");
        assert_eq!(
            tell("drv_cfg", &moved, "F").shown(),
            "drv_cfg --mod_mdm_ip --ip 192.0.2.2 --new_mdm_ip 192.0.2.2,192.0.2.3 --file F"
        );
    }

    #[test]
    fn a_system_is_known_by_its_id_and_stays_entered_as_whoever_set_it_up_has_entered_it() {
        const ID: &str = "4c8a0b2300000001";
        // The cluster has the managers 1 and 2, of which 2 was 9 before, and the virtual address 100.
        let by = KnownAs { system: ID.to_owned(), at: ips("192.0.2.1,192.0.2.2,192.0.2.100") };
        let virtual_ip = ips("192.0.2.100");
        let replaced = |old: &str| Verdict::Tell(vec![Change::Replace(old.parse().unwrap(), virtual_ip.clone())]);
        let entry = |id: &str, list: &str| Known { system: Some(id.to_owned()), mdms: ips(list) };
        for (known, verdict) in [
            // As it was set up, by addresses that live.
            (vec![entry(ID, "192.0.2.1,192.0.2.2")], Verdict::Connected),
            (vec![entry(ID, "192.0.2.1")], Verdict::Connected),
            (vec![entry(ID, "192.0.2.1,192.0.2.2,192.0.2.100")], Verdict::Connected),
            (vec![entry(ID, "192.0.2.100")], Verdict::Connected),
            // Entered twice, by what did not know the id: nothing more is told.
            (vec![entry(ID, "192.0.2.1,192.0.2.9"), entry(ID, "192.0.2.100")], Verdict::Connected),
            // An address that is gone.
            (vec![entry(ID, "192.0.2.1,192.0.2.9")], replaced("192.0.2.1")),
            (vec![entry(ID, "192.0.2.9")], replaced("192.0.2.9")),
            (vec![entry(ID, "192.0.2.9,192.0.2.100")], replaced("192.0.2.100")),
            // It never answered: it is found by an address, and gets those that are wanted.
            (vec![Known { system: None, mdms: ips("192.0.2.1,192.0.2.2") }], replaced("192.0.2.1")),
            // Another system.
            (vec![entry("5d", "198.51.100.1")], Verdict::Tell(vec![Change::Add(virtual_ip.clone())])),
        ] {
            assert_eq!(compare(&aims(&known, from_ref(&virtual_ip), from_ref(&by))), verdict, "{known:?}");
        }
        // Where there is none, all managers are wanted, and a part of them is completed.
        let (both, by) = (ips("192.0.2.1,192.0.2.2"), KnownAs { at: ips("192.0.2.1,192.0.2.2"), ..by });
        let known = [entry(ID, "192.0.2.2")];
        let completed = Verdict::Tell(vec![Change::Replace("192.0.2.2".parse().unwrap(), both.clone())]);
        assert_eq!(compare(&aims(&known, &[both], &[by])), completed);
    }

    #[test]
    fn what_the_next_boot_reads_is_looked_at_too() {
        let file = "ini_guid 0d1e\nmdm 192.0.2.1,192.0.2.2\n";
        let is_kept = |file: &str, wanted: &str| is_kept(file, &aims(&[], &[ips(wanted)], &[]));
        assert!(is_kept(file, "192.0.2.2,192.0.2.1"));
        assert!(!is_kept(file, "192.0.2.1"));
        assert!(!is_kept("", "192.0.2.1"));
    }
}

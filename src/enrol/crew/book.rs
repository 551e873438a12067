//! What changes when an agent reports, or when an order is asked for? Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Member, Members, NotTaken};
use crate::model::findings::Disk;
use crate::model::id::NodeName;
use crate::model::node::{FORM, NodeFacts};
use crate::model::order::{Finished, HostReport, Order, OrderId, Report};
use crate::model::step::{Component, StepId};
use crate::model::unit::Timestamp;

/// Outcomes that are kept of each node. Who gave an order hears of it at once;
/// these are for those who ask after a restart.
const OUTCOMES: usize = 16;

/// Of how many outcomes what was found is kept, the newest: whoever asks after a restart asks for one of the last orders,
/// and what was found is nearly all that an outcome takes.
const FOUND: usize = 4;

/// What an entry may hold: a little less than every store takes.
pub(super) const LARGEST: usize = 48 * 1024;

/// What follows from a report.
#[derive(Debug, PartialEq)]
pub(super) struct Heard {
    /// The node as it is now known.
    pub(super) member: Member,
    /// What is to be written down of it; none: it was a mere sign of life.
    pub(super) entry: Option<Vec<u8>>,
    /// Orders that are over; the agent may let go of them once that is durable.
    pub(super) over: Vec<Finished>,
}

/// Takes in what an agent says. One that has heard of a later epoch than `ours`, or that obeyed somebody while nothing is
/// known of it here, is another controller's.
pub(super) fn hear(before: Option<&Member>, node: &NodeName, report: Report, ours: u64, now: Timestamp) -> Heard {
    let mut member = before.cloned().unwrap_or_else(|| Member::new(node.clone()));
    let is_known = before.is_some_and(|before| before.facts.is_some() || before.order.is_some());
    member.stranger = member.stranger || report.epoch > ours || (!is_known && report.epoch > 0);
    member.facts = Some(facts(&report, now));
    member.host = report.host;
    member.release = report.release;
    member.program = report.program;
    member.working_on = report.working_on;
    member.out_of_work = report.out_of_work;
    member.papers_problem = report.papers_problem;
    for finished in &report.finished {
        if member.outcome(&finished.id).is_none() {
            member.outcomes.push(finished.clone());
        }
        if member.order.as_ref().is_some_and(|order| order.id == finished.id) {
            member.order = None;
            member.has_secrets = false;
        }
    }
    let is_news = before.is_none_or(|before| is_news(before, &mut member));
    let entry = is_news.then(|| fit(&mut member));
    Heard { member, entry, over: report.finished }
}

/// Whether a member is another one than before, but for when it was heard.
fn is_news(before: &Member, member: &mut Member) -> bool {
    let Some((facts, other)) = member.facts.as_mut().zip(before.facts.as_ref()) else { return *member != *before };
    let seen_at = std::mem::replace(&mut facts.seen_at, other.seen_at);
    let is_news = *member != *before;
    if let Some(facts) = &mut member.facts {
        facts.seen_at = seen_at;
    }
    is_news
}

/// What an order that is asked for leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// It was over before.
    Over(Finished),
    /// It is to be laid out, once the node as it is now known is durable, by this entry.
    LayOut(Box<Member>, Vec<u8>),
    /// It is laid out, or under way, already.
    Again,
}

/// Whether a node takes an order.
pub(super) fn ask(before: Option<&Member>, node: &NodeName, order: &Order) -> Result<Asked, NotTaken> {
    let mut member = before.cloned().unwrap_or_else(|| Member::new(node.clone()));
    if member.stranger {
        let theirs = member.facts.as_ref().map_or(0, |facts| facts.epoch);
        return Err(NotTaken::Stranger { node: node.clone(), theirs });
    }
    if let Some(finished) = member.outcome(&order.id) {
        return Ok(Asked::Over(finished.clone()));
    }
    match &member.order {
        Some(open) if open.id == order.id && open.task == order.task => {
            // A longer permit is as much news as a first one.
            if open.expires == order.expires && member.has_secrets != order.secrets.is_empty() {
                return Ok(Asked::Again);
            }
        }
        Some(open) if open.id == order.id => {
            return Err(NotTaken::Reused { node: node.clone(), id: order.id.clone() });
        }
        Some(open) => return Err(NotTaken::Busy { node: node.clone(), with: open.id.clone() }),
        None => {
            // An order that was taken back and is done all the same.
            if let Some(with) = member.working_on.as_ref().filter(|with| **with != order.id) {
                return Err(NotTaken::Busy { node: node.clone(), with: with.clone() });
            }
        }
    }
    member.has_secrets = !order.secrets.is_empty();
    member.order = Some(Order { secrets: Default::default(), ..order.clone() });
    let entry = fit(&mut member);
    Ok(Asked::LayOut(Box::new(member), entry))
}

/// Takes all over: the members as they are then, those that changed, and the highest epoch that was heard of.
pub(super) fn adopt(before: &Members) -> (Members, Vec<NodeName>, u64) {
    let mut next = before.clone();
    let mut nodes = Vec::new();
    for (node, member) in before.iter().filter(|(_, member)| member.stranger) {
        next.insert(node.clone(), Arc::new(Member { stranger: false, ..(**member).clone() }));
        nodes.push(node.clone());
    }
    let epochs = before.values().filter_map(|member| Some(member.facts.as_ref()?.epoch));
    let highest = epochs.max().unwrap_or(0);
    (next, nodes, highest)
}

/// Takes an order back; nothing when it is not laid out.
pub(super) fn take_back(before: &Member, id: &OrderId) -> Option<Member> {
    before.order.as_ref().filter(|open| open.id == *id)?;
    Some(Member { order: None, has_secrets: false, ..before.clone() })
}

/// The entry of a node.
pub(super) fn entry(member: &Member) -> Vec<u8> {
    // A member is made of maps with text keys and of numbers: writing it down cannot fail.
    serde_json::to_vec(member).unwrap_or_default()
}

/// Reads the entries of a folder; those that cannot be read are named.
pub(super) fn read<'a>(entries: impl Iterator<Item = (&'a str, &'a [u8])>) -> (Members, Vec<(String, String)>) {
    let (mut members, mut unreadable) = (Members::new(), Vec::new());
    for (key, value) in entries {
        match serde_json::from_slice::<Member>(value) {
            Ok(member) => drop(members.insert(member.node.clone(), Arc::new(member))),
            Err(error) => unreadable.push((key.to_owned(), error.to_string())),
        }
    }
    (members, unreadable)
}

/// Lets go of what is more than an entry may hold, the oldest first, and gives the entry.
fn fit(member: &mut Member) -> Vec<u8> {
    let surplus = member.outcomes.len().saturating_sub(OUTCOMES);
    member.outcomes.drain(..surplus);
    let old = member.outcomes.len().saturating_sub(FOUND);
    for outcome in member.outcomes.iter_mut().take(old) {
        outcome.found = BTreeMap::new();
    }
    loop {
        let bytes = entry(member);
        if bytes.len() <= LARGEST {
            return bytes;
        }
        if member.outcomes.len() > 1 {
            member.outcomes.remove(0);
            continue;
        }
        let Some(last) = member.outcomes.last_mut() else { return bytes };
        let Some(longest) = last.found.iter().max_by_key(|(_, text)| text.len()).map(|(name, _)| name.clone()) else {
            return bytes;
        };
        match last.found.get(&longest).and_then(|text| shorter(text)) {
            Some(short) => last.found.insert(longest, short),
            None => last.found.remove(&longest),
        };
    }
}

/// Signs of a reason that are kept where there is no place for more.
const BRIEF: usize = 80;

/// What was found of a disk in fewer words: a disk of which nothing is kept would be one that the host does not have.
fn shorter(text: &str) -> Option<String> {
    let disk: Disk = serde_json::from_str(text).ok()?;
    let cut = |why: &String| why.chars().take(BRIEF).collect::<String>();
    let brief = Disk { not_free: disk.not_free.first().map(cut).into_iter().collect(), ..disk.clone() };
    let bare = Disk {
        // Also one that was free: what is not known of it may stand against it.
        not_free: vec!["more was found on this host than is kept".to_owned()],
        ..Disk::unknown(disk.path)
    };
    let texts = [brief, bare].into_iter().filter_map(|disk| serde_json::to_string(&disk).ok());
    texts.into_iter().find(|short| short.len() < text.len())
}

/// An agent's words in ours.
fn facts(report: &Report, now: Timestamp) -> NodeFacts {
    let nothing = HostReport::default();
    let host = report.host.as_ref().unwrap_or(&nothing);
    NodeFacts {
        form: FORM,
        seen_at: now,
        boot_id: report.boot_id.as_str().into(),
        kernel: report.kernel.as_str().into(),
        next_kernel: host.next_kernel.as_str().into(),
        modules: host.modules.iter().map(|kernel| kernel.as_str().into()).collect(),
        installed: versions(&host.installed),
        staged: versions(&host.staged),
        running: host.running.iter().filter_map(|word| Component::of(word)).collect(),
        // Who cannot tell may have some.
        open_volumes: host.open_volumes.unwrap_or(u32::MAX),
        epoch: report.epoch,
        working: report.working_on.as_ref().and_then(|id| StepId::read(id.as_str())),
        carries: BTreeSet::new(),
        unready: None,
        addresses: host.addresses.iter().map(|ip| ip.as_str().into()).collect(),
    }
}

fn versions(by_word: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<Component, BTreeSet<Box<str>>> {
    by_word
        .iter()
        .filter_map(|(word, versions)| {
            Some((Component::of(word)?, versions.iter().map(|version| version.as_str().into()).collect()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::order::{Outcome, PROTOCOL};

    /// What is known of a node after an agent has told of many disks, each with so many signs of reasons and names.
    fn known(disks: usize, reasons: usize, links: usize) -> (Vec<Disk>, usize) {
        let disk = |at: usize| Disk {
            path: format!("/dev/sd{at}"),
            size: Some(1 << 40),
            rotational: Some(false),
            model: "SSD".to_owned(),
            serial: format!("S{at}"),
            wwn: String::new(),
            links: vec![format!("/dev/disk/by-id/{}{at}", "l".repeat(links))],
            not_free: vec![format!("lsblk: {}", "w".repeat(reasons)), "it is mounted".to_owned()],
        };
        let found =
            (0..disks).map(disk).map(|disk| (disk.path.clone(), serde_json::to_string(&disk).unwrap())).collect();
        let finished =
            Finished { id: OrderId::new("a"), outcome: Outcome::AlreadySo, at: Timestamp::UNIX_EPOCH, found };
        let report = Report {
            protocol: PROTOCOL,
            release: "1".into(),
            program: "00".into(),
            boot_id: "boot-1".into(),
            kernel: "5".into(),
            epoch: 0,
            working_on: None,
            finished: vec![finished],
            out_of_work: None,
            papers_problem: None,
            host: None,
        };
        let heard = hear(None, &NodeName::new("n1"), report, 0, Timestamp::UNIX_EPOCH);
        let kept = &heard.member.outcomes[0].found;
        (kept.values().map(|text| serde_json::from_str(text).unwrap()).collect(), heard.entry.unwrap().len())
    }

    #[test]
    fn many_disks_of_which_much_is_told_are_all_kept_in_fewer_words() {
        let (disks, length) = known(60, 1500, 60);
        assert!(disks.len() == 60 && length <= LARGEST, "{} disks, {length} bytes", disks.len());
        assert!(disks.iter().all(|disk| !disk.is_free() && disk.size.is_some() && disk.links.len() == 1), "{disks:?}");
        assert!(disks.iter().any(|disk| disk.not_free.len() == 1 && disk.not_free[0].starts_with("lsblk: ww")));
        // With names of that length not even that has a place.
        let (disks, length) = known(60, 1500, 1500);
        assert!(disks.len() == 60 && length <= LARGEST, "{} disks, {length} bytes", disks.len());
        assert!(disks.iter().all(|disk| !disk.is_free()), "{disks:?}");
        assert!(disks.iter().any(|disk| disk.not_free == ["more was found on this host than is kept"]), "{disks:?}");
        // A few are kept as they were told.
        assert!(known(5, 1500, 60).0.iter().all(|disk| disk.not_free.len() == 2));
    }
}

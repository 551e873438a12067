//! Does a change still have to be made, by what the cluster says of itself?

use crate::model::mdm::{Change, Cluster, MdmWord, Member, Place};

/// How the cluster stands to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// It is so.
    Wanted,
    /// It is not so; what is missing.
    Missing(String),
    /// It cannot become so from where it stands.
    Never(String),
    /// The cluster's own words do not tell.
    Otherwise,
}

use Stands::{Missing, Never, Otherwise, Wanted};

pub(super) fn stands(change: &Change, word: &MdmWord) -> Stands {
    match (change, word) {
        (Change::Look, _) => Wanted,
        (Change::Unknown, _) | (_, MdmWord::Unknown) => Otherwise,
        (Change::Create { .. }, MdmWord::Free) => Missing("the MDM is in no cluster".to_owned()),
        (Change::Create { .. }, MdmWord::Bound) => {
            Never("the node's MDM stands by in another cluster; take it out there first".to_owned())
        }
        (Change::Create { master, .. }, MdmWord::Cluster(cluster)) => created(master, cluster),
        (_, MdmWord::Free) => Never("the MDM that was asked is in no cluster".to_owned()),
        (_, MdmWord::Bound) => Never("the MDM that was asked does not lead; ask the managers".to_owned()),
        (Change::Password | Change::Licence { .. }, MdmWord::Cluster(_)) => Otherwise,
        (Change::AddStandby { member }, MdmWord::Cluster(cluster)) => added(member, cluster),
        (Change::SwitchMode { mode, managers, tie_breakers }, MdmWord::Cluster(cluster)) => {
            let names = managers.iter().chain(tie_breakers);
            let (votes, waits): (Vec<&String>, Vec<&String>) =
                names.partition(|name| cluster.named(name).is_some_and(|member| member.place.votes()));
            if cluster.mode == Some(*mode) && waits.is_empty() {
                return Wanted;
            }
            if let Some(name) = waits.iter().find(|name| cluster.named(name).is_none()) {
                return Never(format!("{name} does not stand by in the cluster; add it first"));
            }
            if !votes.is_empty() {
                return Never(format!(
                    "the cluster is in another mode than {} and some of the named vote already",
                    mode.as_str()
                ));
            }
            Missing(format!("the cluster is not in {}", mode.as_str()))
        }
        (Change::Replace { lost, by, kind }, MdmWord::Cluster(cluster)) => {
            let votes = |name: &str| cluster.named(name).is_some_and(|member| member.place.votes());
            match (votes(lost), cluster.named(by)) {
                (false, Some(member)) if member.place.votes() => Wanted,
                (_, None) => Never(format!("{by} does not stand by in the cluster; add it first")),
                (true, Some(member)) if member.place.votes() => Never(format!("{by} votes already")),
                (_, Some(member)) if member.place.kind() != *kind => Never(format!("{by} is of the other kind")),
                (false, Some(_)) => Never(format!("{lost} does not vote, so nobody can take its place")),
                (true, Some(_)) if cluster.named(lost).is_some_and(|member| member.place == Place::Master) => {
                    Never(format!("{lost} leads the cluster, so it is not lost"))
                }
                (true, Some(_)) => Missing(format!("{lost} votes still")),
            }
        }
        (Change::RemoveStandby { name }, MdmWord::Cluster(cluster)) => match cluster.named(name) {
            None => Wanted,
            Some(member) if member.place.votes() => Never(format!("{name} votes; it must be replaced first")),
            Some(_) => Missing(format!("{name} stands by")),
        },
        (Change::Rename { name }, MdmWord::Cluster(cluster)) => match &cluster.name {
            Some(is) if is == name => Wanted,
            Some(is) => Missing(format!("the system is called {is}")),
            None => Missing("the system has no name".to_owned()),
        },
        (Change::Ownership { to }, MdmWord::Cluster(cluster)) => match cluster.named(to).map(|member| member.place) {
            Some(Place::Master) => Wanted,
            Some(Place::Slave) => Missing(format!("{to} does not lead")),
            Some(_) | None => Never(format!("{to} is no manager that votes")),
        },
    }
}

/// The same name and an address in common.
fn is_it(member: &Member, name: &str, ips: &[core::net::IpAddr]) -> (bool, bool) {
    (member.name == name, member.ips.iter().any(|ip| ips.contains(ip)))
}

fn created(master: &Member, cluster: &Cluster) -> Stands {
    let known = cluster.members.iter().any(|member| is_it(master, &member.name, &member.ips) == (true, true));
    if known {
        return Wanted;
    }
    let names: Vec<&str> = cluster.members.iter().map(|member| member.name.as_str()).collect();
    Never(format!(
        "the node's MDM belongs to a cluster of {} already, in which it is not {}; look there, nothing is forced",
        names.join(", "),
        master.name
    ))
}

fn added(wanted: &Member, cluster: &Cluster) -> Stands {
    for member in &cluster.members {
        match is_it(wanted, &member.name, &member.ips) {
            (true, true) if member.place.kind() == wanted.kind => return Wanted,
            (true, true) => {
                return Never(format!("{} is in the cluster in the other role; remove it first", wanted.name));
            }
            (true, false) => return Never(format!("another host is called {} in the cluster", wanted.name)),
            (false, true) => {
                return Never(format!("the host is called {} in the cluster, not {}", member.name, wanted.name));
            }
            (false, false) => {}
        }
    }
    Missing(format!("{} is not in the cluster", wanted.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mdm::{Kind, MemberSeen, Mode};

    fn seen(name: &str, place: Place, last: u8) -> MemberSeen {
        let ips = vec![core::net::IpAddr::from([192, 0, 2, last])];
        let (name, id) = (name.to_owned(), format!("0x{last}"));
        MemberSeen { name, id, place, ips, management_ips: Vec::new(), status: None, version: None }
    }

    fn cluster(mode: Mode, members: &[(&str, Place, u8)]) -> MdmWord {
        let members = members.iter().map(|(name, place, last)| seen(name, *place, *last)).collect();
        let state = "Normal".to_owned();
        MdmWord::Cluster(Cluster { name: None, mode: Some(mode), state, virtual_ips: None, members })
    }

    fn member(name: &str, kind: Kind, last: u8) -> Member {
        let ips = vec![core::net::IpAddr::from([192, 0, 2, last])];
        Member { name: name.to_owned(), kind, ips, management_ips: Vec::new(), interfaces: Vec::new() }
    }

    fn add(name: &str, kind: Kind, last: u8) -> Change {
        Change::AddStandby { member: member(name, kind, last) }
    }

    #[test]
    fn each_change_is_told_from_what_the_cluster_says() {
        use Kind::{Manager, TieBreaker};
        let one = cluster(
            Mode::One,
            &[("m1", Place::Master, 1), ("m2", Place::StandbyManager, 2), ("t1", Place::StandbyTieBreaker, 3)],
        );
        let three = cluster(
            Mode::Three,
            &[
                ("m1", Place::Master, 1),
                ("m2", Place::Slave, 2),
                ("t1", Place::TieBreaker, 3),
                ("m4", Place::StandbyManager, 4),
            ],
        );
        let create = |name: &str| Change::Create { master: member(name, Manager, 1), virtual_ips: Vec::new() };
        let switch = |names: &[&str]| Change::SwitchMode {
            mode: Mode::Three,
            managers: names.iter().map(|name| (*name).to_owned()).collect(),
            tie_breakers: vec!["t1".to_owned()],
        };
        let replace =
            |lost: &str, by: &str| Change::Replace { lost: lost.to_owned(), by: by.to_owned(), kind: Manager };
        let remove = |name: &str| Change::RemoveStandby { name: name.to_owned() };
        let own = |name: &str| Change::Ownership { to: name.to_owned() };
        for (change, word, so) in [
            (create("m1"), &MdmWord::Free, Some(false)),
            (create("m1"), &MdmWord::Bound, None),
            (create("m1"), &one, Some(true)),
            (create("m9"), &one, None),
            (add("m2", Manager, 2), &one, Some(true)),
            (add("m3", Manager, 5), &one, Some(false)),
            (add("m2", TieBreaker, 2), &one, None),
            (add("m2", Manager, 5), &one, None),
            (add("m3", Manager, 2), &one, None),
            (add("m3", Manager, 5), &MdmWord::Free, None),
            (switch(&["m2"]), &one, Some(false)),
            (switch(&["m2"]), &three, Some(true)),
            (switch(&["m9"]), &one, None),
            (switch(&["m4"]), &three, None),
            (replace("m2", "m4"), &three, Some(false)),
            (replace("m9", "m2"), &three, Some(true)),
            (replace("m2", "m9"), &three, None),
            (replace("m1", "m4"), &three, None),
            (replace("t1", "m4"), &three, Some(false)),
            (remove("m4"), &three, Some(false)),
            (remove("m2"), &three, None),
            (remove("m9"), &three, Some(true)),
            (own("m2"), &three, Some(false)),
            (own("m1"), &three, Some(true)),
            (own("t1"), &three, None),
        ] {
            let stands = stands(&change, word);
            let told = match stands {
                Wanted => Some(true),
                Missing(_) => Some(false),
                Never(_) | Otherwise => None,
            };
            assert_eq!(told, so, "{change:?} at {word:?}: {stands:?}");
        }
    }
}

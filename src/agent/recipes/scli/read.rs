//! What does `scli --query_cluster` say?
//!
//! The layout was seen of 2.0 and 2.5. A heading that is not known, a member
//! without a name or a cluster without a master is not understood, and what is
//! not understood is never acted upon. Lines and fields that are not known are
//! passed over.

use std::net::IpAddr;

use crate::model::mdm::{Cluster, MemberSeen, Mode, Place};

/// What a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Cluster,
    Master,
    Slaves,
    TieBreakers,
    Standbys,
}

const HEADINGS: [(&str, Part); 10] = [
    ("cluster", Part::Cluster),
    ("master mdm", Part::Master),
    ("slave mdms", Part::Slaves),
    ("slave mdm", Part::Slaves),
    ("tie-breakers", Part::TieBreakers),
    ("tie-breaker", Part::TieBreakers),
    ("standby mdms", Part::Standbys),
    ("standby mdm", Part::Standbys),
    // Later releases have other words for the same.
    ("primary mdm", Part::Master),
    ("secondary mdms", Part::Slaves),
];

/// Reads the answer. The error says what was not understood.
pub fn cluster(text: &str) -> Result<Cluster, String> {
    let unclear = |what: &str| format!("scli --query_cluster said what we do not understand ({what})");
    let mut part = None;
    let mut name = None;
    let mut mode = None;
    let mut state = None;
    let mut virtual_ips = None;
    let mut members: Vec<MemberSeen> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(heading) = line.strip_suffix(':')
            && !heading.contains(',')
        {
            let heading = heading.to_lowercase();
            let known = HEADINGS.iter().find(|(text, _)| *text == heading);
            part = Some(known.ok_or_else(|| unclear(&format!("the heading {line:?}")))?.1);
            continue;
        }
        let Some(part) = part else { continue };
        let fields = fields(line);
        let field = |name: &str| fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v);
        if part == Part::Cluster {
            name = name.or_else(|| field("Name").map(|values| values.join(", ")));
            if let Some(value) = field("Mode") {
                mode = Mode::ALL.into_iter().find(|mode| value.first().is_some_and(|word| word == mode.as_str()));
            }
            state = state.or_else(|| field("State").map(|values| values.join(", ")));
            virtual_ips = virtual_ips.or_else(|| field("Virtual IPs").and_then(|values| moving(values)));
            continue;
        }
        if let Some(value) = field("Name") {
            let words = fields.iter().flat_map(|(_, values)| values).map(|word| word.to_lowercase());
            let stands_by_as_tie_breaker = words.into_iter().any(|word| word == "tie breaker" || word == "tie-breaker");
            let place = match part {
                Part::Master => Place::Master,
                Part::Slaves => Place::Slave,
                Part::TieBreakers => Place::TieBreaker,
                Part::Standbys if stands_by_as_tie_breaker => Place::StandbyTieBreaker,
                Part::Standbys | Part::Cluster => Place::StandbyManager,
            };
            let name =
                value.first().filter(|name| !name.is_empty()).ok_or_else(|| unclear("a member without a name"))?;
            let id = field("ID").and_then(|id| id.first()).cloned().unwrap_or_default();
            members.push(MemberSeen {
                name: name.clone(),
                id,
                place,
                ips: Vec::new(),
                management_ips: Vec::new(),
                status: None,
                version: None,
            });
        }
        let Some(member) = members.last_mut() else { continue };
        if let Some(values) = field("IPs") {
            let ips: Result<Vec<IpAddr>, _> = values.iter().map(|ip| ip.parse()).collect();
            member.ips = ips.map_err(|_| unclear(&format!("the addresses in {line:?}")))?;
        }
        if let Some(values) = field("Management IPs") {
            // Nothing rests on those that cannot be read.
            member.management_ips = values.iter().filter_map(|ip| ip.parse().ok()).collect();
        }
        if let Some(values) = field("Status") {
            member.status = Some(values.join(", "));
        }
        if let Some(value) = field("Version") {
            member.version = value.first().cloned();
        }
    }
    let state = state.ok_or_else(|| unclear("no state"))?;
    members.sort_by_key(|member| member.place);
    if members.first().is_none_or(|first| first.place != Place::Master) {
        return Err(unclear("no MDM that leads"));
    }
    Ok(Cluster { name, mode, state, virtual_ips, members })
}

/// Addresses that move with the leadership. What cannot be read is not known.
fn moving(values: &[String]) -> Option<Vec<IpAddr>> {
    match values {
        [one] if one.eq_ignore_ascii_case("n/a") => Some(Vec::new()),
        values => values.iter().map(|ip| ip.parse().ok()).collect(),
    }
}

/// `A: x, y, B: z` as A with x and y, and B with z.
fn fields(line: &str) -> Vec<(&str, Vec<String>)> {
    let mut fields: Vec<(&str, Vec<String>)> = Vec::new();
    for part in line.split(", ") {
        match part.split_once(": ") {
            Some((name, value)) => fields.push((name.trim(), vec![value.trim().to_owned()])),
            // More of the one before: addresses, or the role of who stands by.
            None => {
                if let Some((_, values)) = fields.last_mut() {
                    values.push(part.trim().to_owned());
                }
            }
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = "Cluster:\n    Name: prod, Mode: 3_node, State: Normal, Active: 3/3, Replicas: 2/2\n    Virtual IPs: N/A\n\
        Master MDM:\n    Name: m1, ID: 0x0ecb483853835e00\n        IPs: 192.0.2.11, 198.51.100.11, Management IPs: 203.0.113.11, Port: 9011, Virtual IP interfaces: eth1, eth2\n        Version: 2.0.5014\n\
        Slave MDMs:\n    Name: m2, ID: 0x3175fbe7695bbac1\n        IPs: 192.0.2.12, Management IPs: 192.0.2.12, Port: 9011\n        Status: Not synchronized, Version: 2.0.5014\n\
        Tie-Breakers:\n    Name: t1, ID: 0x74ccbc567622b992\n        IPs: 192.0.2.13, Port: 9011\n        Status: Normal, Version: 2.0.5014\n\
        Standby MDMs:\n    Name: m4, ID: 0x0ce414fa06a17491, Manager\n        IPs: 192.0.2.14, Management IPs: 192.0.2.14, Port: 9011\n\
        \x20   Name: t2, ID: 0x74ccbc567622b993, Tie Breaker\n        IPs: 192.0.2.15, Port: 9011\n";

    #[test]
    fn members_are_told_with_place_addresses_and_complaints() {
        let cluster = cluster(THREE).unwrap();
        assert_eq!(
            (cluster.name.as_deref(), cluster.mode, cluster.is_normal()),
            (Some("prod"), Some(Mode::Three), true)
        );
        let seen: Vec<String> = cluster
            .members
            .iter()
            .map(|member| format!("{} {:?} {} {}", member.name, member.place, member.ips.len(), member.is_well()))
            .collect();
        assert_eq!(
            seen,
            [
                "m1 Master 2 true",
                "m2 Slave 1 false",
                "t1 TieBreaker 1 true",
                "m4 StandbyManager 1 true",
                "t2 StandbyTieBreaker 1 true"
            ]
        );
        let managers: Vec<IpAddr> = ["192.0.2.11", "198.51.100.11", "192.0.2.12"].map(|ip| ip.parse().unwrap()).into();
        assert_eq!(cluster.managers(), managers, "no tie-breaker, none that stands by");
        assert_eq!((cluster.virtual_ips.as_deref(), cluster.found_at()), (Some(&[][..]), managers));
    }

    #[test]
    fn virtual_addresses_are_those_by_which_it_is_found_and_what_cannot_be_read_is_not_known() {
        let told = |line: &str| cluster(&THREE.replace("    Virtual IPs: N/A\n", line)).unwrap();
        let moving: Vec<IpAddr> = ["192.0.2.100", "198.51.100.100"].map(|ip| ip.parse().unwrap()).into();
        let two = told("    Virtual IPs: 192.0.2.100, 198.51.100.100\n");
        assert_eq!((two.virtual_ips.clone().unwrap(), two.found_at()), (moving.clone(), moving));
        for line in ["", "    Virtual IPs: somewhere\n"] {
            let unknown = told(line);
            assert_eq!((unknown.virtual_ips.clone(), unknown.found_at().len()), (None, 3), "{line:?}");
        }
    }

    #[test]
    fn a_cluster_of_one_without_a_name_is_read_and_an_unknown_mode_is_kept_unknown() {
        let one = "Cluster:\n    Mode: 1_node, State: Normal, Active: 1/1, Replicas: 1/1\nMaster MDM:\n    Name: m1, ID: 0x1\n        IPs: 192.0.2.11, Port: 9011\n";
        let seen = cluster(one).unwrap();
        assert_eq!((seen.name, seen.mode, seen.members.len()), (None, Some(Mode::One), 1));
        assert_eq!(cluster(&one.replace("1_node", "7_node")).unwrap().mode, None);
    }

    #[test]
    fn what_is_not_understood_is_told_and_not_guessed() {
        for text in [
            String::new(),
            "Logged in".to_owned(),
            THREE.replace("Master MDM:", "Chairman:"),
            THREE.replace("State: Normal", "Mood: fine"),
            THREE.replace("IPs: 192.0.2.12", "IPs: somewhere"),
            "Cluster:\n    Mode: 3_node, State: Normal\nSlave MDMs:\n    Name: m2, ID: 0x1\n".to_owned(),
        ] {
            assert!(cluster(&text).is_err(), "{text:?}");
        }
    }
}

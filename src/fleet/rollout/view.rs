//! What is there of nodes, and what does the MDM show of one?

use std::collections::{BTreeMap, BTreeSet};

use super::disks;
use super::record::{Record, Source};
use crate::config::StaticNode;
use crate::config::rollout::DeviceNames;
use crate::fleet::attributes;
use crate::fleet::desired::{Address, Host, Server, Serves};
use crate::fleet::diff::Addition;
use crate::fleet::shown::Shown;
use crate::model::cluster::Device;
use crate::model::framework::{FrameworkStatus, SeenAgent};
use crate::model::id::{NodeName, SystemId};
use crate::model::mesos::{AttributeValue, TaskFate};
use crate::model::offer::Verdict;
use crate::model::rollout::Why;
use crate::model::state::{Connection, DeviceState, Membership, SdsState};

/// Every node that was seen, with where it came from. Two machines of one name are none of them to be touched: which of
/// them an order would reach cannot be told.
pub fn sources(
    status: Option<&FrameworkStatus>,
    static_nodes: &BTreeMap<NodeName, StaticNode>,
) -> BTreeMap<NodeName, Source> {
    let of = |seen: &SeenAgent| Source {
        agent: Some(seen.agent.clone()),
        address: seen.address.clone(),
        attributes: seen.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
        twin: None,
    };
    let mut seen: BTreeMap<NodeName, Vec<&SeenAgent>> = BTreeMap::new();
    for agent in status.iter().flat_map(|status| status.agents.values()) {
        seen.entry(NodeName::new(&agent.hostname)).or_default().push(agent);
    }
    let mut all: BTreeMap<NodeName, Source> = BTreeMap::new();
    for (name, mut agents) in seen {
        // A machine that is back under another id offers under that one.
        agents.sort_by_key(|agent| agent.offered_at);
        let Some(last) = agents.last() else { continue };
        let other = agents.iter().find(|agent| agent.address != last.address);
        let twin = other.map(|other| {
            let at = other.address.as_deref().unwrap_or("an unknown address");
            format!("the Mesos agent {} at {at}", other.agent).into()
        });
        all.insert(name, Source { twin, ..of(last) });
    }
    for (name, node) in static_nodes {
        let address: Box<str> = node.address.to_string().into();
        let other = all.get(name).map(|other| {
            let at = other.address.as_deref().unwrap_or("an unknown address");
            format!("the Mesos agent at {at}, which is no part of fleet.static").into()
        });
        let source = Source { agent: None, address: Some(address), attributes: node.attributes.clone(), twin: other };
        all.insert(name.clone(), source);
    }
    all
}

/// Which system a node works for: the one it names, or the only one that is rolled out.
pub fn system_of(source: &Source, systems: &BTreeSet<SystemId>) -> Option<SystemId> {
    match source.attributes.get("scaleio-system") {
        Some(named) => systems.iter().find(|system| system.as_str() == &**named).cloned(),
        None if systems.len() == 1 => systems.first().cloned(),
        None => None,
    }
}

/// A node as the topology looks at it. Disks that are devices of its own server count as its disks.
pub fn host(
    record: &Record,
    systems: &BTreeSet<SystemId>,
    known_at: &BTreeSet<Box<str>>,
    shown: Option<&Shown<'_>>,
    names: DeviceNames,
) -> Host {
    let source = &record.source;
    let values = source
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), vec![AttributeValue::Text(value.clone())]))
        .collect();
    let own = shown.map(|shown| disks::own(known_at, shown)).unwrap_or_default();
    let disks = record.judged.as_ref().map(|judged| disks::meant(judged, &record.known, &own, names));
    Host {
        name: record.node.clone(),
        attributes: source.attributes.clone(),
        placement: attributes::read(&values, systems),
        addresses: source.address.iter().map(|ip| Address { ip: ip.clone(), serves: Serves::All }).collect(),
        known_at: known_at.clone(),
        used: shown.map(|shown| shown.used_of(known_at)).unwrap_or_default(),
        disks,
    }
}

/// How far Mesos has brought its agent.
pub fn start(record: &Record, status: Option<&FrameworkStatus>) -> Option<Why> {
    let Some(agent) = &record.source.agent else {
        return Some(Why::NotJoined { node: record.node.clone() });
    };
    let status = status?;
    if let Some(task) = status.tasks.get(agent).filter(|task| task.fate() != TaskFate::Ended) {
        return Some(Why::Starting { state: task.state().into() });
    }
    match status.agents.get(agent).map(|seen| (&seen.verdict, &seen.because)) {
        None => Some(Why::NotOffered),
        Some((Verdict::Decline { .. }, because)) => {
            Some(Why::Declined { because: because.clone().unwrap_or_default().into() })
        }
        Some((Verdict::Accept, _)) => Some(Why::Starting { state: "INTENDED".into() }),
    }
}

/// What the MDM does not show yet of what the node at these addresses shall be. Nothing: it shows all.
pub fn not_shown(addresses: &BTreeSet<Box<str>>, server: Option<&Server>, shown: &Shown<'_>) -> Vec<Why> {
    let mut why = Vec::new();
    let waits = |what: String| Why::WaitsFor { what: what.into() };
    if addresses.is_empty() {
        return vec![waits("its address to be known".to_owned())];
    }
    if let Some(server) = server {
        match shown.servers_of(addresses).first() {
            None => why.push(waits("the MDM to show its SDS".to_owned())),
            Some(sds) => {
                let states = [
                    (sds.connection.is(Connection::Connected), sds.connection.word()),
                    (sds.membership.is(Membership::Joined), sds.membership.word()),
                    (sds.state.is(SdsState::Normal), sds.state.word()),
                ];
                let bad = states.into_iter().filter(|(good, _)| !good);
                why.extend(bad.map(|(_, word)| waits(format!("its SDS, which is {word}"))));
                for path in server.devices.keys() {
                    let is_it = |device: &&&Device| {
                        device.path.as_deref().is_some_and(|shown| server.path_of(shown) == &**path)
                    };
                    match shown.devices_of(&sds.id).iter().find(is_it) {
                        None => why.push(waits(format!("the MDM to show {path}"))),
                        Some(device) if device.state.is(DeviceState::Normal) => {}
                        Some(device) => why.push(waits(format!("{path}, which is {}", device.state.word()))),
                    }
                }
            }
        }
    }
    match shown.client_of(addresses).map(|sdc| sdc.connection.as_ref()) {
        None => why.push(waits("the MDM to show its SDC".to_owned())),
        Some(Some(state)) if state.is(Connection::Connected) => {}
        Some(Some(state)) => why.push(waits(format!("its SDC, which is {}", state.word()))),
        Some(None) => why.push(waits("the MDM to tell of its SDC".to_owned())),
    }
    why
}

/// What is missing, by the nodes that need it.
#[derive(Default)]
pub struct Missing<'a> {
    /// What nodes stand on.
    common: Vec<&'a Addition>,
    own: BTreeMap<&'a NodeName, Vec<&'a Addition>>,
}

impl<'a> Missing<'a> {
    /// Sorts additions, whose order stays.
    pub fn of(additions: &'a [Addition]) -> Self {
        let mut missing = Self { common: Vec::new(), own: BTreeMap::new() };
        for addition in additions {
            match addition {
                Addition::Domain { .. } | Addition::FaultSet { .. } | Addition::Pool { .. } => {
                    missing.common.push(addition);
                }
                // No node stands on it.
                Addition::Setting { .. } => {}
                Addition::Server { node, .. }
                | Addition::Address { node, .. }
                | Addition::Role { node, .. }
                | Addition::Device { node, .. } => {
                    missing.own.entry(node).or_default().push(addition);
                }
            }
        }
        missing
    }

    /// The additions that a node needs: what it stands on, and its own.
    pub fn of_node(&self, node: &NodeName, server: &Server) -> Vec<&'a Addition> {
        let stands_on = |addition: &&&Addition| match addition {
            Addition::Domain { name } => *name == server.domain,
            Addition::FaultSet { domain, name } => *domain == server.domain && server.fault_set.as_ref() == Some(name),
            Addition::Pool { domain, name } => {
                *domain == server.domain && server.devices.values().any(|pool| pool == name)
            }
            Addition::Server { .. }
            | Addition::Address { .. }
            | Addition::Role { .. }
            | Addition::Setting { .. }
            | Addition::Device { .. } => false,
        };
        let own = self.own.get(node).into_iter().flatten();
        self.common.iter().filter(stands_on).chain(own).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::Sdc;
    use crate::model::framework::Registration;
    use crate::model::id::{AgentId, ObjectId};
    use crate::model::offer::Refusal;
    use crate::model::snapshot::{Part, Snapshot, Table};
    use crate::model::state::Seen;
    use crate::model::version::Generation;
    use std::sync::Arc;

    fn seen(agent: &str, hostname: &str, address: &str, second: i64) -> Arc<SeenAgent> {
        Arc::new(SeenAgent {
            agent: AgentId::new(agent),
            hostname: hostname.into(),
            address: Some(address.into()),
            attributes: BTreeMap::new(),
            cpus: 1.0,
            mem: 1.0,
            offered_at: crate::model::unit::Timestamp::from_timestamp(second, 0).unwrap(),
            verdict: Verdict::Decline { reason: Refusal::NothingWanted },
            because: None,
            wanted_from: None,
            vote: None,
        })
    }

    fn status(agents: &[Arc<SeenAgent>]) -> FrameworkStatus {
        FrameworkStatus {
            cluster: "c".into(),
            framework: None,
            registration: Registration::Superseded,
            mend: None,
            is_suppressed: false,
            unanswered: 0,
            tasks: BTreeMap::new(),
            agents: agents.iter().map(|seen| (seen.agent.clone(), Arc::clone(seen))).collect(),
        }
    }

    fn client(number: u64, ip: &str, connection: Connection) -> Sdc {
        Sdc {
            id: ObjectId::from_number(number).into(),
            name: None,
            host_type: None,
            guid: None,
            nqn: None,
            addresses: vec![ip.into()],
            approved: None,
            connection: Some(Seen::Is(connection)),
            os: None,
            version: None,
            oscillating: Vec::new(),
        }
    }

    #[test]
    fn a_client_that_comes_by_another_network_of_its_host_is_the_client_of_that_node() {
        let now = crate::model::unit::Timestamp::UNIX_EPOCH;
        let mut snapshot = Snapshot::empty(SystemId::new("prod"), Generation::V3_5, 0, now);
        let clients =
            vec![client(1, "10.0.0.1", Connection::Disconnected), client(2, "192.168.7.1", Connection::Connected)];
        snapshot.sdcs = Some(Part { begun_at: now, taken_at: now, value: Arc::new(Table::new(clients)) });
        let shown = Shown::of(&snapshot);
        let told = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|ip| (*ip).into()).collect();
            not_shown(&addresses, None, &shown).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(told(&["10.0.0.1"]), "it waits for its SDC, which is Disconnected");
        assert_eq!(told(&["10.0.0.9", "192.168.7.1"]), "");
        assert_eq!(told(&["10.0.0.1", "192.168.7.1"]), "", "the one that is connected is it");
        assert_eq!(told(&["10.0.0.9"]), "it waits for the MDM to show its SDC");
        assert_eq!(told(&[]), "it waits for its address to be known");
    }

    #[test]
    fn two_machines_of_one_name_are_told_from_one_that_is_back_under_another_id() {
        let back = status(&[seen("S9", "n1", "10.0.0.1", 5), seen("S2", "n1", "10.0.0.1", 9)]);
        let all = sources(Some(&back), &BTreeMap::new());
        let one = &all[&NodeName::new("n1")];
        assert_eq!((one.agent.as_ref(), one.twin.as_deref()), (Some(&AgentId::new("S2")), None), "the one that offers");
        let twins = status(&[
            seen("S1", "n1", "10.0.0.1", 5),
            seen("S2", "n1", "10.0.0.2", 9),
            seen("S3", "n2", "10.0.0.3", 9),
        ]);
        let all = sources(Some(&twins), &BTreeMap::new());
        assert_eq!(all[&NodeName::new("n1")].twin.as_deref(), Some("the Mesos agent S1 at 10.0.0.1"));
        assert_eq!(all[&NodeName::new("n2")].twin, None, "others go on");
        let address = "10.0.0.9".parse().unwrap();
        let fixed = [(NodeName::new("n2"), StaticNode { address, attributes: BTreeMap::new() })].into();
        let twin = sources(Some(&twins), &fixed)[&NodeName::new("n2")].twin.clone().unwrap();
        assert!(twin.contains("10.0.0.3") && twin.contains("fleet.static"), "{twin}");
    }
}

//! What is there of nodes, and what does the MDM show of one?

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Record, Source};
use crate::config::StaticNode;
use crate::fleet::attributes;
use crate::fleet::desired::{Address, Disk, Host, Server, Serves};
use crate::fleet::diff::Addition;
use crate::model::framework::{FrameworkStatus, SeenAgent};
use crate::model::id::{NodeName, SystemId};
use crate::model::mesos::{AttributeValue, TaskFate};
use crate::model::offer::Verdict;
use crate::model::rollout::Why;
use crate::model::snapshot::Snapshot;
use crate::model::state::{Connection, DeviceState, Membership, SdsState};
use crate::model::unit::Bytes;

/// Every node that was seen, with where it came from.
pub fn sources(
    status: Option<&FrameworkStatus>,
    static_nodes: &BTreeMap<NodeName, StaticNode>,
) -> BTreeMap<NodeName, Source> {
    let of = |seen: &SeenAgent| Source {
        agent: Some(seen.agent.clone()),
        address: seen.address.clone(),
        attributes: seen.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
    };
    let mut all: BTreeMap<NodeName, Source> = BTreeMap::new();
    for seen in status.iter().flat_map(|status| status.agents.values()) {
        all.insert(NodeName::new(&seen.hostname), of(seen));
    }
    for (name, node) in static_nodes {
        let source =
            Source { agent: None, address: Some(node.address.to_string().into()), attributes: node.attributes.clone() };
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
pub fn host(record: &Record, systems: &BTreeSet<SystemId>, snapshot: Option<&Snapshot>) -> Host {
    let source = &record.source;
    let values = source
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), vec![AttributeValue::Text(value.clone())]))
        .collect();
    let disks = record.judged.as_ref().map(|judged| {
        let mut disks: BTreeMap<Box<str>, Disk> = BTreeMap::new();
        let own = snapshot.map(|snapshot| own_devices(source, snapshot)).unwrap_or_default();
        for found in &judged.disks {
            let path: Box<str> = found.path.as_str().into();
            if found.is_free() || own.contains_key(&path) {
                let disk = Disk {
                    path: path.clone(),
                    aliases: BTreeSet::new(),
                    size: Bytes::new(found.size.unwrap_or_default()),
                    rotational: found.rotational.unwrap_or(false),
                };
                disks.insert(path, disk);
            }
        }
        for (path, size) in own {
            let disk = Disk { path: path.clone(), aliases: BTreeSet::new(), size, rotational: false };
            disks.entry(path).or_insert(disk);
        }
        disks.into_values().collect()
    });
    Host {
        name: record.node.clone(),
        attributes: source.attributes.clone(),
        placement: attributes::read(&values, systems),
        addresses: source.address.iter().map(|ip| Address { ip: ip.clone(), serves: Serves::All }).collect(),
        disks,
    }
}

/// Paths and sizes of the devices of a node's server.
pub fn own_devices(source: &Source, snapshot: &Snapshot) -> BTreeMap<Box<str>, Bytes> {
    let (Some(servers), Some(devices), Some(ours)) = (&snapshot.sds, &snapshot.devices, &source.address) else {
        return BTreeMap::new();
    };
    let ids: BTreeSet<_> = servers
        .iter()
        .filter(|sds| sds.addresses.iter().any(|address| address.ip == *ours))
        .map(|sds| &sds.id)
        .collect();
    let own = devices.iter().filter(|device| device.sds.as_ref().is_some_and(|id| ids.contains(id)));
    own.filter_map(|device| Some((device.path.clone()?, device.size.unwrap_or(Bytes::new(0))))).collect()
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

/// What the MDM does not show yet of what a node shall be. Nothing: it shows all.
pub fn not_shown(record: &Record, server: Option<&Server>, snapshot: &Snapshot) -> Vec<Why> {
    let mut why = Vec::new();
    let waits = |what: String| Why::WaitsFor { what: what.into() };
    let Some(ours) = &record.source.address else { return vec![waits("its address to be known".to_owned())] };
    if let Some(server) = server {
        let found = snapshot
            .sds
            .iter()
            .flat_map(|sds| sds.iter())
            .find(|sds| sds.addresses.iter().any(|address| address.ip == *ours));
        match found {
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
                    let device = snapshot
                        .devices
                        .iter()
                        .flat_map(|devices| devices.iter())
                        .find(|device| device.sds.as_ref() == Some(&sds.id) && device.path.as_ref() == Some(path));
                    match device {
                        None => why.push(waits(format!("the MDM to show {path}"))),
                        Some(device) if device.state.is(DeviceState::Normal) => {}
                        Some(device) => why.push(waits(format!("{path}, which is {}", device.state.word()))),
                    }
                }
            }
        }
    }
    let client = snapshot
        .sdcs
        .iter()
        .flat_map(|sdcs| sdcs.iter())
        .find(|sdc| sdc.addresses.iter().any(|address| address == ours));
    match client.map(|sdc| sdc.connection.as_ref()) {
        None => why.push(waits("the MDM to show its SDC".to_owned())),
        Some(Some(state)) if state.is(Connection::Connected) => {}
        Some(Some(state)) => why.push(waits(format!("its SDC, which is {}", state.word()))),
        Some(None) => why.push(waits("the MDM to tell of its SDC".to_owned())),
    }
    why
}

/// The additions that a node needs, of all that are missing: its own, and what they stand on.
pub fn of_node<'a>(node: &NodeName, server: &Server, additions: &'a [Addition]) -> Vec<&'a Addition> {
    let own = |addition: &&Addition| match addition {
        Addition::Domain { name } => *name == server.domain,
        Addition::FaultSet { domain, name } => *domain == server.domain && server.fault_set.as_ref() == Some(name),
        Addition::Pool { domain, name } => *domain == server.domain && server.devices.values().any(|pool| pool == name),
        Addition::Server { node: of, .. } | Addition::Device { node: of, .. } => of == node,
    };
    additions.iter().filter(own).collect()
}

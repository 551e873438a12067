//! What would a rollout do now? Desired against actual, before anything is applied.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::rollout::{Rollout, WantedMdm};
use crate::model::framework::{FrameworkStatus, SeenAgent};
use crate::model::id::{NodeName, SystemId};
use crate::model::mesos::AttributeValue;
use crate::model::node::Carries;
use crate::model::rollout::{MdmPreview, Preview};
use crate::model::snapshot::Snapshot;
use crate::model::unit::Bytes;

use super::attributes;
use super::desired::{Address, Desired, Host, Serves, desired};
use super::diff::{Difference, Unseen, difference};
use super::networks;
use super::roles::{Candidate, choose};

/// The preview of a system. `systems` are all configured ones; `default` is the one of agents that name none.
pub fn preview(
    system: &SystemId,
    rollout: &Rollout,
    systems: &BTreeSet<SystemId>,
    status: &FrameworkStatus,
    snapshot: Option<&Snapshot>,
) -> Preview {
    let default = (systems.len() == 1).then_some(system);
    let hosts: Vec<(Host, &SeenAgent)> = status
        .agents
        .values()
        .map(|agent| (host(agent, systems), &**agent))
        // Whose attributes are wrong is told at every system: nobody knows which one is meant.
        .filter(|(host, _)| match &host.placement {
            Ok(placement) => placement.system.as_ref().or(default) == Some(system),
            Err(_) => true,
        })
        .collect();
    let only: Vec<Host> = hosts.into_iter().map(|(host, _)| host).collect();
    let wished = desired(rollout, &only);
    let difference = snapshot.map(|snapshot| difference(&wished, snapshot));
    told(rollout, &only, &wished, difference.as_ref(), Some(status))
}

/// The same of hosts that are known better, with their disks.
pub fn told(
    rollout: &Rollout,
    hosts: &[Host],
    wished: &Desired,
    difference: Option<&Result<Difference, Unseen>>,
    status: Option<&FrameworkStatus>,
) -> Preview {
    let mut preview = Preview {
        refused: wished
            .refused
            .iter()
            .map(|(name, why)| (name.clone(), why.iter().map(ToString::to_string).collect()))
            .collect(),
        idle: wished.idle.iter().map(|(name, why)| (name.clone(), why.to_string())).collect(),
        nodes: wished.clients.iter().cloned().collect(),
        mdm: rollout.mdm.as_ref().map(|wanted| {
            let rack = wanted.rack_attribute.as_deref();
            let seen = |name: &NodeName| status?.agents.values().find(|agent| *agent.hostname == *name.as_str());
            let candidates: Vec<Candidate> =
                hosts.iter().filter_map(|host| Some(candidate(host, seen(&host.name)?, rack))).collect();
            seats(&choose(wanted, &BTreeMap::new(), &candidates), wanted)
        }),
        ..Preview::default()
    };
    match difference {
        Some(Ok(difference)) => {
            preview.additions = difference.additions.iter().map(ToString::to_string).collect();
            preview.drift = difference.drift.iter().map(ToString::to_string).collect();
        }
        Some(Err(unseen)) => preview.unseen = Some(unseen.to_string()),
        None => preview.unseen = Some("the system has not answered yet; nothing is added until it does".to_owned()),
    }
    preview
}

fn host(agent: &SeenAgent, systems: &BTreeSet<SystemId>) -> Host {
    let values = agent
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), vec![AttributeValue::Text(value.as_str().into())]))
        .collect();
    Host {
        name: NodeName::new(&agent.hostname),
        attributes: agent.attributes.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
        placement: attributes::read(&values, systems),
        addresses: agent.address.iter().map(|ip| Address { ip: ip.clone(), serves: Serves::All }).collect(),
        // Only the node's own agent can say which others it has.
        known_at: BTreeSet::new(),
        used: networks::Used::default(),
        // Only the node's own agent can say which disks are free.
        disks: None,
    }
}

fn candidate(host: &Host, agent: &SeenAgent, rack_attribute: Option<&str>) -> Candidate {
    Candidate {
        name: host.name.clone(),
        machine: [agent.address.clone().unwrap_or_else(|| agent.hostname.clone())].into(),
        rack: rack_attribute.and_then(|name| host.attributes.get(name)).cloned(),
        persona: host.placement.as_ref().ok().and_then(|placement| placement.persona),
        // What is offered is a part of the host; a busy host may be larger than it looks.
        cores: agent.cpus.max(0.0) as u32,
        memory: Bytes::new((agent.mem.max(0.0) * f64::from(1 << 20)) as u64),
        carries: BTreeSet::<Carries>::new(),
        // Only the node's own agent can say which interfaces it has.
        no_member: None,
        no_manager: None,
        // Only the node's own agent can say it.
        takes_packages: true,
    }
}

/// A choice of seats, as it is shown.
pub fn seats(choice: &super::roles::Choice, wanted: &WantedMdm) -> MdmPreview {
    MdmPreview {
        seats: choice.seats.iter().map(|(name, seat)| (name.clone(), seat.to_string())).collect(),
        missing: choice.missing.iter().map(ToString::to_string).collect(),
        warnings: choice.warnings.iter().map(ToString::to_string).collect(),
        unproven: super::bootstrap::unproven(&wanted.accept, wanted.password_in_sight),
        waits: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::rollout::WantedMdm;
    use crate::model::framework::Registration;
    use crate::model::id::AgentId;
    use crate::model::mdm::Mode;
    use crate::model::offer::Verdict;
    use crate::model::unit::Timestamp;

    fn agent(number: u8, attributes: &[(&str, &str)]) -> (AgentId, Arc<SeenAgent>) {
        let id = AgentId::new(&format!("a{number}"));
        let seen = SeenAgent {
            agent: id.clone(),
            hostname: format!("node-{number}").into(),
            address: Some(format!("10.0.0.{number}").into()),
            attributes: attributes.iter().map(|(name, value)| ((*name).into(), (*value).to_owned())).collect(),
            cpus: 4.0,
            mem: 8192.0,
            offered_at: Timestamp::UNIX_EPOCH,
            verdict: Verdict::Accept,
            because: None,
            wanted_from: None,
            vote: None,
        };
        (id, Arc::new(seen))
    }

    fn status(agents: &[(AgentId, Arc<SeenAgent>)]) -> FrameworkStatus {
        FrameworkStatus {
            cluster: "mesos".into(),
            framework: None,
            registration: Registration::Disconnected { error: None, failures: 0 },
            mend: None,
            is_suppressed: false,
            unanswered: 0,
            tasks: BTreeMap::new(),
            agents: agents.iter().cloned().collect(),
        }
    }

    #[test]
    fn nodes_are_shown_at_their_system_with_seats_reasons_and_what_is_not_known() {
        let rack = |name| [("rack", name), ("scaleio-system", "prod")];
        let status = status(&[
            agent(1, &rack("r1")),
            agent(2, &rack("r2")),
            agent(3, &[("scaleio-system", "test")]),
            agent(4, &[("scaleio-sds-domain", "d1"), ("scaleio-system", "prod")]),
        ]);
        let wanted = WantedMdm { members: Mode::Three, rack_attribute: Some("rack".into()), ..WantedMdm::default() };
        let rollout = Rollout { mdm: Some(wanted), ..Rollout::default() };
        let systems = [SystemId::new("prod"), SystemId::new("test")].into();
        let preview = preview(&SystemId::new("prod"), &rollout, &systems, &status, None);
        assert_eq!(preview.nodes, [NodeName::new("node-1"), NodeName::new("node-2")]);
        assert_eq!(preview.idle[&NodeName::new("node-1")], "its agent has not yet said what disks there are");
        assert_eq!(preview.refused.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["node-4"]);
        assert_eq!(preview.unseen.unwrap(), "the system has not answered yet; nothing is added until it does");
        let mdm = preview.mdm.unwrap();
        assert_eq!(mdm.seats[&NodeName::new("node-1")], "manager");
        assert_eq!(mdm.missing, [] as [&str; 0]);
        assert_eq!(mdm.seats.len(), 3, "a node that is left out as server may still vote: {mdm:?}");
    }
}

//! What does the work see of a system's hosts? What their agents say, where they are, and what else lies on them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::enrol::crew::Member;
use crate::enrol::crew::addresses::shared;
use crate::model::id::NodeName;
use crate::model::node::{NodeFacts, NodePhase};
use crate::model::order::{Finished, Outcome};
use crate::model::places::Places;
use crate::model::step::{Component, StepId};
use crate::model::version::as_reported;
use crate::work::seam::{Packages, Surroundings};

/// What others than its agent know of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Its addresses.
    pub addresses: BTreeSet<Box<str>>,
    /// How far its rollout is; none: it has none.
    pub phase: Option<NodePhase>,
    /// What can be installed on it.
    pub packages: Option<Arc<Packages>>,
    /// The step that it has in hand, as far as the work was told.
    pub in_hand: Option<StepId>,
}

/// The hosts of a system.
pub fn surroundings<'a>(nodes: impl IntoIterator<Item = (&'a Member, Placed)>, places: &Places) -> Surroundings {
    let (mut around, mut facts_of) = (Surroundings::default(), BTreeMap::new());
    let nodes: Vec<(&Member, Placed)> = nodes.into_iter().collect();
    let shared = shared(nodes.iter().map(|(member, _)| *member));
    for (member, mut placed) in nodes {
        let Some(said) = &member.facts else { continue };
        placed.addresses.extend(said.addresses.iter().filter(|ip| !shared.contains(*ip)).cloned());
        let facts = facts(&member.node, said, &placed, places);
        facts_of.insert(member.node.clone(), facts);
        if let Some(packages) = placed.packages {
            around.packages.insert(member.node.clone(), packages);
        }
        around.addresses.insert(member.node.clone(), placed.addresses);
        around.failed.extend(member.outcomes.iter().filter_map(failed));
    }
    around.nodes = Arc::new(facts_of);
    around
}

/// A step of the work that failed, and why. One that takes several orders fails with any of them.
fn failed(finished: &Finished) -> Option<(StepId, Box<str>)> {
    let Outcome::Failed { why } = &finished.outcome else { return None };
    Some((StepId::read(finished.id.as_str())?, why.as_str().into()))
}

/// The agent's words, with releases as the MDM writes them and with what else is known.
fn facts(node: &NodeName, said: &NodeFacts, placed: &Placed, places: &Places) -> NodeFacts {
    let reported = |versions: &BTreeMap<Component, BTreeSet<Box<str>>>| {
        let of = |all: &BTreeSet<Box<str>>| all.iter().map(|version| as_reported(version)).collect();
        versions.iter().map(|(component, all)| (*component, of(all))).collect()
    };
    NodeFacts {
        form: said.form,
        seen_at: said.seen_at,
        boot_id: said.boot_id.clone(),
        kernel: said.kernel.clone(),
        next_kernel: said.next_kernel.clone(),
        modules: said.modules.clone(),
        installed: reported(&said.installed),
        staged: reported(&said.staged),
        running: said.running.clone(),
        open_volumes: said.open_volumes,
        epoch: said.epoch,
        working: said.working.clone().or_else(|| placed.in_hand.clone()),
        carries: places.carried(node, said, &placed.addresses),
        unready: placed.phase.as_ref().and_then(unready),
        addresses: placed.addresses.clone(),
    }
}

/// Why the work waits for the rollout. A node that a run has is the work's own.
fn unready(phase: &NodePhase) -> Option<Box<str>> {
    match phase {
        NodePhase::Ready | NodePhase::InMaintenance { .. } | NodePhase::Retired => None,
        NodePhase::Wanted
        | NodePhase::Launching
        | NodePhase::Installing { .. }
        | NodePhase::Joining
        | NodePhase::Draining
        | NodePhase::Lost
        | NodePhase::Failed { .. } => Some(phase.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::node::{Carries, FORM};
    use crate::model::order::OrderId;
    use crate::model::unit::Timestamp;

    fn member(name: &str) -> Member {
        let said = NodeFacts {
            form: FORM,
            seen_at: Timestamp::from_timestamp(5, 0).unwrap(),
            boot_id: format!("boot of {name}").into(),
            kernel: "5".into(),
            next_kernel: "5".into(),
            modules: [].into(),
            installed: [(Component::Sds, ["3.6-700.103".into()].into())].into(),
            staged: [(Component::Sds, ["3.6-900.1".into()].into())].into(),
            running: [Component::Sds].into(),
            open_volumes: 0,
            epoch: 0,
            working: None,
            carries: [].into(),
            unready: None,
            addresses: [].into(),
        };
        Member { facts: Some(said), ..Member::new(NodeName::new(name)) }
    }

    fn see(name: &str, placed: Placed, places: &Places) -> NodeFacts {
        let around = surroundings([(&member(name), placed)], places);
        around.nodes[&NodeName::new(name)].clone()
    }

    #[test]
    fn releases_of_packages_are_seen_as_the_mdm_writes_them() {
        let seen = see("n1", Placed::default(), &Places::default());
        assert_eq!(seen.installed[&Component::Sds], ["R3_6.700.103".into()].into());
        assert_eq!(seen.staged[&Component::Sds], ["R3_6.900.1".into()].into());
        assert_eq!((seen.carries, seen.unready), (BTreeSet::new(), None));
    }

    #[test]
    fn what_an_agent_said_of_a_step_that_failed_is_told_whoever_ordered_it() {
        let finished = |id: &str, outcome| Finished {
            id: OrderId::new(id),
            outcome,
            at: Timestamp::from_timestamp(5, 0).unwrap(),
            found: Default::default(),
        };
        let failed = |why: &str| Outcome::Failed { why: why.into() };
        let outcomes = vec![
            finished("run-1/2/3/0", Outcome::Done),
            finished("run-1/2/3/1+mdm", Outcome::Done),
            finished("run-1/2/3/1+sds", failed("no space")),
            finished("rollout-7", failed("not ours")),
        ];
        let member = Member { outcomes, ..member("n1") };
        let around = surroundings([(&member, Placed::default())], &Places::default());
        let step = StepId::read("run-1/2/3/1").unwrap();
        assert_eq!(around.failed, [(step, "no space".into())].into());
    }

    #[test]
    fn what_else_lies_on_a_host_is_found_by_its_boot_its_name_and_its_addresses() {
        let places = Places {
            boot_id: "boot of n1".into(),
            by_host: [
                ("n2".into(), [Carries::MesosMaster].into()),
                ("10.0.0.3".into(), [Carries::ZooKeeper, Carries::Gateway].into()),
            ]
            .into(),
        };
        assert_eq!(see("n1", Placed::default(), &places).carries, [Carries::Controller].into());
        assert_eq!(see("n2", Placed::default(), &places).carries, [Carries::MesosMaster].into());
        let third = Placed { addresses: ["10.0.0.3".into()].into(), ..Placed::default() };
        assert_eq!(see("n3", third, &places).carries, [Carries::Gateway, Carries::ZooKeeper].into());
    }

    #[test]
    fn a_host_has_the_addresses_that_its_agent_says_but_for_those_that_another_host_says_too() {
        let saying = |name: &str, own: &str| {
            let mut member = member(name);
            let said = member.facts.as_mut().unwrap();
            said.addresses = [own.into(), "172.17.0.1".into()].into();
            member
        };
        let (first, second) = (saying("n1", "10.1.0.1"), saying("n2", "10.1.0.2"));
        let placed = |ip: &str| Placed { addresses: [ip.into()].into(), ..Placed::default() };
        let around = surroundings([(&first, placed("10.0.0.1")), (&second, placed("10.0.0.2"))], &Places::default());
        let own: BTreeSet<Box<str>> = ["10.0.0.1".into(), "10.1.0.1".into()].into();
        let node = NodeName::new("n1");
        assert_eq!((&around.addresses[&node], &around.nodes[&node].addresses), (&own, &own));
    }

    #[test]
    fn a_node_that_the_rollout_has_in_work_is_not_ready_and_one_that_was_never_heard_is_not_there() {
        let in_phase =
            |phase| see("n1", Placed { phase: Some(phase), ..Placed::default() }, &Places::default()).unready;
        assert_eq!(in_phase(NodePhase::Joining).as_deref(), Some("joining"));
        assert_eq!(in_phase(NodePhase::Ready), None);
        assert_eq!(in_phase(NodePhase::InMaintenance { run: crate::model::id::RunId::new("r") }), None);
        let silent = Member::new(NodeName::new("n2"));
        assert_eq!(surroundings([(&silent, Placed::default())], &Places::default()), Surroundings::default());
    }
}

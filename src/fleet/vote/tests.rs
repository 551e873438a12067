//! What is said of a machine, with and without what of ours is on it.

use super::*;

use std::sync::Arc;

use chrono::TimeDelta;

use crate::model::cluster::{MdmCluster, MdmMember, SdsAddress, System};
use crate::model::id::{ObjectId, PlanId, RunId};
use crate::model::lifecycle::{Mode, ObligationShown, RunShown, TaskShown};
use crate::model::node::NodeFacts;
use crate::model::snapshot::{Part, Table};
use crate::model::state::Seen;
use crate::model::version::Generation;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// A server at 10.0.0.1 and a manager at 10.0.0.2 of a whole cluster, asked for at the second 100.
fn snapshot(maintenance: Maintenance) -> Snapshot {
    let (begun_at, taken_at) = (at(100), at(101));
    let sds = Sds {
        name: Some("one".into()),
        addresses: vec![SdsAddress { ip: "10.0.0.1".into(), role: None }],
        maintenance: Seen::Is(maintenance),
        ..Sds::unknown(ObjectId::from_number(1).into())
    };
    let member = MdmMember {
        id: ObjectId::from_number(2).into(),
        name: None,
        role: MdmRole::Primary,
        status: None,
        version: None,
        ips: vec!["10.0.0.2".into()],
        management_ips: Vec::new(),
        port: None,
    };
    let mdm = MdmCluster {
        id: None,
        name: None,
        mode: Seen::Other("".into()),
        state: Seen::Is(ClusterState::Normal),
        good_nodes: None,
        good_replicas: None,
        virtual_ips: Vec::new(),
        members: vec![member],
    };
    let array = System { mdm: Some(mdm), ..System::unknown(ObjectId::from_number(3).into()) };
    Snapshot {
        sds: Some(Part { begun_at, taken_at, value: Arc::new(Table::new(vec![sds])) }),
        array: Some(Part { begun_at, taken_at, value: Arc::new(array) }),
        ..Snapshot::empty(SystemId::new("prod"), Generation::V3_5, 0, begun_at)
    }
}

/// Work whose run has a duty for a node and is in a step of a task there.
fn work(node: &str, duty: &str, by_hand: bool) -> Lifecycle {
    let run = RunId::new("run-1");
    let open = ObligationShown {
        what: String::new(),
        duty: duty.to_owned(),
        node: NodeName::new(node),
        run: run.clone(),
        since: at(90),
        deadline: at(900),
        overdue: false,
    };
    let task = TaskShown {
        number: 0,
        stage: String::new(),
        node: NodeName::new(node),
        standing: "working".to_owned(),
        step: None,
        by_hand,
        since: at(90),
        attempts: 0,
        why: None,
        overdue: None,
        holds: Vec::new(),
    };
    let run = RunShown {
        id: run,
        plan: PlanId::new("p"),
        what: String::new(),
        approved_by: "ada".to_owned(),
        opened_at: at(80),
        paused_by: None,
        cancelled_by: None,
        halted: None,
        failures: 0,
        tasks_done: 0,
        tasks_total: 1,
        predicted_end: at(900),
        idle_since: at(90),
        windows_missed: 0,
        tasks: vec![task],
    };
    let nothing = Lifecycle::nothing(SystemId::new("prod"), Mode::Act, at(90));
    Lifecycle { obligations: vec![open], run: Some(run), ..nothing }
}

/// An agent of ours that tells of its host's addresses.
fn member(ips: &[&str]) -> Member {
    let addresses = ips.iter().map(|ip| (*ip).into()).collect();
    let facts = NodeFacts { addresses, ..NodeFacts::bare(at(100)) };
    Member { facts: Some(facts), ..Member::new(NodeName::new("n1")) }
}

fn said(known_at: Option<&str>, member: Option<&Member>, known: Known<'_>, now: i64) -> String {
    let systems = [(SystemId::new("prod"), known)].into();
    match vote(&NodeName::new("n1"), known_at, member, &systems, at(now)) {
        Vote::MayGo => "may go".to_owned(),
        Vote::Stays { reason } => reason.to_string(),
    }
}

fn told(ips: &[&str], snapshot: Option<&Snapshot>, work: Option<&Lifecycle>, now: i64) -> String {
    said(None, Some(&member(ips)), Known { snapshot, work }, now)
}

#[test]
fn a_machine_may_go_that_carries_nothing_or_is_in_a_maintenance_for_work_by_hand() {
    let (serves, away) = (snapshot(Maintenance::None), snapshot(Maintenance::In));
    let ours = work("n1", "maintenance", true);
    assert_eq!(told(&["10.0.0.9"], Some(&serves), None, 110), "may go", "nothing of ours is there");
    let serving = told(&["10.0.0.1"], Some(&serves), None, 110);
    assert!(serving.contains("SDS one of prod serves") && serving.contains("sio maintenance"), "{serving}");
    assert_eq!(told(&["10.0.0.1"], Some(&serves), Some(&ours), 110), serving, "it has not gone into it yet");
    assert_eq!(told(&["10.0.0.1"], Some(&away), Some(&ours), 110), "may go");
    for state in [Maintenance::Entering, Maintenance::Exiting] {
        assert!(told(&["10.0.0.1"], Some(&snapshot(state)), Some(&ours), 110).contains("serves"), "{state:?}");
    }
    let votes = told(&["10.0.0.2"], Some(&serves), None, 110);
    assert!(votes.contains("a member of the MDM cluster of prod that votes"), "{votes}");
}

#[test]
fn a_maintenance_of_others_of_another_run_or_inside_an_upgrade_lets_no_machine_go() {
    let away = snapshot(Maintenance::In);
    let of_before = {
        let mut work = work("n1", "maintenance", true);
        work.obligations[0].run = RunId::new("run-0");
        work
    };
    let halted = Lifecycle { run: None, ..work("n1", "maintenance", true) };
    let upgrade = work("n1", "maintenance", false);
    let others = [work("n2", "maintenance", true), work("n1", "drain", true), upgrade, of_before, halted];
    for others in others.iter().map(Some).chain([None]) {
        let said = told(&["10.0.0.1"], Some(&away), others, 110);
        assert!(said.contains("a maintenance that may end at any moment"), "{said}");
    }
}

#[test]
fn a_machine_whose_addresses_no_agent_of_ours_tells_is_not_let_go() {
    let serves = snapshot(Maintenance::None);
    let known = Known { snapshot: Some(&serves), work: None };
    let silent = Member { facts: None, ..member(&[]) };
    for member in [None, Some(silent), Some(member(&[]))] {
        for known_at in [None, Some("192.168.0.7"), Some("n1.example.com")] {
            let said = said(known_at, member.as_ref(), known, 110);
            assert!(said.contains("no agent of ours tells"), "{said}");
        }
    }
    // The address of Mesos counts beside those that the agent tells.
    assert!(said(Some("10.0.0.1"), Some(&member(&["192.168.0.7"])), known, 110).contains("serves"));
}

#[test]
fn a_voting_member_beside_a_server_may_go_only_while_the_cluster_is_whole() {
    let ours = work("n1", "maintenance", true);
    let mut away = snapshot(Maintenance::In);
    let both = ["10.0.0.1", "10.0.0.2"];
    assert_eq!(told(&both, Some(&away), Some(&ours), 110), "may go");
    for state in [ClusterState::Degraded, ClusterState::NotClustered] {
        let array = Arc::make_mut(&mut away.array.as_mut().unwrap().value);
        array.mdm.as_mut().unwrap().state = Seen::Is(state);
        let said = told(&both, Some(&away), Some(&ours), 110);
        assert!(said.contains("not whole without it"), "{said}");
        assert_eq!(told(&["10.0.0.1"], Some(&away), Some(&ours), 110), "may go", "no member is there");
    }
}

#[test]
fn nothing_is_concluded_from_a_system_that_is_not_seen() {
    let serves = snapshot(Maintenance::None);
    assert_eq!(told(&["10.0.0.9"], Some(&serves), None, 160), "may go");
    for (snapshot, now) in [(Some(&serves), 161), (Some(&serves), 90), (None, 110)] {
        assert!(told(&["10.0.0.9"], snapshot, None, now).contains("prod was not seen lately"), "{now}");
    }
}

//! What is said of a machine, with and without what of ours is on it.

use super::*;

use std::sync::Arc;

use chrono::TimeDelta;

use crate::model::cluster::{MdmCluster, MdmMember, SdsAddress, System};
use crate::model::id::{ObjectId, RunId};
use crate::model::lifecycle::{Mode, ObligationShown};
use crate::model::snapshot::{Part, Table};
use crate::model::state::Seen;
use crate::model::version::{Generation, ProductVersion};

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

/// A server at 10.0.0.1 and a manager at 10.0.0.2, asked for at the second 100.
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
        state: Seen::Other("".into()),
        good_nodes: None,
        good_replicas: None,
        virtual_ips: Vec::new(),
        members: vec![member],
    };
    let array = System {
        id: ObjectId::from_number(3).into(),
        name: None,
        version: ProductVersion::read("R3_6.700.103"),
        install_id: None,
        performance_profile: None,
        upgrade_state: None,
        licensed_capacity: None,
        license_days_left: None,
        has_trial_license: None,
        connectivity: Vec::new(),
        restricted_sdc_mode: None,
        remote_read_only_limit: None,
        mdm: Some(mdm),
    };
    Snapshot {
        sds: Some(Part { begun_at, taken_at, value: Arc::new(Table::new(vec![sds])) }),
        array: Some(Part { begun_at, taken_at, value: Arc::new(array) }),
        ..Snapshot::empty(SystemId::new("prod"), Generation::V3_5, 0, begun_at)
    }
}

/// Work that has a duty for a node.
fn work(node: &str, duty: &str) -> Lifecycle {
    let open = ObligationShown {
        what: String::new(),
        duty: duty.to_owned(),
        node: NodeName::new(node),
        run: RunId::new("run-1"),
        since: at(90),
        deadline: at(900),
        overdue: false,
    };
    Lifecycle { obligations: vec![open], ..Lifecycle::nothing(SystemId::new("prod"), Mode::Act, at(90)) }
}

fn told(ip: &str, snapshot: Option<&Snapshot>, work: Option<&Lifecycle>, now: i64) -> String {
    let systems = [(SystemId::new("prod"), Known { snapshot, work })].into();
    match vote(&NodeName::new("n1"), &[ip.into()].into(), &systems, at(now)) {
        Vote::MayGo => "may go".to_owned(),
        Vote::Stays { reason } => reason.to_string(),
    }
}

#[test]
fn a_machine_may_go_that_carries_nothing_or_is_in_our_maintenance_and_no_other() {
    let (serves, away) = (snapshot(Maintenance::None), snapshot(Maintenance::In));
    let ours = work("n1", "maintenance");
    assert_eq!(told("10.0.0.9", Some(&serves), None, 110), "may go", "nothing of ours is there");
    let said = told("10.0.0.1", Some(&serves), None, 110);
    assert!(said.contains("SDS one of prod serves") && said.contains("sio maintenance"), "{said}");
    assert_eq!(told("10.0.0.1", Some(&serves), Some(&ours), 110), said, "it has not gone into it yet");
    assert_eq!(told("10.0.0.1", Some(&away), Some(&ours), 110), "may go");
    for others in [None, Some(work("n2", "maintenance")), Some(work("n1", "drain"))] {
        let said = told("10.0.0.1", Some(&away), others.as_ref(), 110);
        assert!(said.contains("maintenance of somebody else"), "{said}");
    }
    for state in [Maintenance::Entering, Maintenance::Exiting] {
        assert!(told("10.0.0.1", Some(&snapshot(state)), Some(&ours), 110).contains("serves"), "{state:?}");
    }
    assert!(told("10.0.0.2", Some(&serves), None, 110).contains("a member of the MDM cluster of prod that votes"));
}

#[test]
fn nothing_is_concluded_from_a_system_that_is_not_seen() {
    let serves = snapshot(Maintenance::None);
    assert_eq!(told("10.0.0.9", Some(&serves), None, 160), "may go");
    for (snapshot, now) in [(Some(&serves), 161), (Some(&serves), 90), (None, 110)] {
        assert!(told("10.0.0.9", snapshot, None, now).contains("prod was not seen lately"), "{now}");
    }
}

//! What is to be added waits for its turn, and what nobody has told yet is nobody's fault.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::fleet::desired::{Address, Serves};
use crate::model::cluster::System;
use crate::model::id::ObjectId;
use crate::model::snapshot::{Part, Table};
use crate::model::stats::{Columns, Stat, StatKind, StatTable, Statistics};
use crate::model::version::Generation;

fn now() -> Timestamp {
    Timestamp::from_timestamp(1000, 0).unwrap()
}

fn part<T>(value: T) -> Option<Part<T>> {
    Some(Part { begun_at: now(), taken_at: now(), value: Arc::new(value) })
}

/// A system in which all is well.
fn well() -> Snapshot {
    let id = ObjectId::from_number(1);
    let columns = [Stat::DegradedHealthyCapacityInKb, Stat::DegradedFailedCapacityInKb, Stat::FailedCapacityInKb];
    let table = StatTable::new(Columns::new(columns), vec![id.clone()], vec![0.0; 3]);
    Snapshot {
        array: part(System::unknown(id.into())),
        sds: part(Table::new(Vec::new())),
        statistics: part(Statistics::new(BTreeMap::from([(StatKind::System, table)]))),
        ..Snapshot::empty(SystemId::new("prod"), Generation::V3_5, 0, now())
    }
}

#[test]
fn which_address_is_meant_is_nobodys_fault_until_the_system_has_told_what_is_there() {
    let several = Refusal::SeveralIn {
        network: "10.1.0.0/24".parse().unwrap(),
        addresses: vec!["10.1.0.1".into(), "10.1.0.2".into()],
    };
    let whole = well();
    assert_eq!(undecided(&several, Some(&whole)), None, "then it is to be decided by a person");
    let (mut no_servers, mut no_system) = (well(), well());
    (no_servers.sds, no_system.array) = (None, None);
    for unseen in [None, Some(&no_servers), Some(&no_system)] {
        let why = undecided(&several, unseen);
        assert!(matches!(&why, Some(Why::Unseen { because }) if because.contains("10.1.0.0/24")), "{why:?}");
    }
    assert_eq!(undecided(&Refusal::NoAddress, None), None, "it is as refused as before");
}

#[test]
fn addresses_of_a_server_that_is_not_heard_wait_and_its_disks_do_not() {
    let node = NodeName::new("n1");
    let address = |ip: &str| Address { ip: ip.into(), serves: Serves::All };
    let more = Addition::Address { node: node.clone(), address: address("10.2.0.1") };
    let less = Addition::Role { node: node.clone(), is_narrower: true, address: address("10.1.0.1") };
    let disk = Addition::Device { node: node.clone(), path: "/dev/sdb".into(), pool: "p".into() };
    let spread = Spread::of([&more], &well(), None, BTreeSet::new(), now());

    let mut lacks = vec![&more, &disk];
    let waits = held_back(&node, &mut lacks, false, &spread);
    assert_eq!(waits.as_deref(), Some("its SDS to be connected; then its addresses are changed"));
    assert_eq!(lacks, [&disk]);
    let mut lacks = vec![&more, &disk];
    assert_eq!(held_back(&node, &mut lacks, true, &spread), None);
    assert_eq!(lacks, [&more, &disk]);
    // One waits as the system asks for it, and the rest goes on.
    let mut lacks = vec![&more, &less, &disk];
    let waits = held_back(&node, &mut lacks, true, &spread).unwrap();
    assert!(waits.starts_with("all servers to have their addresses"), "{waits}");
    assert_eq!(lacks, [&more, &disk]);
}

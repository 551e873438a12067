//! How changes of addresses go from one server to the others, and what stops them.

use super::*;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;

use crate::fleet::desired::{Address, Serves};
use crate::model::cluster::{PathState, Sds, System};
use crate::model::id::{ObjectId, SystemId};
use crate::model::snapshot::{Part, Table};
use crate::model::state::Seen;
use crate::model::stats::{Columns, StatKind, StatTable, Statistics};
use crate::model::version::Generation;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

fn node(name: &str) -> NodeName {
    NodeName::new(name)
}

fn address(name: &str) -> Addition {
    Addition::Address { node: node(name), address: Address { ip: "10.2.0.1".into(), serves: Serves::All } }
}

fn narrower(name: &str) -> Addition {
    let address = Address { ip: "10.1.0.1".into(), serves: Serves::Servers };
    Addition::Role { node: node(name), is_narrower: true, address }
}

/// All is well, and was asked for at a moment. KiB that lack a copy, and that are rebuilt.
fn seen(seconds: i64, degraded: f64, rebuilt: f64) -> Snapshot {
    let (begun_at, taken_at) = (at(seconds), at(seconds));
    let id = ObjectId::from_number(3);
    let whole = PathState {
        path: NetworkPath::SdcToSds,
        state: Seen::Is(Connectivity::AllConnected),
        client: None,
        server: None,
    };
    let array = System { connectivity: vec![whole], ..System::unknown(id.clone().into()) };
    let sds = Sds {
        name: Some("s1".into()),
        connection: Seen::Is(Connection::Connected),
        maintenance: Seen::Is(Maintenance::None),
        ..Sds::unknown(ObjectId::from_number(1).into())
    };
    let columns = Columns::new([
        Stat::DegradedHealthyCapacityInKb,
        Stat::DegradedFailedCapacityInKb,
        Stat::FailedCapacityInKb,
        Stat::PendingBckRebuildCapacityInKb,
    ]);
    let table = StatTable::new(columns, vec![id], vec![0.0, degraded, 0.0, rebuilt]);
    let statistics = Statistics::new(BTreeMap::from([(StatKind::System, table)]));
    Snapshot {
        array: Some(Part { begun_at, taken_at, value: Arc::new(array) }),
        sds: Some(Part { begun_at, taken_at, value: Arc::new(Table::new(vec![sds])) }),
        statistics: Some(Part { begun_at, taken_at, value: Arc::new(statistics) }),
        ..Snapshot::empty(SystemId::new("prod"), Generation::V3_5, 0, begun_at)
    }
}

fn torn(seconds: i64) -> Snapshot {
    let mut snapshot = seen(seconds, 0.0, 0.0);
    let array = Arc::make_mut(&mut snapshot.array.as_mut().unwrap().value);
    array.connectivity[0].state = Seen::Is(Connectivity::AllClientFromOneServerIp);
    array.connectivity[0].server = Some("s1".into());
    snapshot
}

fn last(name: &str, seconds: i64, before: &[&str], is_taken: bool) -> Last {
    Last { node: node(name), at: at(seconds), before: before.iter().map(|what| (*what).to_owned()).collect(), is_taken }
}

/// Which of the nodes go in a turn, and why the others do not. Seconds are those of the snapshot.
fn turn(additions: &[Addition], snapshot: &Snapshot, last: Option<&Last>) -> Vec<String> {
    let now = snapshot.array.as_ref().unwrap().begun_at;
    let mut spread = Spread::of(additions, snapshot, last, BTreeSet::new(), now);
    let one = |addition: &Addition| {
        let node = addition.node().unwrap();
        match spread.may(node, addition.is_narrower()) {
            Ok(()) => {
                spread.goes(node);
                format!("{node} goes")
            }
            Err(what) => format!("{node} waits for {what}"),
        }
    };
    additions.iter().map(one).collect()
}

#[test]
fn one_server_gets_its_addresses_first_and_the_others_when_that_did_no_harm() {
    let all = ["a", "b", "c"].map(address);
    let first = turn(&all, &seen(100, 0.0, 0.0), None);
    assert_eq!(first[0], "a goes");
    assert!(first[1..].iter().all(|told| told.ends_with("its turn: the addresses of a come first")), "{first:?}");
    let others = &all[1..];
    let done = last("a", 100, &[], true);
    let soon = turn(others, &seen(129, 0.0, 0.0), Some(&done));
    assert!(soon.iter().all(|told| told.contains("what becomes of a,")), "{soon:?}");
    assert_eq!(turn(others, &seen(130, 0.0, 0.0), Some(&done)), ["b goes", "c goes"]);
    let harmed = turn(others, &torn(130), Some(&done));
    assert!(
        harmed[0].contains("since the addresses of a were changed: the way from clients to servers is"),
        "{harmed:?}"
    );
    assert!(harmed[0].contains("server s1"), "{harmed:?}");
    let was_so = Last { before: of_servers(&torn(99)), ..done };
    assert_eq!(turn(others, &torn(130), Some(&was_so)), ["b goes", "c goes"], "it was so before");
    // What the MDM refused proves nothing: another one goes alone.
    let refused = last("a", 100, &[], false);
    assert_eq!(turn(others, &seen(130, 0.0, 0.0), Some(&refused))[0], "b goes");
    assert!(turn(others, &seen(130, 0.0, 0.0), Some(&refused))[1].contains("the addresses of b come first"));
}

#[test]
fn servers_serve_less_one_after_the_other_and_only_while_all_is_well() {
    let all = ["a", "b"].map(narrower);
    let told = turn(&all, &seen(200, 0.0, 0.0), Some(&last("z", 100, &[], true)));
    assert_eq!(told[0], "a goes");
    assert!(told[1].contains("the addresses of a come first"), "{told:?}");
    for (snapshot, why) in [
        (seen(200, 1.0, 0.0), "data lacks a copy"),
        (seen(200, 0.0, 1.0), "data is rebuilt"),
        (torn(200), "the way from clients to servers"),
    ] {
        let told = turn(&all, &snapshot, None);
        assert!(told.iter().all(|told| told.contains(why)), "{told:?}");
    }
    for (maintenance, connection, why) in [
        (Maintenance::In, Connection::Connected, "SDS s1 is in maintenance"),
        (Maintenance::None, Connection::Disconnected, "SDS s1 is Disconnected"),
    ] {
        let mut snapshot = seen(200, 0.0, 0.0);
        let mut sds = snapshot.sds.as_ref().unwrap().iter().next().unwrap().clone();
        (sds.maintenance, sds.connection) = (Seen::Is(maintenance), Seen::Is(connection));
        snapshot.sds.as_mut().unwrap().value = Arc::new(Table::new(vec![sds]));
        let told = turn(&all, &snapshot, None);
        assert!(told.iter().all(|told| told.contains(why)), "{told:?}");
    }
    let both = [address("c"), narrower("a")];
    let told = turn(&both, &seen(200, 0.0, 0.0), None);
    assert!(told[1].contains("all servers to have their addresses"), "{told:?}");
}

#[test]
fn nothing_is_changed_while_nobody_knows_how_the_system_is() {
    let mut blind = seen(100, 0.0, 0.0);
    blind.statistics = None;
    let mut untold = seen(100, 0.0, 0.0);
    untold.statistics.as_mut().unwrap().value = Arc::new(Statistics::default());
    let mut old = seen(100, 0.0, 0.0);
    old.statistics.as_mut().unwrap().begun_at = at(39);
    for (snapshot, why) in [
        (&blind, "the system to tell how it is"),
        (&untold, "the statistics of the system"),
        (&old, "the system to tell how it is"),
        (&seen(100, f64::NAN, 0.0), "whether data lacks a copy"),
    ] {
        let told = turn(&[address("a"), narrower("a")], snapshot, None);
        assert!(told.iter().all(|told| told.contains(why)), "{told:?}");
    }
}

#[test]
fn a_round_that_is_open_goes_on_and_takes_in_no_other_node() {
    let all = ["a", "b"].map(address);
    let spread = Spread::of(&all, &torn(100), None, [node("a")].into(), at(100));
    assert_eq!(spread.may(&node("a"), true), Ok(()));
    assert_eq!(spread.may(&node("b"), false), Err("its turn".to_owned()));
}

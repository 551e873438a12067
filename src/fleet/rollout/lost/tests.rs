//! Whether only a member that is really gone is given up, and whether one that comes back keeps its place.

use super::super::cluster::ClusterDecision;
use super::super::cluster::tests::{Site, at, candidate, member, node};
use super::*;
use crate::model::mdm::{Kind, MdmTask};
use crate::model::order::Task;
use crate::model::rollout::{Approved, Why};

/// An hour after the last word of n1, whose host has no power.
const NOW: i64 = 3600;

fn ok(number: u8, place: &str) -> String {
    format!(r#"{{"name":"n{number}","id":"{number}","place":"{place}","status":"Normal","ips":["192.0.2.{number}"]}}"#)
}

fn away(number: u8, place: &str) -> String {
    ok(number, place).replace("Normal", "Disconnected")
}

fn tells(record: &mut ClusterRecord, seconds: i64, state: &str, members: &[String]) {
    let text = format!(
        r#"{{"mdm":"cluster","name":null,"mode":"3_node","state":"{state}","members":[{}]}}"#,
        members.join(",")
    );
    record.words = [(node(2), (at(seconds), serde_json::from_str(&text).unwrap()))].into();
}

/// Three members, of which n1 is away, and a fourth node.
fn site() -> (Site, ClusterRecord) {
    let mut site = Site::new();
    let mut record = site.decide(None, 1).record.unwrap();
    for (number, member) in (1..).zip(&mut site.members) {
        let kind = if record.seats[&node(number)] == Seat::TieBreaker { Kind::TieBreaker } else { Kind::Manager };
        record.installed.insert(node(number), kind);
        member.host.as_mut().unwrap().installed.insert("mdm".to_owned(), ["3.6-1.1".to_owned()].into());
    }
    record.known.is_made = true;
    record.known.has_password = true;
    site.members.push(member(4, NOW));
    for number in [2, 3] {
        site.members[number - 1].facts.as_mut().unwrap().seen_at = at(NOW);
    }
    site.candidates = (2..=4).map(candidate).collect();
    tells(&mut record, NOW, "Degraded", &[ok(2, "master"), away(1, "slave"), ok(3, "tie_breaker")]);
    (site, record)
}

fn ask(site: &Site, record: &ClusterRecord) -> Result<BTreeMap<NodeName, Seat>, Vec<Hold>> {
    site.look(NOW, |view| give_up(&node(1), record, view))
}

/// As the rollout writes it down.
fn given(site: &Site, record: &ClusterRecord) -> ClusterRecord {
    let mut given = ClusterRecord { seats: ask(site, record).unwrap(), ..record.clone() };
    given.given_up.insert(node(1), Approved { by: "ada".into(), at: at(NOW) });
    given
}

/// The change of the cluster that was ordered, by way of which node.
fn ordered(decision: &ClusterDecision) -> Vec<String> {
    let orders = decision.orders.iter().map(|(to, errand)| match &errand.task {
        Task::Mdm(MdmTask { change, .. }) => format!("{to} {}", change.name()),
        task => format!("{to} {}", task.name()),
    });
    orders.collect()
}

#[test]
fn a_member_that_is_gone_gives_its_seat_to_a_node_that_is_ready() {
    let (site, record) = site();
    assert_eq!(ordered(&site.decide(Some(&record), NOW)), [] as [&str; 0], "nobody is replaced unasked");
    let given = given(&site, &record);
    assert_eq!(given.seats[&node(4)], Seat::Manager);
    assert!(!given.seats.contains_key(&node(1)));
    let next = site.decide(Some(&given), NOW);
    assert_eq!(ordered(&next), ["n4 prerequisites"]);
    assert!(next.waits.iter().any(|why| why.contains("n1 was given up by ada")), "{:?}", next.waits);
}

#[test]
fn a_standby_of_its_kind_takes_the_seat_before_anybody_else_does() {
    let (mut site, mut record) = site();
    site.wanted.standby_managers = 1;
    record.seats.insert(node(4), Seat::StandbyManager);
    record.installed.insert(node(4), Kind::Manager);
    site.members[3].host.as_mut().unwrap().installed.insert("mdm".to_owned(), ["3.6-1.1".to_owned()].into());
    let told = [ok(2, "master"), away(1, "slave"), ok(3, "tie_breaker"), ok(4, "standby_manager")];
    tells(&mut record, NOW, "Degraded", &told);
    let given = given(&site, &record);
    assert_eq!(given.seats[&node(4)], Seat::Manager);
    let next = site.decide(Some(&given), NOW);
    assert_eq!(ordered(&next), [] as [&str; 0]);
    let waits_for = |words: &str| next.waits.iter().any(|why| why.contains(words));
    assert!(
        waits_for("accept = [\"replace_cluster_mdm\"]"),
        "the command waits for a person by its name: {:?}",
        next.waits
    );
    site.wanted.accept.insert("replace_cluster_mdm".to_owned());
    assert_eq!(ordered(&site.decide(Some(&given), NOW)), ["n2 mdm_replace"]);

    // The place is taken: the lost one is taken out, and then forgotten.
    let mut replaced = given;
    tells(
        &mut replaced,
        NOW,
        "Normal",
        &[ok(2, "master"), ok(4, "slave"), ok(3, "tie_breaker"), away(1, "standby_manager")],
    );
    site.wanted.accept.insert("remove_standby_mdm".to_owned());
    let next = site.decide(Some(&replaced), NOW);
    assert_eq!(ordered(&next), ["n2 mdm_remove_standby"]);
    tells(&mut replaced, NOW, "Normal", &[ok(2, "master"), ok(4, "slave"), ok(3, "tie_breaker")]);
    let last = site.decide(Some(&replaced), NOW).record.unwrap();
    assert_eq!(last.given_up, BTreeMap::new());
}

#[test]
fn a_member_that_is_back_before_its_place_was_taken_keeps_it() {
    let (site, record) = site();
    let mut given = given(&site, &record);
    tells(&mut given, NOW, "Normal", &[ok(2, "master"), ok(1, "slave"), ok(3, "tie_breaker")]);
    let next = site.decide(Some(&given), NOW).record.unwrap();
    assert_eq!((next.given_up.len(), next.seats.get(&node(1))), (0, Some(&Seat::Manager)));
}

#[test]
fn everything_that_stands_against_it_is_told() {
    let (site, record) = site();
    assert!(ask(&site, &record).is_ok());
    type Change = Box<dyn FnOnce(&mut Site, &mut ClusterRecord)>;
    let heard = |seconds: i64| -> Change {
        Box::new(move |site, _| site.members[0].facts.as_mut().unwrap().seen_at = at(seconds))
    };
    let says = |state: &'static str, members: Vec<String>| -> Change {
        Box::new(move |_, record| tells(record, NOW, state, &members))
    };
    let cases: Vec<(Change, &str)> = vec![
        (heard(NOW - 899), "its agent was heard 899 s ago; it counts as gone after 900 s"),
        (
            Box::new(|_, record| {
                record.seats.remove(&node(1));
            }),
            "it has no seat",
        ),
        (Box::new(|site, _| site.may_change = Err(Why::Observed)), "observe"),
        (Box::new(|site, _| site.run = Some(RunId::new("r1"))), "run r1 works on the system"),
        (Box::new(|_, record| record.words.clear()), "no manager has told of the cluster"),
        (
            Box::new(|_, record| {
                let (_, word) = record.words.remove(&node(2)).unwrap();
                record.words.insert(node(2), (at(NOW - 61), word));
            }),
            "no manager has told of the cluster",
        ),
        (says("Normal", vec![ok(2, "master"), ok(1, "slave"), ok(3, "tie_breaker")]), "does not say that it is away"),
        (says("Degraded", vec![ok(2, "master"), ok(3, "tie_breaker")]), "does not say that it is away"),
        (says("Degraded", vec![ok(2, "master"), away(1, "slave"), away(3, "tie_breaker")]), "n3 are not well either"),
        (Box::new(|site, _| drop(site.candidates.pop())), "nobody can take its place"),
        (Box::new(|site, _| site.ready = false), "n4 would take its place and is not ready"),
        (
            Box::new(|_, record| {
                let given = Approved { by: "bob".into(), at: at(NOW) };
                record.given_up.insert(node(3), given);
            }),
            "n3 was given up and is not replaced yet",
        ),
    ];
    for (change, words) in cases {
        let (mut site, mut record) = self::site();
        change(&mut site, &mut record);
        let against = ask(&site, &record).expect_err(words);
        let told = told(&node(1), &against);
        assert!(told.starts_with("n1 is not given up: ") && told.contains(words), "{words:?} is not in {told:?}");
        assert_eq!(against.len(), 1, "{told}");
    }
    let again = given(&site, &record);
    let against = ask(&site, &ClusterRecord { seats: record.seats, ..again }).unwrap_err();
    assert!(told(&node(1), &against).contains("ada has given it up already"));
    // A controller that was just started does not know how long somebody has been silent.
    let (mut site, record) = self::site();
    site.members[0].facts.as_mut().unwrap().seen_at = at(-10_000);
    let early = site.look(899, |view| give_up(&node(1), &record, view)).unwrap_err();
    assert_eq!(early, [Hold::Listening { since: Duration::from_secs(899), wanted: Duration::from_secs(900) }]);
}

//! Tests of the verdict on offers.

use std::collections::BTreeMap;

use super::*;
use crate::model::id::{AgentId, ExecutorId, OfferId, TaskId};
use crate::model::mesos::{AttributeValue, NodeTask};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp_nanos(1_800_000_000_000_000_000 + seconds * 1_000_000_000)
}

fn offer() -> Offer {
    Offer {
        id: OfferId::new("O1"),
        agent: AgentId::new("S1"),
        hostname: "a".into(),
        address: None,
        role: Some("scaleio".into()),
        cpus: 1.0,
        mem: 256.0,
        pieces: Vec::new(),
        attributes: BTreeMap::new(),
        executors: Vec::new(),
        unavailability: None,
    }
}

fn wanted() -> Wanted {
    Wanted {
        rollout: true,
        cpus: 0.1,
        mem: 64.0,
        roles: ["scaleio".to_owned()].into(),
        systems: [SystemId::new("prod")].into(),
    }
}

fn task(state: Option<&str>) -> NodeTask {
    NodeTask {
        agent: AgentId::new("S1"),
        hostname: "a".into(),
        task: TaskId::new("sio-S1-1"),
        executor: ExecutorId::new("sio-S1-1"),
        attempt: 1,
        phase: state.map_or(TaskPhase::Intended, |state| TaskPhase::Told {
            state: TaskState::new(state),
            reason: None,
            message: None,
        }),
        failures: 2,
        retry_at: None,
        changed_at: at(0),
    }
}

fn reason(offer: &Offer, known: Known<'_>) -> &'static str {
    match judge(offer, known, &wanted(), at(0)) {
        Verdict::Accept => "accepted",
        Verdict::Decline { reason } => reason.as_str(),
    }
}

#[test]
fn each_reason_has_its_offer() {
    let nothing = Known::default();
    assert_eq!(reason(&offer(), nothing), "accepted");
    assert_eq!(reason(&Offer { role: None, ..offer() }, nothing), "accepted");
    assert_eq!(reason(&Offer { role: Some("x".into()), ..offer() }, nothing), "foreign_role");
    let long = |dots: usize| Offer { hostname: format!("storage-1{}", ".a".repeat(dots)).into(), ..offer() };
    assert_eq!(reason(&long(20), nothing), "accepted");
    assert_eq!(reason(&long(60), nothing), "bad_name", "such a name has a hundred bytes and is longer in a store");
    assert_eq!(reason(&Offer { cpus: 0.1, ..offer() }, nothing), "too_small");
    assert_eq!(reason(&Offer { cpus: 0.11, ..offer() }, nothing), "accepted");
    assert_eq!(reason(&Offer { mem: 64.0, ..offer() }, nothing), "too_small");
    let mut bad = offer();
    bad.attributes.insert("scaleio-persona".into(), vec![AttributeValue::Scalar(1.0)]);
    assert_eq!(reason(&bad, nothing), "bad_attributes");
    let idle = Wanted { rollout: false, ..wanted() };
    assert_eq!(judge(&offer(), nothing, &idle, at(0)), Verdict::Decline { reason: Refusal::NothingWanted });
}

#[test]
fn a_task_that_lives_or_is_in_doubt_is_never_doubled() {
    for (state, expected) in [
        (None, "not_settled"),
        (Some("TASK_STAGING"), "already_there"),
        (Some("TASK_RUNNING"), "already_there"),
        (Some("TASK_UNREACHABLE"), "not_settled"),
        (Some("TASK_ASCENDED"), "not_settled"),
        (Some("TASK_KILLED"), "accepted"),
        (Some("TASK_LOST"), "accepted"),
    ] {
        let task = task(state);
        assert_eq!(reason(&offer(), Known { here: Some(&task), ..Known::default() }), expected, "{state:?}");
    }
}

#[test]
fn a_failed_launch_waits_for_its_time() {
    let mut task = task(Some("TASK_FAILED"));
    for (retry_at, expected) in [(at(1), "waits_after_failure"), (at(0), "accepted")] {
        task.retry_at = Some(retry_at);
        assert_eq!(reason(&offer(), Known { here: Some(&task), ..Known::default() }), expected);
    }
}

#[test]
fn a_host_name_belongs_to_one_agent_until_that_one_is_gone() {
    for (state, expected) in [
        (None, "name_taken"),
        (Some("TASK_RUNNING"), "name_taken"),
        (Some("TASK_ASCENDED"), "name_taken"),
        (Some("TASK_UNREACHABLE"), "accepted"),
        (Some("TASK_GONE_BY_OPERATOR"), "accepted"),
    ] {
        let other = task(state);
        assert_eq!(reason(&offer(), Known { namesake: Some(&other), ..Known::default() }), expected, "{state:?}");
    }
}

#[test]
fn a_machine_that_goes_soon_gets_nothing_and_one_that_was_away_does() {
    let away = |start: i64, span: Option<i64>| Offer {
        unavailability: Some(Unavailability {
            start: at(start).timestamp_nanos_opt().unwrap(),
            duration: span.map(|span| span * 1_000_000_000),
        }),
        ..offer()
    };
    for (start, span, expected) in [
        (0, None, "maintenance"),
        (600, Some(60), "maintenance"),
        (601, Some(60), "accepted"),
        (-100, Some(200), "maintenance"),
        (-100, Some(100), "accepted"),
    ] {
        assert_eq!(reason(&away(start, span), Known::default()), expected, "{start} {span:?}");
    }
}

#[test]
fn no_task_is_started_beside_one_of_a_life_that_is_lost() {
    let theirs = TaskId::new("sio-old-1");
    let known = Known { of_another_life: Some(&theirs), ..Known::default() };
    assert_eq!(reason(&offer(), known), "of_another_life");
}

//! Whether tasks get volumes by steps behind all others, one Mesos agent first,
//! and whether what does not come back is put back and told.

use super::super::super::consume::{AtMaster, Wanted, about, gate};
use super::super::super::record::{FlagState, Flags};
use super::*;
use crate::model::order::MesosVolumes;

fn flags_task() -> Task {
    Task::MesosVolumes(Box::<MesosVolumes>::default())
}

fn steps() -> Vec<Step> {
    let consume = Step { name: StepName::ConsumeVolumes, task: Task::Unknown };
    vec![consume, Step { name: StepName::MesosVolumes, task: flags_task() }]
}

/// What the master told at a second, of an agent that registered at another.
fn told(asked: i64, registered: Option<i64>) -> Option<AtMaster> {
    Some(AtMaster { asked_at: at(asked), registered: registered.map(at) })
}

fn consuming(now: i64, member: &Member, at_master: Option<AtMaster>) -> View<'_> {
    let wanted = Wanted { steps: steps(), gate: Ok(()) };
    View { volumes: Some(Ok(wanted)), at_master, ..view(now, Some(member)) }
}

/// A node that was told of its driver, and whose Mesos agent is next.
fn driven(seconds: i64) -> Record {
    let goal = digest(&steps()).into();
    Record { volumes: super::super::super::record::Progress { goal, done: 1 }, ..installed(seconds) }
}

/// Whose Mesos agent was started again at second 20, having registered at second 5.
fn tried() -> Record {
    let heard = member(10);
    let ordered = decide(&driven(10), &consuming(10, &heard, told(9, Some(5))));
    assert_eq!(step_of(&ordered), Some(StepName::MesosVolumes));
    let heard = ended(&ordered.record, Outcome::Done, &[], 20);
    let tried = decide(&ordered.record, &consuming(20, &heard, told(9, Some(5))));
    assert_eq!(tried.act, None);
    assert!(tried.why[0].to_string().contains("the Mesos master to see its agent again"), "{:?}", tried.why);
    tried.record
}

fn state(record: &Record) -> &FlagState {
    &record.flags.as_ref().unwrap().state
}

#[test]
fn what_tasks_need_comes_behind_what_the_node_itself_needs() {
    let heard = member(10);
    let waits = View { not_shown: vec![Why::NoManagers], ..consuming(10, &heard, told(9, Some(5))) };
    assert_eq!(decide(&installed(10), &waits).act, None, "it is not joined yet");
    let first = decide(&installed(10), &consuming(10, &heard, told(9, Some(5))));
    assert_eq!(step_of(&first), Some(StepName::ConsumeVolumes));
    let heard = ended(&first.record, Outcome::AlreadySo, &[], 12);
    let second = decide(&first.record, &consuming(12, &heard, told(9, Some(5))));
    assert_eq!(step_of(&second), Some(StepName::MesosVolumes));
    // Flags that were there already prove nothing, and nobody waits for a registration.
    let heard = ended(&second.record, Outcome::AlreadySo, &[], 14);
    let ready = decide(&second.record, &consuming(14, &heard, None));
    assert_eq!((ready.record.phase.clone(), ready.act), (NodePhase::Ready, None));
    assert_eq!(state(&ready.record), &FlagState::Same);
}

#[test]
fn a_release_without_a_driver_leaves_the_node_ready_and_says_why() {
    let heard = member(10);
    let none = Some(Err(Why::NoVolumes { because: "no login".into() }));
    let decision = decide(&installed(10), &View { volumes: none, ..view(10, Some(&heard)) });
    assert_eq!(decision.record.phase, NodePhase::Ready);
    assert!(decision.why[0].to_string().contains("no login"));
}

#[test]
fn an_agent_is_proven_by_a_new_registration_at_the_master_and_by_nothing_else() {
    let record = tried();
    let heard = member(40);
    for (why, at_master) in [
        ("no master was heard", None),
        ("it was asked before the start", told(19, Some(18))),
        ("it is not there", told(30, None)),
        ("it is the registration from before", told(30, Some(5))),
    ] {
        let decision = decide(&record, &consuming(40, &heard, at_master));
        assert!(matches!(state(&decision.record), FlagState::Tried { .. }), "{why}");
        assert_ne!(decision.record.phase, NodePhase::Ready, "{why}");
    }
    // One that is away is not among the agents, and its version is not known then.
    let unknown = View { volumes: Some(Err(Why::NoManagers)), ..consuming(40, &heard, told(30, None)) };
    assert!(matches!(decide(&record, &unknown).record.phase, NodePhase::Installing { .. }));
    let late = View { now: at(300), volumes: Some(Err(Why::NoManagers)), ..consuming(300, &heard, told(299, None)) };
    assert_eq!(step_of(&decide(&record, &View { member: Some(&member(299)), ..late })), Some(StepName::MesosPutBack));
    let proven = decide(&record, &consuming(40, &heard, told(30, Some(21))));
    assert_eq!((state(&proven.record), &proven.record.phase), (&FlagState::Proven, &NodePhase::Ready));
}

#[test]
fn an_agent_that_does_not_register_again_gets_its_old_flags_and_waits_for_a_person() {
    let (record, heard) = (tried(), member(300));
    let silent = decide(&record, &consuming(300, &heard, told(19, Some(5))));
    assert!(matches!(state(&silent.record), FlagState::Tried { .. }), "a silent master proves nothing");
    // No yes is needed for what only undoes.
    let gone = View { may_change: Err(Why::Observed), ..consuming(300, &heard, told(299, None)) };
    let back = decide(&record, &gone);
    assert_eq!(step_of(&back), Some(StepName::MesosPutBack));
    let heard = ended(&back.record, Outcome::Done, &[], 310);
    let over = decide(&back.record, &consuming(310, &heard, told(309, Some(305))));
    assert_eq!(state(&over.record), &FlagState::Back);
    let NodePhase::Failed { why, retry_at: None, .. } = &over.record.phase else { panic!("{:?}", over.record.phase) };
    assert!(why.contains("did not register again within 180 s") && why.contains("its old flags are back"), "{why}");
    let again = retried(&over.record);
    assert_eq!((again.flags, again.failures), (None, None), "a person lets it be tried again");
}

#[test]
fn what_the_node_itself_sees_fail_is_put_back_and_what_it_refuses_is_not() {
    let heard = member(10);
    let ordered = decide(&driven(10), &consuming(10, &heard, told(9, Some(5)))).record;
    let heard = ended(&ordered, Outcome::Failed { why: "it does not run".into() }, &[], 20);
    let back = decide(&ordered, &consuming(20, &heard, told(9, Some(5))));
    assert_eq!(step_of(&back), Some(StepName::MesosPutBack));
    // Where nothing had been changed it is tried again later, and others need not wait.
    let heard = ended(&back.record, Outcome::AlreadySo, &[], 25);
    let later = decide(&back.record, &consuming(25, &heard, told(9, Some(5))));
    assert_eq!(later.record.flags, None);
    assert!(later.record.failures.as_ref().unwrap().retry_at.is_some(), "{:?}", later.record.failures);

    let heard = ended(&ordered, Outcome::Refused { why: "no dvdcli".into() }, &[], 20);
    let refused = decide(&ordered, &consuming(20, &heard, told(9, Some(5))));
    assert_eq!((&refused.record.flags, &refused.act), (&None, &None));
    assert!(matches!(&refused.record.phase, NodePhase::Failed { why, .. } if why.contains("no dvdcli")));
}

#[test]
fn nobody_waits_for_an_order_that_never_came_to_its_agent() {
    let heard = member(10);
    let ordered = decide(&driven(10), &consuming(10, &heard, told(9, Some(5)))).record;
    let busy = View { in_run: Some(RunId::new("r1")), ..consuming(12, &heard, told(9, Some(5))) };
    assert_eq!(decide(&ordered, &busy).record.flags, None);
}

#[test]
fn one_agent_comes_first_and_the_others_wait_for_it() {
    let name = |number: usize| NodeName::new(&format!("n{number:02}"));
    let goal = about(&steps()).unwrap();
    let flags = |state: FlagState| Flags { about: goal.as_str().into(), state };
    let (tried, ordered) = (FlagState::Tried { registered: None, at: at(1) }, FlagState::Ordered { registered: None });
    let back = FlagState::Back;
    let told = |states: &[FlagState]| {
        let all = states.iter().enumerate().map(|(number, state)| (name(number), flags(state.clone()))).collect();
        gate(&name(99), &goal, &all).map_err(|why| why.to_string())
    };
    assert_eq!(told(&[]), Ok(()));
    assert_eq!(told(&[FlagState::Same]), Ok(()), "it needed nothing");
    for state in [&ordered, &tried] {
        assert_eq!(told(std::slice::from_ref(state)).unwrap_err(), "it waits for n00: first agent with new flags");
    }
    assert_eq!(told(&[FlagState::Proven]), Ok(()));
    assert!(told(&[FlagState::Proven, tried.clone()]).unwrap_err().contains("n01: its Mesos agent is started again"));
    assert!(told(&[FlagState::Proven, back.clone()]).unwrap_err().contains("sio rollout retry n01"));
    let many = |open: usize| [vec![FlagState::Proven; 40], vec![tried.clone(); open]].concat();
    assert_eq!((told(&many(1)), told(&many(2)).is_err()), (Ok(()), true), "one in twenty");
    // Other flags are another matter, and a node does not wait for itself.
    let all = [(name(0), flags(back))].into();
    assert_eq!(gate(&name(1), "other", &all), Ok(()));
    assert_eq!(gate(&name(0), &goal, &all), Ok(()));
}

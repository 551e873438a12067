//! What to do next in a step: check, act, check again, until it is so or given up.
//!
//! ```text
//! check --so--> AlreadySo | Done
//!   |---not so, permit and time left--> intention into the ledger --> act --> check
//!   |---busy, settling--> wait, until the step's time is over
//!   `---cannot tell, trouble that stays, tries used up--> Failed
//! ```
//!
//! A crash anywhere leads back to `check`: the node says what was done.

use std::collections::BTreeMap;
use std::time::Duration;

use super::host::Host;
use super::ledger::{Ledger, LedgerError};
use super::memory::{Current, Record, digest};
use super::steps;
use crate::model::order::{Finished, Order, OrderId, Outcome, Secrets, Task};
use crate::model::unit::Timestamp;

/// How the node stands to what was ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is so.
    So,
    /// It is not so; what is missing.
    NotSo(String),
    /// It was begun and not ended, by a crash or a failing script.
    Half(String),
    /// Somebody else is at work there, such as another package manager.
    Busy(String),
    /// All is done and not yet to be seen, such as a port that will open.
    Settling(String),
    /// It cannot be so on this node, or not from where it stands.
    Impossible(String),
    /// A tool failed or said what we do not understand: nothing is touched.
    Unclear(String),
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Doing it again may help: what was half done is mended by it.
    Passing(String),
    /// It stays until a person or another order changes something.
    Lasting(String),
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// The step is over.
    Finish(Outcome),
    /// The node is changed.
    Act,
    /// Nothing for a moment.
    Wait,
}

/// How often a step may act: once for itself, and again for what a crash or a
/// failing script left half done.
const fn acts(task: &Task) -> u32 {
    match task {
        Task::Preflight(_) | Task::JudgeDisks { .. } | Task::Unknown => 0,
        Task::Reboot { .. }
        | Task::RenewAgent { .. }
        | Task::Stage { .. }
        | Task::Prerequisites { .. }
        | Task::Install(_)
        | Task::InstallBare { .. }
        | Task::PutBack(_)
        | Task::Remove { .. }
        | Task::Service { .. }
        | Task::ConnectSdc { .. }
        | Task::Mdm(_)
        | Task::MdmRole { .. }
        | Task::LinkLia { .. }
        | Task::ConnectGateway { .. }
        | Task::ConsumeVolumes(_)
        | Task::MesosVolumes(_)
        | Task::MesosPutBack => 3,
    }
}

/// Whether a task takes away what others use, so that each doing of it needs a
/// permit that lasts. What was begun otherwise is better ended than left.
const fn takes_away(task: &Task) -> bool {
    matches!(task, Task::Reboot { .. } | Task::Service { running: false, .. })
}

/// What this life of the agent did in a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Whether it acted.
    pub acted: bool,
    /// What went wrong when it acted last.
    pub trouble: Option<Trouble>,
}

/// The decision.
pub fn next(current: &Current, state: &State, life: &Life, now: Timestamp) -> Move {
    let trouble = life.trouble.as_ref();
    let fail = |why: String| Move::Finish(Outcome::Failed { why });
    let over = now >= current.begun_at + Duration::from_secs(u64::from(current.order.within_s));
    let why = match state {
        State::So if trouble.is_none() => {
            let outcome = if current.acts == 0 { Outcome::AlreadySo } else { Outcome::Done };
            return Move::Finish(outcome);
        }
        State::So => String::new(),
        State::Unclear(why) => {
            return fail(format!("{why}; nothing was touched since it cannot be told how it stands"));
        }
        State::Impossible(why) if current.acts == 0 => return Move::Finish(Outcome::Refused { why: why.clone() }),
        State::Impossible(why) => return fail(why.clone()),
        State::Busy(why) | State::Settling(why) if over => {
            return fail(format!("{why}, still after {} s", current.order.within_s));
        }
        State::Busy(_) | State::Settling(_) => return Move::Wait,
        State::NotSo(why) | State::Half(why) => why.clone(),
    };
    match trouble {
        Some(Trouble::Lasting(trouble)) => return fail(trouble.clone()),
        Some(Trouble::Passing(trouble)) if over || current.acts >= acts(&current.order.task) => {
            return fail(trouble.clone());
        }
        Some(Trouble::Passing(_)) => return Move::Act,
        None => {}
    }
    if over {
        return fail(format!("{why}; the {} s for it are over", current.order.within_s));
    }
    // A reboot that was asked for takes its time. A later life in the same boot may ask again: the boot ends once.
    if life.acted && matches!(current.order.task, Task::Reboot { .. }) {
        return Move::Wait;
    }
    if now >= current.order.expires {
        let expired = "its permit ended before it was done; the controller must look again whether it is safe";
        if current.acts == 0 {
            return Move::Finish(Outcome::Refused { why: expired.to_owned() });
        }
        if takes_away(&current.order.task) {
            return fail(expired.to_owned());
        }
    }
    if current.acts < acts(&current.order.task) { Move::Act } else { fail(why) }
}

/// Between two looks at something that settles by itself.
const PAUSE: Duration = Duration::from_millis(200);

/// What a walk needs besides node and ledger.
pub struct Around<'a> {
    /// The time at the controller, as well as it is known here.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Sleeps; tells whether to go on. An agent that is told to end leaves the step as it is.
    pub pause: &'a dyn Fn(Duration) -> bool,
}

/// Walks through a step that the ledger says is begun. None: told to end in its middle.
pub fn walk(
    ledger: &mut Ledger,
    host: &mut dyn Host,
    secrets: &Secrets,
    around: &Around<'_>,
) -> Result<Option<Finished>, LedgerError> {
    let mut life = Life::default();
    loop {
        let Some(current) = ledger.memory().current().cloned() else { return Ok(None) };
        let order = Order { secrets: secrets.clone(), ..current.order.clone() };
        let mut found = BTreeMap::new();
        let state = steps::check(&order, host, &mut found, (around.now)());
        match next(&current, &state, &life, (around.now)()) {
            Move::Finish(outcome) => {
                let outcome = after(&current, outcome, host);
                let result = Finished { id: order.id.clone(), outcome, at: (around.now)(), found };
                finish(ledger, &order, result.clone())?;
                return Ok(Some(result));
            }
            Move::Wait => {
                if !(around.pause)(PAUSE) {
                    return Ok(None);
                }
            }
            Move::Act => {
                if let Err(why) = steps::before(&order, host) {
                    let result = failed(&order.id, why, (around.now)());
                    finish(ledger, &order, result.clone())?;
                    return Ok(Some(result));
                }
                ledger.write(Record::Acting { id: order.id.clone(), boot_id: host.boot_id() })?;
                life = Life { acted: true, trouble: steps::act(&order, host).err() };
            }
        }
    }
}

/// The hook after a step that changed something may still say no.
fn after(current: &Current, outcome: Outcome, host: &mut dyn Host) -> Outcome {
    match outcome {
        Outcome::Done => match steps::after(&current.order, host) {
            Ok(()) => Outcome::Done,
            Err(why) => Outcome::Failed { why },
        },
        other => other,
    }
}

fn failed(id: &OrderId, why: String, at: Timestamp) -> Finished {
    Finished { id: id.clone(), outcome: Outcome::Failed { why }, at, found: BTreeMap::new() }
}

fn finish(ledger: &mut Ledger, order: &Order, result: Finished) -> Result<(), LedgerError> {
    ledger.write(Record::Finished { epoch: order.epoch, digest: digest(order), result })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, order, reboot, secret_install};
    use super::*;

    fn current(order: Order, acts: u32) -> Current {
        Current { order, begun_at: at(0), acts, acted_in: None }
    }

    fn idle() -> Life {
        Life::default()
    }

    fn after(trouble: &Trouble) -> Life {
        Life { acted: true, trouble: Some(trouble.clone()) }
    }

    fn not_so() -> State {
        State::NotSo("it is not there".to_owned())
    }

    fn failure(made: &Move) -> &str {
        match made {
            Move::Finish(Outcome::Failed { why } | Outcome::Refused { why }) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_so_already_is_left_alone_and_what_became_so_is_done() {
        let order = secret_install();
        assert_eq!(next(&current(order.clone(), 0), &State::So, &idle(), at(1)), Move::Finish(Outcome::AlreadySo));
        assert_eq!(next(&current(order, 1), &State::So, &idle(), at(1)), Move::Finish(Outcome::Done));
    }

    #[test]
    fn nothing_is_begun_after_the_permit_ended_but_what_was_begun_is_ended() {
        let order = secret_install();
        assert_eq!(next(&current(order.clone(), 0), &not_so(), &idle(), at(59)), Move::Act);
        assert!(failure(&next(&current(order.clone(), 0), &not_so(), &idle(), at(60))).contains("permit"));
        assert_eq!(next(&current(order, 1), &not_so(), &idle(), at(60)), Move::Act);
    }

    #[test]
    fn a_reboot_is_asked_for_once_in_a_life_and_never_without_a_permit() {
        let order = order("r", 1, reboot());
        let asked = Life { acted: true, trouble: None };
        assert_eq!(next(&current(order.clone(), 0), &not_so(), &idle(), at(1)), Move::Act);
        assert_eq!(next(&current(order.clone(), 1), &not_so(), &asked, at(99)), Move::Wait);
        assert!(failure(&next(&current(order.clone(), 1), &not_so(), &asked, at(600))).contains("600 s"));
        assert_eq!(next(&current(order.clone(), 1), &not_so(), &idle(), at(59)), Move::Act, "killed before it asked");
        assert!(failure(&next(&current(order, 1), &not_so(), &idle(), at(60))).contains("permit"));
    }

    #[test]
    fn what_cannot_be_told_is_not_touched() {
        let unclear = State::Unclear("rpm said nothing".to_owned());
        for acts in 0..4 {
            assert!(
                failure(&next(&current(secret_install(), acts), &unclear, &idle(), at(1))).contains("rpm said nothing")
            );
        }
    }

    #[test]
    fn who_is_busy_is_waited_for_until_the_time_is_over() {
        let busy = State::Busy("yum runs".to_owned());
        assert_eq!(next(&current(secret_install(), 0), &busy, &idle(), at(599)), Move::Wait);
        assert!(failure(&next(&current(secret_install(), 0), &busy, &idle(), at(600))).contains("yum runs"));
    }

    #[test]
    fn trouble_that_may_pass_is_tried_again_and_other_trouble_is_not() {
        let half = State::Half("its script failed".to_owned());
        let passing = Trouble::Passing("status 3".to_owned());
        assert_eq!(next(&current(secret_install(), 1), &half, &after(&passing), at(1)), Move::Act);
        assert_eq!(failure(&next(&current(secret_install(), 3), &half, &after(&passing), at(1))), "status 3");
        let lasting = Trouble::Lasting("disk full".to_owned());
        assert_eq!(failure(&next(&current(secret_install(), 1), &half, &after(&lasting), at(1))), "disk full");
        assert_eq!(failure(&next(&current(secret_install(), 1), &State::So, &after(&lasting), at(1))), "disk full");
    }
}

//! How is an effect had? The MDM's by a session that may change things; those of
//! nodes and of Mesos by whoever was joined for them.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::gateway::{Acted, Gateway, GatewayError};
use crate::model::id::{InstalledSystemId, SystemId};
use crate::model::step::Answer;
use crate::model::unit::Timestamp;
use crate::store::Desk;
use crate::watches::Gallery;
use crate::work::record::Effect;
use crate::work::seam::Errand;

/// What the engine counts on: an order that was not answered by then is given up, see `work::book::SETTLE`.
const PATIENCE: Duration = Duration::from_secs(30);

/// How old an intention may be when its order is given. It is durable before, which takes a store a few seconds at most, and
/// what the gate saw is as old. Whoever was stopped for longer, as with its virtual machine, knows no more whether the gate
/// would still say yes. With our own patience after it, all is over well before `work::book::SETTLE`.
const LIFE: TimeDelta = TimeDelta::seconds(20);

/// An errand, and the intention that was written down for it. Orders to agents carry a permit that ends by itself; the MDM and
/// Mesos do what they are told whenever they are told.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Intended {
    pub errand: Errand,
    pub at: Timestamp,
    pub epoch: u64,
}

impl Intended {
    /// Why it is not done any more, in this epoch and at this moment. Nothing was sent: the gate is asked anew.
    pub fn refusal(&self, epoch: u64, now: Timestamp) -> Option<Answer> {
        let why = if self.epoch != epoch {
            format!("it was decided in epoch {}, and this is epoch {epoch}", self.epoch)
        } else if (now - self.at).abs() > LIFE {
            // A clock that was set back tells as little of its age.
            format!("it was decided at {}, and it is {now}: not sent", self.at)
        } else {
            return None;
        };
        Some(Answer::Refused { why: why.into() })
    }
}

/// Whoever has the effects that are not the MDM's; they send their answers themselves.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// Orders to agents of nodes.
    pub nodes: Option<mpsc::UnboundedSender<Errand>>,
    /// Drains and reactivations at Mesos.
    pub mesos: Option<mpsc::UnboundedSender<Intended>>,
}

/// Has the effects of one system.
pub struct Hands {
    system: SystemId,
    gallery: Gallery,
    /// None: the system has no login for changes.
    mdm: Option<Arc<Gateway>>,
    others: Others,
    desk: Desk,
    errands: mpsc::UnboundedReceiver<Intended>,
}

impl Hands {
    /// Takes errands.
    pub const fn new(
        system: SystemId,
        gallery: Gallery,
        mdm: Option<Arc<Gateway>>,
        others: Others,
        desk: Desk,
        errands: mpsc::UnboundedReceiver<Intended>,
    ) -> Self {
        Self { system, gallery, mdm, others, desk, errands }
    }

    /// The loop. What is under way when it is told to stop is let end.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut at_work = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = at_work.join_next() => {}
                intended = self.errands.recv() => match intended {
                    Some(intended) => self.begin(intended, clock::now(), &mut at_work),
                    None => break,
                },
            }
        }
        while at_work.join_next().await.is_some() {}
        if let Some(mdm) = &self.mdm {
            mdm.logout().await;
        }
    }

    fn begin(&self, intended: Intended, now: Timestamp, at_work: &mut JoinSet<()>) {
        const ENDING: &str = "the controller is about to end";
        let refuse = |errand: &Errand, why: &str| errand.answer(Answer::Refused { why: why.into() });
        if let Some(refusal) = intended.refusal(self.desk.epoch(), now) {
            return intended.errand.answer(refusal);
        }
        match &intended.errand.effect {
            Effect::Order { .. } => match &self.others.nodes {
                Some(to) => {
                    if let Err(error) = to.send(intended.errand) {
                        refuse(&error.0, ENDING);
                    }
                }
                None => refuse(&intended.errand, "no agent of a node is connected to this controller"),
            },
            Effect::Drain { .. } | Effect::Reactivate { .. } => match &self.others.mesos {
                Some(to) => {
                    if let Err(error) = to.send(intended) {
                        refuse(&error.0.errand, ENDING);
                    }
                }
                None => refuse(&intended.errand, "no Mesos master is configured whose agents could be drained"),
            },
            Effect::Enter { .. }
            | Effect::Exit { .. }
            | Effect::SwitchMdm { .. }
            | Effect::RemoveSds { .. }
            | Effect::KeepSds { .. }
            | Effect::RemoveSdc { .. }
            | Effect::Finalise => {
                let errand = intended.errand;
                let Some(mdm) = self.mdm.clone() else {
                    let why =
                        format!("system {} has no login for changes; set `lifecycle` in its section", self.system);
                    return refuse(&errand, &why);
                };
                let picture = self.gallery.of(&self.system);
                let array =
                    picture.and_then(|picture| picture.snapshot.as_ref()?.array.as_ref().map(|at| at.id.clone()));
                let Some(array) = array else { return refuse(&errand, "the system was not seen yet") };
                at_work.spawn(async move {
                    let answer = match tokio::time::timeout(PATIENCE, ask(&mdm, &array, &errand.effect)).await {
                        Ok(said) => answer(said),
                        Err(_) => Answer::Unknown { why: format!("no answer within {PATIENCE:?}").into() },
                    };
                    errand.answer(answer);
                });
            }
        }
    }
}

async fn ask(mdm: &Gateway, array: &InstalledSystemId, effect: &Effect) -> Result<Acted, GatewayError> {
    match effect {
        Effect::Enter { sds, mode } => mdm.enter_maintenance(array, sds, *mode).await,
        Effect::Exit { sds, mode } => mdm.exit_maintenance(array, sds, *mode).await,
        Effect::SwitchMdm { to } => mdm.change_mdm_ownership(to).await,
        Effect::RemoveSds { sds } => mdm.remove_sds(sds).await,
        Effect::KeepSds { sds } => mdm.keep_sds(sds).await,
        Effect::RemoveSdc { sdc } => mdm.remove_sdc(sdc).await,
        Effect::Finalise => mdm.finalize_upgrade().await,
        Effect::Drain { .. } | Effect::Reactivate { .. } | Effect::Order { .. } => {
            Ok(Acted::No("not for the MDM".into()))
        }
    }
}

/// What an answer, or none, says of the effect.
fn answer(said: Result<Acted, GatewayError>) -> Answer {
    match said {
        Ok(Acted::Yes) => Answer::Accepted,
        Ok(Acted::No(word)) => Answer::Refused { why: word },
        Err(error) => {
            let why = error.to_string().into();
            // A gateway that answered did not do it, unless it only passed on that it waited in vain.
            let certain = match &error {
                GatewayError::Status { status, code, .. } => *status < 500 || code.is_some_and(|code| code != 0),
                GatewayError::Refused { .. }
                | GatewayError::Paused { .. }
                | GatewayError::StillUnauthorized { .. }
                | GatewayError::Forbidden { .. }
                | GatewayError::Setup { .. }
                | GatewayError::CaFile { .. } => true,
                _ => false,
            };
            if certain { Answer::Refused { why } } else { Answer::Unknown { why } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{AgentId, RunId};
    use crate::model::step::StepId;
    use crate::store::{Disk, Owner, State};
    use crate::work::seam::Answers;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_timestamp(second, 0).unwrap()
    }

    /// An order to drain that was decided at second 100, in the epoch of a store that nobody led yet.
    fn intended(answers: &Answers) -> Intended {
        let step = StepId { run: RunId::new("r"), task: 0, place: 0, attempt: 0 };
        let effect = Effect::Drain { agent: AgentId::new("a") };
        Intended { errand: Errand { step, effect, answers: answers.clone() }, at: at(100), epoch: 0 }
    }

    #[test]
    fn an_order_is_given_within_seconds_of_its_decision_and_by_who_decided_it() {
        let (answers, _heard) = mpsc::unbounded_channel();
        let order = intended(&answers);
        let refused = |epoch, second| matches!(order.refusal(epoch, at(second)), Some(Answer::Refused { .. }));
        for (epoch, second, refuses) in [
            (0, 100, false),
            (0, 120, false),
            (0, 121, true),
            (0, 4000, true),
            (0, 95, false),
            (0, 79, true),
            (1, 100, true),
        ] {
            assert_eq!(refused(epoch, second), refuses, "epoch {epoch}, {second} s");
        }
    }

    #[tokio::test]
    async fn what_was_decided_before_a_stop_is_passed_on_to_nobody_and_counts_as_not_sent() {
        let disk = Disk::new();
        let (_owner, desk) = Owner::new(Box::new(disk.open().unwrap()), &State::default());
        let (mesos, mut drained) = mpsc::unbounded_channel();
        let (_errands, orders) = mpsc::unbounded_channel();
        let others = Others { nodes: None, mesos: Some(mesos) };
        let hands = Hands::new(SystemId::new("prod"), Gallery::new([]), None, others, desk, orders);
        let (answers, mut heard) = mpsc::unbounded_channel();
        let mut at_work = JoinSet::new();
        hands.begin(intended(&answers), at(101), &mut at_work);
        assert!(drained.try_recv().is_ok() && heard.try_recv().is_err());
        hands.begin(intended(&answers), at(300), &mut at_work);
        assert!(drained.try_recv().is_err());
        assert!(matches!(heard.try_recv(), Ok((_, Answer::Refused { .. }))));
    }

    fn status(status: u16, code: Option<i64>) -> GatewayError {
        GatewayError::Status { call: "x", address: "https://a".into(), status, code, message: Default::default() }
    }

    #[test]
    fn only_a_refusal_says_that_nothing_happened() {
        let refused = |said| matches!(answer(said), Answer::Refused { .. });
        let unknown = |said| matches!(answer(said), Answer::Unknown { .. });
        assert_eq!(answer(Ok(Acted::Yes)), Answer::Accepted);
        assert!(refused(Ok(Acted::No("TGT_ALREADY_IN_MM".into()))));
        assert!(refused(Err(status(400, None))));
        assert!(refused(Err(status(500, Some(1051)))));
        assert!(unknown(Err(status(502, None))));
        assert!(unknown(Err(status(500, Some(0)))));
        let after = Duration::from_secs(1);
        assert!(unknown(Err(GatewayError::Timeout { call: "x", address: "https://a".into(), after })));
    }
}

//! How is an effect had? The MDM's by a session that may change things; those of
//! nodes and of Mesos by whoever was joined for them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::gateway::{Acted, Gateway, GatewayError};
use crate::model::id::{InstalledSystemId, SystemId};
use crate::model::step::Answer;
use crate::watches::Gallery;
use crate::work::record::Effect;
use crate::work::seam::Errand;

/// What the engine counts on: an order that was not answered by then is given up, see `work::book::SETTLE`.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whoever has the effects that are not the MDM's; they send their answers themselves.
#[derive(Clone, Debug, Default)]
pub struct Others {
    /// Orders to agents of nodes.
    pub nodes: Option<mpsc::UnboundedSender<Errand>>,
    /// Drains and reactivations at Mesos.
    pub mesos: Option<mpsc::UnboundedSender<Errand>>,
}

/// Has the effects of one system.
pub struct Hands {
    system: SystemId,
    gallery: Gallery,
    /// None: the system has no login for changes.
    mdm: Option<Arc<Gateway>>,
    others: Others,
    errands: mpsc::UnboundedReceiver<Errand>,
}

impl Hands {
    /// Takes errands.
    pub const fn new(
        system: SystemId,
        gallery: Gallery,
        mdm: Option<Arc<Gateway>>,
        others: Others,
        errands: mpsc::UnboundedReceiver<Errand>,
    ) -> Self {
        Self { system, gallery, mdm, others, errands }
    }

    /// The loop. What is under way when it is told to stop is let end.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut at_work = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(_) = at_work.join_next() => {}
                errand = self.errands.recv() => match errand {
                    Some(errand) => self.begin(errand, &mut at_work),
                    None => break,
                },
            }
        }
        while at_work.join_next().await.is_some() {}
        if let Some(mdm) = &self.mdm {
            mdm.logout().await;
        }
    }

    fn begin(&self, errand: Errand, at_work: &mut JoinSet<()>) {
        let refuse = |errand: &Errand, why: &str| errand.answer(Answer::Refused { why: why.into() });
        let pass = |to: &Option<mpsc::UnboundedSender<Errand>>, errand: Errand, nobody: &str| match to {
            Some(to) => {
                if let Err(error) = to.send(errand) {
                    refuse(&error.0, "the controller is about to end");
                }
            }
            None => refuse(&errand, nobody),
        };
        match &errand.effect {
            Effect::Order { .. } => {
                pass(&self.others.nodes, errand, "no agent of a node is connected to this controller");
            }
            Effect::Drain { .. } | Effect::Reactivate { .. } => {
                pass(&self.others.mesos, errand, "no Mesos master is configured whose agents could be drained");
            }
            Effect::Enter { .. }
            | Effect::Exit { .. }
            | Effect::SwitchMdm { .. }
            | Effect::RemoveSds { .. }
            | Effect::KeepSds { .. }
            | Effect::RemoveSdc { .. }
            | Effect::Finalise => {
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

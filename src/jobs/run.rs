//! Looks at what jobs ask for, one task a look, and says what was found.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::certificates::{self, Read};
use super::{backup, files};
use crate::clock;
use crate::config::System;
use crate::enrol::artefacts::{Goods, Shelf};
use crate::metrics::Own;
use crate::model::alerting::{Order, Refusal};
use crate::model::chore::{Chore, Found};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;
use crate::store::Desk;
use crate::switchboard::Switchboard;
use crate::work::seam::LookAt;

/// Hashing a folder of packages takes minutes on a slow disk; nothing takes longer than this that is well.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// Files that come from elsewhere have come by then; it leaves a moment to say what has not.
const FETCHED: Duration = Duration::from_secs(14 * 60);

/// Whoever must be asked because features do not know each other.
pub type Ask<T> = Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>;

/// What is at hand to look.
#[derive(Clone)]
pub struct Means {
    /// Whose gateways have certificates.
    pub systems: BTreeMap<SystemId, System>,
    /// Those of mail servers; none: no mail is sent.
    pub mail: Option<Ask<Vec<Read>>>,
    /// That of our authority; none: no node works for us.
    pub authority: Option<Read>,
    /// Those of agents, by their nodes.
    pub papers: Option<watch::Receiver<BTreeMap<Arc<str>, Timestamp>>>,
    /// Tries the alert rules; none: none are evaluated.
    pub rules: Option<Ask<Found>>,
    /// Who tells people; none: nobody does.
    pub people: Option<Switchboard>,
    /// The files that nodes are given, and the folder of those that lie here.
    pub artefacts: Option<(Shelf, Option<PathBuf>)>,
    /// Where state is.
    pub desk: Desk,
    /// Shows how long certificates are good.
    pub own: Arc<Own>,
}

/// The loop. What is being looked at when it is told to stop is looked at anew by the next life.
pub async fn run(means: Means, mut looks: mpsc::UnboundedReceiver<LookAt>, stop: CancellationToken) {
    let mut at_work = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = at_work.join_next() => {}
            look = looks.recv() => {
                let Some(look) = look else { return };
                let means = means.clone();
                at_work.spawn(async move {
                    let found = tokio::time::timeout(PATIENCE, means.look(&look)).await;
                    look.answer(found.unwrap_or_else(|_| Found::unwell(format!("nothing was found within {PATIENCE:?}"))));
                });
            }
        }
    }
}

impl Means {
    async fn look(&self, look: &LookAt) -> Found {
        match &look.chore {
            Chore::HealthCheck => Found::unwell("the gates are asked by the work itself"),
            Chore::CapacityReport => self.report(look).await,
            Chore::CertificateCheck { days } => {
                let all = self.certificates(&look.system).await;
                for Read { component, of, until } in &all {
                    if let Ok(until) = until {
                        self.own.certificate(component, of, *until);
                    }
                }
                certificates::judge(all, *days, clock::now())
            }
            Chore::RuleSelfTest => match &self.rules {
                Some(rules) => rules().await,
                None => Found::unwell("no alert rules are evaluated here; see alerts.enabled"),
            },
            Chore::ArtefactPrefetch { .. } => self.files().await,
            Chore::StateBackup { folder, keep } => backup::make(&self.desk, folder, *keep, look.due).await,
        }
    }

    async fn certificates(&self, system: &SystemId) -> Vec<Read> {
        let mut all = Vec::new();
        if let Some(settings) = self.systems.get(system) {
            for address in &settings.gateways {
                all.push(certificates::of_gateway(address, &settings.trust).await);
            }
        }
        all.extend(self.authority.clone());
        if let Some(papers) = &self.papers {
            let of_agents = |(node, until): (&Arc<str>, &Timestamp)| Read {
                component: "agent",
                of: node.to_string(),
                until: Ok(*until),
            };
            all.extend(papers.borrow().iter().map(of_agents));
        }
        if let Some(mail) = &self.mail {
            all.extend(mail().await);
        }
        all
    }

    /// The report is told once for each firing, whoever asks how often.
    async fn report(&self, look: &LookAt) -> Found {
        let Some(people) = &self.people else {
            return Found::unwell("nobody can be told: there is no [mail]");
        };
        let order = Order::Report { system: look.system.clone(), job: look.job.to_string(), due: look.due };
        match people.ask(order).await {
            Ok(_) => Found::well("the report is on its way"),
            Err(Refusal::Wrong(why) | Refusal::Missing(why) | Refusal::Over(why) | Refusal::Unable(why)) => {
                Found::unwell(why)
            }
        }
    }

    async fn files(&self) -> Found {
        let (shelf, folder) = self.artefacts.clone().unwrap_or_default();
        let here = match folder {
            Some(folder) => Some(in_folder(shelf.goods(), folder).await),
            None => None,
        };
        let elsewhere = match shelf.supply().cloned() {
            Some(mut supply) => {
                // What is not over by then is told as what comes.
                let _ = tokio::time::timeout(FETCHED, supply.try_all()).await;
                Some(files::from_elsewhere(supply.sources(), &shelf.goods()))
            }
            None => None,
        };
        match (here, elsewhere) {
            (Some(here), Some(elsewhere)) => files::both(here, elsewhere),
            (Some(found), None) | (None, Some(found)) => found,
            (None, None) => Found::unwell("no files are given to nodes; see artefacts.folder"),
        }
    }
}

/// The folder as it is now, held against what is given out of it.
async fn in_folder(given: Arc<Goods>, folder: PathBuf) -> Found {
    let looked = tokio::task::spawn_blocking(move || {
        let now = Shelf::scan(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        Ok::<_, String>(files::judge(&given.below(&folder), &now.goods()))
    });
    looked.await.unwrap_or_else(|error| Err(error.to_string())).unwrap_or_else(Found::unwell)
}

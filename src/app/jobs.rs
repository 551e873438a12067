//! Wiring of what the calendar has looked at: whom it concerns, and who can say.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::agents::Agents;
use super::{Tasks, spawn};
use crate::alert::mail::Mailer;
use crate::alert::trial;
use crate::config::Config;
use crate::jobs::certificates::Read;
use crate::jobs::run::{self, Means};
use crate::metrics::Own;
use crate::model::chore::Found;
use crate::store::Desk;
use crate::switchboard::Switchboard;
use crate::tls;
use crate::work::seam::LookAt;

/// Whoever looks, before it begins.
pub(super) struct Lookers {
    means: Means,
    looks: mpsc::UnboundedReceiver<LookAt>,
}

/// Everybody who can say something. `people` is none where nobody is told of anything.
pub(super) fn open(
    config: &Config,
    agents: Option<&Agents>,
    desk: &Desk,
    people: Option<Switchboard>,
    own: &Arc<Own>,
) -> (mpsc::UnboundedSender<LookAt>, Lookers) {
    let (sender, looks) = mpsc::unbounded_channel();
    let mail = config.mail.clone().map(|mail| {
        let ask: run::Ask<Vec<Read>> = Arc::new(move || {
            let mail = mail.clone();
            Box::pin(async move {
                let read = |(host, until)| Read { component: "mail server", of: host, until };
                match Mailer::new(&mail) {
                    Ok(mailer) => mailer.certificates().await.into_iter().map(read).collect(),
                    Err(error) => vec![read(("all".to_owned(), Err(error.to_string())))],
                }
            })
        });
        ask
    });
    let rules = config.alerts.enabled.then(|| {
        let (alerts, poll) = (config.alerts.clone(), config.poll.clone());
        let ask: run::Ask<Found> = Arc::new(move || {
            let (alerts, poll) = (alerts.clone(), poll.clone());
            Box::pin(async move {
                let tried = tokio::task::spawn_blocking(move || trial::run(&alerts, &poll)).await;
                tried.unwrap_or_else(|error| Found::unwell(format!("the rules could not be tried: {error}")))
            })
        });
        ask
    });
    let authority = agents.map(|agents| {
        let until = tls::good_until(agents.authority.certificate());
        let until = until.ok_or_else(|| "its certificate cannot be read".to_owned());
        Read { component: "authority", of: "for agents".to_owned(), until }
    });
    let shelf = agents.map(|agents| agents.shelf.clone());
    let means = Means {
        systems: config.systems.clone(),
        mail,
        authority,
        papers: agents.map(Agents::papers),
        rules,
        people,
        artefacts: shelf.map(|shelf| (shelf, config.artefacts.folder.clone())),
        desk: desk.clone(),
        own: Arc::clone(own),
    };
    (sender, Lookers { means, looks })
}

impl Lookers {
    /// Starts the task.
    pub(super) fn spawn(self, tasks: &mut Tasks, stop: &CancellationToken) {
        spawn(tasks, "looks for jobs", run::run(self.means, self.looks, stop.clone()));
    }
}

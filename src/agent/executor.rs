//! What a Mesos agent starts on a node: it gets the node agent its papers,
//! makes it run, and carries a task whose state says how that agent is.
//!
//! ```text
//! Launched -> papers good? --no--> ask for a certificate, until it comes
//!                 | yes                        |
//!                 v                            v
//!            the agent runs <------------------'  -> looked at every few seconds
//! ```
//!
//! How an agent is made to run is the [`Body`]'s: a service of the host, a
//! child of the executor, or the agent of a simulated host.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{info, warn};

use super::papers::{self, Standing};
use crate::clock;
use crate::enrol::request::Request;
use crate::mesos::MesosError;
use crate::mesos::executor::{End, Happened, Say, Surroundings, run};
use crate::model::enrolment::{self, Answer, Ask};
use crate::model::id::TaskId;
use crate::model::mesos::TaskState;

/// Words that wait for the agent, or for us.
const WAITING: usize = 64;
/// A service that fell over is seen this soon; systemd starts it again within a second.
const LOOK: Duration = Duration::from_secs(5);
/// After a refusal, or a host that would not take the service, it is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// What came with the task: where the controllers are, and who signs for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Briefing {
    /// The controllers, `https://host:port`.
    pub controllers: Vec<String>,
    /// The SHA-256 of the authority's certificate.
    pub authority: String,
    /// The folder of the node's agent, where a variable names one.
    pub folder: Option<PathBuf>,
}

/// The agent's folder where nobody says otherwise.
const FOLDER: &str = "/var/lib/sio-agent";

impl Briefing {
    /// None: a controller that has nothing for agents to do.
    pub fn read(variables: &[(String, String)]) -> Option<Self> {
        let get = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        Some(Self {
            controllers: get(enrolment::CONTROLLERS)?.split(',').map(str::to_owned).collect(),
            authority: get(enrolment::AUTHORITY)?.to_owned(),
            folder: get(enrolment::FOLDER).map(PathBuf::from),
        })
    }

    /// The agent's folder.
    pub fn folder(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| FOLDER.into())
    }
}

/// What an executor does to the world. Nothing else is: this list is what tests kill it before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// The Mesos agent hears how a task is.
    Report,
    /// The controller is asked for a certificate.
    Ask,
    /// Key and certificate are kept.
    KeepPapers,
    /// The node's agent is made to run.
    Settle,
}

impl Effect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Report, Self::Ask, Self::KeepPapers, Self::Settle];

    /// Its name in the list of effects.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Ask => "ask",
            Self::KeepPapers => "keep_papers",
            Self::Settle => "settle",
        }
    }
}

/// Which side of an effect the executor is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Side {
    Before,
    After,
}

/// How the agent lives on a host.
pub trait Body: Send {
    /// Hears of each effect, from both sides.
    fn seen(&mut self, _side: Side, _effect: Effect) {}
    /// Makes it run; with new papers, run again. The error says what helps.
    fn settle(&mut self, briefing: &Briefing, new_papers: bool) -> impl Future<Output = Result<(), String>> + Send;
    /// Whether it runs. One that the executor has to start again is started.
    fn health(&mut self, briefing: &Briefing) -> impl Future<Output = Result<(), String>> + Send;
    /// Whether it ends with the executor.
    fn ends_with_us(&self) -> bool;
}

/// Runs to the end of the executor.
///
/// # Errors
/// The Mesos agent cannot be talked to at all.
pub async fn carry(
    surroundings: &Surroundings,
    briefing: Option<Briefing>,
    body: impl Body,
) -> Result<End, MesosError> {
    let (happened, news) = mpsc::channel(WAITING);
    let (say, said) = mpsc::channel(WAITING);
    let program = Program {
        say,
        briefing,
        tasks: Vec::new(),
        stage: Stage::Idle,
        body,
        told: None,
        papers_at: tokio::time::Instant::now(),
    };
    let (end, ()) = tokio::join!(run(surroundings, happened, said), program.run(news));
    end
}

/// Certificates last for months; that one runs out is noticed within this time.
const LOOK_AT_PAPERS: Duration = Duration::from_secs(60 * 60);

/// How far the node agent is.
enum Stage {
    /// No task is to be carried yet.
    Idle,
    /// A certificate was asked for.
    Asking(Request),
    /// It did not work; it is tried again then.
    Pausing(tokio::time::Instant),
    /// The agent was made to run, and is looked at.
    Watching,
}

struct Program<B> {
    say: mpsc::Sender<Say>,
    briefing: Option<Briefing>,
    tasks: Vec<TaskId>,
    stage: Stage,
    body: B,
    /// What was told last; the same is not told again.
    told: Option<(bool, String)>,
    /// When the papers were looked at.
    papers_at: tokio::time::Instant,
}

impl<B: Body> Program<B> {
    async fn run(mut self, mut news: mpsc::Receiver<Happened>) {
        let mut beat = tokio::time::interval(LOOK);
        loop {
            let happened = tokio::select! {
                happened = news.recv() => happened,
                _ = beat.tick() => {
                    self.look().await;
                    continue;
                }
            };
            let (ended, is_over) = match happened {
                None => return,
                Some(Happened::Launched { task, .. }) => {
                    self.tasks.push(task.clone());
                    self.report(&task, TaskState::Starting, None, "the executor is there").await;
                    self.begin().await;
                    continue;
                }
                Some(Happened::Message(data)) => {
                    self.heard(&data).await;
                    continue;
                }
                Some(Happened::Kill { task }) => {
                    self.tasks.retain(|other| *other != task);
                    (vec![task], self.tasks.is_empty())
                }
                Some(Happened::Shutdown) => (std::mem::take(&mut self.tasks), true),
            };
            let words = if self.body.ends_with_us() {
                "it was told to end, and the node agent with it"
            } else {
                "it was told to end; the node agent goes on"
            };
            for task in &ended {
                self.report(task, TaskState::Killed, None, words).await;
            }
            if is_over {
                return;
            }
        }
    }

    /// Gets papers, or goes on with those there are.
    async fn begin(&mut self) {
        let Some(briefing) = self.briefing.clone() else {
            self.tell(true, "the executor is at work").await;
            return;
        };
        match papers::judge(&briefing.folder(), &briefing.authority, clock::now()) {
            Standing::Good => self.install(&briefing, false).await,
            standing => {
                info!(?standing, "a certificate is asked for");
                self.ask().await;
            }
        }
    }

    async fn ask(&mut self) {
        match Request::new("node") {
            Ok(request) => {
                let ask = Ask::Certificate { request: request.pem().to_owned() };
                self.stage = Stage::Asking(request);
                // Texts cannot fail to be written.
                self.body.seen(Side::Before, Effect::Ask);
                let _ = self.say.send(Say::Ask(serde_json::to_vec(&ask).unwrap_or_default())).await;
                self.body.seen(Side::After, Effect::Ask);
            }
            Err(error) => self.pause(format!("no key can be made: {error}")).await,
        }
    }

    async fn heard(&mut self, data: &[u8]) {
        let Some(briefing) = self.briefing.clone() else { return };
        let Stage::Asking(request) = &self.stage else { return };
        match serde_json::from_slice(data) {
            Ok(Answer::Certificate { node, certificate, authority }) => {
                self.body.seen(Side::Before, Effect::KeepPapers);
                let kept = papers::keep(&briefing.folder(), request, &certificate, &authority, &briefing.authority);
                self.body.seen(Side::After, Effect::KeepPapers);
                match kept {
                    Ok(()) => {
                        info!(node, "the node has its certificate");
                        self.install(&briefing, true).await;
                    }
                    Err(why) => self.pause(why).await,
                }
            }
            Ok(Answer::Refused { why }) => self.pause(format!("the controller gives no certificate: {why}")).await,
            Ok(Answer::Unknown) | Err(_) => {
                self.pause("the controller said what this release does not understand".to_owned()).await;
            }
        }
    }

    /// Makes the agent run; with new papers, run again.
    async fn install(&mut self, briefing: &Briefing, new_papers: bool) {
        self.body.seen(Side::Before, Effect::Settle);
        let settled = self.body.settle(briefing, new_papers).await;
        self.body.seen(Side::After, Effect::Settle);
        match settled {
            Ok(()) => self.watch().await,
            Err(why) => self.pause(why).await,
        }
    }

    async fn watch(&mut self) {
        self.stage = Stage::Watching;
        self.look_at_agent().await;
    }

    async fn pause(&mut self, why: String) {
        warn!(why, "the node agent does not run");
        self.stage = Stage::Pausing(tokio::time::Instant::now() + TRY_AGAIN);
        self.tell(false, &why).await;
    }

    /// Looks how the agent is, and tries again what is due.
    async fn look(&mut self) {
        match &self.stage {
            Stage::Idle | Stage::Asking(_) => {}
            Stage::Pausing(until) if tokio::time::Instant::now() < *until => {}
            Stage::Pausing(_) => self.begin().await,
            Stage::Watching if self.papers_at.elapsed() > LOOK_AT_PAPERS => {
                self.papers_at = tokio::time::Instant::now();
                self.renew().await;
            }
            Stage::Watching => self.look_at_agent().await,
        }
    }

    /// Asks for a new certificate when the agent has not renewed its own in good time.
    async fn renew(&mut self) {
        let Some(briefing) = &self.briefing else { return };
        if papers::judge(&briefing.folder(), &briefing.authority, clock::now()) != Standing::Good {
            info!("another certificate is asked for");
            self.ask().await;
        }
    }

    async fn look_at_agent(&mut self) {
        let Some(briefing) = self.briefing.clone() else { return };
        match self.body.health(&briefing).await {
            Ok(()) => self.tell(true, "the node agent runs").await,
            Err(why) => self.tell(false, &why).await,
        }
    }

    /// Tells how the agent is, once for each change.
    async fn tell(&mut self, healthy: bool, message: &str) {
        let now = (healthy, message.to_owned());
        if self.told.as_ref() == Some(&now) {
            return;
        }
        self.told = Some(now);
        for task in self.tasks.clone() {
            self.report(&task, TaskState::Running, Some(healthy), message).await;
        }
    }

    async fn report(&mut self, task: &TaskId, state: TaskState, healthy: Option<bool>, message: &str) {
        let said = Say::State { task: task.clone(), state, healthy, message: message.to_owned() };
        self.body.seen(Side::Before, Effect::Report);
        // The loop has ended; so will we.
        let _ = self.say.send(said).await;
        self.body.seen(Side::After, Effect::Report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_came_with_the_task_is_read_and_half_of_it_is_nothing() {
        let both = [("SIO_CONTROLLERS", "https://a:1,https://b:2"), ("SIO_CA_SHA256", "00")];
        let briefing = Briefing::read(&variables(&both)).unwrap();
        assert_eq!(briefing.controllers, ["https://a:1", "https://b:2"]);
        assert_eq!(briefing.folder().to_str(), Some("/var/lib/sio-agent"));
        assert!(Briefing::read(&variables(&both[..1])).is_none());
    }
}

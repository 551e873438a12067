//! Who tells what is seen besides the MDM, who has effects, and who asks? The ends
//! by which the loop of the work is joined to the rest of the program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::facts::Firing;
use super::history::Reader;
use super::record::Effect;
use crate::model::alerting::Underway;
use crate::model::chore::{Chore, Found};
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::{Answer, Lifecycle, Order, Refusal};
use crate::model::node::{AgentFacts, NodeFacts};
use crate::model::step::{self, Component, StepId};
use crate::model::unit::Timestamp;
use crate::model::version::as_packaged;

/// What is seen besides what the MDM says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Surroundings {
    /// One map for all who put more beside it: of a thousand nodes it is nearly all of this.
    pub nodes: Arc<BTreeMap<NodeName, NodeFacts>>,
    pub agents: BTreeMap<NodeName, AgentFacts>,
    /// By which a node is found among the servers of the MDM.
    pub addresses: BTreeMap<NodeName, BTreeSet<Box<str>>>,
    /// What can be installed on a node; a node that is not named is not judged by it.
    pub packages: BTreeMap<NodeName, Arc<Packages>>,
    /// Steps of which their agents said that they failed, and why, as far as that is kept. Who ordered a step is told; this is
    /// for one that was ordered in an earlier life.
    pub failed: BTreeMap<StepId, Box<str>>,
}

/// What can be installed on nodes of one operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// How the operating system calls itself.
    pub os: Box<str>,
    /// Versions of which there are packages, by component.
    pub versions: BTreeMap<Component, BTreeSet<Box<str>>>,
    /// How files of packages are named, with `COMPONENT` and `VERSION` in their places.
    pub pattern: Box<str>,
    /// Components that agents cannot be told to install, each with the reason and the mend.
    pub cannot: BTreeMap<Component, Box<str>>,
}

impl Packages {
    /// Why a version of a component cannot be installed.
    pub fn lack(&self, component: Component, version: &str) -> Option<Box<str>> {
        if let Some(why) = self.cannot.get(&component) {
            return Some(why.clone());
        }
        if self.versions.get(&component).is_some_and(|versions| versions.contains(version)) {
            return None;
        }
        let file = self.pattern.replace("COMPONENT", component.as_str()).replace("VERSION", &as_packaged(version));
        Some(format!("{component} {version} for {}: artefacts.folder has no {file}", self.os).into())
    }
}

/// One effect to be had. What comes of it is sent back whenever it is known;
/// when it never is, the loop finds out by looking.
#[derive(Clone, Debug)]
pub struct Errand {
    /// For which step.
    pub step: StepId,
    /// What to do.
    pub effect: Effect,
    /// Who hears what came of it.
    pub answers: Answers,
}

impl Errand {
    /// Says what came of it. Nobody hears it when the program is ending.
    pub fn answer(&self, answer: step::Answer) {
        let _ = self.answers.send((self.step.clone(), answer));
    }
}

/// Something to be looked at, or kept, for a job.
#[derive(Clone, Debug)]
pub struct LookAt {
    /// Of which system.
    pub system: SystemId,
    /// The job.
    pub job: Box<str>,
    /// The firing that it is for.
    pub due: Timestamp,
    /// What.
    pub chore: Chore,
    /// Who hears what was found.
    pub answer: mpsc::UnboundedSender<(Box<str>, Found)>,
}

impl LookAt {
    /// Says what was found. Nobody hears it when the program is ending.
    pub fn answer(&self, found: Found) {
        let _ = self.answer.send((self.job.clone(), found));
    }
}

/// What came of errands.
pub type Answers = mpsc::UnboundedSender<(StepId, step::Answer)>;

/// What our rules say of a system now, without what work under way explains.
pub type FiringNow = Arc<dyn Fn(&SystemId) -> Firing + Send + Sync>;

/// The steps under way, of all systems.
pub type UnderwayNow = BTreeMap<SystemId, Vec<Underway>>;

/// An order with the way back.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub order: Order,
    /// Who asks.
    pub by: String,
    /// Hears the answer.
    pub answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// Orders that wait; each is done in milliseconds.
const WAITING: usize = 32;

/// The end of people: asks for work on one system, and sees how it goes.
#[derive(Clone, Debug)]
pub struct Line {
    calls: mpsc::Sender<Call>,
    /// All work on the system.
    pub shown: watch::Receiver<Arc<Lifecycle>>,
    /// All that was ever done.
    pub history: Reader,
}

impl Line {
    /// Both ends.
    pub fn new(shown: watch::Receiver<Arc<Lifecycle>>, history: Reader) -> (Self, mpsc::Receiver<Call>) {
        let (calls, receiver) = mpsc::channel(WAITING);
        (Self { calls, shown, history }, receiver)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Why it is not done.
    pub async fn ask(&self, order: Order, by: String) -> Result<Answer, Refusal> {
        let gone = || Refusal::Unable("the controller is about to end; ask again when it is back".to_owned());
        let (answer, heard) = oneshot::channel();
        self.calls.send(Call { order, by, answer }).await.map_err(|_| gone())?;
        heard.await.unwrap_or_else(|_| Err(gone()))
    }
}

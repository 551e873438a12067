//! The agent's loops: one talks to the controllers, one walks through steps.
//!
//! They share what is (the status) and what came (orders). When no controller
//! answers, the step under way goes on to its end, and no other is begun,
//! since orders are not stored ahead.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::host::Host;
use super::ledger::{Ledger, LedgerError};
use super::link::{Link, LinkError, Papers};
use super::look::look;
use super::memory::{Admission, Memory, Record, refused, without_secrets};
use super::papers;
use super::probation::{self, Probation, Start};
use super::real::{Fetch, RealHost};
use super::walk::{Around, walk};
use crate::enrol::endpoint::Renew;
use crate::enrol::request::Request;
use crate::model::mdm::Change;
use crate::model::order::{Artefact, Component, Finished, HostReport, Order, OrderId, PROTOCOL, Report, Secrets, Task};
use crate::model::unit::Timestamp;
use crate::{VERSION, clock};

/// So long a started agent waits for its controller to repeat the order of the
/// step it was in, before it goes on by what it wrote down.
const REPEAT: Duration = Duration::from_secs(15);

/// A step that is over within this time is told when it is over, and not before. To say that it is being done is a request
/// that has to be cut off as soon as it is done, and the next one would begin with a handshake.
const SHORT: Duration = Duration::from_secs(1);

/// Between two tries when no controller answers; a thousand agents do this at once.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Between two looks at the host while nothing is to be done: what people do by hand is seen soon.
const LOOK: Duration = Duration::from_secs(60);

/// Between two looks at the certificate, which lasts for months.
const LOOK_AT_PAPERS: Duration = Duration::from_secs(60 * 60);

/// What an agent is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The controllers, `https://host:port`; the first that answers is talked to.
    pub controllers: Vec<String>,
    /// Where papers and ledger are, and files are staged.
    pub folder: PathBuf,
}

/// Why an agent ends.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum AgentError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("cannot use the folder {}", folder.display())]
    Folder {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the agent's program could not be changed: {0}")]
    Renewal(String),
    #[error("the agent's worker ended by a bug: {0}")]
    Bug(String),
}

/// What the worker tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Status {
    epoch: u64,
    working_on: Option<OrderId>,
    /// Whether the order of the step must be heard again.
    wants_order: bool,
    finished: Vec<Finished>,
    /// None before the first look at the host.
    host: Option<HostReport>,
}

impl Status {
    fn of(memory: &Memory, wants_order: bool, host: Option<HostReport>) -> Self {
        let working_on = memory.current().map(|current| current.order.id.clone());
        Self { epoch: memory.epoch(), working_on, wants_order, finished: memory.unacknowledged(), host }
    }
}

/// What comes from a controller.
enum Came {
    Order(Box<Order>),
    Acknowledged(Vec<OrderId>),
}

/// The time at the controller, as its last answer said it.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn hear(&self, theirs: Timestamp) {
        self.0.store((theirs - clock::now()).num_milliseconds(), Ordering::Relaxed);
    }

    fn now(&self) -> Timestamp {
        clock::now() + TimeDelta::milliseconds(self.0.load(Ordering::Relaxed))
    }
}

/// Runs on this host until told to stop.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), AgentError> {
    let link = link(&settings)?;
    let fail = |source| AgentError::Folder { folder: settings.folder.clone(), source };
    let host = RealHost::new(&settings.folder, fetcher(&settings, &link)).map_err(fail)?;
    run_on(settings, link, Box::new(host), stop).await
}

/// The way to the controllers, with the papers of the folder.
///
/// # Errors
/// The papers are not there or cannot be used.
pub fn link(settings: &Settings) -> Result<Link, AgentError> {
    papers::settle(&settings.folder)
        .map_err(|source| AgentError::Folder { folder: settings.folder.clone(), source })?;
    let papers = Papers::of(&settings.folder);
    Ok(Link::new(&papers.ca, Some(&papers.own))?)
}

/// How a host gets files from the controllers. To be called off the async threads.
pub fn fetcher(settings: &Settings, link: &Link) -> Fetch {
    let (link, controllers, runtime) = (link.clone(), settings.controllers.clone(), Handle::current());
    Box::new(move |artefact, to| runtime.block_on(fetch(&link, &controllers, artefact, to)))
}

/// Runs as the agent of any host until told to stop.
///
/// # Errors
/// The ledger cannot be used, or the agent has a bug.
pub async fn run_on(
    settings: Settings,
    link: Link,
    mut host: Box<dyn Host + Send>,
    stop: CancellationToken,
) -> Result<(), AgentError> {
    let about = about(&mut *host);
    let note = begin(&mut *host, &about.program)?;
    let path = settings.folder.join("ledger");
    let ledger = match Ledger::open(&path) {
        Ok(ledger) => ledger,
        Err(error @ (LedgerError::Damaged { .. } | LedgerError::Newer { .. })) => {
            if let Some(note) = note {
                return Err(end_probation(note, &settings.folder));
            }
            warn!(%error, "the agent takes no orders");
            let report = Report { out_of_work: Some(error.to_string()), ..about };
            return complain(&settings, &link, report, stop).await;
        }
        Err(error) => return Err(error.into()),
    };
    let (status, watched) = watch::channel(Status::of(ledger.memory(), ledger.memory().current().is_some(), None));
    let (sender, came) = mpsc::channel(16);
    let clock = Clock::default();
    info!(version = VERSION, boot_id = about.boot_id, "the agent works");
    let worker = Worker { ledger, host, came, status, seen: None, clock: clock.clone(), stop: stop.clone() };
    let mut worker = tokio::task::spawn_blocking(move || worker.run());
    let heard = watch::Sender::new(false);
    let problem = watch::Sender::new(None);
    let talking = talk(&settings, &link, about, watched, sender, &clock, (&heard, problem.subscribe()));
    let on_probation = probation(note, heard.subscribe(), &settings.folder);
    let ended = tokio::select! {
        ended = &mut worker => ended,
        () = talking => return Ok(()),
        error = on_probation => return Err(error),
        () = keep_papers(&settings, &link, &problem) => return Ok(()),
        // What is done to the node right now is brought to its end.
        () = stop.cancelled() => worker.await,
    };
    match ended {
        Ok(ended) => Ok(ended?),
        Err(panic) => Err(AgentError::Bug(panic.to_string())),
    }
}

/// Looks whether this program is on probation. The error says why the one before is not back when it should be.
fn begin(host: &mut dyn Host, own: &str) -> Result<Option<Probation>, AgentError> {
    match probation::started(probation::read(host).map_err(AgentError::Renewal)?, own) {
        Start::Free => Ok(None),
        Start::On(note) => {
            info!(VERSION, "this program is new here, and has to be answered by a controller");
            probation::write(&note, host).map_err(AgentError::Renewal)?;
            Ok(Some(note))
        }
        Start::Back(note) => {
            warn!(?note, "the program from before is put back");
            Err(AgentError::Renewal(probation::fall_back(&note, host)))
        }
    }
}

/// Waits for the first answer to a new program. Ends when none came and the one before could not be put back.
async fn probation(note: Option<Probation>, mut heard: watch::Receiver<bool>, folder: &Path) -> AgentError {
    let Some(note) = note else { return std::future::pending().await };
    if tokio::time::timeout(probation::WITHIN, heard.wait_for(|heard| *heard)).await.is_ok() {
        match here(folder).and_then(|mut host| probation::passed(&mut host).map_err(AgentError::Renewal)) {
            Ok(()) => info!(VERSION, "this program was answered by a controller and stays"),
            Err(error) => return error,
        }
        return std::future::pending().await;
    }
    end_probation(note, folder)
}

fn end_probation(note: Probation, folder: &Path) -> AgentError {
    let note = probation::unheard(note);
    warn!(?note, "the program from before is put back");
    match here(folder) {
        Ok(mut host) => AgentError::Renewal(probation::fall_back(&note, &mut host)),
        Err(error) => error,
    }
}

/// This host, for the note of a renewal.
fn here(folder: &Path) -> Result<RealHost, AgentError> {
    RealHost::alone(folder).map_err(|source| AgentError::Folder { folder: folder.to_owned(), source })
}

/// Renews the certificate when half of its life is over.
async fn keep_papers(settings: &Settings, link: &Link, problem: &watch::Sender<Option<String>>) {
    loop {
        if papers::is_due(&settings.folder, clock::now()) {
            let failed = renew_papers(settings, link).await.err();
            if let Some(why) = &failed {
                warn!(why, "the certificate of this node could not be renewed; it is tried again");
            }
            problem.send_replace(failed);
        }
        tokio::time::sleep(LOOK_AT_PAPERS).await;
    }
}

async fn renew_papers(settings: &Settings, link: &Link) -> Result<(), String> {
    let request = Request::new("node").map_err(|error| error.to_string())?;
    let ask = Renew { request: request.pem().to_owned() };
    let mut last = "no controller is known".to_owned();
    for controller in &settings.controllers {
        match link.renew(controller, &ask).await {
            Ok(joined) => {
                papers::exchange(&settings.folder, &request, &joined.certificate).map_err(|error| error.to_string())?;
                let papers = Papers::of(&settings.folder);
                link.change(&papers.ca, &papers.own).map_err(|error| error.to_string())?;
                info!("this node has another certificate");
                return Ok(());
            }
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// What does not change while an agent runs.
fn about(host: &mut dyn Host) -> Report {
    let kernel = host.read("/proc/sys/kernel/osrelease").ok().flatten().unwrap_or_default();
    Report {
        protocol: PROTOCOL,
        release: VERSION.to_owned(),
        program: host.program().ok().flatten().map(|program| program.sha256).unwrap_or_default(),
        boot_id: host.boot_id(),
        kernel: String::from_utf8_lossy(&kernel).trim().to_owned(),
        epoch: 0,
        working_on: None,
        finished: Vec::new(),
        out_of_work: None,
        papers_problem: None,
        host: None,
    }
}

/// Tells the controller why there is no work to be had here.
async fn complain(settings: &Settings, link: &Link, report: Report, stop: CancellationToken) -> Result<(), AgentError> {
    let telling = async {
        loop {
            for controller in &settings.controllers {
                if let Err(error) = link.report(controller, &report).await {
                    warn!(%error, "no controller could be told");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = telling => Ok(()),
    }
}

async fn fetch(link: &Link, controllers: &[String], artefact: &Artefact, to: &Path) -> Result<(), String> {
    let mut last = "no controller is known".to_owned();
    for controller in controllers {
        match link.fetch(controller, artefact, to).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}

/// Reports at each change and waits for orders, at the first controller that answers.
async fn talk(
    settings: &Settings,
    link: &Link,
    about: Report,
    mut status: watch::Receiver<Status>,
    came: mpsc::Sender<Came>,
    clock: &Clock,
    (heard, problem): (&watch::Sender<bool>, watch::Receiver<Option<String>>),
) {
    let (mut at, mut pause) = (0, PAUSE);
    // A first word without what was seen would be taken for a host with nothing on it.
    if status.wait_for(|status| status.host.is_some()).await.is_err() {
        return;
    }
    loop {
        let now = status.borrow_and_update().clone();
        // Who wants the order again does not say that it has it.
        let working_on = now.working_on.filter(|_| !now.wants_order);
        let papers_problem = problem.borrow().clone();
        let about = Report { papers_problem, ..about.clone() };
        let report = Report { epoch: now.epoch, working_on, finished: now.finished, host: now.host, ..about };
        let Some(controller) = settings.controllers.get(at) else { return };
        let answer = tokio::select! {
            answer = link.report(controller, &report) => answer,
            changed = status.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        match answer {
            Ok(answer) => {
                pause = PAUSE;
                clock.hear(answer.now);
                heard.send_replace(true);
                let begins = answer.order.as_ref().map(|order| order.id.clone());
                let acknowledged = (!answer.acknowledged.is_empty()).then_some(Came::Acknowledged(answer.acknowledged));
                let waiting = acknowledged.is_some() && begins.is_none();
                let order = answer.order.map(|order| Came::Order(Box::new(order)));
                for one in acknowledged.into_iter().chain(order) {
                    if came.send(one).await.is_err() {
                        return;
                    }
                }
                // Until the worker has taken it in, the next report would say the same.
                if waiting {
                    let _ = tokio::time::timeout(PAUSE, status.changed()).await;
                }
                if let Some(id) = begins {
                    taken_in(&mut status, &id).await;
                }
            }
            Err(error) => {
                warn!(%error, "a controller could not be reported to");
                at = (at + 1) % settings.controllers.len();
                let jitter = pause.mul_f64(rand::random_range(0.5..1.0));
                tokio::time::sleep(jitter).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Waits until the worker has taken an order in, and for a moment until it is over.
async fn taken_in(status: &mut watch::Receiver<Status>, id: &OrderId) {
    let is_over = |status: &Status| status.finished.iter().any(|finished| finished.id == *id);
    let is_known = |status: &Status| is_over(status) || status.working_on.as_ref() == Some(id);
    // One that was over long ago changes nothing.
    if tokio::time::timeout(PAUSE, status.wait_for(|status| is_known(status))).await.is_ok() {
        let _ = tokio::time::timeout(SHORT, status.wait_for(|status| is_over(status))).await;
    }
}

struct Worker {
    ledger: Ledger,
    host: Box<dyn Host + Send>,
    came: mpsc::Receiver<Came>,
    status: watch::Sender<Status>,
    seen: Option<HostReport>,
    clock: Clock,
    stop: CancellationToken,
}

impl Worker {
    fn run(mut self) -> Result<(), LedgerError> {
        self.look();
        self.tell(self.wants_order());
        self.resume()?;
        loop {
            match self.next(Some(LOOK)) {
                Some(Came::Acknowledged(ids)) => self.acknowledge(ids)?,
                Some(Came::Order(order)) => self.take(&order)?,
                None if self.stop.is_cancelled() || self.came.is_closed() => return Ok(()),
                None => {
                    self.look();
                    self.tell(self.wants_order());
                }
            }
        }
    }

    fn look(&mut self) {
        self.seen = Some(look(&mut *self.host));
    }

    /// What comes next; none when told to stop or when the time is over.
    fn next(&mut self, within: Option<Duration>) -> Option<Came> {
        let stop = self.stop.clone();
        Handle::current().block_on(async {
            let over = async {
                match within {
                    Some(within) => tokio::time::sleep(within).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => None,
                () = over => None,
                came = self.came.recv() => came,
            }
        })
    }

    /// Ends the step of the last life. Its order is heard again if a controller is there; a
    /// password is only in that.
    fn resume(&mut self) -> Result<(), LedgerError> {
        while let Some(order) = self.ledger.memory().current().map(|current| current.order.clone()) {
            let needs = needs_secrets(&order.task);
            match self.next((!needs).then_some(REPEAT)) {
                Some(Came::Acknowledged(ids)) => self.acknowledge(ids)?,
                Some(Came::Order(again)) => self.take(&again)?,
                None if self.stop.is_cancelled() => return Ok(()),
                None => {
                    warn!(order = %order.id, "no controller repeats the order, and the step goes on without");
                    self.walk(&Secrets::default())?;
                }
            }
            if self.stop.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    fn acknowledge(&mut self, ids: Vec<OrderId>) -> Result<(), LedgerError> {
        for id in ids {
            self.ledger.write(Record::Acknowledged { id })?;
        }
        self.tell(self.wants_order());
        Ok(())
    }

    fn take(&mut self, order: &Order) -> Result<(), LedgerError> {
        match self.ledger.memory().admit(order, self.clock.now()) {
            Admission::Begin => {
                info!(order = %order.id, task = order.task.name(), "a step begins");
                let begun = Record::Begun { order: without_secrets(order), at: self.clock.now() };
                self.ledger.write(begun)?;
                self.walk(&order.secrets)?;
            }
            Admission::Continue => self.walk(&order.secrets)?,
            // It is told with the next report, if it was not acknowledged.
            Admission::Repeat(_) => self.tell(false),
            Admission::Refuse(why) => {
                warn!(order = %order.id, why, "an order is not obeyed");
                let known = self.ledger.memory().current().is_some_and(|current| current.order.id == order.id);
                if !known {
                    let result = refused(order, why, self.clock.now());
                    let digest = super::memory::digest(order);
                    self.ledger.write(Record::Finished { epoch: order.epoch, digest, result })?;
                }
                self.tell(self.wants_order());
            }
        }
        Ok(())
    }

    fn walk(&mut self, secrets: &Secrets) -> Result<(), LedgerError> {
        self.tell(false);
        let (clock, stop) = (self.clock.clone(), self.stop.clone());
        let now = || clock.now();
        let pause = |time: Duration| {
            std::thread::sleep(time);
            !stop.is_cancelled()
        };
        let around = Around { now: &now, pause: &pause };
        if let Some(finished) = walk(&mut self.ledger, &mut *self.host, secrets, &around)? {
            info!(order = %finished.id, outcome = ?finished.outcome, "a step is over");
            // Who hears of the outcome hears at once what it changed.
            self.look();
        }
        self.tell(false);
        Ok(())
    }

    /// A borrow that lasted into `tell` would wait for itself.
    fn wants_order(&self) -> bool {
        self.status.borrow().wants_order
    }

    fn tell(&self, wants_order: bool) {
        let now = Status::of(self.ledger.memory(), wants_order, self.seen.clone());
        self.status.send_if_modified(|status| {
            let is_news = *status != now;
            *status = now;
            is_news
        });
    }
}

/// Whether a step cannot be ended without what only the controller has.
const fn needs_secrets(task: &Task) -> bool {
    match task {
        Task::Install(install) | Task::PutBack(install) => {
            matches!(install.component, Component::Lia | Component::Gateway)
        }
        Task::ConsumeVolumes(_) => true,
        // A new cluster has a password that everybody knows, and a look needs none.
        Task::Mdm(task) => !matches!(task.change, Change::Look | Change::Create { .. } | Change::Unknown),
        _ => false,
    }
}

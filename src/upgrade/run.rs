//! The loop of the work on one system: looks, lets the one step function decide,
//! makes that durable, and only then has it done.
//!
//! Whatever cannot be made durable ends the loop with an error, and the process
//! with it: what the store holds is then read again.

mod calendar;
mod past;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::hands::Intended;
use super::jobs::{self, Memory};
use super::keep::{self, KeepError};
use super::mesos::Agents;
use super::orders::{self, Obeyed};
use super::plan::Habits;
use super::recorder::{self, Pen, Recorder, Stored};
use super::show::{self, Since};
use super::syslog::Sink;
use crate::clock;
use crate::config::Job;
use crate::metrics::Own;
use crate::model::chore::Found;
use crate::model::hold::ReasonKind;
use crate::model::id::{PlanId, RunId, SystemId};
use crate::model::lifecycle::{Answer, Lifecycle, Mode, Order, Refusal};
use crate::model::picture::Picture;
use crate::model::plan::{Approval, Plan};
use crate::model::step::{self, StepId, StepKind};
use crate::model::unit::Timestamp;
use crate::store::{Batch, Desk, State, StoreError};
use crate::watches::{Additions, Expected, Gallery};
use crate::work::advance::Wait;
use crate::work::engine;
use crate::work::facts::{Facts, Policy};
use crate::work::journal::{Broken, Journal};
use crate::work::record::{Effect, Record};
use crate::work::seam::{Answers, Call, Errand, FiringNow, Line, LookAt, Surroundings, UnderwayNow};

/// Deadlines and windows end between two polls too.
const TICK: Duration = Duration::from_secs(1);

/// What people see is renewed so often when nothing changes but time.
const RENEW: TimeDelta = TimeDelta::seconds(5);

/// A store that is held by another program for a moment is asked again so often, a second apart.
const TRIES: usize = 30;

/// One look begins one thing; more than this many that follow from each other is a bug, and is told.
const MOST_TURNS: usize = 64;

/// What the operator decided for one system.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Settings {
    pub system: SystemId,
    pub mode: Mode,
    pub policy: Policy,
    pub habits: Habits,
    pub jobs: Vec<Job>,
    /// The folder of the history.
    pub history: PathBuf,
    /// Where it goes too.
    pub syslog: Option<Sink>,
}

/// What the loop is joined to.
#[allow(missing_docs)]
pub struct Joints {
    pub desk: Desk,
    pub gallery: Gallery,
    pub around: watch::Receiver<Arc<Surroundings>>,
    /// What Mesos says of agents.
    pub agents: watch::Receiver<Agents>,
    /// What the rollout adds to systems right now.
    pub adding: watch::Receiver<Additions>,
    pub firing: FiringNow,
    pub underway: watch::Sender<UnderwayNow>,
    pub errands: mpsc::UnboundedSender<Intended>,
    /// Who looks at what the calendar asks for.
    pub looks: mpsc::UnboundedSender<LookAt>,
    pub own: Arc<Own>,
}

/// Why the loop ended.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum WorkError {
    #[error(transparent)]
    Keep(#[from] KeepError),
    #[error("a decision does not fit what is written down")]
    Broken(#[from] Broken),
    #[error("the journal cannot be written")]
    Store(#[from] StoreError),
    #[error("the history in {} cannot be opened", folder.display())]
    History {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// What was seen last, and all of it together.
struct Around {
    hosts: Arc<Surroundings>,
    agents: Agents,
    adding: Option<u64>,
    whole: Arc<Surroundings>,
}

/// How every node of a system is while something is added to it.
const ADDING: &str = "waiting for what is added to its system";

impl Around {
    fn of(hosts: &Arc<Surroundings>, agents: &Agents, adding: Option<u64>) -> Self {
        let (hosts, agents) = (Arc::clone(hosts), Arc::clone(agents));
        if agents.is_empty() && adding.is_none() {
            return Self { whole: Arc::clone(&hosts), hosts, agents, adding };
        }
        let mut whole = Surroundings::clone(&hosts);
        if adding.is_some() {
            // No task begins beside an addition: what it was admitted by would not be so any more.
            for facts in Arc::make_mut(&mut whole.nodes).values_mut() {
                facts.unready.get_or_insert_with(|| ADDING.into());
            }
        }
        for (node, (facts, address)) in agents.iter() {
            whole.agents.insert(node.clone(), facts.clone());
            // A node that is not one of ours stays none.
            if let (Some(own), Some(address)) = (whole.addresses.get_mut(node), address) {
                own.insert(address.clone());
            }
        }
        Self { hosts, agents, adding, whole: Arc::new(whole) }
    }

    fn is_of(&self, hosts: &Arc<Surroundings>, agents: &Agents, adding: Option<u64>) -> bool {
        Arc::ptr_eq(&self.hosts, hosts) && Arc::ptr_eq(&self.agents, agents) && self.adding == adding
    }
}

/// The ways back.
struct Ways {
    orders: Answers,
    found: mpsc::UnboundedSender<(Box<str>, Found)>,
}

/// The work on one system.
pub struct Work {
    settings: Settings,
    joints: Joints,
    journal: Journal,
    calls: mpsc::Receiver<Call>,
    shown: watch::Sender<Arc<Lifecycle>>,
    waits: Vec<Wait>,
    since: Since,
    /// Put together once for each change of it, however often a look asks.
    around: Around,
    answers: Ways,
    answered: mpsc::UnboundedReceiver<(StepId, step::Answer)>,
    found: mpsc::UnboundedReceiver<(Box<str>, Found)>,
    memory: Memory,
    /// Jobs that are being looked at in this life, and since when.
    looking: BTreeMap<Box<str>, Timestamp>,
    /// The journal before its newest run.
    before: Option<Journal>,
    /// The number of the first entry in the store, and of how many pieces those are that have several.
    first: u64,
    long: BTreeMap<u64, usize>,
    /// Pieces of what was put away.
    pieces: usize,
    pen: Pen,
    /// Waits that are written down already.
    noted: BTreeSet<(RunId, u32, ReasonKind)>,
    /// Whether more is known of times than is stored.
    learned: bool,
    /// What was shown: the end of the journal, plans on file, waits, and when.
    published: Option<(u64, usize, Vec<Wait>, Timestamp)>,
}

impl Work {
    /// Goes on where the last life ended.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn new(mut settings: Settings, joints: Joints, state: &State) -> Result<(Self, Line, Recorder), WorkError> {
        let kept = keep::load(state, &settings.system)?;
        if kept.torn {
            warn!(system = %settings.system, "the last entry of the journal was torn; nothing was done for it, and it is left out");
        }
        for plan in &kept.broken {
            warn!(system = %settings.system, %plan, "a stored plan is not whole and cannot be approved");
        }
        let shown =
            watch::Sender::new(Arc::new(Lifecycle::nothing(settings.system.clone(), settings.mode, clock::now())));
        let stored = Stored { first: kept.first, lines: kept.lines };
        let (folder, syslog) = (settings.history.clone(), settings.syslog.clone());
        let (recorder, pen, reader) = recorder::open(&folder, &settings.system, &stored, clock::now(), syslog)
            .map_err(|source| WorkError::History { folder, source })?;
        let long = (stored.first..).zip(&stored.lines).filter_map(|(number, line)| Some((number, keep::pieces(line)?)));
        let long = long.collect();
        settings.habits.times = keep::times(state, &settings.system);
        let (line, calls) = Line::new(shown.subscribe(), reader);
        let (orders, answered) = mpsc::unbounded_channel();
        let (sender, found) = mpsc::unbounded_channel();
        let answers = Ways { orders, found: sender };
        let (waits, since) = (Vec::new(), Since::new());
        let around = Around::of(&joints.around.borrow(), &joints.agents.borrow(), None);
        let memory = jobs::load(state, &settings.system);
        let mut work = Self {
            settings,
            joints,
            journal: kept.journal,
            calls,
            shown,
            waits,
            since,
            around,
            answers,
            answered,
            found,
            memory,
            looking: BTreeMap::new(),
            before: kept.before,
            first: stored.first,
            long,
            pieces: kept.pieces,
            pen,
            noted: BTreeSet::new(),
            learned: false,
            published: None,
        };
        work.publish();
        Ok((work, line, recorder))
    }

    /// The loop.
    ///
    /// # Errors
    /// What was decided could not be made durable, or does not fit what was.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), WorkError> {
        let mut pictures = self.joints.gallery.subscribe();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Some(run) = self.journal.book().open_run() {
            info!(system = %self.settings.system, run = %run.id, epoch = self.joints.desk.epoch(), "going on with a run that is not over");
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = pictures.changed() => if changed.is_err() { return Ok(()) },
                changed = self.joints.around.changed() => if changed.is_err() { return Ok(()) },
                changed = self.joints.adding.changed() => if changed.is_err() { return Ok(()) },
                _ = tick.tick() => {}
                Some((step, answer)) = self.answered.recv() => self.hear(step, answer).await?,
                Some((job, found)) = self.found.recv() => {
                    self.look_around();
                    self.found(&job, found).await?;
                }
                Some(call) = self.calls.recv() => {
                    self.look_around();
                    self.obey(call).await?;
                }
            }
            pictures.borrow_and_update();
            self.look_around();
            self.jobs().await?;
            self.turns().await?;
            let snapshot = self.picture().and_then(|picture| picture.snapshot.clone());
            if engine::is_impatient(self.journal.book(), snapshot.as_deref(), clock::now()) {
                self.joints.gallery.want(&self.settings.system, Expected::Gates);
            }
            self.publish();
        }
    }

    /// What came of an order.
    async fn hear(&mut self, step: StepId, answer: step::Answer) -> Result<(), WorkError> {
        info!(system = %self.settings.system, %step, ?answer, "an order was answered");
        let first = self.journal.len();
        let entries = engine::answered(&mut self.journal, step, answer, clock::now())?;
        self.commit(first, &entries).await
    }

    /// Decides until nothing more follows from what is known.
    async fn turns(&mut self) -> Result<(), WorkError> {
        for _ in 0..MOST_TURNS {
            let Some(picture) = self.picture() else { return Ok(()) };
            self.look_around();
            let around = Arc::clone(&self.around.whole);
            // What came of an order counts before what is seen of it: whoever had it told us first.
            while let Ok((step, answer)) = self.answered.try_recv() {
                self.hear(step, answer).await?;
            }
            // Nobody waits for the outcome of what an earlier life ordered; its agent has told it all the same.
            let awaited = self.journal.book().awaited();
            let failed = awaited.filter_map(|step| Some((around.failed.get(&step)?.clone(), step)));
            for (why, step) in failed.collect::<Vec<_>>() {
                self.hear(step, step::Answer::Failed { why }).await?;
            }
            let firing = (self.joints.firing)(&self.settings.system);
            let now = clock::now();
            let facts = Facts { now, picture: &picture, nodes: &around.nodes, agents: &around.agents, firing: &firing };
            let first = self.journal.len();
            let generation = facts.snapshot().map(|snapshot| snapshot.generation);
            let before = self.journal.book().open_run().is_some().then(|| self.journal.book().clone());
            // Nothing that an earlier life ordered is obeyed after the first order of this one.
            let epoch = self.joints.desk.epoch();
            let decided = engine::turn(&mut self.journal, facts, &self.settings.policy, epoch)?;
            if decided.entries.is_empty() {
                self.waits = engine::waits(&self.journal, facts, &self.settings.policy, epoch);
                return self.note_waits().await;
            }
            self.learn(before.as_ref(), &decided.turn.records, generation);
            self.commit(first, &decided.entries).await?;
            for record in &decided.turn.records {
                self.say(record);
                if let Record::Closed { run, .. } = record {
                    self.job_is_over(run);
                }
            }
            for (step, effect) in decided.turn.effects {
                if let (Effect::Order { permit, .. }, Some(run)) = (&effect, self.journal.book().open_run())
                    && permit.action.kind() == StepKind::Reboot
                {
                    self.joints.own.reboot_ordered(&self.settings.system, run.plan.request.as_str());
                }
                // Nobody has it when the program is ending; the next life looks whether it happened.
                let errand = Errand { step, effect, answers: self.answers.orders.clone() };
                let _ = self.joints.errands.send(Intended { errand, at: now, epoch });
            }
        }
        warn!(system = %self.settings.system, "decisions follow each other without end; the next look goes on");
        Ok(())
    }

    /// A run that a job began ended.
    fn job_is_over(&self, run: &RunId) {
        let Some(run) = self.journal.book().runs.get(run) else { return };
        if let Approval::Policy { job, .. } = &run.approval {
            let took = (clock::now() - run.opened_at).to_std().unwrap_or_default();
            self.joints.own.job_ran(&self.settings.system, job, took);
        }
    }

    /// Keeps what is settled of a job, with what it asked for.
    async fn keep(&mut self, name: &str, kept: jobs::Kept, batch: Batch) -> Result<(), WorkError> {
        // Moments and texts cannot fail to be written.
        let value = serde_json::to_vec(&kept).unwrap_or_default();
        self.durable(batch.put(jobs::key(&self.settings.system, name)?, value)).await?;
        self.memory.insert(name.into(), kept);
        self.published = None;
        Ok(())
    }

    /// Does what a person asks, between two looks.
    async fn obey(&mut self, call: Call) -> Result<(), WorkError> {
        let Call { order, by, answer } = call;
        let said = match self.decide(&order, &by) {
            Ok((obeyed, said)) => {
                self.write(obeyed).await?;
                if !matches!(order, Order::Plan { .. }) {
                    info!(system = %self.settings.system, by, ?order, "a person asked for it, and it is written down");
                }
                self.publish();
                Ok(said)
            }
            Err(refusal) => Err(refusal),
        };
        // Who asked may be gone; what is stored is done all the same.
        let _ = answer.send(said);
        Ok(())
    }

    fn decide(&self, order: &Order, by: &str) -> Result<(Obeyed, Answer), Refusal> {
        let unseen = || Refusal::Unable("the system was not asked yet; ask again".to_owned());
        self.with_desk(|desk| orders::obey(order, by, desk)).ok_or_else(unseen)?
    }

    /// Decides by all that is known now; nothing when the system is not known at all.
    fn with_desk<T>(&self, decide: impl FnOnce(&orders::Desk<'_>) -> T) -> Option<T> {
        let (picture, around) = (self.picture()?, &self.around.whole);
        let firing = (self.joints.firing)(&self.settings.system);
        let facts = Facts {
            now: clock::now(),
            picture: &picture,
            nodes: &around.nodes,
            agents: &around.agents,
            firing: &firing,
        };
        let desk = orders::Desk {
            book: self.journal.book(),
            facts,
            around,
            habits: &self.settings.habits,
            mode: self.settings.mode,
        };
        Some(decide(&desk))
    }

    /// A plan first, then the records that may name it.
    async fn write(&mut self, obeyed: Obeyed) -> Result<(), WorkError> {
        self.file(obeyed.forget, obeyed.plan).await?;
        let (before, first) = (self.opening(&obeyed.records), self.journal.len());
        let entries = self.journal.append(&obeyed.records, clock::now())?;
        self.commit(first, &entries).await?;
        match before {
            Some(before) => self.put_away(before).await,
            None => Ok(()),
        }
    }

    /// The journal as it is, when a run is about to be opened.
    fn opening(&self, records: &[Record]) -> Option<Journal> {
        records.iter().any(|record| matches!(record, Record::Opened { .. })).then(|| self.journal.clone())
    }

    async fn file(&mut self, forget: Vec<PlanId>, plan: Option<Plan>) -> Result<(), WorkError> {
        let system = &self.settings.system;
        for id in forget {
            let gone = self.journal.book().plans.get(&id).map(|plan| keep::forget(system, plan)).transpose()?;
            if let Some(batch) = gone {
                self.durable(batch).await?;
                self.journal.drop_plan(&id);
            }
        }
        if let Some(plan) = plan {
            for batch in keep::plan(system, &plan)? {
                self.durable(batch).await?;
            }
            self.journal.file(plan);
        }
        Ok(())
    }

    async fn commit(&mut self, first: u64, entries: &[Vec<u8>]) -> Result<(), WorkError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut batch: Batch = keep::entries(&self.settings.system, first, entries)?;
        if std::mem::take(&mut self.learned) {
            // Numbers and words cannot fail to be written.
            let value = serde_json::to_vec(&self.settings.habits.times).unwrap_or_default();
            batch = batch.put(keep::times_key(&self.settings.system)?, value);
        }
        self.durable(batch).await?;
        self.stored(first, entries);
        Ok(())
    }

    /// Nothing is done for what is not durable; a disk in doubt ends the process.
    async fn durable(&self, batch: Batch) -> Result<(), WorkError> {
        let mut left = TRIES;
        loop {
            match self.joints.desk.commit(batch.clone()).await {
                Err(error) if error.may_retry() && left > 0 => {
                    left -= 1;
                    tokio::time::sleep(TICK).await;
                }
                done => return Ok(done?),
            }
        }
    }

    /// Takes in what is seen besides what the MDM says.
    fn look_around(&mut self) {
        // Before the others: what is added is told before it can be seen.
        let adding = self.joints.adding.borrow().get(&self.settings.system).copied();
        let (hosts, agents) = (self.joints.around.borrow(), self.joints.agents.borrow());
        if self.around.adding != adding {
            // Whoever adds waits until it is told that this is known.
            self.published = None;
        }
        if !self.around.is_of(&hosts, &agents, adding) {
            self.around = Around::of(&hosts, &agents, adding);
        }
    }

    fn picture(&self) -> Option<Arc<Picture>> {
        self.joints.gallery.of(&self.settings.system)
    }

    fn publish(&mut self) {
        let (now, book) = (clock::now(), self.journal.book());
        let same = self.published.as_ref().is_some_and(|(length, plans, waits, at)| {
            *length == self.journal.len() && *plans == book.plans.len() && *waits == self.waits && now - *at < RENEW
        });
        if same {
            return;
        }
        self.published = Some((self.journal.len(), book.plans.len(), self.waits.clone(), now));
        self.since = show::held_since(&self.since, &self.waits, now);
        let Settings { system, mode, policy, .. } = &self.settings;
        let shown = show::lifecycle(system, *mode, book, &self.waits, &self.since, &policy.calendar, now);
        let jobs = self.settings.jobs.iter().map(|job| jobs::shown(job, self.memory.get(&job.schedule.name), now));
        let shown = Lifecycle {
            jobs: jobs.collect(),
            times: self.settings.habits.times.shown(),
            entries: self.journal.len(),
            head: self.journal.head().to_owned(),
            adding: self.around.adding,
            ..shown
        };
        self.joints.own.work(&shown);
        self.shown.send_replace(Arc::new(shown));
        let picture = self.picture();
        let snapshot = picture.as_ref().and_then(|picture| picture.snapshot.as_deref());
        let underway = show::underway(book, snapshot, system);
        self.joints.underway.send_if_modified(|all| {
            let changed = all.get(system).map_or(!underway.is_empty(), |before| *before != underway);
            if changed {
                all.insert(system.clone(), underway);
            }
            changed
        });
    }

    /// One line for each thing that changed.
    fn say(&self, record: &Record) {
        let system = &self.settings.system;
        match record {
            Record::Began { run, task } => info!(%system, %run, task, "a task is begun"),
            Record::Intended { step, effect, .. } => info!(%system, %step, effect = effect.as_str(), "ordered"),
            Record::Failed { run, task, why, .. } => warn!(%system, %run, task, why, "a task is given up and undone"),
            Record::Overdue { run, task, why } => {
                warn!(%system, %run, task, why, "a step that leads back takes too long");
            }
            Record::Halted { run, why } => warn!(%system, %run, why, "the run halts: nothing more is begun"),
            Record::Quarantined { version, why } => warn!(%system, version, why, "a version is quarantined"),
            Record::Closed { run, end } => info!(%system, %run, ?end, "the run is over"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::NodeName;
    use crate::model::node::NodeFacts;

    #[test]
    fn every_node_of_a_system_waits_while_something_is_added_to_it_and_no_longer() {
        let facts = |unready: Option<&str>| {
            let bare = NodeFacts::bare(Timestamp::UNIX_EPOCH);
            NodeFacts { unready: unready.map(Into::into), ..bare }
        };
        let nodes = [(NodeName::new("n1"), facts(None)), (NodeName::new("n2"), facts(Some("joining")))].into();
        let hosts = Arc::new(Surroundings { nodes: Arc::new(nodes), ..Surroundings::default() });
        let agents = Agents::default();
        let unready = |adding| {
            let around = Around::of(&hosts, &agents, adding);
            assert!(around.is_of(&hosts, &agents, adding) && !around.is_of(&hosts, &agents, Some(9)));
            around.whole.nodes.values().map(|facts| facts.unready.clone().unwrap_or_default()).collect::<Vec<_>>()
        };
        assert_eq!(unready(None), ["".into(), Box::<str>::from("joining")]);
        assert_eq!(unready(Some(3)), [ADDING.into(), Box::<str>::from("joining")]);
    }
}

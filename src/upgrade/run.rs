//! The loop of the work on one system: looks, lets the one step function decide,
//! makes that durable, and only then has it done.
//!
//! Whatever cannot be made durable ends the loop with an error, and the process
//! with it: what the store holds is then read again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::orders::{self, Obeyed};
use super::plan::Habits;
use super::show::{self, Since};
use crate::clock;
use crate::metrics::Own;
use crate::model::id::SystemId;
use crate::model::lifecycle::{Answer, Lifecycle, Mode, Order, Refusal};
use crate::model::picture::Picture;
use crate::model::step::{self, StepId};
use crate::store::{Batch, Desk, State, StoreError};
use crate::watches::Gallery;
use crate::work::advance::Wait;
use crate::work::engine;
use crate::work::facts::{Facts, Policy};
use crate::work::journal::{Broken, Journal};
use crate::work::keep::{self, KeepError};
use crate::work::record::Record;
use crate::work::seam::{Answers, Call, Errand, FiringNow, Line, Surroundings, UnderwayNow};

/// Deadlines and windows end between two polls too.
const TICK: Duration = Duration::from_secs(1);

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
}

/// What the loop is joined to.
#[allow(missing_docs)]
pub struct Joints {
    pub desk: Desk,
    pub gallery: Gallery,
    pub around: watch::Receiver<Arc<Surroundings>>,
    pub firing: FiringNow,
    pub underway: watch::Sender<UnderwayNow>,
    pub errands: mpsc::UnboundedSender<Errand>,
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
}

/// The work on one system.
pub struct Work {
    settings: Settings,
    joints: Joints,
    journal: Journal,
    epoch: u64,
    calls: mpsc::Receiver<Call>,
    shown: watch::Sender<Arc<Lifecycle>>,
    waits: Vec<Wait>,
    since: Since,
    answers: Answers,
    answered: mpsc::UnboundedReceiver<(StepId, step::Answer)>,
}

impl Work {
    /// Goes on where the last life ended.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn new(settings: Settings, joints: Joints, state: &State) -> Result<(Self, Line), WorkError> {
        let kept = keep::load(state, &settings.system)?;
        if kept.torn {
            warn!(system = %settings.system, "the last entry of the journal was torn; nothing was done for it, and it is left out");
        }
        for plan in &kept.broken {
            warn!(system = %settings.system, %plan, "a stored plan is not whole and cannot be approved");
        }
        let shown = watch::Sender::new(Arc::new(Lifecycle::nothing(settings.system.clone(), settings.mode, clock::now())));
        let (line, calls) = Line::new(shown.subscribe());
        // Nothing that an earlier life ordered is obeyed after the first order of this one.
        let epoch = kept.journal.book().epoch + 1;
        let (answers, answered) = mpsc::unbounded_channel();
        let (waits, since) = (Vec::new(), Since::new());
        let mut work =
            Self { settings, joints, journal: kept.journal, epoch, calls, shown, waits, since, answers, answered };
        work.publish();
        Ok((work, line))
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
            info!(system = %self.settings.system, run = %run.id, epoch = self.epoch, "going on with a run that is not over");
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = pictures.changed() => if changed.is_err() { return Ok(()) },
                changed = self.joints.around.changed() => if changed.is_err() { return Ok(()) },
                _ = tick.tick() => {}
                Some((step, answer)) = self.answered.recv() => self.hear(step, answer).await?,
                Some(call) = self.calls.recv() => self.obey(call).await?,
            }
            pictures.borrow_and_update();
            self.turns().await?;
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
            let around = Arc::clone(&self.joints.around.borrow());
            let firing = (self.joints.firing)(&self.settings.system);
            let facts = Facts {
                now: clock::now(),
                picture: &picture,
                nodes: &around.nodes,
                agents: &around.agents,
                firing: &firing,
            };
            let first = self.journal.len();
            let decided = engine::turn(&mut self.journal, facts, &self.settings.policy, self.epoch)?;
            self.waits = decided.turn.waits;
            if decided.entries.is_empty() {
                return Ok(());
            }
            self.commit(first, &decided.entries).await?;
            for record in &decided.turn.records {
                self.say(record);
            }
            for (step, effect) in decided.turn.effects {
                // Nobody has it when the program is ending; the next life looks whether it happened.
                let _ = self.joints.errands.send(Errand { step, effect, answers: self.answers.clone() });
            }
        }
        warn!(system = %self.settings.system, "decisions follow each other without end; the next look goes on");
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
        let picture =
            self.picture().ok_or_else(|| Refusal::Unable("the system was not asked yet; ask again".to_owned()))?;
        let around = Arc::clone(&self.joints.around.borrow());
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
            around: &around,
            habits: &self.settings.habits,
            mode: self.settings.mode,
        };
        orders::obey(order, by, &desk)
    }

    /// A plan first, then the records that may name it.
    async fn write(&mut self, obeyed: Obeyed) -> Result<(), WorkError> {
        let system = &self.settings.system;
        for id in obeyed.forget {
            let gone = self.journal.book().plans.get(&id).map(|plan| keep::forget(system, plan)).transpose()?;
            if let Some(batch) = gone {
                self.joints.desk.commit(batch).await?;
                self.journal.drop_plan(&id);
            }
        }
        if let Some(plan) = obeyed.plan {
            for batch in keep::plan(system, &plan)? {
                self.joints.desk.commit(batch).await?;
            }
            self.journal.file(plan);
        }
        let first = self.journal.len();
        let entries = self.journal.append(&obeyed.records, clock::now())?;
        self.commit(first, &entries).await
    }

    async fn commit(&self, first: u64, entries: &[Vec<u8>]) -> Result<(), WorkError> {
        if entries.is_empty() {
            return Ok(());
        }
        let batch: Batch = keep::entries(&self.settings.system, first, entries)?;
        Ok(self.joints.desk.commit(batch).await?)
    }

    fn picture(&self) -> Option<Arc<Picture>> {
        self.joints.gallery.of(&self.settings.system)
    }

    fn publish(&mut self) {
        let (now, book) = (clock::now(), self.journal.book());
        self.since = show::held_since(&self.since, &self.waits, now);
        let Settings { system, mode, .. } = &self.settings;
        let shown = show::lifecycle(system, *mode, book, &self.waits, &self.since, now);
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
            Record::Overdue { run, task, why } => warn!(%system, %run, task, why, "a step that leads back takes too long"),
            Record::Halted { run, why } => warn!(%system, %run, why, "the run halts: nothing more is begun"),
            Record::Quarantined { version, why } => warn!(%system, version, why, "a version is quarantined"),
            Record::Closed { run, end } => info!(%system, %run, ?end, "the run is over"),
            _ => {}
        }
    }
}

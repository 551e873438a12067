//! The loop of one system: read the schedule, ask, assemble, publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::assemble::{Read, Reading, Run, drop_part, explain_gaps, is_moving, outdated_lists, parts, put};
use super::schedule::Schedule;
use crate::clock;
use crate::config;
use crate::gateway::{Answer, Gateway, GatewayError};
use crate::metrics::Own;
use crate::model::id::SystemId;
use crate::model::observed::Observed;
use crate::model::picture::{CollectorHealth, FailureReason, Picture, PollError, PollHealth};
use crate::model::snapshot::{Collector, Snapshot};
use crate::model::stats::StatKind;
use crate::model::unit::Timestamp;
use crate::model::version::Generation;
use crate::watches::{Expected, Gallery};

/// Questions under way at once at one gateway: enough to hide its latency, too
/// few to crowd out the people who work with it.
const QUESTIONS_AT_ONCE: usize = 3;

/// In what additions to a system show.
const ADDITIONS: [Collector; 7] = [
    Collector::System,
    Collector::ProtectionDomains,
    Collector::FaultSets,
    Collector::StoragePools,
    Collector::Sds,
    Collector::Devices,
    Collector::Sdcs,
];

/// What the gates of the work read besides; nothing that was asked before our last change lets anything through.
const GATES: [Collector; 2] = [Collector::Alerts, Collector::Statistics];

/// A question is an answer, or a login and an answer; twice that would be slow, not patient.
const REQUESTS_A_QUESTION: u32 = 2;

/// Everything one system's loop owns.
pub struct Poller {
    system: SystemId,
    gateway: Gateway,
    settings: config::Poll,
    /// One question with its logins, renewals and other addresses takes no
    /// longer: the other collectors wait for it.
    deadline: Duration,
    gallery: Gallery,
    own: Arc<Own>,
    started: Instant,
    schedule: Schedule,
    snapshot: Option<Arc<Snapshot>>,
    seq: u64,
    health: PollHealth,
    observed: Arc<Observed>,
    /// When each part was answered, in time since `started`.
    answered: BTreeMap<Collector, Duration>,
    /// Differences between lists and statistics that a refresh did not end.
    settled: BTreeMap<Collector, u64>,
    events_since: Timestamp,
}

impl Poller {
    /// A loop that has asked nothing yet.
    pub fn new(
        system: SystemId,
        gateway: Gateway,
        settings: &config::Poll,
        gallery: Gallery,
        own: Arc<Own>,
        observed: Observed,
    ) -> Self {
        Self {
            system,
            deadline: gateway.request_timeout() * REQUESTS_A_QUESTION,
            gateway,
            settings: settings.clone(),
            gallery,
            own,
            started: Instant::now(),
            schedule: Schedule::new(settings.clone()),
            snapshot: None,
            seq: 0,
            health: PollHealth::default(),
            events_since: observed.events_until.unwrap_or_else(clock::now),
            observed: Arc::new(observed),
            answered: BTreeMap::new(),
            settled: BTreeMap::new(),
        }
    }

    /// Polls until told to stop, then logs out.
    pub async fn run(mut self, stop: CancellationToken) {
        let ends = stop.clone();
        tokio::select! {
            () = ends.cancelled() => {}
            () = self.poll() => {}
        }
        self.gateway.logout().await;
    }

    async fn poll(&mut self) {
        loop {
            self.turn().await;
            let next = Instant::now() + self.schedule.pause(rand::random());
            while let Some((at, what)) = self.wanted_before(next).await {
                tokio::time::sleep_until(at).await;
                let more: &[Collector] = match what {
                    Expected::Additions => &[],
                    Expected::Gates => &GATES,
                };
                self.look(Some(&[&ADDITIONS, more].concat())).await;
            }
        }
    }

    /// When to look out of turn, because somebody wants it; none: the time of the next poll has come.
    async fn wanted_before(&self, next: Instant) -> Option<(Instant, Expected)> {
        loop {
            let what = tokio::select! {
                () = tokio::time::sleep_until(next) => return None,
                what = self.gallery.wanted(&self.system) => what,
            };
            let at = self.schedule.wanted(self.started.elapsed()).map(|rest| Instant::now() + rest);
            if let Some(at) = at.filter(|at| *at < next) {
                return Some((at, what));
            }
        }
    }

    /// One poll.
    pub async fn turn(&mut self) {
        self.look(None).await;
    }

    /// A poll of what is due, or of what is named.
    async fn look(&mut self, named: Option<&[Collector]>) {
        let begun = self.started.elapsed();
        self.ask_for(named, begun).await;
        self.schedule.ended(begun, self.started.elapsed());
    }

    async fn ask_for(&mut self, named: Option<&[Collector]>, now: Duration) {
        let begun_at = clock::now();
        self.health.last_poll = Some(begun_at);
        let mut runs: BTreeMap<Collector, Run> = BTreeMap::new();

        let generation = match &self.snapshot {
            Some(snapshot) => Ok(snapshot.generation),
            None => self.gateway.generation().await.map_err(|error| poll_error(&error)),
        };
        let mut next = match generation {
            Ok(generation) => self.next_snapshot(generation, begun_at),
            Err(error) => {
                self.fail_all(now, begun_at, &error);
                return;
            }
        };
        let all = Collector::ALL.into_iter().filter(|collector| collector.exists_in(next.generation));
        let due = match named {
            Some(named) => all.filter(|collector| named.contains(collector)).collect(),
            None => self.schedule.due(now, all),
        };

        // The system comes first: who cannot even be asked for that is not asked for the rest.
        runs.insert(Collector::System, self.ask(Collector::System, next.generation).await);
        if let Some(error) =
            runs[&Collector::System].outcome.as_ref().err().filter(|error| is_unreachable(error.reason))
        {
            let error = error.clone();
            self.fail_all(now, begun_at, &error);
            return;
        }
        let rest = due.into_iter().filter(|collector| *collector != Collector::System);
        runs.extend(self.ask_many(rest, next.generation).await);
        if !self.take_in(&mut next, runs, now) {
            self.nothing_answered();
            return;
        }

        let outdated = outdated_lists(&next);
        let refresh: Vec<Collector> = outdated
            .iter()
            .filter(|(collector, mark)| {
                self.settled.get(*collector) != Some(*mark) && self.schedule.may_refresh(**collector, now)
            })
            .map(|(collector, _)| *collector)
            .collect();
        if !refresh.is_empty() {
            let runs = self.ask_many(refresh, next.generation).await;
            let refreshed: Vec<Collector> =
                runs.iter().filter(|(_, run)| run.outcome.is_ok()).map(|(collector, _)| *collector).collect();
            self.take_in(&mut next, runs, now);
            let still = outdated_lists(&next);
            self.settled.retain(|collector, _| still.contains_key(collector));
            self.settled.extend(still.into_iter().filter(|(collector, _)| refreshed.contains(collector)));
        }
        self.publish(next);
    }

    /// The snapshot to fill: the parts of the last one that are not too old.
    fn next_snapshot(&self, generation: Generation, begun_at: Timestamp) -> Snapshot {
        let mut next = match &self.snapshot {
            Some(last) => Snapshot::clone(last),
            None => Snapshot::empty(self.system.clone(), generation, 0, begun_at),
        };
        next.begun_at = begun_at;
        next
    }

    /// Puts answers into the snapshot; whether there was one.
    fn take_in(&mut self, next: &mut Snapshot, runs: BTreeMap<Collector, Run>, now: Duration) -> bool {
        let mut answered = false;
        for (collector, run) in runs {
            self.schedule.ran(collector, now, run.took);
            self.note(collector, &run);
            match run.outcome {
                Ok(read) => {
                    answered = true;
                    self.answered.insert(collector, now);
                    put(next, read.reading, run.begun_at, run.taken_at);
                }
                Err(_) => self.forget_if_old(next, collector),
            }
        }
        for collector in parts(next) {
            self.forget_if_old(next, collector);
            if !collector.exists_in(next.generation) {
                drop_part(next, collector);
            }
        }
        answered
    }

    /// A part that was not answered for `max_age` says nothing any more.
    fn forget_if_old(&self, snapshot: &mut Snapshot, collector: Collector) {
        let age = self.answered.get(&collector).map(|answered| self.started.elapsed().saturating_sub(*answered));
        if age.is_none_or(|age| age > self.settings.max_age) {
            drop_part(snapshot, collector);
        }
    }

    fn publish(&mut self, mut next: Snapshot) {
        self.seq += 1;
        next.seq = self.seq;
        next.taken_at = clock::now();
        explain_gaps(&mut next, &self.errors());
        self.schedule.polled(true, is_moving(&next));
        let observed = self.observed.after(&next);
        if let Some(until) = observed.events_until {
            self.events_since = until;
        }
        if observed != *self.observed {
            self.observed = Arc::new(observed);
        }
        self.health.last_poll_succeeded = self.health.collectors.values().all(|health| health.error.is_none());
        self.snapshot = Some(Arc::new(next));
        self.show();
    }

    /// The system cannot be asked at all: every collector that was due fails alike.
    fn fail_all(&mut self, now: Duration, begun_at: Timestamp, error: &PollError) {
        let generation = self.snapshot.as_ref().map(|snapshot| snapshot.generation);
        let took = self.started.elapsed().saturating_sub(now);
        for collector in self.schedule.due(now, Collector::ALL) {
            if generation.is_some_and(|generation| !collector.exists_in(generation)) {
                continue;
            }
            if generation.is_none() && collector != Collector::System {
                continue;
            }
            let run = Run { begun_at, taken_at: clock::now(), took, outcome: Err(error.clone()) };
            self.note(collector, &run);
        }
        self.nothing_answered();
    }

    /// The snapshot stays as it is and ages.
    fn nothing_answered(&mut self) {
        self.schedule.polled(false, false);
        self.health.last_poll_succeeded = false;
        self.drop_what_is_too_old();
        self.show();
    }

    fn drop_what_is_too_old(&mut self) {
        let Some(last) = &self.snapshot else { return };
        let mut next = Snapshot::clone(last);
        let before = parts(&next);
        for collector in &before {
            self.forget_if_old(&mut next, *collector);
        }
        if parts(&next) != before {
            explain_gaps(&mut next, &self.errors());
            self.seq += 1;
            next.seq = self.seq;
            self.snapshot = Some(Arc::new(next));
        }
    }

    fn show(&mut self) {
        self.health.gateway = self.gateway.current_address();
        for (collector, health) in &mut self.health.collectors {
            health.interval = self.schedule.interval(*collector);
        }
        self.gallery.publish(Picture {
            at: clock::now(),
            system: self.system.clone(),
            snapshot: self.snapshot.clone(),
            health: self.health.clone(),
            observed: Arc::clone(&self.observed),
        });
    }

    fn errors(&self) -> BTreeMap<Collector, Box<str>> {
        self.health
            .collectors
            .iter()
            .filter_map(|(collector, health)| Some((*collector, health.error.as_ref()?.message.clone())))
            .collect()
    }

    /// Writes down how a run went; says it when that changed.
    fn note(&mut self, collector: Collector, run: &Run) {
        self.own.ran(&self.system, collector, run.took, run.outcome.as_ref().err().map(|error| error.reason));
        let before = self.health.collectors.get(&collector);
        let failing = before.and_then(|health| health.error.as_ref());
        match (&run.outcome, failing) {
            (Err(error), last) if last.is_none_or(|last| last.reason != error.reason) => {
                warn!(system = %self.system, %collector, reason = %error.reason, error = %error.message, "a collector fails");
            }
            (Ok(_), Some(_)) => info!(system = %self.system, %collector, "a collector works again"),
            _ => {}
        }
        let health = CollectorHealth {
            interval: self.schedule.interval(collector),
            last_begun: run.begun_at,
            last_duration: run.took,
            last_success: match &run.outcome {
                Ok(_) => Some(run.taken_at),
                Err(_) => before.and_then(|health| health.last_success),
            },
            objects: match &run.outcome {
                Ok(read) => read.objects,
                Err(_) => before.map_or(0, |health| health.objects),
            },
            failures: if run.outcome.is_ok() {
                0
            } else {
                before.map_or(0, |health| health.failures).saturating_add(1)
            },
            error: run.outcome.as_ref().err().cloned(),
        };
        self.health.collectors.insert(collector, health);
        if let Ok(read) = &run.outcome {
            for (kind, count) in &read.unknown {
                let seen = self.health.unknown.entry(kind.clone()).or_default();
                if *seen == 0 && *count > 0 {
                    info!(system = %self.system, kind = %kind, count, "the gateway sends fields or states that this version does not know");
                }
                *seen = (*seen).max(*count);
                self.own.unknown(&self.system, kind, *count);
            }
        }
    }

    async fn ask_many(
        &self,
        collectors: impl IntoIterator<Item = Collector>,
        generation: Generation,
    ) -> BTreeMap<Collector, Run> {
        stream::iter(collectors)
            .map(|collector| async move { (collector, self.ask(collector, generation).await) })
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .collect()
            .await
    }

    async fn ask(&self, collector: Collector, generation: Generation) -> Run {
        let begun_at = clock::now();
        let begun = Instant::now();
        let asked = tokio::time::timeout(self.deadline, self.question(collector, generation)).await;
        let outcome = asked.unwrap_or_else(|_| {
            let message = format!("{collector} was not answered within {:?}, logins included", self.deadline);
            Err(PollError { reason: FailureReason::Timeout, message: message.into() })
        });
        Run { begun_at, taken_at: clock::now(), took: begun.elapsed(), outcome }
    }

    async fn question(&self, collector: Collector, generation: Generation) -> Result<Read, PollError> {
        let gateway = &self.gateway;
        match collector {
            Collector::System => read(gateway.system().await, Reading::System),
            Collector::ProtectionDomains => read(gateway.domains().await, Reading::ProtectionDomains),
            Collector::FaultSets => read(gateway.fault_sets().await, Reading::FaultSets),
            Collector::StoragePools => read(gateway.pools().await, Reading::StoragePools),
            Collector::Sds => read(gateway.sds().await, Reading::Sds),
            Collector::Devices => read(gateway.devices().await, Reading::Devices),
            Collector::Sdcs => read(gateway.sdcs().await, Reading::Sdcs),
            Collector::Volumes => read(gateway.volumes().await, Reading::Volumes),
            Collector::VTrees => read(gateway.vtrees().await, Reading::VTrees),
            Collector::SnapshotPolicies => read(gateway.policies().await, Reading::SnapshotPolicies),
            Collector::ConsistencyGroups => read(gateway.groups().await, Reading::ConsistencyGroups),
            Collector::ReplicationPairs => read(gateway.pairs().await, Reading::ReplicationPairs),
            Collector::PeerMdms => read(gateway.peers().await, Reading::PeerMdms),
            Collector::Sdrs => read(gateway.sdrs().await, Reading::Sdrs),
            Collector::Sdts => read(gateway.sdts().await, Reading::Sdts),
            Collector::Alerts => read(gateway.alerts(generation).await, Reading::Alerts),
            Collector::Events => read(gateway.events(self.events_since).await, Reading::Events),
            Collector::Statistics => read(gateway.statistics(&kinds(generation)).await, Reading::Statistics),
        }
    }
}

/// The kinds whose statistics a generation has.
fn kinds(generation: Generation) -> Vec<StatKind> {
    StatKind::ALL
        .into_iter()
        .filter(|kind| match kind {
            StatKind::ConsistencyGroup | StatKind::ReplicationPair => generation >= Generation::V3_5,
            StatKind::System
            | StatKind::ProtectionDomain
            | StatKind::StoragePool
            | StatKind::Sds
            | StatKind::Device
            | StatKind::Sdc
            | StatKind::Volume => true,
        })
        .collect()
}

fn read<T>(answer: Result<Answer<T>, GatewayError>, reading: impl FnOnce(T) -> Reading) -> Result<Read, PollError> {
    match answer {
        Ok(Answer { value, objects, unknown }) => Ok(Read { reading: reading(value), objects, unknown }),
        Err(error) => Err(poll_error(&error)),
    }
}

fn poll_error(error: &GatewayError) -> PollError {
    PollError { reason: error.reason(), message: error.to_string().into() }
}

/// Failures after which every other question would fail in the same way.
const fn is_unreachable(reason: FailureReason) -> bool {
    match reason {
        FailureReason::Timeout | FailureReason::Connect | FailureReason::Tls | FailureReason::Auth => true,
        FailureReason::Http | FailureReason::TooLarge | FailureReason::Parse => false,
    }
}

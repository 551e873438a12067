//! The loop of the engine: each new exposition is judged once, and what is
//! wrong is published, counted and stored.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::engine::{self, Engine, RuleError, Saved, Seen, VendorText, Verdict};
use super::promql::{Bounds, History, HistoryFile, Latest};
use super::rules::RuleSet;
use super::sample::Sampler;
use crate::clock;
use crate::metrics::{Exposition, Own};
use crate::model::alerting::FiringSet;
use crate::model::overview::Forecast;
use crate::model::unit::Timestamp;
use crate::store::{Batch, Desk, Key, State, StoreError};
use crate::watches::{Gallery, Pictures};

/// Entries written together; well below the limit of a batch.
const ENTRIES_A_BATCH: usize = 6;

/// The growth of a shorter past is a chance: half a day, as the rules that warn of full pools ask.
const SHORTEST_PAST_MS: i64 = 12 * 60 * 60 * 1000;

/// How many alerts there are by system, name, severity and state.
type Counts = BTreeMap<[String; 4], u64>;

/// The engine with all it needs.
pub struct Evaluator {
    rules: watch::Receiver<Arc<RuleSet>>,
    judge: Judge,
    desk: Desk,
    written: BTreeMap<Key, Vec<u8>>,
    firing: watch::Sender<Arc<FiringSet>>,
    verdicts: watch::Sender<Option<Arc<Verdict>>>,
    forecasts: watch::Sender<Arc<Vec<Forecast>>>,
}

/// What works off the async threads.
struct Judge {
    engine: Engine,
    sampler: Sampler,
    file: Option<HistoryFile>,
    own: Arc<Own>,
    counts: Counts,
    /// What failed last time: only a change is worth a line in the log.
    failed: Vec<RuleError>,
}

impl Evaluator {
    /// Takes up where the last life ended. `folder` holds the past; when it cannot be used, the past is only kept in
    /// memory, because alerts matter more.
    pub fn new(rules: watch::Receiver<Arc<RuleSet>>, folder: &Path, desk: Desk, state: &State, own: Arc<Own>) -> Self {
        let now = clock::now();
        let (saved, unreadable) = engine::load(state);
        for key in unreadable {
            warn!(%key, "stored alerts cannot be read; they count as new");
        }
        let (history, file) = past(folder);
        let mut rules = rules;
        let in_force = Arc::clone(&rules.borrow_and_update());
        let sampler = Sampler::new(in_force.metrics.clone());
        let alerts = in_force.alerts.len();
        let engine = Engine::new(in_force, history, &saved, now);
        info!(rules = alerts, restored = saved.len(), "alert rules are loaded");
        let nothing = FiringSet { at: now, based_on: BTreeMap::new(), alerts: BTreeMap::new() };
        let firing = watch::Sender::new(Arc::new(nothing));
        let written = state.entries.iter().filter(|(key, _)| key.as_str().starts_with(engine::PREFIX));
        let written = written.map(|(key, value)| (key.clone(), value.clone())).collect();
        let judge = Judge { engine, sampler, file, own, counts: Counts::new(), failed: Vec::new() };
        let (verdicts, forecasts) = (watch::Sender::new(None), watch::Sender::new(Arc::default()));
        Self { rules, judge, desk, written, firing, verdicts, forecasts }
    }

    /// What is pending or fires.
    pub fn firing(&self) -> watch::Receiver<Arc<FiringSet>> {
        self.firing.subscribe()
    }

    /// What each evaluation said, what is over included; none before the first one.
    pub fn verdicts(&self) -> watch::Receiver<Option<Arc<Verdict>>> {
        self.verdicts.subscribe()
    }

    /// When each pool is full at its growth, as the recording rule says.
    pub fn forecasts(&self) -> watch::Receiver<Arc<Vec<Forecast>>> {
        self.forecasts.subscribe()
    }

    /// Judges every new exposition until told to stop. An error means that the disk is in doubt.
    pub async fn run(
        mut self,
        gallery: Gallery,
        mut expositions: watch::Receiver<Arc<Exposition>>,
        stop: CancellationToken,
    ) -> Result<(), StoreError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = expositions.changed() => if changed.is_err() { return Ok(()) },
            }
            let exposition = Arc::clone(&expositions.borrow_and_update());
            let pictures = gallery.all();
            if !is_complete(&exposition, &pictures) {
                continue;
            }
            let mut judge = self.judge;
            if self.rules.has_changed().unwrap_or(false) {
                judge.replace_rules(Arc::clone(&self.rules.borrow_and_update()));
            }
            let judged = tokio::task::spawn_blocking(move || {
                let at = clock::now();
                let (verdict, forecasts) = judge.judge(&exposition, &pictures, at);
                let saved = judge.engine.saved(at);
                (judge, verdict, saved, forecasts)
            });
            let (verdict, saved);
            match judged.await {
                Ok((judge, said, alerts, forecasts)) => {
                    self.judge = judge;
                    self.forecasts.send_replace(Arc::new(forecasts));
                    (verdict, saved) = (said, alerts);
                }
                // The task ends, and with it the process: silence must not look like health.
                Err(panic) => {
                    error!(%panic, "the evaluation of alert rules failed");
                    return Err(StoreError::Closed);
                }
            }
            // Stored before it is told: what people hear of must be known after a restart.
            match store(&self.desk, &mut self.written, &saved).await {
                Ok(()) => {}
                Err(error) if !error.is_fatal() => {
                    warn!(%error, "alerts were not written; the next evaluation tries again");
                }
                Err(error) => return Err(error),
            }
            self.firing.send_replace(Arc::new(verdict.set.clone()));
            self.verdicts.send_replace(Some(Arc::new(verdict)));
        }
    }
}

/// Whether every system was asked once and its answer is in the exposition. Before that, what is missing says
/// nothing: alerts of the last life would be over.
fn is_complete(exposition: &Exposition, pictures: &Pictures) -> bool {
    pictures.iter().all(|(system, picture)| {
        picture.health.last_poll.is_some() && (picture.snapshot.is_none() || exposition.seq(system).is_some())
    })
}

/// The past as far as it is on disk, and where it goes on.
fn past(folder: &Path) -> (History, Option<HistoryFile>) {
    match HistoryFile::open(folder, Bounds::default()) {
        Ok(found) => {
            for path in &found.unusable {
                warn!(path = %path.display(), "a file of the past cannot be read; an older one is used");
            }
            if found.torn_bytes > 0 {
                info!(bytes = found.torn_bytes, "the newest entry of the past was not whole");
            }
            (found.history, Some(found.file))
        }
        Err(error) => {
            warn!(%error, "the past cannot be kept on disk; trends begin anew at the next start");
            (History::new(Bounds::default()), None)
        }
    }
}

impl Judge {
    fn replace_rules(&mut self, rules: Arc<RuleSet>) {
        self.sampler = Sampler::new(rules.metrics.clone());
        self.engine.replace_rules(rules);
    }

    fn judge(&mut self, exposition: &Exposition, pictures: &Pictures, at: Timestamp) -> (Verdict, Vec<Forecast>) {
        let begun = Instant::now();
        let mut latest = self.sampler.samples(exposition, &self.own, at.timestamp_millis());
        let seen = Seen { based_on: exposition.seqs().clone(), vendor: vendor(pictures) };
        let verdict = self.engine.step(&mut latest, &seen);
        let oldest = self.engine.history().oldest().unwrap_or(latest.at());
        let forecasts = if latest.at() - oldest >= SHORTEST_PAST_MS { forecasts(&latest) } else { Vec::new() };
        if let Some(file) = &mut self.file
            && let Err(error) = file.append(self.engine.history())
        {
            warn!(%error, "the past was not written; the next evaluation tries again");
        }
        self.own.evaluated(at, begun.elapsed(), self.engine.history().stats().bytes);
        let counts = counts(&self.engine);
        self.own.alerts(&counts, &self.counts);
        self.counts = counts;
        for error in &verdict.errors {
            self.own.rule_failed(&error.rule.group, &error.rule.rule);
            if !self.failed.contains(error) {
                warn!(rule = %error.rule, reason = error.reason, "an alert rule failed");
            }
        }
        self.failed.clone_from(&verdict.errors);
        (verdict, forecasts)
    }
}

/// What the recording rule of `alerts/recording.rules.yml` says of pools that grow.
fn forecasts(latest: &Latest) -> Vec<Forecast> {
    let samples = latest.family("storage_pool:scaleio_full:days").iter().filter(|(_, days)| days.is_finite());
    samples
        .map(|(labels, days)| Forecast {
            system: labels.get("system").to_owned(),
            domain: labels.get("protection_domain").to_owned(),
            pool: labels.get("storage_pool").to_owned(),
            days: *days,
        })
        .collect()
}

fn counts(engine: &Engine) -> Counts {
    let mut counts = Counts::new();
    for (labels, fires) in engine.states() {
        let label = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let state = if fires { "firing" } else { "pending" };
        *counts.entry([label("system"), label("alertname"), label("severity"), state.to_owned()]).or_default() += 1;
    }
    counts
}

/// What the MDMs say of their own alerts.
fn vendor(pictures: &Pictures) -> BTreeMap<(String, String), VendorText> {
    let mut texts = BTreeMap::new();
    for (system, picture) in pictures {
        let alerts = picture.snapshot.iter().filter_map(|snapshot| snapshot.alerts.as_ref());
        for alert in alerts.flat_map(|part| part.iter()) {
            let on = alert.resource_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            let text = format!("{}{on}", alert.description.as_deref().unwrap_or(&alert.name));
            let repair = alert.repair.as_deref().map(str::to_owned);
            texts.entry((system.to_string(), alert.name.to_string())).or_insert(VendorText { text, repair });
        }
    }
    texts
}

/// Makes the store hold these alerts; only what changed is written.
async fn store(desk: &Desk, written: &mut BTreeMap<Key, Vec<u8>>, saved: &[Saved]) -> Result<(), StoreError> {
    let (wanted, left_out) = engine::entries(saved)?;
    if left_out > 0 {
        warn!(left_out, "too many alerts to keep all of them over a restart");
    }
    let gone = written.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), None));
    let new = wanted.iter().filter(|(key, value)| written.get(*key) != Some(*value));
    let new = new.map(|(key, value)| (key.clone(), Some(value.clone())));
    let changes: Vec<(Key, Option<Vec<u8>>)> = gone.chain(new).collect();
    for some in changes.chunks(ENTRIES_A_BATCH) {
        let batch = some.iter().fold(Batch::new(), |batch, (key, value)| match value {
            Some(value) => batch.put(key.clone(), value.clone()),
            None => batch.delete(key.clone()),
        });
        desk.commit(batch).await?;
        for (key, value) in some {
            match value {
                Some(value) => written.insert(key.clone(), value.clone()),
                None => written.remove(key),
            };
        }
    }
    Ok(())
}

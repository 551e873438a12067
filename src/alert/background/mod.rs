//! What does a reader need to know besides the alert? How the system stands,
//! who depends on what is unwell, how it went in the last hours, and what
//! changed before.
//!
//! Kept in memory only: after a restart a mail knows less of the past, and
//! says "not seen" where it knows nothing. Pure; the loop that tells people
//! shows it each picture.

mod trail;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use chrono::TimeDelta;

use crate::model::alerting::{AlertState, Change, Item, Notification, Number, Outlook};
use crate::model::dependents;
use crate::model::glance;
use crate::model::id::SystemId;
use crate::model::notice::{Noticed, notice};
use crate::model::overview::Tone;
use crate::model::snapshot::Snapshot;
use crate::model::unit::Timestamp;
use crate::model::workload::Workloads;
use crate::watches::Pictures;
use trail::Trail;

/// What changed longer ago is not the cause of what began now.
const LATELY: TimeDelta = TimeDelta::hours(1);

/// What is remembered of a system at most; a storm changes more than anybody reads.
const MOST_NOTICED: usize = 500;

/// What one mail tells of it, the newest.
const MOST_TOLD: usize = 12;

/// What ended an alert was seen at most so long before the end: the slow beat of polling, and a `keep_firing_for`.
const ENDED: TimeDelta = TimeDelta::minutes(15);

/// What was seen of every system lately.
#[derive(Debug, Default)]
pub struct Background(BTreeMap<SystemId, Past>);

#[derive(Debug, Default)]
struct Past {
    last: Option<Arc<Snapshot>>,
    trail: Trail,
    noticed: VecDeque<Noticed>,
}

impl Background {
    /// Looks at the newest pictures. A snapshot that was seen before adds nothing.
    pub fn see(&mut self, pictures: &Pictures) {
        self.0.retain(|system, _| pictures.contains_key(system));
        for (system, picture) in pictures {
            if let Some(snapshot) = &picture.snapshot {
                self.0.entry(system.clone()).or_default().see(snapshot);
            }
        }
    }

    /// Adds what is known to what people are told.
    pub fn fill(&self, n: &mut Notification, pictures: &Pictures, workloads: Option<&Workloads>) {
        let Some(picture) = n.group.system.as_ref().and_then(|system| pictures.get(system)) else { return };
        let status = glance::system(picture, n.created_at);
        n.outlook = Outlook { rebuild_seconds: rebuild_seconds(&status), ..n.outlook };
        n.status = Some(status);
        if let Some(snapshot) = &picture.snapshot {
            for item in &mut n.items {
                item.hurt = dependents::of(snapshot, &item.alert.labels, workloads);
            }
        }
        let Some(past) = self.0.get(&picture.system) else { return };
        for item in &mut n.items {
            past.explain_end(item);
        }
        if n.kind.tells_of_alerts() {
            n.charts = past.trail.charts(n);
            n.changes = past.changes(n.created_at);
        }
    }
}

impl Past {
    fn see(&mut self, snapshot: &Arc<Snapshot>) {
        if self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, snapshot)) {
            return;
        }
        let at = snapshot.taken_at;
        self.trail.see(snapshot);
        if let Some(last) = &self.last {
            self.noticed.extend(notice(last, snapshot));
        }
        let old = |noticed: &Noticed| at - noticed.at > LATELY;
        while self.noticed.len() > MOST_NOTICED || self.noticed.front().is_some_and(old) {
            self.noticed.pop_front();
        }
        self.last = Some(Arc::clone(snapshot));
    }

    fn changes(&self, now: Timestamp) -> Vec<Change> {
        let lately = self.noticed.iter().rev().filter(|noticed| now - noticed.at <= LATELY).take(MOST_TOLD);
        let mut changes: Vec<Change> =
            lately.map(|noticed| Change { at: noticed.at, what: noticed.what.clone() }).collect();
        changes.reverse();
        changes
    }

    /// What made an alert end, when nobody else knows.
    fn explain_end(&self, item: &mut Item) {
        let area = item.alert.area.clone();
        let labels = &item.alert.labels;
        if let AlertState::Resolved { resolved_at, ended_by: ended_by @ None, .. } = &mut item.alert.state {
            let fits = |noticed: &&Noticed| {
                noticed.tone == Tone::Good
                    && noticed.is_about(labels, &area)
                    && noticed.at <= *resolved_at
                    && *resolved_at - noticed.at <= ENDED
            };
            let cause = self.noticed.iter().rev().find(fits).map(|noticed| noticed.what.clone());
            *ended_by = Some(cause.unwrap_or_else(|| "its condition holds no more".to_owned()));
        }
    }
}

/// How long the rebuild takes at its present rate.
fn rebuild_seconds(status: &crate::model::status::SystemStatus) -> Option<Number> {
    let rebuild = status.rebuild.as_ref()?;
    let rate = rebuild.bytes_per_second.filter(|rate| *rate > 0.0)?;
    (rebuild.left_bytes > 0).then(|| Number(rebuild.left_bytes as f64 / rate))
}

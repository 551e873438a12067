//! How does an Alertmanager hear of alerts? By its API v2: all that fires, at
//! once when something changes and again every minute, and what is over with
//! its end. Each alert ends by itself unless it is sent again, so that our own
//! end is noticed, and one that was missed comes a minute later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{SecondsFormat, TimeDelta};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use super::http::{SetupError, Target};
use crate::alert::engine::Verdict;
use crate::backoff::Backoff;
use crate::clock;
use crate::config::Alertmanager;
use crate::metrics::Own;
use crate::model::alerting::{Alert, AlertState, Fingerprint};
use crate::model::status::ReceiverStatus;
use crate::model::unit::Timestamp;

/// Alerts of one request; one of an Alertmanager takes a few MiB, and each has about 1 KiB.
const BATCH: usize = 256;

/// An alert that is not sent again for so many intervals is over; as Prometheus.
const LIVES: i32 = 4;

/// Tries after a failure.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), ceiling: Duration::from_secs(60) };

/// An alert as the API takes it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Posted<'a> {
    labels: &'a BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, &'a str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<&'a str>,
}

/// Everything an Alertmanager has to know at a moment.
pub fn posted<'a>(verdict: &'a Verdict, now: Timestamp, resend: TimeDelta, page: Option<&'a str>) -> Vec<Posted<'a>> {
    let firing = verdict.set.alerts.values().filter(|alert| alert.is_firing());
    let all = firing.chain(&verdict.resolved);
    all.map(|alert| {
        let end = match alert.state {
            AlertState::Resolved { resolved_at, .. } => resolved_at,
            AlertState::Pending | AlertState::Firing { .. } => now + resend * LIVES,
        };
        Posted {
            labels: &alert.labels,
            annotations: annotations(alert),
            starts_at: moment(fired_at(alert)),
            ends_at: moment(end),
            generator_url: page,
        }
    })
    .collect()
}

/// The texts of an alert under their names of the rule files.
pub(super) fn annotations(alert: &Alert) -> BTreeMap<&'static str, &str> {
    let texts = &alert.annotations;
    let all = [
        ("summary", texts.summary.as_str()),
        ("description", texts.description.as_str()),
        ("runbook_url", texts.runbook_url.as_deref().unwrap_or_default()),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// Since when it fires.
pub(super) fn fired_at(alert: &Alert) -> Timestamp {
    match alert.state {
        AlertState::Firing { fired_at } | AlertState::Resolved { fired_at, .. } => fired_at,
        AlertState::Pending => alert.active_since,
    }
}

/// RFC 3339.
pub(super) fn moment(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Tells one Alertmanager.
pub struct Caller {
    target: Target,
    name: String,
    resend: Duration,
    page: Option<String>,
    own: Arc<Own>,
    status: watch::Sender<ReceiverStatus>,
}

/// What the last post told.
type Told = BTreeSet<(Fingerprint, bool)>;

impl Caller {
    /// One for each Alertmanager, and how each of them goes.
    pub fn all(
        settings: &Alertmanager,
        page: Option<&Url>,
        own: &Arc<Own>,
    ) -> Result<Vec<(Self, watch::Receiver<ReceiverStatus>)>, SetupError> {
        let one = |url: &Url| {
            let mut url = url.clone();
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().extend(["api", "v2", "alerts"]);
            }
            let target = Target::new(url, &settings.way)?;
            let name = format!("alertmanager {}", target.name());
            let (status, shown) = watch::channel(ReceiverStatus::new(&name));
            let page = page.map(ToString::to_string);
            Ok((Self { target, name, resend: settings.resend, page, own: Arc::clone(own), status }, shown))
        };
        settings.urls.iter().map(one).collect()
    }

    /// Tells until told to stop.
    pub async fn run(self, mut verdicts: watch::Receiver<Option<Arc<Verdict>>>, stop: CancellationToken) {
        let mut told: Option<Told> = None;
        let mut failures = 0;
        let mut next = Instant::now();
        loop {
            let due = tokio::select! {
                () = stop.cancelled() => return,
                changed = verdicts.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = verdicts.borrow_and_update().as_deref().map(content);
                    // While it fails, only the pause says when it is tried again.
                    failures == 0 && told != now
                }
                () = sleep_until(next) => true,
            };
            if !due {
                continue;
            }
            let Some(verdict) = verdicts.borrow_and_update().clone() else {
                next = Instant::now() + self.resend;
                continue;
            };
            let posted = tokio::select! {
                () = stop.cancelled() => return,
                posted = self.post(&verdict) => posted,
            };
            if posted {
                (told, failures) = (Some(content(&verdict)), 0);
                next = Instant::now() + self.resend;
            } else {
                failures += 1;
                next = Instant::now() + BACKOFF.wait(failures, rand::random()).min(self.resend);
            }
        }
    }

    async fn post(&self, verdict: &Verdict) -> bool {
        let now = clock::now();
        let resend = TimeDelta::from_std(self.resend).unwrap_or(TimeDelta::minutes(1));
        let alerts = posted(verdict, now, resend, self.page.as_deref());
        for some in alerts.chunks(BATCH) {
            let json = serde_json::to_vec(some).unwrap_or_default();
            if let Err(refusal) = self.target.post(json, None).await {
                let why = refusal.why.to_string();
                self.own.notified(&self.name, "any", "state", "failed");
                let before = self.status.borrow().clone();
                let since = before.oldest.unwrap_or(now);
                self.own.spool(&self.name, alerts.len(), Some(since), 0, 0);
                self.status.send_replace(ReceiverStatus {
                    waiting: alerts.len(),
                    oldest: Some(since),
                    problems: vec![format!("the {} does not take alerts: {why}", self.name)],
                    ..before.clone()
                });
                if before.problems.is_empty() {
                    warn!(receiver = self.name, %why, "alerts were not taken; they are sent again");
                }
                return false;
            }
        }
        self.own.notified(&self.name, "any", "state", "sent");
        self.own.spool(&self.name, 0, None, 0, 0);
        let before = self.status.send_replace(ReceiverStatus {
            last_sent: Some(now),
            problems: Vec::new(),
            ..ReceiverStatus::new(&self.name)
        });
        if !before.problems.is_empty() {
            info!(receiver = self.name, "alerts are taken again");
        }
        true
    }
}

fn content(verdict: &Verdict) -> Told {
    let firing = verdict.set.alerts.iter().filter(|(_, alert)| alert.is_firing());
    let over = verdict.resolved.iter().map(|alert| (alert.fingerprint(), false));
    firing.map(|(fingerprint, _)| (*fingerprint, true)).chain(over).collect()
}

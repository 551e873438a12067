//! What does a webhook get? What people are told, in the format in which
//! Alertmanager posts (version 4), so that receivers made for it work.

use std::collections::BTreeMap;

use serde::Serialize;
use url::Url;

use super::alertmanager::{annotations, fired_at, moment};
use super::http::{SetupError, Target};
use crate::alert::mail::outcome::Outcome;
use crate::config;
use crate::model::alerting::{Alert, AlertState, Kind, Notification};

/// The name of the receiver in its messages, in metrics and as recipient.
pub const NAME: &str = "webhook";

/// What Alertmanager writes for the end of what fires.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    version: &'static str,
    group_key: String,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'static str,
    group_labels: BTreeMap<&'a str, &'a str>,
    common_labels: BTreeMap<&'a str, &'a str>,
    common_annotations: BTreeMap<&'static str, &'a str>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    alerts: Vec<One<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    status: &'static str,
    labels: &'a BTreeMap<String, String>,
    annotations: BTreeMap<&'static str, &'a str>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

/// Whether programs are told of it: what is about alerts, not what is only for people.
pub fn is_for_programs(n: &Notification) -> bool {
    n.kind.tells_of_alerts() && !matches!(n.kind, Kind::SilenceEnds { .. }) && !n.items.is_empty()
}

/// The message for a notification; `page` is where people look.
pub fn message(n: &Notification, page: &str) -> Vec<u8> {
    let alerts: Vec<&Alert> = n.items.iter().map(|item| &item.alert).collect();
    let mut group_labels = BTreeMap::from([("area", n.group.area.as_str())]);
    if let Some(system) = &n.group.system {
        group_labels.insert("system", system.as_str());
    }
    group_labels.extend(n.group.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let labels = alerts.iter().map(|alert| {
        alert.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<BTreeMap<_, _>>()
    });
    let pairs: Vec<String> = group_labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let message = Message {
        version: "4",
        group_key: format!("{{}}:{{{}}}", pairs.join(", ")),
        truncated_alerts: left_out(n),
        status: if n.firing().next().is_some() { "firing" } else { "resolved" },
        receiver: NAME,
        group_labels,
        common_labels: common(labels),
        common_annotations: common(alerts.iter().map(|alert| annotations(alert))),
        external_url: page,
        alerts: alerts.iter().map(|alert| one(alert, page)).collect(),
    };
    // Texts and numbers cannot fail to be written.
    serde_json::to_vec(&message).unwrap_or_default()
}

/// Alerts that fire and are not listed: a storm counts more than it lists.
fn left_out(n: &Notification) -> usize {
    match &n.kind {
        Kind::Storm { critical, warning, info } => {
            let all = critical.saturating_add(*warning).saturating_add(*info) as usize;
            all.saturating_sub(n.items.len())
        }
        _ => 0,
    }
}

fn one<'a>(alert: &'a Alert, page: &'a str) -> One<'a> {
    let (status, end) = match alert.state {
        AlertState::Resolved { resolved_at, .. } => ("resolved", moment(resolved_at)),
        AlertState::Pending | AlertState::Firing { .. } => ("firing", NEVER.to_owned()),
    };
    One {
        status,
        labels: &alert.labels,
        annotations: annotations(alert),
        starts_at: moment(fired_at(alert)),
        ends_at: end,
        generator_url: page,
        fingerprint: alert.fingerprint().to_string(),
    }
}

/// What all of them have in common.
fn common<K: Ord, V: PartialEq>(mut all: impl Iterator<Item = BTreeMap<K, V>>) -> BTreeMap<K, V> {
    let mut common = all.next().unwrap_or_default();
    for other in all {
        common.retain(|name, value| other.get(name) == Some(value));
    }
    common
}

/// Posts notifications.
#[derive(Debug)]
pub struct Webhook {
    target: Target,
    page: String,
}

impl Webhook {
    /// Takes the settings; connects to nobody.
    pub fn new(settings: &config::Webhook, page: Option<&Url>) -> Result<Self, SetupError> {
        let page = page.map(ToString::to_string).unwrap_or_default();
        Ok(Self { target: Target::new(settings.url.clone(), &settings.way)?, page })
    }

    /// Posts one; the same id each time, so that a receiver can drop what comes twice.
    pub async fn send(&self, n: &Notification) -> Outcome {
        match self.target.post(message(n, &self.page), Some(n.id.as_str())).await {
            Ok(()) => Outcome::Sent {
                host: self.target.name(),
                accepted: vec![NAME.to_owned()],
                refused: Vec::new(),
                deferred: Vec::new(),
            },
            Err(no) if no.may_retry => Outcome::Retry { after: no.after, why: no.why, refused: Vec::new() },
            Err(no) => Outcome::Failed { why: no.why, refused: Vec::new() },
        }
    }
}

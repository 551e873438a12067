//! What do mails look like? An example, or what fires now, as a notification
//! that is shown and never sent.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::memory::Memory;
use super::mute::View;
use super::policy::Policy;
use super::route::GroupId;
use super::write;
use crate::model::alerting::{
    Alert, AlertState, Annotations, GroupKey, Item, Kind, Labels, Notification, NotificationId, Refusal, Severity,
    Source,
};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;

/// A notification without alerts.
pub fn plain(now: Timestamp, id: NotificationId, kind: Kind, recipients: Vec<String>) -> Notification {
    Notification { recipients, ..Notification::new(id, now, kind, GroupKey::new(None, "mail")) }
}

/// An example of an alert.
pub fn example(now: Timestamp, policy: &Policy, memory: &Memory) -> Notification {
    let begun = now - TimeDelta::minutes(2);
    let labels = [
        ("alertname", "ScaleioSdsDisconnected"),
        ("area", "sds"),
        ("protection_domain", "pd1"),
        ("sds", "sds3"),
        ("severity", "critical"),
        ("system", "example"),
    ];
    let labels: Labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let alert = Alert {
        name: "ScaleioSdsDisconnected".to_owned(),
        system: Some(SystemId::new("example")),
        area: "sds".to_owned(),
        severity: Severity::Critical,
        labels,
        annotations: Annotations {
            summary: "SDS sds3 of pd1 is disconnected.".to_owned(),
            description: "This is an example. Look whether the host is up, then at its network and the SDS service."
                .to_owned(),
            runbook_url: None,
        },
        reading: None,
        active_since: begun,
        state: AlertState::Firing { fired_at: now },
        source: Source::Rule,
    };
    let recipients = policy.notify.routes.last().map(|route| route.recipients.clone()).unwrap_or_default();
    let id = NotificationId::new(now, memory.head.serial);
    let group = GroupKey::new(alert.system.clone(), &alert.area);
    Notification { group, items: vec![Item::new(alert)], ..plain(now, id, Kind::Firing, recipients) }
}

/// What is told of a group that fires, by its name in the API, such as `prod/sds`.
///
/// # Errors
/// No group of this name fires.
pub fn of_group(
    now: Timestamp,
    name: &str,
    view: &View<'_>,
    policy: &Policy,
    memory: &Memory,
) -> Result<Notification, Refusal> {
    let found = view.groups.keys().find(|id| id.key.to_string() == name);
    let route = found.and_then(|id| policy.notify.routes.iter().find(|route| route.name == id.route));
    let (Some(id), Some(route)) = (found, route) else {
        let names: BTreeSet<String> = view.groups.keys().map(|id: &GroupId| id.key.to_string()).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let there = if names.is_empty() { "nothing fires".to_owned() } else { format!("there is {names}") };
        return Err(Refusal::Missing(format!("no group {name:?} fires; {there}")));
    };
    let fires = view.groups.get(id).into_iter().flatten();
    let items: Vec<Item> = fires.filter_map(|fingerprint| view.item(fingerprint, memory, now)).collect();
    let mut n = write::empty(now, Kind::Firing, id.key.clone(), route, &mut memory.clone());
    write::fill(&mut n, items, 0);
    Ok(n)
}

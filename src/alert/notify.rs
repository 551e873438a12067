//! What is told, and when? Alerts of one system and area are told together: the
//! first mail after a moment in which others may join, changes at most every few
//! minutes, a reminder while nothing changes, and the end of it in the same thread.
//!
//! Pure: [`step`] takes what fires and what was told, and gives the
//! notifications with the memory that is to be stored together with them.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::engine::Verdict;
use crate::model::alerting::{
    Alert, AlertState, Fingerprint, GroupKey, Item, Kind, Links, MessageId, Notification, NotificationId, Outlook,
    Severity, Thread,
};
use crate::model::unit::Timestamp;

/// Who is told, and how patiently.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Addresses.
    pub recipients: Vec<String>,
    /// The right side of ids of mails.
    pub domain: String,
    /// What begins within so long of the first is told with it.
    pub wait: TimeDelta,
    /// Changes are told at most so often.
    pub interval: TimeDelta,
    /// A critical alert that goes on is told again so often.
    pub repeat_critical: TimeDelta,
    /// Others are told again so often.
    pub repeat: TimeDelta,
}

impl Route {
    /// The route of who gets what no other route takes.
    pub fn default_for(recipients: Vec<String>, domain: &str) -> Self {
        Self {
            name: "default".to_owned(),
            recipients,
            domain: domain.to_owned(),
            wait: TimeDelta::seconds(30),
            interval: TimeDelta::minutes(5),
            repeat_critical: TimeDelta::hours(4),
            repeat: TimeDelta::hours(24),
        }
    }
}

/// What was told, kept over restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Notifications made so far.
    pub serial: u64,
    /// Groups that are open.
    pub groups: Vec<Group>,
}

/// A group of alerts that is being told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    key: GroupKey,
    /// When its first alert was seen to fire.
    begun: Timestamp,
    /// The thread; none before the first mail.
    thread: Option<Begun>,
    /// Alerts that were told and are not told to be over.
    alerts: BTreeMap<Fingerprint, Alert>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Begun {
    root: MessageId,
    last: MessageId,
    at: Timestamp,
}

impl Told {
    fn group(&mut self, key: &GroupKey, now: Timestamp) -> &mut Group {
        let place = match self.groups.iter().position(|group| group.key == *key) {
            Some(place) => place,
            None => {
                self.groups.push(Group { key: key.clone(), begun: now, thread: None, alerts: BTreeMap::new() });
                self.groups.len() - 1
            }
        };
        &mut self.groups[place]
    }
}

/// What is to be told next, one group at a time so that it fits into one commit with the memory after it; none when
/// nothing is due now.
pub fn step(now: Timestamp, verdict: &Verdict, told: &Told, route: &Route) -> (Option<Notification>, Told) {
    let mut next = told.clone();
    let mut firing: BTreeMap<GroupKey, BTreeMap<Fingerprint, &Alert>> = BTreeMap::new();
    for (fingerprint, alert) in verdict.set.alerts.iter().filter(|(_, alert)| alert.is_firing()) {
        let key = GroupKey::new(alert.system.clone(), &alert.area);
        next.group(&key, now);
        firing.entry(key).or_default().insert(*fingerprint, alert);
    }
    let none = BTreeMap::new();
    let mut out = None;
    let mut groups = std::mem::take(&mut next.groups);
    for group in &mut groups {
        let fires = firing.get(&group.key).unwrap_or(&none);
        if let Some((kind, over)) = group.due(now, fires, verdict, route) {
            next.serial += 1;
            out = Some(group.tell(now, next.serial, kind, fires, over, route));
            break;
        }
    }
    // What began and ended before anybody was told, and what was told to be over.
    groups.retain(|group| !group.alerts.is_empty() || firing.contains_key(&group.key));
    next.groups = groups;
    (out, next)
}

impl Group {
    /// Why it is to be told now, and which alerts are over; none when it is not yet.
    fn due(
        &self,
        now: Timestamp,
        fires: &BTreeMap<Fingerprint, &Alert>,
        verdict: &Verdict,
        route: &Route,
    ) -> Option<(Kind, Vec<Alert>)> {
        let Some(thread) = &self.thread else {
            return (!fires.is_empty() && now - self.begun >= route.wait).then_some((Kind::Firing, Vec::new()));
        };
        let ended = |alert: &Alert| {
            let known = verdict.resolved.iter().find(|other| other.fingerprint() == alert.fingerprint());
            known.cloned().unwrap_or_else(|| over(alert, now))
        };
        // One that is pending again is over too: it fired, and then its condition did not hold.
        let gone = self.alerts.iter().filter(|(fingerprint, _)| !fires.contains_key(fingerprint));
        let gone: Vec<Alert> = gone.map(|(_, alert)| ended(alert)).collect();
        let new = fires.keys().any(|fingerprint| !self.alerts.contains_key(fingerprint));
        let since = now - thread.at;
        if !gone.is_empty() || new {
            let kind = if fires.is_empty() { Kind::Resolved } else { Kind::Update };
            return (since >= route.interval).then_some((kind, gone));
        }
        let critical = fires.values().any(|alert| alert.severity == Severity::Critical);
        let repeat = if critical { route.repeat_critical } else { route.repeat };
        (since >= repeat).then_some((Kind::Reminder, gone))
    }

    fn tell(
        &mut self,
        now: Timestamp,
        serial: u64,
        kind: Kind,
        fires: &BTreeMap<Fingerprint, &Alert>,
        over: Vec<Alert>,
        route: &Route,
    ) -> Notification {
        let id = NotificationId::new(now, serial);
        let message = MessageId::of(&id, &route.domain);
        let thread = match &self.thread {
            None => Thread::Root,
            Some(begun) => Thread::Reply { root: begun.root.clone(), last: begun.last.clone() },
        };
        let root = self.thread.as_ref().map_or_else(|| message.clone(), |begun| begun.root.clone());
        self.thread = Some(Begun { root, last: message, at: now });
        self.alerts = fires.iter().map(|(fingerprint, alert)| (*fingerprint, short(alert))).collect();
        let mut alerts: Vec<Alert> = fires.values().map(|alert| (*alert).clone()).chain(over).collect();
        alerts.sort_by_key(|alert| {
            (alert.is_resolved(), std::cmp::Reverse(alert.severity), alert.active_since, alert.name.clone())
        });
        Notification {
            id,
            created_at: now,
            kind,
            group: self.key.clone(),
            thread,
            route: route.name.clone(),
            recipients: route.recipients.clone(),
            items: alerts.into_iter().map(Item::new).collect(),
            charts: Vec::new(),
            changes: Vec::new(),
            held: Vec::new(),
            status: None,
            outlook: Outlook::default(),
            links: Links::default(),
            commands: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

/// What must be known of an alert to say later that it is over.
fn short(alert: &Alert) -> Alert {
    let mut short = alert.clone();
    short.annotations.description.clear();
    short
}

/// An alert that is gone without a word, such as one whose rule was taken out.
fn over(alert: &Alert, now: Timestamp) -> Alert {
    let fired_at = match alert.state {
        AlertState::Firing { fired_at } | AlertState::Resolved { fired_at, .. } => fired_at,
        AlertState::Pending => alert.active_since,
    };
    Alert { state: AlertState::Resolved { fired_at, resolved_at: now, ended_by: None }, ..alert.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alerting::{Annotations, FiringSet, Labels, Source};
    use crate::model::id::SystemId;

    fn at(seconds: i64) -> Timestamp {
        chrono::DateTime::from_timestamp(1_795_000_000 + seconds, 0).unwrap()
    }

    fn alert(name: &str, severity: Severity) -> Alert {
        Alert {
            name: name.to_owned(),
            system: Some(SystemId::new("s")),
            area: "sds".to_owned(),
            severity,
            labels: Labels::from([("alertname".to_owned(), name.to_owned())]),
            annotations: Annotations { summary: name.to_owned(), ..Annotations::default() },
            reading: None,
            active_since: at(0),
            state: AlertState::Firing { fired_at: at(0) },
            source: Source::Rule,
        }
    }

    /// What is told while these fire from those seconds on: kind, firing and resolved alerts.
    fn story(script: &[(i64, &[&str])], until: i64) -> Vec<String> {
        let route = Route::default_for(vec!["ops@example.test".to_owned()], "example.test");
        let (mut told, mut out, mut last) = (Told::default(), Vec::new(), None);
        for second in 0..=until {
            let fires = script.iter().rev().find(|(from, _)| *from <= second).map_or(&[][..], |(_, names)| names);
            let alerts = fires.iter().map(|name| alert(name, Severity::Critical));
            let alerts = alerts.map(|alert| (alert.fingerprint(), alert)).collect();
            let set = FiringSet { at: at(second), based_on: BTreeMap::new(), alerts };
            let verdict = Verdict { set, resolved: Vec::new(), heartbeats: 0, errors: Vec::new() };
            let (notification, next) = step(at(second), &verdict, &told, &route);
            // Through the store, as at a restart.
            told = serde_json::from_slice(&serde_json::to_vec(&next).unwrap()).unwrap();
            if let Some(note) = notification {
                match (&note.thread, &last) {
                    (Thread::Root, None) => {}
                    (Thread::Reply { last: before, .. }, Some(last)) => assert_eq!(before, last),
                    other => panic!("{other:?}"),
                }
                last = (!matches!(note.kind, Kind::Resolved)).then(|| MessageId::of(&note.id, "example.test"));
                let names = |resolved: bool| -> Vec<&str> {
                    let items = note.items.iter().filter(|item| item.alert.is_resolved() == resolved);
                    items.map(|item| item.alert.name.as_str()).collect()
                };
                out.push(format!(
                    "{second} {} {} -{}",
                    note.kind.as_str(),
                    names(false).join(","),
                    names(true).join(",")
                ));
            }
        }
        assert!(told.groups.len() <= 1);
        out
    }

    #[test]
    fn alerts_are_told_together_changes_seldom_and_the_end_in_the_same_thread() {
        assert_eq!(
            story(&[(0, &["a"]), (20, &["a", "b"]), (60, &["b", "c"]), (400, &[])], 1000),
            ["30 firing a,b -", "330 update b,c -a", "630 resolved  -b,c"]
        );
    }

    #[test]
    fn what_is_over_before_anybody_was_told_is_not_told() {
        assert_eq!(story(&[(0, &["a"]), (20, &[])], 500), [""; 0]);
    }

    #[test]
    fn a_critical_alert_is_told_again_after_four_hours_and_a_new_one_begins_a_thread() {
        let hours = 3600;
        assert_eq!(
            story(&[(0, &["a"]), (5 * hours, &[]), (6 * hours, &["a"])], 7 * hours),
            ["30 firing a -", "14430 reminder a -", "18000 resolved  -a", "21630 firing a -"]
        );
    }
}

//! The subject of a mail: short facts first, the same through a thread.

use chrono::TimeDelta;

use super::{Settings, show};
use crate::model::alerting::{Alert, AlertState, Kind, Notification, Severity};

/// What most readers show of a subject.
const LONGEST: usize = 78;

/// Writes the subject.
pub(super) fn write(notification: &Notification, settings: &Settings) -> String {
    let n = notification;
    let zone = settings.time_zone;
    let (tag, rest, end) = match &n.kind {
        Kind::Firing | Kind::Update => (severities(n), topic(n), String::new()),
        Kind::Reminder => (format!("{}, {}", severities(n), show::short_span(open_for(n))), topic(n), String::new()),
        Kind::Resolved => ("RESOLVED".to_owned(), topic(n), after(n)),
        Kind::HappenedMeanwhile => ("RESOLVED".to_owned(), topic(n), format!("{} while mail was down", after(n))),
        Kind::Digest => {
            let open = n.firing().count();
            let resolved = n.resolved().count();
            let text = format!("{open} open, {resolved} resolved, {}", show::day(n.created_at, zone));
            ("DIGEST".to_owned(), text, String::new())
        }
        Kind::Report(report) => {
            // The last day of the span, not the midnight that ends it.
            let last = report.to - TimeDelta::seconds(1);
            let text = format!("capacity and health, {} to {}", show::day(report.from, zone), show::day(last, zone));
            ("REPORT".to_owned(), text, String::new())
        }
        Kind::RunOver(report) => {
            let tag = match report.end.as_str() {
                "done" => "DONE",
                "cancelled" => "CANCELLED",
                _ => "HALTED",
            };
            (tag.to_owned(), report.what.clone(), format!(", after {}", show::span(report.ended_at - report.opened_at)))
        }
        Kind::Heartbeat => {
            ("HEARTBEAT".to_owned(), format!("alert mails arrive, {}", show::day(n.created_at, zone)), String::new())
        }
        Kind::Test { .. } => ("TEST".to_owned(), "a mail to try the way".to_owned(), String::new()),
        Kind::Flapping { changes, since } => {
            let end = format!(", {changes} changes in {}", show::span(n.created_at - *since));
            ("FLAPPING".to_owned(), topic(n), end)
        }
        Kind::Escalation { since, .. } => {
            let end = format!(", not acknowledged for {}", show::span(n.created_at - *since));
            (format!("{}, ESCALATED", severities(n)), topic(n), end)
        }
        Kind::SilenceEnds { silence } => {
            ("SILENCE ENDS".to_owned(), format!("{} of {}", silence.what(), silence.owner), String::new())
        }
        Kind::Storm { critical, warning, info } => {
            let text =
                format!("{} alerts, {critical} critical", critical.saturating_add(*warning).saturating_add(*info));
            ("STORM".to_owned(), text, String::new())
        }
    };
    let place = place(n);
    let head = format!("{}[{tag}] {place}: ", settings.subject_prefix);
    let room = LONGEST.saturating_sub(head.chars().count() + end.chars().count()).max(20);
    format!("{head}{}{end}", show::line(&rest, room))
}

/// The system, or our own name when it is about none.
pub(super) fn place(notification: &Notification) -> String {
    notification.group.system.as_ref().map_or_else(|| "sio".to_owned(), |system| show::line(system.as_str(), 63))
}

/// One alert by its summary, several by their area.
pub(super) fn topic(notification: &Notification) -> String {
    match told(notification).as_slice() {
        [only] => summary(only),
        _ => area(&notification.group.area),
    }
}

/// What is wrong, without the full stop.
pub(super) fn summary(alert: &Alert) -> String {
    let text = show::line(&alert.annotations.summary, 1000);
    let text = text.trim_end_matches('.');
    if text.is_empty() { show::line(&alert.name, 100) } else { text.to_owned() }
}

/// What a mail is about: what fires, or what is over when nothing fires any more.
fn told(notification: &Notification) -> Vec<&Alert> {
    let over = matches!(notification.kind, Kind::Resolved | Kind::HappenedMeanwhile);
    let all = || notification.items.iter().map(|item| &item.alert);
    let told: Vec<&Alert> = all().filter(|alert| alert.is_resolved() == over).collect();
    if told.is_empty() { all().collect() } else { told }
}

/// `CRITICAL`, or `CRITICAL ×4, WARNING ×2` for several.
fn severities(notification: &Notification) -> String {
    let alerts = told(notification);
    if let [only] = alerts.as_slice() {
        return only.severity.as_str().to_uppercase();
    }
    let counted = Severity::ALL.map(|severity| (severity, alerts.iter().filter(|a| a.severity == severity).count()));
    let parts: Vec<String> = counted
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| format!("{} \u{d7}{count}", severity.as_str().to_uppercase()))
        .collect();
    if parts.is_empty() { "INFO".to_owned() } else { parts.join(", ") }
}

/// The words for an area of the rules.
pub(super) fn area(area: &str) -> String {
    let words = match area {
        "exporter" => "monitoring",
        "mdm" => "MDM cluster",
        "sds" => "SDS",
        "protection" => "data protection",
        "device" => "devices",
        "client" => "clients",
        "security" => "certificates and licence",
        "framework" => "the framework",
        "notification" => "notifications",
        other => return show::line(other, 60),
    };
    words.to_owned()
}

fn open_for(notification: &Notification) -> TimeDelta {
    let since = told(notification).into_iter().map(|alert| alert.active_since).min();
    since.map_or(TimeDelta::zero(), |since| notification.created_at - since)
}

fn after(notification: &Notification) -> String {
    let longest = told(notification).into_iter().filter_map(lasted).max();
    longest.map(|span| format!(", after {}", show::span(span))).unwrap_or_default()
}

/// How long an alert lasted, when it is over.
pub(super) fn lasted(alert: &Alert) -> Option<TimeDelta> {
    match alert.state {
        AlertState::Resolved { resolved_at, .. } => Some(resolved_at - alert.active_since),
        AlertState::Pending | AlertState::Firing { .. } => None,
    }
}

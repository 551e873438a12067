//! The headers of a mail, by which servers, filters and readers sort it.

use chrono::TimeDelta;
use lettre::Address;
use lettre::message::MessageBuilder;
use lettre::message::header::{HeaderName, HeaderValue};

use super::{Settings, show};
use crate::model::alerting::{Kind, MessageId, Notification, Severity, Thread};

/// A digest older than this is worth nothing.
const DIGEST_LIVES: TimeDelta = TimeDelta::days(7);

/// Fingerprints in a header, at most; more would be no filter.
const FINGERPRINTS: usize = 20;

/// Adds every header but subject, date and body.
pub(super) fn add(
    builder: MessageBuilder,
    n: &Notification,
    recipients: &[Address],
    settings: &Settings,
) -> MessageBuilder {
    let mut builder = builder.from(settings.from.clone());
    if let Some(reply_to) = &settings.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    for address in recipients {
        builder = builder.to(address.clone().into());
    }
    builder = builder.message_id(Some(MessageId::of(&n.id, &settings.domain).as_str().to_owned()));
    if let Thread::Reply { root, last } = &n.thread {
        builder = builder.in_reply_to(root.as_str().to_owned());
        let references =
            if root == last { root.as_str().to_owned() } else { format!("{} {}", root.as_str(), last.as_str()) };
        builder = builder.references(references);
    }
    let named = |name, value| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
    sorting(n, settings).into_iter().fold(builder, |builder, (name, value)| builder.raw_header(named(name, value)))
}

/// What filters and readers sort by.
fn sorting(n: &Notification, settings: &Settings) -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    let mut header = |name, value| headers.push((name, value));
    header("Auto-Submitted", "auto-generated".to_owned());
    if settings.bulk_headers {
        header("Precedence", "bulk".to_owned());
        header("X-Auto-Response-Suppress", "All".to_owned());
    }
    let list = match &n.group.system {
        Some(system) => format!("<alerts.{}.{}>", label(system.as_str()), settings.domain),
        None => format!("<alerts.{}>", settings.domain),
    };
    header("List-Id", list);
    if matches!(n.kind, Kind::Digest | Kind::Report(_)) {
        header("List-Unsubscribe", format!("<mailto:{}?subject=unsubscribe>", answers(settings)));
        header("Expires", (n.created_at + DIGEST_LIVES).to_rfc2822());
    }
    if n.severity() == Severity::Critical && n.firing().next().is_some() {
        header("Importance", "high".to_owned());
        header("X-Priority", "1".to_owned());
    }
    header("Content-Language", "en".to_owned());
    if let Some(system) = &n.group.system {
        header("X-Scaleio-System", show::line(system.as_str(), 63));
    }
    let mut names: Vec<String> = n.items.iter().map(|item| show::line(&item.alert.name, 80)).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        header("X-Scaleio-Alert", show::line(&names.join(" "), 400));
    }
    header("X-Scaleio-Severity", n.severity().to_string());
    header("X-Scaleio-Status", n.kind.as_str().to_owned());
    let prints = n.items.iter().take(FINGERPRINTS).map(|item| item.alert.fingerprint().to_string());
    let prints: Vec<String> = prints.collect();
    if !prints.is_empty() {
        header("X-Scaleio-Fingerprint", prints.join(" "));
    }
    header("X-Scaleio-Group", show::line(&n.group.to_string(), 150));
    headers
}

/// RFC 5322 wants the clock of the sender. lettre's own header knows only UTC, and
/// its builder replaces any other by the time now, so that this is set at the end.
pub(super) fn date(n: &Notification, settings: &Settings) -> HeaderValue {
    let text = n.created_at.with_timezone(&settings.time_zone).to_rfc2822();
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str("Date"), text.clone(), text)
}

fn answers(settings: &Settings) -> &Address {
    &settings.reply_to.as_ref().unwrap_or(&settings.from).email
}

/// A name as a label of a domain.
fn label(name: &str) -> String {
    let tame = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' });
    tame.take(63).collect()
}

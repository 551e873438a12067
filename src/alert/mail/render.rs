//! How a notification becomes a whole message.

use chrono::TimeDelta;
use chrono_tz::Tz;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment, Body, Mailbox, MultiPart, MultiPartKind, SinglePart};
use lettre::{Address, Message};
use url::Url;

use super::{headers, html, layout, subject, text};
use crate::config::{LinkKey, Mail};
use crate::model::alerting::Notification;
use crate::model::unit::Timestamp;

/// What is the same in all mails.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Settings {
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    /// The right side of ids of mails and lists.
    pub domain: String,
    pub subject_prefix: String,
    pub time_zone: Tz,
    /// Where our pages are reached from.
    pub base_url: Option<Url>,
    /// Where Grafana is reached, with our dashboards in it.
    pub dashboards_url: Option<Url>,
    pub link_key: Option<LinkKey>,
    pub link_valid: TimeDelta,
    pub bulk_headers: bool,
    pub attach_json: bool,
    /// The host we run on, for the footer.
    pub instance: String,
    pub version: &'static str,
}

impl Settings {
    /// What the configuration says, for an instance.
    pub fn new(mail: &Mail, instance: &str) -> Self {
        Self {
            from: mail.from.clone(),
            reply_to: mail.reply_to.clone(),
            domain: mail.domain.clone(),
            subject_prefix: mail.subject_prefix.clone(),
            time_zone: mail.time_zone,
            base_url: mail.base_url.clone(),
            dashboards_url: mail.dashboards_url.clone(),
            link_key: mail.link_key.clone(),
            link_valid: TimeDelta::from_std(mail.link_valid).unwrap_or(TimeDelta::days(1)),
            bulk_headers: mail.bulk_headers,
            attach_json: mail.attach_json,
            instance: instance.to_owned(),
            version: crate::VERSION,
        }
    }
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// No recipient has an address that mail can be sent to.
    #[error("notification {id} has no recipient with a mail address; mend the recipients of route {route:?}")]
    NoRecipient {
        /// Which notification.
        id: String,
        /// Its route.
        route: String,
    },
    /// The message cannot be put together.
    #[error("notification {id} cannot be made a mail")]
    Message {
        /// Which notification.
        id: String,
        /// Why not.
        #[source]
        source: lettre::error::Error,
    },
}

/// What a reader sees of a notification.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Parts {
    pub text: String,
    pub html: String,
}

/// The text and the HTML of a notification.
pub fn parts(notification: &Notification, settings: &Settings, now: Timestamp) -> Parts {
    let page = layout::page(notification, settings, now);
    let subject = subject::write(notification, settings);
    Parts { text: text::write(&page), html: html::write(&subject, &page) }
}

/// Makes the message of a notification. Recipients that are no addresses are
/// left out of it; [`addresses`] says which those are.
pub fn render(notification: &Notification, settings: &Settings, now: Timestamp) -> Result<Message, RenderError> {
    let (recipients, _) = addresses(&notification.recipients);
    if recipients.is_empty() {
        let (id, route) = (notification.id.to_string(), notification.route.clone());
        return Err(RenderError::NoRecipient { id, route });
    }
    let Parts { text, html } = parts(notification, settings, now);
    let subject = subject::write(notification, settings);
    let alternatives = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(boundary(notification, "alternative"))
        .singlepart(part(ContentType::TEXT_PLAIN, text))
        .singlepart(part(ContentType::TEXT_HTML, html));
    let body = match attachment(notification, settings) {
        Some(json) => MultiPart::builder()
            .kind(MultiPartKind::Mixed)
            .boundary(boundary(notification, "mixed"))
            .multipart(alternatives)
            .singlepart(json),
        None => alternatives,
    };
    let builder = headers::add(Message::builder(), notification, &recipients, settings).subject(subject);
    let fail = |source| RenderError::Message { id: notification.id.to_string(), source };
    let mut message = builder.multipart(body).map_err(fail)?;
    message.headers_mut().insert_raw(headers::date(notification, settings));
    Ok(message)
}

/// The recipients that are addresses, and those that are none.
pub fn addresses(recipients: &[String]) -> (Vec<Address>, Vec<String>) {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for text in recipients {
        match text.parse::<Address>() {
            Ok(address) if !good.contains(&address) => good.push(address),
            Ok(_) => {}
            Err(_) => bad.push(text.clone()),
        }
    }
    (good, bad)
}

/// Quoted-printable: readable in a log, every line short, every byte ASCII.
fn part(kind: ContentType, content: String) -> SinglePart {
    let body = Body::new_with_encoding(content, ContentTransferEncoding::QuotedPrintable);
    // That encoding takes everything; what it refused would go out as bytes.
    let body = body.unwrap_or_else(Body::new);
    SinglePart::builder().header(kind).body(body)
}

fn attachment(notification: &Notification, settings: &Settings) -> Option<SinglePart> {
    if !settings.attach_json {
        return None;
    }
    let json = serde_json::to_vec_pretty(notification).ok()?;
    let kind = ContentType::parse("application/json").ok()?;
    Some(Attachment::new("notification.json".to_owned()).body(json, kind))
}

/// The same for each try. Holds `_`, so that no quoted-printable line can be it:
/// it is preceded by `=_`, which never stands in one.
fn boundary(notification: &Notification, part: &str) -> String {
    let id: String = notification.id.as_str().chars().take(40).collect();
    format!("=_{part}_{id}")
}

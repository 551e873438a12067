//! Wiring of the ways from alerts to people and programs.

use std::sync::Arc;

use anyhow::Context;
use tokio::sync::mpsc;
use tracing::warn;

use crate::alert::mail::run::{Carrier, Post, Postman};
use crate::alert::mail::{Mailer, Settings};
use crate::alert::notify::Policy;
use crate::alert::orders::Desktop;
use crate::alert::outbox::{Limits, Outbox};
use crate::alert::receiver::alertmanager::Caller;
use crate::alert::receiver::webhook::Webhook;
use crate::alert::tell::Teller;
use crate::config::{self, Config};
use crate::metrics::Own;
use crate::model::status::ReceiverStatus;
use crate::model::unit::Timestamp;
use crate::store::{Desk, State};
use crate::switchboard::Call;
use crate::watches::Gallery;

/// Everybody who is told of alerts.
#[derive(Default)]
pub(super) struct Told {
    pub(super) postmen: Vec<Postman>,
    pub(super) teller: Option<Teller>,
    pub(super) callers: Vec<Caller>,
    pub(super) statuses: Vec<Box<dyn Fn(Timestamp) -> ReceiverStatus + Send + Sync>>,
}

/// The ways from alerts to people and programs.
pub(super) fn telling(
    config: &Config,
    state: &State,
    desk: &Desk,
    gallery: &Gallery,
    calls: mpsc::Receiver<Call>,
    own: &Arc<Own>,
    now: Timestamp,
) -> anyhow::Result<Told> {
    let mut told = Told::default();
    let page = config.mail.as_ref().and_then(|mail| mail.base_url.as_ref());
    let open = |limits: Limits, carrier: Carrier, checker: Option<Mailer>, told: &mut Told| {
        let (outbox, unreadable) = Outbox::load(limits, state, now);
        for entry in unreadable {
            warn!(key = entry.key, error = %entry.source, "a stored message cannot be read and stays where it is");
        }
        let (postman, post, health) = Postman::new(outbox, desk.clone(), carrier, checker);
        let name = postman.channel();
        told.postmen.push(postman.counted_by(Arc::clone(own)));
        told.statuses.push(Box::new(move |now| health.borrow().status(name, now)));
        post
    };
    let mut post: Option<Post> = None;
    if let Some(mail) = &config.mail {
        let mailer = || Mailer::new(mail).context("mail cannot be sent");
        let carrier = Carrier::Mail(Box::new(mailer()?), Box::new(settings(mail)));
        post = Some(open(Limits::new(mail), carrier, Some(mailer()?), &mut told));
    }
    if let Some(webhook) = &config.webhook {
        if config.mail.is_none() {
            anyhow::bail!("[webhook] posts what people are told by mail, so it needs a section [mail] too");
        }
        let carrier = Carrier::Webhook(Webhook::new(webhook, page).context("the webhook cannot be used")?);
        let other = open(Limits::posts(), carrier, None, &mut told);
        post = Some(match post {
            Some(post) => post.and(other),
            None => other,
        });
    }
    if let (Some(post), Some(mail)) = (post, &config.mail) {
        let desktop = Desktop { settings: settings(mail), mail: mail.clone() };
        let policy = Policy::new(config.notify.clone(), &mail.domain);
        told.teller =
            Some(Teller::new(policy, post, desk.clone(), desktop, gallery.clone(), calls, Arc::clone(own), state));
    }
    if let Some(alertmanager) = &config.alertmanager {
        let callers = Caller::all(alertmanager, page, own).context("the Alertmanager cannot be told")?;
        for (caller, status) in callers {
            told.callers.push(caller);
            told.statuses.push(Box::new(move |_| status.borrow().clone()));
        }
    }
    Ok(told)
}

fn settings(mail: &config::Mail) -> Settings {
    Settings::new(mail, mail.hello.as_deref().unwrap_or(&mail.domain))
}

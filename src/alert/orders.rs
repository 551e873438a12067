//! What becomes of an order: which part of the memory it changes, and what is
//! answered.

use tokio::sync::oneshot;

use super::mail::link::{self, LinkError};
use super::mail::render::{addresses, parts, render};
use super::mail::run::Post;
use super::mail::{Mailer, Outcome, Settings, Stage, Trouble};
use super::notify::handle::{self, Wanted};
use super::notify::memory::Memory;
use super::notify::mute::View;
use super::notify::{Policy, sample};
use super::outbox::{Entry, Progress};
use crate::config::Mail;
use crate::model::alerting::{
    Acknowledged, Answer, Kind, Notification, NotificationId, Order, Queued, Refusal, TestStep,
};
use crate::model::unit::Timestamp;

/// What is at hand to do orders that are about mails.
#[derive(Clone, Debug)]
pub struct Desktop {
    /// How mails look.
    pub settings: Settings,
    /// Where they go.
    pub mail: Mail,
}

type Said = Result<Answer, Refusal>;

/// Does what needs no server.
///
/// # Errors
/// Why it is not done.
pub fn obey(
    now: Timestamp,
    order: Order,
    view: &View<'_>,
    policy: &Policy,
    desktop: &Desktop,
    memory: &mut Memory,
) -> Said {
    match order {
        Order::Silences => Ok(Answer::Silences(memory.silences.values().map(|kept| kept.silence.clone()).collect())),
        Order::Silence { matchers, owner, reason, seconds, via } => {
            let wanted = Wanted { matchers, owner, reason, seconds, via };
            handle::silence(now, wanted, policy, memory).map(Answer::Silence)
        }
        Order::Expire { id, by, via } => handle::expire(now, &id, &by, &via, memory).map(Answer::Silence),
        Order::Acknowledgements => {
            let acks = memory.acks.values().map(|acked| Acknowledged {
                acknowledgement: acked.ack.clone(),
                alerts: acked.alerts.iter().copied().collect(),
            });
            Ok(Answer::Acknowledgements(acks.collect()))
        }
        Order::Acknowledge { on, by, comment, seconds, via } => {
            handle::acknowledge(now, &on, &by, &comment, seconds, &via, view, policy, memory).map(Answer::Acknowledged)
        }
        Order::Look { token } => {
            let claim = verify(desktop, &token, now)?;
            Ok(Answer::Link(handle::look(now, &claim, view, policy, memory)))
        }
        Order::Follow { token, by } => {
            let claim = verify(desktop, &token, now)?;
            let by = if by.trim().is_empty() { format!("the reader of mail {}", claim.mail) } else { by };
            let done = handle::follow(now, &claim, &by, view, policy, memory)?;
            let shown = handle::look(now, &claim, view, policy, memory);
            Ok(Answer::Link(crate::model::alerting::LinkShown { done: Some(done), ..shown }))
        }
        Order::Records => Ok(Answer::Records(memory.records.values().rev().cloned().collect())),
        Order::Preview { group } => {
            let n = match group {
                None => sample::example(now, policy, memory),
                Some(name) => sample::of_group(now, &name, view, policy, memory)?,
            };
            preview(&n, desktop, now)
        }
        Order::Queue | Order::Flush | Order::Test { .. } | Order::Report { .. } => {
            Err(Refusal::Unable("this is asked of those who send".to_owned()))
        }
    }
}

fn verify(desktop: &Desktop, token: &str, now: Timestamp) -> Result<link::Claim, Refusal> {
    let Some(key) = &desktop.settings.link_key else {
        return Err(Refusal::Unable("links are not signed here: mail.link_key_file is not set".to_owned()));
    };
    link::verify(key, token, now).map_err(|error| match error {
        LinkError::NotOurs => Refusal::Wrong(error.to_string()),
        LinkError::Expired { .. } => Refusal::Over(error.to_string()),
    })
}

fn preview(n: &Notification, desktop: &Desktop, now: Timestamp) -> Said {
    let parts = parts(n, &desktop.settings, now);
    let message = render(n, &desktop.settings, now)
        .map_err(|error| Refusal::Unable(format!("the mail cannot be made: {error}")))?;
    let message = String::from_utf8_lossy(&message.formatted()).into_owned();
    Ok(Answer::Mail { message, text: parts.text, html: parts.html })
}

/// Does what may take its time: another task answers.
pub fn mail(
    order: Order,
    answer: oneshot::Sender<Said>,
    post: &Post,
    desktop: &Desktop,
    policy: &Policy,
    now: Timestamp,
) {
    let (post, desktop) = (post.clone(), desktop.clone());
    let default = policy.notify.routes.last().map(|route| route.recipients.clone()).unwrap_or_default();
    tokio::spawn(async move {
        let gone = || Refusal::Unable("the mailer does not answer; look at the controller's log".to_owned());
        let said = match order {
            Order::Queue => {
                let listed = post.list().await.ok_or_else(gone);
                listed.map(|entries| Answer::Queue(entries.iter().map(queued).collect()))
            }
            Order::Flush => post.flush().await.map(|tried| Answer::Flushed { tried }).ok_or_else(gone),
            Order::Test { to, by } => test(now, if to.is_empty() { default } else { to }, by, &desktop).await,
            _ => Err(Refusal::Unable("this is not asked of the mailer".to_owned())),
        };
        let _ = answer.send(said);
    });
}

fn queued(entry: &Entry) -> Queued {
    let n = &entry.notification;
    let (state, next_try, why) = match &entry.progress {
        Progress::Queued { not_before } => ("queued", Some(*not_before), None),
        Progress::Sending { .. } => ("sending", None, None),
        Progress::Failed { why, .. } => ("failed", None, Some(why.clone())),
    };
    Queued {
        id: n.id.to_string(),
        kind: n.kind.as_str().to_owned(),
        severity: n.severity(),
        group: n.group.to_string(),
        queued_at: entry.queued_at,
        state: state.to_owned(),
        next_try,
        failures: entry.failures,
        waiting: entry.pending(),
        last_error: why.or_else(|| entry.last.as_ref().map(ToString::to_string)),
    }
}

/// Longer than any server needs that works.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);

/// Sends a mail past the outbox, and tells how each step went.
async fn test(now: Timestamp, to: Vec<String>, by: String, desktop: &Desktop) -> Said {
    let unable = |what: String| Refusal::Unable(what);
    let (addresses, bad) = addresses(&to);
    if let Some(bad) = bad.first() {
        return Err(Refusal::Wrong(format!("{bad:?} is no mail address; write name@example.com")));
    }
    let id = NotificationId::new(now, u64::from(rand::random::<u32>()));
    let n = sample::plain(now, id, Kind::Test { by }, to);
    let message = render(&n, &desktop.settings, now).map_err(|error| unable(error.to_string()))?.formatted();
    let mut mailer = Mailer::new(&desktop.mail).map_err(|error| unable(format!("mail cannot be sent: {error}")))?;
    let tried = async {
        let mut steps = Vec::new();
        for (host, answer) in mailer.verify().await {
            steps.extend(way(&host, &[Stage::Connect, Stage::Tls, Stage::Hello, Stage::Login], answer.err().as_ref()));
        }
        let outcome = mailer.send(&addresses, &message).await;
        mailer.close().await;
        (steps, outcome)
    };
    let Ok((mut steps, outcome)) = tokio::time::timeout(PATIENCE, tried).await else {
        return Err(unable(format!("no server was done within {} s", PATIENCE.as_secs())));
    };
    let delivered = told(outcome, &mut steps);
    Ok(Answer::Test { steps, delivered })
}

/// The steps up to the one that went wrong.
fn way(host: &str, stages: &[Stage], trouble: Option<&Trouble>) -> Vec<TestStep> {
    let mut steps = Vec::new();
    for stage in stages {
        let what = format!("{host}: {stage}");
        match trouble.filter(|trouble| trouble.stage <= *stage) {
            Some(trouble) => {
                steps.push(TestStep { what, outcome: trouble.what.clone(), well: false });
                return steps;
            }
            None => steps.push(TestStep { what, outcome: "ok".to_owned(), well: true }),
        }
    }
    steps
}

fn told(outcome: Outcome, steps: &mut Vec<TestStep>) -> bool {
    let mut step = |what: String, outcome: String, well| steps.push(TestStep { what, outcome, well });
    match outcome {
        Outcome::Sent { host, accepted, refused, deferred } => {
            let all = refused.is_empty() && deferred.is_empty();
            for address in accepted {
                step(format!("{host}: {address}"), "taken over".to_owned(), true);
            }
            for (address, trouble) in refused.into_iter().chain(deferred) {
                step(format!("{host}: {address}"), trouble.what, false);
            }
            all
        }
        Outcome::Retry { why, refused, .. } | Outcome::Failed { why, refused } => {
            for (address, trouble) in refused {
                step(format!("{}: {address}", trouble.host), trouble.what, false);
            }
            step(format!("{}: {}", why.host, why.stage), why.what, false);
            false
        }
    }
}

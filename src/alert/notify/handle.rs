//! What do people's words change? Silences and acknowledgements, made by the
//! command line, the API or the link of a mail, each with a record of it.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::memory::{Acked, Kept, Memory};
use super::mute::View;
use super::policy::Policy;
use super::route;
use crate::alert::mail::link::{Act, Claim};
use crate::model::alerting::{
    Acknowledged, Acknowledgement, Fingerprint, GroupKey, LinkShown, Matcher, Record, Refusal, Silence, SilenceId,
    Target, Via, exactly,
};
use crate::model::unit::Timestamp;

/// Silences in force at once. More are a rule that should be changed.
const MOST_SILENCES: usize = 500;

/// Acknowledgements at once.
const MOST_ACKS: usize = 500;

/// Comparisons of one silence.
const MOST_MATCHERS: usize = 30;

/// Alerts of one acknowledgement: what fits into one entry of the store.
const MOST_ALERTS: usize = 2_000;

/// Records that are kept.
const MOST_RECORDS: usize = 500;

/// What is wanted of a silence.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Wanted {
    pub matchers: Vec<Matcher>,
    pub owner: String,
    pub reason: String,
    pub seconds: u64,
    pub via: Via,
}

/// Makes a silence.
///
/// # Errors
/// What cannot be one, with the mend.
pub fn silence(now: Timestamp, wanted: Wanted, policy: &Policy, memory: &mut Memory) -> Result<Silence, Refusal> {
    let wrong = |text: String| Err(Refusal::Wrong(text));
    let Wanted { matchers, owner, reason, seconds, via } = wanted;
    if matchers.is_empty() || matchers.iter().all(Matcher::accepts_missing) {
        return wrong(
            "the comparisons would silence every alert; name at least one label that must be there, such as system=\"prod\""
                .to_owned(),
        );
    }
    if matchers.len() > MOST_MATCHERS {
        return wrong(format!("a silence has at most {MOST_MATCHERS} comparisons; make two silences"));
    }
    let owner = line(&owner, 100, "owner", "say who answers for it, such as --owner anna@example.com")?;
    let reason = line(&reason, 500, "reason", "say why, such as --reason 'switch replacement, ticket 4711'")?;
    let longest = policy.notify.longest_silence;
    let span = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds).filter(|span| *span > TimeDelta::zero());
    let Some(span) = span.filter(|span| *span <= longest) else {
        let shown = humantime::format_duration(longest.to_std().unwrap_or_default());
        return wrong(format!("a silence lasts from a second to {shown} (notify.longest_silence)"));
    };
    if memory.silences.values().filter(|kept| kept.silence.is_active(now)).count() >= MOST_SILENCES {
        return wrong(format!("there are {MOST_SILENCES} silences; end some of them with `sio silence expire`"));
    }
    memory.head.acts += 1;
    let id = SilenceId::new(memory.head.acts);
    let silence = Silence { id: id.clone(), matchers, owner, reason, from: now, until: now + span, via };
    let what = format!("silence {id} of {} until {}: {}", silence.what(), shown(silence.until), silence.reason);
    record(now, &silence.owner, &silence.via, what, memory);
    memory.silences.insert(id, Kept { silence: silence.clone(), end_told: false });
    Ok(silence)
}

/// Ends a silence now.
///
/// # Errors
/// There is none of this name, or it has ended.
pub fn expire(now: Timestamp, id: &SilenceId, by: &str, via: &Via, memory: &mut Memory) -> Result<Silence, Refusal> {
    let by = line(by, 100, "name", "say who ends it")?;
    let Some(kept) = memory.silences.get_mut(id) else {
        return Err(Refusal::Missing(format!("there is no silence {id}; `sio silence list` shows those there are")));
    };
    if !kept.silence.is_active(now) {
        return Err(Refusal::Over(format!("silence {id} ended at {}", shown(kept.silence.until))));
    }
    kept.silence.until = now;
    let ended = kept.silence.clone();
    record(now, &by, via, format!("end of silence {id} of {}", ended.what()), memory);
    Ok(ended)
}

/// Notes that somebody works on alerts that fire.
///
/// # Errors
/// Nothing of that fires, or the words are no words.
#[allow(clippy::too_many_arguments)]
pub fn acknowledge(
    now: Timestamp,
    on: &Target,
    by: &str,
    comment: &str,
    seconds: Option<u64>,
    via: &Via,
    view: &View<'_>,
    policy: &Policy,
    memory: &mut Memory,
) -> Result<Acknowledged, Refusal> {
    let by = line(by, 100, "name", "say who works on it, such as --by anna")?;
    let comment =
        if comment.trim().is_empty() { String::new() } else { line(comment, 500, "comment", "write one short line")? };
    let until = match seconds {
        None => None,
        Some(seconds) => {
            let span = i64::try_from(seconds).ok().and_then(TimeDelta::try_seconds);
            let span = span.filter(|span| *span > TimeDelta::zero() && *span <= policy.notify.longest_silence);
            let wrong = || Refusal::Wrong("the time is no time, or longer than notify.longest_silence".to_owned());
            Some(now + span.ok_or_else(wrong)?)
        }
    };
    let mut alerts: BTreeSet<Fingerprint> = meant(on, view, policy);
    if alerts.is_empty() {
        return Err(Refusal::Missing("nothing of that fires any more; there is nothing to acknowledge".to_owned()));
    }
    while alerts.len() > MOST_ALERTS {
        alerts.pop_last();
    }
    memory.head.acts += 1;
    if memory.acks.len() >= MOST_ACKS {
        memory.acks.pop_first();
    }
    let acknowledgement = Acknowledgement { by: by.clone(), at: now, until, comment, via: via.clone() };
    let first = alerts.first().and_then(|id| view.firing.get(id)).map(|alert| alert.annotations.summary.clone());
    let more = alerts.len().saturating_sub(1);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let what = format!("acknowledgement of {:?}{more}", first.unwrap_or_default());
    record(now, &by, via, what, memory);
    memory.acks.insert(memory.head.acts, Acked { ack: acknowledgement.clone(), alerts: alerts.clone() });
    Ok(Acknowledged { acknowledgement, alerts: alerts.into_iter().collect() })
}

/// The alerts that fire and are meant.
fn meant(on: &Target, view: &View<'_>, policy: &Policy) -> BTreeSet<Fingerprint> {
    match on {
        Target::Alert(fingerprint) => view.firing.keys().filter(|id| *id == fingerprint).copied().collect(),
        Target::Group(key) => {
            let of_group = |alert: &crate::model::alerting::Alert| {
                let routes = route::routes(&policy.notify, &alert.labels);
                routes.iter().any(|route| covers(key, &route::key(route, alert)))
            };
            view.firing.iter().filter(|(_, alert)| of_group(alert)).map(|(id, _)| *id).collect()
        }
    }
}

/// Whether a group is the one that was named, or one of those that were told in one mail.
fn covers(named: &GroupKey, group: &GroupKey) -> bool {
    let several = named.area == GroupKey::SEVERAL && named.labels.is_empty();
    named == group || (several && (named.system.is_none() || named.system == group.system))
}

/// What a link does, in words.
pub fn look(now: Timestamp, claim: &Claim, view: &View<'_>, policy: &Policy, memory: &Memory) -> LinkShown {
    let alerts = meant(&claim.on, view, policy);
    let mut summaries: Vec<String> =
        alerts.iter().filter_map(|id| view.firing.get(id)).map(|alert| alert.annotations.summary.clone()).collect();
    summaries.truncate(20);
    let what = match claim.act {
        Act::Acknowledge => "Say that you work on it: no more reminders and no escalation until it is over.".to_owned(),
        Act::Silence { seconds } => {
            let span = humantime::format_duration(std::time::Duration::from_secs(u64::from(seconds)));
            format!("Say nothing more of it for {span}.")
        }
    };
    LinkShown { what, alerts: summaries, until: claim.until, done: done(now, claim, memory) }
}

/// Does what a link says. Who presses twice does it once.
///
/// # Errors
/// It cannot be done, or there is nothing to do any more.
pub fn follow(
    now: Timestamp,
    claim: &Claim,
    by: &str,
    view: &View<'_>,
    policy: &Policy,
    memory: &mut Memory,
) -> Result<String, Refusal> {
    if let Some(done) = done(now, claim, memory) {
        return Ok(done);
    }
    let via = Via::Mail { mail: claim.mail.clone() };
    match claim.act {
        Act::Acknowledge => {
            let acked = acknowledge(now, &claim.on, by, "", None, &via, view, policy, memory)?;
            let count = acked.alerts.len();
            let alerts = if count == 1 { "1 alert is".to_owned() } else { format!("{count} alerts are") };
            Ok(format!("{alerts} acknowledged by {}.", acked.acknowledgement.by))
        }
        Act::Silence { seconds } => {
            let matchers = matchers(&claim.on, view)?;
            let reason = format!("link of mail {}", claim.mail);
            let wanted = Wanted { matchers, owner: by.to_owned(), reason, seconds: u64::from(seconds), via };
            let made = silence(now, wanted, policy, memory)?;
            Ok(format!("Silence {} is in force until {}.", made.id, shown(made.until)))
        }
    }
}

fn matchers(on: &Target, view: &View<'_>) -> Result<Vec<Matcher>, Refusal> {
    match on {
        Target::Alert(fingerprint) => {
            let alert = view.firing.get(fingerprint);
            let gone = || Refusal::Missing("it fires no more; there is nothing to silence".to_owned());
            alert.map(|alert| exactly(&alert.labels)).ok_or_else(gone)
        }
        Target::Group(key) => {
            let system = key.system.iter().map(|system| Matcher::equal("system", system.as_str()));
            let area = Some(&key.area).filter(|area| *area != GroupKey::SEVERAL);
            let area = area.map(|area| Matcher::equal("area", area));
            Ok(system.chain(area).chain(exactly(&key.labels)).collect())
        }
    }
}

/// What the link did already.
fn done(now: Timestamp, claim: &Claim, memory: &Memory) -> Option<String> {
    let via = Via::Mail { mail: claim.mail.clone() };
    match claim.act {
        Act::Acknowledge => {
            let mut acks = memory.acks.values().filter(|acked| acked.ack.is_active(now));
            let ack = acks.find(|acked| acked.ack.via == via).map(|acked| &acked.ack)?;
            Some(format!("It was acknowledged by {} at {}.", ack.by, shown(ack.at)))
        }
        Act::Silence { .. } => {
            let mut silences = memory.silences.values().map(|kept| &kept.silence);
            let silence = silences.find(|silence| silence.via == via && silence.is_active(now))?;
            Some(format!("Silence {} is in force until {}.", silence.id, shown(silence.until)))
        }
    }
}

fn record(now: Timestamp, by: &str, via: &Via, what: String, memory: &mut Memory) {
    let record = Record { at: now, by: by.to_owned(), via: via.clone(), what };
    memory.records.insert(memory.head.acts, record);
    while memory.records.len() > MOST_RECORDS {
        memory.records.pop_first();
    }
    memory.head.acts += 1;
}

fn shown(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// A text of one line, without blanks around it.
fn line(text: &str, longest: usize, what: &str, mend: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest || text.chars().any(char::is_control) {
        return Err(Refusal::Wrong(format!("the {what} is empty, longer than {longest}, or not one line; {mend}")));
    }
    Ok(text.to_owned())
}

//! `sio silence` and `sio ack`: nobody is told of some alerts for a while, or
//! somebody works on them.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::controller::{Asker, Question, Where, path_part, table, tame};
use crate::model::alerting::{Acknowledged, Fingerprint, GroupKey, Matcher, Silence};
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Tells nobody of some alerts for a while
    Add(Add),
    /// Shows the silences
    List(List),
    /// Ends a silence now
    Expire(Expire),
}

#[derive(Debug, clap::Args)]
pub(super) struct Add {
    /// What is meant, all of it: 'system="prod"' 'alertname=~"ScaleioSds.*"'
    #[arg(required = true, value_name = "LABEL=VALUE", value_parser = Matcher::parse)]
    matchers: Vec<Matcher>,
    /// Why, such as "switch replacement, ticket 4711"
    #[arg(long)]
    reason: String,
    /// For how long, such as 4h
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    span: Duration,
    /// Who answers for it; a mail address is written to before it ends [default: $USER]
    #[arg(long)]
    owner: Option<String>,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Expire {
    /// Its name, as `sio silence list` shows it
    id: String,
    /// Who ends it [default: $USER]
    #[arg(long)]
    by: Option<String>,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Acknowledge {
    /// A group that fires, such as prod/sds, or the fingerprint of an alert; without it, what is acknowledged is shown
    target: Option<String>,
    /// Who works on it [default: $USER]
    #[arg(long)]
    by: Option<String>,
    /// What to say about it
    #[arg(long, default_value = "")]
    comment: String,
    /// Remind again after this time, when it still fires
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    span: Option<Duration>,
    #[command(flatten)]
    whom: Where,
}

pub(super) async fn silence(command: Command, asker: &mut Asker<'_>) -> u8 {
    match command {
        Command::Add(Add { matchers, reason, span, owner, whom }) => {
            let owner = asker.name(owner);
            let body = json!({ "matchers": matchers, "owner": owner, "reason": reason, "seconds": span.as_secs() });
            let question = Question::post("/api/v1/silences", &body);
            let words =
                |made: Silence| format!("silence {} of {} until {}\n", made.id, tame(&made.what()), shown(made.until));
            asker.show(&whom, &question, words).await
        }
        Command::List(List { json, whom }) => {
            let question = Question::get("/api/v1/silences");
            asker.json = json;
            let now = crate::clock::now();
            asker.show(&whom, &question, |silences: Vec<Silence>| listed(&silences, now)).await
        }
        Command::Expire(Expire { id, by, whom }) => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("by", &asker.name(by));
            let path = format!("/api/v1/silences/{}?{}", path_part(&id), query.finish());
            let question = Question { method: Method::DELETE, ..Question::get(&path) };
            asker.show(&whom, &question, |ended: Silence| format!("silence {} is over\n", ended.id)).await
        }
    }
}

pub(super) async fn acknowledge(arguments: Acknowledge, asker: &mut Asker<'_>) -> u8 {
    let Acknowledge { target, by, comment, span, whom } = arguments;
    let Some(target) = target else {
        let question = Question::get("/api/v1/acknowledgements");
        return asker.show(&whom, &question, |all: Vec<Acknowledged>| acknowledged(&all)).await;
    };
    let seconds = span.map(|span| span.as_secs());
    let mut body = json!({ "by": asker.name(by), "comment": comment, "seconds": seconds });
    let (name, value) = match u64::from_str_radix(&target, 16) {
        Ok(number) if target.len() == 16 => ("alert", json!(Fingerprint(number))),
        _ => {
            let (system, area) = match target.split_once('/') {
                Some((system, area)) => (Some(SystemId::new(system)), area),
                None => (None, target.as_str()),
            };
            ("group", json!(GroupKey::new(system, area)))
        }
    };
    if let Some(body) = body.as_object_mut() {
        body.insert(name.to_owned(), value);
    }
    let question = Question::post("/api/v1/acknowledgements", &body);
    asker
        .show(&whom, &question, |made: Acknowledged| {
            let count = made.alerts.len();
            let alerts = if count == 1 { "1 alert is".to_owned() } else { format!("{count} alerts are") };
            format!("{alerts} acknowledged by {}\n", tame(&made.acknowledgement.by))
        })
        .await
}

fn listed(silences: &[Silence], now: Timestamp) -> String {
    if silences.is_empty() {
        return "no silence is in force\n".to_owned();
    }
    let mut rows = vec![["ID", "UNTIL", "OWNER", "MEANS", "REASON"].map(str::to_owned)];
    rows.extend(silences.iter().map(|silence| {
        let until =
            if silence.is_active(now) { shown(silence.until) } else { format!("{} (over)", shown(silence.until)) };
        [silence.id.to_string(), until, silence.owner.clone(), silence.what(), silence.reason.clone()]
    }));
    table(&rows)
}

fn acknowledged(all: &[Acknowledged]) -> String {
    if all.is_empty() {
        return "nothing is acknowledged\n".to_owned();
    }
    let mut text = String::new();
    for acked in all {
        let ack = &acked.acknowledgement;
        let alerts: Vec<String> = acked.alerts.iter().map(ToString::to_string).collect();
        let until = ack.until.map(|until| format!(" until {}", shown(until))).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} at {}{until}: {} {}",
            tame(&ack.by),
            shown(ack.at),
            alerts.join(" "),
            tame(&ack.comment)
        );
    }
    text
}

fn shown(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

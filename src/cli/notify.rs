//! `sio notify`: whether mails arrive, how they look, and what waits.

use std::fs;
use std::path::PathBuf;

use clap::Subcommand;
use serde::Deserialize;
use serde_json::json;

use super::controller::{Asker, LONG_PATIENCE, Question, Where, table, tame};
use crate::model::alerting::{Queued, TestStep};
use crate::model::unit::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Sends a mail now and tells how each step went
    Test(Test),
    /// Writes the mail of a group that fires, or of an example, into files
    Preview(Preview),
    /// Shows the mails that wait or were given up
    Queue(Queue),
    /// Tries every mail that waits now, those given up included
    Flush(Flush),
}

#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// To this address, may be given more than once [default: the default route]
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Preview {
    /// A group that fires, such as prod/sds; an example without it
    group: Option<String>,
    /// The folder for mail.eml, mail.txt and mail.html
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    out: PathBuf,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Queue {
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, clap::Args)]
pub(super) struct Flush {
    #[command(flatten)]
    whom: Where,
}

#[derive(Deserialize)]
struct Mail {
    message: String,
    text: String,
    html: String,
}

#[derive(Deserialize)]
struct Tested {
    steps: Vec<TestStep>,
    delivered: bool,
}

#[derive(Deserialize)]
struct Flushed {
    tried: usize,
}

pub(super) async fn notify(command: Command, asker: &mut Asker<'_>) -> u8 {
    match command {
        Command::Test(Test { to, whom }) => {
            let body = json!({ "to": to, "by": asker.name(None) });
            let question = Question { patience: LONG_PATIENCE, ..Question::post("/api/v1/notifications/test", &body) };
            let mut delivered = false;
            let code = asker
                .show(&whom, &question, |tested: Tested| {
                    delivered = tested.delivered;
                    steps(&tested)
                })
                .await;
            if code == 0 && !delivered { super::FAILED } else { code }
        }
        Command::Preview(Preview { group, out, whom }) => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            if let Some(group) = &group {
                query.append_pair("group", group);
            }
            let path = format!("/api/v1/notifications/preview?{}", query.finish());
            let mut written = Ok(());
            let code = asker
                .show(&whom, &Question::get(&path), |mail: Mail| {
                    let files = [("mail.eml", &mail.message), ("mail.txt", &mail.text), ("mail.html", &mail.html)];
                    written = files.iter().try_for_each(|(name, text)| fs::write(out.join(name), text));
                    format!("written to {}: mail.eml, mail.txt, mail.html\n", out.display())
                })
                .await;
            match written {
                Ok(()) => code,
                Err(error) => super::fail(&anyhow::anyhow!("the mail cannot be written to {}: {error}", out.display())),
            }
        }
        Command::Queue(Queue { json, whom }) => {
            asker.json = json;
            let now = crate::clock::now();
            asker
                .show(&whom, &Question::get("/api/v1/notifications/queue"), |queue: Vec<Queued>| listed(&queue, now))
                .await
        }
        Command::Flush(Flush { whom }) => {
            let question = Question::post("/api/v1/notifications/flush", &json!({}));
            asker.show(&whom, &question, |flushed: Flushed| format!("{} mails are tried now\n", flushed.tried)).await
        }
    }
}

fn steps(tested: &Tested) -> String {
    let rows: Vec<[String; 3]> = tested
        .steps
        .iter()
        .map(|step| [if step.well { "ok" } else { "FAILED" }.to_owned(), step.what.clone(), step.outcome.clone()])
        .collect();
    let end =
        if tested.delivered { "the mail was taken over for everybody\n" } else { "the mail did not reach everybody\n" };
    table(&rows) + end
}

fn listed(queue: &[Queued], now: Timestamp) -> String {
    if queue.is_empty() {
        return "no mail waits\n".to_owned();
    }
    let mut rows =
        vec![["ID", "KIND", "ABOUT", "STATE", "NEXT TRY", "TRIES", "WAITING FOR", "LAST ERROR"].map(str::to_owned)];
    rows.extend(queue.iter().map(|mail| {
        let next = mail.next_try.map(|at| match (at - now).to_std() {
            Ok(span) if span.as_secs() > 0 => {
                format!("in {}", humantime::format_duration(std::time::Duration::from_secs(span.as_secs())))
            }
            _ => "now".to_owned(),
        });
        [
            mail.id.clone(),
            format!("{} ({})", mail.kind, mail.severity),
            mail.group.clone(),
            mail.state.clone(),
            next.unwrap_or_else(|| "-".to_owned()),
            mail.failures.to_string(),
            mail.waiting.join(","),
            mail.last_error.as_deref().map_or_else(|| "-".to_owned(), tame),
        ]
    }));
    table(&rows)
}

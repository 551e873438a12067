//! `sio framework`: what only a person may decide about our framework at Mesos.

use std::io::Write;
use std::path::Path;

use clap::Subcommand;
use reqwest::Method;

use super::controller::{AskError, Question, Where, ask};

#[derive(Debug, Subcommand)]
pub(super) enum Framework {
    /// After the masters have removed it: registers under a new id. Every executor starts anew
    RegisterAnew {
        #[command(flatten)]
        whom: Where,
    },
}

pub(super) async fn framework(
    what: &Framework,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
) -> Result<(), AskError> {
    let Framework::RegisterAnew { whom } = what;
    let question = Question { method: Method::POST, ..Question::get("/api/v1/framework/register-anew") };
    let (_, answer) = ask(whom, &question, file, variables).await?;
    match out.write_all(&answer).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(AskError::Output(error)),
        _ => Ok(()),
    }
}

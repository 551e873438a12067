//! `sio agent`: the service on a node, and how a host joins by a token.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::agent::papers;
use crate::agent::run::{Settings, link, run};
use crate::config::{Log, LogFormat};
use crate::enrol::endpoint::Hello;
use crate::model::order::PROTOCOL;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    /// A controller, https://HOST:PORT; say it again for each
    #[arg(long = "controller", value_name = "URL", required = true)]
    controllers: Vec<String>,
    /// Where the agent keeps its papers and its ledger
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sio-agent")]
    folder: PathBuf,
    /// Only finds out whether a controller takes this release with the papers of the folder, and ends
    #[arg(long)]
    trial: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Gets this host its certificate by a token
    Join(JoinArguments),
}

#[derive(Debug, Args)]
struct JoinArguments {
    /// A controller, https://HOST:PORT
    #[arg(long, value_name = "URL")]
    controller: String,
    /// The name that the controller has for this host
    #[arg(long)]
    node: String,
    /// The file with the token
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// The controller's ca.pem, brought here by a way that is trusted
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// Where the agent keeps its papers and its ledger
    #[arg(long, value_name = "DIR", default_value = "/var/lib/sio-agent")]
    folder: PathBuf,
}

pub(super) fn agent(arguments: Arguments) -> anyhow::Result<()> {
    crate::telemetry::init(&Log { level: "info".to_owned(), format: LogFormat::Text })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let folder = arguments.folder;
    if let Some(Command::Join(join)) = arguments.command {
        return runtime.block_on(join_by_token(&join));
    }
    let controllers = arguments.controllers.into_iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
    let settings = Settings { controllers, folder };
    if arguments.trial {
        return runtime.block_on(trial(&settings));
    }
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let told = crate::app::signalled()?;
        let stopping = stop.clone();
        tokio::spawn(async move {
            let why = told.await;
            tracing::info!(why, "the agent stops");
            stopping.cancel();
        });
        Ok(run(settings, stop).await?)
    })
}

/// What an agent does with a program before it becomes that program.
async fn trial(settings: &Settings) -> anyhow::Result<()> {
    let link = link(settings)?;
    let hello = Hello { protocol: PROTOCOL, release: crate::VERSION.to_owned() };
    let mut last = anyhow::anyhow!("no controller is known");
    for controller in &settings.controllers {
        match link.hello(controller, &hello).await {
            Ok(_) => return Ok(()),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

async fn join_by_token(arguments: &JoinArguments) -> anyhow::Result<()> {
    let file = &arguments.token_file;
    let token = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let joined = papers::join(&arguments.folder, &arguments.ca, &arguments.controller, &arguments.node, &token).await;
    joined.map_err(anyhow::Error::msg)?;
    Ok(())
}

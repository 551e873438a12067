//! The command line: what people and scripts type, and how it ends.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, or all is well |
//! | 1 | it failed, or a system is unwell |
//! | 2 | wrong arguments, or a wrong configuration |
//! | 3 | the controller cannot be reached |

mod agent;
mod bundle;
mod certificate;
mod check;
mod controller;
mod dashboards;
mod dialog;
mod doctor;
mod executor;
mod export;
mod framework;
mod history;
mod import;
mod init;
mod manual;
mod node;
mod notify;
mod password;
mod plan;
mod restore;
mod rollout;
mod silence;
mod status;
mod token;
mod work;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{self, Config, ConfigErrors};
use controller::Asker;

const VERSION: &str = env!("CARGO_PKG_VERSION");

const FAILED: u8 = 1;
const MISUSED: u8 = 2;
const UNREACHABLE: u8 = 3;

/// Rolls out, watches and keeps alive Dell EMC ScaleIO (PowerFlex) storage on Apache Mesos.
#[derive(Debug, Parser)]
#[command(name = "sio", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    /// The configuration [default: $SIO_CONFIG, else /etc/scaleio-framework/sio.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the controller until it is told to end
    Run,
    /// Checks the configuration, or whether this host can carry ScaleIO; starts and changes nothing
    Check(check::Arguments),
    /// Asks, tests the login and writes a first configuration
    Init(init::Arguments),
    /// Writes a first configuration from what the framework of 2016 was told and kept
    Import(import::Arguments),
    /// Shows how all systems are
    Status(status::Arguments),
    /// Tries everything that the configuration names, and says what to mend; changes nothing
    Doctor(doctor::Arguments),
    /// Packs what somebody who helps needs to see, without secrets
    SupportBundle(bundle::Arguments),
    /// Works on this node for a controller, as a service
    Agent(agent::Arguments),
    /// Tells nobody of some alerts for a while
    #[command(subcommand)]
    Silence(silence::Command),
    /// Says that somebody works on alerts: no more reminders, no escalation
    Ack(silence::Acknowledge),
    /// Tries, shows and flushes alert mails
    #[command(subcommand)]
    Notify(notify::Command),
    /// Writes what other programs need to work with this controller
    #[command(subcommand)]
    Export(export::Export),
    /// Shows what would be done, before anything is
    #[command(subcommand)]
    Plan(plan::Plan),
    /// Decides what only a person may about the rollout
    #[command(subcommand)]
    Rollout(rollout::Rollout),
    /// Shows how far each node is, and why it is no further
    Nodes(rollout::Nodes),
    /// Takes over agents that obey another controller, or one whose state is lost
    Adopt(rollout::Adopt),
    /// Shows all that was ever done on a system
    History(history::Arguments),
    /// Puts a copy of the state into the place of what is there; no controller may run
    Restore(restore::Arguments),
    /// Makes what the configuration takes instead of a password or a token
    HashPassword(password::Arguments),
    #[command(flatten)]
    Planned(work::Planned),
    #[command(flatten)]
    Work(work::Told),
    /// Acts on the framework at the Mesos masters
    #[command(subcommand)]
    Framework(framework::Framework),
    /// Makes a token with which a host outside of Mesos joins
    Token(token::Arguments),
    /// What a Mesos agent starts on a node; not run by hand
    #[command(hide = true)]
    Executor,
    /// Shows the release
    Version,
}

/// Reads the configuration again, as it was read at the start.
pub type Again = Box<dyn Fn() -> Result<Config, ConfigErrors> + Send>;

/// What the commands need of the rest of the program.
#[derive(Clone, Copy, Debug)]
pub struct Parts<R, P> {
    /// Runs the controller to its end.
    pub run: R,
    /// Logs in at a system; tells what answered, or why it failed and what may help.
    pub probe: P,
}

/// Does what the arguments say.
pub fn main<R, P>(
    arguments: impl IntoIterator<Item = OsString>,
    variables: &[(String, String)],
    parts: Parts<R, P>,
) -> ExitCode
where
    R: AsyncFnOnce(Config, Again) -> anyhow::Result<()>,
    P: AsyncFn(&config::System) -> Result<String, String>,
{
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { MISUSED } else { 0 };
            // Nobody is left to be told that the terminal is gone.
            let _ = error.print();
            return code.into();
        }
    };
    let file = config::find(cli.config.as_deref(), variables);
    let file = file.as_deref();
    let mut out = io::stdout().lock();
    let mut err = io::stderr();
    let code = match cli.command {
        Command::Version => say(&mut out, &format!("sio {VERSION}")),
        Command::Executor => {
            drop(out);
            let work = || -> anyhow::Result<()> {
                crate::telemetry::init(&config::Log { level: "info".to_owned(), format: config::LogFormat::Text })?;
                on_one_thread(executor::executor(variables))?
            };
            work().map_or_else(|error| fail(&error), |()| 0)
        }
        Command::Check(arguments) => check::check(arguments, file, variables, &mut out, &mut err),
        Command::Export(what) => export::export(&what, file, variables, &mut out, &mut err),
        Command::Agent(arguments) => {
            drop(out);
            agent::agent(arguments).map_or_else(|error| fail(&error), |()| 0)
        }
        Command::Run => {
            drop(out);
            run(file, variables, parts.run)
        }
        Command::Init(arguments) => {
            let interactive = io::stdin().is_terminal();
            let mut input = io::stdin().lock();
            let mut secret = |prompt: &str| rpassword::prompt_password(prompt);
            let dialog = dialog::Dialog::new(&mut input, &mut out, interactive, &mut secret);
            on_one_thread(init::init(arguments, cli.config, dialog, parts.probe))
                .and_then(|done| done)
                .map_or_else(|error| fail(&error), |()| 0)
        }
        Command::HashPassword(arguments) => {
            let interactive = io::stdin().is_terminal();
            let mut secret = |prompt: &str| rpassword::prompt_password(prompt);
            let mut input = io::stdin().lock();
            password::hash_password(&arguments, interactive, &mut input, &mut secret, &mut out, &mut err)
                .map_or_else(|error| fail(&error), |()| 0)
        }
        Command::Silence(command) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(silence::silence(command, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Ack(arguments) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(silence::acknowledge(arguments, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Plan(what) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(plan::plan(what, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Planned(what) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(work::planned(what, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Work(what) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(work::told(what, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Rollout(what) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(rollout::rollout(what, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Adopt(arguments) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(rollout::adopt(arguments, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Nodes(arguments) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(rollout::nodes(arguments, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Token(arguments) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(token::token(arguments, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Notify(command) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(notify::notify(command, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::History(arguments) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(history::history(arguments, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Restore(arguments) => restore::restore(&arguments, file, variables, &mut out),
        Command::Import(arguments) => import::import(&arguments, &mut out, &mut err),
        Command::Doctor(arguments) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(doctor::doctor(&arguments, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::SupportBundle(arguments) => {
            on_one_thread(bundle::bundle(&arguments, file, variables, &mut out)).unwrap_or_else(|error| fail(&error))
        }
        Command::Framework(what) => {
            let mut asker = Asker { file, variables, out: &mut out, json: false };
            on_one_thread(framework::framework(what, &mut asker)).unwrap_or_else(|error| fail(&error))
        }
        Command::Status(arguments) => settle(on_one_thread(status::status(arguments, file, variables, &mut out))),
    };
    code.into()
}

/// How a command ends that asked the controller.
fn settle(done: anyhow::Result<Result<bool, controller::AskError>>) -> u8 {
    match done {
        Ok(Ok(well)) => u8::from(!well),
        Ok(Err(controller::AskError::Config(errors))) => {
            fail(&anyhow::Error::new(errors));
            MISUSED
        }
        Ok(Err(error)) => {
            fail(&anyhow::Error::new(error));
            UNREACHABLE
        }
        Err(error) => fail(&error),
    }
}

fn run(
    file: Option<&Path>,
    variables: &[(String, String)],
    run: impl AsyncFnOnce(Config, Again) -> anyhow::Result<()>,
) -> u8 {
    let config = match Config::load(file, variables.iter().cloned()) {
        Ok(config) => config,
        Err(errors) => {
            fail(&anyhow::Error::new(errors));
            return MISUSED;
        }
    };
    let (path, said) = (file.map(Path::to_owned), variables.to_vec());
    let again: Again = Box::new(move || Config::load(path.as_deref(), said.iter().cloned()));
    let start = || -> anyhow::Result<()> {
        crate::telemetry::init(&config.log)?;
        tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(config, again))
    };
    start().map_or_else(|error| fail(&error), |()| 0)
}

fn on_one_thread<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// The one place where a chain of errors is printed.
fn fail(error: &anyhow::Error) -> u8 {
    let _ = writeln!(io::stderr(), "sio: {error:#}");
    FAILED
}

fn say(out: &mut dyn Write, text: &str) -> u8 {
    // A reader that went away (`sio status | head`) is no failure of ours.
    match writeln!(out, "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error.into()),
        _ => 0,
    }
}

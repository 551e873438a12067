//! `sio support-bundle`: what somebody who helps needs to see, in one file, without secrets.
//!
//! Every text goes through `scrub`, which knows the secrets of the configuration
//! and what others look like.

mod scrub;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::controller::{Question, Where, ask};
use crate::config;
use scrub::{HIDDEN, Scrubber};

/// Of each text; what is cut says so.
const LARGEST: usize = 16 << 20;

/// Some hours of a controller in trouble.
const LOG_LINES: &str = "5000";

/// What the controller is asked, and how the answer is called.
const QUESTIONS: [(&str, &str); 11] = [
    ("status.json", "/api/v1/status"),
    ("systems.json", "/api/v1/systems"),
    ("alerts.json", "/api/v1/alerts"),
    ("silences.json", "/api/v1/silences"),
    ("acknowledgements.json", "/api/v1/acknowledgements"),
    ("records.json", "/api/v1/records"),
    ("notifications.json", "/api/v1/notifications/queue"),
    ("framework.json", "/api/v1/framework"),
    ("agents.json", "/api/v1/agents"),
    ("offers.json", "/api/v1/offers"),
    ("metrics.txt", "/metrics"),
];

const README: &str = "\
What this holds, to be read before it is handed to anybody:

  doctor.txt       what `sio doctor` says
  config.toml      what is set, without comments; passwords, tokens and the paths of webhooks are ***
  environment.txt  variables of sio
  versions.txt     releases of sio and of the system
  log.txt          the last lines of the journal, and log-N.txt the files that were named
  *.json           answers of the controller, and metrics.txt the newest metrics

Passwords, tokens and keys that the configuration names, and whatever looks like one, were taken out of all of it.
Names and addresses of hosts, systems, volumes and people who get mails are in it.
";

/// What is packed, and where to.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file to write; must not be there yet [default: sio-support-TIME.tar.gz in this folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A log to take the end of, where there is no journal; may be given more than once
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    #[command(flatten)]
    whom: Where,
}

/// Gathers, scrubs and packs.
pub(super) async fn bundle(
    arguments: &Arguments,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
) -> u8 {
    let now = crate::clock::now().format("%Y%m%dT%H%M%SZ").to_string();
    let name = format!("sio-support-{now}");
    let output = arguments.output.clone().unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
    let scrubber = Scrubber::new(known(file, variables));
    let texts = gather(arguments, file, variables).await;
    let texts: Vec<(String, String)> =
        texts.into_iter().map(|(name, text)| (name, scrubber.scrub(&bounded(text)))).collect();
    match pack(&output, &name, &texts).with_context(|| format!("{} cannot be written", output.display())) {
        Ok(()) => super::say(
            out,
            &format!("{}: {} files; read README.txt in it before you hand it on", output.display(), texts.len()),
        ),
        Err(error) => super::fail(&error),
    }
}

/// The secrets of the configuration, whether it is right or not.
fn known(file: Option<&Path>, variables: &[(String, String)]) -> Vec<String> {
    let Ok(found) = config::secrets(file, variables.iter().cloned()) else { return Vec::new() };
    let read = |path: &PathBuf| std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    found.words.into_iter().chain(found.files.iter().filter_map(read)).collect()
}

async fn gather(arguments: &Arguments, file: Option<&Path>, variables: &[(String, String)]) -> Vec<(String, String)> {
    let mut texts = vec![
        ("README.txt".to_owned(), README.to_owned()),
        ("doctor.txt".to_owned(), super::doctor::report(&arguments.whom, file, variables).await),
        ("config.toml".to_owned(), configuration(file)),
        ("environment.txt".to_owned(), environment(variables)),
        ("versions.txt".to_owned(), versions()),
        ("log.txt".to_owned(), journal()),
    ];
    for (number, log) in arguments.log.iter().enumerate() {
        let text = std::fs::read(log).map_or_else(
            |error| format!("{}: {error}\n", log.display()),
            |bytes| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LARGEST)..]).into_owned(),
        );
        texts.push((format!("log-{}.txt", number + 1), text));
    }
    for (name, path) in QUESTIONS {
        let answer = ask(&arguments.whom, &Question::get(path), file, variables).await;
        let text = answer.map_or_else(
            |error| format!("{path}: {:#}\n", anyhow::Error::new(error)),
            |(_, body)| String::from_utf8_lossy(&body).into_owned(),
        );
        texts.push((name.to_owned(), text));
    }
    texts
}

fn configuration(file: Option<&Path>) -> String {
    let Some(file) = file else { return "# there is no file\n".to_owned() };
    match std::fs::read_to_string(file) {
        Ok(text) => format!("# {}\n{}", file.display(), scrub::settings(&text)),
        Err(error) => format!("# {}: {error}\n", file.display()),
    }
}

fn environment(variables: &[(String, String)]) -> String {
    let ours = variables.iter().filter(|(name, _)| name.starts_with("SIO_") || name.starts_with("MESOS_"));
    let shown = ours.map(|(name, value)| {
        let value = if scrub::is_secret(name) { HIDDEN.to_owned() } else { scrub::shortened(value) };
        format!("{name}={value}\n")
    });
    shown.collect()
}

fn versions() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|error| format!("{path}: {error}\n"));
    format!(
        "sio {} {} rustc {}\n\n{}\n{}\n{}",
        crate::VERSION,
        crate::BUILD.revision,
        crate::BUILD.rustc,
        read("/proc/version"),
        read("/etc/os-release"),
        read("/proc/loadavg")
    )
}

/// The last lines of the services, where there is a journal.
fn journal() -> String {
    let mut ask = Command::new("journalctl");
    ask.args([
        "--unit=sio.service",
        "--unit=sio-agent.service",
        "--no-pager",
        "--output=short-iso",
        "--lines",
        LOG_LINES,
    ]);
    match ask.output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).into_owned(),
        Ok(output) => format!("journalctl: {}\n", String::from_utf8_lossy(&output.stderr)),
        Err(error) => format!("there is no journal (journalctl: {error}); name a log with --log\n"),
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > LARGEST {
        let end = (0..=LARGEST).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push_str("\n[cut here]\n");
    }
    text
}

fn pack(output: &Path, folder: &str, texts: &[(String, String)]) -> std::io::Result<()> {
    let file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
    let now = u64::try_from(crate::clock::now().timestamp()).unwrap_or_default();
    for (name, text) in texts {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now);
        archive.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())?;
    }
    archive.into_inner()?.finish()?.sync_all()
}

//! `sio status`: how all systems are, as the controller tells.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{self, ConfigErrors, Secret};
use crate::model::status::{Status, SystemStatus};
use crate::model::unit::{Bytes, Timestamp};

/// The controller answers from memory; one that needs longer is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than a thousand systems with a hundred problems each.
const LARGEST_ANSWER: usize = 32 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Ask a controller over the network, such as https://controller:9465, instead of the one on this host
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A user of the controller's web config
    #[arg(long, requires = "url", requires = "password_file")]
    user: Option<String>,
    /// The file, closed to others, that holds the user's password
    #[arg(long, requires = "user", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Trust these authorities (PEM) instead of those of the operating system
    #[arg(long, requires = "url", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The controller's unix socket [default: control.socket of the configuration]
    #[arg(long, conflicts_with = "url", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub(super) enum StatusError {
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error("there is no controller at {}: start one with `sio run`, or name its socket with --socket or its address with --url", socket.display())]
    NoSocket { socket: PathBuf },
    #[error("{} does not let you in: run this as the user that runs the controller", socket.display())]
    Forbidden { socket: PathBuf },
    #[error("the controller at {at} cannot be reached: see that it runs (its log says why it does not)")]
    Unreachable {
        at: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the controller at {at} answered {status}{detail}{}", if *status == 401 || *status == 403 { "; give --user and --password-file" } else { "" })]
    Refused { at: String, status: u16, detail: String },
    #[error("what answers at {at} is no controller of this product, or a much newer one")]
    Strange {
        at: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the answer of {at} is larger than {LARGEST_ANSWER} bytes; see what listens there")]
    TooLarge { at: String },
    #[error("{what}; {mend}")]
    Password { what: String, mend: String },
    #[error("cannot use {}", file.display())]
    CaFile {
        file: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot write the answer")]
    Output(#[source] std::io::Error),
}

/// Asks and shows; tells whether every system is well.
pub(super) async fn status(
    arguments: Arguments,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
) -> Result<bool, StatusError> {
    let (at, body) = match &arguments.url {
        Some(url) => (url.clone(), over_network(url, &arguments).await?),
        None => {
            let socket = match arguments.socket {
                Some(socket) => socket,
                None => config::control_socket(file, variables.iter().cloned())?,
            };
            (socket.display().to_string(), over_socket(&socket).await?)
        }
    };
    let status: Status = serde_json::from_slice(&body).map_err(|source| StatusError::Strange { at, source })?;
    let shown = if arguments.json {
        String::from_utf8_lossy(&body).trim_end().to_owned() + "\n"
    } else {
        render(&status, crate::clock::now())
    };
    match out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(StatusError::Output(error)),
        _ => {}
    }
    Ok(status.is_well())
}

async fn over_socket(socket: &Path) -> Result<Vec<u8>, StatusError> {
    use std::io::ErrorKind;
    // Asked before, since the HTTP client hides what the kernel said.
    if let Err(error) = std::os::unix::net::UnixStream::connect(socket) {
        let socket = socket.to_owned();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Err(StatusError::NoSocket { socket }),
            ErrorKind::PermissionDenied => return Err(StatusError::Forbidden { socket }),
            _ => {}
        }
    }
    let at = socket.display().to_string();
    let client = client(None, &at)?.unix_socket(socket).build();
    let client = client.map_err(|source| StatusError::Unreachable { at: at.clone(), source })?;
    get(client.get("http://localhost/api/v1/status"), at).await
}

async fn over_network(url: &str, arguments: &Arguments) -> Result<Vec<u8>, StatusError> {
    let base = url.trim_end_matches('/');
    let client = client(arguments.ca_file.as_deref(), base)?.build();
    let client = client.map_err(|source| StatusError::Unreachable { at: base.to_owned(), source })?;
    let mut request = client.get(format!("{base}/api/v1/status"));
    if let (Some(user), Some(file)) = (&arguments.user, &arguments.password_file) {
        let password: Secret =
            config::read_password(file).map_err(|(what, mend)| StatusError::Password { what, mend })?;
        request = request.basic_auth(user, Some(password.reveal()));
    }
    get(request, base.to_owned()).await
}

fn client(ca_file: Option<&Path>, at: &str) -> Result<reqwest::ClientBuilder, StatusError> {
    // The library asks the process for its cryptography; that it was set before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).no_proxy();
    let Some(file) = ca_file else { return Ok(builder) };
    let fail = |source| StatusError::CaFile { file: file.to_owned(), source };
    let pem = std::fs::read(file).map_err(|error| fail(error.into()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| fail(error.into()))?;
    if certificates.is_empty() {
        return Err(fail(format!("it holds no certificate to trust {at} by").into()));
    }
    Ok(builder.tls_certs_only(certificates))
}

async fn get(request: reqwest::RequestBuilder, at: String) -> Result<Vec<u8>, StatusError> {
    let unreachable =
        |source: reqwest::Error| StatusError::Unreachable { at: at.clone(), source: source.without_url() };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(StatusError::TooLarge { at });
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    Err(StatusError::Refused { at, status: status.as_u16(), detail: problem(&body) })
}

/// The words of an RFC 9457 problem, when the answer is one.
fn problem(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Problem {
        title: Option<String>,
        detail: Option<String>,
    }
    let words = serde_json::from_slice::<Problem>(body).ok();
    let words = words.and_then(|problem| problem.detail.or(problem.title));
    words.map_or_else(String::new, |words| format!(" ({})", tame(&words)))
}

const HEAD: [&str; 9] = ["SYSTEM", "STATE", "VERSION", "MDM", "SDS", "DEVICES", "USED", "REBUILD LEFT", "AGE"];

/// The table for people.
fn render(status: &Status, now: Timestamp) -> String {
    let up = (now - status.started_at).to_std().unwrap_or_default();
    let up = humantime::format_duration(Duration::from_secs(up.as_secs()));
    let mut text = format!("sio {}, up {up}\n\n", tame(&status.version));
    if status.systems.is_empty() {
        text.push_str("no system is configured\n");
        return text;
    }
    let rows: Vec<[String; 9]> = std::iter::once(HEAD.map(str::to_owned))
        .chain(status.systems.iter().map(|system| row(system).map(|cell| tame(&cell))))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for to in status.receivers.iter().filter(|to| !to.problems.is_empty()) {
        text.push('\n');
        for problem in &to.problems {
            let _ = writeln!(text, "alerts by {}: {}", tame(&to.name), tame(problem));
        }
    }
    for system in status.systems.iter().filter(|system| !system.problems.is_empty()) {
        text.push('\n');
        for problem in &system.problems {
            let _ = writeln!(text, "{}: {}", tame(&system.system), tame(problem));
        }
    }
    text
}

fn row(system: &SystemStatus) -> [String; 9] {
    let state = match (system.up, system.is_well()) {
        (_, true) => "ok",
        (true, false) => "UNWELL",
        (false, false) => "DOWN",
    };
    let unknown = || "-".to_owned();
    let used = system.capacity.as_ref().map(|capacity| {
        let (used, max) = (Bytes::new(capacity.in_use_bytes), Bytes::new(capacity.max_bytes));
        match crate::model::unit::Ratio::of(used.as_f64(), max.as_f64()) {
            Some(ratio) => format!("{used} of {max} ({:.0}%)", ratio.get() * 100.0),
            None => format!("{used} of {max}"),
        }
    });
    let rebuild = system.rebuild.as_ref().map(|rebuild| {
        let left = Bytes::new(rebuild.left_bytes);
        match rebuild.bytes_per_second {
            Some(rate) if rebuild.left_bytes > 0 && rate >= 1.0 => format!("{left} at {}/s", Bytes::new(rate as u64)),
            _ => left.to_string(),
        }
    });
    let age = |seconds: f64| {
        let age = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
    };
    [
        system.system.clone(),
        state.to_owned(),
        system.version.clone().or_else(|| system.generation.clone()).unwrap_or_else(unknown),
        system.mdm.as_ref().map_or_else(unknown, |mdm| match mdm.good_nodes {
            Some(good) => format!("{} {} ({good} good)", mdm.mode, mdm.state),
            None => format!("{} {}", mdm.mode, mdm.state),
        }),
        system.sds.as_ref().map_or_else(unknown, |sds| format!("{}/{}", sds.connected, sds.total)),
        system.devices.as_ref().map_or_else(unknown, |devices| match devices.errors {
            0 => devices.total.to_string(),
            errors => format!("{} ({errors} failed)", devices.total),
        }),
        used.unwrap_or_else(unknown),
        rebuild.unwrap_or_else(unknown),
        system.snapshot.as_ref().map_or_else(unknown, |snapshot| age(snapshot.age_seconds)),
    ]
}

/// Names come from the storage system, and must not steer the terminal.
fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Status {
        serde_json::from_str(
            r#"{"version":"0.1.0","started_at":"2026-11-24T10:00:00Z","systems":[
            {"system":"east","up":true,"generation":"3.5","version":"R3_6.0","gateway":"https://a",
             "mdm":{"state":"ClusteredNormal","mode":"ThreeNodes","primary":"mdm1","good_nodes":3},
             "sds":{"connected":12,"total":12},"devices":{"errors":0,"total":48},
             "capacity":{"max_bytes":4398046511104,"in_use_bytes":1099511627776},
             "data":{"degraded_bytes":0,"failed_bytes":0},"rebuild":{"left_bytes":0,"bytes_per_second":0},
             "snapshot":{"seq":17,"age_seconds":3.2},"problems":[]},
            {"system":"west","up":true,"sds":{"connected":11,"total":12},"devices":{"errors":1,"total":48},
             "rebuild":{"left_bytes":10737418240,"bytes_per_second":104857600},
             "snapshot":{"seq":9,"age_seconds":125},"problems":["sds \u001b[2J3 is not connected","1 device failed"]},
            {"system":"lost","up":false,"problems":["no gateway answers"]}],
            "receivers":[{"name":"mail","waiting":2,"failed":0,"problems":["2 messages wait"]},{"name":"webhook","problems":[]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn people_see_one_line_a_system_and_every_problem() {
        let text = render(&answer(), "2026-11-24T12:03:04.5Z".parse().unwrap());
        assert_eq!(
            text,
            "sio 0.1.0, up 2h 3m 4s\n\
             \n\
             SYSTEM  STATE   VERSION  MDM                                  SDS    DEVICES        USED                      REBUILD LEFT             AGE\n\
             east    ok      R3_6.0   ThreeNodes ClusteredNormal (3 good)  12/12  48             1.0 TiB of 4.0 TiB (25%)  0 B                      3s\n\
             west    UNWELL  -        -                                    11/12  48 (1 failed)  -                         10.0 GiB at 100.0 MiB/s  2m 5s\n\
             lost    DOWN    -        -                                    -      -              -                         -                        -\n\
             \n\
             alerts by mail: 2 messages wait\n\
             \n\
             west: sds ?[2J3 is not connected\n\
             west: 1 device failed\n\
             \n\
             lost: no gateway answers\n"
        );
    }

    #[test]
    fn a_controller_without_systems_says_so() {
        let mut status = answer();
        status.systems.clear();
        assert!(render(&status, status.started_at).ends_with("no system is configured\n"));
    }

    #[test]
    fn the_words_of_a_problem_are_passed_on() {
        assert_eq!(problem(br#"{"title":"No","detail":"still starting\n"}"#), " (still starting?)");
        assert_eq!(problem(b"<html>"), "");
    }
}

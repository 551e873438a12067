//! How the command line asks the controller: over its socket on this host, or
//! over the network.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{self, ConfigErrors, Secret};

/// The controller answers from memory; one that needs longer is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// To try the way to a mail server takes as long as that server.
pub(super) const LONG_PATIENCE: Duration = Duration::from_secs(120);

/// More than a thousand systems with a hundred problems each.
const LARGEST_ANSWER: usize = 32 << 20;

/// Which controller is asked, and as whom.
#[derive(Debug, clap::Args)]
pub(super) struct Where {
    /// Ask a controller over the network, such as https://controller:9465, instead of the one on this host
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// A user of the controller's configuration
    #[arg(long, requires = "url", requires = "password_file")]
    user: Option<String>,
    /// The file, closed to others, that holds the user's password
    #[arg(long, requires = "user", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The file, closed to others, that holds a token of the controller's configuration
    #[arg(long, requires = "url", conflicts_with = "user", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust these authorities (PEM) instead of those of the operating system
    #[arg(long, requires = "url", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The controller's unix socket [default: control.socket of the configuration]
    #[arg(long, conflicts_with = "url", value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Why the controller did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub(super) enum AskError {
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
    #[error("the controller at {at} answered {status}{detail}{}", if *status == 401 || *status == 403 { "; give --user and --password-file or --token-file" } else { "" })]
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

/// One question.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// GET looks; others act.
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: &'a str,
    /// JSON to send along.
    pub(super) body: Option<Vec<u8>>,
    /// How long the answer may take.
    pub(super) patience: Duration,
}

impl<'a> Question<'a> {
    /// Looks.
    pub(super) const fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, body: None, patience: PATIENCE }
    }

    /// Acts.
    pub(super) fn post(path: &'a str, body: &impl Serialize) -> Self {
        // Texts and numbers cannot fail to be written.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { method: Method::POST, path, body: Some(body), patience: PATIENCE }
    }

    fn of(&self, client: &reqwest::Client, base: &str) -> reqwest::RequestBuilder {
        let request = client.request(self.method.clone(), format!("{base}{}", self.path)).timeout(self.patience);
        match &self.body {
            Some(body) => request.header("content-type", "application/json").body(body.clone()),
            None => request,
        }
    }
}

/// Asks; tells who was asked, and what was answered.
pub(super) async fn ask(
    whom: &Where,
    question: &Question<'_>,
    file: Option<&Path>,
    variables: &[(String, String)],
) -> Result<(String, Vec<u8>), AskError> {
    if let Some(url) = &whom.url {
        return Ok((url.clone(), over_network(url, whom, question).await?));
    }
    let socket = match &whom.socket {
        Some(socket) => socket.clone(),
        None => config::control_socket(file, variables.iter().cloned())?,
    };
    Ok((socket.display().to_string(), over_socket(&socket, question).await?))
}

async fn over_socket(socket: &Path, question: &Question<'_>) -> Result<Vec<u8>, AskError> {
    use std::io::ErrorKind;
    // Asked before, since the HTTP client hides what the kernel said.
    if let Err(error) = std::os::unix::net::UnixStream::connect(socket) {
        let socket = socket.to_owned();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => return Err(AskError::NoSocket { socket }),
            ErrorKind::PermissionDenied => return Err(AskError::Forbidden { socket }),
            _ => {}
        }
    }
    let at = socket.display().to_string();
    let client = client(None, &at)?.unix_socket(socket).build();
    let client = client.map_err(|source| AskError::Unreachable { at: at.clone(), source })?;
    answer(question.of(&client, "http://localhost"), at).await
}

async fn over_network(url: &str, arguments: &Where, question: &Question<'_>) -> Result<Vec<u8>, AskError> {
    let base = url.trim_end_matches('/');
    let client = client(arguments.ca_file.as_deref(), base)?.build();
    let client = client.map_err(|source| AskError::Unreachable { at: base.to_owned(), source })?;
    let mut request = question.of(&client, base);
    if let (Some(user), Some(file)) = (&arguments.user, &arguments.password_file) {
        let password: Secret = config::read_password(file).map_err(|(what, mend)| AskError::Password { what, mend })?;
        request = request.basic_auth(user, Some(password.reveal()));
    }
    if let Some(file) = &arguments.token_file {
        let token: Secret = config::read_password(file).map_err(|(what, mend)| AskError::Password { what, mend })?;
        request = request.bearer_auth(token.reveal());
    }
    answer(request, base.to_owned()).await
}

fn client(ca_file: Option<&Path>, at: &str) -> Result<reqwest::ClientBuilder, AskError> {
    // The library asks the process for its cryptography; that it was set before is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let Some(file) = ca_file else { return Ok(builder) };
    let fail = |source| AskError::CaFile { file: file.to_owned(), source };
    let pem = std::fs::read(file).map_err(|error| fail(error.into()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| fail(error.into()))?;
    if certificates.is_empty() {
        return Err(fail(format!("it holds no certificate to trust {at} by").into()));
    }
    Ok(builder.tls_certs_only(certificates))
}

async fn answer(request: reqwest::RequestBuilder, at: String) -> Result<Vec<u8>, AskError> {
    let unreachable = |source: reqwest::Error| AskError::Unreachable { at: at.clone(), source: source.without_url() };
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(AskError::TooLarge { at });
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body);
    }
    Err(AskError::Refused { at, status: status.as_u16(), detail: problem(&body) })
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

/// Names and texts come from elsewhere: what would steer the terminal is shown as `?`.
pub(super) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A text as one part of a path.
pub(super) fn path_part(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Rows in columns.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| tame(cell))).collect();
    let mut text = String::new();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Asks for a command, and shows the answer.
pub(super) struct Asker<'a> {
    pub(super) file: Option<&'a Path>,
    pub(super) variables: &'a [(String, String)],
    pub(super) out: &'a mut dyn Write,
    /// Whether the answer is printed as it came.
    pub(super) json: bool,
}

impl Asker<'_> {
    /// The name that was given, else that of the user.
    pub(super) fn name(&self, given: Option<String>) -> String {
        let user = || self.variables.iter().find(|(name, _)| name == "USER").map(|(_, user)| user.clone());
        given.or_else(user).unwrap_or_default()
    }

    /// Asks, and shows the answer in words; the code is how the command ends.
    pub(super) async fn show<T: DeserializeOwned>(
        &mut self,
        whom: &Where,
        question: &Question<'_>,
        words: impl FnOnce(T) -> String,
    ) -> u8 {
        let text = match self.text(whom, question, words).await {
            Ok(text) => text,
            Err(error) => {
                let code = match &error {
                    AskError::Config(_) => super::MISUSED,
                    AskError::Refused { .. } => super::FAILED,
                    _ => super::UNREACHABLE,
                };
                super::fail(&error.into());
                return code;
            }
        };
        match self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()) {
            // A reader that went away is no failure of ours.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => super::fail(&error.into()),
            _ => 0,
        }
    }

    async fn text<T: DeserializeOwned>(
        &self,
        whom: &Where,
        question: &Question<'_>,
        words: impl FnOnce(T) -> String,
    ) -> Result<String, AskError> {
        let (at, body) = ask(whom, question, self.file, self.variables).await?;
        if self.json {
            return Ok(String::from_utf8_lossy(&body).trim_end().to_owned() + "\n");
        }
        serde_json::from_slice(&body).map(words).map_err(|source| AskError::Strange { at, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_problem_are_passed_on() {
        assert_eq!(problem(br#"{"title":"No","detail":"still starting\n"}"#), " (still starting?)");
        assert_eq!(problem(b"<html>"), "");
    }
}

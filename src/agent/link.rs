//! How an agent reaches its controllers: reports out, orders and files in.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Client;

use crate::config::{ClientCertificate, Trust};
use crate::enrol::endpoint::{Hello, Join, Joined, Renew, WAIT, Welcome};
use crate::model::order::{Answer, Artefact, Report};
use crate::tls::{self, TlsError};

/// A network that is there answers in this time.
const CONNECT: Duration = Duration::from_secs(10);

/// A file that makes no progress for so long is given up; it is begun again with the next try of the step.
const SILENCE: Duration = Duration::from_secs(30);

/// Why a controller did not answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum LinkError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot reach {url}: {why}")]
    Unreachable { url: String, why: String },
    #[error("{url} answered {status}: {why}")]
    Refused { url: String, status: u16, why: String },
    #[error("cannot write {}: {why}", path.display())]
    File { path: PathBuf, why: String },
}

/// Where an agent has what it shows and trusts.
#[derive(Clone, Debug)]
pub struct Papers {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The agent's certificate and key.
    pub own: ClientCertificate,
}

impl Papers {
    /// The papers of a folder.
    pub fn of(folder: &Path) -> Self {
        let own = ClientCertificate { certificate: folder.join("agent.pem"), key: folder.join("agent.key") };
        Self { ca: folder.join("ca.pem"), own }
    }
}

fn client(ca: &Path, own: Option<&ClientCertificate>) -> Result<Client, LinkError> {
    let config = tls::client_config(&Trust::CaFile(ca.to_owned()), own)?;
    let builder =
        Client::builder().tls_backend_preconfigured(config).connect_timeout(CONNECT).read_timeout(WAIT + SILENCE);
    let client = builder.https_only(true).redirect(reqwest::redirect::Policy::none()).build();
    client.map_err(|error| LinkError::Unreachable { url: String::new(), why: root(&error) })
}

/// Connections to the controllers.
#[derive(Clone, Debug)]
pub struct Link {
    client: Arc<RwLock<Client>>,
}

impl Link {
    /// Reads the papers. Without own ones only joining is possible.
    pub fn new(ca: &Path, own: Option<&ClientCertificate>) -> Result<Self, LinkError> {
        Ok(Self { client: Arc::new(RwLock::new(client(ca, own)?)) })
    }

    /// Reports, and waits for the answer.
    pub async fn report(&self, controller: &str, report: &Report) -> Result<Answer, LinkError> {
        let url = format!("{controller}/agent/report");
        let answer = self.client().post(&url).json(report).timeout(WAIT + SILENCE).send().await;
        read(url, answer).await
    }

    /// Asks for a certificate with a token.
    pub async fn join(&self, controller: &str, join: &Join) -> Result<Joined, LinkError> {
        let url = format!("{controller}/agent/join");
        let answer = self.client().post(&url).json(join).timeout(SILENCE).send().await;
        read(url, answer).await
    }

    /// Whether a controller takes this release with these papers.
    pub async fn hello(&self, controller: &str, hello: &Hello) -> Result<Welcome, LinkError> {
        let url = format!("{controller}/agent/hello");
        let answer = self.client().post(&url).json(hello).timeout(SILENCE).send().await;
        read(url, answer).await
    }

    /// Asks for another certificate, as the node that the papers are for.
    pub async fn renew(&self, controller: &str, renew: &Renew) -> Result<Joined, LinkError> {
        let url = format!("{controller}/agent/certificate");
        let answer = self.client().post(&url).json(renew).timeout(SILENCE).send().await;
        read(url, answer).await
    }

    /// From now on with these papers. What is under way goes on with the ones before.
    pub fn change(&self, ca: &Path, own: &ClientCertificate) -> Result<(), LinkError> {
        let client = client(ca, Some(own))?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    fn client(&self) -> Client {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings a file. Its hash is judged by who asked for it.
    pub async fn fetch(&self, controller: &str, artefact: &Artefact, to: &Path) -> Result<(), LinkError> {
        let url = artefact.url.clone().unwrap_or_else(|| format!("{controller}/artefacts/{}", artefact.name));
        let unreachable = |error: reqwest::Error| LinkError::Unreachable { url: url.clone(), why: root(&error) };
        let file_error = |error: std::io::Error| LinkError::File { path: to.to_owned(), why: error.to_string() };
        let mut answer = self.client().get(&url).send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            let status = answer.status().as_u16();
            let why = answer.text().await.unwrap_or_default().chars().take(300).collect();
            return Err(LinkError::Refused { url, status, why });
        }
        let mut file = std::fs::File::create(to).map_err(file_error)?;
        let mut size = 0;
        while let Some(piece) = answer.chunk().await.map_err(unreachable)? {
            size += piece.len() as u64;
            if size > artefact.size {
                let why = format!("it is longer than the {} bytes the order says", artefact.size);
                return Err(LinkError::Refused { url, status: 200, why });
            }
            // Pieces are small, and this is the thread that waits for the file.
            file.write_all(&piece).map_err(file_error)?;
        }
        Ok(())
    }
}

async fn read<T: serde::de::DeserializeOwned>(
    url: String,
    answer: Result<reqwest::Response, reqwest::Error>,
) -> Result<T, LinkError> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Err(LinkError::Unreachable { url, why: root(&error) }),
    };
    let status = answer.status();
    let text = match answer.text().await {
        Ok(text) => text,
        Err(error) => return Err(LinkError::Unreachable { url, why: root(&error) }),
    };
    let refused = |why: String| LinkError::Refused { url: url.clone(), status: status.as_u16(), why };
    if !status.is_success() {
        return Err(refused(text.chars().take(300).collect()));
    }
    serde_json::from_str(&text).map_err(|error| refused(format!("what cannot be read: {error}")))
}

/// The last cause, in our words where TLS refused.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    loop {
        if let Some(refused) = cause.downcast_ref::<rustls::Error>() {
            return tls::explain(refused);
        }
        match cause.source() {
            Some(next) => cause = next,
            None => return cause.to_string(),
        }
    }
}

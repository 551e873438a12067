//! What does the web configuration in the format of Prometheus' exporter-toolkit say: TLS, and users with bcrypt?
//!
//! The file and the certificates it names are read again when they change, so
//! a renewed certificate or a new user needs no restart. A changed file that is
//! wrong is said in the log, and what was read before stays in force.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde::Deserialize;
use tracing::{info, warn};

/// Looking at four files costs microseconds; once a second is often enough.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Why a web configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct AccessError {
    path: PathBuf,
    why: String,
}

/// What is in force, and when it was looked at last.
pub(super) struct Toolkit {
    path: Option<PathBuf>,
    loaded: RwLock<Loaded>,
    looked: Mutex<Instant>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WebConfig {
    tls_server_config: Option<TlsServerConfig>,
    basic_auth_users: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsServerConfig {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    client_auth_type: ClientAuth,
    #[serde(default)]
    min_version: MinVersion,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum ClientAuth {
    #[default]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum MinVersion {
    #[default]
    TLS12,
    TLS13,
}

/// What is in force.
struct Loaded {
    tls: Option<Arc<ServerConfig>>,
    client_certificate: bool,
    users: Arc<BTreeMap<String, String>>,
    marks: Vec<(PathBuf, Option<(SystemTime, u64)>)>,
}

impl Toolkit {
    /// No TLS and no users.
    pub(super) fn none() -> Self {
        let loaded = Loaded { tls: None, client_certificate: false, users: Arc::default(), marks: Vec::new() };
        Self { path: None, loaded: RwLock::new(loaded), looked: Mutex::new(Instant::now()) }
    }

    /// As a file says.
    pub(super) fn read(path: &Path) -> Result<Self, AccessError> {
        let loaded = RwLock::new(Loaded::read(path)?);
        Ok(Self { path: Some(path.to_owned()), loaded, looked: Mutex::new(Instant::now()) })
    }

    /// The TLS settings for the next connection; none when it is plain.
    pub(super) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.look_again();
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).tls.clone()
    }

    /// Whether a certificate is asked for.
    pub(super) fn client_certificate(&self) -> bool {
        self.look_again();
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).client_certificate
    }

    /// Users, with the bcrypt hash of each.
    pub(super) fn users(&self) -> Arc<BTreeMap<String, String>> {
        self.look_again();
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner).users)
    }

    fn look_again(&self) {
        let Some(path) = &self.path else { return };
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if looked.elapsed() < LOOK_AGAIN {
                return;
            }
            *looked = Instant::now();
        }
        let changed = {
            let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
            loaded.marks.iter().any(|(file, before)| mark(file) != *before)
        };
        if !changed {
            return;
        }
        match Loaded::read(path) {
            Ok(loaded) => {
                *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = loaded;
                info!(file = %path.display(), "the web configuration was read again");
            }
            Err(error) => {
                warn!(%error, "the changed web configuration is wrong; the one before stays in force");
                // Not again before the next change.
                let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
                for (file, before) in &mut loaded.marks {
                    *before = mark(file);
                }
            }
        }
    }
}

impl Loaded {
    fn read(path: &Path) -> Result<Self, AccessError> {
        let wrong = |why: String| AccessError { path: path.to_owned(), why };
        let text = fs::read_to_string(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let config: WebConfig = if text.trim().is_empty() {
            WebConfig::default()
        } else {
            serde_saphyr::from_str(&text).map_err(|error| wrong(format!("is no web configuration: {error}")))?
        };
        for (user, hash) in &config.basic_auth_users {
            if bcrypt::verify("", hash).is_err() {
                return Err(wrong(format!(
                    "basic_auth_users.{user} is no bcrypt hash; make one with `htpasswd -nBC 10 {user}`"
                )));
            }
        }
        let beside = |file: &Path| path.parent().unwrap_or(Path::new("")).join(file);
        let mut marks = vec![(path.to_owned(), mark(path))];
        let tls = match &config.tls_server_config {
            None => None,
            Some(tls) => {
                let files = [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()];
                marks.extend(files.into_iter().flatten().map(|file| (beside(file), mark(&beside(file)))));
                Some(Arc::new(server_config(tls, &beside).map_err(wrong)?))
            }
        };
        let client_certificate =
            config.tls_server_config.is_some_and(|tls| tls.client_auth_type == ClientAuth::RequireAndVerifyClientCert);
        Ok(Self { tls, client_certificate, users: Arc::new(config.basic_auth_users), marks })
    }
}

fn server_config(tls: &TlsServerConfig, beside: &dyn Fn(&Path) -> PathBuf) -> Result<ServerConfig, String> {
    let certificates = |key: &str, file: &Path| -> Result<Vec<CertificateDer<'static>>, String> {
        let file = beside(file);
        let found: Vec<_> = CertificateDer::pem_file_iter(&file)
            .and_then(Iterator::collect)
            .map_err(|error| format!("tls_server_config.{key}: {}: {error}", file.display()))?;
        if found.is_empty() {
            return Err(format!("tls_server_config.{key}: {} holds no certificate", file.display()));
        }
        Ok(found)
    };
    let chain = certificates("cert_file", &tls.cert_file)?;
    let key_file = beside(&tls.key_file);
    let key = PrivateKeyDer::from_pem_file(&key_file)
        .map_err(|error| format!("tls_server_config.key_file: {}: {error}", key_file.display()))?;
    let provider = Arc::new(ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match tls.min_version {
        MinVersion::TLS12 => rustls::ALL_VERSIONS,
        MinVersion::TLS13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let builder = match (tls.client_auth_type, &tls.client_ca_file) {
        (ClientAuth::NoClientCert, None) => builder.with_no_client_auth(),
        (ClientAuth::NoClientCert, Some(_)) => {
            return Err("tls_server_config.client_ca_file is set, but client_auth_type is NoClientCert; \
                        set it to RequireAndVerifyClientCert"
                .to_owned());
        }
        (kind, None) => return Err(format!("tls_server_config.client_auth_type {kind:?} needs client_ca_file")),
        (kind, Some(file)) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates("client_ca_file", file)? {
                roots.add(authority).map_err(|error| format!("tls_server_config.client_ca_file: {error}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier =
                if kind == ClientAuth::VerifyClientCertIfGiven { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(
                verifier.build().map_err(|error| format!("tls_server_config.client_ca_file: {error}"))?,
            )
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("tls_server_config: the key does not fit the certificate: {error}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn mark(file: &Path) -> Option<(SystemTime, u64)> {
    let seen: io::Result<_> = fs::metadata(file).and_then(|meta| Ok((meta.modified()?, meta.len())));
    seen.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("web.yml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_mend() {
        for (text, expected) in [
            ("basic_auth_users:\n  me: secret\n", "basic_auth_users.me is no bcrypt hash; make one with `htpasswd"),
            ("tls_server_config:\n  cert_file: no.pem\n  key_file: no.key\n", "tls_server_config.cert_file"),
            ("tls_server_conf: {}\n", "tls_server_conf"),
        ] {
            let (_folder, path) = with(text);
            let error = Toolkit::read(&path).err().unwrap().to_string();
            assert!(error.contains(expected) && error.contains("web.yml"), "{error}");
        }
    }
}

//! Which certificate a gateway serves, and whether the operating system's
//! authorities vouch for it. Nothing is sent over the connection: the
//! handshake ends with a refusal, after the certificate was noted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;

use crate::config::GatewayUrl;

/// A person waits; a gateway that needs longer will not do for polling either.
const PATIENCE: Duration = Duration::from_secs(10);

/// A certificate as it was served.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// Whom it names.
    pub(super) subject: String,
    /// Who signed it.
    pub(super) issuer: String,
    /// Until when it holds.
    pub(super) until: String,
    /// What a pin compares.
    pub(super) sha256: [u8; 32],
    /// Why the authorities of the operating system do not vouch for it.
    pub(super) refused: Option<String>,
}

/// Why no certificate was seen.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub(super) enum FetchError {
    #[error("cannot connect to {address}; check the address, and that no firewall is in between")]
    Connect {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{address} did not answer within {}s; check the address, and that no firewall is in between", PATIENCE.as_secs())]
    Timeout { address: String },
    #[error("{address} does not speak TLS as it should; check the port")]
    Tls {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot prepare TLS")]
    Setup(#[source] rustls::Error),
}

/// Asks a gateway for its certificate.
pub(super) async fn fetch(gateway: &GatewayUrl) -> Result<Served, FetchError> {
    let address = gateway.to_string();
    let dial = async {
        let url = url::Url::parse(gateway.as_str()).map_err(std::io::Error::other);
        let connect = |source| FetchError::Connect { address: address.clone(), source };
        let url = url.map_err(connect)?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(connect)?;
        let name = ServerName::try_from(host).map_err(|error| connect(std::io::Error::other(error)))?;
        let note = Arc::new(Note::new().map_err(FetchError::Setup)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(FetchError::Setup)?
            .dangerous()
            .with_custom_certificate_verifier(note.clone())
            .with_no_client_auth();
        let outcome = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        match (note.take(), outcome) {
            (Some(served), _) => Ok(served),
            (None, Err(source)) => Err(FetchError::Tls { address: address.clone(), source }),
            (None, Ok(_)) => {
                let source = std::io::Error::other("no certificate was served");
                Err(FetchError::Tls { address: address.clone(), source })
            }
        }
    };
    tokio::time::timeout(PATIENCE, dial)
        .await
        .unwrap_or_else(|_| Err(FetchError::Timeout { address: gateway.to_string() }))
}

/// Notes the certificate and refuses it.
#[derive(Debug)]
struct Note {
    system: rustls_platform_verifier::Verifier,
    seen: Mutex<Option<Served>>,
}

impl Note {
    fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Ok(Self { system: rustls_platform_verifier::Verifier::new(provider)?, seen: Mutex::new(None) })
    }

    fn take(&self) -> Option<Served> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl ServerCertVerifier for Note {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = self.system.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        let served = read(end_entity, judged.err().map(|error| error.to_string()));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(served);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    // Never reached, since the certificate itself is refused.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}

fn read(der: &CertificateDer<'_>, refused: Option<String>) -> Served {
    let sha256: [u8; 32] = Sha256::digest(der).into();
    match x509_parser::parse_x509_certificate(der) {
        Ok((_, certificate)) => Served {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            until: certificate.validity().not_after.to_string(),
            sha256,
            refused,
        },
        // Old gateways serve odd certificates; a pin needs only the bytes.
        Err(error) => {
            let unreadable = format!("(unreadable: {error})");
            Served { subject: unreadable.clone(), issuer: unreadable.clone(), until: unreadable, sha256, refused }
        }
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

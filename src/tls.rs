//! Whom to trust at the other end of a TLS connection that we open, and what
//! a refusal says.
//!
//! The floor is TLS 1.2 with authenticated encryption (AEAD); rustls knows
//! nothing weaker.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::config::{ClientCertificate, Trust};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error("{} {why}; name a PEM file that holds it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The settings do not fit together.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The settings for a way of trusting, and for what we show of ourselves. Reads the files.
pub fn client_config(trust: &Trust, own: Option<&ClientCertificate>) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let judge = match trust {
        Trust::SystemRoots => Judge::Authorities(Arc::new(
            rustls_platform_verifier::Verifier::new(provider.clone()).map_err(TlsError::Setup)?,
        )),
        Trust::CaFile(path) => from_file(path, &provider)?,
        Trust::Pin(pin) => Judge::Pin(*pin),
        Trust::Insecure => Judge::Nobody,
    };
    let verifier = Arc::new(Verifier { judge, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some(own) = own else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(&own.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&own.key)
        .map_err(|error| TlsError::File { path: own.key.clone(), why: format!("holds no private key: {error}") })?;
    builder.with_client_auth_cert(chain, key).map_err(TlsError::Setup)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |why: String| TlsError::File { path: path.to_owned(), why };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    if certificates.is_empty() { Err(fail("holds no certificate".to_owned())) } else { Ok(certificates) }
}

fn from_file(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Judge, TlsError> {
    let certificates = certificates(path)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    // A file whose only certificate cannot be an authority is still a pin.
    let authorities: Option<Arc<dyn ServerCertVerifier>> = if roots.is_empty() {
        None
    } else {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
        let fail = |error: rustls::client::VerifierBuilderError| TlsError::File {
            path: path.to_owned(),
            why: error.to_string(),
        };
        Some(verifier.build().map_err(fail)?)
    };
    Ok(Judge::File { certificates, authorities })
}

/// Who says that a certificate is good.
#[derive(Debug)]
enum Judge {
    Authorities(Arc<dyn ServerCertVerifier>),
    File { certificates: Vec<CertificateDer<'static>>, authorities: Option<Arc<dyn ServerCertVerifier>> },
    Pin([u8; 32]),
    Nobody,
}

#[derive(Debug)]
struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        served: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judged = match &self.judge {
            Judge::Authorities(inner) => inner.verify_server_cert(served, intermediates, name, ocsp, now).map(drop),
            Judge::File { certificates, .. } if certificates.contains(served) => Ok(()),
            Judge::File { authorities: Some(inner), .. } => {
                inner.verify_server_cert(served, intermediates, name, ocsp, now).map(drop)
            }
            Judge::File { authorities: None, .. } => Err(CertificateError::UnknownIssuer.into()),
            Judge::Pin(pin) if *pin == fingerprint(served) => Ok(()),
            Judge::Pin(_) => return Err(refuse("its SHA-256 is not the one in `pin`", served)),
            Judge::Nobody => Ok(()),
        };
        match judged {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(rustls::Error::InvalidCertificate(why)) => Err(refuse(&in_words(&why), served)),
            Err(other) => Err(refuse(&other.to_string(), served)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn in_words(why: &CertificateError) -> String {
    match why {
        CertificateError::UnknownIssuer => "its issuer is not trusted".to_owned(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another host name".to_owned()
        }
        // A certificate made anew under the same name as the one in the file.
        CertificateError::BadSignature => "it names an issuer that is trusted, but was not signed by it".to_owned(),
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => other.to_string(),
    }
}

/// Why a certificate was refused, and which it was.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "the certificate was refused: {why}. It is {subject}, SHA-256 {sha256}, valid {validity}. If it is the right one, set `pin` to this SHA-256, or `ca_file` to the PEM file of its authority or of the certificate itself"
)]
struct Refusal {
    why: String,
    subject: String,
    sha256: String,
    validity: String,
}

fn refuse(why: &str, served: &CertificateDer<'_>) -> rustls::Error {
    let (subject, validity) = match x509_parser::parse_x509_certificate(served) {
        Ok((_, certificate)) => {
            let validity = certificate.validity();
            (certificate.subject().to_string(), format!("from {} to {}", validity.not_before, validity.not_after))
        }
        Err(_) => ("no readable certificate".to_owned(), "for an unknown time".to_owned()),
    };
    // A stranger wrote the name; it goes into a line of the log.
    let subject = subject.chars().filter(|c| !c.is_control()).take(200).collect();
    let sha256 = fingerprint(served).iter().map(|byte| format!("{byte:02x}")).collect();
    let refusal = Refusal { why: why.to_owned(), subject, sha256, validity };
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Until when a certificate is good; none when it cannot be read.
pub fn good_until(certificate: &[u8]) -> Option<DateTime<Utc>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)
}

/// Finds an error of a type in a chain, also inside of I/O errors, which hide
/// what they wrap from `source`.
pub fn find<'e, E: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            // An I/O error that only wraps says less than what it wraps.
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
            && let Some(found) = find::<E>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The words for a failed handshake.
pub fn explain(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error
        && let Some(refusal) = inner.downcast_ref::<Refusal>()
    {
        return refusal.to_string();
    }
    match error {
        rustls::Error::InvalidMessage(_) => "it does not speak TLS; see whether the port is the one for it".to_owned(),
        other => format!("the TLS handshake failed: {other}; TLS 1.2 or 1.3 with an AEAD cipher is needed"),
    }
}

/// The words for a failed handshake as tokio tells it.
pub fn explain_io(error: &std::io::Error) -> String {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    tls.map_or_else(|| format!("the TLS handshake broke off: {error}"), explain)
}

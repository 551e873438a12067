//! Whom to trust as a gateway, and what a refusal says.
//!
//! The floor is TLS 1.2 with authenticated encryption (AEAD); rustls knows
//! nothing weaker.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::error::GatewayError;
use crate::config::Trust;

/// The TLS settings for a way of trusting. Reads the CA file.
pub(super) fn client_config(trust: &Trust) -> Result<ClientConfig, GatewayError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let setup = |error: &dyn fmt::Display| GatewayError::Setup { why: error.to_string().into() };
    let judge = match trust {
        Trust::SystemRoots => Judge::Authorities(Arc::new(
            rustls_platform_verifier::Verifier::new(provider.clone()).map_err(|error| setup(&error))?,
        )),
        Trust::CaFile(path) => from_file(path, &provider)?,
        Trust::Pin(pin) => Judge::Pin(*pin),
        Trust::Insecure => Judge::Nobody,
    };
    let verifier = Verifier { judge, provider: provider.clone() };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn from_file(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Judge, GatewayError> {
    let fail = |why: String| GatewayError::CaFile { path: path.to_owned(), why: why.into() };
    let pem = std::fs::read(path).map_err(|error| fail(format!("cannot be read: {error}")))?;
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| fail(format!("is no PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(fail("holds no certificate".to_owned()));
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates.iter().cloned());
    // A file whose only certificate cannot be an authority is still a pin.
    let authorities: Option<Arc<dyn ServerCertVerifier>> = if roots.is_empty() {
        None
    } else {
        Some(
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                .build()
                .map_err(|error| fail(error.to_string()))?,
        )
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
            Judge::Pin(_) => return Err(refuse("its SHA-256 is not the one in `pin`".to_owned(), served)),
            Judge::Nobody => Ok(()),
        };
        match judged {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(rustls::Error::InvalidCertificate(why)) => Err(refuse(in_words(&why), served)),
            Err(other) => Err(refuse(other.to_string(), served)),
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
#[derive(Debug, Error, Clone)]
#[error(
    "the certificate was refused: {why}. It is {subject}, SHA-256 {sha256}, valid {validity}. If it is the right one, set `pin` to this SHA-256, or `ca_file` to the PEM file of its authority or of the certificate itself"
)]
pub(super) struct Refusal {
    why: String,
    subject: String,
    sha256: String,
    validity: String,
}

fn refuse(why: String, served: &CertificateDer<'_>) -> rustls::Error {
    let (subject, validity) = match x509_parser::parse_x509_certificate(served) {
        Ok((_, certificate)) => {
            let validity = certificate.validity();
            (certificate.subject().to_string(), format!("from {} to {}", validity.not_before, validity.not_after))
        }
        Err(_) => ("no readable certificate".to_owned(), "for an unknown time".to_owned()),
    };
    // A stranger wrote the name; it goes into a line of the log.
    let subject = subject.chars().filter(|c| !c.is_control()).take(200).collect();
    let refusal = Refusal { why, subject, sha256: hex(&fingerprint(served)), validity };
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The words for a failed handshake.
pub(super) fn explain(error: &rustls::Error) -> String {
    if let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error
        && let Some(refusal) = inner.downcast_ref::<Refusal>()
    {
        return refusal.to_string();
    }
    match error {
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS; see whether the port is the one for HTTPS".to_owned()
        }
        other => format!("the TLS handshake failed: {other}; TLS 1.2 or 1.3 with an AEAD cipher is needed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_cannot_be_used_is_named_with_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        for (content, why) in [(None, "cannot be read"), (Some("no pem"), "holds no certificate")] {
            let path = folder.path().join("ca.pem");
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let error = client_config(&Trust::CaFile(path.clone())).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("ca.pem") && error.contains("PEM file"), "{error}");
        }
    }
}

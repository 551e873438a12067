//! What a node makes to get a certificate: a key that never leaves it, and a request.

use rcgen::{CertificateParams, DnType, KeyPair};

use super::ca::CaError;

/// A key and the request for its certificate.
pub struct Request {
    key: String,
    pem: String,
}

impl Request {
    /// Makes both. The name in it is only for people: the controller says the name.
    pub fn new(node: &str) -> Result<Self, CaError> {
        let refuse = |error: rcgen::Error| CaError::Request(error.to_string());
        let pair = KeyPair::generate().map_err(refuse)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, node);
        let pem = params.serialize_request(&pair).and_then(|request| request.pem()).map_err(refuse)?;
        Ok(Self { key: pair.serialize_pem(), pem })
    }

    /// The request.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The key, for a file that its owner alone can read.
    pub fn key(&self) -> &str {
        &self.key
    }
}

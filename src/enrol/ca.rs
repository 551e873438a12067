//! The controller's own certificate authority.
//!
//! Its key is one file, readable by its owner alone. Who has it can speak as
//! any node; who loses it must enrol every node again.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::Datelike;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::model::unit::Timestamp;

/// An authority that runs out takes every node with it, so it lasts longer than the nodes.
const AUTHORITY_DAYS: u64 = 20 * 365;

/// The controller makes itself a new certificate at each start.
const OWN_DAYS: u64 = 365;

/// How long an agent's certificate is good, unless [`Authority::with_life`] says otherwise.
const AGENT_DAYS: u64 = 365;

/// Clocks of nodes are a little behind sometimes.
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// Why the authority cannot be had, or does not sign.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CaError {
    #[error("cannot {operation} {}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} can be read by others than its owner; run chmod 0600 on it", path.display())]
    Open { path: PathBuf },
    #[error("only one of {} and {} is there; restore the other from the backup, or move both away to begin anew and enrol every node again", certificate.display(), key.display())]
    Torn { certificate: PathBuf, key: PathBuf },
    #[error("{} holds no authority's certificate and key: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("the request for a certificate cannot be used: {0}")]
    Request(String),
    #[error("{0:?} is no name of a node: 1 to 253 letters, digits, dots and hyphens")]
    Name(String),
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    days: u64,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

/// A certificate with its key, as rustls takes them.
pub struct Identity {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    /// Takes the authority of a folder, or makes one there.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, CaError> {
        if let Some(there) = Self::look(folder)? {
            return Ok(there);
        }
        let (certificate, key) = Self::files(folder);
        Self::make(folder, &certificate, &key, now)?;
        Self::load(&certificate, &key)
    }

    /// Takes the authority of a folder; none is there yet.
    pub fn look(folder: &Path) -> Result<Option<Self>, CaError> {
        let (certificate, key) = Self::files(folder);
        match (certificate.exists(), key.exists()) {
            (true, true) => Self::load(&certificate, &key).map(Some),
            (false, false) => Ok(None),
            _ => Err(CaError::Torn { certificate, key }),
        }
    }

    fn files(folder: &Path) -> (PathBuf, PathBuf) {
        (folder.join("ca.pem"), folder.join("ca.key"))
    }

    fn make(folder: &Path, certificate: &Path, key: &Path, now: Timestamp) -> Result<(), CaError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| CaError::Io { operation: "write", path, source }
        };
        let unmade = |error: rcgen::Error| CaError::Unreadable { path: key.to_owned(), why: error.to_string() };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail(folder))?;
        let pair = KeyPair::generate().map_err(unmade)?;
        let mut params = named(&format!("scaleio-framework {}", now.format("%Y-%m-%d %H:%M:%S")), now, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let made = params.self_signed(&pair).map_err(unmade)?;
        // The key first: a certificate without its key is worth nothing, and Torn says so.
        write(key, pair.serialize_pem().as_bytes(), 0o600).map_err(fail(key))?;
        write(certificate, made.pem().as_bytes(), 0o644).map_err(fail(certificate))
    }

    fn load(certificate: &Path, key: &Path) -> Result<Self, CaError> {
        let read = |path: &Path| {
            let fail = |source| CaError::Io { operation: "read", path: path.to_owned(), source };
            fs::read_to_string(path).map_err(fail)
        };
        let about =
            fs::metadata(key).map_err(|source| CaError::Io { operation: "read", path: key.to_owned(), source })?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(CaError::Open { path: key.to_owned() });
        }
        let unreadable = |path: &Path, why: String| CaError::Unreadable { path: path.to_owned(), why };
        let pem = read(certificate)?;
        let pair = KeyPair::from_pem(&read(key)?).map_err(|error| unreadable(key, error.to_string()))?;
        let issuer =
            Issuer::from_ca_cert_pem(&pem, pair).map_err(|error| unreadable(certificate, error.to_string()))?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes());
        let der = der.map_err(|error| unreadable(certificate, error.to_string()))?;
        Ok(Self { issuer, certificate: der, pem, days: AGENT_DAYS })
    }

    /// The same, with another life of the certificates of agents. A begun day counts whole.
    #[must_use]
    pub fn with_life(self, life: Duration) -> Self {
        Self { days: life.as_secs().div_ceil(24 * 60 * 60), ..self }
    }

    /// The authority's certificate, which nodes trust.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The same for rustls.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The SHA-256 of it, by which a node knows the right one.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// A certificate for a node. Of the request only the key is taken: the name is ours to say.
    pub fn sign(&self, request: &str, node: &str, now: Timestamp) -> Result<String, CaError> {
        let refuse = |error: rcgen::Error| CaError::Request(error.to_string());
        let asked = CertificateSigningRequestParams::from_pem(request).map_err(refuse)?;
        let mut params = named(node, now, self.days)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&asked.public_key, &self.issuer).map_err(refuse)?.pem())
    }

    /// A certificate for the controller's own endpoint under some names or addresses.
    pub fn serve_as(&self, names: &[String], now: Timestamp) -> Result<Identity, CaError> {
        let refuse = |error: rcgen::Error| CaError::Request(error.to_string());
        let pair = KeyPair::generate().map_err(refuse)?;
        let mut params = named("controller", now, OWN_DAYS)?;
        params.subject_alt_names = CertificateParams::new(names.to_vec()).map_err(refuse)?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let made = params.signed_by(&pair, &self.issuer).map_err(refuse)?;
        let key = PrivateKeyDer::try_from(pair.serialize_der()).map_err(|why| CaError::Request(why.to_owned()))?;
        Ok(Identity { certificate: made.der().clone(), key })
    }
}

/// The SHA-256 of a certificate, in hexadecimal digits.
pub fn fingerprint(certificate: &[u8]) -> String {
    Sha256::digest(certificate).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What all our certificates have.
fn named(name: &str, now: Timestamp, days: u64) -> Result<CertificateParams, CaError> {
    let is_name = (1..=253).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b' ' | b':' | b'_'));
    if !is_name {
        return Err(CaError::Name(name.to_owned()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let day = |at: Timestamp| {
        let number = |number: u32| u8::try_from(number).unwrap_or(1);
        rcgen::date_time_ymd(at.year(), number(at.month()), number(at.day()))
    };
    params.not_before = day(now - BEFORE);
    // Whole days: the day after the last one.
    params.not_after = day(now + Duration::from_secs((days + 1) * 24 * 60 * 60));
    Ok(params)
}

/// Makes a new file durable.
fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::request::Request;
    use super::*;

    fn at(year: i32) -> Timestamp {
        chrono::TimeZone::with_ymd_and_hms(&chrono::Utc, year, 6, 1, 12, 0, 0).unwrap()
    }

    #[test]
    fn it_is_made_once_its_key_is_its_owner_s_and_it_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let made = Authority::open(folder.path(), at(2026)).unwrap();
        assert_eq!(fs::metadata(folder.path().join("ca.key")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Authority::open(folder.path(), at(2027)).unwrap().fingerprint(), made.fingerprint());
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_gone_is_told_with_the_mend() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(folder.path(), at(2026)).unwrap();
        let key = folder.path().join("ca.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Authority::open(folder.path(), at(2026)).unwrap_err().to_string().contains("chmod 0600"));
        fs::remove_file(&key).unwrap();
        assert!(Authority::open(folder.path(), at(2026)).unwrap_err().to_string().contains("restore"));
    }

    #[test]
    fn a_certificate_has_the_name_we_say_whatever_the_request_says() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), at(2026)).unwrap();
        let request = Request::new("another-node").unwrap();
        let pem = authority.sign(request.pem(), "node-1", at(2026)).unwrap();
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert_eq!(certificate.subject().to_string(), "CN=node-1");
        assert!(!certificate.is_ca());
        let (_, issuer) = x509_parser::parse_x509_certificate(authority.certificate()).unwrap();
        certificate.verify_signature(Some(issuer.public_key())).unwrap();
        for name in ["", "a/b", "ü", &"a".repeat(254)] {
            assert!(matches!(authority.sign(request.pem(), name, at(2026)), Err(CaError::Name(_))), "{name}");
        }
        assert!(matches!(authority.sign("hello", "node-1", at(2026)), Err(CaError::Request(_))));
    }
}

//! Does a host have papers that its controller takes, and for how long still?

use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::host::write_durably;
use super::link::{Link, Papers};
use crate::enrol::ca::fingerprint;
use crate::enrol::endpoint::Join;
use crate::enrol::request::Request;
use crate::model::unit::Timestamp;

/// How the papers of a host stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are good.
    Good,
    /// There are none that could be used.
    None(String),
    /// They are of another authority than the controller's.
    Foreign,
    /// More than three quarters of their life are over, though the agent renews them by itself from half of it on.
    Old,
}

/// Judges the papers of a folder by the authority's SHA-256.
pub fn judge(folder: &Path, authority: &str, now: Timestamp) -> Standing {
    let papers = Papers::of(folder);
    let read = |path: &Path| {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        CertificateDer::from_pem_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
    };
    let (ca, own) = match (read(&papers.ca), read(&papers.own.certificate)) {
        (Ok(ca), Ok(own)) => (ca, own),
        (Err(why), _) | (_, Err(why)) => return Standing::None(why),
    };
    if !papers.own.key.exists() {
        return Standing::None(format!("{} is not there", papers.own.key.display()));
    }
    if !fingerprint(&ca).eq_ignore_ascii_case(authority) {
        return Standing::Foreign;
    }
    match part_of_life(&own, 3, 4) {
        Some(late) if now < late => Standing::Good,
        Some(_) => Standing::Old,
        None => Standing::None(format!("{} cannot be read", papers.own.certificate.display())),
    }
}

/// Whether the certificate of a folder is to be renewed, since half of its life is over. One that cannot be read is not.
pub fn is_due(folder: &Path, now: Timestamp) -> bool {
    let own = std::fs::read(Papers::of(folder).own.certificate).ok();
    let own = own.and_then(|text| CertificateDer::from_pem_slice(&text).ok());
    own.and_then(|own| part_of_life(&own, 1, 2)).is_some_and(|half| now >= half)
}

/// Puts another key and its certificate in place of those there are. A crash in its middle is ended by [`settle`].
///
/// # Errors
/// They cannot be written; the ones before stay.
pub fn exchange(folder: &Path, request: &Request, certificate: &str) -> io::Result<()> {
    let own = Papers::of(folder).own;
    write_durably(&beside(&own.key), request.key().as_bytes(), 0o600)?;
    // When this one is there, both are.
    write_durably(&beside(&own.certificate), certificate.as_bytes(), 0o644)?;
    settle(folder)
}

/// Ends an exchange that a crash has cut.
///
/// # Errors
/// A file cannot be put in its place.
pub fn settle(folder: &Path) -> io::Result<()> {
    let own = Papers::of(folder).own;
    if beside(&own.certificate).exists() {
        if beside(&own.key).exists() {
            std::fs::rename(beside(&own.key), &own.key)?;
            std::fs::File::open(folder)?.sync_all()?;
        }
        std::fs::rename(beside(&own.certificate), &own.certificate)?;
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

/// The moment when a part of a certificate's life is over.
fn part_of_life(certificate: &[u8], part: i64, of: i64) -> Option<DateTime<Utc>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let validity = certificate.validity();
    let (begin, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    DateTime::from_timestamp(begin + (end - begin) / of * part, 0)
}

/// Keeps what the controller gave. The authority must be the one whose hash
/// came another way.
///
/// # Errors
/// It is another authority, or the papers cannot be written.
pub fn keep(
    folder: &Path,
    request: &Request,
    certificate: &str,
    authority: &str,
    expected: &str,
) -> Result<(), String> {
    let der = CertificateDer::from_pem_slice(authority.as_bytes());
    let der = der.map_err(|error| format!("the authority's certificate cannot be read: {error}"))?;
    let found = fingerprint(&der);
    if !found.eq_ignore_ascii_case(expected) {
        return Err(format!(
            "the certificate comes from an authority with the SHA-256 {found}, and the task says {expected}; nothing of it is kept"
        ));
    }
    write(folder, request, certificate, authority)
}

/// Gets a host its papers by a token. `ca` is the file with the authority's certificate, brought by a way that is trusted.
///
/// # Errors
/// The controller gives none, or they cannot be written.
pub async fn join(folder: &Path, ca: &Path, controller: &str, node: &str, token: &str) -> Result<(), String> {
    let authority = std::fs::read_to_string(ca).map_err(|error| format!("cannot read {}: {error}", ca.display()))?;
    let request = Request::new(node).map_err(|error| error.to_string())?;
    let link = Link::new(ca, None).map_err(|error| error.to_string())?;
    let join = Join { node: node.to_owned(), token: token.trim().to_owned(), request: request.pem().to_owned() };
    let joined = link.join(controller.trim_end_matches('/'), &join).await.map_err(|error| error.to_string())?;
    write(folder, &request, &joined.certificate, &authority)
}

fn write(folder: &Path, request: &Request, certificate: &str, authority: &str) -> Result<(), String> {
    write_durably(&Papers::of(folder).ca, authority.as_bytes(), 0o644)
        .and_then(|()| exchange(folder, request, certificate))
        .map_err(|error| format!("cannot write the papers in {}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::enrol::ca::Authority;

    #[test]
    fn papers_are_kept_only_from_the_right_authority_and_are_old_after_most_of_their_life() {
        let (ca, host) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let now = crate::clock::now();
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let authority = Authority::open(ca.path(), now).unwrap().with_life(days(10));
        let request = Request::new("n").unwrap();
        let signed = authority.sign(request.pem(), "n", now).unwrap();
        assert!(matches!(judge(host.path(), &authority.fingerprint(), now), Standing::None(_)));
        let wrong = keep(host.path(), &request, &signed, authority.pem(), &"0".repeat(64)).unwrap_err();
        assert!(wrong.contains("another") || wrong.contains("the task says 000"), "{wrong}");
        assert!(!host.path().join("agent.key").exists());
        keep(host.path(), &request, &signed, authority.pem(), &authority.fingerprint()).unwrap();
        assert_eq!(judge(host.path(), &authority.fingerprint(), now), Standing::Good);
        assert_eq!(judge(host.path(), &authority.fingerprint(), now + days(7)), Standing::Good);
        assert_eq!(judge(host.path(), &authority.fingerprint(), now + days(9)), Standing::Old);
        assert!(!is_due(host.path(), now + days(4)) && is_due(host.path(), now + days(7)));
        assert_eq!(judge(host.path(), &"0".repeat(64), now), Standing::Foreign);
    }

    #[test]
    fn an_exchange_that_was_cut_anywhere_leaves_a_key_that_fits_its_certificate() {
        let host = tempfile::tempdir().unwrap();
        let own = Papers::of(host.path()).own;
        let texts = || (std::fs::read_to_string(&own.key).unwrap(), std::fs::read_to_string(&own.certificate).unwrap());
        let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
        let begin = || {
            write(&own.key, "old key");
            write(&own.certificate, "old");
        };
        begin();
        write(&beside(&own.key), "new key");
        settle(host.path()).unwrap();
        assert_eq!(texts(), ("old key".to_owned(), "old".to_owned()), "the new certificate was not there yet");
        for has_key in [true, false] {
            begin();
            let _ = std::fs::remove_file(beside(&own.key));
            write(if has_key { beside(&own.key) } else { own.key.clone() }.as_path(), "new key");
            write(&beside(&own.certificate), "new");
            settle(host.path()).unwrap();
            assert_eq!(texts(), ("new key".to_owned(), "new".to_owned()));
        }
        let request = Request::new("n").unwrap();
        exchange(host.path(), &request, "newest").unwrap();
        assert_eq!(texts(), (request.key().to_owned(), "newest".to_owned()));
    }
}

//! The web configuration: TLS and users as they are configured, and as they change.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::ServerName;
use scaleio_framework::sim::Release;
use sha2::{Digest, Sha256};

use crate::site::{Site, builder, eventually, still};

/// A certificate for this host in two files, and its PEM.
pub fn certificate(folder: &Path) -> String {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("web.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("web.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.pem()
}

/// A web configuration with TLS and one user.
pub fn web_config(folder: &Path, user: &str, password: &str) {
    // The lowest cost: what is tested is not bcrypt.
    let hash = bcrypt::hash(password, 4).unwrap();
    let text =
        format!("tls_server_config:\n  cert_file: web.pem\n  key_file: web.key\nbasic_auth_users:\n  {user}: {hash}\n");
    let file = folder.join("web.yml");
    std::fs::write(&file, text).unwrap();
    newer(&file);
}

/// Two changes within one tick of the file system's clock are still two.
fn newer(file: &Path) {
    static CHANGES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let change = CHANGES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let file = std::fs::File::options().append(true).open(file).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_millis(change)).unwrap();
}

fn trusting(pem: &str) -> reqwest::Client {
    let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    builder().tls_certs_only([certificate]).pool_max_idle_per_host(0).build().unwrap()
}

/// The status of a scrape, or why there was none.
async fn asked(client: &reqwest::Client, site: &Site, login: Option<(&str, &str)>) -> Result<u16, String> {
    let mut request = client.get(format!("https://{}/metrics", site.controller.web));
    if let Some((user, password)) = login {
        request = request.basic_auth(user, Some(password));
    }
    request.send().await.map(|response| response.status().as_u16()).map_err(|error| format!("{error:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_certificate_and_a_new_user_are_taken_without_a_restart_and_a_broken_file_is_not() {
    let world = still(Release::V3_6).await;
    let web = tempfile::tempdir().unwrap();
    let first = certificate(web.path());
    web_config(web.path(), "old", "old password");
    let file = web.path().join("web.yml");
    let site = Site::watching(&[("prod", &world)], |config| config.web.config_file = Some(file.clone())).await;
    let (old, new) = (("old", "old password"), ("new", "new password"));
    let client = trusting(&first);
    assert_eq!(asked(&client, &site, Some(old)).await, Ok(200));
    assert_eq!(asked(&client, &site, Some(new)).await, Ok(401));
    assert_eq!(asked(&client, &site, Some(("old", "new password"))).await, Ok(401));
    assert_eq!(asked(&client, &site, None).await, Ok(401));
    let plain = builder().build().unwrap().get(format!("http://{}/metrics", site.controller.web)).send().await;
    assert!(plain.is_err(), "a TLS port answers no plain request");

    // A broken file: whoever could come in still can, nobody else can.
    for broken in [
        "basic_auth_users:\n  new: not-a-hash\n",
        "tls_server_config: {",
        "tls_server_config:\n  cert_file: no.pem\n  key_file: no.key\n",
    ] {
        std::fs::write(&file, broken).unwrap();
        newer(&file);
        let begun = std::time::Instant::now();
        // It is looked at once a second.
        while begun.elapsed() < Duration::from_millis(1200) {
            assert_eq!(asked(&client, &site, Some(old)).await, Ok(200), "{broken}");
            assert_eq!(asked(&client, &site, Some(new)).await, Ok(401), "{broken}");
        }
    }

    let second = certificate(web.path());
    web_config(web.path(), "new", "new password");
    let renewed = trusting(&second);
    eventually("the new certificate and user are taken", async || match asked(&renewed, &site, Some(new)).await {
        Ok(200) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    assert_eq!(asked(&renewed, &site, Some(old)).await, Ok(401), "the old user is out");
    assert!(asked(&client, &site, Some(new)).await.is_err(), "the old certificate is not served any more");
    assert_eq!(served(&site).await, fingerprint(&second));
}

fn fingerprint(pem: &str) -> [u8; 32] {
    use rustls::pki_types::pem::PemObject as _;
    Sha256::digest(rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).into()
}

/// The SHA-256 of what is served now.
async fn served(site: &Site) -> [u8; 32] {
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::pem::PemObject as _;
    let pem = std::fs::read(site.config.web.config_file.as_ref().unwrap().with_file_name("web.pem")).unwrap();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = tokio::net::TcpStream::connect(site.controller.web).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    Sha256::digest(&stream.get_ref().1.peer_certificates().unwrap()[0]).into()
}

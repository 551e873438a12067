//! A mail server that keeps what it gets, and a page that shows it: where the
//! mails of the demo end.
//!
//! It offers what a relay of a site offers: STARTTLS by a certificate of its
//! own authority, then a login; nothing is taken before both. Mails are read
//! by a parser that shares nothing with the code that writes them.

mod inbox;
mod page;
mod smtp;

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::gateway::Login;
pub use inbox::{Inbox, Kept};

/// Why a mail server did not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SinkError {
    #[error("the mail server of the demo cannot listen on {address}; choose a free address, or port 0")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot make a certificate for the mail server of the demo")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS for the mail server of the demo")]
    Tls(#[from] rustls::Error),
}

/// A running mail server with its page. It ends when this is dropped.
pub struct MailSink {
    smtp: SocketAddr,
    web: SocketAddr,
    authority: String,
    login: Login,
    inbox: Arc<Inbox>,
    // Dropped with this, which ends the servers.
    _tasks: JoinSet<()>,
}

impl MailSink {
    /// Begins to take mails at the first address and to show them at the second.
    pub async fn start(smtp: SocketAddr, web: SocketAddr) -> Result<Self, SinkError> {
        let (authority, tls) = certificates(&["localhost".to_owned(), smtp.ip().to_string()])?;
        let login = Login { user: "sio".to_owned(), password: "Only-for-the-demo-1".to_owned() };
        let inbox = Arc::new(Inbox::default());
        let (smtp_listener, smtp) = listen(smtp).await?;
        let (web_listener, web) = listen(web).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(smtp::serve(smtp_listener, tls, login.clone(), Arc::clone(&inbox)));
        tasks.spawn(page::serve(web_listener, Arc::clone(&inbox)));
        Ok(Self { smtp, web, authority, login, inbox, _tasks: tasks })
    }

    /// Where mails are taken.
    pub const fn smtp(&self) -> SocketAddr {
        self.smtp
    }

    /// Where mails are shown.
    pub const fn web(&self) -> SocketAddr {
        self.web
    }

    /// The authority that signed the certificate of the server.
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// Who may send.
    pub const fn login(&self) -> &Login {
        &self.login
    }

    /// What was taken.
    pub const fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), SinkError> {
    let fail = |source| SinkError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let address = listener.local_addr().map_err(fail)?;
    Ok((listener, address))
}

/// An authority as PEM, and TLS with a certificate that it signed.
fn certificates(names: &[String]) -> Result<(String, TlsAcceptor), SinkError> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "authority of the demo's mail server");
    let pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let mut own = CertificateParams::new(names.to_vec())?;
    // One name for both would make it look like an authority that signed itself.
    own.distinguished_name.push(DnType::CommonName, "the demo's mail server");
    own.use_authority_key_identifier_extension = true;
    let certificate = own.signed_by(&key, &Issuer::new(authority, authority_key))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((pem, TlsAcceptor::from(Arc::new(config))))
}

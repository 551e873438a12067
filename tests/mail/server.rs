//! A mail server that does what a test tells it, over real TCP and TLS.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use scaleio_framework::config::{ClientCertificate, Trust};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Where the talk stands when the script is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    Greeting,
    Ehlo,
    StartTls,
    Auth,
    MailFrom,
    Rcpt,
    Data,
    /// The mail is there with its final dot.
    Body,
    Rset,
}

/// What the server does there.
#[derive(Clone, Debug)]
pub enum Do {
    /// What a good server does.
    Well,
    /// This answer, and nothing else is done.
    Say(&'static str),
    /// Close the connection.
    Cut,
    /// Keep the mail, then close the connection without an answer.
    KeepAndCut,
    /// Keep the mail, then never answer.
    KeepAndNothing,
    /// Never answer.
    Nothing,
}

/// Told where it stands, what was said, and how often it stood there before on any connection.
pub type Script = Arc<dyn Fn(At, &str, usize) -> Do + Send + Sync>;

pub fn well() -> Script {
    Arc::new(|_, _, _| Do::Well)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    StartTls,
    /// Does not know STARTTLS.
    Clear,
    Implicit,
    /// Says more in one packet with its answer to STARTTLS.
    Injecting,
    /// Wants a certificate of the client.
    ClientCertificate,
}

#[derive(Clone, Debug, Default)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub data: Vec<u8>,
    pub encrypted: bool,
    pub user: String,
}

impl Received {
    pub fn id(&self) -> String {
        self.header("Message-ID: ")
    }

    pub fn header(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.data).into_owned();
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    }
}

#[derive(Default)]
struct Seen {
    mails: Vec<Received>,
    commands: Vec<String>,
    counts: std::collections::BTreeMap<String, usize>,
    connections: usize,
}

/// A running server; gone when dropped.
pub struct Server {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An authority and what it signed, on disk and in memory.
pub struct Certificates {
    folder: tempfile::TempDir,
    server: Arc<ServerConfig>,
    demanding: Arc<ServerConfig>,
}

impl Certificates {
    /// For loopback, by an authority of its own.
    pub fn new() -> Self {
        Self::named(&["localhost", "127.0.0.1"])
    }

    pub fn named(names: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&key).unwrap();
        let issuer = Issuer::new(ca, key);
        let signed = |names: &[&str]| {
            let key = KeyPair::generate().unwrap();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            (CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap(), key)
        };
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let (server, server_key) = signed(names);
        let (client, client_key) = signed(&["ctl1.example.test"]);
        write("ca.pem", ca_certificate.pem());
        write("server.pem", server.pem());
        write("server.key", server_key.serialize_pem());
        write("client.pem", client.pem());
        write("client.key", client_key.serialize_pem());
        let config = |demanding: bool| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder =
                ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
            let builder = if demanding {
                let mut roots = RootCertStore::empty();
                roots.add(ca_certificate.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.unwrap())
            } else {
                builder.with_no_client_auth()
            };
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
            Arc::new(builder.with_single_cert(vec![server.der().clone()], key).unwrap())
        };
        let (server, demanding) = (config(false), config(true));
        Self { folder, server, demanding }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }

    pub fn trust(&self) -> Trust {
        Trust::CaFile(self.path("ca.pem"))
    }

    pub fn own(&self) -> ClientCertificate {
        ClientCertificate { certificate: self.path("client.pem"), key: self.path("client.key") }
    }
}

impl Server {
    pub async fn start(style: Style, certificates: &Certificates, script: Script) -> Self {
        Self::on(0, style, certificates, script).await
    }

    /// On a port that may have been used a moment ago.
    pub async fn on(port: u16, style: Style, certificates: &Certificates, script: Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let demands = style == Style::ClientCertificate;
        let config = if demands { &certificates.demanding } else { &certificates.server };
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let shared = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            // Connections end with the server, as those of a killed process do.
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let talk = Talk { style, script: Arc::clone(&script), seen: Arc::clone(&shared) };
                let acceptor = acceptor.clone();
                talks.spawn(async move {
                    // A client that breaks off is part of many tests.
                    let _ = talk.run(tcp, acceptor).await;
                });
            }
        });
        Self { port, seen, task }
    }

    pub fn mails(&self) -> Vec<Received> {
        self.seen.lock().unwrap().mails.clone()
    }

    pub fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }

    pub fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

struct Talk {
    style: Style,
    script: Script,
    seen: Arc<Mutex<Seen>>,
}

enum End {
    StartTls,
    Quit,
}

impl Talk {
    async fn run(self, tcp: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
        if self.style == Style::Implicit {
            let tls = acceptor.accept(tcp).await?;
            self.talk(&mut BufReader::new(tls), true, true).await.map(drop)
        } else {
            let mut tcp = BufReader::new(tcp);
            if matches!(self.talk(&mut tcp, false, true).await?, End::StartTls) {
                let tls = acceptor.accept(tcp.into_inner()).await?;
                self.talk(&mut BufReader::new(tls), true, false).await?;
            }
            Ok(())
        }
    }

    async fn talk<S>(&self, stream: &mut BufReader<S>, encrypted: bool, greet: bool) -> io::Result<End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut mail = Received { encrypted, ..Received::default() };
        if greet {
            self.act(stream, At::Greeting, "", "220 scripted.example.test ESMTP").await?;
        }
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(End::Quit);
            }
            let line = line.trim_end().to_owned();
            self.seen.lock().unwrap().commands.push(line.clone());
            let word = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "EHLO" => {
                    let offers = match (self.style, encrypted) {
                        (Style::Clear, _) => "250-scripted\r\n250 SIZE 10000000",
                        (_, true) => "250-scripted\r\n250-SIZE 10000000\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
                        (_, false) => "250-scripted\r\n250-8BITMIME\r\n250 STARTTLS",
                    };
                    self.act(stream, At::Ehlo, &line, offers).await?;
                }
                "STARTTLS" if self.style == Style::Injecting => {
                    stream.write_all(b"220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n").await?;
                    return Ok(End::StartTls);
                }
                "STARTTLS" => {
                    self.act(stream, At::StartTls, &line, "220 2.0.0 go ahead").await?;
                    return Ok(End::StartTls);
                }
                "AUTH" => {
                    let good = base64::engine::general_purpose::STANDARD.encode("\0sio\0s3cret-word");
                    if line == format!("AUTH PLAIN {good}") {
                        self.act(stream, At::Auth, &line, "235 2.7.0 welcome").await?;
                        mail.user = "sio".to_owned();
                    } else {
                        self.act(stream, At::Auth, &line, "535 5.7.8 wrong password").await?;
                    }
                }
                "MAIL" => {
                    if self.act(stream, At::MailFrom, &line, "250 2.1.0 ok").await? {
                        mail.from = inner(&line);
                        mail.to.clear();
                    }
                }
                "RCPT" => {
                    if self.act(stream, At::Rcpt, &line, "250 2.1.5 ok").await? {
                        mail.to.push(inner(&line));
                    }
                }
                "DATA" => {
                    if self.act(stream, At::Data, &line, "354 go on").await? {
                        mail.data = body(stream).await?;
                        self.end(stream, &mail).await?;
                    }
                }
                "RSET" => {
                    self.act(stream, At::Rset, &line, "250 2.0.0 ok").await?;
                }
                "QUIT" => {
                    stream.write_all(b"221 2.0.0 bye\r\n").await?;
                    return Ok(End::Quit);
                }
                _ => stream.write_all(b"500 5.5.2 what?\r\n").await?,
            }
        }
    }

    async fn end<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        mail: &Received,
    ) -> io::Result<()> {
        let keep = || self.seen.lock().unwrap().mails.push(mail.clone());
        match self.ask(At::Body, &mail.id()) {
            Do::Well => {
                keep();
                stream.write_all(b"250 2.0.0 queued\r\n").await
            }
            Do::KeepAndCut => {
                keep();
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Do::KeepAndNothing => {
                keep();
                std::future::pending().await
            }
            other => self.other(stream, other).await,
        }
    }

    /// True when the server did well.
    async fn act<S>(&self, stream: &mut BufReader<S>, at: At, said: &str, well: &str) -> io::Result<bool>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match self.ask(at, said) {
            Do::Well => {
                stream.write_all(format!("{well}\r\n").as_bytes()).await?;
                Ok(true)
            }
            other => self.other(stream, other).await.map(|()| false),
        }
    }

    fn ask(&self, at: At, said: &str) -> Do {
        let nth = {
            let mut seen = self.seen.lock().unwrap();
            let count = seen.counts.entry(format!("{at:?}")).or_default();
            *count += 1;
            *count - 1
        };
        (self.script)(at, said, nth)
    }

    async fn other<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut BufReader<S>, act: Do) -> io::Result<()> {
        match act {
            Do::Say(answer) => stream.write_all(format!("{answer}\r\n").as_bytes()).await,
            Do::Nothing | Do::KeepAndNothing => std::future::pending().await,
            Do::Cut | Do::KeepAndCut | Do::Well => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }
}

/// What stands between angle brackets.
fn inner(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

/// Reads to the final dot; dots that were doubled are single again.
async fn body<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>) -> io::Result<Vec<u8>> {
    let mut mail = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(mail);
        }
        mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

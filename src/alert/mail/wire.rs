//! How a connection to a mail server is made and encrypted, before the first
//! mail goes over it.
//!
//! lettre could do STARTTLS, but knows no client certificates with rustls, and
//! would read what a man in the middle put behind the server's answer to
//! STARTTLS as if it had come encrypted. So the few lines before the handshake
//! are spoken here, and lettre begins behind it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use lettre::transport::smtp::commands::{Ehlo, Starttls};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::outcome::{Reply, Scope, Stage, Trouble};
use crate::config::{MailHost, MailTls};
use crate::model::unit::Timestamp;
use crate::tls;

/// A greeting and a list of extensions are a few hundred bytes.
const LONGEST_REPLY: usize = 16 * 1024;

/// What a connection is made with.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) tls: MailTls,
    pub(super) config: Arc<ClientConfig>,
    pub(super) hello: ClientId,
    pub(super) connect_timeout: Duration,
    pub(super) command_timeout: Duration,
}

impl Dialer {
    /// Opens a connection; an encrypted one unless that was said not to be wanted.
    pub(super) async fn open(&self, host: &MailHost) -> Result<Wire, Trouble> {
        let trouble =
            |stage, what: String| Trouble { host: host.to_string(), stage, reply: None, what, scope: Scope::Server };
        let connect = TcpStream::connect((host.name.as_str(), host.port));
        let mut tcp = match timeout(self.connect_timeout, connect).await {
            Ok(Ok(tcp)) => tcp,
            Ok(Err(error)) => return Err(trouble(Stage::Connect, format!("cannot be reached: {error}"))),
            Err(_) => {
                return Err(trouble(Stage::Connect, format!("did not answer within {:?}", self.connect_timeout)));
            }
        };
        // Commands are short and wait for answers; a delay by Nagle would add up.
        tcp.set_nodelay(true).map_err(|error| trouble(Stage::Connect, error.to_string()))?;
        let greeting: &[u8] = match self.tls {
            MailTls::None => return Ok(Wire { inner: Inner::Plain(tcp), replay: &[] }),
            MailTls::Implicit => &[],
            MailTls::StartTls => {
                let ask = timeout(self.command_timeout, ask_for_tls(&mut tcp, &self.hello));
                match ask.await {
                    Ok(Ok(())) => {}
                    Ok(Err(refusal)) => return Err(refusal.into_trouble(host)),
                    Err(_) => {
                        let what = format!("said nothing for {:?}", self.command_timeout);
                        return Err(trouble(Stage::Hello, what));
                    }
                }
                b"220 encrypted\r\n"
            }
        };
        let name = ServerName::try_from(host.name.clone())
            .map_err(|_| trouble(Stage::Tls, "its name cannot stand in a certificate".to_owned()))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        match timeout(self.command_timeout, connector.connect(name, tcp)).await {
            Ok(Ok(stream)) => Ok(Wire { inner: Inner::Tls(Box::new(stream)), replay: greeting }),
            Ok(Err(error)) => Err(trouble(Stage::Tls, tls::explain_io(&error))),
            Err(_) => Err(trouble(Stage::Tls, format!("the TLS handshake took more than {:?}", self.command_timeout))),
        }
    }
}

/// Why STARTTLS did not come about.
enum Refusal {
    Broken(Stage, String),
    Said(Stage, Reply),
    NotOffered,
    SpokeTooSoon,
}

impl Refusal {
    fn into_trouble(self, host: &MailHost) -> Trouble {
        let (stage, reply, what) = match self {
            Self::Broken(stage, what) => (stage, None, what),
            Self::Said(stage, reply) => {
                let what = format!("said {reply}");
                (stage, Some(reply), what)
            }
            Self::NotOffered => (
                Stage::Tls,
                None,
                "does not offer STARTTLS, and mail does not go in the clear; let it offer it, or set tls to \"implicit\" and the port of that"
                    .to_owned(),
            ),
            Self::SpokeTooSoon => {
                (Stage::Tls, None, "spoke on before it was encrypted, as somebody in between would".to_owned())
            }
        };
        Trouble { host: host.to_string(), stage, reply, what, scope: Scope::Server }
    }
}

async fn ask_for_tls(tcp: &mut TcpStream, hello: &ClientId) -> Result<(), Refusal> {
    let mut unread = Vec::new();
    expect(tcp, &mut unread, Stage::Hello).await?;
    say(tcp, &Ehlo::new(hello.clone()), Stage::Hello).await?;
    let offers = expect(tcp, &mut unread, Stage::Hello).await?;
    let starttls = |line: &str| line.split_whitespace().next().is_some_and(|w| w.eq_ignore_ascii_case("STARTTLS"));
    if !offers.message().any(starttls) {
        return Err(Refusal::NotOffered);
    }
    say(tcp, &Starttls, Stage::Tls).await?;
    expect(tcp, &mut unread, Stage::Tls).await?;
    if unread.is_empty() { Ok(()) } else { Err(Refusal::SpokeTooSoon) }
}

async fn say(tcp: &mut TcpStream, command: &impl std::fmt::Display, stage: Stage) -> Result<(), Refusal> {
    let broken = |error: io::Error| Refusal::Broken(stage, format!("broke off: {error}"));
    tcp.write_all(command.to_string().as_bytes()).await.map_err(broken)
}

/// Reads an answer and leaves what follows it unread; any answer but a yes is an error.
async fn expect(tcp: &mut TcpStream, unread: &mut Vec<u8>, stage: Stage) -> Result<Response, Refusal> {
    let broken = |what: &str| Refusal::Broken(stage, what.to_owned());
    let end = loop {
        if let Some(end) = end_of_reply(unread) {
            break end;
        }
        if unread.len() > LONGEST_REPLY {
            return Err(broken("answers without end"));
        }
        match tcp.read_buf(unread).await {
            Ok(0) => return Err(broken("closed the connection")),
            Ok(_) => {}
            Err(error) => return Err(Refusal::Broken(stage, format!("broke off: {error}"))),
        }
    };
    let reply: Vec<u8> = unread.drain(..end).collect();
    let reply: Response =
        String::from_utf8_lossy(&reply).parse().map_err(|_| broken("does not speak SMTP on this port"))?;
    if reply.is_positive() {
        Ok(reply)
    } else {
        let text = reply.message().collect::<Vec<_>>().join(" ");
        Err(Refusal::Said(stage, Reply::read(reply.code().into(), &text)))
    }
}

/// Behind the first line that is the last of its answer: one without `-` after the code.
fn end_of_reply(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if bytes.get(start + 3) != Some(&b'-') {
            return Some(at + 1);
        }
        start = at + 1;
    }
    None
}

/// A connection that is ready for a greeting or repeats the one it had.
#[derive(Debug)]
pub(super) struct Wire {
    inner: Inner,
    /// What lettre still has to read before the server: it expects a greeting,
    /// and after STARTTLS a server sends none.
    replay: &'static [u8],
}

#[derive(Debug)]
enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Until when the server's certificate is good; none where it is not encrypted or cannot be read.
    pub(super) fn good_until(&self) -> Option<Timestamp> {
        match &self.inner {
            Inner::Plain(_) => None,
            Inner::Tls(stream) => tls::good_until(stream.get_ref().1.peer_certificates()?.first()?),
        }
    }

    /// Whether nobody in between can read along.
    pub(super) const fn is_encrypted(&self) -> bool {
        matches!(self.inner, Inner::Tls(_))
    }
}

impl AsyncTokioStream for Wire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        match &self.inner {
            Inner::Plain(tcp) => tcp.peer_addr(),
            Inner::Tls(tls) => tls.get_ref().0.peer_addr(),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.replay.is_empty() {
            let (now, later) = self.replay.split_at(self.replay.len().min(buf.remaining()));
            buf.put_slice(now);
            self.replay = later;
            return Poll::Ready(Ok(()));
        }
        match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Inner::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Inner::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Inner::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.inner {
            Inner::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Inner::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

//! How are mails taken? SMTP by RFC 5321, as much as a client that sends needs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::inbox::Inbox;
use crate::clock;
use crate::sim::gateway::Login;

/// What the server takes; far more than any mail of ours.
const LARGEST: usize = 10 << 20;
/// RFC 5321 4.5.3.1: 512 for a command, more where extensions say so.
const LONGEST_LINE: u64 = 4096;
/// RFC 5321 4.5.3.2.7.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// RFC 5321 4.5.3.1.8.
const RECIPIENTS: usize = 100;

pub(super) async fn serve(listener: TcpListener, tls: TlsAcceptor, login: Login, inbox: Arc<Inbox>) {
    let mut talks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            Some(_) = talks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let talk = Talk { login: login.clone(), inbox: Arc::clone(&inbox), envelope: None, known: false };
                talks.spawn(connection(stream, tls.clone(), talk));
            }
            // Out of descriptors, or the peer left before we took it.
            Err(error) => {
                tracing::debug!(%error, "simulated mail server: accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, mut talk: Talk) {
    let talked = async {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        say(&mut stream, "220 demo mail server, nothing leaves it").await?;
        if talk.clear(&mut stream).await? == End::StartTls {
            // What a man in the middle put behind the command must not be taken for encrypted.
            if !stream.buffer().is_empty() {
                return Ok(());
            }
            let mut stream = BufReader::new(tls.accept(stream.into_inner()).await?);
            talk.encrypted(&mut stream).await?;
        }
        Ok::<(), io::Error>(())
    };
    // Clients break connections as they like; that is no event here.
    let _ = talked.await;
}

#[derive(PartialEq, Eq)]
enum End {
    StartTls,
    Quit,
}

struct Talk {
    login: Login,
    inbox: Arc<Inbox>,
    envelope: Option<(String, Vec<String>)>,
    /// Whether the client logged in.
    known: bool,
}

impl Talk {
    /// Before STARTTLS nothing else is to be had.
    async fn clear(&mut self, stream: &mut BufReader<TcpStream>) -> io::Result<End> {
        loop {
            let Some(line) = line(stream).await? else { return Ok(End::Quit) };
            let answer = match verb(&line).as_str() {
                "EHLO" => "250-demo\r\n250-8BITMIME\r\n250 STARTTLS",
                "HELO" => "250 demo",
                "NOOP" | "RSET" => "250 2.0.0 ok",
                "STARTTLS" => {
                    say(stream, "220 2.0.0 go ahead").await?;
                    return Ok(End::StartTls);
                }
                "QUIT" => {
                    say(stream, "221 2.0.0 bye").await?;
                    return Ok(End::Quit);
                }
                _ => "530 5.7.0 use STARTTLS first",
            };
            say(stream, answer).await?;
        }
    }

    async fn encrypted<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut BufReader<S>) -> io::Result<()> {
        loop {
            let Some(line) = line(stream).await? else { return Ok(()) };
            let answer = match verb(&line).as_str() {
                "EHLO" => {
                    self.envelope = None;
                    format!(
                        "250-demo\r\n250-SIZE {LARGEST}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN"
                    )
                }
                "NOOP" => "250 2.0.0 ok".to_owned(),
                "RSET" => {
                    self.envelope = None;
                    "250 2.0.0 ok".to_owned()
                }
                "QUIT" => return say(stream, "221 2.0.0 bye").await,
                "AUTH" => self.log_in(stream, &line).await?,
                _ if !self.known => "530 5.7.0 log in first".to_owned(),
                "MAIL" => {
                    self.envelope = Some((address(&line), Vec::new()));
                    "250 2.1.0 ok".to_owned()
                }
                "RCPT" => match &mut self.envelope {
                    Some((_, to)) if to.len() < RECIPIENTS => {
                        to.push(address(&line));
                        "250 2.1.5 ok".to_owned()
                    }
                    Some(_) => "452 4.5.3 too many recipients".to_owned(),
                    None => "503 5.5.1 say MAIL first".to_owned(),
                },
                "DATA" => match self.envelope.take() {
                    Some((from, to)) if !to.is_empty() => {
                        say(stream, "354 go on, end with a dot").await?;
                        match body(stream).await? {
                            Some(raw) => {
                                let number = self.inbox.keep(clock::now(), from, to, raw);
                                format!("250 2.0.0 kept as {number}")
                            }
                            None => "552 5.3.4 larger than the server takes".to_owned(),
                        }
                    }
                    _ => "503 5.5.1 say MAIL and RCPT first".to_owned(),
                },
                _ => "500 5.5.2 the command is not known".to_owned(),
            };
            say(stream, &answer).await?;
        }
    }

    /// RFC 4616, with the answer in the command or after it.
    async fn log_in<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
        command: &str,
    ) -> io::Result<String> {
        let mut words = command.split_whitespace().skip(1);
        if !words.next().is_some_and(|word| word.eq_ignore_ascii_case("PLAIN")) {
            return Ok("504 5.5.4 only PLAIN".to_owned());
        }
        let said = match words.next() {
            Some(word) => word.to_owned(),
            None => {
                say(stream, "334 ").await?;
                line(stream).await?.unwrap_or_default()
            }
        };
        let wanted = format!("\0{}\0{}", self.login.user, self.login.password);
        self.known = STANDARD.decode(said.trim()).is_ok_and(|said| said == wanted.as_bytes());
        let answer = if self.known { "235 2.7.0 welcome" } else { "535 5.7.8 user or password is wrong" };
        Ok(answer.to_owned())
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, answer: &str) -> io::Result<()> {
    stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// A command; none when the client has gone or says too much.
async fn line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut limited = stream.take(LONGEST_LINE);
    let read = timeout(IDLE, limited.read_until(b'\n', &mut bytes)).await;
    let whole = matches!(read, Ok(Ok(_))) && bytes.ends_with(b"\n");
    Ok(whole.then(|| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

/// A mail up to its dot, without what was doubled; none when it is too large.
async fn body<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<Vec<u8>>> {
    let mut mail = Vec::new();
    let mut fits = true;
    loop {
        let mut line = Vec::new();
        let read = timeout(IDLE, stream.take(LARGEST as u64 + 1).read_until(b'\n', &mut line)).await;
        if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(fits.then_some(mail));
        }
        fits &= mail.len() + line.len() <= LARGEST;
        if fits {
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}

fn verb(line: &str) -> String {
    line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase()
}

/// What stands between angle brackets.
fn address(line: &str) -> String {
    line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(address, _)| address).to_owned()
}

//! How does a line come to the system log? RFC 5424, by a unix socket, UDP or TCP (octets counted, RFC 6587). What cannot be
//! sent is counted and told when it can be again: the history itself has all of it.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config::Syslog;
use crate::model::unit::Timestamp;

/// Lines that wait for a receiver that is slow.
const WAITING: usize = 1_024;

/// For one line.
const PATIENCE: Duration = Duration::from_secs(5);

/// A receiver that refused is left alone for so long.
const REST: Duration = Duration::from_secs(30);

/// `local0`, informational.
const PRIORITY: u8 = 16 * 8 + 6;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub at: Timestamp,
    /// Of which system.
    pub system: String,
    /// The number of the entry.
    pub number: u64,
    /// It in words.
    pub text: String,
}

/// As it goes over the wire.
pub fn format(line: &Line, host: &str) -> String {
    let tame = |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
    // In values of structured data these are escaped.
    let value: String = tame(&line.system)
        .chars()
        .flat_map(|c| if matches!(c, '"' | '\\' | ']') { vec!['\\', c] } else { vec![c] })
        .collect();
    let name: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
    let host = if name.is_empty() { "-" } else { &name };
    let at = line.at.format("%Y-%m-%dT%H:%M:%S%.6fZ");
    let number = line.number;
    // 32473 is the number of examples: what is ours has no registered one. The mark before the text says that it is UTF-8.
    format!(
        "<{PRIORITY}>1 {at} {host} sio {} history [history@32473 system=\"{value}\" number=\"{number}\"] \u{feff}{}",
        std::process::id(),
        tame(&line.text)
    )
}

/// The end that gives lines.
#[derive(Clone, Debug)]
pub struct Sink(mpsc::Sender<Line>);

impl Sink {
    /// Gives a line; false when too many wait.
    pub fn send(&self, line: Line) -> bool {
        self.0.try_send(line).is_ok()
    }
}

/// Both ends.
pub fn open() -> (Sink, mpsc::Receiver<Line>) {
    let (sender, lines) = mpsc::channel(WAITING);
    (Sink(sender), lines)
}

enum Way {
    Unix(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

async fn connect(to: &Syslog) -> io::Result<Way> {
    Ok(match to {
        Syslog::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            Way::Unix(socket)
        }
        Syslog::Udp(address) => {
            let mut found = tokio::net::lookup_host(address).await?;
            let peer = found.next().ok_or_else(|| io::Error::other("the name has no address"))?;
            let any = if peer.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).await?;
            socket.connect(peer).await?;
            Way::Udp(socket)
        }
        Syslog::Tcp(address) => Way::Tcp(TcpStream::connect(address).await?),
    })
}

async fn send(way: &mut Way, line: &str) -> io::Result<()> {
    match way {
        Way::Unix(socket) => socket.send(line.as_bytes()).await.map(drop),
        Way::Udp(socket) => socket.send(line.as_bytes()).await.map(drop),
        Way::Tcp(stream) => stream.write_all(format!("{} {line}", line.len()).as_bytes()).await,
    }
}

/// Sends until told to stop.
pub async fn run(to: Syslog, host: String, mut lines: mpsc::Receiver<Line>, stop: CancellationToken) {
    let mut way: Option<Way> = None;
    let (mut lost, mut resting) = (0_u64, None::<tokio::time::Instant>);
    loop {
        let line = tokio::select! {
            () = stop.cancelled() => return,
            line = lines.recv() => match line { Some(line) => line, None => return },
        };
        if resting.is_some_and(|until| tokio::time::Instant::now() < until) {
            lost += 1;
            continue;
        }
        let text = format(&line, &host);
        let tried = timeout(PATIENCE, async {
            if way.is_none() {
                way = Some(connect(&to).await?);
            }
            match &mut way {
                Some(way) => send(way, &text).await,
                None => Ok(()),
            }
        });
        match tried.await.unwrap_or_else(|_| Err(io::Error::other("no answer in time"))) {
            Ok(()) => {
                if lost > 0 {
                    warn!(%to, lost, "the system log takes lines again; what it lacks is in `sio history`");
                }
                (lost, resting) = (0, None);
            }
            Err(error) => {
                if lost == 0 {
                    warn!(%to, %error, "the system log takes no lines; what it lacks is in `sio history`");
                }
                lost += 1;
                way = None;
                resting = Some(tokio::time::Instant::now() + REST);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    fn line() -> Line {
        let at = "2026-11-30T01:02:03.5Z".parse().unwrap();
        Line { at, system: "a\"]b".into(), number: 7, text: "run-0001 was paused\nby ada".into() }
    }

    #[test]
    fn a_line_is_one_of_rfc_5424_whatever_it_says() {
        let said = format(&line(), "host one");
        let process = std::process::id();
        assert_eq!(
            said,
            format!(
                "<134>1 2026-11-30T01:02:03.500000Z hostone sio {process} history [history@32473 system=\"a\\\"\\]b\" number=\"7\"] \
                 \u{feff}run-0001 was paused by ada"
            )
        );
    }

    #[tokio::test]
    async fn each_way_brings_it_and_tcp_counts_octets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let unix = UnixDatagram::bind(&path).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wanted = format(&line(), "h");
        let ways = [
            Syslog::Unix(path),
            Syslog::Udp(udp.local_addr().unwrap().to_string()),
            Syslog::Tcp(tcp.local_addr().unwrap().to_string()),
        ];
        for to in ways {
            let (sink, lines) = open();
            let stop = CancellationToken::new();
            let task = tokio::spawn(run(to.clone(), "h".into(), lines, stop.clone()));
            assert!(sink.send(line()));
            let mut buffer = vec![0; 4096];
            let said = match &to {
                Syslog::Unix(_) => unix.recv(&mut buffer).await.unwrap(),
                Syslog::Udp(_) => udp.recv(&mut buffer).await.unwrap(),
                Syslog::Tcp(_) => {
                    let (mut stream, _) = tcp.accept().await.unwrap();
                    let framed = format!("{} {wanted}", wanted.len());
                    buffer.truncate(framed.len());
                    stream.read_exact(&mut buffer).await.unwrap();
                    assert_eq!(String::from_utf8_lossy(&buffer), framed);
                    buffer.drain(..framed.len() - wanted.len());
                    wanted.len()
                }
            };
            assert_eq!(String::from_utf8_lossy(&buffer[..said]), wanted, "{to}");
            stop.cancel();
            task.await.unwrap();
        }
    }
}

//! Connections: accepts them on TCP, TLS or a unix socket, and serves HTTP on
//! each with limits, until told to stop.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::access::Access;

/// Scrapers and people are few; beyond this many somebody holds connections.
const CONNECTIONS_AT_ONCE: usize = 512;

/// A request's head comes in one piece; who takes longer holds a place for nothing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A handshake is three packets, and a slow one is no scraper of ours.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers under way at the end get this long; a huge scrape takes a second or two.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// The address at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A place where requests come in.
pub enum Listener {
    /// People and scrapers, plainly or by TLS as the web configuration says.
    Tcp(TcpListener, Arc<Access>),
    /// The command line on this host; the file's mode is the guard.
    Unix(UnixListener, SocketFile),
}

/// Removes the socket's file at the end.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens for people and scrapers.
    pub async fn tcp(address: SocketAddr, access: Arc<Access>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let place = format!("cannot listen on {address}");
            match error.kind() {
                io::ErrorKind::AddrInUse => {
                    let taken = "another process listens there; stop it, or set web.listen to a free address";
                    at(&place, &io::Error::new(error.kind(), taken))
                }
                _ => at(&place, &error),
            }
        })?;
        Ok(Self::Tcp(listener, access))
    }

    /// Listens for the command line. A socket left by a process that is gone is
    /// replaced; one that answers belongs to another controller.
    pub fn unix(path: &Path) -> io::Result<Self> {
        let place = || format!("cannot listen on the socket {}", path.display());
        if let Ok(found) = fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                let error = io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is another file of that name; remove it, or set control.socket to another path",
                );
                return Err(at(&place(), &error));
            }
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                let error = io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another controller answers there; stop it, or set control.socket to a path of its own",
                );
                return Err(at(&place(), &error));
            }
            fs::remove_file(path).map_err(|error| at(&place(), &error))?;
        }
        let listener = UnixListener::bind(path).map_err(|error| at(&place(), &error))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|error| at(&place(), &error))?;
        Ok(Self::Unix(listener, SocketFile(path.to_owned())))
    }

    /// The address that was bound, for port 0.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener, _) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// Serves until told to stop, then lets answers under way finish.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_AT_ONCE));
        let open = GracefulShutdown::new();
        loop {
            // One place is taken before a connection is: those over the limit wait in the kernel's queue.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.accept() => accepted,
            };
            let connection = match accepted {
                Ok(connection) => connection,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting gives some back.
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let router = router.clone();
            let watcher = open.watcher();
            tokio::spawn(async move {
                let _place = place;
                match connection {
                    Connection::Plain(stream, peer) => answer(stream, Some(peer), router, watcher).await,
                    Connection::Unix(stream) => answer(stream, None, router, watcher).await,
                    Connection::Tls(stream, peer, acceptor) => {
                        match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => answer(stream, Some(peer), router, watcher).await,
                            Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                            Err(_) => debug!("a TLS handshake took too long"),
                        }
                    }
                }
            });
        }
        drop(self);
        if tokio::time::timeout(LAST_ANSWERS, open.shutdown()).await.is_err() {
            info!("connections were cut at the end");
        }
    }

    async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener, access) => {
                let (stream, from) = listener.accept().await?;
                let peer = Peer(from.ip());
                stream.set_nodelay(true)?;
                Ok(match access.tls() {
                    Some(config) => Connection::Tls(stream, peer, TlsAcceptor::from(config)),
                    None => Connection::Plain(stream, peer),
                })
            }
            Self::Unix(listener, _) => Ok(Connection::Unix(listener.accept().await?.0)),
        }
    }
}

enum Connection {
    Plain(tokio::net::TcpStream, Peer),
    Tls(tokio::net::TcpStream, Peer, TlsAcceptor),
    Unix(tokio::net::UnixStream),
}

async fn answer<S>(stream: S, peer: Option<Peer>, router: Router, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        if let Some(peer) = peer {
            request.extensions_mut().insert(peer);
        }
        router.call(request)
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "a connection broke");
    }
}

fn at(place: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{place}: {error}"))
}

//! A server of files, by HTTPS or plain HTTP, that serves well or badly as a test says of each path.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a path gives.
#[derive(Clone)]
pub(crate) enum Gives {
    /// The file, and any part of it that is asked for.
    File(Vec<u8>),
    /// The whole file, whatever part is asked for.
    Whole(Vec<u8>),
    /// At the first time so many bytes of it, then the line is cut; later any part.
    Cut(Vec<u8>, usize),
    /// So many bytes of it each time a little later.
    Slowly(Vec<u8>),
    /// An answer without a file.
    Says(u16, &'static str, String),
    /// Another address.
    Leads(String),
    /// Bytes without an end, or a length.
    Endless,
}

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) range: Option<String>,
    pub(crate) authorization: Option<String>,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    /// The certificate; empty for plain HTTP.
    pub(crate) pem: String,
    gives: Arc<Mutex<BTreeMap<String, Gives>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub(crate) async fn start(is_safe: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (scheme, pem) = if is_safe { ("https", certificate.pem()) } else { ("http", String::new()) };
        let server = Self { url: format!("{scheme}://{at}"), pem, gives: Arc::default(), asked: Arc::default() };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, acceptor) = (serving.clone(), acceptor.clone());
                tokio::spawn(async move {
                    if is_safe {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            let _ = server.answer(stream).await;
                        }
                    } else {
                        let _ = server.answer(stream).await;
                    }
                });
            }
        });
        server
    }

    pub(crate) fn gives(&self, path: &str, gives: Gives) {
        self.gives.lock().unwrap().insert(path.to_owned(), gives);
    }

    /// Requests for a path so far, in order.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.path == path).cloned().collect()
    }

    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
        let header = |name: &str| {
            let mut lines = head.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
        };
        let asked = Asked { path: path.clone(), range: header("range"), authorization: header("authorization") };
        let from = asked
            .range
            .as_deref()
            .map(|range| range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse::<usize>().unwrap());
        let is_first = self.asked(&path).is_empty();
        self.asked.lock().unwrap().push(asked);
        let gives = self.gives.lock().unwrap().get(&path).cloned();
        let head = |status: &str, more: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n");
        let part = |body: &[u8], from: usize| {
            let (rest, all) = (body.len() - from, body.len());
            head(
                "206 Partial Content",
                &format!("Content-Length: {rest}\r\nContent-Range: bytes {from}-{}/{all}\r\n", all - 1),
            )
        };
        let whole = |body: &[u8]| head("200 OK", &format!("Content-Length: {}\r\n", body.len()));
        match gives {
            None => stream.write_all(head("404 Not Found", "Content-Length: 0\r\n").as_bytes()).await?,
            Some(Gives::File(body) | Gives::Cut(body, _) | Gives::Slowly(body))
                if from.is_some_and(|from| from >= body.len()) =>
            {
                stream.write_all(head("416 Range Not Satisfiable", "Content-Length: 0\r\n").as_bytes()).await?;
            }
            Some(Gives::Cut(body, at)) if is_first => {
                stream.write_all(whole(&body).as_bytes()).await?;
                stream.write_all(&body[..at]).await?;
                stream.flush().await?;
                // What was sent is read before the line is cut.
                tokio::time::sleep(Duration::from_millis(200)).await;
                return Ok(());
            }
            Some(Gives::File(body) | Gives::Cut(body, _)) => {
                let head = from.map_or_else(|| whole(&body), |from| part(&body, from));
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body[from.unwrap_or(0)..]).await?;
            }
            Some(Gives::Whole(body)) => {
                stream.write_all(whole(&body).as_bytes()).await?;
                stream.write_all(&body).await?;
            }
            Some(Gives::Slowly(body)) => {
                let head = from.map_or_else(|| whole(&body), |from| part(&body, from));
                stream.write_all(head.as_bytes()).await?;
                for piece in body[from.unwrap_or(0)..].chunks(64 << 10) {
                    stream.write_all(piece).await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
            }
            Some(Gives::Says(status, kind, body)) => {
                let more = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
                stream.write_all((head(&format!("{status} Said"), &more) + &body).as_bytes()).await?;
            }
            Some(Gives::Leads(to)) => {
                let more = format!("Location: {to}\r\nContent-Length: 0\r\n");
                stream.write_all(head("302 Found", &more).as_bytes()).await?;
            }
            Some(Gives::Endless) => {
                stream.write_all(head("200 OK", "").as_bytes()).await?;
                loop {
                    stream.write_all(&[7; 16 << 10]).await?;
                }
            }
        }
        stream.shutdown().await
    }
}

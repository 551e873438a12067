//! The wire of a gateway: TLS, HTTP, compression, and the faults that fall on them.

use std::convert::Infallible;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, Stream, StreamExt as _};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Asked, Gateway};
use crate::sim::fault::Word;

/// No body a client sends is larger; queries by id are the largest.
const MAX_REQUEST: usize = 16 << 20;
/// A client that takes longer to shake hands has gone away.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pieces in which answers go out.
const PIECE: usize = 64 << 10;
/// What is put before an answer that shall be huge.
const PADDING: usize = 256 << 20;
const PAGE: &str =
    "<!DOCTYPE html><html><head><title>Error</title></head><body><h1>The service is not available</h1></body></html>";

/// Why a connection ends in the middle.
#[derive(Debug, thiserror::Error)]
#[error("the simulated wire broke")]
struct Broken;

/// Serves a gateway until it is told to stop, then ends all its connections.
pub(in crate::sim) async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    gateway: Arc<Gateway>,
    stop: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, tls.clone(), Arc::clone(&gateway)));
            }
            // Out of descriptors, or the peer left before we took it.
            Err(error) => {
                tracing::debug!(%error, "simulated gateway: accept failed");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, gateway: Arc<Gateway>) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
    let service = service_fn(move |request| exchange(Arc::clone(&gateway), request));
    // Clients break connections as they like; that is no event here.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn exchange(gateway: Arc<Gateway>, request: Request<Incoming>) -> Result<Response, Broken> {
    let words = gateway.faults.fall_on(gateway.number, request.method().as_str(), request.uri().path());
    let mut status = None;
    let mut html = false;
    for word in &words {
        match word {
            Word::Drop => std::future::pending::<()>().await,
            Word::Reset => return Err(Broken),
            Word::Delay(time) => tokio::time::sleep(*time).await,
            Word::Expire => gateway.expire_tokens(),
            Word::Status(code) => status = StatusCode::from_u16(*code).ok(),
            Word::Html => html = true,
            Word::Garble | Word::Cut | Word::Endless | Word::Slow(_) | Word::Huge => {}
        }
    }
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(Body::new(body), MAX_REQUEST).await.map_err(|_| Broken)?;
    if html {
        let mut response = Response::new(Body::from(PAGE));
        *response.status_mut() = status.unwrap_or(StatusCode::OK);
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
        return Ok(response);
    }
    if let Some(status) = status {
        let message = status.canonical_reason().unwrap_or("Error");
        let text = format!("{{\"message\":\"{message}\",\"httpStatusCode\":{},\"errorCode\":0}}", status.as_u16());
        return Ok(super::json_response(status, text));
    }
    let gzip = parts
        .headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let asked = Asked { method: parts.method, uri: parts.uri, headers: parts.headers, body };
    // Large answers take a while and hold the world: off the threads that serve others.
    let answer = tokio::task::spawn_blocking(move || gateway.answer(&asked)).await.map_err(|_| Broken)?;
    finish(answer, gzip, &words).await
}

/// Compresses an answer if asked to, and lets the faults fall on it.
async fn finish(answer: Response, gzip: bool, words: &[Word]) -> Result<Response, Broken> {
    let (mut parts, body) = answer.into_parts();
    let mut bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| Broken)?;
    if words.contains(&Word::Garble) {
        bytes = garbled(&bytes);
    }
    // Padding and endless answers are not compressed, or they would not be long.
    let plain = words.iter().any(|word| matches!(word, Word::Huge | Word::Endless));
    if gzip && !plain && bytes.len() > 1024 {
        let packed = tokio::task::spawn_blocking(move || {
            let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), Compression::fast());
            encoder.write_all(&bytes).and_then(|()| encoder.finish())
        });
        bytes = packed.await.map_err(|_| Broken)?.map_err(|_| Broken)?.into();
        parts.headers.insert(header::CONTENT_ENCODING, header::HeaderValue::from_static("gzip"));
    }
    if words.contains(&Word::Cut) {
        // The length promises all of it.
        parts.headers.insert(header::CONTENT_LENGTH, bytes.len().into());
        let half = bytes.slice(..bytes.len() / 2);
        let body = stream::iter([Ok(half), Err(Broken)]);
        return Ok(Response::from_parts(parts, Body::from_stream(body)));
    }
    if let Some(rate) = words.iter().find_map(|word| if let Word::Slow(rate) = word { Some(*rate) } else { None }) {
        return Ok(Response::from_parts(parts, Body::from_stream(slow(bytes, rate))));
    }
    if words.contains(&Word::Huge) {
        let padding = spaces(PADDING / PIECE).chain(stream::once(std::future::ready(Ok(bytes))));
        return Ok(Response::from_parts(parts, Body::from_stream(padding)));
    }
    if words.contains(&Word::Endless) {
        let first = stream::once(std::future::ready(Ok(bytes)));
        return Ok(Response::from_parts(parts, Body::from_stream(first.chain(spaces(usize::MAX)))));
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn garbled(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let from = bytes.len() / 2;
    let upto = (from + 16).min(bytes.len());
    if let Some(piece) = bytes.get_mut(from..upto) {
        piece.fill(b'#');
    }
    bytes.into()
}

fn spaces(pieces: usize) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let piece = Bytes::from(vec![b' '; PIECE]);
    stream::iter(std::iter::repeat_n(piece, pieces)).map(Ok)
}

/// The answer in ten pieces a second.
fn slow(bytes: Bytes, rate: u64) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let piece = usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1);
    stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let next = rest.split_to(piece.min(rest.len()));
        Some((Ok(next), rest))
    })
}

//! One file from elsewhere: it comes beside its place, goes on where it broke off, and gets to its place only when it is
//! what it must be.
//!
//! | file in the cache | what it is |
//! |---|---|
//! | `NAME` | has the SHA-256 of the configuration, and the signature where one is asked for |
//! | `.NAME.HASH.part` | came so far of the file with a SHA-256 that begins so |
//! | `.NAME.HASH.sig` | its detached signature |
//!
//! Errors are for people: what is wrong, and what helps.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;

use super::artefacts::hash;
use super::signature;
use crate::config::Credentials;
use crate::config::sources::Source;
use crate::model::order::Artefact;
use crate::model::unit::Bytes;
use crate::tls;

/// A network that is there answers in this time.
const CONNECT: Duration = Duration::from_secs(10);

/// A mirror leads to another one, and that to where the file lies; more than this goes in circles.
const REDIRECTS: usize = 5;

/// Left free on the disk of the cache: the state of this controller is often on the same one, and ends it when it cannot
/// be written.
const ROOM: u64 = 256 << 20;

/// So much is written between two looks at the room.
const STRIDE: u64 = 16 << 20;

/// A detached signature has a few hundred bytes.
const LARGEST_SIGNATURE: u64 = 64 << 10;

/// Told of each piece: how much is here, and of how much.
pub(super) type Progress<'a> = &'a (dyn Fn(u64, Option<u64>) + Send + Sync);

/// Brings a file into the cache.
///
/// # Errors
/// Why it is not there, and what helps.
pub(super) async fn fetch(
    source: &Source,
    cache: &Path,
    largest: Bytes,
    progress: Progress<'_>,
) -> Result<(Artefact, PathBuf), String> {
    let folder = |error: io::Error| format!("{} cannot be used: {error}; set artefacts.cache", cache.display());
    tokio::fs::create_dir_all(cache).await.map_err(folder)?;
    let client = client(source)?;
    let part = beside(source, cache, "part");
    // What is gone on with may be of another file, so that it is begun anew once.
    let (size, is_whole) = match bring(&client, source, &part, largest, progress).await? {
        (size, true) => (size, true),
        (_, false) => bring(&client, source, &part, largest, progress).await?,
    };
    if !is_whole {
        return Err("the server gives another piece of the file than it is asked for; name another one".to_owned());
    }
    // Without a signature it stays as it came, so that only the signature is missing at the next try.
    signed(&client, source, cache, &part).await?;
    let place = cache.join(&source.name);
    let moved = async {
        tokio::fs::rename(&part, &place).await?;
        File::open(cache).await?.sync_all().await
    };
    moved.await.map_err(|error| format!("it cannot be moved to {}: {error}", place.display()))?;
    let artefact = Artefact { name: source.name.clone(), sha256: source.sha256.clone(), size, url: None };
    Ok((artefact, place))
}

/// What lies in the cache of a file, when it is what it must be.
///
/// # Errors
/// What lies there is something else and is away now, or is not signed.
pub(super) fn cached(source: &Source, cache: &Path) -> Result<Option<(Artefact, PathBuf)>, String> {
    let place = cache.join(&source.name);
    let (sha256, size) = match hash(&place) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{} cannot be read: {error}", place.display())),
    };
    if sha256 != source.sha256 {
        let why = format!("{} has SHA-256 {sha256} instead of {}", place.display(), source.sha256);
        std::fs::remove_file(&place).map_err(|error| format!("{why}, and cannot be removed: {error}"))?;
        return Err(format!("{why}; it was thrown away"));
    }
    if let Some(signed) = &source.signed {
        let detached = signed.detached.as_ref().map(|_| beside(source, cache, "sig"));
        if detached.as_ref().is_some_and(|path| !path.exists()) {
            return Ok(None);
        }
        signature::check(&place, &source.name, detached.as_deref(), &signed.key)?;
    }
    Ok(Some((Artefact { name: source.name.clone(), sha256, size, url: None }, place)))
}

/// Asks for a file without taking it. What the answer says of it.
///
/// # Errors
/// Why it could not be fetched.
pub async fn try_out(source: &Source, largest: Bytes) -> Result<String, String> {
    let client = client(source)?;
    let answer = send(&client, source, source.url.as_str(), 0).await?;
    judge(&answer, source)?;
    let Some(size) = answer.content_length() else { return Ok("it can be had".to_owned()) };
    fits(size, largest)?;
    Ok(format!("it can be had, {}", Bytes::new(size)))
}

fn beside(source: &Source, cache: &Path, end: &str) -> PathBuf {
    cache.join(format!(".{}.{}.{end}", source.name, source.sha256.get(..16).unwrap_or_default()))
}

fn client(source: &Source) -> Result<Client, String> {
    let tls = tls::client_config(&source.way.trust, None).map_err(|error| error.to_string())?;
    let follow = redirect::Policy::custom(|attempt| {
        let was_safe = attempt.previous().iter().any(|url| url.scheme() == "https");
        if attempt.previous().len() > REDIRECTS {
            attempt.error("it is led from address to address; name the last one")
        } else if was_safe && attempt.url().scheme() == "http" {
            attempt.error("it is led from https to http, which is refused; name the last address")
        } else {
            attempt.follow()
        }
    });
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        // The hash is of the file as it lies there.
        .no_gzip()
        .redirect(follow)
        .connect_timeout(CONNECT)
        .read_timeout(source.way.timeout)
        .user_agent(concat!("scaleio-framework/", env!("CARGO_PKG_VERSION")));
    builder.build().map_err(|error| error.to_string())
}

async fn send(client: &Client, source: &Source, url: &str, from: u64) -> Result<Response, String> {
    let mut request: RequestBuilder = client.get(url).header(ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    request = match &source.way.credentials {
        Credentials::None => request,
        Credentials::Login(login) => request.basic_auth(&login.user, Some(login.password.reveal())),
        Credentials::Token(token) => request.bearer_auth(token.reveal()),
    };
    request.send().await.map_err(|error| {
        let mend = "see that the address is right, the server runs and a firewall lets this host through";
        match tls::find::<rustls::Error>(&error) {
            Some(refused) => tls::explain(refused),
            None if error.is_redirect() => root(&error),
            None if error.is_timeout() => format!("no answer in time; {mend}"),
            None => format!("it cannot be reached ({}); {mend}", root(&error)),
        }
    })
}

/// The innermost cause; outer ones hold addresses that may be secret.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Whether an answer is the file, or some page about it.
fn judge(answer: &Response, source: &Source) -> Result<(), String> {
    let status = answer.status();
    if !status.is_success() {
        let mend = match status.as_u16() {
            401 | 403 | 407 => "mend the login or the token of the source",
            404 | 410 => "look whether the address is right and the file still lies there",
            429 => "it is asked too much",
            500..=599 => "look into the log of that server",
            _ => "look at what that address gives",
        };
        return Err(format!("it answers {status}; {mend}"));
    }
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.to_ascii_lowercase().starts_with("text/html") && !source.name.ends_with(".html") {
        return Err(
            "it answers with a web page instead of the file, such as a page to log in or one of a proxy; look at \
                    the address with a browser"
                .to_owned(),
        );
    }
    Ok(())
}

fn fits(size: u64, largest: Bytes) -> Result<(), String> {
    if size <= largest.get() {
        return Ok(());
    }
    Err(format!(
        "it has {}, more than the {largest} of artefacts.largest; look whether it is the right file, or allow more",
        Bytes::new(size)
    ))
}

/// Whether so much more goes onto the disk.
fn room(cache: &Path, more: u64) -> Result<(), String> {
    let about = rustix::fs::statvfs(cache).map_err(|error| format!("{} cannot be asked: {error}", cache.display()))?;
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    if free >= more.saturating_add(ROOM) {
        return Ok(());
    }
    Err(format!(
        "there is no room for it in {}: {} are free, {} more come, and {} are kept free; make room, or set artefacts.cache",
        cache.display(),
        Bytes::new(free),
        Bytes::new(more),
        Bytes::new(ROOM)
    ))
}

async fn remove(path: &Path) -> Result<(), String> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(format!("{} cannot be removed: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Brings the rest of a file beside its place: its size, and whether it is what it must be. It is not, without an error,
/// when what was gone on with was something else and is away now.
async fn bring(
    client: &Client,
    source: &Source,
    part: &Path,
    largest: Bytes,
    progress: Progress<'_>,
) -> Result<(u64, bool), String> {
    let cache = part.parent().unwrap_or(Path::new("/"));
    let here = tokio::fs::metadata(part).await.map_or(0, |about| about.len());
    let mut answer = send(client, source, source.url.as_str(), here).await?;
    if here > 0 && answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        // All of it is here, or more.
        return settle(source, part, here).await;
    }
    judge(&answer, source)?;
    let from = if answer.status() == StatusCode::PARTIAL_CONTENT { here } else { 0 };
    if from > 0 && first_byte(&answer) != Some(from) {
        remove(part).await?;
        return Ok((0, false));
    }
    let of = answer.content_length().map(|rest| from + rest);
    if let Some(of) = of {
        fits(of, largest)?;
        room(cache, of - from)?;
    }
    let broken = |error: io::Error| format!("{} cannot be written: {error}", part.display());
    let mut file = OpenOptions::new().create(true).append(true).open(part).await.map_err(broken)?;
    file.set_len(from).await.map_err(broken)?;
    let (mut got, mut looked) = (from, from);
    progress(got, of);
    loop {
        let piece = match answer.chunk().await {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => {
                file.flush().await.map_err(broken)?;
                let so_far = of.map_or_else(
                    || Bytes::new(got).to_string(),
                    |of| format!("{} of {}", Bytes::new(got), Bytes::new(of)),
                );
                return Err(format!("it broke off after {so_far} ({}); it goes on from there", root(&error)));
            }
        };
        got += piece.len() as u64;
        if let Err(why) = fits(got, largest).and_then(|()| if got - looked > STRIDE { room(cache, 0) } else { Ok(()) })
        {
            remove(part).await?;
            return Err(why);
        }
        looked = if got - looked > STRIDE { got } else { looked };
        let written = file.write_all(&piece).await;
        if let Err(error) = written {
            // What fills the disk takes others their room.
            remove(part).await?;
            return Err(format!("{}; make room, or set artefacts.cache", broken(error)));
        }
        progress(got, of);
    }
    let flushed = async {
        file.flush().await?;
        file.sync_all().await
    };
    flushed.await.map_err(broken)?;
    drop(file);
    settle(source, part, from).await
}

/// The first byte that a part of a file begins with.
fn first_byte(answer: &Response) -> Option<u64> {
    let range = answer.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.trim().strip_prefix("bytes")?.trim().split('-').next()?.parse().ok()
}

/// Whether what is here is the file. What is not goes away; it is an error unless a part of it was here before.
async fn settle(source: &Source, part: &Path, before: u64) -> Result<(u64, bool), String> {
    let path = part.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut begin = [0; 64];
        let some = io::Read::read(&mut std::fs::File::open(&path)?, &mut begin)?;
        let is_page = begin.get(..some).unwrap_or_default().trim_ascii_start().starts_with(b"<");
        Ok((hash(&path)?, is_page))
    });
    let read: io::Result<_> = read.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let ((sha256, size), is_page) = read.map_err(|error| format!("{} cannot be read: {error}", part.display()))?;
    if sha256 == source.sha256 {
        return Ok((size, true));
    }
    remove(part).await?;
    if before > 0 {
        return Ok((size, false));
    }
    let page = if is_page { ", and begins like a web page" } else { "" };
    Err(format!(
        "what came has {size} bytes and SHA-256 {sha256} instead of {}{page}; it was thrown away: look at what the address \
         gives, or mend the hash if that is the wrong one",
        source.sha256
    ))
}

/// Whether what came is signed by whom it must be.
async fn signed(client: &Client, source: &Source, cache: &Path, part: &Path) -> Result<(), String> {
    let Some(signed) = &source.signed else { return Ok(()) };
    let detached = match &signed.detached {
        None => None,
        Some(end) => {
            let mut url = source.url.clone();
            url.set_path(&format!("{}{end}", source.url.path()));
            let no = |why: String| format!("its signature at {end} behind the address: {why}");
            let mut answer = send(client, source, url.as_str(), 0).await.map_err(no)?;
            judge(&answer, source).map_err(no)?;
            let mut text = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|error| no(root(&error)))? {
                text.extend_from_slice(&piece);
                if text.len() as u64 > LARGEST_SIGNATURE {
                    return Err(no("it is far too long for one".to_owned()));
                }
            }
            let path = beside(source, cache, "sig");
            tokio::fs::write(&path, &text).await.map_err(|error| no(error.to_string()))?;
            Some(path)
        }
    };
    let (part, name, key) = (part.to_owned(), source.name.clone(), signed.key.clone());
    let checked = tokio::task::spawn_blocking(move || signature::check(&part, &name, detached.as_deref(), &key));
    checked.await.unwrap_or_else(|error| Err(error.to_string()))
}

//! The program that Mesos agents fetch and start: one file, known by its hash.
//!
//! By plain http, since who fetches it checks the hash that came with the
//! task. Nothing else is served there, and nothing of it is secret.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::model::order::Artefact;

/// Read at once; a thousand agents that fetch at once hold this much each.
const PIECE: usize = 256 * 1024;

/// The file. It stays the same one when another is put in its place.
#[derive(Clone, Debug)]
pub struct Program {
    file: Arc<File>,
    sha256: [u8; 32],
    size: u64,
}

impl Program {
    /// Opens and hashes a file.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let (mut hash, mut size, mut piece) = (Sha256::new(), 0, vec![0; PIECE]);
        loop {
            match file.read_at(&mut piece, size)? {
                0 => break,
                some => {
                    hash.update(piece.get(..some).unwrap_or_default());
                    size += some as u64;
                }
            }
        }
        Ok(Self { file: Arc::new(file), sha256: hash.finalize().into(), size })
    }

    /// Its SHA-256.
    pub const fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// The same as an artefact, which agents fetch over TLS.
    pub fn artefact(&self) -> Artefact {
        let sha256 = self.hex();
        Artefact { name: format!("sio-{}", sha256.get(..12).unwrap_or(&sha256)), sha256, size: self.size, url: None }
    }

    fn hex(&self) -> String {
        self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its path at the listener. The hash is in it, so that no cache gives out an older one.
    pub fn path(&self) -> String {
        format!("/program/{}/sio", self.hex())
    }

    /// The listener's only route.
    pub fn router(self) -> Router {
        let path = self.path();
        let serve = move || {
            let program = self.clone();
            async move { program.answer() }
        };
        Router::new().route(&path, get(serve)).fallback(async || StatusCode::NOT_FOUND)
    }

    fn answer(self) -> Response {
        let size = self.size;
        let pieces = futures_util::stream::try_unfold((self.file, 0_u64), move |(file, at)| async move {
            let read = tokio::task::spawn_blocking(move || {
                let left = usize::try_from(size.saturating_sub(at)).unwrap_or(PIECE).min(PIECE);
                let mut piece = vec![0; left];
                let read = file.read_at(&mut piece, at)?;
                piece.truncate(read);
                io::Result::Ok((file, piece))
            });
            let (file, piece) = read.await.map_err(io::Error::other)??;
            let next = at + piece.len() as u64;
            io::Result::Ok((!piece.is_empty()).then_some((piece, (file, next))))
        });
        ([(header::CONTENT_LENGTH, size)], Body::from_stream(pieces)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_that_was_hashed_is_served_though_another_was_put_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sio");
        let content: Vec<u8> = (0..PIECE * 2 + 7).map(|at| (at % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let program = Program::open(&path).unwrap();
        assert_eq!(program.sha256(), <[u8; 32]>::from(Sha256::digest(&content)));
        std::fs::write(folder.path().join("new"), "another").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        let body = program.clone().answer().into_body();
        assert_eq!(axum::body::to_bytes(body, usize::MAX).await.unwrap(), content);
        assert!(program.path().starts_with("/program/") && program.path().ends_with("/sio"));
    }
}

//! Who logged in on the page, and until when is that good? Pure: the moment and the random words come in.
//!
//! Nothing of it outlives the process: after a restart people log in again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// A working day: who looks every morning logs in every morning.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 3600);

/// Sessions at once. The one that ends first makes room.
const MOST: usize = 1000;

/// The name of the cookie.
pub(super) const COOKIE: &str = "sio_session";

/// Who logged in, and by which hash of a password: with another hash, or without the user, it is good no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) user: String,
    pub(super) hash: String,
}

/// All that are open, by the digest of their word: who reads our memory learns no word.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], (Session, Instant)>>);

impl Sessions {
    /// Opens one under a word that nobody can guess.
    pub(super) fn open(&self, word: &str, session: Session, now: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (_, ends)| *ends > now);
        if all.len() >= MOST
            && let Some(first) = all.iter().min_by_key(|(_, (_, ends))| *ends).map(|(word, _)| *word)
        {
            all.remove(&first);
        }
        all.insert(digest(word), (session, now + LIFE));
    }

    /// Whose this word is.
    pub(super) fn of(&self, word: &str, now: Instant) -> Option<Session> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&digest(word)).filter(|(_, ends)| *ends > now).map(|(session, _)| session.clone())
    }

    /// Ends one.
    pub(super) fn end(&self, word: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest(word));
    }
}

fn digest(word: &str) -> [u8; 32] {
    Sha256::digest(word).into()
}

/// The word in the `Cookie` headers of a request. Of two nobody can say which one is ours.
pub(super) fn word_in<'a>(headers: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut ours = headers.flat_map(|header| header.split(';')).filter_map(|pair| {
        let (name, word) = pair.trim().split_once('=')?;
        (name == COOKIE && !word.is_empty()).then_some(word)
    });
    ours.next().filter(|_| ours.next().is_none())
}

/// The cookie that opens a session, or with no word the one that ends it. Scripts do not see it, other sites do not make
/// a browser send it, and where we speak TLS it is never sent without.
pub(super) fn cookie(word: Option<&str>, tls: bool) -> String {
    let (word, age) = word.map_or(("", 0), |word| (word, LIFE.as_secs()));
    let secure = if tls { "; Secure" } else { "" };
    format!("{COOKIE}={word}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(user: &str) -> Session {
        Session { user: user.to_owned(), hash: "h".to_owned() }
    }

    #[test]
    fn a_session_ends_by_itself_or_when_somebody_says_so() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        sessions.open("a", session("anna"), now);
        sessions.open("b", session("bob"), now + Duration::from_secs(60));
        assert_eq!(sessions.of("a", now), Some(session("anna")));
        assert_eq!(sessions.of("c", now), None);
        assert_eq!(sessions.of("a", now + LIFE - Duration::from_secs(1)), Some(session("anna")));
        assert_eq!(sessions.of("a", now + LIFE), None);
        sessions.end("b");
        assert_eq!(sessions.of("b", now + Duration::from_secs(61)), None);
    }

    #[test]
    fn more_than_a_thousand_are_not_kept_and_the_oldest_goes_first() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        for number in 0..=MOST {
            let at = now + Duration::from_secs(u64::try_from(number).unwrap());
            sessions.open(&number.to_string(), session("anna"), at);
        }
        let later = now + Duration::from_secs(2000);
        assert_eq!(sessions.of("0", later), None);
        assert!(sessions.of("1", later).is_some() && sessions.of(&MOST.to_string(), later).is_some());
    }

    #[test]
    fn a_cookie_is_read_among_others_and_two_of_ours_are_none() {
        assert_eq!(word_in(["a=b; sio_session=w", "c=d"].into_iter()), Some("w"));
        assert_eq!(word_in(["sio_session=w; sio_session=v"].into_iter()), None);
        assert_eq!(word_in(["sio_session=; xsio_session=v"].into_iter()), None);
        assert!(cookie(Some("w"), true).ends_with("; HttpOnly; SameSite=Strict; Secure"));
        assert!(cookie(None, false).contains("sio_session=; Path=/; Max-Age=0;"));
    }
}

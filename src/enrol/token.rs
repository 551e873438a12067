//! Which hosts may join by a token: those that Mesos does not vouch for.
//!
//! A token is for one node, once, until a moment. Only its SHA-256 is kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::model::unit::Timestamp;

/// How long a token is good: a person carries it to a host.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// A token that was given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its SHA-256.
    pub sha256: [u8; 32],
    /// It is good until then.
    pub until: Timestamp,
}

/// Why a node may not join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotAdmitted {
    #[error("the token is not that of this node, or was used; make a new one")]
    Wrong,
    #[error("the token has run out; make a new one")]
    Expired,
}

/// All tokens that were not used.
#[derive(Clone, Debug, Default)]
pub struct Tokens(BTreeMap<String, Token>);

impl Tokens {
    /// Gives a node a token; an older one of it is void.
    pub fn give(&mut self, node: &str, token: Token) {
        self.0.insert(node.to_owned(), token);
    }

    /// Takes a token in. One that is good is used up by it.
    pub fn admit(&mut self, node: &str, said: &str, now: Timestamp) -> Result<(), NotAdmitted> {
        let known = self.0.get(node).ok_or(NotAdmitted::Wrong)?;
        let said: [u8; 32] = Sha256::digest(said.as_bytes()).into();
        // Both are hashes: how long the comparison takes tells nothing of the token.
        if said != known.sha256 {
            return Err(NotAdmitted::Wrong);
        }
        let expired = now >= known.until;
        self.0.remove(node);
        if expired { Err(NotAdmitted::Expired) } else { Ok(()) }
    }
}

/// Tokens, shared by those who give them out and those who take them in.
/// They are not stored: a restart of the controller makes them void.
#[derive(Clone, Debug, Default)]
pub struct Admissions(Arc<Mutex<Tokens>>);

impl From<Tokens> for Admissions {
    fn from(tokens: Tokens) -> Self {
        Self(Arc::new(Mutex::new(tokens)))
    }
}

impl Admissions {
    /// Makes a token for a node; an older one of it is void. `random` must come from a good source.
    pub fn make(&self, node: &str, random: [u8; 32], now: Timestamp) -> String {
        let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let token = Token { sha256: Sha256::digest(&text).into(), until: now + LIFE };
        self.with(|tokens| tokens.give(node, token));
        text
    }

    /// Takes a token in. One that is good is used up by it.
    ///
    /// # Errors
    /// The token is not good.
    pub fn admit(&self, node: &str, said: &str, now: Timestamp) -> Result<(), NotAdmitted> {
        self.with(|tokens| tokens.admit(node, said, now))
    }

    /// Held for the moment of a comparison; a panic elsewhere leaves no half.
    fn with<T>(&self, work: impl FnOnce(&mut Tokens) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_node_once_and_until_a_moment() {
        let at = |seconds| Timestamp::from_timestamp(seconds, 0).unwrap();
        let token = Token { sha256: Sha256::digest("secret").into(), until: at(100) };
        let mut tokens = Tokens::default();
        tokens.give("node-1", token.clone());
        assert_eq!(tokens.admit("node-2", "secret", at(1)), Err(NotAdmitted::Wrong));
        assert_eq!(tokens.admit("node-1", "guess", at(1)), Err(NotAdmitted::Wrong));
        assert_eq!(tokens.admit("node-1", "secret", at(1)), Ok(()), "a guess does not use it up");
        assert_eq!(tokens.admit("node-1", "secret", at(1)), Err(NotAdmitted::Wrong));
        tokens.give("node-1", token);
        assert_eq!(tokens.admit("node-1", "secret", at(100)), Err(NotAdmitted::Expired));
    }

    #[test]
    fn a_token_that_was_made_is_good_for_an_hour_and_the_one_before_it_no_more() {
        let at = |seconds| Timestamp::from_timestamp(seconds, 0).unwrap();
        let admissions = Admissions::default();
        let first = admissions.make("node-1", [1; 32], at(0));
        let second = admissions.make("node-1", [2; 32], at(0));
        assert_eq!(admissions.admit("node-1", &first, at(1)), Err(NotAdmitted::Wrong));
        assert_eq!(admissions.admit("node-1", &second, at(3_599)), Ok(()));
    }
}

//! Which hosts may join by a token: those that Mesos does not vouch for.
//!
//! A token is for one node, once, until a moment. Only its SHA-256 is kept.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::unit::Timestamp;

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
}

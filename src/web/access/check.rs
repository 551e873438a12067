//! Is a password or a token right, and whose is it?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::config::Web;
use crate::model::person::{Door, Person, Role};

/// A check takes a tenth of a second of CPU and up to tens of MiB, and anybody can ask for one.
const CHECKS_AT_ONCE: usize = 2;

/// What was right is remembered by its digest, so that a scrape does not cost a check each time.
const REMEMBERED: usize = 100;

/// What was wrong is remembered too: a scraper with an old password guesses nothing, and costs nothing.
const WRONG_REMEMBERED: usize = 1000;

/// A hash of nobody's password: a user who does not exist costs as much time as one who does.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuVZ7MxkNQ1V3T8kJr1L8xv3b8m5q9qG2";

/// Why a password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {0}")]
pub struct HashError(String);

/// The hash of a password, as `[web.users.NAME]` takes it.
///
/// # Errors
/// When the operating system gives no random bytes.
pub fn hash(password: &str) -> Result<String, HashError> {
    let made = Argon2::default().hash_password(password.as_bytes());
    made.map(|hash: PasswordHash| hash.to_string()).map_err(|error| HashError(error.to_string()))
}

/// The SHA-256 of a token in hexadecimal digits, as `[web.tokens.NAME]` takes it.
pub fn digest_of(token: &str) -> String {
    Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a header says.
#[derive(Debug)]
pub(super) enum Word {
    /// A user and a password.
    Login { user: String, password: String },
    /// A token.
    Token(String),
}

impl Word {
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self::Token(rest.trim().to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        Some(Self::Login { user: user.to_owned(), password: password.to_owned() })
    }
}

/// What a user may do, and the hash of the password; users of the configuration come before those of the
/// exporter-toolkit's file.
pub(super) fn known(user: &str, web: Option<&Web>, toolkit: &BTreeMap<String, String>) -> Option<(Role, String)> {
    match (web.and_then(|web| web.users.get(user)), toolkit.get(user)) {
        (Some(known), _) => Some((known.role, known.password_hash.clone())),
        (None, Some(hash)) => Some((web.map_or(Role::Admin, |web| web.config_file_role), hash.clone())),
        (None, None) => None,
    }
}

/// Who somebody says they are, and what would show it.
pub(super) struct Claim {
    person: Person,
    proof: Proof,
    /// Of all that matters: a changed hash or role is asked for anew.
    digest: [u8; 32],
}

enum Proof {
    /// It was enough to look it up.
    Right,
    Wrong,
    Argon2 {
        password: String,
        hash: String,
    },
    Bcrypt {
        password: String,
        hash: String,
        is_somebody: bool,
    },
}

/// Checks, and remembers what was right.
pub(super) struct Checker {
    right: Mutex<HashMap<[u8; 32], Person>>,
    wrong: Mutex<HashSet<[u8; 32]>>,
    turns: Semaphore,
}

impl Checker {
    pub(super) fn new() -> Self {
        Self { right: Mutex::default(), wrong: Mutex::default(), turns: Semaphore::new(CHECKS_AT_ONCE) }
    }

    /// What a word claims.
    pub(super) fn claim(&self, word: &Word, web: Option<&Web>, toolkit: &BTreeMap<String, String>) -> Claim {
        let (name, role, proof) = match word {
            Word::Token(token) => {
                let digest = digest_of(token);
                match web.and_then(|web| web.tokens.iter().find(|(_, known)| known.sha256 == digest)) {
                    Some((name, known)) => (name.clone(), known.role, Proof::Right),
                    None => (digest, Role::Viewer, Proof::Wrong),
                }
            }
            Word::Login { user, password } => {
                let password = password.clone();
                match known(user, web, toolkit) {
                    // Users of the configuration come first.
                    Some((role, hash)) if web.is_some_and(|web| web.users.contains_key(user)) => {
                        (user.clone(), role, Proof::Argon2 { password, hash })
                    }
                    Some((role, hash)) => (user.clone(), role, Proof::Bcrypt { password, hash, is_somebody: true }),
                    None => {
                        let hash = NOBODY.to_owned();
                        (user.clone(), Role::Viewer, Proof::Bcrypt { password, hash, is_somebody: false })
                    }
                }
            }
        };
        let mut digest = Sha256::new();
        let mut part = |text: &str| {
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        part(&name);
        part(role.as_str());
        match &proof {
            Proof::Right | Proof::Wrong => {}
            Proof::Argon2 { password, hash } | Proof::Bcrypt { password, hash, .. } => {
                part(password);
                part(hash);
            }
        }
        let person = Person { name: Some(name), role, door: Door::Network };
        Claim { person, proof, digest: digest.finalize().into() }
    }

    /// The person, where this was right before or needs no check.
    pub(super) fn remembers(&self, claim: &Claim) -> Option<Person> {
        match claim.proof {
            Proof::Right => Some(claim.person.clone()),
            Proof::Wrong => None,
            Proof::Argon2 { .. } | Proof::Bcrypt { .. } => {
                self.right.lock().unwrap_or_else(PoisonError::into_inner).get(&claim.digest).cloned()
            }
        }
    }

    /// Whether this was wrong before.
    pub(super) fn knows_as_wrong(&self, claim: &Claim) -> bool {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).contains(&claim.digest)
    }

    /// The person, if it is right. It takes its time.
    pub(super) async fn check(&self, claim: Claim) -> Option<Person> {
        let Ok(_turn) = self.turns.acquire().await else { return None };
        let Claim { person, proof, digest } = claim;
        let verified = tokio::task::spawn_blocking(move || is_right(&proof)).await;
        if !verified.unwrap_or(false) {
            let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            if wrong.len() >= WRONG_REMEMBERED {
                wrong.clear();
            }
            wrong.insert(digest);
            return None;
        }
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= REMEMBERED {
            right.clear();
        }
        right.insert(digest, person.clone());
        Some(person)
    }
}

fn is_right(proof: &Proof) -> bool {
    match proof {
        Proof::Right => true,
        Proof::Wrong => false,
        Proof::Argon2 { password, hash } => PasswordHash::new(hash)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
        Proof::Bcrypt { password, hash, is_somebody } => {
            bcrypt::verify(password, hash).unwrap_or(false) && *is_somebody
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{WebToken, WebUser};

    fn basic(user: &str, password: &str) -> Word {
        let both = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        Word::read(&format!("bAsIc {both}")).unwrap()
    }

    fn web() -> Web {
        let mut web = Web::at(([127, 0, 0, 1], 0).into());
        let anna = WebUser { password_hash: hash("correct horse").unwrap(), role: Role::Operator };
        web.users.insert("anna".to_owned(), anna);
        web.tokens.insert("ci".to_owned(), WebToken { sha256: digest_of("t0ken"), role: Role::Viewer });
        web.config_file_role = Role::Viewer;
        web
    }

    async fn who(checker: &Checker, word: &Word) -> Option<(String, Role)> {
        let toolkit = [("prometheus".to_owned(), bcrypt::hash("battery", 4).unwrap())].into();
        let claim = checker.claim(word, Some(&web()), &toolkit);
        if let Some(person) = checker.remembers(&claim) {
            return Some((person.name.unwrap(), person.role));
        }
        checker.check(claim).await.map(|person| (person.name.unwrap(), person.role))
    }

    #[tokio::test]
    async fn only_who_is_known_and_right_is_somebody() {
        let checker = Checker::new();
        let is = |name: &str, role| Some((name.to_owned(), role));
        assert_eq!(who(&checker, &basic("anna", "correct horse")).await, is("anna", Role::Operator));
        assert_eq!(who(&checker, &basic("prometheus", "battery")).await, is("prometheus", Role::Viewer));
        assert_eq!(who(&checker, &Word::Token("t0ken".to_owned())).await, is("ci", Role::Viewer));
        for wrong in [
            basic("anna", "battery"),
            basic("prometheus", "correct horse"),
            basic("nobody", ""),
            Word::Token(String::new()),
            Word::Token("T0ken".to_owned()),
        ] {
            assert_eq!(who(&checker, &wrong).await, None, "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn what_was_right_is_not_checked_again_until_its_hash_or_role_changes() {
        let checker = Checker::new();
        let (word, mut web) = (basic("anna", "correct horse"), web());
        let claim = checker.claim(&word, Some(&web), &BTreeMap::new());
        assert!(checker.remembers(&claim).is_none());
        assert!(checker.check(claim).await.is_some());
        assert!(checker.remembers(&checker.claim(&word, Some(&web), &BTreeMap::new())).is_some());
        web.users.get_mut("anna").unwrap().role = Role::Viewer;
        assert!(checker.remembers(&checker.claim(&word, Some(&web), &BTreeMap::new())).is_none());
    }

    #[tokio::test]
    async fn what_was_wrong_is_known_as_such_until_its_hash_changes() {
        let (checker, web) = (Checker::new(), web());
        let toolkit = |password: &str| [("scraper".to_owned(), bcrypt::hash(password, 4).unwrap())].into();
        for word in [basic("scraper", "new"), basic("nobody", "new"), Word::Token("x".to_owned())] {
            let old: BTreeMap<String, String> = toolkit("old");
            let claim = checker.claim(&word, Some(&web), &old);
            assert!(!checker.knows_as_wrong(&claim));
            assert!(checker.check(claim).await.is_none());
            assert!(checker.knows_as_wrong(&checker.claim(&word, Some(&web), &old)), "{word:?}");
        }
        let claim = checker.claim(&basic("scraper", "new"), Some(&web), &toolkit("new"));
        assert!(!checker.knows_as_wrong(&claim) && checker.check(claim).await.is_some());
        assert!(!checker.knows_as_wrong(&checker.claim(&Word::Token("y".to_owned()), Some(&web), &BTreeMap::new())));
    }

    #[test]
    fn the_hash_of_nobody_is_a_hash() {
        assert!(bcrypt::verify("", NOBODY).is_ok());
    }
}

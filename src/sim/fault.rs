//! What goes wrong on the wire between gateway and client: a short list of
//! words, each on the requests whose path fits, switchable while it runs.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What happens to a request or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is never answered; the connection stays open.
    Drop,
    /// It is answered later.
    Delay(Duration),
    /// It is answered with this status instead.
    Status(u16),
    /// It is answered with a page of HTML; together with a status, that one.
    Html,
    /// A piece in the middle of the answer is overwritten.
    Garble,
    /// The connection ends in the middle of the answer.
    Cut,
    /// The answer does not end.
    Endless,
    /// All tokens of the gateway are void before it is looked at.
    Expire,
    /// The answer comes at this many bytes a second.
    Slow(u64),
    /// The answer is padded to a quarter of a gibibyte; it stays valid JSON.
    Huge,
    /// The connection ends without an answer.
    Reset,
}

/// A text that is no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no fault; write drop, delay(2s), status(503), html, garble, cut, endless, expire, slow(1000), huge or reset"
)]
pub struct UnknownFault(String);

impl FromStr for Word {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || UnknownFault(text.to_owned());
        let (word, argument) = match text.split_once('(') {
            Some((word, rest)) => (word, Some(rest.strip_suffix(')').ok_or_else(unknown)?)),
            None => (text, None),
        };
        let word = match (word, argument) {
            ("drop", None) => Self::Drop,
            ("delay", Some(time)) => Self::Delay(duration(time).ok_or_else(unknown)?),
            ("status", Some(code)) => {
                Self::Status(code.parse().ok().filter(|code| (100..=999).contains(code)).ok_or_else(unknown)?)
            }
            ("html", None) => Self::Html,
            ("garble", None) => Self::Garble,
            ("cut", None) => Self::Cut,
            ("endless", None) => Self::Endless,
            ("expire", None) => Self::Expire,
            ("slow", Some(bytes)) => Self::Slow(bytes.parse().ok().filter(|bytes| *bytes > 0).ok_or_else(unknown)?),
            ("huge", None) => Self::Huge,
            ("reset", None) => Self::Reset,
            _ => return Err(unknown()),
        };
        Ok(word)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("drop"),
            Self::Delay(time) => write!(f, "delay({}ms)", time.as_millis()),
            Self::Status(code) => write!(f, "status({code})"),
            Self::Html => f.write_str("html"),
            Self::Garble => f.write_str("garble"),
            Self::Cut => f.write_str("cut"),
            Self::Endless => f.write_str("endless"),
            Self::Expire => f.write_str("expire"),
            Self::Slow(bytes) => write!(f, "slow({bytes})"),
            Self::Huge => f.write_str("huge"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

/// A time such as `250ms`, `30s`, `5m`, `2h` or `1d`.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let split = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().ok()?;
    let seconds = match unit.trim() {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// On which of the requests that fit a fault falls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// On every one.
    Always,
    /// On the next so many.
    Times(u32),
    /// On each with this probability.
    Chance(f64),
}

/// A fault on the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What happens.
    pub word: Word,
    /// Requests whose path fits, `*` stands for anything; with a method before it (`POST /api/..`) those of that method.
    pub path: String,
    /// On which of them.
    pub when: When,
    /// Only at this gateway of the system, counted from 0; without, at all.
    pub gateway: Option<usize>,
}

impl Fault {
    /// This fault on every request whose path fits.
    pub fn always(word: Word, path: &str) -> Self {
        Self { word, path: path.to_owned(), when: When::Always, gateway: None }
    }

    /// This fault on the next requests whose path fits.
    pub fn times(times: u32, word: Word, path: &str) -> Self {
        Self { word, path: path.to_owned(), when: When::Times(times), gateway: None }
    }

    /// The same fault, at one gateway only.
    #[must_use]
    pub fn at_gateway(self, gateway: usize) -> Self {
        Self { gateway: Some(gateway), ..self }
    }
}

/// All faults of a simulated system, the same for each of its gateways.
#[derive(Debug)]
pub struct Faults(Mutex<State>);

#[derive(Debug)]
struct State {
    faults: Vec<(u64, Fault)>,
    next: u64,
    rng: ChaCha8Rng,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed ^ 0x00fa_0170);
        Self(Mutex::new(State { faults: Vec::new(), next: 0, rng }))
    }

    /// A panic of another thread leaves nothing half done in a list.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault; the number takes it away again.
    pub fn add(&self, fault: Fault) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.faults.push((number, fault));
        number
    }

    /// Takes one fault away.
    pub fn remove(&self, number: u64) {
        self.state().faults.retain(|(other, _)| *other != number);
    }

    /// Takes all faults away.
    pub fn clear(&self) {
        self.state().faults.clear();
    }

    /// The faults that are on.
    pub fn active(&self) -> Vec<Fault> {
        self.state().faults.iter().map(|(_, fault)| fault.clone()).collect()
    }

    /// What falls on a request of this path at this gateway.
    pub(super) fn fall_on(&self, gateway: usize, method: &str, path: &str) -> Vec<Word> {
        let with_method = format!("{method} {path}");
        let mut state = self.state();
        let State { faults, rng, .. } = &mut *state;
        let mut words = Vec::new();
        let asked = |fault: &Fault| fits(&fault.path, path) || fits(&fault.path, &with_method);
        let here = |fault: &Fault| fault.gateway.is_none_or(|only| only == gateway) && asked(fault);
        for (_, fault) in faults.iter_mut().filter(|(_, fault)| here(fault)) {
            let falls = match &mut fault.when {
                When::Always => true,
                When::Times(0) => false,
                When::Times(left) => {
                    *left -= 1;
                    true
                }
                When::Chance(chance) => rng.random::<f64>() < *chance,
            };
            if falls {
                words.push(fault.word);
            }
        }
        faults.retain(|(_, fault)| fault.when != When::Times(0));
        words
    }
}

/// Whether a path fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(path) = path.strip_prefix(first) else { return false };
    // What `*` takes may be of any length; patterns are short.
    (0..=path.len()).filter(|at| path.is_char_boundary(*at)).any(|at| fits(rest, &path[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_what_they_say() {
        for (pattern, path, is) in [
            ("*", "/api/version", true),
            ("/api/version", "/api/version", true),
            ("/api/version", "/api/versions", false),
            ("/api/types/*", "/api/types/Sds/instances", true),
            ("/api/types/*", "/api/instances", false),
            ("*Statistics", "/api/instances/querySelectedStatistics", true),
            ("*Statistics", "/api/instances", false),
            ("/api/*/instances", "/api/types/Sds/instances", true),
            ("/api/*/instances", "/api/types/Sds/instances/action/x", false),
        ] {
            assert_eq!(fits(pattern, path), is, "{pattern} on {path}");
        }
    }

    #[test]
    fn words_are_read_and_shown_alike() {
        for text in [
            "drop",
            "delay(250ms)",
            "status(503)",
            "html",
            "garble",
            "cut",
            "endless",
            "expire",
            "slow(1000)",
            "huge",
            "reset",
        ] {
            assert_eq!(text.parse::<Word>().unwrap().to_string(), text);
        }
        for text in ["", "dorp", "delay", "delay(soon)", "status(1)", "slow(0)", "status(503"] {
            assert!(text.parse::<Word>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_fault_falls_as_often_as_it_says() {
        let faults = Faults::new(1);
        faults.add(Fault::times(2, Word::Reset, "/a"));
        assert_eq!(faults.fall_on(0, "GET", "/b"), []);
        assert_eq!(faults.fall_on(0, "GET", "/a"), [Word::Reset]);
        assert_eq!(faults.fall_on(0, "GET", "/a"), [Word::Reset]);
        assert_eq!(faults.fall_on(0, "GET", "/a"), []);
        assert!(faults.active().is_empty());
        faults.add(Fault::times(1, Word::Drop, "*").at_gateway(1));
        assert_eq!(faults.fall_on(0, "GET", "/a"), []);
        assert_eq!(faults.fall_on(1, "GET", "/a"), [Word::Drop]);
        let number = faults.add(Fault { word: Word::Cut, path: "*".into(), when: When::Chance(0.5), gateway: None });
        let fell = (0..1000).filter(|_| !faults.fall_on(0, "GET", "/").is_empty()).count();
        assert!((300..700).contains(&fell), "{fell}");
        faults.remove(number);
        assert_eq!(faults.fall_on(0, "GET", "/"), []);
    }
}

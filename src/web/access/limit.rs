//! How often may somebody try a password, or act? Pure: the moment comes in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::web::listener::Peer;

/// Somebody who mistypes needs a few tries, a program that guesses needs millions.
const WRONG: Rate = Rate { burst: 10.0, every: Duration::from_secs(30) };

/// Addresses that are remembered; beyond them the fullest buckets are forgotten first.
const REMEMBERED: usize = 4096;

/// So many at once, and one more in each span.
#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: f64,
    every: Duration,
}

/// What is left to somebody.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    const fn full(rate: Rate, now: Instant) -> Self {
        Self { left: rate.burst, at: now }
    }

    fn at(self, rate: Rate, now: Instant) -> Self {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() / rate.every.as_secs_f64();
        Self { left: (self.left + gained).min(rate.burst), at: now }
    }

    /// How long until there is a whole one again.
    fn wait(self, rate: Rate) -> Option<Duration> {
        (self.left < 1.0).then(|| rate.every.mul_f64(1.0 - self.left))
    }
}

/// Buckets by whoever empties them.
#[derive(Debug)]
struct Buckets<K> {
    rate: Rate,
    of: HashMap<K, Bucket>,
}

impl<K: std::hash::Hash + Eq + Clone> Buckets<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, of: HashMap::new() }
    }

    fn now(&self, who: &K, now: Instant) -> Bucket {
        self.of.get(who).map_or(Bucket::full(self.rate, now), |bucket| bucket.at(self.rate, now))
    }

    fn take(&mut self, who: K, now: Instant) {
        let mut bucket = self.now(&who, now);
        bucket.left = (bucket.left - 1.0).max(0.0);
        if self.of.len() >= REMEMBERED && !self.of.contains_key(&who) {
            let (rate, burst) = (self.rate, self.rate.burst);
            self.of.retain(|_, bucket| bucket.at(rate, now).left < burst);
            if self.of.len() >= REMEMBERED
                && let Some(fullest) = self
                    .of
                    .iter()
                    .max_by(|a, b| a.1.at(rate, now).left.total_cmp(&b.1.at(rate, now).left))
                    .map(|(who, _)| who.clone())
            {
                self.of.remove(&fullest);
            }
        }
        self.of.insert(who, bucket);
    }
}

/// Who acts: a name, or the address where nobody has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Actor {
    Name(String),
    Address(Option<IpAddr>),
}

/// What is left to everybody.
#[derive(Debug)]
pub(super) struct Limits {
    wrong: Mutex<Buckets<Option<IpAddr>>>,
    acts: Mutex<Buckets<Actor>>,
}

impl Limits {
    /// With so many acts in a minute: a person who silences alert after alert in a storm is not held up, a loop is.
    pub(super) fn new(acts_per_minute: u32) -> Self {
        let acts = acts_per_minute.max(1);
        let rate = Rate { burst: f64::from(acts), every: Duration::from_secs(60) / acts };
        Self { wrong: Mutex::new(Buckets::new(WRONG)), acts: Mutex::new(Buckets::new(rate)) }
    }

    /// Whether an address may try a password, or how long it must wait.
    pub(super) fn may_try(&self, peer: Option<Peer>, now: Instant) -> Result<(), Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.now(&network(peer), now).wait(WRONG).map_or(Ok(()), Err)
    }

    /// A password of this address was wrong.
    pub(super) fn failed(&self, peer: Option<Peer>, now: Instant) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).take(network(peer), now);
    }

    /// Counts an act, or tells how long to wait before it.
    pub(super) fn acts(&self, name: Option<&str>, peer: Option<Peer>, now: Instant) -> Result<(), Duration> {
        let mut acts = self.acts.lock().unwrap_or_else(PoisonError::into_inner);
        let actor = name.map_or_else(|| Actor::Address(network(peer)), |name| Actor::Name(name.to_owned()));
        if let Some(wait) = acts.now(&actor, now).wait(acts.rate) {
            return Err(wait);
        }
        acts.take(actor, now);
        Ok(())
    }
}

/// The address, of IPv6 the network that one customer has: he could take another address of it for each try.
fn network(peer: Option<Peer>) -> Option<IpAddr> {
    peer.map(|Peer(address)| match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Option<Peer> {
        Some(Peer(text.parse().unwrap()))
    }

    #[test]
    fn who_guesses_waits_and_others_do_not() {
        let (limits, now) = (Limits::new(60), Instant::now());
        let (guesser, other) = (peer("192.0.2.1"), peer("192.0.2.2"));
        for _ in 0..10 {
            assert_eq!(limits.may_try(guesser, now), Ok(()));
            limits.failed(guesser, now);
        }
        let wait = limits.may_try(guesser, now).unwrap_err();
        assert!(wait <= WRONG.every && wait > WRONG.every / 2, "{wait:?}");
        assert_eq!(limits.may_try(other, now), Ok(()));
        assert!(limits.may_try(guesser, now + wait / 2).is_err());
        assert_eq!(limits.may_try(guesser, now + wait), Ok(()), "one more try after the wait");
    }

    #[test]
    fn another_address_of_the_same_network_is_the_same_guesser() {
        let (limits, now) = (Limits::new(60), Instant::now());
        for last in 0..10 {
            limits.failed(peer(&format!("2001:db8:1:2::{last}")), now);
        }
        assert!(limits.may_try(peer("2001:db8:1:2:ffff::1"), now).is_err());
        assert_eq!(limits.may_try(peer("2001:db8:1:3::1"), now), Ok(()));
    }

    #[test]
    fn a_loop_is_stopped_under_whatever_address_it_acts_for_a_name() {
        let (limits, now) = (Limits::new(60), Instant::now());
        for last in 0..60 {
            assert_eq!(limits.acts(Some("anna"), peer(&format!("192.0.2.{last}")), now), Ok(()));
        }
        assert!(limits.acts(Some("anna"), peer("192.0.2.99"), now).is_err());
        assert_eq!(limits.acts(Some("bob"), peer("192.0.2.1"), now), Ok(()));
        assert_eq!(limits.acts(Some("anna"), None, now + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn the_memory_is_bounded_and_keeps_those_who_guess_most() {
        let (limits, now) = (Limits::new(60), Instant::now());
        for _ in 0..10 {
            limits.failed(peer("192.0.2.1"), now);
        }
        for number in 0..10_000_u32 {
            limits.failed(Some(Peer(IpAddr::from((0x0a00_0000 + number).to_be_bytes()))), now);
        }
        assert!(limits.wrong.lock().unwrap().of.len() <= REMEMBERED);
        assert!(limits.may_try(peer("192.0.2.1"), now).is_err());
    }
}

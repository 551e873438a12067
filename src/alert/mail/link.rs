//! How a link in a mail can act for its reader: a claim signed by us, which
//! ends by itself.
//!
//! A token is the claim as JSON and its HMAC-SHA256, both in base64 for URLs.
//! It only says what may be done: the page behind it shows that and acts on
//! POST, since scanners of mail follow every link.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use url::Url;

use crate::config::LinkKey;
use crate::model::alerting::{Kind, Notification, NotificationId, Target};
use crate::model::unit::Timestamp;

/// Keeps a signature from being good for anything else that the key may sign.
const PURPOSE: &[u8] = b"sio mail link 1\0";

/// What a dashboard shows around the alert.
const BEFORE: TimeDelta = TimeDelta::hours(1);
const AFTER: TimeDelta = TimeDelta::minutes(15);

/// Labels of alerts that are variables of the dashboards too.
const VARIABLES: [&str; 7] =
    ["protection_domain", "storage_pool", "fault_set", "sds", "sdc", "volume", "consistency_group"];

/// A name may have any length; an address that readers take may not.
const LONGEST_VARIABLE: usize = 200;

/// Longer than any token we make; more is not even decoded.
const LONGEST: usize = 2048;

/// What the holder of a token may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The act.
    pub act: Act,
    /// On what.
    pub on: Target,
    /// The mail it came with, for the record.
    pub mail: NotificationId,
    /// Until when.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub until: Timestamp,
}

/// What a link may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Say that somebody works on it: no more reminders.
    Acknowledge,
    /// Say nothing of it for a while.
    Silence {
        /// For how long.
        seconds: u32,
    },
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is no token of ours, or was changed.
    #[error("the link is not one of ours, or was changed on its way; open it from the mail itself")]
    NotOurs,
    /// Its time is over.
    #[error("the link acted until {}; use a newer mail", until.format("%Y-%m-%d %H:%M UTC"))]
    Expired {
        /// When it ended.
        until: Timestamp,
    },
}

/// Signs a claim.
pub fn make(key: &LinkKey, claim: &Claim) -> String {
    // A struct of texts and numbers cannot fail to be written.
    let body = serde_json::to_vec(claim).unwrap_or_default();
    let sum = sign(key, &body).map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
    format!("{}.{}", URL_SAFE_NO_PAD.encode(&body), URL_SAFE_NO_PAD.encode(sum))
}

/// Reads a token: first whether it is ours, then whether its time is over.
pub fn verify(key: &LinkKey, token: &str, now: Timestamp) -> Result<Claim, LinkError> {
    let (body, sum) = token.split_once('.').filter(|_| token.len() <= LONGEST).ok_or(LinkError::NotOurs)?;
    let body = URL_SAFE_NO_PAD.decode(body).map_err(|_| LinkError::NotOurs)?;
    let sum = URL_SAFE_NO_PAD.decode(sum).map_err(|_| LinkError::NotOurs)?;
    // Compares in constant time.
    let good = sign(key, &body).is_some_and(|mac| mac.verify_slice(&sum).is_ok());
    let claim: Claim = if good { serde_json::from_slice(&body).ok() } else { None }.ok_or(LinkError::NotOurs)?;
    if now >= claim.until { Err(LinkError::Expired { until: claim.until }) } else { Ok(claim) }
}

/// The dashboard of Grafana for what is told, at its time and with its variables. `base` is where Grafana is reached.
pub(super) fn dashboard(base: &Url, n: &Notification) -> Option<String> {
    let uid = match (&n.kind, n.group.area.as_str()) {
        (Kind::Report(_), _) | (_, "capacity") => "scaleio-capacity",
        (_, "performance") => "scaleio-performance",
        (_, "sds") => "scaleio-sds",
        (_, "device") => "scaleio-devices",
        (_, "client") => "scaleio-sdc",
        (_, "protection") => "scaleio-rebuild",
        (_, "replication") => "scaleio-replication",
        (_, "exporter" | "mail" | "security") => "scaleio-exporter",
        _ => "scaleio-health",
    };
    let mut url = base.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["d", uid]);
    let begun = n.items.iter().map(|item| item.alert.active_since).min().unwrap_or(n.created_at);
    let (from, to) = (begun - BEFORE, n.created_at + AFTER);
    let mut query = url.query_pairs_mut();
    query.append_pair("from", &from.timestamp_millis().to_string());
    query.append_pair("to", &to.timestamp_millis().to_string());
    if let Some(system) = &n.group.system {
        query.append_pair("var-system", system.as_str());
    }
    if let [only] = n.items.as_slice() {
        for name in VARIABLES {
            if let Some(value) = only.alert.labels.get(name).filter(|value| value.len() <= LONGEST_VARIABLE) {
                query.append_pair(&format!("var-{name}"), value);
            }
        }
    }
    drop(query);
    Some(url.into())
}

fn sign(key: &LinkKey, body: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC takes keys of any length, so that this never is nothing.
    let mac = Hmac::<Sha256>::new_from_slice(key.reveal()).ok()?;
    Some(mac.chain_update(PURPOSE).chain_update(body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alerting::GroupKey;
    use crate::model::id::SystemId;

    fn key(byte: u8) -> LinkKey {
        LinkKey::new(&[byte; 32]).unwrap()
    }

    fn now() -> Timestamp {
        chrono::DateTime::from_timestamp(1_795_000_000, 0).unwrap()
    }

    fn claim() -> Claim {
        Claim {
            act: Act::Silence { seconds: 4 * 3600 },
            on: Target::Group(GroupKey::new(Some(SystemId::new("prod")), "sds")),
            mail: NotificationId::parse("n-1").unwrap(),
            until: now() + TimeDelta::hours(24),
        }
    }

    #[test]
    fn a_token_says_what_was_signed_until_its_end() {
        let token = make(&key(1), &claim());
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')), "{token}");
        assert_eq!(verify(&key(1), &token, now()).unwrap(), claim());
        let last = claim().until - TimeDelta::seconds(1);
        assert!(verify(&key(1), &token, last).is_ok());
        assert_eq!(verify(&key(1), &token, claim().until), Err(LinkError::Expired { until: claim().until }));
    }

    #[test]
    fn any_change_of_a_token_is_refused() {
        let token = make(&key(1), &claim());
        for at in 0..token.len() {
            for with in ["A", "B", "."] {
                let mut changed = token.clone();
                changed.replace_range(at..=at, with);
                // The last character of base64 has bits that mean nothing; a strict decoder refuses them.
                assert!(changed == token || verify(&key(1), &changed, now()).is_err(), "{at}: {changed}");
            }
        }
        for bad in ["", ".", "a.b", &token[..token.len() - 1], &format!("{token}A"), &"x".repeat(10_000)] {
            assert_eq!(verify(&key(1), bad, now()), Err(LinkError::NotOurs), "{bad}");
        }
    }

    #[test]
    fn a_token_of_another_key_is_refused() {
        assert_eq!(verify(&key(2), &make(&key(1), &claim()), now()), Err(LinkError::NotOurs));
        assert!(LinkKey::new(&[0; 31]).is_none());
    }
}

//! What must be known over a restart: what was told, what people did, and what
//! was held back. Each part is an entry of the store of its own.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::flap::Flap;
use super::group::Group;
use super::route::GroupId;
use super::week::Week;
use crate::model::alerting::{
    Acknowledgement, Alert, Fingerprint, Held, HoldReason, Labels, MessageId, Record, Silence, SilenceId,
};
use crate::model::unit::Timestamp;
use crate::store::{Key, MAX_VALUE, State, StoreError};

/// Begin of every key of ours.
pub const PREFIX: &str = "notify/";

/// Bytes of one piece of an entry that is larger than a value may be.
const PIECE: usize = MAX_VALUE - 1024;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Numbers and moments.
    pub head: Head,
    /// Groups that are being told, or wait to be.
    pub groups: BTreeMap<GroupId, Group>,
    /// How busy each route is, by its name.
    pub routes: BTreeMap<String, Busy>,
    /// Silences that are in force or ended lately.
    pub silences: BTreeMap<SilenceId, Kept>,
    /// Who works on what, by a number.
    pub acks: BTreeMap<u64, Acked>,
    /// What people did lately, by a number.
    pub records: BTreeMap<u64, Record>,
    /// What came and went lately.
    pub flaps: BTreeMap<Fingerprint, Flap>,
    /// The books of each system for its weekly report.
    pub weeks: BTreeMap<String, Week>,
    /// What steps explained since the last run was over, by system.
    pub kept_quiet: BTreeMap<String, BTreeMap<Fingerprint, Held>>,
    /// What fired at the last look; not stored.
    pub before: Option<BTreeSet<Fingerprint>>,
}

/// Numbers and moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Notifications made so far.
    pub serial: u64,
    /// Silences and acknowledgements made so far.
    pub acts: u64,
    /// When the last heartbeat was due that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Timestamp>,
    /// When the last report was due that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Timestamp>,
    /// The last run of each system of which the end was told; empty: there was none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runs: BTreeMap<String, String>,
    /// When each job was due, `SYSTEM/JOB`, of which the report was sent last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reports: BTreeMap<String, Timestamp>,
}

/// How busy a route is, and what it holds back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Busy {
    /// Name of the route.
    pub name: String,
    /// Mails of the last hour.
    #[serde(default)]
    pub sent: Vec<Timestamp>,
    /// Whether its quiet hours have begun and no mail told their end.
    #[serde(default)]
    pub quiet: bool,
    /// Whether its last mails had to wait for the hour to have room.
    #[serde(default)]
    pub limited: bool,
    /// The newest mail that told of a storm, and the thread of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm: Option<Storm>,
    /// What was due and is not told yet.
    #[serde(default)]
    pub held: BTreeMap<Fingerprint, Held>,
    /// Whether more is held than is listed.
    #[serde(default)]
    pub more: bool,
}

/// Mails that tell of many groups at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// The first one.
    pub root: MessageId,
    /// The newest one.
    pub last: MessageId,
    /// When that was.
    pub at: Timestamp,
}

/// A silence, and whether its end was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The silence.
    pub silence: Silence,
    /// Whether its end was told.
    #[serde(default)]
    pub end_told: bool,
}

/// Who works on some alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acked {
    /// Who, and since when.
    pub ack: Acknowledgement,
    /// On which.
    pub alerts: BTreeSet<Fingerprint>,
}

impl Memory {
    /// Silences in force that mean an alert with these labels.
    pub fn silenced(&self, labels: &Labels, now: Timestamp) -> Vec<SilenceId> {
        let kept = self.silences.values().map(|kept| &kept.silence);
        kept.filter(|silence| silence.is_active(now) && silence.covers(labels))
            .map(|silence| silence.id.clone())
            .collect()
    }

    /// Who works on an alert; the newest word counts.
    pub fn acknowledged(&self, fingerprint: &Fingerprint, now: Timestamp) -> Option<&Acknowledgement> {
        let mut acks = self.acks.values().rev().filter(|acked| acked.alerts.contains(fingerprint));
        acks.find(|acked| acked.ack.is_active(now)).map(|acked| &acked.ack)
    }

    /// Takes back moments that have not come yet: the clock was wrong, and was set back. What would wait until it has
    /// caught up waits from now on; silences and acknowledgements last as long as they were to.
    pub(super) fn not_after(&mut self, now: Timestamp) {
        let back = |at: &mut Timestamp| *at = (*at).min(now);
        self.head.heartbeat.iter_mut().chain(&mut self.head.report).for_each(back);
        for group in self.groups.values_mut() {
            back(&mut group.begun);
            group.told.values_mut().chain(&mut group.escalated).for_each(back);
            group.thread.iter_mut().flat_map(|thread| [&mut thread.since, &mut thread.at]).for_each(back);
        }
        for busy in self.routes.values_mut() {
            busy.sent.iter_mut().chain(busy.storm.as_mut().map(|storm| &mut storm.at)).for_each(back);
        }
        for Kept { silence, .. } in self.silences.values_mut() {
            let early = (silence.from - now).max(TimeDelta::zero());
            (silence.from, silence.until) = (silence.from - early, silence.until - early);
        }
        for Acked { ack, .. } in self.acks.values_mut() {
            let early = (ack.at - now).max(TimeDelta::zero());
            (ack.at, ack.until) = (ack.at - early, ack.until.map(|until| until - early));
        }
        self.flaps.values_mut().flat_map(|flap| &mut flap.changes).for_each(back);
        for week in self.weeks.values_mut() {
            back(&mut week.from);
            back(&mut week.last);
            week.pools.values_mut().map(|(at, _)| at).for_each(back);
        }
    }

    /// Remembers that something is held back.
    pub(super) fn hold(&mut self, route: &str, fingerprint: Fingerprint, held: impl FnOnce() -> Held) {
        /// What mails can list, and what fits into the store together with what causes it.
        const MOST: usize = 200;
        let busy = self.busy(route);
        if busy.held.contains_key(&fingerprint) {
            return;
        }
        if busy.held.len() < MOST {
            busy.held.insert(fingerprint, held());
        } else {
            busy.more = true;
        }
    }

    pub(super) fn busy(&mut self, route: &str) -> &mut Busy {
        self.routes.entry(route.to_owned()).or_insert_with(|| Busy { name: route.to_owned(), ..Busy::default() })
    }

    /// Everything as the store holds it.
    ///
    /// # Errors
    /// A key that no store takes, which is a bug.
    pub fn entries(&self) -> Result<BTreeMap<Key, Vec<u8>>, StoreError> {
        let mut out = BTreeMap::new();
        put(&mut out, "head", &self.head)?;
        for (id, group) in self.groups.iter().filter(|(_, group)| group.was_told()) {
            put(&mut out, &format!("group/{}", digest(id)), &(id, group))?;
        }
        for (name, busy) in &self.routes {
            put(&mut out, &format!("route/{}", digest(name)), busy)?;
        }
        for (id, kept) in &self.silences {
            put(&mut out, &format!("silence/{id}"), kept)?;
        }
        for (number, acked) in &self.acks {
            put(&mut out, &format!("ack/{number:012}"), acked)?;
        }
        for (number, record) in &self.records {
            put(&mut out, &format!("record/{number:012}"), record)?;
        }
        if !self.flaps.is_empty() {
            put(&mut out, "flaps", &self.flaps)?;
        }
        for (system, kept) in &self.kept_quiet {
            put(&mut out, &format!("quiet/{}", digest(system)), &(system, kept))?;
        }
        for (system, week) in &self.weeks {
            put(&mut out, &format!("week/{}", digest(system)), &(system, week))?;
        }
        Ok(out)
    }

    /// What a store holds, and the keys of what of it cannot be read.
    pub fn load(state: &State) -> (Self, Vec<String>) {
        let mut whole: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (key, bytes) in &state.entries {
            if let Some((name, _piece)) = key.as_str().strip_prefix(PREFIX).and_then(|name| name.rsplit_once('/')) {
                whole.entry(name.to_owned()).or_default().extend(bytes);
            }
        }
        let (mut memory, mut unreadable) = (Self::default(), Vec::new());
        for (name, bytes) in whole {
            let read = match name.split('/').next().unwrap_or_default() {
                "head" => get(&bytes).map(|head| memory.head = head),
                "group" => get::<(GroupId, Group)>(&bytes).map(|(id, group)| drop(memory.groups.insert(id, group))),
                "route" => get::<Busy>(&bytes).map(|busy| drop(memory.routes.insert(busy.name.clone(), busy))),
                "silence" => {
                    get::<Kept>(&bytes).map(|kept| drop(memory.silences.insert(kept.silence.id.clone(), kept)))
                }
                "ack" => numbered(&name, &bytes).map(|(number, acked)| drop(memory.acks.insert(number, acked))),
                "record" => numbered(&name, &bytes).map(|(number, record)| drop(memory.records.insert(number, record))),
                "flaps" => get(&bytes).map(|flaps| memory.flaps = flaps),
                "quiet" => get::<(String, BTreeMap<Fingerprint, Held>)>(&bytes)
                    .map(|(name, kept)| drop(memory.kept_quiet.insert(name, kept))),
                "week" => get::<(String, Week)>(&bytes).map(|(name, week)| drop(memory.weeks.insert(name, week))),
                // Of a newer version: it stays in the store as it is.
                _ => Some(()),
            };
            if read.is_none() {
                unreadable.push(name);
            }
        }
        (memory, unreadable)
    }
}

/// Whether this version knows what a key is for. Others stay as they are.
pub fn is_ours(key: &Key) -> bool {
    const KINDS: [&str; 9] = ["head", "group", "route", "silence", "ack", "record", "flaps", "quiet", "week"];
    kind(key).is_some_and(|kind| KINDS.contains(&kind))
}

/// Whether it is of the books of the week.
pub fn is_book(key: &Key) -> bool {
    kind(key) == Some("week")
}

fn kind(key: &Key) -> Option<&str> {
    key.as_str().strip_prefix(PREFIX)?.split('/').next()
}

fn get<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn numbered<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Option<(u64, T)> {
    Some((name.rsplit('/').next()?.parse().ok()?, get(bytes)?))
}

fn put(out: &mut BTreeMap<Key, Vec<u8>>, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
    // Texts, numbers and maps with text keys cannot fail to be written.
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    for (number, piece) in bytes.chunks(PIECE).enumerate() {
        out.insert(Key::new(&format!("{PREFIX}{name}/{number:03}"))?, piece.to_vec());
    }
    Ok(())
}

/// A name of any text as a part of a key.
fn digest(value: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(value).unwrap_or_default();
    Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// What is held back, in short.
pub(super) fn held(now: Timestamp, alert: &Alert, reason: HoldReason) -> Held {
    let summary = alert.annotations.summary.chars().take(150).collect();
    Held { at: now, severity: alert.severity, summary, reason }
}

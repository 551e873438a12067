//! One function a question: what is asked of the gateway for each collector.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Answered, Gateway};
use super::convert::{self, Answer, EventPage, ParseError, Unknown};
use super::error::GatewayError;
use super::request::Call;
use super::statistics;
use crate::model::cluster::{
    ConsistencyGroup, Device, FaultSet, MdmAlert, MdmEvent, PeerMdm, ProtectionDomain, ReplicationPair, Sdc, Sdr, Sds,
    Sdt, SnapshotPolicy, StoragePool, System, VTree, Volume,
};
use crate::model::snapshot::Table;
use crate::model::stats::{StatKind, Statistics};
use crate::model::unit::Timestamp;
use crate::model::version::{Generation, ProductVersion};

/// A body longer than this is read on a thread of its own: at a few
/// nanoseconds a byte it would hold up everything else for milliseconds.
const LONG: usize = 512 * 1024;

/// Entries asked for at once where a gateway answers in pages.
const PAGE: usize = 500;

/// Pages read at most. A gateway with more alerts or events than these hold
/// has a trouble that one more entry does not tell.
const MAX_PAGES: usize = 20;

type Parse<T> = fn(&[u8]) -> Result<Answer<T>, ParseError>;

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident: $object:ty = $kind:literal;)*) => {
        impl Gateway {$(
            $(#[$doc])*
            pub async fn $name(&self) -> Result<Answer<Table<$object>>, GatewayError> {
                let call = Call::get(concat!("types/", $kind), concat!("/api/types/", $kind, "/instances"));
                self.ask(call, convert::$name).await
            }
        )*}
    };
}

types! {
    /// All protection domains.
    domains: ProtectionDomain = "ProtectionDomain";
    /// All fault sets.
    fault_sets: FaultSet = "FaultSet";
    /// All storage pools.
    pools: StoragePool = "StoragePool";
    /// All SDSs.
    sds: Sds = "Sds";
    /// All devices.
    devices: Device = "Device";
    /// All SDCs and NVMe hosts.
    sdcs: Sdc = "Sdc";
    /// All volumes and snapshots.
    volumes: Volume = "Volume";
    /// All volume trees.
    vtrees: VTree = "VTree";
    /// All snapshot policies (from 3.0 on).
    policies: SnapshotPolicy = "SnapshotPolicy";
    /// All replication consistency groups (from 3.5 on).
    groups: ConsistencyGroup = "ReplicationConsistencyGroup";
    /// All replication pairs (from 3.5 on).
    pairs: ReplicationPair = "ReplicationPair";
    /// All replication peers (from 3.5 on).
    peers: PeerMdm = "PeerMdm";
    /// All SDRs (from 3.5 on).
    sdrs: Sdr = "Sdr";
    /// All SDTs (from 4.0 on).
    sdts: Sdt = "Sdt";
}

const SYSTEM: &str = "types/System";

impl Gateway {
    /// Which release speaks: by the system's own version, because the version
    /// of the API lags behind it.
    pub async fn generation(&self) -> Result<Generation, GatewayError> {
        let answered = self.call(Call::get(SYSTEM, "/api/types/System/instances")).await?;
        let address = answered.address.clone();
        let systems = read(SYSTEM, answered, convert::systems).await?;
        let told = systems.value.first().and_then(|system| system.version.generation());
        let generation = match told {
            Some(generation) => generation,
            None => {
                let answered = self.call(Call::get("version", "/api/version")).await?;
                let text = String::from_utf8_lossy(&answered.body);
                let text = text.trim().trim_matches('"');
                ProductVersion::read(text).generation().ok_or_else(|| GatewayError::Release {
                    call: "version",
                    address,
                    text: text.chars().filter(|c| !c.is_control()).take(40).collect(),
                })?
            }
        };
        self.note_generation(generation).await;
        Ok(generation)
    }

    /// The system with its MDM cluster.
    pub async fn system(&self) -> Result<Answer<System>, GatewayError> {
        let answered = self.call(Call::get(SYSTEM, "/api/types/System/instances")).await?;
        let address = answered.address.clone();
        let Answer { value, objects: _, mut unknown } = read(SYSTEM, answered, convert::systems).await?;
        let Some(mut system) = value.into_iter().next() else {
            let source = ParseError::Shape { expected: "list with a system" };
            return Err(GatewayError::Parse { call: SYSTEM, address, source });
        };
        if system.mdm.is_none() {
            match self.mdm_cluster().await {
                Ok(answer) => {
                    system.mdm = answer.value;
                    add(&mut unknown, answer.unknown);
                }
                // A release without the question; what stays unknown is unsafe by itself.
                Err(GatewayError::Status { status: 400 | 404 | 405, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Answer { value: system, objects: 1, unknown })
    }

    async fn mdm_cluster(&self) -> Result<Answer<Option<crate::model::cluster::MdmCluster>>, GatewayError> {
        let call = Call::post("queryMdmCluster", "/api/instances/System/queryMdmCluster", b"{}".to_vec());
        self.ask(call, convert::mdm_cluster).await
    }

    /// Alerts that are raised, severities in the words used from 4.0 on.
    pub async fn alerts(&self, generation: Generation) -> Result<Answer<Vec<MdmAlert>>, GatewayError> {
        if generation < Generation::V4 {
            return self.ask(Call::get("types/Alert", "/api/types/Alert/instances"), convert::alerts).await;
        }
        self.pages("alerts", "/rest/v1/alerts", "", convert::alert_page, |alert| &alert.id).await
    }

    /// The event log since a moment (from 4.0 on).
    pub async fn events(&self, since: Timestamp) -> Result<Answer<Vec<MdmEvent>>, GatewayError> {
        // `timestamp ge "2026-01-01T00:00:00.000Z"`
        let since_text = since.format("%Y-%m-%dT%H%%3A%M%%3A%S%.3fZ");
        let filter = format!("filter=timestamp%20ge%20%22{since_text}%22&");
        let mut answer =
            self.pages("events", "/rest/v1/events", &filter, convert::event_page, |event| &event.id).await?;
        // A gateway that does not know the filter sends everything.
        answer.value.retain(|event| event.at.is_none_or(|at| at >= since));
        answer.objects = answer.value.len();
        Ok(answer)
    }

    async fn pages<T: Send + 'static>(
        &self,
        name: &'static str,
        path: &str,
        filter: &str,
        parse: Parse<EventPage<T>>,
        id: fn(&T) -> &str,
    ) -> Result<Answer<Vec<T>>, GatewayError> {
        let (mut entries, mut unknown, mut offset) = (Vec::new(), Unknown::new(), 0);
        let mut seen: BTreeSet<Box<str>> = BTreeSet::new();
        for _ in 0..MAX_PAGES {
            let call = Call::get(name, format!("{path}?{filter}limit={PAGE}&offset={offset}"));
            let answer = self.ask(call, parse).await?;
            add(&mut unknown, answer.unknown);
            let page = answer.value;
            let before = entries.len();
            // The log grows while it is read, and a gateway may not know `offset`.
            entries.extend(page.entries.into_iter().filter(|entry| seen.insert(id(entry).into())));
            offset += page.sent;
            let all = page.total.is_some_and(|total| offset as u64 >= total) || page.sent < PAGE;
            let repeats = entries.len() == before && page.sent > 0 && answer.objects > 0;
            if all || repeats {
                break;
            }
        }
        Ok(Answer { objects: entries.len(), value: entries, unknown })
    }

    /// The statistics of these kinds of objects, in one query. Names that the
    /// release does not have are learned from its refusals and not asked again.
    pub async fn statistics(&self, kinds: &[StatKind]) -> Result<Answer<Statistics>, GatewayError> {
        match self.bulk(kinds).await {
            Err(error) if error.refusal().is_some() && self.drop_refused(kinds).await? => self.bulk(kinds).await,
            outcome => outcome,
        }
    }

    /// Asks each kind alone, once, because a refusal did not say which one it
    /// was about, and drops those that are refused. Says whether that helps.
    async fn drop_refused(&self, kinds: &[StatKind]) -> Result<bool, GatewayError> {
        let asked: Vec<StatKind> = self.with_learned(|learned| learned.selection(kinds)).into_keys().collect();
        if asked.len() < 2 || !self.with_learned(statistics::Learned::try_alone) {
            return Ok(false);
        }
        let mut refused = Vec::new();
        for kind in &asked {
            match self.bulk(&[*kind]).await {
                Ok(_) => {}
                Err(error) if error.refusal().is_some() => refused.push(*kind),
                Err(error) => return Err(error),
            }
        }
        if refused.is_empty() || refused.len() == asked.len() {
            return Ok(false);
        }
        tracing::warn!(kinds = ?refused, "the gateway refuses statistics of these kinds; they are asked no more");
        self.with_learned(|learned| learned.drop_kinds(&refused));
        Ok(true)
    }

    /// One bulk query, again after every refusal that teaches something.
    async fn bulk(&self, kinds: &[StatKind]) -> Result<Answer<Statistics>, GatewayError> {
        const NAME: &str = "querySelectedStatistics";
        // Each refusal teaches about one kind: its names, and then that none is left.
        let mut refusals_left = 2 * kinds.len();
        loop {
            let selection = self.with_learned(|learned| learned.selection(kinds));
            if selection.is_empty() {
                return Ok(Answer { value: Statistics::default(), objects: 0, unknown: BTreeMap::new() });
            }
            let body = statistics::query(&selection)
                .map_err(|_| GatewayError::Setup { why: "a query cannot be written as JSON".into() })?;
            let call = Call::post(NAME, "/api/instances/querySelectedStatistics", body);
            let error = match self.call(call).await {
                Ok(answered) => {
                    return read(NAME, answered, move |body: &[u8]| statistics::read(body, &selection)).await;
                }
                Err(error) => error,
            };
            let message = error.refusal().filter(|_| refusals_left > 0);
            if !message.is_some_and(|message| self.with_learned(|learned| learned.learn(message, &selection))) {
                return Err(error);
            }
            refusals_left -= 1;
        }
    }

    async fn ask<T: Send + 'static>(&self, call: Call<'_>, parse: Parse<T>) -> Result<Answer<T>, GatewayError> {
        let name = call.name;
        read(name, self.call(call).await?, parse).await
    }
}

/// Reads a body, a long one aside.
async fn read<T, P>(call: &'static str, answered: Answered, parse: P) -> Result<Answer<T>, GatewayError>
where
    T: Send + 'static,
    P: FnOnce(&[u8]) -> Result<Answer<T>, ParseError> + Send + 'static,
{
    let Answered { body, address } = answered;
    let outcome = if body.len() < LONG {
        parse(&body)
    } else {
        match tokio::task::spawn_blocking(move || parse(&body)).await {
            Ok(outcome) => outcome,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(GatewayError::Setup { why: "the program is ending".into() }),
            },
        }
    };
    outcome.map_err(|source| GatewayError::Parse { call, address, source })
}

fn add(sum: &mut Unknown, more: Unknown) {
    for (kind, count) in more {
        *sum.entry(kind).or_default() += count;
    }
}

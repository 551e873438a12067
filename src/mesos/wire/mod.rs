//! What does an event of the scheduler stream say? Tolerant types of the wire,
//! and how they become nouns of ours.
//!
//! Masters of other releases send fields, types and enum words that we do not
//! know, numbers as text, and may leave out anything. An offer that cannot be
//! read costs that offer; an event that cannot be read costs that event.

mod call;
mod resource;

pub use call::{Call, FrameworkInfo, LaunchTask, TASK_CPUS, TASK_MEM, Uri, subscribe};

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use self::resource::ResourceWire;
use crate::model::id::{AgentId, ExecutorId, FrameworkId, OfferId, TaskId};
use crate::model::mesos::{AttributeValue, InverseOffer, Offer, Piece, TaskState, TaskStatus, Unavailability};

/// An event of the scheduler stream.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Event {
    /// The first one of each stream.
    Subscribed {
        framework: FrameworkId,
        heartbeat: Duration,
        master: Option<MasterInfo>,
    },
    Heartbeat,
    /// Offers, and how many more there were that could not be read.
    Offers {
        offers: Vec<Offer>,
        unreadable: usize,
    },
    InverseOffers {
        offers: Vec<InverseOffer>,
    },
    Rescind(OfferId),
    RescindInverseOffer(OfferId),
    Update(TaskStatus),
    Message {
        agent: AgentId,
        executor: ExecutorId,
        data: Vec<u8>,
    },
    /// An agent is gone, or an executor has ended.
    Failure {
        agent: Option<AgentId>,
        executor: Option<ExecutorId>,
        status: Option<i64>,
    },
    /// The master ends the stream, and says why.
    Error(Box<str>),
    /// A type that this version does not know, or has no use for.
    Other(Box<str>),
}

impl Event {
    /// The type, as metrics count it. Unknown ones are one.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Subscribed { .. } => "subscribed",
            Self::Heartbeat => "heartbeat",
            Self::Offers { .. } => "offers",
            Self::InverseOffers { .. } => "inverse_offers",
            Self::Rescind(_) => "rescind",
            Self::RescindInverseOffer(_) => "rescind_inverse_offer",
            Self::Update(_) => "update",
            Self::Message { .. } => "message",
            Self::Failure { .. } => "failure",
            Self::Error(_) => "error",
            Self::Other(_) => "other",
        }
    }

    /// Reads the JSON of an event.
    pub fn read(json: &[u8]) -> Result<Self, Malformed> {
        let fail = |why: String| Malformed { why, begins: String::from_utf8_lossy(json).chars().take(200).collect() };
        let wire: EventWire<'_> = serde_json::from_slice(json).map_err(|error| fail(error.to_string()))?;
        wire.event().map_err(fail)
    }
}

/// An event that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event cannot be read: {why}; it begins with {begins}")]
pub struct Malformed {
    /// What is wrong.
    pub why: String,
    /// Its beginning.
    pub begins: String,
}

/// Who a master is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct MasterInfo {
    pub id: Option<Box<str>>,
    /// `host:port`.
    pub address: Option<Box<str>>,
    pub version: Option<Box<str>>,
}

#[derive(Deserialize)]
struct EventWire<'a> {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(borrow, default)]
    subscribed: Option<&'a RawValue>,
    #[serde(borrow, default)]
    offers: Option<OffersWire<'a>>,
    #[serde(borrow, default)]
    inverse_offers: Option<InverseOffersWire<'a>>,
    #[serde(borrow, default)]
    rescind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    rescind_inverse_offer: Option<&'a RawValue>,
    #[serde(borrow, default)]
    update: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    failure: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OffersWire<'a> {
    #[serde(borrow, default)]
    offers: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct InverseOffersWire<'a> {
    #[serde(borrow, default)]
    inverse_offers: Vec<&'a RawValue>,
}

/// Reads the part of an event that its type promises.
fn part<T: for<'a> Deserialize<'a>>(name: &str, raw: Option<&RawValue>) -> Result<T, String> {
    let raw = raw.ok_or_else(|| format!("it has no `{name}`"))?;
    serde_json::from_str(raw.get()).map_err(|error| format!("`{name}`: {error}"))
}

impl EventWire<'_> {
    fn event(self) -> Result<Event, String> {
        let Some(kind) = self.kind else { return Ok(Event::Other("".into())) };
        Ok(match kind.as_str() {
            "SUBSCRIBED" => {
                let wire: SubscribedWire = part("subscribed", self.subscribed)?;
                let seconds = wire.heartbeat_interval_seconds.filter(|seconds| *seconds > 0.0);
                Event::Subscribed {
                    framework: FrameworkId::new(&wire.framework_id.value),
                    heartbeat: seconds
                        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                        .unwrap_or(DEFAULT_HEARTBEAT),
                    master: wire.master_info.map(MasterInfoWire::info),
                }
            }
            "HEARTBEAT" => Event::Heartbeat,
            "OFFERS" => {
                let raw = self.offers.ok_or("it has no `offers`")?.offers;
                let offers: Vec<Offer> = raw
                    .iter()
                    .filter_map(|raw| serde_json::from_str::<OfferWire>(raw.get()).ok().map(OfferWire::offer))
                    .collect();
                Event::Offers { unreadable: raw.len() - offers.len(), offers }
            }
            "INVERSE_OFFERS" => {
                let raw = self.inverse_offers.ok_or("it has no `inverse_offers`")?.inverse_offers;
                let offers = raw
                    .iter()
                    .filter_map(|raw| serde_json::from_str::<InverseOfferWire>(raw.get()).ok())
                    .map(InverseOfferWire::offer)
                    .collect();
                Event::InverseOffers { offers }
            }
            "RESCIND" => Event::Rescind(part::<RescindWire>("rescind", self.rescind)?.id()?),
            "RESCIND_INVERSE_OFFER" => Event::RescindInverseOffer(
                part::<RescindWire>("rescind_inverse_offer", self.rescind_inverse_offer)?.id()?,
            ),
            "UPDATE" => Event::Update(part::<UpdateWire>("update", self.update)?.status.status()),
            "MESSAGE" => {
                let wire: MessageWire = part("message", self.message)?;
                let data = STANDARD.decode(&wire.data).map_err(|error| format!("`message`: {error}"))?;
                Event::Message {
                    agent: AgentId::new(&wire.agent_id.value),
                    executor: ExecutorId::new(&wire.executor_id.value),
                    data,
                }
            }
            "FAILURE" => {
                let wire: FailureWire = part("failure", self.failure)?;
                Event::Failure {
                    agent: wire.agent_id.map(|id| AgentId::new(&id.value)),
                    executor: wire.executor_id.map(|id| ExecutorId::new(&id.value)),
                    status: wire.status.map(|status| status as i64),
                }
            }
            "ERROR" => Event::Error(part::<ErrorWire>("error", self.error)?.message.unwrap_or_default().into()),
            other => Event::Other(other.into()),
        })
    }
}

/// What a master uses that does not say.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct IdWire {
    value: String,
}

#[derive(Deserialize)]
struct SubscribedWire {
    framework_id: IdWire,
    #[serde(default, deserialize_with = "number")]
    heartbeat_interval_seconds: Option<f64>,
    #[serde(default)]
    master_info: Option<MasterInfoWire>,
}

/// As an event has it, and as a master writes it into ZooKeeper.
#[derive(Deserialize)]
pub(super) struct MasterInfoWire {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    address: Option<AddressWire>,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default, deserialize_with = "number")]
    port: Option<f64>,
    #[serde(default)]
    version: Option<String>,
}

impl MasterInfoWire {
    pub(super) fn info(self) -> MasterInfo {
        // `hostname` and `port` beside it are of releases before 0.24.
        let old = self.hostname.zip(self.port).map(|(host, port)| join(&host, port));
        let address = self.address.and_then(AddressWire::text).or(old);
        MasterInfo {
            id: self.id.map(Into::into),
            address: address.map(Into::into),
            version: self.version.map(Into::into),
        }
    }
}

#[derive(Deserialize)]
struct AddressWire {
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    ip: Option<String>,
    #[serde(default, deserialize_with = "number")]
    port: Option<f64>,
}

impl AddressWire {
    /// The address to go to: names of hosts need not be known to us.
    fn text(self) -> Option<String> {
        Some(join(&self.ip.or(self.hostname)?, self.port?))
    }
}

fn join(host: &str, port: f64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[derive(Deserialize)]
struct OfferWire {
    id: IdWire,
    agent_id: IdWire,
    #[serde(default)]
    hostname: Option<String>,
    #[serde(default)]
    url: Option<UrlWire>,
    #[serde(default)]
    resources: Vec<ResourceWire>,
    #[serde(default)]
    attributes: Vec<AttributeWire>,
    #[serde(default)]
    executor_ids: Vec<IdWire>,
    #[serde(default)]
    allocation_info: Option<AllocationWire>,
    #[serde(default)]
    unavailability: Option<UnavailabilityWire>,
}

#[derive(Deserialize)]
struct UrlWire {
    #[serde(default)]
    address: Option<AddressWire>,
}

#[derive(Deserialize)]
struct AllocationWire {
    #[serde(default)]
    role: Option<String>,
}

#[derive(Deserialize)]
struct ScalarWire {
    #[serde(default, deserialize_with = "number")]
    value: Option<f64>,
}

#[derive(Deserialize)]
struct TextWire {
    #[serde(default)]
    value: Option<String>,
}

#[derive(Deserialize)]
struct RangesWire {
    #[serde(default)]
    range: Vec<RangeWire>,
}

#[derive(Deserialize)]
struct RangeWire {
    #[serde(default, deserialize_with = "number")]
    begin: Option<f64>,
    #[serde(default, deserialize_with = "number")]
    end: Option<f64>,
}

#[derive(Deserialize)]
struct AttributeWire {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    text: Option<TextWire>,
    #[serde(default)]
    scalar: Option<ScalarWire>,
    #[serde(default)]
    ranges: Option<RangesWire>,
}

impl AttributeWire {
    fn value(self) -> Option<AttributeValue> {
        if let Some(text) = self.text {
            return Some(AttributeValue::Text(text.value?.into()));
        }
        if let Some(scalar) = self.scalar {
            return Some(AttributeValue::Scalar(scalar.value?));
        }
        let spans = self.ranges?.range.into_iter();
        Some(AttributeValue::Ranges(spans.filter_map(|span| Some((span.begin? as u64, span.end? as u64))).collect()))
    }
}

impl OfferWire {
    fn offer(self) -> Offer {
        let role: Option<Box<str>> = self.allocation_info.and_then(|allocation| allocation.role).map(Into::into);
        let mut pieces: Vec<Piece> =
            self.resources.into_iter().filter_map(|resource| resource.piece(role.as_deref())).collect();
        // What is kept for us anyway leaves the rest to others.
        pieces.sort_by_key(|piece| piece.reserved.is_none());
        let sum = |wanted: &str| {
            let named = pieces.iter().filter(|piece| &*piece.name == wanted);
            named.map(|piece| piece.amount).sum()
        };
        let (cpus, mem) = (sum("cpus"), sum("mem"));
        let mut attributes: BTreeMap<Box<str>, Vec<AttributeValue>> = BTreeMap::new();
        for mut attribute in self.attributes {
            if let Some(name) = attribute.name.take()
                && let Some(value) = attribute.value()
            {
                attributes.entry(name.into()).or_default().push(value);
            }
        }
        Offer {
            id: OfferId::new(&self.id.value),
            agent: AgentId::new(&self.agent_id.value),
            hostname: self.hostname.unwrap_or_default().into(),
            address: self.url.and_then(|url| url.address?.text()).map(Into::into),
            role,
            cpus,
            mem,
            pieces,
            attributes,
            executors: self.executor_ids.iter().map(|id| ExecutorId::new(&id.value)).collect(),
            unavailability: self.unavailability.and_then(UnavailabilityWire::noun),
        }
    }
}

#[derive(Deserialize)]
struct UnavailabilityWire {
    #[serde(default)]
    start: Option<NanosWire>,
    #[serde(default)]
    duration: Option<NanosWire>,
}

#[derive(Deserialize)]
struct NanosWire {
    nanoseconds: i64,
}

impl UnavailabilityWire {
    fn noun(self) -> Option<Unavailability> {
        let duration = self.duration.map(|duration| duration.nanoseconds);
        Some(Unavailability { start: self.start?.nanoseconds, duration })
    }
}

#[derive(Deserialize)]
struct InverseOfferWire {
    id: IdWire,
    #[serde(default)]
    agent_id: Option<IdWire>,
    #[serde(default)]
    unavailability: Option<UnavailabilityWire>,
}

impl InverseOfferWire {
    fn offer(self) -> InverseOffer {
        InverseOffer {
            id: OfferId::new(&self.id.value),
            agent: self.agent_id.map(|id| AgentId::new(&id.value)),
            unavailability: self.unavailability.and_then(UnavailabilityWire::noun),
        }
    }
}

#[derive(Deserialize)]
struct RescindWire {
    #[serde(default)]
    offer_id: Option<IdWire>,
    #[serde(default)]
    inverse_offer_id: Option<IdWire>,
}

impl RescindWire {
    fn id(self) -> Result<OfferId, String> {
        let id = self.offer_id.or(self.inverse_offer_id).ok_or("it names no offer")?;
        Ok(OfferId::new(&id.value))
    }
}

#[derive(Deserialize)]
struct UpdateWire {
    status: StatusWire,
}

#[derive(Deserialize)]
pub(super) struct StatusWire {
    task_id: IdWire,
    #[serde(default)]
    agent_id: Option<IdWire>,
    #[serde(default)]
    executor_id: Option<IdWire>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    healthy: Option<bool>,
    #[serde(default)]
    uuid: Option<String>,
}

impl StatusWire {
    fn status(self) -> TaskStatus {
        TaskStatus {
            task: TaskId::new(&self.task_id.value),
            agent: self.agent_id.map(|id| AgentId::new(&id.value)),
            executor: self.executor_id.map(|id| ExecutorId::new(&id.value)),
            state: TaskState::new(&self.state.unwrap_or_default()),
            is_answer: self.reason.as_deref() == Some("REASON_RECONCILIATION"),
            reason: self.reason.map(Into::into),
            message: self.message.map(Into::into),
            healthy: self.healthy,
            uuid: self.uuid.map(Into::into),
            from_executor: self.source.as_deref() == Some("SOURCE_EXECUTOR"),
        }
    }
}

#[derive(Deserialize)]
struct MessageWire {
    agent_id: IdWire,
    executor_id: IdWire,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct FailureWire {
    #[serde(default)]
    agent_id: Option<IdWire>,
    #[serde(default)]
    executor_id: Option<IdWire>,
    #[serde(default, deserialize_with = "number")]
    status: Option<f64>,
}

#[derive(Deserialize)]
struct ErrorWire {
    #[serde(default)]
    message: Option<String>,
}

/// A number, or text that is one; anything else is as absent.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Lenient {
        Number(f64),
        Text(String),
        Other(serde::de::IgnoredAny),
    }
    Ok(match Option::<Lenient>::deserialize(deserializer)? {
        Some(Lenient::Number(number)) => Some(number).filter(|number| number.is_finite()),
        Some(Lenient::Text(text)) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Some(Lenient::Other(_)) | None => None,
    })
}

#[cfg(test)]
mod tests;

//! `/api`: reads, queries, and the few writes that the simulator does.

use axum::http::Method;
use axum::response::Response;
use serde::Deserialize;

use super::json::Json;
use super::kind::{Kind, related};
use super::refusal::Refused;
use super::session::Role;
use super::statistics::{self, Query, Selection};
use super::{Asked, Gateway, alerts, body, ok};
use crate::sim::release::Release;
use crate::sim::world::{self, Id, VolumeRequest, World};

#[derive(Deserialize)]
struct Key {
    name: Option<String>,
    ip: Option<String>,
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewVolume {
    name: String,
    storage_pool_id: String,
    /// Numbers may come as strings.
    volume_size_in_kb: Option<serde_json::Value>,
    volume_size_in_gb: Option<serde_json::Value>,
    volume_type: Option<String>,
}

fn number(value: Option<&serde_json::Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

impl Gateway {
    pub(super) fn api(&self, asked: &Asked, path: &[&str]) -> Result<Response, Refused> {
        let first = path.first().map(|first| first.to_ascii_lowercase()).unwrap_or_default();
        match (&asked.method, first.as_str(), path.len()) {
            // The gateway itself answers these without an MDM.
            (&Method::GET, "logout", 1) => return self.logout(asked),
            (&Method::GET, "version", 1) => {
                self.role(asked)?;
                return Ok(ok(format!("\"{}\"", self.release.api_version())));
            }
            (&Method::GET, "configuration", 1) => {
                self.role(asked)?;
                return Ok(ok(configuration(&self.world())));
            }
            _ => {}
        }
        if (&asked.method, path) == (&Method::POST, &["instances", "System", "queryMdmCluster"]) {
            // Needs no login, so that clients can find the cluster.
            let world = self.mdm()?;
            let mut json = Json::default();
            self.writer.mdm_cluster(&mut json, &world, true);
            return Ok(ok(json.finish()));
        }
        if (&asked.method, first.as_str(), path.len()) == (&Method::GET, "login", 1) {
            drop(self.mdm()?);
            return self.login(asked);
        }
        let role = self.role(asked)?;
        let write = asked.method != Method::GET && !reads(path);
        if write && role == Role::Monitor {
            return Err(Refused::forbidden());
        }
        let mut world = self.mdm()?;
        match (&asked.method, path) {
            (&Method::GET, ["instances"]) => Ok(ok(self.writer.everything(&world))),
            (&Method::GET, ["types", "Alert", "instances"]) if self.release < Release::V4_5 => {
                Ok(ok(alerts::list(&world)))
            }
            (&Method::GET, ["types", kind, "instances"]) => {
                let kind = self.kind(kind)?;
                Ok(ok(self.writer.list(&world, kind, &kind.ids(&world))))
            }
            (&Method::GET, ["types", kind, "instances", key]) => {
                let kind = self.kind(kind)?;
                let name = key.strip_prefix("getByName::").ok_or_else(Refused::not_found)?;
                // Clients encode names twice, and write pools with their domain before a comma.
                let name = percent_decoded(&percent_decoded(name));
                let name = name.split_once(',').map_or(name.as_str(), |(_, name)| name);
                let id = kind.id_named(&world, name).ok_or_else(|| Refused::no_such(kind.name()))?;
                Ok(ok(format!("\"{id}\"")))
            }
            (&Method::GET, ["instances", object]) => {
                let (kind, id) = self.object(&world, object)?;
                let mut json = Json::default();
                self.writer.object(&mut json, &world, kind, id);
                Ok(ok(json.finish()))
            }
            (&Method::GET, ["instances", object, "relationships", relation]) => {
                let (kind, id) = self.object(&world, object)?;
                if !kind.has_relation(relation, self.release) {
                    return Err(Refused::not_found());
                }
                if *relation == "Statistics" {
                    return Ok(ok(self.catalogue.all(&world, kind, id)));
                }
                // Some relations lead to types that the simulated system has none of.
                let ids = match Kind::named(relation, self.release) {
                    Some(to) => (to, related(&world, kind, id, to)),
                    None => (kind, Vec::new()),
                };
                Ok(ok(self.writer.list(&world, ids.0, &ids.1)))
            }
            (&Method::POST, ["instances", "querySelectedStatistics"]) => {
                let query: Query = body(asked)?;
                self.catalogue.answer(&world, &query).map(ok)
            }
            (&Method::POST, ["types", kind, "instances", "action", action]) => {
                self.query(asked, &world, self.kind(kind)?, action)
            }
            (&Method::POST, ["types", "Volume", "instances"]) => create_volume(asked, &mut world),
            (&Method::POST, ["instances", object, "action", action]) => {
                let (kind, id) = self.object(&world, object)?;
                self.act(&mut world, kind, id, action)
            }
            _ => Err(Refused::not_found()),
        }
    }

    /// The world, if an MDM answers for it.
    fn mdm(&self) -> Result<std::sync::MutexGuard<'_, World>, Refused> {
        let world = self.world();
        if world.answers() { Ok(world) } else { Err(Refused::no_master()) }
    }

    fn kind(&self, name: &str) -> Result<Kind, Refused> {
        Kind::named(name, self.release).ok_or_else(Refused::not_found)
    }

    /// Reads `Type::id`.
    fn object(&self, world: &World, text: &str) -> Result<(Kind, Id), Refused> {
        let (kind, id) = text.split_once("::").ok_or_else(Refused::not_found)?;
        let kind = self.kind(kind)?;
        statistics::known_id(world, kind, id).map(|id| (kind, id))
    }

    /// Questions that are asked by POST.
    fn query(&self, asked: &Asked, world: &World, kind: Kind, action: &str) -> Result<Response, Refused> {
        match action {
            "querySelectedStatistics" => {
                let selection: Selection = body(asked)?;
                self.catalogue.answer_kind(world, kind, &selection).map(ok)
            }
            "queryBySelectedIds" => {
                let ids: Ids = body(asked)?;
                let ids: Vec<Id> =
                    ids.ids.iter().map(|id| statistics::known_id(world, kind, id)).collect::<Result<_, _>>()?;
                Ok(ok(self.writer.list(world, kind, &ids)))
            }
            "queryIdByKey" => {
                let key: Key = body(asked)?;
                let found = match (&key.name, &key.ip) {
                    (Some(name), _) => kind.id_named(world, name),
                    (None, Some(ip)) => id_at(world, kind, ip),
                    (None, None) => {
                        return Err(Refused::malformed("it must contain one of the following: name, ip"));
                    }
                };
                let id = found.ok_or_else(|| Refused::no_such(kind.name()))?;
                // Types of replication answer an object.
                let replication = matches!(
                    kind,
                    Kind::PeerMdm | Kind::ReplicationConsistencyGroup | Kind::ReplicationPair | Kind::Sdr
                );
                Ok(ok(if replication { format!("{{\"id\":\"{id}\"}}") } else { format!("\"{id}\"") }))
            }
            _ => Err(Refused::not_found()),
        }
    }

    /// What an object is told to do.
    fn act(&self, world: &mut World, kind: Kind, id: Id, action: &str) -> Result<Response, Refused> {
        let name = id.to_string();
        match (kind, action) {
            (Kind::Volume, "removeVolume") => world.delete_volume(&name).map_err(|why| by_mdm(&why))?,
            (Kind::Volume, "removeMappedSdc") => world.unmap_volume(&name).map_err(|why| by_mdm(&why))?,
            (Kind::Sdc, "queryVolumeSdcBwc") => return Ok(ok(volume_sdc(world, id))),
            _ => return Err(Refused::not_found()),
        }
        Ok(ok("{}"))
    }
}

/// Whether a POST only asks.
fn reads(path: &[&str]) -> bool {
    path.last().is_some_and(|last| last.starts_with("query") || *last == "getDelta")
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut pair = bytes.clone();
        let digits = [pair.next(), pair.next()].map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
        match (byte, digits) {
            (b'%', [Some(high), Some(low)]) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                bytes = pair;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn id_at(world: &World, kind: Kind, ip: &str) -> Option<Id> {
    match kind {
        Kind::Sds => world.sds.values().find(|sds| sds.ips.iter().any(|own| own == ip)).map(|sds| sds.id),
        Kind::Sdc => world.sdcs.values().find(|sdc| sdc.ip == ip).map(|sdc| sdc.id),
        _ => None,
    }
}

fn configuration(world: &World) -> String {
    let mut json = Json::default();
    json.object(|json| {
        json.key("systemId").shown(world.system.id);
        json.key("mdmPort").string("6611");
        json.key("mdmUsername").string("");
        json.key("mdmAddresses").array(|json| {
            for mdm in world.mdm.voters().filter(|mdm| mdm.role == world::MdmRole::Manager) {
                json.string(&mdm.ip);
            }
        });
        json.key("bypassCertificateCheck").string("true");
        json.key("allowNonSecureCommunication").string("false");
        json.key("cipherSuites").raw("null");
        json.key("featuresEnableIM").string("true");
        json.key("featuresEnableSnmp").string("false");
        json.key("snmpPort").string("162");
        json.key("snmpSamplingFrequency").string("30");
        json.key("snmpResendFrequency").string("0");
        json.key("snmpTrapsReceiverIps").raw("null");
    });
    json.finish()
}

fn volume_sdc(world: &World, id: Id) -> String {
    let mut json = Json::default();
    json.array(|json| {
        let mapped = world.sdcs.get(&id).map(|sdc| sdc.mapped.as_slice()).unwrap_or_default();
        for volume in mapped.iter().filter_map(|id| world.volumes.get(id)) {
            let own = volume.traffic.part(1, volume.mapped.len() as u64);
            json.object(|json| {
                json.key("sdcId").shown(id);
                json.key("volumeId").shown(volume.id);
                for (name, io) in [("read", own.read), ("write", own.write), ("trim", own.trim)] {
                    json.key(&format!("{name}Bwc")).window(io, io.kb);
                    json.key(&format!("{name}LatencyBwc")).window(io, io.micros);
                }
            });
        }
    });
    json.finish()
}

/// What the MDM says when the world refuses.
fn by_mdm(why: &world::Refusal) -> Refused {
    let code = match why {
        world::Refusal::NotFound { .. } => 79,
        world::Refusal::NameInUse { .. } => 99,
        world::Refusal::Mapped { .. } => 104,
        world::Refusal::NoRoom { .. } => 67,
        world::Refusal::Already { .. } | world::Refusal::HasSnapshots { .. } | world::Refusal::TooLarge { .. } => 62,
    };
    Refused::by_mdm(code, why.to_string())
}

fn create_volume(asked: &Asked, world: &mut World) -> Result<Response, Refused> {
    let new: NewVolume = body(asked)?;
    let gib = number(new.volume_size_in_gb.as_ref())
        .or_else(|| number(new.volume_size_in_kb.as_ref()).map(|kb| kb.div_ceil(1 << 20)))
        .ok_or_else(|| Refused::malformed("it must contain one of the following: volumeSizeInKb, volumeSizeInGb"))?;
    let thick = match new.volume_type.as_deref() {
        Some("ThinProvisioned") | None => false,
        Some("ThickProvisioned") => true,
        Some(other) => return Err(Refused::wrong_value("volumeType", "ThickProvisioned, ThinProvisioned", other)),
    };
    let request = VolumeRequest { name: new.name, pool: new.storage_pool_id, gib, thick, sdc: None };
    let id = world.create_volume(&request).map_err(|why| by_mdm(&why))?;
    Ok(ok(format!("{{\"id\":\"{id}\"}}")))
}

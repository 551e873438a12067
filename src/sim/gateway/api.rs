//! `/api`: reads, queries, and the few writes that the simulator does.

use axum::http::Method;
use axum::response::Response;
use serde::Deserialize;

use super::actions::{self, Args};
use super::json::Json;
use super::kind::{Kind, related};
use super::refusal::Refused;
use super::statistics::{self, Query, Selection};
use super::{Asked, Gateway, alerts, body, ok};
use crate::sim::release::Release;
use crate::sim::world::{self, Code, Id, Right, Setting, World};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    name: Option<String>,
    ip: Option<String>,
    /// Names of pools and fault sets are those of their domain alone.
    protection_domain_name: Option<String>,
    protection_domain_id: Option<String>,
}

#[derive(Deserialize)]
struct Ids {
    ids: Vec<String>,
}

impl Gateway {
    pub(super) fn api(&self, asked: &Asked, path: &[&str]) -> Result<Response, Refused> {
        let first = path.first().map(|first| first.to_ascii_lowercase()).unwrap_or_default();
        match (&asked.method, first.as_str(), path.len()) {
            // The gateway itself answers these without an MDM.
            (&Method::GET, "logout", 1) => return self.logout(asked),
            (&Method::GET, "version", 1) => {
                self.caller(asked)?;
                return Ok(ok(format!("\"{}\"", self.release.api_version())));
            }
            (&Method::GET, "configuration", 1) => {
                self.caller(asked)?;
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
        let caller = self.caller(asked)?;
        let right = if asked.method == Method::GET || reads(path) { Right::Look } else { right(path) };
        if !caller.role.may(right) {
            return Err(Refused::forbidden());
        }
        if caller.must_change && path != OWN_PASSWORD {
            return Err(Refused::code(Code::MustChangePassword));
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
                let (domain, name) = match name.split_once(',') {
                    Some((domain, name)) if kind == Kind::StoragePool => (Some(domain.to_owned()), name.to_owned()),
                    _ => (None, name),
                };
                let id = named(&world, kind, domain.as_deref(), &name)?;
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
            (&Method::POST, ["types", kind, "instances"]) => {
                let command = actions::creation(&world, caller.id, self.kind(kind)?, &Args::read(asked)?)?;
                Ok(actions::answer("", &world.command(command)?))
            }
            (&Method::POST, ["instances", "System", "action", action]) => {
                let id = world.system.id;
                self.act(asked, &mut world, caller.id, (Kind::System, id), action)
            }
            (&Method::POST, path) if path == OWN_PASSWORD => {
                self.act(asked, &mut world, caller.id, (Kind::User, caller.id), "setPassword")
            }
            // The only other one whose object is named in the body.
            (&Method::POST, ["instances", "RemoteSystem", "action", action @ "modifyRemoteSystemBwLimit"]) => {
                let id = Args::read(asked)?.needed("remoteSystemId")?;
                let object = self.object(&world, &format!("RemoteSystem::{id}"))?;
                self.act(asked, &mut world, caller.id, object, action)
            }
            (&Method::POST, ["instances", object, "action", action]) => {
                let object = self.object(&world, object)?;
                self.act(asked, &mut world, caller.id, object, action)
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
        Kind::listed(name, self.release).ok_or_else(Refused::not_found)
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
                let id = match (&key.name, &key.ip) {
                    (Some(name), _) => {
                        let domain = key.protection_domain_name.as_deref().or(key.protection_domain_id.as_deref());
                        named(world, kind, domain, name)?
                    }
                    (None, Some(ip)) => id_at(world, kind, ip).ok_or_else(|| Refused::no_such(kind.name()))?,
                    (None, None) => return Err(Refused::missing_one(&["name", "ip"])),
                };
                // Types of replication answer an object.
                let replication = matches!(
                    kind,
                    Kind::PeerMdm | Kind::ReplicationConsistencyGroup | Kind::ReplicationPair | Kind::Sdr
                );
                Ok(ok(if replication { format!("{{\"id\":\"{id}\"}}") } else { format!("\"{id}\"") }))
            }
            "queryAllApprovedSdc" if kind == Kind::Sdc => {
                let approved = |id: &&Id| world.setting(**id, "sdcApproved") != Some(&Setting::Bool(false));
                let ids: Vec<Id> = world.sdcs.keys().filter(approved).copied().collect();
                Ok(ok(self.writer.list(world, kind, &ids)))
            }
            _ => Err(Refused::not_found()),
        }
    }

    /// What an object is asked, or told to do.
    fn act(
        &self,
        asked: &Asked,
        world: &mut World,
        by: Id,
        (kind, id): (Kind, Id),
        action: &str,
    ) -> Result<Response, Refused> {
        match (kind, action) {
            (Kind::Sdc, "queryVolumeSdcBwc") => return Ok(ok(volume_sdc(world, id))),
            (Kind::System, "querySystemLimits") => return Ok(ok(limits(world))),
            _ => {}
        }
        let command = actions::command(world, by, (kind, id), action, &Args::read(asked)?)?;
        Ok(actions::answer(action, &world.command(command)?))
    }
}

/// The object of a type that has this name; in this domain, by its name or id.
fn named(world: &World, kind: Kind, domain: Option<&str>, name: &str) -> Result<Id, Refused> {
    // By name nobody says of which type nothing was found.
    let unknown = || Refused::code(Code::NotFound);
    let Some(domain) = domain else { return kind.id_named(world, name).ok_or_else(unknown) };
    let domain = world.domains.values().find(|at| at.name == domain || at.id.to_string() == domain);
    let domain = domain.ok_or_else(unknown)?.id;
    let found = match kind {
        Kind::StoragePool => world.pools.values().find(|at| at.domain == domain && at.name == name).map(|at| at.id),
        Kind::FaultSet => world.fault_sets.values().find(|at| at.domain == domain && at.name == name).map(|at| at.id),
        _ => kind.id_named(world, name),
    };
    found.ok_or_else(unknown)
}

/// What the system may have of each.
fn limits(world: &World) -> String {
    let snapshots = if world.release >= Release::V3_0 { "126" } else { "31" };
    let entries = [
        ("maxVolumeSizeInGb", "Maximum volume size in GB", "1048576"),
        ("maxSnapshotsInVTree", "Maximum number of snapshots in a V-Tree", snapshots),
        ("maxNameLength", "Maximum length of names", "31"),
    ];
    let mut json = Json::default();
    json.object(|json| {
        json.key("systemLimitEntryList").array(|json| {
            for (kind, description, most) in entries {
                json.object(|json| {
                    json.key("type").string(kind);
                    json.key("description").string(description);
                    json.key("maxVal").string(most);
                });
            }
        });
    });
    json.finish()
}

/// Everybody's own, whoever it is.
const OWN_PASSWORD: [&str; 4] = ["instances", "User", "action", "setPassword"];

/// What one must be allowed for a POST that changes something.
fn right(path: &[&str]) -> Right {
    if path == OWN_PASSWORD {
        return Right::Look;
    }
    let kind = path.get(1).map(|object| object.split("::").next().unwrap_or(object));
    let action = path.last().copied().unwrap_or_default();
    match kind {
        Some("User") => Right::Users,
        Some("Volume" | "Sdc" | "Host" | "SnapshotPolicy" | "ReplicationConsistencyGroup" | "ReplicationPair") => {
            Right::Frontend
        }
        Some("System") if action.contains("napshot") || action.contains("Sdc") => Right::Frontend,
        _ => Right::Backend,
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
        Kind::Sds => world.sds.values().find(|sds| sds.ips.iter().any(|own| own.ip == ip)).map(|sds| sds.id),
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
                if let Some(ip) = mdm.ips.first() {
                    json.string(ip);
                }
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

//! The bodies of objects, as each release writes them.

mod clients;
mod fixed;
mod storage;
mod system;

use std::collections::BTreeMap;

use super::json::Json;
use super::kind::Kind;
use crate::sim::release::Release;
use crate::sim::world::{Id, Setting, World};

/// The fixed fields of a type: ready text, and name by name.
type Fixed = (String, Vec<(&'static str, &'static str)>);

/// Writes objects of one release. Holds the text that is the same in all
/// objects of a type.
pub(super) struct Writer {
    release: Release,
    /// What never changes unless somebody sets it, as text and field by field.
    fixed: BTreeMap<Kind, Fixed>,
    relations: BTreeMap<Kind, Vec<&'static str>>,
}

impl Writer {
    pub(super) fn new(release: Release) -> Self {
        let fixed = Kind::ALL
            .into_iter()
            .map(|kind| {
                let fields = fixed::sent(kind, release);
                let text: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                (kind, (text.join(","), fields))
            })
            .collect();
        let relations = Kind::ALL
            .into_iter()
            .map(|kind| {
                let names = kind.relations().iter().map(|(name, _, _)| *name);
                (kind, names.filter(|name| kind.has_relation(name, release)).collect())
            })
            .collect();
        Self { release, fixed, relations }
    }

    fn fixed(&self, kind: Kind, world: &World, id: Id, json: &mut Json) {
        let Some((text, fields)) = self.fixed.get(&kind) else { return };
        let Some(settings) = world.settings.get(&id) else { return json.fields(text) };
        for (name, value) in fields {
            json.key(name);
            match settings.get(name) {
                None => json.raw(value),
                Some(Setting::Bool(is)) => json.bool(*is),
                Some(Setting::Number(number)) => json.number(*number),
                Some(Setting::Text(text)) => json.string(text),
                Some(Setting::Null) => json.raw("null"),
            }
        }
    }

    /// `links`: itself, its relations, its parents.
    fn links(&self, json: &mut Json, kind: Kind, id: Id, parents: &[(&str, Kind, Id)]) {
        let name = kind.name();
        let link = |json: &mut Json, rel: std::fmt::Arguments<'_>, href: std::fmt::Arguments<'_>| {
            json.object(|json| {
                json.key("rel").shown(rel);
                json.key("href").shown(href);
            });
        };
        json.key("links").array(|json| {
            link(json, format_args!("self"), format_args!("/api/instances/{name}::{id}"));
            for relation in self.relations.get(&kind).into_iter().flatten() {
                link(
                    json,
                    format_args!("/api/{name}/relationship/{relation}"),
                    format_args!("/api/instances/{name}::{id}/relationships/{relation}"),
                );
            }
            for (field, parent, parent_id) in parents {
                let parent = parent.name();
                link(
                    json,
                    format_args!("/api/parent/relationship/{field}"),
                    format_args!("/api/instances/{parent}::{parent_id}"),
                );
            }
        });
    }

    /// Writes one object; nothing when there is none of that id.
    pub(super) fn object(&self, json: &mut Json, world: &World, kind: Kind, id: Id) {
        match kind {
            Kind::System => self.system(json, world),
            Kind::ProtectionDomain => self.domain(json, world, id),
            Kind::FaultSet => self.fault_set(json, world, id),
            Kind::StoragePool => self.pool(json, world, id),
            Kind::Sds => self.sds(json, world, id),
            Kind::Device => self.device(json, world, id),
            Kind::Sdc | Kind::Host => self.sdc(json, world, id),
            Kind::Volume => self.volume(json, world, id),
            Kind::VTree => self.vtree(json, world, id),
            Kind::SnapshotPolicy => self.policy(json, world, id),
            Kind::Sdr => self.sdr(json, world, id),
            Kind::Sdt => self.sdt(json, world, id),
            Kind::PeerMdm => self.peer(json, world, id),
            Kind::ReplicationConsistencyGroup => self.group(json, world, id),
            Kind::ReplicationPair => self.pair(json, world, id),
            Kind::AccelerationPool => self.acceleration_pool(json, world, id),
            Kind::SpSds => self.sp_sds(json, world, id),
            Kind::RemoteSystem => self.remote_system(json, world, id),
            Kind::User => self.user(json, world, id),
            Kind::RfcacheDevice | Kind::Alert => {}
        }
    }

    /// Writes a list of objects.
    pub(super) fn list(&self, world: &World, kind: Kind, ids: &[Id]) -> String {
        let mut json = Json::with_capacity(ids.len() * 1500);
        json.array(|json| {
            for id in ids {
                self.object(json, world, kind, *id);
            }
        });
        json.finish()
    }

    /// Everything at once: `GET /api/instances`.
    pub(super) fn everything(&self, world: &World) -> String {
        let objects = world.devices.len() + world.volumes.len() + world.vtrees.len() + world.sdcs.len();
        let mut json = Json::with_capacity(objects * 1500 + (1 << 16));
        json.object(|json| {
            json.key("System");
            self.system(json, world);
            for kind in Kind::ALL.into_iter().filter(|kind| kind.exists(self.release)) {
                let Some(key) = kind.list_key() else { continue };
                json.key(key);
                let ids = kind.ids(world);
                if ids.is_empty() && kind == Kind::RfcacheDevice {
                    json.raw("null");
                    continue;
                }
                json.array(|json| {
                    for id in ids {
                        self.object(json, world, kind, id);
                    }
                });
            }
            json.key("isDirty").bool(false);
            json.key("sessionTag").number(1);
            for kind in Kind::ALL.into_iter().filter(|kind| kind.exists(self.release) && kind.list_key().is_some()) {
                json.key(&format!("last{}Version", kind.name())).number(world.now().as_secs());
            }
        });
        json.finish()
    }
}

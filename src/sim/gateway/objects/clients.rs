//! Clients, hosts, volumes, VTrees and snapshot policies.

use super::{Json, Kind, Writer};
use crate::sim::release::Release;
use crate::sim::world::{Access, Id, Limits, NvmeHost, Sdc, VolumeKind, World};

impl Writer {
    pub(super) fn sdc(&self, json: &mut Json, world: &World, id: Id) {
        let Some(sdc) = world.sdcs.get(&id) else {
            self.host(json, world, id);
            return;
        };
        json.object(|json| {
            self.fixed(Kind::Sdc, world, id, json);
            json.key("mdmConnectionState").string(if sdc.connected { "Connected" } else { "Disconnected" });
            json.key("sdcGuid").string(&sdc.guid);
            json.key("sdcIp").string(&sdc.ip);
            if self.release >= Release::V4_5 {
                json.key("sdcIps").array(|json| json.string(&sdc.ip));
            }
            json.key("versionInfo").string(&sdc.version);
            if self.release >= Release::V2_6 {
                json.key("softwareVersionInfo").string(&sdc.version);
                json.key("installedSoftwareVersionInfo").string(&sdc.version);
            }
            json.key("systemId").shown(world.system.id);
            json.key("name").opt_string(sdc.name.as_deref());
            json.key("id").shown(id);
            self.links(json, Kind::Sdc, id, &[("systemId", Kind::System, world.system.id)]);
        });
    }

    fn host(&self, json: &mut Json, world: &World, id: Id) {
        let Some(host) = world.hosts.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::Host, world, id, json);
            json.key("nqn").string(&host.nqn);
            json.key("systemId").shown(world.system.id);
            json.key("name").string(&host.name);
            json.key("id").shown(id);
            self.links(json, Kind::Host, id, &[("systemId", Kind::System, world.system.id)]);
        });
    }

    pub(super) fn volume(&self, json: &mut Json, world: &World, id: Id) {
        let Some(volume) = world.volumes.get(&id) else { return };
        json.object(|json| {
            json.key("mappedSdcInfo");
            if volume.mapped.is_empty() {
                json.raw("null");
            } else {
                json.array(|json| {
                    for id in &volume.mapped {
                        let limits = volume.limits.get(id).copied().unwrap_or_default();
                        if let Some(sdc) = world.sdcs.get(id) {
                            self.mapping(json, sdc, limits);
                        } else if let Some(host) = world.hosts.get(id) {
                            host_mapping(json, host, limits);
                        }
                    }
                });
            }
            json.key("sizeInKb").number(volume.size_kb);
            json.key("volumeType").string(match volume.kind {
                VolumeKind::Thick => "ThickProvisioned",
                VolumeKind::Thin => "ThinProvisioned",
                VolumeKind::Snapshot => "Snapshot",
            });
            self.fixed(Kind::Volume, world, id, json);
            if self.release >= Release::V3_6 {
                let marked = if volume.replicated { "MarkedForReplication" } else { "UnmarkedForReplication" };
                json.key("volumeReplicationState").string(marked);
            }
            json.key("ancestorVolumeId").opt_shown(volume.ancestor);
            json.key("vtreeId").shown(volume.vtree);
            json.key("storagePoolId").shown(volume.pool);
            json.key("creationTime").number(u64::try_from(volume.created).unwrap_or(0));
            json.key("consistencyGroupId").opt_shown(volume.group);
            json.key("name").opt_string(Some(volume.name.as_str()).filter(|name| !name.is_empty()));
            json.key("id").shown(id);
            let parents = [("vtreeId", Kind::VTree, volume.vtree), ("storagePoolId", Kind::StoragePool, volume.pool)];
            self.links(json, Kind::Volume, id, &parents);
        });
    }

    fn mapping(&self, json: &mut Json, sdc: &Sdc, limits: Limits) {
        json.object(|json| {
            json.key("sdcId").shown(sdc.id);
            json.key("sdcIp").string(&sdc.ip);
            json.key("limitIops").number(limits.iops);
            json.key("limitBwInMbps").number(limits.kbps / 1024);
            if self.release >= Release::V3_0 {
                json.key("sdcName").opt_string(sdc.name.as_deref());
                json.key("accessMode").string(access_mode(limits.access));
            }
            if self.release >= Release::V4_5 {
                json.key("isDirectBufferMapping").bool(false);
                json.key("nqn").raw("null");
                json.key("hostType").string("SdcHost");
            }
        });
    }

    pub(super) fn vtree(&self, json: &mut Json, world: &World, id: Id) {
        let Some(vtree) = world.vtrees.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::VTree, world, id, json);
            json.key("baseVolumeId").shown(vtree.base);
            json.key("storagePoolId").shown(vtree.pool);
            if self.release >= Release::V3_0 {
                json.key("rootVolumes").array(|json| json.shown(vtree.base));
                json.key("vtreeMigrationInfo").object(|json| {
                    json.key("sourceStoragePoolId").shown(vtree.pool);
                    json.key("destinationStoragePoolId").opt_shown(vtree.migration.map(|migration| migration.to));
                    json.key("migrationStatus").string(match vtree.migration {
                        None => "NotInMigration",
                        Some(migration) if migration.paused => "Paused",
                        Some(_) => "MigrationNormal",
                    });
                    json.key("migrationPauseReason").raw("null");
                    json.key("migrationQueuePosition").number(0);
                    json.key("thicknessConversionType").string("NoConversion");
                });
            }
            json.key("id").shown(id);
            let parents =
                [("baseVolumeId", Kind::Volume, vtree.base), ("storagePoolId", Kind::StoragePool, vtree.pool)];
            self.links(json, Kind::VTree, id, &parents);
        });
    }

    pub(super) fn policy(&self, json: &mut Json, world: &World, id: Id) {
        let Some(policy) = world.policies.get(&id) else { return };
        let seconds = |at| u64::try_from(world.wall(at).timestamp()).unwrap_or(0);
        json.object(|json| {
            self.fixed(Kind::SnapshotPolicy, world, id, json);
            json.key("snapshotPolicyState").string(if policy.paused { "Paused" } else { "Active" });
            json.key("autoSnapshotCreationCadenceInMin").number(policy.cadence_minutes);
            json.key("numOfRetainedSnapshotsPerLevel").array(|json| {
                for count in &policy.retained {
                    json.number(*count);
                }
            });
            json.key("numOfSourceVolumes").number(policy.sources.len() as u64);
            json.key("timeOfLastAutoSnapshot").number(policy.last.map_or(0, seconds));
            json.key("nextAutoSnapshotCreationTime").number(seconds(policy.next));
            json.key("systemId").shown(world.system.id);
            json.key("name").string(&policy.name);
            json.key("id").shown(id);
            self.links(json, Kind::SnapshotPolicy, id, &[("systemId", Kind::System, world.system.id)]);
        });
    }
}

fn access_mode(access: Access) -> &'static str {
    match access {
        Access::ReadWrite => "ReadWrite",
        Access::ReadOnly => "ReadOnly",
        Access::NoAccess => "NoAccess",
    }
}

fn host_mapping(json: &mut Json, host: &NvmeHost, limits: Limits) {
    json.object(|json| {
        json.key("sdcId").shown(host.id);
        json.key("sdcIp").raw("null");
        json.key("limitIops").number(limits.iops);
        json.key("limitBwInMbps").number(limits.kbps / 1024);
        json.key("sdcName").string(&host.name);
        json.key("accessMode").string(access_mode(limits.access));
        json.key("isDirectBufferMapping").bool(false);
        json.key("nqn").string(&host.nqn);
        json.key("hostType").string("NVMeHost");
    });
}

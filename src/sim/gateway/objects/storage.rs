//! Domains, fault sets, pools, SDSs and devices.

use super::{Json, Kind, Writer};
use crate::sim::release::Release;
use crate::sim::world::{DeviceState, DomainState, Id, Maintenance, Membership, World};

impl Writer {
    pub(super) fn domain(&self, json: &mut Json, world: &World, id: Id) {
        let Some(domain) = world.domains.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::ProtectionDomain, world, id, json);
            json.key("protectionDomainState").string(match domain.state {
                DomainState::Active => "Active",
                DomainState::ActivePending(_) => "ActivePending",
                DomainState::InactivePending(_) => "InactivePending",
                DomainState::Inactive => "Inactive",
            });
            json.key("systemId").shown(world.system.id);
            json.key("name").string(&domain.name);
            json.key("id").shown(id);
            self.links(json, Kind::ProtectionDomain, id, &[("systemId", Kind::System, world.system.id)]);
        });
    }

    pub(super) fn fault_set(&self, json: &mut Json, world: &World, id: Id) {
        let Some(set) = world.fault_sets.get(&id) else { return };
        json.object(|json| {
            json.key("protectionDomainId").shown(set.domain);
            json.key("name").string(&set.name);
            json.key("id").shown(id);
            self.links(json, Kind::FaultSet, id, &[("protectionDomainId", Kind::ProtectionDomain, set.domain)]);
        });
    }

    pub(super) fn acceleration_pool(&self, json: &mut Json, world: &World, id: Id) {
        let Some(pool) = world.acceleration_pools.get(&id) else { return };
        json.object(|json| {
            json.key("mediaType").string(if pool.nvdimm { "NVDIMM" } else { "SSD" });
            json.key("isRfcache").bool(pool.rfcache);
            json.key("protectionDomainId").shown(pool.domain);
            json.key("name").opt_string(Some(pool.name.as_str()).filter(|name| !name.is_empty()));
            json.key("id").shown(id);
            let parents = [("protectionDomainId", Kind::ProtectionDomain, pool.domain)];
            self.links(json, Kind::AccelerationPool, id, &parents);
        });
    }

    pub(super) fn pool(&self, json: &mut Json, world: &World, id: Id) {
        let Some(pool) = world.pools.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::StoragePool, world, id, json);
            json.key("sparePercentage").number(pool.spare_percent);
            json.key("capacityAlertHighThreshold").number(pool.high_percent);
            json.key("capacityAlertCriticalThreshold").number(pool.critical_percent);
            json.key("rebuildEnabled").bool(pool.rebuild_enabled);
            json.key("rebalanceEnabled").bool(pool.rebalance_enabled);
            if self.release >= Release::V3_0 {
                json.key("mediaType").string(if pool.ssd { "SSD" } else { "HDD" });
                let figures = &pool.figures;
                let percent = figures.in_use * 100 / (figures.limit - figures.spare).max(1);
                json.key("capacityUsageState").string(match percent {
                    100.. => "Full",
                    percent if percent >= pool.critical_percent => "Critical",
                    percent if percent >= pool.high_percent => "High",
                    _ => "Normal",
                });
            }
            json.key("protectionDomainId").shown(pool.domain);
            json.key("name").string(&pool.name);
            json.key("id").shown(id);
            self.links(json, Kind::StoragePool, id, &[("protectionDomainId", Kind::ProtectionDomain, pool.domain)]);
        });
    }

    pub(super) fn sds(&self, json: &mut Json, world: &World, id: Id) {
        let Some(sds) = world.sds.get(&id) else { return };
        json.object(|json| {
            json.key("ipList").array(|json| {
                for address in &sds.ips {
                    json.object(|json| {
                        json.key("ip").string(&address.ip);
                        json.key("role").string(&address.role);
                    });
                }
            });
            self.fixed(Kind::Sds, world, id, json);
            json.key("port").number(u64::from(sds.port));
            json.key("sdsState").string(if sds.removing { "RemovePending" } else { "Normal" });
            json.key("softwareVersionInfo").string(&sds.version);
            json.key("membershipState").string(match sds.membership {
                Membership::Joined => "Joined",
                Membership::JoinPending(_) => "JoinPending",
                Membership::Decoupled(_) => "Decoupled",
            });
            json.key("mdmConnectionState").string(if sds.connected() { "Connected" } else { "Disconnected" });
            let maintenance = match sds.maintenance {
                Maintenance::None => "NoMaintenance",
                Maintenance::Entering => "SetMaintenanceInProgress",
                Maintenance::In => "InMaintenance",
                Maintenance::Exiting => "ExitMaintenanceInProgress",
            };
            json.key("maintenanceState").string(maintenance);
            if self.release >= Release::V3_6 {
                // The description gives it the same four values; others were never seen.
                json.key("maintenanceType").string(maintenance);
            }
            json.key("protectionDomainId").shown(sds.domain);
            if self.release >= Release::V4_5 {
                let name = world.domains.get(&sds.domain).map(|domain| domain.name.as_str());
                json.key("protectionDomainName").opt_string(name);
            }
            json.key("faultSetId").opt_shown(sds.fault_set);
            json.key("name").string(&sds.name);
            json.key("id").shown(id);
            let domain = ("protectionDomainId", Kind::ProtectionDomain, sds.domain);
            match sds.fault_set {
                Some(set) => self.links(json, Kind::Sds, id, &[domain, ("faultSetId", Kind::FaultSet, set)]),
                None => self.links(json, Kind::Sds, id, &[domain]),
            }
        });
    }

    pub(super) fn device(&self, json: &mut Json, world: &World, id: Id) {
        let Some(device) = world.devices.get(&id) else { return };
        json.object(|json| {
            json.key("deviceCurrentPathName").string(&device.path);
            json.key("deviceOriginalPathName").string(&device.path);
            json.key("deviceState").string(match device.state {
                DeviceState::Normal => "Normal",
                DeviceState::Testing(..) => "InitialTest",
                DeviceState::Tested => "InitialTestDone",
                DeviceState::Removing => "RemovePending",
            });
            json.key("errorState").string(if device.failed { "Error" } else { "None" });
            json.key("capacityLimitInKb").number(device.capacity_kb);
            json.key("maxCapacityInKb").number(device.capacity_kb);
            self.fixed(Kind::Device, world, id, json);
            if self.release >= Release::V3_0 {
                let media = if device.ssd { "SSD" } else { "HDD" };
                json.key("mediaType").string(media);
                json.key("autoDetectMediaType").string(media);
                json.key("serialNumber").string(&device.serial);
                json.key("spSdsId").shown(device.sp_sds());
                json.key("aggregatedState").string(if device.failed { "FailedNow" } else { "NeverFailed" });
            }
            json.key("sdsId").shown(device.sds);
            json.key("storagePoolId").shown(device.pool);
            json.key("name").string(&device.name);
            json.key("id").shown(id);
            let parents = [("sdsId", Kind::Sds, device.sds), ("storagePoolId", Kind::StoragePool, device.pool)];
            self.links(json, Kind::Device, id, &parents);
        });
    }

    /// What the devices of an SDS in a pool have in common.
    pub(super) fn sp_sds(&self, json: &mut Json, world: &World, id: Id) {
        let Some(device) = world.devices.values().find(|device| device.sp_sds() == id) else { return };
        json.object(|json| {
            self.fixed(Kind::SpSds, world, id, json);
            json.key("sdsId").shown(device.sds);
            json.key("name").raw("null");
            json.key("id").shown(id);
            let parents = [("sdsId", Kind::Sds, device.sds), ("storagePoolId", Kind::StoragePool, device.pool)];
            self.links(json, Kind::SpSds, id, &parents);
        });
    }
}

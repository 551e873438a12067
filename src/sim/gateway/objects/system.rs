//! The system, its MDM cluster, and what replicates to another system.

use super::{Json, Kind, Writer};
use crate::sim::release::Release;
use crate::sim::world::{Id, Mdm, MdmRole, Setting, Upgrade, World};

fn strings(json: &mut Json, all: &[String]) {
    for text in all {
        json.string(text);
    }
}

/// What the maintenance of an SDR or SDT, which takes no time, is called.
const fn maintenance(is: bool) -> &'static str {
    if is { "InMaintenance" } else { "NoMaintenance" }
}

impl Writer {
    pub(super) fn system(&self, json: &mut Json, world: &World) {
        let system = &world.system;
        json.object(|json| {
            json.key("systemVersionName").string(&system.version_name);
            self.fixed(Kind::System, world, system.id, json);
            json.key("upgradeState").string(match world.upgrade {
                Upgrade::None | Upgrade::Finished => "NoUpgrade",
                Upgrade::Running { .. } => "UpgradeInProgress",
                Upgrade::PostProcessing { .. } => "UpgradePostProcessingInProgress",
            });
            json.key("mdmCluster");
            self.mdm_cluster(json, world, false);
            json.key("capacityTimeLeftInDays").string(if system.is_licensed { "Unlimited" } else { "29" });
            json.key("isInitialLicense").bool(!system.is_licensed);
            json.key("installId").shown(system.install_id);
            json.key("name").string(&system.name);
            if self.release >= Release::V4_5 {
                let nqn = format_args!("nqn.1988-11.com.dell:powerflex:00:{}", system.id);
                json.key("systemNqn").shown(nqn);
            }
            json.key("id").shown(system.id);
            self.links(json, Kind::System, system.id, &[]);
        });
    }

    /// The cluster as part of the system, or alone with the performance profile.
    pub(in crate::sim::gateway) fn mdm_cluster(&self, json: &mut Json, world: &World, alone: bool) {
        let mdm = &world.mdm;
        let master = mdm.master().map(|mdm| mdm.id);
        json.object(|json| {
            if let Some(master) = mdm.master() {
                json.key("master");
                self.mdm(json, world, master, true);
            }
            for (key, role) in [("slaves", MdmRole::Manager), ("tieBreakers", MdmRole::TieBreaker)] {
                json.key(key).array(|json| {
                    for member in mdm.voters().filter(|mdm| mdm.role == role && Some(mdm.id) != master) {
                        self.mdm(json, world, member, false);
                    }
                });
            }
            if mdm.members.iter().any(|mdm| mdm.standby) {
                json.key("standbyMDMs").array(|json| {
                    for member in mdm.members.iter().filter(|mdm| mdm.standby) {
                        self.mdm(json, world, member, false);
                    }
                });
            }
            json.key("clusterMode").string(mdm.mode());
            json.key("clusterState").string(if mdm.normal(world.now()) {
                "ClusteredNormal"
            } else {
                "ClusteredDegraded"
            });
            if !world.cluster_ips.is_empty() {
                json.key("virtualIps").array(|json| strings(json, &world.cluster_ips));
            }
            json.key("goodNodesNum").number(mdm.good_nodes() as u64);
            json.key("goodReplicasNum").number(mdm.good_replicas(world.now()) as u64);
            if alone {
                let profile = world.setting(world.system.id, "perfProfile");
                json.key("perfProfile").string(match profile {
                    Some(Setting::Text(profile)) => profile,
                    _ => "HighPerformance",
                });
            }
            json.key("name").string(&world.system.name);
            // This id alone is decimal.
            json.key("id").shown(mdm.id);
        });
    }

    fn mdm(&self, json: &mut Json, world: &World, mdm: &Mdm, master: bool) {
        let manager = mdm.role == MdmRole::Manager;
        json.object(|json| {
            json.key("opensslVersion").string(if manager { "OpenSSL 1.0.2k-fips 26 Jan 2017" } else { "N/A" });
            json.key("managementIPs").array(|json| strings(json, &mdm.management_ips));
            json.key("ips").array(|json| strings(json, &mdm.ips));
            json.key("versionInfo").string(&mdm.version);
            if manager {
                json.key("virtualInterfaces").array(|json| strings(json, &mdm.interfaces));
            }
            json.key("role").string(if manager { "Manager" } else { "TieBreaker" });
            // Up to 2.6 the master says nothing of its own status.
            if !master || self.release >= Release::V3_0 {
                json.key("status").string(match (mdm.up, mdm.in_sync(world.now())) {
                    (true, true) => "Normal",
                    (true, false) => "OutOfSync",
                    (false, _) => "Disconnected",
                });
            }
            json.key("name").string(&mdm.name);
            json.key("id").shown(mdm.id);
            json.key("port").number(9011);
        });
    }

    pub(super) fn peer(&self, json: &mut Json, world: &World, id: Id) {
        let Some(peer) = world.peers.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::PeerMdm, world, id, json);
            json.key("peerSystemId").shown(peer.peer_system);
            json.key("systemId").shown(world.system.id);
            json.key("ipList").array(|json| {
                for ip in &peer.ips {
                    json.object(|json| json.key("ip").string(ip));
                }
            });
            json.key("softwareVersionInfo").string(self.release.component());
            json.key("name").string(&peer.name);
            json.key("id").shown(id);
            self.links(json, Kind::PeerMdm, id, &[("systemId", Kind::System, world.system.id)]);
        });
    }

    pub(super) fn group(&self, json: &mut Json, world: &World, id: Id) {
        let Some(group) = world.groups.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::ReplicationConsistencyGroup, world, id, json);
            json.key("remoteId").shown(group.remote_id);
            json.key("rpoInSeconds").number(group.rpo_seconds);
            json.key("peerMdmId").shown(group.peer);
            json.key("remoteMdmId").shown(group.peer);
            json.key("protectionDomainId").shown(group.domain);
            json.key("remoteProtectionDomainId").shown(group.domain);
            json.key("name").string(&group.name);
            json.key("id").shown(id);
            let parents = [
                ("protectionDomainId", Kind::ProtectionDomain, group.domain),
                ("peerMdmId", Kind::PeerMdm, group.peer),
            ];
            self.links(json, Kind::ReplicationConsistencyGroup, id, &parents);
        });
    }

    pub(super) fn pair(&self, json: &mut Json, world: &World, id: Id) {
        let Some(pair) = world.pairs.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::ReplicationPair, world, id, json);
            json.key("remoteId").shown(pair.remote_id);
            json.key("localVolumeId").shown(pair.volume);
            json.key("remoteVolumeId").shown(pair.remote_volume);
            json.key("remoteVolumeName").string(&pair.remote_volume_name);
            json.key("replicationConsistencyGroupId").shown(pair.group);
            json.key("remoteCapacityInMB").number(world.volumes.get(&pair.volume).map_or(0, |at| at.size_kb / 1024));
            json.key("peerSystemName").opt_string(world.peers.values().next().map(|peer| peer.name.as_str()));
            json.key("name").string(&pair.name);
            json.key("id").shown(id);
            let parents = [("replicationConsistencyGroupId", Kind::ReplicationConsistencyGroup, pair.group)];
            self.links(json, Kind::ReplicationPair, id, &parents);
        });
    }

    pub(super) fn sdr(&self, json: &mut Json, world: &World, id: Id) {
        let Some(sdr) = world.sdrs.get(&id) else { return };
        json.object(|json| {
            json.key("ipList").array(|json| {
                json.object(|json| {
                    json.key("ip").string(&sdr.ip);
                    json.key("role").string("All");
                });
            });
            self.fixed(Kind::Sdr, world, id, json);
            json.key("maintenanceState").string(maintenance(sdr.in_maintenance));
            json.key("softwareVersionInfo").string(&sdr.version);
            json.key("protectionDomainId").shown(sdr.domain);
            json.key("systemId").shown(world.system.id);
            json.key("name").string(&sdr.name);
            json.key("id").shown(id);
            self.links(json, Kind::Sdr, id, &[("protectionDomainId", Kind::ProtectionDomain, sdr.domain)]);
        });
    }

    pub(super) fn sdt(&self, json: &mut Json, world: &World, id: Id) {
        let Some(sdt) = world.sdts.get(&id) else { return };
        json.object(|json| {
            json.key("ipList").array(|json| {
                for address in &sdt.ips {
                    json.object(|json| {
                        json.key("role").string(&address.role);
                        json.key("ip").string(&address.ip);
                    });
                }
            });
            self.fixed(Kind::Sdt, world, id, json);
            json.key("maintenanceState").string(maintenance(sdt.in_maintenance));
            json.key("softwareVersionInfo").string(&sdt.version);
            json.key("protectionDomainId").shown(sdt.domain);
            json.key("systemId").shown(world.system.id);
            json.key("name").string(&sdt.name);
            json.key("id").shown(id);
            self.links(json, Kind::Sdt, id, &[("protectionDomainId", Kind::ProtectionDomain, sdt.domain)]);
        });
    }

    pub(super) fn remote_system(&self, json: &mut Json, world: &World, id: Id) {
        let Some(system) = world.remote_systems.get(&id) else { return };
        json.object(|json| {
            self.fixed(Kind::RemoteSystem, world, id, json);
            json.key("systemId").shown(world.system.id);
            json.key("name").opt_string(Some(system.name.as_str()).filter(|name| !name.is_empty()));
            json.key("id").shown(id);
            self.links(json, Kind::RemoteSystem, id, &[("systemId", Kind::System, world.system.id)]);
        });
    }

    pub(super) fn user(&self, json: &mut Json, world: &World, id: Id) {
        let Some(user) = world.users.get(&id) else { return };
        json.object(|json| {
            json.key("userRole").string(user.role.word());
            json.key("passwordChangeRequired").bool(user.must_change);
            json.key("systemId").shown(world.system.id);
            json.key("name").string(&user.name);
            json.key("id").shown(id);
            self.links(json, Kind::User, id, &[("systemId", Kind::System, world.system.id)]);
        });
    }
}

//! System, MDM cluster, protection domains, fault sets and pools.

use std::collections::BTreeMap;

use super::{Answer, ParseError, Text, each, id, kib, narrow, needed, port, state, table, text, version, word, words};
use crate::gateway::wire::array as wire;
use crate::gateway::wire::{Odd, Seed};
use crate::model::cluster::{
    BackgroundWork, FaultSet, IoPolicy, MdmCluster, MdmMember, MdmRole, NetworkPath, PathState, PoolPolicies,
    ProtectionDomain, StoragePool, System,
};
use crate::model::id::{FaultSetId, InstalledSystemId, MdmId, ProtectionDomainId, StoragePoolId};
use crate::model::snapshot::Table;
use crate::model::unit::{Bytes, Ratio};
use crate::model::version::ProductVersion;
use serde::de::DeserializeSeed;

/// Reads `types/System/instances`. A gateway serves one system, in a list.
pub fn systems(body: &[u8]) -> Result<Answer<Vec<System>>, ParseError> {
    let mut odd = Odd::default();
    let mut systems = Vec::new();
    each(&text(body), &mut odd, |wire: wire::System<'_>, odd| match system(wire, odd) {
        Some(system) => systems.push(system),
        None => odd.malformed += 1,
    })?;
    let count = systems.len();
    Ok(Answer::new(systems, count, "System", odd))
}

/// Reads `queryMdmCluster`: the cluster itself, or the system around it.
pub fn mdm_cluster(body: &[u8]) -> Result<Answer<Option<MdmCluster>>, ParseError> {
    let body = text(body);
    let mut odd = Odd::default();
    let mut json = serde_json::Deserializer::from_str(&body);
    let read = Seed::<Option<wire::MdmCluster<'_>>>::new(&mut odd)
        .deserialize(&mut json)
        .and_then(|cluster| json.end().map(|()| cluster))
        .map_err(|error| ParseError::of(&error, &body, "MDM cluster"))?
        .ok_or(ParseError::Shape { expected: "MDM cluster" })?;
    let cluster = cluster(read, &mut odd);
    Ok(Answer::new(cluster, 1, "System", odd))
}

fn system(wire: wire::System<'_>, odd: &mut Odd) -> Option<System> {
    let connectivity = [
        (NetworkPath::SdcToSds, wire.sdc_sds),
        (NetworkPath::SdrToSds, wire.sdr_sds),
        (NetworkPath::SdcToSdr, wire.sdc_sdr),
        (NetworkPath::SdtToSds, wire.sdt_sds),
    ];
    Some(System {
        id: id(&wire.id, InstalledSystemId::new)?,
        name: word(wire.name),
        version: version(&wire.version).unwrap_or_else(|| ProductVersion::read("")),
        install_id: word(wire.install_id),
        performance_profile: word(wire.profile),
        upgrade_state: state(&wire.upgrade, odd),
        licensed_capacity: wire.max_capacity_gib.map(|gib| Bytes::from_gib(gib as u64)),
        license_days_left: wire.days_left,
        has_trial_license: wire.trial,
        connectivity: connectivity.into_iter().filter_map(|(path, info)| path_state(path, info?, odd)).collect(),
        restricted_sdc_mode: word(wire.restricted_sdc_mode),
        remote_read_only_limit: word(wire.remote_read_only),
        mdm: wire.cluster.and_then(|wire| cluster(wire, odd)),
    })
}

fn path_state(path: NetworkPath, wire: wire::PathInfo<'_>, odd: &mut Odd) -> Option<PathState> {
    Some(PathState {
        path,
        state: state(&wire.status, odd)?,
        client: word(wire.client_name).or_else(|| word(wire.client_id)),
        server: word(wire.server_name).or_else(|| word(wire.server_id)).or_else(|| word(wire.server_ip)),
    })
}

fn cluster(wire: wire::MdmCluster<'_>, odd: &mut Odd) -> Option<MdmCluster> {
    if let Some(inner) = wire.wrapped.0 {
        return cluster(*inner, odd);
    }
    let mut members = Vec::new();
    members.extend(wire.primary.and_then(|wire| member(wire, |_| MdmRole::Primary, odd)));
    members.extend(wire.secondaries.into_iter().filter_map(|wire| member(wire, |_| MdmRole::Secondary, odd)));
    members.extend(wire.tie_breakers.into_iter().filter_map(|wire| member(wire, |_| MdmRole::TieBreaker, odd)));
    members.extend(wire.standbys.into_iter().filter_map(|wire| {
        let role = |role: &str| match role {
            "TieBreaker" => MdmRole::StandbyTieBreaker,
            _ => MdmRole::StandbyManager,
        };
        member(wire, role, odd)
    }));
    if members.is_empty() && wire.mode.is_none() && wire.state.is_none() {
        return None;
    }
    Some(MdmCluster {
        id: word(wire.id),
        name: word(wire.name),
        mode: needed(&wire.mode, odd),
        state: needed(&wire.state, odd),
        good_nodes: narrow(wire.good_nodes, odd),
        good_replicas: narrow(wire.good_replicas, odd),
        virtual_ips: words(wire.virtual_ips),
        members,
    })
}

fn member(wire: wire::MdmMember<'_>, role: impl Fn(&str) -> MdmRole, odd: &mut Odd) -> Option<MdmMember> {
    let Some(id) = id(&wire.id, MdmId::new) else {
        odd.malformed += 1;
        return None;
    };
    let told: Text<'_> = wire.role;
    if !matches!(told.as_deref(), None | Some("" | "Manager" | "TieBreaker" | "Invalid")) {
        odd.unknown += 1;
    }
    Some(MdmMember {
        id,
        name: word(wire.name),
        role: role(told.as_deref().unwrap_or("")),
        status: state(&wire.status, odd),
        version: version(&wire.version),
        ips: words(wire.ips),
        management_ips: words(wire.management_ips),
        port: port(wire.port, odd),
    })
}

/// Reads `types/ProtectionDomain/instances`.
pub fn domains(body: &[u8]) -> Result<Answer<Table<ProtectionDomain>>, ParseError> {
    table(&text(body), "ProtectionDomain", |wire: wire::ProtectionDomain<'_>, odd| {
        let limits = [
            (BackgroundWork::Rebuild, wire.rebuild_on, wire.rebuild_kib),
            (BackgroundWork::Rebalance, wire.rebalance_on, wire.rebalance_kib),
            (BackgroundWork::VTreeMigration, wire.migration_on, wire.migration_kib),
            (BackgroundWork::ProtectedMaintenance, wire.maintenance_on, wire.maintenance_kib),
            (BackgroundWork::Overall, wire.overall_on, wire.overall_kib),
        ];
        let on = |(work, on, limit): (BackgroundWork, Option<bool>, Option<u64>)| {
            // Off, or a limit of 0, is no limit.
            (on != Some(false)).then_some(limit).flatten().filter(|limit| *limit > 0).map(|limit| (work, limit))
        };
        Some(ProtectionDomain {
            id: id(&wire.id, ProtectionDomainId::new)?,
            name: word(wire.name),
            state: needed(&wire.state, odd),
            throttling: limits
                .into_iter()
                .filter_map(on)
                .filter_map(|(work, limit)| Some((work, kib(Some(limit))?)))
                .collect::<BTreeMap<_, _>>(),
        })
    })
}

/// Reads `types/FaultSet/instances`.
pub fn fault_sets(body: &[u8]) -> Result<Answer<Table<FaultSet>>, ParseError> {
    table(&text(body), "FaultSet", |wire: wire::FaultSet<'_>, _| {
        Some(FaultSet {
            id: id(&wire.id, FaultSetId::new)?,
            name: word(wire.name),
            domain: id(&wire.domain, ProtectionDomainId::new),
        })
    })
}

/// Reads `types/StoragePool/instances`.
pub fn pools(body: &[u8]) -> Result<Answer<Table<StoragePool>>, ParseError> {
    table(&text(body), "StoragePool", |wire: wire::StoragePool<'_>, odd| {
        Some(StoragePool {
            id: id(&wire.id, StoragePoolId::new)?,
            name: word(wire.name),
            domain: id(&wire.domain, ProtectionDomainId::new),
            media: state(&wire.media, odd),
            layout: state(&wire.layout, odd),
            spare: percent(wire.spare_percent, odd),
            rebuild_enabled: wire.rebuild,
            rebalance_enabled: wire.rebalance,
            zero_padding: wire.zero_padding,
            checksum: wire.checksum,
            usage: state(&wire.usage, odd),
            capacity_alert_high: percent(wire.alert_high, odd),
            capacity_alert_critical: percent(wire.alert_critical, odd),
            policies: PoolPolicies {
                rebuild: IoPolicy {
                    policy: word(wire.rebuild_policy),
                    ios: narrow(wire.rebuild_ios, odd),
                    kbps: narrow(wire.rebuild_kbps, odd),
                },
                rebalance: IoPolicy {
                    policy: word(wire.rebalance_policy),
                    ios: narrow(wire.rebalance_ios, odd),
                    kbps: narrow(wire.rebalance_kbps, odd),
                },
                parallel_jobs: narrow(wire.parallel_jobs, odd),
                rmcache: wire.rmcache,
                rmcache_writes: word(wire.rmcache_writes),
                scanner: word(wire.scanner),
                scanner_kbps: narrow(wire.scanner_kbps, odd),
            },
        })
    })
}

/// A percentage; one that is none is absent and counted.
fn percent(number: Option<f64>, odd: &mut Odd) -> Option<Ratio> {
    let number = number?;
    if (0.0..=100.0).contains(&number) {
        Some(Ratio::from_percent(number))
    } else {
        odd.malformed += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state::{ClusterState, Connectivity};

    #[test]
    fn members_are_found_under_every_word_for_them() {
        for (primary, secondary) in [("master", "slaves"), ("primary", "secondary"), ("Master", "Slave")] {
            let body = format!(
                r#"{{"clusterMode":"ThreeNodes","clusterState":"ClusteredNormal","id":"1503005277137548884",
                "{primary}":{{"id":"0873f5bd5c3dd9a1","role":"Manager","port":9011,"ips":["10.0.0.1"]}},
                "{secondary}":[{{"id":"7e521a811a247d10","role":"Manager","status":"Normal"}}],
                "tieBreakers":[{{"id":"4542577337090b82","role":"TieBreaker","status":"Normal"}}],
                "standbyMDMs":[{{"id":"1","role":"TieBreaker"}},{{"id":"2","role":"Manager"}}],
                "goodNodesNum":3,"goodReplicasNum":"2"}}"#
            );
            for body in [body.clone(), format!(r#"{{"mdmCluster":{body}}}"#)] {
                let answer = mdm_cluster(body.as_bytes()).unwrap();
                assert!(answer.unknown.is_empty(), "{:?}", answer.unknown);
                let cluster = answer.value.unwrap();
                let roles: Vec<MdmRole> = cluster.members.iter().map(|member| member.role).collect();
                assert_eq!(
                    roles,
                    [
                        MdmRole::Primary,
                        MdmRole::Secondary,
                        MdmRole::TieBreaker,
                        MdmRole::StandbyTieBreaker,
                        MdmRole::StandbyManager
                    ]
                );
                assert!(cluster.state.is(ClusterState::Normal));
                assert_eq!((cluster.good_nodes, cluster.good_replicas), (Some(3), Some(2)));
                assert_eq!(cluster.members[0].status, None);
            }
        }
    }

    #[test]
    fn an_unlimited_licence_is_absent_and_a_limited_one_is_in_bytes() {
        let body = br#"[{"id":"1","systemVersionName":"DellEMC ScaleIO Version: R2_6.11000.113",
            "maxCapacityInGb":"Unlimited","capacityTimeLeftInDays":"12",
            "sdcSdsConnectivityInfo":{"sdcSdsConnectivityStatus":"AllConnected","disconnectedSdcId":null}},
            {"id":"2","maxCapacityInGb":"2","upgradeState":"Tomorrow"}]"#;
        let answer = systems(body).unwrap();
        assert_eq!(answer.value[0].licensed_capacity, None);
        assert_eq!(answer.value[0].license_days_left, Some(12.0));
        assert!(answer.value[0].connectivity[0].state.is(Connectivity::AllConnected));
        assert_eq!(answer.value[1].licensed_capacity, Some(Bytes::from_gib(2)));
        assert_eq!(answer.unknown["System"], 1, "the unknown upgrade state");
    }

    #[test]
    fn a_domain_has_the_limits_that_are_on() {
        let body = br#"[{"id":"a","protectionDomainState":"Active","rebuildNetworkThrottlingEnabled":true,
            "rebuildNetworkThrottlingInKbps":2,"rebalanceNetworkThrottlingEnabled":false,
            "rebalanceNetworkThrottlingInKbps":2,"overallIoNetworkThrottlingInKbps":null}]"#;
        let answer = domains(body).unwrap();
        assert_eq!(answer.value[0].throttling, BTreeMap::from([(BackgroundWork::Rebuild, Bytes::new(2048))]));
    }
}

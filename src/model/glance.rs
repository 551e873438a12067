//! How is a system, in short? Pure: its picture comes in, a status goes out.

use super::cluster::{MdmCluster, MdmMember};
use super::picture::Picture;
use super::snapshot::{Collector, Gap, Snapshot};
use super::state::{ClusterState, Connection, DomainState, Maintenance, MdmStatus as Member};
use super::stats::Stat;
use super::status::{
    CapacityStatus, Connected, DataStatus, DeviceStatus, MdmStatus, RebuildStatus, SnapshotStatus, SystemStatus,
};
use super::unit::{Bytes, Timestamp};

/// The state of one system at `now`.
pub fn system(picture: &Picture, now: Timestamp) -> SystemStatus {
    let health = &picture.health;
    let mut status = SystemStatus {
        system: picture.system.to_string(),
        up: health.last_poll_succeeded,
        generation: None,
        version: None,
        gateway: health.gateway.as_deref().map(str::to_owned),
        mdm: None,
        sds: None,
        sdcs: None,
        devices: None,
        capacity: None,
        data: None,
        rebuild: None,
        snapshot: None,
        problems: Vec::new(),
    };
    if let Some(snapshot) = &picture.snapshot {
        fill(&mut status, snapshot, now);
    }
    status.problems = problems(picture);
    status
}

fn fill(status: &mut SystemStatus, snapshot: &Snapshot, now: Timestamp) {
    let age = (now - snapshot.taken_at).to_std().unwrap_or_default();
    status.generation = Some(snapshot.generation.as_str().to_owned());
    status.snapshot = Some(SnapshotStatus { seq: snapshot.seq, age_seconds: age.as_secs_f64() });
    if let Some(array) = &snapshot.array {
        status.version = Some(array.version.to_string());
        status.mdm = array.mdm.as_ref().map(mdm);
    }
    status.sds = snapshot.sds.as_ref().map(|part| Connected {
        connected: part.iter().filter(|sds| sds.connection.is(Connection::Connected)).count(),
        total: part.len(),
    });
    status.sdcs = snapshot.sdcs.as_ref().map(|part| {
        let sdcs = || part.iter().filter_map(|sdc| sdc.connection.as_ref());
        Connected {
            connected: sdcs().filter(|connection| connection.is(Connection::Connected)).count(),
            total: sdcs().count(),
        }
    });
    status.devices = snapshot.devices.as_ref().map(|part| DeviceStatus {
        errors: part.iter().filter(|device| device.has_failed()).count(),
        total: part.len(),
    });
    if let Some(row) = snapshot.statistics.as_ref().and_then(|part| part.system()) {
        let sum = |stats: &[Stat]| row.sum(stats).get();
        if let (Some(max), Some(used)) = (row.bytes(Stat::MaxCapacityInKb), row.bytes(Stat::CapacityInUseInKb)) {
            status.capacity = Some(CapacityStatus { max_bytes: max.get(), in_use_bytes: used.get() });
        }
        status.data = Some(DataStatus {
            degraded_bytes: sum(&[Stat::DegradedFailedCapacityInKb]),
            failed_bytes: sum(&[Stat::FailedCapacityInKb]),
        });
        let writes = [Stat::FwdRebuildWriteBwc, Stat::BckRebuildWriteBwc, Stat::NormRebuildWriteBwc];
        let rates: Vec<f64> = writes.iter().filter_map(|stat| row.window(*stat)?.bytes_per_second()).collect();
        status.rebuild = Some(RebuildStatus {
            left_bytes: sum(&Stat::REBUILD_LEFT),
            bytes_per_second: (!rates.is_empty()).then(|| rates.iter().sum()),
        });
    }
}

fn mdm(cluster: &MdmCluster) -> MdmStatus {
    MdmStatus {
        state: cluster.state.word().to_owned(),
        mode: cluster.mode.word().to_owned(),
        primary: cluster.primary().map(member_name),
        good_nodes: cluster.good_nodes,
    }
}

fn member_name(member: &MdmMember) -> String {
    let named = member.name.as_deref().or_else(|| member.ips.first().map(|ip| &**ip));
    named.map_or_else(|| member.id.to_string(), str::to_owned)
}

/// What is wrong, most grave first. A state we do not know is wrong.
fn problems(picture: &Picture) -> Vec<String> {
    let mut problems = Vec::new();
    let Some(snapshot) = &picture.snapshot else {
        let failed = picture.health.collectors.get(&Collector::System).and_then(|health| health.error.as_ref());
        return vec![match failed {
            Some(error) => error.message.to_string(),
            None => "it was not asked yet".to_owned(),
        }];
    };
    if let Some(row) = snapshot.statistics.as_ref().and_then(|part| part.system()) {
        let failed = row.sum(&[Stat::FailedCapacityInKb]);
        if failed > Bytes::ZERO {
            problems.push(format!("{failed} of data cannot be reached: no copy is left in service"));
        }
        let degraded = row.sum(&[Stat::DegradedFailedCapacityInKb]);
        if degraded > Bytes::ZERO {
            let left = row.sum(&Stat::REBUILD_LEFT);
            problems.push(format!("{degraded} of data has one copy only; {left} is still to be rebuilt"));
        }
    }
    match snapshot.array.as_ref().and_then(|array| array.mdm.as_ref()) {
        Some(cluster) => cluster_problems(cluster, &mut problems),
        None if snapshot.array.is_some() => problems.push("the MDM cluster is not told".to_owned()),
        None => {}
    }
    let named = |name: &Option<Box<str>>, id: &dyn std::fmt::Display| match name {
        Some(name) => name.to_string(),
        None => id.to_string(),
    };
    for domain in snapshot.domains.iter().flat_map(|part| part.iter()).filter(|d| !d.state.is(DomainState::Active)) {
        problems.push(format!("protection domain {} is {}", named(&domain.name, &domain.id), domain.state));
    }
    for sds in snapshot.sds.iter().flat_map(|part| part.iter()) {
        let name = || named(&sds.name, &sds.id);
        if !sds.maintenance.is(Maintenance::None) {
            problems.push(format!("SDS {} {}", name(), sds.maintenance.says()));
        } else if !sds.connection.is(Connection::Connected) {
            problems.push(format!("SDS {} is {}", name(), sds.connection));
        }
    }
    for device in snapshot.devices.iter().flat_map(|part| part.iter()).filter(|device| device.has_failed()) {
        let sds = device.sds.as_ref().and_then(|id| snapshot.sds.as_ref()?.get(id));
        let sds = sds.map_or_else(String::new, |sds| format!(" of SDS {}", named(&sds.name, &sds.id)));
        let name = device.name.as_ref().or(device.path.as_ref()).cloned();
        problems.push(format!("device {}{sds} reports {}", named(&name, &device.id), device.error));
    }
    for (collector, gap) in &snapshot.gaps {
        if let Gap::Unanswered { error } = gap {
            problems.push(format!("nothing is known about {collector}: {error}"));
        }
    }
    for (collector, health) in &picture.health.collectors {
        if let (Some(error), false) = (&health.error, snapshot.gaps.contains_key(collector)) {
            problems.push(format!("{collector} was not answered {} times: {}", health.failures, error.message));
        }
    }
    problems
}

fn cluster_problems(cluster: &MdmCluster, problems: &mut Vec<String>) {
    if !cluster.state.is(ClusterState::Normal) && !cluster.state.is(ClusterState::NotClustered) {
        problems.push(format!("the MDM cluster is {}", cluster.state));
    }
    for member in &cluster.members {
        if let Some(status) = member.status.as_ref().filter(|status| !status.is(Member::Normal)) {
            problems.push(format!("MDM {} is {status}", member_name(member)));
        }
    }
}

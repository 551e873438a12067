//! Which volumes, clients and workloads depend on what an alert names?

use super::alerting::{Affected, Labels};
use super::hurt::{Suspect, hurt};
use super::id::ProtectionDomainId;
use super::snapshot::Snapshot;
use super::workload::{Workloads, add_workloads};

/// Names that are told at most; of more it is said how many there are.
const NAMES: usize = 40;

/// Who depends on the object that these labels name; nobody when they name none that volumes lie on.
pub fn of(snapshot: &Snapshot, labels: &Labels, workloads: Option<&Workloads>) -> Affected {
    let Some(suspect) = suspect(snapshot, labels) else { return Affected::default() };
    let mut found = hurt(snapshot, suspect);
    if let Some(workloads) = workloads {
        add_workloads(&mut found, snapshot, workloads);
    }
    let mut affected = Affected {
        more_volumes: found.volumes.len().saturating_sub(NAMES),
        more_clients: found.clients.len().saturating_sub(NAMES),
        ..Affected::default()
    };
    let named = |name: Option<&str>, id: &dyn std::fmt::Display| name.map_or_else(|| id.to_string(), str::to_owned);
    let volumes = found.volumes.iter().take(NAMES);
    affected.volumes = volumes.map(|volume| named(volume.name.as_deref(), &volume.id)).collect();
    let clients = found.clients.iter().take(NAMES);
    affected.clients =
        clients.map(|client| named(client.name.as_deref().or(client.address.as_deref()), &client.id)).collect();
    for workload in found.workloads.iter().flatten().take(NAMES) {
        affected.tasks.push(workload.task.to_string());
        if let Some(application) = workload.application.as_ref().map(ToString::to_string)
            && !affected.apps.contains(&application)
        {
            affected.apps.push(application);
        }
    }
    affected
}

/// The thing that labels name, the narrowest one. A device stands for its pool, since each volume lies on all of it.
fn suspect(snapshot: &Snapshot, labels: &Labels) -> Option<Suspect> {
    let label = |name: &str| labels.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let domain = label("protection_domain").and_then(|name| {
        let mut domains = snapshot.domains.iter().flat_map(|part| part.iter());
        domains.find(|domain| is_called(name, domain.name.as_deref(), &domain.id)).map(|domain| domain.id.clone())
    });
    // Names of pools are unique in their domain only.
    let within = |of: Option<&ProtectionDomainId>| domain.is_none() || of == domain.as_ref();
    let pool = label("storage_pool").and_then(|name| {
        let mut pools = snapshot.pools.iter().flat_map(|part| part.iter());
        pools.find(|pool| is_called(name, pool.name.as_deref(), &pool.id) && within(pool.domain.as_ref()))
    });
    if let Some(name) = label("volume") {
        let mut volumes = snapshot.volumes.iter().flat_map(|part| part.iter());
        let volume = volumes.find(|volume| {
            is_called(name, volume.name.as_deref(), &volume.id)
                && pool.is_none_or(|pool| volume.pool.as_ref() == Some(&pool.id))
        })?;
        return Some(Suspect::Volume(volume.id.clone()));
    }
    if let Some(name) = label("sdc") {
        let mut sdcs = snapshot.sdcs.iter().flat_map(|part| part.iter());
        let sdc = sdcs.find(|sdc| {
            is_called(name, sdc.name.as_deref(), &sdc.id) || sdc.addresses.iter().any(|address| **address == *name)
        })?;
        return Some(Suspect::Sdc(sdc.id.clone()));
    }
    if let Some(pool) = pool {
        return Some(Suspect::StoragePool(pool.id.clone()));
    }
    if let Some(name) = label("sds") {
        let mut all = snapshot.sds.iter().flat_map(|part| part.iter());
        let sds = all.find(|sds| is_called(name, sds.name.as_deref(), &sds.id) && within(sds.domain.as_ref()))?;
        return Some(Suspect::Sds(sds.id.clone()));
    }
    if let Some(name) = label("fault_set") {
        let mut sets = snapshot.fault_sets.iter().flat_map(|part| part.iter());
        let set = sets.find(|set| is_called(name, set.name.as_deref(), &set.id) && within(set.domain.as_ref()))?;
        return Some(Suspect::FaultSet(set.id.clone()));
    }
    domain.map(Suspect::ProtectionDomain)
}

fn is_called(text: &str, name: Option<&str>, id: &dyn std::fmt::Display) -> bool {
    name == Some(text) || (name.is_none() && id.to_string() == text)
}

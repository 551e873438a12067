//! What must a scraper read of a world? Written from the world alone.

use std::collections::BTreeMap;

use scaleio_framework::sim::Release;
use scaleio_framework::sim::world::{Device, MdmRole, Membership, Moving, Protection, VolumeKind, World};

use crate::exposition::{Read, Sample};

/// Series of one system: name and labels but for `system`, and the value.
pub type Series = BTreeMap<String, f64>;

/// Families of which the truth is known in full: what is exported of them and
/// is not in the truth is a lie.
const TOLD: [&str; 20] = [
    "scaleio_system_capacity_in_use_bytes",
    "scaleio_system_capacity_spare_bytes",
    "scaleio_system_data_bytes",
    "scaleio_system_objects",
    "scaleio_system_device_errors_total",
    "scaleio_storage_pool_capacity_in_use_bytes",
    "scaleio_storage_pool_capacity_unused_bytes",
    "scaleio_storage_pool_data_bytes",
    "scaleio_storage_pool_moving_bytes",
    "scaleio_sds_mdm_connected",
    "scaleio_sds_membership",
    "scaleio_device_error",
    "scaleio_device_capacity_max_bytes",
    "scaleio_device_capacity_in_use_bytes",
    "scaleio_volume_size_bytes",
    "scaleio_mdm_cluster_normal",
    "scaleio_mdm_cluster_state",
    "scaleio_mdm_cluster_good_nodes",
    "scaleio_mdm_info",
    "scaleio_mdm_alerts",
];

/// What is not simulated, and so always 0 where it is told.
const ALWAYS_ZERO: [&str; 5] =
    ["semi_protected", "normal_rebuild", "enter_maintenance", "exit_maintenance", "in_deletion"];

pub fn key<'a>(name: &str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut labels: Vec<(&str, &str)> = labels.into_iter().filter(|(label, _)| *label != "system").collect();
    labels.sort_unstable();
    let labels: Vec<String> = labels.into_iter().map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

pub fn key_of(sample: &Sample) -> String {
    key(&sample.name, sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// What an exposition says of one system, as far as the truth is known.
pub fn told(families: &BTreeMap<String, Read>, system: &str) -> Series {
    TOLD.iter()
        .filter_map(|name| families.get(*name))
        .flat_map(|family| &family.samples)
        .filter(|sample| sample.label("system") == Some(system))
        .filter(|sample| {
            let silent = sample.labels.iter().any(|(_, value)| ALWAYS_ZERO.contains(&value.as_str()));
            assert!(!silent || sample.value == 0.0, "{sample:?} comes from nowhere");
            !silent
        })
        .map(|sample| (key_of(sample), sample.value))
        .collect()
}

/// Differences in words; empty when both are the same.
pub fn differences(told: &Series, truth: &Series) -> Vec<String> {
    let wrong = told.iter().filter(|(key, value)| truth.get(*key) != Some(*value));
    let wrong = wrong.map(|(key, value)| format!("{key} is told as {value}, truth is {:?}", truth.get(key)));
    let missing = truth.iter().filter(|(key, _)| !told.contains_key(*key));
    wrong.chain(missing.map(|(key, value)| format!("{key} is not told, truth is {value}"))).collect()
}

/// What is told and was never true, given everything that may be true now.
pub fn lies(told: &Series, truths: &[&Series]) -> Vec<String> {
    told.iter()
        .filter(|(key, value)| truths.iter().all(|truth| truth.get(*key) != Some(*value)))
        .map(|(key, value)| {
            let truths: Vec<_> = truths.iter().map(|truth| truth.get(key)).collect();
            format!("{key} is told as {value}, truth is one of {truths:?}")
        })
        .collect()
}

const KB: f64 = 1024.0;

struct Writer(Series);

impl Writer {
    fn put(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let name = format!("scaleio_{name}");
        assert!(TOLD.contains(&name.as_str()), "{name} is not on the list");
        assert!(self.0.insert(key(&name, labels.iter().copied()), value).is_none(), "{name} {labels:?} twice");
    }

    fn data(&mut self, name: &str, labels: &[(&str, &str)], data: Protection) {
        for (state, kb) in [
            ("protected", data.protected),
            ("degraded_healthy", data.degraded_healthy),
            ("degraded_failed", data.degraded_failed),
            ("failed", data.failed),
            ("in_maintenance", data.in_maintenance),
        ] {
            self.put(name, &[labels, &[("state", state)]].concat(), kb as f64 * KB);
        }
    }

    fn moving(&mut self, name: &str, labels: &[(&str, &str)], moving: Moving) {
        for (operation, movement) in [
            ("forward_rebuild", moving.forward),
            ("backward_rebuild", moving.backward),
            ("rebalance", moving.rebalance),
        ] {
            for (phase, kb) in [("pending", movement.pending_kb()), ("active", movement.active_kb)] {
                let labels = [labels, &[("operation", operation), ("phase", phase)]].concat();
                self.put(name, &labels, kb as f64 * KB);
            }
        }
    }
}

/// The truth about a world.
pub fn truth(world: &World) -> Series {
    let mut all = Writer(Series::new());
    system(world, &mut all);
    pools(world, &mut all);
    servers(world, &mut all);
    mdm(world, &mut all);
    for volume in world.volumes.values() {
        let pool = &world.pools[&volume.pool];
        let labels = [
            ("protection_domain", world.domains[&pool.domain].name.as_str()),
            ("storage_pool", pool.name.as_str()),
            ("volume", volume.name.as_str()),
        ];
        all.put("volume_size_bytes", &labels, volume.size_kb as f64 * KB);
    }
    all.0
}

fn system(world: &World, all: &mut Writer) {
    let mut data = Protection::default();
    let (mut in_use, mut spare) = (0, 0);
    for pool in world.pools.values() {
        data += pool.figures.protection;
        in_use += pool.figures.in_use;
        spare += pool.figures.spare;
    }
    all.put("system_capacity_in_use_bytes", &[], in_use as f64 * KB);
    all.put("system_capacity_spare_bytes", &[], spare as f64 * KB);
    all.data("system_data_bytes", &[], data);
    if world.release >= Release::V3_0 {
        all.put("system_device_errors_total", &[], world.counters.device_errors as f64);
    }
    let snapshots = world.volumes.values().filter(|volume| volume.kind == VolumeKind::Snapshot).count();
    for (kind, count) in [
        ("protection_domain", world.domains.len()),
        ("storage_pool", world.pools.len()),
        ("fault_set", world.fault_sets.len()),
        ("sds", world.sds.len()),
        ("device", world.devices.len()),
        ("sdc", world.sdcs.len()),
        ("volume", world.volumes.len()),
        ("snapshot", snapshots),
        ("vtree", world.vtrees.len()),
    ] {
        all.put("system_objects", &[("kind", kind)], count as f64);
    }
    if world.release >= Release::V4_5 {
        all.put("system_objects", &[("kind", "sdr")], world.sdrs.len() as f64);
    }
}

fn pools(world: &World, all: &mut Writer) {
    for pool in world.pools.values() {
        let labels =
            [("protection_domain", world.domains[&pool.domain].name.as_str()), ("storage_pool", pool.name.as_str())];
        let figures = &pool.figures;
        all.put("storage_pool_capacity_in_use_bytes", &labels, figures.in_use as f64 * KB);
        all.put("storage_pool_capacity_unused_bytes", &labels, figures.unused as f64 * KB);
        all.data("storage_pool_data_bytes", &labels, figures.protection);
        all.moving("storage_pool_moving_bytes", &labels, figures.moving);
    }
}

fn servers(world: &World, all: &mut Writer) {
    for sds in world.sds.values() {
        let labels = [("protection_domain", world.domains[&sds.domain].name.as_str()), ("sds", sds.name.as_str())];
        all.put("sds_mdm_connected", &labels, f64::from(sds.connected()));
        let membership = match sds.membership {
            Membership::Joined => "joined",
            Membership::JoinPending(_) => "join_pending",
            Membership::Decoupled(_) => "decoupled",
        };
        all.put("sds_membership", &[&labels[..], &[("state", membership)]].concat(), 1.0);
    }
    for device in world.devices.values() {
        let labels = device_labels(world, device);
        let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
        all.put("device_error", &labels, f64::from(device.failed));
        all.put("device_capacity_max_bytes", &labels, device.capacity_kb as f64 * KB);
        all.put("device_capacity_in_use_bytes", &labels, device.used_kb as f64 * KB);
    }
}

fn device_labels(world: &World, device: &Device) -> [(&'static str, String); 4] {
    let sds = &world.sds[&device.sds];
    [
        ("protection_domain", world.domains[&sds.domain].name.clone()),
        ("sds", sds.name.clone()),
        ("storage_pool", world.pools[&device.pool].name.clone()),
        ("device", device.name.clone()),
    ]
}

fn mdm(world: &World, all: &mut Writer) {
    let mdm = &world.mdm;
    let state = if mdm.normal(world.now()) { "clustered_normal" } else { "clustered_degraded" };
    let mode = match mdm.mode() {
        "OneNode" => "one_node",
        "ThreeNodes" => "three_nodes",
        _ => "five_nodes",
    };
    all.put("mdm_cluster_normal", &[], f64::from(mdm.normal(world.now())));
    all.put("mdm_cluster_state", &[("state", state), ("mode", mode)], 1.0);
    all.put("mdm_cluster_good_nodes", &[], mdm.good_nodes() as f64);
    for member in &mdm.members {
        let role = match member.role {
            _ if member.standby => "standby",
            MdmRole::TieBreaker => "tie_breaker",
            MdmRole::Manager if mdm.master().is_some_and(|master| master.id == member.id) => "primary",
            MdmRole::Manager => "secondary",
        };
        let id = member.id.to_string();
        let labels =
            [("mdm", member.name.as_str()), ("mdm_id", &id), ("role", role), ("version", member.version.as_str())];
        all.put("mdm_info", &labels, 1.0);
    }
    let mut alerts: BTreeMap<(&str, String), f64> = BTreeMap::new();
    for alert in world.alerts().filter(|alert| alert.cleared.is_none()) {
        let severity = format!("{:?}", alert.kind.severity()).to_lowercase();
        *alerts.entry((alert.kind.name(), severity)).or_default() += 1.0;
    }
    for ((alert, severity), count) in alerts {
        all.put("mdm_alerts", &[("alert", alert), ("severity", &severity)], count);
    }
}

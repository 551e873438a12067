//! How large a simulated system is when it starts.

/// The shape of a system. Nodes are numbered through all racks of all domains;
/// each rack is a fault set, each node carries one SDS.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Protection domains; without any there is nothing at all, not even an MDM.
    pub domains: u32,
    /// Racks (fault sets) in each domain.
    pub racks_per_domain: u32,
    /// Nodes in each rack.
    pub nodes_per_rack: u32,
    /// Devices of each node, dealt to the pools of its domain in turn.
    pub devices_per_node: u32,
    /// Storage pools in each domain.
    pub pools_per_domain: u32,
    /// Size of one device.
    pub device_gib: u64,
    /// Volumes and snapshots together.
    pub volumes: u32,
    /// Clients; the first run on the storage nodes.
    pub sdcs: u32,
    /// Part of what may hold data that holds some at the start.
    pub fill: f64,
    /// Spare capacity of each pool.
    pub spare_percent: u64,
    /// What one device can take part in of rebuild or rebalance, KiB/s.
    pub move_kib_per_second: u64,
    /// Mean operations per second of a volume that is in use.
    pub iops_per_volume: f64,
    /// Replication groups, from 3.5 on.
    pub replication: bool,
    /// NVMe targets and hosts, from 4.0 on.
    pub nvme: bool,
}

impl Layout {
    /// Three racks of four nodes and two pools: the demo.
    pub fn small() -> Self {
        Self {
            domains: 1,
            racks_per_domain: 3,
            nodes_per_rack: 4,
            devices_per_node: 4,
            pools_per_domain: 2,
            device_gib: 256,
            volumes: 40,
            sdcs: 12,
            fill: 0.5,
            // One rack of three must fit into what is kept free.
            spare_percent: 34,
            move_kib_per_second: 32 * 1024,
            iops_per_volume: 400.0,
            replication: true,
            nvme: true,
        }
    }

    /// Nothing at all: a gateway in front of hosts that carry no MDM yet. What is added gets devices of this size.
    pub fn bare() -> Self {
        Self { domains: 0, racks_per_domain: 0, nodes_per_rack: 0, volumes: 0, sdcs: 0, ..Self::small() }
    }

    /// 128 SDSs of 10 devices, 1,000 volumes, 500 clients.
    pub fn large() -> Self {
        Self {
            domains: 2,
            racks_per_domain: 4,
            nodes_per_rack: 16,
            devices_per_node: 10,
            pools_per_domain: 2,
            device_gib: 1788,
            volumes: 1_000,
            sdcs: 500,
            fill: 0.55,
            spare_percent: 25,
            move_kib_per_second: 32 * 1024,
            iops_per_volume: 600.0,
            replication: true,
            nvme: true,
        }
    }

    /// 1,024 SDSs of 16 devices, 30,000 volumes, 2,000 clients: as large as systems get.
    pub fn huge() -> Self {
        Self {
            domains: 8,
            racks_per_domain: 8,
            nodes_per_rack: 16,
            devices_per_node: 16,
            pools_per_domain: 2,
            device_gib: 3576,
            volumes: 30_000,
            sdcs: 2_000,
            fill: 0.6,
            spare_percent: 13,
            move_kib_per_second: 32 * 1024,
            iops_per_volume: 300.0,
            replication: true,
            nvme: true,
        }
    }

    /// The layout of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "small" => Some(Self::small()),
            "large" => Some(Self::large()),
            "huge" => Some(Self::huge()),
            _ => None,
        }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> u32 {
        self.domains * self.racks_per_domain * self.nodes_per_rack
    }
}

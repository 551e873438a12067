//! Where is it in a snapshot? What the MDM shows, found by address and owner: looked through once, and then asked for
//! each of a thousand nodes.

use std::collections::{BTreeSet, HashMap};

use crate::model::cluster::{Device, Sdc, Sds};
use crate::model::id::SdsId;
use crate::model::snapshot::Snapshot;
use crate::model::state::Connection;

use super::networks::Used;

/// A snapshot with its index. What it lacks is found nowhere.
#[derive(Debug)]
pub struct Shown<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    servers: HashMap<&'a str, Vec<&'a Sds>>,
    named: HashMap<&'a str, &'a Sds>,
    devices: HashMap<&'a SdsId, Vec<&'a Device>>,
    clients: HashMap<&'a str, &'a Sdc>,
}

impl<'a> Shown<'a> {
    /// Looks through a snapshot.
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let (mut servers, mut named) = (HashMap::<_, Vec<_>>::new(), HashMap::new());
        for sds in snapshot.sds.iter().flat_map(|sds| sds.iter()) {
            for address in &sds.addresses {
                let here = servers.entry(&*address.ip).or_default();
                if !here.iter().any(|other: &&Sds| other.id == sds.id) {
                    here.push(sds);
                }
            }
            if let Some(name) = sds.name.as_deref() {
                named.entry(name).or_insert(sds);
            }
        }
        let mut devices = HashMap::<_, Vec<_>>::new();
        for device in snapshot.devices.iter().flat_map(|devices| devices.iter()) {
            if let Some(sds) = &device.sds {
                devices.entry(sds).or_default().push(device);
            }
        }
        let mut clients = HashMap::new();
        for sdc in snapshot.sdcs.iter().flat_map(|sdcs| sdcs.iter()) {
            for address in &sdc.addresses {
                clients.entry(&**address).or_insert(sdc);
            }
        }
        Self { snapshot, servers, named, devices, clients }
    }

    /// The servers at an address, in the order of their ids.
    pub fn servers_at(&self, ip: &str) -> &[&'a Sds] {
        self.servers.get(ip).map(Vec::as_slice).unwrap_or_default()
    }

    /// The servers at any of a host's addresses, each once, in the order of their ids.
    pub fn servers_of(&self, addresses: &BTreeSet<Box<str>>) -> Vec<&'a Sds> {
        let mut found: Vec<&Sds> = addresses.iter().flat_map(|ip| self.servers_at(ip)).copied().collect();
        found.sort_by_key(|sds| &sds.id);
        found.dedup_by_key(|sds| &sds.id);
        found
    }

    /// Those of a host's addresses that its server is found at, and its member of the MDM cluster.
    pub fn used_of(&self, addresses: &BTreeSet<Box<str>>) -> Used {
        let mdm = self.snapshot.array.as_ref().and_then(|array| array.mdm.as_ref());
        let members = || mdm.into_iter().flat_map(|mdm| &mdm.members).flat_map(|member| &member.ips);
        let those = |is_used: &dyn Fn(&str) -> bool| addresses.iter().filter(|ip| is_used(ip)).cloned().collect();
        Used {
            by_server: those(&|ip| self.servers.contains_key(ip)),
            by_member: those(&|ip| members().any(|used| **used == *ip)),
        }
    }

    /// The client at any of a host's addresses; one that is connected before one that was there once.
    pub fn client_of(&self, addresses: &BTreeSet<Box<str>>) -> Option<&'a Sdc> {
        let is_connected = |sdc: &&Sdc| sdc.connection.as_ref().is_some_and(|state| state.is(Connection::Connected));
        let all = || addresses.iter().filter_map(|ip| self.client_at(ip));
        all().find(is_connected).or_else(|| all().next())
    }

    /// The server of a name.
    pub fn server_named(&self, name: &str) -> Option<&'a Sds> {
        self.named.get(name).copied()
    }

    /// The devices of a server, in the order of their ids.
    pub fn devices_of(&self, sds: &SdsId) -> &[&'a Device] {
        self.devices.get(sds).map(Vec::as_slice).unwrap_or_default()
    }

    /// The client at an address.
    pub fn client_at(&self, ip: &str) -> Option<&'a Sdc> {
        self.clients.get(ip).copied()
    }
}

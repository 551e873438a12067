//! What else lies on a host? Where things run whose loss would hurt others, and how a host is found among them.

use std::collections::{BTreeMap, BTreeSet};

use super::framework::Registration;
use super::id::NodeName;
use super::node::{Carries, NodeFacts};
use super::step::Component;

/// Where things run whose loss would hurt others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The boot of the host on which this controller runs.
    pub boot_id: Box<str>,
    /// By the names or addresses of hosts, as the configuration or a master says them.
    pub by_host: BTreeMap<Box<str>, BTreeSet<Carries>>,
}

impl Places {
    /// The same with the master that leads now.
    #[must_use]
    pub fn led_by(&self, registration: Option<&Registration>) -> Self {
        let mut places = self.clone();
        if let Some(Registration::Registered { master, .. }) = registration {
            places.put(host_of(master), Carries::MesosMaster);
        }
        places
    }

    /// Says that something runs on a host.
    pub fn put(&mut self, host: &str, what: Carries) {
        self.by_host.entry(host.into()).or_default().insert(what);
    }

    /// Of what a node carries a part: as its agent says, and as its name, its addresses and its boot tell.
    pub fn carried(&self, node: &NodeName, said: &NodeFacts, addresses: &BTreeSet<Box<str>>) -> BTreeSet<Carries> {
        let names = addresses.iter().map(|address| &**address).chain([node.as_str()]);
        let there = names.filter_map(|name| self.by_host.get(name)).flatten();
        let mut carries: BTreeSet<Carries> = there.chain(&said.carries).copied().collect();
        // The kernel's id of a boot is one host's alone.
        if !said.boot_id.is_empty() && said.boot_id == self.boot_id {
            carries.insert(Carries::Controller);
        }
        if said.running.contains(&Component::Gateway) {
            carries.insert(Carries::Gateway);
        }
        carries
    }
}

/// The host in `https://host:port`, `host:port` and `[address]:port`.
pub fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest).trim();
    let rest = rest.split('/').next().unwrap_or(rest);
    match rest.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or(inside),
        // Of an IPv6 address without brackets no part is a port.
        None if rest.matches(':').count() == 1 => rest.split(':').next().unwrap_or(rest),
        None => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_out_of_every_form_of_an_address() {
        for (address, host) in [
            ("https://gw.example.com:8443", "gw.example.com"),
            ("10.0.0.1:2181", "10.0.0.1"),
            ("http://[fd00::1]:5050", "fd00::1"),
            ("fd00::1", "fd00::1"),
            ("gw", "gw"),
            ("http://m1:5050/api", "m1"),
        ] {
            assert_eq!(host_of(address), host);
        }
    }
}

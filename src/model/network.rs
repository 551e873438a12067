//! A network, as `10.1.0.0/24` writes it.

use core::net::IpAddr;
use std::fmt;
use std::str::FromStr;

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoNetwork {
    /// It is neither an address nor one with the length of a prefix.
    #[error("is no network; write it as 10.1.0.0/24, or a single address")]
    Shape,
    /// Its address is one within it.
    #[error("has more digits than its prefix is long; write {0}")]
    Within(Network),
    /// No host has an address of it.
    #[error("is no network of hosts")]
    NotOfHosts,
}

fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

const fn length(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// What of an address is of its network.
fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    // A shift by the whole length is none in this arithmetic.
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
    let kept = bits(ip) & mask;
    match ip {
        IpAddr::V4(_) => IpAddr::V4(((kept >> 96) as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(kept.into()),
    }
}

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        ip.is_ipv4() == self.first.is_ipv4() && masked(ip, self.prefix) == self.first
    }

    /// The same of an address that is a text; what is none is in no network.
    pub fn has(&self, ip: &str) -> bool {
        ip.parse().is_ok_and(|ip| self.contains(ip))
    }

    /// Whether an address may be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (ip, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((ip, prefix)) => (ip, Some(prefix)),
        };
        let ip: IpAddr = ip.parse().map_err(|_| NoNetwork::Shape)?;
        let prefix = match prefix {
            None => length(ip),
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= length(ip)).ok_or(NoNetwork::Shape)?,
        };
        let network = Self { first: masked(ip, prefix), prefix };
        if network.first != ip {
            return Err(NoNetwork::Within(network));
        }
        if prefix == 0 || ip.is_multicast() || ip.is_loopback() || ip.is_unspecified() {
            return Err(NoNetwork::NotOfHosts);
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == length(self.first) {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_in_the_network_whose_beginning_it_has() {
        for (text, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.9", "10.2.0.1"),
            ("10.1.2.128/25", "10.1.2.200", "10.1.2.127"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("2001:db8::/64", "2001:db8::9", "2001:db8:0:1::9"),
            ("2001:db8::7", "2001:db8::7", "2001:db8::8"),
        ] {
            let network = network(text);
            assert!(network.has(inside) && !network.has(outside), "{text}");
            assert_eq!(network.to_string(), text);
        }
        assert!(!network("10.1.0.0/16").has("2001:db8::1") && !network("10.1.0.0/16").has("bond0"));
        assert!(!network("2001:db8::/64").has("32.1.13.184"), "of the other kind, with the same beginning");
    }

    #[test]
    fn what_is_no_network_of_hosts_is_refused_with_the_mend() {
        for (text, told) in [
            ("10.1.0.0/33", "is no network"),
            ("10.1.0/24", "is no network"),
            ("bond0", "is no network"),
            ("10.1.0.0/", "is no network"),
            ("10.1.2.3/24", "write 10.1.2.0/24"),
            ("0.0.0.0/0", "no network of hosts"),
            ("127.0.0.0/8", "no network of hosts"),
            ("224.0.0.0/4", "no network of hosts"),
        ] {
            let told_is = text.parse::<Network>().unwrap_err().to_string();
            assert!(told_is.contains(told), "{text}: {told_is}");
        }
    }

    #[test]
    fn networks_overlap_where_one_is_within_the_other() {
        let overlap = |one: &str, other: &str| {
            let (one, other) = (network(one), network(other));
            assert_eq!(one.overlaps(&other), other.overlaps(&one));
            one.overlaps(&other)
        };
        assert!(overlap("10.0.0.0/8", "10.1.2.0/24") && overlap("10.1.2.0/24", "10.1.2.0/24"));
        assert!(!overlap("10.1.2.0/24", "10.1.3.0/24") && !overlap("10.1.2.0/24", "2001:db8::/64"));
    }
}

//! What do the kernel's own tables say?

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ports with a listener, of `/proc/net/tcp` or `tcp6`.
pub(super) fn listening(table: &str) -> BTreeSet<u16> {
    const LISTEN: &str = "0A";
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let local = words.get(1)?.rsplit_once(':')?.1;
            (words.get(3) == Some(&LISTEN)).then(|| u16::from_str_radix(local, 16).ok())?
        })
        .collect()
}

/// The node's own IPv4 addresses, of `/proc/net/fib_trie`.
pub(super) fn own_v4(trie: &str) -> BTreeSet<IpAddr> {
    let mut last = None;
    let mut found = BTreeSet::new();
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !address.is_loopback()
        {
            found.insert(IpAddr::V4(address));
        }
    }
    found
}

/// The node's own IPv6 addresses, of `/proc/net/if_inet6`.
pub(super) fn own_v6(table: &str) -> BTreeSet<IpAddr> {
    table
        .lines()
        .filter_map(|line| u128::from_str_radix(line.split_whitespace().next()?, 16).ok())
        .map(Ipv6Addr::from)
        .filter(|address| !address.is_loopback() && !address.is_unicast_link_local())
        .map(IpAddr::V6)
        .collect()
}

/// The interface by which an IPv4 address is reached, of `/proc/net/route`: the longest prefix wins.
pub(super) fn way(routes: &str, to: Ipv4Addr) -> Option<String> {
    let hex = |word: &str| Some(u32::from_str_radix(word, 16).ok()?.swap_bytes());
    let fits = routes.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (network, mask) = (hex(words.get(1)?)?, hex(words.get(7)?)?);
        (to.to_bits() & mask == network).then(|| (mask, words.first().map(|name| (*name).to_owned())))
    });
    fits.max_by_key(|(mask, _)| *mask)?.1
}

/// Whether an IPv4 address is in a network that an interface is in itself, of `/proc/net/route`.
pub(super) fn is_on_v4(routes: &str, interface: &str, ip: Ipv4Addr) -> bool {
    let hex = |word: &str| Some(u32::from_str_radix(word, 16).ok()?.swap_bytes());
    routes.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let field = |at: usize| words.get(at).and_then(|word| hex(word));
        let (Some(network), Some(gateway), Some(mask)) = (field(1), field(2), field(7)) else { return false };
        words.first() == Some(&interface) && gateway == 0 && mask != 0 && ip.to_bits() & mask == network
    })
}

/// The same for IPv6, of `/proc/net/if_inet6`.
pub(super) fn is_on_v6(table: &str, interface: &str, ip: Ipv6Addr) -> bool {
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [own, _, prefix, .., name] = words[..] else { return false };
        let own = u128::from_str_radix(own, 16).ok().map(Ipv6Addr::from).filter(|own| !own.is_unicast_link_local());
        let prefix = u32::from_str_radix(prefix, 16).ok().filter(|prefix| (1..=128).contains(prefix));
        let (Some(own), Some(prefix)) = (own, prefix) else { return false };
        let mask = u128::MAX << (128 - prefix);
        name == interface && own.to_bits() & mask == ip.to_bits() & mask
    })
}

/// Whether a neighbour has answered for an address, of `/proc/net/arp`. It does so whatever its firewall drops.
pub(super) fn is_neighbour(table: &str, ip: IpAddr) -> bool {
    const COMPLETE: u32 = 0x2;
    table.lines().skip(1).any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let flags = words.get(2).and_then(|word| u32::from_str_radix(word.trim_start_matches("0x"), 16).ok());
        let is_it = words.first().and_then(|word| word.parse::<IpAddr>().ok()) == Some(ip);
        is_it && flags.is_some_and(|flags| flags & COMPLETE != 0)
    })
}

/// How many processors there are, of `/proc/cpuinfo`.
pub(in crate::agent) fn cores(table: &str) -> Option<u32> {
    let count =
        table.lines().filter(|line| line.split(':').next().is_some_and(|name| name.trim() == "processor")).count();
    u32::try_from(count).ok().filter(|count| *count > 0)
}

/// The memory in MiB, of `/proc/meminfo`.
pub(in crate::agent) fn memory_mib(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib / 1024)
}

/// Free MiB of a folder, as `df -Pk` tells it.
pub(super) fn free_mib(table: &str) -> Option<u64> {
    let line = table.lines().nth(1)?;
    line.split_whitespace().nth(3)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_told_from_connections() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 00000000:1BA0 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:2333 0100007F:9999 01 00000000:00000000\n\
            2: broken\n";
        assert_eq!(listening(table), [7072].into());
    }

    #[test]
    fn own_addresses_are_those_the_kernel_calls_local() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 192.0.2.11\n        /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(own_v4(trie), ["192.0.2.11".parse().unwrap()].into());
        let table = "20010db8000000000000000000000011 02 40 00 80 eth0\n00000000000000000000000000000001 01 80 10 80 lo\nfe800000000000000000000000000001 02 40 20 80 eth0\n";
        assert_eq!(own_v6(table), ["2001:db8::11".parse().unwrap()].into());
    }

    #[test]
    fn an_address_goes_by_its_longest_prefix() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            data0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(way(routes, "192.0.2.9".parse().unwrap()).as_deref(), Some("data0"));
        assert_eq!(way(routes, "203.0.113.9".parse().unwrap()).as_deref(), Some("eth0"));
        assert_eq!(way("Iface\n", "203.0.113.9".parse().unwrap()), None);
    }

    #[test]
    fn an_address_is_on_an_interface_whose_own_network_has_it() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            data0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let on = |interface, ip: &str| is_on_v4(routes, interface, ip.parse().unwrap());
        assert!(on("data0", "192.0.2.100"));
        assert!(!on("eth0", "192.0.2.100") && !on("data0", "192.0.3.100") && !on("eth0", "203.0.113.9"));
        let table =
            "20010db8000000000000000000000011 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth1\n";
        let on = |interface, ip: &str| is_on_v6(table, interface, ip.parse().unwrap());
        assert!(on("eth0", "2001:db8::100"));
        assert!(!on("eth0", "2001:db8:1::100") && !on("eth1", "fe80::9"));
    }

    #[test]
    fn a_neighbour_that_answered_is_told_from_one_that_was_only_asked() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
            192.0.2.100      0x1         0x2         52:54:00:12:34:56     *        eth0\n\
            192.0.2.101      0x1         0x0         00:00:00:00:00:00     *        eth0\n";
        let has = |ip: &str| is_neighbour(table, ip.parse().unwrap());
        assert!(has("192.0.2.100") && !has("192.0.2.101") && !has("192.0.2.102"));
    }

    #[test]
    fn sizes_are_read_in_mib() {
        assert_eq!(cores("processor\t: 0\nmodel name\t: x\nprocessor\t: 1\n"), Some(2));
        assert_eq!(cores("CPU implementer : 0x41\n"), None);
        assert_eq!(memory_mib("MemTotal:       16384000 kB\nMemFree: 1 kB\n"), Some(16000));
        assert_eq!(
            free_mib("Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 100 1 2097152 1% /\n"),
            Some(2048)
        );
        assert_eq!(free_mib("df: no such file\n"), None);
    }
}

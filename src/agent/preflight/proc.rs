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

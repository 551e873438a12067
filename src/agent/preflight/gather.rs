//! What is there? Looks at a node by its own means and judges nothing.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Driver, Link, Machine, Moving, Reached, Tried, proc};
use crate::agent::host::{Call, Host};
use crate::agent::recipes::bare;
use crate::agent::recipes::component::facts;
use crate::agent::recipes::driver::{self, Workshop};
use crate::agent::recipes::os::{Family, Os};
use crate::agent::recipes::release::Release;
use crate::agent::steps;
use crate::model::order::{Component, Preflight};
use crate::model::preflight::VirtualIp;
use crate::model::unit::Timestamp;

/// A neighbour takes a connection in milliseconds; a firewall that drops is known after this.
const CONNECT: Duration = Duration::from_secs(3);

/// Where packages and logs go.
const FOLDERS: [&str; 2] = ["/opt", "/var"];

/// Where the SDC says which repository of modules it asks.
const SYNC: [&str; 2] =
    ["/bin/emc/scaleio/scini_sync/driver_sync.conf", "/etc/emc/scaleio/scini_sync/driver_sync.conf"];

/// Looks at everything that the order asks about. `now` is the time at the controller, when one said it.
pub fn gather(asked: &Preflight, host: &mut dyn Host, now: Option<Timestamp>) -> Machine {
    let os = match text(host, "/etc/os-release") {
        Some(text) => Os::read(&text),
        None => Err("the node has no /etc/os-release".to_owned()),
    };
    let kernel = text(host, "/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned();
    let tables: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| text(host, path)).collect();
    let listening = (!tables.is_empty()).then(|| tables.iter().flat_map(|table| proc::listening(table)).collect());
    let addresses = addresses(host);
    let moving = asked.virtual_ips.iter().map(|one| moving(one, &addresses, host)).collect();
    let servers = asked.servers.iter().map(|group| Tried {
        by: group.by.clone(),
        must_answer: group.must_answer,
        reached: group.at.iter().map(|address| reach(address, asked.mtu, host)).collect(),
    });
    let servers = servers.collect();
    Machine {
        moving,
        servers,
        driver: driver_of(os.as_ref().ok(), &kernel, host),
        hostname: text(host, "/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned(),
        running: running(&asked.components, host),
        links: links(host),
        clock_ahead_s: now.map(|now| (host.clock() - now).num_seconds()),
        reached: asked.reach.iter().map(|address| reach(address, asked.mtu, host)).collect(),
        space: FOLDERS.into_iter().map(|folder| (folder.to_owned(), space(folder, host))).collect(),
        memory_mib: text(host, "/proc/meminfo").and_then(|table| proc::memory_mib(&table)),
        mesos: if asked.volumes { steps::mesos_agent(host) } else { None },
        os,
        kernel,
        listening,
        addresses,
    }
}

/// The host's own addresses, without loopback.
pub(in crate::agent) fn addresses(host: &mut dyn Host) -> BTreeSet<IpAddr> {
    let mut own = text(host, "/proc/net/fib_trie").map(|trie| proc::own_v4(&trie)).unwrap_or_default();
    own.extend(text(host, "/proc/net/if_inet6").map(|table| proc::own_v6(&table)).unwrap_or_default());
    own
}

fn text(host: &mut dyn Host, path: &str) -> Option<String> {
    host.read(path).ok().flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn driver_of(os: Option<&Os>, kernel: &str, host: &mut dyn Host) -> Driver {
    let loaded = text(host, "/proc/modules").unwrap_or_default();
    let cached = os.map(|os| cached(os, kernel, host)).unwrap_or_default();
    let repository = SYNC.iter().find_map(|path| {
        let text = text(host, path)?;
        let value = text.lines().find_map(|line| line.trim().strip_prefix("repo_address")?.trim().strip_prefix('='))?;
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    });
    let tools = ["gcc", "make"].iter().all(|name| host.exists(&format!("/usr/bin/{name}")));
    let workshop = Workshop {
        flag: host.exists(driver::BUILD_FLAG),
        tools,
        headers: host.exists(&format!("/lib/modules/{kernel}/build")),
    };
    Driver {
        is_loaded: loaded.lines().any(|line| line.split_whitespace().next() == Some("scini")),
        cached,
        repository,
        workshop,
    }
}

/// Releases whose module for a kernel lies here, with dots.
fn cached(os: &Os, kernel: &str, host: &mut dyn Host) -> Vec<String> {
    let (folder, prefix) = match os.family {
        // A bundle has its modules in itself.
        Family::Immutable => (bare::FOLDER.to_owned(), "sdc-"),
        _ => (format!("{}/{}", driver::CACHE, driver::distribution(os)), ""),
    };
    let names = host.list(&folder).unwrap_or_default();
    let releases = names.iter().filter_map(|name| Release::read(name.strip_prefix(prefix)?));
    let fitting = releases.filter(|release| host.exists(&driver::path(os, release, kernel)));
    fitting.map(|release| driver::dotted(&release)).collect()
}

fn running(components: &[Component], host: &mut dyn Host) -> BTreeSet<Component> {
    let mut active = |component: Component| {
        let call = Call::new("systemctl", ["is-active", facts(component).unit]);
        host.run(&call).is_ok_and(|output| output.stdout.trim() == "active")
    };
    components.iter().copied().filter(|component| active(*component)).collect()
}

fn links(host: &mut dyn Host) -> Vec<Link> {
    let names = host.list("/sys/class/net").unwrap_or_default();
    let names = names.into_iter().filter(|name| name != "lo" && name != "bonding_masters");
    names
        .map(|name| {
            let mut number = |what: &str| {
                // A link without a carrier has no speed, and a virtual one tells -1.
                let text = text(host, &format!("/sys/class/net/{name}/{what}"))?;
                text.trim().parse::<i64>().ok().and_then(|number| u32::try_from(number).ok())
            };
            let (mtu, mbit, carrier) = (number("mtu"), number("speed"), number("carrier"));
            Link { mtu, mbit: mbit.filter(|mbit| *mbit > 0), is_up: carrier == Some(1), name }
        })
        .collect()
}

fn reach(address: &str, mtu: Option<u32>, host: &mut dyn Host) -> Reached {
    let ip = address.parse::<SocketAddr>().map(|address| address.ip()).ok();
    let by = match ip {
        Some(IpAddr::V4(ip)) => text(host, "/proc/net/route").and_then(|routes| proc::way(&routes, ip)),
        _ => None,
    };
    let taken = host.reach(address, CONNECT);
    // Who does not answer at all is not asked for large packets.
    let whole = ip.zip(mtu).filter(|_| taken.is_ok()).and_then(|(ip, mtu)| whole(ip, mtu, host));
    Reached { address: address.to_owned(), by, taken, whole }
}

fn moving(asked: &VirtualIp, own: &BTreeSet<IpAddr>, host: &mut dyn Host) -> Moving {
    let is_on = match asked.ip {
        IpAddr::V4(ip) => text(host, "/proc/net/route").map(|table| proc::is_on_v4(&table, &asked.interface, ip)),
        IpAddr::V6(ip) => text(host, "/proc/net/if_inet6").map(|table| proc::is_on_v6(&table, &asked.interface, ip)),
    };
    let taken = match asked.unused {
        true if own.contains(&asked.ip) => Some("it is an address of this very host".to_owned()),
        true => answers(asked.ip, host),
        false => None,
    };
    Moving { asked: asked.clone(), is_on, taken }
}

/// Who answers at an address of our own network: by a connection, an echo, or as a neighbour that only says that it
/// is there. None: nobody does.
pub fn answers(ip: IpAddr, host: &mut dyn Host) -> Option<String> {
    // The port of the members among themselves: whoever has the address says yes or no, and is then known as a neighbour.
    let port = facts(Component::Mdm).port.unwrap_or_default();
    if host.reach(&SocketAddr::new(ip, port).to_string(), CONNECT).is_ok() {
        return Some(format!("somebody answers at port {port}"));
    }
    let (to, call) = (ip.to_string(), |to: &str| Call::new("ping", ["-c", "1", "-W", "1", to]));
    if host.run(&Call { within: CONNECT * 2, ..call(&to) }).is_ok_and(|output| output.is_good()) {
        return Some("somebody answers a ping".to_owned());
    }
    let table = text(host, "/proc/net/arp")?;
    proc::is_neighbour(&table, ip).then(|| "a neighbour says that it has it".to_owned())
}

/// Whether a packet of this size goes there and back without being cut. None where that cannot be tried.
fn whole(to: IpAddr, mtu: u32, host: &mut dyn Host) -> Option<Result<(), String>> {
    // What the headers of IP and ICMP take.
    let headers = if to.is_ipv4() { 28 } else { 48 };
    let (size, to) = (mtu.saturating_sub(headers).to_string(), to.to_string());
    let call = Call { within: CONNECT * 2, ..Call::new("ping", ["-c", "1", "-W", "2", "-M", "do", "-s", &size, &to]) };
    let output = host.run(&call).ok()?;
    Some(if output.is_good() { Ok(()) } else { Err(output.last_words()) })
}

fn space(folder: &str, host: &mut dyn Host) -> Result<u64, String> {
    let output = host.run(&Call::new("df", ["-Pk", folder])).map_err(|error| error.to_string())?;
    proc::free_mib(&output.stdout).ok_or_else(|| format!("df says nothing of {folder} ({})", output.last_words()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fixture::Fake;

    #[test]
    fn modules_are_found_in_the_cache_of_packages_and_in_bundles() {
        let mut host = Fake::default();
        let flatcar = Os::read("ID=flatcar\nVERSION_ID=3760.2.0\n").unwrap();
        let el7 = Os::read("ID=centos\nVERSION_ID=7\n").unwrap();
        for path in [
            "/opt/emc/scaleio/bare/sdc-3.6-100.101/modules/6.1.0/scini.ko",
            "/opt/emc/scaleio/bare/sdc-3.6-200.1/modules/6.2.0/scini.ko",
            "/opt/emc/scaleio/bare/sds-3.6-200.1/bin/sds",
            "/bin/emc/scaleio/scini_sync/driver_cache/RHEL7/3.6.300.1/6.1.0/scini.ko",
            "/bin/emc/scaleio/scini_sync/driver_cache/RHEL7/3.6.400.1/6.2.0/scini.ko",
        ] {
            host.files.insert(path.to_owned(), Vec::new());
        }
        assert_eq!(cached(&flatcar, "6.1.0", &mut host), ["3.6.100.101"]);
        assert_eq!(cached(&el7, "6.1.0", &mut host), ["3.6.300.1"]);
    }
}

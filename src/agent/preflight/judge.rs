//! Is what was found good enough? One row for each question, in the order in which people ask.

use super::{Driver, Link, Machine, Moving, Reached, Tried, needs};
use crate::agent::recipes::os::Family;
use crate::agent::recipes::release::Release;
use crate::agent::recipes::{component, driver};
use crate::model::order::{Component, Preflight};
use crate::model::preflight::{Row, UNUSED, VIRTUAL_IP, Verdict};
use crate::model::version::Generation;

/// Tickets and logs suffer from more; certificates from much more.
const SKEW_WARNS_S: i64 = 2;
const SKEW_FAILS_S: i64 = 60;

/// The smallest MTU that every network has.
const USUAL_MTU: u32 = 1500;

/// The table of a node.
pub fn judge(asked: &Preflight, machine: &Machine) -> Vec<Row> {
    let mut rows = vec![name(asked, machine), system(machine)];
    rows.extend(generation(asked));
    let kernel = if machine.kernel.is_empty() { "not told" } else { machine.kernel.as_str() };
    let mend = "look at /proc/sys/kernel/osrelease";
    rows.push(row("kernel", kernel, "one that tells its release", ok_if(!machine.kernel.is_empty()), mend));
    if asked.components.contains(&Component::Sdc) {
        rows.push(module(asked, machine));
    }
    rows.extend(ports(asked, machine));
    rows.extend(links(asked, machine));
    rows.push(clock(machine.clock_ahead_s));
    let has_manager = machine.reached.iter().any(|reached| is_manager(reached) && reached.taken.is_ok());
    for reached in &machine.reached {
        rows.extend(reach(asked, reached, has_manager));
    }
    for tried in &machine.servers {
        rows.extend(servers(asked, tried));
    }
    for moving in &machine.moving {
        rows.extend(virtual_ip(moving, machine));
    }
    rows.extend(space(asked, machine));
    rows.push(memory(asked, machine));
    if asked.volumes {
        rows.extend(volumes(machine));
    }
    rows
}

fn row(
    name: impl Into<String>,
    found: impl Into<String>,
    wanted: impl Into<String>,
    verdict: Verdict,
    mend: impl Into<String>,
) -> Row {
    let mend = if verdict == Verdict::Ok { String::new() } else { mend.into() };
    Row { name: name.into(), found: found.into(), wanted: wanted.into(), verdict, mend }
}

const fn ok_if(is_good: bool) -> Verdict {
    if is_good { Verdict::Ok } else { Verdict::Fail }
}

fn name(asked: &Preflight, machine: &Machine) -> Row {
    let name = asked.name.as_deref().unwrap_or(&machine.hostname);
    let wanted = "one that no other host has in the system";
    match asked.taken.get(name) {
        Some(address) if !machine.addresses.contains(address) => row(
            "name",
            format!("{name}, which {address} has in the system"),
            wanted,
            Verdict::Fail,
            "give this host another name, or take the old one out of the system",
        ),
        _ if name.is_empty() => row("name", "none", wanted, Verdict::Fail, "give the host a name"),
        _ => row("name", name, wanted, Verdict::Ok, ""),
    }
}

fn system(machine: &Machine) -> Row {
    const WANTED: &str = "one that ScaleIO has packages for";
    match &machine.os {
        Ok(os) if os.family == Family::Immutable => row(
            "operating system",
            &os.pretty,
            WANTED,
            Verdict::Warn,
            "it has no package manager: SDC and SDS go there as plain files, which the vendor does not support",
        ),
        Ok(os) if os.mark().is_unproven() => {
            row("operating system", &os.pretty, WANTED, Verdict::Warn, "the vendor has no packages for it")
        }
        Ok(os) => row("operating system", &os.pretty, WANTED, Verdict::Ok, ""),
        Err(why) => {
            row("operating system", why, WANTED, Verdict::Fail, "leave this node out, or install another system")
        }
    }
}

/// Components that the release does not have as packages.
fn generation(asked: &Preflight) -> Option<Row> {
    let generation = generation_of(asked)?;
    let refused = asked.components.iter().find_map(|one| component::exists(*one, generation).err());
    let (verdict, found) = match refused {
        Some(why) => (Verdict::Fail, why),
        None => (Verdict::Ok, generation.to_string()),
    };
    Some(row("release", found, "one that has all components", verdict, "choose other components or another release"))
}

fn generation_of(asked: &Preflight) -> Option<Generation> {
    asked.generation.or_else(|| release_of(asked)?.generation())
}

fn release_of(asked: &Preflight) -> Option<Release> {
    asked.release.as_deref().and_then(Release::read)
}

fn module(asked: &Preflight, machine: &Machine) -> Row {
    let kernel = &machine.kernel;
    let wanted = format!("scini for {kernel}");
    let Driver { is_loaded, cached, repository, workshop } = &machine.driver;
    let fits = match release_of(asked) {
        Some(release) => cached.contains(&driver::dotted(&release)),
        None => !cached.is_empty(),
    };
    if *is_loaded && !asked_for_other(asked, cached) {
        return row("driver", "it is loaded", wanted, Verdict::Ok, "");
    }
    match driver::judge(kernel, fits, generation_of(asked), *workshop) {
        Ok(how) => row("driver", how, wanted, Verdict::Ok, ""),
        Err(_) if repository.is_some() => {
            let found = format!("not here; {} is asked at the start", repository.as_deref().unwrap_or_default());
            row("driver", found, wanted, Verdict::Warn, "see that the repository has the module of this kernel")
        }
        // The package brings modules of its own, so without one nothing is known yet.
        Err(why) if !machine.running.contains(&Component::Sdc) && cached.is_empty() => {
            let mend = format!("the package may bring it; if the SDC then does not start: {why}");
            row("driver", "no SDC was installed yet", wanted, Verdict::Warn, mend)
        }
        Err(why) => row("driver", "none", wanted, Verdict::Fail, why),
    }
}

/// Whether a release is asked for whose module is not there although others are.
fn asked_for_other(asked: &Preflight, cached: &[String]) -> bool {
    release_of(asked).is_some_and(|release| !cached.is_empty() && !cached.contains(&driver::dotted(&release)))
}

fn ports(asked: &Preflight, machine: &Machine) -> Vec<Row> {
    let mut rows = Vec::new();
    for component in &asked.components {
        for port in needs::ports(*component, generation_of(asked)) {
            let name = format!("port {port} ({component})");
            let (found, verdict, mend) = match &machine.listening {
                None => ("not known", Verdict::Warn, "the kernel's table of sockets could not be read".to_owned()),
                Some(open) if !open.contains(port) => ("free", Verdict::Ok, String::new()),
                Some(_) if owns(machine, *component) => ("taken by it itself", Verdict::Ok, String::new()),
                Some(_) => (
                    "taken by another program",
                    Verdict::Fail,
                    format!("find it with `ss -ltnp 'sport = :{port}'` and move it to another port"),
                ),
            };
            rows.push(row(name, found, "free", verdict, mend));
        }
    }
    rows
}

/// A manager and a tie-breaker are one service.
fn owns(machine: &Machine, component: Component) -> bool {
    let twin = match component {
        Component::Mdm => Component::Tb,
        Component::Tb => Component::Mdm,
        other => other,
    };
    machine.running.contains(&component) || machine.running.contains(&twin)
}

/// Only links that lead to an address that was asked for; without such, all with a carrier.
fn links(asked: &Preflight, machine: &Machine) -> Vec<Row> {
    let reached = machine.reached.iter().chain(machine.servers.iter().flat_map(|tried| &tried.reached));
    let used: Vec<&str> = reached.filter_map(|reached| reached.by.as_deref()).collect();
    let counts = |link: &&Link| if used.is_empty() { link.is_up } else { used.contains(&link.name.as_str()) };
    let mut rows = Vec::new();
    for link in machine.links.iter().filter(counts) {
        let wanted = asked.mtu.unwrap_or(USUAL_MTU);
        let found = link.mtu.map_or("not known".to_owned(), |mtu| mtu.to_string());
        let verdict = match link.mtu {
            None => Verdict::Warn,
            Some(mtu) if mtu >= wanted => Verdict::Ok,
            Some(_) if asked.mtu.is_some() => Verdict::Fail,
            Some(_) => Verdict::Warn,
        };
        let mend =
            format!("set it: `ip link set {} mtu {wanted}`, and for good in the system's configuration", link.name);
        rows.push(row(format!("MTU of {}", link.name), found, format!("{wanted} or more"), verdict, mend));
        let Some(least) = asked.link_mbit else { continue };
        let (found, verdict) = match link.mbit {
            None => ("not told".to_owned(), Verdict::Warn),
            Some(mbit) => (format!("{mbit} Mbit/s"), ok_if(mbit >= least)),
        };
        let wanted = format!("{least} Mbit/s or more");
        let mend = "look at cable, switch port and `ethtool`; virtual links do not tell";
        rows.push(row(format!("speed of {}", link.name), found, wanted, verdict, mend));
    }
    if rows.is_empty() {
        rows.push(row("links", "none with a carrier", "one or more", Verdict::Warn, "look at /sys/class/net"));
    }
    rows
}

fn clock(ahead_s: Option<i64>) -> Row {
    let wanted = format!("within {SKEW_WARNS_S} s of the controller's");
    let Some(ahead) = ahead_s else {
        return row("clock", "not compared", wanted, Verdict::Warn, "no controller has told the time");
    };
    let found = match ahead {
        0 => "the same".to_owned(),
        1.. => format!("{ahead} s ahead"),
        _ => format!("{} s behind", ahead.unsigned_abs()),
    };
    let verdict = match ahead.unsigned_abs() {
        few if few <= SKEW_WARNS_S.unsigned_abs() => Verdict::Ok,
        some if some <= SKEW_FAILS_S.unsigned_abs() => Verdict::Warn,
        _ => Verdict::Fail,
    };
    row("clock", found, wanted, verdict, "let chrony, ntpd or systemd-timesyncd keep it")
}

fn port(reached: &Reached) -> Option<u16> {
    reached.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

fn is_manager(reached: &Reached) -> bool {
    port(reached).is_some_and(needs::is_of_managers)
}

/// Whether managers that do not lead listen for clients is not known: of all managers one must answer.
fn reach(asked: &Preflight, reached: &Reached, has_manager: bool) -> Vec<Row> {
    let who = port(reached).map_or("service", needs::service);
    let name = format!("reach {} ({who})", reached.address);
    let mut rows = match &reached.taken {
        Ok(()) => vec![row(name, "it answers", "it answers", Verdict::Ok, "")],
        Err(why) if has_manager && is_manager(reached) => vec![row(
            name,
            why,
            "it answers, as another manager does",
            Verdict::Warn,
            "if it leads at times, look at routes and firewalls on the way, and whether it runs there",
        )],
        Err(why) => vec![row(
            name,
            why,
            "it answers",
            Verdict::Fail,
            "look at routes and firewalls on the way, and whether it runs there",
        )],
    };
    rows.extend(whole(asked, reached));
    rows
}

/// Whether large packets go whole to who answers.
fn whole(asked: &Preflight, reached: &Reached) -> Option<Row> {
    let mtu = asked.mtu?;
    let (name, wanted) = (format!("packets to {}", reached.address), format!("{mtu} bytes go whole"));
    Some(match reached.whole.as_ref()? {
        Ok(()) => row(name, &wanted, &wanted, Verdict::Ok, ""),
        Err(why) => row(
            name,
            why,
            wanted,
            Verdict::Warn,
            "raise the MTU of every switch on the way, or allow ICMP so that it can be measured",
        ),
    })
}

/// Of the servers that are tried by one network one must answer.
fn servers(asked: &Preflight, tried: &Tried) -> Vec<Row> {
    let some_answer = tried.reached.iter().any(|reached| reached.taken.is_ok());
    let mut rows = Vec::new();
    for reached in &tried.reached {
        let who = port(reached).map_or("service", needs::service);
        let name = format!("reach {} ({who}, by {})", reached.address, tried.by);
        rows.push(match &reached.taken {
            Ok(()) => row(name, "it answers", "it answers", Verdict::Ok, ""),
            Err(why) if some_answer || !tried.must_answer => row(
                name,
                why,
                "it answers, as others of that network",
                Verdict::Warn,
                "look at that server and at the way to it",
            ),
            Err(why) => row(
                name,
                why,
                "one server of that network answers",
                Verdict::Fail,
                "look at cable, VLAN, routes and firewalls of that network",
            ),
        });
        rows.extend(whole(asked, reached));
    }
    rows
}

/// A node that cannot carry a virtual address is no manager of the MDM cluster and good for all else; an address that
/// somebody has is none at all.
fn virtual_ip(moving: &Moving, machine: &Machine) -> Vec<Row> {
    let (ip, interface) = (moving.asked.ip, &moving.asked.interface);
    let wanted = format!("in a network of {interface}");
    let name = format!("{VIRTUAL_IP}{ip}");
    let is_there = machine.links.iter().any(|link| link.name == *interface);
    let mend =
        "give this host that interface, or name the one it has in virtual_ip_interfaces_of; without, it is no manager";
    let mut rows = vec![match moving.is_on {
        _ if !is_there => row(name, format!("there is no interface {interface}"), wanted, Verdict::Warn, mend),
        Some(true) => row(name, &wanted, &wanted, Verdict::Ok, ""),
        Some(false) => row(name, format!("no network of {interface} has it"), wanted, Verdict::Warn, mend),
        None => row(name, "the networks of the host cannot be read", wanted, Verdict::Warn, mend),
    }];
    if moving.asked.unused {
        let name = format!("{VIRTUAL_IP}{ip}{UNUSED}");
        let mend = format!("choose another one, or find who has it: `ip neigh show {ip}`");
        rows.push(match &moving.taken {
            None => row(name, "nobody answers", "nobody has it", Verdict::Ok, ""),
            Some(who) => row(name, who, "nobody has it", Verdict::Fail, mend),
        });
    }
    rows
}

fn space(asked: &Preflight, machine: &Machine) -> Vec<Row> {
    let needs: u64 = asked.components.iter().map(|one| needs::of(*one).space_mib).sum();
    let rows = machine.space.iter().map(|(folder, free)| {
        let (found, verdict) = match free {
            Ok(free) => (format!("{free} MiB free"), if *free >= needs { Verdict::Ok } else { Verdict::Warn }),
            Err(why) => (why.clone(), Verdict::Warn),
        };
        // Less than a tenth holds no package at all.
        let verdict = if free.as_ref().is_ok_and(|free| *free < needs / 10) { Verdict::Fail } else { verdict };
        row(format!("space in {folder}"), found, format!("{needs} MiB"), verdict, "make room, or give it a larger disk")
    });
    rows.collect()
}

fn memory(asked: &Preflight, machine: &Machine) -> Row {
    let needs: u64 = asked.components.iter().map(|one| needs::of(*one).memory_mib).sum();
    let wanted = asked.memory_mib.unwrap_or(needs);
    let (found, verdict) = match machine.memory_mib {
        None => ("not known".to_owned(), Verdict::Warn),
        Some(has) if has >= wanted => (format!("{has} MiB"), Verdict::Ok),
        Some(has) if asked.memory_mib.is_some() => (format!("{has} MiB"), Verdict::Fail),
        // Less than a quarter starts no service of them.
        Some(has) if has < needs / 4 => (format!("{has} MiB"), Verdict::Fail),
        Some(has) => (format!("{has} MiB"), Verdict::Warn),
    };
    row("memory", found, format!("{wanted} MiB"), verdict, "carry fewer components here, or give it more memory")
}

/// Whether the Mesos agent can give its tasks volumes.
fn volumes(machine: &Machine) -> Vec<Row> {
    const ISOLATION: &str = "Mesos isolation";
    const WANTED: &str = "docker/volume and filesystem/linux, with the launcher linux";
    let Some((agent, dvdcli)) = &machine.mesos else {
        let mend = "start the Mesos agent; without one no task asks for a volume here";
        return vec![row(ISOLATION, "no Mesos agent runs here", WANTED, Verdict::Warn, mend)];
    };
    let found = agent.isolation.clone().unwrap_or_else(|| "not said".to_owned());
    let isolation = match agent.judge() {
        Ok(()) => row(ISOLATION, found, WANTED, Verdict::Ok, ""),
        Err(missing) => row(
            ISOLATION,
            found,
            WANTED,
            Verdict::Warn,
            format!(
                "it lacks {missing}: the rollout adds it once dvdcli is there, unless volumes.mesos_flags is \"leave\"; then add it to what --isolation has (packages keep that in /etc/mesos-slave/isolation), and restart the Mesos agent"
            ),
        ),
    };
    let dvdcli = match dvdcli {
        Some(path) => row("dvdcli", path, "on the PATH of the Mesos agent", Verdict::Ok, ""),
        None => row(
            "dvdcli",
            "not there",
            "on the PATH of the Mesos agent",
            Verdict::Warn,
            "the rollout brings it; with docker/volume a Mesos agent does not start without it",
        ),
    };
    vec![isolation, dvdcli]
}

#[cfg(test)]
mod tests;

//! MDMs on hosts, from bare ones to a cluster, as `scli` on each host shows
//! and changes them: one truth that several hosts see.
//!
//! It keeps the product's rules and refuses in its words. It is strict where
//! the product's manners are not known: a member that does not lead answers
//! nothing, a session is asked for, and each option must be spelled as it was
//! seen in use.

mod command;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use super::world::{MdmRole, Seated};

/// How scli ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its status.
    pub status: i32,
    /// What it wrote.
    pub text: String,
}

/// A host with an MDM.
#[derive(Clone, Debug)]
struct Station {
    is_manager: bool,
    is_up: bool,
    /// The cluster it belongs to, as it knows itself.
    bound: Option<usize>,
}

/// A member of a cluster, or one that stands by.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    id: u64,
    ips: Vec<String>,
    /// For people and gateways; empty: they come as others do.
    management_ips: Vec<String>,
    is_manager: bool,
    votes: bool,
    /// Interfaces for the virtual addresses.
    interfaces: Vec<String>,
}

impl Member {
    /// Where people and gateways find it.
    fn managed_at(&self) -> &[String] {
        if self.management_ips.is_empty() { &self.ips } else { &self.management_ips }
    }
}

/// A cluster.
#[derive(Clone, Debug, Default)]
struct Cluster {
    name: Option<String>,
    password: String,
    /// The first one must be changed before anything else.
    is_first_password: bool,
    members: Vec<Member>,
    /// The number of the member that leads.
    master: u64,
    licence: Option<String>,
    /// Addresses that whoever leads has.
    virtual_ips: Vec<String>,
}

/// All hosts and clusters.
#[derive(Clone, Debug, Default)]
pub struct Landscape {
    stations: BTreeMap<String, Station>,
    /// Other addresses of hosts, each with the one of its station.
    also_at: BTreeMap<String, String>,
    clusters: Vec<Cluster>,
    /// Hosts whose user is logged in, each with the cluster.
    sessions: BTreeSet<(String, usize)>,
    ids: u64,
    /// Commands that changed something, in order.
    pub changes: Vec<String>,
}

/// A no of the MDM.
fn refuse(text: &str) -> Ended {
    Ended { status: 7, text: format!("Error: MDM failed command.  Status: {text}\n") }
}

fn good(text: impl Into<String>) -> Ended {
    Ended { status: 0, text: text.into() }
}

fn nobody(at: &str) -> Ended {
    Ended { status: 1, text: format!("Error: Failed to connect to MDM {at}\n") }
}

impl Landscape {
    /// The package of an MDM was installed on a host and its service started. A host that has one keeps what it is.
    pub fn install(&mut self, ip: &str, is_manager: bool) {
        let station = Station { is_manager, is_up: true, bound: None };
        self.stations.entry(ip.to_owned()).or_insert(station).is_up = true;
        self.elect();
    }

    /// A host has other addresses too.
    pub fn is_also_at(&mut self, ip: &str, others: &[String]) {
        self.also_at.extend(others.iter().filter(|other| *other != ip).map(|other| (other.clone(), ip.to_owned())));
    }

    /// The address under which a host is known here.
    fn home<'a>(&'a self, ip: &'a str) -> &'a str {
        self.also_at.get(ip).map_or(ip, |home| home)
    }

    fn station(&self, ip: &str) -> Option<&Station> {
        self.stations.get(self.home(ip))
    }

    fn station_mut(&mut self, ip: &str) -> Option<&mut Station> {
        let home = self.home(ip).to_owned();
        self.stations.get_mut(&home)
    }

    /// Whether the host's MDM runs.
    pub fn is_up(&self, ip: &str) -> bool {
        self.station(ip).is_some_and(|station| station.is_up)
    }

    /// A host's MDM ends or starts. What it belongs to stays.
    pub fn power(&mut self, ip: &str, is_up: bool) {
        if let Some(station) = self.station_mut(ip) {
            station.is_up = is_up;
        }
        self.elect();
    }

    /// A host is gone for good, with all it knew.
    pub fn lose(&mut self, ip: &str) {
        self.stations.remove(ip);
        self.elect();
    }

    /// A host without a cluster gets the other role.
    pub fn set_role(&mut self, ip: &str, is_manager: bool) {
        if let Some(station) = self.station_mut(ip) {
            station.is_manager = is_manager;
        }
    }

    /// Whether the first cluster was given a licence.
    pub fn is_licensed(&self) -> bool {
        self.clusters.first().is_some_and(|cluster| cluster.licence.is_some())
    }

    /// The virtual addresses of the first cluster.
    pub fn virtual_ips(&self) -> Vec<String> {
        self.clusters.first().map(|cluster| cluster.virtual_ips.clone()).unwrap_or_default()
    }

    /// The name and the members of the first cluster. The members that vote come first, as they were seated.
    pub fn seated(&self) -> (Option<String>, Vec<Seated>) {
        let Some(cluster) = self.clusters.first() else { return (None, Vec::new()) };
        let leads = self.leads(0);
        let seated = |member: &Member| Seated {
            name: member.name.clone(),
            role: if member.is_manager { MdmRole::Manager } else { MdmRole::TieBreaker },
            ips: member.ips.clone(),
            management_ips: member.managed_at().to_vec(),
            standby: !member.votes,
            up: self.up(member),
            leads: leads && member.id == cluster.master,
            version: String::new(),
        };
        let (voting, others): (Vec<&Member>, Vec<&Member>) = cluster.members.iter().partition(|member| member.votes);
        (cluster.name.clone(), voting.into_iter().chain(others).map(seated).collect())
    }

    /// The password of a cluster's administrator, by way of a host of it.
    pub fn password(&self, ip: &str) -> Option<&str> {
        let number = self.station(ip)?.bound?;
        self.clusters.get(number).map(|cluster| cluster.password.as_str())
    }

    /// How many clusters there are.
    pub const fn clusters(&self) -> usize {
        self.clusters.len()
    }

    /// What the cluster of a host tells, whoever asks; none: it has none, or nobody leads it.
    pub fn told(&self, ip: &str) -> Option<String> {
        let number = self.station(ip)?.bound?;
        self.leads(number).then(|| self.shown(number))
    }

    fn up(&self, member: &Member) -> bool {
        member.ips.iter().any(|ip| self.is_up(ip))
    }

    /// Managers that are up take over from one that is not, while most members are there.
    fn elect(&mut self) {
        for number in 0..self.clusters.len() {
            let Some(cluster) = self.clusters.get(number) else { continue };
            let voters: Vec<&Member> = cluster.members.iter().filter(|member| member.votes).collect();
            let up = voters.iter().filter(|member| self.up(member)).count();
            let master_is_up = voters.iter().any(|member| member.id == cluster.master && self.up(member));
            let next = voters.iter().find(|member| member.is_manager && self.up(member)).map(|member| member.id);
            if up * 2 > voters.len()
                && !master_is_up
                && let Some(next) = next
                && let Some(cluster) = self.clusters.get_mut(number)
            {
                cluster.master = next;
            }
        }
    }

    /// Whether a cluster answers: somebody leads, and most members are there.
    fn leads(&self, number: usize) -> bool {
        let Some(cluster) = self.clusters.get(number) else { return false };
        let voters: Vec<&Member> = cluster.members.iter().filter(|member| member.votes).collect();
        let up = voters.iter().filter(|member| self.up(member)).count();
        up * 2 > voters.len() && voters.iter().any(|member| member.id == cluster.master && self.up(member))
    }

    /// Runs scli on a host. `typed` is what is typed at its prompts, in order.
    pub fn scli(&mut self, from: &str, argv: &[&str], typed: &[&str]) -> Ended {
        let Some((verb, options)) = command::parse(argv) else {
            return Ended { status: 1, text: "usage: scli --COMMAND ...\n".to_owned() };
        };
        let target = match self.target(from, options.get("mdm_ip").map(String::as_str)) {
            Ok(target) => target,
            Err(ended) => return ended,
        };
        let before = self.changes.len();
        let ended = self.command(from, target, verb, &options, typed);
        if ended.status != 0 {
            self.changes.truncate(before);
        }
        ended
    }

    /// Whose word it is: a cluster by its leading member, or the free MDM of the host itself.
    fn target(&self, from: &str, asked: Option<&str>) -> Result<Option<usize>, Ended> {
        let asked: Vec<&str> = asked.map_or_else(|| vec![from], |list| list.split(',').collect());
        let mut last = nobody(&asked.join(","));
        for ip in asked {
            let Some(station) = self.station(ip).filter(|station| station.is_up) else { continue };
            match station.bound {
                None if ip == from => return Ok(None),
                None => last = refuse("This MDM is not attached to a system."),
                Some(number) if self.is_master(number, ip) => return Ok(Some(number)),
                Some(_) => last = refuse("This command is not supported on the Standby MDM"),
            }
        }
        Err(last)
    }

    fn is_master(&self, number: usize, ip: &str) -> bool {
        let master = self
            .clusters
            .get(number)
            .and_then(|cluster| cluster.members.iter().find(|member| member.id == cluster.master));
        self.leads(number) && master.is_some_and(|master| master.ips.iter().any(|own| own == ip))
    }
}

#[cfg(test)]
mod tests;

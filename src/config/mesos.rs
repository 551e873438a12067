//! How `[mesos]` is read: where the masters are, and as whom we stand there.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use super::section::{Complaint, Section, complain};
use super::system::{login, read_password, trust};
use super::{Login, Secret, Trust};

/// `[mesos]`: the cluster whose agents carry ScaleIO.
#[derive(Clone, Debug)]
pub struct Mesos {
    /// Its name in metrics and mails.
    pub cluster: String,
    /// Where its masters are found.
    pub masters: Masters,
    /// How masters prove who they are, where they speak https.
    pub trust: Trust,
    /// The principal and its secret, where masters ask for them.
    pub login: Option<Login>,
    /// Our name on the masters' page.
    pub name: String,
    /// The user under which the executor runs; it installs packages.
    pub user: String,
    /// Roles whose offers we take.
    pub roles: Vec<String>,
    /// How long the masters keep our tasks without us.
    pub failover_timeout: Duration,
    /// Where people reach our page.
    pub webui_url: Option<String>,
    /// What an executor takes of an agent.
    pub executor_cpus: f64,
    /// In MB.
    pub executor_mem: f64,
}

/// Where masters are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Masters {
    /// Any of them tells who leads.
    Addresses(Vec<MasterUrl>),
    /// They write into ZooKeeper who leads.
    ZooKeeper(MastersInZooKeeper),
}

/// The place in ZooKeeper where masters stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MastersInZooKeeper {
    /// `host:port,host:port`.
    pub servers: String,
    /// The folder, such as `/mesos`.
    pub path: String,
    /// `user:password` of the digest scheme.
    pub auth: Option<Hidden>,
    /// Whether the masters found there speak https.
    pub tls: bool,
}

/// A secret that can be compared with itself when settings are compared.
#[derive(Clone, Debug)]
pub struct Hidden(pub Secret);

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.0.reveal() == other.0.reveal()
    }
}

impl Eq for Hidden {}

/// The address of a master, without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterUrl {
    /// Whether it speaks https.
    pub tls: bool,
    /// `host:port`.
    pub address: String,
}

impl fmt::Display for MasterUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.address)
    }
}

/// A week: longer than any repair of the controller's host.
const DEFAULT_FAILOVER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Shorter, and an upgrade of the controller that goes wrong ends every executor.
const SHORTEST_FAILOVER: Duration = Duration::from_secs(10 * 60);
/// Longer than Mesos can count in nanoseconds would be refused there.
const LONGEST_FAILOVER: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);
/// The executor sleeps nearly always.
const DEFAULT_CPUS: f64 = 0.1;
/// In MB; the executor itself needs about 15.
const DEFAULT_MEM: f64 = 64.0;
const DEFAULT_PORT: u16 = 5050;

pub(super) fn read(mut section: Section<'_>) -> Option<Mesos> {
    let mend = "write [\"http://MASTER:5050\"], or [\"zk://HOST:2181/mesos\"]";
    let masters = section.require("masters", mend, |found| parse_masters(&found.list()?));
    let auth = section.take("zookeeper_auth_file", zookeeper_auth);
    let zookeeper_tls = section.take("masters_speak_https", |found| found.flag());
    let tame = |found: &super::section::Found<'_>| {
        let text = found.text()?;
        let is_tame =
            !text.is_empty() && text.len() <= 63 && !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if is_tame {
            Ok(text.to_owned())
        } else {
            Err(complain(format!("{text:?} is no name"), "write up to 63 letters without spaces"))
        }
    };
    let cluster = section.take("cluster", tame);
    let name = section.take("name", tame);
    let user = section.take("user", tame);
    let roles = section.take("roles", |found| parse_roles(&found.list()?));
    let failover_timeout = section.take("failover_timeout", |found| match found.duration()? {
        short if short < SHORTEST_FAILOVER => {
            Err(complain("shorter than 10m, so that a restart that takes longer ends all executors", "write \"7d\""))
        }
        long if long > LONGEST_FAILOVER => Err(complain("longer than five years", "write \"7d\"")),
        some => Ok(some),
    });
    let webui_url = section.take("webui_url", |found| {
        let text = found.text()?;
        match url::Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(text.to_owned()),
            _ => Err(complain(format!("{text:?} is no address of a page"), "write https://HOST/")),
        }
    });
    let executor_cpus = section.take("executor_cpus", |found| match found.decimal()? {
        some if (0.01..=64.0).contains(&some) => Ok(some),
        _ => Err(complain("not between 0.01 and 64", "write 0.1")),
    });
    let executor_mem = section.take("executor_mem", |found| match found.decimal()? {
        some if (32.0..=65536.0).contains(&some) => Ok(some),
        _ => Err(complain("not between 32 and 65536 MB", "write 64")),
    });
    let trust = trust(&mut section);
    let said_login = section.optional_section("login");
    let login_said = said_login.is_some();
    let login = said_login.and_then(login);
    let masters = masters.map(|masters| match masters {
        Masters::ZooKeeper(place) => {
            Masters::ZooKeeper(MastersInZooKeeper { auth: auth.clone(), tls: zookeeper_tls.unwrap_or(false), ..place })
        }
        addresses @ Masters::Addresses(_) => {
            for key in ["zookeeper_auth_file", "masters_speak_https"] {
                if section.said(key) {
                    section.note(key, complain("it is for masters that are found in ZooKeeper", "leave it out"));
                }
            }
            addresses
        }
    });
    section.finish();
    if login_said && login.is_none() {
        return None;
    }
    Some(Mesos {
        cluster: cluster.unwrap_or_else(|| "mesos".to_owned()),
        masters: masters?,
        trust,
        login,
        name: name.unwrap_or_else(|| "scaleio".to_owned()),
        user: user.unwrap_or_else(|| "root".to_owned()),
        roles: roles.unwrap_or_else(|| vec!["scaleio".to_owned()]),
        failover_timeout: failover_timeout.unwrap_or(DEFAULT_FAILOVER),
        webui_url,
        executor_cpus: executor_cpus.unwrap_or(DEFAULT_CPUS),
        executor_mem: executor_mem.unwrap_or(DEFAULT_MEM),
    })
}

/// Reads a file that holds `USER:PASSWORD`.
pub(super) fn zookeeper_auth(found: &super::section::Found<'_>) -> Result<Hidden, Complaint> {
    let secret = read_password(&found.path()?).map_err(|(what, mend)| complain(what, mend))?;
    if !secret.reveal().contains(':') {
        return Err(complain("the file holds no USER:PASSWORD", "write both into it, with a colon between them"));
    }
    Ok(Hidden(secret))
}

/// The rules of Mesos for the name of a role.
fn parse_roles(texts: &[&str]) -> Result<Vec<String>, Complaint> {
    if texts.is_empty() {
        return Err(complain("the list is empty", "write [\"scaleio\"], or [\"*\"] for what belongs to nobody"));
    }
    for role in texts {
        let parts_are_well = role.split('/').all(|part| !part.is_empty() && !matches!(part, "." | ".."));
        let is_tame = !role.starts_with('-') && !role.chars().any(|c| c.is_whitespace() || c.is_control());
        let is_star = *role == "*" || !role.contains('*');
        if !(parts_are_well && is_tame && is_star) {
            return Err(complain(format!("{role:?} is no role of Mesos"), "write a name such as \"scaleio\""));
        }
    }
    Ok(texts.iter().map(|role| (*role).to_owned()).collect())
}

fn parse_masters(texts: &[&str]) -> Result<Masters, Complaint> {
    let form = "write [\"http://MASTER:5050\"], or [\"zk://HOST:2181/mesos\"]";
    match texts {
        [] => Err(complain("the list is empty", form)),
        [one] if one.starts_with("zk://") => {
            let (servers, path) = parse_zookeeper(one)?;
            Ok(Masters::ZooKeeper(MastersInZooKeeper { servers, path, auth: None, tls: false }))
        }
        several if several.iter().any(|text| text.starts_with("zk://")) => Err(complain(
            "a zk:// address stands among others",
            "write it alone; its own hosts are separated by commas",
        )),
        several => several.iter().map(|text| parse_master(text)).collect::<Result<_, _>>().map(Masters::Addresses),
    }
}

/// Reads `zk://HOST:PORT,HOST:PORT/PATH` into servers and path. A password in it is refused: what is
/// written there is shown in logs and pages.
pub(super) fn parse_zookeeper(text: &str) -> Result<(String, String), Complaint> {
    let form = "write \"zk://HOST:2181,HOST:2181/mesos\"";
    if text.contains('@') {
        let mend = "write USER:PASSWORD into a file of mode 0600 and name it as zookeeper_auth_file";
        return Err(complain("the address holds a user or a password", mend));
    }
    let Some(rest) = text.strip_prefix("zk://") else {
        return Err(complain(format!("{text:?} does not begin with zk://"), form));
    };
    let (servers, path) = match rest.split_once('/') {
        Some((servers, path)) if !path.trim_matches('/').is_empty() => {
            (servers, format!("/{}", path.trim_matches('/')))
        }
        _ => return Err(complain(format!("{text:?} names no folder after its hosts"), form)),
    };
    let servers: Vec<String> = servers
        .split(',')
        .map(|host| with_port(host, 2181))
        .collect::<Option<_>>()
        .ok_or_else(|| complain(format!("{text:?} holds something that is no host with a port"), form))?;
    Ok((servers.join(","), path))
}

fn with_port(host: &str, port: u16) -> Option<String> {
    let parsed = url::Url::parse(&format!("http://{host}")).ok()?;
    let is_plain = parsed.path() == "/" && parsed.query().is_none() && parsed.username().is_empty();
    let port = parsed.port().unwrap_or(if host.ends_with(":80") { 80 } else { port });
    is_plain.then_some(format!("{}:{port}", parsed.host_str()?))
}

fn parse_master(text: &str) -> Result<MasterUrl, Complaint> {
    let shown = if text.contains('@') { "the address".to_owned() } else { format!("{text:?}") };
    let no = |what: &str| Err(complain(format!("{shown} {what}"), "write http://HOST:5050 or https://HOST:5050"));
    let Some((scheme, host)) = text.split_once("://") else { return no("has no http:// or https:// before it") };
    if host.contains('@') {
        return no("holds a user or a password, which belong under [mesos.login]");
    }
    let tls = match scheme {
        "https" => true,
        "http" => false,
        _ => return no("is no address of a master"),
    };
    match with_port(host.trim_end_matches('/'), DEFAULT_PORT) {
        Some(address) => Ok(MasterUrl { tls, address }),
        None => no("is no host with a port"),
    }
}

/// Where Mesos keeps what a task writes; it is thrown away with the task.
pub fn is_in_sandbox(path: &Path, variables: impl Fn(&str) -> Option<String>) -> bool {
    ["MESOS_SANDBOX", "MESOS_DIRECTORY"]
        .iter()
        .filter_map(|name| variables(name))
        .filter(|folder| !folder.is_empty())
        .any(|folder| path.is_relative() || path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_read_as_addresses_or_as_one_place_in_zookeeper() {
        let Ok(Masters::Addresses(found)) = parse_masters(&["http://m1", "https://m2:5051/", "http://[::1]:80"]) else {
            panic!()
        };
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["http://m1:5050", "https://m2:5051", "http://[::1]:80"]);
        let Ok(Masters::ZooKeeper(place)) = parse_masters(&["zk://a,b:2182/mesos/"]) else { panic!() };
        assert_eq!((&*place.servers, &*place.path), ("a:2181,b:2182", "/mesos"));
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_its_password() {
        for (bad, told) in [
            (&[][..], "the list is empty"),
            (&["m1:5050"][..], "has no http:// or https:// before it"),
            (&["ftp://m1"][..], "is no address of a master"),
            (&["http://m1/path"][..], "is no host with a port"),
            (&["http://me:hunter2@m1"][..], "the address holds a user or a password, which belong under [mesos.login]"),
            (&["zk://me:hunter2@a/mesos"][..], "the address holds a user or a password"),
            (&["zk://a:2181"][..], "names no folder"),
            (&["zk://a b/mesos"][..], "holds something that is no host"),
            (&["zk://a/mesos", "http://m1"][..], "stands among others"),
        ] {
            let complaint = parse_masters(bad).unwrap_err();
            assert!(complaint.what.contains(told), "{bad:?}: {}", complaint.what);
            assert!(!format!("{complaint:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_sandbox_is_known_by_what_mesos_tells_a_task() {
        let task = |name: &str| (name == "MESOS_SANDBOX").then(|| "/mnt/mesos/sandbox".to_owned());
        assert!(is_in_sandbox(Path::new("/mnt/mesos/sandbox/state.db"), task));
        assert!(is_in_sandbox(Path::new("state.db"), task));
        assert!(!is_in_sandbox(Path::new("/var/lib/sio/state.db"), task));
        assert!(!is_in_sandbox(Path::new("state.db"), |_| None));
    }
}

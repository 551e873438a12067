//! What does our configuration say of the same? The TOML, with a word on
//! everything that changes and everything that was left out. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::read::Seed;
use crate::fleet::attributes;
use crate::model::id::SystemId;
use crate::model::mesos::AttributeValue;

/// The states that an operator of the original had to know by number.
const STATES: [(&str, &str); 11] = [
    ("0", "Unknown"),
    ("1", "CleanPrereqsReboot"),
    ("2", "PrerequisitesInstalled"),
    ("3", "BasePackagedInstalled"),
    ("4", "InitializeCluster"),
    ("5", "AddResourcesToScaleIO"),
    ("6", "InstallRexRay"),
    ("7", "CleanInstallReboot"),
    ("8", "SystemReboot"),
    ("2048", "UpgradeCluster"),
    ("4096", "FatalInstall"),
];
const FINISHED: &str = "1024";

/// Flags that have no like here, and why not.
const LEFT: [(&str, &str); 13] = [
    ("rest.port", "the port is that of web.listen; under Marathon $PORT0"),
    ("rest.address", "agents ask at the address of the controller that their certificate was made for"),
    ("debug", "plans are looked at with sio plan before anything is done"),
    ("executor.cpu", "an executor only starts the agent: mesos.executor_cpus"),
    ("executor.mem", "an executor only starts the agent: mesos.executor_mem"),
    ("executor.altpath", "the executor is this program itself"),
    ("hostname", "the id of the framework is kept in the store, not the host's name"),
    ("scaleio.apiversion", "the release is asked of the gateway"),
    ("scaleio.clusterid", "the system is the one that the gateway has"),
    ("rexray", "volumes for tasks are not set up by this release"),
    ("isolator", "volumes for tasks are not set up by this release"),
    ("aws", "disks of a cloud are not added by this release"),
    ("store.", "entries are not changed by hand"),
];

/// Writes it.
pub(super) fn configuration(seed: &Seed) -> String {
    let mut writer = Writer { seed, text: String::new(), used: BTreeSet::new() };
    writer.head();
    writer.log();
    writer.store();
    writer.alerts();
    writer.mesos();
    writer.system();
    writer.left();
    writer.nodes();
    writer.text
}

struct Writer<'a> {
    seed: &'a Seed,
    text: String,
    used: BTreeSet<&'static str>,
}

impl Writer<'_> {
    fn say(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A remark; what came from elsewhere must not end it.
    fn remark(&mut self, text: &str) {
        let text: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        self.say(&format!("# {text}"));
    }

    fn set(&mut self, key: &str, value: impl Into<toml::Value>) {
        let value = value.into();
        // A value of TOML cannot fail to be written, but for what a table may not be.
        let _ = writeln!(self.text, "{key} = {value}");
    }

    fn flag(&mut self, name: &'static str) -> Option<String> {
        self.used.insert(name);
        let value = self.seed.flags.get(name)?.trim();
        // An example that nobody filled in, and a variable that nobody can know.
        (!value.is_empty() && !value.starts_with('[') && !value.contains('$')).then(|| value.to_owned())
    }

    fn head(&mut self) {
        self.remark(
            "Written by sio import. Read it, put the passwords into their files, and run: sio check, sio doctor",
        );
    }

    fn log(&mut self) {
        let level = self.flag("loglevel").map(|level| level.to_lowercase());
        let level = level.and_then(|level| match level.as_str() {
            "fatal" | "panic" | "error" => Some("error"),
            "warn" | "warning" => Some("warn"),
            "debug" => Some("debug"),
            _ => None,
        });
        if let Some(level) = level {
            self.say("\n[log]");
            self.set("level", level);
        }
    }

    fn store(&mut self) {
        let kind = self.flag("store.type").unwrap_or_else(|| "zk".to_owned());
        let servers = self.flag("store.uri");
        match (kind.as_str(), servers) {
            ("zk", Some(servers)) => {
                let servers = servers.trim_start_matches("zk://");
                let servers = servers.split('/').next().unwrap_or_default();
                self.say("\n[store]");
                self.remark(
                    "In the same ZooKeeper, in a folder of its own; the original's entries stay what they are.",
                );
                self.set("zookeeper", format!("zk://{servers}/sio"));
            }
            ("zk", None) => {
                self.remark(
                    "The original took its ZooKeeper from /etc/mesos/zk. Under Marathon set [store] zookeeper to it,",
                );
                self.remark("with another folder: zk://HOST:2181/sio. On one host the SQLite file needs nothing.");
            }
            (other, _) => {
                self.remark(&format!("The state was in {other}; here it is in SQLite on one host, or in ZooKeeper."))
            }
        }
    }

    fn alerts(&mut self) {
        let Some(threshold) = self.flag("aws.threshold").and_then(|text| text.parse::<f64>().ok()) else { return };
        if threshold > 0.0 && threshold < 100.0 {
            self.say("\n[alerts.thresholds]");
            self.remark("The original added disks of EC2 beyond this use; here people are told.");
            let critical = threshold / 100.0;
            self.set("pool_critical", critical);
            self.set("pool_high", (critical - 0.1).max(0.05));
        }
    }

    fn mesos(&mut self) {
        self.say("\n[mesos]");
        match self.flag("uri") {
            Some(uri) => {
                let uri = uri.trim_start_matches("http://");
                let host = uri.split('/').next().unwrap_or_default();
                self.remark("Any master tells who leads; name all of them, or zk://HOST:2181/mesos.");
                self.set("masters", vec![format!("http://{host}")]);
            }
            None => {
                self.remark("Name the masters: the flag -uri was not there.");
                self.set("masters", vec!["http://master.example.com:5050"]);
            }
        }
        if let Some(user) = self.flag("user") {
            self.set("user", user);
        }
        self.remark("The original never sent its role to Mesos, so it got what belongs to nobody.");
        self.set("roles", vec!["*"]);
        self.used.insert("role");
    }

    /// The name of the system in our words.
    fn name(&mut self) -> String {
        let told = self.flag("scaleio.clustername").unwrap_or_default().to_lowercase();
        let name: String =
            told.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).take(63).collect();
        let name = name.trim_matches('-').to_owned();
        if name.is_empty() { "scaleio".to_owned() } else { name }
    }

    fn system(&mut self) {
        let name = self.name();
        let preconfigured: Vec<String> = [
            self.flag("scaleio.preconfig.primary"),
            self.flag("scaleio.preconfig.secondary"),
            self.flag("scaleio.preconfig.tiebreaker"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let gateway =
            [self.flag("scaleio.lbgateway"), self.flag("scaleio.preconfig.gateway"), preconfigured.first().cloned()];
        let gateways: Vec<String> = gateway.into_iter().flatten().take(1).map(|host| address(&host)).collect();
        self.say(&format!("\n[systems.{name}]"));
        if gateways.is_empty() {
            self.remark("Name its gateways; the original ran them on the hosts of its MDMs.");
            self.set("gateways", vec!["https://gateway.example.com"]);
        } else {
            self.remark("The original knew one gateway. Name the others too: they are tried in this order.");
            self.set("gateways", gateways);
        }
        self.remark(
            "The original took any certificate. sio init shows the gateway's; set pin = \"...\" or ca_file = \"...\".",
        );
        self.say(&format!("\n[systems.{name}.monitor]"));
        if self.flag("scaleio.password").is_some() {
            self.remark(
                "The password in the flags was not copied: everybody who could reach the original could read it,",
            );
            self.remark("and it was that of the MDM, the gateway and the LIA at once. Change it.");
        }
        self.remark("A user with the role Monitor is enough.");
        self.set("user", "sio-monitor");
        self.set("password_file", format!("{name}.password"));
        self.rollout(&name, preconfigured.len());
    }

    fn rollout(&mut self, name: &str, preconfigured: usize) {
        let seed = self.seed;
        self.say(&format!("\n[systems.{name}.rollout]"));
        let imperative = seed.agents.values().any(|attributes| {
            attributes.keys().any(|name| name.starts_with("scaleio-sds-") || name.starts_with("scaleio-sdc-"))
        });
        if imperative {
            self.remark("Agents say by attributes what they carry; those without any are as in one pool.");
            self.set("topology", "attributes");
        } else {
            self.remark("Every free disk of every agent, as by default before.");
            self.set("topology", "one_pool");
        }
        let or_default = |text: Option<String>| text.unwrap_or_else(|| "default".to_owned());
        let domain = or_default(self.flag("scaleio.protectiondomain"));
        let pool = or_default(self.flag("scaleio.storagepool"));
        self.set("domain", domain);
        self.set("pool", pool);
        let experimental = self.flag("experimental").is_some_and(|word| word != "false");
        let kept =
            ["primary", "secondary", "tiebreaker"].map(|role| seed.store.get(role).filter(|host| !host.is_empty()));
        match (preconfigured, kept) {
            (1.., _) => self.remark("The MDM cluster was there before; without [rollout.mdm] it is left alone."),
            (0, [Some(primary), Some(secondary), Some(tie)]) => {
                self.remark(&format!(
                    "The original made the MDM cluster: {primary}, {secondary}, and {tie} as tie-breaker."
                ));
                self.remark("It is there, so it is left alone; [rollout.mdm] would only be for a new one.");
            }
            (0, _) if experimental => {
                self.say(&format!("\n[systems.{name}.rollout.mdm]"));
                self.remark("The original was to make one of three, and has not written down that it did.");
                self.set("members", 3);
            }
            (0, _) => {}
        }
    }

    fn left(&mut self) {
        let packages = |name: &str| {
            ["scaleio.ubuntu14.", "scaleio.rhel7.", "scaleio.centos7."].iter().any(|start| name.starts_with(start))
        };
        let unused = |name: &str| !self.used.contains(name);
        let mut lines = Vec::new();
        for (name, value) in &self.seed.flags {
            let because = LEFT.iter().find(|(start, _)| name.starts_with(start)).map(|(_, because)| *because);
            match because {
                _ if packages(name) => {
                    lines.push(format!("{name}: packages are named with their SHA-256, and not fetched unseen"))
                }
                // What it was is not repeated: some are keys.
                Some(because) if unused(name) || name.starts_with("aws") => lines.push(format!("{name}: {because}")),
                None if unused(name) => lines.push(format!("{name}: unknown here")),
                _ if value.contains('$') || value.starts_with('[') => {
                    lines.push(format!("{name}: its value was not filled in"))
                }
                _ => {}
            }
        }
        if !lines.is_empty() {
            self.say("");
            self.remark("Not taken over:");
            lines.iter().for_each(|line| self.remark(&format!("  {line}")));
        }
    }

    /// What the nodes were, and what their attributes mean now.
    fn nodes(&mut self) {
        let mut lines = Vec::new();
        let mut states: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, value) in &self.seed.store {
            if let Some(host) = key.strip_suffix("/state") {
                states.insert(host, value);
            }
        }
        for (host, state) in states.into_iter().filter(|(_, state)| *state != FINISHED) {
            let name = STATES.iter().find(|(number, _)| *number == state).map_or("unknown", |(_, name)| name);
            lines.push(format!(
                "{host} was not finished: state {state} ({name}); what is on it is looked at, not believed"
            ));
        }
        let systems = BTreeSet::from([SystemId::new(&self.name())]);
        for (host, pairs) in &self.seed.agents {
            let attributes: BTreeMap<Box<str>, Vec<AttributeValue>> = pairs
                .iter()
                .map(|(name, value)| (name.as_str().into(), vec![AttributeValue::Text(value.as_str().into())]))
                .collect();
            match attributes::read(&attributes, &systems) {
                Ok(placement) => {
                    let consumed: Vec<&str> = placement.consumes.keys().map(|domain| &**domain).collect();
                    if !consumed.is_empty() {
                        lines.push(format!(
                            "{host} consumes {}: the original made a server of it by mistake; here it is a client only",
                            consumed.join(", ")
                        ));
                    }
                }
                Err(problems) => lines.extend(problems.iter().map(|problem| format!("{host}: {problem}"))),
            }
        }
        if !lines.is_empty() {
            self.say("");
            self.remark("Look at these nodes:");
            lines.iter().for_each(|line| self.remark(&format!("  {line}")));
        }
    }
}

/// The address of a gateway, which spoke https in the original too.
fn address(host: &str) -> String {
    let host = host.trim_start_matches("https://").trim_start_matches("http://");
    format!("https://{}", host.split('/').next().unwrap_or_default())
}

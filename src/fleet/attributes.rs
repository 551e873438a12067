//! What does an agent say of itself? The attributes of the original framework,
//! so that a cluster that has them needs no change, and a few more:
//!
//! | attribute | meaning |
//! |---|---|
//! | `scaleio-sds-domains` | protection domains it provides to, by commas |
//! | `scaleio-sds-DOMAIN` | storage pools in that domain |
//! | `scaleio-sds-POOL` | devices for that pool |
//! | `scaleio-sdc-domains`, `scaleio-sdc-DOMAIN` | what it consumes; never makes it a server |
//! | `scaleio-persona` | `primary`, `secondary`, `tiebreaker` or `data` |
//! | `scaleio-fault-set` | the fault set of its server |
//! | `scaleio-system` | which system, where there are several |
//! | `scaleio-ip-all` | addresses or networks of its server for all who use it |
//! | `scaleio-ip-sds-only`, `scaleio-ip-sdc-only` | for other servers, or for clients, alone |
//! | `scaleio-ip-management` | where people and gateways find its manager |

use std::collections::{BTreeMap, BTreeSet};

use crate::config::rollout::Networks;
use crate::model::id::SystemId;
use crate::model::mesos::AttributeValue;
use crate::model::network::Network;

/// Pools and the devices of each.
pub type Pools = BTreeMap<Box<str>, Vec<Box<str>>>;

/// What an agent asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The system it belongs to; none: the default one.
    pub system: Option<SystemId>,
    /// Domains, their pools, and the devices of each.
    pub provides: BTreeMap<Box<str>, Pools>,
    /// Domains and their pools.
    pub consumes: BTreeMap<Box<str>, BTreeSet<Box<str>>>,
    /// The fault set of its server.
    pub fault_set: Option<Box<str>>,
    /// Its part in the MDM cluster.
    pub persona: Option<Persona>,
    /// Which of its addresses are for what, where it says so itself.
    pub networks: Networks,
}

/// A part in the MDM cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Persona {
    Primary,
    Secondary,
    TieBreaker,
    Data,
}

type Attributes = BTreeMap<Box<str>, Vec<AttributeValue>>;

const OURS: &str = "scaleio-";

/// Reads all attributes of ours, or tells everything that is wrong with them.
pub fn read(attributes: &Attributes, systems: &BTreeSet<SystemId>) -> Result<Placement, Vec<String>> {
    let mut reader = Reader { attributes, used: BTreeSet::new(), problems: Vec::new() };
    let placement = Placement {
        system: reader.system(systems),
        provides: reader.provides(),
        consumes: reader.consumes(),
        fault_set: reader.text("scaleio-fault-set").map(Into::into),
        persona: reader.persona(),
        networks: reader.networks(),
    };
    reader.finish();
    if reader.problems.is_empty() { Ok(placement) } else { Err(reader.problems) }
}

struct Reader<'a> {
    attributes: &'a Attributes,
    used: BTreeSet<String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn text(&mut self, name: &str) -> Option<String> {
        self.used.insert(name.to_owned());
        let values = self.attributes.get(name)?;
        let mut texts: Vec<String> = values.iter().map(ToString::to_string).collect();
        texts.dedup();
        if let [one] = &texts[..] {
            return Some(one.clone());
        }
        self.problems.push(format!("attribute {name} is given as {}; keep one", texts.join(" and as ")));
        None
    }

    fn list(&mut self, name: &str) -> Vec<Box<str>> {
        let Some(text) = self.text(name) else { return Vec::new() };
        let items: Vec<&str> = text.split(',').map(str::trim).collect();
        if items.iter().any(|item| item.is_empty()) {
            self.problems.push(format!("attribute {name} has an empty item in {text:?}; leave out the extra comma"));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = items.iter().find(|item| !seen.insert(**item)) {
            self.problems.push(format!("attribute {name} names {twice} twice; keep one"));
        }
        items.into_iter().filter(|item| !item.is_empty()).map(Into::into).collect()
    }

    fn system(&mut self, systems: &BTreeSet<SystemId>) -> Option<SystemId> {
        let name = self.text("scaleio-system")?;
        let system = SystemId::new(&name);
        if !systems.contains(&system) {
            let known: Vec<&str> = systems.iter().map(SystemId::as_str).collect();
            let known = known.join(", ");
            self.problems.push(format!("attribute scaleio-system names {name:?}; configured are: {known}"));
        }
        Some(system)
    }

    fn persona(&mut self) -> Option<Persona> {
        let word = self.text("scaleio-persona")?;
        match word.as_str() {
            "primary" => Some(Persona::Primary),
            "secondary" => Some(Persona::Secondary),
            "tiebreaker" => Some(Persona::TieBreaker),
            "data" => Some(Persona::Data),
            _ => {
                let mend = "write primary, secondary, tiebreaker or data";
                self.problems.push(format!("attribute scaleio-persona is {word:?}; {mend}"));
                None
            }
        }
    }

    fn networks(&mut self) -> Networks {
        let networks = Networks {
            data: self.within("scaleio-ip-all"),
            sds_only: self.within("scaleio-ip-sds-only"),
            sdc_only: self.within("scaleio-ip-sdc-only"),
            management: self.within("scaleio-ip-management"),
            ..Networks::default()
        };
        if let Some((what, mend)) = networks.flaw() {
            self.problems.push(format!("of attributes scaleio-ip-*: {what}; {mend}"));
        }
        networks
    }

    /// Addresses, or networks.
    fn within(&mut self, name: &str) -> Vec<Network> {
        let mut all = Vec::new();
        for text in self.list(name) {
            match text.parse() {
                Ok(network) => all.push(network),
                Err(error) => self.problems.push(format!("attribute {name} names {text:?}, which {error}")),
            }
        }
        all
    }

    fn provides(&mut self) -> BTreeMap<Box<str>, Pools> {
        let mut domains = BTreeMap::new();
        // A name of a pool says nothing of its domain: in two domains it would be one list of devices.
        let mut pool_of: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
        let mut device_of: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
        for domain in self.list("scaleio-sds-domains") {
            let mut pools = BTreeMap::new();
            for pool in self.list(&format!("scaleio-sds-{domain}")) {
                let attribute = format!("scaleio-sds-{pool}");
                if let Some(other) = pool_of.insert(pool.clone(), domain.clone()) {
                    self.problems.push(format!(
                        "pool {pool} is named for domain {other} and for domain {domain}, and {attribute} cannot say whose devices it lists; give the pools names of their own"
                    ));
                }
                let devices = self.list(&attribute);
                for device in &devices {
                    if !device.starts_with('/') {
                        self.problems
                            .push(format!("attribute {attribute} names {device:?}; write a path such as /dev/sdb"));
                    }
                    if let Some(other) = device_of.insert(device.clone(), pool.clone()).filter(|other| *other != pool) {
                        self.problems
                            .push(format!("device {device} is named for pool {other} and for pool {pool}; keep one"));
                    }
                }
                pools.insert(pool, devices);
            }
            domains.insert(domain, pools);
        }
        domains
    }

    fn consumes(&mut self) -> BTreeMap<Box<str>, BTreeSet<Box<str>>> {
        let domains = self.list("scaleio-sdc-domains");
        domains
            .into_iter()
            .map(|domain| {
                let pools = self.list(&format!("scaleio-sdc-{domain}")).into_iter().collect();
                (domain, pools)
            })
            .collect()
    }

    /// An attribute of ours that nothing refers to is a mistake in a name.
    fn finish(&mut self) {
        let unused: Vec<&str> = self
            .attributes
            .keys()
            .map(|name| &**name)
            .filter(|name| name.starts_with(OURS) && !self.used.contains(*name))
            .collect();
        for name in unused {
            let told = match name.strip_prefix("scaleio-sds-").or_else(|| name.strip_prefix("scaleio-sdc-")) {
                Some(rest) => {
                    format!("attribute {name} is for {rest}, which no other attribute names as domain or pool")
                }
                None => format!("attribute {name} is unknown; see docs/install.md for those that there are"),
            };
            self.problems.push(told);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        let mut all = Attributes::new();
        for (name, value) in pairs {
            all.entry((*name).into()).or_default().push(AttributeValue::Text((*value).into()));
        }
        all
    }

    fn of(pairs: &[(&str, &str)]) -> Result<Placement, Vec<String>> {
        read(&attributes(pairs), &[SystemId::new("prod")].into())
    }

    #[test]
    fn the_attributes_of_the_original_are_read_and_consumers_stay_consumers() {
        let placement = of(&[
            ("rack", "r1"),
            ("scaleio-sds-domains", "d1, d2"),
            ("scaleio-sds-d1", "p1,p2"),
            ("scaleio-sds-d2", "p3"),
            ("scaleio-sds-p1", "/dev/sdb,/dev/sdc"),
            ("scaleio-sds-p3", "/dev/sdd"),
            ("scaleio-sdc-domains", "d9"),
            ("scaleio-sdc-d9", "p9"),
            ("scaleio-persona", "tiebreaker"),
            ("scaleio-fault-set", "fs1"),
            ("scaleio-system", "prod"),
            ("scaleio-ip-all", "10.1.0.0/24, 10.2.0.7"),
            ("scaleio-ip-management", "192.168.0.0/16"),
        ])
        .unwrap();
        assert_eq!(placement.provides["d1"]["p1"], ["/dev/sdb".into(), "/dev/sdc".into()]);
        assert!(placement.provides["d1"]["p2"].is_empty());
        assert_eq!(placement.provides.keys().map(|domain| &**domain).collect::<Vec<_>>(), ["d1", "d2"]);
        assert!(placement.consumes["d9"].contains("p9"));
        let texts = |networks: &[Network]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&placement.networks.data), ["10.1.0.0/24", "10.2.0.7"]);
        assert_eq!(texts(&placement.networks.management), ["192.168.0.0/16"]);
        assert_eq!((placement.persona, placement.fault_set.as_deref()), (Some(Persona::TieBreaker), Some("fs1")));
        assert_eq!(of(&[("rack", "r1")]).unwrap(), Placement::default());
    }

    #[test]
    fn each_contradiction_is_told_with_its_mend() {
        for (bad, told) in [
            (&[("scaleio-system", "x")][..], "attribute scaleio-system names \"x\"; configured are: prod"),
            (&[("scaleio-persona", "king")][..], "attribute scaleio-persona is \"king\"; write primary"),
            (
                &[("scaleio-persona", "data"), ("scaleio-persona", "primary")][..],
                "is given as data and as primary; keep one",
            ),
            (&[("scaleio-sds-domain", "d1")][..], "attribute scaleio-sds-domain is for domain, which no other"),
            (&[("scaleio-rack", "1")][..], "attribute scaleio-rack is unknown"),
            (&[("scaleio-sds-domains", "d1,,d2")][..], "has an empty item"),
            (&[("scaleio-sds-domains", "d1,d1")][..], "names d1 twice"),
            (
                &[
                    ("scaleio-sds-domains", "d1,d2"),
                    ("scaleio-sds-d1", "p"),
                    ("scaleio-sds-d2", "p"),
                    ("scaleio-sds-p", "/dev/sdb"),
                ][..],
                "pool p is named for domain d1 and for domain d2",
            ),
            (
                &[
                    ("scaleio-sds-domains", "d"),
                    ("scaleio-sds-d", "p,q"),
                    ("scaleio-sds-p", "/dev/sdb"),
                    ("scaleio-sds-q", "/dev/sdb"),
                ][..],
                "device /dev/sdb is named for pool p and for pool q",
            ),
            (
                &[("scaleio-sds-domains", "d"), ("scaleio-sds-d", "p"), ("scaleio-sds-p", "sdb")][..],
                "write a path such as /dev/sdb",
            ),
            (&[("scaleio-ip-all", "bond0")][..], "scaleio-ip-all names \"bond0\", which is no network; write it as"),
            (&[("scaleio-ip-all", "10.1.0.5/24")][..], "write 10.1.0.0/24"),
            (&[("scaleio-ip-sds-only", "10.1.0.5")][..], "no address of a server is for clients"),
            (
                &[("scaleio-ip-all", "10.1.0.0/24"), ("scaleio-ip-sdc-only", "10.1.0.5")][..],
                "10.1.0.0/24 and 10.1.0.5 have addresses in common",
            ),
        ] {
            let problems = of(bad).unwrap_err().join("\n");
            assert!(problems.contains(told), "{bad:?}: {problems}");
        }
    }
}

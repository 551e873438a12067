//! Which master leads, as redirects and ZooKeeper tell it?

use std::fmt;

use super::MesosError;
use super::wire::MasterInfoWire;
use super::zookeeper;
use crate::config::{MasterUrl, Masters};

/// Masters may name each other in a circle while they elect.
const MAX_REDIRECTS: usize = 3;

/// Where to ask next for the leader.
#[derive(Debug)]
pub struct Finder {
    masters: Masters,
    /// What a master named, to be asked before the others.
    named: Option<MasterUrl>,
    redirects: usize,
    next: usize,
}

impl Finder {
    /// Knows only what the settings say.
    pub fn new(masters: Masters) -> Self {
        Self { masters, named: None, redirects: 0, next: 0 }
    }

    /// The master to try now: the one that was named last, else what ZooKeeper
    /// says, else the next of the list.
    pub async fn candidate(&mut self) -> Result<MasterUrl, MesosError> {
        if let Some(named) = self.named.take() {
            return Ok(named);
        }
        match &self.masters {
            Masters::ZooKeeper(place) => zookeeper::leader(place).await,
            Masters::Addresses(list) => {
                let candidate = list.get(self.next % list.len().max(1)).cloned();
                self.next = self.next.wrapping_add(1);
                candidate.ok_or_else(|| MesosError::NoLeader { why: "the list is empty".to_owned() })
            }
        }
    }

    /// A master sent us to another one.
    pub fn redirected(&mut self, from: &MasterUrl, location: &str) -> Result<(), MesosError> {
        self.redirects += 1;
        if self.redirects > MAX_REDIRECTS {
            self.redirects = 0;
            return Err(MesosError::NoLeader { why: format!("{from} and others name each other") });
        }
        let to = redirect_target(from, location).ok_or_else(|| MesosError::NoLeader {
            why: format!("{from} sends to {:?}", location.chars().take(200).collect::<String>()),
        })?;
        self.named = Some(to);
        Ok(())
    }

    /// A master took us.
    pub fn found(&mut self) {
        self.redirects = 0;
    }

    /// The one that was tried is of no use; whoever named it is no authority any more.
    pub fn failed(&mut self) {
        self.named = None;
        self.redirects = 0;
    }
}

/// Where a redirect leads: masters write `//host:port/path`, and what is ours
/// must not leave the encryption that was configured.
fn redirect_target(from: &MasterUrl, location: &str) -> Option<MasterUrl> {
    let (tls, rest) = match location.split_once("//") {
        Some(("", rest)) => (from.tls, rest),
        Some(("https:", rest)) => (true, rest),
        Some(("http:", rest)) if !from.tls => (false, rest),
        _ => return None,
    };
    let host = rest.split(['/', '?', '#']).next().filter(|host| !host.is_empty() && !host.contains('@'))?;
    let url = url::Url::parse(&format!("http://{host}")).ok()?;
    Some(MasterUrl { tls, address: format!("{}:{}", url.host_str()?, url.port().unwrap_or(5050)) })
}

/// The entry of the leader among the children of the masters' folder: the one
/// with the smallest number.
pub(super) fn leading(children: &[String]) -> Option<&str> {
    let numbered = children.iter().filter_map(|child| {
        let number: u64 = child.strip_prefix("json.info_")?.parse().ok()?;
        Some((number, child.as_str()))
    });
    numbered.min().map(|(_, child)| child)
}

/// Reads what a master wrote of itself.
pub(super) fn address_in(json: &[u8]) -> Result<String, String> {
    let info: MasterInfoWire = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let address = info.info().address.ok_or("it has no address")?;
    Ok(address.into())
}

/// Shown in errors.
impl fmt::Display for Finder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.masters {
            Masters::Addresses(list) => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                f.write_str(&list.join(", "))
            }
            Masters::ZooKeeper(place) => write!(f, "zk://{}{}", place.servers, place.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn master(text: &str) -> MasterUrl {
        let (scheme, address) = text.split_once("://").unwrap();
        MasterUrl { tls: scheme == "https", address: address.to_owned() }
    }

    #[test]
    fn a_redirect_keeps_the_scheme_and_never_leaves_encryption() {
        for (from, location, to) in [
            ("http://a:5050", "//127.0.0.1:6050/master/api/v1/scheduler", Some("http://127.0.0.1:6050")),
            ("https://a:5050", "//b:6050/", Some("https://b:6050")),
            ("http://a:5050", "https://b:1/x", Some("https://b:1")),
            ("https://a:5050", "http://b:1/x", None),
            ("http://a:5050", "//[::1]:5050/", Some("http://[::1]:5050")),
            ("http://a:5050", "//b", Some("http://b:5050")),
            ("http://a:5050", "/master/redirect", None),
            ("http://a:5050", "//user@b:1/", None),
            ("http://a:5050", "", None),
        ] {
            assert_eq!(redirect_target(&master(from), location), to.map(master), "{from} {location}");
        }
    }

    #[test]
    fn masters_that_name_each_other_are_not_followed_for_ever() {
        let mut finder = Finder::new(Masters::Addresses(vec![master("http://a:1"), master("http://b:1")]));
        let mut refused = 0;
        for _ in 0..8 {
            refused += usize::from(finder.redirected(&master("http://a:1"), "//b:1/").is_err());
        }
        assert_eq!(refused, 2);
    }

    #[tokio::test]
    async fn each_address_of_the_list_has_its_turn() {
        let mut finder = Finder::new(Masters::Addresses(vec![master("http://a:1"), master("http://b:1")]));
        let mut seen = Vec::new();
        for _ in 0..3 {
            seen.push(finder.candidate().await.unwrap().address);
        }
        finder.redirected(&master("http://a:1"), "//c:1/").unwrap();
        seen.push(finder.candidate().await.unwrap().address);
        seen.push(finder.candidate().await.unwrap().address);
        assert_eq!(seen, ["a:1", "b:1", "a:1", "c:1", "b:1"]);
    }

    #[test]
    fn the_smallest_number_leads_and_others_are_no_masters() {
        let children =
            ["log_replicas", "json.info_0000000012", "info_0000000001", "json.info_0000000007", "json.info_x"];
        let children = children.map(str::to_owned);
        assert_eq!(leading(&children), Some("json.info_0000000007"));
        assert_eq!(leading(&children[..1]), None);
    }

    #[test]
    fn a_master_is_where_its_address_says() {
        let json = br#"{"address":{"hostname":"m","ip":"10.0.0.1","port":6050},"capabilities":[{}],"ip":16777343,"port":5050}"#;
        assert_eq!(address_in(json).unwrap(), "10.0.0.1:6050");
        assert_eq!(address_in(br#"{"hostname":"m","port":5050}"#).unwrap(), "m:5050");
        assert!(address_in(b"{}").is_err() && address_in(b"").is_err());
    }
}

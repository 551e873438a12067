//! How `[systems.NAME.rollout.networks]` and `[systems.NAME.rollout.preflight]` are read: which address of a host is for
//! what, and how good the way between hosts must be.

use super::section::{Complaint, Found, Section, complain};
use crate::model::network::Network;

/// The MDM takes no more addresses of one server.
const MOST: usize = 8;

/// `[systems.NAME.rollout.networks]`: a host has one address in each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// Where a server is found by clients and by other servers.
    pub data: Vec<Network>,
    /// Where it is found by other servers alone.
    pub sds_only: Vec<Network>,
    /// Where it is found by clients alone.
    pub sdc_only: Vec<Network>,
    /// Where members of the MDM cluster are found; empty: where clients find servers.
    pub mdm: Vec<Network>,
    /// Where people and gateways find managers; empty: where others do.
    pub management: Vec<Network>,
    /// What becomes of an address that serves others than it shall.
    pub roles: Roles,
}

/// What becomes of an address of a server that is there already and serves others than it shall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Roles {
    /// It may serve more than before. Who is served by it still is.
    #[default]
    Widen,
    /// It serves those that it shall, and nobody else.
    Exact,
}

/// `[systems.NAME.rollout.preflight]`: what is asked of a node before it is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreflightLimits {
    /// The smallest MTU of its links and of the way to others; none: that of every network, and the way is not tried.
    pub mtu: Option<u32>,
    /// The slowest of its links, in Mbit/s; none: any.
    pub link_mbit: Option<u32>,
    /// How many servers are tried by each network.
    pub peers: u8,
}

impl Default for PreflightLimits {
    fn default() -> Self {
        // One may be sick just then.
        Self { mtu: None, link_mbit: None, peers: 2 }
    }
}

impl Networks {
    /// Whether they say where servers are found.
    pub const fn place_servers(&self) -> bool {
        !(self.data.is_empty() && self.sds_only.is_empty() && self.sdc_only.is_empty())
    }

    /// Where members of the MDM cluster are found by all others: every server is in these, and every client in some.
    pub fn of_mdm(&self) -> Vec<Network> {
        if self.mdm.is_empty() { self.data.iter().chain(&self.sdc_only).copied().collect() } else { self.mdm.clone() }
    }

    /// What contradicts itself in them, and the mend.
    pub fn flaw(&self) -> Option<(String, &'static str)> {
        let Self { data, sds_only, sdc_only, .. } = self;
        let of_servers: Vec<&Network> = data.iter().chain(sds_only).chain(sdc_only).collect();
        for (number, one) in of_servers.iter().enumerate() {
            if let Some(other) = of_servers.iter().skip(number + 1).find(|other| one.overlaps(other)) {
                return Some((
                    format!("{one} and {other} have addresses in common"),
                    "keep one of them, so that each address has one role",
                ));
            }
        }
        if of_servers.len() > MOST {
            return Some((format!("these are {} networks of a server", of_servers.len()), "keep at most 8"));
        }
        let (for_servers, for_clients) = (data.len() + sds_only.len(), data.len() + sdc_only.len());
        match (for_servers, for_clients) {
            (0, 0) => None,
            (0, _) => Some((
                "no address of a server is for other servers".to_owned(),
                "the MDM asks for one; add a network for all, or for servers",
            )),
            (_, 0) => Some((
                "no address of a server is for clients".to_owned(),
                "the MDM asks for one; add a network for all, or for clients",
            )),
            _ => None,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Networks {
    let mut take = |key| section.take(key, list).unwrap_or_default();
    let networks = Networks {
        data: take("data"),
        sds_only: take("sds_only"),
        sdc_only: take("sdc_only"),
        mdm: take("mdm"),
        management: take("management"),
        roles: Roles::default(),
    };
    let roles = section.take("roles", |found| match found.text()? {
        "widen" => Ok(Roles::Widen),
        "exact" => Ok(Roles::Exact),
        other => Err(complain(format!("{other:?} is nothing to do about roles"), "write \"widen\" or \"exact\"")),
    });
    let is_well = ["data", "sds_only", "sdc_only"].into_iter().all(|key| section.is_well(key));
    if let Some((what, mend)) = networks.flaw().filter(|_| is_well) {
        section.note_self(complain(what, mend));
    }
    section.finish();
    Networks { roles: roles.unwrap_or_default(), ..networks }
}

pub(super) fn preflight(mut section: Section<'_>) -> PreflightLimits {
    let limits = PreflightLimits {
        mtu: section.take("mtu", |found| match found.number()? {
            mtu @ 576..=65535 => Ok(mtu as u32),
            other => Err(complain(format!("{other} is no MTU"), "write a number such as 1500 or 9000")),
        }),
        link_mbit: section.take("link_mbit", |found| match found.number()? {
            mbit @ 1..=1_000_000 => Ok(mbit as u32),
            other => Err(complain(format!("{other} Mbit/s is no speed of a link"), "write a number such as 10000")),
        }),
        peers: section
            .take("peers", |found| match found.number()? {
                peers @ 0..=5 => Ok(peers as u8),
                other => Err(complain(format!("{other} servers are too many to try"), "write a number from 0 to 5")),
            })
            .unwrap_or(PreflightLimits::default().peers),
    };
    section.finish();
    limits
}

fn list(found: &Found<'_>) -> Result<Vec<Network>, Complaint> {
    let mut networks: Vec<Network> = Vec::new();
    for text in found.list()? {
        let network: Network = text
            .parse()
            .map_err(|error| complain(format!("{text:?} {error}"), "write networks such as 10.1.0.0/24"))?;
        if let Some(other) = networks.iter().find(|other| other.overlaps(&network)) {
            return Err(complain(format!("{other} and {network} have addresses in common"), "keep one of them"));
        }
        networks.push(network);
    }
    Ok(networks)
}

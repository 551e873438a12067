//! How does the MDM get what it lacks? It is asked anew what is there, and then
//! told one addition after the other, in their order.
//!
//! An addition that is refused holds back the nodes that need it and no other. Each is asked for only with leave of its own
//! moment; what gets none is left out of the round with what stands on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::{debug, info, warn};

use crate::clock;
use crate::config::rollout::{DiskMedia, Rollout, Topology};
use crate::fleet::desired::{Address, Desired, Domain, Server};
use crate::fleet::diff::{Addition, between};
use crate::fleet::name;
use crate::fleet::pools::{self, Wrong};
use crate::fleet::rollout::leave::Against;
use crate::fleet::rollout::spread;
use crate::fleet::shown::Shown;
use crate::gateway::{Answer, Gateway, GatewayError, NewPool};
use crate::model::id::{FaultSetId, NodeName, ProtectionDomainId, SdsId, StoragePoolId, SystemId};
use crate::model::pool::PoolSetting;
use crate::model::snapshot::{Part, Snapshot, Table};
use crate::model::state::{ClusterMode, ClusterState, Connection};
use crate::model::version::Generation;

const GONE: &str = "its SDS is not connected any more";

/// What became of it, by node. A node that is not named was left out.
pub type Results = BTreeMap<NodeName, Result<(), String>>;

/// Whether an addition may be asked for right now; must be cheap.
pub type MayAdd = dyn Fn(&Addition) -> Result<(), Against> + Send + Sync;

/// What came of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Of each node.
    pub results: Results,
    /// The node for which something was asked last.
    pub last: Option<NodeName>,
    /// Settings of pools that were sent, each with what the MDM told of it before, and why it refused it, if it did.
    pub settings: Vec<(Wrong, Option<String>)>,
    /// The node for which it was asked last to change where its server is found, and whether the MDM took any of the round.
    pub moved: Option<(NodeName, bool)>,
}

/// What is to be added, and for whom.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The system.
    pub system: SystemId,
    /// How its storage shall look.
    pub rollout: Rollout,
    /// What shall be.
    pub desired: Desired,
    /// Only for these nodes.
    pub nodes: BTreeSet<NodeName>,
    /// Disks that turn.
    pub rotational: BTreeSet<(NodeName, Box<str>)>,
    /// The node with which the last round ended: the next one begins with the one after it.
    pub after: Option<NodeName>,
    /// Those of them of which it may be changed where their servers are found.
    pub moves: BTreeSet<NodeName>,
    /// Settings of pools that are set, where they are still not so.
    pub settings: BTreeSet<Addition>,
}

/// Adds what the MDM lacks of some nodes, as far as it may.
pub async fn add(gateway: &Gateway, wish: &Wish, may: &MayAdd) -> Round {
    let all = |why: String| Round {
        results: wish.nodes.iter().map(|node| (node.clone(), Err(why.clone()))).collect(),
        ..Round::default()
    };
    let snapshot = match look(gateway, &wish.system).await {
        Ok(snapshot) => snapshot,
        Err(error) => return all(error.to_string()),
    };
    if let Some(why) = unfit(&snapshot) {
        return all(why);
    }
    let only = restricted(&wish.desired, &wish.nodes);
    let shown = Shown::of(&snapshot);
    let difference = match between(&only, &shown) {
        Ok(difference) => difference,
        Err(unseen) => return all(unseen.to_string()),
    };
    let ids = Ids::of(&snapshot);
    let (wrong, left) = (BTreeMap::new(), BTreeSet::new());
    let (grown, mut sent) = (BTreeSet::new(), Vec::new());
    let mut adder = Adder { gateway, wish, may, ids, shown, wrong, left, grown, last: None, moved: None };
    for addition in in_turn(&difference.additions, wish.after.as_ref()) {
        adder.add(addition).await;
    }
    let settings = pools::due(&wish.rollout, &snapshot).into_iter();
    for wrong in settings.filter(|wrong| wish.settings.contains(&wrong.addition)) {
        if let Some(refused) = adder.add(&wrong.addition).await {
            sent.push((wrong, refused.err()));
        }
    }
    let Adder { mut wrong, left, last, moved, .. } = adder;
    let all = wish.nodes.iter().filter(|node| wrong.contains_key(*node) || !left.contains(*node));
    let all: Vec<NodeName> = all.cloned().collect();
    let results = all.into_iter().map(|node| (node.clone(), wrong.remove(&node).map_or(Ok(()), Err)));
    Round { results: results.collect(), last, settings: sent, moved }
}

/// What nodes stand on comes first, then all of one node before the next: of one that is slow, the others have their turn in
/// the next round.
fn in_turn<'a>(additions: &'a [Addition], after: Option<&NodeName>) -> Vec<&'a Addition> {
    let mut all: Vec<&Addition> = additions.iter().collect();
    all.sort_by_key(|addition| addition.node().map(|node| (after.is_some_and(|after| node <= after), node)));
    all
}

/// Asks for everything that additions stand on.
async fn look(gateway: &Gateway, system: &SystemId) -> Result<Snapshot, GatewayError> {
    let begun_at = clock::now();
    let generation = gateway.generation().await?;
    let mut snapshot = Snapshot::empty(system.clone(), generation, 0, begun_at);
    fn part<T>(begun_at: crate::model::unit::Timestamp, answer: Answer<T>) -> Option<Part<T>> {
        Some(Part { begun_at, taken_at: clock::now(), value: Arc::new(answer.value) })
    }
    snapshot.array = part(begun_at, gateway.system().await?);
    snapshot.domains = part::<Table<_>>(begun_at, gateway.domains().await?);
    snapshot.fault_sets = part(begun_at, gateway.fault_sets().await?);
    snapshot.pools = part(begun_at, gateway.pools().await?);
    snapshot.sds = part(begun_at, gateway.sds().await?);
    snapshot.devices = part(begun_at, gateway.devices().await?);
    Ok(snapshot)
}

/// Why nothing is added now, whatever the node.
pub(super) fn unfit(snapshot: &Snapshot) -> Option<String> {
    let mdm = snapshot.array.as_ref().and_then(|array| array.mdm.as_ref());
    let Some(mdm) = mdm else { return Some("the gateway does not tell how the MDM cluster is".to_owned()) };
    let is_single = mdm.mode.is(ClusterMode::OneNode) && mdm.state.is(ClusterState::NotClustered);
    if mdm.state.is(ClusterState::Normal) || is_single {
        return None;
    }
    Some(format!("the MDM cluster is {}; nothing is added until all its members are well", mdm.state.word()))
}

/// Somebody loses an address only while nobody lacks another one.
fn well(addition: &Addition, snapshot: &Snapshot) -> Result<(), Against> {
    let unwell = if addition.is_narrower() { spread::of_servers(snapshot) } else { BTreeSet::new() };
    if unwell.is_empty() {
        return Ok(());
    }
    let what = unwell.into_iter().collect::<Vec<_>>().join(", ").into();
    Err(Against::Unwell { what })
}

/// The part of what shall be that some nodes stand on.
fn restricted(desired: &Desired, nodes: &BTreeSet<NodeName>) -> Desired {
    let servers: BTreeMap<NodeName, Server> = desired
        .servers
        .iter()
        .filter(|(node, _)| nodes.contains(*node))
        .map(|(node, server)| (node.clone(), server.clone()))
        .collect();
    let mut domains: BTreeMap<Box<str>, Domain> = BTreeMap::new();
    for server in servers.values() {
        let domain = domains.entry(server.domain.clone()).or_default();
        domain.fault_sets.extend(server.fault_set.clone());
        domain.pools.extend(server.devices.values().cloned());
    }
    Desired { domains, servers, ..Desired::default() }
}

/// Ids of what is there, by the names that people use.
#[derive(Default)]
struct Ids {
    domains: BTreeMap<Box<str>, ProtectionDomainId>,
    fault_sets: BTreeMap<Box<str>, FaultSetId>,
    pools: BTreeMap<(ProtectionDomainId, Box<str>), StoragePoolId>,
}

impl Ids {
    fn of(snapshot: &Snapshot) -> Self {
        let mut ids = Self::default();
        for domain in snapshot.domains.iter().flat_map(|domains| domains.iter()) {
            ids.domains.extend(domain.name.clone().map(|name| (name, domain.id.clone())));
        }
        for set in snapshot.fault_sets.iter().flat_map(|sets| sets.iter()) {
            ids.fault_sets.extend(set.name.clone().map(|name| (name, set.id.clone())));
        }
        for pool in snapshot.pools.iter().flat_map(|pools| pools.iter()) {
            if let (Some(domain), Some(name)) = (&pool.domain, &pool.name) {
                ids.pools.insert((domain.clone(), name.clone()), pool.id.clone());
            }
        }
        ids
    }
}

struct Adder<'a> {
    gateway: &'a Gateway,
    wish: &'a Wish,
    shown: Shown<'a>,
    may: &'a MayAdd,
    ids: Ids,
    /// What went wrong first, by node.
    wrong: BTreeMap<NodeName, String>,
    /// Nodes of which something got no leave.
    left: BTreeSet<NodeName>,
    /// Nodes whose server got an address in this round.
    grown: BTreeSet<NodeName>,
    last: Option<NodeName>,
    moved: Option<(NodeName, bool)>,
}

impl Adder<'_> {
    /// None: it was not asked for.
    async fn add(&mut self, addition: &Addition) -> Option<Result<(), String>> {
        if addition.node().is_some_and(|node| self.wrong.contains_key(node) || self.left.contains(node)) {
            return None;
        }
        let waits = match addition {
            // It was added in this very round, or is away: the rest comes when it is connected.
            Addition::Device { node, .. } => self.connected(node).is_none(),
            Addition::Address { node, .. } => !self.wish.moves.contains(node) || self.connected(node).is_none(),
            // Nobody has used the new address yet.
            Addition::Role { node, .. } => {
                !self.wish.moves.contains(node) || self.connected(node).is_none() || self.grown.contains(node)
            }
            Addition::Domain { .. }
            | Addition::FaultSet { .. }
            | Addition::Pool { .. }
            | Addition::Server { .. }
            | Addition::Setting { .. } => false,
        };
        if waits {
            return None;
        }
        if let Err(why) = (self.may)(addition).and_then(|()| well(addition, self.shown.snapshot)) {
            if why == Against::RoundOver {
                debug!(system = %self.wish.system, %addition, %why, "an addition waits for the next round");
            } else {
                info!(system = %self.wish.system, %addition, %why, "an addition is left out of this round");
            }
            let needing = self.needing(addition);
            self.left.extend(needing);
            return None;
        }
        if let Some(node) = addition.node() {
            self.last = Some(node.clone());
        }
        let done = match addition {
            Addition::Domain { name } => self.domain(name).await,
            Addition::FaultSet { domain, name } => self.fault_set(domain, name).await,
            Addition::Pool { domain, name } => self.pool(domain, name).await,
            Addition::Server { node, domain, fault_set, addresses } => {
                let addresses: Vec<(&str, &str)> =
                    addresses.iter().map(|address| (&*address.ip, address.serves.as_str())).collect();
                self.server(node, domain, fault_set.as_deref(), &addresses).await
            }
            Addition::Address { node, address } => self.address(node, address).await,
            Addition::Role { node, address, .. } => self.role(node, address).await,
            Addition::Device { node, path, pool } => self.device(node, path, pool).await,
            Addition::Setting { domain, pool, setting } => self.setting(domain, pool, setting).await,
        };
        if let Some(node) = addition.node().filter(|_| addition.is_about_addresses()) {
            let is_taken = done.is_ok() || self.moved.as_ref().is_some_and(|(_, is_taken)| *is_taken);
            self.moved = Some((node.clone(), is_taken));
        }
        match &done {
            Ok(()) => info!(system = %self.wish.system, effect = addition.effect(), %addition, "added"),
            Err(why) => {
                warn!(system = %self.wish.system, %addition, why, "an addition is refused");
                let told = format!("{addition}: {why}");
                for node in self.needing(addition) {
                    self.wrong.entry(node).or_insert_with(|| told.clone());
                }
            }
        }
        Some(done)
    }

    /// Nodes that cannot go on without an addition.
    fn needing(&self, addition: &Addition) -> Vec<NodeName> {
        let servers = self.wish.desired.servers.iter().filter(|(node, _)| self.wish.nodes.contains(*node));
        let needs = |(node, server): &(&NodeName, &Server)| match addition {
            Addition::Domain { name } => server.domain == *name,
            Addition::FaultSet { name, .. } => server.fault_set.as_ref() == Some(name),
            Addition::Pool { domain, name } => {
                server.domain == *domain && server.devices.values().any(|pool| pool == name)
            }
            Addition::Setting { .. } => false,
            Addition::Server { node: of, .. }
            | Addition::Address { node: of, .. }
            | Addition::Role { node: of, .. }
            | Addition::Device { node: of, .. } => *node == of,
        };
        servers.filter(needs).map(|(node, _)| node.clone()).collect()
    }

    fn domain_id(&self, name: &str) -> Result<ProtectionDomainId, String> {
        self.ids.domains.get(name).cloned().ok_or_else(|| format!("protection domain {name} is not there"))
    }

    async fn domain(&mut self, name: &str) -> Result<(), String> {
        let id = self.gateway.add_domain(name).await.map_err(|error| error.with_words())?;
        self.ids.domains.insert(name.into(), id);
        Ok(())
    }

    async fn fault_set(&mut self, domain: &str, name: &str) -> Result<(), String> {
        let domain = self.domain_id(domain)?;
        let id = self.gateway.add_fault_set(&domain, name).await.map_err(|error| error.with_words())?;
        self.ids.fault_sets.insert(name.into(), id);
        Ok(())
    }

    async fn pool(&mut self, domain: &str, name: &str) -> Result<(), String> {
        let new = self.new_pool(domain, name);
        let domain = self.domain_id(domain)?;
        let id = self.gateway.add_pool(&domain, name, &new).await.map_err(|error| error.with_words())?;
        self.ids.pools.insert((domain, name.into()), id);
        Ok(())
    }

    /// As declared; the media by its disks where nothing is declared.
    fn new_pool(&self, domain: &str, name: &str) -> NewPool {
        let declared = match &self.wish.rollout.topology {
            Topology::Declared { domains, .. } => {
                domains.get(domain).and_then(|domain| domain.pools.get(name)).cloned()
            }
            Topology::OnePool | Topology::Attributes => None,
        };
        let declared = declared.unwrap_or_default();
        let media = match declared.media {
            DiskMedia::Hdd => "HDD",
            DiskMedia::Ssd => "SSD",
            DiskMedia::Any => self.media(domain, name),
        };
        NewPool {
            media: (self.shown.snapshot.generation >= Generation::V3_0).then_some(media),
            spare_percent: declared.spare_percent,
            zero_padding: declared.zero_padding,
            checksum: declared.checksum,
        }
    }

    fn media(&self, domain: &str, name: &str) -> &'static str {
        let servers = self.wish.desired.servers.iter().filter(|(_, server)| &*server.domain == domain);
        let mut kinds = BTreeSet::new();
        for (node, server) in servers {
            let disks = server.devices.iter().filter(|(_, pool)| &***pool == name);
            kinds.extend(disks.map(|(path, _)| self.wish.rotational.contains(&(node.clone(), path.clone()))));
        }
        match (kinds.contains(&true), kinds.contains(&false)) {
            (true, false) => "HDD",
            (true, true) => "Transitional",
            (false, _) => "SSD",
        }
    }

    async fn server(
        &mut self,
        node: &NodeName,
        domain: &str,
        fault_set: Option<&str>,
        addresses: &[(&str, &str)],
    ) -> Result<(), String> {
        let domain = self.domain_id(domain)?;
        let fault_set = match fault_set {
            None => None,
            Some(name) => Some(self.ids.fault_sets.get(name).ok_or_else(|| format!("fault set {name} is not there"))?),
        };
        let added = self.gateway.add_sds(&domain, fault_set, &name::in_system(node), addresses).await;
        added.map(drop).map_err(|error| error.with_words())
    }

    /// The server of a node, when it is there and heard.
    fn connected(&self, node: &NodeName) -> Option<SdsId> {
        let server = self.wish.desired.servers.get(node)?;
        let own = self.shown.servers_of(&server.found_at());
        own.into_iter().find(|sds| sds.connection.is(Connection::Connected)).map(|sds| sds.id.clone())
    }

    async fn setting(&self, domain: &str, pool: &str, setting: &PoolSetting) -> Result<(), String> {
        let domain = self.domain_id(domain)?;
        let pool =
            self.ids.pools.get(&(domain, pool.into())).ok_or_else(|| format!("storage pool {pool} is not there"))?;
        self.gateway.set_pool(pool, setting).await.map_err(|error| error.with_words())
    }

    async fn address(&mut self, node: &NodeName, address: &Address) -> Result<(), String> {
        let sds = self.connected(node).ok_or(GONE)?;
        let role = address.serves.as_str();
        self.gateway.add_sds_ip(&sds, &address.ip, role).await.map_err(|error| error.with_words())?;
        self.grown.insert(node.clone());
        Ok(())
    }

    async fn role(&self, node: &NodeName, address: &Address) -> Result<(), String> {
        let sds = self.connected(node).ok_or(GONE)?;
        let role = address.serves.as_str();
        self.gateway.set_sds_ip_role(&sds, &address.ip, role).await.map_err(|error| error.with_words())
    }

    async fn device(&self, node: &NodeName, path: &str, pool: &str) -> Result<(), String> {
        let sds = self.connected(node).ok_or(GONE)?;
        let server = self.wish.desired.servers.get(node).ok_or("the node gives no storage any more")?;
        let domain = self.domain_id(&server.domain)?;
        let pool =
            self.ids.pools.get(&(domain, pool.into())).ok_or_else(|| format!("storage pool {pool} is not there"))?;
        self.gateway.add_device(&sds, pool, path).await.map_err(|error| error.with_words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_begins_after_the_node_with_which_the_last_one_ended_and_serves_one_node_after_the_other() {
        let node = |name: &str| NodeName::new(name);
        let server = |name: &str| Addition::Server {
            node: node(name),
            domain: "d".into(),
            fault_set: None,
            addresses: Vec::new(),
        };
        let device = |name: &str| Addition::Device { node: node(name), path: "/dev/sdb".into(), pool: "p".into() };
        let mut all =
            vec![Addition::Domain { name: "d".into() }, Addition::Pool { domain: "d".into(), name: "p".into() }];
        all.extend(["a", "b", "c"].map(server));
        all.extend(["a", "b", "c"].map(device));
        let turn = |after: Option<&str>| {
            let after = after.map(node);
            let nodes = in_turn(&all, after.as_ref()).into_iter().map(|one| one.node().map_or("-", NodeName::as_str));
            nodes.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(turn(None), "- - a a b b c c");
        assert_eq!(turn(Some("a")), "- - b b c c a a");
        assert_eq!(turn(Some("c")), "- - a a b b c c");
        assert!(in_turn(&all, None)[2..].iter().step_by(2).all(|one| matches!(one, Addition::Server { .. })));
    }
}

//! Who the MDMs are, which one leads, and whether the cluster answers.

use std::time::Duration;

use super::object::Id;

/// How long nobody answers after the master went away. Real fail-overs take a
/// few seconds; clients must live with that.
const FAILOVER: Duration = Duration::from_secs(5);

/// How long a manager that came back or is new takes to copy the repository.
pub(super) const CATCHING_UP: Duration = Duration::from_secs(4);

/// Whether a member keeps the repository or only votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MdmRole {
    /// Keeps the repository and may lead.
    Manager,
    /// Only votes.
    TieBreaker,
}

/// A member of the cluster, or one that stands by.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Mdm {
    pub id: Id,
    pub name: String,
    pub role: MdmRole,
    pub ips: Vec<String>,
    pub management_ips: Vec<String>,
    /// Network interfaces that carry virtual addresses.
    pub interfaces: Vec<String>,
    pub up: bool,
    /// When it has caught up with the repository.
    pub in_sync_at: Duration,
    pub standby: bool,
    pub version: String,
}

/// A member, as the hosts that made the cluster tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Seated {
    pub name: String,
    pub role: MdmRole,
    pub ips: Vec<String>,
    pub management_ips: Vec<String>,
    pub standby: bool,
    pub up: bool,
    /// Whether it leads.
    pub leads: bool,
    pub version: String,
}

/// The MDM cluster.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct MdmCluster {
    pub id: u64,
    pub members: Vec<Mdm>,
    master: Option<Id>,
    silent_until: Duration,
    /// How often ownership moved.
    pub failovers: u64,
}

impl Mdm {
    /// Whether it is up and knows everything.
    pub fn in_sync(&self, now: Duration) -> bool {
        self.up && (self.role == MdmRole::TieBreaker || now >= self.in_sync_at)
    }
}

impl MdmCluster {
    pub(super) fn new(id: u64, members: Vec<Mdm>) -> Self {
        let master = members.iter().find(|mdm| mdm.role == MdmRole::Manager && !mdm.standby).map(|mdm| mdm.id);
        Self { id, members, master, silent_until: Duration::ZERO, failovers: 0 }
    }

    /// The cluster is what its hosts made it. A member that stays keeps its id and what it knows.
    pub(super) fn seat(&mut self, seats: &[Seated], now: Duration) {
        let mut last = self.members.iter().map(|mdm| mdm.id.0).max().unwrap_or(0x0ecb_4838_5383_5e00);
        let mut before = std::mem::take(&mut self.members);
        for seat in seats {
            let known = before.iter().position(|mdm| mdm.name == seat.name).map(|at| before.swap_remove(at));
            let mdm = known.unwrap_or_else(|| {
                last = (last & !0xf) + 0x11;
                Mdm {
                    id: Id(last),
                    name: seat.name.clone(),
                    role: seat.role,
                    ips: Vec::new(),
                    management_ips: Vec::new(),
                    interfaces: Vec::new(),
                    up: seat.up,
                    // The first one has nobody to copy from.
                    in_sync_at: if seat.leads { now } else { now + CATCHING_UP },
                    standby: seat.standby,
                    version: seat.version.clone(),
                }
            });
            let (ips, management_ips) = (seat.ips.clone(), seat.management_ips.clone());
            self.members.push(Mdm { role: seat.role, ips, management_ips, standby: seat.standby, ..mdm });
        }
        let leader = seats.iter().find(|seat| seat.leads).map(|seat| seat.name.as_str());
        self.master = self.members.iter().find(|mdm| Some(mdm.name.as_str()) == leader).map(|mdm| mdm.id);
        if self.id == 0 {
            self.id = last;
        }
    }

    /// Members that are in the cluster.
    pub fn voters(&self) -> impl Iterator<Item = &Mdm> {
        self.members.iter().filter(|mdm| !mdm.standby)
    }

    /// The one that leads.
    pub fn master(&self) -> Option<&Mdm> {
        self.members.iter().find(|mdm| Some(mdm.id) == self.master)
    }

    /// Whether commands and questions are answered at this moment.
    pub fn answers(&self, now: Duration) -> bool {
        self.master().is_some_and(|mdm| mdm.up) && now >= self.silent_until
    }

    /// Voters that are up.
    pub fn good_nodes(&self) -> usize {
        self.voters().filter(|mdm| mdm.up).count()
    }

    /// Managers that are up and know everything.
    pub fn good_replicas(&self, now: Duration) -> usize {
        self.voters().filter(|mdm| mdm.in_sync(now) && mdm.role == MdmRole::Manager).count()
    }

    /// Whether every member is there and in sync.
    pub fn normal(&self, now: Duration) -> bool {
        self.voters().all(|mdm| mdm.in_sync(now))
    }

    /// `OneNode`, `ThreeNodes` or `FiveNodes`.
    pub fn mode(&self) -> &'static str {
        match self.voters().count() {
            0 | 1 => "OneNode",
            2 | 3 => "ThreeNodes",
            _ => "FiveNodes",
        }
    }

    /// Moves ownership to the next manager that is up. Without one, or
    /// without a majority, nobody leads.
    pub(super) fn fail_over(&mut self, now: Duration) {
        let majority = self.good_nodes() * 2 > self.voters().count();
        let next = self
            .voters()
            .find(|mdm| mdm.in_sync(now) && mdm.role == MdmRole::Manager && Some(mdm.id) != self.master)
            .map(|mdm| mdm.id)
            .filter(|_| majority);
        if next.is_none() && self.master().is_some_and(|mdm| mdm.up) && majority {
            // The only manager left keeps leading.
            return;
        }
        self.master = next;
        self.silent_until = now + FAILOVER;
        self.failovers += 1;
    }

    /// A cluster without a master finds one as soon as it can.
    pub(super) fn step(&mut self, now: Duration) {
        if self.master().is_none() && self.good_nodes() * 2 > self.voters().count() {
            let able = |mdm: &&Mdm| mdm.in_sync(now) && mdm.role == MdmRole::Manager;
            if self.voters().any(|mdm| able(&mdm)) {
                self.fail_over(now);
            }
        }
    }

    /// Moves ownership to this manager, which is in sync.
    pub(super) fn hand_over(&mut self, to: Id, now: Duration) {
        self.master = Some(to);
        self.silent_until = now + FAILOVER;
        self.failovers += 1;
    }

    /// Takes a member away or lets it back. `false` when there is none of this name.
    pub(super) fn set_up(&mut self, name: &str, up: bool, now: Duration) -> bool {
        let Some(mdm) = self.members.iter_mut().find(|mdm| mdm.name == name) else { return false };
        if up && !mdm.up {
            mdm.in_sync_at = now + CATCHING_UP;
        }
        mdm.up = up;
        let lost_majority = self.good_nodes() * 2 <= self.voters().count();
        if self.master().is_none_or(|mdm| !mdm.up) || lost_majority {
            self.fail_over(now);
        }
        true
    }
}

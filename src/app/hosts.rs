//! Wiring of the hosts of systems: who they are, what lies on them, what can be installed there, and by whom the work has
//! its effects on them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Tasks;
use super::agents::Agents;
use super::rollout::on_the_way;
use super::work::Joined;
use crate::agent::recipes::os::{Books, Family, Os};
use crate::agent::recipes::package::{PackageFile, choose};
use crate::clock;
use crate::config::{Config, Masters, Secret, StaticNode, System};
use crate::enrol::artefacts::Shelf;
use crate::enrol::crew::Crew;
use crate::fleet::rollout::record::Source;
use crate::fleet::rollout::{steps, view};
use crate::model::framework::FrameworkStatus;
use crate::model::id::{NodeName, SystemId};
use crate::model::lifecycle::Lifecycle;
use crate::model::node::Carries;
use crate::model::order::{Artefact, Component};
use crate::model::places::{Places, host_of};
use crate::model::rollout::{NodeRollout, RolloutStatus, Why};
use crate::model::snapshot::Snapshot;
use crate::model::step;
use crate::model::unit::Timestamp;
use crate::model::version::{as_packaged, as_reported};
use crate::rest::Rest;
use crate::upgrade::foreman::{Choose, Foreman, InHand};
use crate::upgrade::hands::Others;
use crate::upgrade::hosts::{Placed, surroundings};
use crate::watches::Gallery;
use crate::work::seam::{Errand, Packages, Surroundings};

/// Without any news it is looked again.
const TICK: Duration = Duration::from_secs(1);
/// The loop takes at most a hundredth of one core. What it sees of hosts is what the work looks at again each time.
const REST: Rest = Rest { times: 100, shortest: Duration::from_millis(50), longest: Duration::from_secs(1) };

/// A node in work is asked for its word when the last one is older than this.
const WORD: TimeDelta = TimeDelta::seconds(1);

/// What can be had, by os-release and whether the token of LIA is there.
type Known = BTreeMap<(String, bool), Arc<Packages>>;

/// The hosts of all systems, before anybody looks.
pub(super) struct Hosts {
    crew: Crew,
    gallery: Gallery,
    shelf: Shelf,
    static_nodes: BTreeMap<NodeName, StaticNode>,
    places: Places,
    seen: BTreeMap<SystemId, watch::Sender<Arc<Surroundings>>>,
    in_hand: watch::Sender<InHand>,
    /// Systems whose token of LIA we have.
    with_token: BTreeSet<SystemId>,
    foremen: Vec<(Foreman, mpsc::UnboundedReceiver<Errand>)>,
}

/// Joins each system to the agents of its nodes.
pub(super) fn open(config: &Config, agents: &Agents, gallery: &Gallery) -> (Hosts, BTreeMap<SystemId, Joined>) {
    let shelf = agents.shelf.clone();
    let choose: Choose = Arc::new(move |os, component, version| exactly(&shelf, os, component, version));
    let (mut seen, mut foremen, mut joined) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
    let in_hand = watch::Sender::new(InHand::new());
    for (system, configured) in &config.systems {
        let around = watch::Sender::new(Arc::new(Surroundings::default()));
        let (errands, received) = mpsc::unbounded_channel();
        let foreman = Foreman {
            system: system.clone(),
            crew: agents.crew.clone(),
            gallery: gallery.clone(),
            around: around.subscribe(),
            choose: Arc::clone(&choose),
            managers: steps::managers,
            lia: token_of_lia(configured),
            in_hand: in_hand.clone(),
        };
        foremen.push((foreman, received));
        let others = Others { nodes: Some(errands), mesos: None };
        joined.insert(system.clone(), Joined { around: Some(around.subscribe()), others });
        seen.insert(system.clone(), around);
    }
    let hosts = Hosts {
        crew: agents.crew.clone(),
        gallery: gallery.clone(),
        shelf: agents.shelf.clone(),
        static_nodes: config.static_nodes.clone(),
        places: places(config),
        seen,
        in_hand,
        with_token: config
            .systems
            .iter()
            .filter(|(_, of)| token_of_lia(of).is_some())
            .map(|(name, _)| name.clone())
            .collect(),
        foremen,
    };
    (hosts, joined)
}

impl Hosts {
    /// Starts the tasks.
    pub(super) fn spawn(
        mut self,
        framework: Option<watch::Receiver<Arc<FrameworkStatus>>>,
        rollout: Option<watch::Receiver<Arc<RolloutStatus>>>,
        works: BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) {
        for (foreman, errands) in std::mem::take(&mut self.foremen) {
            super::spawn(tasks, "orders of the work", foreman.run(errands, stop.clone()));
        }
        super::spawn(tasks, "look at hosts", self.watch(framework, rollout, works, stop.clone()));
    }

    async fn watch(
        self,
        framework: Option<watch::Receiver<Arc<FrameworkStatus>>>,
        rollout: Option<watch::Receiver<Arc<RolloutStatus>>>,
        works: BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>,
        stop: CancellationToken,
    ) {
        let (mut members, mut in_hand) = (self.crew.members(), self.in_hand.subscribe());
        let mut known = Known::new();
        let mut goods = self.shelf.goods();
        loop {
            let begun = Instant::now();
            let now = self.shelf.goods();
            if !Arc::ptr_eq(&goods, &now) {
                known.clear();
                goods = now;
            }
            members.mark_unchanged();
            in_hand.mark_unchanged();
            let framework = framework.as_ref().map(|status| Arc::clone(&status.borrow()));
            let rollout = rollout.as_ref().map(|status| Arc::clone(&status.borrow())).unwrap_or_default();
            self.look(framework.as_deref(), &rollout, &mut known);
            let works: Vec<Arc<Lifecycle>> = works.values().map(|work| Arc::clone(&work.borrow())).collect();
            self.want_words(&works, clock::now());
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(REST.since(begun)) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(TICK) => {}
                _ = members.changed() => {}
                _ = in_hand.changed() => {}
            }
        }
    }

    /// Nodes in work say often how they are: the next step waits for it.
    fn want_words(&self, works: &[Arc<Lifecycle>], now: Timestamp) {
        let members = Arc::clone(&self.crew.members().borrow());
        for run in works.iter().filter_map(|work| work.run.as_ref()) {
            for node in run.in_work() {
                let seen_at = members.get(node).and_then(|member| Some(member.facts.as_ref()?.seen_at));
                if seen_at.is_some_and(|seen_at| now - seen_at >= WORD) {
                    self.crew.want_word(node);
                }
            }
        }
    }

    fn look(&self, framework: Option<&FrameworkStatus>, rollout: &RolloutStatus, known: &mut Known) {
        // Before what agents say, which is newer then.
        let in_hand = self.in_hand.borrow().clone();
        let members = Arc::clone(&self.crew.members().borrow());
        let sources = view::sources(framework, &self.static_nodes);
        let places = self.places.led_by(framework.map(|framework| &framework.registration));
        let systems: BTreeSet<SystemId> = self.seen.keys().cloned().collect();
        let mut of_systems: BTreeMap<&SystemId, Vec<_>> = self.seen.keys().map(|system| (system, Vec::new())).collect();
        let pictures = self.gallery.all();
        for (name, member) in members.iter() {
            let source = sources.get(name);
            let addresses: BTreeSet<Box<str>> = source.iter().filter_map(|source| source.address.clone()).collect();
            let shown = rollout.nodes.get(name);
            let named = shown.map(|shown| shown.system.clone());
            let Some(system) = named.or_else(|| {
                let servers = |system: &SystemId| pictures.get(system)?.snapshot.clone();
                system_of(source, &addresses, &systems, &servers)
            }) else {
                continue;
            };
            let os = member.host.as_ref().map(|host| host.os.as_str()).filter(|os| !os.is_empty());
            let packages = os.map(|os| {
                let has_token = self.with_token.contains(&system);
                let all = known.entry((os.to_owned(), has_token));
                all.or_insert_with(|| Arc::new(packages(&self.shelf, os, has_token))).clone()
            });
            // Who waits for a restart is what the work may restart.
            let restarts = |shown: &NodeRollout| shown.why.iter().any(|why| matches!(why, Why::Restart { .. }));
            let phase = shown.filter(|shown| !restarts(shown)).map(|shown| shown.phase.clone());
            let placed = Placed { addresses, phase, packages, in_hand: in_hand.get(name).cloned() };
            if let Some(nodes) = of_systems.get_mut(&system) {
                nodes.push((&**member, placed));
            }
        }
        for (system, nodes) in of_systems {
            let around = surroundings(nodes, &places);
            if let Some(seen) = self.seen.get(system) {
                seen.send_if_modified(|before| {
                    let is_news = **before != around;
                    if is_news {
                        *before = Arc::new(around);
                    }
                    is_news
                });
            }
        }
    }
}

/// For which system a node works: the one it names, the only one, or the one that has a server at its address.
fn system_of(
    source: Option<&Source>,
    addresses: &BTreeSet<Box<str>>,
    systems: &BTreeSet<SystemId>,
    servers: &dyn Fn(&SystemId) -> Option<Arc<Snapshot>>,
) -> Option<SystemId> {
    let named = match source {
        Some(source) => view::system_of(source, systems),
        None if systems.len() == 1 => systems.first().cloned(),
        None => None,
    };
    named.or_else(|| {
        let has = |system: &&SystemId| {
            let snapshot = servers(system);
            let all = snapshot.iter().flat_map(|snapshot| snapshot.sds.iter()).flat_map(|sds| sds.iter());
            all.flat_map(|sds| &sds.addresses).any(|address| addresses.contains(&address.ip))
        };
        systems.iter().find(has).cloned()
    })
}

/// Where else parts of the whole run, as far as the configuration says it.
pub(super) fn places(config: &Config) -> Places {
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut places = Places { boot_id: boot_id.trim().into(), ..Places::default() };
    let mut put = |host: &str, what: Carries| places.put(host, what);
    for gateway in config.systems.values().flat_map(|system| &system.gateways) {
        put(host_of(gateway.as_str()), Carries::Gateway);
    }
    for address in config.agents.iter().flat_map(|agents| &agents.addresses) {
        put(host_of(address), Carries::Controller);
    }
    let in_zookeeper = |servers: &str| servers.split(',').map(|server| host_of(server).to_owned()).collect::<Vec<_>>();
    let mut servers = Vec::new();
    match config.mesos.as_ref().map(|mesos| &mesos.masters) {
        Some(Masters::Addresses(masters)) => {
            masters.iter().for_each(|master| put(host_of(&master.address), Carries::MesosMaster));
        }
        Some(Masters::ZooKeeper(place)) => servers.extend(in_zookeeper(&place.servers)),
        None => {}
    }
    servers.extend(config.store.zookeeper.iter().flat_map(|place| in_zookeeper(&place.servers)));
    servers.iter().for_each(|server| put(server, Carries::ZooKeeper));
    places
}

/// The package of a component in exactly a version.
fn exactly(shelf: &Shelf, os: &str, component: Component, version: &str) -> Result<Artefact, String> {
    let (os, version) = (Os::read(os)?, as_packaged(version));
    let fits = |name: &&str| PackageFile::read(name).is_ok_and(|file| *file.release.to_string() == *version);
    let goods = shelf.goods();
    let names = goods.files().map(|file| file.name.as_str()).filter(fits);
    let chosen = choose(names, component, &os).and_then(|name| goods.find(name));
    chosen.map(|(artefact, _)| artefact.clone()).ok_or_else(|| {
        if let Some(told) = on_the_way(&goods, &fits, component, &os) {
            return told;
        }
        format!(
            "artefacts.folder has none of {component} {version} for {}; put {} there and restart the controller",
            os.pretty,
            pattern(&os).replace("COMPONENT", component.as_str()).replace("VERSION", &version)
        )
    })
}

/// What there is for an operating system; nothing where that is not one we know. Without its token LIA cannot be installed.
fn packages(shelf: &Shelf, os: &str, has_token: bool) -> Packages {
    let os = match Os::read(os) {
        Ok(os) => os,
        Err(why) => {
            let cannot = |component: step::Component| (component, format!("{component}: {why}").into());
            let cannot = step::Component::ALL.into_iter().map(cannot).collect();
            return Packages { os: pretty(os).into(), cannot, ..Packages::default() };
        }
    };
    let mut versions: BTreeMap<step::Component, BTreeSet<Box<str>>> = BTreeMap::new();
    for file in shelf.goods().files().filter_map(|file| PackageFile::read(&file.name).ok()) {
        // A tie-breaker comes in the manager's package.
        let component = Component::ALL.into_iter().find(|component| file.judge(*component, &os).is_ok());
        if let Some(component) = component.and_then(|component| step::Component::of(component.as_str())) {
            versions.entry(component).or_default().insert(as_reported(&file.release.to_string()));
        }
    }
    let token = "lia: its installation asks for the token of LIA; write it into a file and name that as token_file in \
                 [systems.NAME.rollout.lia], or bring LIA to the release by hand first";
    let cannot = (!has_token).then(|| (step::Component::Lia, token.into())).into_iter().collect();
    Packages { os: os.pretty.as_str().into(), versions, pattern: pattern(&os).into(), cannot }
}

/// How an operating system that we do not know calls itself.
fn pretty(os: &str) -> &str {
    let named = |name: &str| os.lines().find_map(|line| line.strip_prefix(name));
    named("PRETTY_NAME=").or_else(|| named("ID=")).unwrap_or("an unnamed operating system").trim_matches('"')
}

/// What the installation of LIA asks for on nodes of a system.
fn token_of_lia(system: &System) -> Option<Secret> {
    Some(system.rollout.as_ref()?.lia.as_ref()?.token.0.clone())
}

/// How the vendor names the files for an operating system.
fn pattern(os: &Os) -> String {
    let (major, minor) = os.version;
    let tag = match os.family {
        Family::El => format!("el{major}"),
        Family::Sles => format!("sle{major}.{minor}"),
        Family::Debian => format!("Ubuntu.{major}.{minor:02}"),
        // A bundle of plain files is for all of them.
        Family::Immutable => return "EMC-ScaleIO-COMPONENT-VERSION.x86_64.tgz".to_owned(),
    };
    let end = if os.books() == Books::Dpkg { "deb" } else { "rpm" };
    format!("EMC-ScaleIO-COMPONENT-VERSION.{tag}.x86_64.{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(names: &[&str]) -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let shelf = Shelf::scan(folder.path()).unwrap();
        (folder, shelf)
    }

    const EL7: &str = "ID=centos\nVERSION_ID=7\nPRETTY_NAME=\"CentOS Linux 7 (Core)\"";

    #[test]
    fn exactly_the_version_is_taken_and_a_file_that_lacks_is_named_with_its_system() {
        let (_folder, shelf) = shelf(&[
            "EMC-ScaleIO-sds-3.6-700.103.el7.x86_64.rpm",
            "EMC-ScaleIO-sds-3.6-900.1.el7.x86_64.rpm",
            "EMC-ScaleIO-mdm-3.6-900.1.el8.x86_64.rpm",
            "README.txt",
        ]);
        let file = exactly(&shelf, EL7, Component::Sds, "R3_6.700.103").unwrap();
        assert_eq!(file.name, "EMC-ScaleIO-sds-3.6-700.103.el7.x86_64.rpm");
        let told = exactly(&shelf, EL7, Component::Sds, "R3_6.700.104").unwrap_err();
        assert!(told.contains("CentOS Linux 7") && told.contains("sds-3.6-700.104.el7.x86_64.rpm"), "{told}");
        let all = packages(&shelf, EL7, false);
        assert_eq!(all.lack(step::Component::Sds, "R3_6.900.1"), None);
        let told = all.lack(step::Component::Mdm, "R3_6.900.1").unwrap();
        assert!(told.contains("CentOS Linux 7") && told.contains("EMC-ScaleIO-mdm-3.6-900.1.el7.x86_64.rpm"), "{told}");
        let ubuntu = packages(&shelf, "ID=ubuntu\nVERSION_ID=18.04", true);
        assert!(ubuntu.lack(step::Component::Sds, "R3_6.900.1").unwrap().contains(".Ubuntu.18.04.x86_64.deb"));
        let unknown = packages(&shelf, "ID=plan9\nPRETTY_NAME=\"Plan 9\"", true);
        let told = unknown.lack(step::Component::Sds, "R3_6.900.1").unwrap();
        assert!(&*unknown.os == "Plan 9" && told.starts_with("sds: Plan 9"), "{told}");
    }

    #[test]
    fn a_node_works_for_the_system_it_names_the_only_one_or_where_it_serves() {
        let (prod, lab) = (SystemId::new("prod"), SystemId::new("lab"));
        let both: BTreeSet<SystemId> = [prod.clone(), lab.clone()].into();
        let nowhere = |_: &SystemId| None;
        let named = Source { attributes: [("scaleio-system".into(), "lab".into())].into(), ..Source::default() };
        assert_eq!(system_of(Some(&named), &BTreeSet::new(), &both, &nowhere), Some(lab));
        assert_eq!(system_of(None, &BTreeSet::new(), &both, &nowhere), None);
        assert_eq!(system_of(None, &BTreeSet::new(), &[prod.clone()].into(), &nowhere), Some(prod));
    }
}

//! What shall a node's agent make so, and in which order?

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::cluster::{MdmCluster, MdmRole};
use crate::model::command::{self, Command};
use crate::model::id::InstalledSystemId;
use crate::model::order::{Artefact, Component, Install, KnownAs, Preflight, Task};
use crate::model::rollout::Why;
use crate::model::state::MdmStatus;
use crate::model::version::Generation;

/// A step on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum StepName {
    Preflight,
    JudgeDisks,
    Stage,
    Prerequisites,
    InstallSds,
    InstallSdc,
    ConnectSdc,
    InstallLia,
    LinkLia,
    ConsumeVolumes,
    MesosVolumes,
    MesosPutBack,
    /// A step of another release.
    #[serde(other)]
    Other,
}

impl StepName {
    /// Its word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::JudgeDisks => "judge_disks",
            Self::Stage => "stage",
            Self::Prerequisites => "prerequisites",
            Self::InstallSds => "install_sds",
            Self::InstallSdc => "install_sdc",
            Self::ConnectSdc => "connect_sdc",
            Self::InstallLia => "install_lia",
            Self::LinkLia => "link_lia",
            Self::ConsumeVolumes => "consume_volumes",
            Self::MesosVolumes => "mesos_volumes",
            Self::MesosPutBack => "mesos_put_back",
            Self::Other => "other",
        }
    }

    /// How long it may take, in seconds: far beyond what was seen, so that a
    /// slow disk is no failure, and still a bound.
    pub const fn within_s(self) -> u32 {
        match self {
            Self::Preflight | Self::JudgeDisks => 120,
            Self::Stage => 15 * 60,
            Self::Prerequisites | Self::InstallSds | Self::InstallSdc | Self::InstallLia => 30 * 60,
            Self::ConnectSdc | Self::LinkLia | Self::ConsumeVolumes | Self::Other => 5 * 60,
            // While it lasts the Mesos agent may be down, and after a minute or so the master gives it up.
            Self::MesosVolumes | Self::MesosPutBack => 60,
        }
    }
}

/// A step with what is ordered for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// What is to be so afterwards.
    pub task: Task,
}

/// What is known when packages are chosen for a node.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The lines of its os-release.
    pub os: &'a str,
    /// The release of the MDM, which no package is newer than.
    pub mdm: &'a str,
    /// The release that the configuration asks for.
    pub pinned: Option<&'a str>,
}

/// A file by which a component comes to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The file.
    pub artefact: Artefact,
    /// Whether it is a bundle of plain files, for a host without a package manager.
    pub is_bare: bool,
}

/// Why there is no package of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Nothing here fits; what helps is in it.
    None(String),
    /// One that fits is on its way here.
    Comes(String),
}

impl Lack {
    /// It as a reason of a node.
    fn why(self) -> Why {
        match self {
            Self::None(because) => Why::NoPackage { because: because.into() },
            Self::Comes(what) => Why::WaitsFor { what: what.into() },
        }
    }

    /// It in words.
    pub fn told(self) -> String {
        match self {
            Self::None(because) => because,
            Self::Comes(what) => format!("it waits for what comes: {what}"),
        }
    }
}

/// Chooses the package of a component. The error says why there is none.
pub type Choose<'a> = &'a dyn Fn(&Wanted<'_>, Component) -> Result<Package, Lack>;

/// What a node is to be.
#[derive(Clone, Debug)]
pub struct Goal<'a> {
    /// Whether it gives storage.
    pub serves: bool,
    /// Packages.
    pub wanted: Wanted<'a>,
    /// Versions that are on it, by component, as its agent tells.
    pub installed: &'a BTreeMap<String, BTreeSet<String>>,
    /// Of which generation the system is.
    pub generation: Generation,
    /// Where the MDM's managers are.
    pub managers: &'a [IpAddr],
    /// How an SDC that was set up before knows the system.
    pub known: Option<&'a KnownAs>,
    /// The product's own agent; none: the node shall not have it.
    pub lia: Option<Lia<'a>>,
    /// Words of commands that were never seen in use and that a person has accepted.
    pub accept: &'a BTreeSet<String>,
}

/// What LIA is told.
#[derive(Clone, Copy, Debug)]
pub struct Lia<'a> {
    /// The installation id of the system; none: the gateway does not tell it.
    pub installation: Option<&'a str>,
}

/// Why LIA does not come to nodes of a system, though it is asked for. None: it does.
pub fn no_lia(generation: Generation) -> Option<&'static str> {
    (generation >= Generation::V4).then_some(
        "LIA does not come to it: since release 4 it is brought by PowerFlex Manager, with certificates and a message broker",
    )
}

/// Why LIA is not told to which system it belongs. None: it is, or it is not there.
pub fn lia_is_not_told(goal: &Goal<'_>) -> Option<String> {
    let Lia { installation } = goal.lia?;
    let Some(_) = installation else {
        return Some(
            "LIA is not told to which system it belongs: the gateway does not tell the installation id".to_owned(),
        );
    };
    let word = Command::LinkLia.as_str();
    let why = command::may(Command::LinkLia, goal.generation, goal.accept.contains(word)).err()?;
    Some(format!("LIA is not told to which system it belongs: {why}, in rollout.accept"))
}

/// The steps, or everything that stands against them.
pub fn steps(goal: &Goal<'_>, choose: Choose<'_>) -> Result<Vec<Step>, Vec<Why>> {
    let mut against = Vec::new();
    if goal.managers.is_empty() {
        against.push(Why::NoManagers);
    }
    let mut components: Vec<Component> =
        if goal.serves { vec![Component::Sds, Component::Sdc] } else { vec![Component::Sdc] };
    components.extend(goal.lia.map(|_| Component::Lia));
    let mut packages: Vec<(Component, Package)> = Vec::new();
    for component in components.clone() {
        // The vendor's agent asks for a package manager, so it does not come to a host without one.
        if component == Component::Lia && packages.iter().any(|(_, package)| package.is_bare) {
            components.retain(|one| *one != Component::Lia);
            continue;
        }
        // Another version of what serves is the business of an upgrade, with its gates and a maintenance around it.
        if let Some(version) = only(goal.installed.get(component.as_str())) {
            let same = Wanted { pinned: Some(version), ..goal.wanted };
            packages.extend(choose(&same, component).ok().map(|package| (component, package)));
            continue;
        }
        match choose(&goal.wanted, component) {
            Ok(package) => {
                if let Err(because) = unproven(&package, component, goal) {
                    against.push(Why::Unfit { because: because.into() });
                }
                packages.push((component, package));
            }
            Err(lack) => against.push(lack.why()),
        }
    }
    if !against.is_empty() {
        return Err(against);
    }
    let has_lia = components.contains(&Component::Lia);
    let artefacts = packages.iter().map(|(_, package)| package.artefact.clone()).collect();
    let mut steps = vec![Step { name: StepName::Stage, task: Task::Stage { artefacts } }];
    // A host without a package manager has no packages to be installed before.
    if packages.iter().any(|(_, package)| !package.is_bare) || packages.is_empty() {
        let task = Task::Prerequisites { components, generation: goal.generation };
        steps.push(Step { name: StepName::Prerequisites, task });
    }
    // Who is reached by the vendor's tools comes last: what they would look at is there then.
    let (lia, packages): (Vec<_>, Vec<_>) = packages.into_iter().partition(|(one, _)| *one == Component::Lia);
    let install = |(component, Package { artefact, is_bare }): (Component, Package)| {
        let name = match component {
            Component::Sds => StepName::InstallSds,
            Component::Lia => StepName::InstallLia,
            _ => StepName::InstallSdc,
        };
        let install = Install { component, artefact, mdms: goal.managers.to_vec() };
        // What stands against it was told above.
        let task = if is_bare { Task::InstallBare { install, accepted: true } } else { Task::Install(install) };
        Step { name, task }
    };
    steps.extend(packages.into_iter().map(install));
    let systems = vec![goal.managers.to_vec()];
    steps.push(Step {
        name: StepName::ConnectSdc,
        task: Task::ConnectSdc { systems, known: goal.known.cloned().into_iter().collect() },
    });
    steps.extend(lia.into_iter().map(install));
    if let Some(installation) = goal.lia.and_then(|lia| lia.installation)
        && has_lia
        && lia_is_not_told(goal).is_none()
    {
        // Without an acceptance where one is needed there is no such step.
        let (installation, generation) = (installation.to_owned(), goal.generation);
        let task = Task::LinkLia { installation, generation, accepted: true };
        steps.push(Step { name: StepName::LinkLia, task });
    }
    Ok(steps)
}

/// Whether a bundle may go onto a host, as far as that was ever seen. The error is for people.
fn unproven(package: &Package, component: Component, goal: &Goal<'_>) -> Result<(), String> {
    let command = match component {
        Component::Sds => Command::BareSds,
        Component::Sdc => Command::BareSdc,
        Component::Mdm | Component::Tb | Component::Lia | Component::Gateway => return Ok(()),
    };
    if !package.is_bare {
        return Ok(());
    }
    command::may(command, goal.generation, goal.accept.contains(command.as_str()))
        .map_err(|because| format!("{because}, in rollout.accept"))
}

/// The version, where there is one alone.
fn only(versions: Option<&BTreeSet<String>>) -> Option<&str> {
    versions.filter(|versions| versions.len() == 1).and_then(|versions| versions.first()).map(String::as_str)
}

/// By which one goal is told from another.
pub fn digest(steps: &[Step]) -> String {
    let tasks: Vec<&Task> = steps.iter().map(|step| &step.task).collect();
    hash(&tasks)
}

/// By which one preflight is told from another.
pub fn about(asked: &Preflight) -> String {
    hash(asked)
}

fn hash(plain: &impl Serialize) -> String {
    // Plain data always has a JSON form.
    let bytes = serde_json::to_vec(plain).unwrap_or_default();
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Where clients find the MDM: by its virtual addresses where it has some, else by its managers'.
pub fn managers(cluster: &MdmCluster) -> Vec<IpAddr> {
    let read = |ips: &[Box<str>]| ips.iter().filter_map(|ip| ip.parse().ok()).collect::<Vec<IpAddr>>();
    let virtual_ips = read(&cluster.virtual_ips);
    if !virtual_ips.is_empty() {
        return virtual_ips;
    }
    let is_manager = |role: MdmRole| matches!(role, MdmRole::Primary | MdmRole::Secondary);
    let mut all: Vec<IpAddr> =
        cluster.members.iter().filter(|member| is_manager(member.role)).flat_map(|member| read(&member.ips)).collect();
    // In one order, whoever owns the cluster: another order would be another goal.
    all.sort_unstable();
    all.dedup();
    all
}

/// The system as an SDC may know it: every address of a manager, also of one that stands by, and the virtual ones.
pub fn known_as(system: &InstalledSystemId, cluster: &MdmCluster) -> KnownAs {
    let serves = |role: MdmRole| !matches!(role, MdmRole::TieBreaker | MdmRole::StandbyTieBreaker);
    let members = cluster.members.iter().filter(|member| serves(member.role));
    let ips = members.flat_map(|member| member.ips.iter().chain(&member.management_ips)).chain(&cluster.virtual_ips);
    let at: BTreeSet<IpAddr> = ips.filter_map(|ip| ip.parse().ok()).collect();
    KnownAs { system: system.to_string(), at: at.into_iter().collect() }
}

/// Those of them that can be reached: a member that is away keeps no node from becoming ready.
pub fn living(cluster: &MdmCluster) -> Vec<IpAddr> {
    let mut living = cluster.clone();
    living.members.retain(|member| !member.status.as_ref().is_some_and(|status| status.is(MdmStatus::Disconnected)));
    managers(&living)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cluster::MdmMember;
    use crate::model::id::MdmId;
    use crate::model::state::Seen;

    fn package(name: &str) -> Package {
        let artefact = Artefact { name: name.to_owned(), sha256: "00".to_owned(), size: 1, url: None };
        Package { artefact, is_bare: false }
    }

    static NONE: BTreeSet<String> = BTreeSet::new();
    static NOTHING: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();

    fn goal(serves: bool, managers: &[IpAddr]) -> Goal<'_> {
        let wanted = Wanted { os: "ID=centos", mdm: "R3_6.1.2", pinned: None };
        let (generation, lia) = (Generation::V3_5, None);
        Goal { serves, wanted, installed: &NOTHING, generation, managers, known: None, lia, accept: &NONE }
    }

    #[test]
    fn lia_comes_last_and_is_told_its_system_where_that_is_known_to_work_or_accepted() {
        let managers = ["10.0.0.1".parse().unwrap()];
        let choose = |_: &Wanted<'_>, component: Component| Ok(package(component.as_str()));
        let accept = ["lia_installation_id".to_owned()].into();
        let names = |goal: &Goal<'_>| {
            let steps = steps(goal, &choose).unwrap();
            steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(" ")
        };
        let lia = Some(Lia { installation: Some("44d2f0a1b7c6e359") });
        let wanted = Goal { lia, ..goal(false, &managers) };
        assert_eq!(names(&wanted), "stage prerequisites install_sdc connect_sdc install_lia");
        assert!(lia_is_not_told(&wanted).unwrap().contains("accept it by its name, in rollout.accept"));
        for told in [Goal { accept: &accept, ..wanted.clone() }, Goal { generation: Generation::V2_0, ..wanted }] {
            assert_eq!(names(&told), "stage prerequisites install_sdc connect_sdc install_lia link_lia");
            assert_eq!(lia_is_not_told(&told), None);
        }
        let silent = Goal { lia: Some(Lia { installation: None }), accept: &accept, ..goal(true, &managers) };
        assert!(!names(&silent).contains("link_lia"));
        assert!(lia_is_not_told(&silent).unwrap().contains("installation id"));
        assert_eq!((no_lia(Generation::V3_5), no_lia(Generation::V4).is_some()), (None, true));
    }

    #[test]
    fn lia_does_not_come_to_a_host_without_a_package_manager_and_a_missing_package_is_told() {
        let managers = ["10.0.0.1".parse().unwrap()];
        let lia = Some(Lia { installation: None });
        let accept = ["bare_sds", "bare_sdc"].map(str::to_owned).into();
        let bare = |_: &Wanted<'_>, component: Component| match component {
            Component::Lia => Err(Lack::None("none".to_owned())),
            other => Ok(Package { is_bare: true, ..package(other.as_str()) }),
        };
        let there = steps(&Goal { lia, accept: &accept, ..goal(true, &managers) }, &bare).unwrap();
        assert!(there.iter().all(|step| step.name != StepName::InstallLia));
        let lacks = |_: &Wanted<'_>, component: Component| match component {
            Component::Lia => Err(Lack::None("no file of lia".to_owned())),
            other => Ok(package(other.as_str())),
        };
        let against = steps(&Goal { lia, ..goal(true, &managers) }, &lacks).unwrap_err();
        assert_eq!(against, [Why::NoPackage { because: "no file of lia".into() }]);
    }

    #[test]
    fn a_server_gets_both_packages_and_a_client_one_and_the_goal_tells_them_apart() {
        let managers = ["10.0.0.1".parse().unwrap()];
        let choose = |_: &Wanted<'_>, component: Component| Ok(package(component.as_str()));
        let names = |serves| {
            let steps = steps(&goal(serves, &managers), &choose).unwrap();
            (steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(" "), digest(&steps))
        };
        let (server, client) = (names(true), names(false));
        assert_eq!(server.0, "stage prerequisites install_sds install_sdc connect_sdc");
        assert_eq!(client.0, "stage prerequisites install_sdc connect_sdc");
        assert_ne!(server.1, client.1);
        assert_eq!(server.1, names(true).1);
    }

    #[test]
    fn a_client_is_told_the_virtual_addresses_and_how_the_system_may_be_known_already() {
        let id = InstalledSystemId::new("4c8a0b2300000001");
        let member = |last: u8, role: MdmRole| MdmMember {
            id: MdmId::new(&format!("{last}")),
            name: None,
            role,
            status: None,
            version: None,
            ips: vec![format!("192.0.2.{last}").into()],
            management_ips: vec![format!("198.51.100.{last}").into()],
            port: None,
        };
        let roles = [MdmRole::StandbyManager, MdmRole::Primary, MdmRole::TieBreaker, MdmRole::StandbyTieBreaker];
        let cluster = MdmCluster {
            id: None,
            name: None,
            mode: Seen::read("ThreeNodes"),
            state: Seen::read("ClusteredNormal"),
            good_nodes: None,
            good_replicas: None,
            virtual_ips: vec!["192.0.2.100".into()],
            members: (1..).zip(roles).map(|(last, role)| member(last, role)).collect(),
        };
        let (managers, known) = (managers(&cluster), known_as(&id, &cluster));
        let ips = |all: &[&str]| all.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert_eq!(managers, ips(&["192.0.2.100"]));
        assert_eq!(known.system, "4c8a0b2300000001");
        assert_eq!(known.at, ips(&["192.0.2.1", "192.0.2.2", "192.0.2.100", "198.51.100.1", "198.51.100.2"]));
        let choose = |_: &Wanted<'_>, component: Component| Ok(package(component.as_str()));
        let steps = steps(&Goal { known: Some(&known), ..goal(false, &managers) }, &choose).unwrap();
        let wanted = Task::ConnectSdc { systems: vec![managers], known: vec![known] };
        assert!(steps.iter().any(|step| step.task == wanted), "{steps:?}");
    }

    #[test]
    fn everything_that_stands_against_it_is_told_at_once() {
        let choose = |_: &Wanted<'_>, component: Component| match component {
            Component::Sds => Err(Lack::None("no file for centos 7".to_owned())),
            other => Ok(package(other.as_str())),
        };
        let against = steps(&goal(true, &[]), &choose).unwrap_err();
        assert_eq!(against, [Why::NoManagers, Why::NoPackage { because: "no file for centos 7".into() }]);
    }

    #[test]
    fn a_package_that_comes_is_waited_for_and_needs_nobody() {
        let managers = ["10.0.0.1".parse().unwrap()];
        let choose = |_: &Wanted<'_>, _: Component| Err(Lack::Comes("a.rpm is being fetched".to_owned()));
        let against = steps(&goal(false, &managers), &choose).unwrap_err();
        assert_eq!(against, [Why::WaitsFor { what: "a.rpm is being fetched".into() }]);
        assert!(!against[0].needs_a_person());
    }

    #[test]
    fn what_is_installed_stays_in_its_version_whatever_else_there_is() {
        let managers = ["10.0.0.1".parse().unwrap()];
        let choose = |wanted: &Wanted<'_>, component: Component| match wanted.pinned {
            Some("gone") => Err(Lack::None("no file of it".to_owned())),
            pinned => Ok(package(&format!("{component} {}", pinned.unwrap_or("newest")))),
        };
        let names = |installed: &[(&str, &[&str])]| {
            let versions = |all: &[&str]| all.iter().map(|version| (*version).to_owned()).collect();
            let installed = installed.iter().map(|(word, all)| ((*word).to_owned(), versions(all))).collect();
            let steps = steps(&Goal { installed: &installed, ..goal(true, &managers) }, &choose).unwrap();
            let packages = steps.iter().filter_map(|step| match &step.task {
                Task::Install(install) => Some(install.artefact.name.clone()),
                _ => None,
            });
            packages.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(names(&[]), "sds newest, sdc newest");
        assert_eq!(names(&[("sds", &["3.5-1.1"])]), "sds 3.5-1.1, sdc newest");
        assert_eq!(names(&[("sds", &["gone"])]), "sdc newest");
        assert_eq!(names(&[("sds", &["half", "two versions"])]), "sds newest, sdc newest", "to be mended");
    }

    #[test]
    fn a_host_without_a_package_manager_gets_bundles_once_a_person_accepted_them() {
        let managers = ["10.0.0.1".parse().unwrap()];
        let choose =
            |_: &Wanted<'_>, component: Component| Ok(Package { is_bare: true, ..package(component.as_str()) });
        let against = steps(&goal(true, &managers), &choose).unwrap_err();
        assert!(against[0].to_string().contains("bare_sds was never seen"), "{against:?}");
        assert!(against.iter().all(Why::needs_a_person) && against.len() == 2);
        let accept = ["bare_sds", "bare_sdc"].map(str::to_owned).into();
        let steps = steps(&Goal { accept: &accept, ..goal(true, &managers) }, &choose).unwrap();
        let names: Vec<&str> = steps.iter().map(|step| step.task.name()).collect();
        assert_eq!(names, ["stage", "install_bare", "install_bare", "connect_sdc"]);
    }
}

//! What is a node told, so that tasks of its Mesos agent get volumes?

use super::rollout::steps::{Step, StepName};
use crate::config::System;
use crate::config::volumes::MesosFlags;
use crate::model::command::{Command, may};
use crate::model::order::{Artefact, Consume, Hidden, MesosVolumes, Secrets, Task};
use crate::model::rollout::Why;
use crate::model::version::Generation;

/// The programs that artefacts have; none: nodes have them from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// REX-Ray.
    pub rexray: Option<Artefact>,
    /// dvdcli.
    pub dvdcli: Option<Artefact>,
    /// Modules of DVDI, for Mesos before 1.0.
    pub modules: Vec<Artefact>,
}

impl Programs {
    /// Of many files, those that are these programs.
    pub fn among<'a>(files: impl IntoIterator<Item = &'a Artefact>) -> Self {
        let files: Vec<&Artefact> = files.into_iter().collect();
        let program = |name: &str| {
            let chosen = newest(files.iter().map(|file| file.name.as_str()), name)?;
            files.iter().find(|file| file.name == chosen).copied().cloned()
        };
        let is_module =
            |file: &&Artefact| file.name.starts_with("libmesos_dvdi_isolator-") && file.name.ends_with(".so");
        let modules = files.iter().copied().filter(is_module).cloned().collect();
        Self { rexray: program("rexray"), dvdcli: program("dvdcli"), modules }
    }
}

/// What a node with a Mesos agent gets, once its client is connected, so that tasks get volumes of a system. None where a
/// site wants none; the error says why there are none. `mesos` is the version of the node's Mesos agent, once a master told it.
pub fn steps(
    system: &System,
    programs: &Programs,
    id: &str,
    generation: Generation,
    mesos: Option<&str>,
) -> Option<Result<Vec<Step>, Why>> {
    let order = task(system, programs, id, generation)?;
    let wanted = system.volumes.as_ref()?;
    if let Err(because) = fits(generation, wanted.accepted) {
        return Some(Err(Why::NoVolumes { because: because.into() }));
    }
    let mut steps = vec![Step { name: StepName::ConsumeVolumes, task: order }];
    if wanted.mesos_flags == MesosFlags::Merge {
        let Some(mesos) = mesos else {
            return Some(Err(Why::WaitsFor { what: "the Mesos master to tell of its agent".into() }));
        };
        match module(mesos, &programs.modules) {
            Ok(module) => {
                let module = module.cloned();
                let task = Task::MesosVolumes(Box::new(MesosVolumes { module }));
                steps.push(Step { name: StepName::MesosVolumes, task });
            }
            Err(because) => return Some(Err(Why::NoVolumes { because: because.into() })),
        }
    }
    Some(Ok(steps))
}

/// The release of Mesos that brought its own isolator.
const OWN_ISOLATOR: u64 = 1;

/// The module of DVDI that an agent needs; none: it has an isolator of its own. A module goes with exactly one version.
fn module<'a>(mesos: &str, modules: &'a [Artefact]) -> Result<Option<&'a Artefact>, String> {
    let major = mesos.split('.').next().and_then(|major| major.parse::<u64>().ok());
    let major = major.ok_or_else(|| format!("the version {mesos:?} of its Mesos agent is not understood"))?;
    if major >= OWN_ISOLATOR {
        return Ok(None);
    }
    let name = format!("libmesos_dvdi_isolator-{mesos}.so");
    modules.iter().find(|artefact| artefact.name == name).map(Some).ok_or_else(|| {
        let others: Vec<&str> = modules.iter().map(|artefact| artefact.name.as_str()).collect();
        let others = if others.is_empty() { "no other".to_owned() } else { others.join(", ") };
        format!(
            "Mesos {mesos} has no isolator docker/volume, and a module of DVDI goes with its own version of Mesos only: put {name} into artefacts.folder (there is {others}) and restart the controller, or bring Mesos to 1.0 or later"
        )
    })
}

/// Whether REX-Ray goes with a release.
fn fits(generation: Generation, is_accepted: bool) -> Result<(), String> {
    if generation >= Generation::V4 {
        return Err(format!(
            "REX-Ray does not know the login of release {generation}; there Mesos' own CSI support gives volumes, see docs/rollout.md"
        ));
    }
    may(Command::VolumeDriver, generation, is_accepted)
        .map_err(|because| format!("{because}, by volumes.accept = true"))
}

/// The order for a node that consumes; none where a site wants no volumes for tasks.
/// `id` is that of the system, by which its gateway tells it from others.
fn task(system: &System, programs: &Programs, id: &str, generation: Generation) -> Option<Task> {
    let wanted = system.volumes.as_ref()?;
    let gateway = wanted.gateway.as_ref().or_else(|| system.gateways.first())?;
    let rollout = system.rollout.as_ref();
    let of_rollout = |name: &Option<Box<str>>, usual: Option<&Box<str>>| -> Option<String> {
        name.as_ref().or(usual).map(ToString::to_string)
    };
    let consume = Consume {
        rexray: programs.rexray.clone(),
        dvdcli: programs.dvdcli.clone(),
        gateway: gateway.as_str().to_owned(),
        user: wanted.login.user.clone(),
        system: id.to_owned(),
        domain: of_rollout(&wanted.domain, rollout.map(|rollout| &rollout.domain))?,
        pool: of_rollout(&wanted.pool, rollout.map(|rollout| &rollout.pool))?,
        thin: wanted.thin,
        preempts: wanted.preempts,
        trusts_any: wanted.trusts_any,
        generation,
        accepted: wanted.accepted,
    };
    Some(Task::ConsumeVolumes(Box::new(consume)))
}

/// What the order for volumes needs and nobody else may read.
pub fn secrets(system: &System) -> Secrets {
    let password = system.volumes.as_ref().map(|wanted| Hidden::new(wanted.login.password.reveal()));
    Secrets { volumes: password, ..Secrets::default() }
}

/// The newest file of a program, by names such as `rexray-0.11.4` or `dvdcli-Linux-x86_64-0.2.1`.
/// An archive is none: what is in it has another hash.
pub fn newest<'a>(names: impl IntoIterator<Item = &'a str>, program: &str) -> Option<&'a str> {
    let version = |name: &str| -> Option<Vec<u64>> {
        let rest = name.strip_prefix(program)?.strip_prefix('-')?;
        let version = rest.rsplit('-').next()?;
        version.split('.').map(|number| number.parse().ok()).collect()
    };
    let versions = names.into_iter().filter_map(|name| version(name).map(|version| (version, name)));
    versions.max().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rollout::Rollout;
    use crate::config::volumes::{MesosFlags, Volumes};
    use crate::config::{GatewayUrl, Login, Secret, Trust};

    fn system() -> System {
        let login = |user: &str| Login { user: user.to_owned(), password: Secret::new("hunter2") };
        let gateway = GatewayUrl::at("192.0.2.1:443".parse().unwrap());
        let volumes = Volumes {
            login: login("rexray"),
            gateway: None,
            domain: None,
            pool: Some("ssd".into()),
            thin: true,
            preempts: true,
            trusts_any: false,
            accepted: false,
            mesos_flags: MesosFlags::Merge,
        };
        System {
            rollout: Some(Rollout::default()),
            volumes: Some(volumes),
            ..System::new(vec![gateway], login("monitor"), Trust::SystemRoots)
        }
    }

    #[test]
    fn a_node_is_told_where_volumes_come_from_and_nothing_where_none_are_wanted() {
        let system = system();
        let order = task(&system, &Programs::default(), "4c8a", Generation::V2_0).unwrap();
        let Task::ConsumeVolumes(consume) = order else { panic!() };
        assert_eq!((consume.gateway.as_str(), consume.user.as_str()), ("https://192.0.2.1:443", "rexray"));
        assert_eq!((consume.domain.as_str(), consume.pool.as_str()), ("default", "ssd"));
        assert_eq!(secrets(&system).volumes.unwrap().reveal(), "hunter2");
        let without = System { volumes: None, ..system };
        assert_eq!(task(&without, &Programs::default(), "4c8a", Generation::V2_0), None);
    }

    #[test]
    fn the_newest_file_of_a_program_is_taken() {
        let names = ["rexray-0.9.2", "rexray-0.11.4", "rexray-Linux-x86_64-0.11.3", "rexray-0.12.0.tar.gz", "README"];
        assert_eq!(newest(names, "rexray"), Some("rexray-0.11.4"));
        assert_eq!(newest(["dvdcli-Linux-x86_64-0.2.1"], "dvdcli"), Some("dvdcli-Linux-x86_64-0.2.1"));
        assert_eq!(newest(names, "dvdcli"), None);
    }

    #[test]
    fn a_node_gets_the_programs_and_then_its_mesos_agent_the_flags() {
        let file = |name: &str| Artefact { name: name.to_owned(), sha256: "0".to_owned(), size: 1, url: None };
        let files = ["rexray-0.11.4", "rexray-0.9.0", "dvdcli-0.2.1", "libmesos_dvdi_isolator-0.28.2.so"].map(file);
        let programs = Programs::among(&files);
        assert_eq!(programs.rexray.as_ref().map(|file| file.name.as_str()), Some("rexray-0.11.4"));
        let of = |system: &System, generation| steps(system, &programs, "4c8a", generation, Some("1.11.0")).unwrap();
        let names = |system: &System| {
            of(system, Generation::V2_0).unwrap().iter().map(|step| step.name.as_str()).collect::<Vec<_>>()
        };
        let mut system = system();
        assert_eq!(names(&system), ["consume_volumes", "mesos_volumes"]);
        let told = of(&system, Generation::V3_5).unwrap_err().to_string();
        assert!(told.contains("volume_driver") && told.contains("volumes.accept"), "{told}");
        assert!(of(&system, Generation::V4).unwrap_err().to_string().contains("CSI"));
        system.volumes.as_mut().unwrap().mesos_flags = MesosFlags::Leave;
        assert_eq!(names(&system), ["consume_volumes"]);
    }

    #[test]
    fn a_module_goes_with_its_own_version_of_mesos_only() {
        let file = |version: &str| {
            let name = format!("libmesos_dvdi_isolator-{version}.so");
            Artefact { name, sha256: "0".repeat(64), size: 1, url: None }
        };
        let modules = [file("0.28.2"), file("1.2.1")];
        assert_eq!(module("1.11.0", &modules), Ok(None));
        assert_eq!(module("0.28.2", &modules), Ok(Some(&modules[0])));
        let told = module("0.28.3", &modules).unwrap_err();
        assert!(told.contains("put libmesos_dvdi_isolator-0.28.3.so") && told.contains("1.2.1.so"), "{told}");
        assert!(module("HEAD", &modules).is_err());
        let unknown = steps(&system(), &Programs::default(), "4c8a", Generation::V2_0, None).unwrap().unwrap_err();
        assert!(unknown.to_string().contains("the Mesos master"), "{unknown}");
    }
}

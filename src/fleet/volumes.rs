//! What is a node told, so that tasks of its Mesos agent get volumes?

use crate::config::System;
use crate::model::order::{Artefact, Consume, Hidden, Secrets, Task};
use crate::model::version::Generation;

/// The programs that artefacts have; none: nodes have them from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs {
    /// REX-Ray.
    pub rexray: Option<Artefact>,
    /// dvdcli.
    pub dvdcli: Option<Artefact>,
}

/// The order for a node that consumes; none where a site wants no volumes for tasks.
/// `id` is that of the system, by which its gateway tells it from others.
pub fn task(system: &System, programs: &Programs, id: &str, generation: Generation) -> Option<(Task, Secrets)> {
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
    let password = Hidden::new(wanted.login.password.reveal());
    Some((Task::ConsumeVolumes(Box::new(consume)), Secrets { volumes: Some(password), ..Secrets::default() }))
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
    use crate::config::volumes::Volumes;
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
        let (order, secrets) = task(&system, &Programs::default(), "4c8a", Generation::V2_0).unwrap();
        let Task::ConsumeVolumes(consume) = order else { panic!() };
        assert_eq!((consume.gateway.as_str(), consume.user.as_str()), ("https://192.0.2.1:443", "rexray"));
        assert_eq!((consume.domain.as_str(), consume.pool.as_str()), ("default", "ssd"));
        assert_eq!(secrets.volumes.unwrap().reveal(), "hunter2");
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
}

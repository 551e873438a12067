//! How a Mesos agent gives volumes to its tasks, and what of its flags changes for that.
//!
//! Its flags are the site's own: what is missing is added, and nothing else is
//! touched. Packages of Mesos keep a file for each flag in `/etc/mesos-slave`,
//! which `mesos-init-wrapper` makes arguments of; other services are told by a
//! variable. A flag among the arguments of a unit is the site's to change.

use serde_json::{Value, json};

use super::volumes::DVDCLI;
use crate::model::order::Artefact;

/// Names of the process; the kernel cuts them at 15 letters.
pub const PROCESSES: [&str; 2] = ["mesos-agent", "mesos-slave"];

/// What packages of Mesos start, and it starts the agent.
pub const WRAPPER: &str = "mesos-init-wrapper";

/// Where packages keep a file for each flag.
const FLAGS: &str = "/etc/mesos-slave";

/// What other services read.
const VARIABLES: &str = "/etc/scaleio-framework/mesos-agent.env";

/// The modules of the agent, with ours among them.
pub const MODULES: &str = "/etc/scaleio-framework/mesos-modules.json";

/// Where modules of ours go; `/usr` cannot be written everywhere.
const LIBRARIES: &str = "/opt/scaleio-framework";

/// What an agent has that says nothing of it.
const USUAL: &str = "posix/cpu,posix/mem";

const DOCKER_VOLUME: &str = "docker/volume";
const FILESYSTEM: &str = "filesystem/linux";
/// Only one isolator of file systems goes.
const OTHER_FILESYSTEM: &str = "filesystem/posix";
const MODULE: &str = "com_emccode_mesos_DockerVolumeDriverIsolator";

/// How the Mesos agent of a node works, as its own process tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MesosAgent {
    /// `--isolation`; none: the usual one.
    pub isolation: Option<String>,
    /// `--launcher`; none: the usual one.
    pub launcher: Option<String>,
    /// `--modules`.
    pub modules: Option<String>,
    /// The folders in which it looks for programs.
    pub path: Vec<String>,
    /// Flags that are among its arguments.
    pub arguments: Vec<String>,
}

/// A file that is changed.
pub type File = (String, String);

impl MesosAgent {
    /// Reads a process' arguments and variables, each ended by a zero.
    pub fn read(arguments: &str, variables: &str) -> Self {
        let flags: Vec<(&str, &str)> =
            arguments.split('\0').filter_map(|word| word.strip_prefix("--")?.split_once('=')).collect();
        let variable = |name: &str| {
            let found = variables.split('\0').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            found.map(str::to_owned)
        };
        let flag = |name: &str| {
            let argument = flags.iter().rev().find(|(flag, _)| *flag == name).map(|(_, value)| (*value).to_owned());
            argument.or_else(|| variable(&format!("MESOS_{}", name.to_ascii_uppercase())))
        };
        let path = variable("PATH").unwrap_or_default();
        Self {
            isolation: flag("isolation"),
            launcher: flag("launcher"),
            modules: flag("modules"),
            path: path.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect(),
            arguments: flags.iter().map(|(flag, _)| (*flag).to_owned()).collect(),
        }
    }

    fn isolators(&self) -> Vec<&str> {
        let list = self.isolation.as_deref().unwrap_or(USUAL);
        list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
    }

    /// Whether its launcher is another one than `docker/volume` needs. What it takes by itself as root is the right one.
    fn has_other_launcher(&self) -> bool {
        self.launcher.as_deref().is_some_and(|launcher| launcher != "linux")
    }

    /// Whether a task of it can get a volume; else what is missing.
    pub fn judge(&self) -> Result<(), String> {
        let isolators = self.isolators();
        // The module of before Mesos 1.0 does it by itself.
        if isolators.iter().any(|name| name.ends_with("DockerVolumeDriverIsolator")) {
            return Ok(());
        }
        let mut missing: Vec<&str> =
            [DOCKER_VOLUME, FILESYSTEM].into_iter().filter(|name| !isolators.contains(name)).collect();
        if self.has_other_launcher() {
            missing.push("the launcher linux");
        }
        if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) }
    }

    /// What its isolation becomes.
    fn isolation_with(&self, module: Option<&Artefact>) -> String {
        let mut all = self.isolators();
        let wanted: &[&str] = match module {
            None => {
                all.retain(|name| *name != OTHER_FILESYSTEM);
                &[FILESYSTEM, DOCKER_VOLUME]
            }
            Some(_) => &[MODULE],
        };
        for name in wanted {
            if !all.contains(name) {
                all.push(name);
            }
        }
        all.join(",")
    }

    /// The files that give it what it lacks. `unit` is its service, `starts` what that starts, `modules` the text of
    /// what `--modules` names, `module` the one of DVDI where its own isolator is not there. The error says what a person must do.
    pub fn change(
        &self,
        unit: &str,
        starts: &str,
        modules: &str,
        module: Option<&Artefact>,
    ) -> Result<Vec<File>, String> {
        let mut flags = vec![("isolation", self.isolation_with(module))];
        let mut files = Vec::new();
        match module {
            None if self.has_other_launcher() => {
                return Err(format!(
                    "{unit} has the launcher {}, with which tasks of it get no volumes; a launcher cannot change under tasks that run, so drain the agent, set --launcher=linux, and start it again",
                    self.launcher.as_deref().unwrap_or_default()
                ));
            }
            None => {}
            Some(artefact) => {
                if self.arguments.iter().any(|flag| flag == "modules_dir") {
                    return Err(format!(
                        "{unit} takes its modules from --modules_dir, beside which no others go; put that of DVDI there and add {MODULE} to --isolation"
                    ));
                }
                files.push((MODULES.to_owned(), with_module(modules, &library(artefact))?));
                flags.push(("modules", format!("file://{MODULES}")));
            }
        }
        if starts.contains(WRAPPER) {
            files.extend(flags.into_iter().map(|(flag, value)| (format!("{FLAGS}/{flag}"), format!("{value}\n"))));
            return Ok(files);
        }
        if let Some((flag, value)) = flags.iter().find(|(flag, _)| self.arguments.iter().any(|one| one == flag)) {
            return Err(format!(
                "{unit} gives --{flag} as an argument; make it --{flag}={value} there and start it again"
            ));
        }
        let lines: String =
            flags.iter().map(|(flag, value)| format!("MESOS_{}={value}\n", flag.to_ascii_uppercase())).collect();
        files.push((VARIABLES.to_owned(), lines));
        files.push((drop_in(unit), format!("[Service]\nEnvironmentFile={VARIABLES}\n")));
        Ok(files)
    }
}

/// What makes a unit read our variables.
fn drop_in(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}.service.d/20-scaleio-framework.conf")
}

/// Where a module goes.
pub fn library(artefact: &Artefact) -> String {
    format!("{LIBRARIES}/{}", artefact.name)
}

/// The file that a value of `--modules` names; none: it is the text itself.
pub fn modules_file(value: &str) -> Option<&str> {
    value.strip_prefix("file://").or_else(|| value.starts_with('/').then_some(value))
}

/// The modules with that of DVDI from a library; others stay.
fn with_module(text: &str, library: &str) -> Result<String, String> {
    let mut all: Value = if text.trim().is_empty() {
        json!({})
    } else {
        serde_json::from_str(text).map_err(|error| format!("what --modules says is no JSON ({error}); mend it"))?
    };
    let ours = json!({ "file": library, "modules": [{
        "name": MODULE, "parameters": [{ "key": "isolator_command", "value": "/emc/dvdi_isolator" }],
    }] });
    let libraries = all.as_object_mut().map(|all| all.entry("libraries").or_insert_with(|| json!([])));
    let Some(libraries) = libraries.and_then(Value::as_array_mut) else {
        return Err("what --modules says has no list of libraries; mend it".to_owned());
    };
    let is_ours =
        |one: &Value| one["modules"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == MODULE));
    libraries.retain(|one| !is_ours(one));
    libraries.push(ours);
    Ok(format!("{all:#}\n"))
}

/// The service of a process, by what the kernel tells of its control groups.
pub fn unit(groups: &str) -> Option<&str> {
    let last = groups.lines().filter_map(|line| line.rsplit('/').next());
    last.filter_map(|name| name.strip_suffix(".service")).find(|name| !name.is_empty())
}

/// Where an agent would find dvdcli.
pub fn dvdcli(agent: &MesosAgent) -> impl Iterator<Item = String> {
    agent.path.iter().map(|folder| format!("{folder}/{DVDCLI}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(isolation: &str, launcher: &str) -> MesosAgent {
        MesosAgent::read(&format!("mesos-agent\0--isolation={isolation}\0--launcher={launcher}\0"), "PATH=/a:/b\0")
    }

    fn module(version: &str) -> Artefact {
        let name = format!("libmesos_dvdi_isolator-{version}.so");
        Artefact { name, sha256: "0".repeat(64), size: 1, url: None }
    }

    #[test]
    fn a_mesos_agent_says_what_it_lacks() {
        assert_eq!(flags("docker/volume,filesystem/linux,posix/cpu", "linux").judge(), Ok(()));
        assert_eq!(flags("posix/cpu,posix/mem", "linux").judge().unwrap_err(), "docker/volume, filesystem/linux");
        assert_eq!(flags("docker/volume,filesystem/linux", "posix").judge().unwrap_err(), "the launcher linux");
        assert_eq!(flags("com_emccode_mesos_DockerVolumeDriverIsolator,posix/cpu", "posix").judge(), Ok(()));
        let by_variables = MesosAgent::read("mesos-slave\0", "MESOS_ISOLATION=docker/volume, filesystem/linux\0");
        assert_eq!(by_variables.judge(), Ok(()));
        assert!(MesosAgent::default().judge().is_err(), "the usual isolation has no volumes");
        assert_eq!(flags("", "").path, ["/a", "/b"]);
    }

    #[test]
    fn what_it_has_stays_and_what_it_lacks_is_added() {
        let usual = MesosAgent::read("/usr/sbin/mesos-slave\0--master=m\0", "");
        let files = usual.change("mesos-slave", "/usr/bin/mesos-init-wrapper slave", "", None);
        let told = "posix/cpu,posix/mem,filesystem/linux,docker/volume\n".to_owned();
        assert_eq!(files, Ok(vec![("/etc/mesos-slave/isolation".to_owned(), told)]));
        let other = MesosAgent::read("mesos-agent\0", "MESOS_ISOLATION=cgroups/cpu,filesystem/posix,network/cni\0");
        let files = other.change("mesos-agent", "/opt/mesos/agent", "", None).unwrap();
        assert_eq!(files[0].1, "MESOS_ISOLATION=cgroups/cpu,network/cni,filesystem/linux,docker/volume\n");
        assert_eq!(files[1].0, "/etc/systemd/system/mesos-agent.service.d/20-scaleio-framework.conf");
        assert!(files[1].1.contains(&files[0].0), "{files:?}");
    }

    #[test]
    fn what_is_the_site_s_to_change_is_told() {
        let told = flags("posix/cpu", "linux").change("own", "/opt/agent", "", None).unwrap_err();
        assert!(told.contains("--isolation=posix/cpu,filesystem/linux,docker/volume there"), "{told}");
        let told = flags("posix/cpu", "posix").change("own", WRAPPER, "", None).unwrap_err();
        assert!(told.contains("--launcher=linux"), "{told}");
    }

    #[test]
    fn modules_of_others_stay_beside_that_of_dvdi() {
        let agent = MesosAgent::read("mesos-slave\0--modules=file:///etc/own.json\0--isolation=posix/cpu\0", "");
        assert_eq!(agent.modules.as_deref().and_then(modules_file), Some("/etc/own.json"));
        let own = r#"{"libraries":[{"file":"/own.so","modules":[{"name":"own"}]},{"file":"/usr/lib/old.so",
            "modules":[{"name":"com_emccode_mesos_DockerVolumeDriverIsolator"}]}]}"#;
        let files = agent.change("mesos-slave", WRAPPER, own, Some(&module("0.28.2"))).unwrap();
        assert!(files[0].1.contains("/own.so") && !files[0].1.contains("old.so"), "{files:?}");
        assert!(files[0].1.contains("/opt/scaleio-framework/libmesos_dvdi_isolator-0.28.2.so"), "{files:?}");
        assert_eq!(files[1].1, "posix/cpu,com_emccode_mesos_DockerVolumeDriverIsolator\n");
        assert_eq!(files[2].1, format!("file://{MODULES}\n"));
        assert!(agent.change("mesos-slave", WRAPPER, "nonsense", Some(&module("0.28.2"))).is_err());
    }

    #[test]
    fn the_service_of_a_process_is_found_by_its_control_groups() {
        assert_eq!(unit("0::/system.slice/mesos-slave.service\n"), Some("mesos-slave"));
        assert_eq!(unit("3:cpu:/\n1:name=systemd:/system.slice/own.service\n"), Some("own"));
        assert_eq!(unit("0::/user.slice/session-1.scope\n"), None);
    }
}

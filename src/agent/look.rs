//! What does an agent see on its host? Gathered between steps, changed by nobody.
//!
//! What cannot be told is left out, and whoever reads it takes that for a no.

use std::collections::{BTreeMap, BTreeSet};

use super::host::{Call, Host};
use super::preflight::{gather, proc};
use super::recipes::component::facts;
use super::recipes::os::Os;
use super::recipes::package::PackageFile;
use super::recipes::release::Release;
use super::recipes::{Installed, driver, drv_cfg};
use super::steps::{self, note};
use crate::model::order::{Component, HostReport};

/// A tie-breaker is the manager's package, so it is no component of its own here.
const COMPONENTS: [Component; 5] = [Component::Mdm, Component::Sds, Component::Sdc, Component::Lia, Component::Gateway];

/// Lines of os-release that tell which packages fit.
const OS_LINES: [&str; 3] = ["ID=", "VERSION_ID=", "PRETTY_NAME="];

/// Looks.
pub fn look(host: &mut dyn Host) -> HostReport {
    let text = host.read("/etc/os-release").ok().flatten().unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines = text.lines().map(str::trim).filter(|line| OS_LINES.iter().any(|name| line.starts_with(name)));
    let os = lines.collect::<Vec<_>>().join("\n");
    let known = Os::read(&os).ok();
    let installed = known.as_ref().map(|os| installed(os, host)).unwrap_or_default();
    let modules = known.as_ref().map(|os| modules(os, &installed, host)).unwrap_or_default();
    HostReport {
        os,
        next_kernel: next_kernel(host),
        modules,
        staged: staged(host),
        running: running(&installed, host),
        open_volumes: open_volumes(host),
        module: table(host, "/proc/modules").and_then(|table| module(&table)),
        cores: table(host, "/proc/cpuinfo").and_then(|table| proc::cores(&table)),
        memory_mib: table(host, "/proc/meminfo").and_then(|table| proc::memory_mib(&table)),
        addresses: gather::addresses(host).iter().map(ToString::to_string).collect(),
        installed,
    }
}

fn table(host: &mut dyn Host, path: &str) -> Option<String> {
    host.read(path).ok().flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn installed(os: &Os, host: &mut dyn Host) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for component in COMPONENTS {
        let Ok(read) = steps::installed(component, os, host) else { continue };
        // The books do not show a script that failed; the note does, which was made before.
        let noted = host.exists(&note(component, host));
        let versions = match read {
            Installed::Whole(release) if noted => ["half".to_owned(), release.to_string()].into(),
            Installed::Whole(release) => [release.to_string()].into(),
            // Not one version: nobody takes it for installed.
            Installed::Half(why) => ["half".to_owned(), why.chars().take(200).collect()].into(),
            Installed::Absent | Installed::Unclear(_) => continue,
        };
        all.insert(facts(component).word.to_owned(), versions);
    }
    all
}

fn running(installed: &BTreeMap<String, BTreeSet<String>>, host: &mut dyn Host) -> BTreeSet<String> {
    let mut running = BTreeSet::new();
    for component in COMPONENTS {
        let facts = facts(component);
        if !installed.contains_key(facts.word) {
            continue;
        }
        let output = host.run(&Call::new("systemctl", ["is-active", facts.unit]));
        if output.is_ok_and(|output| output.stdout.trim() == "active") {
            running.insert(facts.word.to_owned());
        }
    }
    running
}

/// Files lie in the folder only when their hash was right.
fn staged(host: &mut dyn Host) -> BTreeMap<String, BTreeSet<String>> {
    let folder = format!("{}/staged", host.state_folder());
    let mut staged: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for name in host.list(&folder).unwrap_or_default() {
        if let Ok(file) = PackageFile::read(&name) {
            staged.entry(file.word).or_default().insert(file.release.to_string());
        }
    }
    staged
}

/// Kernels for which the installed SDC has a module.
fn modules(os: &Os, installed: &BTreeMap<String, BTreeSet<String>>, host: &mut dyn Host) -> BTreeSet<String> {
    let versions = installed.get(facts(Component::Sdc).word).into_iter().flatten();
    let releases: Vec<Release> = versions.filter_map(|version| Release::read(version)).collect();
    let mut kernels = BTreeSet::new();
    for release in releases {
        for kernel in host.list(&driver::folder(os, &release)).unwrap_or_default() {
            if host.exists(&driver::path(os, &release, &kernel)) {
                kernels.insert(kernel);
            }
        }
    }
    kernels
}

/// The boot loader's word where it gives one, else the newest kernel in `/boot`.
fn next_kernel(host: &mut dyn Host) -> String {
    const PREFIX: &str = "vmlinuz-";
    if let Ok(output) = host.run(&Call::new("grubby", ["--default-kernel"]))
        && output.is_good()
        && let Some((_, kernel)) = output.stdout.trim().rsplit_once(PREFIX)
    {
        return kernel.to_owned();
    }
    let names = host.list("/boot").unwrap_or_default();
    let kernels = names.iter().filter_map(|name| name.strip_prefix(PREFIX));
    let newest = kernels.filter(|kernel| !kernel.contains("rescue")).max_by_key(|kernel| numbers(kernel));
    newest.unwrap_or_default().to_owned()
}

/// The numbers of a version, by which it is older or newer.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// `scini 1048576 3 - Live 0xffffffffc0a00000 (POE)`: the word behind those who use it.
fn module(table: &str) -> Option<String> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some("scini"))?;
    line.split_whitespace().nth(4).map(str::to_owned)
}

fn open_volumes(host: &mut dyn Host) -> Option<u32> {
    // Without the program there is no working client.
    let Some(program) = drv_cfg::PROGRAMS.into_iter().find(|program| host.exists(program)) else { return Some(0) };
    let output = host.run(&Call::new(program, ["--query_vols"])).ok()?;
    let line = output.stdout.lines().find_map(|line| line.strip_prefix("Retrieved "))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_cannot_go_is_seen_by_the_kernel_s_word() {
        let table =
            |state: &str| format!("scinix 1 0 - Live 0x0\nscini 1048576 3 - {state} 0x0 (POE)\nloop 1 0 - Live 0x0\n");
        assert_eq!(module(&table("Unloading")).as_deref(), Some("Unloading"));
        assert_eq!(module(&table("Live")).as_deref(), Some("Live"));
        assert_eq!(module("loop 1 0 - Live 0x0\n"), None);
    }

    #[test]
    fn kernels_are_compared_by_their_numbers() {
        assert!(numbers("5.14.0-70.el9") > numbers("5.4.0-200.el9"));
        assert!(numbers("4.15.0-213-generic") > numbers("4.15.0-99-generic"));
    }
}

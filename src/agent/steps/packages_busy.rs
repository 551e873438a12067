//! Whether a package manager is at work: a person's, the system's own, or one
//! of ours that outlived the agent that started it.

use crate::agent::host::Host;

/// By the names of their processes, which the kernel cuts at 15 letters.
const NAMES: [&str; 11] =
    ["rpm", "rpm.bin", "yum", "dnf", "zypper", "packagekitd", "dpkg", "apt-get", "apt", "aptitude", UNATTENDED];

/// The name that `unattended-upgrade` shares with what waits for the end of the system.
const UNATTENDED: &str = "unattended-upgr";

/// It waits on Debian and Ubuntu for as long as they are up, and lets the packages be. What it starts at the end has a
/// process of its own.
const WAITS: &str = "unattended-upgrade-shutdown";

/// The name of one that runs.
pub(super) fn running(host: &mut dyn Host) -> Option<String> {
    let processes = host.list("/proc").ok()?;
    processes.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).find_map(|process| {
        // One that ended between the two looks runs no more.
        let name = host.read(&format!("/proc/{process}/comm")).ok()??;
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        let is_at_work = NAMES.contains(&name.as_str()) && !(name == UNATTENDED && waits(process, host));
        is_at_work.then(|| format!("{name} (process {process})"))
    })
}

/// Whether a process only waits. One that does not tell its words is at work.
fn waits(process: &str, host: &mut dyn Host) -> bool {
    let words = host.read(&format!("/proc/{process}/cmdline")).ok().flatten().unwrap_or_default();
    // The first is the interpreter, or the program itself.
    let mut programs = words.split(|byte| *byte == 0).take(2).map(String::from_utf8_lossy);
    programs.any(|program| program.rsplit('/').next() == Some(WAITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::fixture::Fake;

    #[test]
    fn what_waits_for_the_end_of_the_system_is_not_at_work_and_what_upgrades_is() {
        let seen = |processes: &[(&str, &str, &str)]| {
            let mut host = Fake::default();
            for (process, name, words) in processes {
                host.files.insert(format!("/proc/{process}/comm"), format!("{name}\n").into_bytes());
                let words = words.split(' ').map(|word| format!("{word}\0")).collect::<String>();
                host.files.insert(format!("/proc/{process}/cmdline"), words.into_bytes());
            }
            running(&mut host)
        };
        let python = "/usr/bin/python3 /usr/share/unattended-upgrades/unattended-upgrade-shutdown --wait-for-signal";
        let waiting = ("812", "unattended-upgr", python);
        assert_eq!(seen(&[waiting]), None);
        assert_eq!(seen(&[("812", "unattended-upgr", "/usr/share/x/unattended-upgrade-shutdown")]), None);
        let upgrades = ("913", "unattended-upgr", "/usr/bin/python3 /usr/bin/unattended-upgrade --download-only");
        assert_eq!(seen(&[waiting, upgrades]).unwrap(), "unattended-upgr (process 913)");
        assert_eq!(seen(&[("7", "unattended-upgr", "")]).unwrap(), "unattended-upgr (process 7)");
        // Another one is not let off by its arguments.
        assert!(seen(&[("8", "dpkg", "dpkg unattended-upgrade-shutdown")]).is_some());
        assert!(seen(&[("9", "unattended-upgr", "python3 unattended-upgrade unattended-upgrade-shutdown")]).is_some());
        assert_eq!(seen(&[("10", "bash", "bash /usr/share/unattended-upgrade-shutdown")]), None);
    }
}

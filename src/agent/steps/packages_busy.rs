//! Whether a package manager is at work: a person's, the system's own, or one
//! of ours that outlived the agent that started it.

use crate::agent::host::Host;

/// By the names of their processes, which the kernel cuts at 15 letters.
const NAMES: [&str; 11] =
    ["rpm", "rpm.bin", "yum", "dnf", "zypper", "packagekitd", "dpkg", "apt-get", "apt", "aptitude", "unattended-upgr"];

/// The name of one that runs.
pub(super) fn running(host: &mut dyn Host) -> Option<String> {
    let processes = host.list("/proc").ok()?;
    processes.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).find_map(|process| {
        // One that ended between the two looks runs no more.
        let name = host.read(&format!("/proc/{process}/comm")).ok()??;
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        NAMES.contains(&name.as_str()).then(|| format!("{name} (process {process})"))
    })
}

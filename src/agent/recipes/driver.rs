//! Whether the SDC's kernel module can be had for a kernel.
//!
//! The module is built per exact kernel. A node whose next kernel has none
//! comes back from a reboot without its volumes, so this is asked before.

use super::os::{Family, Os};
use super::release::Release;
use crate::model::version::Generation;

/// The cache, in all generations.
pub const CACHE: &str = "/bin/emc/scaleio/scini_sync/driver_cache";

/// Where a release keeps modules for an operating system.
pub fn folder(os: &Os, release: &Release) -> String {
    if os.family == Family::Immutable {
        return format!("{}/modules", super::bare::unpacked("sdc", release));
    }
    format!("{CACHE}/{}/{}", distribution(os), dotted(release))
}

/// What is beside a cached module.
pub fn path(os: &Os, release: &Release, kernel: &str) -> String {
    format!("{}/{kernel}/scini.ko", folder(os, release))
}

/// `3.6-100.101` is `3.6.100.101` in paths of drivers.
pub fn dotted(release: &Release) -> String {
    release.to_string().replace('-', ".")
}

/// The folder of an operating system in the cache.
pub fn distribution(os: &Os) -> String {
    let (major, minor) = os.version;
    match os.family {
        Family::El => format!("RHEL{major}"),
        Family::Sles => format!("SLES{major}.{minor}"),
        Family::Debian => format!("Ubuntu{major}.{minor:02}"),
        Family::Immutable => "CoreOS".to_owned(),
    }
}

/// What a node has for building the module by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workshop {
    /// The flag that allows it.
    pub flag: bool,
    /// A compiler and make.
    pub tools: bool,
    /// The headers of the very kernel.
    pub headers: bool,
}

/// The flag file of releases that can build it.
pub const BUILD_FLAG: &str = "/etc/emc/scaleio/scini_sync/.build_scini";

/// Whether the module can be had, and how; else what is missing.
pub fn judge(
    kernel: &str,
    cached: bool,
    generation: Option<Generation>,
    workshop: Workshop,
) -> Result<&'static str, String> {
    if cached {
        return Ok("it is in the cache");
    }
    let builds = generation.is_some_and(|generation| generation >= Generation::V3_5);
    let lacks: Vec<&str> = [
        (workshop.flag, "the flag file that allows it"),
        (workshop.tools, "gcc and make"),
        (workshop.headers, "the kernel's headers"),
    ]
    .into_iter()
    .filter_map(|(has, name)| (!has).then_some(name))
    .collect();
    match (builds, lacks.as_slice()) {
        (true, []) => Ok("it will be built on the node"),
        (true, lacks) => Err(format!(
            "there is no scini module for kernel {kernel} in {CACHE}, and building it lacks {}",
            lacks.join(", ")
        )),
        (false, _) => Err(format!(
            "there is no scini module for kernel {kernel} in {CACHE}; put the one of this release and kernel there"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_a_module_is_told_with_what_would_help() {
        let bare = Workshop { flag: false, tools: false, headers: true };
        let whole = Workshop { flag: true, tools: true, headers: true };
        assert!(judge("5.4.0", true, None, bare).is_ok());
        assert!(judge("5.4.0", false, Some(Generation::V3_0), whole).unwrap_err().contains("5.4.0"));
        assert!(judge("5.4.0", false, Some(Generation::V3_5), whole).is_ok());
        let why = judge("5.4.0", false, Some(Generation::V4), bare).unwrap_err();
        assert!(why.contains("gcc") && !why.contains("headers"), "{why}");
    }

    #[test]
    fn modules_are_kept_by_system_release_and_kernel() {
        let os = Os::read("ID=ubuntu\nVERSION_ID=20.04\n").unwrap();
        let release = Release::read("3.6-2000.117").unwrap();
        assert_eq!(
            path(&os, &release, "5.4.0-80-generic"),
            "/bin/emc/scaleio/scini_sync/driver_cache/Ubuntu20.04/3.6.2000.117/5.4.0-80-generic/scini.ko"
        );
    }
}

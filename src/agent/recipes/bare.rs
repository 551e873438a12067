//! Hosts without a package manager, whose `/usr` cannot be written: where a
//! component's plain files go, what keeps their books, and how services start.
//!
//! The vendor has no files for such hosts. A bundle is made by the site of what
//! a package of the same release holds: `EMC-ScaleIO-sdc-3.6-700.103.x86_64.tgz`
//! with `bin/drv_cfg`, `modules/KERNEL/scini.ko` and, where they are needed,
//! libraries in `lib`; for the SDS `bin/sds` and `cfg/conf.txt`.
//!
//! ```text
//! /opt/emc/scaleio/bare/sds-3.6-700.103    unpacked
//!                      /.release           written when it is whole
//! /opt/emc/scaleio/sds                  -> the one that is used
//! ```

use crate::agent::recipes::release::Release;
use crate::model::command::Command;
use crate::model::order::Component;

/// Below it all versions lie.
pub const FOLDER: &str = "/opt/emc/scaleio/bare";

/// Where the client keeps what it knows.
pub const CLIENT_FILE: &str = super::drv_cfg::FILES[0];

/// What the server is told at its start.
pub const SERVER_FILE: &str = "/etc/emc/scaleio/sds.txt";

/// Links by which volumes are found by their ids.
pub const RULES_FILE: &str = "/etc/udev/rules.d/60-scini.rules";

/// Makes one link for each volume, and one for each of its partitions.
pub const RULES: &str = "KERNEL==\"scini*[!0-9]\", \
    PROGRAM=\"/opt/emc/scaleio/sdc/bin/drv_cfg --query_block_device_id --block_device /dev/%k\", \
    SYMLINK+=\"disk/by-id/emc-vol-%c\"\n\
    KERNEL==\"scini*[0-9]\", \
    PROGRAM=\"/opt/emc/scaleio/sdc/bin/drv_cfg --query_block_device_id --block_device /dev/%k\", \
    SYMLINK+=\"disk/by-id/emc-vol-%c-part%n\"\n";

/// The command whose evidence counts; others than these two do not go onto such a host.
pub fn command(component: Component) -> Result<Command, String> {
    match component {
        Component::Sds => Ok(Command::BareSds),
        Component::Sdc => Ok(Command::BareSdc),
        Component::Mdm | Component::Tb | Component::Lia | Component::Gateway => Err(format!(
            "the host has no package manager, and {component} is known as a package only; give it to another host"
        )),
    }
}

/// Where a version is unpacked.
pub fn unpacked(word: &str, release: &Release) -> String {
    format!("{FOLDER}/{word}-{release}")
}

/// The version that is used.
pub fn used(word: &str) -> String {
    format!("/opt/emc/scaleio/{word}")
}

/// Says which version a folder is, once it is whole.
pub fn book(folder: &str) -> String {
    format!("{folder}/.release")
}

/// The file of a unit.
pub fn unit_file(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}.service")
}

/// The unit of a component.
pub fn unit(component: Component) -> String {
    let service = match component {
        // It is up when its script has ended well; what it started is in the kernel.
        Component::Sdc => "Type=oneshot\nRemainAfterExit=yes\nExecStart=/opt/emc/scaleio/sdc/start\n\
                           ExecStop=/opt/emc/scaleio/sdc/stop\n"
            .to_owned(),
        _ => format!(
            "Environment=LD_LIBRARY_PATH=/opt/emc/scaleio/{component}/lib\n\
             ExecStartPre=/usr/bin/mkdir -p /var/log/scaleio/{component} /etc/emc/scaleio\n\
             ExecStart=/opt/emc/scaleio/{component}/bin/{component} --log_dir=/var/log/scaleio/{component} \
             --conf_file=/etc/emc/scaleio/{component}.txt\nRestart=always\nRestartSec=5\n"
        ),
    };
    format!(
        "[Unit]\nDescription=ScaleIO {component}\nWants=network-online.target\nAfter=network-online.target\n\n\
         [Service]\n{service}\n[Install]\nWantedBy=multi-user.target\n"
    )
}

/// What starts the client: its module, its device, and what it knew before.
pub const START: &str = "#!/bin/sh
# Written by the agent of scaleio-framework.
set -e
cd /opt/emc/scaleio/sdc
grep -q ' scini$' /proc/devices || insmod \"modules/$(uname -r)/scini.ko\"
rm -f /dev/scini
mknod /dev/scini c \"$(sed -n 's/^ *\\([0-9]*\\) scini$/\\1/p' /proc/devices)\" 0
export LD_LIBRARY_PATH=/opt/emc/scaleio/sdc/lib
bin/drv_cfg --load_cfg_file /etc/emc/scaleio/drv_cfg.txt
bin/drv_cfg --boot_wait
mkdir -p /run/lock/subsys
touch /run/lock/subsys/scini
";

/// What ends it. The kernel refuses while a volume is open.
pub const STOP: &str = "#!/bin/sh
# Written by the agent of scaleio-framework.
set -e
! grep -q ' scini$' /proc/devices || rmmod scini
rm -f /dev/scini /run/lock/subsys/scini
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_as_plain_files_goes_onto_such_a_host() {
        assert_eq!(command(Component::Sdc), Ok(Command::BareSdc));
        let why = command(Component::Gateway).unwrap_err();
        assert!(why.contains("gateway") && why.contains("another host"), "{why}");
    }

    #[test]
    fn versions_lie_beside_each_other() {
        let release = Release::read("3.6-700.103").unwrap();
        let folder = unpacked("sds", &release);
        assert_eq!(book(&folder), "/opt/emc/scaleio/bare/sds-3.6-700.103/.release");
        assert_eq!(used("sds"), "/opt/emc/scaleio/sds");
        assert!(unit(Component::Sds).contains("/bin/sds --log_dir=/var/log/scaleio/sds --conf_file="));
        assert!(unit(Component::Sdc).contains("RemainAfterExit=yes"));
    }
}

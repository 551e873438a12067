//! What rpm is told, and what its answers mean.
//!
//! rpm ends with 0 when a package's last script fails, and after a kill it may
//! list two versions. So its database is read, and its complaints too.

use super::Installed;
use super::release::Release;
use crate::agent::host::{Call, Output};
use crate::agent::walk::Trouble;

/// Asks for all versions of a package.
pub fn query(name: &str) -> Call {
    Call::new("rpm", ["-q", "--qf", "%{VERSION}-%{RELEASE}\\n", name])
}

/// What the database says.
pub fn read(name: &str, output: &Output) -> Installed {
    let missing = format!("package {name} is not installed");
    let said = output.stdout.trim();
    if said == missing {
        return Installed::Absent;
    }
    if !output.is_good() || said.is_empty() {
        return Installed::Unclear(format!("rpm -q {name} gave no answer ({})", output.last_words()));
    }
    let versions: Vec<&str> = said.lines().map(str::trim).collect();
    match versions.as_slice() {
        [one] => match Release::read(one) {
            Some(release) => Installed::Whole(release),
            None => Installed::Unclear(format!("rpm tells a version of {name} that cannot be read: {one}")),
        },
        many => Installed::Half(format!("rpm has {} versions of {name} at once: {}", many.len(), many.join(", "))),
    }
}

/// Installs or upgrades. `again` runs the scripts of a version that is there already, `back` takes the place of a newer one.
pub fn install(file: &str, again: bool, back: bool) -> Call {
    let flags = [("--replacepkgs", again), ("--oldpackage", back)];
    let flags = flags.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(flag, _)| flag);
    Call::new("rpm", ["-U"].into_iter().chain(flags).chain([file]))
}

/// Removes every version of a package.
pub fn remove(name: &str) -> Call {
    Call::new("rpm", ["-e", "--allmatches", name])
}

/// Whether a change went well.
pub fn judge(output: &Output) -> Result<(), Trouble> {
    let complaint = &output.stderr;
    if let Some(line) = complaint.lines().find(|line| line.contains("scriptlet failed")) {
        return Err(Trouble::Passing(format!("a script of the package failed: {}", line.trim())));
    }
    if output.is_good() {
        return Ok(());
    }
    let words = format!("rpm ended with {}", output.last_words());
    // Another rpm is at work, or one was killed: both pass.
    let passing = ["can't create transaction lock", "waiting for transaction lock"];
    let lasting =
        ["conflicts with file", "Failed dependencies", "on the / filesystem", "which is newer than", "digest"];
    if output.status.is_none() || passing.iter().any(|text| complaint.contains(text)) {
        Err(Trouble::Passing(words))
    } else if lasting.iter().any(|text| complaint.contains(text)) || complaint.contains("needs ") {
        Err(Trouble::Lasting(words))
    } else {
        Err(Trouble::Passing(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(status: i32, stdout: &str, stderr: &str) -> Output {
        Output { status: Some(status), stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[test]
    fn the_database_is_believed_only_when_it_says_one_thing() {
        let name = "EMC-ScaleIO-sds";
        let read = |status, stdout| read(name, &output(status, stdout, ""));
        assert_eq!(read(1, "package EMC-ScaleIO-sds is not installed\n"), Installed::Absent);
        assert!(
            matches!(read(0, "3.6-100.101.el7\n"), Installed::Whole(release) if release.to_string() == "3.6-100.101")
        );
        assert!(
            matches!(read(0, "3.6-100.101.el7\n3.6-200.1.el7\n"), Installed::Half(why) if why.contains("2 versions"))
        );
        for (status, stdout) in [(0, ""), (1, ""), (127, "error: cannot open Packages database"), (0, "none")] {
            assert!(matches!(read(status, stdout), Installed::Unclear(_)), "{status} {stdout:?}");
        }
    }

    #[test]
    fn a_failed_script_is_trouble_although_the_status_is_0() {
        let failed =
            output(0, "", "warning: %post(EMC-ScaleIO-sds-3.6-100.101.el7.x86_64) scriptlet failed, exit status 3\n");
        assert!(matches!(judge(&failed), Err(Trouble::Passing(why)) if why.contains("exit status 3")));
        assert_eq!(judge(&output(0, "", "")), Ok(()));
    }

    #[test]
    fn what_stays_is_not_tried_again() {
        for stderr in [
            "\tfile /opt/x from install of a conflicts with file from package b",
            "error: Failed dependencies:\n\tlibaio is needed by a",
            "\tinstalling package a needs 19MB more space on the / filesystem",
            "\tpackage a-3.6 (which is newer than a-3.5) is already installed",
            "Payload SHA256 ALT digest: BAD",
        ] {
            assert!(matches!(judge(&output(1, "", stderr)), Err(Trouble::Lasting(_))), "{stderr}");
        }
        let locked =
            "error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)";
        assert!(matches!(judge(&output(1, "", locked)), Err(Trouble::Passing(_))));
    }
}

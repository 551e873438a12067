//! What dpkg is told, and what its answers mean.
//!
//! A kill can leave a package half installed or half configured; installing
//! the same file again mends both, `dpkg --configure` only the second.

use super::Installed;
use super::release::Release;
use crate::agent::host::{Call, Output};
use crate::agent::walk::Trouble;

/// Asks for the state and version of a package.
pub fn query(name: &str) -> Call {
    Call::new("dpkg-query", ["-W", "-f", "${db:Status-Abbrev}|${Version}\\n", name])
}

/// What the database says.
pub fn read(name: &str, output: &Output) -> Installed {
    if output.status == Some(1) && output.stderr.contains("no packages found matching") {
        return Installed::Absent;
    }
    let Some((state, version)) = output.stdout.lines().next().and_then(|line| line.split_once('|')) else {
        return Installed::Unclear(format!("dpkg-query gave no answer for {name} ({})", output.last_words()));
    };
    // Wanted, state, and whether it must be installed again.
    let mut letters = state.chars();
    let (_, state, error) = (letters.next(), letters.next(), letters.next().unwrap_or(' '));
    match (state, error) {
        // Gone, or gone but for its configuration.
        (Some('n' | 'c'), ' ') => Installed::Absent,
        (Some('i'), ' ') => match Release::read(version) {
            Some(release) => Installed::Whole(release),
            None => Installed::Unclear(format!("dpkg tells a version of {name} that cannot be read: {version}")),
        },
        (Some('U' | 'F' | 'H' | 'W' | 't'), _) | (_, 'R') => {
            Installed::Half(format!("{name} is not wholly installed (dpkg says {:?})", output.stdout.trim()))
        }
        _ => Installed::Unclear(format!("dpkg says {:?} of {name}", output.stdout.trim())),
    }
}

/// Installs, upgrades or mends. Configuration that a person changed stays.
pub fn install(file: &str) -> Call {
    Call::new("dpkg", ["--force-confdef", "--force-confold", "-i", file])
}

/// Removes a package with its configuration.
pub fn remove(name: &str) -> Call {
    Call::new("dpkg", ["-P", name])
}

/// Whether a change went well.
pub fn judge(output: &Output) -> Result<(), Trouble> {
    if output.is_good() {
        return Ok(());
    }
    let words = format!("dpkg ended with {}", output.last_words());
    let lasting = ["trying to overwrite", "No space left on device", "unexpected end of file", "dependency problems"];
    if lasting.iter().any(|text| output.stderr.contains(text)) {
        Err(Trouble::Lasting(words))
    } else {
        Err(Trouble::Passing(words))
    }
}

/// Whether another package manager is at work.
pub fn is_locked(output: &Output) -> bool {
    output.stderr.contains("lock was locked by another process")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_state(stdout: &str) -> Installed {
        read("emc-scaleio-sds", &Output { status: Some(0), stdout: stdout.to_owned(), stderr: String::new() })
    }

    #[test]
    fn every_state_of_dpkg_is_absent_whole_half_or_not_understood() {
        assert!(
            matches!(read_state("ii |3.6-100.101\n"), Installed::Whole(release) if release.to_string() == "3.6-100.101")
        );
        assert!(matches!(read_state("hi |3.6-100.101\n"), Installed::Whole(_)), "held by a person");
        assert_eq!(read_state("un |\n"), Installed::Absent);
        assert_eq!(read_state("rc |3.6-100.101\n"), Installed::Absent);
        for half in ["iF |3.6-1.1\n", "iU |3.6-1.1\n", "iHR|3.6-1.1\n", "iW |3.6-1.1\n", "iiR|3.6-1.1\n"] {
            assert!(matches!(read_state(half), Installed::Half(_)), "{half}");
        }
        for unclear in ["", "x", "iz |3.6-1.1\n", "ii |latest\n"] {
            assert!(matches!(read_state(unclear), Installed::Unclear(_)), "{unclear}");
        }
        let missing = "dpkg-query: no packages found matching emc-scaleio-sds";
        let output = Output { status: Some(1), stdout: String::new(), stderr: missing.to_owned() };
        assert_eq!(read("emc-scaleio-sds", &output), Installed::Absent);
    }
}

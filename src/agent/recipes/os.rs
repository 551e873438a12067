//! Which operating system a node has, and whether we work on it.

use crate::model::command::Evidence;

/// Systems that are handled alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// RHEL and its rebuilds.
    El,
    /// SUSE Linux Enterprise Server.
    Sles,
    /// Ubuntu and Debian.
    Debian,
    /// CoreOS and Flatcar: `/usr` cannot be written, and there is no package manager.
    Immutable,
}

/// What keeps the books of packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// rpm, with yum, dnf or zypper before it.
    Rpm,
    /// dpkg, with apt before it.
    Dpkg,
    /// Our agent, of plain files, where there is no package manager.
    Bare,
}

/// An operating system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Os {
    /// Which are handled like it.
    pub family: Family,
    /// `ID` of os-release.
    pub id: String,
    /// `VERSION_ID`, its first two numbers.
    pub version: (u32, u32),
    /// How it calls itself.
    pub pretty: String,
}

impl Os {
    /// Reads `/etc/os-release`. The error says why we do not work there.
    pub fn read(text: &str) -> Result<Self, String> {
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
            line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
        };
        let id = field("ID").ok_or("/etc/os-release has no ID, so the operating system cannot be told")?;
        let version = field("VERSION_ID").unwrap_or_default();
        let pretty = field("PRETTY_NAME").unwrap_or_else(|| format!("{id} {version}"));
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let row = TABLE.iter().find(|row| row.id == id).ok_or_else(|| {
            let known: Vec<&str> = TABLE.iter().map(|row| row.id).collect();
            format!("{pretty} (ID {id}) is no operating system we know; known are {}", known.join(", "))
        })?;
        if version < row.from || version.0 > row.to {
            let (from, to) = (row.from, row.to);
            return Err(format!(
                "{pretty} is not supported: of {id}, versions {}.{:02} to {to} are; ScaleIO has no packages for others, or our agent does not run there",
                from.0, from.1
            ));
        }
        Ok(Self { family: row.family, id, version, pretty })
    }

    /// What keeps its books of packages.
    pub const fn books(&self) -> Books {
        match self.family {
            Family::El | Family::Sles => Books::Rpm,
            Family::Debian => Books::Dpkg,
            Family::Immutable => Books::Bare,
        }
    }

    /// Whether a package's tag, such as `el7` or `Ubuntu.18.04`, is for this system.
    pub fn takes(&self, tag: &str) -> bool {
        let tag = tag.to_ascii_lowercase();
        let (major, minor) = self.version;
        match self.family {
            Family::El => tag == format!("el{major}") || tag == format!("ol{major}") && self.id == "ol",
            // `sle12.1` is for 12 SP1; a package of a service pack runs on the later ones of the same release.
            Family::Sles => tag.strip_prefix("sle").is_some_and(|rest| {
                let mut numbers = rest.split('.').map(str::parse::<u32>);
                numbers.next() == Some(Ok(major)) && numbers.next().is_none_or(|pack| pack.is_ok_and(|p| p <= minor))
            }),
            Family::Debian if self.id == "ubuntu" => {
                tag == format!("ubuntu.{major}.{minor:02}") || tag.starts_with(&format!("ubuntu.{major}.{minor:02}."))
            }
            Family::Debian => tag == format!("debian.{major}") || tag.starts_with("ubuntu."),
            Family::Immutable => false,
        }
    }

    /// How well packages for it are known.
    pub fn mark(&self) -> Evidence {
        match (self.id.as_str(), self.version.0) {
            ("centos" | "rhel", 7) | ("ubuntu", 16..=22) | ("sles", 12) => Evidence::Seen,
            // The vendor has no packages for Debian; those for Ubuntu are tried.
            ("debian", _) => Evidence::Inferred,
            _ => Evidence::Documented,
        }
    }
}

struct Row {
    id: &'static str,
    family: Family,
    from: (u32, u32),
    to: u32,
}

const fn row(id: &'static str, family: Family, from: (u32, u32), to: u32) -> Row {
    Row { id, family, from, to }
}

/// Older ones have a libc below 2.17, on which our agent does not run, or no systemd.
const TABLE: &[Row] = &[
    row("rhel", Family::El, (7, 0), 9),
    row("centos", Family::El, (7, 0), 9),
    row("rocky", Family::El, (8, 0), 9),
    row("almalinux", Family::El, (8, 0), 9),
    row("ol", Family::El, (7, 0), 9),
    row("sles", Family::Sles, (12, 0), 15),
    row("sles_sap", Family::Sles, (12, 0), 15),
    row("ubuntu", Family::Debian, (16, 4), 24),
    row("debian", Family::Debian, (9, 0), 13),
    row("coreos", Family::Immutable, (0, 0), u32::MAX),
    row("flatcar", Family::Immutable, (0, 0), u32::MAX),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str, version: &str) -> Result<Os, String> {
        Os::read(&format!("NAME=\"Some Linux\"\nID=\"{id}\"\nVERSION_ID='{version}'\n"))
    }

    #[test]
    fn each_family_takes_its_own_packages() {
        for (id, version, takes, refuses) in [
            ("centos", "7", "el7", "el8"),
            ("rocky", "9.3", "el9", "el7"),
            ("ol", "8.9", "ol8", "ol7"),
            ("sles", "12.2", "sle12.1", "sle12.3"),
            ("sles", "15.4", "sle15", "sle12.2"),
            ("ubuntu", "18.04", "Ubuntu.18.04", "Ubuntu.16.04"),
            ("ubuntu", "20.04", "Ubuntu.20.04.4", "Ubuntu.22.04"),
            ("debian", "12", "Ubuntu.18.04", "el7"),
            ("flatcar", "3760.2.0", "", "el7"),
        ] {
            let os = os(id, version).unwrap();
            assert_eq!(os.takes(takes), !takes.is_empty(), "{id} {version} {takes}");
            assert!(!os.takes(refuses), "{id} {version} {refuses}");
        }
    }

    #[test]
    fn a_system_that_is_too_old_too_new_or_unknown_is_refused_with_its_name() {
        for (id, version) in
            [("centos", "6.10"), ("ubuntu", "14.04"), ("debian", "8"), ("rhel", "10.0"), ("alpine", "3.19")]
        {
            let why = os(id, version).unwrap_err();
            assert!(why.contains(id), "{why}");
        }
        assert!(Os::read("NAME=x\n").unwrap_err().contains("has no ID"));
    }
}

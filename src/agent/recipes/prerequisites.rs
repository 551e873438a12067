//! Which packages of the operating system a component needs, and how they are got.

use super::os::{Books, Family, Os};
use crate::agent::host::Call;
use crate::model::order::Component;
use crate::model::version::Generation;

/// The packages, without repetitions and in order.
pub fn packages(components: &[Component], generation: Generation, os: &Os) -> Vec<&'static str> {
    let (major, _) = os.version;
    let mut all: Vec<&'static str> = Vec::new();
    match os.family {
        Family::El => {
            all.extend(["numactl", "libaio"]);
            if major >= 8 {
                all.extend(["python3", "binutils"]);
            }
        }
        Family::Sles if major < 15 => all.extend(["numactl", "libaio1"]),
        Family::Sles => all.extend(["numactl", "libaio1", "python3", "libapr1"]),
        Family::Debian => all.extend(["numactl", libaio(os), "ldap-utils"]),
        Family::Immutable => {}
    }
    for component in components {
        match (component, os.family) {
            (Component::Mdm | Component::Tb, Family::El) => all.extend(["bash-completion", "binutils"]),
            (Component::Mdm | Component::Tb, Family::Debian) => all.push("bash-completion"),
            (Component::Mdm | Component::Tb, Family::Sles) => all.push("python3"),
            // Its install script calls `strings`.
            (Component::Lia, Family::El | Family::Debian | Family::Sles) => all.push("binutils"),
            (Component::Gateway, family) if generation < Generation::V4 => all.extend(java(family)),
            _ => {}
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The one that was rebuilt for 64-bit time has another name.
fn libaio(os: &Os) -> &'static str {
    match (os.id.as_str(), os.version.0) {
        ("ubuntu", 24..) | ("debian", 13..) => "libaio1t64",
        _ => "libaio1",
    }
}

fn java(family: Family) -> Option<&'static str> {
    match family {
        Family::El => Some("java-1.8.0-openjdk"),
        Family::Sles => Some("java-1_8_0-openjdk"),
        Family::Debian => Some("openjdk-8-jre-headless"),
        Family::Immutable => None,
    }
}

/// Asks whether a package is there; none where there are no packages.
pub fn query(books: Books, name: &str) -> Option<Call> {
    match books {
        Books::Rpm => Some(super::rpm::query(name)),
        Books::Dpkg => Some(super::dpkg::query(name)),
        Books::Bare => None,
    }
}

/// Gets packages from the node's own repositories.
pub fn install(os: &Os, names: &[&str]) -> Option<Call> {
    let (program, before): (&str, &[&str]) = match (os.family, os.version.0) {
        (Family::El, 7) => ("yum", &["-y", "install"]),
        (Family::El, _) => ("dnf", &["-y", "install"]),
        (Family::Sles, _) => ("zypper", &["--non-interactive", "install", "--no-recommends"]),
        (Family::Debian, _) => ("apt-get", &["-y", "--no-install-recommends", "install"]),
        (Family::Immutable, _) => return None,
    };
    Some(Call::new(program, before.iter().copied().chain(names.iter().copied())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str, version: &str) -> Os {
        Os::read(&format!("ID={id}\nVERSION_ID={version}\n")).unwrap()
    }

    #[test]
    fn a_component_brings_what_its_family_calls_it() {
        let need = |components: &[Component], os: &Os| packages(components, Generation::V3_5, os).join(" ");
        assert_eq!(need(&[Component::Sds], &os("centos", "7")), "libaio numactl");
        assert_eq!(need(&[Component::Sds, Component::Lia], &os("rocky", "9")), "binutils libaio numactl python3");
        assert_eq!(need(&[Component::Sds], &os("ubuntu", "24.04")), "ldap-utils libaio1t64 numactl");
        assert!(need(&[Component::Gateway], &os("sles", "15.4")).contains("java-1_8_0-openjdk"));
        assert_eq!(need(&[Component::Sdc], &os("flatcar", "1")), "");
        assert_eq!(install(&os("centos", "7"), &["libaio"]).unwrap().shown(), "yum -y install libaio");
        assert!(install(&os("flatcar", "1"), &["libaio"]).is_none());
    }
}

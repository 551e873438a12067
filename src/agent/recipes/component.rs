//! What each component is called: its package, service, ports, and what its
//! install script reads from the environment.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::agent::recipes::os::Books;
use crate::model::command::Evidence;
use crate::model::order::{Component, Hidden, Secrets};
use crate::model::version::Generation;

/// What is known of a component.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The word in the names of package files.
    pub word: &'static str,
    /// The systemd unit.
    pub unit: &'static str,
    /// A port that is open when it works.
    pub port: Option<u16>,
    /// How well the commands for it are known.
    pub mark: Evidence,
}

/// The facts of a component.
pub const fn facts(component: Component) -> Facts {
    let (word, unit, port, mark) = match component {
        // The port of the members among themselves, open before there is a cluster.
        Component::Mdm => ("mdm", "mdm", Some(9011), Evidence::Seen),
        Component::Tb => ("mdm", "mdm", Some(9011), Evidence::Seen),
        Component::Sds => ("sds", "sds", Some(7072), Evidence::Seen),
        Component::Sdc => ("sdc", "scini", None, Evidence::Seen),
        Component::Lia => ("lia", "lia", Some(9099), Evidence::Seen),
        Component::Gateway => ("gateway", "scaleio-gateway", Some(443), Evidence::Seen),
    };
    Facts { word, unit, port, mark }
}

/// The name in the books of packages.
pub fn package_name(component: Component, books: Books) -> String {
    let word = facts(component).word;
    match books {
        Books::Rpm => format!("EMC-ScaleIO-{word}"),
        Books::Dpkg => format!("emc-scaleio-{word}"),
        Books::Bare => format!("the bundle of {word}"),
    }
}

/// Whether a generation has a component as a package for a node.
pub fn exists(component: Component, generation: Generation) -> Result<(), String> {
    match (component, generation) {
        (_, Generation::V5) => Err("release 5 is rolled out by PowerFlex Manager alone".to_owned()),
        (Component::Gateway, Generation::V4) => {
            Err("since release 4 the gateway is a part of PowerFlex Manager and no package".to_owned())
        }
        (Component::Mdm | Component::Tb, Generation::V4) => {
            Err("since release 4 the MDM cluster is made by PowerFlex Manager; only SDS and SDC nodes join it"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// The variables that the install script of a component reads.
pub fn environment(
    component: Component,
    mdms: &[IpAddr],
    secrets: &Secrets,
) -> Result<BTreeMap<String, Hidden>, String> {
    let list = mdms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: Hidden| env.insert(name.to_owned(), value);
    match component {
        Component::Mdm => drop(set("MDM_ROLE_IS_MANAGER", Hidden::new("1"))),
        Component::Tb => drop(set("MDM_ROLE_IS_MANAGER", Hidden::new("0"))),
        Component::Sds => {}
        Component::Sdc if mdms.is_empty() => {
            return Err("an SDC needs the addresses of the MDM's managers, and the order names none".to_owned());
        }
        Component::Sdc => {}
        Component::Lia => {
            let token = secrets.lia_token.clone();
            set("TOKEN", token.ok_or("LIA needs its token, and the order has none")?);
        }
        Component::Gateway => {
            let password = secrets.gateway_admin.clone();
            set(
                "GATEWAY_ADMIN_PASSWORD",
                password.ok_or("the gateway needs a password for its administrator, and the order has none")?,
            );
        }
    }
    if !mdms.is_empty() {
        env.insert("MDM_IP".to_owned(), Hidden::new(list));
    }
    Ok(env)
}

/// Whether installing it interrupts what runs there already.
pub const fn role_text(component: Component) -> Option<&'static str> {
    match component {
        Component::Mdm => Some("actor_role_is_manager=1"),
        Component::Tb => Some("actor_role_is_manager=0"),
        Component::Sds | Component::Sdc | Component::Lia | Component::Gateway => None,
    }
}

/// Where an MDM's package keeps its role.
pub const MDM_CONFIG: &str = "/opt/emc/scaleio/mdm/cfg/conf.txt";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_gets_what_it_reads_and_no_other_secret() {
        let mdms = ["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
        let (lia_token, gateway_admin) = (Some(Hidden::new("t")), Some(Hidden::new("g")));
        let secrets = Secrets { lia_token, gateway_admin, ..Secrets::default() };
        let names = |component| {
            let env = environment(component, &mdms, &secrets).unwrap();
            env.iter().map(|(name, value)| format!("{name}={}", value.reveal())).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(names(Component::Mdm), "MDM_IP=192.0.2.1,192.0.2.2 MDM_ROLE_IS_MANAGER=1");
        assert_eq!(names(Component::Tb), "MDM_IP=192.0.2.1,192.0.2.2 MDM_ROLE_IS_MANAGER=0");
        assert_eq!(names(Component::Sdc), "MDM_IP=192.0.2.1,192.0.2.2");
        assert_eq!(names(Component::Lia), "MDM_IP=192.0.2.1,192.0.2.2 TOKEN=t");
        assert_eq!(names(Component::Gateway), "GATEWAY_ADMIN_PASSWORD=g MDM_IP=192.0.2.1,192.0.2.2");
        assert!(environment(Component::Lia, &[], &Secrets::default()).unwrap_err().contains("token"));
        assert!(environment(Component::Sdc, &[], &secrets).unwrap_err().contains("addresses"));
    }

    #[test]
    fn what_a_generation_does_not_have_as_a_package_is_refused() {
        assert!(exists(Component::Gateway, Generation::V3_5).is_ok());
        assert!(exists(Component::Gateway, Generation::V4).is_err());
        assert!(exists(Component::Sds, Generation::V4).is_ok());
        assert!(exists(Component::Sds, Generation::V5).is_err());
    }
}

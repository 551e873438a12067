//! Does what is written load, and say the same as the original was told?

use std::os::unix::fs::OpenOptionsExt;

use super::read::{Seed, agents, flags, store};
use super::write::configuration;
use crate::config::rollout::Topology;
use crate::config::{Config, Masters};
use crate::model::id::SystemId;
use crate::model::mdm::Mode;

/// Loads it as `sio check` does, once somebody put the password into its file.
fn load(text: &str, name: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.path().join(name));
        std::io::Write::write_all(&mut file.unwrap(), text.as_bytes()).unwrap();
    };
    write("sio.toml", text);
    write(&format!("{name}.password"), "secret");
    Config::load(Some(&folder.path().join("sio.toml")), std::iter::empty())
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

const APP: &str = r#"{"id":"scaleio-scheduler","cmd":"chmod u+x scaleio-scheduler && ./scaleio-scheduler -loglevel=debug -rest.port=$PORT -uri=10.0.0.21:5050 -scaleio.clustername=Prod.East -scaleio.password=F00barbaz -scaleio.protectiondomain=d1 -scaleio.storagepool=p1 -scaleio.preconfig.primary=10.0.0.12 -scaleio.preconfig.secondary=10.0.0.11 -scaleio.preconfig.tiebreaker=10.0.0.13 -scaleio.preconfig.gateway=10.0.0.11 -store.uri=z1:2181,z2:2181 -executor.mem.non=256 -aws.secretkey=AKIAXX -aws.threshold=85 -scaleio.rhel7.sds=http://x/y.rpm -odd=1"}"#;

#[test]
fn an_app_with_an_existing_cluster_becomes_a_configuration_that_loads() {
    let seed = Seed { flags: flags(APP), ..Seed::default() };
    let text = configuration(&seed);
    let config = load(&text, "prod-east");
    let system = &config.systems[&SystemId::new("prod-east")];
    assert_eq!(system.gateways[0].as_str(), "https://10.0.0.11");
    let rollout = system.rollout.as_ref().unwrap();
    assert!(matches!(rollout.topology, Topology::OnePool), "{:?}", rollout.topology);
    assert!(rollout.mdm.is_none(), "a cluster that is there is left alone");
    assert_eq!((&*rollout.domain, &*rollout.pool), ("d1", "p1"));
    let mesos = config.mesos.unwrap();
    assert!(matches!(&mesos.masters, Masters::Addresses(list) if list[0].to_string() == "http://10.0.0.21:5050"));
    assert_eq!(mesos.roles, ["*"]);
    let zookeeper = config.store.zookeeper.unwrap();
    assert_eq!((&*zookeeper.servers, &*zookeeper.path), ("z1:2181,z2:2181", "/sio"));
    assert_eq!(config.log.level, "debug");
    for secret in ["F00barbaz", "AKIAXX"] {
        assert!(!text.contains(secret), "{text}");
    }
    for line in [
        "#   executor.mem.non: ",
        "#   aws.secretkey: ",
        "#   scaleio.rhel7.sds: packages",
        "#   rest.port: ",
        "#   odd: unknown here",
        "Change it.",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_store_and_agents_say_what_became_of_nodes_and_what_attributes_mean_now() {
    let dump = [
        "primary = Value h1",
        "secondary = Value h2",
        "tiebreaker = Value h3",
        "h1/state = Value 1024",
        "h4/state = Value 4096",
    ]
    .map(|entry| format!("DEBU[0000] Key scaleio-framework/scaleio/configuration/{entry}\n"))
    .concat();
    let seed = Seed {
        flags: flags("./scaleio-scheduler -experimental -uri=m:5050"),
        store: store(&dump),
        agents: agents(
            "h1 scaleio-sds-domains:d1;scaleio-sds-d1:p1;scaleio-sds-p1:/dev/sdb\nh5 scaleio-sdc-domains:d1;scaleio-sdc-d1:p1\nh6 scaleio-sds-domains:d1;scaleio-sds-typo:p\n",
        ),
    };
    let text = configuration(&seed);
    let rollout = load(&text, "scaleio").systems[&SystemId::new("scaleio")].rollout.clone().unwrap();
    assert!(matches!(rollout.topology, Topology::Attributes) && rollout.mdm.is_none(), "{rollout:?}");
    for line in [
        "The original made the MDM cluster: h1, h2, and h3 as tie-breaker.",
        "#   h4 was not finished: state 4096 (FatalInstall)",
        "#   h5 consumes d1: the original made a server of it by mistake; here it is a client only",
        "#   h6: attribute scaleio-sds-typo is for typo",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("h1 was not finished"));
}

#[test]
fn a_cluster_that_was_to_be_made_is_still_to_be_made() {
    let seed = Seed { flags: flags("./scaleio-scheduler -experimental -uri=m:5050"), ..Seed::default() };
    let rollout = load(&configuration(&seed), "scaleio").systems[&SystemId::new("scaleio")].rollout.clone().unwrap();
    assert_eq!(rollout.mdm.map(|mdm| mdm.members), Some(Mode::Three));
}

#[test]
fn what_is_hostile_stays_in_its_line() {
    let hostile = "-scaleio.clustername=\"x]\u{7}y -scaleio.storagepool=a\"b -evil\u{1b}[2J=1 -uri=m:5050";
    let text = configuration(&Seed { flags: flags(hostile), ..Seed::default() });
    assert!(!text.contains(['\u{7}', '\u{1b}']), "{text:?}");
    load(&text, "x--y");
}

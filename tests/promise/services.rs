//! LIA and the gateway by real rpm and dpkg: in, told to whom they belong, up,
//! and whatever can go wrong on the way, out.

use scaleio_framework::model::order::{Component, Finished, Hidden, Install, Outcome, Secrets, Task};
use scaleio_framework::model::version::Generation;

use crate::lab::{Lab, why};

const TOKEN: &str = "token-hunter2";
const PASSWORD: &str = "gateway-hunter2";
const ID: &str = "1234567890abcdef";
const PROPERTIES: &str = "/opt/emc/scaleio/gateway/webapps/ROOT/WEB-INF/classes/gatewayUser.properties";

/// A host, and how its packages are called.
struct Host {
    lab: Lab,
    name: &'static str,
}

impl Host {
    fn file(&self, component: Component, version: &str) -> String {
        match (self.name, component) {
            ("el7", Component::Gateway) => format!("EMC-ScaleIO-gateway-{version}.x86_64.rpm"),
            ("el7", _) => format!("EMC-ScaleIO-{component}-{version}.el7.x86_64.rpm"),
            (_, Component::Gateway) => format!("emc-scaleio-gateway_{version}_amd64.deb"),
            _ => format!("EMC-ScaleIO-{component}-{version}.Ubuntu.18.04.x86_64.deb"),
        }
    }

    fn install(&self, component: Component, version: &str) -> Task {
        let artefact = self.lab.artefact(&self.file(component, version));
        Task::Install(Install { component, artefact, mdms: vec!["192.0.2.1".parse().unwrap()] })
    }

    async fn does(&mut self, task: Task) -> Finished {
        let (lia_token, gateway_admin) = (Some(Hidden::new(TOKEN)), Some(Hidden::new(PASSWORD)));
        self.lab.does(self.name, task, Secrets { lia_token, gateway_admin, ..Secrets::default() }).await
    }

    async fn done(&mut self, task: Task) {
        let finished = self.does(task).await;
        assert_eq!(finished.outcome, Outcome::Done, "{}", self.lab.journal(self.name));
    }

    async fn failed(&mut self, task: Task) -> String {
        let finished = self.does(task).await;
        assert!(matches!(finished.outcome, Outcome::Failed { .. }), "{finished:?}");
        why(&finished).to_owned()
    }

    fn inside(&self, args: &[&str]) -> String {
        self.lab.inside(self.name, args)
    }

    #[track_caller]
    fn assert_has(&self, component: Component, version: &str) {
        let (said, whole) = match (self.name, component) {
            ("el7", _) => {
                let name = format!("EMC-ScaleIO-{component}");
                let tag = if component == Component::Gateway { "" } else { ".el7" };
                (self.inside(&["rpm", "-q", "--qf", "%{VERSION}-%{RELEASE} ", &name]), format!("{version}{tag}"))
            }
            _ => {
                let name = format!("emc-scaleio-{component}");
                let said = self.inside(&["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Version}", &name]);
                (said, format!("ii {version}"))
            }
        };
        assert_eq!(said, whole);
        let unit = if component == Component::Gateway { "scaleio-gateway" } else { "lia" };
        assert_eq!(self.inside(&["systemctl", "is-active", unit]), "active");
    }
}

/// Tells the component to whom it belongs, which its service reads when it starts.
async fn belongs(host: &mut Host, component: Component, outcome: Outcome) {
    let task = match component {
        Component::Gateway => {
            let mdms = vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()];
            Task::ConnectGateway { mdms, trusts_any: true }
        }
        _ => Task::LinkLia { installation: ID.to_owned(), generation: Generation::V3_5, accepted: true },
    };
    assert_eq!(host.does(task).await.outcome, outcome, "{}", host.lab.journal(host.name));
    match component {
        Component::Gateway => {
            let known = host.inside(&["cat", "/run/gateway-properties"]);
            assert_eq!(known, "mdm.ip.addresses=192.0.2.1,192.0.2.2\nsecurity.bypass_certificate_check=true");
            assert_eq!(host.inside(&["cat", PROPERTIES]), known);
        }
        _ => assert_eq!(host.inside(&["cat", "/run/lia-id"]), ID, "LIA started with it"),
    }
}

async fn story(host: &mut Host, component: Component) {
    let task = host.install(component, "3.5-1.1");
    let without = host.lab.does(host.name, task.clone(), Secrets::default()).await;
    assert!(why(&without).contains("the order has none"), "{without:?}");

    // In, a second time, told to whom it belongs, and up: what it was told stays.
    host.done(task.clone()).await;
    host.assert_has(component, "3.5-1.1");
    assert_eq!(host.does(task.clone()).await.outcome, Outcome::AlreadySo);
    if component == Component::Lia {
        assert_eq!(host.inside(&["cat", "/opt/emc/scaleio/lia/cfg/conf.txt"]), format!("lia_token={TOKEN}"));
        let task = Task::LinkLia { installation: ID.to_owned(), generation: Generation::V3_5, accepted: false };
        assert!(why(&host.does(task).await).contains("lia_installation_id was never seen"));
    }
    belongs(host, component, Outcome::Done).await;
    let newer = host.install(component, "3.6-100.101");
    host.done(newer.clone()).await;
    host.assert_has(component, "3.6-100.101");
    belongs(host, component, Outcome::AlreadySo).await;

    // Not down, not with another hash.
    assert!(why(&host.does(task).await).contains("newer than 3.5-1.1"));
    let mut artefact = host.lab.artefact(&host.file(component, "3.6-300.1"));
    artefact.sha256 = "0".repeat(64);
    let altered = Task::Install(Install { component, artefact, mdms: Vec::new() });
    assert!(host.failed(altered).await.contains("it was thrown away"));
    host.assert_has(component, "3.6-100.101");

    // A script that fails is no installation; nor is there room or a place that another package has.
    let fails = host.install(component, "3.6-200.1");
    host.failed(fails.clone()).await;
    let again = host.failed(fails).await;
    assert!(again.contains('3'), "not taken for installed: {again}");
    let folder = format!("/opt/emc/scaleio/{component}/bin");
    host.inside(&["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", &folder]);
    let mends = host.install(component, "3.6-300.1");
    host.failed(mends.clone()).await;
    host.inside(&["umount", &folder]);
    host.done(mends).await;
    host.assert_has(component, "3.6-300.1");
    let conflicts = host.install(component, "3.6-400.1");
    let told = host.failed(conflicts).await;
    assert!(told.contains("conflicts") || told.contains("overwrite"), "{told}");
    host.assert_has(component, "3.6-300.1");
    belongs(host, component, Outcome::AlreadySo).await;

    host.done(Task::Remove { component }).await;
    assert_eq!(host.does(Task::Remove { component }).await.outcome, Outcome::AlreadySo);
    assert_eq!(host.inside(&["sh", "-c", &format!("ls {folder}/{component} 2>/dev/null")]), "");
}

async fn both(name: &'static str) {
    let mut lab = Lab::open().await;
    lab.make(name, name, "");
    lab.power(name, true);
    let mut host = Host { lab, name };
    // Whose file another package wants.
    let sds = host.install(Component::Sds, "3.6-300.1");
    host.done(sds).await;
    story(&mut host, Component::Lia).await;
    story(&mut host, Component::Gateway).await;
    let ledger = std::fs::read_to_string(host.lab.root(name).join("var/lib/sio-agent/ledger")).unwrap();
    let journal = host.inside(&["journalctl", "--no-pager"]);
    for secret in [TOKEN, PASSWORD] {
        assert!(!ledger.contains(secret) && !journal.contains(secret), "a password is in ledger or journal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_el7_host_gets_keeps_and_loses_lia_and_the_gateway() {
    both("el7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ubuntu_host_gets_keeps_and_loses_lia_and_the_gateway() {
    both("ubuntu").await;
}

//! Whether what the MDM lacks is added once, and what is refused holds back
//! only those who need it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use scaleio_framework::config::rollout::Rollout;
use scaleio_framework::config::{GatewayUrl, Login, Secret, System, Trust};
use scaleio_framework::fleet::desired::{Address, Desired, Domain, Server, Serves};
use scaleio_framework::fleet::diff::Addition;
use scaleio_framework::fleet::rollout::add::{Round, Wish, add};
use scaleio_framework::fleet::rollout::leave::Against;
use scaleio_framework::gateway::{Gateway, Role};
use scaleio_framework::model::id::{NodeName, SystemId};
use scaleio_framework::sim::{Options, Release, Running, Simulation};

use crate::site::layout;

/// Longer than the MDM takes.
const LONG: &str = "a-fault-set-of-a-name-that-no-mdm-would-ever-take";

struct Lab {
    world: Running,
    gateway: Gateway,
    _folder: tempfile::TempDir,
}

impl Lab {
    async fn start(release: Release) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let world = Simulation::start(Options::still(layout(), release)).await.unwrap();
        let certificate = folder.path().join("ca.pem");
        std::fs::write(&certificate, world.certificate_pem()).unwrap();
        let login = |user: &str, password: &str| Login { user: user.to_owned(), password: Secret::new(password) };
        let (monitor, admin) = (world.monitor(), world.admin());
        let gateways = world.addresses().iter().map(|address| GatewayUrl::at(*address)).collect();
        let mut system = System::new(gateways, login(&monitor.user, &monitor.password), Trust::CaFile(certificate));
        system.lifecycle = Some(login(&admin.user, &admin.password));
        let gateway = Gateway::new(SystemId::new("prod"), &system, Role::Lifecycle, Arc::new(|_| {})).unwrap();
        Self { world, gateway, _folder: folder }
    }

    /// One round; what was refused, by node.
    async fn add(&self, wish: &Wish) -> BTreeMap<String, String> {
        self.add_with(wish, |_| Ok(())).await
    }

    async fn add_with(
        &self,
        wish: &Wish,
        may: impl Fn(&Addition) -> Result<(), Against> + Send + Sync + 'static,
    ) -> BTreeMap<String, String> {
        let round = add(&self.gateway, wish, &may).await;
        round.results.into_iter().filter_map(|(node, result)| Some((node.to_string(), result.err()?))).collect()
    }

    fn servers(&self) -> usize {
        self.world
            .world(|world| world.sds.values().filter(|sds| sds.ips.iter().any(|ip| ip.ip.starts_with("10.9."))).count())
    }

    fn devices(&self) -> usize {
        self.world.world(|world| world.devices.values().filter(|device| device.path == "/dev/sdz").count())
    }
}

fn server(at: u8, fault_set: Option<&str>) -> (NodeName, Server) {
    let server = Server {
        domain: "bare".into(),
        fault_set: fault_set.map(Into::into),
        addresses: vec![Address { ip: format!("10.9.0.{at}").into(), serves: Serves::All }],
        placed: None,
        known_at: BTreeSet::new(),
        devices: [("/dev/sdz".into(), "p".into())].into(),
        aliases: BTreeMap::new(),
    };
    (NodeName::new(&format!("n{at}")), server)
}

fn wish(servers: &[(NodeName, Server)]) -> Wish {
    let servers: BTreeMap<NodeName, Server> = servers.iter().cloned().collect();
    let nodes: BTreeSet<NodeName> = servers.keys().cloned().collect();
    let domains = [("bare".into(), Domain::default())].into();
    let desired = Desired { domains, servers, ..Desired::default() };
    let rollout = Rollout::default();
    Wish {
        system: SystemId::new("prod"),
        rollout,
        desired,
        moves: nodes.clone(),
        nodes,
        rotational: BTreeSet::new(),
        after: None,
        settings: BTreeSet::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_holds_back_only_who_needs_it_and_nothing_is_added_twice() {
    for release in [Release::V2_0, Release::V2_6, Release::V3_0, Release::V3_6, Release::V4_5] {
        let lab = Lab::start(release).await;
        let wish = wish(&[server(1, None), server(2, Some(LONG)), server(3, Some("rack"))]);
        let refused = lab.add(&wish).await;
        assert_eq!(refused.keys().collect::<Vec<_>>(), ["n2"], "{release}: {refused:?}");
        assert!(refused["n2"].contains(LONG), "{refused:?}");
        assert_eq!((lab.servers(), lab.devices()), (2, 0), "{release}: disks come when their server is there");
        lab.world.advance(Duration::from_secs(60));
        lab.add(&wish).await;
        assert_eq!((lab.servers(), lab.devices()), (2, 2), "{release}");
        lab.add(&wish).await;
        assert_eq!((lab.servers(), lab.devices()), (2, 2), "{release}: all of it is there already");
        lab.gateway.logout().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_added_while_the_mdm_cluster_is_not_well() {
    let lab = Lab::start(Release::V3_6).await;
    let name = lab.world.world(|world| {
        let name = world
            .mdm
            .voters()
            .find(|mdm| world.mdm.master().is_none_or(|master| master.id != mdm.id))
            .unwrap()
            .name
            .clone();
        world.fail_mdm(&name).unwrap();
        name
    });
    let wish = wish(&[server(1, None)]);
    let refused = lab.add(&wish).await;
    assert!(refused["n1"].contains("the MDM cluster is"), "{refused:?}");
    assert_eq!(lab.servers(), 0);
    lab.world.world(|world| world.return_mdm(&name).unwrap());
    lab.world.advance(Duration::from_secs(60));
    assert_eq!(lab.add(&wish).await, BTreeMap::new());
    assert_eq!(lab.servers(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gets_no_leave_at_its_moment_is_not_asked_for_and_is_no_failure() {
    let lab = Lab::start(Release::V3_6).await;
    let wish = wish(&[server(1, None), server(2, None), server(3, Some("rack"))]);
    let (system, node) = (wish.system.clone(), |name: &str| NodeName::new(name));
    let none = move |_: &Addition| Err(Against::NotApproved { system: system.clone() });
    assert_eq!(add(&lab.gateway, &wish, &none).await, Round::default());
    assert_eq!(lab.servers(), 0);
    // Without the fault set its node waits; the others do not.
    let all_but_the_set = |addition: &Addition| match addition {
        Addition::FaultSet { .. } => Err(Against::RoundOver),
        _ => Ok(()),
    };
    let round = add(&lab.gateway, &wish, &all_but_the_set).await;
    let done: Vec<NodeName> =
        round.results.iter().filter(|(_, done)| done.is_ok()).map(|(name, _)| name.clone()).collect();
    assert_eq!((done, round.results.len()), (vec![node("n1"), node("n2")], 2));
    assert_eq!((lab.servers(), round.last), (2, Some(node("n2"))));
    lab.world.advance(Duration::from_secs(60));
    // Somebody takes the disk of one of them.
    let taken = |addition: &Addition| match addition {
        Addition::Device { node, path, .. } if node.as_str() == "n1" => {
            Err(Against::NotFree { path: path.clone(), because: "LVM has it".into() })
        }
        _ => Ok(()),
    };
    assert_eq!(lab.add_with(&wish, taken).await, BTreeMap::new());
    assert_eq!((lab.servers(), lab.devices()), (3, 1));
    lab.gateway.logout().await;
}

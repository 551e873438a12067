//! Runs a simulated system: its gateways on real sockets, its time real or virtual.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::fault::Faults;
use super::gateway::{Exchange, Gateway, Journal, Login, TokenClock, serve};
use super::release::Release;
use super::scenario::{Player, Scenario, ScenarioError};
use super::world::{Layout, UserRole, World};
use crate::clock;

/// How often real time is carried into the world.
const TICK: Duration = Duration::from_millis(250);

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Shape of the system.
    pub layout: Layout,
    /// Everything random follows from it.
    pub seed: u64,
    /// Release the system runs.
    pub release: Release,
    /// World seconds for each real one; 0 leaves time to `Running::advance`.
    pub speed: f64,
    /// Where each gateway listens; port 0 takes any that is free.
    pub listen: Vec<SocketAddr>,
    /// What happens to it.
    pub scenario: Option<Scenario>,
    /// Whose time tokens age by.
    pub token_clock: TokenClock,
    /// A user that may look.
    pub monitor: Login,
    /// A user that may do everything.
    pub admin: Login,
    /// More users that may do everything.
    pub more_admins: Vec<Login>,
    /// Whether to keep who asked what.
    pub journal: bool,
}

impl Options {
    /// One gateway on a free port of this machine, healthy, in real time.
    pub fn new(layout: Layout, release: Release) -> Self {
        let login = |user: &str, password: &str| Login { user: user.to_owned(), password: password.to_owned() };
        Self {
            layout,
            seed: 1,
            release,
            speed: 1.0,
            listen: vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)],
            scenario: None,
            token_clock: TokenClock::Real,
            monitor: login("monitor", "Look-but-touch-not-1"),
            admin: login("admin", "Touch-anything-1"),
            more_admins: Vec::new(),
            journal: false,
        }
    }

    /// As `new`, but nothing moves unless told to, tokens included: for tests.
    pub fn still(layout: Layout, release: Release) -> Self {
        Self { speed: 0.0, token_clock: TokenClock::World, ..Self::new(layout, release) }
    }

    /// This many gateways on free ports of this machine.
    #[must_use]
    pub fn gateways(mut self, count: usize) -> Self {
        self.listen = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0); count];
        self
    }
}

/// Why a simulated system did not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error("cannot listen on {address}; choose a free address, or port 0")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    #[error("the scenario cannot be played")]
    Scenario(#[from] ScenarioError),
}

/// Starts simulated systems.
#[derive(Debug)]
pub struct Simulation;

/// A simulated system that runs. It ends when this is dropped.
pub struct Running {
    addresses: Vec<SocketAddr>,
    certificate_pem: String,
    monitor: Login,
    admin: Login,
    journal: Arc<Journal>,
    stage: Arc<Stage>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// A way to the world of a running system, for those who live in it. It keeps no gateway open.
#[derive(Clone)]
pub struct Handle(Arc<Stage>);

impl Handle {
    /// Looks at the world, or changes it.
    pub fn world<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        work(&mut self.0.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Stage {
    world: Arc<Mutex<World>>,
    faults: Arc<Faults>,
    player: Mutex<Player>,
}

impl Stage {
    fn advance(&self, dt: Duration) {
        // Always in this order: player, then world.
        let mut player = self.player.lock().unwrap_or_else(PoisonError::into_inner);
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        player.advance(&mut world, &self.faults, dt);
    }
}

impl Simulation {
    /// Builds a system and opens its gateways.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        let mut world = World::new(&options.layout, options.release, options.seed);
        world.set_epoch(clock::now());
        let roles = [(&options.monitor, UserRole::Monitor), (&options.admin, UserRole::Superuser)];
        let more = options.more_admins.iter().map(|login| (login, UserRole::Administrator));
        for (login, role) in roles.into_iter().chain(more) {
            world.add_user(login.user.clone(), login.password.clone(), role, false);
        }
        if let Some(scenario) = &options.scenario {
            scenario.check(&world)?;
        }
        let own = options.listen.iter().map(|address| address.ip().to_string());
        let names: BTreeSet<String> = own.chain(["localhost".to_owned(), "127.0.0.1".to_owned()]).collect();
        let certificate = rcgen::generate_simple_self_signed(names.into_iter().collect::<Vec<_>>())?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)?;
        let tls = TlsAcceptor::from(Arc::new(tls));

        let stage = Arc::new(Stage {
            world: Arc::new(Mutex::new(world)),
            faults: Arc::new(Faults::new(options.seed)),
            player: Mutex::new(Player::new(options.scenario)),
        });
        let journal = Arc::new(Journal::new(options.journal));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let mut addresses = Vec::new();
        for (number, address) in options.listen.iter().enumerate() {
            let listen = |source| StartError::Listen { address: *address, source };
            let listener = TcpListener::bind(address).await.map_err(listen)?;
            addresses.push(listener.local_addr().map_err(listen)?);
            let gateway = Gateway::new(
                Arc::clone(&stage.world),
                Arc::clone(&stage.faults),
                options.token_clock,
                (number, options.seed),
                Arc::clone(&journal),
            );
            tasks.spawn(serve(listener, tls.clone(), Arc::new(gateway), stop.clone()));
        }
        if options.speed > 0.0 {
            tasks.spawn(tick(Arc::clone(&stage), options.speed, stop.clone()));
        }
        Ok(Running {
            addresses,
            certificate_pem: certificate.cert.pem(),
            monitor: options.monitor,
            admin: options.admin,
            journal,
            stage,
            tasks,
            stop,
        })
    }
}

async fn tick(stage: Arc<Stage>, speed: f64, stop: CancellationToken) {
    let mut last = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        let now = Instant::now();
        let dt = Duration::try_from_secs_f64((now - last).as_secs_f64() * speed).unwrap_or(TICK);
        last = now;
        let stage = Arc::clone(&stage);
        // A step of a huge world takes a while.
        if tokio::task::spawn_blocking(move || stage.advance(dt)).await.is_err() {
            return;
        }
    }
}

impl Running {
    /// Where the gateways listen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The gateways as base URLs.
    pub fn urls(&self) -> Vec<String> {
        self.addresses.iter().map(|address| format!("https://{address}")).collect()
    }

    /// The certificate all gateways show.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// A user that may look.
    pub fn monitor(&self) -> &Login {
        &self.monitor
    }

    /// A user that may do everything.
    pub fn admin(&self) -> &Login {
        &self.admin
    }

    /// Lets time pass in the world, with everything the scenario does in it.
    pub fn advance(&self, dt: Duration) {
        self.stage.advance(dt);
    }

    /// Looks at the world, or changes it.
    pub fn world<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        work(&mut self.stage.world.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same for whoever shares it.
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.stage))
    }

    /// Who asked what so far, if that is kept.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.journal.all()
    }

    /// Faults on the wire.
    pub fn faults(&self) -> &Faults {
        &self.stage.faults
    }

    /// Closes all gateways and their connections.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

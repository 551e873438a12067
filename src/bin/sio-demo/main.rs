//! The product at work on a simulated ScaleIO system: `cargo demo`.
#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

mod apart;
mod fleet;
mod told;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use fleet::Fleet;
use scaleio_framework::app;
use scaleio_framework::clock;
use scaleio_framework::config::{
    Agents, Alerts, Config, Control, GatewayUrl, Lifecycle, LinkKey, Log, LogFormat, Login, Mail, MailHost, Metrics,
    Mode, Notify, Override, Place, Poll, Secret, Store, System, Trust, Web,
};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::node::NodePhase;
use scaleio_framework::model::overview::Works;
use scaleio_framework::model::rollout::RolloutStatus;
use scaleio_framework::proof::simulate::Play;
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Inbox, MailSink, Options, Release, Running, Scenario, Simulation};
use scaleio_framework::stage::renewal::Renewal;
use scaleio_framework::stage::scene::Scene;
use scaleio_framework::telemetry;
use scaleio_framework::watches::Gallery;
use scaleio_framework::web::view;
use tokio::sync::watch;

/// What the demo plays when no other scenario is given.
const DEVICE_FAILURE: &str = include_str!("../../../config/scenarios/device-failure.toml");

/// Alerts about what the scenarios do; nobody wants to watch for the minutes that they wait.
const QUICK: [&str; 2] = ["ScaleioDeviceError", "ScaleioSdsDisconnected"];

/// The system that is made of bare hosts.
const NEW: &str = "new";

/// Where the page is looked for first.
const USUAL_PORT: u16 = 9465;

/// Whom the mails are for.
const READER: &str = "operator@demo.test";

/// Where the mails are looked for first.
const USUAL_MAIL_PORT: u16 = 9466;

/// The statistics of the huge system have room in it.
const MAX_ANSWER_BYTES: u64 = 512 << 20;

/// After so long the calendar asks for the next release: by then a device has failed, and the upgrade waits for it.
const UPGRADE: Duration = Duration::from_secs(45);

/// Watches a simulated ScaleIO system: metrics, page and API are those of the product.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Number that decides everything random in the simulated system.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// small: 3 racks of 4 nodes; large: 128 nodes; huge: 1,024 nodes and 30,000 volumes.
    #[arg(long, default_value = "small", value_parser = ["small", "large", "huge"])]
    size: String,
    /// Release of the simulated system.
    #[arg(long, default_value = "3.6", value_parser = ["2.0", "2.6", "3.0", "3.6", "4.5"])]
    release: String,
    /// What happens, as a TOML file; without it a device fails and is replaced.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// How much faster than the clock the simulated system lives.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Port of the page and the metrics; a free one is taken when it is busy.
    #[arg(long, default_value_t = USUAL_PORT)]
    port: u16,
    /// Port of the page that shows the mails; a free one is taken when it is busy.
    #[arg(long, default_value_t = USUAL_MAIL_PORT)]
    mail_port: u16,
    /// Only the simulated system, for a controller of its own: writes sio.toml, password and
    /// certificate into this folder; `sio run --config FOLDER/sio.toml` then watches it.
    /// Nothing happens in it unless --scenario says so.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["port", "mail_port", "log"])]
    only_gateway: Option<PathBuf>,
    /// With --only-gateway: each server has a host with an agent, mails are taken, and a job asks for the next release
    /// after so many seconds. The controller can be killed in the middle and started again.
    #[arg(long, value_name = "SECONDS", requires = "only_gateway")]
    upgrade: Option<u64>,
    /// Beside it a simulated Mesos and this many bare hosts, which join at once when the line `join` comes on stdin;
    /// `tell` tells what was seen of them.
    #[arg(long, requires = "only_gateway", conflicts_with = "upgrade", value_parser = clap::value_parser!(u32).range(1..=5000))]
    hosts: Option<u32>,
    /// End after this many seconds instead of going on until interrupted.
    #[arg(long)]
    seconds: Option<u64>,
    /// Also show the controller's log from this level on.
    #[arg(long, default_value = "error")]
    log: String,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Plays an upgrade in which everything goes wrong that can, and holds the engine's promises against the truth.
    /// The same seed tells the same story. Ends with 1 when a promise was broken.
    Simulate {
        /// Number that decides everything.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// So many seeds from there on; only the last line of each is told.
        #[arg(long, default_value_t = 1)]
        seeds: u64,
        /// Nodes of the site.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(3..=200))]
        nodes: u32,
        /// Moments until nothing goes wrong any more.
        #[arg(long, default_value_t = 2000)]
        events: u32,
    },
}

/// Tells the stories of these seeds. Whether all promises were kept.
fn simulate(seed: u64, seeds: u64, nodes: u32, events: u32) -> bool {
    let mut kept = true;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seed..seed.saturating_add(seeds) {
        let outcome = Play::of(seed, nodes, events).run();
        if seeds == 1 || !outcome.violations.is_empty() {
            for line in &outcome.story {
                println!("{line}");
            }
        }
        let verdict = if outcome.violations.is_empty() { "all promises kept" } else { "A PROMISE WAS BROKEN" };
        println!("seed {seed}, {nodes} nodes, {events} events, trace {}: {verdict}", outcome.trace);
        kept &= outcome.violations.is_empty();
        for (what, times) in outcome.counts {
            *counts.entry(what).or_default() += times;
        }
    }
    println!("what happened:");
    for (what, times) in counts {
        println!("  {times:>7}  {what}");
    }
    kept
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // The agent of each simulated host walks through its steps on a thread of its own.
    let threads = 512 + arguments.hosts.unwrap_or_default() as usize;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(threads).build()?;
    let played = runtime.block_on(play(arguments));
    // Whoever waits for a line on stdin would be waited for.
    runtime.shutdown_background();
    played
}

async fn play(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(Command::Simulate { seed, seeds, nodes, events }) = arguments.command {
        if !simulate(seed, seeds, nodes, events) {
            std::process::exit(1);
        }
        return Ok(());
    }
    telemetry::init(&Log { level: arguments.log.clone(), format: LogFormat::Text })?;
    let scenario = match &arguments.scenario {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Some(Scenario::read(&text).with_context(|| format!("{} is no scenario", path.display()))?)
        }
        None if arguments.only_gateway.is_some() => None,
        None => Some(Scenario::read(DEVICE_FAILURE)?),
    };
    let layout = Layout::named(&arguments.size).context("unknown size")?;
    let release: Release = arguments.release.parse()?;
    let options = Options { seed: arguments.seed, speed: arguments.speed, scenario, ..Options::new(layout, release) };
    let world = Simulation::start(options.gateways(2)).await?;
    if let Some(folder) = &arguments.only_gateway {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let folder = &folder.canonicalize()?;
        if let Some(count) = arguments.hosts {
            let fleet = Fleet::start(&world, folder, count).await?;
            let settings = fleet.settings(free_port(0)?, free_port(0)?)?;
            apart::hand_over(&world, folder, &(apart::changing(&world, folder)? + &settings))?;
            let ended = ended(arguments.seconds)?;
            tokio::select! {
                _ = ended => {}
                obeyed = fleet.obey() => obeyed?,
            }
            fleet.stop().await;
            world.stop().await;
            return Ok(());
        }
        let upgrade = match arguments.upgrade.map(Duration::from_secs) {
            Some(begins) => Some(apart::Upgrade { begins, agents: free_port(0)?, packages: free_port(0)? }),
            None => None,
        };
        anyhow::ensure!(
            upgrade.is_none() || release != Release::V4_5,
            "systems of 4.x are upgraded by PowerFlex Manager alone; choose another --release"
        );
        return apart::play(world, folder, upgrade, say, ended(arguments.seconds)?).await;
    }

    let folder = tempfile::Builder::new().prefix("sio-demo.").tempdir()?;
    let listen = free_port(arguments.port)?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mails = MailSink::start(any, free_port(arguments.mail_port)?).await?;
    // Beside the system that everybody looks at, one is made of bare hosts.
    let scene = match (&arguments.scenario, arguments.size.as_str()) {
        (None, "small") => {
            let scene = Scene::start(NEW, &folder.path().join(NEW), arguments.seed, arguments.speed).await?;
            Some(Arc::new(scene))
        }
        _ => None,
    };
    let mut config = configuration(&world, &mails, folder.path(), listen, scene.as_deref())?;
    // Where the usual story is told, the system gets to another release too; 4.x is upgraded by PowerFlex Manager alone.
    let renewal = match (&arguments.scenario, arguments.size.as_str(), arguments.release.as_str()) {
        (None, "small", "2.0" | "2.6" | "3.0" | "3.6") => Some(renew(&world, folder.path(), &mut config)?),
        _ => None,
    };
    let controller = app::start(&config).await?;
    introduce(&arguments, &world, &mails, controller.web);
    if let Some(renewal) = &renewal {
        renewal.begin(&config).map_err(anyhow::Error::msg)?;
        let soon = UPGRADE.as_secs();
        println!(
            "  (each of its servers has a host with an agent; in {soon} s a job asks for release {})",
            renewal.to()
        );
    }

    let story = tokio::spawn(tell(controller.gallery.clone(), Arc::clone(mails.inbox())));
    let work = tokio::spawn(tell_work(controller.works.clone()));
    let making = match (&scene, &controller.rollout) {
        (Some(scene), Some(rollout)) => Some(tokio::spawn(make(Arc::clone(scene), rollout.clone()))),
        _ => None,
    };
    let end = ended(arguments.seconds)?;
    let ended = controller.until(end).await;
    story.abort();
    work.abort();
    if let Some(making) = making {
        making.abort();
        // Who aborts a task waits for it: it holds the scene.
        let _ = making.await;
    }
    if let Some(scene) = scene.and_then(Arc::into_inner) {
        scene.stop().await;
    }
    world.stop().await;
    ended
}

/// Hosts for the servers of a system, and a job that brings them to the next release.
fn renew(world: &Running, folder: &Path, config: &mut Config) -> anyhow::Result<Renewal> {
    let renewal = Renewal::of(world, "demo", &folder.join("renewal")).map_err(anyhow::Error::msg)?;
    if config.agents.is_none() {
        let (listen, mirror) = (free_port(0)?, free_port(0)?);
        let addresses = vec![format!("https://{listen}")];
        let certificate_life = Duration::from_secs(86_400);
        config.agents = Some(Agents { listen, addresses, folder: folder.join("ca"), certificate_life, renew: false });
        config.artefacts.listen = mirror;
        config.artefacts.url = format!("http://{mirror}");
    }
    renewal.configure(config, UPGRADE).map_err(anyhow::Error::msg)?;
    Ok(renewal)
}

/// Waits for a signal, or for this many seconds.
fn ended(seconds: Option<u64>) -> anyhow::Result<impl Future<Output = &'static str>> {
    let signalled = app::signalled()?;
    Ok(async move {
        match seconds {
            Some(seconds) => tokio::select! {
                why = signalled => why,
                () = tokio::time::sleep(Duration::from_secs(seconds)) => "its time is over",
            },
            None => signalled.await,
        }
    })
}

fn configuration(
    world: &Running,
    mails: &MailSink,
    folder: &Path,
    listen: SocketAddr,
    scene: Option<&Scene>,
) -> anyhow::Result<Config> {
    let certificate = folder.join("gateway.pem");
    std::fs::write(&certificate, world.certificate_pem())?;
    let user = world.monitor();
    let system = System {
        gateways: world.addresses().iter().map(|address| GatewayUrl::at(*address)).collect(),
        monitor: Login { user: user.user.clone(), password: Secret::new(&user.password) },
        lifecycle: None,
        trust: Trust::CaFile(certificate),
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(30),
        max_answer_bytes: MAX_ANSWER_BYTES,
        rollout: None,
        volumes: None,
    };
    let quick = |alert: &str| Override {
        alert: alert.to_owned(),
        matches: BTreeMap::new(),
        off: false,
        threshold: None,
        hold: Some(Duration::from_secs(5)),
        severity: None,
        place: Place::Nowhere,
    };
    let mut systems = BTreeMap::from([(SystemId::new("demo"), system)]);
    systems.extend(scene.map(|scene| (SystemId::new(NEW), scene.system())));
    // A person said yes to the new system by asking for the demo.
    let mode = if scene.is_some() { Mode::Act } else { Mode::Propose };
    Ok(Config {
        lifecycle: Lifecycle { mode, ..Lifecycle::default() },
        jobs: Vec::new(),
        log: Log { level: "info".to_owned(), format: LogFormat::Text },
        web: Web::at(listen),
        control: Control { socket: folder.join("sio.sock") },
        store: Store { path: folder.join("state.db"), zookeeper: None },
        // Quicker than a real system wants to be asked: people watch.
        poll: Poll {
            fast: Duration::from_secs(2),
            middle: Duration::from_secs(6),
            slow: Duration::from_secs(20),
            max_age: Duration::from_secs(120),
        },
        metrics: Metrics::all(2_000_000),
        alerts: Alerts { overrides: QUICK.map(quick).to_vec(), ..Alerts::default() },
        notify: Notify::default_for(vec![READER.to_owned()]),
        mail: Some(mail(mails, folder, listen)?),
        alertmanager: None,
        webhook: None,
        mesos: scene.map(Scene::mesos),
        agents: scene.map(|scene| Ok::<_, anyhow::Error>(scene.agents(free_port(0)?))).transpose()?,
        artefacts: scene.map(Scene::artefacts).unwrap_or_default(),
        static_nodes: BTreeMap::new(),
        systems,
    })
}

/// Mail as a site would have it: STARTTLS by an authority of its own, a login, and links to act.
fn mail(mails: &MailSink, folder: &Path, listen: SocketAddr) -> anyhow::Result<Mail> {
    let authority = folder.join("mail-ca.pem");
    std::fs::write(&authority, mails.authority_pem())?;
    let host = MailHost { name: mails.smtp().ip().to_string(), port: mails.smtp().port() };
    let (from, to) = ("Demo storage <sio@demo.test>".parse()?, READER.parse()?);
    let login = mails.login();
    Ok(Mail {
        trust: Trust::CaFile(authority),
        login: Some(Login { user: login.user.clone(), password: Secret::new(&login.password) }),
        hello: Some("demo.test".to_owned()),
        base_url: Some(format!("http://{listen}/").parse()?),
        link_key: LinkKey::new(&rand::random::<[u8; 32]>()),
        ..Mail::new(vec![host], from, vec![to])
    })
}

/// The wanted port of this machine, or a free one when it is taken.
fn free_port(wanted: u16) -> anyhow::Result<SocketAddr> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted));
    let bound = bound.or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(bound.local_addr()?)
}

fn introduce(arguments: &Arguments, world: &Running, mails: &MailSink, web: SocketAddr) {
    let user = world.monitor();
    println!(
        "A simulated ScaleIO {} system ({}, seed {}, {} times real speed) and the controller that watches it.\n",
        arguments.release, arguments.size, arguments.seed, arguments.speed
    );
    for (wanted, taken) in [(arguments.port, web.port()), (arguments.mail_port, mails.web().port())] {
        if wanted != 0 && wanted != taken {
            println!("Port {wanted} is busy, so another one was taken.\n");
        }
    }
    let gateways = world.urls().join(", ");
    for (what, place, says) in [
        ("page", format!("http://{web}/"), "begin here: is the data safe, and who is hurt?"),
        ("mails", format!("http://{}/", mails.web()), "what an operator is told"),
        ("metrics", format!("http://{web}/metrics"), "what Prometheus scrapes; dashboards/ shows it"),
        ("API", format!("http://{web}/api/v1/openapi.json"), "what programs may ask"),
        ("command", format!("cargo run --quiet -- status --url http://{web}"), ""),
    ] {
        println!("  {what:<9} {place:<44} {says}");
    }
    println!("  gateway   {gateways} (simulated; user {}, password {})", user.user, user.password);
    println!("\nWhat happens (Ctrl-C ends it):");
    let _ = std::io::stdout().flush();
}

/// Before the first bare host joins: people read the first lines.
const FIRST_HOSTS: Duration = Duration::from_secs(3);
/// Between the first hosts that are ready and the late one.
const LATE_HOST: Duration = Duration::from_secs(15);

/// Lets bare hosts join, and says what becomes of them.
async fn make(scene: Arc<Scene>, mut rollout: watch::Receiver<Arc<RolloutStatus>>) {
    tokio::time::sleep(FIRST_HOSTS).await;
    say("three bare hosts join Mesos; their system shall be called new");
    if let Err(error) = scene.begin().await {
        return say(&format!("they cannot join: {error}"));
    }
    let (mut told, mut changes, mut late) = (told::Nodes::default(), 0, None);
    loop {
        let status = Arc::clone(&rollout.borrow_and_update());
        let made = scene.hosts.mdm_changes();
        made.iter().skip(changes).for_each(|change| say(&format!("MDM cluster of new: {change}")));
        changes = made.len();
        for line in told.news(&status) {
            say(&line);
        }
        let are_ready = status.nodes.len() == 3 && status.nodes.values().all(|node| node.phase == NodePhase::Ready);
        if are_ready && late.is_none() {
            late = Some(Instant::now() + LATE_HOST);
        }
        if late.is_some_and(|at| at <= Instant::now()) {
            late = Some(Instant::now() + Duration::from_secs(u64::from(u32::MAX)));
            match scene.late().await {
                Ok(name) => say(&format!("{name} joins Mesos, late, and with data on a disk")),
                Err(error) => say(&format!("a late host cannot join: {error}")),
            }
        }
        let changed = tokio::time::timeout(Duration::from_secs(1), rollout.changed()).await;
        if matches!(changed, Ok(Err(_))) {
            return;
        }
    }
}

/// One line, with the time.
fn say(line: &str) {
    // Nobody reads any more: the demo goes on, its page too.
    let _ = writeln!(std::io::stdout(), "  {}  {line}", clock::now().format("%H:%M:%S"));
    let _ = std::io::stdout().flush();
}

/// Says how upgrades go.
async fn tell_work(mut works: watch::Receiver<Arc<Works>>) {
    let mut told = told::Runs::default();
    loop {
        // What holds only becomes news by lasting.
        if let Ok(Err(_)) = tokio::time::timeout(Duration::from_secs(1), works.changed()).await {
            return;
        }
        let now = Arc::clone(&works.borrow_and_update());
        told.news(&now.runs, Instant::now()).iter().for_each(|line| say(line));
    }
}

/// Says what changes, as a person would who looks at the page and reads the mails.
async fn tell(gallery: Gallery, inbox: Arc<Inbox>) {
    let (mut pictures, mut taken) = (gallery.subscribe(), inbox.taken());
    let mut told: BTreeMap<SystemId, told::System> = BTreeMap::new();
    // The number of the newest mail that was told of.
    let mut mails = 0;
    loop {
        let lines: Vec<String> = tokio::select! {
            changed = pictures.changed() => {
                if changed.is_err() {
                    return;
                }
                let pictures = pictures.borrow_and_update();
                let mut lines = Vec::new();
                for (system, picture) in pictures.iter() {
                    let status = view::system(picture, clock::now());
                    let told = told.entry(system.clone()).or_default();
                    // Nothing is to be said of a system that was not asked, or is not made yet.
                    let is_new = system.as_str() == NEW;
                    if picture.health.last_poll.is_none() || (is_new && !told.was_heard() && status.mdm.is_none()) {
                        continue;
                    }
                    let prefix = if is_new { "new: " } else { "" };
                    lines.extend(told.news(&status, Instant::now()).into_iter().map(|line| format!("{prefix}{line}")));
                }
                lines
            }
            _ = taken.changed() => {
                let known = std::mem::replace(&mut mails, *taken.borrow_and_update());
                let new = inbox.all().into_iter().filter(|mail| mail.number > known);
                new.map(|mail| format!("mail: {}", mail.subject())).collect()
            }
        };
        lines.iter().for_each(|line| say(line));
    }
}

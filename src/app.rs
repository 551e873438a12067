//! Wiring: which tasks run, what they share, and how they end together.

mod agents;
mod hosts;
mod jobs;
mod rollout;
mod telling;
mod votes;
mod work;
mod works;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::alert::reload::Reloader;
use crate::alert::rules;
use crate::alert::run::Evaluator;
use crate::alert::tell::Teller;
use crate::config::{self, Config};
use crate::fleet::enrolment;
use crate::fleet::preview::preview;
use crate::fleet::run::{Framework, Seen, Settings as FleetSettings};
use crate::fleet::workloads::Watcher;
use crate::gateway::{Gateway, Role};
use crate::keeper::{self, Keeper, Kept};
use crate::mesos::scheduler::Template;
use crate::metrics::{Encoder, Exposition, Own};
use crate::model::framework::ExecutorMessage;
use crate::model::id::SystemId;
use crate::model::overview::Works;
use crate::model::picture::Picture;
use crate::model::rollout::RolloutStatus;
use crate::model::workload::Workloads;
use crate::poll::run::Poller;
use crate::store::{Batch, Desk, Epoch, Owner, SqliteStore, State, Store, StoreError, ZooKeeperStore};
use crate::switchboard::Switchboard;
use crate::upgrade::keep::last_epoch;
use crate::watches::Gallery;
use crate::web::access::Access;
use crate::web::actions::FormKey;
use crate::web::api::{self, Shown};
use crate::web::listener::Listener;
use crate::web::live::{self, Live};
use crate::web::mesos::{Cluster, LookAhead};
use crate::web::nodes::{Nodes, RolloutDesk};
use crate::{BUILD, VERSION, clock};
use telling::{Told, telling};

/// Tasks get this long to end by themselves: a logout and the last answers.
const GRACE: Duration = Duration::from_secs(10);

/// Tasks that run, each with its name.
type Tasks = JoinSet<(&'static str, anyhow::Result<()>)>;

/// A controller at work.
pub struct Running {
    /// Where people and scrapers are served.
    pub web: SocketAddr,
    /// The newest pictures.
    pub gallery: Gallery,
    /// How far the rollout is; none: nothing is rolled out.
    pub rollout: Option<watch::Receiver<Arc<RolloutStatus>>>,
    /// Nodes, runs and jobs.
    pub works: watch::Receiver<Arc<Works>>,
    stop: CancellationToken,
    reloader: Option<Reloader>,
    tasks: Tasks,
}

/// Starts everything that the configuration asks for. What cannot work is
/// found here, before the first request goes out.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    let access = Access::new(&config.web).context("the web configuration cannot be used")?;
    let access = Arc::new(access);
    let rules = if config.alerts.enabled { Some(rules::load(&config.alerts, &config.poll)?) } else { None };
    let web = Listener::tcp(config.web.listen, Arc::clone(&access)).await?;
    let web_address = web.local_addr().context("the web listener has no address")?;
    let socket = Listener::unix(&config.control.socket)?;
    let (store, state) = open_store(&config.store).await?;
    let own = Arc::new(Own::new(BUILD)?);

    let now = clock::now();
    let mut pollers = Vec::new();
    for (system, settings) in &config.systems {
        let gateway = gateway(system, settings, Role::Monitor, &own)?;
        pollers.push((system, gateway, keeper::observed(&state, system)));
    }
    let unseen = pollers.iter().map(|(system, _, observed)| Picture::unseen((*system).clone(), now, observed.clone()));
    let gallery = Gallery::new(unseen);

    let mut encoder = Encoder::new(&config.metrics);
    let pictures: Vec<Arc<Picture>> = gallery.all().into_values().collect();
    let exposition = watch::Sender::new(encoder.encode(&pictures, now));
    let kept = watch::Sender::new(keeper::notes(&gallery.all()));
    let (owner, desk) = Owner::new(store, &state);
    let reloader = rules.map(|rules| Reloader::new(rules, &config.poll, own.clone(), now));
    let evaluator = reloader.as_ref().map(|reloader| {
        let folder = config.store.path.with_extension("history");
        Evaluator::new(reloader.rules(), &folder, desk.clone(), &state, own.clone())
    });
    let (switchboard, calls) = Switchboard::new();
    let workloads = match &config.mesos {
        Some(mesos) => Some(Watcher::new(mesos).context("the Mesos cluster cannot be used")?),
        None => None,
    };
    let mut told = match &evaluator {
        Some(_) => telling(config, &state, &desk, &gallery, calls, &own, now)?,
        None => Told::default(),
    };
    let statuses = std::mem::take(&mut told.statuses);
    let fired = evaluator.as_ref().map(Evaluator::firing);
    let nodes = agents::open(config, &desk, &state, now).await?;
    let (hosts, joined) = nodes.as_ref().map(|nodes| hosts::open(config, nodes, &gallery)).unzip();
    let people = told.teller.as_ref().map(|_| switchboard.clone());
    let (looks, lookers) = jobs::open(config, nodes.as_ref(), &desk, people, &own);
    let work = work::AtWork::new(config, &joined.unwrap_or_default(), &desk, &gallery, &own, fired, &looks, &state)?;
    told.teller = told.teller.map(|teller| teller.explained_by(work.underway()).reporting(work.shown()));
    let (workload_watcher, workloads) = workloads.unzip();
    let census = workloads.clone().zip(workload_watcher.as_ref().map(Watcher::nudge));
    let framework = match (&config.mesos, &workloads) {
        (Some(mesos), Some(workloads)) => {
            let is_wanted = config.lifecycle.mode > config::Mode::Observe
                && config.systems.values().any(|system| system.rollout.is_some());
            let template = nodes.as_ref().filter(|_| is_wanted).map(|nodes| nodes.template.clone());
            Some(framework(mesos, &config.systems, template, &desk, &state, &own, workloads.clone())?)
        }
        _ => None,
    };
    let rolled = match &nodes {
        Some(nodes) => {
            let status = framework.as_ref().map(|(_, cluster, _)| cluster.status.clone());
            let lines = work.lines();
            rollout::open(
                config,
                nodes,
                rollout::Beside { framework: status, census, lines, adding: work.adding() },
                &gallery,
                &desk,
                &state,
                &own,
            )?
        }
        None => None,
    };
    if let Some(workloads) = workloads {
        told.teller = told.teller.map(|teller| teller.naming(workloads));
    }
    let watched = works::Watched {
        members: nodes.as_ref().map(|nodes| nodes.crew.members()),
        rollout: rolled.as_ref().map(|(_, handles)| handles.status.clone()),
        framework: framework.as_ref().map(|(_, cluster, _)| cluster.status.clone()),
        work: work.shown(),
    };
    let works: watch::Sender<Arc<Works>> = watch::Sender::default();
    let works_seen = works.subscribe();
    let stop = CancellationToken::new();
    let pasts = watch::Sender::new(Arc::default());
    let live = Live::new(pasts.subscribe(), stop.clone());
    let shown = Shown {
        gallery: gallery.clone(),
        exposition: exposition.subscribe(),
        firing: evaluator.as_ref().map(Evaluator::firing),
        handled: told.teller.as_ref().map(Teller::handled),
        switchboard: told.teller.as_ref().map(|_| switchboard),
        act_without_login: config.notify.act_without_login,
        rules_problem: reloader.as_ref().map(Reloader::problem),
        mesos: framework.as_ref().map(|(_, cluster, _)| cluster.clone()),
        work: work.lines(),
        nodes: nodes.as_ref().map(|nodes| Nodes {
            members: nodes.crew.members(),
            crew: nodes.crew.clone(),
            admissions: nodes.admissions.clone(),
            authority: Arc::clone(&nodes.authority),
            renewal: nodes.renewal.subscribe(),
            shelf: nodes.shelf.clone(),
            known: Arc::new(config.static_nodes.keys().cloned().collect()),
            rollout: rolled
                .as_ref()
                .map(|(_, handles)| RolloutDesk { status: handles.status.clone(), orders: handles.orders.clone() }),
        }),
        own: own.clone(),
        started_at: now,
        receivers: Arc::new(move |now| statuses.iter().map(|status| status(now)).collect()),
        live,
        forms: FormKey::random(),
        forecasts: evaluator.as_ref().map(Evaluator::forecasts),
        works: works.subscribe(),
    };

    let mut tasks = JoinSet::new();
    for (system, gateway, observed) in pollers {
        let poller = Poller::new(system.clone(), gateway, &config.poll, gallery.clone(), own.clone(), observed);
        spawn(&mut tasks, "poller", poller.run(stop.clone()));
    }
    if let Some(hosts) = hosts {
        hosts.spawn(watched.framework.clone(), watched.rollout.clone(), watched.work.clone(), &mut tasks, &stop);
    }
    let lifecycles = watched.work.clone();
    work.spawn(&mut tasks, &stop);
    lookers.spawn(&mut tasks, &stop);
    spawn(&mut tasks, "view of nodes, runs and jobs", works::publish(watched, works, stop.clone()));
    let watched = exposition.subscribe();
    spawn(&mut tasks, "encoder", encode(encoder, gallery.clone(), kept.clone(), exposition, stop.clone()));
    spawn(&mut tasks, "memory of the page", live::remember(gallery.clone(), pasts, stop.clone()));
    spawn(&mut tasks, "page", live::render(shown.clone()));
    spawn(&mut tasks, "web listener", web.serve(api::public(shown.clone(), access), stop.clone()));
    spawn(&mut tasks, "control socket", socket.serve(api::local(shown), stop.clone()));
    if let Some(evaluator) = evaluator {
        for postman in told.postmen {
            let postman = postman.run(stop.clone());
            tasks.spawn(async move { ("postman", postman.await.map_err(anyhow::Error::from)) });
        }
        if let Some(teller) = told.teller {
            let teller = teller.run(evaluator.verdicts(), stop.clone());
            tasks.spawn(async move { ("notification", teller.await.map_err(anyhow::Error::from)) });
        }
        for caller in told.callers {
            spawn(&mut tasks, "Alertmanager's caller", caller.run(evaluator.verdicts(), stop.clone()));
        }
        let task = evaluator.run(gallery.clone(), watched, stop.clone());
        tasks.spawn(async move { ("evaluation of alert rules", task.await.map_err(anyhow::Error::from)) });
    }
    if let Some(watcher) = workload_watcher {
        spawn(&mut tasks, "watcher of workloads", watcher.run(stop.clone()));
    }
    if let Some((framework, cluster, messages)) = framework {
        let votes = votes::Ground {
            framework: cluster.status.clone(),
            orders: cluster.orders.clone(),
            members: nodes.as_ref().map(|nodes| nodes.crew.members()),
            works: lifecycles,
            gallery: gallery.clone(),
            systems: config.systems.keys().cloned().collect(),
        };
        if let Some(nodes) = &nodes {
            let answers =
                enrolment::run(nodes.authority.clone(), cluster.status, messages, cluster.orders, stop.clone());
            spawn(&mut tasks, "enrolment of nodes", answers);
        }
        spawn(&mut tasks, "votes on maintenance of Mesos", votes.tell(stop.clone()));
        let task = framework.run(stop.clone());
        tasks.spawn(async move { ("framework at Mesos", task.await.map_err(anyhow::Error::from)) });
    }
    let rolled_out = rolled.as_ref().map(|(_, handles)| handles.status.clone());
    if let Some((rollout, _)) = rolled {
        let task = rollout.run(stop.clone());
        tasks.spawn(async move { ("rollout", task.await.map_err(anyhow::Error::from)) });
    }
    if let Some(nodes) = nodes {
        nodes.serve(&mut tasks, &stop);
    }
    let keeper = Keeper::new(desk, &state).run(gallery.clone(), kept, stop.clone());
    tasks.spawn(async move { ("keeper", keeper.await.map_err(anyhow::Error::from)) });
    // Ends when nobody is left who could ask it.
    tasks.spawn(async move { ("store", owner.run().await.map_err(anyhow::Error::from)) });

    info!(version = VERSION, web = %web_address, systems = config.systems.len(), "started");
    let (rollout, works) = (rolled_out, works_seen);
    Ok(Running { web: web_address, gallery, rollout, works, stop, reloader, tasks })
}

/// Opens the store where the configuration says, reads all of it, and claims the next epoch: the store refuses whoever led
/// before from then on, and agents do once they have heard of it.
async fn open_store(settings: &config::Store) -> anyhow::Result<(Box<dyn Store>, State)> {
    let settings = settings.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<_, StoreError> {
        let mut store: Box<dyn Store> = match &settings.zookeeper {
            Some(place) => Box::new(ZooKeeperStore::open(place)?),
            None => Box::new(SqliteStore::open(&settings.path)?),
        };
        let mut state = store.load()?;
        state.epoch = Epoch(state.epoch.0.max(last_epoch(&state)) + 1);
        state.version = store.commit(state.epoch, state.version, &Batch::new())?;
        Ok((store, state))
    });
    Ok(opened.await.context("the store could not be opened")??)
}

/// Our framework at the Mesos cluster, and how others see it.
fn framework(
    mesos: &config::Mesos,
    systems: &BTreeMap<SystemId, config::System>,
    template: Option<Template>,
    desk: &Desk,
    state: &State,
    own: &Arc<Own>,
    workloads: watch::Receiver<Arc<Workloads>>,
) -> anyhow::Result<(Framework, Cluster, mpsc::Receiver<ExecutorMessage>)> {
    let (seen, cluster) = (own.clone(), mesos.cluster.clone());
    let on_seen = Arc::new(move |what: &Seen<'_>| match what {
        Seen::Event { kind } => seen.mesos_event(&cluster, kind),
        Seen::Malformed => seen.mesos_event(&cluster, "malformed"),
        Seen::Offer { action, reason } => seen.mesos_offer(&cluster, action, reason),
        Seen::Before { .. } | Seen::After { .. } => {}
    });
    let settings =
        FleetSettings { mesos: mesos.clone(), template, systems: systems.keys().cloned().collect(), hostname: None };
    let (framework, handles) = Framework::new(settings, desk.clone(), state, on_seen)?;
    let framework = framework.minding(workloads.clone());
    let (rollouts, names): (BTreeMap<_, _>, BTreeSet<_>) = (
        systems.iter().filter_map(|(name, system)| Some((name.clone(), system.rollout.clone()?))).collect(),
        systems.keys().cloned().collect(),
    );
    let look_ahead: LookAhead = Arc::new(move |system, status, snapshot| {
        rollouts.get(system).map(|rollout| preview(system, rollout, &names, status, snapshot))
    });
    let cluster = Cluster { status: handles.status, orders: handles.orders, look_ahead, workloads };
    Ok((framework, cluster, handles.messages))
}

fn gateway(system: &SystemId, settings: &config::System, role: Role, own: &Arc<Own>) -> anyhow::Result<Gateway> {
    let seen = own.clone();
    let name = system.clone();
    let on_request = Arc::new(move |request: &crate::gateway::RequestSeen<'_>| {
        let code = request.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        seen.requested(&name, request.endpoint, &code, request.duration);
    });
    Gateway::new(system.clone(), settings, role, on_request).with_context(|| format!("system {system} cannot be used"))
}

fn spawn(tasks: &mut Tasks, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
    tasks.spawn(async move {
        task.await;
        (name, Ok(()))
    });
}

/// Makes an exposition of every change, off the async threads.
async fn encode(
    mut encoder: Encoder,
    gallery: Gallery,
    kept: watch::Sender<Kept>,
    exposition: watch::Sender<Arc<Exposition>>,
    stop: CancellationToken,
) {
    let mut pictures = gallery.subscribe();
    // A sender is held here too: a keeper that ends is the failure to tell, not this.
    let mut kept_now = kept.subscribe();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = pictures.changed() => if changed.is_err() { return },
            changed = kept_now.changed() => if changed.is_err() { return },
        }
        let now = {
            let kept = kept_now.borrow_and_update();
            pictures.borrow_and_update().values().map(|picture| as_kept(picture, &kept)).collect::<Vec<_>>()
        };
        let made = tokio::task::spawn_blocking(move || {
            let made = encoder.encode(&now, clock::now());
            (encoder, made)
        });
        match made.await {
            Ok((back, made)) => {
                encoder = back;
                exposition.send_replace(made);
            }
            // The task ends, and with it the process: old values must not be served for ever.
            Err(panic) => {
                error!(%panic, "the encoder failed");
                return;
            }
        }
    }
}

/// The picture with the notes that are written down.
fn as_kept(picture: &Arc<Picture>, kept: &Kept) -> Arc<Picture> {
    match kept.get(&picture.system) {
        Some(written) if !Arc::ptr_eq(written, &picture.observed) => {
            Arc::new(Picture { observed: Arc::clone(written), ..Picture::clone(picture) })
        }
        _ => Arc::clone(picture),
    }
}

impl Running {
    /// Waits until told to stop or until a task ends by itself, which is a
    /// failure of the whole; then lets the others end.
    pub async fn until(self, told: impl Future<Output = &'static str>) -> anyhow::Result<()> {
        self.end(told, GRACE).await
    }

    /// From now on SIGHUP makes the alert rules be loaded anew.
    fn on_hangup(
        &mut self,
        again: impl Fn() -> Result<Config, config::ConfigErrors> + Send + 'static,
    ) -> anyhow::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = signal(SignalKind::hangup())?;
        let (reloader, stop) = (self.reloader.take(), self.stop.clone());
        spawn(&mut self.tasks, "reload on SIGHUP", async move {
            while tokio::select! { () = stop.cancelled() => None, told = hangup.recv() => told }.is_some() {
                match &reloader {
                    Some(reloader) => reloader.reload(again().map(|config| config.alerts), clock::now()),
                    None => info!("SIGHUP: alert rules are not evaluated here, so nothing is loaded anew"),
                }
            }
        });
        Ok(())
    }

    async fn end(mut self, told: impl Future<Output = &'static str>, grace: Duration) -> anyhow::Result<()> {
        let result = tokio::select! {
            why = told => {
                info!(why, "stopping");
                Ok(())
            }
            ended = self.tasks.join_next() => Err(match ended {
                Some(Ok((name, Err(error)))) => error.context(format!("the {name} failed")),
                Some(Ok((name, Ok(())))) => anyhow!("the {name} ended by itself"),
                Some(Err(panic)) => anyhow!("a task failed: {panic}"),
                None => anyhow!("there was nothing to do"),
            }),
        };
        self.stop.cancel();
        let rest = async {
            let mut failed = Ok(());
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok((name, Err(error))) = ended {
                    failed = Err(error.context(format!("the {name} failed at the end")));
                }
            }
            failed
        };
        match tokio::time::timeout(grace, rest).await {
            Ok(ended) => result.and(ended),
            Err(_) => result.and(Err(anyhow!("not every task ended within {grace:?}"))),
        }
    }
}

/// Runs until SIGTERM or SIGINT; `again` reads the configuration anew.
pub async fn run(
    config: &Config,
    again: impl Fn() -> Result<Config, config::ConfigErrors> + Send + 'static,
) -> anyhow::Result<()> {
    let mut running = start(config).await?;
    running.on_hangup(again)?;
    running.until(signalled()?).await
}

/// Waits for one of the signals that ask a service to stop.
pub fn signalled() -> anyhow::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// Logs in at a system once: what answers there, or why nothing does.
pub async fn probe(settings: &config::System) -> Result<String, String> {
    let gateway = Gateway::new(SystemId::new("probe"), settings, Role::Monitor, Arc::new(|_| {}));
    let gateway = gateway.map_err(|error| error.to_string())?;
    let answer = gateway.system().await;
    gateway.logout().await;
    match answer {
        Ok(answer) => Ok(match answer.value.name {
            Some(name) => format!("{name}, release {}", answer.value.version),
            None => format!("release {}", answer.value.version),
        }),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(tasks: Tasks, stop: CancellationToken) -> Running {
        let works = watch::channel(Arc::default()).1;
        let web = SocketAddr::from(([127, 0, 0, 1], 0));
        Running { web, gallery: Gallery::new([]), rollout: None, works, stop, reloader: None, tasks }
    }

    /// One task that goes on until told to stop, and one of the test's.
    async fn end(task: impl Future<Output = anyhow::Result<()>> + Send + 'static) -> String {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        let told = stop.clone();
        let other = CancellationToken::new();
        let ended = other.clone().drop_guard();
        spawn(&mut tasks, "other", async move {
            told.cancelled().await;
            drop(ended);
        });
        tasks.spawn(async move { ("one", task.await) });
        let error = running(tasks, stop).until(std::future::pending()).await.unwrap_err();
        assert!(other.is_cancelled(), "the other was let end by itself");
        format!("{error:#}")
    }

    #[tokio::test]
    async fn a_task_that_ends_by_itself_in_any_way_ends_all_with_an_error_that_names_it() {
        assert_eq!(end(async { Ok(()) }).await, "the one ended by itself");
        assert_eq!(end(async { Err(anyhow!("no disk")) }).await, "the one failed: no disk");
        let panic = end(async { panic!("a bug") }).await;
        assert!(panic.starts_with("a task failed: ") && panic.contains("a bug"), "{panic}");
    }

    #[tokio::test]
    async fn being_told_to_stop_is_no_error_unless_a_task_fails_at_its_end() {
        for (result, expected) in
            [(Ok(()), None), (Err(anyhow!("no disk")), Some("the one failed at the end: no disk"))]
        {
            let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
            let told = stop.clone();
            tasks.spawn(async move {
                told.cancelled().await;
                ("one", result)
            });
            let ended = running(tasks, stop).until(async { "the test" }).await;
            assert_eq!(ended.err().map(|error| format!("{error:#}")).as_deref(), expected);
        }
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_not_waited_for_beyond_the_grace() {
        let mut tasks = JoinSet::new();
        spawn(&mut tasks, "stuck", std::future::pending());
        let ended = running(tasks, CancellationToken::new()).end(async { "the test" }, Duration::from_millis(10)).await;
        assert_eq!(ended.unwrap_err().to_string(), "not every task ended within 10ms");
    }
}

//! How is the work on systems joined to the rest: store, pictures, rules, gateways, and hosts?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{gateway, spawn};
use crate::alert::explain::{OF_OUR_WORK, explained_by};
use crate::alert::rules;
use crate::config::{Config, Syslog};
use crate::gateway::Role;
use crate::mesos::operator::Operator;
use crate::metrics::Own;
use crate::model::alerting::{Alert, FiringSet, Labels, Severity};
use crate::model::id::SystemId;
use crate::model::lifecycle::Lifecycle;
use crate::model::plan::Limits;
use crate::store::{Desk, State};
use crate::upgrade::alertmanager::{Seen, Watcher, concerning};
use crate::upgrade::hands::{Hands, Others};
use crate::upgrade::mesos::Drainer;
use crate::upgrade::plan::Habits;
use crate::upgrade::recorder::Recorder;
use crate::upgrade::run::{Joints, Settings, Work};
use crate::upgrade::syslog;
use crate::watches::{Additions, Gallery};
use crate::work::facts::{self, Firing, Policy};
use crate::work::seam::{FiringNow, Line, LookAt, Surroundings, UnderwayNow};

/// Who is at hand for the hosts of a system.
#[derive(Clone, Debug, Default)]
pub(super) struct Joined {
    /// What is seen of hosts and of Mesos; none: nothing is.
    pub(super) around: Option<watch::Receiver<Arc<Surroundings>>>,
    /// Who has effects on them.
    pub(super) others: Others,
}

/// The work on all systems, before it begins.
pub(super) struct AtWork {
    each: Vec<(Work, Hands, Recorder)>,
    syslog: Option<(Syslog, String, mpsc::Receiver<syslog::Line>)>,
    watcher: Option<Watcher>,
    lines: BTreeMap<SystemId, Line>,
    underway: watch::Sender<UnderwayNow>,
    /// Held, so that who waits for news of hosts goes on waiting.
    nobody: watch::Sender<Arc<Surroundings>>,
    adding: watch::Sender<Additions>,
    drainer: Option<Drainer>,
}

impl AtWork {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        config: &Config,
        joined: &BTreeMap<SystemId, Joined>,
        desk: &Desk,
        gallery: &Gallery,
        own: &Arc<Own>,
        fired: Option<watch::Receiver<Arc<FiringSet>>>,
        looks: &mpsc::UnboundedSender<LookAt>,
        state: &State,
    ) -> anyhow::Result<Self> {
        let underway = watch::Sender::new(UnderwayNow::new());
        let nobody = watch::Sender::new(Arc::new(Surroundings::default()));
        let adding = watch::Sender::new(Additions::new());
        let (watcher, others) = match &config.lifecycle.alertmanager {
            Some(settings) => Watcher::new(settings.clone()).map(|(watcher, seen)| (Some(watcher), Some(seen)))?,
            None => (None, None),
        };
        let names = config.systems.keys().cloned().collect();
        let own_rules = match &others {
            Some(_) => own_rules(config),
            None => BTreeSet::new(),
        };
        let firing = beside(firing(fired, underway.subscribe()), others, names, own_rules);
        let (drains, drained) = mpsc::unbounded_channel();
        let agents = watch::Sender::default();
        let drainer = match &config.mesos {
            Some(mesos) => Some(Drainer::new(Operator::new(mesos)?, desk.clone(), drained, agents.clone())),
            None => None,
        };
        let (mut each, mut lines) = (Vec::new(), BTreeMap::new());
        let (sink, syslog) = match &config.lifecycle.syslog {
            Some(to) => {
                let (sink, lines) = syslog::open();
                let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
                (Some(sink), Some((to.clone(), host.trim().to_owned(), lines)))
            }
            None => (None, None),
        };
        for (system, at) in &config.systems {
            let mut joined = joined.get(system).cloned().unwrap_or_default();
            if drainer.is_some() {
                joined.others.mesos.get_or_insert_with(|| drains.clone());
            }
            let mdm = match at.lifecycle {
                Some(_) => Some(Arc::new(gateway(system, at, Role::Lifecycle, own)?)),
                None => None,
            };
            let (errands, orders) = mpsc::unbounded_channel();
            let hands = Hands::new(system.clone(), gallery.clone(), mdm, joined.others, desk.clone(), orders);
            let joints = Joints {
                desk: desk.clone(),
                gallery: gallery.clone(),
                around: joined.around.unwrap_or_else(|| nobody.subscribe()),
                agents: agents.subscribe(),
                adding: adding.subscribe(),
                firing: Arc::clone(&firing),
                underway: underway.clone(),
                errands,
                looks: looks.clone(),
                own: Arc::clone(own),
            };
            let settings = Settings { syslog: sink.clone(), ..settings(system, config) };
            let (work, line, recorder) = Work::new(settings, joints, state)?;
            lines.insert(system.clone(), line);
            each.push((work, hands, recorder));
        }
        Ok(Self { each, syslog, watcher, lines, underway, nobody, adding, drainer })
    }

    /// The steps under way.
    pub(super) fn underway(&self) -> watch::Receiver<UnderwayNow> {
        self.underway.subscribe()
    }

    /// By which the work hears that something is added.
    pub(super) fn adding(&self) -> watch::Sender<Additions> {
        self.adding.clone()
    }

    /// Whom people ask.
    pub(super) fn lines(&self) -> BTreeMap<SystemId, Line> {
        self.lines.clone()
    }

    /// What people see of it.
    pub(super) fn shown(&self) -> BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>> {
        self.lines.iter().map(|(system, line)| (system.clone(), line.shown.clone())).collect()
    }

    pub(super) fn spawn(self, tasks: &mut JoinSet<(&'static str, anyhow::Result<()>)>, stop: &CancellationToken) {
        let Self { each, nobody, adding, drainer, syslog, watcher, .. } = self;
        if let Some(watcher) = watcher {
            spawn(tasks, "watcher of the site's Alertmanager", watcher.run(stop.clone()));
        }
        if let Some((to, host, lines)) = syslog {
            spawn(tasks, "lines to the system log", syslog::run(to, host, lines, stop.clone()));
        }
        if let Some(drainer) = drainer {
            spawn(tasks, "drainer of Mesos agents", drainer.run(stop.clone()));
        }
        for (work, hands, recorder) in each {
            spawn(tasks, "history of the work", recorder.run(stop.clone()));
            let (work, held) = (work.run(stop.clone()), (nobody.clone(), adding.clone()));
            tasks.spawn(async move {
                let ended = work.await;
                drop(held);
                ("work on a system", ended.map_err(anyhow::Error::from))
            });
            spawn(tasks, "hands of the work", hands.run(stop.clone()));
        }
    }
}

/// What the configuration decides for the work on a system.
fn settings(system: &SystemId, config: &Config) -> Settings {
    let decided = &config.lifecycle;
    let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    let twice = |beat: Duration| TimeDelta::from_std(beat * 2).unwrap_or(TimeDelta::MAX);
    let policy = Policy {
        // Older than two polls is unsafe.
        fresh: twice(config.poll.fast).max(Policy::default().fresh),
        fresh_middle: twice(config.poll.middle).max(Policy::default().fresh_middle),
        margin: decided.margin,
        calendar: decided.calendar.clone(),
        ..Policy::default()
    };
    let habits = Habits {
        soak: seconds(decided.soak),
        reboots: decided.reboots,
        at_once: decided.at_once,
        domains: decided.domains_at_once,
        limits: Limits { failures: decided.failures, maintenance_seconds: seconds(decided.maintenance) },
        ..Habits::default()
    };
    let mine = |job: &&crate::config::Job| job.system.as_ref().is_none_or(|of| of == system);
    let jobs = config.jobs.iter().filter(mine).cloned().collect();
    Settings {
        system: system.clone(),
        mode: decided.mode,
        policy,
        habits,
        jobs,
        history: config.store.path.with_extension("work"),
        syslog: None,
    }
}

/// The names of the alerts of our own rules, and of those about our own work even when a Prometheus alone judges them.
fn own_rules(config: &Config) -> BTreeSet<String> {
    let loaded = config.alerts.enabled.then(|| rules::load(&config.alerts, &config.poll));
    let rules = loaded.and_then(Result::ok);
    let judged = rules.iter().flat_map(|rules| &rules.alerts).map(|alert| alert.name.rule.clone());
    judged.chain(OF_OUR_WORK.map(str::to_owned)).collect()
}

/// What the site's own Alertmanager says, beside what our rules do.
fn beside(
    ours: FiringNow,
    others: Option<watch::Receiver<Seen>>,
    systems: BTreeSet<SystemId>,
    own: BTreeSet<String>,
) -> FiringNow {
    let Some(others) = others else { return ours };
    Arc::new(move |system| {
        let seen = others.borrow().clone();
        let said = seen.map_or_else(facts::Others::default, |asked| concerning(&asked, system, &systems, &own));
        Firing { others: Some(said), ..ours(system) }
    })
}

/// What an alert is about, for people: `device dev-1, sds sds-2`.
fn object(labels: &Labels) -> String {
    let about = |name: &str| !matches!(name, "alertname" | "system" | "severity" | "area" | "instance" | "job");
    let named = labels
        .iter()
        .filter(|(name, _)| about(name))
        .map(|(name, value)| format!("{} {value}", name.replace('_', " ")));
    let named = named.collect::<Vec<_>>().join(", ");
    if named.is_empty() { "the whole system".to_owned() } else { named }
}

/// What our rules say of a system, without what the work itself explains and what tells how it goes. Rules
/// that are not evaluated say nothing of any snapshot, and so the gates hold.
fn firing(set: Option<watch::Receiver<Arc<FiringSet>>>, underway: watch::Receiver<UnderwayNow>) -> FiringNow {
    Arc::new(move |system| {
        let Some(set) = &set else { return Firing::default() };
        let set = Arc::clone(&set.borrow());
        let steps = underway.borrow().get(system).cloned().unwrap_or_default();
        let mut firing = Firing { seq: set.based_on.get(system).copied().unwrap_or(0), ..Firing::default() };
        let holds = |alert: &&Alert| {
            !OF_OUR_WORK.contains(&alert.name.as_str()) && explained_by(&steps, &alert.labels, set.at).is_none()
        };
        for alert in set.firing(system).filter(holds) {
            let name = (alert.name.as_str().into(), object(&alert.labels).into());
            match alert.severity {
                Severity::Critical => firing.critical.insert(name),
                Severity::Warning => firing.mild.insert(name),
                Severity::Info => false,
            };
        }
        firing
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::alerting::{AlertState, Annotations, Source};
    use crate::model::unit::Timestamp;

    #[test]
    fn what_is_told_of_a_run_holds_no_run_and_what_is_told_of_the_system_does() {
        let (prod, at) = (SystemId::new("prod"), Timestamp::from_timestamp(5, 0).unwrap());
        let alert = |name: &str, severity| {
            let labels = [("alertname", name), ("system", "prod")];
            let alert = Alert {
                name: name.to_owned(),
                system: Some(prod.clone()),
                area: "any".to_owned(),
                severity,
                labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
                annotations: Annotations::default(),
                reading: None,
                active_since: at,
                state: AlertState::Firing { fired_at: at },
                source: Source::Rule,
            };
            (alert.fingerprint(), alert)
        };
        let alerts = [
            alert("ScaleioRunStalled", Severity::Warning),
            alert("ScaleioWayBackOverdue", Severity::Critical),
            alert("ScaleioDataFailed", Severity::Critical),
            alert("ScaleioJobFailing", Severity::Warning),
        ];
        let set = FiringSet { at, based_on: [(prod.clone(), 7)].into(), alerts: alerts.into() };
        let (_set, fired) = watch::channel(Arc::new(set));
        let (_underway, underway) = watch::channel(UnderwayNow::new());
        let said = firing(Some(fired), underway)(&prod);
        let whole = |name: &str| BTreeSet::from([(Box::from(name), Box::from("the whole system"))]);
        assert_eq!((said.critical, said.mild), (whole("ScaleioDataFailed"), whole("ScaleioJobFailing")));
        assert_eq!(said.seq, 7);
    }
}

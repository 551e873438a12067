//! A controller's framework in this process, on a store that outlives it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::config::{Login, MasterUrl, Masters, Mesos, Secret, Trust};
use scaleio_framework::fleet::run::{Framework, Handles, OnSeen, Seen, Settings};
use scaleio_framework::mesos::scheduler::Template;
use scaleio_framework::model::framework::{ExecutorMessage, FrameworkOrder, FrameworkStatus, Registration};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::mesos::NodeTask;
use scaleio_framework::model::offer::{Refusal, Verdict};
use scaleio_framework::store::{Disk, Owner, Store};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::site::until;

pub(crate) struct Controller {
    pub(crate) status: watch::Receiver<Arc<FrameworkStatus>>,
    pub(crate) orders: mpsc::Sender<FrameworkOrder>,
    pub(crate) messages: mpsc::Receiver<ExecutorMessage>,
    pub(crate) seen: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// The section of the configuration, with the defaults.
pub(crate) fn mesos(masters: Masters, login: Option<(&str, &str)>) -> Mesos {
    Mesos {
        cluster: "test".to_owned(),
        masters,
        trust: Trust::SystemRoots,
        login: login.map(|(user, password)| Login { user: user.to_owned(), password: Secret::new(password) }),
        name: "scaleio".to_owned(),
        user: "root".to_owned(),
        roles: vec!["scaleio".to_owned()],
        failover_timeout: Duration::from_secs(3600),
        webui_url: None,
        executor_cpus: 0.1,
        executor_mem: 64.0,
    }
}

pub(crate) fn addresses(list: &[&str]) -> Masters {
    let url = |text: &&str| MasterUrl { tls: false, address: text.trim_start_matches("http://").to_owned() };
    Masters::Addresses(list.iter().map(url).collect())
}

/// What is launched: the program under test.
pub(crate) fn executor() -> Template {
    launch(format!("exec {} executor", env!("CARGO_BIN_EXE_sio")))
}

pub(crate) fn launch(command: String) -> Template {
    Template { command, uris: Vec::new(), environment: Vec::new(), cpus: 0.1, mem: 64.0, grace: Duration::from_secs(2) }
}

impl Controller {
    pub(crate) fn start(disk: &Disk, mesos: Mesos, template: Template) -> Self {
        // Shown of tests that fail.
        let _ = tracing_subscriber::fmt().with_test_writer().with_ansi(false).try_init();
        let mut store = disk.open().unwrap();
        let state = store.load().unwrap();
        let (owner, desk) = Owner::new(Box::new(store), &state);
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&seen);
        let on_seen: OnSeen = Arc::new(move |what| {
            let word = match what {
                Seen::Event { kind } => format!("event {kind}"),
                Seen::Malformed => "malformed".to_owned(),
                Seen::Offer { action, reason } => format!("offer {action} {reason}"),
                Seen::Before { effect } => format!("before {effect}"),
                Seen::After { effect } => format!("after {effect}"),
            };
            noted.lock().unwrap().push(word);
        });
        let settings =
            Settings { mesos, template: Some(template), systems: [SystemId::new("prod")].into(), hostname: None };
        let (framework, handles) = Framework::new(settings, desk, &state, on_seen).unwrap();
        let Handles { orders, status, messages } = handles;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let (framework, owner) = tokio::join!(framework.run(stopped), owner.run());
            framework.unwrap();
            owner.unwrap();
        });
        Self { status, orders, messages, seen, stop, task }
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    pub(crate) fn now(&self) -> Arc<FrameworkStatus> {
        Arc::clone(&self.status.borrow())
    }

    pub(crate) fn id(&self) -> String {
        self.now().framework.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    pub(crate) fn count(&self, word: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|seen| *seen == word).count()
    }

    pub(crate) async fn registered(&self) {
        let look = async || matches!(self.now().registration, Registration::Registered { .. }).then_some(());
        until("the framework to be registered", look).await;
    }

    pub(crate) fn task_on(&self, hostname: &str) -> Option<NodeTask> {
        self.now().tasks.values().find(|task| &*task.hostname == hostname).cloned()
    }

    /// Waits until the task on a host is in a state.
    pub(crate) async fn task(&self, hostname: &str, state: &str) -> NodeTask {
        let look = async || self.task_on(hostname).filter(|task| task.state() == state);
        until(&format!("{state} on {hostname}, which is {:?}", self.task_on(hostname)), look).await
    }

    pub(crate) fn refusal(&self, hostname: &str) -> Option<Refusal> {
        match &self.now().agents.values().find(|seen| &*seen.hostname == hostname)?.verdict {
            Verdict::Accept => None,
            Verdict::Decline { reason } => Some(reason.clone()),
        }
    }

    pub(crate) async fn order(&self, order: FrameworkOrder) {
        self.orders.send(order).await.unwrap();
    }
}

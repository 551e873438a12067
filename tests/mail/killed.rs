//! The real process dies by kill -9 after the writes of its store and at every step of its talk with the mail server:
//! no mail is lost, and none comes under two ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};

use crate::server::{At, Certificates, Do, Script, Server, Style, well};
use crate::world::{DOMAIN, wait_for};

/// Two groups, so two mails.
const RULES: &str = "
groups:
- name: site
  rules:
  - {alert: First, expr: 'scaleio_up == 1', labels: {severity: critical, area: one}, annotations: {summary: First thing}}
  - {alert: Second, expr: 'scaleio_up == 1', labels: {severity: critical, area: two}, annotations: {summary: Second thing}}
";

const SUBJECTS: [&str; 2] = ["[CRITICAL] prod: First thing", "[CRITICAL] prod: Second thing"];

/// By then a mail was tried again for which the server was too slow at the first time.
const RETRIED: Duration = Duration::from_secs(180);

/// Cases at once: they mostly wait.
const TOGETHER: usize = 4;

fn secret(path: &Path, text: &str) {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// A folder with all that `sio run` needs.
fn site(folder: &Path, gateway: &Running, server: &Server, certificates: &Certificates) -> PathBuf {
    fs::write(folder.join("gateway.pem"), gateway.certificate_pem()).unwrap();
    fs::copy(certificates.path("ca.pem"), folder.join("ca.pem")).unwrap();
    fs::write(folder.join("site.rules.yml"), RULES).unwrap();
    secret(&folder.join("gateway.password"), &gateway.monitor().password);
    secret(&folder.join("mail.password"), "s3cret-word");
    let text = format!(
        "[web]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
         [poll]\nfast = \"1s\"\nmiddle = \"1s\"\nslow = \"1s\"\n\
         [alerts]\nshipped = false\nfiles = [\"site.rules.yml\"]\n\
         [notify]\ngroup_wait = \"1ms\"\n\
         [mail]\nhosts = [\"127.0.0.1:{}\"]\nca_file = \"ca.pem\"\nfrom = \"sio@{DOMAIN}\"\nto = [\"ops@{DOMAIN}\"]\n\
         [mail.login]\nuser = \"sio\"\npassword_file = \"mail.password\"\n\
         [systems.prod]\ngateways = {:?}\nca_file = \"gateway.pem\"\n\
         [systems.prod.monitor]\nuser = {:?}\npassword_file = \"gateway.password\"\n",
        server.port,
        gateway.urls(),
        gateway.monitor().user
    );
    let file = folder.join("sio.toml");
    fs::write(&file, text).unwrap();
    file
}

/// A process that is killed at the latest when the test ends.
struct Process {
    child: Child,
    trace: Option<PathBuf>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // What strace started ends with it or before it.
        let traced = self.traced();
        if let Some(traced) = &traced {
            let _ = Command::new("kill").args(["-KILL", traced]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Not a child of ours, so nobody but its state says that it is dead; until then it still answers on its socket.
        let begun = Instant::now();
        while traced.as_deref().is_some_and(is_alive) && begun.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn is_alive(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

impl Process {
    fn start(config: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        Self::run(command.arg("run"), config, None)
    }

    /// It stops by itself after each write into the files of its store, until it is told to go on.
    fn stopping(config: &Path) -> Self {
        let folder = config.parent().unwrap();
        let trace = folder.join("trace");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=pwrite64", "-e", "inject=pwrite64:signal=SIGSTOP"]);
        for name in ["state.db", "state.db-wal"] {
            command.arg("-P").arg(folder.join(name));
        }
        command.arg("-o").arg(&trace).args([env!("CARGO_BIN_EXE_sio"), "run"]);
        Self::run(&mut command, config, Some(trace))
    }

    fn run(command: &mut Command, config: &Path, trace: Option<PathBuf>) -> Self {
        let log = OpenOptions::new().append(true).create(true).open(config.with_file_name("log")).unwrap();
        let command = command.arg("--config").arg(config).env_clear().env("PATH", std::env::var("PATH").unwrap());
        let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: command.spawn().expect("sio, or strace (Debian package strace), can be run"), trace }
    }

    /// The id of what strace runs.
    fn traced(&self) -> Option<String> {
        self.trace.as_ref()?;
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next().map(str::to_owned)
    }

    /// How often it stopped so far.
    fn stops(&self) -> usize {
        let trace = self.trace.as_ref().and_then(|trace| fs::read_to_string(trace).ok()).unwrap_or_default();
        trace.matches("--- SIGSTOP {").count()
    }

    fn go_on(&self) {
        let traced = self.traced().expect("it lives");
        assert!(Command::new("kill").args(["-CONT", &traced]).status().unwrap().success());
    }

    fn kill(self) {
        drop(self);
    }
}

/// Whether both mails were taken.
fn told(server: &Server) -> bool {
    let mails = server.mails();
    SUBJECTS.iter().all(|subject| mails.iter().any(|mail| mail.header("Subject: ") == *subject))
}

/// A second life in which nothing goes wrong: each mail is there, under one id. Gives how many came twice.
async fn settle(config: &Path, server: &Server, what: &str) -> usize {
    // A log of its own: where the dead one served says nothing.
    fs::remove_file(config.with_file_name("log")).unwrap();
    let (process, begun) = (Process::start(config), Instant::now());
    let log = || fs::read_to_string(config.with_file_name("log")).unwrap();
    while !told(server) {
        assert!(begun.elapsed() < RETRIED, "{what}: both mails did not come within {RETRIED:?}: {}", log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The engine judged twice since then, and nothing waits: whatever had to be told was told.
    let mut judged = BTreeSet::new();
    while judged.len() < 3 {
        let log = log();
        let web = log.split_once("web=").and_then(|(_, after)| after.split_once(' '));
        let text = match web {
            Some((web, _)) => metrics(web).await,
            None => String::new(),
        };
        let empty = text.lines().filter(|line| line.starts_with("scaleio_notification_spool_messages{"));
        if empty.clone().count() > 0 && empty.clone().all(|line| line.ends_with(" 0")) {
            let at = text.lines().find(|line| line.starts_with("scaleio_alert_last_evaluation_timestamp_seconds"));
            judged.extend(at.map(str::to_owned));
        }
        assert!(begun.elapsed() < RETRIED, "{what}: it is not at rest within {RETRIED:?}: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    process.kill();
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mail in server.mails() {
        ids.entry(mail.header("Subject: ")).or_default().insert(mail.id());
    }
    assert_eq!(ids.keys().map(String::as_str).collect::<Vec<_>>(), SUBJECTS, "{what}");
    assert!(ids.values().all(|ids| ids.len() == 1), "{what}: told under two ids: {ids:?}");
    let doubles = server.mails().len() - SUBJECTS.len();
    assert!(doubles <= 1, "{what}: {doubles} mails came twice");
    doubles
}

async fn metrics(web: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    client.get(format!("http://{web}/metrics?collect[]=exporter")).send().await.unwrap().text().await.unwrap()
}

struct Stage {
    gateway: Running,
    certificates: Certificates,
}

impl Stage {
    async fn new() -> Arc<Self> {
        let layout = Layout { nodes_per_rack: 1, devices_per_node: 1, volumes: 2, sdcs: 1, ..Layout::small() };
        let gateway = Simulation::start(Options::still(layout, Release::V3_6)).await.unwrap();
        Arc::new(Self { gateway, certificates: Certificates::new() })
    }

    /// A life that is killed after so many writes, or tells both mails before; gives the writes it made and the doubles.
    async fn killed_after(&self, writes: usize) -> (usize, usize) {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(Style::StartTls, &self.certificates, well()).await;
        let config = site(folder.path(), &self.gateway, &server, &self.certificates);
        let process = Process::stopping(&config);
        let log = || fs::read_to_string(config.with_file_name("log")).unwrap();
        let mut gone_on = 0;
        let what = format!("{writes} writes");
        wait_for(&what, || {
            let stops = process.stops();
            if stops > gone_on && stops <= writes {
                gone_on = stops;
                process.go_on();
            }
            // The yes to the second mail is written down when the process says it.
            (stops > writes || log().matches("mail sent").count() == 2).then_some(())
        })
        .await;
        let made = process.stops();
        process.kill();
        (made, settle(&config, &server, &what).await)
    }

    /// A life that is killed while the server keeps silent at a step of the talk.
    async fn killed_at(&self, place: At, time: usize, act: Do) -> usize {
        let folder = tempfile::tempdir().unwrap();
        let there = Arc::new(AtomicBool::new(false));
        let (reached, silence) = (Arc::clone(&there), act.clone());
        let script: Script = Arc::new(move |at, _: &str, nth| {
            if (at, nth) == (place, time) {
                reached.store(true, Ordering::SeqCst);
                silence.clone()
            } else {
                Do::Well
            }
        });
        let server = Server::start(Style::StartTls, &self.certificates, script).await;
        let config = site(folder.path(), &self.gateway, &server, &self.certificates);
        let process = Process::start(&config);
        let what = format!("{act:?} at {place:?} {time}");
        wait_for(&what, || there.load(Ordering::SeqCst).then_some(())).await;
        process.kill();
        settle(&config, &server, &what).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_around_every_commit_of_the_store_loses_no_mail_and_renames_none() {
    let stage = Stage::new().await;
    let (writes, _) = stage.killed_after(usize::MAX).await;
    assert!(writes >= 20, "{writes} writes are too few for a store, alerts and mails");
    // A commit is some writes; with every second one, some are killed before and some after the one that counts.
    let points: Vec<usize> = (0..writes).step_by(2).collect();
    let mut doubles = 0;
    for some in points.chunks(TOGETHER) {
        let mut cases = tokio::task::JoinSet::new();
        for point in some.iter().copied() {
            let stage = Arc::clone(&stage);
            cases.spawn(async move { stage.killed_after(point).await.1 });
        }
        doubles += cases.join_all().await.into_iter().sum::<usize>();
    }
    eprintln!("{writes} writes, {doubles} mails came twice");
    assert!(doubles > 0, "a death between the server's yes and the disk was among them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_the_talk_loses_no_mail_and_renames_none() {
    let stage = Stage::new().await;
    let begin = [At::Greeting, At::Ehlo, At::StartTls, At::Auth].map(|at| (at, 0, Do::Nothing));
    let mails = [At::MailFrom, At::Rcpt, At::Data, At::Body].map(|at| [(at, 0, Do::Nothing), (at, 1, Do::Nothing)]);
    let kept = [(At::Body, 0, Do::KeepAndNothing), (At::Body, 1, Do::KeepAndNothing)];
    let cases: Vec<_> = begin.into_iter().chain(mails.into_iter().flatten()).chain(kept).collect();
    let mut doubles = 0;
    for some in cases.chunks(TOGETHER) {
        let mut running = tokio::task::JoinSet::new();
        for (place, time, act) in some.iter().cloned() {
            let stage = Arc::clone(&stage);
            running.spawn(async move { stage.killed_at(place, time, act).await });
        }
        doubles += running.join_all().await.into_iter().sum::<usize>();
    }
    assert_eq!(doubles, 2, "what the server had taken without a word came again, under its id");
}

//! Whether programs hear of alerts: Alertmanagers, a real one among them, and
//! webhooks, through servers that misbehave on purpose.

use std::collections::{BTreeMap, VecDeque};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scaleio_framework::alert::engine::Verdict;
use scaleio_framework::alert::mail::health::MailHealth;
use scaleio_framework::alert::mail::run::{Carrier, Post, Postman};
use scaleio_framework::alert::mail::{Mailer, Settings};
use scaleio_framework::alert::outbox::{Limits, Outbox};
use scaleio_framework::alert::receiver::alertmanager::Caller;
use scaleio_framework::alert::receiver::webhook::{Webhook, message};
use scaleio_framework::clock;
use scaleio_framework::config::{self, Alertmanager, Credentials, HttpWay, Login, MailTls, Secret, Trust};
use scaleio_framework::metrics::{Build, Own};
use scaleio_framework::model::alerting::*;
use scaleio_framework::store::{Batch, Disk, Key, Owner, Store};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::server::{Certificates, Server, Style, well};
use crate::world::*;

#[derive(Clone, Debug)]
struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    json: Value,
}

#[derive(Clone, Copy, Debug)]
enum Say {
    Status(u16, &'static str),
    /// Takes it and closes without an answer.
    Cut,
}

/// An HTTP server that answers as told, and well when nothing more was told. Gone when dropped.
struct Hook {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Hook {
    async fn start(answers: &[Say], tls: Option<&Certificates>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let (shared, acceptor) = (Arc::clone(&got), tls.map(Certificates::acceptor));
        let task = tokio::spawn(async move {
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                let (got, answers, acceptor) = (Arc::clone(&shared), Arc::clone(&answers), acceptor.clone());
                talks.spawn(async move {
                    match acceptor {
                        Some(acceptor) => match acceptor.accept(tcp).await {
                            Ok(tls) => talk(tls, &got, &answers).await,
                            Err(_) => Ok(()),
                        },
                        None => talk(tcp, &got, &answers).await,
                    }
                });
            }
        });
        Self { port, got, task }
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    fn url(&self, scheme: &str, path: &str) -> url::Url {
        format!("{scheme}://127.0.0.1:{}{path}", self.port).parse().unwrap()
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    got: &Mutex<Vec<Got>>,
    answers: &Mutex<VecDeque<Say>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let path = lines[0].split(' ').nth(1).unwrap().to_owned();
        let headers: BTreeMap<String, String> = lines[1..]
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        stream.read_exact(&mut body).await?;
        let answer = answers.lock().unwrap().pop_front().unwrap_or(Say::Status(200, ""));
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        got.lock().unwrap().push(Got { path, headers, json });
        let Say::Status(code, more) = answer else { return Ok(()) };
        let text = format!("HTTP/1.1 {code} x\r\n{more}content-length: 2\r\n\r\nno");
        stream.write_all(text.as_bytes()).await?;
    }
}

fn own() -> Arc<Own> {
    Arc::new(Own::new(Build { version: "0", revision: "0", rustc: "0" }).unwrap())
}

fn verdict(firing: &[&str], resolved: &[&str]) -> Arc<Verdict> {
    let now = clock::now();
    let fresh = |name: &&str| Alert {
        state: AlertState::Firing { fired_at: now },
        active_since: now,
        ..alert(name, Severity::Critical, &format!("{name} is wrong."))
    };
    let over = |name: &&str| Alert {
        state: AlertState::Resolved { fired_at: now, resolved_at: now, ended_by: None },
        ..fresh(name)
    };
    let alerts = firing.iter().map(fresh).map(|alert| (alert.fingerprint(), alert)).collect();
    let set = FiringSet { at: now, based_on: BTreeMap::new(), alerts };
    Arc::new(Verdict { set, resolved: resolved.iter().map(over).collect(), heartbeats: 0, errors: Vec::new() })
}

type Verdicts = watch::Sender<Option<Arc<Verdict>>>;

fn call(urls: Vec<url::Url>, way: HttpWay, resend: Duration) -> (Verdicts, Vec<Shown>, CancellationToken) {
    let settings = Alertmanager { urls, resend, way };
    let verdicts = watch::Sender::new(None);
    let stop = CancellationToken::new();
    let page = "https://sio.example.test/".parse().unwrap();
    let callers = Caller::all(&settings, Some(&page), &own()).unwrap();
    let shown = callers.into_iter().map(|(caller, status)| {
        tokio::spawn(caller.run(verdicts.subscribe(), stop.clone()));
        status
    });
    let shown = shown.collect();
    (verdicts, shown, stop)
}

type Shown = watch::Receiver<scaleio_framework::model::status::ReceiverStatus>;

fn names(json: &Value) -> Vec<String> {
    let alerts = json.as_array().unwrap().iter();
    alerts.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_alertmanager_gets_what_fires_at_once_again_and_with_its_end() {
    let (first, second) = (Hook::start(&[Say::Status(503, "")], None).await, Hook::start(&[Say::Cut], None).await);
    let urls = vec![first.url("http", "/am"), second.url("http", "/")];
    let (verdicts, shown, stop) = call(urls, HttpWay::plain(), Duration::from_secs(1));
    verdicts.send_replace(Some(verdict(&["A", "B"], &[])));
    let both = |count: usize| (first.got().len() >= count && second.got().len() >= count).then_some(());
    wait_for("a failure and three posts", || both(4)).await;
    assert_eq!((first.got()[0].path.as_str(), second.got()[0].path.as_str()), ("/am/api/v2/alerts", "/api/v2/alerts"));
    let alerts = first.got()[1].json.clone();
    assert_eq!(names(&alerts).len(), 2);
    let alert = alerts.as_array().unwrap().iter().find(|alert| alert["labels"]["alertname"] == "A").unwrap();
    assert_eq!(alert["annotations"]["summary"], json!("A is wrong."));
    assert_eq!(alert["generatorURL"], json!("https://sio.example.test/"));
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    let lives = time(&alert["endsAt"]) - clock::now();
    assert!((1..=4).contains(&lives.num_seconds()), "it ends by itself when it is not sent again: {lives}");
    verdicts.send_replace(Some(verdict(&["B"], &["A"])));
    let ended = wait_for("the end", || {
        first.got().iter().find_map(|got| {
            let alert = got.json.as_array()?.iter().find(|alert| alert["labels"]["alertname"] == "A")?;
            (time(&alert["endsAt"]) <= clock::now()).then(|| alert.clone())
        })
    })
    .await;
    assert!(time(&ended["startsAt"]) <= time(&ended["endsAt"]));
    assert!(shown.iter().all(|status| status.borrow().problems.is_empty() && status.borrow().last_sent.is_some()));
    stop.cancel();
}

#[tokio::test]
async fn an_alertmanager_that_does_not_take_alerts_is_a_problem_that_is_told() {
    let hook = Hook::start(&[Say::Status(401, ""); 1000], None).await;
    let way = HttpWay { credentials: Credentials::Token(Secret::new("t0ken-word")), ..HttpWay::plain() };
    let (verdicts, shown, stop) = call(vec![hook.url("http", "/")], way, Duration::from_secs(1));
    verdicts.send_replace(Some(verdict(&["A"], &[])));
    let problem = wait_for("a problem", || shown[0].borrow().problems.first().cloned()).await;
    assert!(problem.contains("answered 401") && problem.contains("login or token"), "{problem}");
    assert_eq!(hook.got()[0].headers["authorization"], "Bearer t0ken-word");
    assert!(!problem.contains("t0ken-word"));
    stop.cancel();
}

/// A real Alertmanager that tells a hook; ends when dropped.
struct Real(Child, #[allow(dead_code, reason = "removed when dropped")] tempfile::TempDir, u16);

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Real {
    async fn start(hook: &Hook) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("am.yml");
        let text = format!(
            "route:\n  receiver: hook\n  group_by: [system, area]\n  group_wait: 100ms\n  group_interval: 1s\n\
             receivers:\n  - name: hook\n    webhook_configs: [{{url: '{}'}}]\n",
            hook.url("http", "/theirs")
        );
        std::fs::write(&config, text).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a real Alertmanager is needed: apt-get install prometheus-alertmanager");
        let real = Self(child, folder, port);
        wait_for("Alertmanager", || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
        real
    }
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn a_real_alertmanager_takes_our_alerts_and_its_own_webhook_has_the_form_of_ours() {
    let hook = Hook::start(&[], None).await;
    let real = Real::start(&hook).await;
    let url = format!("http://127.0.0.1:{}", real.2).parse().unwrap();
    let (verdicts, _, stop) = call(vec![url], HttpWay::plain(), Duration::from_secs(2));
    verdicts.send_replace(Some(verdict(&["A"], &[])));
    let theirs = wait_for("its webhook", || hook.got().into_iter().next()).await.json;
    assert_eq!((&theirs["version"], &theirs["status"]), (&json!("4"), &json!("firing")));

    let mut note = note("n-1", Kind::Firing, vec![item(alert("A", Severity::Critical, "A is wrong."))]);
    note.group.area = "sds".to_owned();
    let ours: Value = serde_json::from_slice(&message(&note, "https://sio.example.test/")).unwrap();
    assert_eq!(keys(&ours), keys(&theirs));
    assert_eq!(keys(&ours["alerts"][0]), keys(&theirs["alerts"][0]));
    assert_eq!(ours["alerts"][0]["fingerprint"], theirs["alerts"][0]["fingerprint"], "both name the same alert");
    assert_eq!(ours["alerts"][0]["endsAt"], theirs["alerts"][0]["endsAt"], "what fires has no end");
    assert_eq!(ours["commonLabels"], theirs["commonLabels"]);
    assert_eq!(ours["commonAnnotations"], theirs["commonAnnotations"]);

    verdicts.send_replace(Some(verdict(&[], &["A"])));
    let over = wait_for("its end", || hook.got().into_iter().find(|got| got.json["status"] == "resolved")).await.json;
    assert_eq!(names(&over["alerts"]), ["A"]);
    stop.cancel();
}

/// Store, mail and webhook, as `app` joins them.
struct Ways {
    disk: Disk,
    post: Post,
    mail: watch::Receiver<MailHealth>,
    hook: watch::Receiver<MailHealth>,
    tasks: tokio::task::JoinSet<()>,
}

impl Ways {
    fn begin(disk: &Disk, mail: &config::Mail, settings: &config::Webhook) -> Self {
        let mut store = disk.open().unwrap();
        let state = store.load().unwrap();
        let (owner, desk) = Owner::new(Box::new(store), &state);
        let carrier =
            Carrier::Mail(Box::new(Mailer::new(mail).unwrap()), Box::new(Settings::new(mail, "ctl1.example.test")));
        let (outbox, _) = Outbox::load(limits(), &state, clock::now());
        let (postman, post, mail) = Postman::new(outbox, desk.clone(), carrier, None);
        let (outbox, _) = Outbox::load(Limits::posts(), &state, clock::now());
        let carrier = Carrier::Webhook(Webhook::new(settings, None).unwrap());
        let (poster, other, hook) = Postman::new(outbox, desk, carrier, None);
        let mut tasks = tokio::task::JoinSet::new();
        let stop = CancellationToken::new();
        tasks.spawn(async move { drop(owner.run().await) });
        for man in [postman, poster] {
            let stop = stop.clone();
            tasks.spawn(async move { drop(man.with_random(|| 0.0).run(stop).await) });
        }
        Self { disk: disk.clone(), post: post.and(other), mail, hook, tasks }
    }

    /// Ends as by kill -9.
    async fn kill(mut self) {
        self.tasks.shutdown().await;
        let_go(&self.disk).await;
    }
}

fn webhook(url: url::Url, trust: Trust) -> config::Webhook {
    let credentials = Credentials::Login(Login::new("sio", "s3cret-word"));
    config::Webhook { url, way: HttpWay { trust, credentials, ..HttpWay::plain() } }
}

fn fresh(mut note: Notification) -> Notification {
    note.created_at = clock::now();
    note
}

#[tokio::test]
async fn a_webhook_hears_what_people_hear_once_each_whatever_its_server_does() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let answers = [Say::Status(503, "retry-after: 1\r\n"), Say::Cut, Say::Status(200, ""), Say::Status(400, "")];
    let hook = Hook::start(&answers, Some(&certificates)).await;
    let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let ways = Ways::begin(&Disk::new(), &mail, &webhook(hook.url("https", "/hook?key=1"), certificates.trust()));
    ways.post.add(vec![fresh(critical("n-1"))], Batch::new()).await.unwrap();
    wait_for("three tries", || (hook.got().len() == 3).then_some(())).await;
    let got = hook.got();
    assert!(got.iter().all(|got| got.headers["x-scaleio-notification"] == "n-1"), "the same id each time");
    assert_eq!(got[2].path, "/hook?key=1");
    assert_eq!(got[2].headers["authorization"], "Basic c2lvOnMzY3JldC13b3Jk");
    assert_eq!((&got[2].json["status"], &got[2].json["receiver"]), (&json!("firing"), &json!("webhook")));
    // What is only for people is not posted; what is refused for good is kept and told.
    ways.post.add(vec![fresh(note("beat", Kind::Heartbeat, Vec::new()))], Batch::new()).await.unwrap();
    ways.post.add(vec![fresh(critical("n-2"))], Batch::new()).await.unwrap();
    let health = ways.hook.clone();
    wait_for("the refusal", || (health.borrow().failed == 1).then_some(())).await;
    assert_eq!(hook.got().len(), 4);
    let problems = health.borrow().problems(clock::now());
    assert!(problems[0].contains("given up") && problems[0].contains("answered 400"), "{problems:?}");
    let mails = ways.mail.clone();
    wait_for("the mails", || (server.mails().len() == 3 && mails.borrow().waiting == 0).then_some(())).await;
    ways.kill().await;
}

#[tokio::test]
async fn a_webhook_that_is_away_holds_up_no_mail_and_hears_it_after_a_kill() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let disk = Disk::new();
    let url = format!("http://127.0.0.1:{away}/").parse().unwrap();
    let ways = Ways::begin(&disk, &mail, &webhook(url, Trust::SystemRoots));
    let cause = Key::new("alerts/prod").unwrap();
    ways.post.add(vec![fresh(critical("n-1"))], Batch::new().put(cause.clone(), "fires")).await.unwrap();
    wait_for("the mail", || (server.mails().len() == 1).then_some(())).await;
    let health = ways.hook.clone();
    let trouble = wait_for("trouble", || health.borrow().trouble.clone()).await;
    assert!(trouble.contains("cannot be reached"), "{trouble}");
    ways.kill().await;

    let hook = Hook::start(&[], None).await;
    let ways = Ways::begin(&disk, &mail, &webhook(hook.url("http", "/"), Trust::SystemRoots));
    let got = wait_for("the post", || hook.got().into_iter().next()).await;
    assert_eq!(got.headers["x-scaleio-notification"], "n-1");
    ways.kill().await;
    let mut store = disk.open().unwrap();
    assert!(store.load().unwrap().entries.contains_key(&cause), "the cause was in the same commit");
    assert_eq!(server.mails().len(), 1, "the mail did not go out again");
}

#[tokio::test]
async fn a_webhook_of_somebody_else_gets_nothing() {
    let (ours, theirs) = (Certificates::new(), Certificates::new());
    let server = Server::start(Style::StartTls, &ours, well()).await;
    let hook = Hook::start(&[], Some(&theirs)).await;
    let mail = mail(&[server.port], MailTls::StartTls, ours.trust());
    let ways = Ways::begin(&Disk::new(), &mail, &webhook(hook.url("https", "/"), ours.trust()));
    ways.post.add(vec![fresh(critical("n-1"))], Batch::new()).await.unwrap();
    let health = ways.hook.clone();
    let trouble = wait_for("trouble", || health.borrow().trouble.clone()).await;
    assert!(trouble.contains("certificate was refused"), "{trouble}");
    assert!(hook.got().is_empty());
    ways.kill().await;
}

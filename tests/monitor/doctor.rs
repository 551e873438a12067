//! Does `sio doctor` find what is broken, say nothing of what is not, and change nothing?

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use scaleio_framework::sim::{MailSink, Release, Running};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::child::{self, Process, err, out, secret, sio};
use crate::site::{eventually, still};

/// Answers every request with one status and a date, and keeps what was asked.
struct Receiver {
    address: SocketAddr,
    asked: std::sync::Arc<std::sync::Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    async fn answering(status: &'static str, date: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let keep = asked.clone();
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n")
                    && stream.read_buf(&mut request).await.unwrap_or(0) > 0
                {}
                let first = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
                keep.lock().unwrap().push(first);
                let answer =
                    format!("HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, asked, task }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn date(ahead: i64) -> String {
    (scaleio_framework::clock::now() + chrono::TimeDelta::seconds(ahead))
        .format("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// A configuration with everybody in it who can be told.
fn config(folder: &Path, world: &Running, mail: &MailSink, alertmanager: &Receiver, webhook: &Receiver) -> PathBuf {
    let file = child::config(folder, &[("prod", world)]);
    fs::write(folder.join("mail.pem"), mail.authority_pem()).unwrap();
    secret(&folder.join("mail.password"), &mail.login().password);
    secret(&folder.join("hook.token"), "hook-t0ken-secret");
    let more = format!(
        "[mail]\nhosts = [\"{}\"]\nca_file = \"mail.pem\"\nfrom = \"sio@example.com\"\nto = [\"ops@example.com\"]\n\
         [mail.login]\nuser = \"{}\"\npassword_file = \"mail.password\"\n\
         [alertmanager]\nurls = [\"http://{}\"]\n[webhook]\nurl = \"http://{}/hook/path-secret\"\ntoken_file = \"hook.token\"\n",
        mail.smtp(),
        mail.login().user,
        alertmanager.address,
        webhook.address
    );
    fs::write(&file, fs::read_to_string(&file).unwrap() + &more).unwrap();
    file
}

/// The findings: level and what was seen, by what was looked at.
async fn findings(config: &Path) -> (Option<i32>, Vec<(String, String, String)>) {
    let output = sio(&["doctor", "--json", "--config", config.to_str().unwrap()]).await;
    let all: Vec<Value> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", out(&output), err(&output)));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let all =
        all.iter().map(|finding| (text(finding, "level"), text(finding, "what"), text(finding, "says"))).collect();
    (output.status.code(), all)
}

fn of<'a>(findings: &'a [(String, String, String)], what: &str) -> Vec<(&'a str, &'a str)> {
    findings
        .iter()
        .filter(|(_, looked, _)| looked.starts_with(what))
        .map(|(level, _, says)| (level.as_str(), says.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_works_is_well_and_nothing_of_it_is_changed() {
    let world = still(Release::V3_6).await;
    let mail = MailSink::start("127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (alertmanager, webhook) =
        (Receiver::answering("200 OK", date(0)).await, Receiver::answering("405 No", date(0)).await);
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &world, &mail, &alertmanager, &webhook);
    let (_process, _) = Process::sio_run(&config, &[]).await;
    let status = || async { sio(&["status", "--config", config.to_str().unwrap()]).await.status.code() };
    eventually("the system is heard", async || if status().await == Some(0) { Ok(()) } else { Err(String::new()) })
        .await;
    let before = alertmanager.asked().iter().filter(|line| line.starts_with("GET")).count();

    let (code, found) = findings(&config).await;
    let unwell: Vec<_> =
        found.iter().filter(|(level, what, _)| level != "ok" && !what.starts_with("space in")).collect();
    assert!(unwell.is_empty(), "{unwell:?}");
    assert_eq!(code, Some(0));
    for what in [
        "configuration",
        "alert rules",
        "web",
        "secret ",
        "controller",
        "store ",
        "gateway of prod",
        "mail",
        "alertmanager",
        "webhook",
        "clock of",
    ] {
        assert!(!of(&found, what).is_empty(), "nothing is said of {what}: {found:?}");
    }
    // Read by GET and HEAD; nothing was posted and no mail went out.
    assert_eq!(alertmanager.asked().iter().filter(|line| line.starts_with("GET /api/v2/status")).count(), before + 1);
    assert!(webhook.asked().iter().all(|line| line.starts_with("HEAD ")), "{:?}", webhook.asked());
    assert_eq!(mail.inbox().all().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thing_that_is_broken_is_found_and_the_others_are_still_looked_at() {
    let world = still(Release::V3_6).await;
    let mail = MailSink::start("127.0.0.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let (alertmanager, webhook) =
        (Receiver::answering("200 OK", date(600)).await, Receiver::answering("403 No", date(0)).await);
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), &world, &mail, &alertmanager, &webhook);
    let put = |name: &str, text: &str| {
        fs::remove_file(folder.path().join(name)).unwrap();
        secret(&folder.path().join(name), text);
    };
    put("prod.password", "another-password");
    put("mail.password", "another-password");
    fs::write(folder.path().join("state.db"), "no database at all, but some text that is long enough").unwrap();
    fs::set_permissions(folder.path().join("hook.token"), std::os::unix::fs::PermissionsExt::from_mode(0o660)).unwrap();
    let store = fs::read(folder.path().join("state.db")).unwrap();

    let (code, found) = findings(&config).await;
    assert_eq!(code, Some(1));
    let says = |what: &str, level: &str, part: &str| {
        let lines = of(&found, what);
        assert!(lines.iter().any(|(is, says)| *is == level && says.contains(part)), "{what}: {lines:?}");
    };
    says("controller", "warn", "none runs at");
    says("gateway of prod", "fail", "monitor");
    says("mail", "fail", "");
    says("store", "fail", "");
    says("webhook", "fail", "403");
    says("alertmanager", "ok", "200");
    says("clock of http", "fail", "10m");
    let token = format!("secret {}", folder.path().join("hook.token").display());
    says(&token, "fail", "others can change it");
    says("alert rules", "ok", "");
    let shown = format!("{found:?}");
    for hidden in ["another-password", "hook-t0ken-secret", "path-secret"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
    assert_eq!(fs::read(folder.path().join("state.db")).unwrap(), store, "the store was touched");
    let beside: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().starts_with("state.db"))
        .collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_does_not_load_is_told_with_every_mend_and_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sio.toml");
    fs::write(&file, "[poll]\nfast = \"0s\"\n[web]\nlisten = \"here\"\n").unwrap();
    let output = sio(&["doctor", "--config", file.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(2));
    let text = out(&output);
    assert!(
        text.contains("FAIL  configuration  ") && text.contains(":2: poll.fast: ") && text.contains(":4: web.listen: "),
        "{text}"
    );
    assert_eq!(text.matches("-> ").count(), 2, "{text}");
}

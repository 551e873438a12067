//! Does `sio doctor` tell what is wrong between a controller and a real Mesos, each with its mend?

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::site::{Site, ask, until};

const SECRET: &str = "s3cret-of-mesos";

/// A configuration in a folder of its own: these masters, and a login with this secret.
struct Settings {
    folder: tempfile::TempDir,
}

impl Settings {
    fn new(masters: &[&str], secret: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = secret.map_or("", |_| "[mesos.login]\nuser = \"sio\"\npassword_file = \"mesos.password\"\n");
        let text = format!(
            "[web]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
             [systems.prod]\ngateways = [\"https://127.0.0.1:1\"]\ninsecure = true\n\
             [systems.prod.monitor]\nuser = \"monitor\"\npassword_file = \"monitor.password\"\n\
             [mesos]\nmasters = {masters:?}\ncluster = \"lab\"\nroles = [\"*\"]\n{login}"
        );
        fs::write(folder.path().join("sio.toml"), text).unwrap();
        for (name, secret) in [("monitor.password", Some("x")), ("mesos.password", secret)] {
            let Some(secret) = secret else { continue };
            let path = folder.path().join(name);
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
            file.write_all(secret.as_bytes()).unwrap();
        }
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("sio.toml")
    }

    /// What the doctor finds.
    async fn findings(&self) -> Findings {
        self.examined(Command::new(env!("CARGO_BIN_EXE_sio"))).await
    }

    /// The same by a clock that is ten minutes ahead.
    async fn findings_ahead(&self) -> Findings {
        let mut command = Command::new("faketime");
        command.args(["--exclude-monotonic", "-f", "+10m", env!("CARGO_BIN_EXE_sio")]);
        self.examined(command).await
    }

    async fn examined(&self, mut command: Command) -> Findings {
        command.args(["doctor", "--json", "--config"]).arg(self.file()).stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
        let output = output.unwrap_or_else(|error| panic!("{error}; ./test installs the Debian package faketime"));
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!out.contains(SECRET) && !out.contains("hunter2"), "a secret is shown: {out}");
        Findings(serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
    }

    /// `sio run`, ended with the value.
    fn run(&self) -> Controller {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(["run", "--config"]).arg(self.file()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Controller(command.spawn().unwrap())
    }

    /// Another command that asks the controller.
    async fn sio(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(arguments).arg("--config").arg(self.file()).stdin(Stdio::null());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }
}

struct Controller(Child);

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug)]
struct Findings(Vec<Value>);

impl Findings {
    /// Level, and what was seen with its mend.
    fn of(&self, what: &str) -> (String, String) {
        let found = self.0.iter().find(|finding| finding["what"].as_str().unwrap().starts_with(what));
        let found = found.unwrap_or_else(|| panic!("nothing is said of {what}: {self:#?}"));
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("level"), format!("{} -> {}", text("says"), text("mend")))
    }

    #[track_caller]
    fn says(&self, what: &str, level: &str, parts: &[&str]) {
        let (is, says) = self.of(what);
        assert!(is == level && parts.iter().all(|part| says.contains(part)), "{what}: {is} {says}\n{self:#?}");
    }
}

/// A file in which masters find who may be a framework.
fn credentials(folder: &Path) -> PathBuf {
    let list = json!({ "credentials": [{ "principal": "sio", "secret": SECRET }] });
    let file = folder.join("credentials");
    fs::write(&file, list.to_string()).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_what_is_wrong_at_a_real_mesos_and_the_mend() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        format!("credentials=file://{}", credentials(folder.path()).display()),
        "authenticate_http_frameworks=true".to_owned(),
        "http_framework_authenticators=basic".to_owned(),
    ];
    let mut options = vec!["--zk", "--agents", "1"];
    options.extend(flags.iter().flat_map(|flag| ["--master-flag", flag.as_str()]));
    let cluster = Cluster::with(19_000..20_000, &options);
    let master = cluster.master();
    let (there, leader) = (format!("mesos {master}"), "mesos leader");

    let good = Settings::new(&[&master], Some(SECRET));
    let found = good.findings().await;
    found.says(&there, "ok", &["answers, Mesos 1.11.0"]);
    found.says(&format!("clock of {master}"), "ok", &["as ours"]);
    found.says(leader, "ok", &[&master, "lets frameworks in as sio"]);
    found.says("controller", "warn", &["none runs", "systemctl start sio"]);
    eprintln!("story: what works is said to work");

    let found = good.findings_ahead().await;
    found.says(&format!("clock of {master}"), "fail", &["behind ours", "NTP"]);
    eprintln!("story: a clock that differs");

    for (secret, who) in [(Some("wrong-hunter2"), "as sio"), (None, "without a login")] {
        let found = Settings::new(&[&master], secret).findings().await;
        found.says(&there, "ok", &["answers"]);
        found.says(leader, "fail", &["refuses frameworks", who, "[mesos.login]"]);
    }
    eprintln!("story: a wrong login, and none");

    // Below the range of the cluster nobody listens.
    let absent = format!("http://127.0.0.1:{}", cluster.port - 19);
    let found = Settings::new(&[&absent, &master], Some(SECRET)).findings().await;
    found.says(&format!("mesos {absent}"), "fail", &["refused", "see that it runs", "firewall"]);
    found.says(leader, "ok", &[&master]);
    let found = Settings::new(&[&absent], Some(SECRET)).findings().await;
    found.says(leader, "fail", &["no master says who leads", "quorum"]);
    eprintln!("story: a master that is away, and all of them");

    let zookeeper = |path: &str| format!("zk://127.0.0.1:{}{path}", cluster.port - 10);
    let by_zookeeper = Settings::new(&[&zookeeper("/mesos")], Some(SECRET)).findings().await;
    by_zookeeper.says(leader, "ok", &[&master, "lets frameworks in"]);
    let lost = zookeeper("/nowhere");
    let found = Settings::new(&[&lost], Some(SECRET)).findings().await;
    found.says(&format!("mesos {lost}"), "fail", &["/nowhere is not there; see the path in mesos.masters"]);
    let nobody = format!("zk://127.0.0.1:{}/mesos", cluster.port - 19);
    let found = Settings::new(&[&nobody], Some(SECRET)).findings().await;
    found.says(&format!("mesos {nobody}"), "fail", &["see that ZooKeeper runs"]);
    eprintln!("story: leaders by ZooKeeper, a wrong path, and no ZooKeeper");

    let refused = Settings::new(&[&master], Some("wrong-hunter2"));
    let running = refused.run();
    let told = async || {
        let (level, says) = Some(refused.findings().await).filter(has_standing)?.of(STANDING);
        (level == "fail").then_some(says)
    };
    let says = until("the controller to be refused", told).await;
    assert!(says.contains("not registered at lab") && says.contains("401") && says.contains("[mesos.login]"), "{says}");
    drop(running);
    eprintln!("story: a controller that is not let in");

    let running = good.run();
    let registered = async || {
        let (level, says) = Some(good.findings().await).filter(has_standing)?.of(STANDING);
        (level == "ok" && says.contains(&format!("registered at {master} (lab)"))).then_some(())
    };
    until("the controller to be registered", registered).await;
    let all = ask(&master, json!({ "type": "GET_FRAMEWORKS" })).await;
    let id = all["get_frameworks"]["frameworks"][0]["framework_info"]["id"]["value"].as_str().unwrap().to_owned();
    ask(&master, json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": id } } })).await;
    let removed = async || {
        let (level, says) = good.findings().await.of(STANDING);
        (level == "fail" && says.contains("removed by the masters of lab")).then_some(says)
    };
    let says = until("the removal to be told", removed).await;
    assert!(says.contains("sio framework register-anew"), "{says}");
    // What it says helps.
    let output = good.sio(&["framework", "register-anew"]).await;
    assert!(output.status.success(), "{output:?}");
    until("the mend to help", registered).await;
    drop(running);
    eprintln!("story: a framework that was removed, and the mend");
}

const STANDING: &str = "controller: Mesos";

fn has_standing(findings: &Findings) -> bool {
    findings.0.iter().any(|finding| finding["what"] == STANDING)
}

//! Does the Marathon app have the shape that Marathon takes, and does its command start a controller?

use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::port::free_port;
use crate::{PATIENCE, project};

fn app() -> Value {
    serde_json::from_str(&std::fs::read_to_string(project("packaging/marathon.json")).unwrap()).unwrap()
}

/// The name of a field, and whether a value of it is good.
type Field = (&'static str, fn(&Value) -> bool);

/// What Marathon's API (1.5 to 1.11) knows of the fields that we use; it refuses an app with an unknown one.
const FIELDS: &[Field] = &[
    ("id", |value| {
        value
            .as_str()
            .is_some_and(|id| id.starts_with('/') && id[1..].chars().all(|c| c.is_ascii_lowercase() || c == '-'))
    }),
    ("user", Value::is_string),
    ("cmd", Value::is_string),
    ("env", |value| value.as_object().is_some_and(|env| env.values().all(Value::is_string))),
    ("instances", |value| value.as_u64() == Some(1)),
    ("cpus", |value| value.as_f64().is_some_and(|cpus| cpus >= 0.001)),
    ("mem", |value| value.as_f64().is_some_and(|mem| mem >= 32.0)),
    ("disk", |value| value.as_f64().is_some_and(|disk| disk > 0.0)),
    ("constraints", |value| {
        let operators = ["UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"];
        let good = |constraint: &Value| {
            let words = constraint.as_array().unwrap();
            (2..=3).contains(&words.len()) && operators.contains(&words[1].as_str().unwrap())
        };
        value.as_array().is_some_and(|all| all.iter().all(good))
    }),
    ("portDefinitions", |value| {
        // Port 0 is what makes Marathon choose one.
        value.as_array().is_some_and(|ports| ports.len() == 1 && ports[0]["port"] == 0 && ports[0]["protocol"] == "tcp")
    }),
    ("requirePorts", |value| *value == Value::Bool(false)),
    ("healthChecks", |value| value.as_array().is_some_and(|checks| checks.iter().all(is_health_check))),
    // One must be gone before the next one comes.
    ("upgradeStrategy", |value| *value == serde_json::json!({ "minimumHealthCapacity": 0, "maximumOverCapacity": 0 })),
    ("unreachableStrategy", |value| {
        let (inactive, expunge) = (value["inactiveAfterSeconds"].as_u64(), value["expungeAfterSeconds"].as_u64());
        inactive < expunge && value.as_object().is_some_and(|fields| fields.len() == 2)
    }),
    ("taskKillGracePeriodSeconds", Value::is_u64),
    ("backoffSeconds", Value::is_u64),
    ("maxLaunchDelaySeconds", Value::is_u64),
];

fn is_health_check(check: &Value) -> bool {
    let seconds = ["gracePeriodSeconds", "intervalSeconds", "timeoutSeconds", "maxConsecutiveFailures", "portIndex"];
    check.as_object().unwrap().iter().all(|(field, value)| match field.as_str() {
        "protocol" => value == "MESOS_HTTPS" || value == "MESOS_HTTP",
        "path" => value.as_str().is_some_and(|path| path.starts_with('/')),
        field => seconds.contains(&field) && value.is_u64(),
    })
}

#[test]
fn the_app_has_only_fields_that_marathon_knows_and_is_one_instance_on_a_dynamic_port() {
    let app = app();
    for (field, value) in app.as_object().unwrap() {
        let (_, is_good) =
            FIELDS.iter().find(|(known, _)| known == field).unwrap_or_else(|| panic!("{field} is not known"));
        assert!(is_good(value), "{field}: {value}");
    }
    for (field, _) in FIELDS {
        assert!(app.get(field).is_some(), "{field} is missing");
    }
    assert!(app["cmd"].as_str().unwrap().contains("$PORT0"), "the port is the one that Marathon chose");
}

/// A process that ends with the test; a ZooKeeper hears the end of its input.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // Whoever hears it ends what it started; a kill would leave that behind.
        if self.0.stdin.take().is_some() {
            let begun = Instant::now();
            while matches!(self.0.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        // Gone already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn zookeeper(folder: &Path) -> (Ends, u16) {
    let port = free_port();
    let mut command = Command::new(project("tests/real-mesos/real-mesos"));
    command.args(["zookeeper", "--zk-port", &port.to_string(), "--dir", folder.to_str().unwrap()]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    (Ends(child), port)
}

/// What somebody writes for the app: TLS, and the login at ZooKeeper.
fn configuration(folder: &Path) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let write = |name: &str, text: &str| {
        let mut file =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name)).unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    };
    write("cert.pem", &key.cert.pem());
    write("key.pem", &key.signing_key.serialize_pem());
    write("web.yml", "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n");
    write("zk.auth", "sio:secret\n");
    write("prod.password", "secret");
    // Nobody answers there, which is no reason for Marathon to start the controller anew.
    let system = "[systems.prod]\ngateways = [\"https://127.0.0.1:9\"]\n[systems.prod.monitor]\nuser = \"monitor\"\npassword_file = \"prod.password\"\n";
    write("sio.toml", &format!("[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n{system}"));
}

#[test]
fn its_command_starts_a_controller_on_that_port_which_passes_its_health_check_and_another_is_kept_out() {
    let app = app();
    let folder = tempfile::tempdir().unwrap();
    configuration(folder.path());
    let (_zookeeper, ensemble) = zookeeper(folder.path());
    let start = |port: u16| {
        // Only places differ from what is shipped.
        let here = |text: &str| {
            let text = text.replace("/usr/bin/sio", env!("CARGO_BIN_EXE_sio"));
            let text = text.replace("/etc/scaleio-framework", folder.path().to_str().unwrap());
            text.replace(
                "zk1.example.com:2181,zk2.example.com:2181,zk3.example.com:2181",
                &format!("127.0.0.1:{ensemble}"),
            )
        };
        let log = std::fs::File::create(folder.path().join(format!("log.{port}"))).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &here(app["cmd"].as_str().unwrap())]).env_clear().env("PORT0", port.to_string());
        for (name, value) in app["env"].as_object().unwrap() {
            command.env(name, here(value.as_str().unwrap()));
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Ends(child)
    };
    let said = |port: u16| std::fs::read_to_string(folder.path().join(format!("log.{port}"))).unwrap();
    let check = &app["healthChecks"][0];
    let scheme = if check["protocol"] == "MESOS_HTTPS" { "https" } else { "http" };

    let port = free_port();
    let _controller = start(port);
    let mut url = String::new();
    write!(url, "{scheme}://127.0.0.1:{port}{}", check["path"].as_str().unwrap()).unwrap();
    // Mesos' executor asks as curl does, and takes any certificate.
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--insecure",
        "--noproxy",
        "*",
        "--write-out",
        "%{http_code}",
        "--output",
        "/dev/null",
        &url,
    ]);
    let begun = Instant::now();
    while curl.output().unwrap().stdout != b"200" {
        assert!(begun.elapsed() < PATIENCE, "the health check does not pass: {}", said(port));
        std::thread::sleep(Duration::from_millis(50));
    }

    // What looks at the store takes it from nobody.
    let mut doctor = Command::new(env!("CARGO_BIN_EXE_sio"));
    doctor.args(["doctor", "--config"]).arg(folder.path().join("sio.toml")).env_clear();
    doctor.env("SIO__STORE__ZOOKEEPER", format!("zk://127.0.0.1:{ensemble}/scaleio-framework"));
    doctor.env("SIO__STORE__ZOOKEEPER_AUTH_FILE", folder.path().join("zk.auth"));
    let seen = crate::told(&doctor.output().unwrap());
    assert!(seen.contains("commits, held by a controller"), "{seen}");

    // Marathon starts a second one when it cannot reach the first one's agent.
    std::fs::remove_file(folder.path().join("sio.sock")).unwrap();
    let second = free_port();
    let mut second_controller = start(second);
    let status = second_controller.0.wait().unwrap();
    assert!(!status.success() && said(second).contains("in use by another"), "{status}: {}", said(second));
}

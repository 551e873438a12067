//! What `sio` says and how it ends, as people and scripts see it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

fn sio(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
    command.args(arguments).env_clear().envs(variables.iter().copied()).stdin(std::process::Stdio::null());
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

const SYSTEM: [(&str, &str); 3] = [
    ("SIO__SYSTEMS__PROD__GATEWAYS", "https://gw"),
    ("SIO__SYSTEMS__PROD__MONITOR__USER", "watcher"),
    ("SIO__SYSTEMS__PROD__MONITOR__PASSWORD", "hunter2"),
];

#[test]
fn check_tells_what_a_good_configuration_means_and_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sio.toml");
    std::fs::write(&file, "[poll]\nfast = \"20s\"\n[systems.prod]\ninsecure = true\n").unwrap();
    let output = sio(&["check", "--config", file.to_str().unwrap()], &SYSTEM);
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    let text = out(&output);
    assert!(text.starts_with(&format!("{} is good\n", file.display())), "{text}");
    for part in ["fast 20s", "prod: https://gw as watcher, NOT VERIFIED", "watched only"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("hunter2"));
}

#[test]
fn check_and_run_end_with_2_on_a_wrong_configuration() {
    for command in ["check", "run"] {
        let mut variables = SYSTEM.to_vec();
        variables.extend([("SIO__POLL__FAST", "0s"), ("SIO__WEB__LISTEN", "here")]);
        let output = sio(&[command], &variables);
        assert_eq!(code(&output), 2, "{command}");
        let text = err(&output);
        assert!(text.starts_with("sio: the configuration has 2 problems:\n"), "{text}");
        assert!(text.contains("variable SIO__POLL__FAST: poll.fast: ") && text.contains("web.listen"), "{text}");
    }
}

#[test]
fn the_file_that_the_variable_names_is_read() {
    let output = sio(&["check"], &[("SIO_CONFIG", "/nowhere/sio.toml")]);
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("/nowhere/sio.toml: the file cannot be read"), "{}", err(&output));
}

#[test]
fn wrong_arguments_end_with_2_and_help_with_0() {
    assert_eq!(code(&sio(&["statsu"], &[])), 2);
    assert_eq!(code(&sio(&["status", "--url", "http://a", "--socket", "/b"], &[])), 2);
    assert_eq!(code(&sio(&["--help"], &[])), 0);
    let version = sio(&["version"], &[]);
    assert_eq!((code(&version), out(&version)), (0, format!("sio {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn init_without_a_terminal_asks_nothing() {
    let output = sio(&["init", "--output", "/nowhere/sio.toml", "--name", "prod"], &[]);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("give --gateway, --user, --password-file"), "{}", err(&output));
}

/// A controller that answers one request with what it is given; tells what it was asked.
struct Controller {
    folder: tempfile::TempDir,
    asked: std::thread::JoinHandle<String>,
}

impl Controller {
    fn answering(status: &str, body: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("sio.sock")).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let asked = std::thread::spawn(move || {
            // The client looks whether somebody is there before it asks.
            loop {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut chunk = [0; 1024];
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut chunk).unwrap() {
                        0 => break,
                        read => request.extend_from_slice(&chunk[..read]),
                    }
                }
                if !request.is_empty() {
                    stream.write_all(answer.as_bytes()).unwrap();
                    return String::from_utf8(request).unwrap();
                }
            }
        });
        Self { folder, asked }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sio.sock")
    }
}

fn status(socket: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["status", "--socket", socket.to_str().unwrap()];
    arguments.extend(more);
    sio(&arguments, &[])
}

const WELL: &str = r#"{"version":"0.1.0","started_at":"2026-11-24T10:00:00Z","systems":[{"system":"prod","up":true,"snapshot":{"seq":1,"age_seconds":1.0},"problems":[]}]}"#;

#[test]
fn status_is_0_when_all_is_well_and_asks_over_the_socket() {
    let controller = Controller::answering("200 OK", WELL);
    let output = status(&controller.socket(), &[]);
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    assert!(out(&output).contains("\nprod    ok "), "{}", out(&output));
    assert!(controller.asked.join().unwrap().starts_with("GET /api/v1/status HTTP/1.1\r\n"));
}

#[test]
fn status_finds_the_socket_without_reading_passwords() {
    let controller = Controller::answering("200 OK", WELL);
    let file = controller.folder.path().join("sio.toml");
    let toml = "[control]\nsocket = \"sio.sock\"\n[systems.prod.monitor]\npassword_file = \"/not/for/you\"\n";
    std::fs::write(&file, toml).unwrap();
    let output = sio(&["--config", file.to_str().unwrap(), "status", "--json"], &[]);
    assert_eq!((code(&output), out(&output)), (0, format!("{WELL}\n")));
}

#[test]
fn status_is_1_when_a_system_is_unwell() {
    let body = WELL.replace("\"problems\":[]", "\"problems\":[\"a device failed\"]");
    let controller = Controller::answering("200 OK", &body);
    let output = status(&controller.socket(), &[]);
    assert_eq!(code(&output), 1);
    assert!(out(&output).ends_with("prod: a device failed\n"), "{}", out(&output));
}

#[test]
fn status_is_3_when_nobody_is_there_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("sio.sock");
    let output = status(&socket, &[]);
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("start one with `sio run`"), "{}", err(&output));
    // A socket that a killed controller left behind.
    drop(UnixListener::bind(&socket).unwrap());
    assert_eq!(code(&status(&socket, &[])), 3);

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let output = sio(&["status", "--url", &url], &[]);
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains(&format!("the controller at {url} cannot be reached")), "{}", err(&output));
}

#[test]
fn status_is_3_on_an_answer_that_is_none() {
    for (line, body, part) in [
        ("200 OK", "<html>", "is no controller of this product"),
        ("503 Service Unavailable", r#"{"title":"starting","status":503}"#, "answered 503 (starting)"),
        ("401 Unauthorized", "", "answered 401; give --user and --password-file"),
        ("302 Found", "", "answered 302"),
    ] {
        let controller = Controller::answering(line, body);
        let output = status(&controller.socket(), &[]);
        assert_eq!(code(&output), 3, "{line}");
        assert!(err(&output).contains(part), "{line}: {}", err(&output));
    }
}

/// A controller behind TLS that answers one request; tells what it was asked.
fn over_tls(folder: &Path) -> (String, std::thread::JoinHandle<String>) {
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("ca.pem"), key.cert.pem()).unwrap();
    let secret = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], secret)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let asked = std::thread::spawn(move || {
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, listener.accept().unwrap().0);
        let mut request = Vec::new();
        let mut byte = [0; 1];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => request.push(byte[0]),
                _ => return "refused".to_owned(),
            }
        }
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{WELL}", WELL.len()).unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, asked)
}

#[test]
fn status_over_the_network_is_verified_and_logs_in() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "hunter2\n").unwrap();
    std::fs::set_permissions(&password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let (url, asked) = over_tls(folder.path());
    let (password, ca) = (password.to_str().unwrap().to_owned(), folder.path().join("ca.pem"));
    let login = ["status", "--url", &url, "--user", "me", "--password-file", &password];
    let output = sio(&[&login[..], &["--ca-file", ca.to_str().unwrap()]].concat(), &[]);
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    let asked = asked.join().unwrap().to_lowercase();
    assert!(asked.contains("authorization: basic bwu6ahvudgvymg==\r\n"), "{asked}");
}

#[test]
fn a_controller_that_nobody_vouches_for_gets_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let (url, asked) = over_tls(folder.path());
    let output = sio(&["status", "--url", &url], &[]);
    assert_eq!(code(&output), 3);
    assert!(err(&output).contains("certificate"), "{}", err(&output));
    assert_eq!(asked.join().unwrap(), "refused");
}

/// Prometheus' own judge of configurations reads it.
fn promtool_takes(text: &str, folder: &Path) {
    let file = folder.join("prometheus.yml");
    std::fs::write(&file, text).unwrap();
    let output = Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(&file).output();
    let output = output.unwrap_or_else(|error| panic!("promtool: {error}; apt-get install prometheus"));
    assert!(output.status.success(), "{text}\n{}{}", out(&output), err(&output));
}

#[test]
fn the_exported_scrape_configuration_fits_what_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sio.toml");
    let arguments = ["export", "scrape-config", "--config", file.to_str().unwrap()];
    std::fs::write(&file, "[poll]\nfast = \"5s\"\n").unwrap();
    let open = out(&sio(&arguments, &SYSTEM));
    promtool_takes(&open, folder.path());
    for line in ["scrape_interval: 5s", "scrape_timeout: 5s", "scheme: http", "targets: [\"127.0.0.1:9465\"]"] {
        assert!(open.lines().any(|written| written.trim().ends_with(line)), "{line}: {open}");
    }
    assert!(!open.contains("basic_auth") && !open.contains("tls_config"), "{open}");

    let certified = rcgen::generate_simple_self_signed(["sio.example.com".to_owned()]).unwrap();
    std::fs::write(folder.path().join("cert.pem"), certified.cert.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
    let web = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n  client_ca_file: cert.pem\n  \
               client_auth_type: RequireAndVerifyClientCert\nbasic_auth_users:\n  \
               prometheus: $2b$10$abcdefghijklmnopqrstuuVZ7MxkNQ1V3T8kJr1L8xv3b8m5q9qG2\n";
    std::fs::write(folder.path().join("web.yml"), web).unwrap();
    std::fs::write(&file, "[web]\nlisten = \"[::]:9465\"\nconfig_file = \"web.yml\"\n").unwrap();
    let guarded = sio(&arguments, &SYSTEM);
    let text = out(&guarded);
    assert_eq!(code(&guarded), 0, "{}", err(&guarded));
    promtool_takes(&text, folder.path());
    for part in ["scheme: https", "cert_file:", "username: \"prometheus\"", "sio.example.com:9465", "--target"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let found = out(&sio(&[&arguments[..], &["--target", "storage:1", "--http-sd"]].concat(), &SYSTEM));
    promtool_takes(&found, folder.path());
    assert!(found.contains("url: \"https://storage:1/api/v1/sd\"") && !found.contains("static_configs"), "{found}");

    std::fs::write(folder.path().join("web.yml"), "basic_auth_users: {me: plain}\n").unwrap();
    let wrong = sio(&arguments, &SYSTEM);
    assert_eq!(code(&wrong), 2);
    assert!(err(&wrong).contains("no bcrypt hash"), "{}", err(&wrong));
}

/// What the built-in engine evaluates is what a Prometheus gets.
#[test]
fn the_rules_are_exported_as_they_are_evaluated_and_promtool_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sio.toml");
    let mut toml = String::from("[systems.prod]\ninsecure = true\n[alerts.thresholds]\nslo_latency = \"10ms\"\n");
    toml += "[[alerts.override]]\nalert = \"ScaleioPoolHigh\"\nmatch = { storage_pool = \"a \\\"b\\\"\" }\nthreshold = 0.95\n";
    toml +=
        "[[alerts.override]]\nalert = \"ScaleioDeviceError\"\nmatch = { system = \"prod\", sds = \"x\" }\noff = true\n";
    std::fs::write(&file, &toml).unwrap();
    let rules = folder.path().join("rules");
    let export = || sio(&["export", "alerts", rules.to_str().unwrap(), "--config", file.to_str().unwrap()], &SYSTEM);
    let output = export();
    assert_eq!((code(&output), err(&output).as_str()), (0, ""));
    let shipped = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("alerts")).unwrap();
    let shipped = shipped.filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(out(&output), format!("{shipped} rule files are in {}\n", rules.display()));
    let text = |name: &str| std::fs::read_to_string(rules.join(name)).unwrap();
    assert_eq!(text("client.rules.yml"), include_str!("../alerts/client.rules.yml"), "nothing of it is changed");
    assert_eq!(text("capacity.rules.yml").matches("alert: ScaleioPoolHigh\n").count(), 2);
    let files = std::fs::read_dir(&rules).unwrap().map(|entry| entry.unwrap().path());
    let promtool = Command::new("promtool").args(["check", "rules"]).args(files).output();
    let promtool = promtool.unwrap_or_else(|error| panic!("promtool: {error}; install the Debian package prometheus"));
    assert!(promtool.status.success(), "{}", err(&promtool));

    toml += "[[alerts.override]]\nalert = \"ScaleioPoolHihg\"\noff = true\n";
    std::fs::write(&file, &toml).unwrap();
    let said = format!("{}:13: rule ScaleioPoolHihg: no loaded rule has this alert; did you mean", file.display());
    for output in [export(), sio(&["check", "--config", file.to_str().unwrap()], &SYSTEM)] {
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains(&said), "{}", err(&output));
    }
}

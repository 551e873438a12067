//! How does Prometheus find us? The answer of HTTP service discovery, and a
//! scrape configuration that fits ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::model::id::SystemId;

use super::access::Demands;

/// Prometheus gives up a scrape after so long unless told otherwise.
const USUAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A group of targets in the format of Prometheus' `http_sd_configs`.
#[derive(Debug, Serialize)]
pub struct TargetGroup {
    targets: Vec<String>,
    labels: BTreeMap<&'static str, String>,
}

/// What is found here: ourselves, by the name under which we were asked.
pub fn targets(host: &str, tls: bool, systems: impl IntoIterator<Item = SystemId>) -> Vec<TargetGroup> {
    let systems: Vec<String> = systems.into_iter().map(|system| system.to_string()).collect();
    let labels = [
        ("__scheme__", scheme(tls).to_owned()),
        ("__metrics_path__", "/metrics".to_owned()),
        ("__meta_scaleio_systems", systems.join(",")),
    ];
    vec![TargetGroup { targets: vec![host.to_owned()], labels: labels.into() }]
}

const fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

/// A configuration for Prometheus that scrapes a controller of this
/// configuration. `target` is the name by which Prometheus reaches it.
pub fn scrape_config(config: &Config, demands: &Demands, target: Option<&str>, by_discovery: bool) -> String {
    let (target, note) = match target {
        Some(target) => (target.to_owned(), None),
        None => named(config.web.listen),
    };
    let interval = config.poll.fast;
    let timeout = interval.min(USUAL_TIMEOUT);
    let mut out = String::from("# For Prometheus: a file of its `scrape_config_files`, or a part of prometheus.yml.\n");
    if let Some(note) = note {
        let _ = writeln!(out, "# {note}");
    }
    let _ = writeln!(
        out,
        "scrape_configs:\n  - job_name: scaleio\n    # The fast beat: nothing changes in between.\n    \
         scrape_interval: {}\n    scrape_timeout: {}",
        duration(interval),
        duration(timeout),
    );
    let access = access(demands);
    if by_discovery {
        let _ = write!(out, "{}", indented(&access, 4));
        let url = quoted(&format!("{}://{target}/api/v1/sd", scheme(demands.tls)));
        let _ = writeln!(out, "    http_sd_configs:\n      - url: {url}");
        let _ = write!(out, "{}", indented(&access, 8));
    } else {
        let _ = writeln!(out, "    scheme: {}", scheme(demands.tls));
        let _ = write!(out, "{}", indented(&access, 4));
        let _ = writeln!(out, "    static_configs:\n      - targets: [{}]", quoted(&target));
    }
    out
}

/// What the web configuration asks for, as Prometheus says it.
fn access(demands: &Demands) -> String {
    let mut out = String::new();
    if demands.tls {
        out.push_str(
            "tls_config:\n  # The authority of the certificate in the web configuration; leave it out when the\n  \
             # operating system trusts it.\n  ca_file: sio-ca.pem\n",
        );
        if demands.client_certificate {
            out.push_str(
                "  # A certificate that client_ca_file of the web configuration has signed.\n  \
                 cert_file: prometheus.pem\n  key_file: prometheus.key\n",
            );
        }
    }
    if let Some(user) = demands.users.first() {
        let _ = writeln!(
            out,
            "basic_auth:\n  # One of the users of the web configuration: {}.\n  username: {}\n  \
             password_file: sio.password",
            demands.users.join(", "),
            quoted(user)
        );
    }
    out
}

/// The name of a listener for others, and what is to be mended in it.
fn named(listen: SocketAddr) -> (String, Option<&'static str>) {
    if listen.ip().is_unspecified() {
        let note = "Write the name of the controller's host in place of sio.example.com, or say --target.";
        return (format!("sio.example.com:{}", listen.port()), Some(note));
    }
    let note = listen
        .ip()
        .is_loopback()
        .then_some("The controller listens on loopback: only a Prometheus on the same host reaches it ([web] listen).");
    (listen.to_string(), note)
}

/// A duration as Prometheus writes it.
fn duration(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// Text in double quotes: JSON's are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

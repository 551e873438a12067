//! Does a real Prometheus take what is served, by TLS and with a password?

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use scaleio_framework::sim::Release;

use crate::child::{self, Process, secret};
use crate::reload::{certificate, web_config};
use crate::site::{client, eventually, still};
use crate::truth::truth;

/// A Prometheus that scrapes what it is told; gives where it answers.
pub async fn prometheus(folder: &Path, scrape_configs: &str) -> (Process, String) {
    let config = folder.join("prometheus.yml");
    std::fs::write(
        &config,
        format!("global:\n  scrape_interval: 500ms\n  scrape_timeout: 400ms\n  evaluation_interval: 1s\nscrape_configs:\n{scrape_configs}"),
    )
    .unwrap();
    // It does not tell which port it took, so it is given one that is free now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
        .arg(format!("--web.listen-address={free}"));
    let process = Process::start(&mut command, folder.join("prometheus.log"));
    (process, free.to_string())
}

/// The values of a query, by the label `job`.
async fn query(at: &str, query: &str) -> Result<Vec<(String, f64)>, String> {
    let url = url::Url::parse_with_params(&format!("http://{at}/api/v1/query"), [("query", query)]).unwrap();
    let response = client().get(url).send().await.map_err(|error| error.to_string())?;
    let answer: serde_json::Value = response.json().await.map_err(|error| error.to_string())?;
    let result = answer["data"]["result"].as_array().ok_or_else(|| answer.to_string())?;
    let series = result.iter().map(|series| {
        let job = series["metric"]["job"].as_str().unwrap_or_default().to_owned();
        (job, series["value"][1].as_str().unwrap().parse().unwrap())
    });
    let mut series: Vec<_> = series.collect();
    series.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(series)
}

async fn answers(process: &Process, at: &str, asked: &str, expected: &[(&str, f64)]) {
    let expected: Vec<(String, f64)> = expected.iter().map(|(job, value)| ((*job).to_owned(), *value)).collect();
    eventually(asked, async || {
        let found = query(at, asked).await.map_err(|error| format!("{error}; {}", process.said()))?;
        if found == expected { Ok(()) } else { Err(format!("{found:?}; {}", process.said())) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_by_tls_with_a_password_and_not_without() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    web_config(folder.path(), "prometheus", "correct horse");
    for (name, password) in [("right", "correct horse"), ("wrong", "battery staple")] {
        secret(&folder.path().join(name), password);
    }
    let config = child::config(folder.path(), &[("prod", &world)]);
    let web_file = folder.path().join("web.yml");
    let variables = [("SIO__WEB__CONFIG_FILE", web_file.to_str().unwrap())];
    let (_sio, web) = Process::sio_run(&config, &variables).await;

    let job = |name: &str, password: &str, ca: &str| {
        format!(
            "- job_name: {name}\n  scheme: https\n  tls_config: {{{ca}}}\n  \
             basic_auth: {{username: prometheus, password_file: {password}}}\n  \
             static_configs: [{{targets: [\"{web}\"]}}]\n"
        )
    };
    let jobs = [
        job("good", "right", "ca_file: web.pem"),
        job("password", "wrong", "ca_file: web.pem"),
        job("untrusted", "right", ""),
    ];
    let (process, at) = prometheus(folder.path(), &jobs.concat()).await;
    answers(&process, &at, "up", &[("good", 1.0), ("password", 0.0), ("untrusted", 0.0)]).await;
    let truth = world.world(|world| truth(world));
    let in_use = truth["scaleio_system_capacity_in_use_bytes{}"];
    answers(&process, &at, "scaleio_system_capacity_in_use_bytes", &[("good", in_use)]).await;
    answers(&process, &at, "sum by (job) (scaleio_sds_mdm_connected)", &[("good", 3.0)]).await;
    answers(&process, &at, "scaleio_up{system=\"prod\"}", &[("good", 1.0)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_scrapes_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio-demo"));
    command.args(["--port", "0", "--seconds", "120", "--speed", "10"]);
    let mut demo = Process::start(&mut command, folder.path().join("demo.log"));
    let metrics = demo.says("http://").await;
    let web = metrics.split('/').next().unwrap().to_owned();
    let job = format!("- job_name: demo\n  static_configs: [{{targets: [\"{web}\"]}}]\n");
    let (process, at) = prometheus(folder.path(), &job).await;
    answers(&process, &at, "up", &[("demo", 1.0)]).await;
    answers(&process, &at, "count by (job) (scaleio_sds_mdm_connected == 1)", &[("demo", 12.0)]).await;
    // Three seconds in, a device fails; ten seconds later its data is rebuilt.
    answers(&process, &at, "sum by (job) (scaleio_device_error)", &[("demo", 1.0)]).await;
    answers(
        &process,
        &at,
        "sum by (job) (scaleio_system_background_bytes_per_second{operation=\"forward_rebuild\",direction=\"write\"}) > bool 0",
        &[("demo", 1.0)],
    )
    .await;
}

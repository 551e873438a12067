//! Does every query give data? A real Prometheus holds the past of `past.rs` and answers.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::past;
use crate::read::{Dashboard, filled};
use crate::run;

const NEEDS: &str = "install the Debian package prometheus";

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(45);

/// Queries of whose data this past has none, and why. Each must be empty, or its line goes.
const EMPTY: [(&str, &str); 0] = [];

/// A Prometheus that ends with the test.
pub(crate) struct Prometheus {
    process: Child,
    pub(crate) url: String,
    /// The last moment of the past, in seconds since 1970.
    pub(crate) end: i64,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself, which the queries have told.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Fills a Prometheus with the past, and starts it.
pub(crate) async fn prometheus(folder: &Path) -> Prometheus {
    // The second one to install it is refused, and uses the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (texts, end) = past::write(folder).await;
    let data = folder.join("tsdb");
    for text in texts {
        // Days in one block: promtool reads the whole text once for each.
        let arguments = ["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=500h"];
        run(Command::new("promtool").args(arguments).arg(text).arg(&data), NEEDS);
    }
    let config = folder.join("prometheus.yml");
    std::fs::write(&config, "global: {scrape_interval: 2m}\n").unwrap();
    // It does not tell which port it took, so it is given one that is free now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = std::fs::File::create(folder.join("prometheus.log")).unwrap();
    let process = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg("--storage.tsdb.retention.time=1y")
        .arg(format!("--web.listen-address={free}"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("prometheus does not start ({error}): {NEEDS}"));
    let prometheus = Prometheus { process, url: format!("http://{free}"), end };
    let begun = Instant::now();
    while let Err(why) = prometheus.ask("count(scaleio_up)", 0, 60).await {
        assert!(begun.elapsed() < PATIENCE, "prometheus does not answer: {why}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    prometheus
}

impl Prometheus {
    /// How many series a query gives in this time before the end.
    async fn ask(&self, query: &str, range: i64, step: i64) -> Result<usize, String> {
        let start = (self.end - range).to_string();
        let (end, step) = (self.end.to_string(), step.to_string());
        let asked = [("query", query), ("start", &start), ("end", &end), ("step", &step)];
        let url = url::Url::parse_with_params(&format!("{}/api/v1/query_range", self.url), asked).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().map_err(|error| error.to_string())?;
        let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        answer["data"]["result"].as_array().map(Vec::len).ok_or_else(|| answer.to_string())
    }
}

pub(crate) async fn all_give_data(prometheus: &Prometheus) {
    let mut problems = Vec::new();
    for dashboard in Dashboard::all() {
        for (place, query) in dashboard.queries() {
            // Of the long past only what capacity asks for is kept; marks are looked for where everything is.
            let long = dashboard.is_long() && !place.contains(": mark ");
            let (range, step) = if long { (15 * 86_400, 7200) } else { (6 * 3600 - 120, 120) };
            let kept = EMPTY.iter().any(|(empty, _)| *empty == place);
            match prometheus.ask(&filled(query, long), range, step).await {
                Ok(0) if !kept => problems.push(format!("{place} shows nothing: {query}")),
                Ok(1..) if kept => problems.push(format!("{place} shows something: take its line out of EMPTY")),
                Ok(_) => {}
                Err(error) => problems.push(format!("{place}: {error}: {query}")),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

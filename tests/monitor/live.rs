//! Do a real Prometheus and the engine say the same of the same faults, at the same time? Both judge the rules that
//! `sio export alerts` writes, side by side.
//!
//! Their clocks of scraping and evaluation differ by a second or two, so what is compared is when each alert begins and
//! ends to be pending and to fire. `SCALEIO_LIVE_SECONDS=300` makes the run longer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use scaleio_framework::sim::{Fault, Release, Running, Word};
use serde_json::Value;

use crate::child::{self, Process, err, sio};
use crate::prometheus::prometheus;
use crate::site::{client, eventually, still};

/// How long each state of the system lasts.
const PHASE: Duration = Duration::from_secs(24);
/// Beats of polling, scraping and evaluation, and a machine that does other things. Shorter than half of all that is
/// compared: a phase, and the time that conditions must hold here.
const APART: f64 = 8.0;
const HOLD: &str = "20s";
/// Alerts that the faults of this run cause, with the time that their condition must hold in this run.
const QUICK: [&str; 7] = [
    "ScaleioSdsDisconnected",
    "ScaleioDataDegraded",
    "ScaleioDeviceError",
    "ScaleioMdmMemberDown",
    "ScaleioMdmClusterNotNormal",
    "ScaleioSystemUnreachable",
    "ScaleioSdcDisconnected",
];

/// Labels of an alert and its state, and the moments (seconds since 1970) at which it was seen so.
type Seen = BTreeMap<(BTreeMap<String, String>, bool), Vec<f64>>;
/// Labels of an alert and its state, and when it was so.
type Spans = BTreeMap<(BTreeMap<String, String>, bool), Vec<(f64, f64)>>;

fn next(world: &Running, phase: u32) {
    world.faults().clear();
    world.world(|world| match phase % 4 {
        0 => {
            world.fail_sds("sds-2-1").unwrap();
            world.set_sdc_connected("client-1", false).unwrap();
        }
        1 => {
            world.return_sds("sds-2-1").unwrap();
            world.set_sdc_connected("client-1", true).unwrap();
            world.fail_mdm("mdm-2").unwrap();
            world.fail_device("dev-1-1-1").unwrap();
        }
        2 => world.return_mdm("mdm-2").unwrap(),
        _ => world.return_device("dev-1-1-1").unwrap(),
    });
    if phase % 4 == 2 {
        world.faults().add(Fault::always(Word::Status(503), "*"));
    }
}

async fn json(url: &str, query: &[(&str, &str)]) -> Value {
    let url = url::Url::parse_with_params(url, query).unwrap();
    client().get(url).send().await.unwrap().json().await.unwrap()
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let labels = value.as_object().unwrap().iter();
    labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// What the engine says now.
async fn look(web: &str, seen: &mut Seen) {
    let said = json(&format!("http://{web}/api/v1/alerts"), &[]).await;
    let at: DateTime<Utc> = said["at"].as_str().unwrap().parse().unwrap();
    for alert in said["alerts"].as_object().unwrap().values() {
        let fires = alert["state"]["state"] == "firing";
        seen.entry((labels(&alert["labels"]), fires)).or_default().push(at.timestamp_millis() as f64 / 1000.0);
    }
}

/// What Prometheus said in this time.
async fn theirs(at: &str, begin: f64, end: f64) -> Seen {
    let (begin, end) = (begin.to_string(), end.to_string());
    let query = [("query", "ALERTS{severity!=\"none\"}"), ("start", &begin), ("end", &end), ("step", "1")];
    let said = json(&format!("http://{at}/api/v1/query_range"), &query).await;
    let mut seen = Seen::new();
    for series in said["data"]["result"].as_array().unwrap() {
        let mut labels = labels(&series["metric"]);
        labels.remove("__name__");
        let fires = labels.remove("alertstate").unwrap() == "firing";
        let moments = series["values"].as_array().unwrap().iter().map(|value| value[0].as_f64().unwrap());
        seen.insert((labels, fires), moments.collect());
    }
    seen
}

/// From moments to times without a gap, within the time that is compared.
fn spans(seen: Seen, begin: f64, end: f64) -> Spans {
    let mut all = Spans::new();
    for (alert, moments) in seen {
        let spans: &mut Vec<(f64, f64)> = all.entry(alert).or_default();
        for at in moments.into_iter().filter(|at| (begin..=end).contains(at)) {
            match spans.last_mut() {
                Some((_, last)) if at - *last < APART => *last = at,
                _ => spans.push((at, at)),
            }
        }
    }
    all
}

/// What one side says and the other does not.
fn differences(of: &Spans, other: &Spans, side: &str) -> Vec<String> {
    let mut out = Vec::new();
    for ((labels, fires), spans) in of {
        let others = other.get(&(labels.clone(), *fires)).map_or(&[][..], Vec::as_slice);
        // What is shorter may fall between two looks of the other.
        for (from, to) in spans.iter().filter(|(from, to)| to - from > APART) {
            let close = |a: f64, b: f64| (a - b).abs() <= APART;
            if !others.iter().any(|(a, b)| close(*a, *from) && close(*b, *to)) {
                out.push(format!("{side}: {labels:?} fires={fires} from {from:.0} to {to:.0}; the other: {others:?}"));
            }
        }
    }
    out
}

fn now() -> f64 {
    Utc::now().timestamp_millis() as f64 / 1000.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_and_the_engine_tell_of_faults_alike() {
    let length = std::env::var("SCALEIO_LIVE_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let phases = length.map_or(4, |length| length.as_secs() / PHASE.as_secs()) as u32;
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let mut text = fs::read_to_string(&config).unwrap();
    for alert in QUICK {
        text +=
            &format!("[[alerts.override]]\nalert = \"{alert}\"\nmatch = {{ system = \"prod\" }}\nfor = \"{HOLD}\"\n");
    }
    fs::write(&config, text).unwrap();
    let exported = folder.path().join("rules");
    let (rules, file) = (exported.to_str().unwrap(), config.to_str().unwrap());
    let output = sio(&["export", "alerts", rules, "--config", file]).await;
    assert!(output.status.success(), "{}", err(&output));

    let (_sio, web) = Process::sio_run(&config, &[]).await;
    let job = format!(
        "- job_name: scaleio\n  static_configs: [{{targets: [\"{web}\"]}}]\n  \
         relabel_configs: [{{target_label: instance, replacement: scaleio}}]\n\
         rule_files: [\"{rules}/*.rules.yml\"]\n"
    );
    let (process, at) = prometheus(folder.path(), &job).await;
    eventually("prometheus has judged", async || {
        let url = format!("http://{at}/api/v1/query?query=ALERTS{{alertname=\"ScaleioWatchdog\"}}");
        let answer = client().get(url).send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let there = answer["data"]["result"].as_array().is_some_and(|result| !result.is_empty());
        if there { Ok(()) } else { Err(process.said()) }
    })
    .await;

    let mut seen = Seen::new();
    let begin = now();
    for phase in 0..phases {
        next(&world, phase);
        let begun = Instant::now();
        while begun.elapsed() < PHASE {
            look(&web, &mut seen).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    let end = now();
    let ours = spans(seen, begin, end);
    let theirs = spans(theirs(&at, begin, end).await, begin, end);
    let mut wrong = differences(&ours, &theirs, "the engine");
    wrong.extend(differences(&theirs, &ours, "Prometheus"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let states = |fires: bool| -> BTreeSet<&str> {
        ours.keys().filter(|(_, is)| *is == fires).map(|(labels, _)| labels["alertname"].as_str()).collect()
    };
    for alert in QUICK {
        assert!(states(false).contains(alert), "{alert} was never pending: {:?}", states(false));
    }
    // A condition that lasts for two phases, or one phase and the beats, fires.
    assert!(states(true).contains("ScaleioDeviceError"), "{:?}", states(true));
}

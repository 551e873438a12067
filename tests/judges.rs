//! Clients that other people wrote act on simulated systems of the releases
//! they fit, and agree with what they see. What they called, and what they
//! were refused, is kept in `tests/expected/`; `UPDATE_EXPECTED=1` writes it
//! anew.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "judges/coverage.rs"]
mod coverage;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use scaleio_framework::sim::world::{Device, Layout};
use scaleio_framework::sim::{Exchange, Login, Options, Release, Running, Simulation, TokenClock};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// The clients, each under a user of its own.
const CLIENTS: [&str; 3] = ["pypowerflex", "pyscaleio", "siolib"];
const PASSWORD: &str = "Judge-anything-1";
/// How often time passes.
const BEAT: Duration = Duration::from_millis(20);
/// How fast the simulated world goes.
const SPEED: u32 = 30;
/// They wait for data that moves; more than this is no waiting any more.
const PATIENCE: Duration = Duration::from_secs(500);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Where `./test` puts the clients.
fn packages() -> PathBuf {
    let packages = folder().join(".cache/judges");
    let there = |name: &str| packages.join(name).is_dir();
    let missing: Vec<&str> =
        ["PyPowerFlex", "pyscaleio", "siolib"].into_iter().filter(|package| !there(package)).collect();
    assert!(
        missing.is_empty(),
        "the Python packages {missing:?} are not in .cache/judges; ./test installs them, as does\n  \
         python3 -m pip install --no-deps --target .cache/judges -r tests/judges/requirements.txt"
    );
    packages
}

/// Lets all clients that fit act on a system of this release.
async fn judge(release: Release) -> Vec<Exchange> {
    let packages = packages();
    let layout = Layout {
        // Few and small, so that data moves quickly.
        device_gib: 32,
        volumes: 16,
        // A client of 2.x cannot read what has no address.
        nvme: false,
        ..Layout::small()
    };
    let login = |user: &str| Login { user: user.to_owned(), password: PASSWORD.to_owned() };
    let options = Options {
        token_clock: TokenClock::Real,
        more_admins: CLIENTS.into_iter().map(login).collect(),
        journal: true,
        ..Options::still(layout, release)
    };
    // Two gateways: what is written at one is read at the other.
    let running = Simulation::start(options.gateways(2)).await.unwrap();
    if release >= Release::V3_0 {
        // No client can break a device; that its error can be cleared is theirs to see.
        running.world(|world| {
            let sds = world.sds.values().find(|sds| sds.name == "sds-1-1").unwrap().id;
            let of_sds = |device: &&Device| device.sds == sds;
            let broken: Vec<String> =
                world.devices.values().filter(of_sds).take(2).map(|at| at.id.to_string()).collect();
            for device in broken {
                world.fail_device(&device).unwrap();
                world.mend_device(&device).unwrap();
            }
        });
    }
    let addresses: Vec<String> = running.addresses().iter().map(ToString::to_string).collect();
    let work = tokio::process::Command::new("python3")
        .arg(folder().join("tests/judges/judge.py"))
        .arg(release.as_str())
        .args(&addresses)
        .env("PYTHONPATH", packages)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let watched = watch(&running, work);
    let wrong = tokio::time::timeout(PATIENCE, watched).await.unwrap_or_else(|_| panic!("{release}: no end"));
    assert!(wrong.is_empty(), "{release}: the clients do not agree\n{wrong}");
    let exchanges = running.exchanges();
    running.stop().await;
    exchanges
}

/// Lets time pass while the judges work, but for when they say `hold`; what
/// they have to say in the end.
async fn watch(running: &Running, mut work: Child) -> String {
    let mut orders = BufReader::new(work.stdout.take().unwrap()).lines();
    let mut answers = work.stdin.take().unwrap();
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut held = false;
    loop {
        tokio::select! {
            order = orders.next_line() => {
                let Some(order) = order.unwrap() else { break };
                held = order == "hold";
                answers.write_all(b"done\n").await.unwrap();
            }
            _ = beat.tick(), if !held => running.advance(BEAT * SPEED),
        }
    }
    let done = work.wait_with_output().await.unwrap();
    let wrong = String::from_utf8_lossy(&done.stderr);
    if done.status.success() { String::new() } else { format!("{}\n{wrong}", done.status) }
}

/// Compares with a kept file, or writes it.
fn kept(name: &str, text: &str) {
    let path = folder().join("tests/expected").join(name);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let (kept, new): (BTreeSet<&str>, BTreeSet<&str>) = (kept.lines().collect(), text.lines().collect());
    let gone: Vec<_> = kept.difference(&new).collect();
    let more: Vec<_> = new.difference(&kept).collect();
    assert!(
        gone.is_empty() && more.is_empty(),
        "{} is out of date (UPDATE_EXPECTED=1 writes it anew)\nno more: {gone:#?}\nnew: {more:#?}",
        path.display()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_others_wrote_agree_with_the_simulated_gateways() {
    let mut calls: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    let mut refusals: BTreeSet<String> = BTreeSet::new();
    // All at once: they wait more than they work.
    let mut judges: JoinSet<(Release, Vec<Exchange>)> =
        Release::ALL.into_iter().map(|release| async move { (release, judge(release).await) }).collect();
    let mut sessions = Vec::new();
    while let Some(session) = judges.join_next().await {
        sessions.push(session.unwrap_or_else(|wrong| panic!("{wrong}")));
    }
    for (_, exchanges) in &sessions {
        for exchange in exchanges.clone() {
            // The simulator's own users took no part.
            let Some(user) = exchange.user.filter(|user| CLIENTS.contains(&user.as_str())) else { continue };
            let (method, path) = (exchange.method, exchange.path);
            if let Some((symbol, code)) = exchange.refusal {
                refusals.insert(format!("{code:>4} {symbol:<42} {method:<4} {path}"));
            }
            calls.entry((method, path)).or_default().insert(user);
        }
    }
    let count = calls.len();
    println!("{count} distinct calls, {} refusals", refusals.len());
    let mut text = String::from("# Method, path and client of every call that the judges make.\n");
    for ((method, path), clients) in &calls {
        let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
        text.push_str(&format!("{method:<4} {path}  {}\n", clients.join(" ")));
    }
    kept("judge_calls.txt", &text);
    let mut text = String::from("# Code and symbol with which the MDM refuses a call of the judges.\n");
    for refusal in &refusals {
        text.push_str(refusal);
        text.push('\n');
    }
    kept("judge_refusals.txt", &text);
    assert!(count >= 100, "only {count} distinct calls");
    let missing = coverage::missing(&sessions, &CLIENTS);
    assert!(missing.is_empty(), "the judges leave out\n  {}", missing.join("\n  "));
}

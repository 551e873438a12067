//! A controller that is killed at every effect resumes without a second launch.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use scaleio_framework::fleet::run::{Framework, OnSeen, Seen, Settings};
use scaleio_framework::mesos::scheduler::Memory;
use scaleio_framework::model::id::SystemId;
use scaleio_framework::store::{Owner, SqliteStore, Store};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::controller::{addresses, executor, mesos};
use crate::site::{Site, Wanted, until};

/// The body of the child process below; nothing in a usual run. It ends itself
/// with SIGABRT at the point of the given number.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_crashes() {
    let Ok(store) = std::env::var("MESOS_TEST_STORE") else { return };
    let master = std::env::var("MESOS_TEST_MASTER").unwrap();
    let crash_at: usize = std::env::var("MESOS_TEST_CRASH_AT").unwrap().parse().unwrap();
    let mut store = SqliteStore::open(Path::new(&store)).unwrap();
    let state = store.load().unwrap();
    let (owner, desk) = Owner::new(Box::new(store), &state);
    let stop = CancellationToken::new();
    let point = Arc::new(AtomicUsize::new(0));
    let on_seen: OnSeen = Arc::new(move |seen| {
        let (Seen::Before { effect } | Seen::After { effect }) = seen else { return };
        let side = if matches!(seen, Seen::Before { .. }) { "before" } else { "after" };
        println!("\npoint {side} {effect}");
        if point.fetch_add(1, Ordering::SeqCst) + 1 == crash_at {
            std::process::abort();
        }
    });
    let settings = Settings {
        mesos: mesos(addresses(&[&master]), None),
        template: Some(executor()),
        systems: [SystemId::new("prod")].into(),
        hostname: None,
    };
    let (framework, handles) = Framework::new(settings, desk, &state, on_seen).unwrap();
    let ended = stop.clone();
    let watch = async move {
        // A life that is not to crash ends when all is well.
        let settled = async || {
            let status = handles.status.borrow().clone();
            let running = status.tasks.values().any(|task| task.state() == "TASK_RUNNING");
            (running && status.unanswered == 0).then_some(())
        };
        until("a running task", settled).await;
        ended.cancel();
    };
    let (framework, owner, ()) = tokio::join!(framework.run(stop), owner.run(), watch);
    framework.unwrap();
    owner.unwrap();
}

fn life(store: &Path, master: &str, crash_at: usize) -> (bool, Vec<String>) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_crashes", "--nocapture"])
        .env("MESOS_TEST_STORE", store)
        .env("MESOS_TEST_MASTER", master)
        .env("MESOS_TEST_CRASH_AT", crash_at.to_string())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let heard = String::from_utf8_lossy(&output.stdout).into_owned();
    let points = heard.lines().filter_map(|line| line.strip_prefix("point ")).map(str::to_owned).collect();
    let is_well = output.status.success();
    assert!(is_well || crash_at < usize::MAX, "{heard}{}", String::from_utf8_lossy(&output.stderr));
    (is_well, points)
}

pub(crate) async fn a_controller_that_is_killed_at_any_effect_resumes_without_a_second_launch<S: Site>() {
    let cluster = S::up(25_000..26_000, Wanted::ONE).await;
    let mut at = 1;
    let mut points = Vec::new();
    loop {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state.db");
        let (ended_well, seen) = life(&store, &cluster.master(), at);
        let crashed_at = seen.last().cloned().unwrap();
        // The next life settles what this one left.
        life(&store, &cluster.master(), usize::MAX);
        let state = SqliteStore::open(&store).unwrap().load().unwrap();
        let entries = state.entries.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        let memory = Memory::read(entries).unwrap();
        let framework = memory.framework.unwrap().id.to_string();
        let kept: Vec<String> = memory.tasks.values().map(|task| task.task.to_string()).collect();
        let there = cluster.tasks(&framework).await;
        let running: Vec<String> = there.iter().map(|(task, _)| task.clone()).collect();
        assert_eq!(running, kept, "killed {crashed_at}: {there:?}");
        assert_eq!(running.len(), 1, "killed {crashed_at}: {there:?}");
        // Whatever framework a life left behind without an id has launched nothing.
        let all = cluster.ask(json!({ "type": "GET_TASKS" })).await;
        assert_eq!(all["get_tasks"]["tasks"].as_array().unwrap().len(), 1, "killed {crashed_at}: {all}");
        cluster.ask(json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": framework } } })).await;
        let gone = async || cluster.tasks(&framework).await.is_empty().then_some(());
        until("the torn down task to be gone", gone).await;
        points.push(crashed_at);
        if ended_well {
            break;
        }
        at += 1;
    }
    points.pop();
    eprintln!("killed at {} points: {points:?}", points.len());
    for needed in
        ["before SAVE", "after SAVE", "before ACCEPT", "after ACCEPT", "before ACKNOWLEDGE", "after ACKNOWLEDGE"]
    {
        assert!(points.iter().any(|point| point == needed), "{needed} is not among {points:?}");
    }
}

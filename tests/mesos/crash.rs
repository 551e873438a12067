//! A controller that is killed at every effect resumes without a second launch.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use scaleio_framework::fleet::run::{Framework, OnSeen, Seen, Settings};
use scaleio_framework::mesos::scheduler::Memory;
use scaleio_framework::model::framework::{FrameworkOrder, Registration};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::store::{Owner, SqliteStore, Store};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::controller::{addresses, executor, mesos};
use crate::site::{Site, Wanted, until};

/// The body of the child process below; nothing in a usual run. It ends itself
/// with SIGABRT at the point of the given number, or of the given name.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_crashes() {
    let Ok(store) = std::env::var("MESOS_TEST_STORE") else { return };
    let master = std::env::var("MESOS_TEST_MASTER").unwrap();
    let crash_at = std::env::var("MESOS_TEST_CRASH_AT").unwrap();
    let story = std::env::var("MESOS_TEST_STORY").unwrap();
    let mut store = SqliteStore::open(Path::new(&store)).unwrap();
    let state = store.load().unwrap();
    let (owner, desk) = Owner::new(Box::new(store), &state);
    let stop = CancellationToken::new();
    let point = Arc::new(AtomicUsize::new(0));
    let on_seen: OnSeen = Arc::new(move |seen| {
        let (Seen::Before { effect } | Seen::After { effect }) = seen else { return };
        let side = if matches!(seen, Seen::Before { .. }) { "before" } else { "after" };
        println!("\npoint {side} {effect}");
        let number = point.fetch_add(1, Ordering::SeqCst) + 1;
        if number.to_string() == crash_at || format!("{side} {effect}") == crash_at {
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
        let suppressed = async |wanted: bool| {
            let status = handles.status.borrow().clone();
            (status.is_suppressed == wanted && matches!(status.registration, Registration::Registered { .. }))
                .then_some(())
        };
        let removed =
            async || matches!(handles.status.borrow().registration, Registration::Removed { .. }).then_some(());
        if story != "removed" {
            until("a running task", settled).await;
        }
        match story.as_str() {
            "work" => {}
            "hold" => {
                handles.orders.send(FrameworkOrder::Hold(true)).await.unwrap();
                until("offers to be held back", async || suppressed(true).await).await;
            }
            "go on" => {
                until("offers to be held back still", async || suppressed(true).await).await;
                handles.orders.send(FrameworkOrder::Hold(false)).await.unwrap();
                until("offers to come again", async || suppressed(false).await).await;
            }
            "tear down" => {
                handles.orders.send(FrameworkOrder::TearDown { by: "ada".into() }).await.unwrap();
                until("the framework to be removed", removed).await;
            }
            "removed" => until("the framework to be removed", removed).await,
            other => panic!("there is no story {other}"),
        }
        ended.cancel();
    };
    let (framework, owner, ()) = tokio::join!(framework.run(stop), owner.run(), watch);
    framework.unwrap();
    owner.unwrap();
}

/// A life that is killed at a point, and tells which points it passed; at the end of a story it is well.
fn life(store: &Path, master: &str, crash_at: &str, story: &str) -> (bool, Vec<String>) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_that_crashes", "--nocapture"])
        .env("MESOS_TEST_STORE", store)
        .env("MESOS_TEST_MASTER", master)
        .env("MESOS_TEST_CRASH_AT", crash_at)
        .env("MESOS_TEST_STORY", story)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let heard = String::from_utf8_lossy(&output.stdout).into_owned();
    let points = heard.lines().filter_map(|line| line.strip_prefix("point ")).map(str::to_owned).collect();
    let is_well = output.status.success();
    assert!(is_well || !crash_at.is_empty(), "{heard}{}", String::from_utf8_lossy(&output.stderr));
    (is_well, points)
}

pub(crate) async fn a_controller_that_is_killed_at_any_effect_resumes_without_a_second_launch<S: Site>() {
    let cluster = S::up(25_000..26_000, Wanted::ONE).await;
    let mut at = 1;
    let mut points = Vec::new();
    loop {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state.db");
        let (ended_well, seen) = life(&store, &cluster.master(), &at.to_string(), "work");
        let crashed_at = seen.last().cloned().unwrap();
        // The next life settles what this one left.
        life(&store, &cluster.master(), "", "work");
        let memory = kept(&store);
        let framework = memory.framework.unwrap().id.to_string();
        let stored: Vec<String> = memory.tasks.values().map(|task| task.task.to_string()).collect();
        let there = cluster.tasks(&framework).await;
        let running: Vec<String> = there.iter().map(|(task, _)| task.clone()).collect();
        assert_eq!(running, stored, "killed {crashed_at}: {there:?}");
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

/// What a life left in its store.
fn kept(store: &Path) -> Memory {
    let state = SqliteStore::open(store).unwrap().load().unwrap();
    Memory::read(state.entries.iter().map(|(key, value)| (key.as_str(), value.as_slice()))).unwrap()
}

pub(crate) async fn what_a_person_asked_of_the_framework_is_done_though_the_controller_is_killed_at_it<S: Site>() {
    let cluster = S::up(15_000..16_000, Wanted::ONE).await;
    let master = cluster.master();
    for (point, story, next) in [
        ("before SUPPRESS", "hold", "go on"),
        ("after SUPPRESS", "hold", "go on"),
        ("before TEARDOWN", "tear down", "removed"),
        ("after TEARDOWN", "tear down", "removed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("state.db");
        let (ended_well, seen) = life(&store, &master, point, story);
        assert!(!ended_well && seen.last().is_some_and(|last| last == point), "{point}: {seen:?}");
        life(&store, &master, "", next);
        let record = kept(&store).framework.unwrap();
        let framework = record.id.to_string();
        assert_eq!((record.held, record.removed.is_some()), (false, story == "tear down"), "{point}");
        if story == "hold" {
            assert_eq!(cluster.tasks(&framework).await.len(), 1, "{point}: what runs goes on");
            cluster.ask(json!({ "type": "TEARDOWN", "teardown": { "framework_id": { "value": framework } } })).await;
        }
        let gone = async || cluster.tasks(&framework).await.is_empty().then_some(());
        until("the task of a framework that was torn down to be gone", gone).await;
    }
}

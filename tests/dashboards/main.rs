//! Do the dashboards keep what they promise? Their files are what the tables say, every name in them is there, every
//! query gives data from a real Prometheus, and Grafana's own types and libraries take them.
//!
//! A Grafana server is not among the judges: there was none to be had.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "all of it is a test")]

mod beside;
mod drawn;
mod lint;
mod past;
mod queries;
mod read;

#[allow(dead_code, reason = "shared with the tests of the alert rules, of which this uses a part")]
#[path = "../alert_rules/files.rs"]
mod files;
#[allow(dead_code, reason = "shared with the tests of the alert rules, of which this uses a part")]
#[path = "../alert_rules/metrics.rs"]
mod metrics;
#[path = "../support/pictures.rs"]
mod pictures;

use std::path::PathBuf;
use std::process::Command;

use files::root;

/// Runs a program to its end; gives what it wrote, or fails with what it said.
fn run(command: &mut Command, needs: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start ({error}): {needs}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let wrote = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?} failed: {needs}\n{said}{wrote}");
    wrote.into_owned()
}

/// The folder of a file that `./test` installs.
fn cache(path: &str) -> PathBuf {
    root().join(".cache").join(path)
}

#[test]
fn the_kept_files_are_what_the_tables_say() {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("python3").arg(root().join("dashboards/build.py")).arg(folder.path()), "install Python 3");
    let (made, kept) = (files::list(folder.path(), ".json"), files::list(&root().join("dashboards"), ".json"));
    let name = |path: &PathBuf| path.file_name().unwrap().to_owned();
    assert_eq!(made.iter().map(name).collect::<Vec<_>>(), kept.iter().map(name).collect::<Vec<_>>());
    for (made, kept) in made.iter().zip(&kept) {
        let same = std::fs::read(made).unwrap() == std::fs::read(kept).unwrap();
        assert!(same, "{} is not what the tables say: run python3 dashboards/build.py", kept.display());
    }
}

/// One past for both judges: the queries by themselves, and the pages drawn with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_gives_data_and_every_page_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = queries::prometheus(folder.path()).await;
    queries::all_give_data(&prometheus).await;
    drawn::all_are_drawn(&prometheus, folder.path());
}

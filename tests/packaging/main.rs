//! What is handed to others: the binary for agents, packages, the Marathon app,
//! and what shells and `man` know of the program.

// Helpers of tests are tests too: they may panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod agent_binary;
mod container;
mod host;
mod manual;
mod marathon;
mod packages;
#[path = "../support/port.rs"]
mod port;

#[path = "../support/exposition.rs"]
mod exposition;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Everything here is slow on a busy machine, and nothing waits so long on one that works.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What a command prints when it ends well.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The binary for agents and packages, as the script makes it for tests.
fn agent_binary() -> PathBuf {
    PathBuf::from(done(Command::new(project("packaging/build-agent")).arg("--dev")))
}

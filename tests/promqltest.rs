//! Does the built-in engine mean what Prometheus means? Runs scripts in the
//! language of Prometheus' own `promqltest`: ours in `tests/promql/`, and every
//! `*.test` of the folder that `PROMQLTEST_DIR` names.
//!
//! This target has no test harness, because its last line has a fixed form:
//! `promqltest: N passed, N failed, N skipped`.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test without a harness: it prints its verdict, and its patterns are constants"
)]

mod promqltest_script;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use promqltest_script::judge::{Tally, run};
use promqltest_script::script::parse;

const TESTS: [&str; 2] = ["promqltest_own_scripts", "promqltest_scripts_of_the_folder"];

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--list") {
        TESTS.iter().for_each(|test| println!("{test}: test"));
        return Ok(ExitCode::SUCCESS);
    }
    // Of cargo's arguments only the names to look for and to skip matter here.
    let (mut wanted, mut skipped): (Vec<&String>, Vec<&String>) = Default::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--skip" => skipped.extend(rest.next()),
            option if option.starts_with('-') => {}
            _ => wanted.push(arg),
        }
    }
    let named = |names: &[&String], test: &str| names.iter().any(|name| test.contains(name.as_str()));
    let chosen = |test: &str| !named(&skipped, test) && (wanted.is_empty() || named(&wanted, test));

    let mut folders = Vec::new();
    if chosen(TESTS[0]) {
        folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promql"));
    }
    if chosen(TESTS[1]) {
        match std::env::var_os("PROMQLTEST_DIR") {
            Some(folder) => folders.push(PathBuf::from(folder)),
            None => println!("PROMQLTEST_DIR is not set: only our own scripts are run"),
        }
    }
    let mut tally = Tally::default();
    for folder in &folders {
        run_folder(folder, &mut tally)?;
    }
    for failure in &tally.failures {
        println!("failed: {failure}");
    }
    if tally.annotations_ignored > 0 {
        println!("values compared, warnings and infos not: {}", tally.annotations_ignored);
    }
    for (reason, count) in &tally.skipped {
        println!("skipped: {count} for {reason}");
    }
    println!("promqltest: {} passed, {} failed, {} skipped", tally.passed, tally.failures.len(), tally.skips());
    Ok(if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_folder(folder: &Path, tally: &mut Tally) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("folder {}", folder.display()))?;
    let mut scripts: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    scripts.sort();
    for path in scripts {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let text = std::fs::read_to_string(&path).with_context(|| format!("script {}", path.display()))?;
        let (passed, failed, skipped) = (tally.passed, tally.failures.len(), tally.skips());
        match parse(&text) {
            Ok(commands) => run(&name, &commands, tally),
            Err(error) => tally.failures.push(format!("{name}: {error:#}")),
        }
        println!(
            "{name}: {} passed, {} failed, {} skipped",
            tally.passed - passed,
            tally.failures.len() - failed,
            tally.skips() - skipped
        );
    }
    Ok(())
}

//! Other people's readers judge what we expose.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

#[path = "support/pictures.rs"]
mod pictures;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pictures::{Size, World, start};
use scaleio_framework::config;
use scaleio_framework::metrics::{Build, Encoder, Format, Own};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::picture::FailureReason;
use scaleio_framework::model::snapshot::Collector;

/// Two systems with everything in it, hostile names too, and ourselves.
fn body(format: Format) -> Vec<u8> {
    let mut hostile = World::of(Size::SMALL);
    hostile.volumes.as_mut().unwrap()[0].name = Some("a\"},{x=\"y\\\nb\u{7f}é".into());
    let own = Own::new(Build { version: "0.0.0", revision: "none", rustc: "none" }).unwrap();
    let system = SystemId::new("prod");
    own.ran(&system, Collector::Sds, Duration::from_secs(2), Some(FailureReason::Timeout));
    own.requested(&system, "/api/types/{type}/instances", "200", Duration::from_millis(20));
    own.unknown(&system, "sds", 3);
    own.scraped("metrics", Duration::from_millis(3), 1000);
    own.certificate("gateway", "CN=gateway", start());
    let pictures = [World::eventful().picture("prod", 1), hostile.picture("test", 1)];
    let exposition = Encoder::new(&config::Metrics::all(1_000_000)).encode(&pictures.map(Arc::from), start());
    exposition.body(format, false, None, &own, start()).concat()
}

fn judge(command: &mut Command, body: &[u8], mend: &str) -> Output {
    let mut judge = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}. {mend}"));
    let mut input = judge.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A judge that gives up early says so itself.
            let _ = input.write_all(body);
        });
        judge.wait_with_output().unwrap()
    });
    assert!(
        output.status.success(),
        "{command:?}: {}{}\n{mend}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let output =
        judge(Command::new("promtool").args(["check", "metrics"]), &body(Format::Text), "apt-get install prometheus");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn the_strict_openmetrics_parser_reads_every_sample() {
    let body = body(Format::OpenMetrics);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/openmetrics_check.py");
    let output = judge(Command::new("python3").arg(script), &body, "pip install prometheus-client");
    let text = String::from_utf8(body).unwrap();
    let families = text.lines().filter(|line| line.starts_with("# TYPE")).count();
    let samples = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), format!("{families} {samples}"));
}

//! Do Grafana's own types and libraries take the dashboards? Its published types judge the files; its panels draw
//! them in a headless browser. `UPDATE_PICTURES=1` keeps what was drawn in `docs/pictures`.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::files::root;
use crate::queries::Prometheus;
use crate::read::Dashboard;
use crate::{cache, run};

const NEEDS: &str =
    "./test installs Node's packages into .cache/node (npm ci in tests/scripts/dashboards) and chromium";

fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("tests/scripts/dashboards").join(script)).env("NODE_PATH", cache("node/node_modules"));
    command
}

#[test]
fn grafanas_published_types_of_two_lines_accept_every_dashboard() {
    run(node("types.js").arg(cache("node")).arg(root().join("dashboards")), NEEDS);
}

#[derive(Deserialize)]
struct Result {
    boards: Vec<Board>,
    problems: Vec<Problem>,
}

#[derive(Deserialize)]
struct Board {
    uid: String,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "shown when it fails")]
struct Problem {
    dashboard: String,
    r#where: String,
    what: String,
}

pub(crate) fn all_are_drawn(prometheus: &Prometheus, folder: &Path) {
    let mut draw = node("draw.js");
    draw.arg(cache("node"))
        .arg(root().join("dashboards"))
        .arg(folder)
        .arg(&prometheus.url)
        .arg(prometheus.end.to_string());
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        draw.arg(root().join("docs/pictures"));
    }
    let text = run(&mut draw, NEEDS);
    let result: Result = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert!(result.problems.is_empty(), "{:#?}", result.problems);
    let drawn: Vec<String> = result.boards.into_iter().map(|board| board.uid).collect();
    let all: Vec<String> = Dashboard::all().into_iter().map(|board| board.uid).collect();
    assert_eq!(drawn, all);
}

//! `sio status`: how all systems are, as the controller tells.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::controller::{AskError, Question, Where, ask, table, tame};
use crate::model::lifecycle::Lifecycle;
use crate::model::status::{Status, SystemStatus};
use crate::model::unit::{Bytes, Timestamp};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    whom: Where,
    /// Print the answer as it came
    #[arg(long, conflicts_with = "explain")]
    json: bool,
    /// Show what work is under way, and why what waits does, nodes too
    #[arg(long)]
    explain: bool,
}

/// Asks and shows; tells whether every system is well.
pub(super) async fn status(
    arguments: Arguments,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
) -> Result<bool, AskError> {
    let (at, body) = ask(&arguments.whom, &Question::get("/api/v1/status"), file, variables).await?;
    let status: Status = serde_json::from_slice(&body).map_err(|source| AskError::Strange { at, source })?;
    let shown = if arguments.json {
        String::from_utf8_lossy(&body).trim_end().to_owned() + "\n"
    } else {
        render(&status, crate::clock::now())
    };
    let shown = if arguments.explain {
        let (at, body) = ask(&arguments.whom, &Question::get("/api/v1/runs"), file, variables).await?;
        let all: Vec<Lifecycle> = serde_json::from_slice(&body).map_err(|source| AskError::Strange { at, source })?;
        let nodes = super::rollout::unready(&arguments.whom, file, variables).await?;
        format!("{shown}\n{}{nodes}", super::work::render(&all, crate::clock::now()))
    } else {
        shown
    };
    match out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => return Err(AskError::Output(error)),
        _ => {}
    }
    Ok(status.is_well())
}

const HEAD: [&str; 9] = ["SYSTEM", "STATE", "VERSION", "MDM", "SDS", "DEVICES", "USED", "REBUILD LEFT", "AGE"];

/// The table for people.
fn render(status: &Status, now: Timestamp) -> String {
    let up = (now - status.started_at).to_std().unwrap_or_default();
    let up = humantime::format_duration(Duration::from_secs(up.as_secs()));
    let mut text = format!("sio {}, up {up}\n\n", tame(&status.version));
    if status.systems.is_empty() {
        text.push_str("no system is configured\n");
        return text;
    }
    let rows: Vec<[String; 9]> =
        std::iter::once(HEAD.map(str::to_owned)).chain(status.systems.iter().map(row)).collect();
    text.push_str(&table(&rows));
    if !status.problems.is_empty() {
        text.push('\n');
        for problem in &status.problems {
            let _ = writeln!(text, "controller: {}", tame(problem));
        }
    }
    for to in status.receivers.iter().filter(|to| !to.problems.is_empty()) {
        text.push('\n');
        for problem in &to.problems {
            let _ = writeln!(text, "alerts by {}: {}", tame(&to.name), tame(problem));
        }
    }
    for system in status.systems.iter().filter(|system| !system.problems.is_empty()) {
        text.push('\n');
        for problem in &system.problems {
            let _ = writeln!(text, "{}: {}", tame(&system.system), tame(problem));
        }
    }
    text
}

fn row(system: &SystemStatus) -> [String; 9] {
    let state = match (system.up, system.is_well()) {
        (_, true) => "ok",
        (true, false) => "UNWELL",
        (false, false) => "DOWN",
    };
    let unknown = || "-".to_owned();
    let used = system.capacity.as_ref().map(|capacity| {
        let (used, max) = (Bytes::new(capacity.in_use_bytes), Bytes::new(capacity.max_bytes));
        match crate::model::unit::Ratio::of(used.as_f64(), max.as_f64()) {
            Some(ratio) => format!("{used} of {max} ({:.0}%)", ratio.get() * 100.0),
            None => format!("{used} of {max}"),
        }
    });
    let rebuild = system.rebuild.as_ref().map(|rebuild| {
        let left = Bytes::new(rebuild.left_bytes);
        match rebuild.bytes_per_second {
            Some(rate) if rebuild.left_bytes > 0 && rate >= 1.0 => format!("{left} at {}/s", Bytes::new(rate as u64)),
            _ => left.to_string(),
        }
    });
    let age = |seconds: f64| {
        let age = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        humantime::format_duration(Duration::from_secs(age.as_secs())).to_string()
    };
    [
        system.system.clone(),
        state.to_owned(),
        system.version.clone().or_else(|| system.generation.clone()).unwrap_or_else(unknown),
        system.mdm.as_ref().map_or_else(unknown, |mdm| match mdm.good_nodes {
            Some(good) => format!("{} {} ({good} good)", mdm.mode, mdm.state),
            None => format!("{} {}", mdm.mode, mdm.state),
        }),
        system.sds.as_ref().map_or_else(unknown, |sds| format!("{}/{}", sds.connected, sds.total)),
        system.devices.as_ref().map_or_else(unknown, |devices| match devices.errors {
            0 => devices.total.to_string(),
            errors => format!("{} ({errors} failed)", devices.total),
        }),
        used.unwrap_or_else(unknown),
        rebuild.unwrap_or_else(unknown),
        system.snapshot.as_ref().map_or_else(unknown, |snapshot| age(snapshot.age_seconds)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Status {
        serde_json::from_str(
            r#"{"version":"0.1.0","started_at":"2026-11-24T10:00:00Z","systems":[
            {"system":"east","up":true,"generation":"3.5","version":"R3_6.0","gateway":"https://a",
             "mdm":{"state":"ClusteredNormal","mode":"ThreeNodes","primary":"mdm1","good_nodes":3},
             "sds":{"connected":12,"total":12},"devices":{"errors":0,"total":48},
             "capacity":{"max_bytes":4398046511104,"in_use_bytes":1099511627776},
             "data":{"degraded_bytes":0,"failed_bytes":0},"rebuild":{"left_bytes":0,"bytes_per_second":0},
             "snapshot":{"seq":17,"age_seconds":3.2},"problems":[]},
            {"system":"west","up":true,"sds":{"connected":11,"total":12},"devices":{"errors":1,"total":48},
             "rebuild":{"left_bytes":10737418240,"bytes_per_second":104857600},
             "snapshot":{"seq":9,"age_seconds":125},"problems":["sds \u001b[2J3 is not connected","1 device failed"]},
            {"system":"lost","up":false,"problems":["no gateway answers"]}],
            "receivers":[{"name":"mail","waiting":2,"failed":0,"problems":["2 messages wait"]},{"name":"webhook","problems":[]}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn people_see_one_line_a_system_and_every_problem() {
        let text = render(&answer(), "2026-11-24T12:03:04.5Z".parse().unwrap());
        assert_eq!(
            text,
            "sio 0.1.0, up 2h 3m 4s\n\
             \n\
             SYSTEM  STATE   VERSION  MDM                                  SDS    DEVICES        USED                      REBUILD LEFT             AGE\n\
             east    ok      R3_6.0   ThreeNodes ClusteredNormal (3 good)  12/12  48             1.0 TiB of 4.0 TiB (25%)  0 B                      3s\n\
             west    UNWELL  -        -                                    11/12  48 (1 failed)  -                         10.0 GiB at 100.0 MiB/s  2m 5s\n\
             lost    DOWN    -        -                                    -      -              -                         -                        -\n\
             \n\
             alerts by mail: 2 messages wait\n\
             \n\
             west: sds ?[2J3 is not connected\n\
             west: 1 device failed\n\
             \n\
             lost: no gateway answers\n"
        );
    }

    #[test]
    fn a_controller_without_systems_says_so() {
        let mut status = answer();
        status.systems.clear();
        assert!(render(&status, status.started_at).ends_with("no system is configured\n"));
    }
}

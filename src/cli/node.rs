//! `sio check node`: whether this host can carry what it is asked to, and what helps where it cannot.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::Args;

use super::controller::table;
use crate::agent::preflight::{gather, judge};
use crate::agent::real::RealHost;
use crate::config::Config;
use crate::model::order::{Component, Preflight};
use crate::model::preflight::{Row, Verdict, worst};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What it shall carry: mdm, tb, sds, sdc, lia, gateway
    #[arg(long, value_name = "COMPONENT", value_delimiter = ',', default_value = "sds,sdc", value_parser = component)]
    carry: Vec<Component>,
    /// The release of the packages, such as 3.6-100.101
    #[arg(long)]
    release: Option<String>,
    /// What it must reach: HOST:PORT; may be given more than once
    #[arg(long, value_name = "HOST:PORT")]
    reach: Vec<String>,
    /// The smallest MTU on the way there
    #[arg(long)]
    mtu: Option<u32>,
    /// The slowest link it may have, in Mbit/s
    #[arg(long, value_name = "MBIT")]
    link: Option<u32>,
    /// A system of the configuration, whose gateways must be reached too
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// Also whether tasks of its Mesos agent can get volumes
    #[arg(long)]
    volumes: bool,
    /// Print the rows as JSON
    #[arg(long)]
    json: bool,
}

fn component(word: &str) -> Result<Component, String> {
    let known = Component::ALL.map(Component::as_str).join(", ");
    let found = Component::ALL.into_iter().find(|component| component.as_str() == word);
    found.ok_or_else(|| format!("there is no component {word}; write {known}"))
}

pub(super) fn check(
    arguments: &Arguments,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut reach = arguments.reach.clone();
    if let Some(name) = &arguments.system {
        match gateways(name, file, variables) {
            Ok(gateways) => reach.extend(gateways),
            Err(why) => {
                // Without standard error there is nobody to tell.
                let _ = writeln!(err, "sio: {why}");
                return super::MISUSED;
            }
        }
    }
    let asked = Preflight {
        components: arguments.carry.clone(),
        release: arguments.release.clone(),
        reach,
        mtu: arguments.mtu,
        link_mbit: arguments.link,
        volumes: arguments.volumes,
        ..Preflight::default()
    };
    match look(&asked) {
        Ok(rows) => {
            let text = if arguments.json {
                serde_json::to_string_pretty(&rows).unwrap_or_default()
            } else {
                render(&rows).trim_end().to_owned()
            };
            super::say(out, &text).max(u8::from(worst(&rows) == Verdict::Fail))
        }
        Err(error) => super::fail(&error),
    }
}

/// What a node of this system must reach.
fn gateways(name: &str, file: Option<&Path>, variables: &[(String, String)]) -> Result<Vec<String>, String> {
    let config = Config::load(file, variables.iter().cloned()).map_err(|errors| errors.to_string())?;
    let known: Vec<String> = config.systems.keys().map(ToString::to_string).collect();
    let system = config.systems.iter().find(|(known, _)| known.as_str() == name).map(|(_, system)| system);
    let system =
        system.ok_or_else(|| format!("there is no system {name} in the configuration, only {}", known.join(", ")))?;
    let address = |text: &str| {
        let url = url::Url::parse(text).ok()?;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    };
    Ok(system.gateways.iter().filter_map(|gateway| address(gateway.as_str())).collect())
}

fn look(asked: &Preflight) -> anyhow::Result<Vec<Row>> {
    // The seam to a host wants a folder for what survives; nothing of it is kept here.
    let folder = tempfile::tempdir().context("cannot make a folder for a moment")?;
    let fetch = Box::new(|_: &_, _: &Path| Err("nothing is fetched by a check".to_owned()));
    let mut host = RealHost::new(folder.path(), fetch).context("cannot make a folder for a moment")?;
    Ok(judge(asked, &gather(asked, &mut host, None)))
}

/// The table, then what helps.
pub(super) fn render(rows: &[Row]) -> String {
    let head = ["", "what", "found", "wanted"].map(str::to_owned);
    let lines =
        rows.iter().map(|row| [row.verdict.to_string(), row.name.clone(), row.found.clone(), row.wanted.clone()]);
    let mut text = table(&std::iter::once(head).chain(lines).collect::<Vec<_>>());
    for row in rows.iter().filter(|row| !row.mend.is_empty()) {
        text.push_str(&format!("{}: {}\n", super::controller::tame(&row.name), super::controller::tame(&row.mend)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_comes_before_what_helps_and_control_letters_are_tamed() {
        let row = |name: &str, verdict, mend: &str| Row {
            name: name.to_owned(),
            found: "x".to_owned(),
            wanted: "y".to_owned(),
            verdict,
            mend: mend.to_owned(),
        };
        let rows = [row("clock", Verdict::Ok, ""), row("me\u{1b}mory", Verdict::Fail, "add some")];
        let text = render(&rows);
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        assert_eq!(lines.last(), Some(&"me?mory: add some"));
        assert!(lines[1].starts_with("ok") && lines[2].starts_with("FAIL"), "{text}");
    }

    #[test]
    fn a_component_that_does_not_exist_is_told_with_those_that_do() {
        assert_eq!(component("sdc"), Ok(Component::Sdc));
        assert!(component("sdr").unwrap_err().contains("gateway"));
    }
}

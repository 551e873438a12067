//! `sio check`: whether the configuration is good, or this host, without starting anything.

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand};

use super::node;
use crate::alert::rules;
use crate::config::{Config, Trust};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Shows what this host has of what ScaleIO needs, and what helps where something lacks
    Node(node::Arguments),
}

/// Does what the arguments say.
pub(super) fn check(
    arguments: Arguments,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    match arguments.what {
        None => configuration(file, variables, out, err),
        Some(What::Node(arguments)) => node::check(&arguments, file, variables, out, err),
    }
}

/// Tells what will be done, or every problem.
fn configuration(file: Option<&Path>, variables: &[(String, String)], out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match Config::load(file, variables.iter().cloned()) {
        Ok(config) => {
            let rules = if config.alerts.enabled { rules::load(&config.alerts, &config.poll).err() } else { None };
            if let Some(errors) = rules {
                let _ = writeln!(err, "sio: {errors}");
                return super::MISUSED;
            }
            let from = file.map_or_else(|| "the environment".to_owned(), |file| file.display().to_string());
            super::say(out, &format!("{from} is good\n{}", summary(&config).join("\n")))
        }
        Err(errors) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(err, "sio: {errors}");
            super::MISUSED
        }
    }
}

fn summary(config: &Config) -> Vec<String> {
    let show = humantime::format_duration;
    let poll = &config.poll;
    let mut lines = vec![
        format!(
            "  web      {}{}",
            config.web.listen,
            if config.web.config_file.is_some() { ", by its web config" } else { "" }
        ),
        format!("  control  {}", config.control.socket.display()),
        format!("  store    {}", config.store.path.display()),
        format!(
            "  poll     fast {}, middle {}, slow {}; values vanish after {}",
            show(poll.fast),
            show(poll.middle),
            show(poll.slow),
            show(poll.max_age)
        ),
    ];
    for (name, system) in &config.systems {
        let gateways: Vec<&str> = system.gateways.iter().map(|gateway| gateway.as_str()).collect();
        let trust = match &system.trust {
            Trust::SystemRoots => "trusted by the operating system's authorities".to_owned(),
            Trust::CaFile(path) => format!("trusted by {}", path.display()),
            Trust::Pin(pin) => format!("pinned to {}", super::certificate::hex(pin)),
            Trust::Insecure => "NOT VERIFIED (insecure = true)".to_owned(),
        };
        let lifecycle = system.lifecycle.as_ref();
        let changes = lifecycle.map_or("watched only".to_owned(), |login| format!("changed as {}", login.user));
        lines.push(format!(
            "  system   {name}: {} as {}, {trust}, {changes}",
            gateways.join(", "),
            system.monitor.user
        ));
    }
    lines
}

//! `sio export`: what other programs need to work with this controller.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;

use crate::alert::rules;
use crate::config::Config;
use crate::web::access::Access;
use crate::web::discover;

/// What to write.
#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// Writes a configuration for Prometheus that scrapes this controller
    ScrapeConfig {
        /// How Prometheus reaches the controller, such as sio.example.com:9465 [default: where it listens]
        #[arg(long, value_name = "HOST:PORT")]
        target: Option<String>,
        /// Find the controller by HTTP service discovery (/api/v1/sd)
        #[arg(long)]
        http_sd: bool,
    },
    /// Writes the Grafana dashboards into a folder, for provisioning or import
    Dashboards {
        /// The folder to write to; made when it is not there
        folder: PathBuf,
        /// Replace files that differ from the shipped ones
        #[arg(long)]
        force: bool,
    },
    /// Writes the alert rules as they are evaluated here, thresholds and overrides included, for a Prometheus to load
    Alerts {
        /// The folder to write to; made when it is not there
        folder: PathBuf,
    },
    /// Writes what a shell needs to complete the words of this program
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Writes the manual pages, one for each command
    Man {
        /// The folder to write to; made when it is not there
        folder: PathBuf,
    },
}

/// Writes it.
pub(super) fn export(
    what: &Export,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let configured = |err: &mut dyn Write| {
        Config::load(file, variables.iter().cloned()).map_err(|errors| {
            // Without standard error there is nobody to tell.
            let _ = writeln!(err, "sio: {errors}");
            super::MISUSED
        })
    };
    let written = match what {
        Export::ScrapeConfig { target, http_sd } => {
            configured(err).map(|config| scrape_config(&config, target.as_deref(), *http_sd, out, err))
        }
        // They are the same for every configuration, so none needs to be there.
        Export::Dashboards { folder, force } => Ok(super::dashboards::export(folder, *force, out, err)),
        Export::Alerts { folder } => configured(err).map(|config| alerts(&config, folder, out, err)),
        Export::Completions { shell } => Ok(super::manual::completions(*shell, out)),
        Export::Man { folder } => Ok(super::manual::man(folder, out)),
    };
    written.unwrap_or_else(|code| code)
}

fn scrape_config(config: &Config, target: Option<&str>, http_sd: bool, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match Access::new(&config.web) {
        Ok(access) => {
            let text = discover::scrape_config(config, &access.demands(), target, http_sd);
            super::say(out, text.trim_end())
        }
        Err(error) => {
            let _ = writeln!(err, "sio: the web configuration cannot be used: {error}");
            super::MISUSED
        }
    }
}

fn alerts(config: &Config, folder: &Path, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match rules::texts(&config.alerts, &config.poll) {
        Ok(files) => match write_all(folder, &files) {
            Ok(()) => super::say(out, &format!("{} rule files are in {}", files.len(), folder.display())),
            Err(error) => super::fail(&error),
        },
        Err(errors) => {
            let _ = writeln!(err, "sio: {errors}");
            super::MISUSED
        }
    }
}

/// Files of a site are named by their paths; two of one name would overwrite each other.
fn write_all(folder: &Path, files: &[(String, String)]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut written = BTreeSet::new();
    for (name, text) in files {
        let name = Path::new(name).file_name().unwrap_or(name.as_ref());
        if !written.insert(name) {
            bail!("two rule files are called {}; give one another name", name.display());
        }
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(())
}

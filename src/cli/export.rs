//! `sio export`: what other programs need to work with this configuration.

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
    /// Writes the alert rules as they are evaluated here, thresholds and overrides included, for a Prometheus to load
    Alerts {
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
    let config = match Config::load(file, variables.iter().cloned()) {
        Ok(config) => config,
        Err(errors) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(err, "sio: {errors}");
            return super::MISUSED;
        }
    };
    match what {
        Export::ScrapeConfig { target, http_sd } => {
            let access = config.web.config_file.as_deref().map_or_else(|| Ok(Access::open()), Access::read);
            match access {
                Ok(access) => {
                    let text = discover::scrape_config(&config, &access.demands(), target.as_deref(), *http_sd);
                    super::say(out, text.trim_end())
                }
                Err(error) => {
                    let _ = writeln!(err, "sio: the web configuration cannot be used: {error}");
                    super::MISUSED
                }
            }
        }
        Export::Alerts { folder } => match rules::texts(&config.alerts, &config.poll) {
            Ok(files) => match write_all(folder, &files) {
                Ok(()) => super::say(out, &format!("{} rule files are in {}", files.len(), folder.display())),
                Err(error) => super::fail(&error),
            },
            Err(errors) => {
                let _ = writeln!(err, "sio: {errors}");
                super::MISUSED
            }
        },
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

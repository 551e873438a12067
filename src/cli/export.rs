//! `sio export`: what other programs need to work with this controller.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

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
        /// Where to; made if it is not there
        folder: PathBuf,
        /// Replace files that differ from the shipped ones
        #[arg(long)]
        force: bool,
    },
}

/// Writes it to standard output.
pub(super) fn export(
    what: &Export,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let (target, http_sd) = match what {
        Export::ScrapeConfig { target, http_sd } => (target.as_deref(), *http_sd),
        // They are the same for every configuration, so none needs to be there.
        Export::Dashboards { folder, force } => return super::dashboards::export(folder, *force, out, err),
    };
    let config = match Config::load(file, variables.iter().cloned()) {
        Ok(config) => config,
        Err(errors) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(err, "sio: {errors}");
            return super::MISUSED;
        }
    };
    let access = config.web.config_file.as_deref().map_or_else(|| Ok(Access::open()), Access::read);
    match access {
        Ok(access) => {
            let text = discover::scrape_config(&config, &access.demands(), target, http_sd);
            super::say(out, text.trim_end())
        }
        Err(error) => {
            let _ = writeln!(err, "sio: the web configuration cannot be used: {error}");
            super::MISUSED
        }
    }
}

//! `sio export`: what other programs need to work with this configuration.

use std::io::Write;
use std::path::Path;

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
}

/// Writes it to standard output.
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
    let access = config.web.config_file.as_deref().map_or_else(|| Ok(Access::open()), Access::read);
    match (what, access) {
        (Export::ScrapeConfig { target, http_sd }, Ok(access)) => {
            let text = discover::scrape_config(&config, &access.demands(), target.as_deref(), *http_sd);
            super::say(out, text.trim_end())
        }
        (Export::ScrapeConfig { .. }, Err(error)) => {
            let _ = writeln!(err, "sio: the web configuration cannot be used: {error}");
            super::MISUSED
        }
    }
}

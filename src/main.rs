//! `sio`: reads arguments and environment, and hands them to the command line.

use std::process::ExitCode;

use scaleio_framework::cli::{self, Parts};
use scaleio_framework::config::{Config, System};

fn main() -> ExitCode {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables: Vec<(String, String)> =
        std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    // The two lines to wire: `app::run(config).await`, and a login by `gateway`.
    let run = async |_: Config| anyhow::bail!("the controller is not part of this build");
    let probe = async |_: &System| Err("the gateway client is not part of this build".to_owned());
    cli::main(std::env::args_os(), &variables, Parts { run, probe })
}

//! `sio`: reads arguments and environment, and hands them to the command line.

use std::process::ExitCode;

use scaleio_framework::app;
use scaleio_framework::cli::{self, Again, Parts};
use scaleio_framework::config::{Config, System};

fn main() -> ExitCode {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables: Vec<(String, String)> =
        std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    let run = async |config: Config, again: Again| app::run(&config, again).await;
    let probe = async |system: &System| app::probe(system).await;
    cli::main(std::env::args_os(), &variables, Parts { run, probe })
}

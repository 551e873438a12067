//! `sio framework`: what only a person may decide about our framework at Mesos.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::status::{StatusError, over_socket};
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum Framework {
    /// After the masters have removed it: registers under a new id. Every executor starts anew
    RegisterAnew {
        /// The controller's unix socket [default: control.socket of the configuration]
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
}

pub(super) async fn framework(
    what: &Framework,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
) -> Result<(), StatusError> {
    let Framework::RegisterAnew { socket } = what;
    let socket = match socket {
        Some(socket) => socket.clone(),
        None => config::control_socket(file, variables.iter().cloned())?,
    };
    let answer = over_socket(&socket, reqwest::Method::POST, "/api/v1/framework/register-anew").await?;
    match out.write_all(&answer).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(StatusError::Output(error)),
        _ => Ok(()),
    }
}

//! What is launched on an agent? The executor, fetched from the controller and
//! checked before it runs.

use std::time::Duration;

use crate::mesos::scheduler::Template;
use crate::mesos::wire::Uri;

/// The executor only watches a service beside it, so little has to end.
const GRACE: Duration = Duration::from_secs(10);

/// Where the program for agents is served, and which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its address; plain http, since what comes is checked.
    pub address: String,
    /// Its SHA-256, which travels with the task.
    pub sha256: [u8; 32],
}

/// The launch of the program on any agent. Nothing secret is in it: masters and
/// agents show it to whoever asks.
pub fn template(program: &Program, environment: Vec<(String, String)>, cpus: f64, mem: f64) -> Template {
    let sum: String = program.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    Template {
        // Fetched without the bit to execute: what fails the check cannot be run by mistake.
        command: format!("echo '{sum}  sio' | sha256sum -c - && chmod 0700 sio && exec ./sio executor"),
        uris: vec![Uri { address: program.address.clone(), name: "sio".to_owned(), is_executable: false }],
        environment,
        cpus,
        mem,
        grace: GRACE,
    }
}

//! `sio executor`: what a Mesos agent starts. It makes the node agent a service
//! of this host.
//!
//! On a host without systemd, or one with several Mesos agents that each name
//! a folder, the agent is a child of the executor instead, and ends with it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tracing::{info, warn};

use crate::agent::executor::{Body, Briefing, carry};
use crate::agent::real::RealHost;
use crate::agent::service::{self, Service};
use crate::mesos::executor::{End, Surroundings};

/// Runs to the end of the executor.
pub(super) async fn executor(variables: &[(String, String)]) -> anyhow::Result<()> {
    let surroundings = Surroundings::read(variables)?;
    match carry(&surroundings, Briefing::read(variables), Here::default()).await? {
        End::Done => Ok(()),
        end @ (End::Unheard | End::AgentLost | End::Unknown) => {
            warn!(?end, "the executor ends without its agent");
            Ok(())
        }
    }
}

/// The agent of this host.
#[derive(Default)]
struct Here {
    child: Option<Child>,
}

/// What lies at the place of this program, which a renewal of the agent may have changed; else what runs here.
fn program() -> PathBuf {
    const OWN: &str = "/proc/self/exe";
    let path = std::fs::read_link(OWN).map(|path| path.display().to_string());
    // When another file has taken its place, the kernel says so behind the name.
    let path = path.ok().map(|path| PathBuf::from(path.trim_end_matches(" (deleted)")));
    path.filter(|path| path.is_file()).unwrap_or_else(|| OWN.into())
}

/// Whether the host can have one agent, as a service.
fn is_service(briefing: &Briefing) -> bool {
    briefing.folder.is_none() && service::has_systemd()
}

impl Here {
    fn end_child(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn start_child(&mut self, briefing: &Briefing) -> Result<(), String> {
        let mut command = Command::new(program());
        command.arg("agent").arg("--folder").arg(briefing.folder());
        for controller in &briefing.controllers {
            command.args(["--controller", controller]);
        }
        let child = command.stdin(std::process::Stdio::null()).spawn();
        self.child = Some(child.map_err(|error| format!("the node agent cannot be started: {error}"))?);
        Ok(())
    }
}

impl Body for Here {
    async fn settle(&mut self, briefing: &Briefing, new_papers: bool) -> Result<(), String> {
        if !is_service(briefing) {
            self.end_child();
            return self.start_child(briefing);
        }
        let folder = briefing.folder();
        let service = Service { controllers: briefing.controllers.clone(), folder: folder.display().to_string() };
        let settled = tokio::task::spawn_blocking(move || {
            let program = std::fs::read("/proc/self/exe").map_err(|error| error.to_string())?;
            let mut host = here(&folder)?;
            service.settle(&program, new_papers, &mut host)
        });
        let changed = settled.await.map_err(|panic| format!("a bug: {panic}"))??;
        info!(changed, "the node agent is a service of this host");
        Ok(())
    }

    async fn health(&mut self, briefing: &Briefing) -> Result<(), String> {
        let Some(child) = &mut self.child else {
            if !is_service(briefing) {
                // It ended, and could not be started again.
                return self.start_child(briefing);
            }
            let folder = briefing.folder();
            let looked = tokio::task::spawn_blocking(move || service::health(&mut here(&folder)?));
            return looked.await.unwrap_or_else(|panic| Err(panic.to_string()));
        };
        let why = match child.try_wait() {
            Ok(None) => return Ok(()),
            Ok(Some(status)) => format!("the node agent ended with {status}"),
            Err(error) => error.to_string(),
        };
        self.child = None;
        self.start_child(briefing)?;
        Err(why)
    }

    fn ends_with_us(&self) -> bool {
        self.child.is_some()
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        // Nobody would watch it any more, and another executor starts its own.
        self.end_child();
    }
}

/// This host, for looking and for the service's files; it fetches nothing.
fn here(folder: &Path) -> Result<RealHost, String> {
    RealHost::alone(folder).map_err(|error| format!("cannot use {}: {error}", folder.display()))
}

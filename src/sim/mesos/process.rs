//! How does an agent run a command for real? A shell in a sandbox, in a process
//! group of its own, with its files fetched first.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::{Exit, Fetch, Launcher, Start};

/// Between two looks whether a process has ended.
const LOOK: Duration = Duration::from_millis(20);
/// A file of a sandbox comes from this machine.
const FETCH: Duration = Duration::from_secs(30);

/// Runs each command as a process of this machine.
pub fn processes() -> Launcher {
    Arc::new(|start| Box::pin(run(start)))
}

async fn run(start: Start) -> Exit {
    match begin(&start).await {
        Ok(child) => watch(Group(child), &start).await,
        Err(why) => Exit::NotStarted { why },
    }
}

async fn begin(start: &Start) -> Result<Child, String> {
    std::fs::create_dir_all(&start.sandbox).map_err(|error| format!("the sandbox cannot be made: {error}"))?;
    for uri in &start.uris {
        fetch(uri, &start.sandbox).await.map_err(|why| format!("Failed to fetch {}: {why}", uri.address))?;
    }
    let output = |name: &str| File::create(start.sandbox.join(name)).map(Stdio::from);
    let mut command = Command::new("sh");
    command
        .args(["-c", &start.command])
        .env_clear()
        .envs(start.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&start.sandbox)
        .stdin(Stdio::null())
        .process_group(0);
    let spawned = output("stdout").and_then(|stdout| command.stdout(stdout).stderr(output("stderr")?).spawn());
    spawned.map_err(|error| format!("the command cannot be run: {error}"))
}

async fn fetch(uri: &Fetch, sandbox: &Path) -> Result<(), String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let told = |error: reqwest::Error| error.to_string();
    let client = reqwest::Client::builder().no_proxy().timeout(FETCH).build().map_err(told)?;
    let response = client.get(&uri.address).send().await.and_then(reqwest::Response::error_for_status).map_err(told)?;
    let bytes = response.bytes().await.map_err(told)?;
    let last = uri.address.rsplit('/').next().unwrap_or_default();
    let path = sandbox.join(uri.name.as_deref().unwrap_or(last));
    let mode = if uri.is_executable { 0o755 } else { 0o644 };
    std::fs::write(&path, &bytes)
        .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)))
        .map_err(|error| error.to_string())
}

async fn watch(mut group: Group, start: &Start) -> Exit {
    loop {
        match group.0.try_wait() {
            Ok(Some(status)) => return Exit::Status(status.into_raw()),
            Ok(None) => {}
            Err(error) => return Exit::NotStarted { why: error.to_string() },
        }
        tokio::select! {
            () = start.kill.cancelled() => {
                group.kill();
                return group.0.wait().map_or(Exit::Status(9), |status| Exit::Status(status.into_raw()));
            }
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// A process and its children, which end with it.
struct Group(Child);

impl Group {
    fn kill(&mut self) {
        let group = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.kill();
            let _ = self.0.wait();
        }
    }
}

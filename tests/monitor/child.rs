//! The built binary as a process: what supervisors and people see of it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use scaleio_framework::sim::Running;

use crate::site::{Scrape, client, eventually};

/// The quickest beats that a file may ask for, and everything of it in a folder.
pub fn config(folder: &Path, worlds: &[(&str, &Running)]) -> PathBuf {
    let mut text = "[web]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
                    [poll]\nfast = \"1s\"\nmiddle = \"1s\"\nslow = \"1s\"\n"
        .to_owned();
    for (name, world) in worlds {
        fs::write(folder.join(format!("{name}.pem")), world.certificate_pem()).unwrap();
        secret(&folder.join(format!("{name}.password")), &world.monitor().password);
        write!(
            text,
            "[systems.{name}]\ngateways = {:?}\nca_file = \"{name}.pem\"\n\
             [systems.{name}.monitor]\nuser = {:?}\npassword_file = \"{name}.password\"\n",
            world.urls(),
            world.monitor().user
        )
        .unwrap();
    }
    let file = folder.join("sio.toml");
    fs::write(&file, text).unwrap();
    file
}

pub fn secret(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// `sio` with these arguments, to its end, on a thread of its own.
pub async fn sio(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A process that is killed at the latest when the test ends.
pub struct Process {
    child: Child,
    pub log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Starts it with both its outputs in one file.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let file = fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        let command = command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), log }
    }

    /// `sio run`, and where it serves once it does.
    pub async fn sio_run(config: &Path, variables: &[(&str, &str)]) -> (Self, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(["run", "--config"]).arg(config).env_clear().envs(variables.iter().copied());
        let log = tempfile::NamedTempFile::new_in(config.parent().unwrap()).unwrap().into_temp_path().keep().unwrap();
        let mut process = Self::start(&mut command, log);
        let web = process.says("web=").await;
        (process, web)
    }

    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    /// Waits for a field in its output; gives the word after it.
    pub async fn says(&mut self, field: &str) -> String {
        eventually(&format!("it says {field}"), async || {
            let said = self.said();
            let after = said.split_once(field).and_then(|(_, after)| after.split_once(char::is_whitespace));
            match (after, self.ended()) {
                (Some((word, _)), _) => Ok(word.to_owned()),
                (None, Some(status)) => panic!("it ended, {status}: {said}"),
                (None, None) => Err(said),
            }
        })
        .await
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn kill(&mut self) {
        // Gone already is as good.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    pub fn terminate(&self) {
        self.signal("TERM");
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("sh").args(["-c", "kill -\"$1\" \"$0\"", &pid, name]).status().unwrap().success());
    }

    pub async fn ends(&mut self) -> ExitStatus {
        eventually("it ends", async || self.ended().ok_or_else(|| self.said())).await
    }
}

pub async fn scrape(web: &str) -> Scrape {
    let response = client().get(format!("http://{web}/metrics")).send().await.unwrap();
    Scrape::read(&response.text().await.unwrap())
}

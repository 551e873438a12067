//! The demo's world with a controller that is a process of its own, as people start both, and kill -9 in the middle of an
//! upgrade of twelve servers: a pause, and nothing else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use scaleio_framework::model::lifecycle::{Lifecycle, RunPast};

/// Twelve servers, one after the other, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(1500);

/// A process that ends with the test at the latest.
struct Process {
    child: Child,
    log: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    fn start(program: &str, arguments: &[&str], log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).env("SIO__WEB__LISTEN", "127.0.0.1:0").stdin(Stdio::null());
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    /// As by kill -9.
    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until what it said satisfies.
    fn until(&mut self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let said = self.said();
            if is(&said) {
                return said;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{what}: {ended:?} {said}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn sio(config: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut sio = Command::new(env!("CARGO_BIN_EXE_sio"));
    let done = sio.arg("--config").arg(config).args(arguments).output().unwrap();
    (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
}

/// All work on the system; none while nobody answers.
fn work(config: &Path) -> Option<Lifecycle> {
    let (_, said) = sio(config, &["runs", "--json"]);
    serde_json::from_str::<Vec<Lifecycle>>(&said).ok()?.pop()
}

/// The run that is over.
fn over(config: &Path, controller: &mut Process) -> RunPast {
    let begun = Instant::now();
    loop {
        let work = work(config);
        let past = work.as_ref().filter(|work| work.run.is_none()).and_then(|work| work.past.first());
        if let Some(past) = past {
            return past.clone();
        }
        let ended = controller.child.try_wait().unwrap();
        assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{ended:?} {work:#?} {}", controller.said());
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// How often each host did what contains this.
fn deeds(said: &str, what: &str) -> BTreeMap<String, usize> {
    let mut deeds = BTreeMap::new();
    for line in said.lines().filter(|line| line.contains(what)) {
        let host = line.split_whitespace().find(|word| word.starts_with("host-") || word.starts_with("sds-")).unwrap();
        *deeds.entry(host.trim_end_matches(':').to_owned()).or_default() += 1;
    }
    deeds
}

#[test]
fn kill_9_in_the_middle_of_the_demos_upgrade_changes_nothing_but_a_pause() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("demo");
    let arguments = ["--only-gateway", place.to_str().unwrap(), "--upgrade", "15", "--speed", "10"];
    let mut demo = Process::start(env!("CARGO_BIN_EXE_sio-demo"), &arguments, folder.path().join("demo.log"));
    demo.until("where it is", |said| said.contains("watch it"));
    let config = place.join("sio.toml");
    // People watch for five seconds after each server; nobody watches here.
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("soak = \"5s\"", "soak = \"1s\"").replace("\"2s\"", "\"1s\"")).unwrap();

    let run = |number: u32| {
        let arguments = ["run", "--config", config.to_str().unwrap()];
        Process::start(env!("CARGO_BIN_EXE_sio"), &arguments, folder.path().join(format!("sio.{number}.log")))
    };
    let mut first = run(1);
    demo.until("the fifth server in maintenance", |said| said.matches(" enters maintenance").count() == 5);
    first.kill();
    let before = work(&config);
    assert!(before.is_none(), "nobody answers: {before:?}");
    let said = demo.said();
    assert!(said.matches(" is out of maintenance").count() < 5 && !said.contains("mail: "), "{said}");

    let mut second = run(2);
    let past = over(&config, &mut second);
    assert_eq!((past.end.as_str(), past.id.as_str()), ("done", "run-0001"), "{past:?}");

    // Nothing was done twice, on any host or at the MDM.
    let said = demo.until("the report", |said| said.contains("mail: "));
    for component in ["EMC-ScaleIO-sds-", "EMC-ScaleIO-sdc-"] {
        let installed: Vec<&str> = said.lines().filter(|line| line.contains("rpm -U")).collect();
        let times = deeds(&installed.join("\n"), component);
        assert!(times.len() == 12 && times.values().all(|times| *times == 1), "{component}: {times:?}\n{said}");
    }
    for what in [" enters maintenance", " is out of maintenance"] {
        let times = deeds(&said, what);
        assert!(times.len() == 12 && times.values().all(|times| *times == 1), "{what}: {times:?}\n{said}");
    }
    // Nobody was told of anything but the end: what happened was explained by the steps, the pause too.
    let mails: Vec<&str> = said.lines().filter(|line| line.contains("mail: ")).collect();
    assert!(mails.len() == 1 && mails[0].contains("[DONE] demo: upgrade to "), "{mails:?}");
    let work = work(&config).unwrap();
    assert!(work.obligations.is_empty() && work.problems.is_empty() && work.upgrade.unwrap().state == "done");
    let (code, status) = sio(&config, &["status", "--explain"]);
    assert_eq!(code, Some(0), "{status}");
    let (code, history) = sio(&config, &["history", "verify"]);
    assert_eq!(code, Some(0), "{history}");
}

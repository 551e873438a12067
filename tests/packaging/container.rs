//! Is the image of the Containerfile one whose controller runs as its own user, answers, and writes only its volume?
//!
//! No registry is asked: the base image is made of the root of Debian 12 that the test hosts have.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{PATIENCE, agent_binary, done, project, told};

/// What the Containerfile begins with.
const BASE: &str = "docker.io/library/debian:12-slim";
const IMAGE: &str = "localhost/scaleio-framework-test";
/// The user and the group of the image.
const USER: u32 = 9465;

/// Where images and containers of these tests are.
struct Store {
    folder: PathBuf,
}

impl Store {
    /// With the base image in it, which is made once.
    fn open() -> Self {
        let store = Self { folder: project(".cache/containers") };
        if done(store.buildah("images").args(["--quiet", "--filter", &format!("reference={BASE}")])).is_empty() {
            let roots = project(".cache/hosts");
            done(Command::new(project("tests/hosts/base.sh")).arg(&roots));
            let made = done(store.buildah("from").arg("scratch"));
            done(store.buildah("add").args(["--quiet", &made]).arg(roots.join("base")).arg("/"));
            done(store.buildah("commit").args(["--quiet", "--rm", &made, BASE]));
        }
        store
    }

    fn buildah(&self, what: &str) -> Command {
        let mut command = Command::new("buildah");
        // Neither a kernel with overlays nor a name space of users is asked for.
        command.args(["--storage-driver", "vfs", "--root"]).arg(self.folder.join("root"));
        command.arg("--runroot").arg(self.folder.join("run")).arg(what).stdin(Stdio::null());
        command
    }
}

/// A container of the image, which goes with the value; the image too.
struct Container {
    store: Store,
    name: String,
    root: PathBuf,
}

impl Container {
    fn of(store: Store) -> Self {
        let name = done(store.buildah("from").args(["--pull-never", IMAGE]));
        let root = PathBuf::from(done(store.buildah("mount").arg(&name)));
        Self { store, name, root }
    }

    /// Starts what the image says, in a network of its own.
    fn run(&self, volumes: &[String], command: &[String]) -> Running {
        let buildah = self.store.buildah("run");
        let mut run = Command::new("unshare");
        run.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh", "buildah"]).args(buildah.get_args());
        run.args(["--isolation", "chroot"]).args(volumes).arg(&self.name).arg("--").args(command);
        let child = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running { child: Some(child) }
    }

    /// The process in it that is our program.
    fn program(&self) -> Option<u32> {
        // The root is mounted once more for it, under another path.
        let place = |path: &Path| fs::metadata(path).map(|about| (about.dev(), about.ino())).ok();
        let here = place(&self.root);
        let ours = |pid: &u32| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.starts_with(b"/usr/bin/sio\0run\0") && place(Path::new(&format!("/proc/{pid}/root/"))) == here
        };
        let mut all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.find(ours)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It outlives whoever started it.
        if let Some(program) = self.program() {
            let _ = Command::new("kill").args(["-9", &program.to_string()]).output();
        }
        let _ = self.store.buildah("rm").arg(&self.name).output();
        let _ = self.store.buildah("rmi").arg(IMAGE).output();
    }
}

struct Running {
    child: Option<Child>,
}

impl Running {
    /// What it said, once it has ended.
    fn ends(&mut self) -> (bool, String) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        (output.status.success(), told(&output))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// A configuration that the group of the image may read.
fn settings(folder: &Path) {
    let text = "[systems.prod]\ngateways = [\"https://127.0.0.1:1\"]\ninsecure = true\n\
                [systems.prod.monitor]\nuser = \"monitor\"\npassword_file = \"prod.password\"\n";
    fs::create_dir(folder).unwrap();
    for (name, text) in [("sio.toml", text), ("prod.password", "secret")] {
        fs::write(folder.join(name), text).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o640)).unwrap();
        chown(folder.join(name), Some(0), Some(USER)).unwrap();
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o750)).unwrap();
    chown(folder, Some(0), Some(USER)).unwrap();
}

#[test]
fn the_image_is_built_and_its_controller_serves_as_its_own_user_and_writes_only_its_volume() {
    let binary = agent_binary();
    let store = Store::open();
    let lab = tempfile::tempdir().unwrap();
    let context = lab.path().join("context");
    fs::create_dir(&context).unwrap();
    fs::copy(binary, context.join("sio")).unwrap();
    let mut build = store.buildah("bud");
    build.args(["--quiet", "--isolation", "chroot", "--pull-never", "--tag", IMAGE, "--file"]);
    done(build.arg(project("packaging/Containerfile")).arg(&context));

    let container = Container::of(store);
    let about: Value = serde_json::from_str(&done(container.store.buildah("inspect").arg(&container.name))).unwrap();
    let image = &about["OCIv1"]["config"];
    assert_eq!(image["User"], format!("{USER}:{USER}"));
    assert!(image["Volumes"].get("/var/lib/scaleio-framework").is_some(), "{image}");
    assert!(image["ExposedPorts"].get("9465/tcp").is_some(), "{image}");
    let mut command = words(&image["Entrypoint"]);
    command.extend(words(&image["Cmd"]));

    let (conf, volume) = (lab.path().join("conf"), lab.path().join("state"));
    settings(&conf);
    // As a new volume is filled from the image.
    fs::create_dir(&volume).unwrap();
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&volume, Some(USER), Some(USER)).unwrap();
    let before = lab.path().join("before");
    fs::write(&before, "").unwrap();
    let volumes = [
        "--volume".to_owned(),
        format!("{}:/var/lib/scaleio-framework", volume.display()),
        "--volume".to_owned(),
        format!("{}:/etc/scaleio-framework:ro", conf.display()),
    ];
    let mut running = container.run(&volumes, &command);
    let program = until("the program runs", || {
        if running.child.as_mut().unwrap().try_wait().unwrap().is_some() {
            panic!("it ended: {:?}", running.ends());
        }
        container.program()
    });
    let get = |path: &str| {
        let (pid, url) = (program.to_string(), format!("http://127.0.0.1:9465{path}"));
        let asked = Command::new("nsenter").args(["-t", &pid, "-n", "curl", "-sf", "-m", "5", &url]).output().unwrap();
        asked.status.success().then(|| String::from_utf8(asked.stdout).unwrap())
    };
    until("it answers", || get("/healthz").filter(|answer| answer == "ok\n"));
    // By the address that the image says, so that it is reached from outside of the container.
    let listens = fs::read_to_string(format!("/proc/{program}/net/tcp")).unwrap();
    assert!(listens.contains(&format!(" 00000000:{:04X} ", 9465)), "{listens}");
    let metrics = until("it has asked", || get("/metrics").filter(|text| text.contains("scaleio_up{")));
    assert!(metrics.contains("scaleio_up{system=\"prod\"} 0"), "nobody answers there");
    let status = fs::read_to_string(format!("/proc/{program}/status")).unwrap();
    for (key, value) in
        [("Uid:", format!("{USER}\t{USER}\t{USER}\t{USER}")), ("CapEff:", "0000000000000000".to_owned())]
    {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        assert_eq!(line.trim(), value, "{status}");
    }
    assert!(volume.join("state.db").exists());
    done(Command::new("kill").arg(program.to_string()));
    let (well, said) = running.ends();
    assert!(well, "{said}");
    let mut find = Command::new("find");
    find.arg(&container.root).args(["-xdev", "-newer"]).arg(&before);
    let written = done(find.args(["-user", &USER.to_string(), "!", "-type", "d"]));
    assert_eq!(written, "", "the program wrote beside its volume");
}

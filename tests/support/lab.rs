//! Booted hosts with agents: their roots, the stub packages, and what an agent is started with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::enrol::request::Request;

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name)
}

fn run(name: &str, args: &[&str], lab: &Path) -> Output {
    let program = script(name);
    let output = Command::new(&program).args(args).env("LAB", lab).output();
    output.unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}

#[track_caller]
fn must(output: &Output, what: &str) {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Asks the script of hosts for something.
pub(crate) fn host(args: &[&str], lab: &Path) -> Output {
    run("host.sh", args, lab)
}

/// What a command in a host writes.
pub(crate) fn inside(name: &str, args: &[&str], lab: &Path) -> String {
    let output = host(&[&["in", name], args].concat(), lab);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A folder for hosts, with the packages in its folder `packages`.
pub(crate) fn open(prefix: &str) -> tempfile::TempDir {
    let roots = roots();
    let made = run("base.sh", &[roots.to_str().unwrap()], &roots);
    must(&made, "the roots of test hosts cannot be made (root, mmdebstrap, rpm)");
    let lab = tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").unwrap();
    let packages = lab.path().join("packages");
    std::fs::create_dir(&packages).unwrap();
    let built = run("packages.sh", &[packages.to_str().unwrap(), roots.to_str().unwrap()], lab.path());
    must(&built, "the packages cannot be made");
    lab
}

/// Makes a host of a layer over the base, which is not started and has nothing of ours.
pub(crate) fn bare(name: &str, layer: &str, lab: &Path) {
    let roots = roots();
    let lower = format!("{}:{}", roots.join(layer).display(), roots.join("base").display());
    must(&host(&["up", name, &lower, env!("CARGO_BIN_EXE_sio")], lab), name);
}

/// Makes a host of a layer over the base, which is not started, with an agent that starts with it and has papers for a node.
pub(crate) fn make(name: &str, layer: &str, node: &str, authority: &Authority, port: u16, lab: &Path) {
    bare(name, layer, lab);
    let request = Request::new(node).unwrap();
    let certificate = authority.sign(request.pem(), node, scaleio_framework::clock::now()).unwrap();
    write(name, "var/lib/sio-agent/ca.pem", authority.pem(), lab);
    write(name, "var/lib/sio-agent/agent.key", request.key(), lab);
    write(name, "var/lib/sio-agent/agent.pem", &certificate, lab);
    let args = format!("SIO_AGENT_ARGS=\"--controller https://127.0.0.1:{port}\"\n");
    write(name, "etc/scaleio-framework/agent.env", &args, lab);
    let unit = include_str!("../../packaging/systemd/sio-agent.service");
    write(name, "etc/systemd/system/sio-agent.service", unit, lab);
    let wants = root(name, lab).join("etc/systemd/system/multi-user.target.wants");
    std::fs::create_dir_all(&wants).unwrap();
    std::os::unix::fs::symlink("/etc/systemd/system/sio-agent.service", wants.join("sio-agent.service")).unwrap();
}

/// Where the files of a host are.
pub(crate) fn root(name: &str, lab: &Path) -> PathBuf {
    lab.join(name).join("root")
}

/// Writes a file of a host.
pub(crate) fn write(name: &str, path: &str, text: &str, lab: &Path) {
    let path = root(name, lab).join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn roots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/hosts")
}

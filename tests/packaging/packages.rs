//! Do the packages install, start hardened, upgrade without a loss, and go?

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex, PoisonError};

use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};

use crate::host::{Host, Os};
use crate::{agent_binary, done, exposition, project};

/// One host at a time: its services listen on the machine's own loopback.
static MACHINE: Mutex<()> = Mutex::new(());

/// The same program as two releases, made once.
static PACKAGES: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let binary = agent_binary();
    for version in ["1.0.0", "1.1.0"] {
        let mut build = Command::new(project("packaging/build-packages"));
        done(build.arg(&binary).arg(folder.path()).env("VERSION", version));
    }
    folder
});

/// What `systemd-analyze security` says of a service that keeps everything; ours must stay far below.
const WORST: f64 = 9.6;
/// The exposure of sio.service today, and room for a systemd that weighs otherwise.
const EXPOSED: f64 = 2.0;

fn package(os: Os, version: &str) -> PathBuf {
    PACKAGES.path().join(match os {
        Os::El7 => format!("scaleio-framework-{version}-1.x86_64.rpm"),
        Os::Ubuntu => format!("scaleio-framework_{version}_amd64.deb"),
    })
}

/// Installs or upgrades, and says what the books hold then.
fn install(host: &Host, os: Os, version: &str) -> String {
    let from = package(os, version);
    let name = from.file_name().unwrap().to_str().unwrap();
    std::fs::copy(&from, host.root().join("root").join(name)).unwrap();
    match os {
        Os::El7 => {
            let output = host.run(&format!("rpm -U /root/{name}"));
            let said = crate::told(&output);
            assert!(
                output.status.success() && !said.contains("scriptlet failed") && !said.contains("warning"),
                "{said}"
            );
            host.says("rpm -q --qf '%{VERSION} ' scaleio-framework")
        }
        Os::Ubuntu => {
            host.does(&format!("DEBIAN_FRONTEND=noninteractive dpkg -i /root/{name}"));
            host.says("dpkg-query -W -f '${db:Status-Abbrev}${Version}' scaleio-framework")
        }
    }
}

/// A small system, one of whose servers is away.
async fn system() -> Running {
    let layout = Layout { nodes_per_rack: 1, devices_per_node: 2, volumes: 16, sdcs: 4, ..Layout::small() };
    Simulation::start(Options::still(layout, Release::V3_6)).await.unwrap()
}

/// What a person does after the installation.
fn configure(host: &Host, world: &Running) {
    let folder = host.root().join("etc/scaleio-framework");
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("prod.pem", world.certificate_pem());
    write("prod.password", &world.monitor().password);
    host.does("cd /etc/scaleio-framework && chgrp scaleio-framework prod.* && chmod 640 prod.*");
    let shipped = std::fs::read_to_string(folder.join("sio.toml")).unwrap();
    let text = shipped
        .replace("listen = \"127.0.0.1:9465\"", "listen = \"127.0.0.1:0\"")
        .replace("fast = \"15s\"", "fast = \"1s\"");
    assert_ne!(text, shipped, "the example has other words");
    let system = format!(
        "\n[systems.prod]\ngateways = {:?}\nca_file = \"prod.pem\"\n[systems.prod.monitor]\nuser = {:?}\npassword_file = \"prod.password\"\n",
        world.urls(),
        world.monitor().user
    );
    write("sio.toml", &(text + &system));
}

/// Where the controller that runs now serves, once it does.
fn address(host: &Host) -> String {
    let mut found = String::new();
    host.until("the controller has started", || {
        let pid = host.says("systemctl show -p MainPID --value sio");
        let said = host.says(&format!("journalctl -u sio _PID={pid} -o cat --no-pager"));
        let word = said.split_once("web=").and_then(|(_, after)| after.split_whitespace().next());
        // Colours of the log are no part of the address.
        found = word.unwrap_or_default().chars().filter(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        found.contains(':')
    });
    found
}

/// What `/metrics` says of the server that went away, once that is counted.
fn counted(host: &Host, web: &str) -> f64 {
    let mut count = None;
    host.until("metrics tell of the system", || {
        let page =
            done(Command::new("curl").args(["--silent", "--fail", "--noproxy", "*", &format!("http://{web}/metrics")]));
        let families = exposition::read(&(page + "\n"));
        let value = |name: &str, labels: &[(&str, &str)]| {
            let samples = &families.get(name)?.samples;
            let is =
                |sample: &&exposition::Sample| labels.iter().all(|(label, value)| sample.label(label) == Some(value));
            samples.iter().find(is).map(|sample| sample.value)
        };
        let up = value("scaleio_up", &[("system", "prod")]) == Some(1.0);
        count = value("scaleio_sds_disconnections_total", &[("sds", "sds-2-1")]).filter(|count| up && *count > 0.0);
        count.is_some()
    });
    count.unwrap()
}

/// What the kernel says of the process, and systemd of the unit.
fn is_hardened(host: &Host, os: Os) {
    let pid = host.says("systemctl show -p MainPID --value sio");
    let status = host.does(&format!("cat /proc/{pid}/status"));
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    let user = host.does("id -u scaleio-framework");
    assert_eq!(
        (field("Uid:"), field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()),
        (user, "1", "2"),
        "{status}"
    );
    for capabilities in ["CapEff:", "CapPrm:", "CapBnd:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(&field(capabilities), 16), Ok(0), "{capabilities} {status}");
    }
    for path in ["/etc/scaleio-framework/x", "/usr/bin/x", "/root/x", "/var/lib/x"] {
        let tried = host.run(&format!("nsenter -t {pid} -m touch {path}"));
        assert!(!tried.status.success(), "{path} can be written from where the service lives");
    }
    host.does(&format!("nsenter -t {pid} -m touch /var/lib/scaleio-framework/x && rm /var/lib/scaleio-framework/x"));

    let exposure = |unit: &str| {
        let text = host.says(&format!("systemd-analyze security --no-pager {unit} | tail -n 1"));
        let number =
            text.split(": ").nth(1).and_then(|text| text.split(' ').next()).and_then(|text| text.parse::<f64>().ok());
        number.unwrap_or_else(|| panic!("{text}"))
    };
    let (controller, agent) = (exposure("sio.service"), exposure("sio-agent.service"));
    println!(
        "systemd-analyze security on {os:?}: sio.service {controller}, sio-agent.service {agent} (0 is best, 10 worst)"
    );
    assert!(controller <= EXPOSED, "sio.service is exposed by {controller}");
    assert!(agent <= WORST, "sio-agent.service is exposed by {agent}");
}

fn lives(os: Os) {
    let _machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = runtime.block_on(system());
    let host = Host::boot(os);
    let books = |version: &str| if os == Os::El7 { version.to_owned() } else { format!("ii {version}") };

    // In: nothing runs, and nobody else reads the configuration.
    assert_eq!(install(&host, os, "1.0.0"), books("1.0.0"));
    assert_eq!(
        host.says(
            "stat -c '%U:%G %a' /etc/scaleio-framework /etc/scaleio-framework/sio.toml /var/lib/scaleio-framework"
        )
        .lines()
        .collect::<Vec<_>>(),
        ["root:scaleio-framework 750", "root:scaleio-framework 640", "scaleio-framework:scaleio-framework 700"]
    );
    assert_eq!(
        host.says("systemctl is-enabled sio sio-agent; systemctl is-active sio sio-agent"),
        "disabled\ndisabled\ninactive\ninactive"
    );
    host.does("systemctl start sio-agent");
    assert_eq!(
        host.says("systemctl is-active sio-agent"),
        "inactive",
        "without agent.env there is nothing to work for"
    );

    // As it comes, it runs and watches nothing.
    host.does("systemctl start sio");
    host.until("the controller answers on its socket", || host.says("sio status").contains("no system is configured"));
    host.does("systemctl stop sio");

    // Configured, hardened, and at work.
    configure(&host, &world);
    host.does("sio check && systemctl enable --now sio");
    let web = address(&host);
    host.until("the system is heard", || host.run("sio status").status.success());
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    assert_eq!(counted(&host, &web), 1.0);
    is_hardened(&host, os);
    let before = host.says("systemctl show -p MainPID --value sio");

    // Up: another process, the configuration of the person, and what was counted.
    assert_eq!(install(&host, os, "1.1.0"), books("1.1.0"));
    let web = address(&host);
    assert_ne!(host.says("systemctl show -p MainPID --value sio"), before, "the new release runs");
    assert_eq!(counted(&host, &web), 1.0, "what was counted survives");
    assert_eq!(host.says("systemctl is-enabled sio; systemctl is-active sio"), "enabled\nactive");
    host.does("grep -q systems.prod /etc/scaleio-framework/sio.toml");

    gone(&host, os);
    runtime.block_on(world.stop());
}

/// Out: no process, no unit, no file but what a person may want back.
fn gone(host: &Host, os: Os) {
    let pid = host.says("systemctl show -p MainPID --value sio");
    host.does(match os {
        Os::El7 => "rpm -e scaleio-framework",
        Os::Ubuntu => "dpkg -r scaleio-framework",
    });
    let left = |path: &str| host.root().join(path.trim_start_matches('/')).symlink_metadata().is_ok();
    assert!(!host.run(&format!("kill -0 {pid}")).status.success(), "the controller still runs");
    for unit in ["sio.service", "sio-agent.service"] {
        assert_eq!(host.says(&format!("systemctl show -p LoadState --value {unit}")), "not-found");
        assert!(!left(&format!("/etc/systemd/system/multi-user.target.wants/{unit}")));
    }
    assert_eq!(host.says("systemctl list-units --failed --plain --no-legend | grep sio"), "");
    for path in [
        "/usr/bin/sio",
        "/usr/share/scaleio-framework",
        "/usr/lib/tmpfiles.d/scaleio-framework.conf",
        "/run/scaleio-framework",
    ] {
        assert!(!left(path), "{path} is still there");
    }
    assert!(left("/var/lib/scaleio-framework/state.db"), "the state is for the person to throw away");
    match os {
        Os::El7 => assert!(left("/etc/scaleio-framework/sio.toml.rpmsave"), "the changed configuration is kept"),
        Os::Ubuntu => {
            assert!(left("/etc/scaleio-framework/sio.toml"), "a removal keeps the configuration");
            host.does("dpkg -P scaleio-framework");
            assert!(!left("/etc/scaleio-framework") && !left("/var/lib/scaleio-framework"), "a purge keeps nothing");
        }
    }
}

#[test]
fn the_deb_installs_starts_hardened_upgrades_without_a_loss_and_goes() {
    lives(Os::Ubuntu);
}

#[test]
fn the_rpm_installs_starts_hardened_upgrades_without_a_loss_and_goes() {
    lives(Os::El7);
}

#[test]
fn both_packages_hold_the_same_files_with_manual_completions_and_dashboards() {
    let deb = done(Command::new("dpkg-deb").arg("-c").arg(package(Os::Ubuntu, "1.0.0")));
    let deb = deb.lines().filter(|line| !line.starts_with('d')).filter_map(|line| line.split_whitespace().nth(5));
    let mut deb: Vec<&str> = deb.map(|path| path.trim_start_matches('.')).collect();
    let rpm = done(Command::new("rpm").arg("-qlp").arg(package(Os::El7, "1.0.0")));
    let folder = |path: &str| {
        Path::new(path).extension().is_none() && rpm.lines().any(|other| other.starts_with(&format!("{path}/")))
    };
    let mut rpm: Vec<&str> = rpm.lines().filter(|path| !folder(path)).collect();
    deb.sort_unstable();
    rpm.sort_unstable();
    assert_eq!(deb, rpm);
    for path in [
        "/usr/bin/sio",
        "/etc/scaleio-framework/sio.toml",
        "/usr/share/man/man1/sio-status.1.gz",
        "/usr/share/bash-completion/completions/sio",
        "/usr/share/scaleio-framework/dashboards/system.json",
        "/usr/share/doc/scaleio-framework/install.md",
    ] {
        assert!(deb.contains(&path), "{path} is missing: {deb:#?}");
    }
}

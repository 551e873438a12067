//! How the configuration is read: a TOML file, overridden by `SIO__SECTION__KEY`,
//! into values that were checked one by one and against each other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problem::ConfigErrors;
use super::section::{Found, Reader, Section, complain};
use super::{
    Config, Control, Export, Log, LogFormat, Metrics, Poll, Store, Top, agents, alerts, jobs, lifecycle, mail, mesos,
    notify, receiver, source, system, web,
};
use crate::model::id::SystemId;

/// Where the configuration is looked for when nobody names it.
pub const DEFAULT_FILE: &str = "/etc/scaleio-framework/sio.toml";

/// The variable that names the configuration file.
pub const FILE_VARIABLE: &str = "SIO_CONFIG";

/// Loopback until the operator opens it.
const DEFAULT_SOCKET: &str = "/run/scaleio-framework/sio.sock";
/// A controller that was killed is replaced after this at the earliest; a pause
/// of the host that is longer costs a healthy one its lock.
const DEFAULT_SESSION: Duration = Duration::from_secs(10);
const SHORTEST_SESSION: Duration = Duration::from_secs(1);
const LONGEST_SESSION: Duration = Duration::from_secs(60);
const DEFAULT_STORE: &str = "/var/lib/scaleio-framework/state.db";

/// The MDM counts over windows of about five seconds: asking more often than
/// each second reads the same window again and loads the gateway.
const SHORTEST_BEAT: Duration = Duration::from_secs(1);

/// A value that is a day old helps nobody, and a beat of days is a mistake in units.
const LONGEST_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// A 1,000-node system of 4.x with its volumes is about 300,000 series.
const DEFAULT_MAX_SERIES: usize = 1_000_000;

/// Of more objects than this nobody looks at each; dashboards and rules ask for the top.
const FEW_OBJECTS: usize = 2_000;
const BUSIEST: usize = 500;
const SLOWEST: usize = 100;
/// So long that a look at what was slow a moment ago finds it.
const KEEP_TOP: Duration = Duration::from_secs(15 * 60);

/// Which file to read: the one that was named, else the default one when it is there.
pub fn find(named: Option<&Path>, env: &[(String, String)]) -> Option<PathBuf> {
    let variable = || env.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
    named
        .map(Path::to_owned)
        .or_else(|| variable().map(|(_, value)| PathBuf::from(value)))
        .or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()))
}

/// Where the controller of a configuration listens for the command line. It
/// must work for people who may not read passwords, so nothing else is checked.
pub fn control_socket(
    path: Option<&Path>,
    env: impl Iterator<Item = (String, String)>,
) -> Result<PathBuf, ConfigErrors> {
    let said = source::read(path, env).map_err(|problem| ConfigErrors::new(vec![problem]))?;
    let reader = Reader::new(said.places);
    let socket = Section::new("", said.root, &reader).section("control").take("socket", |found| found.path());
    let problems = reader.into_problems();
    if problems.is_empty() {
        Ok(socket.unwrap_or_else(|| DEFAULT_SOCKET.into()))
    } else {
        Err(ConfigErrors::new(problems))
    }
}

impl Config {
    /// Reads and checks everything. Without a file, the variables alone speak.
    pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let env: Vec<(String, String)> = env.collect();
        let said = source::read(path, env.iter().cloned()).map_err(|problem| ConfigErrors::new(vec![problem]))?;
        let reader = Reader::new(said.places);
        let mut root = Section::new("", said.root, &reader);
        let mail = root.optional_section("mail").and_then(mail::read);
        let to = mail.iter().flat_map(|mail| &mail.to).map(ToString::to_string).collect();
        let zone = mail.as_ref().map_or(chrono_tz::Tz::UTC, |mail| mail.time_zone);
        let systems = systems(&mut root);
        let lifecycle = lifecycle::read(root.section("lifecycle"));
        let names: Vec<SystemId> = systems.keys().cloned().collect();
        let artefacts_said = root.optional_section("artefacts");
        let has_artefacts = artefacts_said.is_some();
        let config = Self {
            log: log(root.section("log")),
            web: web::read(root.section("web")),
            control: control(root.section("control")),
            store: store(root.section("store"), &env),
            poll: poll(root.section("poll")),
            metrics: metrics(root.section("metrics")),
            alerts: alerts::read(root.section("alerts")),
            notify: notify::read(root.section("notify"), to, zone),
            mail,
            alertmanager: root.optional_section("alertmanager").and_then(receiver::alertmanager),
            webhook: root.optional_section("webhook").and_then(receiver::webhook),
            mesos: root.optional_section("mesos").and_then(mesos::read),
            agents: root.optional_section("agents").and_then(agents::agents),
            artefacts: agents::artefacts(artefacts_said.unwrap_or_else(|| root.section("artefacts"))),
            jobs: jobs::read(&mut root, &lifecycle.calendar, &names.iter().cloned().collect()),
            lifecycle,
            static_nodes: agents::fleet(root.section("fleet"), &names),
            systems,
        };
        for (key, said) in [("artefacts", has_artefacts), ("fleet", !config.static_nodes.is_empty())] {
            if said && !root.said("agents") {
                let mend = "add a section [agents], or leave this one out";
                root.note(key, complain("it is for agents, and no section says where they come to", mend));
            }
        }
        root.finish();
        let problems = reader.into_problems();
        if problems.is_empty() { Ok(config) } else { Err(ConfigErrors::new(problems)) }
    }
}

fn log(mut section: Section<'_>) -> Log {
    let level = section.take("level", |found| {
        let level = found.text()?;
        crate::telemetry::check_filter(level).map_err(|why| {
            complain(
                format!("{level:?} is no filter for log lines: {why}"),
                "write error, warn, info, debug or trace, or a filter such as \
                 \"info,scaleio_framework::gateway=debug\"",
            )
        })?;
        Ok(level.to_owned())
    });
    let format = section.take("format", |found| match found.text()? {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(complain(format!("{other:?} is no format of log lines"), "write \"text\" or \"json\"")),
    });
    section.finish();
    Log { level: level.unwrap_or_else(|| "info".to_owned()), format: format.unwrap_or(LogFormat::Text) }
}

fn control(mut section: Section<'_>) -> Control {
    let socket = section.take("socket", |found| {
        let path = found.path()?;
        // The kernel's limit for the address of a unix socket, its zero byte included.
        if path.as_os_str().len() > 107 {
            return Err(complain("the path of a socket has at most 107 bytes", "choose a shorter one"));
        }
        Ok(path)
    });
    section.finish();
    Control { socket: socket.unwrap_or_else(|| DEFAULT_SOCKET.into()) }
}

fn store(mut section: Section<'_>, env: &[(String, String)]) -> Store {
    let path = section.take("path", |found| {
        let path = found.path()?;
        if path.is_dir() {
            let mend = format!("name a file in it, such as {}", path.join("state.db").display());
            return Err(complain("this is a folder", mend));
        }
        Ok(path)
    });
    let zookeeper = section.take("zookeeper", |found| mesos::parse_zookeeper(found.text()?));
    let auth = section.take("zookeeper_auth_file", mesos::zookeeper_auth);
    let timeout = section.take("zookeeper_session_timeout", |found| match found.duration()? {
        span if (SHORTEST_SESSION..=LONGEST_SESSION).contains(&span) => Ok(span),
        _ => Err(complain("not between 1s and 1m", "write \"10s\"")),
    });
    let path = path.unwrap_or_else(|| DEFAULT_STORE.into());
    let variable = |name: &str| env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    if !section.said("zookeeper") && mesos::is_in_sandbox(&path, variable) {
        let what = format!("{} is in the sandbox of this Mesos task, and is thrown away with the task", path.display());
        let mend = "keep state in ZooKeeper (store.zookeeper), or name a file on a volume that stays";
        section.note("path", complain(what, mend));
    }
    section.finish();
    let session_timeout = timeout.unwrap_or(DEFAULT_SESSION);
    let zookeeper = zookeeper.map(|(servers, path)| super::StoreInZooKeeper { servers, path, auth, session_timeout });
    Store { path, zookeeper }
}

fn poll(mut section: Section<'_>) -> Poll {
    let mut beat = |key, default| {
        let read = section.take(key, |found| {
            let beat = found.duration()?;
            if beat < SHORTEST_BEAT {
                return Err(complain("shorter than 1s", "the MDM counts over about 5s; \"5s\" loses nothing"));
            }
            if beat > LONGEST_AGE {
                return Err(complain("longer than a day", "write \"24h\" or less"));
            }
            Ok(beat)
        });
        (read.unwrap_or(default), read.is_some())
    };
    let (fast, fast_said) = beat("fast", Duration::from_secs(15));
    let (middle, middle_said) = beat("middle", Duration::from_secs(60));
    let (slow, slow_said) = beat("slow", Duration::from_secs(5 * 60));
    let (max_age, age_said) = beat("max_age", Duration::from_secs(15 * 60));
    let show = humantime::format_duration;
    // A relation is charged to the key that was said, so that its place is where to mend it.
    let order = [
        ("fast", fast, fast_said, "middle", middle, middle_said),
        ("middle", middle, middle_said, "slow", slow, slow_said),
    ];
    for (short, short_beat, short_said, long, long_beat, long_said) in order {
        if short_beat > long_beat {
            let what = format!("{short} ({}) is longer than {long} ({})", show(short_beat), show(long_beat));
            if short_said || !long_said {
                section.note(short, complain(what, format!("set {short} to {} or less", show(long_beat))));
            } else {
                section.note(long, complain(what, format!("set {long} to {} or more", show(short_beat))));
            }
        }
    }
    if max_age < slow * 2 {
        let what = format!(
            "max_age ({}) is shorter than two slow polls (2 x {}), so that values would vanish between polls",
            show(max_age),
            show(slow)
        );
        let key = if age_said || !slow_said { "max_age" } else { "slow" };
        section.note(key, complain(what, format!("set max_age to {} or more", show(slow * 2))));
    }
    section.finish();
    Poll { fast, middle, slow, max_age }
}

fn metrics(mut section: Section<'_>) -> Metrics {
    let max_series = section.take("max_series", |found| match found.number()? {
        0 => Err(complain("no series at all could be served", "write 1000 or more, or leave the key out")),
        some => usize::try_from(some).map_err(|_| complain("the number is too large", "write 10000000 or less")),
    });
    let devices = export(section.section("devices"), "all");
    let sdcs = export(section.section("sdcs"), "all");
    let volumes = export(section.section("volumes"), "auto");
    section.finish();
    Metrics { max_series: max_series.unwrap_or(DEFAULT_MAX_SERIES), devices, sdcs, volumes }
}

/// Which objects of a kind are exported.
fn export(mut section: Section<'_>, default: &str) -> Export {
    let mode = section.take("export", |found| match found.text()? {
        mode @ ("all" | "auto" | "top" | "aggregate" | "off") => Ok(mode.to_owned()),
        other => Err(complain(
            format!("{other:?} is no way to export objects"),
            r#"write "all", "auto", "top", "aggregate" or "off""#,
        )),
    });
    let mut count = |key, default| {
        let read = |found: &Found<'_>| {
            usize::try_from(found.number()?).map_err(|_| complain("the number is too large", "write 100000 or less"))
        };
        section.take(key, read).unwrap_or(default)
    };
    let all_up_to = count("all_up_to", FEW_OBJECTS);
    let (busiest, slowest) = (count("busiest", BUSIEST), count("slowest", SLOWEST));
    let keep = section.take("keep", |found| found.duration()).unwrap_or(KEEP_TOP);
    section.finish();
    let top = Top { busiest, slowest, keep };
    match mode.as_deref().unwrap_or(default) {
        "off" => Export::Off,
        "aggregate" => Export::Aggregate,
        "top" => Export::Top(top),
        "auto" => Export::Auto { all_up_to, top },
        _ => Export::All,
    }
}

fn systems(root: &mut Section<'_>) -> BTreeMap<SystemId, super::System> {
    let said = root.optional_section("systems").map(Section::named_sections).unwrap_or_default();
    // A `systems` that is no section was told already.
    if said.is_empty() && root.is_well("systems") {
        root.note(
            "systems",
            complain("no system is configured", "write a section [systems.NAME], or let `sio init` write the file"),
        );
    }
    let names: Vec<String> = said.iter().map(|(name, _)| name.clone()).collect();
    let mut systems = BTreeMap::new();
    for (name, section) in said {
        if let Some(complaint) = system::judge_name(&name, &names) {
            section.note_self(complaint);
        }
        if let Some(system) = system::read(section) {
            systems.insert(SystemId::new(&name), system);
        }
    }
    systems
}

/// A file that must be there and be readable now.
pub(super) fn readable(path: PathBuf) -> Result<PathBuf, super::section::Complaint> {
    match std::fs::File::open(&path).and_then(|file| file.metadata()) {
        Ok(about) if about.is_file() => Ok(path),
        Ok(_) => Err(complain(format!("{} is not a file", path.display()), "name a file")),
        Err(error) => {
            let mend = "name a file that is there and that the user who runs sio may read";
            Err(complain(format!("{} cannot be read: {error}", path.display()), mend))
        }
    }
}

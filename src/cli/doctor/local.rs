//! What is there on this host: rules, listeners, secrets, room, the store, and the controller that runs?

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::finding::Finding;
use super::judge::{self, Guard};
use crate::alert::rules;
use crate::cli::controller::{AskError, Question, Where, ask};
use crate::config::sources::Sources;
use crate::config::{self, Config, MailTls, Trust};
use crate::enrol::artefacts::Shelf;
use crate::enrol::ca::Authority;
use crate::model::status::Status;
use crate::store::StoreError;
use crate::store::look::{self, Seen};
use crate::web::access::Access;

/// What lies in the cache of fetched files.
pub(super) fn cache(sources: &Sources) -> Option<Finding> {
    // One that is not there, or may not be read, is told where a file of it is looked for.
    let entries = std::fs::read_dir(&sources.cache).ok()?;
    let mut files: Vec<(String, u64)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.metadata().ok()?.len())))
        .collect();
    files.sort();
    let named: Vec<&str> = sources.files.iter().map(|source| source.name.as_str()).collect();
    judge::unnamed(&sources.cache, &files, &named)
}

/// What the settings say that works, or that a person should know.
pub(super) fn settings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.alerts.enabled {
        findings.push(match rules::load(&config.alerts, &config.poll) {
            Ok(_) => Finding::ok("alert rules", "they load, with thresholds and overrides"),
            Err(error) => Finding::fail("alert rules", error.to_string(), ""),
        });
    } else {
        let says = "not evaluated here (alerts.enabled = false)";
        findings.push(Finding::warn("alert rules", says, "see that a Prometheus evaluates them: sio export alerts"));
    }
    findings.push(match &config.web.config_file {
        Some(file) => match Access::read(file) {
            Ok(access) => {
                let demands = access.demands();
                let tls = if demands.tls { "TLS" } else { "no TLS" };
                let users = if demands.users.is_empty() {
                    "no users".to_owned()
                } else {
                    format!("{} users", demands.users.len())
                };
                let says = format!("{}, {tls}, {users}", config.web.listen);
                if demands.tls || config.web.listen.ip().is_loopback() {
                    Finding::ok("web", says)
                } else {
                    Finding::warn("web", says, "name certificate and key in web.config_file: passwords go in the clear")
                }
            }
            Err(error) => Finding::fail("web", error.to_string(), "mend the file that web.config_file names"),
        },
        None if config.web.listen.ip().is_loopback() => {
            Finding::ok("web", format!("{}, for this host only", config.web.listen))
        }
        None => Finding::warn(
            "web",
            format!("{} is open to everybody who reaches it", config.web.listen),
            "name TLS and users in web.config_file, or listen on loopback behind a proxy",
        ),
    });
    let blind = config.systems.iter().filter(|(_, system)| system.trust == Trust::Insecure);
    findings.extend(blind.map(|(name, _)| {
        let mend = "set pin or ca_file: sio init shows the certificate";
        Finding::warn(format!("trust in {name}"), "any certificate is taken (insecure = true)", mend)
    }));
    if config.mail.as_ref().is_some_and(|mail| mail.tls == MailTls::None) {
        findings.push(Finding::warn("trust in mail", "mails go in the clear (mail.tls = \"none\")", "use starttls"));
    }
    if config.systems.is_empty() {
        let mend = "add a section [systems.NAME], or run sio init";
        findings.push(Finding::warn("systems", "none is configured, so nothing is watched", mend));
    }
    if config.alerts.enabled && config.mail.is_none() && config.alertmanager.is_none() {
        let mend = "add [mail] or [alertmanager], unless a Prometheus does it";
        findings.push(Finding::warn("people", "nobody is told of alerts", mend));
    }
    findings
}

/// Whether only those see secrets who must.
pub(super) fn secrets(config: &Config, file: Option<&Path>, variables: &[(String, String)]) -> Vec<Finding> {
    // A configuration that loads can be looked through.
    let mut files = config::secrets(file, variables.iter().cloned()).map(|found| found.files).unwrap_or_default();
    if let Some(web) = &config.web.config_file {
        files.insert(web.clone());
        files.extend(key_of(web));
    }
    // The state holds what users were told and decided.
    files.extend(Some(config.store.path.clone()).filter(|path| path.exists()));
    let owner = |path: &Path| std::fs::metadata(path).map(|about| about.uid()).ok();
    let us = config.store.path.parent().and_then(owner).unwrap_or_else(|| rustix::process::geteuid().as_raw());
    let look = |path: &Path| -> std::io::Result<Guard> {
        let about = std::fs::metadata(path)?;
        let folder =
            std::fs::metadata(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
        Ok(Guard { mode: about.mode(), owner: about.uid(), folder_mode: folder.mode(), us })
    };
    files
        .iter()
        .map(|path| match look(path) {
            Ok(guard) => judge::secret(&path.display().to_string(), guard),
            Err(error) => Finding::fail(
                format!("secret {}", path.display()),
                error.to_string(),
                "run this as the user that runs the controller, or as root",
            ),
        })
        .collect()
}

/// The private key that a web configuration names.
fn key_of(web: &Path) -> Option<std::path::PathBuf> {
    #[derive(serde::Deserialize)]
    struct File {
        tls_server_config: Option<Tls>,
    }
    #[derive(serde::Deserialize)]
    struct Tls {
        key_file: Option<std::path::PathBuf>,
    }
    let text = std::fs::read_to_string(web).ok()?;
    let key = serde_saphyr::from_str::<File>(&text).ok()?.tls_server_config?.key_file?;
    Some(web.parent().unwrap_or(Path::new(".")).join(key))
}

/// Room for state and histories.
pub(super) fn space(config: &Config) -> Vec<Finding> {
    let folder = config.store.path.parent().unwrap_or(Path::new("/"));
    let shown = folder.display().to_string();
    vec![match rustix::fs::statvfs(folder) {
        // Filesystems without a table of inodes say 0 of 0.
        Ok(about) => judge::space(
            &shown,
            about.f_bavail.saturating_mul(about.f_frsize),
            (about.f_files > 0).then_some(about.f_favail),
        ),
        Err(error) => Finding::fail(
            format!("space in {shown}"),
            error.to_string(),
            "make the folder, owned by the user that runs the controller",
        ),
    }]
}

/// Whether the state can be read.
pub(super) async fn store(config: &Config) -> Vec<Finding> {
    let (what, seen) = match &config.store.zookeeper {
        Some(place) => (format!("store zk://{}{}", place.servers, place.path), look::zookeeper(place).await),
        None => {
            let path = config.store.path.clone();
            let what = format!("store {}", path.display());
            let looked = tokio::task::spawn_blocking(move || look::sqlite(&path)).await;
            (what, looked.unwrap_or(Err(StoreError::Closed)))
        }
    };
    vec![match seen {
        Ok(Seen::Nothing) => Finding::ok(what, "nothing there yet; the first start makes it"),
        Ok(Seen::State { version, held }) => {
            let held = held.map_or("", |held| if held { ", held by a controller" } else { ", held by nobody" });
            Finding::ok(what, format!("readable, {version} commits{held}"))
        }
        // These say what to do themselves.
        Err(error @ (StoreError::NoFolder { .. } | StoreError::Corrupt { .. } | StoreError::Foreign { .. })) => {
            Finding::fail(what, error.to_string(), "")
        }
        Err(error) => {
            let why = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            let mend = if config.store.zookeeper.is_some() {
                "see that ZooKeeper runs and that store.zookeeper_auth_file fits"
            } else {
                "run this as the user that runs the controller, or as root"
            };
            Finding::fail(what, format!("{error}{why}"), mend)
        }
    }]
}

/// What nodes are given, and by whom they know us.
pub(super) fn for_nodes(config: &Config) -> Vec<Finding> {
    let Some(agents) = &config.agents else { return Vec::new() };
    let what = format!("authority in {}", agents.folder.display());
    let authority = match Authority::look(&agents.folder) {
        Ok(Some(_)) => Finding::ok(what, "its certificate and key are there"),
        Ok(None) => Finding::ok(what, "nothing there yet; the first start makes it"),
        Err(error) => {
            let why = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
            let mend = "run this as the user that runs the controller, or bring the folder back from a backup: agents know us by it";
            Finding::fail(what, format!("{error}{why}"), mend)
        }
    };
    let packages = match (&config.artefacts.folder, Shelf::of(&config.artefacts)) {
        (None, Ok(_)) if !config.artefacts.sources.files.is_empty() => {
            Finding::ok("packages", format!("{} come from elsewhere", config.artefacts.sources.files.len()))
        }
        (None, Ok(_)) => Finding::warn(
            "packages",
            "artefacts.folder is not set",
            "name the folder with ScaleIO's packages, or nodes are given none",
        ),
        (Some(folder), Ok(shelf)) => match shelf.goods().files().count() {
            0 => Finding::warn("packages", format!("{} is empty", folder.display()), "put ScaleIO's packages there"),
            count => Finding::ok("packages", format!("{count} in {}", folder.display())),
        },
        (_, Err(why)) => Finding::fail("packages", why, "mend artefacts.folder, artefacts.checksums or artefacts.key"),
    };
    vec![authority, packages]
}

/// Whether a controller runs, and how it is. `mesos`: it is to be a framework.
pub(super) async fn controller(
    whom: &Where,
    mesos: bool,
    file: Option<&Path>,
    variables: &[(String, String)],
) -> Vec<Finding> {
    const WHAT: &str = "controller";
    let status = match ask(whom, &Question::get("/api/v1/status"), file, variables).await {
        Ok((_, body)) => serde_json::from_slice::<Status>(&body),
        Err(AskError::NoSocket { socket }) => {
            let says = format!("none runs at {}", socket.display());
            return vec![Finding::warn(WHAT, says, "start one: systemctl start sio")];
        }
        Err(error) => return vec![Finding::fail(WHAT, error.to_string(), "")],
    };
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            return vec![Finding::fail(
                WHAT,
                format!("its answer cannot be read: {error}"),
                "use the sio of its release",
            )];
        }
    };
    let mut findings = vec![if status.version == crate::VERSION {
        Finding::ok(WHAT, format!("runs, release {}", status.version))
    } else {
        let says = format!("runs release {}, and this is {}", status.version, crate::VERSION);
        Finding::warn(WHAT, says, "restart it: systemctl restart sio")
    }];
    let of = |what: &str, problems: &[String]| -> Vec<Finding> {
        problems.iter().map(|problem| Finding::warn(format!("{WHAT}: {what}"), problem.clone(), "")).collect()
    };
    findings.extend(of("itself", &status.problems));
    findings.extend(status.receivers.iter().flat_map(|to| of(&to.name, &to.problems)));
    findings.extend(status.systems.iter().flat_map(|system| of(&system.system, &system.problems)));
    if mesos {
        let asked = ask(whom, &Question::get("/api/v1/framework"), file, variables).await;
        findings.push(match asked.map(|(_, body)| serde_json::from_slice(&body)) {
            Ok(Ok(standing)) => judge::framework(&standing),
            Ok(Err(error)) => {
                let says = format!("its answer on Mesos cannot be read: {error}");
                Finding::fail(WHAT, says, "use the sio of its release")
            }
            Err(error) => {
                Finding::fail(WHAT, error.to_string(), "restart it with this configuration: systemctl restart sio")
            }
        });
    }
    findings
}

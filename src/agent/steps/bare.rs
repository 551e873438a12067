//! A component on a host without a package manager: whether it is there, how it
//! gets there and how it goes.
//!
//! A version is unpacked beside the one that is used, and one link is changed,
//! so that a kill leaves the old one or the new one. Whether the rest was done
//! too is told by the note of `package`.

use std::time::Duration;

use super::package::no_volumes;
use super::{State, Trouble, passing};
use crate::agent::host::{Call, Host};
use crate::agent::recipes::Installed;
use crate::agent::recipes::bare;
use crate::agent::recipes::component::facts;
use crate::agent::recipes::release::Release;
use crate::model::order::{Component, Install};

/// What the books of plain files say.
pub(super) fn look(component: Component, host: &mut dyn Host) -> Result<Installed, State> {
    let used = bare::used(facts(component).word);
    let text = host.read(&bare::book(&used)).map_err(|error| State::Unclear(error.to_string()))?;
    Ok(match text {
        Some(text) => {
            let text = String::from_utf8_lossy(&text).trim().to_owned();
            Release::read(&text).map_or_else(
                || Installed::Unclear(format!("{used} tells a version that cannot be read: {text}")),
                Installed::Whole,
            )
        }
        None if host.exists(&used) => {
            Installed::Unclear(format!("{used} is there and was not put there by an agent; move it away"))
        }
        None => Installed::Absent,
    })
}

/// Unpacks a bundle and starts what is in it.
pub(super) fn install(
    install: &Install,
    release: &Release,
    file: &str,
    within: Duration,
    host: &mut dyn Host,
) -> Result<(), Trouble> {
    let component = install.component;
    let facts = facts(component);
    let folder = bare::unpacked(facts.word, release);
    // Everybody may call what is in it, whatever is masked for the agent's own files.
    run(host, Call::new("sh", ["-c", "umask 022 && exec mkdir -p \"$1\"", "sh", &folder]), within)?;
    if let Err(trouble) = run(host, Call::new("tar", ["-xzf", file, "-C", &folder]), within) {
        // What was unpacked of it only takes room, so whether it goes is no matter beside the trouble itself.
        let _ = run(host, Call::new("rm", ["-rf", &folder]), within);
        return Err(trouble);
    }
    if component == Component::Sds {
        server_file(&folder, host)?;
    }
    if component == Component::Sdc {
        fits(&folder, host)?;
        // The module is changed when the service starts again.
        no_volumes(host)?;
        client_file(install, host)?;
        write(host, &format!("{folder}/start"), bare::START, 0o755)?;
        write(host, &format!("{folder}/stop"), bare::STOP, 0o755)?;
        write(host, bare::RULES_FILE, bare::RULES, 0o644)?;
    }
    write(host, &bare::book(&folder), &format!("{release}\n"), 0o644)?;
    write(host, &bare::unit_file(facts.unit), &bare::unit(component), 0o644)?;
    let (used, beside) = (bare::used(facts.word), format!("{}.new", bare::used(facts.word)));
    run(host, Call::new("systemctl", ["daemon-reload"]), within)?;
    run(host, Call::new("systemctl", ["stop", facts.unit]), within)?;
    run(host, Call::new("ln", ["-sfn", &folder, &beside]), within)?;
    run(host, Call::new("mv", ["-fT", &beside, &used]), within)?;
    run(host, Call::new("systemctl", ["enable", facts.unit]), within)?;
    run(host, Call::new("systemctl", ["start", facts.unit]), within)?;
    forget_others(facts.word, Some(&folder), within, host)
}

/// Takes away what `install` made. What a client knew stays: its system knows it by that.
pub(super) fn remove(component: Component, within: Duration, host: &mut dyn Host) -> Result<(), Trouble> {
    let facts = facts(component);
    let file = bare::unit_file(facts.unit);
    if host.exists(&file) {
        run(host, Call::new("systemctl", ["disable", "--now", facts.unit]), within)?;
        host.remove(&file).map_err(|error| passing(&error))?;
        run(host, Call::new("systemctl", ["daemon-reload"]), within)?;
    }
    if component == Component::Sdc {
        host.remove(bare::RULES_FILE).map_err(|error| passing(&error))?;
    }
    forget_others(facts.word, None, within, host)?;
    host.remove(&bare::used(facts.word)).map_err(|error| passing(&error))
}

fn forget_others(word: &str, but: Option<&str>, within: Duration, host: &mut dyn Host) -> Result<(), Trouble> {
    let prefix = format!("{word}-");
    for name in host.list(bare::FOLDER).map_err(|error| passing(&error))? {
        let path = format!("{}/{name}", bare::FOLDER);
        if name.starts_with(&prefix) && Some(path.as_str()) != but {
            run(host, Call::new("rm", ["-rf", &path]), within)?;
        }
    }
    Ok(())
}

/// Whether the bundle has a module for the kernel that runs.
fn fits(folder: &str, host: &mut dyn Host) -> Result<(), Trouble> {
    let kernel = host.read("/proc/sys/kernel/osrelease").map_err(|error| passing(&error))?.unwrap_or_default();
    let kernel = String::from_utf8_lossy(&kernel).trim().to_owned();
    if host.exists(&format!("{folder}/modules/{kernel}/scini.ko")) {
        return Ok(());
    }
    let mut there = host.list(&format!("{folder}/modules")).map_err(|error| passing(&error))?;
    there.sort_unstable();
    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
    Err(Trouble::Lasting(format!(
        "the bundle has no scini module for kernel {kernel}; it has {there}. Put modules/{kernel}/scini.ko into it"
    )))
}

/// A server without a file gets that of its bundle. Later versions find what it has become.
fn server_file(folder: &str, host: &mut dyn Host) -> Result<(), Trouble> {
    if host.exists(bare::SERVER_FILE) {
        return Ok(());
    }
    let text = host.read(&format!("{folder}/cfg/conf.txt")).map_err(|error| passing(&error))?.unwrap_or_default();
    host.write(bare::SERVER_FILE, &text, 0o644).map_err(|error| passing(&error))
}

/// A client without a file gets one: who it is, and where its managers are.
fn client_file(install: &Install, host: &mut dyn Host) -> Result<(), Trouble> {
    if host.exists(bare::CLIENT_FILE) {
        return Ok(());
    }
    let id = host.read("/proc/sys/kernel/random/uuid").map_err(|error| passing(&error))?;
    let id = id.ok_or_else(|| Trouble::Lasting("the kernel makes no ids".to_owned()))?;
    let id = String::from_utf8_lossy(&id).trim().to_uppercase();
    let mdms = install.mdms.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    write(host, bare::CLIENT_FILE, &format!("ini_guid {id}\nmdm {mdms}\n"), 0o644)
}

fn write(host: &mut dyn Host, path: &str, text: &str, mode: u32) -> Result<(), Trouble> {
    host.write(path, text.as_bytes(), mode).map_err(|error| passing(&error))
}

fn run(host: &mut dyn Host, call: Call, within: Duration) -> Result<(), Trouble> {
    let call = Call { within, ..call };
    let output = host.run(&call).map_err(|error| passing(&error))?;
    if output.is_good() {
        return Ok(());
    }
    let words = format!("{} ended with {}", call.shown(), output.last_words());
    // Neither a full disk nor a torn file is mended by another try.
    let lasting = call.program == "tar";
    Err(if lasting { Trouble::Lasting(words) } else { Trouble::Passing(words) })
}

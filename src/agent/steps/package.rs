//! A component's package: whether it is there, whole and running; how it gets there and how it goes.
//!
//! Before a package manager is started, a note is made of it on disk, and is
//! taken away when everything went well. A note that is there tells of a
//! script that failed or a crash, which the package manager's own books may
//! not show.

use std::time::Duration;

use super::{Found, State, Trouble, ask, bare, os, packages_busy, passing, service, trouble, volumes};
use crate::agent::host::{Call, Host, Output};
use crate::agent::recipes::bare::command as bare_command;
use crate::agent::recipes::component::{MDM_CONFIG, environment, exists, facts, package_name, role_text};
use crate::agent::recipes::os::{Books, Os};
use crate::agent::recipes::package::PackageFile;
use crate::agent::recipes::release::Release;
use crate::agent::recipes::{Installed, dpkg, drv_cfg, rpm};
use crate::model::command;
use crate::model::order::{Component, Hidden, Install, Secrets};

/// Whether a newer version may be replaced by the wanted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Never.
    Up,
    /// A version that was tried is taken back.
    Back,
}

/// A package on a node.
struct Place {
    component: Component,
    books: Books,
    name: String,
    note: String,
}

impl Place {
    fn of(component: Component, os: &Os, host: &dyn Host) -> Self {
        let books = os.books();
        Self { component, books, name: package_name(component, books), note: note(component, host) }
    }

    fn look(&self, host: &mut dyn Host) -> Result<Installed, State> {
        let name = &self.name;
        match self.books {
            Books::Rpm => Ok(rpm::read(name, &ask(host, &rpm::query(name))?)),
            Books::Dpkg => Ok(dpkg::read(name, &ask(host, &dpkg::query(name))?)),
            Books::Bare => bare::look(self.component, host),
        }
    }
}

/// How a component stands in the books.
pub(super) fn installed(component: Component, os: &Os, host: &mut dyn Host) -> Result<Installed, State> {
    Place::of(component, os, host).look(host)
}

/// How a package manager is called, and what its answer means.
type Manager = (Call, fn(&Output) -> Result<(), Trouble>);

/// Where it is noted that a package manager is at work on a component, or ended badly.
pub fn note(component: Component, host: &dyn Host) -> String {
    format!("{}/half/{}", host.state_folder(), facts(component).word)
}

/// The package of an order, when this node can take it.
fn wanted(install: &Install, os: &Os) -> Result<PackageFile, State> {
    let file = PackageFile::read(&install.artefact.name).map_err(State::Impossible)?;
    file.judge(install.component, os).map_err(State::Impossible)?;
    let generation = file
        .release
        .generation()
        .ok_or_else(|| State::Impossible(format!("{} is of a generation we do not know", install.artefact.name)))?;
    exists(install.component, generation).map_err(State::Impossible)?;
    Ok(file)
}

/// Whether plain files may be laid there, as far as that is known to work.
fn may_be_bare(file: &PackageFile, component: Component, is_accepted: bool) -> Result<(), String> {
    match file.release.generation() {
        Some(generation) if file.books == Books::Bare => {
            command::may(bare_command(component)?, generation, is_accepted)
        }
        _ => Ok(()),
    }
}

pub(super) fn check_install(
    install: &Install,
    way: Way,
    is_accepted: bool,
    host: &mut dyn Host,
    found: &mut Found,
) -> State {
    let looked = os(host).and_then(|os| {
        let file = wanted(install, &os)?;
        may_be_bare(&file, install.component, is_accepted).map_err(State::Impossible)?;
        let place = Place::of(install.component, &os, host);
        stand(&place, &file.release, way, host, found)
    });
    match looked {
        Ok(()) => {}
        Err(state @ (State::NotSo(_) | State::Half(_))) => {
            return match packages_busy::running(host) {
                Some(who) => State::Busy(format!("{who} is at work")),
                None => state,
            };
        }
        Err(state) => return state,
    }
    if let Some(state) = wrong_role(install.component, host) {
        return state;
    }
    service::check_running(install.component, host)
}

/// How the books of packages stand; ok when the version is there and whole.
fn stand(place: &Place, wanted: &Release, way: Way, host: &mut dyn Host, found: &mut Found) -> Result<(), State> {
    let noted = host.read(&place.note).map_err(|error| State::Unclear(error.to_string()))?.is_some();
    let name = &place.name;
    match place.look(host)? {
        Installed::Absent => Err(State::NotSo(format!("{name} is not installed"))),
        Installed::Half(why) => Err(State::Half(why)),
        Installed::Unclear(why) => Err(State::Unclear(why)),
        Installed::Whole(release) => {
            found.insert("version".to_owned(), release.to_string());
            if release > *wanted && way == Way::Up {
                return Err(State::Impossible(format!(
                    "{name} {release} is installed, newer than {wanted}; the MDM does not go back, so no package does"
                )));
            }
            if noted {
                return Err(State::Half(format!("an installation of {name} was broken off, or its script failed")));
            }
            if release != *wanted {
                return Err(State::NotSo(format!("{name} is installed in version {release}")));
            }
            Ok(())
        }
    }
}

/// An MDM that was installed in the other role stays what it is until it is removed.
fn wrong_role(component: Component, host: &mut dyn Host) -> Option<State> {
    let wanted = role_text(component)?;
    let text = match host.read(MDM_CONFIG) {
        Ok(text) => String::from_utf8_lossy(&text.unwrap_or_default()).into_owned(),
        Err(error) => return Some(State::Unclear(error.to_string())),
    };
    let role = text.lines().map(str::trim).find(|line| line.starts_with("actor_role_is_manager="))?;
    (role != wanted).then(|| {
        State::Impossible(format!(
            "the node has an MDM of the other role ({role} in {MDM_CONFIG}); take it out of the cluster and remove it first"
        ))
    })
}

pub(super) fn install(
    install: &Install,
    way: Way,
    secrets: &Secrets,
    within: Duration,
    host: &mut dyn Host,
) -> Result<(), Trouble> {
    let os = os(host).map_err(trouble)?;
    let file = wanted(install, &os).map_err(trouble)?;
    let place = Place::of(install.component, &os, host);
    let env = environment(install.component, &install.mdms, secrets).map_err(Trouble::Lasting)?;
    let before = place.look(host).map_err(trouble)?;
    let noted = host.exists(&place.note);
    if noted || before != Installed::Whole(file.release.clone()) {
        let path = host.stage(&install.artefact).map_err(|error| passing(&error))?;
        let path = if file.is_signed_archive { unpack(&path, host)? } else { path };
        let again = noted || matches!(before, Installed::Half(_));
        let manager: Option<Manager> = match place.books {
            Books::Rpm => Some((rpm::install(&path, again, way == Way::Back), rpm::judge)),
            Books::Dpkg => Some((dpkg::install(&path), dpkg::judge)),
            Books::Bare => None,
        };
        let note = format!("{}\n", file.release);
        if let Some((call, judge)) = manager {
            change(&place, &(Call { env, within, ..call }, judge), &note, &before, host)?;
        } else {
            host.write(&place.note, note.as_bytes(), 0o600).map_err(|error| passing(&error))?;
            let done = bare::install(install, &file.release, &path, within, host);
            let untouched = matches!(done, Err(Trouble::Lasting(_))) && !noted;
            if untouched && place.look(host).is_ok_and(|after| after == before) {
                host.remove(&place.note).map_err(|error| passing(&error))?;
            }
            done?;
        }
        let after = place.look(host).map_err(trouble)?;
        if after != Installed::Whole(file.release) {
            return Err(Trouble::Passing(format!("after its installation {} is {after:?}", place.name)));
        }
        host.remove(&place.note).map_err(|error| passing(&error))?;
    }
    match service::check_running(install.component, host) {
        State::NotSo(_) => service::act_wanted(install.component, true, within, host),
        _ => Ok(()),
    }
}

/// Runs a package manager. The note stays unless all is as it was before.
fn change(
    place: &Place,
    (call, judge): &Manager,
    note: &str,
    before: &Installed,
    host: &mut dyn Host,
) -> Result<(), Trouble> {
    let was_noted = host.exists(&place.note);
    host.write(&place.note, note.as_bytes(), 0o600).map_err(|error| passing(&error))?;
    let output = host.run(call).map_err(|error| passing(&error))?;
    let judged = judge(&output);
    let untouched = matches!(judged, Err(Trouble::Lasting(_))) && !was_noted;
    if untouched && place.look(host).is_ok_and(|after| after == *before && !matches!(after, Installed::Half(_))) {
        host.remove(&place.note).map_err(|error| passing(&error))?;
    }
    judged
}

/// Opens the vendor's signed archive; its own script checks the signature.
fn unpack(archive: &str, host: &mut dyn Host) -> Result<String, Trouble> {
    let folder = format!("{archive}.d");
    let run = |host: &mut dyn Host, call: &Call| -> Result<(), Trouble> {
        let output = host.run(call).map_err(|error| passing(&error))?;
        let words = || format!("{} ended with {}", call.shown(), output.last_words());
        if output.is_good() { Ok(()) } else { Err(Trouble::Lasting(words())) }
    };
    run(host, &Call::new("mkdir", ["-p", &folder]))?;
    run(host, &Call::new("tar", ["-xf", archive, "-C", &folder]))?;
    let find = |host: &mut dyn Host, end: &str| {
        let names = host.list(&folder).map_err(|error| passing(&error))?;
        let found = names.into_iter().find(|name| name.ends_with(end));
        found.ok_or_else(|| Trouble::Lasting(format!("{archive} has no file that ends in {end}")))
    };
    let signed = find(host, ".siob")?;
    // The script writes the package beside the signed file, wherever it is called from.
    let (script, signed) = (format!("{folder}/siob_extract"), format!("{folder}/{signed}"));
    run(host, &Call::new("sh", ["-c", "cd \"$1\" && exec \"$2\" \"$3\"", "sh", &folder, &script, &signed]))?;
    Ok(format!("{folder}/{}", find(host, ".deb")?))
}

pub(super) fn check_remove(component: Component, host: &mut dyn Host) -> State {
    let looked = os(host).and_then(|os| {
        let place = Place::of(component, &os, host);
        // A package manager takes all away or nothing; of plain files some may be left.
        let is_half = place.books == Books::Bare && host.exists(&place.note);
        Ok((place.look(host)?, is_half))
    });
    let looked = match looked {
        Ok((Installed::Absent, true)) => return State::Half(format!("a removal of {component} was broken off")),
        Ok((installed, _)) => Ok(installed),
        Err(state) => Err(state),
    };
    match looked {
        // Volumes come by the client.
        Ok(Installed::Absent) if component == Component::Sdc => volumes::check_gone(host),
        Ok(Installed::Absent) => State::So,
        Ok(Installed::Whole(_) | Installed::Half(_)) => match packages_busy::running(host) {
            Some(who) => State::Busy(format!("{who} is at work")),
            None => State::NotSo(format!("the package of {component} is installed")),
        },
        Ok(Installed::Unclear(why)) => State::Unclear(why),
        Err(state) => state,
    }
}

pub(super) fn remove(component: Component, within: Duration, host: &mut dyn Host) -> Result<(), Trouble> {
    let os = os(host).map_err(trouble)?;
    let place = Place::of(component, &os, host);
    if component == Component::Sdc {
        no_volumes(host)?;
        volumes::undo(host)?;
    }
    let before = place.look(host).map_err(trouble)?;
    if before == Installed::Absent && !host.exists(&place.note) {
        return Ok(());
    }
    let manager: Option<Manager> = match place.books {
        Books::Rpm => Some((rpm::remove(&place.name), rpm::judge)),
        Books::Dpkg => Some((dpkg::remove(&place.name), dpkg::judge)),
        Books::Bare => None,
    };
    if let Some((call, judge)) = manager {
        let env = [("I_AM_SURE".to_owned(), Hidden::new("1"))].into();
        change(&place, &(Call { env, within, ..call }, judge), "removal\n", &before, host)?;
    } else {
        host.write(&place.note, b"removal\n", 0o600).map_err(|error| passing(&error))?;
        bare::remove(component, within, host)?;
    }
    host.remove(&place.note).map_err(|error| passing(&error))
}

/// A client that has volumes is not taken away.
pub(super) fn no_volumes(host: &mut dyn Host) -> Result<(), Trouble> {
    // Without the program there is no working client.
    let Some(program) = drv_cfg::PROGRAMS.into_iter().find(|program| host.exists(program)) else { return Ok(()) };
    let output = host.run(&Call::new(program, ["--query_vols"])).map_err(|error| passing(&error))?;
    let count = output.stdout.lines().find_map(|line| line.strip_prefix("Retrieved ")?.split_whitespace().next());
    match count {
        Some("0") => Ok(()),
        Some(count) => {
            Err(Trouble::Lasting(format!("the node's SDC still has {count} volume(s); unmount and unmap them first")))
        }
        None => Err(Trouble::Lasting(format!(
            "drv_cfg --query_vols does not say whether the SDC has volumes ({})",
            output.last_words()
        ))),
    }
}

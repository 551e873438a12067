//! Wiring of the rollout: which systems, whose sessions, and how packages are
//! chosen for nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::{Notify, watch};

use super::agents::Agents;
use crate::agent::recipes::os::{Books, Os};
use crate::agent::recipes::package::{PackageFile, choose};
use crate::agent::recipes::release::Release;
use crate::config::Config;
use crate::enrol::artefacts::{Goods, Shelf};
use crate::fleet::rollout::run::{Handles, OnSettled, Part, Rollout, Settings, Watched};
use crate::fleet::rollout::steps::{Lack, Package, Wanted};
use crate::fleet::volumes::Programs;
use crate::gateway::Role;
use crate::metrics::Own;
use crate::model::framework::FrameworkStatus;
use crate::model::id::SystemId;
use crate::model::order::Component;
use crate::model::version::Generation;
use crate::model::workload::Workloads;
use crate::store::{Desk, State};
use crate::watches::{Additions, Gallery};
use crate::work::seam::Line;

/// Who else is at work on nodes.
pub(super) struct Beside {
    pub(super) framework: Option<watch::Receiver<Arc<FrameworkStatus>>>,
    pub(super) census: Option<(watch::Receiver<Arc<Workloads>>, Arc<Notify>)>,
    pub(super) lines: BTreeMap<SystemId, Line>,
    pub(super) adding: watch::Sender<Additions>,
}

/// The rollout of all systems that have one.
pub(super) fn open(
    config: &Config,
    agents: &Agents,
    beside: Beside,
    gallery: &Gallery,
    desk: &Desk,
    state: &State,
    own: &Arc<Own>,
) -> anyhow::Result<Option<(Rollout, Handles)>> {
    let mut parts = BTreeMap::new();
    for (system, settings) in &config.systems {
        let Some(rollout) = settings.rollout.clone() else { continue };
        let gateway = match &settings.lifecycle {
            Some(_) => {
                let gateway = super::gateway(system, settings, Role::Lifecycle, own);
                Some(Arc::new(gateway.with_context(|| format!("system {system} cannot be changed"))?))
            }
            None => None,
        };
        // A new cluster has one user, who is called so.
        let admin = settings.lifecycle.as_ref().filter(|login| login.user == "admin");
        let admin = admin.map(|login| login.password.clone());
        parts.insert(system.clone(), Part { rollout, gateway, admin, system: settings.clone() });
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let (shelf, counted) = (agents.shelf.clone(), Arc::clone(own));
    let given = shelf.clone();
    let programs = Arc::new(move || Programs::among(given.goods().files()));
    let on_settled: OnSettled = Arc::new(move |step: &str, is_good, took| counted.step_ended(step, is_good, took));
    let mdms = shelf.clone();
    let settings = Settings {
        mode: config.lifecycle.mode,
        parts,
        systems: config.systems.keys().cloned().collect(),
        static_nodes: config.static_nodes.clone(),
        places: super::hosts::places(config),
        choose: Arc::new(move |wanted, component| package(&shelf, wanted, component)),
        newest: Arc::new(move |os, pinned| newest_mdm(&mdms, os, pinned)),
        takes_packages: |os| Os::read(os).is_ok_and(|os| os.books() != Books::Bare),
        programs,
        on_settled,
    };
    let Beside { framework, census, lines, adding } = beside;
    let watched = Watched { crew: agents.crew.clone(), framework, census, gallery: gallery.clone(), lines, adding };
    Ok(Some(Rollout::new(settings, watched, desk.clone(), state)))
}

/// The release of the MDM cluster that is made: the one that is asked for, or the newest that an operating system has.
fn newest_mdm(shelf: &Shelf, os: &str, pinned: Option<&str>) -> Result<(Box<str>, Generation), String> {
    let os = Os::read(os)?;
    let pinned = match pinned {
        Some(text) => Some(Release::read(text).ok_or_else(|| format!("release {text:?} cannot be read"))?),
        None => None,
    };
    let fits = |name: &&str| {
        PackageFile::read(name).is_ok_and(|file| pinned.as_ref().is_none_or(|pinned| file.release == *pinned))
    };
    let goods = shelf.goods();
    let lacks = || {
        let which = pinned.as_ref().map(|pinned| format!(" of release {pinned}")).unwrap_or_default();
        let pretty = &os.pretty;
        let comes = on_the_way(&goods, &fits, Component::Mdm, &os).map(|told| format!(" ({told})")).unwrap_or_default();
        format!("artefacts.folder has none of mdm{which} for {pretty}; put one there and restart the controller{comes}")
    };
    let names = goods.files().map(|file| file.name.as_str()).filter(fits);
    let file = choose(names, Component::Mdm, &os).ok_or_else(lacks)?;
    let release = PackageFile::read(file)?.release;
    let generation = release.generation().ok_or_else(|| format!("{file} is of a generation that is not known"))?;
    Ok((release.to_string().into(), generation))
}

/// The best of what comes from elsewhere and is not here, in a sentence.
pub(super) fn on_the_way(
    goods: &Goods,
    fits: &impl Fn(&&str) -> bool,
    component: Component,
    os: &Os,
) -> Option<String> {
    let name = choose(goods.coming().keys().map(String::as_str).filter(fits), component, os)?;
    Some(goods.coming().get(name)?.told(name))
}

/// The newest package that a node can take and the MDM is not older than. One that is on its way counts as if it were
/// here, unless it cannot be had. The error says what lacks.
fn package(shelf: &Shelf, wanted: &Wanted<'_>, component: Component) -> Result<Package, Lack> {
    let os = Os::read(wanted.os).map_err(Lack::None)?;
    let unread = |what: String| Lack::None(what);
    let mdm =
        release(wanted.mdm).ok_or_else(|| unread(format!("the MDM's release {:?} is not understood", wanted.mdm)))?;
    let pinned = match wanted.pinned {
        Some(text) => Some(Release::read(text).ok_or_else(|| unread(format!("release {text:?} cannot be read")))?),
        None => None,
    };
    let fits = |name: &&str| {
        PackageFile::read(name).is_ok_and(|file| match &pinned {
            Some(pinned) => file.release == *pinned,
            None => file.release <= mdm && file.release.generation() == mdm.generation(),
        })
    };
    let goods = shelf.goods();
    let here = goods.files().map(|file| file.name.as_str());
    let chosen = choose(here.chain(goods.awaited().map(|(name, _)| name)).filter(fits), component, &os);
    if let Some((artefact, _)) = chosen.and_then(|name| goods.find(name)) {
        return Ok(Package { artefact: artefact.clone(), is_bare: os.books() == Books::Bare });
    }
    if let Some((name, coming)) = chosen.and_then(|name| Some((name, goods.coming().get(name)?))) {
        return Err(Lack::Comes(coming.told(name)));
    }
    let which = match wanted.pinned {
        Some(pinned) => format!("of release {pinned}"),
        None => format!("of the MDM's generation and not newer than {mdm}"),
    };
    Err(Lack::None(match on_the_way(&goods, &fits, component, &os) {
        Some(told) => told,
        None => format!(
            "artefacts.folder has none of {component} {which} for {}; put one there and restart the controller",
            os.pretty
        ),
    }))
}

/// `R3_6.700.103` and `3.6.700.103` are one release.
fn release(text: &str) -> Option<Release> {
    Release::read(&text.trim_start_matches('R').replace('_', "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "EMC-ScaleIO-sds-3.6-700.103.el7.x86_64.rpm",
            "EMC-ScaleIO-sds-3.6-900.1.el7.x86_64.rpm",
            "EMC-ScaleIO-sds-3.5-1200.1.el7.x86_64.rpm",
            "EMC-ScaleIO-sds-3.0-200.1.el7.x86_64.rpm",
            "README.txt",
        ] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let shelf = Shelf::scan(folder.path()).unwrap();
        (folder, shelf)
    }

    #[test]
    fn a_new_cluster_gets_the_newest_release_or_the_one_that_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for release in ["2.0-13000.211", "3.6-700.103"] {
            std::fs::write(folder.path().join(format!("EMC-ScaleIO-mdm-{release}.el7.x86_64.rpm")), release).unwrap();
        }
        let shelf = Shelf::scan(folder.path()).unwrap();
        let newest = |os: &str, pinned| newest_mdm(&shelf, os, pinned);
        let el7 = "ID=centos\nVERSION_ID=7";
        assert_eq!(newest(el7, None), Ok(("3.6-700.103".into(), Generation::V3_5)));
        assert_eq!(newest(el7, Some("2.0-13000.211")), Ok(("2.0-13000.211".into(), Generation::V2_0)));
        let told = newest(el7, Some("3.5-1.1")).unwrap_err();
        assert!(told.contains("mdm of release 3.5-1.1") && told.contains("artefacts.folder"), "{told}");
        assert!(newest("ID=ubuntu\nVERSION_ID=18.04", None).unwrap_err().contains("none of mdm for"));
    }

    #[test]
    fn the_newest_package_that_the_mdm_is_not_older_than_is_taken() {
        let (_folder, shelf) = shelf();
        let wanted = |os, mdm, pinned| Wanted { os, mdm, pinned };
        let el7 = "ID=centos\nVERSION_ID=7";
        let name = |wanted| {
            let chosen = package(&shelf, &wanted, Component::Sds);
            chosen.map(|package| package.artefact.name).map_err(Lack::told)
        };
        assert!(name(wanted(el7, "R3_6.700.103", None)).unwrap().contains("3.6-700.103"));
        assert!(name(wanted(el7, "R3_6.500.1", None)).unwrap().contains("3.5-1200.1"));
        assert!(name(wanted(el7, "3.6.950.1", None)).unwrap().contains("3.6-900.1"));
        assert!(name(wanted(el7, "3.6.950.1", Some("3.6-700.103"))).unwrap().contains("3.6-700.103"));
        let told = name(wanted(el7, "R2_6.11000.113", None)).unwrap_err();
        assert!(told.contains("not newer than 2.6.11000.113") && told.contains("artefacts.folder"), "{told}");
        assert!(name(wanted("ID=rocky\nVERSION_ID=9", "R3_6.700.103", None)).is_err());
        assert!(name(wanted("ID=plan9", "R3_6.700.103", None)).unwrap_err().contains("plan9"));
    }
}

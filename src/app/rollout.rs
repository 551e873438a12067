//! Wiring of the rollout: which systems, whose sessions, and how packages are
//! chosen for nodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use tokio::sync::watch;

use super::agents::Agents;
use crate::agent::recipes::os::Os;
use crate::agent::recipes::package::{PackageFile, choose};
use crate::agent::recipes::release::Release;
use crate::config::Config;
use crate::enrol::artefacts::Shelf;
use crate::fleet::rollout::run::{Handles, OnSettled, Part, Rollout, Settings, Watched};
use crate::fleet::rollout::steps::Wanted;
use crate::gateway::Role;
use crate::metrics::Own;
use crate::model::framework::FrameworkStatus;
use crate::model::id::SystemId;
use crate::model::lifecycle::Lifecycle;
use crate::model::order::{Artefact, Component};
use crate::store::{Desk, State};
use crate::watches::Gallery;

/// Who else is at work on nodes.
pub(super) struct Beside {
    pub(super) framework: Option<watch::Receiver<Arc<FrameworkStatus>>>,
    pub(super) works: BTreeMap<SystemId, watch::Receiver<Arc<Lifecycle>>>,
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
        parts.insert(system.clone(), Part { rollout, gateway });
    }
    if parts.is_empty() {
        return Ok(None);
    }
    let (shelf, counted) = (agents.shelf.clone(), Arc::clone(own));
    let on_settled: OnSettled =
        Arc::new(move |settled| counted.step_ended(settled.step.as_str(), settled.is_good, settled.took));
    let settings = Settings {
        mode: config.lifecycle.mode,
        parts,
        systems: config.systems.keys().cloned().collect(),
        static_nodes: config.static_nodes.clone(),
        choose: Arc::new(move |wanted, component| package(&shelf, wanted, component)),
        on_settled,
    };
    let Beside { framework, works } = beside;
    let watched = Watched { crew: agents.crew.clone(), framework, gallery: gallery.clone(), works };
    Ok(Some(Rollout::new(settings, watched, desk.clone(), state)))
}

/// The newest package that a node can take and the MDM is not older than. The error says what lacks.
fn package(shelf: &Shelf, wanted: &Wanted<'_>, component: Component) -> Result<Artefact, String> {
    let os = Os::read(wanted.os)?;
    let mdm = release(wanted.mdm).ok_or_else(|| format!("the MDM's release {:?} is not understood", wanted.mdm))?;
    let pinned = match wanted.pinned {
        Some(text) => Some(Release::read(text).ok_or_else(|| format!("release {text:?} cannot be read"))?),
        None => None,
    };
    let fits = |name: &&str| {
        PackageFile::read(name).is_ok_and(|file| match &pinned {
            Some(pinned) => file.release == *pinned,
            None => file.release <= mdm && file.release.generation() == mdm.generation(),
        })
    };
    let names = shelf.files().map(|file| file.name.as_str()).filter(fits);
    let chosen = choose(names, component, &os).and_then(|name| shelf.find(name));
    chosen.map(|(artefact, _)| artefact.clone()).ok_or_else(|| {
        let which = match wanted.pinned {
            Some(pinned) => format!("of release {pinned}"),
            None => format!("of the MDM's generation and not newer than {mdm}"),
        };
        format!(
            "artefacts.folder has none of {component} {which} for {}; put one there and restart the controller",
            os.pretty
        )
    })
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
    fn the_newest_package_that_the_mdm_is_not_older_than_is_taken() {
        let (_folder, shelf) = shelf();
        let wanted = |os, mdm, pinned| Wanted { os, mdm, pinned };
        let el7 = "ID=centos\nVERSION_ID=7";
        let name = |wanted| package(&shelf, &wanted, Component::Sds).map(|artefact| artefact.name);
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

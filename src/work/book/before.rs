//! Which release did what lies on a node have before the one that we gave it?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Book;
use crate::model::id::{NodeName, RunId};
use crate::model::step::{Action, Component};

/// The release that a component of a node had, and the one that it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct WayBack {
    pub from: Box<str>,
    pub to: Box<str>,
}

/// The way back of each node.
pub type Before = BTreeMap<NodeName, BTreeMap<Component, WayBack>>;

impl Book {
    /// What follows from a step that is seen done for the way back of its node.
    pub(super) fn changed(&mut self, run: &RunId, task: u32, action: Action) {
        let Some((task, _)) = self.runs.get(run).and_then(|run| run.task(task)) else { return };
        match action {
            Action::Apply { version, components } => {
                let Some(from) = task.from.clone().filter(|from| *from != version) else { return };
                let way = WayBack { from, to: version };
                let all = self.before.entry(task.node.clone()).or_default();
                all.extend(components.into_iter().map(|component| (component, way.clone())));
            }
            Action::Uninstall { components } => {
                if let Some(all) = self.before.get_mut(&task.node) {
                    all.retain(|component, _| !components.contains(component));
                }
                self.before.retain(|_, all| !all.is_empty());
            }
            Action::Finalise => self.before.clear(),
            _ => {}
        }
    }
}

//! How do new rules come into a running engine? As a whole when all of it is
//! good; else the old ones stay, and it is told.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tracing::{error, info};

use super::rules::{self, RuleSet};
use crate::config::{Alerts, Poll};
use crate::metrics::Own;
use crate::model::unit::Timestamp;

/// Takes over rules for an engine that runs.
pub struct Reloader {
    rules: watch::Sender<Arc<RuleSet>>,
    problem: watch::Sender<Option<String>>,
    poll: Poll,
    own: Arc<Own>,
}

impl Reloader {
    /// With the rules of the start. `poll` is the beat of evaluations.
    pub fn new(rules: RuleSet, poll: &Poll, own: Arc<Own>, now: Timestamp) -> Self {
        own.rules_loaded(true, rules.alerts.len(), now);
        let rules = watch::Sender::new(Arc::new(rules));
        Self { rules, problem: watch::Sender::new(None), poll: poll.clone(), own }
    }

    /// The rules that are in force.
    pub fn rules(&self) -> watch::Receiver<Arc<RuleSet>> {
        self.rules.subscribe()
    }

    /// Why the newest rules are not in force.
    pub fn problem(&self) -> watch::Receiver<Option<String>> {
        self.problem.subscribe()
    }

    /// Takes over what was configured anew, or keeps what there is.
    pub fn reload<E: fmt::Display>(&self, settings: Result<Alerts, E>, now: Timestamp) {
        let loaded = settings
            .map_err(|error| error.to_string())
            .and_then(|settings| rules::load(&settings, &self.poll).map_err(|errors| errors.to_string()));
        match loaded {
            Ok(rules) => {
                info!(rules = rules.alerts.len(), "alert rules are loaded anew");
                self.own.rules_loaded(true, rules.alerts.len(), now);
                self.rules.send_replace(Arc::new(rules));
                self.problem.send_replace(None);
            }
            Err(reason) => {
                error!(reason, "the new alert rules cannot be used; the old ones stay");
                self.own.rules_loaded(false, self.rules.borrow().alerts.len(), now);
                let problem = format!("the new alert rules cannot be used, the old ones stay: {reason}");
                self.problem.send_replace(Some(problem));
            }
        }
    }
}

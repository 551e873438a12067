//! What an agent does on its host, and what that does to the system.

use chrono::TimeDelta;

use super::super::host::{Looked, Mesos};
use super::{Deed, Parcel, Site, Was, refused};
use crate::model::id::NodeName;
use crate::model::permit::Permit;
use crate::model::step::{Action, Answer, Component, StepId};
use crate::model::unit::Timestamp;
use crate::sim::world::Component as Package;

impl Site {
    pub(super) fn order(&mut self, step: &StepId, permit: &Permit, now: Timestamp) -> Answer {
        let Some(host) = self.hosts.get_mut(&permit.node) else { return refused("no such node") };
        if host.silent || now < host.up_at {
            return Answer::Unknown { why: "the agent does not answer".into() };
        }
        if let Some(answer) = host.ledger.get(step) {
            return answer.clone();
        }
        if let Err(error) = permit.admits(&permit.node, host.epoch, now) {
            return Answer::Refused { why: error.to_string().into() };
        }
        if host.working.is_some() {
            return refused("another step is in work");
        }
        host.epoch = host.epoch.max(permit.epoch);
        let seconds = match &permit.action {
            Action::Stage { .. } => 5,
            Action::Reboot => 90 + host.slow_seconds,
            _ => 30 + host.slow_seconds,
        };
        host.slow_seconds = 0;
        // What was not begun when its permit ends is not begun any more.
        let most = (permit.expires - now).num_seconds() - 1;
        let stops = !matches!(permit.action, Action::Stage { .. });
        let waits = if stops { std::mem::take(&mut host.busy_seconds).clamp(0, most.max(0)) } else { 0 };
        host.working = Some((step.clone(), permit.action.clone(), now + TimeDelta::seconds(waits + seconds)));
        host.stops_at = Some(now + TimeDelta::seconds(waits));
        host.looked = Some(Looked { installed: host.installed.clone(), running: host.running.clone() });
        // The ledger is written first: who asks again is told that it was begun.
        host.ledger.insert(step.clone(), Answer::Accepted);
        self.act(&permit.node, now);
        Answer::Accepted
    }

    /// What the step at hand stops is stopped, when nothing keeps the agent from it any more.
    fn act(&mut self, node: &NodeName, now: Timestamp) {
        let Some(host) = self.hosts.get_mut(node).filter(|host| host.stops_at.is_some_and(|at| now >= at)) else {
            return;
        };
        host.stops_at = None;
        let Some((step, action, until)) = host.working.clone() else { return };
        let (sds, mdm, epoch, mut ran) = (host.sds, host.mdm.clone(), host.epoch, host.running.clone());
        if self.world.sds.get(&sds).is_some_and(|sds| sds.connected()) {
            ran.insert(Component::Sds);
        }
        if self.world.mdm.members.iter().any(|member| member.up && Some(&member.name) == mdm.as_ref()) {
            ran.insert(Component::Mdm);
        }
        let owned = self.world.mdm.master().is_some_and(|master| Some(&master.name) == mdm.as_ref());
        let was = Was { ran, owned };
        self.deeds.push(Deed::Executed { step, node: node.clone(), action: action.clone(), epoch, was });
        self.stop(node, &action, until);
    }

    /// Whoever works on a host switches it off, and on again then. Tells whether it was on.
    pub(in crate::proof) fn switch_off(&mut self, node: &NodeName, until: Timestamp) -> bool {
        let Some(host) = self.hosts.get_mut(node).filter(|host| !host.is_off && host.working.is_none()) else {
            return false;
        };
        host.is_off = true;
        self.stop(node, &Action::Reboot, until);
        true
    }

    /// What an action takes away at once.
    fn stop(&mut self, node: &NodeName, action: &Action, until: Timestamp) {
        let Some(host) = self.hosts.get_mut(node) else { return };
        let all: Vec<Component> = host.installed.keys().copied().collect();
        let stopped = match action {
            Action::Apply { components, .. }
            | Action::Rollback { components, .. }
            | Action::Uninstall { components } => components.clone(),
            Action::Reboot => {
                host.up_at = until;
                all
            }
            _ => Vec::new(),
        };
        let (sds, mdm, sdc) = (host.sds_name.clone(), host.mdm.clone(), host.sdc.to_string());
        for component in stopped {
            host.running.remove(&component);
            // What is down already stays down.
            let _ = match (component, &mdm) {
                (Component::Sds, _) => self.world.fail_sds(&sds),
                (Component::Mdm, Some(mdm)) => self.world.fail_mdm(mdm),
                (Component::Sdc, _) => self.world.set_sdc_connected(&sdc, false),
                _ => Ok(()),
            };
        }
    }

    /// Steps of agents come to their end, and drains too.
    pub(super) fn carry_on(&mut self, node: &NodeName, now: Timestamp) {
        let Some(host) = self.hosts.get_mut(node) else { return };
        if let Mesos::Draining(Some(until)) = host.mesos
            && now >= until
        {
            host.mesos = Mesos::Drained;
            host.open_volumes = 0;
        }
        if host.mesos == Mesos::Active && host.open_volumes == 0 {
            host.open_volumes = 1;
        }
        if host.is_off && now >= host.up_at {
            host.is_off = false;
            host.boot += 1;
            let all: Vec<Component> = host.installed.keys().copied().collect();
            return self.start(node, &all);
        }
        self.act(node, now);
        let Some(host) = self.hosts.get_mut(node) else { return };
        let Some((step, action, _)) = host.working.take_if(|(_, _, until)| now >= *until) else { return };
        host.looked = None;
        let mut started = Vec::new();
        match &action {
            Action::Stage { version, components } => {
                for component in components {
                    host.staged.entry(*component).or_default().insert(version.clone());
                }
            }
            Action::Apply { version, components } => {
                for component in components {
                    host.installed.insert(*component, version.clone());
                }
                if std::mem::take(&mut host.broken) {
                    let answer = Answer::Failed { why: "the service did not start".into() };
                    host.ledger.insert(step.clone(), answer.clone());
                    host.unheard = Some(step.clone());
                    self.post(1, Parcel::Answer(step, answer));
                    return;
                }
                started.clone_from(components);
            }
            Action::Rollback { version, components } => {
                for component in components {
                    host.installed.insert(*component, version.clone());
                }
                started.clone_from(components);
            }
            Action::Uninstall { components } => host.installed.retain(|component, _| !components.contains(component)),
            Action::Reboot => {
                host.boot += 1;
                if !std::mem::take(&mut host.boots_old) {
                    host.kernel = host.next_kernel.clone();
                }
                started = host.installed.keys().copied().collect();
            }
            _ => {}
        }
        self.start(node, &started);
    }

    /// Services run again, in the version that is installed.
    pub(in crate::proof) fn start(&mut self, node: &NodeName, components: &[Component]) {
        let Some(host) = self.hosts.get_mut(node) else { return };
        let (sds, mdm, sdc) = (host.sds_name.clone(), host.mdm.clone(), host.sdc.to_string());
        for component in components {
            host.running.insert(*component);
            let version = host.installed.get(component).cloned().unwrap_or_default();
            let (package, _) = match (component, &mdm) {
                (Component::Sds, _) => (Some(Package::Sds(sds.clone())), self.world.return_sds(&sds)),
                (Component::Mdm, Some(mdm)) => (Some(Package::Mdm(mdm.clone())), self.world.return_mdm(mdm)),
                (Component::Sdc, _) => (Some(Package::Sdc(sdc.clone())), self.world.set_sdc_connected(&sdc, true)),
                _ => (None, Ok(())),
            };
            if let Some(package) = package {
                let _ = self.world.install(&package, &version);
            }
        }
    }
}

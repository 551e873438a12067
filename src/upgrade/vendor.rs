//! What is planned where the vendor's own tool upgrades, from 4.0 on: gates before it and at its end, and the watch
//! between. Nothing is installed, stopped or put into maintenance by us.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Fleet, Habits, Host, Verdict, soak, stage, step, task};
use crate::model::cluster::MdmRole;
use crate::model::id::NodeName;
use crate::model::plan::{Parallel, Risk, Stage};
use crate::model::step::Action;

/// What is predicted of one server: drained of what it serves, upgraded, restarted and in sync again.
const SERVER: u32 = 1800;

/// A plan may wait for no step longer than a day. One that is over before the tool is can be made again.
const DAY: u32 = 86_400;

/// How a system without a host that could be asked is called among nodes.
const SYSTEM: &str = "the system";

/// The plan that watches: one task, at the host of whoever owns the MDM cluster.
pub(super) fn watch(
    to: &str,
    only: &BTreeSet<NodeName>,
    hosts: &[Host<'_>],
    fleet: &Fleet<'_>,
    habits: &Habits,
    report: &mut BTreeMap<NodeName, Verdict>,
) -> Vec<Stage> {
    if !only.is_empty() {
        let why = "PowerFlex Manager upgrades the system as a whole; ask for it without naming nodes";
        report.extend(only.iter().map(|node| (node.clone(), Verdict::Cannot(why.into()))));
        return Vec::new();
    }
    let servers = fleet.snapshot.sds.iter().flat_map(|part| part.iter());
    let old = servers.filter(|sds| sds.version.as_ref().is_none_or(|version| version.as_str() != to)).count();
    let members = fleet.snapshot.array.iter().filter_map(|array| array.mdm.as_ref()).flat_map(|mdm| &mdm.members);
    let behind = members.filter(|mdm| mdm.version.as_ref().is_none_or(|version| version.as_str() != to)).count();
    let says = if old + behind == 0 { Verdict::AlreadySo } else { Verdict::Watched };
    report.extend(hosts.iter().map(|host| (host.name.clone(), says.clone())));
    if says == Verdict::AlreadySo {
        return Vec::new();
    }
    let owner = hosts.iter().find(|host| host.mdm.is_some_and(|mdm| mdm.role == MdmRole::Primary));
    let Some(host) = owner.or_else(|| hosts.first()) else {
        let why = "no agent of ours was heard in it, and who watches an upgrade wants one at least";
        report.insert(NodeName::new(SYSTEM), Verdict::Cannot(why.into()));
        return Vec::new();
    };
    let predicted = u32::try_from(old).unwrap_or(u32::MAX).saturating_mul(SERVER).clamp(SERVER, DAY);
    let steps = vec![step(Action::Vendor { version: to.into() }, DAY, predicted, Risk::None), soak(habits)];
    vec![stage("vendor", Parallel::One, 1, false, vec![task(host, steps)])]
}

/// Packages are no concern of ours there.
pub(super) fn fetches(hosts: &[Host<'_>], report: &mut BTreeMap<NodeName, Verdict>) -> Vec<Stage> {
    let why = "PowerFlex Manager brings the packages of a release to the nodes of its systems by itself";
    report.extend(hosts.iter().map(|host| (host.name.clone(), Verdict::Cannot(why.into()))));
    Vec::new()
}

//! Is the MDM cluster well, and may this member of it be stopped?

use super::super::book::Run;
use super::{Ask, Holds};
use crate::model::cluster::{MdmCluster, MdmMember, MdmRole};
use crate::model::hold::Reason;
use crate::model::id::MdmId;
use crate::model::plan::Request;
use crate::model::state::{ClusterState, MdmStatus, Seen, State as _, UpgradeState};
use crate::model::step::{Component, StepKind};

/// The MDM is in no upgrade, or shows the last one until the next begins.
const AT_REST: [UpgradeState; 2] = [UpgradeState::NoUpgrade, UpgradeState::PostProcessingDone];

/// All of an upgrade may be there, and it is not final.
const UNDER_WAY: [UpgradeState; 2] = [UpgradeState::MdmUpgradeInProgress, UpgradeState::UpgradeInProgress];

/// All members and replicas are good, and no upgrade is under way but our own.
pub(super) fn is_well(ask: &Ask<'_>, holds: &mut Holds) {
    // The way back is closed once the upgrade is final, and where nobody tells whether it is.
    if ask.run.goes_back() {
        is_well_in(ask, holds, |state| UNDER_WAY.contains(&state));
        let array = ask.facts.snapshot().and_then(|snapshot| snapshot.array.as_ref());
        if array.is_some_and(|array| array.upgrade_state.is_none()) {
            holds.push(Reason::Unseen { what: "whether the upgrade is final".into() });
        }
        return;
    }
    is_well_in(ask, holds, |state| AT_REST.contains(&state) || (UNDER_WAY.contains(&state) && upgrades_itself(ask)));
}

/// Whether the upgrade that the MDM may be in is the one that is carried out here: a run has installed this release already.
fn upgrades_itself(ask: &Ask<'_>) -> bool {
    let Request::Upgrade { to, .. } = &ask.run.plan.request else { return false };
    let installs = |run: &Run| {
        matches!(&run.plan.request, Request::Upgrade { to: other, .. } if other == to)
            && run.tasks.iter().any(|task| task.touched.contains_key(&StepKind::Apply))
    };
    // Of runs that were put away it is known what they gave to whom. Where a member has neither that nor what was there
    // before it, or none has it yet, somebody brings the MDM elsewhere.
    let ways = || ask.book.before.values().flat_map(|all| all.values()).filter(|way| way.to == *to);
    let members = ask.facts.mdm().map(|(cluster, _)| cluster.members.as_slice()).unwrap_or_default();
    let told = || members.iter().filter_map(|member| member.version.as_ref()).map(|version| version.as_str());
    let fits = |version: &str| version == &**to || ways().any(|way| *way.from == *version);
    let gave = ways().next().is_some() && told().any(|version| version == &**to) && told().all(fits);
    gave || ask.book.runs.values().any(|run| installs(run))
}

/// All members and replicas are good, all of an upgrade is there, and only its end is not.
pub(super) fn may_finalise(ask: &Ask<'_>, holds: &mut Holds) {
    is_well_in(ask, holds, |state| UNDER_WAY.contains(&state));
    let Request::Finalise { to } = &ask.run.plan.request else { return };
    let mut must = |what: String, version: Option<&str>| {
        if version != Some(&**to) {
            let version = version.unwrap_or("an unknown release").into();
            holds.push(Reason::NotUpgraded { what: what.into(), version, to: to.clone() });
        }
    };
    for member in ask.facts.mdm().into_iter().flat_map(|(cluster, _)| &cluster.members) {
        must(format!("MDM {}", name(member)), member.version.as_ref().map(|version| version.as_str()));
    }
    let servers = ask.facts.snapshot().and_then(|snapshot| snapshot.sds.as_ref());
    for sds in servers.into_iter().flat_map(|part| part.value.iter()) {
        let name = sds.name.as_deref().map_or_else(|| sds.id.to_string(), str::to_owned);
        must(format!("SDS {name}"), sds.version.as_ref().map(|version| version.as_str()));
    }
    // Clients of others are not ours to bring along; of our hosts everything is.
    for (node, host) in ask.facts.nodes {
        for component in [Component::Mdm, Component::Sds, Component::Sdc] {
            for version in host.installed.get(&component).into_iter().flatten() {
                must(format!("{component} on {node}"), Some(version));
            }
        }
    }
}

fn is_well_in(ask: &Ask<'_>, holds: &mut Holds, may_be: impl Fn(UpgradeState) -> bool) {
    let array = ask.facts.snapshot().and_then(|snapshot| snapshot.array.as_ref());
    if !ask.fresh("the system", array.map(|part| part.begun_at), ask.policy.fresh, holds) {
        return;
    }
    let Some(array) = array else { return };
    match &array.upgrade_state {
        // A finished upgrade is shown until the next one begins. Of one that is not told the MDM says no by itself.
        None => {}
        Some(Seen::Is(state)) if may_be(*state) => {}
        Some(Seen::Is(state)) => {
            holds.push(Reason::UpgradeState { state: state.word().into() });
        }
        Some(Seen::Other(word)) => {
            holds.push(Reason::UnknownState { what: "the upgrade".into(), word: word.clone() });
        }
    }
    let Some(mdm) = &array.mdm else {
        holds.push(Reason::Unseen { what: "the MDM cluster".into() });
        return;
    };
    match &mdm.state {
        Seen::Is(ClusterState::Normal) => {}
        Seen::Is(ClusterState::Degraded | ClusterState::NotClustered | ClusterState::Invalid) => {
            holds.push(Reason::MdmNotNormal { state: mdm.state.word().into() });
        }
        Seen::Other(word) => {
            holds.push(Reason::UnknownState { what: "the MDM cluster".into(), word: word.clone() });
        }
    }
    let managers = |role: MdmRole| matches!(role, MdmRole::Primary | MdmRole::Secondary);
    let (nodes, replicas) =
        (voters(mdm).count() as u32, mdm.members.iter().filter(|member| managers(member.role)).count() as u32);
    if mdm.good_nodes.is_some_and(|good| good < nodes) || mdm.good_replicas.is_some_and(|good| good < replicas) {
        holds.push(Reason::MdmNotNormal { state: "missing a good node or replica".into() });
    }
    members_are_well(mdm, None, holds);
}

fn name(member: &MdmMember) -> Box<str> {
    member.name.clone().unwrap_or_else(|| member.id.to_string().into())
}

fn voters(mdm: &MdmCluster) -> impl Iterator<Item = &MdmMember> {
    let votes = |role: MdmRole| matches!(role, MdmRole::Primary | MdmRole::Secondary | MdmRole::TieBreaker);
    mdm.members.iter().filter(move |member| votes(member.role))
}

/// Members that vote are up and in sync, this one aside.
fn members_are_well(mdm: &MdmCluster, aside: Option<&MdmId>, holds: &mut Holds) {
    for member in voters(mdm).filter(|member| Some(&member.id) != aside) {
        match &member.status {
            None if member.role == MdmRole::Primary => {}
            Some(Seen::Is(MdmStatus::Normal)) => {}
            None => holds.push(Reason::MdmMemberBad { member: name(member), status: "of no known status".into() }),
            Some(Seen::Other(word)) => {
                holds.push(Reason::UnknownState { what: format!("MDM {}", name(member)).into(), word: word.clone() });
            }
            Some(seen) => holds.push(Reason::MdmMemberBad { member: name(member), status: seen.word().into() }),
        }
    }
}

/// What is installed on it may be put back: the cluster stands without it, or it is down already, by the words of both its host
/// and the cluster. Whatever is down loses nothing by it.
pub(super) fn may_be_put_back(ask: &Ask<'_>, holds: &mut Holds) {
    let array = ask.facts.snapshot().and_then(|snapshot| snapshot.array.as_ref());
    if !ask.fresh("the system", array.map(|part| part.begun_at), ask.policy.fresh, holds) {
        return;
    }
    let Some(mdm) = array.and_then(|array| array.mdm.as_ref()) else {
        holds.push(Reason::Unseen { what: "the MDM cluster".into() });
        return;
    };
    let own = mdm.members.iter().find(|member| Some(&member.id) == ask.task.mdm.as_ref());
    let runs = ask.host().is_none_or(|host| host.running.contains(&Component::Mdm));
    let away = own.and_then(|own| own.status.as_ref()).is_some_and(|status| !status.is(MdmStatus::Normal));
    if away && !runs {
        return;
    }
    may_stop_now(ask, holds);
    members_are_well(mdm, ask.task.mdm.as_ref(), holds);
}

/// Ownership has not moved lately, except by us.
pub(super) fn is_quiet(ask: &Ask<'_>, holds: &mut Holds) {
    let changed = ask.facts.picture.observed.primary_changed_at;
    let ours = ask.run.tasks.iter().filter_map(|task| task.touched.get(&StepKind::SwitchMdm)).max();
    if let Some(at) = changed
        && ask.facts.now - at < ask.policy.mdm_quiet
        && ours.is_none_or(|ours| at - *ours > super::super::book::SETTLE)
    {
        holds.push(Reason::MdmChanged { at });
    }
}

/// No other member is in work.
pub(super) fn may_stop_soon(ask: &Ask<'_>, holds: &mut Holds) {
    holds.seen(None);
    for (run, number, task, _) in ask.book.in_work() {
        if task.mdm.is_some() && !(run.id == ask.run.id && number == ask.number) {
            holds.push(Reason::MdmInWork { node: task.node.clone() });
        }
    }
}

/// It is known not to own the cluster, and no other member is in work.
pub(super) fn may_stop_now(ask: &Ask<'_>, holds: &mut Holds) {
    may_stop_soon(ask, holds);
    let Some((cluster, at)) = ask.facts.mdm() else { return };
    holds.seen(Some(at));
    match cluster.primary() {
        Some(primary) if Some(&primary.id) == ask.task.mdm.as_ref() => {
            holds.push(Reason::MdmOwned { node: ask.task.node.clone() });
        }
        Some(_) => {}
        None => holds.push(Reason::Unseen { what: "the owner of the MDM cluster".into() }),
    }
}

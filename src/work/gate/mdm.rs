//! Is the MDM cluster well, and may this member of it be stopped?

use super::{Ask, Holds};
use crate::model::cluster::MdmRole;
use crate::model::hold::Reason;
use crate::model::state::{ClusterState, MdmStatus, Seen, UpgradeState};

/// All members and replicas are good, and no upgrade is under way.
pub(super) fn is_well(ask: &Ask<'_>, holds: &mut Holds) {
    is_well_in(ask, holds, &[UpgradeState::NoUpgrade, UpgradeState::PostProcessingDone]);
}

/// All members and replicas are good, and all of an upgrade is done but its end.
pub(super) fn may_finalise(ask: &Ask<'_>, holds: &mut Holds) {
    is_well_in(ask, holds, &[UpgradeState::MdmUpgradeInProgress, UpgradeState::UpgradeInProgress]);
}

fn is_well_in(ask: &Ask<'_>, holds: &mut Holds, states: &[UpgradeState]) {
    let array = ask.facts.snapshot().and_then(|snapshot| snapshot.array.as_ref());
    if !ask.fresh("the system", array.map(|part| part.begun_at), ask.policy.fresh, holds) {
        return;
    }
    let Some(array) = array else { return };
    match &array.upgrade_state {
        // A finished upgrade is shown until the next one begins. Of one that is not told the MDM says no by itself.
        None => {}
        Some(Seen::Is(state)) if states.contains(state) => {}
        Some(Seen::Is(state)) => {
            holds.push(Reason::UpgradeState { state: crate::model::state::State::word(*state).into() });
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
    let voters = |member: &&crate::model::cluster::MdmMember| {
        matches!(member.role, MdmRole::Primary | MdmRole::Secondary | MdmRole::TieBreaker)
    };
    let managers = |role: MdmRole| matches!(role, MdmRole::Primary | MdmRole::Secondary);
    let (nodes, replicas) = (
        mdm.members.iter().filter(voters).count() as u32,
        mdm.members.iter().filter(|member| managers(member.role)).count() as u32,
    );
    if mdm.good_nodes.is_some_and(|good| good < nodes) || mdm.good_replicas.is_some_and(|good| good < replicas) {
        holds.push(Reason::MdmNotNormal { state: "missing a good node or replica".into() });
    }
    for member in mdm.members.iter().filter(voters) {
        let name = || member.name.clone().unwrap_or_else(|| member.id.to_string().into());
        match &member.status {
            None if member.role == MdmRole::Primary => {}
            Some(Seen::Is(MdmStatus::Normal)) => {}
            None => holds.push(Reason::MdmMemberBad { member: name(), status: "of no known status".into() }),
            Some(Seen::Other(word)) => {
                holds.push(Reason::UnknownState { what: format!("MDM {}", name()).into(), word: word.clone() });
            }
            Some(seen) => holds.push(Reason::MdmMemberBad { member: name(), status: seen.word().into() }),
        }
    }
}

/// Ownership has not moved lately, except by us.
pub(super) fn is_quiet(ask: &Ask<'_>, holds: &mut Holds) {
    let changed = ask.facts.picture.observed.primary_changed_at;
    let ours = ask.run.tasks.iter().filter_map(|task| task.touched.get(&crate::model::step::StepKind::SwitchMdm)).max();
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

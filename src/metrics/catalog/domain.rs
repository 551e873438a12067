//! Families of protection domains.

use crate::metrics::derive::{UsedBy, used_by};
use crate::metrics::encode::Lines;
use crate::metrics::view::View;
use crate::model::id::ProtectionDomainId;
use crate::model::snapshot::Collector;
use crate::model::state::DomainState;
use crate::model::stats::{Stat, StatKind};

use super::shared::{self, labelled, own_use, write_used_by};
use super::{Area, Family, Read, Rule};

pub(super) fn families() -> Vec<Family> {
    let area = Area::of(Collector::ProtectionDomains, &["system", "protection_domain"]);
    let mut all = vec![
        area.gauge(
            "scaleio_protection_domain_active",
            &[],
            "1 when the state is Active.",
            "ProtectionDomain.protectionDomainState",
            Rule::Whole(|view, lines| {
                for domain in view.domains() {
                    let active = domain.object.state.is(DomainState::Active);
                    lines.sample(domain.labels, "", Some(f64::from(active)));
                }
            }),
        ),
        area.gauge(
            "scaleio_protection_domain_rebuild_queue_length",
            &["operation"],
            "Length of the send queue of background work (rebuild, rebalance, migration, maintenance).",
            "rebuildWaitSendQLength, rebalanceWaitSendQLength, vtreeMigrationWaitSendQLength, protectedMaintenanceModeWaitSendQLength",
            Rule::Stats(StatKind::ProtectionDomain, labelled("operation", &[
                ("rebuild", Read::Number(Stat::RebuildWaitSendQLength)),
                ("rebalance", Read::Number(Stat::RebalanceWaitSendQLength)),
                ("migration", Read::Number(Stat::VtreeMigrationWaitSendQLength)),
                ("maintenance", Read::Number(Stat::ProtectedMaintenanceModeWaitSendQLength)),
            ])),
        ),
        shared::used_by_family("protection_domain", area, Rule::Whole(used_by_kind)),
    ];
    all.extend(shared::families("protection_domain", StatKind::ProtectionDomain, area));
    all
}

fn used_by_kind(view: &View<'_>, lines: &mut Lines<'_>) {
    for domain in view.domains() {
        // A domain has no statistic of user data to fall back to; its pools do.
        let used = own_use(domain.row).or_else(|| of_pools(view, &domain.object.id));
        write_used_by(used, domain.labels, lines);
    }
}

/// The sum over the pools of a domain; nothing unless all of them tell.
fn of_pools(view: &View<'_>, domain: &ProtectionDomainId) -> Option<UsedBy> {
    view.pools()
        .filter(|pool| pool.object.domain.as_ref() == Some(domain))
        .map(|pool| pool.row.and_then(used_by))
        .reduce(|sum, pool| Some(sum?.plus(pool?)))
        .flatten()
}

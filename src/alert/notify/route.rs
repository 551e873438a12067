//! Which routes take an alert, and in which group is it told there?

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::config::{Notify, Route};
use crate::model::alerting::{Alert, Fingerprint, GroupKey, Labels, all_accept};

/// A group of one route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GroupId {
    /// Name of the route.
    pub route: String,
    /// What its alerts have in common.
    pub key: GroupKey,
}

/// Groups of one route that are told apart. What is more goes into one group, so that the memory of all of them fits
/// into one commit.
const MOST_GROUPS: usize = 300;

/// The routes that take an alert, in their order: the first one, and those after it while they say to go on. The
/// last route, the default, takes what no other took.
pub fn routes<'a>(notify: &'a Notify, labels: &Labels) -> Vec<&'a Route> {
    let Some((default, named)) = notify.routes.split_last() else { return Vec::new() };
    let mut taken = Vec::new();
    for route in named {
        if all_accept(&route.matchers, labels) {
            taken.push(route);
            if !route.go_on {
                return taken;
            }
        }
    }
    if taken.is_empty() {
        taken.push(default);
    }
    taken
}

/// What an alert has in common with those that are told with it.
pub fn key(route: &Route, alert: &Alert) -> GroupKey {
    let by = |label: &str| route.group_by.contains(label);
    let others = route.group_by.iter().filter(|label| !matches!(label.as_str(), "system" | "area"));
    let labels = others.map(|label| (label.clone(), alert.labels.get(label).cloned().unwrap_or_default()));
    GroupKey {
        system: alert.system.clone().filter(|_| by("system")),
        area: if by("area") { alert.area.clone() } else { GroupKey::SEVERAL.to_owned() },
        labels: labels.collect(),
    }
}

/// The alerts of each group. Groups that are known stay what they are.
pub fn groups<'a>(
    notify: &Notify,
    alerts: impl Iterator<Item = (Fingerprint, &'a Alert)>,
    known: &BTreeSet<GroupId>,
) -> BTreeMap<GroupId, BTreeSet<Fingerprint>> {
    let mut groups: BTreeMap<GroupId, BTreeSet<Fingerprint>> = BTreeMap::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for id in known {
        if let Some(route) = notify.routes.iter().find(|route| route.name == id.route) {
            *counts.entry(&route.name).or_default() += 1;
        }
    }
    for (fingerprint, alert) in alerts {
        for route in routes(notify, &alert.labels) {
            let mut id = GroupId { route: route.name.clone(), key: key(route, alert) };
            if !known.contains(&id) && !groups.contains_key(&id) {
                let count = counts.entry(&route.name).or_default();
                if *count >= MOST_GROUPS {
                    id.key = GroupKey::new(None, GroupKey::SEVERAL);
                } else {
                    *count += 1;
                }
            }
            groups.entry(id).or_default().insert(fingerprint);
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::super::tests::{alert_with, route};
    use super::*;
    use crate::model::alerting::{Matcher, Severity};

    fn notify(routes: Vec<Route>) -> Notify {
        let mut notify = Notify::default_for(vec!["ops@example.test".to_owned()]);
        notify.routes.splice(0..0, routes);
        notify
    }

    #[test]
    fn the_first_route_that_fits_takes_it_and_the_default_takes_the_rest() {
        let mut first = route("critical", &[r#"severity="critical""#]);
        let second = route("prod", &[r#"system=~"prod.*""#, r#"severity!="info""#]);
        let names = |notify: &Notify, labels: &[(&str, &str)], severity| -> Vec<String> {
            let alert = alert_with("A", severity, labels);
            routes(notify, &alert.labels).into_iter().map(|route| route.name.clone()).collect()
        };
        let strict = notify(vec![first.clone(), second.clone()]);
        assert_eq!(names(&strict, &[("system", "prod-1")], Severity::Critical), ["critical"]);
        assert_eq!(names(&strict, &[("system", "prod-1")], Severity::Warning), ["prod"]);
        assert_eq!(names(&strict, &[("system", "test")], Severity::Warning), ["default"]);
        assert_eq!(names(&strict, &[("system", "prod-1")], Severity::Info), ["default"]);
        first.go_on = true;
        let on = notify(vec![first, second]);
        assert_eq!(names(&on, &[("system", "prod-1")], Severity::Critical), ["critical", "prod"]);
        assert_eq!(names(&on, &[("system", "test")], Severity::Critical), ["critical"]);
    }

    #[test]
    fn groups_are_made_by_the_labels_of_the_route() {
        let mut by_pool = route("a", &[]);
        by_pool.group_by = ["storage_pool".to_owned()].into();
        let alert = alert_with("A", Severity::Warning, &[("system", "s"), ("storage_pool", "ssd")]);
        let key = key(&by_pool, &alert);
        assert_eq!(key.to_string(), "several areas storage_pool=ssd");
        assert_eq!(super::key(&route("b", &[]), &alert).to_string(), "s/sds");
        assert!(all_accept(&[Matcher::equal("storage_pool", "ssd")], &alert.labels));
    }

    #[test]
    fn more_groups_than_can_be_kept_are_one_group() {
        let mut by_object = route("a", &[r#"system="s""#]);
        by_object.group_by = ["object".to_owned()].into();
        let notify = notify(vec![by_object]);
        let names: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        let alerts: Vec<Alert> =
            names.iter().map(|name| alert_with("A", Severity::Warning, &[("system", "s"), ("object", name)])).collect();
        let all = || alerts.iter().map(|alert| (alert.fingerprint(), alert));
        let first = groups(&notify, all(), &BTreeSet::new());
        assert_eq!(first.len(), MOST_GROUPS + 1);
        assert_eq!(first.values().map(BTreeSet::len).sum::<usize>(), 1_000);
        let known: BTreeSet<GroupId> = first.keys().cloned().collect();
        assert_eq!(groups(&notify, all(), &known).keys().cloned().collect::<BTreeSet<_>>(), known);
    }
}

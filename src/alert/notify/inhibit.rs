//! Which alerts are no news while another one fires? What follows from it, and
//! what says less of the same.
//!
//! What tells that data is lost or out of reach is inhibited by nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Inhibit;
use crate::model::alerting::{Alert, Fingerprint, Labels, Matcher, Severity, all_accept};

/// Alerts that nothing but a person's own silence keeps from being told.
const DATA_AT_STAKE: [&str; 5] = [
    "ScaleioDataFailed",
    "ScaleioProtectionDomainInactive",
    "ScaleioMultipleSdsDown",
    "ScaleioFaultSetPartlyDown",
    "ScaleioPoolCritical",
];

/// Source, target, and the labels in which they are equal. `docs/alerts.md` has the same for Alertmanager.
const TABLE: [(&str, &[&str], &[&str]); 8] = [
    (r#"alertname="ScaleioSystemUnreachable""#, &[r#"alertname=~"Scaleio.+""#, r#"area!="exporter""#], &["system"]),
    (
        r#"alertname="ScaleioSystemUnreachable""#,
        &[r#"alertname=~"ScaleioDataStale|ScaleioCollectorSlow|ScaleioSeriesDropped|ScaleioUnknownFields""#],
        &["system"],
    ),
    (
        r#"alertname="ScaleioMultipleSdsDown""#,
        &[r#"alertname="ScaleioSdsDisconnected""#],
        &["system", "protection_domain"],
    ),
    (r#"alertname="ScaleioManySdcsDisconnected""#, &[r#"alertname="ScaleioSdcDisconnected""#], &["system"]),
    (
        r#"alertname="ScaleioPoolCritical""#,
        &[r#"alertname=~"ScaleioPoolHigh|ScaleioPoolFullIn.+""#],
        &["system", "protection_domain", "storage_pool"],
    ),
    (
        r#"alertname="ScaleioDataFailed""#,
        &[r#"alertname=~"ScaleioDataDegraded.*""#],
        &["system", "protection_domain", "storage_pool"],
    ),
    (
        r#"alertname="ScaleioMdmQuorumAtRisk""#,
        &[r#"alertname=~"ScaleioMdmClusterNotNormal|ScaleioMdmMemberDown""#],
        &["system"],
    ),
    (
        r#"alertname="ScaleioCertificateExpiresNow""#,
        &[r#"alertname="ScaleioCertificateExpiresSoon""#],
        &["component", "subject"],
    ),
];

/// The inhibitions that the program brings along.
pub fn shipped() -> Vec<Inhibit> {
    let rules = TABLE.iter().map(|(source, target, equal)| {
        Some(Inhibit {
            source: vec![Matcher::parse(source).ok()?],
            target: target.iter().map(|text| Matcher::parse(text).ok()).collect::<Option<_>>()?,
            equal: equal.iter().map(|label| (*label).to_owned()).collect(),
        })
    });
    rules.flatten().collect()
}

/// Whether an alert says that data is lost or out of reach, or about to be.
pub fn is_sacred(alert: &Alert) -> bool {
    DATA_AT_STAKE.contains(&alert.name.as_str())
}

/// What is no news, with the name of the alert that makes it so.
pub fn inhibited(rules: &[Inhibit], firing: &BTreeMap<Fingerprint, &Alert>) -> BTreeMap<Fingerprint, String> {
    let mut out = BTreeMap::new();
    for rule in rules {
        let key = |labels: &Labels| -> Vec<String> {
            rule.equal.iter().map(|label| labels.get(label).cloned().unwrap_or_default()).collect()
        };
        let sources = firing.values().filter(|alert| all_accept(&rule.source, &alert.labels));
        let sources: BTreeMap<Vec<String>, &str> =
            sources.map(|alert| (key(&alert.labels), alert.name.as_str())).collect();
        if sources.is_empty() {
            continue;
        }
        // One that is source and target would keep its own kind silent, until nobody hears of any.
        let targets = firing
            .iter()
            .filter(|(_, alert)| all_accept(&rule.target, &alert.labels) && !all_accept(&rule.source, &alert.labels));
        for (fingerprint, alert) in targets {
            if let Some(source) = sources.get(&key(&alert.labels)) {
                out.entry(*fingerprint).or_insert_with(|| (*source).to_owned());
            }
        }
    }
    out.extend(said_graver(firing));
    out.retain(|fingerprint, _| firing.get(fingerprint).is_some_and(|alert| !is_sacred(alert)));
    out
}

/// Alerts of which one with the same name and object fires with a higher severity.
fn said_graver(firing: &BTreeMap<Fingerprint, &Alert>) -> BTreeMap<Fingerprint, String> {
    // Most names have one severity: only the others are looked at closely.
    let mut severities: BTreeMap<&str, BTreeSet<Severity>> = BTreeMap::new();
    for alert in firing.values() {
        severities.entry(&alert.name).or_default().insert(alert.severity);
    }
    let object = |alert: &Alert| {
        let mut labels = alert.labels.clone();
        labels.remove("severity");
        labels
    };
    let several = |alert: &Alert| severities.get(alert.name.as_str()).is_some_and(|severities| severities.len() > 1);
    let alerts: Vec<_> = firing.iter().filter(|(_, alert)| several(alert)).collect();
    let mut gravest: BTreeMap<Labels, Severity> = BTreeMap::new();
    for (_, alert) in &alerts {
        let entry = gravest.entry(object(alert)).or_insert(alert.severity);
        *entry = alert.severity.max(*entry);
    }
    let less = |alert: &Alert| gravest.get(&object(alert)).is_some_and(|gravest| *gravest > alert.severity);
    alerts
        .into_iter()
        .filter(|(_, alert)| less(alert))
        .map(|(fingerprint, alert)| (*fingerprint, alert.name.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::alert_with;
    use super::*;

    fn muted(alerts: &[Alert]) -> Vec<String> {
        let firing: BTreeMap<_, _> = alerts.iter().map(|alert| (alert.fingerprint(), alert)).collect();
        let out = inhibited(&shipped(), &firing);
        let mut out: Vec<String> = out.keys().map(|fingerprint| firing[fingerprint].name.clone()).collect();
        out.sort();
        out
    }

    fn critical(name: &str, labels: &[(&str, &str)]) -> Alert {
        alert_with(name, Severity::Critical, labels)
    }

    #[test]
    fn every_shipped_inhibition_is_well_formed() {
        assert_eq!(shipped().len(), TABLE.len());
    }

    #[test]
    fn a_system_that_is_unreachable_mutes_its_own_alerts_and_no_others() {
        let alerts = [
            critical("ScaleioSystemUnreachable", &[("system", "s"), ("area", "exporter")]),
            critical("ScaleioMdmClusterNotNormal", &[("system", "s"), ("area", "mdm")]),
            critical("ScaleioDataStale", &[("system", "s"), ("area", "exporter")]),
            critical("ScaleioMdmClusterNotNormal", &[("system", "other"), ("area", "mdm")]),
            critical("ScaleioDataFailed", &[("system", "s"), ("area", "protection")]),
        ];
        assert_eq!(muted(&alerts), ["ScaleioDataStale", "ScaleioMdmClusterNotNormal"]);
    }

    #[test]
    fn the_graver_one_of_the_same_pool_mutes_the_lesser_one() {
        let alerts = [
            critical("ScaleioPoolCritical", &[("system", "s"), ("storage_pool", "a")]),
            critical("ScaleioPoolHigh", &[("system", "s"), ("storage_pool", "a")]),
            critical("ScaleioPoolHigh", &[("system", "s"), ("storage_pool", "b")]),
        ];
        assert_eq!(muted(&alerts), ["ScaleioPoolHigh"]);
    }

    #[test]
    fn a_warning_is_muted_by_the_critical_one_of_the_same_name_and_object() {
        let own = |severity, object| alert_with("Own", severity, &[("system", "s"), ("object", object)]);
        let alerts = [own(Severity::Critical, "a"), own(Severity::Warning, "a"), own(Severity::Warning, "b")];
        let firing: BTreeMap<_, _> = alerts.iter().map(|alert| (alert.fingerprint(), alert)).collect();
        let out = inhibited(&[], &firing);
        assert_eq!(out.keys().collect::<Vec<_>>(), [&alerts[1].fingerprint()]);
    }

    #[test]
    fn an_alert_of_both_sides_mutes_not_its_own_kind() {
        let rule = Inhibit {
            source: vec![Matcher::equal("system", "s")],
            target: vec![Matcher::equal("system", "s")],
            equal: vec!["system".to_owned()],
        };
        let alerts = [critical("A", &[("system", "s")]), critical("B", &[("system", "s")])];
        let firing = alerts.iter().map(|alert| (alert.fingerprint(), alert)).collect();
        assert!(inhibited(&[rule], &firing).is_empty());
    }
}

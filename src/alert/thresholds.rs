//! Where in the shipped rules does each threshold stand, in expressions and in
//! what people read?
//!
//! Rule files hold plain numbers, so that Prometheus loads them as they are.
//! This table finds the numbers again; a test holds it to the files.

use crate::model::alerting::Threshold;

/// A place where a rule says a threshold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) key: &'static str,
    /// The alert, or what the rule records.
    pub(super) rule: &'static str,
    pub(super) part: Part,
    /// What the shipped file says.
    pub(super) old: &'static str,
    /// What it says with another value: `{}` is the number, `{%}` a hundred times it, `{rest%}` what is missing of all,
    /// `{ms}` a thousand times it, `{le}` the number as a bound of a histogram.
    pub(super) new: &'static str,
}

/// Of what of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Its expression.
    Expr,
    /// The whole expression, which is replaced.
    WholeExpr,
    /// Its summary and description.
    Text,
}

const fn expr(key: &'static str, rule: &'static str, old: &'static str, new: &'static str) -> Use {
    Use { key, rule, part: Part::Expr, old, new }
}

const fn text(key: &'static str, rule: &'static str, old: &'static str, new: &'static str) -> Use {
    Use { key, rule, part: Part::Text, old, new }
}

const fn whole(key: &'static str, rule: &'static str, new: &'static str) -> Use {
    Use { key, rule, part: Part::WholeExpr, old: "", new }
}

/// Every place. The first one of an alert is what an override's `threshold` means.
#[rustfmt::skip]
pub(super) const USES: &[Use] = &[
    expr("collector_stale", "ScaleioDataStale", "> 4 * ", "> {} * "),
    text("collector_stale", "ScaleioDataStale", "for four intervals", "for {} intervals"),
    expr("collector_slow", "ScaleioCollectorSlow", "> 0.8 * ", "> {} * "),
    expr("mdm_primary_changes", "ScaleioMdmPrimaryFlapping", ">= 3", ">= {}"),
    expr("sds_disconnections", "ScaleioSdsFlapping", ">= 3", ">= {}"),
    expr("protected_maintenance", "ScaleioMaintenanceTooLong", "> 4 * 3600", "> {}"),
    expr("instant_maintenance", "ScaleioInstantMaintenanceTooLong", "> 30 * 60", "> {}"),
    expr("pool_high", "ScaleioPoolHigh", "> 0.8 ", "> {} "),
    text("pool_high", "ScaleioPoolHigh", "(80 % where", "({%} % where"),
    expr("pool_critical", "ScaleioPoolCritical", "> 0.9 ", "> {} "),
    text("pool_critical", "ScaleioPoolCritical", "(90 % where", "({%} % where"),
    expr("pool_forecast_from", "ScaleioPoolFullIn4Days", "> 0.5", "> {}"),
    expr("pool_forecast_from", "ScaleioPoolFullIn30Days", "> 0.5", "> {}"),
    expr("pool_overcommit", "ScaleioThinOvercommit", "> 3", "> {}"),
    text("pool_overcommit", "ScaleioThinOvercommit", "more than three times", "more than {} times"),
    expr("fault_sets_differ", "ScaleioFaultSetsUnbalanced", "> 1.25", "> {}"),
    expr("rebuild_time", "ScaleioRebuildEtaLong", "> 12 * 3600", "> {}"),
    expr("device_latency", "ScaleioDeviceSlow", "> 0.02", "> {}"),
    expr("device_times_median", "ScaleioDeviceSlow", "4 * quantile", "{} * quantile"),
    text("device_times_median", "ScaleioDeviceSlow", ", 4 times", ", {} times"),
    expr("device_read_errors", "ScaleioDeviceReadErrorsGrow", "> 10", "> {}"),
    expr("volume_latency", "ScaleioVolumeLatencyHigh", "> 0.05", "> {}"),
    expr("volume_operations", "ScaleioVolumeLatencyHigh", "> 10", "> {}"),
    expr("slo_latency", "storage_pool:scaleio_slow_io:ratio5m", "le=\"0.005\"", "le=\"{le}\""),
    expr("slo_latency", "storage_pool:scaleio_slow_io:ratio30m", "le=\"0.005\"", "le=\"{le}\""),
    expr("slo_latency", "storage_pool:scaleio_slow_io:ratio1h", "le=\"0.005\"", "le=\"{le}\""),
    expr("slo_latency", "storage_pool:scaleio_slow_io:ratio6h", "le=\"0.005\"", "le=\"{le}\""),
    text("slo_latency", "ScaleioLatencySloFastBurn", "5 ms", "{ms} ms"),
    text("slo_latency", "ScaleioLatencySloSlowBurn", "5 ms", "{ms} ms"),
    expr("slo_slow_share", "ScaleioLatencySloFastBurn", "14.4 * 0.001", "14.4 * {}"),
    text("slo_slow_share", "ScaleioLatencySloFastBurn", "99.9 %", "{rest%} %"),
    expr("slo_slow_share", "ScaleioLatencySloSlowBurn", "> 6 * 0.001", "> 6 * {}"),
    text("slo_slow_share", "ScaleioLatencySloSlowBurn", "99.9 %", "{rest%} %"),
    expr("unusual_latency", "ScaleioLatencyUnusual", "> 0.002", "> {}"),
    expr("sdcs_disconnected", "ScaleioManySdcsDisconnected", "> 0.1", "> {}"),
    expr("sdcs_disconnected_least", "ScaleioManySdcsDisconnected", ">= 3", ">= {}"),
    expr("journal_full", "ScaleioReplicationJournalFull", "> 0.8", "> {}"),
    expr("certificate_soon", "ScaleioCertificateExpiresSoon", "< 30 * 86400", "< {}"),
    expr("certificate_now", "ScaleioCertificateExpiresNow", "< 3 * 86400", "< {}"),
    expr("sds_certificate", "ScaleioSdsCertificateExpires", "< 30 * 86400", "< {}"),
    expr("license", "ScaleioLicenseExpires", "< 30 * 86400", "< {}"),
];

/// Places of an override, where they differ from the others: what is said of one pool here wins over what is set at
/// the pool.
#[rustfmt::skip]
const BY_OBJECT: &[Use] = &[
    whole("pool_high", "ScaleioPoolHigh", "storage_pool:scaleio_used:ratio > {}"),
    text("pool_high", "ScaleioPoolHigh", "the high threshold set at the pool (80 % where it tells none)", "{%} %, set for this pool in section alerts"),
    whole("pool_critical", "ScaleioPoolCritical", "storage_pool:scaleio_used:ratio > {}"),
    text("pool_critical", "ScaleioPoolCritical", "the critical threshold set at the pool (90 % where it tells none)", "{%} %, set for this pool in section alerts"),
];

/// The threshold that an override of an alert changes.
pub(super) fn main_of(alert: &str) -> Option<&'static Threshold> {
    let first = USES.iter().find(|found| found.rule == alert && found.part == Part::Expr)?;
    Threshold::named(first.key)
}

/// The places of a threshold in a rule.
pub(super) fn places(key: &str, rule: &str, by_object: bool) -> Vec<&'static Use> {
    let of =
        |all: &'static [Use]| all.iter().filter(|found| found.key == key && found.rule == rule).collect::<Vec<_>>();
    Some(of(BY_OBJECT)).filter(|special| by_object && !special.is_empty()).unwrap_or_else(|| of(USES))
}

/// What stands at such a place for a value.
pub(super) fn filled(place: &Use, value: f64) -> String {
    let bound = if value.fract() == 0.0 { format!("{value:.1}") } else { plain(value) };
    let rest = plain((1.0 - value) * 100.0);
    let new = place.new.replace("{%}", &plain(value * 100.0)).replace("{rest%}", &rest);
    new.replace("{ms}", &plain(value * 1000.0)).replace("{le}", &bound).replace("{}", &plain(value))
}

/// As people and PromQL write it, without what binary fractions add.
fn plain(value: f64) -> String {
    let text = format!("{value:.9}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.parse::<f64>().is_ok_and(|read| read != 0.0) { text.to_owned() } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::super::rule_file::{self, RawRule};
    use super::super::shipped::SHIPPED;
    use super::*;
    use crate::model::alerting::THRESHOLDS;

    const OPTIONAL: &str = include_str!("../../alerts/optional/optional.rules.yml");

    fn rules() -> Vec<RawRule> {
        let texts = SHIPPED.iter().map(|(_, text)| *text).chain([OPTIONAL]);
        texts.flat_map(|text| rule_file::parse(text).unwrap().groups).flat_map(|group| group.rules).collect()
    }

    #[test]
    fn every_place_is_in_the_files_and_every_threshold_has_one() {
        let rules = rules();
        for found in USES.iter().chain(BY_OBJECT) {
            let rule = rules.iter().find(|rule| rule.name() == Some(found.rule));
            let rule = rule.unwrap_or_else(|| panic!("no rule {}", found.rule));
            let there = match found.part {
                Part::Expr => rule.expr.value.contains(found.old),
                Part::WholeExpr => true,
                Part::Text => rule.annotations.values().any(|text| text.contains(found.old)),
            };
            assert!(there, "{} does not say {:?}", found.rule, found.old);
        }
        for threshold in THRESHOLDS {
            assert!(USES.iter().any(|found| found.key == threshold.key), "{} is nowhere", threshold.key);
        }
        assert!(USES.iter().all(|found| Threshold::named(found.key).is_some()));
    }

    /// The defaults of the table are the numbers of the files: with the default filled in, nothing changes but how a
    /// number is written.
    #[test]
    fn the_default_is_what_the_file_says() {
        for found in USES.iter().filter(|found| found.part == Part::Expr) {
            let threshold = Threshold::named(found.key).unwrap();
            let product = |text: &str| {
                let digits = |c: char| c.is_ascii_digit() || c == '.' || c == '*' || c == ' ';
                let text: String = text.chars().filter(|c| digits(*c)).collect();
                text.split('*').filter_map(|factor| factor.trim().parse::<f64>().ok()).product::<f64>()
            };
            let (old, new) = (product(found.old), product(&filled(found, threshold.default)));
            assert!((old - new).abs() < 1e-9 * old, "{}: {old} in the file, {new} by the table", found.rule);
        }
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let place = text("slo_slow_share", "", "", "{} {%} {rest%} {ms} {le}");
        assert_eq!(filled(&place, 0.001), "0.001 0.1 99.9 1 0.001");
        assert_eq!(filled(&place, 1.0), "1 100 0 1000 1.0");
        assert_eq!(filled(&place, 0.07), "0.07 7 93 70 0.07");
        assert_eq!(filled(&place, 1e-12), "0.000000000001 0.0000000001 100 0.000000001 0.000000000001");
    }
}

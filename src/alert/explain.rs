//! What does the work under way explain? One table of step, alert and object,
//! for mails and safety gates alike.
//!
//! An explained alert goes on firing; people are not told of it, and a gate does
//! not hold for it. What endangers data or keeps us from seeing it is never
//! explained: failed and degraded data, a second SDS away, a quorum at risk,
//! a silent gateway. Nor is a step that is late: after `until` it explains nothing.
//!
//! The rules know of a maintenance too, but only from the newest snapshot, and
//! only of that of an SDS. The table also knows of MDMs and clients, and of the
//! minutes after a step.

use std::collections::BTreeMap;
use std::fmt;

use StepKind::{
    AddDevice, AddMember, AddSds, Apply, AwaitResync, Evacuate, ExitMaintenance, Finalise, Reboot, Rollback, Soak,
    SwitchClusterMode, SwitchMdm, Vendor, Verify,
};

use crate::model::alerting::{Labels, StepKind, Touched, Underway};
use crate::model::unit::Timestamp;

/// Steps in which what runs on the host may be away. Entering and leaving a maintenance are none: the SDS serves then,
/// and is missed when it does not.
const AWAY: &[StepKind] = &[Apply, Reboot, Verify, Rollback];

/// Those and the time after them, for alerts that look back.
const AWAY_AND_AFTER: &[StepKind] = &[Apply, Reboot, Verify, Rollback, ExitMaintenance, AwaitResync, Soak];

/// Which of its objects a step explains an alert of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// The SDS that the alert names, or whose device it names.
    Sds,
    /// The domain of such an SDS.
    Domain,
    /// The member of the MDM cluster that the alert names.
    Mdm,
    /// The MDM cluster, of which a member is worked on.
    MdmCluster,
    /// The SDC that the alert names.
    Sdc,
    /// The system, in which something is worked on.
    System,
}

struct Row {
    alert: &'static str,
    of: Of,
    steps: &'static [StepKind],
    why: &'static str,
}

const fn row(alert: &'static str, of: Of, steps: &'static [StepKind], why: &'static str) -> Row {
    Row { alert, of, steps, why }
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row("ScaleioSdsDisconnected", Of::Sds, AWAY, "the SDS is away for the work on its host"),
    row("ScaleioSdsDecoupled", Of::Sds, AWAY, "the SDS is away for the work on its host"),
    row("ScaleioDeviceError", Of::Sds, AWAY, "the devices are away with their SDS"),
    row("ScaleioSdsFlapping", Of::Sds, AWAY_AND_AFTER, "the work on its host restarts the SDS more than once"),
    row("ScaleioSdsRestarted", Of::Sds, AWAY_AND_AFTER, "the work on its host restarts the SDS"),
    row("ScaleioPathsBroken", Of::System, AWAY, "the paths to the host in work are missing"),
    row("ScaleioSdcDisconnected", Of::Sdc, AWAY, "the SDC is away for the work on its host"),
    row("ScaleioMdmMemberDown", Of::Mdm, &[Apply, Reboot, Verify, Rollback, AddMember], "the MDM is away for the work on its host, or joins"),
    row("ScaleioMdmClusterNotNormal", Of::MdmCluster, &[Apply, Reboot, Verify, Rollback, SwitchMdm, AddMember, SwitchClusterMode], "a member of the MDM cluster is in work"),
    row("ScaleioMdmPrimaryFlapping", Of::MdmCluster, &[SwitchMdm, Apply, Reboot, Verify, Rollback, AwaitResync, Soak], "the primary MDM is moved for the work on its host"),
    row("ScaleioMdmSingleMode", Of::MdmCluster, &[AddMember, SwitchClusterMode], "the MDM cluster is being made"),
    row("ScaleioMdmVersionSkew", Of::System, &[Apply, Reboot, Verify, Rollback, ExitMaintenance, AwaitResync, Soak, Finalise, Vendor], "versions differ while hosts are upgraded one by one"),
    row("ScaleioSdsVersionMismatch", Of::System, &[Apply, Reboot, Verify, Rollback, ExitMaintenance, AwaitResync, Soak, Finalise, Vendor], "versions differ while hosts are upgraded one by one"),
    row("ScaleioFaultSetsUnbalanced", Of::Domain, &[AddSds, AddDevice, Evacuate], "capacity is added to or taken from the domain"),
];

/// Alerts that tell how our own work goes. People hear of them; a gate that held for one would hold the very run that the
/// alert is about, for ever.
pub const OF_OUR_WORK: [&str; 7] = [
    "ScaleioJobMissed",
    "ScaleioMesosAgentLeftDrained",
    "ScaleioRunHalted",
    "ScaleioRunStalled",
    "ScaleioRunWaitsForPerson",
    "ScaleioRunWindowMissed",
    "ScaleioWayBackOverdue",
];

/// Why an alert is no news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// By which step.
    pub step: StepKind,
    /// In one sentence without its end.
    pub why: &'static str,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (step {})", self.why, self.step)
    }
}

/// What a step that works on these objects explains of an alert with these labels.
pub fn explains(step: StepKind, touched: &Touched, alert: &Labels) -> Option<Explained> {
    let label = |name: &str| alert.get(name).map(String::as_str);
    let name = label("alertname")?;
    let row = TABLE.iter().find(|row| row.alert == name && row.steps.contains(&step))?;
    if label("system")? != touched.system.as_str() {
        return None;
    }
    let theirs = match row.of {
        Of::Sds => {
            let (domain, sds) = (label("protection_domain")?, label("sds")?);
            touched.sds.iter().any(|(of, called)| of == domain && called == sds)
        }
        Of::Domain => {
            let domain = label("protection_domain")?;
            touched.sds.iter().any(|(of, _)| of == domain)
        }
        Of::Mdm => touched.mdms.contains(label("mdm")?),
        Of::MdmCluster => !touched.mdms.is_empty(),
        Of::Sdc => touched.sdcs.contains(label("sdc")?),
        Of::System => !(touched.sds.is_empty() && touched.mdms.is_empty() && touched.sdcs.is_empty()),
    };
    theirs.then_some(Explained { step, why: row.why })
}

/// What any step under way explains of an alert with these labels.
pub fn explained_by(underway: &[Underway], alert: &Labels, now: Timestamp) -> Option<Explained> {
    let in_time = underway.iter().filter(|work| now < work.until);
    in_time.filter_map(|work| explains(work.step, &work.touched, alert)).next()
}

/// The table as people read it: alert, object, steps.
pub fn table() -> Vec<[String; 4]> {
    let of = |of: Of| match of {
        Of::Sds => "the SDS in work, and its devices",
        Of::Domain => "the protection domain of the SDS in work",
        Of::Mdm => "the MDM in work",
        Of::MdmCluster => "the system whose MDM is in work",
        Of::Sdc => "the SDC in work",
        Of::System => "the system of the host in work",
    };
    let steps = |row: &Row| row.steps.iter().map(|step| step.as_str()).collect::<Vec<_>>().join(", ");
    TABLE.iter().map(|row| [row.alert.to_owned(), of(row.of).to_owned(), steps(row), row.why.to_owned()]).collect()
}

/// The names of alerts that some step explains.
pub fn alerts() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| (row.alert, ())).collect::<BTreeMap<_, _>>().into_keys()
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone, Utc};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::model::id::SystemId;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn of_sds(alert: &str, sds: &str) -> Labels {
        labels(&[("alertname", alert), ("system", "prod"), ("protection_domain", "pd1"), ("sds", sds)])
    }

    /// The host of sds-1, mdm-1 and sdc-1.
    fn host() -> Touched {
        Touched {
            system: SystemId::new("prod"),
            sds: [("pd1".to_owned(), "sds-1".to_owned())].into(),
            mdms: ["mdm-1".to_owned()].into(),
            sdcs: ["sdc-1".to_owned()].into(),
        }
    }

    #[test]
    fn a_reboot_explains_that_its_sds_is_disconnected_and_no_other() {
        let why = |sds| explains(Reboot, &host(), &of_sds("ScaleioSdsDisconnected", sds));
        assert_eq!(why("sds-1").unwrap().to_string(), "the SDS is away for the work on its host (step reboot)");
        assert_eq!(why("sds-2"), None);
    }

    #[test]
    fn an_sds_of_the_same_name_elsewhere_is_another_one() {
        let mut alert = of_sds("ScaleioSdsDisconnected", "sds-1");
        alert.insert("protection_domain".to_owned(), "pd2".to_owned());
        assert_eq!(explains(Reboot, &host(), &alert), None);
        alert = of_sds("ScaleioSdsDisconnected", "sds-1");
        alert.insert("system".to_owned(), "test".to_owned());
        assert_eq!(explains(Reboot, &host(), &alert), None);
    }

    #[test]
    fn a_device_is_explained_with_its_sds() {
        let mut alert = of_sds("ScaleioDeviceError", "sds-1");
        alert.insert("device".to_owned(), "sdb".to_owned());
        assert!(explains(Apply, &host(), &alert).is_some());
        assert_eq!(explains(ExitMaintenance, &host(), &alert), None, "it is back, so its devices must be");
    }

    #[test]
    fn an_sds_that_goes_into_or_out_of_maintenance_must_serve() {
        for step in [StepKind::EnterMaintenance, ExitMaintenance, AwaitResync, Soak] {
            assert_eq!(explains(step, &host(), &of_sds("ScaleioSdsDisconnected", "sds-1")), None, "{step}");
        }
    }

    #[test]
    fn the_mdm_cluster_is_explained_only_by_work_on_a_member() {
        let alert = labels(&[("alertname", "ScaleioMdmClusterNotNormal"), ("system", "prod")]);
        assert!(explains(Reboot, &host(), &alert).is_some());
        assert_eq!(explains(Reboot, &Touched { mdms: [].into(), ..host() }, &alert), None);
        let member = |mdm| labels(&[("alertname", "ScaleioMdmMemberDown"), ("system", "prod"), ("mdm", mdm)]);
        assert!(explains(Reboot, &host(), &member("mdm-1")).is_some());
        assert_eq!(explains(Reboot, &host(), &member("mdm-2")), None);
    }

    #[test]
    fn what_endangers_data_is_explained_by_no_step() {
        let never = [
            "ScaleioDataFailed",
            "ScaleioDataDegraded",
            "ScaleioDataDegradedLong",
            "ScaleioRebuildStuck",
            "ScaleioRebuildEtaLong",
            "ScaleioProtectionDomainInactive",
            "ScaleioMultipleSdsDown",
            "ScaleioFaultSetPartlyDown",
            "ScaleioMdmQuorumAtRisk",
            "ScaleioManySdcsDisconnected",
            "ScaleioCannotRebuildAfterLoss",
            "ScaleioSpareTooSmall",
            "ScaleioPoolCritical",
            "ScaleioMaintenanceTooLong",
            "ScaleioInstantMaintenanceTooLong",
            "ScaleioSystemUnreachable",
            "ScaleioDataStale",
            "ScaleioMdmAlertActive",
            "ScaleioDeviceSmartFailing",
            "ScaleioVolumeLatencyHigh",
        ];
        for alert in never {
            let mut labels = of_sds(alert, "sds-1");
            for (name, value) in [("mdm", "mdm-1"), ("sdc", "sdc-1"), ("storage_pool", "sp1")] {
                labels.insert(name.to_owned(), value.to_owned());
            }
            for step in StepKind::ALL {
                assert_eq!(explains(step, &host(), &labels), None, "{alert} by {step}");
            }
        }
    }

    #[test]
    fn a_step_that_is_late_explains_nothing() {
        let until = Utc.with_ymd_and_hms(2026, 11, 24, 12, 0, 0).unwrap();
        let work = [Underway { step: Reboot, touched: host(), until }];
        let alert = of_sds("ScaleioSdsDisconnected", "sds-1");
        assert!(explained_by(&work, &alert, until - TimeDelta::seconds(1)).is_some());
        assert_eq!(explained_by(&work, &alert, until), None);
        assert_eq!(explained_by(&[], &alert, until), None);
    }

    #[test]
    fn every_alert_of_the_rules_about_runs_is_of_our_work() {
        let rules = include_str!("../../alerts/lifecycle.rules.yml");
        let named: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        assert!(named.len() >= 6, "{named:?}");
        for alert in named {
            assert!(OF_OUR_WORK.contains(&alert), "{alert} would hold the run that it is about");
        }
        assert!(!OF_OUR_WORK.contains(&"ScaleioJobFailing"), "a look at the health that finds something bad holds");
    }

    #[test]
    fn only_alerts_that_exist_are_explained() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
        for alert in alerts().chain(OF_OUR_WORK) {
            assert!(folder.join(format!("{alert}.md")).exists(), "{alert} has no runbook");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_explained_that_the_step_does_not_touch(
            step in select(StepKind::ALL.to_vec()),
            alert in select(alerts().collect::<Vec<_>>()),
        ) {
            let mut labels = of_sds(alert, "sds-2");
            labels.insert("mdm".to_owned(), "mdm-2".to_owned());
            labels.insert("sdc".to_owned(), "sdc-2".to_owned());
            let nothing = Touched::nothing(SystemId::new("prod"));
            prop_assert_eq!(explains(step, &nothing, &labels), None);
            let elsewhere = Touched { system: SystemId::new("test"), ..host() };
            prop_assert_eq!(explains(step, &elsewhere, &labels), None);
        }
    }
}

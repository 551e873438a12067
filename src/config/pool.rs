//! How `[systems.NAME.rollout.domains.NAME.pools.NAME]` is read: what a pool is made with, and what is set of it.

use super::rollout::{DeclaredPool, media};
use super::section::{Complaint, Found, Section, complain};
use crate::model::pool::{Scan, Share};

pub(super) fn read(mut section: Section<'_>) -> DeclaredPool {
    let percent = |found: &Found<'_>| match found.number()? {
        percent @ 0..=100 => Ok(percent as u8),
        other => Err(complain(format!("{other} is no percentage"), "write a number from 0 to 100")),
    };
    let media = section.take("media", media).unwrap_or_default();
    let spare_percent = section.take("spare_percent", percent);
    let zero_padding = section.take("zero_padding", |found| found.flag());
    let checksum = section.take("checksum", |found| found.flag());
    let rebuild = share(&mut section, ["rebuild", "rebuild_ios", "rebuild_kbps"]);
    let rebalance = share(&mut section, ["rebalance", "rebalance_ios", "rebalance_kbps"]);
    let parallel_jobs = section.take("parallel_jobs", |found| match found.number()? {
        jobs @ 1..=10 => Ok(jobs as u8),
        other => Err(complain(format!("{other} jobs of a device at once"), "write a number from 1 to 10")),
    });
    let rmcache = section.take("rmcache", |found| found.flag());
    let rmcache_writes = section.take("rmcache_writes", |found| match found.text()? {
        "cached" => Ok(true),
        "passthrough" => Ok(false),
        other => {
            Err(complain(format!("{other:?} is nothing to do with writes"), "write \"cached\" or \"passthrough\""))
        }
    });
    let scanner = scanner(&mut section);
    let (high, critical) = (section.take("alert_high", percent), section.take("alert_critical", percent));
    let alerts = high.zip(critical);
    if alerts.is_some_and(|(high, critical)| high >= critical) {
        section.note("alert_high", complain("it is not below alert_critical", "make it the smaller one"));
    } else if high.is_some() != critical.is_some() && section.is_well("alert_high") && section.is_well("alert_critical")
    {
        section
            .note("alert_high", complain("the MDM takes both limits at once", "write alert_high and alert_critical"));
    }
    section.finish();
    DeclaredPool {
        media,
        spare_percent,
        zero_padding,
        checksum,
        rebuild,
        rebalance,
        parallel_jobs,
        rmcache,
        rmcache_writes,
        scanner,
        alerts,
    }
}

/// KiB/s of a device, within the bounds of the MDM.
fn kbps(found: &Found<'_>) -> Result<u32, Complaint> {
    match found.number()? {
        kbps @ 1024..=1_048_576 => Ok(kbps as u32),
        other => Err(complain(format!("{other} KiB/s of a device"), "write a number from 1024 to 1048576")),
    }
}

fn share(section: &mut Section<'_>, [key, ios_key, kbps_key]: [&'static str; 3]) -> Option<Share> {
    let policy = section.take(key, |found| match found.text()? {
        "unlimited" => Ok("unlimited"),
        "limit_ios" => Ok("limitNumOfConcurrentIos"),
        "favor_app_ios" => Ok("favorAppIos"),
        other => {
            Err(complain(format!("{other:?} is no policy"), "write \"unlimited\", \"limit_ios\" or \"favor_app_ios\""))
        }
    });
    let ios = section.take(ios_key, |found| match found.number()? {
        ios @ 1..=20 => Ok(ios as u8),
        other => Err(complain(format!("{other} operations at once"), "write a number from 1 to 20")),
    });
    let kbps = section.take(kbps_key, kbps);
    match policy {
        None if (ios.is_some() || kbps.is_some()) && section.is_well(key) => {
            section.note(key, complain("a limit is said without a policy", "write \"limit_ios\" or \"favor_app_ios\""));
        }
        Some("unlimited") if ios.is_some() || kbps.is_some() => {
            section.note(key, complain("it has no limits", "leave them out, or choose another policy"));
        }
        Some("limitNumOfConcurrentIos") if kbps.is_some() => {
            let told = "limit_ios counts operations and uses no limit in KiB/s";
            section.note(kbps_key, complain(told, "leave it out, or write \"favor_app_ios\""));
        }
        Some("limitNumOfConcurrentIos") if ios.is_none() && section.is_well(ios_key) => {
            section.note(key, complain("the limit is missing", format!("write {ios_key} = 1, or more")));
        }
        _ => {}
    }
    Some(Share { policy: policy?, ios, kbps })
}

/// The inner one is none where devices are not read through.
fn scanner(section: &mut Section<'_>) -> Option<Option<Scan>> {
    let is_on = section.take("scanner", |found| match found.text()? {
        "device_only" => Ok(true),
        "off" => Ok(false),
        other => Err(complain(format!("{other:?} is no scanner"), "write \"device_only\" or \"off\"")),
    });
    let kbps = section.take("scanner_kbps", kbps);
    if kbps.is_some() && is_on != Some(true) && section.is_well("scanner") {
        section
            .note("scanner_kbps", complain("it is said of a scanner that is off", "write scanner = \"device_only\""));
    }
    Some(is_on?.then_some(Scan { kbps }))
}

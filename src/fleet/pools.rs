//! Which settings of declared pools are not as the configuration says? Pure.
//!
//! Only what is said is compared and set, and only of pools that are there. What an MDM does not tell is left alone: nobody
//! would see whether it was set.

use crate::config::rollout::{DeclaredPool, Rollout, Topology};
use crate::model::cluster::{IoPolicy, PoolPolicies, StoragePool};
use crate::model::pool::{PoolSetting, Scan, Share};
use crate::model::snapshot::Snapshot;
use crate::model::unit::Ratio;

use super::diff::Addition;

/// A setting that is not as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What is to be set.
    pub addition: Addition,
    /// What the MDM tells of it.
    pub is: String,
}

/// What the scanner does that nobody asks for here.
const COMPARES: &str = "DataComparison";

/// What is to be set, in the order of names.
pub fn due(rollout: &Rollout, snapshot: &Snapshot) -> Vec<Wrong> {
    let of = |Declared { domain, name, wanted, pool }: Declared<'_>| {
        let one = |(setting, is)| {
            let (domain, pool) = (domain.into(), name.into());
            Wrong { addition: Addition::Setting { domain, pool, setting }, is }
        };
        differing(wanted, pool).into_iter().map(one).collect::<Vec<_>>()
    };
    declared(rollout, snapshot).into_iter().flat_map(of).collect()
}

/// What is not as it was said and stays so, in sentences.
pub fn left(rollout: &Rollout, snapshot: &Snapshot) -> Vec<String> {
    let compares = |pool: &StoragePool| pool.policies.scanner.as_deref() == Some(COMPARES);
    let all = declared(rollout, snapshot).into_iter();
    let left = all.filter(|one| one.wanted.scanner.is_some() && compares(one.pool));
    let told = |Declared { domain, name, .. }: Declared<'_>| {
        format!(
            "the scanner of pool {name} in domain {domain} compares both copies ({COMPARES}), which is never taken back"
        )
    };
    left.map(told).collect()
}

/// A pool that is declared and there.
struct Declared<'a> {
    domain: &'a str,
    name: &'a str,
    wanted: &'a DeclaredPool,
    pool: &'a StoragePool,
}

fn declared<'a>(rollout: &'a Rollout, snapshot: &'a Snapshot) -> Vec<Declared<'a>> {
    let Topology::Declared { domains, .. } = &rollout.topology else { return Vec::new() };
    let (Some(there), Some(pools)) = (&snapshot.domains, &snapshot.pools) else { return Vec::new() };
    let mut found = Vec::new();
    for (domain, declared) in domains {
        let Some(id) = there.iter().find(|one| one.name.as_ref() == Some(domain)).map(|one| &one.id) else { continue };
        for (name, wanted) in &declared.pools {
            let is_it = |pool: &&StoragePool| pool.domain.as_ref() == Some(id) && pool.name.as_ref() == Some(name);
            let Some(pool) = pools.iter().find(is_it) else { continue };
            found.push(Declared { domain, name, wanted, pool });
        }
    }
    found
}

/// Each with what is instead.
fn differing(wanted: &DeclaredPool, pool: &StoragePool) -> Vec<(PoolSetting, String)> {
    let PoolPolicies { rebuild, rebalance, parallel_jobs, rmcache, rmcache_writes, scanner, scanner_kbps } =
        &pool.policies;
    let mut due = Vec::new();
    due.extend(share(wanted.rebuild.as_ref(), rebuild).map(|wanted| (PoolSetting::Rebuild(wanted), told(rebuild))));
    due.extend(
        share(wanted.rebalance.as_ref(), rebalance).map(|wanted| (PoolSetting::Rebalance(wanted), told(rebalance))),
    );
    if let (Some(wanted), Some(is)) = (wanted.parallel_jobs, parallel_jobs)
        && u32::from(wanted) != *is
    {
        due.push((PoolSetting::ParallelJobs(wanted), is.to_string()));
    }
    if let (Some(wanted), Some(is)) = (wanted.rmcache, rmcache)
        && wanted != *is
    {
        due.push((PoolSetting::RmCache(wanted), is.to_string()));
    }
    if let (Some(wanted), Some(is)) = (wanted.rmcache_writes, rmcache_writes)
        && wanted != (&**is == "Cached")
    {
        due.push((PoolSetting::RmCacheWrites(wanted), is.to_string()));
    }
    if let (Some(wanted), Some(is)) = (&wanted.scanner, scanner)
        && &**is != COMPARES
    {
        let is_as_wanted = match wanted {
            None => &**is == "Disabled",
            Some(Scan { kbps }) => {
                &**is == "DeviceOnly" && kbps.is_none_or(|kbps| scanner_kbps.is_none_or(|is| is == kbps))
            }
        };
        if !is_as_wanted {
            let kbps = scanner_kbps.map(|kbps| format!(", {kbps} KiB/s")).unwrap_or_default();
            due.push((PoolSetting::Scanner(wanted.clone()), format!("{is}{kbps}")));
        }
    }
    let percent = |ratio: &Option<Ratio>| ratio.as_ref().map(|ratio| (ratio.get() * 100.0).round());
    if let (Some((high, critical)), Some(is_high), Some(is_critical)) =
        (wanted.alerts, percent(&pool.capacity_alert_high), percent(&pool.capacity_alert_critical))
        && (f64::from(high), f64::from(critical)) != (is_high, is_critical)
    {
        due.push((PoolSetting::Alerts { high, critical }, format!("{is_high} % and {is_critical} %")));
    }
    due
}

fn told(is: &IoPolicy) -> String {
    let limit = |limit: Option<u32>, unit: &str| limit.map(|limit| format!(", {limit} {unit}")).unwrap_or_default();
    let (ios, kbps) = (limit(is.ios, "operations at once"), limit(is.kbps, "KiB/s of a device"));
    format!("{}{ios}{kbps}", is.policy.as_deref().unwrap_or_default())
}

/// A limit that the policy does not use is not told, and so not compared.
fn share(wanted: Option<&Share>, is: &IoPolicy) -> Option<Share> {
    let wanted = wanted?;
    let policy = is.policy.as_ref()?;
    let ios_differ = wanted.ios.is_some_and(|ios| is.ios.is_some_and(|is| is != u32::from(ios)));
    let kbps_differ = wanted.kbps.is_some_and(|kbps| is.kbps.is_some_and(|is| is != kbps));
    (**policy != *wanted.policy || ios_differ || kbps_differ).then(|| wanted.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> StoragePool {
        let told = |policy: &str| IoPolicy { policy: Some(policy.into()), ios: Some(1), kbps: Some(10_240) };
        StoragePool {
            name: Some("p".into()),
            capacity_alert_high: Some(Ratio::from_percent(80.0)),
            capacity_alert_critical: Some(Ratio::from_percent(90.0)),
            policies: PoolPolicies {
                rebuild: told("limitNumOfConcurrentIos"),
                rebalance: told("favorAppIos"),
                parallel_jobs: Some(2),
                rmcache: Some(true),
                rmcache_writes: Some("Passthrough".into()),
                scanner: Some("Disabled".into()),
                scanner_kbps: Some(1024),
            },
            ..StoragePool::unknown(crate::model::id::ObjectId::from_number(1).into())
        }
    }

    fn told(wanted: &DeclaredPool, pool: &StoragePool) -> Vec<String> {
        differing(wanted, pool).iter().map(|(setting, _)| setting.to_string()).collect()
    }

    fn wanted() -> DeclaredPool {
        let share = |policy, ios, kbps| Some(Share { policy, ios, kbps });
        DeclaredPool {
            rebuild: share("limitNumOfConcurrentIos", Some(3), None),
            rebalance: share("unlimited", None, None),
            parallel_jobs: Some(4),
            rmcache: Some(false),
            rmcache_writes: Some(true),
            scanner: Some(Some(Scan { kbps: Some(2048) })),
            alerts: Some((70, 85)),
            ..DeclaredPool::default()
        }
    }

    #[test]
    fn what_is_said_and_differs_is_set_and_nothing_else() {
        assert_eq!(
            told(&wanted(), &pool()),
            [
                "rebuild: limitNumOfConcurrentIos, 3 operations at once",
                "rebalance: unlimited",
                "rebuild and rebalance: 4 jobs of a device at once",
                "RAM cache: off",
                "writes in the RAM cache: on",
                "scanner: 2048 KiB/s of a device",
                "alerts of capacity: 70 % and 85 %",
            ]
        );
        assert!(told(&DeclaredPool::default(), &pool()).is_empty(), "nothing was said");
        let silent = StoragePool {
            policies: PoolPolicies::default(),
            capacity_alert_high: None,
            capacity_alert_critical: None,
            ..pool()
        };
        assert!(told(&wanted(), &silent).is_empty(), "nobody would see whether it was set");
    }

    #[test]
    fn what_is_instead_is_told_and_a_scanner_that_compares_both_copies_stays() {
        let is: Vec<String> = differing(&wanted(), &pool()).into_iter().map(|(_, is)| is).collect();
        let limits = "1 operations at once, 10240 KiB/s of a device";
        assert_eq!(is[..2], [format!("limitNumOfConcurrentIos, {limits}"), format!("favorAppIos, {limits}")]);
        assert_eq!(is[2..], ["2", "true", "Passthrough", "Disabled, 1024 KiB/s", "80 % and 90 %"]);
        let policies = PoolPolicies { scanner: Some(COMPARES.into()), ..PoolPolicies::default() };
        let compares = StoragePool { policies, capacity_alert_high: None, ..pool() };
        assert_eq!(told(&wanted(), &compares), [""; 0]);
        let off = DeclaredPool { scanner: Some(None), ..DeclaredPool::default() };
        assert_eq!(told(&off, &compares), [""; 0], "nor is it switched off");
    }

    #[test]
    fn what_is_as_said_is_not_set_again() {
        let mut pool = pool();
        let limit = |policy: &str, ios: Option<u32>| IoPolicy { policy: Some(policy.into()), ios, kbps: None };
        pool.policies = PoolPolicies {
            rebuild: limit("limitNumOfConcurrentIos", Some(3)),
            // Without a limit none is told.
            rebalance: limit("unlimited", None),
            parallel_jobs: Some(4),
            rmcache: Some(false),
            rmcache_writes: Some("Cached".into()),
            scanner: Some("DeviceOnly".into()),
            scanner_kbps: Some(2048),
        };
        (pool.capacity_alert_high, pool.capacity_alert_critical) =
            (Some(Ratio::from_percent(70.0)), Some(Ratio::from_percent(85.0)));
        assert_eq!(told(&wanted(), &pool), [] as [&str; 0]);
        let off = DeclaredPool { scanner: Some(None), ..DeclaredPool::default() };
        assert_eq!(told(&off, &pool), ["scanner: off"]);
    }
}

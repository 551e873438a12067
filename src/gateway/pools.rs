//! How much a pool does beside serving: one request a setting, as the vendor's description names them.

use serde_json::{Value, json};

use super::client::Gateway;
use super::error::GatewayError;
use super::request::Call;
use crate::model::id::StoragePoolId;
use crate::model::pool::{PoolSetting, Share};

/// The action and what is sent with it. Numbers go as text, as every release takes them.
fn request(setting: &PoolSetting) -> (&'static str, Value) {
    let share = |share: &Share| {
        let mut body = json!({ "policy": share.policy });
        if let Some(ios) = share.ios {
            body["numOfConcurrentIosPerDevice"] = json!(ios.to_string());
        }
        if let Some(kbps) = share.kbps {
            body["bwLimitPerDeviceInKbps"] = json!(kbps.to_string());
        }
        body
    };
    match setting {
        PoolSetting::Rebuild(wanted) => ("setRebuildIoPriorityPolicy", share(wanted)),
        PoolSetting::Rebalance(wanted) => ("setRebalanceIoPriorityPolicy", share(wanted)),
        PoolSetting::ParallelJobs(limit) => ("setRebuildRebalanceParallelism", json!({ "limit": limit.to_string() })),
        PoolSetting::RmCache(on) => ("setUseRmcache", json!({ "useRmcache": on.to_string() })),
        PoolSetting::RmCacheWrites(on) => {
            let mode = if *on { "Cached" } else { "Passthrough" };
            ("setRmcacheWriteHandlingMode", json!({ "rmcacheWriteHandlingMode": mode }))
        }
        PoolSetting::Scanner(None) => ("disableBackgroundDeviceScanner", json!({})),
        PoolSetting::Scanner(Some(scan)) => {
            let mut body = json!({ "readErrorAction": "ReportAndFix" });
            if let Some(kbps) = scan.kbps {
                body["bandwidthLimitInKbpsPerDevice"] = json!(kbps.to_string());
            }
            ("enableBackgroundDeviceScanner", body)
        }
        PoolSetting::Alerts { high, critical } => (
            "setCapacityAlertThresholds",
            json!({
                "capacityAlertHighThresholdPercent": high.to_string(),
                "capacityAlertCriticalThresholdPercent": critical.to_string(),
            }),
        ),
    }
}

impl Gateway {
    /// Changes a setting of a pool.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn set_pool(&self, pool: &StoragePoolId, setting: &PoolSetting) -> Result<(), GatewayError> {
        let (action, body) = request(setting);
        let path = format!("/api/instances/StoragePool::{pool}/action/{action}");
        self.call(Call::change(action, path, body.to_string().into_bytes())).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::pool::Scan;

    #[test]
    fn each_setting_is_asked_for_by_its_action_with_what_was_said_alone() {
        let share = |ios, kbps| Share { policy: "favorAppIos", ios, kbps };
        let scan = |kbps| PoolSetting::Scanner(Some(Scan { kbps }));
        for (setting, action, body) in [
            (PoolSetting::Rebuild(share(None, None)), "setRebuildIoPriorityPolicy", json!({ "policy": "favorAppIos" })),
            (
                PoolSetting::Rebalance(share(Some(2), Some(2048))),
                "setRebalanceIoPriorityPolicy",
                json!({ "policy": "favorAppIos", "numOfConcurrentIosPerDevice": "2", "bwLimitPerDeviceInKbps": "2048" }),
            ),
            (PoolSetting::ParallelJobs(3), "setRebuildRebalanceParallelism", json!({ "limit": "3" })),
            (PoolSetting::RmCache(false), "setUseRmcache", json!({ "useRmcache": "false" })),
            (
                PoolSetting::RmCacheWrites(true),
                "setRmcacheWriteHandlingMode",
                json!({ "rmcacheWriteHandlingMode": "Cached" }),
            ),
            (PoolSetting::Scanner(None), "disableBackgroundDeviceScanner", json!({})),
            (scan(None), "enableBackgroundDeviceScanner", json!({ "readErrorAction": "ReportAndFix" })),
            (
                scan(Some(1024)),
                "enableBackgroundDeviceScanner",
                json!({ "readErrorAction": "ReportAndFix", "bandwidthLimitInKbpsPerDevice": "1024" }),
            ),
            (
                PoolSetting::Alerts { high: 70, critical: 85 },
                "setCapacityAlertThresholds",
                json!({ "capacityAlertHighThresholdPercent": "70", "capacityAlertCriticalThresholdPercent": "85" }),
            ),
        ] {
            assert_eq!(request(&setting), (action, body), "{setting}");
        }
    }
}

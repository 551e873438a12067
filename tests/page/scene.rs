//! What the tests of the page begin with: somebody who is told, and an alert that fires.

pub use crate::mailing::{alerting, sink};
use crate::site::{Site, eventually};

/// Waits until an alert fires; gives its fingerprint.
pub async fn fires(site: &Site) -> String {
    eventually("an alert fires", async || {
        let alerts = site.json("/api/v1/alerts").await;
        let all = alerts["alerts"].as_object().ok_or_else(|| alerts.to_string())?;
        let firing = all.iter().find(|(_, alert)| alert["state"]["state"] == "firing");
        firing.map(|(fingerprint, _)| fingerprint.clone()).ok_or_else(|| alerts.to_string())
    })
    .await
}

//! What a gateway does with actions: words of its refusals, answers without
//! result, and what people do to alerts and installations.

use std::time::Duration;

use reqwest::StatusCode;
use scaleio_framework::sim::Release;
use serde_json::{Value, json};

use crate::caller::{Caller, started};

async fn admin(release: Release) -> (scaleio_framework::sim::Running, Caller) {
    let (running, caller) = started(release).await;
    let admin = caller.login(running.admin()).await;
    (running, admin)
}

async fn id_of(caller: &Caller, kind: &str, name: &str) -> String {
    let path = format!("/api/types/{kind}/instances/action/queryIdByKey");
    caller.post(&path, json!({"name": name})).await.json().as_str().unwrap().to_owned()
}

#[tokio::test]
async fn requests_that_lack_or_garble_something_are_refused_with_what_is_wrong() {
    let (_running, caller) = admin(Release::V3_6).await;
    let asked = [
        (
            json!({}),
            "Request message is not valid: The following parameter(s) must be part of the request body: storagePoolId.",
        ),
        (
            json!({"storagePoolId": "1"}),
            "Request message is not valid: One of the following parameter(s) must be part of the request body: \
             volumeSizeInKb, volumeSizeInGb.",
        ),
        (
            json!({"storagePoolId": "pool", "volumeSizeInGb": "8"}),
            "id (pool) must be a hexadecimal number (unsigned long)",
        ),
        (
            json!({"storagePoolId": "1", "volumeSizeInGb": 8, "volumeType": "Fat"}),
            "volumeType should get one of the following values: ThickProvisioned, ThinProvisioned, but its value is Fat",
        ),
    ];
    for (body, message) in asked {
        assert_eq!(caller.post("/api/types/Volume/instances", body).await.refused(400, 0), message);
    }
    let pool = id_of(&caller, "StoragePool", "pool-1").await;
    let path = format!("/api/instances/StoragePool::{pool}/action/setRebuildEnabled");
    assert!(caller.post(&path, json!({"rebuildEnabled": "maybe"})).await.refused(400, 0).contains("TRUE, FALSE"));
    for given in [json!("TRUE"), json!("False"), json!(true)] {
        assert_eq!(caller.post(&path, json!({"rebuildEnabled": given})).await.text, "{}");
    }
    assert_eq!(caller.post(&path.replace("Rebuild", "Nonsense"), json!({})).await.refused(404, 0), "Not found");
    let same = json!({"snapshotDefs": [{"volumeId": "1"}, {"volumeId": "2"}]});
    let refusal = caller.post("/api/instances/System/action/snapshotVolumes", same).await;
    assert_eq!(refusal.refused(500, 79), "Error with details");
    let details = refusal.json()["details"].clone();
    assert_eq!((details.as_array().unwrap().len(), &details[0]["error"]), (2, &json!("VOL_NOT_FOUND")));
    assert_eq!(details[0]["rc"], 79);
}

#[tokio::test]
async fn maintenance_answers_200_and_tells_each_verdict_in_the_shape_of_its_mode() {
    let (running, caller) = admin(Release::V3_6).await;
    let sds = id_of(&caller, "Sds", "sds-1-1").await;
    let system = id_of(&caller, "System", "simulated").await;
    let instant = "/api/instances/System/action/enterMaintenanceMode";
    let protected = format!("/api/instances/System::{system}/action/enterProtectedMaintenanceMode");
    let entered = caller.post(instant, json!({"sdsId": sds})).await.json();
    assert_eq!(entered, json!({"sdsMMResults": [{"sdsId": sds, "message": "SUCCESS", "resultCode": "65"}]}));
    let refused = caller.post(&protected, json!({"sdsId": sds})).await;
    assert_eq!(refused.status, StatusCode::OK, "refused all the same");
    assert_eq!(refused.json(), json!([{"sdsId": sds, "message": "TGT_ALREADY_IN_MM", "resultCode": "425"}]));
    running.advance(Duration::from_secs(5));
    let statistics = json!({"properties": ["inMaintenanceCapacityInKb"]});
    let path = "/api/types/System/instances/action/querySelectedStatistics";
    let waiting = caller.post(path, statistics).await.json();
    assert!(waiting["inMaintenanceCapacityInKb"].as_u64().unwrap() > 0);
    // Before 3.5 there is no other mode than the instant one.
    let (_running, caller) = admin(Release::V3_0).await;
    let system = id_of(&caller, "System", "simulated").await;
    let protected = format!("/api/instances/System::{system}/action/enterProtectedMaintenanceMode");
    caller.post(&protected, json!({"sdsId": "1"})).await.refused(404, 0);
    // Whoever may only look may not do this either.
    let (_running, monitor) = started(Release::V3_6).await;
    assert_eq!(monitor.post(instant, json!({"sdsId": sds})).await.refused(403, 0), "Forbidden");
}

#[tokio::test]
async fn alerts_of_version_4_are_acknowledged_and_cleared_by_hand() {
    let (running, caller) = admin(Release::V4_5).await;
    running.world(|world| world.fail_device("dev-1-1-1").unwrap());
    let find = |rows: &Value| {
        let rows = rows["results"].as_array().unwrap().clone();
        rows.into_iter().filter(|row| row["name"] == "DEVICE_FAILED").collect::<Vec<_>>()
    };
    let rows = find(&caller.read("/rest/v1/alerts").await);
    let id = rows[0]["id"].as_str().unwrap().to_owned();
    let tell = async |what: &str| caller.post(&format!("/rest/v1/alerts/{id}/{what}"), json!({})).await.status;
    assert_eq!(tell("acknowledge").await, StatusCode::NO_CONTENT);
    let rows = find(&caller.read("/rest/v1/alerts").await);
    assert_eq!(rows[0]["ack_by"], "admin");
    assert_ne!(rows[0]["ack_timestamp"], "0001-01-01T00:00:00Z");
    assert_eq!(tell("disacknowledge").await, StatusCode::NO_CONTENT);
    assert_eq!(tell("clear").await, StatusCode::NO_CONTENT);
    assert_eq!(tell("clear").await, StatusCode::NOT_FOUND, "it is down already");
    // What is still wrong comes up again, as an alert of its own.
    let rows = find(&caller.read("/rest/v1/alerts").await);
    let up = rows.iter().filter(|row| row["cleared_timestamp"] == "0001-01-01T00:00:00Z").count();
    assert_eq!((rows.len(), up), (2, 1));
}

#[tokio::test]
async fn the_installation_manager_goes_through_its_phases_one_process_at_a_time() {
    let (running, caller) = admin(Release::V3_6).await;
    let packages = caller.read("/im/types/installationPackages/instances?onlyLatest=false").await;
    assert!(packages.as_array().unwrap().iter().any(|package| package["type"] == "sds"));
    let phase = async || caller.read("/im/types/ProcessPhase/instances").await["phase"].clone();
    assert_eq!(phase().await, "idle");
    let begin = "/im/types/Configuration/actions/runUnattendedUpgrade";
    assert_eq!(caller.post(begin, json!({})).await.status, StatusCode::ACCEPTED);
    caller.post(begin, json!({})).await.refused(400, 0);
    for expected in ["query", "upload", "install", "configure", "idle"] {
        assert_eq!(phase().await, expected);
        caller.post("/im/types/ProcessPhase/actions/moveToNextPhase", json!({})).await;
    }
    let master = running.world(|world| world.mdm.master().unwrap().ips[0].clone());
    let topology = caller.post("/im/types/Configuration/instances", json!({"mdmIps": [master]})).await.json();
    assert_eq!(topology["sdsList"].as_array().unwrap().len(), 12);
    let wrong = caller.post("/im/types/Configuration/instances", json!({"mdmIps": ["192.0.2.1"]})).await;
    assert_eq!(wrong.text, "", "another MDM than the primary knows nothing");
}

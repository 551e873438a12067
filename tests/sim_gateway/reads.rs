//! Objects, links, refusals, alerts.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use scaleio_framework::sim::Release;
use scaleio_framework::sim::world::World;
use serde_json::{Value, json};

use crate::caller::started;

#[tokio::test]
async fn objects_are_listed_one_by_one_and_all_at_once_alike() {
    for release in Release::ALL {
        let (_running, caller) = started(release).await;
        let all = caller.read("/api/instances").await;
        for (kind, list, count) in [
            ("ProtectionDomain", "protectionDomainList", 1),
            ("FaultSet", "faultSetList", 3),
            ("StoragePool", "storagePoolList", 2),
            ("Sds", "sdsList", 12),
            ("Device", "deviceList", 48),
            ("Volume", "volumeList", 40),
            ("VTree", "vTreeList", 35),
        ] {
            let listed = caller.read(&format!("/api/types/{kind}/instances")).await;
            assert_eq!(listed.as_array().unwrap().len(), count, "{kind} of {release}");
            assert_eq!(all[list], listed, "{kind} of {release}");
            assert!(all[format!("last{kind}Version")].is_u64());
            let one = &listed[count - 1];
            let own = format!("/api/instances/{kind}::{}", one["id"].as_str().unwrap());
            assert_eq!(&caller.read(&own).await, one);
        }
        assert_eq!(all["isDirty"], false);
        let hosts = if release == Release::V4_5 { 2 } else { 0 };
        assert_eq!(all["sdcList"].as_array().unwrap().len(), 12 + hosts);
        assert_eq!(all["sdrList"].is_array(), release >= Release::V3_6);
    }
}

#[tokio::test]
async fn every_link_of_every_object_leads_somewhere() {
    for release in Release::ALL {
        let (_running, caller) = started(release).await;
        let all = caller.read("/api/instances").await;
        let mut followed = BTreeSet::new();
        let lists = all.as_object().unwrap().values().filter_map(Value::as_array);
        // Three of each type are as good as all.
        let objects = lists.flat_map(|list| list.iter().take(3)).chain([&all["System"]]);
        for object in objects {
            let links = object["links"].as_array().unwrap();
            assert_eq!(links[0]["rel"], "self");
            for link in links {
                let (rel, href) = (link["rel"].as_str().unwrap(), link["href"].as_str().unwrap());
                if href.contains("ScsiInitiator")
                    || href.contains("NvmeController")
                    || !followed.insert(href.to_owned())
                {
                    continue;
                }
                let body = caller.read(href).await;
                if let Some(field) = rel.strip_prefix("/api/parent/relationship/") {
                    assert_eq!(object[field], body["id"], "{rel} of {href}");
                }
            }
        }
    }
}

#[tokio::test]
async fn types_of_other_releases_are_not_found() {
    for (release, kind, status) in [
        (Release::V2_6, "SnapshotPolicy", 404),
        (Release::V3_0, "SnapshotPolicy", 200),
        (Release::V3_0, "Sdr", 404),
        (Release::V3_6, "Sdr", 200),
        (Release::V3_6, "Sdt", 404),
        (Release::V4_5, "Sdt", 200),
        (Release::V3_6, "Alert", 200),
        (Release::V4_5, "Alert", 404),
        (Release::V3_6, "Nonsense", 404),
    ] {
        let (_running, caller) = started(release).await;
        let answer = caller.get(&format!("/api/types/{kind}/instances")).await;
        assert_eq!(answer.status.as_u16(), status, "{kind} of {release}");
    }
}

#[tokio::test]
async fn refusals_have_their_own_words() {
    let (running, caller) = started(Release::V3_6).await;
    assert_eq!(
        caller.get("/api/instances/Volume::xyz").await.refused(400, 0),
        "id (xyz) must be a hexadecimal number (unsigned long)"
    );
    assert_eq!(caller.get("/api/instances/Volume::1234").await.refused(500, 79), "Could not find the volume");
    assert_eq!(caller.get("/api/nothing").await.refused(404, 0), "Not found");
    assert_eq!(caller.get("/elsewhere").await.refused(404, 0), "Not found");
    let id = running.world(|world| world.volumes.keys().next().copied().unwrap());
    let remove = format!("/api/instances/Volume::{id}/action/removeVolume");
    assert_eq!(caller.post(&remove, json!({})).await.refused(403, 0), "Forbidden");
    let admin = caller.login(running.admin()).await;
    assert!(admin.post(&remove, json!({})).await.refused(500, 104).contains("is mapped"));
    let malformed = admin.post("/api/types/Volume/instances", json!({"name": "x"})).await;
    assert!(malformed.refused(400, 0).starts_with("Request message is not valid:"));
}

#[tokio::test]
async fn an_admin_makes_and_removes_a_volume() {
    let (running, caller) = started(Release::V2_6).await;
    let admin = caller.login(running.admin()).await;
    let pool =
        admin.post("/api/types/StoragePool/instances/action/queryIdByKey", json!({"name": "pool-1"})).await.json();
    let body =
        json!({"name": "fresh", "storagePoolId": pool, "volumeSizeInKb": "8388608", "volumeType": "ThinProvisioned"});
    let id = admin.post("/api/types/Volume/instances", body.clone()).await.json()["id"].as_str().unwrap().to_owned();
    admin.post("/api/types/Volume/instances", body).await.refused(500, 99);
    assert_eq!(caller.read(&format!("/api/instances/Volume::{id}")).await["name"], "fresh");
    assert_eq!(caller.read("/api/types/Volume/instances/getByName::fresh").await, json!(id));
    assert_eq!(admin.post(&format!("/api/instances/Volume::{id}/action/removeVolume"), json!({})).await.text, "{}");
    caller.get(&format!("/api/instances/Volume::{id}")).await.refused(500, 79);
}

#[tokio::test]
async fn alerts_come_and_go_in_the_shape_of_the_release() {
    let (running, caller) = started(Release::V3_6).await;
    running.world(|world| world.fail_sds("sds-1-1").unwrap());
    let alerts = caller.read("/api/types/Alert/instances").await;
    let alert = alerts.as_array().unwrap().iter().find(|alert| alert["alertType"] == "SDS_DISCONNECTED").unwrap();
    assert_eq!(alert["severity"], "ALERT_MEDIUM");
    assert_eq!(alert["affectedObject"]["type"], "com.emc.ecs.api.model.gen.Sds");
    let sds = caller.read(&format!("/api/instances/Sds::{}", alert["affectedObject"]["id"].as_str().unwrap())).await;
    assert_eq!((&sds["mdmConnectionState"], &sds["membershipState"]), (&json!("Disconnected"), &json!("Decoupled")));
    running.world(|world| world.return_sds("sds-1-1").unwrap());
    let alerts = caller.read("/api/types/Alert/instances").await;
    assert!(alerts.as_array().unwrap().iter().all(|alert| alert["alertType"] != "SDS_DISCONNECTED"));
}

#[tokio::test]
async fn alerts_and_events_of_version_4_are_paged_and_filtered() {
    let (running, caller) = started(Release::V4_5).await;
    running.advance(Duration::from_secs(60));
    let before = running.world(|world| world.wall(world.now()).to_rfc3339());
    running.world(|world| {
        for at in 1..=4 {
            world.fail_device(&format!("dev-1-{at}-1")).unwrap();
        }
    });
    running.advance(Duration::from_secs(1));
    running.world(|world| world.return_device("dev-1-1-1").unwrap());

    let all = caller.read("/rest/v1/alerts").await;
    let rows = all["results"].as_array().unwrap();
    assert_eq!(all["paging"]["total_instances"], rows.len());
    assert_eq!(all["paging"]["next"], "");
    let cleared = rows.iter().filter(|row| row["cleared_timestamp"] != "0001-01-01T00:00:00Z").count();
    assert_eq!(cleared, 1, "what is over is still listed");
    assert_eq!(rows[0]["name"], "TRIAL_LICENSE_USED");
    assert_eq!((&rows[0]["code"], rows[0]["id"].as_str().unwrap().len()), (&json!("20300003"), 16));

    let since = before.replace('+', "%2B");
    let path = format!("/rest/v1/events?filter=timestamp%20ge%20{since}");
    let events = caller.read(&path).await;
    let events = events["results"].as_array().unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event["name"] != "TRIAL_LICENSE_USED"));

    let mut paged = Vec::new();
    let mut next = "/rest/v1/alerts?limit=2".to_owned();
    while !next.is_empty() {
        let answer = caller.get(&next).await;
        let page = answer.json();
        next = page["paging"]["next"].as_str().unwrap().to_owned();
        assert_eq!(answer.status == StatusCode::PARTIAL_CONTENT, !next.is_empty());
        paged.extend(page["results"].as_array().unwrap().clone());
    }
    assert_eq!(&paged, rows);
    let last = caller.read("/rest/v1/alerts?offset=1&limit=18446744073709551615").await;
    assert_eq!(last["results"].as_array().unwrap().len(), rows.len() - 1);
    let nonsense = caller.get("/rest/v1/alerts?filter=color%20eq%20red").await;
    assert!(nonsense.refused(400, 0).contains("color eq red"));
}

#[tokio::test]
async fn while_the_mdm_hands_over_calls_fail_and_then_go_on() {
    let (running, caller) = started(Release::V3_6).await;
    running.world(World::mdm_failover);
    assert!(caller.get("/api/types/Sds/instances").await.refused(500, 0).contains("MDM"));
    assert_eq!(caller.get("/api/version").await.status, StatusCode::OK, "the gateway itself is well");
    running.advance(Duration::from_secs(6));
    assert_eq!(caller.get("/api/types/Sds/instances").await.status, StatusCode::OK);
}

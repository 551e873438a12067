//! Statistics: names, sums, sizes.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Scenario, Simulation};
use serde_json::json;

use crate::caller::{Caller, started};

#[tokio::test]
async fn selected_statistics_answer_what_relationships_answer() {
    for release in Release::ALL {
        let (running, caller) = started(release).await;
        running.advance(Duration::from_secs(5));
        for kind in ["System", "ProtectionDomain", "StoragePool", "Sds", "Device", "Sdc", "Volume", "VTree", "FaultSet"]
        {
            let listed = caller.read(&format!("/api/types/{kind}/instances")).await;
            let id = listed[0]["id"].as_str().unwrap();
            let flat = caller.read(&format!("/api/instances/{kind}::{id}/relationships/Statistics")).await;
            let properties: Vec<&String> = flat.as_object().unwrap().keys().collect();
            assert!(!properties.is_empty(), "{kind} of {release}");
            let asked = json!({"selectedStatisticsList": [{"type": kind, "allIds": "", "properties": properties}]});
            let answer = caller.post("/api/instances/querySelectedStatistics", asked).await.json();
            let own = if kind == "System" { &answer["System"] } else { &answer[kind][id] };
            assert_eq!(own, &flat, "{kind} of {release}");
            let asked = json!({"ids": [id], "properties": properties});
            let path = format!("/api/types/{kind}/instances/action/querySelectedStatistics");
            let answer = caller.post(&path, asked).await.json();
            assert_eq!(if kind == "System" { &answer } else { &answer[id] }, &flat, "{kind} of {release}");
        }
    }
}

#[tokio::test]
async fn an_unknown_statistic_refuses_the_whole_query_and_lists_what_there_is() {
    let (_running, caller) = started(Release::V3_0).await;
    // A query of 2.x, as an exporter once sent it to a 3.0 system.
    let query = |names: &[&str]| {
        json!({"selectedStatisticsList": [
            {"type": "Sdc", "allIds": "", "properties": ["numOfMappedVolumes"]},
            {"type": "System", "allIds": "", "properties": names},
        ]})
    };
    let path = "/api/instances/querySelectedStatistics";
    let message = caller.post(path, query(&["numOfSds", "numOfScsiInitiators"])).await.refused(400, 0);
    let list = message.strip_prefix("System properties should contain only following values: ").unwrap();
    let names: Vec<&str> = list.split(',').collect();
    assert!(names.len() > 200 && !names.contains(&"numOfScsiInitiators"));
    let answer = caller.post(path, query(&names)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["System"].as_object().unwrap().len(), names.len());
    // What came with a later release refuses too, and so does a type of one.
    caller.post(path, query(&["numOfSdr"])).await.refused(400, 0);
    let sdr = json!({"selectedStatisticsList": [{"type": "Sdr", "allIds": "", "properties": ["numActiveSessions"]}]});
    assert!(caller.post(path, sdr).await.refused(400, 0).starts_with("type should get one of the following values: "));
}

#[tokio::test]
async fn sums_hold_on_the_wire_too() {
    for release in Release::ALL {
        let (running, caller) = started(release).await;
        running.world(|world| world.fail_device("dev-1-1-1").unwrap());
        running.advance(Duration::from_secs(7));
        for pool in caller.read("/api/types/StoragePool/instances").await.as_array().unwrap() {
            let path = format!("/api/instances/StoragePool::{}/relationships/Statistics", pool["id"].as_str().unwrap());
            let statistics = caller.read(&path).await;
            let n = |name: &str| statistics[name].as_u64().unwrap_or_else(|| panic!("{name} of {release}"));
            assert_eq!(
                n("unusedCapacityInKb"),
                n("capacityLimitInKb") - n("capacityInUseInKb") - n("spareCapacityInKb")
            );
            let states = ["protected", "degradedHealthy", "degradedFailed", "failed", "inMaintenance"];
            let sum: u64 = states.iter().map(|state| n(&format!("{state}CapacityInKb"))).sum();
            assert_eq!(sum, n("capacityInUseInKb"), "{release}");
            if release < Release::V3_6 {
                let kinds =
                    n("thickCapacityInUseInKb") + n("thinCapacityInUseInKb") + n("snapCapacityInUseOccupiedInKb");
                assert_eq!(kinds, n("capacityInUseInKb"));
            } else {
                assert_eq!(n("netCapacityInUseInKb"), n("capacityInUseInKb") / 2);
                assert_eq!(n("thinUserDataCapacityInKb"), n("capacityInUseInKb"));
            }
        }
        let system = caller.read("/api/types/System/instances").await[0]["id"].as_str().unwrap().to_owned();
        let statistics = caller.read(&format!("/api/instances/System::{system}/relationships/Statistics")).await;
        assert!(statistics["degradedFailedCapacityInKb"].as_u64().unwrap() > 0);
        assert!(statistics["fwdRebuildCapacityInKb"].as_u64().unwrap() > 0);
        for name in ["fwdRebuildReadBwc", "fwdRebuildWriteBwc", "totalReadBwc", "totalWriteBwc"] {
            assert_eq!(statistics[name]["numSeconds"], 5, "{name} of {release}");
            assert!(statistics[name]["numOccured"].as_u64().unwrap() > 0, "{name} of {release}");
        }
        assert_eq!(statistics["volMigrationReadBwc"].get("numSeconds").unwrap_or(&json!(0)), &json!(0));
        assert_eq!(statistics["numOfDevices"], 48);
    }
}

#[tokio::test]
async fn a_huge_system_answers_at_its_true_size() {
    let options = Options::still(Layout::huge(), Release::V4_5);
    let running = Simulation::start(options).await.unwrap();
    let caller = Caller::at(&running.urls()[0]).login(running.monitor()).await;
    let (sds, devices, volumes) = running.world(|world| (world.sds.len(), world.devices.len(), world.volumes.len()));
    assert_eq!((sds, devices, volumes), (1024, 1024 * 16, 30_000));

    let begun = Instant::now();
    running.advance(Duration::from_secs(5));
    println!("5 s of world: {:?}", begun.elapsed());

    let begun = Instant::now();
    let instances = caller.get("/api/instances").await.text.len();
    let took = begun.elapsed();
    println!("instances: {instances} bytes in {took:?}");
    assert!(instances >= 80_000_000, "{instances} bytes");

    let io = ["totalReadBwc", "totalWriteBwc", "avgReadLatencyInMicrosec", "avgWriteLatencyInMicrosec"];
    let user = ["userDataReadBwc", "userDataWriteBwc", "userDataSdcReadLatency", "userDataSdcWriteLatency"];
    let query = json!({"selectedStatisticsList": [
        {"type": "System", "allIds": "", "properties": ["maxCapacityInKb", "capacityInUseInKb"]},
        {"type": "Device", "allIds": "", "properties": io},
        {"type": "Volume", "allIds": "", "properties": user},
        {"type": "Sdc", "allIds": "", "properties": user},
    ]});
    let begun = Instant::now();
    let statistics = caller.post("/api/instances/querySelectedStatistics", query).await.text.len();
    let took = begun.elapsed();
    println!("statistics: {statistics} bytes in {took:?}");
    assert!(statistics >= 10_000_000, "{statistics} bytes");
}

#[tokio::test]
async fn the_shipped_device_failure_is_a_story_of_rebuild_and_rebalance() {
    let scenario = Scenario::read(include_str!("../../config/scenarios/device-failure.toml")).unwrap();
    let options = Options { scenario: Some(scenario), ..Options::still(Layout::small(), Release::V2_6) };
    let running = Simulation::start(options).await.unwrap();
    let mut story = Vec::new();
    for at in [5, 60, 355, 365, 840] {
        running.advance(Duration::from_secs(at) - running.world(|world| world.now()));
        let caller = Caller::at(&running.urls()[0]).login(running.monitor()).await;
        let names = ["degradedFailedCapacityInKb", "fwdRebuildCapacityInKb", "rebalanceCapacityInKb"];
        let body = json!({"properties": names});
        let path = "/api/types/System/instances/action/querySelectedStatistics";
        let statistics = caller.post(path, body).await.json();
        let device = caller.post("/api/types/Device/instances/action/queryIdByKey", json!({"name": "dev-1-1-1"})).await;
        let device = device.json().as_str().unwrap().to_owned();
        let error = caller.read(&format!("/api/instances/Device::{device}")).await["errorState"].clone();
        let is = |name: &str| statistics[name].as_u64().unwrap() > 0;
        story.push((at, is(names[0]), is(names[1]), is(names[2]), error.as_str() == Some("Error")));
    }
    // Second, degraded, rebuilding, rebalancing, failed.
    let expected = [
        (5, false, false, false, false),
        (60, true, true, false, true),
        (355, false, false, false, true),
        (365, false, false, true, false),
        (840, false, false, false, false),
    ];
    assert_eq!(story, expected);
}

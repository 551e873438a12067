//! The simulated gateway, asked over TLS by a plain HTTP client.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use scaleio_framework::sim::world::{Layout, World};
use scaleio_framework::sim::{Fault, Login, Options, Release, Running, Simulation, Word};
use serde_json::{Value, json};

/// A client that logs in as real ones do.
struct Caller {
    http: Client,
    base: String,
    auth: Auth,
}

#[derive(Clone)]
enum Auth {
    None,
    Basic(String, String),
    Bearer(String),
}

struct Answer {
    status: StatusCode,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    #[track_caller]
    fn refused(&self, status: u16, code: u64) -> String {
        let body = self.json();
        assert_eq!(self.status.as_u16(), status, "{body}");
        assert_eq!(body["httpStatusCode"], json!(status));
        assert_eq!(body["errorCode"], json!(code));
        body["message"].as_str().unwrap().to_owned()
    }
}

fn http() -> Client {
    // Another test may have set it already; it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().tls_danger_accept_invalid_certs(true).timeout(Duration::from_secs(30)).build().unwrap()
}

impl Caller {
    fn at(base: &str) -> Self {
        Self { http: http(), base: base.to_owned(), auth: Auth::None }
    }

    fn with(&self, auth: Auth) -> Self {
        Self { http: self.http.clone(), base: self.base.clone(), auth }
    }

    async fn try_ask(&self, method: Method, path: &str, body: Option<Value>) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        request = match &self.auth {
            Auth::None => request,
            Auth::Basic(user, password) => request.basic_auth(user, Some(password)),
            Auth::Bearer(token) => request.bearer_auth(token),
        };
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok(Answer { status, text: answer.text().await? })
    }

    async fn get(&self, path: &str) -> Answer {
        self.try_ask(Method::GET, path, None).await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_ask(Method::POST, path, Some(body)).await.unwrap()
    }

    async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        answer.json()
    }

    /// Logs in by `/api/login`.
    async fn login(&self, login: &Login) -> Self {
        let answer = self.with(Auth::Basic(login.user.clone(), login.password.clone())).get("/api/login").await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let token = answer.json().as_str().unwrap().to_owned();
        self.with(Auth::Basic(String::new(), token))
    }
}

async fn start(release: Release) -> Running {
    Simulation::start(Options::still(Layout::small(), release)).await.unwrap()
}

async fn started(release: Release) -> (Running, Caller) {
    let running = start(release).await;
    let caller = Caller::at(&running.urls()[0]).login(running.monitor()).await;
    (running, caller)
}

#[tokio::test]
async fn every_release_says_which_it_is() {
    for (release, api, product) in [
        (Release::V2_0, "2.0", "R2_0."),
        (Release::V2_6, "2.5", "R2_6."),
        (Release::V3_0, "3.0", "R3_0."),
        (Release::V3_6, "3.6", "R3_6."),
        (Release::V4_5, "4.5", "R4_5."),
    ] {
        let (_running, caller) = started(release).await;
        assert_eq!(caller.get("/api/version").await.text, format!("\"{api}\""));
        let system = caller.read("/api/types/System/instances").await;
        assert!(system[0]["systemVersionName"].as_str().unwrap().contains(product));
        assert_eq!(system[0]["mdmCluster"]["clusterMode"], "FiveNodes");
        assert_eq!(system[0]["mdmCluster"]["goodReplicasNum"], 3);
        assert_eq!(system[0]["mdmCluster"]["master"].get("status").is_none(), release < Release::V3_0);
        assert_eq!(system[0].get("systemNqn").is_some(), release == Release::V4_5);
    }
}

#[tokio::test]
async fn a_token_is_a_password_under_any_name_and_with_its_quotes() {
    let running = start(Release::V2_6).await;
    let anyone = Caller::at(&running.urls()[0]);
    let login = running.monitor();
    let quoted = anyone.with(Auth::Basic(login.user.clone(), login.password.clone())).get("/api/login").await.text;
    let token = quoted.trim_matches('"').to_owned();
    for (user, password) in [("", &token), ("monitor", &token), ("someone", &quoted)] {
        let caller = anyone.with(Auth::Basic(user.into(), password.clone()));
        assert_eq!(caller.get("/api/version").await.status, StatusCode::OK, "{user:?}");
    }
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.decode(&token).unwrap();
    let parts: Vec<String> = String::from_utf8(text).unwrap().split(':').map(str::to_owned).collect();
    assert_eq!((parts[0].as_str(), parts[1].len(), parts[2].len()), ("monitor", 13, 32));

    let caller = anyone.with(Auth::Basic(String::new(), token.clone()));
    assert_eq!(caller.get("/api/logout").await.status, StatusCode::OK);
    assert_eq!(caller.get("/api/version").await.refused(401, 0), "Unauthorized");
    assert_eq!(anyone.with(Auth::Bearer(token)).get("/api/version").await.refused(401, 0), "Unauthorized");
}

#[tokio::test]
async fn wrong_passwords_and_missing_ones_are_refused() {
    let running = start(Release::V3_6).await;
    let anyone = Caller::at(&running.urls()[0]);
    assert_eq!(anyone.get("/api/login").await.refused(401, 0), "Unauthorized");
    let wrong = anyone.with(Auth::Basic("monitor".into(), "wrong".into()));
    assert_eq!(wrong.get("/api/login").await.refused(401, 0), "Unauthorized");
    assert_eq!(anyone.get("/api/types/Sds/instances").await.refused(401, 0), "Unauthorized");
    assert_eq!(anyone.post("/rest/auth/login", json!({})).await.refused(404, 0), "Not found");
    let cluster = anyone.post("/api/instances/System/queryMdmCluster", json!({})).await.json();
    assert_eq!(cluster["clusterState"], "ClusteredNormal", "asked without a login");
}

#[tokio::test]
async fn tokens_age_by_idleness_and_by_life() {
    let (running, caller) = started(Release::V3_0).await;
    running.advance(Duration::from_secs(9 * 60));
    assert_eq!(caller.get("/api/version").await.status, StatusCode::OK);
    running.advance(Duration::from_secs(10 * 60));
    caller.get("/api/version").await.refused(401, 0);

    let caller = caller.login(running.monitor()).await;
    for _ in 0..8 * 60 / 9 {
        running.advance(Duration::from_secs(9 * 60));
        assert_eq!(caller.get("/api/version").await.status, StatusCode::OK);
    }
    running.advance(Duration::from_secs(9 * 60));
    caller.get("/api/version").await.refused(401, 0);
}

#[tokio::test]
async fn a_token_means_nothing_at_another_gateway() {
    let options = Options::still(Layout::small(), Release::V3_6).gateways(2);
    let running = Simulation::start(options).await.unwrap();
    let [first, second] = &running.urls()[..] else { panic!("two gateways") };
    let caller = Caller::at(first).login(running.monitor()).await;
    let other = Caller::at(second).with(caller.auth.clone());
    other.get("/api/version").await.refused(401, 0);
    let other = other.login(running.monitor()).await;
    assert_eq!(other.read("/api/types/Sds/instances").await, caller.read("/api/types/Sds/instances").await);
}

#[tokio::test]
async fn version_4_has_bearer_tokens_that_are_renewed_and_both_logins() {
    let (running, legacy) = started(Release::V4_5).await;
    let anyone = Caller::at(&running.urls()[0]);
    let login = running.monitor();
    let credentials = json!({"username": login.user, "password": login.password});
    let tokens = anyone.post("/rest/auth/login", credentials).await.json();
    assert_eq!((&tokens["expires_in"], &tokens["refresh_expires_in"]), (&json!(300), &json!(1800)));
    let access = tokens["access_token"].as_str().unwrap().to_owned();
    let bearer = anyone.with(Auth::Bearer(access.clone()));
    for path in ["/api/version", "/Api/version", "/rest/v1/alerts", "/api/types/Sdt/instances"] {
        assert_eq!(bearer.get(path).await.status, StatusCode::OK, "{path}");
    }
    let basic = anyone.with(Auth::Basic("monitor".into(), access));
    assert_eq!(basic.get("/api/version").await.status, StatusCode::OK, "an access token serves as password");
    assert_eq!(legacy.get("/api/types/Sds/instances").await.status, StatusCode::OK);

    running.advance(Duration::from_secs(301));
    bearer.get("/api/version").await.refused(401, 0);
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    let renewed = anyone.post("/rest/auth/update-token", refresh.clone()).await.json();
    anyone.post("/rest/auth/update-token", refresh).await.refused(401, 0);
    let bearer = anyone.with(Auth::Bearer(renewed["access_token"].as_str().unwrap().into()));
    assert_eq!(bearer.get("/api/version").await.status, StatusCode::OK);
    let refresh = json!({"refresh_token": renewed["refresh_token"]});
    assert_eq!(bearer.post("/rest/auth/logout", refresh).await.status, StatusCode::NO_CONTENT);
    bearer.get("/api/version").await.refused(401, 0);
}

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

#[tokio::test]
async fn faults_fall_on_the_requests_they_are_for() {
    let (running, caller) = started(Release::V3_6).await;
    let path = "/api/types/Sds/instances";
    let faults = running.faults();
    let ask = || caller.try_ask(Method::GET, path, None);

    faults.add(Fault::times(1, Word::Status(503), "/api/types/*"));
    assert_eq!(caller.get("/api/version").await.status, StatusCode::OK);
    caller.get(path).await.refused(503, 0);
    assert_eq!(caller.get(path).await.status, StatusCode::OK, "only once");

    faults.add(Fault::times(1, Word::Html, "*"));
    assert!(caller.get(path).await.text.starts_with("<!DOCTYPE html>"));

    faults.add(Fault::times(1, Word::Garble, "*"));
    assert!(serde_json::from_str::<Value>(&caller.get(path).await.text).is_err());

    for word in [Word::Cut, Word::Reset] {
        faults.add(Fault::times(1, word, "*"));
        assert!(ask().await.is_err(), "{word}");
    }

    faults.add(Fault::times(1, Word::Delay(Duration::from_millis(300)), "*"));
    let begun = Instant::now();
    assert_eq!(caller.get(path).await.status, StatusCode::OK);
    assert!(begun.elapsed() >= Duration::from_millis(300));

    for word in [Word::Drop, Word::Endless] {
        let number = faults.add(Fault::always(word, "*"));
        let answer = tokio::time::timeout(Duration::from_millis(500), ask()).await;
        assert!(answer.is_err(), "{word}");
        faults.remove(number);
    }

    faults.add(Fault::times(1, Word::Slow(20_000), "/api/version"));
    let begun = Instant::now();
    assert_eq!(caller.get("/api/version").await.text, "\"3.6\"");
    assert!(begun.elapsed() >= Duration::from_millis(100));

    faults.add(Fault::times(1, Word::Huge, "/api/version"));
    let huge = caller.get("/api/version").await.text;
    assert!(huge.len() > 200 << 20);
    assert_eq!(huge.trim(), "\"3.6\"");

    faults.add(Fault::times(1, Word::Expire, "*"));
    caller.get(path).await.refused(401, 0);
    assert_eq!(caller.login(running.monitor()).await.get(path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    let (running, caller) = started(Release::V3_6).await;
    let Auth::Basic(_, token) = &caller.auth else { panic!("a token") };
    let url = format!("{}/api/instances", running.urls()[0]);
    let plain = Client::builder().tls_danger_accept_invalid_certs(true).no_gzip().build().unwrap();
    let packed = plain.get(&url).basic_auth("", Some(token)).header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    let whole = plain.get(&url).basic_auth("", Some(token)).send().await.unwrap().bytes().await.unwrap();
    assert!(packed.len() * 4 < whole.len());
    assert_eq!(caller.get("/api/instances").await.text.as_bytes(), whole, "the client unpacks it");
}

#[tokio::test]
async fn real_time_passes_by_itself_at_its_speed() {
    let options = Options { speed: 50.0, ..Options::still(Layout::small(), Release::V3_6) };
    let running = Simulation::start(options).await.unwrap();
    let begun = Instant::now();
    while running.world(|world| world.now()) < Duration::from_secs(20) {
        assert!(begun.elapsed() < Duration::from_secs(20), "time stands still");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let url = running.urls()[0].clone();
    running.stop().await;
    let gone = Caller::at(&url).try_ask(Method::GET, "/api/version", None).await;
    assert!(gone.is_err(), "a stopped gateway answers nobody");
}

#[tokio::test]
async fn a_huge_system_answers_at_its_true_size_in_little_time() {
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
    assert!(took < Duration::from_secs(10), "{took:?}");

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
    assert!(took < Duration::from_secs(10), "{took:?}");
}

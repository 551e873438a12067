//! Who gets in, and for how long.

use std::time::Duration;

use reqwest::StatusCode;
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Simulation};
use serde_json::json;

use crate::caller::{Auth, Caller, start, started};

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

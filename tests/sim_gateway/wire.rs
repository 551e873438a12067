//! Faults, compression, time.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Fault, Options, Release, Simulation, Word};
use serde_json::Value;

use crate::caller::{Auth, Caller, started};

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
async fn one_gateway_can_fail_while_the_other_answers() {
    let options = Options::still(Layout::small(), Release::V3_6).gateways(2);
    let running = Simulation::start(options).await.unwrap();
    running.faults().add(Fault::always(Word::Reset, "*").at_gateway(0));
    let [first, second] = &running.urls()[..] else { panic!("two gateways") };
    assert!(Caller::at(first).try_ask(Method::GET, "/api/login", None).await.is_err());
    Caller::at(second).get("/api/login").await.refused(401, 0);
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

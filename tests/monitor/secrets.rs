//! Does a password or a token come out anywhere, however much is logged?

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use scaleio_framework::sim::{Fault, Release, Running, Word};

use crate::child::{self, Process, scrape};
use crate::site::{builder, client, eventually, still};

/// Everything, with the caps on libraries that print headers lifted.
const LOUD: &str = "trace,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,h2=trace,axum=trace,tower=trace,\
                    tokio_util=trace,rustls_platform_verifier=trace";

/// How every token of a simulated 4.x gateway begins.
const BEARER: [&str; 2] = ["eyJhY2Nlc3M", "eyJyZWZyZXNo"];

/// What must not come out: the password, the beginning of everything that is
/// `monitor:...` in base64 (a Basic header, with the password or a token in
/// it, and the tokens of 2.x and 3.x themselves), and bearer tokens.
fn secrets(world: &Running) -> Vec<String> {
    let login = world.monitor();
    let beginning = STANDARD_NO_PAD.encode(format!("{}:", login.user));
    // The last letter depends on what follows.
    let beginning = beginning[..beginning.len() - 1].to_owned();
    let mut secrets = vec![login.password.clone(), STANDARD_NO_PAD.encode(&login.password), beginning];
    secrets.extend(BEARER.map(str::to_owned));
    secrets
}

/// A token as the gateway gives it to anybody who logs in: those that the
/// controller gets begin alike.
async fn token(world: &Running, release: Release) -> String {
    let certificate = reqwest::Certificate::from_pem(world.certificate_pem().as_bytes()).unwrap();
    let client = builder().tls_certs_only([certificate]).build().unwrap();
    let (url, login) = (&world.urls()[0], world.monitor());
    if release >= Release::V4_5 {
        let body = serde_json::json!({ "username": login.user, "password": login.password });
        client.post(format!("{url}/rest/auth/login")).json(&body).send().await.unwrap().text().await.unwrap()
    } else {
        let request = client.get(format!("{url}/api/login")).basic_auth(&login.user, Some(&login.password));
        request.send().await.unwrap().text().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_line_series_or_answer_holds_a_password_or_a_token() {
    let mut worlds = Vec::new();
    for (release, name) in Release::ALL.into_iter().zip(["v20", "v26", "v30", "v36", "v45"]) {
        worlds.push((name, release, still(release).await));
    }
    let hidden: Vec<String> = worlds.iter().flat_map(|(_, _, world)| secrets(world)).collect();
    for (_, release, world) in &worlds {
        let token = token(world, *release).await;
        assert!(hidden.iter().any(|secret| token.contains(secret)), "{token} would not be found");
        assert!(hidden.iter().any(|secret| STANDARD.encode(format!("monitor:{token}")).contains(secret)));
        // Sessions end at any moment, and some answers are no answers.
        let when = scaleio_framework::sim::When::Chance(0.1);
        world.faults().add(Fault { when, ..Fault::always(Word::Expire, "*") });
        world.faults().add(Fault { when, ..Fault::always(Word::Status(401), "/api/types/*") });
        world.faults().add(Fault { when, ..Fault::always(Word::Garble, "/api/types/*") });
    }
    let folder = tempfile::tempdir().unwrap();
    let watched: Vec<(&str, &Running)> = worlds.iter().map(|(name, _, world)| (*name, world)).collect();
    let config = child::config(folder.path(), &watched);
    let (mut process, web) = Process::sio_run(&config, &[("SIO__LOG__LEVEL", LOUD)]).await;
    eventually("every system was polled again and again", async || {
        let scrape = scrape(&web).await;
        let polls =
            worlds.iter().map(|(name, ..)| scrape.value("scaleio_snapshot_seq", &[("system", name)]).unwrap_or(0.0));
        let least = polls.fold(f64::INFINITY, f64::min);
        if least >= 8.0 { Ok(()) } else { Err(format!("{least}")) }
    })
    .await;

    let mut bodies = String::new();
    for path in
        ["/metrics", "/", "/api/v1/status", "/api/v1/systems/v36", "/api/v1/systems/v45", "/api/v1/systems/v45/sds"]
    {
        bodies += &client().get(format!("http://{web}{path}")).send().await.unwrap().text().await.unwrap();
    }
    process.terminate();
    process.ends().await;
    let said = process.said();
    for library in ["hyper", "reqwest", "rustls", "scaleio_framework"] {
        assert!(said.contains(&format!("TRACE {library}")) || said.contains(&format!("DEBUG {library}")), "{library}");
    }
    for secret in &hidden {
        let line = said.lines().chain(bodies.lines()).find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} came out");
    }
}

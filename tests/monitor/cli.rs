//! `sio` as people, scripts and supervisors use it, on a running controller.

use std::process::Command;
use std::time::Duration;

use scaleio_framework::sim::{Fault, Release, Running, Word};

use crate::child::{self, Process, err, out, scrape, secret, sio};
use crate::reload::{certificate, web_config};
use crate::site::{eventually, still};
use crate::truth::truth;

async fn knows(web: &str, system: &str, world: &Running) {
    let truth = world.world(|world| truth(world));
    eventually("it knows the system", async || scrape(web).await.is(system, &truth)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_tells_people_and_scripts_how_the_systems_are() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let config = config.to_str().unwrap();
    let socket = folder.path().join("sio.sock");
    let socket = socket.to_str().unwrap();

    let nobody = sio(&["status", "--config", config]).await;
    assert_eq!(nobody.status.code(), Some(3), "{}", err(&nobody));
    assert!(err(&nobody).contains("there is no controller at"), "{}", err(&nobody));

    let (process, web) = Process::sio_run(config.as_ref(), &[]).await;
    knows(&web, "prod", &world).await;
    let url = format!("http://{web}");
    let ways = [vec!["status", "--config", config], vec!["status", "--socket", socket], vec!["status", "--url", &url]];
    for way in &ways {
        let well = sio(way).await;
        assert_eq!(well.status.code(), Some(0), "{way:?}: {}{}", out(&well), err(&well));
        let row = out(&well).lines().find(|line| line.starts_with("prod")).unwrap().to_owned();
        assert!(row.contains(" ok ") && row.contains(" 3/3 "), "{row}");
    }

    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    knows(&web, "prod", &world).await;
    for way in &ways {
        let unwell = sio(way).await;
        assert_eq!(unwell.status.code(), Some(1), "{way:?}");
        let text = out(&unwell);
        assert!(text.contains("UNWELL") && text.contains("prod: SDS sds-2-1 is Disconnected"), "{text}");
    }
    let json = sio(&[ways[0].as_slice(), &["--json"]].concat()).await;
    let status: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(status["systems"][0]["sds"], serde_json::json!({ "connected": 2, "total": 3 }));

    drop(process);
    for way in &ways {
        let nobody = sio(way).await;
        assert_eq!(nobody.status.code(), Some(3), "{way:?}: {}", err(&nobody));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminated_controller_logs_out_and_ends_well_within_its_grace() {
    for release in [Release::V3_6, Release::V4_5] {
        let world = still(release).await;
        let folder = tempfile::tempdir().unwrap();
        let config = child::config(folder.path(), &[("prod", &world)]);
        let (mut process, web) = Process::sio_run(&config, &[]).await;
        knows(&web, "prod", &world).await;
        // A fault that does nothing, and is used up by the first logout.
        world.faults().add(Fault::times(1, Word::Delay(Duration::ZERO), "*logout*"));
        process.terminate();
        let status = process.ends().await;
        assert_eq!(status.code(), Some(0), "{}", process.said());
        assert!(process.said().contains("stopping"), "{}", process.said());
        assert_eq!(world.faults().active(), [], "no logout came to the gateway of {release}");
        assert!(!folder.path().join("sio.sock").exists(), "the socket is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_whose_gateway_is_silent_ends_within_its_grace_too() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let (mut process, web) = Process::sio_run(&config, &[]).await;
    knows(&web, "prod", &world).await;
    world.faults().add(Fault::always(Word::Drop, "*"));
    let begun = std::time::Instant::now();
    process.terminate();
    assert_eq!(process.ends().await.code(), Some(0), "{}", process.said());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_controller_is_refused_by_port_socket_and_store() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let (_process, web) = Process::sio_run(&config, &[]).await;
    let other = folder.path().join("other.sock");
    let other = other.to_str().unwrap();
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[], "sio.sock: another controller answers there; stop it, or set control.socket"),
        (&[("SIO__CONTROL__SOCKET", other)], "state.db is in use by another process; stop the other `sio run`"),
        (
            &[("SIO__WEB__LISTEN", &web), ("SIO__CONTROL__SOCKET", other)],
            "another process listens there; stop it, or set web.listen",
        ),
    ];
    for (variables, says) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(["run", "--config"]).arg(&config).env_clear().envs(variables.iter().copied());
        let second = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(second.status.code(), Some(1), "{}", err(&second));
        let last = err(&second).lines().last().unwrap().to_owned();
        assert!(last.starts_with("sio: ") && last.contains(says), "{last}");
    }
    // And the first goes on.
    knows(&web, "prod", &world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_init_writes_is_good_and_runs() {
    for (release, pinned) in [(Release::V2_0, true), (Release::V4_5, false)] {
        let world = still(release).await;
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (file, password, ca) = (place("sio.toml"), place("password"), place("ca.pem"));
        secret(password.as_ref(), &world.monitor().password);
        std::fs::write(&ca, world.certificate_pem()).unwrap();
        let url = &world.urls()[0];
        let base = ["init", "--output", &file, "--name", "lab", "--gateway", url, "--user", "monitor"];

        // Without a word on trust it shows the certificate and writes nothing.
        let asked = sio(&[&base[..], &["--password-file", &password]].concat()).await;
        assert_eq!(asked.status.code(), Some(1), "{}", out(&asked));
        assert!(!std::path::Path::new(&file).exists());
        let pin = err(&asked).split_once("--pin ").unwrap().1[..64].to_owned();

        let wrong = place("wrong");
        secret(wrong.as_ref(), "not-the-password");
        let trust = if pinned { ["--pin", &pin] } else { ["--ca-file", &ca] };
        let refused = sio(&[&base[..], &["--password-file", &wrong], &trust].concat()).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(err(&refused).contains("the login failed, so nothing was written"), "{}", err(&refused));

        let done = sio(&[&base[..], &["--password-file", &password], &trust].concat()).await;
        assert_eq!(done.status.code(), Some(0), "{}{}", out(&done), err(&done));
        let check = sio(&["check", "--config", &file]).await;
        assert_eq!(check.status.code(), Some(0), "{}", err(&check));
        assert!(out(&check).contains("lab: ") && !out(&check).contains(&world.monitor().password), "{}", out(&check));
        let (socket, store) = (place("sio.sock"), place("state.db"));
        let variables = [
            ("SIO__WEB__LISTEN", "127.0.0.1:0"),
            ("SIO__CONTROL__SOCKET", socket.as_str()),
            ("SIO__STORE__PATH", store.as_str()),
        ];
        let (_process, web) = Process::sio_run(file.as_ref(), &variables).await;
        knows(&web, "lab", &world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_comes_over_tls_to_a_user_with_the_right_password() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    certificate(folder.path());
    web_config(folder.path(), "me", "secret of mine");
    secret(place("right").as_ref(), "secret of mine");
    secret(place("wrong").as_ref(), "secret of others");
    let config = child::config(folder.path(), &[("prod", &world)]);
    let web_file = place("web.yml");
    let (_process, web) = Process::sio_run(&config, &[("SIO__WEB__CONFIG_FILE", &web_file)]).await;
    let (url, ca, right, wrong) = (format!("https://{web}"), place("web.pem"), place("right"), place("wrong"));
    let base = ["status", "--url", &url];
    let user = |file| ["--user", "me", "--password-file", file];
    eventually("it is well", async || {
        let well = sio(&[&base[..], &["--ca-file", &ca], &user(&right)].concat()).await;
        if well.status.code() == Some(0) { Ok(()) } else { Err(out(&well) + &err(&well)) }
    })
    .await;
    for (arguments, says) in [
        ([&base[..], &["--ca-file", &ca], &user(&wrong)].concat(), "401 (log in"),
        ([&base[..], &["--ca-file", &ca]].concat(), "give --user and --password-file"),
        ([&base[..], &user(&right)].concat(), "cannot be reached"),
    ] {
        let refused = sio(&arguments).await;
        assert_eq!(refused.status.code(), Some(3), "{arguments:?}");
        assert!(err(&refused).contains(says), "{}", err(&refused));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_once_which_call_failed_and_why_and_when_it_works_again() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let config = child::config(folder.path(), &[("prod", &world)]);
    let (process, web) = Process::sio_run(&config, &[]).await;
    knows(&web, "prod", &world).await;
    world.faults().add(Fault::always(Word::Status(503), "/api/types/Sds/instances"));
    eventually("it fails twice", async || {
        let scrape = scrape(&web).await;
        let labels = [("system", "prod"), ("collector", "sds"), ("reason", "http")];
        let failures = scrape.value("scaleio_collector_errors_total", &labels);
        if failures >= Some(2.0) { Ok(()) } else { Err(format!("{failures:?}")) }
    })
    .await;
    world.faults().clear();
    knows(&web, "prod", &world).await;
    let said = process.said();
    let lines = |part: &str| said.lines().filter(|line| line.contains(part)).collect::<Vec<_>>();
    let [failed] = lines("a collector fails")[..] else { panic!("{said}") };
    let address = world.addresses()[0].to_string();
    for part in ["WARN", "system=prod", "collector=sds", "reason=http", "HTTP 503", &address] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
    assert_eq!(lines("a collector works again").len(), 1, "{said}");
}

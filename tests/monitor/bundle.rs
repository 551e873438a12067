//! Does a support bundle hold what helps, and no secret however it was written?

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scaleio_framework::sim::Release;

use crate::child::{self, Process, err, out, secret, sio};
use crate::site::{eventually, still};

fn unpacked(file: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(file).unwrap()));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name, text)
    });
    entries.collect()
}

/// Secrets that are planted, each with the place it stands in.
const FILED: &str = "Filed \"secret\" & more";
const VARIABLE: &str = "by-variable-secret";
const TOKEN: &str = "t0ken-of-the-hook";
const PATH: &str = "B0123/xyzzy-path";
const COMMENT: &str = "an-old-secret-in-a-comment";
const LINK: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const STRANGER: &str = "never-configured-secret";
const DIGEST: &str = "digest-secret";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_helps_is_in_it_and_no_planted_secret() {
    let world = still(Release::V3_6).await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let config = child::config(folder.path(), &[("prod", &world)]);
    secret(&at("mail.password"), FILED);
    secret(&at("hook.token"), TOKEN);
    secret(&at("link.key"), LINK);
    let more = format!(
        "# {COMMENT}\n[mail]\nhosts = [\"127.0.0.1:9\"]\nfrom = \"sio@example.com\"\nto = [\"ops@example.com\"]\nlink_key_file = \"link.key\"\nbase_url = \"http://sio.example.com/\"\n\
         [mail.login]\nuser = \"sio\"\npassword_file = \"mail.password\"\n\
         [webhook]\nurl = \"http://127.0.0.1:9/{PATH}\"\ntoken_file = \"hook.token\"\n"
    );
    fs::write(&config, fs::read_to_string(&config).unwrap() + &more).unwrap();
    let (_process, _web) = Process::sio_run(&config, &[]).await;
    let config = config.to_str().unwrap();
    eventually("the system is heard", async || {
        let status = sio(&["status", "--config", config]).await;
        if out(&status).contains("3/3") { Ok(()) } else { Err(out(&status)) }
    })
    .await;

    // A log of a program that tells too much, ours or one in front of it.
    let basic = STANDARD.encode(FILED);
    let escaped = serde_json::to_string(FILED).unwrap();
    let log = format!(
        "started\nlogin with {FILED} failed\nx {basic}\n{{\"login\":{escaped}}}\nAuthorization: Bearer {STRANGER}\n\
         PUT https://me:{STRANGER}@host/\nkey {LINK}\nhook {TOKEN}\nvariable {VARIABLE}\nzk {DIGEST}\n\
         -----BEGIN PRIVATE KEY-----\n{STRANGER}\n-----END PRIVATE KEY-----\nended\n"
    );
    fs::write(at("sio.log"), log).unwrap();
    secret(&at("zk.auth"), &format!("sio:{DIGEST}"));
    let bundle = at("bundle.tar.gz");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
    command.args(["support-bundle", "--config", config, "--output"]).arg(&bundle).arg("--log").arg(at("sio.log"));
    command.env_clear().env("PATH", std::env::var("PATH").unwrap());
    command.env("SIO__MESOS__LOGIN__PASSWORD", VARIABLE).env("SIO__STORE__ZOOKEEPER_AUTH_FILE", at("zk.auth"));
    command.env("SIO__WEBHOOK__URL", format!("http://127.0.0.1:9/{PATH}"));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}{}", out(&output), err(&output));
    assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);

    let files = unpacked(&bundle);
    let monitor = world.monitor().password.clone();
    for planted in [
        FILED,
        VARIABLE,
        TOKEN,
        PATH,
        "xyzzy",
        COMMENT,
        LINK,
        STRANGER,
        DIGEST,
        &monitor,
        &basic,
        escaped.trim_matches('"'),
    ] {
        let found: Vec<&String> =
            files.iter().filter(|(_, text)| text.contains(planted)).map(|(name, _)| name).collect();
        assert!(found.is_empty(), "{planted} is in {found:?}");
    }
    for (name, part) in [
        ("README.txt", "Names and addresses of hosts"),
        ("doctor.txt", "gateway of prod"),
        ("config.toml", "password_file = \"mail.password\""),
        ("environment.txt", "SIO__MESOS__LOGIN__PASSWORD=***"),
        ("versions.txt", scaleio_framework::VERSION),
        ("log-1.txt", "started\nlogin with *** failed\n"),
        ("status.json", "\"system\":\"prod\""),
        ("metrics.txt", "scaleio_up{"),
        ("alerts.json", ""),
    ] {
        assert!(
            files.get(name).is_some_and(|text| text.contains(part)),
            "{name} lacks {part}: {:?}",
            files.get(name).map(|text| text.chars().take(2_000).collect::<String>())
        );
    }
    assert!(files["log-1.txt"].ends_with("ended\n"));

    let again = sio(&["support-bundle", "--config", config, "--output", bundle.to_str().unwrap()]).await;
    assert!(
        again.status.code() == Some(1) && err(&again).contains("cannot be written"),
        "one that is there is not overwritten"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_controller_or_a_right_configuration_there_is_still_a_bundle_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sio.toml");
    fs::write(&config, format!("[systems.prod.monitor]\npassword = \"{STRANGER}\"\nbroken = = {COMMENT}\n")).unwrap();
    let bundle = folder.path().join("b.tar.gz");
    let output =
        sio(&["support-bundle", "--config", config.to_str().unwrap(), "--output", bundle.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let files = unpacked(&bundle);
    assert!(files["doctor.txt"].contains("FAIL  configuration"), "{}", files["doctor.txt"]);
    for (name, text) in &files {
        assert!(!text.contains(STRANGER) && !text.contains(COMMENT), "{name}: {text}");
    }
}

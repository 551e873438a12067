//! Whether files from elsewhere get onto the shelf whole or not at all, whatever a server, a line, a disk or a kill does,
//! and whether one that cannot be had is told and holds up no other. Servers of our own, by HTTPS and HTTP.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../support/port.rs"]
mod port;
mod server;
mod signed;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scaleio_framework::config::Config;
use scaleio_framework::enrol::artefacts::{Goods, Shelf, Standing};
use scaleio_framework::enrol::stock::Stock;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use self::server::{Gives, Server};

/// Nothing here waits so long on a machine that works.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that repeat nowhere.
pub(crate) fn bytes(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    rand::fill(&mut bytes[..]);
    bytes
}

/// A controller's configuration with files from elsewhere.
pub(crate) struct Site {
    pub(crate) folder: tempfile::TempDir,
    text: String,
    web: u16,
}

impl Site {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("password"), "secret\n").unwrap();
        fs::set_permissions(folder.path().join("password"), fs::Permissions::from_mode(0o600)).unwrap();
        let web = port::free_port();
        let text = format!(
            "[web]\nlisten = \"127.0.0.1:{web}\"\n[control]\nsocket = \"sio.sock\"\n[store]\npath = \"state.db\"\n\
             [alerts]\nenabled = false\n[systems.prod]\ngateways = [\"https://127.0.0.1:1\"]\n\
             [systems.prod.monitor]\nuser = \"watcher\"\npassword_file = \"password\"\n\
             [agents]\nlisten = \"127.0.0.1:{}\"\nfolder = \"ca\"\n[artefacts]\nlisten = \"127.0.0.1:{}\"\ncache = \"cache\"\n",
            port::free_port(),
            port::free_port(),
        );
        Self { folder, text, web }
    }

    pub(crate) fn say(&mut self, more: &str) {
        self.text += more;
    }

    /// A file of a server, as one section.
    pub(crate) fn source(&mut self, server: &Server, path: &str, sha256: &str, more: &str) {
        let ca = if server.pem.is_empty() { "" } else { "ca_file = \"server.pem\"\n" };
        if !ca.is_empty() {
            fs::write(self.folder.path().join("server.pem"), &server.pem).unwrap();
        }
        let url = &server.url;
        self.say(&format!("[[artefacts.sources]]\nurl = \"{url}{path}\"\nsha256 = \"{sha256}\"\n{ca}{more}"));
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub(crate) fn file(&self) -> PathBuf {
        let file = self.folder.path().join("sio.toml");
        fs::write(&file, &self.text).unwrap();
        file
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(Some(&self.file()), std::iter::empty()).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// What the configuration gives out, brought by a task that ends with this.
    pub(crate) fn open(&self) -> Open {
        let artefacts = self.config().artefacts;
        let (stock, shelf) = Stock::open(&artefacts.sources, Shelf::of(&artefacts).unwrap()).unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(stock.unwrap().run(stop.clone()));
        Open { shelf, stop }
    }

    /// Names of all that lies in the cache.
    pub(crate) fn lies(&self) -> Vec<String> {
        let all = fs::read_dir(self.cache()).into_iter().flatten();
        let mut names: Vec<String> = all.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) struct Open {
    pub(crate) shelf: Shelf,
    stop: CancellationToken,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Open {
    /// Has everything tried once more, and says what is there then.
    pub(crate) async fn tried(&self) -> Arc<Goods> {
        let mut supply = self.shelf.supply().unwrap().clone();
        tokio::time::timeout(PATIENCE, supply.try_all()).await.unwrap();
        self.shelf.goods()
    }
}

/// Why a file is not there.
pub(crate) fn why(goods: &Arc<Goods>, name: &str) -> String {
    assert!(goods.find(name).is_none(), "{name} is there");
    let coming = &goods.coming()[name];
    assert!(matches!(coming.standing, Standing::Failed { .. }), "{coming:?}");
    coming.told(name)
}

#[track_caller]
pub(crate) fn assert_has(goods: &Arc<Goods>, name: &str, content: &[u8]) {
    let (artefact, path) = goods.find(name).unwrap_or_else(|| panic!("{name}: {:?}", goods.coming().get(name)));
    assert_eq!((&artefact.sha256, artefact.size), (&hash(content), content.len() as u64));
    assert!(fs::read(path).unwrap() == content, "{name} has another content");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_answer_is_told_with_its_mend_and_holds_up_no_other_file() {
    let (server, plain) = (Server::start(true).await, Server::start(false).await);
    let (good, other) = (bytes(300_000), bytes(1000));
    server.gives("/good.rpm", Gives::File(good.clone()));
    server.gives("/led.rpm", Gives::Leads("/good.rpm".to_owned()));
    server.gives("/altered.rpm", Gives::File(other.clone()));
    server.gives("/page.rpm", Gives::Says(200, "text/html; charset=utf-8", "<html>log in".to_owned()));
    server.gives("/hidden-page.rpm", Gives::Says(200, "application/x-rpm", "<!DOCTYPE html>".to_owned()));
    server.gives("/denied.rpm", Gives::Says(403, "text/plain", "no".to_owned()));
    server.gives("/ill.rpm", Gives::Says(503, "text/plain", "later".to_owned()));
    server.gives("/round.rpm", Gives::Leads("/round.rpm".to_owned()));
    server.gives("/down.rpm", Gives::Leads(format!("{}/plain.rpm", plain.url)));
    server.gives("/large.rpm", Gives::File(bytes(3 << 20)));
    server.gives("/endless.rpm", Gives::Endless);
    plain.gives("/plain.rpm", Gives::File(other.clone()));
    let mut site = Site::new();
    site.say("largest = \"2MiB\"\n");
    let bad = [
        ("altered.rpm", "look at what the address gives, or mend the hash"),
        ("page.rpm", "it answers with a web page"),
        ("hidden-page.rpm", "begins like a web page"),
        ("denied.rpm", "403 Forbidden; mend the login or the token"),
        ("ill.rpm", "503 Service Unavailable; look into the log of that server"),
        ("missing.rpm", "404 Not Found; look whether the address is right"),
        ("round.rpm", "it is led from address to address"),
        ("down.rpm", "it is led from https to http"),
        ("large.rpm", "it has 3.0 MiB, more than the 2.0 MiB of artefacts.largest"),
        ("endless.rpm", "more than the 2.0 MiB of artefacts.largest"),
    ];
    for (name, _) in bad {
        site.source(&server, &format!("/{name}"), &hash(b"wanted"), "");
    }
    site.source(&server, "/good.rpm", &hash(&good), "");
    site.source(&server, "/led.rpm", &hash(&good), "name = \"led-1.rpm\"\n");
    site.source(&plain, "/plain.rpm", &hash(&other), "");
    // Nobody is there, or somebody else is.
    site.say(&format!(
        "[[artefacts.sources]]\nurl = \"https://127.0.0.1:1/gone.rpm\"\nsha256 = \"{0}\"\n\
         [[artefacts.sources]]\nurl = \"{1}/stranger.rpm\"\nsha256 = \"{0}\"\n",
        hash(b"wanted"),
        server.url
    ));
    let open = site.open();
    let goods = open.tried().await;
    for (name, content) in [("good.rpm", &good), ("led-1.rpm", &good), ("plain.rpm", &other)] {
        assert_has(&goods, name, content);
    }
    let strangers = [("gone.rpm", "it cannot be reached"), ("stranger.rpm", "issuer is not trusted")];
    for (name, part) in bad.into_iter().chain(strangers) {
        let told = why(&goods, name);
        let url = if name == "gone.rpm" { "https://127.0.0.1:1" } else { &server.url };
        assert!(told.contains(part) && told.contains(&format!("{url}/{name}")), "{name}: {told}");
    }
    assert_eq!(site.lies(), ["good.rpm", "led-1.rpm", "plain.rpm"], "nothing is left of the others");

    // What is mended comes, and what came is not asked for again.
    server.gives("/altered.rpm", Gives::File(b"wanted".to_vec()));
    assert_has(&open.tried().await, "altered.rpm", b"wanted");
    assert_eq!(server.asked("/good.rpm").len(), 2, "once by itself, once by what led there");
    drop(open);
    let first = site.open();
    assert_has(&first.shelf.goods(), "altered.rpm", b"wanted");
    assert_eq!(server.asked("/good.rpm").len(), 2, "an earlier life brought it");

    // What is altered here is thrown away and comes anew.
    fs::write(site.cache().join("good.rpm"), "torn").unwrap();
    assert_has(&first.tried().await, "good.rpm", &good);
    assert_eq!(server.asked("/good.rpm").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_broke_off_is_gone_on_with_and_what_does_not_fit_is_begun_anew() {
    let server = Server::start(true).await;
    let (one, two, three) = (bytes(500_000), bytes(500_000), bytes(1000));
    server.gives("/one.rpm", Gives::Cut(one.clone(), 200_000));
    server.gives("/two.rpm", Gives::Whole(two.clone()));
    server.gives("/three.rpm", Gives::File(three.clone()));
    let mut site = Site::new();
    fs::write(
        site.folder.path().join("SUMS"),
        format!("{}  one.rpm\n{} *two.rpm\n{}  three.rpm\n", hash(&one), hash(&two), hash(&three)),
    )
    .unwrap();
    fs::write(site.folder.path().join("server.pem"), &server.pem).unwrap();
    fs::write(site.folder.path().join("token"), "t0ken").unwrap();
    fs::set_permissions(site.folder.path().join("token"), fs::Permissions::from_mode(0o600)).unwrap();
    site.say(&format!(
        "[[artefacts.sources]]\nurl = \"{}/\"\nchecksums = \"SUMS\"\nca_file = \"server.pem\"\ntoken_file = \"token\"\n",
        server.url
    ));
    // What is here of them came from somewhere else; all of the third one is here.
    fs::create_dir(site.cache()).unwrap();
    let part = |name: &str, content: &[u8]| site.cache().join(format!(".{name}.{}.part", &hash(content)[..16]));
    fs::write(part("two.rpm", &two), bytes(700_000)).unwrap();
    fs::write(part("three.rpm", &three), &three).unwrap();
    let open = site.open();
    let goods = open.tried().await;
    let told = why(&goods, "one.rpm");
    assert!(
        told.contains("it broke off after 195.3 KiB of 488.3 KiB") && told.contains("goes on from there"),
        "{told}"
    );
    assert_eq!(fs::read(part("one.rpm", &one)).unwrap(), one[..200_000], "what came of it stays");
    assert!(goods.find("two.rpm").is_some() && goods.find("three.rpm").is_some());
    let goods = open.tried().await;
    for (name, content) in [("one.rpm", &one), ("two.rpm", &two), ("three.rpm", &three)] {
        assert_has(&goods, name, content);
    }
    let asked = server.asked("/one.rpm");
    let ranges: Vec<Option<&str>> = asked.iter().map(|asked| asked.range.as_deref()).collect();
    assert_eq!(ranges, [None, Some("bytes=200000-")]);
    assert!(asked.iter().all(|asked| asked.authorization.as_deref() == Some("Bearer t0ken")), "{asked:?}");
    assert_eq!(server.asked("/three.rpm")[0].range.as_deref(), Some("bytes=1000-"));
    assert_eq!(site.lies(), ["one.rpm", "three.rpm", "two.rpm"]);

    // A part of another file ends as no file, and the next try begins anew at once.
    drop(open);
    fs::remove_file(site.cache().join("one.rpm")).unwrap();
    fs::write(part("one.rpm", &one), bytes(300_000)).unwrap();
    assert_has(&site.open().tried().await, "one.rpm", &one);
    let ranges: Vec<Option<String>> = server.asked("/one.rpm").into_iter().map(|asked| asked.range).collect();
    assert_eq!(ranges[2..], [Some("bytes=300000-".to_owned()), None]);
}

/// A disk of few bytes, which is gone at the end.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&at).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], &at);
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn mount(args: &[&str], at: &Path) {
    assert!(Command::new("mount").args(args).arg(at).status().unwrap().success(), "mount {args:?} (root)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_before_it_is_full_and_files_come_once_there_is_room() {
    let server = Server::start(true).await;
    let file = bytes(200_000);
    server.gives("/a.rpm", Gives::File(file.clone()));
    let mut site = Site::new();
    site.source(&server, "/a.rpm", &hash(&file), "");
    let small = Small::mount(site.cache(), "100m");
    let open = site.open();
    let told = why(&open.tried().await, "a.rpm");
    for part in ["there is no room for it", "195.3 KiB more come", "make room", "cache"] {
        assert!(told.contains(part), "{told}");
    }
    assert_eq!(site.lies(), [] as [&str; 0]);
    mount(&["-o", "remount,size=300m"], &small.0);
    assert_has(&open.tried().await, "a.rpm", &file);
}

#[test]
fn two_files_of_one_name_are_refused_where_they_differ() {
    let mut site = Site::new();
    fs::create_dir(site.folder.path().join("packages")).unwrap();
    fs::write(site.folder.path().join("packages/a.rpm"), "here").unwrap();
    site.say("folder = \"packages\"\n[[artefacts.sources]]\nurl = \"https://127.0.0.1:1/a.rpm\"\n");
    let open = |site: &Site| {
        let artefacts = site.config().artefacts;
        Stock::open(&artefacts.sources, Shelf::of(&artefacts).unwrap()).map(|(stock, shelf)| (stock.is_some(), shelf))
    };
    let text = site.text.clone();
    site.say(&format!("sha256 = \"{}\"\n", hash(b"here")));
    let (comes, shelf) = open(&site).unwrap();
    assert!(!comes && shelf.goods().find("a.rpm").is_some(), "what is here need not come");
    site.text = text;
    site.say(&format!("sha256 = \"{}\"\n", hash(b"there")));
    let told = open(&site).unwrap_err();
    assert!(told.contains("packages/a.rpm has SHA-256") && told.contains("take one of them away"), "{told}");
}

/// The controller, killed at the latest when the test ends.
struct Controller(Child, PathBuf);

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Controller {
    fn run(site: &Site) -> Self {
        let log = site.folder.path().join("log");
        let out = fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
        command.args(["run", "--config"]).arg(site.file()).env_clear();
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Self(command.spawn().unwrap(), log)
    }

    /// Waits until the metrics tell this of packages.
    async fn shows(&mut self, url: &str, wanted: &[String]) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let begun = Instant::now();
        loop {
            let body = match reqwest::get(url).await {
                Ok(answer) => answer.text().await.unwrap(),
                Err(_) => String::new(),
            };
            let told = body.lines().filter_map(|line| line.strip_prefix("scaleio_framework_"));
            let told: Vec<&str> = told.filter(|line| line.starts_with("artefact")).collect();
            if told == wanted {
                return;
            }
            let alive = self.0.try_wait().unwrap().is_none();
            assert!(alive && begun.elapsed() < PATIENCE, "{told:?}\n{}", fs::read_to_string(&self.1).unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until(&mut self, what: &str, mut is_so: impl FnMut(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let log = fs::read_to_string(&self.1).unwrap();
            if is_so(&log) {
                return;
            }
            assert!(self.0.try_wait().unwrap().is_none() && begun.elapsed() < PATIENCE, "{what}: in vain\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_killed_in_the_middle_of_a_fetch_goes_on_with_it() {
    let server = Server::start(true).await;
    let file = bytes(4 << 20);
    server.gives("/a.rpm", Gives::Slowly(file.clone()));
    let mut site = Site::new();
    site.source(&server, "/a.rpm", &hash(&file), "");
    let part = site.cache().join(format!(".a.rpm.{}.part", &hash(&file)[..16]));
    let size = || fs::metadata(&part).map_or(0, |about| about.len());
    let mut first = Controller::run(&site);
    first.until("some of it to come", |_| size() > 512 << 10).await;
    drop(first);
    let came = size();
    assert!(came < 4 << 20, "it was killed too late: {came}");
    assert!(!site.cache().join("a.rpm").exists(), "a part of a file is none");

    // The doctor tells of it, and takes nothing.
    let doctor = || {
        let output = Command::new(env!("CARGO_BIN_EXE_sio")).args(["doctor", "--config"]).arg(site.file()).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let told = tokio::task::block_in_place(doctor);
    let line = |told: &str| told.lines().find(|line| line.contains("artefact a.rpm")).map(str::to_owned).unwrap();
    assert!(line(&told).starts_with("ok") && line(&told).contains("it can be had, 4.0 MiB"), "{told}");
    assert_eq!(size(), came);

    let mut second = Controller::run(&site);
    second.until("it to come", |log| log.contains("an artefact came")).await;
    assert!(fs::read(site.cache().join("a.rpm")).unwrap() == file);
    let asked = server.asked("/a.rpm");
    assert_eq!(asked.last().unwrap().range, Some(format!("bytes={came}-")), "{asked:?}");
    let told = tokio::task::block_in_place(doctor);
    assert!(line(&told).contains("is here, in"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_cannot_be_had_shows_in_the_metrics_until_it_comes() {
    let server = Server::start(true).await;
    server.gives("/a.rpm", Gives::File(b"one".to_vec()));
    server.gives("/b.rpm", Gives::File(b"another".to_vec()));
    let mut site = Site::new();
    site.source(&server, "/a.rpm", &hash(b"one"), "");
    site.source(&server, "/b.rpm", &hash(b"two"), "");
    let mut controller = Controller::run(&site);
    let url = format!("http://127.0.0.1:{}/metrics", site.web);
    let counts = |here, failed| {
        [("awaited", 0), ("failed", failed), ("here", here)]
            .map(|(state, count)| format!("artefacts{{state=\"{state}\"}} {count}"))
    };
    let [awaited, lost, here] = counts(1, 1);
    controller.shows(&url, &[r#"artefact_failed{artefact="b.rpm"} 1"#.to_owned(), awaited, lost, here]).await;
    server.gives("/b.rpm", Gives::File(b"two".to_vec()));
    controller.shows(&url, &counts(2, 0)).await;
}

//! Who is let in at the agents' endpoint, and what an agent does when its
//! controller is gone: an agent and an endpoint over real TLS on loopback.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use scaleio_framework::agent::link::{Link, LinkError, Papers};
use scaleio_framework::agent::real;
use scaleio_framework::agent::run::{Settings, run};
use scaleio_framework::enrol::artefacts::Shelf;
use scaleio_framework::enrol::ca::Authority;
use scaleio_framework::enrol::desk::{self, Orderer};
use scaleio_framework::enrol::endpoint::{Endpoint, Hello, Join};
use scaleio_framework::enrol::request::Request;
use scaleio_framework::enrol::token::{Token, Tokens};
use scaleio_framework::model::order::{Artefact, Finished, Order, OrderId, Outcome, PROTOCOL, Report, Secrets, Task};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> DateTime<Utc> {
    scaleio_framework::clock::now()
}

fn sha256(path: &Path) -> String {
    real::sha256(path).unwrap()
}

struct Site {
    folder: tempfile::TempDir,
    authority: Arc<Authority>,
    orderer: Orderer,
    url: String,
    stop: CancellationToken,
}

impl Site {
    async fn open() -> Self {
        Self::with_files(&[]).await
    }

    /// With more files to be had.
    async fn with_files(more: &[(&str, Vec<u8>)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::open(&folder.path().join("ca"), now()).unwrap());
        let files = folder.path().join("files");
        std::fs::create_dir(&files).unwrap();
        std::fs::write(files.join("a.bin"), vec![7; 300_000]).unwrap();
        for (name, content) in more {
            std::fs::write(files.join(name), content).unwrap();
        }
        let mut tokens = Tokens::default();
        let until = now() + Duration::from_secs(600);
        tokens.give("host-1", Token { sha256: Sha256::digest("right").into(), until });
        let (orderer, counter) = desk::open();
        let names = ["127.0.0.1".to_owned()];
        let address = "127.0.0.1:0".parse().unwrap();
        let shelf = Shelf::scan(&files).unwrap();
        let endpoint = Endpoint::bind(address, &names, authority.clone(), counter, shelf, tokens).await.unwrap();
        let url = format!("https://{}", endpoint.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(endpoint.serve(stop.clone()));
        Self { folder, authority, orderer, url, stop }
    }

    fn papers(&self, node: &str) -> Papers {
        let folder = self.folder.path().join(node);
        std::fs::create_dir_all(&folder).unwrap();
        let request = Request::new(node).unwrap();
        let papers = Papers::of(&folder);
        std::fs::write(&papers.ca, self.authority.pem()).unwrap();
        std::fs::write(&papers.own.key, request.key()).unwrap();
        std::fs::write(&papers.own.certificate, self.authority.sign(request.pem(), node, now()).unwrap()).unwrap();
        papers
    }

    /// The order to become one of the files.
    fn renewal(&self, id: &str, name: &str) -> Order {
        let path = self.folder.path().join("files").join(name);
        let size = path.metadata().unwrap().len();
        let artefact = Artefact { name: name.to_owned(), sha256: sha256(&path), size, url: None };
        Order { within_s: 300, ..order(id, 1, Task::RenewAgent { artefact }) }
    }

    fn link(&self, node: &str) -> Link {
        let papers = self.papers(node);
        Link::new(&papers.ca, Some(&papers.own)).unwrap()
    }

    /// Takes one report in, and acknowledges what it says.
    async fn hear(&mut self) -> (String, Report) {
        let said = tokio::time::timeout(PATIENCE, self.orderer.reports.recv()).await.unwrap().unwrap();
        let done = said.report.finished.iter().map(|finished| finished.id.clone()).collect();
        let _ = said.acknowledge.send(done);
        (said.node, said.report)
    }

    async fn outcome(&mut self, id: &str) -> Finished {
        loop {
            let (_, report) = self.hear().await;
            if let Some(finished) = report.finished.into_iter().find(|finished| finished.id.as_str() == id) {
                return finished;
            }
        }
    }
}

fn report(protocol: u16) -> Report {
    Report {
        protocol,
        release: String::new(),
        program: String::new(),
        boot_id: String::new(),
        kernel: String::new(),
        epoch: 0,
        working_on: None,
        finished: Vec::new(),
        out_of_work: None,
        papers_problem: None,
        host: None,
    }
}

fn order(id: &str, epoch: u64, task: Task) -> Order {
    let expires = now() + Duration::from_secs(60);
    Order { id: OrderId::new(id), epoch, expires, within_s: 60, task, secrets: Secrets::default() }
}

/// A real agent, as a process whose program may become another one.
struct Process {
    child: std::process::Child,
    program: PathBuf,
    folder: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn start(site: &Site) -> Self {
        site.papers("host-1");
        let folder = site.folder.path().join("host-1");
        let program = site.folder.path().join("sio");
        std::fs::copy(env!("CARGO_BIN_EXE_sio"), &program).unwrap();
        let mut command = std::process::Command::new(&program);
        command.args(["agent", "--controller", &site.url, "--folder"]).arg(&folder).env_clear();
        let child = command.spawn().unwrap();
        Self { child, program, folder }
    }
}

/// Another program that does the same: what stands behind its end is not read.
fn another_program() -> Vec<u8> {
    let mut bytes = std::fs::read(env!("CARGO_BIN_EXE_sio")).unwrap();
    bytes.extend(b"another");
    bytes
}

fn stage(site: &Site) -> Task {
    let content = std::fs::read(site.folder.path().join("files/a.bin")).unwrap();
    let sha256 = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect();
    Task::Stage { artefacts: vec![Artefact { name: "a.bin".to_owned(), sha256, size: 300_000, url: None }] }
}

fn is_refused(answer: Result<impl Sized, LinkError>, expected: u16, words: &str) {
    match answer {
        Err(LinkError::Refused { status, why, .. }) => {
            assert!(status == expected && why.contains(words), "{status}: {why}");
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("let in"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_of_ours_nothing_is_said_or_had() {
    let site = Site::open().await;
    let papers = site.papers("host-9");
    let stranger = Link::new(&papers.ca, None).unwrap();
    is_refused(stranger.report(&site.url, &report(PROTOCOL)).await, 403, "certificate");
    let artefact = Artefact { name: "a.bin".to_owned(), sha256: String::new(), size: 300_000, url: None };
    let to = site.folder.path().join("had");
    is_refused(stranger.fetch(&site.url, &artefact, &to).await, 403, "certificate");

    // Another authority's certificate under the name of one of our nodes.
    let other = Authority::open(&site.folder.path().join("other"), now()).unwrap();
    let request = Request::new("host-9").unwrap();
    std::fs::write(&papers.own.key, request.key()).unwrap();
    std::fs::write(&papers.own.certificate, other.sign(request.pem(), "host-9", now()).unwrap()).unwrap();
    let forged = Link::new(&papers.ca, Some(&papers.own)).unwrap();
    let refused = forged.report(&site.url, &report(PROTOCOL)).await.unwrap_err();
    assert!(matches!(refused, LinkError::Unreachable { .. }), "{refused}");

    // A controller of another authority is not spoken to.
    std::fs::write(&papers.ca, other.pem()).unwrap();
    let misled = Link::new(&papers.ca, None).unwrap();
    let refused = misled.report(&site.url, &report(PROTOCOL)).await.unwrap_err().to_string();
    assert!(refused.contains("not signed by it"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_joins_by_its_token_once_and_then_speaks_by_its_name() {
    let mut site = Site::open().await;
    let papers = site.papers("unused");
    let link = Link::new(&papers.ca, None).unwrap();
    let request = Request::new("whatever").unwrap();
    let join = |token: &str| Join { node: "host-1".into(), token: token.into(), request: request.pem().into() };
    is_refused(link.join(&site.url, &join("guess")).await, 403, "make a new one");
    let joined = link.join(&site.url, &join("right")).await.unwrap();
    is_refused(link.join(&site.url, &join("right")).await, 403, "make a new one");
    std::fs::write(&papers.own.key, request.key()).unwrap();
    std::fs::write(&papers.own.certificate, joined.certificate).unwrap();
    let link = Link::new(&papers.ca, Some(&papers.own)).unwrap();
    site.orderer.order("host-1", order("1", 1, Task::Unknown));
    let url = site.url.clone();
    let answer = tokio::spawn(async move { link.report(&url, &report(PROTOCOL)).await });
    assert_eq!(site.hear().await.0, "host-1");
    assert_eq!(answer.await.unwrap().unwrap().order.unwrap().id.as_str(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_two_versions_off_is_told_so() {
    let site = Site::open().await;
    let link = site.link("host-1");
    is_refused(link.report(&site.url, &report(PROTOCOL + 2)).await, 409, "neighbours");
}

fn settings(site: &Site, folder: &Path) -> Settings {
    Settings { controllers: vec![site.url.clone()], folder: folder.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gets_files_by_order_obeys_no_old_leader_and_remembers_over_a_start() {
    let mut site = Site::open().await;
    site.papers("host-1");
    let folder = site.folder.path().join("host-1");
    let agent = |stop: &CancellationToken| tokio::spawn(run(settings(&site, &folder), stop.clone()));
    let stop = CancellationToken::new();
    let first = agent(&stop);
    let task = stage(&site);
    site.orderer.order("host-1", order("1", 5, task.clone()));
    assert_eq!(site.outcome("1").await.outcome, Outcome::Done);
    assert_eq!(std::fs::read(folder.join("staged/a.bin")).unwrap(), vec![7; 300_000]);
    stop.cancel();
    first.await.unwrap().unwrap();

    let stop = CancellationToken::new();
    let agent = tokio::spawn(run(settings(&site, &folder), stop.clone()));
    site.orderer.order("host-1", order("2", 4, task.clone()));
    let refused = site.outcome("2").await;
    assert!(matches!(&refused.outcome, Outcome::Refused { why } if why.contains("epoch 5")), "{refused:?}");
    site.orderer.order("host-1", order("3", 6, task));
    assert_eq!(site.outcome("3").await.outcome, Outcome::AlreadySo);
    stop.cancel();
    agent.await.unwrap().unwrap();
    site.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_is_over_at_once_is_one_request_whose_answer_brings_the_next_order() {
    let mut site = Site::open().await;
    site.papers("host-1");
    let folder = site.folder.path().join("host-1");
    let stop = CancellationToken::new();
    let agent = tokio::spawn(run(settings(&site, &folder), stop.clone()));
    let task = stage(&site);
    let mut told = Vec::new();
    for number in 0..4 {
        // The first one fetches a file, and may take long enough to be told of before it is over.
        let report = loop {
            let (_, report) = site.hear().await;
            if report.working_on.as_ref().is_none_or(|id| id.as_str() != "0") {
                break report;
            }
        };
        let finished = report.finished.iter().map(|finished| finished.id.to_string());
        told.push((finished.collect::<Vec<_>>(), report.working_on));
        // What follows from an outcome comes a moment after that was taken over.
        tokio::time::sleep(Duration::from_millis(100)).await;
        site.orderer.order("host-1", order(&number.to_string(), 1, task.clone()));
    }
    let over = |id: &str| (vec![id.to_owned()], None);
    assert_eq!(told, [(vec![], None), over("0"), over("1"), over("2")]);
    stop.cancel();
    agent.await.unwrap().unwrap();
    site.stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_ledger_is_damaged_says_so_and_takes_no_orders() {
    let mut site = Site::open().await;
    site.papers("host-1");
    let folder = site.folder.path().join("host-1");
    // Something whole after something bad.
    let text = r#"{"record":"epoch","epoch":1}"#;
    let line = format!("00000000 {{}}\n{:08x} {text}\n", crc32fast::hash(text.as_bytes()));
    std::fs::write(folder.join("ledger"), line).unwrap();
    let stop = CancellationToken::new();
    let agent = tokio::spawn(run(settings(&site, &folder), stop.clone()));
    site.orderer.order("host-1", order("1", 1, stage(&site)));
    let (_, report) = site.hear().await;
    assert!(report.out_of_work.unwrap().contains("damaged in line 1"));
    stop.cancel();
    agent.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_becomes_another_program_only_when_that_reaches_the_controller_first() {
    let bad = b"#!/bin/sh\necho 'no such library' >&2\nexit 127\n".to_vec();
    let mut site = Site::with_files(&[("sio-bad", bad), ("sio-new", another_program())]).await;
    let agent = Process::start(&site);
    let old = sha256(&agent.program);
    let (_, first) = site.hear().await;
    assert_eq!(first.program, old);

    site.orderer.order("host-1", site.renewal("r1", "sio-bad"));
    let told = site.outcome("r1").await.outcome;
    assert!(matches!(&told, Outcome::Failed { why } if why.contains("no such library")), "{told:?}");
    assert_eq!(sha256(&agent.program), old, "the old program is in its place still");

    site.orderer.order("host-1", site.renewal("r2", "sio-new"));
    assert_eq!(site.outcome("r2").await.outcome, Outcome::Done);
    let new = sha256(&site.folder.path().join("files/sio-new"));
    assert_eq!(site.hear().await.1.program, new);
    assert!(!agent.folder.join("probation.json").exists(), "it was answered, and is on probation no more");
    // It was so already, and nothing is started anew.
    site.orderer.order("host-1", site.renewal("r3", "sio-new"));
    assert_eq!(site.outcome("r3").await.outcome, Outcome::AlreadySo);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_program_that_no_controller_answers_for_a_minute_gives_way_to_the_old_one() {
    let mut site = Site::with_files(&[("sio-new", another_program())]).await;
    let agent = Process::start(&site);
    let old = sha256(&agent.program);
    site.hear().await;
    site.orderer.order("host-1", site.renewal("r1", "sio-new"));
    // The trial is answered; what the new program says then is not, until the old one speaks again.
    let note = agent.folder.join("probation.json");
    let fell_back = async {
        while !std::fs::read_to_string(&note).is_ok_and(|text| text.contains("fell_back")) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(3 * PATIENCE, fell_back).await.unwrap();
    // It is the same program that is not done, and not the other one that is.
    let told = site.outcome("r1").await.outcome;
    assert!(matches!(&told, Outcome::Failed { why } if why.contains("within 60 s")), "{told:?}");
    assert_eq!(sha256(&agent.program), old);
    assert_eq!(site.hear().await.1.program, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_renews_its_certificate_when_half_of_its_life_is_over_and_goes_on_with_the_new_one() {
    let mut site = Site::open().await;
    let papers = site.papers("host-1");
    let short =
        Authority::open(&site.folder.path().join("ca"), now()).unwrap().with_life(Duration::from_secs(86_400 * 5));
    let request = Request::new("host-1").unwrap();
    let old = short.sign(request.pem(), "host-1", now() - Duration::from_secs(86_400 * 5)).unwrap();
    std::fs::write(&papers.own.key, request.key()).unwrap();
    std::fs::write(&papers.own.certificate, &old).unwrap();
    let stop = site.stop.child_token();
    let agent = tokio::spawn(run(settings(&site, &site.folder.path().join("host-1")), stop));
    let read = || std::fs::read_to_string(&papers.own.certificate).unwrap();
    let renewed = async {
        while read() == old {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, renewed).await.unwrap();
    site.hear().await;
    site.orderer.order("host-1", order("s1", 1, stage(&site)));
    assert_eq!(site.outcome("s1").await.outcome, Outcome::Done);
    let link = Link::new(&papers.ca, Some(&papers.own)).unwrap();
    assert_eq!(
        link.hello(&site.url, &Hello { protocol: PROTOCOL, release: String::new() }).await.unwrap().protocol,
        PROTOCOL
    );
    agent.abort();
}

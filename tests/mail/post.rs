//! Whether the loop, the outbox and the store together lose nothing.

use std::sync::Arc;

use chrono::TimeDelta;
use scaleio_framework::alert::outbox::{Input, Outbox, chunks};
use scaleio_framework::clock;
use scaleio_framework::config::MailTls;
use scaleio_framework::model::alerting::*;
use scaleio_framework::store::{Batch, Disk, Key, Store};

use crate::life::Life;
use crate::server::{At, Certificates, Do, Server, Style, well};
use crate::world::*;

fn fresh(mut note: Notification) -> Notification {
    note.created_at = clock::now();
    note
}

#[tokio::test]
async fn what_was_not_taken_now_is_sent_later() {
    let certificates = Certificates::new();
    let script = Arc::new(|at, _: &str, nth| match (at, nth) {
        (At::Rcpt, 0) => Do::Say("451 4.7.1 greylisted"),
        (At::Body, 0) => Do::Cut,
        _ => Do::Well,
    });
    let server = Server::start(Style::StartTls, &certificates, script).await;
    let life = Life::begin(&Disk::new(), &mail(&[server.port], MailTls::StartTls, certificates.trust()));
    life.post.add(vec![fresh(critical("n-1"))], Batch::new()).await.unwrap();
    life.is_empty().await;
    assert_eq!(server.mails().iter().map(|mail| mail.id()).collect::<Vec<_>>(), [format!("<n-1@{DOMAIN}>")]);
    assert_eq!(life.health.borrow().trouble, None, "a success ends the trouble");
    life.end().await;
}

#[tokio::test]
async fn a_refused_recipient_is_a_problem_that_is_told_and_the_mail_is_not_sent_twice() {
    let certificates = Certificates::new();
    let script = Arc::new(|at, said: &str, nth| match at {
        At::Rcpt if said.contains("gone@") => Do::Say("550 5.1.1 no such user"),
        At::Rcpt if said.contains("later@") && nth < 3 => Do::Say("450 4.2.0 greylisted"),
        _ => Do::Well,
    });
    let server = Server::start(Style::StartTls, &certificates, script).await;
    let life = Life::begin(&Disk::new(), &mail(&[server.port], MailTls::StartTls, certificates.trust()));
    let mut note = fresh(critical("n-1"));
    note.recipients = ["ops", "gone", "later"].map(|name| format!("{name}@example.test")).to_vec();
    life.post.add(vec![note], Batch::new()).await.unwrap();
    life.is_empty().await;
    let to: Vec<Vec<String>> = server.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, [["ops@example.test"], ["later@example.test"]], "each gets it once");
    let problems = life.health.borrow().problems(clock::now());
    assert!(problems[0].contains("gone@example.test is refused") && problems[0].contains("550 5.1.1"), "{problems:?}");
    life.end().await;
}

#[tokio::test]
async fn a_mail_that_nobody_takes_is_kept_and_can_be_sent_again() {
    let certificates = Certificates::new();
    let script = Arc::new(|at, _: &str, nth| match (at, nth) {
        (At::Body, 0) => Do::Say("554 5.7.1 looks like spam"),
        _ => Do::Well,
    });
    let server = Server::start(Style::StartTls, &certificates, script).await;
    let disk = Disk::new();
    let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let life = Life::begin(&disk, &mail);
    life.post.add(vec![fresh(critical("n-1"))], Batch::new()).await.unwrap();
    let health = life.health.clone();
    wait_for("the failure", || (health.borrow().failed == 1).then_some(())).await;
    let problems = health.borrow().problems(clock::now());
    assert!(problems[0].contains("given up") && problems[0].contains("looks like spam"), "{problems:?}");
    life.end().await;

    let life = Life::begin(&disk, &mail);
    assert_eq!(life.post.list().await.unwrap().len(), 1, "it is still there after a restart");
    assert_eq!(life.post.flush().await, Some(1));
    life.is_empty().await;
    assert_eq!((server.mails().len(), life.health.borrow().failed), (1, 0));
    life.end().await;
}

#[tokio::test]
async fn a_thousand_alerts_at_once_arrive_each_once_and_the_gravest_first() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let disk = Disk::new();
    let mut notes: Vec<Notification> = (0..1_000).map(|n| fresh(info(&format!("n-{n}")))).collect();
    notes.push(fresh(critical("grave")));
    // The server comes after the alerts, so that all of them wait.
    let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let parts = chunks(notes, clock::now());
    assert!(parts.len() > 1, "more than one batch");
    let mut store = disk.open().unwrap();
    let mut outbox = Outbox::new(limits());
    let mut version = store.load().unwrap().version;
    for part in parts {
        let step = outbox.step(clock::now(), Input::Add(part));
        version = store.commit(Default::default(), version, &step.put_into(Batch::new()).unwrap()).unwrap();
        outbox.apply(&step);
    }
    drop(store);
    let life = Life::begin(&disk, &mail);
    life.is_empty().await;
    let ids: Vec<String> = server.mails().iter().map(|mail| mail.id()).collect();
    assert_eq!(ids[0], format!("<grave@{DOMAIN}>"));
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (1_001, 1_001));
    assert_eq!(server.connections(), 2, "one connection carries them all; the other one was the check at the start");
    life.end().await;
}

#[tokio::test]
async fn a_server_that_was_down_gets_everything_once_it_is_back() {
    let certificates = Certificates::new();
    let server = Server::start(Style::StartTls, &certificates, well()).await;
    let port = server.port;
    drop(server);
    let life = Life::begin(&Disk::new(), &mail(&[port], MailTls::StartTls, certificates.trust()));
    let notes = (0..20).map(|n| fresh(critical(&format!("n-{n}")))).collect();
    life.post.add(notes, Batch::new()).await.unwrap();
    let health = life.health.clone();
    let trouble = wait_for("trouble", || health.borrow().trouble.clone()).await;
    assert!(trouble.contains("cannot be reached"), "{trouble}");
    let late = health.borrow().problems(clock::now() + TimeDelta::minutes(16));
    assert!(late[0].contains("20 messages wait"), "{late:?}");
    let server = Server::on(port, Style::StartTls, &certificates, well()).await;
    life.is_empty().await;
    assert_eq!(server.mails().len(), 20);
    assert_eq!(health.borrow().counts[&(Severity::Critical, "firing", "sent")], 20);
    life.end().await;
}

#[tokio::test]
async fn mails_and_their_cause_are_one_commit_and_survive_a_kill() {
    let certificates = Certificates::new();
    let server = Server::start(
        Style::StartTls,
        &certificates,
        Arc::new(|at, _: &str, nth| match (at, nth) {
            // It never answers the third mail, so that the process is killed in its middle.
            (At::Body, 2) => Do::Nothing,
            _ => Do::Well,
        }),
    )
    .await;
    let disk = Disk::new();
    let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
    let life = Life::begin(&disk, &mail);
    let cause = || Key::new("alerts/prod").unwrap();
    let notes = (0..10).map(|n| fresh(critical(&format!("n-{n}")))).collect();
    life.post.add(notes, Batch::new().put(cause(), "they fire")).await.unwrap();
    wait_for("two mails", || (server.mails().len() == 2).then_some(())).await;
    life.kill().await;
    let mut store = disk.open().unwrap();
    assert_eq!(store.load().unwrap().entries[&cause()], b"they fire");
    drop(store);

    let life = Life::begin(&disk, &mail);
    life.is_empty().await;
    let ids: std::collections::BTreeSet<String> = server.mails().iter().map(|mail| mail.id()).collect();
    assert_eq!(ids.len(), 10, "none is lost: {ids:?}");
    assert!(server.mails().len() <= 11, "at most the one that was on its way comes twice");
    life.end().await;
}

#[tokio::test]
async fn the_check_at_the_start_is_part_of_health() {
    let certificates = Certificates::new();
    let server = Server::start(Style::Clear, &certificates, well()).await;
    let life = Life::begin(&Disk::new(), &mail(&[server.port], MailTls::StartTls, certificates.trust()));
    let health = life.health.clone();
    let problem = wait_for("a problem", || health.borrow().problems(clock::now()).into_iter().next()).await;
    assert!(problem.contains("does not offer STARTTLS"), "{problem}");
    life.end().await;
}

//! The process dies before and after each call to the store and at each step
//! of the talk with the server: no mail is lost, and none comes under two ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use scaleio_framework::clock;
use scaleio_framework::config::{Mail, MailTls};
use scaleio_framework::store::{Batch, Disk, Fault, FaultKind, Key};

use crate::life::Life;
use crate::server::{At, Certificates, Do, Server, Style, well};
use crate::world::*;

const ALERTS: [&str; 3] = ["first", "second", "third"];

/// What the engine does: whatever alert is not in the store yet fires, and is
/// stored in one batch with the mail that tells of it. Ends when all is sent
/// or the process is dead.
async fn engine(life: &Life) {
    for name in ALERTS {
        let key = Key::new(&format!("alerts/{name}")).unwrap();
        if life.state.entries.contains_key(&key) {
            continue;
        }
        let mut note = critical(name);
        note.created_at = clock::now();
        if life.post.add(vec![note], Batch::new().put(key, "fires")).await.is_err() {
            return;
        }
    }
    let health = life.health.clone();
    wait_for("the end", || (health.borrow().waiting == 0 || life.is_dead()).then_some(())).await;
}

/// A second life in which nothing goes wrong, and what the readers have after it.
async fn settle(disk: &Disk, mail: &Mail, server: &Server, what: &str) -> usize {
    let life = Life::with_fault(disk, mail, None, false).unwrap();
    engine(&life).await;
    life.is_empty().await;
    life.end().await;
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for mail in server.mails() {
        ids.entry(mail.header("Subject: ")).or_default().insert(mail.id());
    }
    let told: Vec<String> = ids.keys().cloned().collect();
    let expected = ALERTS.map(|name| format!("[CRITICAL] prod: Something grave about {name}"));
    assert_eq!(told, expected, "{what}: a mail is lost");
    for (subject, ids) in &ids {
        assert_eq!(ids.len(), 1, "{what}: {subject} came under {ids:?}");
    }
    let doubles = server.mails().len() - ALERTS.len();
    assert!(doubles <= 1, "{what}: {doubles} mails came twice");
    doubles
}

#[tokio::test]
async fn dying_at_any_call_to_the_store_loses_no_mail_and_renames_none() {
    let certificates = Certificates::new();
    // Load, then for each mail: added, being sent, sent.
    let calls = 1 + 3 * ALERTS.len() as u64;
    let mut doubles = 0;
    for kind in FaultKind::ALL {
        let mut died = 0;
        for call in 1..=calls + 1 {
            let server = Server::start(Style::StartTls, &certificates, well()).await;
            let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
            let disk = Disk::new();
            match Life::with_fault(&disk, &mail, Some(Fault { call, kind }), false) {
                Ok(life) => {
                    engine(&life).await;
                    died += usize::from(life.is_dead());
                    life.kill().await;
                }
                Err(_) => died += 1,
            }
            doubles += settle(&disk, &mail, &server, &format!("{kind:?} at {call}")).await;
        }
        assert_eq!(died as u64, calls, "{kind:?}: each call was reached, and there are no more");
    }
    assert!(doubles > 0, "a death between the server's yes and the disk was among them");
}

#[tokio::test]
async fn dying_at_any_step_of_the_talk_loses_no_mail_and_renames_none() {
    let certificates = Certificates::new();
    let once_a_connection = [At::Greeting, At::Ehlo, At::StartTls, At::Auth].map(|at| (at, 1, Do::Nothing));
    let once_a_mail = [
        (At::MailFrom, 3, Do::Nothing),
        (At::Rcpt, 3, Do::Nothing),
        (At::Data, 3, Do::Nothing),
        (At::Body, 3, Do::Nothing),
        (At::Body, 3, Do::KeepAndNothing),
    ];
    let mut doubles = 0;
    for (place, times, act) in once_a_connection.into_iter().chain(once_a_mail) {
        for time in 0..times {
            let what = format!("{act:?} at {place:?} {time}");
            let there = Arc::new(AtomicBool::new(false));
            let (reached, act) = (Arc::clone(&there), act.clone());
            let script = Arc::new(move |at, _: &str, nth| {
                if (at, nth) == (place, time) {
                    reached.store(true, Ordering::SeqCst);
                    act.clone()
                } else {
                    Do::Well
                }
            });
            let server = Server::start(Style::StartTls, &certificates, script).await;
            let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
            let disk = Disk::new();
            let life = Life::with_fault(&disk, &mail, None, false).unwrap();
            let dying = async { wait_for(&what, || there.load(Ordering::SeqCst).then_some(())).await };
            tokio::select! {
                () = engine(&life) => panic!("{what} was never reached"),
                () = dying => {}
            }
            life.kill().await;
            doubles += settle(&disk, &mail, &server, &what).await;
        }
    }
    assert_eq!(doubles, 3, "what the server had taken without a word came again, under its id");
}

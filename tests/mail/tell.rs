//! The process dies at each call to the store while people are told and act: no
//! notification is lost, none comes under two ids, and what was said to be done is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use scaleio_framework::alert::engine::Verdict;
use scaleio_framework::alert::mail::Settings;
use scaleio_framework::alert::notify::Policy;
use scaleio_framework::alert::orders::Desktop;
use scaleio_framework::alert::tell::Teller;
use scaleio_framework::clock;
use scaleio_framework::config::{Mail, MailTls, Notify};
use scaleio_framework::metrics::Own;
use scaleio_framework::model::alerting::*;
use scaleio_framework::store::{Disk, Fault, FaultKind, StoreError};
use scaleio_framework::switchboard::Switchboard;
use scaleio_framework::watches::Gallery;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::life::Life;
use crate::server::{Certificates, Server, Style, well};
use crate::world::*;

/// A life that tells of these alerts.
struct Telling {
    life: Life,
    board: Switchboard,
    teller: JoinHandle<Result<(), StoreError>>,
    _verdicts: watch::Sender<Option<Arc<Verdict>>>,
}

fn verdict(names: &[&str]) -> Verdict {
    let alerts = names.iter().map(|name| {
        let mut alert = alert(name, Severity::Critical, &format!("Something grave about {name}."));
        alert.area = (*name).to_owned();
        (alert.fingerprint(), alert)
    });
    let set = FiringSet { at: clock::now(), based_on: BTreeMap::new(), alerts: alerts.collect() };
    Verdict { set, resolved: Vec::new(), heartbeats: 0, errors: Vec::new() }
}

impl Telling {
    fn begin(life: Life, mail: &Mail, names: &[&str]) -> Self {
        let mut notify = Notify::default_for(vec!["ops@example.test".to_owned()]);
        notify.routes[0].wait = TimeDelta::zero();
        let (board, calls) = Switchboard::new();
        let desktop = Desktop { settings: Settings::new(mail, "ctl1.example.test"), mail: mail.clone() };
        let own = Arc::new(Own::new(scaleio_framework::BUILD).unwrap());
        let (policy, gallery) = (Policy::new(notify, DOMAIN), Gallery::new([]));
        let (post, desk) = (life.post.clone(), life.desk.clone());
        let teller = Teller::new(policy, post, desk, desktop, gallery, calls, own, &life.state);
        let (verdicts, receiver) = watch::channel(Some(Arc::new(verdict(names))));
        let teller = tokio::spawn(teller.run(receiver, CancellationToken::new()));
        Self { life, board, teller, _verdicts: verdicts }
    }

    /// Waits until mails of these were taken, or the disk ended it.
    async fn told(&self, server: &Server, names: &[&str]) {
        wait_for(&format!("mails of {names:?}"), || {
            let mails = server.mails();
            let has = |name: &str| mails.iter().any(|mail| mail.header("Subject: ").ends_with(name));
            (self.is_dead() || names.iter().all(|name| has(name))).then_some(())
        })
        .await;
    }

    fn is_dead(&self) -> bool {
        self.life.is_dead() || self.teller.is_finished()
    }

    async fn silences(&self) -> usize {
        match self.board.ask(Order::Silences).await {
            Ok(Answer::Silences(silences)) => silences.len(),
            other => panic!("{other:?}"),
        }
    }

    async fn silence(&self) -> bool {
        let order = Order::Silence {
            matchers: vec![Matcher::equal("sds", "another")],
            owner: "anna".to_owned(),
            reason: "a test".to_owned(),
            seconds: 3_600,
            via: Via::Cli,
        };
        self.board.ask(order).await.is_ok()
    }

    async fn kill(self) {
        self.teller.abort();
        let _ = self.teller.await;
        self.life.kill().await;
    }
}

#[tokio::test]
async fn dying_at_any_call_to_the_store_loses_no_notification_and_tells_none_twice() {
    let certificates = Certificates::new();
    for kind in FaultKind::ALL {
        for call in 1.. {
            let what = format!("{kind:?} at {call}");
            let server = Server::start(Style::StartTls, &certificates, well()).await;
            let mail = mail(&[server.port], MailTls::StartTls, certificates.trust());
            let disk = Disk::new();
            let (mut died, mut silenced) = (true, false);
            if let Ok(life) = Life::with_fault(&disk, &mail, Some(Fault { call, kind }), false) {
                let telling = Telling::begin(life, &mail, &["first", "second"]);
                telling.told(&server, &["first", "second"]).await;
                if !telling.is_dead() {
                    silenced = telling.silence().await;
                    let health = telling.life.health.clone();
                    wait_for("the end", || (health.borrow().waiting == 0 || telling.is_dead()).then_some(())).await;
                }
                died = telling.is_dead();
                telling.kill().await;
            }
            // The next life knows what was told, and tells of a third.
            let life = Life::with_fault(&disk, &mail, None, false).unwrap();
            let telling = Telling::begin(life, &mail, &["first", "second", "third"]);
            telling.told(&server, &["first", "second", "third"]).await;
            // Answered after all that was due is in the outbox.
            let silences = telling.silences().await;
            assert!(silences >= usize::from(silenced), "{what}: a silence is lost that was said to be made");
            telling.life.is_empty().await;
            telling.kill().await;
            let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for mail in server.mails() {
                ids.entry(mail.header("Subject: ")).or_default().insert(mail.id());
            }
            assert_eq!(ids.len(), 3, "{what}: {ids:?}");
            assert!(ids.values().all(|ids| ids.len() == 1), "{what}: told under two ids: {ids:?}");
            if !died && silenced {
                assert!(call > 7, "{what}: there are more calls than that");
                break;
            }
        }
    }
}

//! A life of the process: store, outbox and loop, from its start to its end or its death.

use scaleio_framework::alert::mail::health::MailHealth;
use scaleio_framework::alert::mail::run::{Carrier, Post, Postman};
use scaleio_framework::alert::mail::{Mailer, Settings};
use scaleio_framework::alert::outbox::Outbox;
use scaleio_framework::clock;
use scaleio_framework::config::Mail;
use scaleio_framework::store::{Desk, Disk, Fault, Faulty, Owner, State, Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::world::{let_go, limits, wait_for};

pub struct Life {
    pub post: Post,
    pub desk: Desk,
    pub health: watch::Receiver<MailHealth>,
    pub state: State,
    disk: Disk,
    stop: CancellationToken,
    postman: JoinHandle<Result<(), StoreError>>,
    owner: JoinHandle<Result<(), StoreError>>,
}

impl Life {
    pub fn begin(disk: &Disk, mail: &Mail) -> Self {
        Self::with_fault(disk, mail, None, true).unwrap()
    }

    /// Where the disk does something on purpose; `check` asks the servers at the start.
    pub fn with_fault(disk: &Disk, mail: &Mail, fault: Option<Fault>, check: bool) -> Result<Self, StoreError> {
        let mut store = Faulty::new(disk.open()?, fault);
        let state = store.load()?;
        let (outbox, unreadable) = Outbox::load(limits(), &state, clock::now());
        assert!(unreadable.is_empty(), "{unreadable:?}");
        let (owner, desk) = Owner::new(Box::new(store), &state);
        let mailer = Mailer::new(mail).unwrap();
        let checker = check.then(|| Mailer::new(mail).unwrap());
        let carrier = Carrier::Mail(Box::new(mailer), Box::new(Settings::new(mail, "ctl1.example.test")));
        let (postman, post, health) = Postman::new(outbox, desk.clone(), carrier, checker);
        let stop = CancellationToken::new();
        let postman = tokio::spawn(postman.with_random(|| 0.0).run(stop.clone()));
        let owner = tokio::spawn(owner.run());
        Ok(Self { post, desk, health, state, disk: disk.clone(), stop, postman, owner })
    }

    /// Whether the disk ended it.
    pub fn is_dead(&self) -> bool {
        self.postman.is_finished() || self.owner.is_finished()
    }

    /// Ends as a service does.
    pub async fn end(self) {
        self.stop.cancel();
        drop((self.post, self.desk));
        self.postman.await.unwrap().unwrap();
        self.owner.await.unwrap().unwrap();
    }

    /// Ends as by kill -9.
    pub async fn kill(self) {
        self.postman.abort();
        self.owner.abort();
        let _ = (self.postman.await, self.owner.await);
        let_go(&self.disk).await;
    }

    pub async fn is_empty(&self) {
        let health = self.health.clone();
        wait_for("an empty outbox", || (health.borrow().waiting == 0).then_some(())).await;
    }
}

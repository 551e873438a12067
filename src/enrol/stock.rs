//! What comes from elsewhere: which file is due, what became of it, and who waits for it.
//!
//! Each file stands for itself: one that cannot be had holds up no other. What is here is given out at once.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::artefacts::{Goods, Shelf, Standing, hash};
pub use super::fetch::try_out;
use super::fetch::{cached, fetch};
use crate::backoff::Backoff;
use crate::config::sources::{Source, Sources};
use crate::model::order::Artefact;

/// More at once only share the same line.
const AT_ONCE: usize = 3;

/// A broken line is back soon; what a person must mend is looked at twice an hour.
const RETRY: Backoff = Backoff { first: Duration::from_secs(10), ceiling: Duration::from_secs(30 * 60) };

/// How far a file must have come on before that is told anew.
const STRIDE: u64 = 4 << 20;

/// Brings what comes from elsewhere.
pub struct Stock {
    settings: Sources,
    goods: watch::Sender<Arc<Goods>>,
    turns: BTreeMap<String, Turn>,
    asked: mpsc::Receiver<oneshot::Sender<()>>,
}

/// When a file is tried.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    tries: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// As soon as others have come.
    #[default]
    Due,
    /// It is under way.
    Comes,
    /// Not before.
    Later(Instant),
    /// It is here.
    Here,
}

/// How others ask for what comes from elsewhere.
#[derive(Clone, Debug)]
pub struct Supply {
    ask: mpsc::Sender<oneshot::Sender<()>>,
    goods: watch::Receiver<Arc<Goods>>,
    sources: Arc<BTreeMap<String, String>>,
}

impl Supply {
    /// Where each file comes from, by name.
    pub fn sources(&self) -> &BTreeMap<String, String> {
        &self.sources
    }

    /// Has everything looked at and what lacks tried at once, and waits until that is over.
    pub async fn try_all(&mut self) {
        let (answer, answered) = oneshot::channel();
        // Whoever would bring them ends when the controller does.
        if self.ask.send(answer).await.is_ok() && answered.await.is_ok() {
            let _ = self.goods.wait_for(|goods| goods.awaited().next().is_none()).await;
        }
    }
}

impl Stock {
    /// Takes in what came in earlier lives, and gives it out beside what a shelf has. None: nothing comes from elsewhere.
    /// Reads all of it.
    ///
    /// # Errors
    /// A file of a source lies in the folder too, and is another one.
    pub fn open(settings: &Sources, shelf: Shelf) -> Result<(Option<Self>, Shelf), String> {
        let mut goods = Goods::clone(&shelf.goods());
        let mut turns = BTreeMap::new();
        for source in &settings.files {
            match goods.find(&source.name) {
                // What is here need not come.
                Some((artefact, _)) if artefact.sha256 == source.sha256 => continue,
                Some((artefact, path)) => {
                    return Err(format!(
                        "{} has SHA-256 {}, and artefacts.sources says {} of the file of this name: take one of them away",
                        path.display(),
                        artefact.sha256,
                        source.sha256
                    ));
                }
                None => drop(turns.insert(source.name.clone(), Turn::default())),
            }
        }
        if turns.is_empty() {
            return Ok((None, shelf));
        }
        let awaited = settings.files.iter().filter(|source| turns.contains_key(&source.name));
        let sources = awaited.map(|source| (source.name.clone(), source.shown())).collect();
        for source in &settings.files {
            if let Some(turn) = turns.get_mut(&source.name) {
                turn.state = take_in(source, settings, &mut goods);
            }
        }
        let (goods, given) = watch::channel(Arc::new(goods));
        let (ask, asked) = mpsc::channel(4);
        let supply = Supply { ask, goods: given.clone(), sources: Arc::new(sources) };
        Ok((Some(Self { settings: settings.clone(), goods, turns, asked }), shelf.supplied(given, supply)))
    }

    /// The loop. What is under way when it is told to stop is gone on with by the next life.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut under_way = JoinSet::new();
        let mut names: HashMap<Id, String> = HashMap::new();
        loop {
            while under_way.len() < AT_ONCE
                && let Some(source) = self.due(Instant::now())
            {
                let begun = under_way.spawn(bring(source.clone(), self.settings.clone(), self.goods.clone()));
                names.insert(begun.id(), source.name);
            }
            let later = self.turns.values().filter_map(|turn| match turn.state {
                State::Later(at) => Some(at),
                State::Due | State::Comes | State::Here => None,
            });
            let next = later.min();
            let next = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
                Some(ended) = under_way.join_next_with_id() => {
                    let (id, came) = match ended {
                        Ok((id, came)) => (id, came),
                        Err(error) => (error.id(), Err(error.to_string())),
                    };
                    if let Some(name) = names.remove(&id) {
                        self.came(&name, came, rand::random());
                    }
                }
                Some(answer) = self.asked.recv() => {
                    self.look_again().await;
                    // Who asked may be gone.
                    let _ = answer.send(());
                }
            }
        }
    }

    /// The next file whose turn it is, which is under way from now on.
    fn due(&mut self, now: Instant) -> Option<Source> {
        let is_due = |turn: &Turn| match turn.state {
            State::Due => true,
            State::Later(at) => at <= now,
            State::Comes | State::Here => false,
        };
        let name = self.turns.iter().find(|(_, turn)| is_due(turn)).map(|(name, _)| name.clone())?;
        self.turns.entry(name.clone()).or_default().state = State::Comes;
        self.settings.files.iter().find(|source| source.name == name).cloned()
    }

    /// What became of a file.
    fn came(&mut self, name: &str, came: Result<(Artefact, PathBuf), String>, random: f64) {
        let Some(source) = self.settings.files.iter().find(|source| source.name == name) else { return };
        let url = source.shown();
        let turn = self.turns.entry(name.to_owned()).or_default();
        match came {
            Ok((artefact, path)) => {
                info!(artefact = name, url, bytes = artefact.size, "an artefact came");
                *turn = Turn { tries: 0, state: State::Here };
                self.goods.send_modify(|goods| Arc::make_mut(goods).take(artefact, path));
            }
            Err(why) => {
                turn.tries = turn.tries.saturating_add(1);
                // At least half of the span: to try in a hurry tells nothing.
                let pause = RETRY.wait(turn.tries, 0.5 + random / 2.0);
                turn.state = State::Later(Instant::now() + pause);
                warn!(artefact = name, url, why, tries = turn.tries, ?pause, "an artefact cannot be had");
                let standing = Standing::Failed { why: why.into(), tries: turn.tries };
                self.goods.send_modify(|goods| Arc::make_mut(goods).lack(name, &url, standing));
            }
        }
    }

    /// Reads what is here once more, and lets everything be tried now that lacks.
    async fn look_again(&mut self) {
        let mut goods = Goods::clone(&self.goods.borrow());
        let mut turns = self.turns.clone();
        let settings = self.settings.clone();
        let looked = tokio::task::spawn_blocking(move || {
            for source in &settings.files {
                match turns.get_mut(&source.name) {
                    Some(turn) if turn.state != State::Comes => turn.state = take_in(source, &settings, &mut goods),
                    _ => {}
                }
            }
            (goods, turns)
        });
        match looked.await {
            Ok((goods, turns)) => {
                self.turns = turns;
                // Those that are under way have told how far they are meanwhile, and tell it again.
                self.goods.send_replace(Arc::new(goods));
            }
            Err(error) => warn!(%error, "what came from elsewhere could not be looked at"),
        }
    }
}

/// Whether a file lies in the cache and is what it must be. Reads it, and changes nothing.
pub fn is_here(source: &Source, cache: &Path) -> bool {
    hash(&cache.join(&source.name)).is_ok_and(|(sha256, _)| sha256 == source.sha256)
}

/// Takes in what lies in the cache.
fn take_in(source: &Source, settings: &Sources, goods: &mut Goods) -> State {
    match cached(source, &settings.cache) {
        Ok(Some((artefact, path))) => {
            goods.take(artefact, path);
            State::Here
        }
        other => {
            if let Err(why) = other {
                warn!(artefact = source.name, why, "an artefact that came before is not taken");
            }
            goods.lack(&source.name, &source.shown(), Standing::Waits);
            State::Due
        }
    }
}

/// Brings one file, and tells how far it is.
async fn bring(
    source: Source,
    settings: Sources,
    goods: watch::Sender<Arc<Goods>>,
) -> Result<(Artefact, PathBuf), String> {
    let told = std::sync::atomic::AtomicU64::new(u64::MAX);
    let url = source.shown();
    let progress = |got: u64, of: Option<u64>| {
        let stride = got / STRIDE;
        if told.swap(stride, std::sync::atomic::Ordering::Relaxed) != stride {
            goods.send_modify(|goods| {
                Arc::make_mut(goods).lack(&source.name, &url, Standing::Comes { got, of });
            });
        }
    };
    fetch(&source, &settings.cache, settings.largest, &progress).await
}

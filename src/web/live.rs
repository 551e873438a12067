//! How does an open page stay as things are? It hears of each part that changed, as server-sent events.
//!
//! What is shown is rendered once a second while somebody looks, once for all who look at the same; each page is told
//! what changed since the number that it knows.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::api::{Shown, find};
use super::overview::overview;
use super::page::{self, Part};
use super::past::{self, Pasts};
use super::problem::Problem;
use super::routes::{Answers, Param, Route};
use crate::watches::Gallery;

/// Quicker than people see a change, slower than a storm of polls.
const BEAT: Duration = Duration::from_secs(1);

/// Open pages; beyond them a page asks again by itself now and then.
const MOST_OPEN: usize = 128;

/// Proxies cut what is silent for a minute.
const ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Vec<Route> {
    const WHICH: &[Param] = &[
        Param { name: "since", what: "the changes that the page knows, as the page says it" },
        Param { name: "system", what: "this system only" },
    ];
    vec![
        Route::get("/live", Answers::Events, "Each part of the page that changes, as it changes.", live)
            .query(WHICH)
            .refuses(&[404, 503]),
    ]
}

/// What is shown to whoever looks at the same.
#[derive(Debug, Default)]
struct Rendered {
    seq: u64,
    /// Each part with the number of its last change.
    parts: Vec<(Part, u64)>,
}

impl Rendered {
    /// The same after a look, and whether anything changed.
    fn after(&self, parts: Vec<Part>) -> Option<Self> {
        let seq = self.seq + 1;
        let mut changed = parts.len() != self.parts.len();
        let before: BTreeMap<&str, (&Part, u64)> =
            self.parts.iter().map(|(part, at)| (part.id.as_str(), (part, *at))).collect();
        let with: Vec<(Part, u64)> = parts
            .into_iter()
            .map(|part| match before.get(part.id.as_str()) {
                Some((same, at)) if **same == part => (part, *at),
                Some(_) | None => {
                    changed = true;
                    (part, seq)
                }
            })
            .collect();
        changed.then_some(Self { seq, parts: with })
    }
}

/// One system, or all of them.
type Scope = Option<String>;

/// What open pages show.
#[derive(Clone)]
pub struct Live {
    /// Names this process: after a restart numbers begin anew.
    epoch: Arc<str>,
    /// Held for the moment of a look-up or of a comparison of texts, never across an await.
    scopes: Arc<Mutex<BTreeMap<Scope, watch::Sender<Arc<Rendered>>>>>,
    open: Arc<AtomicUsize>,
    pasts: watch::Receiver<Arc<Pasts>>,
    stop: CancellationToken,
}

impl Live {
    /// With the past as it is kept by [`remember`].
    pub fn new(pasts: watch::Receiver<Arc<Pasts>>, stop: CancellationToken) -> Self {
        let epoch = format!("{:08x}", rand::random::<u32>()).into();
        Self { epoch, scopes: Arc::default(), open: Arc::default(), pasts, stop }
    }

    pub(super) fn pasts(&self) -> Arc<Pasts> {
        Arc::clone(&self.pasts.borrow())
    }

    /// Notes what a page shows; tells which changes it knows.
    pub(super) fn show(&self, scope: Scope, parts: Vec<Part>) -> String {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = scopes.entry(scope).or_insert_with(|| watch::Sender::new(Arc::default()));
        let next = sender.borrow().after(parts);
        if let Some(next) = next {
            sender.send_replace(Arc::new(next));
        }
        let seq = sender.borrow().seq;
        format!("{}.{seq}", self.epoch)
    }

    fn subscribe(&self, scope: Scope) -> watch::Receiver<Arc<Rendered>> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.entry(scope).or_insert_with(|| watch::Sender::new(Arc::default())).subscribe()
    }

    /// What somebody looks at. What nobody looks at any more is forgotten.
    fn watched(&self) -> Vec<Scope> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        // The page that was just made has not come back for its changes yet: a few are kept.
        if scopes.len() > MOST_OPEN {
            scopes.retain(|_, sender| sender.receiver_count() > 0);
        }
        scopes.iter().filter(|(_, sender)| sender.receiver_count() > 0).map(|(scope, _)| scope.clone()).collect()
    }

    /// The number that a page knows; none of another process.
    fn known(&self, since: &str) -> u64 {
        let ours = since.split_once('.').filter(|(epoch, _)| **epoch == *self.epoch);
        ours.and_then(|(_, seq)| seq.parse().ok()).unwrap_or(0)
    }
}

/// Keeps the last hour of every system until told to stop.
pub async fn remember(gallery: Gallery, pasts: watch::Sender<Arc<Pasts>>, stop: CancellationToken) {
    let mut pictures = gallery.subscribe();
    loop {
        let now = pictures.borrow_and_update().clone();
        pasts.send_modify(|pasts| past::see(Arc::make_mut(pasts), &now));
        tokio::select! {
            () = stop.cancelled() => return,
            changed = pictures.changed() => if changed.is_err() { return },
        }
    }
}

/// Renders what somebody looks at, once a second, until told to stop.
pub async fn render(shown: Shown) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let live = shown.live.clone();
    loop {
        tokio::select! {
            () = live.stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        let watched = live.watched();
        if watched.is_empty() {
            continue;
        }
        let sources = shown.gather().await;
        let (shows, scopes) = (live.clone(), watched);
        let made = tokio::task::spawn_blocking(move || {
            for scope in scopes {
                let parts = page::parts(&overview(&sources, scope.as_deref()));
                shows.show(scope, parts);
            }
        });
        if let Err(panic) = made.await {
            tracing::error!(%panic, "the page could not be rendered");
            return;
        }
    }
}

/// A page that is open; it is counted until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn one(open: &Arc<AtomicUsize>) -> Option<Self> {
        let before = open.fetch_add(1, Ordering::Relaxed);
        let one = Self(Arc::clone(open));
        (before < MOST_OPEN).then_some(one)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn live(
    State(shown): State<Shown>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let said = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let scope = said("system").filter(|system| !system.is_empty());
    if let Some(system) = &scope {
        find(&shown, system)?;
    }
    let Some(one) = Open::one(&shown.live.open) else {
        let detail = format!("{MOST_OPEN} pages are open already; close some, or load this one again now and then");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    };
    // A browser that comes back says what it heard last.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let since = shown.live.known(&last.or_else(|| said("since")).unwrap_or_default());
    let events = changes(shown.live.subscribe(scope), since, Arc::clone(&shown.live.epoch));
    let events = events.take_until(shown.live.stop.cancelled_owned()).map(move |event| {
        // It is counted as long as its events are asked for.
        let _ = &one;
        event
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response())
}

/// The changes after a number, for ever.
fn changes(
    receiver: watch::Receiver<Arc<Rendered>>,
    since: u64,
    epoch: Arc<str>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let batches = stream::unfold((receiver, since, true), |(mut receiver, since, is_first)| async move {
        if !is_first && receiver.changed().await.is_err() {
            return None;
        }
        let now = Arc::clone(&receiver.borrow_and_update());
        let seq = now.seq.max(since);
        Some(((now, since), (receiver, seq, false)))
    });
    batches.flat_map(move |(now, since)| {
        let events: Vec<_> = now
            .parts
            .iter()
            .filter(|(_, changed)| *changed > since)
            .map(|(part, _)| event(part, &epoch, now.seq))
            .collect();
        stream::iter(events)
    })
}

fn event(part: &Part, epoch: &str, seq: u64) -> Result<Event, Infallible> {
    #[derive(Serialize)]
    struct Told<'a> {
        id: &'a str,
        html: &'a str,
    }
    let told = Told { id: &part.id, html: &part.inner };
    let event = Event::default().event("part").id(format!("{epoch}.{seq}"));
    // Texts can always be written; a page that misses one is asked to load itself again.
    Ok(event.json_data(told).unwrap_or_else(|_| Event::default().event("reload").data("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(id: &str, inner: &str) -> Part {
        Part { id: id.to_owned(), inner: inner.to_owned() }
    }

    fn live() -> Live {
        Live::new(watch::Sender::new(Arc::default()).subscribe(), CancellationToken::new())
    }

    #[test]
    fn only_what_changed_since_is_told() {
        let first = Rendered::default().after(vec![part("a", "1"), part("b", "1")]).unwrap();
        assert!(first.after(vec![part("a", "1"), part("b", "1")]).is_none());
        let second = first.after(vec![part("a", "2"), part("b", "1")]).unwrap();
        let since =
            |seq: u64| second.parts.iter().filter(|(_, at)| *at > seq).map(|(p, _)| p.id.as_str()).collect::<Vec<_>>();
        assert_eq!((since(0), since(1), since(2)), (vec!["a", "b"], vec!["a"], vec![]));
    }

    #[test]
    fn a_page_of_another_process_knows_nothing() {
        let live = live();
        let known = live.show(None, vec![part("a", "1")]);
        assert_eq!(live.known(&known), 1);
        for other in ["", "1", "x.1", "ffffffffff.1", &format!("{known}x")] {
            assert_eq!(live.known(other), 0, "{other}");
        }
    }

    #[tokio::test]
    async fn a_page_that_comes_late_hears_all_that_it_missed_and_then_each_change() {
        let live = live();
        live.show(None, vec![part("a", "1"), part("b", "1")]);
        live.show(None, vec![part("a", "2"), part("b", "1")]);
        let receiver = live.subscribe(None);
        let mut heard = std::pin::pin!(changes(receiver, 1, "e".into()));
        assert!(heard.next().await.is_some());
        live.show(None, vec![part("a", "2"), part("b", "3")]);
        assert!(heard.next().await.is_some());
        let nothing = tokio::time::timeout(Duration::from_millis(50), heard.next()).await;
        assert!(nothing.is_err(), "a change was told twice");
    }

    #[test]
    fn what_nobody_looks_at_is_not_rendered() {
        let live = live();
        live.show(None, vec![part("a", "1")]);
        assert_eq!(live.watched(), Vec::<Scope>::new());
        let _receiver = live.subscribe(Some("prod".to_owned()));
        assert_eq!(live.watched(), [Some("prod".to_owned())]);
    }
}

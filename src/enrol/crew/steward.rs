//! The loop that owns the desk of orders: what is asked and said is written
//! down first, then laid out, acknowledged and published.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::book::{self, Asked};
use super::{Adopted, Ask, Crew, Member, Members, NotTaken, Pending};
use crate::clock;
use crate::enrol::desk::{Orderer, Said};
use crate::model::id::NodeName;
use crate::model::order::{Finished, Order, OrderId};
use crate::rest::Rest;
use crate::store::{Batch, Desk, Epoch, Key, State, StoreError};

/// Where members are kept.
const FOLDER: &str = "crew";
/// Orders that wait to be written down.
const WAITING: usize = 256;
/// Orders that are taken together, and written down by as few commits as their entries fit into.
const ORDERS: usize = 256;
/// Reports that are written down together; as many as wait.
const REPORTS: usize = 256;
/// Each turn is a commit, and everybody looks at all members after it: of those who come while it rests one is made.
const REST: Rest = Rest { times: 4, shortest: Duration::ZERO, longest: Duration::from_millis(250) };
/// Bytes of one commit; a store takes half a MiB with its own costs.
const BYTES: usize = 400 * 1024;
/// A person may hold the store for a moment.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// An order that is asked for.
struct Asks {
    node: NodeName,
    order: Order,
    taken: oneshot::Sender<Result<Pending, NotTaken>>,
}

/// What nodes become together: in one commit, so that all of it is so or none.
#[derive(Default)]
struct Together {
    members: Members,
    entries: BTreeMap<NodeName, Vec<u8>>,
    taken: Vec<Asks>,
}

impl Together {
    fn size(&self) -> usize {
        self.entries.values().map(Vec::len).sum()
    }

    fn put(&mut self, node: &NodeName, member: Member, entry: Vec<u8>) {
        self.members.insert(node.clone(), Arc::new(member));
        self.entries.insert(node.clone(), entry);
    }
}

/// The owner of the desk.
pub struct Steward {
    orderer: Orderer,
    desk: Desk,
    asks: mpsc::Receiver<Ask>,
    members: Members,
    published: watch::Sender<Arc<Members>>,
    waiting: BTreeMap<(NodeName, OrderId), Vec<oneshot::Sender<Finished>>>,
}

impl Steward {
    /// Takes up what the store has, and lays open orders out again.
    pub fn new(orderer: Orderer, desk: Desk, state: &State) -> (Self, Crew) {
        let inside = format!("{FOLDER}/");
        let entries = state.entries.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        let (members, unreadable) = book::read(entries.filter(|(key, _)| key.starts_with(&inside)));
        for (key, error) in unreadable {
            warn!(
                key,
                error, "what is stored of a node's agent cannot be read; the next word of the agent replaces it"
            );
        }
        for member in members.values() {
            // One that needs its secrets waits until it is asked for again: they are nowhere stored.
            if let Some(order) = member.order.as_ref().filter(|_| !member.has_secrets && !member.stranger) {
                orderer.order(member.node.as_str(), order.clone());
            }
        }
        let published = watch::Sender::new(Arc::new(members.clone()));
        let (sender, asks) = mpsc::channel(WAITING);
        let crew = Crew { asks: sender, members: published.subscribe(), desk: desk.clone() };
        (Self { orderer, desk, asks, members, published, waiting: BTreeMap::new() }, crew)
    }

    /// Until told to stop. An error leaves the disk in doubt, and ends the process.
    ///
    /// # Errors
    /// The store failed for good.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), StoreError> {
        loop {
            let (begun, is_alone);
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                said = self.orderer.reports.recv() => match said {
                    Some(said) => {
                        (begun, is_alone) = (Instant::now(), self.is_quiet());
                        self.hear(said).await?;
                    }
                    None => {
                        stop.cancelled().await;
                        return Ok(());
                    }
                },
                ask = self.asks.recv() => match ask {
                    Some(ask) => {
                        (begun, is_alone) = (Instant::now(), self.is_quiet());
                        self.obey(ask).await?;
                    }
                    // Nobody asks for anything; agents are heard all the same.
                    None => {
                        stop.cancelled().await;
                        return Ok(());
                    }
                },
            }
            // Who came alone is followed at once: of one host, each step waits for the one before.
            if is_alone {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(REST.since(begun)) => {}
            }
        }
    }

    /// Whether nobody waits.
    fn is_quiet(&self) -> bool {
        self.orderer.reports.is_empty() && self.asks.is_empty()
    }

    /// Does what is asked, in its order. Orders that are asked for one after the other are written down together.
    async fn obey(&mut self, first: Ask) -> Result<(), StoreError> {
        let mut next = Some(first);
        let mut orders = Vec::new();
        while let Some(ask) = next.take() {
            if !matches!(ask, Ask::LayOut { .. }) {
                self.lay_out(std::mem::take(&mut orders)).await?;
            }
            match ask {
                Ask::LayOut { node, order, taken } => orders.push(Asks { node, order: *order, taken }),
                Ask::Adopt { done } => {
                    let answer = self.adopt().await?;
                    let _ = done.send(answer);
                }
                Ask::Word { node } => self.orderer.want_word(node.as_str()),
                Ask::TakeBack { node, id, done } => {
                    let answer = self.take_back(&node, &id).await?;
                    let _ = done.send(answer);
                }
            }
            if orders.len() < ORDERS {
                next = self.asks.try_recv().ok();
            }
        }
        self.lay_out(orders).await
    }

    /// Takes in this report and those that came with it.
    async fn hear(&mut self, first: Said) -> Result<(), StoreError> {
        let mut all = vec![first];
        while all.len() < REPORTS
            && let Ok(said) = self.orderer.reports.try_recv()
        {
            all.push(said);
        }
        let now = clock::now();
        let mut next = Together::default();
        let mut answers = Vec::new();
        for Said { node, report, acknowledge } in all {
            // Its name is one text for all, however often it speaks.
            let known = self.members.get_key_value(node.as_str()).map(|(node, _)| node.clone());
            let node = known.unwrap_or_else(|| NodeName::new(&node));
            let before = next.members.get(&node).or_else(|| self.members.get(&node)).map(|member| &**member);
            let was_stranger = before.is_some_and(|before| before.stranger);
            let heard = book::hear(before, &node, report, self.desk.epoch(), now);
            if heard.member.stranger && !was_stranger {
                let epoch = heard.member.facts.as_ref().map_or(0, |facts| facts.epoch);
                warn!(%node, epoch, "the agent obeys another controller, and gets no orders until a person says `sio adopt`");
            }
            match heard.entry {
                Some(entry) => next.put(&node, heard.member, entry),
                None => drop(next.members.insert(node.clone(), Arc::new(heard.member))),
            }
            answers.push((node, heard.over, acknowledge));
        }
        if let Err(error) = self.save(next.entries).await {
            if error.is_fatal() {
                return Err(error);
            }
            // Nothing is acknowledged, so the agents say it again.
            warn!(%error, "what agents reported could not be written down");
            return Ok(());
        }
        self.members.extend(next.members);
        self.published.send_replace(Arc::new(self.members.clone()));
        for (node, over, acknowledge) in answers {
            for finished in &over {
                self.tell(&node, finished);
            }
            // An agent that has gone away says it again.
            let _ = acknowledge.send(over.into_iter().map(|finished| finished.id).collect());
        }
        Ok(())
    }

    /// Wakes those who wait for an outcome, and clears the desk of its order.
    fn tell(&mut self, node: &NodeName, finished: &Finished) {
        let is_open = self.members.get(node).is_some_and(|member| member.order.is_some());
        if !is_open {
            self.orderer.withdraw(node.as_str());
        }
        debug!(%node, order = %finished.id, outcome = ?finished.outcome, "an order is over");
        for waiting in self.waiting.remove(&(node.clone(), finished.id.clone())).unwrap_or_default() {
            let _ = waiting.send(finished.clone());
        }
    }

    /// Lays orders out, once all that follows from them is durable.
    async fn lay_out(&mut self, asks: Vec<Asks>) -> Result<(), StoreError> {
        let mut next = Together::default();
        for ask in asks {
            let Asks { node, order, taken } = ask;
            let before = next.members.get(&node).or_else(|| self.members.get(&node)).map(|member| &**member);
            match book::ask(before, &node, &order) {
                // Who asked may be gone; the order stays all the same.
                Err(refusal) => drop(taken.send(Err(refusal))),
                Ok(Asked::Over(finished)) => {
                    let (sender, receiver) = oneshot::channel();
                    let _ = sender.send(finished);
                    let _ = taken.send(Ok(Pending(receiver)));
                }
                // Again where it is there already: after a restart its secrets are only in this one.
                Ok(Asked::Again) => next.taken.push(Asks { node, order, taken }),
                Ok(Asked::LayOut(member, entry)) => {
                    debug!(%node, order = %order.id, task = order.task.name(), "an order is laid out");
                    if next.size() + entry.len() > BYTES {
                        self.lay_out_together(std::mem::take(&mut next)).await?;
                    }
                    next.put(&node, *member, entry);
                    next.taken.push(Asks { node, order, taken });
                }
            }
        }
        self.lay_out_together(next).await
    }

    async fn lay_out_together(&mut self, next: Together) -> Result<(), StoreError> {
        if !next.members.is_empty()
            && let Err(why) = self.replace(next.members, next.entries).await?
        {
            for Asks { node, taken, .. } in next.taken {
                let _ = taken.send(Err(NotTaken::NotStored { node, why: why.clone() }));
            }
            return Ok(());
        }
        for Asks { node, order, taken } in next.taken {
            let (sender, receiver) = oneshot::channel();
            self.waiting.entry((node.clone(), order.id.clone())).or_default().push(sender);
            self.orderer.order(node.as_str(), order);
            let _ = taken.send(Ok(Pending(receiver)));
        }
        Ok(())
    }

    /// Takes over all agents that obey others.
    async fn adopt(&mut self) -> Result<Result<Adopted, NotTaken>, StoreError> {
        let (next, nodes, highest) = book::adopt(&self.members);
        let not_stored = |error: StoreError| {
            let node = nodes.first().cloned().unwrap_or_else(|| NodeName::new("-"));
            NotTaken::NotStored { node, why: error.to_string() }
        };
        // First the epoch: without it they would refuse what they are told.
        if highest >= self.desk.epoch()
            && let Err(error) = self.desk.claim(Epoch(highest.saturating_add(1))).await
        {
            return if error.is_fatal() { Err(error) } else { Ok(Err(not_stored(error))) };
        }
        let taken_over = nodes.iter().filter_map(|node| Some((node.clone(), book::entry(next.get(node)?))));
        if let Err(error) = self.save(taken_over.collect()).await {
            return if error.is_fatal() { Err(error) } else { Ok(Err(not_stored(error))) };
        }
        self.members = next;
        self.published.send_replace(Arc::new(self.members.clone()));
        Ok(Ok(Adopted { nodes, epoch: self.desk.epoch() }))
    }

    async fn take_back(&mut self, node: &NodeName, id: &OrderId) -> Result<Result<bool, NotTaken>, StoreError> {
        let Some(member) = self.members.get(node).and_then(|member| book::take_back(member, id)) else {
            return Ok(Ok(false));
        };
        let entry = book::entry(&member);
        if let Err(why) =
            self.replace([(node.clone(), Arc::new(member))].into(), [(node.clone(), entry)].into()).await?
        {
            return Ok(Err(NotTaken::NotStored { node: node.clone(), why }));
        }
        self.orderer.withdraw(node.as_str());
        self.waiting.remove(&(node.clone(), id.clone()));
        Ok(Ok(true))
    }

    /// Makes members durable, then takes them over. The inner error says why they are as they were.
    async fn replace(
        &mut self,
        next: Members,
        entries: BTreeMap<NodeName, Vec<u8>>,
    ) -> Result<Result<(), String>, StoreError> {
        match self.save(entries).await {
            Ok(()) => {}
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => return Ok(Err(error.to_string())),
        }
        self.members.extend(next);
        self.published.send_replace(Arc::new(self.members.clone()));
        Ok(Ok(()))
    }

    /// Writes entries of members down.
    async fn save(&self, entries: BTreeMap<NodeName, Vec<u8>>) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let mut size = 0;
        for (node, value) in entries {
            let key = Key::of(FOLDER, node.as_str())?;
            if size + value.len() > BYTES {
                self.commit(std::mem::take(&mut batch)).await?;
                size = 0;
            }
            size += value.len();
            batch = batch.put(key, value);
        }
        if size > 0 { self.commit(batch).await } else { Ok(()) }
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        loop {
            match self.desk.commit(batch.clone()).await {
                Err(error) if error.may_retry() => tokio::time::sleep(BUSY_PAUSE).await,
                done => return done,
            }
        }
    }
}

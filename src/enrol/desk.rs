//! Where orders wait for agents, and reports for whoever gave the orders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot, watch};

use crate::model::order::{Order, OrderId, Report};

/// Reports that wait to be written down; an agent waits with its own.
const WAITING: usize = 256;

/// What an agent said, and the way back for what was written down of it.
#[derive(Debug)]
pub struct Said {
    /// The node, by its certificate.
    pub node: String,
    /// What it said.
    pub report: Report,
    /// Takes the outcomes that are durable now; the agent lets go of them.
    pub acknowledge: oneshot::Sender<Vec<OrderId>>,
}

/// What lies for one node.
#[derive(Clone, Debug, Default)]
struct Place {
    order: Option<Arc<Order>>,
    /// How often its word was wanted at once.
    wanted: u64,
}

/// A place for each node: of a thousand agents that wait, only the one is woken whose place has changed. The lock is held
/// to find a place, and never while anybody waits.
#[derive(Debug, Default)]
struct Places(Mutex<BTreeMap<String, watch::Sender<Place>>>);

impl Places {
    fn at<T>(&self, node: &str, look: impl FnOnce(&watch::Sender<Place>) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(node) {
            Some(place) => look(place),
            None => look(all.entry(node.to_owned()).or_default()),
        }
    }
}

/// The side of whoever gives orders: one step at a time for each node.
#[derive(Debug)]
pub struct Orderer {
    places: Arc<Places>,
    /// What agents say.
    pub reports: mpsc::Receiver<Said>,
}

/// The side of the endpoint.
#[derive(Clone, Debug)]
pub struct Counter {
    places: Arc<Places>,
    reports: mpsc::Sender<Said>,
}

/// Both sides.
pub fn open() -> (Orderer, Counter) {
    let places = Arc::<Places>::default();
    let (sender, reports) = mpsc::channel(WAITING);
    let counter = Counter { places: Arc::clone(&places), reports: sender };
    (Orderer { places, reports }, counter)
}

impl Orderer {
    /// Lays an order out for a node until it is taken back or another is laid out.
    pub fn order(&self, node: &str, order: Order) {
        self.places.at(node, |place| place.send_modify(|place| place.order = Some(Arc::new(order))));
    }

    /// Takes the order of a node back. An agent that has it ends it all the same.
    pub fn withdraw(&self, node: &str) {
        self.places.at(node, |place| place.send_modify(|place| place.order = None));
    }

    /// Lets the agent of a node report once more now, if it waits for an order.
    pub fn want_word(&self, node: &str) {
        self.places.at(node, |place| place.send_modify(|place| place.wanted += 1));
    }
}

/// Nobody gives orders any more: the controller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Counter {
    /// Hands a report on; tells what of it was written down.
    pub async fn hand_in(&self, node: &str, report: Report) -> Result<Vec<OrderId>, Closed> {
        let (acknowledge, answer) = oneshot::channel();
        self.reports.send(Said { node: node.to_owned(), report, acknowledge }).await.map_err(|_| Closed)?;
        answer.await.map_err(|_| Closed)
    }

    /// Waits for an order that an agent has not heard of; none: its word is wanted once more. What it knows is all that is
    /// held of its report, which a thousand agents have here for most of the time.
    pub async fn next(&mut self, node: &str, known: &[OrderId]) -> Result<Option<Arc<Order>>, Closed> {
        let is_news = |order: &Arc<Order>| !known.contains(&order.id);
        let mut place = self.places.at(node, watch::Sender::subscribe);
        let before = place.borrow_and_update().wanted;
        let changed = |place: &Place| place.wanted != before || place.order.as_ref().is_some_and(is_news);
        tokio::select! {
            // Who gave orders took the other end away.
            () = self.reports.closed() => Err(Closed),
            place = place.wait_for(changed) => {
                let order = place.map_err(|_| Closed)?.order.clone();
                Ok(order.filter(is_news))
            }
        }
    }
}

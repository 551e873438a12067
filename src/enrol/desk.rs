//! Where orders wait for agents, and reports for whoever gave the orders.

use std::collections::BTreeMap;
use std::sync::Arc;

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

type Orders = BTreeMap<String, Arc<Order>>;

/// How often a word of each node was wanted at once.
type Wanted = BTreeMap<String, u64>;

/// The side of whoever gives orders: one step at a time for each node.
#[derive(Debug)]
pub struct Orderer {
    orders: watch::Sender<Orders>,
    wanted: watch::Sender<Wanted>,
    /// What agents say.
    pub reports: mpsc::Receiver<Said>,
}

/// The side of the endpoint.
#[derive(Clone, Debug)]
pub struct Counter {
    orders: watch::Receiver<Orders>,
    wanted: watch::Receiver<Wanted>,
    reports: mpsc::Sender<Said>,
}

/// Both sides.
pub fn open() -> (Orderer, Counter) {
    let orders = watch::Sender::new(Orders::new());
    let wanted = watch::Sender::new(Wanted::new());
    let (sender, reports) = mpsc::channel(WAITING);
    let counter = Counter { orders: orders.subscribe(), wanted: wanted.subscribe(), reports: sender };
    (Orderer { orders, wanted, reports }, counter)
}

impl Orderer {
    /// Lays an order out for a node until it is taken back or another is laid out.
    pub fn order(&self, node: &str, order: Order) {
        self.orders.send_modify(|orders| drop(orders.insert(node.to_owned(), Arc::new(order))));
    }

    /// Takes the order of a node back. An agent that has it ends it all the same.
    pub fn withdraw(&self, node: &str) {
        self.orders.send_modify(|orders| drop(orders.remove(node)));
    }
}

impl Orderer {
    /// Lets the agent of a node report once more now, if it waits for an order.
    pub fn want_word(&self, node: &str) {
        self.wanted.send_modify(|wanted| *wanted.entry(node.to_owned()).or_default() += 1);
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

    /// Waits for an order that an agent has not heard of; none: its word is wanted once more.
    pub async fn next(&mut self, node: &str, report: &Report) -> Result<Option<Arc<Order>>, Closed> {
        let is_news = |order: &Arc<Order>| {
            report.working_on.as_ref() != Some(&order.id) && report.finished.iter().all(|done| done.id != order.id)
        };
        let before = self.wanted.borrow_and_update().get(node).copied();
        tokio::select! {
            orders = self.orders.wait_for(|orders| orders.get(node).is_some_and(is_news)) => {
                orders.map(|orders| orders.get(node).cloned()).map_err(|_| Closed)
            }
            wanted = self.wanted.wait_for(|wanted| wanted.get(node).copied() != before) => {
                wanted.map(|_| None).map_err(|_| Closed)
            }
        }
    }
}

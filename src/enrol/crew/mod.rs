//! Who carries out orders on nodes, and what came of each?
//!
//! One task ([`Steward`]) owns the desk where orders wait for agents. Everybody
//! who wants something done on a node has a [`Crew`], the handle of it:
//!
//! ```text
//! rollout ----.                                      .---> endpoint ---> agent
//!              >-- Crew::order --> Steward --> desk <
//! work engine -'                    |   ^            `<--- report -----'
//!                                   v   |
//!                            store: orders before they are laid out,
//!                                   outcomes before they are acknowledged
//! ```
//!
//! A node does one order at a time. What was laid out stays so over a restart
//! of the controller, until its outcome is known or it is taken back; asking
//! again for the same id is how one finds out what came of it.

pub mod addresses;
mod book;
mod steward;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

pub use steward::Steward;

use crate::model::id::NodeName;
use crate::model::node::NodeFacts;
use crate::model::order::{Finished, HostReport, Order, OrderId};
use crate::store::Desk;

/// What is known of a node's agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// The node, by the certificate of its agent.
    pub node: NodeName,
    /// What its agent says of the host; none: it was never heard.
    pub facts: Option<NodeFacts>,
    /// The same in the agent's own words, where it said any.
    #[serde(default)]
    pub host: Option<HostReport>,
    /// The agent's release.
    #[serde(default)]
    pub release: String,
    /// The SHA-256 of the agent's program.
    #[serde(default)]
    pub program: String,
    /// The order that it says it is in.
    #[serde(default)]
    pub working_on: Option<OrderId>,
    /// Why it takes no orders, when it takes none.
    #[serde(default)]
    pub out_of_work: Option<String>,
    /// Why its certificate could not be renewed, when it could not.
    #[serde(default)]
    pub papers_problem: Option<String>,
    /// The order that is laid out for it and has no outcome; its secrets are taken out.
    #[serde(default)]
    pub order: Option<Order>,
    /// Whether that order cannot be laid out again without its secrets.
    #[serde(default)]
    pub has_secrets: bool,
    /// What came of its last orders, the newest last.
    #[serde(default)]
    pub outcomes: Vec<Finished>,
    /// Whether its agent obeyed a controller of which nothing is known here, and no person has adopted it.
    #[serde(default)]
    pub stranger: bool,
}

impl Member {
    /// Of a node that nobody has heard.
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            facts: None,
            host: None,
            release: String::new(),
            program: String::new(),
            working_on: None,
            out_of_work: None,
            papers_problem: None,
            order: None,
            has_secrets: false,
            outcomes: Vec::new(),
            stranger: false,
        }
    }

    /// What came of an order, if that is still known.
    pub fn outcome(&self, id: &OrderId) -> Option<&Finished> {
        self.outcomes.iter().rev().find(|finished| finished.id == *id)
    }
}

/// All nodes whose agents were heard or have orders.
pub type Members = BTreeMap<NodeName, Arc<Member>>;

/// Why an order is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NotTaken {
    #[error("{node} is busy with order {with}; a node does one at a time, so ask again when it is over")]
    Busy { node: NodeName, with: OrderId },
    #[error("order {id} was given to {node} before for something else; an id is given once")]
    Reused { node: NodeName, id: OrderId },
    #[error("the order for {node} could not be written down, and is not given: {why}")]
    NotStored { node: NodeName, why: String },
    #[error(
        "{node} obeys another controller: it has heard of epoch {theirs}, and this one knows nothing of that; `sio adopt` takes it over"
    )]
    Stranger { node: NodeName, theirs: u64 },
    #[error("the controller ends")]
    Ending,
}

/// What is asked of the steward.
#[derive(Debug)]
enum Ask {
    LayOut { node: NodeName, order: Box<Order>, taken: oneshot::Sender<Result<Pending, NotTaken>> },
    TakeBack { node: NodeName, id: OrderId, done: oneshot::Sender<Result<bool, NotTaken>> },
    Word { node: NodeName },
    Adopt { done: oneshot::Sender<Result<Adopted, NotTaken>> },
}

/// What a person's yes to agents of another controller led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopted {
    /// The nodes that are ours from now on.
    pub nodes: Vec<NodeName>,
    /// The epoch under which they are given orders.
    pub epoch: u64,
}

/// The way to all agents. Cloning it costs nothing.
#[derive(Clone, Debug)]
pub struct Crew {
    asks: mpsc::Sender<Ask>,
    members: watch::Receiver<Arc<Members>>,
    desk: Desk,
}

/// An order that is laid out, or over already.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Finished>);

impl Pending {
    /// Waits for what comes of it. Not to wait changes nothing for the order.
    ///
    /// # Errors
    /// The order was taken back, or the controller ends.
    pub async fn outcome(self) -> Result<Finished, NotTaken> {
        self.0.await.map_err(|_| NotTaken::Ending)
    }
}

impl Crew {
    /// What is known of each node, and a way to wait for news.
    pub fn members(&self) -> watch::Receiver<Arc<Members>> {
        self.members.clone()
    }

    /// What is known of one node.
    pub fn member(&self, node: &NodeName) -> Option<Arc<Member>> {
        self.members.borrow().get(node).cloned()
    }

    /// The epoch that orders carry while this controller leads.
    pub fn epoch(&self) -> u64 {
        self.desk.epoch()
    }

    /// Takes over every agent that obeys another controller: orders are given under an epoch beyond all that were heard of.
    ///
    /// # Errors
    /// It could not be written down; nothing has changed.
    pub async fn adopt(&self) -> Result<Adopted, NotTaken> {
        let (done, answer) = oneshot::channel();
        self.asks.send(Ask::Adopt { done }).await.map_err(|_| NotTaken::Ending)?;
        answer.await.unwrap_or(Err(NotTaken::Ending))
    }

    /// Lays an order out; when this returns, the order is durable. An id that
    /// was given before with the same task is not done twice: its outcome is
    /// told, or waited for. Secrets come with it anew.
    ///
    /// # Errors
    /// The node is busy with another order, or the order could not be written down.
    pub async fn lay_out(&self, node: &NodeName, order: Order) -> Result<Pending, NotTaken> {
        let (taken, answer) = oneshot::channel();
        let ask = Ask::LayOut { node: node.clone(), order: Box::new(order), taken };
        self.asks.send(ask).await.map_err(|_| NotTaken::Ending)?;
        answer.await.unwrap_or(Err(NotTaken::Ending))
    }

    /// Lays an order out and waits for what comes of it, however long that takes.
    ///
    /// # Errors
    /// As [`Crew::lay_out`] and [`Pending::outcome`].
    pub async fn order(&self, node: &NodeName, order: Order) -> Result<Finished, NotTaken> {
        self.lay_out(node, order).await?.outcome().await
    }

    /// Lets the agent of a node say how it is now, not only when its next report is due. It may be asked in vain.
    pub fn want_word(&self, node: &NodeName) {
        // Whoever wants it asks again.
        let _ = self.asks.try_send(Ask::Word { node: node.clone() });
    }

    /// Takes an order back that has no outcome yet. An agent that has begun it
    /// ends it all the same, and its outcome is kept. True: it was laid out.
    ///
    /// # Errors
    /// It could not be written down; the order stays.
    pub async fn take_back(&self, node: &NodeName, id: &OrderId) -> Result<bool, NotTaken> {
        let (done, answer) = oneshot::channel();
        let ask = Ask::TakeBack { node: node.clone(), id: id.clone(), done };
        self.asks.send(ask).await.map_err(|_| NotTaken::Ending)?;
        answer.await.unwrap_or(Err(NotTaken::Ending))
    }
}

#[cfg(test)]
mod tests;

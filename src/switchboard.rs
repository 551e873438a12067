//! How one part asks another: the page and the command line ask those who tell
//! of alerts, and wait for their answer. Features do not know each other; they
//! know this.

use tokio::sync::{mpsc, oneshot};

use crate::model::alerting::{Answer, Order, Refusal};

/// Orders that wait; each is done in milliseconds.
const WAITING: usize = 32;

/// An order with the way back.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub order: Order,
    /// Hears the answer.
    pub answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// The end that asks.
#[derive(Clone, Debug)]
pub struct Switchboard(mpsc::Sender<Call>);

impl Switchboard {
    /// Both ends.
    pub fn new() -> (Self, mpsc::Receiver<Call>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// Why it is not done.
    pub async fn ask(&self, order: Order) -> Result<Answer, Refusal> {
        let gone = || Refusal::Unable("the controller is about to end; ask again when it is back".to_owned());
        let (answer, heard) = oneshot::channel();
        self.0.send(Call { order, answer }).await.map_err(|_| gone())?;
        heard.await.unwrap_or_else(|_| Err(gone()))
    }
}

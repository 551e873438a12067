//! What runs in the Mesos cluster now? Asked of its master every half minute, for whoever wants to name it.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::config::Mesos;
use crate::mesos::MesosError;
use crate::mesos::census::{Census, Taken};
use crate::model::unit::Timestamp;
use crate::model::workload::Workloads;

/// Tasks come and go in seconds, but alerts about their storage last minutes.
const PAUSE: Duration = Duration::from_secs(30);
/// Until the first answer somebody waits for it.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Who waits for news hears them after this.
const SOON: Duration = Duration::from_secs(1);
/// What is older is not told any more: tasks have moved by then.
const KEPT: TimeDelta = TimeDelta::minutes(5);

/// Asks, and publishes what was answered.
pub struct Watcher {
    census: Census,
    published: watch::Sender<Arc<Workloads>>,
    nudge: Arc<Notify>,
}

impl Watcher {
    /// Nothing is asked yet.
    pub fn new(mesos: &Mesos) -> Result<(Self, watch::Receiver<Arc<Workloads>>), MesosError> {
        let (published, watched) = watch::channel(Arc::default());
        Ok((Self { census: Census::new(mesos)?, published, nudge: Arc::default() }, watched))
    }

    /// By this it is asked for news sooner.
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }

    /// The loop. A master that does not answer is nothing that others stop for.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let begun = clock::now();
            let answer = tokio::select! {
                () = stop.cancelled() => return,
                answer = self.census.take() => answer.map_err(|error| error.to_string()),
            };
            let before = Arc::clone(&self.published.borrow());
            let next = next(&before, answer, begun, clock::now());
            match (&before.problem, &next.problem) {
                (None, Some(problem)) => warn!(problem = &**problem, "what runs in the Mesos cluster is not known"),
                (Some(_), None) => info!(tasks = next.tasks.len(), "what runs in the Mesos cluster is known again"),
                _ => {}
            }
            let pause = if next.taken_at.is_some() { PAUSE } else { FIRST_PAUSE };
            self.published.send_replace(Arc::new(next));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.nudge.notified() => tokio::time::sleep(SOON).await,
            }
        }
    }
}

/// What is known after a try.
fn next(before: &Workloads, answer: Result<Taken, String>, begun: Timestamp, now: Timestamp) -> Workloads {
    match answer {
        Ok(Taken { tasks, agents }) => {
            Workloads { taken_at: Some(now), problem: None, tasks, begun_at: Some(begun), agents }
        }
        Err(problem) => {
            let problem = Some(problem.into());
            match before.taken_at.filter(|at| now - *at <= KEPT) {
                Some(_) => Workloads { problem, ..before.clone() },
                None => Workloads { problem, ..Workloads::default() },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_through_a_short_silence_and_no_longer() {
        let now = clock::now();
        let known = next(&Workloads::default(), Ok(Taken::default()), now, now);
        assert_eq!((known.taken_at, known.problem.as_deref()), (Some(now), None));
        let silent = next(&known, Err("nobody there".to_owned()), now, now + TimeDelta::minutes(4));
        assert_eq!((silent.taken_at, silent.problem.as_deref()), (Some(now), Some("nobody there")));
        let forgotten = next(&silent, Err("nobody there".to_owned()), now, now + TimeDelta::minutes(6));
        assert_eq!(forgotten.taken_at, None);
    }
}

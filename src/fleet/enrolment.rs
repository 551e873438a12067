//! Who may have a certificate, of those who ask by a message of Mesos?
//!
//! The masters vouch for which executor speaks; our own record says on which
//! host it was launched. The name in the certificate is that host's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::enrol::ca::Authority;
use crate::model::enrolment::{Answer, Ask};
use crate::model::framework::{ExecutorMessage, FrameworkOrder, FrameworkStatus};
use crate::model::mesos::{NodeTask, TaskFate};
use crate::model::unit::Timestamp;

/// The task whose executor speaks. None: it is none of ours, or not yet known
/// on which host; it asks again.
fn speaker<'a>(status: &'a FrameworkStatus, message: &ExecutorMessage) -> Option<&'a NodeTask> {
    let task = status.tasks.get(&message.agent)?;
    let is_ours = task.executor == message.executor && task.fate() != TaskFate::Ended && !task.hostname.is_empty();
    is_ours.then_some(task)
}

/// What is answered to an executor of a host.
fn answer(authority: &Authority, hostname: &str, data: &[u8], now: Timestamp) -> Option<Answer> {
    match serde_json::from_slice(data) {
        Ok(Ask::Certificate { request }) => Some(match authority.sign(&request, hostname, now) {
            Ok(certificate) => {
                Answer::Certificate { node: hostname.to_owned(), certificate, authority: authority.pem().to_owned() }
            }
            Err(error) => Answer::Refused { why: error.to_string() },
        }),
        Ok(Ask::Unknown) | Err(_) => None,
    }
}

/// An executor may speak before the masters have told us that its task was launched.
const PATIENCE: Duration = Duration::from_secs(5);
/// Messages that wait for that; who is dropped asks again.
const WAITING: usize = 1024;

/// Answers executors until told to stop.
pub async fn run(
    authority: Arc<Authority>,
    mut status: watch::Receiver<Arc<FrameworkStatus>>,
    mut messages: mpsc::Receiver<ExecutorMessage>,
    orders: mpsc::Sender<FrameworkOrder>,
    stop: CancellationToken,
) {
    let mut waiting: Vec<(Instant, ExecutorMessage)> = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            message = messages.recv() => match message {
                Some(message) if waiting.len() < WAITING => waiting.push((Instant::now(), message)),
                Some(message) => warn!(agent = %message.agent, "too many executors ask at once; one is not heard"),
                None => {
                    // The framework has ended; it is told elsewhere why.
                    stop.cancelled().await;
                    return;
                }
            },
            changed = status.changed(), if !waiting.is_empty() => if changed.is_err() {
                stop.cancelled().await;
                return;
            },
        }
        let now = Arc::clone(&status.borrow_and_update());
        waiting.retain(|(since, message)| match speaker(&now, message) {
            Some(task) => {
                reply(&authority, task, message, &orders);
                false
            }
            None if since.elapsed() > PATIENCE => {
                let ExecutorMessage { agent, executor, .. } = message;
                warn!(%agent, %executor, "a message of an executor that is not known");
                false
            }
            None => true,
        });
    }
}

/// Answers the executor of a task.
fn reply(authority: &Authority, task: &NodeTask, message: &ExecutorMessage, orders: &mpsc::Sender<FrameworkOrder>) {
    let node = &*task.hostname;
    let Some(answer) = answer(authority, node, &message.data, clock::now()) else {
        warn!(node, "a message of an executor that is not understood is left out");
        return;
    };
    match &answer {
        Answer::Refused { why } => warn!(node, why, "a node gets no certificate"),
        Answer::Certificate { .. } | Answer::Unknown => info!(node, "a node gets a certificate"),
    }
    // Texts cannot fail to be written.
    let data = serde_json::to_vec(&answer).unwrap_or_default();
    let order = FrameworkOrder::Message { agent: message.agent.clone(), executor: message.executor.clone(), data };
    // Too much is asked of the framework: the executor asks again.
    if orders.try_send(order).is_err() {
        warn!(node, "the answer to an executor is dropped");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::enrol::request::Request;
    use crate::model::framework::Registration;
    use crate::model::id::{AgentId, ExecutorId, TaskId};
    use crate::model::mesos::{TaskPhase, TaskState};

    fn status(hostname: &str, state: TaskState) -> FrameworkStatus {
        let task = NodeTask {
            agent: AgentId::new("a1"),
            hostname: hostname.into(),
            task: TaskId::new("t"),
            executor: ExecutorId::new("e"),
            attempt: 1,
            phase: TaskPhase::Told { state, reason: None, message: None },
            failures: 0,
            retry_at: None,
            changed_at: Timestamp::UNIX_EPOCH,
        };
        FrameworkStatus {
            cluster: "mesos".into(),
            framework: None,
            registration: Registration::Disconnected { error: None, failures: 0 },
            mend: None,
            is_suppressed: false,
            unanswered: 0,
            tasks: [(AgentId::new("a1"), task)].into(),
            agents: BTreeMap::new(),
        }
    }

    fn message(agent: &str, executor: &str) -> ExecutorMessage {
        ExecutorMessage { agent: AgentId::new(agent), executor: ExecutorId::new(executor), data: Vec::new() }
    }

    #[test]
    fn only_the_executor_of_a_living_task_of_ours_speaks_for_its_host() {
        let ours = status("host-1", TaskState::Running);
        assert_eq!(speaker(&ours, &message("a1", "e")).map(|task| &*task.hostname), Some("host-1"));
        assert_eq!(speaker(&ours, &message("a2", "e")), None);
        assert_eq!(speaker(&ours, &message("a1", "x")), None);
        assert_eq!(speaker(&status("host-1", TaskState::Failed), &message("a1", "e")), None);
        assert_eq!(speaker(&status("", TaskState::Running), &message("a1", "e")), None, "its host is not known yet");
    }

    #[test]
    fn a_request_is_signed_for_the_host_and_a_bad_one_is_told_why() {
        let folder = tempfile::tempdir().unwrap();
        let now = clock::now();
        let authority = Authority::open(folder.path(), now).unwrap();
        let ask = |request: &str| serde_json::to_vec(&Ask::Certificate { request: request.to_owned() }).unwrap();
        let request = Request::new("somebody-else").unwrap();
        let given = answer(&authority, "host-1", &ask(request.pem()), now);
        assert!(matches!(given, Some(Answer::Certificate { node, .. }) if node == "host-1"));
        assert!(matches!(answer(&authority, "host-1", &ask("x"), now), Some(Answer::Refused { .. })));
        assert_eq!(answer(&authority, "host-1", b"nonsense", now), None);
        assert_eq!(answer(&authority, "host-1", br#"{"ask":"tea"}"#, now), None);
    }

    #[tokio::test]
    async fn who_speaks_before_its_task_is_known_is_answered_once_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::open(folder.path(), clock::now()).unwrap());
        let known = watch::Sender::new(Arc::new(FrameworkStatus {
            tasks: BTreeMap::new(),
            ..status("host-1", TaskState::Staging)
        }));
        let ((say, messages), (orders, mut answers)) = (mpsc::channel(4), mpsc::channel(4));
        let stop = CancellationToken::new();
        let answering = tokio::spawn(run(authority, known.subscribe(), messages, orders, stop.clone()));
        let ask = Ask::Certificate { request: Request::new("n").unwrap().pem().to_owned() };
        let data = serde_json::to_vec(&ask).unwrap();
        say.send(ExecutorMessage { data, ..message("a1", "e") }).await.unwrap();
        tokio::task::yield_now().await;
        assert!(answers.try_recv().is_err(), "nobody knows on which host it is");
        known.send_replace(Arc::new(status("host-1", TaskState::Staging)));
        let FrameworkOrder::Message { data, .. } = answers.recv().await.unwrap() else { panic!("no message") };
        assert!(String::from_utf8(data).unwrap().contains("host-1"));
        stop.cancel();
        answering.await.unwrap();
    }
}

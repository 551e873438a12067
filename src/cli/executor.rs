//! `sio executor`: what a Mesos agent starts. It carries one task, whose state
//! says how the node agent beside it is.

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::mesos::executor::{End, Happened, Say, Surroundings, run};
use crate::model::id::TaskId;
use crate::model::mesos::TaskState;

/// Words that wait for the agent, or for us.
const WAITING: usize = 64;

/// Runs to the end of the executor.
pub(super) async fn executor(variables: &[(String, String)]) -> anyhow::Result<()> {
    let surroundings = Surroundings::read(variables)?;
    let (happened, mut news) = mpsc::channel(WAITING);
    let (say, said) = mpsc::channel(WAITING);
    let program = async move {
        let mut tasks: Vec<TaskId> = Vec::new();
        while let Some(happened) = news.recv().await {
            let (ended, is_over) = match happened {
                Happened::Launched { task, .. } => {
                    tasks.push(task.clone());
                    report(&say, &task, TaskState::Starting, None, "the executor is there").await;
                    report(&say, &task, TaskState::Running, Some(true), "the executor is at work").await;
                    continue;
                }
                Happened::Message(data) => {
                    info!(bytes = data.len(), "a message of the controller");
                    continue;
                }
                Happened::Kill { task } => {
                    tasks.retain(|other| *other != task);
                    (vec![task], tasks.is_empty())
                }
                Happened::Shutdown => (std::mem::take(&mut tasks), true),
            };
            for task in &ended {
                report(&say, task, TaskState::Killed, None, "it was told to end; the node agent goes on").await;
            }
            if is_over {
                break;
            }
        }
    };
    let (end, ()) = tokio::join!(run(&surroundings, happened, said), program);
    match end? {
        End::Done => Ok(()),
        end @ (End::Unheard | End::AgentLost | End::Unknown) => {
            warn!(?end, "the executor ends without its agent");
            Ok(())
        }
    }
}

async fn report(say: &mpsc::Sender<Say>, task: &TaskId, state: TaskState, healthy: Option<bool>, message: &str) {
    let said = Say::State { task: task.clone(), state, healthy, message: message.to_owned() };
    // The loop has ended; so will we.
    let _ = say.send(said).await;
}

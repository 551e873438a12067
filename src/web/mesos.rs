//! What the API says of the Mesos cluster: how the framework stands, its
//! agents, and what became of their offers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::api::Shown;
use super::problem::Problem;
use super::routes::{Answers, Body, Route, Served};
use super::schema;
use crate::model::framework::{FrameworkAsked, FrameworkOrder, FrameworkStatus, Registration, SeenAgent};
use crate::model::id::SystemId;
use crate::model::mesos::NodeTask;
use crate::model::person::Role;
use crate::model::rollout::Preview;
use crate::model::snapshot::Snapshot;
use crate::model::workload::Workloads;

/// How requests reach the framework.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Cluster {
    pub status: watch::Receiver<Arc<FrameworkStatus>>,
    pub orders: mpsc::Sender<FrameworkOrder>,
    pub look_ahead: LookAhead,
    /// What runs in the cluster.
    pub workloads: watch::Receiver<Arc<Workloads>>,
}

/// What a rollout of a system would do; none: no configuration says how its storage shall look.
pub type LookAhead = Arc<dyn Fn(&SystemId, &FrameworkStatus, Option<&Snapshot>) -> Option<Preview> + Send + Sync>;

/// What is looked at, and what only this host may order.
pub(super) fn routes() -> Vec<Route> {
    use Answers::{List, Object, Text};
    let text = Text("text/plain");
    vec![
        Route::get("/api/v1/framework", Object, "How the framework stands with the masters.", framework)
            .refuses(&[404]),
        Route::get("/api/v1/agents", List, "Each agent that offered, and our task there.", agents).refuses(&[404]),
        Route::get("/api/v1/offers", List, "What became of the last offer of each agent, and why.", offers)
            .refuses(&[404]),
        Route::get("/api/v1/workloads", Object, "Every task of the cluster, as its master told last.", workloads)
            .refuses(&[404]),
        Route::get("/api/v1/systems/{system}/rollout", Object, "What a rollout would do now.", rollout).refuses(&[404]),
        Route::post(
            "/api/v1/framework/orders",
            Role::Admin,
            text,
            "Hold offers back or ask for them again, end the framework, or register it anew after its end.",
            order,
        )
        .takes(Body::Json(schema::framework))
        .served(Served::HostOnly)
        .refuses(&[400, 404, 409, 413, 415, 422, 503]),
    ]
}

fn status(shown: &Shown) -> Result<Arc<FrameworkStatus>, Problem> {
    let cluster = shown
        .mesos
        .as_ref()
        .ok_or_else(|| Problem::not_found("no Mesos cluster is configured; write a section [mesos] to have one"))?;
    Ok(Arc::clone(&cluster.status.borrow()))
}

/// How the framework stands with the masters.
async fn framework(State(shown): State<Shown>) -> Result<Response, Problem> {
    Ok(Json(&*status(&shown)?).into_response())
}

/// Each agent that offered, and our task there.
async fn agents(State(shown): State<Shown>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Agent<'a> {
        #[serde(flatten)]
        seen: Option<&'a SeenAgent>,
        task: Option<&'a NodeTask>,
    }
    let status = status(&shown)?;
    let offered = status.agents.iter().map(|(id, seen)| Agent { seen: Some(&**seen), task: status.tasks.get(id) });
    // One that runs our task and has not offered since we started.
    let silent = status.tasks.iter().filter(|(id, _)| !status.agents.contains_key(*id));
    let silent = silent.map(|(_, task)| Agent { seen: None, task: Some(task) });
    Ok(Json(offered.chain(silent).collect::<Vec<_>>()).into_response())
}

/// What became of the last offer of each agent, and why.
async fn offers(State(shown): State<Shown>) -> Result<Response, Problem> {
    let status = status(&shown)?;
    Ok(Json(status.agents.values().map(|seen| &**seen).collect::<Vec<_>>()).into_response())
}

/// Every task of the cluster, as its master told last.
pub(super) async fn workloads(State(shown): State<Shown>) -> Result<Response, Problem> {
    status(&shown)?;
    let workloads = shown.mesos.as_ref().map(|cluster| Arc::clone(&cluster.workloads.borrow()));
    Ok(Json(workloads.as_deref()).into_response())
}

/// What a rollout would do now: desired against actual. It changes nothing.
async fn rollout(State(shown): State<Shown>, Path(system): Path<String>) -> Result<Response, Problem> {
    let picture = super::api::find(&shown, &system)?;
    // Who rolls out knows more than the offers tell: disks, and how far each node is.
    let known = shown.nodes.as_ref().map(super::nodes::Nodes::status);
    if let Some(preview) = known.as_ref().and_then(|known| known.systems.get(&picture.system)) {
        return Ok(Json(preview).into_response());
    }
    let status = status(&shown)?;
    let look = shown
        .mesos
        .as_ref()
        .and_then(|cluster| (cluster.look_ahead)(&picture.system, &status, picture.snapshot.as_deref()));
    let preview = look.ok_or_else(|| {
        let section = format!("[systems.{}.rollout]", picture.system);
        Problem::not_found(format!("nothing says how the storage of this system shall look; write a section {section}"))
    })?;
    Ok(Json(preview).into_response())
}

/// What only a person may decide about the framework.
async fn order(State(shown): State<Shown>, Json(asked): Json<FrameworkAsked>) -> Result<Response, Problem> {
    let status = status(&shown)?;
    let refuse = |detail: String| Problem::new(StatusCode::CONFLICT, detail);
    let is_over = matches!(status.registration, Registration::Removed { .. });
    let (order, told) = match asked {
        FrameworkAsked::RegisterAnew if !is_over => {
            return Err(refuse("the masters have not removed this framework, so it keeps its id".to_owned()));
        }
        FrameworkAsked::RegisterAnew => (FrameworkOrder::RegisterAnew, "it registers under a new id\n"),
        _ if !matches!(status.registration, Registration::Registered { .. }) => {
            return Err(refuse("the framework is not registered with a master now; see /api/v1/framework".to_owned()));
        }
        FrameworkAsked::Hold => (FrameworkOrder::Hold(true), "offers are held back; no executor is launched\n"),
        FrameworkAsked::GoOn => (FrameworkOrder::Hold(false), "offers are asked for again\n"),
        FrameworkAsked::TearDown { framework, by } => {
            if status.framework.as_ref() != Some(&framework) {
                let ours = status.framework.as_ref().map(ToString::to_string).unwrap_or_default();
                return Err(refuse(format!("this framework's id is {ours}, not {framework}; nothing was done")));
            }
            (FrameworkOrder::TearDown { by }, "the framework ends, and its tasks with it; node agents go on\n")
        }
    };
    let sent = shown.mesos.as_ref().is_some_and(|cluster| cluster.orders.try_send(order).is_ok());
    if sent {
        Ok((StatusCode::ACCEPTED, told).into_response())
    } else {
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too much is asked of the framework; try again"))
    }
}

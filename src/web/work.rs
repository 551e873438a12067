//! The work on systems, over HTTP: plans, approvals, runs, and what holds them.
//!
//! As in `handling`, nothing acts on GET, and whatever acts takes JSON.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Shown;
use super::problem::Problem;
use super::routes::{Answers, Body, Param, Route};
use crate::model::id::SystemId;
use crate::model::lifecycle::{Lifecycle, Order, Refusal};
use crate::model::person::{Person, Role};
use crate::model::unit::Timestamp;
use crate::work::seam::Line;

/// What is looked at and asked.
pub(super) fn routes() -> Vec<Route> {
    let path = "/api/v1/systems/{system}/runs";
    vec![
        Route::get("/api/v1/runs", Answers::List, "All work on all systems, and what it waits for.", all),
        Route::get(path, Answers::Object, "All work on a system: the open run, plans, jobs.", one).refuses(&[404]),
        Route::get(
            "/api/v1/systems/{system}/history",
            Answers::Object,
            "All that was ever done on a system, as it was written, the oldest first, some thousand entries at a time.",
            history,
        )
        .query(&[
            Param { name: "from", what: "The number of the first entry that is wanted." },
            Param { name: "since", what: "None of before this moment, such as 2026-11-30T00:00:00Z." },
        ])
        .refuses(&[400, 404, 503]),
        Route::post(path, Role::Operator, Answers::Object, "Ask for a plan, approve one, or act on the open run.", ask)
            .takes(Body::Json(asking))
            .refuses(&[400, 404, 409, 413, 415, 422, 503]),
    ]
}

/// What is sent along; each order has more of its own.
fn asking() -> Value {
    let orders =
        ["plan", "approve", "adopt", "pause", "resume", "cancel", "skip", "hold", "release", "override", "free"];
    json!({
        "type": "object",
        "required": ["order"],
        "properties": { "order": { "type": "string", "enum": orders }, "by": { "type": ["string", "null"] } },
    })
}

/// All work on all systems that may be worked on.
async fn all(State(shown): State<Shown>) -> Response {
    let all: Vec<Lifecycle> = shown.work.values().map(|line| (**line.shown.borrow()).clone()).collect();
    Json(all).into_response()
}

fn line<'a>(shown: &'a Shown, system: &str) -> Result<&'a Line, Problem> {
    shown.work.get(&SystemId::new(system)).ok_or_else(|| {
        let known: Vec<&str> = shown.work.keys().map(SystemId::as_str).collect();
        Problem::not_found(format!("no system {system:?} is configured; there is {}", known.join(", ")))
    })
}

async fn one(State(shown): State<Shown>, Path(system): Path<String>) -> Result<Response, Problem> {
    let lifecycle = line(&shown, &system)?.shown.borrow().clone();
    Ok(Json(&*lifecycle).into_response())
}

#[derive(Deserialize)]
struct Part {
    #[serde(default)]
    from: u64,
    #[serde(default)]
    since: Option<Timestamp>,
}

async fn history(
    State(shown): State<Shown>,
    Path(system): Path<String>,
    query: Result<Query<Part>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(Part { from, since }) = query.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let reader = line(&shown, &system)?.history.clone();
    let unable = |why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why);
    Ok(Json(reader.read(from, since).await.map_err(unable)?).into_response())
}

#[derive(Deserialize)]
struct Asking {
    #[serde(flatten)]
    order: Order,
    /// Who asks, when they are not logged in.
    #[serde(default)]
    by: Option<String>,
}

async fn ask(
    State(shown): State<Shown>,
    Path(system): Path<String>,
    Extension(person): Extension<Person>,
    json: Result<Json<Asking>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Asking { order, by }) = json.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let answer = line(&shown, &system)?.ask(order, person.called(by.as_deref())).await.map_err(|refusal| {
        let status = match refusal {
            Refusal::Wrong(_) => StatusCode::BAD_REQUEST,
            Refusal::Missing(_) => StatusCode::NOT_FOUND,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Unable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, refusal.to_string())
    })?;
    Ok(Json(answer).into_response())
}

//! The work on systems, over HTTP: plans, approvals, runs, and what holds them.
//!
//! As in `handling`, nothing acts on GET, and whatever acts takes JSON.

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use super::api::Shown;
use super::handling::{name, same_site};
use super::problem::Problem;
use crate::model::id::SystemId;
use crate::model::lifecycle::{Lifecycle, Order, Refusal};
use crate::work::seam::Line;

/// Orders are short.
const LONGEST_BODY: usize = 64 * 1024;

pub(super) fn routes() -> Router<Shown> {
    Router::new()
        .route("/api/v1/runs", get(all))
        .route("/api/v1/systems/{system}/runs", get(one).post(ask))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn(same_site))
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
    headers: HeaderMap,
    json: Result<Json<Asking>, JsonRejection>,
) -> Result<Response, Problem> {
    let Json(Asking { order, by }) = json.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let answer = line(&shown, &system)?.ask(order, name(by, &headers)).await.map_err(|refusal| {
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

//! What people do about alerts, over HTTP: silences, acknowledgements, the mails
//! that wait, and the page behind the links of mails.
//!
//! Nothing here acts on GET. What acts takes JSON, which a page of another site
//! cannot send for somebody who is logged in; a link acts by its signed token,
//! which no other site knows.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Extension, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::Deserialize;
use url::form_urlencoded;

use super::access::user_of;
use super::api::Shown;
use super::page;
use super::problem::Problem;
use crate::model::alerting::{Answer, Fingerprint, GroupKey, Matcher, Order, Refusal, SilenceId, Target, Via};

/// Orders are short.
const LONGEST_BODY: usize = 64 * 1024;

/// By which listener a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The socket on this host.
    Host,
    /// The network.
    Network,
}

impl Origin {
    const fn via(self) -> Via {
        match self {
            Self::Host => Via::Cli,
            Self::Network => Via::Api,
        }
    }
}

pub(super) fn routes(origin: Origin) -> Router<Shown> {
    Router::new()
        .route("/api/v1/silences", get(silences).post(silence))
        .route("/api/v1/silences/{id}", delete(expire))
        .route("/api/v1/acknowledgements", get(acknowledgements).post(acknowledge))
        .route("/api/v1/records", get(records))
        .route("/api/v1/notifications/queue", get(queue))
        .route("/api/v1/notifications/preview", get(preview))
        .route("/api/v1/notifications/flush", post(flush))
        .route("/api/v1/notifications/test", post(test))
        .layer(Extension(origin))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn(same_site))
}

/// The page behind the links of mails.
pub(super) fn act() -> Router<Shown> {
    Router::new()
        .route("/act", get(look).post(follow))
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn(same_site))
}

/// Browsers say when another site makes them ask. Such a request may look, and not act.
pub(super) async fn same_site(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) && !request.method().is_safe() {
        return Problem::new(StatusCode::FORBIDDEN, "a page of another site cannot act here").into_response();
    }
    next.run(request).await
}

/// Whether a browser says that another site made it ask.
fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin"), text("host")) {
        (Some(site), _, _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin), Some(host)) => origin.split_once("://").is_none_or(|(_, of)| of != host),
        (None, Some(_), None) => true,
        (None, None, _) => false,
    }
}

async fn ask(shown: &Shown, order: Order) -> Result<Response, Problem> {
    answer(shown, order).await.map(|answer| Json(answer).into_response())
}

async fn answer(shown: &Shown, order: Order) -> Result<Answer, Problem> {
    let nobody = "nobody is told of alerts here: section mail is not set, or alerts.enabled is false";
    let board = shown.switchboard.as_ref().ok_or_else(|| Problem::not_found(nobody))?;
    board.ask(order).await.map_err(|refusal| {
        let status = match refusal {
            Refusal::Wrong(_) => StatusCode::BAD_REQUEST,
            Refusal::Missing(_) => StatusCode::NOT_FOUND,
            Refusal::Over(_) => StatusCode::GONE,
            Refusal::Unable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, refusal.to_string())
    })
}

fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(body)| body).map_err(|error| Problem::new(error.status(), error.body_text()))
}

/// The name that was given, else the user who is logged in.
pub(super) fn name(given: Option<String>, headers: &HeaderMap) -> String {
    given.filter(|name| !name.trim().is_empty()).or_else(|| user_of(headers)).unwrap_or_default()
}

async fn silences(State(shown): State<Shown>) -> Result<Response, Problem> {
    ask(&shown, Order::Silences).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Silencing {
    matchers: Vec<Matcher>,
    #[serde(default)]
    owner: Option<String>,
    reason: String,
    seconds: u64,
}

async fn silence(
    State(shown): State<Shown>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    json: Result<Json<Silencing>, JsonRejection>,
) -> Result<Response, Problem> {
    let Silencing { matchers, owner, reason, seconds } = body(json)?;
    let owner = name(owner, &headers);
    ask(&shown, Order::Silence { matchers, owner, reason, seconds, via: origin.via() }).await
}

async fn expire(
    State(shown): State<Shown>,
    Extension(origin): Extension<Origin>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = SilenceId::parse(&id).map_err(|error| Problem::not_found(error.to_string()))?;
    let by = query.into_iter().find(|(key, _)| key == "by").map(|(_, by)| by);
    ask(&shown, Order::Expire { id, by: name(by, &headers), via: origin.via() }).await
}

async fn acknowledgements(State(shown): State<Shown>) -> Result<Response, Problem> {
    ask(&shown, Order::Acknowledgements).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledging {
    #[serde(default)]
    alert: Option<Fingerprint>,
    #[serde(default)]
    group: Option<GroupKey>,
    #[serde(default)]
    by: Option<String>,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    seconds: Option<u64>,
}

async fn acknowledge(
    State(shown): State<Shown>,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    json: Result<Json<Acknowledging>, JsonRejection>,
) -> Result<Response, Problem> {
    let Acknowledging { alert, group, by, comment, seconds } = body(json)?;
    let on = match (alert, group) {
        (Some(alert), None) => Target::Alert(alert),
        (None, Some(group)) => Target::Group(group),
        (Some(_), Some(_)) | (None, None) => {
            let detail = "name either an alert by its fingerprint or a group: {\"group\":{\"system\":\"prod\",\"area\":\"sds\"}}";
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
    };
    let by = name(by, &headers);
    ask(&shown, Order::Acknowledge { on, by, comment, seconds, via: origin.via() }).await
}

async fn records(State(shown): State<Shown>) -> Result<Response, Problem> {
    ask(&shown, Order::Records).await
}

async fn queue(State(shown): State<Shown>) -> Result<Response, Problem> {
    ask(&shown, Order::Queue).await
}

async fn preview(State(shown): State<Shown>, Query(query): Query<Vec<(String, String)>>) -> Result<Response, Problem> {
    let group = query.into_iter().find(|(key, _)| key == "group").map(|(_, group)| group);
    ask(&shown, Order::Preview { group }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flushing {}

async fn flush(State(shown): State<Shown>, json: Result<Json<Flushing>, JsonRejection>) -> Result<Response, Problem> {
    let Flushing {} = body(json)?;
    ask(&shown, Order::Flush).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Testing {
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    by: Option<String>,
}

async fn test(
    State(shown): State<Shown>,
    headers: HeaderMap,
    json: Result<Json<Testing>, JsonRejection>,
) -> Result<Response, Problem> {
    let Testing { to, by } = body(json)?;
    let by = Some(name(by, &headers)).filter(|by| !by.is_empty()).unwrap_or_else(|| "somebody".to_owned());
    ask(&shown, Order::Test { to, by }).await
}

/// Shows what a link would do. Scanners of mail follow every link: nothing happens here.
async fn look(State(shown): State<Shown>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let token = query.into_iter().find(|(key, _)| key == "token").map(|(_, token)| token).unwrap_or_default();
    match answer(&shown, Order::Look { token: token.clone() }).await {
        Ok(Answer::Link(link)) => html(StatusCode::OK, page::confirm(&link, &token)),
        Ok(_) => html(StatusCode::INTERNAL_SERVER_ERROR, page::refused("This is no answer to a link.")),
        Err(problem) => html(problem.code(), page::refused(problem.detail())),
    }
}

/// Does what the link says.
async fn follow(State(shown): State<Shown>, headers: HeaderMap, form: Bytes) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return html(StatusCode::UNSUPPORTED_MEDIA_TYPE, page::refused("This is not the form of the page."));
    }
    let field =
        |name: &str| form_urlencoded::parse(&form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let token = field("token").unwrap_or_default();
    let by = name(field("by"), &headers);
    match answer(&shown, Order::Follow { token, by }).await {
        Ok(Answer::Link(link)) => html(StatusCode::OK, page::done(&link)),
        Ok(_) => html(StatusCode::INTERNAL_SERVER_ERROR, page::refused("This is no answer to a link.")),
        Err(problem) => html(problem.code(), page::refused(problem.detail())),
    }
}

/// A page whose form may be sent back to us, and nowhere else.
fn html(status: StatusCode, page: maud::Markup) -> Response {
    const POLICY: &str =
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    let mut response = (status, page.into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

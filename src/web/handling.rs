//! What people do about alerts, over HTTP: silences, acknowledgements, the mails
//! that wait, and the page behind the links of mails.
//!
//! Nothing here acts on GET. What acts takes JSON, which a page of another site
//! cannot send for somebody who is logged in (and [`super::access`] refuses what
//! another site made a browser send); a link acts by its signed token, which no
//! other site knows.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use url::form_urlencoded;

use super::api::Shown;
use super::page::sheet as page;
use super::problem::Problem;
use super::routes::{Answers, Body, Param, Route};
use super::schema;
use crate::model::alerting::{Answer, Fingerprint, GroupKey, Matcher, Order, Refusal, SilenceId, Target, Via};
use crate::model::person::{Door, Person, Role};

/// What people do, and what they did.
pub(super) fn routes() -> Vec<Route> {
    use Answers::{List, Object};
    vec![
        Route::get("/api/v1/silences", List, "Which silences are there.", silences).refuses(REFUSED),
        Route::post("/api/v1/silences", Role::Operator, Object, "Say nothing of some alerts for a while.", silence)
            .takes(Body::Json(schema::silencing))
            .refuses(ACTS),
        Route::delete("/api/v1/silences/{id}", Role::Operator, Object, "End a silence now.", expire)
            .query(&[Param { name: "by", what: "who" }])
            .refuses(REFUSED),
        Route::get("/api/v1/acknowledgements", List, "Who works on what.", acknowledgements).refuses(REFUSED),
        Route::post("/api/v1/acknowledgements", Role::Operator, Object, "Say who works on an alert.", acknowledge)
            .takes(Body::Json(schema::acknowledging))
            .refuses(ACTS),
        Route::get("/api/v1/records", List, "What people did lately.", records).refuses(REFUSED),
        Route::get("/api/v1/notifications/queue", List, "What waits to be told.", queue).refuses(REFUSED),
        Route::get("/api/v1/notifications/preview", Object, "The mail of a group that fires, or an example.", preview)
            .query(&[Param { name: "group", what: "which group, such as prod/sds" }])
            .refuses(REFUSED),
        Route::post("/api/v1/notifications/flush", Role::Admin, Object, "Try every waiting message now.", flush)
            .takes(Body::Json(schema::nothing))
            .refuses(ACTS),
        Route::post("/api/v1/notifications/test", Role::Admin, Object, "Write a mail to try the way.", test)
            .takes(Body::Json(schema::testing))
            .refuses(ACTS),
    ]
}

/// The page behind the links of mails.
pub(super) fn act() -> Vec<Route> {
    vec![
        Route::get("/act", Answers::Page, "What the link of a mail would do.", look)
            .query(&[Param { name: "token", what: "the token of the link" }])
            .refuses(&[400, 404, 410, 503]),
        Route::post("/act", Role::Operator, Answers::Page, "Do what the link of a mail does.", follow)
            .takes(Body::Form(&["token", "by"]))
            .refuses(&[400, 404, 410, 413, 415, 503]),
    ]
}

const REFUSED: &[u16] = &[400, 404, 410, 503];
const ACTS: &[u16] = &[400, 404, 410, 413, 415, 422, 503];

pub(super) async fn ask(shown: &Shown, order: Order) -> Result<Response, Problem> {
    answer(shown, order).await.map(|answer| Json(answer).into_response())
}

pub(super) async fn answer(shown: &Shown, order: Order) -> Result<Answer, Problem> {
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

pub(super) const fn via(person: &Person) -> Via {
    match person.door {
        Door::Host => Via::Cli,
        Door::Network => Via::Api,
    }
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
    Extension(person): Extension<Person>,
    json: Result<Json<Silencing>, JsonRejection>,
) -> Result<Response, Problem> {
    let Silencing { matchers, owner, reason, seconds } = body(json)?;
    let owner = person.called(owner.as_deref());
    ask(&shown, Order::Silence { matchers, owner, reason, seconds, via: via(&person) }).await
}

async fn expire(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let id = SilenceId::parse(&id).map_err(|error| Problem::not_found(error.to_string()))?;
    let by = query.into_iter().find(|(key, _)| key == "by").map(|(_, by)| by);
    ask(&shown, Order::Expire { id, by: person.called(by.as_deref()), via: via(&person) }).await
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
    Extension(person): Extension<Person>,
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
    let by = person.called(by.as_deref());
    ask(&shown, Order::Acknowledge { on, by, comment, seconds, via: via(&person) }).await
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
    Extension(person): Extension<Person>,
    json: Result<Json<Testing>, JsonRejection>,
) -> Result<Response, Problem> {
    let Testing { to, by } = body(json)?;
    let by = Some(person.called(by.as_deref())).filter(|by| !by.is_empty()).unwrap_or_else(|| "somebody".to_owned());
    ask(&shown, Order::Test { to, by }).await
}

/// Shows what a link would do. Scanners of mail follow every link: nothing happens here.
async fn look(State(shown): State<Shown>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let token = query.into_iter().find(|(key, _)| key == "token").map(|(_, token)| token).unwrap_or_default();
    match answer(&shown, Order::Look { token: token.clone() }).await {
        Ok(Answer::Link(link)) => html(StatusCode::OK, page::confirm(&link, &token)),
        Ok(_) => html(StatusCode::INTERNAL_SERVER_ERROR, page::refused("", "This is no answer to a link.")),
        Err(problem) => html(problem.code(), page::refused("", problem.detail())),
    }
}

/// Does what the link says.
async fn follow(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    headers: HeaderMap,
    form: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return html(StatusCode::UNSUPPORTED_MEDIA_TYPE, page::refused("", "This is not the form of the page."));
    }
    let field =
        |name: &str| form_urlencoded::parse(&form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    let token = field("token").unwrap_or_default();
    let by = person.called(field("by").as_deref());
    match answer(&shown, Order::Follow { token, by }).await {
        Ok(Answer::Link(link)) => html(StatusCode::OK, page::done(&link)),
        Ok(_) => html(StatusCode::INTERNAL_SERVER_ERROR, page::refused("", "This is no answer to a link.")),
        Err(problem) => html(problem.code(), page::refused("", problem.detail())),
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

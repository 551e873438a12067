//! The routes: metrics, health, the page, and the API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;

use super::access::Access;
use super::discover;
use super::handling::{self, Origin};
use super::page;
use super::problem::Problem;
use super::view;
use crate::clock;
use crate::metrics::{Exposition, Format, Own, is_scope};
use crate::model::alerting::{Fingerprint, FiringSet, Handled};
use crate::model::hurt::{self as hurts, NotOne, Suspect};
use crate::model::id::SystemId;
use crate::model::picture::Picture;
use crate::model::snapshot::{Part, Snapshot};
use crate::model::status::{ReceiverStatus, Status};
use crate::model::unit::Timestamp;
use crate::model::workload::add_workloads;
use crate::switchboard::Switchboard;
use crate::watches::Gallery;

/// What requests read.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Shown {
    pub gallery: Gallery,
    pub exposition: watch::Receiver<Arc<Exposition>>,
    /// None: alert rules are not evaluated here.
    pub firing: Option<watch::Receiver<Arc<FiringSet>>>,
    /// How alerts stand with people; none where nobody is told.
    pub handled: Option<watch::Receiver<Arc<BTreeMap<Fingerprint, Handled>>>>,
    /// Whom to ask about silences and mails; none where nobody is told.
    pub switchboard: Option<Switchboard>,
    /// Whether the links of mails act for people without a login.
    pub act_without_login: bool,
    /// Why the newest alert rules are not in force.
    pub rules_problem: Option<watch::Receiver<Option<String>>>,
    /// None: no Mesos cluster is configured.
    pub mesos: Option<super::mesos::Cluster>,
    pub own: Arc<Own>,
    pub started_at: Timestamp,
    /// How those go that are told of alerts.
    pub receivers: Receivers,
}

/// Asked for how those go that are told of alerts, at a moment.
pub type Receivers = Arc<dyn Fn(Timestamp) -> Vec<ReceiverStatus> + Send + Sync>;

impl Shown {
    fn status(&self) -> Status {
        let now = clock::now();
        let receivers = (self.receivers)(now);
        Status { receivers, ..view::status(&self.gallery.all(), self.problems(), crate::VERSION, self.started_at, now) }
    }

    fn handled(&self) -> Arc<BTreeMap<Fingerprint, Handled>> {
        self.handled.as_ref().map(|handled| Arc::clone(&handled.borrow())).unwrap_or_default()
    }

    /// What is wrong with the controller itself.
    fn problems(&self) -> Vec<String> {
        self.rules_problem.iter().filter_map(|problem| problem.borrow().clone()).collect()
    }

    fn firing(&self) -> Option<Arc<FiringSet>> {
        self.firing.as_ref().map(|firing| Arc::clone(&firing.borrow()))
    }
}

/// Routes for people and scrapers, behind the web configuration's users.
pub fn public(shown: Shown, access: Arc<Access>) -> Router {
    let asked = Arc::clone(&access);
    let discovery = get(async move |state: State<Shown>, headers: HeaderMap| discovered(&state, &headers, &asked));
    let guarded = routes().merge(handling::routes(Origin::Network)).route("/api/v1/sd", discovery);
    let (guarded, open) = if shown.act_without_login {
        (guarded, health().merge(handling::act()))
    } else {
        (guarded.merge(handling::act()), health())
    };
    let guarded = guarded.route_layer(middleware::from_fn_with_state(access, guard));
    finish(guarded.merge(open), shown)
}

/// The same for the command line on this host, which the socket's mode guards.
pub fn local(shown: Shown) -> Router {
    finish(routes().merge(handling::routes(Origin::Host)).merge(super::mesos::orders()).merge(health()), shown)
}

fn routes() -> Router<Shown> {
    Router::new()
        .route("/", get(home))
        .route("/style.css", get(style))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/framework", get(super::mesos::framework))
        .route("/api/v1/agents", get(super::mesos::agents))
        .route("/api/v1/offers", get(super::mesos::offers))
        .route("/api/v1/workloads", get(super::mesos::workloads))
        .route("/api/v1/systems", get(systems))
        .route("/api/v1/systems/{system}", get(system))
        .route("/api/v1/systems/{system}/hurt", get(hurt))
        .route("/api/v1/systems/{system}/rollout", get(super::mesos::rollout))
        .route("/api/v1/systems/{system}/{part}", get(part))
}

fn health() -> Router<Shown> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

fn finish(router: Router<Shown>, shown: Shown) -> Router {
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::map_response(hardened))
        .with_state(shown)
}

async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if access.admits(authorization).await {
        return next.run(request).await;
    }
    let mut refusal =
        Problem::new(StatusCode::UNAUTHORIZED, "log in with a user of the web configuration (Basic)").into_response();
    refusal.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"scaleio-framework\", charset=\"UTF-8\""),
    );
    refusal
}

/// Nothing here runs scripts, is framed, or may be kept by a proxy.
async fn hardened(mut response: Response) -> Response {
    const HEADERS: [(header::HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; the API begins at /api/v1/status", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} does not apply to {}", uri.path()))
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready when every system was asked at least once, with whatever result: an
/// exporter that waits for a broken system would hide that it is broken.
async fn readyz(State(shown): State<Shown>) -> Response {
    let waiting: Vec<String> = shown
        .gallery
        .all()
        .values()
        .filter(|picture| picture.health.last_poll.is_none())
        .map(|picture| picture.system.to_string())
        .collect();
    if waiting.is_empty() {
        return "ready\n".into_response();
    }
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("not asked yet: {}", waiting.join(", "))).into_response()
}

async fn home(State(shown): State<Shown>) -> Response {
    let page = page::page(&shown.status(), shown.firing().as_deref(), &shown.handled()).into_string();
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], page::STYLE)
        .into_response()
}

async fn metrics(State(shown): State<Shown>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let begun = Instant::now();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let format = Format::accepted(text(header::ACCEPT));
    let gzip = text(header::ACCEPT_ENCODING).is_some_and(accepts_gzip);
    let collect = collectors(query.as_deref().unwrap_or(""));
    if let Some(unknown) = collect.iter().find(|name| !is_scope(name)) {
        return Problem::new(
            StatusCode::BAD_REQUEST,
            format!("collect[]={unknown} is no collector; docs/metrics.md names them"),
        )
        .into_response();
    }
    if let Some(cluster) = &shown.mesos {
        shown.own.mesos_status(&cluster.status.borrow());
    }
    let exposition = Arc::clone(&shown.exposition.borrow());
    let own = Arc::clone(&shown.own);
    let made = tokio::task::spawn_blocking(move || {
        let chosen: Vec<&str> = collect.iter().map(String::as_str).collect();
        exposition.body(format, gzip, (!chosen.is_empty()).then_some(&chosen), &own, clock::now())
    });
    let Ok(body) = made.await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be put together")
            .into_response();
    };
    shown.own.scraped("metrics", begun.elapsed(), body.unpacked_length);
    let length = body.length;
    let chunks = stream::iter(body.chunks.into_iter().map(Ok::<_, std::convert::Infallible>));
    let mut response = Response::new(Body::from_stream(chunks));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether `gzip` is accepted, by RFC 9110 12.5.3: named with a weight above 0.
fn accepts_gzip(header: &str) -> bool {
    header.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip") || name == "*");
        let weight = parts.find_map(|part| part.strip_prefix("q=")).and_then(|weight| weight.parse::<f32>().ok());
        named && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// The values of `collect[]` in a query string.
fn collectors(query: &str) -> Vec<String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| matches!(*key, "collect[]" | "collect%5B%5D" | "collect%5b%5d"))
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// HTTP service discovery: where Prometheus finds the metrics.
fn discovered(shown: &Shown, headers: &HeaderMap, access: &Access) -> Result<Response, Problem> {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the request does not say by which Host it reached us"));
    };
    let systems = shown.gallery.all().into_keys();
    Ok(Json(discover::targets(host, access.demands().tls, systems)).into_response())
}

async fn status(State(shown): State<Shown>) -> Response {
    Json(shown.status()).into_response()
}

/// What is pending or fires, and which snapshots that was judged from.
async fn alerts(State(shown): State<Shown>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        firing: &'a FiringSet,
        /// How alerts stand with people, by fingerprint; those that nobody did anything about are left out.
        handled: &'a BTreeMap<Fingerprint, Handled>,
    }
    match shown.firing() {
        Some(firing) => Ok(Json(Whole { firing: &firing, handled: &shown.handled() }).into_response()),
        None => Err(Problem::not_found("alert rules are not evaluated here: alerts.enabled is false")),
    }
}

async fn systems(State(shown): State<Shown>) -> Response {
    Json(shown.gallery.all().into_keys().collect::<Vec<SystemId>>()).into_response()
}

/// One system: its state in short, and how each collector goes.
async fn system(State(shown): State<Shown>, Path(system): Path<String>) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        status: crate::model::status::SystemStatus,
        health: &'a crate::model::picture::PollHealth,
        gaps: Option<&'a BTreeMap<crate::model::snapshot::Collector, crate::model::snapshot::Gap>>,
    }
    let picture = find(&shown, &system)?;
    let status = view::system(&picture, clock::now());
    let gaps = picture.snapshot.as_ref().map(|snapshot| &snapshot.gaps);
    Ok(Json(Whole { status, health: &picture.health, gaps }).into_response())
}

/// One part of a system's snapshot, with the times it was asked and answered.
async fn part(State(shown): State<Shown>, Path((system, part)): Path<(String, String)>) -> Result<Response, Problem> {
    let picture = find(&shown, &system)?;
    one_part(answered(&picture)?, &part).unwrap_or_else(|| {
        let parts = PARTS.join(", ");
        Err(Problem::not_found(format!("a system has no part {part:?}; it has {parts}")))
    })
}

/// Which volumes, clients and workloads depend on a thing: `?pool=`, `?sds=` and so on, by id or name.
async fn hurt(
    State(shown): State<Shown>,
    Path(system): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let picture = find(&shown, &system)?;
    let [(kind, text)] = &query[..] else {
        let detail = format!("say of one thing which: ?pool=NAME; there is {}", Suspect::KINDS.join(", "));
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    };
    let snapshot = answered(&picture)?;
    let suspect = Suspect::find(snapshot, kind, text).map_err(|error| {
        let status = match &error {
            NotOne::NoSuchKind { .. } => StatusCode::BAD_REQUEST,
            NotOne::NoSuchThing { .. } => StatusCode::NOT_FOUND,
            NotOne::Several { .. } => StatusCode::CONFLICT,
            NotOne::NotKnown { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string())
    })?;
    let mut hurt = hurts::hurt(snapshot, suspect);
    if let Some(cluster) = &shown.mesos {
        add_workloads(&mut hurt, snapshot, &cluster.workloads.borrow());
    }
    Ok(Json(hurt).into_response())
}

fn answered(picture: &Picture) -> Result<&Snapshot, Problem> {
    picture.snapshot.as_deref().ok_or_else(|| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("system {} has not answered yet", picture.system))
    })
}

macro_rules! parts {
    ($($name:literal: $slot:ident),* $(,)?) => {
        const PARTS: &[&str] = &[$($name),*];

        fn one_part(snapshot: &Snapshot, name: &str) -> Option<Result<Response, Problem>> {
            match name { $($name => Some(shown_part(snapshot.$slot.as_ref(), name)),)* _ => None }
        }
    };
}

parts! {
    "array": array,
    "protection_domains": domains,
    "fault_sets": fault_sets,
    "storage_pools": pools,
    "sds": sds,
    "devices": devices,
    "sdcs": sdcs,
    "volumes": volumes,
    "vtrees": vtrees,
    "snapshot_policies": policies,
    "consistency_groups": groups,
    "replication_pairs": pairs,
    "peer_mdms": peers,
    "sdrs": sdrs,
    "sdts": sdts,
    "alerts": alerts,
    "events": events,
}

fn shown_part<T: Serialize>(part: Option<&Part<T>>, name: &str) -> Result<Response, Problem> {
    match part {
        Some(part) => Ok(Json(part).into_response()),
        None => Err(Problem::not_found(format!("{name} is not known of this system; its `gaps` say why"))),
    }
}

pub(super) fn find(shown: &Shown, system: &str) -> Result<Arc<Picture>, Problem> {
    shown.gallery.of(&SystemId::new(system)).ok_or_else(|| {
        let known: Vec<String> = shown.gallery.all().keys().map(ToString::to_string).collect();
        Problem::not_found(format!("no system {system:?} is configured; there is {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_when_it_is_accepted() {
        for (header, accepted) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(header), accepted, "{header:?}");
        }
    }

    #[test]
    fn collectors_are_read_from_both_ways_of_writing_the_brackets() {
        assert_eq!(collectors("collect[]=sds&x=1&collect%5B%5D=volume&collect=no"), ["sds", "volume"]);
    }
}

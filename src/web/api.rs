//! The routes: metrics, health, the page, and the API.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Extension;
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::watch;

use super::access::{Access, BySession};
use super::actions::FormKey;
use super::discover;
use super::etag;
use super::live::Live;
use super::overview::{Sources, overview};
use super::page;
use super::problem::Problem;
use super::routes::{self, Answers, Param, Route, Served};
use super::view;
use crate::clock;
use crate::metrics::{Exposition, Format, Own, is_scope};
use crate::model::alerting::{Answer, Fingerprint, FiringSet, Handled, Order, Record, Silence};
use crate::model::hurt::{self as hurts, NotOne, Suspect};
use crate::model::id::SystemId;
use crate::model::overview::{Forecast, Works};
use crate::model::person::Person;
use crate::model::picture::Picture;
use crate::model::snapshot::{Part, Snapshot};
use crate::model::status::{ReceiverStatus, Status};
use crate::model::unit::Timestamp;
use crate::model::workload::add_workloads;
use crate::switchboard::Switchboard;
use crate::watches::Gallery;

/// A proxy cuts what is silent for longer.
const LONGEST_WAIT: u64 = 60;

/// Orders and forms are short.
const LONGEST_BODY: usize = 64 * 1024;

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
    /// Whom to ask for work on a system.
    pub work: BTreeMap<SystemId, crate::work::seam::Line>,
    /// None: no node works for this controller.
    pub nodes: Option<super::nodes::Nodes>,
    pub own: Arc<Own>,
    pub started_at: Timestamp,
    /// How those go that are told of alerts.
    pub receivers: Receivers,
    /// What open pages show.
    pub live: Live,
    /// By what a form is known to be ours.
    pub forms: FormKey,
    /// When pools are full; none where alert rules are not evaluated.
    pub forecasts: Option<watch::Receiver<Arc<Vec<Forecast>>>>,
    /// Nodes, runs and jobs.
    pub works: watch::Receiver<Arc<Works>>,
}

/// What people did and which silences there are: told by who tells of alerts, and waited for so long. A page comes
/// without them rather than late.
const TOLD_WITHIN: Duration = Duration::from_millis(500);

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

    /// All that the page says.
    pub(super) async fn gather(&self) -> Sources {
        let (silences, records) = match &self.switchboard {
            None => (Vec::new(), Vec::new()),
            Some(board) => {
                let both = async { (board.ask(Order::Silences).await, board.ask(Order::Records).await) };
                match tokio::time::timeout(TOLD_WITHIN, both).await {
                    Ok((silences, records)) => (
                        if let Ok(Answer::Silences(silences)) = silences { silences } else { Vec::new() },
                        if let Ok(Answer::Records(records)) = records { records } else { Vec::new() },
                    ),
                    Err(_) => (Vec::new(), Vec::new()),
                }
            }
        };
        self.sources(silences, records)
    }

    /// The same, with what was asked for already.
    pub(super) fn sources(&self, silences: Vec<Silence>, records: Vec<Record>) -> Sources {
        let now = clock::now();
        Sources {
            now,
            pictures: self.gallery.all(),
            firing: self.firing(),
            handled: self.handled(),
            silences,
            records,
            pasts: self.live.pasts(),
            forecasts: self.forecasts.as_ref().map(|forecasts| Arc::clone(&forecasts.borrow())).unwrap_or_default(),
            works: Arc::clone(&self.works.borrow()),
            framework: self.mesos.as_ref().map(|cluster| Arc::clone(&cluster.status.borrow())),
            workloads: self.mesos.as_ref().map(|cluster| Arc::clone(&cluster.workloads.borrow())),
            receivers: (self.receivers)(now),
            problems: self.problems(),
            started_at: self.started_at,
        }
    }

    fn firing(&self) -> Option<Arc<FiringSet>> {
        self.firing.as_ref().map(|firing| Arc::clone(&firing.borrow()))
    }
}

/// Routes for people and scrapers, behind the web configuration's users.
pub fn public(shown: Shown, access: Arc<Access>) -> Router {
    finish(routes::public(shown.act_without_login, &access).layer(Extension(access)), shown)
}

/// The same for the command line on this host, which the socket's mode guards.
pub fn local(shown: Shown) -> Router {
    finish(routes::local(), shown)
}

/// What is looked at.
pub(super) fn routes() -> Vec<Route> {
    use Answers::{List, Object, Page, Text};
    const COLLECT: &[Param] = &[Param { name: "collect[]", what: "only the families of this kind; may be said again" }];
    vec![
        Route::get("/", Page, "How everything is, for people.", home)
            .query(&[Param { name: "system", what: "this system only, with all its charts" }])
            .refuses(&[404]),
        Route::get("/style.css", Text("text/css"), "The style sheet of the pages.", style).open(),
        Route::get("/live.js", Text("text/javascript"), "The script that keeps the page live.", script),
        Route::get("/metrics", Text("text/plain"), "Everything, for Prometheus.", metrics)
            .query(COLLECT)
            .refuses(&[400]),
        Route::get("/healthz", Text("text/plain"), "Whether the process lives.", healthz).open(),
        Route::get("/readyz", Text("text/plain"), "Whether every system was asked at least once.", readyz)
            .open()
            .refuses(&[503]),
        Route::get("/api/v1/sd", List, "Where Prometheus finds the metrics (HTTP service discovery).", discovered)
            .served(Served::NetworkOnly)
            .refuses(&[400]),
        Route::get("/api/v1/status", Object, "How everything is.", status),
        Route::get("/api/v1/alerts", Object, "What is pending or fires, and how it stands with people.", alerts)
            .query(&[Param { name: "wait", what: "seconds to wait for something else than If-None-Match says" }])
            .refuses(&[400, 404]),
        Route::get("/api/v1/systems", List, "The names of all systems.", systems),
        Route::get("/api/v1/systems/{system}", Object, "One system, and how each question to it goes.", system)
            .refuses(&[404]),
        Route::get(
            "/api/v1/systems/{system}/hurt",
            Object,
            "Which volumes, clients and workloads depend on a thing.",
            hurt,
        )
        .query(HURT)
        .refuses(&[400, 404, 409, 503]),
        Route::get(
            "/api/v1/systems/{system}/{part}",
            Object,
            "One part of a system, such as `sds` or `volumes`.",
            part,
        )
        .refuses(&[404, 503]),
    ]
}

/// One of them says which thing is meant, by id or name.
const HURT: &[Param] = &[
    Param { name: "domain", what: "a protection domain" },
    Param { name: "fault_set", what: "a fault set" },
    Param { name: "pool", what: "a storage pool" },
    Param { name: "sds", what: "a storage data server" },
    Param { name: "device", what: "a device" },
    Param { name: "volume", what: "a volume" },
    Param { name: "sdc", what: "a storage data client" },
];

fn finish(router: Router<Shown>, shown: Shown) -> Router {
    router
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::map_response(hardened))
        .with_state(shown)
}

/// Only our own script runs, nothing is framed, and no proxy keeps anything.
async fn hardened(mut response: Response) -> Response {
    const HEADERS: [(header::HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
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

async fn home(
    State(shown): State<Shown>,
    Extension(person): Extension<Person>,
    by_session: Option<Extension<BySession>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let reader = page::Reader { name: person.name.map(|name| (name, person.role)), by_session: by_session.is_some() };
    match whole_page(&shown, query, reader).await {
        Ok(page) => html(StatusCode::OK, page),
        Err(problem) => html(problem.code(), page::sheet::missing("", problem.detail()).into_string()),
    }
}

/// A page for people.
pub(super) fn html(status: StatusCode, page: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response()
}

async fn whole_page(shown: &Shown, query: Vec<(String, String)>, reader: page::Reader) -> Result<String, Problem> {
    let only = query.into_iter().find(|(key, value)| key == "system" && !value.is_empty()).map(|(_, system)| system);
    if let Some(system) = &only {
        find(shown, system)?;
    }
    let sources = shown.gather().await;
    let live = shown.live.clone();
    let made = tokio::task::spawn_blocking(move || {
        let overview = overview(&sources, only.as_deref());
        let known = live.show(only.clone(), page::parts(&overview));
        page::page(&overview, only.as_deref(), &known, &reader).into_string()
    });
    made.await.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be put together"))
}

async fn script() -> Response {
    const MEDIA: &str = "text/javascript; charset=utf-8";
    ([(header::CONTENT_TYPE, MEDIA), (header::CACHE_CONTROL, "max-age=3600")], page::SCRIPT).into_response()
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
    if let Some(nodes) = &shown.nodes {
        nodes.count(&shown.own);
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
async fn discovered(
    State(shown): State<Shown>,
    Extension(access): Extension<Arc<Access>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the request does not say by which Host it reached us"));
    };
    let systems = shown.gallery.all().into_keys();
    Ok(Json(discover::targets(host, access.demands().tls, systems)).into_response())
}

async fn status(State(shown): State<Shown>) -> Response {
    Json(shown.status()).into_response()
}

/// What is pending or fires, and which snapshots that was judged from. With `wait`, whoever knows it hears of the next
/// change at once.
async fn alerts(
    State(shown): State<Shown>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    #[derive(Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        firing: &'a FiringSet,
        /// How alerts stand with people, by fingerprint; those that nobody did anything about are left out.
        handled: &'a BTreeMap<Fingerprint, Handled>,
    }
    let wait = query.iter().find(|(key, _)| key == "wait").map(|(_, wait)| wait.parse::<u64>().ok());
    let wait = match wait {
        None => Duration::ZERO,
        Some(Some(seconds)) if (1..=LONGEST_WAIT).contains(&seconds) => Duration::from_secs(seconds),
        Some(_) => {
            let detail = format!("wait: write whole seconds, 1 to {LONGEST_WAIT}");
            return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
        }
    };
    let nobody = || Problem::not_found("alert rules are not evaluated here: alerts.enabled is false");
    let (mut firing, mut handled) = (shown.firing.clone().ok_or_else(nobody)?, shown.handled.clone());
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    loop {
        let now = (Arc::clone(&firing.borrow_and_update()), shown.handled());
        if let Some(handled) = &mut handled {
            handled.mark_unchanged();
        }
        // When it was judged changes with each poll, and is no news.
        let tag = etag::of(&serde_json::to_vec(&(&now.0.alerts, &now.1)).unwrap_or_default());
        if wait.is_zero() || deadline.is_elapsed() || !etag::is_known(&headers, &tag) {
            let mut response = Json(Whole { firing: &now.0, handled: &now.1 }).into_response();
            response.headers_mut().insert(header::ETAG, tag);
            return Ok(response);
        }
        let people = async {
            match &mut handled {
                Some(handled) => drop(handled.changed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut deadline => {}
            changed = firing.changed() => if changed.is_err() { return Err(nobody()) },
            () = people => {}
        }
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
        pub(super) const PARTS: &[&str] = &[$($name),*];

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

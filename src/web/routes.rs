//! Which routes are there, and who may use each? One table: the router, the rights and the description of the API
//! are made of it, so that none of them can forget one.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{self, MethodRouter};
use serde_json::Value;

use super::access::{Access, Needs};
use super::api::{self, Shown};
use super::{actions, etag, handling, live, login, mesos, nodes, openapi, work};
use crate::model::person::{Door, Person, Role};

/// Where a route is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// To the network, and to the command line on this host.
    Everywhere,
    /// To the command line on this host only.
    HostOnly,
    /// To the network only.
    NetworkOnly,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// A JSON object.
    Object,
    /// A JSON list.
    List,
    /// A page for people.
    Page,
    /// Text of this media type.
    Text(&'static str),
    /// A stream of server-sent events that does not end.
    Events,
}

/// A value in the query of a request.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
}

/// What a request brings along.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// JSON of this schema.
    Json(fn() -> Value),
    /// A form with these fields, as a page sends it.
    Form(&'static [&'static str]),
}

/// One method of one path.
pub struct Route {
    /// `GET`, `POST` or `DELETE`.
    pub method: http::Method,
    /// As the router writes it: `/api/v1/systems/{system}`.
    pub path: &'static str,
    /// Where.
    pub served: Served,
    /// Who may.
    pub needs: Needs,
    /// What it is for, in a sentence.
    pub what: &'static str,
    /// What comes back.
    pub answers: Answers,
    /// What the query may say.
    pub query: &'static [Param],
    /// What must be sent along.
    pub body: Option<Body>,
    /// Statuses other than 200 by which it answers, besides those of rights and limits.
    pub refusals: &'static [u16],
    handler: MethodRouter<Shown>,
}

impl Route {
    /// A look.
    pub(super) fn get<T: 'static>(
        path: &'static str,
        answers: Answers,
        what: &'static str,
        handler: impl Handler<T, Shown>,
    ) -> Self {
        Self::new(http::Method::GET, path, Role::Viewer, answers, what, routing::get(handler))
    }

    /// An act.
    pub(super) fn post<T: 'static>(
        path: &'static str,
        role: Role,
        answers: Answers,
        what: &'static str,
        handler: impl Handler<T, Shown>,
    ) -> Self {
        Self::new(http::Method::POST, path, role, answers, what, routing::post(handler))
    }

    /// An act that takes something away.
    pub(super) fn delete<T: 'static>(
        path: &'static str,
        role: Role,
        answers: Answers,
        what: &'static str,
        handler: impl Handler<T, Shown>,
    ) -> Self {
        Self::new(http::Method::DELETE, path, role, answers, what, routing::delete(handler))
    }

    fn new(
        method: http::Method,
        path: &'static str,
        role: Role,
        answers: Answers,
        what: &'static str,
        handler: MethodRouter<Shown>,
    ) -> Self {
        let (served, needs) = (Served::Everywhere, Needs::Role(role));
        Self { method, path, served, needs, what, answers, query: &[], body: None, refusals: &[], handler }
    }

    /// Nobody is asked who they are.
    pub(super) const fn open(mut self) -> Self {
        self.needs = Needs::Nothing;
        self
    }

    /// Served elsewhere than everywhere.
    pub(super) const fn served(mut self, served: Served) -> Self {
        self.served = served;
        self
    }

    /// With these values in its query.
    pub(super) const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }

    /// With something sent along.
    pub(super) const fn takes(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// Which may also answer by these statuses.
    pub(super) const fn refuses(mut self, refusals: &'static [u16]) -> Self {
        self.refusals = refusals;
        self
    }

    /// Whether programs ask for it again and again.
    pub fn is_listed(&self) -> bool {
        self.method == http::Method::GET && matches!(self.answers, Answers::Object | Answers::List)
    }

    /// Whether it is behind this door.
    pub fn is_behind(&self, door: Door) -> bool {
        match self.served {
            Served::Everywhere => true,
            Served::HostOnly => door == Door::Host,
            Served::NetworkOnly => door == Door::Network,
        }
    }
}

/// Every route. `act_without_login`: the links of mails ask nobody who they are.
pub fn all(act_without_login: bool) -> Vec<Route> {
    let mut routes = api::routes();
    routes.extend(live::routes());
    routes.extend(login::routes());
    routes.extend(actions::routes());
    routes.extend(handling::routes());
    routes.extend(handling::act().into_iter().map(|route| if act_without_login { route.open() } else { route }));
    routes.extend(mesos::routes());
    routes.extend(work::routes());
    routes.extend(nodes::routes());
    routes.extend(openapi::routes());
    routes
}

/// The routes behind the door to the network; each asks `access` for what it needs.
pub(super) fn public(act_without_login: bool, access: &Arc<Access>) -> Router<Shown> {
    let routes = all(act_without_login).into_iter().filter(|route| route.is_behind(Door::Network));
    routes.fold(Router::new(), |router, route| {
        let (access, needs) = (Arc::clone(access), route.needs);
        let guard = middleware::from_fn(move |request: Request, next: Next| {
            let access = Arc::clone(&access);
            async move { access.guard(needs, request, next).await }
        });
        let tagged = if route.is_listed() {
            route.handler.route_layer(middleware::from_fn(etag::tagged))
        } else {
            route.handler
        };
        router.route(route.path, tagged.route_layer(guard))
    })
}

/// The routes behind the door on this host, whose mode is the guard.
pub(super) fn local() -> Router<Shown> {
    let routes = all(false).into_iter().filter(|route| route.is_behind(Door::Host));
    let router = routes.fold(Router::new(), |router, route| {
        let tagged = if route.is_listed() {
            route.handler.route_layer(middleware::from_fn(etag::tagged))
        } else {
            route.handler
        };
        router.route(route.path, tagged)
    });
    router.layer(middleware::from_fn(on_this_host))
}

async fn on_this_host(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Person::unnamed(Role::Admin, Door::Host));
    next.run(request).await
}

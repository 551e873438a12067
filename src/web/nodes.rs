//! What the API says of the nodes that work for us: what their agents tell, and
//! which hosts may join by a token.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::{Json, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use super::api::{Shown, html};
use super::overview;
use super::page::nodes::{Asked, Known, list, one};
use super::page::sheet;
use super::problem::Problem;
use super::routes::{Answers, Body, Param, Route, Served};
use super::schema;
use crate::clock;
use crate::enrol::artefacts::{Shelf, Standing};
use crate::enrol::ca::Authority;
use crate::enrol::crew::{Adopted, Crew, Member, Members};
use crate::enrol::renewal::Renewal;
use crate::enrol::token::Admissions;
use crate::metrics::Own;
use crate::model::findings::Disk;
use crate::model::id::{AgentId, NodeName, SystemId};
use crate::model::node::{NodePhase, Role};
use crate::model::order::{Finished, HostReport, OrderId};
use crate::model::person::Role as Account;
use crate::model::preflight::Row;
use crate::model::rollout::{NodeRollout, RolloutOrder, RolloutStatus, Why};
use crate::model::unit::Timestamp;

/// What requests read of nodes.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Nodes {
    pub members: watch::Receiver<Arc<Members>>,
    /// By which agents are taken over.
    pub crew: Crew,
    pub admissions: Admissions,
    pub authority: Arc<Authority>,
    /// Hosts of the configuration that are not in Mesos.
    pub known: Arc<BTreeSet<NodeName>>,
    /// How agents stand to the program that they are to be.
    pub renewal: watch::Receiver<Arc<Renewal>>,
    /// The packages that nodes are given.
    pub shelf: Shelf,
    /// How far the rollout is, and who takes orders for it; none: nothing is rolled out.
    pub rollout: Option<RolloutDesk>,
}

/// How requests reach the rollout.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct RolloutDesk {
    pub status: watch::Receiver<Arc<RolloutStatus>>,
    pub orders: mpsc::Sender<(RolloutOrder, oneshot::Sender<Result<(), String>>)>,
}

impl Nodes {
    /// How far the rollout is.
    pub(super) fn status(&self) -> Arc<RolloutStatus> {
        self.rollout.as_ref().map(|rollout| Arc::clone(&rollout.status.borrow())).unwrap_or_default()
    }

    /// Counts nodes for the next scrape.
    pub(super) fn count(&self, own: &Own) {
        let members = Arc::clone(&self.members.borrow());
        let seen = members.iter().filter_map(|(name, member)| Some((name, member.facts.as_ref()?.seen_at)));
        own.rollout_status(&self.status(), seen);
        own.agents(self.renewal.borrow().counts());
        let renewal = Arc::clone(&self.renewal.borrow());
        let programs = renewal.failed.keys().map(|node| (node, "program"));
        let papers = members.iter().filter(|(_, member)| member.papers_problem.is_some());
        own.renewals_failed(programs.chain(papers.map(|(node, _)| (node, "certificate"))));
        own.strangers(members.values().filter(|member| member.stranger).count());
        let goods = self.shelf.goods();
        let failed = goods.coming().iter().filter(|(_, coming)| matches!(coming.standing, Standing::Failed { .. }));
        own.artefacts(goods.files().count(), goods.awaited().count(), failed.map(|(name, _)| name.as_str()));
    }
}

/// What is shown of a node.
#[derive(Serialize)]
struct Shows<'a> {
    node: &'a NodeName,
    /// How far its rollout is.
    #[serde(flatten)]
    rollout: Option<Rollout<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Agent<'a>>,
}

/// How far its rollout is.
#[derive(Serialize)]
struct Rollout<'a> {
    system: &'a SystemId,
    #[serde(skip_serializing_if = "Option::is_none")]
    mesos_agent: Option<&'a AgentId>,
    roles: &'a BTreeSet<Role>,
    #[serde(flatten)]
    phase: &'a NodePhase,
    since: Timestamp,
    /// Each reason why it is no further, in sentences.
    because: Vec<String>,
    /// The same with their data.
    reasons: &'a [Why],
    disks: &'a [Disk],
    /// What was found of it before it was touched, one row a question.
    preflight: &'a [Row],
}

impl<'a> Rollout<'a> {
    fn of(node: &'a NodeRollout) -> Self {
        Self {
            system: &node.system,
            mesos_agent: node.agent.as_ref(),
            roles: &node.roles,
            phase: &node.phase,
            since: node.since,
            because: node.why.iter().map(ToString::to_string).collect(),
            reasons: &node.why,
            disks: &node.disks,
            preflight: &node.preflight,
        }
    }
}

/// What its agent tells.
#[derive(Serialize)]
struct Agent<'a> {
    seen_at: Option<Timestamp>,
    release: &'a str,
    program: &'a str,
    /// How it stands to the program that it is to be; absent: it stays as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewal: Option<String>,
    boot_id: &'a str,
    kernel: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a HostReport>,
    /// The order that it says it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    working_on: Option<&'a OrderId>,
    /// The order that has no outcome yet, and its task.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<(&'a OrderId, &'static str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_work: Option<&'a str>,
    /// Why its certificate could not be renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    papers_problem: Option<&'a str>,
    /// It obeys another controller, and is given no order until it is adopted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stranger: bool,
    /// What came of its last order.
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<&'a Finished>,
}

impl<'a> Agent<'a> {
    fn of(member: &'a Member, renewal: &Renewal) -> Self {
        let facts = member.facts.as_ref();
        Self {
            seen_at: facts.map(|facts| facts.seen_at),
            release: &member.release,
            program: &member.program,
            renewal: renewal.of(&member.node),
            boot_id: facts.map_or("", |facts| &facts.boot_id),
            kernel: facts.map_or("", |facts| &facts.kernel),
            host: member.host.as_ref(),
            working_on: member.working_on.as_ref(),
            order: member.order.as_ref().map(|order| (&order.id, order.task.name())),
            out_of_work: member.out_of_work.as_deref(),
            papers_problem: member.papers_problem.as_deref(),
            stranger: member.stranger,
            last: member.outcomes.last(),
        }
    }
}

fn of(shown: &Shown) -> Result<&Nodes, Problem> {
    let missing = "no node works for this controller; write a section [agents] to have them";
    shown.nodes.as_ref().ok_or_else(|| Problem::not_found(missing))
}

/// Every node that is known.
async fn nodes(State(shown): State<Shown>) -> Result<Response, Problem> {
    let nodes = of(&shown)?;
    let members = Arc::clone(&nodes.members.borrow());
    let status = nodes.status();
    let renewal = Arc::clone(&nodes.renewal.borrow());
    let names: BTreeSet<&NodeName> = nodes.known.iter().chain(members.keys()).chain(status.nodes.keys()).collect();
    let all: Vec<Shows<'_>> = names
        .into_iter()
        .map(|node| Shows {
            node,
            rollout: status.nodes.get(node).map(Rollout::of),
            agent: members.get(node).map(|member| Agent::of(member, &renewal)),
        })
        .collect();
    Ok(Answer(all).into_response())
}

/// The list of nodes, for people.
async fn list_page(State(shown): State<Shown>, Query(query): Query<Vec<(String, String)>>) -> Response {
    let said = |key: &str| {
        let found = query.iter().find(|(known, _)| known == key).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let page: usize = said("page").and_then(|page| page.parse().ok()).unwrap_or(1);
    let asked = Asked { phase: said("phase"), text: said("q"), page: page.saturating_sub(1) };
    let nodes = overview::nodes(&shown.sources(Vec::new(), Vec::new()));
    html(StatusCode::OK, list(&nodes, &asked, clock::now()).into_string())
}

/// One node, for people.
async fn node_page(State(shown): State<Shown>, Path(name): Path<String>) -> Response {
    let all = overview::nodes(&shown.sources(Vec::new(), Vec::new()));
    let Some(found) = all.iter().find(|node| node.name == name) else {
        let why = format!("There is no node {name:?}. The list of nodes has those that are known.");
        return html(StatusCode::NOT_FOUND, sheet::missing("../", &why).into_string());
    };
    let name = NodeName::new(&name);
    let (status, member, renewal) = match &shown.nodes {
        Some(nodes) => {
            let member = nodes.members.borrow().get(&name).cloned();
            (nodes.status(), member, nodes.renewal.borrow().of(&name))
        }
        None => (Arc::default(), None, None),
    };
    let known = Known {
        shown: found,
        rollout: status.nodes.get(&name),
        member: member.as_deref(),
        renewal: renewal.as_deref(),
    };
    html(StatusCode::OK, one(&known, clock::now()).into_string())
}

/// What is looked at, and what only this host may order.
pub(super) fn routes() -> Vec<Route> {
    use Answers::{List, Object, Page, Text};
    const WHICH: &[Param] = &[
        Param { name: "phase", what: "only nodes in this phase" },
        Param { name: "q", what: "only nodes whose name or system has this text" },
        Param { name: "page", what: "which page of the list, from 1" },
    ];
    vec![
        Route::get("/nodes", Page, "How far each node is, for people.", list_page).query(WHICH),
        Route::get("/node/{node}", Page, "One node: why it is no further, what was found of it, its agent.", node_page)
            .refuses(&[404]),
        Route::get(
            "/api/v1/nodes",
            List,
            "How far each node is, why it is no further, and what its agent tells.",
            nodes,
        )
        .refuses(&[404]),
        Route::post("/api/v1/tokens", Account::Admin, Object, "Make a token with which a host joins.", token)
            .takes(Body::Json(schema::joining))
            .served(Served::HostOnly)
            .refuses(&[400, 404, 413, 415, 422]),
        Route::post(
            "/api/v1/rollout/orders",
            Account::Admin,
            Text("text/plain"),
            "Let the rollout of a system begin or end, or a node be tried again.",
            order,
        )
        .takes(Body::Json(schema::rolling_out))
        .served(Served::HostOnly)
        .refuses(&[400, 404, 409, 413, 415, 422, 503]),
        Route::post(
            "/api/v1/agents/adopt",
            Account::Admin,
            Object,
            "Take over the agents that obey another controller, or one whose state is lost.",
            adopt,
        )
        .takes(Body::Json(schema::adopting))
        .served(Served::HostOnly)
        .refuses(&[400, 404, 409, 413, 415, 422, 503]),
    ]
}

/// Lets the rollout of a system begin or end, or a node be tried again.
async fn order(State(shown): State<Shown>, Json(order): Json<RolloutOrder>) -> Result<Response, Problem> {
    let nodes = of(&shown)?;
    let missing = "nothing is rolled out; write a section [systems.NAME.rollout]";
    let rollout = nodes.rollout.as_ref().ok_or_else(|| Problem::not_found(missing))?;
    let ending = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the controller ends");
    let (answer, told) = oneshot::channel();
    rollout.orders.send((order, answer)).await.map_err(|_| ending())?;
    match told.await.map_err(|_| ending())? {
        Ok(()) => Ok((StatusCode::ACCEPTED, "it is so\n").into_response()),
        Err(why) => Err(Problem::new(StatusCode::CONFLICT, why)),
    }
}

/// Who takes agents over.
#[derive(Deserialize)]
struct Adopting {
    by: Box<str>,
}

/// Takes over the agents that obey another controller.
async fn adopt(State(shown): State<Shown>, Json(Adopting { by }): Json<Adopting>) -> Result<Answer<Adopted>, Problem> {
    let nodes = of(&shown)?;
    if !nodes.members.borrow().values().any(|member| member.stranger) {
        return Err(Problem::new(StatusCode::CONFLICT, "no agent obeys another controller"));
    }
    let adopted = nodes.crew.adopt().await;
    let adopted = adopted.map_err(|why| Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string()))?;
    let names: Vec<&str> = adopted.nodes.iter().map(NodeName::as_str).collect();
    tracing::info!(%by, epoch = adopted.epoch, nodes = names.join(" "), "agents of another controller are taken over");
    Ok(Answer(adopted))
}

/// For which host a token is wanted.
#[derive(Deserialize)]
struct For {
    node: String,
}

/// Makes a token with which a host of `[fleet.static]` joins.
async fn token(State(shown): State<Shown>, Json(For { node }): Json<For>) -> Result<Response, Problem> {
    let nodes = of(&shown)?;
    if !nodes.known.contains(&NodeName::new(&node)) {
        let detail = format!("{node:?} is no host of the configuration; write a section [fleet.static.\"{node}\"]");
        return Err(Problem::not_found(detail));
    }
    let token = nodes.admissions.make(&node, rand::random(), clock::now());
    let authority = nodes.authority.pem();
    let fingerprint = nodes.authority.fingerprint();
    let answer = serde_json::json!({ "token": token, "authority": authority, "fingerprint": fingerprint });
    Ok((StatusCode::CREATED, Answer(answer)).into_response())
}

//! Do those answer whom the configuration names, and do they let us in?

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{DATE, HeaderName, LOCATION};
use reqwest::{Client, RequestBuilder, redirect};
use tokio::net::TcpStream;

use super::finding::Finding;
use super::judge;
use crate::alert::mail::Mailer;
use crate::config::sources::{Source, Sources};
use crate::config::{
    Agents, Alertmanager, Config, Credentials, GatewayUrl, HttpWay, Login, Mail, MasterUrl, Masters, Mesos, System,
    Trust, Webhook,
};
use crate::enrol::stock;
use crate::gateway::{Gateway, Role};
use crate::mesos::master::Finder;
use crate::model::id::SystemId;
use crate::tls;

/// For questions that have no deadline of their own.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is read of an answer.
const LARGEST_ANSWER: usize = 64 << 10;

/// An answer of whatever status.
struct Heard {
    status: u16,
    date: Option<String>,
    location: Option<String>,
    body: Vec<u8>,
}

fn client(trust: &Trust, timeout: Duration) -> Result<Client, String> {
    let tls = tls::client_config(trust, None).map_err(|error| error.to_string())?;
    let builder = Client::builder().tls_backend_preconfigured(tls).no_proxy().redirect(redirect::Policy::none());
    builder.timeout(timeout).build().map_err(|error| error.to_string())
}

async fn hear(request: RequestBuilder) -> Result<Heard, String> {
    let mut answer = request.send().await.map_err(|error| why(&error))?;
    let header = |name: HeaderName| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (status, date, location) = (answer.status().as_u16(), header(DATE), header(LOCATION));
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > LARGEST_ANSWER {
            break;
        }
    }
    Ok(Heard { status, date, location, body })
}

/// The innermost cause; outer ones hold addresses that may be secret.
fn why(error: &reqwest::Error) -> String {
    if let Some(refused) = tls::find::<rustls::Error>(error) {
        return tls::explain(refused);
    }
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

const REACH: &str = "see that it runs, and that a firewall lets this host through";

/// Each gateway of a system with each of its logins.
pub(super) async fn system(name: &SystemId, settings: &System) -> Vec<Finding> {
    let mut findings = Vec::new();
    for address in &settings.gateways {
        let alone = System { gateways: vec![address.clone()], ..settings.clone() };
        let good = login(name, &alone, Role::Monitor, &mut findings).await;
        // One refusal a login is enough: more of them lock accounts.
        if good && alone.lifecycle.is_some() {
            login(name, &alone, Role::Lifecycle, &mut findings).await;
        }
        findings.extend(gateway_clock(address, &alone).await);
    }
    findings
}

async fn login(name: &SystemId, alone: &System, role: Role, findings: &mut Vec<Finding>) -> bool {
    let address = alone.gateways.first().map_or("", GatewayUrl::as_str);
    let user = match role {
        Role::Monitor => Some(&alone.monitor),
        Role::Lifecycle => alone.lifecycle.as_ref(),
    };
    let user = user.map_or("", |login| login.user.as_str());
    let what = format!("gateway of {name}");
    let gateway = match Gateway::new(name.clone(), alone, role, Arc::new(|_| {})) {
        Ok(gateway) => gateway,
        Err(error) => {
            findings.push(Finding::fail(what, error.to_string(), ""));
            return false;
        }
    };
    let answer = gateway.system().await;
    gateway.logout().await;
    let (finding, good) = match answer {
        Ok(answer) => {
            let can = match role {
                Role::Monitor => "reads",
                Role::Lifecycle => "logs in (what it may change shows only then)",
            };
            (Finding::ok(what, format!("{address}: {user} {can}, release {}", answer.value.version)), true)
        }
        Err(error) => {
            let chain = error.source().map_or_else(String::new, |source| format!(": {source}"));
            (Finding::fail(what, format!("{address} as {user}: {error}{chain}"), REACH), false)
        }
    };
    findings.push(finding);
    good
}

async fn gateway_clock(address: &GatewayUrl, settings: &System) -> Option<Finding> {
    let client = client(&settings.trust, settings.request_timeout).ok()?;
    // Asked without a login; that it refuses is an answer with a date.
    let heard = hear(client.get(format!("{address}/api/version"))).await.ok()?;
    judge::clock(address.as_str(), heard.date.as_deref(), crate::clock::now())
}

/// The masters: who leads, and whether our principal is let in. Registers nothing.
pub(super) async fn mesos(settings: &Mesos) -> Vec<Finding> {
    let client = match client(&settings.trust, PATIENCE) {
        Ok(client) => client,
        Err(error) => return vec![Finding::fail("mesos", error, "")],
    };
    let masters = match &settings.masters {
        Masters::Addresses(list) => list.clone(),
        Masters::ZooKeeper(place) => match Finder::new(settings.masters.clone()).candidate().await {
            Ok(leader) => vec![leader],
            Err(error) => {
                let what = format!("mesos zk://{}{}", place.servers, place.path);
                return vec![Finding::fail(what, error.to_string(), "see that ZooKeeper runs and a master leads")];
            }
        },
    };
    let mut findings = Vec::new();
    let mut leader = None;
    for master in &masters {
        let what = format!("mesos {master}");
        match hear(client.get(format!("{master}/version"))).await {
            Ok(heard) if heard.status == 200 => {
                findings.extend(judge::clock(&master.to_string(), heard.date.as_deref(), crate::clock::now()));
                findings.push(Finding::ok(what, format!("answers, Mesos {}", version(&heard.body))));
            }
            Ok(heard) => findings.push(Finding::fail(
                what,
                format!("answers {}; is it a Mesos master?", heard.status),
                "see mesos.masters",
            )),
            Err(why) => findings.push(Finding::fail(what, why, REACH)),
        }
        if leader.is_none() {
            leader = leader_by(&client, master).await;
        }
    }
    findings.push(match leader {
        Some(leader) => principal(&client, &leader, settings.login.as_ref()).await,
        None => Finding::fail("mesos leader", "no master says who leads", "see the masters' logs; they need a quorum"),
    });
    findings
}

fn version(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Version {
        version: String,
    }
    serde_json::from_slice(body).map_or_else(|_| "of an unknown release".to_owned(), |Version { version }| version)
}

async fn leader_by(client: &Client, master: &MasterUrl) -> Option<MasterUrl> {
    let heard = hear(client.get(format!("{master}/redirect"))).await.ok()?;
    // Written as //host:port.
    let location = heard.location?;
    let address = location.rsplit("//").next()?.split('/').next()?.to_owned();
    (!address.is_empty()).then_some(MasterUrl { tls: master.tls, address })
}

/// A call without a type is refused as such only after the login was taken.
async fn principal(client: &Client, leader: &MasterUrl, login: Option<&Login>) -> Finding {
    let what = "mesos leader";
    let mut request = client.post(format!("{leader}/api/v1/scheduler"));
    request = request.header("content-type", "application/json").body("{}");
    if let Some(login) = login {
        request = request.basic_auth(&login.user, Some(login.password.reveal()));
    }
    let who = login.map_or_else(|| "without a login".to_owned(), |login| format!("as {}", login.user));
    match hear(request).await {
        Ok(heard) if heard.status == 400 => Finding::ok(what, format!("{leader} lets frameworks in {who}")),
        Ok(heard) if heard.status == 401 || heard.status == 403 => Finding::fail(
            what,
            format!("{leader} refuses frameworks {who}"),
            "mend [mesos.login]: principal and secret",
        ),
        Ok(heard) => Finding::warn(what, format!("{leader} answers {}", heard.status), "it may be electing; try again"),
        Err(why) => Finding::fail(what, format!("{leader}: {why}"), REACH),
    }
}

/// Where nodes come to: whether something answers there, seen from this host.
pub(super) async fn for_nodes(agents: &Agents, config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let fetched = config.mesos.iter().map(|_| ("program for agents", "artefacts.url", &config.artefacts.url));
    let places = agents.addresses.iter().map(|address| ("agents", "agents.addresses", address)).chain(fetched);
    for (what, key, address) in places {
        let what = format!("{what} {address}");
        findings.push(match knock(address).await {
            Ok(()) => Finding::ok(what, "answers"),
            // Without a controller there is nobody who could.
            Err(why) if !config.control.socket.exists() => {
                Finding::warn(what, why, "start the controller, then look again")
            }
            Err(why) => {
                let mend = format!("see that {key} leads to this host, and that a firewall lets nodes through");
                Finding::fail(what, why, &mend)
            }
        });
    }
    findings
}

/// A file that comes from elsewhere: whether it is here already, or could be fetched now. Nothing is fetched.
pub(super) async fn source(source: &Source, sources: &Sources) -> Vec<Finding> {
    let what = format!("artefact {}", source.name);
    let (file, cache) = (source.clone(), sources.cache.clone());
    let here = tokio::task::spawn_blocking(move || stock::is_here(&file, &cache)).await.unwrap_or(false);
    if here {
        return vec![Finding::ok(what, format!("is here, in {}", sources.cache.display()))];
    }
    let url = source.shown();
    match stock::try_out(source, sources.largest).await {
        // Its hash keeps it from being altered; who listens sees what is fetched.
        Ok(says) if source.url.scheme() == "http" => {
            vec![Finding::warn(what, format!("{url}: {says}, by plain http"), "write https://, if the server has it")]
        }
        Ok(says) => vec![Finding::ok(what, format!("{url}: {says}"))],
        // What helps is in it.
        Err(why) => vec![Finding::fail(what, format!("{url}: {why}"), "")],
    }
}

async fn knock(address: &str) -> Result<(), String> {
    let url = url::Url::parse(address).map_err(|error| error.to_string())?;
    let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or("it names no host")?;
    let host = host.trim_matches(['[', ']']);
    match tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

/// Each mail server, up to the login.
pub(super) async fn mail(settings: &Mail) -> Vec<Finding> {
    let mut mailer = match Mailer::new(settings) {
        Ok(mailer) => mailer,
        Err(error) => return vec![Finding::fail("mail", error.to_string(), "")],
    };
    // A server that says nothing is stuck; its own deadlines are for mails that wait anyway.
    let verified = tokio::time::timeout(3 * PATIENCE, mailer.verify()).await;
    let Ok(answers) = verified else {
        return vec![Finding::fail("mail", "a server does not answer in time", REACH)];
    };
    let one = |(host, answer): (String, Result<(), _>)| match answer {
        Ok(()) => Finding::ok("mail", format!("{host} lets us in; sio notify test sends one")),
        Err(trouble) => Finding::fail("mail", format!("{trouble}"), ""),
    };
    answers.into_iter().map(one).collect()
}

fn with(request: RequestBuilder, credentials: &Credentials) -> RequestBuilder {
    match credentials {
        Credentials::None => request,
        Credentials::Login(login) => request.basic_auth(&login.user, Some(login.password.reveal())),
        Credentials::Token(token) => request.bearer_auth(token.reveal()),
    }
}

/// Each Alertmanager, by its status.
pub(super) async fn alertmanager(settings: &Alertmanager) -> Vec<Finding> {
    let mut findings = Vec::new();
    for url in &settings.urls {
        let shown = place(url);
        let asked = format!("{}/api/v2/status", url.as_str().trim_end_matches('/'));
        findings.extend(receiver("alertmanager", &shown, &settings.way, |client| client.get(asked)).await);
    }
    findings
}

/// The webhook: that something answers there. Nothing is posted.
pub(super) async fn webhook(settings: &Webhook) -> Vec<Finding> {
    receiver("webhook", &place(&settings.url), &settings.way, |client| client.head(settings.url.clone())).await
}

/// An address without its path, which may hold a token.
fn place(url: &url::Url) -> String {
    url.origin().ascii_serialization()
}

async fn receiver(what: &str, shown: &str, way: &HttpWay, ask: impl FnOnce(&Client) -> RequestBuilder) -> Vec<Finding> {
    let heard = match client(&way.trust, way.timeout) {
        Ok(client) => hear(with(ask(&client), &way.credentials)).await,
        Err(error) => Err(error),
    };
    let heard = match heard {
        Ok(heard) => heard,
        Err(why) => return vec![Finding::fail(what, format!("{shown}: {why}"), REACH)],
    };
    let says = format!("{shown} answers {}", heard.status);
    let finding = match heard.status {
        200..=299 => Finding::ok(what, says),
        401 | 403 => Finding::fail(what, says, "mend its login or token"),
        // It takes posts alone.
        405 if what == "webhook" => Finding::ok(what, says),
        404 => Finding::warn(what, says, "look whether the address is the right one"),
        _ => Finding::warn(what, says, "see its log"),
    };
    let clock = judge::clock(shown, heard.date.as_deref(), crate::clock::now());
    std::iter::once(finding).chain(clock).collect()
}

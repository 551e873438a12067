//! How `[alertmanager]` and `[webhook]` are read: programs that are told of
//! alerts besides people.

use std::time::Duration;

use super::section::{Complaint, Section, complain};
use super::system::{read_password, trust};
use super::{Login, Secret, Trust};

/// `[alertmanager]`: Alertmanagers that get all alerts that fire.
#[derive(Clone, Debug)]
pub struct Alertmanager {
    /// Base addresses. Each of them gets everything, since those of a cluster do not pass alerts on.
    pub urls: Vec<url::Url>,
    /// How often what fires is sent again.
    pub resend: Duration,
    /// How they are spoken to.
    pub way: HttpWay,
}

/// `[lifecycle.alertmanager]`: an Alertmanager whose alerts hold all work.
#[derive(Clone, Debug)]
pub struct AlertGate {
    /// Base addresses of one cluster; the first that answers speaks for it.
    pub urls: Vec<url::Url>,
    /// Only alerts that all of these accept, as Alertmanager writes them.
    pub matchers: Vec<String>,
    /// How often it is asked.
    pub every: Duration,
    /// How it is spoken to.
    pub way: HttpWay,
}

/// `[webhook]`: a program that gets what people are told, as JSON.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its address.
    pub url: url::Url,
    /// How it is spoken to.
    pub way: HttpWay,
}

/// How a receiver is spoken to.
#[derive(Clone, Debug)]
pub struct HttpWay {
    /// Whom to trust at the other end.
    pub trust: Trust,
    /// Who we are.
    pub credentials: Credentials,
    /// For a whole answer.
    pub timeout: Duration,
}

/// What shows who we are.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Nothing.
    None,
    /// User and password (Basic).
    Login(Login),
    /// A token (Bearer).
    Token(Secret),
}

/// A receiver answers in milliseconds; one that is stuck must not hold up the next try.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// As Prometheus: an Alertmanager that missed an alert has it a minute later.
const DEFAULT_RESEND: Duration = Duration::from_secs(60);

impl HttpWay {
    /// Without credentials, trusting the authorities of the operating system.
    pub const fn plain() -> Self {
        Self { trust: Trust::SystemRoots, credentials: Credentials::None, timeout: DEFAULT_TIMEOUT }
    }
}

/// Reads the section; nothing when a part that must be there is not.
pub(super) fn alertmanager(mut section: Section<'_>) -> Option<Alertmanager> {
    let urls = section.require("urls", "write urls = [\"https://alertmanager.example.com\"]", |found| {
        let texts = found.list()?;
        if texts.is_empty() {
            return Err(complain("the list is empty", "write [\"https://alertmanager.example.com\"]"));
        }
        texts.into_iter().map(url).collect::<Result<Vec<_>, _>>()
    });
    let resend = section.take("resend", |found| match found.duration()? {
        short if short < Duration::from_secs(1) => Err(complain("shorter than a second", "write 1s or more")),
        some => Ok(some),
    });
    let way = way(&mut section, urls.as_deref().unwrap_or_default(), "urls");
    section.finish();
    Some(Alertmanager { urls: urls?, resend: resend.unwrap_or(DEFAULT_RESEND), way: way? })
}

/// As often as states are polled by default.
const DEFAULT_EVERY: Duration = Duration::from_secs(10);

/// What is older than half a minute more than this holds all work.
const LONGEST_EVERY: Duration = Duration::from_secs(60);

/// Reads the section; nothing when a part that must be there is not.
pub(super) fn alert_gate(mut section: Section<'_>) -> Option<AlertGate> {
    let urls = section.require("urls", "write urls = [\"https://alertmanager.example.com\"]", |found| {
        let texts = found.list()?;
        if texts.is_empty() {
            return Err(complain("the list is empty", "write [\"https://alertmanager.example.com\"]"));
        }
        texts.into_iter().map(url).collect::<Result<Vec<_>, _>>()
    });
    let matchers = section.take("matchers", |found| {
        let read = |text: &str| {
            let name = text.split(['=', '!', '~']).next().unwrap_or_default();
            let tame = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let rest = text.get(name.len()..).unwrap_or_default();
            let value = ["=~", "!~", "!=", "="].iter().find_map(|sign| rest.strip_prefix(sign));
            let quoted = value.is_some_and(|value| value.len() >= 2 && value.starts_with('"') && value.ends_with('"'));
            if name.is_empty() || !name.chars().all(tame) || !quoted {
                let mend = "write it as Alertmanager does, such as 'severity=~\"critical|page\"'";
                return Err(complain(format!("{text:?} is no matcher"), mend));
            }
            Ok(text.to_owned())
        };
        found.list()?.into_iter().map(read).collect::<Result<Vec<_>, _>>()
    });
    let every = section.take("every", |found| match found.duration()? {
        every if (Duration::from_secs(1)..=LONGEST_EVERY).contains(&every) => Ok(every),
        _ => Err(complain("not between 1s and 1m", "write \"10s\"")),
    });
    let way = way(&mut section, urls.as_deref().unwrap_or_default(), "urls");
    section.finish();
    let (matchers, every) = (matchers.unwrap_or_default(), every.unwrap_or(DEFAULT_EVERY));
    Some(AlertGate { urls: urls?, matchers, every, way: way? })
}

/// Reads the section; nothing when a part that must be there is not.
pub(super) fn webhook(mut section: Section<'_>) -> Option<Webhook> {
    let url = section.require("url", "write url = \"https://alerts.example.com/hook\"", |found| url(found.text()?));
    let way = way(&mut section, url.as_slice(), "url");
    section.finish();
    Some(Webhook { url: url?, way: way? })
}

pub(super) fn way(section: &mut Section<'_>, urls: &[url::Url], key: &str) -> Option<HttpWay> {
    let trust = trust(section);
    let timeout = section.take("timeout", |found| found.duration()).unwrap_or(DEFAULT_TIMEOUT);
    let token =
        section.take("token_file", |found| read_password(&found.path()?).map_err(|(what, mend)| complain(what, mend)));
    let has_token = section.said("token_file");
    let login = section.optional_section("login");
    let has_login = login.is_some();
    if has_login && has_token {
        section.note("token_file", complain("there are a token and a login", "leave one of them out"));
    }
    if (has_login || has_token) && urls.iter().any(|url| url.scheme() == "http" && !is_loopback(url)) {
        let what = "the password or token would be sent in the clear";
        section.note(key, complain(what, "write https://; http with credentials is taken for loopback only"));
    }
    let credentials = match (login.map(super::system::login), token, has_token) {
        (Some(login), _, _) => Credentials::Login(login?),
        (None, Some(token), _) => Credentials::Token(token),
        (None, None, true) => return None,
        (None, None, false) => Credentials::None,
    };
    Some(HttpWay { trust, credentials, timeout })
}

pub(super) fn url(text: &str) -> Result<url::Url, Complaint> {
    // What holds an `@` may hold a password, and is not repeated.
    let shown = if text.contains('@') { "the address".to_owned() } else { format!("{text:?}") };
    let mend = "write https://HOST/PATH; user and password belong into the section login";
    let url = url::Url::parse(text).map_err(|error| complain(format!("{shown} is no address: {error}"), mend))?;
    let plain = url.username().is_empty() && url.password().is_none();
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain {
        return Err(complain(format!("{shown} is no address of a server"), mend));
    }
    Ok(url)
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

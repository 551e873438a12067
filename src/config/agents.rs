//! How `[agents]`, `[artefacts]` and `[fleet]` are read: where the agents of nodes come to,
//! what they are given, and which hosts work for us that Mesos does not know.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::load::readable;
use super::section::{Complaint, Found, Section, complain};
use super::sources::{self, Sources};
use crate::model::id::{NodeName, SystemId};

/// Loopback until the operator opens it.
const DEFAULT_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9466);
const DEFAULT_MIRROR: ([u8; 4], u16) = ([127, 0, 0, 1], 9467);
const DEFAULT_FOLDER: &str = "/var/lib/scaleio-framework/ca";
/// Agents get a new certificate when half of it is over, so a year is half a year of patience.
const DEFAULT_LIFE: Duration = Duration::from_secs(365 * DAY);
/// Shorter, and a controller that is away for a long weekend loses its agents.
const SHORTEST_LIFE: Duration = Duration::from_secs(7 * DAY);
/// The authority itself lasts for twenty.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// `[agents]`: where the agents of nodes come to, by TLS in both directions.
#[derive(Clone, Debug)]
pub struct Agents {
    /// Where we listen for them.
    pub listen: SocketAddr,
    /// Under which addresses they reach us, `https://host:port`; the certificate is for these hosts.
    pub addresses: Vec<String>,
    /// Where the authority's certificate and key are.
    pub folder: PathBuf,
    /// How long an agent's certificate is good.
    pub certificate_life: Duration,
    /// Whether agents become the program that this controller gives out.
    pub renew: bool,
}

/// `[artefacts]`: what nodes are given.
#[derive(Clone, Debug)]
pub struct Artefacts {
    /// The folder with ScaleIO's packages; none: no package is installed.
    pub folder: Option<PathBuf>,
    /// The list of their SHA-256, as `sha256sum` writes it; none: they are taken as they lie there.
    pub checksums: Option<PathBuf>,
    /// Where the program for agents is served, by plain http: who fetches it checks its hash.
    pub listen: SocketAddr,
    /// How Mesos agents reach that, `http://host:port`.
    pub url: String,
    /// The public key of who must have signed the files of the folder; none: they need no signature.
    pub key: Option<PathBuf>,
    /// The program for agents; none: this very program.
    pub program: Option<PathBuf>,
    /// Files that are fetched from elsewhere.
    pub sources: Sources,
}

impl Default for Artefacts {
    fn default() -> Self {
        let listen = SocketAddr::from(DEFAULT_MIRROR);
        Self {
            folder: None,
            checksums: None,
            listen,
            url: format!("http://{listen}"),
            key: None,
            program: None,
            sources: Sources::default(),
        }
    }
}

/// `[fleet.static.NAME]`: a host that works for us and is not in Mesos.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticNode {
    /// Its address, by which others reach it.
    pub address: IpAddr,
    /// What a Mesos agent would say of itself, such as `scaleio-system`.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
}

/// Reads `[agents]`.
pub(super) fn agents(mut section: Section<'_>) -> Option<Agents> {
    let listen = section.take("listen", |found| address(found, "127.0.0.1:9466", "[::]:9466"));
    let listening = listen.unwrap_or_else(|| SocketAddr::from(DEFAULT_LISTEN));
    let addresses = section.take("addresses", |found| {
        let texts = found.list()?;
        if texts.is_empty() {
            return Err(complain("the list is empty", "write [\"https://HOST:9466\"]"));
        }
        texts.into_iter().map(|text| base(text, &["https"], listening.port())).collect::<Result<Vec<_>, _>>()
    });
    if listening.ip().is_unspecified() && !section.said("addresses") {
        let what = "listen is every network, so nobody can tell under which address nodes reach us";
        section.note("addresses", complain(what, "write addresses = [\"https://HOST:9466\"]"));
    }
    let folder = section.take("folder", |found| found.path());
    let certificate_life = section.take("certificate_life", |found| match found.duration()? {
        short if short < SHORTEST_LIFE => {
            Err(complain("shorter than 7days, so that a long weekend ends it", "write \"365days\""))
        }
        long if long > LONGEST_LIFE => Err(complain("longer than ten years", "write \"365days\"")),
        some => Ok(some),
    });
    let renew = section.take("renew", |found| found.flag());
    let is_well = section.is_well("addresses") && section.is_well("listen");
    section.finish();
    is_well.then(|| Agents {
        listen: listening,
        addresses: addresses.unwrap_or_else(|| vec![format!("https://{listening}")]),
        folder: folder.unwrap_or_else(|| DEFAULT_FOLDER.into()),
        certificate_life: certificate_life.unwrap_or(DEFAULT_LIFE),
        renew: renew.unwrap_or(true),
    })
}

/// Reads `[artefacts]`.
pub(super) fn artefacts(mut section: Section<'_>) -> Artefacts {
    let listen = section.take("listen", |found| address(found, "127.0.0.1:9467", "[::]:9467"));
    let listening = listen.unwrap_or_else(|| SocketAddr::from(DEFAULT_MIRROR));
    let url = section.take("url", |found| base(found.text()?, &["http", "https"], listening.port()));
    if listening.ip().is_unspecified() && !section.said("url") {
        let what = "listen is every network, so nobody can tell under which address Mesos agents reach us";
        section.note("url", complain(what, "write url = \"http://HOST:9467\""));
    }
    let folder = section.take("folder", |found| {
        let path = found.path()?;
        match std::fs::read_dir(&path) {
            Ok(_) => Ok(path),
            Err(error) => {
                let mend = "name a folder that is there and that the user who runs sio may read";
                Err(complain(format!("{} cannot be read: {error}", path.display()), mend))
            }
        }
    });
    let checksums = section.take("checksums", |found| readable(found.path()?));
    if checksums.is_some() && !section.said("folder") {
        section.note("checksums", complain("there are no files that it could be about", "add folder, or leave it out"));
    }
    let key = section.take("key", |found| readable(found.path()?));
    if key.is_some() && !section.said("folder") {
        let mend = "add folder, or write the key to the source that it is for";
        section.note("key", complain("there are no files here that it could be about", mend));
    }
    let program = section.take("program", |found| readable(found.path()?));
    let sources = sources::read(&mut section);
    section.finish();
    Artefacts {
        folder,
        checksums,
        listen: listening,
        url: url.unwrap_or_else(|| format!("http://{listening}")),
        key,
        program,
        sources,
    }
}

/// Reads `[fleet]`.
pub(super) fn fleet(mut section: Section<'_>, systems: &[SystemId]) -> BTreeMap<NodeName, StaticNode> {
    let mut nodes = BTreeMap::new();
    for (name, mut section) in section.section("static").named_sections() {
        if let Some(complaint) = judge_node(&name) {
            section.note_self(complaint);
        }
        let mend = "write address = \"192.0.2.1\"";
        let address = section.require("address", mend, |found| {
            let text = found.text()?;
            text.parse::<IpAddr>().map_err(|_| complain(format!("{text:?} is no IP address"), mend))
        });
        let attributes = section.section("attributes").texts();
        if let Some(named) = attributes.get("scaleio-system").filter(|named| !systems.contains(&SystemId::new(named))) {
            let known: Vec<&str> = systems.iter().map(SystemId::as_str).collect();
            let mend = format!("name one of: {}", known.join(", "));
            section.note_self(complain(
                format!("attribute scaleio-system names {named:?}, which is not configured"),
                mend,
            ));
        }
        section.finish();
        if let Some(address) = address {
            let attributes = attributes.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
            nodes.insert(NodeName::new(&name), StaticNode { address, attributes });
        }
    }
    section.finish();
    nodes
}

/// What is wrong with the name of a node: it is in certificates, metrics and paths.
pub(super) fn judge_node(name: &str) -> Option<Complaint> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_well = name.len() <= 253 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(plain);
    (!is_well).then(|| complain(format!("{name:?} is no name of a host"), "use letters, digits, dots and hyphens"))
}

fn address(found: &Found<'_>, one: &str, all: &str) -> Result<SocketAddr, Complaint> {
    let text = found.text()?;
    text.parse().map_err(|_| {
        complain(
            format!("{text:?} is no address with a port"),
            format!("write \"{one}\", or \"{all}\" for all networks"),
        )
    })
}

/// `scheme://host:port` without anything behind it.
fn base(text: &str, schemes: &[&str], port: u16) -> Result<String, Complaint> {
    let form = format!("write {}://HOST:{port}", schemes.first().unwrap_or(&"https"));
    let no = |what: &str| complain(format!("{text:?} {what}"), form.clone());
    let url = url::Url::parse(text).map_err(|error| no(&format!("is no address: {error}")))?;
    if !schemes.contains(&url.scheme()) {
        return Err(no(&format!("does not begin with {}://", schemes.join(":// or "))));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(no("holds more than host and port"));
    }
    let host = url.host_str().ok_or_else(|| no("has no host"))?;
    // A port that is usual for its scheme is not told apart from none.
    let said =
        url.port().or_else(|| text.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse().ok()));
    Ok(format!("{}://{host}:{}", url.scheme(), said.unwrap_or(port)))
}

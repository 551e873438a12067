//! How `[mail]` is read: which servers take mail, whom it goes to, and how
//! much of it waits when none of them does.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono_tz::Tz;
use lettre::Address;
use lettre::message::Mailbox;

use super::load::readable;
use super::section::{Complaint, Found, Section, complain};
use super::system::{judge_mode, login, trust};
use super::{Login, Secret, Trust};

/// `[mail]`: alert mails.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Servers that take our mail, tried in this order.
    pub hosts: Vec<MailHost>,
    /// How the way to them is encrypted.
    pub tls: MailTls,
    /// Whom to trust as mail server.
    pub trust: Trust,
    /// What we show to a server that asks for a certificate.
    pub certificate: Option<ClientCertificate>,
    /// The login; never sent over a connection that is not encrypted.
    pub login: Option<Login>,
    /// How we call ourselves to the server (EHLO); an address literal when not set.
    pub hello: Option<String>,
    /// Who writes.
    pub from: Mailbox,
    /// Where bounces go; `from` when not set.
    pub envelope_from: Option<Address>,
    /// Where answers go; `from` when not set.
    pub reply_to: Option<Mailbox>,
    /// The default route.
    pub to: Vec<Address>,
    /// The right side of ids of mails and lists: a domain of ours. It should
    /// never change, or readers lose the threads.
    pub domain: String,
    /// Put before each subject.
    pub subject_prefix: String,
    /// The clock of the readers.
    pub time_zone: Tz,
    /// Where our own pages are reached from; none: mails have no links to act.
    pub base_url: Option<url::Url>,
    /// Where the dashboards are: the address of Grafana; none: mails have no link to them.
    pub dashboards_url: Option<url::Url>,
    /// Signs the links to act; none: mails have no such links.
    pub link_key: Option<LinkKey>,
    /// How long a link acts.
    pub link_valid: Duration,
    /// Whether to add headers for old responders: `Precedence`, `X-Auto-Response-Suppress`.
    pub bulk_headers: bool,
    /// Whether to attach the notification as JSON.
    pub attach_json: bool,
    /// For TCP.
    pub connect_timeout: Duration,
    /// For each answer of a server.
    pub command_timeout: Duration,
    /// For the answer that takes a mail over.
    pub final_timeout: Duration,
    /// A mail that nobody took for so long is set aside as failed.
    pub give_up: Duration,
    /// Mails that wait, at most; critical ones always find room.
    pub outbox_max: usize,
    /// Bytes of mails that wait, at most; critical ones always find room.
    pub outbox_max_bytes: usize,
}

impl Mail {
    /// Mail by STARTTLS through these servers, and the default for everything else.
    pub fn new(hosts: Vec<MailHost>, from: Mailbox, to: Vec<Address>) -> Self {
        Self {
            hosts,
            tls: MailTls::StartTls,
            trust: Trust::SystemRoots,
            certificate: None,
            login: None,
            hello: None,
            domain: from.email.domain().to_owned(),
            from,
            envelope_from: None,
            reply_to: None,
            to,
            subject_prefix: String::new(),
            time_zone: Tz::UTC,
            base_url: None,
            dashboards_url: None,
            link_key: None,
            link_valid: DEFAULT_LINK_VALID,
            bulk_headers: true,
            attach_json: false,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            command_timeout: DEFAULT_COMMAND_TIMEOUT,
            final_timeout: DEFAULT_FINAL_TIMEOUT,
            give_up: DEFAULT_GIVE_UP,
            outbox_max: DEFAULT_OUTBOX_MAX,
            outbox_max_bytes: DEFAULT_OUTBOX_BYTES,
        }
    }
}

/// A mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailHost {
    /// Name or address; its certificate must be for it.
    pub name: String,
    /// Port.
    pub port: u16,
}

impl std::fmt::Display for MailHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

/// How the way to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// STARTTLS; a server that does not offer it gets no mail.
    StartTls,
    /// TLS from the first byte.
    Implicit,
    /// Not at all. Only when the configuration says `tls = "none"`, and never with a login.
    None,
}

/// A certificate of ours and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM: our certificate, then those up to the authority.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// What links to act are signed with.
#[derive(Clone)]
pub struct LinkKey(Box<[u8]>);

impl LinkKey {
    /// Fewer bytes could be guessed.
    pub const SHORTEST: usize = 32;

    /// Takes a key that is long enough.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::SHORTEST).then(|| Self(bytes.into()))
    }

    /// The bytes, for the one place that signs.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A server on the same site answers in milliseconds; a dead one must not eat
/// the time in which the next one could have taken the mail.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// RFC 5321, 4.5.3.2: five minutes for the greeting and most commands.
const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// RFC 5321, 4.5.3.2.6: ten minutes, for who gives up earlier sends the mail twice.
const DEFAULT_FINAL_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// A weekend without a mail server loses nothing.
const DEFAULT_GIVE_UP: Duration = Duration::from_secs(48 * 60 * 60);

/// Somebody who comes to work in the morning can still acknowledge.
const DEFAULT_LINK_VALID: Duration = Duration::from_secs(24 * 60 * 60);

/// All state is held in memory, and each mail takes 4 to 60 KiB of it.
const DEFAULT_OUTBOX_MAX: usize = 2_000;
const DEFAULT_OUTBOX_BYTES: usize = 16 << 20;

/// Reads the section; nothing when a part that must be there is not.
pub(super) fn read(mut section: Section<'_>) -> Option<Mail> {
    let tls = section.take("tls", |found| match found.text()? {
        "starttls" => Ok(MailTls::StartTls),
        "implicit" => Ok(MailTls::Implicit),
        "none" => Ok(MailTls::None),
        other => Err(complain(
            format!("{other:?} is no way to encrypt"),
            "write \"starttls\", \"implicit\" for TLS from the first byte, or \"none\" for a server on this host",
        )),
    });
    let tls = tls.unwrap_or(MailTls::StartTls);
    let hosts = section.require("hosts", "write hosts = [\"mail.example.com\"]", |found| hosts(&found.list()?, tls));
    let trust = trust(&mut section);
    let certificate_file = section.take("certificate_file", |found| readable(found.path()?));
    let key_file = section.take("key_file", |found| readable(found.path()?));
    if certificate_file.is_some() != key_file.is_some() {
        let (said, missing) =
            if key_file.is_some() { ("key_file", "certificate_file") } else { ("certificate_file", "key_file") };
        section.note(said, complain(format!("{missing} is missing"), format!("set {missing} too, or none of them")));
    }
    let login = section.optional_section("login").map(login);
    if tls == MailTls::None && login.is_some() {
        let what = "tls is \"none\", so that the password would be sent in the clear";
        section.note("tls", complain(what, "write \"starttls\" or \"implicit\", or leave [mail.login] out"));
    }
    let hello = section.take("hello", domain);
    let from = section.require("from", "write from = \"Storage alerts <sio@example.com>\"", mailbox);
    let envelope_from = section.take("envelope_from", |found| address(found.text()?));
    let reply_to = section.take("reply_to", mailbox);
    let to = section.require("to", "write to = [\"storage-team@example.com\"]", |found| {
        let texts = found.list()?;
        if texts.is_empty() {
            return Err(complain("nobody would get the mail", "name at least one address"));
        }
        texts.into_iter().map(address).collect::<Result<Vec<_>, _>>()
    });
    let own_domain = section.take("domain", domain);
    let subject_prefix = section.take("subject_prefix", |found| {
        let prefix = found.text()?;
        if prefix.chars().count() > 20 || prefix.chars().any(char::is_control) {
            return Err(complain("longer than 20 characters, or no text in one line", "write something like \"SAN \""));
        }
        Ok(prefix.to_owned())
    });
    let time_zone = section.take("time_zone", |found| {
        let name = found.text()?;
        name.parse::<Tz>().map_err(|_| {
            complain(format!("{name:?} is no time zone"), "write a name of the IANA list, such as \"Europe/Berlin\"")
        })
    });
    let base_url = section.take("base_url", |found| page_url(found.text()?));
    let dashboards_url = section.take("dashboards_url", |found| page_url(found.text()?));
    let link_key = section
        .take("link_key_file", |found| read_link_key(&found.path()?).map_err(|(what, mend)| complain(what, mend)));
    let link_valid = section.take("link_valid", |found| found.duration());
    let bulk_headers = section.take("bulk_headers", |found| found.flag());
    let attach_json = section.take("attach_json", |found| found.flag());
    let mut timeout = |key, default| section.take(key, |found| found.duration()).unwrap_or(default);
    let connect_timeout = timeout("connect_timeout", DEFAULT_CONNECT_TIMEOUT);
    let command_timeout = timeout("command_timeout", DEFAULT_COMMAND_TIMEOUT);
    let final_timeout = timeout("final_timeout", DEFAULT_FINAL_TIMEOUT);
    let give_up = timeout("give_up", DEFAULT_GIVE_UP);
    let mut size = |key, default: usize, least: u64, mend: &str| {
        let read = section.take(key, |found| match found.number()? {
            small if small < least => Err(complain("too little for a bad day", mend)),
            some => usize::try_from(some).map_err(|_| complain("the number is too large", mend)),
        });
        read.unwrap_or(default)
    };
    let outbox_max = size("outbox_max", DEFAULT_OUTBOX_MAX, 10, "write 10 or more");
    let outbox_max_bytes = size("outbox_max_bytes", DEFAULT_OUTBOX_BYTES, 1 << 20, "write 1048576 or more");
    section.finish();
    let login = match login {
        Some(login) => Some(login?),
        None => None,
    };
    let defaults = Mail::new(hosts?, from?, to?);
    Some(Mail {
        tls,
        trust,
        certificate: certificate_file.zip(key_file).map(|(certificate, key)| ClientCertificate { certificate, key }),
        login,
        hello,
        domain: own_domain.unwrap_or(defaults.domain),
        envelope_from,
        reply_to,
        subject_prefix: subject_prefix.unwrap_or(defaults.subject_prefix),
        time_zone: time_zone.unwrap_or(defaults.time_zone),
        base_url,
        dashboards_url,
        link_key,
        link_valid: link_valid.unwrap_or(defaults.link_valid),
        bulk_headers: bulk_headers.unwrap_or(defaults.bulk_headers),
        attach_json: attach_json.unwrap_or(defaults.attach_json),
        connect_timeout,
        command_timeout,
        final_timeout,
        give_up,
        outbox_max,
        outbox_max_bytes,
        ..defaults
    })
}

fn hosts(texts: &[&str], tls: MailTls) -> Result<Vec<MailHost>, Complaint> {
    if texts.is_empty() {
        return Err(complain("the list is empty", "write [\"mail.example.com\"]"));
    }
    texts.iter().map(|text| host(text, tls)).collect()
}

fn host(text: &str, tls: MailTls) -> Result<MailHost, Complaint> {
    let refuse = || complain(format!("{text:?} is no mail server"), "write HOST or HOST:PORT, without a scheme");
    // The parser of URLs knows hosts of every kind, and is told a scheme without a default port.
    let url = url::Url::parse(&format!("smtp://{text}")).map_err(|_| refuse())?;
    let plain = url.username().is_empty() && url.password().is_none() && matches!(url.path(), "" | "/");
    let name = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned());
    let Some(name) = name.filter(|name| plain && !name.is_empty() && !text.contains(['?', '#'])) else {
        return Err(refuse());
    };
    if tls == MailTls::None && !matches!(name.as_str(), "localhost" | "127.0.0.1" | "::1") {
        let what = format!("mail to {name} would go in the clear over the network");
        return Err(complain(what, "set tls to \"starttls\" or \"implicit\"; \"none\" is taken for loopback only"));
    }
    let port = url.port().unwrap_or(match tls {
        MailTls::StartTls => 587,
        MailTls::Implicit => 465,
        MailTls::None => 25,
    });
    Ok(MailHost { name, port })
}

fn address(text: &str) -> Result<Address, Complaint> {
    text.trim().parse().map_err(|_| complain(format!("{text:?} is no mail address"), "write name@example.com"))
}

fn mailbox(found: &Found<'_>) -> Result<Mailbox, Complaint> {
    let text = found.text()?;
    text.parse().map_err(|_| {
        complain(format!("{text:?} is no mail address"), "write name@example.com or \"Some Name <name@example.com>\"")
    })
}

fn domain(found: &Found<'_>) -> Result<String, Complaint> {
    let text = found.text()?;
    let tame = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if text.is_empty() || text.len() > 100 || !text.chars().all(tame) {
        return Err(complain(format!("{text:?} is no domain"), "write something like \"sio.example.com\""));
    }
    Ok(text.to_owned())
}

fn page_url(text: &str) -> Result<url::Url, Complaint> {
    let mend = "write https://HOST/ as people reach the page";
    let url = url::Url::parse(text).map_err(|error| complain(format!("{text:?} is no address: {error}"), mend))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || url.query().is_some() {
        return Err(complain(format!("{text:?} is no address of a page"), mend));
    }
    Ok(url)
}

/// Reads a file with the key of links; else says what is wrong, and the mend.
pub fn read_link_key(path: &Path) -> Result<LinkKey, (String, String)> {
    const LONGEST: u64 = 4096;
    let shown = path.display();
    let make = format!("run: head -c 32 /dev/urandom > {shown} && chmod 600 {shown}");
    let mut bytes = Vec::new();
    let mut read = || {
        let file = std::fs::File::open(path)?;
        let mode = file.metadata()?.mode();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(mode)
    };
    let mode = read().map_err(|error: std::io::Error| (format!("{shown} cannot be read: {error}"), make.clone()))?;
    judge_mode(mode, path)?;
    LinkKey::new(&bytes).ok_or_else(|| {
        (format!("{shown} has {} bytes, and a key has at least {}", bytes.len(), LinkKey::SHORTEST), make)
    })
}

impl Login {
    /// Takes a user and a password.
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: Secret::new(password) }
    }
}

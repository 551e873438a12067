//! How a mail is handed to a server, and what became of each recipient.
//!
//! lettre speaks the commands; which of them come, and what each answer means,
//! is said here, since its transport gives up a mail when one of its
//! recipients is refused.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::time::timeout;

use super::outcome::{Outcome, Reply, Scope, Stage, Trouble};
use super::wire::Dialer;
use crate::config::{self, MailHost};
use crate::model::unit::Timestamp;
use crate::tls::{self, TlsError};

/// Servers close what idles; asking anew costs less than finding out.
const IDLE: Duration = Duration::from_secs(60);

/// A host that failed is asked last for so long.
const SHUNNED: Duration = Duration::from_secs(5 * 60);

/// To say goodbye; nothing depends on the answer.
const GOODBYE: Duration = Duration::from_secs(2);

/// Sends mails through the first of its servers that takes them.
#[derive(Debug)]
pub struct Mailer {
    hosts: Vec<MailHost>,
    dialer: Dialer,
    login: Option<Credentials>,
    sender: Address,
    final_timeout: Duration,
    open: Option<Open>,
    shunned: BTreeMap<usize, Instant>,
}

/// A connection over which mails can go.
struct Open {
    host: usize,
    connection: AsyncSmtpConnection,
    longest: Option<u64>,
    used: Instant,
    /// Whether a mail went over it before, so that a server may have closed it since.
    old: bool,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").field("host", &self.host).finish_non_exhaustive()
    }
}

/// What one server did with a mail.
struct Handed {
    accepted: Vec<String>,
    refused: Vec<(String, Trouble)>,
    deferred: Vec<(String, Trouble)>,
}

impl Mailer {
    /// Takes the settings; reads certificates, connects to nobody.
    pub fn new(mail: &config::Mail) -> Result<Self, TlsError> {
        let config = tls::client_config(&mail.trust, mail.certificate.as_ref())?;
        let hello = mail.hello.clone().map_or_else(ClientId::default, ClientId::Domain);
        let dialer = Dialer {
            tls: mail.tls,
            config: config.into(),
            hello,
            connect_timeout: mail.connect_timeout,
            command_timeout: mail.command_timeout,
        };
        let login = mail.login.as_ref();
        Ok(Self {
            hosts: mail.hosts.clone(),
            dialer,
            login: login.map(|login| Credentials::new(login.user.clone(), login.password.reveal().to_owned())),
            sender: mail.envelope_from.clone().unwrap_or_else(|| mail.from.email.clone()),
            final_timeout: mail.final_timeout,
            open: None,
            shunned: BTreeMap::new(),
        })
    }

    /// Asks every server whether it would let us in, without sending anything.
    pub async fn verify(&mut self) -> Vec<(String, Result<(), Trouble>)> {
        self.close().await;
        let mut answers = Vec::new();
        for host in 0..self.hosts.len() {
            let answer = self.connect(host).await;
            if let Ok(mut open) = answer {
                let _ = timeout(GOODBYE, open.connection.quit()).await;
                answers.push((self.name(host), Ok(())));
            } else if let Err(trouble) = answer {
                answers.push((self.name(host), Err(trouble)));
            }
        }
        answers
    }

    /// Until when the certificate of each server is good; those that are spoken to in the clear have none.
    pub async fn certificates(&self) -> Vec<(String, Result<Timestamp, String>)> {
        let mut all = Vec::new();
        for host in self.hosts.iter().filter(|_| self.dialer.tls != config::MailTls::None) {
            let until = match self.dialer.open(host).await {
                Ok(wire) => wire.good_until().ok_or_else(|| "its certificate cannot be read".to_owned()),
                Err(trouble) => Err(trouble.what),
            };
            all.push((host.to_string(), until));
        }
        all
    }

    /// Tries each server in turn until one takes the mail, or says for good that nobody gets it.
    pub async fn send(&mut self, recipients: &[Address], message: &[u8]) -> Outcome {
        let mut last: Option<Outcome> = None;
        for host in self.order() {
            let outcome = match self.through(host, recipients, message).await {
                Ok(handed) => self.judge(host, handed),
                Err(trouble) => {
                    let no = trouble.reply.as_ref().is_some_and(|reply| !reply.is_temporary());
                    if trouble.scope == Scope::Server {
                        self.shunned.insert(host, Instant::now());
                        self.open = None;
                    }
                    if no && trouble.scope == Scope::Mail {
                        Outcome::Failed { why: trouble, refused: Vec::new() }
                    } else {
                        Outcome::Retry { after: None, why: trouble, refused: Vec::new() }
                    }
                }
            };
            match &outcome {
                // The server may have it: another one must not get it at the same time.
                Outcome::Retry { why, .. } if why.stage == Stage::Final && why.reply.is_none() => return outcome,
                Outcome::Retry { .. } => last = Some(outcome),
                Outcome::Sent { .. } | Outcome::Failed { .. } => return outcome,
            }
        }
        last.unwrap_or_else(|| Outcome::Retry {
            after: None,
            why: Trouble {
                host: "mail".to_owned(),
                stage: Stage::Connect,
                reply: None,
                what: "no server is configured; set mail.hosts".to_owned(),
                scope: Scope::Server,
            },
            refused: Vec::new(),
        })
    }

    /// Says goodbye to the server.
    pub async fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            let _ = timeout(GOODBYE, open.connection.quit()).await;
        }
    }

    /// Hosts in the order of the configuration, those that failed lately last.
    fn order(&mut self) -> Vec<usize> {
        self.shunned.retain(|_, since| since.elapsed() < SHUNNED);
        let (bad, good): (Vec<usize>, Vec<usize>) =
            (0..self.hosts.len()).partition(|host| self.shunned.contains_key(host));
        good.into_iter().chain(bad).collect()
    }

    fn name(&self, host: usize) -> String {
        self.hosts.get(host).map(ToString::to_string).unwrap_or_default()
    }

    /// What it means when a server answered for every recipient.
    fn judge(&mut self, host: usize, handed: Handed) -> Outcome {
        self.shunned.remove(&host);
        let Handed { accepted, refused, deferred } = handed;
        if !accepted.is_empty() {
            return Outcome::Sent { host: self.name(host), accepted, refused, deferred };
        }
        match (deferred.into_iter().next_back(), refused.last().cloned()) {
            (Some((_, why)), _) => Outcome::Retry { after: None, why, refused },
            (None, Some((_, why))) => Outcome::Failed { why, refused },
            // No recipient at all; `render` refuses that before.
            (None, None) => Outcome::Sent { host: self.name(host), accepted, refused, deferred: Vec::new() },
        }
    }

    /// One server. A connection that idled is made anew once, since that it was closed says nothing.
    async fn through(&mut self, host: usize, recipients: &[Address], message: &[u8]) -> Result<Handed, Trouble> {
        let reusable = |open: &Open| open.host == host && open.used.elapsed() < IDLE && !open.connection.has_broken();
        let kept = match self.open.take() {
            Some(open) if reusable(&open) => Some(open),
            Some(mut other) => {
                let _ = timeout(GOODBYE, other.connection.quit()).await;
                None
            }
            None => None,
        };
        let mut open = match kept {
            Some(open) => open,
            None => self.connect(host).await?,
        };
        let old = open.old;
        let mut handed = self.hand_over(&mut open, recipients, message).await;
        let gone = |trouble: &Trouble| trouble.stage == Stage::Sender && trouble.scope == Scope::Server;
        if old && handed.as_ref().is_err_and(gone) {
            open = self.connect(host).await?;
            handed = self.hand_over(&mut open, recipients, message).await;
        }
        if handed.as_ref().is_ok() || handed.as_ref().is_err_and(|trouble| trouble.scope == Scope::Mail) {
            open.used = Instant::now();
            open.old = true;
            self.open = Some(open);
        }
        handed
    }

    async fn connect(&self, host: usize) -> Result<Open, Trouble> {
        let name = self.name(host);
        let Some(address) = self.hosts.get(host) else {
            let what = "is no server of the configuration".to_owned();
            return Err(Trouble { host: name, stage: Stage::Connect, reply: None, what, scope: Scope::Server });
        };
        let wire = self.dialer.open(address).await?;
        let encrypted = wire.is_encrypted();
        let hello = &self.dialer.hello;
        let mut connection =
            self.ask(&name, Stage::Hello, AsyncSmtpConnection::connect_with_transport(Box::new(wire), hello)).await?;
        if let Some(login) = &self.login {
            if !encrypted {
                let what = "would get the password in the clear; set tls to \"starttls\" or \"implicit\"".to_owned();
                return Err(Trouble { host: name, stage: Stage::Login, reply: None, what, scope: Scope::Server });
            }
            let login = connection.auth(&[Mechanism::Plain, Mechanism::Login], login);
            self.ask(&name, Stage::Login, login).await?;
        }
        // lettre keeps no numbers of the extensions; the server tells them again.
        let offers = self.ask(&name, Stage::Hello, connection.command(Ehlo::new(hello.clone()))).await?;
        let longest = offers.message().find_map(size_of);
        Ok(Open { host, connection, longest, used: Instant::now(), old: false })
    }

    async fn hand_over(&self, open: &mut Open, recipients: &[Address], message: &[u8]) -> Result<Handed, Trouble> {
        let name = self.name(open.host);
        let mail = |trouble: Trouble| Trouble { scope: scope_of(&trouble), ..trouble };
        let size = message.len() as u64;
        if let Some(longest) = open.longest.filter(|longest| *longest > 0 && size > *longest) {
            let text = format!("the mail has {size} bytes, and the server takes {longest}");
            // What the server itself would have said.
            let reply = Some(Reply { code: 552, enhanced: "5.3.4".to_owned(), text: text.clone() });
            return Err(Trouble { host: name, stage: Stage::Sender, reply, what: text, scope: Scope::Mail });
        }
        let connection = &mut open.connection;
        let mut parameters = Vec::new();
        if open.longest.is_some() {
            parameters.push(MailParameter::Size(message.len()));
        }
        let utf8 = connection.server_info().supports_feature(Extension::SmtpUtfEight);
        let foreign = |address: &Address| !AsRef::<str>::as_ref(address).is_ascii();
        if utf8 && (foreign(&self.sender) || recipients.iter().any(foreign)) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let sender = Mail::new(Some(self.sender.clone()), parameters);
        self.ask(&name, Stage::Sender, connection.command(sender)).await.map_err(mail)?;
        let mut handed = Handed { accepted: Vec::new(), refused: Vec::new(), deferred: Vec::new() };
        for address in recipients {
            if foreign(address) && !utf8 {
                let what = "takes no addresses beyond ASCII (SMTPUTF8)".to_owned();
                let trouble =
                    Trouble { host: name.clone(), stage: Stage::Recipient, reply: None, what, scope: Scope::Mail };
                handed.refused.push((address.to_string(), trouble));
                continue;
            }
            let rcpt = connection.command(Rcpt::new(address.clone(), Vec::new()));
            match self.ask(&name, Stage::Recipient, rcpt).await.map_err(mail) {
                Ok(_) => handed.accepted.push(address.to_string()),
                Err(trouble) if trouble.scope == Scope::Server => return Err(trouble),
                Err(trouble) => {
                    let later = trouble.reply.as_ref().is_some_and(Reply::is_temporary);
                    let list = if later { &mut handed.deferred } else { &mut handed.refused };
                    list.push((address.to_string(), trouble));
                }
            }
        }
        if handed.accepted.is_empty() {
            // A server that does not take it back loses its connection; nothing is lost by that.
            if self.ask(&name, Stage::Recipient, connection.command(Rset)).await.is_err() {
                connection.abort().await;
            }
            return Ok(handed);
        }
        self.ask(&name, Stage::Data, connection.command(Data)).await.map_err(mail)?;
        // lettre ends the last line itself.
        let message = message.strip_suffix(b"\r\n").unwrap_or(message);
        match timeout(self.final_timeout, connection.message(message)).await {
            Ok(answer) => answer.map_err(|error| mail(trouble(&name, Stage::Final, &error)))?,
            Err(_) => return Err(self.silent(&name, Stage::Final, self.final_timeout)),
        };
        Ok(handed)
    }

    /// Waits for an answer, but not for ever.
    async fn ask<T>(
        &self,
        host: &str,
        stage: Stage,
        answer: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
    ) -> Result<T, Trouble> {
        let span = self.dialer.command_timeout;
        match timeout(span, answer).await {
            Ok(answer) => answer.map_err(|error| trouble(host, stage, &error)),
            Err(_) => Err(self.silent(host, stage, span)),
        }
    }

    fn silent(&self, host: &str, stage: Stage, span: Duration) -> Trouble {
        let what = format!("said nothing for {span:?}");
        Trouble { host: host.to_owned(), stage, reply: None, what, scope: Scope::Server }
    }
}

fn trouble(host: &str, stage: Stage, error: &lettre::transport::smtp::Error) -> Trouble {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let reply = error.status().map(|code| Reply::read(code.into(), source.as_deref().unwrap_or_default()));
    let what = match &reply {
        Some(reply) if stage == Stage::Login => format!("refused the login: {reply}; mend mail.login"),
        Some(reply) => format!("said {reply}"),
        None => format!("broke off: {}", source.unwrap_or_else(|| error.to_string())),
    };
    Trouble { host: host.to_owned(), stage, reply, what, scope: Scope::Server }
}

/// Whether an answer is about the mail at hand or about the server as a whole.
fn scope_of(trouble: &Trouble) -> Scope {
    match &trouble.reply {
        None => Scope::Server,
        // 421: it closes; 530, 535, 538: it wants a login first.
        Some(reply) if matches!(reply.code, 421 | 530 | 535 | 538) => Scope::Server,
        Some(_) => Scope::Mail,
    }
}

/// The number of `SIZE 10240000`, when a line of the extensions is that.
fn size_of(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    let size = words.next().is_some_and(|word| word.eq_ignore_ascii_case("SIZE"));
    size.then(|| words.next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

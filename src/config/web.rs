//! Where are people and Prometheus served, and who may do what there? The section `web`.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::section::{Complaint, Found, Section, complain};
use crate::model::person::Role;

const DEFAULT_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 9465);

/// `[web]`: where people and Prometheus are served.
#[derive(Clone, Debug)]
pub struct Web {
    /// Loopback until configured.
    pub listen: SocketAddr,
    /// TLS and users, in the format of Prometheus' exporter-toolkit.
    pub config_file: Option<PathBuf>,
    /// What the users of that file may do.
    pub config_file_role: Role,
    /// People who log in, by name.
    pub users: BTreeMap<String, WebUser>,
    /// Programs that show a token, by name.
    pub tokens: BTreeMap<String, WebToken>,
    /// A proxy that logs people in; none: no header is believed.
    pub proxy: Option<WebProxy>,
    /// How often one person or program may act in a minute.
    pub acts_per_minute: u32,
}

/// `[web.users.NAME]`: somebody who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebUser {
    /// The argon2 hash of the password, as `sio hash-password` prints it.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
}

/// `[web.tokens.NAME]`: a program that shows a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebToken {
    /// The SHA-256 of the token in lower-case hexadecimal digits.
    pub sha256: String,
    /// What it may do.
    pub role: Role,
}

/// `[web.proxy]`: who is believed that he has logged people in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebProxy {
    /// The addresses from which it comes; nobody else's header is read.
    pub addresses: Vec<IpAddr>,
    /// The header that names the person, in lower case.
    pub header: String,
    /// What somebody may do who is no user here.
    pub role: Role,
}

impl Web {
    /// Everybody, at this address.
    pub const fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            config_file: None,
            config_file_role: Role::Admin,
            users: BTreeMap::new(),
            tokens: BTreeMap::new(),
            proxy: None,
            acts_per_minute: 60,
        }
    }
}

pub(super) fn read(mut section: Section<'_>) -> Web {
    let address = |text: &str| {
        text.parse::<SocketAddr>().map_err(|_| {
            complain(
                format!("{text:?} is no address with a port"),
                "write \"127.0.0.1:9465\", or \"[::]:9465\" for all networks",
            )
        })
    };
    let listen = section.take("listen", |found| address(found.text()?));
    let config_file = section.take("config_file", |found| super::load::readable(found.path()?));
    let config_file_role = section.take("config_file_role", role);
    let acts_per_minute = section.take("acts_per_minute", |found| match u32::try_from(found.number()?) {
        Ok(acts) if acts > 0 => Ok(acts),
        Ok(_) | Err(_) => Err(complain("nobody could act, or everybody without end", "write 60")),
    });
    let users = named(section.section("users"), user);
    let tokens = named(section.section("tokens"), token);
    let proxy = section.optional_section("proxy").and_then(proxy);
    section.finish();
    let open = Web::at(listen.unwrap_or_else(|| SocketAddr::from(DEFAULT_LISTEN)));
    Web {
        config_file,
        config_file_role: config_file_role.unwrap_or(open.config_file_role),
        acts_per_minute: acts_per_minute.unwrap_or(open.acts_per_minute),
        users,
        tokens,
        proxy,
        ..open
    }
}

fn named<T>(section: Section<'_>, read: impl Fn(Section<'_>) -> Option<T>) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for (name, section) in section.named_sections() {
        // A colon ends the name in the header of a login; other signs would be hard to tell in a record of acts.
        let tame = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        if name.len() > 64 || !name.chars().all(tame) {
            section.note_self(complain(
                format!("{name:?} is no name of a user"),
                "use letters, digits, dash, underscore, point and @, at most 64",
            ));
        }
        if let Some(read) = read(section) {
            all.insert(name, read);
        }
    }
    all
}

fn user(mut section: Section<'_>) -> Option<WebUser> {
    let mend = "make one with `sio hash-password`";
    let password_hash = section.require("password_hash", mend, |found| {
        let text = found.text()?;
        match argon2::password_hash::phc::PasswordHash::new(text) {
            Ok(hash) if hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some() => Ok(text.to_owned()),
            Ok(_) | Err(_) => Err(complain("this is no argon2 hash", mend)),
        }
    });
    let role = section.require("role", MEND_ROLE, role);
    section.finish();
    Some(WebUser { password_hash: password_hash?, role: role? })
}

fn token(mut section: Section<'_>) -> Option<WebToken> {
    let mend = "make a token and its digest with `sio hash-password --token`";
    let sha256 = section.require("sha256", mend, |found| {
        let text = found.text()?.to_ascii_lowercase();
        if text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            Ok(text)
        } else {
            Err(complain("this is no SHA-256 in hexadecimal digits", mend))
        }
    });
    let role = section.require("role", MEND_ROLE, role);
    section.finish();
    Some(WebToken { sha256: sha256?, role: role? })
}

fn proxy(mut section: Section<'_>) -> Option<WebProxy> {
    let mend = "write the addresses from which the proxy comes, such as [\"127.0.0.1\"]";
    let addresses = section.require("addresses", mend, |found| {
        let read = |text: &str| {
            text.parse::<IpAddr>()
                .map(|address| address.to_canonical())
                .map_err(|_| complain(format!("{text:?} is no IP address"), mend))
        };
        let addresses = found.list()?.into_iter().map(read).collect::<Result<Vec<IpAddr>, Complaint>>()?;
        if addresses.is_empty() { Err(complain("the list is empty", mend)) } else { Ok(addresses) }
    });
    let header = section.take("header", |found| {
        let text = found.text()?.to_ascii_lowercase();
        let tame = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if text.is_empty() || !text.bytes().all(tame) || text == "authorization" {
            return Err(complain(format!("{text:?} is no header that a proxy can set"), "write \"x-forwarded-user\""));
        }
        Ok(text)
    });
    let role = section.take("role", role);
    section.finish();
    Some(WebProxy {
        addresses: addresses?,
        header: header.unwrap_or_else(|| "x-forwarded-user".to_owned()),
        role: role.unwrap_or(Role::Viewer),
    })
}

const MEND_ROLE: &str = "write \"viewer\", \"operator\" or \"admin\"";

fn role(found: &Found<'_>) -> Result<Role, Complaint> {
    let text = found.text()?;
    Role::read(text).ok_or_else(|| complain(format!("{text:?} is no role"), MEND_ROLE))
}

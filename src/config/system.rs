//! How `[systems.NAME]` is read: addresses, logins and whom to trust.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::load::readable;
use super::section::{Complaint, Section, complain};
use super::{GatewayUrl, Login, Secret, System, Trust, rollout, volumes};

/// TCP and TLS to a gateway in the same data centre take milliseconds; a
/// gateway that is being restarted answers a SYN within a few seconds.
const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A large system needs some seconds for all its statistics; a gateway that
/// says nothing for this long is stuck, and another address is tried.
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Ten thousand volumes with their links are about 60 MiB.
const DEFAULT_MAX_ANSWER: u64 = 128 << 20;

/// Longer than any password that a gateway takes.
const LONGEST_PASSWORD: u64 = 4096;

impl System {
    /// A system that is only watched, with the default limits.
    pub fn new(gateways: Vec<GatewayUrl>, monitor: Login, trust: Trust) -> Self {
        Self {
            gateways,
            monitor,
            lifecycle: None,
            trust,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            max_answer_bytes: DEFAULT_MAX_ANSWER,
            rollout: None,
            volumes: None,
        }
    }
}

/// Reads a system; nothing when a part that must be there is not.
pub(super) fn read(mut section: Section<'_>) -> Option<System> {
    let gateways = section.require("gateways", "write gateways = [\"https://HOST\"]", |found| gateways(&found.list()?));
    let monitor = login(section.section("monitor"));
    let lifecycle = section.optional_section("lifecycle").map(login);
    let trust = trust(&mut section);
    let connect_timeout = section.take("connect_timeout", |found| found.duration());
    let request_timeout = section.take("request_timeout", |found| found.duration());
    let max_answer_bytes = section.take("max_answer_bytes", |found| match found.number()? {
        small if small < 1 << 20 => Err(complain("less than 1 MiB holds no answer", "write 1048576 or more")),
        some => Ok(some),
    });
    let connect_timeout = connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT);
    let request_timeout = request_timeout.unwrap_or(DEFAULT_REQUEST_TIMEOUT);
    if connect_timeout > request_timeout {
        let show = humantime::format_duration;
        let what = format!(
            "connect_timeout ({}) is longer than request_timeout ({}), which holds for the whole request",
            show(connect_timeout),
            show(request_timeout)
        );
        section.note("connect_timeout", complain(what, format!("set it to {} or less", show(request_timeout))));
    }
    let rollout = section.optional_section("rollout").map(rollout::read);
    let volumes = section.optional_section("volumes").map(volumes::read);
    section.finish();
    Some(System {
        gateways: gateways?,
        monitor: monitor?,
        lifecycle: match lifecycle {
            Some(login) => Some(login?),
            None => None,
        },
        trust,
        connect_timeout,
        request_timeout,
        max_answer_bytes: max_answer_bytes.unwrap_or(DEFAULT_MAX_ANSWER),
        rollout,
        volumes: match volumes {
            Some(volumes) => Some(volumes?),
            None => None,
        },
    })
}

/// What is wrong with the name of a system, among all names.
pub(super) fn judge_name(name: &str, all: &[String]) -> Option<Complaint> {
    let lower = name.to_lowercase();
    if lower != name
        && let Some(twin) = all.iter().find(|other| *other != name && other.to_lowercase() == lower)
    {
        let what = format!("{name:?} and {twin:?} differ only in case, and would be one system");
        return Some(complain(what, "keep one of them, in lower case"));
    }
    parse_name(name).err().map(|why| complain(why, name_mend(&lower)))
}

fn name_mend(lower: &str) -> String {
    let tame: String = lower.chars().map(|c| if in_name(c) { c } else { '-' }).take(63).collect();
    let tame = tame.trim_start_matches(['-', '_']);
    if tame.is_empty() { "choose a name such as \"prod\"".to_owned() } else { format!("call it {tame:?}") }
}

fn in_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'
}

/// Checks the name of a system: it is in every metric, path and mail.
pub fn parse_name(name: &str) -> Result<(), String> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts_well && name.len() <= 63 && name.chars().all(in_name) {
        return Ok(());
    }
    Err(format!("{name:?} is no name of a system: at most 63 of a-z, 0-9, - and _, the first one a letter or a digit"))
}

fn gateways(texts: &[&str]) -> Result<Vec<GatewayUrl>, Complaint> {
    if texts.is_empty() {
        return Err(complain("the list is empty", "write [\"https://HOST\"]"));
    }
    let mut gateways: Vec<GatewayUrl> = Vec::new();
    for text in texts {
        let gateway = parse_gateway(text).map_err(|(what, mend)| complain(what, mend))?;
        if gateways.contains(&gateway) {
            return Err(complain(format!("{gateway} is listed twice"), "keep one of them"));
        }
        gateways.push(gateway);
    }
    Ok(gateways)
}

/// Reads the base address of a gateway; else says what is wrong, and the mend.
pub fn parse_gateway(text: &str) -> Result<GatewayUrl, (String, String)> {
    // What holds an `@` may hold a password, and is not repeated.
    let shown = if text.contains('@') { "the address".to_owned() } else { format!("{text:?}") };
    let no = |what: &str, mend: &str| Err((format!("{shown} {what}"), mend.to_owned()));
    let form = "write https://HOST or https://HOST:PORT";
    let url = match url::Url::parse(text.trim()) {
        Ok(url) => url,
        Err(error) => return no(&format!("is no address of a gateway: {error}"), form),
    };
    let Some(host) = url.host() else { return no("has no host", form) };
    if !url.username().is_empty() || url.password().is_some() {
        return no(
            "holds a user or a password",
            "the user belongs under [systems.NAME.monitor], the password into its password_file",
        );
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return no("holds more than host and port", &format!("write {}", url.origin().ascii_serialization()));
    }
    let loopback = match host {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    match url.scheme() {
        "https" => {}
        "http" if loopback => {}
        "http" => {
            let mend = format!("write https://{host}; http is taken for loopback only");
            return no("would send the password in the clear", &mend);
        }
        _ => return no("is not an https address", form),
    }
    Ok(GatewayUrl(url.origin().ascii_serialization()))
}

pub(super) fn login(mut section: Section<'_>) -> Option<Login> {
    let user = section.require("user", "name the user of the gateway", |found| {
        let user = found.text()?;
        if user.is_empty() {
            Err(complain("the user is empty", "name the user of the gateway"))
        } else {
            Ok(user.to_owned())
        }
    });
    let variable = super::source::variable_of(&section.full("password"));
    let inline = section.take("password", |found| {
        if !found.is_variable() {
            let mend = format!("put it into a file of mode 0600 and name that as password_file, or set {variable}");
            return Err(complain("a password does not belong into this file", mend));
        }
        password(found.text()?).map_err(|what| complain(what, "set the variable to the password"))
    });
    let inline_said = section.said("password");
    let filed = section.take("password_file", |found| {
        let path = found.path()?;
        read_password(&path).map_err(|(what, mend)| complain(what, mend))
    });
    if !inline_said && !section.said("password_file") {
        let mend = format!("name a file of mode 0600 that holds only the password, or set {variable}");
        section.note("password_file", complain("the password is missing", mend));
    }
    section.finish();
    // The variable is nearer to the person who starts the program than the file is.
    Some(Login { user: user?, password: inline.or(filed)? })
}

/// Reads a file that holds a password; else says what is wrong, and the mend.
/// One line break at its end does not belong to the password.
pub fn read_password(path: &Path) -> Result<Secret, (String, String)> {
    let path = readable(path.to_owned()).map_err(|complaint| (complaint.what, complaint.mend))?;
    let shown = path.display();
    let read = || {
        let file = std::fs::File::open(&path)?;
        let mode = file.metadata()?.mode();
        let mut text = String::new();
        file.take(LONGEST_PASSWORD + 1).read_to_string(&mut text)?;
        Ok((mode, text))
    };
    let (mode, text) = read().map_err(|error: std::io::Error| {
        (format!("{shown} cannot be read: {error}"), "write the password into it as UTF-8 text".to_owned())
    })?;
    judge_mode(mode, &path)?;
    let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    password(text).map_err(|what| (format!("{shown}: {what}"), "let it hold the password and nothing else".to_owned()))
}

/// Refuses a secret that every user of the host can read.
pub(super) fn judge_mode(mode: u32, path: &Path) -> Result<(), (String, String)> {
    if mode & 0o007 == 0 {
        return Ok(());
    }
    let shown = path.display();
    let what = format!("{shown} is open to every user of this host (mode {:04o})", mode & 0o7777);
    Err((what, format!("run: chmod 600 {shown}")))
}

fn password(text: &str) -> Result<Secret, String> {
    if text.is_empty() {
        return Err("the password is empty".to_owned());
    }
    if text.contains(['\n', '\r', '\0']) {
        return Err("the password has more than one line".to_owned());
    }
    if text.len() as u64 > LONGEST_PASSWORD {
        return Err(format!("the password is longer than {LONGEST_PASSWORD} bytes"));
    }
    Ok(Secret::new(text))
}

pub(super) fn trust(section: &mut Section<'_>) -> Trust {
    let ca_file = section.take("ca_file", |found| {
        let path = readable(found.path()?)?;
        let certificates = CertificateDer::pem_file_iter(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match certificates {
            Ok(some) if !some.is_empty() => Ok(path),
            Ok(_) => Err(complain(format!("{} holds no certificate", path.display()), "save it in PEM form")),
            Err(error) => Err(complain(format!("{} is no PEM file: {error}", path.display()), "save it in PEM form")),
        }
    });
    let pin = section.take("pin", |found| {
        let text = found.text()?;
        parse_pin(text).ok_or_else(|| {
            complain(
                format!("{text:?} is no SHA-256 of a certificate, which has 64 hexadecimal digits"),
                "take it from: openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE",
            )
        })
    });
    let insecure = section.take("insecure", |found| found.flag());
    let said: Vec<&str> =
        [("ca_file", section.said("ca_file")), ("pin", section.said("pin")), ("insecure", insecure == Some(true))]
            .into_iter()
            .filter_map(|(key, said)| said.then_some(key))
            .collect();
    if let [first, second, ..] = said.as_slice() {
        section.note(
            second,
            complain(format!("{} are both set", said.join(" and ")), format!("keep one of them, best {first}")),
        );
    }
    match (pin, ca_file, insecure) {
        (Some(pin), _, _) => Trust::Pin(pin),
        (None, Some(path), _) => Trust::CaFile(path),
        (None, None, Some(true)) => Trust::Insecure,
        (None, None, Some(false) | None) => Trust::SystemRoots,
    }
}

/// Reads a SHA-256 as `openssl` and browsers write it, with or without colons.
pub fn parse_pin(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text
        .trim()
        .chars()
        .filter(|c| *c != ':')
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

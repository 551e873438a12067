//! How long are certificates good? What was read of each is judged here, and that of a gateway is read by a handshake.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::{GatewayUrl, Trust};
use crate::model::chore::Found;
use crate::model::unit::Timestamp;
use crate::tls;

/// For the connection and the handshake.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was read of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// What has it: `gateway`, `mail server`, `agent` or `authority`.
    pub component: &'static str,
    /// Which one of them.
    pub of: String,
    /// Until when it is good, or why that is not known.
    pub until: Result<Timestamp, String>,
}

/// Which of them end within so many days, or are not known.
pub fn judge(mut all: Vec<Read>, days: u32, now: Timestamp) -> Found {
    all.sort_by_key(|read| (read.until.clone().unwrap_or(Timestamp::MIN_UTC), read.of.clone()));
    let mut unwell = 0_usize;
    let mut lines = Vec::new();
    for Read { component, of, until } in &all {
        let of = format!("{component} {of}");
        match until {
            Err(why) => {
                unwell += 1;
                lines.push(format!("{of}: not known: {why}"));
            }
            Ok(until) => {
                let left = (*until - now).num_days();
                let day = until.format("%Y-%m-%d");
                let is_over = *until <= now;
                unwell += usize::from(is_over || left < i64::from(days));
                lines.push(match left {
                    _ if is_over => format!("{of}: ended on {day}"),
                    left => format!("{of}: {left} days, until {day}"),
                });
            }
        }
    }
    let count = all.len();
    let found = match all.iter().find_map(|read| read.until.as_ref().ok()) {
        Some(first) if unwell == 0 => {
            Found::well(format!("{count} certificates are good, the first until {}", first.format("%Y-%m-%d")))
        }
        None if count == 0 => Found::well("no certificate is in use"),
        _ => Found::unwell(format!("{unwell} of {count} certificates end within {days} days or could not be read")),
    };
    found.with(lines)
}

/// That of a gateway, as far as we trust it.
pub async fn of_gateway(address: &GatewayUrl, trust: &Trust) -> Read {
    let until = timeout(PATIENCE, served(address.as_str(), trust)).await;
    Read {
        component: "gateway",
        of: address.to_string(),
        until: until.unwrap_or_else(|_| Err("no answer in time".to_owned())),
    }
}

async fn served(address: &str, trust: &Trust) -> Result<Timestamp, String> {
    let url = url::Url::parse(address).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let config = tls::client_config(trust, None).map_err(|error| error.to_string())?;
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(|error| format!("cannot be reached: {error}"))?;
    let name = ServerName::try_from(host).map_err(|_| "its name cannot stand in a certificate".to_owned())?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    let stream = stream.map_err(|error| tls::explain_io(&error))?;
    let chain = stream.get_ref().1.peer_certificates();
    let until = chain.and_then(|chain| tls::good_until(chain.first()?));
    until.ok_or_else(|| "its certificate cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn now() -> Timestamp {
        "2026-11-30T00:00:00Z".parse().unwrap()
    }

    fn read(of: &str, days: i64) -> Read {
        Read { component: "gateway", of: of.to_owned(), until: Ok(now() + TimeDelta::days(days)) }
    }

    #[test]
    fn what_ends_soon_or_is_not_known_comes_first_and_is_counted() {
        let unknown = Read { component: "gateway", of: "b".to_owned(), until: Err("no answer in time".to_owned()) };
        let found = judge(vec![read("a", 400), unknown, read("c", 29), read("d", -1), read("e", 30)], 30, now());
        assert!(!found.is_well);
        assert_eq!(found.says, "3 of 5 certificates end within 30 days or could not be read");
        assert_eq!(
            found.lines,
            [
                "gateway b: not known: no answer in time",
                "gateway d: ended on 2026-11-29",
                "gateway c: 29 days, until 2026-12-29",
                "gateway e: 30 days, until 2026-12-30",
                "gateway a: 400 days, until 2028-01-04"
            ]
        );
        assert_eq!(judge(vec![read("e", 30)], 30, now()).says, "1 certificates are good, the first until 2026-12-30");
        assert!(judge(Vec::new(), 30, now()).is_well);
    }
}

//! What fires at the site's own Alertmanager? Asked at a beat; what was not answered gets old, and gates hold on old data.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::Client;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{AlertGate, Credentials};
use crate::model::alerting::Labels;
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;
use crate::tls::{self, TlsError};
use crate::work::facts::Others;
use crate::{clock, config};

/// An answer with more than this is no list of alerts that anybody reads.
const LARGEST_ANSWER: usize = 16 << 20;

/// What was seen; none: nothing yet.
pub type Seen = Option<Arc<Asked>>;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// When it was asked for.
    pub begun_at: Timestamp,
    /// The labels of each alert that fires.
    pub alerts: Vec<Labels>,
}

#[derive(Deserialize)]
struct Alert {
    labels: Labels,
}

/// Why it cannot be asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SetupError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the client of the Alertmanager cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// Asks.
pub struct Watcher {
    settings: AlertGate,
    client: Client,
    seen: watch::Sender<Seen>,
}

impl Watcher {
    /// Takes the settings; connects to nobody.
    ///
    /// # Errors
    /// Certificates that cannot be used.
    pub fn new(settings: AlertGate) -> Result<(Self, watch::Receiver<Seen>), SetupError> {
        let tls = tls::client_config(&settings.way.trust, None)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.way.timeout)
            .build()?;
        let (seen, receiver) = watch::channel(None);
        Ok((Self { settings, client, seen }, receiver))
    }

    /// Asks until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let mut beat = interval(self.settings.every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_well = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = beat.tick() => {}
            }
            let begun_at = clock::now();
            match self.ask().await {
                Ok(alerts) => {
                    if !std::mem::replace(&mut is_well, true) {
                        info!("the site's Alertmanager answers again");
                    }
                    self.seen.send_replace(Some(Arc::new(Asked { begun_at, alerts })));
                }
                Err(why) if is_well => {
                    is_well = false;
                    warn!(why, "the site's Alertmanager does not answer, so nothing is begun");
                }
                Err(_) => {}
            }
        }
    }

    /// The first of a cluster that answers speaks for it.
    async fn ask(&self) -> Result<Vec<Labels>, String> {
        let mut whys = Vec::new();
        for url in &self.settings.urls {
            match self.of(url).await {
                Ok(alerts) => return Ok(alerts),
                Err(why) => whys.push(format!("{}: {why}", url.host_str().unwrap_or_default())),
            }
        }
        Err(whys.join("; "))
    }

    async fn of(&self, base: &url::Url) -> Result<Vec<Labels>, String> {
        let mut url = base.clone();
        let path = format!("{}/api/v2/alerts", base.path().trim_end_matches('/'));
        url.set_path(&path);
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs([("active", "true"), ("silenced", "false"), ("inhibited", "false")]);
            query.extend_pairs(self.settings.matchers.iter().map(|matcher| ("filter", matcher.as_str())));
        }
        let request = self.client.get(url).header(ACCEPT, "application/json");
        let request = match &self.settings.way.credentials {
            Credentials::None => request,
            Credentials::Login(config::Login { user, password }) => request.basic_auth(user, Some(password.reveal())),
            Credentials::Token(token) => request.bearer_auth(token.reveal()),
        };
        // An error's own text has the address, which is told by its host alone.
        let mut answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        if !answer.status().is_success() {
            return Err(format!("answered {}", answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| error.without_url().to_string())? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST_ANSWER {
                return Err("answers without end".to_owned());
            }
        }
        let alerts: Vec<Alert> =
            serde_json::from_slice(&body).map_err(|error| format!("answered no list of alerts: {error}"))?;
        Ok(alerts.into_iter().map(|alert| alert.labels).collect())
    }
}

/// What of it concerns a system: not what another system's label says, and not what our own rules say, which are judged
/// here, with what our own steps explain.
pub fn concerning(asked: &Asked, system: &SystemId, systems: &BTreeSet<SystemId>, own: &BTreeSet<String>) -> Others {
    let mut others = Others { begun_at: Some(asked.begun_at), ..Others::default() };
    for labels in &asked.alerts {
        let text = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
        let of = SystemId::new(text("system"));
        if (of != *system && systems.contains(&of)) || own.contains(text("alertname")) {
            continue;
        }
        let about = |name: &str| !matches!(name, "alertname" | "severity" | "system");
        let object: Vec<&str> =
            labels.iter().filter(|(name, _)| about(name)).map(|(_, value)| value.as_str()).collect();
        let alert = (text("alertname").into(), object.join(" ").into());
        match text("severity") {
            "info" | "none" => {}
            "warning" => drop(others.mild.insert(alert)),
            // A site's own word for grave is not known here.
            _ => drop(others.critical.insert(alert)),
        }
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_another_system_or_our_own_rules_say_is_left_out_and_an_unknown_word_is_grave() {
        let alerts = vec![
            labels(&[("alertname", "Switch"), ("severity", "critical"), ("rack", "r1")]),
            labels(&[("alertname", "Power"), ("severity", "page")]),
            labels(&[("alertname", "Disk"), ("severity", "warning"), ("system", "prod")]),
            labels(&[("alertname", "Noise"), ("severity", "info")]),
            labels(&[("alertname", "Elsewhere"), ("severity", "critical"), ("system", "lab")]),
            labels(&[("alertname", "ScaleioSdsDisconnected"), ("severity", "critical"), ("system", "prod")]),
        ];
        let at = Timestamp::from_timestamp(5, 0).unwrap();
        let asked = Asked { begun_at: at, alerts };
        let systems = [SystemId::new("prod"), SystemId::new("lab")].into();
        let own = ["ScaleioSdsDisconnected".to_owned()].into();
        let others = concerning(&asked, &SystemId::new("prod"), &systems, &own);
        let named =
            |set: &BTreeSet<(Box<str>, Box<str>)>| set.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        assert_eq!(
            (named(&others.critical), named(&others.mild)),
            (vec!["Power".into(), "Switch".into()], vec!["Disk".into()])
        );
        assert_eq!(others.begun_at, Some(at));
    }

    #[tokio::test]
    async fn the_filter_goes_along_and_the_second_of_a_cluster_answers_for_the_first() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let body = r#"[{"labels":{"alertname":"A","severity":"critical"},"status":{"state":"active"},"new":1}]"#;
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&head[..read]).into_owned()
        });
        let settings = AlertGate {
            urls: ["http://127.0.0.1:1".to_owned(), format!("http://{there}/am/")]
                .map(|url| url.parse().unwrap())
                .into(),
            matchers: vec!["team=\"storage\"".to_owned()],
            every: std::time::Duration::from_secs(1),
            way: config::HttpWay::plain(),
        };
        let (watcher, mut seen) = Watcher::new(settings).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(watcher.run(stop.clone()));
        seen.changed().await.unwrap();
        assert_eq!(seen.borrow().as_ref().unwrap().alerts.len(), 1);
        let head = server.await.unwrap();
        let wanted =
            "GET /am/api/v2/alerts?active=true&silenced=false&inhibited=false&filter=team%3D%22storage%22 HTTP/1.1";
        assert!(head.starts_with(wanted), "{head}");
        stop.cancel();
        task.await.unwrap();
    }
}

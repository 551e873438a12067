//! How is the leading master asked as an operator asks? Redirects are followed
//! a few times, answers are read within a bound, and every call has its time.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::LOCATION;
use reqwest::{Client, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::MesosError;
use super::client::{http, post, refused, unheard};
use super::master::Finder;
use crate::config::{Login, MasterUrl, Mesos};

const PATH: &str = "/api/v1";
/// 50,000 tasks with their statuses are some 60 MB.
const LARGEST: usize = 256 << 20;

/// Speaks to whoever leads.
pub(super) struct Leader {
    http: Client,
    login: Option<Login>,
    finder: Finder,
    largest: usize,
}

enum Answer {
    Body(Vec<u8>),
    Elsewhere(String),
}

impl Leader {
    /// Nothing is asked yet. Reads the CA file.
    pub(super) fn new(settings: &Mesos) -> Result<Self, MesosError> {
        let http = http(&settings.trust)?;
        let finder = Finder::new(settings.masters.clone());
        Ok(Self { http, login: settings.login.clone(), finder, largest: LARGEST })
    }

    /// Makes a call; a yes may have a body. The time is that of one master.
    pub(super) async fn call(
        &mut self,
        name: &'static str,
        body: &Value,
        timeout: Duration,
    ) -> Result<Vec<u8>, MesosError> {
        loop {
            let master = self.finder.candidate().await?;
            match self.call_at(&master, name, body, timeout).await {
                Ok(Answer::Body(body)) => {
                    self.finder.found();
                    return Ok(body);
                }
                // Ends by itself: masters that name each other are an error there.
                Ok(Answer::Elsewhere(location)) => self.finder.redirected(&master, &location)?,
                Err(error) => {
                    self.finder.failed();
                    return Err(error);
                }
            }
        }
    }

    /// Asks a question that has no parts.
    pub(super) async fn ask<T: DeserializeOwned>(
        &mut self,
        name: &'static str,
        timeout: Duration,
    ) -> Result<T, MesosError> {
        let body = self.call(name, &serde_json::json!({ "type": name }), timeout).await?;
        serde_json::from_slice(&body).map_err(|source| MesosError::Unreadable { call: name, source })
    }

    async fn call_at(
        &self,
        master: &MasterUrl,
        name: &'static str,
        body: &Value,
        timeout: Duration,
    ) -> Result<Answer, MesosError> {
        let address = master.to_string();
        let request = post(&self.http, master, self.login.as_ref(), PATH, body).timeout(timeout);
        let response = request.send().await.map_err(|error| unheard(name, &address, error))?;
        match response.status() {
            StatusCode::TEMPORARY_REDIRECT => {
                let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
                Ok(Answer::Elsewhere(location.unwrap_or_default().to_owned()))
            }
            status if status.is_success() => self.read(name, address, response).await.map(Answer::Body),
            status => Err(refused(name, address, status, response).await),
        }
    }

    async fn read(&self, call: &'static str, address: String, response: Response) -> Result<Vec<u8>, MesosError> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        let mut pieces = response.bytes_stream();
        while let Some(piece) = pieces.next().await {
            body.extend_from_slice(&piece.map_err(|error| unheard(call, &address, error))?);
            if body.len() > self.largest {
                let text = format!("the answer is longer than {} bytes", self.largest);
                return Err(MesosError::Refused { call, address, status, text });
            }
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{Masters, Trust};

    /// Something that answers each request with the same words, and how it is asked.
    async fn answering(words: impl Fn(&str) -> String) -> (Leader, tokio::task::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let words = words(&address);
        let asked = tokio::spawn(async move {
            let mut asked = 0;
            // Whoever is asked no more within this time was left alone.
            while let Ok(taken) = tokio::time::timeout(Duration::from_secs(2), listener.accept()).await {
                let (mut stream, _) = taken.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(words.as_bytes()).await;
                asked += 1;
            }
            asked
        });
        let masters = Masters::Addresses(vec![MasterUrl { tls: false, address }]);
        let finder = Finder::new(masters);
        let leader = Leader { http: http(&Trust::SystemRoots).unwrap(), login: None, finder, largest: 1000 };
        (leader, asked)
    }

    const TIME: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn a_master_that_sends_to_itself_is_not_followed_for_ever() {
        let redirect = |address: &str| {
            format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: //{address}/api/v1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        };
        let (mut leader, asked) = answering(redirect).await;
        let error = leader.ask::<Value>("GET_TASKS", TIME).await.unwrap_err();
        assert!(matches!(error, MesosError::NoLeader { .. }), "{error:?}");
        assert_eq!(asked.await.unwrap(), 4);
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_bound() {
        let long = |length: usize| {
            let body = format!("\"{}\"", "x".repeat(length - 2));
            move |_: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        };
        let (mut leader, _) = answering(long(1000)).await;
        assert!(leader.ask::<Value>("GET_TASKS", TIME).await.is_ok());
        let (mut leader, _) = answering(long(1001)).await;
        let error = leader.ask::<Value>("GET_TASKS", TIME).await.unwrap_err().to_string();
        assert!(error.ends_with("longer than 1000 bytes"), "{error}");
    }
}

//! Who asked what, and how it was answered: kept for tests that want to know.

use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};

use super::refusal::Symbol;
use crate::sim::world::Id;

/// The id of what an answer says was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Made(pub Id);

/// A request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Exchange {
    /// The user, as far as the request said.
    pub user: Option<String>,
    pub method: String,
    /// The path, with ids and names of objects left open.
    pub path: String,
    /// The object in the path, as it was written.
    pub object: Option<String>,
    /// The id of what was made.
    pub made: Option<String>,
    pub status: u16,
    /// The MDM's symbol and number, when it refused.
    pub refusal: Option<(&'static str, u32)>,
}

/// All exchanges of a system's gateways, if they are kept.
#[derive(Debug, Default)]
pub(in crate::sim) struct Journal(Option<Mutex<Vec<Exchange>>>);

impl Journal {
    pub(in crate::sim) fn new(on: bool) -> Self {
        Self(on.then(Mutex::default))
    }

    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn note(
        &self,
        user: Option<String>,
        method: &Method,
        segments: &[&str],
        status: StatusCode,
        (symbol, made): (Option<Symbol>, Option<Made>),
    ) {
        let Some(kept) = &self.0 else { return };
        let exchange = Exchange {
            user,
            method: method.to_string(),
            path: template(segments),
            object: segments.iter().find_map(|segment| segment.split_once("::")).map(|(_, id)| id.to_owned()),
            made: made.map(|Made(id)| id.to_string()),
            status: status.as_u16(),
            refusal: symbol.map(|Symbol(symbol, number)| (symbol, number)),
        };
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    }

    pub(in crate::sim) fn all(&self) -> Vec<Exchange> {
        let kept = self.0.as_ref().map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner).clone());
        kept.unwrap_or_default()
    }
}

/// A path without what differs from object to object.
fn template(segments: &[&str]) -> String {
    let mut path = String::new();
    for segment in segments {
        path.push('/');
        match segment.split_once("::") {
            Some(("getByName", _)) => path.push_str("getByName::{name}"),
            Some((kind, _)) => {
                path.push_str(kind);
                path.push_str("::{id}");
            }
            None if segment.bytes().all(|byte| byte.is_ascii_digit()) => path.push_str("{id}"),
            None => path.push_str(segment),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_alike_requests_are_one() {
        let path = |path: &str| template(&path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>());
        assert_eq!(path("/api/instances/Volume::17/action/x"), "/api/instances/Volume::{id}/action/x");
        assert_eq!(path("/api/types/Pool/instances/getByName::a,b"), "/api/types/Pool/instances/getByName::{name}");
        assert_eq!(path("/rest/v1/alerts/1234567890123456/clear"), "/rest/v1/alerts/{id}/clear");
    }
}

//! How does Mesos refuse a request? The status codes and sentences of release 1.11.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

/// A refusal: a status and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub status: StatusCode,
    pub text: String,
    pub header: Option<(HeaderName, String)>,
}

impl Refused {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), header: None }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "404 Not Found.")
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.header = Some((name, value.into()));
        self
    }

    pub(super) fn response(self) -> Response {
        let is_empty = self.text.is_empty();
        let mut response = Response::new(Body::from(self.text));
        *response.status_mut() = self.status;
        if !is_empty {
            let plain = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, plain);
        }
        if let Some((name, value)) = self.header
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// What is asked of every call, in the order of the real one.
pub(super) fn check_head(method: &Method, headers: &HeaderMap) -> Result<(), Refused> {
    if method != Method::POST {
        let text = format!("405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{method}'.");
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, text).with(header::ALLOW, "POST"));
    }
    match headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) {
        None => Err(Refused::bad("Expecting 'Content-Type' to be present")),
        // No parameters and no other case; protobuf is not played.
        Some(b"application/json") => Ok(()),
        Some(_) => Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        )),
    }
}

/// Whether the answer may be JSON.
pub(super) fn check_accept(headers: &HeaderMap) -> Result<(), Refused> {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let allows = |part: &str| {
        matches!(part.split(';').next().unwrap_or_default().trim(), "*/*" | "application/*" | "application/json")
    };
    if accept.split(',').any(allows) {
        return Ok(());
    }
    let text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    Err(Refused::new(StatusCode::NOT_ACCEPTABLE, text))
}

/// The words for a body that is no JSON: they quote it from where it is wrong.
pub(super) fn no_json(body: &[u8], error: &serde_json::Error) -> Refused {
    let wrong = body.get(error.column().saturating_sub(1)..).unwrap_or_default();
    let near = String::from_utf8_lossy(wrong);
    Refused::bad(format!("Failed to parse body into JSON: syntax error at line {} near: {near}", error.line().max(1)))
}

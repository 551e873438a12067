//! How the gateway says no.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::json::Json;

/// A refusal, in the shape the API has for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub status: StatusCode,
    pub code: u32,
    pub message: String,
}

/// What the MDM answers with, by number. Old releases are off by one below
/// 79, so clients must go by the text.
const SDS_NOT_FOUND: u32 = 78;
const VOLUME_NOT_FOUND: u32 = 79;
const SDC_NOT_FOUND: u32 = 80;
const NOT_FOUND: u32 = 3;

impl Refused {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, 0, "Unauthorized")
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, 0, "Forbidden")
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, 0, "Not found")
    }

    pub(super) fn id_not_hex(given: &str) -> Self {
        let message = format!("id ({given}) must be a hexadecimal number (unsigned long)");
        Self::new(StatusCode::BAD_REQUEST, 0, message)
    }

    pub(super) fn malformed(why: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, 0, format!("Request message is not valid: {why}"))
    }

    /// A statistic the release does not have; the answer lists all it has.
    pub(super) fn unknown_statistic(kind: &str, valid: &str) -> Self {
        let message = format!("{kind} properties should contain only following values: {valid}");
        Self::new(StatusCode::BAD_REQUEST, 0, message)
    }

    pub(super) fn wrong_value(field: &str, valid: &str, given: &str) -> Self {
        let message = format!("{field} should get one of the following values: {valid}, but its value is {given}");
        Self::new(StatusCode::BAD_REQUEST, 0, message)
    }

    /// The MDM knows no such object.
    pub(super) fn no_such(kind: &str) -> Self {
        let (code, what) = match kind {
            "Sds" => (SDS_NOT_FOUND, "SDS"),
            "Volume" => (VOLUME_NOT_FOUND, "volume"),
            "Sdc" => (SDC_NOT_FOUND, "SDC"),
            other => (NOT_FOUND, other),
        };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, format!("Could not find the {what}"))
    }

    /// The MDM refuses.
    pub(super) fn by_mdm(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, message)
    }

    /// No master answers the gateway.
    pub(super) fn no_master() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 0, "Could not connect to the MDM: no master answers")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut json = Json::default();
        json.object(|json| {
            json.key("message").string(&self.message);
            json.key("httpStatusCode").number(u64::from(self.status.as_u16()));
            json.key("errorCode").number(u64::from(self.code));
        });
        let mut response = Response::new(Body::from(json.finish()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }
}

//! How the gateway says no.

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::json::Json;
use crate::sim::world::{Code, Refusal};

/// The MDM's word and number for a refusal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol(pub &'static str, pub u32);

/// A refusal, in the shape the API has for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub status: StatusCode,
    pub code: u32,
    pub message: String,
    /// The MDM's own word; the wire shows its number and text alone, except in details.
    pub symbol: Option<&'static str>,
    /// One for each object of a command that is about several.
    pub details: Vec<Code>,
}

impl Refused {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), symbol: None, details: Vec::new() }
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

    /// Fields that must all be there, and are not.
    pub(super) fn missing(names: &[&str]) -> Self {
        let names = names.join(", ");
        Self::malformed(format!("The following parameter(s) must be part of the request body: {names}."))
    }

    /// Fields of which one must be there.
    pub(super) fn missing_one(names: &[&str]) -> Self {
        let names = names.join(", ");
        Self::malformed(format!("One of the following parameter(s) must be part of the request body: {names}."))
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
        Self::code(match kind {
            "Sds" => Code::SdsNotFound,
            "Volume" => Code::VolumeNotFound,
            "Sdc" => Code::SdcNotFound,
            "Device" => Code::DeviceNotFound,
            "ProtectionDomain" => Code::DomainNotFound,
            "StoragePool" => Code::PoolNotFound,
            "FaultSet" => Code::FaultSetNotFound,
            "SnapshotPolicy" => Code::PolicyNotFound,
            "User" => Code::UserNotFound,
            "AccelerationPool" => Code::AccelerationPoolNotFound,
            _ => Code::NotFound,
        })
    }

    /// The MDM refuses.
    pub(super) fn code(code: Code) -> Self {
        let symbol = Some(code.symbol());
        Self { symbol, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, code.number(), code.message()) }
    }

    /// No master answers the gateway.
    pub(super) fn no_master() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 0, "Could not connect to the MDM: no master answers")
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Mdm(code) => Self::code(code),
            Refusal::Several(codes) => {
                let first = codes.first().copied().unwrap_or(Code::NotFound);
                Self { message: "Error with details".to_owned(), details: codes, ..Self::code(first) }
            }
            // Names of objects are the world's way; requests have ids.
            Refusal::NotFound { .. } => Self::code(Code::NotFound),
            Refusal::Already { .. } => Self::code(Code::WrongParameters),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut json = Json::default();
        json.object(|json| {
            json.key("message").string(&self.message);
            json.key("httpStatusCode").number(u64::from(self.status.as_u16()));
            json.key("errorCode").number(u64::from(self.code));
            if !self.details.is_empty() {
                json.key("details").array(|json| {
                    for code in &self.details {
                        json.object(|json| {
                            json.key("error").string(code.symbol());
                            json.key("rc").number(u64::from(code.number()));
                            json.key("errorMessage").string(code.message());
                        });
                    }
                });
            }
        });
        let mut response = Response::new(Body::from(json.finish()));
        *response.status_mut() = self.status;
        // For whoever looks from inside; it is taken off before it goes out.
        if let Some(symbol) = self.symbol {
            response.extensions_mut().insert(Symbol(symbol, self.code));
        }
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
        response
    }
}

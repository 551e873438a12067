//! Is it what the asker knows already? Then it is not sent again.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::problem::Problem;

/// The tag of an answer.
pub(super) fn of(body: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(body);
    let digits: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{digits}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names this tag (RFC 9110 13.1.2, by weak comparison).
pub(super) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let said = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut tags = said.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || tag.to_str().is_ok_and(|tag| known.strip_prefix("W/").unwrap_or(known) == tag))
}

/// Gives an answer its tag, and sends nothing where it is known.
pub(super) async fn tagged(request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer could not be put together").into_response();
    };
    let tag = parts.headers.get(header::ETAG).cloned().unwrap_or_else(|| of(&body));
    let known = is_known(&headers, &tag);
    parts.headers.insert(header::ETAG, tag);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_by_any_way_to_name_it() {
        let tag = of(b"x");
        let text = tag.to_str().unwrap().to_owned();
        for (said, known) in [
            (text.clone(), true),
            (format!("W/{text}"), true),
            (format!("\"a\", {text}"), true),
            ("*".to_owned(), true),
            ("\"a\"".to_owned(), false),
            (text.trim_matches('"').to_owned(), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, said.parse().unwrap());
            assert_eq!(is_known(&headers, &tag), known, "{said}");
        }
        assert!(!is_known(&HeaderMap::new(), &tag));
        assert_ne!(of(b"y"), tag);
    }
}

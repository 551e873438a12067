//! The page on which people log in, and the way out. Programs show a token, and people at a terminal a password; a browser
//! keeps neither well, and cannot forget one.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use super::access::{Access, NotIn};
use super::api::{Shown, html};
use super::listener::Peer;
use super::page::sheet;
use super::routes::{Answers, Body, Param, Route, Served};
use crate::model::person::Role;

/// The page, its form, and the way out.
pub(super) fn routes() -> Vec<Route> {
    const TO: &[Param] = &[Param { name: "to", what: "where to go on after the login" }];
    vec![
        Route::get("/login", Answers::Page, "Where people log in.", look)
            .query(TO)
            .open()
            .served(Served::NetworkOnly)
            .refuses(&[303]),
        Route::post("/login", Role::Viewer, Answers::Page, "Log in: opens a session that ends by itself.", log_in)
            .takes(Body::Form(&["user", "password", "to"]))
            .open()
            .served(Served::NetworkOnly)
            .refuses(&[303, 401, 413, 415, 429]),
        Route::post("/logout", Role::Viewer, Answers::Page, "Log out: ends the session.", log_out)
            .open()
            .served(Served::NetworkOnly)
            .refuses(&[303, 413]),
    ]
}

/// From an address of ours to the page for logging in, which leads back there.
pub(super) fn to_login(from: &Uri) -> String {
    let path = from.path().trim_start_matches('/');
    let up = "../".repeat(path.matches('/').count());
    let back = from.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let to: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
    if to.is_empty() { format!("{up}login") } else { format!("{up}login?to={to}") }
}

/// Where to go on: a place of ours, whatever was asked. Another site, or a way that only looks like one of ours, is none.
fn onward(to: &str) -> &str {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/-._~%?=&+[],".contains(letter);
    let is_ours = to.chars().all(is_plain) && !to.starts_with(['/', '.']) && !to.contains("//") && !to.contains("..");
    if is_ours && !to.is_empty() { to } else { "." }
}

fn see(to: &str, cookie: Option<String>) -> Response {
    let Ok(to) = HeaderValue::try_from(to) else { return StatusCode::NO_CONTENT.into_response() };
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

async fn look(
    State(_): State<Shown>,
    Extension(access): Extension<Arc<Access>>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let to = query.iter().find(|(key, _)| key == "to").map_or("", |(_, to)| to.as_str());
    if !access.has_users() {
        return see(onward(to), None);
    }
    html(StatusCode::OK, sheet::log_in(onward(to), None).into_string())
}

async fn log_in(
    State(_): State<Shown>,
    Extension(access): Extension<Arc<Access>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        let why = sheet::refused("", "This is not the form of the page.");
        return html(StatusCode::UNSUPPORTED_MEDIA_TYPE, why.into_string());
    }
    let field = |name: &str| {
        let found = form_urlencoded::parse(&body).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let to = field("to");
    let peer = peer.map(|Extension(peer)| peer);
    match access.log_in(&field("user"), &field("password"), peer).await {
        Ok(cookie) => see(onward(&to), Some(cookie)),
        Err(NotIn::Wrong) => {
            let why = "This user and this password do not go together.";
            html(StatusCode::UNAUTHORIZED, sheet::log_in(onward(&to), Some(why)).into_string())
        }
        Err(NotIn::Wait(wait)) => {
            let seconds = wait.as_secs() + 1;
            let why = format!("Too many wrong passwords came from your address; wait {seconds} s.");
            let page = sheet::log_in(onward(&to), Some(&why)).into_string();
            let mut refusal = html(StatusCode::TOO_MANY_REQUESTS, page);
            refusal.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            refusal
        }
    }
}

async fn log_out(State(_): State<Shown>, Extension(access): Extension<Arc<Access>>, headers: HeaderMap) -> Response {
    see("login", Some(access.log_out(&headers)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_login_leads_back() {
        for (from, to) in [
            ("/", "login"),
            ("/nodes?phase=in+work&page=2", "login?to=nodes%3Fphase%3Din%2Bwork%26page%3D2"),
            ("/alert/0a1b", "../login?to=alert%2F0a1b"),
            ("/?system=prod", "login?to=%3Fsystem%3Dprod"),
        ] {
            assert_eq!(to_login(&from.parse().unwrap()), to, "{from}");
        }
    }

    #[test]
    fn nobody_is_led_to_another_site() {
        for ours in ["nodes?phase=in+work&page=2", "alert/0a1b", "?system=prod", "node/a%20b"] {
            assert_eq!(onward(ours), ours);
        }
        for foreign in [
            "",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "javascript:x",
            "\\\\evil",
            "../x",
            "a//b",
            "a\nb",
            "a b",
        ] {
            assert_eq!(onward(foreign), ".", "{foreign:?}");
        }
    }
}

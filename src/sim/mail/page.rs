//! What people see of the mails that came.
//!
//! A mail is a stranger's text: its HTML stands in a frame that may do
//! nothing, and its links are listed beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};
use tokio::net::TcpListener;

use super::inbox::{Inbox, Kept, Read};

const STYLE: &str = include_str!("page.css");

/// The pages around a mail: no scripts, nothing from elsewhere.
const AROUND: &str = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// A mail itself: its own styles, and not even that its links lead anywhere.
const INSIDE: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; form-action 'none'; frame-ancestors 'self'; base-uri 'none'";

pub(super) async fn serve(listener: TcpListener, inbox: Arc<Inbox>) {
    let router = Router::new()
        .route("/", get(list))
        .route("/style.css", get(async || answer("text/css; charset=utf-8", AROUND, STYLE.to_owned())))
        .route("/mail/{number}", get(async |inbox, number| one(&inbox, &number, View::Html)))
        .route("/mail/{number}/text", get(async |inbox, number| one(&inbox, &number, View::Text)))
        .route("/mail/{number}/source", get(async |inbox, number| one(&inbox, &number, View::Source)))
        .route("/mail/{number}/html", get(inside))
        .with_state(inbox);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::debug!(%error, "the page of the simulated mail server ended");
    }
}

type Shared = State<Arc<Inbox>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum View {
    Html,
    Text,
    Source,
}

fn answer(kind: &'static str, policy: &'static str, body: String) -> Response {
    let headers: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}

fn page(title: &str, refresh: bool, body: &Markup) -> Response {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if refresh { meta http-equiv="refresh" content="3"; }
                title { (title) }
                link rel="stylesheet" href="/style.css";
            }
            body { (body) }
        }
    };
    answer("text/html; charset=utf-8", AROUND, whole.into_string())
}

fn missing() -> Response {
    (StatusCode::NOT_FOUND, "there is no such mail; / lists those that came\n").into_response()
}

/// The threads, the one with the newest mail first; in each the mails as they came.
async fn list(State(inbox): Shared) -> Response {
    let mut threads: BTreeMap<String, Vec<(Arc<Kept>, Read)>> = BTreeMap::new();
    for mail in inbox.all() {
        let read = mail.read();
        threads.entry(read.thread.clone()).or_default().push((mail, read));
    }
    let mut threads: Vec<_> = threads.into_values().collect();
    threads.sort_by_key(|thread| std::cmp::Reverse(thread.last().map(|(mail, _)| mail.number)));
    let body = html! {
        h1 { "Inbox of the demo" }
        @if threads.is_empty() {
            p { "No mail yet. This page looks again every few seconds." }
        }
        @for thread in &threads {
            ol {
                @for (mail, read) in thread {
                    li {
                        time { (mail.at.format("%H:%M:%S")) }
                        " "
                        a href={ "/mail/" (mail.number) } { (read.subject) }
                        " "
                        span.to { "to " (mail.to.join(", ")) }
                    }
                }
            }
        }
    };
    page("Inbox of the demo", true, &body)
}

fn one(State(inbox): &Shared, Path(number): &Path<u64>, view: View) -> Response {
    let Some(mail) = inbox.one(*number) else { return missing() };
    let read = mail.read();
    let links: Vec<&str> = read.text.as_deref().map(links).unwrap_or_default();
    let tab = |to: View, word: &str, path: &str| {
        html! {
            @if to == view { strong { (word) } } @else { a href={ "/mail/" (number) (path) } { (word) } }
        }
    };
    let body = html! {
        p.bar {
            a href="/" { "Inbox" }
            (tab(View::Html, "HTML", ""))
            (tab(View::Text, "Text", "/text"))
            (tab(View::Source, "Source", "/source"))
        }
        h1 { (read.subject) }
        p.to { "From " (mail.from) " to " (mail.to.join(", ")) ", " (mail.at.format("%Y-%m-%d %H:%M:%S UTC")) }
        @match (view, &read.html) {
            (View::Html, Some(_)) => { iframe sandbox="" title="the mail" src={ "/mail/" (number) "/html" } {} },
            (View::Source, _) => { pre { (String::from_utf8_lossy(&mail.raw)) } },
            (View::Html | View::Text, _) => { pre { (read.text.as_deref().unwrap_or("(no text)")) } },
        }
        @if !links.is_empty() && view != View::Source {
            h2 { "Links of this mail" }
            ul {
                @for link in links { li { a href=(link) target="_blank" rel="noopener noreferrer" { (link) } } }
            }
        }
    };
    page(&read.subject, false, &body)
}

/// The HTML of a mail, for the frame.
async fn inside(State(inbox): Shared, Path(number): Path<u64>) -> Response {
    match inbox.one(number).and_then(|mail| mail.read().html) {
        Some(html) => answer("text/html; charset=utf-8", INSIDE, html),
        None => missing(),
    }
}

fn links(text: &str) -> Vec<&str> {
    let mut links: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        if (word.starts_with("http://") || word.starts_with("https://")) && !links.contains(&word) {
            links.push(word);
        }
    }
    links
}

//! The page at `/`: how the systems are, in a glance and without script. The script only replaces what has changed.

mod alerts;
mod chart;
mod cluster;
pub(super) mod nodes;
pub(super) mod sheet;
mod show;
mod system;
mod work;

use maud::{DOCTYPE, Markup, html};

use super::overview::Overview;
use crate::model::overview::Tone;
use crate::model::person::Role;
use show::moment;

/// The style sheet of the page.
pub const STYLE: &str = include_str!("page.css");

/// The script of the page.
pub const SCRIPT: &str = include_str!("live.js");

/// Seconds after which the page asks again by itself where no script runs.
const REFRESH: u32 = 15;

/// Beyond so many systems the page shows each in short; charts and servers are on the page of the one.
const IN_FULL: usize = 4;

/// A part of the page that is replaced when it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its id in the document.
    pub(super) id: String,
    /// What is in it.
    pub(super) inner: String,
}

/// Every part of the page, in order. A part that has nothing to say is empty, and is not seen.
pub(super) fn parts(overview: &Overview) -> Vec<Part> {
    let in_full = overview.systems.len() <= IN_FULL;
    let part = |id: &str, inner: Markup| Part { id: id.to_owned(), inner: inner.into_string() };
    let mut parts = vec![
        part("head", head(overview)),
        part("own", work::own_problems(overview)),
        part("alerts", alerts::firing(overview)),
        part("silences", alerts::silences(overview)),
        part("runs", work::runs(overview)),
        part("plans", work::plans(overview)),
    ];
    for (number, shown) in overview.systems.iter().enumerate() {
        parts.push(part(&format!("s{number}"), system::facts(shown, overview.now, in_full)));
        if in_full {
            parts.push(part(&format!("s{number}c"), system::charts(shown, overview.now)));
            parts.push(part(&format!("s{number}m"), cluster::map(shown)));
        }
    }
    parts.push(part("nodes", nodes::part(overview)));
    parts.push(part("jobs", work::jobs(overview)));
    parts.push(part("events", work::events(overview)));
    parts.push(part("health", work::health(overview)));
    parts
}

/// Who reads the page.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    /// Their name, and what they may do; none where nobody logs in.
    pub(super) name: Option<(String, Role)>,
    /// Whether they can log out here.
    pub(super) by_session: bool,
}

/// The page. `live` says which changes it knows, so that the script asks for later ones.
pub(super) fn page(overview: &Overview, only: Option<&str>, live: &str, reader: &Reader) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                noscript { meta http-equiv="refresh" content=(REFRESH); }
                title { (mark(overview.tone)) " ScaleIO: " (overview.sentence) }
                link rel="stylesheet" href="style.css";
                script src="live.js" defer {}
            }
            body data-live=(live) data-system=(only.unwrap_or_default()) {
                a.skip href="#main" { "To the state of storage" }
                p.heard #said role="status" {}
                main #main {
                    p #lost role="alert" hidden { "The connection to the controller is lost; what is shown may be old." }
                    @for part in parts(overview) {
                        div id=(part.id) { (maud::PreEscaped(part.inner)) }
                    }
                }
                footer {
                    nav aria-label="More" {
                        @if only.is_some() { a href="." { "All systems" } }
                        @if !overview.works.nodes.is_empty() { a href="nodes" { "Nodes" } }
                        a href="metrics" { "Metrics" }
                        a href="api/v1/status" { "Status as JSON" }
                        a href="api/v1/openapi.json" { "API" }
                    }
                    @if let Some((name, role)) = &reader.name {
                        form.out method="post" action="logout" {
                            span { "You are " b { (name) } ", " (role) "." }
                            @if reader.by_session { button type="submit" { "Log out" } }
                        }
                    }
                    p { "scaleio-framework " (crate::VERSION) ", running since " (moment(overview.started_at, overview.now)) }
                }
            }
        }
    }
}

fn head(overview: &Overview) -> Markup {
    html! {
        header class=(overview.tone.as_str()) {
            span.mark aria-hidden="true" { (mark(overview.tone)) }
            h1 { (overview.sentence) }
            p.now { "as of " time datetime=(overview.now.format("%Y-%m-%dT%H:%M:%SZ")) data-long="" { (overview.now.format("%Y-%m-%d %H:%M:%S UTC")) } }
        }
    }
}

/// A sign that is read without colour.
const fn mark(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "✓",
        Tone::Busy => "…",
        Tone::Warn => "!",
        Tone::Bad => "✕",
    }
}

//! What fires, who is hurt, and how does it stand with people?

use maud::{Markup, html};

use super::show::moment;
use crate::model::alerting::{Alert, Handled, Severity};
use crate::model::unit::Timestamp;
use crate::web::overview::{AlertShown, Overview};

/// What fires.
pub(super) fn firing(overview: &Overview) -> Markup {
    html! {
        @if !overview.alerts.is_empty() {
            section.card aria-labelledby="h-alerts" {
                h2 #h-alerts { "Alerts" small { (overview.alerts.len() + overview.more_alerts) " firing" } }
                ul.alerts { @for shown in &overview.alerts { (row(shown, overview)) } }
                @if overview.more_alerts > 0 {
                    p { "and " (overview.more_alerts) " more: " a href="api/v1/alerts" { "all of them" } }
                }
            }
        }
    }
}

fn row(shown: &AlertShown, overview: &Overview) -> Markup {
    let alert = &shown.alert;
    let quiet = shown.handled.as_ref().is_some_and(|handled| handled.muted.is_some() || handled.acknowledged.is_some());
    html! {
        li class={ (tone(alert.severity)) @if quiet { " quiet" } } id={ "a" (shown.fingerprint) } {
            div.what {
                span.chip { (alert.severity.as_str()) } " "
                @if let Some(system) = alert.system.as_ref().filter(|_| overview.systems.len() > 1) { b { (system) ":" } " " }
                (alert.annotations.summary)
            }
            @if let Some(hurt) = &shown.hurt { p.hurt { b { "Depends on it: " } (hurt) } }
            p.meta { (standing(alert, shown.handled.as_ref(), overview.now)) }
            p.acts {
                a id={ "d" (shown.fingerprint) } href={ "alert/" (shown.fingerprint) } { "Details" span.name { " of " (alert.name) } }
                @if !quiet {
                    a id={ "k" (shown.fingerprint) } href={ "alert/" (shown.fingerprint) "#acknowledge" } { "Acknowledge…" }
                    a id={ "q" (shown.fingerprint) } href={ "alert/" (shown.fingerprint) "#silence" } { "Silence…" }
                }
            }
        }
    }
}

/// Since when it fires, and what people did about it.
pub(super) fn standing(alert: &Alert, handled: Option<&Handled>, now: Timestamp) -> Markup {
    html! {
        (alert.name) ", since " (moment(alert.active_since, now))
        @if let Some(ack) = handled.and_then(|handled| handled.acknowledged.as_ref()) {
            ", acknowledged by " (ack.by) " at " (moment(ack.at, now))
            @if let Some(until) = ack.until { " until " (moment(until, now)) }
            @if !ack.comment.is_empty() { " (" (ack.comment) ")" }
        }
        @if let Some(muted) = handled.and_then(|handled| handled.muted.as_ref()) {
            ", " (muted) @if let Some(by) = handled.and_then(|handled| handled.by.as_ref()) { " (" (by) ")" } ": nobody is told"
        }
    }
}

/// Silences that are in force.
pub(super) fn silences(overview: &Overview) -> Markup {
    html! {
        @if !overview.silences.is_empty() {
            section.card aria-labelledby="h-silences" {
                h2 #h-silences { "Silences" small { "nobody is told of these" } }
                ul.plain {
                    @for silence in &overview.silences {
                        li {
                            code { (silence.what()) } " until " (moment(silence.until, overview.now)) ", by " (silence.owner) ": " (silence.reason) " "
                            a id={ "e" (silence.id) } href={ "silence/" (silence.id) } { "End…" }
                        }
                    }
                }
            }
        }
    }
}

/// The class of a severity.
pub(super) const fn tone(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "bad",
        Severity::Warning => "warn",
        Severity::Info => "busy",
    }
}

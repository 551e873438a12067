//! The page at `/`: how the systems are, in a glance and without script.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, html};

use crate::model::alerting::{Alert, Fingerprint, FiringSet, Handled, LinkShown};
use crate::model::status::{Connected, Status, SystemStatus};
use crate::model::unit::Bytes;

/// The style sheet of the page.
pub const STYLE: &str = include_str!("page.css");

/// Seconds after which the page asks again by itself.
const REFRESH: u32 = 10;

/// The page.
pub fn page(status: &Status, firing: Option<&FiringSet>, handled: &BTreeMap<Fingerprint, Handled>) -> Markup {
    let unwell = status.systems.iter().filter(|system| !system.up || !system.problems.is_empty()).count();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="refresh" content=(REFRESH);
                meta name="color-scheme" content="light dark";
                title { "ScaleIO: " (headline(status.systems.len(), unwell)) }
                link rel="stylesheet" href="style.css";
            }
            body {
                header {
                    h1 { (headline(status.systems.len(), unwell)) }
                    nav { a href="metrics" { "Metrics" } a href="api/v1/status" { "Status as JSON" } a href="api/v1/alerts" { "Alerts as JSON" } }
                }
                main {
                    @if !status.problems.is_empty() {
                        section.unwell {
                            h2 { "The controller" }
                            ul.problems { @for problem in &status.problems { li { (problem) } } }
                        }
                    }
                    @let others = fired(firing, None);
                    @if !others.is_empty() { section.unwell { h2 { "Alerts of no single system" } (list(&others, handled)) } }
                    @for to in status.receivers.iter().filter(|to| !to.problems.is_empty()) {
                        section.unwell {
                            h2 { "Alerts may not be heard: " (to.name) }
                            ul { @for problem in &to.problems { li { (problem) } } }
                        }
                    }
                    @for system in &status.systems { (card(system, &fired(firing, Some(&system.system)), handled)) }
                }
                footer { "scaleio-framework " (status.version) ", running since " (status.started_at.format("%Y-%m-%d %H:%M UTC")) }
            }
        }
    }
}

fn headline(systems: usize, unwell: usize) -> String {
    match (systems, unwell) {
        (0, _) => "No system is configured".to_owned(),
        (1, 0) => "The system is healthy".to_owned(),
        (1, _) => "The system needs attention".to_owned(),
        (all, 0) => format!("All {all} systems are healthy"),
        (all, some) => format!("{some} of {all} systems need attention"),
    }
}

/// The alerts that fire, of a system or of none, the gravest first and then the oldest.
fn fired<'a>(firing: Option<&'a FiringSet>, system: Option<&str>) -> Vec<&'a Alert> {
    let alerts = firing.into_iter().flat_map(|firing| firing.alerts.values());
    let of_it = |alert: &&Alert| alert.is_firing() && alert.system.as_ref().map(|system| system.as_str()) == system;
    let mut alerts: Vec<&Alert> = alerts.filter(of_it).collect();
    alerts.sort_by_key(|alert| (std::cmp::Reverse(alert.severity), alert.active_since));
    alerts
}

fn list(alerts: &[&Alert], handled: &BTreeMap<Fingerprint, Handled>) -> Markup {
    html! {
        ul.alerts {
            @for alert in alerts {
                li class=(alert.severity.as_str()) {
                    strong { (alert.severity.as_str()) } " " (alert.annotations.summary)
                    @if let Some(url) = alert.annotations.runbook_url.as_deref().filter(|url| url.starts_with("https://")) {
                        " " a href=(url) rel="noreferrer" { (alert.name) }
                    }
                    small {
                        " since " (alert.active_since.format("%Y-%m-%d %H:%M UTC"))
                        @if let Some(handled) = handled.get(&alert.fingerprint()) { (standing(handled)) }
                    }
                }
            }
        }
    }
}

/// How an alert stands with people, as the rest of a sentence.
fn standing(handled: &Handled) -> String {
    let mut text = String::new();
    if let Some(ack) = &handled.acknowledged {
        text.push_str(&format!(", acknowledged by {} at {}", ack.by, ack.at.format("%Y-%m-%d %H:%M UTC")));
    }
    if let Some(muted) = &handled.muted {
        let by = handled.by.as_deref().map(|by| format!(" ({by})")).unwrap_or_default();
        text.push_str(&format!(", {muted}{by}: nobody is told"));
    }
    text
}

/// What the link of a mail does, and the button that does it.
pub fn confirm(link: &LinkShown, token: &str) -> Markup {
    let gone = link.alerts.is_empty() && link.done.is_none();
    sheet(
        "Alert",
        &html! {
            p { (link.what) }
            (meant(link))
            @if let Some(done) = &link.done {
                p { strong { (done) } }
            } @else if gone {
                p { strong { "Nothing of it fires any more." } }
            } @else {
                form method="post" action="act" {
                    input type="hidden" name="token" value=(token);
                    label { "Your name " input type="text" name="by" maxlength="100" autocomplete="name"; }
                    " " button type="submit" { "Do it" }
                }
            }
            p { small { "The link acts until " (link.until.format("%Y-%m-%d %H:%M UTC")) "." } }
        },
    )
}

/// What the link of a mail did.
pub fn done(link: &LinkShown) -> Markup {
    sheet("Done", &html! { p { strong { (link.done.as_deref().unwrap_or("Done.")) } } (meant(link)) })
}

/// Why a link does nothing.
pub fn refused(why: &str) -> Markup {
    sheet("Nothing was done", &html! { p { (why) } })
}

fn meant(link: &LinkShown) -> Markup {
    html! { @if !link.alerts.is_empty() { ul.alerts { @for alert in &link.alerts { li { (alert) } } } } }
}

/// A small page of one section.
fn sheet(title: &str, inner: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { "ScaleIO: " (title) }
                link rel="stylesheet" href="style.css";
            }
            body { header { h1 { (title) } } main { section { (inner) } } footer { a href="." { "All systems" } } }
        }
    }
}

fn card(system: &SystemStatus, alerts: &[&Alert], handled: &BTreeMap<Fingerprint, Handled>) -> Markup {
    let well = system.up && system.problems.is_empty();
    html! {
        section class=(if well { "well" } else { "unwell" }) {
            h2 {
                (system.system)
                small { (if well { "healthy" } else if system.snapshot.is_none() { "not heard" } else { "needs attention" }) }
            }
            @if !system.problems.is_empty() {
                ul.problems { @for problem in &system.problems { li { (problem) } } }
            }
            @if !alerts.is_empty() { (list(alerts, handled)) }
            dl {
                @if let Some(mdm) = &system.mdm {
                    (fact("MDM cluster", &html! { (mdm.state) @if let Some(primary) = &mdm.primary { ", primary " (primary) } }))
                }
                @if let Some(sds) = &system.sds { (fact("SDS connected", &of(sds))) }
                @if let Some(sdcs) = &system.sdcs { (fact("SDC connected", &of(sdcs))) }
                @if let Some(devices) = &system.devices {
                    (fact("Devices with errors", &html! { (devices.errors) " of " (devices.total) }))
                }
                @if let Some(capacity) = &system.capacity {
                    (fact("Raw capacity in use", &html! {
                        (Bytes::new(capacity.in_use_bytes)) " of " (Bytes::new(capacity.max_bytes))
                        meter max=(capacity.max_bytes) value=(capacity.in_use_bytes) {}
                    }))
                }
                @if let Some(rebuild) = &system.rebuild {
                    (fact("Rebuild left", &html! {
                        @if rebuild.left_bytes == 0 { "none" } @else {
                            (Bytes::new(rebuild.left_bytes))
                            @if let Some(rate) = rebuild.bytes_per_second.filter(|rate| *rate > 0.0) {
                                " at " (Bytes::new(rate as u64)) "/s, about " (minutes(rebuild.left_bytes as f64 / rate))
                            }
                        }
                    }))
                }
                @if let Some(version) = &system.version { (fact("Release", &html! { (version) })) }
                @if let Some(snapshot) = &system.snapshot {
                    (fact("Asked", &html! { (format!("{:.0} s ago", snapshot.age_seconds)) }))
                }
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn of(connected: &Connected) -> Markup {
    html! { (connected.connected) " of " (connected.total) }
}

fn minutes(seconds: f64) -> String {
    if seconds < 90.0 { format!("{seconds:.0} s") } else { format!("{:.0} min", seconds / 60.0) }
}

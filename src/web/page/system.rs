//! How is one system: is its data safe, how full is it, what do its applications do?

use maud::{Markup, html};

use super::chart;
use super::show::{day, moment, per_second, percent, query, rate, seconds, spaced};
use crate::model::overview::Tone;
use crate::model::status::{Connected, SystemStatus};
use crate::model::unit::{Bytes, Timestamp};
use crate::web::figures::Figures;
use crate::web::overview::{Pool, SystemShown};

/// Problems that are listed; more are told by their number.
const PROBLEMS: usize = 12;

/// Pools that are listed.
const POOLS: usize = 40;

/// The facts of a system.
pub(super) fn facts(shown: &SystemShown, now: Timestamp, in_full: bool) -> Markup {
    let status = &shown.status;
    html! {
        section class={ "card system " (shown.tone.as_str()) } aria-label={ "System " (status.system) } {
            h2 {
                @if in_full { (status.system) } @else { a href={ "?system=" (query(&status.system)) } { (status.system) } }
                span class={ "chip " (shown.tone.as_str()) } { (shown.word) }
                small {
                    @if let Some(version) = &status.version { "ScaleIO " (version) }
                    @if let Some(at) = shown.answered_at { ", answered " time datetime=(at.format("%Y-%m-%dT%H:%M:%SZ")) { (at.format("%H:%M:%S UTC")) } }
                }
            }
            @if !status.problems.is_empty() {
                ul.problems {
                    @for problem in status.problems.iter().take(PROBLEMS) { li { (problem) } }
                    @if status.problems.len() > PROBLEMS { li { "and " (status.problems.len() - PROBLEMS) " more" } }
                }
            }
            (tiles(shown, status, now))
            @if in_full && !shown.pools.is_empty() { (pools(&shown.pools, now)) }
        }
    }
}

/// The charts of a system.
pub(super) fn charts(shown: &SystemShown, now: Timestamp) -> Markup {
    html! {
        @if let Some(past) = &shown.past {
            section.card aria-label={ "The last hour of " (shown.status.system) } { (chart::charts(past, now)) }
        }
    }
}

fn tiles(shown: &SystemShown, status: &SystemStatus, now: Timestamp) -> Markup {
    html! {
        dl.tiles {
            @if let Some(data) = &status.data {
                @let (tone, big, small) = match (data.failed_bytes, data.degraded_bytes) {
                    (0, 0) => (Tone::Good, "all copies there".to_owned(), String::new()),
                    (0, degraded) => (Tone::Warn, Bytes::new(degraded).to_string(), "has one copy only".to_owned()),
                    (failed, _) => (Tone::Bad, Bytes::new(failed).to_string(), "cannot be reached".to_owned()),
                };
                (tile("Data", tone, &html! { (big) }, &html! { (small) }))
            }
            @if let Some(rebuild) = status.rebuild.as_ref().filter(|rebuild| rebuild.left_bytes > 0) {
                @let tone = if rebuild.bytes_per_second.is_some_and(|rate| rate >= 1.0) { Tone::Busy } else { Tone::Warn };
                (tile("Rebuild", tone, &html! { (Bytes::new(rebuild.left_bytes)) " left" }, &html! {
                    (rate(rebuild.bytes_per_second.unwrap_or(0.0)))
                    @if let Some(ends) = shown.rebuild_ends { ", ends about " (moment(ends, now)) }
                }))
            }
            @if let Some(capacity) = &status.capacity {
                (tile("Raw capacity", shown.pools.iter().map(|pool| pool.tone).max().unwrap_or_default(), &html! {
                    (percent(ratio(capacity.in_use_bytes, capacity.max_bytes))) " in use"
                }, &html! {
                    (Bytes::new(capacity.in_use_bytes)) " of " (Bytes::new(capacity.max_bytes))
                    @if let Some(pool) = first_full(&shown.pools) { br; "full about " (day(pool.1)) }
                }))
            }
            @if let Some(figures) = &shown.figures { (io(figures)) }
            @if let Some(mdm) = &status.mdm {
                @let tone = if status.problems.iter().any(|problem| problem.contains("MDM")) { Tone::Bad } else { Tone::Good };
                (tile("MDM cluster", tone, &html! { (spaced(&mdm.state)) }, &html! {
                    (spaced(&mdm.mode)) @if let Some(primary) = &mdm.primary { ", primary " (primary) }
                }))
            }
            @if let Some(sds) = &status.sds { (tile("Servers (SDS)", all_there(sds, Tone::Bad), &of(sds), &html! { "connected" })) }
            @if let Some(sdcs) = &status.sdcs { (tile("Clients (SDC)", all_there(sdcs, Tone::Warn), &of(sdcs), &html! { "connected" })) }
            @if let Some(devices) = &status.devices {
                @let tone = if devices.errors == 0 { Tone::Good } else { Tone::Bad };
                (tile("Devices", tone, &html! { (devices.total - devices.errors.min(devices.total)) " of " (devices.total) }, &html! { "without errors" }))
            }
        }
    }
}

fn io(figures: &Figures) -> Markup {
    let sum = |a: Option<f64>, b: Option<f64>| a.or(b).map(|_| a.unwrap_or(0.0) + b.unwrap_or(0.0));
    let latency = [figures.read_latency, figures.write_latency].into_iter().flatten().reduce(f64::max);
    html! {
        @if let Some(both) = sum(figures.read, figures.write) {
            (tile("Applications now", Tone::Good, &html! { (rate(both)) }, &html! {
                @if let Some(operations) = sum(figures.reads, figures.writes) { (per_second(operations).trim_end_matches("/s")) " IOPS" }
                @if let Some(latency) = latency { br; "latency " (seconds(latency)) }
            }))
        }
        @if let Some(left) = figures.rebalance_left.filter(|left| *left >= 1.0) {
            (tile("Rebalance", Tone::Busy, &html! { (Bytes::new(bytes(left))) " left" }, &html! { (rate(figures.rebalance.unwrap_or(0.0))) }))
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the sign is checked, and more is absurd")]
fn bytes(value: f64) -> u64 {
    value.max(0.0) as u64
}

fn tile(name: &str, tone: Tone, big: &Markup, small: &Markup) -> Markup {
    html! { div class=(tone.as_str()) { dt { (name) } dd { b { (big) } small { (small) } } } }
}

fn all_there(connected: &Connected, otherwise: Tone) -> Tone {
    if connected.connected == connected.total { Tone::Good } else { otherwise }
}

fn of(connected: &Connected) -> Markup {
    html! { (connected.connected) " of " (connected.total) }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The pool that is full first.
fn first_full(pools: &[Pool]) -> Option<(&Pool, Timestamp)> {
    pools.iter().filter_map(|pool| Some((pool, pool.full_at?))).min_by_key(|(_, at)| *at)
}

fn pools(pools: &[Pool], now: Timestamp) -> Markup {
    html! {
        h3 { "Storage pools" small { "use of what is not spare" } }
        ul.pools {
            @for pool in pools.iter().take(POOLS) {
                li class=(pool.tone.as_str()) {
                    span.name { (pool.name) " " small { (pool.domain) } }
                    svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                        rect.back width="100" height="8" {}
                        rect.used width=(format!("{:.1}", (pool.ratio() * 100.0).clamp(0.0, 100.0))) height="8" {}
                    }
                    b { (percent(pool.ratio())) }
                    small {
                        (Bytes::new(bytes(pool.used))) " of " (Bytes::new(bytes(pool.usable)))
                        @match pool.full_at {
                            Some(at) if at <= now => { ", full" }
                            Some(at) => { ", full about " (day(at)) " at its growth" }
                            None => {}
                        }
                    }
                }
            }
            @if pools.len() > POOLS { li { "and " (pools.len() - POOLS) " more" } }
        }
    }
}

//! What is being worked on, what happened, and how is the controller itself?

use maud::{Markup, html};

use super::show::moment;
use crate::model::overview::{RunShown, Tone};
use crate::web::overview::{Overview, counted};

/// Nodes that are listed; those that are unwell come first.
const NODES: usize = 200;

/// Reasons that are listed.
const REASONS: usize = 20;

/// What is wrong with the controller.
pub(super) fn own_problems(overview: &Overview) -> Markup {
    let deaf = overview.receivers.iter().flat_map(|to| {
        to.problems.iter().map(move |problem| format!("Alerts may not be heard by {}: {problem}", to.name))
    });
    let mesos =
        overview.framework.iter().filter(|(tone, _)| *tone == Tone::Bad).map(|(_, text)| format!("Mesos: {text}"));
    let problems: Vec<String> = overview.problems.iter().cloned().chain(deaf).chain(mesos).collect();
    html! {
        @if !problems.is_empty() {
            section.card.warn aria-labelledby="h-own" {
                h2 #h-own { "The controller needs attention" }
                ul.problems { @for problem in problems.iter().take(REASONS) { li { (problem) } } }
            }
        }
    }
}

/// Upgrades and other runs.
pub(super) fn runs(overview: &Overview) -> Markup {
    html! {
        @if !overview.works.runs.is_empty() {
            section.card aria-labelledby="h-runs" {
                h2 #h-runs { "Work under way" }
                @for run in &overview.works.runs { (one_run(run, overview)) }
            }
        }
    }
}

fn one_run(run: &RunShown, overview: &Overview) -> Markup {
    html! {
        article.run {
            h3 { (run.what) span class={ "chip " (run.tone.as_str()) } { (run.state) } small { (run.id) } }
            @if run.total > 0 {
                p {
                    progress max=(run.total) value=(run.done) aria-label={ "Steps of " (run.what) } {}
                    " " (run.done) " of " (counted(run.total, "step"))
                    @if let Some(ends) = run.ends_at { ", over about " (moment(ends, overview.now)) }
                }
            }
            @if !run.holds.is_empty() {
                ul.problems {
                    @for hold in run.holds.iter().take(REASONS) {
                        li {
                            "waits: " (hold.why)
                            @if let Some(since) = hold.since { ", since " (moment(since, overview.now)) }
                            @if let Some(clears) = &hold.clears { small { " " (clears) } }
                        }
                    }
                }
            }
            @if !run.waves.is_empty() {
                ol.waves {
                    @for wave in &run.waves { li class=(wave.tone.as_str()) { (wave.name) " " small { (wave.done) " of " (wave.total) } } }
                }
            }
        }
    }
}

/// Nodes, and what became of their offers.
pub(super) fn nodes(overview: &Overview) -> Markup {
    let nodes = &overview.works.nodes;
    let is_in_mesos = nodes.iter().any(|node| node.offer.is_some());
    html! {
        @if !nodes.is_empty() {
            section.card aria-labelledby="h-nodes" {
                h2 #h-nodes { "Nodes" small { (nodes.iter().filter(|node| node.tone == Tone::Good).count()) " of " (nodes.len()) " well" } }
                div.wide tabindex="0" role="region" aria-labelledby="h-nodes" {
                    table {
                        thead { tr { th scope="col" { "Node" } th scope="col" { "Phase" } th scope="col" { "Since" } th scope="col" { "Why" } @if is_in_mesos { th scope="col" { "Last offer" } } } }
                        tbody {
                            @for node in nodes.iter().take(NODES) {
                                tr {
                                    th scope="row" { (node.name) @if let Some(system) = &node.system { " " small { (system) } } }
                                    td { span class={ "chip " (node.tone.as_str()) } { (node.phase) } }
                                    td { @if let Some(since) = node.since { (moment(since, overview.now)) } }
                                    td { (node.why.as_deref().unwrap_or_default()) }
                                    @if is_in_mesos { td { (node.offer.as_deref().unwrap_or_default()) } }
                                }
                            }
                        }
                    }
                }
                @if nodes.len() > NODES { p { "and " (nodes.len() - NODES) " more: " a href="api/v1/agents" { "all of them" } } }
            }
        }
    }
}

/// Jobs with their next runs.
pub(super) fn jobs(overview: &Overview) -> Markup {
    html! {
        @if !overview.works.jobs.is_empty() {
            section.card aria-labelledby="h-jobs" {
                h2 #h-jobs { "Jobs" }
                div.wide tabindex="0" role="region" aria-labelledby="h-jobs" {
                    table {
                        thead { tr { th scope="col" { "Job" } th scope="col" { "When" } th scope="col" { "Next run" } th scope="col" { "Last run" } } }
                        tbody {
                            @for job in &overview.works.jobs {
                                tr {
                                    th scope="row" { (job.name) " " small { (job.what) } }
                                    td { code { (job.schedule) } }
                                    td { @match job.next { Some(next) => (moment(next, overview.now)), None => "never" } }
                                    td {
                                        @if let Some(last) = job.last { (moment(last, overview.now)) " " }
                                        @if let Some(outcome) = &job.outcome { span class={ "chip " (job.tone.as_str()) } { (outcome) } }
                                        @if !job.found.is_empty() {
                                            details {
                                                summary { "What was found" }
                                                ul { @for line in &job.found { li { (line) } } }
                                            }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What happened lately.
pub(super) fn events(overview: &Overview) -> Markup {
    let several = overview.systems.len() > 1;
    html! {
        section.card aria-labelledby="h-events" {
            h2 #h-events { "What happened" small { "the newest first" } }
            @if overview.events.is_empty() { p.idle { "nothing changed since " (moment(overview.started_at, overview.now)) } }
            ul.events {
                @for event in &overview.events {
                    li class=(event.tone.as_str()) {
                        (moment(event.at, overview.now)) " "
                        span { @if let Some(system) = event.system.as_ref().filter(|_| several) { b { (system) } " " } (event.what) }
                    }
                }
            }
        }
    }
}

/// How the controller goes.
pub(super) fn health(overview: &Overview) -> Markup {
    html! {
        section.card aria-labelledby="h-health" {
            h2 #h-health { "This controller" }
            ul.plain {
                @for system in &overview.systems {
                    li {
                        (system.status.system) ": "
                        @if system.unanswered.is_empty() {
                            "every question is answered"
                            @if let Some(gateway) = &system.status.gateway { " by " (gateway) }
                        } @else {
                            (counted(system.unanswered.len(), "question")) " not answered"
                            ul { @for why in system.unanswered.iter().take(REASONS) { li { (why) } } }
                        }
                    }
                }
                @for to in &overview.receivers {
                    li {
                        "alerts by " (to.name) ": "
                        @if to.problems.is_empty() { "well" } @else { (to.problems.join("; ")) }
                        @if to.waiting > 0 { ", " (to.waiting) " waiting" }
                        @if let Some(last) = to.last_sent { ", last sent " (moment(last, overview.now)) }
                    }
                }
                @if overview.judges { @if overview.receivers.is_empty() { li { "alerts are told to nobody: neither mail nor Alertmanager is configured" } } }
                @else { li { "alert rules are not evaluated here" } }
                @if let Some((_, text)) = &overview.framework { li { "Mesos: " (text) } }
            }
        }
    }
}

//! What is being worked on, what happened, and how is the controller itself?

use maud::{Markup, html};

use super::show::moment;
use crate::model::overview::{HoldShown, RunShown, Tone};
use crate::web::overview::{Overview, counted};

/// Reasons that are listed.
const REASONS: usize = 20;

/// Plans that are drawn; the rest is told by its number.
const PLANS: usize = 5;

/// As much of a hash as people type.
const TYPED: usize = 12;

/// Steps under way that are told one by one.
const AT_ONCE: usize = 4;

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
            h3 { (run.what) @if let Some(system) = run.system.as_ref().filter(|_| overview.systems.len() > 1) { " of " (system) } span class={ "chip " (run.tone.as_str()) } { (run.state) } small { (run.id) } }
            @if let Some(first) = run.holds.first() { (holds(run, first, overview)) }
            @if run.total > 0 {
                p {
                    progress max=(run.total) value=(run.done) aria-label={ "Steps of " (run.what) } {}
                    " " (run.done) " of " (counted(run.total, "step"))
                    @if let Some(ends) = run.ends_at.filter(|_| run.holds.is_empty()) { ", over about " (moment(ends, overview.now)) " as far as can be told" }
                }
            }
            @match &run.under_way[..] {
                [] => {}
                some if some.len() <= AT_ONCE => {
                    ul.plain { @for work in some { li { b { (work.node) } ": " (work.step) } } }
                }
                more => { p { "At work on " (more.len()) " nodes: " (more[0].step) } }
            }
            @if !run.waves.is_empty() {
                ol.waves {
                    @for wave in &run.waves { li class=(wave.tone.as_str()) { (wave.name) " " small { (wave.done) " of " (wave.total) } } }
                }
            }
        }
    }
}

/// Plans that wait for a yes, drawn like runs.
pub(super) fn plans(overview: &Overview) -> Markup {
    let (plans, several) = (&overview.works.plans, overview.systems.len() > 1);
    html! {
        @if !plans.is_empty() {
            section.card aria-labelledby="h-plans" {
                h2 #h-plans { "Plans that wait for a yes" }
                @for plan in plans.iter().take(PLANS) {
                    article.run {
                        h3 { (plan.what) @if several { " of " (plan.system) } }
                        p {
                            "Made " (moment(plan.made_at, overview.now)) ", takes about " (counted(plan.minutes, "minute"))
                            ": " code { "sio approve " (plan.id.get(..TYPED).unwrap_or(&plan.id)) }
                        }
                        ol.waves {
                            @for wave in &plan.waves { li class=(wave.tone.as_str()) { (wave.name) " " small { (counted(wave.total, "node")) } } }
                        }
                    }
                }
                @if plans.len() > PLANS { p { "and " (plans.len() - PLANS) " more: " code { "sio runs" } } }
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
                ul.rows {
                    @for job in &overview.works.jobs {
                        li {
                            span.who { b { (job.name) } " " small { (job.what) } }
                            span { @match job.next { Some(next) => { "next " (moment(next, overview.now)) } None => "never again" } small.line { code { (job.schedule) } } }
                            span {
                                @if let Some(last) = job.last { "last " (moment(last, overview.now)) " " }
                                @if let Some(outcome) = &job.outcome { span class={ "chip " (job.tone.as_str()) } { (outcome) } }
                                @if !job.found.is_empty() {
                                    details id={ "found-" (job.name) } {
                                        summary id={ "found-s-" (job.name) } { "What was found" }
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

/// Why it waits: one sentence, and the rest on demand.
fn holds(run: &RunShown, first: &HoldShown, overview: &Overview) -> Markup {
    let rest = &run.holds[1..];
    html! {
        p.holds {
            b { @if run.under_way.is_empty() { "Waits" } @else { "Other nodes wait" } @if let Some(since) = first.since { " since " (moment(since, overview.now)) } ": " (first.why) }
            @if !first.whom.is_empty() { " (" (first.whom) ")" } ". "
            @if let Some(clears) = &first.clears { "To go on it takes " (clears) "." }
        }
        @if !rest.is_empty() {
            details id={ "why-" (run.id) } {
                summary id={ "why-s-" (run.id) } { (counted(rest.len(), "more reason")) }
                ul.problems {
                    @for hold in rest.iter().take(REASONS) {
                        li {
                            (hold.why)
                            @if !hold.whom.is_empty() { " (" (hold.whom) ")" }
                            @if let Some(since) = hold.since { ", since " (moment(since, overview.now)) }
                            @if let Some(clears) = &hold.clears { small { "; it takes " (clears) } }
                        }
                    }
                    @if rest.len() > REASONS { li { "and " (rest.len() - REASONS) " more" } }
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
                        span { @if let Some(system) = event.system.as_ref().filter(|_| several) { b { (system) ":" } " " } (event.what) }
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

//! How do the servers stand, drawn by protection domain and fault set?

use maud::{Markup, html};

use crate::model::overview::Tone;
use crate::web::overview::{Domain, FaultSet, Server, SystemShown, counted};

/// Beyond so many servers those that are well are drawn as small squares, whose names are read aloud and on pointing.
const NAMED: usize = 96;

/// The servers of a system.
pub(super) fn map(system: &SystemShown) -> Markup {
    let all: usize = system.domains.iter().flat_map(|domain| &domain.sets).map(|set| set.servers.len()).sum();
    html! {
        @if all > 0 {
            section.card.map.dense[all > NAMED] aria-label={ "Servers of " (system.status.system) } {
                @for domain in &system.domains { (draw(domain)) }
            }
        }
    }
}

fn draw(domain: &Domain) -> Markup {
    html! {
        div.domain {
            h3 {
                "Protection domain " (domain.name)
                @if let Some(state) = &domain.unwell { " " span.chip.bad { (state) } }
            }
            @if domain.sets.is_empty() { p.idle { "no server" } }
            @for set in &domain.sets { (rack(set)) }
        }
    }
}

fn rack(set: &FaultSet) -> Markup {
    let (well, all) = (set.well(), set.servers.len());
    html! {
        div.rack {
            p {
                @match &set.name { Some(name) => { "Fault set " b { (name) } }, None => { "In no fault set" } }
                small { @if well == all { (counted(all, "server")) ", all well" } @else { (well) " of " (counted(all, "server")) " well" } }
            }
            ul.servers { @for server in &set.servers { (chip(server)) } }
        }
    }
}

fn chip(server: &Server) -> Markup {
    match (&server.word, server.tone) {
        (None, Tone::Good) => html! { li title=(server.name) { (server.name) } },
        (word, tone) => html! {
            li class=(tone.as_str()) { (server.name) @if let Some(word) = word { " " small { (word) } } }
        },
    }
}

//! How far is each node, and why is it no further? A part of the first page, a list of all with filters, and a page for
//! each of them.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::sheet::{Width, sheet};
use super::show::{moment, path, query};
use crate::enrol::crew::Member;
use crate::model::findings::Disk;
use crate::model::order::{Finished, Outcome};
use crate::model::overview::{NodeShown, Tone};
use crate::model::preflight::{Row, Verdict};
use crate::model::rollout::NodeRollout;
use crate::model::unit::{Bytes, Timestamp};
use crate::web::overview::{Overview, counted};

/// Nodes that are unwell or in work, as the first page lists them.
const LISTED: usize = 20;

/// Names of nodes that are well, as the first page lists them.
const NAMED: usize = 96;

/// Nodes on one page of the list.
pub(in crate::web) const ON_A_PAGE: usize = 100;

/// Nodes on the first page: those that are well are folded.
pub(super) fn part(overview: &Overview) -> Markup {
    let nodes = &overview.works.nodes;
    let (well, others): (Vec<&NodeShown>, Vec<&NodeShown>) = nodes.iter().partition(|node| node.tone == Tone::Good);
    html! {
        @if !nodes.is_empty() {
            section.card aria-labelledby="h-nodes" {
                h2 #h-nodes { "Nodes" small { (phases(nodes)) } }
                @if !others.is_empty() {
                    ul.rows { @for node in others.iter().take(LISTED) { (row(node, "", overview.now)) } }
                }
                @if others.len() > LISTED { p { "and " (others.len() - LISTED) " more that are unwell or in work" } }
                @if !well.is_empty() && well.len() <= NAMED {
                    details #well-nodes {
                        summary #well-nodes-s { (counted(well.len(), "node")) " well" }
                        ul.names { @for node in &well { li { (name(node, "")) } } }
                    }
                }
                p { a href="nodes" { "All nodes" span.name { ", with filters" } } }
            }
        }
    }
}

/// `10 ready, 2 in work`, the gravest first.
fn phases(nodes: &[NodeShown]) -> String {
    counts(nodes).into_iter().map(|(phase, count)| format!("{count} {phase}")).collect::<Vec<_>>().join(", ")
}

/// How many nodes stand where, the gravest first.
fn counts(nodes: &[NodeShown]) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<(std::cmp::Reverse<Tone>, &str), usize> = BTreeMap::new();
    for node in nodes {
        *counts.entry((std::cmp::Reverse(node.tone), &node.phase)).or_default() += 1;
    }
    // One word may stand for nodes of two tones.
    let mut phases: Vec<(&str, usize)> = Vec::new();
    for ((_, phase), count) in counts {
        match phases.iter_mut().find(|(known, _)| *known == phase) {
            Some((_, sum)) => *sum += count,
            None => phases.push((phase, count)),
        }
    }
    phases
}

fn name(node: &NodeShown, root: &str) -> Markup {
    html! { a href={ (root) "node/" (path(&node.name)) } { (node.name) } }
}

fn row(node: &NodeShown, root: &str, now: Timestamp) -> Markup {
    html! {
        li {
            span.who { b { (name(node, root)) } @if let Some(system) = &node.system { " " small { (system) } } }
            span {
                span class={ "chip " (node.tone.as_str()) } { (node.phase) }
                @if let Some(since) = node.since { " " small { "since " (moment(since, now)) } }
            }
            span {
                @if let Some(first) = node.why.first() { (first) }
                @match node.why.len() {
                    0 | 1 => {}
                    all => { " " small { "and " (counted(all - 1, "more reason")) } }
                }
                // What was taken is no news.
                @if let Some(offer) = node.offer.as_ref().filter(|offer| *offer != "accepted") { " " small { "last offer: " (offer) } }
            }
        }
    }
}

/// What is asked of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct Asked {
    /// Only nodes in this phase.
    pub(in crate::web) phase: Option<String>,
    /// Only nodes whose name or system has this text.
    pub(in crate::web) text: Option<String>,
    /// Which page, from 0.
    pub(in crate::web) page: usize,
}

impl Asked {
    fn has(&self, node: &NodeShown) -> bool {
        let is_in =
            |text: &str| node.name.contains(text) || node.system.as_ref().is_some_and(|system| system.contains(text));
        self.phase.as_ref().is_none_or(|phase| node.phase == *phase)
            && self.text.as_ref().is_none_or(|text| is_in(text))
    }

    /// The address of another page of the same.
    fn at(&self, page: usize) -> String {
        let mut pairs = Vec::new();
        for (key, value) in [("phase", &self.phase), ("q", &self.text)] {
            pairs.extend(value.iter().map(|value| format!("{key}={}", query(value))));
        }
        if page > 0 {
            pairs.push(format!("page={}", page + 1));
        }
        if pairs.is_empty() { "nodes".to_owned() } else { format!("nodes?{}", pairs.join("&")) }
    }
}

/// The list of all nodes.
pub(in crate::web) fn list(nodes: &[NodeShown], asked: &Asked, now: Timestamp) -> Markup {
    let found: Vec<&NodeShown> = nodes.iter().filter(|node| asked.has(node)).collect();
    let last = found.len().saturating_sub(1) / ON_A_PAGE;
    let page = asked.page.min(last);
    let only = |phase: Option<&str>| Asked { phase: phase.map(str::to_owned), page: 0, ..asked.clone() };
    let filter = |phase: Option<&str>, text: String| {
        html! { a href=(only(phase).at(0)) aria-current=[(asked.phase.as_deref() == phase).then_some("true")] { (text) } }
    };
    sheet(
        "",
        "Nodes",
        Width::Broad,
        &html! {
            section.card {
                nav.acts aria-label="By phase" {
                    (filter(None, format!("all {}", nodes.len())))
                    @for (phase, count) in counts(nodes) { (filter(Some(phase), format!("{count} {phase}"))) }
                }
                form.find method="get" action="nodes" role="search" {
                    @if let Some(phase) = &asked.phase { input type="hidden" name="phase" value=(phase); }
                    label { "Part of the name, or of its system" input type="search" name="q" maxlength="200" value=[asked.text.as_deref()]; }
                    button type="submit" { "Find" }
                }
            }
            section.card aria-label="Nodes" {
                @if found.is_empty() {
                    p.idle { @if nodes.is_empty() { "No node works for this controller." } @else { "No node is so." } }
                } @else {
                    ul.rows { @for node in found.iter().skip(page * ON_A_PAGE).take(ON_A_PAGE) { (row(node, "", now)) } }
                }
                @if last > 0 {
                    nav.acts aria-label="Pages" {
                        @if page > 0 { a href=(asked.at(page - 1)) rel="prev" { "← Before" } }
                        span { "page " (page + 1) " of " (last + 1) }
                        @if page < last { a href=(asked.at(page + 1)) rel="next" { "After →" } }
                    }
                }
            }
            p.idle { "as of " (now.format("%Y-%m-%d %H:%M:%S UTC")) }
        },
    )
}

/// All that is known of a node.
pub(in crate::web) struct Known<'a> {
    pub(in crate::web) shown: &'a NodeShown,
    pub(in crate::web) rollout: Option<&'a NodeRollout>,
    pub(in crate::web) member: Option<&'a Member>,
    /// How its agent stands to the program that it is to be.
    pub(in crate::web) renewal: Option<&'a str>,
}

/// The page of a node.
pub(in crate::web) fn one(known: &Known<'_>, now: Timestamp) -> Markup {
    let shown = known.shown;
    sheet(
        "../",
        &shown.name,
        Width::Narrow,
        &html! {
            section.card {
                p {
                    span class={ "chip " (shown.tone.as_str()) } { (shown.phase) }
                    @if let Some(since) = shown.since { " since " (moment(since, now)) }
                    @if let Some(system) = &shown.system { ", of " (system) }
                }
                @if !shown.why.is_empty() { ul.problems { @for why in &shown.why { li { (why) } } } }
                dl {
                    @if let Some(rollout) = known.rollout {
                        dt { "it shall be" } dd { (rollout.roles.iter().map(|role| role.as_str().replace('_', " ")).collect::<Vec<_>>().join(", ")) }
                        @if let Some(agent) = &rollout.agent { dt { "Mesos agent" } dd { (agent) } }
                    }
                    @if let Some(offer) = &shown.offer { dt { "last offer" } dd { (offer) } }
                }
            }
            @if let Some(rollout) = known.rollout {
                (preflight(&rollout.preflight))
                (disks(&rollout.disks))
            }
            @match known.member {
                Some(member) => { (agent(member, known.renewal, now)) }
                None => { section.card { p { "No agent of it has spoken to this controller yet." } } }
            }
            p { a href="../nodes" { "All nodes" } }
        },
    )
}

/// What was found of it before it was touched.
fn preflight(rows: &[Row]) -> Markup {
    let (well, others): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.verdict == Verdict::Ok);
    html! {
        section.card aria-labelledby="h-preflight" {
            h2 #h-preflight { "Before it is touched" small { "preflight" } }
            @if rows.is_empty() { p.idle { "It was not looked at yet." } }
            @if !others.is_empty() { ul.checks { @for row in others { (check(row)) } } }
            @if !well.is_empty() {
                details { summary { (counted(well.len(), "thing")) " as it should be" } ul.checks { @for row in well { (check(row)) } } }
            }
        }
    }
}

fn check(row: &Row) -> Markup {
    let tone = match row.verdict {
        Verdict::Ok => Tone::Good,
        Verdict::Warn => Tone::Warn,
        Verdict::Fail => Tone::Bad,
    };
    html! {
        li {
            span class={ "chip " (tone.as_str()) } { (row.verdict.as_str()) } " " b { (row.name) } ": " (row.found)
            @if row.verdict != Verdict::Ok { ", wanted: " (row.wanted) }
            @if !row.mend.is_empty() { p { "What helps: " (row.mend) } }
        }
    }
}

fn disks(disks: &[Disk]) -> Markup {
    html! {
        @if !disks.is_empty() {
            section.card aria-labelledby="h-disks" {
                h2 #h-disks { "Disks" small { "as its agent judged them last" } }
                ul.checks {
                    @for disk in disks {
                        li {
                            b { (disk.path) } " " small { @if let Some(size) = disk.size { (Bytes::new(size)) } @if !disk.model.is_empty() { " " (disk.model) } }
                            @if disk.is_free() { ": was free" } @else { ": is left alone, because " (disk.not_free.join("; ")) }
                        }
                    }
                }
            }
        }
    }
}

fn agent(member: &Member, renewal: Option<&str>, now: Timestamp) -> Markup {
    let (facts, host) = (member.facts.as_ref(), member.host.as_ref());
    html! {
        section.card aria-labelledby="h-agent" {
            h2 #h-agent { "Its agent" }
            dl {
                dt { "heard" } dd { @match facts { Some(facts) => (moment(facts.seen_at, now)), None => "never" } }
                @if !member.release.is_empty() { dt { "release" } dd { (member.release) @if let Some(renewal) = renewal { ", " (renewal) } } }
                @if let Some(facts) = facts {
                    dt { "kernel" } dd { (facts.kernel) }
                    @for (component, versions) in &facts.installed { dt { (component.as_str()) } dd { (versions.iter().map(|version| &**version).collect::<Vec<_>>().join(", ")) } }
                }
                @if let Some(host) = host {
                    @if let Some(cores) = host.cores { dt { "cores" } dd { (cores) } }
                    @if let Some(memory) = host.memory_mib { dt { "memory" } dd { (Bytes::new(memory << 20)) } }
                }
                @if let Some(order) = &member.order { dt { "is at work on" } dd { (order.task.name().replace('_', " ")) } }
                @if let Some(last) = member.outcomes.last() { dt { "last order" } dd { (outcome(last)) ", " (moment(last.at, now)) } }
            }
        }
    }
}

fn outcome(finished: &Finished) -> String {
    match &finished.outcome {
        Outcome::AlreadySo => "was so already".to_owned(),
        Outcome::Done => "done".to_owned(),
        Outcome::Failed { why } => format!("failed: {why}"),
        Outcome::Refused { why } => format!("refused: {why}"),
        Outcome::Unknown => "ended in a way that this version does not know".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, tone: Tone, phase: &str) -> NodeShown {
        NodeShown { name: name.to_owned(), tone, phase: phase.to_owned(), ..NodeShown::default() }
    }

    fn now() -> Timestamp {
        Timestamp::from_timestamp(0, 0).unwrap()
    }

    #[test]
    fn the_gravest_phase_is_counted_first_and_each_once() {
        let nodes = [
            node("a", Tone::Good, "ready"),
            node("b", Tone::Bad, "failed"),
            node("c", Tone::Good, "ready"),
            node("d", Tone::Warn, "ready"),
        ];
        assert_eq!(counts(&nodes), [("failed", 1), ("ready", 3)]);
        assert_eq!(phases(&nodes), "1 failed, 3 ready");
    }

    #[test]
    fn a_list_has_pages_whose_links_keep_what_was_asked() {
        let nodes: Vec<NodeShown> = (0..250).map(|n| node(&format!("n{n:03}"), Tone::Good, "in work")).collect();
        let asked = Asked { phase: Some("in work".to_owned()), text: Some("n".to_owned()), page: 1 };
        let page = list(&nodes, &asked, now()).into_string();
        assert_eq!(page.matches("<li>").count(), ON_A_PAGE);
        assert!(page.contains("node/n100") && page.contains("node/n199") && !page.contains("node/n200"), "{page}");
        assert!(page.contains("href=\"nodes?phase=in+work&amp;q=n\" rel=\"prev\""), "{page}");
        assert!(page.contains("href=\"nodes?phase=in+work&amp;q=n&amp;page=3\" rel=\"next\""), "{page}");
        // Beyond the last page is the last page.
        let last = list(&nodes, &Asked { page: 99, ..Asked::default() }, now()).into_string();
        assert!(last.contains("page 3 of 3") && last.contains("node/n249"), "{last}");
        let none = list(&nodes, &Asked { text: Some("zz".to_owned()), ..Asked::default() }, now()).into_string();
        assert!(none.contains("No node is so."), "{none}");
    }

    #[test]
    fn the_page_of_a_node_tells_what_is_wrong_first_and_what_helps() {
        let row = |name: &str, verdict, mend: &str| Row {
            name: name.to_owned(),
            found: "there".to_owned(),
            wanted: "free".to_owned(),
            verdict,
            mend: mend.to_owned(),
        };
        let rows = [row("clock", Verdict::Ok, ""), row("port 7072", Verdict::Fail, "stop who listens there")];
        let shown = preflight(&rows).into_string();
        let (bad, good) = (shown.find("port 7072").unwrap(), shown.find("clock").unwrap());
        assert!(bad < good && shown.contains("What helps: stop who listens there"), "{shown}");
        assert!(shown.contains("1 thing as it should be"), "{shown}");
        let disk = Disk {
            path: "/dev/sdc".to_owned(),
            size: Some(1 << 40),
            rotational: None,
            model: String::new(),
            serial: String::new(),
            wwn: String::new(),
            links: Vec::new(),
            not_free: vec!["xfs is on it".to_owned()],
        };
        let shown = disks(&[disk]).into_string();
        assert!(shown.contains("1.0 TiB") && shown.contains("is left alone, because xfs is on it"), "{shown}");
    }
}

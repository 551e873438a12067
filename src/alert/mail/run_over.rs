//! What the mail says at the end of a run: how it ended, and what was done to each node.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use chrono_tz::Tz;

use super::page::{Block, Fact, Tag, Tone, fact};
use super::show;
use crate::model::lifecycle::{RunReport, TaskReport};

/// Nodes of which a line is written; a mail has no room for a thousand.
const NODES: usize = 60;

/// Tag, title and first lines.
pub(super) fn lead(report: &RunReport, zone: Tz) -> (Tag, String, Vec<String>) {
    let (word, tone) = match report.end.as_str() {
        "done" => ("DONE", Tone::Good),
        "cancelled" => ("CANCELLED", Tone::Warning),
        _ => ("HALTED", Tone::Critical),
    };
    let what = show::line(&report.what, 200);
    let title = match what.char_indices().nth(1) {
        Some((second, _)) => {
            what.get(..second).unwrap_or_default().to_uppercase() + what.get(second..).unwrap_or_default()
        }
        None => what,
    };
    let span = format!(
        "From {} to {}, {}.",
        show::moment(report.opened_at, zone),
        show::moment(report.ended_at, zone),
        show::span(report.ended_at - report.opened_at)
    );
    let yes = format!("{}, approved by {}.", report.run, show::line(&report.approved_by, 200));
    let why = report.why.as_ref().map(|why| {
        let text = show::line(why, 500);
        match report.end.as_str() {
            "cancelled" => format!("Cancelled {text}. What was in work was undone."),
            _ => format!("It halted: {text}. Nothing more was begun, and what was in work was undone."),
        }
    });
    let single = (report.single_copy_seconds > 0).then(|| {
        let span = show::span(TimeDelta::seconds(report.single_copy_seconds));
        format!("Data of a node had one copy for {span} in all.")
    });
    let tag = Tag { word: word.to_owned(), tone };
    (tag, title, why.into_iter().chain([span, yes]).chain(single).collect())
}

/// What was done.
pub(super) fn blocks(report: &RunReport) -> Vec<Block> {
    let mut blocks = vec![Block::Heading("Stages".to_owned()), Block::Facts(stages(&report.tasks))];
    let wrong: Vec<String> = report
        .tasks
        .iter()
        .filter_map(|task| Some(format!("{}, {}: {}", task.node, task.stage, show::line(task.why.as_ref()?, 300))))
        .collect();
    if !wrong.is_empty() {
        blocks.push(Block::Heading("What went wrong, and was undone".to_owned()));
        blocks.push(Block::List(wrong));
    }
    let nodes = nodes(&report.tasks);
    blocks.push(Block::Heading("Nodes".to_owned()));
    let more = nodes.len().saturating_sub(NODES) + report.more;
    blocks.push(Block::Facts(nodes.into_iter().take(NODES).collect()));
    if more > 0 {
        blocks.push(Block::Text(format!("{} more; `sio runs` has all of them.", show::count(more, "task", "tasks"))));
    }
    blocks
}

/// How far each stage came.
fn stages(tasks: &[TaskReport]) -> Vec<Fact> {
    let mut stages: Vec<(&str, usize, usize)> = Vec::new();
    for task in tasks {
        if stages.last().is_none_or(|(name, ..)| *name != task.stage) {
            stages.push((&task.stage, 0, 0));
        }
        if let Some((_, done, all)) = stages.last_mut() {
            *all += 1;
            *done += usize::from(task.standing == "done");
        }
    }
    stages.into_iter().map(|(name, done, all)| fact(name, format!("{done} of {all} done"))).collect()
}

/// What was done to each node, and how long it took.
fn nodes(tasks: &[TaskReport]) -> Vec<Fact> {
    let mut nodes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for task in tasks {
        let time = task.seconds.map(|seconds| format!(" ({})", show::span(TimeDelta::seconds(seconds))));
        let single = (task.single_copy_seconds > 0)
            .then(|| format!(", one copy for {}", show::span(TimeDelta::seconds(task.single_copy_seconds))));
        let told =
            format!("{} {}{}{}", task.stage, task.standing, time.unwrap_or_default(), single.unwrap_or_default());
        nodes.entry(task.node.as_str()).or_default().push(told);
    }
    nodes.into_iter().map(|(node, told)| fact(node, told.join(", "))).collect()
}

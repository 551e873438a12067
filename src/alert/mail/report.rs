//! What the weekly report says, in order.

use chrono_tz::Tz;

use super::page::{Bar, Bars, Block, Fact, Tone, fact};
use super::{card, show};
use crate::model::alerting::{Incident, Number, PoolReport, Report, Unit};

/// More pools than this are told by their number.
const POOLS: usize = 40;

/// More silences than this are told by their number.
const SILENCES: usize = 15;

/// More incidents than this are told by their number.
const INCIDENTS: usize = 15;

pub(super) fn blocks(report: &Report, zone: Tz) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !report.advice.is_empty() {
        blocks.push(Block::Heading("What should be done".to_owned()));
        blocks.push(Block::List(report.advice.iter().map(|text| show::line(text, 500)).collect()));
    }
    blocks.push(Block::Heading("Capacity".to_owned()));
    if report.pools.is_empty() {
        blocks.push(Block::Text("No storage pool was seen.".to_owned()));
    } else {
        let rows = report.pools.iter().take(POOLS).map(bar).collect();
        blocks.push(Block::Bars(Bars { title: "How full the pools are".to_owned(), rows, note: None }));
        blocks.push(Block::Facts(report.pools.iter().take(POOLS).map(growth).collect()));
        if let Some(more) = report.pools.len().checked_sub(POOLS).filter(|more| *more > 0) {
            blocks.push(Block::Text(format!("{} more are less full.", show::count(more, "pool", "pools"))));
        }
    }
    blocks.push(Block::Heading("Health".to_owned()));
    blocks.push(Block::Facts(health(report)));
    if !report.silences.is_empty() {
        blocks.push(Block::Heading("Silences in force, the oldest first".to_owned()));
        let lines =
            report.silences.iter().take(SILENCES).map(|silence| {
                format!("since {}, {}", show::moment(silence.from, zone), card::silenced(silence, zone))
            });
        blocks.push(Block::List(lines.collect()));
        if let Some(more) = report.silences.len().checked_sub(SILENCES).filter(|more| *more > 0) {
            blocks.push(Block::Text(format!("{} more.", show::count(more, "silence", "silences"))));
        }
    }
    if !report.incidents.is_empty() {
        blocks.push(Block::Heading("What was wrong longest".to_owned()));
        blocks.push(Block::List(
            report.incidents.iter().take(INCIDENTS).map(|incident| sentence(incident, report, zone)).collect(),
        ));
        if let Some(more) = report.incidents.len().checked_sub(INCIDENTS).filter(|more| *more > 0) {
            blocks.push(Block::Text(format!("{} more were shorter.", show::count(more, "alert", "alerts"))));
        }
    }
    blocks
}

fn bar(pool: &PoolReport) -> Bar {
    let tone = match pool.used.0 {
        full if full >= 0.9 => Tone::Critical,
        high if high >= 0.8 => Tone::Warning,
        _ => Tone::Info,
    };
    Bar {
        label: show::line(&pool.name, 40),
        share: Some(pool.used.0).filter(|share| share.is_finite()),
        value: show::value(pool.used, Unit::Ratio),
        tone,
    }
}

fn growth(pool: &PoolReport) -> Fact {
    let mut text = format!(
        "{} of {} in use",
        show::value(pool.used_bytes, Unit::Bytes),
        show::value(pool.usable_bytes, Unit::Bytes)
    );
    match pool.growth_bytes {
        Some(Number(grown)) if grown > 0.0 => {
            text.push_str(&format!(", grew by {}", show::value(Number(grown), Unit::Bytes)));
        }
        Some(Number(grown)) if grown < 0.0 => {
            text.push_str(&format!(", shrank by {}", show::value(Number(-grown), Unit::Bytes)));
        }
        Some(_) => text.push_str(", did not grow"),
        None => {}
    }
    match pool.days_to_full {
        Some(Number(days)) if days.is_finite() => text.push_str(&format!(", full in {days:.0} days at this growth")),
        Some(_) | None => {}
    }
    fact(&show::line(&pool.name, 80), text)
}

fn health(report: &Report) -> Vec<Fact> {
    // What was not always so is never said to have been.
    let share = |part: Option<Number>| match part {
        None => "not known".to_owned(),
        Some(Number(part)) if (0.9995..1.0).contains(&part) => "more than 99.9 %".to_owned(),
        Some(part) => show::value(part, Unit::Ratio),
    };
    let rebuild = report.rebuild.map_or_else(
        || "not known".to_owned(),
        |rebuild| {
            if rebuild.seconds.0 <= 0.0 {
                return "nothing had to be rebuilt".to_owned();
            }
            let amount = |bytes| show::value(bytes, Unit::Bytes);
            let left = if rebuild.left_bytes.0 > 0.0 {
                format!("{} are left", amount(rebuild.left_bytes))
            } else {
                "nothing is left".to_owned()
            };
            let span = show::value(rebuild.seconds, Unit::Seconds);
            format!("went on for {span}, at most {} at once; {left}", amount(rebuild.most_bytes))
        },
    );
    vec![
        fact("Rebuild", rebuild),
        fact("Alerts", format!("{} critical, {} warning, {} info", report.critical, report.warning, report.info)),
        fact("Protected", format!("{} of the time all data had all its copies", share(report.protected))),
        fact("Answered", format!("{} of the time", share(report.answered))),
    ]
}

fn sentence(incident: &Incident, report: &Report, zone: Tz) -> String {
    let span = show::span(incident.to.unwrap_or(report.to) - incident.from);
    let when = show::moment(incident.from, zone);
    let end = if incident.to.is_some() { format!("for {span}") } else { format!("for {span} so far") };
    format!("{}: {} {end}, from {when}", incident.severity, show::line(&incident.summary, 200))
}

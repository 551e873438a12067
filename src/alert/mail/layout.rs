//! What a mail says about a notification, in order.

use chrono::TimeDelta;

use super::link::{Act, Claim};
use super::page::{Bar, Bars, Block, Fact, Lead, Link, Page, Tag, Tone, fact};
use super::{Settings, card, link, report, run_over, show, subject};
use crate::model::alerting::{
    Chart, Held, HoldReason, Item, Kind, Notification, Number, Outlook, Severity, Target, Unit,
};
use crate::model::status::SystemStatus;
use crate::model::unit::Timestamp;

/// Alerts that are told in full; of others, a line says what they are.
const CARDS: usize = 20;

/// Bars of a chart: six hours in halves fit on a phone without scrolling far.
const BARS: usize = 12;

/// A mail that comes so late says so.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// How long the link in a mail silences.
const SILENCE: u32 = 4 * 3600;

/// Lays a mail out. It is the same whenever it is sent, but for what `now` must
/// change: a note that it comes late, and the end of its links.
pub(super) fn page(n: &Notification, settings: &Settings, now: Timestamp) -> Page {
    let mut blocks = Vec::new();
    if now - n.created_at > LATE {
        let text = format!(
            "This mail comes late: it was decided at {} and could be sent only now, {} later. What follows is as it was then.",
            show::moment(n.created_at, settings.time_zone),
            show::span(now - n.created_at)
        );
        blocks.push(Block::Text(text));
    }
    blocks.extend(n.left_out.iter().map(|text| Block::Text(show::line(text, 500))));
    // Near the top: who is woken up must not search for it.
    act(&mut blocks, n, settings, now);
    match &n.kind {
        Kind::Report(report) => blocks.extend(report::blocks(report, settings.time_zone)),
        Kind::RunOver(report) => blocks.extend(run_over::blocks(report)),
        Kind::Digest => digest(&mut blocks, n, settings),
        Kind::Firing
        | Kind::Update
        | Kind::Reminder
        | Kind::Resolved
        | Kind::HappenedMeanwhile
        | Kind::Heartbeat
        | Kind::Test { .. }
        | Kind::Flapping { .. }
        | Kind::Escalation { .. }
        | Kind::SilenceEnds { .. }
        | Kind::Storm { .. } => alerts(&mut blocks, n, settings),
    }
    blocks.extend(n.charts.iter().map(|chart| Block::Bars(bars(chart, settings))));
    if let Some(status) = &n.status {
        blocks.push(Block::Heading(format!("State of {}", show::line(&status.system, 63))));
        blocks.push(Block::Facts(state(status, &n.outlook)));
    }
    if !n.changes.is_empty() {
        blocks.push(Block::Heading("What changed in the last hour".to_owned()));
        let line = |at, what: &str| format!("{}: {}", show::clock(at, settings.time_zone), show::line(what, 300));
        blocks.push(Block::List(n.changes.iter().map(|change| line(change.at, &change.what)).collect()));
    }
    if !n.held.is_empty() {
        let heading = if matches!(n.kind, Kind::RunOver(_)) { "Not told meanwhile" } else { "Not told at its time" };
        blocks.push(Block::Heading(heading.to_owned()));
        blocks.push(Block::List(n.held.iter().map(|held| held_line(held, settings)).collect()));
    }
    if !n.commands.is_empty() {
        blocks.push(Block::Heading("Commands".to_owned()));
        blocks.push(Block::Code(n.commands.iter().map(|line| show::line(line, 500)).collect()));
    }
    Page { lead: lead(n, settings), blocks, foot: foot(n, settings) }
}

fn alerts(blocks: &mut Vec<Block>, n: &Notification, settings: &Settings) {
    // What is over comes first when the mail is about that.
    let over_first = matches!(n.kind, Kind::Resolved | Kind::HappenedMeanwhile);
    let (firing, resolved): (Vec<&Item>, Vec<&Item>) = n.items.iter().partition(|item| !item.alert.is_resolved());
    let both = !firing.is_empty() && !resolved.is_empty();
    let parts = [("Still firing", firing, over_first), ("Resolved", resolved, !over_first)];
    let (first, second) = (parts.iter().filter(|part| !part.2), parts.iter().filter(|part| part.2));
    for (heading, items, _) in first.chain(second) {
        if both {
            blocks.push(Block::Heading((*heading).to_owned()));
        }
        listed(blocks, items, CARDS, n, settings);
    }
}

fn digest(blocks: &mut Vec<Block>, n: &Notification, settings: &Settings) {
    let (open, resolved): (Vec<&Item>, Vec<&Item>) = n.items.iter().partition(|item| !item.alert.is_resolved());
    for (heading, items, cards, none) in
        [("Open", open, CARDS, "Nothing is open."), ("Resolved", resolved, 0, "Nothing was resolved.")]
    {
        blocks.push(Block::Heading(heading.to_owned()));
        if items.is_empty() {
            blocks.push(Block::Text(none.to_owned()));
        }
        listed(blocks, &items, cards, n, settings);
    }
}

/// The first ones in full, the others by a line each.
fn listed(blocks: &mut Vec<Block>, items: &[&Item], cards: usize, n: &Notification, settings: &Settings) {
    let (full, short) = items.split_at(items.len().min(cards));
    // What stands at the top as a whole is not said again: a phone shows few lines.
    let above = first_step(n).filter(|(_, _, all)| *all).map(|(item, ..)| item.alert.fingerprint());
    blocks.extend(full.iter().map(|item| {
        let mut card = card::card(item, settings, n.created_at);
        if above == Some(item.alert.fingerprint()) {
            card.text.clear();
        }
        Block::Card(card)
    }));
    if !short.is_empty() {
        let lines = short.iter().map(|item| card::sentence(&item.alert, settings, n.created_at)).collect();
        blocks.push(Block::List(lines));
    }
}

fn lead(n: &Notification, settings: &Settings) -> Lead {
    let place = subject::place(n);
    let zone = settings.time_zone;
    let what = (format!("System {place}"), subject::area(&n.group.area));
    let about = if n.group.system.is_some() { format!("{}, {}", what.0, what.1) } else { what.1 };
    let since = n.items.iter().map(|item| item.alert.active_since).min();
    let since = |word: &str| {
        since.map_or_else(
            || format!("{about}."),
            |at| format!("{about}. {word} {}, for {}.", show::moment(at, zone), show::span(n.created_at - at)),
        )
    };
    let title = headline(n);
    let good = |word: &str| Tag { word: word.to_owned(), tone: Tone::Good };
    let (tag, title, lines) = match &n.kind {
        Kind::Firing | Kind::Update => (card::severity(n.severity()), title, vec![since("Since")]),
        Kind::Reminder => {
            let nobody = "Nobody has acknowledged it yet.".to_owned();
            (card::severity(n.severity()), title, vec![since("Still firing, since"), nobody])
        }
        Kind::Resolved => (good("RESOLVED"), title, vec![over(n, &about, settings)]),
        Kind::HappenedMeanwhile => {
            let text = "It began and ended while mail was down; no earlier mail told of it.".to_owned();
            (good("RESOLVED"), title, vec![over(n, &about, settings), text])
        }
        Kind::Digest => {
            let (open, resolved) = (n.firing().count(), n.resolved().count());
            let title = format!("{open} open, {resolved} resolved");
            let text = "What was not grave enough to wake anybody, in one mail.".to_owned();
            (Tag { word: "DIGEST".to_owned(), tone: Tone::Info }, title, vec![text])
        }
        Kind::Report(report) => {
            // The last day of the span, not the midnight that ends it.
            let last = (report.to - TimeDelta::seconds(1)).with_timezone(&zone);
            let span = format!("From {} to {}.", show::day(report.from, zone), last.format("%-d %b %Y"));
            let title = format!("Capacity and health of {place}");
            (Tag { word: "REPORT".to_owned(), tone: Tone::Info }, title, vec![span])
        }
        Kind::RunOver(report) => run_over::lead(report, zone),
        Kind::Heartbeat => {
            let text =
                "This mail shows that alert mails arrive. When it stops to come, alerts do not reach you either.";
            (good("HEARTBEAT"), "Alert mails arrive".to_owned(), vec![text.to_owned()])
        }
        Kind::Test { by } => {
            let text = format!(
                "{} asked for this mail to see whether alert mails arrive. Nothing is wrong.",
                show::line(by, 100)
            );
            (good("TEST"), "A mail to try the way".to_owned(), vec![text])
        }
        Kind::Flapping { changes, since: counted } => {
            let span = show::span(n.created_at - *counted);
            let text = format!("It changed {changes} times in {span}. No more is told until it has been stable.");
            (Tag { word: "FLAPPING".to_owned(), tone: Tone::Warning }, title, vec![since("First"), text])
        }
        Kind::Escalation { told, since: first } => {
            let span = show::span(n.created_at - *first);
            let text =
                format!("{} was told {span} ago, and nobody acknowledged it.", show::line(&told.join(", "), 200));
            (card::severity(n.severity()), title, vec![since("Still firing, since"), text])
        }
        Kind::SilenceEnds { silence } => {
            let end = show::moment(silence.until, zone);
            let text = format!(
                "{} silenced {} ({}). The silence ends at {end}, and what it keeps silent still fires.",
                show::line(&silence.owner, 100),
                show::line(&silence.what(), 300),
                show::line(&silence.reason, 300)
            );
            (card::severity(n.severity()), "A silence is about to end".to_owned(), vec![text])
        }
        Kind::Storm { critical, warning, info } => {
            let all = critical.saturating_add(*warning).saturating_add(*info);
            let title = format!("{all} alerts at once");
            let text = format!("{about}. {critical} critical, {warning} warning, {info} info.");
            let next = format!("The first causes follow ({}); the page has all of them.", n.items.len());
            (card::severity(n.severity()), title, vec![text, next])
        }
    };
    let mut lines = lines;
    if let Some((_, first, _)) = first_step(n) {
        lines.push(first);
    }
    Lead { tag, title, lines }
}

/// The gravest alert by its summary, and how many more there are.
fn headline(n: &Notification) -> String {
    let over = matches!(n.kind, Kind::Resolved | Kind::HappenedMeanwhile);
    // Of those that are as grave as another, the first one.
    let told = n.items.iter().filter(|item| item.alert.is_resolved() == over).rev();
    match told.max_by_key(|item| item.alert.severity) {
        Some(gravest) if n.items.len() > 1 => {
            format!("{}, and {} more", subject::summary(&gravest.alert), n.items.len() - 1)
        }
        Some(only) => subject::summary(&only.alert),
        None => subject::topic(n),
    }
}

/// What it means and what to do first: whole sentences from the description of the gravest alert, and whether they are
/// all of it.
fn first_step(n: &Notification) -> Option<(&Item, String, bool)> {
    const ROOM: usize = 240;
    let gravest = n.firing().max_by_key(|item| item.alert.severity)?;
    let text = show::line(&gravest.alert.annotations.description, 4 * ROOM);
    let ends = text.match_indices(". ").map(|(at, _)| at + 1).chain([text.len()]);
    let whole = ends.filter(|end| *end <= ROOM).max().and_then(|end| text.get(..end));
    let shown = whole.map_or_else(|| show::line(&text, ROOM), str::to_owned);
    let all = shown == text;
    (!shown.is_empty()).then_some((gravest, shown, all))
}

fn over(n: &Notification, about: &str, settings: &Settings) -> String {
    let resolved: Vec<_> = n.resolved().map(|item| &item.alert).collect();
    let longest = resolved.iter().filter_map(|alert| subject::lasted(alert)).max();
    let began = resolved.iter().map(|alert| alert.active_since).min();
    let left = n.firing().count();
    let mut text = format!("{about}.");
    if let (Some(began), Some(longest)) = (began, longest) {
        text.push_str(&format!(
            " Over after {}; it began at {}.",
            show::span(longest),
            show::moment(began, settings.time_zone)
        ));
    }
    if left > 0 {
        text.push_str(&format!(" {} of this group.", show::count(left, "alert still fires", "alerts still fire")));
    }
    text
}

/// The state of a system in five lines.
fn state(status: &SystemStatus, outlook: &Outlook) -> Vec<Fact> {
    let unknown = || "not known".to_owned();
    let mdm = status.mdm.as_ref().map_or_else(unknown, |mdm| {
        let primary = mdm.primary.as_ref().map(|name| format!(", primary {}", show::line(name, 80)));
        let good = mdm.good_nodes.map(|good| format!(", {good} good"));
        let (state, mode) = (show::line(&mdm.state, 60), show::line(&mdm.mode, 60));
        format!("{state} ({mode}){}{}", primary.unwrap_or_default(), good.unwrap_or_default())
    });
    let sds = status.sds.as_ref().map_or_else(unknown, |sds| format!("{} of {} connected", sds.connected, sds.total));
    let amount = |bytes: u64| show::value(Number(bytes as f64), Unit::Bytes);
    let data = status.data.as_ref().map_or_else(unknown, |data| {
        format!("{} degraded, {} failed", amount(data.degraded_bytes), amount(data.failed_bytes))
    });
    let rebuild = status.rebuild.as_ref().map_or_else(unknown, |rebuild| {
        if rebuild.left_bytes == 0 {
            return "nothing to rebuild".to_owned();
        }
        let rate =
            rebuild.bytes_per_second.map(|rate| format!(" at {}", show::value(Number(rate), Unit::BytesPerSecond)));
        let left = outlook.rebuild_seconds.map(|left| format!(", about {}", show::value(left, Unit::Seconds)));
        format!("{} left{}{}", amount(rebuild.left_bytes), rate.unwrap_or_default(), left.unwrap_or_default())
    });
    let capacity = status.capacity.as_ref().map_or_else(unknown, |capacity| {
        let used = capacity.in_use_bytes as f64 / (capacity.max_bytes.max(1)) as f64;
        let full = outlook.days_to_full.map(|days| format!(", first pool full in {:.0} days", days.0));
        format!(
            "{} of {} in use ({}){}",
            amount(capacity.in_use_bytes),
            amount(capacity.max_bytes),
            show::value(Number(used), Unit::Ratio),
            full.unwrap_or_default()
        )
    });
    vec![fact("MDM", mdm), fact("SDS", sds), fact("Data", data), fact("Rebuild", rebuild), fact("Capacity", capacity)]
}

/// A chart as bars, with neighbours put together by their largest value.
fn bars(chart: &Chart, settings: &Settings) -> Bars {
    let size = chart.values.len().div_ceil(BARS).max(1);
    let groups = chart
        .values
        .chunks(size)
        .map(|group| group.iter().flatten().map(|number| number.0).filter(|value| value.is_finite()).reduce(f64::max));
    let groups: Vec<Option<f64>> = groups.collect();
    let limit = chart.threshold.map(|limit| limit.0).filter(|limit| limit.is_finite());
    let top = groups.iter().flatten().copied().chain(limit).fold(0.0, f64::max);
    let step = i64::from(chart.step_seconds).saturating_mul(i64::try_from(size).unwrap_or(1));
    let rows = groups.iter().enumerate().map(|(at, value)| {
        let offset = step.saturating_mul(i64::try_from(at).unwrap_or(0));
        let time = chart.from + TimeDelta::try_seconds(offset).unwrap_or_default();
        let over = matches!((value, limit), (Some(value), Some(limit)) if *value > limit);
        Bar {
            label: show::clock(time, settings.time_zone),
            share: value.filter(|_| top > 0.0).map(|value| value / top),
            value: value.map_or_else(|| "not seen".to_owned(), |value| show::value(Number(value), chart.unit)),
            tone: if over { Tone::Critical } else { Tone::Info },
        }
    });
    let note = chart.threshold.map(|limit| format!("Limit: {}", show::value(limit, chart.unit)));
    Bars { title: show::line(&chart.title, 100), rows: rows.collect(), note }
}

fn held_line(held: &Held, settings: &Settings) -> String {
    let why = match &held.reason {
        HoldReason::RateLimit => "more mails than the route takes in an hour".to_owned(),
        HoldReason::QuietHours => "quiet hours".to_owned(),
        HoldReason::Work { what } => format!("explained by {}", show::line(what, 200)),
        HoldReason::Storm => "too much at once".to_owned(),
        HoldReason::Flapping => "it came and went".to_owned(),
        HoldReason::OutboxFull => "the outbox was full".to_owned(),
    };
    let at = show::moment(held.at, settings.time_zone);
    format!("{at}, {}: {} ({why})", held.severity, show::line(&held.summary, 200))
}

/// Where to look and what to press.
fn act(blocks: &mut Vec<Block>, n: &Notification, settings: &Settings, now: Timestamp) {
    let mut links = Vec::new();
    let dashboard = n.links.dashboard.clone().or_else(|| link::dashboard(settings.dashboards_url.as_ref()?, n));
    let page = n.links.page.clone().or_else(|| settings.base_url.as_ref().map(ToString::to_string));
    let urls = [("Dashboard", dashboard), ("Page", page)];
    links.extend(urls.into_iter().filter_map(|(word, url)| Link::new(word, &url?)));
    let until = now + settings.link_valid;
    if n.firing().next().is_some()
        && let (Some(base), Some(key)) = (&settings.base_url, &settings.link_key)
    {
        let on = match n.items.as_slice() {
            [only] => Target::Alert(only.alert.fingerprint()),
            _ => Target::Group(n.group.clone()),
        };
        for (word, act) in [("Acknowledge", Act::Acknowledge), ("Silence for 4 h", Act::Silence { seconds: SILENCE })] {
            let claim = Claim { act, on: on.clone(), mail: n.id.clone(), until };
            let mut url = base.clone();
            if let Ok(mut path) = url.path_segments_mut() {
                path.pop_if_empty().push("act");
            }
            url.query_pairs_mut().append_pair("token", &link::make(key, &claim));
            links.extend(Link::new(word, url.as_str()));
        }
    }
    if links.is_empty() {
        return;
    }
    let acting = links.iter().any(|link| link.word == "Acknowledge");
    blocks.push(Block::Links(links));
    if acting {
        let end = show::moment(until, settings.time_zone);
        blocks.push(Block::Text(format!("The last two ask before they act, and work until {end}.")));
    }
}

fn foot(n: &Notification, settings: &Settings) -> Vec<String> {
    let mut foot = vec![format!(
        "You get this mail because the route {} of sio names your address. To change that, edit [mail] and the routes in its configuration.",
        show::line(&n.route, 80)
    )];
    foot.push(format!(
        "Sent by scaleio-framework {} on {}, notification {}.",
        settings.version,
        show::line(&settings.instance, 100),
        n.id
    ));
    if n.severity() == Severity::Critical && n.firing().next().is_some() {
        foot.push("Reminders come until somebody acknowledges it or it is over.".to_owned());
    }
    foot
}

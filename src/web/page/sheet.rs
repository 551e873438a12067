//! The small pages: one alert with what people can do about it, one silence, and what a link of a mail does.

use maud::{DOCTYPE, Markup, html};

use super::alerts::{standing, tone};
use super::show::moment;
use crate::model::alerting::{LinkShown, Reading, Silence, Unit};
use crate::model::person::{Person, Role};
use crate::model::unit::Timestamp;
use crate::web::overview::AlertShown;

/// Who looks at a form, and what shows that a form is ours.
pub(in crate::web) struct Reader<'a> {
    /// Who.
    pub(in crate::web) person: &'a Person,
    /// What no other site knows.
    pub(in crate::web) token: &'a str,
    /// Whether somebody hears of what is done here.
    pub(in crate::web) can_act: bool,
}

/// What was just done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::web) enum Did {
    /// Somebody works on it.
    Acknowledged,
    /// Nobody is told.
    Silenced,
    /// People are told again.
    Ended,
}

impl Did {
    /// Every act.
    pub(in crate::web) const ALL: [Self; 3] = [Self::Acknowledged, Self::Silenced, Self::Ended];

    /// Its word in an address.
    pub(in crate::web) const fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Silenced => "silenced",
            Self::Ended => "ended",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Acknowledged => "Done: it is noted who works on it. Everybody who is told of this alert sees it.",
            Self::Silenced => "Done: nobody is told of it until the silence ends.",
            Self::Ended => "Done: the silence has ended, and people are told again.",
        }
    }
}

/// Labels that say what is said elsewhere, or nothing to people.
const TOLD: [&str; 4] = ["alertname", "severity", "instance", "job"];

/// How long something lasts, in seconds, as a form offers it.
const SPANS: [(u64, &str); 5] =
    [(3_600, "1 hour"), (14_400, "4 hours"), (28_800, "8 hours"), (86_400, "1 day"), (604_800, "1 week")];

/// One alert.
pub(in crate::web) fn alert(shown: &AlertShown, reader: &Reader<'_>, did: Option<Did>, now: Timestamp) -> Markup {
    let alert = &shown.alert;
    sheet(
        "../",
        &alert.annotations.summary,
        Width::Narrow,
        &html! {
            @if let Some(did) = did { p.done role="status" { (did.sentence()) } }
            section.card {
                p { span class={ "chip " (tone(alert.severity)) } { (alert.severity.as_str()) } }
                p { (standing(alert, shown.handled.as_ref(), now)) }
                @if !alert.annotations.description.is_empty() { p { (alert.annotations.description) } }
                @if let Some(hurt) = &shown.hurt { p { b { "Depends on it: " } (hurt) } }
                @if let Some(url) = alert.annotations.runbook_url.as_deref().filter(|url| url.starts_with("https://")) {
                    p { a href=(url) rel="noreferrer" { "What to do first (runbook)" } }
                }
                dl {
                    @if let Some(reading) = &alert.reading { dt { "measured" } dd { (measured(reading)) } }
                    @for (name, value) in alert.labels.iter().filter(|(name, _)| !TOLD.contains(&name.as_str())) { dt { (name) } dd { (value) } }
                }
            }
            @if !reader.can_act {
                p { "Nobody is told of alerts here, so there is nothing to acknowledge or to silence." }
            } @else if reader.person.role < Role::Operator {
                p { "You may look only: acting takes the role operator." }
            } @else {
                section.card #acknowledge aria-labelledby="h-ack" {
                    h2 #h-ack { "Acknowledge" }
                    p { "You work on it: no reminders and no escalation to others. The alert goes on to be shown." }
                    form method="post" action={ (shown.fingerprint) "/acknowledge" } {
                        (hidden(reader))
                        (who(reader))
                        label { "Comment (may be left empty)" input type="text" name="comment" maxlength="500"; }
                        label { "For" select name="seconds" { option value="" { "until it is over" } (spans()) } }
                        button type="submit" { "Acknowledge" }
                    }
                }
                section.card #silence aria-labelledby="h-silence" {
                    h2 #h-silence { "Silence" }
                    p { "Nobody is told of it until the silence ends. It goes on to be evaluated and shown." }
                    form method="post" action={ (shown.fingerprint) "/silence" } {
                        (hidden(reader))
                        (who(reader))
                        label { "Reason" input type="text" name="reason" maxlength="500" required; }
                        label { "What" select name="scope" {
                            option value="this" { "this alert only" }
                            option value="name" { "every " (alert.name) @if let Some(system) = &alert.system { " of " (system) } }
                        } }
                        label { "For" select name="seconds" { (spans()) } }
                        button type="submit" { "Silence" }
                    }
                }
            }
        },
    )
}

/// One silence, with the way to end it.
pub(in crate::web) fn silence(silence: &Silence, reader: &Reader<'_>, now: Timestamp) -> Markup {
    sheet(
        "../",
        "End a silence",
        Width::Narrow,
        &html! {
            section.card {
                dl {
                    dt { "silent" } dd { code { (silence.what()) } }
                    dt { "by" } dd { (silence.owner) }
                    dt { "reason" } dd { (silence.reason) }
                    dt { "until" } dd { (moment(silence.until, now)) }
                }
                @if !silence.is_active(now) {
                    p { b { "It is not in force." } }
                } @else if reader.person.role < Role::Operator {
                    p { "You may look only: acting takes the role operator." }
                } @else {
                    p { "When it ends, people are told of what still fires." }
                    form method="post" action={ (silence.id) "/end" } {
                        (hidden(reader))
                        (who(reader))
                        button type="submit" { "End the silence" }
                    }
                }
            }
        },
    )
}

fn hidden(reader: &Reader<'_>) -> Markup {
    html! { input type="hidden" name="form" value=(reader.token); }
}

fn who(reader: &Reader<'_>) -> Markup {
    html! {
        @match &reader.person.name {
            Some(name) => p { "As " b { (name) } "." },
            None => label { "Your name" input type="text" name="by" maxlength="100" required autocomplete="name"; },
        }
    }
}

fn spans() -> Markup {
    html! { @for (seconds, text) in SPANS { option value=(seconds) { (text) } } }
}

fn measured(reading: &Reading) -> String {
    let write = |value: f64| match reading.unit {
        Unit::Ratio => super::show::percent(value),
        Unit::Seconds => super::show::seconds(value),
        Unit::BytesPerSecond => super::show::rate(value),
        Unit::Bytes => super::show::rate(value).trim_end_matches("/s").to_owned(),
        Unit::PerSecond => super::show::per_second(value),
        Unit::Plain | Unit::UnixTime => format!("{value}"),
    };
    let mut text = write(reading.value.0);
    if let Some(threshold) = reading.threshold {
        text.push_str(&format!(", the threshold is {}", write(threshold.0)));
    }
    text
}

/// Where people log in. `to` is where they go on.
pub(in crate::web) fn log_in(to: &str, why_not: Option<&str>) -> Markup {
    framed(
        "",
        "Log in",
        Width::Narrow,
        // Every other page leads back here.
        &html! {},
        &html! {
            section.card {
                @if let Some(why) = why_not { p role="alert" { strong { (why) } } }
                form method="post" action="login" {
                    input type="hidden" name="to" value=(to);
                    label { "User" input type="text" name="user" maxlength="200" required autocomplete="username" autocapitalize="none" autofocus; }
                    label { "Password" input type="password" name="password" maxlength="1000" required autocomplete="current-password"; }
                    button type="submit" { "Log in" }
                }
                p { small { "It is good for 12 hours, or until you log out." } }
            }
        },
    )
}

/// Asks once more, from a page of ours: where another site leads here, the browser keeps our cookie back.
pub(in crate::web) fn again() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content="0";
                title { "ScaleIO" }
            }
            body { p { "One moment." } }
        }
    }
}

/// What the link of a mail does, and the button that does it.
pub(in crate::web) fn confirm(link: &LinkShown, token: &str) -> Markup {
    let gone = link.alerts.is_empty() && link.done.is_none();
    sheet(
        "",
        "Alert",
        Width::Narrow,
        &html! {
            section.card {
                p { (link.what) }
                (meant(link))
                @if let Some(done) = &link.done {
                    p { strong { (done) } }
                } @else if gone {
                    p { strong { "Nothing of it fires any more." } }
                } @else {
                    form method="post" action="act" {
                        input type="hidden" name="token" value=(token);
                        label { "Your name" input type="text" name="by" maxlength="100" autocomplete="name"; }
                        button type="submit" { "Do it" }
                    }
                }
                p { small { "The link acts until " (link.until.format("%Y-%m-%d %H:%M UTC")) "." } }
            }
        },
    )
}

/// What the link of a mail did.
pub(in crate::web) fn done(link: &LinkShown) -> Markup {
    let done = link.done.as_deref().unwrap_or("Done.");
    sheet("", "Done", Width::Narrow, &html! { section.card { p.done { (done) } (meant(link)) } })
}

/// Why there is nothing to be seen. `root` leads to the first page.
pub(in crate::web) fn missing(root: &str, why: &str) -> Markup {
    sheet(root, "Nothing is there", Width::Narrow, &html! { section.card.warn { p { (why) } } })
}

/// Why nothing is done. `root` leads to the first page.
pub(in crate::web) fn refused(root: &str, why: &str) -> Markup {
    sheet(root, "Nothing was done", Width::Narrow, &html! { section.card.warn { p { (why) } } })
}

fn meant(link: &LinkShown) -> Markup {
    html! { @if !link.alerts.is_empty() { ul.plain { @for alert in &link.alerts { li { (alert) } } } } }
}

/// How much of a screen a small page takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// What is read as text.
    Narrow,
    /// A list.
    Broad,
}

/// A small page, with a way back.
pub(super) fn sheet(root: &str, title: &str, width: Width, inner: &Markup) -> Markup {
    let first = if root.is_empty() { "." } else { root };
    let back = html! { nav aria-label="Back" { a href=(first) { "← All systems" } } };
    framed(root, title, width, &back, inner)
}

fn framed(root: &str, title: &str, width: Width, above: &Markup, inner: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { "ScaleIO: " (title) }
                link rel="stylesheet" href={ (root) "style.css" };
            }
            body {
                main.sheet.broad[width == Width::Broad] {
                    (above)
                    h1 { (title) }
                    (inner)
                }
            }
        }
    }
}

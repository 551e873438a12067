//! A page as HTML for mail readers: one column, styles on the elements, no
//! pictures, no scripts, nothing from elsewhere.
//!
//! No colour of text or background is set but behind the words of severity
//! and in bars, both readable on white and on black: a reader in dark mode
//! keeps its own colours, and none has to guess which of ours to turn around.

use maud::{DOCTYPE, Markup, html};

use super::page::{Bar, Bars, Block, Card, Fact, Link, Page, Tag, Tone};

/// Fonts that are there; Outlook falls back to Times without the last word.
const FONT: &str =
    "font-family:-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif;font-size:15px;line-height:1.45;";
const WRAP: &str = "overflow-wrap:anywhere;word-break:break-word;";
/// Seen on white and on black.
const RULE: &str = "#8a8f98";

/// Writes a page.
pub fn write(title: &str, page: &Page) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="supported-color-schemes" content="light dark";
                title { (title) }
            }
            body style={ "margin:0;padding:0;" (FONT) } {
                div style={ "max-width:640px;margin:0 auto;padding:16px;" (FONT) (WRAP) } {
                    div {
                        (tag(&page.lead.tag)) " "
                        strong style="font-size:18px;line-height:1.35;" { (page.lead.title) }
                    }
                    @for line in &page.lead.lines {
                        div style="margin-top:6px;" { (line) }
                    }
                    @for block in &page.blocks { (write_block(block)) }
                    div style={ "margin-top:24px;padding-top:8px;border-top:1px solid " (RULE) ";font-size:13px;" } {
                        @for line in &page.foot { div { (line) } }
                    }
                }
            }
        }
    };
    markup.into_string()
}

fn write_block(block: &Block) -> Markup {
    match block {
        Block::Heading(text) => html! {
            h2 style={ "font-size:16px;margin:24px 0 0 0;padding-bottom:4px;border-bottom:1px solid " (RULE) ";" } { (text) }
        },
        Block::Card(card) => write_card(card),
        Block::Facts(facts) => html! { div style="margin-top:10px;" { (write_facts(facts)) } },
        Block::Text(text) => write_text(text),
        Block::List(items) => html! {
            ul style="margin:10px 0 0 0;padding-left:20px;" {
                @for item in items { li { (item) } }
            }
        },
        Block::Bars(bars) => write_bars(bars),
        Block::Links(links) => html! {
            div style="margin-top:10px;" {
                @for link in links { span style="display:inline-block;padding:4px 18px 4px 0;" { (anchor(link)) } " " }
            }
        },
        Block::Code(lines) => html! {
            @for line in lines {
                div style={ "margin-top:8px;padding:6px 8px;border:1px solid " (RULE) ";font-family:'DejaVu Sans Mono',Consolas,Menlo,monospace;font-size:13px;" } { (line) }
            }
        },
    }
}

fn write_card(card: &Card) -> Markup {
    html! {
        div style={ "margin-top:14px;padding:2px 0 2px 12px;border-left:4px solid " (colour(card.tag.tone)) ";" } {
            div { (tag(&card.tag)) " " strong { (card.title) } }
            @if !card.text.is_empty() { (write_text(&card.text)) }
            div style="margin-top:8px;" { (write_facts(&card.facts)) }
            @for link in &card.links { div style="margin-top:8px;" { (anchor(link)) } }
        }
    }
}

fn write_text(text: &str) -> Markup {
    html! {
        @for line in text.lines().filter(|line| !line.trim().is_empty()) {
            div style="margin-top:8px;" { (line) }
        }
    }
}

/// Two columns; on a phone the name still has room, since it is short.
fn write_facts(facts: &[Fact]) -> Markup {
    html! {
        table role="presentation" cellpadding="0" cellspacing="0" border="0" style="border-collapse:collapse;width:100%;" {
            @for (name, value) in facts {
                tr {
                    td style={ (FONT) "font-size:14px;vertical-align:top;padding:2px 12px 2px 0;width:116px;" } { (name) ":" }
                    td style={ (FONT) (WRAP) "font-size:14px;vertical-align:top;padding:2px 0;" } { (glue(value)) }
                }
            }
        }
    }
}

fn write_bars(bars: &Bars) -> Markup {
    html! {
        div style="margin-top:14px;" { (bars.title) }
        table role="presentation" cellpadding="0" cellspacing="0" border="0" style="border-collapse:collapse;width:100%;margin-top:4px;" {
            @for row in &bars.rows { (write_bar(row)) }
        }
        @if let Some(note) = &bars.note {
            div style="font-size:13px;margin-top:4px;" { (note) }
        }
    }
}

/// A bar is a table of two cells, since readers keep widths of cells and drop most else.
fn write_bar(row: &Bar) -> Markup {
    let percent = row.share.map_or(0, |share| (share.clamp(0.0, 1.0) * 100.0).round() as u32);
    html! {
        tr {
            td style={ (FONT) "font-size:13px;padding:2px 8px 2px 0;white-space:nowrap;vertical-align:middle;width:1%;" } { (row.label) }
            td style="padding:2px 0;vertical-align:middle;" {
                table role="presentation" cellpadding="0" cellspacing="0" border="0" style={ "border-collapse:collapse;width:100%;border:1px solid " (RULE) ";" } {
                    tr {
                        @if percent > 0 {
                            td width={ (percent) "%" } bgcolor=(colour(row.tone)) style={ "width:" (percent) "%;height:12px;line-height:12px;font-size:1px;background-color:" (colour(row.tone)) ";" } {}
                        }
                        @if percent < 100 {
                            td style="height:12px;line-height:12px;font-size:1px;" {}
                        }
                    }
                }
            }
            td style={ (FONT) "font-size:13px;padding:2px 0 2px 8px;white-space:nowrap;vertical-align:middle;width:1%;" } { (row.value) }
        }
    }
}

/// A percent sign never begins a line.
fn glue(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
}

fn tag(tag: &Tag) -> Markup {
    html! {
        span style={ "display:inline-block;padding:1px 7px;border-radius:3px;font-size:13px;font-weight:bold;color:#ffffff;background-color:" (colour(tag.tone)) ";" } { (tag.word) ":" }
    }
}

fn anchor(link: &Link) -> Markup {
    html! { a href=(link.to) rel="noopener noreferrer" { (link.word) } }
}

/// Each with a contrast of at least 4.5 to the white on it, and 3 to black and white beside it.
const fn colour(tone: Tone) -> &'static str {
    match tone {
        Tone::Critical => "#c5281c",
        Tone::Warning => "#a15c00",
        Tone::Info => "#3b6ea8",
        Tone::Good => "#2e7d32",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of WCAG 2.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let c = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if c <= 0.039_28 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_can_be_read_on_white_and_on_black() {
        for tone in [Tone::Critical, Tone::Warning, Tone::Info, Tone::Good] {
            assert!(contrast(colour(tone), "#ffffff") >= 4.5, "white on {tone:?}");
            assert!(contrast(colour(tone), "#000000") >= 3.0, "{tone:?} on black");
        }
        assert!(contrast(RULE, "#ffffff") >= 3.0 && contrast(RULE, "#000000") >= 3.0);
    }
}

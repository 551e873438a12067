//! A page as plain text: readable in any reader, on a pager and in a log.

use super::page::{Bars, Block, Card, Fact, Link, Page};

/// Lines of sentences are broken here; what may be copied is never broken.
const WIDTH: usize = 76;

/// Characters of a full bar.
const BAR: usize = 20;

/// Writes a page.
pub fn write(page: &Page) -> String {
    let mut out = Lines::default();
    out.wrapped(&format!("{}: {}", page.lead.tag.word, page.lead.title), "");
    for line in &page.lead.lines {
        out.wrapped(line, "");
    }
    for block in &page.blocks {
        out.gap();
        match block {
            Block::Heading(text) => {
                out.line(text);
                out.line(&"-".repeat(text.chars().count().min(WIDTH)));
            }
            Block::Card(card) => write_card(&mut out, card),
            Block::Facts(facts) => write_facts(&mut out, facts, ""),
            Block::Text(text) => text.lines().for_each(|line| out.wrapped(line, "")),
            Block::List(items) => items.iter().for_each(|item| out.item(item)),
            Block::Bars(bars) => write_bars(&mut out, bars),
            Block::Links(links) => write_links(&mut out, links),
            Block::Code(lines) => lines.iter().for_each(|line| out.line(&format!("    {line}"))),
        }
        if matches!(block, Block::Heading(_)) {
            out.joined = true;
        }
    }
    out.gap();
    // What a reader recognises as the end: everything below is about the mail, not in it.
    out.line("-- ");
    for line in &page.foot {
        out.wrapped(line, "");
    }
    out.text
}

fn write_card(out: &mut Lines, card: &Card) {
    out.wrapped(&format!("{}: {}", card.tag.word, card.title), "");
    for line in card.text.lines() {
        out.wrapped(line, "  ");
    }
    write_facts(out, &card.facts, "  ");
    for link in &card.links {
        out.line(&format!("  {}: {}", link.word, link.to));
    }
}

fn write_facts(out: &mut Lines, facts: &[Fact], indent: &str) {
    for (name, value) in facts {
        out.hanging(&format!("{name}: {value}"), indent, &format!("{indent}  "));
    }
}

fn write_bars(out: &mut Lines, bars: &Bars) {
    out.wrapped(&bars.title, "");
    let width = bars.rows.iter().map(|row| row.label.chars().count()).max().unwrap_or(0);
    for row in &bars.rows {
        let pad = " ".repeat(width.saturating_sub(row.label.chars().count()));
        let full = row.share.map_or(0, |share| (share.clamp(0.0, 1.0) * BAR as f64).round() as usize);
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(BAR - full));
        out.line(&format!("  {}{pad} |{bar}| {}", row.label, row.value));
    }
    if let Some(note) = &bars.note {
        out.wrapped(note, "");
    }
}

fn write_links(out: &mut Lines, links: &[Link]) {
    for link in links {
        out.line(&format!("{}: {}", link.word, link.to));
    }
}

#[derive(Default)]
struct Lines {
    text: String,
    /// Whether the next block belongs to the line above.
    joined: bool,
}

impl Lines {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn gap(&mut self) {
        if !std::mem::take(&mut self.joined) {
            self.text.push('\n');
        }
    }

    fn item(&mut self, text: &str) {
        let before = self.text.len();
        self.wrapped(text, "  ");
        self.text.replace_range(before..before + 1, "-");
    }

    /// Breaks at blanks; a word that is too long, such as an address, stays whole.
    fn wrapped(&mut self, text: &str, indent: &str) {
        self.hanging(text, indent, indent);
    }

    /// Like [`Lines::wrapped`], with lines after the first set in by something else.
    fn hanging(&mut self, text: &str, indent: &str, rest: &str) {
        let mut line = indent.to_owned();
        let mut words = 0;
        for word in text.split_whitespace() {
            if words > 0 && line.chars().count() + 1 + word.chars().count() > WIDTH {
                self.line(&line);
                rest.clone_into(&mut line);
                words = 0;
            }
            if words > 0 {
                line.push(' ');
            }
            line.push_str(word);
            words += 1;
        }
        self.line(&line);
    }
}

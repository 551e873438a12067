//! `sio history`: all that was ever done on a system, and whether all of it is there as it was written.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

use super::controller::{Asker, Question, Where, ask, path_part, tame};
use super::work::only_system;
use crate::model::lifecycle::Lifecycle;
use crate::model::unit::Timestamp;
use crate::work::history::{Chain, Excerpt, in_words};
use crate::work::journal::Entry;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Debug, Args)]
struct Shown {
    /// None of before this moment, such as 2026-11-30T00:00:00Z
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Write the entries as they were written into this file, which must not be there yet
    #[arg(long)]
    export: Option<PathBuf>,
    /// The system; needed only when the controller watches several
    #[arg(long)]
    system: Option<String>,
    #[command(flatten)]
    whom: Where,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Says whether all of it is there as it was written, or where it is not
    Verify {
        /// An exported file; left out: what the controller has
        file: Option<PathBuf>,
        /// The system; needed only when the controller watches several
        #[arg(long)]
        system: Option<String>,
        #[command(flatten)]
        whom: Where,
    },
}

pub(super) async fn history(arguments: Arguments, asker: &mut Asker<'_>) -> u8 {
    let done = match arguments.what {
        Some(What::Verify { file: Some(file), .. }) => of_file(&file),
        Some(What::Verify { file: None, system, whom }) => of_controller(system, &whom, asker).await,
        None => show(&arguments.shown, asker).await,
    };
    match done {
        Ok((text, well)) => match super::say(asker.out, text.trim_end()) {
            0 => u8::from(!well),
            code => code,
        },
        Err(code) => code,
    }
}

type Done = Result<(String, bool), u8>;

fn failed(error: impl Into<anyhow::Error>) -> u8 {
    super::fail(&error.into())
}

/// All of it, part by part.
async fn read(
    system: Option<String>,
    whom: &Where,
    since: Option<Timestamp>,
    asker: &Asker<'_>,
) -> Result<(String, Excerpt), u8> {
    let system = match system {
        Some(system) => system,
        None => only_system(whom, asker).await?,
    };
    let mut all = Excerpt::default();
    let mut from = 0;
    loop {
        let since = since.map(|since| format!("&since={}", since.format("%Y-%m-%dT%H:%M:%SZ"))).unwrap_or_default();
        let path = format!("/api/v1/systems/{}/history?from={from}{since}", path_part(&system));
        let (_, body) = ask(whom, &Question::get(&path), asker.file, asker.variables).await.map_err(failed)?;
        let part: Excerpt = serde_json::from_slice(&body).map_err(failed)?;
        all.lines.extend(part.lines);
        (all.entries, all.head) = (part.entries, part.head);
        match part.next {
            Some(next) if next > from => from = next,
            _ => return Ok((system, all)),
        }
    }
}

async fn show(shown: &Shown, asker: &Asker<'_>) -> Done {
    let (_, all) = read(shown.system.clone(), &shown.whom, shown.since, asker).await?;
    if let Some(path) = &shown.export {
        let mut options = std::fs::OpenOptions::new();
        let mut write = || -> std::io::Result<()> {
            let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
            for line in &all.lines {
                writeln!(file, "{line}")?;
            }
            file.sync_all()
        };
        write().map_err(|error| failed(anyhow::anyhow!("cannot write {}: {error}", path.display())))?;
        return Ok((format!("{} entries are in {}", all.lines.len(), path.display()), true));
    }
    if all.lines.is_empty() {
        return Ok(("nothing was done yet".to_owned(), true));
    }
    let each = all.lines.iter().map(|line| match serde_json::from_str::<Entry>(line) {
        Ok(entry) => {
            format!("{} {:>6} {}", entry.at.format("%Y-%m-%dT%H:%M:%SZ"), entry.number, tame(&in_words(&entry)))
        }
        Err(error) => format!("an entry that this version cannot read: {error}"),
    });
    Ok((each.collect::<Vec<_>>().join("\n"), true))
}

fn of_file(path: &Path) -> Done {
    let text =
        std::fs::read(path).map_err(|error| failed(anyhow::anyhow!("cannot read {}: {error}", path.display())))?;
    let mut chain = Chain::default();
    let lines = text.strip_suffix(b"\n").unwrap_or(&text);
    if !lines.is_empty() {
        lines.split(|byte| *byte == b'\n').for_each(|line| chain.take(line));
    }
    Ok(told(&chain, &path.display().to_string(), None))
}

/// What is served, held to what the journal itself says of its end: a history that was cut short is noticed.
async fn of_controller(system: Option<String>, whom: &Where, asker: &Asker<'_>) -> Done {
    let (system, all) = read(system, whom, None, asker).await?;
    let path = format!("/api/v1/systems/{}/runs", path_part(&system));
    let (_, body) = ask(whom, &Question::get(&path), asker.file, asker.variables).await.map_err(failed)?;
    let work: Lifecycle = serde_json::from_slice(&body).map_err(failed)?;
    let mut chain = Chain::default();
    all.lines.iter().for_each(|line| chain.take(line.as_bytes()));
    Ok(told(&chain, &system, Some((work.entries, &work.head))))
}

/// What was found; the end is how far the journal is, where that is known.
fn told(chain: &Chain, of: &str, end: Option<(u64, &str)>) -> (String, bool) {
    if let Some(broken) = &chain.broken {
        let number = broken.number.map(|number| format!(" (entry {number})")).unwrap_or_default();
        return (format!("{of}: BROKEN at line {}{number}: {}", broken.line, broken.why), false);
    }
    let Some(first) = chain.first else {
        return (format!("{of}: there is no entry"), end.is_none_or(|(next, _)| next == 0));
    };
    let whole =
        format!("{of}: {} entries, from {first} on, follow each other; the last one is {}", chain.lines, chain.head);
    match end {
        // One may have been written since it was read.
        Some((next, head)) if chain.next > next || (chain.next == next && chain.head == head) => (whole, true),
        Some((next, _)) => {
            (format!("{of}: BROKEN: the journal has {next} entries, and the history ends before {}", chain.next), false)
        }
        None => (whole, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_that_ends_too_early_is_told_as_broken() {
        let mut chain = Chain::default();
        chain.take(br#"{"number":3,"before":"x"}"#);
        let head = chain.head.clone();
        assert!(told(&chain, "prod", None).1);
        assert!(told(&chain, "prod", Some((4, &head))).1);
        assert!(!told(&chain, "prod", Some((4, "other"))).1, "another entry was last");
        let (text, well) = told(&chain, "prod", Some((9, &head)));
        assert!(!well && text.contains("BROKEN"), "{text}");
        chain.take(b"nothing");
        let (text, well) = told(&chain, "prod", None);
        assert!(!well && text.contains("BROKEN at line 2"), "{text}");
    }
}

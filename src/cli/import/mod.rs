//! `sio import`: from what the framework of 2016 was told and kept to a first configuration of ours.

mod read;
mod write;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use read::Seed;

/// What there is of it.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("from").required(true).multiple(true)))]
pub(super) struct Arguments {
    /// Its app at Marathon (JSON), or the line that started it
    #[arg(long, value_name = "FILE", group = "from")]
    app: Option<PathBuf>,
    /// The dump of its store: what it printed with -store.dump -loglevel=debug
    #[arg(long, value_name = "FILE", group = "from")]
    store: Option<PathBuf>,
    /// The agents: the master's answer to /slaves, or lines of HOST NAME:VALUE;NAME:VALUE
    #[arg(long, value_name = "FILE", group = "from")]
    agents: Option<PathBuf>,
    /// Write to this file, which must not be there yet, and not to the terminal
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Reads what there is, and writes the configuration.
pub(super) fn import(arguments: &Arguments, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    let text = match seed(arguments) {
        Ok(seed) => write::configuration(&seed),
        Err(error) => return super::fail(&error),
    };
    let Some(output) = &arguments.output else { return super::say(out, text.trim_end()) };
    match put(output, &text).with_context(|| format!("{} cannot be written", output.display())) {
        Ok(()) => {
            // Without standard error there is nobody to tell.
            let _ = writeln!(err, "sio: read {} before you use it", output.display());
            0
        }
        Err(error) => super::fail(&error),
    }
}

fn put(output: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(output)?;
    file.write_all(text.as_bytes())
}

fn seed(arguments: &Arguments) -> anyhow::Result<Seed> {
    let text = |path: &Option<PathBuf>| {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
        };
        path.as_ref().map(read).transpose()
    };
    let (app, store, agents) = (text(&arguments.app)?, text(&arguments.store)?, text(&arguments.agents)?);
    let seed = Seed {
        flags: app.as_deref().map(read::flags).unwrap_or_default(),
        store: store.as_deref().map(read::store).unwrap_or_default(),
        agents: agents.as_deref().map(read::agents).unwrap_or_default(),
    };
    for (path, is_empty, what) in [
        (&arguments.app, seed.flags.is_empty(), "no flag of scaleio-scheduler"),
        (&arguments.store, seed.store.is_empty(), "no entry of its store (it prints them at -loglevel=debug only)"),
        (&arguments.agents, seed.agents.is_empty(), "no agent with an attribute scaleio-..."),
    ] {
        if let Some(path) = path.as_ref().filter(|_| is_empty) {
            bail!("{} holds {what}", path.display());
        }
    }
    Ok(seed)
}

//! `sio export completions` and `sio export man`: what shells and `man` know of the command line.

use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Writes what a shell needs to complete words.
pub(super) fn completions(shell: Shell, out: &mut dyn Write) -> u8 {
    // The library panics when a writer fails, and a String cannot.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "sio", &mut text);
    super::say(out, String::from_utf8_lossy(&text).trim_end())
}

/// Writes one page for each command into a folder.
pub(super) fn man(folder: &Path, out: &mut dyn Write) -> u8 {
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(super::Cli::command(), folder)
    };
    match write().with_context(|| format!("manual pages cannot be written to {}", folder.display())) {
        Ok(()) => super::say(out, &format!("the manual pages are in {}", folder.display())),
        Err(error) => super::fail(&error),
    }
}

//! How a command asks a person, and what it does when nobody is there.

use std::io::{self, BufRead, Write};

/// A person at a terminal, or a script that answers nothing.
pub(super) struct Dialog<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
    interactive: bool,
    secret: &'a mut dyn FnMut(&str) -> io::Result<String>,
}

impl<'a> Dialog<'a> {
    /// `secret` asks without showing what is typed.
    pub(super) fn new(
        input: &'a mut dyn BufRead,
        output: &'a mut dyn Write,
        interactive: bool,
        secret: &'a mut dyn FnMut(&str) -> io::Result<String>,
    ) -> Self {
        Self { input, output, interactive, secret }
    }

    /// Whether somebody answers.
    pub(super) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Says a line.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.output, "{line}")
    }

    /// Asks until the answer is good. An empty answer takes the default.
    pub(super) fn ask<T>(
        &mut self,
        question: &str,
        default: Option<&str>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> io::Result<T> {
        loop {
            match default {
                Some(default) => write!(self.output, "{question} [{default}]: ")?,
                None => write!(self.output, "{question}: ")?,
            }
            let line = self.line()?;
            let answer = if line.is_empty() { default.unwrap_or("") } else { &line };
            match read(answer) {
                Ok(answer) => return Ok(answer),
                Err(why) => self.say(&format!("  {why}"))?,
            }
        }
    }

    /// Asks for a yes; everything else is a no.
    pub(super) fn confirm(&mut self, question: &str) -> io::Result<bool> {
        write!(self.output, "{question} [y/N]: ")?;
        Ok(matches!(self.line()?.to_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a secret.
    pub(super) fn secret(&mut self, question: &str) -> io::Result<String> {
        self.output.flush()?;
        (self.secret)(&format!("{question}: "))
    }

    fn line(&mut self) -> io::Result<String> {
        self.output.flush()?;
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answers ended"));
        }
        Ok(line.trim().to_owned())
    }
}

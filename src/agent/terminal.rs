//! How is a password typed for a program that asks for one? On a terminal of its own, as a person would.
//!
//! The terminal does not repeat what is typed, and should a program do it
//! itself, it is taken out of what is kept.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use pty_process::blocking::{Command, Pty, open};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::host::{CLEAN, Call, HostError, Output};

/// How much of what a program writes is kept.
const OUTPUT: usize = 256 * 1024;

/// Between two looks whether the program has ended.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(call: &Call) -> Result<Output, HostError> {
    let io = |operation| move |source| HostError::Io { operation, path: call.program.clone(), source };
    let terminal = |error: pty_process::Error| match error {
        pty_process::Error::Io(source) if source.kind() == io::ErrorKind::NotFound => {
            HostError::Missing { program: call.program.clone() }
        }
        other => HostError::Io {
            operation: "start",
            path: call.program.clone(),
            source: io::Error::other(other.to_string()),
        },
    };
    let (mut ours, theirs) = open().map_err(terminal)?;
    silence(&ours).map_err(io("make a terminal for"))?;
    let command = Command::new(&call.program)
        .args(&call.args)
        .args(call.hidden_args.iter().map(crate::model::order::Hidden::reveal))
        .env_clear()
        .envs(CLEAN)
        .env("TERM", "dumb")
        .envs(call.env.iter().map(|(name, value)| (name, value.reveal())))
        .current_dir("/");
    let mut child = command.spawn(theirs).map_err(terminal)?;
    let kill = |child: &mut std::process::Child| {
        // Its own session, so its own group. Whoever ended in this moment needs no killing.
        let group = rustix::process::Pid::from_child(child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = child.wait();
    };
    let deadline = Instant::now() + call.within;
    let mut dialog = Dialog::new(call);
    let mut ended = None;
    loop {
        match step(&mut ours, &mut dialog) {
            Ok(More::Yes) => {}
            // What was written before the end is read to its end.
            Ok(More::Nothing) if ended.is_some() => break,
            Ok(More::Nothing) => ended = child.try_wait().map_err(io("wait for"))?,
            Ok(More::Closed) => break,
            Ok(More::Asks(prompt)) => {
                kill(&mut child);
                return Err(HostError::Asks { program: call.program.clone(), prompt });
            }
            Err(error) => {
                kill(&mut child);
                return Err(io("talk to")(error));
            }
        }
        if Instant::now() >= deadline {
            kill(&mut child);
            return Err(HostError::TooSlow { program: call.program.clone(), within: call.within });
        }
    }
    let status = loop {
        match ended.or(child.try_wait().map_err(io("wait for"))?) {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                kill(&mut child);
                return Err(HostError::TooSlow { program: call.program.clone(), within: call.within });
            }
            None => std::thread::sleep(LOOK),
        }
    };
    Ok(Output { status: status.code(), stdout: dialog.text(), stderr: String::new() })
}

fn silence(terminal: &Pty) -> io::Result<()> {
    let mut modes = tcgetattr(terminal)?;
    modes.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
    Ok(tcsetattr(terminal, OptionalActions::Now, &modes)?)
}

/// What a look at the terminal brought.
enum More {
    /// Something was written or typed.
    Yes,
    /// Nothing for a moment.
    Nothing,
    /// Nobody has the other end any more.
    Closed,
    /// A prompt for which there is no answer.
    Asks(String),
}

fn step(terminal: &mut Pty, dialog: &mut Dialog<'_>) -> io::Result<More> {
    let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    let ready = poll(&mut [PollFd::new(terminal, PollFlags::IN)], Some(&wait))?;
    if ready == 0 {
        return Ok(More::Nothing);
    }
    let mut piece = [0; 4096];
    let count = match terminal.read(&mut piece) {
        Ok(0) => return Ok(More::Closed),
        Ok(count) => count,
        // How Linux says that the other end is closed.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => return Ok(More::Closed),
        Err(error) => return Err(error),
    };
    match dialog.hears(piece.get(..count).unwrap_or_default()) {
        Answer::None => {}
        Answer::Type(text) => {
            terminal.write_all(format!("{text}\n").as_bytes())?;
            terminal.flush()?;
        }
        Answer::Unknown(prompt) => return Ok(More::Asks(prompt)),
    }
    Ok(More::Yes)
}

/// What is to be typed now.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    None,
    Type(String),
    Unknown(String),
}

/// What was written so far, and which answers are left.
struct Dialog<'a> {
    call: &'a Call,
    written: Vec<u8>,
    /// Where the text begins that was written since the last answer.
    since: usize,
    typed: usize,
}

impl<'a> Dialog<'a> {
    const fn new(call: &'a Call) -> Self {
        Self { call, written: Vec::new(), since: 0, typed: 0 }
    }

    fn hears(&mut self, bytes: &[u8]) -> Answer {
        // A program that writes without end is not kept whole; its first words tell enough.
        if self.written.len() < OUTPUT {
            self.written.extend(bytes);
        }
        let fresh = String::from_utf8_lossy(self.written.get(self.since..).unwrap_or_default()).into_owned();
        // A prompt is a last line that ends with a colon and has no end itself.
        let line = fresh.rsplit('\n').next().unwrap_or_default().trim().to_lowercase();
        if !line.ends_with(':') {
            return Answer::None;
        }
        match self.call.typed.get(self.typed) {
            Some(next) if line.contains(&next.prompt) => {
                self.typed += 1;
                self.since = self.written.len();
                Answer::Type(next.text.reveal().to_owned())
            }
            None if self.call.typed.iter().any(|known| line.contains(&known.prompt)) => Answer::Unknown(line),
            _ => Answer::None,
        }
    }

    /// What it wrote, without what was typed.
    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.written).replace("\r\n", "\n");
        for typed in &self.call.typed {
            if !typed.text.reveal().is_empty() {
                text = text.replace(typed.text.reveal(), "***");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::host::{Typed, run_here};
    use crate::model::order::Hidden;

    fn typing(script: &str, passwords: &[&str]) -> Call {
        let typed = passwords.iter().map(|text| Typed { prompt: "password".to_owned(), text: Hidden::new(*text) });
        Call { typed: typed.collect(), within: Duration::from_secs(20), ..Call::new("sh", ["-c", script]) }
    }

    #[test]
    fn passwords_are_typed_in_order_and_never_repeated() {
        // A program that insists on a terminal, and one that repeats what it was told.
        let script = "exec </dev/tty >/dev/tty 2>&1; printf 'Enter password: '; read a; printf 'New password: '; read b; echo; echo \"got $a and $b\"; exit 7";
        let output = run_here(&typing(script, &["hunter2", "s3cret"])).unwrap();
        assert_eq!(output.status, Some(7));
        assert!(output.stdout.contains("got *** and ***"), "{output:?}");
        assert!(!output.stdout.contains("hunter2"), "{output:?}");
    }

    #[test]
    fn a_program_that_asks_again_is_ended_and_named() {
        let script = "while :; do printf 'Password: '; read a || exit 1; done";
        let error = run_here(&typing(script, &["wrong"])).unwrap_err();
        assert!(matches!(&error, HostError::Asks { .. }), "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }

    #[test]
    fn a_program_that_asks_nothing_is_heard_to_its_end() {
        let output = run_here(&typing("echo it needs no password; exit 0", &["hunter2"])).unwrap();
        assert_eq!((output.status, output.stdout.as_str()), (Some(0), "it needs no password\n"));
        let slow = Call { within: Duration::from_millis(300), ..typing("sleep 30", &["hunter2"]) };
        assert!(matches!(run_here(&slow), Err(HostError::TooSlow { .. })));
        let missing = Call { typed: slow.typed, ..Call::new("no-such-tool", []) };
        assert!(matches!(run_here(&missing), Err(HostError::Missing { .. })));
    }
}

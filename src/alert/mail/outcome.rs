//! What became of a mail that was handed to a server, and what that means.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What became of one try to send a mail.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A server took it over for at least one recipient.
    Sent {
        /// Which server.
        host: String,
        /// For whom.
        accepted: Vec<String>,
        /// Who will never get it, and why.
        refused: Vec<(String, Trouble)>,
        /// Who may get it later, and why not now.
        deferred: Vec<(String, Trouble)>,
    },
    /// Nobody got it; a later try may succeed.
    Retry {
        /// Not before, when the server said so.
        after: Option<Duration>,
        /// What the last server said.
        why: Trouble,
        /// Who will never get it, whatever comes.
        refused: Vec<(String, Trouble)>,
    },
    /// Nobody will get it.
    Failed {
        /// What the server said of the mail as a whole, or of the last recipient.
        why: Trouble,
        /// Who was refused, and why.
        refused: Vec<(String, Trouble)>,
    },
}

/// Something that went wrong with a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The server.
    pub host: String,
    /// How far it had come.
    pub stage: Stage,
    /// What the server answered; none when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<Reply>,
    /// What is wrong and, where a person can do something, the mend. Never holds a password.
    pub what: String,
    /// Whether another mail would fare the same.
    pub scope: Scope,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.host, self.stage, self.what)
    }
}

/// Whom a trouble is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The server: no mail goes through it now.
    Server,
    /// This mail or recipient; others may do better.
    Mail,
}

/// How far the talk with a server had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Name resolution and TCP.
    Connect,
    /// STARTTLS and the handshake.
    Tls,
    /// Greeting and EHLO.
    Hello,
    /// The login.
    Login,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA` and the mail itself, before its end.
    Data,
    /// After the end of the mail: the server may have it.
    Final,
}

impl Stage {
    /// Its name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Hello => "hello",
            Self::Login => "login",
            Self::Sender => "sender",
            Self::Recipient => "recipient",
            Self::Data => "data",
            Self::Final => "final",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The code of RFC 5321, such as 550.
    pub code: u16,
    /// The enhanced code of RFC 3463, such as `5.1.1`; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub enhanced: String,
    /// The server's words, shortened.
    pub text: String,
}

impl Reply {
    /// Reads what follows the code of an answer.
    pub fn read(code: u16, text: &str) -> Self {
        let text = super::show::line(text, 300);
        let (first, rest) = text.split_once(' ').unwrap_or((&text, ""));
        if is_enhanced(code, first) {
            Self { code, enhanced: first.to_owned(), text: rest.to_owned() }
        } else {
            Self { code, enhanced: String::new(), text }
        }
    }

    /// Whether the same may be answered differently later.
    pub const fn is_temporary(&self) -> bool {
        self.code < 500
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if !self.enhanced.is_empty() {
            write!(f, " {}", self.enhanced)?;
        }
        write!(f, " {}", self.text)
    }
}

/// `class.subject.detail`, with the class that the code has.
fn is_enhanced(code: u16, word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let number = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    parts.len() == 3
        && parts.iter().all(number)
        && parts.first().is_some_and(|class| *class == (code / 100).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_are_kept_when_there_are_some() {
        let reply = Reply::read(550, "5.1.1 no such user");
        assert_eq!((reply.enhanced.as_str(), reply.text.as_str()), ("5.1.1", "no such user"));
        assert_eq!(reply.to_string(), "550 5.1.1 no such user");
        for (code, text) in [(550, "no such user"), (550, "4.1.1 odd"), (451, "4.7 half"), (550, "5.1.x"), (550, "")] {
            assert_eq!(Reply::read(code, text).enhanced, "", "{text}");
        }
        assert!(Reply::read(451, "4.7.1 later").is_temporary() && !reply.is_temporary());
    }

    #[test]
    fn what_a_server_says_cannot_break_a_log_line() {
        assert_eq!(Reply::read(550, "5.1.1 a\r\nb\u{1b}[2J").text, "a b [2J");
        assert!(Reply::read(550, &"x".repeat(5_000)).text.len() <= 300);
    }
}

//! What mails came, and what does each say?

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use mail_parser::{HeaderValue, MessageParser, MimeHeaders as _};
use tokio::sync::watch;

/// Mails that are kept; the oldest go first.
const MOST: usize = 500;

/// A mail as it came.
#[derive(Debug)]
pub struct Kept {
    /// Its number; the first one is 1.
    pub number: u64,
    /// When it was taken.
    pub at: DateTime<Utc>,
    /// Whose mail the client said it is.
    pub from: String,
    /// For whom.
    pub to: Vec<String>,
    /// The bytes, header and body.
    pub raw: Vec<u8>,
}

/// What a parser finds in a mail.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub subject: String,
    pub text: Option<String>,
    pub html: Option<String>,
    /// The mail that began the thread; this one, when it answers none.
    pub thread: String,
}

/// The mails that came, oldest first.
#[derive(Debug, Default)]
pub struct Inbox {
    mails: Mutex<VecDeque<Arc<Kept>>>,
    taken: watch::Sender<u64>,
}

impl Inbox {
    pub(super) fn keep(&self, at: DateTime<Utc>, from: String, to: Vec<String>, raw: Vec<u8>) -> u64 {
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.taken.borrow() + 1;
        mails.push_back(Arc::new(Kept { number, at, from, to, raw }));
        while mails.len() > MOST {
            mails.pop_front();
        }
        // Still under the lock, so that numbers stay in order.
        self.taken.send_replace(number);
        number
    }

    /// Every mail that is kept, oldest first.
    pub fn all(&self) -> Vec<Arc<Kept>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// One mail.
    pub fn one(&self, number: u64) -> Option<Arc<Kept>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|mail| mail.number == number).cloned()
    }

    /// How many came so far; changes with each.
    pub fn taken(&self) -> watch::Receiver<u64> {
        self.taken.subscribe()
    }
}

impl Kept {
    /// Its subject.
    pub fn subject(&self) -> String {
        self.read().subject
    }

    pub(super) fn read(&self) -> Read {
        let Some(message) = MessageParser::default().parse(&self.raw) else { return Read::default() };
        let id = message.message_id().unwrap_or_default().to_owned();
        let first = match message.references() {
            HeaderValue::Text(only) => Some(only.to_string()),
            HeaderValue::TextList(list) => list.first().map(ToString::to_string),
            _ => None,
        };
        // Only a part of that kind: the parser would make the other one from what there is.
        let part = |wanted: &str| {
            let mut parts = message.parts.iter();
            parts.find(|part| part.is_content_type("text", wanted)).and_then(|part| part.text_contents())
        };
        Read {
            subject: message.subject().unwrap_or("(no subject)").to_owned(),
            text: part("plain").map(str::to_owned),
            html: part("html").map(str::to_owned),
            thread: first.unwrap_or(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_read_with_its_parts_and_its_thread() {
        let raw = "Subject: =?utf-8?Q?B=C3=BCro?=\r\nMessage-ID: <2@x>\r\nReferences: <1@x> <0@x>\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n80=C2=A0%\r\n--b\r\nContent-Type: text/html\r\n\r\n\
            <b>80</b>\r\n--b--\r\n";
        let inbox = Inbox::default();
        inbox.keep(crate::clock::now(), "a@x".to_owned(), vec!["b@x".to_owned()], raw.as_bytes().to_vec());
        let read = inbox.one(1).unwrap().read();
        assert_eq!((read.subject.as_str(), read.thread.as_str()), ("B\u{fc}ro", "1@x"));
        assert_eq!(read.text.as_deref().map(str::trim), Some("80\u{a0}%"));
        assert_eq!(read.html.as_deref().map(str::trim), Some("<b>80</b>"));
    }

    #[test]
    fn what_is_no_mail_is_shown_all_the_same_and_the_oldest_go_first() {
        let inbox = Inbox::default();
        for _ in 0..=MOST {
            inbox.keep(crate::clock::now(), String::new(), Vec::new(), vec![0, 255, 13, 10]);
        }
        assert_eq!((inbox.all().len(), inbox.all()[0].number), (MOST, 2));
        assert!(inbox.one(1).is_none());
        let read = inbox.one(2).unwrap().read();
        assert!(read.html.is_none());
    }
}

//! From a body to the model: ids, units and states are made once, here.
//!
//! Every function takes the bytes of one answer and gives objects with counts
//! of what was not understood. Nothing here does I/O.

mod alerts;
mod array;
mod data;
mod nodes;
mod replication;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, NaiveDateTime};
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use thiserror::Error;

pub use alerts::{EventPage, alert_page, alerts, event_page};
pub use array::{domains, fault_sets, mdm_cluster, pools, systems};
pub use data::{policies, volumes, vtrees};
pub use nodes::{devices, sdcs, sdrs, sds, sdts};
pub use replication::{groups, pairs, peers};

use super::wire::{Lenient, Odd, Seed, Text};
use crate::model::snapshot::{Keyed, Table};
use crate::model::state::{Seen, State};
use crate::model::unit::{Bytes, Timestamp};
use crate::model::version::ProductVersion;

/// What this version did not understand, by kind of object: unknown fields,
/// unknown words, values of a wrong shape, objects that had no id.
pub type Unknown = BTreeMap<Box<str>, u64>;

/// An answer, converted.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<T> {
    /// The objects.
    pub value: T,
    /// How many objects were converted.
    pub objects: usize,
    /// What was not understood.
    pub unknown: Unknown,
}

impl<T> Answer<T> {
    pub(crate) fn new(value: T, objects: usize, kind: &str, odd: Odd) -> Self {
        let mut unknown = Unknown::new();
        if odd.total() > 0 {
            unknown.insert(kind.into(), odd.total());
        }
        Self { value, objects, unknown }
    }
}

/// Why a body is no answer at all. Holds no part of the body.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseError {
    /// A page for people.
    #[error("the answer is a page of HTML, not JSON")]
    Html,
    /// Nothing at all.
    #[error("the answer is empty")]
    Empty,
    /// JSON that ends too early.
    #[error("the answer ends too early, at line {line} column {column}")]
    Cut {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// Not JSON, or JSON nested too deep.
    #[error("the answer is not JSON at line {line} column {column}")]
    Syntax {
        /// Where.
        line: usize,
        /// Where.
        column: usize,
    },
    /// Compressed wrongly.
    #[error("the answer cannot be unpacked")]
    Packing,
    /// JSON, but of another shape than the API says.
    #[error("the answer is no {expected}")]
    Shape {
        /// What the API says.
        expected: &'static str,
    },
}

impl ParseError {
    pub(crate) fn of(error: &serde_json::Error, body: &str, expected: &'static str) -> Self {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            _ if body.trim_start().starts_with('<') => Self::Html,
            _ if body.trim().is_empty() => Self::Empty,
            serde_json::error::Category::Eof => Self::Cut { line, column },
            serde_json::error::Category::Data => Self::Shape { expected },
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => Self::Syntax { line, column },
        }
    }
}

/// The body as text. A byte that is no UTF-8, as old releases let it into
/// names, costs one character and not the answer.
pub(crate) fn text(body: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(body)
}

/// Reads a list, handing each object on as soon as it is complete, so that
/// only converted objects are held. Elements that are no objects are counted.
fn each<'de, W>(body: &'de str, odd: &mut Odd, take: impl FnMut(W, &mut Odd)) -> Result<(), ParseError>
where
    Option<W>: Lenient<'de>,
{
    struct Each<'o, W, F>(&'o mut Odd, F, PhantomData<W>);

    impl<'de, W, F> Visitor<'de> for Each<'_, W, F>
    where
        Option<W>: Lenient<'de>,
        F: FnMut(W, &mut Odd),
    {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of objects")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
            loop {
                let before = self.0.malformed;
                match list.next_element_seed(Seed::<Option<W>>::new(self.0))? {
                    Some(Some(object)) => (self.1)(object, self.0),
                    // Once for each, however it was counted inside.
                    Some(None) => self.0.malformed = before + 1,
                    None => return Ok(()),
                }
            }
        }
    }

    let mut json = serde_json::Deserializer::from_str(body);
    json.deserialize_any(Each(odd, take, PhantomData))
        .and_then(|()| json.end())
        .map_err(|error| ParseError::of(&error, body, "list of objects"))
}

/// Reads a list of objects of one kind into a table; objects without an id are
/// left out and counted.
fn table<'de, W, T>(
    body: &'de str,
    kind: &str,
    mut convert: impl FnMut(W, &mut Odd) -> Option<T>,
) -> Result<Answer<Table<T>>, ParseError>
where
    Option<W>: Lenient<'de>,
    T: Keyed,
{
    let mut odd = Odd::default();
    let mut objects = Vec::new();
    each(body, &mut odd, |wire: W, odd| match convert(wire, odd) {
        Some(object) => objects.push(object),
        None => odd.malformed += 1,
    })?;
    let count = objects.len();
    Ok(Answer::new(Table::new(objects), count, kind, odd))
}

/// Text that is there and not empty.
fn word(text: Text<'_>) -> Option<Box<str>> {
    text.filter(|text| !text.is_empty()).map(|text| text.into_owned().into_boxed_str())
}

/// An id of any kind, if it was sent.
fn id<T>(text: &Text<'_>, make: impl FnOnce(&str) -> T) -> Option<T> {
    text.as_deref().filter(|text| !text.is_empty()).map(make)
}

/// A state that may be absent; one that we do not know is counted.
fn state<S: State>(text: &Text<'_>, odd: &mut Odd) -> Option<Seen<S>> {
    let seen = Seen::read(text.as_deref().filter(|text| !text.is_empty())?);
    if matches!(seen, Seen::Other(_)) {
        odd.unknown += 1;
    }
    Some(seen)
}

/// A state that the object always has. When it was not sent it is a word that
/// no state has, so that whoever decides takes it as unsafe.
fn needed<S: State>(text: &Text<'_>, odd: &mut Odd) -> Seen<S> {
    state(text, odd).unwrap_or_else(|| Seen::Other("not sent".into()))
}

fn version(text: &Text<'_>) -> Option<ProductVersion> {
    text.as_deref().filter(|text| !text.trim().is_empty()).map(ProductVersion::read)
}

fn port(number: Option<u64>, odd: &mut Odd) -> Option<u16> {
    narrow(number, odd).filter(|port| *port != 0)
}

/// A number that must fit a smaller type; one that does not is counted.
fn narrow<N: TryFrom<u64>>(number: Option<u64>, odd: &mut Odd) -> Option<N> {
    let number = number?;
    let narrow = N::try_from(number).ok();
    if narrow.is_none() {
        odd.malformed += 1;
    }
    narrow
}

fn words(list: Vec<Cow<'_, str>>) -> Vec<Box<str>> {
    list.into_iter().filter(|word| !word.is_empty()).map(|word| word.into_owned().into_boxed_str()).collect()
}

fn kib(number: Option<u64>) -> Option<Bytes> {
    number.map(Bytes::from_kib)
}

/// Seconds since 1970; 0 says that it never happened.
fn epoch(seconds: Option<u64>) -> Option<Timestamp> {
    let seconds = i64::try_from(seconds?).ok().filter(|seconds| *seconds > 0)?;
    plausible(DateTime::from_timestamp(seconds, 0)?)
}

/// `2035-10-13T08:08:27.552Z`, or the form of OpenSSL, `Oct 13 08:08:27 2035 GMT`.
/// The first day of the calendar says that it never happened.
fn moment(text: &Text<'_>, odd: &mut Odd) -> Option<Timestamp> {
    let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty())?;
    let read = DateTime::parse_from_rfc3339(text)
        .map(|moment| moment.to_utc())
        .or_else(|_| {
            let bare = text.strip_suffix("GMT").or_else(|| text.strip_suffix("UTC")).unwrap_or(text).trim_end();
            NaiveDateTime::parse_from_str(bare, "%b %e %H:%M:%S %Y")
                .or_else(|_| NaiveDateTime::parse_from_str(bare, "%Y-%m-%dT%H:%M:%S%.f"))
                .map(|moment| moment.and_utc())
        })
        .ok();
    if read.is_none() {
        odd.malformed += 1;
    }
    read.and_then(plausible)
}

/// No ScaleIO existed before 1970, and none will after 9999.
fn plausible(moment: Timestamp) -> Option<Timestamp> {
    (0..253_402_300_800).contains(&moment.timestamp()).then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_all_forms_seen() {
        let mut odd = Odd::default();
        for (text, seconds) in [
            ("Oct 13 08:08:27 2035 GMT", Some(2_075_875_707)),
            ("Oct  3 08:08:27 2035 GMT", Some(2_075_011_707)),
            ("2022-05-27T03:10:52.552Z", Some(1_653_621_052)),
            ("2026-01-01T00:00:00Z", Some(1_767_225_600)),
            ("0001-01-01T00:00:00Z", None),
            ("", None),
        ] {
            let read = moment(&Some(text.into()), &mut odd);
            assert_eq!(read.map(|moment| moment.timestamp()), seconds, "{text:?}");
        }
        assert_eq!(odd, Odd::default());
        assert_eq!(moment(&Some("tomorrow".into()), &mut odd), None);
        assert_eq!(odd.malformed, 1);
    }

    #[test]
    fn a_body_that_is_no_answer_says_why() {
        for (body, error) in [
            ("<html><body>503</body></html>", ParseError::Html),
            (" ", ParseError::Empty),
            ("[{\"id\":\"1\"", ParseError::Cut { line: 1, column: 10 }),
            ("[{\"id\" \"1\"}]", ParseError::Syntax { line: 1, column: 8 }),
            ("{\"message\":\"no\"}", ParseError::Shape { expected: "list of objects" }),
            ("\"text\"", ParseError::Shape { expected: "list of objects" }),
            ("null", ParseError::Shape { expected: "list of objects" }),
        ] {
            assert_eq!(fault_sets(body.as_bytes()).unwrap_err(), error, "{body}");
        }
    }

    #[test]
    fn one_broken_element_does_not_lose_the_list() {
        let body = br#"[{"id":"000000000000000a","name":"a"},7,null,[1],"x",{"name":"no id"},
                        {"id":"000000000000000b","name":{"deep":[1]},"protectionDomainId":17,"new":1}]"#;
        let answer = fault_sets(body).unwrap();
        assert_eq!(answer.objects, 2);
        assert_eq!(answer.value[1].name, None);
        assert_eq!(answer.value[1].domain.as_ref().unwrap().to_string(), "17");
        // Four elements that are no objects, one without id, one name of a wrong shape, one unknown field.
        assert_eq!(answer.unknown["FaultSet"], 7);
    }

    #[test]
    fn a_byte_that_is_no_utf8_costs_a_character_only() {
        let answer = fault_sets(b"[{\"id\":\"000000000000000a\",\"name\":\"caf\xe9\"}]").unwrap();
        assert_eq!(answer.value[0].name.as_deref(), Some("caf\u{fffd}"));
    }
}

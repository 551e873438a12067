//! What do the bytes of a history segment mean?
//!
//! A record is its length and CRC-32 (4 bytes each, little-endian), then its
//! kind and fields. Nothing in it is trusted: what does not read ends the file.

use super::super::history::Run;
use super::super::labels::Labels;

/// Bytes of the largest record: the changes of a poll in which a million series change.
const MAX_RECORD: usize = 64 << 20;

/// Marks the beginning and the version of the format.
const MAGIC: &[u8; 8] = b"siohist1";

/// One record.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    /// The first record: the number of the first poll.
    Begin { first_poll: u32 },
    /// More poll times.
    Times(Vec<i64>),
    /// A series, by the number the later records use.
    Series { id: u32, keep_ms: i64, labels: Labels },
    /// More runs of a series.
    Runs { id: u32, runs: Vec<Run> },
    /// The end of what the segment begins with.
    Whole,
    /// A poll and the series whose value is not that of the poll before.
    Poll { at: i64, changes: Vec<(u32, f64)> },
}

/// Appends a record.
pub(super) fn frame(out: &mut Vec<u8>, entry: &Entry) {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    match entry {
        Entry::Begin { first_poll } => {
            out.push(0);
            out.extend_from_slice(MAGIC);
            out.extend_from_slice(&first_poll.to_le_bytes());
        }
        Entry::Times(times) => {
            out.push(1);
            times.iter().for_each(|time| out.extend_from_slice(&time.to_le_bytes()));
        }
        Entry::Series { id, keep_ms, labels } => {
            out.push(2);
            out.extend_from_slice(&id.to_le_bytes());
            out.extend_from_slice(&keep_ms.to_le_bytes());
            for (name, value) in labels.iter() {
                for text in [name, value] {
                    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
        Entry::Runs { id, runs } => {
            out.push(3);
            out.extend_from_slice(&id.to_le_bytes());
            for run in runs {
                out.extend_from_slice(&run.value.to_bits().to_le_bytes());
                out.extend_from_slice(&run.first.to_le_bytes());
                out.extend_from_slice(&run.last.to_le_bytes());
            }
        }
        Entry::Whole => out.push(4),
        Entry::Poll { at, changes } => {
            out.push(5);
            out.extend_from_slice(&at.to_le_bytes());
            for (id, value) in changes {
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
    }
    let body = start + 8;
    let length = u32::try_from(out.len() - body).unwrap_or(u32::MAX);
    let sum = crc32fast::hash(&out[body..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..body].copy_from_slice(&sum.to_le_bytes());
}

/// Walks over the records of a segment.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the records read so far end.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// The next record; `None` at the end and at the first that does not fit.
    pub(super) fn next(&mut self) -> Option<Entry> {
        let mut head = Fields(self.bytes.get(self.at..)?);
        let (length, sum) = (head.u32()? as usize, head.u32()?);
        let body = head.0.get(..length).filter(|body| body.len() <= MAX_RECORD && crc32fast::hash(body) == sum)?;
        let entry = decode(Fields(body))?;
        self.at += 8 + length;
        Some(entry)
    }
}

fn decode(mut fields: Fields<'_>) -> Option<Entry> {
    let [kind] = fields.take()?;
    let entry = match kind {
        0 => {
            let magic: [u8; 8] = fields.take()?;
            if &magic != MAGIC {
                return None;
            }
            Entry::Begin { first_poll: fields.u32()? }
        }
        1 => Entry::Times(fields.all(Fields::i64)?),
        2 => {
            let (id, keep_ms) = (fields.u32()?, fields.i64()?);
            let pairs = fields.all(|fields| Some((fields.text()?, fields.text()?)))?;
            Entry::Series { id, keep_ms, labels: Labels::from_pairs(pairs) }
        }
        3 => {
            let id = fields.u32()?;
            let runs = fields.all(|fields| {
                let (value, first, last) = (fields.f64()?, fields.u32()?, fields.u32()?);
                (first <= last).then_some(Run { value, first, last })
            })?;
            Entry::Runs { id, runs }
        }
        4 => Entry::Whole,
        5 => Entry::Poll { at: fields.i64()?, changes: fields.all(|fields| Some((fields.u32()?, fields.f64()?)))? },
        _ => return None,
    };
    fields.0.is_empty().then_some(entry)
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn f64(&mut self) -> Option<f64> {
        self.take().map(|bytes| f64::from_bits(u64::from_le_bytes(bytes)))
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn all<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut out = Vec::new();
        while !self.0.is_empty() {
            out.push(one(self)?);
        }
        Some(out)
    }
}

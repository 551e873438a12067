//! What is sent to a scraper? Lists of pieces that are shared, not copied.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use flate2::Crc;

use crate::metrics::catalog::Family;
use crate::metrics::own::Own;
use crate::model::id::SystemId;
use crate::model::unit::Timestamp;

use super::segment::{Forms, GZIP_HEAD, LAST_BLOCK, Packed, Packer, Segment, header};

/// A format that nobody asked for in so long is not made in advance. Longer
/// than any sensible pause between two scrapes.
const ASKED_LATELY_SECONDS: i64 = 600;

/// Pieces at least this long are shared with the body; shorter ones are
/// copied together, so that a body is not hundreds of tiny writes.
const SHARE_FROM: usize = 16 << 10;

/// A format of exposition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header wants most. Text when it says
    /// nothing that we know: every scraper reads that.
    pub fn accepted(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::Text);
        for range in accept.unwrap_or("").split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or("");
            let mut quality = 1.0;
            let mut known_version = true;
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => quality = value.trim().parse::<f64>().unwrap_or(0.0),
                    "version" => known_version = matches!(value.trim().trim_matches('"'), "1.0.0" | "0.0.1" | "0.0.4"),
                    _ => {}
                }
            }
            let format = match media.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" if known_version => Self::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => Self::Text,
                _ => continue,
            };
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// When something was last asked for.
#[derive(Default)]
pub(super) struct Asked {
    /// Seconds since 1970; 0 is never.
    plain: AtomicI64,
    gzip: AtomicI64,
}

impl Asked {
    /// The forms that somebody wanted in the last minutes. When nobody wanted
    /// anything it is text, which takes the least time to make.
    pub(super) fn lately(&self, now: Timestamp) -> Forms {
        let lately =
            |asked: &AtomicI64| now.timestamp().saturating_sub(asked.load(Ordering::Relaxed)) <= ASKED_LATELY_SECONDS;
        let packed = lately(&self.gzip);
        Forms { text: lately(&self.plain) || !packed, packed }
    }
}

/// A family with the lines of each system.
pub(super) struct Block {
    pub(super) family: &'static Family,
    pub(super) segments: Vec<Arc<Segment>>,
}

/// Everything that is exported of the systems, at one moment.
pub struct Exposition {
    blocks: Vec<Block>,
    seqs: BTreeMap<SystemId, u64>,
    asked: Arc<Asked>,
}

/// What is sent: the pieces in order, and their length together.
#[derive(Debug)]
pub struct Body {
    /// The pieces.
    pub chunks: Vec<Bytes>,
    /// Bytes of all pieces.
    pub length: usize,
    /// Bytes before packing.
    pub unpacked_length: usize,
}

impl Body {
    /// The pieces as one; copies.
    pub fn concat(&self) -> Vec<u8> {
        self.chunks.concat()
    }
}

impl Exposition {
    pub(super) const fn new(blocks: Vec<Block>, seqs: BTreeMap<SystemId, u64>, asked: Arc<Asked>) -> Self {
        Self { blocks, seqs, asked }
    }

    /// Series of all systems; those of [`Own`] come on top.
    pub fn series(&self) -> usize {
        self.blocks.iter().flat_map(|block| &block.segments).map(|segment| segment.series).sum()
    }

    /// Which snapshot of a system is in it.
    pub fn seq(&self, system: &SystemId) -> Option<u64> {
        self.seqs.get(system).copied()
    }

    /// Which snapshot of each system is in it.
    pub fn seqs(&self) -> &BTreeMap<SystemId, u64> {
        &self.seqs
    }

    /// Calls `visit` with the sample lines of each wanted family, system by system, in the text format: what a scrape
    /// at this moment would get.
    pub fn lines(&self, own: &Own, wanted: impl Fn(&Family) -> bool, mut visit: impl FnMut(&'static Family, &[u8])) {
        for block in self.blocks.iter().filter(|block| wanted(block.family)) {
            for segment in &block.segments {
                visit(block.family, segment.text());
            }
        }
        own.lines(wanted, visit);
    }

    /// The body of an answer: all of it, or the parts of these collectors
    /// (see [`is_scope`](crate::metrics::is_scope)). Packing what was not
    /// packed in advance takes time: call it where blocking is allowed.
    pub fn body(&self, format: Format, gzip: bool, collect: Option<&[&str]>, own: &Own, now: Timestamp) -> Body {
        let blocks = || self.blocks.iter().filter(|block| block.family.is_chosen(collect));
        let mut tail = own.text(format, collect);
        if format == Format::OpenMetrics {
            tail.extend_from_slice(b"# EOF\n");
        }
        let asked = if gzip { &self.asked.gzip } else { &self.asked.plain };
        // A few families for a look are no reason to hold all of them ready.
        if collect.is_none() {
            asked.store(now.timestamp(), Ordering::Relaxed);
        }
        if !gzip {
            let mut chunks = Chunks::default();
            for block in blocks() {
                if let Some(header) = header(block.family, format) {
                    chunks.copy(header.text().as_bytes());
                }
                for segment in &block.segments {
                    let text = segment.text();
                    chunks.share(text, || Bytes::from_owner(Text(Arc::clone(text))));
                }
            }
            chunks.copy(&tail);
            let length = chunks.length;
            return chunks.body(length);
        }
        let mut packer = Packer::default();
        let mut stream = Stream::new();
        for block in blocks() {
            if let Some(header) = header(block.family, format) {
                stream.copy(header.packed(&mut packer), header.text().len());
            }
            for segment in &block.segments {
                let packed = segment.packed(&mut packer);
                stream.share(packed, segment.len(), || Bytes::from_owner(PackedText(Arc::clone(packed))));
            }
        }
        stream.copy(&packer.pack(&tail, Vec::new()), tail.len());
        stream.end()
    }
}

/// Shares the text of a segment.
struct Text(Arc<Vec<u8>>);

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Shares the packed form of a segment.
struct PackedText(Arc<Packed>);

impl AsRef<[u8]> for PackedText {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

/// Pieces in the making.
#[derive(Default)]
struct Chunks {
    done: Vec<Bytes>,
    small: Vec<u8>,
    length: usize,
}

impl Chunks {
    fn copy(&mut self, piece: &[u8]) {
        self.small.extend_from_slice(piece);
        self.length += piece.len();
    }

    fn share(&mut self, piece: &[u8], shared: impl FnOnce() -> Bytes) {
        if piece.len() < SHARE_FROM {
            self.copy(piece);
            return;
        }
        self.flush();
        self.length += piece.len();
        self.done.push(shared());
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            self.done.push(Bytes::from(std::mem::take(&mut self.small)));
        }
    }

    fn body(mut self, unpacked_length: usize) -> Body {
        self.flush();
        Body { chunks: self.done, length: self.length, unpacked_length }
    }
}

/// A gzip stream in the making.
struct Stream {
    chunks: Chunks,
    crc: Crc,
    unpacked: usize,
}

impl Stream {
    fn new() -> Self {
        let mut chunks = Chunks::default();
        chunks.copy(&GZIP_HEAD);
        Self { chunks, crc: Crc::new(), unpacked: 0 }
    }

    fn copy(&mut self, packed: &Packed, unpacked: usize) {
        self.count(packed, unpacked);
        self.chunks.copy(&packed.bytes);
    }

    fn share(&mut self, packed: &Packed, unpacked: usize, shared: impl FnOnce() -> Bytes) {
        self.count(packed, unpacked);
        self.chunks.share(&packed.bytes, shared);
    }

    fn count(&mut self, packed: &Packed, unpacked: usize) {
        self.crc.combine(&packed.crc);
        self.unpacked += unpacked;
    }

    fn end(mut self) -> Body {
        self.chunks.copy(&LAST_BLOCK);
        self.chunks.copy(&self.crc.sum().to_le_bytes());
        // gzip keeps the length modulo 2^32.
        self.chunks.copy(&(self.unpacked as u32).to_le_bytes());
        self.chunks.body(self.unpacked)
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::*;
    use crate::config;
    use crate::metrics::{Build, Encoder};
    use crate::model::observed::Observed;
    use crate::model::picture::Picture;

    #[test]
    fn only_the_forms_that_somebody_asks_for_are_held_ready() {
        let own = Own::new(Build { version: "0", revision: "0", rustc: "0" }).unwrap();
        let mut encoder = Encoder::new(&config::Metrics::all(1000));
        let begin = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let picture = Arc::new(Picture::unseen(SystemId::new("prod"), begin, Observed::default()));
        let mut encode = |minutes| encoder.encode(&[Arc::clone(&picture)], begin + TimeDelta::minutes(minutes));
        let held = |exposition: &Exposition| {
            let mut forms = exposition.blocks.iter().flat_map(|block| &block.segments).map(|segment| segment.forms());
            let first = forms.next().unwrap();
            assert!(forms.all(|other| other == first));
            (first.text, first.packed)
        };
        let ask = |exposition: &Exposition, gzip, collect: Option<&[&str]>, minutes| {
            exposition.body(Format::Text, gzip, collect, &own, begin + TimeDelta::minutes(minutes))
        };
        let first = encode(0);
        ask(&first, false, None, 0);
        assert_eq!(held(&first), (true, false), "text is what all begins with");
        ask(&first, true, None, 0);
        assert_eq!(held(&first), (true, true));
        assert_eq!(held(&encode(1)), (true, true));
        ask(&first, true, None, 9);
        assert_eq!(held(&encode(11)), (false, true), "nobody asked for text");
        let packed = encode(12);
        ask(&packed, false, Some(&["exporter"]), 12);
        assert_eq!(held(&encode(13)), (false, true), "a look at a few families changes nothing");
        assert_eq!(ask(&packed, false, None, 13).concat(), ask(&first, false, None, 13).concat());
        assert_eq!(held(&encode(14)), (true, true));
        assert_eq!(held(&encode(40)), (true, false), "nobody asks at all");
    }

    #[test]
    fn the_format_is_what_the_scraper_likes_most() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, wanted) in [
            (None, Format::Text),
            (Some(""), Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html"), Format::Text),
            (Some(prometheus), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics),
            (Some("application/openmetrics-text; version=2.0.0, text/plain; q=0.1"), Format::Text),
            (Some("text/plain; version=0.0.4; q=0.9, application/openmetrics-text; q=0.5"), Format::Text),
            (Some("application/openmetrics-text; q=nonsense, text/plain; q=0.1"), Format::Text),
        ] {
            assert_eq!(Format::accepted(accept), wanted, "{accept:?}");
        }
    }
}

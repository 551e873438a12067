//! How are pieces of a body kept and packed? Each piece of text is packed by
//! itself, so that one that did not change is not packed again; together the
//! pieces are one ordinary gzip stream.

use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use flate2::{Compress, Compression, Crc, FlushCompress};

use crate::metrics::catalog::{Family, families};

use super::exposition::Format;

/// Opens a gzip stream: deflate, no name, no time, made on a unix.
pub(super) const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// Closes a deflate stream: an empty last block.
pub(super) const LAST_BLOCK: [u8; 2] = [3, 0];

/// Sample lines of one family of one system.
pub(super) struct Segment {
    text: Arc<Vec<u8>>,
    packed: OnceLock<Packed>,
    /// Memory for the packed form.
    room: Mutex<Vec<u8>>,
    /// Lines.
    pub(super) series: usize,
}

impl Segment {
    /// Takes ready lines, and memory for their packed form.
    pub(super) fn new(text: Vec<u8>, room: Vec<u8>, series: usize) -> Self {
        Self { text: Arc::new(text), packed: OnceLock::new(), room: Mutex::new(room), series }
    }

    /// The lines.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Bytes of text.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether it holds a packed form.
    pub(super) fn is_packed(&self) -> bool {
        self.packed.get().is_some()
    }

    /// The same lines without the packed form.
    pub(super) fn unpacked(&self) -> Self {
        Self { text: Arc::clone(&self.text), packed: OnceLock::new(), room: Mutex::default(), series: self.series }
    }

    /// The packed form, made the first time somebody asks.
    pub(super) fn packed(&self, packer: &mut Packer) -> &Packed {
        self.packed.get_or_init(|| {
            let room = self.room.lock().map(|mut room| std::mem::take(&mut *room)).unwrap_or_default();
            packer.pack(&self.text, room)
        })
    }

    /// The bytes of the packed form; none before it is made.
    pub(super) fn packed_bytes(&self) -> &[u8] {
        self.packed.get().map_or(&[], |packed| &packed.bytes)
    }

    /// Its memory, of the text and of the packed form, when nobody sends it.
    pub(super) fn into_buffers(self) -> (Vec<u8>, Vec<u8>) {
        let packed = match self.packed.into_inner() {
            Some(packed) => packed.bytes,
            None => self.room.into_inner().unwrap_or_default(),
        };
        (Arc::try_unwrap(self.text).unwrap_or_default(), packed)
    }
}

/// A piece of a deflate stream that ends at a byte and refers to nothing before it.
pub(super) struct Packed {
    pub(super) bytes: Vec<u8>,
    pub(super) crc: Crc,
}

/// Packs pieces one after the other with the same memory.
pub(super) struct Packer {
    compress: Compress,
}

impl Default for Packer {
    fn default() -> Self {
        // Level 1: level 6 packs a third smaller in four times the time.
        Self { compress: Compress::new(Compression::new(1), false) }
    }
}

impl Packer {
    /// Packs a piece into the memory of `bytes`.
    pub(super) fn pack(&mut self, text: &[u8], mut bytes: Vec<u8>) -> Packed {
        let mut crc = Crc::new();
        crc.update(text);
        self.compress.reset();
        bytes.clear();
        bytes.reserve(text.len() / 8 + 64);
        loop {
            let read = usize::try_from(self.compress.total_in()).unwrap_or(text.len());
            let Ok(_) = self.compress.compress_vec(&text[read..], &mut bytes, FlushCompress::Sync) else {
                return Packed { bytes: stored(text), crc };
            };
            let all = self.compress.total_in() as usize == text.len();
            // Room that is left says that the flush is complete.
            if all && bytes.len() < bytes.capacity() {
                return Packed { bytes, crc };
            }
            bytes.reserve(bytes.len() / 2 + 64);
        }
    }
}

/// Text as deflate blocks that are not compressed.
fn stored(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 8192 + 8);
    for block in text.chunks(0xffff) {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    out
}

/// The lines before the samples of a family.
pub(crate) struct Header {
    text: String,
    packed: OnceLock<Packed>,
}

impl Header {
    fn new(family: &Family, format: Format) -> Self {
        let name = match format {
            Format::Text => family.name.as_str(),
            Format::OpenMetrics => family.open_metrics_name(),
        };
        let text = format!("# HELP {name} {}\n# TYPE {name} {}\n", family.help, family.kind.as_str());
        Self { text, packed: OnceLock::new() }
    }

    /// The lines.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The packed form.
    pub(super) fn packed(&self, packer: &mut Packer) -> &Packed {
        self.packed.get_or_init(|| packer.pack(self.text.as_bytes(), Vec::new()))
    }
}

/// The header of a family of the catalogue.
pub(crate) fn header(family: &Family, format: Format) -> Option<&'static Header> {
    static HEADERS: LazyLock<std::collections::BTreeMap<&'static str, [Header; 2]>> = LazyLock::new(|| {
        families()
            .iter()
            .map(|family| {
                let both = [Header::new(family, Format::Text), Header::new(family, Format::OpenMetrics)];
                (family.name.as_str(), both)
            })
            .collect()
    });
    HEADERS.get(family.name.as_str()).map(|[text, open_metrics]| match format {
        Format::Text => text,
        Format::OpenMetrics => open_metrics,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn unpack(pieces: &[&Packed]) -> Vec<u8> {
        let mut all = GZIP_HEAD.to_vec();
        let mut crc = Crc::new();
        for piece in pieces {
            all.extend_from_slice(&piece.bytes);
            crc.combine(&piece.crc);
        }
        all.extend_from_slice(&LAST_BLOCK);
        all.extend_from_slice(&crc.sum().to_le_bytes());
        all.extend_from_slice(&crc.amount().to_le_bytes());
        let mut out = Vec::new();
        // A decoder of one member only: what it reads, every client reads.
        flate2::read::GzDecoder::new(&all[..]).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn pieces_packed_apart_are_one_gzip_stream_together() {
        let mut packer = Packer::default();
        let texts = [vec![b'x'; 300_000], Vec::new(), b"short".to_vec(), (0..=255).cycle().take(70_000).collect()];
        let packed: Vec<Packed> = texts.iter().map(|text| packer.pack(text, Vec::new())).collect();
        let again = packer.pack(&texts[2], vec![1; 10]);
        let pieces: Vec<&Packed> = packed.iter().chain([&again]).collect();
        assert_eq!(unpack(&pieces), [texts.concat(), texts[2].clone()].concat());
    }

    #[test]
    fn text_can_be_stored_as_it_is() {
        let text: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let mut crc = Crc::new();
        crc.update(&text);
        assert_eq!(unpack(&[&Packed { bytes: stored(&text), crc }]), text);
    }
}

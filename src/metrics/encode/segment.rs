//! How are pieces of a body kept and packed? Each piece of text is packed by
//! itself, so that one that did not change is not packed again; together the
//! pieces are one ordinary gzip stream.

use std::sync::{Arc, LazyLock, OnceLock};

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress};

use crate::metrics::catalog::{Family, families};

use super::exposition::Format;

/// Opens a gzip stream: deflate, no name, no time, made on a unix.
pub(super) const GZIP_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];

/// Closes a deflate stream: an empty last block.
pub(super) const LAST_BLOCK: [u8; 2] = [3, 0];

/// In which forms pieces are made in advance. One form is always there, and
/// the other is made from it when somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forms {
    pub(super) text: bool,
    pub(super) packed: bool,
}

/// Sample lines of one family of one system.
pub(super) struct Segment {
    text: OnceLock<Arc<Vec<u8>>>,
    packed: OnceLock<Arc<Packed>>,
    /// Bytes of text.
    length: usize,
    /// Lines.
    pub(super) series: usize,
}

impl Segment {
    /// Takes ready lines.
    pub(super) fn of_text(text: Vec<u8>, series: usize) -> Self {
        let length = text.len();
        Self { text: OnceLock::from(Arc::new(text)), packed: OnceLock::new(), length, series }
    }

    /// Packs lines into the memory of `room`, and does not keep them as text.
    pub(super) fn of_packed(text: &[u8], packer: &mut Packer, room: Vec<u8>, series: usize) -> Self {
        let packed = Arc::new(packer.pack(text, room));
        Self { text: OnceLock::new(), packed: OnceLock::from(packed), length: text.len(), series }
    }

    /// The lines; unpacked the first time somebody asks, unless kept.
    pub(super) fn text(&self) -> &Arc<Vec<u8>> {
        self.text.get_or_init(|| {
            let packed = self.packed.get().map_or(&[][..], |packed| &packed.bytes);
            Arc::new(unpack(packed, self.length))
        })
    }

    /// Bytes of text.
    pub(super) const fn len(&self) -> usize {
        self.length
    }

    /// The forms it holds.
    pub(super) fn forms(&self) -> Forms {
        Forms { text: self.text.get().is_some(), packed: self.packed.get().is_some() }
    }

    /// The packed form, made the first time somebody asks.
    pub(super) fn packed(&self, packer: &mut Packer) -> &Arc<Packed> {
        self.pack(packer, Vec::new())
    }

    /// [`Self::packed`], made in the memory of `room`.
    pub(super) fn pack(&self, packer: &mut Packer, room: Vec<u8>) -> &Arc<Packed> {
        self.packed.get_or_init(|| Arc::new(packer.pack(self.text(), room)))
    }

    /// The same lines in just these forms.
    pub(super) fn only(&self, forms: Forms, packer: &mut Packer) -> Self {
        let kept = Self { text: OnceLock::new(), packed: OnceLock::new(), length: self.length, series: self.series };
        if forms.packed {
            let _ = kept.packed.set(Arc::clone(self.packed(packer)));
        }
        if forms.text {
            let _ = kept.text.set(Arc::clone(self.text()));
        }
        kept
    }

    /// Its memory, of the text and of the packed form, where nobody uses it any more.
    pub(super) fn into_buffers(self) -> (Vec<u8>, Vec<u8>) {
        let text = self.text.into_inner().and_then(Arc::into_inner);
        let packed = self.packed.into_inner().and_then(Arc::into_inner);
        (text.unwrap_or_default(), packed.map(|packed| packed.bytes).unwrap_or_default())
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

/// The text of a packed piece.
fn unpack(packed: &[u8], length: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(length);
    let mut decompress = Decompress::new(false);
    while text.len() < length {
        let (read, before) = (usize::try_from(decompress.total_in()).unwrap_or(packed.len()), text.len());
        let rest = packed.get(read..).unwrap_or_default();
        let went_on = decompress.decompress_vec(rest, &mut text, FlushDecompress::None).is_ok();
        debug_assert!(went_on, "what we packed can be unpacked");
        if !went_on || text.len() == before {
            break;
        }
    }
    text
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

    fn unpacked(pieces: &[&Packed]) -> Vec<u8> {
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
        assert_eq!(unpacked(&pieces), [texts.concat(), texts[2].clone()].concat());
    }

    #[test]
    fn text_can_be_stored_as_it_is() {
        let text: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let mut crc = Crc::new();
        crc.update(&text);
        assert_eq!(unpacked(&[&Packed { bytes: stored(&text), crc }]), text);
    }

    #[test]
    fn a_piece_kept_in_one_form_gives_the_other_when_asked() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| format!("m{{a=\"{}\"}} {n}\n", n % 7).into_bytes()).collect();
        let mut packer = Packer::default();
        let forms = |text, packed| Forms { text, packed };
        let segment = Segment::of_packed(&text, &mut packer, Vec::new(), 200_000);
        assert_eq!(segment.forms(), forms(false, true));
        assert_eq!((segment.len(), segment.series), (text.len(), 200_000));
        assert_eq!(**segment.text(), text);
        assert_eq!(segment.forms(), forms(true, true));
        let lean = segment.only(forms(false, true), &mut packer);
        assert_eq!(lean.forms(), forms(false, true));
        assert_eq!(**lean.text(), text);
        let plain = Segment::of_text(text.clone(), 200_000).only(forms(true, false), &mut packer);
        assert_eq!(plain.forms(), forms(true, false));
        assert_eq!(plain.packed(&mut packer).bytes, lean.packed(&mut packer).bytes);
        let empty = Segment::of_packed(&[], &mut packer, Vec::new(), 0);
        assert_eq!(**empty.text(), Vec::<u8>::new());
    }
}

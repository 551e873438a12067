//! How a stream of bytes is cut into records: a decimal length, a newline, and
//! that many bytes, again and again.
//!
//! Records and pieces of HTTP have nothing to do with each other: a record may
//! come in many pieces, and many in one.

/// An OFFERS event of ten thousand agents with long attributes has about 30 MB.
pub const MAX_RECORD: usize = 64 << 20;

/// Digits of the longest length.
const MAX_DIGITS: usize = 8;

/// Why a stream cannot be read on. Where the next record begins is then unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum RecordError {
    #[error("a record begins with {found:?}, which is no length")]
    NoLength { found: String },
    #[error("a record has {length} bytes, and at most {MAX_RECORD} are read")]
    TooLong { length: usize },
}

/// Takes bytes in, gives records out.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the bytes begin that were not given out.
    at: usize,
    /// How long the record is that comes next, when its length was read.
    length: Option<usize>,
}

impl Decoder {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole record, if it is there.
    pub fn record(&mut self) -> Result<Option<&[u8]>, RecordError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.read_length()? {
                Some(length) => *self.length.insert(length),
                None => return Ok(None),
            },
        };
        let end = self.at + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let begin = std::mem::replace(&mut self.at, end);
        self.length = None;
        Ok(self.buffer.get(begin..end))
    }

    /// Whether the stream may end here without a loss.
    pub fn is_between_records(&self) -> bool {
        self.at == self.buffer.len() && self.length.is_none()
    }

    fn read_length(&mut self) -> Result<Option<usize>, RecordError> {
        let left = self.buffer.get(self.at..).unwrap_or_default();
        let head: &[u8] = left.get(..left.len().min(MAX_DIGITS + 1)).unwrap_or_default();
        let digits = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let is_whole = digits.len() < head.len();
        if !digits.iter().all(u8::is_ascii_digit) || (is_whole && digits.is_empty()) || digits.len() > MAX_DIGITS {
            let found = String::from_utf8_lossy(head).into_owned();
            return Err(RecordError::NoLength { found });
        }
        if !is_whole {
            return Ok(None);
        }
        // At most eight digits: it fits.
        let length = digits.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
        if length > MAX_RECORD {
            return Err(RecordError::TooLong { length });
        }
        self.at += digits.len() + 1;
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(records: &[Vec<u8>]) -> Vec<u8> {
        records.iter().flat_map(|record| [format!("{}\n", record.len()).as_bytes(), record].concat()).collect()
    }

    fn decoded(pieces: impl Iterator<Item = Vec<u8>>) -> Result<(Vec<Vec<u8>>, bool), RecordError> {
        let mut decoder = Decoder::new();
        let mut records = Vec::new();
        for piece in pieces {
            decoder.feed(&piece);
            while let Some(record) = decoder.record()? {
                records.push(record.to_vec());
            }
        }
        Ok((records, decoder.is_between_records()))
    }

    proptest! {
        #[test]
        fn records_come_out_as_they_went_in_however_they_are_cut(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
            size in 1_usize..400,
        ) {
            let bytes = encoded(&records);
            let (found, whole) = decoded(bytes.chunks(size).map(<[u8]>::to_vec)).unwrap();
            prop_assert_eq!(found, records);
            prop_assert!(whole);
        }

        #[test]
        fn any_bytes_are_read_or_refused_and_never_a_panic(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), b'0'..=b'9'], 0..400),
            size in 1_usize..50,
        ) {
            let _ = decoded(bytes.chunks(size).map(<[u8]>::to_vec));
        }

        #[test]
        fn a_stream_that_is_cut_off_gives_the_whole_records_and_says_that_it_was_cut(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..8),
            cut in 1_usize..40,
        ) {
            let bytes = encoded(&records);
            let left = bytes.len().saturating_sub(cut);
            let (found, whole) = decoded(std::iter::once(bytes[..left].to_vec())).unwrap();
            prop_assert_eq!(&found[..], &records[..found.len()]);
            prop_assert_eq!(whole, encoded(&records[..found.len()]).len() == left);
        }
    }

    #[test]
    fn what_is_no_length_is_refused_at_once() {
        for bad in ["x\n", "\n", "-1\n", "1 \n{", "123456789", "HTTP/1.1 200 OK", "99999999\n"] {
            let mut decoder = Decoder::new();
            decoder.feed(bad.as_bytes());
            assert!(decoder.record().is_err(), "{bad:?}");
        }
        let mut decoder = Decoder::new();
        decoder.feed(b"12345678");
        assert_eq!(decoder.record(), Ok(None), "the newline may still come");
    }
}

//! How is a sample line written? Name, the object's ready label text, at most
//! a few more labels, and the number, into a buffer that is kept.

use std::fmt::{self, Write as _};

use crate::metrics::naming::{Escaped, snake};

/// The ready label text of one object.
#[derive(Clone, Copy)]
pub(crate) struct Labels<'a> {
    /// `system="a",sds="b"`.
    pub(crate) text: &'a [u8],
    /// Beyond the series limit: counted, not written.
    pub(crate) withheld: bool,
}

impl<'a> Labels<'a> {
    /// Labels of what no limit touches.
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { text, withheld: false }
    }
}

/// Writes the sample lines of one family.
pub(crate) struct Lines<'a> {
    out: &'a mut Vec<u8>,
    name: &'a str,
    /// The name with the brace behind it.
    head: Vec<u8>,
    /// Room for an id as text, kept between lines.
    scratch: String,
    /// Series written.
    pub(crate) written: usize,
    /// Series that the limit withheld.
    pub(crate) withheld: usize,
}

impl<'a> Lines<'a> {
    /// Lines of the family with this name, behind what `out` holds.
    pub(crate) fn new(out: &'a mut Vec<u8>, name: &'a str) -> Self {
        let head = [name.as_bytes(), b"{"].concat();
        Self { out, name, head, scratch: String::new(), written: 0, withheld: 0 }
    }

    /// One line, or none when there is no value. `more` is ready label text
    /// that begins with a comma.
    #[inline]
    pub(crate) fn sample(&mut self, labels: Labels<'_>, more: &str, value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        if labels.withheld {
            self.withheld += 1;
            return;
        }
        self.written += 1;
        // Once for the whole line; a number has at most 24 characters.
        self.out.reserve(self.head.len() + labels.text.len() + more.len() + 32);
        self.out.extend_from_slice(&self.head);
        self.out.extend_from_slice(labels.text);
        if !more.is_empty() {
            self.out.extend_from_slice(more.as_bytes());
        }
        self.out.extend_from_slice(b"} ");
        number(self.out, value);
        self.out.push(b'\n');
    }

    /// Begins a line whose further labels are not known beforehand.
    pub(crate) fn line<'l>(&'l mut self, labels: Labels<'_>) -> Line<'l, 'a> {
        self.line_of(labels, "")
    }

    /// [`Self::line`], with a suffix of the family's name (`_bucket`).
    pub(crate) fn line_of<'l>(&'l mut self, labels: Labels<'_>, suffix: &str) -> Line<'l, 'a> {
        if labels.withheld {
            self.withheld += 1;
        } else {
            self.written += 1;
            self.out.extend_from_slice(self.name.as_bytes());
            self.out.extend_from_slice(suffix.as_bytes());
            self.out.push(b'{');
            self.out.extend_from_slice(labels.text);
        }
        Line { comma: !labels.text.is_empty(), live: !labels.withheld, lines: self }
    }

    /// The text of an id, without an allocation a line.
    pub(crate) fn text(&mut self, id: &dyn fmt::Display) -> &str {
        self.scratch.clear();
        let _ = write!(self.scratch, "{id}");
        &self.scratch
    }
}

/// A line in the making. It is not complete before [`Line::is`].
pub(crate) struct Line<'l, 'a> {
    lines: &'l mut Lines<'a>,
    comma: bool,
    live: bool,
}

impl Line<'_, '_> {
    /// Adds a label.
    pub(crate) fn label(self, name: &str, value: &str) -> Self {
        self.with(name, |out| Escaped(out).push(value))
    }

    /// Adds a label that may have no value.
    pub(crate) fn maybe(self, name: &str, value: Option<&str>) -> Self {
        self.label(name, value.unwrap_or(""))
    }

    /// Adds a label whose value knows how to print itself.
    pub(crate) fn shown(self, name: &str, value: impl fmt::Display) -> Self {
        self.with(name, |out| {
            let _ = write!(Escaped(out), "{value}");
        })
    }

    /// Adds a label with a word of the MDM.
    pub(crate) fn word(self, name: &str, word: &str) -> Self {
        self.with(name, |out| {
            let mut utf8 = [0; 4];
            snake(word, |letter| out.extend_from_slice(letter.encode_utf8(&mut utf8).as_bytes()));
        })
    }

    /// Ends the line.
    pub(crate) fn is(self, value: f64) {
        if self.live {
            self.lines.out.extend_from_slice(b"} ");
            number(self.lines.out, value);
            self.lines.out.push(b'\n');
        }
    }

    fn with(mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        if self.live {
            if self.comma {
                self.lines.out.push(b',');
            }
            self.comma = true;
            self.lines.out.extend_from_slice(name.as_bytes());
            self.lines.out.extend_from_slice(b"=\"");
            write(self.lines.out);
            self.lines.out.push(b'"');
        }
        self
    }
}

/// Writes a number with the fewest digits that read back as the same one.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, value: f64) {
    let whole = value as i64;
    // Beyond 2^53 the digits of an integer would claim more than is known.
    if whole as f64 == value && whole.unsigned_abs() <= 1 << 53 {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else if value.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
    } else {
        out.extend_from_slice(if value.is_nan() {
            b"NaN"
        } else if value > 0.0 {
            b"+Inf"
        } else {
            b"-Inf"
        });
    }
}

/// Writes the bound of a bucket as OpenMetrics wants it: `1` as `1.0`.
pub(crate) fn bound(value: f64) -> String {
    if value.is_finite() { zmij::Buffer::new().format_finite(value).to_owned() } else { "+Inf".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: f64) -> String {
        let mut out = Vec::new();
        number(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_read_back_as_themselves() {
        for value in [0.0, 1.0, -7.0, 0.1, 1e-7, 1.0 / 3.0, 9_007_199_254_740_992.0, 1e300, 2f64.powi(63), f64::MAX] {
            assert_eq!(shown(value).parse::<f64>().unwrap(), value, "{}", shown(value));
        }
        assert_eq!(shown(1_073_741_824.0), "1073741824");
        assert_eq!(shown(f64::INFINITY), "+Inf");
        assert_eq!(shown(f64::NAN), "NaN");
    }

    #[test]
    fn bounds_have_a_decimal_point() {
        assert_eq!([bound(0.005), bound(1.0), bound(f64::INFINITY)], ["0.005", "1.0", "+Inf"]);
    }

    #[test]
    fn a_line_without_a_value_is_no_line_and_a_withheld_one_is_counted() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, "m");
        lines.sample(Labels::new(b"a=\"b\""), "", None);
        lines.sample(Labels::new(b"a=\"b\""), "", Some(f64::NAN));
        lines.sample(Labels { text: b"a=\"c\"", withheld: true }, "", Some(1.0));
        lines.line(Labels { text: b"a=\"c\"", withheld: true }).label("x", "y").is(1.0);
        lines.sample(Labels::new(b"a=\"b\""), ",k=\"v\"", Some(2.5));
        lines.line(Labels::new(b"a=\"b\"")).label("n", "q\"").word("s", "InMaintenance").is(1.0);
        assert_eq!((lines.written, lines.withheld), (2, 2));
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "m{a=\"b\",k=\"v\"} 2.5\nm{a=\"b\",n=\"q\\\"\",s=\"in_maintenance\"} 1\n"
        );
    }
}

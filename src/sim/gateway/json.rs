//! Writes JSON text straight into a buffer: answers of tens of megabytes leave
//! no room for trees.

use std::fmt::{Display, Write as _};

use crate::sim::world::Io;

/// JSON under construction. Commas come by themselves.
#[derive(Debug, Default)]
pub(super) struct Json {
    out: String,
    comma: bool,
}

impl Json {
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { out: String::with_capacity(bytes), comma: false }
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    fn separate(&mut self) {
        if self.comma {
            self.out.push(',');
        }
        self.comma = true;
    }

    fn open(&mut self, bracket: char) {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
    }

    fn close(&mut self, bracket: char) {
        self.out.push(bracket);
        self.comma = true;
    }

    pub(super) fn object(&mut self, fill: impl FnOnce(&mut Self)) {
        self.open('{');
        fill(self);
        self.close('}');
    }

    pub(super) fn array(&mut self, fill: impl FnOnce(&mut Self)) {
        self.open('[');
        fill(self);
        self.close(']');
    }

    pub(super) fn key(&mut self, key: &str) -> &mut Self {
        self.separate();
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.comma = false;
        self
    }

    /// JSON text as it is.
    pub(super) fn raw(&mut self, text: &str) {
        self.separate();
        self.out.push_str(text);
    }

    /// Ready fields of an object, such as `"a":1,"b":null`; may be empty.
    pub(super) fn fields(&mut self, text: &str) {
        if !text.is_empty() {
            self.raw(text);
        }
    }

    pub(super) fn number(&mut self, value: u64) {
        self.separate();
        self.out.push_str(itoa::Buffer::new().format(value));
    }

    pub(super) fn float(&mut self, value: f64) {
        self.separate();
        if value.is_finite() {
            // `{:?}` keeps the point, as Java does.
            let _ = write!(self.out, "{value:?}");
        } else {
            self.out.push_str("\"NaN\"");
        }
    }

    pub(super) fn string(&mut self, value: &str) {
        self.separate();
        self.out.push('"');
        if value.bytes().all(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.out.push_str(value);
        } else {
            for letter in value.chars() {
                match letter {
                    '"' => self.out.push_str("\\\""),
                    '\\' => self.out.push_str("\\\\"),
                    letter if u32::from(letter) < 0x20 => {
                        let _ = write!(self.out, "\\u{:04x}", u32::from(letter));
                    }
                    letter => self.out.push(letter),
                }
            }
        }
        self.out.push('"');
    }

    /// The text of a value that needs no escaping.
    pub(super) fn shown(&mut self, value: impl Display) {
        self.separate();
        let _ = write!(self.out, "\"{value}\"");
    }

    pub(super) fn opt_shown(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.shown(value),
            None => self.raw("null"),
        }
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.raw(if value { "true" } else { "false" });
    }

    pub(super) fn opt_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None => self.raw("null"),
        }
    }

    /// A window; `weight` is KiB or microseconds.
    pub(super) fn window(&mut self, io: Io, weight: u64) {
        self.separate();
        let mut digits = itoa::Buffer::new();
        self.out.push_str("{\"numSeconds\":");
        self.out.push_str(digits.format(io.seconds()));
        self.out.push_str(",\"totalWeightInKb\":");
        self.out.push_str(digits.format(weight));
        self.out.push_str(",\"numOccured\":");
        self.out.push_str(digits.format(io.ops));
        self.out.push('}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut json = Json::default();
        json.object(|json| {
            json.key("a").array(|json| {
                json.number(1);
                json.float(96.0);
                json.float(f64::NAN);
                json.string("quote \" slash \\ bell \u{7}");
            });
            json.fields("");
            json.fields("\"b\":null");
            json.key("c").bool(true);
            json.key("d").window(Io { ops: 2, kb: 8, micros: 5 }, 8);
        });
        let value: serde_json::Value = serde_json::from_str(&json.finish()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"a": [1, 96.0, "NaN", "quote \" slash \\ bell \u{7}"], "b": null, "c": true,
                "d": {"numSeconds": 5, "totalWeightInKb": 8, "numOccured": 2}})
        );
    }
}

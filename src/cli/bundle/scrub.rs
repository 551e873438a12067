//! What of a text must nobody see? Known secrets, and whatever looks like one. Pure.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

/// What stands where a secret stood.
pub(super) const HIDDEN: &str = "***";

/// To take out every `a` because somebody's password is `a` would leave nothing to read.
const SHORTEST: usize = 4;

/// Key files are known by their lines.
const LONG_LINE: usize = 16;

/// Parts of keys whose values nobody may see.
const SECRET: [&str; 4] = ["password", "passwd", "secret", "token"];

/// A text, and what stands for it.
type Shape = (Regex, &'static str);

/// What secrets look like that we were not told of.
static SHAPES: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let shapes = [
        (r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)", HIDDEN),
        (r"(?i)\b(authorization|cookie)(\W{1,4})[^\r\n]+", "${1}${2}***"),
        (r"(?i)\b(bearer|basic)\s+[a-z0-9+/=._~-]{8,}", "${1} ***"),
        (r"://[^/\s@:]+:[^/\s@]+@", "://***@"),
        (
            r#"(?i)\b([a-z_]*(?:password|passwd|secret|token))("?\s*[=:]\s*)("[^"\r\n]*"|'[^'\r\n]*'|[^\s"',;}]+)"#,
            "${1}${2}***",
        ),
        (r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}", HIDDEN),
    ];
    // One that is no expression would be told by the tests of this file.
    shapes.into_iter().filter_map(|(shape, with)| Some((Regex::new(shape).ok()?, with))).collect()
});

/// Takes secrets out of texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrubber {
    /// The longest first, so that no rest of one remains.
    words: Vec<String>,
}

impl Scrubber {
    /// Knows these secrets, in every way that they are written.
    pub(super) fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut words = BTreeSet::new();
        for secret in secrets {
            let secret = secret.trim();
            let parts = secret
                .lines()
                .filter(|line| line.len() >= LONG_LINE)
                .chain(secret.split_once(':').map(|(_, after)| after));
            for part in std::iter::once(secret).chain(parts).filter(|part| part.len() >= SHORTEST) {
                words.insert(part.to_owned());
                words.insert(STANDARD.encode(part).trim_end_matches('=').to_owned());
                words.insert(url::form_urlencoded::byte_serialize(part.as_bytes()).collect());
                // As JSON writes it, without its quotes.
                words.extend(serde_json::to_string(part).ok().map(|text| text.trim_matches('"').to_owned()));
            }
        }
        let mut words: Vec<String> = words.into_iter().collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        Self { words }
    }

    /// The text without them.
    pub(super) fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for word in &self.words {
            if text.contains(word.as_str()) {
                text = text.replace(word.as_str(), HIDDEN);
            }
        }
        for (shape, with) in SHAPES.iter() {
            if shape.is_match(&text) {
                text = shape.replace_all(&text, *with).into_owned();
            }
        }
        text
    }
}

/// Whether the value of a key is itself a secret; a key that names a file is none.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    !key.ends_with("_file") && SECRET.iter().any(|part| key.contains(part))
}

/// A configuration as text: what is set, without comments, which may hold anything.
pub(super) fn settings(text: &str) -> String {
    match text.parse::<toml::Table>() {
        Ok(mut table) => {
            hide(&mut table);
            table.to_string()
        }
        // The parser's message may quote the line.
        Err(_) => "# the file is no TOML, so it is left out\n".to_owned(),
    }
}

fn hide(table: &mut toml::Table) {
    for (key, value) in table.iter_mut() {
        match value {
            toml::Value::Table(inner) => hide(inner),
            toml::Value::Array(items) => {
                for item in items {
                    if let toml::Value::Table(inner) = item {
                        hide(inner);
                    }
                }
            }
            value if is_secret(key) => *value = HIDDEN.into(),
            // The path of a webhook is often its only secret.
            toml::Value::String(text) if key == "url" => *text = shortened(text),
            _ => {}
        }
    }
}

/// An address without what follows the host.
pub(super) fn shortened(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(url) if url.path() != "/" || url.query().is_some() => {
            format!("{}/{HIDDEN}", url.origin().ascii_serialization())
        }
        _ => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_secret_is_found_however_it_is_written() {
        let scrubber = Scrubber::new(["p\"ss wörd&1\n".to_owned(), "user:digest-part".to_owned(), "abc".to_owned()]);
        let basic = STANDARD.encode("p\"ss wörd&1");
        for text in [
            "login with p\"ss wörd&1 failed",
            r#"{"login":"p\"ss wörd&1"}"#,
            "GET /?x=p%22ss+w%C3%B6rd%261",
            &format!("value {basic}"),
            "auth user:digest-part",
            "auth other:digest-part",
        ] {
            let clean = scrubber.scrub(text);
            assert!(clean.contains(HIDDEN) && !clean.contains("rd&1") && !clean.contains("digest-part"), "{clean}");
        }
        assert_eq!(scrubber.scrub("abc is short, and words stay"), "abc is short, and words stay");
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out_though_nobody_told_of_it() {
        assert_eq!(SHAPES.len(), 6, "each shape is an expression");
        let scrubber = Scrubber::default();
        for (text, clean) in [
            ("Authorization: Basic abcdefghij==\nnext", "Authorization: ***\nnext"),
            ("sent Bearer eyJhbGciOi.J9 to it", "sent Bearer *** to it"),
            ("https://me:hunter2@host/x", "https://***@host/x"),
            (r#"{"password": "hunter2", "a": 1}"#, r#"{"password": ***, "a": 1}"#),
            ("SIO__X__PASSWORD=hunter2 next", "SIO__X__PASSWORD=*** next"),
            ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nx", "***\nx"),
            ("a cut -----BEGIN PRIVATE KEY-----\nabc", "a cut ***"),
            ("hash $2y$10$abcdefghijklmnopqrstuuVZ7MxkNQ1V3T8kJr1L8xv3b8m5q9qG2.", "hash ***."),
            ("password_file = \"/etc/p\"", "password_file = \"/etc/p\""),
            ("the token bucket holds 3", "the token bucket holds 3"),
        ] {
            assert_eq!(scrubber.scrub(text), clean);
        }
    }

    #[test]
    fn settings_lose_comments_secrets_and_the_paths_of_webhooks() {
        let text = "# once: hunter2\n[webhook]\nurl = \"https://h/T0/B1/xyz\"\ntoken = \"t\"\n[a.monitor]\npassword = \"p\"\npassword_file = \"f\"\n\
                    [[r]]\nsecret_key = 'k'\n[alertmanager]\nurls = [\"https://a\"]\n";
        let shown = settings(text);
        for gone in ["hunter2", "xyz", "\"t\"", "\"p\"", "\"k\""] {
            assert!(!shown.contains(gone), "{gone}: {shown}");
        }
        assert!(
            shown.contains("https://h/***") && shown.contains("password_file = \"f\"") && shown.contains("https://a"),
            "{shown}"
        );
        assert!(settings("a = \"hunter2").starts_with("# the file is no TOML"));
    }
}

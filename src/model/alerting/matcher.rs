//! Which alerts does an operator mean? Comparisons of labels in the syntax of
//! Prometheus and Alertmanager: `severity="critical"`, `system=~"prod-.+"`.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Labels;
use crate::model::pattern;

/// One comparison of one label. A missing label is the empty text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Matcher {
    name: String,
    op: Op,
    value: String,
    /// Of `=~` and `!~`.
    regex: Option<Regex>,
}

/// How a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Matches,
    NotMatches,
}

impl Op {
    /// Longer ones first: `=` begins `=~` too.
    const ALL: [Self; 4] = [Self::NotEqual, Self::Matches, Self::NotMatches, Self::Equal];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "=~",
            Self::NotMatches => "!~",
        }
    }
}

/// Why a text compares nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} compares no label: {why}; write something like severity=\"critical\" or system=~\"prod.*\"")]
pub struct BadMatcher {
    text: String,
    why: String,
}

/// Longest text of a comparison, so that a few of them fit into any mail.
const LONGEST: usize = 1_000;

impl Matcher {
    /// Reads `name="value"`, `name!="value"`, `name=~"expression"` or `name!~"expression"`. Quotes may be left out
    /// of a value without spaces and quotes.
    ///
    /// # Errors
    /// What compares nothing, with the reason.
    pub fn parse(text: &str) -> Result<Self, BadMatcher> {
        let fail = |why: &str| BadMatcher { text: text.chars().take(200).collect(), why: why.to_owned() };
        if text.len() > LONGEST {
            return Err(fail("it is longer than 1000 bytes"));
        }
        let text = text.trim();
        let end = text.find(['=', '!']).ok_or_else(|| fail("it has none of = != =~ !~"))?;
        let (name, rest) = text.split_at(end);
        let name = name.trim_end();
        let op = Op::ALL.into_iter().find(|op| rest.starts_with(op.as_str()));
        let op = op.ok_or_else(|| fail("it has none of = != =~ !~"))?;
        let tame = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(tame) || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(fail("what stands before the sign is no name of a label"));
        }
        let value = value(rest[op.as_str().len()..].trim()).map_err(fail)?;
        let regex = match op {
            Op::Equal | Op::NotEqual => None,
            Op::Matches | Op::NotMatches => {
                Some(pattern::whole_value(&value).map_err(|error| fail(&error.to_string()))?)
            }
        };
        Ok(Self { name: name.to_owned(), op, value, regex })
    }

    /// A label that has just this value.
    pub fn equal(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), op: Op::Equal, value: value.to_owned(), regex: None }
    }

    /// Whether a label set passes.
    pub fn accepts(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.name).map_or("", String::as_str);
        let matches = || self.regex.as_ref().is_some_and(|regex| regex.is_match(value));
        match self.op {
            Op::Equal => value == self.value,
            Op::NotEqual => value != self.value,
            Op::Matches => matches(),
            Op::NotMatches => !matches(),
        }
    }

    /// Whether something passes that has not this label: such a comparison alone narrows nothing.
    pub fn accepts_missing(&self) -> bool {
        self.accepts(&Labels::new())
    }
}

/// Whether a label set passes all comparisons.
pub fn all_accept(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.accepts(labels))
}

/// The value, without its quotes.
fn value(text: &str) -> Result<String, &'static str> {
    let Some(inner) = text.strip_prefix('"') else {
        let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | ',' | '{' | '}');
        return if text.contains(odd) { Err("the value needs quotes") } else { Ok(text.to_owned()) };
    };
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if chars.as_str().is_empty() => return Ok(out),
            '"' => return Err("something follows the closing quote"),
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some(c @ ('"' | '\\')) => out.push(c),
                // An escape of an expression, such as \. or \d.
                Some(c) => out.extend(['\\', c]),
                None => return Err("the closing quote is missing"),
            },
            c => out.push(c),
        }
    }
    Err("the closing quote is missing")
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        write!(f, "{}{}\"{value}\"", self.name, self.op.as_str())
    }
}

impl TryFrom<String> for Matcher {
    type Error = BadMatcher;

    fn try_from(text: String) -> Result<Self, BadMatcher> {
        Self::parse(&text)
    }
}

impl From<Matcher> for String {
    fn from(matcher: Matcher) -> Self {
        matcher.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn each_comparison_means_what_it_means_in_prometheus() {
        let labels = labels(&[("severity", "critical"), ("system", "prod-east"), ("quote", "a \"b\" \\c")]);
        for (text, accepts) in [
            ("severity=\"critical\"", true),
            ("severity=critical", true),
            (" severity = \"warning\" ", false),
            ("severity!=\"critical\"", false),
            ("system=~\"prod.*\"", true),
            ("system=~\"prod\"", false),
            ("system!~\"prod\"", true),
            ("system!~\"prod-(east|west)\"", false),
            (r#"system=~"prod\S+""#, true),
            ("absent=\"\"", true),
            ("absent!=\"\"", false),
            ("absent=~\".+\"", false),
            (r#"quote="a \"b\" \\c""#, true),
        ] {
            let matcher = Matcher::parse(text).unwrap();
            assert_eq!(matcher.accepts(&labels), accepts, "{text}");
            assert_eq!(Matcher::parse(&matcher.to_string()).unwrap(), matcher, "{text}");
            let stored: Matcher = serde_json::from_str(&serde_json::to_string(&matcher).unwrap()).unwrap();
            assert_eq!(stored.accepts(&labels), accepts, "{text}");
        }
    }

    #[test]
    fn a_text_that_compares_nothing_is_refused_with_its_reason() {
        for (text, why) in [
            ("severity", "none of"),
            ("=\"a\"", "no name"),
            ("se-verity=\"a\"", "no name"),
            ("9a=\"a\"", "no name"),
            ("a!b", "none of"),
            ("a=\"b", "closing quote is missing"),
            ("a=\"b\" or", "follows the closing quote"),
            ("a=b c", "needs quotes"),
            ("a=~\"(\"", "unclosed group"),
            ("a=~\"((a{1000}){1000}){1000}\"", "size limit"),
        ] {
            let error = Matcher::parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("write something like"), "{text}: {error}");
        }
        assert!(Matcher::parse(&format!("a={}", "x".repeat(1_000))).is_err());
    }
}

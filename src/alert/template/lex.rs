//! Where do texts end and actions begin, and of which words is an action made?

use super::{Failure, TemplateErrorKind};

/// A piece of a template.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// The words between `{{` and `}}` and where they begin.
    Action(usize, Vec<Word>),
}

/// A word of an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Word {
    pub(super) at: usize,
    /// No space before it: `.a.b` is one operand, `.a .b` are two.
    pub(super) glued: bool,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Ident(String),
    /// `.name`
    Field(String),
    Dot,
    /// `$name`; `$` alone has no name.
    Variable(String),
    Text(String),
    Int(i64),
    Float(f64),
    Pipe,
    Open,
    Close,
    Comma,
    Assign,
    Declare,
}

fn syntax<T>(at: usize, message: impl Into<String>) -> Result<T, Failure> {
    Err((at, TemplateErrorKind::Syntax(message.into())))
}

/// Cuts a template into texts and actions; comments are gone, trims are done.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Failure> {
    let mut out = Vec::new();
    let mut at = 0;
    let mut trim_next = false;
    loop {
        let open = text[at..].find("{{").map(|found| at + found);
        let mut plain = &text[at..open.unwrap_or(text.len())];
        if trim_next {
            plain = plain.trim_start();
        }
        let Some(open) = open else {
            push_text(&mut out, plain);
            return Ok(out);
        };
        let mut start = open + 2;
        let trims_before = text[start..].starts_with('-') && text[start + 1..].starts_with(char::is_whitespace);
        if trims_before {
            plain = plain.trim_end();
            start += 1;
        }
        push_text(&mut out, plain);
        let inner = text[start..].trim_start();
        if inner.starts_with("/*") {
            let Some(end) = inner.find("*/") else { return syntax(open, "unclosed comment") };
            let after = &inner[end + 2..];
            let rest = after.trim_start();
            trim_next = rest.len() < after.len() && rest.starts_with("-}}");
            let Some(rest) = rest.strip_prefix(if trim_next { "-}}" } else { "}}" }) else {
                return syntax(open, "a comment ends before the closing delimiter");
            };
            at = text.len() - rest.len();
            continue;
        }
        let mut lexer = Lexer { text, at: start };
        let words = lexer.action(open)?;
        out.push(Piece::Action(open, words));
        trim_next = text[..lexer.at].ends_with("-}}");
        at = lexer.at;
    }
}

fn push_text(out: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        out.push(Piece::Text(text.to_owned()));
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Reads words until the action is closed.
    fn action(&mut self, open: usize) -> Result<Vec<Word>, Failure> {
        let mut words = Vec::new();
        loop {
            let before = self.at;
            self.at = self.text.len() - self.rest().trim_start().len();
            let spaced = self.at > before;
            let rest = self.rest();
            if rest.is_empty() {
                return syntax(open, "unclosed action");
            }
            if rest.starts_with("}}") {
                self.at += 2;
                return Ok(words);
            }
            if spaced && rest.starts_with("-}}") {
                self.at += 3;
                return Ok(words);
            }
            let at = self.at;
            let kind = self.word()?;
            words.push(Word { at, glued: !spaced, kind });
        }
    }

    fn word(&mut self) -> Result<Kind, Failure> {
        let at = self.at;
        let Some(c) = self.rest().chars().next() else { return syntax(at, "unclosed action") };
        let simple = match c {
            '|' => Some((1, Kind::Pipe)),
            '(' => Some((1, Kind::Open)),
            ')' => Some((1, Kind::Close)),
            ',' => Some((1, Kind::Comma)),
            '=' => Some((1, Kind::Assign)),
            ':' if self.rest().starts_with(":=") => Some((2, Kind::Declare)),
            _ => None,
        };
        if let Some((length, kind)) = simple {
            self.at += length;
            return Ok(kind);
        }
        match c {
            '"' => self.quoted().map(Kind::Text),
            '`' => {
                let body = &self.rest()[1..];
                let Some(end) = body.find('`') else { return syntax(at, "unclosed raw string") };
                self.at += end + 2;
                Ok(Kind::Text(body[..end].to_owned()))
            }
            '\'' => syntax(at, "character constants are not supported; write a string"),
            '$' => {
                self.at += 1;
                Ok(Kind::Variable(self.name()))
            }
            '.' if !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.at += 1;
                let name = self.name();
                Ok(if name.is_empty() { Kind::Dot } else { Kind::Field(name) })
            }
            _ if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number(),
            _ if c.is_alphabetic() || c == '_' => Ok(Kind::Ident(self.name())),
            _ => syntax(at, format!("unexpected {c:?}")),
        }
    }

    fn name(&mut self) -> String {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_owned()
    }

    fn number(&mut self) -> Result<Kind, Failure> {
        let at = self.at;
        let rest = self.rest();
        let mut end = 0;
        for (i, c) in rest.char_indices() {
            let exponent_sign = matches!(c, '+' | '-') && (i == 0 || rest[..i].ends_with(['e', 'E']));
            if !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || exponent_sign) {
                break;
            }
            end = i + c.len_utf8();
        }
        let word = rest[..end].replace('_', "");
        self.at += end;
        let (sign, digits) = word.strip_prefix('-').map_or((1, word.as_str()), |digits| (-1, digits));
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let int = match digits.get(..2) {
            Some("0x" | "0X") => i64::from_str_radix(&digits[2..], 16).ok(),
            Some("0b" | "0B") => i64::from_str_radix(&digits[2..], 2).ok(),
            Some("0o" | "0O") => i64::from_str_radix(&digits[2..], 8).ok(),
            _ => digits.parse::<i64>().ok(),
        };
        if let Some(int) = int {
            return Ok(Kind::Int(sign * int));
        }
        match digits.parse::<f64>() {
            Ok(float) if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
                Ok(Kind::Float(sign as f64 * float))
            }
            _ => syntax(at, format!("bad number {word:?}")),
        }
    }

    fn quoted(&mut self) -> Result<String, Failure> {
        let start = self.at;
        let mut out = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += i + 1;
                    return Ok(out);
                }
                '\n' => break,
                '\\' => {
                    let Some((_, escape)) = chars.next() else { break };
                    let mut hex = |digits: usize| {
                        let text: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                        u32::from_str_radix(&text, 16).ok().and_then(char::from_u32)
                    };
                    let c = match escape {
                        'n' => Some('\n'),
                        't' => Some('\t'),
                        'r' => Some('\r'),
                        'a' => Some('\u{7}'),
                        'b' => Some('\u{8}'),
                        'f' => Some('\u{c}'),
                        'v' => Some('\u{b}'),
                        '\\' | '"' => Some(escape),
                        'x' => hex(2).filter(char::is_ascii),
                        'u' => hex(4),
                        'U' => hex(8),
                        _ => None,
                    };
                    let Some(c) = c else { return syntax(start + i, "bad escape in a string") };
                    out.push(c);
                }
                _ => out.push(c),
            }
        }
        syntax(start, "unclosed string")
    }
}

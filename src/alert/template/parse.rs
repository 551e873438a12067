//! Which nodes is a template made of, and is its form sound?

use std::collections::BTreeSet;

use super::functions;
use super::lex::{self, Kind, Piece, Word};
use super::{Failure, TemplateErrorKind};

/// How deep blocks and brackets may nest: expansion recurses.
const MAX_DEPTH: usize = 50;

/// What every template of a rule begins with, in Prometheus by a prefix.
pub(super) const GIVEN: [&str; 5] = ["", "labels", "value", "externalLabels", "externalURL"];

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    /// Tests in order, each with its block; the last may have none.
    If(Vec<(Option<Pipeline>, Vec<Node>)>),
    With(Vec<(Option<Pipeline>, Vec<Node>)>),
    Range {
        over: Pipeline,
        body: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) at: usize,
    /// Variables it sets: one, or index and element of a range.
    pub(super) targets: Vec<String>,
    /// `:=` makes new ones, `=` changes those there are.
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand alone, or a function with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) head: Operand,
    pub(super) args: Vec<Operand>,
}

#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Base {
    Dot,
    Variable(String),
    Function(String),
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Nested(Box<Pipeline>),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, Failure> {
    let pieces = lex::pieces(text)?;
    let mut parser = Parser {
        pieces: pieces.into_iter(),
        variables: GIVEN.iter().map(|&name| name.to_owned()).collect(),
        depth: 0,
        loops: 0,
        end: text.len(),
    };
    let (nodes, closing) = parser.block()?;
    match closing {
        None => Ok(nodes),
        Some(closing) => fail(closing.at, format!("unexpected {{{{{}}}}}", closing.word)),
    }
}

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T, Failure> {
    Err((at, TemplateErrorKind::Syntax(message.into())))
}

/// The action that ends a block: `end`, or `else` with what follows it.
struct Closing {
    at: usize,
    word: String,
    rest: Vec<Word>,
}

struct Parser {
    pieces: std::vec::IntoIter<Piece>,
    variables: Vec<String>,
    depth: usize,
    loops: usize,
    end: usize,
}

impl Parser {
    /// Nodes up to an `end` or `else`, or to the end of the text.
    fn block(&mut self) -> Result<(Vec<Node>, Option<Closing>), Failure> {
        let mut nodes = Vec::new();
        while let Some(piece) = self.pieces.next() {
            let (at, words) = match piece {
                Piece::Text(text) => {
                    nodes.push(Node::Text(text));
                    continue;
                }
                Piece::Action(at, words) => (at, words),
            };
            let keyword = match words.first() {
                None => return fail(at, "missing value for command"),
                Some(Word { kind: Kind::Ident(word), .. }) => word.clone(),
                Some(_) => String::new(),
            };
            match keyword.as_str() {
                "end" | "else" => {
                    return Ok((nodes, Some(Closing { at, word: keyword, rest: words[1..].to_vec() })));
                }
                "if" | "with" => nodes.push(self.branches(at, &keyword, &words[1..])?),
                "range" => nodes.push(self.range(at, &words[1..])?),
                "break" | "continue" if self.loops == 0 => return fail(at, format!("{keyword} outside of a range")),
                "break" => nodes.push(Node::Break),
                "continue" => nodes.push(Node::Continue),
                "define" | "template" | "block" => {
                    return Err((at, TemplateErrorKind::Unsupported(keyword)));
                }
                _ => nodes.push(Node::Action(self.pipeline(at, &words)?)),
            }
        }
        Ok((nodes, None))
    }

    fn nested<T>(&mut self, at: usize, inner: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return fail(at, format!("nested deeper than {MAX_DEPTH}"));
        }
        let out = inner(self);
        self.depth -= 1;
        out
    }

    /// `if` and `with`: tests and blocks up to the `end`. Variables last until then.
    fn branches(&mut self, at: usize, keyword: &str, words: &[Word]) -> Result<Node, Failure> {
        let scope = self.variables.len();
        let mut branches = Vec::new();
        let mut test = Some(self.pipeline(at, words)?);
        loop {
            let inner = self.variables.len();
            let (body, closing) = self.nested(at, Self::block)?;
            self.variables.truncate(inner);
            let last = test.is_none();
            branches.push((test.take(), body));
            let Some(closing) = closing else { return fail(self.end, format!("{keyword} without an end")) };
            if closing.word == "end" {
                break;
            }
            if last {
                return fail(closing.at, "else after else");
            }
            match closing.rest.first() {
                None => {}
                Some(Word { kind: Kind::Ident(word), .. }) if word == keyword => {
                    test = Some(self.pipeline(closing.at, &closing.rest[1..])?);
                }
                Some(_) => return fail(closing.at, format!("else is followed by {keyword} or by nothing")),
            }
        }
        self.variables.truncate(scope);
        Ok(if keyword == "if" { Node::If(branches) } else { Node::With(branches) })
    }

    fn range(&mut self, at: usize, words: &[Word]) -> Result<Node, Failure> {
        let scope = self.variables.len();
        let over = self.pipeline(at, words)?;
        self.loops += 1;
        let (body, closing) = self.nested(at, Self::block)?;
        self.loops -= 1;
        self.variables.truncate(scope);
        let mut otherwise = Vec::new();
        let mut closing = closing;
        if closing.as_ref().is_some_and(|closing| closing.word == "else" && closing.rest.is_empty()) {
            (otherwise, closing) = self.nested(at, Self::block)?;
            self.variables.truncate(scope);
        }
        match closing {
            Some(closing) if closing.word == "end" => Ok(Node::Range { over, body, otherwise }),
            Some(closing) => fail(closing.at, "unexpected else in a range"),
            None => fail(self.end, "range without an end"),
        }
    }

    fn pipeline(&mut self, at: usize, words: &[Word]) -> Result<Pipeline, Failure> {
        let (targets, declares, words) = targets(words)?;
        let mut commands = Vec::new();
        let mut depth = 0_usize;
        let mut start = 0;
        for (i, word) in words.iter().enumerate() {
            match word.kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => return fail(word.at, "unexpected )"),
                Kind::Close => depth -= 1,
                Kind::Pipe if depth == 0 => {
                    commands.push(self.command(at, &words[start..i])?);
                    start = i + 1;
                }
                _ => {}
            }
        }
        commands.push(self.command(at, &words[start..])?);
        for command in &commands[1..] {
            if !matches!(command.head.base, Base::Function(_)) {
                return fail(command.at, "only a function can follow |");
            }
        }
        for name in &targets {
            if declares {
                self.variables.push(name.clone());
            } else if !self.variables.contains(name) {
                return Err((at, TemplateErrorKind::UnknownVariable(name.clone())));
            }
        }
        Ok(Pipeline { at, targets, declares, commands })
    }

    fn command(&mut self, at: usize, words: &[Word]) -> Result<Command, Failure> {
        let mut operands = Vec::new();
        let mut rest = words;
        while let Some(first) = rest.first() {
            let (operand, after) = self.operand(first, rest)?;
            operands.push(operand);
            rest = after;
        }
        if operands.is_empty() {
            return fail(words.first().map_or(at, |word| word.at), "missing value for command");
        }
        let head = operands.remove(0);
        match (&head.base, operands.first()) {
            (Base::Function(name), _) if !functions::exists(name) => Err((head.at, functions::missing(name))),
            (Base::Function(_), _) | (_, None) => Ok(Command { at: head.at, head, args: operands }),
            (_, Some(extra)) => fail(extra.at, "can't give an argument to what is no function"),
        }
    }

    /// One operand at the head of `words`, and what follows it.
    fn operand<'w>(&mut self, first: &Word, words: &'w [Word]) -> Result<(Operand, &'w [Word]), Failure> {
        let mut rest = &words[1..];
        let mut fields = Vec::new();
        let base = match &first.kind {
            Kind::Dot => Base::Dot,
            Kind::Field(name) => {
                fields.push(name.clone());
                Base::Dot
            }
            Kind::Variable(name) if self.variables.contains(name) => Base::Variable(name.clone()),
            Kind::Variable(name) => return Err((first.at, TemplateErrorKind::UnknownVariable(name.clone()))),
            Kind::Ident(name) => match name.as_str() {
                "true" => Base::Bool(true),
                "false" => Base::Bool(false),
                "nil" => Base::Nil,
                _ => Base::Function(name.clone()),
            },
            Kind::Text(text) => Base::Text(text.clone()),
            Kind::Int(int) => Base::Int(*int),
            Kind::Float(float) => Base::Float(*float),
            Kind::Open => {
                let mut depth = 1;
                let close = rest.iter().position(|word| {
                    match word.kind {
                        Kind::Open => depth += 1,
                        Kind::Close => depth -= 1,
                        _ => {}
                    }
                    depth == 0
                });
                let Some(close) = close else { return fail(first.at, "unclosed (") };
                let inner = &rest[..close];
                rest = &rest[close + 1..];
                Base::Nested(Box::new(self.nested(first.at, |parser| parser.pipeline(first.at, inner))?))
            }
            other => return fail(first.at, format!("unexpected {other:?}")),
        };
        while let Some(Word { glued: true, kind: Kind::Field(name), .. }) = rest.first() {
            fields.push(name.clone());
            rest = &rest[1..];
        }
        if let Base::Function(name) = &base
            && !functions::exists(name)
        {
            return Err((first.at, functions::missing(name)));
        }
        Ok((Operand { at: first.at, base, fields }, rest))
    }
}

/// `$x :=`, `$x =` or `$i, $x :=` at the head of an action.
fn targets(words: &[Word]) -> Result<(Vec<String>, bool, &[Word]), Failure> {
    let name = |at: usize| match words.get(at).map(|word| &word.kind) {
        Some(Kind::Variable(name)) => Some(name.clone()),
        _ => None,
    };
    let sign = |at: usize| match words.get(at).map(|word| &word.kind) {
        Some(Kind::Declare) => Some(true),
        Some(Kind::Assign) => Some(false),
        _ => None,
    };
    if let (Some(only), Some(declares)) = (name(0), sign(1)) {
        return Ok((vec![only], declares, &words[2..]));
    }
    if let (Some(index), Some(Kind::Comma), Some(element)) = (name(0), words.get(1).map(|word| &word.kind), name(2)) {
        return match sign(3) {
            Some(declares) => Ok((vec![index, element], declares, &words[4..])),
            None => fail(words[1].at, "unexpected ,"),
        };
    }
    Ok((Vec::new(), false, words))
}

/// Labels named by `$labels.x`, `.Labels.x` and `index $labels "x"`.
pub(super) fn labels_used(nodes: &[Node], out: &mut BTreeSet<String>) {
    for node in nodes {
        match node {
            Node::Text(_) | Node::Break | Node::Continue => {}
            Node::Action(pipeline) => in_pipeline(pipeline, out),
            Node::If(branches) | Node::With(branches) => {
                for (test, body) in branches {
                    test.iter().for_each(|test| in_pipeline(test, out));
                    labels_used(body, out);
                }
            }
            Node::Range { over, body, otherwise } => {
                in_pipeline(over, out);
                labels_used(body, out);
                labels_used(otherwise, out);
            }
        }
    }
}

fn in_pipeline(pipeline: &Pipeline, out: &mut BTreeSet<String>) {
    for command in &pipeline.commands {
        for operand in std::iter::once(&command.head).chain(&command.args) {
            match (&operand.base, operand.fields.as_slice()) {
                (Base::Variable(name), [label, ..]) if name == "labels" => drop(out.insert(label.clone())),
                (Base::Dot, [labels, label, ..]) if labels == "Labels" => drop(out.insert(label.clone())),
                (Base::Nested(inner), _) => in_pipeline(inner, out),
                _ => {}
            }
        }
        let is_index = matches!(&command.head.base, Base::Function(name) if name == "index");
        if let (true, [map, Operand { base: Base::Text(label), .. }]) = (is_index, command.args.as_slice())
            && matches!(&map.base, Base::Variable(name) if name == "labels" && map.fields.is_empty())
        {
            out.insert(label.clone());
        }
    }
}

//! What does a template come to for one alert?

use std::collections::BTreeMap;

use super::functions;
use super::parse::{Base, Command, GIVEN, Node, Operand, Pipeline};
use super::value::Val;
use super::{Data, Failure, MAX_OUTPUT, TemplateErrorKind};

pub(super) fn expand(nodes: &[Node], data: &Data<'_>) -> Result<String, Failure> {
    let labels = Val::labels(data.labels.iter());
    let external = Val::labels(data.external_labels.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let url = Val::Text(data.external_url.to_owned());
    let root = Val::Fields(BTreeMap::from([
        ("Labels", labels.clone()),
        ("ExternalLabels", external.clone()),
        ("ExternalURL", url.clone()),
        ("Value", Val::Float(data.value)),
    ]));
    let given = [root.clone(), labels, Val::Float(data.value), external, url];
    let variables = GIVEN.iter().map(|&name| name.to_owned()).zip(given).collect();
    let mut exec = Exec { data, variables, out: String::new() };
    exec.nodes(nodes, &root)?;
    Ok(exec.out)
}

/// How a block ended.
#[derive(Clone, Copy, PartialEq)]
enum Flow {
    Through,
    Break,
    Continue,
}

struct Exec<'a> {
    data: &'a Data<'a>,
    variables: Vec<(String, Val)>,
    out: String,
}

impl Exec<'_> {
    fn write(&mut self, text: &str, at: usize) -> Result<(), Failure> {
        if self.out.len() + text.len() > MAX_OUTPUT {
            return Err((at, TemplateErrorKind::TooLong(MAX_OUTPUT)));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn nodes(&mut self, nodes: &[Node], dot: &Val) -> Result<Flow, Failure> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Through {
                return Ok(flow);
            }
        }
        Ok(Flow::Through)
    }

    /// A block whose variables end with it.
    fn block(&mut self, nodes: &[Node], dot: &Val) -> Result<Flow, Failure> {
        let scope = self.variables.len();
        let flow = self.nodes(nodes, dot);
        self.variables.truncate(scope);
        flow
    }

    fn node(&mut self, node: &Node, dot: &Val) -> Result<Flow, Failure> {
        match node {
            Node::Text(text) => self.write(text, 0)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.targets.is_empty() {
                    let text = if value == Val::Nil { "<no value>".to_owned() } else { value.plain() };
                    self.write(&text, pipeline.at)?;
                }
            }
            Node::If(branches) | Node::With(branches) => {
                let scope = self.variables.len();
                let with = matches!(node, Node::With(_));
                let mut flow = Flow::Through;
                for (test, body) in branches {
                    let Some(test) = test else {
                        flow = self.block(body, dot)?;
                        break;
                    };
                    let value = self.pipeline(test, dot)?;
                    if value.is_true() {
                        flow = self.block(body, if with { &value } else { dot })?;
                        break;
                    }
                }
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range { over, body, otherwise } => return self.range(over, body, otherwise, dot),
        }
        Ok(Flow::Through)
    }

    fn range(&mut self, over: &Pipeline, body: &[Node], otherwise: &[Node], dot: &Val) -> Result<Flow, Failure> {
        let scope = self.variables.len();
        let elements: Vec<(Val, Val)> = match self.commands(over, dot)? {
            Val::Nil => Vec::new(),
            Val::List(list) => (0..).map(Val::Int).zip(list).collect(),
            Val::Map(map) => map.into_iter().map(|(key, value)| (Val::Text(key), value)).collect(),
            other => {
                let reason = format!("can't iterate over {}", other.kind());
                return Err((over.at, TemplateErrorKind::Call { function: "range".to_owned(), reason }));
            }
        };
        if elements.is_empty() {
            return self.block(otherwise, dot);
        }
        for (key, element) in elements {
            match over.targets.as_slice() {
                [] => {}
                [only] => self.set(only, element.clone(), over.declares),
                [index, value, ..] => {
                    self.set(index, key, over.declares);
                    self.set(value, element.clone(), over.declares);
                }
            }
            let flow = self.block(body, &element)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Through)
    }

    fn set(&mut self, name: &str, value: Val, declares: bool) {
        if !declares && let Some((_, slot)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            *slot = value;
            return;
        }
        self.variables.push((name.to_owned(), value));
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Val) -> Result<Val, Failure> {
        let value = self.commands(pipeline, dot)?;
        for name in &pipeline.targets {
            self.set(name, value.clone(), pipeline.declares);
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &Pipeline, dot: &Val) -> Result<Val, Failure> {
        let mut piped = None;
        for command in &pipeline.commands {
            piped = Some(self.command(command, piped, dot)?);
        }
        Ok(piped.unwrap_or(Val::Nil))
    }

    fn command(&mut self, command: &Command, piped: Option<Val>, dot: &Val) -> Result<Val, Failure> {
        let Base::Function(name) = &command.head.base else { return self.operand(&command.head, dot) };
        let value = self.call(name, command.at, &command.args, piped, dot)?;
        fields(value, &command.head)
    }

    fn call(&mut self, name: &str, at: usize, args: &[Operand], piped: Option<Val>, dot: &Val) -> Result<Val, Failure> {
        let failed = |reason: String| (at, TemplateErrorKind::Call { function: name.to_owned(), reason });
        // These stop at the first argument that decides, so that the rest may fail.
        if matches!(name, "and" | "or") {
            let mut last = None;
            for arg in args {
                let value = self.operand(arg, dot)?;
                if value.is_true() == (name == "or") {
                    return Ok(value);
                }
                last = Some(value);
            }
            return piped.or(last).ok_or_else(|| failed("wrong number of arguments".to_owned()));
        }
        let mut values = args.iter().map(|arg| self.operand(arg, dot)).collect::<Result<Vec<_>, _>>()?;
        values.extend(piped);
        functions::call(name, &values, self.data).map_err(failed)
    }

    fn operand(&mut self, operand: &Operand, dot: &Val) -> Result<Val, Failure> {
        let base = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                match found {
                    Some((_, value)) => value.clone(),
                    None => return Err((operand.at, TemplateErrorKind::UnknownVariable(name.clone()))),
                }
            }
            Base::Function(name) => self.call(name, operand.at, &[], None, dot)?,
            Base::Text(text) => Val::Text(text.clone()),
            Base::Int(int) => Val::Int(*int),
            Base::Float(float) => Val::Float(*float),
            Base::Bool(bool) => Val::Bool(*bool),
            Base::Nil => Val::Nil,
            Base::Nested(pipeline) => self.pipeline(pipeline, dot)?,
        };
        fields(base, operand)
    }
}

fn fields(mut value: Val, operand: &Operand) -> Result<Val, Failure> {
    for field in &operand.fields {
        let of = value.kind();
        value = match value {
            Val::Map(mut map) => map.remove(field).unwrap_or(Val::Text(String::new())),
            Val::Fields(mut fields) => match fields.remove(field.as_str()) {
                Some(value) => value,
                None => return Err((operand.at, TemplateErrorKind::Field { field: field.clone(), of })),
            },
            _ => return Err((operand.at, TemplateErrorKind::Field { field: field.clone(), of })),
        };
    }
    Ok(value)
}

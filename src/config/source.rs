//! Which values were said, and where: the file and the environment, merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use config::{ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// What variables start with.
pub(super) const PREFIX: &str = "SIO__";

/// All that was said, with its places.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) root: Map<String, Value>,
    pub(super) places: Places,
}

/// Where keys stand in the file.
#[derive(Debug, Default)]
pub(super) struct Places {
    file: Option<PathBuf>,
    lines: BTreeMap<String, usize>,
}

impl Places {
    /// The place of a value. Values of the file have no origin of their own.
    pub(super) fn of_value(&self, key: &str, value: &Value) -> Place {
        value.origin().map_or_else(|| self.of_key(key), |variable| Place::Variable(variable.to_owned()))
    }

    /// The line of a key in the file, or of the nearest section around it.
    pub(super) fn of_key(&self, key: &str) -> Place {
        let Some(path) = self.file.clone() else { return Place::Nowhere };
        let mut around = Some(key);
        let line = std::iter::from_fn(|| {
            let this = around?;
            around = this.rsplit_once('.').map(|(outer, _)| outer);
            Some(this)
        })
        .find_map(|key| self.lines.get(key).copied());
        Place::File { path, line }
    }

    /// The folder that relative paths of the file start from.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.file.as_deref().and_then(Path::parent)
    }
}

/// Reads the file, and lays the variables over it.
pub(super) fn read(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Said, Problem> {
    let (text, places) = match path {
        None => (String::new(), Places::default()),
        Some(path) => read_file(path)?,
    };
    let whole = |error: ConfigError| Problem {
        key: String::new(),
        place: places.of_key(""),
        what: format!("the file and the environment do not fit together: {error}"),
        mend: "give each key one kind of value".to_owned(),
    };
    let file = File::from_str(&text, FileFormat::Toml);
    let names = system_names(&places);
    let merged = config::Config::builder().add_source(file).add_source(Variables::new(env, &names)).build();
    let root = merged.and_then(|config| config.cache.into_table()).map_err(whole)?;
    Ok(Said { root, places })
}

fn read_file(path: &Path) -> Result<(String, Places), Problem> {
    let problem = |line, what: String, mend: &str| Problem {
        key: String::new(),
        place: Place::File { path: path.to_owned(), line },
        what,
        mend: mend.to_owned(),
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        let mend = match error.kind() {
            std::io::ErrorKind::NotFound => "write one with `sio init`, or name another with --config",
            std::io::ErrorKind::PermissionDenied => "let the user that runs sio read it",
            std::io::ErrorKind::InvalidData => "save it as UTF-8",
            _ => "name a readable file with --config",
        };
        problem(None, format!("the file cannot be read: {error}"), mend)
    })?;
    // The parser's own display quotes the line, and the line may hold a password.
    let table = DeTable::parse(&text).map_err(|error| {
        let line = error.span().map(|span| line_of(&text, span.start));
        problem(line, format!("this is not TOML: {}", error.message().trim()), "mend the line, or the one above it")
    })?;
    let mut lines = BTreeMap::new();
    note_lines(&text, "", table.get_ref(), &mut lines);
    Ok((text, Places { file: Some(path.to_owned()), lines }))
}

fn note_lines(text: &str, path: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let full = join(path, key.get_ref());
        lines.insert(full.clone(), line_of(text, Spanned::span(key).start));
        match value.get_ref() {
            DeValue::Table(inner) => note_lines(text, &full, inner, lines),
            DeValue::Array(items) => {
                for (place, item) in items.iter().enumerate() {
                    if let DeValue::Table(inner) = item.get_ref() {
                        let full = format!("{full}[{place}]");
                        lines.insert(full.clone(), line_of(text, Spanned::span(item).start));
                        note_lines(text, &full, inner, lines);
                    }
                }
            }
            _ => {}
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn system_names(places: &Places) -> Vec<String> {
    let names = places.lines.keys().filter_map(|key| key.strip_prefix("systems."));
    names.filter(|name| !name.contains('.')).map(str::to_owned).collect()
}

/// The name of the variable that says a key.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").replace('-', "_").to_uppercase())
}

/// The environment as a source. The one of the `config` crate forgets which
/// variable said a value, and cannot name a system with a `-` in its name.
#[derive(Clone, Debug)]
struct Variables(Map<String, Value>);

impl Variables {
    fn new(env: impl Iterator<Item = (String, String)>, systems: &[String]) -> Self {
        let said: BTreeMap<String, String> = env.filter(|(name, _)| name.starts_with(PREFIX)).collect();
        let mut root = Map::new();
        for (name, text) in said {
            let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
            let path = match path.as_slice() {
                [section, system, rest @ ..] if section == "systems" => {
                    let known = systems.iter().find(|known| known.replace('-', "_") == system.replace('-', "_"));
                    let mut path = vec![section.clone(), known.unwrap_or(system).clone()];
                    path.extend_from_slice(rest);
                    path
                }
                _ => path,
            };
            put(&mut root, &path, Value::new(Some(&name), ValueKind::String(text)), &name);
        }
        Self(root)
    }
}

fn put(table: &mut Map<String, Value>, path: &[String], value: Value, name: &String) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let empty = || Value::new(Some(name), ValueKind::Table(Map::new()));
            let inner = table.entry(first.clone()).or_insert_with(empty);
            if !matches!(inner.kind, ValueKind::Table(_)) {
                *inner = empty();
            }
            if let ValueKind::Table(inner) = &mut inner.kind {
                put(inner, rest, value, name);
            }
        }
    }
}

impl Source for Variables {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

//! How a section is read: key by key, with every problem noted and none
//! stopping the reading.
//!
//! serde stops at the first problem and cannot say where a value came from,
//! so sections are walked by hand. What a section was asked for is what it
//! knows; anything left over is an unknown key.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use config::{Map, Value, ValueKind};

use super::problem::{Place, Problem};
use super::source::{Places, join, variable_of};

/// What a reading gathers besides values.
#[derive(Debug)]
pub(super) struct Reader {
    places: Places,
    problems: RefCell<Vec<Problem>>,
}

impl Reader {
    pub(super) fn new(places: Places) -> Self {
        Self { places, problems: RefCell::new(Vec::new()) }
    }

    pub(super) fn note(&self, key: &str, place: Place, complaint: Complaint) {
        let Complaint { what, mend } = complaint;
        self.problems.borrow_mut().push(Problem { key: key.to_owned(), place, what, mend });
    }

    pub(super) fn place_of(&self, key: &str) -> Place {
        self.places.of_key(key)
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// What is wrong with a value, and the mend.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) what: String,
    pub(super) mend: String,
}

/// A complaint from its two halves.
pub(super) fn complain(what: impl Into<String>, mend: impl Into<String>) -> Complaint {
    Complaint { what: what.into(), mend: mend.into() }
}

/// A value as it was said.
#[derive(Debug)]
pub(super) struct Found<'a> {
    value: &'a Value,
    pub(super) place: &'a Place,
    reader: &'a Reader,
}

impl Found<'_> {
    pub(super) fn text(&self) -> Result<&str, Complaint> {
        match &self.value.kind {
            ValueKind::String(text) => Ok(text),
            other => {
                Err(complain(format!("{} stands where text is expected", kind(other)), "write one text in quotes"))
            }
        }
    }

    /// One text, or several; a variable separates them by commas.
    pub(super) fn list(&self) -> Result<Vec<&str>, Complaint> {
        let expected = || complain("a list of texts is expected", r#"write ["one", "two"]"#);
        match &self.value.kind {
            ValueKind::Array(items) => items
                .iter()
                .map(|item| match &item.kind {
                    ValueKind::String(text) => Ok(text.as_str()),
                    _ => Err(expected()),
                })
                .collect(),
            ValueKind::String(text) if self.is_variable() => {
                Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
            }
            _ => Err(expected()),
        }
    }

    pub(super) fn number(&self) -> Result<u64, Complaint> {
        let number = match &self.value.kind {
            ValueKind::I64(number) => u64::try_from(*number).ok(),
            ValueKind::String(text) if self.is_variable() => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| complain("a whole number is expected, not below 0", "write it without quotes and unit"))
    }

    pub(super) fn decimal(&self) -> Result<f64, Complaint> {
        let number = match &self.value.kind {
            #[allow(clippy::cast_precision_loss, reason = "nobody means a threshold of more than 2^53")]
            ValueKind::I64(number) => Some(*number as f64),
            ValueKind::Float(number) => Some(*number),
            ValueKind::String(text) if self.is_variable() => text.trim().parse().ok(),
            _ => None,
        };
        number
            .filter(|number| number.is_finite())
            .ok_or_else(|| complain("a number is expected", "write it without quotes and unit, such as 0.5"))
    }

    pub(super) fn flag(&self) -> Result<bool, Complaint> {
        let flag = match &self.value.kind {
            ValueKind::Boolean(flag) => Some(*flag),
            ValueKind::String(text) if self.is_variable() => text.trim().parse().ok(),
            _ => None,
        };
        flag.ok_or_else(|| complain("true or false is expected", "write true or false, without quotes"))
    }

    pub(super) fn duration(&self) -> Result<Duration, Complaint> {
        let mend = r#"write a number with a unit, such as "15s" or "5m""#;
        let ValueKind::String(text) = &self.value.kind else {
            return Err(complain("a duration with its unit is expected", mend));
        };
        let duration = humantime::parse_duration(text.trim())
            .map_err(|error| complain(format!("{text:?} is no duration: {error}"), mend))?;
        if duration.is_zero() {
            return Err(complain(format!("{text:?} is no time at all"), mend));
        }
        Ok(duration)
    }

    /// A path; in the file, a relative one starts at the file's folder.
    pub(super) fn path(&self) -> Result<PathBuf, Complaint> {
        let text = self.text()?;
        if text.is_empty() {
            return Err(complain("the path is empty", "name a file, or leave the key out"));
        }
        Ok(self.placed(text))
    }

    /// Several paths, each read like one.
    pub(super) fn paths(&self) -> Result<Vec<PathBuf>, Complaint> {
        let texts = self.list()?;
        if texts.iter().any(|text| text.is_empty()) {
            return Err(complain("a path is empty", "name a file, or leave the entry out"));
        }
        Ok(texts.into_iter().map(|text| self.placed(text)).collect())
    }

    fn placed(&self, text: &str) -> PathBuf {
        let folder = if self.is_variable() { None } else { self.reader.places.folder() };
        folder.map_or_else(|| PathBuf::from(text), |folder| folder.join(text))
    }

    pub(super) fn is_variable(&self) -> bool {
        matches!(self.place, Place::Variable(_))
    }
}

fn kind(value: &ValueKind) -> &'static str {
    match value {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) | ValueKind::Float(_) => {
            "a number"
        }
        ValueKind::String(_) => "text",
        ValueKind::Table(_) => "a section",
        ValueKind::Array(_) => "a list",
    }
}

/// A section while it is read.
#[derive(Debug)]
pub(super) struct Section<'a> {
    path: String,
    table: Map<String, Value>,
    asked: BTreeMap<&'static str, (Place, bool)>,
    reader: &'a Reader,
}

impl<'a> Section<'a> {
    pub(super) fn new(path: &str, table: Map<String, Value>, reader: &'a Reader) -> Self {
        Self { path: path.to_owned(), table, asked: BTreeMap::new(), reader }
    }

    /// The full name of a key.
    pub(super) fn full(&self, key: &str) -> String {
        join(&self.path, key)
    }

    /// Reads a key; nothing when it is not said, or not well said.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Found<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let full = self.full(key);
        let value = self.table.remove(key);
        let place =
            value.as_ref().map_or_else(|| self.reader.place_of(&full), |v| self.reader.places.of_value(&full, v));
        self.asked.insert(key, (place.clone(), value.is_some()));
        let value = value?;
        match read(&Found { value: &value, place: &place, reader: self.reader }) {
            Ok(read) => Some(read),
            Err(complaint) => {
                self.reader.note(&full, place, complaint);
                None
            }
        }
    }

    /// Reads a key that must be there.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        mend: &str,
        read: impl FnOnce(&Found<'_>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let said = self.table.contains_key(key);
        let value = self.take(key, read);
        if !said {
            self.note(key, complain("the key is missing", mend));
        }
        value
    }

    /// Whether a key that was not read yet is said.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Whether a key that was read was said, well or not.
    pub(super) fn said(&self, key: &str) -> bool {
        self.asked.get(key).is_some_and(|(_, said)| *said)
    }

    /// Whether nothing was noted of a key.
    pub(super) fn is_well(&self, key: &str) -> bool {
        let full = self.full(key);
        self.reader.problems.borrow().iter().all(|problem| problem.key != full)
    }

    /// Notes a problem with a key that was read.
    pub(super) fn note(&self, key: &str, complaint: Complaint) {
        let full = self.full(key);
        let place = self.asked.get(key).map_or_else(|| self.reader.place_of(&full), |(place, _)| place.clone());
        self.reader.note(&full, place, complaint);
    }

    /// Notes a problem with the section as a whole.
    pub(super) fn note_self(&self, complaint: Complaint) {
        self.reader.note(&self.path, self.place(), complaint);
    }

    /// Where the section stands, or the variable that speaks of it.
    pub(super) fn place(&self) -> Place {
        match self.reader.place_of(&self.path) {
            found @ Place::File { line: Some(_), .. } => found,
            other => self.variable().map_or(other, Place::Variable),
        }
    }

    /// A variable that says something of this section.
    fn variable(&self) -> Option<String> {
        let mut names: Vec<&str> = self.table.values().filter_map(Value::origin).collect();
        names.sort_unstable();
        names.first().map(|name| (*name).to_owned())
    }

    /// A section within; an empty one when it is not said.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        self.optional_section(key).unwrap_or_else(|| Section::new(&self.full(key), Map::new(), self.reader))
    }

    /// A section within, when it is said.
    pub(super) fn optional_section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let full = self.full(key);
        let table = self.take(key, |found| section_table(found.value, &full))?;
        Some(Section::new(&full, table, self.reader))
    }

    /// The sections of a list, when it is said.
    pub(super) fn list_of_sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let full = self.full(key);
        let items = self.take(key, |found| match &found.value.kind {
            ValueKind::Array(items) => Ok(items.clone()),
            other => {
                let what = format!("{} stands where a list of sections is expected", kind(other));
                Err(complain(what, format!("write [[{full}]] and its keys below, once for each")))
            }
        });
        let mut sections = Vec::new();
        for (place, item) in items.unwrap_or_default().into_iter().enumerate() {
            let name = format!("{full}[{place}]");
            match section_table(&item, &format!("[{full}]")) {
                Ok(table) => sections.push(Section::new(&name, table, self.reader)),
                Err(complaint) => self.reader.note(&name, self.reader.place_of(&name), complaint),
            }
        }
        sections
    }

    /// Texts by free names; a mistake in one is told with its name.
    pub(super) fn texts(self) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        for (name, value) in self.table {
            match value.kind {
                ValueKind::String(text) => drop(texts.insert(name, text)),
                other => {
                    let what = format!("{} stands where text is expected", kind(&other));
                    let full = join(&self.path, &name);
                    self.reader.note(&full, self.reader.place_of(&full), complain(what, "write one text in quotes"));
                }
            }
        }
        texts
    }

    /// All sections within, by their free names.
    pub(super) fn named_sections(mut self) -> Vec<(String, Section<'a>)> {
        let mut sections = Vec::new();
        let names: BTreeMap<String, Value> = std::mem::take(&mut self.table).into_iter().collect();
        for (name, value) in names {
            let full = self.full(&name);
            match section_table(&value, &full) {
                Ok(table) => sections.push((name, Section::new(&full, table, self.reader))),
                Err(complaint) => self.reader.note(&full, self.reader.places.of_value(&full, &value), complaint),
            }
        }
        sections
    }

    /// Ends the reading: what is left is unknown.
    pub(super) fn finish(self) {
        let left: BTreeMap<&String, &Value> = self.table.iter().collect();
        for (key, value) in left {
            let full = self.full(key);
            // A section that only variables speak of is shown by one of them.
            let place = self.reader.places.of_value(&full, value);
            let nearest = self
                .asked
                .keys()
                .map(|known| (strsim::osa_distance(known, key), *known))
                .filter(|(distance, known)| *distance <= known.len().max(key.len()) / 2)
                .min();
            let name = |known: &str| match place {
                Place::Variable(_) => variable_of(&self.full(known)),
                Place::File { .. } | Place::Nowhere => known.to_owned(),
            };
            let mend = match nearest {
                Some((_, known)) => format!("did you mean `{}`?", name(known)),
                None => {
                    let known: Vec<String> = self.asked.keys().map(|known| name(known)).collect();
                    format!("known here: {}", known.join(", "))
                }
            };
            self.reader.note(&full, place, complain("the key is unknown", mend));
        }
    }
}

fn section_table(value: &Value, full: &str) -> Result<Map<String, Value>, Complaint> {
    match &value.kind {
        ValueKind::Table(table) => Ok(table.clone()),
        other => {
            let what = format!("{} stands where a section is expected", kind(other));
            // What is in a list has no header of its own.
            let mend = match full.rsplit_once("].") {
                Some((_, key)) => format!("write {key} = {{ name = \"value\" }}"),
                None => format!("write [{full}] and its keys below"),
            };
            Err(complain(what, mend))
        }
    }
}

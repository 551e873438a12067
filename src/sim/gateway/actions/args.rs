//! What a request says, read as leniently as the gateway reads it.

use std::net::IpAddr;

use serde_json::{Map, Value};

use crate::sim::gateway::Asked;
use crate::sim::gateway::refusal::Refused;
use crate::sim::world::{Id, Setting};

/// Settings as the world keeps them.
pub(super) type Changes = Vec<(&'static str, Setting)>;

/// The fields of a request's body. Numbers and booleans may come as text.
pub(in crate::sim::gateway) struct Args(Map<String, Value>);

impl Args {
    pub(in crate::sim::gateway) fn read(asked: &Asked) -> Result<Self, Refused> {
        if asked.body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(Map::new()));
        }
        serde_json::from_slice(&asked.body).map(Self).map_err(Refused::malformed)
    }

    fn of(value: &Value) -> Option<Self> {
        value.as_object().cloned().map(Self)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Whether a field is there at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// Makes sure that all of these are there.
    pub(super) fn need(&self, names: &[&str]) -> Result<(), Refused> {
        let missing: Vec<&str> = names.iter().copied().filter(|name| !self.has(name)).collect();
        if missing.is_empty() { Ok(()) } else { Err(Refused::missing(&missing)) }
    }

    /// Makes sure that one of these is there.
    pub(super) fn need_one(&self, names: &[&str]) -> Result<(), Refused> {
        if names.iter().any(|name| self.has(name)) { Ok(()) } else { Err(Refused::missing_one(names)) }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            _ => None,
        }
    }

    pub(in crate::sim::gateway) fn needed(&self, name: &str) -> Result<String, Refused> {
        self.text(name).ok_or_else(|| Refused::missing(&[name]))
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.trim().parse().map(Some).map_err(|_| Refused::malformed(format!("{name} ({text}) must be a number")))
    }

    pub(super) fn needed_number(&self, name: &str) -> Result<u64, Refused> {
        self.number(name)?.ok_or_else(|| Refused::missing(&[name]))
    }

    pub(super) fn port(&self, name: &str) -> Result<Option<u16>, Refused> {
        let number = self.number(name)?;
        let wrong = |_| Refused::malformed(format!("{name} must be a port"));
        number.map(u16::try_from).transpose().map_err(wrong)
    }

    pub(super) fn truth(&self, name: &str) -> Result<Option<bool>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            _ => Err(Refused::wrong_value(name, "TRUE, FALSE", &text)),
        }
    }

    pub(super) fn needed_truth(&self, name: &str) -> Result<bool, Refused> {
        self.truth(name)?.ok_or_else(|| Refused::missing(&[name]))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refused> {
        Ok(self.truth(name)?.unwrap_or(false))
    }

    pub(super) fn id(&self, name: &str) -> Result<Option<Id>, Refused> {
        self.text(name).map(|text| read_id(&text)).transpose()
    }

    pub(super) fn needed_id(&self, name: &str) -> Result<Id, Refused> {
        self.id(name)?.ok_or_else(|| Refused::missing(&[name]))
    }

    /// One of the words a field may have.
    pub(super) fn choice<T: Clone>(&self, name: &str, valid: &[(&str, T)]) -> Result<Option<T>, Refused> {
        let Some(text) = self.text(name) else { return Ok(None) };
        if let Some((_, value)) = valid.iter().find(|(word, _)| *word == text) {
            return Ok(Some(value.clone()));
        }
        let words: Vec<&str> = valid.iter().map(|(word, _)| *word).collect();
        Err(Refused::wrong_value(name, &words.join(", "), &text))
    }

    /// A word that is kept as it is.
    pub(super) fn word(&self, name: &'static str, valid: &[&str]) -> Result<Option<(&'static str, Setting)>, Refused> {
        let pairs: Vec<(&str, &str)> = valid.iter().map(|word| (*word, *word)).collect();
        Ok(self.choice(name, &pairs)?.map(|word| (name, Setting::Text(word.to_owned()))))
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.value(name) {
            Some(Value::Array(items)) => items
                .iter()
                .filter_map(|item| item.as_str().map(str::to_owned).or_else(|| item.as_u64().map(|n| n.to_string())))
                .collect(),
            Some(Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    /// A list of addresses, or one.
    pub(in crate::sim::gateway) fn addresses(&self, name: &str) -> Vec<String> {
        self.list(name)
    }

    pub(super) fn ids(&self, name: &str) -> Result<Vec<Id>, Refused> {
        self.list(name).iter().map(|text| read_id(text)).collect()
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Vec<u64>, Refused> {
        let wrong = |text: &str| Refused::malformed(format!("{name} ({text}) must be a list of numbers"));
        self.list(name).iter().map(|text| text.parse().map_err(|_| wrong(text))).collect()
    }

    /// Objects in a list; some clients wrap each of them under a name.
    pub(super) fn objects(&self, name: &str, wrapper: &str) -> Vec<Self> {
        let Some(Value::Array(items)) = self.value(name) else { return Vec::new() };
        items.iter().filter_map(|item| Self::of(item.get(wrapper).unwrap_or(item))).collect()
    }

    /// An IP address.
    pub(super) fn ip(&self, name: &str) -> Result<String, Refused> {
        let text = self.needed(name)?;
        match text.parse::<IpAddr>() {
            Ok(_) => Ok(text),
            Err(_) => Err(Refused::malformed(format!("{name} ({text}) must be an IP address"))),
        }
    }

    /// A boolean that an object keeps.
    pub(super) fn keep_truth(&self, name: &str, field: &'static str, changes: &mut Changes) -> Result<(), Refused> {
        if let Some(is) = self.truth(name)? {
            changes.push((field, Setting::Bool(is)));
        }
        Ok(())
    }

    /// A number that an object keeps.
    pub(super) fn keep_number(&self, name: &str, field: &'static str, changes: &mut Changes) -> Result<(), Refused> {
        if let Some(number) = self.number(name)? {
            changes.push((field, Setting::Number(number)));
        }
        Ok(())
    }

    /// A word that an object keeps.
    pub(super) fn keep_word(&self, name: &'static str, valid: &[&str], changes: &mut Changes) -> Result<(), Refused> {
        changes.extend(self.word(name, valid)?);
        Ok(())
    }
}

/// An id as clients write it.
pub(super) fn read_id(text: &str) -> Result<Id, Refused> {
    u64::from_str_radix(text, 16).map(Id).map_err(|_| Refused::id_not_hex(text))
}

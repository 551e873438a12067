//! Which part of an offered resource may we use, and how is it reserved?

use serde::Deserialize;
use serde_json::{Map, Value};

use super::ScalarWire;
use crate::model::mesos::Piece;

#[derive(Deserialize)]
pub(super) struct ResourceWire {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    scalar: Option<ScalarWire>,
    /// Revocable resources may be taken away at any time.
    #[serde(default)]
    revocable: Option<serde::de::IgnoredAny>,
    /// Who reserved it, and for whom: the last one holds it.
    #[serde(default)]
    reservations: Option<Value>,
    /// Masters before 1.4 say the same with these two.
    #[serde(default)]
    role: Option<Value>,
    #[serde(default)]
    reservation: Option<Value>,
}

impl ResourceWire {
    /// The part of it that a framework of a role may use; none: it is none of ours.
    pub(super) fn piece(self, ours: Option<&str>) -> Option<Piece> {
        let name = self.name.filter(|name| matches!(name.as_str(), "cpus" | "mem"))?;
        let amount = self.scalar?.value.filter(|value| *value > 0.0)?;
        if self.revocable.is_some() {
            return None;
        }
        let mut said = Map::new();
        let holder = match (self.reservations, self.role) {
            (Some(Value::Array(all)), _) if !all.is_empty() => {
                let holder = all.last().and_then(|last| last["role"].as_str()).map(str::to_owned);
                said.insert("reservations".to_owned(), Value::Array(all));
                Some(holder)
            }
            (None | Some(Value::Null | Value::Array(_)), None | Some(Value::Null)) => None,
            (None | Some(Value::Null | Value::Array(_)), Some(Value::String(role))) if role == "*" => None,
            (None | Some(Value::Null | Value::Array(_)), Some(Value::String(role))) => {
                said.insert("role".to_owned(), role.as_str().into());
                said.extend(self.reservation.map(|reservation| ("reservation".to_owned(), reservation)));
                Some(Some(role))
            }
            // Reserved in words that we do not know.
            (Some(_), _) | (_, Some(_)) => Some(None),
        };
        let reserved = match holder {
            None => None,
            Some(holder) => {
                // Of a role above ours it is ours to use too.
                let is_ours = |ours: &str, holder: &str| {
                    ours.strip_prefix(holder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                if !ours.zip(holder.as_deref()).is_some_and(|(ours, holder)| is_ours(ours, holder)) {
                    return None;
                }
                Some(said)
            }
        };
        Some(Piece { name: name.into(), amount, reserved })
    }
}

//! What people set on objects that changes nothing but what they say of themselves.

use std::collections::BTreeMap;

/// Settings of an object by their names in the API; what is not here is as it was made.
pub type Settings = BTreeMap<&'static str, Setting>;

/// A value that was set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Setting {
    Bool(bool),
    Number(u64),
    Text(String),
    Null,
}

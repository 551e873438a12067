//! Who asks, what may they do, and by which way did they come?

use std::fmt;

use serde::{Deserialize, Serialize};

/// What somebody may do. Each may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Says who works on an alert, and silences.
    Operator,
    /// Everything.
    Admin,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads a name.
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// By which listener a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The socket on this host, which its mode guards.
    Host,
    /// The network.
    Network,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name under which they are logged in; none where nobody logs in.
    pub name: Option<String>,
    /// What they may do.
    pub role: Role,
    /// How they came.
    pub door: Door,
}

impl Person {
    /// Somebody whom nobody asked for a name.
    pub const fn unnamed(role: Role, door: Door) -> Self {
        Self { name: None, role, door }
    }

    /// The name under which what they do is written down: the one they give, and the one they are logged in as where
    /// that is another.
    pub fn called(&self, given: Option<&str>) -> String {
        match (given.map(str::trim).filter(|given| !given.is_empty()), &self.name) {
            (None, None) => String::new(),
            (None, Some(name)) => name.clone(),
            (Some(given), Some(name)) if given != name => format!("{given} (logged in as {name})"),
            (Some(given), _) => given.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_what_a_lesser_one_may() {
        assert!(Role::ALL.is_sorted() && Role::Admin > Role::Operator);
        assert!(Role::ALL.iter().all(|role| Role::read(role.as_str()) == Some(*role)));
        assert_eq!(Role::read("root"), None);
    }

    #[test]
    fn nobody_acts_under_the_name_of_another_unseen() {
        let anna = Person { name: Some("anna".to_owned()), role: Role::Operator, door: Door::Network };
        for (given, called) in
            [(None, "anna"), (Some(" "), "anna"), (Some("anna"), "anna"), (Some("Bob"), "Bob (logged in as anna)")]
        {
            assert_eq!(anna.called(given), called);
        }
        assert_eq!(Person::unnamed(Role::Admin, Door::Host).called(Some(" bob ")), "bob");
    }
}

//! Who may do what in the system.

use super::World;
use super::object::Id;

/// What a user may do, in the vendor's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UserRole {
    Monitor,
    Configure,
    Administrator,
    Superuser,
    Security,
    FrontendConfig,
    BackendConfig,
}

/// A kind of deed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To look; and to change what is one's own.
    Look,
    /// Volumes, snapshots, clients and replication.
    Frontend,
    /// Servers, devices, pools, domains, MDMs and the system itself.
    Backend,
    /// Users.
    Users,
}

impl UserRole {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Monitor,
        Self::Configure,
        Self::Administrator,
        Self::Superuser,
        Self::Security,
        Self::FrontendConfig,
        Self::BackendConfig,
    ];

    /// As the API writes it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Monitor => "Monitor",
            Self::Configure => "Configure",
            Self::Administrator => "Administrator",
            Self::Superuser => "Superuser",
            Self::Security => "Security",
            Self::FrontendConfig => "FrontendConfig",
            Self::BackendConfig => "BackendConfig",
        }
    }

    /// The names of the roles are the vendor's; what each may do is only said in parts, and the rest is as the names sound.
    pub const fn may(self, right: Right) -> bool {
        match right {
            Right::Look => true,
            Right::Frontend => {
                matches!(self, Self::Configure | Self::Administrator | Self::Superuser | Self::FrontendConfig)
            }
            Right::Backend => {
                matches!(self, Self::Configure | Self::Administrator | Self::Superuser | Self::BackendConfig)
            }
            Right::Users => matches!(self, Self::Administrator | Self::Superuser | Self::Security),
        }
    }
}

/// A user of the system.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct User {
    pub id: Id,
    pub name: String,
    pub password: String,
    pub role: UserRole,
    /// May do nothing before it has another password.
    pub must_change: bool,
}

impl World {
    /// The user with this name and password.
    pub fn user(&self, name: &str, password: &str) -> Option<&User> {
        self.users.values().find(|user| user.name == name && user.password == password)
    }
}

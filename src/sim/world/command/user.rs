//! Commands to users: they are made, changed and removed by others, and change their own password.

use super::{Answer, Reply, fits, next};
use crate::sim::world::World;
use crate::sim::world::code::Code;
use crate::sim::world::object::Id;
use crate::sim::world::user::{User, UserRole};

/// The shortest password, in characters.
const SHORTEST: usize = 6;
/// Of how many kinds its characters must be: small letters, capitals, digits, others.
const KINDS: usize = 3;

/// A command to a user.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UserCommand {
    Create {
        name: String,
        password: String,
        role: UserRole,
        must_change: bool,
    },
    Role(UserRole),
    Reset {
        password: String,
    },
    Remove,
    /// By the user himself.
    Password {
        old: String,
        new: String,
    },
}

impl World {
    pub(super) fn user_command(&mut self, by: Id, id: Id, command: UserCommand) -> Answer {
        if let UserCommand::Create { name, password, role, must_change } = command {
            return self.create_user(name, password, role, must_change);
        }
        let user = self.users.get_mut(&id).ok_or(Code::UserNotFound)?;
        match command {
            UserCommand::Create { .. } => {}
            UserCommand::Role(_) | UserCommand::Reset { .. } if by == id => return Err(Code::UserHimself),
            UserCommand::Role(role) => user.role = role,
            UserCommand::Reset { password } => {
                is_strong(&password)?;
                user.password = password;
            }
            UserCommand::Remove if by == id => return Err(Code::UserRemovesHimself),
            UserCommand::Remove => drop(self.users.remove(&id)),
            UserCommand::Password { old, new } => {
                if old != user.password {
                    return Err(Code::OldPasswordMismatch);
                }
                if new == old {
                    return Err(Code::PasswordUsed);
                }
                is_strong(&new)?;
                (user.password, user.must_change) = (new, false);
            }
        }
        Ok(Reply::Done)
    }

    fn create_user(&mut self, name: String, password: String, role: UserRole, must_change: bool) -> Answer {
        fits(&name)?;
        if self.users.values().any(|user| user.name == name) {
            return Err(Code::UserExists);
        }
        is_strong(&password)?;
        Ok(Reply::Created(self.add_user(name, password, role, must_change)))
    }

    /// Lets somebody in, whatever the password is.
    pub fn add_user(&mut self, name: String, password: String, role: UserRole, must_change: bool) -> Id {
        let id = next(self.users.keys(), 0x2d11);
        self.users.insert(id, User { id, name, password, role, must_change });
        id
    }
}

fn is_strong(password: &str) -> Result<(), Code> {
    if password.chars().count() < SHORTEST {
        return Err(Code::PasswordTooShort);
    }
    let kinds: [fn(char) -> bool; 4] =
        [|c| c.is_lowercase(), |c| c.is_uppercase(), |c| c.is_numeric(), |c| !c.is_alphanumeric()];
    let count = kinds.into_iter().filter(|is| password.chars().any(is)).count();
    if count < KINDS { Err(Code::PasswordTooPlain) } else { Ok(()) }
}

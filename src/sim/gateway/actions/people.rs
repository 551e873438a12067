//! Users, and other systems.

use super::args::{Args, Changes};
use crate::sim::gateway::refusal::Refused;
use crate::sim::world::{Command, Id, RemoteSystemCommand, Setting, UserCommand, UserRole};

type Found<T> = Result<Option<T>, Refused>;

/// Nobody can be made a superuser, or become one.
fn role(args: &Args) -> Result<UserRole, Refused> {
    let roles = UserRole::ALL.into_iter().filter(|role| *role != UserRole::Superuser);
    let words: Vec<(&str, UserRole)> = roles.map(|role| (role.word(), role)).collect();
    args.choice("userRole", &words)?.ok_or_else(|| Refused::missing(&["userRole"]))
}

pub(super) fn new_user(args: &Args, by: Id) -> Result<Command, Refused> {
    args.need(&["name", "userRole", "password"])?;
    let command = UserCommand::Create {
        name: args.needed("name")?,
        password: args.needed("password")?,
        role: role(args)?,
        must_change: args.flag("passwordChangeRequired")?,
    };
    Ok(Command::User { by, user: Id(0), command })
}

pub(super) fn user(action: &str, args: &Args) -> Found<UserCommand> {
    Ok(Some(match action {
        "setUserRole" => UserCommand::Role(role(args)?),
        "resetPassword" => UserCommand::Reset { password: args.needed("password")? },
        "setPassword" => {
            args.need(&["oldPassword", "newPassword"])?;
            UserCommand::Password { old: args.needed("oldPassword")?, new: args.needed("newPassword")? }
        }
        "removeUser" => UserCommand::Remove,
        _ => return Ok(None),
    }))
}

/// One text, as the description has it; clients may send a list.
fn addresses(args: &Args, name: &str) -> Option<(&'static str, Setting)> {
    let list = args.addresses(name);
    (!list.is_empty()).then(|| ("discoveryIps", Setting::Text(list.join(","))))
}

pub(super) fn new_remote_system(args: &Args) -> Result<Command, Refused> {
    args.need(&["type", "discoveryIps", "transport"])?;
    let mut settings = Changes::new();
    args.keep_word("type", &["POWERFLEX"], &mut settings)?;
    args.keep_word("transport", &["TCP"], &mut settings)?;
    settings.extend(addresses(args, "discoveryIps"));
    args.keep_number("discoveryPort", "discoveryPort", &mut settings)?;
    args.keep_number("bwLimitInMbps", "bwLimitInMbps", &mut settings)?;
    args.keep_number("numCopyTasks", "numCopyTasks", &mut settings)?;
    settings.extend(args.text("description").map(|text| ("description", Setting::Text(text))));
    Ok(Command::RemoteSystem(Id(0), RemoteSystemCommand::Add { name: args.text("name"), settings }))
}

pub(super) fn remote_system(action: &str, args: &Args) -> Found<RemoteSystemCommand> {
    let mut settings = Changes::new();
    match action {
        "renameRemoteSystem" => return Ok(Some(RemoteSystemCommand::Rename(args.needed("newName")?))),
        "removeRemoteSystem" => return Ok(Some(RemoteSystemCommand::Remove)),
        "modifyRemoteSystemDescription" => {
            settings.push(("description", Setting::Text(args.needed("newDescription")?)));
        }
        "modifyRemoteSystemConnectivity" => {
            args.need_one(&["Ips", "discoveryPort"])?;
            settings.extend(addresses(args, "Ips"));
            args.keep_number("discoveryPort", "discoveryPort", &mut settings)?;
        }
        "modifyRemoteSystemBwLimit" => {
            args.need(&["newBwLimitInMbps"])?;
            args.keep_number("newBwLimitInMbps", "bwLimitInMbps", &mut settings)?;
        }
        _ => return Ok(None),
    }
    Ok(Some(RemoteSystemCommand::Set(settings)))
}

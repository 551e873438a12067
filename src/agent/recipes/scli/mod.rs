//! How is the MDM cluster talked to by `scli`, and what do its answers mean?
//!
//! Spellings are those of 2.0 to 3.6. A password goes to its prompt on a
//! terminal of its own, or among the arguments where the order allows it; it
//! is in no text that people see.

pub mod read;
pub mod refusal;

use std::net::IpAddr;

use crate::agent::host::{Call, Output, Typed};
use crate::model::command::Command;
use crate::model::mdm::{Change, Kind, Member};
use crate::model::order::Hidden;
use refusal::Refusal;

/// The name by which the packages put it into `PATH`.
pub const PROGRAM: &str = "scli";

/// The only user that a new cluster has.
const USER: &str = "admin";

/// The password of that user until it is set.
pub const FIRST_PASSWORD: &str = "admin";

/// A member that answers: `Error: MDM failed command.  Status: TEXT`.
const REFUSED: &str = "MDM failed command";

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It did what it was told; its words.
    Good(String),
    /// The MDM said no.
    Refused(Refusal, String),
    /// No MDM answered, or scli did not understand its arguments: both end with 1.
    NoAnswer(String),
}

/// What scli's status and words mean.
pub fn said(output: &Output) -> Said {
    if output.is_good() {
        return Said::Good(output.stdout.clone());
    }
    let words = format!("{}\n{}", output.stdout, output.stderr);
    // 7 is the MDM's no, and 8 was seen for what it did not find.
    if matches!(output.status, Some(7 | 8)) || words.contains(REFUSED) {
        let text = words.lines().find_map(|line| line.split_once("Status:")).map_or("", |(_, text)| text.trim());
        let text = if text.is_empty() { output.last_words() } else { text.to_owned() };
        Said::Refused(refusal::of(&text), text)
    } else {
        Said::NoAnswer(output.last_words())
    }
}

fn call(args: &[&str], ask: &[IpAddr]) -> Call {
    let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    if !ask.is_empty() {
        all.extend(["--mdm_ip".to_owned(), list(ask)]);
    }
    Call::new(PROGRAM, all.iter().map(String::as_str))
}

fn list(ips: &[IpAddr]) -> String {
    ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Asks for the cluster.
pub fn query_cluster(ask: &[IpAddr]) -> Call {
    call(&["--query_cluster", "--approve_certificate"], ask)
}

/// Logs in.
pub fn login(password: &Hidden, in_sight: bool, ask: &[IpAddr]) -> Call {
    let call = call(&["--login", "--username", USER, "--approve_certificate"], ask);
    with_passwords(call, &[("--password", password)], in_sight, &[password])
}

/// Sets the password of the user who is logged in.
pub fn set_password(old: &Hidden, new: &Hidden, in_sight: bool, ask: &[IpAddr]) -> Call {
    let call = call(&["--set_password"], ask);
    with_passwords(call, &[("--old_password", old), ("--new_password", new)], in_sight, &[old, new, new])
}

/// Prompts differ in their words, but all have this one.
const PROMPT: &str = "password";

fn with_passwords(mut call: Call, named: &[(&str, &Hidden)], in_sight: bool, typed: &[&Hidden]) -> Call {
    if in_sight {
        for (name, password) in named {
            call.hidden_args.extend([Hidden::new(*name), (*password).clone()]);
        }
    } else {
        let one = |text: &&Hidden| Typed { prompt: PROMPT.to_owned(), text: (*text).clone() };
        call.typed = typed.iter().map(one).collect();
    }
    call
}

/// Ends the session of this user on this host.
pub fn logout(ask: &[IpAddr]) -> Call {
    call(&["--logout"], ask)
}

/// The command that makes a change, and under which name it is known. None: it is not made by one command.
pub fn command(change: &Change, licence: &str, ask: &[IpAddr]) -> Option<(Command, Call)> {
    let names = |names: &[String]| names.join(",");
    Some(match change {
        Change::Look | Change::Password | Change::Unknown => return None,
        Change::Create { master, virtual_ips } => (Command::CreateCluster, create(master, virtual_ips)),
        Change::AddStandby { member } => (Command::AddStandby, add_standby(member, ask)),
        Change::SwitchMode { mode, managers, tie_breakers } => {
            let (managers, tie_breakers) = (names(managers), names(tie_breakers));
            let mut args = vec!["--switch_cluster_mode", "--cluster_mode", mode.as_str()];
            if !managers.is_empty() {
                args.extend(["--add_slave_mdm_name", &managers]);
            }
            if !tie_breakers.is_empty() {
                args.extend(["--add_tb_name", &tie_breakers]);
            }
            (Command::SwitchMode, call(&args, ask))
        }
        Change::Replace { lost, by, kind } => {
            let (add, remove) = match kind {
                Kind::Manager => ("--add_slave_mdm_name", "--remove_slave_mdm_name"),
                Kind::TieBreaker => ("--add_tb_name", "--remove_tb_name"),
            };
            let args = ["--replace_cluster_mdm", add, by, remove, lost, "--allow_leave_failed", "--i_am_sure"];
            (Command::ReplaceMember, call(&args, ask))
        }
        Change::RemoveStandby { name } => {
            (Command::RemoveStandby, call(&["--remove_standby_mdm", "--remove_mdm_name", name], ask))
        }
        Change::Rename { name } => (Command::RenameSystem, call(&["--rename_system", "--new_name", name], ask)),
        Change::Licence { .. } => (Command::SetLicence, call(&["--set_license", "--license_file", licence], ask)),
        Change::Ownership { to } => {
            (Command::SwitchOwnership, call(&["--switch_mdm_ownership", "--new_master_mdm_name", to], ask))
        }
    })
}

fn create(master: &Member, virtual_ips: &[IpAddr]) -> Call {
    let (ips, management) = (list(&master.ips), list(&master.management_ips));
    let (interfaces, moving) = (master.interfaces.join(","), list(virtual_ips));
    let mut args = vec!["--create_mdm_cluster", "--master_mdm_ip", &ips, "--master_mdm_name", &master.name];
    if !management.is_empty() {
        args.extend(["--master_mdm_management_ip", &management]);
    }
    if !moving.is_empty() {
        args.extend(["--master_mdm_virtual_ip_interface", &interfaces, "--cluster_virtual_ip", &moving]);
    }
    args.extend(["--accept_license", "--approve_certificate"]);
    // It is the node's own MDM that is told, so nobody is asked.
    call(&args, &[])
}

fn add_standby(member: &Member, ask: &[IpAddr]) -> Call {
    let (ips, management) = (list(&member.ips), list(&member.management_ips));
    let interfaces = member.interfaces.join(",");
    let role = match member.kind {
        Kind::Manager => "manager",
        Kind::TieBreaker => "tb",
    };
    let mut args = vec!["--add_standby_mdm", "--new_mdm_ip", &ips, "--mdm_role", role, "--new_mdm_name", &member.name];
    if member.kind == Kind::Manager {
        if !management.is_empty() {
            args.extend(["--new_mdm_management_ip", &management]);
        }
        if !interfaces.is_empty() {
            args.extend(["--new_mdm_virtual_ip_interface", &interfaces]);
        }
    }
    args.push("--approve_certificate");
    call(&args, ask)
}

/// The same, for a host that still has something of its time in this cluster.
pub fn again(mut call: Call) -> Call {
    call.args.extend(["--force_clean".to_owned(), "--i_am_sure".to_owned()]);
    call
}

#[cfg(test)]
mod tests;

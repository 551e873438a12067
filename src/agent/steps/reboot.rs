//! A boot that is to be over, proven by the kernel's id of it.

use super::{Found, State, Trouble, passing};
use crate::agent::host::{Call, Host};

pub(super) fn check(before: &str, host: &mut dyn Host, found: &mut Found) -> State {
    let now = host.boot_id();
    if now.is_empty() || before.is_empty() {
        return State::Unclear("the node's boot cannot be told from another".to_owned());
    }
    found.insert("boot_id".to_owned(), now.clone());
    if now == before { State::NotSo("the node has not booted again".to_owned()) } else { State::So }
}

pub(super) fn act(host: &mut dyn Host) -> Result<(), Trouble> {
    let output = host.run(&Call::new("systemctl", ["--no-block", "reboot"])).map_err(|error| passing(&error))?;
    if output.is_good() {
        Ok(())
    } else {
        Err(Trouble::Lasting(format!("systemctl reboot ended with {}", output.last_words())))
    }
}

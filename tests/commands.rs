//! Is the table of commands and their evidence in the documentation that of the code?

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;

use scaleio_framework::fleet::bootstrap;
use scaleio_framework::model::command::{Command, GENERATIONS, table};

const HEAD: &str = "# Commands given to ScaleIO, and how well each is known

No ScaleIO was at hand when this was written. Each command carries its evidence, for each release:

- **seen**: in a program that people run (playbooks, Puppet modules, the original framework);
- **documented**: read in documentation or a report;
- **inferred**: concluded from other facts and never seen. Such a command is refused, with its name and nothing done, unless the
  order says that a person has accepted it by that name. Try it by hand on a system that may break, then accept it.

`sio plan rollout` lists those that a rollout may need. Releases 4.x and later are refused by name: their MDM cluster is made by
PowerFlex Manager. A password is typed at scli's prompt on a terminal of its own; among arguments, where everybody on the node can
read it, it goes only where that is allowed. This page is made from the code: `UPDATE_DOCS=1 cargo test --test commands`.

";

#[test]
fn the_page_of_commands_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let wanted = format!("{HEAD}{}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, wanted, "renew it by UPDATE_DOCS=1 cargo test --test commands");
}

#[test]
fn a_plan_names_each_command_that_waits_for_a_person() {
    let told = bootstrap::unproven(&[Command::RenameSystem.to_string()].into(), false);
    for command in [Command::LoginAtPrompt, Command::SetPasswordAtPrompt, Command::ReplaceMember] {
        let line = told.iter().find(|line| line.starts_with(command.as_str()));
        let line = line.unwrap_or_else(|| panic!("{command} is not told: {told:?}"));
        for generation in GENERATIONS {
            let unproven = command.evidence(generation).unwrap().is_unproven();
            assert_eq!(line.contains(generation.as_str()), unproven, "{generation} in {line}");
        }
    }
    assert!(!told.iter().any(|line| line.starts_with("create_mdm_cluster")), "it was seen: {told:?}");
}

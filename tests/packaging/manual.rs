//! Do shells and `man` know every command?

use std::collections::BTreeSet;
use std::process::Command;

use crate::done;

fn sio() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sio"));
    command.env_clear();
    command
}

/// The commands that the help of a command lists.
fn commands(words: &[&str]) -> Vec<String> {
    let help = done(sio().args(words).arg("--help"));
    let Some((_, after)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = after.lines().take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The page of a command, and those of what it holds.
fn want(words: &[&str], wanted: &mut BTreeSet<String>) {
    wanted.insert(format!("{}.1", ["sio"].iter().chain(words).copied().collect::<Vec<_>>().join("-")));
    for inner in commands(words) {
        want(&[words, &[&inner]].concat(), wanted);
    }
}

#[test]
fn every_command_has_its_manual_page_and_no_page_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man");
    done(sio().args(["export", "man"]).arg(&pages));
    let written: BTreeSet<String> =
        std::fs::read_dir(&pages).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut wanted = BTreeSet::new();
    want(&[], &mut wanted);
    assert!(wanted.len() > 15, "{wanted:?}");
    // What nobody runs by hand has a page or none.
    let extra: Vec<_> = written.difference(&wanted).filter(|name| *name != "sio-executor.1").collect();
    let missing: Vec<_> = wanted.difference(&written).collect();
    assert!(missing.is_empty() && extra.is_empty(), "without a page: {missing:?}; without a command: {extra:?}");
    let status = std::fs::read_to_string(pages.join("sio-status.1")).unwrap();
    assert!(status.contains(".TH") && status.contains("json"), "{status}");
}

#[test]
fn each_shell_reads_its_completions_and_bash_completes_a_word() {
    for shell in ["bash", "zsh", "fish"] {
        let text = done(sio().args(["export", "completions", shell]));
        assert!(text.contains("dashboards"), "{shell}");
    }
    let script = done(sio().args(["export", "completions", "bash"]));
    let ask = format!("{script}\nCOMP_WORDS=(sio che); COMP_CWORD=1; _sio sio che sio; echo \"${{COMPREPLY[*]}}\"");
    // It is too long for an argument.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), ask).unwrap();
    assert_eq!(done(Command::new("bash").arg(file.path())), "check");
}

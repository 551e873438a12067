//! The kept table of effects: which test kills whoever has an effect, before and after it.

#![allow(dead_code, unreachable_pub, clippy::panic, reason = "shared by tests, each of which reads its part")]

use std::collections::BTreeSet;

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Killed {
    /// `controller`, `executor` or `agent`.
    pub who: String,
    /// The name that the code gives it.
    pub effect: String,
    /// The file of the test.
    pub file: String,
    /// The test.
    pub test: String,
}

/// The table, as `tests/expected/effects.txt` has it.
pub fn table() -> Vec<Killed> {
    let lines = include_str!("../expected/effects.txt").lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [who, effect, file, test] => {
            Killed { who: who.to_owned(), effect: effect.to_owned(), file: file.to_owned(), test: test.to_owned() }
        }
        _ => panic!("{line:?} is no line of the table: WHO EFFECT FILE TEST"),
    };
    lines.map(read).collect()
}

/// The effects that a test says it kills at.
pub fn of(test: &str) -> BTreeSet<String> {
    table().into_iter().filter(|line| line.test == test).map(|line| line.effect).collect()
}

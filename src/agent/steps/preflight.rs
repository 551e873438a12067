//! The table of a node, which travels in the report.

use super::{Found, State};
use crate::agent::host::Host;
use crate::agent::preflight::{gather, judge};
use crate::model::order::Preflight;
use crate::model::preflight::{FOUND, Verdict};
use crate::model::unit::Timestamp;

pub(super) fn check(asked: &Preflight, host: &mut dyn Host, found: &mut Found, now: Timestamp) -> State {
    let rows = judge(asked, &gather(asked, host, Some(now)));
    match serde_json::to_string(&rows) {
        Ok(text) => found.insert(FOUND.to_owned(), text),
        Err(error) => return State::Unclear(format!("the table cannot be written: {error}")),
    };
    let bad: Vec<String> = rows
        .iter()
        .filter(|row| row.verdict == Verdict::Fail)
        .map(|row| format!("{}: {} ({})", row.name, row.found, row.mend))
        .collect();
    if bad.is_empty() { State::So } else { State::Impossible(bad.join("; ")) }
}

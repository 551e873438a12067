//! Is whoever has an effect killed before and after it, for each effect that the code names?
//!
//! The names are read out of the code, so that a new one without a line in
//! `tests/expected/effects.txt` fails here, and a line whose test does not kill
//! there fails in that test.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "support/effects.rs"]
mod effects;

use std::collections::BTreeSet;
use std::path::Path;

use effects::table;
use scaleio_framework::proof::controller::Death;
use scaleio_framework::proof::simulate::Play;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What an enum calls its values: the texts in the first function of a name behind a mark.
fn names(path: &str, mark: &str, function: &str) -> BTreeSet<String> {
    let text = read(path);
    let from = text.find(mark).unwrap_or_else(|| panic!("{path} has no {mark:?}"));
    let function = format!("fn {function}(");
    let body = text[from..].split_once(&function).unwrap_or_else(|| panic!("{path} has no {function:?}")).1;
    let body = body.split("\n    }\n").next().unwrap();
    let found: BTreeSet<String> = body.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(found.len() > 2, "{path}: {found:?}");
    found
}

/// What changes nothing, or is never done by this release, each with the reason.
const NONE: &[(&str, &str, &str)] = &[
    ("agent", "preflight", "it only looks"),
    ("agent", "judge_disks", "it only looks"),
    ("agent", "mdm_look", "it only looks"),
    ("agent", "unknown", "it is refused"),
];

/// All effects of the code.
fn of_the_code() -> BTreeSet<(String, String)> {
    let mut all = BTreeSet::new();
    let mut add = |who: &str, found: BTreeSet<String>| {
        all.extend(found.into_iter().map(|effect| (who.to_owned(), effect)));
    };
    add("controller", names("src/mesos/wire/call.rs", "impl Call {", "name"));
    // What the scheduler stores before it tells anybody.
    add("controller", ["SAVE".to_owned()].into());
    add("controller", names("src/work/record.rs", "impl Effect {", "as_str"));
    add("controller", names("src/fleet/diff/mod.rs", "impl Addition {", "effect"));
    add("executor", names("src/agent/executor.rs", "impl Effect {", "as_str"));
    add("agent", names("src/model/order.rs", "impl Task {", "name"));
    add("agent", names("src/model/mdm.rs", "impl Change {", "name"));
    for (who, effect, _) in NONE {
        assert!(all.remove(&((*who).to_owned(), (*effect).to_owned())), "{who} has no effect {effect} any more");
    }
    all
}

#[test]
fn every_effect_of_the_code_has_a_test_that_kills_there() {
    let code = of_the_code();
    let table: BTreeSet<(String, String)> = table().into_iter().map(|line| (line.who, line.effect)).collect();
    let missing: Vec<_> = code.difference(&table).collect();
    assert!(missing.is_empty(), "without a line in tests/expected/effects.txt: {missing:?}");
    let stale: Vec<_> = table.difference(&code).collect();
    assert!(stale.is_empty(), "lines of effects that the code has no more: {stale:?}");
}

/// What the controller was about to do, or had done, when it died.
fn died_at(story: &[String]) -> BTreeSet<String> {
    let Some(at) = story.iter().position(|line| line.contains("the controller dies")) else { return BTreeSet::new() };
    let time = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let turn = story[..at].iter().rev().take_while(|line| time(line) == time(&story[at]));
    let known = names("src/work/record.rs", "impl Effect {", "as_str");
    let effect = |line: &String| {
        let (_, said) = line.split_once(": ")?;
        // An order for a node is told by what is ordered.
        if said.contains(" on ") { Some("order".to_owned()) } else { known.get(said).cloned() }
    };
    turn.filter_map(effect).collect()
}

#[test]
fn a_death_before_or_after_any_effect_of_the_work_is_only_a_pause() {
    let play = || Play { only: Some(Vec::new()), ..Play::of(2, 3, 150) };
    let wanted = effects::of("a_death_before_or_after_any_effect_of_the_work_is_only_a_pause");
    dies_at(&wanted, play, "done", |killed| *killed == wanted);
}

#[test]
fn a_death_before_or_after_the_end_of_an_upgrade_ends_it_once() {
    let play = || Play { finalises: true, only: Some(Vec::new()), ..Play::of(2, 3, 60) };
    let wanted = effects::of("a_death_before_or_after_the_end_of_an_upgrade_ends_it_once");
    dies_at(&wanted, play, "done", |killed| *killed == wanted);
}

/// Dies at each decision, until what was died at is enough from both sides.
fn dies_at(wanted: &BTreeSet<String>, play: impl Fn() -> Play, end: &str, enough: impl Fn(&BTreeSet<String>) -> bool) {
    let mut sides = [BTreeSet::new(), BTreeSet::new()];
    // Each effect once from both sides; `tests/proof` dies at every decision, and takes its time for it.
    for at in 0..play().run().decisions {
        for (death, killed) in [Death::BeforeEffect, Death::AfterEffect].into_iter().zip(&mut sides) {
            let outcome = Play { die_at: [(at, death)].into(), ..play() }.run();
            let told = || outcome.story.join("\n");
            assert_eq!(outcome.violations, [] as [&str; 0], "{death:?} at decision {at}\n{}", told());
            assert!(outcome.counts.contains_key(&format!("end: {end}")), "{death:?} at decision {at}\n{}", told());
            killed.extend(died_at(&outcome.story));
        }
        if sides.iter().all(&enough) {
            return;
        }
    }
    let told = play().run().story.join("\n");
    panic!("it did not die at {wanted:?} from both sides, but at {sides:?}\n{told}");
}

#[test]
fn a_death_before_or_after_any_effect_of_a_removal_is_only_a_pause() {
    let play = || Play { only: Some(Vec::new()), removes: true, ..Play::of(7, 5, 150) };
    let wanted = effects::of("a_death_before_or_after_any_effect_of_a_removal_is_only_a_pause");
    // What a removal shares with an upgrade is died at too.
    dies_at(&wanted, play, "done", |killed| wanted.is_subset(killed));
}

#[test]
fn a_death_before_or_after_a_server_is_kept_whose_removal_was_cancelled_is_only_a_pause() {
    let cancelled =
        |at| Play { cancel_at: Some(at), ..Play { only: Some(Vec::new()), removes: true, ..Play::of(7, 5, 150) } };
    // A person cancels while data leaves the server.
    let keeps = |at: &u32| cancelled(*at).run().story.iter().any(|line| line.ends_with(": keep_sds"));
    let at = (0..cancelled(0).run().decisions).find(keeps).unwrap_or_else(|| panic!("no cancel keeps a server"));
    let wanted = effects::of("a_death_before_or_after_a_server_is_kept_whose_removal_was_cancelled_is_only_a_pause");
    dies_at(&wanted, || cancelled(at), "cancelled", |killed| wanted.is_subset(killed));
}

#[test]
fn every_test_of_the_table_is_there_and_holds_itself_to_it() {
    for line in table() {
        let text = read(&line.file);
        assert!(text.contains(&format!("fn {}", line.test)), "{} has no test {}", line.file, line.test);
        let holds = text.contains("effects::of(");
        assert!(holds, "{} does not compare what it kills at with the table", line.file);
    }
}

//! Does the past come back as it was, whatever happened to the file?

use super::*;
use crate::alert::promql::{Latest, Query, Reach};

fn pools(at: i64, values: &[f64]) -> Latest {
    let mut latest = Latest::new(at);
    for (pool, value) in values.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
        let name = pool.to_string();
        latest.push(Labels::from_pairs([("__name__", "used"), ("pool", name.as_str())]), *value);
    }
    latest
}

fn reaches() -> Vec<Reach> {
    Query::parse("rate(used[10m])").unwrap().reaches()
}

/// Everything a history holds, in words.
fn words(history: &History) -> Vec<String> {
    let mut out: Vec<String> = history
        .series()
        .map(|(labels, keep, runs)| {
            let runs: Vec<_> = runs
                .iter()
                .map(|run| format!("{}@{:?}-{:?}", run.value, history.time_of(run.first), history.time_of(run.last)))
                .collect();
            format!("{labels} {keep} {}", runs.join(" "))
        })
        .collect();
    out.sort();
    out
}

fn poll(history: &mut History, file: &mut HistoryFile, at: i64, values: &[f64]) {
    history.record(&pools(at, values), &reaches());
    history.finish();
    file.append(history).unwrap();
}

const GONE: f64 = f64::NAN;

fn five_polls(folder: &Path) -> (History, HistoryFile) {
    let Recovered { mut history, mut file, .. } = HistoryFile::open(folder, Bounds::default()).unwrap();
    for (i, values) in [[1.0, 5.0], [1.0, 6.0], [1.0, GONE], [2.0, GONE], [2.0, 7.0]].iter().enumerate() {
        poll(&mut history, &mut file, 1_000_000 + i as i64 * 10_000, values);
    }
    (history, file)
}

fn only_segment(folder: &Path) -> PathBuf {
    let mut all = segments(folder).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0).1
}

#[test]
fn a_restart_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (history, file) = five_polls(folder.path());
    drop(file);
    let found = HistoryFile::open(folder.path(), Bounds::default()).unwrap();
    assert_eq!(words(&found.history), words(&history));
    assert_eq!((found.torn_bytes, found.unusable.len()), (0, 0));
    // And once more, now out of the beginning of a segment instead of its polls.
    drop(found);
    let found = HistoryFile::open(folder.path(), Bounds::default()).unwrap();
    assert_eq!(words(&found.history), words(&history));
}

#[test]
fn a_tail_cut_anywhere_costs_only_the_last_polls() {
    let folder = tempfile::tempdir().unwrap();
    let (history, file) = five_polls(folder.path());
    drop(file);
    let whole = fs::read(only_segment(folder.path())).unwrap();
    let base = {
        let mut empty = Reader::new(&whole);
        while !matches!(empty.next(), Some(Entry::Whole)) {}
        empty.position()
    };
    let mut most = 0;
    for length in base..=whole.len() {
        let (found, torn) = read_segment(&whole[..length], Bounds::default()).unwrap();
        let polls = found.polls().1;
        assert_eq!(polls, &history.polls().1[..polls.len()], "{length}");
        assert!(polls.len() >= most, "{length}");
        assert!(torn == 0 || polls.len() < 5, "{length}");
        most = polls.len();
    }
    assert_eq!(most, 5);
    assert!((0..base).all(|length| read_segment(&whole[..length], Bounds::default()).is_none()));
}

#[test]
fn a_flipped_bit_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (history, file) = five_polls(folder.path());
    drop(file);
    let whole = fs::read(only_segment(folder.path())).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let Some((found, torn)) = read_segment(&damaged, Bounds::default()) else { continue };
        assert!(torn > 0, "{at}");
        let polls = found.polls().1;
        assert!(polls.len() < 5 && polls == &history.polls().1[..polls.len()], "{at}");
    }
}

#[test]
fn an_unusable_newest_segment_falls_back_to_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (history, file) = five_polls(folder.path());
    drop(file);
    // A crash between the rename and the removal leaves two; here the newer one is no segment.
    fs::write(segment_path(folder.path(), 99), b"nonsense").unwrap();
    fs::write(folder.path().join("000000000100.draft"), b"half").unwrap();
    let found = HistoryFile::open(folder.path(), Bounds::default()).unwrap();
    assert_eq!(words(&found.history), words(&history));
    assert_eq!(found.unusable, [segment_path(folder.path(), 99)]);
}

#[test]
fn old_records_go_with_a_new_segment_and_the_past_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, mut file) = five_polls(folder.path());
    let before = file.bytes();
    file.log_bytes = LOG_BYTES + before + 1;
    poll(&mut history, &mut file, 2_000_000, &[3.0, 3.0]);
    assert!(file.bytes() < LOG_BYTES);
    poll(&mut history, &mut file, 2_010_000, &[3.0, 4.0]);
    drop(file);
    only_segment(folder.path());
    let found = HistoryFile::open(folder.path(), Bounds::default()).unwrap();
    assert_eq!(words(&found.history), words(&history));
}

#[test]
fn after_a_failed_write_a_fresh_segment_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, mut file) = five_polls(folder.path());
    // A file that is open for reading only refuses the write, as a full disk would.
    file.file = File::open(only_segment(folder.path())).unwrap();
    history.record(&pools(3_000_000, &[9.0]), &reaches());
    history.finish();
    assert!(file.append(&history).is_err_and(|error| error.to_string().contains("append to")));
    poll(&mut history, &mut file, 3_010_000, &[9.0]);
    drop(file);
    let found = HistoryFile::open(folder.path(), Bounds::default()).unwrap();
    assert_eq!(words(&found.history), words(&history));
}

#[test]
fn a_clock_that_is_set_back_costs_what_came_after_that_moment_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let (mut history, mut file) = five_polls(folder.path());
    // Polls of 1,020,000 and later have not come yet.
    poll(&mut history, &mut file, 1_015_000, &[4.0, 8.0]);
    assert_eq!(history.polls().1, [1_000_000, 1_010_000, 1_015_000]);
    let poll_times = "used{pool=\"0\"} 900000 1@Some(1000000)-Some(1010000) 4@Some(1015000)-Some(1015000)";
    assert!(words(&history).contains(&poll_times.to_owned()), "{:#?}", words(&history));
    for i in 1..50 {
        poll(&mut history, &mut file, 1_015_000 + i * 10_000, &[4.0, i as f64]);
    }
    // And to before everything.
    let kept = words(&history);
    drop(file);
    let mut found = HistoryFile::open(folder.path(), Bounds::default()).unwrap();
    assert_eq!((words(&found.history), found.torn_bytes), (kept, 0));
    poll(&mut found.history, &mut found.file, 500, &[4.0, 1.0]);
    poll(&mut found.history, &mut found.file, 600, &[4.0, 2.0]);
    assert_eq!(found.history.polls().1, [500, 600]);
    let kept = words(&found.history);
    drop(found.file);
    let again = HistoryFile::open(folder.path(), Bounds::default()).unwrap();
    assert_eq!((words(&again.history), again.torn_bytes), (kept, 0));
}

//! Whether every store keeps what it promised, whatever happens to it.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use scaleio_framework::config::{Hidden, Secret, StoreInZooKeeper};
use scaleio_framework::store::{
    Batch, Disk, Epoch, Fault, FaultKind, Faulty, Key, MAX_BATCH, MAX_VALUE, OPERATION_COST, SqliteStore, State, Store,
    StoreError, Version, ZooKeeperStore,
};

/// A place where a store can be opened again and again.
trait Place {
    fn open(&self) -> Result<Box<dyn Store>, StoreError>;
}

struct Memory(Disk);

impl Place for Memory {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(self.0.open()?))
    }
}

struct Sqlite(tempfile::TempDir);

impl Sqlite {
    fn path(&self) -> PathBuf {
        self.0.path().join("state.db")
    }
}

impl Place for Sqlite {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(SqliteStore::open(&self.path())?))
    }
}

fn sqlite() -> Sqlite {
    Sqlite(tempfile::tempdir().unwrap())
}

/// A folder of its own in a real ZooKeeper.
struct InZooKeeper(StoreInZooKeeper);

impl Place for InZooKeeper {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(ZooKeeperStore::open(&self.0)?))
    }
}

/// The port of a ZooKeeper that all tests share. It ends with this process,
/// whose end it hears by its standard input.
fn ensemble() -> u16 {
    static STARTED: OnceLock<(u16, Mutex<std::process::Child>, tempfile::TempDir)> = OnceLock::new();
    let (port, ..) = STARTED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real-mesos/real-mesos");
        let child = Command::new(script)
            .args(["zookeeper", "--zk-port", &port.to_string(), "--dir", folder.path().to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while !answers(port) {
            assert!(begun.elapsed() < Duration::from_secs(120), "ZooKeeper does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        (port, Mutex::new(child), folder)
    });
    *port
}

/// Whether a ZooKeeper says that it serves.
fn answers(port: u16) -> bool {
    use std::io::Write;
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"ruok")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer == "imok")
}

fn zookeeper() -> InZooKeeper {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let n = COUNT.fetch_add(1, Ordering::SeqCst);
    InZooKeeper(StoreInZooKeeper {
        servers: format!("127.0.0.1:{}", ensemble()),
        path: format!("/tests/{n}"),
        auth: None,
        session_timeout: Duration::from_secs(1),
    })
}

fn on_all(test: impl Fn(&dyn Place)) {
    test(&Memory(Disk::new()));
    test(&sqlite());
    test(&zookeeper());
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn put(name: &str, value: &str) -> Batch {
    Batch::new().put(key(name), value)
}

const E1: Epoch = Epoch(1);

#[test]
fn what_was_committed_is_there_after_opening_again() {
    on_all(|place| {
        let mut store = place.open().unwrap();
        assert_eq!(store.load().unwrap(), State::default());
        assert_eq!(store.commit(E1, Version(0), &put("a", "1").put(key("b/c"), [0, 255])).unwrap(), Version(1));
        assert_eq!(store.commit(E1, Version(1), &Batch::new().delete(key("a")).delete(key("x"))).unwrap(), Version(2));
        drop(store);
        let state = place.open().unwrap().load().unwrap();
        assert_eq!((state.version, state.epoch), (Version(2), E1));
        assert_eq!(state.entries.into_iter().collect::<Vec<_>>(), [(key("b/c"), vec![0, 255])]);
    });
}

#[test]
fn a_commit_on_another_version_is_refused_and_changes_nothing() {
    on_all(|place| {
        let mut store = place.open().unwrap();
        store.commit(E1, Version(0), &put("a", "1")).unwrap();
        for expected in [0, 2] {
            let error = store.commit(E1, Version(expected), &put("a", "2")).unwrap_err();
            assert!(matches!(error, StoreError::Conflict { stored: Version(1), .. }), "{error}");
            assert!(!error.is_fatal());
        }
        assert_eq!(store.load().unwrap().entries[&key("a")], b"1");
        store.commit(E1, Version(1), &put("a", "3")).unwrap();
    });
}

#[test]
fn a_leader_that_was_replaced_is_refused_for_good() {
    on_all(|place| {
        let mut store = place.open().unwrap();
        store.commit(Epoch(7), Version(0), &Batch::new()).unwrap();
        drop(store);
        let mut store = place.open().unwrap();
        let error = store.commit(Epoch(6), Version(1), &put("a", "old")).unwrap_err();
        assert!(matches!(error, StoreError::Fenced { given: Epoch(6), stored: Epoch(7) }), "{error}");
        store.commit(Epoch(8), Version(1), &put("a", "new")).unwrap();
        assert_eq!(store.load().unwrap().epoch, Epoch(8));
    });
}

#[test]
fn limits_are_the_same_everywhere_and_name_key_and_size() {
    on_all(|place| {
        let mut store = place.open().unwrap();
        let mut version = store.commit(E1, Version(0), &put("largest", &"x".repeat(MAX_VALUE))).unwrap();
        let error = store.commit(E1, version, &put("too-large", &"x".repeat(MAX_VALUE + 1))).unwrap_err();
        assert_eq!(error.to_string(), "the value of too-large has 65537 bytes, and a value has at most 65536");

        // Eight changes with one-letter keys, the last filled up to the limit.
        let full = (0..7).fold(Batch::new(), |batch, n| batch.put(key(&n.to_string()), vec![0; MAX_VALUE]));
        let left = MAX_BATCH - 7 * (MAX_VALUE + 1 + OPERATION_COST) - 1 - OPERATION_COST;
        version = store.commit(E1, version, &full.clone().put(key("7"), vec![0; left])).unwrap();
        let error = store.commit(E1, version, &full.put(key("7"), vec![0; left + 1])).unwrap_err();
        assert!(error.to_string().contains("524289 bytes in 8 changes"), "{error}");

        let many = (0..9_000).fold(Batch::new(), |batch, n| batch.delete(key(&format!("k{n}"))));
        assert!(matches!(store.commit(E1, version, &many).unwrap_err(), StoreError::BatchTooLarge { .. }));
        assert_eq!(store.load().unwrap().version, version);
    });
}

#[test]
fn a_second_controller_on_the_same_state_is_refused() {
    on_all(|place| {
        let store = place.open().unwrap();
        let error = place.open().err().unwrap();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
        drop(store);
        place.open().unwrap();
    });
}

/// What the scripted workload does in its `n`-th commit: it adds, changes and removes.
fn step(n: u64) -> Batch {
    let batch =
        put("counter", &n.to_string()).put(key(&format!("run/{n}")), vec![u8::try_from(n % 256).unwrap(); 3_000]);
    if n >= 3 { batch.delete(key(&format!("run/{}", n - 3))) } else { batch }
}

/// The state after `n` commits.
fn after(n: u64) -> State {
    let mut state = State { version: Version(n), ..State::default() };
    for n in 1..=n {
        state.epoch = E1;
        for (key, value) in step(n).changes() {
            match value {
                Some(value) => state.entries.insert(key.clone(), value.to_vec()),
                None => state.entries.remove(key),
            };
        }
    }
    state
}

const STEPS: u64 = 12;

/// Loads and commits until done or until the store fails; tells the last
/// acknowledged version.
fn work(store: &mut dyn Store) -> (u64, Result<(), StoreError>) {
    let mut acknowledged = 0;
    let outcome = (|| {
        acknowledged = store.load()?.version.0;
        for n in acknowledged + 1..=STEPS {
            acknowledged = store.commit(E1, Version(n - 1), &step(n))?.0;
            assert_eq!(store.load()?, after(n));
        }
        Ok(())
    })();
    (acknowledged, outcome)
}

#[test]
fn after_a_fault_at_any_call_the_state_is_one_that_was_committed() {
    on_all_fresh(|fresh| {
        let calls = {
            let mut counted = Faulty::new(fresh().open().unwrap(), None);
            work(&mut counted).1.unwrap();
            counted.calls()
        };
        assert!(calls > 2 * STEPS);
        let mut lost_answers = 0;
        for kind in FaultKind::ALL {
            for call in 1..=calls {
                let place = fresh();
                let mut store = Faulty::new(place.open().unwrap(), Some(Fault { call, kind }));
                let (acknowledged, outcome) = work(&mut store);
                assert!(outcome.unwrap_err().is_fatal());
                assert!(matches!(store.commit(E1, Version(acknowledged), &step(1)), Err(StoreError::Closed)));
                drop(store);

                let mut store = place.open().unwrap();
                let found = store.load().unwrap();
                assert_eq!(found, after(found.version.0), "{kind:?} at {call}");
                let ahead = found.version.0 - acknowledged;
                assert!(ahead <= 1, "{kind:?} at {call}: {acknowledged} was acknowledged, {found:?} is there");
                lost_answers += ahead;
                let (acknowledged, outcome) = work(&mut *store);
                outcome.unwrap();
                assert_eq!(acknowledged, STEPS, "{kind:?} at {call}");
            }
        }
        assert_eq!(lost_answers, 2 * STEPS, "each commit must have been the one whose answer was lost");
    });
}

fn on_all_fresh(test: impl Fn(&dyn Fn() -> Box<dyn Place>)) {
    test(&|| Box::new(Memory(Disk::new())));
    test(&|| Box::new(sqlite()));
    test(&|| Box::new(zookeeper()));
}

#[test]
fn a_controller_whose_session_expired_commits_nothing_more_and_the_next_one_may() {
    let place = zookeeper();
    let mut first = ZooKeeperStore::open(&place.0).unwrap();
    first.commit(E1, Version(0), &put("a", "1")).unwrap();
    // Another one that got in: as after a pause of the first one's host.
    let intruder = sessionless(&place.0);
    intruder.block_on(async |client| client.delete(&format!("{}/lock", place.0.path), None).await.unwrap());
    let mut second = ZooKeeperStore::open(&place.0).unwrap();
    let found = second.load().unwrap();
    second.commit(Epoch(2), found.version, &put("a", "2")).unwrap();
    let error = first.commit(E1, Version(1), &put("a", "late")).unwrap_err();
    assert!(matches!(error, StoreError::Fenced { given: E1, stored: Epoch(2) }), "{error}");
    assert_eq!(second.load().unwrap().entries[&key("a")], b"2");
}

#[test]
fn with_a_login_nobody_else_reads_or_writes() {
    let place = zookeeper();
    let with = |text: &str| StoreInZooKeeper { auth: Some(Hidden(Secret::new(text))), ..place.0.clone() };
    let mut store = ZooKeeperStore::open(&with("sio:right")).unwrap();
    store.commit(E1, Version(0), &put("a", "1")).unwrap();
    drop(store);
    for wrong in [place.0.clone(), with("sio:wrong-hunter2")] {
        let error = ZooKeeperStore::open(&wrong).err().unwrap();
        let told = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(told.contains("not authorized") && !told.contains("hunter2"), "{told}");
    }
    assert_eq!(ZooKeeperStore::open(&with("sio:right")).unwrap().load().unwrap().version, Version(1));
}

#[test]
fn a_newer_or_strange_store_in_zookeeper_is_left_alone() {
    for (meta, told) in [
        (r#"{"format":99}"#, "has format 99, and this release knows formats up to 1"),
        ("not JSON", "meta cannot be read"),
        (r#"{"format":1}"#, "meta cannot be read"),
    ] {
        let place = zookeeper();
        drop(place.open().unwrap());
        let other = sessionless(&place.0);
        let name = format!("{}/meta", place.0.path);
        other.block_on(async |client| client.set_data(&name, meta.as_bytes(), None).await.map(drop).unwrap());
        let error = place.open().err().unwrap().to_string();
        assert!(error.contains(told), "{error}");
    }
    let place = zookeeper();
    place.open().unwrap().commit(E1, Version(0), &put("a", "1")).unwrap();
    sessionless(&place.0)
        .block_on(async |client| client.delete(&format!("{}/meta", place.0.path), None).await.unwrap());
    let error = place.open().err().unwrap().to_string();
    assert!(error.contains("is damaged: it has entries, but"), "{error}");
}

/// A client beside the store.
struct Beside(tokio::runtime::Runtime, zookeeper_client::Client);

impl Beside {
    fn block_on<T>(&self, work: impl AsyncFnOnce(zookeeper_client::Client) -> T) -> T {
        self.0.block_on(work(self.1.clone()))
    }
}

fn sessionless(place: &StoreInZooKeeper) -> Beside {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let client = runtime.block_on(zookeeper_client::Client::connect(&place.servers)).unwrap();
    Beside(runtime, client)
}

/// The body of the child process of the tests below; nothing in a usual run.
#[test]
fn child_that_commits() {
    let Some(path) = std::env::var_os("STORE_TEST_CHILD") else { return };
    let mut store = SqliteStore::open(Path::new(&path)).unwrap();
    let mut version = store.load().unwrap().version;
    loop {
        match store.commit(E1, version, &step(version.0 + 1)) {
            Ok(next) => version = next,
            Err(error) => {
                println!("\nfailed fatal={} {error}", error.is_fatal());
                let again = store.commit(E1, version, &step(version.0 + 1)).unwrap_err();
                println!("\nagain {again}");
                return;
            }
        }
        println!("\nacknowledged {}", version.0);
        if version.0 > 100_000 {
            return;
        }
    }
}

fn child(shell: &str, path: &Path) -> std::process::Child {
    Command::new("bash")
        .args(["-c", &format!("{shell} exec \"$0\" --exact child_that_commits --nocapture")])
        .arg(std::env::current_exe().unwrap())
        .env("STORE_TEST_CHILD", path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn acknowledged(lines: &str) -> u64 {
    // The last line may be cut by the end of the process.
    let whole = lines.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .filter_map(|line| line.strip_prefix("acknowledged "))
        .filter_map(|n| n.parse().ok())
        .next_back()
        .unwrap_or(0)
}

/// Opens what a child left; tells the version that is there.
fn survives(place: &Sqlite, acknowledged: u64) -> u64 {
    let found = place.open().unwrap().load().unwrap();
    assert_eq!(found, after(found.version.0));
    let version = found.version.0;
    assert!(
        version == acknowledged || version == acknowledged + 1,
        "{acknowledged} was acknowledged, {version} is there"
    );
    version
}

#[test]
fn a_process_that_is_killed_at_any_moment_loses_no_acknowledged_commit() {
    let place = sqlite();
    drop(place.open().unwrap());
    let mut last = 0;
    for round in 0..12_u64 {
        let mut child = child("", &place.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        // Killed after a number of commits that is spread over the rounds.
        let until = last + 1 + round * 7 % 23;
        let mut heard = String::new();
        while acknowledged(&heard) < until {
            assert!(lines.read_line(&mut heard).unwrap() > 0, "the child ended early: {heard}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.read_to_string(&mut heard).unwrap();
        last = survives(&place, acknowledged(&heard).max(last));
    }
    assert!(last > 100, "{last} commits are too few to say anything");
}

#[test]
fn a_disk_that_fails_at_any_size_of_the_file_closes_the_store_and_loses_nothing() {
    let mut failures = 0;
    // In KiB: the index of the log needs 32, one commit 12 to 20.
    for limit in (32..132).step_by(2) {
        for ignored in [true, false] {
            let place = sqlite();
            drop(place.open().unwrap());
            // Ignored, the signal becomes EFBIG; else it kills in the middle of a write.
            let trap = if ignored { "trap '' XFSZ;" } else { "" };
            let child = child(&format!("{trap} ulimit -f {limit};"), &place.path());
            let output = child.wait_with_output().unwrap();
            let heard = String::from_utf8_lossy(&output.stdout).into_owned();
            if ignored {
                assert!(heard.contains("failed fatal=true cannot"), "limit {limit}: {heard}");
                assert!(heard.contains("again the store is closed"), "limit {limit}: {heard}");
                failures += 1;
            } else {
                assert!(!output.status.success(), "limit {limit}: {heard}");
            }
            survives(&place, acknowledged(&heard));
        }
    }
    assert_eq!(failures, 50);
}

/// A closed store of a few commits.
fn filled() -> Sqlite {
    let place = sqlite();
    let mut store = SqliteStore::open(&place.path()).unwrap();
    for n in 1..=5 {
        store.commit(E1, Version(n - 1), &step(n)).unwrap();
    }
    store.close().unwrap();
    place
}

#[test]
fn a_flipped_byte_is_found_or_changed_nothing() {
    let whole = std::fs::read(filled().path()).unwrap();
    let mut found = 0;
    for at in (0..whole.len()).filter(|at| *at < 200 || at % 41 == 0) {
        let place = sqlite();
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(place.path(), bytes).unwrap();
        match place.open().and_then(|mut store| store.load()) {
            Ok(state) => assert_eq!(state, after(5), "byte {at}"),
            Err(error) => {
                assert!(
                    matches!(error, StoreError::Corrupt { .. } | StoreError::Foreign { .. } | StoreError::Newer { .. }),
                    "byte {at}: {error:?}"
                );
                found += 1;
            }
        }
    }
    assert!(found > 100, "{found} flips were found");
}

#[test]
fn a_cut_file_is_never_taken_for_a_new_store() {
    let whole = std::fs::read(filled().path()).unwrap();
    for length in [0, 1, 99, 100, 4_095, 4_096, 8_192, whole.len() - 4_096, whole.len() - 1] {
        let place = sqlite();
        std::fs::write(place.path(), &whole[..length]).unwrap();
        match place.open().and_then(|mut store| store.load()) {
            Ok(state) => panic!("{length} bytes were taken for {state:?}"),
            Err(error) => {
                let told = if length == 0 { "is damaged: it is empty; restore a backup" } else { "state.db is " };
                assert!(error.to_string().contains(told), "{length}: {error}");
            }
        }
        assert_eq!(std::fs::read(place.path()).unwrap(), whole[..length], "the evidence must stay");
    }
}

#[test]
fn a_file_that_is_gone_while_its_log_is_there_is_damage() {
    let place = sqlite();
    std::fs::write(place.0.path().join("state.db-wal"), "log").unwrap();
    let error = place.open().err().unwrap().to_string();
    assert!(error.contains("is damaged: it is missing, but its -wal is there; restore a backup"), "{error}");
}

#[test]
fn a_file_of_something_else_or_of_a_newer_release_is_left_alone() {
    let place = sqlite();
    std::fs::write(place.path(), "a note to myself, and not at all a database").unwrap();
    assert!(matches!(place.open().err().unwrap(), StoreError::Foreign { .. }));

    let place = sqlite();
    let other = rusqlite::Connection::open(place.path()).unwrap();
    other.execute_batch("CREATE TABLE songs (name)").unwrap();
    let error = place.open().err().unwrap();
    assert!(error.to_string().contains("is not a state file of this product (its application id is 0x0)"), "{error}");

    let place = filled();
    let newer = rusqlite::Connection::open(place.path()).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = place.open().err().unwrap();
    assert!(error.to_string().contains("has format 99, and this release knows formats up to 1"), "{error}");
}

#[test]
fn a_missing_folder_is_not_made() {
    let place = sqlite();
    let error = SqliteStore::open(&place.0.path().join("not-mounted/state.db")).unwrap_err();
    assert!(matches!(error, StoreError::NoFolder { .. }), "{error}");
}

#[test]
fn a_half_made_store_of_an_earlier_crash_is_made_anew() {
    let place = sqlite();
    std::fs::write(place.0.path().join("state.db.new"), "half").unwrap();
    assert_eq!(place.open().unwrap().load().unwrap(), State::default());
    assert!(!place.0.path().join("state.db.new").exists());
}

#[test]
fn nobody_else_on_the_host_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let place = sqlite();
    let mut store = SqliteStore::open(&place.path()).unwrap();
    store.commit(E1, Version(0), &step(1)).unwrap();
    store.backup(&place.0.path().join("backup.db")).unwrap();
    let mut seen = Vec::new();
    for file in std::fs::read_dir(place.0.path()).unwrap().map(Result::unwrap) {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
        seen.push(file.file_name().into_string().unwrap());
    }
    seen.sort();
    assert_eq!(seen, ["backup.db", "state.db", "state.db-shm", "state.db-wal", "state.db.lock"]);
}

#[test]
fn a_backup_is_a_whole_store_and_overwrites_nothing() {
    let place = sqlite();
    let mut store = SqliteStore::open(&place.path()).unwrap();
    for n in 1..=4 {
        store.commit(E1, Version(n - 1), &step(n)).unwrap();
    }
    let to = place.0.path().join("backup.db");
    store.backup(&to).unwrap();
    assert!(store.backup(&to).is_err());
    store.commit(E1, Version(4), &step(5)).unwrap();
    assert_eq!(SqliteStore::open(&to).unwrap().load().unwrap(), after(4));
}

#[test]
fn closing_leaves_one_file_that_holds_everything() {
    let place = filled();
    assert!(!place.0.path().join("state.db-wal").exists());
    assert_eq!(place.open().unwrap().load().unwrap(), after(5));
}

#[test]
fn a_person_with_an_open_transaction_delays_a_commit_and_breaks_nothing() {
    let place = sqlite();
    let mut store = SqliteStore::open(&place.path()).unwrap();
    let person = rusqlite::Connection::open(place.path()).unwrap();
    person.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.commit(E1, Version(0), &step(1)).unwrap_err();
    assert!(error.may_retry() && !error.is_fatal(), "{error}");
    person.execute_batch("ROLLBACK").unwrap();
    store.commit(E1, Version(0), &step(1)).unwrap();
}

//! `sio restore`: a copy of the state takes the place of what is there, while no controller runs.
//!
//! A run that was open in the copy is paused: whoever resumes it has looked at what happened since. The epoch of the copy stays:
//! agents that have heard a controller of a later time obey nobody of before, so nothing that was decided since is undone or
//! done twice by one that does not know of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::config::Config;
use crate::jobs::backup::{self, beside};
use crate::model::id::SystemId;
use crate::store::{Batch, MAX_BATCH, OPERATION_COST, SqliteStore, State, Store, StoreError, Version, ZooKeeperStore};
use crate::upgrade::keep;
use crate::work::record::Record;

/// What is restored.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The copy, as a job of the kind `state_backup` makes it
    copy: PathBuf,
    /// Take it without the file beside it that has its SHA-256
    #[arg(long)]
    without_sum: bool,
}

pub(super) fn restore(
    arguments: &Arguments,
    file: Option<&Path>,
    variables: &[(String, String)],
    out: &mut dyn Write,
) -> u8 {
    let config = match Config::load(file, variables.iter().cloned()) {
        Ok(config) => config,
        Err(errors) => {
            super::fail(&anyhow::Error::new(errors));
            return super::MISUSED;
        }
    };
    match put(arguments, &config, &crate::clock::now().format("%Y%m%dT%H%M%SZ").to_string()) {
        Ok(said) => super::say(out, &said),
        Err(error) => super::fail(&error),
    }
}

/// Puts the copy into place; `time` names what was there before.
fn put(arguments: &Arguments, config: &Config, time: &str) -> anyhow::Result<String> {
    let copy = &arguments.copy;
    let sum = backup::hash(copy).with_context(|| format!("cannot read {}", copy.display()))?;
    match backup::noted(copy).context("the file with the SHA-256 cannot be read")? {
        Some(noted) => ensure!(
            noted == sum,
            "{} has the SHA-256 {sum}, and the file beside it says {noted}: take another copy",
            copy.display()
        ),
        None => ensure!(
            arguments.without_sum,
            "{0}.sha256 is not there, so nobody knows whether {0} is whole; put it there, or say --without-sum",
            copy.display()
        ),
    }
    let target = &config.store.path;
    let (state, before) = match &config.store.zookeeper {
        None => in_file(copy, target, time)?,
        Some(settings) => {
            let state = read(copy, &beside(target, ".restoring"))?;
            into_zookeeper(&state, ZooKeeperStore::open(settings)?)?;
            (state, None)
        }
    };
    let kept = before.map(|path| format!("what was there is {} now\n", path.display())).unwrap_or_default();
    Ok(format!(
        "the state of {} is in place: {} entries, commit {}, epoch {}\n{kept}next: docs/operations.md, \"Restore\"; agents that \
         heard a later controller refuse its orders until a person says that it may go on",
        copy.display(),
        state.entries.len(),
        state.version.0,
        state.epoch.0
    ))
}

/// The copy in the place of the file, which is moved aside.
fn in_file(copy: &Path, target: &Path, time: &str) -> anyhow::Result<(State, Option<PathBuf>)> {
    let new = beside(target, ".restoring");
    let state = read(copy, &new)?;
    let aside = beside(target, &format!(".before-{time}"));
    let moved = if target.exists() {
        // A controller that runs holds it; damage is no reason to leave it there.
        if let Err(error @ (StoreError::InUse { .. } | StoreError::Foreign { .. } | StoreError::Newer { .. })) =
            SqliteStore::open(target)
        {
            return Err(error.into());
        }
        for end in ["", "-wal", "-shm"] {
            let (from, to) = (beside(target, end), beside(&aside, end));
            match fs::rename(&from, &to) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot move {} aside", from.display()));
                }
                _ => {}
            }
        }
        Some(aside)
    } else {
        None
    };
    fs::rename(&new, target).with_context(|| format!("cannot move the copy to {}", target.display()))?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).context("cannot flush the folder of the store")?;
    Ok((state, moved))
}

/// Copies it to another name, and reads all of it there: each entry is held to its sum.
fn read(copy: &Path, to: &Path) -> anyhow::Result<State> {
    for end in ["", "-wal", "-shm"] {
        // What an earlier try left.
        let _ = fs::remove_file(beside(to, end));
    }
    fs::copy(copy, to).with_context(|| format!("cannot copy {} to {}", copy.display(), to.display()))?;
    let read = || -> anyhow::Result<State> {
        let mut store = SqliteStore::open(to)?;
        let mut state = store.load()?;
        let batch = paused(&state)?;
        if batch.changes().next().is_some() {
            store.commit(state.epoch, state.version, &batch)?;
            state = store.load()?;
        }
        store.close()?;
        Ok(state)
    };
    let state = read().with_context(|| format!("{} cannot be used", copy.display()));
    let _ = fs::remove_file(beside(to, ".lock"));
    if state.is_err() {
        let _ = fs::remove_file(to);
    }
    fs::File::open(to)
        .and_then(|file| file.sync_all())
        .or_else(|error| if state.is_err() { Ok(()) } else { Err(error) })?;
    state
}

/// Pauses what is open in any system.
fn paused(state: &State) -> anyhow::Result<Batch> {
    let systems: BTreeSet<&str> =
        state.entries.keys().filter_map(|key| key.as_str().strip_prefix("work/")?.split('/').next()).collect();
    let mut all = Batch::new();
    for system in systems.into_iter().map(SystemId::new) {
        let mut journal = keep::load(state, &system)?.journal;
        let Some(run) = journal.book().open_run().filter(|run| run.paused.is_none()) else { continue };
        let record = Record::Paused { run: run.id.clone(), by: "sio restore".into() };
        let (first, now) = (journal.len(), crate::clock::now());
        let batch = keep::entries(&system, first, &journal.append(&[record], now)?)?;
        for (key, value) in batch.changes() {
            all = all.put(key.clone(), value.unwrap_or_default());
        }
    }
    Ok(all)
}

/// Into a store that has nothing: what is there is never overwritten.
fn into_zookeeper(state: &State, mut store: impl Store) -> anyhow::Result<()> {
    let there = store.load()?;
    if there.version != Version(0) || !there.entries.is_empty() {
        bail!(
            "there is state at store.zookeeper already ({} commits); name another path in the configuration, or take the old \
             one away by hand",
            there.version.0
        );
    }
    let mut version = there.version;
    let (mut batch, mut room) = (Batch::new(), MAX_BATCH);
    for (key, value) in &state.entries {
        let cost = key.as_str().len() + value.len() + OPERATION_COST;
        if cost > room {
            version = store.commit(state.epoch, version, &std::mem::replace(&mut batch, Batch::new()))?;
            room = MAX_BATCH;
        }
        room = room.saturating_sub(cost);
        batch = batch.put(key.clone(), value.clone());
    }
    store.commit(state.epoch, version, &batch)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Disk, Epoch, Key};

    fn filled(path: &Path, entries: usize) -> State {
        let mut store = SqliteStore::open(path).unwrap();
        let state = store.load().unwrap();
        let put = |batch: Batch, n| batch.put(Key::new(&format!("work/prod/{n}")).unwrap(), vec![7; 60_000]);
        let mut version = state.version;
        for n in 0..entries {
            version = store.commit(Epoch(9), version, &put(Batch::new(), n)).unwrap();
        }
        store.load().unwrap()
    }

    #[test]
    fn a_copy_takes_the_place_of_what_is_there_which_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (copy, target) = (folder.path().join("copy.db"), folder.path().join("state.db"));
        let wanted = filled(&copy, 3);
        let before = filled(&target, 1);
        let (state, moved) = in_file(&copy, &target, "T").unwrap();
        assert_eq!(state, wanted);
        assert_eq!(SqliteStore::open(&target).unwrap().load().unwrap(), wanted);
        let moved = moved.unwrap();
        assert_eq!(moved, folder.path().join("state.db.before-T"));
        assert_eq!(SqliteStore::open(&moved).unwrap().load().unwrap(), before);
    }

    #[test]
    fn while_a_controller_holds_the_store_and_from_a_damaged_copy_nothing_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let (copy, target) = (folder.path().join("copy.db"), folder.path().join("state.db"));
        filled(&copy, 2);
        let before = filled(&target, 1);
        let held = SqliteStore::open(&target).unwrap();
        let error = in_file(&copy, &target, "T").unwrap_err();
        assert!(error.to_string().contains("in use by another process"), "{error:#}");
        drop(held);
        let mut bytes = fs::read(&copy).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(7);
        fs::write(&copy, bytes).unwrap();
        let error = in_file(&copy, &target, "T").unwrap_err();
        assert!(format!("{error:#}").contains("copy.db cannot be used"), "{error:#}");
        assert_eq!(SqliteStore::open(&target).unwrap().load().unwrap(), before);
    }

    #[test]
    fn an_empty_store_elsewhere_gets_all_of_it_in_pieces_and_another_one_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = filled(&folder.path().join("copy.db"), 20);
        let disk = Disk::new();
        into_zookeeper(&wanted, disk.open().unwrap()).unwrap();
        let found = disk.open().unwrap().load().unwrap();
        assert_eq!((found.epoch, found.entries), (wanted.epoch, wanted.entries.clone()));
        let error = into_zookeeper(&wanted, disk.open().unwrap()).unwrap_err();
        assert!(error.to_string().contains("there is state"), "{error:#}");
    }
}

//! Snapshot policies: what they take, keep and drop.

use super::*;

fn policy(world: &mut World, cadence_minutes: u64, retained: &[u64]) -> Id {
    let name = "tested".to_owned();
    let create = Command::CreatePolicy { name, cadence_minutes, retained: retained.to_vec(), paused: false };
    let Reply::Created(id) = world.command(create).unwrap() else { panic!("created") };
    id
}

fn source(world: &mut World, policy: Id) -> Id {
    let free = |at: &&Volume| world.policies.values().all(|policy| !policy.sources.contains(&at.id));
    let volume = world.volumes.values().filter(|at| at.ancestor.is_none()).find(free).unwrap().id;
    world.command(Command::Policy(policy, PolicyCommand::AddVolume(volume))).unwrap();
    volume
}

/// Snapshots of a policy by level.
fn kept(world: &World, policy: Id) -> Vec<usize> {
    let mut levels: Vec<usize> = world
        .volumes
        .values()
        .filter_map(|at| at.taken_by)
        .filter(|by| by.policy == policy)
        .map(|by| by.level)
        .collect();
    levels.sort_unstable();
    levels
}

fn pass_minutes(world: &mut World, minutes: u64) {
    world.advance(Duration::from_secs(minutes * 60));
    check(world);
}

#[test]
fn a_policy_takes_at_its_cadence_and_keeps_what_its_levels_say() {
    let mut world = world(31);
    let id = policy(&mut world, 5, &[3, 2]);
    let volume = source(&mut world, id);
    pass_minutes(&mut world, 4);
    assert!(kept(&world, id).is_empty(), "before its time");
    pass_minutes(&mut world, 1);
    assert_eq!(kept(&world, id), [1]);
    pass_minutes(&mut world, 60);
    assert_eq!(kept(&world, id), [0, 0, 0, 1, 1]);
    let own = world.volumes.values().filter(|at| at.taken_by.is_some_and(|by| by.policy == id));
    assert!(own.map(|at| at.ancestor).all(|of| of == Some(volume)));
    assert_eq!(world.setting(id, "numOfAutoSnapshots"), Some(&Setting::Number(5)));
}

#[test]
fn a_locked_snapshot_stays_when_its_time_has_come() {
    let mut world = world(32);
    let id = policy(&mut world, 5, &[1]);
    source(&mut world, id);
    pass_minutes(&mut world, 5);
    let first = world.volumes.values().find(|at| at.taken_by.is_some_and(|by| by.policy == id)).unwrap().id;
    world.command(Command::Volume(first, VolumeCommand::Lock(true))).unwrap();
    pass_minutes(&mut world, 10);
    assert_eq!(kept(&world, id).len(), 2);
    assert_eq!(world.setting(id, "numOfExpiredButLockedSnapshots"), Some(&Setting::Number(1)));
    world.command(Command::Volume(first, VolumeCommand::Lock(false))).unwrap();
    pass_minutes(&mut world, 5);
    assert_eq!(kept(&world, id).len(), 1);
    assert!(!world.volumes.contains_key(&first));
}

#[test]
fn a_paused_policy_takes_nothing_and_one_that_loses_its_volume_lets_go() {
    let mut world = world(33);
    let id = policy(&mut world, 5, &[4]);
    let volume = source(&mut world, id);
    pass_minutes(&mut world, 10);
    world.command(Command::Policy(id, PolicyCommand::Pause(true))).unwrap();
    pass_minutes(&mut world, 30);
    assert_eq!(kept(&world, id).len(), 2);
    let snapshots = world.volumes.values().filter(|at| at.ancestor == Some(volume)).count();
    world.command(Command::Policy(id, PolicyCommand::RemoveVolume { volume, snapshots: false })).unwrap();
    assert!(kept(&world, id).is_empty());
    assert_eq!(world.volumes.values().filter(|at| at.ancestor == Some(volume)).count(), snapshots, "they stay");
}

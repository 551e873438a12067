//! Random commands among random faults: whatever is asked, sums hold, refused
//! commands leave no trace, and one seed is one story.

use super::*;

/// A command about the n-th object of its type.
#[derive(Clone, Debug)]
enum Ask {
    Enter(usize, bool),
    EnterFaultSet(usize, bool),
    Exit(usize, bool, bool),
    RemoveSds(usize, bool),
    AbortRemoveSds(usize),
    AddDevice(usize, usize, u8),
    RemoveDevice(usize, bool),
    AbortRemoveDevice(usize),
    CapacityLimit(usize, u64),
    Spare(usize, u64),
    Rebuild(usize, bool),
    CreateVolume(usize, u64, bool),
    RemoveVolume(usize, u8),
    Resize(usize, u64),
    Map(usize, usize, bool),
    Unmap(usize),
    Snapshot(usize),
    Migrate(usize, usize),
    Inactivate(bool),
    Activate,
    Own(usize),
    FailSds(usize),
    ReturnSds(usize),
    FailDevice(usize),
    ReturnDevice(usize),
    ReplaceDevice(usize),
    Load(u8),
    Pass(u8),
}

fn ask() -> impl Strategy<Value = Ask> {
    let at = 0..64_usize;
    prop_oneof![
        3 => (at.clone(), any::<bool>()).prop_map(|(at, protected)| Ask::Enter(at, protected)),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, protected)| Ask::EnterFaultSet(at, protected)),
        3 => (at.clone(), any::<bool>(), any::<bool>()).prop_map(|(at, protected, force)| Ask::Exit(at, protected, force)),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, force)| Ask::RemoveSds(at, force)),
        1 => at.clone().prop_map(Ask::AbortRemoveSds),
        1 => (at.clone(), at.clone(), 0..3_u8).prop_map(|(sds, pool, test)| Ask::AddDevice(sds, pool, test)),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, force)| Ask::RemoveDevice(at, force)),
        1 => at.clone().prop_map(Ask::AbortRemoveDevice),
        1 => (at.clone(), 1..300_u64).prop_map(|(at, gib)| Ask::CapacityLimit(at, gib)),
        1 => (at.clone(), 0..95_u64).prop_map(|(at, percent)| Ask::Spare(at, percent)),
        1 => (at.clone(), any::<bool>()).prop_map(|(at, on)| Ask::Rebuild(at, on)),
        2 => (at.clone(), 0..3000_u64, any::<bool>()).prop_map(|(at, gib, thick)| Ask::CreateVolume(at, gib, thick)),
        2 => (at.clone(), 0..4_u8).prop_map(|(at, mode)| Ask::RemoveVolume(at, mode)),
        1 => (at.clone(), 0..4000_u64).prop_map(|(at, gib)| Ask::Resize(at, gib)),
        1 => (at.clone(), at.clone(), any::<bool>()).prop_map(|(at, sdc, multiple)| Ask::Map(at, sdc, multiple)),
        2 => at.clone().prop_map(Ask::Unmap),
        1 => at.clone().prop_map(Ask::Snapshot),
        1 => (at.clone(), at.clone()).prop_map(|(at, to)| Ask::Migrate(at, to)),
        1 => any::<bool>().prop_map(Ask::Inactivate),
        1 => Just(Ask::Activate),
        1 => at.clone().prop_map(Ask::Own),
        1 => at.clone().prop_map(Ask::FailSds),
        2 => at.clone().prop_map(Ask::ReturnSds),
        1 => at.clone().prop_map(Ask::FailDevice),
        2 => at.clone().prop_map(Ask::ReturnDevice),
        1 => at.prop_map(Ask::ReplaceDevice),
        1 => (0..5_u8).prop_map(Ask::Load),
        6 => (1..60_u8).prop_map(Ask::Pass),
    ]
}

fn pick<V>(of: &BTreeMap<Id, V>, at: usize) -> Id {
    of.keys().nth(at % of.len().max(1)).copied().unwrap_or(Id(1))
}

fn mode(protected: bool) -> Mode {
    if protected { Mode::Protected } else { Mode::Instant }
}

fn command(world: &World, ask: &Ask) -> Option<Command> {
    Some(match *ask {
        Ask::Enter(at, protected) => {
            let scope = Scope::Sds(pick(&world.sds, at));
            Command::Maintenance(MaintenanceCommand::Enter { scope, mode: mode(protected), force: at % 2 == 0 })
        }
        Ask::EnterFaultSet(at, protected) => {
            let scope = Scope::FaultSet(pick(&world.fault_sets, at));
            Command::Maintenance(MaintenanceCommand::Enter { scope, mode: mode(protected), force: false })
        }
        Ask::Exit(at, protected, force) => {
            let within = world.sds.values().filter(|sds| sds.maintenance != Maintenance::None).map(|sds| sds.id);
            let scope = Scope::Sds(within.clone().nth(at % 3).unwrap_or(pick(&world.sds, at)));
            Command::Maintenance(MaintenanceCommand::Exit { scope, mode: mode(protected), force })
        }
        Ask::RemoveSds(at, force) => Command::Sds(pick(&world.sds, at), SdsCommand::Remove { force }),
        Ask::AbortRemoveSds(at) => Command::Sds(pick(&world.sds, at), SdsCommand::AbortRemove),
        Ask::AddDevice(sds, pool, test) => Command::CreateDevice(NewDevice {
            path: format!("/dev/new{sds}-{pool}"),
            sds: pick(&world.sds, sds),
            pool: pick(&world.pools, pool),
            name: None,
            ssd: None,
            test: [Test::Only, Test::No, Test::Activate][usize::from(test)],
            seconds: Some(3),
        }),
        Ask::RemoveDevice(at, force) => Command::Device(pick(&world.devices, at), DeviceCommand::Remove { force }),
        Ask::AbortRemoveDevice(at) => Command::Device(pick(&world.devices, at), DeviceCommand::AbortRemove),
        Ask::CapacityLimit(at, gib) => Command::Device(pick(&world.devices, at), DeviceCommand::CapacityLimit(gib)),
        Ask::Spare(at, percent) => Command::Pool(pick(&world.pools, at), PoolCommand::Spare(percent)),
        Ask::Rebuild(at, on) => Command::Pool(pick(&world.pools, at), PoolCommand::Rebuild(on)),
        Ask::CreateVolume(at, gib, thick) => Command::CreateVolume(NewVolume {
            pool: pick(&world.pools, at),
            name: Some(format!("random-{at}-{gib}")),
            size_kb: gib << 20,
            thick,
            settings: Vec::new(),
        }),
        Ask::RemoveVolume(at, mode) => {
            let modes = [
                RemoveMode::OnlyMe,
                RemoveMode::IncludingDescendants,
                RemoveMode::DescendantsOnly,
                RemoveMode::WholeVTree,
            ];
            Command::Volume(pick(&world.volumes, at), VolumeCommand::Remove(modes[usize::from(mode)]))
        }
        Ask::Resize(at, gib) => Command::Volume(pick(&world.volumes, at), VolumeCommand::Resize(gib << 20)),
        Ask::Map(at, sdc, multiple) => {
            let map = VolumeCommand::Map { sdc: pick(&world.sdcs, sdc), multiple, access: Access::ReadWrite };
            Command::Volume(pick(&world.volumes, at), map)
        }
        Ask::Unmap(at) => Command::Volume(pick(&world.volumes, at), VolumeCommand::Unmap(None)),
        Ask::Snapshot(at) => Command::SnapshotVolumes(vec![NewSnapshot {
            of: pick(&world.volumes, at),
            name: Some(format!("snap-of-{at}")),
            settings: Vec::new(),
        }]),
        Ask::Migrate(at, to) => {
            Command::Volume(pick(&world.volumes, at), VolumeCommand::Migrate { to: pick(&world.pools, to) })
        }
        Ask::Inactivate(force) => Command::Domain(pick(&world.domains, 0), DomainCommand::Inactivate { force }),
        Ask::Activate => Command::Domain(pick(&world.domains, 0), DomainCommand::Activate { force: true }),
        Ask::Own(at) => {
            let mdm = world.mdm.members[at % world.mdm.members.len()].id;
            Command::Cluster(ClusterCommand::ChangeOwnership(mdm))
        }
        _ => return None,
    })
}

fn name_of<V>(of: &BTreeMap<Id, V>, at: usize, name: impl Fn(&V) -> String) -> String {
    of.values().nth(at % of.len().max(1)).map(name).unwrap_or_default()
}

fn perform(world: &mut World, ask: &Ask) {
    if let Some(command) = command(world, ask) {
        let before = format!("{world:?}");
        match world.command(command.clone()) {
            Ok(Reply::Verdicts(verdicts)) if verdicts.iter().all(|(_, refused)| refused.is_some()) => {
                assert_eq!(format!("{world:?}"), before, "{command:?} was refused and left a trace");
            }
            Ok(_) => {}
            Err(refusal) => {
                assert_eq!(format!("{world:?}"), before, "{command:?}: {refusal} left a trace");
            }
        }
        return;
    }
    let device = |world: &World, at| name_of(&world.devices, at, |device| device.id.to_string());
    let sds = |world: &World, at| name_of(&world.sds, at, |sds| sds.name.clone());
    // That there is nothing to fail or return is an answer too.
    let _ = match *ask {
        Ask::FailSds(at) => world.fail_sds(&sds(world, at)),
        Ask::ReturnSds(at) => world.return_sds(&sds(world, at)),
        Ask::FailDevice(at) => world.fail_device(&device(world, at)),
        Ask::ReturnDevice(at) => world.return_device(&device(world, at)),
        Ask::ReplaceDevice(at) => world.replace_device(&device(world, at)),
        Ask::Load(factor) => {
            world.set_load(f64::from(factor) * 20.0);
            Ok(())
        }
        Ask::Pass(time) => {
            pass(world, u64::from(time));
            Ok(())
        }
        _ => Ok(()),
    };
}

fn play(seed: u64, asks: &[Ask]) -> World {
    let mut world = world(seed);
    for ask in asks {
        perform(&mut world, ask);
        check(&world);
    }
    world
}

/// Lets time pass at once, or by seconds of which each is taken without what is known of the one before.
fn play_by(at_once: bool, seed: u64, asks: &[Ask]) -> World {
    let mut world = world(seed);
    for ask in asks {
        match ask {
            Ask::Pass(time) if at_once => world.advance(seconds(u64::from(*time))),
            Ask::Pass(time) => {
                for _ in 0..*time {
                    world.settled.0 = None;
                    world.pools.values_mut().for_each(|pool| pool.settled.0 = false);
                    world.advance(seconds(1));
                }
            }
            ask => perform(&mut world, ask),
        }
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_sum_holds_whatever_is_asked(seed in 0..1000_u64, asks in prop::collection::vec(ask(), 1..60)) {
        play(seed, &asks);
    }

    #[test]
    fn one_seed_is_one_story_of_commands_too(seed in 0..1000_u64, asks in prop::collection::vec(ask(), 1..20)) {
        prop_assert_eq!(format!("{:?}", play(seed, &asks)), format!("{:?}", play(seed, &asks)));
    }

    #[test]
    fn what_is_left_out_of_quiet_seconds_is_nothing(seed in 0..1000_u64, asks in prop::collection::vec(ask(), 1..40)) {
        prop_assert_eq!(format!("{:?}", play_by(true, seed, &asks)), format!("{:?}", play_by(false, seed, &asks)));
    }
}

//! The MDM's rules: each refusal, what takes time, and that a refused command
//! changes nothing.

use super::*;

fn sds(world: &World, name: &str) -> Id {
    world.sds.values().find(|sds| sds.name == name).unwrap().id
}

fn pool(world: &World, name: &str) -> Id {
    world.pools.values().find(|pool| pool.name == name).unwrap().id
}

fn refused(world: &mut World, command: impl Into<Command>) -> Code {
    let command = command.into();
    let before = format!("{world:?}");
    let refusal = world.command(command.clone()).expect_err(&format!("{command:?}"));
    assert_eq!(format!("{world:?}"), before, "{command:?} left a trace");
    match refusal {
        Refusal::Mdm(code) => code,
        Refusal::Several(codes) => codes[0],
        other => panic!("{other:?}"),
    }
}

fn enter(scope: Scope, mode: Mode) -> Command {
    Command::Maintenance(MaintenanceCommand::Enter { scope, mode, force: false })
}

fn exit(scope: Scope, mode: Mode, force: bool) -> Command {
    Command::Maintenance(MaintenanceCommand::Exit { scope, mode, force })
}

/// The verdict on the only SDS of a command.
fn verdict(world: &mut World, command: Command) -> Option<Code> {
    let Reply::Verdicts(verdicts) = world.command(command).unwrap() else { panic!("verdicts") };
    check(world);
    assert_eq!(verdicts.len(), 1);
    verdicts[0].1
}

fn state(world: &World, id: Id) -> Maintenance {
    world.sds[&id].maintenance
}

fn sum(world: &World, of: impl Fn(&PoolFigures) -> u64) -> u64 {
    world.pools.values().map(|pool| of(&pool.figures)).sum()
}

#[test]
fn instant_maintenance_exposes_one_copy_and_catches_up_after() {
    let mut world = world(21);
    world.set_load(20.0);
    let id = sds(&world, "sds-1-1");
    assert_eq!(verdict(&mut world, enter(Scope::Sds(id), Mode::Instant)), None);
    assert_eq!(state(&world, id), Maintenance::Entering);
    pass(&mut world, 3);
    assert_eq!(state(&world, id), Maintenance::In);
    assert!(sum(&world, |at| at.protection.in_maintenance) > 0);
    // The process may stop: that is what it is for.
    world.fail_sds("sds-1-1").unwrap();
    pass(&mut world, 60);
    assert_eq!(sum(&world, |at| at.moving.forward.left_kb), 0, "nothing is rebuilt elsewhere");
    assert_eq!(degraded(&world), 0);
    assert_eq!(verdict(&mut world, exit(Scope::Sds(id), Mode::Instant, false)), Some(Code::SdsDown));
    world.return_sds("sds-1-1").unwrap();
    pass(&mut world, 5);
    assert_eq!(verdict(&mut world, exit(Scope::Sds(id), Mode::Instant, false)), None);
    assert_eq!(verdict(&mut world, exit(Scope::Sds(id), Mode::Instant, false)), Some(Code::ExitInProgress));
    let mut replayed = 0;
    for _ in 0..30 {
        pass(&mut world, 1);
        replayed += sum(&world, |at| at.moving.backward.window.kb);
    }
    assert!(replayed > 0, "what was written meanwhile is replayed as backward rebuild");
    assert_eq!(state(&world, id), Maintenance::None);
    assert_eq!(sum(&world, |at| at.protection.protected), sum(&world, |at| at.in_use));
}

#[test]
fn protected_maintenance_copies_first_and_keeps_two_copies() {
    let mut world = world(22);
    world.set_load(20.0);
    let id = sds(&world, "sds-2-2");
    assert_eq!(verdict(&mut world, enter(Scope::Sds(id), Mode::Protected)), None);
    pass(&mut world, 3);
    assert_eq!(state(&world, id), Maintenance::Entering, "copying takes its time");
    assert!(sum(&world, |at| at.moving.enter.left_kb) > 0);
    let mut waited = 0;
    while state(&world, id) == Maintenance::Entering {
        pass(&mut world, 1);
        waited += 1;
        assert!(waited < 3600);
    }
    assert_eq!(state(&world, id), Maintenance::In);
    let held: u64 = world.devices.values().filter(|at| at.sds == id).map(|at| at.used_kb).sum();
    assert_eq!(sum(&world, |at| at.temporary), held);
    world.fail_sds("sds-2-2").unwrap();
    pass(&mut world, 60);
    assert_eq!(sum(&world, |at| at.protection.protected), sum(&world, |at| at.in_use), "two copies all the time");
    world.return_sds("sds-2-2").unwrap();
    pass(&mut world, 5);
    assert_eq!(verdict(&mut world, exit(Scope::Sds(id), Mode::Instant, false)), Some(Code::NotInMaintenance));
    assert_eq!(verdict(&mut world, exit(Scope::Sds(id), Mode::Protected, false)), None);
    let mut moved = 0;
    for _ in 0..60 {
        pass(&mut world, 1);
        moved += sum(&world, |at| at.moving.exit.window.kb);
    }
    assert!(moved > 0 && state(&world, id) == Maintenance::None);
    assert_eq!(sum(&world, |at| at.temporary), 0);
}

#[test]
fn what_held_third_copies_may_fail_and_they_are_made_again() {
    let mut world = world(23);
    let id = sds(&world, "sds-1-1");
    assert_eq!(verdict(&mut world, enter(Scope::Sds(id), Mode::Protected)), None);
    pass(&mut world, 900);
    assert_eq!(state(&world, id), Maintenance::In);
    world.fail_device("dev-2-1-1").unwrap();
    check(&world);
    pass(&mut world, 900);
    assert_eq!(degraded(&world), 0);
    // Given up while it is away, its third copies take its place.
    world.fail_sds("sds-1-1").unwrap();
    assert_eq!(verdict(&mut world, exit(Scope::Sds(id), Mode::Protected, true)), None);
    assert_eq!(state(&world, id), Maintenance::None);
    pass(&mut world, 60);
    assert_eq!((degraded(&world), sum(&world, |at| at.temporary)), (0, 0));
}

#[test]
fn maintenance_is_refused_for_each_of_the_vendors_reasons() {
    let mut world = world(24);
    world.set_load(0.0);
    let (one, same_rack, other) = (sds(&world, "sds-1-1"), sds(&world, "sds-1-2"), sds(&world, "sds-2-1"));
    let instant = |id| enter(Scope::Sds(id), Mode::Instant);
    assert_eq!(refused(&mut world, instant(Id(1))), Code::SdsNotFound);
    assert_eq!(refused(&mut world, enter(Scope::FaultSet(Id(1)), Mode::Instant)), Code::FaultSetNotFound);
    assert_eq!(verdict(&mut world, exit(Scope::Sds(one), Mode::Instant, false)), Some(Code::NotInMaintenance));

    world.command(Command::Pool(pool(&world, "pool-1"), PoolCommand::Rebuild(false))).unwrap();
    assert_eq!(verdict(&mut world, instant(one)), Some(Code::RebuildDisabled));
    world.command(Command::Pool(pool(&world, "pool-1"), PoolCommand::Rebuild(true))).unwrap();

    assert_eq!(verdict(&mut world, instant(one)), None);
    assert_eq!(verdict(&mut world, instant(one)), Some(Code::AlreadyInMaintenance));
    assert_eq!(verdict(&mut world, instant(other)), Some(Code::MaintenanceConflict));
    pass(&mut world, 3);
    assert_eq!(verdict(&mut world, instant(same_rack)), None, "the same fault set may follow");
    pass(&mut world, 3);
    for id in [one, same_rack] {
        assert_eq!(verdict(&mut world, exit(Scope::Sds(id), Mode::Instant, false)), None);
        assert_eq!(verdict(&mut world, instant(id)), Some(Code::ExitInProgress));
    }
    pass(&mut world, 60);

    world.fail_sds("sds-3-1").unwrap();
    assert_eq!(verdict(&mut world, instant(one)), Some(Code::DegradedData));
    let away = sds(&world, "sds-3-1");
    assert_eq!(verdict(&mut world, instant(away)), Some(Code::SdsDown));
    world.return_sds("sds-3-1").unwrap();
    pass(&mut world, 30);

    // Without two more that are healthy nobody may enter.
    let small = Layout { racks_per_domain: 2, nodes_per_rack: 1, volumes: 4, ..Layout::small() };
    let mut small = World::new(&small, Release::V3_6, 1);
    let id = sds(&small, "sds-1-1");
    assert_eq!(verdict(&mut small, instant(id)), Some(Code::TooFewHealthySds));

    // What lies on it must fit on the others; instant mode can be forced.
    let full = Layout { fill: 0.95, spare_percent: 5, ..Layout::small() };
    let mut full = World::new(&full, Release::V3_6, 1);
    let rack = full.fault_sets.keys().next().copied().unwrap();
    let verdicts = |world: &mut World, force| {
        let scope = Scope::FaultSet(rack);
        let command = Command::Maintenance(MaintenanceCommand::Enter { scope, mode: Mode::Instant, force });
        let Reply::Verdicts(verdicts) = world.command(command).unwrap() else { panic!("verdicts") };
        verdicts.into_iter().map(|(_, code)| code).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&mut full, false), [Some(Code::NoRoomForMaintenance); 4]);
    assert_eq!(verdicts(&mut full, true), [None; 4]);
}

#[test]
fn a_domain_in_maintenance_refuses_what_moves_its_data() {
    let mut world = world(25);
    let (id, other) = (sds(&world, "sds-1-1"), sds(&world, "sds-2-1"));
    let domain = world.sds[&id].domain;
    let own = world.devices.values().find(|at| at.sds == id).unwrap().id;
    let others = world.devices.values().find(|at| at.sds == other).unwrap().id;
    assert_eq!(verdict(&mut world, enter(Scope::Sds(id), Mode::Instant)), None);
    let remove = |force| SdsCommand::Remove { force };
    assert_eq!(refused(&mut world, Command::Sds(id, remove(true))), Code::SdsInMaintenance);
    assert_eq!(refused(&mut world, Command::Sds(other, remove(true))), Code::DomainInMaintenance);
    let remove = DeviceCommand::Remove { force: true };
    assert_eq!(refused(&mut world, Command::Device(own, remove.clone())), Code::SdsInMaintenance);
    assert_eq!(refused(&mut world, Command::Device(others, remove)), Code::DomainInMaintenance);
    let stop = DomainCommand::Inactivate { force: false };
    assert_eq!(refused(&mut world, Command::Domain(domain, stop)), Code::NotProtected);
    let device = NewDevice {
        path: "/dev/sdz".into(),
        sds: other,
        pool: pool(&world, "pool-1"),
        name: None,
        ssd: None,
        test: Test::No,
        seconds: None,
    };
    assert_eq!(refused(&mut world, Command::CreateDevice(device)), Code::DomainInMaintenance);
    let new = NewSds {
        domain,
        fault_set: None,
        name: Some("new".into()),
        ips: vec![Address { ip: "10.9.9.9".into(), role: "all".into() }],
        port: None,
        devices: Vec::new(),
        settings: Vec::new(),
    };
    assert_eq!(refused(&mut world, Command::CreateSds(new)), Code::DomainInMaintenance);
}

#[test]
fn an_sds_is_removed_when_its_data_has_moved_away() {
    let mut world = world(26);
    let id = sds(&world, "sds-1-1");
    let before = sum(&world, |at| at.in_use);
    world.set_load(0.0);
    world.command(Command::Sds(id, SdsCommand::Remove { force: false })).unwrap();
    assert_eq!(refused(&mut world, Command::Sds(id, SdsCommand::Remove { force: false })), Code::SdsRemoving);
    pass(&mut world, 2);
    assert!(sum(&world, |at| at.moving.normal.left_kb) > 0 && world.sds[&id].removing);
    world.command(Command::Sds(id, SdsCommand::AbortRemove)).unwrap();
    assert_eq!(refused(&mut world, Command::Sds(id, SdsCommand::AbortRemove)), Code::SdsNotRemoving);
    pass(&mut world, 2);
    world.command(Command::Sds(id, SdsCommand::Remove { force: false })).unwrap();
    let mut waited = 0;
    while world.sds.contains_key(&id) {
        pass(&mut world, 1);
        waited += 1;
        assert!(waited < 3600);
    }
    assert_eq!(world.devices.values().filter(|at| at.sds == id).count(), 0);
    assert_eq!((sum(&world, |at| at.in_use), degraded(&world)), (before, 0));
    assert_eq!(world.sds.len(), 11);
}

#[test]
fn removal_is_refused_when_the_rest_cannot_hold_the_data() {
    let layout = Layout { fill: 0.95, spare_percent: 10, ..Layout::small() };
    let mut world = World::new(&layout, Release::V3_6, 1);
    let id = sds(&world, "sds-1-1");
    let device = world.devices.values().find(|at| at.sds == id).unwrap().id;
    assert_eq!(refused(&mut world, Command::Sds(id, SdsCommand::Remove { force: false })), Code::NoSpares);
    let remove = Command::Device(device, DeviceCommand::Remove { force: false });
    // One device is little; what is free beside the spare may hold it.
    let _ = world.command(remove);
    let pool = pool(&world, "pool-2");
    assert_eq!(refused(&mut world, Command::Pool(pool, PoolCommand::Spare(60))), Code::NoSpares);
    assert_eq!(refused(&mut world, Command::Pool(pool, PoolCommand::Spare(91))), Code::InvalidSpare);
}

#[test]
fn a_device_is_tested_activated_and_filled() {
    let mut world = world(27);
    let new = |test, path: &str| {
        Command::CreateDevice(NewDevice {
            path: path.into(),
            sds: sds(&world, "sds-1-1"),
            pool: pool(&world, "pool-1"),
            name: Some(path.replace('/', "-")),
            ssd: None,
            test,
            seconds: Some(5),
        })
    };
    let (only, at_once) = (new(Test::Only, "/dev/sdy"), new(Test::No, "/dev/sdz"));
    let Reply::Created(id) = world.command(only.clone()).unwrap() else { panic!("an id") };
    assert_eq!(refused(&mut world, only), Code::DevicePathInUse);
    assert_eq!(refused(&mut world, Command::Device(id, DeviceCommand::Activate)), Code::DeviceTesting);
    pass(&mut world, 6);
    assert!(is_up(&world, AlertKind::DevicePending));
    world.command(Command::Device(id, DeviceCommand::Activate)).unwrap();
    assert_eq!(refused(&mut world, Command::Device(id, DeviceCommand::Activate)), Code::DeviceActive);
    world.command(at_once).unwrap();
    pass(&mut world, 30);
    assert!(world.devices[&id].used_kb > 0, "data is evened out onto it");
    assert_eq!(refused(&mut world, Command::Device(id, DeviceCommand::ClearError)), Code::DeviceWell);
    world.fail_device("-dev-sdy").unwrap();
    assert_eq!(refused(&mut world, Command::Device(id, DeviceCommand::ClearError)), Code::ErrorStays);
    world.mend_device("-dev-sdy").unwrap();
    world.command(Command::Device(id, DeviceCommand::ClearError)).unwrap();
    assert!(!world.devices[&id].failed);
    world.command(Command::Device(id, DeviceCommand::Remove { force: false })).unwrap();
    pass(&mut world, 600);
    assert!(!world.devices.contains_key(&id));
}

#[test]
fn domains_and_pools_are_made_used_and_emptied_in_order() {
    let mut world = world(28);
    let name = || "new".to_owned();
    let Reply::Created(domain) = world.command(Command::CreateDomain { name: name() }).unwrap() else { panic!() };
    assert_eq!(refused(&mut world, Command::CreateDomain { name: name() }), Code::DomainNameInUse);
    let long = "a-name-of-more-than-31-characters".to_owned();
    assert_eq!(refused(&mut world, Command::CreateDomain { name: long }), Code::LongName);
    let new = NewPool { domain, name: Some(name()), ssd: true, spare_percent: None, settings: Vec::new() };
    let Reply::Created(id) = world.command(Command::CreatePool(new.clone())).unwrap() else { panic!() };
    assert_eq!(refused(&mut world, Command::CreatePool(new)), Code::PoolNameInUse);
    let Reply::Created(set) = world.command(Command::CreateFaultSet { domain, name: name() }).unwrap() else {
        panic!()
    };
    let volume = NewVolume { pool: id, name: None, size_kb: 8 << 20, thick: false, settings: Vec::new() };
    assert_eq!(refused(&mut world, Command::CreateVolume(volume.clone())), Code::TooFewSds);
    let thresholds = PoolCommand::Thresholds { high: 90, critical: 80 };
    assert_eq!(refused(&mut world, Command::Pool(id, thresholds)), Code::BadThreshold);
    assert_eq!(refused(&mut world, Command::Pool(id, PoolCommand::Parallelism(11))), Code::OutOfRange);
    assert_eq!(refused(&mut world, Command::Domain(domain, DomainCommand::Remove)), Code::DomainHasPools);
    let limits = NetworkLimits { rebuild: Some(20_000), overall: Some(10_000), ..NetworkLimits::default() };
    assert_eq!(refused(&mut world, Command::Domain(domain, DomainCommand::Limits(limits))), Code::BadThrottling);
    world.command(Command::Domain(domain, DomainCommand::Inactivate { force: false })).unwrap();
    let again = Command::Domain(domain, DomainCommand::Inactivate { force: false });
    assert_eq!(refused(&mut world, again), Code::DomainChanging);
    pass(&mut world, 3);
    assert_eq!(refused(&mut world, Command::CreateVolume(volume)), Code::DomainNotActive);
    assert!(is_up(&world, AlertKind::DomainInactive));
    world.command(Command::Pool(id, PoolCommand::Remove)).unwrap();
    assert_eq!(refused(&mut world, Command::Domain(domain, DomainCommand::Remove)), Code::DomainHasFaultSets);
    world.command(Command::FaultSet(set, FaultSetCommand::Remove)).unwrap();
    world.command(Command::Domain(domain, DomainCommand::Remove)).unwrap();
    let full = pool(&world, "pool-1");
    assert_eq!(refused(&mut world, Command::Pool(full, PoolCommand::Remove)), Code::PoolHasVolumes);
    assert_eq!(refused(&mut world, Command::Pool(full, PoolCommand::ZeroPadding(false))), Code::PoolHasDevicesAlready);
}

#[test]
fn snapshots_stay_when_what_they_were_taken_of_goes() {
    let mut world = world(29);
    let new = NewVolume {
        pool: pool(&world, "pool-1"),
        name: Some("base".into()),
        size_kb: 8 << 20,
        thick: false,
        settings: Vec::new(),
    };
    let Reply::Created(base) = world.command(Command::CreateVolume(new)).unwrap() else { panic!() };
    let snapshot = |of, name: &str| NewSnapshot { of, name: Some(name.into()), settings: Vec::new() };
    let both = Command::SnapshotVolumes(vec![snapshot(base, "one"), snapshot(base, "two")]);
    let Reply::Snapshots { group, volumes } = world.command(both.clone()).unwrap() else { panic!() };
    assert_eq!(refused(&mut world, both), Code::VolumeNameInUse);
    let missing = Command::SnapshotVolumes(vec![snapshot(base, "three"), snapshot(Id(7), "four")]);
    assert_eq!(world.command(missing), Err(Refusal::Several(vec![Code::VolumeNotFound])));
    world.command(Command::Volume(base, VolumeCommand::Remove(RemoveMode::OnlyMe))).unwrap();
    check(&world);
    assert!(volumes.iter().all(|id| world.volumes[id].ancestor.is_none()));
    assert_eq!(world.vtrees[&world.volumes[&volumes[0]].vtree].base, volumes[0]);
    world.command(Command::RemoveSnapshotGroup(group)).unwrap();
    assert_eq!(refused(&mut world, Command::RemoveSnapshotGroup(group)), Code::NoSuchSnapshotGroup);
    check(&world);
}

#[test]
fn a_v_tree_moves_to_another_pool_and_waits_while_an_sds_is_in_maintenance() {
    let mut world = world(30);
    let (from, to) = (pool(&world, "pool-1"), pool(&world, "pool-2"));
    let id = world.volumes.values().find(|at| at.pool == from && at.allocated_kb > 1 << 22).unwrap().id;
    let command = |command| Command::Volume(id, command);
    assert_eq!(refused(&mut world, command(VolumeCommand::Migrate { to: from })), Code::SamePool);
    world.command(command(VolumeCommand::Migrate { to })).unwrap();
    assert_eq!(refused(&mut world, command(VolumeCommand::Migrate { to })), Code::MigrationRunning);
    world.command(command(VolumeCommand::PauseMigration)).unwrap();
    let node = sds(&world, "sds-1-1");
    assert_eq!(verdict(&mut world, enter(Scope::Sds(node), Mode::Instant)), None);
    assert_eq!(refused(&mut world, command(VolumeCommand::ResumeMigration)), Code::CannotResumeMaintenance);
    pass(&mut world, 3);
    assert_eq!(verdict(&mut world, exit(Scope::Sds(node), Mode::Instant, false)), None);
    pass(&mut world, 60);
    world.command(command(VolumeCommand::ResumeMigration)).unwrap();
    pass(&mut world, 3600);
    assert_eq!(world.volumes[&id].pool, to);
}

#[test]
fn the_mdm_cluster_shrinks_grows_and_changes_hands_by_its_rules() {
    let mut world = world(31);
    let id = |world: &World, name: &str| world.mdm.members.iter().find(|mdm| mdm.name == name).unwrap().id;
    let order = |command| Command::Cluster(command);
    let own = |world: &World, name| order(ClusterCommand::ChangeOwnership(id(world, name)));
    for (name, code) in
        [("mdm-1", Code::AlreadyMaster), ("mdm-4", Code::MdmIsTieBreaker), ("mdm-6", Code::MdmNotInCluster)]
    {
        let command = own(&world, name);
        assert_eq!(refused(&mut world, command), code, "{name}");
    }
    world.fail_mdm("mdm-2").unwrap();
    let command = own(&world, "mdm-2");
    assert_eq!(refused(&mut world, command), Code::MdmNotConnected);
    world.return_mdm("mdm-2").unwrap();
    let command = own(&world, "mdm-2");
    assert_eq!(refused(&mut world, command), Code::SuccessorOutOfSync);
    pass(&mut world, 10);
    let command = own(&world, "mdm-2");
    world.command(command).unwrap();
    assert!(!world.answers());
    pass(&mut world, 10);
    assert_eq!(world.mdm.master().unwrap().name, "mdm-2");

    let change = MdmMembership {
        remove_managers: vec![id(&world, "mdm-3")],
        remove_tie_breakers: vec![id(&world, "mdm-5")],
        ..MdmMembership::default()
    };
    let switch = |members, change: &MdmMembership| order(ClusterCommand::Switch { members, change: change.clone() });
    assert_eq!(refused(&mut world, switch(5, &change)), Code::SameClusterMode);
    assert_eq!(refused(&mut world, switch(1, &change)), Code::WrongNumberOfMdms);
    let master = MdmMembership { remove_managers: vec![id(&world, "mdm-2")], ..change.clone() };
    assert_eq!(refused(&mut world, switch(3, &master)), Code::CannotRemoveMaster);
    world.fail_mdm("mdm-3").unwrap();
    assert_eq!(refused(&mut world, switch(3, &change)), Code::LeavingFailed);
    let allowed = MdmMembership { allow_failed: true, ..change.clone() };
    world.command(switch(3, &allowed)).unwrap();
    assert_eq!(world.mdm.mode(), "ThreeNodes");
    world.return_mdm("mdm-3").unwrap();
    let back = MdmMembership {
        add_managers: change.remove_managers.clone(),
        add_tie_breakers: change.remove_tie_breakers,
        ..MdmMembership::default()
    };
    let mixed = MdmMembership { remove_managers: vec![id(&world, "mdm-1")], ..back.clone() };
    assert_eq!(refused(&mut world, switch(5, &mixed)), Code::IrrelevantRemove);
    world.command(switch(5, &back)).unwrap();
    pass(&mut world, 10);
    assert!(world.mdm.normal(world.now()));

    let standby = NewMdm {
        role: MdmRole::TieBreaker,
        ips: vec!["10.9.9.1".into()],
        management_ips: Vec::new(),
        name: Some("spare".into()),
        interfaces: Vec::new(),
    };
    let Reply::Created(spare) = world.command(order(ClusterCommand::AddStandby(standby.clone()))).unwrap() else {
        panic!()
    };
    assert_eq!(refused(&mut world, order(ClusterCommand::AddStandby(standby))), Code::MdmNameInUse);
    let member = id(&world, "mdm-4");
    assert_eq!(refused(&mut world, order(ClusterCommand::RemoveStandby(member))), Code::MdmInCluster);
    let swap =
        MdmMembership { add_tie_breakers: vec![spare], remove_tie_breakers: vec![member], ..MdmMembership::default() };
    world.command(order(ClusterCommand::Replace(swap))).unwrap();
    world.command(order(ClusterCommand::RemoveStandby(member))).unwrap();
    assert_eq!(refused(&mut world, order(ClusterCommand::RemoveStandby(member))), Code::MdmNotFound);
}

#[test]
fn an_upgrade_is_finished_only_when_every_part_runs_the_new_version() {
    let mut world = world(32);
    let order = |command| Command::Upgrade(command);
    assert_eq!(refused(&mut world, order(UpgradeCommand::Finalize)), Code::UpgradeNotStarted);
    world.fail_mdm("mdm-2").unwrap();
    assert_eq!(refused(&mut world, order(UpgradeCommand::Start)), Code::ClusterDegraded);
    world.return_mdm("mdm-2").unwrap();
    pass(&mut world, 10);
    world.command(order(UpgradeCommand::Start)).unwrap();
    assert_eq!(refused(&mut world, order(UpgradeCommand::Start)), Code::UpgradeRunning);
    let spare = world.mdm.members.iter().find(|mdm| mdm.standby).unwrap().id;
    let remove = Command::Cluster(ClusterCommand::RemoveStandby(spare));
    assert_eq!(refused(&mut world, remove.clone()), Code::ClusterBlocked);
    world.command(order(UpgradeCommand::AllowCommands)).unwrap();
    world.command(remove).unwrap();
    world.install(&Component::Mdm("mdm-1".into()), "R3_6.1.0").unwrap();
    assert_eq!(refused(&mut world, order(UpgradeCommand::Abort)), Code::WrongUpgradeState);
    assert_eq!(refused(&mut world, order(UpgradeCommand::Finalize)), Code::ClusterNotUpgraded);
    for at in 2..=5 {
        world.install(&Component::Mdm(format!("mdm-{at}")), "R3_6.1.0").unwrap();
    }
    assert_eq!(refused(&mut world, order(UpgradeCommand::Finalize)), Code::NotAllSdsUpgraded);
    let names: Vec<String> = world.sds.values().map(|sds| sds.name.clone()).collect();
    for name in names {
        world.install(&Component::Sds(name), "R3_6.1.0").unwrap();
    }
    let node = sds(&world, "sds-1-1");
    assert_eq!(verdict(&mut world, enter(Scope::Sds(node), Mode::Instant)), None);
    assert_eq!(refused(&mut world, order(UpgradeCommand::Finalize)), Code::UpgradeNotFinished);
    pass(&mut world, 3);
    assert_eq!(verdict(&mut world, exit(Scope::Sds(node), Mode::Instant, false)), None);
    pass(&mut world, 5);
    world.command(order(UpgradeCommand::Finalize)).unwrap();
    assert_eq!(refused(&mut world, order(UpgradeCommand::Finalize)), Code::PostProcessing);
    pass(&mut world, 20);
    assert_eq!(world.upgrade, Upgrade::Finished);
}

#[test]
fn data_that_goes_during_protected_maintenance_takes_its_third_copies_along() {
    let mut world = world(33);
    let id = sds(&world, "sds-1-1");
    assert_eq!(verdict(&mut world, enter(Scope::Sds(id), Mode::Protected)), None);
    pass(&mut world, 900);
    assert_eq!(state(&world, id), Maintenance::In);
    let before = sum(&world, |at| at.temporary);
    let names: Vec<String> = world.volumes.values().map(|volume| volume.name.clone()).collect();
    for name in names {
        // Sources of policies and replicated volumes stay.
        world.unmap_volume(&name).unwrap();
        let _ = world.delete_volume(&name);
        check(&world);
    }
    assert!(sum(&world, |at| at.temporary) < before);
}

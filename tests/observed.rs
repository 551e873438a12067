//! Is a maintenance taken for a protected one only by the copies that its own pools make?
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "support/pictures.rs"]
mod pictures;

use pictures::{Size, World, id};
use scaleio_framework::model::id::{SdsId, StoragePoolId};
use scaleio_framework::model::observed::Observed;
use scaleio_framework::model::state::{Maintenance, Seen};
use scaleio_framework::model::stats::{Stat, StatKind};

/// Two SDSs in each of two pools.
fn world() -> World {
    let mut world = World::of(Size { pools: 2, sds: 4, ..Size::TINY });
    for (number, device) in world.devices.iter_mut().flatten().enumerate() {
        (device.sds, device.pool) = (Some(id(4, number)), Some(id(3, number / 2)));
    }
    copies(&mut world, 0, 0.0);
    copies(&mut world, 1, 0.0);
    world
}

/// The bytes of third copies that a pool still has to make.
fn copies(world: &mut World, pool: usize, bytes: f64) {
    let pool: StoragePoolId = id(3, pool);
    for stat in
        [Stat::PendingEnterProtectedMaintenanceModeCapacityInKb, Stat::ActiveEnterProtectedMaintenanceModeCapacityInKb]
    {
        world.set(StatKind::StoragePool, pool.object(), stat, bytes);
    }
}

fn maintenance(world: &mut World, sds: usize, state: Maintenance) {
    world.sds.as_mut().unwrap()[sds].maintenance = Seen::Is(state);
}

fn protected(notes: &Observed) -> Vec<bool> {
    (0..4).map(|number| notes.sds[&id::<SdsId>(4, number).to_string()].protected).collect()
}

#[test]
fn the_copies_of_another_pool_protect_nobody() {
    let mut world = world();
    maintenance(&mut world, 0, Maintenance::Entering);
    maintenance(&mut world, 2, Maintenance::Entering);
    copies(&mut world, 1, 5e9);
    let notes = Observed::default().after(&world.snapshot("prod", 1));
    assert_eq!(protected(&notes), [false, false, true, false]);

    // The copies are made: what was seen is remembered, over a list that is missing too.
    copies(&mut world, 1, 0.0);
    maintenance(&mut world, 0, Maintenance::In);
    maintenance(&mut world, 2, Maintenance::In);
    let notes = notes.after(&world.snapshot("prod", 2));
    assert_eq!(protected(&notes), [false, false, true, false]);
    let stored: Observed = serde_json::from_str(&serde_json::to_string(&notes).unwrap()).unwrap();
    let devices = world.devices.take();
    maintenance(&mut world, 2, Maintenance::Exiting);
    let notes = stored.after(&world.snapshot("prod", 3));
    assert_eq!(protected(&notes), [false, false, true, false]);

    // Copies while it is in already are of somebody else; and the next maintenance begins anew.
    world.devices = devices;
    copies(&mut world, 0, 5e9);
    maintenance(&mut world, 2, Maintenance::None);
    let notes = notes.after(&world.snapshot("prod", 4));
    assert_eq!(protected(&notes), [false; 4]);
    copies(&mut world, 0, 0.0);
    maintenance(&mut world, 2, Maintenance::Entering);
    assert_eq!(protected(&notes.after(&world.snapshot("prod", 5))), [false; 4]);
}

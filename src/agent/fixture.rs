//! Orders for tests.

use crate::model::order::{Artefact, Component, Hidden, Install, Order, OrderId, Secrets, Task};
use crate::model::unit::Timestamp;

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
}

/// Good until a minute later, for ten minutes of work.
pub(super) fn order(id: &str, epoch: u64, task: Task) -> Order {
    Order { id: OrderId::new(id), epoch, expires: at(60), within_s: 600, task, secrets: Secrets::default() }
}

pub(super) fn reboot() -> Task {
    Task::Reboot { boot_id: "boot-1".to_owned() }
}

pub(super) fn secret_install() -> Order {
    let artefact = Artefact {
        name: "EMC-ScaleIO-lia-3.6-100.101.el7.x86_64.rpm".to_owned(),
        sha256: "0".repeat(64),
        size: 1,
        url: None,
    };
    let task = Task::Install(Install { component: Component::Lia, artefact, mdms: Vec::new() });
    let secrets = Secrets { lia_token: Some(Hidden::new("hunter2")), ..Secrets::default() };
    Order { secrets, ..order("lia", 1, task) }
}

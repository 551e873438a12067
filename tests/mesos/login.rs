//! Masters that ask who we are.

use scaleio_framework::model::framework::Registration;
use scaleio_framework::store::Disk;

use crate::controller::{Controller, addresses, executor, mesos};
use crate::site::{Site, Wanted, until};

pub(crate) async fn a_master_that_wants_a_login_gets_it_and_a_wrong_one_is_told<S: Site>() {
    let site = S::up(24_000..25_000, Wanted { login: Some(("sio", "s3cret")), ..Wanted::ONE }).await;
    let disk = Disk::new();
    let start = |login| Controller::start(&disk, mesos(addresses(&[&site.master()]), login), executor());

    for login in [None, Some(("sio", "wrong-hunter2"))] {
        let controller = start(login);
        let told = async || match &controller.now().registration {
            Registration::Disconnected { error: Some(error), .. } => Some(error.to_string()),
            _ => None,
        };
        let told = until("the refusal", told).await;
        assert!(told.contains("was refused with 401") && told.contains("[mesos.login]"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        controller.end().await;
    }
    let controller = start(Some(("sio", "s3cret")));
    controller.registered().await;
    controller.task("agent1", "TASK_RUNNING").await;
    controller.end().await;
}

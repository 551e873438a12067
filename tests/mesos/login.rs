//! Masters that ask who we are.

use scaleio_framework::model::framework::Registration;
use scaleio_framework::store::Disk;

use crate::cluster::{Cluster, until};
use crate::controller::{Controller, addresses, executor, mesos};

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_wants_a_login_gets_it_and_a_wrong_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(&file, r#"{"credentials":[{"principal":"sio","secret":"s3cret"}]}"#).unwrap();
    let credentials = format!("credentials=file://{}", file.display());
    let flags = [&*credentials, "authenticate_http_frameworks=true", "http_framework_authenticators=basic"];
    let flags: Vec<&str> = flags.iter().flat_map(|flag| ["--master-flag", flag]).collect();
    let cluster = Cluster::up(24_000..25_000, &[&["--agents", "1"], &flags[..]].concat());
    let disk = Disk::new();
    let start = |login| Controller::start(&disk, mesos(addresses(&[&cluster.master()]), login), executor());

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

//! Are the workloads behind a volume named, as the operator API tells them?

#[path = "../support/pictures.rs"]
mod pictures;

use std::time::{Duration, Instant};

use pictures::{Size, World, id};
use scaleio_framework::mesos::census::Census;
use scaleio_framework::mesos::recordio::Decoder;
use scaleio_framework::model::cluster::Mapping;
use scaleio_framework::model::hurt::{Suspect, hurt};
use scaleio_framework::model::mesos::TaskState;
use scaleio_framework::model::unit::Timestamp;
use scaleio_framework::model::workload::{RunningTask, Workloads, add_workloads};
use serde_json::{Value, json};

use crate::controller::{addresses, mesos};
use crate::refusals::{Asked, Stream, subscribe};
use crate::site::{Site, Wanted, until};

const UUID: &str = "5be8c3a2-9d1f-11ee-a1b2-0242ac120002";

/// A task with a command of its own, as Marathon launches it.
fn task(name: &str, agent: &str, volume: Option<&str>) -> Value {
    let scalar = |name: &str, value: f64| json!({ "name": name, "type": "SCALAR", "scalar": { "value": value }, "allocation_info": { "role": "cases" } });
    let mut task = json!({
        "name": name, "task_id": { "value": name }, "agent_id": { "value": agent },
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)], "command": { "value": "exec sleep 1000" },
    });
    if let Some(volume) = volume {
        let source = json!({ "type": "DOCKER_VOLUME", "docker_volume": { "driver": "rexray", "name": volume } });
        let volumes = json!([{ "container_path": "data", "mode": "RW", "source": source }]);
        task["container"] = json!({ "type": "MESOS", "volumes": volumes });
    }
    task
}

/// The first offer of a stream: its id and its agent's.
async fn offer(stream: &mut Stream) -> (String, String) {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let mut decoder = Decoder::new();
        decoder.feed(stream.heard.as_bytes());
        while let Some(record) = decoder.record().unwrap() {
            let event: Value = serde_json::from_slice(record).unwrap();
            if let Some(offer) = event["offers"]["offers"].get(0) {
                let text = |key: &str| offer[key]["value"].as_str().unwrap().to_owned();
                return (text("id"), text("agent_id"));
            }
        }
        stream.more().await;
    }
    panic!("no offer came: {}", stream.heard);
}

pub(crate) async fn tasks_are_named_with_their_application_and_their_volumes<S: Site>() {
    let site = S::up(20_000..21_000, Wanted::ONE).await;
    let master = site.master();
    let marathon = subscribe(&json!({ "name": "marathon" }));
    let mut stream = Stream::open(&master, &marathon).await;
    stream.until("HEARTBEAT").await;
    let (offer, agent) = offer(&mut stream).await;
    let (cart, plain) = (format!("shop_cart.instance-{UUID}._app.1"), format!("shop_web.instance-{UUID}._app.1"));
    let accept = json!({
        "type": "ACCEPT", "framework_id": { "value": stream.framework() },
        "accept": {
            "offer_ids": [{ "value": offer }],
            "operations": [{ "type": "LAUNCH", "launch": {
                "task_infos": [task(&cart, &agent, Some("data-1")), task(&plain, &agent, None)],
            } }],
        },
    });
    let accepted = Asked::on(&stream.id, &accept.to_string()).refused(&master).await;
    assert_eq!(accepted, (202, String::new()));

    let mut census = Census::new(&mesos(addresses(&[&master]), None)).unwrap();
    let mut running = async || {
        let tasks = census.tasks().await.unwrap();
        (tasks.len() == 2 && tasks.iter().all(|task| task.state == TaskState::Running)).then_some(tasks)
    };
    let tasks = until("both tasks to run", &mut running).await;
    let seen = |task: &RunningTask| {
        let volumes: Vec<String> = task.volumes.iter().map(ToString::to_string).collect();
        let place = (task.hostname.clone().unwrap(), task.address.clone().unwrap());
        (task.task.to_string(), task.framework.clone(), task.application.clone().unwrap(), place, volumes)
    };
    let place = || (Box::from("agent1"), Box::from("127.0.0.1"));
    assert_eq!(
        tasks.iter().map(seen).collect::<Vec<_>>(),
        [
            (cart.clone(), "marathon".into(), "/shop/cart".into(), place(), vec!["data-1".to_owned()]),
            (plain.clone(), "marathon".into(), "/shop/web".into(), place(), vec![]),
        ]
    );

    // The clients of a system stand on the agents; the first one is known by its address.
    let size = Size { domains: 1, pools: 1, fault_sets: 0, sds: 1, devices_per_sds: 1, sdcs: 2, volumes: 2 };
    let mut world = World::of(size);
    let clients = world.sdcs.as_mut().unwrap();
    clients[0].addresses = vec!["192.0.2.7".into(), "127.0.0.1".into()];
    clients[1].addresses = vec!["192.0.2.8".into()];
    let volumes = world.volumes.as_mut().unwrap();
    for (volume, (name, client)) in volumes.iter_mut().zip([("data-1", 0), ("data-2", 1)]) {
        volume.name = Some(name.into());
        volume.mapped_to_all = false;
        let sdc = id(6, client);
        volume.mappings = vec![Mapping { sdc, limit_iops: None, limit_bandwidth: None, access_mode: None }];
    }
    let picture = world.picture("prod", 1);
    let snapshot = picture.snapshot.as_ref().unwrap();
    let workloads = Workloads { taken_at: Some(Timestamp::default()), problem: None, tasks };
    let by = |number| {
        let mut found = hurt(snapshot, Suspect::Volume(id(7, number)));
        add_workloads(&mut found, snapshot, &workloads);
        let all = found.workloads.unwrap();
        all.iter().map(|workload| (workload.task.to_string(), workload.volumes.len())).collect::<Vec<_>>()
    };
    assert_eq!(by(0), [(cart, 1), (plain, 0)], "the one that names it, and the one of which only the client is known");
    assert_eq!(by(1), [], "it is mapped where no agent is, and nobody names it");
    let teardown = json!({ "type": "TEARDOWN", "framework_id": { "value": stream.framework() } }).to_string();
    Asked::on(&stream.id, &teardown).refused(&master).await;
}

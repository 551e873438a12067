//! Are the workloads behind a volume named, as the operator API tells them?

#[path = "../support/pictures.rs"]
mod pictures;

use std::collections::BTreeSet;
use std::time::Duration;

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
use crate::site::{Site, Wanted};

/// Nothing of a master takes longer; what takes longer is not coming.
const PATIENCE: Duration = Duration::from_secs(30);

const UUID: &str = "5be8c3a2-9d1f-11ee-a1b2-0242ac120002";

fn scalar(name: &str, value: f64) -> Value {
    json!({ "name": name, "type": "SCALAR", "scalar": { "value": value }, "allocation_info": { "role": "cases" } })
}

/// A task with a command of its own, as Marathon launches it.
fn task(name: &str, agent: &str) -> Value {
    json!({
        "name": name, "task_id": { "value": name }, "agent_id": { "value": agent },
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)], "command": { "value": "exec sleep 1000" },
    })
}

/// A task whose volume is asked for by options of Docker.
fn with_options(name: &str, agent: &str, volume: &str) -> Value {
    let option = |key: &str, value: &str| json!({ "key": key, "value": value });
    let parameters = [option("volume-driver", "rexray"), option("volume", &format!("{volume}:/data:rw"))];
    let mut task = task(name, agent);
    task["container"] = json!({ "type": "MESOS", "docker": { "image": "none", "parameters": parameters } });
    task
}

/// A task whose volume is asked for by the isolator of Docker's volumes. Agents without that isolator run no command
/// with one ("Volumes in ContainerInfo is not supported"), but leave to an executor what it does with them.
fn with_isolator(name: &str, agent: &str, volume: &str) -> Value {
    let source = json!({ "type": "DOCKER_VOLUME", "docker_volume": { "driver": "rexray", "name": volume } });
    let mut task = task(name, agent);
    task["container"] =
        json!({ "type": "MESOS", "volumes": [{ "container_path": "data", "mode": "RW", "source": source }] });
    if let Some(task) = task.as_object_mut() {
        task.remove("command");
    }
    task["executor"] = json!({
        "executor_id": { "value": name }, "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
        "command": { "value": format!("exec {} executor", env!("CARGO_BIN_EXE_sio")) },
    });
    task
}

/// What comes on a stream, in its order.
struct Events {
    stream: Stream,
    decoder: Decoder,
    fed: usize,
}

impl Events {
    async fn next(&mut self) -> Value {
        loop {
            self.decoder.feed(&self.stream.heard.as_bytes()[self.fed..]);
            self.fed = self.stream.heard.len();
            if let Some(record) = self.decoder.record().unwrap() {
                return serde_json::from_slice(record).unwrap();
            }
            tokio::time::timeout(PATIENCE, self.stream.more()).await.expect("the stream is quiet");
        }
    }

    /// The first offer: its id and its agent's.
    async fn offer(&mut self) -> (String, String) {
        loop {
            let event = self.next().await;
            if let Some(offer) = event["offers"]["offers"].get(0) {
                let text = |key: &str| offer[key]["value"].as_str().unwrap().to_owned();
                return (text("id"), text("agent_id"));
            }
        }
    }

    /// Acknowledges what is told of tasks until so many run: a master hears the next state only then.
    async fn until_running(&mut self, master: &str, count: usize) {
        let mut running = BTreeSet::new();
        while running.len() < count {
            let event = self.next().await;
            let status = &event["update"]["status"];
            match status["state"].as_str() {
                Some("TASK_STARTING") | None => {}
                Some("TASK_RUNNING") => drop(running.insert(status["task_id"].to_string())),
                Some(_) => panic!("a task does not run: {status}"),
            }
            if status["uuid"].is_string() {
                let named = json!({
                    "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": status["uuid"],
                });
                self.call(master, json!({ "type": "ACKNOWLEDGE", "acknowledge": named })).await;
            }
        }
    }

    async fn call(&self, master: &str, mut call: Value) {
        call["framework_id"] = json!({ "value": self.stream.framework() });
        let answer = Asked::on(&self.stream.id, &call.to_string()).refused(master).await;
        assert_eq!(answer, (202, String::new()), "{call}");
    }
}

pub(crate) async fn tasks_are_named_with_their_application_and_their_volumes<S: Site>() {
    let site = S::up(20_000..21_000, Wanted::ONE).await;
    let master = site.master();
    let marathon = subscribe(&json!({ "name": "marathon" }));
    let stream = Stream::open(&master, &marathon).await;
    let mut events = Events { stream, decoder: Decoder::new(), fed: 0 };
    let (offer, agent) = events.offer().await;
    let name = |app: &str| format!("shop_{app}.instance-{UUID}._app.1");
    let (cart, orders, web) = (name("cart"), name("orders"), name("web"));
    let infos = [with_options(&cart, &agent, "data-1"), with_isolator(&orders, &agent, "data-2"), task(&web, &agent)];
    let launch = json!({ "type": "LAUNCH", "launch": { "task_infos": infos } });
    let accept = json!({ "offer_ids": [{ "value": offer }], "operations": [launch] });
    events.call(&master, json!({ "type": "ACCEPT", "accept": accept })).await;
    events.until_running(&master, infos.len()).await;

    let taken = Census::new(&mesos(addresses(&[&master]), None)).unwrap().take().await.unwrap();
    let agents: Vec<String> = taken.agents.keys().map(ToString::to_string).collect();
    assert_eq!(agents, std::slice::from_ref(&agent));
    let tasks = taken.tasks;
    assert!(tasks.iter().all(|task| task.state == TaskState::Running), "{tasks:?}");
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
            (orders.clone(), "marathon".into(), "/shop/orders".into(), place(), vec!["data-2".to_owned()]),
            (web.clone(), "marathon".into(), "/shop/web".into(), place(), vec![]),
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
    let workloads = Workloads { taken_at: Some(Timestamp::default()), tasks, ..Workloads::default() };
    let by = |number| {
        let mut found = hurt(snapshot, Suspect::Volume(id(7, number)));
        add_workloads(&mut found, snapshot, &workloads);
        let all = found.workloads.unwrap();
        all.iter().map(|workload| (workload.task.to_string(), workload.volumes.len())).collect::<Vec<_>>()
    };
    assert_eq!(by(0), [(cart, 1), (web, 0)], "the one that names it, and the one of which only the client is known");
    assert_eq!(by(1), [(orders, 1)], "it is mapped where no agent is");
    events.call(&master, json!({ "type": "TEARDOWN" })).await;
}

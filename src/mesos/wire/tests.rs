//! Tests with events as a real master sent them.

use proptest::prelude::*;

use super::*;

/// Events as a real master of 1.11 sent them, by the names of their files.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/mesos");
    let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_prefix("sched-event-")?.strip_suffix(".json")?.to_owned();
            Some((name, std::fs::read(path).unwrap()))
        })
        .collect();
    found.sort();
    assert!(found.len() > 20, "{} recorded events", found.len());
    found
}

fn read(name: &str) -> Event {
    let (_, json) = recorded().into_iter().find(|(known, _)| known == name).unwrap();
    Event::read(&json).unwrap()
}

#[test]
fn every_recorded_event_is_read_as_what_it_is() {
    for (name, json) in recorded() {
        let kind = Event::read(&json).unwrap().kind();
        let expected = name.split("-TASK").next().unwrap().to_lowercase();
        let expected = if expected == "update_operation_status" { "other" } else { &*expected };
        assert_eq!(kind, expected, "{name}");
    }
}

#[test]
fn an_offer_says_all_that_a_placement_needs() {
    let Event::Offers { offers, unreadable: 0 } = read("OFFERS") else { panic!() };
    let [offer] = &offers[..] else { panic!() };
    assert_eq!((offer.cpus, offer.mem, &*offer.hostname), (3.4, 4000.0, "agent2"));
    assert_eq!(offer.address.as_deref(), Some("127.0.0.1:5052"));
    assert_eq!(offer.role.as_deref(), Some("dev"));
    assert_eq!(offer.executors, [ExecutorId::new("ex-c")]);
    let shown: Vec<String> = offer.attributes.iter().map(|(name, values)| format!("{name}={}", values[0])).collect();
    assert_eq!(shown, ["level=2", "r=[1-5, 8-9]", "rack=special", "set_like=a,b"]);
}

#[test]
fn a_status_keeps_who_said_it_and_whether_it_wants_an_answer() {
    let Event::Update(status) = read("UPDATE-TASK_RUNNING") else { panic!() };
    assert!(status.from_executor && !status.is_answer);
    assert_eq!(status.uuid.as_deref(), Some("t1FgbW1GSPaoRiRBKrpyGA=="));
    let Event::Update(status) = read("UPDATE-TASK_GONE-REASON_RECONCILIATION") else { panic!() };
    assert!(status.is_answer && status.uuid.is_none());
    assert_eq!(status.state, TaskState::Gone);
}

#[test]
fn numbers_may_be_text_and_what_is_unknown_is_no_fault() {
    let json = br#"{"type":"OFFERS","new":1,"offers":{"offers":[
        {"id":{"value":"O1"},"agent_id":{"value":"S1"},"resources":[
            {"name":"cpus","scalar":{"value":"1.5"}},{"name":"cpus","scalar":{"value":0.5}},
            {"name":"cpus","scalar":{"value":8},"revocable":{}},{"name":"mem","scalar":{"value":null}},{"x":[]}],
         "attributes":[{"name":"a","type":"SET","set":{"item":["x"]}},{"name":"b","text":{}},{"name":"rack","text":{"value":"r1"}}]},
        {"id":{"value":"O2"}},
        7]}}"#;
    let Event::Offers { offers, unreadable: 2 } = Event::read(json).unwrap() else { panic!() };
    assert_eq!((offers[0].cpus, offers[0].mem, offers[0].attributes.len()), (2.0, 0.0, 1));
    assert_eq!(Event::read(br#"{"type":"ASCENDED","x":1}"#).unwrap(), Event::Other("ASCENDED".into()));
    assert_eq!(Event::read(b"{}").unwrap(), Event::Other("".into()));
}

#[test]
fn what_cannot_be_read_says_where_and_how_it_begins() {
    for (bad, told) in [
        ("", "EOF"),
        ("7", "invalid"),
        ("{\"type\":\"UPDATE\"}", "it has no `update`"),
        ("{\"type\":\"UPDATE\",\"update\":{\"status\":{}}}", "missing field `task_id`"),
        ("{\"type\":\"RESCIND\",\"rescind\":{}}", "it names no offer"),
        (
            "{\"type\":\"MESSAGE\",\"message\":{\"agent_id\":{\"value\":\"a\"},\"executor_id\":{\"value\":\"e\"},\"data\":\"_\"}}",
            "`message`",
        ),
    ] {
        let error = Event::read(bad.as_bytes()).unwrap_err();
        assert!(error.why.contains(told), "{bad}: {error}");
    }
}

proptest! {
    /// Recorded events with a byte changed, cut or doubled: read or refused, never a panic.
    #[test]
    fn a_damaged_event_never_ends_the_reader(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0..3,
    ) {
        let all = recorded();
        let (_, mut json) = all[which.index(all.len())].clone();
        let at = at.index(json.len());
        match how {
            0 => json[at] = byte,
            1 => json.truncate(at),
            _ => json.insert(at, byte),
        }
        let _ = Event::read(&json);
    }
}

#[test]
fn the_calls_are_what_a_real_master_took() {
    let framework = FrameworkId::new("F");
    let call = Call::Acknowledge { agent: AgentId::new("S1"), task: TaskId::new("t"), uuid: "dXVpZA==".into() };
    assert_eq!(
        call.body(&framework),
        serde_json::json!({
            "type": "ACKNOWLEDGE", "framework_id": {"value": "F"},
            "acknowledge": {"agent_id": {"value": "S1"}, "task_id": {"value": "t"}, "uuid": "dXVpZA=="},
        })
    );
    assert_eq!(Call::Revive.body(&framework), serde_json::json!({"type": "REVIVE", "framework_id": {"value": "F"}}));
}

/// Resources as masters of both ages tell them: unreserved, reserved for us, for a role above ours, and for others.
const RESERVED: &str = r#"[
    {"name":"cpus","type":"SCALAR","scalar":{"value":0.05}},
    {"name":"mem","type":"SCALAR","scalar":{"value":40.0},"role":"*"},
    {"name":"cpus","type":"SCALAR","scalar":{"value":1.0},"reservations":[{"type":"STATIC","role":"scaleio"}]},
    {"name":"mem","type":"SCALAR","scalar":{"value":30.0},"reservations":[
        {"type":"STATIC","role":"scaleio"},{"type":"DYNAMIC","role":"scaleio/prod","principal":"p","labels":{"labels":[]}}]},
    {"name":"mem","type":"SCALAR","scalar":{"value":20.0},"role":"scaleio","reservation":{"principal":"old"}},
    {"name":"cpus","type":"SCALAR","scalar":{"value":8.0},"reservations":[{"type":"STATIC","role":"scaleio-x"}]},
    {"name":"mem","type":"SCALAR","scalar":{"value":900.0},"reservations":[{"type":"STATIC","role":"other"}]},
    {"name":"mem","type":"SCALAR","scalar":{"value":900.0},"role":"other"},
    {"name":"mem","type":"SCALAR","scalar":{"value":900.0},"reservations":"what is new"},
    {"name":"disk","type":"SCALAR","scalar":{"value":900.0}}]"#;

fn reserved() -> Offer {
    let json = format!(
        r#"{{"type":"OFFERS","offers":{{"offers":[{{"id":{{"value":"O1"}},"agent_id":{{"value":"S1"}},
            "allocation_info":{{"role":"scaleio/prod"}},"resources":{RESERVED}}}]}}}}"#
    );
    let Event::Offers { offers, unreadable: 0 } = Event::read(json.as_bytes()).unwrap() else { panic!() };
    offers[0].clone()
}

#[test]
fn what_is_reserved_for_others_is_no_part_of_an_offer_to_us() {
    let offer = reserved();
    assert_eq!((offer.cpus, offer.mem), (1.05, 90.0));
    let told: Vec<(&str, f64, bool)> =
        offer.pieces.iter().map(|piece| (&*piece.name, piece.amount, piece.reserved.is_some())).collect();
    let all =
        [("cpus", 1.0, true), ("mem", 30.0, true), ("mem", 20.0, true), ("cpus", 0.05, false), ("mem", 40.0, false)];
    assert_eq!(told, all);
}

#[test]
fn a_task_takes_what_is_reserved_for_us_first_and_each_piece_as_it_was_offered() {
    let offer = reserved();
    let launch = |cpus: f64, mem: f64, pieces: Vec<Piece>| {
        let task = LaunchTask {
            task: TaskId::new("t"),
            agent: offer.agent.clone(),
            executor: ExecutorId::new("t"),
            name: "t".to_owned(),
            role: offer.role.clone(),
            cpus,
            mem,
            pieces,
            command: "true".to_owned(),
            uris: Vec::new(),
            environment: Vec::new(),
            labels: Vec::new(),
            data: Vec::new(),
            grace: Duration::from_secs(1),
        };
        let call = Call::Launch { offer: offer.id.clone(), task: Box::new(task), refuse: Duration::ZERO };
        let body = call.body(&FrameworkId::new("F"));
        let info = &body["accept"]["operations"][0]["launch"]["task_infos"][0];
        let all = |value: &serde_json::Value| value.as_array().unwrap().clone();
        (all(&info["resources"]), all(&info["executor"]["resources"]))
    };
    let role = serde_json::json!({"role": "scaleio/prod"});
    let resource = |name: &str, amount: f64, more: serde_json::Value| {
        let mut resource =
            serde_json::json!({"name": name, "type": "SCALAR", "scalar": {"value": amount}, "allocation_info": role});
        resource.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        resource
    };
    let none = serde_json::json!({});
    let fixed = serde_json::json!({"reservations": [{"type": "STATIC", "role": "scaleio"}]});
    let refined = serde_json::json!({"reservations": [
        {"type": "STATIC", "role": "scaleio"},
        {"type": "DYNAMIC", "role": "scaleio/prod", "principal": "p", "labels": {"labels": []}}]});
    let old = serde_json::json!({"role": "scaleio", "reservation": {"principal": "old"}});
    let (task, executor) = launch(1.02, 64.0, offer.pieces.clone());
    assert_eq!(task, [resource("cpus", 0.01, fixed.clone()), resource("mem", 1.0, refined.clone())]);
    assert_eq!(
        executor,
        [
            resource("cpus", 0.99, fixed),
            resource("cpus", 0.03, none.clone()),
            resource("mem", 29.0, refined),
            resource("mem", 20.0, old),
            resource("mem", 15.0, none.clone()),
        ]
    );
    // What is not there is asked for all the same.
    let (_, executor) = launch(0.1, 64.0, Vec::new());
    assert_eq!(executor, [resource("cpus", 0.1, none.clone()), resource("mem", 64.0, none)]);
}

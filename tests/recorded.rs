//! Recorded answers of gateways: do all of them convert, and does the client
//! read them when a gateway serves them?
//!
//! `SCALEIO_RECORDED` names the folder; without it our own fixtures in
//! `tests/fixtures/rest` are read, which have the same layout: a `README.md`
//! whose table names the endpoint of each file, and `names/` with the field
//! names of each kind of object.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use scaleio_framework::gateway::convert;
use scaleio_framework::gateway::{Answer, Gateway, OnRequest, Role, Unknown, known_fields, statistics};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::stats::{Stat, StatKind};
use scaleio_framework::model::version::{Generation, ProductVersion};
use serde_json::{Map, Value};
use support::{Accounts, Flow, Reply, Server, settings};

/// Recorded answers that monitoring does not ask for: other APIs, request
/// bodies, actions. A file of no known endpoint that is not here fails the test.
const NOT_POLLED: &[&str] = &[
    "GET /api/Configuration",
    "GET /im/",
    "GET /Api/V1/",
    "GET /types/Configuration",
    "POST /types/Installation",
    "POST /dtapi/",
    "POST /api/instances/System/action/",
    "POST /api/instances/Sdc::{id}/action/queryVolumeSdcBwc",
    "GET /api/instances/Host::{id}/relationships/NvmeController",
    "POST /api/instances/querySelectedStatistics (request body)",
    "SNMP trap",
    "any, HTTP 401",
];

/// What a recorded body is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A list of objects of a type, or one of them.
    Objects(String),
    /// `GET /api/instances`: many lists in one object.
    Everything,
    Events,
    Version,
    /// One flat row of a type.
    Row(String),
    /// Rows by id of a type.
    Rows(String),
    /// The bulk query.
    Bulk,
    NotPolled,
}

struct Recorded {
    file: String,
    kind: Kind,
    body: String,
}

fn folder() -> PathBuf {
    match std::env::var_os("SCALEIO_RECORDED") {
        Some(folder) => folder.into(),
        None => {
            println!("SCALEIO_RECORDED is not set: reading our own fixtures");
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rest")
        }
    }
}

fn recorded(folder: &Path) -> Vec<Recorded> {
    let table = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains('/'));
    let all: Vec<Recorded> = rows
        .map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let (file, endpoint) = (cells.next().unwrap(), cells.next().unwrap());
            let body = std::fs::read_to_string(folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            Recorded { file: file.to_owned(), kind: kind_of(endpoint), body }
        })
        .collect();
    assert!(!all.is_empty(), "no recorded answer in {}", folder.display());
    all
}

fn kind_of(endpoint: &str) -> Kind {
    if NOT_POLLED.iter().any(|start| endpoint.starts_with(start)) {
        return Kind::NotPolled;
    }
    let between = |start: &str, end: &str| {
        endpoint.strip_prefix(start).and_then(|rest| rest.split_once(end)).map(|(kind, rest)| (kind.to_owned(), rest))
    };
    if let Some((kind, rest)) = between("POST /api/types/", "/instances/action/queryBySelectedIds") {
        assert!(rest.is_empty());
        return Kind::Rows(kind);
    }
    if let Some((kind, _)) = between("GET /api/types/", "/instances") {
        // An NVMe host has the fields of an SDC.
        return Kind::Objects(if kind == "Host" { "Sdc".to_owned() } else { kind });
    }
    if endpoint.starts_with("POST /api/instances/querySelectedStatistics") {
        return Kind::Bulk;
    }
    if let Some((kind, rest)) = between("GET /api/instances/", "::{id}") {
        return match rest.strip_prefix("/relationships/") {
            Some("Statistics") => Kind::Row(kind),
            Some(related) => Kind::Objects(related.split(' ').next().unwrap().to_owned()),
            None => Kind::Objects(kind),
        };
    }
    match endpoint {
        "GET /api/instances" => Kind::Everything,
        "GET /rest/v1/events" => Kind::Events,
        "GET /api/version" => Kind::Version,
        _ => panic!("what is {endpoint:?}? Read it, or put it on the list of what is not polled"),
    }
}

/// Objects out, and what was not understood.
fn convert_objects(kind: &str, body: &str) -> (usize, Unknown) {
    fn shape<T>(answer: Result<Answer<T>, convert::ParseError>, len: impl Fn(&T) -> usize) -> (usize, Unknown) {
        let answer = answer.unwrap();
        assert_eq!(len(&answer.value), answer.objects);
        (answer.objects, answer.unknown)
    }
    let body = body.as_bytes();
    match kind {
        "System" => shape(convert::systems(body), Vec::len),
        "ProtectionDomain" => shape(convert::domains(body), |table| table.len()),
        "FaultSet" => shape(convert::fault_sets(body), |table| table.len()),
        "StoragePool" => shape(convert::pools(body), |table| table.len()),
        "Sds" => shape(convert::sds(body), |table| table.len()),
        "Device" => shape(convert::devices(body), |table| table.len()),
        "Sdc" => shape(convert::sdcs(body), |table| table.len()),
        "Volume" => shape(convert::volumes(body), |table| table.len()),
        "VTree" => shape(convert::vtrees(body), |table| table.len()),
        "SnapshotPolicy" => shape(convert::policies(body), |table| table.len()),
        "ReplicationConsistencyGroup" => shape(convert::groups(body), |table| table.len()),
        "ReplicationPair" => shape(convert::pairs(body), |table| table.len()),
        "PeerMdm" => shape(convert::peers(body), |table| table.len()),
        "Sdr" => shape(convert::sdrs(body), |table| table.len()),
        "Sdt" => shape(convert::sdts(body), |table| table.len()),
        "Alert" => shape(convert::alerts(body), Vec::len),
        other => panic!("nothing converts {other}"),
    }
}

/// Field names of a kind of object by the folder's `names/`.
fn named(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("names")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if !file.starts_with("objects-block-") {
            continue;
        }
        let objects: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (kind, fields) in objects {
            let ours = match kind.as_str() {
                "SDC" => "Sdc",
                "SDR" => "Sdr",
                "SDT" => "Sdt",
                "MDM-cluster-objects" => "mdmCluster",
                "MdmClusterMember" => "mdmCluster.member",
                "ClientServerConnectivityInfo" => "connectivityInfo",
                "OscillatingCounter" => "oscillatingCounter",
                "OscillatingCounter_Window" | "OscillatingCounterWindow" => "oscillatingCounter.window",
                "SdsIp" | "SdrIp" | "SdtIp" | "PeerMdmIp" => "ipList",
                "CertificateInfo" => "certificateInfo",
                "VtreeMigrationInfo" => "vtreeMigrationInfo",
                "SdcMappingInfo" => "mappedSdcInfo",
                kind => kind.strip_suffix("-Object").or(kind.strip_suffix("-object")).unwrap_or(kind),
            };
            named.entry(ours.to_owned()).or_default().extend(fields.as_object().unwrap().keys().cloned());
        }
    }
    assert!(!named.is_empty());
    named
}

/// Counts the fields of objects and holds the unknown ones against the names.
fn count_fields(file: &str, kind: &str, objects: &[Value], named: &BTreeMap<String, Vec<String>>) -> [usize; 3] {
    let (_, fields) = known_fields().into_iter().find(|(name, _)| *name == kind).unwrap();
    let mut counts = [0; 3];
    for name in objects.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        let place = match (fields.known.contains(&name.as_str()), fields.has(name)) {
            (true, _) => 0,
            (false, true) => 1,
            (false, false) => 2,
        };
        counts[place] += 1;
        let is_named = named.get(kind).is_some_and(|names| names.contains(name));
        assert!(place < 2 || !is_named, "{file}: {kind}.{name} is named and yet unknown");
    }
    counts
}

fn tell(file: &str, kind: &str, objects_in: usize, objects_out: usize, fields: [usize; 3], unknown: &Unknown) {
    let [known, ignored, other] = fields;
    println!(
        "{file}: {kind}: objects in {objects_in} out {objects_out}, fields known {known} ignored {ignored} unknown {other}, not understood {unknown:?}"
    );
}

fn as_list(body: &Value) -> Vec<Value> {
    match body {
        Value::Array(list) => list.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn stat_kind(name: &str) -> Option<StatKind> {
    StatKind::ALL.into_iter().find(|kind| kind.type_name() == name)
}

/// Converts statistics of one type, given as the bulk answer would hold them.
fn check_statistics(file: &str, kind: &str, rows: &Value) {
    let names: Vec<&String> = match (kind, rows) {
        ("System", Value::Object(row)) => row.keys().collect(),
        (_, Value::Object(rows)) => rows.values().filter_map(Value::as_object).flat_map(Map::keys).collect(),
        _ => panic!("{file}: no rows"),
    };
    let unknown: Vec<&&String> = names.iter().filter(|name| !statistics::is_known(name)).collect();
    let used = names.iter().filter(|name| Stat::ALL.iter().any(|stat| stat.wire_name() == name.as_str())).count();
    let counts = [used, names.len() - used - unknown.len(), unknown.len()];
    let objects_in = if kind == "System" { 1 } else { rows.as_object().unwrap().len() };
    let Some(stat_kind) = stat_kind(kind) else {
        println!("{file}: {kind}: no statistics of this kind are asked; {objects_in} rows, fields {counts:?}");
        return;
    };
    let selection = BTreeMap::from([(stat_kind, Stat::wanted(stat_kind).collect())]);
    let body = serde_json::json!({ kind: rows }).to_string();
    let answer = statistics::read(body.as_bytes(), &selection).unwrap();
    assert_eq!(answer.objects, objects_in, "{file}");
    let told: u64 = answer.unknown.values().sum();
    assert!(told >= unknown.len() as u64, "{file}: unknown names are counted");
    assert!(told == unknown.len() as u64, "{file}: {:?} beside {unknown:?}", answer.unknown);
    // A number that was sent as one is there.
    let table = answer.value.table(stat_kind).unwrap();
    for (id, row) in rows.as_object().unwrap().iter().filter(|_| kind != "System") {
        for stat in Stat::wanted(stat_kind).filter(|stat| row[stat.wire_name()].is_u64()) {
            let read = table.row(&scaleio_framework::model::id::ObjectId::new(id)).unwrap().number(stat);
            let sent = row[stat.wire_name()].as_f64().unwrap() * stat.unit().factor();
            assert_eq!(read, Some(sent), "{file}: {stat:?}");
        }
    }
    tell(file, kind, objects_in, answer.objects, counts, &answer.unknown);
}

#[test]
fn recorded_bodies_convert_and_lose_no_object() {
    let folder = folder();
    let named = named(&folder);
    let check = |file: &str, kind: &str, objects: Vec<Value>| {
        let body = Value::Array(objects.clone()).to_string();
        let (out, unknown) = convert_objects(kind, &body);
        assert_eq!(out, objects.len(), "{file}: objects out = objects in");
        let fields = count_fields(file, kind, &objects, &named);
        let told: u64 = unknown.values().sum();
        assert!(told >= fields[2] as u64, "{file}: unknown fields are counted");
        tell(file, kind, objects.len(), out, fields, &unknown);
    };
    for Recorded { file, kind, body } in recorded(&folder) {
        match kind {
            Kind::NotPolled => println!("{file}: monitoring does not ask for this"),
            Kind::Objects(kind) => check(&file, &kind, as_list(&serde_json::from_str(&body).unwrap())),
            Kind::Everything => {
                let whole: Map<String, Value> = serde_json::from_str(&body).unwrap();
                for (name, kind) in [
                    ("System", "System"),
                    ("protectionDomainList", "ProtectionDomain"),
                    ("faultSetList", "FaultSet"),
                    ("storagePoolList", "StoragePool"),
                    ("sdsList", "Sds"),
                    ("deviceList", "Device"),
                    ("sdcList", "Sdc"),
                    ("volumeList", "Volume"),
                    ("vTreeList", "VTree"),
                ] {
                    check(&file, kind, whole.get(name).map(as_list).unwrap_or_default());
                }
            }
            Kind::Events => {
                let page: Value = serde_json::from_str(&body).unwrap();
                let objects = page["results"].as_array().unwrap();
                let answer = convert::event_page(body.as_bytes()).unwrap();
                assert_eq!(answer.objects, objects.len(), "{file}");
                let fields = count_fields(&file, "events", objects, &named);
                tell(&file, "events", objects.len(), answer.objects, fields, &answer.unknown);
            }
            Kind::Version => {
                let text: String = serde_json::from_str(&body).unwrap();
                assert!(ProductVersion::read(&text).generation().is_some(), "{file}: {text}");
            }
            Kind::Row(kind) if kind == "System" => {
                check_statistics(&file, &kind, &serde_json::from_str(&body).unwrap());
            }
            Kind::Row(kind) => {
                let row: Value = serde_json::from_str(&body).unwrap();
                check_statistics(&file, &kind, &serde_json::json!({ "00000000000000aa": row }));
            }
            Kind::Rows(kind) => check_statistics(&file, &kind, &serde_json::from_str(&body).unwrap()),
            Kind::Bulk => {
                let whole: Map<String, Value> = serde_json::from_str(&body).unwrap();
                whole.iter().for_each(|(kind, rows)| check_statistics(&file, kind, rows));
            }
        }
    }
}

#[test]
fn recorded_names_are_none_of_them_unknown() {
    let folder = folder();
    let named = named(&folder);
    let (mut checked, mut others) = (0, Vec::new());
    let ours = known_fields();
    for (kind, names) in &named {
        let Some((_, fields)) = ours.iter().find(|(name, _)| name == kind) else {
            others.push(kind.as_str());
            continue;
        };
        for name in names {
            assert!(fields.has(name), "{kind}.{name} would be counted as unknown");
            checked += 1;
        }
    }
    println!(
        "{checked} field names are known or ignored on purpose; kinds that monitoring does not ask for: {others:?}"
    );
    let path = folder.join("names/statistics-names.json");
    let releases: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut checked = 0;
    for (release, kinds) in &releases {
        for (kind, told) in kinds.as_object().unwrap() {
            for name in told["names"].as_array().unwrap().iter().filter_map(Value::as_str) {
                assert!(statistics::is_known(name), "{release}: {kind}.{name} would be counted as unknown");
                checked += 1;
            }
        }
    }
    println!("{checked} names of statistics are used or ignored on purpose");
    assert!(checked > 0);
}

/// One recorded system: what it answers on each path, and its statistics.
#[derive(Default)]
struct Replay {
    lists: BTreeMap<String, Vec<Value>>,
    rows: BTreeMap<String, Map<String, Value>>,
    events: Option<String>,
    version: Option<String>,
}

impl Replay {
    fn take(&mut self, recorded: Recorded) {
        let json = || serde_json::from_str::<Value>(&recorded.body).unwrap();
        match recorded.kind {
            Kind::Objects(kind) => {
                let list = self.lists.entry(kind).or_default();
                for object in as_list(&json()) {
                    // The same object may have been recorded by more than one question.
                    if list.iter().all(|other| other["id"] != object["id"]) {
                        list.push(object);
                    }
                }
            }
            Kind::Row(kind) => {
                self.rows.entry(kind).or_default().insert("00000000000000aa".to_owned(), json());
            }
            Kind::Bulk => {
                for (kind, rows) in json().as_object().unwrap() {
                    self.rows.entry(kind.clone()).or_default().extend(rows.as_object().unwrap().clone());
                }
            }
            Kind::Events => self.events = Some(recorded.body),
            Kind::Version => self.version = Some(recorded.body),
            Kind::Rows(_) | Kind::Everything | Kind::NotPolled => {}
        }
    }

    fn answer(&self, request: &support::Request) -> Reply {
        let path = request.path.split('?').next().unwrap();
        if let Some(kind) = path.strip_prefix("/api/types/").and_then(|rest| rest.strip_suffix("/instances")) {
            let list = self.lists.get(kind).cloned().unwrap_or_default();
            return Reply::json(Value::Array(list).to_string());
        }
        match path {
            "/api/version" => Reply::json(self.version.clone().unwrap_or_else(|| "\"3.5\"".to_owned())),
            "/rest/v1/events" if self.events.is_some() => Reply::json(self.events.clone().unwrap()),
            "/rest/v1/events" | "/rest/v1/alerts" => Reply::json(r#"{"results":[]}"#),
            "/api/instances/querySelectedStatistics" => self.statistics(&request.body),
            _ => Reply::not_found(),
        }
    }

    /// Refuses as gateways do: the whole query, naming the valid names of the type.
    fn statistics(&self, query: &str) -> Reply {
        let query: Value = serde_json::from_str(query).unwrap();
        let mut answer = Map::new();
        for part in query["selectedStatisticsList"].as_array().unwrap() {
            let kind = part["type"].as_str().unwrap();
            let Some(rows) = self.rows.get(kind) else {
                let message = format!("type should get one of the following values: X, but its value is {kind}");
                return Reply::status(400, serde_json::json!({"message": message, "errorCode": 0}).to_string());
            };
            let valid: Vec<&String> = rows.values().filter_map(Value::as_object).flat_map(Map::keys).collect();
            let asked: Vec<&str> = part["properties"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            if asked.iter().any(|name| valid.iter().all(|valid| valid != name)) {
                let list: Vec<&str> = valid.iter().map(|name| name.as_str()).collect();
                let message = format!("{kind} properties should contain only following values: {}", list.join(","));
                return Reply::status(400, serde_json::json!({"message": message, "errorCode": 0}).to_string());
            }
            let pick = |row: &Value| -> Value {
                asked.iter().map(|name| ((*name).to_owned(), row[*name].clone())).collect::<Map<_, _>>().into()
            };
            let rows: Value = match kind {
                "System" => pick(rows.values().next().unwrap()),
                _ => rows.iter().map(|(id, row)| (id.clone(), pick(row))).collect::<Map<_, _>>().into(),
            };
            answer.insert(kind.to_owned(), rows);
        }
        Reply::json(Value::Object(answer).to_string())
    }
}

#[tokio::test]
async fn recorded_systems_are_read_by_the_client_when_a_gateway_serves_them() {
    let mut systems: BTreeMap<String, Replay> = BTreeMap::new();
    for recorded in recorded(&folder()) {
        let system = recorded.file.split('/').next().unwrap().to_owned();
        systems.entry(system).or_default().take(recorded);
    }
    systems.retain(|_, replay| !replay.lists.is_empty() || !replay.rows.is_empty());
    assert!(!systems.is_empty());
    for (name, replay) in systems {
        let replay = Arc::new(replay);
        let newer = name.starts_with('4');
        let (flow, generation) = if newer { (Flow::Bearer, Generation::V4) } else { (Flow::Basic, Generation::V3_5) };
        let (accounts, served) = (Accounts::new(flow), replay.clone());
        let server = Server::start(move |request| accounts.serve(request, |request| served.answer(request))).await;
        let quiet: OnRequest = Arc::new(|_| {});
        let gateway = Gateway::new(SystemId::new("replay"), &settings(&[&server]), Role::Monitor, quiet).unwrap();

        let expected = |kind: &str| replay.lists.get(kind).map_or(0, Vec::len);
        let mut read = 0;
        macro_rules! ask {
            ($($question:ident: $kind:literal),*) => {$(
                let answer = gateway.$question().await.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(answer.value.len(), expected($kind), "{name}: {}", $kind);
                read += answer.objects;
            )*};
        }
        ask!(domains: "ProtectionDomain", fault_sets: "FaultSet", pools: "StoragePool", sds: "Sds", devices: "Device",
             sdcs: "Sdc", volumes: "Volume", vtrees: "VTree", policies: "SnapshotPolicy",
             groups: "ReplicationConsistencyGroup", pairs: "ReplicationPair", peers: "PeerMdm", sdrs: "Sdr", sdts: "Sdt");
        gateway.generation().await.unwrap();
        if expected("System") > 0 {
            gateway.system().await.unwrap();
        }
        let alerts = gateway.alerts(generation).await.unwrap().objects;
        assert_eq!(alerts, if newer { 0 } else { expected("Alert") }, "{name}");
        let statistics = gateway.statistics(&StatKind::ALL).await.unwrap();
        for kind in StatKind::ALL {
            let rows = replay.rows.get(kind.type_name());
            let useful = rows.is_some_and(|rows| {
                Stat::wanted(kind).any(|stat| rows.values().any(|row| row.get(stat.wire_name()).is_some()))
            });
            let got = statistics.value.table(kind).map_or(0, |table| table.ids().len());
            assert_eq!(got, if useful { rows.map_or(0, Map::len) } else { 0 }, "{name}: statistics of {kind:?}");
        }
        println!("{name}: served and read, {read} objects, {} rows of statistics", statistics.objects);
    }
}

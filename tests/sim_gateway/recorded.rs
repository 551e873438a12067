//! Does the simulator send only fields and statistics that real systems or
//! their description name? Read from the folder in `SCALEIO_RECORDED`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use scaleio_framework::sim::{Release, Running};
use serde_json::{Value, json};

use crate::caller::{Caller, started};

type Names = BTreeSet<String>;

/// Bodies of each type, by the releases they tell of.
const BODIES: &[(&str, &str, &[Release])] = &[
    ("System", "2.0-libstorage/system-instances.json", &[Release::V2_0]),
    ("Sds", "2.0-libstorage/sds-instance.json", &[Release::V2_0]),
    ("Device", "2.0-libstorage/device-instances.json", &[Release::V2_0, Release::V2_6]),
    ("StoragePool", "2.0-libstorage/storagepool-instance.json", &[Release::V2_0]),
    ("Sdc", "2.0-libstorage/sdc-list-of-system.json", &[Release::V2_0]),
    ("Sdc", "2.5-delfin/sdc-instances.json", &[Release::V2_6]),
    ("Sds", "2.0-libstorage/sds-instance.json", &[Release::V2_6]),
    ("StoragePool", "2.5-delfin/storagepool-instances.json", &[Release::V2_6]),
    ("Volume", "2.5-delfin/volume-instances.json", &[Release::V2_0, Release::V2_6]),
    ("Alert", "2.5-delfin/alert-instances.json", &[Release::V2_0, Release::V2_6, Release::V3_0, Release::V3_6]),
    ("Sdc", "2.6-csi/sdc-instances.json", &[Release::V2_6]),
    ("StoragePool", "2.6-csi/storagepool-instances.json", &[Release::V2_6]),
    ("System", "2.6-csi/system-instances.json", &[Release::V2_6]),
    ("Device", "4.5-datadog/device-instances.json", &[Release::V4_5]),
    ("ProtectionDomain", "4.5-datadog/protectiondomain-instances.json", &[Release::V4_5]),
    ("Sdc", "4.5-datadog/sdc-instances.json", &[Release::V4_5]),
    ("Sds", "4.5-datadog/sds-instances.json", &[Release::V4_5]),
    ("StoragePool", "4.5-datadog/storagepool-instances.json", &[Release::V4_5]),
    ("Volume", "4.5-datadog/volume-instances.json", &[Release::V4_5]),
    ("Sdc", "4.x-cinder/hosts.json", &[Release::V4_5]),
    ("Sdc", "4.x-cinder/sdc-by-id.json", &[Release::V4_5]),
    ("Volume", "4.x-cinder/sdc-volumes.json", &[Release::V4_5]),
    ("Sdt", "4.x-cinder/sdts.json", &[Release::V4_5]),
    ("System", "4.x-cinder/system-id-nqn.json", &[Release::V4_5]),
    ("System", "4.x-csi/system-instances.json", &[Release::V4_5]),
    ("PeerMdm", "4.x-csi/peermdm-instances.json", &[Release::V3_6, Release::V4_5]),
    ("Sdt", "4.x-csi/sdt-instances.json", &[Release::V4_5]),
    ("Sdr", "4.x-vendor-samples/sdr-instance.json", &[Release::V3_6, Release::V4_5]),
];

/// What the simulator calls a type, and the description does.
const DESCRIBED: &[(&str, &[&str])] = &[
    (
        "System",
        &[
            "System",
            "MDM-cluster-objects",
            "MdmClusterMember",
            "OscillatingCounterParameters",
            "OscillatingCounterWindowParameters",
            "ClientServerConnectivityInfo",
        ],
    ),
    ("ProtectionDomain", &["ProtectionDomain", "OscillatingCounterParameters", "OscillatingCounterWindowParameters"]),
    ("FaultSet", &["FaultSet"]),
    ("StoragePool", &["StoragePool"]),
    ("Sds", &["Sds", "SdsIp", "CertificateInfo"]),
    ("Device", &["Device", "OscillatingCounter", "StorageDeviceProps"]),
    ("Sdc", &["SDC"]),
    ("Volume", &["Volume", "SdcMappingInfo"]),
    ("VTree", &["VTree", "VtreeMigrationInfo"]),
    ("SnapshotPolicy", &["SnapshotPolicy"]),
    ("Sdr", &["SDR", "SdrIp"]),
    ("Sdt", &["SDT", "SdtIp"]),
    ("PeerMdm", &["PeerMdm", "PeerMdmIp"]),
    ("ReplicationConsistencyGroup", &["ReplicationConsistencyGroup"]),
    ("ReplicationPair", &["ReplicationPair"]),
    ("Host", &["SDC"]),
    ("SpSds", &["SpSds"]),
    ("User", &["User"]),
    ("RemoteSystem", &["Remote-System"]),
];

/// Fields that no body and no description names, and why they are sent.
const KNOWN_FIELDS: &[(&str, &str, &str)] = &[
    ("System", "slaves", "the only capture of 2.6 was edited to say `worker`; 2.0 has the true name"),
    ("System", "standbyMDMs", "named by the description of 4.5.5; no capture has a standby"),
    ("System", "clientServerConnectivityStatus", "captured on 3.5; the description writes it with a capital"),
    ("System", "disconnectedServerName", "captured on 3.5, with the id and address that are described"),
    ("System", "sdtSdsConnectivityInfo", "listed for 4.x beside its three siblings"),
    ("VTree", "baseVolumeId", "the parent that clients follow; no capture of a VTree was found"),
    ("VTree", "name", "null, as of every type"),
    ("VTree", "destinationStoragePoolId", "described with a capital letter"),
    ("VTree", "migrationQueuePosition", "described with a capital letter"),
    ("Sds", "raidControllers", "described as `raid_controllers`"),
    ("Device", "accelerationPoolId", "described with a capital letter"),
    ("Device", "slotNumber", "read by clients of 3.x"),
    ("Device", "spSdsId", "described as `spSdsIp`, misprinted"),
    ("RemoteSystem", "type", "described with its enumeration in its name"),
    ("RemoteSystem", "transport", "described with its enumeration in its name"),
    ("Host", "certificateInfo", "SDCs are listed among hosts with all their fields"),
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SCALEIO_RECORDED").map(PathBuf::from);
    if folder.is_none() {
        println!("SCALEIO_RECORDED is not set: nothing to compare with");
    }
    folder
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every key in a body, at any depth.
fn keys(value: &Value, into: &mut Names) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| keys(item, into)),
        Value::Object(fields) => {
            for (key, value) in fields {
                into.insert(key.clone());
                keys(value, into);
            }
        }
        _ => {}
    }
}

/// What real systems of a release, or the description of it, name for a type.
fn named(folder: &Path, kind: &str, release: Release) -> (Names, bool) {
    let mut names = Names::new();
    let mut own = false;
    let described = read(&folder.join("names/objects-block-4.5.5.json"));
    let description = || {
        let types = DESCRIBED.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, types)| types);
        let fields = types.iter().filter_map(|name| described[*name].as_object());
        fields.flat_map(|fields| fields.keys().cloned()).collect::<Names>()
    };
    for (_, file, _) in BODIES.iter().filter(|(of, _, releases)| *of == kind && releases.contains(&release)) {
        own = true;
        keys(&read(&folder.join(file)), &mut names);
    }
    // Old systems with a capture of their own are held to it; what lies
    // between captures may have what any release has.
    if !own || release >= Release::V3_0 {
        for (_, file, _) in BODIES.iter().filter(|(of, _, _)| *of == kind) {
            keys(&read(&folder.join(file)), &mut names);
        }
        names.extend(description());
    }
    (names, own)
}

/// A system in which something is going on, and a client of it.
async fn busy(release: Release) -> (Running, Caller) {
    let (running, caller) = started(release).await;
    running.world(|world| world.fail_device("dev-1-1-1").unwrap());
    running.advance(Duration::from_secs(6));
    (running, caller)
}

#[tokio::test]
async fn no_field_is_sent_that_was_not_recorded_or_described() {
    let Some(folder) = folder() else { return };
    let mut strangers = Vec::new();
    for release in Release::ALL {
        let (_running, caller) = busy(release).await;
        for kind in DESCRIBED.iter().map(|(kind, _)| *kind).chain(["Alert"]) {
            let body = caller.get(&format!("/api/types/{kind}/instances")).await.json();
            if !body.is_array() {
                continue;
            }
            let mut sent = Names::new();
            keys(&body, &mut sent);
            let (known, own) = named(&folder, kind, release);
            let known_here = |name: &String| {
                let allowed = KNOWN_FIELDS.iter().any(|(of, field, _)| *of == kind && field == name);
                known.contains(name) || allowed || ["links", "rel", "href"].contains(&name.as_str())
            };
            let unknown: Vec<&String> = sent.iter().filter(|name| !known_here(name)).collect();
            let basis = if own { "recorded" } else { "other releases" };
            println!("{release} {kind}: {} fields sent, {} known ({basis})", sent.len(), known.len());
            if own {
                println!("  recorded and not sent: {:?}", known.difference(&sent).collect::<Vec<_>>());
            }
            if !unknown.is_empty() {
                strangers.push(format!("{release} {kind} ({basis}): {unknown:?}"));
            }
        }
    }
    assert!(strangers.is_empty(), "fields nobody names:\n{}", strangers.join("\n"));
}

#[tokio::test]
async fn recorded_statistics_are_known_and_no_others() {
    let Some(folder) = folder() else { return };
    let lists = read(&folder.join("names/statistics-names.json"));
    let list = |generation: &str, kind: &str| -> Option<Names> {
        let names = lists[generation][kind]["names"].as_array()?;
        Some(names.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    let mut any: BTreeMap<String, Names> = BTreeMap::new();
    let mut all = Names::new();
    for (_, kinds) in lists.as_object().unwrap() {
        for kind in kinds.as_object().unwrap().keys() {
            for generation in lists.as_object().unwrap().keys() {
                any.entry(kind.clone()).or_default().extend(list(generation, kind).unwrap_or_default());
            }
        }
    }
    any.values().for_each(|names| all.extend(names.iter().cloned()));
    let mut strangers = Vec::new();
    for (release, generations) in [
        (Release::V2_0, &["2.0"][..]),
        (Release::V2_6, &["2.6"]),
        (Release::V3_0, &["3.5"]),
        (Release::V3_6, &["3.6", "3.5", "4.5"]),
        (Release::V4_5, &["4.5"]),
    ] {
        let (_running, caller) = busy(release).await;
        for kind in any.keys().map(String::as_str).chain(["RfcacheDevice"]) {
            let query = json!({"selectedStatisticsList": [{"type": kind, "allIds": "", "properties": ["?"]}]});
            let refusal = caller.post("/api/instances/querySelectedStatistics", query).await.json();
            let message = refusal["message"].as_str().unwrap();
            let Some((_, names)) = message.split_once(" properties should contain only following values: ") else {
                continue;
            };
            let sent: Names = names.split(',').map(str::to_owned).collect();
            let own: Vec<Names> = generations.iter().filter_map(|generation| list(generation, kind)).collect();
            let known: Names = match own.is_empty() {
                false => own.into_iter().flatten().collect(),
                true => any.get(kind).unwrap_or(&all).clone(),
            };
            let unknown: Vec<&String> = sent.difference(&known).filter(|name| !renamed(release, kind, name)).collect();
            println!("{release} {kind}: {} statistics, {} recorded", sent.len(), known.len());
            // What a capture of the release lists is known, all of it.
            let captured = list(generations[0], kind).unwrap_or_default();
            let missing: Vec<&String> = captured.difference(&sent).filter(|name| !gone(release, name)).collect();
            if !missing.is_empty() && release != Release::V3_0 {
                strangers.push(format!("{release} {kind} lacks {missing:?}"));
            }
            if !unknown.is_empty() {
                strangers.push(format!("{release} {kind}: {unknown:?}"));
            }
        }
    }
    assert!(strangers.is_empty(), "statistics nobody names:\n{}", strangers.join("\n"));
}

/// Names that lists have and releases have not.
fn gone(release: Release, name: &str) -> bool {
    // Replaced in 3.6; the description of 4.5.5 still lists them, its capture does not.
    release >= Release::V3_6 && ["fixedReadErrorCount", "BackgroundScanCompareCount"].contains(&name)
}

/// Names that the list of another release proves for this one.
fn renamed(release: Release, kind: &str, name: &str) -> bool {
    match (kind, name) {
        // The list of 4.5 comes from a description without them; exporters of 4.x ask for them.
        (
            "Sdc" | "Volume",
            "userDataSdcReadLatency" | "initiatorSdcId" | "replicationState" | "replicationJournalVolume",
        ) => release >= Release::V3_0,
        _ => false,
    }
}

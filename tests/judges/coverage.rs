//! What do the judges leave out? Each action that the simulator serves is to
//! be called by one of them and obeyed, each object that one of them makes or
//! changes is to be read by another, and what the MDM refuses is to have its
//! symbol and code.

use std::collections::{BTreeMap, BTreeSet};

use scaleio_framework::sim::{self, Exchange, Release};

/// How soon after a write another client reads it, in calls of the judges:
/// one of them looks itself after each write, and some look after a handful.
const SOON: usize = 32;

/// Writes that no client can read back, and why.
const UNSEEN: &[(&str, &str)] = &[
    ("refreshMdmClusterCapabilities", "it looks again at what the members can do, which none of them shows"),
    ("allowCommandsDuringUpgrade", "it shows in what the MDM no longer refuses; the judge adds an MDM"),
    ("updateDeviceOriginalPathname", "both paths of a simulated device are always the same"),
    ("syncNowReplicationConsistencyGroup", "the simulated peer is always in step"),
    ("createReplicationConsistencyGroupSnapshots", "the snapshots are those of the other system"),
    ("overwriteVolumeContent", "volumes have a size here, and no content"),
];

/// Types whose objects an action of another type changes.
fn shown_by(kind: &str, action: &str) -> &'static [&'static str] {
    match (kind, action) {
        ("System", "snapshotVolumes" | "removeConsistencyGroupSnapshots") => &["Volume"],
        ("System", "approveSdc" | "setApprovedSdcIps") => &["Sdc"],
        ("System", action) if action.contains("MaintenanceMode") => &["Sds"],
        ("Sds", "activateDevices" | "clearDevicesError") => &["Device"],
        ("Volume", action) if action.contains("VTreeMigration") => &["VTree"],
        ("Volume", "migrateVTree") => &["Volume", "VTree"],
        ("Host", _) => &["Host", "Sdc"],
        ("FaultSet", "clearFaultSet") => &["FaultSet", "Sds"],
        _ => &[],
    }
}

/// A write that was obeyed: type, action (none makes an object), and which object.
struct Write<'a> {
    kind: &'a str,
    action: Option<&'a str>,
    object: Option<&'a str>,
}

fn write(exchange: &Exchange) -> Option<Write<'_>> {
    if exchange.method != "POST" || exchange.status != 200 {
        return None;
    }
    let path: Vec<&str> = exchange.path.split('/').collect();
    match path.as_slice() {
        ["", "api", "types", kind, "instances"] => Some(Write { kind, action: None, object: exchange.made.as_deref() }),
        ["", "api", "instances", object, "action", action] if !action.starts_with("query") => Some(Write {
            kind: object.split("::").next().unwrap_or(object),
            action: Some(action),
            object: exchange.object.as_deref(),
        }),
        _ => None,
    }
}

/// Whether this is a look at what was written.
fn shows(exchange: &Exchange, write: &Write<'_>) -> bool {
    let path: Vec<&str> = exchange.path.split('/').collect();
    let others = shown_by(write.kind, write.action.unwrap_or_default());
    let kinds: Vec<&str> = if others.is_empty() { vec![write.kind] } else { others.to_vec() };
    match path.as_slice() {
        ["", "api", "instances", object] => {
            let (kind, one) = object.split_once("::").unwrap_or((object, ""));
            // What is changed through another object has another id.
            // Nor does the path say which object it is when the body does.
            let same = !others.is_empty()
                || one.is_empty()
                || write.object.is_none()
                || exchange.object.as_deref() == write.object;
            kinds.contains(&kind) && (same || write.kind == "System")
        }
        ["", "api", "types", kind, "instances"] => exchange.method == "GET" && kinds.contains(kind),
        ["", "api", "instances", "System", "queryMdmCluster"] => write.kind == "System",
        _ => false,
    }
}

/// What is missing of a whole session's calls, a line each.
pub(crate) fn missing(sessions: &[(Release, Vec<Exchange>)], clients: &[&str]) -> Vec<String> {
    let mut obeyed: BTreeSet<(String, String)> = BTreeSet::new();
    let mut unread: BTreeMap<(String, String), bool> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (release, exchanges) in sessions {
        let of_judges = |exchange: &&Exchange| exchange.user.as_deref().is_some_and(|user| clients.contains(&user));
        let calls: Vec<&Exchange> = exchanges.iter().filter(of_judges).collect();
        for (at, call) in calls.iter().enumerate() {
            // The MDM's refusals are 500. While it changes hands the gateway answers for
            // it, without a code; nobody writes then.
            if call.method == "POST"
                && call.status == 500
                && call.refusal.is_none_or(|(symbol, code)| symbol.is_empty() || code == 0)
            {
                wrong.push(format!("{release}: {} {} is refused without symbol and code", call.method, call.path));
            }
            let Some(write) = write(call) else { continue };
            let read =
                calls.iter().skip(at + 1).take(SOON).any(|later| later.user != call.user && shows(later, &write));
            let key = (write.kind.to_owned(), write.action.unwrap_or("(made)").to_owned());
            obeyed.insert(key.clone());
            *unread.entry(key).or_insert(false) |= read;
        }
    }
    let unseen = |action: &str| UNSEEN.iter().any(|(name, _)| *name == action);
    for ((kind, action), read) in &unread {
        if !read && !unseen(action) {
            wrong.push(format!("{kind} {action}: no other client reads it back"));
        }
    }
    for (kind, action, since) in sim::served_actions() {
        if !obeyed.contains(&(kind.to_owned(), action.to_owned())) {
            wrong.push(format!("{kind} {action} (since {since}): no judge calls it"));
        }
    }
    for (action, _) in UNSEEN {
        if !obeyed.iter().any(|(_, name)| name == action) {
            wrong.push(format!("{action} is said to be unseen, but nobody calls it"));
        }
    }
    wrong
}

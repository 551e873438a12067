//! Does the page say the gravest first, and is what it lists bounded?

use chrono::TimeDelta;

use super::*;
use crate::model::alerting::{AlertState, Annotations, Labels, Severity, Source};
use crate::model::cluster::{Sds, System};
use crate::model::id::{ObjectId, SystemId};
use crate::model::observed::Observed;
use crate::model::snapshot::{Part, Table};
use crate::model::state::{Connection, Maintenance, Membership, SdsState, Seen};
use crate::model::stats::{Columns, StatTable, Statistics};
use crate::model::version::{Generation, ProductVersion};

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn part<T>(value: T) -> Option<Part<T>> {
    Some(Part { begun_at: now(), taken_at: now(), value: Arc::new(value) })
}

/// A system of which the MDM tells these amounts, in bytes, and that is well otherwise.
fn snapshot(stats: &[(Stat, f64)]) -> Snapshot {
    let system = SystemId::new("prod");
    let mut snapshot = Snapshot::empty(system, Generation::V3_5, 1, now());
    snapshot.array =
        part(System { version: ProductVersion::read("R3_6.0"), ..System::unknown(ObjectId::from_number(1).into()) });
    let columns = Columns::new(stats.iter().map(|(stat, _)| *stat));
    let values = stats.iter().map(|(_, value)| *value).collect();
    let table = StatTable::new(columns, vec![ObjectId::from_number(1)], values);
    snapshot.statistics = part(Statistics::new([(StatKind::System, table)].into()));
    snapshot
}

fn server(number: u64, connection: Connection) -> Sds {
    Sds {
        name: Some(format!("sds-{number}").into()),
        state: Seen::Is(SdsState::Normal),
        membership: Seen::Is(Membership::Joined),
        connection: Seen::Is(connection),
        maintenance: Seen::Is(Maintenance::None),
        ..Sds::unknown(ObjectId::from_number(number).into())
    }
}

fn sources(snapshot: Option<Snapshot>) -> Sources {
    let mut picture = Picture::unseen(SystemId::new("prod"), now(), Observed::default());
    picture.health.last_poll_succeeded = snapshot.is_some();
    picture.snapshot = snapshot.map(Arc::new);
    Sources {
        now: now(),
        pictures: [(SystemId::new("prod"), Arc::new(picture))].into(),
        firing: None,
        handled: Arc::default(),
        silences: Vec::new(),
        records: Vec::new(),
        pasts: Arc::default(),
        forecasts: Arc::default(),
        works: Arc::default(),
        framework: None,
        workloads: None,
        receivers: Vec::new(),
        problems: Vec::new(),
        started_at: now() - TimeDelta::hours(1),
    }
}

fn alert(number: usize, severity: Severity) -> (Fingerprint, Alert) {
    let labels = Labels::from([("sds".to_owned(), format!("sds-{number}"))]);
    let alert = Alert {
        name: "Away".to_owned(),
        system: Some(SystemId::new("prod")),
        area: "sds".to_owned(),
        severity,
        labels,
        annotations: Annotations::default(),
        reading: None,
        active_since: now(),
        state: AlertState::Firing { fired_at: now() },
        source: Source::Rule,
    };
    (alert.fingerprint(), alert)
}

fn says(sources: &Sources) -> (Tone, String) {
    let overview = overview(sources, None);
    (overview.tone, overview.sentence)
}

const GIB: f64 = 1_073_741_824.0;

#[test]
fn the_sentence_tells_the_gravest_first() {
    let well = [(Stat::DegradedFailedCapacityInKb, 0.0), (Stat::FailedCapacityInKb, 0.0)];
    let lost = [(Stat::DegradedFailedCapacityInKb, 3.0 * GIB), (Stat::FailedCapacityInKb, GIB)];
    let degraded = [
        (Stat::DegradedFailedCapacityInKb, 3.0 * GIB),
        (Stat::FailedCapacityInKb, 0.0),
        (Stat::PendingBckRebuildCapacityInKb, 3.0 * GIB),
    ];
    // The MDM cluster is not told here, which is a problem of its own.
    let said = says(&sources(Some(snapshot(&well))));
    assert_eq!(said, (Tone::Warn, "All data has all its copies, but the MDM cluster is not told.".to_owned()));
    let (tone, text) = says(&sources(Some(snapshot(&degraded))));
    assert_eq!(tone, Tone::Warn);
    assert_eq!(text, "All data can be read, but 3.0 GiB of it has one copy only; no rebuild moves it.");
    let (tone, text) = says(&sources(Some(snapshot(&lost))));
    assert_eq!((tone, text.as_str()), (Tone::Bad, "1.0 GiB of data in prod cannot be reached."));
    let (tone, text) = says(&sources(None));
    assert_eq!((tone, text.as_str()), (Tone::Bad, "Nothing is known of prod: it does not answer."));
    let mut fresh = sources(None);
    fresh.started_at = now();
    assert_eq!(says(&fresh).0, Tone::Busy);
    let mut empty = sources(None);
    empty.pictures.clear();
    assert_eq!(says(&empty).1, "No system is configured.");
}

#[test]
fn a_storm_of_alerts_is_bounded_and_what_nobody_knows_of_comes_first() {
    let mut sources = sources(Some(snapshot(&[(Stat::FailedCapacityInKb, 0.0)])));
    let alerts: BTreeMap<_, _> = (0..1000).map(|number| alert(number, Severity::Warning)).collect();
    let (first, _) = alert(7, Severity::Warning);
    let mut handled: BTreeMap<_, _> = alerts
        .keys()
        .map(|fingerprint| (*fingerprint, Handled { muted: Some("silenced".to_owned()), ..Handled::default() }))
        .collect();
    handled.remove(&first);
    sources.handled = Arc::new(handled);
    sources.firing = Some(Arc::new(FiringSet { at: now(), based_on: BTreeMap::new(), alerts }));
    let overview = overview(&sources, None);
    assert_eq!((overview.alerts.len(), overview.more_alerts), (ALERTS, 1000 - ALERTS));
    assert_eq!(overview.alerts[0].fingerprint, first);
}

#[test]
fn the_page_of_a_thousand_servers_that_are_all_away_is_small() {
    let mut all = snapshot(&[(Stat::FailedCapacityInKb, GIB)]);
    all.sds = part(Table::new((1..=1024).map(|number| server(number, Connection::Disconnected)).collect()));
    let mut sources = sources(Some(all));
    let alerts = (1..=1024).map(|number| alert(number, Severity::Critical)).collect();
    sources.firing = Some(Arc::new(FiringSet { at: now(), based_on: BTreeMap::new(), alerts }));
    let overview = overview(&sources, None);
    let servers: Vec<&Server> = overview.systems[0].domains[0].sets[0].servers.iter().collect();
    assert_eq!((servers.len(), servers[1].name.as_str(), servers[1].tone), (1024, "sds-2", Tone::Bad));
    let page = crate::web::page::page(&overview, None, "x.1", &crate::web::page::Reader::default()).into_string();
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

#[test]
fn a_pool_that_grows_has_its_date_and_nobody_is_told_of_the_next_century() {
    let soon = after(now(), 10.0 * 86_400.0).unwrap();
    assert_eq!(soon, now() + TimeDelta::days(10));
    assert_eq!(after(now(), f64::INFINITY), None);
    assert_eq!(after(now(), f64::NAN), None);
    assert_eq!(after(now(), -1.0), None);
}

#[test]
fn a_server_in_maintenance_by_a_run_is_no_problem_and_one_without_is() {
    use crate::model::overview::RunShown;
    let mut shown = snapshot(&[(Stat::DegradedFailedCapacityInKb, 0.0), (Stat::FailedCapacityInKb, 0.0)]);
    let away = Sds { maintenance: Seen::Is(Maintenance::In), ..server(1, Connection::Connected) };
    shown.sds = part(Table::new(vec![away, server(2, Connection::Connected)]));
    // Of its MDM cluster nothing is told here.
    shown.array = None;
    let mut sources = sources(Some(shown));
    let attention = "All data has all its copies, but SDS sds-1 is in maintenance.";
    assert_eq!(says(&sources), (Tone::Warn, attention.to_owned()));
    let run = |system: &str| RunShown {
        what: "upgrade to 3.6.1".to_owned(),
        system: Some(system.to_owned()),
        state: "goes on".to_owned(),
        tone: Tone::Busy,
        done: 3,
        total: 12,
        ..RunShown::default()
    };
    sources.works = Arc::new(Works { runs: vec![run("prod")], ..Works::default() });
    let planned = "prod is healthy: all data has all its copies; upgrade to 3.6.1 goes on, 3 of 12 steps are done.";
    assert_eq!(says(&sources), (Tone::Busy, planned.to_owned()));
    assert_eq!(overview(&sources, None).systems[0].word, "in maintenance, as planned");
    sources.works = Arc::new(Works { runs: vec![run("other")], ..Works::default() });
    assert_eq!(says(&sources).1, attention, "a run of another system explains nothing");
}

#[test]
fn a_thousand_nodes_are_a_short_list_and_a_way_to_all() {
    let mut sources = sources(Some(snapshot(&[(Stat::FailedCapacityInKb, 0.0)])));
    let node = |number: usize, tone, phase: &str| NodeShown {
        name: format!("node-{number:04}.storage.example.test"),
        system: Some("prod".to_owned()),
        tone,
        phase: phase.to_owned(),
        why: vec!["it waits for the MDM cluster: MDM n-1 is OutOfSync".to_owned(); 3],
        offer: Some("went back: nothing is to be done there".to_owned()),
        ..NodeShown::default()
    };
    let written = |sources: &Sources| {
        let parts = crate::web::page::parts(&overview(sources, None));
        parts.into_iter().find(|part| part.id == "nodes").map(|part| part.inner).unwrap_or_default()
    };
    for (tone, phase) in [(Tone::Good, "ready"), (Tone::Bad, "failed")] {
        sources.works =
            Arc::new(Works { nodes: (0..1024).map(|number| node(number, tone, phase)).collect(), ..Works::default() });
        let part = written(&sources);
        assert!(part.contains(&format!("1024 {phase}")) && part.contains("href=\"nodes\""), "{part}");
        assert!(part.len() < 12_000, "{} bytes go to each open page when one node changes", part.len());
    }
}

#[test]
fn what_is_worked_on_is_shown_with_its_reasons_as_text() {
    use crate::model::overview::{HoldShown, JobShown, PlanShown, RunShown, WaveShown};
    let mut sources = sources(Some(snapshot(&[(Stat::FailedCapacityInKb, 0.0)])));
    let written = |sources: &Sources| {
        crate::web::page::page(&overview(sources, None), None, "x.1", &crate::web::page::Reader::default())
            .into_string()
    };
    let empty = written(&sources);
    for absent in ["Work under way", "h-plans", "h-nodes", "h-jobs"] {
        assert!(!empty.contains(absent), "{absent} without any");
    }
    sources.works = Arc::new(Works {
        nodes: vec![NodeShown {
            name: "<b>node</b>".to_owned(),
            tone: Tone::Warn,
            phase: "waits".to_owned(),
            why: vec!["a disk has data on it".to_owned(), "its clock is off".to_owned()],
            ..NodeShown::default()
        }],
        runs: vec![RunShown {
            id: "run-1".to_owned(),
            what: "upgrade to 3.6.1".to_owned(),
            tone: Tone::Busy,
            state: "holds".to_owned(),
            done: 3,
            total: 12,
            waves: vec![WaveShown { name: "canary".to_owned(), done: 1, total: 1, ..WaveShown::default() }],
            ends_at: Some(now() + TimeDelta::hours(2)),
            holds: vec![
                HoldShown {
                    why: "a rebuild runs".to_owned(),
                    whom: "12 nodes".to_owned(),
                    clears: Some("its end".to_owned()),
                    since: Some(now()),
                };
                3
            ],
            ..RunShown::default()
        }],
        plans: vec![
            PlanShown {
                id: "0123456789abcdef".to_owned(),
                what: "restart <node-2>".to_owned(),
                system: "prod".to_owned(),
                made_at: now(),
                minutes: 21,
                waves: vec![WaveShown { name: "packages".to_owned(), total: 5, ..WaveShown::default() }],
            };
            7
        ],
        jobs: vec![JobShown {
            name: "nightly".to_owned(),
            schedule: "0 3 * * *".to_owned(),
            next: Some(now() + TimeDelta::hours(15)),
            ..JobShown::default()
        }],
    });
    let page = written(&sources);
    for said in [
        "&lt;b&gt;node&lt;/b&gt;",
        "a disk has data on it",
        "Work under way",
        "upgrade to 3.6.1",
        "3 of 12 steps",
        "and 1 more reason",
        ": a rebuild runs</b> (12 nodes). To go on it takes its end.",
        "2 more reasons</summary>",
        "canary",
        "restart &lt;node-2&gt;",
        "takes about 21 minutes: <code>sio approve 0123456789ab</code>",
        "packages <small>5 nodes</small>",
        "and 2 more: <code>sio runs</code>",
        "0 3 * * *",
    ] {
        assert!(page.contains(said), "{said} is missing: {page}");
    }
}

//! What tests tell of: alerts, notifications, settings, and how mails are read.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use scaleio_framework::alert::mail::Settings;
use scaleio_framework::alert::outbox::Limits;
use scaleio_framework::config::{LinkKey, Login, Mail, MailHost, MailTls, Trust};
use scaleio_framework::model::alerting::*;
use scaleio_framework::model::id::SystemId;
use scaleio_framework::model::status::*;
use scaleio_framework::store::Disk;
use serde::Deserialize;

pub type Timestamp = DateTime<Utc>;

pub const DOMAIN: &str = "sio.example.test";

pub fn at(text: &str) -> Timestamp {
    format!("2026-11-24T{text}:00Z").parse().unwrap()
}

pub fn alert(name: &str, severity: Severity, summary: &str) -> Alert {
    let pairs = [("alertname", name), ("severity", severity.as_str()), ("system", "prod"), ("object", summary)];
    Alert {
        name: name.to_owned(),
        system: Some(SystemId::new("prod")),
        area: "sds".to_owned(),
        severity,
        labels: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        annotations: Annotations { summary: summary.to_owned(), ..Annotations::default() },
        reading: None,
        active_since: at("12:58"),
        state: AlertState::Firing { fired_at: at("13:00") },
        source: Source::Rule,
    }
}

pub fn item(alert: Alert) -> Item {
    Item::new(alert)
}

pub fn note(id: &str, kind: Kind, items: Vec<Item>) -> Notification {
    let group = GroupKey::new(Some(SystemId::new("prod")), "sds");
    Notification {
        recipients: vec!["ops@example.test".to_owned()],
        items,
        ..Notification::new(NotificationId::parse(id).unwrap(), at("13:00"), kind, group)
    }
}

pub fn silence() -> Silence {
    Silence {
        id: SilenceId::new(7),
        matchers: vec![Matcher::parse("sds=\"sds3\"").unwrap()],
        owner: "kim".to_owned(),
        reason: "new cable".to_owned(),
        from: at("11:00"),
        until: at("14:00"),
        via: Via::Cli,
    }
}

pub fn info(id: &str) -> Notification {
    note(id, Kind::Firing, vec![item(alert("Some", Severity::Info, &format!("Something about {id}.")))])
}

pub fn critical(id: &str) -> Notification {
    note(id, Kind::Firing, vec![item(alert("Grave", Severity::Critical, &format!("Something grave about {id}.")))])
}

/// A mail with everything in it that a mail can have.
pub fn full() -> Notification {
    let mut sds = alert("ScaleioSdsDisconnected", Severity::Critical, "SDS sds3 disconnected (1 of 5).");
    sds.labels.remove("object");
    sds.labels.extend([
        ("sds".to_owned(), "sds3".to_owned()),
        ("protection_domain".to_owned(), "pd1".to_owned()),
        ("instance".to_owned(), "10.0.3.17:7072".to_owned()),
    ]);
    sds.annotations.description = "The MDM does not hear SDS sds3 of pd1: its data has one copy only until the rebuild is done. Look whether the host is up, then at its network and the SDS service, in that order.\nDo not take another SDS of pd1 into maintenance.".to_owned();
    sds.annotations.runbook_url = Some("https://sio.example.test/runbooks/ScaleioSdsDisconnected".to_owned());
    let mut degraded = alert("ScaleioDataDegraded", Severity::Warning, "1.1 TiB of pool ssd have one copy only.");
    degraded.labels.insert("object".to_owned(), "pd1/ssd".to_owned());
    degraded.area = "protection".to_owned();
    degraded.reading = Some(Reading {
        value: Number(1.2e12),
        peak: Some(Number(1.4e12)),
        threshold: Some(Number(0.0)),
        unit: Unit::Bytes,
    });
    degraded.active_since = at("12:59");
    let mut vendor = alert("SDS_DISCONNECTED", Severity::Warning, "MDM raises SDS_DISCONNECTED.");
    vendor.labels.insert("object".to_owned(), "sds3".to_owned());
    vendor.source = Source::Mdm {
        text: "SDS is disconnected from the MDM.".to_owned(),
        repair: Some("Verify that the SDS service is running and that its network is reachable.".to_owned()),
    };
    let hurt = Affected {
        volumes: (1..=15).map(|n| format!("vol-{n:02}")).collect(),
        clients: vec!["node-7".to_owned(), "node-9".to_owned()],
        tasks: vec!["postgres.4c1f".to_owned()],
        apps: vec!["/shop/postgres".to_owned()],
        ..Affected::default()
    };
    let items = vec![Item { hurt, ..Item::new(sds) }, item(degraded), item(vendor)];
    let mut note = note("20261124t130000000-7", Kind::Firing, items);
    note.recipients = vec!["ops@example.test".to_owned(), "oncall@example.test".to_owned()];
    note.charts = vec![Chart {
        title: "Degraded data of pool ssd, last 6 hours".to_owned(),
        unit: Unit::Bytes,
        from: at("07:00"),
        step_seconds: 900,
        values: (0..24)
            .map(|n| (n != 3).then(|| Number(if n < 22 { 0.0 } else { f64::from(n - 21) * 6e11 })))
            .collect(),
        threshold: None,
    }];
    note.changes = vec![
        Change { at: at("12:41"), what: "sds2 left maintenance (upgrade 3.6 to 4.0, node 2 of 5)".to_owned() },
        Change { at: at("12:57"), what: "primary MDM moved from mdm1 to mdm2".to_owned() },
    ];
    note.held = vec![Held {
        at: at("12:30"),
        severity: Severity::Info,
        summary: "Latency of pool hdd is unusual for the last week".to_owned(),
        reason: HoldReason::QuietHours,
    }];
    note.status = Some(status());
    note.outlook = Outlook { rebuild_seconds: Some(Number(4_320.0)), days_to_full: Some(Number(43.2)) };
    note.links.dashboard =
        Some("https://grafana.example.test/d/scaleio-sds?from=1&to=2&var-system=prod&var-sds=sds3".to_owned());
    note.commands = vec!["sio status --system prod".to_owned()];
    note
}

/// How `full` ended.
pub fn resolution() -> Notification {
    let mut note = full();
    note.id = NotificationId::parse("20261124t131200000-9").unwrap();
    note.kind = Kind::Resolved;
    note.created_at = at("13:12");
    note.items.truncate(2);
    for (item, ended_by) in note.items.iter_mut().zip(["the SDS connected again", "the rebuild finished"]) {
        item.alert.state = AlertState::Resolved {
            fired_at: at("13:00"),
            resolved_at: at("13:11"),
            ended_by: Some(ended_by.to_owned()),
        };
    }
    note.held.clear();
    note.charts[0].from = at("07:15");
    note.charts[0].values.rotate_left(1);
    note.charts[0].values[23] = Some(Number(0.0));
    note.status = Some(SystemStatus {
        sds: Some(Connected { connected: 5, total: 5 }),
        data: Some(DataStatus { degraded_bytes: 0, failed_bytes: 0 }),
        rebuild: Some(RebuildStatus { left_bytes: 0, bytes_per_second: None }),
        ..status()
    });
    note.outlook.rebuild_seconds = None;
    let root = MessageId::of(&full().id, DOMAIN);
    note.thread = Thread::Reply { root: root.clone(), last: root };
    note
}

pub fn weekly() -> Notification {
    let pool = |name: &str, used: f64, size: f64, growth: Option<f64>, days: Option<f64>| PoolReport {
        name: name.to_owned(),
        used: Number(used),
        used_bytes: Number(used * size),
        usable_bytes: Number(size),
        growth_bytes: growth.map(Number),
        days_to_full: days.map(Number),
    };
    let incident = |summary: &str, severity, from: &str, to: Option<&str>| Incident {
        summary: summary.to_owned(),
        severity,
        from: from.parse().unwrap(),
        to: to.map(|to| to.parse().unwrap()),
    };
    let report = Report {
        from: "2026-11-15T23:00:00Z".parse().unwrap(),
        to: "2026-11-22T23:00:00Z".parse().unwrap(),
        pools: vec![
            pool("pd1/ssd", 0.913, 11e12, Some(4.2e11), Some(16.0)),
            pool("pd1/hdd", 0.824, 64e12, Some(1.1e12), Some(71.0)),
            pool("pd2/nvme-fast", 0.377, 22e12, Some(-2.4e11), None),
            pool("pd2/archive", 0.02, 110e12, None, None),
        ],
        critical: 2,
        warning: 7,
        info: 11,
        incidents: vec![
            incident(
                "Device sdf of sds4 is 4 times slower than its pool",
                Severity::Warning,
                "2026-11-20T08:15:00Z",
                None,
            ),
            incident("SDS sds3 disconnected", Severity::Critical, "2026-11-18T02:10:00Z", Some("2026-11-18T02:52:00Z")),
        ],
        protected: Some(Number(0.9958)),
        answered: Some(Number(1.0)),
        rebuild: Some(RebuildReport { seconds: Number(2_520.0), most_bytes: Number(1.2e12), left_bytes: Number(0.0) }),
        silences: vec![Silence {
            from: "2026-11-22T11:00:00Z".parse().unwrap(),
            until: "2026-11-29T11:00:00Z".parse().unwrap(),
            ..silence()
        }],
        advice: vec![
            "Order capacity for pd1/ssd: it is full in 16 days at this growth.".to_owned(),
            "Replace device sdf of sds4: it has been slow for 3 days.".to_owned(),
        ],
    };
    let mut note = note("20261123t060000000-3", Kind::Report(Box::new(report)), Vec::new());
    note.created_at = "2026-11-23T06:00:00Z".parse().unwrap();
    note.group.area = "report".to_owned();
    note.status = Some(status());
    note.links.dashboard = Some("https://grafana.example.test/d/scaleio-capacity?var-system=prod".to_owned());
    note
}

fn status() -> SystemStatus {
    SystemStatus {
        system: "prod".to_owned(),
        up: true,
        generation: Some("3.6".to_owned()),
        version: None,
        gateway: None,
        mdm: Some(MdmStatus {
            state: "ClusteredNormal".to_owned(),
            mode: "ThreeNodes".to_owned(),
            primary: Some("mdm2".to_owned()),
            good_nodes: Some(3),
        }),
        sds: Some(Connected { connected: 4, total: 5 }),
        sdcs: None,
        devices: None,
        capacity: Some(CapacityStatus { max_bytes: 22_000_000_000_000, in_use_bytes: 13_400_000_000_000 }),
        data: Some(DataStatus { degraded_bytes: 1_200_000_000_000, failed_bytes: 0 }),
        rebuild: Some(RebuildStatus { left_bytes: 1_200_000_000_000, bytes_per_second: Some(2.9e8) }),
        snapshot: None,
        problems: Vec::new(),
    }
}

/// Mail settings for servers on loopback, with waits that a test can wait for.
pub fn mail(ports: &[u16], tls: MailTls, trust: Trust) -> Mail {
    let second = Duration::from_secs(1);
    Mail {
        hosts: ports.iter().map(|port| MailHost { name: "127.0.0.1".to_owned(), port: *port }).collect(),
        tls,
        trust,
        certificate: None,
        login: (tls != MailTls::None).then(|| Login::new("sio", "s3cret-word")),
        hello: Some("ctl1.example.test".to_owned()),
        from: "ScaleIO alerts <sio@example.test>".parse().unwrap(),
        envelope_from: Some("bounces@example.test".parse().unwrap()),
        reply_to: Some("storage-team@example.test".parse().unwrap()),
        to: vec!["ops@example.test".parse().unwrap()],
        domain: DOMAIN.to_owned(),
        subject_prefix: String::new(),
        time_zone: chrono_tz::Europe::Berlin,
        base_url: Some("https://sio.example.test/".parse().unwrap()),
        dashboards_url: None,
        link_key: LinkKey::new(&[7; 32]),
        link_valid: Duration::from_secs(86_400),
        bulk_headers: true,
        attach_json: false,
        connect_timeout: 5 * second,
        command_timeout: 5 * second,
        final_timeout: 5 * second,
        give_up: Duration::from_secs(48 * 3600),
        outbox_max: 2_000,
        outbox_max_bytes: 64 << 20,
    }
}

pub fn settings() -> Settings {
    Settings::new(&mail(&[1], MailTls::StartTls, Trust::SystemRoots), "ctl1.example.test")
}

pub fn limits() -> Limits {
    Limits::new(&mail(&[1], MailTls::StartTls, Trust::SystemRoots))
}

/// What Python's `email` finds in a mail.
#[derive(Debug, Deserialize)]
#[allow(dead_code)]
pub struct Read {
    pub headers: std::collections::BTreeMap<String, Vec<String>>,
    pub raw_header_names: Vec<String>,
    pub to: Vec<String>,
    pub subject: String,
    pub defects: Vec<String>,
    pub structure: String,
    pub parts: Vec<String>,
    pub encodings: Vec<String>,
    pub charsets: Vec<Option<String>>,
    pub text: String,
    pub first_lines: Vec<String>,
    pub same_facts: bool,
    pub differ: Option<serde_json::Value>,
    pub odd_html: Vec<String>,
    pub links: Vec<String>,
    pub longest_line: usize,
    pub ascii: bool,
    pub text_width: usize,
    pub id: String,
    pub refers: Vec<String>,
    pub thread: String,
}

impl Read {
    pub fn header(&self, name: &str) -> &str {
        match self.headers.get(name).map(Vec::as_slice) {
            Some([only]) => only,
            other => panic!("{name} is there {} times in {:?}", other.map_or(0, <[String]>::len), self.headers),
        }
    }

    /// What holds for every mail whatever it tells.
    pub fn is_well_made(&self) {
        assert_eq!(self.defects, [""; 0], "{}", self.subject);
        assert!(self.same_facts, "text and HTML of {:?} differ: {:?}", self.subject, self.differ);
        assert_eq!(self.odd_html, [""; 0]);
        assert!(self.ascii && self.longest_line <= 998, "{} bytes in a line", self.longest_line);
        assert_eq!(self.parts.get(..2).unwrap(), ["text/plain", "text/html"]);
        assert_eq!(self.encodings.get(..2).unwrap(), ["quoted-printable", "quoted-printable"]);
        assert_eq!(self.charsets.get(..2).unwrap(), [Some("utf-8".to_owned()), Some("utf-8".to_owned())]);
        assert_eq!(self.header("Auto-Submitted"), "auto-generated");
    }
}

/// Reads messages with Python, which knows nothing of us.
pub fn read(mails: &[impl AsRef<[u8]>]) -> Vec<Read> {
    let folder = tempfile::tempdir().unwrap();
    let paths = mails.iter().enumerate().map(|(n, mail)| {
        let path = folder.path().join(format!("{n:05}.eml"));
        std::fs::write(&path, mail).unwrap();
        path.into_os_string().into_string().unwrap()
    });
    python(&paths.collect::<Vec<_>>())
}

pub fn read_mbox(path: &Path) -> Vec<Read> {
    python(&["--mbox".to_owned(), path.display().to_string()])
}

fn python(arguments: &[String]) -> Vec<Read> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/read_mail.py");
    let output = Command::new("python3").arg(script).args(arguments).output().expect("python3 is needed to read mails");
    assert!(output.status.success(), "read_mail.py: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Waits for something that must come, and says what when it does not.
pub async fn wait_for<T>(what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(seen) = seen() {
            return seen;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come within 60 s");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until nobody has a disk open: the thread of a commit that was on its
/// way holds it for a moment after the tasks are gone.
pub async fn let_go(disk: &Disk) {
    drop(wait_for("a disk that is free", || disk.open().ok()).await);
}

//! What mails say, as a stranger's parser reads it.

use chrono::TimeDelta;
use scaleio_framework::alert::mail::link::{self, Act};
use scaleio_framework::alert::mail::render;
use scaleio_framework::config::LinkKey;
use scaleio_framework::model::alerting::*;
use scaleio_framework::model::id::{NodeName, RunId, SystemId};
use scaleio_framework::model::lifecycle::{RunReport, TaskReport};

use crate::world::*;

fn mail(note: &Notification) -> Vec<u8> {
    render(note, &settings(), note.created_at).unwrap().formatted()
}

fn one(note: &Notification) -> Read {
    read(&[mail(note)]).remove(0)
}

fn with(mut note: Notification, change: impl FnOnce(&mut Notification)) -> Notification {
    change(&mut note);
    note
}

fn every_kind() -> Vec<Notification> {
    let plain = |id: &str, kind: Kind| with(full(), |n| (n.id, n.kind) = (NotificationId::parse(id).unwrap(), kind));
    vec![
        full(),
        resolution(),
        weekly(),
        plain("update-1", Kind::Update),
        plain("reminder-1", Kind::Reminder),
        plain("meanwhile-1", Kind::HappenedMeanwhile),
        plain("digest-1", Kind::Digest),
        plain("flapping-1", Kind::Flapping { changes: 4, since: at("12:48") }),
        plain("storm-1", Kind::Storm { critical: 12, warning: 20, info: 5 }),
        plain("escalation-1", Kind::Escalation { told: vec!["ops@example.test".to_owned()], since: at("12:30") }),
        plain("silence-1", Kind::SilenceEnds { silence: silence() }),
        run_over(),
        note("heartbeat-1", Kind::Heartbeat, Vec::new()),
        note("test-1", Kind::Test { by: "ops at ctl1".to_owned() }, Vec::new()),
    ]
}

/// A run that failed at its second server, with an alert that it kept quiet.
fn run_over() -> Notification {
    let task = |stage: &str, node: &str, standing: &str, seconds: Option<i64>, why: Option<&str>| TaskReport {
        stage: stage.to_owned(),
        node: NodeName::new(node),
        standing: standing.to_owned(),
        seconds,
        single_copy_seconds: if stage == "sds" { seconds.unwrap_or_default() / 2 } else { 0 },
        why: why.map(Into::into),
    };
    let report = RunReport {
        system: SystemId::new("prod"),
        run: RunId::new("run-0007"),
        what: "upgrade to R3_6.700.103".to_owned(),
        approved_by: "ada".to_owned(),
        opened_at: at("12:18"),
        ended_at: at("13:00"),
        end: "halted".to_owned(),
        why: Some("node-2: the service did not start".into()),
        single_copy_seconds: 420,
        tasks: vec![
            task("packages", "node-1", "done", Some(20), None),
            task("packages", "node-2", "done", Some(21), None),
            task("sds", "node-1", "done", Some(600), None),
            task("sds", "node-2", "undone", Some(240), Some("the service did not start")),
            task("sds", "node-3", "waiting", None, None),
        ],
        more: 0,
    };
    let held = Held {
        at: at("12:30"),
        severity: Severity::Warning,
        summary: "SDS sds1 disconnected".to_owned(),
        reason: HoldReason::Work { what: "node-1 in work".to_owned() },
    };
    with(note("run-1", Kind::RunOver(Box::new(report)), Vec::new()), |n| {
        n.created_at = at("13:00");
        n.group.area = "work".to_owned();
        n.held = vec![held.clone()];
    })
}

#[test]
fn the_mail_at_the_end_of_a_run_says_what_became_of_each_node_and_what_was_not_told() {
    let mail = one(&run_over());
    assert_eq!(mail.first_lines[0], "HALTED: Upgrade to R3_6.700.103");
    let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "It halted: node-2: the service did not start.",
        "run-0007, approved by ada.",
        "sds: 1 of 3 done",
        "node-2, sds: the service did not start",
        "node-1: packages done (20 s), sds done (10 min)",
        "node-3: sds waiting",
        "warning: SDS sds1 disconnected (explained by node-1 in work)",
    ] {
        assert!(text.contains(said), "{said} is not in\n{}", mail.text);
    }
}

#[test]
fn text_and_html_of_every_kind_say_the_same_and_hold_nothing_foreign() {
    let notes = every_kind();
    let mails = read(&notes.iter().map(mail).collect::<Vec<_>>());
    for (note, mail) in notes.iter().zip(&mails) {
        mail.is_well_made();
        assert_eq!(mail.structure, "multipart/alternative");
        assert_eq!(mail.header("X-Scaleio-Status"), note.kind.as_str());
        assert_eq!(mail.id, format!("<{}@{DOMAIN}>", note.id));
        assert!(mail.subject.chars().count() <= 78, "{}", mail.subject);
        assert!(mail.text.contains(note.id.as_str()), "the footer names the notification");
        assert!(mail.text.contains("route default"), "the footer says why the reader got it");
    }
}

#[test]
fn subjects_begin_with_what_matters() {
    let subjects: Vec<String> =
        read(&every_kind().iter().map(mail).collect::<Vec<_>>()).into_iter().map(|m| m.subject).collect();
    assert_eq!(
        subjects,
        [
            "[CRITICAL \u{d7}1, WARNING \u{d7}2] prod: SDS",
            "[RESOLVED] prod: SDS, after 13 min",
            "[REPORT] prod: capacity and health, 16 Nov to 22 Nov",
            "[CRITICAL \u{d7}1, WARNING \u{d7}2] prod: SDS",
            "[CRITICAL \u{d7}1, WARNING \u{d7}2, 2 min] prod: SDS",
            "[RESOLVED] prod: SDS while mail was down",
            "[DIGEST] prod: 3 open, 0 resolved, 24 Nov",
            "[FLAPPING] prod: SDS, 4 changes in 12 min",
            "[STORM] prod: 37 alerts, 12 critical",
            "[CRITICAL \u{d7}1, WARNING \u{d7}2, ESCALATED] prod: SDS, not acknowledged for 30 min",
            "[SILENCE ENDS] prod: sds=\"sds3\" of kim",
            "[HALTED] prod: upgrade to R3_6.700.103, after 42 min",
            "[HEARTBEAT] prod: alert mails arrive, 24 Nov",
            "[TEST] prod: a mail to try the way",
        ]
    );
    let single = with(full(), |n| n.items.truncate(1));
    assert_eq!(one(&single).subject, "[CRITICAL] prod: SDS sds3 disconnected (1 of 5)");
    let over = with(resolution(), |n| n.items.truncate(1));
    assert_eq!(one(&over).subject, "[RESOLVED] prod: SDS sds3 disconnected (1 of 5), after 13 min");
}

#[test]
fn the_first_lines_are_what_a_phone_shows() {
    let mail = one(&with(full(), |n| n.items.truncate(1)));
    assert_eq!(mail.first_lines[0], "CRITICAL: SDS sds3 disconnected (1 of 5)");
    assert_eq!(mail.first_lines[1], "System prod, SDS. Since 2026-11-24 13:58 CET (12:58 UTC), for 2 min.");
    assert!(mail.first_lines[2].starts_with("The MDM does not hear SDS sds3"), "{:?}", mail.first_lines);
}

#[test]
fn what_to_do_first_is_said_once_and_whole() {
    let mail = one(&full());
    let said = |what: &str| mail.text.split_whitespace().collect::<Vec<_>>().join(" ").matches(what).count();
    assert_eq!(said("The MDM does not hear SDS sds3"), 1, "{}", mail.text);
    assert_eq!(said("Do not take another SDS of pd1 into maintenance."), 1, "{}", mail.text);
    // A text that is too long for the top stands there in part, and whole with its alert.
    let long = format!("Look at the host. {} The very end.", "Then look again, and longer. ".repeat(20));
    let mail = one(&with(full(), |n| n.items[0].alert.annotations.description = long.clone()));
    let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((text.matches("Look at the host.").count(), text.matches("The very end.").count()), (2, 1), "{text}");
}

#[test]
fn a_share_that_is_nearly_all_is_not_said_to_be_all() {
    for (share, said) in [(1.0, "100 %"), (0.99996, "more than 99.9 %"), (0.9958, "99.6 %"), (0.9994, "99.9 %")] {
        let mail = one(&with(weekly(), |n| {
            if let Kind::Report(report) = &mut n.kind {
                report.protected = Some(Number(share));
            }
        }));
        let line = format!("Protected: {said} of the time all data had all its copies");
        assert!(mail.text.contains(&line), "{line}: {}", mail.text);
    }
}

#[test]
fn a_firing_mail_has_everything_the_reader_needs() {
    let mail = one(&full());
    for fact in [
        "Value: 1.1 TiB (limit 0 B)",
        "Peak: 1.3 TiB",
        "Started: 2026-11-24 13:58 CET (12:58 UTC), 2 min ago",
        "Volumes on it: vol-01",
        "3 more (15)",
        "Clients: node-7, node-9 (2)",
        "Tasks: postgres.4c1f (1)",
        "Apps: /shop/postgres (1)",
        "MDM says: SDS is disconnected from the MDM.",
        "MDM advises: Verify that the SDS service is running",
        "SDS: 4 of 5 connected",
        "Data: 1.1 TiB degraded, 0 B failed",
        "Rebuild: 1.1 TiB left at 276.6 MiB/s, about 1 h 12 min",
        "first pool full in 43 days",
        "13:41: sds2 left maintenance",
        "Latency of pool hdd is unusual for the last week (quiet hours)",
        "    sio status --system prod",
        "Runbook: https://sio.example.test/runbooks/ScaleioSdsDisconnected",
        "instance=10.0.3.17:7072",
    ] {
        assert!(
            mail.text.split_whitespace().collect::<Vec<_>>().join(" ").contains(fact.trim()),
            "{fact:?} is not in\n{}",
            mail.text
        );
    }
    assert!(mail.text.contains("|####################| 1.1 TiB"), "bars are there without pictures:\n{}", mail.text);
    assert!(mail.text.contains("not seen") || mail.text.contains("|....................| 0 B"), "{}", mail.text);
}

#[test]
fn a_resolution_tells_how_long_how_bad_and_what_ended_it() {
    let mail = one(&resolution());
    for fact in
        ["Lasted: 13 min", "Lasted: 12 min", "Peak: 1.3 TiB", "Ended by: the rebuild finished", "Over after 13 min"]
    {
        assert!(mail.text.contains(fact), "{fact:?} is not in\n{}", mail.text);
    }
    assert!(!mail.headers.contains_key("Importance"), "what is over is not urgent");
    let partly = one(&with(resolution(), |n| n.items[1].alert.state = AlertState::Firing { fired_at: at("13:00") }));
    assert!(partly.text.contains("1 alert still fires of this group"), "{}", partly.text);
    assert!(
        partly.text.contains(
            "Still firing
"
        ),
        "{}",
        partly.text
    );
}

#[test]
fn who_works_on_an_alert_and_who_silenced_it_is_told_with_it() {
    let note = with(full(), |n| {
        n.items[0].acknowledged = Some(Acknowledgement {
            by: "kim".to_owned(),
            at: at("13:01"),
            until: Some(at("17:00")),
            comment: "the cable is on its way".to_owned(),
            via: Via::Cli,
        });
        n.items[1].silences = vec![silence()];
    });
    let mail = one(&note);
    mail.is_well_made();
    let text = mail.text.split_whitespace().collect::<Vec<_>>().join(" ");
    for fact in [
        "Acknowledged: by kim at 2026-11-24 14:01 CET (13:01 UTC), until 2026-11-24 18:00 CET (17:00 UTC): the cable is on its way",
        "Silenced: by kim until 2026-11-24 15:00 CET (14:00 UTC): new cable (s7, sds=\"sds3\")",
    ] {
        assert!(text.contains(fact), "{fact:?} is not in\n{}", mail.text);
    }
    let report = one(&weekly()).text.split_whitespace().collect::<Vec<_>>().join(" ");
    for fact in [
        "Rebuild: went on for 42 min, at most 1.1 TiB at once; nothing is left",
        "since 2026-11-22 12:00 CET (11:00 UTC), by kim until",
    ] {
        assert!(report.contains(fact), "{fact:?} is not in\n{report}");
    }
}

#[test]
fn the_dashboard_opens_at_the_time_and_the_object_of_the_alert() {
    let mut settings = settings();
    settings.dashboards_url = Some("https://grafana.example.test/tools/".parse().unwrap());
    let note = with(full(), |n| {
        n.items.truncate(1);
        n.links.dashboard = None;
        n.items[0].alert.labels.insert("sds".to_owned(), "sds 3&x=1".to_owned());
    });
    let mail = read(&[render(&note, &settings, note.created_at).unwrap().formatted()]).remove(0);
    mail.is_well_made();
    let from = (at("12:58") - TimeDelta::hours(1)).timestamp_millis();
    let link = format!(
        "Dashboard: https://grafana.example.test/tools/d/scaleio-sds?from={from}&to={}&var-system=prod&var-protection_domain=pd1&var-sds=sds+3%26x%3D1",
        (at("13:00") + TimeDelta::minutes(15)).timestamp_millis()
    );
    assert!(mail.text.contains(&link), "{link} is not in\n{}", mail.text);
    assert!(mail.text.contains("Page: https://sio.example.test/"), "{}", mail.text);
}

#[test]
fn headers_are_those_that_servers_and_filters_need() {
    let mail = one(&full());
    for (name, value) in [
        ("From", "ScaleIO alerts <sio@example.test>"),
        ("Reply-To", "storage-team@example.test"),
        ("To", "ops@example.test, oncall@example.test"),
        ("Date", "Tue, 24 Nov 2026 14:00:00 +0100"),
        ("Precedence", "bulk"),
        ("X-Auto-Response-Suppress", "All"),
        ("List-Id", "<alerts.prod.sio.example.test>"),
        ("Importance", "high"),
        ("X-Priority", "1"),
        ("Content-Language", "en"),
        ("X-Scaleio-System", "prod"),
        ("X-Scaleio-Severity", "critical"),
        ("X-Scaleio-Group", "prod/sds"),
        ("X-Scaleio-Alert", "SDS_DISCONNECTED ScaleioDataDegraded ScaleioSdsDisconnected"),
        ("MIME-Version", "1.0"),
    ] {
        assert_eq!(mail.header(name), value, "{name}");
    }
    assert_eq!(mail.header("X-Scaleio-Fingerprint").split(' ').count(), 3);
    assert!(mail.refers.is_empty() && !mail.headers.contains_key("In-Reply-To"), "a root refers to nothing");
    let warning = one(&with(full(), |n| drop(n.items.remove(0))));
    assert!(!warning.headers.contains_key("Importance"), "importance is for critical alone");
    let report = one(&weekly());
    assert!(report.header("List-Unsubscribe").starts_with("<mailto:storage-team@example.test"));
    assert!(report.header("Expires").contains("30 Nov 2026"));
}

#[test]
fn reminder_and_resolution_hang_in_the_first_mails_thread() {
    let root = MessageId::of(&full().id, DOMAIN);
    let reminder = with(full(), |n| {
        n.id = NotificationId::parse("reminder-1").unwrap();
        n.kind = Kind::Reminder;
        n.thread = Thread::Reply { root: root.clone(), last: root.clone() };
    });
    let last = MessageId::of(&reminder.id, DOMAIN);
    let over = with(resolution(), |n| n.thread = Thread::Reply { root: root.clone(), last: last.clone() });
    let mails = read(&[mail(&full()), mail(&reminder), mail(&over)]);
    assert!(mails.iter().all(|mail| mail.thread == root.as_str()), "{mails:?}");
    assert_eq!(mails[1].header("References"), root.as_str());
    assert_eq!(mails[2].header("In-Reply-To"), root.as_str());
    assert_eq!(mails[2].header("References"), format!("{} {}", root.as_str(), last.as_str()));
}

#[test]
fn hostile_names_stay_text() {
    let evil = "vol\r\nBcc: thief@example.test\r\n\r\n<script>alert(1)</script>\u{202e}\u{0}\u{1b}[2J";
    let long = "x".repeat(10_000);
    let mut note = full();
    note.items.truncate(1);
    note.items[0].alert.name = evil.to_owned();
    note.items[0].alert.annotations.summary = format!("{evil} {long}");
    note.items[0].alert.annotations.runbook_url = Some("javascript:alert(1)".to_owned());
    note.items[0].alert.labels.insert("volume".to_owned(), evil.to_owned());
    note.items[0].alert.labels.insert("long".to_owned(), long.clone());
    note.items[0].hurt.volumes = vec![evil.to_owned(), long, "B\u{fc}ro \u{2014} \u{65e5}\u{672c}".to_owned()];
    note.group.area = evil.to_owned();
    note.group.system = Some(SystemId::new(evil));
    note.route = evil.to_owned();
    note.changes[0].what = evil.to_owned();
    note.links.dashboard = Some("data:text/html,x".to_owned());
    note.commands = vec![evil.to_owned()];
    note.thread = Thread::Root;
    let mail = one(&note);
    mail.is_well_made();
    assert!(mail.raw_header_names.iter().all(|name| name != "Bcc"), "{:?}", mail.raw_header_names);
    assert_eq!(mail.to, ["ops@example.test", "oncall@example.test"]);
    assert!(mail.subject.len() < 200 && !mail.subject.contains(['\r', '\n', '\u{1b}']), "{:?}", mail.subject);
    assert!(!mail.text.contains(['\u{1b}', '\u{202e}', '\u{0}', '\r']));
    assert!(mail.links.iter().all(|link| link.starts_with("https://")), "{:?}", mail.links);
    assert!(mail.text.contains("B\u{fc}ro \u{2014} \u{65e5}\u{672c}"), "names beyond ASCII arrive whole");
}

#[test]
fn names_beyond_ascii_arrive_in_subject_and_sender() {
    let mut note = full();
    note.items.truncate(1);
    note.items[0].alert.annotations.summary = "Volume B\u{fc}ro-\u{65e5}\u{672c} is slow.".to_owned();
    let mut settings = settings();
    settings.from = "Speicher-\u{dc}berwachung <sio@example.test>".parse().unwrap();
    let mail = read(&[render(&note, &settings, note.created_at).unwrap().formatted()]).remove(0);
    mail.is_well_made();
    assert_eq!(mail.subject, "[CRITICAL] prod: Volume B\u{fc}ro-\u{65e5}\u{672c} is slow");
    assert_eq!(mail.header("From"), "Speicher-\u{dc}berwachung <sio@example.test>");
}

#[test]
fn a_body_of_ten_thousand_lines_is_a_well_made_mail() {
    let mut note = full();
    note.items[0].alert.annotations.description = (0..10_000).map(|n| format!("line {n} of it\n")).collect();
    let mail = one(&note);
    mail.is_well_made();
    assert!(mail.text.contains("line 9999 of it"));
    let long = "y".repeat(5_000);
    note.items[0].alert.annotations.description = format!("{long}\n.\n..\nFrom nobody\n{long}");
    let mail = one(&note);
    mail.is_well_made();
    assert!(mail.text.contains(&long));
}

#[test]
fn the_same_notification_is_the_same_mail_each_time() {
    assert_eq!(mail(&full()), mail(&full()));
    let (first, later) = (full(), full());
    let late = render(&later, &settings(), later.created_at + TimeDelta::hours(3)).unwrap().formatted();
    let mails = read(&[mail(&first), late]);
    assert_eq!((&mails[0].id, &mails[0].subject), (&mails[1].id, &mails[1].subject));
    assert!(mails[1].text.contains("comes late") && mails[1].text.contains("3 h later"), "{}", mails[1].text);
    assert!(mails[1].text.contains("2 min ago"), "ages are those of the decision");
}

#[test]
fn links_to_act_are_signed_for_this_mail_and_end() {
    let note = with(full(), |n| n.items.truncate(1));
    let mail = one(&note);
    let key = LinkKey::new(&[7; 32]).unwrap();
    let tokens: Vec<&str> =
        mail.links.iter().filter_map(|link| link.split_once("/act?token=").map(|(_, token)| token)).collect();
    let claims: Vec<_> = tokens.iter().map(|token| link::verify(&key, token, note.created_at).unwrap()).collect();
    assert_eq!(
        claims.iter().map(|claim| claim.act).collect::<Vec<_>>(),
        [Act::Acknowledge, Act::Silence { seconds: 14_400 }]
    );
    assert!(
        claims
            .iter()
            .all(|claim| claim.on == Target::Alert(note.items[0].alert.fingerprint()) && claim.mail == note.id)
    );
    assert!(link::verify(&key, tokens[0], note.created_at + TimeDelta::hours(24)).is_err());
    let group = one(&full());
    let token = group.links.iter().find_map(|link| link.split_once("/act?token=")).unwrap().1;
    assert_eq!(link::verify(&key, token, note.created_at).unwrap().on, Target::Group(full().group));
    let over = one(&with(resolution(), |n| n.charts.clear()));
    assert!(over.links.iter().all(|link| !link.contains("/act?")), "nothing is left to act on");
    let mut without = settings();
    without.link_key = None;
    let mail = read(&[render(&full(), &without, at("13:00")).unwrap().formatted()]).remove(0);
    assert!(!mail.text.contains("Acknowledge"), "no key, no link");
}

#[test]
fn the_notification_can_ride_along_for_machines() {
    let mut settings = settings();
    settings.attach_json = true;
    let mail = read(&[render(&full(), &settings, at("13:00")).unwrap().formatted()]).remove(0);
    mail.is_well_made();
    assert_eq!(mail.parts, ["text/plain", "text/html", "application/json"]);
}

#[test]
fn a_notification_nobody_can_get_is_refused_with_the_route() {
    let nobody = with(full(), |n| n.recipients = vec!["not an address".to_owned(), "a@b\r\nBcc: c@d".to_owned()]);
    let error = render(&nobody, &settings(), at("13:00")).unwrap_err().to_string();
    assert!(error.contains("route \"default\""), "{error}");
}

/// `tests/scripts/mail_pictures.sh` takes pictures of what this leaves.
#[test]
fn samples_for_pictures_are_well_made() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("mail-samples");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, note) in [("firing", full()), ("resolved", resolution()), ("weekly", weekly())] {
        let mail = mail(&note);
        read(&[&mail])[0].is_well_made();
        std::fs::write(folder.join(format!("{name}.eml")), mail).unwrap();
    }
}

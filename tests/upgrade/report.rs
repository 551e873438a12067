//! The report of capacity that the calendar asks for, as it lies in the reader's mailbox.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use mail_parser::MessageParser;
use scaleio_framework::alert::notify::Memory;
use scaleio_framework::alert::notify::week::Week;
use scaleio_framework::clock;
use scaleio_framework::model::lifecycle::JobResult;
use scaleio_framework::model::unit::Bytes;
use scaleio_framework::sim::MailSink;
use scaleio_framework::store::{Batch, SqliteStore, Store};

use crate::site::Site;

/// So long ago the books of the system were begun.
const DAYS: i64 = 10;

/// A mail server, what the configuration says of it, and the folder with its files.
async fn mails() -> (MailSink, String, tempfile::TempDir) {
    let any = "127.0.0.1:0".parse().unwrap();
    let sink = MailSink::start(any, any).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (authority, password) = (folder.path().join("ca.pem"), folder.path().join("password"));
    std::fs::write(&authority, sink.authority_pem()).unwrap();
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&password);
    std::io::Write::write_all(&mut file.unwrap(), sink.login().password.as_bytes()).unwrap();
    let text = format!(
        r#"
        [mail]
        hosts = ["{host}"]
        ca_file = "{authority}"
        from = "sio@example.test"
        to = ["boss@example.test"]
        login = {{ user = "{user}", password_file = "{password}" }}
        "#,
        host = sink.smtp(),
        authority = authority.display(),
        user = sink.login().user,
        password = password.display(),
    );
    (sink, text, folder)
}

/// What is in use of each pool and what can be, as the metrics say it.
async fn pools(site: &Site) -> BTreeMap<String, (f64, f64)> {
    let begun = Instant::now();
    loop {
        let metrics = site.get("/metrics").await;
        let of = |family: &str| -> BTreeMap<String, f64> {
            let lines = metrics.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'));
            let read = |line: &str| {
                let label = |name: &str| line.split(&format!("{name}=\"")).nth(1)?.split('"').next();
                let value = line.rsplit(' ').next()?.parse().ok()?;
                Some((format!("{}/{}", label("protection_domain")?, label("storage_pool")?), value))
            };
            lines.filter_map(read).collect()
        };
        let used = of("scaleio_storage_pool_capacity_in_use_bytes");
        let (limit, spare) =
            (of("scaleio_storage_pool_capacity_limit_bytes"), of("scaleio_storage_pool_capacity_spare_bytes"));
        if !used.is_empty() {
            return used.into_iter().map(|(name, used)| (name.clone(), (used, limit[&name] - spare[&name]))).collect();
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{metrics}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Books that were begun days ago, when half of what is free now was not in use either: what is left lasts twice as long.
fn plant(site: &Site, pools: &BTreeMap<String, (f64, f64)>) {
    let mut store = SqliteStore::open(&site.path("state.db")).unwrap();
    let state = store.load().unwrap();
    let (mut memory, _) = Memory::load(&state);
    let (now, from) = (clock::now(), clock::now() - TimeDelta::days(DAYS));
    let before = |(used, usable): &(f64, f64)| used - (usable - used) / 2.0;
    let week = Week {
        from,
        last: now,
        looked: 86_400.0,
        answered: 86_400.0,
        known: 86_400.0,
        protected: 43_200.0,
        rebuilding: 0.0,
        most_left: 0.0,
        pools: pools.iter().map(|(name, of)| (name.clone(), (from, before(of)))).collect(),
        begun: [1, 2, 3],
        incidents: Vec::new(),
    };
    memory.weeks.insert("prod".to_owned(), week);
    let entries = memory.entries().unwrap();
    let batch = entries.into_iter().fold(Batch::new(), |batch, (key, value)| batch.put(key, value));
    store.commit(state.epoch, state.version, &batch).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_capacity_comes_by_mail_when_its_job_is_due_with_figures_and_forecast() {
    let (sink, mail, _files) = mails().await;
    let job = "\n[[jobs]]\nname = \"report\"\nkind = \"capacity_report\"\ncron = \"* * * * * *\"\n";
    let mut site = Site::with_jobs("propose", &format!("{mail}{job}")).await;
    let seen = pools(&site).await;
    site.kill().await;
    plant(&site, &seen);
    let sent = *sink.inbox().taken().borrow();
    site.start().await;

    // Of the books that were planted, not of those that the first life kept.
    let begun = Instant::now();
    let kept = loop {
        let new = sink.inbox().all().into_iter().filter(|mail| mail.number > sent);
        let old_books = |mail: &std::sync::Arc<scaleio_framework::sim::Kept>| {
            String::from_utf8_lossy(&mail.raw).contains("days at this growth")
        };
        if let Some(mail) = new.into_iter().find(old_books) {
            break mail;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "no report came: {:#?}", site.lifecycle().await.jobs);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(kept.to, ["boss@example.test"]);
    let message = MessageParser::default().parse(&kept.raw).unwrap();
    let (subject, text) = (message.subject().unwrap(), message.body_text(0).unwrap());
    // Lines are as long as readers like them.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let day = |at: chrono::DateTime<chrono::Utc>| at.format("%-d %b").to_string();
    let from = day(clock::now() - TimeDelta::days(DAYS));
    assert!(subject.starts_with(&format!("[REPORT] prod: capacity and health, {from} to ")), "{subject}");
    assert!(!seen.is_empty());
    for (name, (used, usable)) in &seen {
        let amount = |bytes: f64| Bytes::new(bytes as u64).to_string();
        let (used_of, grew) = (format!("{} of {}", amount(*used), amount(*usable)), amount((usable - used) / 2.0));
        let sentence = format!("{name}: {used_of} in use, grew by {grew}, full in 20 days at this growth");
        assert!(text.contains(&sentence), "{sentence}: {text}");
        let share = format!("| {:.0} % {name}", 100.0 * used / usable);
        assert!(text.contains(&share), "{share}: {text}");
        assert!(text.contains(&format!("Order capacity for {name}: it is full in 20 days")), "{text}");
    }
    assert!(text.contains("1 critical, 2 warning, 3 info") && text.contains("Protected: 50 %"), "{text}");
    let job = site
        .eventually("the job's result", |work, _| {
            let job = work.jobs.iter().find(|job| job.name == "report").unwrap();
            if job.result == Some(JobResult::Well) { Ok(job.clone()) } else { Err(format!("{job:?}")) }
        })
        .await;
    assert_eq!(job.last_result.as_deref(), Some("the report is on its way"));
}

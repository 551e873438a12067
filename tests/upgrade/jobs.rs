//! What the calendar has looked at, kept and fetched, seen where people see it; and a controller that is started from a
//! copy of its state.

use std::process::Command;

use scaleio_framework::jobs::backup;
use scaleio_framework::model::lifecycle::{JobResult, JobShown, Lifecycle};
use serde_json::json;

use crate::site::Site;

const JOBS: &str = r#"
    [[jobs]]
    name = "health"
    kind = "health_check"
    cron = "* * * * * *"
    [[jobs]]
    name = "report"
    kind = "capacity_report"
    cron = "* * * * * *"
    [[jobs]]
    name = "certificates"
    kind = "certificate_check"
    cron = "* * * * * *"
    days = 20
    [[jobs]]
    name = "rules"
    kind = "rule_self_test"
    cron = "*/5 * * * * *"
    overlap = "wait"
    [[jobs]]
    name = "files"
    kind = "artefact_prefetch"
    cron = "* * * * * *"
    [[jobs]]
    name = "copies"
    kind = "state_backup"
    folder = "DIR/copies"
    keep = 3
    cron = "*/2 * * * * *"
"#;

/// How a job stands once something came of it that satisfies.
async fn job(site: &Site, name: &str, is: impl Fn(&JobShown) -> bool) -> JobShown {
    let find = |work: &Lifecycle| work.jobs.iter().find(|job| job.name == name).cloned();
    site.eventually(name, |work, _| {
        let job = find(work).ok_or("there is no such job")?;
        if is(&job) { Ok(job) } else { Err(format!("{job:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_job_says_what_it_found_where_people_look() {
    let site = Site::with_jobs("propose", JOBS).await;
    std::fs::create_dir(site.path("copies")).unwrap();
    let well = |job: &JobShown| job.result == Some(JobResult::Well);
    // Once every agent was heard.
    let all = |job: &JobShown| job.last_result.as_deref() == Some("each of 4 nodes could be worked on now");
    assert!(well(&job(&site, "health", all).await));
    let certificates = job(&site, "certificates", |job| well(job) && job.found.len() == 6).await;
    for of in ["gateway https://", "authority for agents", "agent host-"] {
        assert!(certificates.found.iter().any(|line| line.starts_with(of)), "{certificates:?}");
    }
    let files = job(&site, "files", well).await;
    assert!(files.last_result.as_deref().unwrap().ends_with("artefacts are what they were"), "{files:?}");
    let copies = job(&site, "copies", well).await;
    assert!(copies.last_success.is_some() && copies.kind == "state_backup", "{copies:?}");
    let rules = job(&site, "rules", well).await;
    assert!(rules.last_result.as_deref().unwrap().contains("alerts fired in their tests"), "{rules:?}");
    // Nobody is told anything here, so no report can be either.
    let report = job(&site, "report", |job| job.result == Some(JobResult::Unwell)).await;
    assert!(report.last_result.as_deref().unwrap().contains("[mail]"), "{report:?}");

    // What would hold is named with its nodes, and a file that changed by its name.
    let device = site.world.world(|world| {
        let device = world.devices.values().next().unwrap().name.clone();
        world.fail_device(&device).unwrap();
        device
    });
    let health = job(&site, "health", |job| job.result == Some(JobResult::Unwell) && !job.found.is_empty()).await;
    assert!(health.last_result.as_deref().unwrap().contains(" of 4 nodes could be worked on now"), "{health:?}");
    site.world.world(|world| world.return_device(&device).unwrap());
    let package = std::fs::read_dir(site.path("packages")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&package, "another").unwrap();
    let files = job(&site, "files", |job| job.result == Some(JobResult::Unwell)).await;
    assert!(files.found[0].contains("has another content than at the start"), "{files:?}");

    let metrics = site.get("/metrics").await;
    for line in [
        "scaleio_job_last_result{system=\"prod\",job_name=\"files\",result=\"unwell\"} 1\n",
        "scaleio_job_last_success_timestamp_seconds{system=\"prod\",job_name=\"copies\"}",
        "scaleio_certificate_expiry_timestamp_seconds{component=\"authority\"",
    ] {
        assert!(metrics.contains(line), "{line} is missing");
    }
    // The page is drawn once a second.
    let begun = std::time::Instant::now();
    loop {
        let page = site.get("/").await;
        if page.contains("What was found") && page.contains("has another content") {
            break;
        }
        assert!(begun.elapsed().as_secs() < 60, "{page}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_are_brought_to_the_nodes_by_the_calendar_and_none_is_installed() {
    let job_of = |to: &str| {
        format!(
            r#"
            [[jobs]]
            name = "fetch"
            kind = "artefact_prefetch"
            upgrade_to = "{to}"
            cron = "*/5 * * * * *"
            overlap = "wait"
            approval = {{ by = "ada", until = "2100-01-01T00:00:00Z", max_risk = "none" }}
            "#
        )
    };
    let site = Site::with_jobs("act", &job_of(crate::site::AFTER)).await;
    let before = site.versions();
    let began = job(&site, "fetch", |job| job.result == Some(JobResult::Began)).await;
    assert!(began.last_result.as_deref().unwrap().contains("artefacts are what they were; began a run"), "{began:?}");
    site.eventually("its end", |work, _| {
        let past = work.past.iter().find(|past| past.end == "done" && past.what.starts_with("have the packages"));
        past.map(drop).ok_or_else(|| format!("{:?}", work.past))
    })
    .await;
    assert_eq!((site.versions(), site.installed()), (before, vec![0; 4]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_from_a_copy_knows_what_was_then_and_agents_that_heard_a_later_one_refuse_its_orders() {
    let copies = r#"
        [[jobs]]
        name = "copies"
        kind = "state_backup"
        folder = "DIR/copies"
        cron = "* * * * * *"
        overlap = "skip"
    "#;
    let mut site = Site::with_jobs("propose", copies).await;
    let plan = site.plan_upgrade().await;
    let (status, text) = site.ask(json!({"order": "hold", "by": "ada", "node": "host-1", "until": null})).await;
    assert_eq!(status, 200, "{text}");
    std::fs::create_dir(site.path("copies")).unwrap();
    let good = job(&site, "copies", |job| job.result == Some(JobResult::Well)).await;
    let copy = good.last_result.unwrap().strip_suffix(" is there").unwrap().to_owned();
    let kept = site.path("kept.db");
    std::fs::copy(&copy, &kept).unwrap();
    std::fs::copy(format!("{copy}.sha256"), format!("{}.sha256", kept.display())).unwrap();
    let then = site.lifecycle().await;

    // A later life gives orders, and undoes what was held.
    for _ in ["one that is lost", "one that agents hear"] {
        site.kill().await;
        site.start().await;
    }
    let request = json!({"request": "fetch", "to": site.to, "only": []});
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
    assert_eq!(status, 200, "{text}");
    let fetch: serde_json::Value = serde_json::from_str(&text).unwrap();
    let id = fetch.pointer("/id").or_else(|| fetch.pointer("/plan/id")).unwrap().clone();
    assert_eq!(site.ask(json!({"order": "approve", "by": "ada", "plan": id})).await.0, 200);
    assert_eq!(site.ask(json!({"order": "release", "by": "ada", "node": "host-1"})).await.0, 200);
    assert_eq!(site.ended().await.0, "done");

    // While it runs nothing is restored.
    let toml = site.path("sio.toml");
    let restore = || {
        let mut sio = Command::new(env!("CARGO_BIN_EXE_sio"));
        sio.arg("--config").arg(&toml).arg("restore").arg(&kept);
        let done = sio.output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(said).unwrap())
    };
    let (done, said) = restore();
    assert!(!done && said.contains("in use by another process"), "{said}");
    site.kill().await;
    let sum = std::fs::read_to_string(format!("{}.sha256", kept.display())).unwrap();
    std::fs::write(format!("{}.sha256", kept.display()), sum.replacen(|c: char| c.is_ascii_digit(), "x", 1)).unwrap();
    let (done, said) = restore();
    assert!(!done && said.contains("the file beside it says"), "{said}");
    std::fs::write(format!("{}.sha256", kept.display()), sum).unwrap();
    assert_eq!(Some(backup::hash(&kept).unwrap()), backup::noted(&kept).unwrap());
    let (done, said) = restore();
    assert!(done && said.contains("is in place"), "{said}");

    site.start().await;
    let now = site.lifecycle().await;
    assert_eq!((&now.held, now.past.len()), (&then.held, 0), "what was decided later is not known");
    assert!(now.plans.iter().any(|filed| filed.id == plan.id), "{:?}", now.plans);
    assert_eq!(site.approve(&plan).await.0, 200);
    let held = site
        .eventually("a refusal", |work, _| {
            let run = work.run.as_ref().ok_or("no run")?;
            let told = run.tasks.iter().flat_map(|task| &task.holds).find(|hold| hold.text.contains("epoch")).cloned();
            told.ok_or_else(|| format!("{:?}", run.tasks))
        })
        .await;
    // Whoever comes first says it: the agent, or the controller that was told which epoch the agent knows.
    let said = ["a controller that was replaced gives no orders", "obeys another controller"];
    assert!(said.iter().any(|words| held.text.contains(words)), "{held:?}");
    assert_eq!(site.installed(), [0; 4]);
}

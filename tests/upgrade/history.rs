//! All that was done is told, chained, checked, and put away from the store when it is over.

use serde_json::json;

use crate::site::Site;

/// Has the packages fetched, in a run of its own.
async fn fetch(site: &Site, number: usize) {
    let request = json!({"request": "fetch", "to": site.to, "only": []});
    let (status, text) = site.ask(json!({"order": "plan", "by": "ada", "request": request})).await;
    assert_eq!(status, 200, "{text}");
    let plan: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (status, text) = site.ask(json!({"order": "approve", "by": "ada", "plan": plan["id"]})).await;
    assert_eq!(status, 200, "{text}");
    site.eventually("its end", |work, _| {
        let over = work.run.is_none() && work.past.len() == number;
        over.then_some(()).ok_or_else(|| format!("{:?} {:?}", work.run, work.past))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_are_over_leave_the_store_and_stay_in_a_history_that_shows_each_change() {
    let mut site = Site::new("propose").await;
    site.plan_upgrade().await;
    for number in 1..=4 {
        fetch(&site, number).await;
    }
    let work = site.lifecycle().await;
    assert_eq!(
        work.past.iter().map(|past| past.id.as_str()).collect::<Vec<_>>(),
        ["run-0004", "run-0003", "run-0002", "run-0001"]
    );
    let stage = work.times.iter().find(|times| times.step == "stage").unwrap();
    assert_eq!((stage.count, &*stage.generation), (16, "3.5"), "{:?}", work.times);

    let (code, said) = site.sio(&["history"]);
    assert_eq!(code, Some(0), "{said}");
    for told in ["run-0001 of plan", "was approved by ada", "ordered order", "run-0004 is over: done"] {
        assert!(said.contains(told), "{told}: {said}");
    }
    let (code, said) = site.sio(&["history", "verify"]);
    assert!(code == Some(0) && said.contains(&format!("{} entries, from 0 on", work.entries)), "{said}");
    let export = site.path("export.jsonl");
    let (code, said) = site.sio(&["history", "--export", export.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");

    // The next life has the same, from fewer entries.
    site.kill().await;
    let store = in_store(&site);
    assert!(store < work.entries, "{store} of {} entries are in the store", work.entries);
    site.start().await;
    let again = site.lifecycle().await;
    assert_eq!((&again.past, again.entries, &again.head), (&work.past, work.entries, &work.head));
    fetch(&site, 5).await;
    assert_eq!(site.lifecycle().await.past[0].id.as_str(), "run-0005");

    // A line that somebody changed in the file is found, here and in an export.
    let text = std::fs::read_to_string(&export).unwrap();
    std::fs::write(&export, text.replacen("\"by\":\"ada\"", "\"by\":\"eve\"", 1)).unwrap();
    let (code, said) = site.sio(&["history", "verify", export.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("BROKEN at line 2"), "{said}");
    let kept = site.path("state.work/prod.jsonl");
    let text = std::fs::read_to_string(&kept).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    std::fs::write(&kept, format!("{}\n", lines[..lines.len() - 1].join("\n"))).unwrap();
    let (code, said) = site.sio(&["history", "verify"]);
    assert!(code == Some(1) && said.contains("the history ends before"), "{said}");
}

/// Entries of the journal that are in the store of a controller that is gone.
fn in_store(site: &Site) -> u64 {
    use scaleio_framework::store::{SqliteStore, Store};
    let state = SqliteStore::open(&site.path("state.db")).unwrap().load().unwrap();
    state.entries.keys().filter(|key| key.as_str().starts_with("work/prod/journal/")).count() as u64
}

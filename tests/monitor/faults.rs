//! Whatever the wire does: is every value the truth or absent, does it say
//! what failed and why, and do the others go on?

use std::time::Duration;

use scaleio_framework::model::id::SystemId;
use scaleio_framework::sim::{Fault, Release, Running, Word};

use crate::site::{Scrape, Site, eventually, still};
use crate::truth::{Series, differences, lies, truth};

const TIMEOUT: Duration = Duration::from_secs(2);

fn errors(scrape: &Scrape, collector: &str, reason: &str) -> f64 {
    let labels = [("system", "sick"), ("collector", collector), ("reason", reason)];
    scrape.value("scaleio_collector_errors_total", &labels).unwrap_or(0.0)
}

fn of(scrape: &Scrape, name: &str, system: &str, collector: &str) -> f64 {
    scrape.value(name, &[("system", system), ("collector", collector)]).unwrap()
}

/// The words, and the reason that a metric gives for each.
fn words() -> [(Word, &'static str); 13] {
    [
        (Word::Drop, "timeout"),
        (Word::Delay(TIMEOUT * 20), "timeout"),
        (Word::Slow(100), "timeout"),
        (Word::Status(401), "auth"),
        (Word::Status(403), "auth"),
        (Word::Status(404), "http"),
        (Word::Status(500), "http"),
        (Word::Status(503), "http"),
        (Word::Html, "parse"),
        (Word::Cut, "connect"),
        (Word::Reset, "connect"),
        (Word::Endless, "too_large"),
        (Word::Huge, "too_large"),
    ]
}

struct Two {
    sick: Running,
    sound: Running,
    site: Site,
    truths: [Series; 2],
}

impl Two {
    async fn start(sick: Release, sound: Release) -> Self {
        let (sick, sound) = (still(sick).await, still(sound).await);
        let site = Site::watching(&[("sick", &sick), ("sound", &sound)], |config| {
            for system in config.systems.values_mut() {
                system.connect_timeout = TIMEOUT;
                system.max_answer_bytes = 1 << 20;
            }
            config.systems.get_mut(&SystemId::new("sick")).unwrap().request_timeout = TIMEOUT;
        })
        .await;
        site.knows("sick", &sick).await;
        site.knows("sound", &sound).await;
        let truths = [&sick, &sound].map(|world| world.world(|world| truth(world)));
        Self { sick, sound, site, truths }
    }

    /// A scrape of which nothing is wrong, whatever goes on.
    async fn scrape(&self, what: &str) -> Scrape {
        let scrape = self.site.scrape().await;
        let [sick, sound] = &self.truths;
        assert_eq!(lies(&scrape.told("sick"), &[sick]), Vec::<String>::new(), "{what}");
        assert_eq!(differences(&scrape.told("sound"), sound), Vec::<String>::new(), "{what}");
        assert_eq!(scrape.value("scaleio_up", &[("system", "sound")]), Some(1.0), "{what}");
        scrape
    }

    async fn recovers(&self, what: &str) {
        self.sick.faults().clear();
        eventually(&format!("it recovers after {what}"), async || self.scrape(what).await.is("sick", &self.truths[0]))
            .await;
    }
}

async fn only_this_collector_fails(release: Release, collector: &str, path: &str, other: &str) {
    let two = Two::start(release, Release::V2_6).await;
    for (word, reason) in words() {
        let what = format!("{word} on {path}");
        let before = two.scrape(&what).await;
        two.sick.faults().add(Fault::always(word, path));
        let asked = |scrape: &Scrape, system, collector| {
            of(scrape, "scaleio_collector_last_success_timestamp_seconds", system, collector)
        };
        eventually(&what, async || {
            let scrape = two.scrape(&what).await;
            let known = errors(&scrape, collector, reason) > errors(&before, collector, reason)
                && of(&scrape, "scaleio_collector_success", "sick", collector) == 0.0
                && scrape.value("scaleio_up", &[("system", "sick")]) == Some(0.0);
            let others_go_on = of(&scrape, "scaleio_collector_success", "sick", other) == 1.0
                && asked(&scrape, "sick", other) > asked(&before, "sick", other)
                && asked(&scrape, "sound", collector) > asked(&before, "sound", collector);
            let health = two.site.json("/api/v1/systems/sick").await["health"]["collectors"][collector].to_string();
            if known && others_go_on { Ok(()) } else { Err(format!("known {known}, others {others_go_on}, {health}")) }
        })
        .await;
        two.recovers(&what).await;
    }
    drop(two.sound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_fails_in_any_way_tells_no_lie_and_stops_nobody_else() {
    only_this_collector_fails(Release::V3_6, "sds", "/api/types/Sds/instances", "storage_pools").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_that_fail_in_any_way_tell_no_lie_and_stop_nobody_else() {
    let path = "/api/instances/querySelectedStatistics";
    only_this_collector_fails(Release::V4_5, "statistics", path, "sds").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbled_statistics_are_an_error_or_lack_what_was_garbled() {
    // Garbage in the middle of a name is an unknown name, which is no error.
    let two = Two::start(Release::V3_0, Release::V2_0).await;
    two.sick.faults().add(Fault::always(Word::Garble, "/api/instances/querySelectedStatistics"));
    let before = two.scrape("garble").await;
    eventually("three more polls", async || {
        let scrape = two.scrape("garble").await;
        let polls = |scrape: &Scrape| {
            let buckets = [("system", "sick"), ("collector", "statistics"), ("le", "+Inf")];
            scrape.value("scaleio_collector_duration_seconds", &buckets).unwrap()
        };
        if polls(&scrape) >= polls(&before) + 3.0 { Ok(()) } else { Err(format!("{}", polls(&scrape))) }
    })
    .await;
    two.recovers("garble").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_fails_as_a_whole_in_any_way_tells_no_lie_and_comes_back() {
    let two = Two::start(Release::V4_5, Release::V3_0).await;
    // A login that is refused is not tried again for half a minute, so that
    // the user is not locked: 401 is left to the tests of the client.
    for (word, _) in words().into_iter().filter(|(word, _)| *word != Word::Status(401)) {
        let what = format!("{word} on everything");
        two.sick.faults().add(Fault::always(word, "*"));
        eventually(&what, async || {
            let up = two.scrape(&what).await.value("scaleio_up", &[("system", "sick")]);
            if up == Some(0.0) { Ok(()) } else { Err(format!("{up:?}")) }
        })
        .await;
        two.recovers(&what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_at_any_request_is_renewed_and_nothing_fails() {
    for release in [Release::V3_6, Release::V4_5] {
        let world = still(release).await;
        let site = Site::watching(&[("prod", &world)], |_| {}).await;
        let before = site.knows("prod", &world).await;
        for kind in ["System", "ProtectionDomain", "StoragePool", "Sds", "Device", "Sdc", "Volume", "*Statistics"] {
            world.faults().add(Fault::times(1, Word::Expire, &format!("/api/*{kind}*")));
            let poll = async |what: &str| {
                let seq = |scrape: &Scrape| scrape.value("scaleio_snapshot_seq", &[("system", "prod")]).unwrap();
                let begun = seq(&site.scrape().await);
                eventually(what, async || {
                    let scrape = site.scrape().await;
                    assert_eq!(scrape.told("prod"), before.told("prod"), "{release} {kind}");
                    assert_eq!(scrape.value("scaleio_up", &[("system", "prod")]), Some(1.0), "{release} {kind}");
                    if seq(&scrape) > begun { Ok(()) } else { Err(format!("{begun}")) }
                })
                .await;
            };
            while !world.faults().active().is_empty() {
                poll("a poll in which the session ends").await;
            }
            poll("a poll after it").await;
        }
        let scrape = site.scrape().await;
        let renewals: f64 = scrape.families["scaleio_mdm_requests_total"]
            .samples
            .iter()
            .filter(|sample| sample.label("code") == Some("401"))
            .map(|sample| sample.value)
            .sum();
        assert!(renewals >= 8.0, "{renewals} requests found their session ended");
    }
}

//! Is every view there, does it live without a reload, and is it read on a phone, without script, in the dark, by
//! keyboard and by ear? Are a thousand servers and hostile names no trouble?

use std::path::{Path, PathBuf};

use scaleio_framework::config::rollout::{Rollout, Topology};
use scaleio_framework::config::{Mode, StaticNode};
use scaleio_framework::model::id::NodeName;
use scaleio_framework::sim::world::Layout;
use scaleio_framework::sim::{Options, Release, Running, Simulation};
use serde_json::Value;

use crate::browser::Browser;
use crate::nodes::endpoint;
use crate::scene::{alerting, fires, sink};
use crate::site::{Site, eventually, still};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn at(site: &Site, path: &str) -> String {
    format!("http://{}{path}", site.controller.web)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_is_there_and_what_changes_is_seen_without_a_reload() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    site.knows("prod", &world).await;
    let browser = Browser::start(1200, 900).await;
    browser.open(&at(&site, "/")).await;
    browser.says("prod is healthy: all data has all its copies.").await;
    let text = browser.text().await;
    for view in [
        "Raw capacity",
        "Applications now",
        "MDM cluster",
        "Servers (SDS)",
        "Clients (SDC)",
        "Devices",
        "Storage pools",
        "Latency at the clients",
        "Moving data",
        "Protection domain",
        "Fault set",
        "sds-2-1",
        "What happened",
        "This controller",
        "every question is answered",
        "alerts by mail: well",
    ] {
        assert!(text.contains(view), "{view} is missing:\n{text}");
    }
    browser.run("window.kept = 'the same page'").await;
    browser.run("document.querySelector('footer a').focus()").await;

    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    browser.says("SDS sds-2-1 is away.").await;
    browser.says("SDS sds-2-1 became Disconnected").await;
    browser.says("Depends on it:").await;
    let bad = "return [...document.querySelectorAll('.servers .bad')].map((server) => server.textContent)";
    eventually("the server is drawn as away", async || match browser.run(bad).await {
        drawn if drawn == serde_json::json!(["sds-2-1 Disconnected"]) => Ok(()),
        drawn => Err(drawn.to_string()),
    })
    .await;
    let title = browser.run("return document.title").await;
    assert!(title.as_str().unwrap().starts_with("✕ ScaleIO: "), "{title}");
    let said = browser.run("return document.getElementById('said').textContent").await;
    assert!(said.as_str().unwrap().contains("one copy only"), "what is read aloud: {said}");

    world.world(|world| world.return_sds("sds-2-1").unwrap());
    browser.says("SDS sds-2-1 connected again").await;
    assert_eq!(browser.run("return window.kept").await, "the same page", "the page was loaded again");
    assert_eq!(browser.run("return document.activeElement.tagName").await, "A", "the focus was lost");

    // A page that knows nothing of a restart hears of it, and goes on.
    let site = site.restart().await;
    drop(site);
    browser.says("The connection to the controller is lost").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_script_everything_is_read_and_the_page_asks_again_by_itself() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let fingerprint = fires(&site).await;
    let browser = Browser::start(1200, 900).await;
    browser.scripts(false).await;
    browser.open(&at(&site, "/")).await;
    let text = browser.text().await;
    for said in ["one copy only", "SDS sds-2-1 is away.", "Acknowledge…", "Storage pools"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let refresh = site.get("/").await.text().await.unwrap();
    assert!(refresh.contains("<noscript><meta http-equiv=\"refresh\""), "{refresh}");
    // What acts is a form.
    browser.open(&at(&site, &format!("/alert/{fingerprint}"))).await;
    browser.fill("#acknowledge input[name=by]", "Anna").await;
    browser.click("#acknowledge button").await;
    browser.says("Done: it is noted who works on it.").await;
    browser.says("acknowledged by Anna").await;
}

/// Everything that a small screen must show without being pushed sideways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_shows_everything_without_sideways_scrolling_and_hostile_names_are_text() {
    const EVIL: &str = "<img src=x onerror=alert(1)><b id=evil>\"'&amp;</b></time></section>";
    let long = "w".repeat(300);
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    world.world(|world| {
        for (name, evil) in [("sds-1-1", EVIL), ("sds-2-1", long.as_str())] {
            world.sds.values_mut().find(|sds| sds.name == name).unwrap().name = evil.to_owned();
        }
        for volume in world.volumes.values_mut() {
            volume.name = format!("{EVIL}{}", volume.name);
        }
        for pool in world.pools.values_mut() {
            pool.name = format!("{EVIL}{}", pool.name);
        }
        world.fail_sds(EVIL).unwrap();
    });
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    let fingerprint = fires(&site).await;
    let browser = Browser::start(360, 800).await;
    for path in ["/".to_owned(), format!("/alert/{fingerprint}"), "/?system=prod".to_owned(), "/silence/s1".to_owned()]
    {
        browser.open(&at(&site, &path)).await;
        assert_eq!(browser.too_wide().await, 0, "{path} is wider than a phone");
        let evil = browser.run("return document.querySelectorAll('#evil, img, main script').length").await;
        assert_eq!(evil, 0, "{path}: a name became markup");
    }
    browser.open(&at(&site, "/")).await;
    browser.says(&format!("SDS {EVIL} is away.")).await;
    // The parts that come later are made by the script.
    world.world(|world| world.return_sds(EVIL).unwrap());
    browser.says(&format!("SDS {EVIL} connected again")).await;
    assert_eq!(browser.run("return document.querySelectorAll('#evil, img').length").await, 0);
    assert_eq!(browser.too_wide().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_servers_are_small_and_quick() {
    let layout = Layout {
        domains: 4,
        racks_per_domain: 16,
        nodes_per_rack: 16,
        devices_per_node: 1,
        pools_per_domain: 1,
        volumes: 64,
        sdcs: 32,
        ..Layout::small()
    };
    let world = Simulation::start(Options::still(layout, Release::V3_6)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let site = Site::watching(&[("prod", &world)], |config| {
        endpoint(config, folder.path());
        for number in 0..1024_u32 {
            let node = StaticNode {
                address: std::net::Ipv4Addr::from_bits(0x0a63_0000 + number).into(),
                attributes: [("scaleio-system".into(), "prod".into())].into(),
            };
            config.static_nodes.insert(NodeName::new(&format!("node-{number:04}.example.test")), node);
        }
        // All of them are wanted, and nothing is done.
        config.lifecycle.mode = Mode::Observe;
        for system in config.systems.values_mut() {
            system.rollout = Some(Rollout { topology: Topology::OnePool, ..Rollout::default() });
        }
        config.alerts.enabled = false;
        let slow = std::time::Duration::from_secs(5);
        (config.poll.fast, config.poll.middle, config.poll.slow) = (slow, slow, slow);
    })
    .await;
    let page = eventually("a thousand servers are drawn", async || {
        let page = site.get("/").await.text().await.unwrap();
        let are_there = page.contains("1024 of 1024") && page.contains("<small>1024 wanted");
        if are_there { Ok(page) } else { Err(page.chars().skip(page.chars().count().saturating_sub(1500)).collect()) }
    })
    .await;
    assert!(page.len() <= 300_000, "{} bytes", page.len());
    assert_eq!(page.matches("<li title=").count(), 1024);
    let browser = Browser::start(1200, 900).await;
    let script = "const paint = performance.getEntriesByName('first-contentful-paint')[0];\
                  const all = performance.getEntriesByType('navigation').concat(performance.getEntriesByType('resource'));\
                  return [paint ? paint.startTime : -1, all.reduce((sum, one) => sum + one.transferSize, 0)]";
    for path in ["/", "/nodes", "/nodes?page=11"] {
        let mut quickest = f64::INFINITY;
        for _ in 0..5 {
            browser.open(&at(&site, path)).await;
            let (paint, bytes) = eventually("it is painted", async || {
                let told = browser.run(script).await;
                let paint = told[0].as_f64().unwrap();
                if paint > 0.0 { Ok((paint, told[1].as_f64().unwrap())) } else { Err(told.to_string()) }
            })
            .await;
            assert!(bytes <= 300_000.0, "{path}: {bytes} bytes were asked for");
            quickest = quickest.min(paint);
        }
        println!("first paint of {path} with 1,024 servers and as many nodes: {quickest:.0} ms");
        assert!(quickest <= 1000.0, "the first paint of {path} took {quickest} ms");
    }
    browser.says("page 11 of 11").await;
    browser.says("node-1023.example.test").await;
    println!("{} bytes of HTML", page.len());
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        browser.open(&at(&site, "/")).await;
        std::fs::write(root().join("docs/pictures/page-thousand.png"), browser.picture().await).unwrap();
    }
}

/// Runs axe-core on what is shown; gives what it takes for serious or critical.
pub async fn serious(browser: &Browser) -> Vec<String> {
    let file = root().join(".cache/page/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; ./test installs it (npm ci in tests/scripts/page)", file.display())
    });
    let script = format!(
        "const done = arguments[arguments.length - 1];\n{axe}\n\
         axe.run(document, {{ resultTypes: ['violations'] }}).then((found) => done(found.violations), (why) => done([{{ impact: 'critical', id: String(why), nodes: [] }}]));"
    );
    let found = browser.run_async(&script).await;
    let violations = found.as_array().unwrap().iter();
    let serious = violations.filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical")));
    serious.map(|one| format!("{}: {} {}", one["id"], one["help"], one["nodes"][0]["html"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_who_cannot_see_or_point_find_no_serious_obstacle_in_light_and_dark() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let fingerprint = fires(&site).await;
    let body =
        serde_json::json!({ "matchers": ["sds=\"sds-1-1\""], "owner": "anna", "reason": "a test", "seconds": 600 });
    let made = crate::site::client().post(at(&site, "/api/v1/silences")).json(&body).send().await.unwrap();
    let silence = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let browser = Browser::start(1200, 900).await;
    for dark in [false, true] {
        browser.dark(dark).await;
        for path in ["/".to_owned(), format!("/alert/{fingerprint}"), format!("/silence/{silence}")] {
            browser.open(&at(&site, &path)).await;
            let found = serious(&browser).await;
            assert!(found.is_empty(), "{path}, dark: {dark}: {found:#?}");
        }
    }
}

/// `UPDATE_PICTURES=1` keeps what people see in `docs/pictures`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_the_page_can_be_taken() {
    let sink = sink().await;
    let options = Options { speed: 4.0, ..Options::new(Layout::small(), Release::V3_6) };
    let world: Running = Simulation::start(options).await.unwrap();
    let site = Site::watching(&[("prod", &world)], |config| {
        alerting(config, &sink);
        config.poll.fast = std::time::Duration::from_millis(500);
    })
    .await;
    site.get("/").await;
    let well = Browser::start(1200, 900).await;
    well.open(&at(&site, "/")).await;
    well.says("is healthy").await;
    let folder: Option<PathBuf> = std::env::var_os("UPDATE_PICTURES").map(|_| root().join("docs/pictures"));
    if folder.is_some() {
        // What is kept shows lines.
        let points = "return (document.querySelector('path.k1') || document.head).outerHTML.split('L').length > 3";
        eventually("lines are drawn", async || match well.run(points).await {
            drawn if drawn == true => Ok(()),
            drawn => Err(drawn.to_string()),
        })
        .await;
    }
    let mut pictures: Vec<(&str, Vec<u8>)> = vec![("page-healthy", well.picture().await)];
    drop(well);
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let fingerprint = fires(&site).await;
    eventually("a rebuild is shown", async || {
        let page = site.get("/").await.text().await.unwrap();
        if page.contains("ends about") { Ok(()) } else { Err(page) }
    })
    .await;
    let body = serde_json::json!({ "matchers": ["sds=\"sds-1-1\""], "owner": "anna", "reason": "the rack moves", "seconds": 7200 });
    let made = crate::site::client().post(at(&site, "/api/v1/silences")).json(&body).send().await.unwrap();
    let silence = made.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned();
    let silenced = format!("/silence/{silence}");
    for (name, width, dark, scripts, path) in [
        ("page-silence", 800, false, true, silenced.as_str()),
        ("page-desktop", 1200, false, true, "/"),
        ("page-desktop-dark", 1200, true, true, "/"),
        ("page-phone", 390, false, true, "/"),
        ("page-phone-dark", 360, true, true, "/"),
        ("page-no-script", 1200, false, false, "/"),
        ("page-alert", 1200, false, true, "/alert/"),
        ("page-alert-phone", 390, false, true, "/alert/"),
    ] {
        let browser = Browser::start(width, 900).await;
        browser.dark(dark).await;
        browser.scripts(scripts).await;
        let path = if path == "/alert/" { format!("/alert/{fingerprint}") } else { path.to_owned() };
        browser.open(&at(&site, &path)).await;
        browser.says(if name == "page-silence" { "sds-1-1" } else { "sds-2-1" }).await;
        pictures.push((name, browser.picture().await));
    }
    for (name, picture) in pictures {
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name} shows nothing");
        if let Some(folder) = &folder {
            std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
        }
    }
}

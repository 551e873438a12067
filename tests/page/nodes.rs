//! Does the page say of nodes and of an upgrade that waits what people must know first, and leave the rest to those who
//! ask for it?

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use scaleio_framework::config::{Agents, Config, Lifecycle, Mode};
use scaleio_framework::model::id::SystemId;
use scaleio_framework::sim::Release;
use scaleio_framework::stage::renewal::Renewal;
use scaleio_framework::stage::scene::Scene;
use serde_json::{Value, json};

use crate::browser::{Browser, ENTER};
use crate::look::serious;
use crate::port::free_port;
use crate::site::{Site, client, eventually, still};

fn free() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()))
}

/// Where agents come to.
pub fn endpoint(config: &mut Config, folder: &Path) {
    let (listen, mirror) = (free(), free());
    let addresses = vec![format!("https://{listen}")];
    let certificate_life = Duration::from_secs(86_400);
    config.agents = Some(Agents { listen, addresses, folder: folder.join("ca"), certificate_life, renew: false });
    config.artefacts.listen = mirror;
    config.artefacts.url = format!("http://{mirror}");
}

/// What is laid out wider than the window, and what people who cannot see or point would stumble over.
async fn is_sound(browser: &Browser, url: &str) {
    for dark in [false, true] {
        browser.dark(dark).await;
        browser.open(url).await;
        assert_eq!(browser.too_wide().await, 0, "{url} is wider than a phone");
        let found = serious(browser).await;
        assert!(found.is_empty(), "{url}, dark: {dark}: {found:#?}");
    }
}

/// `UPDATE_PICTURES=1` keeps what is seen.
pub async fn keep(browser: &Browser, name: &str) {
    let picture = browser.picture().await;
    assert!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "{name} shows nothing");
    if std::env::var_os("UPDATE_PICTURES").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
        std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_waits_says_why_in_a_sentence_and_what_is_unfolded_stays_so() {
    let (world, folder) = (still(Release::V3_6).await, tempfile::tempdir().unwrap());
    let renewal = Renewal::of(&world, "prod", folder.path()).unwrap();
    world.world(|world| world.fail_device("dev-1-1-1").unwrap());
    let site = Site::watching(&[("prod", &world)], |config| {
        endpoint(config, folder.path());
        renewal.configure(config, Duration::from_secs(2)).unwrap();
        // A person asks, when everything is known.
        config.jobs.clear();
    })
    .await;
    renewal.begin(&site.config).unwrap();
    let url = |path: &str| format!("http://{}{path}", site.controller.web);
    let ask = async |order: Value| {
        let request = client().post(url("/api/v1/systems/prod/runs")).json(&order);
        let answer = request.send().await.unwrap();
        let (well, text) = (answer.status().is_success(), answer.text().await.unwrap());
        if well { Ok(serde_json::from_str::<Value>(&text).unwrap()) } else { Err(text) }
    };
    let plan = eventually("an upgrade is planned", async || {
        let request = json!({ "request": "upgrade", "to": renewal.to(), "only": [] });
        let plan = ask(json!({ "order": "plan", "by": "ada", "request": request })).await?;
        let is_whole = plan["stages"][0]["tasks"].as_array().is_some_and(|tasks| tasks.len() == 3);
        if is_whole && plan["unsafe_because"] == json!([]) { Ok(plan) } else { Err(plan.to_string()) }
    })
    .await;
    ask(json!({ "order": "approve", "by": "ada", "plan": plan["id"] })).await.unwrap();
    let browser = Browser::start(390, 844).await;
    browser.open(&url("/")).await;
    browser.says(": device dev-1-1-1 has an error").await;
    browser.says("To go on it takes that the device is well, or was removed.").await;
    browser.says("more reasons").await;
    let waits = "const runs = document.getElementById('runs');\
                 return [runs.querySelectorAll('p.holds').length, runs.querySelectorAll('details').length, runs.querySelectorAll('details[open]').length]";
    assert_eq!(browser.run(waits).await, json!([1, 1, 0]), "one sentence, and the rest folded");
    is_sound(&browser, &url("/")).await;
    keep(&browser, "page-waits-phone").await;
    // Unfolded by keyboard, it stays so and keeps the focus while the page lives on.
    browser.tab_to("#runs summary").await;
    browser.press(ENTER).await;
    assert_eq!(browser.run(waits).await, json!([1, 1, 1]));
    browser.run("window.part = document.querySelector('#runs section')").await;
    world.world(|world| world.fail_device("dev-2-1-1").unwrap());
    eventually("the part is made anew", async || {
        let anew = "return window.part !== document.querySelector('#runs section')";
        if browser.run(anew).await == true { Ok(()) } else { Err(browser.text().await) }
    })
    .await;
    assert_eq!(browser.run(waits).await, json!([1, 1, 1]), "it was folded under the reader's eyes");
    assert_eq!(browser.run("return document.activeElement.tagName").await, "SUMMARY", "the focus was lost");
    // Without script all of it is there too.
    browser.scripts(false).await;
    browser.open(&url("/")).await;
    browser.click("#runs summary").await;
    browser.says("; it takes ").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_found_by_phase_and_name_and_each_tells_what_was_found_of_it() {
    let (world, folder) = (still(Release::V3_6).await, tempfile::tempdir().unwrap());
    let scene = Scene::start("new", folder.path(), 1, 4.0).await.unwrap();
    let site = Site::watching(&[("prod", &world)], |config| {
        config.systems.insert(SystemId::new("new"), scene.system());
        config.mesos = Some(scene.mesos());
        config.agents = Some(scene.agents(free()));
        config.artefacts = scene.artefacts();
        config.lifecycle = Lifecycle { mode: Mode::Act, ..Lifecycle::default() };
        config.poll.fast = Duration::from_millis(500);
    })
    .await;
    scene.begin().await.unwrap();
    let late = scene.late().await.unwrap();
    let url = |path: &str| format!("http://{}{path}", site.controller.web);
    let browser = Browser::start(390, 844).await;
    eventually("four nodes are ready", async || {
        browser.open(&url("/nodes")).await;
        let text = browser.text().await;
        if text.contains("4 ready") { Ok(()) } else { Err(text) }
    })
    .await;
    is_sound(&browser, &url("/nodes")).await;
    keep(&browser, "page-nodes-phone-dark").await;
    browser.fill("input[name=q]", "-4").await;
    browser.press(ENTER).await;
    browser.says("new-4").await;
    assert!(!browser.text().await.contains("new-1"), "{}", browser.text().await);
    browser.tab_to(&format!("a[href='node/{late}']")).await;
    browser.press(ENTER).await;
    browser.says("Before it is touched").await;
    browser.says("/dev/sdc 256.0 GiB").await;
    browser.says("is left alone, because").await;
    is_sound(&browser, &url(&format!("/node/{late}"))).await;
    keep(&browser, "page-node-phone-dark").await;
    browser.open(&url("/nodes?phase=lost")).await;
    browser.says("No node is so.").await;
    browser.open(&url("/node/nobody")).await;
    browser.says("There is no node \"nobody\".").await;
    browser.open(&url("/")).await;
    browser.says("4 nodes well").await;
    assert_eq!(browser.too_wide().await, 0);
    drop(site);
    scene.stop().await;
}

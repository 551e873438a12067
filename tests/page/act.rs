//! Do the acts of the page do what they say, by keyboard alone, with the name of who acts, and for nobody else?

use reqwest::StatusCode;
use scaleio_framework::sim::Release;

use crate::browser::{Browser, ENTER};
use crate::scene::{alerting, fires, sink};
use crate::site::{Site, client, still};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_acknowledged_silenced_and_told_again_by_keyboard_alone() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let fingerprint = fires(&site).await;
    let browser = Browser::start(1000, 800).await;
    let home = format!("http://{}/", site.controller.web);
    browser.open(&home).await;
    browser.says("SDS sds-2-1 is away.").await;
    browser.tab_to(&format!("#k{fingerprint}")).await;
    browser.press(ENTER).await;
    browser.says("You work on it").await;
    // Nothing was done yet: this is the confirmation.
    assert_eq!(site.json("/api/v1/acknowledgements").await, serde_json::json!([]));
    browser.tab_to("#acknowledge input[name=by]").await;
    browser.press("Anna <b>").await;
    browser.tab_to("#acknowledge input[name=comment]").await;
    browser.press("on my way").await;
    browser.press(ENTER).await;
    browser.says("Done: it is noted who works on it.").await;
    browser.says("acknowledged by Anna <b>").await;
    let acks = site.json("/api/v1/acknowledgements").await;
    assert_eq!((&acks[0]["by"], &acks[0]["comment"]), (&"Anna <b>".into(), &"on my way".into()));

    browser.tab_to("#silence input[name=by]").await;
    browser.press("Bob").await;
    browser.tab_to("#silence input[name=reason]").await;
    browser.press("the rack moves").await;
    browser.tab_to("#silence button").await;
    browser.press(ENTER).await;
    browser.says("Done: nobody is told of it until the silence ends.").await;
    browser.tab_to("nav a").await;
    browser.press(ENTER).await;
    browser.says("Silences").await;
    browser.says("by Bob: the rack moves").await;
    browser.says("Bob: ").await;
    let silences = site.json("/api/v1/silences").await;
    let id = silences[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(silences[0]["owner"], "Bob");

    browser.tab_to(&format!("#e{id}")).await;
    browser.press(ENTER).await;
    browser.says("When it ends, people are told of what still fires.").await;
    browser.tab_to("input[name=by]").await;
    browser.press("Carl").await;
    browser.press(ENTER).await;
    browser.says("Carl: ").await;
    assert_eq!(browser.url().await, home);
    assert!(!browser.text().await.contains("End…"), "the silence is still in force");
    let records = site.json("/api/v1/records").await;
    let by: Vec<&str> = records.as_array().unwrap().iter().map(|record| record["by"].as_str().unwrap()).collect();
    assert_eq!(by, ["Carl", "Bob", "Anna <b>"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_not_ours_or_says_nothing_does_nothing() {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| alerting(config, &sink)).await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let fingerprint = fires(&site).await;
    let page = site.get(&format!("/alert/{fingerprint}")).await.text().await.unwrap();
    let word = page.split_once("name=\"form\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let base = format!("http://{}/alert/{fingerprint}", site.controller.web);
    let send = async |act: &str, body: String, headers: &[(&str, &str)]| {
        let mut request = client().post(format!("{base}/{act}")).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own = format!("form={word}&by=anna&reason=x&seconds=600");
    for (act, body, headers, status) in [
        ("acknowledge", "by=anna".to_owned(), vec![form], StatusCode::CONFLICT),
        ("acknowledge", format!("form={}&by=anna", word.to_lowercase()), vec![form], StatusCode::CONFLICT),
        ("acknowledge", own.clone(), vec![("content-type", "text/plain")], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("acknowledge", own.clone(), vec![form, ("sec-fetch-site", "cross-site")], StatusCode::FORBIDDEN),
        ("acknowledge", own.clone(), vec![form, ("origin", "https://evil.test")], StatusCode::FORBIDDEN),
        ("acknowledge", format!("form={word}&by=+"), vec![form], StatusCode::BAD_REQUEST),
        ("acknowledge", format!("form={word}&by=anna&seconds=soon"), vec![form], StatusCode::BAD_REQUEST),
        ("silence", format!("form={word}&by=anna&reason=x"), vec![form], StatusCode::BAD_REQUEST),
        ("silence", format!("form={word}&by=anna&seconds=600"), vec![form], StatusCode::BAD_REQUEST),
        ("silence", "x".repeat(70_000), vec![form], StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let answer = send(act, body.clone(), &headers).await;
        assert_eq!(answer.status(), status, "{act} {body:.60} {headers:?}");
    }
    for nowhere in ["0", "0123456789abcdef", "x", "-1"] {
        let url = format!("http://{}/alert/{nowhere}/silence", site.controller.web);
        let answer = client().post(url).header(form.0, form.1).body(own.clone()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{nowhere}");
    }
    assert_eq!(site.json("/api/v1/silences").await, serde_json::json!([]));
    assert_eq!(site.json("/api/v1/acknowledgements").await, serde_json::json!([]));
    // Looking acts on nothing, whoever made the browser look.
    for path in [format!("/alert/{fingerprint}?did=silenced"), "/silence/s1/end".to_owned()] {
        site.get(&path).await;
    }
    assert_eq!(site.json("/api/v1/records").await, serde_json::json!([]));
    let done = send("silence", format!("{own}&scope=name"), &[form]).await;
    assert_eq!(done.url().query(), Some("did=silenced"), "{done:?}");
    let silences = site.json("/api/v1/silences").await;
    assert_eq!(silences[0]["matchers"], serde_json::json!(["alertname=\"OwnSdsAway\"", "system=\"prod\""]));
}

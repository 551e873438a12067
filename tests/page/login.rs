//! Do people log in on the page, stay in, and get out? Is a session theirs alone, and does nobody come in without?

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{RequestBuilder, StatusCode};
use scaleio_framework::config::{Config, WebUser};
use scaleio_framework::model::person::Role;
use scaleio_framework::sim::{MailSink, Release, Running};
use scaleio_framework::web::access::hash;

use crate::browser::{Browser, ENTER};
use crate::look::serious;
use crate::nodes::keep;
use crate::scene::{alerting, sink};
use crate::site::{Site, builder, still};

const PASSWORD: &str = "correct horse";

fn users(config: &mut Config) {
    for (name, role) in [("anna", Role::Operator), ("vera", Role::Viewer)] {
        let user = WebUser { password_hash: hash(PASSWORD).unwrap(), role };
        config.web.users.insert(name.to_owned(), user);
    }
}

/// A system that is watched, and people who may look or act.
async fn watched() -> (Running, MailSink, Site) {
    let (world, sink) = (still(Release::V3_6).await, sink().await);
    let site = Site::watching(&[("prod", &world)], |config| {
        alerting(config, &sink);
        users(config);
    })
    .await;
    (world, sink, site)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_logs_in_goes_on_where_they_wanted_to_acts_by_their_name_and_logs_out() {
    let (world, _sink, site) = watched().await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let home = format!("http://{}/", site.controller.web);
    let browser = Browser::start(390, 844).await;
    for dark in [false, true] {
        browser.dark(dark).await;
        browser.open(&home).await;
        assert_eq!(browser.url().await, format!("{home}login"));
        assert_eq!(browser.too_wide().await, 0);
        let found = serious(&browser).await;
        assert!(found.is_empty(), "dark: {dark}: {found:#?}");
    }
    keep(&browser, "page-login-phone-dark").await;
    browser.dark(false).await;
    // The cursor is where the name goes.
    browser.press("anna").await;
    browser.tab_to("input[name=password]").await;
    browser.press("battery").await;
    browser.press(ENTER).await;
    browser.says("This user and this password do not go together.").await;
    browser.fill("input[name=user]", "anna").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.press(ENTER).await;
    browser.says("SDS sds-2-1 is away.").await;
    browser.says("You are anna, operator.").await;
    assert_eq!(browser.url().await, home);
    assert_eq!(browser.run("return document.cookie").await, "", "a script sees the session");
    // What changes comes without asking again.
    world.world(|world| world.return_sds("sds-2-1").unwrap());
    browser.says("SDS sds-2-1 connected again").await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    browser.says("SDS sds-2-1 is away.").await;
    browser.click("a[href$='#acknowledge']").await;
    browser.says("As anna.").await;
    let alert = browser.url().await;
    browser.click("#acknowledge button").await;
    browser.says("acknowledged by anna").await;
    browser.open(&home).await;
    browser.tab_to("form.out button").await;
    browser.press(ENTER).await;
    browser.says("Password").await;
    assert_eq!(browser.url().await, format!("{home}login"));
    // The way to an alert leads there after the login.
    browser.open(alert.split('#').next().unwrap()).await;
    browser.says("Password").await;
    browser.fill("input[name=user]", "vera").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.press(ENTER).await;
    browser.says("You may look only: acting takes the role operator.").await;
    assert!(browser.url().await.starts_with(&format!("{home}alert/")), "{}", browser.url().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_a_secret_of_one_browser_and_ends_when_it_is_logged_out() {
    let (world, _sink, site) = watched().await;
    world.world(|world| world.fail_sds("sds-2-1").unwrap());
    let client = builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = |path: &str| format!("http://{}{path}", site.controller.web);
    let sent = async |request: RequestBuilder| request.send().await.unwrap();
    let log_in = |user: &str, password: &str, to: &str| {
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("user", user), ("password", password), ("to", to)])
            .finish();
        client.post(url("/login")).header("content-type", "application/x-www-form-urlencoded").body(form)
    };
    let place = |response: &reqwest::Response| response.headers()[LOCATION].to_str().unwrap().to_owned();

    // People are led to the login; programs hear how to say who they are.
    let page = sent(client.get(url("/nodes?phase=lost")).header("accept", "text/html")).await;
    assert_eq!((page.status(), place(&page).as_str()), (StatusCode::SEE_OTHER, "login?to=nodes%3Fphase%3Dlost"));
    let program = sent(client.get(url("/"))).await;
    assert_eq!(program.status(), StatusCode::UNAUTHORIZED);
    assert!(program.headers().contains_key("www-authenticate"));
    let script = sent(client.get(url("/live")).header("sec-fetch-mode", "cors")).await;
    assert_eq!(script.status(), StatusCode::UNAUTHORIZED);
    assert!(!script.headers().contains_key("www-authenticate"), "the browser would put its own question");
    let mail = client.get(url("/")).header("accept", "text/html").header("sec-fetch-site", "cross-site");
    let mail = sent(mail).await.text().await.unwrap();
    assert!(mail.contains("http-equiv=\"refresh\""), "{mail}");

    let wrong = sent(log_in("anna", "battery", "")).await;
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    assert!(!wrong.headers().contains_key(SET_COOKIE));
    let foreign = sent(log_in("anna", PASSWORD, "").header("sec-fetch-site", "cross-site")).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "another site logs somebody in");
    let away = sent(log_in("anna", PASSWORD, "https://evil.test/")).await;
    assert_eq!((away.status(), place(&away).as_str()), (StatusCode::SEE_OTHER, "."));
    let cookie = away.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    assert!(cookie.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"), "{cookie}");
    let word = cookie.split(';').next().unwrap().to_owned();
    let by = |request: RequestBuilder, word: &str| request.header(COOKIE, word.to_owned());
    assert_eq!(sent(by(client.get(url("/api/v1/status")), &word)).await.status(), StatusCode::OK);
    let (head, tail) = word.split_at(word.len() - 1);
    let guessed = format!("{head}{}", if tail == "A" { "B" } else { "A" });
    assert_eq!(sent(by(client.get(url("/api/v1/status")), &guessed)).await.status(), StatusCode::UNAUTHORIZED);

    // A session gives no more than its user has, and no other site acts by it.
    let fingerprint = {
        let alerts = || by(client.get(url("/api/v1/alerts")), &word);
        crate::site::eventually("an alert fires", async || {
            let alerts: serde_json::Value = sent(alerts()).await.json().await.unwrap();
            let all = alerts["alerts"].as_object().ok_or_else(|| alerts.to_string())?;
            let firing = all.iter().find(|(_, alert)| alert["state"]["state"] == "firing");
            firing.map(|(fingerprint, _)| fingerprint.clone()).ok_or_else(|| alerts.to_string())
        })
        .await
    };
    let act = || {
        let request = client.post(url(&format!("/alert/{fingerprint}/acknowledge")));
        by(request.header("content-type", "application/x-www-form-urlencoded").body("form=x"), &word)
    };
    assert_eq!(sent(act().header("origin", "https://evil.test")).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(sent(act()).await.status(), StatusCode::CONFLICT, "a form that is not ours");
    let flush = by(client.post(url("/api/v1/notifications/flush")), &word);
    assert_eq!(sent(flush).await.status(), StatusCode::FORBIDDEN, "an operator does what takes an admin");

    let out = sent(by(client.post(url("/logout")), &word)).await;
    assert_eq!((out.status(), place(&out).as_str()), (StatusCode::SEE_OTHER, "login"));
    assert!(out.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(sent(by(client.get(url("/api/v1/status")), &word)).await.status(), StatusCode::UNAUTHORIZED);

    // Who guesses waits, here as with any other way to say a password.
    let mut refused = 0;
    for number in 0..15 {
        let answer = sent(log_in("anna", &format!("guess {number}"), "")).await;
        refused += usize::from(answer.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused >= 4, "{refused} of 15 guesses were held up");
}

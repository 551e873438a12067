//! A real Chromium, driven by the W3C WebDriver protocol through chromedriver.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::site::eventually;

const NEEDS: &str = "./test installs the Debian packages chromium and chromium-driver";

/// What stands for the Tab key, Enter, and the end of held keys, in WebDriver.
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";

pub struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The session is closed by the driver when it is told to end; a kill alone would leave the browser behind.
        let (client, session) = (self.client.clone(), self.session.clone());
        let close = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let _ = runtime.block_on(async { client.delete(session).timeout(Duration::from_secs(10)).send().await });
        });
        let _ = close.join();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    pub async fn start(width: u32, height: u32) -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--log-level=SEVERE"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver does not start ({error}): {NEEDS}"));
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let says = |line: std::io::Result<String>| {
            line.ok()?.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        };
        let (port, mut rest): (u16, _) = {
            let mut lines = lines;
            (lines.find_map(says).unwrap_or_else(|| panic!("chromedriver tells no port: {NEEDS}")), lines)
        };
        // Nobody reads what it says later; a full pipe would stop it.
        std::thread::spawn(move || while rest.next().is_some() {});
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--no-first-run".to_owned(),
            "--lang=en-GB".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--window-size={width},{height}"),
        ];
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "pageLoadStrategy": "eager", "unhandledPromptBehavior": "ignore",
            "goog:chromeOptions": { "args": arguments } } } });
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build().unwrap();
        let base = format!("http://127.0.0.1:{port}/session");
        let answer = client.post(&base).json(&wanted).send().await.unwrap().json::<Value>().await.unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("no browser: {answer}; {NEEDS}"));
        let browser = Self { driver, session: format!("{base}/{id}"), client, _profile: profile };
        browser.size(width, height).await;
        browser
    }

    async fn post(&self, what: &str, body: Value) -> Value {
        let url = format!("{}/{what}", self.session);
        let answer = self.client.post(url).json(&body).send().await.unwrap().json::<Value>().await.unwrap();
        let value = answer["value"].clone();
        assert!(value["error"].is_null(), "{what} {body}: {value}");
        value
    }

    async fn get(&self, what: &str) -> Value {
        let url = format!("{}/{what}", self.session);
        self.client.get(url).send().await.unwrap().json::<Value>().await.unwrap()["value"].clone()
    }

    /// Calls the browser's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    pub async fn size(&self, width: u32, height: u32) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub async fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    pub async fn scripts(&self, run: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", json!({ "value": !run })).await;
    }

    pub async fn open(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    pub async fn url(&self) -> String {
        self.get("url").await.as_str().unwrap().to_owned()
    }

    /// What a script gives.
    pub async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// What a script hands to its last argument.
    pub async fn run_async(&self, script: &str) -> Value {
        self.post("execute/async", json!({ "script": script, "args": [] })).await
    }

    /// All text of the page.
    pub async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap().to_owned()
    }

    /// Waits until the page says something.
    pub async fn says(&self, words: &str) {
        eventually(&format!("the page says {words:?}"), async || {
            let text = self.text().await;
            if text.contains(words) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// Presses keys where the focus is, one after another.
    pub async fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({ "type": "keyDown", "value": key }), json!({ "type": "keyUp", "value": key })])
            .collect();
        self.post("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] })).await;
    }

    /// Goes on by Tab until the focus is on what this selects.
    pub async fn tab_to(&self, selector: &str) {
        for _ in 0..200 {
            self.press(TAB).await;
            let there = format!("return document.activeElement.matches({})", Value::from(selector));
            if self.run(&there).await == true {
                return;
            }
        }
        panic!("nobody comes to {selector} by keyboard: {}", self.text().await);
    }

    pub async fn click(&self, selector: &str) {
        let found = self.post("element", json!({ "using": "css selector", "value": selector })).await;
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.post(&format!("element/{id}/click"), json!({})).await;
    }

    pub async fn fill(&self, selector: &str, text: &str) {
        let found = self.post("element", json!({ "using": "css selector", "value": selector })).await;
        let id = found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned();
        self.post(&format!("element/{id}/value"), json!({ "text": text })).await;
    }

    /// Pixels by which the page is wider than its window.
    pub async fn too_wide(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        self.run(script).await.as_i64().unwrap()
    }

    /// A picture of the whole page.
    pub async fn picture(&self) -> Vec<u8> {
        use base64::Engine as _;
        let shot = self.devtools("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }
}

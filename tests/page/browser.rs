//! A real Chromium, driven by the W3C WebDriver protocol through chromedriver.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use axum::http::Method;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use url::{ParseError, Url};

use crate::site::eventually;

const NEEDS: &str = "./test installs the Debian packages chromium and chromium-driver";

/// What stands for the Tab key and Enter in WebDriver.
pub const TAB: &str = "\u{E004}";
pub const ENTER: &str = "\u{E007}";

pub struct Browser {
    driver: Child,
    client: Client,
    _profile: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver and all browsers that it started.
        let group = rustix::process::Pid::from_child(&self.driver);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.driver.wait();
    }
}

/// A command of the browser's own protocol, which chromedriver passes on.
#[derive(Debug)]
struct Devtools {
    body: String,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _url: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.clone()))
    }
}

/// Starts a driver; tells its port, unless it ended at once.
fn driver() -> Option<(Child, u16)> {
    let mut driver = Command::new("chromedriver")
        .args(["--port=0", "--log-level=SEVERE"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("chromedriver does not start ({error}): {NEEDS}"));
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let says = |line: std::io::Result<String>| {
        line.ok()?.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
    };
    let Some(port) = lines.find_map(says) else {
        let _ = driver.kill();
        driver.wait().unwrap();
        return None;
    };
    // Nobody reads what it says later; a full pipe would stop it.
    std::thread::spawn(move || while lines.next().is_some() {});
    Some((driver, port))
}

impl Browser {
    pub async fn start(width: u32, height: u32) -> Self {
        // It wants one port number of both IPv4 and IPv6, and ends when another process has one of them.
        let (driver, port) =
            (0..5).find_map(|_| driver()).unwrap_or_else(|| panic!("chromedriver tells no port: {NEEDS}"));
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
        let wanted = json!({
            "browserName": "chrome", "pageLoadStrategy": "eager", "unhandledPromptBehavior": "ignore",
            "goog:chromeOptions": { "args": arguments },
        });
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let connected = builder.capabilities(wanted.as_object().unwrap().clone());
        let connected = connected.connect(&format!("http://127.0.0.1:{port}")).await;
        let client = connected.unwrap_or_else(|error| panic!("no browser: {error}; {NEEDS}"));
        let browser = Self { driver, client, _profile: profile };
        browser.size(width, height).await;
        browser
    }

    /// Calls the browser's own protocol.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters }).to_string();
        self.client.issue_cmd(Devtools { body }).await.unwrap_or_else(|error| panic!("{command}: {error}"))
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
        self.client.goto(url).await.unwrap();
    }

    pub async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// What a script gives.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// What a script hands to its last argument.
    pub async fn run_async(&self, script: &str) -> Value {
        self.client.execute_async(script, Vec::new()).await.unwrap_or_else(|error| panic!("{script}: {error}"))
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
        let pressed = keys.chars().fold(KeyActions::new("keys".to_owned()), |keys, key| {
            keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key })
        });
        self.client.perform_actions(pressed).await.unwrap();
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

    async fn find(&self, selector: &str) -> Element {
        let found = self.client.find(Locator::Css(selector)).await;
        found.unwrap_or_else(|error| panic!("{selector}: {error}"))
    }

    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    pub async fn fill(&self, selector: &str, text: &str) {
        self.find(selector).await.send_keys(text).await.unwrap();
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

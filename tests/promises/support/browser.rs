//! A real browser: headless Chromium, driven through `WebDriver`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::harness::*;
use crate::support::running_daemon::wait_for;

/// The host name of the daemon in the browser. The browser must not treat it as local.
pub const PUBLIC_HOST: &str = "jhe-ow.example.org";
/// Set in environments where browser tests must not be skipped.
const REQUIRED: &str = "JHE_OW_BROWSER";
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=HttpsUpgrades",
];

/// The path where `tests/prepare` puts the accessibility checker, axe-core.
fn axe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe-core/axe.min.js")
}

/// Returns true if a browser is installed; otherwise prints a note.
pub fn is_there_a_browser() -> bool {
    let runs = |program: &str| {
        let mut command = Command::new(program);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let there = runs("chromium") && runs("chromedriver") && axe().exists();
    let required = std::env::var(REQUIRED).is_ok_and(|value| value == "required");
    assert!(there || !required, "no Chromium, chromedriver or axe-core: run tests/prepare");
    if !there {
        eprintln!("left out, for want of a browser: run tests/prepare");
    }
    there
}

/// A browser with its own profile.
pub struct Browser {
    client: Option<Client>,
    driver: Running,
    _profile: TempDir,
}

impl Browser {
    /// Opens a browser that resolves [`PUBLIC_HOST`] to this port on loopback.
    pub fn open(port: u16) -> Self {
        Self::with(port, &[])
    }

    /// Opens a browser with additional flags.
    pub fn with(port: u16, more: &[&str]) -> Self {
        let driver_port = free_port();
        let child = Command::new("chromedriver")
            .arg(format!("--port={driver_port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let driver = Running::new(child);
        until("chromedriver is listening", || {
            std::net::TcpStream::connect(("127.0.0.1", driver_port)).is_ok()
        });
        let profile = TempDir::new().unwrap();
        let mut flags: Vec<String> = FLAGS.iter().chain(more).map(ToString::to_string).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        flags.push(format!("--host-resolver-rules=MAP {PUBLIC_HOST} 127.0.0.1:{port}"));
        let capabilities: Capabilities =
            serde_json::from_value(json!({ "goog:chromeOptions": { "args": flags } })).unwrap();
        let client = wait_for(async {
            let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder.capabilities(capabilities);
            builder.connect(&format!("http://127.0.0.1:{driver_port}")).await.unwrap()
        });
        Self { client: Some(client), driver, _profile: profile }
    }

    fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    pub fn go(&self, url: &str) {
        wait_for(self.client().goto(url)).unwrap();
    }

    pub fn back(&self) {
        wait_for(self.client().back()).unwrap();
    }

    pub fn url(&self) -> String {
        wait_for(self.client().current_url()).unwrap().to_string()
    }

    /// Sets the size of the window.
    pub fn resize(&self, width: u32, height: u32) {
        wait_for(self.client().set_window_size(width, height)).unwrap();
    }

    pub fn run(&self, script: &str) -> Value {
        wait_for(self.client().execute(script, Vec::new())).unwrap()
    }

    /// Returns the visible text of the page.
    pub fn text(&self) -> String {
        self.run("return document.body ? document.body.innerText : ''").as_str().unwrap().to_owned()
    }

    /// Waits for a page with this heading.
    pub fn see(&self, heading: &str) {
        let script = "const h = document.querySelector('h1'); \
                      return document.readyState === 'complete' && h ? h.innerText : ''";
        let is_there = || {
            let seen = wait_for(self.client().execute(script, Vec::new()));
            seen.is_ok_and(|seen| seen.as_str().is_some_and(|seen| seen.starts_with(heading)))
        };
        until(&format!("“{heading}”"), is_there);
    }

    /// Waits until the page contains `words`.
    pub fn read(&self, words: &str) {
        until(&format!("the page contains “{words}”"), || self.text().contains(words));
    }

    /// Clicks the button or link with this label.
    pub fn press(&self, words: &str) {
        let path =
            format!("//*[self::button or self::a or self::label][contains(normalize-space(.), '{words}')]");
        self.click(Locator::XPath(&path));
    }

    pub fn click_css(&self, selector: &str) {
        self.click(Locator::Css(selector));
    }

    fn click(&self, what: Locator<'_>) {
        wait_for(async {
            let element = self.client().wait().for_element(what).await.unwrap();
            element.click().await.unwrap();
        });
    }

    /// Replaces the text in the field with this id.
    pub fn fill(&self, id: &str, text: &str) {
        wait_for(async {
            let field = self.client().wait().for_element(Locator::Id(id)).await.unwrap();
            field.clear().await.unwrap();
            field.send_keys(text).await.unwrap();
        });
    }

    /// Returns true if the page is wider than the window.
    pub fn overflows(&self) -> bool {
        self.run("return document.documentElement.scrollWidth > document.documentElement.clientWidth")
            .as_bool()
            .unwrap()
    }

    /// Writes a picture of the part of the page that the window shows, as PNG.
    pub fn draw(&self, file: &Path) {
        std::fs::write(file, wait_for(self.client().screenshot()).unwrap()).unwrap();
    }

    /// Runs axe-core; any finding fails the test.
    pub fn is_accessible(&self, page: &str) {
        let axe = std::fs::read_to_string(axe()).unwrap();
        self.run(&axe);
        let script = "const done = arguments[0]; axe.run(document).then(found => \
                      done(found.violations.map(one => [one.id, one.help, one.nodes.map(node => node.html)])))";
        let found = wait_for(self.client().execute_async(script, Vec::new())).unwrap();
        assert_eq!(found, json!([]), "axe-core findings on {page}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // The browser may have exited already.
            let _ = wait_for(tokio_timeout(client.close()));
        }
        self.driver.signal("TERM");
    }
}

async fn tokio_timeout<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(10), future).await.ok()
}

//! Checks that the daemon of this data directory answers at its own address and at the public URL, and that
//! the proxy in front of it is trusted, so that rate limits see each client's address.

use std::time::Duration;

use serde::Deserialize;

use crate::common::{failure::root_cause, http_client};
use crate::config::base_url::BaseUrl;
use crate::config::load::{Config, connect_address};
use crate::doctor::finding::Finding;
use crate::store::engine::directory_lock;
use crate::web::health::INSTANCE_HEADER;

/// Timeout of one request.
const TIMEOUT: Duration = Duration::from_secs(8);

/// The server at an address.
enum Responder {
    /// The daemon of this data directory.
    ThisDaemon,
    /// A daemon of another data directory.
    OtherDaemon,
    /// Another program, with the status it answered.
    OtherServer(u16),
    /// No server, with the reason.
    Nothing(String),
}

#[derive(Deserialize)]
struct Readiness {
    reasons: Vec<String>,
}

pub(crate) async fn check(config: &Config) -> Vec<Finding> {
    let instance = directory_lock::read_instance(&config.data_dir);
    let own_url = format!("http://{}", connect_address(config.bind));
    let instance = instance.as_deref();
    let local = identify(&own_url, instance).await;
    let is_running = matches!(local, Responder::ThisDaemon);
    let mut findings = vec![report_daemon(&local, &own_url)];
    if is_running {
        findings.push(check_readiness(&own_url).await);
    }
    findings.extend(check_public_url(config, instance, is_running).await);
    findings.extend(check_proxies(config));
    findings
}

fn report_daemon(responder: &Responder, own_url: &str) -> Finding {
    match responder {
        Responder::ThisDaemon => {
            Finding::ok("web.daemon", format!("the daemon of this data directory answers at {own_url}"))
        }
        Responder::OtherDaemon => Finding::warning(
            "web.daemon",
            format!("a daemon of another data directory answers at {own_url}"),
            "set its directory with --data-dir, or another address with --bind or JHE_OW_BIND",
        ),
        Responder::OtherServer(status) => Finding::warning(
            "web.daemon",
            format!("the server at {own_url} is not jhe-ow ({status})"),
            "choose another address with --bind or JHE_OW_BIND",
        ),
        Responder::Nothing(_) => Finding::warning(
            "web.daemon",
            format!("no daemon answers at {own_url}"),
            "start it: jhe-ow serve (systemctl start jhe-ow); if it listens at another address, pass --bind",
        ),
    }
}

async fn check_readiness(own_url: &str) -> Finding {
    let stops = |message: String| Finding::stops("web.ready", message, "see its log");
    let unknown = || stops("the daemon gives no valid answer at /readyz".to_owned());
    let Ok(answer) = get(&format!("{own_url}/readyz")).await else {
        return unknown();
    };
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    match serde_json::from_str::<Readiness>(&text) {
        Ok(_) if status.is_success() => Finding::ok("web.ready", "the daemon is ready"),
        Ok(readiness) => {
            let reasons: Vec<String> =
                readiness.reasons.iter().map(|reason| reason.replace('\n', ";")).collect();
            stops(format!("the daemon is not ready: {}", reasons.join("; ")))
        }
        Err(_) => unknown(),
    }
}

async fn check_public_url(config: &Config, instance: Option<&str>, is_running: bool) -> Vec<Finding> {
    let remedy = "set server.public_url (JHE_OW_PUBLIC_URL) to the https address that patients reach";
    let Some(url) = &config.public_url else {
        let message = format!(
            "no public URL is set: invitation links begin with {}, which only this machine can reach",
            config.public_base()
        );
        return vec![Finding::warning("web.public", message, remedy)];
    };
    if url.is_this_machine() {
        let message =
            format!("{url} is a loopback address: a patient's phone cannot reach this machine by it");
        return vec![Finding::warning("web.public", message, remedy)];
    }
    let mut findings = vec![if url.is_https() {
        Finding::ok("web.https", "the public URL is https")
    } else {
        Finding::warning(
            "web.https",
            format!("{url} is not https: patients' pages travel unencrypted"),
            remedy,
        )
    }];
    if !is_running {
        findings.push(Finding::skipped("web.public", format!("{url} is checked only while the daemon runs")));
        return findings;
    }
    let remedy = format!("make the DNS name or the proxy forward to {}", config.bind);
    findings.push(match identify(url.as_str(), instance).await {
        Responder::ThisDaemon => {
            Finding::ok("web.public", format!("{url} leads to this daemon, as seen from this machine"))
        }
        Responder::OtherDaemon => {
            Finding::warning("web.public", format!("{url} leads to another jhe-ow than this one"), remedy)
        }
        Responder::OtherServer(status) => {
            Finding::warning("web.public", format!("the server at {url} is not jhe-ow ({status})"), remedy)
        }
        Responder::Nothing(reason) => Finding::warning(
            "web.public",
            format!("{url} cannot be reached from this machine ({reason}); it may be reachable from outside"),
            format!("open {url}/healthz on a phone. If the page does not say ok, {remedy}"),
        ),
    });
    findings
}

/// Checks that the proxy in front of the daemon is trusted. The daemon itself speaks no TLS, so an https URL
/// implies a proxy.
fn check_proxies(config: &Config) -> Option<Finding> {
    let url = config.public_url.as_ref()?;
    let is_direct =
        || BaseUrl::parse(&format!("http://{}", config.bind)).is_ok_and(|own| own.origin() == url.origin());
    if is_direct() || (!url.is_https() && url.is_this_machine()) {
        return None;
    }
    if config.trusted_proxies.is_empty() {
        return Some(Finding::warning(
            "web.proxies",
            "no proxy is trusted, but one is in front of the daemon: all visitors count as one, and share \
             its rate limits",
            "set server.trusted_proxies (JHE_OW_TRUSTED_PROXIES) to its address, such as 127.0.0.1",
        ));
    }
    let trusted: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    Some(Finding::ok(
        "web.proxies",
        format!("the client-address header is trusted from {}", trusted.join(", ")),
    ))
}

async fn identify(base: &str, instance: Option<&str>) -> Responder {
    let answer = match get(&format!("{base}/healthz")).await {
        Ok(answer) => answer,
        Err(error) => return Responder::Nothing(root_cause(&error)),
    };
    match answer.headers().get(INSTANCE_HEADER).map(|value| value.to_str().ok()) {
        Some(named) if named.is_some() && named == instance => Responder::ThisDaemon,
        Some(_) => Responder::OtherDaemon,
        None => Responder::OtherServer(answer.status().as_u16()),
    }
}

async fn get(url: &str) -> reqwest::Result<reqwest::Response> {
    // The answer must come from this very address, so no proxy of the environment is used.
    http_client::builder(url, TIMEOUT).no_proxy().build()?.get(url).send().await
}

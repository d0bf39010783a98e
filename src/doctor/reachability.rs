//! The way in for people: whether the daemon answers where it listens and where browsers are sent, that it is this one,
//! and that it knows whom it answers.

use std::time::Duration;

use reqwest::redirect;
use serde::Deserialize;

use crate::common::failure::deepest_cause;
use crate::config::base_url::BaseUrl;
use crate::config::load::Config;
use crate::config::reachable::reachable;
use crate::doctor::finding::Finding;
use crate::store::engine::directory_lock;
use crate::web::instance::HEADER as INSTANCE_HEADER;

/// How long an answer may take: it costs the daemon nothing, and a proxy little.
const PATIENCE: Duration = Duration::from_secs(8);

/// Who answers somewhere.
enum Who {
    /// The daemon of this data directory.
    Ours,
    /// Another daemon of this kind, or one of another data directory.
    Another,
    /// Something else, with this status.
    Stranger(u16),
    /// Nobody; the text says why.
    Nobody(String),
}

#[derive(Deserialize)]
struct Readiness {
    reasons: Vec<String>,
}

pub(crate) async fn look(config: &Config) -> Vec<Finding> {
    let instance = directory_lock::instance(&config.data_dir);
    let here = format!("http://{}", reachable(config.bind));
    let instance = instance.as_deref();
    let local = who_answers(&here, instance).await;
    let runs = matches!(local, Who::Ours);
    let mut findings = vec![daemon(&local, &here)];
    if runs {
        findings.push(readiness(&here).await);
    }
    findings.extend(public(config, instance, runs).await);
    findings.extend(proxies(config));
    findings
}

fn daemon(who: &Who, here: &str) -> Finding {
    let next =
        "start it: jhe-ow serve (systemctl start jhe-ow); one that listens elsewhere is found with --bind";
    match who {
        Who::Ours => {
            Finding::ok("web.daemon", format!("the daemon of this data directory answers at {here}"))
        }
        Who::Another => Finding::warning(
            "web.daemon",
            format!("a daemon of another data directory answers at {here}"),
            "name this one's with --data-dir, or another address with --bind or JHE_OW_BIND",
        ),
        Who::Stranger(status) => Finding::warning(
            "web.daemon",
            format!("what answers at {here} is no jhe-ow ({status})"),
            "choose another address with --bind or JHE_OW_BIND",
        ),
        Who::Nobody(_) => Finding::warning("web.daemon", format!("no daemon answers at {here}"), next),
    }
}

async fn readiness(here: &str) -> Finding {
    let next = "see its log";
    let Ok(answer) = ask(&format!("{here}/readyz")).await else {
        return Finding::stops("web.ready", "the daemon does not say whether it is ready", next);
    };
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    match serde_json::from_str::<Readiness>(&text) {
        Ok(_) if status.is_success() => Finding::ok("web.ready", "the daemon is ready"),
        Ok(readiness) => {
            let reasons: Vec<String> =
                readiness.reasons.iter().map(|reason| reason.replace('\n', ";")).collect();
            Finding::stops("web.ready", format!("the daemon is not ready: {}", reasons.join("; ")), next)
        }
        Err(_) => Finding::stops("web.ready", "the daemon does not say whether it is ready", next),
    }
}

async fn public(config: &Config, instance: Option<&str>, runs: bool) -> Vec<Finding> {
    let next = "set server.public_url (JHE_OW_PUBLIC_URL) to the https address that patients reach";
    let Some(url) = &config.public_url else {
        let what = format!(
            "no public URL is set: invitation links begin with {}, which only this machine reaches",
            config.public_base()
        );
        return vec![Finding::warning("web.public", what, next)];
    };
    if url.is_this_machine() {
        let what =
            format!("{url} is this machine for whoever opens it: a patient's phone does not come here");
        return vec![Finding::warning("web.public", what, next)];
    }
    let mut findings = Vec::new();
    findings.push(if url.is_https() {
        Finding::ok("web.https", "browsers come by https")
    } else {
        Finding::warning(
            "web.https",
            format!("{url} is not https: what patients see and choose travels in the open"),
            next,
        )
    });
    if !runs {
        findings.push(Finding::skipped("web.public", format!("{url} is not tried before the daemon runs")));
        return findings;
    }
    let proxy = format!("have it, or the proxy before it, lead to {}", config.bind);
    findings.push(match who_answers(url.as_str(), instance).await {
        Who::Ours => {
            Finding::ok("web.public", format!("{url} leads to this daemon, as seen from this machine"))
        }
        Who::Another => {
            Finding::warning("web.public", format!("{url} leads to another jhe-ow than this one"), proxy)
        }
        Who::Stranger(status) => {
            Finding::warning("web.public", format!("what answers at {url} is no jhe-ow ({status})"), proxy)
        }
        Who::Nobody(why) => Finding::warning(
            "web.public",
            format!("{url} is not reached from this machine ({why}); it may be from outside"),
            format!("open {url}/healthz on a phone: it says ok; if not, {proxy}"),
        ),
    });
    findings
}

/// The daemon itself speaks no TLS: whoever has https has a proxy before it.
fn proxies(config: &Config) -> Option<Finding> {
    let url = config.public_url.as_ref()?;
    let is_direct =
        || BaseUrl::parse(&format!("http://{}", config.bind)).is_ok_and(|own| own.origin() == url.origin());
    if is_direct() || (!url.is_https() && url.is_this_machine()) {
        return None;
    }
    if config.trusted_proxies.is_empty() {
        return Some(Finding::warning(
            "web.proxies",
            "no proxy is trusted, and one stands before the daemon: all visitors count as one, and share its limits",
            "set server.trusted_proxies (JHE_OW_TRUSTED_PROXIES) to its address, such as 127.0.0.1",
        ));
    }
    let trusted: Vec<String> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    Some(Finding::ok(
        "web.proxies",
        format!("what {} says of visitors' addresses is believed", trusted.join(", ")),
    ))
}

async fn who_answers(base: &str, instance: Option<&str>) -> Who {
    let answer = match ask(&format!("{base}/healthz")).await {
        Ok(answer) => answer,
        Err(error) => return Who::Nobody(deepest_cause(&error)),
    };
    match answer.headers().get(INSTANCE_HEADER).map(|value| value.to_str().ok()) {
        Some(named) if named.is_some() && named == instance => Who::Ours,
        Some(_) => Who::Another,
        None => Who::Stranger(answer.status().as_u16()),
    }
}

async fn ask(url: &str) -> reqwest::Result<reqwest::Response> {
    // A proxy of the environment is for others, and no redirect leads to ourselves.
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .tls_built_in_native_certs(url.starts_with("https:"))
        .build()?;
    client.get(url).send().await
}

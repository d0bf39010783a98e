//! OW: whether it takes our key, what this version does, which providers it connects, and what it does for strangers.

use std::net::IpAddr;

use crate::common::clock::Clock;
use crate::config::base_url::BaseUrl;
use crate::config::load::Config;
use crate::config::settings::Snapshot;
use crate::doctor::clock;
use crate::doctor::finding::{Finding, is_raw};
use crate::ow::connector::{CallError, Connector};
use crate::ow::probe::Offered;

/// Ends of the names of hosts that only a private network knows.
const PRIVATE_NAMES: &[&str] = &[".internal", ".local", ".lan", ".localhost", ".home.arpa"];

/// Without settings samples are taken for what the daemon asks OW for.
pub(crate) async fn look(config: &Config, settings: Option<&Snapshot>, ours: &Clock) -> Vec<Finding> {
    let (Some(address), Some(key)) = (&config.ow_api_url, &config.ow_api_key) else {
        return vec![Finding::skipped("ow.configured", "OW cannot be asked without address and key")];
    };
    let ow = match Connector::new(address, key) {
        Ok(ow) => ow,
        Err(failure) => return vec![Finding::stops("ow.configured", failure.what, failure.next)],
    };
    let greeting = match ow.greet().await {
        Ok(greeting) => greeting,
        Err(error) => return vec![trouble(&error, address)],
    };
    let read_at = ours.now();
    let mut findings = vec![
        Finding::ok("ow.reachable", format!("{address} answers")),
        Finding::ok("ow.key", "the key is accepted: a list that only its holders get was answered"),
    ];
    findings.extend(unencrypted("ow.https", "OW", address));
    let complete =
        |provider: &str| format!("{}/clients/ow/complete?provider={provider}", config.public_base());
    let (traits, offered) = tokio::join!(ow.traits(), ow.offered(complete));
    findings.push(match traits {
        Ok(traits) => {
            let filters = match traits.filters {
                Some(true) => "pages can be narrowed to a provider",
                Some(false) => "no filter by provider",
                None => "whether it filters is not known, as it does not describe itself",
            };
            Finding::ok("ow.version", format!("{} samples per page at most; {filters}", traits.page))
        }
        Err(error) => {
            let what = format!("samples cannot be asked for: {error}");
            let next = "see OW's log; if it goes on, the version of OW may be one that is not known here";
            if settings.is_some_and(is_raw) {
                Finding::warning("ow.version", format!("{what}; raw payloads are read all the same"), next)
            } else {
                Finding::stops("ow.version", what, next)
            }
        }
    });
    match offered {
        Ok(offered) => {
            findings.extend(providers(&offered, config));
            if let Some(one) = offered.first() {
                let open = ow.is_open(&one.provider, &complete(&one.provider)).await;
                findings.extend(open.ok().map(|open| authorize(open, address, &offered, config)));
            }
        }
        Err(error) => findings.push(Finding::warning(
            "ow.providers",
            format!("the providers cannot be listed: {error}"),
            "see OW's log: patients cannot connect a device",
        )),
    }
    findings.push(clock::compare("clock.ow", "OW", greeting.clock, read_at));
    findings
}

fn trouble(error: &CallError, address: &BaseUrl) -> Finding {
    match error {
        // Whatever else asks for a key of its own does not call it so.
        CallError::Answered { status: 401 | 403, detail } if !detail.contains("API key") => Finding::stops(
            "ow.key",
            format!("what answers at {address} refuses the key, in words that are not OW's: {error}"),
            "see that OW_API_URL is OW's address; if it is, make a new key in its admin pages, and set OW_API_KEY",
        ),
        CallError::Answered { status: 401 | 403, .. } => Finding::stops(
            "ow.key",
            "401 Invalid or missing API key",
            "make a new key in OW's admin pages, set OW_API_KEY (or the file that holds it), and restart or reload the daemon",
        ),
        CallError::Answered { status: 404, .. } => Finding::stops(
            "ow.reachable",
            format!("what answers at {address} is no OW: there is no /api/v1/users"),
            "set OW_API_URL to OW's address, without a path",
        ),
        CallError::Answered { .. } => {
            Finding::stops("ow.reachable", error.to_string(), "see OW's log, and that its database runs")
        }
        CallError::Unreachable(what) => Finding::stops(
            "ow.reachable",
            what.clone(),
            format!(
                "see that OW runs, and that OW_API_URL ({address}) is its address as this machine reaches it"
            ),
        ),
    }
}

fn providers(offered: &[Offered], config: &Config) -> Vec<Finding> {
    let configured: Vec<&Offered> = offered.iter().filter(|one| one.is_configured).collect();
    if configured.is_empty() {
        return vec![Finding::warning(
            "ow.providers",
            "OW has the credentials of no provider: nobody can connect a device",
            "set them at OW, such as OURA_CLIENT_ID and OURA_CLIENT_SECRET, and restart it",
        )];
    }
    let names: Vec<&str> = configured.iter().map(|one| one.provider.as_str()).collect();
    let mut findings =
        vec![Finding::ok("ow.providers", format!("devices of {} can be connected", names.join(", ")))];
    let is_public = config.public_url.as_ref().is_some_and(|url| !url.is_this_machine());
    for Offered { provider, redirect_uri, .. } in configured {
        let Some(uri) = redirect_uri else { continue };
        let what = format!("to be registered at {provider}, byte for byte: {uri}");
        let is_local = BaseUrl::parse(uri).is_ok_and(|uri| uri.is_this_machine());
        findings.push(if is_public && is_local {
            let next = format!(
                "a patient's phone does not reach that: set API_BASE_URL at OW to its public address, or to {}, which \
                 hands it on",
                config.public_base()
            );
            Finding::warning("ow.redirect", what, next)
        } else {
            Finding::ok("ow.redirect", what)
        });
    }
    findings
}

/// OW asks nobody for a key who begins an authorization, as the provider's answer comes with a browser. Whoever knows
/// the id of a user could have the own device connected to it.
fn authorize(is_open: bool, address: &BaseUrl, offered: &[Offered], config: &Config) -> Finding {
    if !is_open {
        return Finding::ok("ow.authorize", "OW begins no authorization for who shows no key");
    }
    let mut doors = vec![address.clone()];
    let redirects = offered.iter().filter_map(|one| BaseUrl::parse(one.redirect_uri.as_deref()?).ok());
    doors.extend(
        redirects.filter(|uri| config.public_url.as_ref().is_none_or(|own| own.origin() != uri.origin())),
    );
    match doors.iter().find(|door| is_of_the_world(door)) {
        None => Finding::ok(
            "ow.authorize",
            "OW begins authorizations without a key, and is not known to be open to the world",
        ),
        Some(door) => Finding::warning(
            "ow.authorize",
            format!(
                "OW begins authorizations for whoever asks, and {} may be open to the world",
                door.origin()
            ),
            format!(
                "keep the world from OW: set its API_BASE_URL to {}, which hands callbacks on, and let only this \
                 machine reach OW",
                config.public_base()
            ),
        ),
    }
}

/// Whether data travel in the open to a service that is not in the own network.
pub(crate) fn unencrypted(check: &'static str, who: &str, address: &BaseUrl) -> Option<Finding> {
    (!address.is_https() && is_of_the_world(address)).then(|| {
        Finding::warning(
            check,
            format!("keys and patients' data travel unencrypted to {who} ({address})"),
            "name its https address",
        )
    })
}

/// Whether an address may be reached from everywhere, as far as its host tells.
fn is_of_the_world(address: &BaseUrl) -> bool {
    let host = address.host().unwrap_or_default();
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return match ip.to_canonical() {
            IpAddr::V4(ip) => {
                !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified())
            }
            IpAddr::V6(ip) => {
                !(ip.is_unique_local()
                    || ip.is_loopback()
                    || ip.is_unicast_link_local()
                    || ip.is_unspecified())
            }
        };
    }
    host.contains('.') && !PRIVATE_NAMES.iter().any(|end| host.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_ones_own_network_are_told_from_those_of_the_world() {
        let is = |url: &str| is_of_the_world(&BaseUrl::parse(url).unwrap());
        for own in [
            "http://localhost:8000",
            "http://127.0.0.1:8000",
            "http://10.1.2.3",
            "http://[fd00::1]:8000",
            "http://ow:8000",
            "http://ow.internal:8000",
        ] {
            assert!(!is(own), "{own}");
        }
        for world in ["https://ow.example.org", "http://203.0.113.7:8000", "http://[2001:db8::1]"] {
            assert!(is(world), "{world}");
        }
    }
}

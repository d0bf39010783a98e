//! Checks that OW accepts the key, what this version supports, which providers it connects, and whether it is
//! exposed.

use std::net::IpAddr;

use crate::common::clock::Clock;
use crate::config::{base_url::BaseUrl, load::Config, settings::Settings};
use crate::doctor::clock;
use crate::doctor::finding::{Finding, is_raw_mode};
use crate::ow::connector::{CallError, Connector};
use crate::ow::probe::OfferedProvider;

/// Endings of host names that only a private network resolves.
const PRIVATE_NAMES: &[&str] = &[".internal", ".local", ".lan", ".localhost", ".home.arpa"];

/// Runs the checks; without settings the ingest mode is taken to be the one that reads samples from OW.
pub(crate) async fn check(config: &Config, settings: Option<&Settings>, ours: &Clock) -> Vec<Finding> {
    let (Some(address), Some(key)) = (&config.ow_api_url, &config.ow_api_key) else {
        return vec![Finding::skipped("ow.configured", "OW is not checked without an address and a key")];
    };
    let ow = match Connector::new(address, key) {
        Ok(ow) => ow,
        Err(failure) => return vec![Finding::failed("ow.configured", failure)],
    };
    let server_clock = match ow.check_key().await {
        Ok(server_clock) => server_clock,
        Err(error) => return vec![report_error(&error, address)],
    };
    let read_at = ours.now();
    let mut findings = vec![
        Finding::ok("ow.reachable", format!("{address} answers")),
        Finding::ok("ow.key", "the key is accepted"),
    ];
    findings.extend(check_https("ow.https", "OW", address));
    let complete =
        |provider: &str| format!("{}/clients/ow/complete?provider={provider}", config.public_base());
    let (capabilities, offered) = tokio::join!(ow.probe_capabilities(), ow.list_offered_providers(complete));
    findings.push(match capabilities {
        Ok(capabilities) if !capabilities.unknown_types.is_empty() => Finding::warning(
            "ow.version",
            format!(
                "OW does not know the series types {}: they are not read",
                capabilities.unknown_types.join(", ")
            ),
            "update OW, if the study needs them; the other types are read",
        ),
        Ok(capabilities) => {
            let filters = match capabilities.filters_by_provider {
                Some(true) => "it can filter by provider",
                Some(false) => "it cannot filter by provider",
                None => "it does not say whether it can filter by provider",
            };
            Finding::ok(
                "ow.version",
                format!("{} samples per page at most; {filters}", capabilities.page_size),
            )
        }
        Err(error) => {
            let message = format!("samples cannot be read: {error}");
            let remedy = "see OW's log; if this persists, this version of OW may not be supported";
            if settings.is_some_and(is_raw_mode) {
                Finding::warning("ow.version", format!("{message}; raw payloads are still read"), remedy)
            } else {
                Finding::stops("ow.version", message, remedy)
            }
        }
    });
    match offered {
        Ok(offered) => {
            findings.extend(check_providers(&offered, config));
            if let Some(first) = offered.first() {
                let is_open = ow.authorizes_without_key(&first.provider, &complete(&first.provider)).await;
                findings
                    .extend(is_open.ok().map(|is_open| check_exposure(is_open, address, &offered, config)));
            }
        }
        Err(error) => findings.push(Finding::warning(
            "ow.providers",
            format!("the providers cannot be listed: {error}"),
            "see OW's log: patients cannot connect a device",
        )),
    }
    findings.push(clock::compare("clock.ow", "OW", server_clock, read_at));
    findings
}

fn report_error(error: &CallError, address: &BaseUrl) -> Finding {
    match error {
        // Another server that requires a key of its own does not call it "API key".
        CallError::Status { status: 401 | 403, detail } if !detail.contains("API key") => Finding::stops(
            "ow.key",
            format!("the server at {address} refuses the key with a text that is not OW's: {error}"),
            "check that OW_API_URL is OW's address; if it is, make a new key in its admin pages, and set \
             OW_API_KEY",
        ),
        CallError::Status { status: 401 | 403, .. } => Finding::stops(
            "ow.key",
            "401 Invalid or missing API key",
            "make a new key in OW's admin pages, set OW_API_KEY (or the file that holds it), and restart or \
             reload the daemon",
        ),
        CallError::Status { status: 404, .. } => Finding::stops(
            "ow.reachable",
            format!("the server at {address} is not OW: it has no /api/v1/users"),
            "set OW_API_URL to OW's address, without a path",
        ),
        CallError::Status { .. } => Finding::stops(
            "ow.reachable",
            error.to_string(),
            "see OW's log, and check that its database runs",
        ),
        CallError::Unreachable(reason) => Finding::stops(
            "ow.reachable",
            reason.clone(),
            format!(
                "check that OW runs, and that OW_API_URL ({address}) is the address at which this machine \
                 reaches it"
            ),
        ),
    }
}

fn check_providers(offered: &[OfferedProvider], config: &Config) -> Vec<Finding> {
    let configured: Vec<&OfferedProvider> = offered.iter().filter(|one| one.is_configured).collect();
    if configured.is_empty() {
        return vec![Finding::warning(
            "ow.providers",
            "OW has credentials for no provider: no patient can connect a device",
            "set them in OW, such as OURA_CLIENT_ID and OURA_CLIENT_SECRET, and restart it",
        )];
    }
    let names: Vec<&str> = configured.iter().map(|one| one.provider.as_str()).collect();
    let mut findings =
        vec![Finding::ok("ow.providers", format!("devices of {} can be connected", names.join(", ")))];
    let is_public = config.public_url.as_ref().is_some_and(|url| !url.is_this_machine());
    for OfferedProvider { provider, redirect_uri, .. } in configured {
        let Some(uri) = redirect_uri else { continue };
        let message = format!("redirect URI to register at {provider}, byte for byte: {uri}");
        let is_local = BaseUrl::parse(uri).is_ok_and(|uri| uri.is_this_machine());
        findings.push(if is_public && is_local {
            let remedy = format!(
                "a patient's phone cannot reach it: set API_BASE_URL in OW to its public address, or to {}, \
                 which forwards to OW",
                config.public_base()
            );
            Finding::warning("ow.redirect", message, remedy)
        } else {
            Finding::ok("ow.redirect", message)
        });
    }
    findings
}

/// Checks whether OW's OAuth routes may be public. OW begins an authorization without a key, because a
/// browser completes it: someone who knows a user's id could connect their own device to it.
fn check_exposure(is_open: bool, address: &BaseUrl, offered: &[OfferedProvider], config: &Config) -> Finding {
    if !is_open {
        return Finding::ok("ow.authorize", "OW requires the key to begin an authorization");
    }
    let mut addresses = vec![address.clone()];
    let redirects = offered.iter().filter_map(|one| BaseUrl::parse(one.redirect_uri.as_deref()?).ok());
    addresses.extend(
        redirects.filter(|uri| config.public_url.as_ref().is_none_or(|own| own.origin() != uri.origin())),
    );
    match addresses.iter().find(|address| is_public(address)) {
        None => Finding::ok(
            "ow.authorize",
            "OW begins authorizations without a key; its address is not known to be public",
        ),
        Some(public) => Finding::warning(
            "ow.authorize",
            format!("OW begins authorizations without a key, and {} may be public", public.origin()),
            format!(
                "close OW to the public: set its API_BASE_URL to {}, which forwards callbacks, and let only \
                 this machine reach OW",
                config.public_base()
            ),
        ),
    }
}

/// Warns of http to a server outside the private network.
pub(crate) fn check_https(check: &'static str, server: &str, address: &BaseUrl) -> Option<Finding> {
    (!address.is_https() && is_public(address)).then(|| {
        Finding::warning(
            check,
            format!("keys and patients' data travel unencrypted to {server} ({address})"),
            "set its https address",
        )
    })
}

/// Checks whether an address may be public, judging by its host alone.
fn is_public(address: &BaseUrl) -> bool {
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
    host.contains('.') && !PRIVATE_NAMES.iter().any(|ending| host.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_private_network_are_not_public() {
        let is = |url: &str| is_public(&BaseUrl::parse(url).unwrap());
        for private in [
            "http://localhost:8000",
            "http://127.0.0.1:8000",
            "http://10.1.2.3",
            "http://[fd00::1]:8000",
            "http://ow:8000",
            "http://ow.internal:8000",
        ] {
            assert!(!is(private), "{private}");
        }
        for public in ["https://ow.example.org", "http://203.0.113.7:8000", "http://[2001:db8::1]"] {
            assert!(is(public), "{public}");
        }
    }
}

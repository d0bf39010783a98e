//! The configuration: each value and where it came from, and what has to be set before anything else.

use crate::common::failure::Failure;
use crate::config::load::Config;
use crate::config::origin::Origin;
use crate::doctor::finding::Finding;

/// A configuration that cannot be read.
pub fn broken(failure: Failure) -> Finding {
    Finding::stops("config.read", failure.what, failure.next)
}

/// Each value, and what there has to be and is not.
pub fn look(config: &Config, origins: &[Origin]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = origins
        .iter()
        .map(|Origin { key, value, place }| {
            Finding::ok(format!("config.{key}"), format!("{key} = {value} ({place})"))
        })
        .collect();
    let missing = match (&config.ow_api_url, &config.ow_api_key) {
        (Some(_), Some(_)) => None,
        (None, None) => Some(
            "set OW_API_URL to the address of Open Wearables, and OW_API_KEY to a key made in its admin pages (or \
             ow.api_url and ow.api_key_file in jhe-ow.toml)",
        ),
        (None, Some(_)) => Some("set OW_API_URL to the address of Open Wearables"),
        (Some(_), None) => {
            Some("set OW_API_KEY to a key made in OW's admin pages, or OW_API_KEY_FILE to a file with it")
        }
    };
    if let Some(next) = missing {
        findings.push(Finding::stops("config.ow", "OW_API_URL / OW_API_KEY not configured", next));
    }
    if config.jhe_base_url.is_some() && config.secret_key.is_none() {
        findings.push(Finding::warning(
            "config.secret",
            "there is no secret_key: patients' tokens at JHE end with the process, and secrets of raw mode cannot be set",
            "give one that is made with `openssl rand -base64 32`, as JHE_OW_SECRET_KEY or a systemd credential",
        ));
    }
    findings
}

//! Lists each value of the configuration with its origin, and checks that the required ones are set.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::common::failure::Failure;
use crate::config::{load::Config, sources::EffectiveValue};
use crate::doctor::finding::Finding;
use crate::secrets::sealing::MAKE_A_KEY;

pub(crate) fn unreadable(failure: Failure) -> Finding {
    Finding::failed("config.read", failure)
}

/// Warns about files with secrets that more than their owner can read, or everybody can replace. The group may read a file of another owner: that
/// is how a container gets it.
pub(crate) fn check_permissions(files: &[PathBuf]) -> Vec<Finding> {
    let user = rustix::process::geteuid().as_raw();
    let check = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        let (mode, is_own) = (found.mode() & 0o7777, found.uid() == user);
        let (reader, change) = match (mode & 0o004 != 0, mode & 0o040 != 0 && is_own) {
            (true, _) if is_own => ("everybody on this machine", "600"),
            (true, _) => ("everybody on this machine", "o="),
            (false, true) => ("the group of the file", "600"),
            (false, false) => return None,
        };
        let message = format!("{reader} can read {}, which holds a secret (mode {mode:04o})", path.display());
        Some(Finding::warning("config.permissions", message, format!("chmod {change} '{}'", path.display())))
    };
    // Who may write to a directory can put another file in the place of one.
    let directories: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let check_directory = |path: &Path| {
        let mode = std::fs::metadata(path).ok()?.mode() & 0o7777;
        let message = format!(
            "everybody on this machine can replace the secrets in {} (mode {mode:04o})",
            path.display()
        );
        // In a directory such as /tmp, each may replace own files only.
        let is_open = mode & 0o1002 == 0o002;
        is_open.then(|| {
            Finding::warning("config.permissions", message, format!("chmod o-w '{}'", path.display()))
        })
    };
    files.iter().filter_map(check).chain(directories.into_iter().filter_map(check_directory)).collect()
}

pub(crate) fn check(config: &Config, values: &[EffectiveValue]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = values
        .iter()
        .map(|EffectiveValue { key, value, source }| {
            Finding::ok(format!("config.{key}"), format!("{key} = {value} ({source})"))
        })
        .collect();
    let remedy = match (&config.ow_api_url, &config.ow_api_key) {
        (Some(_), Some(_)) => None,
        (None, None) => Some(
            "set OW_API_URL to the address of Open Wearables, and OW_API_KEY to a key made in its admin \
             pages (or ow.api_url and ow.api_key_file in jhe-ow.toml)",
        ),
        (None, Some(_)) => Some("set OW_API_URL to the address of Open Wearables"),
        (Some(_), None) => {
            Some("set OW_API_KEY to a key made in OW's admin pages, or OW_API_KEY_FILE to a file with it")
        }
    };
    if let Some(remedy) = remedy {
        findings.push(Finding::stops("config.ow", "OW_API_URL / OW_API_KEY not configured", remedy));
    }
    if config.jhe_base_url.is_some() && config.secret_key.is_none() {
        findings.push(Finding::warning(
            "config.secret",
            "no secret_key is set: patients' JHE tokens are lost when the process ends, and raw mode's \
             secrets cannot be set",
            MAKE_A_KEY,
        ));
    }
    findings
}

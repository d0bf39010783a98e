//! Where each value of the configuration came from.

use crate::common::failure::Failure;
use crate::config::environment::Environment;
use crate::config::file::File;
use crate::config::flags::Flags;
use crate::config::keys::KEYS;
use crate::config::sources::Sources;
use crate::config::{keys, secret};

/// A key of the configuration, its value as it may be shown, and where that came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its place in the file: `table.key`.
    pub key: &'static str,
    /// Its value; of a secret only that there is one.
    pub value: String,
    /// The flag, the variable, the file with its line, or `default`.
    pub place: String,
}

/// Every key that has a value, with where it came from.
///
/// # Errors
/// As [`crate::config::load::load`].
pub fn origins(flags: &Flags, environment: &Environment) -> Result<Vec<Origin>, Failure> {
    let file = File::find(flags.config.as_deref(), environment)?;
    let sources = Sources { flags, environment, file };
    let mut origins = Vec::new();
    for &key in KEYS {
        let origin = |value: String, place: String| Origin { key: key.path, value, place };
        if let Some(found) = sources.find(key) {
            origins.push(origin(key.shown(found.value), found.place));
        } else if let Some(value) = secret::in_credentials(&sources, key) {
            origins.push(origin(key.shown(value), "systemd credential".to_owned()));
        } else if key.path == keys::DATA_DIR.path {
            let (value, place) = match environment.first_directory("STATE_DIRECTORY") {
                Some(directory) => (directory, "environment variable STATE_DIRECTORY".to_owned()),
                None => (sources.data_dir()?.display().to_string(), "default".to_owned()),
            };
            origins.push(origin(value, place));
        } else if let Some(default) = key.default {
            origins.push(origin(default.to_owned(), "default".to_owned()));
        }
    }
    Ok(origins)
}

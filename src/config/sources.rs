//! Finds the value of each key: in a flag, the environment, `.env`, the file, a secret's own file, or the
//! defaults.

use std::io::Read;
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use secrecy::SecretString;

use crate::common::failure::Failure;
use crate::config::environment::{Environment, SourcedValue};
use crate::config::keys::{self, KEYS, Key, Secret};
use crate::config::{file::File, flags::Flags};

/// Bytes read of a secret's file: a device that is named by mistake has no end.
const MAX_SECRET_BYTES: u64 = 64 * 1024;

/// The sources of the configuration.
pub(crate) struct Sources<'a> {
    pub(crate) flags: &'a Flags,
    pub(crate) environment: &'a Environment,
    pub(crate) file: File,
}

impl Sources<'_> {
    /// Returns the value of a key from the strongest source, or its default. An empty value counts as none.
    pub(crate) fn find(&self, key: &Key) -> Option<SourcedValue> {
        let flag = key.flag.as_ref().and_then(|flag| {
            let value = (flag.value)(self.flags)?;
            Some(SourcedValue { value, source: format!("flag {}", flag.name) })
        });
        let is_set = |found: &SourcedValue| !found.value.trim().is_empty();
        let default = |value: &str| SourcedValue { value: value.to_owned(), source: "default".to_owned() };
        flag.filter(is_set)
            .or_else(|| self.environment.find(key.variable).filter(is_set))
            .or_else(|| self.file.find_key(key.path).filter(is_set))
            .or_else(|| key.default.map(default))
    }

    pub(crate) fn parse<T>(
        &self,
        key: &Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some(SourcedValue { value, source }) = self.find(key) else { return Ok(None) };
        parse(value.trim()).map(Some).map_err(|allowed| {
            let shown = key.mask(without_credentials(&value));
            Failure::usage(format!("{} = '{shown}' ({source}) is not a value it can have", key.path), allowed)
        })
    }

    /// Parses the value of a key that has a default.
    pub(crate) fn parse_required<T>(
        &self,
        key: &Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let value = self.parse(key, parse)?;
        value.ok_or_else(|| Failure::usage(format!("{} is not set", key.path), "set it"))
    }

    /// Returns the configured data directory, or else the one that systemd made for the unit.
    pub(crate) fn find_data_dir(&self) -> Option<String> {
        let configured = self.find(&keys::DATA_DIR).map(|found| found.value);
        configured.or_else(|| self.environment.first_directory("STATE_DIRECTORY"))
    }

    /// Returns the data directory; in the home directory if none is configured.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, Failure> {
        if let Some(directory) = self.find_data_dir() {
            return Ok(self.environment.absolute(&directory));
        }
        match ProjectDirs::from("", "", "jhe-ow") {
            Some(home) => Ok(home.data_dir().to_owned()),
            None => Err(Failure::usage(
                "there is no home directory to keep the data in",
                "name a data directory with --data-dir or JHE_OW_DATA_DIR",
            )),
        }
    }

    /// Returns a secret from its own key, from the file that its `_file` key names, or from systemd's
    /// credentials. No message contains its value.
    pub(crate) fn find_secret(
        &self,
        Secret { plain: key, file: file_key }: &Secret,
    ) -> Result<Option<SecretString>, Failure> {
        let secret = match (self.find(key), self.find(file_key)) {
            (Some(plain), Some(file)) => {
                let message = format!(
                    "both {} ({}) and {} ({}) are set",
                    key.path, plain.source, file_key.path, file.source
                );
                return Err(Failure::usage(message, "keep one of them"));
            }
            (Some(plain), None) => plain.value,
            (None, Some(file)) => read_secret(&self.environment.absolute(&file.value), &file.source)?,
            (None, None) => match self.find_credential(key)? {
                Some(secret) => secret,
                None => return Ok(None),
            },
        };
        // A file usually ends with a newline, which is no part of the secret.
        let secret = secret.trim();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Failure::usage(
                format!("the value of {} is empty or holds characters that no key has", key.path),
                "copy it again, on one line",
            ));
        }
        Ok(Some(secret.to_owned().into()))
    }

    /// Returns a systemd credential, which is a file with the name of the variable. A blank file counts as
    /// none: systemd creates one if the unit names a file that nobody has made.
    fn find_credential(&self, key: &Key) -> Result<Option<String>, Failure> {
        let Some(directory) = self.environment.get("CREDENTIALS_DIRECTORY") else { return Ok(None) };
        let directory = self.environment.absolute(directory);
        let names = [key.variable.to_lowercase(), key.variable.to_owned()];
        let path = names.iter().map(|name| directory.join(name)).find(|path| path.is_file());
        let secret = path.map(|path| read_secret(&path, "CREDENTIALS_DIRECTORY")).transpose()?;
        Ok(secret.filter(|secret| !secret.trim().is_empty()))
    }
}

fn read_secret(path: &Path, source: &str) -> Result<String, Failure> {
    let mut secret = String::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(MAX_SECRET_BYTES).read_to_string(&mut secret));
    // Some editors begin a file with a byte order mark.
    read.map(|_| secret.trim_start_matches('\u{feff}').to_owned()).map_err(|error| {
        Failure::usage(
            format!("the secret in {} ({source}) cannot be read: {error}", path.display()),
            "name a file that exists and that this user may read",
        )
    })
}

/// A configuration key with its value and source, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EffectiveValue {
    /// Path in the file: `table.key`.
    pub(crate) key: &'static str,
    /// The value; a secret only as `(set)`.
    pub(crate) value: String,
    /// The flag, the variable, the file with its line, or `default`.
    pub(crate) source: String,
}

/// Returns the files that hold secrets: those of the `_file` keys, and the configuration file and `.env` if they have a
/// secret in them.
pub(crate) fn list_secret_files(flags: &Flags, environment: &Environment) -> Result<Vec<PathBuf>, Failure> {
    let file = File::find(flags.config.as_deref(), environment)?;
    let holds_secret = |found: Option<SourcedValue>, key: &Key| {
        found.is_some_and(|found| {
            !found.value.is_empty() && (key.is_secret || without_credentials(&found.value) != found.value)
        })
    };
    let mut files = Vec::new();
    if KEYS.iter().any(|key| holds_secret(file.find_key(key.path), key)) {
        files.push(file.path().to_owned());
    }
    if KEYS.iter().any(|key| holds_secret(environment.find_in_dotenv(key.variable), key)) {
        files.push(environment.dotenv_path());
    }
    let sources = Sources { flags, environment, file };
    let named = KEYS.iter().filter(|key| key.path.ends_with("_file")).filter_map(|key| sources.find(key));
    files.extend(named.map(|found| environment.absolute(found.value.trim())));
    Ok(files)
}

/// Returns every key that has a value.
pub(crate) fn effective_values(
    flags: &Flags,
    environment: &Environment,
) -> Result<Vec<EffectiveValue>, Failure> {
    let file = File::find(flags.config.as_deref(), environment)?;
    let sources = Sources { flags, environment, file };
    let mut values = Vec::new();
    for &key in KEYS {
        let credential = || if key.is_secret { sources.find_credential(key).ok().flatten() } else { None };
        let (value, source) = if let Some(found) = sources.find(key) {
            (found.value, found.source)
        } else if let Some(value) = credential() {
            (value, "systemd credential".to_owned())
        } else if key.path == keys::DATA_DIR.path {
            match environment.first_directory("STATE_DIRECTORY") {
                Some(directory) => (directory, "environment variable STATE_DIRECTORY".to_owned()),
                None => (sources.data_dir()?.display().to_string(), "default".to_owned()),
            }
        } else {
            continue;
        };
        values.push(EffectiveValue { key: key.path, value: key.mask(value), source });
    }
    Ok(values)
}

/// Returns an address without user and password.
pub(crate) fn without_credentials(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((before, host))) if before.contains("://") => format!("{scheme}://…@{host}"),
        _ => text.to_owned(),
    }
}

//! A snapshot of the process environment and of the `.env` file in the working directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::common::{clock::CLOCK_ENV, failure::Failure, suggest::nearest};
use crate::config::keys::KEYS;

/// Environment variable that names the configuration file.
pub(crate) const CONFIG_VARIABLE: &str = "JHE_OW_CONFIG";
const DOTENV: &str = ".env";
/// Start of our variables. An unknown variable with this prefix is an error.
const PREFIX: &str = "JHE_OW_";
/// The byte order mark of UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// A value of a configuration key and its source, such as `flag --bind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourcedValue {
    pub(crate) value: String,
    pub(crate) source: String,
}

/// A snapshot of the environment and the working directory.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// Variables of `.env`; the environment overrides them.
    dotenv: HashMap<String, String>,
    directory: PathBuf,
}

impl Environment {
    /// Returns the environment of this process. Invalid UTF-8 in a value is replaced.
    pub fn from_process() -> Result<Self, Failure> {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        let directory = std::env::current_dir().map_err(|error| {
            Failure::usage(format!("there is no working directory: {error}"), "change into one that exists")
        })?;
        Self::new(variables, directory)
    }

    /// Returns an environment of `variables` and the `.env` of `directory`.
    pub fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        directory: PathBuf,
    ) -> Result<Self, Failure> {
        let dotenv = read_dotenv(&directory.join(DOTENV))?;
        Ok(Self { variables: variables.into_iter().collect(), dotenv, directory })
    }

    pub(crate) fn find(&self, name: &str) -> Option<SourcedValue> {
        let Some(value) = self.variables.get(name) else { return self.find_in_dotenv(name) };
        Some(SourcedValue { value: value.clone(), source: format!("environment variable {name}") })
    }

    pub(crate) fn find_in_dotenv(&self, name: &str) -> Option<SourcedValue> {
        let source = format!("{name} in {}", self.dotenv_path().display());
        self.dotenv.get(name).map(|value| SourcedValue { value: value.clone(), source })
    }

    pub(crate) fn dotenv_path(&self) -> PathBuf {
        self.directory.join(DOTENV)
    }

    /// Returns a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.find(name).map(|found| found.value).filter(|value| !value.is_empty())
    }

    /// Returns the first directory of a list from systemd, such as `STATE_DIRECTORY`.
    pub(crate) fn first_directory(&self, name: &str) -> Option<String> {
        let list = self.variables.get(name)?;
        list.split(':').find(|directory| !directory.is_empty()).map(str::to_owned)
    }

    /// Resolves a path against the working directory.
    pub(crate) fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.join(path)
    }

    /// Refuses unknown variables that begin with our prefix.
    pub(crate) fn refuse_unknown(&self) -> Result<(), Failure> {
        let known = || KEYS.iter().map(|key| key.variable).chain([CONFIG_VARIABLE, CLOCK_ENV]);
        #[cfg(debug_assertions)]
        let known = || known().chain([crate::common::failpoint::FAILPOINT_ENV]);
        let ours = self.variables.keys().chain(self.dotenv.keys()).filter(|name| name.starts_with(PREFIX));
        let mut unknown: Vec<&String> =
            ours.filter(|name| !known().any(|key| key == name.as_str())).collect();
        unknown.sort();
        let Some(name) = unknown.first() else { return Ok(()) };
        let remedy = match nearest(name, known()) {
            Some(near) => format!("did you mean {near}? Unset it, or correct its name"),
            None => "unset it; jhe-ow.toml.example lists every variable".to_owned(),
        };
        Err(Failure::usage(format!("environment variable {name} is not known"), remedy))
    }
}

fn read_dotenv(path: &Path) -> Result<HashMap<String, String>, Failure> {
    if !path.is_file() {
        return Ok(HashMap::new());
    }
    let refuse = |error: dotenvy::Error| {
        let message = match error {
            // Only the name is shown: the value may be a secret.
            dotenvy::Error::LineParse(line, _) => {
                let name =
                    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
                format!("the line that begins with '{name}' cannot be read")
            }
            error => error.to_string(),
        };
        Failure::usage(format!("{}: {message}", path.display()), "write one NAME=value per line")
    };
    let bytes = std::fs::read(path).map_err(|error| refuse(dotenvy::Error::Io(error)))?;
    // Some editors begin a file with a byte order mark.
    let lines = bytes.strip_prefix(BOM).unwrap_or(&bytes);
    dotenvy::from_read_iter(lines).collect::<Result<_, _>>().map_err(refuse)
}

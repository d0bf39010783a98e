//! The environment of a process, taken once, together with the `.env` file beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::common::clock::CLOCK_ENV;
use crate::common::failure::Failure;
use crate::common::suggest::nearest;
use crate::config::found::Found;
use crate::config::keys::KEYS;

/// Variables of ours that are no keys: where the file is, and the clock of drills and tests.
pub(crate) const CONFIG_VARIABLE: &str = "JHE_OW_CONFIG";
/// Ours begin with this; one that is not known is a mistake.
const PREFIX: &str = "JHE_OW_";

/// A snapshot of the environment and the working directory.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    /// What `.env` says; weaker than the environment itself.
    dotenv: HashMap<String, String>,
    directory: PathBuf,
}

impl Environment {
    /// The environment of this process. A value that is not UTF-8 is taken as far as it is.
    ///
    /// # Errors
    /// Where there is a `.env` that cannot be read.
    pub fn from_process() -> Result<Self, Failure> {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        let directory = std::env::current_dir().map_err(|error| {
            Failure::usage(format!("there is no working directory: {error}"), "change into one that exists")
        })?;
        Self::new(variables, directory)
    }

    /// An environment of these variables, with the `.env` of `directory`.
    ///
    /// # Errors
    /// Where there is a `.env` that cannot be read.
    pub fn new(
        variables: impl IntoIterator<Item = (String, String)>,
        directory: PathBuf,
    ) -> Result<Self, Failure> {
        let dotenv = read_dotenv(&directory.join(".env"))?;
        Ok(Self { variables: variables.into_iter().collect(), dotenv, directory })
    }

    /// A variable's value and where it stands.
    pub(crate) fn find(&self, name: &str) -> Option<Found> {
        let in_environment = self
            .variables
            .get(name)
            .map(|value| Found { value: value.clone(), place: format!("environment variable {name}") });
        in_environment.or_else(|| {
            let place = format!("{name} in {}", self.directory.join(".env").display());
            self.dotenv.get(name).map(|value| Found { value: value.clone(), place })
        })
    }

    /// A variable of the environment or of `.env`, where it is not empty.
    pub fn get(&self, name: &str) -> Option<String> {
        self.find(name).map(|found| found.value).filter(|value| !value.is_empty())
    }

    /// The first directory of a list that systemd gives, such as `STATE_DIRECTORY`.
    pub(crate) fn first_directory(&self, name: &str) -> Option<String> {
        let list = self.variables.get(name)?;
        list.split(':').find(|directory| !directory.is_empty()).map(str::to_owned)
    }

    /// A path as seen from the working directory.
    pub(crate) fn absolute(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.join(path)
    }

    /// Refuses variables that look like ours and are not known.
    pub(crate) fn refuse_unknown(&self) -> Result<(), Failure> {
        let known = || KEYS.iter().map(|key| key.variable).chain([CONFIG_VARIABLE, CLOCK_ENV]);
        #[cfg(debug_assertions)]
        let known = || known().chain([crate::common::failpoint::FAILPOINT_ENV]);
        let ours = self.variables.keys().chain(self.dotenv.keys()).filter(|name| name.starts_with(PREFIX));
        let mut unknown: Vec<&String> =
            ours.filter(|name| !known().any(|key| key == name.as_str())).collect();
        unknown.sort();
        let Some(name) = unknown.first() else { return Ok(()) };
        let next = match nearest(name, known()) {
            Some(near) => format!("did you mean {near}? Unset it, or correct its name"),
            None => "unset it; jhe-ow.toml.example lists every variable".to_owned(),
        };
        Err(Failure::usage(format!("environment variable {name} is not known"), next))
    }
}

fn read_dotenv(path: &Path) -> Result<HashMap<String, String>, Failure> {
    if !path.is_file() {
        return Ok(HashMap::new());
    }
    let told = |error: dotenvy::Error| {
        let what = match error {
            // Without its value, which may be a secret.
            dotenvy::Error::LineParse(line, _) => {
                let name =
                    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
                format!("the line that begins with '{name}' cannot be read")
            }
            error => error.to_string(),
        };
        Failure::usage(format!("{}: {what}", path.display()), "write one NAME=value per line")
    };
    dotenvy::from_path_iter(path).map_err(told)?.collect::<Result<_, _>>().map_err(told)
}

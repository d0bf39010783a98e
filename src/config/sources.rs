use std::path::PathBuf;

use directories::ProjectDirs;

use crate::common::failure::Failure;
use crate::config::environment::Environment;
use crate::config::file::File;
use crate::config::flags::Flags;
use crate::config::found::Found;
use crate::config::keys;

/// Where values are looked for.
pub(crate) struct Sources<'a> {
    pub(crate) flags: &'a Flags,
    pub(crate) environment: &'a Environment,
    pub(crate) file: File,
}

impl Sources<'_> {
    /// The value of a key, from the strongest source that has one. An empty value counts as none.
    pub(crate) fn find(&self, key: &keys::Key) -> Option<Found> {
        let flag = key.flag.as_ref().and_then(|flag| {
            (flag.value)(self.flags).map(|value| Found { value, place: format!("flag {}", flag.name) })
        });
        let said = |found: &Found| !found.value.trim().is_empty();
        flag.filter(said)
            .or_else(|| self.environment.find(key.variable).filter(said))
            .or_else(|| self.file.find_key(key.path).filter(said))
    }

    pub(crate) fn parse<T>(
        &self,
        key: &keys::Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some(found) = self.find(key) else { return Ok(None) };
        match parse(found.value.trim()) {
            Ok(value) => Ok(Some(value)),
            Err(allowed) => Err(Failure::usage(
                format!(
                    "{} = '{}' ({}) is not a value it can have",
                    key.path,
                    key.shown(without_credentials(&found.value)),
                    found.place
                ),
                allowed,
            )),
        }
    }

    /// `STATE_DIRECTORY` is what systemd makes for a unit; it stands below what a person wrote.
    pub(crate) fn said_data_dir(&self) -> Option<String> {
        let said = self.find(&keys::DATA_DIR).map(|found| found.value);
        said.or_else(|| self.environment.first_directory("STATE_DIRECTORY"))
    }

    pub(crate) fn data_dir(&self) -> Result<PathBuf, Failure> {
        if let Some(directory) = self.said_data_dir() {
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
}

/// An address without what stands before its host: that may be a password.
pub(crate) fn without_credentials(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((before, host))) if before.contains("://") => format!("{scheme}://…@{host}"),
        _ => text.to_owned(),
    }
}

//! The configuration file.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::common::failure::Failure;
use crate::common::suggest::nearest;
use crate::config::environment::{CONFIG_VARIABLE, Environment};
use crate::config::found::Found;
use crate::config::keys::KEYS;
use crate::config::settings;

/// Its name, wherever it is looked for.
pub(crate) const NAME: &str = "jhe-ow.toml";
/// Where a machine's own configuration is.
const SYSTEM: &str = "/etc/jhe-ow/jhe-ow.toml";

/// A configuration file that holds known keys only; an empty one where there is none.
#[derive(Debug, Default)]
pub(crate) struct File {
    path: PathBuf,
    values: Vec<(String, Found)>,
}

impl File {
    /// Reads the file that was named, or else the first that is found where such files are.
    pub(crate) fn find(named: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        let named = named.map(Path::to_owned).or_else(|| environment.get(CONFIG_VARIABLE).map(PathBuf::from));
        if let Some(path) = named {
            return Self::read(&environment.absolute(path));
        }
        let systemd = environment.first_directory("CONFIGURATION_DIRECTORY");
        let home = ProjectDirs::from("", "", "jhe-ow");
        let candidates = [
            Some(environment.absolute(NAME)),
            systemd.map(|directory| Path::new(&directory).join(NAME)),
            home.map(|home| home.config_dir().join(NAME)),
            Some(PathBuf::from(SYSTEM)),
        ];
        match candidates.into_iter().flatten().find(|path| path.is_file()) {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(
                format!("the configuration file {} cannot be read: {error}", path.display()),
                "name one that exists with --config or JHE_OW_CONFIG, and make it readable for this user",
            )
        })?;
        Self::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map(|span| format!(" line {}", line_of(text, span.start)));
            let line = line.unwrap_or_default();
            Failure::usage(
                // Not the error as a whole: it shows the line, which may be that of a secret.
                format!("{}{line} is not TOML: {}", path.display(), error.message()),
                "see jhe-ow.toml.example for how it looks",
            )
        })?;
        let mut file = Self { path: path.to_owned(), values: Vec::new() };
        file.add(text, "", table.get_ref())?;
        Ok(file)
    }

    pub(crate) fn find_key(&self, key: &str) -> Option<Found> {
        self.values.iter().find(|(name, _)| name == key).map(|(_, found)| found.clone())
    }

    fn add(&mut self, text: &str, prefix: &str, table: &DeTable<'_>) -> Result<(), Failure> {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let place = self.place(text, value);
            match value.get_ref() {
                DeValue::Table(inner) if is_table(&key) => self.add(text, &format!("{key}."), inner)?,
                _ if !KEYS.iter().any(|known| known.path == key) => {
                    return Err(unknown(&key, &self.place(text, name)));
                }
                DeValue::String(value) => self.values.push((key, Found { value: value.to_string(), place })),
                // What is not a text is read as it was written: the key's own check says what it takes.
                _ => self.values.push((key, Found { value: text[value.span()].to_owned(), place })),
            }
        }
        Ok(())
    }

    fn place<T>(&self, text: &str, part: &Spanned<T>) -> String {
        format!("{} line {}", self.path.display(), line_of(text, part.span().start))
    }
}

fn line_of(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

fn is_table(key: &str) -> bool {
    KEYS.iter().any(|known| known.path.starts_with(&format!("{key}.")))
}

fn unknown(key: &str, place: &str) -> Failure {
    let next = match nearest(key, KEYS.iter().map(|known| known.path)) {
        _ if settings::find(key).is_ok() => {
            format!("it is set while the daemon runs: jhe-ow settings set {key} VALUE")
        }
        Some(near) => format!("did you mean {near}?"),
        None => "jhe-ow.toml.example lists every key".to_owned(),
    };
    Failure::usage(format!("{key} ({place}) is not a known key"), next)
}

//! The configuration file `jhe-ow.toml`.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::common::{failure::Failure, suggest::nearest};
use crate::config::environment::{CONFIG_VARIABLE, Environment, SourcedValue};
use crate::config::keys::KEYS;
use crate::config::settings;

pub(crate) const NAME: &str = "jhe-ow.toml";
const SYSTEM_PATH: &str = "/etc/jhe-ow/jhe-ow.toml";

/// A configuration file with known keys only; empty if there is no file.
#[derive(Debug, Default)]
pub(crate) struct File {
    path: PathBuf,
    values: Vec<(String, SourcedValue)>,
}

impl File {
    /// Reads the named file, or else the first one in the usual directories.
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
            Some(PathBuf::from(SYSTEM_PATH)),
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
                // The whole error would show the line, which may hold a secret.
                format!("{}{line} is not TOML: {}", path.display(), error.message()),
                "see jhe-ow.toml.example for how it looks",
            )
        })?;
        let mut file = Self { path: path.to_owned(), values: Vec::new() };
        file.add(text, "", table.get_ref())?;
        Ok(file)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn find_key(&self, key: &str) -> Option<SourcedValue> {
        self.values.iter().find(|(name, _)| name == key).map(|(_, found)| found.clone())
    }

    fn add(&mut self, text: &str, prefix: &str, table: &DeTable<'_>) -> Result<(), Failure> {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let source = self.location(text, value);
            match value.get_ref() {
                DeValue::Table(inner) if is_table(&key) => self.add(text, &format!("{key}."), inner)?,
                _ if !KEYS.iter().any(|known| known.path == key) => {
                    return Err(unknown(&key, &self.location(text, name)));
                }
                DeValue::String(value) => {
                    self.values.push((key, SourcedValue { value: value.to_string(), source }));
                }
                // A number or boolean is taken as written; the parser of the key checks it.
                _ => self.values.push((key, SourcedValue { value: text[value.span()].to_owned(), source })),
            }
        }
        Ok(())
    }

    fn location<T>(&self, text: &str, part: &Spanned<T>) -> String {
        format!("{} line {}", self.path.display(), line_of(text, part.span().start))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn is_table(key: &str) -> bool {
    KEYS.iter().any(|known| known.path.starts_with(&format!("{key}.")))
}

fn unknown(key: &str, location: &str) -> Failure {
    let remedy = match nearest(key, KEYS.iter().map(|known| known.path)) {
        _ if settings::find(key).is_ok() => {
            format!("it is set while the daemon runs: jhe-ow settings set {key} VALUE")
        }
        Some(near) => format!("did you mean {near}?"),
        None => "jhe-ow.toml.example lists every key".to_owned(),
    };
    Failure::usage(format!("{key} ({location}) is not a known key"), remedy)
}

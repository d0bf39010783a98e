//! Secrets, each of which may also stand in a file of its own.

use std::io::Read;

use secrecy::SecretString;

use crate::common::failure::Failure;
use crate::config::keys::{Key, Secret};
use crate::config::sources::Sources;

/// Bytes that are read of a secret's file: a device that was named by mistake has no end.
const LARGEST: u64 = 64 * 1024;

/// A secret, from the strongest source that has it: its own key, its `_file` twin, or systemd's
/// credentials. Its value is in no message.
pub(crate) fn find(sources: &Sources<'_>, of: &Secret) -> Result<Option<SecretString>, Failure> {
    let Secret { plain: key, file: file_key } = of;
    let secret = match (sources.find(key), sources.find(file_key)) {
        (Some(plain), Some(file)) => {
            return Err(Failure::usage(
                format!("both {} ({}) and {} ({}) are set", key.path, plain.place, file_key.path, file.place),
                "keep one of them",
            ));
        }
        (Some(plain), None) => plain.value,
        (None, Some(file)) => read(&sources.environment.absolute(&file.value), &file.place)?,
        (None, None) => match credential(sources, key)? {
            Some(secret) => secret,
            None => return Ok(None),
        },
    };
    let secret = secret.trim();
    if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::usage(
            format!("the value of {} is empty or holds characters that no key has", key.path),
            "copy it again, on one line",
        ));
    }
    Ok(Some(secret.to_owned().into()))
}

/// What systemd's credentials have of this key: they hold secrets alone.
pub(crate) fn in_credentials(sources: &Sources<'_>, key: &Key) -> Option<String> {
    if key.is_secret { credential(sources, key).ok().flatten() } else { None }
}

/// systemd puts credentials into files named after them. A unit gives a blank one where nobody has made the file that
/// it names.
fn credential(sources: &Sources<'_>, key: &Key) -> Result<Option<String>, Failure> {
    let Some(directory) = sources.environment.get("CREDENTIALS_DIRECTORY") else { return Ok(None) };
    let directory = sources.environment.absolute(directory);
    let names = [key.variable.to_lowercase(), key.variable.to_owned()];
    match names.iter().map(|name| directory.join(name)).find(|path| path.is_file()) {
        Some(path) => {
            let secret = read(&path, "CREDENTIALS_DIRECTORY")?;
            Ok((!secret.trim().is_empty()).then_some(secret))
        }
        None => Ok(None),
    }
}

fn read(path: &std::path::Path, place: &str) -> Result<String, Failure> {
    let mut secret = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut secret));
    read.map(|_| secret).map_err(|error| {
        Failure::usage(
            format!("the secret in {} ({place}) cannot be read: {error}", path.display()),
            "name a file that exists and that this user may read",
        )
    })
}

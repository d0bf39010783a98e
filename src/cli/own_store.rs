use std::path::Path;

use crate::common::failure::Failure;
use crate::config::environment::Environment;
use crate::config::flags::Flags;
use crate::config::load;
use crate::config::load::Config;
use crate::store::engine::data_directory::FILE_NAME;

/// Where the Debian package's service has its data.
pub(crate) const SERVICE_DATA: &str = "/var/lib/jhe-ow";

/// Whether the store that a command would use is one that somebody meant.
pub(crate) fn means_this_store(
    flags: &Flags,
    environment: &Environment,
    config: &Config,
) -> Result<(), Failure> {
    let named = load::names_data_dir(flags, environment)?;
    make_no_second_store(named, &config.data_dir, Path::new(SERVICE_DATA))
}

/// Refuses to begin a store in somebody's home that nobody asked for, where a service has the real one: a password that is
/// set there lets nobody in.
pub(crate) fn make_no_second_store(named: bool, own: &Path, service: &Path) -> Result<(), Failure> {
    if named || own.join(FILE_NAME).exists() || service.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::usage(
        format!(
            "no data directory is named, and this machine's service has its data in {}",
            service.display()
        ),
        "sudo jhe-ow-ctl, in the place of jhe-ow, works on the service's; --data-dir names another",
    ))
}

//! Refuses to start a second store by accident, on a machine whose service has the real one.

use std::path::Path;

use crate::common::failure::Failure;
use crate::config::load::{self, Config};
use crate::config::{environment::Environment, flags::Flags};
use crate::store::engine::data_directory::FILE_NAME;

/// The data directory of the Debian package's service.
const SERVICE_DATA: &str = "/var/lib/jhe-ow";

pub(crate) fn check_data_directory(
    flags: &Flags,
    environment: &Environment,
    config: &Config,
) -> Result<(), Failure> {
    let is_named = load::has_data_dir(flags, environment)?;
    refuse_second_store(is_named, &config.data_dir, Path::new(SERVICE_DATA))
}

/// Without this check, a password that an operator sets in a new store at home would let nobody in at the
/// service.
fn refuse_second_store(is_named: bool, own: &Path, service: &Path) -> Result<(), Failure> {
    if is_named || own.join(FILE_NAME).exists() || service.symlink_metadata().is_err() {
        return Ok(());
    }
    Err(Failure::usage(
        format!(
            "no data directory is named, and this machine's service has its data in {}",
            service.display()
        ),
        "for the service's data, run sudo jhe-ow-ctl; for another directory, name it with --data-dir",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_creates_no_second_store_beside_the_machines_service() {
        let directory = tempfile::tempdir().unwrap();
        let (home, service) = (directory.path().join("home"), directory.path().join("service"));
        assert_eq!(refuse_second_store(false, &home, &service), Ok(()), "there is no service");
        // As systemd leaves it: a link into a directory that only root may read.
        std::os::unix::fs::symlink("private/jhe-ow", &service).unwrap();
        let refused = refuse_second_store(false, &home, &service).unwrap_err();
        assert!(refused.to_string().contains("jhe-ow-ctl"), "{refused}");
        assert_eq!(refuse_second_store(true, &home, &service), Ok(()), "the directory is named");
        std::fs::create_dir(&home).unwrap();
        std::fs::write(home.join(FILE_NAME), "").unwrap();
        assert_eq!(refuse_second_store(false, &home, &service), Ok(()), "the store exists");
    }
}

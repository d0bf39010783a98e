//! Checks the free space and the encryption of the disk with the data directory.

use std::path::{Path, PathBuf};

use crate::doctor::finding::Finding;

/// With less, writes may fail within the hour: a WAL, a checkpoint and a backup of a small store need as
/// much.
const CRITICAL_SPACE: u64 = 32 * 1024 * 1024;
/// With less, an operator has to act soon: a migration and each backup copy the store.
const LOW_SPACE: u64 = 1024 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// File systems in memory.
const MEMORY_FILE_SYSTEMS: &[&str] = &["tmpfs", "ramfs"];
/// File systems that encrypt.
const ENCRYPTED_FILE_SYSTEMS: &[&str] = &["ecryptfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs"];

pub(crate) fn check(directory: &Path) -> Vec<Finding> {
    vec![check_free_space(directory), check_encryption(directory)]
}

fn check_free_space(directory: &Path) -> Finding {
    let remedy = "free space on that disk, or set another directory with --data-dir or JHE_OW_DATA_DIR";
    match rustix::fs::statvfs(directory) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let message = format!("{} MiB are free on the disk of the data directory", free / MIB);
            match free {
                ..CRITICAL_SPACE => Finding::stops("store.room", message, remedy),
                CRITICAL_SPACE..LOW_SPACE => Finding::warning("store.room", message, remedy),
                _ => Finding::ok("store.room", message),
            }
        }
        Err(error) => Finding::skipped("store.room", format!("the free space could not be read: {error}")),
    }
}

/// An entry of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// `major:minor` of the device.
    device: String,
    file_system: String,
    source: String,
}

fn check_encryption(directory: &Path) -> Finding {
    let unknown = |reason: &str| {
        Finding::skipped(
            "store.encryption",
            format!("it is unknown whether the data directory is encrypted ({reason})"),
        )
    };
    let (Ok(mounts), Ok(path)) = (std::fs::read_to_string("/proc/self/mountinfo"), directory.canonicalize())
    else {
        return unknown("/proc/self/mountinfo cannot be read");
    };
    let Some(mount) = find_mount(&mounts, &path) else { return unknown("its mount was not found") };
    let file_system = mount.file_system.as_str();
    if MEMORY_FILE_SYSTEMS.contains(&file_system) {
        return Finding::warning(
            "store.encryption",
            format!(
                "the data directory is in memory ({file_system}): its data are lost when the machine stops"
            ),
            "set one on a disk with --data-dir or JHE_OW_DATA_DIR",
        );
    }
    if ENCRYPTED_FILE_SYSTEMS.contains(&file_system) {
        return Finding::ok("store.encryption", format!("the data directory is encrypted ({file_system})"));
    }
    match find_block_device(&mount) {
        None => unknown(file_system),
        Some(device) if is_encrypted(&device, 0) => {
            Finding::ok("store.encryption", "the data directory is on an encrypted disk (dm-crypt)")
        }
        Some(_) => Finding::warning(
            "store.encryption",
            format!("the data directory is on a disk that this machine does not encrypt ({})", mount.source),
            "it holds patients' data: put it on an encrypted volume (LUKS), unless the provider of the disk \
             encrypts it",
        ),
    }
}

/// Finds the mount of `path`: of those at the deepest mount point, the last one, which hides the others.
fn find_mount(mounts: &str, path: &Path) -> Option<Mount> {
    let mut found: Option<(usize, Mount)> = None;
    for line in mounts.lines() {
        // 36 35 98:0 /root /point options [optional…] - kind source options
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let (front, back): (Vec<&str>, Vec<&str>) = (front.split(' ').collect(), back.split(' ').collect());
        let (Some(device), Some(point), Some(file_system), Some(source)) =
            (front.get(2), front.get(4), back.first(), back.get(1))
        else {
            continue;
        };
        let point = point.replace("\\040", " ");
        let depth = Path::new(&point).components().count();
        if path.starts_with(&point) && found.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
            let [device, file_system, source] = [device, file_system, source].map(|text| (*text).to_owned());
            found = Some((depth, Mount { device, file_system, source }));
        }
    }
    found.map(|(_, mount)| mount)
}

/// Finds the device's directory in sysfs: by number, or by name where a file system over several devices has
/// a number that belongs to none of them.
fn find_block_device(mount: &Mount) -> Option<PathBuf> {
    let by_number = Path::new("/sys/dev/block").join(&mount.device);
    let by_name = || {
        let device = Path::new(&mount.source).canonicalize().ok()?;
        Some(Path::new("/sys/class/block").join(device.strip_prefix("/dev").ok()?))
    };
    by_number.canonicalize().ok().or_else(|| by_name()?.canonicalize().ok())
}

/// Checks for dm-crypt in the device and in those below it: a logical volume may be on an encrypted disk.
fn is_encrypted(device: &Path, depth: usize) -> bool {
    // No real stack of devices is deeper; this stops at a loop.
    if depth > 8 {
        return false;
    }
    let uuid = std::fs::read_to_string(device.join("dm/uuid")).unwrap_or_default();
    let below = || std::fs::read_dir(device.join("slaves")).into_iter().flatten().flatten();
    uuid.starts_with("CRYPT-")
        || below().any(|device| device.path().canonicalize().is_ok_and(|path| is_encrypted(&path, depth + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 253:1 / /var/lib rw,relatime shared:3 - ext4 /dev/mapper/data rw
31 30 0:40 / /var/lib/my\\040data rw - tmpfs none rw
";

    #[test]
    fn the_mount_of_a_directory_is_the_deepest_that_holds_it() {
        let find =
            |path: &str| find_mount(MOUNTS, Path::new(path)).map(|mount| (mount.source, mount.file_system));
        let is = |source: &str, kind: &str| Some((source.to_owned(), kind.to_owned()));
        assert_eq!(find("/var/lib/jhe-ow"), is("/dev/mapper/data", "ext4"));
        assert_eq!(find("/var/library"), is("/dev/vda", "ext4"));
        assert_eq!(find("/var/lib/my data/x"), is("none", "tmpfs"));
        assert_eq!(find_mount("", Path::new("/x")), None);
    }

    #[test]
    fn a_volume_on_an_encrypted_disk_is_encrypted() {
        let sys = tempfile::tempdir().unwrap();
        let (volume, disk) = (sys.path().join("dm-1"), sys.path().join("dm-0"));
        std::fs::create_dir_all(volume.join("dm")).unwrap();
        std::fs::create_dir_all(volume.join("slaves")).unwrap();
        std::fs::create_dir_all(disk.join("dm")).unwrap();
        std::fs::write(volume.join("dm/uuid"), "LVM-abc\n").unwrap();
        assert!(!is_encrypted(&volume, 0));
        std::fs::write(disk.join("dm/uuid"), "CRYPT-LUKS2-abc\n").unwrap();
        std::os::unix::fs::symlink(&disk, volume.join("slaves/dm-0")).unwrap();
        assert!(is_encrypted(&volume, 0) && is_encrypted(&disk, 0));
        std::fs::write(disk.join("dm/uuid"), "LVM-def\n").unwrap();
        assert!(!is_encrypted(&volume, 0));
    }
}

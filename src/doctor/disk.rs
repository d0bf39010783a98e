//! The disk of the data directory: its room, and whether what is on it is encrypted.

use std::path::{Path, PathBuf};

use crate::doctor::finding::Finding;

/// Below this a store may stop within the hour: a log, a checkpoint and a backup of a small one need as much.
const NONE: u64 = 32 * 1024 * 1024;
/// Below this somebody has to make room soon: a migration and each backup copy the store.
const LITTLE: u64 = 1024 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// File systems that live in memory.
const IN_MEMORY: &[&str] = &["tmpfs", "ramfs"];
/// File systems that encrypt by themselves.
const ENCRYPTING: &[&str] = &["ecryptfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs"];

/// Room, and encryption.
pub(crate) fn look(directory: &Path) -> Vec<Finding> {
    vec![room(directory), encryption(directory)]
}

fn room(directory: &Path) -> Finding {
    let next = "make room on that disk, or name another with --data-dir or JHE_OW_DATA_DIR";
    match rustix::fs::statvfs(directory) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let what = format!("{} MiB are free on the disk of the data directory", free / MIB);
            match free {
                ..NONE => Finding::stops("store.room", what, next),
                NONE..LITTLE => Finding::warning("store.room", what, next),
                _ => Finding::ok("store.room", what),
            }
        }
        Err(error) => Finding::skipped("store.room", format!("the room on the disk is not known ({error})")),
    }
}

/// Where a path is mounted.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    /// `major:minor` of the device.
    device: String,
    kind: String,
    source: String,
}

fn encryption(directory: &Path) -> Finding {
    let unknown = |why: &str| {
        Finding::skipped(
            "store.encryption",
            format!("whether the data directory is encrypted cannot be seen ({why})"),
        )
    };
    let (Ok(mounts), Ok(path)) = (std::fs::read_to_string("/proc/self/mountinfo"), directory.canonicalize())
    else {
        return unknown("no list of mounts");
    };
    let Some(mount) = mount_of(&mounts, &path) else { return unknown("no mount holds it") };
    let kind = mount.kind.as_str();
    if IN_MEMORY.contains(&kind) {
        return Finding::warning(
            "store.encryption",
            format!("the data directory is in memory ({kind}): all is lost with the machine"),
            "name one on a disk with --data-dir or JHE_OW_DATA_DIR",
        );
    }
    if ENCRYPTING.contains(&kind) {
        return Finding::ok("store.encryption", format!("the data directory is encrypted ({kind})"));
    }
    match block_device(&mount) {
        None => unknown(kind),
        Some(device) if is_encrypted(&device, 0) => {
            Finding::ok("store.encryption", "the data directory is on an encrypted disk (dm-crypt)")
        }
        Some(_) => Finding::warning(
            "store.encryption",
            format!("the data directory is on a disk that this machine does not encrypt ({})", mount.source),
            "patients' data lie there: put it on an encrypted volume (LUKS), unless whoever provides the disk encrypts it",
        ),
    }
}

/// The mount that holds `path`: of the longest mount point, the last that was mounted there.
fn mount_of(mounts: &str, path: &Path) -> Option<Mount> {
    let mut found: Option<(usize, Mount)> = None;
    for line in mounts.lines() {
        // 36 35 98:0 /root /point options [optional…] - kind source options
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let (front, back): (Vec<&str>, Vec<&str>) = (front.split(' ').collect(), back.split(' ').collect());
        let (Some(device), Some(point), Some(kind), Some(source)) =
            (front.get(2), front.get(4), back.first(), back.get(1))
        else {
            continue;
        };
        let point = point.replace("\\040", " ");
        let depth = Path::new(&point).components().count();
        if path.starts_with(&point) && found.as_ref().is_none_or(|(deepest, _)| depth >= *deepest) {
            let text = |text: &&str| (*text).to_owned();
            found = Some((depth, Mount { device: text(device), kind: text(kind), source: text(source) }));
        }
    }
    found.map(|(_, mount)| mount)
}

/// The device's directory in sysfs. A file system over several devices has a number of its own, and names one of them.
fn block_device(mount: &Mount) -> Option<PathBuf> {
    let numbered = Path::new("/sys/dev/block").join(&mount.device);
    let named = || {
        let device = Path::new(&mount.source).canonicalize().ok()?;
        Some(Path::new("/sys/class/block").join(device.strip_prefix("/dev").ok()?))
    };
    numbered.canonicalize().ok().or_else(|| named()?.canonicalize().ok())
}

/// Whether the device, or one that it lies on, is dm-crypt's: a logical volume may lie on an encrypted disk.
fn is_encrypted(device: &Path, depth: usize) -> bool {
    // Deeper than any stack of devices: a loop is none.
    if depth > 8 {
        return false;
    }
    let uuid = std::fs::read_to_string(device.join("dm/uuid")).unwrap_or_default();
    let below = || std::fs::read_dir(device.join("slaves")).into_iter().flatten().flatten();
    uuid.starts_with("CRYPT-")
        || below().any(|one| one.path().canonicalize().is_ok_and(|path| is_encrypted(&path, depth + 1)))
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
        let kind = |path: &str| mount_of(MOUNTS, Path::new(path)).map(|mount| (mount.source, mount.kind));
        let is = |source: &str, kind: &str| Some((source.to_owned(), kind.to_owned()));
        assert_eq!(kind("/var/lib/jhe-ow"), is("/dev/mapper/data", "ext4"));
        assert_eq!(kind("/var/library"), is("/dev/vda", "ext4"));
        assert_eq!(kind("/var/lib/my data/x"), is("none", "tmpfs"));
        assert_eq!(mount_of("", Path::new("/x")), None);
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

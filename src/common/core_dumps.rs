//! Keeps patients' data and keys out of core files, and other programs of this user out of the memory.

use rustix::io;
use rustix::process::{Resource, Rlimit, setrlimit};

pub(crate) fn forbid() -> io::Result<()> {
    let limited = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // A program that takes the cores, such as systemd-coredump, gets them whatever the limit is.
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        limited.and(set_dumpable_behavior(DumpableBehavior::NotDumpable))
    }
    #[cfg(not(target_os = "linux"))]
    limited
}

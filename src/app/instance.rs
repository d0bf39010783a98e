//! A random id of this process. The data directory and `/healthz` both name it, so that the doctor can tell
//! whether a public address leads to this daemon.

use std::sync::LazyLock;

static INSTANCE: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0; 16];
    // If this fails, the id is the same at each start. It is no secret; only the doctor's comparison becomes
    // useless.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().simple().to_string()
});

pub(crate) fn process_instance() -> &'static str {
    &INSTANCE
}

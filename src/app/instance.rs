use std::sync::LazyLock;

pub(crate) static INSTANCE: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0; 16];
    // Without randomness it is the same at each start, which makes nothing but the comparison worthless.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().simple().to_string()
});

/// The instance that this process is.
pub(crate) fn of_process() -> &'static str {
    &INSTANCE
}

//! JSON straight into memory. A conversion spends more time on its text than on anything else, and nearly all of that
//! text is our own words, which need no escapes.

/// Text that is JSON as it stands.
pub(super) fn put(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
}

/// A JSON string of any text.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_value(out, text);
}

/// Anything as JSON.
pub(super) fn put_value<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Memory takes everything, and nothing here is what JSON cannot hold.
    let _ = serde_json::to_writer(out, value);
}

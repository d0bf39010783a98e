//! Redaction of error texts from OW, JHE and S3 for logs: a remote error may repeat a secret or a measurement
//! that it received.

use std::borrow::Cow;

use serde_json::error::Category;

use crate::common::bounded_list;

/// Replaces each redacted part.
const REDACTED: &str = "…";
/// The longest run of word characters that is shown; a longer one may be a token or base64. A UUID has 36
/// characters. Our tokens have 43. JHE's access tokens have 30 and are redacted as known secrets.
const MAX_RUN: usize = 40;
/// The shortest secret that is searched for: a shorter one would hit ordinary words.
const MIN_SECRET: usize = 6;

/// Starts of JSON errors that name only the expected shape. Other errors repeat the value: `invalid type:
/// string "…"`.
const SAFE_ERRORS: &[&str] = &["missing field", "duplicate field", "invalid length", bounded_list::TOO_MANY];

/// Returns at most `max_chars` characters of `text`, without `secrets`, long runs, and decimals, which may be
/// measurements. Versions, addresses and codes such as `omh:heart-rate:2.0` stay.
pub(crate) fn redact<'a>(text: &str, max_chars: usize, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut secrets: Vec<&str> = secrets.into_iter().filter(|secret| secret.len() >= MIN_SECRET).collect();
    // Longest first: one secret may contain another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut text = Cow::Borrowed(text.trim());
    for secret in secrets {
        if text.contains(secret) {
            text = text.replace(secret, REDACTED).into();
        }
    }
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        let is_word = is_word_char(first);
        let length = rest.find(|c| is_word_char(c) != is_word).unwrap_or(rest.len());
        let (part, after) = rest.split_at(length);
        match is_word {
            true if is_decimal(part.trim_matches([':', '.'])) => redacted.push_str(REDACTED),
            true => redacted.extend(part.split_inclusive(['.', ':']).map(redact_long_run)),
            false => redacted.push_str(part),
        }
        rest = after;
    }
    // Cut last: a cut before the search would leave half of a secret.
    redacted.chars().take(max_chars).collect()
}

/// Describes a JSON error without the values of the document.
pub(crate) fn describe_json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.classify() != Category::Data || SAFE_ERRORS.iter().any(|start| text.starts_with(start)) {
        return text;
    }
    match text.rsplit_once(", expected ") {
        Some((_, expected)) => format!("it is not {expected}"),
        None => format!("it has another shape at line {} column {}", error.line(), error.column()),
    }
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '/' | '.' | ':')
}

fn is_decimal(word: &str) -> bool {
    word.contains('.') && word.parse::<f64>().is_ok()
}

fn redact_long_run(run: &str) -> &str {
    if run.len() > MAX_RUN { REDACTED } else { run }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        redact(text, 100, ["sk-secret", "sk-secret-longer"])
    }

    #[test]
    fn secrets_and_long_runs_are_redacted() {
        assert_eq!(redacted("key 'sk-secret' is wrong"), "key '…' is wrong");
        assert_eq!(redacted("sk-secret-longer"), "…", "the longer secret is redacted as a whole");
        assert_eq!(redacted(&format!("Bearer {}", "aB3_".repeat(11))), "Bearer …");
        let cut = format!("{} sk-secret", "a ".repeat(46));
        assert_eq!(redacted(&cut), format!("{} …", "a ".repeat(46)), "no part of the secret before the cut");
    }

    #[test]
    fn measurements_are_redacted() {
        for text in ["'value': 61.234567,", "{\"value\":61.234567,", "input_value=61.234567,", "(-61.234567)"]
        {
            let redacted = redacted(text);
            assert!(redacted.contains('…') && !redacted.contains("61"), "{redacted}");
        }
        let error = serde_json::from_str::<String>("61.234567").unwrap_err();
        assert_eq!(describe_json_error(&error), "it is not a string at line 1 column 9");
    }

    #[test]
    fn codes_addresses_versions_and_uuids_stay() {
        for text in [
            "CodeableConcept omh:heart-rate:2.0 not found at http://127.0.0.1:8000/api, HTTP/1.1, page 12.",
            "User 0f6ad2b8-7ab1-4f0e-9b8a-5a6f6d2b1c3d has no connection.",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}

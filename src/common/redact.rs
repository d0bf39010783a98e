//! Another service's words about an error, made fit for a log: they may repeat what they were sent.

use std::borrow::Cow;

use serde_json::error::Category;

use crate::common::bounded_list;

/// What stands where something was left out.
const LEFT_OUT: &str = "…";
/// Characters from which on a run without a gap is taken for a token or for base64. A UUID has 36, a token of ours 43,
/// JHE's access tokens 30: those are left out by what they are.
const LONGEST_RUN: usize = 40;
/// Characters from which on a secret is left out wherever it stands: a shorter one would tear words apart.
const SHORTEST_SECRET: usize = 6;

/// How errors begin that name only what is looked for. Others name what is there: `invalid type: string "…"`.
const HARMLESS: &[&str] = &["missing field", "duplicate field", "invalid length", bounded_list::TOO_MANY];

/// The words, at most `most` characters of them, without these secrets, long runs, and numbers that may be
/// measurements. Versions, addresses and codes such as `omh:heart-rate:2.0` stay.
pub(crate) fn quote<'a>(words: &str, most: usize, secrets: impl IntoIterator<Item = &'a str>) -> String {
    let mut secrets: Vec<&str> =
        secrets.into_iter().filter(|secret| secret.len() >= SHORTEST_SECRET).collect();
    // One may stand in another.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut text = Cow::Borrowed(words.trim());
    for secret in secrets {
        if text.contains(secret) {
            text = text.replace(secret, LEFT_OUT).into();
        }
    }
    let mut quoted = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(first) = rest.chars().next() {
        let is_word = is_of_word(first);
        let length = rest.find(|c| is_of_word(c) != is_word).unwrap_or(rest.len());
        let (part, after) = rest.split_at(length);
        match is_word {
            true if is_decimal(part.trim_matches([':', '.'])) => quoted.push_str(LEFT_OUT),
            true => quoted.extend(part.split_inclusive(['.', ':']).map(shortened)),
            false => quoted.push_str(part),
        }
        rest = after;
    }
    // Last: half of a secret is a secret.
    quoted.chars().take(most).collect()
}

/// What is wrong with an answer that should be JSON, without what stands in it.
pub(crate) fn unreadable(error: &serde_json::Error) -> String {
    let what = error.to_string();
    if error.classify() != Category::Data || HARMLESS.iter().any(|start| what.starts_with(start)) {
        return what;
    }
    match what.rsplit_once(", expected ") {
        Some((_, expected)) => format!("it is not {expected}"),
        None => format!("it has another shape at line {} column {}", error.line(), error.column()),
    }
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '_' | '/' | '.' | ':')
}

fn is_decimal(word: &str) -> bool {
    word.contains('.') && word.parse::<f64>().is_ok()
}

fn shortened(run: &str) -> &str {
    if run.len() > LONGEST_RUN { LEFT_OUT } else { run }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(words: &str) -> String {
        quote(words, 100, ["sk-secret", "sk-secret-longer"])
    }

    #[test]
    fn what_was_sent_is_not_repeated() {
        assert_eq!(quoted("key 'sk-secret' is wrong"), "key '…' is wrong");
        assert_eq!(quoted("sk-secret-longer"), "…", "the longer one is left out as a whole");
        assert_eq!(quoted(&format!("Bearer {}", "aB3_".repeat(11))), "Bearer …");
        let cut = format!("{} sk-secret", "a ".repeat(46));
        assert_eq!(quoted(&cut), format!("{} …", "a ".repeat(46)), "nothing of it before the cut");
    }

    #[test]
    fn no_measurement_is_repeated() {
        for words in
            ["'value': 61.234567,", "{\"value\":61.234567,", "input_value=61.234567,", "(-61.234567)"]
        {
            let quoted = quoted(words);
            assert!(quoted.contains('…') && !quoted.contains("61"), "{quoted}");
        }
        let error = serde_json::from_str::<String>("61.234567").unwrap_err();
        assert_eq!(unreadable(&error), "it is not a string at line 1 column 9");
    }

    #[test]
    fn what_helps_stays() {
        for words in [
            "CodeableConcept omh:heart-rate:2.0 not found at http://127.0.0.1:8000/api, HTTP/1.1, page 12.",
            "User 0f6ad2b8-7ab1-4f0e-9b8a-5a6f6d2b1c3d has no connection.",
        ] {
            assert_eq!(quoted(words), words);
        }
    }
}

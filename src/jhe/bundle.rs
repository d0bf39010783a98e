//! The answer to a batch: a result per entry, in their order.

use serde::Deserialize;

use crate::common::bounded_list;
use crate::common::redact::quote;
use crate::jhe::error::JheError;
use crate::jhe::http;

/// Issues of one entry that are read: JHE tells one for each field at most.
const MOST_ISSUES: usize = 1000;
/// Characters of JHE's words about one entry: a validation says what it expects, and where.
const WORDS: usize = 1000;
/// Characters of what stands where a type or a status should.
const NAMES: usize = 40;

/// What became of one entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its HTTP status.
    pub status: u16,
    /// JHE's words, where it has any.
    pub diagnostics: String,
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "type")]
    kind: String,
    entry: Vec<Answered>,
}

#[derive(Deserialize)]
struct Answered {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    status: String,
    outcome: Option<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    #[serde(default, deserialize_with = "bounded_list::list::<_, _, MOST_ISSUES>")]
    issue: Vec<Issue>,
}

#[derive(Deserialize)]
struct Issue {
    diagnostics: Option<String>,
}

/// Reads the answer to a batch of `sent` entries.
///
/// # Errors
/// [`JheError::Wrong`] where it is no answer to them: then nobody knows what became of which.
pub fn parse(body: &[u8], sent: usize) -> Result<Vec<Entry>, JheError> {
    let bundle: Bundle = http::read(body)?;
    if bundle.kind != "batch-response" {
        return Err(another(&bundle.kind));
    }
    if bundle.entry.len() != sent {
        return Err(JheError::Wrong(format!("{} results for {sent} entries", bundle.entry.len())));
    }
    bundle.entry.into_iter().map(|entry| read(entry.response)).collect()
}

/// A bundle of another type.
pub(crate) fn another(kind: &str) -> JheError {
    JheError::Wrong(format!("a bundle of type '{}'", quote(kind, NAMES, [])))
}

fn read(response: Response) -> Result<Entry, JheError> {
    let code = response.status.split(' ').next().unwrap_or_default();
    let wrong = || JheError::Wrong(format!("the status '{}'", quote(&response.status, NAMES, [])));
    let status = code.parse().map_err(|_| wrong())?;
    let issues = response.outcome.map(|outcome| outcome.issue).unwrap_or_default();
    let words: Vec<String> = issues.into_iter().filter_map(|issue| issue.diagnostics).collect();
    Ok(Entry { status, diagnostics: quote(&words.join("; "), WORDS, []) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = br#"{"resourceType":"Bundle","type":"batch-response","entry":[
        {"resource":{"resourceType":"Resource","id":"60020"},"response":{"status":"201 Created"}},
        {"response":{"status":"409 Conflict","outcome":{"resourceType":"OperationOutcome","issue":[
            {"severity":"error","code":"processing","diagnostics":"Identifier already exists: system=a value=b"}]}}}]}"#;

    #[test]
    fn each_entry_has_its_own_result() {
        let entries = parse(MIXED, 2).unwrap();
        assert_eq!(entries[0], Entry { status: 201, diagnostics: String::new() });
        assert_eq!(
            (entries[1].status, entries[1].diagnostics.as_str()),
            (409, "Identifier already exists: system=a value=b")
        );
    }

    #[test]
    fn an_answer_that_does_not_fit_settles_nothing() {
        for (body, sent) in [(MIXED, 3), (b"{}".as_slice(), 0), (b"<html>".as_slice(), 1)] {
            assert!(matches!(parse(body, sent), Err(JheError::Wrong(_))));
        }
        let searched = br#"{"resourceType":"Bundle","type":"searchset","entry":[]}"#;
        assert!(matches!(parse(searched, 0), Err(JheError::Wrong(_))));
    }
}

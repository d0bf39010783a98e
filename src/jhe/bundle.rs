//! Parses JHE's response to a FHIR batch: one result per entry, in their order.

use serde::Deserialize;

use crate::common::{bounded_list, redact::redact};
use crate::jhe::{error::JheError, http};

/// Issues of one entry that are read: JHE reports one per field at most.
const MOST_ISSUES: usize = 1000;
/// Characters of the diagnostics of one entry: a validation error says what it expects, and where.
const DIAGNOSTICS_CHARS: usize = 1000;
/// Characters of an unexpected type or status that are quoted.
const NAME_CHARS: usize = 40;

/// The result of one entry of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryResponse {
    /// The HTTP status.
    pub status: u16,
    /// JHE's error text; empty after a success.
    pub diagnostics: String,
}

#[derive(Deserialize)]
struct BatchResponse {
    #[serde(rename = "type")]
    kind: String,
    entry: Vec<BatchEntry>,
}

#[derive(Deserialize)]
struct BatchEntry {
    response: ResponseElement,
}

#[derive(Deserialize)]
struct ResponseElement {
    /// Such as `201 Created`.
    status: String,
    outcome: Option<OperationOutcome>,
}

#[derive(Deserialize)]
struct OperationOutcome {
    #[serde(default, deserialize_with = "bounded_list::deserialize::<_, _, MOST_ISSUES>")]
    issue: Vec<OutcomeIssue>,
}

#[derive(Deserialize)]
struct OutcomeIssue {
    diagnostics: Option<String>,
}

/// Parses the response to a batch of `sent` entries. Fails if it does not match the batch: then the result of
/// no entry is known.
pub fn parse(body: &[u8], sent: usize) -> Result<Vec<EntryResponse>, JheError> {
    let bundle: BatchResponse = http::parse(body)?;
    if bundle.kind != "batch-response" {
        return Err(unexpected_type(&bundle.kind));
    }
    if bundle.entry.len() != sent {
        let message = format!("{} results for {sent} entries", bundle.entry.len());
        return Err(JheError::InvalidResponse(message));
    }
    bundle.entry.into_iter().map(|entry| parse_entry(entry.response)).collect()
}

pub(crate) fn unexpected_type(kind: &str) -> JheError {
    JheError::invalid(format!("a bundle of type '{}'", redact(kind, NAME_CHARS, [])))
}

fn parse_entry(response: ResponseElement) -> Result<EntryResponse, JheError> {
    let code = response.status.split(' ').next().unwrap_or_default();
    let status = code.parse().map_err(|_| {
        JheError::invalid(format!("the status '{}'", redact(&response.status, NAME_CHARS, [])))
    })?;
    let issues = response.outcome.map(|outcome| outcome.issue).unwrap_or_default();
    let texts: Vec<String> = issues.into_iter().filter_map(|issue| issue.diagnostics).collect();
    Ok(EntryResponse { status, diagnostics: redact(&texts.join("; "), DIAGNOSTICS_CHARS, []) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = br#"{"resourceType":"BatchResponse","type":"batch-response","entry":[
        {"resource":{"resourceType":"Resource","id":"60020"},"response":{"status":"201 Created"}},
        {"response":{"status":"409 Conflict","outcome":{"resourceType":"OperationOutcome","issue":[
            {"severity":"error","code":"processing","diagnostics":"Identifier already exists: system=a value=b"}]}}}]}"#;

    #[test]
    fn each_entry_has_its_own_result() {
        let entries = parse(MIXED, 2).unwrap();
        assert_eq!(entries[0], EntryResponse { status: 201, diagnostics: String::new() });
        assert_eq!(
            (entries[1].status, entries[1].diagnostics.as_str()),
            (409, "Identifier already exists: system=a value=b")
        );
    }

    #[test]
    fn a_response_that_does_not_match_the_batch_is_refused() {
        for (body, sent) in [(MIXED, 3), (b"{}".as_slice(), 0), (b"<html>".as_slice(), 1)] {
            assert!(matches!(parse(body, sent), Err(JheError::InvalidResponse(_))));
        }
        let searched = br#"{"resourceType":"BatchResponse","type":"searchset","entry":[]}"#;
        assert!(matches!(parse(searched, 0), Err(JheError::InvalidResponse(_))));
    }
}

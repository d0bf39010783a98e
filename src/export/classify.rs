//! Decides what JHE's response to one batch entry means. Pure.

use crate::jhe::bundle::EntryResponse;

/// The meaning of a response. The texts are JHE's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EntryOutcome {
    Delivered,
    /// JHE has an Observation of this identifier: ours, if an earlier attempt arrived.
    Exists(String),
    NoConsent,
    /// The setup of JHE lacks something.
    Configuration(String),
    Dead(String),
    /// Not done, for a reason that does not lie in the entry or is not known.
    Refused(String),
}

/// Parts of diagnostics that name a gap in JHE's setup, rather than a fault of the observation.
const CONFIGURATION: &[&str] =
    &["Patient id=", "Device", "Code not found", "access to the Patient", "FhirSource"];

/// Parts of diagnostics that name a fault of the observation itself: its document breaks the schema, its
/// attachment is no base64 or no JSON, its resource is no Observation. Nothing else makes an entry dead: JHE
/// answers any exception with 422, also one of its database.
const FAULTS_OF_THE_ENTRY: &[&str] =
    &["'omh_data':", "valueAttachment.data must be", "validation error for Observation"];

pub(crate) fn classify(response: &EntryResponse) -> EntryOutcome {
    let EntryResponse { status, diagnostics } = response;
    let names_one_of = |parts: &[&str]| parts.iter().any(|part| diagnostics.contains(part));
    let text = || format!("{status}: {diagnostics}");
    match status {
        200 | 201 => EntryOutcome::Delivered,
        409 => EntryOutcome::Exists(diagnostics.clone()),
        403 if diagnostics.contains("has not been consented") => EntryOutcome::NoConsent,
        400 | 403 if names_one_of(CONFIGURATION) => EntryOutcome::Configuration(diagnostics.clone()),
        400 | 422 if names_one_of(FAULTS_OF_THE_ENTRY) => EntryOutcome::Dead(text()),
        _ => EntryOutcome::Refused(text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, diagnostics: &str) -> EntryOutcome {
        classify(&EntryResponse { status, diagnostics: diagnostics.to_owned() })
    }

    #[test]
    fn each_response_of_jhe_has_its_meaning() {
        assert_eq!(outcome(201, ""), EntryOutcome::Delivered);
        let exists = "Identifier already exists: system=ow:normalized value=x";
        assert_eq!(outcome(409, exists), EntryOutcome::Exists(exists.into()));
        let unconsented = "Observation data with coding_system=a coding_code=b has not been consented for any studies by this Patient.";
        assert_eq!(outcome(403, unconsented), EntryOutcome::NoConsent);
        for missing in [
            "Patient id=1 can not be found.",
            "Device Data Source id=99 can not be found.",
            "Code not found: system=a code=b",
        ] {
            assert_eq!(outcome(400, missing), EntryOutcome::Configuration(missing.into()));
        }
        let foreign = "Current user doesn't have access to the Patient.";
        assert_eq!(outcome(403, foreign), EntryOutcome::Configuration(foreign.into()));
        let invalid = "{'omh_data': [\"'a' is not of type 'number'\"]}";
        assert_eq!(outcome(422, invalid), EntryOutcome::Dead(format!("422: {invalid}")));
        assert!(matches!(outcome(400, "valueAttachment.data must be Base 64"), EntryOutcome::Dead(_)));
        let structure = "1 validation error for Observation\n__root__ -> status";
        assert!(matches!(outcome(400, structure), EntryOutcome::Dead(_)));
    }

    #[test]
    fn an_unknown_reason_is_no_fault_of_the_entry() {
        for (status, diagnostics) in [
            (422, "connection already closed"),
            (400, "never seen"),
            (401, ""),
            (403, "WAF"),
            (418, ""),
            (500, ""),
        ] {
            assert_eq!(
                outcome(status, diagnostics),
                EntryOutcome::Refused(format!("{status}: {diagnostics}"))
            );
        }
    }
}

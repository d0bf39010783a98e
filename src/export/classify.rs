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
    Retry(String),
}

/// Parts of diagnostics that name a gap in JHE's setup, rather than a fault of the observation.
const CONFIGURATION: &[&str] =
    &["Patient id=", "Device", "Code not found", "access to the Patient", "FhirSource"];

pub(crate) fn classify(response: &EntryResponse) -> EntryOutcome {
    let EntryResponse { status, diagnostics } = response;
    let text = || diagnostics.clone();
    match status {
        200 | 201 => EntryOutcome::Delivered,
        409 => EntryOutcome::Exists(text()),
        403 if diagnostics.contains("has not been consented") => EntryOutcome::NoConsent,
        403 => EntryOutcome::Configuration(text()),
        400 if CONFIGURATION.iter().any(|part| diagnostics.contains(part)) => {
            EntryOutcome::Configuration(text())
        }
        400..=499 => EntryOutcome::Dead(format!("{status}: {diagnostics}")),
        _ => EntryOutcome::Retry(format!("{status}: {diagnostics}")),
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
        assert!(matches!(outcome(500, ""), EntryOutcome::Retry(_)));
    }
}

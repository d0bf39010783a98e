//! What JHE's answer to one entry means: pure.

use crate::jhe::bundle::Entry;

/// What an answer means for an observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// JHE has it.
    Done,
    /// Something of this identifier is there already: ours, where an earlier attempt may have arrived.
    Exists(String),
    /// The patient does not consent, as JHE sees it.
    Consent,
    /// Somebody has to mend something at JHE, which the text names.
    Configuration(String),
    /// JHE will not have it; the text is JHE's.
    Dead(String),
    /// It may go well later.
    Later(String),
}

/// What of JHE's words says that something is missing there, rather than wrong with the observation.
const CONFIGURATION: &[&str] =
    &["Patient id=", "Device", "Code not found", "access to the Patient", "FhirSource"];

/// What JHE's answer to one entry means.
pub fn classify(entry: &Entry) -> Meaning {
    let words = || entry.diagnostics.clone();
    let is_configuration = || CONFIGURATION.iter().any(|part| entry.diagnostics.contains(part));
    match entry.status {
        200 | 201 => Meaning::Done,
        409 => Meaning::Exists(words()),
        403 if entry.diagnostics.contains("has not been consented") => Meaning::Consent,
        403 => Meaning::Configuration(words()),
        400 if is_configuration() => Meaning::Configuration(words()),
        400..=499 => Meaning::Dead(format!("{}: {}", entry.status, entry.diagnostics)),
        status => Meaning::Later(format!("{status}: {}", entry.diagnostics)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, words: &str) -> Meaning {
        classify(&Entry { status, diagnostics: words.to_owned() })
    }

    #[test]
    fn each_of_jhes_answers_has_its_meaning() {
        assert_eq!(of(201, ""), Meaning::Done);
        let exists = "Identifier already exists: system=ow:normalized value=x";
        assert_eq!(of(409, exists), Meaning::Exists(exists.into()));
        let unconsented = "Observation data with coding_system=a coding_code=b has not been consented for any studies by this Patient.";
        assert_eq!(of(403, unconsented), Meaning::Consent);
        for missing in [
            "Patient id=1 can not be found.",
            "Device Data Source id=99 can not be found.",
            "Code not found: system=a code=b",
        ] {
            assert_eq!(of(400, missing), Meaning::Configuration(missing.into()));
        }
        let foreign = "Current user doesn't have access to the Patient.";
        assert_eq!(of(403, foreign), Meaning::Configuration(foreign.into()));
        let invalid = "{'omh_data': [\"'a' is not of type 'number'\"]}";
        assert_eq!(of(422, invalid), Meaning::Dead(format!("422: {invalid}")));
        assert!(matches!(of(400, "valueAttachment.data must be Base 64"), Meaning::Dead(_)));
        assert!(matches!(of(500, ""), Meaning::Later(_)));
    }
}

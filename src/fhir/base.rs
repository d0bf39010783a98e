//! The base addresses of the FHIR API. Each has one version of FHIR and one form of observations, so that a client only
//! chooses its base address.

/// A base address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// FHIR R5 as JHE answers: each delivered revision is an Observation with the Open mHealth document in
    /// `valueAttachment`.
    R5,
    /// FHIR R5 with LOINC codes and UCUM units in `valueQuantity` and `component`.
    R5Vitals,
    /// The same in FHIR R4.
    R4,
}

impl Base {
    pub const ALL: [Self; 3] = [Self::R5, Self::R5Vitals, Self::R4];

    pub fn path(self) -> &'static str {
        match self {
            Self::R5 => "/FHIR/R5",
            Self::R5Vitals => "/FHIR/R5/vitals",
            Self::R4 => "/FHIR/R4",
        }
    }

    /// Returns the base address to which a path belongs.
    pub fn of(path: &str) -> Self {
        if path.starts_with(Self::R5Vitals.path()) {
            Self::R5Vitals
        } else if path.starts_with(Self::R4.path()) {
            Self::R4
        } else {
            Self::R5
        }
    }

    pub fn version(self) -> &'static str {
        match self {
            Self::R5 | Self::R5Vitals => "5.0.0",
            Self::R4 => "4.0.1",
        }
    }

    /// Returns true if observations carry Open mHealth documents.
    pub fn has_documents(self) -> bool {
        self == Self::R5
    }
}

//! The state of a patient's consents, taken together.

/// A patient's consents to what an accepted device delivers. OW is called for a patient while they are active only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentStanding {
    Active,
    /// The patient has never answered.
    NeverGiven,
    /// The patient has withdrawn, or declined, everything.
    Withdrawn,
    /// A restore has suspended them until an operator confirms them.
    Suspended,
}

impl ConsentStanding {
    pub(crate) fn is_active(self) -> bool {
        self == Self::Active
    }

    /// Returns the end of a sentence that begins with "the patient".
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Active => "consents",
            Self::NeverGiven => "has not been asked, or has not answered",
            Self::Withdrawn => "has withdrawn or declined every consent",
            Self::Suspended => "has consents that a restore has suspended",
        }
    }
}

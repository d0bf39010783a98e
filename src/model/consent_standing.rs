//! The state of a patient's consents, taken together.

/// A patient's consents to what an accepted device delivers. OW is called for a patient while they are active only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentStanding {
    Active,
    /// Consents only to studies whose collection window is over, also for late data.
    Completed,
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
            Self::Completed => "has completed every study that the consents are for",
            Self::NeverGiven => "has not been asked, or has not answered",
            Self::Withdrawn => "has withdrawn or declined every consent",
            Self::Suspended => "has consents that a restore has suspended",
        }
    }
}

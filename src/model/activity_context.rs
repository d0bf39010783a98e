//! The wearer's activity during a measurement, as the provider names it.

/// Oura's `source` of a heart rate, which OW drops. It is no part of a sample's identity, because Oura may
/// change it a day later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityContext {
    Awake = 1,
    /// Awake and at rest.
    Rest = 2,
    Sleep = 3,
    Workout = 4,
    /// A measurement on the wearer's request.
    Live = 5,
    /// A session, such as a meditation.
    Session = 6,
    /// A word unknown to this version.
    Other = 7,
}

const ALL: &[ActivityContext] = &[
    ActivityContext::Awake,
    ActivityContext::Rest,
    ActivityContext::Sleep,
    ActivityContext::Workout,
    ActivityContext::Live,
    ActivityContext::Session,
    ActivityContext::Other,
];

impl ActivityContext {
    pub fn parse(word: &str) -> Self {
        ALL.iter().copied().find(|context| context.as_str() == word).unwrap_or(Self::Other)
    }

    /// Returns the provider's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Awake => "awake",
            Self::Rest => "rest",
            Self::Sleep => "sleep",
            Self::Workout => "workout",
            Self::Live => "live",
            Self::Session => "session",
            Self::Other => "other",
        }
    }

    /// Returns the context of a stored number. An unknown one, from a later version, becomes [`Self::Other`].
    pub fn from_number(number: i64) -> Self {
        ALL.iter().copied().find(|context| context.number() == number).unwrap_or(Self::Other)
    }

    /// Returns the number in the database. It never changes.
    pub fn number(self) -> i64 {
        self as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_parses_back() {
        for &context in ALL {
            assert_eq!(ActivityContext::parse(context.as_str()), context);
            assert_eq!(ActivityContext::from_number(context.number()), context);
        }
        assert_eq!(ActivityContext::parse("asleep, maybe"), ActivityContext::Other);
    }
}

//! What the wearer did when a sample was measured, in the provider's word. Pure.

/// Oura's `source` of a heart rate, which OW loses. It is no part of a sample's identity: Oura may see a night
/// differently a day later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// Up and about.
    Awake,
    /// At rest, awake.
    Rest,
    /// Asleep.
    Sleep,
    /// At exercise.
    Workout,
    /// Measured on request.
    Live,
    /// In a session, such as a meditation.
    Session,
    /// A word that this version does not know.
    Other,
}

const ALL: &[Context] = &[
    Context::Awake,
    Context::Rest,
    Context::Sleep,
    Context::Workout,
    Context::Live,
    Context::Session,
    Context::Other,
];

impl Context {
    /// The context of this word.
    pub fn parse(word: &str) -> Self {
        ALL.iter().copied().find(|context| context.as_str() == word).unwrap_or(Self::Other)
    }

    /// The provider's word.
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

    /// The context of this number; one of a later version's counts as a word that is not known.
    pub fn from_number(number: i64) -> Self {
        ALL.iter().copied().find(|context| context.number() == number).unwrap_or(Self::Other)
    }

    /// Its number in the store, from 1, for good.
    pub fn number(self) -> i64 {
        match self {
            Self::Awake => 1,
            Self::Rest => 2,
            Self::Sleep => 3,
            Self::Workout => 4,
            Self::Live => 5,
            Self::Session => 6,
            Self::Other => 7,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_context_is_read_as_it_is_written() {
        for &context in ALL {
            assert_eq!(Context::parse(context.as_str()), context);
            assert_eq!(Context::from_number(context.number()), context);
        }
        assert_eq!(Context::parse("asleep, maybe"), Context::Other);
    }
}

/// What went wrong, by whose part it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// OW did not answer, or asked to come back later.
    OwSilent,
    /// OW answered what cannot be.
    OwAnswer,
    /// OW does not know the linked user.
    OwUser,
    /// OW does not take the key.
    OwKey,
    /// The bucket of payloads could not be read.
    Bucket,
    /// An object of it could not be read.
    Object,
    /// JHE did not answer, or refused.
    Jhe,
    /// The store could not be written, or the consent ended meanwhile.
    Store,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::OwSilent,
        Self::OwAnswer,
        Self::OwUser,
        Self::OwKey,
        Self::Bucket,
        Self::Object,
        Self::Jhe,
        Self::Store,
    ];

    /// As the table and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwSilent => "ow_silent",
            Self::OwAnswer => "ow_answer",
            Self::OwUser => "ow_user",
            Self::OwKey => "ow_key",
            Self::Bucket => "bucket",
            Self::Object => "object",
            Self::Jhe => "jhe",
            Self::Store => "store",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::OwSilent => "OW did not answer",
            Self::OwAnswer => "OW answered what cannot be",
            Self::OwUser => "OW does not know the user",
            Self::OwKey => "OW does not take the key",
            Self::Bucket => "the bucket could not be read",
            Self::Object => "an object could not be read",
            Self::Jhe => "JHE did not answer, or refused",
            Self::Store => "it could not be kept",
        }
    }
}

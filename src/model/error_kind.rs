//! Categories of errors, for counters and charts.

/// A category of errors, by the component that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// OW did not answer, or asked to retry later.
    OwSilent,
    /// OW's answer is invalid.
    OwAnswer,
    /// OW does not know the linked user.
    OwUser,
    /// OW refuses the key.
    OwKey,
    /// The bucket of payloads could not be read.
    Bucket,
    /// An object of the bucket could not be read.
    Object,
    /// JHE did not answer, or refused.
    Jhe,
    /// The store could not be written, or the consent ended meanwhile.
    Store,
}

impl ErrorKind {
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

    /// Returns the name in the database and in metrics.
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

    /// Returns a description for pages.
    pub fn label(self) -> &'static str {
        match self {
            Self::OwSilent => "OW did not answer",
            Self::OwAnswer => "OW's answer is invalid",
            Self::OwUser => "OW does not know the user",
            Self::OwKey => "OW refuses the key",
            Self::Bucket => "the bucket could not be read",
            Self::Object => "an object could not be read",
            Self::Jhe => "JHE did not answer, or refused",
            Self::Store => "the store could not be written",
        }
    }
}

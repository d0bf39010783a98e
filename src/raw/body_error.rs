//! Limits and errors of reading the bytes of one object.

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("it is cut short")]
    CutShort,
    #[error("it is no JSON ({0})")]
    NotJson(String),
    /// The value of `data` is not a list.
    #[error("its data is no list")]
    NotAList,
    #[error("a part of it is larger than {} KiB, which no record is", LARGEST_RECORD / 1024)]
    LargeRecord,
    #[error("it is larger than {} MiB unpacked, which no payload is", LARGEST / 1024 / 1024)]
    TooLarge,
    /// It cannot be decompressed.
    #[error("it is packed (gzip) and damaged ({0})")]
    Damaged(String),
}

/// Bytes of one object, decompressed. OW stores at most 10 MiB; far more is no page of a provider's.
pub(crate) const LARGEST: usize = 64 * 1024 * 1024;

/// Bytes of one record, or of any value beside the records. A heart rate has 70. The longest records of Oura
/// have less than 8 KiB: a night of twelve hours with its curves, and a day with its minutes.
pub(crate) const LARGEST_RECORD: usize = 64 * 1024;

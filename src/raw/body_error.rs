use std::io::Write;

/// Why an object cannot be read to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The bytes end too early.
    #[error("it is cut short")]
    CutShort,
    /// It is something else.
    #[error("it is no JSON ({0})")]
    NotJson(String),
    /// There is no list of records where it should be.
    #[error("its data is no list")]
    NotAList,
    /// One record is too large.
    #[error("a part of it is larger than {} KiB, which no record is", LARGEST_RECORD / 1024)]
    LargeRecord,
    /// All of it is too large.
    #[error("it is larger than {} MiB unpacked, which no payload is", LARGEST / 1024 / 1024)]
    TooLarge,
    /// It is packed, and cannot be unpacked.
    #[error("it is packed (gzip) and damaged ({0})")]
    Damaged(String),
}

/// Bytes of one object, unpacked. OW stores at most 10 MiB; far more than that is no page of a provider's.
pub(crate) const LARGEST: usize = 64 * 1024 * 1024;

/// Bytes of one record, or of anything beside the records. A heart rate has 70; the longest of Oura's, a night of twelve
/// hours with its curves and a day with its minutes, less than 8 KiB.
pub(crate) const LARGEST_RECORD: usize = 64 * 1024;

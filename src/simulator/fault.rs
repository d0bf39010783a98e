//! The ways in which the simulated OW can be made to fail.

/// What happens to the pages of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// No answer ever comes.
    Hang,
    /// This status; 500 with OW's own words.
    Status(u16),
    /// 429 with this `Retry-After`.
    TooManyRequests {
        /// Seconds or an HTTP date.
        retry_after: String,
    },
    /// 200 and no JSON.
    Garbage,
    /// 200 and half of a page, as if it were whole.
    Truncated,
    /// 200, and the connection breaks in the middle of the page.
    Cut,
    /// 200 and JSON of another shape.
    WrongType,
    /// Every page says that the same page follows.
    RepeatCursor,
    /// 200, and every record of the page stands in it twice.
    Doubled,
    /// 200 and 200 MB of records.
    Huge,
    /// One byte per second.
    SlowDrip,
    /// A redirect to this address.
    RedirectTo(String),
    /// This status the first times, then well.
    FailFirst {
        /// How often.
        times: u32,
        /// The status.
        status: u16,
    },
    /// Well for the first pages, then this status.
    FailAfterPages {
        /// How many go well.
        pages: u32,
        /// The status.
        status: u16,
    },
}

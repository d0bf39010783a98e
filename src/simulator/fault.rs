//! Faults that a test injects into the simulated OW.

/// A fault in the simulated OW's responses about one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Never answers.
    Hang,
    /// Answers with this status.
    Status(u16),
    /// 429 with this `Retry-After`.
    TooManyRequests {
        /// Seconds or an HTTP date.
        retry_after: String,
    },
    /// 200 and no JSON.
    Garbage,
    /// 200 and the first half of a page; `Content-Length` matches it.
    Truncated,
    /// 200, and the connection breaks in the middle of the page.
    Cut,
    /// 200 and JSON of another shape.
    WrongType,
    /// 200, and every page names the same next page.
    RepeatCursor,
    /// 200, and the page contains every record twice.
    Doubled,
    /// 200 and 200 MB of records.
    Huge,
    /// 200, one byte per second.
    SlowDrip,
    /// A redirect to this address.
    RedirectTo(String),
    /// This status for the first requests, then success.
    FailFirst { times: u32, status: u16 },
    /// Success for the first pages, then this status.
    FailAfterPages { pages: u32, status: u16 },
}

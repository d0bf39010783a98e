//! The clock as a parameter: code below `main` never reads the machine's time by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::header::{DATE, HeaderMap};

use crate::common::time::Timestamp;

/// Environment variable that fixes a process's clock at an RFC 3339 instant. For tests and drills.
pub const CLOCK_ENV: &str = "JHE_OW_CLOCK";

/// The source of the present time.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A stopped clock in microseconds since the Unix epoch; every clone shares it.
    Manual(Arc<AtomicI64>),
    /// A file that holds the present time, for drills that move the clock of a running process.
    #[cfg(debug_assertions)]
    File(Arc<std::path::Path>),
}

impl Clock {
    /// Returns a clock that stays at `at` until [`Clock::set`] moves it.
    pub fn fixed(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.micros())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Manual(at) => Timestamp::from_micros(at.load(Ordering::SeqCst)),
            #[cfg(debug_assertions)]
            Self::File(path) => {
                // A test may be writing the file; an unreadable instant falls back to the machine's clock.
                let text = std::fs::read_to_string(path).ok();
                text.and_then(|text| Timestamp::parse(text.trim()).ok()).unwrap_or_else(system_now)
            }
        }
    }

    /// Moves a manual clock. Has no effect on other clocks.
    pub fn set(&self, to: Timestamp) {
        if let Self::Manual(at) = self {
            at.store(to.micros(), Ordering::SeqCst);
        }
    }
}

/// Returns the server's time from the `Date` header, to the second.
pub(crate) fn server_date(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::parse_http(headers.get(DATE)?.to_str().ok()?)
}

fn system_now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_of_an_answer_is_read() {
        let headers = |date: &str| HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
        let read = server_date(&headers("Sat, 21 Nov 2026 12:00:00 GMT"));
        assert_eq!(read, Timestamp::parse("2026-11-21T12:00:00Z").ok());
        assert_eq!((server_date(&headers("noon")), server_date(&HeaderMap::new())), (None, None));
    }
}

//! The clock as a parameter: nothing inside asks the machine for the time on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::header::{DATE, HeaderMap};

use crate::common::time::Timestamp;

/// Environment variable that freezes the clock of a process at an RFC 3339 instant. For tests and drills.
pub const CLOCK_ENV: &str = "JHE_OW_CLOCK";

/// Where "now" comes from.
#[derive(Debug, Clone, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands where it was put, and that its holders can move.
    Manual(Arc<AtomicI64>),
    /// The instant that a file says, for drills in which time steps while a process runs. In debug builds only.
    #[cfg(debug_assertions)]
    File(Arc<std::path::Path>),
}

impl Clock {
    /// A clock that stands at `at` until somebody moves it with [`Clock::set`].
    pub fn fixed(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.micros())))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => system(),
            Self::Manual(at) => Timestamp::from_micros(at.load(Ordering::SeqCst)),
            #[cfg(debug_assertions)]
            Self::File(path) => {
                let said = std::fs::read_to_string(path).ok();
                said.and_then(|said| Timestamp::parse(said.trim()).ok()).unwrap_or_else(system)
            }
        }
    }

    /// Moves a manual clock; the machine's clock is left alone.
    pub fn set(&self, to: Timestamp) {
        if let Self::Manual(at) = self {
            at.store(to.micros(), Ordering::SeqCst);
        }
    }
}

/// What a server's clock read when it answered, to the second; none where it does not say.
pub(crate) fn of_server(headers: &HeaderMap) -> Option<Timestamp> {
    Timestamp::parse_http(headers.get(DATE)?.to_str().ok()?)
}

fn system() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read_as_http_writes_it() {
        let headers = |date: &str| HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
        let read = of_server(&headers("Sat, 21 Nov 2026 12:00:00 GMT"));
        assert_eq!(read, Timestamp::parse("2026-11-21T12:00:00Z").ok());
        assert_eq!((of_server(&headers("noon")), of_server(&HeaderMap::new())), (None, None));
    }
}

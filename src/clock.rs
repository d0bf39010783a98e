//! The clock as a parameter: nothing inside asks the machine for the time on its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::time::Timestamp;

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
}

impl Clock {
    /// A clock that stands at `at` until somebody moves it with [`Clock::set`].
    pub fn fixed(at: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(at.micros())))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::from_micros(jiff::Timestamp::now().as_microsecond()),
            Self::Manual(at) => Timestamp::from_micros(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's clock is left alone.
    pub fn set(&self, to: Timestamp) {
        if let Self::Manual(at) = self {
            at.store(to.micros(), Ordering::SeqCst);
        }
    }
}

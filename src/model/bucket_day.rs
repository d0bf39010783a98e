//! UTC days, under which OW stores raw payloads in the bucket.

use std::fmt;
use std::ops::RangeInclusive;

use crate::common::time::Timestamp;

/// A day in UTC: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BucketDay(i64);

impl BucketDay {
    pub fn new(number: i64) -> Self {
        Self(number)
    }

    pub fn of(at: Timestamp) -> Self {
        Self(at.micros().div_euclid(MICROS_PER_DAY))
    }

    /// Returns days since 1970-01-01.
    pub fn number(self) -> i64 {
        self.0
    }

    pub fn midnight(self) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_mul(MICROS_PER_DAY))
    }

    #[must_use]
    pub fn before(self) -> Self {
        Self(self.0 - 1)
    }

    pub fn all(days: RangeInclusive<Self>) -> impl Iterator<Item = Self> {
        (days.start().0..=days.end().0).map(Self)
    }
}

impl fmt::Display for BucketDay {
    /// Writes the date as in an object key: `2026-11-21`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let midnight = self.midnight().to_string();
        f.write_str(midnight.split('T').next().unwrap_or_default())
    }
}

/// Stands for objects whose key contains no date.
pub const UNDATED: BucketDay = BucketDay(0);

pub(crate) const MICROS_PER_DAY: i64 = 86_400_000_000;

//! Counters that show how far a running poll has come.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter that only grows.
#[derive(Debug, Default)]
pub struct ProgressCounter(AtomicU64);

impl ProgressCounter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// The progress of one poll.
#[derive(Debug, Default)]
pub struct PollProgress {
    pub patients: ProgressCounter,
    pub patients_done: ProgressCounter,
    /// Slices of all patients; 0 unless this is a backfill.
    pub slices: ProgressCounter,
    pub slices_done: ProgressCounter,
    /// Samples read, new and known ones.
    pub samples: ProgressCounter,
}

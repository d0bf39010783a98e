//! How far a tick has come, for whoever wants to show it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that only grow while a tick runs.
#[derive(Debug, Default)]
pub struct Progress {
    patients: AtomicU64,
    patients_done: AtomicU64,
    slices: AtomicU64,
    slices_done: AtomicU64,
    samples: AtomicU64,
}

impl Progress {
    /// Patients that take part.
    pub fn patients(&self) -> u64 {
        self.patients.load(Ordering::Relaxed)
    }

    /// Patients whose turn is over.
    pub fn patients_done(&self) -> u64 {
        self.patients_done.load(Ordering::Relaxed)
    }

    /// Slices to read, of all patients.
    pub fn slices(&self) -> u64 {
        self.slices.load(Ordering::Relaxed)
    }

    /// Slices that were read.
    pub fn slices_done(&self) -> u64 {
        self.slices_done.load(Ordering::Relaxed)
    }

    /// Samples that were read, new or known.
    pub fn samples(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }

    pub(crate) fn expect(&self, patients: usize, slices: usize) {
        self.patients.fetch_add(patients as u64, Ordering::Relaxed);
        self.slices.fetch_add(slices as u64, Ordering::Relaxed);
    }

    pub(crate) fn patient_done(&self) {
        self.patients_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn slice_done(&self) {
        self.slices_done.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, samples: usize) {
        self.samples.fetch_add(samples as u64, Ordering::Relaxed);
    }
}

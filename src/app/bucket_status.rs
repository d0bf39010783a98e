use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::poll::tick::Summary;

/// The bucket as it was last found, and whose payloads wait in it.
#[derive(Debug, Clone, Default)]
pub struct Payloads(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Nothing outside of raw mode.
    examined: Option<Examined>,
    /// Patients whose last turn had its share of objects, and has left some.
    unfinished: BTreeSet<PatientId>,
}

/// What an examination has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// When that was.
    pub at: Timestamp,
    /// Why the bucket cannot be listed or read, where it cannot.
    pub trouble: Option<String>,
}

impl Payloads {
    /// The last examination.
    pub fn last(&self) -> Option<Examined> {
        self.0.lock().examined.clone()
    }

    /// Whether more objects of a patient wait in the bucket than the last turn has read.
    pub fn is_unfinished(&self, patient: PatientId) -> bool {
        self.0.lock().unfinished.contains(&patient)
    }

    /// Takes over from a tick whose objects wait, and whose do not any more.
    pub fn note_turns(&self, summary: &Summary) {
        let unfinished = &mut self.0.lock().unfinished;
        for (patient, _) in &summary.patients {
            unfinished.remove(patient);
        }
        unfinished.extend(&summary.unfinished);
    }

    pub(crate) fn note(&self, examined: Option<Examined>) {
        self.0.lock().examined = examined;
    }
}

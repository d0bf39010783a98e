//! Applies a change of a collection window: the past that it opens is read, and what waits for JHE outside of it waits
//! on.

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::consent_intervals::ConsentIntervals;
use crate::model::patient::PatientId;
use crate::model::sample_details::SampleDetails;
use crate::store::error::StoreResult;
use crate::store::operations::historical_reads::{self, HistoricalSync};
use crate::store::outbox::outbox;
use crate::store::people::{collection_window, consent};
use crate::store::samples::commit::is_allowed;

/// The name of the read of the past that a longer window opens, beside OW's own runs.
const RUN: &str = "collection-window";

/// Computes the windows of a patient anew. Schedules a read of the past that they open, and parks or releases the
/// patient's observations that JHE has not acknowledged.
pub(crate) fn apply(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<()> {
    if let Some(past) = collection_window::refresh(db, patient, now)? {
        let sync = HistoricalSync { user: String::new(), run: RUN.to_owned(), last_activity: String::new() };
        historical_reads::schedule(db, patient, &sync, past, now)?;
    }
    for code in outbox::list_codes(db, patient)? {
        park_outside(db, patient, &code, now)?;
    }
    Ok(())
}

/// Parks the waiting observations of a code that are outside of the patient's collection windows, and releases those
/// that are inside again.
pub(crate) fn park_outside(
    db: &Connection,
    patient: PatientId,
    code: &str,
    now: Timestamp,
) -> StoreResult<()> {
    let windows = consent::find_windows(db, patient, code, None)?;
    let is_inside = |instant: Timestamp, details: Option<&SampleDetails>| {
        let frame = details.and_then(|details| details.frame);
        windows.as_ref().is_none_or(|windows: &ConsentIntervals| is_allowed(windows, instant, frame))
    };
    outbox::park_unless(db, patient, code, now, is_inside)
}

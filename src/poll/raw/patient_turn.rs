//! One patient's turn in raw mode: reads new objects, until there are none or the turn's budget is spent.
//!
//! An object is recorded as read in the transaction that commits its last samples. One that cannot be read is
//! recorded as failed and tried again at growing intervals, also after the marks have passed its day. Other
//! updates of objects are written together, with the next commit at the latest.

use crate::poll::raw::{consented_series::payload_series, reading::ObjectReader, turn_budget::TurnBudget};
use crate::poll::{patient_turn::Turn, poller::TickContext, windows::ReadRange};
use crate::raw::client::S3Bucket;
use crate::store::operations::poll_plan::PatientPlan;

impl TickContext {
    /// Reads the objects of a patient in `range` that were not read before.
    pub(crate) async fn read_objects(&self, bucket: &S3Bucket, plan: &PatientPlan, range: ReadRange) -> Turn {
        let now = self.poller.clock.now();
        let mut reader = ObjectReader {
            context: self,
            bucket,
            plan,
            wanted: payload_series(&plan.series),
            range,
            turn: Turn::default(),
            // A dry run records nothing, so the next one would start again at the same object.
            budget: if self.is_live() { TurnBudget::begin(now) } else { TurnBudget::unlimited() },
            newest_day: None,
            newest: None,
            is_late: false,
            withheld: 0,
            transient: Vec::new(),
            updates: Vec::new(),
        };
        let read = reader.read().await;
        // Also after an error: the updates concern objects that were read before it.
        let written = reader.write_updates().await;
        reader.turn.error = read.and(written).err();
        reader.turn
    }
}

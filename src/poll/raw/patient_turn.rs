//! One patient's turn in raw mode: every place of the span, every object in it that is not known yet, and an end to it
//! once the others have waited long enough.
//!
//! An object is noted as read in the transaction that keeps its last samples. One that cannot be read is noted as
//! failed and tried again, ever less often, also after the marks have moved past its day. What happens to many objects
//! is noted together, with the next commit at the latest.

use crate::poll::patient_turn::Turn;
use crate::poll::poller::Context;
use crate::poll::progress::Progress;
use crate::poll::raw::consented_series::of_payloads;
use crate::poll::raw::reading::Reading;
use crate::poll::raw::turn_budget::Budget;
use crate::poll::windows::Reach;
use crate::raw::client::Bucket;
use crate::store::operations::poll_plan::Due;

impl Context {
    /// Reads the objects of a patient that `reach` covers and that were not read before.
    pub(crate) async fn read_objects(
        &self,
        bucket: &Bucket,
        due: &Due,
        reach: Reach,
        progress: &Progress,
    ) -> Turn {
        let now = self.poller.clock.now();
        let mut reading = Reading {
            context: self,
            bucket,
            due,
            wanted: of_payloads(&due.wanted),
            progress,
            reach,
            turn: Turn::default(),
            // A dry run notes nothing: it would never come further.
            budget: if self.is_live() { Budget::begin(now) } else { Budget::unlimited() },
            newest_day: None,
            newest: None,
            is_late: false,
            withheld: 0,
            passing: Vec::new(),
            notes: Vec::new(),
        };
        let read = reading.read().await;
        // Also where the turn ends early.
        let noted = reading.write_notes().await;
        reading.turn.error = read.and(noted).err();
        reading.turn
    }
}

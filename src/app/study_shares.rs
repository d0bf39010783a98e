//! Caches the share of the expected data of each study and day: computing it reads the hours of every participant.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::account::VisibleTo;
use crate::model::adherence::{Adherence, DayHours, LastDays, Participation, Share};
use crate::model::participant::Participant;
use crate::model::study::StudyId;
use crate::store::{error::StoreError, samples::data_hours, samples::dataset};

/// Days of the bars on a study's card, the present one included.
const DAYS: u8 = 14;

#[derive(Debug, Clone, Default)]
pub struct StudyShares(Arc<Mutex<HashMap<(StudyId, VisibleTo), Cached>>>);

#[derive(Debug)]
struct Cached {
    basis: Basis,
    shares: Vec<Share>,
}

/// What the shares were computed from. An equal one gives equal shares, save where a participant has withdrawn from
/// some series types: that shows with the next hour or the next samples.
#[derive(Debug, PartialEq, Eq)]
struct Basis {
    commit: i64,
    hour: i64,
    participants: Vec<Participation>,
}

impl StudyShares {
    /// Returns the shares of the last days, today's last, summed over the participants that an account may see.
    pub(crate) fn find(
        &self,
        db: &Connection,
        study: StudyId,
        visible_to: VisibleTo,
        participants: &[Participant],
        now: Timestamp,
    ) -> Result<Vec<Share>, StoreError> {
        let commit = dataset::find_last_commit(db)?.number;
        let basis = Basis {
            commit,
            hour: now.hour(),
            participants: participants.iter().map(Participant::participation).collect(),
        };
        let key = (study, visible_to);
        if let Some(cached) = self.0.lock().get(&key).filter(|cached| cached.basis == basis) {
            return Ok(cached.shares.clone());
        }
        let (mut local, no_hours) = (LastDays::new(DAYS, now), DayHours::default());
        // Each zone's first day begins within a day of midnight UTC.
        let first = now.minus(std::time::Duration::from_hours(24 * (u64::from(DAYS) + 1)));
        let hours = data_hours::list(db, study, None, first, now)?;
        let mut shares = vec![Share::default(); usize::from(DAYS)];
        for one in participants {
            let data = hours.get(&one.patient).unwrap_or(&no_hours);
            let found = Adherence::of(data, one.participation(), local.of(&one.time_zone), now).shares;
            for (sum, share) in shares.iter_mut().zip(found) {
                *sum = *sum + share;
            }
        }
        self.0.lock().insert(key, Cached { basis, shares: shares.clone() });
        Ok(shares)
    }
}

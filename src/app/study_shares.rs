//! Caches the shares of the expected data of each study: computing them reads the hours of every participant.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::account::VisibleTo;
use crate::model::adherence::{Adherence, DayHours, LastDays, Participation, Share};
use crate::model::participant::Participant;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::store::{error::StoreError, people::study, samples::data_hours, samples::dataset};

/// Days of the bars on a study's card, the present one included.
const DAYS: u8 = 14;
/// Days that a share in a sentence or in a list of participants covers.
const WEEK: usize = 7;

#[derive(Debug, Clone, Default)]
pub struct StudyShares(Arc<Mutex<HashMap<(StudyId, VisibleTo), Cached>>>);

/// The shares of the last days in a study.
#[derive(Debug)]
pub struct RecentShares {
    /// Of each day, today's last.
    pub days: Vec<Share>,
    /// Of each participant in the last seven days.
    pub weeks: HashMap<PatientId, Share>,
}

impl RecentShares {
    /// Returns the share of the last seven days.
    pub fn week(&self) -> Share {
        self.days.iter().rev().take(WEEK).copied().sum()
    }
}

#[derive(Debug)]
struct Cached {
    basis: Basis,
    shares: Arc<RecentShares>,
}

/// The inputs of the shares. A cached result is valid while they are equal. The withdrawal of some data types shows with
/// the next hour or the next samples.
#[derive(Debug, PartialEq, Eq)]
struct Basis {
    commit: i64,
    hour: i64,
    participants: Vec<(PatientId, String, Participation)>,
    codes: Vec<String>,
}

impl StudyShares {
    /// Returns the shares of the participants that an account may see.
    pub(crate) fn find(
        &self,
        db: &Connection,
        study: StudyId,
        visible_to: VisibleTo,
        participants: &[Participant],
        now: Timestamp,
    ) -> Result<Arc<RecentShares>, StoreError> {
        let commit = dataset::find_last_commit(db)?.number;
        let basis = Basis {
            commit,
            hour: now.hour(),
            participants: participants
                .iter()
                .map(|one| (one.patient, one.time_zone.clone(), one.participation()))
                .collect(),
            codes: study::find(db, study)?.terms.scopes.into_iter().map(|scope| scope.code).collect(),
        };
        let key = (study, visible_to);
        if let Some(cached) = self.0.lock().get(&key).filter(|cached| cached.basis == basis) {
            return Ok(Arc::clone(&cached.shares));
        }
        let (mut local, no_hours) = (LastDays::new(DAYS, now), DayHours::default());
        // Each zone's first day begins within a day of midnight UTC.
        let first = now.minus(std::time::Duration::from_hours(24 * (u64::from(DAYS) + 1)));
        let hours = data_hours::list(db, study, None, first, now)?;
        let mut days = vec![Share::default(); usize::from(DAYS)];
        let mut weeks = HashMap::new();
        for one in participants {
            let data = hours.get(&one.patient).unwrap_or(&no_hours);
            let found = Adherence::of(data, one.participation(), local.of(&one.time_zone), now).shares;
            weeks.insert(one.patient, found.iter().rev().take(WEEK).copied().sum());
            for (sum, share) in days.iter_mut().zip(found) {
                *sum = *sum + share;
            }
        }
        let shares = Arc::new(RecentShares { days, weeks });
        self.0.lock().insert(key, Cached { basis, shares: Arc::clone(&shares) });
        Ok(shares)
    }
}

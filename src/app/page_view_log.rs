//! Limits the audit entries of a page that refreshes itself to one per account and ten minutes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::account::AccountId;

const RECORD_EVERY: Duration = Duration::from_mins(10);

/// The time of each account's last audit entry about the overview.
#[derive(Debug, Clone, Default)]
pub struct PageViewLog(Arc<Mutex<HashMap<AccountId, Timestamp>>>);

impl PageViewLog {
    /// Returns true if this view needs an audit entry, and remembers the view.
    pub(crate) fn should_record(&self, account: AccountId, now: Timestamp) -> bool {
        let mut recorded = self.0.lock();
        recorded.retain(|_, at| now.since(*at) < RECORD_EVERY);
        let is_due = !recorded.contains_key(&account);
        recorded.entry(account).or_insert(now);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_that_goes_on_is_recorded_every_ten_minutes() {
        let (views, account) = (PageViewLog::default(), AccountId(1));
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        assert!(views.should_record(account, now));
        assert!(!views.should_record(account, now.plus(Duration::from_mins(9))));
        assert!(views.should_record(AccountId(2), now.plus(Duration::from_mins(9))));
        assert!(views.should_record(account, now.plus(Duration::from_mins(10))));
    }
}

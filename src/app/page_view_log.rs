//! Who has an overview open that renews itself: that is one look at it, however often it does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::account::AccountId;

/// A look that goes on is written down this often.
const WRITTEN_EVERY: Duration = Duration::from_mins(10);

/// When each account's look was last written down.
#[derive(Debug, Clone, Default)]
pub struct Looks(Arc<Mutex<HashMap<AccountId, Timestamp>>>);

impl Looks {
    /// Whether a look has to be written down, as none of this account was lately.
    pub(crate) fn is_news(&self, account: AccountId, now: Timestamp) -> bool {
        let mut looks = self.0.lock();
        looks.retain(|_, at| now.since(*at) < WRITTEN_EVERY);
        if looks.contains_key(&account) {
            return false;
        }
        looks.insert(account, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_goes_on_is_written_down_every_ten_minutes() {
        let (looks, account) = (Looks::default(), AccountId(1));
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        assert!(looks.is_news(account, now));
        assert!(!looks.is_news(account, now.plus(Duration::from_mins(9))));
        assert!(looks.is_news(AccountId(2), now.plus(Duration::from_mins(9))));
        assert!(looks.is_news(account, now.plus(Duration::from_mins(10))));
    }
}

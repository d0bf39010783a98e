use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::secrets::webhook_signature::{Unsigned, seconds};

/// When the log said last that messages are not taken, for each of the reasons.
#[derive(Debug, Clone, Default)]
pub struct Warned(Arc<Mutex<[Option<Timestamp>; 2]>>);

impl Warned {
    /// Says why a message of the time `at`, as its header has it, is not taken; nothing of what it is about.
    pub(crate) fn warn(&self, why: Unsigned, at: &str, now: Timestamp) {
        let place = match why {
            Unsigned::Foreign => 0,
            Unsigned::OfAnotherTime => 1,
        };
        {
            let mut warned = self.0.lock();
            // A clock that was put back does not silence it.
            if warned[place].is_some_and(|last| last <= now && now.since(last) < WARN_EVERY) {
                return;
            }
            warned[place] = Some(now);
        }
        match why {
            Unsigned::Foreign => tracing::warn!(
                next = "set OW_WEBHOOK_SECRET to the signing secret of the endpoint in OW that sends here",
                "a message came to /webhooks/ow that is signed with another secret than OW_WEBHOOK_SECRET"
            ),
            Unsigned::OfAnotherTime => {
                let seconds = at.parse::<i64>().map_or(0, |at| seconds(now).saturating_sub(at));
                tracing::warn!(
                    seconds,
                    next = "see that the clocks of both machines are right (timedatectl); an old one may be a message that \
                            somebody sends again",
                    "a message came to /webhooks/ow that is signed rightly, and whose time is too far from this machine's"
                );
            }
        }
    }
}

/// How often the log says that messages are not taken, whoever sends how many.
pub(crate) const WARN_EVERY: Duration = Duration::from_mins(1);

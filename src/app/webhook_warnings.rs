//! Log warnings about webhooks with a bad signature, at most one per reason and minute: anybody may send
//! them.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::secrets::webhook_signature::{SignatureError, seconds};

const WARN_EVERY: Duration = Duration::from_mins(1);

/// The time of the last warning, for each reason.
#[derive(Debug, Clone, Default)]
pub struct WebhookWarnings(Arc<Mutex<[Option<Timestamp>; 2]>>);

impl WebhookWarnings {
    /// Logs why a webhook was refused, and nothing of its content. `at` is the time in its header, in Unix
    /// seconds.
    pub(crate) fn warn(&self, why: SignatureError, at: &str, now: Timestamp) {
        let index = match why {
            SignatureError::Mismatch => 0,
            SignatureError::StaleTime => 1,
        };
        {
            let mut warned = self.0.lock();
            // After the clock was set back, `last` is in the future: warn all the same.
            if warned[index].is_some_and(|last| last <= now && now.since(last) < WARN_EVERY) {
                return;
            }
            warned[index] = Some(now);
        }
        match why {
            SignatureError::Mismatch => tracing::warn!(
                next = "set OW_WEBHOOK_SECRET to the signing secret of the endpoint in OW that sends here",
                "a message came to /webhooks/ow that is signed with another secret than OW_WEBHOOK_SECRET"
            ),
            SignatureError::StaleTime => {
                let seconds = at.parse::<i64>().map_or(0, |at| seconds(now).saturating_sub(at));
                tracing::warn!(
                    seconds,
                    next = "check both clocks (timedatectl), unless somebody sends old messages again",
                    "a message came to /webhooks/ow with a valid signature and a time too far from now"
                );
            }
        }
    }
}

//! Logs warnings about webhooks with an invalid signature: at most one per reason and minute, because anybody
//! may send such webhooks.

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
    /// Logs the reason for a refused webhook, without its content. `at` is the timestamp in its header, in
    /// Unix seconds.
    pub(crate) fn warn(&self, why: SignatureError, at: &str, now: Timestamp) {
        let index = match why {
            SignatureError::Mismatch => 0,
            SignatureError::StaleTime => 1,
        };
        {
            let mut warned = self.0.lock();
            // A `last` in the future means that the clock was set back: warn anyway.
            if warned[index].is_some_and(|last| last <= now && now.since(last) < WARN_EVERY) {
                return;
            }
            warned[index] = Some(now);
        }
        match why {
            SignatureError::Mismatch => tracing::warn!(
                next = "set OW_WEBHOOK_SECRET to the signing secret of this webhook endpoint in OW",
                "refused a webhook at /webhooks/ow: it is signed with another secret than OW_WEBHOOK_SECRET"
            ),
            SignatureError::StaleTime => {
                let seconds = at.parse::<i64>().map_or(0, |at| seconds(now).saturating_sub(at));
                tracing::warn!(
                    seconds,
                    next = "check the clocks here and at OW (timedatectl); if both are right, it is a replay",
                    "refused a webhook at /webhooks/ow: its timestamp is too far from the current time"
                );
            }
        }
    }
}
